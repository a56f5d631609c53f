/* SPDX-License-Identifier: Apache-2.0 */
/* Section 6: classify handles and what is done with them; binds that go elsewhere; closures that wait (RED, ALE-33). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "fwpmk.h"
#include "host/host_redirect.h"
#include "redirector.h"

static struct driver_lab *lab(void **state)
{
    return *state;
}

/* ---- handles ------------------------------------------------------------------------------------------------- */

struct acquirer {
    NTSTATUS with_flags, null_context, null_out, other_context, plain, second;
    UINT64 handles[2];
    const void *context;
};

static void acquire(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    struct acquirer *a = s->ctx;
    UINT64 unused;
    int other;

    a->context = c->classify_context;
    a->with_flags = FwpsAcquireClassifyHandle0((void *)c->classify_context, 1, &unused);
    a->null_context = FwpsAcquireClassifyHandle0(NULL, 0, &unused);
    a->null_out = FwpsAcquireClassifyHandle0((void *)c->classify_context, 0, NULL);
    a->other_context = FwpsAcquireClassifyHandle0(&other, 0, &unused);
    a->plain = FwpsAcquireClassifyHandle0((void *)c->classify_context, 0, &a->handles[0]);
    a->second = FwpsAcquireClassifyHandle0((void *)c->classify_context, 0, &a->handles[1]);
    c->out->actionType = FWP_ACTION_PERMIT;
}

static void RED_05_a_handle_of_the_running_classify(void **state)
{
    struct driver_lab *l = lab(state);
    struct acquirer a = {0};
    UINT64 outside;

    driver_lab_callout(l, "CR", SCRIPT(l, .then = acquire, .ctx = &a));
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    assert_int_equal(a.with_flags, STATUS_INVALID_PARAMETER);
    assert_int_equal(a.null_context, STATUS_FWP_NULL_POINTER);
    assert_int_equal(a.null_out, STATUS_FWP_NULL_POINTER);
    assert_int_equal(a.other_context, STATUS_INVALID_PARAMETER);
    assert_int_equal(a.plain, STATUS_SUCCESS);
    assert_int_equal(a.second, STATUS_SUCCESS);
    assert_int_not_equal(a.handles[0], a.handles[1]);
    assert_int_equal(redirector_counts(l).handles, 2);
    assert_int_equal(FwpsAcquireClassifyHandle0((void *)a.context, 0, &outside), STATUS_INVALID_PARAMETER);
    FwpsReleaseClassifyHandle0(a.handles[0]);
    FwpsReleaseClassifyHandle0(a.handles[1]);
    assert_int_equal(redirector_counts(l).handles, 0);
    assert_int_equal(redirector_findings(l), 0);
}

struct writer {
    FWPS_CLASSIFY_OUT0 after;
    void *data, *again;
    NTSTATUS status, null;
    bool applies, other_pointer, read_only, twice;
    UINT32 remote;
};

static void write(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    struct writer *w = s->ctx;
    UINT64 handle;

    assert_int_equal(FwpsAcquireClassifyHandle0((void *)c->classify_context, 0, &handle), STATUS_SUCCESS);
    w->null = FwpsAcquireWritableLayerDataPointer0(handle, c->filter->filterId, 0, NULL, c->out);
    c->out->actionType = FWP_ACTION_PERMIT;
    w->status = FwpsAcquireWritableLayerDataPointer0(handle, c->filter->filterId, 0, &w->data, c->out);
    w->after = *c->out;
    if (w->status == STATUS_SUCCESS && w->applies) {
        FWPS_CONNECT_REQUEST0 *r = w->data;
        FWPS_CONNECT_REQUEST0 copy;

        ((SOCKADDR_IN *)&r->remoteAddressAndPort)->sin_addr.S_un.S_addr = __builtin_bswap32(0x0a000009);
        copy = *r;
        if (w->read_only)
            r->modifierFilterId = 12345;
        FwpsApplyModifiedLayerData0(handle, w->other_pointer ? &copy : w->data, 0);
        if (w->twice)
            FwpsApplyModifiedLayerData0(handle, w->data, 0);
    }
    c->out->actionType = FWP_ACTION_PERMIT;
    c->out->rights |= FWPS_RIGHT_ACTION_WRITE;
    FwpsReleaseClassifyHandle0(handle);
}

