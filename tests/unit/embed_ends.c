/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir.h: connections that end without a farewell: policy ends one that it is asked about again, a driver aborts one,
 * and one that nobody answers any more is given up. The program hears of it with its next call, the other end by a
 * reset, the drivers by the end of the flow.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <fwpmu.h>

#include <weir.h>

#include "embed_lab.h"

NTSTATUS NTAPI FwpsFlowAbort0(UINT64 flowId);

struct pair {
    struct weir_socket *ours, *theirs;
};

static UINT64 block(const GUID *layer, const GUID *field, UINT16 port)
{
    FWPM_FILTER_CONDITION0 condition = {.fieldKey = *field,
                                        .matchType = FWP_MATCH_EQUAL,
                                        .conditionValue = {.type = FWP_UINT16, .uint16 = port}};
    FWPM_FILTER0 filter = {.displayData.name = (WCHAR *)u"block",
                           .layerKey = *layer,
                           .action = {.type = FWP_ACTION_BLOCK},
                           .numFilterConditions = 1,
                           .filterCondition = &condition};
    HANDLE engine;
    UINT64 id;

    assert_int_equal(FwpmEngineOpen0(NULL, RPC_C_AUTHN_WINNT, NULL, NULL, &engine), ERROR_SUCCESS);
    assert_int_equal(FwpmFilterAdd0(engine, &filter, NULL, &id), ERROR_SUCCESS);
    assert_int_equal(FwpmEngineClose0(engine), ERROR_SUCCESS);
    return id;
}

static struct weir_socket *bound(struct weir_process *p, enum weir_kind kind, const char *address)
{
    struct weir_socket *s = weir_socket(p, kind);

    assert_int_equal(weir_bind(s, address), 0);
    if (kind == WEIR_TCP)
        assert_int_equal(weir_listen(s), 0);
    return s;
}

/* The program's connection with the peer's port 80, or the peer's with the program's. */
static struct pair connect_pair(struct embed_lab *l, bool six, bool accepts)
{
    static const char *const of_peer[] = {"10.0.0.2:80", "[fd00::2]:80"}, *const of_host[] = {"10.0.0.1:80",
                                                                                              "[fd00::1]:80"};
    struct weir_socket *server = bound(accepts ? l->program : l->peer, WEIR_TCP, ":80"),
                       *client = weir_socket(accepts ? l->peer : l->program, WEIR_TCP), *accepted;

    assert_int_equal(weir_connect(client, accepts ? of_host[six] : of_peer[six]), -EINPROGRESS);
    assert_true(weir_wait(client, WEIR_CONNECTED, WEIR_SECOND));
    weir_run(l->w, 10 * WEIR_MILLISECOND);
    accepted = weir_accept(server);
    assert_non_null(accepted);
    return accepts ? (struct pair){accepted, client} : (struct pair){client, accepted};
}

static void says(struct weir_socket *from, struct weir_socket *to, const char *what)
{
    assert_int_equal(weir_send(from, what, strlen(what)), strlen(what));
    assert_true(weir_wait_readable(to, WEIR_SECOND));
    assert_true(weir_expect_received(to, what, strlen(what)));
}

static size_t deleted(struct embed_lab *l, const char *why)
{
    return weir_count(
        l->w,
        &(struct weir_match){.kind = WEIR_EVENT_FLOW, .verdict = "deleted", .contains = why, .protocol = 6});
}

static void is_aborted(struct weir_socket *s)
{
    char got[8];

    assert_true(weir_expect_state(s, WEIR_RESET));
    assert_int_equal(weir_send(s, "x", 1), -ECONNABORTED);
    assert_int_equal(weir_receive(s, got, sizeof got, NULL), -ECONNABORTED);
    assert_int_equal(weir_shutdown(s), -ECONNABORTED);
}

/* Of either version, authorized at connect or at accept, asked again because of what we send or of what comes. */
static void policy_ends_a_connection(void **state)
{
    struct embed_lab l;

    (void)state;
    for (unsigned n = 0; n < 8; n++) {
        const bool six = n & 1, accepts = n & 2, by_ours = n & 4;
        const GUID *layer =
            accepts ? six ? &FWPM_LAYER_ALE_AUTH_RECV_ACCEPT_V6 : &FWPM_LAYER_ALE_AUTH_RECV_ACCEPT_V4
            : six   ? &FWPM_LAYER_ALE_AUTH_CONNECT_V6
                    : &FWPM_LAYER_ALE_AUTH_CONNECT_V4;
        struct pair p;
        uint64_t began;
        char got[8];

        embed_lab_open(&l, NULL);
        p = connect_pair(&l, six, accepts);
        says(p.ours, p.theirs, "before");
        says(p.theirs, p.ours, "before");
        (void)block(layer, accepts ? &FWPM_CONDITION_IP_LOCAL_PORT : &FWPM_CONDITION_IP_REMOTE_PORT, 80);
        assert_int_equal(weir_send(p.theirs, "unread", 6), 6); /* under way when it ends */
        began = weir_now(l.w);
        if (by_ours)
            assert_int_equal(weir_send(p.ours, "after", 5), 5);
        else
            assert_true(weir_wait_readable(p.ours, WEIR_SECOND)); /* an error is something to receive */
        assert_in_range(weir_now(l.w) - began, 0, 2 * WEIR_MILLISECOND);
        is_aborted(p.ours);
        assert_int_equal(deleted(&l, "refused"), 1);
        assert_true(weir_wait_readable(p.theirs, WEIR_SECOND));
        assert_true(weir_expect_state(p.theirs, WEIR_RESET));
        assert_int_equal(weir_receive(p.theirs, got, sizeof got, NULL), -ECONNRESET);
        weir_close(p.ours);
        weir_close(p.theirs);
        (void)weir_settle(l.w);
        assert_int_equal(deleted(&l, NULL), 1);
        assert_true(weir_expect_clean(l.w));
        embed_lab_close(&l);
    }
}

