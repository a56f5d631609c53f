/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a filter means stands in its provider context, and what it has seen in its own: a program adds filters with a
 * provider context of struct contexts_rule each; notifyFn makes a counter for each filter (FWPS_FILTER.context) and frees it
 * when the filter goes. classifyFn does as the rule says and counts there. Read from \\.\Contexts: struct contexts_total.
 *
 * DriverEntry adds no policy itself: a work item does, when the filter engine runs, with a transaction: the callouts'
 * objects and a sublayer, which programs' filters refer to; they stay. At the end callouts go by id; a flow
 * that carries a context makes that STATUS_DEVICE_BUSY: the contexts are removed, and it is tried again.
 *
 *   DriverEntry --IoQueueWorkItem--> arrive: FwpmEngineOpen, callouts, sublayer --> notifyFn: ADD_FILTER, ..., DELETE_FILTER
 *   Unload: the work item is waited for; contexts are removed; callouts go
 */
#include <initguid.h>

#include "../../drivers/common/kernel.h"
#include "hosted.h"

#define CONTEXTS_TAG 'txtC'
#define FLOWS        64 /* that are counted at a time */

DEFINE_GUID(CONTEXTS_CONNECT, 0x7b40a1c2, 0x11d8, 0x4c5e, 0x90, 0x3d, 0xe1, 0x62, 0x58, 0x0f, 0xaa, 1);
DEFINE_GUID(CONTEXTS_STREAM, 0x7b40a1c2, 0x11d8, 0x4c5e, 0x90, 0x3d, 0xe1, 0x62, 0x58, 0x0f, 0xaa, 2);
DEFINE_GUID(CONTEXTS_SUBLAYER, 0x7b40a1c2, 0x11d8, 0x4c5e, 0x90, 0x3d, 0xe1, 0x62, 0x58, 0x0f, 0xaa, 3);

/* Of a filter. Referred to by it and by each flow that it gave a context. */
struct counter {
    LIST_ENTRY link;
    volatile LONG users;
    volatile LONG64 asked, bytes;
};

struct flow {
    UINT64 id; /* 0: the place is free */
    struct counter *counter;
};

static struct {
    DEVICE_OBJECT *device;
    PIO_WORKITEM work;
    KEVENT arrived; /* the work item has run */
    HANDLE engine;
    UINT32 connect, stream;
    volatile LONG filters, counters, busy;
    volatile LONG64 asked, bytes;
    KSPIN_LOCK lock;       /* guards flows and the list */
    LIST_ENTRY of_filters; /* counters whose filters are there */
    struct flow flows[FLOWS];
} contexts;

static UNICODE_STRING device_name = RTL_CONSTANT_STRING(L"\\Device\\Contexts");
static UNICODE_STRING link_name = RTL_CONSTANT_STRING(L"\\DosDevices\\Contexts");

static void counter_release(struct counter *c)
{
    if (InterlockedDecrement(&c->users) != 0)
        return;
    ExFreePoolWithTag(c, CONTEXTS_TAG);
    InterlockedDecrement(&contexts.counters);
}

/* ---- filters ------------------------------------------------------------------------------------------- */

static const struct contexts_rule *rule_of(const FWPS_FILTER *filter)
{
    const FWPM_PROVIDER_CONTEXT *context = filter->providerContext;

    if (context == NULL || context->type != FWPM_GENERAL_CONTEXT || context->dataBuffer == NULL ||
        context->dataBuffer->size != sizeof(struct contexts_rule))
        return NULL;
    return (const struct contexts_rule *)context->dataBuffer->data;
}

