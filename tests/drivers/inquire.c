/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver `inquire`: connects and accepts wait for its policy's answer, TCP, UDP and ICMP, IPv4 and IPv6; nothing is
 * on the wire before; who goes meanwhile, what is sent again meanwhile, who asks at the same time, the driver's own end.
 */
#include "driver_suite.h"

#include <fwpmu.h>

#define DELAY (200 * WEIR_MILLISECOND) /* the driver's, if nothing is said */

static const struct weir_parameter refuses[] = {
    {.name = "RefusePorts", .string = "23,8443"},
    {.name = "RefuseProtocols", .string = "1,58"},
};
#define REFUSES refuses, 2

/* ---- TCP ----------------------------------------------------------------------------------------------- */

static void connects_wait_for_the_answer(void **state)
{
    static const char *const to[] = {"10.0.0.2:80", "[fd00::2]:80"};
    struct weir_socket *server, *c, *a;
    struct suite s;

    (void)state;
    suite_open(&s, NULL, NULL, 0);
    server = suite_listens(s.peer, ":80");
    for (unsigned six = 0; six < 2; six++) {
        const uint64_t before = suite_packets(&s), began = weir_now(s.w);

        c = weir_socket(s.program, WEIR_TCP);
        assert_int_equal(weir_connect(c, to[six]), -EINPROGRESS);
        weir_run(s.w, DELAY - 1);
        assert_true(weir_expect_state(c, WEIR_PENDED));
        assert_int_equal(weir_outstanding(s.w, "pended operation"), 1);
        assert_int_equal(suite_packets(&s), before);
        a = suite_accepted(&s, c, server, WEIR_SECOND);
        assert_in_range(weir_now(s.w) - began, DELAY, DELAY + 13 * WEIR_MILLISECOND);
        suite_transfer(c, a, 100000);
        suite_transfer(a, c, 100000);
        weir_close(c);
        weir_close(a);
        weir_settle(s.w);
    }
    assert_true(weir_expect(s.w, &(struct weir_match){.layer = "ALE_AUTH_CONNECT", .verdict = "pended"}, 2));
    assert_true(weir_expect(s.w, &(struct weir_match){.layer = "ALE_AUTH_CONNECT", .verdict = "permit"}, 2));
    suite_close(&s);
}

static void connects_that_are_refused(void **state)
{
    static const char *const to[] = {"10.0.0.2:23", "[fd00::2]:8443"};
    struct weir_socket *c;
    struct suite s;

    (void)state;
    suite_open(&s, NULL, REFUSES);
    for (unsigned six = 0; six < 2; six++) {
        c = weir_socket(s.program, WEIR_TCP);
        assert_int_equal(weir_connect(c, to[six]), -EINPROGRESS);
        weir_run(s.w, DELAY - 1);
        assert_true(weir_expect_state(c, WEIR_PENDED));
        weir_run(s.w, 2);
        assert_true(weir_expect_state(c, WEIR_REFUSED));
        assert_int_equal(weir_send(c, "x", 1), -EACCES);
    }
    assert_int_equal(suite_packets(&s), 0);
    suite_close(&s);
}

static void accepts_wait_for_the_answer(void **state)
{
    static const char *const to[] = {"10.0.0.1:8080", "[fd00::1]:8080"};
    struct weir_socket *listener, *c, *a;
    struct suite s;

    (void)state;
    suite_open(&s, NULL, NULL, 0);
    listener = suite_listens(s.program, ":8080");
    for (unsigned six = 0; six < 2; six++) {
        c = weir_socket(s.peer, WEIR_TCP);
        assert_int_equal(weir_connect(c, to[six]), -EINPROGRESS);
        weir_run(s.w, DELAY);
        assert_true(weir_expect_state(c, WEIR_CONNECTING));
        assert_null(weir_accept(listener));
        /* The clone of the first SYN is answered: it is not sent again for that. */
        a = suite_accepted(&s, c, listener, 3 * WEIR_MILLISECOND);
        suite_transfer(c, a, 50000);
        suite_transfer(a, c, 50000);
        weir_close(a);
        weir_close(c);
        weir_settle(s.w);
    }
    assert_true(
        weir_expect(s.w, &(struct weir_match){.layer = "ALE_AUTH_RECV_ACCEPT", .verdict = "pended"}, 2));
    suite_close(&s);
}

