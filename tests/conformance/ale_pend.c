/* SPDX-License-Identifier: Apache-2.0 */
/* Pending and completing, as far as the host's own door goes: PEND's rules of the state machine, ALE-25. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "host_lab.h"

#define TCP(...)     .protocol = WIRE_PROTOCOL_TCP, .tcp_flags = (__VA_ARGS__)
#define COMPLETION   FWP_CONDITION_REAUTHORIZE_REASON_CLASSIFY_COMPLETION
#define MAX_CONTEXTS 256

struct pender {
    struct host_lab *lab;
    bool pend, complete_inside, null_context, foreign_handle, always;
    NTSTATUS status;
    HANDLE contexts[MAX_CONTEXTS];
    unsigned count;
    bool had_handle, reauthorization;
    FWP_ACTION_TYPE later; /* what it answers when asked again */
};

static void play(struct host_lab_callout *c, FWPS_CLASSIFY_OUT0 *out)
{
    struct pender *p = c->ctx;
    HANDLE handle = c->metadata->currentMetadataValues & FWPS_METADATA_FIELD_COMPLETION_HANDLE
                        ? c->metadata->completionHandle
                        : NULL;

    p->had_handle = handle != NULL;
    if (p->lab->on_event != NULL)
        p->reauthorization = false;
    if (!p->pend || (!p->had_handle && !p->always)) {
        out->actionType = p->later != 0 ? p->later : FWP_ACTION_PERMIT;
        return;
    }
    if (p->foreign_handle)
        handle = (HANDLE)((uintptr_t)handle + 1);
    p->status =
        host_pend(p->lab->host, handle, p->null_context ? NULL : &p->contexts[p->count % MAX_CONTEXTS]);
    if (p->status == STATUS_SUCCESS) {
        p->count++;
        out->actionType = FWP_ACTION_BLOCK;
        out->rights &= ~(UINT32)FWPS_RIGHT_ACTION_WRITE;
        out->flags |= FWPS_CLASSIFY_OUT_FLAG_ABSORB;
        if (p->complete_inside)
            assert_int_equal(host_complete(p->lab->host, p->contexts[p->count - 1]), STATUS_SUCCESS);
    } else {
        out->actionType = FWP_ACTION_PERMIT;
    }
}

static const struct host_lab_event *asked(const struct host_lab *l, UINT16 layer_id)
{
    for (unsigned i = 0; i < l->event_count; i++)
        if (l->events[i].layer_id == layer_id)
            return &l->events[i];
    return NULL;
}

static NTSTATUS complete(struct host_lab *l, struct pender *p, unsigned i)
{
    host_lab_reset(l);
    return host_complete(l->host, p->contexts[i]);
}

static int teardown(void **state)
{
    struct host_lab *l = *state;
    struct host_counts c;

    host_counts(l->host, &c);
    assert_int_equal(c.impossible, 0);
    return host_lab_teardown(state);
}

