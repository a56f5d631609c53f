/* SPDX-License-Identifier: Apache-2.0 */
/* Section 5 through FwpsPendOperation0 and FwpsCompleteOperation0, where no packet is kept (PEND). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fwpmk.h"
#include "fwpsk.h"

#include "driver_lab.h"

#define TCP(...)   .protocol = WIRE_PROTOCOL_TCP, .tcp_flags = (__VA_ARGS__)
#define SYN(...)   TCP(WIRE_TCP_SYN), .seq = 1, __VA_ARGS__
#define HAS_HANDLE FWPS_METADATA_FIELD_COMPLETION_HANDLE
#define KEPT       16

/* A callout that pends what it may, and remembers. */
struct keeper {
    bool pend_reauthorizations; /* tries these too */
    bool keep_open;             /* does not pend */
    FWP_ACTION_TYPE decision;   /* what it answers to a reauthorization */
    HANDLE handles[KEPT], contexts[KEPT];
    NTSTATUS statuses[KEPT];
    unsigned pended, tried, reauthorized;
    UINT32 flags, reason; /* of the last reauthorization */
    bool had_handle, had_packet, had_direction;
    UINT64 flow;
    UINT32 remote;
    UINT16 ports[2];
    UINT64 process, endpoint;
    KIRQL irql_of_reauthorization;
    const void *stack; /* somewhere on it, of the last reauthorization */
    uintptr_t thread;
    HANDLE use; /* instead of the classify's handle */
};

#define AC4_FIELD(name) FWPS_FIELD_ALE_AUTH_CONNECT_V4_##name

static void keep(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    struct keeper *k = s->ctx;
    const struct engine_layer *layer = engine_layer_by_id(c->values->layerId);
    bool at_connect = c->values->layerId == FWPS_LAYER_ALE_AUTH_CONNECT_V4;
    UINT32 flags = 0;
    char here;

    for (UINT32 i = 0; i < layer->field_count; i++)
        if (IsEqualGUID(layer->fields[i].key, &FWPM_CONDITION_FLAGS))
            flags = c->values->incomingValue[i].value.uint32;
    k->had_handle = c->metadata->currentMetadataValues & HAS_HANDLE;
    k->had_packet = c->packet != NULL;
    k->had_direction = c->metadata->currentMetadataValues & FWPS_METADATA_FIELD_PACKET_DIRECTION;
    k->flow = c->metadata->flowHandle;
    if (at_connect) {
        k->remote = c->values->incomingValue[AC4_FIELD(IP_REMOTE_ADDRESS)].value.uint32;
        k->ports[0] = c->values->incomingValue[AC4_FIELD(IP_LOCAL_PORT)].value.uint16;
        k->ports[1] = c->values->incomingValue[AC4_FIELD(IP_REMOTE_PORT)].value.uint16;
        k->reason = c->values->incomingValue[AC4_FIELD(REAUTHORIZE_REASON)].value.uint32;
    }
    k->endpoint = c->metadata->transportEndpointHandle;
    k->flags = flags;
    if (flags & FWP_CONDITION_FLAG_IS_REAUTHORIZE) {
        k->reauthorized++;
        k->irql_of_reauthorization = rt_carried()->irql;
        k->stack = &here;
        k->thread = rt_self();
        if (!k->pend_reauthorizations) {
            c->out->actionType = k->decision;
            c->out->rights &= k->decision == FWP_ACTION_BLOCK ? ~(UINT32)FWPS_RIGHT_ACTION_WRITE : ~0u;
            return;
        }
    }
    if (k->keep_open || k->tried == KEPT) {
        c->out->actionType = k->decision;
        return;
    }
    k->handles[k->tried] = c->metadata->completionHandle;
    k->statuses[k->tried] =
        FwpsPendOperation0(k->use != NULL ? k->use : c->metadata->completionHandle, &k->contexts[k->tried]);
    if (k->statuses[k->tried++] != STATUS_SUCCESS) {
        c->out->actionType = k->decision;
        return;
    }
    k->pended++;
    c->out->actionType = FWP_ACTION_BLOCK;
    c->out->rights &= ~(UINT32)FWPS_RIGHT_ACTION_WRITE;
    c->out->flags |= FWPS_CLASSIFY_OUT_FLAG_ABSORB;
}