static void accepts_that_are_refused(void **state)
{
    struct weir_socket *listener, *c;
    struct suite s;

    (void)state;
    suite_open(&s, NULL, REFUSES);
    listener = suite_listens(s.program, ":8443");
    c = weir_socket(s.peer, WEIR_TCP);
    assert_int_equal(weir_connect(c, "[fd00::1]:8443"), -EINPROGRESS);
    assert_false(weir_wait(c, WEIR_CONNECTED, 100 * WEIR_SECOND));
    assert_true(weir_expect_state(c, WEIR_TIMED_OUT));
    assert_null(weir_accept(listener));
    assert_int_equal(s.traffic[1][6].packets, 0); /* met with silence */
    suite_close(&s);
}

/* The answer takes longer than the peer's patience with each of its SYNs. */
static void syns_that_are_sent_again(void **state)
{
    const struct weir_parameter slow = {.name = "DelayMs", .number = 5000};
    struct weir_socket *listener, *c, *a;
    struct suite s;

    (void)state;
    suite_open(&s, NULL, &slow, 1);
    listener = suite_listens(s.program, ":8080");
    c = weir_socket(s.peer, WEIR_TCP);
    assert_int_equal(weir_connect(c, "10.0.0.1:8080"), -EINPROGRESS);
    weir_run(s.w, 4900 * WEIR_MILLISECOND);
    assert_in_range(s.traffic[0][6].packets, 2, 8);
    assert_int_equal(s.traffic[1][6].packets, 0);
    /* One question, however often it is put. */
    assert_int_equal(weir_outstanding(s.w, "pended operation"), 1);
    assert_int_equal(weir_outstanding(s.w, "NET_BUFFER_LIST clone"), 1);
    assert_true(
        weir_expect(s.w, &(struct weir_match){.layer = "ALE_AUTH_RECV_ACCEPT_V4", .verdict = "pended"}, 1));
    assert_true(weir_expect(s.w,
                            &(struct weir_match){.layer = "ALE_AUTH_RECV_ACCEPT_V4", .verdict = "absorbed"},
                            s.traffic[0][6].packets - 1));
    a = suite_accepted(&s, c, listener, 10 * WEIR_SECOND);
    assert_null(weir_accept(listener));
    suite_transfer(c, a, 1000);
    suite_close(&s);
}

/* A bad wire and a driver that takes its time: bytes come as they were sent. */
static void over_a_bad_wire(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct weir_socket *here, *there, *c, *d, *a, *b;
        struct suite s;

        suite_open(&s, &(struct weir_config){.seed = seed, .shuffle = true, .preempt = 8}, NULL, 0);
        (void)weir_rule(s.w, &(struct weir_rule_config){.action = WEIR_DROP, .one_in = 10});
        (void)weir_rule(s.w, &(struct weir_rule_config){.action = WEIR_REORDER, .one_in = 10});
        (void)weir_rule(s.w, &(struct weir_rule_config){.action = WEIR_DUPLICATE, .one_in = 20});
        there = suite_listens(s.peer, ":80");
        here = suite_listens(s.program, ":80");
        c = weir_socket(s.program, WEIR_TCP);
        d = weir_socket(s.peer, WEIR_TCP);
        (void)weir_connect(c, "[fd00::2]:80");
        (void)weir_connect(d, "10.0.0.1:80");
        a = suite_accepted(&s, c, there, 60 * WEIR_SECOND);
        b = suite_accepted(&s, d, here, 60 * WEIR_SECOND);
        suite_transfer(c, a, 60000);
        suite_transfer(b, d, 60000);
        suite_close(&s);
    }
}

