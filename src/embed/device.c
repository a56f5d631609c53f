/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir.h: a driver's devices, as a program on the host opens and uses them. A request runs on a thread of its own in
 * the name of the process, so that what the driver waits for can happen meanwhile (an inverted call that a packet
 * completes); the call returns when it is complete. nt cancels it when its patience is over.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "embed/internal.h"

#define PATIENCE_NS 60000000000ull
#define CANCEL_NS   600000000000ull /* for who is asked to cancel */

struct embed_device {
    struct embed_device *next; /* e->devices */
    void *handle;
    struct nt_file *file;
    uint64_t process;
};

struct request {
    enum { OPEN, CONTROL, READ, WRITE, CLOSE } what;
    struct nt *k;
    struct nt_file *file;
    uint64_t process;
    const char *name;
    uint32_t code;
    const void *in;
    void *out;
    size_t in_size, out_size, done;
    uint64_t patience;
    NTSTATUS status;
};

static void request(void *arg)
{
    struct request *r = arg;
    uint64_t before = nt_process_attach(r->process);

    switch (r->what) {
    case OPEN:
        r->status = nt_open(r->k, r->name, r->process, &r->file);
        break;
    case CONTROL:
        r->status =
            nt_control(r->file, r->code, r->in, r->in_size, r->out, r->out_size, &r->done, r->patience);
        break;
    case READ:
        r->status = nt_read(r->file, r->out, r->out_size, &r->done, r->patience);
        break;
    case WRITE:
        r->status = nt_write(r->file, r->in, r->in_size, &r->done, r->patience);
        break;
    case CLOSE:
        nt_close(r->file);
        break;
    }
    (void)nt_process_attach(before);
}

static void ask(struct embed *e, struct request *r)
{
    static const char *const names[] = {"opening a device", "device control", "read", "write",
                                        "closing a device"};

    r->patience = r->patience != 0 ? r->patience : PATIENCE_NS;
    if (r->patience > UINT64_MAX / 4)
        r->patience = UINT64_MAX / 4;
    embed_beside(e, names[r->what], request, r, r->patience + CANCEL_NS);
}

struct weir_device *weir_open(struct weir_process *p, const char *name, int32_t *status)
{
    struct embed *e;
    struct request r = {.what = OPEN, .name = name, .process = weir_process_id(p)};
    struct embed_device *d;

    if (status != NULL)
        *status = STATUS_INVALID_PARAMETER;
    if (EMBED_ENTER(EMBED_PROCESS, p, &e) == NULL)
        return NULL;
    if (name == NULL) {
        embed_failed(e, __func__, "no device is named");
        return NULL;
    }
    d = calloc(1, sizeof *d);
    r.k = loader_nt(e->loader);
    r.status = STATUS_INSUFFICIENT_RESOURCES;
    if (d != NULL)
        ask(e, &r);
    if (status != NULL)
        *status = r.status;
    if (!NT_SUCCESS(r.status)) {
        char text[64];

        embed_error("%s: %s", name, loader_status_name(r.status, text, sizeof text));
        free(d);
        return NULL;
    }
    d->file = r.file;
    d->process = r.process;
    d->handle = embed_handle_new(e, EMBED_DEVICE, d);
    if (d->handle != NULL) {
        d->next = e->devices;
        e->devices = d;
        return d->handle;
    }
    if (status != NULL)
        *status = STATUS_INSUFFICIENT_RESOURCES;
    r.what = CLOSE;
    ask(e, &r);
    free(d);
    return NULL;
}

static int32_t transfer(const char *call, struct weir_device *device, struct request *r, size_t *done)
{
    struct embed *e;
    struct embed_device *d = embed_enter(call, EMBED_DEVICE, device, &e);

    if (done != NULL)
        *done = 0;
    if (d == NULL)
        return STATUS_INVALID_HANDLE;
    if ((r->in == NULL && r->in_size != 0) || (r->out == NULL && r->out_size != 0)) {
        embed_failed(e, call, "a buffer is NULL, and its size is not 0");
        return STATUS_INVALID_PARAMETER;
    }
    r->file = d->file;
    r->process = d->process;
    ask(e, r);
    if (done != NULL)
        *done = r->done;
    return r->status;
}

int32_t weir_control(struct weir_device *d, uint32_t code, const void *in, size_t in_size, void *out,
                     size_t out_size, size_t *done, uint64_t patience)
{
    struct request r = {.what = CONTROL,
                        .code = code,
                        .in = in,
                        .in_size = in_size,
                        .out = out,
                        .out_size = out_size,
                        .patience = patience};

    return transfer(__func__, d, &r, done);
}

int32_t weir_read(struct weir_device *d, void *out, size_t size, size_t *done, uint64_t patience)
{
    struct request r = {.what = READ, .out = out, .out_size = size, .patience = patience};

    return transfer(__func__, d, &r, done);
}

int32_t weir_write(struct weir_device *d, const void *in, size_t size, size_t *done, uint64_t patience)
{
    struct request r = {.what = WRITE, .in = in, .in_size = size, .patience = patience};

    return transfer(__func__, d, &r, done);
}

static void close_device(struct embed *e, struct embed_device *d)
{
    struct request r = {.what = CLOSE, .file = d->file, .process = d->process};

    for (struct embed_device **at = &e->devices; *at != NULL; at = &(*at)->next)
        if (*at == d) {
            *at = d->next;
            break;
        }
    embed_handle_end(e, d->handle);
    ask(e, &r);
    free(d);
}

void weir_device_close(struct weir_device *device)
{
    struct embed *e;
    struct embed_device *d = EMBED_ENTER(EMBED_DEVICE, device, &e);

    if (d != NULL)
        close_device(e, d);
}

void embed_devices_close(struct embed *e, uint64_t process_id)
{
    for (struct embed_device *d = e->devices, *next; d != NULL; d = next) {
        next = d->next;
        if (process_id == 0 || d->process == process_id)
            close_device(e, d);
    }
}
