/* SPDX-License-Identifier: Apache-2.0 */
/* redirect: how it begins and ends, and the program that is the proxy. What it does: inside.h. */
#include <initguid.h>

#include "inside.h"

#include <ip2string.h>

static const struct callout_layer layers[] = {
    {FWPS_LAYER_ALE_CONNECT_REDIRECT_V4, &FWPM_LAYER_ALE_CONNECT_REDIRECT_V4, redirect_connect, 0},
    {FWPS_LAYER_ALE_CONNECT_REDIRECT_V6, &FWPM_LAYER_ALE_CONNECT_REDIRECT_V6, redirect_connect, 0},
    {FWPS_LAYER_ALE_BIND_REDIRECT_V4, &FWPM_LAYER_ALE_BIND_REDIRECT_V4, redirect_bind, 0},
    {FWPS_LAYER_ALE_BIND_REDIRECT_V6, &FWPM_LAYER_ALE_BIND_REDIRECT_V6, redirect_bind, 0},
};

static struct callout_set callouts = {
    .base = {0x98938c6e, 0x23d4, 0x4e67, {0xa6, 0x51, 0xd1, 0xba, 0x24, 0x2c, 0x9e, 0x00}},
    .name = L"Redirect",
    .action = FWP_ACTION_CALLOUT_TERMINATING,
    .layers = layers,
    .count = ARRAYSIZE(layers),
};

static const GUID provider = {0x1117039b, 0x247f, 0x468a, {0x9c, 0xc0, 0xc6, 0x0c, 0x94, 0xaa, 0xae, 0xa5}};

static UNICODE_STRING device_name = RTL_CONSTANT_STRING(L"\\Device\\Redirect");
static UNICODE_STRING link_name = RTL_CONSTANT_STRING(L"\\DosDevices\\Redirect");

struct redirect redirect;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD unload;
static DRIVER_DISPATCH open_or_close, leave, control;

/* ---- the proxy -------------------------------------------------------------------------------------------
 */

