/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hooks at many layers for a program that comes and goes: what is written to \\.\Hooks (struct hooks_program) is attached and
 * replaces what was there; a program of no size is detached. Each classify at each of the layers runs it: it counts, and
 * refuses its port. Whoever runs it has run-down protection, and who replaces it waits for those who do; without one
 * everything passes. Read: struct hooks_counts, of the program that is attached.
 */
#include <initguid.h>

#include "../../drivers/common/callouts.h"
#include "hosted.h"

#define HOOKS_TAG 'kooH'

struct program {
    USHORT port;
    volatile LONG64 counts[HOOKS_LAYERS];
};

static struct {
    DEVICE_OBJECT *device;
    FAST_MUTEX turn; /* one is attached or detached at a time */
    EX_RUNDOWN_REF running;
    struct program
        *program; /* stands while `running` is held; NULL: there is none, and nothing can be held */
} hooks;

static UNICODE_STRING device_name = RTL_CONSTANT_STRING(L"\\Device\\Hooks");
static UNICODE_STRING link_name = RTL_CONSTANT_STRING(L"\\DosDevices\\Hooks");

static void NTAPI hook(const FWPS_INCOMING_VALUES *values, const FWPS_INCOMING_METADATA_VALUES *metadata,
                       void *layer_data, const void *context, const FWPS_FILTER *filter, UINT64 flow_context,
                       FWPS_CLASSIFY_OUT *out);

