/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queues of requests.
 *
 *   put --> queued --(dispatches, and fewer presented than the kind allows)--> presented: the driver's
 * callback, in the thread that put it or completed the one before --completed, forwarded, requeued--> the
 * next
 *
 * A queued request can be cancelled: its IRP's cancel routine takes it out of the list. Whoever takes a
 * request out otherwise takes the cancel routine away first; where it is gone the canceller has the request.
 *
 * One thread at a time presents requests of a queue (q->running); others leave it the work. A queue whose
 * callbacks are for PASSIVE_LEVEL is run from a work item if the caller is above. wdf_queue_state.c stops and starts
 * queues, and lets drivers take requests out themselves.
 */
#include "nt/fault.h"
#include "nt/wdf_inside.h"

/* ---- the list; under the lock
 * ----------------------------------------------------------------------------------- */
static void append(struct wdf_queue *q, struct wdf_request *r, bool first)
{
    r->queue = q;
    r->state = REQUEST_QUEUED;
    if (first) {
        r->next = q->first;
        q->first = r;
        if (q->last == NULL)
            q->last = r;
    } else {
        r->next = NULL;
        if (q->last == NULL)
            q->first = r;
        else
            q->last->next = r;
        q->last = r;
    }
    q->queued++;
}

static bool take_out(struct wdf_queue *q, struct wdf_request *r)
{
    struct wdf_request *before = NULL;

    for (struct wdf_request *at = q->first; at != NULL; before = at, at = at->next) {
        if (at != r)
            continue;
        if (before == NULL)
            q->first = r->next;
        else
            before->next = r->next;
        if (q->last == r)
            q->last = before;
        r->next = NULL;
        q->queued--;
        return true;
    }
    return false;
}

/* ---- EvtIoQueueState ------------------------------------------------------------------------------------- */

static void work(PVOID parameter);

/* Under the lock. */
static void queue_work(struct wdf_queue *q)
{
    q->work_queued = true;
    q->o.references++;
}

/* Without it. */
static void start_work(struct wdf_queue *q)
{
    q->work = (WORK_QUEUE_ITEM){.WorkerRoutine = work, .Parameter = q};
    nt_work_queue(q->o.io->d->k, &q->work, DelayedWorkQueue, q->o.io->d->context, NULL);
}

void wdf_queue_tell(struct wdf_queue *q, enum wdf_queue_state which, PFN_WDF_IO_QUEUE_STATE callback,
                    WDFCONTEXT context)
{
    struct wdf_serial *serial = wdf_serial_of_queue(q);
    bool queue_it;

    if (!wdf_serial_is_lower(serial)) {
        wdf_serial_enter(serial);
        callback((WDFQUEUE)q, context);
        wdf_serial_leave(serial);
        return;
    }
    wdf_lock(&q->o);
    q->owed[which].callback = callback;
    q->owed[which].context = context;
    queue_it = !q->work_queued;
    if (queue_it)
        queue_work(q);
    wdf_unlock(&q->o);
    if (queue_it)
        start_work(q);
}

static void tell_owed(struct wdf_queue *q)
{
    for (enum wdf_queue_state which = WDF_QUEUE_READY; which <= WDF_QUEUE_IDLE; which++) {
        wdf_lock(&q->o);
        PFN_WDF_IO_QUEUE_STATE callback = q->owed[which].callback;
        WDFCONTEXT context = q->owed[which].context;
        q->owed[which].callback = NULL;
        wdf_unlock(&q->o);
        if (callback != NULL)
            wdf_queue_tell(q, which, callback, context);
    }
}

/* ---- what happens when nothing is left
 * ---------------------------------------------------------------------------- */
void wdf_queue_tell_idle(struct wdf_queue *q)
{
    wdf_lock(&q->o);
    bool idle = q->presented == 0 && (q->queued == 0 || !q->idle_needs_empty);
    PFN_WDF_IO_QUEUE_STATE told = idle ? q->idle : NULL;
    WDFCONTEXT context = q->idle_context;
    if (idle) {
        q->idle = NULL;
        rt_cond_broadcast(wdf_room(&q->o)->completed);
    }
    wdf_unlock(&q->o);
    if (told != NULL)
        wdf_queue_tell(q, WDF_QUEUE_IDLE, told, context);
}

