/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir.h: binds, listens, connects and accepts that a driver pends and completes: at once, later from a thread of its
 * own, when it is told to, at its unload; permitted and refused; and what happens where the program goes meanwhile.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <weir.h>

#include "pender.h"

#define APP "C:\\Program Files\\app.exe"

struct lab {
    struct weir *w;
    struct weir_process *program, *peer;
    struct weir_driver *driver;
    struct weir_socket *server; /* the peer's, at port 80 of both its addresses */
};

static void failed(void *ctx, const char *text)
{
    (void)ctx;
    fail_msg("%s", text);
}

static void lab_open_with(struct lab *l, const struct weir_config *config, const struct pender *what)
{
    struct weir_config c = config != NULL ? *config : (struct weir_config){0};

    c.size = sizeof c;
    c.failed = failed;
    assert_int_equal(weir_create_with(&c, &l->w), 0);
    l->program = weir_process(l->w, APP, NULL);
    l->peer = weir_peer(l->w, 1);
    l->driver = pender_load(l->w, what);
    assert_non_null(l->driver);
    l->server = weir_socket(l->peer, WEIR_TCP);
    assert_int_equal(weir_bind(l->server, ":80"), 0);
    assert_int_equal(weir_listen(l->server), 0);
}

static void lab_open(struct lab *l, const struct pender *what)
{
    lab_open_with(l, NULL, what);
}

static void lab_close(struct lab *l)
{
    if (l->driver != NULL)
        assert_int_equal(weir_driver_unload(l->driver), 0);
    assert_true(weir_expect_clean(l->w));
    weir_destroy(l->w);
}

/* A connection carries bytes both ways. */
static void talk(struct lab *l, struct weir_socket *s, struct weir_socket *listener)
{
    struct weir_socket *a;
    char got[8];

    weir_run(l->w, 10 * WEIR_MILLISECOND);
    a = weir_accept(listener);
    assert_non_null(a);
    assert_int_equal(weir_send(s, "ask", 3), 3);
    assert_true(weir_wait_readable(a, WEIR_SECOND));
    assert_int_equal(weir_receive(a, got, sizeof got, NULL), 3);
    assert_memory_equal(got, "ask", 3);
    assert_int_equal(weir_send(a, "answer", 6), 6);
    assert_true(weir_wait_readable(s, WEIR_SECOND));
    assert_int_equal(weir_receive(s, got, sizeof got, NULL), 6);
    assert_memory_equal(got, "answer", 6);
    weir_close(a);
}

/* ---- connect ----------------------------------------------------------------------------------------------- */

static void a_connect_waits_for_the_driver(void **state)
{
    static const char *const to[] = {"10.0.0.2:80", "[fd00::2]:80"};
    struct weir_socket *s;
    struct lab l;
    uint64_t began;

    (void)state;
    lab_open(&l, &(struct pender){.at = PENDER_CONNECT, .delay_ms = 500});
    for (int six = 0; six < 2; six++) {
        s = weir_socket(l.program, WEIR_TCP);
        began = weir_now(l.w);
        assert_int_equal(weir_connect(s, to[six]), -EINPROGRESS);
        assert_int_equal(weir_state(s), WEIR_PENDED);
        assert_int_equal(weir_outstanding(l.w, "pended operation"), 1);
        /* Nothing is sent before the decision. */
        weir_run(l.w, 499 * WEIR_MILLISECOND);
        assert_int_equal(weir_state(s), WEIR_PENDED);
        assert_int_equal(weir_count(l.w, &(struct weir_match){.kind = WEIR_EVENT_PACKET,
                                                              .remote = six ? "fd00::2" : "10.0.0.2"}),
                         0);
        assert_true(weir_wait(s, WEIR_CONNECTED, WEIR_SECOND));
        assert_in_range(weir_now(l.w) - began, 502 * WEIR_MILLISECOND, 503 * WEIR_MILLISECOND);
        talk(&l, s, l.server);
        weir_close(s);
    }
    assert_int_equal(pender_asked(), 2);
    assert_int_equal(pender_asked_again(), 2);
    weir_expect(l.w, &(struct weir_match){.layer = "ALE_AUTH_CONNECT_V4", .verdict = "pended"}, 1);
    weir_settle(l.w);
    lab_close(&l);
}

