/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Completion routines that their driver outlives: IoSetCompletionRoutineEx().
 *
 *   IoSetCompletionRoutineEx() --> the IRP is sent --> completed up to that location --> completed(), which asks the
 *   driver's routine if the status is one that it is for, and gives everything back
 *
 * From the call to the routine's return the driver counts as having something under way (nt_driver.c), and its device is
 * referenced: unload waits. An IRP that is never sent leaves both, and a debt (LEDGER_CALLBACK).
 */
#include <stdlib.h>

#include "nt/fault.h"
#include "nt/io_inside.h"

struct completion {
    DEVICE_OBJECT *device; /* a reference */
    struct nt_driver *driver;
    PIO_COMPLETION_ROUTINE routine;
    PVOID context;
    BOOLEAN success, error, cancel;
};

/* In place of the driver's, at every status. */
static NTSTATUS completed(PDEVICE_OBJECT object, PIRP irp, PVOID context)
{
    struct completion *c = context, was = *c;
    NTSTATUS status = STATUS_CONTINUE_COMPLETION;

    ledger_close_for(was.driver->party, LEDGER_CALLBACK, (uint64_t)(uintptr_t)c);
    free(c);
    if ((NT_SUCCESS(irp->IoStatus.Status) && was.success) ||
        (!NT_SUCCESS(irp->IoStatus.Status) && was.error) || (irp->Cancel && was.cancel))
        status = was.routine(object, irp, was.context);
    else if (irp->PendingReturned && irp->CurrentLocation <= irp->StackCount)
        IoMarkIrpPending(irp);
    ob_dereference(was.device);
    nt_driver_ended(was.driver);
    return status;
}

NTSTATUS IoSetCompletionRoutineEx(PDEVICE_OBJECT DeviceObject, PIRP Irp,
                                  PIO_COMPLETION_ROUTINE CompletionRoutine, PVOID Context,
                                  BOOLEAN InvokeOnSuccess, BOOLEAN InvokeOnError, BOOLEAN InvokeOnCancel)
{
    NT_FAIL_STATUS(IoSetCompletionRoutineEx);
    struct io_device *device = DeviceObject == NULL ? NULL : io_device_of(DeviceObject);
    struct completion *c;

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (device == NULL || CompletionRoutine == NULL)
        return STATUS_INVALID_PARAMETER;
    c = malloc(sizeof *c);
    if (c == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    *c = (struct completion){.device = DeviceObject,
                             .driver = device->driver->d,
                             .routine = CompletionRoutine,
                             .context = Context,
                             .success = InvokeOnSuccess,
                             .error = InvokeOnError,
                             .cancel = InvokeOnCancel};
    ob_reference(DeviceObject);
    nt_driver_began(c->driver);
    ledger_open_for(c->driver->party, LEDGER_CALLBACK, (uint64_t)(uintptr_t)c, 0, "completion routine",
                    NT_SITE);
    IoSetCompletionRoutine(Irp, completed, c, TRUE, TRUE, TRUE);
    return STATUS_SUCCESS;
}