static struct keeper *keeper_at(struct driver_lab *l, const char *layer)
{
    static struct keeper keepers[64];
    static unsigned next;
    struct keeper *k = &keepers[next++ % 64];

    memset(k, 0, sizeof(*k));
    k->decision = FWP_ACTION_PERMIT;
    driver_lab_callout(l, layer, SCRIPT(l, .then = keep, .ctx = k));
    return k;
}

static void complete(struct driver_lab *l, struct keeper *k, unsigned i)
{
    host_lab_reset(&l->host);
    FwpsCompleteOperation0(k->contexts[i], NULL);
}

static void PEND_01_the_operation_waits(void **state)
{
    struct driver_lab *l = *state;
    struct keeper *k = keeper_at(l, "AC");

    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 443));
    assert_int_equal(l->host.outcome.fate, HOST_HELD);
    assert_int_equal(k->pended, 1);
    assert_null(strstr(l->host.seen, "OT")); /* nothing goes on */
    host_lab_wait(&l->host, 3600 * 1000);
    assert_int_equal(k->reauthorized, 0); /* however long */
    complete(l, k, 0);
    assert_int_equal(k->reauthorized, 1);
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 443));
    assert_int_equal(l->host.outcome.fate, HOST_PASSED);
}

static void PEND_02_the_handle_is_that_classifys(void **state)
{
    struct driver_lab *l = *state;
    struct keeper *k = keeper_at(l, "AC");
    HANDLE context;

    LAB_OUT(&l->host, .sport = 4000, .dport = 1);
    assert_int_equal(k->statuses[0], STATUS_SUCCESS);
    assert_int_equal(FwpsPendOperation0(k->handles[0], &context), STATUS_FWP_NULL_POINTER); /* it is over */
    k->use = k->handles[0];
    LAB_OUT(&l->host, .sport = 4000, .dport = 2);
    assert_int_equal(k->statuses[1], STATUS_FWP_NULL_POINTER); /* another classify's */
    assert_int_equal(l->host.outcome.fate, HOST_PASSED);       /* nothing was pended (PEND-46) */
    complete(l, k, 0);
}

static void PEND_03_where_there_is_a_handle(void **state)
{
    static const struct {
        const char *layer;
        bool has;
    } at[] = {{"RES", true}, {"AC", true}, {"FE", false}, {"OT", false}, {"OI", false}, {"DD", false}};
    struct driver_lab *l = *state;
    struct keeper *k[6], *ra, *lis;
    const struct host_socket listener = {.version = 4, .protocol = WIRE_PROTOCOL_TCP, .port = 80};
    struct host_endpoint *e;

    for (unsigned i = 0; i < 6; i++) {
        k[i] = keeper_at(l, at[i].layer);
        k[i]->keep_open = true;
    }
    ra = keeper_at(l, "RA");
    lis = keeper_at(l, "LIS");
    ra->keep_open = lis->keep_open = true;
    LAB_OUT(&l->host, .sport = 4000, .dport = 53);
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(k[i]->had_handle, at[i].has);
    assert_int_equal(host_bind(l->host.host, &listener, &e), STATUS_SUCCESS);
    assert_int_equal(host_listen(l->host.host, e), STATUS_SUCCESS);
    assert_true(lis->had_handle);
    LAB_IN(&l->host, SYN(.sport = 50000, .dport = 80));
    assert_true(ra->had_handle);
    /* a reauthorization has none */
    host_reauthorize(l->host.host, FWP_CONDITION_REAUTHORIZE_REASON_SOCKET_PROPERTY_CHANGED);
    LAB_OUT(&l->host, .sport = 4000, .dport = 53);
    assert_int_equal(k[1]->reauthorized, 1);
    assert_false(k[1]->had_handle);
    host_close(l->host.host, e);
}

