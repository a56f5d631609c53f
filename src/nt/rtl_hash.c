/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hash tables of entries that the caller owns. Directory holds TableSize list heads; entries with
 * the same signature are next to each other in their bucket. The caller's lock guards everything.
 *
 * RtlExpandHashTable() and RtlContractHashTable() add or take away one bucket (linear hashing): Pivot buckets
 * of a level of DivisorMask + 1 are split already.
 */
#include <stdlib.h>

#include "nt/fault.h"
#include "nt/internal.h"

enum { TABLE_SIZE_MIN = 128, TABLE_SIZE_MAX = 1 << 20 };

/* Buckets are made in pieces that never move, as entries link to them. */
enum { PIECES = 14 }; /* 128 << 13 == 1 << 20 */
struct pieces {
    LIST_ENTRY *piece[PIECES]; /* 0: buckets 0..127; n: 128 << (n - 1) .. (128 << n) - 1 */
};

static LIST_ENTRY *bucket(PRTL_DYNAMIC_HASH_TABLE table, ULONG index)
{
    struct pieces *p = table->Directory;
    unsigned n = index < TABLE_SIZE_MIN ? 0 : (unsigned)(32 - __builtin_clz(index / TABLE_SIZE_MIN));

    return n == 0 ? &p->piece[0][index] : &p->piece[n][index - ((ULONG)TABLE_SIZE_MIN << (n - 1))];
}

static bool make_bucket(PRTL_DYNAMIC_HASH_TABLE table, ULONG index)
{
    struct pieces *p = table->Directory;
    unsigned n = index < TABLE_SIZE_MIN ? 0 : (unsigned)(32 - __builtin_clz(index / TABLE_SIZE_MIN));

    if (p->piece[n] == NULL)
        p->piece[n] = calloc(n == 0 ? TABLE_SIZE_MIN : (size_t)TABLE_SIZE_MIN << (n - 1), sizeof(LIST_ENTRY));
    if (p->piece[n] == NULL)
        return false;
    InitializeListHead(bucket(table, index));
    return true;
}

static ULONG index_of(PRTL_DYNAMIC_HASH_TABLE table, ULONG_PTR signature)
{
    uint64_t hash = (signature >> table->Shift) * 0x9e3779b97f4a7c15ull; /* 2^64 / the golden ratio */
    ULONG h = (ULONG)(hash >> 32), index = h & table->DivisorMask;

    return index < table->Pivot ? h & (table->DivisorMask << 1 | 1) : index;
}

BOOLEAN RtlCreateHashTableEx(PRTL_DYNAMIC_HASH_TABLE *HashTable, ULONG InitialSize, ULONG Shift, ULONG Flags)
{
    NT_FAIL_FALSE(RtlCreateHashTableEx);
    PRTL_DYNAMIC_HASH_TABLE table = *HashTable;
    ULONG size = InitialSize == 0 ? TABLE_SIZE_MIN : InitialSize, level = TABLE_SIZE_MIN;

    if (size < TABLE_SIZE_MIN || size > TABLE_SIZE_MAX || Flags != 0)
        return FALSE;
    if (table == NULL)
        table = nt_pool_alloc(sizeof *table, 0x68736148u, NT_SITE); /* "Hash" */
    if (table == NULL)
        return FALSE;
    memset(table, 0, sizeof *table);
    table->Flags = *HashTable == NULL ? RTL_HASH_ALLOCATED_HEADER : 0;
    table->Shift = Shift;
    table->Directory = calloc(1, sizeof(struct pieces));
    bool made = table->Directory != NULL;
    for (ULONG i = 0; made && i < size; i++)
        made = make_bucket(table, i);
    while (level * 2 <= size)
        level *= 2;
    table->TableSize = size;
    table->DivisorMask = level - 1;
    table->Pivot = size - level;
    if (!made) {
        *HashTable = table->Flags & RTL_HASH_ALLOCATED_HEADER ? NULL : table;
        if (table->Directory != NULL)
            for (unsigned n = 0; n < PIECES; n++)
                free(((struct pieces *)table->Directory)->piece[n]);
        free(table->Directory);
        if (table->Flags & RTL_HASH_ALLOCATED_HEADER)
            nt_pool_free(table, NT_SITE);
        return FALSE;
    }
    *HashTable = table;
    return TRUE;
}

BOOLEAN RtlCreateHashTable(PRTL_DYNAMIC_HASH_TABLE *HashTable, ULONG Shift, ULONG Flags)
{
    NT_FAIL_FALSE(RtlCreateHashTable);
    return RtlCreateHashTableEx(HashTable, 0, Shift, Flags);
}

VOID RtlDeleteHashTable(PRTL_DYNAMIC_HASH_TABLE HashTable)
{
    for (unsigned n = 0; n < PIECES; n++)
        free(((struct pieces *)HashTable->Directory)->piece[n]);
    free(HashTable->Directory);
    HashTable->Directory = NULL;
    if (HashTable->Flags & RTL_HASH_ALLOCATED_HEADER)
        nt_pool_free(HashTable, NT_SITE);
}

