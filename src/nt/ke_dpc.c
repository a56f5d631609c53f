/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deferred procedure calls. Each processor of the kernel has a queue and a thread that runs it at
 * DISPATCH_LEVEL; threaded DPCs have one of their own, at PASSIVE_LEVEL. A thread starts with the first DPC
 * of its queue.
 *
 *   idle --KeInsertQueueDpc, timer--> queued (DpcData != NULL) --the thread--> its routine runs, idle again
 *           KeRemoveQueueDpc  <-------'
 *
 * A KDPC is the driver's memory and may be queued again or freed by its own routine: nothing of it is touched
 * after the call begins. What Weir needs beside the documented members is in ProcessorHistory: the context
 * that it was queued in, which its routine runs in. All under k->dispatch.
 *
 * KeGetCurrentProcessorNumber() is a number that a thread keeps. Two threads may have the same one while both
 * are at DISPATCH_LEVEL, which no processor would allow, if a kernel has fewer processors than threads.
 */
#include <errno.h>

#include "nt/fault.h"
#include "nt/internal.h"

enum { DPC_NORMAL = 0x61, DPC_THREADED }; /* KDPC.Type */

int nt_dpc_create(struct nt *k)
{
    if (rt_cond_create(k->clock, &k->dpcs_done) != 0)
        return -ENOMEM;
    for (unsigned i = 0; i <= NT_PROCESSORS_MAX; i++) {
        k->dpcs[i].k = k;
        k->dpcs[i].number = (uint16_t)i;
    }
    return 0;
}

void nt_dpc_stop(struct nt *k)
{
    rt_mutex_lock(k->dispatch);
    k->stopping = true;
    for (unsigned i = 0; i <= NT_PROCESSORS_MAX; i++) {
        if (k->dpcs[i].changed != NULL)
            rt_cond_broadcast(k->dpcs[i].changed);
    }
    rt_mutex_unlock(k->dispatch);
}

void nt_dpc_destroy(struct nt *k)
{
    for (unsigned i = 0; i <= NT_PROCESSORS_MAX; i++)
        rt_cond_destroy(k->dpcs[i].changed);
    rt_cond_destroy(k->dpcs_done);
}

static struct rt_context *context_of(const KDPC *dpc)
{
    return (struct rt_context *)dpc->ProcessorHistory;
}

static void run(struct nt_dpc_queue *q, KDPC *dpc)
{
    struct rt_context *context = context_of(dpc);
    struct nt_driver *d = context == NULL ? NULL : context->driver;
    PKDEFERRED_ROUTINE routine = dpc->DeferredRoutine;
    PVOID deferred = dpc->DeferredContext, one = dpc->SystemArgument1, two = dpc->SystemArgument2;
    struct nt_entered was;
    struct nt_begun begun;

    q->first = (KDPC *)dpc->DpcListEntry.Next;
    if (q->first == NULL)
        q->last = NULL;
    dpc->DpcData = NULL;
    atomic_fetch_sub_explicit(&q->k->armed, 1, memory_order_relaxed);
    if (d != NULL && d->party != NULL)
        ledger_close_for(d->party, LEDGER_DPC, (uintptr_t)dpc);
    rt_mutex_unlock(q->k->dispatch);
    rt_waits_for(NULL);
    was = nt_enter(context, rt_carried()->irql);
    begun = nt_begins("dpc", (const void *)(uintptr_t)routine);
    routine(dpc, deferred, one, two);
    nt_ended(begun);
    nt_leave(was, "a DPC's routine");
    rt_mutex_lock(q->k->dispatch);
    nt_driver_ended_locked(d);
}

static void serve(void *arg)
{
    struct nt_dpc_queue *q = arg;
    struct rt_carried *carried = rt_carried();
    struct nt_thread *me = nt_thread_current(q->k);

    carried->irql = q->number == NT_PROCESSORS_MAX ? PASSIVE_LEVEL : DISPATCH_LEVEL;
    carried->in_dpc |= NT_IN_DPC;
    if (me != NULL && q->number != NT_PROCESSORS_MAX)
        me->processor = q->number;
    rt_mutex_lock(q->k->dispatch);
    for (;;) {
        if (q->first != NULL)
            run(q, q->first);
        else if (q->k->stopping)
            break;
        else {
            rt_waits_for("a DPC to run");
            rt_cond_wait(q->changed, q->k->dispatch, RT_FOREVER);
        }
    }
    rt_mutex_unlock(q->k->dispatch);
}

