/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The window of frames read ahead, and what it teaches: whether somebody waited where a frame asks.
 *
 * A frame that asks (a SYN to this host, a datagram to it) is refused if the window shows the refusal: the
 * same tuple's RST from this host with no SYN-ACK in between, or its ICMP "port unreachable" (for other
 * protocols "protocol unreachable") that quotes it. A frame without an answer of its own, to a port that
 * refused another in the window, is refused too, unless the port has shown somebody since. Everything else is
 * taken to be waited for. All tables are of fixed size; a place that is taken over forgets, which means
 * "waited for".
 */
#include "capture_inside.h"
#include "replay_inside.h"

#define SLOT(n) ((n) % WINDOW)

static uint64_t mix(uint64_t x)
{
    x ^= x >> 32;
    x *= 0x9e3779b97f4a7c15ull;
    return x ^ x >> 29;
}

static uint64_t mix_address(const union wire_addr *a)
{
    return mix(a->word[0] + 0x9e3779b9) ^ a->word[1];
}

/* From who asks to who is asked. */
struct tuple {
    uint8_t version, protocol;
    const union wire_addr *from, *to;
    uint16_t from_port, to_port;
};

static size_t tuple_chain(const struct tuple *t)
{
    uint64_t x = mix_address(t->from) * 3 + mix_address(t->to);
    return mix(x + ((uint64_t)t->from_port << 32 | (uint64_t)t->to_port << 8 | t->protocol)) % WINDOW_CHAINS;
}

static bool tuple_is(const struct tuple *t, const struct wire_packet *p)
{
    return t->version == p->version && t->protocol == p->protocol && t->from_port == p->source_port &&
           t->to_port == p->destination_port && wire_addr_equal(t->from, &p->source) &&
           wire_addr_equal(t->to, &p->destination);
}

static struct tuple asks(const struct wire_packet *p)
{
    return (struct tuple){p->version,      p->protocol,    &p->source,
                          &p->destination, p->source_port, p->destination_port};
}

/* Of the frames that this one answers. */
static struct tuple answers(const struct wire_packet *p)
{
    return (struct tuple){p->version, p->protocol,         &p->destination,
                          &p->source, p->destination_port, p->source_port};
}

/* ---- ports that refused -------------------------------------------------------------------------------- */

static size_t port_place(uint8_t version, uint8_t protocol, const union wire_addr *a, uint16_t port)
{
    return mix(mix_address(a) + ((uint64_t)port << 16 | (uint64_t)protocol << 8 | version)) % WINDOW_PORTS;
}

static bool port_is(const struct refusal *r, uint8_t version, uint8_t protocol, const union wire_addr *a,
                    uint16_t port)
{
    return r->refused != 0 && r->version == version && r->protocol == protocol && r->port == port &&
           wire_addr_equal(&r->address, a);
}

static void port_refused(struct window *w, uint64_t n, const struct tuple *t)
{
    w->refusals = true;
    w->ports[port_place(t->version, t->protocol, t->to, t->to_port)] = (struct refusal){
        .address = *t->to,
        .port = t->to_port,
        .version = t->version,
        .protocol = t->protocol,
        .refused = n + 1,
    };
}

/* This host sends from the port: somebody is there. */
static void port_shown(struct window *w, uint64_t n, const struct wire_packet *p)
{
    struct refusal *r;

    if (!w->refusals)
        return;
    r = &w->ports[port_place(p->version, p->protocol, &p->source, p->source_port)];
    if (port_is(r, p->version, p->protocol, &p->source, p->source_port))
        r->accepted = n + 1;
}

/* ---- learning ------------------------------------------------------------------------------------------ */

static void chain(struct window *w, uint64_t n, const struct tuple *t)
{
    uint64_t *first = &w->chains[tuple_chain(t)];

    w->before[SLOT(n)] = *first;
    *first = n + 1;
}

/* Frame n refuses what came with this tuple, as far back as nobody was there. */
static void refuse(struct window *w, uint64_t n, const struct tuple *t)
{
    bool any = false;

    for (uint64_t at = w->chains[tuple_chain(t)]; at > w->tail; at = w->before[SLOT(at - 1)]) {
        const struct wire_packet *p = &w->wires[SLOT(at - 1)];
        if (!tuple_is(t, p)) {
            struct tuple back = answers(p);
            if (t->protocol == WIRE_PROTOCOL_TCP && p->protocol == t->protocol &&
                (p->tcp_flags & WIRE_TCP_ACK) && tuple_chain(&back) == tuple_chain(t) &&
                back.version == t->version && back.from_port == t->from_port && back.to_port == t->to_port &&
                wire_addr_equal(back.from, t->from) && wire_addr_equal(back.to, t->to))
                return; /* a connection that is reset */
            continue;
        }
        w->answers[SLOT(at - 1)] = ANSWER_REFUSED;
        any = true;
    }
    if (any)
        port_refused(w, n, t);
}

static void learn_tcp(struct window *w, uint64_t n, const struct wire_packet *p, const struct host *h)
{
    struct tuple t;

    switch (p->tcp_flags & (WIRE_TCP_SYN | WIRE_TCP_ACK | WIRE_TCP_RST)) {
    case WIRE_TCP_SYN:
        if (host_is_local(h, p->version, &p->destination)) {
            t = asks(p);
            chain(w, n, &t);
        }
        break;
    case WIRE_TCP_SYN | WIRE_TCP_ACK:
        if (host_is_local(h, p->version, &p->source)) {
            t = answers(p);
            chain(w, n, &t);
            port_shown(w, n, p);
        }
        break;
    case WIRE_TCP_RST:
    case WIRE_TCP_RST | WIRE_TCP_ACK:
        if (host_is_local(h, p->version, &p->source)) {
            t = answers(p);
            refuse(w, n, &t);
        }
        break;
    }
}