static void PEND_04_binds_listens_and_connects(void **state)
{
    struct driver_lab *l = *state;
    struct keeper *res = keeper_at(l, "RES"), *lis = keeper_at(l, "LIS"), *ac = keeper_at(l, "AC");
    struct keeper *fe = keeper_at(l, "FE"), *dd = keeper_at(l, "DD"), *cr = keeper_at(l, "CR");
    const struct host_socket s = {.version = 4, .protocol = WIRE_PROTOCOL_TCP, .port = 80};
    struct host_endpoint *e;

    assert_int_equal(host_bind(l->host.host, &s, &e), STATUS_PENDING);
    complete(l, res, 0);
    assert_int_equal(host_listen(l->host.host, e), STATUS_PENDING);
    complete(l, lis, 0);
    res->keep_open = true;
    LAB_OUT(&l->host, .sport = 4000, .dport = 53);
    assert_int_equal(l->host.outcome.fate, HOST_HELD);
    complete(l, ac, 0);
    LAB_OUT(&l->host, .sport = 4000, .dport = 53);
    assert_int_equal(fe->statuses[0], STATUS_FWP_CANNOT_PEND); /* PEND-43 */
    assert_int_equal(cr->statuses[0], STATUS_FWP_CANNOT_PEND); /* PEND-45 */
    assert_int_equal(dd->statuses[0], STATUS_FWP_CANNOT_PEND);
    assert_int_equal(l->host.outcome.fate, HOST_PASSED);
    host_close(l->host.host, e);
}

static void PEND_05_accepts(void **state)
{
    struct driver_lab *l = *state;
    struct keeper *k = keeper_at(l, "RA");

    LAB_IN(&l->host, SYN(.sport = 50000, .dport = 80));
    assert_int_equal(k->statuses[0], STATUS_SUCCESS);
    assert_int_equal(l->host.outcome.fate, HOST_HELD);
    LAB_IN(&l->host, .sport = 50000, .dport = 53);
    assert_int_equal(k->statuses[1], STATUS_SUCCESS);
    complete(l, k, 0);
    complete(l, k, 1);
}

static void pend_nowhere(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    struct keeper *k = s->ctx;

    k->statuses[k->tried++ % KEPT] = FwpsPendOperation0(c->metadata->completionHandle, NULL);
    c->out->actionType = FWP_ACTION_PERMIT;
}

static void PEND_06_which_status(void **state)
{
    struct driver_lab *l = *state;
    struct keeper k = {0};
    HANDLE context;

    driver_lab_callout(l, "AC", SCRIPT(l, .then = pend_nowhere, .ctx = &k));
    LAB_OUT(&l->host, .sport = 4000, .dport = 53);
    assert_int_equal(k.statuses[0], STATUS_FWP_NULL_POINTER);
    host_reauthorize(l->host.host, FWP_CONDITION_REAUTHORIZE_REASON_SOCKET_PROPERTY_CHANGED);
    LAB_OUT(&l->host, .sport = 4000, .dport = 53);
    assert_int_equal(k.statuses[1], STATUS_FWP_CANNOT_PEND); /* before the NULL is looked at */
    assert_int_equal(FwpsPendOperation0(NULL, &context), STATUS_FWP_NULL_POINTER);
    api_set_current(NULL);
    assert_int_equal(FwpsPendOperation0((HANDLE)1, &context), STATUS_FWP_TCPIP_NOT_READY);
    api_set_current(l->context);
}

