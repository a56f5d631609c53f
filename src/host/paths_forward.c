/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paths_forward: packets that pass through (ORD-14, ORD-16): FW once for each packet or fragment, II before
 * and OI after it if the knob says so. With fragment grouping on, a datagram's fragments are classified once
 * more as a group when the last of them is there, and wait for that (group.c). A capture of both sides shows
 * a packet twice, and both frames walk: what is one packet on both sides cannot be told for sure. So each frame
 * meets the MAC layers of the adapter that it was captured at, before FW or after it.
 */
#include "host/paths.h"

void paths_forward(struct scene *s, struct host_outcome *out)
{
    const struct wire_packet *p = s->packet;
    const struct host_knobs *knobs = &s->host->config.knobs;
    const bool in = path_inbound(s);

    out->forwarded = true;
    s->next_hop = host_route(s->host, s->version, &p->destination);
    if (in && !path_receive_link(s, out))
        return;
    if (p->reached < WIRE_NETWORK) {
        if (p->fault != WIRE_OK)
            path_discard_fault(s, (enum wire_fault)p->fault, out);
        else
            out->note = HOST_NOTE_CUT;
        return;
    }
    if (knobs->forward_ip_layers && !path_step(s, LAYER_II, out))
        return;
    if (in && p->ttl <= 1) {
        path_discard(s, LAYER_FW, FWPS_DISCARD_MODULE_NETWORK, IpDiscardHopLimitExceeded, out);
        return;
    }
    if (!path_step(s, LAYER_FW, out))
        return;
    if (p->fragment && p->fault == WIRE_OK && s->lane->groups != NULL && !group_forward(s, out))
        return;
    if (knobs->forward_ip_layers) {
        s->packet_direction = FWP_DIRECTION_OUTBOUND;
        if (!path_step(s, LAYER_OI, out))
            return;
    }
    if (!in)
        (void)path_send_link(s, out);
}
