/* SPDX-License-Identifier: Apache-2.0 */
/* Section 7: endpoints: bind, listen, closure, release; MATCH-23: sockets of both families. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "host_lab.h"

#define TCP(...) .protocol = WIRE_PROTOCOL_TCP, .tcp_flags = (__VA_ARGS__)
#define RES      FWPS_LAYER_ALE_RESOURCE_ASSIGNMENT_V4
#define RR       FWPS_LAYER_ALE_RESOURCE_RELEASE_V4
#define LIS      FWPS_LAYER_ALE_AUTH_LISTEN_V4
#define AC       FWPS_LAYER_ALE_AUTH_CONNECT_V4
#define RA       FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4
#define EC       FWPS_LAYER_ALE_ENDPOINT_CLOSURE_V4

static unsigned count(const struct host_lab *l, UINT16 layer_id)
{
    unsigned n = 0;

    for (unsigned i = 0; i < l->event_count; i++)
        n += l->events[i].layer_id == layer_id;
    return n;
}

static const struct host_lab_event *event(const struct host_lab *l, UINT16 layer_id)
{
    for (unsigned i = 0; i < l->event_count; i++)
        if (l->events[i].layer_id == layer_id)
            return &l->events[i];
    fail_msg("nothing was classified at layer %u: %s", layer_id, l->seen);
    return NULL;
}

static struct host_endpoint *bound(struct host_lab *l, uint8_t version, uint8_t protocol, UINT16 port)
{
    struct host_socket s = {
        .version = version, .protocol = protocol, .port = port, .dual_stack = version == 6};
    struct host_endpoint *e = NULL;

    assert_int_equal(host_bind(l->host, &s, &e), STATUS_SUCCESS);
    return e;
}

static int teardown(void **state)
{
    struct host_lab *l = *state;
    struct host_counts c;

    host_counts(l->host, &c);
    assert_int_equal(c.impossible, 0);
    return host_lab_teardown(state);
}

static void ALE_30_one_a_bind_one_a_listen(void **state)
{
    struct host_lab *l = *state;
    struct host_endpoint *e;

    host_lab_reset(l);
    e = bound(l, 4, WIRE_PROTOCOL_TCP, 80);
    assert_int_equal(count(l, RES), 1);
    assert_false(event(l, RES)->flags & FWP_CONDITION_FLAG_IS_IMPLICIT_BIND);
    assert_true(event(l, RES)->flags & FWP_CONDITION_FLAG_IS_WILDCARD_BIND);
    assert_int_equal(host_listen(l->host, e), STATUS_SUCCESS);
    assert_int_equal(count(l, LIS), 1);
    host_lab_reset(l);
    assert_int_equal(host_reclassify(l->host, e), STATUS_SUCCESS);
    assert_string_equal(l->seen, "RES(RECLASSIFY) LIS(RECLASSIFY)");
    assert_true(event(l, RES)->flags & FWP_CONDITION_FLAG_IS_RECLASSIFY);
    LAB_OUT(l, .sport = 4000, .dport = 53); /* implied by a send */
    assert_int_equal(count(l, RES), 1);
    assert_true(event(l, RES)->flags & FWP_CONDITION_FLAG_IS_IMPLICIT_BIND);
    LAB_OUT(l, .sport = 4000, .dport = 54);
    assert_int_equal(count(l, RES), 0);
    LAB_IN(l, TCP(WIRE_TCP_SYN), .sport = 50000, .dport = 81); /* implied by what comes */
    assert_int_equal(count(l, RES), 1);
    assert_int_equal(count(l, LIS), 1);
    assert_false(event(l, RES)->flags & FWP_CONDITION_FLAG_IS_IMPLICIT_BIND);
    LAB_IN(l, TCP(WIRE_TCP_SYN), .sport = 50001, .dport = 81);
    assert_int_equal(count(l, RES) + count(l, LIS), 0);
    host_close(l->host, e);
}

static void ALE_31_release_for_each_assignment(void **state)
{
    struct host_lab *l = *state;
    struct host_endpoint *e = bound(l, 4, WIRE_PROTOCOL_UDP, 4000), *refused;
    const struct host_socket s = {.version = 4, .protocol = WIRE_PROTOCOL_UDP, .port = 4001};
    UINT64 id = host_endpoint_id(e);

    assert_int_equal(host_reclassify(l->host, e), STATUS_SUCCESS); /* classified again, not assigned again */
    assert_int_equal(host_reclassify(l->host, e), STATUS_SUCCESS);
    host_lab_reset(l);
    host_close(l->host, e);
    assert_int_equal(count(l, RR), 1);
    assert_int_equal(event(l, RR)->endpoint_id, id);
    assert_true(event(l, RR)->metadata & FWPS_METADATA_FIELD_TRANSPORT_ENDPOINT_HANDLE);
    host_lab_rule(l, "block RES ip_local_port=4001");
    host_lab_reset(l);
    assert_int_equal(host_bind(l->host, &s, &refused), STATUS_ACCESS_DENIED);
    assert_null(refused);
    assert_int_equal(count(l, RES), 1);
    assert_int_equal(count(l, RR), 0);
}

