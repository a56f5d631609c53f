/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IRPs: made, sent down a stack of devices, completed up again, cancelled.
 *
 *   MADE --IofCallDriver--> SENT: the dispatch routine of the device's driver has it, or kept it
 * (STATUS_PENDING)
 *     --IofCompleteRequest--> completion routines upwards, each in the context of who set it --> DONE: who
 * waits is told
 *
 * An IRP that Weir allocated has a struct io_irp in front. While it is SENT the driver that holds it owes its
 * completion (LEDGER_IRP). Who waits for it gives up after his patience; then the IRP is nobody's and its
 * completion frees it. Freed ones are kept for a while, so that a second completion is seen for what it is.
 *
 * Locks: io->lock for `wait` and the list of freed ones. The cancel spin lock is one a kernel (io->cancel).
 */
#include <stdlib.h>

#include "nt/fault.h"
#include "nt/io_inside.h"
#include "nt/mdl.h"

enum { ALLOCATED_BY_WEIR = 0x80 }; /* in IRP.AllocationFlags */

static const char *const major_names[] = {
    [IRP_MJ_CREATE] = "create",     [IRP_MJ_CLOSE] = "close",
    [IRP_MJ_READ] = "read",         [IRP_MJ_WRITE] = "write",
    [IRP_MJ_CLEANUP] = "cleanup",   [IRP_MJ_DEVICE_CONTROL] = "device control",
    [IRP_MJ_SHUTDOWN] = "shutdown", [IRP_MJ_INTERNAL_DEVICE_CONTROL] = "internal device control",
};

static const char *name_of(uint8_t major)
{
    return major < ARRAYSIZE(major_names) && major_names[major] != NULL ? major_names[major] : "request";
}

struct io_irp *io_irp_of(IRP *irp)
{
    return irp != NULL && irp->AllocationFlags & ALLOCATED_BY_WEIR ? (struct io_irp *)irp - 1 : NULL;
}

/* ---- made, freed
 * ---------------------------------------------------------------------------------------------- */
static void initialize(IRP *irp, size_t size, CCHAR stack_size)
{
    memset(irp, 0, size);
    irp->Type = IO_TYPE_IRP;
    irp->Size = (USHORT)size;
    irp->StackCount = stack_size;
    irp->CurrentLocation = (CHAR)(stack_size + 1);
    irp->Tail.Overlay.CurrentStackLocation = (IO_STACK_LOCATION *)(irp + 1) + stack_size;
    InitializeListHead(&irp->ThreadListEntry);
}

IRP *io_irp_make(struct io_room *io, CCHAR stack_size)
{
    size_t size = IoSizeOfIrp(stack_size);
    struct io_irp *i = aligned_alloc(16, (sizeof *i + size + 15) & ~(size_t)15);

    if (i == NULL)
        return NULL;
    memset(i, 0, sizeof *i);
    i->io = io;
    i->allocator = rt_current();
    initialize(io_irp_body(i), size, stack_size);
    io_irp_body(i)->AllocationFlags = ALLOCATED_BY_WEIR;
    return io_irp_body(i);
}

void io_irp_free(struct io_irp *i)
{
    struct io_room *io = i->io;

    i->state = IO_IRP_DONE;
    if (i->process != NULL)
        ob_dereference(i->process);
    free(i->system_buffer);
    free(i->input);
    free(i->output);
    i->process = NULL;
    i->system_buffer = i->input = i->output = NULL;
    rt_mutex_lock(io->lock);
    struct io_irp *oldest = io->last_freed[io->next_freed];
    io->last_freed[io->next_freed] = i;
    io->next_freed = (io->next_freed + 1) % ARRAYSIZE(io->last_freed);
    rt_mutex_unlock(io->lock);
    free(oldest);
}

/* ---- whose it is
 * ---------------------------------------------------------------------------------------------- */
static void held_by(IRP *irp, struct nt_driver *d, uint8_t major)
{
    struct io_irp *i = io_irp_of(irp);

    if (i == NULL)
        return;
    if (i->holder != NULL && i->holder->party != NULL)
        ledger_close_for(i->holder->party, LEDGER_IRP, (uint64_t)(uintptr_t)irp);
    i->holder = d;
    if (d != NULL && d->party != NULL)
        ledger_open_for(d->party, LEDGER_IRP, (uint64_t)(uintptr_t)irp, 0, name_of(major), NULL);
}

/* ---- down
 * ----------------------------------------------------------------------------------------------------- */
