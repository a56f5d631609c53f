/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is not TCP: UDP, groups, echo, ICMP errors both ways, fragments, forwarding, what a held datagram does, and calls from
 * within callbacks. Packet by packet, as in stack_tcp.c.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stack_peer.h"
#include "stack_pipe.h"

static const union wire_addr any;
static struct peer lab;

static int open_lab(void **state)
{
    *state = &lab;
    peer_open(&lab, NULL);
    return 0;
}

static int close_lab(void **state)
{
    (void)state;
    peer_close(&lab);
    return 0;
}

static uint8_t icmp_of(uint8_t version)
{
    return version == 4 ? WIRE_PROTOCOL_ICMP : WIRE_PROTOCOL_ICMPV6;
}

static void from_peer(struct peer *p, uint8_t version, const union wire_addr *to, uint16_t from_port,
                      uint16_t port, const char *text)
{
    union wire_addr from = peer_address(version, 2);
    uint8_t h[600] = {(uint8_t)(from_port >> 8), (uint8_t)from_port, (uint8_t)(port >> 8), (uint8_t)port};
    uint32_t size = 8 + (uint32_t)strlen(text);

    h[4] = (uint8_t)(size >> 8);
    h[5] = (uint8_t)size;
    memcpy(h + 8, text, strlen(text));
    peer_ip(p, version, WIRE_PROTOCOL_UDP, &from, to, h, size, 6);
}

static struct stack_socket *bound(struct peer *p, uint8_t version, uint8_t protocol, const union wire_addr *a,
                                  uint16_t port)
{
    struct stack_socket *s = peer_socket(p, version, protocol);

    assert_int_equal(stack_bind(s, a, port, false), 0);
    return s;
}

static void receives(struct stack_socket *s, const char *text, uint16_t from_port)
{
    char got[100];
    uint16_t port = 0;
    long n = stack_receive(s, got, sizeof(got), NULL, &port);

    assert_int_equal(n, strlen(text));
    assert_memory_equal(got, text, strlen(text));
    assert_int_equal(port, from_port);
}

static void receives_nothing(struct stack_socket *s)
{
    char got[100];

    assert_int_equal(stack_receive(s, got, sizeof(got), NULL, NULL), -EAGAIN);
}

/* ---- UDP ------------------------------------------------------------------------------------------------ */

static void datagrams_find_their_socket(void **state)
{
    struct peer *p = *state;

    for (uint8_t version = 4; version <= 6; version += 2) {
        union wire_addr own = peer_address(version, 1), to = peer_address(version, 2);
        struct stack_socket *wide = bound(p, version, WIRE_PROTOCOL_UDP, &any, 1000);
        struct stack_socket *c = bound(p, version, WIRE_PROTOCOL_UDP, &own, 53);
        const struct peer_packet *k;

        from_peer(p, version, &own, 7, 1000, "wide");
        from_peer(p, version, &own, 8, 53, "narrow");
        receives(wide, "wide", 7);
        receives(c, "narrow", 8);
        receives_nothing(wide);
        assert_int_equal(stack_connect(c, &to, 9), 0);
        assert_int_equal(stack_state(c), STACK_CONNECTED);
        from_peer(p, version, &own, 8, 53, "not its peer");
        receives_nothing(c);
        k = peer_next(p); /* port unreachable */
        assert_non_null(k);
        assert_int_equal(k->w.protocol, icmp_of(version));
        from_peer(p, version, &own, 9, 53, "its peer");
        receives(c, "its peer", 9);
        assert_int_equal(stack_send(c, "answer", 6), 6);
        k = peer_next(p);
        assert_true(k->begins && k->socket == c && k->w.source_port == 53 && k->w.destination_port == 9);
        assert_int_equal(stack_send(c, "answer", 6), 6);
        assert_false(peer_next(p)->begins);
        assert_int_equal(stack_send_to(wide, &to, 9, "other", 5), 5);
        k = peer_next(p);
        assert_true(k->begins && wire_addr_equal(&k->w.source, &own));
        assert_int_equal(stack_send(wide, "nowhere", 7), -ENOTCONN);
        from_peer(p, version, &own, 7, 1000, "cut off");
        {
            char three[3];

            assert_int_equal(stack_receive(wide, three, 3, NULL, NULL), 3);
            receives_nothing(wide);
        }
        stack_close(wide);
        stack_close(c);
    }
    peer_expect_nothing(p);
}

