/* SPDX-License-Identifier: Apache-2.0 */
/* Section 7: reauthorization, and OBJ-40. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "host_lab.h"

#define TCP(...)     .protocol = WIRE_PROTOCOL_TCP, .tcp_flags = (__VA_ARGS__)
#define REASON(name) FWP_CONDITION_REAUTHORIZE_REASON_##name

static const struct host_lab_event *reauthorization(const struct host_lab *l)
{
    for (unsigned i = 0; i < l->event_count; i++)
        if (l->events[i].flags & FWP_CONDITION_FLAG_IS_REAUTHORIZE &&
            l->events[i].cause != HOST_CAUSE_DISCARD)
            return &l->events[i];
    return NULL;
}

static bool asked_again(const struct host_lab *l)
{
    return reauthorization(l) != NULL;
}

static void assert_fate(const struct host_lab *l, enum host_fate fate, enum host_note note)
{
    assert_string_equal(host_fate_name(l->outcome.fate), host_fate_name(fate));
    assert_string_equal(host_note_words(l->outcome.note), host_note_words(note));
}

static int teardown(void **state)
{
    struct host_lab *l = *state;
    struct host_counts c;

    host_counts(l->host, &c);
    assert_int_equal(c.impossible, 0);
    return host_lab_teardown(state);
}

static void out(struct host_lab *l)
{
    LAB_OUT(l, .sport = 4000, .dport = 53);
}
static void in(struct host_lab *l)
{
    LAB_IN(l, .sport = 4000, .dport = 80);
}

static void OBJ_40_any_change_of_the_layer_marks_its_flows(void **state)
{
    struct host_lab *l = *state;
    UINT64 id;

    out(l);
    in(l);
    LAB_OUT(l, .src = "fd00::1", .dst = "fd00::2", .sport = 4000, .dport = 53);
    id = host_lab_rule(l, "permit AC ip_remote_port=9"); /* not about this flow */
    out(l);
    assert_true(asked_again(l));
    in(l);
    assert_false(asked_again(l)); /* another layer's */
    LAB_OUT(l, .src = "fd00::1", .dst = "fd00::2", .sport = 4000, .dport = 53);
    assert_false(asked_again(l)); /* another family's */
    host_lab_remove(l, "AC", id);
    out(l);
    assert_true(asked_again(l));
    host_lab_rule(l, "permit RA ip_remote_port=9");
    in(l);
    assert_true(asked_again(l));
    out(l);
    assert_false(asked_again(l));
    host_lab_rule(l, "permit AC6 ip_remote_port=9");
    LAB_OUT(l, .src = "fd00::1", .dst = "fd00::2", .sport = 4000, .dport = 53);
    assert_true(asked_again(l));
    host_lab_rule(l, "permit OT ip_remote_port=9"); /* no layer that authorizes */
    out(l);
    assert_false(asked_again(l));
    in(l);
    assert_false(asked_again(l));
}

static void ALE_21_triggers(void **state)
{
    const struct host_interface_desc second = {
        .name = "second", .luid = 9, .index = 7, .type = 6, .weak_host_receive = true};
    struct host_lab *l = *state;
    struct packet p = {.sport = 4000, .dport = 80, .src = "10.0.0.2", .dst = "10.0.0.1"};
    uint8_t frame[256];
    size_t n = packet_build(&p, frame, sizeof(frame));

    assert_int_equal(host_interface_add(l->host, &second), 0);
    in(l);
    host_lab_rule(l, "permit RA ip_remote_port=9");
    in(l);
    assert_int_equal(reauthorization(l)->reasons, REASON(POLICY_CHANGE));
    in(l);
    assert_false(asked_again(l));
    host_lab_bytes(l, HOST_WAY_IN, WIRE_LINK_ETHERNET, frame, n, n, 7);
    assert_true(asked_again(l));
    assert_int_equal(reauthorization(l)->reasons, REASON(NEW_ARRIVAL_INTERFACE));
    host_lab_bytes(l, HOST_WAY_IN, WIRE_LINK_ETHERNET, frame, n, n, 7);
    assert_false(asked_again(l));
}

