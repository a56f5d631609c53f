/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir.h: expectations: true where they hold, else a message with both sides, the nearest events and what differs in
 * them, the last events, and how to run it again.
 */
#include <errno.h>

#include "embed_lab.h"
#include "linked.h"

static int begin(void **state)
{
    struct embed_lab *l = calloc(1, sizeof *l);

    assert_non_null(l);
    embed_lab_open(l, &(struct weir_config){.seed = 77});
    assert_non_null(linked_load(l->w));
    (void)embed_lab_serves(l, ":80");
    *state = l;
    return 0;
}

static int end(void **state)
{
    embed_lab_close(*state);
    free(*state);
    return 0;
}

static struct weir_socket *connect_to(struct embed_lab *l, const char *to)
{
    struct weir_socket *s = weir_socket(l->program, WEIR_TCP);

    (void)weir_connect(s, to);
    weir_run(l->w, 10 * WEIR_MILLISECOND);
    return s;
}

static void events(void **state)
{
    const struct weir_match permits = {.layer = "ALE_AUTH_CONNECT_V4", .verdict = "permit"};
    const struct weir_match blocks = {.layer = "ALE_AUTH_CONNECT_V4", .verdict = "block"};
    const struct weir_match other = {
        .layer = "ALE_AUTH_CONNECT_V4", .verdict = "permit", .remote = "10.0.0.2:443"};
    struct embed_lab *l = *state;

    weir_close(connect_to(l, "10.0.0.2:80"));
    assert_true(weir_expect(l->w, &permits, 1));
    assert_true(weir_expect(l->w, &blocks, 0));
    assert_true(weir_expect_some(l->w, &permits));
    embed_lab_expects(l);
    assert_false(weir_expect(l->w, &permits, 2));
    embed_lab_told(
        l,
        "weir_expect: expected 2 events, found 1:\n    classify, layer ALE_AUTH_CONNECT_V4, verdict permit");
    assert_non_null(strstr(l->text, "found:\n    #"));
    assert_non_null(strstr(l->text, "the last events:\n"));
    assert_non_null(strstr(l->text, "\nagain: WEIR_SEED=77 "));
    assert_string_equal(weir_error(), l->text);
    embed_lab_expects(l);
    assert_false(weir_expect_some(l->w, &blocks));
    embed_lab_told(l, "weir_expect_some: expected an event, found 0");
    assert_non_null(strstr(l->text, "nearest:\n    #"));
    assert_non_null(strstr(l->text, "differs in verdict (permit)"));
    embed_lab_expects(l);
    assert_false(weir_expect(l->w, &other, 1));
    embed_lab_told(l, "differs in remote (10.0.0.2:80)");
    embed_lab_expects(l);
    assert_false(weir_expect(l->w, &(struct weir_match){.layer = "nonsense"}, 0)); /* never quietly true */
    embed_lab_told(l, "no layer is called 'nonsense'");
}

static void states(void **state)
{
    struct embed_lab *l = *state;
    struct weir_socket *s = connect_to(l, "10.0.0.2:80"), *refused = connect_to(l, "10.0.0.2:81");

    assert_true(weir_expect_state(s, WEIR_CONNECTED));
    assert_true(weir_expect_state(refused, WEIR_REFUSED));
    embed_lab_expects(l);
    assert_false(weir_expect_state(refused, WEIR_CONNECTED));
    embed_lab_told(l, "weir_expect_state: expected the socket to be ");
    assert_non_null(strstr(l->text, weir_state_name(WEIR_REFUSED)));
    assert_non_null(strstr(l->text, weir_state_name(WEIR_CONNECTED)));
    assert_non_null(strstr(l->text, "linked: port 81 is blocked")); /* among the last events */
}

