/* SPDX-License-Identifier: Apache-2.0 */
/* The driver that is linked into tests of weir.h (linked.h). State stands in its device, so that several engines of a
 * process may each have one. */
#include <ntddk.h>
#include <fwpsk.h>
#include <fwpmk.h>

#include "linked.h"

#define TAG   0x6b6e694c        /* "Link" */
#define NAMED DECLSPEC_NOINLINE /* reports of stacks and call sites are searched for its name */

struct pended {
    LIST_ENTRY link;
    HANDLE context;
    ULONGLONG due;
};

struct state {
    DEVICE_OBJECT *device;
    ULONG number;
    KSPIN_LOCK lock;
    LIST_ENTRY irps, pended;
    KTIMER timer;
    KDPC dpc;
    KTIMER later;
    KDPC later_dpc;
    IRP *later_irp;
    PIO_WORKITEM item, counted;
    volatile LONG count;
    KEVENT never;
    HANDLE engine;
    UINT32 callout, other;
};

static void *volatile left; /* so that what is left is no leak of the test program's */
static const GUID key = {0x2f0a0c1b, 0x77a5, 0x4f0e, {0x93, 0x1f, 0x6a, 0x20, 0x0b, 0x55, 0x9c, 0x01}};
static const GUID other_key = {0x2f0a0c1b, 0x77a5, 0x4f0e, {0x93, 0x1f, 0x6a, 0x20, 0x0b, 0x55, 0x9c, 0x02}};
static UNICODE_STRING name = {28, 30, (WCHAR *)u"\\Device\\Linked"};
static UNICODE_STRING link_name = {36, 38, (WCHAR *)u"\\DosDevices\\Linked"};

void (*linked_hook)(void);
void (*linked_notify)(void);

/* ---- what does not come back --------------------------------------------------------------------------- */

static NAMED void poll(void)
{
    static volatile LONG stop;

    while (InterlockedCompareExchange(&stop, 0, 0) == 0)
        ;
}

static void NTAPI polls(void *context)
{
    (void)context;
    poll();
}

static NTSTATUS begin(KSTART_ROUTINE *routine, struct state *s)
{
    HANDLE thread;
    NTSTATUS status = PsCreateSystemThread(&thread, THREAD_ALL_ACCESS, NULL, NULL, NULL, routine, s);

    if (NT_SUCCESS(status))
        ZwClose(thread);
    return status;
}

/* ---- the callout --------------------------------------------------------------------------------------- */

static IO_WORKITEM_ROUTINE linked_completes, linked_work;

static void linked_completes(DEVICE_OBJECT *device, void *context)
{
    struct state *s = context;
    struct pended *p = NULL;
    KIRQL irql;

    (void)device;
    KeAcquireSpinLock(&s->lock, &irql);
    if (!IsListEmpty(&s->pended))
        p = CONTAINING_RECORD(RemoveHeadList(&s->pended), struct pended, link);
    KeReleaseSpinLock(&s->lock, irql);
    if (p == NULL)
        return;
    FwpsCompleteOperation0(p->context, NULL);
    ExFreePoolWithTag(p, TAG);
}

static void expired(KDPC *dpc, void *context, void *one, void *two)
{
    struct state *s = context;

    (void)dpc;
    (void)one;
    (void)two;
    IoQueueWorkItem(s->item, linked_completes, DelayedWorkQueue, s);
}

static NAMED BOOLEAN hold(struct state *s, HANDLE completion, BOOLEAN keep)
{
    LARGE_INTEGER due = {.QuadPart = -1000000};
    struct pended *p = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof *p, TAG);
    KIRQL irql;

    if (p == NULL)
        return FALSE;
    if (!NT_SUCCESS(FwpsPendOperation0(completion, &p->context))) {
        ExFreePoolWithTag(p, TAG);
        return FALSE;
    }
    if (keep) {
        ExFreePoolWithTag(p, TAG);
        return TRUE;
    }
    KeAcquireSpinLock(&s->lock, &irql);
    InsertTailList(&s->pended, &p->link);
    KeReleaseSpinLock(&s->lock, irql);
    KeSetTimer(&s->timer, due, &s->dpc);
    return TRUE;
}