static NTSTATUS NTAPI notify(FWPS_CALLOUT_NOTIFY_TYPE type, const GUID *key, FWPS_FILTER *filter)
{
    KLOCK_QUEUE_HANDLE held;
    struct counter *c;

    UNREFERENCED_PARAMETER(key);
    if (type == FWPS_CALLOUT_NOTIFY_ADD_FILTER) {
        if (rule_of(filter) == NULL)
            return STATUS_INVALID_PARAMETER; /* the filter is refused */
        c = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof *c, CONTEXTS_TAG);
        if (c == NULL)
            return STATUS_INSUFFICIENT_RESOURCES;
        c->users = 1;
        KeAcquireInStackQueuedSpinLock(&contexts.lock, &held);
        InsertTailList(&contexts.of_filters, &c->link);
        KeReleaseInStackQueuedSpinLock(&held);
        filter->context = (UINT64)(ULONG_PTR)c;
        InterlockedIncrement(&contexts.counters);
        InterlockedIncrement(&contexts.filters);
    } else if (type == FWPS_CALLOUT_NOTIFY_DELETE_FILTER && filter->context != 0) {
        c = (struct counter *)(ULONG_PTR)filter->context;
        KeAcquireInStackQueuedSpinLock(&contexts.lock, &held);
        RemoveEntryList(&c->link);
        KeReleaseInStackQueuedSpinLock(&held);
        InterlockedDecrement(&contexts.filters);
        counter_release(c);
    }
    return STATUS_SUCCESS;
}

/* Filters that outlive the callout are not told of: their contexts are the driver's to free. */
static void drop_counters(void)
{
    while (!IsListEmpty(&contexts.of_filters))
        counter_release(CONTAINING_RECORD(RemoveHeadList(&contexts.of_filters), struct counter, link));
}

/* ---- flows --------------------------------------------------------------------------------------------- */

/* A place; NULL: there are too many. */
static struct flow *flow_keep(UINT64 id, struct counter *c)
{
    struct flow *kept = NULL;
    KLOCK_QUEUE_HANDLE held;

    KeAcquireInStackQueuedSpinLock(&contexts.lock, &held);
    for (ULONG i = 0; i < FLOWS && kept == NULL; i++)
        if (contexts.flows[i].id == 0)
            kept = &contexts.flows[i];
    if (kept != NULL) {
        kept->id = id;
        kept->counter = c;
    }
    KeReleaseInStackQueuedSpinLock(&held);
    return kept;
}

static void flow_drop(struct flow *flow)
{
    struct counter *c = flow->counter;
    KLOCK_QUEUE_HANDLE held;

    KeAcquireInStackQueuedSpinLock(&contexts.lock, &held);
    flow->id = 0;
    KeReleaseInStackQueuedSpinLock(&held);
    counter_release(c);
}

static void NTAPI deleted(UINT16 layer, UINT32 callout, UINT64 context)
{
    UNREFERENCED_PARAMETER(layer);
    UNREFERENCED_PARAMETER(callout);
    flow_drop((struct flow *)(ULONG_PTR)context);
}

static void NTAPI connects(const FWPS_INCOMING_VALUES *values, const FWPS_INCOMING_METADATA_VALUES *metadata,
                           void *layer_data, const void *context, const FWPS_FILTER *filter,
                           UINT64 flow_context, FWPS_CLASSIFY_OUT *out)
{
    const struct contexts_rule *rule = rule_of(filter);
    struct counter *c = (struct counter *)(ULONG_PTR)filter->context;
    struct flow *flow;
    NTSTATUS status;

    UNREFERENCED_PARAMETER(values);
    UNREFERENCED_PARAMETER(layer_data);
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(flow_context);
    out->actionType = FWP_ACTION_CONTINUE;
    if (rule == NULL || c == NULL)
        return;
    InterlockedIncrement64(&c->asked);
    InterlockedIncrement64(&contexts.asked);
    out->actionType = rule->block ? FWP_ACTION_BLOCK : FWP_ACTION_PERMIT;
    if (rule->block || !FWPS_IS_METADATA_FIELD_PRESENT(metadata, FWPS_METADATA_FIELD_FLOW_HANDLE))
        return;
    InterlockedIncrement(&c->users);
    flow = flow_keep(metadata->flowHandle, c);
    if (flow == NULL) {
        counter_release(c);
        return;
    }
    status = FwpsFlowAssociateContext(metadata->flowHandle, FWPS_LAYER_STREAM_V4, contexts.stream,
                                      (UINT64)(ULONG_PTR)flow);
    if (status != STATUS_SUCCESS) /* also where it has one already: NT_SUCCESS() is true then */
        flow_drop(flow);
}

