/* SPDX-License-Identifier: Apache-2.0 */
/*
 * icmp: errors, and the packets that they quote (RFC 792, RFC 4443).
 *
 * A quotation ends where the ICMP message does, long before the lengths in it say, and its header is as the
 * last router left it; so it is parsed leniently (PARSE_QUOTE).
 */
#include "wire/parse.h"

bool wire_is_icmp_error(const struct wire_packet *p)
{
    if (p->reached != WIRE_TRANSPORT)
        return false;
    if (p->version == 6)
        return p->protocol == WIRE_PROTOCOL_ICMPV6 && p->icmp_type < 128;
    if (p->protocol != WIRE_PROTOCOL_ICMP)
        return false;
    switch (p->icmp_type) {
    case 3:  /* destination unreachable */
    case 4:  /* source quench */
    case 5:  /* redirect */
    case 11: /* time exceeded */
    case 12: /* parameter problem */
        return true;
    default:
        return false;
    }
}

bool wire_icmp_quote(const struct wire_packet *error, struct wire_packet *out)
{
    struct cursor c;
    uint32_t there;

    if (!wire_is_icmp_error(error) || error->transport_header_size < 8) {
        wire_begin(&c, WIRE_LINK_RAW, error->frame, 0, 0, out);
        return false;
    }
    there = error->captured - error->data_at;
    if (there > error->data_length)
        there = error->data_length;
    wire_begin(&c, WIRE_LINK_RAW, error->frame + error->data_at, there, error->data_length, out);
    out->reached = WIRE_LINK;
    ip_parse(&c, out, error->version, PARSE_QUOTE);
    return out->reached >= WIRE_NETWORK;
}
