/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The framework's locks: a spin lock and a wait lock over the kernel's, in the ledger by those (LEDGER_LOCK)
 * as far as they are; and the one that it takes itself around callbacks (WDF_SYNCHRONIZATION_SCOPE): the
 * device's or the queue's, inherited from the device and the driver where nothing is said.
 *
 *   callback                                          device scope    queue scope
 *   ------------------------------------------------  --------------  --------------------------------------
 *   a queue's, of requests and states; what a         the device's    the queue's
 *   driver is told of a request's cancellation
 *   a file's                                          the device's    none: that scope is of queues alone
 *   timers, DPCs, work items that ask for it          the device's    the queue's that they are below, else
 *   (AutomaticSerialization)                                          the device's
 *
 * The device's lock is a wait lock where its execution level is PASSIVE_LEVEL, else a spin lock: callbacks under
 * it run at DISPATCH_LEVEL then, and what cannot run at the lock's level cannot be under it.
 */
#include "nt/fault.h"
#include "nt/wdf_inside.h"

struct wdf_spin_lock {
    struct wdf_object o;
    KSPIN_LOCK lock;
    KIRQL irql; /* the holder's */
};

struct wdf_wait_lock {
    struct wdf_object o;
    KEVENT free; /* synchronization */
    PKTHREAD owner;
};

NTSTATUS WdfSpinLockCreate(PWDF_OBJECT_ATTRIBUTES SpinLockAttributes, WDFSPINLOCK *SpinLock)
{
    NT_FAIL_STATUS(WdfSpinLockCreate);
    struct io_driver *io = wdf_current_driver();
    void *o;

    NT_IRQL_MAX(DISPATCH_LEVEL);
    *SpinLock = NULL;
    if (io == NULL)
        return STATUS_INVALID_PARAMETER;
    NTSTATUS status = wdf_create(io, WDF_KIND_SPIN_LOCK, sizeof(struct wdf_spin_lock), SpinLockAttributes,
                                 io->wdf, NT_SITE, &o);
    if (NT_SUCCESS(status)) {
        KeInitializeSpinLock(&((struct wdf_spin_lock *)o)->lock);
        *SpinLock = o;
    }
    return status;
}

VOID WdfSpinLockAcquire(WDFSPINLOCK SpinLock)
{
    struct wdf_spin_lock *s = WDF_OF(SpinLock, WDF_KIND_SPIN_LOCK);
    KIRQL irql;

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (s == NULL)
        return;
    KeAcquireSpinLock(&s->lock, &irql);
    s->irql = irql;
}

VOID WdfSpinLockRelease(WDFSPINLOCK SpinLock)
{
    struct wdf_spin_lock *s = WDF_OF(SpinLock, WDF_KIND_SPIN_LOCK);

    if (s != NULL)
        KeReleaseSpinLock(&s->lock, s->irql);
}

NTSTATUS WdfWaitLockCreate(PWDF_OBJECT_ATTRIBUTES LockAttributes, WDFWAITLOCK *Lock)
{
    NT_FAIL_STATUS(WdfWaitLockCreate);
    struct io_driver *io = wdf_current_driver();
    void *o;

    NT_IRQL_MAX(DISPATCH_LEVEL);
    *Lock = NULL;
    if (io == NULL)
        return STATUS_INVALID_PARAMETER;
    NTSTATUS status = wdf_create(io, WDF_KIND_WAIT_LOCK, sizeof(struct wdf_wait_lock), LockAttributes,
                                 io->wdf, NT_SITE, &o);
    if (NT_SUCCESS(status)) {
        KeInitializeEvent(&((struct wdf_wait_lock *)o)->free, SynchronizationEvent, TRUE);
        *Lock = o;
    }
    return status;
}

NTSTATUS WdfWaitLockAcquire(WDFWAITLOCK Lock, PLONGLONG Timeout)
{
    struct wdf_wait_lock *w = WDF_OF(Lock, WDF_KIND_WAIT_LOCK);
    LARGE_INTEGER time;

    NT_IRQL_MAX(Timeout != NULL && *Timeout == 0 ? DISPATCH_LEVEL : PASSIVE_LEVEL);
    if (w == NULL)
        return STATUS_INVALID_PARAMETER;
    PKTHREAD self = KeGetCurrentThread();
    if (w->owner == self && self != NULL && !(Timeout != NULL && *Timeout == 0))
        nt_note(NT_SITE, "WdfWaitLockAcquire: the thread has this lock already and would wait for itself");
    time.QuadPart = Timeout == NULL ? 0 : *Timeout;
    KeEnterCriticalRegion(); /* no APC ends the holder on Windows */
    NTSTATUS status =
        KeWaitForSingleObject(&w->free, Executive, KernelMode, FALSE, Timeout == NULL ? NULL : &time);
    if (status != STATUS_SUCCESS) {
        KeLeaveCriticalRegion();
        return status;
    }
    w->owner = self;
    ledger_open(LEDGER_LOCK, (uint64_t)(uintptr_t)w, 0, "WDFWAITLOCK", NT_SITE);
    return STATUS_SUCCESS;
}