static void closed_port_and_who_hears_of_it(void **state)
{
    struct peer *p = *state;

    for (uint8_t version = 4; version <= 6; version += 2) {
        union wire_addr own = peer_address(version, 1), to = peer_address(version, 2);
        struct stack_socket *s = peer_socket(p, version, WIRE_PROTOCOL_UDP);
        uint8_t icmp[100] = {version == 4 ? 3 : 1, version == 4 ? 3 : 4};
        const struct peer_packet *k;
        struct wire_packet quoted;

        from_peer(p, version, &own, 5, 99, "anybody?");
        k = peer_next(p);
        assert_non_null(k);
        assert_int_equal(k->w.icmp_type, icmp[0]);
        assert_int_equal(k->w.icmp_code, icmp[1]);
        assert_true(wire_icmp_quote(&k->w, &quoted));
        assert_int_equal(quoted.destination_port, 99);

        assert_int_equal(stack_connect(s, &to, 99), 0);
        assert_int_equal(stack_send(s, "anybody?", 8), 8);
        k = peer_next(p);
        memcpy(icmp + 8, k->bytes, k->w.captured);
        peer_ip(p, version, icmp_of(version), &to, &own, icmp, 8 + k->w.captured, 2);
        assert_int_equal(stack_receive(s, icmp, 1, NULL, NULL), -ECONNREFUSED);
        receives_nothing(s); /* it is told once */
        /* No error about an error, nor about what came for many. */
        peer_ip(p, version, icmp_of(version), &to, &own, icmp, 8 + k->w.captured, 2);
        peer_expect_nothing(p);
    }
    from_peer(p, 4, &(union wire_addr){.v4 = 0x0a0000ff}, 5, 99, "many");
    from_peer(p, 4, &(union wire_addr){.v4 = 0xe0000001}, 5, 99, "many");
    peer_expect_nothing(p);
}

static void groups_and_broadcast(void **state)
{
    struct peer *p = *state;
    union wire_addr group = {.v4 = 0xe00000fb}, cast = {.v4 = 0x0a0000ff},
                    six = {.v6 = {0xff, 2, [15] = 0xfb}};
    struct stack_socket *a = bound(p, 4, WIRE_PROTOCOL_UDP, &any, 5353),
                        *b = peer_socket(p, 4, WIRE_PROTOCOL_UDP);
    struct stack_socket *c = bound(p, 6, WIRE_PROTOCOL_UDP, &any, 5353);

    assert_int_equal(stack_bind(b, &any, 5353, true), -EADDRINUSE);
    from_peer(p, 4, &group, 5353, 5353, "before");
    receives_nothing(a);
    assert_int_equal(stack_membership(a, &group, true), 0);
    assert_int_equal(stack_membership(a, &group, true), -EADDRINUSE);
    assert_int_equal(stack_membership(a, &cast, true), -EINVAL);
    assert_int_equal(stack_membership(c, &six, true), 0);
    from_peer(p, 4, &group, 5353, 5353, "group");
    from_peer(p, 6, &six, 5353, 5353, "six");
    from_peer(p, 4, &cast, 5353, 5353, "all");
    receives(a, "group", 5353);
    receives(a, "all", 5353);
    receives(c, "six", 5353);
    assert_int_equal(stack_membership(a, &group, false), 0);
    from_peer(p, 4, &group, 5353, 5353, "after");
    receives_nothing(a);
    assert_int_equal(stack_send_to(a, &group, 5353, "out", 3), 3);
    assert_int_equal(peer_next(p)->interface, 1);
}

