/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The framework's synchronization scopes: two threads send requests to a device's parallel queues at once, and
 * the queues' callbacks wait in the middle. Without a scope they overlap; by queue those of one queue do not;
 * by device none do.
 */
#include <ntddk.h>

#include <wdf.h>

#include "check.h"

DRIVER_INITIALIZE DriverEntry;
EVT_WDF_DRIVER_UNLOAD Unload;
EVT_WDF_IO_QUEUE_IO_DEVICE_CONTROL Control;
EVT_WDF_IO_QUEUE_IO_INTERNAL_DEVICE_CONTROL Read;
KSTART_ROUTINE Controls, Reads;

#define ROUNDS 10

static struct {
    WDFDEVICE device;
    LONG inside[2], most[2], all, most_of_all; /* by queue */
    ULONG handled;
} here;

VOID Unload(_In_ WDFDRIVER driver)
{
    UNREFERENCED_PARAMETER(driver);
}

static void note(LONG now, LONG *most)
{
    if (now > *most)
        *most = now;
}

static void handle(WDFREQUEST request, int queue)
{
    LARGE_INTEGER pause;

    CHECK(KeGetCurrentIrql() == PASSIVE_LEVEL); /* of a device whose execution level says so */
    note(InterlockedIncrement(&here.inside[queue]), &here.most[queue]);
    note(InterlockedIncrement(&here.all), &here.most_of_all);
    pause.QuadPart = -10000;
    KeDelayExecutionThread(KernelMode, FALSE, &pause);
    here.handled++;
    InterlockedDecrement(&here.all);
    InterlockedDecrement(&here.inside[queue]);
    WdfRequestComplete(request, STATUS_SUCCESS);
}

VOID Control(_In_ WDFQUEUE queue, _In_ WDFREQUEST request, _In_ size_t out_size, _In_ size_t in_size,
             _In_ ULONG code)
{
    UNREFERENCED_PARAMETER(queue);
    UNREFERENCED_PARAMETER(out_size);
    UNREFERENCED_PARAMETER(in_size);
    UNREFERENCED_PARAMETER(code);
    handle(request, 0);
}

VOID Read(_In_ WDFQUEUE queue, _In_ WDFREQUEST request, _In_ size_t out_size, _In_ size_t in_size,
          _In_ ULONG code)
{
    UNREFERENCED_PARAMETER(queue);
    UNREFERENCED_PARAMETER(out_size);
    UNREFERENCED_PARAMETER(in_size);
    UNREFERENCED_PARAMETER(code);
    handle(request, 1);
}

static void send(BOOLEAN read)
{
    PDEVICE_OBJECT device = WdfDeviceWdmGetDeviceObject(here.device);
    IO_STATUS_BLOCK result;
    KEVENT done;
    PIRP irp;

    for (int i = 0; i < ROUNDS; i++) {
        KeInitializeEvent(&done, NotificationEvent, FALSE);
        if (read)
            irp = IoBuildDeviceIoControlRequest(
                CTL_CODE(FILE_DEVICE_UNKNOWN, 0x802, METHOD_BUFFERED, FILE_ANY_ACCESS), device, NULL, 0, NULL,
                0, TRUE, &done, &result);
        else
            irp = IoBuildDeviceIoControlRequest(
                CTL_CODE(FILE_DEVICE_UNKNOWN, 0x801, METHOD_BUFFERED, FILE_ANY_ACCESS), device, NULL, 0, NULL,
                0, FALSE, &done, &result);
        CHECK(irp != NULL);
        if (irp != NULL && IoCallDriver(device, irp) == STATUS_PENDING)
            KeWaitForSingleObject(&done, Executive, KernelMode, FALSE, NULL);
    }
    PsTerminateSystemThread(STATUS_SUCCESS);
}

VOID Controls(_In_ PVOID context)
{
    UNREFERENCED_PARAMETER(context);
    send(FALSE);
}

VOID Reads(_In_ PVOID context)
{
    UNREFERENCED_PARAMETER(context);
    send(TRUE);
}