static void RED_07_acquiring_blocks_without_write(void **state)
{
    struct driver_lab *l = lab(state);
    struct writer w = {.applies = true};

    driver_lab_callout(l, "CR", SCRIPT(l, .then = write, .ctx = &w));
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    assert_int_equal(w.null, STATUS_FWP_NULL_POINTER);
    assert_int_equal(w.status, STATUS_SUCCESS);
    assert_int_equal(w.after.actionType, FWP_ACTION_BLOCK);
    assert_false(w.after.rights & FWPS_RIGHT_ACTION_WRITE);
    assert_non_null(l->host.outcome.changed);
    assert_int_equal(redirector_findings(l), 0);
}

static void RED_08_acquired_and_not_applied(void **state)
{
    struct driver_lab *l = lab(state);
    struct writer w = {.applies = false};

    driver_lab_callout(l, "CR", SCRIPT(l, .then = write, .ctx = &w));
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    assert_int_equal(l->host.outcome.fate, HOST_PASSED);
    assert_null(l->host.outcome.changed);
    assert_int_equal(l->found[LEDGER_NOTE], 1);
    assert_non_null(strstr(l->last, "not applied"));
}

static void RED_08_another_pointer(void **state)
{
    struct driver_lab *l = lab(state);
    struct writer w = {.applies = true, .other_pointer = true};

    driver_lab_callout(l, "CR", SCRIPT(l, .then = write, .ctx = &w));
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    assert_non_null(l->host.outcome.changed); /* what was acquired is taken, not what the pointer points to */
    assert_int_equal(l->found[LEDGER_NOTE], 1);
    assert_non_null(strstr(l->last, "another pointer"));
}

static void RED_08_exactly_one_apply(void **state)
{
    struct driver_lab *l = lab(state);
    struct writer w = {.applies = true, .twice = true};

    driver_lab_callout(l, "CR", SCRIPT(l, .then = write, .ctx = &w));
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    assert_non_null(l->host.outcome.changed);
    assert_int_equal(l->found[LEDGER_NOTE], 1);
    w.twice = false;
    w.read_only = true; /* RED-10: it stays */
    LAB_OUT(&l->host, SYN(.sport = 50001, .dport = 80));
    assert_non_null(l->host.outcome.changed);
    assert_int_equal(l->found[LEDGER_NOTE], 2);
}

static void scribble(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    FWPS_CONNECT_REQUEST0 *r = (FWPS_CONNECT_REQUEST0 *)c->packet;

    assert_non_null(r);
    s->ctx = r;
    ((SOCKADDR_IN *)&r->remoteAddressAndPort)->sin_port = 0x1234;
    c->out->actionType = FWP_ACTION_PERMIT;
}

static void RED_32_layer_data_is_read_only(void **state)
{
    struct driver_lab *l = lab(state);
    struct driver_lab_script *s = SCRIPT(l, .then = scribble);

    driver_lab_callout(l, "CR", s);
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    assert_non_null(s->ctx);
    assert_int_equal(l->host.outcome.fate, HOST_PASSED);
    assert_null(l->host.outcome.changed);
    assert_int_equal(l->found[LEDGER_NOTE], 1);
    assert_non_null(strstr(l->last, "layerData"));
}

static void RED_32_requests_at_both(void **state)
{
    struct driver_lab *l = lab(state);
    struct redirector bind = {.only_looks = true}, connect = {.only_looks = true};
    SOCKADDR_IN *in;

    redirector_put(l, "BR", &bind);
    redirector_put(l, "CR", &connect);
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    in = (SOCKADDR_IN *)&bind.bind_shown[0].localAddressAndPort;
    assert_int_equal(in->sin_family, AF_INET);
    assert_int_equal(in->sin_addr.S_un.S_addr, __builtin_bswap32(0x0a000001));
    assert_int_equal(in->sin_port, __builtin_bswap16(50000));
    in = (SOCKADDR_IN *)&connect.shown[0].remoteAddressAndPort;
    assert_int_equal(in->sin_port, __builtin_bswap16(80));
}

/* ---- where it can be pended ---------------------------------------------------------------------------------- */

struct tries {
    NTSTATUS status[2];
    unsigned calls;
};

static void try_pend(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    struct tries *t = s->ctx;
    void *data;
    UINT64 handle;

    c->out->actionType = FWP_ACTION_PERMIT;
    assert_int_equal(FwpsAcquireClassifyHandle0((void *)c->classify_context, 0, &handle), STATUS_SUCCESS);
    t->status[0] = FwpsPendClassify0(handle, c->filter->filterId, 0, c->out);
    t->status[1] = FwpsAcquireWritableLayerDataPointer0(handle, c->filter->filterId, 0, &data, NULL);
    t->calls++;
    if (t->status[0] == STATUS_SUCCESS)
        FwpsCompleteClassify0(handle, 0, c->out); /* at once (PEND-23) */
    FwpsReleaseClassifyHandle0(handle);
}

