/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver `rewrite`: what is sent carries the DSCP that was wanted, texts of datagrams are others of the same size, in
 * both directions, IPv4 and IPv6; every checksum is right on the wire, and programs read what was written for them.
 */
#include "driver_suite.h"

#include <fwpmu.h>

#define TCP 6
#define UDP 17

static const struct weir_parameter marks[] = {{.name = "Dscp", .number = 46}};
static const struct weir_parameter texts[] = {{.name = "Find", .string = "red"},
                                              {.name = "Replace", .string = "sky"}};
static const struct weir_parameter both[] = {
    {.name = "Dscp", .number = 10}, {.name = "Find", .string = "red"}, {.name = "Replace", .string = "sky"}};

/* ---- a header's field ---------------------------------------------------------------------------------- */

static void expect_class(const struct suite *s, uint8_t dscp)
{
    unsigned others = 0;

    for (unsigned class = 0; class < 256; class ++)
        others += class >> 2 != dscp ? s->classes[class] : 0;
    assert_int_equal(others, 0);
}

static void streams_are_marked(void **state)
{
    static const char *const there[] = {"10.0.0.2:80", "[fd00::2]:80"}, *const here[] = {"10.0.0.1:80",
                                                                                         "[fd00::1]:80"};
    static const struct weir_parameter values[] = {
        {.name = "Dscp", .number = 46}, {.name = "Dscp", .number = 63}, {.name = "Dscp", .number = 1}};
    struct suite s;

    (void)state;
    for (unsigned run = 0; run < 6; run++) {
        struct weir_socket *server, *listener, *a, *b;
        const unsigned six = run & 1;

        suite_open(&s, NULL, &values[run / 2], 1);
        server = suite_listens(s.peer, ":80");
        listener = suite_listens(s.program, ":80");
        a = weir_socket(s.program, WEIR_TCP);
        (void)weir_connect(a, there[six]);
        b = suite_accepted(&s, a, server, WEIR_SECOND);
        suite_transfer(a, b, 50000);
        suite_transfer(b, a, 50000);
        a = weir_socket(s.peer, WEIR_TCP);
        (void)weir_connect(a, here[six]);
        b = suite_accepted(&s, a, listener, WEIR_SECOND);
        suite_transfer(b, a, 50000);
        weir_close(a);
        weir_close(b);
        weir_settle(s.w);
        assert_true(s.traffic[1][TCP].packets > 60);
        expect_class(&s, (uint8_t)values[run / 2].number);
        suite_close(&s);
    }
}

static void datagrams_and_pings_are_marked(void **state)
{
    static const char *const there[] = {"10.0.0.2:53", "[fd00::2]:53"}, *const hosts[] = {"10.0.0.2",
                                                                                          "fd00::2"};
    struct weir_socket *a, *b, *p;
    struct suite s;

    (void)state;
    suite_open(&s, NULL, marks, 1);
    b = suite_bound(s.peer, ":53");
    for (unsigned six = 0; six < 2; six++) {
        a = weir_socket(s.program, WEIR_UDP);
        p = weir_socket(s.program, WEIR_PING);
        assert_int_equal(weir_send_to(a, there[six], "red", 3), 3);
        suite_receives(b, "red", 3, WEIR_SECOND); /* nothing is looked for */
        assert_int_equal(weir_send_to(p, hosts[six], "echo", 4), 4);
        suite_receives(p, "echo", 4, WEIR_SECOND);
    }
    expect_class(&s, 46);
    assert_int_equal(s.classes[46 << 2], 4);
    suite_close(&s);
}

/* More than 63 is no DSCP, and no parameter asks for nothing: nothing is marked, nothing cloned. */
static void left_alone(void **state)
{
    static const struct weir_parameter large = {.name = "Dscp", .number = 64};
    struct weir_socket *a, *b, *server;
    struct suite s;

    (void)state;
    for (unsigned none = 0; none < 2; none++) {
        suite_open(&s, NULL, &large, !none);
        server = suite_listens(s.peer, ":80");
        a = weir_socket(s.program, WEIR_TCP);
        (void)weir_connect(a, "10.0.0.2:80");
        b = suite_accepted(&s, a, server, WEIR_SECOND);
        suite_transfer(a, b, 10000);
        expect_class(&s, 0);
        assert_true(weir_expect(s.w, &(struct weir_match){.kind = WEIR_EVENT_INJECTED}, 0));
        suite_close(&s);
    }
}

