/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device on top of another: requests come to the upper one, which hands them down and sees them again on
 * their way up. Names, references, the error log.
 */
#include <ntddk.h>

#include "check.h"

DRIVER_INITIALIZE DriverEntry;
DRIVER_UNLOAD Unload;
_Dispatch_type_(IRP_MJ_CREATE) _Dispatch_type_(IRP_MJ_CLOSE)
    _Dispatch_type_(IRP_MJ_CLEANUP) DRIVER_DISPATCH Opened;
_Dispatch_type_(IRP_MJ_DEVICE_CONTROL) DRIVER_DISPATCH Control;
IO_COMPLETION_ROUTINE Passed;

#define DOUBLES CTL_CODE(FILE_DEVICE_UNKNOWN, 0x800, METHOD_BUFFERED, FILE_ANY_ACCESS)

struct extension {
    PDEVICE_OBJECT below; /* NULL: the lower one */
    ULONG controls, passed;
};

static PDEVICE_OBJECT lower, upper;

static struct extension *extension_of(PDEVICE_OBJECT device)
{
    return device->DeviceExtension;
}

NTSTATUS Opened(_In_ PDEVICE_OBJECT device, _Inout_ PIRP irp)
{
    UNREFERENCED_PARAMETER(device);
    irp->IoStatus.Status = STATUS_SUCCESS;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return STATUS_SUCCESS;
}

NTSTATUS Passed(_In_ PDEVICE_OBJECT device, _In_ PIRP irp, _In_opt_ PVOID context)
{
    struct extension *e = context;

    CHECK(device == upper);
    if (irp->PendingReturned)
        IoMarkIrpPending(irp);
    e->passed++;
    if (NT_SUCCESS(irp->IoStatus.Status))
        *(PULONG)irp->AssociatedIrp.SystemBuffer += 1;
    return STATUS_SUCCESS;
}

