/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A callout below DISPATCH_LEVEL that waits: by the parameter Minutes so many minutes of its machine's time, in all
 * of which nothing happens; by the parameter Forever, while a timer keeps time going, for what never comes.
 */
#include <initguid.h>
#include <ntddk.h>

#include <fwpsk.h>

#include <fwpmk.h>

#include "../../drivers/common/callouts.h"
#include "../../drivers/common/parameters.h"

static struct {
    DEVICE_OBJECT *device;
    ULONG minutes, forever;
    KEVENT never;
    KTIMER ticks;
    BOOLEAN waited;
} sleeper;

static void waits_here(void)
{
    LARGE_INTEGER before, after, pause;

    KeQuerySystemTime(&before);
    if (sleeper.forever) {
        (void)KeWaitForSingleObject(&sleeper.never, Executive, KernelMode, FALSE, NULL);
    } else {
        pause.QuadPart = -600000000ll * sleeper.minutes;
        (void)KeDelayExecutionThread(KernelMode, FALSE, &pause);
    }
    KeQuerySystemTime(&after);
    DbgPrint("waited %d s\n", (int)((after.QuadPart - before.QuadPart) / 10000000));
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
    if (sleeper.waited || KeGetCurrentIrql() > APC_LEVEL)
        return;
    sleeper.waited = TRUE;
    waits_here();
}

static const struct callout_layer layers[] = {
    {FWPS_LAYER_ALE_RESOURCE_ASSIGNMENT_V4, &FWPM_LAYER_ALE_RESOURCE_ASSIGNMENT_V4, classify, 0},
};

static struct callout_set callouts = {
    .base = {0x2f9b3a1c, 0x55c0, 0x4e0f, {0xa2, 0x41, 0x7d, 0x0c, 0x98, 0x1e, 0x64, 0x00}},
    .name = L"Sleeper",
    .action = FWP_ACTION_CALLOUT_TERMINATING,
    .layers = layers,
    .count = ARRAYSIZE(layers),
};

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD Unload;

static VOID Unload(_In_ PDRIVER_OBJECT object)
{
    UNREFERENCED_PARAMETER(object);
    KeCancelTimer(&sleeper.ticks);
    callouts_stop(&callouts);
    IoDeleteDevice(sleeper.device);
}

NTSTATUS DriverEntry(_In_ PDRIVER_OBJECT object, _In_ PUNICODE_STRING path)
{
    HANDLE key = parameters_open(path);
    LARGE_INTEGER second;
    NTSTATUS status;

    sleeper.minutes = parameter_number(key, L"Minutes", 1);
    sleeper.forever = parameter_number(key, L"Forever", 0);
    parameters_close(key);
    KeInitializeEvent(&sleeper.never, NotificationEvent, FALSE);
    KeInitializeTimer(&sleeper.ticks);
    second.QuadPart = -10000000;
    if (sleeper.forever)
        KeSetTimerEx(&sleeper.ticks, second, 1000, NULL);
    object->DriverUnload = Unload;
    status =
        IoCreateDevice(object, 0, NULL, FILE_DEVICE_NETWORK, FILE_DEVICE_SECURE_OPEN, FALSE, &sleeper.device);
    if (!NT_SUCCESS(status))
        return status;
    status = callouts_start(&callouts, sleeper.device);
    if (!NT_SUCCESS(status))
        IoDeleteDevice(sleeper.device);
    return status;
}
