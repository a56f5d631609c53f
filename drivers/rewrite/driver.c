/* SPDX-License-Identifier: Apache-2.0 */
/* rewrite: how it begins and ends. What it does: rewrite.h. */
#include <initguid.h>

#include "rewrite.h"

static const struct callout_layer layers[] = {
    {FWPS_LAYER_OUTBOUND_IPPACKET_V4, &FWPM_LAYER_OUTBOUND_IPPACKET_V4, rewrite_header, 0},
    {FWPS_LAYER_OUTBOUND_IPPACKET_V6, &FWPM_LAYER_OUTBOUND_IPPACKET_V6, rewrite_header, 0},
    {FWPS_LAYER_DATAGRAM_DATA_V4, &FWPM_LAYER_DATAGRAM_DATA_V4, rewrite_payload, IPPROTO_UDP},
    {FWPS_LAYER_DATAGRAM_DATA_V6, &FWPM_LAYER_DATAGRAM_DATA_V6, rewrite_payload, IPPROTO_UDP},
};

static struct callout_set callouts = {
    .base = {0xfaca8836, 0xca21, 0x4ace, {0xaf, 0x50, 0x0c, 0xf2, 0x3d, 0x58, 0x64, 0x00}},
    .name = L"Rewrite",
    .action = FWP_ACTION_CALLOUT_TERMINATING,
    .layers = layers,
    .count = ARRAYSIZE(layers),
};

struct rewrite rewrite;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD unload;

static void destroy_handles(void)
{
    HANDLE *all[] = {&rewrite.send, &rewrite.receive, &rewrite.network_v4, &rewrite.network_v6};

    for (ULONG i = 0; i < ARRAYSIZE(all); i++) {
        if (*all[i] != NULL)
            FwpsInjectionHandleDestroy(*all[i]);
        *all[i] = NULL;
    }
}

static NTSTATUS create_handles(void)
{
    NTSTATUS status = FwpsInjectionHandleCreate(AF_UNSPEC, FWPS_INJECTION_TYPE_TRANSPORT, &rewrite.send);

    if (NT_SUCCESS(status))
        status = FwpsInjectionHandleCreate(AF_UNSPEC, FWPS_INJECTION_TYPE_TRANSPORT, &rewrite.receive);
    if (NT_SUCCESS(status))
        status = FwpsInjectionHandleCreate(AF_INET, FWPS_INJECTION_TYPE_NETWORK, &rewrite.network_v4);
    if (NT_SUCCESS(status))
        status = FwpsInjectionHandleCreate(AF_INET6, FWPS_INJECTION_TYPE_NETWORK, &rewrite.network_v6);
    if (!NT_SUCCESS(status))
        destroy_handles();
    return status;
}

static NTSTATUS read_parameters(UNICODE_STRING *registry_path)
{
    HANDLE key = parameters_open(registry_path);

    rewrite.dscp = parameter_number(key, L"Dscp", 64);
    text_read(&rewrite.text, key);
    parameters_close(key);
    /* Another size is a new packet, not a rewritten one: that is what the driver transform does. */
    return rewrite.text.find_size == rewrite.text.replace_size ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER;
}

static void NTAPI unload(DRIVER_OBJECT *driver)
{
    UNREFERENCED_PARAMETER(driver);
    callouts_stop(&callouts);
    destroy_handles(); /* waits for what is on its way */
    IoDeleteDevice(rewrite.device);
}

NTSTATUS NTAPI DriverEntry(DRIVER_OBJECT *driver, UNICODE_STRING *registry_path)
{
    NTSTATUS status = read_parameters(registry_path);

    if (!NT_SUCCESS(status))
        return status;
    driver->DriverUnload = unload;
    status =
        IoCreateDevice(driver, 0, NULL, FILE_DEVICE_NETWORK, FILE_DEVICE_SECURE_OPEN, FALSE, &rewrite.device);
    if (!NT_SUCCESS(status))
        return status;
    status = create_handles();
    if (!NT_SUCCESS(status))
        goto delete_device;
    status = callouts_start(&callouts, rewrite.device);
    if (NT_SUCCESS(status))
        return status;

    destroy_handles();
delete_device:
    IoDeleteDevice(rewrite.device);
    return status;
}