static void held_datagrams(void **state)
{
    struct peer *p = *state;
    union wire_addr to = peer_address(4, 2);
    struct stack_socket *s = peer_socket(p, 4, WIRE_PROTOCOL_UDP);
    const struct peer_packet *k;

    p->answer = STACK_HELD;
    assert_int_equal(stack_send_to(s, &to, 53, "one", 3), 3);
    assert_true(peer_next(p)->begins && stack_is_held(s));
    assert_int_equal(stack_send_to(s, &to, 53, "two", 3), 3);
    peer_expect_nothing(p);
    stack_resume(s, true);
    k = peer_next(p);
    assert_true(k != NULL && !k->begins && memcmp(k->bytes + 28, "one", 3) == 0);
    k = peer_next(p);
    assert_true(k != NULL && !k->begins && memcmp(k->bytes + 28, "two", 3) == 0);
    assert_false(stack_is_held(s));
    assert_int_equal(stack_send_to(s, &to, 54, "no", 2), 2);
    (void)peer_next(p);
    stack_resume(s, false);
    peer_expect_nothing(p);
    assert_int_equal(stack_send_to(s, &to, 54, "again", 5), -EACCES);
    p->answer = STACK_DENIED;
    assert_int_equal(stack_send_to(s, &to, 55, "never", 5), -EACCES);
    p->answer = STACK_SENT;
    assert_int_equal(stack_send_to(s, &to, 56, "ever", 4), 4);
}

/* ---- echo, raw ------------------------------------------------------------------------------------------ */

static void echo_both_ways(void **state)
{
    struct peer *p = *state;

    for (uint8_t version = 4; version <= 6; version += 2) {
        union wire_addr own = peer_address(version, 1), to = peer_address(version, 2);
        uint8_t request = version == 4 ? 8 : 128, reply = version == 4 ? 0 : 129;
        uint8_t message[12] = {request, 0, 0, 0, 1, 2, 3, 4, 'p', 'i', 'n', 'g'};
        struct stack_socket *s = peer_socket(p, version, icmp_of(version));
        const struct peer_packet *k;

        peer_ip(p, version, icmp_of(version), &to, &own, message, 12, 2);
        k = peer_next(p);
        assert_int_equal(k->w.icmp_type, reply);
        assert_int_equal(k->w.icmp_id, 0x0102);
        assert_memory_equal(k->bytes + k->w.data_at, "ping", 4);
        assert_true(wire_addr_equal(&k->w.source, &own));

        assert_int_equal(stack_connect(s, &to, 0), 0);
        for (uint16_t i = 0; i < 2; i++) {
            assert_int_equal(stack_send(s, "data", 4), 4);
            k = peer_next(p);
            assert_int_equal(k->w.icmp_type, request);
            assert_int_equal(k->w.icmp_sequence, i);
            memcpy(message, k->bytes + k->w.transport_at, 12);
            message[0] = reply;
            peer_ip(p, version, icmp_of(version), &to, &own, message, 12, 2);
            receives(s, "data", i);
        }
        message[5] ^= 1; /* somebody else's */
        peer_ip(p, version, icmp_of(version), &to, &own, message, 12, 2);
        receives_nothing(s);
    }
    peer_expect_nothing(p);
}

static void raw_and_unknown_protocols(void **state)
{
    struct peer *p = *state;

    for (uint8_t version = 4; version <= 6; version += 2) {
        union wire_addr own = peer_address(version, 1), to = peer_address(version, 2);
        struct stack_socket *s;
        const struct peer_packet *k;

        peer_ip(p, version, 132, &to, &own, "payload", 7, UINT32_MAX);
        k = peer_next(p);
        assert_int_equal(k->w.icmp_type, version == 4 ? 3 : 4);
        assert_int_equal(k->w.icmp_code, version == 4 ? 2 : 1);
        s = bound(p, version, 132, &any, 0);
        peer_ip(p, version, 132, &to, &own, "payload", 7, UINT32_MAX);
        receives(s, "payload", 0);
        assert_int_equal(stack_send_to(s, &to, 0, "back", 4), 4);
        k = peer_next(p);
        assert_int_equal(k->w.protocol, 132);
        assert_memory_equal(k->bytes + k->w.data_at, "back", 4);
    }
    peer_expect_nothing(p);
}

/* ---- fragments ------------------------------------------------------------------------------------------ */

