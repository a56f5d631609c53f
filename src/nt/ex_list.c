/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists that several threads change: under a spin lock of the caller's (ExInterlocked...List), and sequenced
 * lists, which need none.
 *
 * A sequenced list's header is its own lock: a word of flags in Region's lowest bits would be Windows'; here
 * the bit BUSY of Alignment is held while a few stores are made. Depth and sequence lie where the
 * documentation shows them (HeaderX64); NextEntry is the first entry's address / 16.
 */
#include "nt/internal.h"
#include "nt/sanitizers.h"

/* The spin lock is held for these few instructions at whatever IRQL the caller has. */
static KIRQL enter(PKSPIN_LOCK lock)
{
    struct rt_carried *carried = rt_carried();
    KIRQL was = carried->irql;

    if (was < DISPATCH_LEVEL)
        carried->irql = DISPATCH_LEVEL;
    KeAcquireSpinLockAtDpcLevel(lock);
    return was;
}

static void leave(PKSPIN_LOCK lock, KIRQL was)
{
    KeReleaseSpinLockFromDpcLevel(lock);
    rt_carried()->irql = was;
}

/* NULL: the list was empty; else the entry that was first (last). */
PLIST_ENTRY ExInterlockedInsertHeadList(PLIST_ENTRY ListHead, PLIST_ENTRY ListEntry, PKSPIN_LOCK Lock)
{
    KIRQL was = enter(Lock);
    PLIST_ENTRY first = IsListEmpty(ListHead) ? NULL : ListHead->Flink;

    InsertHeadList(ListHead, ListEntry);
    leave(Lock, was);
    return first;
}

PLIST_ENTRY ExInterlockedInsertTailList(PLIST_ENTRY ListHead, PLIST_ENTRY ListEntry, PKSPIN_LOCK Lock)
{
    KIRQL was = enter(Lock);
    PLIST_ENTRY last = IsListEmpty(ListHead) ? NULL : ListHead->Blink;

    InsertTailList(ListHead, ListEntry);
    leave(Lock, was);
    return last;
}

PLIST_ENTRY ExInterlockedRemoveHeadList(PLIST_ENTRY ListHead, PKSPIN_LOCK Lock)
{
    KIRQL was = enter(Lock);
    PLIST_ENTRY first = IsListEmpty(ListHead) ? NULL : RemoveHeadList(ListHead);

    leave(Lock, was);
    return first;
}

PSINGLE_LIST_ENTRY ExInterlockedPopEntryList(PSINGLE_LIST_ENTRY ListHead, PKSPIN_LOCK Lock)
{
    KIRQL was = enter(Lock);
    PSINGLE_LIST_ENTRY first = PopEntryList(ListHead);

    leave(Lock, was);
    return first;
}

PSINGLE_LIST_ENTRY ExInterlockedPushEntryList(PSINGLE_LIST_ENTRY ListHead, PSINGLE_LIST_ENTRY ListEntry,
                                              PKSPIN_LOCK Lock)
{
    KIRQL was = enter(Lock);
    PSINGLE_LIST_ENTRY first = ListHead->Next;

    PushEntryList(ListHead, ListEntry);
    leave(Lock, was);
    return first;
}

/* What it was before. */
LARGE_INTEGER ExInterlockedAddLargeInteger(PLARGE_INTEGER Addend, LARGE_INTEGER Increment, PKSPIN_LOCK Lock)
{
    KIRQL was = enter(Lock);
    LARGE_INTEGER before = *Addend;

    Addend->QuadPart = (LONGLONG)((ULONGLONG)Addend->QuadPart + (ULONGLONG)Increment.QuadPart);
    leave(Lock, was);
    return before;
}

ULONG ExInterlockedAddUlong(PULONG Addend, ULONG Increment, PKSPIN_LOCK Lock)
{
    KIRQL was = enter(Lock);
    ULONG before = *Addend;

    *Addend += Increment;
    leave(Lock, was);
    return before;
}

