/* SPDX-License-Identifier: Apache-2.0 */
/* The framework's collections and DPCs, and a request that its sender takes back. */
#include <ntddk.h>

#include <wdf.h>

#include "check.h"

DRIVER_INITIALIZE DriverEntry;
EVT_WDF_DRIVER_UNLOAD Unload;
EVT_WDF_DPC Dpc;
EVT_WDF_IO_QUEUE_IO_DEVICE_CONTROL Control;
EVT_WDF_REQUEST_CANCEL Cancelled;

#define KEEPS CTL_CODE(FILE_DEVICE_UNKNOWN, 0x801, METHOD_BUFFERED, FILE_ANY_ACCESS)

static struct {
    WDFDEVICE device;
    WDFREQUEST kept;
    ULONG dpcs, cancelled;
    KIRQL dpc_irql;
} here;

VOID Unload(_In_ WDFDRIVER driver)
{
    UNREFERENCED_PARAMETER(driver);
    WdfObjectDelete(here.device);
}

static void collections(void)
{
    WDFCOLLECTION collection;
    WDFMEMORY memory[3];
    PVOID buffer;

    CHECK(NT_SUCCESS(WdfCollectionCreate(WDF_NO_OBJECT_ATTRIBUTES, &collection)));
    CHECK(WdfCollectionGetCount(collection) == 0 && WdfCollectionGetFirstItem(collection) == NULL);
    for (int i = 0; i < 3; i++) {
        CHECK(NT_SUCCESS(
            WdfMemoryCreate(WDF_NO_OBJECT_ATTRIBUTES, NonPagedPoolNx, 'lloC', 8, &memory[i], &buffer)));
        CHECK(NT_SUCCESS(WdfCollectionAdd(collection, memory[i])));
    }
    CHECK(WdfCollectionGetCount(collection) == 3);
    CHECK(WdfCollectionGetFirstItem(collection) == memory[0] &&
          WdfCollectionGetItem(collection, 1) == memory[1] &&
          WdfCollectionGetLastItem(collection) == memory[2] && WdfCollectionGetItem(collection, 3) == NULL);
    WdfCollectionRemoveItem(collection, 0);
    CHECK(WdfCollectionGetCount(collection) == 2 && WdfCollectionGetFirstItem(collection) == memory[1]);
    WdfObjectDelete(memory[2]); /* the collection has a reference: the object is there as long as that */
    CHECK(WdfCollectionGetLastItem(collection) == memory[2]);
    WdfCollectionRemove(collection, memory[2]);
    CHECK(WdfCollectionGetCount(collection) == 1);
    WdfObjectDelete(collection);
    WdfObjectDelete(memory[0]);
    WdfObjectDelete(memory[1]);
}

VOID Dpc(_In_ WDFDPC dpc)
{
    CHECK(WdfDpcGetParentObject(dpc) == here.device);
    here.dpcs++;
    here.dpc_irql = KeGetCurrentIrql();
}

static void dpcs(void)
{
    WDF_OBJECT_ATTRIBUTES attributes;
    WDF_DPC_CONFIG config;
    LARGE_INTEGER pause;
    WDFDPC dpc;
    KIRQL before;

    WDF_DPC_CONFIG_INIT(&config, Dpc);
    WDF_OBJECT_ATTRIBUTES_INIT(&attributes);
    attributes.ParentObject = here.device;
    CHECK(NT_SUCCESS(WdfDpcCreate(&config, &attributes, &dpc)));
    KeRaiseIrql(DISPATCH_LEVEL, &before);
    CHECK(WdfDpcEnqueue(dpc) && !WdfDpcEnqueue(dpc)); /* once is enough */
    CHECK(WdfDpcCancel(dpc, FALSE) && !WdfDpcCancel(dpc, FALSE));
    CHECK(WdfDpcEnqueue(dpc));
    KeLowerIrql(before);
    pause.QuadPart = -10000;
    KeDelayExecutionThread(KernelMode, FALSE, &pause);
    CHECK(here.dpcs == 1 && here.dpc_irql == DISPATCH_LEVEL);
    WdfObjectDelete(dpc);
}