static void RED_13_nowhere_else(void **state)
{
    static const char *const layers[] = {"RES", "AC", "OT", "OI", "FE", "RR"};
    struct driver_lab *l = lab(state);
    struct tries t;

    for (unsigned i = 0; i < sizeof(layers) / sizeof(layers[0]); i++) {
        struct driver_lab_script *s = SCRIPT(l, .then = try_pend, .ctx = &t);

        t = (struct tries){.status = {1, 1}};
        driver_lab_callout(l, layers[i], s);
        LAB_OUT(&l->host, .sport = (UINT16)(51000 + i), .dport = 80);
        host_shutdown(l->host.host);
        assert_true(t.calls > 0);
        assert_int_equal(t.status[0], STATUS_FWP_CANNOT_PEND);
        assert_int_equal(t.status[1], STATUS_INVALID_DEVICE_STATE);
        s->then = NULL;
    }
}

static void RED_13_connect_bind_closure(void **state)
{
    static const char *const layers[] = {"CR", "BR", "EC"};
    struct driver_lab *l = lab(state);
    struct tries t;

    for (unsigned i = 0; i < 3; i++) {
        struct driver_lab_script *s = SCRIPT(l, .then = try_pend, .ctx = &t);

        t = (struct tries){.status = {1, 1}};
        driver_lab_callout(l, layers[i], s);
        LAB_OUT(&l->host, SYN(.sport = (UINT16)(51000 + i), .dport = 80));
        LAB_IN(&l->host, TCP(WIRE_TCP_RST | WIRE_TCP_ACK), .sport = 80, .dport = (UINT16)(51000 + i),
               .ack = 2);
        assert_int_equal(t.status[0], STATUS_SUCCESS);
        assert_int_equal(t.status[1], i == 2 ? STATUS_INVALID_DEVICE_STATE : STATUS_SUCCESS);
        s->then = NULL;
    }
    assert_int_equal(redirector_counts(l).pended, 0);
    assert_int_equal(redirector_counts(l).handles, 0);
}

/* ---- bind ---------------------------------------------------------------------------------------------------- */

static NTSTATUS bind_it(struct driver_lab *l, UINT16 port, struct host_endpoint **e)
{
    const struct host_socket s = {.version = 4, .protocol = WIRE_PROTOCOL_UDP, .port = port};

    return host_bind(l->host.host, &s, e);
}

static void RED_02_a_bind_for_all_connections(void **state)
{
    struct driver_lab *l = lab(state);
    struct redirector r = {.to = "10.0.0.1", .port = 6000};
    struct host_endpoint *e;
    union wire_addr local;
    struct wire_packet p;
    UINT16 port;

    redirector_put(l, "BR", &r);
    assert_int_equal(bind_it(l, 5000, &e), STATUS_SUCCESS);
    host_endpoint_local(e, &local, &port);
    assert_int_equal(local.v4, 0x0a000001);
    assert_int_equal(port, 6000);
    assert_string_equal(LAB_OUT(&l->host, .sport = 5000, .dport = 53),
                        "CR AC FE DD OT OI"); /* it is that socket */
    assert_int_equal(l->host.outcome.fate, HOST_PASSED);
    assert_non_null(l->host.outcome.changed);
    wire_parse(WIRE_LINK_ETHERNET, l->host.outcome.changed, 42, 42, &p);
    assert_int_equal(p.source_port, 6000);
    assert_true(wire_verify(&p));
    LAB_OUT(&l->host, .sport = 5000, .dport = 54);
    assert_non_null(l->host.outcome.changed);
    LAB_IN(&l->host, .sport = 53, .dport = 5000);
    assert_int_equal(l->host.outcome.fate, HOST_PASSED);
    wire_parse(WIRE_LINK_ETHERNET, l->host.outcome.changed, 42, 42, &p);
    assert_int_equal(p.destination_port, 6000);
    assert_int_equal(r.calls, 1);
    host_close(l->host.host, e);
    assert_int_equal(redirector_findings(l), 0);
}

static void RED_28_a_block_of_a_bind_is_not_enforced(void **state)
{
    struct driver_lab *l = lab(state);
    struct redirector r = {.port = 6000, .answer = FWP_ACTION_BLOCK};
    struct host_endpoint *e;
    union wire_addr local;
    UINT16 port;

    redirector_put(l, "BR", &r);
    assert_int_equal(bind_it(l, 5000, &e), STATUS_SUCCESS);
    host_endpoint_local(e, &local, &port);
    assert_int_equal(port, 6000);
    host_close(l->host.host, e);
}