VOID WdfWaitLockRelease(WDFWAITLOCK Lock)
{
    struct wdf_wait_lock *w = WDF_OF(Lock, WDF_KIND_WAIT_LOCK);

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (w == NULL || !ledger_close(LEDGER_LOCK, (uint64_t)(uintptr_t)w, NT_SITE))
        return;
    w->owner = NULL;
    KeSetEvent(&w->free, IO_NO_INCREMENT, FALSE);
    KeLeaveCriticalRegion();
}

/* ---- synchronization scopes ------------------------------------------------------------------------------ */

static WDF_SYNCHRONIZATION_SCOPE scope_of(const struct wdf_object *o)
{
    while (o != NULL && o->scope == WdfSynchronizationScopeInheritFromParent)
        o = o->parent;
    return o != NULL ? o->scope : WdfSynchronizationScopeNone;
}

void wdf_serial_init(struct wdf_serial *s, bool passive)
{
    KeInitializeSpinLock(&s->spin);
    KeInitializeEvent(&s->free, SynchronizationEvent, TRUE);
    s->passive = passive;
}

struct wdf_serial *wdf_serial_of_queue(struct wdf_queue *q)
{
    switch (scope_of(&q->o)) {
    case WdfSynchronizationScopeDevice:
        return &q->device->serial;
    case WdfSynchronizationScopeQueue:
        return &q->serial;
    default:
        return NULL;
    }
}

/* A file's own level may differ; then there is no lock that would do. */
struct wdf_serial *wdf_serial_of_files(struct wdf_device *d)
{
    const WDF_OBJECT_ATTRIBUTES *a = &d->init.file_attributes;

    if (scope_of(&d->o) != WdfSynchronizationScopeDevice)
        return NULL;
    return a->Size != 0 && a->ExecutionLevel == WdfExecutionLevelPassive && !d->serial.passive ? NULL
                                                                                               : &d->serial;
}

NTSTATUS wdf_serial_of_parent(struct wdf_object *parent, bool automatic, bool passive,
                              struct wdf_serial **out)
{
    struct wdf_object *near = parent, *device;

    *out = NULL;
    while (near != NULL && near->kind != WDF_KIND_DEVICE && near->kind != WDF_KIND_QUEUE)
        near = near->parent;
    if (near == NULL)
        return STATUS_INVALID_DEVICE_REQUEST;
    if (!automatic || scope_of(near) == WdfSynchronizationScopeNone)
        return STATUS_SUCCESS;
    device = near->kind == WDF_KIND_DEVICE ? near : &((struct wdf_queue *)near)->device->o;
    *out = near->kind == WDF_KIND_QUEUE && scope_of(near) == WdfSynchronizationScopeQueue
               ? &((struct wdf_queue *)near)->serial
               : &((struct wdf_device *)device)->serial;
    return (*out)->passive == passive ? STATUS_SUCCESS : STATUS_WDF_INCOMPATIBLE_EXECUTION_LEVEL;
}

bool wdf_serial_is_lower(const struct wdf_serial *s)
{
    return s != NULL && s->passive && rt_carried()->irql != PASSIVE_LEVEL;
}

void wdf_serial_enter(struct wdf_serial *s)
{
    const uintptr_t self = rt_self();
    KIRQL irql = PASSIVE_LEVEL;

    if (s == NULL)
        return;
    if (__atomic_load_n(&s->owner, __ATOMIC_RELAXED) != self) {
        if (s->passive)
            (void)KeWaitForSingleObject(&s->free, Executive, KernelMode, FALSE, NULL);
        else
            KeAcquireSpinLock(&s->spin, &irql);
        s->irql = irql;
        __atomic_store_n(&s->owner, self, __ATOMIC_RELAXED);
    }
    s->depth++;
}

void wdf_serial_leave(struct wdf_serial *s)
{
    if (s == NULL || --s->depth != 0)
        return;
    __atomic_store_n(&s->owner, 0, __ATOMIC_RELAXED);
    if (s->passive)
        KeSetEvent(&s->free, IO_NO_INCREMENT, FALSE);
    else
        KeReleaseSpinLock(&s->spin, s->irql);
}