void wdf_queue_left(struct wdf_queue *q)
{
    wdf_lock(&q->o);
    q->presented--;
    wdf_unlock(&q->o);
    wdf_queue_tell_idle(q);
    wdf_queue_run(q);
}

/* ---- cancelled while queued
 * --------------------------------------------------------------------------------------- */
static void cancelled(struct wdf_queue *q, struct wdf_request *r)
{
    struct wdf_serial *serial = wdf_serial_of_queue(q);

    if (q->config.EvtIoCanceledOnQueue != NULL) {
        wdf_lock(&q->o);
        r->state = REQUEST_DRIVER; /* the driver completes it */
        r->presented = true;
        q->presented++;
        wdf_unlock(&q->o);
        wdf_serial_enter(serial);
        q->config.EvtIoCanceledOnQueue((WDFQUEUE)q, (WDFREQUEST)r);
        wdf_serial_leave(serial);
        return;
    }
    wdf_request_complete(r, STATUS_CANCELLED, 0);
    wdf_queue_tell_idle(q);
}

static void cancel_routine(DEVICE_OBJECT *device, IRP *irp)
{
    struct wdf_request *r = irp->Tail.Overlay.DriverContext[0];
    struct wdf_queue *q = r->queue;

    (void)device;
    wdf_reference(&q->o);
    IoReleaseCancelSpinLock(irp->CancelIrql);
    wdf_lock(&q->o);
    take_out(q, r);
    wdf_unlock(&q->o);
    cancelled(q, r);
    wdf_dereference(&q->o);
}

/* ---- in
 * ------------------------------------------------------------------------------------------------------------
 */
static bool presents(const struct wdf_queue *q)
{
    switch (q->config.DispatchType) {
    case WdfIoQueueDispatchSequential:
        return q->presented == 0;
    case WdfIoQueueDispatchParallel:
        return q->presented < q->config.Settings.Parallel.NumberOfPresentedRequests;
    default:
        return false;
    }
}

bool wdf_queue_put(struct wdf_queue *q, struct wdf_request *r, bool first)
{
    IRP *irp = r->irp;
    bool gone = false;

    irp->Tail.Overlay.DriverContext[0] = r;
    wdf_lock(&q->o);
    if (!q->accepts && !first) {
        wdf_unlock(&q->o);
        return false;
    }
    bool was_empty = q->queued == 0;
    append(q, r, first);
    IoSetCancelRoutine(irp, cancel_routine);
    if (irp->Cancel && IoSetCancelRoutine(irp, NULL) != NULL)
        gone = take_out(q, r);
    PFN_WDF_IO_QUEUE_STATE ready = was_empty && !gone && q->dispatches ? q->ready : NULL;
    WDFCONTEXT context = q->ready_context;
    wdf_unlock(&q->o);
    if (gone) {
        cancelled(q, r);
        return true;
    }
    if (ready != NULL && q->config.DispatchType == WdfIoQueueDispatchManual)
        wdf_queue_tell(q, WDF_QUEUE_READY, ready, context);
    wdf_queue_run(q);
    return true;
}

/* ---- out
 * -----------------------------------------------------------------------------------------------------------
 */
struct wdf_request *wdf_queue_take(struct wdf_queue *q, const struct wdf_file *file)
{
    struct wdf_request *r;

    wdf_lock(&q->o);
    for (r = q->first; r != NULL; r = r->next)
        if ((file == NULL || r->file == file) && IoSetCancelRoutine(r->irp, NULL) != NULL)
            break;
    if (r != NULL) {
        take_out(q, r);
        r->state = REQUEST_DRIVER;
        r->presented = true;
        q->presented++;
    }
    wdf_unlock(&q->o);
    return r;
}

