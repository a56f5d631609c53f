/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pending where others have a say: filters and callouts of other sublayers that block or permit the operation
 * (PEND-11), or pend it as well (PEND-42). A callout that leaves WRITE set lets the sublayers behind it
 * decide; that is how more than one comes to pend.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "host_lab.h"

#define SYN .protocol = WIRE_PROTOCOL_TCP, .tcp_flags = WIRE_TCP_SYN

struct pender {
    struct host_lab *lab;
    FWP_ACTION_TYPE says; /* with the pend */
    UINT32 flags;
    bool hard;             /* clears WRITE */
    FWP_ACTION_TYPE again; /* when asked again */
    HANDLE context;
    unsigned pends, asked_again;
    NTSTATUS status;
};

static void play(struct host_lab_callout *c, FWPS_CLASSIFY_OUT0 *out)
{
    struct pender *p = c->ctx;

    if ((c->metadata->currentMetadataValues & FWPS_METADATA_FIELD_COMPLETION_HANDLE) == 0) {
        p->asked_again++;
        if (out->rights & FWPS_RIGHT_ACTION_WRITE)
            out->actionType = p->again;
        return;
    }
    p->status = host_pend(p->lab->host, c->metadata->completionHandle, &p->context);
    assert_int_equal(p->status, STATUS_SUCCESS);
    p->pends++;
    if ((out->rights & FWPS_RIGHT_ACTION_WRITE) == 0)
        return;
    out->actionType = p->says;
    out->flags |= p->flags;
    if (p->hard)
        out->rights &= ~(UINT32)FWPS_RIGHT_ACTION_WRITE;
}

/* A callout that pends and leaves the decision open. */
static struct pender soft(struct host_lab *l)
{
    return (struct pender){.lab = l,
                           .says = FWP_ACTION_BLOCK,
                           .flags = FWPS_CLASSIFY_OUT_FLAG_ABSORB,
                           .again = FWP_ACTION_PERMIT};
}

static bool asked(const struct host_lab *l, UINT16 layer_id)
{
    for (unsigned i = 0; i < l->event_count; i++)
        if (l->events[i].layer_id == layer_id)
            return true;
    return false;
}

static NTSTATUS complete(struct pender *p)
{
    host_lab_reset(p->lab);
    return host_complete(p->lab->host, p->context);
}

static int teardown(void **state)
{
    struct host_lab *l = *state;
    struct host_counts c;

    host_counts(l->host, &c);
    assert_int_equal(c.impossible, 0);
    return host_lab_teardown(state);
}

/* ---- PEND-11 */

static void PEND_11_a_filter_blocks_what_is_pended(void **state)
{
    struct host_lab *l = *state;
    struct pender p = soft(l);
    struct host_lab_callout c = {.also = play, .ctx = &p};
    UINT64 filter;

    filter = host_lab_rule(l, "block AC ip_remote_port=443");
    l->sublayer = 1;
    host_lab_callout(l, "AC", &c);
    LAB_OUT(l, SYN, .sport = 50000, .dport = 443, .seq = 1);
    assert_int_equal(p.pends, 1);
    assert_int_equal(l->outcome.fate, HOST_BLOCKED); /* at once */
    assert_true(l->outcome.filter_id == filter);
    assert_non_null(strstr(l->flows, "refused"));
    assert_true(asked(l, FWPS_LAYER_ALE_ENDPOINT_CLOSURE_V4));
    assert_true(asked(l, FWPS_LAYER_ALE_AUTH_CONNECT_V4_DISCARD)); /* ORD-17: a filter dropped it */
    /* the completion that is still owed is accepted, once, and does nothing */
    assert_int_equal(complete(&p), STATUS_SUCCESS);
    assert_string_equal(l->seen, "");
    assert_string_equal(l->flows, "");
    assert_int_equal(p.asked_again, 0);
    assert_int_equal(complete(&p), STATUS_INVALID_PARAMETER);
    /* what follows from the refused connect never happened */
    LAB_OUT(l, SYN, .sport = 50000, .dport = 443, .seq = 1);
    assert_int_equal(l->outcome.fate, HOST_CONSEQUENCE);
    /* nobody else blocks: the pend holds */
    LAB_OUT(l, SYN, .sport = 50001, .dport = 80, .seq = 1);
    assert_int_equal(l->outcome.fate, HOST_HELD);
    assert_int_equal(complete(&p), STATUS_SUCCESS);
    assert_int_equal(p.asked_again, 1);
}

