/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The I/O manager's part of a kernel and of a driver: made, taken down; DRIVER_OBJECTs and their extensions.
 *
 *   io_driver_create --> DriverEntry fills MajorFunction, DriverUnload --> files are opened, IRPs run -->
 *   unload_begin: no new files, open ones are closed --> DriverUnload --> unload_end: what the framework owns
 * goes --> io_driver_destroy: devices that were left are taken away (the ledger has told of them)
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "nt/fault.h"
#include "nt/io_inside.h"
#include "nt/text.h"

/* CurrentControlSet is a link to it, as on Windows. */
#define SERVICES "\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001\\Services\\"

struct driver_body {
    DRIVER_OBJECT object;
    DRIVER_EXTENSION extension;
    struct io_driver *io;
};

struct _OBJECT_TYPE ob_type_driver = {.name = "Driver"};

static int string_of(const char *utf8, UNICODE_STRING *out)
{
    size_t units;

    out->Buffer = rtl_wide_of(utf8, &units);
    if (out->Buffer == NULL || units > 0x7ffe) {
        free(out->Buffer);
        out->Buffer = NULL;
        return -ENOMEM;
    }
    out->Length = (USHORT)(units * sizeof(WCHAR));
    out->MaximumLength = (USHORT)(out->Length + sizeof(WCHAR));
    return 0;
}

/* ---- kernels
 * ------------------------------------------------------------------------------------------------ */
int io_room_create(struct nt *k, struct io_room **out)
{
    struct io_room *io = calloc(1, sizeof *io);

    if (io == NULL)
        return -ENOMEM;
    io->k = k;
    if (rt_mutex_create(&io->lock) != 0 || rt_cond_create(k->clock, &io->completed) != 0)
        goto fail;
    struct registry_key *services;
    UNICODE_STRING path = RTL_CONSTANT_STRING(u"" SERVICES);
    if (!NT_SUCCESS(registry_make(io, NULL, path.Buffer, path.Length / sizeof(WCHAR) - 1, &services, NULL)))
        goto fail;
    *out = io;
    return 0;
fail:
    io_room_destroy(io);
    return -ENOMEM;
}

void io_room_destroy(struct io_room *io)
{
    if (io == NULL)
        return;
    for (size_t i = 0; i < ARRAYSIZE(io->last_freed); i++)
        free(io->last_freed[i]);
    io_name_clear(io);
    registry_destroy(io->registry);
    rt_cond_destroy(io->completed);
    rt_mutex_destroy(io->lock);
    free(io);
}

/* ---- drivers
 * ------------------------------------------------------------------------------------------------ */
static int write_parameters(struct io_room *io, const UNICODE_STRING *service,
                            const struct nt_driver_config *config)
{
    static const WCHAR parameters_name[] = u"Parameters", image_name[] = u"ImagePath";
    struct registry_key *key, *parameters;
    int rc = -ENOMEM;

    rt_mutex_lock(io->lock);
    if (!NT_SUCCESS(registry_make(io, NULL, service->Buffer, service->Length / sizeof(WCHAR), &key, NULL)) ||
        !NT_SUCCESS(
            registry_make(io, key, parameters_name, ARRAYSIZE(parameters_name) - 1, &parameters, NULL)))
        goto out;
    if (config->image != NULL) {
        size_t units;
        WCHAR *image = rtl_wide_of(config->image, &units);
        NTSTATUS status = image == NULL ? STATUS_NO_MEMORY
                                        : registry_set(io, key, image_name, ARRAYSIZE(image_name) - 1,
                                                       REG_EXPAND_SZ, image, (units + 1) * sizeof(WCHAR));
        free(image);
        if (!NT_SUCCESS(status))
            goto out;
    }
    for (size_t i = 0; i < config->parameter_count; i++) {
        const struct nt_parameter *p = &config->parameters[i];
        size_t name_units, units = 0;
        WCHAR *name = rtl_wide_of(p->name, &name_units), *string = NULL;
        NTSTATUS status = STATUS_NO_MEMORY;

        if (p->is_string)
            string = rtl_wide_of(p->string == NULL ? "" : p->string, &units);
        if (name != NULL && (!p->is_string || string != NULL))
            status = registry_set(io, parameters, name, name_units, p->is_string ? REG_SZ : REG_DWORD,
                                  p->is_string ? (const void *)string : &p->number,
                                  p->is_string ? (units + 1) * sizeof(WCHAR) : sizeof p->number);
        free(name);
        free(string);
        if (!NT_SUCCESS(status))
            goto out;
    }
    rc = 0;
out:
    rt_mutex_unlock(io->lock);
    return rc;
}