/* Where an entry of this signature is, or would be: PrevLinkage is what stands before it. */
static void position(PRTL_DYNAMIC_HASH_TABLE table, ULONG_PTR signature,
                     PRTL_DYNAMIC_HASH_TABLE_CONTEXT context)
{
    PLIST_ENTRY head = bucket(table, index_of(table, signature)), at = head;

    while (at->Flink != head) {
        PRTL_DYNAMIC_HASH_TABLE_ENTRY next =
            CONTAINING_RECORD(at->Flink, RTL_DYNAMIC_HASH_TABLE_ENTRY, Linkage);
        if (next->Signature != RTL_HASH_RESERVED_SIGNATURE && next->Signature >= signature)
            break;
        at = at->Flink;
    }
    context->ChainHead = head;
    context->PrevLinkage = at;
    context->Signature = signature;
}

BOOLEAN RtlInsertEntryHashTable(PRTL_DYNAMIC_HASH_TABLE HashTable, PRTL_DYNAMIC_HASH_TABLE_ENTRY Entry,
                                ULONG_PTR Signature, PRTL_DYNAMIC_HASH_TABLE_CONTEXT Context)
{
    RTL_DYNAMIC_HASH_TABLE_CONTEXT own;

    if (Signature == RTL_HASH_RESERVED_SIGNATURE) /* enumerators have that one */
        Signature++;
    Entry->Signature = Signature;
    HashTable->NumEntries++;
    if (Context == NULL || Context->ChainHead == NULL || Context->Signature != Signature) {
        if (Context == NULL)
            Context = &own;
        position(HashTable, Signature, Context);
    }
    if (IsListEmpty(Context->ChainHead))
        HashTable->NonEmptyBuckets++;
    InsertHeadList(Context->PrevLinkage, &Entry->Linkage);
    return TRUE;
}

BOOLEAN RtlRemoveEntryHashTable(PRTL_DYNAMIC_HASH_TABLE HashTable, PRTL_DYNAMIC_HASH_TABLE_ENTRY Entry,
                                PRTL_DYNAMIC_HASH_TABLE_CONTEXT Context)
{
    HashTable->NumEntries--;
    if (RemoveEntryList(&Entry->Linkage))
        HashTable->NonEmptyBuckets--;
    if (Context != NULL && Context->ChainHead == NULL)
        position(HashTable, Entry->Signature, Context);
    return TRUE;
}

static PRTL_DYNAMIC_HASH_TABLE_ENTRY at_context(PRTL_DYNAMIC_HASH_TABLE_CONTEXT context)
{
    for (PLIST_ENTRY at = context->PrevLinkage->Flink; at != context->ChainHead; at = at->Flink) {
        PRTL_DYNAMIC_HASH_TABLE_ENTRY entry = CONTAINING_RECORD(at, RTL_DYNAMIC_HASH_TABLE_ENTRY, Linkage);
        if (entry->Signature == context->Signature)
            return entry;
        if (entry->Signature != RTL_HASH_RESERVED_SIGNATURE)
            break;
    }
    return NULL;
}

PRTL_DYNAMIC_HASH_TABLE_ENTRY RtlLookupEntryHashTable(PRTL_DYNAMIC_HASH_TABLE HashTable, ULONG_PTR Signature,
                                                      PRTL_DYNAMIC_HASH_TABLE_CONTEXT Context)
{
    RTL_DYNAMIC_HASH_TABLE_CONTEXT own;

    if (Signature == RTL_HASH_RESERVED_SIGNATURE)
        Signature++;
    if (Context == NULL)
        Context = &own;
    position(HashTable, Signature, Context);
    return at_context(Context);
}

PRTL_DYNAMIC_HASH_TABLE_ENTRY RtlGetNextEntryHashTable(PRTL_DYNAMIC_HASH_TABLE HashTable,
                                                       PRTL_DYNAMIC_HASH_TABLE_CONTEXT Context)
{
    (void)HashTable;
    if (Context->PrevLinkage->Flink == Context->ChainHead)
        return NULL;
    Context->PrevLinkage = Context->PrevLinkage->Flink;
    return at_context(Context);
}

/* ---- enumeration: the enumerator stands in a bucket as an entry of the reserved signature ---------------
 */
BOOLEAN RtlInitEnumerationHashTable(PRTL_DYNAMIC_HASH_TABLE HashTable,
                                    PRTL_DYNAMIC_HASH_TABLE_ENUMERATOR Enumerator)
{
    PLIST_ENTRY head = bucket(HashTable, 0);

    if (IsListEmpty(head))
        HashTable->NonEmptyBuckets++;
    InsertHeadList(head, &Enumerator->HashEntry.Linkage);
    Enumerator->HashEntry.Signature = RTL_HASH_RESERVED_SIGNATURE;
    Enumerator->ChainHead = head;
    Enumerator->BucketIndex = 0;
    HashTable->NumEnumerators++;
    return TRUE;
}