static void ALE_22_reasons(void **state)
{
    static const UINT32 reasons[] = {
        REASON(POLICY_CHANGE),         REASON(PROFILE_CROSSING),        REASON(IPSEC_PROPERTIES_CHANGED),
        REASON(MID_STREAM_INSPECTION), REASON(SOCKET_PROPERTY_CHANGED), REASON(EDP_POLICY_CHANGED),
        REASON(PROXY_HANDLE_CHANGED)};
    struct host_lab *l = *state;
    const struct host_lab_event *e;

    out(l);
    in(l);
    LAB_IN(l, .dst = "239.1.2.3", .sport = 4000, .dport = 80);
    for (unsigned i = 0; i < sizeof(reasons) / sizeof(*reasons); i++) {
        host_reauthorize(l->host, reasons[i]);
        out(l);
        e = reauthorization(l);
        assert_non_null(e);
        assert_int_equal(e->reasons, reasons[i]);
        in(l);
        e = reauthorization(l);
        assert_non_null(e);
        assert_int_equal(e->reasons, reasons[i]);
        LAB_IN(l, .dst = "239.1.2.3", .sport = 4000, .dport = 80);
        out(l);
        assert_false(asked_again(l));
    }
    host_reauthorize(l->host, REASON(EDP_POLICY_CHANGED) | REASON(SOCKET_PROPERTY_CHANGED)); /* they add up */
    out(l);
    assert_int_equal(reauthorization(l)->reasons,
                     REASON(EDP_POLICY_CHANGED) | REASON(SOCKET_PROPERTY_CHANGED));
    in(l);
    LAB_IN(l, .dst = "239.1.2.3", .sport = 4000, .dport = 80);
    host_reauthorize(l->host, REASON(NEW_INBOUND_MCAST_BCAST_PACKET)); /* RA only */
    out(l);
    assert_false(asked_again(l));
    LAB_IN(l, .dst = "239.1.2.3", .sport = 4000, .dport = 80);
    assert_int_equal(reauthorization(l)->reasons, REASON(NEW_INBOUND_MCAST_BCAST_PACKET));
    host_set_profile(l->host, 1, 2);
    out(l);
    assert_int_equal(reauthorization(l)->reasons, REASON(PROFILE_CROSSING));
    host_set_profile(l->host, 2, 1); /* another interface's */
    out(l);
    assert_false(asked_again(l));
}

static void ALE_23_lazily_at_its_own_layer(void **state)
{
    struct host_lab *l = *state;
    const struct host_lab_event *e;

    for (int way = 0; way < 2; way++) {
        out(l);
        in(l);
        host_lab_reset(l);
        host_lab_rule(l, "permit AC ip_remote_port=9");
        host_lab_rule(l, "permit RA ip_remote_port=9");
        assert_string_equal(l->seen, ""); /* not before a packet comes */
        if (way)
            LAB_IN(l, .sport = 53, .dport = 4000);
        else
            out(l);
        e = reauthorization(l);
        assert_int_equal(e->layer_id, FWPS_LAYER_ALE_AUTH_CONNECT_V4);
        assert_true(e->has_packet);
        if (way)
            LAB_OUT(l, .sport = 80, .dport = 4000);
        else
            in(l);
        e = reauthorization(l);
        assert_int_equal(e->layer_id, FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4);
        out(l);
        assert_false(asked_again(l)); /* once */
        in(l);
        assert_false(asked_again(l));
    }
}

static void ALE_26_a_blocked_one_ends_the_flow(void **state)
{
    struct host_lab *l = *state;
    struct host_lab_tcp t = {.local = 50000, .remote = 443};
    UINT64 udp, tcp, block;

    out(l);
    udp = l->outcome.flow_id;
    host_lab_connect(l, &t);
    tcp = l->outcome.flow_id;
    block = host_lab_rule(l, "block AC");
    out(l);
    assert_fate(l, HOST_BLOCKED, HOST_NOTE_NONE);
    assert_string_equal(l->seen, "AC(REAUTH) AC_DISCARD(POLICY)");
    assert_string_equal(l->flows, "deleted(refused)");
    assert_int_equal(l->flow.id, udp);
    host_lab_send(l, &t, "late");
    assert_fate(l, HOST_BLOCKED, HOST_NOTE_NONE);
    assert_int_equal(l->flow.id, tcp);
    assert_non_null(strstr(l->flows, "deleted(refused)"));
    assert_non_null(strstr(l->seen, "EC"));
    host_lab_remove(l, "AC", block);
    out(l); /* a flow like any other */
    assert_fate(l, HOST_PASSED, HOST_NOTE_NONE);
    assert_false(asked_again(l));
    assert_non_null(strstr(l->flows, "created authorized"));
    host_lab_receive(l, &t, "of a connection that was aborted");
    assert_fate(l, HOST_CONSEQUENCE, HOST_NOTE_ENDED_FLOW);
    t.out = 7000000;
    t.in = 9000000;
    host_lab_connect(l, &t);
    assert_fate(l, HOST_PASSED, HOST_NOTE_NONE);
    assert_true(l->outcome.flow_id != tcp);
}

static void ALE_27_absorbed_asks_again(void **state)
{
    struct host_lab *l = *state;
    struct host_lab_callout c = {.action = FWP_ACTION_PERMIT};
    UINT64 id;

    host_lab_callout(l, "AC", &c);
    out(l);
    id = l->outcome.flow_id;
    host_reauthorize(l->host, REASON(SOCKET_PROPERTY_CHANGED));
    host_lab_rule(l, "permit AC ip_remote_port=9");
    c.action = FWP_ACTION_BLOCK;
    c.clear_write = true;
    c.flags = FWPS_CLASSIFY_OUT_FLAG_ABSORB;
    for (int i = 0; i < 3; i++) { /* each of them is dropped, and asks */
        out(l);
        assert_fate(l, HOST_ABSORBED, HOST_NOTE_NONE);
        assert_int_equal(reauthorization(l)->reasons,
                         REASON(POLICY_CHANGE) | REASON(SOCKET_PROPERTY_CHANGED));
        assert_null(strstr(l->seen, "AC_DISCARD"));
        assert_string_equal(l->flows, "");
    }
    c.action = FWP_ACTION_PERMIT;
    c.flags = 0;
    out(l);
    assert_true(asked_again(l));
    assert_fate(l, HOST_PASSED, HOST_NOTE_NONE);
    out(l);
    assert_false(asked_again(l));
    assert_int_equal(l->outcome.flow_id, id); /* the same flow all the time */
}