static NTSTATUS call_driver(DEVICE_OBJECT *object, IRP *irp, const void *site)
{
    struct io_device *device = io_device_of(object);
    struct io_irp *i = io_irp_of(irp);

    if (device == NULL) {
        nt_bug(NO_MORE_IRP_STACK_LOCATIONS, NULL, site, "IoCallDriver: this is no device");
        return STATUS_NO_SUCH_DEVICE;
    }
    if (irp->CurrentLocation <= 1) {
        nt_bug(NO_MORE_IRP_STACK_LOCATIONS, NULL, site, "IoCallDriver: the IRP has no stack location left");
        irp->IoStatus.Status = STATUS_INVALID_DEVICE_REQUEST;
        IofCompleteRequest(irp, IO_NO_INCREMENT);
        return STATUS_INVALID_DEVICE_REQUEST;
    }
    IoSetNextIrpStackLocation(irp);
    IO_STACK_LOCATION *stack = IoGetCurrentIrpStackLocation(irp);
    uint8_t major = stack->MajorFunction;
    stack->DeviceObject = object;
    if (i != NULL)
        i->state = IO_IRP_SENT;
    held_by(irp, device->driver->d, major);
    PDRIVER_DISPATCH dispatch =
        major <= IRP_MJ_MAXIMUM_FUNCTION ? object->DriverObject->MajorFunction[major] : io_invalid_request;

    ob_reference(object); /* the routine may delete its device */
    struct nt_entered was = nt_enter(device->driver->d->context, rt_carried()->irql);
    NTSTATUS status = dispatch(object, irp);
    nt_leave(was, "a dispatch routine");
    ob_dereference(object);
    return status;
}

NTSTATUS IofCallDriver(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return call_driver(DeviceObject, Irp, NT_SITE);
}

/* ---- up
 * ------------------------------------------------------------------------------------------------------- */
/* Its data to who waits; the rest to nobody. */
static void finished(struct io_irp *i)
{
    IRP *irp = io_irp_body(i);
    struct io_room *io = i->io;

    for (MDL *mdl = irp->MdlAddress, *next; mdl != NULL; mdl = next) {
        next = mdl->Next;
        if (mm_mdl_is_ours(mdl))
            mm_mdl_free(mdl);
    }
    rt_mutex_lock(io->lock);
    struct io_wait *w = i->wait;
    i->wait = NULL;
    if (w != NULL) {
        const void *from = i->output != NULL ? i->output : i->system_buffer;
        w->status = irp->IoStatus.Status;
        w->information = irp->IoStatus.Information;
        size_t n = w->information < w->to_size ? w->information : w->to_size;
        if (w->to != NULL && from != NULL && n > 0 && !NT_ERROR(w->status))
            memcpy(w->to, from, n);
        w->done = true;
        rt_cond_broadcast(io->completed);
    }
    rt_mutex_unlock(io->lock);
    io_irp_free(i);
}

static void complete(IRP *irp, const char *function, const void *site)
{
    struct io_irp *i = io_irp_of(irp);

    if ((i != NULL && i->state == IO_IRP_DONE) || irp->Type != IO_TYPE_IRP ||
        irp->CurrentLocation > irp->StackCount + 1) {
        nt_bug(MULTIPLE_IRP_COMPLETE_REQUESTS, NULL, site, "%s: an IRP is completed twice", function);
        return;
    }
    if (irp->IoStatus.Status == STATUS_PENDING)
        nt_note(site, "%s: an IRP is completed with STATUS_PENDING", function);
    if (irp->CancelRoutine != NULL) {
        nt_note(site, "%s: an IRP is completed that still has a cancel routine", function);
        irp->CancelRoutine = NULL;
    }
    held_by(irp, NULL, 0);
    while (irp->CurrentLocation <= irp->StackCount) {
        IO_STACK_LOCATION *stack = IoGetCurrentIrpStackLocation(irp);
        uint8_t control = stack->Control;

        stack->Control = 0; /* the location may be used again: nobody is called for it twice */
        IoSkipCurrentIrpStackLocation(irp);
        irp->PendingReturned = (control & SL_PENDING_RETURNED) != 0;
        bool top = irp->CurrentLocation > irp->StackCount;
        DEVICE_OBJECT *device = top ? NULL : IoGetCurrentIrpStackLocation(irp)->DeviceObject;
        bool wanted = (NT_SUCCESS(irp->IoStatus.Status) && control & SL_INVOKE_ON_SUCCESS) ||
                      (!NT_SUCCESS(irp->IoStatus.Status) && control & SL_INVOKE_ON_ERROR) ||
                      (irp->Cancel && control & SL_INVOKE_ON_CANCEL);
        if (wanted && stack->CompletionRoutine != NULL) {
            struct rt_context *context = device != NULL ? io_context_of(device)
                                         : i != NULL    ? i->allocator
                                                        : rt_current();
            if (device != NULL &&
                io_device_of(device) != NULL) /* back in that driver's hands while it runs */
                held_by(irp, io_device_of(device)->driver->d,
                        IoGetCurrentIrpStackLocation(irp)->MajorFunction);
            struct nt_entered was = nt_enter(context, rt_carried()->irql);
            NTSTATUS status = stack->CompletionRoutine(device, irp, stack->Context);
            nt_leave(was, "a completion routine");
            if (status == STATUS_MORE_PROCESSING_REQUIRED)
                return;
            held_by(irp, NULL, 0);
        } else if (irp->PendingReturned && !top) {
            IoMarkIrpPending(irp);
        }
    }
    if (i == NULL)
        return; /* whoever made it has it again */
    i->state = IO_IRP_DONE;
    if (i->finished != NULL)
        i->finished(i);
    else
        finished(i);
}