static void PEND_11_a_callout_blocks_what_is_pended(void **state)
{
    struct host_lab *l = *state;
    struct pender p = soft(l);
    struct host_lab_callout b = {.action = FWP_ACTION_BLOCK, .clear_write = true},
                            c = {.also = play, .ctx = &p};

    host_lab_callout(l, "RA", &b);
    l->sublayer = 1;
    host_lab_callout(l, "RA", &c);
    LAB_IN(l, .sport = 4000, .dport = 53);
    assert_int_equal(p.pends, 1);
    assert_int_equal(b.calls, 1);
    assert_int_equal(l->outcome.fate, HOST_BLOCKED);
    assert_true(asked(l, FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4_DISCARD));
    assert_int_equal(complete(&p), STATUS_SUCCESS);
    assert_string_equal(l->seen, "");
    /* a soft block is no refusal: the pend stands over it */
    b.clear_write = false;
    LAB_IN(l, .sport = 4001, .dport = 53);
    assert_int_equal(l->outcome.fate, HOST_HELD);
    assert_int_equal(complete(&p), STATUS_SUCCESS);
}

static void PEND_11_its_own_block_holds(void **state)
{
    struct host_lab *l = *state;
    struct pender p = soft(l);
    struct host_lab_callout c = {.also = play, .ctx = &p};

    p.hard = true;
    host_lab_rule(l, "block AC ip_remote_port=443");
    l->sublayer = 1;
    host_lab_callout(l, "AC", &c);
    LAB_OUT(l, SYN, .sport = 50000, .dport = 443, .seq = 1);
    assert_int_equal(l->outcome.fate, HOST_HELD);
    assert_false(asked(l, FWPS_LAYER_ALE_AUTH_CONNECT_V4_DISCARD));
}

static void PEND_11_a_permit_does_not_let_go(void **state)
{
    struct host_lab *l = *state;
    struct pender p = soft(l);
    struct host_lab_callout c = {.also = play, .ctx = &p};

    p.says = FWP_ACTION_PERMIT;
    p.flags = 0;
    host_lab_callout(l, "AC", &c);
    LAB_OUT(l, SYN, .sport = 50000, .dport = 443, .seq = 1);
    assert_int_equal(l->outcome.fate, HOST_HELD);
    assert_false(asked(l, FWPS_LAYER_OUTBOUND_TRANSPORT_V4));
    assert_int_equal(complete(&p), STATUS_SUCCESS);
    assert_string_equal(l->flows, "authorized");
    LAB_OUT(l, SYN, .sport = 50000, .dport = 443, .seq = 1);
    assert_int_equal(l->outcome.fate, HOST_PASSED);
}

static void PEND_11_at_a_bind(void **state)
{
    struct host_lab *l = *state;
    const struct host_socket s = {.version = 4, .protocol = WIRE_PROTOCOL_TCP, .port = 80};
    struct pender p = soft(l);
    struct host_lab_callout c = {.also = play, .ctx = &p};
    struct host_endpoint *e;

    host_lab_rule(l, "block RES ip_local_port=80");
    l->sublayer = 1;
    host_lab_callout(l, "RES", &c);
    assert_int_equal(host_bind(l->host, &s, &e), STATUS_ACCESS_DENIED);
    assert_null(e);
    assert_int_equal(p.pends, 1);
    assert_int_equal(complete(&p), STATUS_SUCCESS);
    assert_string_equal(l->seen, "");
    assert_int_equal(p.asked_again, 0);
}

/* ---- PEND-42 */

