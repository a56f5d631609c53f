/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rewrite_packet: one packet, made after the newest header that was seen of its direction.
 *
 *   link header, IP header, TCP options   as that header has them, but:
 *     options of a SYN                    NOPs, but in a SYN
 *     SACK blocks                         of the segment that is worked on: translated; else, and where nothing is left
 *                                         of a block: NOPs
 *     timestamps                          kept; of a packet that stands for no segment, the echo is the other
 *                                         direction's newest
 *     IPv4 identification                 the segment's, and on from there: so many further as packets were made beyond
 *                                         the source's; 0 stays 0 where fragmentation is forbidden
 *   lengths, numbers, flags, checksums    made
 *
 * A direction of which nothing was seen gets the other one's header, turned around, without options.
 */
#include <stdlib.h>
#include <string.h>

#include "host/rewrite_inside.h"

#define OPTION_END            0
#define OPTION_NOP            1
#define OPTION_MSS            2
#define OPTION_SCALE          3
#define OPTION_SACK_PERMITTED 4
#define OPTION_SACK           5
#define OPTION_TIMESTAMPS     8
#define OPTION_FAST_OPEN      34

#define IP6_FIXED 40u

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
    put16(at, value >> 16);
    put16(at + 2, value & 0xffff);
}

static uint32_t get16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

static uint32_t get32(const uint8_t *at)
{
    return get16(at) << 16 | get16(at + 2);
}

/* The next option from *at on; its size. 0: there is none. Padding of one byte counts as one. */
static uint32_t option_at(const uint8_t *options, uint32_t size, uint32_t at)
{
    if (at >= size || options[at] == OPTION_END)
        return 0;
    if (options[at] == OPTION_NOP)
        return 1;
    if (size - at < 2 || options[at + 1] < 2 || options[at + 1] > size - at)
        return 0;
    return options[at + 1];
}

/* ---- headers -------------------------------------------------------------------------------------------- */

void header_keep(struct rewrite_header *h, const struct wire_packet *p)
{
    const uint8_t *ip = p->frame + p->ip_at, *tcp = p->frame + p->transport_at;
    uint32_t ip_size = p->transport_at - p->ip_at;

    h->link_type = p->link_type;
    h->version = p->version;
    h->link = p->ip_at <= REWRITE_LINK ? (uint8_t)p->ip_at : 0;
    memcpy(h->bytes, p->frame, h->link);
    if (ip_size > REWRITE_IP || p->fragment)
        ip_size = p->version == 4 ? 20 : IP6_FIXED;
    h->ip = (uint8_t)ip_size;
    memcpy(h->bytes + h->link, ip, ip_size);
    if (p->version == 6 && ip_size == IP6_FIXED)
        h->bytes[h->link + 6] = WIRE_PROTOCOL_TCP;
    if (p->version == 4 && ip_size == 20)
        h->bytes[h->link] = 0x45;
    h->tcp = (uint8_t)(p->transport_header_size < REWRITE_TCP ? p->transport_header_size : REWRITE_TCP);
    if (p->transport_at + h->tcp > p->captured) /* its options were cut off */
        h->tcp = 20;
    memcpy(h->bytes + h->link + ip_size, tcp, h->tcp);
    h->bytes[h->link + ip_size + 12] = (uint8_t)(h->tcp / 4 << 4);
}

void header_syn(const struct wire_packet *p, struct rewrite_syn *out)
{
    const uint8_t *options = p->frame + p->transport_at + 20;
    uint32_t size = p->transport_header_size - 20, each;

    if (p->transport_at + p->transport_header_size > p->captured)
        size = 0;
    *out = (struct rewrite_syn){.seen = true, .mss = p->version == 4 ? 536 : 1220}; /* RFC 9293, 3.7.1 */
    for (uint32_t at = 0; (each = option_at(options, size, at)) != 0; at += each) {
        if (options[at] == OPTION_MSS && each == 4 && get16(options + at + 2) != 0)
            out->mss = (uint16_t)get16(options + at + 2);
        if (options[at] == OPTION_SCALE && each == 3) {
            out->scaled = true;
            out->scale = options[at + 2] < 14 ? options[at + 2] : 14;
        }
    }
}

