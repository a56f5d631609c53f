/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paths_in: an inbound packet's way.
 *
 *   MAC, II -> [reassembly] -> IT (ALE_REQ if ALE has a word to say) -> RA or AC -> FE -> DD    (ORD-10, 11)
 *                                                                    -> paths_tcp.c             (ORD-03..05)
 *                                                  ICMP errors       -> IIE                     (ORD-13)
 *
 * Fragments (ORD-15): each is at II twice, as packet and as fragment; the datagram once more when it is
 * whole, and only then goes on. What happens to it from then on is the fate of the frame that completed it;
 * the frames before it were received and passed.
 */
#include "host/paths.h"

/* ---- multicast and broadcast (ORD-21) */

/* One II and IT; RA and DD for each endpoint that receives it. Somebody who gets it is enough for it to pass.
 */
static void group_in(struct scene *s, struct host_outcome *out)
{
    struct host_outcome each = *out, first = *out;
    bool received = false, asked = false;
    struct scene one;
    struct ale_view v;
    unsigned n;

    for (n = 0; (s->endpoint = ale_receiver(s, n)) != NULL && !asked; n++) {
        one = *s;
        lane_enter(s->lane);
        ale_find(&one, &v);
        lane_leave(s->lane);
        asked = v.need != ALE_NEED_NOTHING;
    }
    s->endpoint = NULL;
    if (asked)
        s->metadata_flags |= FWPS_METADATA_FIELD_ALE_CLASSIFY_REQUIRED;
    if (!path_step(s, LAYER_IT, out))
        return;
    s->metadata_flags &= ~(UINT32)FWPS_METADATA_FIELD_ALE_CLASSIFY_REQUIRED;
    for (n = 0;; n++) {
        one = *s;
        one.endpoint = ale_receiver(s, n);
        if (one.endpoint == NULL)
            break;
        each = *out;
        if (path_find(&one, &v, &each) && (v.need == ALE_NEED_NOTHING || path_authorize(&one, &v, &each)) &&
            path_step(&one, LAYER_DD, &each)) {
            path_went(&one);
            received = true;
        }
        if (n == 0)
            first = each;
        else if (received && first.fate != HOST_PASSED)
            first = each;
    }
    *out = first;
}

/* ---- datagrams */

void path_datagram_in(struct scene *s, struct ale_view *v, struct host_outcome *out)
{
    if (!path_admit(s, v, out))
        return;
    if (!path_step(s, LAYER_DD, out)) {
        path_dropped(s);
        return;
    }
    path_went(s);
}

/* ---- transport */

/* A whole packet: a frame's, or a datagram that was put together. */
static void transport_in(struct scene *s, struct host_outcome *out)
{
    const struct wire_packet *p = s->packet;
    struct ale_view v = {0};

    if (p->reached != WIRE_TRANSPORT) { /* cut, or wrong */
        if (!path_receive(s, out))
            return;
        if (p->fault != WIRE_OK)
            path_discard_fault(s, (enum wire_fault)p->fault, out);
        else
            out->note = HOST_NOTE_CUT;
        return;
    }
    if (wire_is_icmp_error(p)) {
        path_icmp_error_in(s, out);
        return;
    }
    if (__builtin_expect(s->host->config.knobs.verify_checksums, 0) &&
        !s->host->config.knobs.trust_checksums && !wire_verify(p)) {
        if (path_receive(s, out))
            path_discard_fault(s, WIRE_FAULT_CHECKSUM, out);
        return;
    }
    if (__builtin_expect(s->group, 0)) {
        if (p->protocol == WIRE_PROTOCOL_TCP) {
            if (path_receive(s, out))
                path_discard(s, LAYER_IT, FWPS_DISCARD_MODULE_TRANSPORT, InetDiscardDestinationMulticast,
                             out);
            return;
        }
        if (ale_receiver(s, 0) != NULL) {
            if (path_receive(s, out))
                group_in(s, out);
            return;
        }
    }
    if (!path_find(s, &v, out))
        return;
    if (!path_receive(s, out)) {
        path_dropped(s);
        return;
    }
    if (v.no_endpoint)
        path_discard_nobody(s, out);
    else if (v.tcp)
        path_tcp_in(s, &v, out);
    else
        path_datagram_in(s, &v, out);
    if (p->cut && out->fate == HOST_PASSED)
        out->note = HOST_NOTE_CUT;
}