NTSTATUS Control(_In_ PDEVICE_OBJECT device, _Inout_ PIRP irp)
{
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(irp);
    struct extension *e = extension_of(device);
    NTSTATUS status = STATUS_INVALID_DEVICE_REQUEST;

    e->controls++;
    if (e->below != NULL) {
        IoCopyCurrentIrpStackLocationToNext(irp);
        IoSetCompletionRoutine(irp, Passed, e, TRUE, TRUE, TRUE);
        return IoCallDriver(e->below, irp);
    }
    irp->IoStatus.Information = 0;
    if (at->Parameters.DeviceIoControl.IoControlCode == DOUBLES &&
        at->Parameters.DeviceIoControl.InputBufferLength >= sizeof(ULONG) &&
        at->Parameters.DeviceIoControl.OutputBufferLength >= sizeof(ULONG)) {
        *(PULONG)irp->AssociatedIrp.SystemBuffer *= 2;
        irp->IoStatus.Information = sizeof(ULONG);
        status = STATUS_SUCCESS;
    }
    irp->IoStatus.Status = status;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

static NTSTATUS ask(PDEVICE_OBJECT device, ULONG code, ULONG *number)
{
    IO_STATUS_BLOCK result;
    NTSTATUS status;
    KEVENT done;
    PIRP irp;

    KeInitializeEvent(&done, NotificationEvent, FALSE);
    irp = IoBuildDeviceIoControlRequest(code, device, number, sizeof(*number), number, sizeof(*number), FALSE,
                                        &done, &result);
    if (irp == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    status = IoCallDriver(device, irp);
    if (status == STATUS_PENDING) {
        KeWaitForSingleObject(&done, Executive, KernelMode, FALSE, NULL);
        status = result.Status;
    }
    return status;
}

static void stacks(void)
{
    UNICODE_STRING name;
    PFILE_OBJECT file = NULL;
    PDEVICE_OBJECT found = NULL;
    ULONG number = 20;

    CHECK(upper->StackSize == lower->StackSize + 1 && extension_of(upper)->below == lower);
    CHECK(lower->AttachedDevice == upper && IoGetAttachedDevice(lower) == upper);
    found = IoGetAttachedDeviceReference(lower);
    CHECK(found == upper);
    ObDereferenceObject(found);
    /* who opens the lower one by its name has the top of the stack */
    RtlInitUnicodeString(&name, L"\\Device\\StackedLower");
    found = NULL;
    CHECK(NT_SUCCESS(IoGetDeviceObjectPointer(&name, FILE_READ_DATA, &file, &found)) && found == upper);
    CHECK(ask(found, DOUBLES, &number) == STATUS_SUCCESS && number == 41);
    CHECK(extension_of(upper)->controls == 1 && extension_of(lower)->controls == 1 &&
          extension_of(upper)->passed == 1);
    CHECK(ask(found, DOUBLES + 4, &number) == STATUS_INVALID_DEVICE_REQUEST);
    CHECK(extension_of(upper)->passed == 2);
    number = 5;
    CHECK(ask(lower, DOUBLES, &number) == STATUS_SUCCESS && number == 10); /* past the upper one */
    CHECK(extension_of(upper)->controls == 2 && extension_of(lower)->controls == 3);
    if (file != NULL)
        ObDereferenceObject(file);
}

static void logs(PDRIVER_OBJECT object)
{
    static const WCHAR text[] = L"stacked";
    PIO_ERROR_LOG_PACKET packet;

    packet = IoAllocateErrorLogEntry(object, (UCHAR)(sizeof(*packet) + sizeof(text)));
    CHECK(packet != NULL);
    if (packet == NULL)
        return;
    packet->ErrorCode = (NTSTATUS)0xC0041234;
    packet->UniqueErrorValue = 7;
    packet->FinalStatus = STATUS_UNSUCCESSFUL;
    packet->NumberOfStrings = 1;
    packet->StringOffset = sizeof(*packet);
    RtlCopyMemory((PUCHAR)packet + packet->StringOffset, text, sizeof(text));
    IoWriteErrorLogEntry(packet);
    packet = IoAllocateErrorLogEntry(object, sizeof(*packet));
    CHECK(packet != NULL);
    if (packet != NULL)
        IoFreeErrorLogEntry(packet);
    CHECK(IoAllocateErrorLogEntry(object, 255) == NULL); /* more than ERROR_LOG_MAXIMUM_SIZE */
}

VOID Unload(_In_ PDRIVER_OBJECT object)
{
    UNREFERENCED_PARAMETER(object);
    IoDetachDevice(lower);
    CHECK(lower->AttachedDevice == NULL);
    IoDeleteDevice(upper);
    IoUnregisterShutdownNotification(lower);
    IoDeleteDevice(lower);
}

NTSTATUS DriverEntry(_In_ PDRIVER_OBJECT object, _In_ PUNICODE_STRING path)
{
    UNICODE_STRING name;

    UNREFERENCED_PARAMETER(path);
    object->MajorFunction[IRP_MJ_CREATE] = Opened;
    object->MajorFunction[IRP_MJ_CLOSE] = Opened;
    object->MajorFunction[IRP_MJ_CLEANUP] = Opened;
    object->MajorFunction[IRP_MJ_DEVICE_CONTROL] = Control;
    object->DriverUnload = Unload;
    RtlInitUnicodeString(&name, L"\\Device\\StackedLower");
    CHECK(NT_SUCCESS(
        IoCreateDevice(object, sizeof(struct extension), &name, FILE_DEVICE_UNKNOWN, 0, FALSE, &lower)));
    CHECK(NT_SUCCESS(
        IoCreateDevice(object, sizeof(struct extension), NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &upper)));
    extension_of(upper)->below = IoAttachDeviceToDeviceStack(upper, lower);
    lower->Flags &= ~DO_DEVICE_INITIALIZING;
    upper->Flags &= ~DO_DEVICE_INITIALIZING;
    CHECK(NT_SUCCESS(IoRegisterShutdownNotification(lower)));
    CHECK((lower->Flags & DO_SHUTDOWN_REGISTERED) != 0);
    stacks();
    logs(object);
    return checked;
}
