/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control devices: what WDFDEVICE_INIT collects, the device, and the dispatch routine that turns IRPs into
 * requests, file callbacks (wdf_file.c) and calls to queues.
 *
 *   IRP --preprocess callback?--> create: EvtDeviceFileCreate or success | cleanup, close: the file's
 * callbacks | read, write, control: EvtIoInCallerContext or the queue of that type, else the default queue |
 * shutdown
 *
 * Each IRP that becomes a request is marked pending; the dispatch routine returns STATUS_PENDING then, even
 * if the request was completed meanwhile.
 */
#include <stdlib.h>

#include "nt/fault.h"
#include "nt/text.h"
#include "nt/wdf_inside.h"
#include "wdmsec.h"

/* ---- WDFDEVICE_INIT
 * --------------------------------------------------------------------------------------------- */
PWDFDEVICE_INIT WdfControlDeviceInitAllocate(WDFDRIVER Driver, CONST UNICODE_STRING *SDDLString)
{
    NT_FAIL_NULL(WdfControlDeviceInitAllocate);
    struct wdf_driver *w = WDF_OF(Driver, WDF_KIND_DRIVER);

    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (w == NULL || SDDLString == NULL || SDDLString->Length < 2 * sizeof(WCHAR))
        return NULL;
    struct WDFDEVICE_INIT *init = calloc(1, sizeof *init);
    if (init == NULL)
        return NULL;
    init->io = w->o.io;
    init->type = FILE_DEVICE_UNKNOWN;
    init->characteristics = FILE_DEVICE_SECURE_OPEN;
    init->io_type = WdfDeviceIoBuffered;
    ledger_open(LEDGER_WDF_OBJECT, (uint64_t)(uintptr_t)init, 0, "WDFDEVICE_INIT", NT_SITE);
    return init;
}

static void free_init(PWDFDEVICE_INIT init)
{
    free(init->name);
    free(init);
}

VOID WdfDeviceInitFree(PWDFDEVICE_INIT DeviceInit)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (ledger_close(LEDGER_WDF_OBJECT, (uint64_t)(uintptr_t)DeviceInit, NT_SITE))
        free_init(DeviceInit);
}

NTSTATUS WdfDeviceInitAssignName(PWDFDEVICE_INIT DeviceInit, PCUNICODE_STRING DeviceName)
{
    NT_FAIL_STATUS(WdfDeviceInitAssignName);
    NT_IRQL_MAX(PASSIVE_LEVEL);
    free(DeviceInit->name);
    DeviceInit->name = NULL;
    DeviceInit->name_units = 0;
    if (DeviceName == NULL)
        return STATUS_SUCCESS;
    DeviceInit->name = malloc(DeviceName->Length + sizeof(WCHAR));
    if (DeviceInit->name == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    memcpy(DeviceInit->name, DeviceName->Buffer, DeviceName->Length);
    DeviceInit->name_units = DeviceName->Length / sizeof(WCHAR);
    return STATUS_SUCCESS;
}

/* Who opens a device here has all rights; the form is looked at. */
NTSTATUS WdfDeviceInitAssignSDDLString(PWDFDEVICE_INIT DeviceInit, PCUNICODE_STRING SDDLString)
{
    NT_FAIL_STATUS(WdfDeviceInitAssignSDDLString);
    (void)DeviceInit;
    NT_IRQL_MAX(PASSIVE_LEVEL);
    return SDDLString != NULL && SDDLString->Length < 2 * sizeof(WCHAR) ? STATUS_INVALID_PARAMETER
                                                                        : STATUS_SUCCESS;
}

VOID WdfDeviceInitSetDeviceType(PWDFDEVICE_INIT DeviceInit, DEVICE_TYPE DeviceType)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    DeviceInit->type = DeviceType;
}

/* The class would say under which key of the registry the device's security is. */
VOID WdfDeviceInitSetDeviceClass(PWDFDEVICE_INIT DeviceInit, CONST GUID *DeviceClassGuid)
{
    (void)DeviceInit;
    (void)DeviceClassGuid;
    NT_IRQL_MAX(DISPATCH_LEVEL);
}