/* One that nobody has accepted yet, one that its program has let go, one with another program on this machine. */
static void whoever_it_is_s(void **state)
{
    struct weir_socket *server, *client, *other;
    struct embed_lab l;

    (void)state;
    embed_lab_open(&l, NULL);
    server = bound(l.program, WEIR_TCP, ":80");
    client = weir_socket(l.peer, WEIR_TCP);
    assert_int_equal(weir_connect(client, "10.0.0.1:80"), -EINPROGRESS);
    assert_true(weir_wait(client, WEIR_CONNECTED, WEIR_SECOND));
    (void)weir_settle(l.w);
    (void)block(&FWPM_LAYER_ALE_AUTH_RECV_ACCEPT_V4, &FWPM_CONDITION_IP_LOCAL_PORT, 80);
    assert_int_equal(weir_send(client, "x", 1), 1);
    (void)weir_wait_readable(client, WEIR_SECOND);
    assert_true(weir_expect_state(client, WEIR_RESET));
    assert_null(weir_accept(server));
    assert_true(weir_expect_state(server, WEIR_LISTENING));

    (void)bound(l.peer, WEIR_TCP, ":81");
    other = weir_socket(l.program, WEIR_TCP);
    assert_int_equal(weir_connect(other, "10.0.0.2:81"), -EINPROGRESS);
    assert_true(weir_wait(other, WEIR_CONNECTED, WEIR_SECOND));
    weir_rule(
        l.w,
        &(struct weir_rule_config){
            .interface = 1, .way = WEIR_TO_HOST, .action = WEIR_DELAY, .delay_ns = WEIR_SECOND, .count = 1});
    (void)block(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, &FWPM_CONDITION_IP_REMOTE_PORT, 81);
    weir_close(other); /* its FIN is what it is asked about */
    (void)weir_settle(l.w);

    server = bound(l.program, WEIR_TCP, ":82");
    client = weir_socket(l.program, WEIR_TCP);
    assert_int_equal(weir_connect(client, "10.0.0.1:82"), -EINPROGRESS);
    assert_true(weir_wait(client, WEIR_CONNECTED, WEIR_SECOND));
    weir_run(l.w, WEIR_MILLISECOND);
    other = weir_accept(server);
    assert_non_null(other);
    (void)block(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, &FWPM_CONDITION_IP_REMOTE_PORT, 82);
    assert_int_equal(weir_send(client, "x", 1), 1);
    is_aborted(client);
    (void)weir_wait_readable(other, WEIR_SECOND);
    assert_true(weir_expect_state(other, WEIR_RESET));
    assert_int_equal(weir_send(other, "x", 1), -ECONNRESET);
    (void)weir_settle(l.w);
    assert_true(weir_expect_clean(l.w));
    embed_lab_close(&l);
}

/* Datagrams: the one that it is asked about is dropped, and the send says so; the socket is as good as before. */
static void policy_ends_a_flow_of_datagrams(void **state)
{
    struct weir_socket *ours, *theirs;
    struct embed_lab l;
    char from[WEIR_ADDRESS], got[8];

    (void)state;
    embed_lab_open(&l, NULL);
    ours = bound(l.program, WEIR_UDP, "10.0.0.1:7");
    theirs = bound(l.peer, WEIR_UDP, "10.0.0.2:9");
    assert_int_equal(weir_send_to(ours, "10.0.0.2:9", "a", 1), 1);
    assert_true(weir_wait_readable(theirs, WEIR_SECOND));
    assert_int_equal(weir_receive(theirs, got, sizeof got, from), 1);
    (void)block(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, &FWPM_CONDITION_IP_REMOTE_PORT, 9);
    assert_int_equal(weir_send_to(ours, "10.0.0.2:9", "b", 1), -EACCES);
    assert_int_equal(weir_send_to(ours, "10.0.0.2:9", "b", 1), -EACCES);
    assert_int_equal(weir_send_to(ours, "10.0.0.2:10", "b", 1), 1);
    assert_false(weir_wait_readable(theirs, WEIR_SECOND));
    assert_int_equal(weir_send_to(theirs, "10.0.0.1:7", "c", 1), 1); /* a flow of its own, at accept */
    assert_true(weir_wait_readable(ours, WEIR_SECOND));
    assert_true(weir_expect_received(ours, "c", 1));

    (void)block(&FWPM_LAYER_ALE_AUTH_RECV_ACCEPT_V4, &FWPM_CONDITION_IP_LOCAL_PORT, 7);
    assert_int_equal(weir_send_to(ours, "10.0.0.2:9", "d", 1), -EACCES);
    assert_int_equal(weir_send_to(theirs, "10.0.0.1:7", "e", 1), 1);
    assert_false(weir_wait_readable(ours, WEIR_SECOND));
    assert_int_equal(weir_send_to(ours, "10.0.0.2:11", "f", 1), 1);
    assert_true(weir_expect_state(ours, WEIR_BOUND));
    embed_lab_close(&l);
}

