/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver `transform`: datagrams are made anew by its worker, longer or shorter, in both directions, IPv4 and IPv6;
 * lengths and checksums are right on the wire and none overtakes another; its worker held up, its end with datagrams held.
 */
#include "driver_suite.h"

#include <fwpmu.h>

#define UDP 17

static const struct weir_parameter longer[] = {{.name = "Find", .string = "red"},
                                               {.name = "Replace", .string = "vermilion"}};
static const struct weir_parameter shorter[] = {{.name = "Find", .string = "vermilion"},
                                                {.name = "Replace", .string = "red"}};
static const struct weir_parameter away[] = {{.name = "Find", .string = "red"},
                                             {.name = "Replace", .string = ""}};
static const struct weir_parameter at_port[] = {{.name = "Find", .string = "red"},
                                                {.name = "Replace", .string = "vermilion"},
                                                {.name = "Port", .number = 53}};

static const char *const there[] = {"10.0.0.2:53", "[fd00::2]:53"}, *const here[] = {"10.0.0.1:99",
                                                                                     "[fd00::1]:99"};

struct words {
    const struct weir_parameter *parameters;
    const char *sent, *arrives;
};

static void expect_words(const struct words *is, size_t count)
{
    struct weir_socket *a, *b;
    struct suite s;
    unsigned n = 0;

    suite_open(&s, NULL, is->parameters, 2);
    a = suite_bound(s.program, ":99");
    b = suite_bound(s.peer, ":53");
    for (unsigned run = 0; run < 2 * count; run++) {
        const struct words *w = &is[run / 2];
        const size_t sent = strlen(w->sent), arrives = strlen(w->arrives);
        char got[256], from[WEIR_ADDRESS];

        assert_int_equal(weir_send_to(a, there[run & 1], w->sent, sent), (long)sent);
        assert_true(weir_wait_readable(b, WEIR_SECOND));
        assert_int_equal(weir_receive(b, got, sizeof got, from), (long)arrives);
        assert_memory_equal(got, w->arrives, arrives);
        assert_string_equal(from, here[run & 1]);
        assert_int_equal(s.datagrams[n].size, arrives);
        assert_memory_equal(s.datagrams[n++].payload, w->arrives, arrives);
        assert_int_equal(weir_send_to(b, here[run & 1], w->sent, sent), (long)sent);
        assert_true(weir_wait_readable(a, WEIR_SECOND));
        assert_int_equal(weir_receive(a, got, sizeof got, from), (long)arrives);
        assert_memory_equal(got, w->arrives, arrives);
        assert_string_equal(from, there[run & 1]);
        assert_int_equal(s.datagrams[n++].size, sent);
    }
    assert_int_equal(s.datagram_count, n);
    suite_close(&s);
}

static void texts_grow_and_shrink(void **state)
{
    static const struct words grow[] = {
        {longer, "red", "vermilion"},
        {longer, "red red", "vermilion vermilion"},
        {longer, "reredd", "revermiliond"},
        {longer, "nothing of the kind", "nothing of the kind"},
        {longer, "", ""},
    };
    static const struct words shrink[] = {{shorter, "vermilion", "red"},
                                          {shorter, "a vermilion vermilion", "a red red"},
                                          {shorter, "vermilio", "vermilio"}};
    static const struct words vanish[] = {
        {away, "a red fox", "a  fox"}, {away, "red", ""}, {away, "reredd", "red"}};

    (void)state;
    expect_words(grow, sizeof grow / sizeof grow[0]);
    expect_words(shrink, sizeof shrink / sizeof shrink[0]);
    expect_words(vanish, sizeof vanish / sizeof vanish[0]);
}

/* What fits into a packet no longer does, or does again; what would be too large for a datagram stays as it is. */
static void datagrams_of_all_sizes(void **state)
{
    static const size_t sizes[] = {3, 64, 511, 1460, 1466, 1467, 1472, 1473, 3000, 9000, 40000, 65000};
    static char sent[65536], wanted[65536 + 6];
    struct weir_socket *a, *b;
    struct suite s;

    (void)state;
    suite_open(&s, NULL, longer, 2);
    a = suite_bound(s.program, ":99");
    b = suite_bound(s.peer, ":53");
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const size_t size = sizes[i];

        memset(sent, '.', size);
        memset(wanted, '.', size + 6);
        memcpy(sent + size - 3, "red", 3);
        memcpy(wanted + size - 3, "vermilion", 9);
        for (unsigned six = 0; six < 2; six++) {
            assert_int_equal(weir_send_to(a, there[six], sent, size), (long)size);
            suite_receives(b, wanted, size + 6, WEIR_SECOND);
            assert_int_equal(weir_send_to(b, here[six], sent, size), (long)size);
            suite_receives(a, wanted, size + 6, WEIR_SECOND);
        }
    }
    /* Each "red" would make it six bytes longer. */
    memset(sent, '.', 60000);
    for (size_t at = 0; at < 60000; at += 30)
        memcpy(sent + at, "red", 3);
    assert_int_equal(weir_send_to(b, here[0], sent, 60000), 60000);
    suite_receives(a, sent, 60000, WEIR_SECOND);
    suite_close(&s);
}

