/* SPDX-License-Identifier: Apache-2.0 */
/* Names without a version are those of the Windows that the source is compiled for. */
#define NTDDI_VERSION NTDDI_WIN7
#include <ntddk.h>
#define NDIS60 1
#include <ndis.h>
#include <initguid.h>
#include <fwpsk.h>
#include <fwpmk.h>

#include "check.h"

DRIVER_INITIALIZE DriverEntry;
DRIVER_UNLOAD Unload;

DEFINE_GUID(CALLOUT, 0x4c1f2e5a, 0x3a35, 0x4e51, 0x8f, 0x6a, 0x12, 0x20, 0x8a, 0x6f, 0x10, 0x01);

static UINT32 id;

static VOID NTAPI Classify(const FWPS_INCOMING_VALUES *values, const FWPS_INCOMING_METADATA_VALUES *metadata,
                           VOID *data, const VOID *context, const FWPS_FILTER *filter, UINT64 flow,
                           FWPS_CLASSIFY_OUT *out)
{
    UNREFERENCED_PARAMETER(values);
    UNREFERENCED_PARAMETER(metadata);
    UNREFERENCED_PARAMETER(data);
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(filter);
    UNREFERENCED_PARAMETER(flow);
    out->actionType = FWP_ACTION_CONTINUE;
}

static NTSTATUS NTAPI Notify(FWPS_CALLOUT_NOTIFY_TYPE type, const GUID *key, FWPS_FILTER *filter)
{
    UNREFERENCED_PARAMETER(type);
    UNREFERENCED_PARAMETER(key);
    UNREFERENCED_PARAMETER(filter);
    return STATUS_SUCCESS;
}

VOID Unload(_In_ PDRIVER_OBJECT object)
{
    UNREFERENCED_PARAMETER(object);
    FwpsCalloutUnregisterById(id);
}

NTSTATUS DriverEntry(_In_ PDRIVER_OBJECT object, _In_ PUNICODE_STRING path)
{
    FWPS_CALLOUT callout = {0};
    PDEVICE_OBJECT device = NULL;

    UNREFERENCED_PARAMETER(path);
    CHECK(sizeof(FWPS_FILTER) == sizeof(FWPS_FILTER1) && sizeof(FWPS_CALLOUT) == sizeof(FWPS_CALLOUT1));
    CHECK(NT_SUCCESS(IoCreateDevice(object, 0, NULL, FILE_DEVICE_NETWORK, 0, FALSE, &device)));
    callout.calloutKey = CALLOUT;
    callout.classifyFn = Classify;
    callout.notifyFn = Notify;
    CHECK(NT_SUCCESS(FwpsCalloutRegister(device, &callout, &id)));
    IoDeleteDevice(device);
    object->DriverUnload = Unload;
    return checked;
}
