/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Automatic serialization: a device's file callbacks, its timer and its DPC one at a time, at DISPATCH_LEVEL; so a work item
 * cannot be one of them, and where the device's execution level is PASSIVE_LEVEL, the others cannot.
 */
#include <ntddk.h>

#include <wdf.h>

#include "check.h"

DRIVER_INITIALIZE DriverEntry;
EVT_WDF_DRIVER_UNLOAD Unload;
EVT_WDF_DEVICE_FILE_CREATE Create;
EVT_WDF_FILE_CLEANUP Cleanup;
EVT_WDF_TIMER Tick;
EVT_WDF_DPC Dpc;
EVT_WDF_WORKITEM Work;

#define ROUNDS 5
#define NAME   L"\\Device\\WeirSerial"

static struct {
    LONG inside, most;
    LONG creates, cleanups, ticks, dpcs, works;
} here;

VOID Unload(_In_ WDFDRIVER driver)
{
    UNREFERENCED_PARAMETER(driver);
}

static VOID alone(LONG *count)
{
    LONG now = InterlockedIncrement(&here.inside);

    CHECK(KeGetCurrentIrql() == DISPATCH_LEVEL);
    if (now > here.most)
        here.most = now;
    KeStallExecutionProcessor(50);
    ++*count;
    InterlockedDecrement(&here.inside);
}

VOID Create(_In_ WDFDEVICE device, _In_ WDFREQUEST request, _In_ WDFFILEOBJECT file)
{
    UNREFERENCED_PARAMETER(device);
    UNREFERENCED_PARAMETER(file);
    alone(&here.creates);
    WdfRequestComplete(request, STATUS_SUCCESS);
}

VOID Cleanup(_In_ WDFFILEOBJECT file)
{
    UNREFERENCED_PARAMETER(file);
    alone(&here.cleanups);
}

VOID Tick(_In_ WDFTIMER timer)
{
    UNREFERENCED_PARAMETER(timer);
    alone(&here.ticks);
}

VOID Dpc(_In_ WDFDPC dpc)
{
    UNREFERENCED_PARAMETER(dpc);
    alone(&here.dpcs);
}

VOID Work(_In_ WDFWORKITEM item)
{
    UNREFERENCED_PARAMETER(item);
    CHECK(KeGetCurrentIrql() == PASSIVE_LEVEL);
    InterlockedIncrement(&here.works);
}

static NTSTATUS make_device(WDFDRIVER driver, WDF_EXECUTION_LEVEL level, WDFDEVICE *device)
{
    DECLARE_CONST_UNICODE_STRING(name, NAME);
    PWDFDEVICE_INIT init = WdfControlDeviceInitAllocate(driver, &SDDL_DEVOBJ_KERNEL_ONLY);
    WDF_OBJECT_ATTRIBUTES attributes;
    WDF_FILEOBJECT_CONFIG files;
    NTSTATUS status;

    if (init == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    WDF_OBJECT_ATTRIBUTES_INIT(&attributes);
    attributes.SynchronizationScope = WdfSynchronizationScopeDevice;
    attributes.ExecutionLevel = level;
    WDF_FILEOBJECT_CONFIG_INIT(&files, Create, WDF_NO_EVENT_CALLBACK, Cleanup);
    WdfDeviceInitSetFileObjectConfig(init, &files, WDF_NO_OBJECT_ATTRIBUTES);
    status = WdfDeviceInitAssignName(init, &name);
    if (NT_SUCCESS(status))
        status = WdfDeviceCreate(&init, &attributes, device);
    if (!NT_SUCCESS(status)) {
        WdfDeviceInitFree(init);
        return status;
    }
    WdfControlFinishInitializing(*device);
    return STATUS_SUCCESS;
}

static VOID open_and_close(VOID)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(NAME);
    OBJECT_ATTRIBUTES attributes;
    IO_STATUS_BLOCK result;
    HANDLE file;

    InitializeObjectAttributes(&attributes, &name, OBJ_KERNEL_HANDLE, NULL, NULL);
    if (NT_SUCCESS(ZwCreateFile(&file, GENERIC_READ, &attributes, &result, NULL, FILE_ATTRIBUTE_NORMAL, 0,
                                FILE_OPEN, 0, NULL, 0)))
        ZwClose(file);
}

