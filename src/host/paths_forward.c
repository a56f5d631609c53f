/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paths_forward: packets that pass through (ORD-14, ORD-16): FW once for each packet or fragment, II before
 * and OI after it if the knob says so. With fragment grouping on, a datagram's fragments are classified once
 * more as a group when the last of them is there, and wait for that (group.c). A capture of both sides shows
 * a packet twice, and both frames walk: what is one packet on both sides cannot be told for sure.
 */
#include "host/paths.h"

void paths_forward(struct scene *s, struct host_outcome *out)
{
    const struct wire_packet *p = s->packet;
    const struct host_knobs *knobs = &s->host->config.knobs;

    out->forwarded = true;
    s->next_hop = host_route(s->host, s->version, &p->destination);
    if (p->reached < WIRE_NETWORK) {
        if (p->fault != WIRE_OK)
            path_discard_fault(s, (enum wire_fault)p->fault, out);
        else
            out->note = HOST_NOTE_CUT;
        return;
    }
    if (knobs->forward_ip_layers && !path_receive(s, out))
        return;
    if (path_inbound(s) && p->ttl <= 1) {
        path_discard(s, LAYER_FW, FWPS_DISCARD_MODULE_NETWORK, IpDiscardHopLimitExceeded, out);
        return;
    }
    if (!path_step(s, LAYER_FW, out))
        return;
    if (p->fragment && p->fault == WIRE_OK && s->lane->groups != NULL && !group_forward(s, out))
        return;
    if (knobs->forward_ip_layers) {
        s->packet_direction = FWP_DIRECTION_OUTBOUND;
        (void)path_send_ip(s, out);
    }
}