/* The other direction's header, turned around. */
static void turn_around(const struct rewrite_header *from, struct rewrite_header *h)
{
    uint8_t *ip, *tcp;

    *h = *from;
    h->tcp = 20;
    h->id_behind = 0;
    if (from->link_type == WIRE_LINK_ETHERNET && from->link >= 12) {
        memcpy(h->bytes, from->bytes + 6, 6);
        memcpy(h->bytes + 6, from->bytes, 6);
    } else if (from->link_type == WIRE_LINK_LINUX_SLL && from->link >= 2 &&
               (from->bytes[1] == 0 || from->bytes[1] == 4)) {
        h->bytes[1] = (uint8_t)(4 - from->bytes[1]);
    }
    ip = h->bytes + h->link;
    if (h->version == 4) {
        h->ip = 20;
        ip[0] = 0x45;
        memcpy(ip + 12, from->bytes + from->link + 16, 4);
        memcpy(ip + 16, from->bytes + from->link + 12, 4);
    } else {
        h->ip = IP6_FIXED;
        ip[6] = WIRE_PROTOCOL_TCP;
        memcpy(ip + 8, from->bytes + from->link + 24, 16);
        memcpy(ip + 24, from->bytes + from->link + 8, 16);
    }
    tcp = ip + h->ip;
    memcpy(tcp, from->bytes + from->link + from->ip, 20);
    memcpy(tcp, from->bytes + from->link + from->ip + 2, 2);
    memcpy(tcp + 2, from->bytes + from->link + from->ip, 2);
    tcp[12] = 5 << 4;
}

/* ---- options -------------------------------------------------------------------------------------------- */

/* An acknowledged range of the source, in what was sent of it. */
static bool translate_block(const struct rewrite *r, int dir, uint8_t *block)
{
    const struct rewrite_half *of = &r->half[!dir];
    uint64_t from = map_start(of, rewrite_position(get32(block), of->in)),
             to = map_end(of, rewrite_position(get32(block + 4), of->in));

    if (to > of->next)
        to = of->next;
    if (from >= to)
        return false;
    put32(block, (uint32_t)from);
    put32(block + 4, (uint32_t)to);
    return true;
}

/* ack: what the packet acknowledges; a block that begins there is no block. */
static void translate_sack(const struct rewrite *r, int dir, uint8_t *option, uint32_t size, uint64_t ack)
{
    uint8_t blocks[40];
    uint32_t kept = 0;

    for (uint32_t at = 2; at + 8 <= size; at += 8) {
        memcpy(blocks + kept, option + at, 8);
        if (translate_block(r, dir, blocks + kept) && get32(blocks + kept) != (uint32_t)ack)
            kept += 8;
    }
    memset(option, OPTION_NOP, size);
    if (kept == 0)
        return;
    option += size - kept - 2; /* NOPs first: the blocks stay where they were aligned */
    option[0] = OPTION_SACK;
    option[1] = (uint8_t)(kept + 2);
    memcpy(option + 2, blocks, kept);
}

/* The newest time that the direction has shown; false: none. */
static bool timestamp_of(const struct rewrite_header *h, uint8_t out[4])
{
    const uint8_t *options = h->bytes + h->link + h->ip + 20;
    uint32_t each;

    for (uint32_t at = 0; h->version != 0 && (each = option_at(options, h->tcp - 20u, at)) != 0; at += each) {
        if (options[at] == OPTION_TIMESTAMPS && each == 10) {
            memcpy(out, options + at + 2, 4);
            return true;
        }
    }
    return false;
}

static void fit_options(const struct rewrite *r, int dir, uint8_t *options, uint32_t size, uint64_t ack,
                        bool syn)
{
    const bool own = r->frame != NULL && r->frame_dir == dir;
    uint8_t echo[4];
    uint32_t each;

    for (uint32_t at = 0; (each = option_at(options, size, at)) != 0; at += each) {
        switch (options[at]) {
        case OPTION_SACK:
            if (own)
                translate_sack(r, dir, options + at, each, ack);
            else
                memset(options + at, OPTION_NOP, each);
            break;
        case OPTION_MSS:
        case OPTION_SCALE:
        case OPTION_SACK_PERMITTED:
        case OPTION_FAST_OPEN:
            if (!syn)
                memset(options + at, OPTION_NOP, each);
            break;
        case OPTION_TIMESTAMPS:
            if (!own && each == 10 && timestamp_of(&r->half[!dir].header, echo))
                memcpy(options + at + 6, echo, 4);
            break;
        }
    }
}

