/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests: an IRP in the framework's clothes. NEW --> QUEUED <--> DRIVER (the driver has it) --> COMPLETED;
 * the object is deleted with its completion (memory objects and contexts with it).
 *
 * A driver that marked its request cancelable loses it to EvtRequestCancel where the IRP is cancelled; it
 * then completes it there. WdfRequestUnmarkCancelable() says STATUS_CANCELLED if that is so.
 */
#include "nt/fault.h"
#include "nt/mdl.h"
#include "nt/wdf_inside.h"

enum { WDF_VIOLATION = 0x10d };

static void request_free(struct wdf_object *o)
{
    struct wdf_request *r = (struct wdf_request *)o;

    if (r->input_mdl != NULL)
        mm_mdl_free(r->input_mdl);
    if (r->output_mdl != NULL)
        mm_mdl_free(r->output_mdl);
    if (r->file != NULL)
        wdf_dereference(&r->file->o);
}

struct wdf_request *wdf_request_make(struct wdf_device *d, IRP *irp)
{
    const WDF_OBJECT_ATTRIBUTES *a =
        d->init.request_attributes.Size == 0 ? NULL : &d->init.request_attributes;
    void *o;

    if (!NT_SUCCESS(wdf_create(d->o.io, WDF_KIND_REQUEST, sizeof(struct wdf_request), a, &d->o, NULL, &o)))
        return NULL;
    struct wdf_request *r = o;
    r->o.free = request_free;
    r->irp = irp;
    r->device = d;
    r->file = wdf_file_find(d, IoGetCurrentIrpStackLocation(irp)->FileObject);
    if (r->file != NULL)
        wdf_reference(&r->file->o);
    irp->Tail.Overlay.DriverContext[0] = r;
    IoMarkIrpPending(irp);
    return r;
}

void wdf_request_complete(struct wdf_request *r, NTSTATUS status, ULONG_PTR information)
{
    struct wdf_queue *q = r->presented ? r->queue : NULL;
    struct wdf_device *d = r->device;
    IRP *irp = r->irp;

    r->state = REQUEST_COMPLETED;
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = information;
    wdf_reference(&d->o);
    if (q != NULL)
        wdf_reference(&q->o);
    if (IoGetCurrentIrpStackLocation(irp)->MajorFunction == IRP_MJ_CREATE && !NT_SUCCESS(status) &&
        r->file != NULL)
        wdf_file_remove(r->file);
    wdf_delete(&r->o); /* its memory and contexts, while the buffers are there */
    IofCompleteRequest(irp, IO_NO_INCREMENT);
    if (q != NULL) {
        wdf_queue_left(q);
        wdf_dereference(&q->o);
    }
    wdf_dereference(&d->o);
}

/* The driver completes it. */
static void complete(WDFREQUEST request, NTSTATUS status, const ULONG_PTR *information, const char *function,
                     const void *site)
{
    struct wdf_request *r = wdf_of(request, WDF_KIND_REQUEST, function, site);

    if (r == NULL)
        return;
    if (r->state != REQUEST_DRIVER) {
        nt_bug(WDF_VIOLATION, NULL, site, "%s: the driver does not have this request", function);
        return;
    }
    if (r->cancel != NULL && r->irp->CancelRoutine != NULL) {
        nt_note(site, "%s: the request is still cancelable", function);
        IoSetCancelRoutine(r->irp, NULL);
    }
    if (status == STATUS_PENDING)
        nt_note(site, "%s: a request is completed with STATUS_PENDING", function);
    wdf_request_complete(r, status, information == NULL ? r->information : *information);
}

VOID WdfRequestComplete(WDFREQUEST Request, NTSTATUS Status)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    complete(Request, Status, NULL, __func__, NT_SITE);
}

VOID WdfRequestCompleteWithInformation(WDFREQUEST Request, NTSTATUS Status, ULONG_PTR Information)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    complete(Request, Status, &Information, __func__, NT_SITE);
}

