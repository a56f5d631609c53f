/* SPDX-License-Identifier: Apache-2.0 */
/* walk: frames are made when a callout is about to look, and what became of them is found out at the end. */
#include <stdlib.h>
#include <string.h>

#include "host/again.h"
#include "host/ale_inside.h"
#include "host/paths.h"
#include "host/walk.h"
#include "ledger/ledger.h"

/* ndis_frames' gone: nothing of a kept frame is left. */
static void gone(void *ctx, const struct ndis_origin *o)
{
    const struct host_config *c = &((struct host *)ctx)->config;

    if (c->released != NULL)
        c->released(c->ctx, o->number, o->injected);
}

int walk_create(struct host *h)
{
    return ndis_frames_create(gone, h, &h->frames);
}

void walk_destroy(struct host *h)
{
    ndis_frames_destroy(h->frames);
    free(h->changed);
    again_destroy(h);
}

/* ---- making a frame */

static uint32_t pseudo_sum(const struct wire_packet *p)
{
    const uint32_t length = p->ip_length - (p->transport_at - p->ip_at);
    const uint8_t *header = p->frame + p->ip_at;
    const uint8_t rest[4] = {(uint8_t)(length >> 8), (uint8_t)length, 0, p->protocol};
    uint64_t sum;

    if (p->version == 4) { /* of each packet that goes out */
        const uint32_t from = p->source.v4, to = p->destination.v4;
        uint32_t x =
            (from >> 16) + (from & 0xffff) + (to >> 16) + (to & 0xffff) + (length & 0xffff) + p->protocol;

        x = (x >> 16) + (x & 0xffff);
        return (x >> 16) + (x & 0xffff);
    }
    sum = wire_sum(header + 8, 32, 0);
    return (uint16_t)~wire_fold(wire_sum(rest, sizeof(rest), sum));
}

/* What an adapter or the stack says beside the packet: which headers there are; and of what this host sends,
 * whose checksum holds the pseudo header's sum alone, that the adapter is to do the rest. */
static __attribute__((noinline)) void say_sent(NET_BUFFER_LIST *nbl, const struct wire_packet *p, bool tcp)
{
    NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO info = {.Value = NULL};
    const uint32_t at = p->transport_at + (tcp ? 16 : 6);
    uint32_t sum;

    if (at + 2 > p->captured)
        return;
    sum = (uint32_t)p->frame[at] << 8 | p->frame[at + 1];
    if (sum == 0 || sum != pseudo_sum(p))
        return;
    info.Transmit.IsIPv4 = p->version == 4;
    info.Transmit.IsIPv6 = p->version == 6;
    info.Transmit.TcpChecksum = tcp;
    info.Transmit.UdpChecksum = !tcp;
    info.Transmit.TcpHeaderOffset = tcp ? (p->transport_at - p->ip_at) & 0x3ff : 0;
    NET_BUFFER_LIST_INFO(nbl, TcpIpChecksumNetBufferListInfo) = info.Value;
}

static inline void say_beside(NET_BUFFER_LIST *nbl, const struct wire_packet *p, bool sent)
{
    if (p->version == 0)
        return;
    nbl->NblFlags |= p->version == 4 ? NDIS_NBL_FLAGS_IS_IPV4 : NDIS_NBL_FLAGS_IS_IPV6;
    if (p->reached != WIRE_TRANSPORT ||
        (p->protocol != WIRE_PROTOCOL_TCP && p->protocol != WIRE_PROTOCOL_UDP))
        return;
    nbl->NblFlags |= p->protocol == WIRE_PROTOCOL_TCP ? NDIS_NBL_FLAGS_IS_TCP : NDIS_NBL_FLAGS_IS_UDP;
    if (sent && !p->fragment)
        say_sent(nbl, p, p->protocol == WIRE_PROTOCOL_TCP);
}

static __attribute__((noinline)) void tag(struct walk *w, struct ndis_frame *f)
{
    ndis_tags_copy(ndis_frame_list(f), w->tagged);
    ndis_tags_tell(w->tagged, FWPS_NET_BUFFER_LIST_ENTERED_NETIO, ndis_frame_list(f), FWPS_LAYER_NON_WFP);
    w->tagged = NULL;
}