static void PEND_07_only_the_first_authorization(void **state)
{
    struct driver_lab *l = *state;
    struct keeper *ac = keeper_at(l, "AC"), *ra = keeper_at(l, "RA");

    ac->keep_open = ra->keep_open = true;
    LAB_OUT(&l->host, .sport = 4000, .dport = 53);
    LAB_IN(&l->host, .sport = 4000, .dport = 54);
    ac->keep_open = ra->keep_open = false;
    ac->pend_reauthorizations = ra->pend_reauthorizations = true;
    host_reauthorize(l->host.host, FWP_CONDITION_REAUTHORIZE_REASON_SOCKET_PROPERTY_CHANGED);
    LAB_OUT(&l->host, .sport = 4000, .dport = 53);
    LAB_IN(&l->host, .sport = 4000, .dport = 54);
    assert_int_equal(ac->statuses[0], STATUS_FWP_CANNOT_PEND);
    assert_int_equal(ra->statuses[0], STATUS_FWP_CANNOT_PEND);
    assert_int_equal(ac->pended + ra->pended, 0);
}

static void absorb_reauthorization(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    struct keeper *k = s->ctx;
    UINT32 flags = c->values->incomingValue[AC4_FIELD(FLAGS)].value.uint32;

    c->out->actionType = FWP_ACTION_PERMIT;
    if (!(flags & FWP_CONDITION_FLAG_IS_REAUTHORIZE) || k->tried != 0)
        return;
    k->statuses[k->tried] = FwpsPendOperation0(c->metadata->completionHandle, &k->contexts[k->tried]);
    k->tried++;
    c->out->actionType = FWP_ACTION_BLOCK; /* as any packet: this one alone (ALE-27) */
    c->out->flags |= FWPS_CLASSIFY_OUT_FLAG_ABSORB;
}

static void PEND_09_reauthorizations_follow_the_packets_rules(void **state)
{
    struct driver_lab *l = *state;
    struct keeper k = {0};

    driver_lab_callout(l, "AC", SCRIPT(l, .then = absorb_reauthorization, .ctx = &k));
    LAB_OUT(&l->host, .sport = 4000, .dport = 53);
    host_reauthorize(l->host.host, FWP_CONDITION_REAUTHORIZE_REASON_SOCKET_PROPERTY_CHANGED);
    LAB_OUT(&l->host, .sport = 4000, .dport = 53);
    assert_int_equal(k.statuses[0], STATUS_FWP_CANNOT_PEND);
    assert_int_equal(l->host.outcome.fate, HOST_ABSORBED);
    LAB_OUT(&l->host, .sport = 4000, .dport = 53);
    assert_int_equal(l->host.outcome.fate, HOST_PASSED);
}

static void pend_at_dispatch(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    KIRQL before = rt_carried()->irql;

    rt_carried()->irql = DISPATCH_LEVEL;
    keep(s, c);
    rt_carried()->irql = before;
}

static void PEND_16_up_to_dispatch_level(void **state)
{
    struct driver_lab *l = *state;
    struct keeper k = {.decision = FWP_ACTION_PERMIT};

    driver_lab_callout(l, "AC", SCRIPT(l, .then = pend_at_dispatch, .ctx = &k));
    LAB_OUT(&l->host, .sport = 4000, .dport = 53);
    assert_int_equal(k.statuses[0], STATUS_SUCCESS);
    rt_carried()->irql = DISPATCH_LEVEL;
    complete(l, &k, 0);
    assert_int_equal(rt_carried()->irql, DISPATCH_LEVEL);
    rt_carried()->irql = PASSIVE_LEVEL;
    assert_int_equal(l->found[LEDGER_NOTE], 0);
    assert_int_equal(k.irql_of_reauthorization, DISPATCH_LEVEL);
    LAB_OUT(&l->host, .sport = 4001, .dport = 53);
    rt_carried()->irql = DISPATCH_LEVEL + 1;
    complete(l, &k, 1);
    rt_carried()->irql = PASSIVE_LEVEL;
    assert_int_equal(l->found[LEDGER_NOTE], 1);
}