static void a_connect_that_is_refused_later(void **state)
{
    struct weir_socket *s;
    struct lab l;

    (void)state;
    lab_open(&l, &(struct pender){.at = PENDER_CONNECT, .delay_ms = 20, .block = true});
    s = weir_socket(l.program, WEIR_TCP);
    assert_int_equal(weir_connect(s, "10.0.0.2:80"), -EINPROGRESS);
    assert_false(weir_wait(s, WEIR_CONNECTED, WEIR_SECOND));
    assert_int_equal(weir_state(s), WEIR_REFUSED);
    assert_int_equal(weir_send(s, "x", 1), -EACCES);
    assert_int_equal(weir_count(l.w, &(struct weir_match){.kind = WEIR_EVENT_PACKET}), 0);
    weir_close(s);
    lab_close(&l);
}

static void completed_within_the_classify(void **state)
{
    struct weir_socket *s;
    struct lab l;

    (void)state;
    lab_open(&l, &(struct pender){.at = PENDER_CONNECT, .how = PENDER_NOW});
    s = weir_socket(l.program, WEIR_TCP);
    assert_int_equal(weir_connect(s, "10.0.0.2:80"), -EINPROGRESS);
    assert_int_equal(weir_state(s), WEIR_CONNECTING); /* it went out with the call */
    assert_true(weir_wait(s, WEIR_CONNECTED, WEIR_SECOND));
    talk(&l, s, l.server);
    lab_close(&l);
    lab_open(&l, &(struct pender){.at = PENDER_CONNECT, .how = PENDER_NOW, .block = true});
    s = weir_socket(l.program, WEIR_TCP);
    (void)weir_connect(s, "10.0.0.2:80");
    assert_int_equal(weir_state(s), WEIR_REFUSED);
    lab_close(&l);
}

static void answered_without_pending(void **state)
{
    struct weir_socket *s;
    struct lab l;

    (void)state;
    lab_open(&l, &(struct pender){.at = PENDER_CONNECT, .how = PENDER_NEVER_PENDS, .block = true});
    s = weir_socket(l.program, WEIR_TCP);
    assert_int_equal(weir_connect(s, "10.0.0.2:80"), -EACCES);
    assert_int_equal(weir_state(s), WEIR_REFUSED);
    s = weir_socket(l.program, WEIR_UDP);
    assert_int_equal(weir_send_to(s, "10.0.0.2:53", "x", 1), -EACCES);
    lab_close(&l);
}

static void deferred_completion(void **state)
{
    struct weir_socket *s;
    struct lab l;

    (void)state;
    lab_open_with(&l, &(struct weir_config){.defer_completion = true},
                  &(struct pender){.at = PENDER_CONNECT, .how = PENDER_NOW});
    s = weir_socket(l.program, WEIR_TCP);
    assert_int_equal(weir_connect(s, "10.0.0.2:80"), -EINPROGRESS);
    assert_int_equal(weir_state(s), WEIR_PENDED); /* the host's thread has not run */
    assert_true(weir_wait(s, WEIR_CONNECTED, WEIR_SECOND));
    talk(&l, s, l.server);
    lab_close(&l);
}

static void many_at_once(void **state)
{
    struct weir_socket *s[40];
    struct lab l;

    (void)state;
    lab_open(&l, &(struct pender){.at = PENDER_CONNECT, .how = PENDER_HELD});
    for (int i = 0; i < 40; i++) {
        s[i] = weir_socket(l.program, WEIR_TCP);
        assert_int_equal(weir_connect(s[i], "10.0.0.2:80"), -EINPROGRESS);
    }
    weir_run(l.w, 3600 * WEIR_SECOND); /* the program waits as long as it takes */
    assert_int_equal(weir_outstanding(l.w, "pended operation"), 40);
    pender_go();
    for (int i = 0; i < 40; i++)
        assert_true(weir_wait(s[i], WEIR_CONNECTED, WEIR_SECOND));
    lab_close(&l);
}