static void note_flow(void *ctx, const struct weir_event *e)
{
    uint64_t *id = ctx;

    if (e->kind == WEIR_EVENT_FLOW && e->protocol == 6)
        *id = e->flow_id;
}

static void a_driver_aborts_a_connection(void **state)
{
    struct embed_lab l;
    struct pair p;
    uint64_t id = 0;

    (void)state;
    embed_lab_open(&l, NULL);
    p = connect_pair(&l, false, false);
    weir_events(l.w, note_flow, &id);
    assert_int_equal(FwpsFlowAbort0(id), STATUS_SUCCESS);
    weir_run(l.w, WEIR_MILLISECOND);
    is_aborted(p.ours);
    weir_run(l.w, 10 * WEIR_MILLISECOND);
    assert_true(weir_expect_state(p.theirs, WEIR_RESET));
    assert_int_equal(deleted(&l, "aborted"), 1);
    embed_lab_close(&l);
}

static void nobody_answers(void **state)
{
    struct weir_rule *cut;
    struct weir_socket *s;
    struct embed_lab l;
    struct pair p;

    (void)state;
    embed_lab_open(&l, NULL);
    p = connect_pair(&l, false, false);
    cut = weir_rule(l.w, &(struct weir_rule_config){.interface = 1, .action = WEIR_CUT});
    assert_int_equal(weir_send(p.ours, "lost", 4), 4);
    assert_false(weir_wait(p.ours, WEIR_CLOSED, 600 * WEIR_SECOND));
    assert_true(weir_expect_state(p.ours, WEIR_TIMED_OUT));
    assert_int_equal(weir_send(p.ours, "x", 1), -ETIMEDOUT);
    assert_int_equal(deleted(&l, "given up"), 1);
    weir_close(p.ours);

    s = weir_socket(l.program, WEIR_TCP); /* a connect */
    assert_int_equal(weir_connect(s, "10.0.0.2:80"), -EINPROGRESS);
    assert_false(weir_wait(s, WEIR_CONNECTED, 600 * WEIR_SECOND));
    assert_true(weir_expect_state(s, WEIR_TIMED_OUT));
    weir_run(l.w, WEIR_MILLISECOND);
    assert_int_equal(deleted(&l, "given up"), 2);
    weir_close(s);
    weir_rule_end(cut);

    s = weir_socket(l.program, WEIR_TCP); /* let go while nobody is there */
    assert_int_equal(weir_connect(s, "10.0.0.2:80"), -EINPROGRESS);
    assert_true(weir_wait(s, WEIR_CONNECTED, WEIR_SECOND));
    weir_run(l.w, WEIR_SECOND);
    (void)weir_rule(l.w, &(struct weir_rule_config){.interface = 1, .action = WEIR_CUT});
    weir_close(s);
    (void)weir_settle(l.w);
    assert_int_equal(deleted(&l, "given up"), 3);
    assert_int_equal(weir_count(l.w, &(struct weir_match){.kind = WEIR_EVENT_FLOW, .verdict = "created"}),
                     weir_count(l.w, &(struct weir_match){.kind = WEIR_EVENT_FLOW, .verdict = "deleted"}));
    embed_lab_close(&l);
}

/* Who closes and whose peer never ends is given up after a while, too (RFC 9293's FIN-WAIT-2). */
static void the_other_end_never_ends(void **state)
{
    struct embed_lab l;
    struct pair p;

    (void)state;
    embed_lab_open(&l, NULL);
    p = connect_pair(&l, true, false);
    weir_close(p.ours);
    weir_run(l.w, 59 * WEIR_SECOND);
    assert_int_equal(deleted(&l, NULL), 0);
    weir_run(l.w, 2 * WEIR_SECOND);
    assert_int_equal(deleted(&l, "given up"), 1);
    embed_lab_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policy_ends_a_connection),
        cmocka_unit_test(whoever_it_is_s),
        cmocka_unit_test(policy_ends_a_flow_of_datagrams),
        cmocka_unit_test(a_driver_aborts_a_connection),
        cmocka_unit_test(nobody_answers),
        cmocka_unit_test(the_other_end_never_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