VOID WdfRequestCompleteWithPriorityBoost(WDFREQUEST Request, NTSTATUS Status, CCHAR PriorityBoost)
{
    (void)PriorityBoost;
    NT_IRQL_MAX(DISPATCH_LEVEL);
    complete(Request, Status, NULL, __func__, NT_SITE);
}

/* ---- what it says
 * ------------------------------------------------------------------------------------------------- */
VOID WdfRequestSetInformation(WDFREQUEST Request, ULONG_PTR Information)
{
    struct wdf_request *r = WDF_OF(Request, WDF_KIND_REQUEST);

    if (r != NULL)
        r->information = Information;
}

ULONG_PTR WdfRequestGetInformation(WDFREQUEST Request)
{
    struct wdf_request *r = WDF_OF(Request, WDF_KIND_REQUEST);

    return r == NULL ? 0 : r->information;
}

NTSTATUS WdfRequestGetStatus(WDFREQUEST Request)
{
    struct wdf_request *r = WDF_OF(Request, WDF_KIND_REQUEST);

    return r == NULL ? STATUS_INVALID_PARAMETER : r->irp->IoStatus.Status;
}

VOID WdfRequestGetParameters(WDFREQUEST Request, PWDF_REQUEST_PARAMETERS Parameters)
{
    struct wdf_request *r = WDF_OF(Request, WDF_KIND_REQUEST);

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (r == NULL)
        return;
    if (Parameters->Size != sizeof *Parameters) {
        nt_note(NT_SITE, "WdfRequestGetParameters: the structure's Size is wrong");
        return;
    }
    const IO_STACK_LOCATION *s = IoGetCurrentIrpStackLocation(r->irp);
    memset(&Parameters->Parameters, 0, sizeof Parameters->Parameters);
    Parameters->MinorFunction = s->MinorFunction;
    Parameters->Type = (WDF_REQUEST_TYPE)s->MajorFunction; /* the numbers are the same */
    switch (s->MajorFunction) {
    case IRP_MJ_CREATE:
        Parameters->Parameters.Create.SecurityContext = s->Parameters.Create.SecurityContext;
        Parameters->Parameters.Create.Options = s->Parameters.Create.Options;
        Parameters->Parameters.Create.FileAttributes = s->Parameters.Create.FileAttributes;
        Parameters->Parameters.Create.ShareAccess = s->Parameters.Create.ShareAccess;
        Parameters->Parameters.Create.EaLength = s->Parameters.Create.EaLength;
        break;
    case IRP_MJ_READ:
        Parameters->Parameters.Read.Length = s->Parameters.Read.Length;
        Parameters->Parameters.Read.Key = s->Parameters.Read.Key;
        Parameters->Parameters.Read.DeviceOffset = s->Parameters.Read.ByteOffset.QuadPart;
        break;
    case IRP_MJ_WRITE:
        Parameters->Parameters.Write.Length = s->Parameters.Write.Length;
        Parameters->Parameters.Write.Key = s->Parameters.Write.Key;
        Parameters->Parameters.Write.DeviceOffset = s->Parameters.Write.ByteOffset.QuadPart;
        break;
    case IRP_MJ_DEVICE_CONTROL:
    case IRP_MJ_INTERNAL_DEVICE_CONTROL:
        Parameters->Parameters.DeviceIoControl.OutputBufferLength =
            s->Parameters.DeviceIoControl.OutputBufferLength;
        Parameters->Parameters.DeviceIoControl.InputBufferLength =
            s->Parameters.DeviceIoControl.InputBufferLength;
        Parameters->Parameters.DeviceIoControl.IoControlCode = s->Parameters.DeviceIoControl.IoControlCode;
        Parameters->Parameters.DeviceIoControl.Type3InputBuffer =
            s->Parameters.DeviceIoControl.Type3InputBuffer;
        break;
    default:
        break;
    }
}