static void ALE_32_closures(void **state)
{
    struct host_lab *l = *state;
    struct host_lab_tcp t = {.local = 50000, .remote = 443}, u = {.local = 80, .remote = 50001};
    struct host_endpoint *e, *listener;
    UINT64 parent, child;

    /* others: one an endpoint, whatever it did */
    e = bound(l, 4, WIRE_PROTOCOL_UDP, 4000);
    LAB_OUT(l, .sport = 4000, .dport = 53);
    LAB_OUT(l, .sport = 4000, .dport = 54);
    host_lab_reset(l);
    host_close(l->host, e);
    assert_int_equal(count(l, EC), 1);
    e = bound(l, 4, WIRE_PROTOCOL_UDP, 4000);
    host_lab_reset(l);
    host_close(l->host, e);
    assert_int_equal(count(l, EC), 1);
    /* TCP: none if it neither connected nor listened */
    e = bound(l, 4, WIRE_PROTOCOL_TCP, 90);
    host_lab_reset(l);
    host_close(l->host, e);
    assert_int_equal(count(l, EC), 0);
    assert_int_equal(count(l, RR), 1);
    /* one for who connected, though it was asked about again */
    host_lab_connect(l, &t);
    host_reauthorize(l->host, FWP_CONDITION_REAUTHORIZE_REASON_SOCKET_PROPERTY_CHANGED);
    host_lab_send(l, &t, "x");
    host_lab_segment(l, &t, false, WIRE_TCP_RST | WIRE_TCP_ACK, "");
    assert_int_equal(count(l, EC), 1);
    assert_int_equal(event(l, EC)->parent_id, 0);
    /* one for who was accepted, one for who listened */
    listener = bound(l, 4, WIRE_PROTOCOL_TCP, 80);
    assert_int_equal(host_listen(l->host, listener), STATUS_SUCCESS);
    parent = host_endpoint_id(listener);
    host_lab_segment(l, &u, false, WIRE_TCP_SYN, "");
    child = event(l, RA)->endpoint_id;
    assert_true(child != parent);
    assert_int_equal(event(l, RA)->parent_id, parent);
    u.in--; /* the SYN again */
    host_lab_segment(l, &u, false, WIRE_TCP_SYN, "");
    host_lab_segment(l, &u, true, WIRE_TCP_SYN | WIRE_TCP_ACK, "");
    host_lab_segment(l, &u, false, WIRE_TCP_ACK, "");
    host_lab_segment(l, &u, false, WIRE_TCP_RST | WIRE_TCP_ACK, "");
    assert_int_equal(count(l, EC), 1);
    assert_int_equal(event(l, EC)->endpoint_id, child);
    assert_int_equal(event(l, EC)->parent_id, parent);
    assert_true(event(l, EC)->metadata & FWPS_METADATA_FIELD_PARENT_ENDPOINT_HANDLE);
    host_lab_reset(l);
    host_close(l->host, listener);
    assert_int_equal(count(l, EC), 1);
    assert_int_equal(event(l, EC)->endpoint_id, parent);
}

struct order {
    char text[64];
};
static void closure_seen(struct host_lab *l, const struct host_event *e)
{
    struct order *o = l->ctx;

    const UINT16 id = e->layer->id;

    if (id == EC || id == RR || id == FWPS_LAYER_STREAM_V4)
        strcat(o->text, id == EC ? "EC " : id == RR ? "RR " : "ST ");
}
static struct order *order_now;
static void NTAPI context_deleted(UINT16 layer_id, UINT32 callout_id, UINT64 context)
{
    (void)layer_id;
    (void)callout_id;
    (void)context;
    strcat(order_now->text, "delete ");
}