/* The queue has its thread afterwards, or false. Not under k->dispatch. */
static bool queue_start(struct nt_dpc_queue *q)
{
    bool start;

    rt_mutex_lock(q->k->dispatch);
    start = !q->started;
    if (start && rt_cond_create(q->k->clock, &q->changed) == 0)
        q->started = true;
    rt_mutex_unlock(q->k->dispatch);
    if (!start || !q->started)
        return q->started;
    return nt_thread_start(q->k, q->number == NT_PROCESSORS_MAX ? "threaded dpc" : "dpc", serve, q) == 0;
}

static struct nt_dpc_queue *queue_of(struct nt *k, const KDPC *dpc, uint16_t processor)
{
    if (dpc->Type == DPC_THREADED)
        return &k->dpcs[NT_PROCESSORS_MAX];
    if (dpc->Number != 0)
        return &k->dpcs[(dpc->Number - 1u) % k->processors];
    return &k->dpcs[processor % k->processors];
}

uint16_t nt_processor(struct nt *k)
{
    struct nt_thread *me = nt_thread_current(k);

    return me == NULL ? 0 : me->processor;
}

bool nt_dpc_prepare(struct nt *k, const KDPC *dpc, uint16_t processor)
{
    return queue_start(queue_of(k, dpc, processor));
}

bool nt_dpc_queue(struct nt *k, KDPC *dpc, uint16_t processor, struct rt_context *context, PVOID one,
                  PVOID two, const void *site)
{
    struct nt_dpc_queue *q = queue_of(k, dpc, processor);
    struct nt_driver *d = context == NULL ? NULL : context->driver;

    if (dpc->DpcData != NULL || !q->started)
        return false;
    dpc->DpcData = q;
    dpc->SystemArgument1 = one;
    dpc->SystemArgument2 = two;
    dpc->ProcessorHistory = (KAFFINITY)(uintptr_t)context;
    dpc->DpcListEntry.Next = NULL;
    if (q->first == NULL) {
        q->first = q->last = dpc;
    } else if (dpc->Importance == HighImportance) {
        dpc->DpcListEntry.Next = (PSINGLE_LIST_ENTRY)q->first;
        q->first = dpc;
    } else {
        q->last->DpcListEntry.Next = (PSINGLE_LIST_ENTRY)dpc;
        q->last = dpc;
    }
    atomic_fetch_add_explicit(&k->armed, 1, memory_order_relaxed);
    if (d != NULL) {
        d->running++;
        if (d->party != NULL)
            ledger_open_for(d->party, LEDGER_DPC, (uintptr_t)dpc, 0, NULL, site);
    }
    rt_cond_broadcast(q->changed);
    return true;
}

static void init(KDPC *dpc, unsigned type, PKDEFERRED_ROUTINE routine, PVOID context)
{
    *dpc = (KDPC){.DeferredRoutine = routine, .DeferredContext = context};
    dpc->Type = (UCHAR)type;
    dpc->Importance = MediumImportance;
}

VOID KeInitializeDpc(PRKDPC Dpc, PKDEFERRED_ROUTINE DeferredRoutine, PVOID DeferredContext)
{
    init(Dpc, DPC_NORMAL, DeferredRoutine, DeferredContext);
}

VOID KeInitializeThreadedDpc(PRKDPC Dpc, PKDEFERRED_ROUTINE DeferredRoutine, PVOID DeferredContext)
{
    init(Dpc, DPC_THREADED, DeferredRoutine, DeferredContext);
}

static bool initialised(const KDPC *dpc, const char *function, const void *site)
{
    if ((dpc->Type == DPC_NORMAL || dpc->Type == DPC_THREADED) && dpc->DeferredRoutine != NULL)
        return true;
    nt_bug(IRQL_NOT_LESS_OR_EQUAL, NULL, site, "%s: the DPC was never initialised", function);
    return false;
}

BOOLEAN KeInsertQueueDpc(PRKDPC Dpc, PVOID SystemArgument1, PVOID SystemArgument2)
{
    struct nt *k = nt_current();
    uint16_t processor;
    bool queued;

    if (k == NULL || !initialised(Dpc, __func__, NT_SITE))
        return FALSE;
    processor = nt_processor(k);
    if (!nt_dpc_prepare(k, Dpc, processor))
        return FALSE;
    rt_mutex_lock(k->dispatch);
    queued = nt_dpc_queue(k, Dpc, processor, rt_current(), SystemArgument1, SystemArgument2, NT_SITE);
    rt_mutex_unlock(k->dispatch);
    rt_point();
    return queued;
}

