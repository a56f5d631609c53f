/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a packet's data begins at each layer (PKT-01..09), from the frame's first byte.
 *
 *      MAC header | IP header (+ IPv6 extension headers) | transport header | data
 *      ^            ^                                      ^                  ^
 *      MAC_OUT,     OI, FW, MAC_IN                         II, OT, OIE,       IT, RA, DD, SPK
 *      NATIVE                                              outbound DD ...    inbound
 *
 * Exceptions: ICMP that the stack's own socket receives begins at its ICMP header where others begin at the
 * data; an ICMP error at IIE begins at the quoted packet. The stream layer shows bytes of its own.
 * All offsets are held within what was captured.
 */
#include "host/indicate.h"

static uint32_t at_most(uint32_t offset, uint32_t end)
{
    return offset < end ? offset : end;
}

static uint32_t transport(const struct wire_packet *p)
{
    return p->transport_at != 0 ? p->transport_at : p->ip_at + p->ip_header_size;
}

static bool is_icmp(const struct wire_packet *p)
{
    return p->protocol == (p->version == 6 ? WIRE_PROTOCOL_ICMPV6 : WIRE_PROTOCOL_ICMP);
}

/* Where received data begins: PKT-03. */
static uint32_t received(const struct wire_packet *p)
{
    return is_icmp(p) ? transport(p) : transport(p) + p->transport_header_size;
}

static uint32_t by_direction(const struct scene *s)
{
    return scene_inbound(s) ? received(s->packet) : transport(s->packet);
}

/* ALE-25, PKT-05: an initial connect of TCP has no packet, nor has a completed one of any protocol. */
static uint32_t at_connect(const struct scene *s)
{
    if (s->reauthorize == 0)
        return s->protocol == WIRE_PROTOCOL_TCP ? UINT32_MAX : transport(s->packet);
    if (s->reauthorize & FWP_CONDITION_REAUTHORIZE_REASON_CLASSIFY_COMPLETION)
        return UINT32_MAX;
    return by_direction(s);
}

/* ALE-37: who connected learns of it before his ACK is sent; who accepted, by the ACK. */
static uint32_t at_established(const struct scene *s)
{
    if (s->protocol == WIRE_PROTOCOL_TCP && s->connection_direction == FWP_DIRECTION_OUTBOUND)
        return UINT32_MAX;
    return by_direction(s);
}

static uint32_t unbounded(const struct scene *s, enum host_layer role, bool discard)
{
    const struct wire_packet *p = s->packet;

    switch (role) {
    case LAYER_II:
        return discard ? s->stopped_at : p->ip_at + p->ip_header_size;
    case LAYER_OI:
        return discard ? s->stopped_at : p->ip_at;
    case LAYER_FW:
    case LAYER_MAC_IN:
        return p->ip_at;
    case LAYER_IT:
        return received(p);
    case LAYER_OT:
    case LAYER_OIE:
        return transport(p);
    case LAYER_IIE:
        return transport(p) + p->transport_header_size;
    case LAYER_DD:
    case LAYER_RA:
    case LAYER_SPK:
        return by_direction(s);
    case LAYER_FE:
        return at_established(s);
    case LAYER_AC:
        return at_connect(s);
    case LAYER_MAC_OUT:
    case LAYER_MAC_IN_NATIVE:
    case LAYER_MAC_OUT_NATIVE:
        return p->mac_at != UINT32_MAX ? p->mac_at : 0;
    default: /* RES, LIS, RR, EC, CR, BR; ST is seen to before */
        return UINT32_MAX;
    }
}

uint32_t packet_span(const struct scene *s, enum host_layer role, bool discard, uint32_t *first,
                     uint32_t *end)
{
    uint32_t offset;

    *first = *end = 0;
    if (role == LAYER_ST)
        return s->stream != NULL ? 0 : UINT32_MAX;
    if (s->packet == NULL)
        return UINT32_MAX;
    offset = unbounded(s, role, discard);
    if (offset == UINT32_MAX)
        return UINT32_MAX;
    packet_bounds(s, role, first, end);
    offset = at_most(offset, *end);
    if (*first > offset)
        *first = offset;
    return offset;
}

uint32_t packet_offset(const struct scene *s, enum host_layer role, bool discard)
{
    uint32_t first, end;

    return packet_span(s, role, discard, &first, &end);
}

/* Outbound above the network layer there is no IP header yet (PKT-04). */
void packet_bounds(const struct scene *s, enum host_layer role, uint32_t *first, uint32_t *end)
{
    const struct wire_packet *p = s->packet;
    bool l2 = role >= LAYER_MAC_IN;
    bool headless = role == LAYER_OT || role == LAYER_OIE;

    if (role == LAYER_AC || role == LAYER_RA || role == LAYER_FE || role == LAYER_DD || role == LAYER_SPK)
        headless = !scene_inbound(s);
    *end = l2 ? p->captured : packet_end(p);
    *first = at_most(l2 ? 0 : headless ? transport(p) : p->ip_at, *end);
}
