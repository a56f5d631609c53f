/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices from a test program's side: open, control, read, write, close.
 */
#include "nt.h"

NTSTATUS nt_open(struct nt *k, const char *name, uint64_t process_id, struct nt_file **out)
{
    (void)k;
    (void)name;
    (void)process_id;
    *out = NULL;
    return STATUS_NOT_IMPLEMENTED;
}

NTSTATUS nt_control(struct nt_file *f, uint32_t code, const void *in, size_t in_size, void *out,
                    size_t out_size, size_t *done, uint64_t patience_ns)
{
    (void)f;
    (void)code;
    (void)in;
    (void)in_size;
    (void)out;
    (void)out_size;
    (void)patience_ns;
    *done = 0;
    return STATUS_NOT_IMPLEMENTED;
}

NTSTATUS nt_read(struct nt_file *f, void *out, size_t size, size_t *done, uint64_t patience_ns)
{
    (void)f;
    (void)out;
    (void)size;
    (void)patience_ns;
    *done = 0;
    return STATUS_NOT_IMPLEMENTED;
}

NTSTATUS nt_write(struct nt_file *f, const void *in, size_t size, size_t *done, uint64_t patience_ns)
{
    (void)f;
    (void)in;
    (void)size;
    (void)patience_ns;
    *done = 0;
    return STATUS_NOT_IMPLEMENTED;
}

void nt_close(struct nt_file *f)
{
    (void)f;
}