static void NTAPI streams(const FWPS_INCOMING_VALUES *values, const FWPS_INCOMING_METADATA_VALUES *metadata,
                          void *layer_data, const void *context, const FWPS_FILTER *filter,
                          UINT64 flow_context, FWPS_CLASSIFY_OUT *out)
{
    const FWPS_STREAM_CALLOUT_IO_PACKET *io = layer_data;
    const struct flow *flow = (const struct flow *)(ULONG_PTR)flow_context;

    UNREFERENCED_PARAMETER(values);
    UNREFERENCED_PARAMETER(metadata);
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(filter);
    out->actionType = FWP_ACTION_CONTINUE;
    if (flow == NULL)
        return;
    InterlockedAdd64(&flow->counter->bytes, (LONG64)io->streamData->dataLength);
    InterlockedAdd64(&contexts.bytes, (LONG64)io->streamData->dataLength);
}

/* ---- policy, when the engine is there ------------------------------------------------------------------ */

static NTSTATUS register_one(const GUID *key, FWPS_CALLOUT_CLASSIFY_FN classify,
                             FWPS_CALLOUT_FLOW_DELETE_NOTIFY_FN0 deletes, UINT32 *id)
{
    FWPS_CALLOUT callout = {0};

    callout.calloutKey = *key;
    callout.flags = deletes != NULL ? FWP_CALLOUT_FLAG_CONDITIONAL_ON_FLOW : 0;
    callout.classifyFn = classify;
    callout.notifyFn = notify;
    callout.flowDeleteFn = deletes;
    return FwpsCalloutRegister(contexts.device, &callout, id);
}

static NTSTATUS add_objects(void)
{
    FWPM_SUBLAYER sublayer = {0};
    FWPM_CALLOUT callout = {0};
    NTSTATUS status;

    sublayer.subLayerKey = CONTEXTS_SUBLAYER;
    sublayer.displayData.name = L"Contexts";
    sublayer.weight = 0x4000;
    status = FwpmSubLayerAdd(contexts.engine, &sublayer, NULL);
    callout.displayData.name = L"Contexts";
    callout.flags = FWPM_CALLOUT_FLAG_USES_PROVIDER_CONTEXT;
    callout.calloutKey = CONTEXTS_CONNECT;
    callout.applicableLayer = FWPM_LAYER_ALE_AUTH_CONNECT_V4;
    if (NT_SUCCESS(status))
        status = FwpmCalloutAdd(contexts.engine, &callout, NULL, NULL);
    callout.calloutKey = CONTEXTS_STREAM;
    callout.applicableLayer = FWPM_LAYER_STREAM_V4;
    if (NT_SUCCESS(status))
        status = FwpmCalloutAdd(contexts.engine, &callout, NULL, NULL);
    return status;
}

static VOID NTAPI arrive(DEVICE_OBJECT *device, PVOID unused)
{
    FWPM_SESSION session = {0};
    NTSTATUS status;

    UNREFERENCED_PARAMETER(device);
    UNREFERENCED_PARAMETER(unused);
    session.displayData.name = L"Contexts";
    status = FwpmBfeStateGet() == FWPM_SERVICE_RUNNING
                 ? FwpmEngineOpen(NULL, RPC_C_AUTHN_WINNT, NULL, &session, &contexts.engine)
                 : STATUS_FWP_TCPIP_NOT_READY;
    if (NT_SUCCESS(status))
        status = FwpmTransactionBegin(contexts.engine, 0);
    if (NT_SUCCESS(status)) {
        status = add_objects();
        if (NT_SUCCESS(status))
            status = FwpmTransactionCommit(contexts.engine);
        else
            FwpmTransactionAbort(contexts.engine);
    }
    if (!NT_SUCCESS(status))
        DbgPrint("contexts: 0x%08x\n", status);
    KeSetEvent(&contexts.arrived, IO_NO_INCREMENT, FALSE);
}

/* ---- begin and end ------------------------------------------------------------------------------------- */

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD Unload;
static DRIVER_DISPATCH opens, reads;

