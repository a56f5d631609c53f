/* SPDX-License-Identifier: Apache-2.0 */
/*
 * split: a packet that is too long for a link, in fragments (RFC 791, 3.2; RFC 8200, 4.5).
 *
 *   IPv4   [header, options | payload]        -> the header before each piece; behind the first one only the options that say
 *                                                that they are to be copied
 *   IPv6   [header, what routers read | rest] -> both before each piece, with a fragment header between; hop-by-hop options
 *                                                and a routing header, with what stands before it, are what routers read
 *
 * All pieces but the last are as long as the link allows, in units of eight bytes. A packet that is itself a fragment is
 * split further by IPv4 alone, as routers do.
 */
#include <string.h>

#include "wire/parse.h"

enum { FIXED = 40, FRAGMENT_HEADER = 8, HOP_BY_HOP = 0, ROUTING = 43, FRAGMENT = 44, OPTIONS = 60 };

static void put16(uint8_t *at, uint32_t v)
{
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
}

/* What stands before each piece of an IPv6 packet; *field: where that says what follows. 0: it makes no sense. */
static uint32_t unfragmentable(const uint8_t *packet, uint32_t size, uint32_t *field)
{
    uint32_t at = FIXED, end = FIXED, says = 6;

    *field = 6;
    for (uint8_t type = packet[6]; type == HOP_BY_HOP || type == ROUTING || type == OPTIONS;) {
        const uint32_t length = at + 2 <= size ? (packet[at + 1] + 1u) * 8 : 0;

        if (length == 0 || length > size - at)
            return 0;
        says = at;
        if (type != OPTIONS) {
            end = at + length;
            *field = says;
        }
        type = packet[at];
        at += length;
    }
    return packet[says] == FRAGMENT ? 0 : end;
}

/* The options that go with every piece, padded; their size. */
static uint32_t copied_options(const uint8_t *header, uint32_t size, uint8_t *out)
{
    uint32_t n = 0;

    for (uint32_t at = 20, length; at < size && header[at] != 0; at += length) {
        length = header[at] == 1 ? 1 : at + 1 < size ? header[at + 1] : 0;
        if (length == 0 || length > size - at || (header[at] != 1 && length < 2))
            break;
        if ((header[at] & 0x80) != 0) {
            memcpy(out + n, header + at, length);
            n += length;
        }
    }
    while (n % 4 != 0)
        out[n++] = 0;
    return n;
}

bool wire_split_begin(struct wire_split *s, const uint8_t *packet, uint32_t size, uint32_t mtu, uint32_t id)
{
    const uint8_t version = size != 0 ? packet[0] >> 4 : 0;
    uint32_t places;

    *s = (struct wire_split){.packet = packet, .size = size, .mtu = mtu, .id = id, .version = version};
    if (version == 4 && size >= 20) {
        s->header = (packet[0] & 15u) * 4;
        places = wire_get16(packet + 6);
        if (s->header < 20 || (places & 0x4000) != 0 || (places & 0x1fff) * 8 + size > 65535 + 60)
            return false;
        if (wire_get16(packet + 4) != 0)
            s->id = wire_get16(packet + 4);
        s->before = (places & 0x1fff) * 8;
        s->more = (places & 0x2000) != 0;
    } else if (version == 6 && size >= FIXED) {
        s->header = unfragmentable(packet, size, &s->field);
    }
    s->at = s->header;
    return s->header != 0 && size > mtu && s->header < size &&
           mtu >= s->header + (version == 6 ? FRAGMENT_HEADER : 0) + 8;
}

uint32_t wire_split_next(struct wire_split *s, uint8_t *out)
{
    const uint32_t first = s->header;
    uint32_t head = first, most, n, place;
    bool more;

    if (s->at >= s->size)
        return 0;
    memcpy(out, s->packet, first);
    if (s->version == 6)
        head += FRAGMENT_HEADER;
    else if (s->at != first)
        head = 20 + copied_options(s->packet, first, out + 20);
    most = (s->mtu - head) / 8 * 8;
    n = s->size - s->at;
    more = s->more;
    if (head + n > s->mtu) {
        n = most;
        more = true;
    }
    place = s->before + s->at - first;
    memcpy(out + head, s->packet + s->at, n);
    s->at += n;
    if (s->version == 4) {
        out[0] = (uint8_t)(0x40 | head / 4);
        put16(out + 2, head + n);
        put16(out + 4, s->id & 0xffff);
        put16(out + 6, place / 8 | (more ? 0x2000u : 0));
        put16(out + 10, 0);
        put16(out + 10, wire_fold(wire_sum(out, head, 0)));
        return head + n;
    }
    put16(out + 4, head + n - FIXED);
    out[first] = out[s->field];
    out[s->field] = FRAGMENT;
    out[first + 1] = 0;
    put16(out + first + 2, place | more);
    put16(out + first + 4, s->id >> 16);
    put16(out + first + 6, s->id & 0xffff);
    return head + n;
}
