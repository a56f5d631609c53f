/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work items and the system's worker threads.
 *
 *   ExInitializeWorkItem --> idle (List.Flink NULL) --ExQueueWorkItem--> queued --a worker--> its routine
 * runs
 *
 * While it is queued an item's List is the kernel's: Flink the next item (the item itself: the last), Blink
 * the context that its routine runs in. From the call of its routine on nothing of it is touched.
 *
 * Workers start when there is work and none is idle, up to the configured number; and beyond it when all of
 * them sleep in waits of a driver's (what they wait for may itself be work), up to WORKERS_MAX. Critical work
 * goes before delayed work; within each, first come, first served. All under k->dispatch.
 */
#include <errno.h>

#include "nt/fault.h"
#include "nt/internal.h"

#define WORKERS_MAX 64
enum { CRITICAL, DELAYED };

int nt_work_create(struct nt *k)
{
    return rt_cond_create(k->clock, &k->work_changed) == 0 ? 0 : -ENOMEM;
}

void nt_work_stop(struct nt *k)
{
    rt_mutex_lock(k->dispatch);
    k->stopping = true;
    if (k->work_changed != NULL)
        rt_cond_broadcast(k->work_changed);
    rt_mutex_unlock(k->dispatch);
}

void nt_work_destroy(struct nt *k)
{
    rt_cond_destroy(k->work_changed);
}

static struct rt_context *context_of(const WORK_QUEUE_ITEM *item)
{
    return (struct rt_context *)item->List.Blink;
}

static WORK_QUEUE_ITEM *next_of(const WORK_QUEUE_ITEM *item)
{
    WORK_QUEUE_ITEM *next = CONTAINING_RECORD(item->List.Flink, WORK_QUEUE_ITEM, List);

    return next == item ? NULL : next;
}

static void append(struct nt_work_queue *q, WORK_QUEUE_ITEM *item)
{
    item->List.Flink = &item->List;
    if (q->last == NULL)
        q->first = item;
    else
        q->last->List.Flink = &item->List;
    q->last = item;
}

static WORK_QUEUE_ITEM *take(struct nt *k)
{
    struct nt_work_queue *q = &k->work[k->work[CRITICAL].first != NULL ? CRITICAL : DELAYED];
    WORK_QUEUE_ITEM *item = q->first;

    if (item == NULL)
        return NULL;
    q->first = next_of(item);
    if (q->first == NULL)
        q->last = NULL;
    return item;
}

static void run(struct nt *k, WORK_QUEUE_ITEM *item)
{
    struct rt_context *context = context_of(item);
    struct nt_driver *d = context == NULL ? NULL : context->driver;
    PWORKER_THREAD_ROUTINE routine = item->WorkerRoutine;
    PVOID parameter = item->Parameter;
    struct nt_entered was;
    struct nt_begun begun;

    item->List.Flink = item->List.Blink = NULL;
    atomic_fetch_sub_explicit(&k->armed, 1, memory_order_relaxed);
    if (d != NULL && d->party != NULL)
        ledger_close_for(d->party, LEDGER_QUEUED, (uintptr_t)item);
    rt_mutex_unlock(k->dispatch);
    rt_waits_for(NULL);
    was = nt_enter(context, PASSIVE_LEVEL);
    begun = nt_begins("work item", (const void *)(uintptr_t)routine);
    routine(parameter);
    nt_ended(begun);
    nt_leave(was, "a work item's routine");
    rt_mutex_lock(k->dispatch);
    nt_driver_ended_locked(d);
}

static void serve(void *arg)
{
    WORK_QUEUE_ITEM *item;
    struct nt *k = arg;

    rt_carried()->in_dpc |= NT_IN_WORKER;
    rt_mutex_lock(k->dispatch);
    for (;;) {
        item = take(k);
        if (item != NULL) {
            run(k, item);
        } else if (k->stopping) {
            break;
        } else {
            k->workers_idle++;
            rt_waits_for("work");
            rt_cond_wait(k->work_changed, k->dispatch, RT_FOREVER);
            k->workers_idle--;
        }
    }
    k->workers--;
    rt_mutex_unlock(k->dispatch);
}

/* Under k->dispatch: shall another worker be started? */
static bool need_worker(const struct nt *k)
{
    if (k->workers_idle != 0 || (k->work[CRITICAL].first == NULL && k->work[DELAYED].first == NULL))
        return false;
    if (k->workers < k->config.worker_threads)
        return true;
    return k->workers_blocked >= k->workers && k->workers < WORKERS_MAX;
}

