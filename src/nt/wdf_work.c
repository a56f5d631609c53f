/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work items, timers and DPCs of the framework, over the kernel's. While one is queued or runs, its object is
 * referenced; deleting it takes it out of its queue and, at PASSIVE_LEVEL, waits until its callback has
 * returned (but not within that callback itself). A timer whose execution level is PASSIVE_LEVEL runs its
 * callback in a work item.
 *
 * With AutomaticSerialization the callback is under the lock of the device or queue above (wdf_sync.c); whoever
 * waits for the end of one must not be under that lock.
 */
#include "nt/fault.h"
#include "nt/wdf_inside.h"

struct wdf_work {
    struct wdf_object o;
    PFN_WDF_WORKITEM callback;
    struct wdf_serial *serial; /* NULL: it is not synchronized */
    WORK_QUEUE_ITEM item;
    bool queued;       /* io lock */
    unsigned running;  /* io lock */
    uintptr_t runs_in; /* rt_self() of a thread that runs it */
};

struct wdf_timer {
    struct wdf_object o;
    WDF_TIMER_CONFIG config;
    struct wdf_serial *serial;
    bool passive; /* its own level, which it does not inherit: without one it is a DPC */
    KTIMER timer;
    KDPC dpc;
    WORK_QUEUE_ITEM item;
    bool work_queued;
    unsigned running;
    uintptr_t runs_in;
};

struct wdf_dpc {
    struct wdf_object o;
    PFN_WDF_DPC callback;
    struct wdf_serial *serial;
    KDPC dpc;
};

static void begin(struct wdf_object *o, unsigned *running, uintptr_t *runs_in)
{
    wdf_lock(o);
    o->references++;
    ++*running;
    *runs_in = rt_self();
    wdf_unlock(o);
}

static void end(struct wdf_object *o, unsigned *running)
{
    wdf_lock(o);
    --*running;
    rt_cond_broadcast(wdf_room(o)->completed);
    wdf_unlock(o);
    wdf_dereference(o);
}

static void wait_over(struct wdf_object *o, const bool *queued, const unsigned *running,
                      const uintptr_t *runs_in)
{
    if (rt_carried()->irql != PASSIVE_LEVEL)
        return;
    wdf_lock(o);
    while (*queued || (*running > 0 && *runs_in != rt_self())) {
        rt_waits_for("a framework callback");
        rt_cond_wait(wdf_room(o)->completed, wdf_room(o)->lock, RT_FOREVER);
    }
    wdf_unlock(o);
    rt_waits_for(NULL);
}

/* Is the caller in the callback itself? */
static bool in_callback(struct wdf_object *o, const unsigned *running, const uintptr_t *runs_in)
{
    wdf_lock(o);
    bool inside = *running > 0 && *runs_in == rt_self();
    wdf_unlock(o);
    return inside;
}

static WDFOBJECT parent_of(struct wdf_object *o)
{
    return o == NULL ? NULL : o->parent;
}

/* What its callback takes around it (NULL: nothing), and whether its parent and level allow that. */
struct made {
    bool automatic, passive;
    struct wdf_serial *serial;
    void *object;
};

/* The parent must be a device, or below one. */
static NTSTATUS make(PWDF_OBJECT_ATTRIBUTES attributes, enum wdf_kind kind, size_t size, const void *site,
                     struct made *m)
{
    struct io_driver *io = wdf_current_driver();
    struct wdf_object *parent;
    NTSTATUS status;

    if (io == NULL)
        return STATUS_INVALID_PARAMETER;
    if (attributes != NULL && attributes->Size != sizeof *attributes)
        return STATUS_INFO_LENGTH_MISMATCH;
    if (attributes == NULL || attributes->ParentObject == NULL)
        return STATUS_WDF_PARENT_NOT_SPECIFIED;
    parent = wdf_of(attributes->ParentObject, 0, "the attributes' ParentObject", site);
    if (parent == NULL)
        return STATUS_INVALID_PARAMETER;
    status = wdf_serial_of_parent(parent, m->automatic, m->passive, &m->serial);
    return NT_SUCCESS(status) ? wdf_create(io, kind, size, attributes, parent, site, &m->object) : status;
}