/* Datagrams above the MTU, through a wire that turns their pieces round and repeats them. */
static void large_datagrams(void **state)
{
    static uint8_t data[60000], got[65535];

    (void)state;
    for (uint32_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 7 + i / 251);
    for (unsigned run = 0; run < 40; run++) {
        uint8_t version = run % 2 == 0 ? 4 : 6;
        union wire_addr to = pipe_address(version, 1);
        struct stack_socket *s[2];
        struct pipe l;
        uint32_t size;

        pipe_open(&l, run + 1, NULL, NULL);
        l.chaos = (struct pipe_chaos){.reorder = 500, .repeat = 300};
        s[0] = pipe_socket(&l, 0, version, WIRE_PROTOCOL_UDP);
        s[1] = pipe_socket(&l, 1, version, WIRE_PROTOCOL_UDP);
        assert_int_equal(stack_bind(s[1], &any, 9, false), 0);
        for (unsigned i = 0; i < 3; i++) {
            size = 1400 + pipe_random(&l, sizeof(data) - 1400);
            assert_int_equal(stack_send_to(s[0], &to, 9, data, size), size);
            pipe_run(&l, PIPE_S);
            assert_int_equal(stack_receive(s[1], got, sizeof(got), NULL, NULL), size);
            assert_memory_equal(got, data, size);
        }
        /* One that misses a piece is given up, and its sender is told. */
        l.chaos = (struct pipe_chaos){.lose = 500};
        while (l.lost == 0 || l.lost == l.carried) {
            l.carried = l.lost = 0;
            assert_int_equal(stack_send_to(s[0], &to, 9, data, 5000), 5000);
        }
        l.chaos = (struct pipe_chaos){0};
        pipe_run(&l, 120 * PIPE_S);
        assert_int_equal(stack_deadline(l.end[1].stack, NULL), UINT64_MAX);
        pipe_close(&l);
    }
}

/* A piece of a UDP datagram to port 9. */
static void fragment(struct peer *p, uint32_t offset, bool more, const void *bytes, uint32_t size)
{
    union wire_addr from = peer_address(4, 2), to = peer_address(4, 1);
    uint8_t out[1600];
    uint32_t n = peer_write(4, WIRE_PROTOCOL_UDP, &from, &to, bytes, size, UINT32_MAX, out);

    out[5] = 77;
    out[6] = (uint8_t)(offset / 8 >> 8 | (more ? 0x20 : 0));
    out[7] = (uint8_t)(offset / 8);
    out[10] = out[11] = 0;
    n = (n & 0xffff) | (uint32_t)wire_fold(wire_sum(out, 20, 0)) << 16;
    out[10] = (uint8_t)(n >> 24);
    out[11] = (uint8_t)(n >> 16);
    stack_input(p->stack, 1, out, n & 0xffff);
}

static void overlaps_poison(void **state)
{
    struct peer *p = *state;
    struct stack_socket *s = bound(p, 4, WIRE_PROTOCOL_UDP, &any, 9);
    uint8_t whole[24] = {0, 5, 0, 9, 0, 24, 0, 0, "16 bytes of data"[0]};
    uint64_t acts;

    fragment(p, 0, true, whole, 16);
    fragment(p, 0, true, whole, 16); /* the same again */
    fragment(p, 16, false, whole + 16, 8);
    assert_int_equal(stack_receive(s, whole, 1, NULL, NULL), 1);
    assert_int_equal(stack_deadline(p->stack, NULL), UINT64_MAX);
    for (unsigned how = 0; how < 3; how++) {
        uint8_t other[24];

        memcpy(other, whole, 24);
        other[9] ^= 1;
        fragment(p, 0, true, whole, 16);
        if (how == 0)
            fragment(p, 8, true, whole + 8, 16); /* overlaps */
        else if (how == 1)
            fragment(p, 0, true, other, 16); /* says otherwise */
        else {
            fragment(p, 32, false, whole, 8);
            fragment(p, 16, false, whole + 16, 8); /* another end */
        }
        fragment(p, 16, false, whole + 16, 8);
        receives_nothing(s);
        assert_int_equal(stack_deadline(p->stack, &acts), p->now + 60 * PEER_S);
        assert_int_equal(acts, UINT64_MAX); /* it only lasts */
        peer_wait(p, 60 * PEER_S);
        assert_int_equal(stack_deadline(p->stack, NULL), UINT64_MAX);
        peer_expect_nothing(p); /* who does such things is not told */
    }
    fragment(p, 0, true, whole, 16);
    peer_wait(p, 60 * PEER_S);
    assert_int_equal(p->kept[p->sent - 1].w.icmp_type, 11);
    assert_int_equal(p->kept[p->sent - 1].w.icmp_code, 1);
}

