/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir.h: connections that a driver leads elsewhere: to another host, to a local proxy that asks for their records and
 * carries them on; binds to other ports; closures that wait. Decided within the classify, and by a thread later.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <weir.h>

#include "leader.h"

#define APP   "C:\\Program Files\\app.exe"
#define PROXY "C:\\Program Files\\proxy.exe"

struct lab {
    struct weir *w;
    struct weir_process *program, *proxy, *peer;
    struct weir_driver *driver;
    struct weir_socket *server, *listener;
};

static const char *expected; /* words of a message that is to be told; NULL: none */

static void failed(void *ctx, const char *text)
{
    (void)ctx;
    if (expected == NULL || strstr(text, expected) == NULL)
        fail_msg("%s", text);
    expected = NULL;
}

static struct weir_socket *listening(struct weir_process *p, const char *address)
{
    struct weir_socket *s = weir_socket(p, WEIR_TCP);

    assert_int_equal(weir_bind(s, address), 0);
    assert_int_equal(weir_listen(s), 0);
    return s;
}

static void lab_open(struct lab *l, const struct leader *what, const char *at)
{
    struct weir_config c = {.size = sizeof c, .failed = failed};
    struct leader is = *what;

    *l = (struct lab){0};
    assert_int_equal(weir_create_with(&c, &l->w), 0);
    l->program = weir_process(l->w, APP, NULL);
    l->proxy = weir_process(l->w, PROXY, NULL);
    l->peer = weir_peer(l->w, 1);
    l->server = listening(l->peer, at);
    if (is.proxy_port != 0) {
        char address[32];

        snprintf(address, sizeof address, "10.0.0.1:%u", is.proxy_port);
        l->listener = listening(l->proxy, address);
        is.proxy = weir_process_id(l->proxy);
    }
    l->driver = leader_load(l->w, &is);
    assert_non_null(l->driver);
}

static void lab_close(struct lab *l)
{
    if (l->driver != NULL)
        assert_int_equal(weir_driver_unload(l->driver), 0);
    assert_true(weir_expect_clean(l->w));
    weir_destroy(l->w);
}

static void carries(struct weir_socket *from, struct weir_socket *to, const char *text)
{
    char got[64];
    const long n = (long)strlen(text);

    assert_int_equal(weir_send(from, text, (size_t)n), n);
    assert_true(weir_wait_readable(to, WEIR_SECOND));
    assert_int_equal(weir_receive(to, got, sizeof got, NULL), n);
    assert_memory_equal(got, text, (size_t)n);
}

static struct weir_socket *accepted(struct lab *l, struct weir_socket *listener)
{
    struct weir_socket *s;

    weir_run(l->w, 10 * WEIR_MILLISECOND);
    s = weir_accept(listener);
    assert_non_null(s);
    return s;
}

/* ---- another host ---------------------------------------------------------------------------------------------- */

static void to_another_port(uint32_t delay_ms)
{
    struct weir_socket *s, *a;
    char text[WEIR_ADDRESS];
    struct lab l;

    lab_open(&l, &(struct leader){.to = 0x0a000002, .to_port = 8088, .delay_ms = delay_ms}, ":8088");
    s = weir_socket(l.program, WEIR_TCP);
    assert_int_equal(weir_connect(s, "10.0.0.2:80"), -EINPROGRESS);
    if (delay_ms != 0)
        assert_int_equal(weir_state(s), WEIR_PENDED);
    assert_true(weir_wait(s, WEIR_CONNECTED, WEIR_SECOND));
    a = accepted(&l, l.server);
    carries(s, a, "ask");
    carries(a, s, "answer");
    assert_string_equal(weir_remote(s, text), "10.0.0.2:80"); /* the program does not know */
    assert_int_equal(
        weir_count(l.w, &(struct weir_match){.kind = WEIR_EVENT_PACKET, .remote = "10.0.0.2:80"}), 0);
    weir_close(s);
    assert_true(weir_wait(a, WEIR_CLOSING, WEIR_SECOND));
    weir_close(a);
    lab_close(&l);
}

static void another_host_at_once(void **state)
{
    (void)state;
    to_another_port(0);
}

static void another_host_later(void **state)
{
    (void)state;
    to_another_port(200);
}

/* ---- a local proxy --------------------------------------------------------------------------------------------- */

