/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transport: TCP (RFC 9293), UDP (RFC 768), ICMP and ICMPv6 headers. Every other protocol is payload from its
 * first byte: it counts as reached, with a header of no size and no ports.
 *
 * A fragment with an offset has no transport header: what it carries is its data. Of a first fragment only
 * the header must be there: lengths speak of the whole datagram. An IPv4 first fragment that is too short for
 * it is no fault (the header is whole after reassembly); an IPv6 one is (RFC 7112).
 */
#include "wire/parse.h"

#define ICMP_ECHO_REPLY   0
#define ICMP_ECHO         8
#define ICMPV6_ECHO       128
#define ICMPV6_ECHO_REPLY 129

static bool more_to_come(const struct wire_packet *p)
{
    return (p->ip_flags & WIRE_IP_MORE_FRAGMENTS) != 0;
}

/* A header of n bytes is not all there. */
static void header_missing(const struct cursor *c, struct wire_packet *p, uint32_t n, enum wire_fault fault)
{
    if (cursor_sent(c, n))
        p->cut = true;
    else if (!more_to_come(p))
        wire_wrong(p, fault, c->at);
    else if (p->version == 6)
        wire_wrong(p, WIRE_FAULT_FIRST_FRAGMENT, c->at);
}

/* The header is sound: `size` bytes, then `length` bytes of data. */
static void transport_done(struct cursor *c, struct wire_packet *p, uint32_t size, uint32_t length)
{
    p->transport_at = c->at;
    p->transport_header_size = (uint16_t)size;
    cursor_skip(c, size);
    p->data_at = c->at;
    p->data_length = length;
    p->reached = WIRE_TRANSPORT;
}

static bool options_sound(const uint8_t *h, uint32_t size, uint32_t *where)
{
    uint32_t word;

    memcpy(&word, h + 20, 4);
    if (size == 32 && memcmp(&word, "\1\1\10\12", 4) == 0) /* a time stamp alone: nearly all */
        return true;
    for (uint32_t at = 20; at < size;) {
        if (h[at] == 0)
            return true;
        if (h[at] == 1) {
            at++;
            continue;
        }
        if (at + 1 >= size || h[at + 1] < 2 || h[at + 1] > size - at) {
            *where = at;
            return false;
        }
        at += h[at + 1];
    }
    return true;
}

static void parse_tcp(struct cursor *c, struct wire_packet *p)
{
    const uint8_t *h = cursor_peek(c, 20);
    uint32_t size, wrong_at = 0;

    if (h == NULL) {
        header_missing(c, p, 20, WIRE_FAULT_TRANSPORT_SHORT);
        return;
    }
    size = (h[12] >> 4) * 4u;
    p->source_port = wire_get16(h);
    p->destination_port = wire_get16(h + 2);
    p->tcp_seq = wire_get32(h + 4);
    p->tcp_ack = wire_get32(h + 8);
    p->tcp_flags = h[13];
    p->tcp_window = wire_get16(h + 14);
    if (size < 20) {
        wire_wrong(p, WIRE_FAULT_TCP_OFFSET, c->at + 12);
        return;
    }
    if (!cursor_sent(c, size)) {
        header_missing(c, p, size, WIRE_FAULT_TCP_OFFSET);
        if (p->fault == WIRE_FAULT_TCP_OFFSET)
            p->fault_at = c->at + 12;
        return;
    }
    if (size > 20) {
        h = cursor_peek(c, size);
        if (h == NULL) { /* options are cut off: all but them is known */
            p->cut = true;
        } else if (!options_sound(h, size, &wrong_at)) {
            wire_wrong(p, WIRE_FAULT_TCP_OPTION, c->at + wrong_at);
            return;
        }
    }
    transport_done(c, p, size, c->length - c->at - size);
}