/* Not under k->dispatch. */
static void start_workers(struct nt *k)
{
    bool start;

    rt_mutex_lock(k->dispatch);
    start = need_worker(k);
    if (start)
        k->workers++;
    rt_mutex_unlock(k->dispatch);
    if (!start || nt_thread_start(k, "worker", serve, k) == 0)
        return;
    rt_mutex_lock(k->dispatch);
    k->workers--; /* those that run have to do */
    rt_mutex_unlock(k->dispatch);
}

/* A thread is not started under the lock: the waiter lets go of it for that, before it looks at its wait. */
void nt_work_help(struct nt *k)
{
    if (!need_worker(k))
        return;
    rt_mutex_unlock(k->dispatch);
    start_workers(k);
    rt_mutex_lock(k->dispatch);
}

void nt_held(bool held)
{
    struct nt *k = nt_current();

    if (k == NULL || (rt_carried()->in_dpc & NT_IN_WORKER) == 0)
        return;
    rt_mutex_lock(k->dispatch);
    k->workers_blocked += held ? 1 : -1u;
    rt_mutex_unlock(k->dispatch);
    if (held)
        start_workers(k);
}

bool nt_work_queue(struct nt *k, WORK_QUEUE_ITEM *item, WORK_QUEUE_TYPE type, struct rt_context *context,
                   const void *site)
{
    bool critical = type == CriticalWorkQueue || type == HyperCriticalWorkQueue ||
                    type == RealTimeWorkQueue || type == SuperCriticalWorkQueue;
    struct nt_driver *d = context == NULL ? NULL : context->driver;

    rt_mutex_lock(k->dispatch);
    if (item->List.Flink != NULL) {
        rt_mutex_unlock(k->dispatch);
        return false;
    }
    append(&k->work[critical ? CRITICAL : DELAYED], item);
    item->List.Blink = (struct _LIST_ENTRY *)context;
    atomic_fetch_add_explicit(&k->armed, 1, memory_order_relaxed);
    if (d != NULL) {
        d->running++;
        if (d->party != NULL)
            ledger_open_for(d->party, LEDGER_QUEUED, (uintptr_t)item, 0, NULL, site);
    }
    if (k->workers_idle != 0)
        rt_cond_broadcast(k->work_changed);
    rt_mutex_unlock(k->dispatch);
    start_workers(k);
    return true;
}

/* Takes out those of a context, or those that lie in some memory. How many. */
static unsigned take_out(struct nt *k, const struct rt_context *context, const void *from, size_t size)
{
    unsigned count = 0;

    rt_mutex_lock(k->dispatch);
    for (unsigned i = 0; i < 2; i++) {
        struct nt_work_queue all = k->work[i];

        k->work[i] = (struct nt_work_queue){NULL, NULL};
        for (WORK_QUEUE_ITEM *item = all.first, *next; item != NULL; item = next) {
            struct rt_context *whose = context_of(item);
            struct nt_driver *d = whose == NULL ? NULL : whose->driver;

            next = next_of(item);
            if (context != NULL ? whose != context : (uintptr_t)item - (uintptr_t)from >= size) {
                append(&k->work[i], item);
                continue;
            }
            item->List.Flink = item->List.Blink = NULL;
            atomic_fetch_sub_explicit(&k->armed, 1, memory_order_relaxed);
            if (d != NULL && d->party != NULL)
                ledger_close_for(d->party, LEDGER_QUEUED, (uintptr_t)item);
            nt_driver_ended_locked(d);
            count++;
        }
    }
    rt_mutex_unlock(k->dispatch);
    return count;
}

void nt_work_forget(struct nt_driver *d)
{
    take_out(d->k, d->context, NULL, 0);
}

const char *nt_work_in(struct nt *k, const void *from, size_t size)
{
    return take_out(k, NULL, from, size) == 0 ? NULL : "a work item that is queued";
}

VOID ExInitializeWorkItem(PWORK_QUEUE_ITEM Item, PWORKER_THREAD_ROUTINE Routine, PVOID Context)
{
    Item->List.Flink = Item->List.Blink = NULL;
    Item->WorkerRoutine = Routine;
    Item->Parameter = Context;
}

VOID ExQueueWorkItem(PWORK_QUEUE_ITEM WorkItem, WORK_QUEUE_TYPE QueueType)
{
    struct nt *k = nt_current();

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (k == NULL)
        return;
    if (WorkItem->WorkerRoutine == NULL)
        nt_bug(WORKER_INVALID, NULL, NT_SITE, "ExQueueWorkItem: the item was never initialised");
    else if (!nt_work_queue(k, WorkItem, QueueType, rt_current(), NT_SITE))
        nt_bug(WORKER_INVALID, NULL, NT_SITE, "ExQueueWorkItem: the item is queued already");
    rt_point();
}
