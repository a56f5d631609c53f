/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Generic tables in their older form: splay trees, as on Windows: what was asked for last is at the root.
 * Enumeration by splaying is in key order, RtlGetElementGenericTable in the order of insertion (as
 * documented).
 *
 *   node: [RTL_SPLAY_LINKS][LIST_ENTRY: order of insertion][element]
 *
 * The caller's lock guards everything; a look-up writes, as it splays.
 */
#include "nt/internal.h"

struct entry {
    RTL_SPLAY_LINKS links;
    LIST_ENTRY order;
};

static void *element_of(struct entry *e)
{
    return e + 1;
}

static struct entry *entry_of(PRTL_SPLAY_LINKS links)
{
    return CONTAINING_RECORD(links, struct entry, links);
}

/* n goes one step up. */
static void rotate_up(PRTL_SPLAY_LINKS n)
{
    PRTL_SPLAY_LINKS parent = n->Parent, grand = parent->Parent, inner;

    if (parent->LeftChild == n) {
        inner = n->RightChild;
        n->RightChild = parent;
        parent->LeftChild = inner;
    } else {
        inner = n->LeftChild;
        n->LeftChild = parent;
        parent->RightChild = inner;
    }
    if (inner != NULL)
        inner->Parent = parent;
    parent->Parent = n;
    n->Parent = grand;
    if (grand != NULL) {
        if (grand->LeftChild == parent)
            grand->LeftChild = n;
        else
            grand->RightChild = n;
    }
}

static void splay(PRTL_GENERIC_TABLE table, PRTL_SPLAY_LINKS n)
{
    while (n->Parent != NULL) {
        PRTL_SPLAY_LINKS parent = n->Parent, grand = parent->Parent;
        if (grand == NULL)
            rotate_up(n);
        else if ((grand->LeftChild == parent) == (parent->LeftChild == n)) {
            rotate_up(parent);
            rotate_up(n);
        } else {
            rotate_up(n);
            rotate_up(n);
        }
    }
    table->TableRoot = n;
}

/* The node that is equal, or where one would hang; *order says on which side. NULL: empty. */
static PRTL_SPLAY_LINKS find(PRTL_GENERIC_TABLE table, PVOID buffer, RTL_GENERIC_COMPARE_RESULTS *order)
{
    PRTL_SPLAY_LINKS at = table->TableRoot, last = NULL;

    *order = GenericEqual;
    while (at != NULL) {
        last = at;
        *order = table->CompareRoutine(table, buffer, element_of(entry_of(at)));
        if (*order == GenericEqual)
            break;
        at = *order == GenericLessThan ? at->LeftChild : at->RightChild;
    }
    return last;
}

static PRTL_SPLAY_LINKS successor(PRTL_SPLAY_LINKS n)
{
    if (n->RightChild != NULL) {
        for (n = n->RightChild; n->LeftChild != NULL;)
            n = n->LeftChild;
        return n;
    }
    while (n->Parent != NULL && n->Parent->RightChild == n)
        n = n->Parent;
    return n->Parent;
}

VOID RtlInitializeGenericTable(PRTL_GENERIC_TABLE Table, PRTL_GENERIC_COMPARE_ROUTINE CompareRoutine,
                               PRTL_GENERIC_ALLOCATE_ROUTINE AllocateRoutine,
                               PRTL_GENERIC_FREE_ROUTINE FreeRoutine, PVOID TableContext)
{
    memset(Table, 0, sizeof *Table);
    InitializeListHead(&Table->InsertOrderList);
    Table->OrderedPointer = &Table->InsertOrderList;
    Table->CompareRoutine = CompareRoutine;
    Table->AllocateRoutine = AllocateRoutine;
    Table->FreeRoutine = FreeRoutine;
    Table->TableContext = TableContext;
}