VOID Cancelled(_In_ WDFREQUEST request)
{
    CHECK(request == here.kept);
    here.cancelled++;
    WdfRequestComplete(request, STATUS_CANCELLED);
}

VOID Control(_In_ WDFQUEUE queue, _In_ WDFREQUEST request, _In_ size_t out_size, _In_ size_t in_size,
             _In_ ULONG code)
{
    UNREFERENCED_PARAMETER(queue);
    UNREFERENCED_PARAMETER(out_size);
    UNREFERENCED_PARAMETER(in_size);
    if (code != KEEPS) {
        WdfRequestComplete(request, STATUS_INVALID_DEVICE_REQUEST);
        return;
    }
    here.kept = request;
    WdfRequestMarkCancelable(request, Cancelled);
}

static void cancels(void)
{
    PDEVICE_OBJECT device = WdfDeviceWdmGetDeviceObject(here.device);
    IO_STATUS_BLOCK result = {0};
    KEVENT done;
    PIRP irp;

    for (int taken_back = 0; taken_back < 2; taken_back++) {
        ULONG number = 1;

        here.kept = NULL;
        KeInitializeEvent(&done, NotificationEvent, FALSE);
        irp = IoBuildDeviceIoControlRequest(KEEPS, device, &number, sizeof(number), &number, sizeof(number),
                                            FALSE, &done, &result);
        CHECK(irp != NULL);
        CHECK(irp != NULL && IoCallDriver(device, irp) == STATUS_PENDING);
        CHECK(here.kept != NULL && !WdfRequestIsCanceled(here.kept));
        if (here.kept == NULL)
            return;
        if (taken_back) {
            CHECK(IoCancelIrp(irp));
        } else {
            CHECK(WdfRequestUnmarkCancelable(here.kept) == STATUS_SUCCESS);
            WdfRequestCompleteWithInformation(here.kept, STATUS_SUCCESS, 0);
        }
        KeWaitForSingleObject(&done, Executive, KernelMode, FALSE, NULL);
        CHECK(result.Status == (taken_back ? STATUS_CANCELLED : STATUS_SUCCESS));
        CHECK(here.cancelled == (ULONG)taken_back);
    }
}

static NTSTATUS control_device(WDFDRIVER driver)
{
    PWDFDEVICE_INIT init = WdfControlDeviceInitAllocate(driver, &SDDL_DEVOBJ_KERNEL_ONLY);
    WDF_IO_QUEUE_CONFIG config;
    UNICODE_STRING name;
    NTSTATUS status;

    if (init == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    RtlInitUnicodeString(&name, L"\\Device\\Collects");
    status = WdfDeviceInitAssignName(init, &name);
    if (NT_SUCCESS(status))
        status = WdfDeviceCreate(&init, WDF_NO_OBJECT_ATTRIBUTES, &here.device);
    if (!NT_SUCCESS(status)) {
        WdfDeviceInitFree(init);
        return status;
    }
    WDF_IO_QUEUE_CONFIG_INIT_DEFAULT_QUEUE(&config, WdfIoQueueDispatchParallel);
    config.EvtIoDeviceControl = Control;
    status = WdfIoQueueCreate(here.device, &config, WDF_NO_OBJECT_ATTRIBUTES, WDF_NO_HANDLE);
    WdfControlFinishInitializing(here.device);
    return status;
}

NTSTATUS DriverEntry(_In_ PDRIVER_OBJECT object, _In_ PUNICODE_STRING path)
{
    WDF_DRIVER_CONFIG config;
    WDFDRIVER driver;

    WDF_DRIVER_CONFIG_INIT(&config, WDF_NO_EVENT_CALLBACK);
    config.DriverInitFlags |= WdfDriverInitNonPnpDriver;
    config.EvtDriverUnload = Unload;
    CHECK(NT_SUCCESS(WdfDriverCreate(object, path, WDF_NO_OBJECT_ATTRIBUTES, &config, &driver)));
    CHECK(NT_SUCCESS(control_device(driver)));
    if (!NT_SUCCESS(checked))
        return checked;
    collections();
    dpcs();
    cancels();
    return checked;
}
