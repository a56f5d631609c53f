/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ip_out: packets out: the IP header, checksums, fragments above the MTU, config.send(). And those of others that go on.
 *
 *   ip_begin() -> payload is written -> ip_send() -> route -> whole or in fragments -> config.send()
 *
 * The place for a packet belongs to the nesting of config.send(): a send within a send has another. Each keeps
 * its room, so that the steady state allocates nothing.
 */
#include <stdlib.h>

#include "stack/internal.h"

enum {
    FRAGMENT_HEADER = 8,
    FRONT = IP6_HEADER + FRAGMENT_HEADER, /* before a payload */
};

uint8_t *ip_begin(struct stack *s, uint8_t version, uint32_t size)
{
    uint32_t need = FRONT + size, room;

    (void)version;
    if (s->sending >= NESTING || size > IP_LARGEST)
        return NULL;
    room = s->scratch_size[s->sending];
    if (room < need) {
        uint8_t *more;

        room = need < 2048 ? 2048 : IP_LARGEST + FRONT;
        more = realloc(s->scratch[s->sending], room);
        if (more == NULL)
            return NULL;
        s->scratch[s->sending] = more;
        s->scratch_size[s->sending] = room;
    }
    return s->scratch[s->sending] + FRONT;
}

static enum stack_sent pass(struct stack *s, const struct stack_packet *p)
{
    enum stack_sent sent;

    s->sending++;
    s->counts.sent++;
    sent = s->config.send(s->config.ctx, p);
    s->sending--;
    return sent;
}

/* The header before `payload`; `piece`: in units of 8 bytes with IPv4's flags, or IPv6's M; returns where it begins. */
static uint8_t *write_header(const struct outgoing *o, uint8_t *payload, uint32_t size, uint32_t piece,
                             bool fragment, uint32_t id)
{
    uint8_t hops = o->hops != 0 ? o->hops : HOPS, *h;

    if (o->version == 4) {
        h = payload - IP4_HEADER;
        h[0] = 0x45;
        h[1] = 0;
        put16(h + 2, IP4_HEADER + size);
        put16(h + 4, id);
        put16(h + 6, piece);
        h[8] = hops;
        h[9] = o->protocol;
        put16(h + 10, 0);
        put32(h + 12, o->source->v4);
        put32(h + 16, o->destination->v4);
        put16(h + 10, wire_fold(wire_sum(h, IP4_HEADER, 0)));
        return h;
    }
    h = payload - IP6_HEADER - (fragment ? FRAGMENT_HEADER : 0);
    put32(h, 6u << 28);
    put16(h + 4, size + (fragment ? FRAGMENT_HEADER : 0));
    h[6] = fragment ? 44 : o->protocol;
    h[7] = hops;
    memcpy(h + 8, o->source->v6, 16);
    memcpy(h + 24, o->destination->v6, 16);
    if (fragment) {
        h[40] = o->protocol;
        h[41] = 0;
        put16(h + 42, piece);
        put32(h + 44, id);
    }
    return h;
}

static void write_sum(const struct outgoing *o, uint8_t *payload, uint32_t size, uint32_t at)
{
    uint8_t pseudo[40];
    uint32_t length = o->version == 4 ? 8 : 32;
    uint16_t sum;

    if (o->version == 4) {
        put32(pseudo, o->source->v4);
        put32(pseudo + 4, o->destination->v4);
    } else {
        memcpy(pseudo, o->source->v6, 16);
        memcpy(pseudo + 16, o->destination->v6, 16);
    }
    put32(pseudo + length, size);
    put32(pseudo + length + 4, o->protocol);
    if (o->protocol == WIRE_PROTOCOL_ICMP)
        sum = wire_fold(wire_sum(payload, size, 0));
    else
        sum = wire_fold(wire_sum(payload, size, wire_sum(pseudo, length + 8, 0)));
    put16(payload + at, sum == 0 && o->protocol == WIRE_PROTOCOL_UDP ? 0xffff : sum);
}

/* In pieces: from the last to the first each header would overwrite what is before it, so they go first to last and what
 * a header covers is saved. A HELD or DENIED first piece decides over all. */
static enum stack_sent send_fragments(struct stack *s, const struct outgoing *o, struct stack_packet *p,
                                      uint8_t *payload, uint32_t size, uint32_t mtu)
{
    const uint32_t front = ip_header_size(o->version) + (o->version == 6 ? FRAGMENT_HEADER : 0);
    const uint32_t most = (mtu - front) / 8 * 8, id = ++s->identification;
    enum stack_sent sent = STACK_SENT;

    for (uint32_t at = 0; at < size; at += most) {
        uint32_t n = size - at < most ? size - at : most, more = at + n < size;
        uint8_t saved[FRONT], *h = payload + at - front;

        memcpy(saved, h, front);
        write_header(o, payload + at, n, o->version == 4 ? at / 8 | more << 13 : at | more, true, id);
        p->bytes = h;
        p->size = front + n;
        sent = pass(s, p);
        memcpy(h, saved, front);
        if (sent == STACK_HELD || sent == STACK_DENIED)
            break;
        p->begins = false;
    }
    return sent;
}