/* It is of the same origin as others, or of a list that a driver made of nothing (INJ-16). */
static __attribute__((noinline)) void stem(struct walk *w, struct ndis_frame *f, struct ndis_origin *o)
{
    ndis_frame_stem(f, o, w->history);
}

/* The next frame of the walk, of these bytes; the first is the origin of all that stems from it. */
static inline struct ndis_frame *add(struct walk *w, const uint8_t *bytes, uint32_t size, uint32_t ip_at)
{
    struct ndis_frame *f;

    if (w->count == WALK_FRAMES)
        return NULL;
    f = ndis_frame_take(w->host->frames, bytes, size, ip_at);
    if (f == NULL)
        return NULL;
    if (w->origin == NULL) {
        w->origin = ndis_frame_root(f, w->number);
        if (__builtin_expect(w->history != NULL, 0))
            stem(w, f, NULL);
    } else {
        stem(w, f, w->origin);
    }
    w->frames[w->count++] = f;
    w->frame = f;
    if (__builtin_expect(w->tagged != NULL, 0))
        tag(w, f);
    return f;
}

__attribute__((noinline, flatten)) bool walk_make(struct scene *s)
{
    struct walk *w = s->walk;
    const struct wire_packet *p = s->packet;
    const bool root = w->origin == NULL;
    struct ndis_frame *f = add(w, p->frame, p->captured, p->ip_at);
    struct ndis_origin *o = w->origin;

    if (f == NULL)
        return false;
    w->packet = p;
    if (__builtin_expect(p != w->first, 0))
        w->whole = *p;
    say_beside(ndis_frame_list(f), p, s->packet_direction == FWP_DIRECTION_OUTBOUND);
    if (__builtin_expect(s->loopback, 0))
        ndis_frame_list(f)->NblFlags |= NDIS_NBL_FLAGS_IS_LOOPBACK_PACKET;
    if (root) {
        o->interface_index = s->interface != NULL ? s->interface->desc.index : 0;
        o->inbound = s->packet_direction == FWP_DIRECTION_INBOUND;
        o->loopback = s->loopback;
        o->reassembled = p != w->first;
        o->flow = s->flow;
    }
    return true;
}

struct ndis_frame *walk_hold(struct scene *s)
{
    struct walk *w = s->walk;

    if (w == NULL || (!walk_shows(s) && !walk_make(s)))
        return NULL;
    ndis_frame_hold(w->frame);
    return w->frame;
}

void walk_copy_slow(struct walk *w)
{
    struct ndis_frame *from = w->frame;
    NET_BUFFER_LIST *list = ndis_frame_list(from);
    uint32_t size, came, ip_at;
    const uint8_t *bytes = ndis_frame_bytes(from, &size);

    (void)ndis_frame_came(from, &came, &ip_at);
    if (add(w, bytes, size, ip_at) == NULL)
        return;
    ndis_frame_list(w->frame)->NblFlags = list->NblFlags;
    if (ndis_tags_any(list)) {
        ndis_tags_copy(ndis_frame_list(w->frame), list);
        ndis_tags_tell(list, FWPS_NET_BUFFER_LIST_CLONED_BY_NETIO, ndis_frame_list(w->frame),
                       FWPS_LAYER_NON_WFP);
    }
}

/* ---- the end --------------------------------------------------------------------------------------------
 */

static __attribute__((noinline)) void keep_changed(struct host *h, const uint8_t *bytes, uint32_t size,
                                                   struct host_outcome *out)
{
    uint8_t *room;

    if (size > h->changed_room) {
        room = realloc(h->changed, size);
        if (room == NULL)
            return;
        h->changed = room;
        h->changed_room = size;
    }
    memcpy(h->changed, bytes, size);
    out->changed = h->changed;
}

/* Its frame's own bytes are what goes on. */
static inline bool goes_on(const struct walk *w, const struct host_outcome *out)
{
    return !w->injected && (out->fate == HOST_PASSED || out->fate == HOST_IGNORED) && w->packet == w->first;
}