VOID IofCompleteRequest(PIRP Irp, CCHAR PriorityBoost)
{
    (void)PriorityBoost;
    NT_IRQL_MAX(DISPATCH_LEVEL);
    complete(Irp, "IoCompleteRequest", NT_SITE);
}

/* ---- sent and waited for
 * -------------------------------------------------------------------------------------- */
NTSTATUS io_irp_send_and_wait(struct io_irp *i, DEVICE_OBJECT *device, void *to, size_t to_size,
                              size_t *information, uint64_t patience_ns)
{
    struct io_room *io = i->io;
    struct io_wait w = {.to = to, .to_size = to_size};
    IRP *irp = io_irp_body(i);
    bool cancelled = false;

    i->wait = &w;
    irp->Tail.Overlay.Thread = NULL;
    DEVICE_OBJECT *top = IoGetAttachedDevice(device);
    ob_reference(top);
    uint8_t irql = rt_carried()->irql;
    rt_carried()->irql = PASSIVE_LEVEL;
    NTSTATUS status = call_driver(top, irp, NULL);
    rt_carried()->irql = irql;
    ob_dereference(top);

    uint64_t now = rt_clock_now(io->k->clock);
    uint64_t deadline = patience_ns >= RT_FOREVER - now ? RT_FOREVER : now + patience_ns;
    rt_mutex_lock(io->lock);
    if (!w.done && status != STATUS_PENDING) {
        struct nt_driver *d = i->holder;
        rt_mutex_unlock(io->lock);
        struct nt_entered was = nt_enter(d == NULL ? NULL : d->context, PASSIVE_LEVEL);
        nt_note(NULL, "a dispatch routine returned 0x%08x without completing its IRP", (unsigned)status);
        nt_leave(was, "a dispatch routine");
        rt_mutex_lock(io->lock);
    }
    while (!w.done) {
        rt_waits_for("an IRP that a driver holds");
        if (rt_cond_wait(io->completed, io->lock, deadline) == 0 || w.done)
            continue;
        if (cancelled) {
            i->wait = NULL; /* it is the driver's: its completion frees it */
            w.status = STATUS_TIMEOUT;
            w.information = 0;
            break;
        }
        cancelled = true;
        rt_mutex_unlock(io->lock);
        io_irp_cancel(irp);
        rt_mutex_lock(io->lock);
        now = rt_clock_now(io->k->clock);
        deadline = patience_ns >= RT_FOREVER - now ? RT_FOREVER : now + patience_ns;
    }
    rt_mutex_unlock(io->lock);
    rt_waits_for(NULL);
    *information = w.information;
    return w.status;
}

/* ---- cancelled
 * ------------------------------------------------------------------------------------------------ */
static KSPIN_LOCK *cancel_lock(void)
{
    struct nt *k = nt_current();

    return k == NULL ? NULL : &k->io->cancel;
}

static bool cancel(IRP *irp)
{
    KSPIN_LOCK *lock = cancel_lock();
    PDRIVER_CANCEL routine;
    KIRQL irql;

    if (lock == NULL)
        return false;
    KeAcquireSpinLock(lock, &irql);
    irp->Cancel = TRUE;
    routine = IoSetCancelRoutine(irp, NULL);
    if (routine == NULL) {
        KeReleaseSpinLock(lock, irql);
        return false;
    }
    irp->CancelIrql = irql;
    DEVICE_OBJECT *device =
        irp->CurrentLocation > irp->StackCount ? NULL : IoGetCurrentIrpStackLocation(irp)->DeviceObject;
    struct rt_context *context = io_context_of(device);
    struct rt_context *was = context == NULL ? rt_current() : rt_set_current(context);
    routine(device, irp); /* releases the lock */
    if (context != NULL)
        rt_set_current(was);
    if (rt_carried()->irql != irql)
        nt_note(NULL, "a cancel routine did not release the cancel spin lock with the IRP's CancelIrql");
    return true;
}