static NTSTATUS make_device(WDFDRIVER driver, WDF_SYNCHRONIZATION_SCOPE scope)
{
    PWDFDEVICE_INIT init = WdfControlDeviceInitAllocate(driver, &SDDL_DEVOBJ_KERNEL_ONLY);
    WDF_OBJECT_ATTRIBUTES attributes;
    WDF_IO_QUEUE_CONFIG config;
    WDFQUEUE reads;
    NTSTATUS status;

    if (init == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    WDF_OBJECT_ATTRIBUTES_INIT(&attributes);
    attributes.SynchronizationScope = scope;
    attributes.ExecutionLevel = WdfExecutionLevelPassive;
    WdfDeviceInitSetIoType(init, WdfDeviceIoBuffered);
    status = WdfDeviceCreate(&init, &attributes, &here.device);
    if (!NT_SUCCESS(status)) {
        WdfDeviceInitFree(init);
        return status;
    }
    WDF_IO_QUEUE_CONFIG_INIT_DEFAULT_QUEUE(&config, WdfIoQueueDispatchParallel);
    config.EvtIoDeviceControl = Control;
    status = WdfIoQueueCreate(here.device, &config, WDF_NO_OBJECT_ATTRIBUTES, WDF_NO_HANDLE);
    WDF_IO_QUEUE_CONFIG_INIT(&config, WdfIoQueueDispatchParallel);
    config.EvtIoInternalDeviceControl = Read;
    if (NT_SUCCESS(status))
        status = WdfIoQueueCreate(here.device, &config, WDF_NO_OBJECT_ATTRIBUTES, &reads);
    if (NT_SUCCESS(status))
        status =
            WdfDeviceConfigureRequestDispatching(here.device, reads, WdfRequestTypeDeviceControlInternal);
    WdfControlFinishInitializing(here.device);
    return status;
}

static void play(WDFDRIVER driver, WDF_SYNCHRONIZATION_SCOPE scope, LONG of_a_queue, LONG of_all)
{
    PKTHREAD threads[4];
    HANDLE handle;

    RtlZeroMemory(&here, sizeof(here));
    CHECK(NT_SUCCESS(make_device(driver, scope)));
    if (!NT_SUCCESS(checked))
        return;
    for (int i = 0; i < 4; i++) {
        CHECK(NT_SUCCESS(PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, NULL, NULL, NULL,
                                              i < 2 ? Controls : Reads, NULL)));
        CHECK(NT_SUCCESS(ObReferenceObjectByHandle(handle, THREAD_ALL_ACCESS, *PsThreadType, KernelMode,
                                                   (PVOID *)&threads[i], NULL)));
        ZwClose(handle);
    }
    for (int i = 0; i < 4; i++) {
        KeWaitForSingleObject(threads[i], Executive, KernelMode, FALSE, NULL);
        ObDereferenceObject(threads[i]);
    }
    CHECK(here.handled == 4 * ROUNDS);
    CHECK(here.most[0] == of_a_queue && here.most[1] == of_a_queue && here.most_of_all == of_all);
    WdfObjectDelete(here.device);
}

NTSTATUS DriverEntry(_In_ PDRIVER_OBJECT object, _In_ PUNICODE_STRING path)
{
    WDF_DRIVER_CONFIG config;
    WDFDRIVER driver;

    WDF_DRIVER_CONFIG_INIT(&config, WDF_NO_EVENT_CALLBACK);
    config.DriverInitFlags |= WdfDriverInitNonPnpDriver;
    config.EvtDriverUnload = Unload;
    CHECK(NT_SUCCESS(WdfDriverCreate(object, path, WDF_NO_OBJECT_ATTRIBUTES, &config, &driver)));
    play(driver, WdfSynchronizationScopeNone, 2, 4);
    play(driver, WdfSynchronizationScopeQueue, 1, 2);
    play(driver, WdfSynchronizationScopeDevice, 1, 1);
    return checked;
}
