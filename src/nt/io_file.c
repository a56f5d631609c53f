/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files: opened on a device by a path, asked, cleaned up with their last handle, closed with their last
 * reference.
 *
 *   io_file_open --IRP_MJ_CREATE--> opened --read, write, control--> ... --last handle: IRP_MJ_CLEANUP-->
 *   --last reference: IRP_MJ_CLOSE--> gone
 *
 * The buffers that a driver sees are copies that belong to the IRP, whatever the method of transfer, so that
 * a request whose asker went away leaves nothing dangling: buffered (SystemBuffer), direct (an MDL of the
 * copy), neither (the copies stand for user addresses).
 */
#include <stdlib.h>

#include "nt/io_inside.h"
#include "nt/mdl.h"
#include "nt/text.h"

/* ---- requests
 * ------------------------------------------------------------------------------------------------- */
static void requestor(struct io_irp *i, struct io_file *f)
{
    if (f->process_id != 0)
        i->process = nt_process_find(f->io->k, f->process_id);
    io_irp_body(i)->RequestorMode = UserMode;
    io_irp_body(i)->Tail.Overlay.OriginalFileObject = &f->object;
}

static NTSTATUS send(struct io_file *f, struct io_irp *i, void *to, size_t to_size, size_t *done,
                     uint64_t patience_ns)
{
    uint64_t process = nt_process_attach(f->process_id);
    NTSTATUS status = io_irp_send_and_wait(i, &f->device->object, to, to_size, done, patience_ns);

    nt_process_attach(process);
    return status;
}

/* A request without data; STATUS_NO_MEMORY where it could not even be made. */
static NTSTATUS plain(struct io_file *f, uint8_t major)
{
    IRP *irp = io_irp_make(f->io, IoGetAttachedDevice(&f->device->object)->StackSize);
    size_t done;

    if (irp == NULL)
        return STATUS_NO_MEMORY;
    requestor(io_irp_of(irp), f);
    IO_STACK_LOCATION *stack = IoGetNextIrpStackLocation(irp);
    stack->MajorFunction = major;
    stack->FileObject = &f->object;
    if (major == IRP_MJ_CLOSE || major == IRP_MJ_CLEANUP)
        irp->Flags |= IRP_CLOSE_OPERATION;
    return send(f, io_irp_of(irp), NULL, 0, &done, RT_FOREVER);
}

/* ---- opened, closed
 * ------------------------------------------------------------------------------------------- */
static void unlist(struct io_file *f)
{
    rt_mutex_lock(f->io->lock);
    for (struct io_file **at = &f->io->files; *at != NULL; at = &(*at)->next) {
        if (*at == f) {
            *at = f->next;
            break;
        }
    }
    rt_mutex_unlock(f->io->lock);
}

static void file_gone(void *object)
{
    struct io_file *f = object;

    unlist(f);
    if (f->device != NULL) {
        io_file_close(f);
        ob_dereference(f->device);
    }
    free(f->name);
}

struct _OBJECT_TYPE ob_type_file = {.name = "File", .gone = file_gone};

void io_file_cleanup(struct io_file *f)
{
    rt_mutex_lock(f->io->lock);
    bool first = f->opened && !f->cleaned;
    f->cleaned = true;
    rt_mutex_unlock(f->io->lock);
    if (!first)
        return;
    f->object.Flags |= FO_CLEANUP_COMPLETE;
    plain(f, IRP_MJ_CLEANUP);
}

/* Once; what is asked afterwards is answered here. */
void io_file_close(struct io_file *f)
{
    io_file_cleanup(f);
    rt_mutex_lock(f->io->lock);
    bool first = f->opened && !f->closed;
    f->closed = true;
    rt_mutex_unlock(f->io->lock);
    if (!first)
        return;
    plain(f, IRP_MJ_CLOSE);
    rt_mutex_lock(f->io->lock);
    f->device->object.ReferenceCount--;
    rt_mutex_unlock(f->io->lock);
}