/* ---- fragments */

static void fragment_in(struct scene *s, struct host_outcome *out)
{
    enum fragment_result r;
    struct wire_packet whole;
    struct scene rest = *s;
    const uint8_t *bytes;
    uint32_t size, length;

    if (!path_receive(s, out))
        return;
    s->flags |= FWP_CONDITION_FLAG_IS_FRAGMENT;
    if (!path_step(s, LAYER_II, out))
        return;
    lane_enter(s->lane);
    r = fragments_add(s->lane->fragments, s->packet, s->interface != NULL ? s->interface->desc.index : 0,
                      s->time_ns, &bytes, &size);
    length = fragments_length(s->lane->fragments); /* more than size if the capture has cut a fragment off */
    lane_leave(s->lane);
    switch (r) {
    case FRAGMENT_HELD:
    case FRAGMENT_NO_ROOM: /* our limit, not the stack's */
        return;
    case FRAGMENT_OVERLAP:
        path_discard(s, LAYER_II, FWPS_DISCARD_MODULE_NETWORK, IpDiscardMalformedHeader, out);
        return;
    case FRAGMENT_BAD:
        path_discard_fault(s, WIRE_FAULT_FRAGMENT, out);
        return;
    case FRAGMENT_COMPLETE:
        break;
    }
    if (s->host->config.observer.reassembled != NULL) {
        const bool stayed = lane_rest(s->lane);

        s->host->config.observer.reassembled(s->host->config.observer.ctx, s->frame, bytes, size);
        lane_back(s->lane, stayed);
    }
    wire_parse_ip(bytes, size, length, &whole);
    path_scene(&rest, &whole, true);
    rest.flags |= FWP_CONDITION_FLAG_IS_REASSEMBLED;
    if (whole.reached < WIRE_NETWORK)
        path_discard_fault(&rest, whole.fault != WIRE_OK ? (enum wire_fault)whole.fault : WIRE_FAULT_IP_SHORT,
                           out);
    else
        transport_in(&rest, out);
}

/* ---- the whole way */

/* An address of another interface (ORD-14, ALE-28). */
static bool at_home(struct scene *s, struct host_outcome *out)
{
    bool passes;

    if (s->home == NULL || s->home == s->interface || s->interface == NULL || s->loopback)
        return true;
    if (!s->interface->desc.weak_host_receive) {
        if (path_receive(s, out))
            path_discard(s, LAYER_II, FWPS_DISCARD_MODULE_NETWORK, IpDiscardNotLocallyDestined, out);
        return false;
    }
    s->flags |= FWP_CONDITION_FLAG_IS_INBOUND_PASS_THRU;
    s->metadata_flags |= FWPS_METADATA_FIELD_FORWARD_LAYER_INBOUND_PASS_THRU;
    s->next_hop = s->home;
    passes = path_step(s, LAYER_FW, out);
    s->next_hop = NULL;
    s->flags &= ~(UINT32)FWP_CONDITION_FLAG_IS_INBOUND_PASS_THRU;
    s->metadata_flags &= ~(UINT32)FWPS_METADATA_FIELD_FORWARD_LAYER_INBOUND_PASS_THRU;
    return passes;
}

void paths_in(struct scene *s, struct host_outcome *out)
{
    const struct wire_packet *p = s->packet;

    out->inbound = true;
    if (p->ip_checksum_wrong && !s->loopback && !s->host->config.knobs.trust_checksums) {
        s->stopped_at = p->ip_at + 10;
        if (path_receive_link(s, out)) /* the adapter's layers see every frame (OTH-04) */
            path_discard_fault(s, WIRE_FAULT_IP_CHECKSUM, out);
        return;
    }
    if (p->reached < WIRE_NETWORK) {
        if (!path_receive_link(s, out))
            return;
        if (p->fault != WIRE_OK)
            path_discard_fault(s, (enum wire_fault)p->fault, out);
        else
            out->note = HOST_NOTE_CUT;
        return;
    }
    if (!at_home(s, out))
        return;
    if (p->fault == WIRE_FAULT_FRAGMENT || p->fault == WIRE_FAULT_FIRST_FRAGMENT) {
        if (path_receive(s, out))
            path_discard_fault(s, (enum wire_fault)p->fault, out);
        return;
    }
    if (p->fragment)
        fragment_in(s, out);
    else
        transport_in(s, out);
}
