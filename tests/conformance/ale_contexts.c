/* SPDX-License-Identifier: Apache-2.0 */
/* Section 7: flow handles, contexts of flows, their callbacks; abort. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "host_lab.h"

#define TCP(...)   .protocol = WIRE_PROTOCOL_TCP, .tcp_flags = (__VA_ARGS__)
#define CONTEXT(c) ((UINT64)(uintptr_t)(c))
#define AC         FWPS_LAYER_ALE_AUTH_CONNECT_V4
#define FE         FWPS_LAYER_ALE_FLOW_ESTABLISHED_V4
#define DD         FWPS_LAYER_DATAGRAM_DATA_V4

/* What the callout does from inside its classify. */
struct act {
    struct host_lab *lab;
    struct host_lab_callout *to; /* whose context it sets, at that layer */
    UINT16 layer;
    bool associate, remove, abort, associate_only_once;
    NTSTATUS associated, removed, aborted;
    int deleted_inside; /* the callback came before the classify returned */
    UINT64 flow_id;
};

static void play(struct host_lab_callout *c, FWPS_CLASSIFY_OUT0 *out)
{
    struct act *a = c->ctx;
    struct host *h = a->lab->host;

    (void)out;
    a->flow_id =
        c->metadata->currentMetadataValues & FWPS_METADATA_FIELD_FLOW_HANDLE ? c->metadata->flowHandle : 0;
    if (a->associate)
        a->associated = host_flow_associate(h, a->flow_id, a->layer, a->to->id, CONTEXT(a->to));
    if (a->remove)
        a->removed = host_flow_remove(h, a->flow_id, a->layer, a->to->id);
    if (a->abort)
        a->aborted = host_flow_abort(h, a->flow_id);
    a->deleted_inside = a->to != NULL ? a->to->deleted : 0;
}

static int teardown(void **state)
{
    struct host_lab *l = *state;
    struct host_counts c;

    host_counts(l->host, &c);
    assert_int_equal(c.impossible, 0);
    return host_lab_teardown(state);
}

static void ALE_12_handle_before_the_flow(void **state)
{
    struct host_lab *l = *state;
    struct host_lab_callout c = {.action = FWP_ACTION_PERMIT, .also = play};
    struct act a = {.lab = l, .to = &c, .layer = AC, .associate = true};

    c.ctx = &a;
    host_lab_callout(l, "AC", &c);
    LAB_OUT(l, .sport = 4000, .dport = 53);
    assert_true(a.flow_id != 0);
    assert_int_equal(a.flow_id, l->outcome.flow_id); /* reserved, then its own */
    assert_int_equal(a.associated, STATUS_SUCCESS);
    assert_int_equal(c.deleted, 0);
    LAB_OUT(l, TCP(WIRE_TCP_SYN), .sport = 50000, .dport = 443);
    assert_int_equal(a.flow_id, l->outcome.flow_id);
    for (unsigned i = 0; i < l->event_count; i++) /* OT carries it too */
        if (l->events[i].layer_id == FWPS_LAYER_OUTBOUND_TRANSPORT_V4)
            assert_true(l->events[i].metadata & FWPS_METADATA_FIELD_FLOW_HANDLE);
    /* refused: what was set goes at once */
    c.action = FWP_ACTION_BLOCK;
    c.deleted = 0;
    LAB_OUT(l, .sport = 4000, .dport = 54);
    assert_int_equal(a.associated, STATUS_SUCCESS);
    assert_int_equal(c.deleted, 1);
    LAB_OUT(l, TCP(WIRE_TCP_SYN), .sport = 50001, .dport = 443);
    assert_int_equal(c.deleted, 2);
}

