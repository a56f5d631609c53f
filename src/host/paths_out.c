/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paths_out: an outbound packet's way.
 *
 *   [BR, RES, CR, AC, FE] -> DD -> OT -> OI -> MAC      datagrams (ORD-09); AC or RA again: before DD
 * (ORD-23) paths_tcp.c                      TCP (ORD-02, 05) OIE -> OT -> OI -> MAC                ICMP
 * errors (ORD-13)
 *
 * What this host sent is never discarded for its headers: its stack, or a raw socket, made them. OI stands
 * before fragmentation (ORD-16, PKT-24), but a capture shows the pieces. With the first one seen the datagram
 * is put together from the frames that follow, and walks the way down to OI; its verdict is that of all its
 * pieces (paths_memory.c, 60 s), each of which goes through the MAC layers by itself. Where not all of it
 * follows, the first piece walks as far as its headers go.
 */
#include <string.h>

#include "host/paths.h"
#include "host/redirect_wire.h"
#include "host/walk.h"

static void datagram_out(struct scene *s, struct ale_view *v, struct host_outcome *out)
{
    if (v->need != ALE_NEED_NOTHING && !path_authorize(s, v, out))
        return;
    s->reauthorize = 0;
    if (path_send_whole(s, false, out))
        path_went(s);
    else
        path_dropped(s);
}

/* Sent to a group that one of the host's own is a member of: a copy comes back (ORD-21). It is not in a
 * capture; a host that is live receives it. */
static bool group_copy(const struct scene *s)
{
    struct host_outcome out = {0};
    struct scene copy = *s;

    copy.loopback = copy.group = true;
    copy.endpoint = NULL;
    copy.flow = NULL;
    copy.flow_id = 0;
    copy.metadata_flags = copy.flags = copy.reauthorize = 0;
    path_scene(&copy, s->packet, true);
    walk_copy(&copy);
    if (ale_receiver(&copy, 0) == NULL)
        return false;
    paths_in(&copy, &out);
    return out.fate == HOST_PASSED;
}

static void maybe_group_copy(const struct scene *s, struct host_outcome *out)
{
    UINT8 type;

    if (out->fate != HOST_PASSED || s->loopback)
        return;
    type = host_address_type(s->host, s->version, &s->remote);
    if (type == NlatMulticast || type == NlatBroadcast)
        out->looped = group_copy(s);
}

void path_datagram_out(struct scene *s, struct ale_view *v, struct host_outcome *out)
{
    datagram_out(s, v, out);
    maybe_group_copy(s, out);
}

void path_datagram_injected(struct scene *s, struct ale_view *v, struct host_outcome *out)
{
    path_datagram_out(s, v, out);
}

static void transport_out(struct scene *s, struct host_outcome *out)
{
    const struct wire_packet *p = s->packet;
    struct ale_view v = {0};

    if (p->reached != WIRE_TRANSPORT) { /* cut, or a raw socket's own */
        out->note = p->cut ? HOST_NOTE_CUT : HOST_NOTE_NONE;
        (void)path_send_ip(s, out);
        return;
    }
    if (wire_is_icmp_error(p)) {
        path_icmp_error_out(s, out);
        return;
    }
    if (!path_find(s, &v, out))
        return;
    if (v.tcp)
        path_tcp_out(s, &v, out);
    else
        path_datagram_out(s, &v, out);
    if (p->cut && out->fate == HOST_PASSED)
        out->note = HOST_NOTE_CUT;
}

/* ---- fragments */

static void fragment_key(const struct scene *s, struct host_flow_key *k)
{
    memset(k, 0, sizeof(*k));
    k->local = s->packet->source;
    k->remote = s->packet->destination;
    k->version = s->version;
    k->protocol = s->version == 4 ? s->protocol : 0; /* of IPv6 the identification alone says it */
    k->local_port = (uint16_t)(s->packet->fragment_id >> 16);
    k->remote_port = (uint16_t)s->packet->fragment_id;
}

static bool same_datagram(const struct wire_packet *a, const struct wire_packet *b)
{
    return a->fragment && a->version == b->version && a->fragment_id == b->fragment_id &&
           (a->version == 6 || a->protocol == b->protocol) && wire_addr_equal(&a->source, &b->source) &&
           wire_addr_equal(&a->destination, &b->destination);
}

/*
 * The datagram that this fragment is the first one seen of, from the frames that follow. False: it is not
 * whole there. *last: the number of the frame that completes it. `whole` stands in the lane's room until the
 * next one.
 */
