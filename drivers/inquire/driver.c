/* SPDX-License-Identifier: Apache-2.0 */
/* inquire: how it begins and ends. What it does: inquire.h. */
#include <initguid.h>

#include "inquire.h"

#define ROW(layer)                                                                                           \
    {                                                                                                        \
        FWPS_LAYER_##layer, &FWPM_LAYER_##layer, inquire_classify, 0                                         \
    }

static const struct callout_layer layers[] = {
    ROW(ALE_AUTH_CONNECT_V4),
    ROW(ALE_AUTH_CONNECT_V6),
    ROW(ALE_AUTH_RECV_ACCEPT_V4),
    ROW(ALE_AUTH_RECV_ACCEPT_V6),
};

static struct callout_set callouts = {
    .base = {0x08f7854b, 0xe5b1, 0x4b55, {0x8b, 0x71, 0xf1, 0x68, 0x26, 0xce, 0x3d, 0x00}},
    .name = L"Inquire",
    .action = FWP_ACTION_CALLOUT_TERMINATING,
    .layers = layers,
    .count = ARRAYSIZE(layers),
};

struct inquire inquire;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD unload;

/* The order of LIFE-17: nothing pended, no filters, no callouts, no injections, no device. */
static void NTAPI unload(DRIVER_OBJECT *driver)
{
    UNREFERENCED_PARAMETER(driver);
    worker_stop();
    callouts_stop(&callouts);
    worker_drain();
    FwpsInjectionHandleDestroy(inquire.receive);
    FwpsInjectionHandleDestroy(inquire.send);
    IoDeleteDevice(inquire.device);
}

NTSTATUS NTAPI DriverEntry(DRIVER_OBJECT *driver, UNICODE_STRING *registry_path)
{
    NTSTATUS status;

    policy_read(&inquire.policy, registry_path);
    KeInitializeSpinLock(&inquire.lock);
    InitializeListHead(&inquire.asked);
    InitializeListHead(&inquire.completing);
    InitializeListHead(&inquire.authorized);
    thread_init(&inquire.worker);
    driver->DriverUnload = unload;

    status =
        IoCreateDevice(driver, 0, NULL, FILE_DEVICE_NETWORK, FILE_DEVICE_SECURE_OPEN, FALSE, &inquire.device);
    if (!NT_SUCCESS(status))
        return status;
    status = FwpsInjectionHandleCreate(AF_UNSPEC, FWPS_INJECTION_TYPE_TRANSPORT, &inquire.send);
    if (!NT_SUCCESS(status))
        goto delete_device;
    status = FwpsInjectionHandleCreate(AF_UNSPEC, FWPS_INJECTION_TYPE_TRANSPORT, &inquire.receive);
    if (!NT_SUCCESS(status))
        goto destroy_send;
    status = worker_start();
    if (!NT_SUCCESS(status))
        goto destroy_receive;
    status = callouts_start(&callouts, inquire.device);
    if (NT_SUCCESS(status))
        return status;

    worker_stop();
destroy_receive:
    FwpsInjectionHandleDestroy(inquire.receive);
destroy_send:
    FwpsInjectionHandleDestroy(inquire.send);
delete_device:
    IoDeleteDevice(inquire.device);
    return status;
}