VOID WdfDeviceInitSetCharacteristics(PWDFDEVICE_INIT DeviceInit, ULONG DeviceCharacteristics,
                                     BOOLEAN OrInValues)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    DeviceInit->characteristics =
        OrInValues ? DeviceInit->characteristics | DeviceCharacteristics : DeviceCharacteristics;
}

VOID WdfDeviceInitSetExclusive(PWDFDEVICE_INIT DeviceInit, BOOLEAN IsExclusive)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    DeviceInit->exclusive = IsExclusive;
}

VOID WdfDeviceInitSetIoType(PWDFDEVICE_INIT DeviceInit, WDF_DEVICE_IO_TYPE IoType)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    DeviceInit->io_type = IoType;
}

static bool copy_attributes(WDF_OBJECT_ATTRIBUTES *to, const WDF_OBJECT_ATTRIBUTES *from)
{
    if (from == NULL)
        return true;
    *to = *from;
    return from->Size == sizeof *from;
}

VOID WdfDeviceInitSetFileObjectConfig(PWDFDEVICE_INIT DeviceInit, PWDF_FILEOBJECT_CONFIG FileObjectConfig,
                                      PWDF_OBJECT_ATTRIBUTES FileObjectAttributes)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (FileObjectConfig->Size != sizeof *FileObjectConfig ||
        !copy_attributes(&DeviceInit->file_attributes, FileObjectAttributes)) {
        nt_note(NT_SITE, "WdfDeviceInitSetFileObjectConfig: a structure's Size is wrong");
        return;
    }
    DeviceInit->file = *FileObjectConfig;
    DeviceInit->has_file = FileObjectConfig->FileObjectClass != WdfFileObjectNotRequired;
}

VOID WdfDeviceInitSetIoInCallerContextCallback(PWDFDEVICE_INIT DeviceInit,
                                               PFN_WDF_IO_IN_CALLER_CONTEXT EvtIoInCallerContext)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    DeviceInit->in_caller_context = EvtIoInCallerContext;
}

VOID WdfDeviceInitSetRequestAttributes(PWDFDEVICE_INIT DeviceInit, PWDF_OBJECT_ATTRIBUTES RequestAttributes)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (!copy_attributes(&DeviceInit->request_attributes, RequestAttributes))
        nt_note(NT_SITE, "WdfDeviceInitSetRequestAttributes: the attributes' Size is wrong");
}

VOID WdfControlDeviceInitSetShutdownNotification(PWDFDEVICE_INIT DeviceInit,
                                                 PFN_WDF_DEVICE_SHUTDOWN_NOTIFICATION Notification,
                                                 UCHAR Flags)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (Notification == NULL || Flags == 0 ||
        (Flags & ~(WdfDeviceShutdown | WdfDeviceLastChanceShutdown)) != 0) {
        nt_note(NT_SITE, "WdfControlDeviceInitSetShutdownNotification: no callback, or no known flag");
        return;
    }
    DeviceInit->shutdown = Notification;
    DeviceInit->shutdown_flags = Flags;
}

/* Minor functions are those of requests that no control device gets: all of a major one go to the callback.
 */
NTSTATUS WdfDeviceInitAssignWdmIrpPreprocessCallback(
    PWDFDEVICE_INIT DeviceInit, PFN_WDFDEVICE_WDM_IRP_PREPROCESS EvtDeviceWdmIrpPreprocess,
    UCHAR MajorFunction, PUCHAR MinorFunctions, ULONG NumMinorFunctions)
{
    NT_FAIL_STATUS(WdfDeviceInitAssignWdmIrpPreprocessCallback);
    (void)MinorFunctions;
    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (MajorFunction > IRP_MJ_MAXIMUM_FUNCTION || EvtDeviceWdmIrpPreprocess == NULL)
        return STATUS_INVALID_PARAMETER;
    if (NumMinorFunctions != 0)
        return STATUS_NOT_SUPPORTED;
    DeviceInit->preprocess[MajorFunction] = EvtDeviceWdmIrpPreprocess;
    return STATUS_SUCCESS;
}

