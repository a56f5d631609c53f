/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The framework's driver object. WdfDriverCreate() takes the DRIVER_OBJECT's dispatch routines and
 * DriverUnload; unloading calls EvtDriverUnload and deletes everything that is left, children first. With
 * WdfDriverInitNoDispatchOverride the dispatch routines and the unload stay the driver's.
 */
#include <stdlib.h>

#include "nt/fault.h"
#include "nt/text.h"
#include "nt/wdf_inside.h"

static void call_unload(struct wdf_driver *w)
{
    if (w->unload != NULL && !w->unload_called) {
        w->unload_called = true;
        w->unload((WDFDRIVER)w);
    }
}

void wdf_driver_gone(struct io_driver *io)
{
    if (io->wdf == NULL)
        return;
    struct nt_entered was = nt_enter(io->d->context, PASSIVE_LEVEL);
    struct wdf_object *o = io->wdf;
    wdf_delete(o);
    io->wdf = NULL;
    nt_leave(was, "the framework's clean-up");
}

static void unload(DRIVER_OBJECT *object)
{
    struct nt_driver *d = io_driver_of(object);

    if (d == NULL || d->io->wdf == NULL)
        return;
    call_unload((struct wdf_driver *)d->io->wdf);
    wdf_driver_gone(d->io);
}

NTSTATUS WdfDriverCreate(PDRIVER_OBJECT DriverObject, PCUNICODE_STRING RegistryPath,
                         PWDF_OBJECT_ATTRIBUTES DriverAttributes, PWDF_DRIVER_CONFIG DriverConfig,
                         WDFDRIVER *Driver)
{
    NT_FAIL_STATUS(WdfDriverCreate);
    struct nt_driver *d = io_driver_of(DriverObject);
    void *o;

    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (Driver != NULL)
        *Driver = NULL;
    if (d == NULL || RegistryPath == NULL || DriverConfig == NULL)
        return STATUS_INVALID_PARAMETER;
    if (DriverConfig->Size != sizeof *DriverConfig)
        return STATUS_INFO_LENGTH_MISMATCH;
    if (d->io->wdf != NULL)
        return STATUS_DRIVER_INTERNAL_ERROR;
    NTSTATUS status =
        wdf_create(d->io, WDF_KIND_DRIVER, sizeof(struct wdf_driver), DriverAttributes, NULL, NULL, &o);
    if (!NT_SUCCESS(status))
        return status;
    struct wdf_driver *w = o;
    if (w->o.level == WdfExecutionLevelInheritFromParent)
        w->o.level = WdfExecutionLevelDispatch;
    if (w->o.scope == WdfSynchronizationScopeInheritFromParent)
        w->o.scope = WdfSynchronizationScopeNone;
    w->unload = DriverConfig->EvtDriverUnload;
    d->io->wdf = &w->o;
    if (!(DriverConfig->DriverInitFlags & WdfDriverInitNoDispatchOverride)) {
        for (size_t i = 0; i <= IRP_MJ_MAXIMUM_FUNCTION; i++)
            DriverObject->MajorFunction[i] = wdf_dispatch;
        /* A driver without hardware that cannot be unloaded has no routine; one with a device-add always has.
         */
        if (DriverConfig->EvtDriverUnload != NULL || DriverConfig->EvtDriverDeviceAdd != NULL)
            DriverObject->DriverUnload = unload;
    }
    if (Driver != NULL)
        *Driver = (WDFDRIVER)w;
    return STATUS_SUCCESS;
}

/* For drivers that kept their dispatch routines: they call it in their own unload. */
VOID WdfDriverMiniportUnload(WDFDRIVER Driver)
{
    struct wdf_driver *w = WDF_OF(Driver, WDF_KIND_DRIVER);

    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (w == NULL)
        return;
    call_unload(w);
    wdf_driver_gone(w->o.io);
}

PDRIVER_OBJECT WdfDriverWdmGetDriverObject(WDFDRIVER Driver)
{
    struct wdf_driver *w = WDF_OF(Driver, WDF_KIND_DRIVER);

    NT_IRQL_MAX(DISPATCH_LEVEL);
    return w == NULL ? NULL : w->o.io->object;
}

PWSTR WdfDriverGetRegistryPath(WDFDRIVER Driver)
{
    struct wdf_driver *w = WDF_OF(Driver, WDF_KIND_DRIVER);

    NT_IRQL_MAX(PASSIVE_LEVEL);
    return w == NULL ? NULL : w->o.io->registry_path.Buffer;
}

WDFDRIVER WdfWdmDriverGetWdfDriverHandle(PDRIVER_OBJECT DriverObject)
{
    struct nt_driver *d = io_driver_of(DriverObject);

    return d == NULL ? NULL : (WDFDRIVER)d->io->wdf;
}

WDFDRIVER WdfGetDriver(VOID)
{
    struct io_driver *io = wdf_current_driver();

    return io == NULL ? NULL : (WDFDRIVER)io->wdf;
}

BOOLEAN WdfDriverIsVersionAvailable(WDFDRIVER Driver,
                                    PWDF_DRIVER_VERSION_AVAILABLE_PARAMS VersionAvailableParams)
{
    (void)Driver;
    return VersionAvailableParams->Size == sizeof *VersionAvailableParams &&
           VersionAvailableParams->MajorVersion == WDF_KMDF_VERSION_MAJOR &&
           VersionAvailableParams->MinorVersion <= WDF_KMDF_VERSION_MINOR;
}

NTSTATUS WdfDriverRetrieveVersionString(WDFDRIVER Driver, WDFSTRING String)
{
    NT_FAIL_STATUS(WdfDriverRetrieveVersionString);
    static const WCHAR version[] = u"1.33";
    struct wdf_string *s = WDF_OF(String, WDF_KIND_STRING);

    (void)Driver;
    NT_IRQL_MAX(PASSIVE_LEVEL);
    return s == NULL ? STATUS_INVALID_PARAMETER : wdf_string_set(s, version, ARRAYSIZE(version) - 1);
}
