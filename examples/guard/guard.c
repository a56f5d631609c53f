/* SPDX-License-Identifier: Apache-2.0 */
/* guard: holds each new TCP connection for a tenth of a second, while somebody decides; telnet is refused. */
#define NDIS_SUPPORT_NDIS6 1
#define INITGUID
#include <ntddk.h>
#include <fwpsk.h>
#include <fwpmk.h>

#define GUARD_TAG 'draG'

/* A connection that waits: made by classify_connect(), ended by decided(). */
struct question {
    LIST_ENTRY link;
    UINT64 endpoint;
    HANDLE completion;
    KTIMER timer;
    KDPC dpc;
};

DEFINE_GUID(GUARD_CONNECT, 0x8c1f6d4e, 0x2a57, 0x4c7b, 0x9e, 0x30, 0x51, 0x0b, 0x7d, 0x0e, 0x6a, 0x01);
DEFINE_GUID(GUARD_CLOSURE, 0x8c1f6d4e, 0x2a57, 0x4c7b, 0x9e, 0x30, 0x51, 0x0b, 0x7d, 0x0e, 0x6a, 0x02);

static DEVICE_OBJECT *device;
static HANDLE engine;
static UINT32 connect_id, closure_id;
static KSPIN_LOCK lock;
static LIST_ENTRY questions;

/* The time is over: the connect goes on, and its layer is asked once more (classify_connect, reauthorization). */
static KDEFERRED_ROUTINE decided;
static VOID decided(KDPC *dpc, PVOID context, PVOID unused1, PVOID unused2)
{
    struct question *question = context;
    KLOCK_QUEUE_HANDLE held;

    UNREFERENCED_PARAMETER(dpc);
    UNREFERENCED_PARAMETER(unused1);
    UNREFERENCED_PARAMETER(unused2);
    KeAcquireInStackQueuedSpinLock(&lock, &held);
    RemoveEntryList(&question->link);
    KeReleaseInStackQueuedSpinLock(&held);
    FwpsCompleteOperation(question->completion, NULL);
    ExFreePoolWithTag(question, GUARD_TAG);
}

static NTSTATUS ask(const FWPS_INCOMING_METADATA_VALUES *metadata)
{
    struct question *question = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof *question, GUARD_TAG);
    LARGE_INTEGER due;
    KLOCK_QUEUE_HANDLE held;
    NTSTATUS status;

    if (question == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    status = FwpsPendOperation(metadata->completionHandle, &question->completion);
    if (!NT_SUCCESS(status)) {
        ExFreePoolWithTag(question, GUARD_TAG);
        return status;
    }
    question->endpoint = metadata->transportEndpointHandle;
    KeInitializeTimer(&question->timer);
    KeInitializeDpc(&question->dpc, decided, question);
    due.QuadPart = -100 * 10000LL;
    KeAcquireInStackQueuedSpinLock(&lock, &held);
    InsertTailList(&questions, &question->link);
    KeSetTimer(&question->timer, due, &question->dpc);
    KeReleaseInStackQueuedSpinLock(&held);
    return STATUS_SUCCESS;
}

static void NTAPI classify_connect(const FWPS_INCOMING_VALUES *values,
                                   const FWPS_INCOMING_METADATA_VALUES *metadata, void *data,
                                   const void *context, const FWPS_FILTER *filter, UINT64 flow_context,
                                   FWPS_CLASSIFY_OUT *out)
{
    UINT32 flags = values->incomingValue[FWPS_FIELD_ALE_AUTH_CONNECT_V4_FLAGS].value.uint32;
    UINT16 port = values->incomingValue[FWPS_FIELD_ALE_AUTH_CONNECT_V4_IP_REMOTE_PORT].value.uint16;

    UNREFERENCED_PARAMETER(data);
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(filter);
    UNREFERENCED_PARAMETER(flow_context);
    if ((out->rights & FWPS_RIGHT_ACTION_WRITE) == 0)
        return;
    if ((flags & FWP_CONDITION_FLAG_IS_REAUTHORIZE) != 0 && port != 23) {
        out->actionType = FWP_ACTION_PERMIT;
        return;
    }
    if ((flags & FWP_CONDITION_FLAG_IS_REAUTHORIZE) == 0 && NT_SUCCESS(ask(metadata)))
        out->flags |= FWPS_CLASSIFY_OUT_FLAG_ABSORB;
    out->actionType = FWP_ACTION_BLOCK;
    out->rights &= ~FWPS_RIGHT_ACTION_WRITE;
}

/* With the lock held. */
static struct question *find(UINT64 endpoint)
{
    for (LIST_ENTRY *at = questions.Flink; at != &questions; at = at->Flink) {
        struct question *question = CONTAINING_RECORD(at, struct question, link);

        if (question->endpoint == endpoint)
            return question;
    }
    return NULL;
}

