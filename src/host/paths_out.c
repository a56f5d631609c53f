/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paths_out: an outbound packet's way.
 *
 *   [BR, RES, CR, AC, FE] -> DD -> OT -> OI -> MAC      datagrams (ORD-09); AC or RA again: before DD
 * (ORD-23) paths_tcp.c                      TCP (ORD-02, 05) OIE -> OT -> OI -> MAC                ICMP
 * errors (ORD-13)
 *
 * What this host sent is never discarded for its headers: its stack, or a raw socket, made them. OI stands
 * before fragmentation (ORD-16), but a capture shows the pieces: the first piece seen walks the whole way as
 * far as its headers go, and its verdict is that of the others (paths_memory.c, 60 s).
 */
#include <string.h>

#include "host/paths.h"
#include "host/walk.h"

static void datagram_out(struct scene *s, struct ale_view *v, struct host_outcome *out)
{
    if (v->need != ALE_NEED_NOTHING && !path_authorize(s, v, out))
        return;
    s->reauthorize = 0;
    if (!path_step(s, LAYER_DD, out) || !path_send(s, out)) {
        path_dropped(s);
        return;
    }
    lane_enter(s->lane);
    path_passed(s);
    lane_leave(s->lane);
}

/* Sent to a group that one of the host's own is a member of: a copy comes back (ORD-21). It is not in the
 * capture, so its fate is nobody's. */
static void group_copy(const struct scene *s)
{
    struct host_outcome unused = {0};
    struct scene copy = *s;

    copy.loopback = copy.group = true;
    copy.endpoint = NULL;
    copy.flow = NULL;
    copy.flow_id = 0;
    copy.metadata_flags = copy.flags = copy.reauthorize = 0;
    path_scene(&copy, s->packet, true);
    walk_copy(&copy);
    if (ale_receiver(&copy, 0) != NULL)
        paths_in(&copy, &unused);
}

static void maybe_group_copy(const struct scene *s, const struct host_outcome *out)
{
    UINT8 type;

    if (out->fate != HOST_PASSED || s->loopback)
        return;
    type = host_address_type(s->host, s->version, &s->remote);
    if (type == NlatMulticast || type == NlatBroadcast)
        group_copy(s);
}

void path_datagram_injected(struct scene *s, struct ale_view *v, struct host_outcome *out)
{
    datagram_out(s, v, out);
    maybe_group_copy(s, out);
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
    if (v.tcp) {
        path_tcp_out(s, &v, out);
    } else {
        datagram_out(s, &v, out);
        maybe_group_copy(s, out);
    }
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

static void fragment_out(struct scene *s, struct host_outcome *out)
{
    static const enum memory_kind kinds[] = {MEMORY_FRAGMENT_PASSED, MEMORY_FRAGMENT_BLOCKED,
                                             MEMORY_FRAGMENT_UNSENT};
    enum memory_kind kind = MEMORY_FRAGMENT_PASSED;
    struct memory *m = s->lane->memory;
    struct host_flow_key key;
    bool known = false;
    unsigned noted;
    UINT64 filter_id = 0;
    UINT16 layer_id = ENGINE_LAYER_COUNT;

    fragment_key(s, &key);
    lane_enter(s->lane);
    noted = memory_kinds(m, &key, s->time_ns);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds) && !known; i++) {
        kind = kinds[i];
        known = (noted & MEMORY_BIT(kind)) != 0;
    }
    if (known && s->packet->fragment_offset == 0) { /* the identification is used again */
        memory_drop(m, &key, MEMORY_BIT(kind));
        known = false;
    }
    if (known && kind == MEMORY_FRAGMENT_BLOCKED)
        memory_block(m, &key, &layer_id, &filter_id);
    lane_leave(s->lane);
    if (known) {
        if (kind == MEMORY_FRAGMENT_BLOCKED) {
            out->fate = HOST_BLOCKED;
            out->layer = engine_layer_by_id(layer_id);
            out->filter_id = filter_id;
            out->module = FWPS_DISCARD_MODULE_GENERAL;
            out->reason = FWPS_DISCARD_FIREWALL_POLICY;
        } else if (kind == MEMORY_FRAGMENT_UNSENT) {
            (void)path_consequence(out, HOST_NOTE_REFUSED_FLOW);
        }
        return;
    }
    transport_out(s, out);
    kind = out->fate == HOST_PASSED        ? MEMORY_FRAGMENT_PASSED
           : out->fate == HOST_CONSEQUENCE ? MEMORY_FRAGMENT_UNSENT
                                           : MEMORY_FRAGMENT_BLOCKED;
    lane_enter(s->lane);
    if (kind == MEMORY_FRAGMENT_BLOCKED)
        memory_put_block(m, &key, s->time_ns, s->time_ns + FRAGMENT_NS,
                         out->layer != NULL ? out->layer->id : ENGINE_LAYER_COUNT, out->filter_id);
    else
        memory_put(m, &key, kind, s->time_ns, s->time_ns + FRAGMENT_NS);
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
