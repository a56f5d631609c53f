/* SPDX-License-Identifier: Apache-2.0 */
/* transform: how it begins and ends. What it does: transform.h. */
#include <initguid.h>

#include "transform.h"

static const struct callout_layer layers[] = {
    {FWPS_LAYER_DATAGRAM_DATA_V4, &FWPM_LAYER_DATAGRAM_DATA_V4, transform_classify, IPPROTO_UDP},
    {FWPS_LAYER_DATAGRAM_DATA_V6, &FWPM_LAYER_DATAGRAM_DATA_V6, transform_classify, IPPROTO_UDP},
};

static struct callout_set callouts = {
    .base = {0x125f869b, 0xe3fe, 0x486a, {0xa9, 0x15, 0x40, 0x85, 0x63, 0xd1, 0xa4, 0x00}},
    .name = L"Transform",
    .action = FWP_ACTION_CALLOUT_TERMINATING,
    .layers = layers,
    .count = ARRAYSIZE(layers),
};

struct transform transform;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD unload;

static void NTAPI unload(DRIVER_OBJECT *driver)
{
    UNREFERENCED_PARAMETER(driver);
    worker_stop();
    callouts_stop(&callouts);
    worker_drain();
    FwpsInjectionHandleDestroy(transform.receive); /* waits for what is on its way */
    FwpsInjectionHandleDestroy(transform.send);
    lists_free(&transform.pool);
    IoDeleteDevice(transform.device);
}

static void read_parameters(UNICODE_STRING *registry_path)
{
    HANDLE key = parameters_open(registry_path);

    transform.port = parameter_number(key, L"Port", 0);
    text_read(&transform.text, key);
    parameters_close(key);
}

NTSTATUS NTAPI DriverEntry(DRIVER_OBJECT *driver, UNICODE_STRING *registry_path)
{
    NTSTATUS status;

    read_parameters(registry_path);
    KeInitializeSpinLock(&transform.lock);
    InitializeListHead(&transform.held);
    thread_init(&transform.worker);
    driver->DriverUnload = unload;

    status = IoCreateDevice(driver, 0, NULL, FILE_DEVICE_NETWORK, FILE_DEVICE_SECURE_OPEN, FALSE,
                            &transform.device);
    if (!NT_SUCCESS(status))
        return status;
    status = lists_create(&transform.pool, driver);
    if (!NT_SUCCESS(status))
        goto delete_device;
    status = FwpsInjectionHandleCreate(AF_UNSPEC, FWPS_INJECTION_TYPE_TRANSPORT, &transform.send);
    if (!NT_SUCCESS(status))
        goto free_lists;
    status = FwpsInjectionHandleCreate(AF_UNSPEC, FWPS_INJECTION_TYPE_TRANSPORT, &transform.receive);
    if (!NT_SUCCESS(status))
        goto destroy_send;
    status = worker_start();
    if (!NT_SUCCESS(status))
        goto destroy_receive;
    status = callouts_start(&callouts, transform.device);
    if (NT_SUCCESS(status))
        return status;

    worker_stop();
destroy_receive:
    FwpsInjectionHandleDestroy(transform.receive);
destroy_send:
    FwpsInjectionHandleDestroy(transform.send);
free_lists:
    lists_free(&transform.pool);
delete_device:
    IoDeleteDevice(transform.device);
    return status;
}