/* ---- forwarding ----------------------------------------------------------------------------------------- */

static void routers(void **state)
{
    struct stack_config c = {.forwarding = true};
    struct peer p;

    (void)state;
    peer_open(&p, &c);
    assert_int_equal(stack_interface_add(p.stack, 2, 1280), 0);
    for (uint8_t version = 4; version <= 6; version += 2) {
        union wire_addr second = peer_address(version, 1), from = peer_address(version, 2), to, own;
        uint8_t out[1600], payload[1480] = {0, 5, 0, 9, 5, 0xc8};
        const struct peer_packet *k;
        struct wire_packet quoted;
        uint32_t n;

        if (version == 4)
            second.v4 += 0x10000;
        else
            second.v6[7] = 1;
        own = second;
        to = second;
        *(version == 4 ? (uint8_t *)&to.v4 : &to.v6[15]) += 1;
        assert_int_equal(stack_address_add(p.stack, 2, version, &own, version == 4 ? 24 : 64), 0);
        /* On it goes, one hop less. */
        n = peer_write(version, 17, &from, &to, payload, 100, UINT32_MAX, out);
        payload[4] = 0;
        payload[5] = 100;
        n = peer_write(version, 17, &from, &to, payload, 100, 6, out);
        stack_input(p.stack, 1, out, n);
        k = peer_next(&p);
        assert_true(k != NULL && k->forwarded && k->interface == 2 && k->w.ttl == 63 && k->socket == NULL);
        assert_memory_equal(k->bytes + k->w.transport_at, out + k->w.transport_at, 100);
        /* Its hops are used up. */
        out[version == 4 ? 8 : 7] = 1;
        if (version == 4) {
            out[10] = out[11] = 0;
            uint16_t sum = wire_fold(wire_sum(out, 20, 0));
            out[10] = (uint8_t)(sum >> 8);
            out[11] = (uint8_t)sum;
        }
        stack_input(p.stack, 1, out, n);
        k = peer_next(&p);
        assert_int_equal(k->w.icmp_type, version == 4 ? 11 : 3);
        assert_true(wire_addr_equal(&k->w.destination, &from) && k->interface == 1);
        /* Too large for the second wire: told, or in pieces. */
        payload[4] = 1400 >> 8;
        payload[5] = 1400 & 0xff;
        n = peer_write(version, 17, &from, &to, payload, 1400, 6, out);
        stack_input(p.stack, 1, out, n);
        k = peer_next(&p);
        if (version == 6) {
            assert_int_equal(k->w.icmp_type, 2);
            assert_int_equal(k->bytes[k->w.transport_at + 6] << 8 | k->bytes[k->w.transport_at + 7], 1280);
            assert_true(wire_icmp_quote(&k->w, &quoted));
        } else {
            assert_int_equal(k->w.ip_length, 1276);
            assert_true(k->w.fragment && k->forwarded);
            k = peer_next(&p);
            assert_int_equal(k->w.ip_length, 20 + 1400 - 1256);
            assert_int_equal(k->w.fragment_offset, 1256);
        }
        /* Nowhere. */
        to = peer_address(version, 9);
        *(version == 4 ? (uint8_t *)&to.v4 + 3 : &to.v6[0]) = 0x20;
        n = peer_write(version, 17, &from, &to, payload, 1400, 6, out);
        stack_input(p.stack, 1, out, n);
        k = peer_next(&p);
        assert_int_equal(k->w.icmp_type, version == 4 ? 3 : 1);
        assert_int_equal(k->w.icmp_code, 0);
        /* For many: not at all. */
        to = version == 4 ? (union wire_addr){.v4 = 0xe1020304} : (union wire_addr){.v6 = {0xff, 5}};
        n = peer_write(version, 17, &from, &to, payload, 1400, 6, out);
        stack_input(p.stack, 1, out, n);
        peer_expect_nothing(&p);
    }
    peer_close(&p);
}

