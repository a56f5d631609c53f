/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices from a test program's side: open, control, read, write, close. A struct nt_file is a handle: the
 * file it stands for ends earlier where its driver is unloaded; then everything but nt_close() says
 * STATUS_FILE_CLOSED.
 */
#include <stdlib.h>

#include "nt/io_inside.h"
#include "nt/text.h"

struct nt_file {
    struct io_file *file;
};

NTSTATUS nt_open(struct nt *k, const char *name, uint64_t process_id, struct nt_file **out)
{
    struct nt_file *f = calloc(1, sizeof *f);
    size_t units;
    WCHAR *path = rtl_wide_of(name, &units);
    NTSTATUS status = STATUS_INSUFFICIENT_RESOURCES;

    *out = NULL;
    if (f != NULL && path != NULL)
        status = io_file_open(k->io, path, units, process_id, GENERIC_READ | GENERIC_WRITE,
                              FILE_SHARE_READ | FILE_SHARE_WRITE, FILE_NON_DIRECTORY_FILE, &f->file);
    free(path);
    if (!NT_SUCCESS(status)) {
        free(f);
        return status;
    }
    *out = f;
    return status;
}

NTSTATUS nt_control(struct nt_file *f, uint32_t code, const void *in, size_t in_size, void *out,
                    size_t out_size, size_t *done, uint64_t patience_ns)
{
    return io_file_request(f->file, IRP_MJ_DEVICE_CONTROL, code, in, in_size, out, out_size, 0, done,
                           patience_ns);
}

NTSTATUS nt_read(struct nt_file *f, void *out, size_t size, size_t *done, uint64_t patience_ns)
{
    return io_file_request(f->file, IRP_MJ_READ, 0, NULL, 0, out, size, 0, done, patience_ns);
}

NTSTATUS nt_write(struct nt_file *f, const void *in, size_t size, size_t *done, uint64_t patience_ns)
{
    return io_file_request(f->file, IRP_MJ_WRITE, 0, in, size, NULL, 0, 0, done, patience_ns);
}

void nt_close(struct nt_file *f)
{
    if (f == NULL)
        return;
    io_file_cleanup(f->file);
    ob_dereference(f->file);
    free(f);
}