static void present(struct wdf_queue *q, struct wdf_request *r)
{
    const WDF_IO_QUEUE_CONFIG *c = &q->config;
    IO_STACK_LOCATION *stack = IoGetCurrentIrpStackLocation(r->irp);
    size_t length;

    switch (stack->MajorFunction) {
    case IRP_MJ_READ:
    case IRP_MJ_WRITE:
        length = stack->MajorFunction == IRP_MJ_READ ? stack->Parameters.Read.Length
                                                     : stack->Parameters.Write.Length;
        if (length == 0 && !c->AllowZeroLengthRequests) {
            wdf_request_complete(r, STATUS_SUCCESS, 0);
            return;
        }
        if (stack->MajorFunction == IRP_MJ_READ && c->EvtIoRead != NULL) {
            c->EvtIoRead((WDFQUEUE)q, (WDFREQUEST)r, length);
            return;
        }
        if (stack->MajorFunction == IRP_MJ_WRITE && c->EvtIoWrite != NULL) {
            c->EvtIoWrite((WDFQUEUE)q, (WDFREQUEST)r, length);
            return;
        }
        break;
    case IRP_MJ_DEVICE_CONTROL:
    case IRP_MJ_INTERNAL_DEVICE_CONTROL: {
        PFN_WDF_IO_QUEUE_IO_DEVICE_CONTROL control = stack->MajorFunction == IRP_MJ_DEVICE_CONTROL
                                                         ? c->EvtIoDeviceControl
                                                         : c->EvtIoInternalDeviceControl;
        if (control != NULL) {
            control((WDFQUEUE)q, (WDFREQUEST)r, stack->Parameters.DeviceIoControl.OutputBufferLength,
                    stack->Parameters.DeviceIoControl.InputBufferLength,
                    stack->Parameters.DeviceIoControl.IoControlCode);
            return;
        }
        break;
    }
    default:
        break;
    }
    if (c->EvtIoDefault != NULL)
        c->EvtIoDefault((WDFQUEUE)q, (WDFREQUEST)r);
    else
        wdf_request_complete(r, STATUS_INVALID_DEVICE_REQUEST, 0);
}

static void work(PVOID parameter)
{
    struct wdf_queue *q = parameter;

    wdf_lock(&q->o);
    q->work_queued = false;
    wdf_unlock(&q->o);
    tell_owed(q);
    wdf_queue_run(q);
    wdf_dereference(&q->o);
}

static bool deferred(struct wdf_queue *q)
{
    bool queue_it;

    if (rt_carried()->irql == PASSIVE_LEVEL || !wdf_passive(&q->o))
        return false;
    wdf_lock(&q->o);
    queue_it = !q->work_queued && q->first != NULL && q->dispatches;
    if (queue_it)
        queue_work(q);
    wdf_unlock(&q->o);
    if (queue_it)
        start_work(q);
    return true;
}

void wdf_queue_run(struct wdf_queue *q)
{
    if (q->config.DispatchType == WdfIoQueueDispatchManual || deferred(q))
        return;
    wdf_reference(&q->o);
    for (;;) {
        wdf_lock(&q->o);
        /* A parallel queue's callbacks may run at once, so that only the choice is guarded. */
        bool alone = q->config.DispatchType == WdfIoQueueDispatchSequential;
        bool go = q->dispatches && q->first != NULL && presents(q) && !(alone && q->running);
        if (go && alone)
            q->running = true;
        wdf_unlock(&q->o);
        if (!go)
            break;
        struct wdf_request *r = wdf_queue_take(q, NULL);
        if (r != NULL) {
            struct wdf_serial *serial = wdf_serial_of_queue(q);

            wdf_serial_enter(serial);
            present(q, r);
            wdf_serial_leave(serial);
        }
        if (alone) {
            wdf_lock(&q->o);
            q->running = false;
            wdf_unlock(&q->o);
        }
        if (r == NULL)
            break; /* all are with their cancellers */
    }
    wdf_dereference(&q->o);
}

/* ---- made, deleted
 * --------------------------------------------------------------------------------------------------- */
