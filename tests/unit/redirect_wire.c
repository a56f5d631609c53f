/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames of redirected connections, to the byte: what the host makes of a packet, of fragments in any order, of an ICMP
 * error is what a plain builder (packets.h) makes of the same description between the other ends. IPv4 and IPv6, both ways,
 * the first datagram and later ones, at random as well.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "driver_lab.h"
#include "redirector.h"

#define MOST 48 /* frames at once */
#define RUNS 150

struct ends {
    const char *local, *remote;
    uint16_t local_port, remote_port;
};
static const struct ends asked[2] = {{"10.0.0.1", "10.0.0.2", 50000, 80}, {"fd00::1", "fd00::2", 50000, 80}};
static const struct ends given[2] = {{"10.0.0.1", "192.0.2.77", 50000, 8080},
                                     {"fd00::1", "2001:db8::77:1", 50000, 8080}};
static const struct ends bound[2] = {{"10.0.0.1", "10.0.0.2", 6000, 53}, {"fd00::1", "fd00::2", 6000, 53}};
static const struct ends to_bind[2] = {{"10.0.0.1", "10.0.0.2", 50000, 53},
                                       {"fd00::1", "fd00::2", 50000, 53}};

static const uint8_t our_mac[6] = {2, 0, 0, 0, 0, 1}, peer_mac[6] = {2, 0, 0, 0, 0, 2};

/* ---- descriptions ---------------------------------------------------------------------------------------------- */

static struct packet between(const struct ends *e, bool out, struct packet p)
{
    p.src = out ? e->local : e->remote;
    p.dst = out ? e->remote : e->local;
    p.sport = out ? e->local_port : e->remote_port;
    p.dport = out ? e->remote_port : e->local_port;
    p.mac_src = out ? our_mac : peer_mac;
    p.mac_dst = out ? peer_mac : our_mac;
    return p;
}

/* A frame as it is fed, and as it is to be. */
struct pair {
    struct packet_frame came, wanted;
};

static struct pair pair_of(const struct packet *came, const struct packet *wanted)
{
    struct pair p;

    p.came.size = packet_build(came, p.came.bytes, sizeof p.came.bytes);
    p.wanted.size = packet_build(wanted, p.wanted.bytes, sizeof p.wanted.bytes);
    assert_int_equal(p.came.size, p.wanted.size);
    return p;
}

/* ... of each fragment; returns how many. */
static size_t pieces_of(const struct packet *came, const struct packet *wanted, size_t size, struct pair *out)
{
    struct packet_frame a[MOST], b[MOST];
    const size_t n = packet_fragments(came, size, a, MOST);

    assert_int_equal(packet_fragments(wanted, size, b, MOST), n);
    for (size_t i = 0; i < n; i++)
        out[i] = (struct pair){a[i], b[i]};
    return n;
}

/* Feeds them in this order; all are to pass as they are wanted. */
static void feed(struct driver_lab *l, enum host_way way, const struct pair *pairs, size_t count)
{
    static struct packet_frame came[MOST];

    assert_true(count <= MOST);
    for (size_t i = 0; i < count; i++)
        came[i] = pairs[i].came;
    for (size_t i = 0; i < count; i++) {
        const struct host_outcome *o = &l->host.outcome;

        (void)host_lab_piece(&l->host, way, came, count, i);
        assert_int_equal(o->fate, HOST_PASSED);
        assert_memory_equal(o->changed != NULL ? o->changed : came[i].bytes, pairs[i].wanted.bytes,
                            pairs[i].wanted.size);
    }
}

static void feed_one(struct driver_lab *l, enum host_way way, const struct packet *came,
                     const struct packet *wanted)
{
    const struct pair p = pair_of(came, wanted);

    feed(l, way, &p, 1);
}

/* ---- the host ---------------------------------------------------------------------------------------------------- */

struct lab {
    struct driver_lab *d;
    struct redirector connect[2];
};

static struct lab *lab_open(void **state)
{
    static struct lab lab;

    lab = (struct lab){.d = *state};
    for (unsigned six = 0; six < 2; six++) {
        lab.connect[six] = (struct redirector){.to = given[six].remote, .port = given[six].remote_port};
        driver_lab_callout(lab.d, six ? "CR6" : "CR",
                           SCRIPT(lab.d, .then = redirector_play, .ctx = &lab.connect[six]));
    }
    return &lab;
}

/* Its first packet redirects the flow. */
static void begin(struct lab *l, unsigned six)
{
    const struct packet came = between(&asked[six], true, (struct packet){.data = "first"}),
                        wanted = between(&given[six], true, (struct packet){.data = "first"});

    feed_one(l->d, HOST_WAY_OUT, &came, &wanted);
    assert_int_equal(l->connect[six].calls, 1);
}

/* ---- fragments --------------------------------------------------------------------------------------------------- */

