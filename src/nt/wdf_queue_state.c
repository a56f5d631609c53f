/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queues of requests from the driver's side: asked what is in them, started, stopped, drained, purged, emptied by
 * hand.
 *
 *            accepts   dispatches   told (EvtIoQueueState, or whoever waits) when
 *   start    yes       yes          a manual queue: there are requests
 *   stop     yes       no           nothing is with the driver
 *   drain    no        yes          nothing is with the driver, nor queued
 *   purge    no        yes          the same; what is queued is cancelled
 *
 * wdf_queue.c has the queue itself: what is in it, and on to the driver.
 */
#include "nt/fault.h"
#include "nt/wdf_inside.h"

WDFDEVICE WdfIoQueueGetDevice(WDFQUEUE Queue)
{
    struct wdf_queue *q = WDF_OF(Queue, WDF_KIND_QUEUE);

    return q == NULL ? NULL : (WDFDEVICE)q->device;
}

WDF_IO_QUEUE_STATE WdfIoQueueGetState(WDFQUEUE Queue, PULONG QueueRequests, PULONG DriverRequests)
{
    struct wdf_queue *q = WDF_OF(Queue, WDF_KIND_QUEUE);
    unsigned state = 0;

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (q == NULL)
        return (WDF_IO_QUEUE_STATE)0;
    wdf_lock(&q->o);
    state |= q->accepts ? WdfIoQueueAcceptRequests : 0;
    state |= q->dispatches ? WdfIoQueueDispatchRequests : 0;
    state |= q->queued == 0 ? WdfIoQueueNoRequests : 0;
    state |= q->presented == 0 ? WdfIoQueueDriverNoRequests : 0;
    if (QueueRequests != NULL)
        *QueueRequests = q->queued;
    if (DriverRequests != NULL)
        *DriverRequests = q->presented;
    wdf_unlock(&q->o);
    return (WDF_IO_QUEUE_STATE)state;
}

VOID WdfIoQueueStart(WDFQUEUE Queue)
{
    struct wdf_queue *q = WDF_OF(Queue, WDF_KIND_QUEUE);

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (q == NULL)
        return;
    wdf_lock(&q->o);
    q->accepts = q->dispatches = true;
    PFN_WDF_IO_QUEUE_STATE ready = q->queued > 0 ? q->ready : NULL;
    WDFCONTEXT context = q->ready_context;
    wdf_unlock(&q->o);
    if (ready != NULL && q->config.DispatchType == WdfIoQueueDispatchManual)
        wdf_queue_tell(q, WDF_QUEUE_READY, ready, context);
    wdf_queue_run(q);
}

static void change(struct wdf_queue *q, bool accepts, bool dispatches, bool purge,
                   PFN_WDF_IO_QUEUE_STATE told, WDFCONTEXT context)
{
    wdf_lock(&q->o);
    q->accepts = accepts;
    q->dispatches = dispatches;
    q->idle = told;
    q->idle_context = context;
    q->idle_needs_empty = !accepts;
    wdf_unlock(&q->o);
    if (purge)
        wdf_queue_purge(q, NULL);
    wdf_queue_tell_idle(q);
}

static void wait_idle(struct wdf_queue *q)
{
    wdf_lock(&q->o);
    while (q->presented != 0 || (q->idle_needs_empty && q->queued != 0)) {
        rt_waits_for("a framework queue's requests");
        rt_cond_wait(wdf_room(&q->o)->completed, wdf_room(&q->o)->lock, RT_FOREVER);
    }
    wdf_unlock(&q->o);
    rt_waits_for(NULL);
}

VOID WdfIoQueueStop(WDFQUEUE Queue, PFN_WDF_IO_QUEUE_STATE StopComplete, WDFCONTEXT Context)
{
    struct wdf_queue *q = WDF_OF(Queue, WDF_KIND_QUEUE);

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (q != NULL)
        change(q, true, false, false, StopComplete, Context);
}

VOID WdfIoQueueStopSynchronously(WDFQUEUE Queue)
{
    struct wdf_queue *q = WDF_OF(Queue, WDF_KIND_QUEUE);

    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (q == NULL)
        return;
    change(q, true, false, false, NULL, NULL);
    wait_idle(q);
}