static NTSTATUS complete(IRP *irp, NTSTATUS status)
{
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

static NTSTATUS NTAPI open_or_close(DEVICE_OBJECT *device, IRP *irp)
{
    UNREFERENCED_PARAMETER(device);
    return complete(irp, STATUS_SUCCESS);
}

/* The last handle is closed, perhaps because the program has ended. */
static NTSTATUS NTAPI leave(DEVICE_OBJECT *device, IRP *irp)
{
    KLOCK_QUEUE_HANDLE held;

    UNREFERENCED_PARAMETER(device);
    KeAcquireInStackQueuedSpinLock(&redirect.lock, &held);
    if (redirect.proxy == IoGetCurrentIrpStackLocation(irp)->FileObject)
        redirect.proxy = NULL;
    KeReleaseInStackQueuedSpinLock(&held);
    return complete(irp, STATUS_SUCCESS);
}

static NTSTATUS NTAPI control(DEVICE_OBJECT *device, IRP *irp)
{
    IO_STACK_LOCATION *stack = IoGetCurrentIrpStackLocation(irp);
    const struct redirect_proxy *proxy = irp->AssociatedIrp.SystemBuffer;
    NTSTATUS status = STATUS_SUCCESS;
    KLOCK_QUEUE_HANDLE held;

    UNREFERENCED_PARAMETER(device);
    if (stack->Parameters.DeviceIoControl.IoControlCode != IOCTL_REDIRECT_PROXY)
        return complete(irp, STATUS_INVALID_DEVICE_REQUEST);
    if (stack->Parameters.DeviceIoControl.InputBufferLength < sizeof *proxy || proxy->port == 0)
        return complete(irp, STATUS_INVALID_PARAMETER);
    KeAcquireInStackQueuedSpinLock(&redirect.lock, &held);
    if (redirect.proxy != NULL && redirect.proxy != stack->FileObject) {
        status = STATUS_DEVICE_BUSY; /* there is one */
    } else {
        redirect.proxy = stack->FileObject;
        redirect.proxy_process = IoGetRequestorProcessId(irp);
        redirect.proxy_port = proxy->port;
    }
    KeReleaseInStackQueuedSpinLock(&held);
    return complete(irp, status);
}

/* ---- begin and end ---------------------------------------------------------------------------------------
 */

/* The order of LIFE-17: nothing pended, no filters, no callouts, no redirections, no device. */
static void NTAPI unload(DRIVER_OBJECT *driver)
{
    UNREFERENCED_PARAMETER(driver);
    worker_stop();
    callouts_stop(&callouts);
    worker_drain();
    FwpsRedirectHandleDestroy(redirect.handle);
    IoDeleteSymbolicLink(&link_name);
    IoDeleteDevice(redirect.device);
}

/* Absent: family 0. */
static NTSTATUS read_target(struct target *target, HANDLE key, PCWSTR name, ADDRESS_FAMILY family)
{
    SOCKADDR_IN *v4 = (SOCKADDR_IN *)&target->address;
    SOCKADDR_IN6 *v6 = (SOCKADDR_IN6 *)&target->address;
    ULONG scope;
    CHAR text[64];
    NTSTATUS status;

    if (parameter_text(key, name, text, sizeof text) == 0)
        return STATUS_SUCCESS;
    target->address.ss_family = family;
    if (family == AF_INET) {
        status = RtlIpv4StringToAddressExA(text, TRUE, &v4->sin_addr, &v4->sin_port);
    } else {
        status = RtlIpv6StringToAddressExA(text, &v6->sin6_addr, &scope, &v6->sin6_port);
        v6->sin6_scope_id = scope;
    }
    target->any_port = (BOOLEAN)(INETADDR_PORT((SOCKADDR *)&target->address) == 0);
    return status;
}

static NTSTATUS read_parameters(UNICODE_STRING *registry_path)
{
    HANDLE key = parameters_open(registry_path);
    NTSTATUS status = read_target(&redirect.to[0], key, L"To4", AF_INET);

    if (NT_SUCCESS(status))
        status = read_target(&redirect.to[1], key, L"To6", AF_INET6);
    if (NT_SUCCESS(status))
        status = read_target(&redirect.bind[0], key, L"Bind4", AF_INET);
    if (NT_SUCCESS(status))
        status = read_target(&redirect.bind[1], key, L"Bind6", AF_INET6);
    parameter_text(key, L"Ports", redirect.ports, sizeof redirect.ports);
    parameter_text(key, L"BindPorts", redirect.bind_ports, sizeof redirect.bind_ports);
    redirect.delay_ms = parameter_number(key, L"DelayMs", 0);
    parameters_close(key);
    return status;
}

static NTSTATUS create_device(DRIVER_OBJECT *driver)
{
    NTSTATUS status = IoCreateDevice(driver, 0, &device_name, FILE_DEVICE_NETWORK, FILE_DEVICE_SECURE_OPEN,
                                     FALSE, &redirect.device);

    if (!NT_SUCCESS(status))
        return status;
    status = IoCreateSymbolicLink(&link_name, &device_name);
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(redirect.device);
        return status;
    }
    driver->MajorFunction[IRP_MJ_CREATE] = open_or_close;
    driver->MajorFunction[IRP_MJ_CLEANUP] = leave;
    driver->MajorFunction[IRP_MJ_CLOSE] = open_or_close;
    driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = control;
    driver->DriverUnload = unload;
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI DriverEntry(DRIVER_OBJECT *driver, UNICODE_STRING *registry_path)
{
    NTSTATUS status = read_parameters(registry_path);

    if (!NT_SUCCESS(status))
        return status;
    KeInitializeSpinLock(&redirect.lock);
    InitializeListHead(&redirect.pended);
    thread_init(&redirect.worker);
    status = create_device(driver);
    if (!NT_SUCCESS(status))
        return status;
    status = FwpsRedirectHandleCreate(&provider, 0, &redirect.handle);
    if (!NT_SUCCESS(status))
        goto delete_device;
    status = worker_start();
    if (!NT_SUCCESS(status))
        goto destroy_handle;
    status = callouts_start(&callouts, redirect.device);
    if (NT_SUCCESS(status))
        return status;

    worker_stop();
destroy_handle:
    FwpsRedirectHandleDestroy(redirect.handle);
delete_device:
    IoDeleteSymbolicLink(&link_name);
    IoDeleteDevice(redirect.device);
    return status;
}
