/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir_capture(): what is put on the wires, written down as pcapng, each wire an interface of the file's.
 *
 * The file knows the interfaces that there are when it is opened; those that come later are made known to it then
 * (embed_capture_know()). It is whole when it is closed: by weir_capture(w, NULL), or with the engine.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datapath/capture.h"
#include "embed/machine.h"

struct embed_capture {
    struct capture *is; /* the interfaces, for the writer */
    struct capture_writer *writer;
    unsigned known; /* interfaces that it knows */
};

static int stop(struct embed *e)
{
    struct embed_capture *c = e->capture;
    int err = 0;

    if (c == NULL)
        return 0;
    if (c->writer != NULL)
        err = capture_writer_close(c->writer, true);
    capture_close(c->is);
    free(c);
    e->capture = NULL;
    return err;
}

void embed_capture_stop(struct embed *e)
{
    (void)stop(e);
}

void embed_capture_write(struct embed *e, const struct embed_interface *i, bool to_host, const uint8_t *frame,
                         uint32_t size)
{
    struct embed_capture *c = e->capture;
    const uint64_t now = c != NULL ? embed_date(e) : 0;
    const struct capture_packet p = {
        .interface = i->at,
        .time_ns = now,
        .ticks = now,
        .has_time = true,
        .bytes = frame,
        .captured = size,
        .length = size,
        .flags = to_host ? 1 : 2, /* epb_flags: inbound, outbound */
    };

    if (c != NULL)
        (void)capture_write(c->writer, c->is, &p, NULL);
}

int embed_capture_know(struct embed *e, struct embed_interface *i)
{
    struct embed_capture *c = e->capture;
    char name[32];

    if (c == NULL)
        return 0;
    snprintf(name, sizeof name, "interface %u", i->index);
    i->at = c->known++;
    return capture_made_interface(c->is, WIRE_LINK_ETHERNET, name, i->mac[0]);
}

int weir_capture(struct weir *weir, const char *path)
{
    struct capture_error error = {0};
    struct embed *e;
    int err;

    if (EMBED_ENTER(EMBED_ENGINE, weir, &e) == NULL)
        return -EINVAL;
    err = stop(e);
    if (path == NULL)
        return err;
    e->capture = calloc(1, sizeof *e->capture);
    if (e->capture == NULL)
        return -ENOMEM;
    err = capture_made("wires", &e->capture->is);
    for (struct embed_interface *i = embed_interfaces(e); err == 0 && i != NULL; i = i->next)
        err = embed_capture_know(e, i);
    if (err == 0)
        err = capture_writer_open(path, &e->capture->writer, &error);
    if (err == 0)
        err = capture_write_interfaces(e->capture->writer, e->capture->is);
    if (err != 0) {
        embed_error("weir_capture: %s", error.text[0] != '\0' ? error.text : strerror(-err));
        (void)stop(e);
    }
    return err;
}
