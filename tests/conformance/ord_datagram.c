/* SPDX-License-Identifier: Apache-2.0 */
/* Section 8: the order of layers of UDP, ICMP and other datagrams. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "host_lab.h"

static struct host_endpoint *bound(struct host_lab *l, UINT16 port)
{
    struct host_socket s = {.version = 4, .protocol = WIRE_PROTOCOL_UDP, .port = port};
    struct host_endpoint *e = NULL;

    assert_int_equal(host_bind(l->host, &s, &e), STATUS_SUCCESS);
    return e;
}

static void assert_fate(const struct host_lab *l, enum host_fate fate, enum host_note note)
{
    assert_string_equal(host_fate_name(l->outcome.fate), host_fate_name(fate));
    assert_string_equal(host_note_words(l->outcome.note), host_note_words(note));
}

static void ORD_09_datagram_out(void **state)
{
    struct host_lab *l = *state;

    LAB_OUT(l, .sport = 50000, .dport = 53);
    assert_string_equal(l->seen, "BR RES CR AC FE DD OT OI");
    LAB_OUT(l, .sport = 50000, .dport = 53);
    assert_string_equal(l->seen, "DD OT OI");
    LAB_IN(l, .sport = 53, .dport = 50000);
    assert_string_equal(l->seen, "II IT DD");
    /* the same socket, somebody else: another flow */
    LAB_OUT(l, .sport = 50000, .dport = 54);
    assert_string_equal(l->seen, "CR AC FE DD OT OI");
    /* protocols without ports likewise */
    LAB_OUT(l, .protocol = 47, .data = "x");
    assert_string_equal(l->seen, "BR RES CR AC FE DD OT OI");
    LAB_OUT(l, .protocol = 47, .data = "x");
    assert_string_equal(l->seen, "DD OT OI");
}

static void ORD_09_raw_socket(void **state)
{
    struct host_lab *l = *state;
    struct host_socket s = {.version = 4, .protocol = WIRE_PROTOCOL_TCP, .raw = true};
    struct host_endpoint *e = NULL;

    assert_int_equal(host_bind(l->host, &s, &e), STATUS_SUCCESS);
    LAB_OUT(l, .protocol = WIRE_PROTOCOL_TCP, .tcp_flags = WIRE_TCP_SYN, .sport = 50000, .dport = 80);
    assert_non_null(strstr(l->seen, "CR AC FE DD OT OI"));
    LAB_OUT(l, .protocol = WIRE_PROTOCOL_TCP, .tcp_flags = WIRE_TCP_ACK, .sport = 50000, .dport = 80);
    assert_string_equal(l->seen, "DD OT OI");
    host_close(l->host, e);
}

static void ORD_10_datagram_in(void **state)
{
    struct host_lab *l = *state;
    struct host_endpoint *e = bound(l, 53);

    LAB_IN(l, .sport = 40000, .dport = 53);
    assert_string_equal(l->seen, "II IT(ALE) RA FE DD");
    LAB_IN(l, .sport = 40000, .dport = 53);
    assert_string_equal(l->seen, "II IT DD");
    LAB_OUT(l, .sport = 53, .dport = 40000);
    assert_string_equal(l->seen, "DD OT OI");
    LAB_IN(l, .sport = 40001, .dport = 53);
    assert_string_equal(l->seen, "II IT(ALE) RA FE DD");
    host_close(l->host, e);
}

static void ORD_11_reauthorized_datagram_in(void **state)
{
    struct host_lab *l = *state;
    struct host_endpoint *e = bound(l, 53);

    LAB_IN(l, .sport = 40000, .dport = 53);
    LAB_OUT(l, .sport = 50000, .dport = 54);
    host_lab_rule(l, "permit RA");
    host_lab_rule(l, "permit AC");
    LAB_IN(l, .sport = 40000, .dport = 53);
    assert_string_equal(l->seen, "II IT(ALE) RA(REAUTH) DD");
    LAB_IN(l, .sport = 40000, .dport = 53);
    assert_string_equal(l->seen, "II IT DD");
    LAB_IN(l, .sport = 54, .dport = 50000);
    assert_string_equal(l->seen, "II IT(ALE) AC(REAUTH) DD");
    host_lab_rule(l, "block RA");
    LAB_IN(l, .sport = 40000, .dport = 53);
    assert_string_equal(l->seen, "II IT(ALE) RA(REAUTH) RA_DISCARD(POLICY)");
    assert_fate(l, HOST_BLOCKED, HOST_NOTE_NONE);
    host_close(l->host, e);
}