/* The program that cancels has no driver: in the holder's name. */
bool io_irp_cancel(IRP *irp)
{
    struct io_irp *i = io_irp_of(irp);
    struct nt_driver *d = i == NULL ? NULL : i->holder;

    if (d == NULL)
        return false;
    struct nt_entered was = nt_enter(d->context, PASSIVE_LEVEL);
    bool cancelled = cancel(irp);
    nt_leave(was, "a cancel routine");
    return cancelled;
}

BOOLEAN IoCancelIrp(PIRP Irp)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return cancel(Irp);
}

VOID IoAcquireCancelSpinLock(PKIRQL Irql)
{
    KSPIN_LOCK *lock = cancel_lock();

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (lock == NULL)
        *Irql = PASSIVE_LEVEL;
    else
        KeAcquireSpinLock(lock, Irql);
}

VOID IoReleaseCancelSpinLock(KIRQL Irql)
{
    KSPIN_LOCK *lock = cancel_lock();

    NT_IRQL_MIN(DISPATCH_LEVEL);
    if (lock != NULL)
        KeReleaseSpinLock(lock, Irql);
}

/* ---- a driver's own
 * ------------------------------------------------------------------------------------------- */
/* One of its own that came all the way up is the driver's to free. */
static void own_finished(struct io_irp *i)
{
    (void)i;
}

PIRP IoAllocateIrp(CCHAR StackSize, BOOLEAN ChargeQuota)
{
    struct nt *k = nt_current();

    NT_FAIL_NULL(IoAllocateIrp);
    (void)ChargeQuota;
    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (k == NULL || StackSize <= 0)
        return NULL;
    IRP *irp = io_irp_make(k->io, StackSize);
    if (irp == NULL)
        return NULL;
    io_irp_of(irp)->keep = true;
    io_irp_of(irp)->finished = own_finished;
    ledger_open(LEDGER_IRP, (uint64_t)(uintptr_t)io_irp_of(irp), 0, "allocated", NT_SITE);
    return irp;
}

VOID IoFreeIrp(PIRP Irp)
{
    struct io_irp *i = io_irp_of(Irp);

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (i == NULL || !ledger_close(LEDGER_IRP, (uint64_t)(uintptr_t)i, NT_SITE))
        return;
    held_by(Irp, NULL, 0);
    io_irp_free(i);
}

VOID IoInitializeIrp(PIRP Irp, USHORT PacketSize, CCHAR StackSize)
{
    initialize(Irp, PacketSize, StackSize);
}

VOID IoReuseIrp(PIRP Irp, NTSTATUS Iostatus)
{
    UCHAR flags = Irp->AllocationFlags;

    initialize(Irp, IoSizeOfIrp(Irp->StackCount), Irp->StackCount);
    Irp->AllocationFlags = flags;
    Irp->IoStatus.Status = Iostatus;
    if (io_irp_of(Irp) != NULL)
        io_irp_of(Irp)->state = IO_IRP_MADE;
}

static void built_finished(struct io_irp *i)
{
    IRP *irp = io_irp_body(i);

    if (irp->Flags & IRP_INPUT_OPERATION && irp->UserBuffer != NULL && i->system_buffer != NULL &&
        !NT_ERROR(irp->IoStatus.Status))
        memcpy(irp->UserBuffer, i->system_buffer,
               irp->IoStatus.Information < i->output_size ? irp->IoStatus.Information : i->output_size);
    for (MDL *mdl = irp->MdlAddress, *next; mdl != NULL; mdl = next) {
        next = mdl->Next;
        mm_mdl_free(mdl);
    }
    struct rt_context *was = rt_set_current(i->allocator);
    if (irp->UserIosb != NULL)
        *irp->UserIosb = irp->IoStatus;
    if (irp->UserEvent != NULL)
        KeSetEvent(irp->UserEvent, IO_NO_INCREMENT, FALSE);
    rt_set_current(was);
    io_irp_free(i);
}