static const unsigned orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

static void shuffled(struct pair *pairs, const unsigned order[3])
{
    struct pair before[3];

    memcpy(before, pairs, sizeof before);
    for (unsigned i = 0; i < 3; i++)
        pairs[i] = before[order[i]];
}

static void in_any_order(void **state)
{
    struct lab *l = lab_open(state);

    for (unsigned run = 0; run < 24; run++) {
        const unsigned six = run & 1, out = run >> 1 & 1;
        const struct packet is = {.fill = 1000, .id = 100 + run, .ttl = 3};
        const struct packet came = between(&asked[six], out, is), wanted = between(&given[six], out, is);
        struct pair pairs[MOST];

        if (run < 2)
            begin(l, six);
        assert_int_equal(pieces_of(&came, &wanted, 400, pairs), 3);
        shuffled(pairs, orders[run / 4]);
        feed(l->d, out ? HOST_WAY_OUT : HOST_WAY_IN, pairs, 3);
    }
    assert_int_equal(l->connect[0].calls, 1);
    assert_int_equal(l->connect[1].calls, 1);
}

/* The datagram that is asked about is itself in fragments: all of them go where it goes. */
static void the_first_of_all(void **state)
{
    struct lab *l = lab_open(state);

    for (unsigned run = 0; run < 12; run++) {
        const unsigned six = run & 1;
        const struct packet is = {.fill = 1000, .id = 7};
        struct ends from = asked[six], to = given[six];
        struct packet came, wanted;
        struct pair pairs[MOST];

        from.local_port = to.local_port = (uint16_t)(50100 + run);
        came = between(&from, true, is);
        wanted = between(&to, true, is);
        assert_int_equal(pieces_of(&came, &wanted, 400, pairs), 3);
        shuffled(pairs, orders[run / 2]);
        feed(l->d, HOST_WAY_OUT, pairs, 3);
        assert_int_equal(l->connect[six].calls, run / 2 + 1);
        came = between(&from, false, is);
        wanted = between(&to, false, is);
        assert_int_equal(pieces_of(&came, &wanted, 400, pairs), 3);
        shuffled(pairs, orders[5 - run / 2]);
        feed(l->d, HOST_WAY_IN, pairs, 3);
        assert_non_null(strstr(l->d->host.seen, "DD"));
    }
}

/* Where the first one is not known, nor follows, nothing is known of the rest. */
static void without_the_first_one(void **state)
{
    struct lab *l = lab_open(state);

    for (unsigned six = 0; six < 2; six++) {
        const struct packet is = {.fill = 1000, .id = 9};
        const struct packet came = between(&asked[six], false, is), wanted = between(&given[six], false, is);
        struct pair pairs[MOST];

        begin(l, six);
        assert_int_equal(pieces_of(&came, &wanted, 400, pairs), 3);
        for (unsigned i = 1; i < 3; i++) {
            struct packet_frame alone = pairs[i].came;

            (void)host_lab_piece(&l->d->host, HOST_WAY_IN, &alone, 1, 0);
            assert_null(l->d->host.outcome.changed);
        }
        /* It stays so for all of the datagram, or its pieces would never meet. */
        (void)host_lab_piece(&l->d->host, HOST_WAY_IN, &pairs[0].came, 1, 0);
        assert_null(l->d->host.outcome.changed);
        /* Later the identification is another datagram's. */
        (void)host_lab_wait(&l->d->host, 61000);
        feed(l->d, HOST_WAY_IN, pairs, 3);
    }
}

/* Sent while the connect waits: the rest of a datagram whose beginning was held does not go out by itself. */
static void held_at_the_first_piece(void **state)
{
    struct lab *l = lab_open(state);
    const struct packet is = {.fill = 1000, .id = 9};
    const struct packet came = between(&asked[0], true, is), wanted = between(&given[0], true, is);
    struct packet_frame frames[3];
    struct pair pairs[MOST];

    l->connect[0].pends = true;
    assert_int_equal(pieces_of(&came, &wanted, 400, pairs), 3);
    for (unsigned i = 0; i < 3; i++)
        frames[i] = pairs[i].came;
    for (unsigned i = 0; i < 3; i++) {
        (void)host_lab_piece(&l->d->host, HOST_WAY_OUT, frames, 3, i);
        assert_int_equal(l->d->host.outcome.fate, HOST_HELD);
        if (i == 1)
            redirector_go(&l->connect[0]);
    }
    for (unsigned i = 0; i < 3; i++) /* the next one */
        frames[i].bytes[14 + 5] = pairs[i].came.bytes[14 + 5] = 10;
    l->connect[0].pends = false;
    (void)host_lab_piece(&l->d->host, HOST_WAY_OUT, frames, 3, 0);
    assert_int_equal(l->d->host.outcome.fate, HOST_PASSED);
    assert_non_null(l->d->host.outcome.changed);
}