static void bytes(void **state)
{
    struct embed_lab *l = *state;
    struct weir_socket *s = weir_socket(l->program, WEIR_TCP), *server = embed_lab_serves(l, ":90"), *a;

    assert_int_equal(weir_connect(s, "10.0.0.2:90"), -EINPROGRESS);
    assert_true(weir_wait(s, WEIR_CONNECTED, WEIR_SECOND));
    weir_run(l->w, 5 * WEIR_MILLISECOND);
    a = weir_accept(server);
    assert_non_null(a);
    assert_true(weir_expect_received(s, "", 0));
    assert_int_equal(weir_send(a, "hello", 5), 5);
    weir_run(l->w, 5 * WEIR_MILLISECOND);
    assert_true(weir_expect_received(s, "hello", 5));
    assert_int_equal(weir_send(a, "hello", 5), 5);
    weir_run(l->w, 5 * WEIR_MILLISECOND);
    embed_lab_expects(l);
    assert_false(weir_expect_received(s, "help", 4));
    embed_lab_told(l, "they differ from byte 3 on");
    assert_non_null(strstr(l->text, "expected 4 bytes: \"help\""));
    assert_non_null(strstr(l->text, "received 5 bytes: \"hello\""));
    assert_int_equal(weir_send(a, "\1\2", 2), 2);
    weir_run(l->w, 5 * WEIR_MILLISECOND);
    embed_lab_expects(l);
    assert_false(weir_expect_received(s, "\1", 1)); /* more than that */
    embed_lab_told(l, "received 2 bytes: \"\\x01\\x02\"");
    weir_abort(a);
    weir_run(l->w, 5 * WEIR_MILLISECOND);
    embed_lab_expects(l);
    assert_false(weir_expect_received(s, "x", 1));
    embed_lab_told(l, "Connection reset");
}

static void datagrams(void **state)
{
    struct embed_lab *l = *state;
    struct weir_socket *s = weir_socket(l->program, WEIR_UDP), *peer = weir_socket(l->peer, WEIR_UDP);

    assert_int_equal(weir_bind(peer, "10.0.0.2:53"), 0);
    assert_int_equal(weir_bind(s, "10.0.0.1:5353"), 0);
    assert_int_equal(weir_send_to(peer, "10.0.0.1:5353", "one", 3), 3);
    assert_int_equal(weir_send_to(peer, "10.0.0.1:5353", "two", 3), 3);
    weir_run(l->w, 5 * WEIR_MILLISECOND);
    assert_true(weir_expect_received(s, "one", 3)); /* one datagram, not both */
    assert_true(weir_expect_received(s, "two", 3));
}

static void outstanding(void **state)
{
    struct embed_lab *l = *state;
    struct weir_socket *s = weir_socket(l->program, WEIR_TCP);

    assert_int_equal(weir_outstanding(l->w, "pended operation"), 0);
    assert_int_equal(weir_connect(s, "10.0.0.2:83"), -EINPROGRESS); /* never completed */
    assert_int_equal(weir_outstanding(l->w, "pended operation"), 1);
    assert_int_equal(weir_outstanding(l->w, "Pended Operation"), 1);
    assert_true(weir_outstanding(l->w, NULL) > 1); /* its callout, its device ... */
    embed_lab_expects(l);
    assert_false(weir_expect_clean(l->w));
    embed_lab_told(l, "weir_expect_clean: expected nothing outstanding and no findings");
    assert_non_null(strstr(l->text, "linked: pended operation"));
    assert_non_null(strstr(l->text, "(hold)")); /* the function that pended it */
    embed_lab_expects(l);
    assert_int_equal(weir_outstanding(l->w, "pended operatoin"), 0);
    embed_lab_told(l, "nothing is called 'pended operatoin'");
    assert_non_null(strstr(l->text, "pended operation,"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(events, begin, end),
        cmocka_unit_test_setup_teardown(states, begin, end),
        cmocka_unit_test_setup_teardown(bytes, begin, end),
        cmocka_unit_test_setup_teardown(datagrams, begin, end),
        cmocka_unit_test_setup_teardown(outstanding, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
