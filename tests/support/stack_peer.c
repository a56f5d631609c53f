/* SPDX-License-Identifier: Apache-2.0 */
#include "stack_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void put16(uint8_t *at, uint32_t v)
{
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
}

static void put32(uint8_t *at, uint32_t v)
{
    put16(at, v >> 16);
    put16(at + 2, v);
}

union wire_addr peer_address(uint8_t version, unsigned last)
{
    union wire_addr a = {0};

    if (version == 4) {
        a.v4 = 0x0a000000 + last;
    } else {
        a.v6[0] = 0xfd;
        a.v6[15] = (uint8_t)last;
    }
    return a;
}

static enum stack_sent on_send(void *ctx, const struct stack_packet *k)
{
    struct peer *p = ctx;
    struct peer_packet *at = &p->kept[p->sent++ % PEER_KEPT];

    assert_true(k->size <= sizeof(at->bytes));
    memcpy(at->bytes, k->bytes, k->size);
    wire_parse_ip(at->bytes, k->size, k->size, &at->w);
    assert_int_equal(at->w.fault, WIRE_OK);
    assert_int_equal(at->w.ip_length, k->size);
    assert_false(at->w.ip_checksum_wrong);
    assert_true(wire_verify(&at->w));
    at->interface = k->interface;
    at->socket = k->socket;
    at->begins = k->begins;
    at->forwarded = k->forwarded;
    if (p->sending != NULL)
        p->sending(p, k);
    return k->begins ? p->answer : STACK_SENT;
}

static void on_told(void *ctx, struct stack_socket *s, enum stack_event e)
{
    struct peer *p = ctx;

    p->events[e]++;
    if (p->told != NULL)
        p->told(p, s, e);
}

void peer_open(struct peer *p, const struct stack_config *config)
{
    struct stack_config c = config != NULL ? *config : (struct stack_config){.without = STACK_WITHOUT_STAMPS};

    memset(p, 0, sizeof(*p));
    p->now = 1000 * PEER_S;
    p->version = 4;
    p->port = 80;
    p->window = 65535;
    c.seed = c.seed != 0 ? c.seed : 7;
    c.start_ns = p->now;
    c.send = on_send;
    c.told = on_told;
    c.ctx = p;
    assert_int_equal(stack_create(&c, &p->stack), 0);
    assert_int_equal(stack_interface_add(p->stack, 1, 0), 0);
    for (uint8_t version = 4; version <= 6; version += 2) {
        union wire_addr a = peer_address(version, 1);

        assert_int_equal(stack_address_add(p->stack, 1, version, &a, version == 4 ? 24 : 64), 0);
    }
}

void peer_close(struct peer *p)
{
    stack_destroy(p->stack);
}

void peer_wait(struct peer *p, uint64_t ns)
{
    uint64_t until = p->now + ns, at;

    while ((at = stack_deadline(p->stack, NULL)) <= until) {
        p->now = at > p->now ? at : p->now;
        stack_advance(p->stack, p->now);
    }
    p->now = until;
    stack_advance(p->stack, until);
}

const struct peer_packet *peer_next(struct peer *p)
{
    assert_true(p->sent - p->looked <= PEER_KEPT);
    return p->looked < p->sent ? &p->kept[p->looked++ % PEER_KEPT] : NULL;
}

void peer_expect_nothing(struct peer *p)
{
    if (p->looked != p->sent) {
        const struct wire_packet *w = &peer_next(p)->w;

        fail_msg("unexpected: protocol %u flags %02x seq %u ack %u length %u type %u", w->protocol,
                 w->tcp_flags, w->tcp_seq, w->tcp_ack, w->data_length, w->icmp_type);
    }
}

const struct wire_packet *peer_expect(struct peer *p, unsigned flags, uint32_t seq, uint32_t ack,
                                      uint32_t length)
{
    const struct peer_packet *k = peer_next(p);

    assert_non_null(k);
    assert_int_equal(k->w.protocol, WIRE_PROTOCOL_TCP);
    if ((k->w.tcp_flags & ~WIRE_TCP_PSH) != flags || k->w.tcp_seq != seq ||
        ((flags & WIRE_TCP_ACK) != 0 && k->w.tcp_ack != ack) || k->w.data_length != length)
        fail_msg("flags %02x seq %u ack %u length %u, not %02x %u %u %u", k->w.tcp_flags, k->w.tcp_seq,
                 k->w.tcp_ack, k->w.data_length, flags, seq, ack, length);
    return &k->w;
}

