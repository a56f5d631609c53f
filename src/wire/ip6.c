/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ip6: the IPv6 header and the extension headers that a receiver steps over (RFC 8200).
 *
 * Hop-by-hop options (only as the first), routing, destination options and one fragment header; what else
 * there is (AH, ESP, mobility, HIP, shim6) is payload. Options that nobody here knows are obeyed: their two
 * highest bits say whether the packet may live. Known are padding, the jumbo payload (RFC 2675: refused by
 * name), and the home address (RFC 6275: Windows is a correspondent node). In a first fragment all headers
 * must be there (RFC 7112).
 *
 * Payload length 0 with TCP behind it is what a capture sees of a segment that the adapter will split later,
 * as with IPv4.
 */
#include "wire/parse.h"

enum {
    HEADER = 40,
    HOP_BY_HOP = 0,
    ROUTING = 43,
    FRAGMENT = 44,
    DESTINATION_OPTIONS = 60,

    OPTION_PAD1 = 0x00,
    OPTION_JUMBO = 0xc2,
    OPTION_HOME_ADDRESS = 0xc9,
    OPTION_DISCARD = 0xc0, /* any of these bits: discard if not known */
};

/* Walks the options of a header of `size` bytes; false: a fault, told. */
static bool options_sound(struct wire_packet *p, const uint8_t *h, uint32_t size, uint32_t at,
                          bool hop_by_hop, uint32_t payload)
{
    for (uint32_t i = 2; i < size;) {
        if (h[i] == OPTION_PAD1) {
            i++;
            continue;
        }
        if (i + 1 >= size || h[i + 1] > size - i - 2) {
            wire_wrong(p, WIRE_FAULT_IP6_OPTION, at + i);
            return false;
        }
        if (hop_by_hop && h[i] == OPTION_JUMBO && payload == 0) {
            wire_wrong(p, WIRE_FAULT_IP6_JUMBOGRAM, at + i);
            return false;
        }
        if ((h[i] & OPTION_DISCARD) != 0 && (hop_by_hop || h[i] != OPTION_HOME_ADDRESS)) {
            wire_wrong(p, WIRE_FAULT_IP6_OPTION, at + i);
            return false;
        }
        i += 2u + h[i + 1];
    }
    return true;
}

/* The fragment header; false: the parsing ends here. */
static bool parse_fragment(struct cursor *c, struct wire_packet *p, const uint8_t *h, bool headers_before,
                           enum parse_as as)
{
    uint32_t place = wire_get16(h + 2), size = c->length - c->at - 8;
    bool more = (place & 1) != 0;

    if (p->fragment) { /* a fragment of a fragment: nobody sends that */
        wire_wrong(p, WIRE_FAULT_IP6_EXTENSION, c->at);
        return false;
    }
    p->fragment = true;
    p->ip6_unfragmented_headers = headers_before;
    p->fragment_header_at = c->at;
    p->fragment_id = wire_get32(h + 4);
    p->fragment_offset = (uint16_t)(place & 0xfff8);
    p->ip_flags = more ? WIRE_IP_MORE_FRAGMENTS : 0;
    if (as == PARSE_FRAME && ((more && size % 8 != 0) || p->fragment_offset + size > 65535)) {
        wire_wrong(p, WIRE_FAULT_FRAGMENT, c->at + 2);
        return false;
    }
    return true;
}

/* Steps over the extension headers; false: the parsing ended within them. The cursor stands behind them. */
static bool parse_extensions(struct cursor *c, struct wire_packet *p, uint32_t payload, enum parse_as as)
{
    uint32_t start = c->at - HEADER;
    bool any = false;

    while (p->protocol == HOP_BY_HOP || p->protocol == ROUTING || p->protocol == FRAGMENT ||
           p->protocol == DESTINATION_OPTIONS) {
        enum wire_fault short_fault =
            p->fragment && p->fragment_offset == 0 && (p->ip_flags & WIRE_IP_MORE_FRAGMENTS) != 0
                ? WIRE_FAULT_FIRST_FRAGMENT
                : WIRE_FAULT_IP6_EXTENSION;
        uint8_t type = p->protocol;
        const uint8_t *h = cursor_peek(c, 8);
        uint32_t size;

        if (type == HOP_BY_HOP && any) {
            wire_wrong(p, WIRE_FAULT_IP6_EXTENSION, c->at);
            return false;
        }
        if (h == NULL) {
            wire_ended(c, p, 8, short_fault);
            return false;
        }
        size = type == FRAGMENT ? 8 : (h[1] + 1u) * 8;
        h = cursor_peek(c, size);
        if (h == NULL) {
            wire_ended(c, p, size, short_fault);
            return false;
        }
        if (type == FRAGMENT) {
            if (!parse_fragment(c, p, h, any, as))
                return false;
        } else if (type != ROUTING && !options_sound(p, h, size, c->at, type == HOP_BY_HOP, payload)) {
            return false;
        }
        any = true;
        p->protocol = h[0];
        cursor_skip(c, size);
        if (c->at - start > UINT16_MAX) { /* more than a header size can say: 65,535 of headers alone */
            wire_wrong(p, WIRE_FAULT_IP6_EXTENSION, c->at - size);
            return false;
        }
        if (type == FRAGMENT && p->fragment_offset != 0)
            break; /* what follows is the middle of something */
    }
    return true;
}

void ip6_parse(struct cursor *c, struct wire_packet *p, enum parse_as as)
{
    const uint8_t *h = cursor_peek(c, HEADER);
    uint32_t at = c->at, payload, said;

    if (h == NULL) {
        wire_ended(c, p, HEADER, WIRE_FAULT_IP_SHORT);
        return;
    }
    said = payload = wire_get16(h + 4);
    p->version = 6;
    p->traffic_class = (uint8_t)(wire_get16(h) >> 4);
    p->protocol = h[6];
    p->ttl = h[7];
    memcpy(p->source.v6, h + 8, 16);
    memcpy(p->destination.v6, h + 24, 16);

    if (said == 0 && p->protocol == WIRE_PROTOCOL_TCP && cursor_sent(c, HEADER + 20))
        payload = c->length - at - HEADER;
    if (as == PARSE_FRAME && !cursor_sent(c, HEADER + payload)) {
        wire_wrong(p, WIRE_FAULT_IP_TOTAL_LENGTH, at + 4);
        return;
    }
    /* Hop-by-hop options with length 0: a jumbogram says how long it is within them. */
    if (cursor_sent(c, HEADER + payload) && (said != 0 || p->protocol != HOP_BY_HOP))
        cursor_narrow(c, HEADER + payload);
    cursor_skip(c, HEADER);
    if (!parse_extensions(c, p, said, as))
        return;
    if (said == 0 && h[6] == HOP_BY_HOP) { /* ... and this does not */
        wire_wrong(p, WIRE_FAULT_IP_TOTAL_LENGTH, at + 4);
        return;
    }
    p->ip_length = HEADER + payload;
    p->ip_header_size = (uint16_t)(c->at - at);
    p->reached = WIRE_NETWORK;
    transport_parse(c, p, as);
}