/* ---- datagrams and ICMP -------------------------------------------------------------------------------- */

static void datagrams_wait_in_order(void **state)
{
    static const char *const to[] = {"10.0.0.2:53", "[fd00::2]:53"}, *const back[] = {"10.0.0.1:99",
                                                                                      "[fd00::1]:99"};
    struct weir_socket *c, *server, *late;
    char got[8];
    struct suite s;

    (void)state;
    suite_open(&s, NULL, NULL, 0);
    server = suite_bound(s.peer, ":53");
    late = suite_bound(s.program, ":99");
    for (unsigned six = 0; six < 2; six++) {
        c = weir_socket(s.program, WEIR_UDP);
        for (char n = 'a'; n < 'f'; n++)
            assert_int_equal(weir_send_to(c, to[six], &n, 1), 1);
        assert_false(weir_wait_readable(server, DELAY));
        weir_run(s.w, 2 * WEIR_MILLISECOND);
        for (char n = 'a'; n < 'f'; n++) {
            assert_int_equal(weir_receive(server, got, sizeof got, NULL), 1);
            assert_int_equal(got[0], n);
        }
        assert_int_equal(weir_send_to(c, to[six], "x", 1), 1); /* the flow is authorized */
        suite_receives(server, "x", 1, 2 * WEIR_MILLISECOND);
        /* And those that come in. */
        for (char n = 'a'; n < 'd'; n++)
            assert_int_equal(weir_send_to(server, back[six], &n, 1), 1);
        assert_false(weir_wait_readable(late, DELAY));
        weir_run(s.w, 2 * WEIR_MILLISECOND);
        for (char n = 'a'; n < 'd'; n++) {
            assert_int_equal(weir_receive(late, got, sizeof got, NULL), 1);
            assert_int_equal(got[0], n);
        }
        assert_int_equal(weir_receive(late, got, sizeof got, NULL), -EAGAIN);
    }
    assert_int_equal(weir_outstanding(s.w, "NET_BUFFER_LIST clone"), 0);
    suite_close(&s);
}

static void datagrams_that_are_refused(void **state)
{
    struct weir_socket *c, *server, *here;
    struct suite s;

    (void)state;
    suite_open(&s, NULL, REFUSES);
    server = suite_bound(s.peer, ":23");
    here = suite_bound(s.program, ":8443");
    c = weir_socket(s.program, WEIR_UDP);
    assert_int_equal(weir_send_to(c, "10.0.0.2:23", "x", 1), 1); /* it is not known yet */
    assert_int_equal(weir_send_to(server, "[fd00::1]:8443", "x", 1), 1);
    assert_false(weir_wait_readable(server, WEIR_SECOND));
    assert_false(weir_wait_readable(here, WEIR_SECOND));
    assert_int_equal(s.traffic[1][17].packets, 0);
    assert_int_equal(weir_outstanding(s.w, "NET_BUFFER_LIST clone"), 0);
    suite_close(&s);
}

static void pings(void **state)
{
    static const char *const there[] = {"10.0.0.2", "fd00::2"}, *const here[] = {"10.0.0.1", "fd00::1"};
    struct weir_socket *c;
    char got[16];
    struct suite s;

    (void)state;
    for (unsigned refused = 0; refused < 2; refused++) {
        suite_open(&s, NULL, refused ? refuses : NULL, refused ? 2 : 0);
        for (unsigned six = 0; six < 2; six++) {
            const uint64_t began = weir_now(s.w);

            c = weir_socket(s.program, WEIR_PING);
            assert_int_equal(weir_send_to(c, there[six], "echo", 4), 4);
            assert_int_equal(weir_wait_readable(c, 3 * DELAY), !refused);
            assert_int_equal(weir_receive(c, got, sizeof got, NULL), refused ? -EAGAIN : 4);
            if (!refused)
                assert_in_range(weir_now(s.w) - began, DELAY, DELAY + 3 * WEIR_MILLISECOND);
            c = weir_socket(s.peer, WEIR_PING);
            assert_int_equal(weir_send_to(c, here[six], "echo", 4), 4);
            assert_int_equal(weir_wait_readable(c, 3 * DELAY), !refused);
        }
        suite_close(&s);
    }
}

