/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel queues: entries that threads take out, first in, first out. SignalState is the number of entries; an
 * entry that is put in while a thread waits goes to that thread (ke_wait.c).
 *
 * How many threads may be at work at once (MaximumCount) is written down and not held to: every thread that
 * asks gets an entry.
 */
#include "nt/internal.h"

VOID KeInitializeQueue(PRKQUEUE Queue, ULONG Count)
{
    struct nt *k = nt_current();

    nt_header_init(&Queue->Header, NT_QUEUE, 0);
    InitializeListHead(&Queue->EntryListHead);
    InitializeListHead(&Queue->ThreadListHead);
    Queue->CurrentCount = 0;
    Queue->MaximumCount = Count != 0 ? Count : k == NULL ? 1 : k->processors;
}

static LONG insert(PRKQUEUE queue, PLIST_ENTRY entry, bool head)
{
    struct nt *k = nt_current();
    LONG was;

    rt_point();
    if (k != NULL)
        rt_mutex_lock(k->dispatch);
    was = queue->Header.SignalState;
    if (head)
        InsertHeadList(&queue->EntryListHead, entry);
    else
        InsertTailList(&queue->EntryListHead, entry);
    __atomic_store_n(&queue->Header.SignalState, was + 1, __ATOMIC_RELAXED);
    if (k != NULL) {
        nt_header_signalled(k, &queue->Header);
        rt_mutex_unlock(k->dispatch);
    }
    return was;
}

LONG KeInsertQueue(PRKQUEUE Queue, PLIST_ENTRY Entry)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return insert(Queue, Entry, false);
}

LONG KeInsertHeadQueue(PRKQUEUE Queue, PLIST_ENTRY Entry)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return insert(Queue, Entry, true);
}

PLIST_ENTRY KeRemoveQueue(PRKQUEUE Queue, KPROCESSOR_MODE WaitMode, PLARGE_INTEGER Timeout)
{
    struct nt *k = nt_current();
    LIST_ENTRY *entry;
    NTSTATUS status;

    (void)WaitMode;
    NT_IRQL_MAX(Timeout != NULL && Timeout->QuadPart == 0 ? DISPATCH_LEVEL : APC_LEVEL);
    rt_point();
    if (k == NULL)
        return (PLIST_ENTRY)(ULONG_PTR)STATUS_ABANDONED;
    status = nt_wait_queue(k, Queue, nt_deadline(k, Timeout), &entry);
    return status == STATUS_SUCCESS ? entry : (PLIST_ENTRY)(ULONG_PTR)(ULONG)status;
}

/* The entries that are left, as a list without a head; NULL: none. */
PLIST_ENTRY KeRundownQueue(PRKQUEUE Queue)
{
    struct nt *k = nt_current();
    LIST_ENTRY *first = NULL;

    NT_IRQL_MAX(DISPATCH_LEVEL);
    rt_point();
    if (k != NULL) {
        rt_mutex_lock(k->dispatch);
        nt_waits_abandon(k, &Queue->Header);
    }
    if (!IsListEmpty(&Queue->EntryListHead)) {
        first = Queue->EntryListHead.Flink;
        RemoveEntryList(&Queue->EntryListHead);
        InitializeListHead(&Queue->EntryListHead);
    }
    __atomic_store_n(&Queue->Header.SignalState, 0, __ATOMIC_RELAXED);
    if (k != NULL)
        rt_mutex_unlock(k->dispatch);
    return first;
}

LONG KeReadStateQueue(PRKQUEUE Queue)
{
    rt_point();
    return __atomic_load_n(&Queue->Header.SignalState, __ATOMIC_RELAXED);
}