WDFFILEOBJECT WdfRequestGetFileObject(WDFREQUEST Request)
{
    struct wdf_request *r = WDF_OF(Request, WDF_KIND_REQUEST);

    NT_IRQL_MAX(DISPATCH_LEVEL);
    return r == NULL ? NULL : (WDFFILEOBJECT)r->file;
}

WDFQUEUE WdfRequestGetIoQueue(WDFREQUEST Request)
{
    struct wdf_request *r = WDF_OF(Request, WDF_KIND_REQUEST);

    return r == NULL ? NULL : (WDFQUEUE)r->queue;
}

KPROCESSOR_MODE WdfRequestGetRequestorMode(WDFREQUEST Request)
{
    struct wdf_request *r = WDF_OF(Request, WDF_KIND_REQUEST);

    return r == NULL ? KernelMode : r->irp->RequestorMode;
}

PIRP WdfRequestWdmGetIrp(WDFREQUEST Request)
{
    struct wdf_request *r = WDF_OF(Request, WDF_KIND_REQUEST);

    NT_IRQL_MAX(DISPATCH_LEVEL);
    return r == NULL ? NULL : r->irp;
}

/* ---- to another queue
 * ---------------------------------------------------------------------------------------------- */
static NTSTATUS move(struct wdf_request *r, struct wdf_queue *to, bool first)
{
    struct wdf_queue *from = r->presented ? r->queue : NULL;
    bool was = r->presented;

    if (from != NULL)
        wdf_reference(&from->o);
    r->presented = false;
    r->cancel = NULL;
    bool put = wdf_queue_put(to, r, first);
    if (!put)
        r->presented = was;
    else if (from != NULL)
        wdf_queue_left(from);
    if (from != NULL)
        wdf_dereference(&from->o);
    return put ? STATUS_SUCCESS : STATUS_WDF_BUSY;
}

NTSTATUS WdfRequestForwardToIoQueue(WDFREQUEST Request, WDFQUEUE DestinationQueue)
{
    NT_FAIL_STATUS(WdfRequestForwardToIoQueue);
    struct wdf_request *r = WDF_OF(Request, WDF_KIND_REQUEST);
    struct wdf_queue *q = WDF_OF(DestinationQueue, WDF_KIND_QUEUE);

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (r == NULL || q == NULL)
        return STATUS_INVALID_PARAMETER;
    if (r->state != REQUEST_DRIVER || r->irp->CancelRoutine != NULL || q == r->queue ||
        q->device != r->device)
        return STATUS_INVALID_DEVICE_REQUEST;
    return move(r, q, false);
}

NTSTATUS WdfRequestRequeue(WDFREQUEST Request)
{
    struct wdf_request *r = WDF_OF(Request, WDF_KIND_REQUEST);

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (r == NULL || r->state != REQUEST_DRIVER || !r->presented || r->irp->CancelRoutine != NULL ||
        r->queue->config.DispatchType != WdfIoQueueDispatchManual)
        return STATUS_INVALID_DEVICE_REQUEST;
    return move(r, r->queue, true);
}

/* ---- cancelled
 * ------------------------------------------------------------------------------------------------------ */
/* EvtRequestCancel, under the lock of the queue that presented it. */
static void tell_cancelled(struct wdf_request *r, PFN_WDF_REQUEST_CANCEL cancel)
{
    struct wdf_queue *q = r->presented ? r->queue : NULL;
    struct wdf_serial *serial = q != NULL ? wdf_serial_of_queue(q) : NULL;

    if (q != NULL)
        wdf_reference(&q->o); /* its end may come with the request's */
    wdf_serial_enter(serial);
    cancel((WDFREQUEST)r);
    wdf_serial_leave(serial);
    if (q != NULL)
        wdf_dereference(&q->o);
}

