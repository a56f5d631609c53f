/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is written out of turn: packets of drivers. The virtual clock can be a little ahead of the frame that
 * is worked on (each look at it takes 100 ns), so what a driver sends is kept until the frames are as far:
 * the output stays in the order of time. Packets of equal time come in the order in which they were given.
 *
 * A packet without a link header that fits gets one: MACs as the interface's frames have shown them last.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "replay_inside.h"

/* ---- the order of time --------------------------------------------------------------------------------- */

struct emit {
    uint64_t time_ns, number;
    struct capture_packet packet; /* its bytes behind it */
};

struct emits {
    struct emit **heap;
    size_t count, room;
    uint64_t next;
    struct emit *given;
};

int emits_create(struct emits **out)
{
    *out = calloc(1, sizeof(**out));
    return *out == NULL ? -ENOMEM : 0;
}

void emits_destroy(struct emits *e)
{
    if (e == NULL)
        return;
    for (size_t i = 0; i < e->count; i++)
        free(e->heap[i]);
    free(e->heap);
    free(e->given);
    free(e);
}

static bool is_sooner(const struct emit *a, const struct emit *b)
{
    return a->time_ns != b->time_ns ? a->time_ns < b->time_ns : a->number < b->number;
}

int emits_add(struct emits *e, const struct capture_packet *p)
{
    const size_t options = p->options != NULL ? p->options_size : 0;
    struct emit *m;
    uint8_t *bytes;
    size_t at;

    if (e->count == e->room) {
        size_t room = e->room == 0 ? 64 : e->room * 2;
        struct emit **more = realloc(e->heap, room * sizeof(struct emit *));
        if (more == NULL)
            return -ENOMEM;
        e->heap = more;
        e->room = room;
    }
    m = malloc(sizeof(*m) + p->captured + options);
    if (m == NULL)
        return -ENOMEM;
    bytes = (uint8_t *)(m + 1);
    *m = (struct emit){.time_ns = p->time_ns + p->delay_ns, .number = e->next++, .packet = *p};
    m->packet.bytes = memcpy(bytes, p->bytes, p->captured);
    if (p->options != NULL)
        m->packet.options = memcpy(bytes + p->captured, p->options, options);
    for (at = e->count++; at > 0 && is_sooner(m, e->heap[(at - 1) / 2]); at = (at - 1) / 2)
        e->heap[at] = e->heap[(at - 1) / 2];
    e->heap[at] = m;
    return 0;
}

bool emits_any(const struct emits *e)
{
    return e->count != 0;
}

const struct capture_packet *emits_next(struct emits *e, uint64_t until_ns)
{
    struct emit *first, *last;
    size_t at = 0;

    if (e->count == 0 || e->heap[0]->time_ns > until_ns)
        return NULL;
    first = e->heap[0];
    last = e->heap[--e->count];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < e->count && is_sooner(e->heap[child + 1], e->heap[child]))
            child++;
        if (child >= e->count || !is_sooner(e->heap[child], last))
            break;
        e->heap[at] = e->heap[child];
        at = child;
    }
    e->heap[at] = last;
    free(e->given);
    e->given = first;
    return &first->packet;
}

/* ---- link headers -------------------------------------------------------------------------------------- */

static uint8_t *put_type(uint8_t *out, uint8_t version)
{
    *out++ = version == 4 ? 0x08 : 0x86;
    *out++ = version == 4 ? 0x00 : 0xdd;
    return out;
}

/* Does it stand before an IP packet where this link type has it? */
static bool fits(uint16_t link_type, const struct host_emitted *e)
{
    uint8_t frame[256];
    struct wire_packet w;
    const uint32_t some = e->size < 40 ? e->size : 40;

    if (e->link == NULL || e->link_size + some > sizeof(frame) || e->link_size > EMIT_LINK)
        return false;
    memcpy(frame, e->link, e->link_size);
    memcpy(frame + e->link_size, e->bytes, some);
    wire_parse(link_type, frame, e->link_size + some, e->link_size + e->size, &w);
    return w.version == e->version && w.ip_at == e->link_size;
}

uint32_t emit_link(uint16_t link_type, const struct host_emitted *e, const struct emit_macs *macs,
                   uint8_t out[EMIT_LINK])
{
    const bool sent = !e->inbound;
    uint8_t *at = out;

    if (fits(link_type, e)) {
        memcpy(out, e->link, e->link_size);
        return e->link_size;
    }
    memset(out, 0, EMIT_LINK);
    switch (link_type) {
    case WIRE_LINK_ETHERNET:
        memcpy(at, macs->mac[sent], 12);
        at = put_type(at + 12, e->version);
        break;
    case WIRE_LINK_NULL: /* little-endian, as on the machines that write it */
        at[0] = e->version == 4 ? 2 : 24;
        at += 4;
        break;
    case WIRE_LINK_LOOP:
        at[3] = e->version == 4 ? 2 : 24;
        at += 4;
        break;
    case WIRE_LINK_LINUX_SLL: /* packet type, ARPHRD_ETHER, address */
        at[1] = sent ? 4 : 0;
        at[3] = 1;
        at[5] = 6;
        memcpy(at + 6, macs->mac[sent][1], 6);
        at = put_type(at + 14, e->version);
        break;
    case WIRE_LINK_LINUX_SLL2:
        put_type(at, e->version);
        at[9] = 1;
        at[10] = sent ? 4 : 0;
        at[11] = 6;
        memcpy(at + 12, macs->mac[sent][1], 6);
        at += 20;
        break;
    }
    return (uint32_t)(at - out);
}
