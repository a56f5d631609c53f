/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting: the heart of every dispatcher object, which is a structure that begins with a DISPATCHER_HEADER.
 *
 *   Type          which object (enum nt_dispatcher_type); zero in memory that nobody initialised
 *   SignalState   > 0: signalled. A semaphore's count; a mutex is 1 when free, falls by 1 at each acquisition
 *                 by its owner and so may be negative.
 *   WaitListHead  one struct block for each wait that looks at the object, oldest first
 *
 * A wait (struct nt_wait) has a condition of its own, from a pool of the kernel's, and its blocks on the
 * waiter's stack. One lock, k->dispatch, guards all of it:
 *
 *   waiter:   states looked at --satisfied--> objects change (take), goes on
 *                 |not satisfied
 *             blocks in the lists, sleeps --time-out--> blocks out, STATUS_TIMEOUT
 *                 ^done
 *   setter:   SignalState changes, nt_header_signalled(): for each block, oldest first, as long as the object
 * is signalled: can its wait be satisfied? then take for it, blocks out, done, wake it.
 *
 * So it is the setter who hands an object over: a waiter that is woken owns what it waited for, and nobody
 * that came later can be before it. Whoever sets an event touches it under k->dispatch alone; a waiter
 * returns only after it had the lock, so an event may live on the waiter's stack.
 *
 * A thread without a driver has no kernel: it may look at objects and change them while nobody waits, and its
 * waits fail where they would have to sleep.
 */
#include <errno.h>
#include <stdlib.h>

#include "nt/internal.h"

#define UNITS_NS 100 /* a unit of Windows' times */

struct block {
    LIST_ENTRY entry; /* object->WaitListHead */
    struct nt_wait *wait;
    DISPATCHER_HEADER *object;
};

struct nt_wait {
    struct nt_wait *next; /* k->waits_free */
    struct rt_cond *cond;
    struct nt_thread *thread; /* who waits; only where an object is a mutex */
    struct block *blocks;
    unsigned count;
    bool all, done, is_worker;
    unsigned result;   /* index of the object, 0 where all were asked for; or TIMED_OUT, ABANDONED */
    LIST_ENTRY *entry; /* what a queue gave */
};
#define TIMED_OUT (~0u)
#define ABANDONED (~0u - 1)

int nt_wait_create(struct nt *k)
{
    (void)k;
    return 0;
}

void nt_wait_destroy(struct nt *k)
{
    struct nt_wait *w;

    while ((w = k->waits_free) != NULL) {
        k->waits_free = w->next;
        rt_cond_destroy(w->cond);
        free(w);
    }
}

static struct nt_wait *wait_get(struct nt *k)
{
    struct nt_wait *w = k->waits_free;

    if (w != NULL) {
        k->waits_free = w->next;
        return w;
    }
    w = calloc(1, sizeof(*w));
    if (w != NULL && rt_cond_create(k->clock, &w->cond) != 0) {
        free(w);
        w = NULL;
    }
    return w;
}

static void wait_put(struct nt *k, struct nt_wait *w)
{
    w->next = k->waits_free;
    k->waits_free = w;
}

void nt_header_init(DISPATCHER_HEADER *h, enum nt_dispatcher_type type, int32_t state)
{
    h->Lock = 0;
    h->Type = (UCHAR)type;
    h->Size = sizeof(*h) / sizeof(LONG);
    __atomic_store_n(&h->SignalState, state, __ATOMIC_RELAXED);
    InitializeListHead(&h->WaitListHead);
}

static bool signalled(const DISPATCHER_HEADER *h, const struct nt_thread *thread)
{
    if (h->Type == NT_MUTANT && thread != NULL && ((const KMUTANT *)h)->OwnerThread == (const void *)thread)
        return true;
    return nt_state(h) > 0;
}

/* The wait of `thread` is satisfied by this object: what that does to it. */
static void take(DISPATCHER_HEADER *h, struct nt_thread *thread, LIST_ENTRY **entry)
{
    KMUTANT *m = (KMUTANT *)h;

    switch (h->Type) {
    case NT_EVENT_SYNCHRONIZATION:
    case NT_TIMER_SYNCHRONIZATION:
        nt_state_set(h, 0);
        break;
    case NT_SEMAPHORE:
        nt_state_set(h, nt_state(h) - 1);
        break;
    case NT_MUTANT:
        nt_state_set(h, nt_state(h) - 1);
        if (nt_state(h) == 0 && thread != NULL) {
            m->OwnerThread = (struct _KTHREAD *)thread;
            InsertTailList(&thread->mutants, &m->MutantListEntry);
        }
        break;
    case NT_QUEUE:
        nt_state_set(h, nt_state(h) - 1);
        *entry = RemoveHeadList(&((KQUEUE *)h)->EntryListHead);
        (*entry)->Flink = NULL; /* it is in no queue */
        break;
    default:
        break;
    }
}