static void ALE_28_only_there_and_not_on_a_strong_host(void **state)
{
    const struct host_interface_desc strong = {.name = "strong", .luid = 9, .index = 7, .type = 6},
                                     weak = {.name = "weak",
                                             .luid = 10,
                                             .index = 8,
                                             .type = 6,
                                             .weak_host_receive = true,
                                             .weak_host_send = true};
    struct host_lab *l = *state;
    struct packet p = {.sport = 4000, .dport = 80, .src = "10.0.0.2", .dst = "10.0.0.1"},
                  q = {.sport = 4000, .dport = 53, .src = "10.0.0.1", .dst = "10.0.0.2"};
    uint8_t inbound[256], outbound[256];
    size_t n = packet_build(&p, inbound, sizeof(inbound)), m = packet_build(&q, outbound, sizeof(outbound));

    assert_int_equal(host_interface_add(l->host, &strong), 0);
    assert_int_equal(host_interface_add(l->host, &weak), 0);
    in(l);
    out(l);
    host_lab_bytes(l, HOST_WAY_IN, WIRE_LINK_ETHERNET, inbound, n, n, 7);
    assert_false(asked_again(l));
    host_lab_bytes(l, HOST_WAY_OUT, WIRE_LINK_ETHERNET, outbound, m, m, 7);
    assert_false(asked_again(l));
    host_lab_bytes(l, HOST_WAY_IN, WIRE_LINK_ETHERNET, inbound, n, n, 8);
    assert_int_equal(reauthorization(l)->reasons, REASON(NEW_ARRIVAL_INTERFACE));
    host_lab_bytes(l, HOST_WAY_OUT, WIRE_LINK_ETHERNET, outbound, m, m, 8);
    assert_int_equal(reauthorization(l)->reasons, REASON(NEW_NEXTHOP_INTERFACE));
    /* at AC and RA alone, whatever changes */
    host_reauthorize(l->host, UINT32_MAX);
    host_lab_rule(l, "permit RES ip_local_port=9");
    host_lab_rule(l, "permit LIS ip_local_port=9");
    host_lab_rule(l, "permit FE ip_local_port=9");
    host_lab_rule(l, "permit DD ip_local_port=9");
    out(l);
    for (unsigned i = 0; i < l->event_count; i++)
        if (l->events[i].flags & FWP_CONDITION_FLAG_IS_REAUTHORIZE)
            assert_int_equal(l->events[i].layer_id, FWPS_LAYER_ALE_AUTH_CONNECT_V4);
    assert_true(asked_again(l));
}

/* What the capture did not see begin was authorized by somebody's policy, and is asked again under this. */
static void ALE_adopted(void **state)
{
    struct host_lab *l = *state;
    const struct host_lab_event *e;

    LAB_IN(l, TCP(WIRE_TCP_ACK), .sport = 443, .dport = 50000, .seq = 5, .ack = 6);
    e = reauthorization(l);
    assert_int_equal(e->layer_id, FWPS_LAYER_ALE_AUTH_CONNECT_V4);
    assert_int_equal(e->reasons, REASON(POLICY_CHANGE));
    assert_null(strstr(l->seen, "FE"));
    assert_null(strstr(l->seen, "RES"));
    assert_true(l->flow.mid_stream);
    LAB_IN(l, TCP(WIRE_TCP_ACK), .sport = 50001, .dport = 80, .seq = 5, .ack = 6);
    assert_int_equal(reauthorization(l)->layer_id, FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4);
    host_lab_rule(l, "block AC ip_remote_port=22");
    LAB_OUT(l, TCP(WIRE_TCP_ACK | WIRE_TCP_PSH), .sport = 50002, .dport = 22, .seq = 5, .ack = 6);
    assert_fate(l, HOST_BLOCKED, HOST_NOTE_NONE);
    LAB_IN(l, TCP(WIRE_TCP_ACK), .sport = 22, .dport = 50002, .seq = 6, .ack = 6);
    assert_fate(l, HOST_CONSEQUENCE, HOST_NOTE_ENDED_FLOW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, host_lab_setup, teardown)
        T(OBJ_40_any_change_of_the_layer_marks_its_flows),
        T(ALE_21_triggers),
        T(ALE_22_reasons),
        T(ALE_23_lazily_at_its_own_layer),
        T(ALE_26_a_blocked_one_ends_the_flow),
        T(ALE_27_absorbed_asks_again),
        T(ALE_28_only_there_and_not_on_a_strong_host),
        T(ALE_adopted),
#undef T
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