static void ORD_12_closed_port(void **state)
{
    struct host_lab *l = *state;
    struct packet asked = {.src = "10.0.0.2", .dst = "10.0.0.1", .sport = 40000, .dport = 81, .fill = 8};
    struct packet unreachable = {
        .protocol = WIRE_PROTOCOL_ICMP, .icmp_type = 3, .icmp_code = 3, .quotes = &asked};

    l->closed[l->closed_count++] = 81;
    host_lab_packet(l, HOST_WAY_IN, &asked);
    assert_string_equal(l->seen, "II II_DISCARD(PortUnreachable)");
    assert_fate(l, HOST_STACK, HOST_NOTE_NONE);
    assert_int_equal(l->outcome.module, FWPS_DISCARD_MODULE_NETWORK);
    assert_int_equal(l->outcome.reason, IpDiscardPortUnreachable);
    host_lab_packet(l, HOST_WAY_OUT, &unreachable);
    assert_string_equal(l->seen, "OIE OT OI");
    assert_fate(l, HOST_PASSED, HOST_NOTE_NONE);
    host_lab_rule(l, "block II_DISCARD ip_remote_address=10.0.0.2");
    host_lab_packet(l, HOST_WAY_IN, &asked);
    assert_string_equal(l->seen, "II II_DISCARD(PortUnreachable)");
    host_lab_packet(l, HOST_WAY_OUT, &unreachable);
    assert_string_equal(l->seen, "");
    assert_fate(l, HOST_CONSEQUENCE, HOST_NOTE_SILENCED);
    /* an error about something else is not concerned */
    asked.sport = 40001;
    host_lab_packet(l, HOST_WAY_OUT, &unreachable);
    assert_string_equal(l->seen, "OIE OT OI");
}

static UINT16 type_seen, code_seen;

static void note_type(struct host_lab *l, const struct host_event *e)
{
    int type = engine_layer_field(e->layer, &FWPM_CONDITION_IP_LOCAL_PORT);
    int code = engine_layer_field(e->layer, &FWPM_CONDITION_IP_REMOTE_PORT);

    (void)l;
    if (e->layer->id != FWPS_LAYER_ALE_AUTH_CONNECT_V4 && e->layer->id != FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4)
        return;
    engine_request_complete(e->request);
    type_seen = e->request->values->incomingValue[type].value.uint16;
    code_seen = e->request->values->incomingValue[code].value.uint16;
}

static void ORD_13_echo(void **state)
{
    struct host_lab *l = *state;
    struct packet ask = {.protocol = WIRE_PROTOCOL_ICMP, .icmp_type = 8, .icmp_id = 7, .icmp_seq = 1};
    struct packet answer = {.protocol = WIRE_PROTOCOL_ICMP, .icmp_type = 0, .icmp_id = 7, .icmp_seq = 1};
    struct packet stamp = {.protocol = WIRE_PROTOCOL_ICMP, .icmp_type = 13, .icmp_code = 5};

    l->on_event = note_type;
    host_lab_packet(l, HOST_WAY_OUT, &ask);
    assert_string_equal(l->seen, "BR RES CR AC FE DD OT OI");
    assert_int_equal(type_seen, 8);
    host_lab_packet(l, HOST_WAY_IN, &answer);
    assert_string_equal(l->seen, "II IT DD");
    ask.icmp_id = answer.icmp_id = 8; /* the other way */
    host_lab_packet(l, HOST_WAY_IN, &ask);
    assert_string_equal(l->seen, "II IT(ALE) RA FE DD");
    assert_int_equal(type_seen, 8);
    assert_int_equal(code_seen, 0);
    host_lab_packet(l, HOST_WAY_OUT, &answer);
    assert_string_equal(l->seen, "DD OT OI");
    host_lab_packet(l, HOST_WAY_IN, &stamp);
    assert_non_null(strstr(l->seen, "RA FE DD"));
    assert_int_equal(type_seen, 13);
    assert_int_equal(code_seen, 5);
}