static void PEND_17_the_completion_asks_again(void **state)
{
    struct driver_lab *l = *state;
    struct keeper *k = keeper_at(l, "AC");
    struct keeper first;

    LAB_OUT(&l->host, .sport = 4000, .dport = 53);
    first = *k;
    complete(l, k, 0);
    assert_int_equal(k->reauthorized, 1);
    assert_int_equal(k->reason, FWP_CONDITION_REAUTHORIZE_REASON_CLASSIFY_COMPLETION);
    assert_int_equal(k->flags, first.flags | FWP_CONDITION_FLAG_IS_REAUTHORIZE);
    assert_int_equal(k->remote, first.remote);
    assert_memory_equal(k->ports, first.ports, sizeof(k->ports));
    assert_int_equal(k->endpoint, first.endpoint);
    assert_int_equal(k->flow, first.flow);
    assert_true(k->had_direction); /* OUTBOUND: host_lab's event says it */
    assert_int_equal(l->host.events[0].direction, FWP_DIRECTION_OUTBOUND);
    assert_false(k->had_packet);
    assert_false(k->had_handle);
}

static void PEND_21_inside_the_completing_call(void **state)
{
    struct driver_lab *l = *state;
    struct keeper *k = keeper_at(l, "AC");
    char here;

    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 443));
    complete(l, k, 0);
    assert_int_equal(k->reauthorized, 1);
    assert_int_equal(k->thread, rt_self());
    assert_true((const char *)k->stack < &here); /* deeper on this stack */
}

static void PEND_32_then_the_handshake_goes_on(void **state)
{
    struct driver_lab *l = *state;
    struct keeper *k = keeper_at(l, "AC");

    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 443));
    complete(l, k, 0);
    assert_string_equal(l->host.flows, "authorized");
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 443));
    LAB_IN(&l->host, TCP(WIRE_TCP_SYN | WIRE_TCP_ACK), .sport = 443, .dport = 50000, .seq = 7, .ack = 2);
    assert_int_equal(l->host.outcome.fate, HOST_PASSED);
    assert_non_null(strstr(l->host.seen, "FE"));
    /* what is not TCP gets its state at once */
    LAB_OUT(&l->host, .sport = 4000, .dport = 53);
    complete(l, k, 1);
    assert_non_null(strstr(l->host.seen, "FE"));
    LAB_IN(&l->host, .sport = 53, .dport = 4000);
    assert_int_equal(l->host.outcome.fate, HOST_PASSED);
}

static void PEND_35_a_refused_connect(void **state)
{
    struct driver_lab *l = *state;
    struct keeper *k = keeper_at(l, "AC");

    k->decision = FWP_ACTION_BLOCK;
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 443));
    assert_null(strstr(l->host.seen, "OT")); /* no SYN was sent */
    complete(l, k, 0);
    assert_non_null(strstr(l->host.flows, "refused"));
    assert_non_null(strstr(l->host.seen, "EC")); /* the endpoint closes (ALE-34) */
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 443));
    assert_int_equal(l->host.outcome.fate, HOST_CONSEQUENCE);
}

static void PEND_36_each_datagram_is_asked_about(void **state)
{
    struct driver_lab *l = *state;
    struct keeper *k = keeper_at(l, "AC");

    for (unsigned i = 0; i < 3; i++) {
        LAB_OUT(&l->host, .sport = 4000, .dport = 53);
        assert_int_equal(k->pended, i + 1);
        assert_true(k->had_handle);
        assert_false(k->flags & FWP_CONDITION_FLAG_IS_REAUTHORIZE);
    }
    assert_ptr_not_equal(k->contexts[0], k->contexts[1]);
    for (unsigned i = 0; i < 3; i++)
        complete(l, k, i);
    LAB_OUT(&l->host, .sport = 4000, .dport = 53);
    assert_string_equal(l->host.seen, "DD OT OI");
}

static void PEND_37_each_repeated_syn_is_asked_about(void **state)
{
    struct driver_lab *l = *state;
    struct keeper *k = keeper_at(l, "RA");

    for (unsigned i = 0; i < 3; i++) {
        LAB_IN(&l->host, SYN(.sport = 50000, .dport = 80));
        assert_int_equal(k->pended, i + 1);
        assert_non_null(strstr(l->host.seen, "IT(ALE)"));
        assert_int_equal(l->host.outcome.fate, HOST_HELD);
    }
    for (unsigned i = 0; i < 3; i++)
        complete(l, k, i);
    assert_int_equal(k->reauthorized, 0);
}