/* ---- datagrams --------------------------------------------------------------------------------------------- */

static void a_datagram_is_sent_again_from_its_clone(void **state)
{
    struct weir_socket *s, *server;
    char got[8], from[WEIR_ADDRESS];
    struct lab l;

    (void)state;
    lab_open(&l, &(struct pender){.at = PENDER_CONNECT, .delay_ms = 30});
    server = weir_socket(l.peer, WEIR_UDP);
    assert_int_equal(weir_bind(server, ":53"), 0);
    s = weir_socket(l.program, WEIR_UDP);
    assert_int_equal(weir_send_to(s, "[fd00::2]:53", "query", 5), 5);
    assert_false(weir_wait_readable(server, 29 * WEIR_MILLISECOND));
    assert_true(weir_wait_readable(server, 5 * WEIR_MILLISECOND));
    assert_int_equal(weir_receive(server, got, sizeof got, from), 5);
    assert_memory_equal(got, "query", 5);
    assert_int_equal(weir_send_to(server, from, "answer", 6), 6);
    assert_true(weir_wait_readable(s, WEIR_SECOND));
    assert_int_equal(weir_receive(s, got, sizeof got, from), 6);
    assert_string_equal(from, "[fd00::2]:53");
    assert_int_equal(weir_send_to(s, "[fd00::2]:53", "again", 5), 5); /* the flow is authorized */
    assert_true(weir_wait_readable(server, 5 * WEIR_MILLISECOND));
    lab_close(&l);
}

/* ---- accept ------------------------------------------------------------------------------------------------ */

static void an_accept_is_injected_again(void **state)
{
    static const char *const to[] = {"10.0.0.1:8080", "[fd00::1]:8080"};
    struct weir_socket *listener, *c;
    struct lab l;

    (void)state;
    lab_open(&l, &(struct pender){.at = PENDER_ACCEPT, .delay_ms = 40});
    listener = weir_socket(l.program, WEIR_TCP);
    assert_int_equal(weir_bind(listener, ":8080"), 0);
    assert_int_equal(weir_listen(listener), 0);
    for (int six = 0; six < 2; six++) {
        c = weir_socket(l.peer, WEIR_TCP);
        assert_int_equal(weir_connect(c, to[six]), -EINPROGRESS);
        weir_run(l.w, 40 * WEIR_MILLISECOND);
        assert_int_equal(weir_state(c), WEIR_CONNECTING);
        assert_null(weir_accept(listener));
        assert_true(weir_wait(c, WEIR_CONNECTED, 10 * WEIR_MILLISECOND)); /* before its SYN was sent again */
        talk(&l, c, listener);
        weir_close(c);
    }
    weir_settle(l.w);
    lab_close(&l);
}

static void an_accept_that_is_refused_is_met_with_silence(void **state)
{
    struct weir_socket *listener, *c;
    struct lab l;

    (void)state;
    lab_open(&l, &(struct pender){.at = PENDER_ACCEPT, .delay_ms = 40, .block = true});
    listener = weir_socket(l.program, WEIR_TCP);
    assert_int_equal(weir_bind(listener, "10.0.0.1:8080"), 0);
    assert_int_equal(weir_listen(listener), 0);
    c = weir_socket(l.peer, WEIR_TCP);
    assert_int_equal(weir_connect(c, "10.0.0.1:8080"), -EINPROGRESS);
    assert_false(weir_wait(c, WEIR_CONNECTED, 60 * WEIR_SECOND));
    assert_int_equal(weir_state(c), WEIR_TIMED_OUT);
    assert_null(weir_accept(listener));
    lab_close(&l);
}

