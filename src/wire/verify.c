/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify: the checksums of TCP, UDP, ICMP and ICMPv6.
 *
 * Asked apart from parsing, because it reads all of the packet. Three kinds of packet have no right checksum
 * in a capture and are not wrong: those cut off; those that the adapter will still finish, where the field
 * holds the sum of the pseudo header alone (with the length, or without it where the adapter will split the
 * segment, as where IP's own length is 0); those on a source route, whose last destination is not in the
 * header's field.
 */
#include "wire/parse.h"

/* A number of 32 bits as wire_sum() takes it from bytes in network order. */
static uint64_t summand(uint32_t v)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    v = __builtin_bswap32(v);
#endif
    return v;
}

/* The sum of a pseudo header's addresses, length (of the segment) and protocol. */
static uint64_t pseudo_sum(const struct wire_packet *p, uint32_t length)
{
    const uint8_t *ip = p->frame + p->ip_at;
    uint64_t sum = summand(length) + summand(p->protocol);

    return p->version == 4 ? wire_sum(ip + 12, 8, sum) : wire_sum(ip + 8, 32, sum);
}

/* Is the destination in the header one on the way only? */
static bool source_routed(const struct wire_packet *p)
{
    const uint8_t *ip = p->frame + p->ip_at;

    if (p->version == 4) {
        for (uint32_t at = 20; at + 2 < p->ip_header_size && ip[at] != 0;) {
            if ((ip[at] == 131 || ip[at] == 137) && ip[at + 2] <= ip[at + 1])
                return true;
            at += ip[at] == 1 ? 1u : ip[at + 1];
        }
        return false;
    }
    for (uint32_t at = 40, next = ip[6]; at < p->ip_header_size;) {
        if (next == 43 && ip[at + 3] != 0)
            return true;
        next = ip[at];
        at += next == 44 || at + p->ip_at == p->fragment_header_at ? 8 : (ip[at + 1] + 1u) * 8;
    }
    return false;
}

bool wire_verify(const struct wire_packet *p)
{
    uint32_t size = p->ip_length - p->ip_header_size, at;
    const uint8_t *h;
    uint64_t pseudo = 0;
    bool has_pseudo = true;
    uint16_t field;

    if (p->reached != WIRE_TRANSPORT || (p->ip_flags & WIRE_IP_MORE_FRAGMENTS) != 0)
        return true;
    if (wire_get16(p->frame + p->ip_at + (p->version == 4 ? 2 : 4)) == 0)
        return true;
    if (p->protocol == WIRE_PROTOCOL_TCP)
        at = 16;
    else if (p->protocol == WIRE_PROTOCOL_UDP)
        at = 6;
    else if (p->version == 6 && p->protocol == WIRE_PROTOCOL_ICMPV6)
        at = 2;
    else if (p->version == 4 && p->protocol == WIRE_PROTOCOL_ICMP)
        at = 2, has_pseudo = false;
    else
        return true;
    if (p->protocol == WIRE_PROTOCOL_UDP) /* its own length counts; beyond it is no datagram */
        size = 8 + p->data_length;
    if (p->captured - p->transport_at < size)
        return true;
    h = p->frame + p->transport_at;
    field = wire_get16(h + at);
    if (field == 0 && p->protocol == WIRE_PROTOCOL_UDP)
        return p->version == 4;

    if (has_pseudo)
        pseudo = pseudo_sum(p, size);
    if (wire_fold(wire_sum(h, size, pseudo)) == 0)
        return true;
    if (!has_pseudo)
        return false;
    if (field + wire_fold(pseudo) == 0xffff || field + wire_fold(pseudo_sum(p, 0)) == 0xffff)
        return true;
    return p->ip_header_size > (p->version == 4 ? 20 : 40) && source_routed(p);
}
