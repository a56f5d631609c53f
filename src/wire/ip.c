/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ip: which version; the IPv4 header (RFC 791).
 *
 * Checks in the order of RFC 1812, 5.2.2, each of which ends the parsing: header length, total
 * length, options, the fragment's place. Addresses and protocol are filled in before, so that a discard can
 * be told with them.
 *
 * Total length 0 is what a capture sees of a segment that the adapter will split later: the packet is as long
 * as the frame. A wrong checksum ends nothing but is said (ip_checksum_wrong): what a host sends is
 * captured before the adapter has filled it in, so only who knows the direction can judge.
 */
#include "wire/parse.h"

static void parse_ip4(struct cursor *c, struct wire_packet *p, enum parse_as as);

void ip_parse(struct cursor *c, struct wire_packet *p, unsigned version, enum parse_as as)
{
    const uint8_t *h = cursor_peek(c, 1);
    unsigned found;

    if (h == NULL) {
        wire_ended(c, p, 1, WIRE_FAULT_IP_SHORT);
        return;
    }
    found = h[0] >> 4;
    if ((version != 0 && found != version) || (found != 4 && found != 6)) {
        wire_wrong(p, WIRE_FAULT_IP_VERSION, c->at);
        return;
    }
    if (found == 4)
        parse_ip4(c, p, as);
    else
        ip6_parse(c, p, as);
}

/* Whether the options are sound; else where not. */
static bool options_sound(const uint8_t *h, uint32_t size, uint32_t *where)
{
    for (uint32_t at = 20; at < size;) {
        if (h[at] == 0) /* the end of them */
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

static bool checksum_right(const uint8_t *h, uint32_t size)
{
    return size == 20 ? ip4_header_right(h) : wire_fold(wire_sum(h, size, 0)) == 0;
}

static void parse_ip4(struct cursor *c, struct wire_packet *p, enum parse_as as)
{
    const uint8_t *h = cursor_peek(c, 20);
    uint32_t at = c->at, size, total, place, wrong_at;

    if (h == NULL) {
        wire_ended(c, p, 20, WIRE_FAULT_IP_SHORT);
        return;
    }
    size = (h[0] & 15u) * 4;
    total = wire_get16(h + 2);
    place = wire_get16(h + 6);
    p->version = 4;
    p->traffic_class = h[1];
    p->ttl = h[8];
    p->protocol = h[9];
    p->source.v4 = wire_get32(h + 12);
    p->destination.v4 = wire_get32(h + 16);

    if (size < 20 || !cursor_sent(c, size)) {
        wire_wrong(p, WIRE_FAULT_IP_HEADER_LENGTH, at);
        return;
    }
    h = cursor_peek(c, size);
    if (h == NULL) {
        p->cut = true;
        return;
    }
    p->ip_checksum_wrong = as == PARSE_FRAME && !checksum_right(h, size);
    if (total == 0)
        total = c->length - at;
    if (total < size || (as == PARSE_FRAME && !cursor_sent(c, total))) {
        wire_wrong(p, WIRE_FAULT_IP_TOTAL_LENGTH, at + 2);
        return;
    }
    if (size > 20 && !options_sound(h, size, &wrong_at)) {
        wire_wrong(p, WIRE_FAULT_IP_OPTION, at + wrong_at);
        return;
    }
    if (cursor_sent(c, total))
        cursor_narrow(c, total);

    p->ip_length = total;
    p->ip_header_size = (uint16_t)size;
    p->fragment_id = wire_get16(h + 4);
    p->ip_flags = (uint8_t)((place & 0x2000 ? WIRE_IP_MORE_FRAGMENTS : 0) |
                            (place & 0x4000 ? WIRE_IP_DONT_FRAGMENT : 0));
    p->fragment_offset = (uint16_t)((place & 0x1fff) * 8);
    p->fragment = (place & 0x3fff) != 0;
    if (p->fragment && as == PARSE_FRAME &&
        (((place & 0x2000) != 0 && (total - size) % 8 != 0) || p->fragment_offset + total > 65535)) {
        wire_wrong(p, WIRE_FAULT_FRAGMENT, at + 6);
        return;
    }
    p->reached = WIRE_NETWORK;
    cursor_skip(c, size);
    transport_parse(c, p, as);
}