/* ---- work items
 * ----------------------------------------------------------------------------------------------------- */
static void run_work(PVOID parameter)
{
    struct wdf_work *w = parameter;
    struct nt_begun begun;

    begin(&w->o, &w->running, &w->runs_in);
    wdf_lock(&w->o);
    w->queued = false;
    wdf_unlock(&w->o);
    wdf_serial_enter(w->serial);
    begun = nt_begins("work item", (const void *)(uintptr_t)w->callback);
    w->callback((WDFWORKITEM)w);
    nt_ended(begun);
    wdf_serial_leave(w->serial);
    end(&w->o, &w->running);
    wdf_dereference(&w->o); /* the queue's */
}

static void work_stop(struct wdf_object *o)
{
    struct wdf_work *w = (struct wdf_work *)o;

    wait_over(o, &w->queued, &w->running, &w->runs_in);
}

NTSTATUS WdfWorkItemCreate(PWDF_WORKITEM_CONFIG Config, PWDF_OBJECT_ATTRIBUTES Attributes,
                           WDFWORKITEM *WorkItem)
{
    struct made m = {.passive = true};

    NT_FAIL_STATUS(WdfWorkItemCreate);
    NT_IRQL_MAX(DISPATCH_LEVEL);
    *WorkItem = NULL;
    if (Config->Size != sizeof *Config)
        return STATUS_INFO_LENGTH_MISMATCH;
    if (Config->EvtWorkItemFunc == NULL)
        return STATUS_INVALID_PARAMETER;
    m.automatic = Config->AutomaticSerialization;
    NTSTATUS status = make(Attributes, WDF_KIND_WORK_ITEM, sizeof(struct wdf_work), NT_SITE, &m);
    if (!NT_SUCCESS(status))
        return status;
    struct wdf_work *w = m.object;
    w->serial = m.serial;
    w->o.stop = work_stop;
    w->callback = Config->EvtWorkItemFunc;
    *WorkItem = (WDFWORKITEM)w;
    return STATUS_SUCCESS;
}

/* Queued already: nothing more. */
VOID WdfWorkItemEnqueue(WDFWORKITEM WorkItem)
{
    struct wdf_work *w = WDF_OF(WorkItem, WDF_KIND_WORK_ITEM);

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (w == NULL)
        return;
    wdf_lock(&w->o);
    bool first = !w->queued;
    w->queued = true;
    if (first)
        w->o.references++;
    wdf_unlock(&w->o);
    if (!first)
        return;
    w->item = (WORK_QUEUE_ITEM){.WorkerRoutine = run_work, .Parameter = w};
    nt_work_queue(w->o.io->d->k, &w->item, DelayedWorkQueue, w->o.io->d->context, NT_SITE);
}

VOID WdfWorkItemFlush(WDFWORKITEM WorkItem)
{
    struct wdf_work *w = WDF_OF(WorkItem, WDF_KIND_WORK_ITEM);

    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (w == NULL)
        return;
    if (in_callback(&w->o, &w->running, &w->runs_in))
        nt_note(NT_SITE, "WdfWorkItemFlush: called from the work item's own callback");
    wait_over(&w->o, &w->queued, &w->running, &w->runs_in);
}

WDFOBJECT WdfWorkItemGetParentObject(WDFWORKITEM WorkItem)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return parent_of(WDF_OF(WorkItem, WDF_KIND_WORK_ITEM));
}

/* ---- timers
 * ---------------------------------------------------------------------------------------------------------
 */