/* A socket is closed: nobody waits for its connection any more. */
static void NTAPI classify_closure(const FWPS_INCOMING_VALUES *values,
                                   const FWPS_INCOMING_METADATA_VALUES *metadata, void *data,
                                   const void *context, const FWPS_FILTER *filter, UINT64 flow_context,
                                   FWPS_CLASSIFY_OUT *out)
{
    KLOCK_QUEUE_HANDLE held;
    struct question *question;

    UNREFERENCED_PARAMETER(values);
    UNREFERENCED_PARAMETER(data);
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(filter);
    UNREFERENCED_PARAMETER(flow_context);
    KeAcquireInStackQueuedSpinLock(&lock, &held);
    question = find(metadata->transportEndpointHandle);
    KeReleaseInStackQueuedSpinLock(&held);
    if (question != NULL)
        FwpsCompleteOperation(question->completion, NULL);
    out->actionType = FWP_ACTION_CONTINUE;
}

static NTSTATUS NTAPI notify(FWPS_CALLOUT_NOTIFY_TYPE type, const GUID *key, FWPS_FILTER *filter)
{
    UNREFERENCED_PARAMETER(type);
    UNREFERENCED_PARAMETER(key);
    UNREFERENCED_PARAMETER(filter);
    return STATUS_SUCCESS;
}

/* The driver's function, the callout object, and a filter that calls it for all TCP connections. */
static NTSTATUS add(const GUID *key, const GUID *layer, FWPS_CALLOUT_CLASSIFY_FN classify, FWP_ACTION_TYPE action,
                    UINT32 *id)
{
    FWPS_CALLOUT function = {.calloutKey = *key, .classifyFn = classify, .notifyFn = notify};
    FWPM_CALLOUT callout = {.calloutKey = *key, .displayData.name = L"Guard", .applicableLayer = *layer};
    FWPM_FILTER_CONDITION tcp = {.fieldKey = FWPM_CONDITION_IP_PROTOCOL,
                                 .matchType = FWP_MATCH_EQUAL,
                                 .conditionValue = {.type = FWP_UINT8, .uint8 = IPPROTO_TCP}};
    FWPM_FILTER filter = {.displayData.name = L"Guard",
                          .layerKey = *layer,
                          .action = {.type = action, .calloutKey = *key},
                          .numFilterConditions = 1,
                          .filterCondition = &tcp};
    NTSTATUS status = FwpsCalloutRegister(device, &function, id);

    if (NT_SUCCESS(status))
        status = FwpmCalloutAdd(engine, &callout, NULL, NULL);
    if (NT_SUCCESS(status))
        status = FwpmFilterAdd(engine, &filter, NULL, NULL);
    return status;
}

static DRIVER_UNLOAD unload;
static VOID unload(DRIVER_OBJECT *driver)
{
    LARGE_INTEGER pause = {.QuadPart = -10 * 10000LL};

    UNREFERENCED_PARAMETER(driver);
    if (engine != NULL)
        FwpmEngineClose(engine); /* a dynamic session: filters and callout objects go with it */
    while (!IsListEmpty(&questions))
        KeDelayExecutionThread(KernelMode, FALSE, &pause); /* they are decided within a tenth of a second */
    KeFlushQueuedDpcs();
    FwpsCalloutUnregisterById(closure_id);
    FwpsCalloutUnregisterById(connect_id);
    if (device != NULL)
        IoDeleteDevice(device);
}

DRIVER_INITIALIZE DriverEntry;
NTSTATUS DriverEntry(DRIVER_OBJECT *driver, UNICODE_STRING *registry_path)
{
    FWPM_SESSION session = {.displayData.name = L"Guard", .flags = FWPM_SESSION_FLAG_DYNAMIC};
    NTSTATUS status;

    UNREFERENCED_PARAMETER(registry_path);
    driver->DriverUnload = unload;
    KeInitializeSpinLock(&lock);
    InitializeListHead(&questions);
    status = IoCreateDevice(driver, 0, NULL, FILE_DEVICE_NETWORK, FILE_DEVICE_SECURE_OPEN, FALSE, &device);
    if (NT_SUCCESS(status))
        status = FwpmEngineOpen(NULL, RPC_C_AUTHN_WINNT, NULL, &session, &engine);
    if (NT_SUCCESS(status))
        status = add(&GUARD_CONNECT, &FWPM_LAYER_ALE_AUTH_CONNECT_V4, classify_connect,
                     FWP_ACTION_CALLOUT_TERMINATING, &connect_id);
    if (NT_SUCCESS(status))
        status = add(&GUARD_CLOSURE, &FWPM_LAYER_ALE_ENDPOINT_CLOSURE_V4, classify_closure,
                     FWP_ACTION_CALLOUT_INSPECTION, &closure_id);
    if (!NT_SUCCESS(status))
        unload(driver);
    return status;
}