/* ---- who goes meanwhile -------------------------------------------------------------------------------- */

enum going { CLOSES, ABORTS, EXITS };

static void goes(enum going how, struct suite *s)
{
    struct weir_process *other = weir_process(s->w, "C:\\other.exe", NULL);
    struct weir_socket *c = weir_socket(other, WEIR_TCP), *u = weir_socket(other, WEIR_UDP);
    const uint64_t since = weir_mark(s->w), id = weir_process_id(other), packets = suite_packets(s);

    assert_int_equal(weir_connect(c, "10.0.0.2:80"), -EINPROGRESS);
    assert_int_equal(weir_send_to(u, "10.0.0.2:53", "x", 1), 1);
    weir_run(s->w, DELAY / 2);
    assert_int_equal(weir_outstanding(s->w, "pended operation"), 2);
    if (how == EXITS) {
        weir_process_exit(other);
    } else {
        (how == CLOSES ? weir_close : weir_abort)(c);
        weir_close(u);
    }
    /* The driver owes its answers all the same; they change nothing, and nobody is asked again. */
    assert_int_equal(weir_outstanding(s->w, "pended operation"), 2);
    weir_run(s->w, DELAY);
    assert_int_equal(weir_outstanding(s->w, "pended operation"), 0);
    assert_true(weir_expect(
        s->w, &(struct weir_match){.kind = WEIR_EVENT_COMPLETED, .verdict = "cancelled", .since = since}, 2));
    assert_true(weir_expect(
        s->w, &(struct weir_match){.layer = "ALE_AUTH_CONNECT", .verdict = "permit", .since = since}, 0));
    assert_true(weir_expect(
        s->w, &(struct weir_match){.layer = "ALE_RESOURCE_RELEASE", .process_id = id, .since = since}, 2));
    assert_int_equal(suite_packets(s), packets);
    if (how != EXITS)
        weir_process_exit(other);
}

static void who_asked_goes_meanwhile(void **state)
{
    struct suite s;

    (void)state;
    suite_open(&s, NULL, NULL, 0);
    for (enum going how = CLOSES; how <= EXITS; how++)
        goes(how, &s);
    weir_run(s.w, 40 * WEIR_SECOND); /* answers that nobody fetches are dropped after 30 s */
    suite_close(&s);
}

/* The same, and the driver goes as well, with answers that nobody has fetched. */
static void who_asked_goes_and_the_driver(void **state)
{
    struct suite s;

    (void)state;
    for (enum going how = CLOSES; how <= EXITS; how++) {
        suite_open(&s, NULL, NULL, 0);
        goes(how, &s);
        suite_close(&s);
    }
}

/* The listener goes: the clone that is injected then finds nobody, who says so. */
static void the_listener_goes_meanwhile(void **state)
{
    struct weir_process *other;
    struct weir_socket *c;
    struct suite s;

    (void)state;
    suite_open(&s, NULL, NULL, 0);
    other = weir_process(s.w, "C:\\other.exe", NULL);
    (void)suite_listens(other, ":8080");
    c = weir_socket(s.peer, WEIR_TCP);
    assert_int_equal(weir_connect(c, "10.0.0.1:8080"), -EINPROGRESS);
    weir_run(s.w, DELAY / 2);
    weir_process_exit(other);
    assert_false(weir_wait(c, WEIR_CONNECTED, 10 * WEIR_SECOND));
    assert_true(weir_expect_state(c, WEIR_RESET));
    suite_close(&s);
}

