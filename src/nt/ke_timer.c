/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timers: a list of those that are set, earliest first, and one thread that sleeps until the first is due.
 *
 *   KeInitializeTimer --KeSetTimer--> set (Header.Inserted) --due--> signalled, its DPC queued
 *        ^                             |  ^-------- again, if it is periodic ------'
 *        '-------KeCancelTimer---------'
 *
 * A KTIMER is the driver's memory. DueTime is in ns of the kernel's clock; Processor is the number of the
 * driver that set it (in whose context its DPC runs), 0 for none. All under k->dispatch.
 */
#include <errno.h>

#include "nt/internal.h"

#define MS_NS 1000000ull

int nt_timer_create(struct nt *k)
{
    InitializeListHead(&k->timers);
    return rt_cond_create(k->clock, &k->timers_changed) == 0 ? 0 : -ENOMEM;
}

void nt_timer_stop(struct nt *k)
{
    rt_mutex_lock(k->dispatch);
    k->stopping = true;
    if (k->timers_changed != NULL)
        rt_cond_broadcast(k->timers_changed);
    rt_mutex_unlock(k->dispatch);
}

void nt_timer_destroy(struct nt *k)
{
    rt_cond_destroy(k->timers_changed);
}

static struct nt_driver *driver_of(struct nt *k, const KTIMER *t)
{
    struct nt_driver *d = k->drivers;

    while (d != NULL && d->number != t->Processor)
        d = d->next;
    return d;
}

/* Those that are due at the same time expire in the order in which they were set. */
static void insert(struct nt *k, KTIMER *t)
{
    LIST_ENTRY *at = k->timers.Blink;

    while (at != &k->timers &&
           CONTAINING_RECORD(at, KTIMER, TimerListEntry)->DueTime.QuadPart > t->DueTime.QuadPart)
        at = at->Blink;
    InsertHeadList(at, &t->TimerListEntry);
    t->Header.Inserted = 1;
    atomic_fetch_add_explicit(&k->armed, 1, memory_order_relaxed);
}

/* It was set and is no longer. */
static void over(struct nt *k, KTIMER *t)
{
    struct nt_driver *d = driver_of(k, t);

    if (d != NULL && d->party != NULL)
        ledger_close_for(d->party, LEDGER_TIMER, (uintptr_t)t);
    nt_driver_ended_locked(d);
}

static void take_out(struct nt *k, KTIMER *t)
{
    RemoveEntryList(&t->TimerListEntry);
    t->Header.Inserted = 0;
    atomic_fetch_sub_explicit(&k->armed, 1, memory_order_relaxed);
}

static bool cancel(struct nt *k, KTIMER *t)
{
    if (!t->Header.Inserted)
        return false;
    take_out(k, t);
    over(k, t);
    return true;
}

static void expire(struct nt *k, KTIMER *t)
{
    struct nt_driver *d = driver_of(k, t);
    KDPC *dpc = t->Dpc;

    take_out(k, t);
    __atomic_store_n(&t->Header.SignalState, 1, __ATOMIC_RELAXED);
    nt_header_signalled(k, &t->Header);
    if (dpc != NULL) {
        ULARGE_INTEGER now = {.QuadPart = rt_clock_filetime(k->clock)};

        nt_dpc_queue(k, dpc, 0, d == NULL ? NULL : d->context, (PVOID)(ULONG_PTR)now.LowPart,
                     (PVOID)(ULONG_PTR)now.HighPart, NULL);
    }
    if (t->Period != 0) {
        t->DueTime.QuadPart += t->Period * MS_NS;
        insert(k, t);
    } else {
        over(k, t);
    }
}

static void serve(void *arg)
{
    struct nt *k = arg;

    rt_mutex_lock(k->dispatch);
    while (!k->stopping) {
        KTIMER *first =
            IsListEmpty(&k->timers) ? NULL : CONTAINING_RECORD(k->timers.Flink, KTIMER, TimerListEntry);

        if (first != NULL && first->DueTime.QuadPart <= rt_clock_now(k->clock)) {
            expire(k, first);
            continue;
        }
        rt_waits_for("a timer that is due");
        rt_cond_wait(k->timers_changed, k->dispatch, first == NULL ? RT_FOREVER : first->DueTime.QuadPart);
    }
    rt_mutex_unlock(k->dispatch);
}

static bool start(struct nt *k)
{
    bool first;

    rt_mutex_lock(k->dispatch);
    first = !k->timers_started;
    k->timers_started = true;
    rt_mutex_unlock(k->dispatch);
    return !first || nt_thread_start(k, "timers", serve, k) == 0;
}

static bool is_timer(const KTIMER *t, const char *function, const void *site)
{
    if (t->Header.Type == NT_TIMER_NOTIFICATION || t->Header.Type == NT_TIMER_SYNCHRONIZATION)
        return true;
    nt_bug(IRQL_NOT_LESS_OR_EQUAL, NULL, site, "%s: the timer was never initialised", function);
    return false;
}