static void NTAPI classify(const FWPS_INCOMING_VALUES0 *values,
                           const FWPS_INCOMING_METADATA_VALUES0 *metadata, void *layer_data,
                           const void *classify_context, const FWPS_FILTER3 *filter, UINT64 flow_context,
                           FWPS_CLASSIFY_OUT0 *out)
{
    const FWPS_INCOMING_VALUE0 *v = values->incomingValue;
    struct state *s = (struct state *)(ULONG_PTR)filter->context;
    const UINT16 port = v[FWPS_FIELD_ALE_AUTH_CONNECT_V4_IP_REMOTE_PORT].value.uint16;
    const UINT32 flags = v[FWPS_FIELD_ALE_AUTH_CONNECT_V4_FLAGS].value.uint32;

    (void)layer_data;
    (void)classify_context;
    (void)flow_context;
    if ((out->rights & FWPS_RIGHT_ACTION_WRITE) == 0)
        return;
    out->actionType = FWP_ACTION_PERMIT;
    if (port == LINKED_POLLED)
        poll();
    if (port == LINKED_HOOKED)
        linked_hook();
    if (port == LINKED_BLOCKS) {
        DbgPrint("linked: port %u is blocked\n", port);
        out->actionType = FWP_ACTION_BLOCK;
        out->rights &= ~(UINT32)FWPS_RIGHT_ACTION_WRITE;
    } else if ((port == LINKED_PENDS || port == LINKED_KEEPS) &&
               (flags & FWP_CONDITION_FLAG_IS_REAUTHORIZE) == 0 &&
               FWPS_IS_METADATA_FIELD_PRESENT(metadata, FWPS_METADATA_FIELD_COMPLETION_HANDLE)) {
        out->actionType = FWP_ACTION_BLOCK;
        out->rights &= ~(UINT32)FWPS_RIGHT_ACTION_WRITE;
        if (hold(s, metadata->completionHandle, port == LINKED_KEEPS))
            out->flags |= FWPS_CLASSIFY_OUT_FLAG_ABSORB;
    }
}

static NTSTATUS NTAPI notify(FWPS_CALLOUT_NOTIFY_TYPE type, const GUID *filter_key, FWPS_FILTER3 *filter)
{
    (void)type;
    (void)filter_key;
    (void)filter;
    if (linked_notify != NULL)
        linked_notify();
    return STATUS_SUCCESS;
}

int32_t linked_filter(void)
{
    FWPM_CALLOUT0 callout = {.calloutKey = other_key,
                             .displayData.name = (WCHAR *)u"the test's",
                             .applicableLayer = FWPM_LAYER_ALE_AUTH_LISTEN_V4};
    FWPM_FILTER0 filter = {.displayData.name = (WCHAR *)u"the test's",
                           .layerKey = FWPM_LAYER_ALE_AUTH_LISTEN_V4,
                           .action = {.type = FWP_ACTION_CALLOUT_TERMINATING, .calloutKey = other_key}};
    HANDLE session;
    NTSTATUS status = FwpmEngineOpen0(NULL, RPC_C_AUTHN_WINNT, NULL, NULL, &session);

    if (NT_SUCCESS(status))
        status = FwpmCalloutAdd0(session, &callout, NULL, NULL);
    return NT_SUCCESS(status) ? FwpmFilterAdd0(session, &filter, NULL, NULL) : status;
}

/* ---- the device ---------------------------------------------------------------------------------------- */

static void finish(IRP *irp, NTSTATUS status, ULONG_PTR bytes)
{
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = bytes;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
}

static void cancel(DEVICE_OBJECT *device, IRP *irp)
{
    struct state *s = device->DeviceExtension;
    KIRQL before;

    IoReleaseCancelSpinLock(irp->CancelIrql);
    KeAcquireSpinLock(&s->lock, &before);
    RemoveEntryList(&irp->Tail.Overlay.ListEntry);
    KeReleaseSpinLock(&s->lock, before);
    finish(irp, STATUS_CANCELLED, 0);
}