/* Of devices that a bus driver enumerates; a control device is none. */
NTSTATUS WdfPdoInitAssignRawDevice(PWDFDEVICE_INIT DeviceInit, CONST GUID *DeviceClassGuid)
{
    NT_FAIL_STATUS(WdfPdoInitAssignRawDevice);
    (void)DeviceInit;
    (void)DeviceClassGuid;
    NT_IRQL_MAX(PASSIVE_LEVEL);
    return STATUS_INVALID_PARAMETER;
}

/* ---- the device
 * ------------------------------------------------------------------------------------------------- */
static void device_stop(struct wdf_object *o)
{
    struct wdf_device *d = (struct wdf_device *)o;

    for (size_t i = 0; i < d->link_count; i++) {
        wdf_lock(o);
        io_name_remove_link(wdf_room(o), d->links[i], d->link_units[i]);
        wdf_unlock(o);
        free(d->links[i]);
    }
    d->link_count = 0;
    io_device_of(d->device)->wdf = NULL;
    if (o->io->d->party != NULL) {
        ledger_close_for(o->io->d->party, LEDGER_DEVICE, (uint64_t)(uintptr_t)d->device);
        if (d->init.shutdown != NULL)
            ledger_close_for(o->io->d->party, LEDGER_CALLBACK, (uint64_t)(uintptr_t)d->device);
    }
    io_device_delete(d->device);
}

static void device_free(struct wdf_object *o)
{
    ob_dereference(((struct wdf_device *)o)->device);
}

NTSTATUS WdfDeviceCreate(PWDFDEVICE_INIT *DeviceInit, PWDF_OBJECT_ATTRIBUTES DeviceAttributes,
                         WDFDEVICE *Device)
{
    NT_FAIL_STATUS(WdfDeviceCreate);
    PWDFDEVICE_INIT init = *DeviceInit;
    DEVICE_OBJECT *object;
    void *o;

    NT_IRQL_MAX(PASSIVE_LEVEL);
    *Device = NULL;
    if (init == NULL || !ledger_use(LEDGER_WDF_OBJECT, (uint64_t)(uintptr_t)init, NT_SITE))
        return STATUS_INVALID_PARAMETER;
    if (DeviceAttributes != NULL && DeviceAttributes->ParentObject != NULL)
        return STATUS_INVALID_PARAMETER; /* a control device's is the driver */
    UNICODE_STRING name = {(USHORT)(init->name_units * sizeof(WCHAR)),
                           (USHORT)(init->name_units * sizeof(WCHAR)), init->name};
    NTSTATUS status = io_device_create(init->io->object, 0, init->name == NULL ? NULL : &name, init->type,
                                       init->characteristics, init->exclusive, NT_SITE, &object);
    if (!NT_SUCCESS(status))
        return status;
    status = wdf_create(init->io, WDF_KIND_DEVICE, sizeof(struct wdf_device), DeviceAttributes, init->io->wdf,
                        NT_SITE, &o);
    if (!NT_SUCCESS(status)) {
        ledger_close(LEDGER_DEVICE, (uint64_t)(uintptr_t)object, NT_SITE);
        io_device_delete(object);
        return status;
    }
    struct wdf_device *d = o;
    ob_reference(object);
    d->device = object;
    wdf_serial_init(&d->serial, wdf_passive(&d->o));
    d->o.stop = device_stop;
    d->o.free = device_free;
    d->init = *init;
    d->init.name = NULL;
    object->Flags |= init->io_type == WdfDeviceIoBuffered ? DO_BUFFERED_IO
                     : init->io_type == WdfDeviceIoDirect || init->io_type == WdfDeviceIoBufferedOrDirect
                         ? DO_DIRECT_IO
                         : 0;
    io_device_of(object)->wdf = d;
    if (init->shutdown_flags & WdfDeviceShutdown)
        io_shutdown_register(io_device_of(object), IO_SHUTDOWN_FIRST, NT_SITE);
    if (init->shutdown_flags & WdfDeviceLastChanceShutdown)
        io_shutdown_register(io_device_of(object), IO_SHUTDOWN_LAST_CHANCE, NT_SITE);
    ledger_close(LEDGER_WDF_OBJECT, (uint64_t)(uintptr_t)init, NT_SITE);
    free_init(init);
    *DeviceInit = NULL;
    *Device = (WDFDEVICE)d;
    return STATUS_SUCCESS;
}