static void through_a_proxy(uint32_t delay_ms)
{
    struct weir_socket *s, *in, *out, *a;
    unsigned char records[256];
    char where[64];
    struct lab l;
    long n;

    lab_open(&l, &(struct leader){.proxy_port = 8080, .delay_ms = delay_ms}, ":80");
    s = weir_socket(l.program, WEIR_TCP);
    assert_int_equal(weir_connect(s, "10.0.0.2:80"), -EINPROGRESS);
    assert_true(weir_wait(s, WEIR_CONNECTED, WEIR_SECOND));
    in = accepted(&l, l.listener);
    assert_int_equal(weir_redirect_context(in, where, sizeof where), 12);
    assert_string_equal(where, "10.0.0.2:80");
    n = weir_redirect_records(in, NULL, 0);
    assert_true(n > 0 && n <= (long)sizeof records);
    assert_int_equal(weir_redirect_records(in, records, sizeof records), n);
    out = weir_socket(l.proxy, WEIR_TCP);
    assert_int_equal(weir_set_redirect_records(out, records, (size_t)n), 0);
    assert_int_equal(weir_connect(out, where), -EINPROGRESS);
    assert_true(weir_wait(out, WEIR_CONNECTED, WEIR_SECOND)); /* it is not led here again */
    assert_int_equal(leader_states(0), 1);                    /* not redirected */
    assert_int_equal(leader_states(1), 1);                    /* by self */
    a = accepted(&l, l.server);
    carries(s, in, "ask");
    carries(out, a, "ask");
    carries(a, out, "answer");
    carries(in, s, "answer");
    assert_int_equal(weir_set_redirect_records(out, records, (size_t)n), -EISCONN);
    weir_close(s);
    weir_close(in);
    weir_close(out);
    weir_close(a);
    weir_run(l.w, 5 * WEIR_SECOND);
    lab_close(&l);
}

static void a_proxy_at_once(void **state)
{
    (void)state;
    through_a_proxy(0);
}

static void a_proxy_later(void **state)
{
    (void)state;
    through_a_proxy(50);
}

static void without_records_it_goes_round(void **state)
{
    struct weir_socket *s, *in, *out;
    struct lab l;

    (void)state;
    lab_open(&l, &(struct leader){.proxy_port = 8080}, ":80");
    s = weir_socket(l.program, WEIR_TCP);
    assert_int_equal(weir_connect(s, "10.0.0.2:80"), -EINPROGRESS);
    assert_true(weir_wait(s, WEIR_CONNECTED, WEIR_SECOND));
    in = accepted(&l, l.listener);
    out = weir_socket(l.proxy, WEIR_TCP);
    assert_int_equal(weir_connect(out, "10.0.0.2:80"), -EINPROGRESS);
    assert_true(weir_wait(out, WEIR_CONNECTED, WEIR_SECOND));
    assert_non_null(accepted(&l, l.listener)); /* it is the proxy's own */
    assert_int_equal(leader_states(0), 2);
    weir_close(s);
    weir_close(in);
    weir_close(out);
    lab_close(&l);
}

static void not_redirected(void **state)
{
    struct weir_socket *s, *in;
    char bytes[64];
    struct lab l;

    (void)state;
    lab_open(&l, &(struct leader){.proxy_port = 8080}, ":81");
    s = weir_socket(l.program, WEIR_TCP);
    assert_int_equal(weir_connect(s, "10.0.0.1:8080"), -EINPROGRESS); /* to the proxy itself */
    assert_true(weir_wait(s, WEIR_CONNECTED, WEIR_SECOND));
    in = accepted(&l, l.listener);
    assert_int_equal(weir_redirect_records(in, bytes, sizeof bytes), -ENOENT);
    assert_int_equal(weir_redirect_context(in, bytes, sizeof bytes), -ENOENT);
    weir_close(s);
    weir_close(in);
    lab_close(&l);
}

/* ---- bind ------------------------------------------------------------------------------------------------------ */

static void a_bind(uint32_t delay_ms)
{
    struct weir_socket *s, *peer;
    char got[16], from[WEIR_ADDRESS];
    struct lab l;

    lab_open(&l, &(struct leader){.bind_port = 6000, .delay_ms = delay_ms}, ":80");
    peer = weir_socket(l.peer, WEIR_UDP);
    assert_int_equal(weir_bind(peer, "10.0.0.2:53"), 0);
    s = weir_socket(l.program, WEIR_UDP);
    assert_int_equal(weir_bind(s, "10.0.0.1:5000"), delay_ms != 0 ? -EINPROGRESS : 0);
    assert_true(weir_wait(s, WEIR_BOUND, WEIR_SECOND));
    assert_int_equal(weir_send_to(s, "10.0.0.2:53", "ask", 3), 3);
    assert_true(weir_wait_readable(peer, WEIR_SECOND));
    assert_int_equal(weir_receive(peer, got, sizeof got, from), 3);
    assert_string_equal(from, "10.0.0.1:6000");
    assert_int_equal(weir_send_to(peer, "10.0.0.1:6000", "answer", 6), 6);
    assert_true(weir_wait_readable(s, WEIR_SECOND));
    assert_int_equal(weir_receive(s, got, sizeof got, from), 6);
    weir_close(s);
    weir_close(peer);
    lab_close(&l);
}

static void a_bind_at_once(void **state)
{
    (void)state;
    a_bind(0);
}