static void PEND_39_binds_and_listens_are_asked_again(void **state)
{
    struct driver_lab *l = *state;
    struct keeper *res = keeper_at(l, "RES"), *lis = keeper_at(l, "LIS");
    const struct host_socket s = {.version = 4, .protocol = WIRE_PROTOCOL_TCP, .port = 80};
    struct host_endpoint *e;

    res->pend_reauthorizations = lis->pend_reauthorizations = true;
    assert_int_equal(host_bind(l->host.host, &s, &e), STATUS_PENDING);
    complete(l, res, 0);
    assert_int_equal(res->statuses[1], STATUS_FWP_CANNOT_PEND);
    assert_true(res->flags & FWP_CONDITION_FLAG_IS_REAUTHORIZE);
    assert_false(res->flags & FWP_CONDITION_FLAG_IS_RECLASSIFY);
    assert_int_equal(host_listen(l->host.host, e), STATUS_PENDING);
    complete(l, lis, 0);
    assert_int_equal(lis->statuses[1], STATUS_FWP_CANNOT_PEND);
    LAB_IN(&l->host, SYN(.sport = 50000, .dport = 80));
    assert_int_equal(l->host.outcome.fate, HOST_PASSED);
    host_close(l->host.host, e);
}

static void PEND_40_bind_waits_and_may_be_refused(void **state)
{
    struct driver_lab *l = *state;
    struct keeper *res = keeper_at(l, "RES");
    const struct host_socket s = {.version = 4, .protocol = WIRE_PROTOCOL_TCP, .port = 80};
    struct host_endpoint *e;

    res->decision = FWP_ACTION_BLOCK;
    assert_int_equal(host_bind(l->host.host, &s, &e), STATUS_PENDING);
    assert_false(res->had_packet);
    assert_int_equal(host_socket_status(l->host.host, e), STATUS_PENDING);
    complete(l, res, 0);
    assert_int_equal(host_socket_status(l->host.host, e), STATUS_ACCESS_DENIED);
    assert_int_not_equal(host_listen(l->host.host, e), STATUS_SUCCESS);
    host_close(l->host.host, e);
    res->decision = FWP_ACTION_PERMIT;
    assert_int_equal(host_bind(l->host.host, &s, &e), STATUS_PENDING);
    complete(l, res, 1);
    assert_int_equal(host_socket_status(l->host.host, e), STATUS_SUCCESS);
    host_close(l->host.host, e);
}

static void PEND_41_closed_while_it_waits(void **state)
{
    struct driver_lab *l = *state;
    struct keeper *res = keeper_at(l, "RES"), *ac = keeper_at(l, "AC");
    const struct host_socket s = {.version = 4, .protocol = WIRE_PROTOCOL_UDP, .port = 4000};
    struct host_endpoint *e;

    assert_int_equal(host_bind(l->host.host, &s, &e), STATUS_PENDING);
    host_close(l->host.host, e);
    complete(l, res, 0);
    assert_int_equal(res->reauthorized, 0);

    res->keep_open = true;
    assert_int_equal(host_bind(l->host.host, &s, &e), STATUS_SUCCESS);
    LAB_OUT(&l->host, .sport = 4000, .dport = 53);
    assert_int_equal(ac->pended, 1);
    host_lab_reset(&l->host);
    host_close(l->host.host, e);
    assert_non_null(strstr(l->host.seen, "EC"));
    assert_non_null(strstr(l->host.seen, "RR"));
    complete(l, ac, 0);
    assert_int_equal(ac->reauthorized, 0);
    assert_int_equal(l->found[LEDGER_TWICE] + l->found[LEDGER_UNKNOWN], 0);
}

static void complete_it(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    struct keeper *k = s->ctx;

    (void)c;
    FwpsCompleteOperation0(k->contexts[0], NULL);
}

