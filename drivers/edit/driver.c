/* SPDX-License-Identifier: Apache-2.0 */
/* edit: how it begins and ends. What it does: edit.h. */
#include <initguid.h>

#include "edit.h"

static const struct callout_layer inline_layers[] = {
    {FWPS_LAYER_STREAM_V4, &FWPM_LAYER_STREAM_V4, edit_inline, 0},
    {FWPS_LAYER_STREAM_V6, &FWPM_LAYER_STREAM_V6, edit_inline, 0},
};

static const struct callout_layer worker_layers[] = {
    {FWPS_LAYER_STREAM_V4, &FWPM_LAYER_STREAM_V4, edit_hold, 0},
    {FWPS_LAYER_STREAM_V6, &FWPM_LAYER_STREAM_V6, edit_hold, 0},
};

static const struct callout_layer established_layers[] = {
    {FWPS_LAYER_ALE_FLOW_ESTABLISHED_V4, &FWPM_LAYER_ALE_FLOW_ESTABLISHED_V4, edit_established, IPPROTO_TCP},
    {FWPS_LAYER_ALE_FLOW_ESTABLISHED_V6, &FWPM_LAYER_ALE_FLOW_ESTABLISHED_V6, edit_established, IPPROTO_TCP},
};

/* UNKNOWN: it blocks, permits, or drops the connection (STR-13). */
static struct callout_set streams = {
    .base = {0x503552df, 0x0057, 0x4740, {0xbc, 0xd8, 0x7a, 0xeb, 0x42, 0xd5, 0x6a, 0x00}},
    .name = L"Edit",
    .action = FWP_ACTION_CALLOUT_UNKNOWN,
    .layers = worker_layers,
    .count = ARRAYSIZE(worker_layers),
    .flow_deleted = edit_flow_deleted,
};

static struct callout_set established = {
    .base = {0x98c39994, 0xfd71, 0x44ec, {0xb5, 0xa3, 0x18, 0x22, 0xfb, 0x0a, 0xbe, 0x00}},
    .name = L"Edit: connections",
    .action = FWP_ACTION_CALLOUT_INSPECTION,
    .layers = established_layers,
    .count = ARRAYSIZE(established_layers),
};

struct edit edit;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD unload;

/* The order of LIFE-17. */
static void NTAPI unload(DRIVER_OBJECT *driver)
{
    UNREFERENCED_PARAMETER(driver);
    worker_stop();
    if (edit.by_worker)
        callouts_stop(&established);
    flows_empty(&edit.flows);
    callouts_stop(&streams);
    FwpsInjectionHandleDestroy(edit.injection);
    lists_free(&edit.lists);
    IoDeleteDevice(edit.device);
}

static void read_parameters(UNICODE_STRING *registry_path)
{
    HANDLE key = parameters_open(registry_path);
    CHAR word[16];
    UCHAR instance;

    text_read(&edit.text, key);
    edit.port = parameter_number(key, L"Port", 0);
    edit.hold_ms = parameter_number(key, L"HoldMs", 200);
    instance = (UCHAR)parameter_number(key, L"Instance", 0);
    streams.base.Data4[6] = established.base.Data4[6] = instance;
    parameter_text(key, L"Mode", word, sizeof word);
    edit.by_worker = (BOOLEAN)(word[0] == 'w');
    parameter_text(key, L"Direction", word, sizeof word);
    edit.received = (BOOLEAN)(word[0] != 'o');
    edit.sent = (BOOLEAN)(word[0] != 'i');
    parameters_close(key);
}

/* Streams first: a context needs their callouts. */
static NTSTATUS start_callouts(void)
{
    NTSTATUS status;

    if (!edit.by_worker) {
        streams.layers = inline_layers;
        return callouts_start(&streams, edit.device);
    }
    edit.stream_callouts = streams.ids;
    status = callouts_start(&streams, edit.device);
    if (!NT_SUCCESS(status))
        return status;
    status = callouts_start(&established, edit.device);
    if (!NT_SUCCESS(status))
        callouts_stop(&streams);
    return status;
}

NTSTATUS NTAPI DriverEntry(DRIVER_OBJECT *driver, UNICODE_STRING *registry_path)
{
    NTSTATUS status;

    read_parameters(registry_path);
    KeInitializeSpinLock(&edit.lock);
    InitializeListHead(&edit.ready);
    InitializeListHead(&edit.tails);
    flows_init(&edit.flows, stream_free);
    thread_init(&edit.worker);
    driver->DriverUnload = unload;

    status =
        IoCreateDevice(driver, 0, NULL, FILE_DEVICE_NETWORK, FILE_DEVICE_SECURE_OPEN, FALSE, &edit.device);
    if (!NT_SUCCESS(status))
        return status;
    status = lists_create(&edit.lists, driver);
    if (!NT_SUCCESS(status))
        goto delete_device;
    status = FwpsInjectionHandleCreate(AF_UNSPEC, FWPS_INJECTION_TYPE_STREAM, &edit.injection);
    if (!NT_SUCCESS(status))
        goto free_lists;
    status = worker_start();
    if (!NT_SUCCESS(status))
        goto destroy_injection;
    status = start_callouts();
    if (NT_SUCCESS(status))
        return status;

    worker_stop();
destroy_injection:
    FwpsInjectionHandleDestroy(edit.injection);
free_lists:
    lists_free(&edit.lists);
delete_device:
    IoDeleteDevice(edit.device);
    return status;
}