static bool all_signalled(DISPATCHER_HEADER *const *objects, unsigned count, const struct nt_thread *thread)
{
    for (unsigned i = 0; i < count; i++) {
        if (!signalled(objects[i], thread))
            return false;
    }
    return true;
}

/* The wait is over: its blocks leave the lists, who waits is woken. */
static void finish(struct nt *k, struct nt_wait *w, unsigned result)
{
    for (unsigned i = 0; i < w->count; i++)
        RemoveEntryList(&w->blocks[i].entry);
    w->result = result;
    w->done = true;
    if (w->is_worker)
        k->workers_blocked--;
    rt_cond_broadcast(w->cond);
}

static bool try_finish(struct nt *k, struct nt_wait *w, const struct block *b)
{
    if (!w->all) {
        if (!signalled(b->object, w->thread))
            return false;
        take(b->object, w->thread, &w->entry);
        finish(k, w, (unsigned)(b - w->blocks));
        return true;
    }
    for (unsigned i = 0; i < w->count; i++) {
        if (!signalled(w->blocks[i].object, w->thread))
            return false;
    }
    for (unsigned i = 0; i < w->count; i++)
        take(w->blocks[i].object, w->thread, &w->entry);
    finish(k, w, 0);
    return true;
}

void nt_header_signalled(struct nt *k, DISPATCHER_HEADER *h)
{
    LIST_ENTRY *head = &h->WaitListHead, *next;

    for (LIST_ENTRY *e = head->Flink; e != head && nt_state(h) > 0; e = next) {
        struct block *b = CONTAINING_RECORD(e, struct block, entry);

        next = e->Flink;
        while (next != head && CONTAINING_RECORD(next, struct block, entry)->wait == b->wait)
            next = next->Flink; /* the same wait looks at this object twice */
        try_finish(k, b->wait, b);
    }
}

/* Under k->dispatch. Sleeps until the wait is done, else takes it out again. */
static NTSTATUS sleep_on(struct nt *k, struct nt_wait *w, DISPATCHER_HEADER *const *objects,
                         struct block *blocks, unsigned count, uint64_t deadline_ns, const char *what)
{
    w->blocks = blocks;
    w->count = count;
    w->done = false;
    w->is_worker = (rt_carried()->in_dpc & NT_IN_WORKER) != 0;
    for (unsigned i = 0; i < count; i++) {
        blocks[i].wait = w;
        blocks[i].object = objects[i];
        InsertTailList(&objects[i]->WaitListHead, &blocks[i].entry);
    }
    if (w->is_worker) {
        k->workers_blocked++;
        nt_work_help(k);
    }
    rt_waits_for(what);
    while (!w->done) {
        if (rt_cond_wait(w->cond, k->dispatch, deadline_ns) == 0 || w->done)
            continue;
        finish(k, w, TIMED_OUT);
    }
    rt_waits_for(NULL);
    if (w->result == TIMED_OUT)
        return STATUS_TIMEOUT;
    return w->result == ABANDONED ? STATUS_ABANDONED : (NTSTATUS)(STATUS_WAIT_0 + (NTSTATUS)w->result);
}

static bool waits_for_mutex(DISPATCHER_HEADER *const *objects, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (objects[i]->Type == NT_MUTANT)
            return true;
    }
    return false;
}

