/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lookaside lists. On Windows they keep freed entries for the next who asks. Here every entry comes from the
 * pool (or the driver's routine) and goes back to it, so that an entry that is used after it was freed is
 * seen by a sanitizer, and one that was not given back is seen at unload, with the place that took it. The C
 * library's allocator keeps small blocks by thread and does what the list would have done.
 *
 * Each list and each of its entries is in the ledger. The counts that debuggers show are kept.
 */
#include "nt/fault.h"
#include "nt/internal.h"

#define KNOWN_FLAGS (EX_LOOKASIDE_LIST_EX_FLAGS_RAISE_ON_FAIL | EX_LOOKASIDE_LIST_EX_FLAGS_FAIL_NO_RAISE)

/* GENERAL_LOOKASIDE and GENERAL_LOOKASIDE_POOL have the same members in the same places. */
typedef GENERAL_LOOKASIDE_POOL list;
_Static_assert(offsetof(GENERAL_LOOKASIDE, Future) == offsetof(GENERAL_LOOKASIDE_POOL, Future), "one layout");

/* Which of the two kinds of routines it has; in Future[0], that nobody else uses. */
enum { PLAIN = 1, EX };

static void init(list *l, unsigned kind, POOL_TYPE type, ULONG flags, size_t size, ULONG tag,
                 const char *name, const void *site)
{
    *l = (list){.MaximumDepth = 256, .Depth = 4, .Type = type, .Tag = tag, .Size = (ULONG)size};
    if ((flags & EX_LOOKASIDE_LIST_EX_FLAGS_RAISE_ON_FAIL) != 0)
        l->Type = (POOL_TYPE)((unsigned)type | POOL_RAISE_IF_ALLOCATION_FAILURE);
    if ((flags & EX_LOOKASIDE_LIST_EX_FLAGS_FAIL_NO_RAISE) != 0)
        l->Type = (POOL_TYPE)((unsigned)type | POOL_QUOTA_FAIL_INSTEAD_OF_RAISE);
    l->Future[0] = kind;
    ledger_open(LEDGER_LOOKASIDE, (uintptr_t)l, size, name, site);
}

static bool initialised(const list *l, const char *function, const void *site)
{
    if (l->Future[0] == PLAIN || l->Future[0] == EX)
        return true;
    nt_bug(BAD_POOL_CALLER, NULL, site, "%s: the lookaside list is not initialised", function);
    return false;
}

static void *entry_get(list *l, const char *function, const void *site)
{
    void *entry;

    if (!initialised(l, function, site))
        return NULL;
    rt_point();
    __atomic_add_fetch(&l->TotalAllocates, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&l->AllocateMisses, 1, __ATOMIC_RELAXED);
    if (l->Future[0] == EX && l->AllocateEx != NULL)
        return l->AllocateEx(l->Type, l->Size, l->Tag, (PLOOKASIDE_LIST_EX)l);
    if (l->Future[0] == PLAIN && l->Allocate != NULL)
        return l->Allocate(l->Type, l->Size, l->Tag);
    entry = nt_pool_by_type(l->Type, l->Size, l->Tag, function, site);
    return entry;
}

static void entry_put(list *l, void *entry, const char *function, const void *site)
{
    if (!initialised(l, function, site))
        return;
    rt_point();
    __atomic_add_fetch(&l->TotalFrees, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&l->FreeMisses, 1, __ATOMIC_RELAXED);
    if (l->Future[0] == EX && l->FreeEx != NULL)
        l->FreeEx(entry, (PLOOKASIDE_LIST_EX)l);
    else if (l->Future[0] == PLAIN && l->Free != NULL)
        l->Free(entry);
    else
        nt_pool_free_tagged(entry, l->Tag, function, site);
}

static void list_delete(list *l, const char *function, const void *site)
{
    if (!initialised(l, function, site))
        return;
    ledger_close(LEDGER_LOOKASIDE, (uintptr_t)l, site);
    l->Future[0] = 0;
}

NTSTATUS ExInitializeLookasideListEx(PLOOKASIDE_LIST_EX Lookaside, PALLOCATE_FUNCTION_EX Allocate,
                                     PFREE_FUNCTION_EX Free, POOL_TYPE PoolType, ULONG Flags, SIZE_T Size,
                                     ULONG Tag, USHORT Depth)
{
    NT_FAIL_STATUS(ExInitializeLookasideListEx);
    (void)Depth;
    NT_IRQL_MAX(DISPATCH_LEVEL);
    if ((unsigned)PoolType >= MaxPoolType && PoolType != NonPagedPoolNx &&
        PoolType != NonPagedPoolNxCacheAligned)
        return STATUS_INVALID_PARAMETER_4;
    if ((Flags & ~(ULONG)KNOWN_FLAGS) != 0 || Flags == KNOWN_FLAGS)
        return STATUS_INVALID_PARAMETER_5;
    init(&Lookaside->L, EX, PoolType, Flags, Size, Tag, "LOOKASIDE_LIST_EX", NT_SITE);
    Lookaside->L.AllocateEx = Allocate;
    Lookaside->L.FreeEx = Free;
    return STATUS_SUCCESS;
}

VOID ExDeleteLookasideListEx(PLOOKASIDE_LIST_EX Lookaside)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    list_delete(&Lookaside->L, __func__, NT_SITE);
}