static bool gather(struct scene *s, struct wire_packet *whole, UINT64 *last)
{
    const struct wire_packet *first = redirect_wire_came(s->lane, s->packet);
    const struct host_config *c = &s->host->config;
    struct fragments *f = s->lane->sent;
    const struct host_frame *next;
    enum fragment_result r;
    const uint8_t *bytes;
    uint32_t size;
    bool stayed;

    *last = s->frame;
    if (c->following == NULL || first->fault != WIRE_OK)
        return false;
    fragments_clear(f);
    r = fragments_add(f, first, 0, s->time_ns, &bytes, &size);
    stayed = lane_rest(s->lane);
    for (unsigned n = 0; r == FRAGMENT_HELD && (next = c->following(c->ctx, n)) != NULL; n++) {
        if (!same_datagram(next->packet, first) || next->packet->fault != WIRE_OK)
            continue;
        r = fragments_add(f, next->packet, 0, s->time_ns, &bytes, &size);
        *last = next->number;
    }
    lane_back(s->lane, stayed);
    if (r != FRAGMENT_COMPLETE) {
        *last = s->frame;
        return false;
    }
    wire_parse_ip(bytes, size, fragments_length(f), whole);
    return whole->reached >= WIRE_NETWORK;
}

/* The whole datagram's way, down to OI; what is below sees this frame. */
static void datagram_of_fragments(struct scene *s, const struct wire_packet *whole, struct host_outcome *out)
{
    struct scene all = *s;

    path_scene(&all, redirect_wire_whole(s->lane, s->packet, whole), false);
    transport_out(&all, out);
    redirect_wire_turned(s, &all);
    s->flow = all.flow;
    s->flow_id = all.flow_id;
    s->endpoint = all.endpoint;
    if (out->fate == HOST_PASSED)
        (void)path_send_link(s, out);
}

/* The others' fate is its own. */
static void as_noted(struct scene *s, const struct fragment_note *n, struct host_outcome *out)
{
    out->fate = (enum host_fate)n->fate;
    out->note = (enum host_note)n->note;
    out->flow_id = n->flow_id;
    if (out->fate == HOST_BLOCKED || out->fate == HOST_ABSORBED) {
        out->layer = engine_layer_by_id(n->layer_id);
        out->filter_id = n->filter_id;
        out->module = FWPS_DISCARD_MODULE_GENERAL;
        out->reason = FWPS_DISCARD_FIREWALL_POLICY;
    } else if (out->fate == HOST_PASSED) {
        (void)path_send_link(s, out);
    }
}

static void fragment_out(struct scene *s, struct host_outcome *out)
{
    struct memory *m = s->lane->memory;
    struct wire_packet whole;
    struct host_flow_key key;
    struct fragment_note n;
    bool at_link, known;

    if (s->packet->fragment_offset == 0 && (s->packet->ip_flags & WIRE_IP_MORE_FRAGMENTS) == 0) {
        transport_out(s, out); /* the only one */
        return;
    }
    fragment_key(s, &key);
    lane_enter(s->lane);
    known = memory_fragment(m, &key, s->time_ns, &n);
    /* The identification is used again; or the first one comes again, for what it waited for is decided. */
    if (known && (n.first == s->frame || (s->packet->fragment_offset == 0 && s->frame > n.last)))
        known = false;
    lane_leave(s->lane);
    if (known) {
        as_noted(s, &n, out);
        return;
    }
    n.first = s->frame;
    if (gather(s, &whole, &n.last))
        datagram_of_fragments(s, &whole, out);
    else
        transport_out(s, out);
    at_link = out->layer != NULL && (out->layer->id == layer_id(LAYER_MAC_OUT, 4) ||
                                     out->layer->id == layer_id(LAYER_MAC_OUT_NATIVE, 4));
    n.fate = at_link ? HOST_PASSED
                     : (UINT8)out->fate; /* what becomes of a frame there is its own affair (OTH-04) */
    n.note = out->fate == HOST_CONSEQUENCE ? (UINT8)out->note : HOST_NOTE_NONE;
    n.layer_id = out->layer != NULL && !at_link ? out->layer->id : ENGINE_LAYER_COUNT;
    n.filter_id = at_link ? 0 : out->filter_id;
    n.flow_id = out->flow_id;
    fragment_key(s, &key); /* it may have been redirected on its way, and the others will be */
    lane_enter(s->lane);
    memory_put_fragment(m, &key, s->time_ns, s->time_ns + FRAGMENT_NS, &n);
    lane_leave(s->lane);
}

/* ---- the whole way */

void paths_out(struct scene *s, struct host_outcome *out)
{
    const struct wire_packet *p = s->packet;

    out->outbound = true;
    if (p->reached < WIRE_NETWORK) { /* nothing that OI could be asked with */
        out->note = p->cut ? HOST_NOTE_CUT : HOST_NOTE_NONE;
        out->fault = (enum wire_fault)p->fault;
        (void)path_send_link(s, out);
        return;
    }
    if (p->fragment)
        fragment_out(s, out);
    else
        transport_out(s, out);
    if (out->fate != HOST_PASSED || s->home == NULL || s->home == s->interface || s->interface == NULL ||
        !s->interface->desc.weak_host_send || s->loopback)
        return;
    s->flags |= FWP_CONDITION_FLAG_IS_OUTBOUND_PASS_THRU; /* another interface's address (ORD-14) */
    s->metadata_flags |= FWPS_METADATA_FIELD_FORWARD_LAYER_OUTBOUND_PASS_THRU;
    s->next_hop = s->interface;
    (void)path_step(s, LAYER_FW, out);
}
