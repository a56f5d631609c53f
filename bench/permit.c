/* SPDX-License-Identifier: Apache-2.0 */
/* A driver whose callout at the stream layer is shown all TCP data and permits it: what bench/streams.py measures the rest by. */
#include <initguid.h>

#include "../drivers/common/callouts.h"

static void NTAPI permit(const FWPS_INCOMING_VALUES *values, const FWPS_INCOMING_METADATA_VALUES *metadata,
                         void *layer_data, const void *context, const FWPS_FILTER *filter,
                         UINT64 flow_context, FWPS_CLASSIFY_OUT *out);
static DRIVER_UNLOAD unload;
DRIVER_INITIALIZE DriverEntry;

static DEVICE_OBJECT *device;

static const struct callout_layer layers[] = {
    {FWPS_LAYER_STREAM_V4, &FWPM_LAYER_STREAM_V4, permit, 0},
};

static struct callout_set callouts = {
    .base = {0x61c4a2f0, 0x3b7d, 0x4f19, {0x8d, 0x52, 0x07, 0xe1, 0x9c, 0x34, 0x6a, 0x00}},
    .name = L"Permit",
    .action = FWP_ACTION_CALLOUT_UNKNOWN,
    .layers = layers,
    .count = ARRAYSIZE(layers),
};

static void NTAPI permit(const FWPS_INCOMING_VALUES *values, const FWPS_INCOMING_METADATA_VALUES *metadata,
                         void *layer_data, const void *context, const FWPS_FILTER *filter,
                         UINT64 flow_context, FWPS_CLASSIFY_OUT *out)
{
    UNREFERENCED_PARAMETER(values);
    UNREFERENCED_PARAMETER(metadata);
    UNREFERENCED_PARAMETER(layer_data);
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(filter);
    UNREFERENCED_PARAMETER(flow_context);
    out->actionType = FWP_ACTION_PERMIT;
}

static void unload(DRIVER_OBJECT *driver)
{
    UNREFERENCED_PARAMETER(driver);
    callouts_stop(&callouts);
    IoDeleteDevice(device);
}

NTSTATUS DriverEntry(_In_ PDRIVER_OBJECT driver, _In_ PUNICODE_STRING path)
{
    NTSTATUS status =
        IoCreateDevice(driver, 0, NULL, FILE_DEVICE_NETWORK, FILE_DEVICE_SECURE_OPEN, FALSE, &device);

    UNREFERENCED_PARAMETER(path);
    driver->DriverUnload = unload;
    if (!NT_SUCCESS(status))
        return status;
    status = callouts_start(&callouts, device);
    if (!NT_SUCCESS(status))
        IoDeleteDevice(device);
    return status;
}