/* Who called the host gives up and its reset comes while its SYN is held. */
static void the_caller_gives_up(void **state)
{
    struct weir_socket *listener, *c;
    struct suite s;

    (void)state;
    suite_open(&s, NULL, NULL, 0);
    listener = suite_listens(s.program, ":8080");
    c = weir_socket(s.peer, WEIR_TCP);
    assert_int_equal(weir_connect(c, "[fd00::1]:8080"), -EINPROGRESS);
    weir_run(s.w, DELAY / 2);
    weir_abort(c);
    weir_settle(s.w);
    assert_null(weir_accept(listener));
    assert_int_equal(weir_outstanding(s.w, "NET_BUFFER_LIST clone"), 0);
    suite_close(&s);
}

/* ---- several at once ----------------------------------------------------------------------------------- */

static void two_processes_at_once(void **state)
{
    struct weir_process *one, *two;
    struct weir_socket *a, *b, *server, *accepted;
    struct suite s;

    (void)state;
    suite_open(&s, NULL, REFUSES);
    server = suite_listens(s.peer, ":80");
    one = weir_process(s.w, "C:\\one.exe", NULL);
    two = weir_process(s.w, "C:\\two.exe", "S-1-5-21-1-2-3-1002");
    a = weir_socket(one, WEIR_TCP);
    b = weir_socket(two, WEIR_TCP);
    assert_int_equal(weir_connect(a, "10.0.0.2:80"), -EINPROGRESS);
    assert_int_equal(weir_connect(b, "10.0.0.2:80"), -EINPROGRESS);
    assert_true(
        weir_expect(s.w, &(struct weir_match){.verdict = "pended", .process_id = weir_process_id(one)}, 1));
    assert_true(
        weir_expect(s.w, &(struct weir_match){.verdict = "pended", .process_id = weir_process_id(two)}, 1));
    weir_run(s.w, DELAY / 2);
    weir_process_exit(one);
    accepted = suite_accepted(&s, b, server, WEIR_SECOND); /* the other is not hurt */
    assert_null(weir_accept(server));
    suite_transfer(b, accepted, 3000);

    /* Each finds its own answer. */
    a = weir_socket(two, WEIR_TCP);
    b = weir_socket(s.program, WEIR_TCP);
    assert_int_equal(weir_connect(a, "10.0.0.2:23"), -EINPROGRESS);
    assert_int_equal(weir_connect(b, "10.0.0.2:80"), -EINPROGRESS);
    assert_true(weir_wait(b, WEIR_CONNECTED, WEIR_SECOND));
    assert_true(weir_expect_state(a, WEIR_REFUSED));
    suite_close(&s);
}

static void many_at_once(void **state)
{
    enum { MANY = 60 };
    struct weir_socket *c[MANY];
    char address[WEIR_ADDRESS];
    struct suite s;

    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        suite_open(&s, &(struct weir_config){.seed = seed, .shuffle = true, .preempt = 4}, REFUSES);
        (void)suite_listens(s.peer, ":80");
        for (unsigned i = 0; i < MANY; i++) {
            c[i] = weir_socket(s.program, WEIR_TCP);
            snprintf(address, sizeof address, i & 1 ? "[fd00::2]:%u" : "10.0.0.2:%u", i % 3 == 0 ? 23u : 80u);
            assert_int_equal(weir_connect(c[i], address), -EINPROGRESS);
            if (i % 8 == 0)
                weir_run(s.w, 10 * WEIR_MILLISECOND);
        }
        for (unsigned i = 0; i < MANY; i += 5)
            weir_close(c[i]);
        weir_run(s.w, WEIR_SECOND);
        for (unsigned i = 0; i < MANY; i++)
            if (i % 5 != 0)
                assert_true(weir_expect_state(c[i], i % 3 == 0 ? WEIR_REFUSED : WEIR_CONNECTED));
        suite_close(&s);
    }
}

/* FwpsCompleteOperation0's consequences come on a thread of the host's. (An accept's clone, injected at once, then finds it still
 * pended: a note, and lost. That mode is for finding such.) */
