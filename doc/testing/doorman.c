/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doorman: a callout driver as small as they come. Nobody may connect to port 25; every other IPv4 connect waits 50 ms
 * for its answer, which is yes.
 *
 *   classify --pend--> waiting --timer's DPC, or DriverUnload--> FwpsCompleteOperation --> classify again: permit
 */
#include <initguid.h>
#include <ntddk.h>
#include <fwpsk.h>
#include <fwpmk.h>

#define TAG 'roDm'

/* {0d4b24a5-5b1d-4a4b-9d0c-8e2b3a1f7c55} */
DEFINE_GUID(DOORMAN, 0x0d4b24a5, 0x5b1d, 0x4a4b, 0x9d, 0x0c, 0x8e, 0x2b, 0x3a, 0x1f, 0x7c, 0x55);

struct guest {
    LIST_ENTRY link;
    HANDLE completion;
};

static DEVICE_OBJECT *device;
static HANDLE engine;
static UINT32 callout;
static KSPIN_LOCK lock;
static LIST_ENTRY waiting;
static KTIMER timer;
static KDPC dpc;

static void let_in(void)
{
    LIST_ENTRY *first;

    while ((first = ExInterlockedRemoveHeadList(&waiting, &lock)) != NULL) {
        struct guest *guest = CONTAINING_RECORD(first, struct guest, link);

        FwpsCompleteOperation(guest->completion, NULL);
        ExFreePoolWithTag(guest, TAG);
    }
}

static KDEFERRED_ROUTINE on_timer;
static void on_timer(KDPC *d, void *context, void *one, void *two)
{
    UNREFERENCED_PARAMETER(d);
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(one);
    UNREFERENCED_PARAMETER(two);
    let_in();
}

static BOOLEAN let_wait(HANDLE completion)
{
    struct guest *guest = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof *guest, TAG);
    LARGE_INTEGER due;

    if (guest == NULL)
        return FALSE;
    if (!NT_SUCCESS(FwpsPendOperation(completion, &guest->completion))) {
        ExFreePoolWithTag(guest, TAG);
        return FALSE;
    }
    ExInterlockedInsertTailList(&waiting, &guest->link, &lock);
    due.QuadPart = -50 * 10000;
    KeSetTimer(&timer, due, &dpc);
    return TRUE;
}

static void NTAPI classify(const FWPS_INCOMING_VALUES *values, const FWPS_INCOMING_METADATA_VALUES *metadata,
                           void *data, const void *context, const FWPS_FILTER *filter, UINT64 flow,
                           FWPS_CLASSIFY_OUT *out)
{
    const FWPS_INCOMING_VALUE0 *value = values->incomingValue;

    UNREFERENCED_PARAMETER(data);
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(filter);
    UNREFERENCED_PARAMETER(flow);
    if ((out->rights & FWPS_RIGHT_ACTION_WRITE) == 0)
        return;
    out->actionType = FWP_ACTION_PERMIT;
    if (value[FWPS_FIELD_ALE_AUTH_CONNECT_V4_IP_REMOTE_PORT].value.uint16 != 25 &&
        (value[FWPS_FIELD_ALE_AUTH_CONNECT_V4_FLAGS].value.uint32 & FWP_CONDITION_FLAG_IS_REAUTHORIZE) != 0)
        return;
    out->actionType = FWP_ACTION_BLOCK;
    out->rights &= ~FWPS_RIGHT_ACTION_WRITE;
    if (value[FWPS_FIELD_ALE_AUTH_CONNECT_V4_IP_REMOTE_PORT].value.uint16 != 25 &&
        let_wait(metadata->completionHandle))
        out->flags |= FWPS_CLASSIFY_OUT_FLAG_ABSORB;
}

static NTSTATUS NTAPI notify(FWPS_CALLOUT_NOTIFY_TYPE type, const GUID *key, FWPS_FILTER *filter)
{
    UNREFERENCED_PARAMETER(type);
    UNREFERENCED_PARAMETER(key);
    UNREFERENCED_PARAMETER(filter);
    return STATUS_SUCCESS;
}

static void close_up(void)
{
    if (engine != NULL)
        FwpmEngineClose(engine); /* and its filter with it: nobody comes any more */
    engine = NULL;
    KeCancelTimer(&timer);
    KeFlushQueuedDpcs();
    let_in();
    if (callout != 0)
        FwpsCalloutUnregisterById(callout);
    callout = 0;
    IoDeleteDevice(device);
}

static DRIVER_UNLOAD unload;
static void unload(DRIVER_OBJECT *driver)
{
    UNREFERENCED_PARAMETER(driver);
    close_up();
}

static NTSTATUS open_up(void)
{
    FWPM_SESSION session = {0};
    FWPS_CALLOUT registered = {0};
    FWPM_CALLOUT added = {0};
    FWPM_FILTER filter = {0};
    NTSTATUS status;

    session.flags = FWPM_SESSION_FLAG_DYNAMIC;
    registered.calloutKey = added.calloutKey = filter.action.calloutKey = DOORMAN;
    registered.classifyFn = classify;
    registered.notifyFn = notify;
    added.displayData.name = filter.displayData.name = L"doorman";
    added.applicableLayer = filter.layerKey = FWPM_LAYER_ALE_AUTH_CONNECT_V4;
    filter.action.type = FWP_ACTION_CALLOUT_TERMINATING;
    status = FwpsCalloutRegister(device, &registered, &callout);
    if (NT_SUCCESS(status))
        status = FwpmEngineOpen(NULL, RPC_C_AUTHN_WINNT, NULL, &session, &engine);
    if (NT_SUCCESS(status))
        status = FwpmCalloutAdd(engine, &added, NULL, NULL);
    if (NT_SUCCESS(status))
        status = FwpmFilterAdd(engine, &filter, NULL, NULL);
    return status;
}

DRIVER_INITIALIZE DriverEntry;
NTSTATUS DriverEntry(DRIVER_OBJECT *driver, UNICODE_STRING *path)
{
    NTSTATUS status;

    UNREFERENCED_PARAMETER(path);
    KeInitializeSpinLock(&lock);
    InitializeListHead(&waiting);
    KeInitializeTimer(&timer);
    KeInitializeDpc(&dpc, on_timer, NULL);
    driver->DriverUnload = unload;
    status = IoCreateDevice(driver, 0, NULL, FILE_DEVICE_NETWORK, 0, FALSE, &device);
    if (!NT_SUCCESS(status))
        return status;
    status = open_up();
    if (!NT_SUCCESS(status))
        close_up();
    return status;
}