VOID WdfIoQueueDrain(WDFQUEUE Queue, PFN_WDF_IO_QUEUE_STATE DrainComplete, WDFCONTEXT Context)
{
    struct wdf_queue *q = WDF_OF(Queue, WDF_KIND_QUEUE);

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (q != NULL)
        change(q, false, true, false, DrainComplete, Context);
}

VOID WdfIoQueueDrainSynchronously(WDFQUEUE Queue)
{
    struct wdf_queue *q = WDF_OF(Queue, WDF_KIND_QUEUE);

    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (q == NULL)
        return;
    change(q, false, true, false, NULL, NULL);
    wait_idle(q);
}

VOID WdfIoQueuePurge(WDFQUEUE Queue, PFN_WDF_IO_QUEUE_STATE PurgeComplete, WDFCONTEXT Context)
{
    struct wdf_queue *q = WDF_OF(Queue, WDF_KIND_QUEUE);

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (q != NULL)
        change(q, false, true, true, PurgeComplete, Context);
}

VOID WdfIoQueuePurgeSynchronously(WDFQUEUE Queue)
{
    struct wdf_queue *q = WDF_OF(Queue, WDF_KIND_QUEUE);

    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (q == NULL)
        return;
    change(q, false, true, true, NULL, NULL);
    wait_idle(q);
}

/* ---- retrieved
 * ------------------------------------------------------------------------------------------------------ */
static NTSTATUS retrieve(struct wdf_queue *q, const struct wdf_file *file, WDFREQUEST *out)
{
    *out = NULL;
    if (q->config.DispatchType == WdfIoQueueDispatchParallel)
        return STATUS_INVALID_DEVICE_STATE;
    wdf_lock(&q->o);
    bool stopped = !q->dispatches;
    wdf_unlock(&q->o);
    if (stopped)
        return STATUS_WDF_PAUSED;
    *out = (WDFREQUEST)wdf_queue_take(q, file);
    return *out == NULL ? STATUS_NO_MORE_ENTRIES : STATUS_SUCCESS;
}

NTSTATUS WdfIoQueueRetrieveNextRequest(WDFQUEUE Queue, WDFREQUEST *OutRequest)
{
    NT_FAIL_STATUS(WdfIoQueueRetrieveNextRequest);
    struct wdf_queue *q = WDF_OF(Queue, WDF_KIND_QUEUE);

    NT_IRQL_MAX(DISPATCH_LEVEL);
    return q == NULL ? STATUS_INVALID_PARAMETER : retrieve(q, NULL, OutRequest);
}

NTSTATUS WdfIoQueueRetrieveRequestByFileObject(WDFQUEUE Queue, WDFFILEOBJECT FileObject,
                                               WDFREQUEST *OutRequest)
{
    struct wdf_queue *q = WDF_OF(Queue, WDF_KIND_QUEUE);
    struct wdf_file *f = WDF_OF(FileObject, WDF_KIND_FILE);

    NT_IRQL_MAX(DISPATCH_LEVEL);
    return q == NULL || f == NULL ? STATUS_INVALID_PARAMETER : retrieve(q, f, OutRequest);
}

NTSTATUS WdfIoQueueReadyNotify(WDFQUEUE Queue, PFN_WDF_IO_QUEUE_STATE QueueReady, WDFCONTEXT Context)
{
    struct wdf_queue *q = WDF_OF(Queue, WDF_KIND_QUEUE);

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (q == NULL || q->config.DispatchType != WdfIoQueueDispatchManual)
        return STATUS_INVALID_PARAMETER;
    if (QueueReady != NULL && q->ready != NULL)
        return STATUS_INVALID_DEVICE_REQUEST;
    wdf_lock(&q->o);
    q->ready = QueueReady;
    q->ready_context = Context;
    bool now = QueueReady != NULL && q->queued > 0 && q->dispatches;
    wdf_unlock(&q->o);
    if (now)
        wdf_queue_tell(q, WDF_QUEUE_READY, QueueReady, Context);
    return STATUS_SUCCESS;
}
