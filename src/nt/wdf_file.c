/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of control devices, where the driver wants to know of them (WdfDeviceInitSetFileObjectConfig):
 *
 *   IRP_MJ_CREATE --wdf_file_add()--> in the device's list, EvtDeviceFileCreate --cleanup, close--> the driver is told
 *   --wdf_file_remove()--> the framework's object goes; the kernel's file outlives it
 *
 * The list is guarded by io->lock. The driver's callbacks are under the device's lock where its scope says so
 * (wdf_sync.c).
 */
#include "nt/wdf_inside.h"

struct wdf_file *wdf_file_find(struct wdf_device *d, const FILE_OBJECT *file)
{
    struct wdf_file *f;

    wdf_lock(&d->o);
    for (f = d->files; f != NULL && f->file != file; f = f->next)
        ;
    wdf_unlock(&d->o);
    return f;
}

NTSTATUS wdf_file_add(struct wdf_device *d, FILE_OBJECT *file, struct wdf_file **out)
{
    const WDF_OBJECT_ATTRIBUTES *a = d->init.file_attributes.Size == 0 ? NULL : &d->init.file_attributes;
    void *o;
    NTSTATUS status = wdf_create(d->o.io, WDF_KIND_FILE, sizeof(struct wdf_file), a, &d->o, NULL, &o);

    if (!NT_SUCCESS(status))
        return status;
    struct wdf_file *f = o;
    f->device = d;
    f->file = file;
    wdf_lock(&d->o);
    f->next = d->files;
    d->files = f;
    wdf_unlock(&d->o);
    *out = f;
    return STATUS_SUCCESS;
}

void wdf_file_remove(struct wdf_file *f)
{
    wdf_lock(&f->o);
    for (struct wdf_file **at = &f->device->files; *at != NULL; at = &(*at)->next) {
        if (*at == f) {
            *at = f->next;
            break;
        }
    }
    wdf_unlock(&f->o);
    wdf_delete(&f->o);
}

PUNICODE_STRING WdfFileObjectGetFileName(WDFFILEOBJECT FileObject)
{
    struct wdf_file *f = WDF_OF(FileObject, WDF_KIND_FILE);

    return f == NULL ? NULL : &f->file->FileName;
}

ULONG WdfFileObjectGetFlags(WDFFILEOBJECT FileObject)
{
    struct wdf_file *f = WDF_OF(FileObject, WDF_KIND_FILE);

    return f == NULL ? 0 : f->file->Flags;
}

WDFDEVICE WdfFileObjectGetDevice(WDFFILEOBJECT FileObject)
{
    struct wdf_file *f = WDF_OF(FileObject, WDF_KIND_FILE);

    return f == NULL ? NULL : (WDFDEVICE)f->device;
}

PFILE_OBJECT WdfFileObjectWdmGetFileObject(WDFFILEOBJECT FileObject)
{
    struct wdf_file *f = WDF_OF(FileObject, WDF_KIND_FILE);

    return f == NULL ? NULL : f->file;
}

WDFFILEOBJECT WdfDeviceGetFileObject(WDFDEVICE Device, PFILE_OBJECT FileObject)
{
    struct wdf_device *d = WDF_OF(Device, WDF_KIND_DEVICE);

    return d == NULL ? NULL : (WDFFILEOBJECT)wdf_file_find(d, FileObject);
}

void wdf_file_told(struct wdf_device *d, void (*callback)(WDFFILEOBJECT file), struct wdf_file *f)
{
    struct wdf_serial *serial = wdf_serial_of_files(d);

    if (callback == NULL)
        return;
    wdf_serial_enter(serial);
    callback((WDFFILEOBJECT)f);
    wdf_serial_leave(serial);
}
