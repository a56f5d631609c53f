/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wants to know of the shutdown, of three devices: writes what it has to where files can still be written, and once
 * more at the last chance. What it has seen it says when it is unloaded.
 */
#include <ntddk.h>

DRIVER_INITIALIZE DriverEntry;
DRIVER_UNLOAD Unload;
DRIVER_DISPATCH Shutdown;

#define DEVICES 3

static PDEVICE_OBJECT devices[DEVICES];
static char seen[16];
static ULONG count;

_Use_decl_annotations_ NTSTATUS Shutdown(PDEVICE_OBJECT device, PIRP irp)
{
    for (ULONG i = 0; i < DEVICES && count < sizeof seen - 1; i++)
        if (devices[i] == device)
            seen[count++] = (char)('1' + i);
    if (KeGetCurrentIrql() != PASSIVE_LEVEL || PsGetCurrentProcess() != PsInitialSystemProcess)
        seen[count++] = '?';
    irp->IoStatus.Status = STATUS_SUCCESS;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return STATUS_SUCCESS;
}

VOID Unload(_In_ PDRIVER_OBJECT object)
{
    UNREFERENCED_PARAMETER(object);
    DbgPrint("shut down: %s\n", seen);
    for (ULONG i = 0; i < DEVICES; i++) {
        IoUnregisterShutdownNotification(devices[i]);
        IoDeleteDevice(devices[i]);
    }
}

NTSTATUS DriverEntry(_In_ PDRIVER_OBJECT object, _In_ PUNICODE_STRING path)
{
    NTSTATUS status = STATUS_SUCCESS;
    ULONG made;

    UNREFERENCED_PARAMETER(path);
    object->DriverUnload = Unload;
    object->MajorFunction[IRP_MJ_SHUTDOWN] = Shutdown;
    for (made = 0; made < DEVICES; made++) {
        status = IoCreateDevice(object, 0, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &devices[made]);
        if (!NT_SUCCESS(status))
            break;
        status = made == 1 ? IoRegisterLastChanceShutdownNotification(devices[made])
                           : IoRegisterShutdownNotification(devices[made]);
        if (!NT_SUCCESS(status)) {
            IoDeleteDevice(devices[made]);
            break;
        }
    }
    if (NT_SUCCESS(status))
        return STATUS_SUCCESS;
    while (made-- != 0) {
        IoUnregisterShutdownNotification(devices[made]);
        IoDeleteDevice(devices[made]);
    }
    return status;
}