uint32_t peer_write(uint8_t version, uint8_t protocol, const union wire_addr *from, const union wire_addr *to,
                    const void *payload, uint32_t size, uint32_t sum, uint8_t *out)
{
    uint32_t header = version == 4 ? 20 : 40;
    uint8_t pseudo[40] = {0}, *h = out;

    assert_true(header + size <= 1600);
    memset(h, 0, header);
    memcpy(h + header, payload, size);
    if (version == 4) {
        h[0] = 0x45;
        put16(h + 2, header + size);
        h[8] = 64;
        h[9] = protocol;
        put32(h + 12, from->v4);
        put32(h + 16, to->v4);
        put16(h + 10, wire_fold(wire_sum(h, 20, 0)));
        memcpy(pseudo, h + 12, 8);
    } else {
        h[0] = 0x60;
        put16(h + 4, size);
        h[6] = protocol;
        h[7] = 64;
        memcpy(h + 8, from->v6, 16);
        memcpy(h + 24, to->v6, 16);
        memcpy(pseudo, h + 8, 32);
    }
    put32(pseudo + (version == 4 ? 8 : 32), size);
    put32(pseudo + (version == 4 ? 12 : 36), protocol);
    if (sum != UINT32_MAX) {
        put16(h + header + sum, 0);
        put16(h + header + sum,
              wire_fold(wire_sum(
                  h + header, size,
                  protocol == WIRE_PROTOCOL_ICMP ? 0 : wire_sum(pseudo, version == 4 ? 16 : 40, 0))));
    }
    return header + size;
}

void peer_ip(struct peer *p, uint8_t version, uint8_t protocol, const union wire_addr *from,
             const union wire_addr *to, const void *payload, uint32_t size, uint32_t sum)
{
    uint8_t bytes[1600];
    uint32_t n = peer_write(version, protocol, from, to, payload, size, sum, bytes);

    stack_input(p->stack, 1, bytes, n);
}

void peer_tcp(struct peer *p, unsigned flags, uint32_t seq, uint32_t ack, const void *data, uint32_t size)
{
    union wire_addr from = peer_address(p->version, 2), to = peer_address(p->version, 1);
    uint8_t h[1560] = {0};
    uint32_t header = 20 + p->option_size;

    assert_true(size <= sizeof(h) - header);
    put16(h, p->port);
    put16(h + 2, p->own_port);
    put32(h + 4, seq);
    put32(h + 8, ack);
    h[12] = (uint8_t)(header / 4 << 4);
    h[13] = (uint8_t)flags;
    put16(h + 14, p->window);
    memcpy(h + 20, p->options, p->option_size);
    if (size != 0)
        memcpy(h + header, data, size);
    p->option_size = 0;
    peer_ip(p, p->version, WIRE_PROTOCOL_TCP, &from, &to, h, header + size, 16);
}

struct stack_socket *peer_socket(struct peer *p, uint8_t version, uint8_t protocol)
{
    struct stack_socket *s;

    assert_int_equal(stack_open(p->stack, version, protocol, NULL, &s), 0);
    return s;
}

struct stack_socket *peer_connect(struct peer *p, uint8_t version, uint32_t *iss)
{
    union wire_addr to = peer_address(version, 2);
    struct stack_socket *s = peer_socket(p, version, WIRE_PROTOCOL_TCP);
    const struct peer_packet *k;

    p->version = version;
    assert_int_equal(stack_connect(s, &to, p->port), 0);
    k = peer_next(p);
    assert_non_null(k);
    assert_int_equal(k->w.tcp_flags, WIRE_TCP_SYN);
    assert_true(k->begins);
    *iss = k->w.tcp_seq;
    p->own_port = k->w.source_port;
    peer_tcp(p, WIRE_TCP_SYN | WIRE_TCP_ACK, PEER_ISS, *iss + 1, NULL, 0);
    peer_expect(p, WIRE_TCP_ACK, *iss + 1, PEER_ISS + 1, 0);
    assert_int_equal(stack_state(s), STACK_CONNECTED);
    return s;
}