static void ALE_33_order_at_close(void **state)
{
    struct host_lab *l = *state;
    struct engine_callout c = {.key = {.Data1 = 5},
                               .id = 900,
                               .layer_id = FWPS_LAYER_OUTBOUND_TRANSPORT_V4,
                               .flow_delete = context_deleted};
    struct host_lab_tcp t = {.local = 50000, .remote = 443};
    struct order o = {""};
    struct host_endpoint *e;

    c.classify.v0 = (FWPS_CALLOUT_CLASSIFY_FN0)(uintptr_t)1; /* stands in no filter */
    assert_int_equal(engine_callout_register(l->engine, &c), 0);
    l->on_event = closure_seen;
    l->ctx = order_now = &o;
    host_lab_connect(l, &t);
    assert_int_equal(host_flow_associate(l->host, l->outcome.flow_id, c.layer_id, 900, 1), STATUS_SUCCESS);
    host_lab_segment(l, &t, true, WIRE_TCP_FIN | WIRE_TCP_ACK, "");
    host_lab_segment(l, &t, false, WIRE_TCP_FIN | WIRE_TCP_ACK, "");
    host_lab_segment(l, &t, true, WIRE_TCP_ACK, "");
    assert_string_equal(o.text, "ST ST EC delete RR ");
    e = bound(l, 4, WIRE_PROTOCOL_UDP, 4000);
    LAB_OUT(l, .sport = 4000, .dport = 53);
    assert_int_equal(host_flow_associate(l->host, l->outcome.flow_id, c.layer_id, 900, 1), STATUS_SUCCESS);
    o.text[0] = '\0';
    host_close(l->host, e);
    assert_string_equal(o.text, "EC delete RR ");
    LAB_OUT(l, .sport = 4100, .dport = 53);
    assert_int_equal(host_flow_associate(l->host, l->outcome.flow_id, c.layer_id, 900, 1), STATUS_SUCCESS);
    o.text[0] = '\0';
    host_shutdown(l->host);
    assert_string_equal(o.text, "EC delete RR ");
    assert_int_equal(engine_callout_unregister(l->engine, &c.key), 0);
}

static void ALE_34_closure_of_what_was_refused(void **state)
{
    struct host_lab *l = *state;

    host_lab_rule(l, "block AC ip_remote_port=443");
    host_lab_rule(l, "block RA ip_local_port=80");
    host_lab_rule(l, "block RES ip_local_port=4000");
    LAB_OUT(l, TCP(WIRE_TCP_SYN), .sport = 50000, .dport = 443, .seq = 100);
    assert_int_equal(count(l, EC), 1);
    assert_int_equal(count(l, RR), 1); /* its bind had succeeded */
    LAB_IN(l, TCP(WIRE_TCP_SYN), .sport = 50001, .dport = 80, .seq = 100);
    assert_int_equal(count(l, EC), 1);
    assert_int_equal(count(l, RR), 0); /* it never bound */
    LAB_IN(l, TCP(WIRE_TCP_SYN), .sport = 50001, .dport = 80, .seq = 100);
    assert_int_equal(count(l, RA), 1);
    assert_int_equal(count(l, EC), 0); /* the same SYN */
    LAB_IN(l, TCP(WIRE_TCP_SYN), .sport = 50001, .dport = 80, .seq = 9000);
    assert_int_equal(count(l, EC), 1);
    LAB_OUT(l, TCP(WIRE_TCP_SYN), .sport = 4000, .dport = 22);
    assert_int_equal(count(l, EC) + count(l, RR), 0);
    host_lab_reset(l);
    host_shutdown(l->host); /* nor later */
    for (unsigned i = 0; i < l->event_count; i++)
        assert_true(l->events[i].layer_id != RR || l->events[i].flow_id == 0);
}

/* ---- both families ----------------------------------------------------------------------------------------
 */