/* Out of its queue; under k->dispatch. False: it is in none. */
static bool unlink_dpc(KDPC *dpc)
{
    struct nt_dpc_queue *q = dpc->DpcData;
    KDPC *before = NULL;

    if (q == NULL)
        return false;
    for (KDPC *at = q->first; at != NULL; before = at, at = (KDPC *)at->DpcListEntry.Next) {
        struct rt_context *context = context_of(at);
        struct nt_driver *d = context == NULL ? NULL : context->driver;
        SINGLE_LIST_ENTRY *next = at->DpcListEntry.Next;

        if (at != dpc)
            continue;
        if (before == NULL)
            q->first = (KDPC *)next;
        else
            before->DpcListEntry.Next = next;
        if (q->last == dpc)
            q->last = before;
        dpc->DpcData = NULL;
        atomic_fetch_sub_explicit(&q->k->armed, 1, memory_order_relaxed);
        if (d != NULL && d->party != NULL)
            ledger_close_for(d->party, LEDGER_DPC, (uintptr_t)dpc);
        nt_driver_ended_locked(d);
        return true;
    }
    return false;
}

BOOLEAN KeRemoveQueueDpc(PRKDPC Dpc)
{
    struct nt *k = nt_current();
    bool removed;

    rt_point();
    if (k == NULL || !initialised(Dpc, __func__, NT_SITE))
        return FALSE;
    rt_mutex_lock(k->dispatch);
    removed = unlink_dpc(Dpc);
    rt_mutex_unlock(k->dispatch);
    return removed;
}

void nt_dpcs_forget(struct nt_driver *d)
{
    struct nt *k = d->k;

    rt_mutex_lock(k->dispatch);
    for (unsigned i = 0; i <= NT_PROCESSORS_MAX; i++) {
        for (KDPC *at = k->dpcs[i].first, *next; at != NULL; at = next) {
            next = (KDPC *)at->DpcListEntry.Next;
            if (context_of(at) == d->context)
                unlink_dpc(at);
        }
    }
    rt_mutex_unlock(k->dispatch);
}

const char *nt_dpcs_in(struct nt *k, const void *from, size_t size)
{
    const char *found = NULL;

    rt_mutex_lock(k->dispatch);
    for (unsigned i = 0; i <= NT_PROCESSORS_MAX; i++) {
        for (KDPC *at = k->dpcs[i].first, *next; at != NULL; at = next) {
            next = (KDPC *)at->DpcListEntry.Next;
            if ((uintptr_t)at - (uintptr_t)from < size && unlink_dpc(at))
                found = "a DPC that is queued";
        }
    }
    rt_mutex_unlock(k->dispatch);
    return found;
}

/* ---- flushing: a DPC of ours behind all others of each queue ------------------------------------------- */
static VOID flushed(PKDPC dpc, PVOID event, PVOID kernel, PVOID unused)
{
    (void)dpc;
    (void)unused;
    nt_event_set(kernel, event);
}

VOID KeFlushQueuedDpcs(VOID)
{
    struct nt *k = nt_current();

    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (k == NULL)
        return;
    if ((rt_carried()->in_dpc & NT_IN_DPC) != 0) {
        nt_note(NT_SITE, "KeFlushQueuedDpcs is called by a DPC, which would wait for itself");
        return;
    }
    for (unsigned i = 0; i <= NT_PROCESSORS_MAX; i++) {
        struct nt_dpc_queue *q = &k->dpcs[i];
        bool queued = false;
        KEVENT event;
        KDPC dpc;

        KeInitializeEvent(&event, NotificationEvent, FALSE);
        init(&dpc, i == NT_PROCESSORS_MAX ? DPC_THREADED : DPC_NORMAL, flushed, &event);
        dpc.Number = (USHORT)(i + 1);
        rt_mutex_lock(k->dispatch);
        if (q->started)
            queued = nt_dpc_queue(k, &dpc, 0, NULL, k, NULL, NULL);
        rt_mutex_unlock(k->dispatch);
        if (queued)
            nt_wait_one(k, &event.Header, RT_FOREVER, "DPCs to run out");
    }
}

VOID KeSetImportanceDpc(PRKDPC Dpc, KDPC_IMPORTANCE Importance)
{
    Dpc->Importance = (UCHAR)Importance;
}

VOID KeSetTargetProcessorDpc(PRKDPC Dpc, CCHAR Number)
{
    Dpc->Number = (USHORT)((UCHAR)Number + 1);
}

NTSTATUS KeSetTargetProcessorDpcEx(PKDPC Dpc, PPROCESSOR_NUMBER ProcNumber)
{
    struct nt *k = nt_current();

    if (ProcNumber->Group != 0 || ProcNumber->Reserved != 0 ||
        (k != NULL && ProcNumber->Number >= k->processors))
        return STATUS_INVALID_PARAMETER;
    Dpc->Number = (USHORT)(ProcNumber->Number + 1);
    return STATUS_SUCCESS;
}