void wdf_queue_purge(struct wdf_queue *q, const struct wdf_file *file)
{
    struct wdf_request *r;

    while ((r = wdf_queue_take(q, file)) != NULL) {
        wdf_lock(&q->o);
        q->presented--;
        r->presented = false;
        wdf_unlock(&q->o);
        cancelled(q, r);
    }
}

static void stop(struct wdf_object *o)
{
    struct wdf_queue *q = (struct wdf_queue *)o;

    wdf_lock(o);
    q->accepts = q->dispatches = false;
    if (q->device->default_queue == q)
        q->device->default_queue = NULL;
    for (size_t i = 0; i < ARRAYSIZE(q->device->queues); i++)
        if (q->device->queues[i] == q)
            q->device->queues[i] = NULL;
    wdf_unlock(o);
    wdf_queue_purge(q, NULL);
}

void wdf_queue_cancel_file(struct wdf_device *d, struct wdf_file *f)
{
    for (;;) { /* a queue of the device with a request of the file */
        struct wdf_queue *found = NULL;
        wdf_lock(&d->o);
        for (struct wdf_object *o = d->o.children; o != NULL && found == NULL; o = o->next)
            if (o->kind == WDF_KIND_QUEUE)
                for (struct wdf_request *r = ((struct wdf_queue *)o)->first; r != NULL && found == NULL;
                     r = r->next)
                    if (r->file == f && r->irp->CancelRoutine != NULL)
                        found = (struct wdf_queue *)o;
        if (found != NULL)
            found->o.references++;
        wdf_unlock(&d->o);
        if (found == NULL)
            return;
        wdf_queue_purge(found, f);
        wdf_dereference(&found->o);
    }
}

NTSTATUS WdfIoQueueCreate(WDFDEVICE Device, PWDF_IO_QUEUE_CONFIG Config,
                          PWDF_OBJECT_ATTRIBUTES QueueAttributes, WDFQUEUE *Queue)
{
    NT_FAIL_STATUS(WdfIoQueueCreate);
    struct wdf_device *d = WDF_OF(Device, WDF_KIND_DEVICE);
    void *o;

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (Queue != NULL)
        *Queue = NULL;
    if (d == NULL || Config == NULL)
        return STATUS_INVALID_PARAMETER;
    if (Config->Size != sizeof *Config)
        return STATUS_INFO_LENGTH_MISMATCH;
    if (Config->DispatchType <= WdfIoQueueDispatchInvalid || Config->DispatchType >= WdfIoQueueDispatchMax ||
        (Config->DispatchType == WdfIoQueueDispatchParallel &&
         Config->Settings.Parallel.NumberOfPresentedRequests == 0))
        return STATUS_INVALID_PARAMETER;
    if (Config->DispatchType == WdfIoQueueDispatchManual
            ? Config->EvtIoDefault != NULL || Config->EvtIoRead != NULL || Config->EvtIoWrite != NULL ||
                  Config->EvtIoDeviceControl != NULL || Config->EvtIoInternalDeviceControl != NULL
            : Config->EvtIoDefault == NULL && Config->EvtIoRead == NULL && Config->EvtIoWrite == NULL &&
                  Config->EvtIoDeviceControl == NULL && Config->EvtIoInternalDeviceControl == NULL)
        return Config->DispatchType == WdfIoQueueDispatchManual ? STATUS_INVALID_PARAMETER
                                                                : STATUS_WDF_NO_CALLBACK;
    if (Config->DefaultQueue && d->default_queue != NULL)
        return STATUS_UNSUCCESSFUL;
    NTSTATUS status =
        wdf_create(d->o.io, WDF_KIND_QUEUE, sizeof(struct wdf_queue), QueueAttributes, &d->o, NT_SITE, &o);
    if (!NT_SUCCESS(status))
        return status;
    struct wdf_queue *q = o;
    q->o.stop = stop;
    q->device = d;
    q->config = *Config;
    wdf_serial_init(&q->serial, wdf_passive(&q->o));
    q->accepts = q->dispatches = true;
    if (Config->DefaultQueue)
        d->default_queue = q;
    if (Queue != NULL)
        *Queue = (WDFQUEUE)q;
    return STATUS_SUCCESS;
}