/* Found, with a reference; under the lock. */
static NTSTATUS find_device(struct io_room *io, struct io_file *f, const WCHAR *path, size_t units)
{
    struct io_device *device;
    size_t rest;
    NTSTATUS status = io_name_resolve(io, path, units, &device, &f->name, &rest);

    if (!NT_SUCCESS(status))
        return status;
    DEVICE_OBJECT *object = &device->object;
    if (object->Flags & DO_DEVICE_INITIALIZING && device->from_entry && device->driver->d->started)
        object->Flags &= ~(ULONG)DO_DEVICE_INITIALIZING; /* what the I/O manager does after DriverEntry */
    if (device->driver->unloading || object->Flags & DO_DEVICE_INITIALIZING)
        return STATUS_NO_SUCH_DEVICE;
    if (object->Flags & DO_EXCLUSIVE && object->ReferenceCount > 0)
        return STATUS_ACCESS_DENIED;
    if (rest * sizeof(WCHAR) > 0xfffc)
        return STATUS_OBJECT_NAME_INVALID;
    object->ReferenceCount++;
    ob_reference(device);
    f->device = device;
    f->object.DeviceObject = object;
    f->object.FileName.Buffer = rest == 0 ? NULL : f->name;
    f->object.FileName.Length = (USHORT)(rest * sizeof(WCHAR));
    f->object.FileName.MaximumLength = (USHORT)(rest == 0 ? 0 : (rest + 1) * sizeof(WCHAR));
    return STATUS_SUCCESS;
}