/* The listener goes while an accept is pended: what is injected then finds nobody. */
static void the_listener_goes_meanwhile(void **state)
{
    struct weir_socket *listener, *c;
    struct lab l;

    (void)state;
    lab_open(&l, &(struct pender){.at = PENDER_ACCEPT, .how = PENDER_HELD});
    listener = weir_socket(l.program, WEIR_TCP);
    assert_int_equal(weir_bind(listener, "10.0.0.1:8080"), 0);
    assert_int_equal(weir_listen(listener), 0);
    c = weir_socket(l.peer, WEIR_TCP);
    assert_int_equal(weir_connect(c, "10.0.0.1:8080"), -EINPROGRESS);
    weir_run(l.w, 10 * WEIR_MILLISECOND);
    weir_close(listener);
    pender_go();
    assert_false(weir_wait(c, WEIR_CONNECTED, 60 * WEIR_SECOND));
    assert_int_equal(weir_state(c), WEIR_RESET);
    lab_close(&l);
}

/* ---- bind and listen --------------------------------------------------------------------------------------- */

static void a_bind_waits(void **state)
{
    struct weir_socket *s;
    char local[WEIR_ADDRESS];
    struct lab l;

    (void)state;
    lab_open(&l, &(struct pender){.at = PENDER_BIND, .delay_ms = 25});
    s = weir_socket(l.program, WEIR_UDP);
    assert_int_equal(weir_bind(s, "10.0.0.1:5000"), -EINPROGRESS);
    assert_int_equal(weir_state(s), WEIR_PENDED);
    assert_int_equal(weir_send_to(s, "10.0.0.2:53", "x", 1), -EAGAIN);
    assert_true(weir_wait(s, WEIR_BOUND, WEIR_SECOND));
    assert_string_equal(weir_local(s, local), "10.0.0.1:5000");
    assert_int_equal(weir_send_to(s, "10.0.0.2:53", "x", 1), 1);
    lab_close(&l);
}

static void a_listen_waits_for_its_bind_and_then_for_itself(void **state)
{
    struct weir_socket *s, *c;
    struct lab l;
    uint64_t began;

    (void)state;
    lab_open(&l, &(struct pender){.at = PENDER_BIND | PENDER_LISTEN, .delay_ms = 100});
    s = weir_socket(l.program, WEIR_TCP);
    began = weir_now(l.w);
    assert_int_equal(weir_bind(s, ":8080"), -EINPROGRESS);
    assert_int_equal(weir_listen(s), -EINPROGRESS);
    assert_true(weir_wait(s, WEIR_LISTENING, WEIR_SECOND));
    assert_in_range(weir_now(l.w) - began, 200 * WEIR_MILLISECOND, 201 * WEIR_MILLISECOND);
    c = weir_socket(l.peer, WEIR_TCP);
    (void)weir_connect(c, "10.0.0.1:8080");
    assert_true(weir_wait(c, WEIR_CONNECTED, WEIR_SECOND));
    talk(&l, c, s);
    lab_close(&l);
}

static void a_connect_waits_for_its_bind(void **state)
{
    struct weir_socket *s;
    struct lab l;

    (void)state;
    lab_open(&l, &(struct pender){.at = PENDER_BIND | PENDER_CONNECT, .delay_ms = 100});
    s = weir_socket(l.program, WEIR_TCP);
    assert_int_equal(weir_connect(s, "10.0.0.2:80"), -EINPROGRESS);
    assert_int_equal(weir_state(s), WEIR_PENDED);
    weir_run(l.w, 150 * WEIR_MILLISECOND);
    assert_int_equal(weir_state(s), WEIR_PENDED); /* by the connect now */
    assert_true(weir_wait(s, WEIR_CONNECTED, WEIR_SECOND));
    talk(&l, s, l.server);
    lab_close(&l);
}