/* ---- packets that are wrong, interfaces, callbacks ------------------------------------------------------- */

static void broken_packets_go(void **state)
{
    struct peer *p = *state;
    union wire_addr own = peer_address(4, 1), from = peer_address(4, 2);
    struct stack_socket *s = bound(p, 4, WIRE_PROTOCOL_UDP, &any, 9);
    uint8_t out[1600], payload[12] = {0, 5, 0, 9, 0, 12, 0, 0, 'd', 'a', 't', 'a'};
    struct stack_counts counts;
    uint32_t n = peer_write(4, 17, &from, &own, payload, 12, 6, out);

    for (uint32_t at = 0; at < n; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            out[at] ^= (uint8_t)(1 << bit);
            stack_input(p->stack, 1, out, n);
            out[at] ^= (uint8_t)(1 << bit);
        }
        stack_input(p->stack, 1, out, at); /* cut */
    }
    receives_nothing(s);
    peer_expect_nothing(p);
    stack_counts(p->stack, &counts);
    assert_int_equal(counts.discarded, 9 * n);
    stack_input(p->stack, 1, out, n);
    receives(s, "data", 5);
    from.v4 = 0xffffffff; /* nobody sends from there */
    n = peer_write(4, 17, &from, &own, payload, 12, 6, out);
    stack_input(p->stack, 1, out, n);
    receives_nothing(s);
}

static void interfaces_and_routes(void **state)
{
    struct peer *p = *state;
    union wire_addr far = {.v4 = 0x08080808}, near = {.v4 = 0x0a000063}, a = {.v4 = 0xc0a80001},
                    net = {.v4 = 0x08080800};
    struct stack_socket *s = peer_socket(p, 4, WIRE_PROTOCOL_UDP);

    assert_int_equal(stack_interface_add(p->stack, 1, 0), -EEXIST);
    assert_int_equal(stack_interface_add(p->stack, 0, 0), -EINVAL);
    assert_int_equal(stack_interface_add(p->stack, 3, 1279), -EINVAL);
    assert_int_equal(stack_address_add(p->stack, 3, 4, &a, 24), -ENOENT);
    assert_int_equal(stack_address_add(p->stack, 1, 4, &a, 33), -EINVAL);
    assert_int_equal(stack_route_add(p->stack, 1, 5, &a, 3), -EINVAL);
    assert_int_equal(stack_send_to(s, &far, 1, "x", 1), -ENETUNREACH);
    assert_int_equal(stack_interface_add(p->stack, 3, 0), 0);
    assert_int_equal(stack_address_add(p->stack, 3, 4, &a, 24), 0);
    assert_int_equal(stack_route_add(p->stack, 1, 4, &any, 0), 0);
    assert_int_equal(stack_route_add(p->stack, 3, 4, &net, 24), 0);
    assert_int_equal(stack_send_to(s, &far, 1, "x", 1), 1);
    assert_true(p->kept[0].interface == 3 && p->kept[0].w.source.v4 == a.v4);
    far.v4 = 0x08080908;
    assert_int_equal(stack_send_to(s, &far, 1, "x", 1), 1);
    assert_true(p->kept[1].interface == 1 && p->kept[1].w.source.v4 == 0x0a000001);
    assert_int_equal(stack_send_to(s, &near, 1, "x", 1), 1);
    assert_int_equal(p->kept[2].interface, 1);
    /* To itself: by its own address' interface, or by that of the loopback. */
    assert_int_equal(stack_send_to(s, &a, 1, "x", 1), 1);
    assert_true(p->kept[3].interface == 3 && p->kept[3].w.source.v4 == a.v4);
    assert_int_equal(stack_interface_add(p->stack, 9, 65535), 0);
    near.v4 = 0x7f000001;
    assert_int_equal(stack_address_add(p->stack, 9, 4, &near, 8), 0);
    assert_int_equal(stack_send_to(s, &a, 1, "x", 1), 1);
    assert_int_equal(p->kept[4].interface, 9);
    near.v4 = 0x7f000005;
    assert_int_equal(stack_send_to(s, &near, 1, "x", 1), 1);
    assert_int_equal(p->kept[5].interface, 9);
}

