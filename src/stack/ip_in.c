/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ip_in: packets in: what is broken goes, what is not ours goes on or goes, fragments wait, the rest is handed to
 * who takes its protocol.
 *
 *   bytes -> wire_parse_ip() -> ours? --no--> ip_forward()
 *                                 |--fragment--> reassembly_add() -> whole, parsed again
 *                                 +-> checksum -> tcp, icmp, datagrams
 */
#include "stack/internal.h"

/* Lengths that are left open are for captures of what an adapter will split; on a wire they are wrong. */
static bool sound(const struct wire_packet *p, uint32_t size)
{
    const uint8_t *ip = p->frame + p->ip_at;

    return p->fault == WIRE_OK && !p->cut && p->reached >= WIRE_NETWORK && !p->ip_checksum_wrong &&
           p->ip_length <= size &&
           (p->version == 4 ? (ip[2] | ip[3]) != 0
                            : (ip[4] | ip[5]) != 0 || p->protocol == WIRE_PROTOCOL_NONE);
}

static bool is_for_us(const struct stack *s, const struct wire_packet *p)
{
    return net_address(s, p->version, &p->destination) != NULL ||
           wire_addr_is_multicast(p->version, &p->destination) ||
           net_is_broadcast(s, p->version, &p->destination);
}

/* Nobody sends from such an address. */
static bool source_is_wrong(const struct stack *s, const struct wire_packet *p)
{
    return wire_addr_is_multicast(p->version, &p->source) || net_is_broadcast(s, p->version, &p->source);
}

/* Is the transport's checksum right? wire_verify() lets sums pass that an adapter would still fill in; here is none. */
static bool sum_is_right(const struct wire_packet *p)
{
    const uint8_t *ip = p->frame + p->ip_at, *h = p->frame + p->transport_at;
    uint32_t size = p->ip_length - p->ip_header_size, addresses = p->version == 4 ? 8 : 32;
    uint8_t rest[8];
    uint64_t sum;

    if (p->protocol == WIRE_PROTOCOL_UDP) { /* its own length counts; IPv4: it may have none */
        size = UDP_HEADER + p->data_length;
        if ((h[6] | h[7]) == 0)
            return p->version == 4;
    } else if (p->protocol == WIRE_PROTOCOL_ICMP && p->version == 4) {
        return wire_fold(wire_sum(h, size, 0)) == 0;
    } else if (p->protocol != WIRE_PROTOCOL_TCP &&
               !(p->protocol == WIRE_PROTOCOL_ICMPV6 && p->version == 6)) {
        return true;
    }
    put32(rest, size);
    put32(rest + 4, p->protocol);
    sum = wire_sum(ip + (p->version == 4 ? 12 : 8), addresses, wire_sum(rest, 8, 0));
    return wire_fold(wire_sum(h, size, sum)) == 0;
}

static void deliver(struct stack *s, const struct wire_packet *p)
{
    if (p->reached != WIRE_TRANSPORT || !sum_is_right(p)) {
        s->counts.discarded++;
        return;
    }
    if (p->protocol == WIRE_PROTOCOL_TCP) {
        tcp_input(s, p);
        return;
    }
    if (p->protocol == (p->version == 4 ? WIRE_PROTOCOL_ICMP : WIRE_PROTOCOL_ICMPV6)) {
        icmp_input(s, p);
        return;
    }
    if (datagram_input(s, p))
        return;
    s->counts.discarded++;
    if (p->protocol != WIRE_PROTOCOL_NONE)
        icmp_tell(s, p, p->protocol == WIRE_PROTOCOL_UDP ? ICMP_NO_PORT : ICMP_NO_PROTOCOL, 0);
}

void ip_input(struct stack *s, uint32_t interface, const uint8_t *bytes, uint32_t size)
{
    struct wire_packet p;
    const uint8_t *whole;

    wire_parse_ip(bytes, size, size, &p);
    if (!sound(&p, size) || source_is_wrong(s, &p)) {
        s->counts.discarded++;
        return;
    }
    if (!is_for_us(s, &p)) {
        if (s->config.forwarding)
            ip_forward(s, &p);
        else
            s->counts.discarded++;
        return;
    }
    if (p.fragment) {
        whole = reassembly_add(s, &p, interface, &size);
        if (whole == NULL)
            return;
        wire_parse_ip(whole, size, size, &p);
        if (!sound(&p, size) || p.fragment) {
            s->counts.discarded++;
            return;
        }
    }
    deliver(s, &p);
}
