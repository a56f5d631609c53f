/* SPDX-License-Identifier: Apache-2.0 */
/* A fault in the middle: the n-th packet's classifyFn reads through a NULL pointer. */
#include <initguid.h>
#include <ntddk.h>

#include <fwpsk.h>

#include <fwpmk.h>

#include "../../drivers/common/callouts.h"
#include "../../drivers/common/parameters.h"

static struct {
    DEVICE_OBJECT *device;
    ULONG at, seen;
    volatile ULONG *nothing;
} faller;

/* The report names it where it is called. */
static DECLSPEC_NOINLINE ULONG reads_it(void)
{
    return *faller.nothing;
}

static void NTAPI classify(const FWPS_INCOMING_VALUES *values, const FWPS_INCOMING_METADATA_VALUES *metadata,
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
    if (++faller.seen == faller.at)
        faller.seen += reads_it();
}

static const struct callout_layer layers[] = {
    {FWPS_LAYER_OUTBOUND_IPPACKET_V4, &FWPM_LAYER_OUTBOUND_IPPACKET_V4, classify, 0},
};

static struct callout_set callouts = {
    .base = {0xc5b81d04, 0x90a6, 0x4b55, {0x8e, 0x13, 0x64, 0xfa, 0x0d, 0x27, 0x5c, 0x00}},
    .name = L"Faller",
    .action = FWP_ACTION_CALLOUT_INSPECTION,
    .layers = layers,
    .count = ARRAYSIZE(layers),
};

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD Unload;

static VOID Unload(_In_ PDRIVER_OBJECT object)
{
    UNREFERENCED_PARAMETER(object);
    callouts_stop(&callouts);
    IoDeleteDevice(faller.device);
}

NTSTATUS DriverEntry(_In_ PDRIVER_OBJECT object, _In_ PUNICODE_STRING path)
{
    HANDLE key = parameters_open(path);
    NTSTATUS status;

    faller.at = parameter_number(key, L"At", 50);
    parameters_close(key);
    object->DriverUnload = Unload;
    status =
        IoCreateDevice(object, 0, NULL, FILE_DEVICE_NETWORK, FILE_DEVICE_SECURE_OPEN, FALSE, &faller.device);
    if (!NT_SUCCESS(status))
        return status;
    status = callouts_start(&callouts, faller.device);
    if (!NT_SUCCESS(status))
        IoDeleteDevice(faller.device);
    return status;
}