static void MATCH_23_sockets_of_both_families(void **state)
{
    struct host_config c = {.knobs.mapped_v6 = false};

    (void)state;
    for (int mapped = 0; mapped < 2; mapped++) {
        struct host_lab l;
        struct host_endpoint *e, *listener;
        const UINT16 traffic_ac = mapped ? FWPS_LAYER_ALE_AUTH_CONNECT_V6 : AC,
                     traffic_ra = mapped ? FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V6 : RA;

        c.knobs.mapped_v6 = mapped;
        c.knobs.redirect_block_enforced = true;
        host_lab_open(&l, &c);
        host_lab_rule(&l, "block CR6 ip_remote_address=::ffff:10.0.0.9");
        host_lab_reset(&l);
        e = bound(&l, 6, WIRE_PROTOCOL_UDP, 4000);
        assert_int_equal(count(&l, FWPS_LAYER_ALE_RESOURCE_ASSIGNMENT_V6), 1);
        assert_int_equal(count(&l, FWPS_LAYER_ALE_BIND_REDIRECT_V6), 1);
        listener = bound(&l, 6, WIRE_PROTOCOL_TCP, 80);
        assert_int_equal(host_listen(l.host, listener), STATUS_SUCCESS);
        assert_int_equal(count(&l, FWPS_LAYER_ALE_AUTH_LISTEN_V6), 1);
        LAB_OUT(&l, .sport = 4000, .dport = 53);
        assert_int_equal(l.outcome.fate, HOST_PASSED);
        assert_int_equal(count(&l, FWPS_LAYER_ALE_CONNECT_REDIRECT_V6), 1);
        assert_int_equal(count(&l, FWPS_LAYER_ALE_CONNECT_REDIRECT_V4), 0);
        assert_int_equal(count(&l, traffic_ac), 1);
        assert_int_equal(count(&l, RES), 0); /* it is that socket */
        assert_int_equal(event(&l, traffic_ac)->endpoint_id, host_endpoint_id(e));
        assert_int_equal(count(&l, FWPS_LAYER_OUTBOUND_TRANSPORT_V4), 1);
        LAB_OUT(&l, .sport = 4000, .dst = "10.0.0.9", .dport = 53); /* mapped there */
        assert_int_equal(l.outcome.fate, HOST_BLOCKED);
        LAB_IN(&l, TCP(WIRE_TCP_SYN), .sport = 50000, .dport = 80);
        assert_int_equal(count(&l, traffic_ra), 1);
        assert_int_equal(event(&l, traffic_ra)->parent_id, host_endpoint_id(listener));
        LAB_OUT(&l, .src = "fd00::1", .dst = "fd00::2", .sport = 4000, .dport = 53);
        assert_int_equal(count(&l, FWPS_LAYER_ALE_AUTH_CONNECT_V6), 1);
        host_close(l.host, e);
        host_close(l.host, listener);
        host_lab_close(&l);
    }
}

static void list_one(void *ctx, const struct host_endpoint_info *e)
{
    snprintf((char *)ctx + strlen(ctx), 64, "%u:%u%s ", e->protocol, e->local_port, e->listening ? "L" : "");
}

/* Implied endpoints do not stay for ever, and there are never more than the limit. */
static void ALE_endpoints_go(void **state)
{
    struct host_config c = {.limits.endpoints = 8};
    struct host_lab l;
    struct host_counts n;
    char text[256] = "";

    (void)state;
    host_lab_open(&l, &c);
    LAB_OUT(&l, .sport = 4000, .dport = 53);
    LAB_IN(&l, TCP(WIRE_TCP_SYN), .sport = 50000, .dport = 80);
    host_endpoints(l.host, list_one, text);
    assert_string_equal(text, "17:4000 6:80L 6:80 ");
    host_lab_wait(&l, 61000);
    assert_null(strstr(l.seen, "RR"));
    host_lab_wait(&l, 601000);
    assert_non_null(strstr(l.seen, "RR"));
    for (UINT16 i = 0; i < 40; i++) {
        LAB_OUT(&l, .sport = 5000 + i, .dport = 53);
        assert_int_equal(l.outcome.fate, HOST_PASSED);
        host_counts(l.host, &n);
        assert_true(n.endpoints_live <= 8);
    }
    host_lab_close(&l);
}

/* Connections that began before anybody looked. */
static void ALE_32_begun_before_the_capture(void **state)
{
    struct host_lab *l = *state;

    LAB_OUT(l, .protocol = WIRE_PROTOCOL_TCP, .tcp_flags = WIRE_TCP_ACK, .sport = 50000, .dport = 443,
            .seq = 100, .ack = 7);
    assert_null(strstr(l->seen, "RES"));
    assert_null(strstr(l->seen, "FE"));
    LAB_IN(l, .protocol = WIRE_PROTOCOL_TCP, .tcp_flags = WIRE_TCP_RST, .sport = 443, .dport = 50000,
           .seq = 7);
    assert_string_equal(l->seen, "II IT SPK ST EC RR"); /* its socket had been bound, and had connected */
    LAB_IN(l, .protocol = WIRE_PROTOCOL_TCP, .tcp_flags = WIRE_TCP_ACK, .sport = 50001, .dport = 80,
           .seq = 100, .ack = 7);
    assert_true(l->flow.mid_stream);
    assert_true(l->flow.inbound);
    LAB_IN(l, .protocol = WIRE_PROTOCOL_TCP, .tcp_flags = WIRE_TCP_RST, .sport = 50001, .dport = 80,
           .seq = 100);
    assert_string_equal(l->seen, "II IT SPK ST EC"); /* an accepted one was assigned nothing itself */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, host_lab_setup, teardown)
        T(ALE_30_one_a_bind_one_a_listen),
        T(ALE_31_release_for_each_assignment),
        T(ALE_32_closures),
        T(ALE_32_begun_before_the_capture),
        T(ALE_33_order_at_close),
        T(ALE_34_closure_of_what_was_refused),
        T(MATCH_23_sockets_of_both_families),
        T(ALE_endpoints_go),
#undef T
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