static VOID together(WDFDEVICE device)
{
    WDF_OBJECT_ATTRIBUTES attributes;
    WDF_TIMER_CONFIG ticks;
    WDF_DPC_CONFIG calls;
    WDF_WORKITEM_CONFIG works;
    WDFTIMER timer;
    WDFDPC dpc;
    WDFWORKITEM work;

    WDF_OBJECT_ATTRIBUTES_INIT(&attributes);
    attributes.ParentObject = device;
    WDF_TIMER_CONFIG_INIT_PERIODIC(&ticks, Tick, 1);
    CHECK(NT_SUCCESS(WdfTimerCreate(&ticks, &attributes, &timer)));
    WDF_DPC_CONFIG_INIT(&calls, Dpc);
    CHECK(NT_SUCCESS(WdfDpcCreate(&calls, &attributes, &dpc)));
    WDF_WORKITEM_CONFIG_INIT(&works, Work);
    CHECK(WdfWorkItemCreate(&works, &attributes, &work) == STATUS_WDF_INCOMPATIBLE_EXECUTION_LEVEL);
    works.AutomaticSerialization = FALSE;
    CHECK(NT_SUCCESS(WdfWorkItemCreate(&works, &attributes, &work)));
    if (!NT_SUCCESS(checked))
        return;
    (void)WdfTimerStart(timer, WDF_REL_TIMEOUT_IN_MS(1));
    for (int i = 0; i < ROUNDS; i++) {
        (void)WdfDpcEnqueue(dpc);
        WdfWorkItemEnqueue(work);
        open_and_close();
        WdfWorkItemFlush(work);
    }
    while (here.ticks == 0 || here.dpcs == 0) {
        LARGE_INTEGER pause = {.QuadPart = -10000};

        KeDelayExecutionThread(KernelMode, FALSE, &pause);
    }
    CHECK(WdfTimerStop(timer, TRUE));
    CHECK(here.creates == ROUNDS && here.cleanups == ROUNDS && here.works == ROUNDS && here.most == 1);
}

static VOID not_together(WDFDEVICE device)
{
    WDF_OBJECT_ATTRIBUTES attributes;
    WDF_TIMER_CONFIG ticks;
    WDF_DPC_CONFIG calls;
    WDFTIMER timer;
    WDFDPC dpc;

    WDF_OBJECT_ATTRIBUTES_INIT(&attributes);
    attributes.ParentObject = device;
    WDF_DPC_CONFIG_INIT(&calls, Dpc);
    CHECK(WdfDpcCreate(&calls, &attributes, &dpc) == STATUS_WDF_INCOMPATIBLE_EXECUTION_LEVEL);
    WDF_TIMER_CONFIG_INIT(&ticks, Tick);
    CHECK(WdfTimerCreate(&ticks, &attributes, &timer) == STATUS_WDF_INCOMPATIBLE_EXECUTION_LEVEL);
    attributes.ExecutionLevel = WdfExecutionLevelPassive;
    CHECK(NT_SUCCESS(WdfTimerCreate(&ticks, &attributes, &timer)));
}

NTSTATUS DriverEntry(_In_ PDRIVER_OBJECT object, _In_ PUNICODE_STRING path)
{
    WDF_DRIVER_CONFIG config;
    WDFDRIVER driver;
    WDFDEVICE device;
    NTSTATUS status;

    WDF_DRIVER_CONFIG_INIT(&config, WDF_NO_EVENT_CALLBACK);
    config.DriverInitFlags |= WdfDriverInitNonPnpDriver;
    config.EvtDriverUnload = Unload;
    status = WdfDriverCreate(object, path, WDF_NO_OBJECT_ATTRIBUTES, &config, &driver);
    if (!NT_SUCCESS(status))
        return status;
    status = make_device(driver, WdfExecutionLevelInheritFromParent, &device);
    if (!NT_SUCCESS(status))
        return status;
    together(device);
    WdfObjectDelete(device);
    status = make_device(driver, WdfExecutionLevelPassive, &device);
    if (!NT_SUCCESS(status))
        return status;
    not_together(device);
    return checked;
}