static NTSTATUS wait(struct state *s, IRP *irp)
{
    KIRQL before;

    IoMarkIrpPending(irp);
    KeAcquireSpinLock(&s->lock, &before);
    InsertTailList(&s->irps, &irp->Tail.Overlay.ListEntry);
    IoSetCancelRoutine(irp, cancel);
    KeReleaseSpinLock(&s->lock, before);
    return STATUS_PENDING;
}

static void wake(struct state *s, const void *bytes, ULONG size)
{
    for (;;) {
        IRP *irp = NULL;
        KIRQL before;

        KeAcquireSpinLock(&s->lock, &before);
        if (!IsListEmpty(&s->irps)) {
            irp = CONTAINING_RECORD(s->irps.Flink, IRP, Tail.Overlay.ListEntry);
            if (IoSetCancelRoutine(irp, NULL) != NULL)
                RemoveHeadList(&s->irps);
            else
                irp = NULL; /* it is being cancelled */
        }
        KeReleaseSpinLock(&s->lock, before);
        if (irp == NULL)
            return;
        if (size > IoGetCurrentIrpStackLocation(irp)->Parameters.DeviceIoControl.OutputBufferLength)
            size = IoGetCurrentIrpStackLocation(irp)->Parameters.DeviceIoControl.OutputBufferLength;
        RtlCopyMemory(irp->AssociatedIrp.SystemBuffer, bytes, size);
        finish(irp, STATUS_SUCCESS, size);
    }
}

static void later(KDPC *dpc, void *context, void *one, void *two)
{
    struct state *s = context;
    IRP *irp = s->later_irp;

    (void)dpc;
    (void)one;
    (void)two;
    s->later_irp = NULL;
    finish(irp, STATUS_SUCCESS, 0);
}

static void linked_work(DEVICE_OBJECT *device, void *context)
{
    struct state *s = context;

    (void)device;
    InterlockedIncrement(&s->count);
}

static IO_WORKITEM_ROUTINE linked_again;

static void linked_again(DEVICE_OBJECT *device, void *context)
{
    struct state *s = context;

    (void)device;
    for (volatile ULONG n = 0; n < 1000000; n++)
        ;
    IoQueueWorkItem(s->counted, linked_again, DelayedWorkQueue, s);
}

static void call(struct linked_call *c)
{
    const uint64_t a = c->arguments;

    c->returned = c->function(a, a, a, a, a, a, a, a, a, a, a, a, a, a);
}

static NAMED void spin(void)
{
    volatile ULONG go_on = 1;

    while (go_on)
        ;
}

static volatile ULONG_PTR nowhere = 64;

