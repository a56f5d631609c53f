/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work items of devices: on the system's worker threads (ex_work.c), in the context of the driver that queued
 * them.
 *
 *   allocated or initialised --queue--> queued (holds a reference on its device or driver) --a worker-->
 * idle, and its routine runs, which may queue it again or free it
 */
#include <stdlib.h>

#include "nt/fault.h"
#include "nt/io_inside.h"

struct _IO_WORKITEM {
    WORK_QUEUE_ITEM item;
    PVOID object; /* a DEVICE_OBJECT or DRIVER_OBJECT */
    PIO_WORKITEM_ROUTINE routine;
    PIO_WORKITEM_ROUTINE_EX routine_ex;
    PVOID context;
    bool allocated;
    _Atomic bool queued;
};

static void run(PVOID parameter)
{
    struct _IO_WORKITEM *item = parameter, was = {.object = item->object,
                                                  .routine = item->routine,
                                                  .routine_ex = item->routine_ex,
                                                  .context = item->context};
    struct nt_begun begun;

    atomic_store(&item->queued, false);
    begun = nt_begins("work item", was.routine_ex != NULL ? (const void *)(uintptr_t)was.routine_ex
                                                          : (const void *)(uintptr_t)was.routine);
    if (was.routine_ex != NULL)
        was.routine_ex(was.object, was.context, item);
    else
        was.routine(was.object, was.context);
    nt_ended(begun);
    ob_dereference(was.object);
}

static bool queue(struct _IO_WORKITEM *item, PIO_WORKITEM_ROUTINE routine, PIO_WORKITEM_ROUTINE_EX routine_ex,
                  WORK_QUEUE_TYPE type, PVOID context, const void *site)
{
    struct nt *k = nt_current();
    bool was = false;

    if (k == NULL || !ledger_use(LEDGER_WORK_ITEM, (uint64_t)(uintptr_t)item, site))
        return false;
    if (!atomic_compare_exchange_strong(&item->queued, &was, true))
        return false;
    item->routine = routine;
    item->routine_ex = routine_ex;
    item->context = context;
    item->item.WorkerRoutine = run;
    item->item.Parameter = item;
    item->item.List.Flink = NULL;
    ob_reference(item->object);
    if (!nt_work_queue(k, &item->item, type, rt_current(), site)) {
        ob_dereference(item->object);
        atomic_store(&item->queued, false);
        return false;
    }
    return true;
}

static bool known(PVOID object)
{
    return ob_is(object, &ob_type_device) || ob_is(object, &ob_type_driver);
}

PIO_WORKITEM IoAllocateWorkItem(PDEVICE_OBJECT DeviceObject)
{
    NT_FAIL_NULL(IoAllocateWorkItem);
    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (!known(DeviceObject))
        return NULL;
    struct _IO_WORKITEM *item = calloc(1, sizeof *item);
    if (item == NULL)
        return NULL;
    item->object = DeviceObject;
    item->allocated = true;
    ledger_open(LEDGER_WORK_ITEM, (uint64_t)(uintptr_t)item, 0, NULL, NT_SITE);
    return item;
}

VOID IoFreeWorkItem(PIO_WORKITEM IoWorkItem)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (!ledger_close(LEDGER_WORK_ITEM, (uint64_t)(uintptr_t)IoWorkItem, NT_SITE))
        return;
    if (atomic_load(&IoWorkItem->queued)) {
        nt_note(NT_SITE, "IoFreeWorkItem: the work item is queued and has not run");
        return; /* it stays, as its worker will look at it */
    }
    if (IoWorkItem->allocated)
        free(IoWorkItem);
}

VOID IoInitializeWorkItem(PVOID IoObject, PIO_WORKITEM IoWorkItem)
{
    memset(IoWorkItem, 0, sizeof *IoWorkItem);
    if (!known(IoObject)) {
        nt_note(NT_SITE, "IoInitializeWorkItem: this is neither a device nor a driver");
        return;
    }
    IoWorkItem->object = IoObject;
    ledger_open(LEDGER_WORK_ITEM, (uint64_t)(uintptr_t)IoWorkItem, 0, "initialized", NT_SITE);
}

VOID IoUninitializeWorkItem(PIO_WORKITEM IoWorkItem)
{
    if (!ledger_close(LEDGER_WORK_ITEM, (uint64_t)(uintptr_t)IoWorkItem, NT_SITE))
        return;
    if (atomic_load(&IoWorkItem->queued))
        nt_note(NT_SITE, "IoUninitializeWorkItem: the work item is queued and has not run");
}

ULONG IoSizeofWorkItem(VOID)
{
    return sizeof(struct _IO_WORKITEM);
}

/* A work item that is queued already is a bug of its driver. */
static void must_queue(PIO_WORKITEM item, PIO_WORKITEM_ROUTINE routine, PIO_WORKITEM_ROUTINE_EX routine_ex,
                       WORK_QUEUE_TYPE type, PVOID context, const char *function, const void *site)
{
    if (!queue(item, routine, routine_ex, type, context, site))
        nt_note(site, "%s: the work item is queued already, or gone", function);
}

VOID IoQueueWorkItem(PIO_WORKITEM IoWorkItem, PIO_WORKITEM_ROUTINE WorkerRoutine, WORK_QUEUE_TYPE QueueType,
                     PVOID Context)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    must_queue(IoWorkItem, WorkerRoutine, NULL, QueueType, Context, __func__, NT_SITE);
}

VOID IoQueueWorkItemEx(PIO_WORKITEM IoWorkItem, PIO_WORKITEM_ROUTINE_EX WorkerRoutine,
                       WORK_QUEUE_TYPE QueueType, PVOID Context)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    must_queue(IoWorkItem, NULL, WorkerRoutine, QueueType, Context, __func__, NT_SITE);
}

BOOLEAN IoTryQueueWorkItem(PIO_WORKITEM IoWorkItem, PIO_WORKITEM_ROUTINE_EX WorkerRoutine,
                           WORK_QUEUE_TYPE QueueType, PVOID Context)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return queue(IoWorkItem, NULL, WorkerRoutine, QueueType, Context, NT_SITE);
}
