/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packets: see packets.h. Built from the inside out: transport into a buffer of its own, IP around it (whole,
 * or a window of it as a fragment), the link header in front.
 */
#include "packets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOM (65536 + 256)

struct buffer {
    uint8_t bytes[ROOM];
    size_t size;
};

static void need(bool so, const char *what)
{
    if (!so) {
        fprintf(stderr, "packets: cannot build this: %s\n", what);
        exit(99);
    }
}

static struct buffer *fresh(void)
{
    struct buffer *b = malloc(sizeof(*b));

    need(b != NULL, "no memory");
    b->size = 0;
    return b;
}

static void add(struct buffer *b, const void *bytes, size_t size)
{
    need(b->size + size <= sizeof(b->bytes), "larger than an IP packet");
    if (size != 0)
        memcpy(b->bytes + b->size, bytes, size);
    b->size += size;
}

static void add8(struct buffer *b, unsigned v)
{
    uint8_t byte = (uint8_t)v;

    add(b, &byte, 1);
}

static void add16(struct buffer *b, unsigned v)
{
    add8(b, v >> 8);
    add8(b, v);
}

static void add32(struct buffer *b, uint32_t v)
{
    add16(b, v >> 16);
    add16(b, v);
}

static void pad(struct buffer *b, size_t from, size_t multiple)
{
    while ((b->size - from) % multiple != 0)
        add8(b, 0);
}

static void put16(uint8_t *at, unsigned v)
{
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
}