static void tell_later(PVOID parameter)
{
    struct wdf_request *r = parameter;
    PFN_WDF_REQUEST_CANCEL cancel = r->cancel;

    r->cancel = NULL;
    tell_cancelled(r, cancel);
    wdf_dereference(&r->o);
}

static void cancel_routine(DEVICE_OBJECT *device, IRP *irp)
{
    struct wdf_request *r = irp->Tail.Overlay.DriverContext[0];
    PFN_WDF_REQUEST_CANCEL cancel = r->cancel;

    (void)device;
    if (r->presented && irp->CancelIrql != PASSIVE_LEVEL && wdf_serial_of_queue(r->queue) != NULL &&
        wdf_serial_of_queue(r->queue)->passive) {
        wdf_reference(&r->o);
        r->work = (WORK_QUEUE_ITEM){.WorkerRoutine = tell_later, .Parameter = r};
        IoReleaseCancelSpinLock(irp->CancelIrql);
        nt_work_queue(r->o.io->d->k, &r->work, DelayedWorkQueue, r->o.io->d->context, NULL);
        return;
    }
    r->cancel = NULL;
    IoReleaseCancelSpinLock(irp->CancelIrql);
    tell_cancelled(r, cancel);
}

/* STATUS_CANCELLED: it was cancelled before, and the callback is not called. */
static NTSTATUS mark(struct wdf_request *r, PFN_WDF_REQUEST_CANCEL cancel)
{
    if (r->state != REQUEST_DRIVER || cancel == NULL)
        return STATUS_INVALID_PARAMETER;
    r->irp->Tail.Overlay.DriverContext[0] = r;
    r->cancel = cancel;
    IoSetCancelRoutine(r->irp, cancel_routine);
    if (r->irp->Cancel && IoSetCancelRoutine(r->irp, NULL) != NULL) {
        r->cancel = NULL;
        return STATUS_CANCELLED;
    }
    return STATUS_SUCCESS;
}

NTSTATUS WdfRequestMarkCancelableEx(WDFREQUEST Request, PFN_WDF_REQUEST_CANCEL EvtRequestCancel)
{
    struct wdf_request *r = WDF_OF(Request, WDF_KIND_REQUEST);

    NT_IRQL_MAX(DISPATCH_LEVEL);
    return r == NULL ? STATUS_INVALID_PARAMETER : mark(r, EvtRequestCancel);
}

VOID WdfRequestMarkCancelable(WDFREQUEST Request, PFN_WDF_REQUEST_CANCEL EvtRequestCancel)
{
    struct wdf_request *r = WDF_OF(Request, WDF_KIND_REQUEST);

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (r != NULL && mark(r, EvtRequestCancel) == STATUS_CANCELLED)
        EvtRequestCancel(Request);
}

NTSTATUS WdfRequestUnmarkCancelable(WDFREQUEST Request)
{
    struct wdf_request *r = WDF_OF(Request, WDF_KIND_REQUEST);

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (r == NULL)
        return STATUS_INVALID_PARAMETER;
    if (IoSetCancelRoutine(r->irp, NULL) != NULL) {
        r->cancel = NULL;
        return STATUS_SUCCESS;
    }
    return r->irp->Cancel ? STATUS_CANCELLED : STATUS_INVALID_DEVICE_REQUEST;
}

BOOLEAN WdfRequestIsCanceled(WDFREQUEST Request)
{
    struct wdf_request *r = WDF_OF(Request, WDF_KIND_REQUEST);

    NT_IRQL_MAX(DISPATCH_LEVEL);
    return r != NULL && r->irp->Cancel;
}

/* Of EvtIoStop, which a device without power states never gets. */
VOID WdfRequestStopAcknowledge(WDFREQUEST Request, BOOLEAN Requeue)
{
    struct wdf_request *r = WDF_OF(Request, WDF_KIND_REQUEST);

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (r != NULL && Requeue && r->presented && r->state == REQUEST_DRIVER)
        move(r, r->queue, true);
}