static void ALE_25_completions_show_no_packet(void **state)
{
    struct host_lab *l = *state;
    struct pender p = {.lab = l, .pend = true};
    struct host_lab_callout c = {.also = play, .ctx = &p};
    const struct host_lab_event *e;
    UINT64 id;

    host_lab_callout(l, "AC", &c);
    LAB_OUT(l, TCP(WIRE_TCP_SYN), .sport = 50000, .dport = 443, .seq = 1);
    assert_int_equal(l->outcome.fate, HOST_HELD);
    id = l->outcome.flow_id;
    assert_null(asked(l, FWPS_LAYER_OUTBOUND_TRANSPORT_V4));
    LAB_OUT(l, TCP(WIRE_TCP_SYN), .sport = 50000, .dport = 443, .seq = 1);
    assert_int_equal(l->outcome.fate, HOST_HELD);
    assert_null(asked(l, FWPS_LAYER_ALE_AUTH_CONNECT_V4)); /* connect() is still in progress */
    LAB_IN(l, TCP(WIRE_TCP_SYN | WIRE_TCP_ACK), .sport = 443, .dport = 50000, .seq = 8, .ack = 2);
    assert_int_equal(l->outcome.note, HOST_NOTE_UNSENT_REQUEST);
    assert_int_equal(complete(l, &p, 0), STATUS_SUCCESS);
    e = asked(l, FWPS_LAYER_ALE_AUTH_CONNECT_V4); /* inside the call */
    assert_non_null(e);
    assert_int_equal(e->reasons, COMPLETION);
    assert_true(e->flags & FWP_CONDITION_FLAG_IS_REAUTHORIZE);
    assert_false(e->has_packet);
    assert_int_equal(e->direction, FWP_DIRECTION_OUTBOUND);
    assert_int_equal(e->flow_id, id);
    assert_false(p.had_handle);
    assert_string_equal(l->flows, "authorized");
    LAB_OUT(l, TCP(WIRE_TCP_SYN), .sport = 50000, .dport = 443, .seq = 1);
    assert_int_equal(l->outcome.fate, HOST_PASSED);
    assert_int_equal(complete(l, &p, 0), STATUS_INVALID_PARAMETER); /* once */

    LAB_OUT(l, .sport = 4000, .dport = 53);
    assert_int_equal(l->outcome.fate, HOST_HELD);
    assert_true(asked(l, FWPS_LAYER_ALE_AUTH_CONNECT_V4)->has_packet);
    assert_int_equal(complete(l, &p, 1), STATUS_SUCCESS);
    assert_false(asked(l, FWPS_LAYER_ALE_AUTH_CONNECT_V4)->has_packet); /* it was flushed */
    assert_non_null(asked(l, FWPS_LAYER_ALE_FLOW_ESTABLISHED_V4));
    LAB_OUT(l, .sport = 4000, .dport = 53);
    assert_string_equal(l->seen, "DD OT OI");
    /* what a packet causes shows it */
    p.pend = false;
    host_reauthorize(l->host, FWP_CONDITION_REAUTHORIZE_REASON_SOCKET_PROPERTY_CHANGED);
    LAB_OUT(l, .sport = 4000, .dport = 53);
    assert_true(asked(l, FWPS_LAYER_ALE_AUTH_CONNECT_V4)->has_packet);
    LAB_IN(l, TCP(WIRE_TCP_ACK), .sport = 443, .dport = 50000, .seq = 8, .ack = 2);
    assert_true(asked(l, FWPS_LAYER_ALE_AUTH_CONNECT_V4)->has_packet);
}

static void PEND_refused_after_completion(void **state)
{
    struct host_lab *l = *state;
    struct pender p = {.lab = l, .pend = true, .later = FWP_ACTION_BLOCK};
    struct host_lab_callout c = {.also = play, .ctx = &p};

    host_lab_callout(l, "AC", &c);
    LAB_OUT(l, TCP(WIRE_TCP_SYN), .sport = 50000, .dport = 443, .seq = 1);
    assert_int_equal(complete(l, &p, 0), STATUS_SUCCESS);
    assert_non_null(strstr(l->flows, "refused"));
    assert_non_null(asked(l, FWPS_LAYER_ALE_ENDPOINT_CLOSURE_V4));
    LAB_OUT(l, TCP(WIRE_TCP_SYN), .sport = 50000, .dport = 443, .seq = 1);
    assert_int_equal(l->outcome.fate, HOST_CONSEQUENCE);
}

static void PEND_06_statuses(void **state)
{
    struct host_lab *l = *state;
    struct pender p = {.lab = l, .pend = true, .foreign_handle = true, .always = true}, q = p, r = p, fe = p;
    struct host_lab_callout a = {.also = play, .ctx = &p}, b = {.also = play, .ctx = &q},
                            c = {.also = play, .ctx = &r}, d = {.also = play, .ctx = &fe};
    HANDLE context;

    q.foreign_handle = false;
    q.null_context = true;
    host_lab_callout(l, "AC ip_remote_port=1", &a);
    host_lab_callout(l, "AC ip_remote_port=2", &b);
    host_lab_callout(l, "AC ip_remote_port=3", &c);
    host_lab_callout(l, "FE ip_remote_port=4", &d);
    LAB_OUT(l, .sport = 4000, .dport = 1);
    assert_int_equal(p.status, STATUS_FWP_NULL_POINTER);
    LAB_OUT(l, .sport = 4000, .dport = 2);
    assert_int_equal(q.status, STATUS_FWP_NULL_POINTER);
    r.pend = false;
    LAB_OUT(l, .sport = 4000, .dport = 3);
    r.pend = true;
    r.null_context = true;
    host_reauthorize(l->host, FWP_CONDITION_REAUTHORIZE_REASON_SOCKET_PROPERTY_CHANGED);
    LAB_OUT(l, .sport = 4000, .dport = 3);
    assert_int_equal(r.status, STATUS_FWP_CANNOT_PEND); /* a reauthorization, whatever the handle */
    LAB_OUT(l, .sport = 4000, .dport = 4);
    assert_int_equal(fe.status, STATUS_FWP_CANNOT_PEND);
    assert_int_equal(host_pend(l->host, (HANDLE)1, &context), STATUS_FWP_NULL_POINTER);
    assert_int_equal(host_complete(l->host, (HANDLE)1), STATUS_INVALID_PARAMETER);
}

