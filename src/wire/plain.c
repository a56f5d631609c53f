/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plain: the frame that nearly all are, read in one go: Ethernet without tags, IPv4 without options and
 * fragments, TCP without options or with a time stamp alone, or UDP; nothing wrong, nothing cut off. All else
 * is left to link.c and what is below it, which read these frames in the same way (tested).
 */
#include "wire/parse.h"

#define LINK 14u
#define IP   20u

bool plain_parse(const uint8_t *frame, uint32_t captured, uint32_t length, struct wire_packet *out)
{
    const uint8_t *ip = frame + LINK, *t = ip + IP;
    uint32_t total, size, place, word;

    if (length < captured)
        length = captured;
    if (captured < LINK + IP + 20 || wire_get16(frame + 12) != 0x0800 || ip[0] != 0x45)
        return false;
    total = wire_get16(ip + 2);
    place = wire_get16(ip + 6);
    if ((place & 0x3fff) != 0 || total < IP + 8 || total > length - LINK)
        return false;
    if (ip[9] == WIRE_PROTOCOL_TCP) {
        size = (t[12] >> 4) * 4u;
        if (size != 20) {
            if (size != 32 || captured < LINK + IP + 32)
                return false;
            memcpy(&word, t + 20, 4);
            if (memcmp(&word, "\1\1\10\12", 4) != 0)
                return false;
        }
        if (total < IP + size)
            return false;
    } else if (ip[9] == WIRE_PROTOCOL_UDP) {
        size = 8;
        if (wire_get16(t + 4) < 8 || wire_get16(t + 4) > total - IP)
            return false;
    } else {
        return false;
    }
    wire_clear(out);
    out->frame = frame;
    out->captured = captured;
    out->length = length;
    out->link_type = WIRE_LINK_ETHERNET;
    out->reached = WIRE_TRANSPORT;
    out->vlan = WIRE_NO_VLAN;
    out->ether_type = 0x0800;
    out->ip_at = LINK;
    out->version = 4;
    out->ttl = ip[8];
    out->traffic_class = ip[1];
    out->protocol = ip[9];
    out->ip_flags = place & 0x4000 ? WIRE_IP_DONT_FRAGMENT : 0;
    out->ip_checksum_wrong = ip4_header_sum(ip) != 0xffff;
    out->ip_header_size = IP;
    out->fragment_id = wire_get16(ip + 4);
    out->ip_length = total;
    out->source.v4 = wire_get32(ip + 12);
    out->destination.v4 = wire_get32(ip + 16);
    out->transport_at = LINK + IP;
    out->transport_header_size = (uint16_t)size;
    out->source_port = wire_get16(t);
    out->destination_port = wire_get16(t + 2);
    out->data_at = LINK + IP + size;
    if (out->protocol == WIRE_PROTOCOL_TCP) {
        out->tcp_flags = t[13];
        out->tcp_window = wire_get16(t + 14);
        out->tcp_seq = wire_get32(t + 4);
        out->tcp_ack = wire_get32(t + 8);
        out->data_length = total - IP - size;
    } else {
        out->data_length = wire_get16(t + 4) - 8u;
    }
    return true;
}