static void RED_12_a_bind_waits(void **state)
{
    struct driver_lab *l = lab(state);
    struct redirector r = {.port = 6000, .pends = true};
    struct host_endpoint *e;
    union wire_addr local;
    UINT16 port;

    redirector_put(l, "BR", &r);
    host_lab_reset(&l->host);
    assert_int_equal(bind_it(l, 5000, &e), STATUS_PENDING);
    assert_string_equal(l->host.seen, "BR");
    assert_int_equal(host_socket_status(l->host.host, e), STATUS_PENDING);
    redirector_go(&r);
    assert_string_equal(l->host.seen,
                        "BR BR(REAUTH) RES"); /* on to RES, once all have said what they have to */
    assert_int_equal(host_socket_status(l->host.host, e), STATUS_SUCCESS);
    host_endpoint_local(e, &local, &port);
    assert_int_equal(port, 6000);
    host_close(l->host.host, e);
}

static void PEND_41_a_bind_is_closed_while_it_waits(void **state)
{
    struct driver_lab *l = lab(state);
    struct redirector r = {.port = 6000, .pends = true};
    struct host_endpoint *e;

    redirector_put(l, "BR", &r);
    assert_int_equal(bind_it(l, 5000, &e), STATUS_PENDING);
    host_close(l->host.host, e);
    host_lab_reset(&l->host);
    redirector_go(&r);
    assert_string_equal(l->host.seen, "");
    assert_int_equal(redirector_counts(l).pended, 0);
}

/* ---- closure ------------------------------------------------------------------------------------------------- */

struct order {
    char text[80];
};

static void flow_gone(struct driver_lab_script *s, UINT64 context)
{
    struct order *o = (struct order *)(uintptr_t)context;

    (void)s;
    strcat(o->text, "deleted ");
}

static void associate(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    assert_int_equal(FwpsFlowAssociateContext0(c->metadata->flowHandle, c->values->layerId, s->id,
                                               (UINT64)(uintptr_t)s->ctx),
                     STATUS_SUCCESS);
    c->out->actionType = FWP_ACTION_PERMIT;
}

static void released(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    struct order *o = s->ctx;

    (void)c;
    strcat(o->text, "released ");
}

static void a_closure_waits(struct driver_lab *l, FWP_ACTION_TYPE type)
{
    struct redirector r = {.pends = true, .type = type};
    struct order o = {""};

    redirector_put(l, "EC", &r);
    driver_lab_callout(l, "FE", SCRIPT(l, .then = associate, .ctx = &o, .deleted_then = flow_gone));
    driver_lab_callout(l, "RR", SCRIPT(l, .then = released, .ctx = &o));
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    LAB_IN(&l->host, TCP(WIRE_TCP_SYN | WIRE_TCP_ACK), .sport = 80, .dport = 50000, .seq = 100, .ack = 2);
    LAB_OUT(&l->host, TCP(WIRE_TCP_ACK), .sport = 50000, .dport = 80, .seq = 2, .ack = 101);
    LAB_IN(&l->host, TCP(WIRE_TCP_RST), .sport = 80, .dport = 50000, .seq = 101);
    assert_int_equal(r.calls, 1);
    assert_string_equal(o.text, ""); /* contexts and the port stay */
    assert_int_equal(redirector_counts(l).closing, 1);
    redirector_go(&r);
    assert_string_equal(o.text, "deleted released "); /* ALE-33 */
    assert_int_equal(redirector_counts(l).closing, 0);
    assert_int_equal(r.calls, 1);
    assert_int_equal(redirector_findings(l), 0);
}

static void RED_31_a_closure_waits_and_all_behind_it(void **state)
{
    a_closure_waits(lab(state), 0);
}

static void RED_31_an_inspection_makes_it_wait(void **state)
{
    a_closure_waits(lab(state), FWP_ACTION_CALLOUT_INSPECTION);
}