/* The other end is there at once: what send() does comes back within the call. */
static void mirror(struct peer *p, const struct stack_packet *k)
{
    stack_input(p->stack, 1, k->bytes, k->size);
}

static void packets_within_send(void **state)
{
    struct peer *p = *state;
    union wire_addr own = peer_address(6, 1);
    struct stack_socket *l = bound(p, 6, WIRE_PROTOCOL_TCP, &any, 80),
                        *c = peer_socket(p, 6, WIRE_PROTOCOL_TCP), *s;
    uint8_t data[5000] = {1, 2, 3}, got[5000];
    uint32_t at = 0;

    assert_int_equal(stack_listen(l, 0), 0);
    p->sending = mirror;
    assert_int_equal(stack_connect(c, &own, 80), 0);
    assert_int_equal(stack_state(c), STACK_CONNECTED);
    s = stack_accept(l);
    assert_non_null(s);
    assert_int_equal(stack_send(c, data, sizeof(data)), sizeof(data));
    for (long n; (n = stack_receive(s, got + at, sizeof(got) - at, NULL, NULL)) > 0;)
        at += (uint32_t)n;
    assert_int_equal(at, sizeof(data));
    assert_memory_equal(got, data, at);
    stack_close(s);
    stack_close(c);
    p->looked = p->sent;
}

static void told_closes_and_answers(struct peer *p, struct stack_socket *s, enum stack_event e)
{
    char text[10];

    (void)p;
    if (e != STACK_EVENT_READABLE)
        return;
    if (stack_receive(s, text, sizeof(text), NULL, NULL) == 4) {
        assert_int_equal(stack_send(s, "pong", 4), 4);
        stack_close(s);
    }
}

static void calls_within_told(void **state)
{
    struct peer *p = *state;
    struct stack_counts counts;
    uint32_t iss;

    (void)peer_connect(p, 4, &iss);
    p->told = told_closes_and_answers;
    peer_tcp(p, WIRE_TCP_ACK, PEER_ISS + 1, iss + 1, "ping", 4);
    peer_expect(p, WIRE_TCP_ACK, iss + 1, PEER_ISS + 5, 4);
    peer_expect(p, WIRE_TCP_FIN | WIRE_TCP_ACK, iss + 5, PEER_ISS + 5, 0);
    stack_counts(p->stack, &counts);
    assert_int_equal(counts.closing, 1);
}

/* The same calls with the same seed give the same packets. */
static void runs_repeat(void **state)
{
    uint64_t sums[2] = {0, 0};
    (void)state;

    for (unsigned run = 0; run < 2; run++) {
        struct pipe l;
        struct stack_socket *s[2];
        uint8_t data[30000] = {0};

        pipe_open(&l, 99, NULL, NULL);
        l.chaos = (struct pipe_chaos){.lose = 100, .reorder = 100};
        pipe_connect(&l, 4, 80, s);
        assert_int_equal(stack_send(s[0], data, sizeof(data)), sizeof(data));
        for (unsigned i = 0; i < 5000 && pipe_step(&l, UINT64_MAX - 1); i++) {
            for (struct pipe_packet *k = l.queue; k != NULL; k = k->next)
                sums[run] = sums[run] * 31 + wire_sum(k->bytes, k->size, k->at);
        }
        pipe_close(&l);
    }
    assert_true(sums[0] == sums[1]);
}

int main(void)
{
#define LAB(f) cmocka_unit_test_setup_teardown(f, open_lab, close_lab)
    const struct CMUnitTest tests[] = {
        LAB(datagrams_find_their_socket),
        LAB(closed_port_and_who_hears_of_it),
        LAB(groups_and_broadcast),
        LAB(held_datagrams),
        LAB(echo_both_ways),
        LAB(raw_and_unknown_protocols),
        cmocka_unit_test(large_datagrams),
        LAB(overlaps_poison),
        cmocka_unit_test(routers),
        LAB(broken_packets_go),
        LAB(interfaces_and_routes),
        LAB(packets_within_send),
        LAB(calls_within_told),
        cmocka_unit_test(runs_repeat),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