static void PEND_42_resumes_when_both_are_done(void **state)
{
    struct host_lab *l = *state;
    struct pender p = soft(l), q = soft(l);
    struct host_lab_callout c = {.also = play, .ctx = &p}, d = {.also = play, .ctx = &q};

    q.hard = true; /* the last one's decision stands */
    host_lab_callout(l, "AC", &d);
    l->sublayer = 1;
    host_lab_callout(l, "AC", &c);
    for (unsigned first = 0; first < 2; first++) {
        struct pender *one = first == 0 ? &p : &q, *other = first == 0 ? &q : &p;
        UINT16 port = (UINT16)(50000 + first);

        p.pends = q.pends = p.asked_again = q.asked_again = 0;
        LAB_OUT(l, SYN, .sport = port, .dport = 443, .seq = 1);
        assert_int_equal(l->outcome.fate, HOST_HELD);
        assert_int_equal(p.pends, 1);
        assert_int_equal(q.pends, 1);
        assert_true(p.context != q.context); /* each its own */
        assert_int_equal(complete(one), STATUS_SUCCESS);
        assert_string_equal(l->seen, "");
        assert_int_equal(complete(one), STATUS_INVALID_PARAMETER); /* not for the other */
        LAB_OUT(l, SYN, .sport = port, .dport = 443, .seq = 1);
        assert_int_equal(l->outcome.fate, HOST_HELD);
        assert_int_equal(complete(other), STATUS_SUCCESS);
        assert_int_equal(p.asked_again, 1); /* one classify, and both are asked in it */
        assert_int_equal(q.asked_again, 1);
        assert_string_equal(l->flows, "authorized");
        LAB_OUT(l, SYN, .sport = port, .dport = 443, .seq = 1);
        assert_int_equal(l->outcome.fate, HOST_PASSED);
    }
}

static void PEND_42_accepts_and_binds(void **state)
{
    struct host_lab *l = *state;
    const struct host_socket s = {.version = 4, .protocol = WIRE_PROTOCOL_TCP, .port = 81};
    struct pender p = soft(l), q = soft(l), r = soft(l), t = soft(l);
    struct host_lab_callout c = {.also = play, .ctx = &p}, d = {.also = play, .ctx = &q},
                            e = {.also = play, .ctx = &r}, f = {.also = play, .ctx = &t};
    struct host_endpoint *bound;

    q.hard = t.hard = true;
    host_lab_callout(l, "RA", &d);
    host_lab_callout(l, "RES ip_local_port=81", &f);
    l->sublayer = 1;
    host_lab_callout(l, "RA", &c);
    host_lab_callout(l, "RES ip_local_port=81", &e);
    LAB_IN(l, .sport = 4000, .dport = 53);
    assert_int_equal(l->outcome.fate, HOST_HELD);
    assert_int_equal(complete(&q), STATUS_SUCCESS);
    LAB_OUT(l, .sport = 53, .dport = 4000);
    assert_int_equal(l->outcome.note, HOST_NOTE_UNSENT_REQUEST); /* the accept still waits */
    assert_int_equal(complete(&p), STATUS_SUCCESS);

    assert_int_equal(host_bind(l->host, &s, &bound), STATUS_PENDING);
    assert_int_equal(complete(&r), STATUS_SUCCESS);
    assert_string_equal(l->seen, "");
    assert_int_equal(host_listen(l->host, bound), STATUS_INVALID_DEVICE_STATE); /* not bound yet */
    assert_int_equal(complete(&t), STATUS_SUCCESS);
    assert_string_equal(l->seen, "RES(REAUTH)");
    assert_int_equal(host_listen(l->host, bound), STATUS_SUCCESS);
    host_close(l->host, bound);
}

static void PEND_42_a_refusal_while_both_wait(void **state)
{
    struct host_lab *l = *state;
    struct pender p = soft(l), q = soft(l);
    struct host_lab_callout c = {.also = play, .ctx = &p}, d = {.also = play, .ctx = &q};

    host_lab_rule(l, "block AC ip_remote_port=443");
    l->sublayer = 1;
    host_lab_callout(l, "AC", &d);
    l->sublayer = 2;
    host_lab_callout(l, "AC", &c);
    LAB_OUT(l, SYN, .sport = 50000, .dport = 443, .seq = 1);
    assert_int_equal(l->outcome.fate, HOST_BLOCKED);
    assert_int_equal(complete(&q), STATUS_SUCCESS); /* each may, and must, complete its own */
    assert_int_equal(complete(&p), STATUS_SUCCESS);
    assert_string_equal(l->seen, "");
    assert_int_equal(complete(&p), STATUS_INVALID_PARAMETER);
    assert_int_equal(p.asked_again + q.asked_again, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, host_lab_setup, teardown)
        T(PEND_11_a_filter_blocks_what_is_pended),
        T(PEND_11_a_callout_blocks_what_is_pended),
        T(PEND_11_its_own_block_holds),
        T(PEND_11_a_permit_does_not_let_go),
        T(PEND_11_at_a_bind),
        T(PEND_42_resumes_when_both_are_done),
        T(PEND_42_accepts_and_binds),
        T(PEND_42_a_refusal_while_both_wait),
#undef T
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