static void a_socket_with_flows(struct driver_lab *l, FWP_ACTION_TYPE type)
{
    struct redirector r = {.pends = true, .type = type};
    struct order o = {""};
    struct host_endpoint *e;

    redirector_put(l, "EC", &r);
    driver_lab_callout(l, "FE", SCRIPT(l, .then = associate, .ctx = &o, .deleted_then = flow_gone));
    driver_lab_callout(l, "RR", SCRIPT(l, .then = released, .ctx = &o));
    assert_int_equal(bind_it(l, 5000, &e), STATUS_SUCCESS);
    LAB_OUT(&l->host, .sport = 5000, .dport = 53);
    LAB_OUT(&l->host, .sport = 5000, .dport = 54);
    host_close(l->host.host, e);
    assert_string_equal(o.text, "");
    redirector_again(&r); /* NULL: the closure is told again */
    assert_int_equal(r.calls, 2);
    assert_true(r.condition_flags[1] & FWP_CONDITION_FLAG_IS_REAUTHORIZE);
    assert_string_equal(o.text, "");
    redirector_go(&r);
    assert_string_equal(o.text, "deleted deleted released ");
}

static void RED_31_a_socket_with_flows(void **state)
{
    a_socket_with_flows(lab(state), 0);
}

static void RED_31_an_inspection_of_a_socket_with_flows(void **state)
{
    a_socket_with_flows(lab(state), FWP_ACTION_CALLOUT_INSPECTION);
}

/* Of two the heavier one pends: the other is asked when it has completed. */
static void RED_31_two_in_turn(void **state)
{
    struct driver_lab *l = lab(state);
    struct redirector first = {.pends = true, .sublayer = 2}, second = {.pends = true, .sublayer = 1};
    struct order o = {""};
    struct host_endpoint *e;

    redirector_put(l, "EC", &first);
    redirector_put(l, "EC", &second);
    driver_lab_callout(l, "RR", SCRIPT(l, .then = released, .ctx = &o));
    assert_int_equal(bind_it(l, 5000, &e), STATUS_SUCCESS);
    host_close(l->host.host, e);
    assert_int_equal(first.calls, 1);
    assert_int_equal(second.calls, 0);
    redirector_again(&first);
    assert_int_equal(first.calls, 2);
    assert_int_equal(second.calls, 0);
    redirector_go(&first);
    assert_string_equal(o.text, "released ");
}

static void RED_31_the_host_shuts_down(void **state)
{
    struct driver_lab *l = lab(state);
    struct redirector r = {.pends = true};
    struct order o = {""};

    redirector_put(l, "EC", &r);
    driver_lab_callout(l, "FE", SCRIPT(l, .then = associate, .ctx = &o, .deleted_then = flow_gone));
    driver_lab_callout(l, "RR", SCRIPT(l, .then = released, .ctx = &o));
    LAB_OUT(&l->host, .sport = 5000, .dport = 53);
    host_shutdown(l->host.host);
    assert_string_equal(o.text, "");
    redirector_go(&r);
    assert_string_equal(o.text, "deleted released ");
}

/* Where nobody hears of every layer, a layer's only callout is asked in the straight way (inspect.c). */
static int straight_setup(void **state)
{
    return redirector_setup(state, &(struct host_config){.observer.decisions_only = true});
}

#define T(f) cmocka_unit_test_setup_teardown(f, driver_lab_setup, redirector_teardown)
#define STRAIGHT(f)                                                                                          \
    {                                                                                                        \
#f "_straight", f, straight_setup, redirector_teardown, NULL                                         \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(RED_05_a_handle_of_the_running_classify),
        T(RED_07_acquiring_blocks_without_write),
        T(RED_08_acquired_and_not_applied),
        T(RED_08_another_pointer),
        T(RED_08_exactly_one_apply),
        T(RED_32_layer_data_is_read_only),
        T(RED_32_requests_at_both),
        T(RED_13_nowhere_else),
        T(RED_13_connect_bind_closure),
        T(RED_02_a_bind_for_all_connections),
        T(RED_28_a_block_of_a_bind_is_not_enforced),
        T(RED_12_a_bind_waits),
        T(PEND_41_a_bind_is_closed_while_it_waits),
        T(RED_31_a_closure_waits_and_all_behind_it),
        T(RED_31_a_socket_with_flows),
        T(RED_31_an_inspection_makes_it_wait),
        T(RED_31_an_inspection_of_a_socket_with_flows),
        T(RED_31_two_in_turn),
        T(RED_31_the_host_shuts_down),
        STRAIGHT(RED_13_connect_bind_closure),
        STRAIGHT(RED_31_a_closure_waits_and_all_behind_it),
        STRAIGHT(RED_31_a_socket_with_flows),
        STRAIGHT(RED_31_an_inspection_makes_it_wait),
        STRAIGHT(RED_31_an_inspection_of_a_socket_with_flows),
        STRAIGHT(RED_31_two_in_turn),
        STRAIGHT(RED_31_the_host_shuts_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