static void ORD_13_errors(void **state)
{
    struct host_lab *l = *state;
    struct packet asked = {.src = "10.0.0.1", .dst = "10.0.0.2", .sport = 50000, .dport = 53, .fill = 8};
    struct packet refused = {.src = "10.0.0.1", .dst = "10.0.0.2", .sport = 50001, .dport = 54, .fill = 8};
    struct packet error = {.protocol = WIRE_PROTOCOL_ICMP, .icmp_type = 3, .icmp_code = 3, .quotes = &asked};
    UINT64 flow;

    host_lab_packet(l, HOST_WAY_OUT, &asked);
    flow = l->outcome.flow_id;
    assert_true(flow != 0);
    host_lab_packet(l, HOST_WAY_IN, &error);
    assert_string_equal(l->seen, "II IT IIE");
    assert_true(l->outcome.flow_id == flow); /* of the packet it quotes */
    host_lab_rule(l, "block IIE");
    host_lab_packet(l, HOST_WAY_IN, &error);
    assert_string_equal(l->seen, "II IT IIE IIE_DISCARD(POLICY)");
    assert_fate(l, HOST_BLOCKED, HOST_NOTE_NONE);
    /* about what never left: it never came */
    host_lab_rule(l, "block AC ip_remote_port=54");
    host_lab_packet(l, HOST_WAY_OUT, &refused);
    error.quotes = &refused;
    host_lab_packet(l, HOST_WAY_IN, &error);
    assert_string_equal(l->seen, "");
    assert_fate(l, HOST_CONSEQUENCE, HOST_NOTE_REFUSED_FLOW);
    host_lab_rule(l, "block OIE");
    asked.src = "10.0.0.2";
    asked.dst = "10.0.0.1";
    error.quotes = &asked;
    host_lab_packet(l, HOST_WAY_OUT, &error);
    assert_string_equal(l->seen, "OIE OIE_DISCARD(POLICY)");
}

static void ORD_21_multicast(void **state)
{
    struct host_lab *l = *state;
    union wire_addr group;
    struct host_endpoint *e[2];
    struct host_socket s = {.version = 4, .protocol = WIRE_PROTOCOL_UDP, .port = 5353};
    struct packet p = {.dst = "224.0.0.251", .sport = 5353, .dport = 5353, .fill = 8};

    assert_int_equal(wire_addr_parse("224.0.0.251", &group, NULL), 4);
    for (int i = 0; i < 2; i++) {
        if (i == 1) /* the port is taken for all addresses, not for this one */
            assert_int_equal(wire_addr_parse("10.0.0.1", &s.local, NULL), 4);
        assert_int_equal(host_bind(l->host, &s, &e[i]), STATUS_SUCCESS);
        assert_int_equal(host_membership(l->host, e[i], &group, true), STATUS_SUCCESS);
    }
    host_lab_packet(l, HOST_WAY_IN, &p);
    assert_string_equal(l->seen, "II IT(ALE) RA FE DD RA FE DD");
    host_lab_packet(l, HOST_WAY_IN, &p);
    assert_string_equal(l->seen, "II IT DD DD");
    /* one of them leaves */
    assert_int_equal(host_membership(l->host, e[1], &group, false), STATUS_SUCCESS);
    host_lab_packet(l, HOST_WAY_IN, &p);
    assert_string_equal(l->seen, "II IT DD");
    /* what is sent to the group comes back to the member */
    host_lab_packet(l, HOST_WAY_OUT, &p);
    assert_non_null(strstr(l->seen, "DD OT OI II IT"));
    assert_fate(l, HOST_PASSED, HOST_NOTE_NONE);
    for (int i = 0; i < 2; i++)
        host_close(l->host, e[i]);
}