BOOLEAN nt_timer_set(KTIMER *t, LARGE_INTEGER due, ULONG period, KDPC *dpc, const char *function,
                     const void *site)
{
    struct nt_driver *d = nt_driver_current();
    struct nt *k = nt_current();
    uint64_t deadline;
    bool was;

    if (k == NULL || !is_timer(t, function, site) || !start(k) || (dpc != NULL && !nt_dpc_prepare(k, dpc, 0)))
        return FALSE;
    deadline = nt_deadline(k, &due);
    if (deadline == 0)
        deadline = rt_clock_now(k->clock);
    rt_mutex_lock(k->dispatch);
    was = cancel(k, t);
    __atomic_store_n(&t->Header.SignalState, 0, __ATOMIC_RELAXED);
    t->DueTime.QuadPart = deadline;
    t->Period = period;
    t->Dpc = dpc;
    t->Processor = d->number;
    insert(k, t);
    d->running++;
    if (d->party != NULL)
        ledger_open_for(d->party, LEDGER_TIMER, (uintptr_t)t, 0, NULL, site);
    rt_cond_broadcast(k->timers_changed);
    rt_mutex_unlock(k->dispatch);
    rt_point();
    return was;
}

VOID KeInitializeTimerEx(PKTIMER Timer, TIMER_TYPE Type)
{
    nt_header_init(&Timer->Header,
                   Type == SynchronizationTimer ? NT_TIMER_SYNCHRONIZATION : NT_TIMER_NOTIFICATION, 0);
    Timer->DueTime.QuadPart = 0;
    Timer->Dpc = NULL;
    Timer->Processor = 0;
    Timer->TimerType = 0;
    Timer->Period = 0;
}

VOID KeInitializeTimer(PKTIMER Timer)
{
    KeInitializeTimerEx(Timer, NotificationTimer);
}

BOOLEAN KeSetTimer(PKTIMER Timer, LARGE_INTEGER DueTime, PKDPC Dpc)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return nt_timer_set(Timer, DueTime, 0, Dpc, __func__, NT_SITE);
}

BOOLEAN KeSetTimerEx(PKTIMER Timer, LARGE_INTEGER DueTime, LONG Period, PKDPC Dpc)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return nt_timer_set(Timer, DueTime, Period < 0 ? 0 : (ULONG)Period, Dpc, __func__, NT_SITE);
}

/* Nothing is saved by being late here: expires when due. */
BOOLEAN KeSetCoalescableTimer(PKTIMER Timer, LARGE_INTEGER DueTime, ULONG Period, ULONG TolerableDelay,
                              PKDPC Dpc)
{
    (void)TolerableDelay;
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return nt_timer_set(Timer, DueTime, Period, Dpc, __func__, NT_SITE);
}

BOOLEAN KeCancelTimer(PKTIMER Timer)
{
    struct nt *k = nt_current();
    bool was;

    NT_IRQL_MAX(DISPATCH_LEVEL);
    rt_point();
    if (k == NULL || !is_timer(Timer, __func__, NT_SITE))
        return FALSE;
    rt_mutex_lock(k->dispatch);
    was = cancel(k, Timer);
    rt_mutex_unlock(k->dispatch);
    return was;
}

BOOLEAN KeReadStateTimer(PKTIMER Timer)
{
    rt_point();
    return __atomic_load_n(&Timer->Header.SignalState, __ATOMIC_RELAXED) > 0;
}

void nt_timers_forget(struct nt_driver *d)
{
    struct nt *k = d->k;

    rt_mutex_lock(k->dispatch);
    for (LIST_ENTRY *e = k->timers.Flink, *next; e != &k->timers; e = next) {
        KTIMER *t = CONTAINING_RECORD(e, KTIMER, TimerListEntry);

        next = e->Flink;
        if (t->Processor == d->number)
            cancel(k, t);
    }
    rt_mutex_unlock(k->dispatch);
}

const char *nt_timers_in(struct nt *k, const void *from, size_t size)
{
    const char *found = NULL;

    rt_mutex_lock(k->dispatch);
    for (LIST_ENTRY *e = k->timers.Flink, *next; e != &k->timers; e = next) {
        KTIMER *t = CONTAINING_RECORD(e, KTIMER, TimerListEntry);

        next = e->Flink;
        if ((uintptr_t)t - (uintptr_t)from < size) {
            cancel(k, t);
            found = "a timer that is set";
        } else if (t->Dpc != NULL && (uintptr_t)t->Dpc - (uintptr_t)from < size) {
            t->Dpc = NULL;
            found = "the DPC of a timer that is set";
        }
    }
    rt_mutex_unlock(k->dispatch);
    return found;
}
