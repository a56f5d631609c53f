/* SPDX-License-Identifier: Apache-2.0 */
/* inject's inside: what its two files share: inject.c (handles, queue, injector, completion), inject_walk.c
 * (one packet's way). */
#ifndef WEIR_HOST_INJECT_INSIDE_H
#define WEIR_HOST_INJECT_INSIDE_H

#include "host/host_inject.h"
#include "host/internal.h"

struct injection_handle;

/* One injection, from its acceptance to its completion. */
struct injection {
    struct injection *next;
    struct host_injection what; /* without `send` */
    struct injection_handle *of;
    struct rt_context *context;   /* of who injected: current in completionFn */
    struct ndis_origin *origin;   /* a reference; NULL: of no frame */
    struct ndis_history *history; /* a reference: with this injection */
    uint8_t remote[16];           /* of `send`, network order; */
    bool has_remote;              /* the list begins at its transport header */
    uint8_t *header;              /* headerIncludeHeader, copied */
    uint32_t header_size;
    NTSTATUS status;
};

/* Room for a packet that does not stand in one piece; the injector's, kept. */
struct injection_room {
    uint8_t *bytes;
    uint32_t size;
};

int injector_create(struct host *h); /* h->injector: 0 or -ENOMEM */
void injector_destroy(struct host *h);

/* Walks all of its packets: emits them or tells that they are lost, and says what its completion is to say.
 * The caller has the turn. */
void injection_walk(struct host *h, struct injection *i, struct injection_room *room);
/* STATUS_HOPLIMIT_EXCEEDED, reported, if it has come again too often (INJ-17). */
NTSTATUS injection_capped(struct host *h, const struct injection *i);
/* Counts of the host's injections; any thread. */
void injection_count(struct host *h, bool emitted);

#endif