static void ORD_22_datagram_refused(void **state)
{
    struct host_lab *l = *state;
    struct host_endpoint *e = bound(l, 53);
    struct packet asked = {.src = "10.0.0.2", .dst = "10.0.0.1", .sport = 40000, .dport = 53, .fill = 8};
    struct packet error = {.protocol = WIRE_PROTOCOL_ICMP, .icmp_type = 3, .icmp_code = 3, .quotes = &asked};

    host_lab_rule(l, "block RA");
    host_lab_packet(l, HOST_WAY_IN, &asked);
    assert_string_equal(l->seen, "II IT(ALE) RA RA_DISCARD(POLICY)");
    assert_fate(l, HOST_BLOCKED, HOST_NOTE_NONE);
    /* no ICMP error: one that the capture shows was never sent */
    host_lab_packet(l, HOST_WAY_OUT, &error);
    assert_string_equal(l->seen, "");
    assert_fate(l, HOST_CONSEQUENCE, HOST_NOTE_REFUSED_FLOW);
    host_close(l->host, e);
}

static void ORD_23_reauthorized_datagram_out(void **state)
{
    struct host_lab *l = *state;
    struct host_endpoint *e = bound(l, 53);

    LAB_IN(l, .sport = 40000, .dport = 53);
    LAB_OUT(l, .sport = 50000, .dport = 54);
    host_lab_rule(l, "permit RA");
    host_lab_rule(l, "permit AC");
    LAB_OUT(l, .sport = 50000, .dport = 54);
    assert_string_equal(l->seen, "AC(REAUTH) DD OT OI");
    LAB_OUT(l, .sport = 53, .dport = 40000);
    assert_string_equal(l->seen, "RA(REAUTH) DD OT OI");
    host_lab_rule(l, "block AC");
    LAB_OUT(l, .sport = 50000, .dport = 54);
    assert_memory_equal(l->seen, "AC(REAUTH) AC_DISCARD(POLICY)", 29);
    assert_null(strstr(l->seen, "OT"));
    host_close(l->host, e);
}

/* A request that was dropped has no answer. */
static void ORD_17_request_dropped(void **state)
{
    struct host_lab *l = *state;
    struct host_endpoint *e = bound(l, 53);
    static const struct {
        const char *layer, *rule, *seen;
    } out[] = {
        {"DD", "block DD ip_remote_port=54", "DD DD_DISCARD(POLICY)"},
        {"OT", "block OT ip_remote_port=54", "DD OT OT_DISCARD(POLICY)"},
        {"OI", "block OI ip_remote_address=10.0.0.2", "DD OT OI OI_DISCARD(POLICY)"},
    };
    UINT64 id;

    LAB_OUT(l, .sport = 50000, .dport = 54);
    for (size_t i = 0; i < sizeof(out) / sizeof(*out); i++) {
        id = host_lab_rule(l, out[i].rule);
        LAB_OUT(l, .sport = 50000, .dport = 54);
        assert_string_equal(l->seen, out[i].seen);
        LAB_IN(l, .sport = 54, .dport = 50000);
        assert_string_equal(l->seen, "");
        assert_fate(l, HOST_CONSEQUENCE, HOST_NOTE_UNSENT_REQUEST);
        host_lab_remove(l, out[i].layer, id);
        LAB_OUT(l, .sport = 50000, .dport = 54);
        LAB_IN(l, .sport = 54, .dport = 50000);
        assert_fate(l, HOST_PASSED, HOST_NOTE_NONE);
    }
    id = host_lab_rule(l, "block IT ip_local_port=53");
    LAB_IN(l, .sport = 40000, .dport = 53);
    assert_string_equal(l->seen, "II IT(ALE) IT_DISCARD(POLICY)");
    host_lab_remove(l, "IT", id);
    LAB_OUT(l, .sport = 53, .dport = 40000);
    assert_fate(l, HOST_CONSEQUENCE, HOST_NOTE_UNSENT_REQUEST);
    host_close(l->host, e);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, host_lab_setup, host_lab_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ORD_09_datagram_out),
        TEST(ORD_09_raw_socket),
        TEST(ORD_10_datagram_in),
        TEST(ORD_11_reauthorized_datagram_in),
        TEST(ORD_12_closed_port),
        TEST(ORD_13_echo),
        TEST(ORD_13_errors),
        TEST(ORD_17_request_dropped),
        TEST(ORD_21_multicast),
        TEST(ORD_22_datagram_refused),
        TEST(ORD_23_reauthorized_datagram_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
