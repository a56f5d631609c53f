/* SPDX-License-Identifier: Apache-2.0 */
/* capture: opening, reading and closing; not there yet, everything fails. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "datapath/capture.h"

static int not_yet(const char *name, struct capture_error *error)
{
    snprintf(error->text, sizeof(error->text), "%s: captures cannot be read yet", name);
    return -ENOSYS;
}

int capture_open(const char *path, struct capture **out, struct capture_error *error)
{
    *out = NULL;
    return not_yet(path, error);
}

int capture_open_memory(const char *name, const uint8_t *bytes, size_t size, struct capture **out,
                        struct capture_error *error)
{
    (void)bytes;
    (void)size;
    *out = NULL;
    return not_yet(name, error);
}

void capture_close(struct capture *c)
{
    (void)c;
}

int capture_next(struct capture *c, struct capture_packet *out, struct capture_error *error)
{
    (void)c;
    memset(out, 0, sizeof(*out));
    return not_yet("-", error);
}

const struct capture_interface *capture_interface(const struct capture *c, uint32_t index)
{
    (void)c;
    (void)index;
    return NULL;
}

size_t capture_interface_count(const struct capture *c)
{
    (void)c;
    return 0;
}

const struct capture_process *capture_process(const struct capture *c, uint32_t index)
{
    (void)c;
    (void)index;
    return NULL;
}

void capture_progress(const struct capture *c, uint64_t *done, uint64_t *all)
{
    (void)c;
    *done = *all = 0;
}

int capture_writer_open(const char *path, struct capture_writer **out, struct capture_error *error)
{
    *out = NULL;
    return not_yet(path, error);
}

int capture_write(struct capture_writer *w, const struct capture *c, const struct capture_packet *p,
                  const char *comment)
{
    (void)w;
    (void)c;
    (void)p;
    (void)comment;
    return -ENOSYS;
}

int capture_writer_close(struct capture_writer *w, bool keep)
{
    (void)w;
    (void)keep;
    return -ENOSYS;
}