static void learn_unreachable(struct window *w, uint64_t n, const struct wire_packet *p, const struct host *h)
{
    static const struct {
        uint8_t protocol, type, code;
        bool port; /* of TCP or UDP; else the protocol as such */
    } refusals[] = {
        {WIRE_PROTOCOL_ICMP, 3, 3, true},
        {WIRE_PROTOCOL_ICMP, 3, 2, false},
        {WIRE_PROTOCOL_ICMPV6, 1, 4, true},
        {WIRE_PROTOCOL_ICMPV6, 4, 1, false},
    };
    struct wire_packet quote;

    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        if (refusals[i].protocol != p->protocol || refusals[i].type != p->icmp_type ||
            refusals[i].code != p->icmp_code)
            continue;
        if (!host_is_local(h, p->version, &p->source) || !wire_icmp_quote(p, &quote) ||
            (refusals[i].port && quote.reached != WIRE_TRANSPORT) ||
            !host_is_local(h, quote.version, &quote.destination))
            return;
        struct tuple t = asks(&quote);
        if (!refusals[i].port)
            t.from_port = t.to_port = 0;
        refuse(w, n, &t);
        return;
    }
}

static __attribute__((noinline)) void learn(struct window *w, uint64_t n, const struct host *h)
{
    const struct wire_packet *p = &w->wires[SLOT(n)];

    if (p->version == 0 || (p->fragment && p->fragment_offset != 0))
        return;
    switch (p->protocol) {
    case WIRE_PROTOCOL_TCP:
        if (p->reached == WIRE_TRANSPORT && (p->tcp_flags & (WIRE_TCP_SYN | WIRE_TCP_RST)))
            learn_tcp(w, n, p, h);
        return;
    case WIRE_PROTOCOL_ICMP:
    case WIRE_PROTOCOL_ICMPV6:
        if (p->reached == WIRE_TRANSPORT && wire_is_icmp_error(p))
            learn_unreachable(w, n, p, h);
        return;
    case WIRE_PROTOCOL_UDP:
        if (p->reached != WIRE_TRANSPORT)
            return;
        port_shown(w, n, p);
        break;
    }
    if (host_is_local(h, p->version, &p->destination)) {
        struct tuple t = asks(p);
        chain(w, n, &t);
    }
}

void window_learn(struct window *w, const struct host *h)
{
    for (; w->learned < w->head; w->learned++) {
        const struct wire_packet *p = &w->wires[SLOT(w->learned)];

        w->answers[SLOT(w->learned)] = ANSWER_NONE;
        if (p->protocol != WIRE_PROTOCOL_TCP || (p->tcp_flags & (WIRE_TCP_SYN | WIRE_TCP_RST)) != 0)
            learn(w, w->learned, h);
    }
}

bool window_listening(const struct window *w, uint8_t version, uint8_t protocol, const union wire_addr *local,
                      uint16_t port)
{
    const struct wire_packet *p = &w->wires[SLOT(w->tail)];

    if (w->answers[SLOT(w->tail)] == ANSWER_REFUSED && p->version == version && p->protocol == protocol &&
        p->destination_port == port && wire_addr_equal(&p->destination, local))
        return false;
    const struct refusal *r = &w->ports[port_place(version, protocol, local, port)];
    return !port_is(r, version, protocol, local, port) || r->refused <= w->tail || r->accepted > w->tail;
}

/* ---- reading ------------------------------------------------------------------------------------------- */

enum host_way frame_way(const struct capture_packet *p, const struct wire_packet *w)
{
    if (p->way != CAPTURE_WAY_UNKNOWN)
        return p->way == CAPTURE_WAY_IN ? HOST_WAY_IN : HOST_WAY_OUT;
    switch (w->cooked) {
    case WIRE_COOKED_FROM_US:
        return HOST_WAY_OUT;
    case WIRE_COOKED_TO_US:
    case WIRE_COOKED_BROADCAST:
    case WIRE_COOKED_MULTICAST:
        return HOST_WAY_IN;
    }
    return HOST_WAY_UNKNOWN;
}

void window_read(struct window *w)
{
    struct capture *c = w->capture;
    struct capture_packet *p = &w->packets[SLOT(w->head)];
    struct wire_packet *wire = &w->wires[SLOT(w->head)];
    struct host_frame *f = &w->frames[SLOT(w->head)];
    uint64_t number;

    if (w->ended)
        return;
    if (__builtin_expect(!capture_pcap_plain(c, p), 0) && (w->result = capture_next(c, p, &w->error)) <= 0) {
        w->ended = true;
        return;
    }
    wire_parse(c->interfaces[p->interface]->is.link_type, p->bytes, p->captured, p->length, wire);
    number = p->number;
    __asm__("" : "+r"(number)); /* both in one load would wait until what was just stored has left the core */
    f->packet = wire;
    f->number = number;
    f->time_ns = p->time_ns;
    f->interface_index = p->interface + 1;
    f->way = frame_way(p, wire);
    f->follows = false;
    w->head++;
}
