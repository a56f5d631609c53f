/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goes while its callouts are registered: one that flows carry contexts of (unregistering it is STATUS_DEVICE_BUSY, which
 * it does not look at), one that it forgets. On Windows the next classify stops the machine; here it is told what
 * was left, and nobody calls what is gone.
 */
#include <initguid.h>

#include "../../drivers/common/kernel.h"

DEFINE_GUID(STAYS_FORGOTTEN, 0x3ce1b0f7, 0x6f0a, 0x4b7d, 0x8d, 0x25, 0x94, 0x1e, 0x07, 0xb3, 0x5c, 0x01);
DEFINE_GUID(STAYS_BUSY, 0x3ce1b0f7, 0x6f0a, 0x4b7d, 0x8d, 0x25, 0x94, 0x1e, 0x07, 0xb3, 0x5c, 0x02);

static struct {
    DEVICE_OBJECT *device;
    HANDLE engine;
    UINT32 forgotten, busy;
} stays;

static NTSTATUS NTAPI notify(FWPS_CALLOUT_NOTIFY_TYPE type, const GUID *key, FWPS_FILTER *filter)
{
    UNREFERENCED_PARAMETER(type);
    UNREFERENCED_PARAMETER(key);
    UNREFERENCED_PARAMETER(filter);
    return STATUS_SUCCESS;
}

static void NTAPI deleted(UINT16 layer, UINT32 callout, UINT64 context)
{
    UNREFERENCED_PARAMETER(layer);
    UNREFERENCED_PARAMETER(callout);
    UNREFERENCED_PARAMETER(context);
}

static void NTAPI established(const FWPS_INCOMING_VALUES *values,
                              const FWPS_INCOMING_METADATA_VALUES *metadata, void *layer_data,
                              const void *context, const FWPS_FILTER *filter, UINT64 flow_context,
                              FWPS_CLASSIFY_OUT *out)
{
    UNREFERENCED_PARAMETER(values);
    UNREFERENCED_PARAMETER(layer_data);
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(filter);
    UNREFERENCED_PARAMETER(flow_context);
    out->actionType = FWP_ACTION_CONTINUE;
    FwpsFlowAssociateContext(metadata->flowHandle, FWPS_LAYER_STREAM_V4, stays.busy, 1);
}

static void NTAPI streams(const FWPS_INCOMING_VALUES *values, const FWPS_INCOMING_METADATA_VALUES *metadata,
                          void *layer_data, const void *context, const FWPS_FILTER *filter,
                          UINT64 flow_context, FWPS_CLASSIFY_OUT *out)
{
    UNREFERENCED_PARAMETER(values);
    UNREFERENCED_PARAMETER(metadata);
    UNREFERENCED_PARAMETER(layer_data);
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(filter);
    UNREFERENCED_PARAMETER(flow_context);
    out->actionType = FWP_ACTION_CONTINUE;
}

static NTSTATUS add(const GUID *key, const GUID *layer, FWPS_CALLOUT_CLASSIFY_FN classify,
                    FWPS_CALLOUT_FLOW_DELETE_NOTIFY_FN0 deletes, UINT32 *id)
{
    FWPS_CALLOUT callout = {0};
    FWPM_CALLOUT object = {0};
    FWPM_FILTER filter = {0};
    NTSTATUS status;

    callout.calloutKey = *key;
    callout.classifyFn = classify;
    callout.notifyFn = notify;
    callout.flowDeleteFn = deletes;
    status = FwpsCalloutRegister(stays.device, &callout, id);
    object.calloutKey = *key;
    object.displayData.name = L"Stays";
    object.applicableLayer = *layer;
    if (NT_SUCCESS(status))
        status = FwpmCalloutAdd(stays.engine, &object, NULL, NULL);
    filter.displayData.name = L"Stays";
    filter.layerKey = *layer;
    filter.action.type = FWP_ACTION_CALLOUT_INSPECTION;
    filter.action.calloutKey = *key;
    if (NT_SUCCESS(status))
        status = FwpmFilterAdd(stays.engine, &filter, NULL, NULL);
    return status;
}

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD Unload;

/* The session is no dynamic one: the filters stay, too. */
static VOID NTAPI Unload(DRIVER_OBJECT *driver)
{
    UNREFERENCED_PARAMETER(driver);
    FwpmEngineClose(stays.engine);
    FwpsCalloutUnregisterById(stays.busy);
    IoDeleteDevice(stays.device);
}

NTSTATUS NTAPI DriverEntry(DRIVER_OBJECT *driver, UNICODE_STRING *path)
{
    NTSTATUS status;

    UNREFERENCED_PARAMETER(path);
    driver->DriverUnload = Unload;
    status =
        IoCreateDevice(driver, 0, NULL, FILE_DEVICE_NETWORK, FILE_DEVICE_SECURE_OPEN, FALSE, &stays.device);
    if (!NT_SUCCESS(status))
        return status;
    status = FwpmEngineOpen(NULL, RPC_C_AUTHN_WINNT, NULL, NULL, &stays.engine);
    if (NT_SUCCESS(status))
        status =
            add(&STAYS_FORGOTTEN, &FWPM_LAYER_ALE_FLOW_ESTABLISHED_V4, established, NULL, &stays.forgotten);
    if (NT_SUCCESS(status))
        status = add(&STAYS_BUSY, &FWPM_LAYER_STREAM_V4, streams, deleted, &stays.busy);
    return status;
}