static void call_timer(struct wdf_timer *t)
{
    struct nt_begun begun;

    wdf_serial_enter(t->serial);
    begun = nt_begins("timer", (const void *)(uintptr_t)t->config.EvtTimerFunc);
    t->config.EvtTimerFunc((WDFTIMER)t);
    nt_ended(begun);
    wdf_serial_leave(t->serial);
}

static void run_timer(PVOID parameter)
{
    struct wdf_timer *t = parameter;

    begin(&t->o, &t->running, &t->runs_in);
    wdf_lock(&t->o);
    t->work_queued = false;
    wdf_unlock(&t->o);
    call_timer(t);
    end(&t->o, &t->running);
    wdf_dereference(&t->o);
}

static VOID expired(PKDPC dpc, PVOID context, PVOID one, PVOID two)
{
    struct wdf_timer *t = context;

    (void)dpc;
    (void)one;
    (void)two;
    if (!t->passive) {
        begin(&t->o, &t->running, &t->runs_in);
        call_timer(t);
        end(&t->o, &t->running);
        return;
    }
    wdf_lock(&t->o);
    bool first = !t->work_queued;
    t->work_queued = true;
    if (first)
        t->o.references++;
    wdf_unlock(&t->o);
    if (first) {
        t->item = (WORK_QUEUE_ITEM){.WorkerRoutine = run_timer, .Parameter = t};
        nt_work_queue(t->o.io->d->k, &t->item, DelayedWorkQueue, t->o.io->d->context, NULL);
    }
}

static void timer_stop(struct wdf_object *o)
{
    struct wdf_timer *t = (struct wdf_timer *)o;

    KeCancelTimer(&t->timer);
    KeRemoveQueueDpc(&t->dpc);
    if (rt_carried()->irql == PASSIVE_LEVEL && !in_callback(&t->o, &t->running, &t->runs_in))
        KeFlushQueuedDpcs();
    wait_over(o, &t->work_queued, &t->running, &t->runs_in);
}

NTSTATUS WdfTimerCreate(PWDF_TIMER_CONFIG Config, PWDF_OBJECT_ATTRIBUTES Attributes, WDFTIMER *Timer)
{
    struct made m = {0};

    NT_FAIL_STATUS(WdfTimerCreate);
    NT_IRQL_MAX(DISPATCH_LEVEL);
    *Timer = NULL;
    if (Config->Size != sizeof *Config)
        return STATUS_INFO_LENGTH_MISMATCH;
    if (Config->EvtTimerFunc == NULL || Config->Period > 0x7fffffff)
        return STATUS_INVALID_PARAMETER;
    m.automatic = Config->AutomaticSerialization;
    m.passive = Attributes != NULL && Attributes->ExecutionLevel == WdfExecutionLevelPassive;
    if (m.passive && Config->Period != 0)
        return STATUS_INVALID_PARAMETER;
    NTSTATUS status = make(Attributes, WDF_KIND_TIMER, sizeof(struct wdf_timer), NT_SITE, &m);
    if (!NT_SUCCESS(status))
        return status;
    struct wdf_timer *t = m.object;
    t->serial = m.serial;
    t->passive = m.passive;
    t->o.stop = timer_stop;
    t->config = *Config;
    KeInitializeTimer(&t->timer);
    KeInitializeDpc(&t->dpc, expired, t);
    *Timer = (WDFTIMER)t;
    return STATUS_SUCCESS;
}

BOOLEAN WdfTimerStart(WDFTIMER Timer, LONGLONG DueTime)
{
    struct wdf_timer *t = WDF_OF(Timer, WDF_KIND_TIMER);

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (t == NULL || t->o.deleting)
        return FALSE;
    return KeSetTimerEx(&t->timer, (LARGE_INTEGER){.QuadPart = DueTime}, (LONG)t->config.Period, &t->dpc);
}