enum stack_sent ip_send(struct stack *s, const struct outgoing *o, uint32_t size, uint32_t sum_at, int *why)
{
    struct stack_packet p = {.version = o->version, .socket = o->socket, .begins = o->begins};
    uint8_t *payload = s->scratch[s->sending] + FRONT, *h;
    uint32_t mtu = net_mtu(s, o->version, o->destination), header = ip_header_size(o->version);

    *why = 0;
    p.interface = net_route(s, o->version, o->destination);
    if (p.interface == 0) {
        *why = -ENETUNREACH;
        return STACK_SENT;
    }
    if (size + (o->version == 4 ? header : 0) > IP_LARGEST) {
        *why = -EMSGSIZE;
        return STACK_SENT;
    }
    if (sum_at != UINT32_MAX)
        write_sum(o, payload, size, sum_at);
    if (header + size > mtu && !(o->version == 4 && o->keep_whole))
        return send_fragments(s, o, &p, payload, size, mtu);
    h = write_header(o, payload, size, o->keep_whole ? 0x4000 : 0, false,
                     o->keep_whole ? 0 : ++s->identification);
    p.bytes = h;
    p.size = header + size;
    return pass(s, &p);
}

/* ---- forwarding ----------------------------------------------------------------------------------------- */

/* A packet of another's, above the MTU, that may be cut: options go with the first piece alone. */
static void forward_fragments(struct stack *s, const struct wire_packet *w, struct stack_packet *p,
                              uint32_t mtu)
{
    const uint8_t *ip = w->frame + w->ip_at;
    uint32_t at = 0, size = w->ip_length - w->ip_header_size, header = w->ip_header_size;

    while (at < size) {
        uint32_t most = (mtu - header) / 8 * 8, n = size - at < most ? size - at : most;
        bool more = at + n < size || (w->ip_flags & WIRE_IP_MORE_FRAGMENTS) != 0;
        uint8_t *payload = ip_begin(s, 4, 60 + n), *h = payload;

        if (h == NULL)
            return;
        memcpy(h, ip, header);
        h[0] = (uint8_t)(0x40 | header / 4);
        h[8] = (uint8_t)(w->ttl - 1);
        put16(h + 2, header + n);
        put16(h + 6, (w->fragment_offset + at) / 8 | (more ? 0x2000u : 0));
        put16(h + 10, 0);
        put16(h + 10, wire_fold(wire_sum(h, header, 0)));
        memcpy(h + header, ip + w->ip_header_size + at, n);
        p->bytes = h;
        p->size = header + n;
        pass(s, p);
        at += n;
        header = IP4_HEADER;
    }
}

void ip_forward(struct stack *s, const struct wire_packet *w)
{
    struct stack_packet p = {.version = w->version, .forwarded = true};
    const struct interface *i;
    uint8_t *h;

    if (wire_addr_is_multicast(w->version, &w->destination) ||
        net_is_broadcast(s, w->version, &w->destination) ||
        wire_addr_is_link_local(w->version, &w->destination) ||
        wire_addr_is_link_local(w->version, &w->source) ||
        wire_addr_is_loopback(w->version, &w->destination) || wire_addr_is_loopback(w->version, &w->source) ||
        wire_addr_is_unspecified(w->version, &w->source)) {
        s->counts.discarded++;
        return;
    }
    if (w->ttl <= 1) {
        icmp_tell(s, w, ICMP_HOPS, 0);
        return;
    }
    p.interface = net_route(s, w->version, &w->destination);
    i = net_interface(s, p.interface);
    if (i == NULL) {
        icmp_tell(s, w, ICMP_NO_ROUTE, 0);
        return;
    }
    if (w->ip_length > i->mtu) {
        if (w->version == 6 || (w->ip_flags & WIRE_IP_DONT_FRAGMENT) != 0)
            icmp_tell(s, w, ICMP_TOO_BIG, i->mtu);
        else
            forward_fragments(s, w, &p, i->mtu);
        return;
    }
    h = ip_begin(s, w->version, w->ip_length);
    if (h == NULL) {
        s->counts.discarded++;
        return;
    }
    memcpy(h, w->frame + w->ip_at, w->ip_length);
    if (w->version == 6) {
        h[7]--;
    } else {
        h[8]--;
        put16(h + 10, 0);
        put16(h + 10, wire_fold(wire_sum(h, w->ip_header_size, 0)));
    }
    p.bytes = h;
    p.size = w->ip_length;
    pass(s, &p);
}