/* Those with the text and those without go the same way. */
static void none_overtakes_another(void **state)
{
    char line[64], got[64];
    struct weir_socket *a, *b;
    struct suite s;

    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        suite_open(
            &s,
            &(struct weir_config){.seed = seed, .shuffle = true, .preempt = 2, .inject_in_caller = seed & 1},
            longer, 2);
        a = suite_bound(s.program, ":99");
        b = suite_bound(s.peer, ":53");
        for (int i = 0; i < 50; i++) {
            const int size = snprintf(line, sizeof line, i % 3 ? "%d plain" : "%d red", i);

            assert_int_equal(weir_send_to(a, there[seed >> 1 & 1], line, (size_t)size), size);
            if (i % 11 == 0)
                weir_run(s.w, 300 * WEIR_MICROSECOND);
        }
        weir_run(s.w, WEIR_SECOND);
        for (int i = 0; i < 50; i++) {
            const int size = snprintf(line, sizeof line, i % 3 ? "%d plain" : "%d vermilion", i);

            assert_int_equal(weir_receive(b, got, sizeof got, NULL), size);
            assert_memory_equal(got, line, (size_t)size);
        }
        assert_int_equal(weir_receive(b, got, sizeof got, NULL), -EAGAIN);
        suite_close(&s);
    }
}

static void over_a_bad_wire(void **state)
{
    static char got[8192];
    struct weir_socket *a, *b;
    unsigned arrived = 0;
    struct suite s;

    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        suite_open(&s, &(struct weir_config){.seed = seed, .shuffle = true}, longer, 2);
        (void)weir_rule(s.w, &(struct weir_rule_config){.action = WEIR_DROP, .one_in = 10});
        (void)weir_rule(s.w, &(struct weir_rule_config){.action = WEIR_REORDER, .one_in = 5});
        (void)weir_rule(
            s.w, &(struct weir_rule_config){.way = WEIR_TO_HOST, .action = WEIR_CORRUPT, .one_in = 10});
        a = suite_bound(s.program, ":99");
        b = suite_bound(s.peer, ":53");
        for (unsigned i = 0; i < 60; i++) {
            static char sent[4000];
            const size_t size = 10 + i * 20;

            memset(sent, '.', sizeof sent);
            memcpy(sent + size - 3, "red", 3);
            assert_int_equal(weir_send_to(b, here[i & 1], sent, size), (long)size);
            assert_int_equal(weir_send_to(a, there[i & 1], sent, size), (long)size);
        }
        weir_run(s.w, 100 * WEIR_SECOND);
        for (unsigned out = 0; out < 2; out++) {
            long n;

            while ((n = weir_receive(out ? b : a, got, sizeof got, NULL)) >= 0) {
                assert_true(n >= 16 && (n - 16) % 20 == 0); /* whole, or not at all */
                assert_memory_equal(got + n - 10, ".vermilion", 10);
                arrived++;
            }
        }
        suite_close(&s);
    }
    assert_in_range(arrived, 300, 719);
}

static void only_at_that_port(void **state)
{
    struct weir_socket *a, *b, *c;
    struct suite s;

    (void)state;
    suite_open(&s, NULL, at_port, 3);
    a = suite_bound(s.program, ":99");
    b = suite_bound(s.peer, ":53");
    c = suite_bound(s.peer, ":54");
    for (unsigned six = 0; six < 2; six++) {
        assert_int_equal(weir_send_to(a, there[six], "red", 3), 3);
        suite_receives(b, "vermilion", 9, WEIR_SECOND);
        assert_int_equal(weir_send_to(b, here[six], "red", 3), 3);
        suite_receives(a, "vermilion", 9, WEIR_SECOND);
        assert_int_equal(weir_send_to(a, six ? "[fd00::2]:54" : "10.0.0.2:54", "red", 3), 3);
        suite_receives(c, "red", 3, WEIR_SECOND);
        assert_int_equal(weir_send_to(c, here[six], "red", 3), 3);
        suite_receives(a, "red", 3, WEIR_SECOND);
    }
    suite_close(&s);
}