uint32_t packet_sum(const uint8_t *bytes, size_t size, uint32_t sum)
{
    for (size_t i = 0; i < size; i++) {
        sum += i % 2 == 0 ? (uint32_t)bytes[i] << 8 : bytes[i];
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

uint16_t packet_sum_end(uint32_t sum)
{
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

uint16_t packet_link_type(enum packet_link link)
{
    static const uint16_t types[] = {
        [PACKET_ETHERNET] = WIRE_LINK_ETHERNET, [PACKET_RAW] = WIRE_LINK_RAW,
        [PACKET_IPV4] = WIRE_LINK_IPV4,         [PACKET_IPV6] = WIRE_LINK_IPV6,
        [PACKET_SLL] = WIRE_LINK_LINUX_SLL,     [PACKET_SLL2] = WIRE_LINK_LINUX_SLL2,
        [PACKET_NULL] = WIRE_LINK_NULL,         [PACKET_NULL_SWAPPED] = WIRE_LINK_NULL,
        [PACKET_LOOP] = WIRE_LINK_LOOP,
    };

    return types[link];
}

/* ---- both ends --------------------------------------------------------------------------------------- */

struct ends {
    uint8_t version, protocol;
    uint8_t src[16], dst[16]; /* as in headers */
    size_t size;              /* 4 or 16 */
};

static void read_address(const char *text, uint8_t version, uint8_t out[16])
{
    union wire_addr a;

    need(wire_addr_parse(text, &a, NULL) == version, text);
    if (version == 6) {
        memcpy(out, a.v6, 16);
        return;
    }
    put16(out, a.v4 >> 16);
    put16(out + 2, a.v4);
}

static void find_ends(const struct packet *p, struct ends *e)
{
    const char *src = p->src, *dst = p->dst, *known;
    struct ends quoted;

    known = src != NULL ? src : dst;
    if (p->quotes != NULL)
        find_ends(p->quotes, &quoted);
    e->version = known != NULL       ? (strchr(known, ':') != NULL ? 6 : 4)
                 : p->quotes != NULL ? quoted.version
                                     : 4;
    e->size = e->version == 4 ? 4 : 16;
    read_address(src != NULL ? src : e->version == 4 ? "10.0.0.2" : "fd00::2", e->version, e->src);
    read_address(dst != NULL ? dst : e->version == 4 ? "10.0.0.1" : "fd00::1", e->version, e->dst);
    if (p->quotes != NULL && src == NULL)
        memcpy(e->src, quoted.dst, 16);
    if (p->quotes != NULL && dst == NULL)
        memcpy(e->dst, quoted.src, 16);
    e->protocol = p->protocol != 0 ? p->protocol : WIRE_PROTOCOL_UDP;
    if (p->quotes != NULL && p->protocol == 0)
        e->protocol = WIRE_PROTOCOL_ICMP;
    if (e->version == 6 && e->protocol == WIRE_PROTOCOL_ICMP)
        e->protocol = WIRE_PROTOCOL_ICMPV6;
}

/* ---- transport --------------------------------------------------------------------------------------- */

static void build_ip(const struct packet *p, size_t first, size_t size, struct buffer *b);

static void add_payload(const struct packet *p, const struct ends *e, struct buffer *b)
{
    if (p->quotes != NULL) {
        struct buffer *quoted = fresh();
        size_t most = p->quote_size;

        build_ip(p->quotes, 0, SIZE_MAX, quoted);
        if (most == 0) /* RFC 792: the header and 8 bytes; RFC 4443: as fits into 1,280 bytes */
            most = e->version == 4 ? (size_t)(quoted->bytes[0] & 15) * 4 + 8 : 1280 - 40 - 8;
        add(b, quoted->bytes, quoted->size < most ? quoted->size : most);
        free(quoted);
        return;
    }
    if (p->fill != 0) {
        for (size_t i = 0; i < p->fill; i++)
            add8(b, (unsigned)i);
        return;
    }
    if (p->data != NULL)
        add(b, p->data, p->size != 0 ? p->size : strlen(p->data));
}

static void set_checksum(const struct packet *p, const struct ends *e, struct buffer *b, size_t at,
                         bool pseudo)
{
    uint8_t tail[8] = {0};
    uint32_t sum = 0;
    uint16_t value;

    if (pseudo) {
        put16(tail, (unsigned)(b->size >> 16));
        put16(tail + 2, (unsigned)b->size);
        tail[7] = e->protocol;
        sum = packet_sum(e->src, e->size, sum);
        sum = packet_sum(e->dst, e->size, sum);
        sum = packet_sum(tail, sizeof(tail), sum);
    }
    if ((p->bad & PACKET_PSEUDO_SUM) != 0) {
        put16(b->bytes + at, (uint16_t)~packet_sum_end(sum));
        return;
    }
    value = packet_sum_end(packet_sum(b->bytes, b->size, sum));
    if (value == 0 && e->protocol == WIRE_PROTOCOL_UDP)
        value = 0xffff;
    if ((p->bad & PACKET_BAD_SUM) != 0)
        value ^= 0x0550;
    put16(b->bytes + at, (p->bad & PACKET_NO_SUM) != 0 ? 0 : value);
}

static void build_tcp(const struct packet *p, const struct ends *e, struct buffer *b)
{
    add16(b, p->sport);
    add16(b, p->dport);
    add32(b, p->seq);
    add32(b, p->ack);
    add8(b, 0);
    add8(b, p->tcp_flags);
    add16(b, p->window != 0 || p->zero_window ? p->window : 0xffff);
    add32(b, 0); /* checksum, urgent pointer */
    add(b, p->tcp_options, p->tcp_options_size);
    pad(b, 0, 4);
    need(b->size <= 60, "TCP options above 40 bytes");
    b->bytes[12] = (uint8_t)((p->data_offset == 0  ? b->size / 4
                              : p->data_offset < 0 ? 0
                                                   : (unsigned)p->data_offset)
                             << 4);
    add_payload(p, e, b);
    set_checksum(p, e, b, 16, true);
}

static void build_udp(const struct packet *p, const struct ends *e, struct buffer *b)
{
    add16(b, p->sport);
    add16(b, p->dport);
    add32(b, 0);
    add_payload(p, e, b);
    put16(b->bytes + 4, p->udp_length == 0  ? (unsigned)b->size
                        : p->udp_length < 0 ? 0
                                            : (unsigned)p->udp_length);
    set_checksum(p, e, b, 6, true);
}

static void build_icmp(const struct packet *p, const struct ends *e, struct buffer *b)
{
    add8(b, p->icmp_type);
    add8(b, p->icmp_code);
    add16(b, 0);
    add16(b, p->icmp_id);
    add16(b, p->icmp_seq);
    add_payload(p, e, b);
    set_checksum(p, e, b, 2, e->version == 6);
}

static void build_transport(const struct packet *p, const struct ends *e, struct buffer *b)
{
    b->size = 0;
    if (p->no_transport) {
        add_payload(p, e, b);
        return;
    }
    switch (e->protocol) {
    case WIRE_PROTOCOL_TCP:
        build_tcp(p, e, b);
        break;
    case WIRE_PROTOCOL_UDP:
        build_udp(p, e, b);
        break;
    case WIRE_PROTOCOL_ICMP:
    case WIRE_PROTOCOL_ICMPV6:
        build_icmp(p, e, b);
        break;
    default:
        add_payload(p, e, b);
    }
}

/* ---- IP ---------------------------------------------------------------------------------------------- */

/* One extension header; the type of what follows it is put there by the caller. */
static void add_extension(const struct packet_extension *x, uint8_t next, struct buffer *b)
{
    size_t at = b->size;

    add8(b, next);
    add8(b, 0);
    add(b, x->bytes, x->size);
    pad(b, at, 8);
    b->bytes[at + 1] = (uint8_t)((b->size - at) / 8 - 1);
}

/* Extension headers [from, to), then `next`. */
static void add_extensions(const struct packet *p, unsigned from, unsigned to, uint8_t next, struct buffer *b)
{
    for (unsigned i = from; i < to; i++)
        add_extension(&p->extensions[i], i + 1 < to ? p->extensions[i + 1].type : next, b);
}

/* What may be split: of IPv6 with the extension headers that stand after the fragment header. */
static uint8_t build_fragmentable(const struct packet *p, const struct ends *e, struct buffer *b)
{
    unsigned from = p->extension_count - p->after_fragment;
    struct buffer *transport;

    need(p->extension_count <= PACKET_EXTENSIONS && p->after_fragment <= p->extension_count, "extensions");
    if (e->version == 4 || p->after_fragment == 0) {
        build_transport(p, e, b);
        return e->protocol;
    }
    transport = fresh();
    build_transport(p, e, transport);
    b->size = 0;
    add_extensions(p, from, p->extension_count, e->protocol, b);
    add(b, transport->bytes, transport->size);
    free(transport);
    return p->extensions[from].type;
}

static unsigned said(int instead, size_t right)
{
    return instead == 0 ? (unsigned)right : instead < 0 ? 0 : (unsigned)instead;
}

static void add_ip4(const struct packet *p, const struct ends *e, uint32_t offset, bool more,
                    const uint8_t *bytes, size_t size, struct buffer *b)
{
    size_t at = b->size, header;
    uint8_t *h = b->bytes + at;
    uint16_t sum;

    add8(b, 0);
    add8(b, p->traffic_class);
    add16(b, 0);
    add16(b, p->id);
    need(offset % 8 == 0, "a fragment offset that is not a multiple of 8");
    add16(b, (p->dont_fragment ? 0x4000u : 0) | (more ? 0x2000u : 0) | offset / 8);
    add8(b, p->ttl != 0 ? p->ttl : 64);
    add8(b, e->protocol);
    add16(b, 0);
    add(b, e->src, 4);
    add(b, e->dst, 4);
    add(b, p->ip_options, p->ip_options_size);
    pad(b, at, 4);
    header = b->size - at;
    need(header <= 60, "IPv4 options above 40 bytes");
    add(b, bytes, size);
    h[0] = (uint8_t)((p->version != 0 ? p->version : 4) << 4 | (said(p->header_words, header / 4) & 15));
    put16(h + 2, said(p->ip_length, b->size - at));
    sum = packet_sum_end(packet_sum(h, header, 0));
    put16(h + 10, (p->bad & PACKET_BAD_IP_SUM) != 0 ? sum ^ 0x0a0a : sum);
}

static void add_ip6(const struct packet *p, const struct ends *e, bool fragment, uint8_t inner,
                    uint32_t offset, bool more, const uint8_t *bytes, size_t size, struct buffer *b)
{
    size_t at = b->size;
    uint8_t *h = b->bytes + at;
    unsigned before = p->extension_count - p->after_fragment;
    uint8_t next = fragment ? 44 : inner;

    add32(b, (uint32_t)(p->version != 0 ? p->version : 6) << 28 | (uint32_t)p->traffic_class << 20);
    add16(b, 0);
    add8(b, before != 0 ? p->extensions[0].type : next);
    add8(b, p->ttl != 0 ? p->ttl : 64);
    add(b, e->src, 16);
    add(b, e->dst, 16);
    add_extensions(p, 0, before, next, b);
    if (fragment) {
        need(offset % 8 == 0, "a fragment offset that is not a multiple of 8");
        add8(b, inner);
        add8(b, 0);
        add16(b, offset | (more ? 1u : 0));
        add32(b, p->id);
    }
    add(b, bytes, size);
    put16(h + 4, said(p->ip_length, b->size - at - 40));
}

/* The IP packet with bytes [first, first + size) of what may be split; SIZE_MAX: p as it is. */
static void build_ip(const struct packet *p, size_t first, size_t size, struct buffer *b)
{
    struct buffer *inner = fresh();
    bool more = p->more, fragment = p->fragment || p->more || p->offset != 0;
    uint32_t offset = p->offset;
    struct ends e;
    uint8_t next;

    find_ends(p, &e);
    next = build_fragmentable(p, &e, inner);
    if (size != SIZE_MAX) {
        need(first <= inner->size, "a fragment beyond the datagram");
        size = size < inner->size - first ? size : inner->size - first;
        more = first + size < inner->size;
        fragment = true;
        offset = (uint32_t)first;
    } else {
        size = inner->size;
    }
    if (e.version == 4)
        add_ip4(p, &e, offset, more, inner->bytes + first, size, b);
    else
        add_ip6(p, &e, fragment, next, offset, more, inner->bytes + first, size, b);
    free(inner);
}

/* ---- link -------------------------------------------------------------------------------------------- */

static void add_tags(const struct packet *p, uint16_t type, struct buffer *b)
{
    if (p->outer_vlan != 0) {
        add16(b, 0x88a8);
        add16(b, p->outer_vlan);
    }
    if (p->vlan != 0) {
        add16(b, 0x8100);
        add16(b, p->vlan);
    }
    add16(b, type);
}

static void add_link(const struct packet *p, uint8_t version, size_t inner, struct buffer *b)
{
    static const uint8_t dst[] = {2, 0, 0, 0, 0, 1}, src[] = {2, 0, 0, 0, 0, 2};
    static const uint8_t snap[] = {0xaa, 0xaa, 3, 0, 0, 0};
    static const uint8_t arphrd_ethernet = 1;
    uint16_t type = p->ether_type != 0 ? p->ether_type : version == 4 ? 0x0800 : 0x86dd;
    unsigned cooked = p->cooked == WIRE_COOKED_NONE ? 0 : p->cooked - WIRE_COOKED_TO_US;
    unsigned family = version == 4 ? 2 : 24;

    switch (p->link) {
    case PACKET_ETHERNET:
        add(b, p->mac_dst != NULL ? p->mac_dst : dst, 6);
        add(b, p->mac_src != NULL ? p->mac_src : src, 6);
        if (!p->snap) {
            add_tags(p, type, b);
            break;
        }
        add_tags(p, (uint16_t)(inner + 8), b);
        add(b, snap, sizeof(snap));
        add16(b, type);
        break;
    case PACKET_SLL:
        add16(b, cooked);
        add16(b, arphrd_ethernet);
        add16(b, 6);
        add(b, p->mac_src != NULL ? p->mac_src : src, 6);
        add16(b, 0);
        add_tags(p, type, b);
        break;
    case PACKET_SLL2:
        need(p->vlan == 0 && p->outer_vlan == 0, "tags within SLL2");
        add16(b, type);
        add16(b, 0);
        add32(b, 1);
        add16(b, arphrd_ethernet);
        add8(b, cooked);
        add8(b, 6);
        add(b, p->mac_src != NULL ? p->mac_src : src, 6);
        add16(b, 0);
        break;
    case PACKET_NULL:
        add8(b, family);
        add8(b, 0);
        add16(b, 0);
        break;
    case PACKET_NULL_SWAPPED:
    case PACKET_LOOP:
        add32(b, family);
        break;
    default:
        break;
    }
}

static size_t build(const struct packet *p, size_t first, size_t size, uint8_t *out, size_t room)
{
    struct buffer *ip = fresh(), *frame = fresh();
    struct ends e;
    size_t result;

    find_ends(p, &e);
    build_ip(p, first, size, ip);
    add_link(p, e.version, ip->size, frame);
    add(frame, ip->bytes, ip->size);
    for (size_t i = 0; i < p->padding; i++)
        add8(frame, 0);
    result = frame->size;
    need(result <= room, "no room for the frame");
    memcpy(out, frame->bytes, result);
    free(ip);
    free(frame);
    return result;
}

/* ---- the door ---------------------------------------------------------------------------------------- */

size_t packet_build(const struct packet *p, uint8_t *out, size_t room)
{
    return build(p, 0, SIZE_MAX, out, room);
}

size_t packet_parse(const struct packet *p, uint8_t *frame, size_t room, struct wire_packet *w)
{
    size_t n = packet_build(p, frame, room);

    wire_parse(packet_link_type(p->link), frame, (uint32_t)n, (uint32_t)n, w);
    return n;
}

size_t packet_fragment(const struct packet *p, size_t first, size_t size, uint8_t *out, size_t room)
{
    return build(p, first, size, out, room);
}

size_t packet_fragmentable(const struct packet *p)
{
    struct buffer *b = fresh();
    struct ends e;
    size_t size;

    find_ends(p, &e);
    build_fragmentable(p, &e, b);
    size = b->size;
    free(b);
    return size;
}

size_t packet_fragments(const struct packet *p, size_t size, struct packet_frame *out, size_t most)
{
    size_t all = packet_fragmentable(p), n = 0;

    need(size != 0 && size % 8 == 0, "fragments of a size that is not a multiple of 8");
    for (size_t first = 0; first < all; first += size, n++) {
        need(n < most, "more fragments than there is room for");
        out[n].size = packet_fragment(p, first, size, out[n].bytes, sizeof(out[n].bytes));
    }
    return n;
}

struct packet packet_reverse(const struct packet *p)
{
    struct packet back = *p;

    back.src = p->dst;
    back.dst = p->src;
    if (p->src == NULL && p->dst == NULL) {
        back.src = "10.0.0.1";
        back.dst = "10.0.0.2";
    }
    back.sport = p->dport;
    back.dport = p->sport;
    back.mac_src = p->mac_dst;
    back.mac_dst = p->mac_src;
    return back;
}