static NAMED NTSTATUS control(struct state *s, IRP *irp, IO_STACK_LOCATION *at, ULONG_PTR *done)
{
    const ULONG in = at->Parameters.DeviceIoControl.InputBufferLength;
    const ULONG out = at->Parameters.DeviceIoControl.OutputBufferLength;
    UCHAR *bytes = irp->AssociatedIrp.SystemBuffer;
    LARGE_INTEGER due = {.QuadPart = -500000};

    switch (at->Parameters.DeviceIoControl.IoControlCode) {
    case LINKED_ECHO:
        if (out < in)
            return STATUS_BUFFER_TOO_SMALL;
        for (ULONG i = 0; i < in; i++)
            bytes[i] = (UCHAR)~bytes[i];
        *done = in;
        return STATUS_SUCCESS;
    case LINKED_WAIT:
        return wait(s, irp);
    case LINKED_WAKE:
        wake(s, bytes, in);
        return STATUS_SUCCESS;
    case LINKED_LATER:
        IoMarkIrpPending(irp);
        s->later_irp = irp;
        KeSetTimer(&s->later, due, &s->later_dpc);
        return STATUS_PENDING;
    case LINKED_NUMBER:
    case LINKED_COUNT:
        if (out < sizeof(ULONG))
            return STATUS_BUFFER_TOO_SMALL;
        *(ULONG *)bytes =
            at->Parameters.DeviceIoControl.IoControlCode == LINKED_NUMBER ? s->number : (ULONG)s->count;
        *done = sizeof(ULONG);
        return STATUS_SUCCESS;
    case LINKED_LEAK:
        left = ExAllocatePool2(POOL_FLAG_NON_PAGED, 100, TAG);
        return left != NULL ? STATUS_SUCCESS : STATUS_NO_MEMORY;
    case LINKED_SPIN:
        spin();
        return STATUS_SUCCESS;
    case LINKED_CALL:
        call((struct linked_call *)bytes);
        *done = sizeof(struct linked_call);
        return STATUS_SUCCESS;
    case LINKED_WORK:
        IoQueueWorkItem(s->counted, linked_work, DelayedWorkQueue, s);
        return STATUS_SUCCESS;
    case LINKED_AGAIN:
        IoQueueWorkItem(s->counted, linked_again, DelayedWorkQueue, s);
        return STATUS_SUCCESS;
    case LINKED_OTHER: {
        FWPS_CALLOUT3 registered = {.calloutKey = other_key, .classifyFn = classify, .notifyFn = notify};

        return FwpsCalloutRegister3(s->device, &registered, &s->other);
    }
    case LINKED_FAULT:
        *(volatile ULONG *)(ULONG_PTR)nowhere = 1;
        return STATUS_SUCCESS;
    case LINKED_POLL:
        poll();
        return STATUS_SUCCESS;
    case LINKED_POLLS:
        return begin(polls, s);
    case LINKED_STOP:
        KeBugCheckEx(0xe2, 1, 2, 3, 4);
        return STATUS_SUCCESS;
    case LINKED_DEAF:
        return KeWaitForSingleObject(&s->never, Executive, KernelMode, FALSE, NULL);
    default:
        return STATUS_INVALID_DEVICE_REQUEST;
    }
}

static NTSTATUS dispatch(DEVICE_OBJECT *device, IRP *irp)
{
    IO_STACK_LOCATION *at = IoGetCurrentIrpStackLocation(irp);
    NTSTATUS status = STATUS_SUCCESS;
    ULONG_PTR done = 0;

    if (at->MajorFunction == IRP_MJ_DEVICE_CONTROL)
        status = control(device->DeviceExtension, irp, at, &done);
    else if (at->MajorFunction == IRP_MJ_READ)
        done = at->Parameters.Read.Length != 0 ? 1 : 0;
    else if (at->MajorFunction == IRP_MJ_WRITE)
        done = at->Parameters.Write.Length;
    if (status != STATUS_PENDING)
        finish(irp, status, done);
    return status;
}

/* ---- life ---------------------------------------------------------------------------------------------- */

static NTSTATUS add_callout(struct state *s)
{
    FWPM_SESSION0 session = {.flags = FWPM_SESSION_FLAG_DYNAMIC};
    FWPS_CALLOUT3 registered = {.calloutKey = key, .classifyFn = classify, .notifyFn = notify};
    FWPM_CALLOUT0 callout = {.calloutKey = key,
                             .displayData.name = (WCHAR *)u"linked",
                             .applicableLayer = FWPM_LAYER_ALE_AUTH_CONNECT_V4};
    FWPM_FILTER0 filter = {.displayData.name = (WCHAR *)u"by port",
                           .layerKey = FWPM_LAYER_ALE_AUTH_CONNECT_V4,
                           .rawContext = (ULONG_PTR)s,
                           .action = {.type = FWP_ACTION_CALLOUT_TERMINATING, .calloutKey = key}};
    NTSTATUS status = FwpsCalloutRegister3(s->device, &registered, &s->callout);

    if (NT_SUCCESS(status))
        status = FwpmEngineOpen0(NULL, RPC_C_AUTHN_WINNT, NULL, &session, &s->engine);
    if (NT_SUCCESS(status))
        status = FwpmCalloutAdd0(s->engine, &callout, NULL, NULL);
    return NT_SUCCESS(status) ? FwpmFilterAdd0(s->engine, &filter, NULL, NULL) : status;
}