/* The caller waits for Event where IoCallDriver returns STATUS_PENDING; the IRP frees itself. */
PIRP IoBuildDeviceIoControlRequest(ULONG IoControlCode, PDEVICE_OBJECT DeviceObject, PVOID InputBuffer,
                                   ULONG InputBufferLength, PVOID OutputBuffer, ULONG OutputBufferLength,
                                   BOOLEAN InternalDeviceIoControl, PKEVENT Event,
                                   PIO_STATUS_BLOCK IoStatusBlock)
{
    struct nt *k = nt_current();

    NT_FAIL_NULL(IoBuildDeviceIoControlRequest);
    NT_IRQL_MAX(PASSIVE_LEVEL);
    IRP *irp = k == NULL ? NULL : io_irp_make(k->io, DeviceObject->StackSize);
    if (irp == NULL)
        return NULL;
    struct io_irp *i = io_irp_of(irp);
    IO_STACK_LOCATION *stack = IoGetNextIrpStackLocation(irp);
    ULONG method = METHOD_FROM_CTL_CODE(IoControlCode);
    size_t size = method == METHOD_BUFFERED && OutputBufferLength > InputBufferLength ? OutputBufferLength
                                                                                      : InputBufferLength;

    stack->MajorFunction = InternalDeviceIoControl ? IRP_MJ_INTERNAL_DEVICE_CONTROL : IRP_MJ_DEVICE_CONTROL;
    stack->Parameters.DeviceIoControl.OutputBufferLength = OutputBufferLength;
    stack->Parameters.DeviceIoControl.InputBufferLength = InputBufferLength;
    stack->Parameters.DeviceIoControl.IoControlCode = IoControlCode;
    i->finished = built_finished;
    irp->UserEvent = Event;
    irp->UserIosb = IoStatusBlock;
    irp->UserBuffer = OutputBuffer;
    if (method == METHOD_NEITHER) {
        stack->Parameters.DeviceIoControl.Type3InputBuffer = InputBuffer;
        return irp;
    }
    if (size > 0) {
        i->system_buffer = calloc(1, size);
        if (i->system_buffer == NULL)
            goto fail;
        if (InputBufferLength > 0)
            memcpy(i->system_buffer, InputBuffer, InputBufferLength);
        irp->AssociatedIrp.SystemBuffer = i->system_buffer;
    }
    if (method == METHOD_BUFFERED) {
        i->output_size = OutputBufferLength;
        irp->Flags |= IRP_BUFFERED_IO | IRP_INPUT_OPERATION;
    } else if (OutputBuffer != NULL && OutputBufferLength > 0) {
        irp->MdlAddress = mm_mdl_make(OutputBuffer, OutputBufferLength, 0, NULL);
        if (irp->MdlAddress == NULL)
            goto fail;
        MmBuildMdlForNonPagedPool(irp->MdlAddress);
    }
    return irp;
fail:
    io_irp_free(i);
    return NULL;
}

/* FALSE: the IRP has no stack location for it. */
static NTSTATUS forwarded(PDEVICE_OBJECT device, PIRP irp, PVOID context)
{
    (void)device;
    (void)irp;
    KeSetEvent(context, IO_NO_INCREMENT, FALSE);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

BOOLEAN IoForwardIrpSynchronously(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    KEVENT event;

    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (Irp->CurrentLocation <= 1)
        return FALSE;
    KeInitializeEvent(&event, NotificationEvent, FALSE);
    IoCopyCurrentIrpStackLocationToNext(Irp);
    IoSetCompletionRoutine(Irp, forwarded, &event, TRUE, TRUE, TRUE);
    call_driver(DeviceObject, Irp, NT_SITE);
    KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, NULL);
    return TRUE;
}

/* ---- who asks
 * --------------------------------------------------------------------------------------------------- */
PEPROCESS IoGetRequestorProcess(PIRP Irp)
{
    struct io_irp *i = io_irp_of(Irp);

    NT_IRQL_MAX(DISPATCH_LEVEL);
    return i == NULL ? NULL : (PEPROCESS)i->process;
}

ULONG IoGetRequestorProcessId(PIRP Irp)
{
    struct io_irp *i = io_irp_of(Irp);

    NT_IRQL_MAX(DISPATCH_LEVEL);
    return i == NULL || i->process == NULL ? 0 : (ULONG)i->process->id;
}

/* There are none here. */
BOOLEAN IoIs32bitProcess(PIRP Irp)
{
    (void)Irp;
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return FALSE;
}

PIRP IoGetTopLevelIrp(VOID)
{
    return NULL;
}

/* A whole kernel stack of x64 Windows: Weir's stacks hold at least ten of them, and how deep a thread is in
 * its own is not known here. */
ULONG_PTR IoGetRemainingStackSize(VOID)
{
    return KERNEL_STACK_SIZE;
}