static void completions_are_put_off(void **state)
{
    struct weir_socket *c, *d, *server;
    struct suite s;

    (void)state;
    suite_open(&s, &(struct weir_config){.defer_completion = true, .shuffle = true}, REFUSES);
    server = suite_listens(s.peer, ":80");
    c = weir_socket(s.program, WEIR_TCP);
    d = weir_socket(s.program, WEIR_TCP);
    (void)weir_connect(c, "10.0.0.2:80");
    (void)weir_connect(d, "10.0.0.2:23");
    suite_transfer(c, suite_accepted(&s, c, server, WEIR_SECOND), 1000);
    assert_true(weir_expect_state(d, WEIR_REFUSED));
    suite_close(&s);
}

/* ---- asked again --------------------------------------------------------------------------------------- */

static void connections_that_stand_are_asked_about_again(void **state)
{
    static const enum weir_reason why[] = {WEIR_POLICY_CHANGE, WEIR_IPSEC_REKEY, WEIR_PROPERTIES_CHANGED};
    struct weir_socket *c, *a, *server;
    struct suite s;

    (void)state;
    suite_open(&s, NULL, NULL, 0);
    server = suite_listens(s.peer, ":80");
    c = weir_socket(s.program, WEIR_TCP);
    (void)weir_connect(c, "[fd00::2]:80");
    a = suite_accepted(&s, c, server, WEIR_SECOND);
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned out = 0; out < 2; out++) {
            const uint64_t since = weir_mark(s.w), began = weir_now(s.w);

            weir_run(s.w, WEIR_SECOND); /* acknowledgements are over */
            weir_reauthorize(s.w, why[i]);
            assert_int_equal(weir_send(out ? c : a, "again", 5), 5);
            suite_receives(out ? a : c, "again", 5, 10 * WEIR_SECOND);
            /* Its packet was held as long as the answer took; it is not pended (PEND-07). */
            assert_true(weir_now(s.w) - began >= WEIR_SECOND + DELAY);
            assert_true(weir_expect_some(
                s.w,
                &(struct weir_match){.layer = "ALE_AUTH_CONNECT_V6", .contains = "(again)", .since = since}));
            assert_true(weir_expect(s.w, &(struct weir_match){.verdict = "pended", .since = since}, 0));
            suite_transfer(c, a, 20000);
        }
    }
    suite_close(&s);
}

/* ---- the driver's own end ------------------------------------------------------------------------------ */

static void the_driver_goes_while_all_wait(void **state)
{
    struct weir_socket *c, *u, *in, *listener, *server, *udp;
    struct suite s;

    (void)state;
    suite_open(&s, NULL, NULL, 0);
    server = suite_listens(s.peer, ":80");
    listener = suite_listens(s.program, ":80");
    udp = suite_bound(s.peer, ":53");
    c = weir_socket(s.program, WEIR_TCP);
    u = weir_socket(s.program, WEIR_UDP);
    in = weir_socket(s.peer, WEIR_TCP);
    (void)weir_connect(c, "10.0.0.2:80");
    (void)weir_connect(in, "10.0.0.1:80");
    assert_int_equal(weir_send_to(u, "10.0.0.2:53", "x", 1), 1);
    weir_run(s.w, DELAY / 2);
    assert_int_equal(weir_outstanding(s.w, "pended operation"), 3);
    assert_int_equal(weir_driver_unload(s.driver), 0);
    s.driver = NULL;
    assert_int_equal(weir_outstanding(s.w, NULL), 0);
    assert_true(weir_expect_state(c, WEIR_REFUSED)); /* who waits is refused */
    assert_false(weir_wait_readable(udp, DELAY));
    /* What comes afterwards meets no driver. */
    suite_transfer(in, suite_accepted(&s, in, listener, 10 * WEIR_SECOND), 1000);
    c = weir_socket(s.program, WEIR_TCP);
    (void)weir_connect(c, "10.0.0.2:80");
    suite_transfer(c, suite_accepted(&s, c, server, 3 * WEIR_MILLISECOND), 1000);
    suite_close(&s);
}