/* One segment, one packet: what the driver absorbs and injects is not told twice. */
static void each_packet_goes_once(void **state)
{
    struct weir_socket *a, *b;
    struct suite s;

    (void)state;
    suite_open(&s, NULL, marks, 1);
    a = weir_socket(s.program, WEIR_UDP);
    b = suite_bound(s.peer, ":53");
    for (unsigned i = 0; i < 40; i++)
        assert_int_equal(weir_send_to(a, "10.0.0.2:53", &i, sizeof i), sizeof i);
    weir_run(s.w, WEIR_SECOND);
    for (unsigned i = 0, got = 99; i < 40; i++) {
        assert_int_equal(weir_receive(b, &got, sizeof got, NULL), sizeof got);
        assert_int_equal(got, i); /* and in order */
    }
    assert_int_equal(s.traffic[1][UDP].packets, 40);
    suite_close(&s);
}

static void over_a_bad_wire(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct weir_socket *server, *a, *b;
        struct suite s;

        suite_open(&s, &(struct weir_config){.seed = seed, .shuffle = true, .preempt = 8}, both, 3);
        (void)weir_rule(s.w, &(struct weir_rule_config){.action = WEIR_DROP, .one_in = 10});
        (void)weir_rule(s.w, &(struct weir_rule_config){.action = WEIR_REORDER, .one_in = 10});
        (void)weir_rule(s.w, &(struct weir_rule_config){.action = WEIR_DUPLICATE, .one_in = 20});
        server = suite_listens(s.peer, ":80");
        a = weir_socket(s.program, WEIR_TCP);
        (void)weir_connect(a, seed & 2 ? "10.0.0.2:80" : "[fd00::2]:80");
        b = suite_accepted(&s, a, server, 60 * WEIR_SECOND);
        suite_transfer(a, b, 60000);
        suite_transfer(b, a, 60000);
        expect_class(&s, 10);
        suite_close(&s);
    }
}

/* ---- a datagram's payload ------------------------------------------------------------------------------ */

static void texts_are_others(void **state)
{
    static const struct {
        const char *sent, *arrives;
    } cases[] = {
        {"red", "sky"},       {"a red, a redder, the reddest", "a sky, a skyder, the skydest"},
        {"redred", "skysky"}, {"rered", "resky"},
        {"re", "re"},         {"nothing of the kind", "nothing of the kind"},
        {"Red", "Red"},       {"", ""},
    };
    static const char *const there[] = {"10.0.0.2:53", "[fd00::2]:53"}, *const here[] = {"10.0.0.1:99",
                                                                                         "[fd00::1]:99"};
    struct weir_socket *a, *b;
    unsigned n = 0;
    struct suite s;

    (void)state;
    suite_open(&s, NULL, texts, 2);
    a = suite_bound(s.program, ":99");
    b = suite_bound(s.peer, ":53");
    for (unsigned six = 0; six < 2; six++) {
        for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            const size_t size = strlen(cases[i].sent);
            char got[64], from[WEIR_ADDRESS];

            assert_int_equal(weir_send_to(a, there[six], cases[i].sent, size), (long)size);
            assert_true(weir_wait_readable(b, WEIR_SECOND));
            assert_int_equal(weir_receive(b, got, sizeof got, from), (long)size);
            assert_memory_equal(got, cases[i].arrives, size);
            assert_string_equal(from, here[six]);
            assert_memory_equal(s.datagrams[n].payload, cases[i].arrives, size); /* on the wire already */
            n++;
            /* And in: on the wire the peer's words, in the program's hands the driver's. */
            assert_int_equal(weir_send_to(b, here[six], cases[i].sent, size), (long)size);
            assert_true(weir_wait_readable(a, WEIR_SECOND));
            assert_int_equal(weir_receive(a, got, sizeof got, from), (long)size);
            assert_memory_equal(got, cases[i].arrives, size);
            assert_string_equal(from, there[six]);
            assert_memory_equal(s.datagrams[n].payload, cases[i].sent, size);
            n++;
        }
    }
    assert_int_equal(s.datagram_count, n);
    suite_close(&s);
}

/* From one byte to what takes several fragments. */
static void datagrams_of_all_sizes(void **state)
{
    static const size_t sizes[] = {3,    4,    63,   64,   65,   511,   1400, 1452,
                                   1453, 1472, 1473, 3000, 9000, 40000, 65000};
    static const char *const there[] = {"10.0.0.2:53", "[fd00::2]:53"}, *const here[] = {"10.0.0.1:99",
                                                                                         "[fd00::1]:99"};
    static char sent[65000], wanted[65000];
    struct weir_socket *a, *b;
    struct suite s;

    (void)state;
    suite_open(&s, NULL, both, 3);
    a = suite_bound(s.program, ":99");
    b = suite_bound(s.peer, ":53");
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const size_t size = sizes[i];

        memset(sent, '.', size);
        memset(wanted, '.', size);
        for (size_t at = 0; at + 6 <= size; at += 1000) {
            memcpy(sent + at, "red", 3);
            memcpy(wanted + at, "sky", 3);
        }
        memcpy(sent + size - 3, "red", 3); /* the last of it */
        memcpy(wanted + size - 3, "sky", 3);
        for (unsigned six = 0; six < 2; six++) {
            assert_int_equal(weir_send_to(a, there[six], sent, size), (long)size);
            suite_receives(b, wanted, size, WEIR_SECOND);
            assert_int_equal(weir_send_to(b, here[six], sent, size), (long)size);
            suite_receives(a, wanted, size, WEIR_SECOND);
        }
    }
    expect_class(&s, 10);
    suite_close(&s);
}

