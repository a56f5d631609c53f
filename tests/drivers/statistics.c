/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver `statistics`: what it has counted, by layer and protocol, is what was sent and received, as somebody at the
 * wires saw it and as programs know it; its device answers as documented; nothing that passes is changed.
 */
#include "driver_suite.h"

#include <ntddk.h>
#include <fwpsk.h>
#include <fwpmk.h>

#include "../../drivers/statistics/statistics.h"

#define TCP    6
#define UDP    17
#define ICMP   1
#define ICMPV6 58

struct count {
    UINT64 indications, bytes;
};
struct counted {
    struct count of[128][STATISTICS_OTHER + 1];
    size_t entries;
};

static void read_all(struct suite *s, struct counted *out)
{
    struct weir_device *d = weir_open(s->program, "\\\\.\\Statistics", NULL);
    static struct statistics_entry all[1024];
    size_t done = 0;

    assert_non_null(d);
    assert_int_equal(weir_control(d, IOCTL_STATISTICS_READ, NULL, 0, all, sizeof all, &done, 0),
                     STATUS_SUCCESS);
    weir_device_close(d);
    memset(out, 0, sizeof *out);
    out->entries = done / sizeof all[0];
    for (size_t i = 0; i < out->entries; i++) {
        assert_true(all[i].layer < 128 && all[i].protocol <= STATISTICS_OTHER && all[i].indications != 0);
        assert_int_equal(all[i].reserved, 0);
        if (i != 0) /* in order, each once */
            assert_true(all[i - 1].layer < all[i].layer ||
                        (all[i - 1].layer == all[i].layer && all[i - 1].protocol < all[i].protocol));
        out->of[all[i].layer][all[i].protocol] = (struct count){all[i].indications, all[i].bytes};
    }
}