VOID ExInterlockedAddLargeStatistic(PLARGE_INTEGER Addend, ULONG Increment)
{
    rt_point();
    __atomic_add_fetch(&Addend->QuadPart, (LONGLONG)Increment, __ATOMIC_SEQ_CST);
}

/* ---- sequenced lists ------------------------------------------------------------------------------------
 */
#define BUSY ((ULONGLONG)1 << 63) /* of Alignment: the highest bit of the sequence */

static void slist_enter(PSLIST_HEADER h)
{
    rt_point();
    while ((__atomic_fetch_or(&h->Alignment, BUSY, __ATOMIC_ACQUIRE) & BUSY) != 0)
        rt_yield();
    nt_tsan_acquire(h);
}

/* Depth and sequence as they shall be. */
static void slist_leave(PSLIST_HEADER h, USHORT depth)
{
    ULONGLONG sequence = (__atomic_load_n(&h->Alignment, __ATOMIC_RELAXED) & ~BUSY) >> 16;

    nt_tsan_release(h);
    __atomic_store_n(&h->Alignment, (((sequence + 1) << 16) & ~BUSY) | depth, __ATOMIC_RELEASE);
}

static PSLIST_ENTRY first_of(const SLIST_HEADER *h)
{
    return (PSLIST_ENTRY)(uintptr_t)(h->Region & ~(ULONGLONG)15);
}

static USHORT depth_of(const SLIST_HEADER *h)
{
    return (USHORT)(__atomic_load_n(&h->Alignment, __ATOMIC_RELAXED) & 0xffff);
}

/* Others look at it without entering (FirstEntrySList). */
static void first_set(PSLIST_HEADER h, PSLIST_ENTRY entry)
{
    __atomic_store_n(&h->Region, (ULONGLONG)(uintptr_t)entry, __ATOMIC_RELEASE);
}

VOID InitializeSListHead(PSLIST_HEADER SListHead)
{
    SListHead->Alignment = 0;
    SListHead->Region = 0;
}

VOID ExInitializeSListHead(PSLIST_HEADER SListHead)
{
    InitializeSListHead(SListHead);
}

PSLIST_ENTRY ExpInterlockedPopEntrySList(PSLIST_HEADER ListHead)
{
    PSLIST_ENTRY first;

    NT_IRQL_MAX(DISPATCH_LEVEL);
    slist_enter(ListHead);
    first = first_of(ListHead);
    if (first != NULL)
        first_set(ListHead, first->Next);
    slist_leave(ListHead, (USHORT)(depth_of(ListHead) - (first != NULL)));
    return first;
}

/* What was first before; NULL: the list was empty. */
PSLIST_ENTRY ExpInterlockedPushEntrySList(PSLIST_HEADER ListHead, PSLIST_ENTRY ListEntry)
{
    PSLIST_ENTRY first;

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (((uintptr_t)ListEntry & (MEMORY_ALLOCATION_ALIGNMENT - 1)) != 0)
        nt_note(NT_SITE, "InterlockedPushEntrySList: the entry is not aligned to 16 bytes");
    slist_enter(ListHead);
    first = first_of(ListHead);
    ListEntry->Next = first;
    first_set(ListHead, ListEntry);
    slist_leave(ListHead, (USHORT)(depth_of(ListHead) + 1));
    return first;
}

PSLIST_ENTRY ExpInterlockedFlushSList(PSLIST_HEADER ListHead)
{
    PSLIST_ENTRY first;

    NT_IRQL_MAX(DISPATCH_LEVEL);
    slist_enter(ListHead);
    first = first_of(ListHead);
    first_set(ListHead, NULL);
    slist_leave(ListHead, 0);
    return first;
}

USHORT ExQueryDepthSList(PSLIST_HEADER SListHead)
{
    rt_point();
    return (USHORT)(__atomic_load_n(&SListHead->Alignment, __ATOMIC_RELAXED) & 0xffff);
}

PSLIST_ENTRY FirstEntrySList(const SLIST_HEADER *SListHead)
{
    return (PSLIST_ENTRY)(uintptr_t)(__atomic_load_n(&SListHead->Region, __ATOMIC_ACQUIRE) & ~(ULONGLONG)15);
}