/* ---- ICMP errors ------------------------------------------------------------------------------------------------- */

struct error {
    uint8_t type[2], code; /* IPv4, IPv6 */
    const char *router[2]; /* NULL: the other end itself */
    size_t quotes;         /* bytes behind the quoted IP header; 0: as many as usual */
};

/* An error about a packet that went `out`, and is to be about one between other ends. */
static void error_about(struct driver_lab *l, unsigned six, const struct ends *from, const struct ends *to,
                        bool out, const struct packet *what, const struct error *is)
{
    const struct packet quoted = between(from, out, *what), instead = between(to, out, *what);
    struct packet came = {.protocol = WIRE_PROTOCOL_ICMP,
                          .icmp_type = is->type[six],
                          .icmp_code = is->code,
                          .quotes = &quoted,
                          .quote_size = is->quotes != 0 ? (six ? 40 : 20) + is->quotes : 0,
                          .mac_src = out ? peer_mac : our_mac,
                          .mac_dst = out ? our_mac : peer_mac};
    struct packet wanted = came;

    wanted.quotes = &instead;
    if (is->router[six] != NULL) {
        came.src = wanted.src = is->router[six];
        came.dst = from->local;
        wanted.dst = to->local;
    }
    feed_one(l, out ? HOST_WAY_IN : HOST_WAY_OUT, &came, &wanted);
}

static void quoted_packets(void **state)
{
    static const struct error errors[] = {
        {.type = {3, 1}, .code = 3},
        {.type = {3, 1}, .code = 1, .router = {"10.0.0.254", "fd00::fe"}},
        {.type = {11, 3}, .router = {"10.0.0.254", "fd00::fe"}, .quotes = 8},
        {.type = {3, 2}, .code = 4, .router = {"10.0.0.254", "fd00::fe"}, .quotes = 9},
        {.type = {12, 4}, .quotes = 15},
        {.type = {3, 1}, .code = 3, .quotes = 40},
        {.type = {4, 1}, .quotes = 101},
    };
    struct lab *l = lab_open(state);
    UINT64 flows[2];

    for (unsigned run = 0; run < 28; run++) {
        const struct error *e = &errors[run / 4];
        const unsigned six = run & 1, out = run >> 1 & 1;
        const struct packet is = {.fill = 100};

        if (run < 2) {
            begin(l, six);
            flows[six] = l->d->host.outcome.flow_id;
        }
        if (!out && e->router[six] != NULL)
            continue; /* this host's own errors */
        error_about(l->d, six, &asked[six], &given[six], out, &is, e);
        assert_non_null(strstr(l->d->host.seen, out ? "IIE" : "OIE"));
        assert_int_equal(l->d->host.outcome.flow_id, flows[six]);
    }
}

static void quoted_segments(void **state)
{
    static const struct error frag = {.type = {3, 2}, .code = 4, .router = {"10.0.0.254", "fd00::fe"}},
                              whole = {.type = {3, 1}, .code = 1, .quotes = 60};
    struct lab *l = lab_open(state);

    for (unsigned six = 0; six < 2; six++) {
        const struct packet syn = {.protocol = WIRE_PROTOCOL_TCP, .tcp_flags = WIRE_TCP_SYN, .seq = 99},
                            data = {.protocol = WIRE_PROTOCOL_TCP, .tcp_flags = WIRE_TCP_ACK, .fill = 100};
        const struct packet came = between(&asked[six], true, syn), wanted = between(&given[six], true, syn);

        feed_one(l->d, HOST_WAY_OUT, &came, &wanted);
        error_about(l->d, six, &asked[six], &given[six], true, &data, &frag);
        error_about(l->d, six, &asked[six], &given[six], true, &data, &whole);
        error_about(l->d, six, &asked[six], &given[six], false, &data, &whole);
    }
}

/* It is of no use, but its sender's address and its checksum are to be right. */
static void of_a_later_fragment(void **state)
{
    struct lab *l = lab_open(state);
    const struct packet is = {.fill = 1000, .id = 77};
    const struct packet came = between(&asked[0], true, is), wanted = between(&given[0], true, is);
    const struct packet later = {
        .id = 77, .offset = 400, .more = true, .no_transport = true, .data = "abcdefghijklmnop"};
    struct pair pairs[MOST];

    begin(l, 0);
    assert_int_equal(pieces_of(&came, &wanted, 400, pairs), 3);
    feed(l->d, HOST_WAY_OUT, pairs, 3);
    error_about(l->d, 0, &asked[0], &given[0], true, &later, &(struct error){.type = {11}, .code = 1});
}