#define HOOK(name, field)                                                                                    \
    {                                                                                                        \
        {FWPS_LAYER_##name, &FWPM_LAYER_##name, hook, 0}, FWPS_FIELD_##name##_##field                        \
    }
/* In the order of struct hooks_counts; with the field that has the port. */
static const struct {
    struct callout_layer layer;
    UINT32 port;
} table[HOOKS_LAYERS] = {
    HOOK(ALE_RESOURCE_ASSIGNMENT_V4, IP_LOCAL_PORT), HOOK(ALE_RESOURCE_ASSIGNMENT_V6, IP_LOCAL_PORT),
    HOOK(ALE_AUTH_LISTEN_V4, IP_LOCAL_PORT),         HOOK(ALE_AUTH_LISTEN_V6, IP_LOCAL_PORT),
    HOOK(ALE_AUTH_CONNECT_V4, IP_REMOTE_PORT),       HOOK(ALE_AUTH_CONNECT_V6, IP_REMOTE_PORT),
    HOOK(ALE_AUTH_RECV_ACCEPT_V4, IP_LOCAL_PORT),    HOOK(ALE_AUTH_RECV_ACCEPT_V6, IP_LOCAL_PORT),
    HOOK(ALE_FLOW_ESTABLISHED_V4, IP_REMOTE_PORT),   HOOK(ALE_FLOW_ESTABLISHED_V6, IP_REMOTE_PORT),
    HOOK(INBOUND_TRANSPORT_V4, IP_LOCAL_PORT),       HOOK(INBOUND_TRANSPORT_V6, IP_LOCAL_PORT),
    HOOK(OUTBOUND_TRANSPORT_V4, IP_REMOTE_PORT),     HOOK(OUTBOUND_TRANSPORT_V6, IP_REMOTE_PORT),
};
static struct callout_layer layers[HOOKS_LAYERS];
static struct callout_set callouts = {
    .base = {0x61c9d5a8, 0x2e74, 0x49f3, {0x9b, 0x06, 0xd3, 0x5f, 0x8c, 0x17, 0xe4, 0x00}},
    .name = L"Hooks",
    .action = FWP_ACTION_CALLOUT_TERMINATING,
    .layers = layers,
    .count = HOOKS_LAYERS,
};

static void NTAPI hook(const FWPS_INCOMING_VALUES *values, const FWPS_INCOMING_METADATA_VALUES *metadata,
                       void *layer_data, const void *context, const FWPS_FILTER *filter, UINT64 flow_context,
                       FWPS_CLASSIFY_OUT *out)
{
    UNREFERENCED_PARAMETER(metadata);
    UNREFERENCED_PARAMETER(layer_data);
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(filter);
    UNREFERENCED_PARAMETER(flow_context);
    if ((out->rights & FWPS_RIGHT_ACTION_WRITE) == 0)
        return;
    out->actionType = FWP_ACTION_CONTINUE;
    if (!ExAcquireRundownProtection(&hooks.running))
        return;
    for (UINT32 i = 0; i < HOOKS_LAYERS; i++) {
        if (table[i].layer.id != values->layerId)
            continue;
        InterlockedIncrement64(&hooks.program->counts[i]);
        if (values->incomingValue[table[i].port].value.uint16 == hooks.program->port) {
            out->actionType = FWP_ACTION_BLOCK;
            out->rights &= ~FWPS_RIGHT_ACTION_WRITE;
        }
        break;
    }
    ExReleaseRundownProtection(&hooks.running);
}

/* program: NULL: none from now on. */
static void attach(struct program *program)
{
    struct program *was;

    ExAcquireFastMutex(&hooks.turn);
    was = hooks.program;
    if (was != NULL) {
        ExWaitForRundownProtectionRelease(&hooks.running);
        ExFreePoolWithTag(was, HOOKS_TAG);
    }
    hooks.program = program;
    if (program != NULL)
        ExReInitializeRundownProtection(&hooks.running);
    ExReleaseFastMutex(&hooks.turn);
}

static NTSTATUS finish(IRP *irp, NTSTATUS status, ULONG_PTR bytes)
{
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = bytes;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD Unload;
static DRIVER_DISPATCH opens, reads, writes;

static NTSTATUS NTAPI opens(DEVICE_OBJECT *device, IRP *irp)
{
    UNREFERENCED_PARAMETER(device);
    return finish(irp, STATUS_SUCCESS, 0);
}

static NTSTATUS NTAPI writes(DEVICE_OBJECT *device, IRP *irp)
{
    const ULONG size = IoGetCurrentIrpStackLocation(irp)->Parameters.Write.Length;
    struct hooks_program is;
    struct program *program = NULL;

    UNREFERENCED_PARAMETER(device);
    if (size != sizeof is)
        return finish(irp, STATUS_INVALID_PARAMETER, 0);
    RtlCopyMemory(&is, irp->AssociatedIrp.SystemBuffer, sizeof is);
    if (is.attach) {
        program = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof *program, HOOKS_TAG);
        if (program == NULL)
            return finish(irp, STATUS_INSUFFICIENT_RESOURCES, 0);
        program->port = is.port;
    }
    attach(program);
    return finish(irp, STATUS_SUCCESS, size);
}

static NTSTATUS NTAPI reads(DEVICE_OBJECT *device, IRP *irp)
{
    struct hooks_counts counts = {{0}};

    UNREFERENCED_PARAMETER(device);
    if (IoGetCurrentIrpStackLocation(irp)->Parameters.Read.Length < sizeof counts)
        return finish(irp, STATUS_BUFFER_TOO_SMALL, 0);
    if (ExAcquireRundownProtection(&hooks.running)) {
        for (ULONG i = 0; i < HOOKS_LAYERS; i++)
            counts.of[i] = (UINT64)ReadNoFence64(&hooks.program->counts[i]);
        ExReleaseRundownProtection(&hooks.running);
    }
    RtlCopyMemory(irp->AssociatedIrp.SystemBuffer, &counts, sizeof counts);
    return finish(irp, STATUS_SUCCESS, sizeof counts);
}

static VOID NTAPI Unload(DRIVER_OBJECT *driver)
{
    UNREFERENCED_PARAMETER(driver);
    callouts_stop(&callouts);
    attach(NULL);
    IoDeleteSymbolicLink(&link_name);
    IoDeleteDevice(hooks.device);
}

NTSTATUS NTAPI DriverEntry(DRIVER_OBJECT *driver, UNICODE_STRING *path)
{
    NTSTATUS status;

    UNREFERENCED_PARAMETER(path);
    ExInitializeFastMutex(&hooks.turn);
    ExInitializeRundownProtection(&hooks.running);
    ExWaitForRundownProtectionRelease(&hooks.running); /* nothing is attached */
    for (ULONG i = 0; i < HOOKS_LAYERS; i++)
        layers[i] = table[i].layer;
    driver->DriverUnload = Unload;
    driver->MajorFunction[IRP_MJ_CREATE] = opens;
    driver->MajorFunction[IRP_MJ_CLOSE] = opens;
    driver->MajorFunction[IRP_MJ_READ] = reads;
    driver->MajorFunction[IRP_MJ_WRITE] = writes;
    status = IoCreateDevice(driver, 0, &device_name, FILE_DEVICE_NETWORK, FILE_DEVICE_SECURE_OPEN, FALSE,
                            &hooks.device);
    if (!NT_SUCCESS(status))
        return status;
    hooks.device->Flags |= DO_BUFFERED_IO;
    status = IoCreateSymbolicLink(&link_name, &device_name);
    if (NT_SUCCESS(status)) {
        status = callouts_start(&callouts, hooks.device);
        if (!NT_SUCCESS(status))
            IoDeleteSymbolicLink(&link_name);
    }
    if (!NT_SUCCESS(status))
        IoDeleteDevice(hooks.device);
    return status;
}
