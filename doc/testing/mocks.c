/* SPDX-License-Identifier: Apache-2.0 */
#include "mocks.h"

#include <stdlib.h>
#include <string.h>

struct mocks mocks;
const GUID FWPM_LAYER_ALE_AUTH_CONNECT_V4;
DRIVER_INITIALIZE DriverEntry;

static BOOLEAN fails(void)
{
    return ++mocks.calls == mocks.fail;
}

NTSTATUS mocks_load(void)
{
    UNICODE_STRING path = {0};
    unsigned fail = mocks.fail;

    memset(&mocks, 0, sizeof mocks);
    mocks.fail = fail;
    return DriverEntry(&mocks.driver, &path);
}

FWPS_CLASSIFY_OUT mocks_classify(UINT16 port, UINT32 flags)
{
    FWPS_INCOMING_VALUE fields[FWPS_FIELD_ALE_AUTH_CONNECT_V4_MAX] = {0};
    FWPS_INCOMING_VALUES values = {
        .layerId = FWPS_LAYER_ALE_AUTH_CONNECT_V4, .valueCount = ARRAYSIZE(fields), .incomingValue = fields};
    FWPS_INCOMING_METADATA_VALUES metadata = {.currentMetadataValues = FWPS_METADATA_FIELD_COMPLETION_HANDLE,
                                              .completionHandle = &mocks};
    FWPS_CLASSIFY_OUT out = {.actionType = FWP_ACTION_CONTINUE, .rights = FWPS_RIGHT_ACTION_WRITE};
    FWPS_FILTER filter = {.filterId = 1};

    fields[FWPS_FIELD_ALE_AUTH_CONNECT_V4_IP_REMOTE_PORT].value.type = FWP_UINT16;
    fields[FWPS_FIELD_ALE_AUTH_CONNECT_V4_IP_REMOTE_PORT].value.uint16 = port;
    fields[FWPS_FIELD_ALE_AUTH_CONNECT_V4_FLAGS].value.type = FWP_UINT32;
    fields[FWPS_FIELD_ALE_AUTH_CONNECT_V4_FLAGS].value.uint32 = flags;
    mocks.registered.classifyFn(&values, &metadata, NULL, NULL, &filter, 0, &out);
    return out;
}

void mocks_expire(void)
{
    KDPC *dpc = mocks.due;

    mocks.due = NULL;
    if (dpc != NULL)
        dpc->DeferredRoutine(dpc, dpc->DeferredContext, NULL, NULL);
}

/* ---- the filter engine's ------------------------------------------------------------------------------- */