BOOLEAN WdfTimerStop(WDFTIMER Timer, BOOLEAN Wait)
{
    struct wdf_timer *t = WDF_OF(Timer, WDF_KIND_TIMER);

    NT_IRQL_MAX(Wait ? PASSIVE_LEVEL : DISPATCH_LEVEL);
    if (t == NULL)
        return FALSE;
    BOOLEAN was = KeCancelTimer(&t->timer);
    if (Wait && !in_callback(&t->o, &t->running, &t->runs_in)) {
        KeFlushQueuedDpcs();
        wait_over(&t->o, &t->work_queued, &t->running, &t->runs_in);
    }
    return was;
}

WDFOBJECT WdfTimerGetParentObject(WDFTIMER Timer)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return parent_of(WDF_OF(Timer, WDF_KIND_TIMER));
}

/* ---- DPCs
 * ------------------------------------------------------------------------------------------------------------
 */
static VOID run_dpc(PKDPC dpc, PVOID context, PVOID one, PVOID two)
{
    struct wdf_dpc *d = context;
    struct nt_begun begun;

    (void)dpc;
    (void)one;
    (void)two;
    wdf_reference(&d->o);
    wdf_serial_enter(d->serial);
    begun = nt_begins("dpc", (const void *)(uintptr_t)d->callback);
    d->callback((WDFDPC)d);
    nt_ended(begun);
    wdf_serial_leave(d->serial);
    wdf_dereference(&d->o);
}

static void dpc_stop(struct wdf_object *o)
{
    KeRemoveQueueDpc(&((struct wdf_dpc *)o)->dpc);
    if (rt_carried()->irql == PASSIVE_LEVEL)
        KeFlushQueuedDpcs();
}

NTSTATUS WdfDpcCreate(PWDF_DPC_CONFIG Config, PWDF_OBJECT_ATTRIBUTES Attributes, WDFDPC *Dpc)
{
    struct made m = {0};

    NT_FAIL_STATUS(WdfDpcCreate);
    NT_IRQL_MAX(DISPATCH_LEVEL);
    *Dpc = NULL;
    if (Config->Size != sizeof *Config)
        return STATUS_INFO_LENGTH_MISMATCH;
    if (Config->EvtDpcFunc == NULL)
        return STATUS_INVALID_PARAMETER;
    m.automatic = Config->AutomaticSerialization;
    NTSTATUS status = make(Attributes, WDF_KIND_DPC, sizeof(struct wdf_dpc), NT_SITE, &m);
    if (!NT_SUCCESS(status))
        return status;
    struct wdf_dpc *d = m.object;
    d->serial = m.serial;
    d->o.stop = dpc_stop;
    d->callback = Config->EvtDpcFunc;
    KeInitializeDpc(&d->dpc, run_dpc, d);
    *Dpc = (WDFDPC)d;
    return STATUS_SUCCESS;
}

BOOLEAN WdfDpcEnqueue(WDFDPC Dpc)
{
    struct wdf_dpc *d = WDF_OF(Dpc, WDF_KIND_DPC);

    return d != NULL && KeInsertQueueDpc(&d->dpc, NULL, NULL);
}

BOOLEAN WdfDpcCancel(WDFDPC Dpc, BOOLEAN Wait)
{
    struct wdf_dpc *d = WDF_OF(Dpc, WDF_KIND_DPC);

    NT_IRQL_MAX(Wait ? PASSIVE_LEVEL : HIGH_LEVEL);
    if (d == NULL)
        return FALSE;
    BOOLEAN was = KeRemoveQueueDpc(&d->dpc);
    if (Wait)
        KeFlushQueuedDpcs();
    return was;
}

WDFOBJECT WdfDpcGetParentObject(WDFDPC Dpc)
{
    return parent_of(WDF_OF(Dpc, WDF_KIND_DPC));
}

PKDPC WdfDpcWdmGetDpc(WDFDPC Dpc)
{
    struct wdf_dpc *d = WDF_OF(Dpc, WDF_KIND_DPC);

    return d == NULL ? NULL : &d->dpc;
}