PRTL_DYNAMIC_HASH_TABLE_ENTRY RtlEnumerateEntryHashTable(PRTL_DYNAMIC_HASH_TABLE HashTable,
                                                         PRTL_DYNAMIC_HASH_TABLE_ENUMERATOR Enumerator)
{
    PLIST_ENTRY at = Enumerator->HashEntry.Linkage.Flink, head = Enumerator->ChainHead;
    ULONG index = Enumerator->BucketIndex;

    for (;;) {
        for (; at != head; at = at->Flink) {
            PRTL_DYNAMIC_HASH_TABLE_ENTRY entry =
                CONTAINING_RECORD(at, RTL_DYNAMIC_HASH_TABLE_ENTRY, Linkage);
            if (entry->Signature == RTL_HASH_RESERVED_SIGNATURE)
                continue;
            if (RemoveEntryList(&Enumerator->HashEntry.Linkage)) /* and stands behind it */
                HashTable->NonEmptyBuckets--;
            InsertHeadList(at, &Enumerator->HashEntry.Linkage);
            Enumerator->ChainHead = head;
            Enumerator->BucketIndex = index;
            return entry;
        }
        if (++index >= HashTable->TableSize)
            return NULL;
        head = bucket(HashTable, index);
        at = head->Flink;
    }
}

VOID RtlEndEnumerationHashTable(PRTL_DYNAMIC_HASH_TABLE HashTable,
                                PRTL_DYNAMIC_HASH_TABLE_ENUMERATOR Enumerator)
{
    HashTable->NumEnumerators--;
    if (RemoveEntryList(&Enumerator->HashEntry.Linkage))
        HashTable->NonEmptyBuckets--;
    Enumerator->ChainHead = NULL;
}

/* A weak one may miss entries while the table changes; ours does not. */
BOOLEAN RtlInitWeakEnumerationHashTable(PRTL_DYNAMIC_HASH_TABLE HashTable,
                                        PRTL_DYNAMIC_HASH_TABLE_ENUMERATOR Enumerator)
{
    return RtlInitEnumerationHashTable(HashTable, Enumerator);
}

PRTL_DYNAMIC_HASH_TABLE_ENTRY RtlWeaklyEnumerateEntryHashTable(PRTL_DYNAMIC_HASH_TABLE HashTable,
                                                               PRTL_DYNAMIC_HASH_TABLE_ENUMERATOR Enumerator)
{
    return RtlEnumerateEntryHashTable(HashTable, Enumerator);
}

VOID RtlEndWeakEnumerationHashTable(PRTL_DYNAMIC_HASH_TABLE HashTable,
                                    PRTL_DYNAMIC_HASH_TABLE_ENUMERATOR Enumerator)
{
    RtlEndEnumerationHashTable(HashTable, Enumerator);
}

/* ---- size: not while somebody enumerates ----------------------------------------------------------------
 */
/* Entries of a bucket go where index_of() says now. */
static void spread(PRTL_DYNAMIC_HASH_TABLE table, PLIST_ENTRY head)
{
    LIST_ENTRY all;

    if (IsListEmpty(head))
        return;
    InitializeListHead(&all);
    while (!IsListEmpty(head))
        InsertTailList(&all, RemoveHeadList(head));
    table->NonEmptyBuckets--;
    while (!IsListEmpty(&all)) {
        PRTL_DYNAMIC_HASH_TABLE_ENTRY entry =
            CONTAINING_RECORD(RemoveHeadList(&all), RTL_DYNAMIC_HASH_TABLE_ENTRY, Linkage);
        table->NumEntries--;
        RtlInsertEntryHashTable(table, entry, entry->Signature, NULL);
    }
}

BOOLEAN RtlExpandHashTable(PRTL_DYNAMIC_HASH_TABLE HashTable)
{
    if (HashTable->TableSize >= TABLE_SIZE_MAX || HashTable->NumEnumerators != 0 ||
        !make_bucket(HashTable, HashTable->TableSize))
        return FALSE;
    PLIST_ENTRY split = bucket(HashTable, HashTable->Pivot);
    HashTable->TableSize++;
    if (++HashTable->Pivot > HashTable->DivisorMask) {
        HashTable->DivisorMask = HashTable->DivisorMask << 1 | 1;
        HashTable->Pivot = 0;
    }
    spread(HashTable, split);
    return TRUE;
}

BOOLEAN RtlContractHashTable(PRTL_DYNAMIC_HASH_TABLE HashTable)
{
    if (HashTable->TableSize <= TABLE_SIZE_MIN || HashTable->NumEnumerators != 0)
        return FALSE;
    PLIST_ENTRY last = bucket(HashTable, HashTable->TableSize - 1);
    if (HashTable->Pivot == 0) {
        HashTable->DivisorMask >>= 1;
        HashTable->Pivot = HashTable->DivisorMask + 1;
    }
    HashTable->Pivot--;
    HashTable->TableSize--;
    spread(HashTable, last);
    return TRUE;
}