/* Of a connection that goes where it was asked to, and of one that nobody knows. */
static void others_stay(void **state)
{
    struct lab *l = lab_open(state);

    for (unsigned six = 0; six < 2; six++) {
        struct ends other = asked[six];

        begin(l, six);
        other.remote_port = 81;
        l->connect[six].only_looks = true;
        error_about(l->d, six, &other, &other, true, &(struct packet){.fill = 40},
                    &(struct error){.type = {3, 1}, .code = 3});
        assert_null(l->d->host.outcome.changed);
    }
}

static void quotes_of_a_redirected_bind(void **state)
{
    struct driver_lab *d = *state;
    struct redirector r = {.port = 6000};

    driver_lab_callout(d, "BR", SCRIPT(d, .then = redirector_play, .ctx = &r));
    driver_lab_callout(d, "BR6", SCRIPT(d, .then = redirector_play, .ctx = &r));
    for (unsigned six = 0; six < 2; six++) {
        const struct host_socket s = {
            .version = six ? 6 : 4, .protocol = WIRE_PROTOCOL_UDP, .port = to_bind[six].local_port};
        const struct packet is = {.fill = 500, .id = 5};
        struct host_endpoint *e;
        struct pair pairs[MOST];

        assert_int_equal(host_bind(d->host.host, &s, &e), STATUS_SUCCESS);
        for (unsigned out = 2; out-- > 0;) {
            const struct packet came = between(&to_bind[six], out, is),
                                wanted = between(&bound[six], out, is);

            feed(d, out ? HOST_WAY_OUT : HOST_WAY_IN, pairs, pieces_of(&came, &wanted, 200, pairs));
            error_about(d, six, &to_bind[six], &bound[six], out, &is,
                        &(struct error){.type = {3, 1}, .code = 3});
        }
        host_close(d->host.host, e);
    }
}

/* ---- at random --------------------------------------------------------------------------------------------------- */

static uint64_t chance;

static uint32_t roll(uint32_t below)
{
    chance ^= chance << 13;
    chance ^= chance >> 7;
    chance ^= chance << 17;
    return (uint32_t)(chance >> 33) % below;
}

/* Several datagrams of one way in fragments, one among the other, some of them twice. */
static void a_burst(struct lab *l, uint32_t *id)
{
    const unsigned six = roll(2), out = roll(2);
    struct pair pairs[MOST], more[MOST];
    size_t count = 0;

    for (unsigned n = 1 + roll(4); n-- != 0;) {
        const bool other = roll(4) == 0; /* of a socket that is not redirected */
        const struct packet is = {
            .fill = 20 + roll(1400), .id = ++*id, .bad = roll(8) == 0 ? PACKET_NO_SUM : 0};
        struct ends from = asked[six];
        struct packet came, wanted;
        size_t pieces;

        if (other)
            from.remote_port = 81;
        came = between(&from, out, is);
        wanted = between(other ? &from : &given[six], out, is);
        pieces = pieces_of(&came, &wanted, 8 * (20 + roll(100)), more);
        if (count + pieces > MOST)
            break;
        memcpy(pairs + count, more, pieces * sizeof(pairs[0]));
        count += pieces;
    }
    for (size_t i = count; i > 1; i--) {
        const size_t j = roll((uint32_t)i);
        const struct pair swapped = pairs[j];

        pairs[j] = pairs[i - 1];
        pairs[i - 1] = swapped;
    }
    feed(l->d, out ? HOST_WAY_OUT : HOST_WAY_IN, pairs, count);
}

static void at_random(void **state)
{
    struct lab *l = lab_open(state);
    uint32_t id = 1000;

    for (unsigned six = 0; six < 2; six++) {
        struct ends other = asked[six];
        struct packet came;

        begin(l, six);
        other.remote_port = 81;
        came = between(&other, true, (struct packet){.data = "first"});
        l->connect[six].only_looks = true;
        feed_one(l->d, HOST_WAY_OUT, &came, &came);
    }
    for (uint64_t seed = 1; seed <= RUNS; seed++) {
        chance = seed * 0x9e3779b97f4a7c15ull | 1;
        (void)roll(2);
        switch (roll(4)) {
        case 0: {
            const unsigned six = roll(2), out = roll(2);
            const struct error e = {.type = {roll(2) ? 3 : 11, (uint8_t)(1 + roll(4))},
                                    .code = (uint8_t)roll(8),
                                    .quotes = 8 + roll(100)};

            error_about(l->d, six, &asked[six], &given[six], out, &(struct packet){.fill = roll(200)}, &e);
            break;
        }
        default:
            a_burst(l, &id);
            break;
        }
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, driver_lab_setup, driver_lab_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(in_any_order),
        T(the_first_of_all),
        T(without_the_first_one),
        T(held_at_the_first_piece),
        T(quoted_packets),
        T(quoted_segments),
        T(of_a_later_fragment),
        T(others_stay),
        T(quotes_of_a_redirected_bind),
        T(at_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