static NTSTATUS finish(IRP *irp, NTSTATUS status, ULONG_PTR bytes)
{
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = bytes;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

static NTSTATUS NTAPI opens(DEVICE_OBJECT *device, IRP *irp)
{
    UNREFERENCED_PARAMETER(device);
    return finish(irp, STATUS_SUCCESS, 0);
}

static NTSTATUS NTAPI reads(DEVICE_OBJECT *device, IRP *irp)
{
    struct contexts_total total = {0};

    UNREFERENCED_PARAMETER(device);
    if (IoGetCurrentIrpStackLocation(irp)->Parameters.Read.Length < sizeof total)
        return finish(irp, STATUS_BUFFER_TOO_SMALL, 0);
    total.filters = (UINT32)ReadNoFence(&contexts.filters);
    total.counters = (UINT32)ReadNoFence(&contexts.counters);
    total.asked = (UINT64)ReadNoFence64(&contexts.asked);
    total.bytes = (UINT64)ReadNoFence64(&contexts.bytes);
    RtlCopyMemory(irp->AssociatedIrp.SystemBuffer, &total, sizeof total);
    return finish(irp, STATUS_SUCCESS, sizeof total);
}

/* A context at a time, without the lock: flowDeleteFn takes it. */
static void remove_contexts(void)
{
    for (ULONG i = 0; i < FLOWS; i++) {
        const UINT64 id = contexts.flows[i].id;

        if (id != 0)
            FwpsFlowRemoveContext(id, FWPS_LAYER_STREAM_V4, contexts.stream);
    }
}

static void unregister(UINT32 id)
{
    LARGE_INTEGER pause;
    NTSTATUS status;

    pause.QuadPart = -10 * 1000 * 10; /* 10 ms */
    while (id != 0) {
        status = FwpsCalloutUnregisterById(id);
        if (status != STATUS_DEVICE_BUSY && status != STATUS_FWP_IN_USE)
            return;
        InterlockedIncrement(&contexts.busy);
        remove_contexts();
        KeDelayExecutionThread(KernelMode, FALSE, &pause);
    }
}

static void close_all(void)
{
    if (contexts.engine != NULL)
        FwpmEngineClose(contexts.engine);
    unregister(contexts.connect);
    unregister(contexts.stream);
    drop_counters();
    if (contexts.work != NULL)
        IoFreeWorkItem(contexts.work);
    IoDeleteSymbolicLink(&link_name);
    IoDeleteDevice(contexts.device);
}

static VOID NTAPI Unload(DRIVER_OBJECT *driver)
{
    UNREFERENCED_PARAMETER(driver);
    KeWaitForSingleObject(&contexts.arrived, Executive, KernelMode, FALSE, NULL);
    close_all();
    DbgPrint("contexts: busy %d, %d counters left\n", contexts.busy, contexts.counters);
}

NTSTATUS NTAPI DriverEntry(DRIVER_OBJECT *driver, UNICODE_STRING *path)
{
    NTSTATUS status;

    UNREFERENCED_PARAMETER(path);
    KeInitializeSpinLock(&contexts.lock);
    InitializeListHead(&contexts.of_filters);
    KeInitializeEvent(&contexts.arrived, NotificationEvent, FALSE);
    driver->DriverUnload = Unload;
    driver->MajorFunction[IRP_MJ_CREATE] = opens;
    driver->MajorFunction[IRP_MJ_CLOSE] = opens;
    driver->MajorFunction[IRP_MJ_READ] = reads;
    status = IoCreateDevice(driver, 0, &device_name, FILE_DEVICE_NETWORK, FILE_DEVICE_SECURE_OPEN, FALSE,
                            &contexts.device);
    if (!NT_SUCCESS(status))
        return status;
    contexts.device->Flags |= DO_BUFFERED_IO;
    status = IoCreateSymbolicLink(&link_name, &device_name);
    if (NT_SUCCESS(status)) {
        contexts.work = IoAllocateWorkItem(contexts.device);
        status = contexts.work != NULL ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
    }
    if (NT_SUCCESS(status))
        status = register_one(&CONTEXTS_CONNECT, connects, NULL, &contexts.connect);
    if (NT_SUCCESS(status))
        status = register_one(&CONTEXTS_STREAM, streams, deleted, &contexts.stream);
    if (!NT_SUCCESS(status)) {
        close_all();
        return status;
    }
    IoQueueWorkItem(contexts.work, arrive, DelayedWorkQueue, NULL);
    return status;
}