NTSTATUS NTAPI FwpsCalloutRegister3(void *device, const FWPS_CALLOUT3 *callout, UINT32 *id)
{
    UNREFERENCED_PARAMETER(device);
    if (fails())
        return STATUS_INSUFFICIENT_RESOURCES;
    mocks.registered = *callout;
    *id = 1;
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI FwpsCalloutUnregisterById0(UINT32 id)
{
    UNREFERENCED_PARAMETER(id);
    mocks.registered.classifyFn = NULL;
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI FwpmEngineOpen0(const WCHAR *server, UINT32 service, SEC_WINNT_AUTH_IDENTITY_W *identity,
                               const FWPM_SESSION0 *session, HANDLE *engine)
{
    UNREFERENCED_PARAMETER(server);
    UNREFERENCED_PARAMETER(service);
    UNREFERENCED_PARAMETER(identity);
    UNREFERENCED_PARAMETER(session);
    if (fails())
        return STATUS_INSUFFICIENT_RESOURCES;
    mocks.sessions++;
    *engine = &mocks;
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI FwpmEngineClose0(HANDLE engine)
{
    UNREFERENCED_PARAMETER(engine);
    mocks.sessions--;
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI FwpmCalloutAdd0(HANDLE engine, const FWPM_CALLOUT0 *callout, PSECURITY_DESCRIPTOR sd,
                               UINT32 *id)
{
    UNREFERENCED_PARAMETER(engine);
    UNREFERENCED_PARAMETER(callout);
    UNREFERENCED_PARAMETER(sd);
    UNREFERENCED_PARAMETER(id);
    return fails() ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS;
}

NTSTATUS NTAPI FwpmFilterAdd0(HANDLE engine, const FWPM_FILTER0 *filter, PSECURITY_DESCRIPTOR sd, UINT64 *id)
{
    UNREFERENCED_PARAMETER(engine);
    UNREFERENCED_PARAMETER(filter);
    UNREFERENCED_PARAMETER(sd);
    UNREFERENCED_PARAMETER(id);
    return fails() ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS;
}

NTSTATUS NTAPI FwpsPendOperation0(HANDLE completion, HANDLE *context)
{
    if (fails())
        return STATUS_INSUFFICIENT_RESOURCES;
    mocks.pended++;
    *context = completion;
    return STATUS_SUCCESS;
}

void NTAPI FwpsCompleteOperation0(HANDLE context, NET_BUFFER_LIST *nbl)
{
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(nbl);
    mocks.completed++;
}

/* ---- the kernel's -------------------------------------------------------------------------------------- */

PVOID ExAllocatePool2(POOL_FLAGS flags, SIZE_T size, ULONG tag)
{
    UNREFERENCED_PARAMETER(flags);
    UNREFERENCED_PARAMETER(tag);
    if (fails())
        return NULL;
    mocks.pool++;
    return calloc(1, size);
}

VOID ExFreePoolWithTag(PVOID block, ULONG tag)
{
    UNREFERENCED_PARAMETER(tag);
    mocks.pool--;
    free(block);
}

PLIST_ENTRY ExInterlockedInsertTailList(PLIST_ENTRY list, PLIST_ENTRY entry, PKSPIN_LOCK lock)
{
    UNREFERENCED_PARAMETER(lock);
    entry->Flink = list;
    entry->Blink = list->Blink;
    list->Blink = list->Blink->Flink = entry;
    return entry->Blink == list ? NULL : entry->Blink;
}

PLIST_ENTRY ExInterlockedRemoveHeadList(PLIST_ENTRY list, PKSPIN_LOCK lock)
{
    LIST_ENTRY *first = list->Flink;

    UNREFERENCED_PARAMETER(lock);
    list->Flink = first->Flink;
    first->Flink->Blink = list;
    return first == list ? NULL : first;
}

NTSTATUS IoCreateDevice(PDRIVER_OBJECT driver, ULONG extension, PUNICODE_STRING name, DEVICE_TYPE type,
                        ULONG features, BOOLEAN exclusive, PDEVICE_OBJECT *device)
{
    static DEVICE_OBJECT only;

    UNREFERENCED_PARAMETER(driver);
    UNREFERENCED_PARAMETER(extension);
    UNREFERENCED_PARAMETER(name);
    UNREFERENCED_PARAMETER(type);
    UNREFERENCED_PARAMETER(features);
    UNREFERENCED_PARAMETER(exclusive);
    if (fails())
        return STATUS_INSUFFICIENT_RESOURCES;
    mocks.devices++;
    *device = &only;
    return STATUS_SUCCESS;
}

VOID IoDeleteDevice(PDEVICE_OBJECT device)
{
    UNREFERENCED_PARAMETER(device);
    mocks.devices--;
}

VOID KeInitializeSpinLock(PKSPIN_LOCK lock)
{
    memset(lock, 0, sizeof *lock);
}

VOID KeInitializeDpc(PRKDPC dpc, PKDEFERRED_ROUTINE routine, PVOID context)
{
    dpc->DeferredRoutine = routine;
    dpc->DeferredContext = context;
}

VOID KeInitializeTimer(PKTIMER timer)
{
    memset(timer, 0, sizeof *timer);
}

BOOLEAN KeSetTimer(PKTIMER timer, LARGE_INTEGER due, PKDPC dpc)
{
    UNREFERENCED_PARAMETER(timer);
    UNREFERENCED_PARAMETER(due);
    mocks.due = dpc;
    return FALSE;
}

BOOLEAN KeCancelTimer(PKTIMER timer)
{
    BOOLEAN was = mocks.due != NULL;

    UNREFERENCED_PARAMETER(timer);
    mocks.due = NULL;
    return was;
}

VOID KeFlushQueuedDpcs(VOID)
{
}