static void ALE_13_association(void **state)
{
    struct host_lab *l = *state;
    struct host_lab_callout c = {.action = FWP_ACTION_CONTINUE}, d = c;
    struct engine_callout without = {.key = {.Data1 = 77}, .id = 777, .layer_id = DD};
    FWPS_CALLOUT_CLASSIFY_FN0 never = (FWPS_CALLOUT_CLASSIFY_FN0)(uintptr_t)1;
    UINT64 flow;

    without.classify.v0 = never;
    assert_int_equal(engine_callout_register(l->engine, &without), 0);
    host_lab_callout(l, "DD", &c);
    host_lab_callout(l, "DD", &d);
    LAB_OUT(l, .sport = 4000, .dport = 53);
    flow = l->outcome.flow_id;
    assert_int_equal(host_flow_associate(l->host, flow, DD, c.id, 0), STATUS_INVALID_PARAMETER);
    assert_int_equal(host_flow_associate(l->host, flow, DD, 777, 5), STATUS_INVALID_PARAMETER);
    assert_int_equal(host_flow_associate(l->host, flow, AC, c.id, CONTEXT(&c)), STATUS_INVALID_PARAMETER);
    assert_int_equal(host_flow_associate(l->host, flow + 100, DD, c.id, CONTEXT(&c)),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(host_flow_associate(l->host, flow, DD, 4242, CONTEXT(&c)), STATUS_INVALID_PARAMETER);
    assert_int_equal(host_flow_associate(l->host, flow, DD, c.id, CONTEXT(&c)), STATUS_SUCCESS);
    assert_int_equal(host_flow_associate(l->host, flow, DD, c.id, CONTEXT(&d)), STATUS_OBJECT_NAME_EXISTS);
    assert_int_equal(host_flow_associate(l->host, flow, DD, d.id, CONTEXT(&d)), STATUS_SUCCESS);
    LAB_OUT(l, .sport = 4000, .dport = 53);
    assert_int_equal(c.flow_context, CONTEXT(&c)); /* the second one was not stored */
    assert_int_equal(d.flow_context, CONTEXT(&d));
    LAB_OUT(l, .sport = 4000, .dport = 54); /* another flow has none */
    assert_int_equal(c.flow_context, 0);
    assert_int_equal(engine_callout_unregister(l->engine, &without.key), 0);
}

static void ALE_14_for_other_layers(void **state)
{
    struct host_lab *l = *state;
    struct host_lab_callout at_fe = {.action = FWP_ACTION_PERMIT, .also = play},
                            at_dd = {.action = FWP_ACTION_PERMIT}, at_ot = at_dd;
    struct act a = {.lab = l, .to = &at_dd, .layer = DD, .associate = true};

    at_fe.ctx = &a;
    host_lab_callout(l, "FE", &at_fe);
    host_lab_callout(l, "DD", &at_dd);
    host_lab_callout(l, "OT", &at_ot);
    LAB_OUT(l, .sport = 4000, .dport = 53);
    assert_int_equal(a.associated, STATUS_SUCCESS);
    assert_int_equal(at_dd.flow_context, CONTEXT(&at_dd));
    assert_int_equal(at_ot.flow_context, 0);
    assert_int_equal(host_flow_associate(l->host, l->outcome.flow_id, FWPS_LAYER_OUTBOUND_TRANSPORT_V4,
                                         at_ot.id, CONTEXT(&at_ot)),
                     STATUS_SUCCESS);
    LAB_OUT(l, .sport = 4000, .dport = 53);
    assert_int_equal(at_ot.flow_context, CONTEXT(&at_ot));
}

static void ALE_15_removal(void **state)
{
    struct host_lab *l = *state;
    struct host_lab_callout c = {.action = FWP_ACTION_PERMIT}, d = c;
    struct act a = {.lab = l, .to = &c, .layer = DD, .remove = true};
    UINT64 flow;

    host_lab_callout(l, "DD", &c);
    host_lab_callout(l, "OT", &d);
    LAB_OUT(l, .sport = 4000, .dport = 53);
    flow = l->outcome.flow_id;
    assert_int_equal(host_flow_remove(l->host, flow, DD, c.id), STATUS_UNSUCCESSFUL);
    assert_int_equal(host_flow_associate(l->host, flow, DD, c.id, CONTEXT(&c)), STATUS_SUCCESS);
    assert_int_equal(host_flow_remove(l->host, flow, DD, c.id), STATUS_SUCCESS);
    assert_int_equal(c.deleted, 1); /* before it returned */
    assert_int_equal(host_flow_remove(l->host, flow, DD, c.id), STATUS_UNSUCCESSFUL);

    /* from inside its own classify: later */
    assert_int_equal(host_flow_associate(l->host, flow, DD, c.id, CONTEXT(&c)), STATUS_SUCCESS);
    c.also = play;
    c.ctx = &a;
    c.deleted = 0;
    LAB_OUT(l, .sport = 4000, .dport = 53);
    assert_int_equal(a.removed, STATUS_PENDING);
    assert_int_equal(a.deleted_inside, 0);
    assert_int_equal(c.deleted, 1);
    c.also = NULL;
    /* from inside another's: now */
    assert_int_equal(host_flow_associate(l->host, flow, DD, c.id, CONTEXT(&c)), STATUS_SUCCESS);
    d.also = play;
    d.ctx = &a;
    c.deleted = 0;
    LAB_OUT(l, .sport = 4000, .dport = 53);
    assert_int_equal(a.removed, STATUS_SUCCESS);
    assert_int_equal(a.deleted_inside, 1);
}

static void ALE_16_called_back_once(void **state)
{
    struct host_lab *l = *state;
    struct host_lab_callout c = {.action = FWP_ACTION_PERMIT}, d = c;
    struct act a = {.lab = l, .to = &c, .layer = DD, .abort = true};
    struct host_lab_tcp t = {.local = 50000, .remote = 443};
    UINT64 flow;

    host_lab_callout(l, "DD", &c);
    host_lab_callout(l, "ST", &d);
    LAB_OUT(l, .sport = 4000, .dport = 53);
    flow = l->outcome.flow_id;
    assert_int_equal(host_flow_associate(l->host, flow, DD, c.id, CONTEXT(&c)), STATUS_SUCCESS);
    host_lab_wait(l, 61000); /* the flow ends by itself */
    assert_int_equal(c.deleted, 1);
    assert_int_equal(host_flow_remove(l->host, flow, DD, c.id), STATUS_UNSUCCESSFUL);
    LAB_OUT(l, .sport = 4000, .dport = 53);
    assert_int_equal(c.flow_context, 0);
    /* never while its classify has it: the flow is aborted from inside */
    flow = l->outcome.flow_id;
    assert_int_equal(host_flow_associate(l->host, flow, DD, c.id, CONTEXT(&c)), STATUS_SUCCESS);
    c.deleted = 0;
    c.also = play;
    c.ctx = &a;
    LAB_OUT(l, .sport = 4000, .dport = 53);
    assert_int_equal(a.aborted, STATUS_SUCCESS);
    assert_int_equal(a.deleted_inside, 0);
    assert_int_equal(c.deleted, 1);
    c.also = NULL;
    /* closing takes all */
    host_lab_connect(l, &t);
    flow = l->outcome.flow_id;
    assert_int_equal(host_flow_associate(l->host, flow, FWPS_LAYER_STREAM_V4, d.id, CONTEXT(&d)),
                     STATUS_SUCCESS);
    LAB_OUT(l, .sport = 4000, .dport = 55);
    assert_int_equal(host_flow_associate(l->host, l->outcome.flow_id, DD, c.id, CONTEXT(&c)), STATUS_SUCCESS);
    c.deleted = 0;
    host_shutdown(l->host);
    assert_int_equal(c.deleted, 1);
    assert_int_equal(d.deleted, 1);
}

static void ALE_19_reset_and_abort(void **state)
{
    struct host_lab *l = *state;
    struct host_lab_callout c = {.action = FWP_ACTION_PERMIT};
    struct host_lab_tcp t = {.local = 50000, .remote = 443};
    const UINT16 st = FWPS_LAYER_STREAM_V4;
    UINT64 flow;
    int calls;

    host_lab_callout(l, "ST ip_remote_port=1", &c); /* matches nothing here */
    host_lab_connect(l, &t);
    flow = l->outcome.flow_id;
    assert_int_equal(host_flow_associate(l->host, flow, st, c.id, CONTEXT(&c)), STATUS_SUCCESS);
    calls = c.calls;
    host_lab_segment(l, &t, false, WIRE_TCP_RST | WIRE_TCP_ACK, "");
    assert_int_equal(c.calls, calls);
    assert_int_equal(c.deleted, 1);

    t.out = 7000000;
    t.in = 8000000;
    t.local = 50002;
    host_lab_connect(l, &t);
    flow = l->outcome.flow_id;
    assert_int_equal(host_flow_associate(l->host, flow, st, c.id, CONTEXT(&c)), STATUS_SUCCESS);
    host_lab_reset(l);
    assert_int_equal(host_flow_abort(l->host, flow), STATUS_SUCCESS);
    assert_int_equal(c.deleted, 2);
    assert_non_null(strstr(l->flows, "deleted(aborted)"));
    assert_int_equal(host_flow_abort(l->host, flow), STATUS_INVALID_PARAMETER);
    assert_int_equal(host_flow_associate(l->host, flow, st, c.id, CONTEXT(&c)), STATUS_INVALID_PARAMETER);
    host_lab_send(l, &t, "of a connection that is no more");
    assert_int_equal(l->outcome.fate, HOST_CONSEQUENCE);
    assert_int_equal(l->outcome.note, HOST_NOTE_ENDED_FLOW);
    LAB_OUT(l, .sport = 4000, .dport = 53); /* what is no connection starts anew */
    flow = l->outcome.flow_id;
    assert_int_equal(host_flow_abort(l->host, flow), STATUS_SUCCESS);
    LAB_OUT(l, .sport = 4000, .dport = 53);
    assert_int_equal(l->outcome.fate, HOST_PASSED);
    assert_non_null(strstr(l->seen, "AC"));
    assert_true(l->outcome.flow_id != flow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, host_lab_setup, teardown)
        T(ALE_12_handle_before_the_flow), T(ALE_13_association),
        T(ALE_14_for_other_layers),       T(ALE_15_removal),
        T(ALE_16_called_back_once),       T(ALE_19_reset_and_abort),
#undef T
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
