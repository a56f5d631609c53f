/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plain: the frames that nearly all are, read in one go: Ethernet without tags, or a loose packet; IPv4 without options
 * and fragments, or IPv6 without extension headers; TCP without options or with a time stamp alone, or UDP; nothing wrong,
 * nothing cut off. All else is left to link.c and what is below it, which read these frames in the same way (tested).
 *
 * Each member is written once: a packet is two cache lines, and zeroing them first costs as much as filling them.
 */
#include "wire/parse.h"

#define ETHERNET 14u
#define IP4      20u
#define IP6      40u

/* What the two versions say each in its own way. */
struct network {
    uint32_t link; /* the link header's size: ETHERNET or 0 */
    uint32_t header, total;
    uint16_t ether_type;
    uint8_t version, protocol, ttl, traffic_class, ip_flags;
    bool checksum_wrong;
    uint32_t id;
};

/* The transport header at t, and all of *out but the addresses. False: *out is as it was. */
static inline bool plain_transport(const uint8_t *frame, uint32_t captured, uint32_t length,
                                   const struct network *n, struct wire_packet *out)
{
    const uint8_t *t = frame + n->link + n->header;
    const uint32_t rest = n->total - n->header;
    uint32_t size, data, word, seq = 0, ack = 0;
    uint16_t window = 0;
    uint8_t flags = 0;

    if (__builtin_expect(n->protocol == WIRE_PROTOCOL_TCP, 1)) {
        size = (t[12] >> 4) * 4u;
        if (size != 20) {
            if (size != 32 || captured < n->link + n->header + 32)
                return false;
            memcpy(&word, t + 20, 4);
            if (memcmp(&word, "\1\1\10\12", 4) != 0)
                return false;
        }
        if (rest < size)
            return false;
        data = rest - size;
        seq = wire_get32(t + 4);
        ack = wire_get32(t + 8);
        flags = t[13];
        window = wire_get16(t + 14);
    } else if (n->protocol == WIRE_PROTOCOL_UDP) {
        size = 8;
        data = wire_get16(t + 4);
        if (data < 8 || data > rest)
            return false;
        data -= 8;
    } else {
        return false;
    }
    out->frame = frame;
    out->captured = captured;
    out->length = length;
    out->ip_at = n->link;
    out->mac_at = n->link != 0 ? 0 : UINT32_MAX;
    out->source_port = wire_get16(t);
    out->destination_port = wire_get16(t + 2);
    out->version = n->version;
    out->protocol = n->protocol;
    out->reached = WIRE_TRANSPORT;
    out->tcp_flags = flags;
    out->fault = WIRE_OK;
    out->cut = out->fragment = out->ip6_unfragmented_headers = false;
    out->ip_checksum_wrong = n->checksum_wrong;
    out->no_flags = 0;
    out->ip_flags = n->ip_flags;
    out->cooked = WIRE_COOKED_NONE;
    out->ttl = n->ttl;
    out->traffic_class = n->traffic_class;
    out->vlan_tags = 0;
    out->icmp_type = 0;
    out->tcp_seq = seq;
    out->tcp_ack = ack;
    out->transport_at = n->link + n->header;
    out->data_at = n->link + n->header + size;
    out->data_length = data;
    out->ip_length = n->total;
    out->link_type = n->link != 0 ? WIRE_LINK_ETHERNET : WIRE_LINK_RAW;
    out->ether_type = n->link != 0 ? n->ether_type : 0;
    out->vlan = WIRE_NO_VLAN;
    out->tcp_window = window;
    out->transport_header_size = (uint16_t)size;
    out->ip_header_size = (uint16_t)n->header;
    out->fragment_offset = 0;
    out->icmp_id = 0;
    out->fragment_id = n->id;
    out->fragment_header_at = 0;
    out->fault_at = 0;
    out->icmp_sequence = 0;
    out->icmp_code = 0;
    out->nothing = 0;
    return true;
}

static inline bool plain_ip4(const uint8_t *frame, uint32_t captured, uint32_t length, uint32_t link,
                             struct wire_packet *out)
{
    const uint8_t *ip = frame + link;
    const uint32_t place = wire_get16(ip + 6), total = wire_get16(ip + 2);
    const struct network n = {.link = link,
                              .header = IP4,
                              .total = total,
                              .ether_type = 0x0800,
                              .version = 4,
                              .protocol = ip[9],
                              .ttl = ip[8],
                              .traffic_class = ip[1],
                              .ip_flags = place >> 13 & WIRE_IP_DONT_FRAGMENT,
                              .checksum_wrong = !ip4_header_right(ip),
                              .id = wire_get16(ip + 4)};

    _Static_assert(WIRE_IP_DONT_FRAGMENT == 0x4000 >> 13, "the bit of the header");
    if (ip[0] != 0x45 || (place & 0x3fff) != 0 || total < IP4 + 8 || total > length - link ||
        !plain_transport(frame, captured, length, &n, out))
        return false;
    out->source = (union wire_addr){.v4 = wire_get32(ip + 12)};
    out->destination = (union wire_addr){.v4 = wire_get32(ip + 16)};
    return true;
}

static inline bool plain_ip6(const uint8_t *frame, uint32_t captured, uint32_t length, uint32_t link,
                             struct wire_packet *out)
{
    const uint8_t *ip = frame + link;
    const uint32_t payload = wire_get16(ip + 4);
    const struct network n = {.link = link,
                              .header = IP6,
                              .total = IP6 + payload,
                              .ether_type = 0x86dd,
                              .version = 6,
                              .protocol = ip[6],
                              .ttl = ip[7],
                              .traffic_class = (uint8_t)(wire_get16(ip) >> 4)};

    if (captured < link + IP6 + 20 || ip[0] >> 4 != 6 || payload < 8 || payload > length - link - IP6 ||
        !plain_transport(frame, captured, length, &n, out))
        return false;
    memcpy(out->source.v6, ip + 8, 16);
    memcpy(out->destination.v6, ip + 24, 16);
    return true;
}

void wire_parse(uint16_t link_type, const uint8_t *frame, uint32_t captured, uint32_t length,
                struct wire_packet *out)
{
    const uint32_t sent = length < captured ? captured : length;

    if (__builtin_expect(link_type == WIRE_LINK_ETHERNET && captured >= ETHERNET + IP4 + 20, 1)) {
        const uint16_t type = wire_get16(frame + 12);

        if (type == 0x0800 ? plain_ip4(frame, captured, sent, ETHERNET, out)
                           : type == 0x86dd && plain_ip6(frame, captured, sent, ETHERNET, out))
            return;
    }
    link_parse(link_type, frame, captured, length,
               out); /* not inlined: its registers are saved for nothing */
}

void wire_parse_ip(const uint8_t *packet, uint32_t captured, uint32_t length, struct wire_packet *out)
{
    const uint32_t sent = length < captured ? captured : length;

    if (captured >= IP4 + 20 && (packet[0] >> 4 == 4 ? plain_ip4(packet, captured, sent, 0, out)
                                                     : plain_ip6(packet, captured, sent, 0, out)))
        return;
    link_parse(WIRE_LINK_RAW, packet, captured, length, out);
}