static void expect(const struct counted *c, unsigned layer, unsigned protocol, UINT64 indications,
                   UINT64 bytes)
{
    const struct count *is = &c->of[layer][protocol];

    if (is->indications != indications || is->bytes != bytes)
        fail_msg("layer %u, protocol %u: expected %llu indications of %llu bytes, counted %llu of %llu",
                 layer, protocol, (unsigned long long)indications, (unsigned long long)bytes,
                 (unsigned long long)is->indications, (unsigned long long)is->bytes);
}
#define EXPECT(c, layer, six, protocol, indications, bytes)                                                  \
    expect(c, (six) ? FWPS_LAYER_##layer##_V6 : FWPS_LAYER_##layer##_V4, protocol, indications, bytes)
#define INDICATIONS(c, layer, six, protocol)                                                                 \
    ((c)->of[(six) ? FWPS_LAYER_##layer##_V6 : FWPS_LAYER_##layer##_V4][protocol].indications)

/* The layers of packets against the wires: nothing else has gone in or out. */
static void agrees_with_the_wires(const struct suite *s, const struct counted *c, bool six, unsigned protocol)
{
    const struct suite_traffic *in = &s->traffic[0][protocol], *out = &s->traffic[1][protocol];

    EXPECT(c, INBOUND_IPPACKET, six, protocol, in->packets, in->payload);
    EXPECT(c, OUTBOUND_IPPACKET, six, protocol, out->packets, out->bytes);
    assert_int_equal(INDICATIONS(c, INBOUND_TRANSPORT, six, protocol), in->packets);
    EXPECT(c, OUTBOUND_TRANSPORT, six, protocol, out->packets, out->payload);
}

/* ---- what passes --------------------------------------------------------------------------------------- */

static void datagrams(void **state)
{
    static const char *const there[] = {"10.0.0.2:53", "[fd00::2]:53"}, *const here[] = {"10.0.0.1:99",
                                                                                         "[fd00::1]:99"};
    static const uint8_t zeros[1400];
    static struct counted c;
    struct weir_socket *a, *b;
    struct suite s;

    (void)state;
    for (unsigned six = 0; six < 2; six++) {
        UINT64 sent = 0, received = 0;

        suite_open(&s, NULL, NULL, 0);
        a = suite_bound(s.program, six ? "[::]:99" : "0.0.0.0:99");
        b = suite_bound(s.peer, ":53");
        for (unsigned i = 0; i < 25; i++) {
            assert_int_equal(weir_send_to(a, there[six], zeros, i * 56), (long)i * 56);
            sent += i * 56;
        }
        for (unsigned i = 0; i < 10; i++) {
            assert_int_equal(weir_send_to(b, here[six], zeros, i * 100), (long)i * 100);
            received += i * 100;
        }
        weir_run(s.w, WEIR_SECOND);
        weir_close(a);
        weir_settle(s.w);
        read_all(&s, &c);
        agrees_with_the_wires(&s, &c, six, UDP);
        EXPECT(&c, DATAGRAM_DATA, six, UDP, 35,
               sent + 25 * 8 + received); /* out with the header, in without */
        EXPECT(&c, OUTBOUND_TRANSPORT, six, UDP, 25, sent + 25 * 8);
        EXPECT(&c, INBOUND_TRANSPORT, six, UDP, 10, received);
        assert_int_equal(INDICATIONS(&c, ALE_RESOURCE_ASSIGNMENT, six, UDP), 1);
        assert_int_equal(INDICATIONS(&c, ALE_AUTH_CONNECT, six, UDP), 1); /* one peer, one flow */
        assert_int_equal(INDICATIONS(&c, ALE_AUTH_RECV_ACCEPT, six, UDP), 0);
        assert_int_equal(INDICATIONS(&c, ALE_FLOW_ESTABLISHED, six, UDP), 1);
        assert_int_equal(INDICATIONS(&c, ALE_ENDPOINT_CLOSURE, six, UDP), 1);
        assert_int_equal(INDICATIONS(&c, ALE_RESOURCE_RELEASE, six, UDP), 1);
        assert_int_equal(INDICATIONS(&c, DATAGRAM_DATA, !six, UDP), 0); /* the other version */
        suite_close(&s);
    }
}

static void streams(void **state)
{
    static const char *const there[] = {"10.0.0.2:80", "[fd00::2]:80"}, *const here[] = {"10.0.0.1:80",
                                                                                         "[fd00::1]:80"};
    static struct counted c;
    struct weir_socket *listener, *a, *b;
    struct suite s;

    (void)state;
    for (unsigned run = 0; run < 4; run++) {
        const bool six = run & 1, active = run & 2;

        suite_open(&s, NULL, NULL, 0);
        listener = suite_listens(active ? s.peer : s.program, six ? "[::]:80" : "0.0.0.0:80");
        a = weir_socket(active ? s.program : s.peer, WEIR_TCP);
        (void)weir_connect(a, (active ? there : here)[six]);
        b = suite_accepted(&s, a, listener, WEIR_SECOND);
        suite_transfer(a, b, 40000);
        suite_transfer(b, a, 70000);
        weir_close(a);
        weir_close(b);
        weir_close(listener);
        weir_settle(s.w);
        read_all(&s, &c);
        agrees_with_the_wires(&s, &c, six, TCP);
        assert_int_equal(c.of[six ? FWPS_LAYER_STREAM_V6 : FWPS_LAYER_STREAM_V4][TCP].bytes, 110000);
        assert_int_equal(INDICATIONS(&c, ALE_AUTH_CONNECT, six, TCP), active);
        assert_int_equal(INDICATIONS(&c, ALE_AUTH_RECV_ACCEPT, six, TCP), !active);
        assert_int_equal(INDICATIONS(&c, ALE_AUTH_LISTEN, six, TCP), !active);
        assert_int_equal(INDICATIONS(&c, ALE_FLOW_ESTABLISHED, six, TCP), 1);
        assert_int_equal(INDICATIONS(&c, ALE_RESOURCE_ASSIGNMENT, six, TCP), 1);
        assert_int_equal(INDICATIONS(&c, ALE_RESOURCE_RELEASE, six, TCP), 1);
        assert_int_equal(INDICATIONS(&c, ALE_ENDPOINT_CLOSURE, six, TCP),
                         active ? 1 : 2); /* the listener's, too */
        suite_close(&s);
    }
}

/* What the wires lose and send twice is counted as it passed; the stream's bytes are counted once. */
static void over_a_bad_wire(void **state)
{
    static struct counted c;
    struct weir_socket *listener, *a, *b;
    struct weir_rule *lost, *twice;
    struct suite s;

    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        suite_open(&s, &(struct weir_config){.seed = seed, .shuffle = true}, NULL, 0);
        lost = weir_rule(s.w,
                         &(struct weir_rule_config){.way = WEIR_TO_HOST, .action = WEIR_DROP, .one_in = 12});
        twice = weir_rule(
            s.w, &(struct weir_rule_config){.way = WEIR_TO_HOST, .action = WEIR_DUPLICATE, .one_in = 12});
        (void)weir_rule(s.w,
                        &(struct weir_rule_config){.way = WEIR_FROM_HOST, .action = WEIR_DROP, .one_in = 12});
        (void)weir_rule(s.w, &(struct weir_rule_config){.action = WEIR_REORDER, .one_in = 12});
        listener = suite_listens(s.peer, ":80");
        a = weir_socket(s.program, WEIR_TCP);
        (void)weir_connect(a, "10.0.0.2:80");
        b = suite_accepted(&s, a, listener, 60 * WEIR_SECOND);
        suite_transfer(a, b, 60000);
        suite_transfer(b, a, 60000);
        weir_close(a);
        weir_close(b);
        weir_settle(s.w);
        read_all(&s, &c);
        assert_true(weir_rule_hits(lost) > 0 && weir_rule_hits(twice) > 0);
        assert_int_equal(c.of[FWPS_LAYER_OUTBOUND_IPPACKET_V4][TCP].indications, s.traffic[1][TCP].packets);
        assert_int_equal(c.of[FWPS_LAYER_OUTBOUND_IPPACKET_V4][TCP].bytes, s.traffic[1][TCP].bytes);
        assert_int_equal(c.of[FWPS_LAYER_INBOUND_IPPACKET_V4][TCP].indications,
                         s.traffic[0][TCP].packets - weir_rule_hits(lost) + weir_rule_hits(twice));
        assert_int_equal(c.of[FWPS_LAYER_STREAM_V4][TCP].bytes, 120000);
        suite_close(&s);
    }
}

static void pings_and_icmp_errors(void **state)
{
    static const char *const there[] = {"10.0.0.2", "fd00::2"}, *const here[] = {"10.0.0.1", "fd00::1"},
                             *const closed[] = {"10.0.0.1:4000", "[fd00::1]:4000"},
                             *const nobody[] = {"10.0.0.2:4000", "[fd00::2]:4000"};
    static struct counted c;
    struct weir_socket *p, *q, *u, *v;
    struct suite s;

    (void)state;
    for (unsigned six = 0; six < 2; six++) {
        const unsigned icmp = six ? ICMPV6 : ICMP;

        suite_open(&s, NULL, NULL, 0);
        p = weir_socket(s.program, WEIR_PING);
        q = weir_socket(s.peer, WEIR_PING);
        for (unsigned i = 0; i < 3; i++) {
            assert_int_equal(weir_send_to(p, there[six], "12345", 5), 5);
            assert_int_equal(weir_send_to(q, here[six], "1234567", 7), 7);
        }
        weir_run(s.w, WEIR_SECOND);
        read_all(&s, &c);
        agrees_with_the_wires(&s, &c, six, icmp);
        assert_int_equal(s.traffic[1][icmp].packets, 6);
        assert_int_equal(INDICATIONS(&c, ALE_AUTH_CONNECT, six, icmp), 1);
        assert_int_equal(INDICATIONS(&c, ALE_AUTH_RECV_ACCEPT, six, icmp), 1);
        /* Nobody is at the port: the host says so, or is told. */
        u = weir_socket(s.peer, WEIR_UDP);
        assert_int_equal(weir_send_to(u, closed[six], "x", 1), 1);
        v = weir_socket(s.program, WEIR_UDP);
        assert_int_equal(weir_send_to(v, nobody[six], "x", 1), 1);
        weir_run(s.w, WEIR_SECOND);
        read_all(&s, &c);
        assert_int_equal(INDICATIONS(&c, INBOUND_ICMP_ERROR, six, icmp), 1);
        assert_int_equal(INDICATIONS(&c, OUTBOUND_ICMP_ERROR, six, icmp), 1);
        suite_close(&s);
    }
}

static void what_is_forwarded(void **state)
{
    static const char *const to[] = {"10.0.1.2:53", "[fd00:0:0:1::2]:53"};
    static struct counted c;
    struct weir_socket *a, *b;
    struct suite s;

    (void)state;
    for (unsigned six = 0; six < 2; six++) {
        suite_open(&s, &(struct weir_config){.forwarding = true}, NULL, 0);
        a = weir_socket(s.peer, WEIR_UDP);
        b = suite_bound(weir_peer(s.w, 2), ":53");
        for (unsigned i = 0; i < 5; i++)
            assert_int_equal(weir_send_to(a, to[six], "1234567890", 10), 10);
        suite_receives(b, "1234567890", 10, WEIR_SECOND);
        weir_run(s.w, WEIR_SECOND);
        read_all(&s, &c);
        EXPECT(&c, IPFORWARD, six, UDP, 5, 5 * (10 + 8 + (six ? 40 : 20)));
        assert_int_equal(INDICATIONS(&c, DATAGRAM_DATA, six, UDP), 0);
        suite_close(&s);
    }
}

/* Layers of what is thrown away. */
static void what_is_blocked(void **state)
{
    static struct counted c;
    struct weir_socket *a, *server;
    struct suite s;

    (void)state;
    suite_open(&s, NULL, NULL, 0);
    suite_block(&s, &FWPM_LAYER_ALE_AUTH_CONNECT_V4, 80);
    suite_block(&s, &FWPM_LAYER_DATAGRAM_DATA_V6, 53);
    server = suite_bound(s.peer, ":53");
    a = weir_socket(s.program, WEIR_TCP);
    assert_int_equal(weir_connect(a, "10.0.0.2:80"), -EACCES);
    a = weir_socket(s.program, WEIR_UDP);
    (void)weir_send_to(a, "[fd00::2]:53", "x", 1);
    assert_false(weir_wait_readable(server, WEIR_SECOND));
    read_all(&s, &c);
    assert_int_equal(c.of[FWPS_LAYER_ALE_AUTH_CONNECT_V4_DISCARD][TCP].indications +
                         c.of[FWPS_LAYER_ALE_AUTH_CONNECT_V4_DISCARD][STATISTICS_OTHER].indications,
                     1);
    assert_int_equal(c.of[FWPS_LAYER_DATAGRAM_DATA_V6_DISCARD][UDP].indications +
                         c.of[FWPS_LAYER_DATAGRAM_DATA_V6_DISCARD][STATISTICS_OTHER].indications,
                     1);
    suite_close(&s);
}

/* Several programs: each bind, connect and closure is counted, an exit's too. */
static void processes_that_come_and_go(void **state)
{
    static struct counted c;
    struct suite s;

    (void)state;
    suite_open(&s, NULL, NULL, 0);
    (void)suite_listens(s.peer, ":80");
    for (unsigned i = 0; i < 5; i++) {
        struct weir_process *p = weir_process(s.w, "C:\\some.exe", NULL);

        for (unsigned n = 0; n < 3; n++) {
            struct weir_socket *a = weir_socket(p, WEIR_TCP);

            (void)weir_connect(a, "10.0.0.2:80");
            assert_true(weir_wait(a, WEIR_CONNECTED, WEIR_SECOND));
        }
        weir_process_exit(p);
    }
    weir_settle(s.w);
    read_all(&s, &c);
    assert_int_equal(INDICATIONS(&c, ALE_RESOURCE_ASSIGNMENT, false, TCP), 15);
    assert_int_equal(INDICATIONS(&c, ALE_AUTH_CONNECT, false, TCP), 15);
    assert_int_equal(INDICATIONS(&c, ALE_FLOW_ESTABLISHED, false, TCP), 15);
    assert_int_equal(INDICATIONS(&c, ALE_ENDPOINT_CLOSURE, false, TCP), 15);
    assert_int_equal(INDICATIONS(&c, ALE_RESOURCE_RELEASE, false, TCP), 15);
    suite_close(&s);
}

/* ---- its device ---------------------------------------------------------------------------------------- */

static void nothing_is_counted_yet(void **state)
{
    static struct counted c;
    struct suite s;

    (void)state;
    suite_open(&s, NULL, NULL, 0);
    read_all(&s, &c);
    assert_int_equal(c.entries, 0);
    suite_close(&s);
}

static void the_device_answers(void **state)
{
    struct statistics_entry few[2], all[64];
    struct weir_device *d, *e;
    struct weir_socket *a;
    size_t done = 99, found;
    struct suite s;

    (void)state;
    suite_open(&s, NULL, NULL, 0);
    a = weir_socket(s.program, WEIR_UDP);
    assert_int_equal(weir_send_to(a, "10.0.0.2:53", "x", 1), 1);
    weir_run(s.w, WEIR_SECOND);
    d = weir_open(s.program, "\\\\.\\Statistics", NULL);
    e = weir_open(weir_process(s.w, "C:\\other.exe", NULL), "\\\\.\\Statistics", NULL); /* two programs */
    assert_true(d != NULL && e != NULL);
    assert_int_equal(weir_control(d, IOCTL_STATISTICS_READ, NULL, 0, all, sizeof all, &done, 0),
                     STATUS_SUCCESS);
    found = done / sizeof *all;
    assert_in_range(found, 5, 60);
    assert_int_equal(weir_control(e, IOCTL_STATISTICS_READ, NULL, 0, few, sizeof few + 7, &done, 0),
                     STATUS_SUCCESS);
    assert_int_equal(done, sizeof few); /* as many as fit: the first */
    assert_memory_equal(few, all, sizeof few);
    assert_int_equal(weir_control(d, IOCTL_STATISTICS_READ, NULL, 0, few, sizeof *few - 1, &done, 0),
                     STATUS_BUFFER_TOO_SMALL);
    assert_int_equal(weir_control(d, IOCTL_STATISTICS_READ, NULL, 0, NULL, 0, &done, 0),
                     STATUS_BUFFER_TOO_SMALL);
    assert_int_equal(weir_control(d, IOCTL_STATISTICS_READ + 4, NULL, 0, few, sizeof few, &done, 0),
                     STATUS_INVALID_DEVICE_REQUEST);
    weir_device_close(d);
    weir_device_close(e);
    suite_close(&s);
    suite_open_bare(&s, NULL);
    assert_null(weir_open(s.program, "\\\\.\\Statistics", NULL)); /* no driver, no device */
    suite_close(&s);
}

/* A program has it open when the driver goes: the device is gone with its last handle. */
static void loaded_again_it_counts_from_nothing(void **state)
{
    static struct counted c;
    struct weir_socket *a;
    struct suite s;

    (void)state;
    suite_open(&s, NULL, NULL, 0);
    a = weir_socket(s.program, WEIR_UDP);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(weir_send_to(a, "10.0.0.2:53", "x", 1), 1);
        weir_run(s.w, WEIR_SECOND);
        read_all(&s, &c);
        assert_int_equal(c.of[FWPS_LAYER_DATAGRAM_DATA_V4][UDP].indications, 1);
        assert_int_equal(weir_driver_unload(s.driver), 0);
        assert_non_null(suite_load(&s, NULL, 0));
    }
    suite_close(&s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(datagrams),
        cmocka_unit_test(streams),
        cmocka_unit_test(over_a_bad_wire),
        cmocka_unit_test(pings_and_icmp_errors),
        cmocka_unit_test(what_is_forwarded),
        cmocka_unit_test(what_is_blocked),
        cmocka_unit_test(processes_that_come_and_go),
        cmocka_unit_test(nothing_is_counted_yet),
        cmocka_unit_test(the_device_answers),
        cmocka_unit_test(loaded_again_it_counts_from_nothing),
    };

    return SUITE_MAIN(argc, argv, "statistics", tests);
}