NTSTATUS io_file_open(struct io_room *io, const WCHAR *path, size_t units, uint64_t process_id,
                      ACCESS_MASK access, ULONG share, ULONG options, struct io_file **out)
{
    struct io_file *f = ob_create(&ob_type_file, sizeof *f);
    size_t done;

    *out = NULL;
    if (f == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    f->io = io;
    f->process_id = process_id;
    f->object.Type = IO_TYPE_FILE;
    f->object.Size = sizeof f->object;
    f->object.ReadAccess = (access & (FILE_READ_DATA | GENERIC_READ | GENERIC_ALL)) != 0;
    f->object.WriteAccess = (access & (FILE_WRITE_DATA | GENERIC_WRITE | GENERIC_ALL)) != 0;
    f->object.SharedRead = (share & FILE_SHARE_READ) != 0;
    f->object.SharedWrite = (share & FILE_SHARE_WRITE) != 0;
    KeInitializeEvent(&f->object.Lock, SynchronizationEvent, FALSE);
    KeInitializeEvent(&f->object.Event, NotificationEvent, FALSE);
    InitializeListHead(&f->object.IrpList);

    rt_mutex_lock(io->lock);
    NTSTATUS status = find_device(io, f, path, units);
    rt_mutex_unlock(io->lock);
    if (!NT_SUCCESS(status)) {
        ob_dereference(f);
        return status;
    }
    DEVICE_OBJECT *top = IoGetAttachedDevice(&f->device->object);
    IRP *irp = io_irp_make(io, top->StackSize);
    IO_SECURITY_CONTEXT security = {.DesiredAccess = access, .FullCreateOptions = options};
    status = STATUS_INSUFFICIENT_RESOURCES;
    if (irp != NULL) {
        requestor(io_irp_of(irp), f);
        irp->Flags |= IRP_CREATE_OPERATION;
        IO_STACK_LOCATION *stack = IoGetNextIrpStackLocation(irp);
        stack->MajorFunction = IRP_MJ_CREATE;
        stack->FileObject = &f->object;
        stack->Parameters.Create.SecurityContext = &security;
        stack->Parameters.Create.Options = (ULONG)FILE_OPEN << 24 | (options & 0xffffff);
        stack->Parameters.Create.ShareAccess = (USHORT)share;
        status = send(f, io_irp_of(irp), NULL, 0, &done, RT_FOREVER);
        if (status == STATUS_REPARSE)
            status = STATUS_OBJECT_NAME_INVALID;
    }
    rt_mutex_lock(io->lock);
    if (NT_SUCCESS(status)) {
        f->opened = true;
        f->object.Flags |= FO_HANDLE_CREATED;
        f->next = io->files;
        io->files = f;
    } else {
        f->device->object.ReferenceCount--;
    }
    rt_mutex_unlock(io->lock);
    if (!NT_SUCCESS(status)) {
        ob_dereference(f);
        return status;
    }
    *out = f;
    return status;
}

/* ---- read, write, control
 * ------------------------------------------------------------------------------------- */
enum method { BUFFERED, IN_DIRECT, OUT_DIRECT, NEITHER };

static bool copy_in(void **to, const void *from, size_t from_size, size_t size)
{
    *to = NULL;
    if (size == 0)
        return true;
    *to = calloc(1, size);
    if (*to != NULL && from_size > 0 && from != NULL)
        memcpy(*to, from, from_size);
    return *to != NULL;
}

/* The IRP's buffers by the method. out: what the driver reads from it too where it is direct. */
static bool attach_buffers(struct io_irp *i, enum method method, uint8_t major, const void *in,
                           size_t in_size, const void *out, size_t out_size)
{
    IRP *irp = io_irp_body(i);
    IO_STACK_LOCATION *stack = IoGetNextIrpStackLocation(irp);
    bool control = major == IRP_MJ_DEVICE_CONTROL;

    switch (method) {
    case BUFFERED:
        if (!copy_in(&i->system_buffer, in, in_size, in_size > out_size ? in_size : out_size))
            return false;
        irp->AssociatedIrp.SystemBuffer = i->system_buffer;
        irp->Flags |= IRP_BUFFERED_IO | (out_size > 0 ? IRP_INPUT_OPERATION : 0);
        return true;
    case IN_DIRECT:
    case OUT_DIRECT:
        if (control) {
            if (!copy_in(&i->system_buffer, in, in_size, in_size) ||
                !copy_in(&i->output, out, out_size, out_size))
                return false;
            irp->AssociatedIrp.SystemBuffer = i->system_buffer;
        } else {
            const void *data = major == IRP_MJ_WRITE ? in : out;
            if (major == IRP_MJ_WRITE)
                out_size = in_size;
            if (!copy_in(&i->output, data, out_size, out_size))
                return false;
        }
        if (out_size > 0) {
            irp->MdlAddress = mm_mdl_make(i->output, (uint32_t)out_size, 0, NULL);
            if (irp->MdlAddress == NULL)
                return false;
            MmBuildMdlForNonPagedPool(irp->MdlAddress);
        }
        return true;
    default:
        if (!copy_in(&i->input, in, in_size, in_size) || !copy_in(&i->output, out, out_size, out_size))
            return false;
        if (control)
            stack->Parameters.DeviceIoControl.Type3InputBuffer = i->input;
        irp->UserBuffer = major == IRP_MJ_WRITE ? i->input : i->output;
        return true;
    }
}

NTSTATUS io_file_request(struct io_file *f, uint8_t major, uint32_t code, const void *in, size_t in_size,
                         void *out, size_t out_size, uint64_t offset, size_t *done, uint64_t patience_ns)
{
    *done = 0;
    if (f->cleaned)
        return STATUS_FILE_CLOSED;
    if (in_size > 0xffffffff || out_size > 0xffffffff)
        return STATUS_INVALID_PARAMETER;
    DEVICE_OBJECT *top = IoGetAttachedDevice(&f->device->object);
    IRP *irp = io_irp_make(f->io, top->StackSize);
    if (irp == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    IO_STACK_LOCATION *stack = IoGetNextIrpStackLocation(irp);
    enum method method;
    requestor(io_irp_of(irp), f);
    stack->MajorFunction = major;
    stack->FileObject = &f->object;
    if (major == IRP_MJ_DEVICE_CONTROL) {
        method = (enum method)METHOD_FROM_CTL_CODE(code);
        stack->Parameters.DeviceIoControl.IoControlCode = code;
        stack->Parameters.DeviceIoControl.InputBufferLength = (ULONG)in_size;
        stack->Parameters.DeviceIoControl.OutputBufferLength = (ULONG)out_size;
    } else {
        method = top->Flags & DO_BUFFERED_IO ? BUFFERED : top->Flags & DO_DIRECT_IO ? OUT_DIRECT : NEITHER;
        if (major == IRP_MJ_READ) {
            stack->Parameters.Read.Length = (ULONG)out_size;
            stack->Parameters.Read.ByteOffset.QuadPart = (LONGLONG)offset;
            irp->Flags |= IRP_READ_OPERATION;
        } else {
            stack->Parameters.Write.Length = (ULONG)in_size;
            stack->Parameters.Write.ByteOffset.QuadPart = (LONGLONG)offset;
            irp->Flags |= IRP_WRITE_OPERATION;
        }
    }
    if (!attach_buffers(io_irp_of(irp), method, major, in, in_size, out, out_size)) {
        io_irp_free(io_irp_of(irp));
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    return send(f, io_irp_of(irp), major == IRP_MJ_WRITE ? NULL : out, out_size, done, patience_ns);
}
