/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shutdown: who asked to be told of it, and telling them.
 *
 *   IoRegisterShutdownNotification, IoRegisterLastChanceShutdownNotification --> the device is in that list
 *     --IoUnregisterShutdownNotification, or the device goes--> in neither
 *     --nt_shutdown_next(), while it is--> out of the list, IRP_MJ_SHUTDOWN to the top of its stack
 *
 * First the one list, newest first, then the other, which is for after the file systems are flushed (there are
 * none here). A device is told once of each, however often it registered. The IRP is sent at PASSIVE_LEVEL from
 * the system's process, with no file object.
 *
 * A registration is a debt (LEDGER_CALLBACK) from the first to IoUnregisterShutdownNotification, which cancels
 * both; that the device was told, or deleted, does not pay it: Weir unloads drivers behind the shutdown.
 *
 * Lock: io->lock for the lists.
 */
#include "nt/fault.h"
#include "nt/io_inside.h"

/* Under the lock. */
static void unlist(struct io_device *device)
{
    for (unsigned which = 0; which < IO_SHUTDOWNS; which++) {
        for (struct io_device **at = &device->io->shutdown[which]; *at != NULL;
             at = &(*at)->shutdown[which].next) {
            if (*at == device) {
                *at = device->shutdown[which].next;
                break;
            }
        }
        device->shutdown[which].state = IO_SHUTDOWN_NONE;
    }
}

void io_shutdown_forget(struct io_device *device)
{
    unlist(device);
}

void io_shutdown_register(struct io_device *device, enum io_shutdown which, const void *site)
{
    DEVICE_OBJECT *object = &device->object;
    bool first;

    rt_mutex_lock(device->io->lock);
    first = (object->Flags & DO_SHUTDOWN_REGISTERED) == 0;
    object->Flags |= DO_SHUTDOWN_REGISTERED;
    if (device->shutdown[which].state == IO_SHUTDOWN_NONE && !device->deleted) {
        device->shutdown[which].state = IO_SHUTDOWN_WAITS;
        device->shutdown[which].next = device->io->shutdown[which];
        device->io->shutdown[which] = device;
    }
    rt_mutex_unlock(device->io->lock);
    if (first)
        ledger_open(LEDGER_CALLBACK, (uint64_t)(uintptr_t)object, 0, "shutdown notification", site);
}

/* ---- what drivers call ----------------------------------------------------------------------------------- */

static NTSTATUS ask(PDEVICE_OBJECT object, enum io_shutdown which, const void *site)
{
    struct io_device *device = io_device_of(object);

    if (device == NULL)
        return STATUS_INVALID_PARAMETER;
    io_shutdown_register(device, which, site);
    return STATUS_SUCCESS;
}

NTSTATUS IoRegisterShutdownNotification(PDEVICE_OBJECT DeviceObject)
{
    NT_FAIL_STATUS(IoRegisterShutdownNotification);
    NT_IRQL_MAX(PASSIVE_LEVEL);
    return ask(DeviceObject, IO_SHUTDOWN_FIRST, NT_SITE);
}

NTSTATUS IoRegisterLastChanceShutdownNotification(PDEVICE_OBJECT DeviceObject)
{
    NT_FAIL_STATUS(IoRegisterLastChanceShutdownNotification);
    NT_IRQL_MAX(PASSIVE_LEVEL);
    return ask(DeviceObject, IO_SHUTDOWN_LAST_CHANCE, NT_SITE);
}

VOID IoUnregisterShutdownNotification(PDEVICE_OBJECT DeviceObject)
{
    struct io_device *device = io_device_of(DeviceObject);

    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (!ledger_close(LEDGER_CALLBACK, (uint64_t)(uintptr_t)DeviceObject, NT_SITE) || device == NULL)
        return;
    rt_mutex_lock(device->io->lock);
    unlist(device);
    DeviceObject->Flags &= ~(ULONG)DO_SHUTDOWN_REGISTERED;
    rt_mutex_unlock(device->io->lock);
}

/* ---- the shutdown ---------------------------------------------------------------------------------------- */

/* Under the lock: the next in line; NULL: none. */
static struct io_device *next_of(const struct io_room *io, enum io_shutdown *which)
{
    for (*which = IO_SHUTDOWN_FIRST; *which < IO_SHUTDOWNS; ++*which)
        if (io->shutdown[*which] != NULL)
            return io->shutdown[*which];
    return NULL;
}

struct nt_driver *nt_shutdown_whose(struct nt *k)
{
    enum io_shutdown which;
    struct io_device *device;
    struct nt_driver *d = NULL;

    rt_mutex_lock(k->io->lock);
    device = next_of(k->io, &which);
    if (device != NULL)
        d = device->driver->d;
    rt_mutex_unlock(k->io->lock);
    return d;
}

bool nt_shutdown_next(struct nt *k, uint64_t patience_ns, NTSTATUS *status)
{
    struct io_room *io = k->io;
    enum io_shutdown which;
    struct io_device *device;
    uint64_t process;
    size_t information;
    IRP *irp;

    rt_mutex_lock(io->lock);
    device = next_of(io, &which);
    if (device != NULL) {
        io->shutdown[which] = device->shutdown[which].next;
        device->shutdown[which].state = IO_SHUTDOWN_TOLD;
        ob_reference(device);
    }
    rt_mutex_unlock(io->lock);
    if (device == NULL)
        return false;
    *status = STATUS_INSUFFICIENT_RESOURCES;
    irp = io_irp_make(io, IoGetAttachedDevice(&device->object)->StackSize);
    if (irp != NULL) {
        IoGetNextIrpStackLocation(irp)->MajorFunction = IRP_MJ_SHUTDOWN;
        process = nt_process_attach(0);
        *status = io_irp_send_and_wait(io_irp_of(irp), &device->object, NULL, 0, &information, patience_ns);
        nt_process_attach(process);
    }
    ob_dereference(device);
    return true;
}