static void a_bind_later(void **state)
{
    (void)state;
    a_bind(100);
}

/* ---- closure --------------------------------------------------------------------------------------------------- */

static void a_closure_waits(void **state)
{
    struct weir_socket *s, *a;
    struct lab l;

    (void)state;
    lab_open(&l, &(struct leader){.closures = true}, ":80");
    s = weir_socket(l.program, WEIR_TCP);
    assert_int_equal(weir_connect(s, "10.0.0.2:80"), -EINPROGRESS);
    assert_true(weir_wait(s, WEIR_CONNECTED, WEIR_SECOND));
    a = accepted(&l, l.server);
    weir_abort(s);
    weir_run(l.w, WEIR_SECOND);
    assert_int_equal(weir_outstanding(l.w, "pended classify"), 1);
    assert_int_equal(weir_count(l.w, &(struct weir_match){.layer = "ALE_RESOURCE_RELEASE_V4"}), 0);
    leader_go();
    weir_run(l.w, WEIR_SECOND);
    assert_int_equal(weir_outstanding(l.w, "pended classify"), 0);
    assert_int_equal(weir_count(l.w, &(struct weir_match){.layer = "ALE_RESOURCE_RELEASE_V4"}), 1);
    weir_close(a);
    lab_close(&l);
}

/* As the exit of a process does: until the driver lets its sockets go. */
static void an_exit_waits_for_closures(void **state)
{
    struct weir_socket *s[3], *listener, *a = NULL;
    struct weir_process *other;
    uint64_t start;
    struct lab l;

    (void)state;
    lab_open(&l, &(struct leader){.closures = true, .closures_ms = 2500}, ":80");
    other = weir_process(l.w, "C:\\other.exe", NULL);
    for (unsigned i = 0; i < 3; i++) {
        s[i] = weir_socket(i == 2 ? l.program : other, WEIR_TCP);
        assert_int_equal(weir_connect(s[i], "10.0.0.2:80"), -EINPROGRESS);
        assert_true(weir_wait(s[i], WEIR_CONNECTED, WEIR_SECOND));
        a = accepted(&l, l.server);
    }
    listener = listening(other, "10.0.0.1:8000");
    assert_non_null(listener);
    start = weir_now(l.w);
    weir_process_exit(other);
    assert_true(weir_now(l.w) - start >= 2500 * WEIR_MILLISECOND);
    assert_true(weir_now(l.w) - start < 3 * WEIR_SECOND);
    assert_int_equal(weir_outstanding(l.w, "pended classify"), 0);
    assert_int_equal(weir_count(l.w, &(struct weir_match){.layer = "ALE_ENDPOINT_CLOSURE_V4"}), 3);
    assert_int_equal(weir_count(l.w, &(struct weir_match){.layer = "ALE_RESOURCE_RELEASE_V4"}), 3);
    carries(s[2], a, "still there"); /* another program's is none of its */
    start = weir_now(l.w);
    weir_process_exit(weir_process(l.w, "C:\\third.exe", NULL)); /* it has nothing to wait for */
    assert_int_equal(weir_now(l.w), start);
    lab_close(&l);
}

static void an_exit_that_hangs(void **state)
{
    struct weir_process *other;
    struct weir_socket *s;
    uint64_t start;
    struct lab l;

    (void)state;
    lab_open(&l, &(struct leader){.closures = true}, ":80");
    other = weir_process(l.w, "C:\\other.exe", NULL);
    s = weir_socket(other, WEIR_TCP);
    assert_int_equal(weir_connect(s, "10.0.0.2:80"), -EINPROGRESS);
    assert_true(weir_wait(s, WEIR_CONNECTED, WEIR_SECOND));
    start = weir_now(l.w);
    expected = "1 of its sockets' closures";
    weir_process_exit(other);
    assert_null(expected); /* it was told */
    assert_int_equal((weir_now(l.w) - start) / WEIR_SECOND, 60);
    assert_int_equal(weir_outstanding(l.w, "pended classify"), 1);
    assert_int_equal(weir_count(l.w, &(struct weir_match){.layer = "ALE_RESOURCE_RELEASE_V4"}), 0);
    leader_go();
    weir_run(l.w, WEIR_SECOND);
    assert_int_equal(weir_count(l.w, &(struct weir_match){.layer = "ALE_RESOURCE_RELEASE_V4"}), 1);
    lab_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_host_at_once),
        cmocka_unit_test(another_host_later),
        cmocka_unit_test(a_proxy_at_once),
        cmocka_unit_test(a_proxy_later),
        cmocka_unit_test(without_records_it_goes_round),
        cmocka_unit_test(not_redirected),
        cmocka_unit_test(a_bind_at_once),
        cmocka_unit_test(a_bind_later),
        cmocka_unit_test(a_closure_waits),
        cmocka_unit_test(an_exit_waits_for_closures),
        cmocka_unit_test(an_exit_that_hangs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