VOID WdfControlFinishInitializing(WDFDEVICE Device)
{
    struct wdf_device *d = WDF_OF(Device, WDF_KIND_DEVICE);

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (d != NULL)
        d->device->Flags &= ~(ULONG)DO_DEVICE_INITIALIZING;
}

NTSTATUS WdfDeviceCreateSymbolicLink(WDFDEVICE Device, PCUNICODE_STRING SymbolicLinkName)
{
    NT_FAIL_STATUS(WdfDeviceCreateSymbolicLink);
    struct wdf_device *d = WDF_OF(Device, WDF_KIND_DEVICE);
    const WCHAR *path;
    size_t units;

    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (d == NULL || SymbolicLinkName == NULL)
        return STATUS_INVALID_PARAMETER;
    if (d->link_count == ARRAYSIZE(d->links))
        return STATUS_INSUFFICIENT_RESOURCES;
    WCHAR *copy = malloc(SymbolicLinkName->Length + sizeof(WCHAR));
    if (copy == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    memcpy(copy, SymbolicLinkName->Buffer, SymbolicLinkName->Length);
    wdf_lock(&d->o);
    NTSTATUS status = STATUS_INVALID_DEVICE_REQUEST; /* it has no name */
    if (io_name_of_device(wdf_room(&d->o), io_device_of(d->device), &path, &units))
        status = io_name_add(wdf_room(&d->o), copy, SymbolicLinkName->Length / sizeof(WCHAR), IO_NAME_LINK,
                             NULL, path, units);
    wdf_unlock(&d->o);
    if (!NT_SUCCESS(status)) {
        free(copy);
        return status;
    }
    d->links[d->link_count] = copy;
    d->link_units[d->link_count++] = SymbolicLinkName->Length / sizeof(WCHAR);
    return status;
}

PDEVICE_OBJECT WdfDeviceWdmGetDeviceObject(WDFDEVICE Device)
{
    struct wdf_device *d = WDF_OF(Device, WDF_KIND_DEVICE);

    NT_IRQL_MAX(DISPATCH_LEVEL);
    return d == NULL ? NULL : d->device;
}

WDFDEVICE WdfWdmDeviceGetWdfDeviceHandle(PDEVICE_OBJECT DeviceObject)
{
    struct io_device *device = io_device_of(DeviceObject);

    return device == NULL ? NULL : device->wdf;
}

WDFDRIVER WdfDeviceGetDriver(WDFDEVICE Device)
{
    struct wdf_device *d = WDF_OF(Device, WDF_KIND_DEVICE);

    NT_IRQL_MAX(DISPATCH_LEVEL);
    return d == NULL ? NULL : (WDFDRIVER)d->o.io->wdf;
}

NTSTATUS WdfDeviceRetrieveDeviceName(WDFDEVICE Device, WDFSTRING String)
{
    NT_FAIL_STATUS(WdfDeviceRetrieveDeviceName);
    struct wdf_device *d = WDF_OF(Device, WDF_KIND_DEVICE);
    struct wdf_string *s = WDF_OF(String, WDF_KIND_STRING);
    NTSTATUS status = STATUS_INVALID_DEVICE_STATE;
    const WCHAR *path;
    size_t units;

    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (d == NULL || s == NULL)
        return STATUS_INVALID_PARAMETER;
    wdf_lock(&d->o);
    if (io_name_of_device(wdf_room(&d->o), io_device_of(d->device), &path, &units))
        status = wdf_string_set(s, path, units);
    wdf_unlock(&d->o);
    return status;
}

ULONG WdfDeviceGetCharacteristics(WDFDEVICE Device)
{
    struct wdf_device *d = WDF_OF(Device, WDF_KIND_DEVICE);

    return d == NULL ? 0 : d->device->Characteristics;
}

VOID WdfDeviceSetCharacteristics(WDFDEVICE Device, ULONG DeviceCharacteristics)
{
    struct wdf_device *d = WDF_OF(Device, WDF_KIND_DEVICE);

    if (d != NULL)
        d->device->Characteristics = DeviceCharacteristics;
}

WDFQUEUE WdfDeviceGetDefaultQueue(WDFDEVICE Device)
{
    struct wdf_device *d = WDF_OF(Device, WDF_KIND_DEVICE);

    return d == NULL ? NULL : (WDFQUEUE)d->default_queue;
}

NTSTATUS WdfDeviceConfigureRequestDispatching(WDFDEVICE Device, WDFQUEUE Queue, WDF_REQUEST_TYPE RequestType)
{
    struct wdf_device *d = WDF_OF(Device, WDF_KIND_DEVICE);
    struct wdf_queue *q = WDF_OF(Queue, WDF_KIND_QUEUE);

    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (d == NULL || q == NULL || q->device != d)
        return STATUS_INVALID_PARAMETER;
    if (RequestType != WdfRequestTypeCreate && RequestType != WdfRequestTypeRead &&
        RequestType != WdfRequestTypeWrite && RequestType != WdfRequestTypeDeviceControl &&
        RequestType != WdfRequestTypeDeviceControlInternal)
        return STATUS_INVALID_PARAMETER;
    if (d->queues[RequestType] != NULL)
        return STATUS_UNSUCCESSFUL; /* it has one for this type */
    d->queues[RequestType] = q;
    return STATUS_SUCCESS;
}

/* ---- dispatch
 * --------------------------------------------------------------------------------------------------- */
static NTSTATUS finish(IRP *irp, NTSTATUS status)
{
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = 0;
    IofCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

static NTSTATUS to_queue(struct wdf_device *d, struct wdf_request *r)
{
    uint8_t major = IoGetCurrentIrpStackLocation(r->irp)->MajorFunction;
    struct wdf_queue *q =
        major < ARRAYSIZE(d->queues) && d->queues[major] != NULL ? d->queues[major] : d->default_queue;

    if (q == NULL)
        return STATUS_INVALID_DEVICE_REQUEST;
    return wdf_queue_put(q, r, false) ? STATUS_SUCCESS : STATUS_INVALID_DEVICE_STATE;
}

static NTSTATUS create(struct wdf_device *d, IRP *irp)
{
    struct wdf_file *f = NULL;

    if (d->init.has_file) {
        NTSTATUS status = wdf_file_add(d, IoGetCurrentIrpStackLocation(irp)->FileObject, &f);
        if (!NT_SUCCESS(status))
            return finish(irp, status);
    }
    if (d->init.file.EvtDeviceFileCreate == NULL && d->queues[WdfRequestTypeCreate] == NULL)
        return finish(irp, STATUS_SUCCESS);
    struct wdf_request *r = wdf_request_make(d, irp);
    if (r == NULL) {
        if (f != NULL)
            wdf_file_remove(f);
        return finish(irp, STATUS_INSUFFICIENT_RESOURCES);
    }
    if (d->init.file.EvtDeviceFileCreate != NULL) {
        r->state = REQUEST_DRIVER;
        wdf_serial_enter(wdf_serial_of_files(d));
        d->init.file.EvtDeviceFileCreate((WDFDEVICE)d, (WDFREQUEST)r, (WDFFILEOBJECT)f);
        wdf_serial_leave(wdf_serial_of_files(d));
    } else {
        NTSTATUS status = to_queue(d, r);
        if (!NT_SUCCESS(status))
            wdf_request_complete(r, status, 0);
    }
    return STATUS_PENDING;
}

static NTSTATUS dispatch(struct wdf_device *d, IRP *irp)
{
    IO_STACK_LOCATION *stack = IoGetCurrentIrpStackLocation(irp);
    struct wdf_file *f;
    struct wdf_request *r;
    NTSTATUS status;

    switch (stack->MajorFunction) {
    case IRP_MJ_CREATE:
        return create(d, irp);
    case IRP_MJ_CLEANUP:
        f = wdf_file_find(d, stack->FileObject);
        if (f != NULL) {
            wdf_queue_cancel_file(d, f);
            wdf_file_told(d, d->init.file.EvtFileCleanup, f);
        }
        return finish(irp, STATUS_SUCCESS);
    case IRP_MJ_CLOSE:
        f = wdf_file_find(d, stack->FileObject);
        if (f != NULL) {
            wdf_file_told(d, d->init.file.EvtFileClose, f);
            wdf_file_remove(f);
        }
        return finish(irp, STATUS_SUCCESS);
    case IRP_MJ_SHUTDOWN:
        if (d->init.shutdown != NULL)
            d->init.shutdown((WDFDEVICE)d);
        return finish(irp, STATUS_SUCCESS);
    case IRP_MJ_READ:
    case IRP_MJ_WRITE:
    case IRP_MJ_DEVICE_CONTROL:
    case IRP_MJ_INTERNAL_DEVICE_CONTROL:
        r = wdf_request_make(d, irp);
        if (r == NULL)
            return finish(irp, STATUS_INSUFFICIENT_RESOURCES);
        if (d->init.in_caller_context != NULL) {
            r->state = REQUEST_DRIVER;
            d->init.in_caller_context((WDFDEVICE)d, (WDFREQUEST)r);
            return STATUS_PENDING;
        }
        status = to_queue(d, r);
        if (!NT_SUCCESS(status))
            wdf_request_complete(r, status, 0);
        return STATUS_PENDING;
    default:
        return finish(irp, STATUS_INVALID_DEVICE_REQUEST);
    }
}

/* The device is kept while one of its callbacks runs. */
NTSTATUS wdf_dispatch(DEVICE_OBJECT *device, IRP *irp)
{
    struct io_device *io = io_device_of(device);
    uint8_t major = IoGetCurrentIrpStackLocation(irp)->MajorFunction;
    struct wdf_device *d = NULL;

    rt_mutex_lock(io->io->lock);
    if (io->wdf != NULL) {
        d = io->wdf;
        d->o.references++;
    }
    rt_mutex_unlock(io->io->lock);
    if (d == NULL) /* of a device that is being deleted, or that the framework has not made */
        return finish(irp, major == IRP_MJ_CLOSE || major == IRP_MJ_CLEANUP ? STATUS_SUCCESS
                                                                            : STATUS_INVALID_DEVICE_REQUEST);
    NTSTATUS status =
        d->init.preprocess[major] != NULL ? d->init.preprocess[major]((WDFDEVICE)d, irp) : dispatch(d, irp);
    wdf_dereference(&d->o);
    return status;
}

NTSTATUS WdfDeviceWdmDispatchPreprocessedIrp(WDFDEVICE Device, PIRP Irp)
{
    struct wdf_device *d = WDF_OF(Device, WDF_KIND_DEVICE);

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (d == NULL)
        return STATUS_INVALID_PARAMETER;
    if (Irp->CurrentLocation <= 1)
        return finish(Irp, STATUS_INVALID_DEVICE_REQUEST);
    IoSetNextIrpStackLocation(Irp); /* IoSkipCurrentIrpStackLocation() came before */
    return dispatch(d, Irp);
}

NTSTATUS WdfDeviceEnqueueRequest(WDFDEVICE Device, WDFREQUEST Request)
{
    struct wdf_device *d = WDF_OF(Device, WDF_KIND_DEVICE);
    struct wdf_request *r = WDF_OF(Request, WDF_KIND_REQUEST);

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (d == NULL || r == NULL || r->device != d || r->state != REQUEST_DRIVER || r->presented)
        return STATUS_INVALID_PARAMETER;
    return to_queue(d, r);
}