/* The closure comes before the flows' end, and its callout already completes into nothing. */
static void PEND_41_completed_in_the_closure_itself(void **state)
{
    struct driver_lab *l = *state;
    struct keeper *ac = keeper_at(l, "AC");
    struct driver_lab_script *closes = SCRIPT(l, .then = complete_it, .ctx = ac);
    const struct host_socket s = {.version = 4, .protocol = WIRE_PROTOCOL_UDP, .port = 4000};
    struct host_endpoint *e;

    driver_lab_callout(l, "EC", closes);
    assert_int_equal(host_bind(l->host.host, &s, &e), STATUS_SUCCESS);
    LAB_OUT(&l->host, .sport = 4000, .dport = 53);
    assert_int_equal(ac->pended, 1);
    host_close(l->host.host, e);
    assert_int_equal(closes->calls, 1);
    assert_int_equal(ac->reauthorized, 0);
}

static void PEND_43_not_at_flow_established(void **state)
{
    struct driver_lab *l = *state;
    struct keeper *k = keeper_at(l, "FE");

    LAB_OUT(&l->host, .sport = 4000, .dport = 53);
    assert_int_equal(k->statuses[0], STATUS_FWP_CANNOT_PEND);
    assert_int_equal(l->host.outcome.fate, HOST_PASSED);
}

static void PEND_45_not_where_classifies_are_pended(void **state)
{
    struct driver_lab *l = *state;
    struct keeper *cr = keeper_at(l, "CR"), *br = keeper_at(l, "BR"), *ec = keeper_at(l, "EC");

    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 443));
    LAB_IN(&l->host, TCP(WIRE_TCP_RST | WIRE_TCP_ACK), .sport = 443, .dport = 50000, .seq = 1, .ack = 2);
    host_lab_wait(&l->host, 1000);
    assert_int_equal(cr->statuses[0], STATUS_FWP_CANNOT_PEND);
    assert_int_equal(br->statuses[0], STATUS_FWP_CANNOT_PEND);
    assert_int_not_equal(ec->tried, 0);
    assert_int_equal(ec->statuses[0], STATUS_FWP_CANNOT_PEND);
}

static void PEND_46_a_failed_pend_pends_nothing(void **state)
{
    struct driver_lab *l = *state;
    struct keeper *k = keeper_at(l, "AC");

    k->use = (HANDLE)0x1234;
    k->decision = FWP_ACTION_BLOCK;
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 443));
    assert_int_equal(k->statuses[0], STATUS_FWP_NULL_POINTER);
    assert_int_equal(l->host.outcome.fate, HOST_BLOCKED);
    assert_non_null(strstr(l->host.seen, "AC_DISCARD"));
    assert_int_equal(ledger_open_count(ledger_current(), LEDGER_PENDED_OPERATION), 0);
}

static void a_second_completion_is_reported(void **state)
{
    struct driver_lab *l = *state;
    struct keeper *k = keeper_at(l, "AC");

    LAB_OUT(&l->host, .sport = 4000, .dport = 53);
    assert_int_equal(ledger_open_count(ledger_current(), LEDGER_PENDED_OPERATION), 1);
    complete(l, k, 0);
    assert_int_equal(l->found[LEDGER_TWICE], 0);
    complete(l, k, 0);
    assert_int_equal(l->found[LEDGER_TWICE], 1);
    FwpsCompleteOperation0((HANDLE)0x77, NULL);
    assert_int_equal(l->found[LEDGER_UNKNOWN], 1);
    assert_int_equal(k->reauthorized, 1);
}

/* As sources that follow the page write it: without a version. */
static void pend_unversioned(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    struct keeper *k = s->ctx;
    UINT32 flags = c->values->incomingValue[AC4_FIELD(FLAGS)].value.uint32;

    c->out->actionType = FWP_ACTION_PERMIT;
    if (flags & FWP_CONDITION_FLAG_IS_REAUTHORIZE)
        return;
    k->statuses[0] = FwpsPendOperation(c->metadata->completionHandle, &k->contexts[0]);
    c->out->actionType = FWP_ACTION_BLOCK;
    c->out->flags |= FWPS_CLASSIFY_OUT_FLAG_ABSORB;
}