/* TCP and ICMP are no datagrams of UDP's. */
static void others_are_left_alone(void **state)
{
    struct weir_socket *server, *a, *b, *p;
    struct suite s;

    (void)state;
    suite_open(&s, NULL, longer, 2);
    server = suite_listens(s.peer, ":80");
    a = weir_socket(s.program, WEIR_TCP);
    (void)weir_connect(a, "10.0.0.2:80");
    b = suite_accepted(&s, a, server, WEIR_SECOND);
    assert_int_equal(weir_send(a, "red", 3), 3);
    suite_receives(b, "red", 3, WEIR_SECOND);
    p = weir_socket(s.program, WEIR_PING);
    assert_int_equal(weir_send_to(p, "fd00::2", "red", 3), 3);
    suite_receives(p, "red", 3, WEIR_SECOND);
    assert_true(weir_expect(s.w, &(struct weir_match){.kind = WEIR_EVENT_INJECTED}, 0));
    suite_close(&s);
}

static void over_loopback(void **state)
{
    struct weir_process *other;
    struct weir_socket *a, *b;
    struct suite s;

    (void)state;
    suite_open(&s, NULL, longer, 2);
    other = weir_process(s.w, "C:\\other.exe", NULL);
    a = suite_bound(s.program, "127.0.0.1:99");
    b = suite_bound(other, "127.0.0.1:53");
    assert_int_equal(weir_send_to(a, "127.0.0.1:53", "infrared", 8), 8);
    suite_receives(b, "infravermilion", 14, WEIR_SECOND);
    suite_close(&s);
}

/* ---- the worker ---------------------------------------------------------------------------------------- */

/* Who sent them is gone before its worker gets to them. */
static void who_sent_it_goes_meanwhile(void **state)
{
    struct weir_process *other;
    struct weir_socket *a, *b;
    struct weir_hold *hold;
    struct suite s;

    (void)state;
    for (unsigned exits = 0; exits < 2; exits++) {
        suite_open(&s, NULL, longer, 2);
        b = suite_bound(s.peer, ":53");
        other = weir_process(s.w, "C:\\other.exe", NULL);
        a = suite_bound(other, ":99");
        hold = weir_hold(s.w, "thread");
        for (unsigned i = 0; i < 5; i++) {
            assert_int_equal(weir_send_to(a, there[i & 1], "red", 3), 3);
            assert_int_equal(weir_send_to(b, here[i & 1], "red", 3), 3);
        }
        assert_false(weir_wait_readable(b, 10 * WEIR_SECOND));
        assert_int_equal(s.traffic[1][UDP].packets, 0);
        assert_true(weir_outstanding(s.w, "NET_BUFFER_LIST reference") >= 10);
        if (exits)
            weir_process_exit(other);
        else
            weir_close(a);
        weir_release(hold);
        weir_run(s.w, 10 * WEIR_SECOND);
        assert_int_equal(weir_outstanding(s.w, "NET_BUFFER_LIST reference"), 0);
        suite_close(&s);
    }
}

static void it_goes_while_datagrams_are_held(void **state)
{
    struct weir_socket *a, *b;
    struct suite s;

    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        suite_open(&s, &(struct weir_config){.seed = seed, .shuffle = true, .preempt = 2}, longer, 2);
        a = suite_bound(s.program, ":99");
        b = suite_bound(s.peer, ":53");
        for (unsigned i = 0; i < 20; i++) {
            assert_int_equal(weir_send_to(a, there[i & 1], "red", 3), 3);
            assert_int_equal(weir_send_to(b, here[i & 1], "red", 3), 3);
        }
        weir_run(s.w, seed * 200 * WEIR_MICROSECOND);
        assert_int_equal(weir_driver_unload(s.driver), 0);
        s.driver = NULL;
        assert_int_equal(weir_outstanding(s.w, NULL), 0);
        weir_run(s.w, WEIR_SECOND);
        suite_close(&s);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_grow_and_shrink),
        cmocka_unit_test(datagrams_of_all_sizes),
        cmocka_unit_test(none_overtakes_another),
        cmocka_unit_test(over_a_bad_wire),
        cmocka_unit_test(only_at_that_port),
        cmocka_unit_test(others_are_left_alone),
        cmocka_unit_test(over_loopback),
        cmocka_unit_test(who_sent_it_goes_meanwhile),
        cmocka_unit_test(it_goes_while_datagrams_are_held),
    };

    return SUITE_MAIN(argc, argv, "transform", tests);
}