uint32_t packet_options(const struct rewrite *r, int dir)
{
    return r->half[dir].header.version != 0 ? r->half[dir].header.tcp - 20u : 0;
}

/* ---- the packet ----------------------------------------------------------------------------------------- */

static uint16_t identification(struct rewrite *r, int dir, struct rewrite_header *h, const uint8_t *ip)
{
    const uint32_t id = get16(ip + 4);

    if (id == 0 && (ip[6] & 0x40) != 0)
        return 0;
    if (r->frame != NULL && r->frame_dir == dir && !r->frame_used)
        r->frame_used = true;
    else
        h->id_behind++;
    return (uint16_t)(id + h->id_behind);
}

static void check_sums(uint8_t *ip, uint32_t ip_size, uint8_t version, uint32_t tcp_size)
{
    uint8_t *tcp = ip + ip_size;
    const uint8_t rest[4] = {(uint8_t)(tcp_size >> 8), (uint8_t)tcp_size, 0, WIRE_PROTOCOL_TCP};
    uint64_t sum;

    if (version == 4) {
        put16(ip + 10, 0);
        put16(ip + 10, wire_fold(wire_sum(ip, ip_size, 0)));
        sum = wire_sum(ip + 12, 8, 0);
    } else {
        sum = wire_sum(ip + 8, 32, 0);
    }
    put16(tcp + 16, 0);
    sum = wire_sum(rest, sizeof(rest), sum);
    put16(tcp + 16, wire_fold(wire_sum(tcp, tcp_size, sum)));
}

bool packet_send(struct rewrite *r, int dir, const struct packet_wish *w)
{
    struct rewrite_half *half = &r->half[dir];
    struct rewrite_header *h = &half->header;
    struct rewrite_sent sent = {.dir = dir, .data = w->size};
    uint32_t head, size;
    uint8_t *ip, *tcp;

    if (h->version == 0) {
        if (r->half[!dir].header.version == 0)
            return false;
        turn_around(&r->half[!dir].header, h);
    }
    head = (uint32_t)h->link + h->ip + h->tcp;
    size = head + w->size;
    if (size > r->room_size) {
        uint8_t *more = realloc(r->room, size);

        if (more == NULL)
            return false;
        r->room = more;
        r->room_size = size;
    }
    memcpy(r->room, h->bytes, head);
    ip = r->room + h->link;
    tcp = ip + h->ip;
    if (h->version == 4) {
        put16(ip + 2, h->ip + (uint32_t)h->tcp + w->size);
        put16(ip + 4, identification(r, dir, h, ip));
        ip[6] &= 0x40; /* no fragment */
        ip[7] = 0;
    } else {
        put16(ip + 4, h->ip - IP6_FIXED + h->tcp + w->size);
    }
    put32(tcp + 4, (uint32_t)w->seq);
    put32(tcp + 8, (uint32_t)w->ack);
    tcp[13] = w->flags;
    put16(tcp + 14, w->window);
    put16(tcp + 18, w->urgent);
    fit_options(r, dir, tcp + 20, h->tcp - 20u, w->ack, (w->flags & WIRE_TCP_SYN) != 0);
    if (w->bytes != NULL)
        memcpy(tcp + h->tcp, w->bytes, w->size);
    else if (w->size != 0)
        bytes_copy(half, w->seq, tcp + h->tcp, w->size);
    check_sums(ip, h->ip, h->version, h->tcp + w->size);
    sent.bytes = r->room;
    sent.size = size;
    sent.ip_at = h->link;
    sent.link_type = h->link != 0 || h->link_type == WIRE_LINK_IPV4 || h->link_type == WIRE_LINK_IPV6
                         ? h->link_type
                         : WIRE_LINK_RAW;
    r->packets[dir]++;
    r->config.counts->made++;
    r->config.send(r->config.ctx, &sent);
    return true;
}