static void completed_inside_the_classify(void **state)
{
    struct host_lab *l = *state;
    struct pender p = {.lab = l, .pend = true};
    struct host_lab_callout a = {.also = play, .ctx = &p};

    host_lab_callout(l, "AC", &a);
    LAB_OUT(l, .sport = 4000, .dport = 53);
    assert_int_equal(l->outcome.fate, HOST_HELD);
    /* completed while it still runs: the packet is lost, the flow is there */
    p.complete_inside = true;
    p.count = 1;
    LAB_OUT(l, .sport = 4000, .dport = 54);
    assert_int_equal(l->outcome.fate, HOST_HELD);
    LAB_OUT(l, .sport = 4000, .dport = 54);
    assert_string_equal(l->seen, "DD OT OI");
}

static void PEND_36_each_datagram_is_asked(void **state)
{
    struct host_lab *l = *state;
    struct pender p = {.lab = l, .pend = true};
    struct host_lab_callout c = {.also = play, .ctx = &p};

    host_lab_callout(l, "AC", &c);
    for (unsigned i = 1; i < 4; i++) {
        LAB_OUT(l, .sport = 4000, .dport = 53);
        assert_int_equal(l->outcome.fate, HOST_HELD);
        assert_int_equal(p.count, i);
        assert_true(p.had_handle);
    }
    LAB_IN(l, .sport = 53, .dport = 4000);
    assert_int_equal(l->outcome.note, HOST_NOTE_UNSENT_REQUEST);
    p.pend = false;
    p.later = FWP_ACTION_BLOCK; /* a duplicate is dropped; the others wait on */
    LAB_OUT(l, .sport = 4000, .dport = 53);
    assert_int_equal(l->outcome.fate, HOST_BLOCKED);
    p.later = FWP_ACTION_PERMIT;
    assert_int_equal(complete(l, &p, 1), STATUS_SUCCESS);
    assert_string_equal(l->flows, "authorized");
    LAB_OUT(l, .sport = 4000, .dport = 53);
    assert_int_equal(l->outcome.fate, HOST_PASSED);
    assert_int_equal(complete(l, &p, 0), STATUS_SUCCESS);
    assert_non_null(asked(l, FWPS_LAYER_ALE_AUTH_CONNECT_V4));
    assert_int_equal(complete(l, &p, 2), STATUS_SUCCESS);
    LAB_OUT(l, .sport = 4000, .dport = 53);
    assert_string_equal(l->seen, "DD OT OI");
}

static void PEND_24_37_accepts(void **state)
{
    struct host_lab *l = *state;
    struct pender p = {.lab = l, .pend = true};
    struct host_lab_callout c = {.also = play, .ctx = &p};

    host_lab_callout(l, "RA", &c);
    LAB_IN(l, TCP(WIRE_TCP_SYN), .sport = 50000, .dport = 80, .seq = 5);
    assert_int_equal(l->outcome.fate, HOST_HELD);
    LAB_IN(l, TCP(WIRE_TCP_SYN), .sport = 50000, .dport = 80, .seq = 5);
    assert_int_equal(p.count, 2); /* asked again, for it really arrives */
    LAB_OUT(l, TCP(WIRE_TCP_SYN | WIRE_TCP_ACK), .sport = 80, .dport = 50000, .seq = 1, .ack = 6);
    assert_int_equal(l->outcome.fate, HOST_CONSEQUENCE);
    assert_int_equal(complete(l, &p, 0), STATUS_SUCCESS);
    assert_string_equal(l->seen, ""); /* nothing is asked again */
    assert_int_equal(complete(l, &p, 1), STATUS_SUCCESS);
    assert_string_equal(l->seen, "");
    p.pend = false;
    LAB_IN(l, TCP(WIRE_TCP_SYN), .sport = 50000, .dport = 80, .seq = 5);
    assert_int_equal(l->outcome.fate, HOST_PASSED);
    assert_false(asked(l, FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4)->flags & FWP_CONDITION_FLAG_IS_REAUTHORIZE);
}