static ULONG read_number(UNICODE_STRING *path)
{
    UNICODE_STRING below = {20, 22, (WCHAR *)u"Parameters"}, value = {12, 14, (WCHAR *)u"Number"};
    UCHAR room[sizeof(KEY_VALUE_PARTIAL_INFORMATION) + 16];
    KEY_VALUE_PARTIAL_INFORMATION *info = (void *)room;
    OBJECT_ATTRIBUTES attributes;
    HANDLE service, parameters;
    ULONG number = 0, size;

    InitializeObjectAttributes(&attributes, path, OBJ_KERNEL_HANDLE, NULL, NULL);
    if (!NT_SUCCESS(ZwOpenKey(&service, KEY_READ, &attributes)))
        return 0;
    InitializeObjectAttributes(&attributes, &below, OBJ_KERNEL_HANDLE, service, NULL);
    if (NT_SUCCESS(ZwOpenKey(&parameters, KEY_READ, &attributes))) {
        if (NT_SUCCESS(
                ZwQueryValueKey(parameters, &value, KeyValuePartialInformation, info, sizeof room, &size)))
            RtlCopyMemory(&number, info->Data, sizeof number);
        ZwClose(parameters);
    }
    ZwClose(service);
    return number;
}

static void stop(struct state *s)
{
    if (s->engine != NULL)
        FwpmEngineClose0(s->engine);
    if (s->callout != 0)
        FwpsCalloutUnregisterById0(s->callout);
    if (s->other != 0)
        FwpsCalloutUnregisterById0(s->other);
    KeCancelTimer(&s->timer);
    KeCancelTimer(&s->later);
    KeFlushQueuedDpcs();
    while (!IsListEmpty(&s->pended))
        linked_completes(s->device, s);
    if (s->item != NULL)
        IoFreeWorkItem(s->item);
    if (s->counted != NULL)
        IoFreeWorkItem(s->counted);
    IoDeleteSymbolicLink(&link_name);
    IoDeleteDevice(s->device);
}

static void unload(DRIVER_OBJECT *driver)
{
    DbgPrint("linked: bye\n");
    stop(driver->DeviceObject->DeviceExtension);
}

int32_t linked_entry(DRIVER_OBJECT *driver, UNICODE_STRING *path)
{
    DEVICE_OBJECT *device;
    struct state *s;
    NTSTATUS status = IoCreateDevice(driver, sizeof *s, &name, FILE_DEVICE_UNKNOWN, 0, FALSE, &device);

    if (!NT_SUCCESS(status))
        return status;
    s = device->DeviceExtension;
    s->device = device;
    KeInitializeSpinLock(&s->lock);
    InitializeListHead(&s->irps);
    InitializeListHead(&s->pended);
    KeInitializeTimer(&s->timer);
    KeInitializeDpc(&s->dpc, expired, s);
    KeInitializeTimer(&s->later);
    KeInitializeDpc(&s->later_dpc, later, s);
    KeInitializeEvent(&s->never, NotificationEvent, FALSE);
    for (ULONG i = 0; i <= IRP_MJ_MAXIMUM_FUNCTION; i++)
        driver->MajorFunction[i] = dispatch;
    device->Flags |= DO_BUFFERED_IO;
    driver->DriverUnload = unload;
    s->number = read_number(path);
    status = IoCreateSymbolicLink(&link_name, &name);
    s->item = IoAllocateWorkItem(device);
    s->counted = IoAllocateWorkItem(device);
    if (NT_SUCCESS(status) && (s->item == NULL || s->counted == NULL))
        status = STATUS_INSUFFICIENT_RESOURCES;
    if (NT_SUCCESS(status))
        status = add_callout(s);
    if (!NT_SUCCESS(status)) {
        stop(s);
        return status;
    }
    device->Flags &= ~(ULONG)DO_DEVICE_INITIALIZING;
    DbgPrint("linked: number %u\n", s->number);
    return status;
}

struct weir_driver *linked_load(struct weir *w)
{
    return weir_driver_with(w, &(struct weir_driver_config){.entry = linked_entry, .name = "linked"});
}