/* It is loaded while a connection stands that it has not seen begin, and a second time. */
static void loaded_late_and_again(void **state)
{
    struct weir_socket *c, *a, *server;
    struct suite s;

    (void)state;
    suite_open_bare(&s, NULL);
    server = suite_listens(s.peer, ":80");
    c = weir_socket(s.program, WEIR_TCP);
    (void)weir_connect(c, "10.0.0.2:80");
    a = suite_accepted(&s, c, server, WEIR_SECOND);
    for (unsigned i = 0; i < 3; i++) {
        assert_non_null(suite_load(&s, NULL, 0));
        suite_transfer(c, a, 10000);
        suite_transfer(a, c, 10000);
        assert_int_equal(weir_driver_unload(s.driver), 0);
        s.driver = NULL;
        suite_transfer(c, a, 10000);
    }
    suite_close(&s);
}

/* The worker does not get to run: nothing goes on, nothing is lost. */
static void the_worker_is_held_up(void **state)
{
    struct weir_socket *c, *server;
    struct weir_hold *hold;
    struct suite s;

    (void)state;
    suite_open(&s, NULL, NULL, 0);
    server = suite_listens(s.peer, ":80");
    hold = weir_hold(s.w, "thread");
    assert_non_null(hold);
    c = weir_socket(s.program, WEIR_TCP);
    (void)weir_connect(c, "10.0.0.2:80");
    weir_run(s.w, 100 * WEIR_SECOND);
    assert_true(weir_expect_state(c, WEIR_PENDED));
    weir_release(hold);
    suite_transfer(c, suite_accepted(&s, c, server, WEIR_SECOND), 1000);
    suite_close(&s);
}

/* It has a device and gives it no name: there is nothing to open. */
static void its_device_has_no_name(void **state)
{
    int32_t status = 0;
    struct suite s;

    (void)state;
    suite_open(&s, NULL, NULL, 0);
    assert_null(weir_open(s.program, "\\\\.\\Inquire", &status));
    assert_int_equal(status, (int32_t)0xc0000034); /* STATUS_OBJECT_NAME_NOT_FOUND */
    suite_close(&s);
}

/* A filter that weighs more decides: the driver does not pend (ARB-32). */
static void who_weighs_more_decides(void **state)
{
    struct weir_socket *c;
    struct suite s;

    (void)state;
    suite_open(&s, NULL, NULL, 0);
    suite_block(&s, &FWPM_LAYER_ALE_AUTH_CONNECT_V4, 0);
    c = weir_socket(s.program, WEIR_TCP);
    (void)weir_connect(c, "10.0.0.2:80");
    weir_run(s.w, WEIR_SECOND);
    assert_true(weir_expect_state(c, WEIR_REFUSED));
    assert_int_equal(suite_packets(&s), 0);
    suite_close(&s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connects_wait_for_the_answer),
        cmocka_unit_test(connects_that_are_refused),
        cmocka_unit_test(accepts_wait_for_the_answer),
        cmocka_unit_test(accepts_that_are_refused),
        cmocka_unit_test(syns_that_are_sent_again),
        cmocka_unit_test(over_a_bad_wire),
        cmocka_unit_test(datagrams_wait_in_order),
        cmocka_unit_test(datagrams_that_are_refused),
        cmocka_unit_test(pings),
        cmocka_unit_test(who_asked_goes_meanwhile),
        cmocka_unit_test(who_asked_goes_and_the_driver),
        cmocka_unit_test(the_listener_goes_meanwhile),
        cmocka_unit_test(the_caller_gives_up),
        cmocka_unit_test(two_processes_at_once),
        cmocka_unit_test(many_at_once),
        cmocka_unit_test(completions_are_put_off),
        cmocka_unit_test(connections_that_stand_are_asked_about_again),
        cmocka_unit_test(the_driver_goes_while_all_wait),
        cmocka_unit_test(loaded_late_and_again),
        cmocka_unit_test(the_worker_is_held_up),
        cmocka_unit_test(its_device_has_no_name),
        cmocka_unit_test(who_weighs_more_decides),
    };

    return SUITE_MAIN(argc, argv, "inquire", tests);
}