int io_driver_create(struct nt_driver *d, const struct nt_driver_config *config, struct io_driver **out)
{
    struct io_driver *io = calloc(1, sizeof *io);
    struct driver_body *body = NULL;
    char *path = NULL;
    int rc = -ENOMEM;

    if (io == NULL)
        return -ENOMEM;
    io->d = d;
    body = ob_create(&ob_type_driver, sizeof *body);
    if (body == NULL)
        goto out;
    io->object = &body->object;
    body->io = io;
    body->object.Type = IO_TYPE_DRIVER;
    body->object.Size = sizeof(DRIVER_OBJECT);
    body->object.DriverExtension = &body->extension;
    body->object.DriverInit = config->entry;
    body->extension.DriverObject = &body->object;
    for (size_t i = 0; i < ARRAYSIZE(body->object.MajorFunction); i++)
        body->object.MajorFunction[i] = io_invalid_request;
    if (asprintf(&path, "\\Driver\\%s", config->name) < 0) {
        path = NULL;
        goto out;
    }
    if (string_of(path, &body->object.DriverName) != 0 ||
        string_of(config->name, &body->extension.ServiceKeyName) != 0)
        goto out;
    free(path);
    if (asprintf(&path, SERVICES "%s", config->name) < 0) {
        path = NULL;
        goto out;
    }
    if (string_of(path, &io->registry_path) != 0)
        goto out;
    rc = write_parameters(d->k->io, &io->registry_path, config);
out:
    free(path);
    if (rc != 0)
        io_driver_destroy(io);
    else
        *out = io;
    return rc;
}

DRIVER_OBJECT *io_driver_object(struct io_driver *io)
{
    return io->object;
}

UNICODE_STRING *io_driver_registry_path(struct io_driver *io)
{
    return &io->registry_path;
}

static struct io_driver *driver_of(DRIVER_OBJECT *object)
{
    return ob_is(object, &ob_type_driver) ? CONTAINING_RECORD(object, struct driver_body, object)->io : NULL;
}

struct nt_driver *io_driver_of(DRIVER_OBJECT *object)
{
    struct io_driver *io = driver_of(object);

    return io == NULL ? NULL : io->d;
}

/* A file of the driver's that is open, with a reference. */
static struct io_file *open_file(struct io_driver *io)
{
    struct io_room *room = io->d->k->io;
    struct io_file *f;

    rt_mutex_lock(room->lock);
    for (f = room->files; f != NULL; f = f->next)
        if (f->device->driver == io && !f->closed && ob_reference_unless_gone(f))
            break;
    rt_mutex_unlock(room->lock);
    return f;
}

void io_driver_unload_begin(struct io_driver *io)
{
    struct io_room *room = io->d->k->io;
    struct io_file *f;

    rt_mutex_lock(room->lock);
    io->unloading = true;
    rt_mutex_unlock(room->lock);
    while ((f = open_file(io)) != NULL) {
        io_file_close(f);
        ob_dereference(f);
    }
}

void io_driver_unload_end(struct io_driver *io)
{
    wdf_driver_gone(io);
}