/* The frame's own bytes as they left the walk, if they are others than came. */
static inline void note_changes(struct walk *w, struct host_outcome *out)
{
    const uint8_t *bytes;
    uint32_t size;

    if (!goes_on(w, out))
        return;
    bytes = ndis_frame_bytes(w->frame, &size);
    if (__builtin_expect(size == w->first->captured && memcmp(bytes, w->first->frame, size) != 0, 0))
        keep_changed(w->host, bytes, size, out);
}

/* The same with nothing compared or copied: the frame is not used again until the next comes (host_frame()). */
static inline bool lends(struct walk *w, struct host_outcome *out)
{
    const uint8_t *bytes;
    uint32_t size;

    if (!w->host->config.lends_bytes || !goes_on(w, out))
        return false;
    bytes = ndis_frame_bytes(w->frame, &size);
    if (size != w->first->captured || !ndis_frame_lend(w->frame))
        return false;
    w->host->lent = true;
    out->changed = bytes;
    return true;
}

/* NBL-21: the packet leaves the stack, up or down. */
static __attribute__((noinline)) void leaves(NET_BUFFER_LIST *list, const struct host_outcome *out)
{
    ndis_tags_tell(list, FWPS_NET_BUFFER_LIST_EXIT_NETIO, NULL, FWPS_LAYER_NON_WFP);
    if (out->outbound || out->forwarded)
        ndis_tags_tell(list, FWPS_NET_BUFFER_LIST_CONTEXT_REMOVED, NULL, FWPS_LAYER_NON_WFP);
    ndis_tags_drop(list);
}

static __attribute__((noinline)) void taken(struct walk *w)
{
    again_taken(w);
}

/* With nobody to lend to, of several frames, or with a callout that has kept something of them. */
static __attribute__((noinline, flatten)) void end_in_full(struct walk *w, struct host_outcome *out)
{
    note_changes(w, out);
    if (w->count == 1 && !w->taken && ndis_frame_done_plain(w->frame)) {
        w->count = 0;
        w->frame = NULL;
        return;
    }
    if (w->taken && out->fate != HOST_PASSED)
        taken(w);
    for (unsigned i = 0; out->fate == HOST_PASSED && i < w->count; i++)
        if (__builtin_expect(ndis_tags_any(ndis_frame_list(w->frames[i])), 0))
            leaves(ndis_frame_list(w->frames[i]), out);
    do { /* what stems from the first before it */
        if (__builtin_expect(ndis_frame_done(w->frames[--w->count]), 0))
            out->kept = true;
    } while (w->count > 0);
    w->frame = NULL;
}

__attribute__((flatten)) void walk_end_slow(struct walk *w, struct host_outcome *out)
{
    if (__builtin_expect(w->count != 1 || w->taken || !lends(w, out), 0)) {
        end_in_full(w, out);
        return;
    }
    w->count = 0;
    w->frame = NULL;
}

/* ---- PEND-29 ----------------------------------------------------------------------------------------------
 */

bool walk_refused_slow(struct scene *s, enum host_layer layer, struct host_outcome *out)
{
    const struct ndis_origin *o = s->walk->origin;
    const struct host_flow *f;
    bool waits;

    if (layer != LAYER_RA || s->flow == NULL)
        return false;
    lane_enter(s->lane);
    f = ale_flow_at(s->lane, flow_table_slot(s->lane->flows, s->flow), s->flow_id);
    waits = f != NULL && (o != NULL ? ale_operation_of_frame(s->lane, f->operations, o->number)
                                    : ale_operations_wait(s->lane, f->operations, NULL));
    lane_leave(s->lane);
    if (!waits)
        return false;
    ledger_report(
        LEDGER_NOTE, NULL,
        "a packet was injected whose operation at RECV_ACCEPT is still pended: it was dropped there");
    out->fate = HOST_BLOCKED;
    out->layer = engine_layer_by_id(layer_id(layer, s->version));
    out->flow_id = s->flow_id;
    s->walk->status = STATUS_FWP_CANNOT_PEND;
    return true;
}