PVOID RtlInsertElementGenericTable(PRTL_GENERIC_TABLE Table, PVOID Buffer, CLONG BufferSize,
                                   PBOOLEAN NewElement)
{
    RTL_GENERIC_COMPARE_RESULTS order;
    PRTL_SPLAY_LINKS at = find(Table, Buffer, &order);

    if (NewElement != NULL)
        *NewElement = FALSE;
    if (at != NULL && order == GenericEqual) {
        splay(Table, at);
        return element_of(entry_of(at));
    }
    if (BufferSize > 0xffffffffu - sizeof(struct entry))
        return NULL;
    struct entry *e = Table->AllocateRoutine(Table, (CLONG)(BufferSize + sizeof *e));
    if (e == NULL)
        return NULL;
    memset(e, 0, sizeof *e);
    memcpy(element_of(e), Buffer, BufferSize);
    e->links.Parent = at;
    if (at != NULL && order == GenericLessThan)
        at->LeftChild = &e->links;
    else if (at != NULL)
        at->RightChild = &e->links;
    splay(Table, &e->links);
    InsertTailList(&Table->InsertOrderList, &e->order);
    Table->NumberGenericTableElements++;
    if (NewElement != NULL)
        *NewElement = TRUE;
    return element_of(e);
}

BOOLEAN RtlDeleteElementGenericTable(PRTL_GENERIC_TABLE Table, PVOID Buffer)
{
    RTL_GENERIC_COMPARE_RESULTS order;
    PRTL_SPLAY_LINKS at = find(Table, Buffer, &order);

    if (at == NULL || order != GenericEqual)
        return FALSE;
    splay(Table, at);
    PRTL_SPLAY_LINKS left = at->LeftChild, right = at->RightChild;
    if (left != NULL)
        left->Parent = NULL;
    if (right != NULL)
        right->Parent = NULL;
    Table->TableRoot = left != NULL ? left : right;
    if (left != NULL && right != NULL) {
        while (left->RightChild != NULL)
            left = left->RightChild;
        splay(Table, left);
        left->RightChild = right;
        right->Parent = left;
    }
    struct entry *e = entry_of(at);
    RemoveEntryList(&e->order);
    Table->OrderedPointer = &Table->InsertOrderList;
    Table->WhichOrderedElement = 0;
    Table->NumberGenericTableElements--;
    Table->FreeRoutine(Table, e);
    return TRUE;
}

PVOID RtlLookupElementGenericTable(PRTL_GENERIC_TABLE Table, PVOID Buffer)
{
    RTL_GENERIC_COMPARE_RESULTS order;
    PRTL_SPLAY_LINKS at = find(Table, Buffer, &order);

    if (at == NULL)
        return NULL;
    splay(Table, at);
    return order == GenericEqual ? element_of(entry_of(at)) : NULL;
}

PVOID RtlEnumerateGenericTableWithoutSplaying(PRTL_GENERIC_TABLE Table, PVOID *RestartKey)
{
    PRTL_SPLAY_LINKS at = *RestartKey;

    if (at != NULL) {
        at = successor(at);
    } else {
        for (at = Table->TableRoot; at != NULL && at->LeftChild != NULL;)
            at = at->LeftChild;
    }
    if (at == NULL)
        return NULL;
    *RestartKey = at;
    return element_of(entry_of(at));
}

/* What was returned last is at the root. */
PVOID RtlEnumerateGenericTable(PRTL_GENERIC_TABLE Table, BOOLEAN Restart)
{
    PVOID key = Restart ? NULL : Table->TableRoot;
    PVOID element = RtlEnumerateGenericTableWithoutSplaying(Table, &key);

    if (element != NULL)
        splay(Table, key);
    return element;
}

PVOID RtlGetElementGenericTable(PRTL_GENERIC_TABLE Table, ULONG I)
{
    PLIST_ENTRY at = Table->InsertOrderList.Flink;

    if (I >= Table->NumberGenericTableElements)
        return NULL;
    while (I-- > 0)
        at = at->Flink;
    return element_of(CONTAINING_RECORD(at, struct entry, order));
}

ULONG RtlNumberGenericTableElements(PRTL_GENERIC_TABLE Table)
{
    return Table->NumberGenericTableElements;
}

BOOLEAN RtlIsGenericTableEmpty(PRTL_GENERIC_TABLE Table)
{
    return Table->TableRoot == NULL;
}