static void refused_binds_and_listens(void **state)
{
    struct weir_socket *s, *c;
    struct lab l;

    (void)state;
    lab_open(&l, &(struct pender){.at = PENDER_BIND, .delay_ms = 10, .block = true});
    s = weir_socket(l.program, WEIR_TCP);
    assert_int_equal(weir_bind(s, "10.0.0.1:8080"), -EINPROGRESS);
    assert_false(weir_wait(s, WEIR_BOUND, WEIR_SECOND));
    assert_int_equal(weir_state(s), WEIR_REFUSED);
    assert_int_equal(weir_listen(s), -EACCES);
    s = weir_socket(l.program, WEIR_TCP);
    assert_int_equal(weir_bind(s, "10.0.0.1:8080"), -EINPROGRESS); /* the port is free again */
    lab_close(&l);

    lab_open(&l, &(struct pender){.at = PENDER_LISTEN, .delay_ms = 10, .block = true});
    s = weir_socket(l.program, WEIR_TCP);
    assert_int_equal(weir_bind(s, "10.0.0.1:8080"), 0);
    assert_int_equal(weir_listen(s), -EINPROGRESS);
    assert_false(weir_wait(s, WEIR_LISTENING, WEIR_SECOND));
    assert_int_equal(weir_state(s), WEIR_REFUSED);
    c = weir_socket(l.peer, WEIR_TCP);
    (void)weir_connect(c, "10.0.0.1:8080");
    assert_false(weir_wait(c, WEIR_CONNECTED, WEIR_SECOND));
    assert_int_equal(weir_state(c), WEIR_RESET); /* nobody listens */
    lab_close(&l);

    lab_open(&l,
             &(struct pender){.at = PENDER_BIND | PENDER_LISTEN, .how = PENDER_NEVER_PENDS, .block = true});
    s = weir_socket(l.program, WEIR_TCP);
    assert_int_equal(weir_bind(s, "10.0.0.1:8080"), -EACCES);
    assert_int_equal(weir_state(s), WEIR_REFUSED);
    lab_close(&l);
}

/* ---- the program goes -------------------------------------------------------------------------------------- */

/* What a datagram binds by itself: the call has returned before it is refused; those that follow are told. */
static void an_implied_bind_that_is_refused_later(void **state)
{
    static const char *const to[] = {"10.0.0.2:53", "[fd00::2]:53"};
    struct lab l;

    (void)state;
    lab_open(&l, &(struct pender){.at = PENDER_BIND, .block = true, .delay_ms = 20});
    for (unsigned i = 0; i < 2; i++) {
        struct weir_socket *s = weir_socket(l.program, WEIR_UDP);

        assert_int_equal(weir_send_to(s, to[i], "question", 8), -EAGAIN);
        assert_int_equal(weir_state(s), WEIR_PENDED);
        weir_run(l.w, WEIR_SECOND);
        assert_int_equal(weir_state(s), WEIR_REFUSED);
        assert_int_equal(weir_send_to(s, to[i], "question", 8), -EACCES);
        assert_int_equal(weir_connect(s, to[i]), -EACCES);
        assert_int_equal(weir_send_to(s, to[!i], "question", 8), -EACCES);
    }
    lab_close(&l);
}

static void closed_while_pended(void **state)
{
    struct weir_socket *s;
    struct lab l;

    (void)state;
    lab_open(&l, &(struct pender){.at = PENDER_CONNECT | PENDER_BIND, .how = PENDER_HELD});
    s = weir_socket(l.program, WEIR_UDP); /* bind */
    assert_int_equal(weir_bind(s, ":5000"), -EINPROGRESS);
    weir_close(s);
    assert_int_equal(weir_outstanding(l.w, "pended operation"), 1); /* the driver still owes it */
    pender_go();
    weir_run(l.w, WEIR_SECOND);
    assert_int_equal(weir_outstanding(l.w, "pended operation"), 0);
    assert_int_equal(pender_asked_again(), 0); /* PEND-41: nobody waits for it */
    lab_close(&l);

    lab_open(&l, &(struct pender){.at = PENDER_CONNECT, .how = PENDER_HELD});
    for (int abort = 0; abort < 2; abort++) {
        s = weir_socket(l.program, WEIR_TCP);
        assert_int_equal(weir_connect(s, "10.0.0.2:80"), -EINPROGRESS);
        weir_run(l.w, WEIR_SECOND);
        (abort ? weir_abort : weir_close)(s);
    }
    pender_go();
    weir_settle(l.w);
    assert_int_equal(pender_asked_again(), 0);
    assert_int_equal(
        weir_count(l.w, &(struct weir_match){.kind = WEIR_EVENT_COMPLETED, .verdict = "cancelled"}), 2);
    assert_int_equal(weir_count(l.w, &(struct weir_match){.kind = WEIR_EVENT_PACKET}), 0);
    lab_close(&l);
}