void io_driver_destroy(struct io_driver *io)
{
    if (io == NULL)
        return;
    if (io->object != NULL) {
        struct driver_body *body = CONTAINING_RECORD(io->object, struct driver_body, object);
        wdf_driver_gone(io);
        while (io->object->DeviceObject != NULL && io_device_delete(io->object->DeviceObject))
            ;
        free(body->extension.ServiceKeyName.Buffer);
        free(io->object->DriverName.Buffer);
        body->io = NULL;
        ob_dereference(body);
    }
    while (io->extensions != NULL) {
        struct io_extension *e = io->extensions;
        io->extensions = e->next;
        free(e);
    }
    free(io->registry_path.Buffer);
    free(io);
}

NTSTATUS io_invalid_request(DEVICE_OBJECT *device, IRP *irp)
{
    (void)device;
    irp->IoStatus.Status = STATUS_INVALID_DEVICE_REQUEST;
    irp->IoStatus.Information = 0;
    IofCompleteRequest(irp, IO_NO_INCREMENT);
    return STATUS_INVALID_DEVICE_REQUEST;
}

/* ---- what drivers call
 * ---------------------------------------------------------------------------------------- */
NTSTATUS IoAllocateDriverObjectExtension(PDRIVER_OBJECT DriverObject, PVOID ClientIdentificationAddress,
                                         ULONG DriverObjectExtensionSize, PVOID *DriverObjectExtension)
{
    NT_FAIL_STATUS(IoAllocateDriverObjectExtension);
    struct io_driver *io = driver_of(DriverObject);
    NTSTATUS status = STATUS_SUCCESS;

    NT_IRQL_MAX(APC_LEVEL);
    *DriverObjectExtension = NULL;
    if (io == NULL)
        return STATUS_INVALID_PARAMETER;
    struct io_extension *e = calloc(1, sizeof *e + DriverObjectExtensionSize);
    if (e == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    e->id = ClientIdentificationAddress;
    rt_mutex_lock(io->d->k->io->lock);
    for (struct io_extension *other = io->extensions; other != NULL; other = other->next)
        if (other->id == ClientIdentificationAddress)
            status = STATUS_OBJECT_NAME_COLLISION;
    if (NT_SUCCESS(status)) {
        e->next = io->extensions;
        io->extensions = e;
        *DriverObjectExtension = e->data;
        e = NULL;
    }
    rt_mutex_unlock(io->d->k->io->lock);
    free(e);
    return status;
}

PVOID IoGetDriverObjectExtension(PDRIVER_OBJECT DriverObject, PVOID ClientIdentificationAddress)
{
    struct io_driver *io = driver_of(DriverObject);
    void *found = NULL;

    if (io == NULL)
        return NULL;
    rt_mutex_lock(io->d->k->io->lock);
    for (struct io_extension *e = io->extensions; e != NULL; e = e->next)
        if (e->id == ClientIdentificationAddress)
            found = e->data;
    rt_mutex_unlock(io->d->k->io->lock);
    return found;
}

/* Only a driver's own path; the caller frees it with ExFreePool. */
NTSTATUS IoQueryFullDriverPath(PDRIVER_OBJECT DriverObject, PUNICODE_STRING FullPath)
{
    NT_FAIL_STATUS(IoQueryFullDriverPath);
    struct nt_driver *d = io_driver_of(DriverObject);
    size_t units;

    NT_IRQL_MAX(APC_LEVEL);
    *FullPath = (UNICODE_STRING){0, 0, NULL};
    if (d == NULL || d != nt_driver_current() || d->image[0] == 0)
        return d == NULL ? STATUS_INVALID_PARAMETER : STATUS_ACCESS_DENIED;
    WCHAR *path = rtl_wide_of(d->image, &units);
    WCHAR *buffer =
        path == NULL || units > 0x7ffe ? NULL : nt_pool_alloc((units + 1) * sizeof(WCHAR), RTL_TAG, NT_SITE);
    if (buffer != NULL) {
        memcpy(buffer, path, (units + 1) * sizeof(WCHAR));
        *FullPath =
            (UNICODE_STRING){(USHORT)(units * sizeof(WCHAR)), (USHORT)((units + 1) * sizeof(WCHAR)), buffer};
    }
    free(path);
    return buffer == NULL ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS;
}