static void parse_udp(struct cursor *c, struct wire_packet *p)
{
    const uint8_t *h = cursor_peek(c, 8);
    uint32_t there = c->length - c->at, said;

    if (h == NULL) {
        header_missing(c, p, 8, WIRE_FAULT_TRANSPORT_SHORT);
        return;
    }
    p->source_port = wire_get16(h);
    p->destination_port = wire_get16(h + 2);
    said = wire_get16(h + 4);
    if (said < 8 || (said > there && !more_to_come(p))) {
        wire_wrong(p, WIRE_FAULT_UDP_LENGTH, c->at + 4);
        return;
    }
    transport_done(c, p, 8, (said < there ? said : there) - 8);
}

static void parse_icmp(struct cursor *c, struct wire_packet *p)
{
    uint32_t size = cursor_sent(c, 8) ? 8 : 4;
    const uint8_t *h = cursor_peek(c, size);
    bool echo;

    if (h == NULL) {
        header_missing(c, p, size, WIRE_FAULT_TRANSPORT_SHORT);
        return;
    }
    p->icmp_type = h[0];
    p->icmp_code = h[1];
    echo = p->version == 4 ? h[0] == ICMP_ECHO || h[0] == ICMP_ECHO_REPLY
                           : h[0] == ICMPV6_ECHO || h[0] == ICMPV6_ECHO_REPLY;
    if (echo && size < 8) {
        header_missing(c, p, 8, WIRE_FAULT_TRANSPORT_SHORT);
        return;
    }
    if (echo) {
        p->icmp_id = wire_get16(h + 4);
        p->icmp_sequence = wire_get16(h + 6);
    }
    transport_done(c, p, size, c->length - c->at - size);
}

/* As much of a quoted header as is there: the ports are enough. */
static void parse_quoted(struct cursor *c, struct wire_packet *p)
{
    uint32_t there = c->captured - c->at, header = 0;
    const uint8_t *h = cursor_peek(c, 4);
    bool ports = p->protocol == WIRE_PROTOCOL_TCP || p->protocol == WIRE_PROTOCOL_UDP;
    bool icmp = p->protocol == (p->version == 4 ? WIRE_PROTOCOL_ICMP : WIRE_PROTOCOL_ICMPV6);

    if (ports || icmp) {
        if (h == NULL) {
            p->cut = true;
            return;
        }
        header = 8;
        if (p->protocol == WIRE_PROTOCOL_TCP) {
            header = 20;
            if (there >= 8)
                p->tcp_seq = wire_get32(h + 4);
            if (there >= 20) {
                p->tcp_ack = wire_get32(h + 8);
                p->tcp_flags = h[13];
                p->tcp_window = wire_get16(h + 14);
                if (h[12] >> 4 > 5)
                    header = (h[12] >> 4) * 4u;
            }
        }
        if (ports) {
            p->source_port = wire_get16(h);
            p->destination_port = wire_get16(h + 2);
        } else {
            bool echo = p->version == 4 ? h[0] == ICMP_ECHO || h[0] == ICMP_ECHO_REPLY
                                        : h[0] == ICMPV6_ECHO || h[0] == ICMPV6_ECHO_REPLY;

            p->icmp_type = h[0];
            p->icmp_code = h[1];
            if (echo && there >= 8) {
                p->icmp_id = wire_get16(h + 4);
                p->icmp_sequence = wire_get16(h + 6);
            }
        }
        p->cut = there < header;
    }
    transport_done(c, p, header, there > header ? there - header : 0);
}

void transport_parse(struct cursor *c, struct wire_packet *p, enum parse_as as)
{
    if (p->fragment_offset != 0) {
        p->data_at = c->at;
        p->data_length = c->length - c->at;
        return;
    }
    if (as == PARSE_QUOTE) {
        parse_quoted(c, p);
        return;
    }
    if (p->protocol == WIRE_PROTOCOL_TCP)
        parse_tcp(c, p);
    else if (p->protocol == WIRE_PROTOCOL_UDP)
        parse_udp(c, p);
    else if (p->protocol == (p->version == 4 ? WIRE_PROTOCOL_ICMP : WIRE_PROTOCOL_ICMPV6))
        parse_icmp(c, p);
    else
        transport_done(c, p, 0, c->length - c->at);
}
