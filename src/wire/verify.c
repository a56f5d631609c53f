/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify: the checksums of TCP, UDP, ICMP and ICMPv6.
 *
 * Asked apart from parsing, because it reads all of the packet. Two kinds of packet have no right checksum
 * in a capture and are not wrong: those cut off; those that the adapter will still finish, where the field
 * holds the sum of the pseudo header alone (with the length, or without it where the adapter will split the
 * segment, as where IP's own length is 0). On a source route, or with a home address, the pseudo header's
 * addresses are not those of the IP header.
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

/* The addresses of the pseudo header. */
struct ends {
    const uint8_t *source, *destination;
    bool known;
};

/* An IPv4 source route that is not at its end hides the last destination in its last place. */
static void ends_ip4(const struct wire_packet *p, const uint8_t *ip, struct ends *e)
{
    e->source = ip + 12;
    e->destination = ip + 16;
    for (uint32_t at = 20; at + 2 < p->ip_header_size && ip[at] != 0; at += ip[at] == 1 ? 1u : ip[at + 1]) {
        if ((ip[at] == 131 || ip[at] == 137) && ip[at + 2] <= ip[at + 1]) {
            if (ip[at + 1] >= 7)
                e->destination = ip + at + ip[at + 1] - 4;
            else
                e->known = false;
        }
    }
}

/* A home address among destination options is the source (RFC 6275, 9.3.1). The options are sound. */
static void find_home_address(const uint8_t *header, uint32_t size, struct ends *e)
{
    for (uint32_t i = 2; i < size; i += header[i] == 0 ? 1u : 2u + header[i + 1]) {
        if (header[i] == 0xc9 && header[i + 1] == 16)
            e->source = header + i + 2;
    }
}

/* A routing header with segments left hides the last destination: types 0 and 2 have it last, segment routing
 * (4) first; of others it is not known. */
static void find_last_segment(const uint8_t *header, uint32_t size, struct ends *e)
{
    if (header[3] == 0)
        return;
    if ((header[2] == 0 || header[2] == 2) && size >= 24)
        e->destination = header + 8 + (size - 24) / 16 * 16;
    else if (header[2] == 4 && size >= 24)
        e->destination = header + 8;
    else
        e->known = false;
}

static void ends_ip6(const struct wire_packet *p, const uint8_t *ip, struct ends *e)
{
    e->source = ip + 8;
    e->destination = ip + 24;
    for (uint32_t at = 40, type = ip[6], size; at < p->ip_header_size; type = ip[at], at += size) {
        size = type == 44 ? 8 : (ip[at + 1] + 1u) * 8;
        if (type == 60)
            find_home_address(ip + at, size, e);
        else if (type == 43)
            find_last_segment(ip + at, size, e);
    }
}

static uint64_t pseudo_sum(const struct wire_packet *p, const struct ends *e, uint32_t length)
{
    uint32_t size = p->version == 4 ? 4 : 16;

    return wire_sum(e->destination, size, wire_sum(e->source, size, summand(length) + summand(p->protocol)));
}

/* Of TCP's and UDP's in whole packets: where the field is in the frame (0: there is none to be known), how many bytes
 * count, and the pseudo header's sum. */
static uint32_t find_field(const struct wire_packet *p, uint32_t *size, uint64_t *pseudo)
{
    const bool tcp = p->protocol == WIRE_PROTOCOL_TCP, udp = p->protocol == WIRE_PROTOCOL_UDP;
    struct ends e = {.known = true};

    if (p->reached != WIRE_TRANSPORT || p->fragment || (!tcp && !udp))
        return 0;
    *size = udp ? 8 + p->data_length : p->ip_length - p->ip_header_size;
    if (p->captured - p->transport_at < *size)
        return 0;
    if (p->version == 4)
        ends_ip4(p, p->frame + p->ip_at, &e);
    else
        ends_ip6(p, p->frame + p->ip_at, &e);
    *pseudo = pseudo_sum(p, &e, *size);
    return e.known ? p->transport_at + (tcp ? 16 : 6) : 0;
}

static void put_field(uint8_t *field, uint16_t value)
{
    field[0] = (uint8_t)(value >> 8);
    field[1] = (uint8_t)value;
}

bool wire_sum_leave(const struct wire_packet *p, uint8_t *frame)
{
    uint64_t pseudo;
    uint32_t size, at = find_field(p, &size, &pseudo);

    if (at == 0 || (p->protocol == WIRE_PROTOCOL_UDP && wire_get16(frame + at) == 0))
        return false;
    put_field(frame + at, (uint16_t)~wire_fold(pseudo));
    return true;
}

bool wire_sum_finish(const struct wire_packet *p, uint8_t *frame)
{
    uint64_t pseudo;
    uint32_t size, at = find_field(p, &size, &pseudo);
    uint16_t sum;

    if (at == 0 || wire_get16(frame + at) + wire_fold(pseudo) != 0xffff)
        return false;
    put_field(frame + at, 0);
    sum = wire_fold(wire_sum(frame + p->transport_at, size, pseudo));
    put_field(frame + at, sum == 0 && p->protocol == WIRE_PROTOCOL_UDP ? 0xffff : sum);
    return true;
}

bool wire_verify(const struct wire_packet *p)
{
    uint32_t size = p->ip_length - p->ip_header_size, at;
    const uint8_t *h, *ip = p->frame + p->ip_at;
    struct ends e = {.known = true};
    uint64_t pseudo;
    uint16_t field;

    if (p->reached != WIRE_TRANSPORT || (p->ip_flags & WIRE_IP_MORE_FRAGMENTS) != 0)
        return true;
    if (wire_get16(ip + (p->version == 4 ? 2 : 4)) == 0)
        return true;
    if (p->protocol == WIRE_PROTOCOL_TCP)
        at = 16;
    else if (p->protocol == WIRE_PROTOCOL_UDP)
        at = 6;
    else if (p->protocol == (p->version == 4 ? WIRE_PROTOCOL_ICMP : WIRE_PROTOCOL_ICMPV6))
        at = 2;
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
    if (p->protocol == WIRE_PROTOCOL_ICMP)
        return wire_fold(wire_sum(h, size, 0)) == 0;

    if (p->version == 4)
        ends_ip4(p, ip, &e);
    else
        ends_ip6(p, ip, &e);
    if (!e.known)
        return true;
    pseudo = pseudo_sum(p, &e, size);
    return wire_fold(wire_sum(h, size, pseudo)) == 0 || field + wire_fold(pseudo) == 0xffff ||
           field + wire_fold(pseudo_sum(p, &e, 0)) == 0xffff;
}