VOID ExFlushLookasideListEx(PLOOKASIDE_LIST_EX Lookaside)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    initialised(&Lookaside->L, __func__, NT_SITE);
}

PVOID ExAllocateFromLookasideListEx(PLOOKASIDE_LIST_EX Lookaside)
{
    NT_FAIL_NULL(ExAllocateFromLookasideListEx);
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return entry_get(&Lookaside->L, __func__, NT_SITE);
}

VOID ExFreeToLookasideListEx(PLOOKASIDE_LIST_EX Lookaside, PVOID Entry)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    entry_put(&Lookaside->L, Entry, __func__, NT_SITE);
}

/* ---- the older two: lists of nonpaged and of paged entries --------------------------------------------- */
VOID ExInitializeNPagedLookasideList(PNPAGED_LOOKASIDE_LIST Lookaside, PALLOCATE_FUNCTION Allocate,
                                     PFREE_FUNCTION Free, ULONG Flags, SIZE_T Size, ULONG Tag, USHORT Depth)
{
    (void)Depth;
    NT_IRQL_MAX(DISPATCH_LEVEL);
    init((list *)&Lookaside->L, PLAIN, NonPagedPool, 0, Size, Tag, "NPAGED_LOOKASIDE_LIST", NT_SITE);
    if ((Flags & POOL_RAISE_IF_ALLOCATION_FAILURE) != 0)
        Lookaside->L.Type = (POOL_TYPE)((unsigned)NonPagedPool | POOL_RAISE_IF_ALLOCATION_FAILURE);
    Lookaside->L.Allocate = Allocate;
    Lookaside->L.Free = Free;
}

VOID ExDeleteNPagedLookasideList(PNPAGED_LOOKASIDE_LIST Lookaside)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    list_delete((list *)&Lookaside->L, __func__, NT_SITE);
}

PVOID ExAllocateFromNPagedLookasideList(PNPAGED_LOOKASIDE_LIST Lookaside)
{
    NT_FAIL_NULL(ExAllocateFromNPagedLookasideList);
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return entry_get((list *)&Lookaside->L, __func__, NT_SITE);
}

VOID ExFreeToNPagedLookasideList(PNPAGED_LOOKASIDE_LIST Lookaside, PVOID Entry)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    entry_put((list *)&Lookaside->L, Entry, __func__, NT_SITE);
}

VOID ExInitializePagedLookasideList(PPAGED_LOOKASIDE_LIST Lookaside, PALLOCATE_FUNCTION Allocate,
                                    PFREE_FUNCTION Free, ULONG Flags, SIZE_T Size, ULONG Tag, USHORT Depth)
{
    (void)Depth;
    NT_IRQL_MAX(APC_LEVEL);
    init((list *)&Lookaside->L, PLAIN, PagedPool, 0, Size, Tag, "PAGED_LOOKASIDE_LIST", NT_SITE);
    if ((Flags & POOL_RAISE_IF_ALLOCATION_FAILURE) != 0)
        Lookaside->L.Type = (POOL_TYPE)((unsigned)PagedPool | POOL_RAISE_IF_ALLOCATION_FAILURE);
    Lookaside->L.Allocate = Allocate;
    Lookaside->L.Free = Free;
}

VOID ExDeletePagedLookasideList(PPAGED_LOOKASIDE_LIST Lookaside)
{
    NT_IRQL_MAX(APC_LEVEL);
    list_delete((list *)&Lookaside->L, __func__, NT_SITE);
}

PVOID ExAllocateFromPagedLookasideList(PPAGED_LOOKASIDE_LIST Lookaside)
{
    NT_FAIL_NULL(ExAllocateFromPagedLookasideList);
    NT_IRQL_MAX(APC_LEVEL);
    return entry_get((list *)&Lookaside->L, __func__, NT_SITE);
}

VOID ExFreeToPagedLookasideList(PPAGED_LOOKASIDE_LIST Lookaside, PVOID Entry)
{
    NT_IRQL_MAX(APC_LEVEL);
    entry_put((list *)&Lookaside->L, Entry, __func__, NT_SITE);
}