static NTSTATUS wait_for(struct nt *k, DISPATCHER_HEADER *const *objects, struct block *blocks,
                         unsigned count, bool all, uint64_t deadline_ns, const char *what, LIST_ENTRY **entry)
{
    NTSTATUS status = STATUS_TIMEOUT;
    struct nt_thread *thread = NULL;
    struct nt_wait *w;

    if (waits_for_mutex(objects, count) && (thread = nt_thread_current(k)) == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    rt_mutex_lock(k->dispatch);
    if (all && all_signalled(objects, count, thread)) {
        for (unsigned i = 0; i < count; i++)
            take(objects[i], thread, entry);
        status = STATUS_WAIT_0;
        goto out;
    }
    for (unsigned i = 0; i < count && !all; i++) {
        if (signalled(objects[i], thread)) {
            take(objects[i], thread, entry);
            status = STATUS_WAIT_0 + (NTSTATUS)i;
            goto out;
        }
    }
    if (deadline_ns == 0)
        goto out;
    w = wait_get(k);
    if (w == NULL) {
        status = STATUS_INSUFFICIENT_RESOURCES;
        goto out;
    }
    w->thread = thread;
    w->all = all;
    status = sleep_on(k, w, objects, blocks, count, deadline_ns, what);
    if (entry != NULL)
        *entry = w->entry;
    wait_put(k, w);
out:
    rt_mutex_unlock(k->dispatch);
    return status;
}

NTSTATUS nt_wait_one(struct nt *k, DISPATCHER_HEADER *h, uint64_t deadline_ns, const char *what)
{
    struct block block;

    return wait_for(k, &h, &block, 1, false, deadline_ns, what, NULL);
}

void nt_sleep(struct nt *k, uint64_t deadline_ns)
{
    wait_for(k, NULL, NULL, 0, false, deadline_ns, "time to pass", NULL);
}

NTSTATUS nt_wait_queue(struct nt *k, KQUEUE *queue, uint64_t deadline_ns, LIST_ENTRY **entry)
{
    DISPATCHER_HEADER *h = &queue->Header;
    struct block block;

    *entry = NULL;
    return wait_for(k, &h, &block, 1, false, deadline_ns, "an entry of a queue", entry);
}

void nt_waits_abandon(struct nt *k, DISPATCHER_HEADER *h)
{
    while (!IsListEmpty(&h->WaitListHead))
        finish(k, CONTAINING_RECORD(h->WaitListHead.Flink, struct block, entry)->wait, ABANDONED);
}

uint64_t nt_deadline(struct nt *k, const LARGE_INTEGER *timeout)
{
    uint64_t now, wall, ns;

    if (timeout == NULL)
        return RT_FOREVER;
    if (timeout->QuadPart == 0)
        return 0;
    now = rt_clock_now(k->clock);
    if (timeout->QuadPart < 0) {
        ns = 0 - (uint64_t)timeout->QuadPart;
        if (ns > (RT_FOREVER - now) / UNITS_NS)
            return RT_FOREVER;
        return now + ns * UNITS_NS;
    }
    wall = rt_clock_filetime(k->clock);
    if ((uint64_t)timeout->QuadPart <= wall)
        return 0;
    ns = (uint64_t)timeout->QuadPart - wall;
    return ns > (RT_FOREVER - now) / UNITS_NS ? RT_FOREVER : now + ns * UNITS_NS;
}

/* ---- the documented waits -------------------------------------------------------------------------------
 */
static const char *kind_of(const DISPATCHER_HEADER *h)
{
    switch (h->Type) {
    case NT_EVENT_NOTIFICATION:
    case NT_EVENT_SYNCHRONIZATION:
        return "an event";
    case NT_MUTANT:
        return "a mutex";
    case NT_SEMAPHORE:
        return "a semaphore";
    case NT_TIMER_NOTIFICATION:
    case NT_TIMER_SYNCHRONIZATION:
        return "a timer";
    case NT_THREAD:
        return "a thread's end";
    case NT_PROCESS:
        return "a process's end";
    default:
        return NULL;
    }
}

/* False: the object cannot be waited for; that is a finding. */
static bool can_wait_for(const DISPATCHER_HEADER *h, const char *function, const void *site)
{
    if (h != NULL && kind_of(h) != NULL)
        return true;
    nt_bug(IRQL_NOT_LESS_OR_EQUAL, NULL, site, "%s: waits for an object that was never initialised",
           function);
    return false;
}

/* A mutex that the wait gave to this thread is one that it holds from here on. */
static void note_mutex(const DISPATCHER_HEADER *h, const void *site)
{
    if (h->Type == NT_MUTANT && nt_state(h) == 0)
        ledger_open(LEDGER_LOCK, (uintptr_t)h, 0, "mutex", site);
}

/* Who waits at DISPATCH_LEVEL or above would stop the processor: only to look is allowed. */
static void check_irql(const LARGE_INTEGER *timeout, const char *function, const void *site)
{
    KIRQL irql = rt_carried()->irql;

    if (irql > DISPATCH_LEVEL || (irql == DISPATCH_LEVEL && (timeout == NULL || timeout->QuadPart != 0)))
        nt_note(site, "%s waits at IRQL %u", function, irql);
}

NTSTATUS KeWaitForSingleObject(PVOID Object, KWAIT_REASON WaitReason, KPROCESSOR_MODE WaitMode,
                               BOOLEAN Alertable, PLARGE_INTEGER Timeout)
{
    DISPATCHER_HEADER *h = Object;
    struct nt *k = nt_current();
    struct block block;
    NTSTATUS status;

    (void)WaitReason;
    (void)WaitMode;
    (void)Alertable;
    check_irql(Timeout, __func__, NT_SITE);
    if (!can_wait_for(h, __func__, NT_SITE))
        return STATUS_INVALID_PARAMETER_1;
    rt_point();
    if (k == NULL) {
        if (!signalled(h, NULL))
            return Timeout != NULL && Timeout->QuadPart == 0 ? STATUS_TIMEOUT : STATUS_INVALID_DEVICE_STATE;
        take(h, NULL, NULL);
        return STATUS_SUCCESS;
    }
    status = wait_for(k, &h, &block, 1, false, nt_deadline(k, Timeout), kind_of(h), NULL);
    if (status == STATUS_WAIT_0)
        note_mutex(h, NT_SITE);
    return status;
}

NTSTATUS KeWaitForMultipleObjects(ULONG Count, PVOID Object[], WAIT_TYPE WaitType, KWAIT_REASON WaitReason,
                                  KPROCESSOR_MODE WaitMode, BOOLEAN Alertable, PLARGE_INTEGER Timeout,
                                  PKWAIT_BLOCK WaitBlockArray)
{
    DISPATCHER_HEADER **objects = (DISPATCHER_HEADER **)Object;
    struct block blocks[MAXIMUM_WAIT_OBJECTS];
    struct nt *k = nt_current();
    NTSTATUS status;

    (void)WaitReason;
    (void)WaitMode;
    (void)Alertable;
    check_irql(Timeout, __func__, NT_SITE);
    if (Count == 0 || Count > MAXIMUM_WAIT_OBJECTS ||
        (Count > THREAD_WAIT_OBJECTS && WaitBlockArray == NULL)) {
        nt_bug(MAXIMUM_WAIT_OBJECTS_EXCEEDED, NULL, NT_SITE,
               "KeWaitForMultipleObjects: %u objects, and %s wait blocks", Count,
               WaitBlockArray == NULL ? "no" : "its own");
        if (Count == 0 || Count > MAXIMUM_WAIT_OBJECTS)
            return STATUS_INVALID_PARAMETER_1;
    }
    for (ULONG i = 0; i < Count; i++) {
        if (!can_wait_for(objects[i], __func__, NT_SITE))
            return STATUS_INVALID_PARAMETER_MIX;
    }
    rt_point();
    if (k == NULL)
        return STATUS_INVALID_DEVICE_STATE;
    status = wait_for(k, objects, blocks, Count, WaitType == WaitAll, nt_deadline(k, Timeout),
                      Count == 1 ? kind_of(objects[0]) : "several objects", NULL);
    if (status >= STATUS_WAIT_0 && status < STATUS_WAIT_0 + (NTSTATUS)Count) {
        for (ULONG i = 0; i < Count; i++) {
            if (WaitType == WaitAll || status == STATUS_WAIT_0 + (NTSTATUS)i)
                note_mutex(objects[i], NT_SITE);
        }
    }
    return status;
}

NTSTATUS KeDelayExecutionThread(KPROCESSOR_MODE WaitMode, BOOLEAN Alertable, PLARGE_INTEGER Interval)
{
    struct nt *k = nt_current();
    uint64_t deadline;

    (void)WaitMode;
    (void)Alertable;
    NT_IRQL_MAX(APC_LEVEL);
    if (k == NULL)
        return STATUS_INVALID_DEVICE_STATE;
    deadline = nt_deadline(k, Interval);
    if (deadline == 0)
        rt_yield(); /* the rest of its turn */
    else
        nt_sleep(k, deadline);
    return STATUS_SUCCESS;
}