static void the_process_exits_while_pended(void **state)
{
    struct weir_process *other;
    struct weir_socket *s;
    struct lab l;

    (void)state;
    lab_open(&l, &(struct pender){.at = PENDER_CONNECT | PENDER_BIND | PENDER_LISTEN, .how = PENDER_HELD});
    other = weir_process(l.w, "C:\\other.exe", NULL);
    s = weir_socket(other, WEIR_TCP);
    assert_int_equal(weir_bind(s, ":1"), -EINPROGRESS);
    s = weir_socket(other, WEIR_TCP);
    assert_int_equal(weir_connect(s, "10.0.0.2:80"), -EINPROGRESS);
    weir_process_exit(other);
    assert_int_equal(weir_outstanding(l.w, "pended operation"), 2);
    pender_go();
    weir_settle(l.w);
    assert_int_equal(weir_outstanding(l.w, NULL), weir_outstanding(l.w, NULL));
    assert_int_equal(
        weir_count(l.w, &(struct weir_match){.kind = WEIR_EVENT_COMPLETED, .verdict = "cancelled"}), 2);
    assert_int_equal(pender_asked_again(), 0);
    lab_close(&l);
}

static void the_driver_goes_while_pended(void **state)
{
    struct weir_socket *s;
    struct lab l;

    (void)state;
    lab_open(&l, &(struct pender){.at = PENDER_CONNECT, .how = PENDER_HELD});
    s = weir_socket(l.program, WEIR_TCP);
    assert_int_equal(weir_connect(s, "10.0.0.2:80"), -EINPROGRESS);
    assert_int_equal(weir_driver_unload(l.driver), 0); /* it completes what it holds */
    l.driver = NULL;
    assert_true(weir_wait(s, WEIR_CONNECTED, WEIR_SECOND));
    lab_close(&l);
}

/* The engine ends while a connect is pended and the driver is loaded. */
static void everything_goes_while_pended(void **state)
{
    struct weir_socket *s;
    struct lab l;

    (void)state;
    lab_open(&l, &(struct pender){.at = PENDER_CONNECT, .how = PENDER_HELD});
    s = weir_socket(l.program, WEIR_TCP);
    assert_int_equal(weir_connect(s, "10.0.0.2:80"), -EINPROGRESS);
    weir_destroy(l.w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connect_waits_for_the_driver),
        cmocka_unit_test(a_connect_that_is_refused_later),
        cmocka_unit_test(completed_within_the_classify),
        cmocka_unit_test(answered_without_pending),
        cmocka_unit_test(deferred_completion),
        cmocka_unit_test(many_at_once),
        cmocka_unit_test(a_datagram_is_sent_again_from_its_clone),
        cmocka_unit_test(an_accept_is_injected_again),
        cmocka_unit_test(an_accept_that_is_refused_is_met_with_silence),
        cmocka_unit_test(the_listener_goes_meanwhile),
        cmocka_unit_test(a_bind_waits),
        cmocka_unit_test(a_listen_waits_for_its_bind_and_then_for_itself),
        cmocka_unit_test(a_connect_waits_for_its_bind),
        cmocka_unit_test(refused_binds_and_listens),
        cmocka_unit_test(an_implied_bind_that_is_refused_later),
        cmocka_unit_test(closed_while_pended),
        cmocka_unit_test(the_process_exits_while_pended),
        cmocka_unit_test(the_driver_goes_while_pended),
        cmocka_unit_test(everything_goes_while_pended),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