/* Not TCP, whose bytes count. */
static void streams_keep_their_words(void **state)
{
    struct weir_socket *server, *a, *b;
    struct suite s;

    (void)state;
    suite_open(&s, NULL, texts, 2);
    server = suite_listens(s.peer, ":80");
    a = weir_socket(s.program, WEIR_TCP);
    (void)weir_connect(a, "10.0.0.2:80");
    b = suite_accepted(&s, a, server, WEIR_SECOND);
    assert_int_equal(weir_send(a, "red", 3), 3);
    suite_receives(b, "red", 3, WEIR_SECOND);
    suite_close(&s);
}

/* A peer's datagram that was damaged is not made right by the driver. */
static void what_is_damaged_stays_so(void **state)
{
    struct weir_socket *a, *b;
    struct suite s;

    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        suite_open(&s, &(struct weir_config){.seed = seed}, texts, 2);
        (void)weir_rule(s.w, &(struct weir_rule_config){.way = WEIR_TO_HOST, .action = WEIR_CORRUPT});
        a = suite_bound(s.program, ":99");
        b = suite_bound(s.peer, ":53");
        for (unsigned i = 0; i < 10; i++)
            assert_int_equal(weir_send_to(b, "10.0.0.1:99", "the red fox, red as it was", 26), 26);
        assert_false(weir_wait_readable(a, WEIR_SECOND));
        suite_close(&s);
    }
}

/* Programs of one machine talk to each other: out and in, each once. */
static void over_loopback(void **state)
{
    struct weir_process *other;
    struct weir_socket *a, *b;
    struct suite s;

    (void)state;
    suite_open(&s, NULL, both, 3);
    other = weir_process(s.w, "C:\\other.exe", NULL);
    a = suite_bound(s.program, "127.0.0.1:99");
    b = suite_bound(other, "127.0.0.1:53");
    assert_int_equal(weir_send_to(a, "127.0.0.1:53", "infrared", 8), 8);
    suite_receives(b, "infrasky", 8, WEIR_SECOND);
    assert_int_equal(suite_packets(&s), 0);
    suite_close(&s);
}

/* ---- begin and end ------------------------------------------------------------------------------------- */

static void texts_of_different_sizes_are_not_taken(void **state)
{
    static const struct weir_parameter wrong[] = {{.name = "Find", .string = "red"},
                                                  {.name = "Replace", .string = "blue"}};
    struct suite s;

    (void)state;
    suite_open_bare(&s, NULL);
    assert_null(suite_load(&s, wrong, 2));
    assert_non_null(strstr(weir_error(), "STATUS_INVALID_PARAMETER"));
    suite_close(&s);
}

static void it_goes_while_packets_are_under_way(void **state)
{
    struct weir_socket *server, *a, *b;
    struct suite s;

    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        suite_open(&s, &(struct weir_config){.seed = seed, .shuffle = true, .preempt = 2}, both, 3);
        server = suite_listens(s.peer, ":80");
        a = weir_socket(s.program, WEIR_TCP);
        (void)weir_connect(a, "10.0.0.2:80");
        b = suite_accepted(&s, a, server, WEIR_SECOND);
        suite_transfer(a, b, 5000);
        assert_int_equal(weir_send(a, "the last words", 14), 14);
        weir_run(s.w, seed * 100 * WEIR_MICROSECOND);
        assert_int_equal(weir_driver_unload(s.driver), 0);
        s.driver = NULL;
        assert_int_equal(weir_outstanding(s.w, NULL), 0);
        suite_receives(b, "the last words", 14, 10 * WEIR_SECOND);
        suite_transfer(b, a, 5000);
        suite_close(&s);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_are_marked),
        cmocka_unit_test(datagrams_and_pings_are_marked),
        cmocka_unit_test(left_alone),
        cmocka_unit_test(each_packet_goes_once),
        cmocka_unit_test(over_a_bad_wire),
        cmocka_unit_test(texts_are_others),
        cmocka_unit_test(datagrams_of_all_sizes),
        cmocka_unit_test(streams_keep_their_words),
        cmocka_unit_test(what_is_damaged_stays_so),
        cmocka_unit_test(over_loopback),
        cmocka_unit_test(texts_of_different_sizes_are_not_taken),
        cmocka_unit_test(it_goes_while_packets_are_under_way),
    };

    return SUITE_MAIN(argc, argv, "rewrite", tests);
}