static void PEND_49_as_the_header_names_them(void **state)
{
    struct driver_lab *l = *state;
    struct keeper k = {0};

    assert_ptr_equal((void *)FwpsPendOperation, (void *)FwpsPendOperation0);
    assert_ptr_equal((void *)FwpsCompleteOperation, (void *)FwpsCompleteOperation0);
    driver_lab_callout(l, "AC", SCRIPT(l, .then = pend_unversioned, .ctx = &k));
    LAB_OUT(&l->host, .sport = 4000, .dport = 53);
    assert_int_equal(k.statuses[0], STATUS_SUCCESS);
    FwpsCompleteOperation(k.contexts[0], NULL);
    LAB_OUT(&l->host, .sport = 4000, .dport = 53);
    assert_int_equal(l->host.outcome.fate, HOST_PASSED);
}

static void AUD_10_only_the_final_verdict_is_told(void **state)
{
    struct driver_lab *l = *state;
    struct keeper *k = keeper_at(l, "AC");
    FWPM_NET_EVENT_ENUM_TEMPLATE0 none = {0};
    FWPM_NET_EVENT5 **events;
    HANDLE h;
    UINT32 n;

    (void)none;
    k->decision = FWP_ACTION_BLOCK;
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 443));
    assert_int_equal(FwpmNetEventCreateEnumHandle0(l->engine, NULL, &h), STATUS_SUCCESS);
    assert_int_equal(FwpmNetEventEnum5(l->engine, h, 10, &events, &n), STATUS_SUCCESS);
    assert_int_equal(n, 0); /* the interim block was absorbed */
    FwpmFreeMemory0((void **)&events);
    FwpmNetEventDestroyEnumHandle0(l->engine, h);
    complete(l, k, 0);
    assert_int_equal(FwpmNetEventCreateEnumHandle0(l->engine, NULL, &h), STATUS_SUCCESS);
    assert_int_equal(FwpmNetEventEnum5(l->engine, h, 10, &events, &n), STATUS_SUCCESS);
    assert_int_equal(n, 1);
    assert_int_equal(events[0]->type, FWPM_NET_EVENT_TYPE_CLASSIFY_DROP);
    FwpmFreeMemory0((void **)&events);
    FwpmNetEventDestroyEnumHandle0(l->engine, h);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, driver_lab_setup, driver_lab_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(PEND_01_the_operation_waits),
        TEST(PEND_02_the_handle_is_that_classifys),
        TEST(PEND_03_where_there_is_a_handle),
        TEST(PEND_04_binds_listens_and_connects),
        TEST(PEND_05_accepts),
        TEST(PEND_06_which_status),
        TEST(PEND_07_only_the_first_authorization),
        TEST(PEND_09_reauthorizations_follow_the_packets_rules),
        TEST(PEND_16_up_to_dispatch_level),
        TEST(PEND_17_the_completion_asks_again),
        TEST(PEND_21_inside_the_completing_call),
        TEST(PEND_32_then_the_handshake_goes_on),
        TEST(PEND_35_a_refused_connect),
        TEST(PEND_36_each_datagram_is_asked_about),
        TEST(PEND_37_each_repeated_syn_is_asked_about),
        TEST(PEND_39_binds_and_listens_are_asked_again),
        TEST(PEND_40_bind_waits_and_may_be_refused),
        TEST(PEND_41_closed_while_it_waits),
        TEST(PEND_41_completed_in_the_closure_itself),
        TEST(PEND_43_not_at_flow_established),
        TEST(PEND_45_not_where_classifies_are_pended),
        TEST(PEND_46_a_failed_pend_pends_nothing),
        TEST(a_second_completion_is_reported),
        TEST(PEND_49_as_the_header_names_them),
        TEST(AUD_10_only_the_final_verdict_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