/* Many at a time, with nothing in between: each is let go, once, at the time of its completion. */
static void PEND_24_many_accepts(void **state)
{
    enum { MANY = 101, STEP = 37 };
    struct host_lab *l = *state;
    struct pender p = {.lab = l, .pend = true};
    struct host_lab_callout c = {.also = play, .ctx = &p};
    struct host_counts counts;

    host_lab_callout(l, "RA", &c);
    for (unsigned i = 0; i < MANY; i++) {
        LAB_IN(l, .sport = (UINT16)(1000 + i), .dport = 53);
        assert_int_equal(l->outcome.fate, HOST_HELD);
    }
    LAB_IN(l, .sport = 1000, .dport = 53); /* waits for two: PEND-36 */
    assert_int_equal(p.count, MANY + 1);
    host_lab_wait(l, 100000);
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(host_complete(l->host, p.contexts[i * STEP % MANY]), STATUS_SUCCESS);
        if (i % 3 == 0)
            assert_int_equal(host_complete(l->host, p.contexts[i * STEP % MANY]), STATUS_INVALID_PARAMETER);
    }
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(host_complete(l->host, p.contexts[i]), STATUS_INVALID_PARAMETER); /* PEND-13 */
    host_lab_wait(l, 59000);
    host_counts(l->host, &counts);
    assert_int_equal(counts.flows_live, MANY);
    for (unsigned i = 2; i < MANY; i++) { /* as if nothing had been asked */
        LAB_IN(l, .sport = (UINT16)(1000 + i), .dport = 53);
        assert_int_equal(l->outcome.fate, HOST_HELD);
        assert_int_equal(p.count, MANY + i);
    }
    host_lab_wait(l, 1500);
    host_counts(l->host, &counts);
    assert_int_equal(counts.flows_live, MANY - 1); /* the second alone was idle; the first still waits */
    for (unsigned i = MANY; i < p.count; i++)
        assert_int_equal(host_complete(l->host, p.contexts[i]), STATUS_SUCCESS);
    p.pend = false;
    for (unsigned i = 0; i < MANY; i++) {
        LAB_IN(l, .sport = (UINT16)(1000 + i), .dport = 53);
        assert_int_equal(l->outcome.fate, HOST_PASSED);
        assert_false(asked(l, FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4)->flags & FWP_CONDITION_FLAG_IS_REAUTHORIZE);
    }
    for (unsigned i = 0; i < p.count; i++)
        assert_int_equal(host_complete(l->host, p.contexts[i]), STATUS_INVALID_PARAMETER);
}

static void PEND_39_binds_and_listens(void **state)
{
    struct host_lab *l = *state;
    struct pender p = {.lab = l, .pend = true};
    struct host_lab_callout c = {.also = play, .ctx = &p}, d = {.also = play, .ctx = &p};
    const struct host_socket s = {.version = 4, .protocol = WIRE_PROTOCOL_TCP, .port = 80};
    struct host_endpoint *e;

    host_lab_callout(l, "RES", &c);
    host_lab_callout(l, "LIS", &d);
    assert_int_equal(host_bind(l->host, &s, &e), STATUS_PENDING);
    assert_non_null(e);
    LAB_IN(l, TCP(WIRE_TCP_SYN), .sport = 50000, .dport = 80);
    assert_int_not_equal(l->outcome.fate, HOST_BLOCKED);
    assert_int_equal(complete(l, &p, 0), STATUS_SUCCESS);
    assert_string_equal(l->seen, "RES(REAUTH)");
    assert_int_equal(asked(l, FWPS_LAYER_ALE_RESOURCE_ASSIGNMENT_V4)->reasons, 0);
    assert_int_equal(host_listen(l->host, e), STATUS_PENDING);
    LAB_IN(l, TCP(WIRE_TCP_SYN), .sport = 50000, .dport = 80);
    assert_int_equal(l->outcome.fate, HOST_HELD);
    assert_int_equal(complete(l, &p, p.count - 1), STATUS_SUCCESS);
    assert_string_equal(l->seen, "LIS(REAUTH)");
    LAB_IN(l, TCP(WIRE_TCP_SYN), .sport = 50000, .dport = 80);
    assert_int_equal(l->outcome.fate, HOST_PASSED);
    /* closed while pended: completing it is a no-op */
    host_close(l->host, e);
    p.count = 0;
    assert_int_equal(host_bind(l->host, &s, &e), STATUS_PENDING);
    host_close(l->host, e);
    assert_int_equal(complete(l, &p, 0), STATUS_SUCCESS);
    assert_string_equal(l->seen, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, host_lab_setup, teardown)
        T(ALE_25_completions_show_no_packet),
        T(PEND_refused_after_completion),
        T(PEND_06_statuses),
        T(completed_inside_the_classify),
        T(PEND_36_each_datagram_is_asked),
        T(PEND_24_37_accepts),
        T(PEND_24_many_accepts),
        T(PEND_39_binds_and_listens),
#undef T
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
