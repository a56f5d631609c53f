/* SPDX-License-Identifier: Apache-2.0 */
/* Section 8: the order of layers of TCP connections. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "host_lab.h"

#define TCP_FLAGS(...) .protocol = WIRE_PROTOCOL_TCP, .tcp_flags = (__VA_ARGS__)

static struct host_endpoint *bound(struct host_lab *l, uint8_t protocol, UINT16 port)
{
    struct host_socket s = {.version = 4, .protocol = protocol, .port = port};
    struct host_endpoint *e = NULL;

    assert_int_equal(host_bind(l->host, &s, &e), STATUS_SUCCESS);
    assert_non_null(e);
    return e;
}

static struct host_endpoint *listener(struct host_lab *l, UINT16 port)
{
    struct host_endpoint *e = bound(l, WIRE_PROTOCOL_TCP, port);

    assert_int_equal(host_listen(l->host, e), STATUS_SUCCESS);
    return e;
}

static void assert_fate(const struct host_lab *l, enum host_fate fate, enum host_note note)
{
    assert_string_equal(host_fate_name(l->outcome.fate), host_fate_name(fate));
    assert_string_equal(host_note_words(l->outcome.note), host_note_words(note));
}

static void ORD_01_passive_open(void **state)
{
    struct host_lab *l = *state;
    struct host_endpoint *e;

    host_lab_reset(l);
    e = bound(l, WIRE_PROTOCOL_TCP, 80);
    assert_string_equal(l->seen, "BR RES");
    assert_int_equal(host_listen(l->host, e), STATUS_SUCCESS);
    assert_string_equal(l->seen, "BR RES LIS");
    host_close(l->host, e);
}

static void ORD_02_active_open(void **state)
{
    struct host_lab *l = *state;

    /* the SYN shows a program that bound without saying so, and connected */
    LAB_OUT(l, TCP_FLAGS(WIRE_TCP_SYN), .sport = 50000, .dport = 443);
    assert_string_equal(l->seen, "BR RES CR AC SPK OT OI");
    assert_fate(l, HOST_PASSED, HOST_NOTE_NONE);
    /* the same SYN again is the same connection */
    LAB_OUT(l, TCP_FLAGS(WIRE_TCP_SYN), .sport = 50000, .dport = 443);
    assert_string_equal(l->seen, "SPK OT OI");
    /* refused at any of them: nothing behind it, and the answers never were */
    host_lab_rule(l, "block AC ip_remote_port=444");
    LAB_OUT(l, TCP_FLAGS(WIRE_TCP_SYN), .sport = 50001, .dport = 444);
    assert_memory_equal(l->seen, "BR RES CR AC AC_DISCARD(POLICY)", 31);
    assert_null(strstr(l->seen, "OT"));
    assert_fate(l, HOST_BLOCKED, HOST_NOTE_NONE);
    LAB_IN(l, TCP_FLAGS(WIRE_TCP_SYN | WIRE_TCP_ACK), .sport = 444, .dport = 50001);
    assert_string_equal(l->seen, "");
    assert_fate(l, HOST_CONSEQUENCE, HOST_NOTE_REFUSED_FLOW);
}

static void ORD_03_server_on_syn(void **state)
{
    struct host_lab *l = *state;
    struct host_endpoint *e = listener(l, 80);

    LAB_IN(l, TCP_FLAGS(WIRE_TCP_SYN), .sport = 40000, .dport = 80);
    assert_string_equal(l->seen, "II IT(ALE) RA SPK");
    LAB_OUT(l, TCP_FLAGS(WIRE_TCP_SYN | WIRE_TCP_ACK), .sport = 80, .dport = 40000, .ack = 1);
    assert_string_equal(l->seen, "SPK OT OI");
    assert_fate(l, HOST_PASSED, HOST_NOTE_NONE);
    host_close(l->host, e);
}

static void ORD_04_established(void **state)
{
    struct host_lab *l = *state;
    struct host_endpoint *e = listener(l, 80);
    struct host_lab_tcp client = {.local = 50000, .remote = 443}, server = {.local = 80, .remote = 40000};

    assert_string_equal(host_lab_connect(l, &client), "BR RES CR AC SPK OT OI | II IT SPK FE | SPK OT OI");
    assert_string_equal(host_lab_accept(l, &server), "II IT(ALE) RA SPK | SPK OT OI | II IT SPK FE");
    host_close(l->host, e);
}

static void ORD_05_data(void **state)
{
    struct host_lab *l = *state;
    struct host_lab_tcp t = {.local = 50000, .remote = 443};

    host_lab_connect(l, &t);
    assert_string_equal(host_lab_send(l, &t, "request"), "ST SPK OT OI");
    assert_string_equal(l->stream, ">request");
    assert_string_equal(host_lab_receive(l, &t, "answer"), "II IT SPK ST");
    assert_string_equal(l->stream, "<answer");
    /* without data there is nothing for the stream layer; nor is it told of the same data twice */
    assert_string_equal(host_lab_segment(l, &t, true, WIRE_TCP_ACK, NULL), "SPK OT OI");
    t.in -= 6;
    assert_string_equal(host_lab_receive(l, &t, "answer"), "II IT SPK");
    assert_fate(l, HOST_PASSED, HOST_NOTE_NONE);
    /* dropped below the stream layer: that packet only, and once more is not another word */
    UINT64 id = host_lab_rule(l, "block OT ip_remote_port=443");

    assert_string_equal(host_lab_send(l, &t, "more"), "ST SPK OT OT_DISCARD(POLICY)");
    assert_fate(l, HOST_BLOCKED, HOST_NOTE_NONE);
    host_lab_remove(l, "OT", id);
    t.out -= 4;
    assert_string_equal(host_lab_send(l, &t, "more"), "SPK OT OI");
    assert_string_equal(host_lab_receive(l, &t, "yes"), "II IT SPK ST");
    host_lab_rule(l, "block ST");
    host_lab_receive(l, &t, "no");
    assert_string_equal(l->seen, "II IT SPK ST ST_DISCARD(POLICY)");
    assert_fate(l, HOST_BLOCKED, HOST_NOTE_NONE);
}

static void ORD_06_closed_port(void **state)
{
    struct host_lab *l = *state;

    l->closed[l->closed_count++] = 81;
    LAB_IN(l, TCP_FLAGS(WIRE_TCP_SYN), .sport = 40000, .dport = 81);
    assert_string_equal(l->seen, "II IT_DISCARD(EndpointNotFound)");
    assert_fate(l, HOST_STACK, HOST_NOTE_NONE);
    assert_int_equal(l->outcome.module, FWPS_DISCARD_MODULE_TRANSPORT);
    assert_int_equal(l->outcome.reason, InetDiscardEndpointNotFound);
    assert_string_equal(l->outcome.layer->fwps_name, "FWPS_LAYER_INBOUND_TRANSPORT_V4_DISCARD");
    LAB_OUT(l, TCP_FLAGS(WIRE_TCP_RST | WIRE_TCP_ACK), .sport = 81, .dport = 40000, .ack = 1);
    assert_string_equal(l->seen, "OT OI");
    assert_fate(l, HOST_PASSED, HOST_NOTE_NONE);
    /* stealth: a block there suppresses the RST, for this tuple */
    host_lab_rule(l, "block IT_DISCARD ip_remote_port=40001");
    LAB_IN(l, TCP_FLAGS(WIRE_TCP_SYN), .sport = 40001, .dport = 81);
    assert_string_equal(l->seen, "II IT_DISCARD(EndpointNotFound)");
    assert_fate(l, HOST_STACK, HOST_NOTE_NONE);
    LAB_OUT(l, TCP_FLAGS(WIRE_TCP_RST | WIRE_TCP_ACK), .sport = 81, .dport = 40001, .ack = 1);
    assert_string_equal(l->seen, "");
    assert_fate(l, HOST_CONSEQUENCE, HOST_NOTE_SILENCED);
    LAB_IN(l, TCP_FLAGS(WIRE_TCP_SYN), .sport = 40000, .dport = 81);
    LAB_OUT(l, TCP_FLAGS(WIRE_TCP_RST | WIRE_TCP_ACK), .sport = 81, .dport = 40000, .ack = 1);
    assert_fate(l, HOST_PASSED, HOST_NOTE_NONE);
    /* not for ever */
    host_lab_wait(l, 60000);
    LAB_OUT(l, TCP_FLAGS(WIRE_TCP_RST | WIRE_TCP_ACK), .sport = 81, .dport = 40001, .ack = 1);
    assert_fate(l, HOST_PASSED, HOST_NOTE_NONE);
}

/* The flags that the stream layer saw, in order. */
struct flags_seen {
    UINT32 flags[8];
    unsigned count;
};

static void note_flags(struct host_lab_callout *c, FWPS_CLASSIFY_OUT0 *out)
{
    FWPS_STREAM_CALLOUT_IO_PACKET0 *io = c->layer_data;
    struct flags_seen *f = c->ctx;

    (void)out;
    assert_non_null(io);
    assert_true(f->count < 8);
    f->flags[f->count++] = io->streamData->flags;
    io->streamAction = FWPS_STREAM_ACTION_NONE;
}

static void ORD_07_close(void **state)
{
    struct host_lab *l = *state;
    struct flags_seen seen = {.count = 0};
    struct host_lab_callout c = {.action = FWP_ACTION_PERMIT, .also = note_flags, .ctx = &seen};
    struct host_lab_tcp t = {.local = 50000, .remote = 443}, u = {.local = 50001, .remote = 443};

    host_lab_callout(l, "ST", &c);
    host_lab_connect(l, &t);
    assert_string_equal(host_lab_segment(l, &t, true, WIRE_TCP_FIN | WIRE_TCP_ACK, NULL), "ST SPK OT OI");
    assert_int_equal(seen.flags[0], FWPS_STREAM_FLAG_SEND | FWPS_STREAM_FLAG_SEND_DISCONNECT);
    host_lab_segment(l, &t, false, WIRE_TCP_FIN | WIRE_TCP_ACK, NULL);
    assert_memory_equal(l->seen, "II IT SPK ST", 12);
    assert_int_equal(seen.flags[1], FWPS_STREAM_FLAG_RECEIVE | FWPS_STREAM_FLAG_RECEIVE_DISCONNECT);
    assert_int_equal(seen.count, 2);
    /* by the last acknowledgement all is over: the endpoint closes, its port is free; no layer else */
    host_lab_segment(l, &t, true, WIRE_TCP_ACK, NULL);
    host_lab_wait(l, 300000);
    assert_int_equal(seen.count, 2);
    /* what comes late meets the packet layers alone */
    host_lab_connect(l, &u);
    host_lab_segment(l, &u, false, WIRE_TCP_RST | WIRE_TCP_ACK, NULL);
    assert_string_equal(l->seen, "II IT SPK ST EC RR");
    assert_string_equal(l->flows, "deleted(reset)");
    assert_int_equal(seen.flags[2], FWPS_STREAM_FLAG_RECEIVE | FWPS_STREAM_FLAG_RECEIVE_ABORT);
    assert_string_equal(host_lab_send(l, &u, "too late"), "OT OI");
    host_lab_receive(l, &u, "too late");
    assert_string_equal(l->seen, "II IT_DISCARD(EndpointNotFound)");
    assert_fate(l, HOST_STACK, HOST_NOTE_NONE);
}

static void ORD_07_own_reset(void **state)
{
    struct host_lab *l = *state;
    struct flags_seen seen = {.count = 0};
    struct host_lab_callout c = {.action = FWP_ACTION_PERMIT, .also = note_flags, .ctx = &seen};
    struct host_lab_tcp t = {.local = 50000, .remote = 443};

    host_lab_callout(l, "ST", &c);
    host_lab_connect(l, &t);
    host_lab_segment(l, &t, true, WIRE_TCP_RST | WIRE_TCP_ACK, NULL);
    assert_string_equal(l->seen, "ST SPK OT OI EC RR");
    assert_int_equal(seen.flags[0], FWPS_STREAM_FLAG_SEND | FWPS_STREAM_FLAG_SEND_ABORT);
}

static void ORD_08_stream_packet(void **state)
{
    struct host_lab *l = *state;
    struct host_lab_tcp t = {.local = 50000, .remote = 443}, u = {.local = 50001, .remote = 444};
    UINT64 id;

    host_lab_connect(l, &t);
    id = host_lab_rule(l, "block SPK direction=FWP_DIRECTION_INBOUND");
    /* behind IT, before the stream layer: which hears of the data when they come again */
    assert_string_equal(host_lab_receive(l, &t, "x"), "II IT SPK");
    assert_fate(l, HOST_BLOCKED, HOST_NOTE_NONE);
    host_lab_remove(l, "SPK", id);
    t.in--;
    assert_string_equal(host_lab_receive(l, &t, "x"), "II IT SPK ST");
    /* outbound: behind the stream layer, before OT; a SYN too */
    host_lab_rule(l, "block SPK direction=FWP_DIRECTION_OUTBOUND");
    assert_string_equal(host_lab_send(l, &t, "y"), "ST SPK");
    assert_string_equal(host_lab_connect(l, &u), "BR RES CR AC SPK |  | ");
    assert_fate(l, HOST_CONSEQUENCE, HOST_NOTE_UNSENT_REQUEST);
}

static void ORD_11_reauthorized_segment_in(void **state)
{
    struct host_lab *l = *state;
    struct host_endpoint *e = listener(l, 80);
    struct host_lab_tcp server = {.local = 80, .remote = 40000}, client = {.local = 50000, .remote = 443};

    host_lab_accept(l, &server);
    host_lab_connect(l, &client);
    host_lab_rule(l, "permit RA");
    host_lab_rule(l, "permit AC");
    assert_string_equal(host_lab_receive(l, &server, "x"), "II IT(ALE) RA(REAUTH) SPK ST");
    assert_string_equal(host_lab_receive(l, &server, "x"), "II IT SPK ST");
    /* at the layer that authorized the connection, whichever way the packet goes */
    assert_string_equal(host_lab_receive(l, &client, "x"), "II IT(ALE) AC(REAUTH) SPK ST");
    host_lab_rule(l, "block RA");
    host_lab_receive(l, &server, "x");
    assert_memory_equal(l->seen, "II IT(ALE) RA(REAUTH) RA_DISCARD(POLICY)", 40);
    assert_null(strstr(l->seen, "ST"));
    assert_fate(l, HOST_BLOCKED, HOST_NOTE_NONE);
    host_lab_send(l, &server, "x");
    assert_fate(l, HOST_CONSEQUENCE, HOST_NOTE_ENDED_FLOW);
    host_close(l->host, e);
}

static void ORD_22_tcp_refused(void **state)
{
    struct host_lab *l = *state;
    struct host_endpoint *e = listener(l, 80);

    host_lab_rule(l, "block RA");
    LAB_IN(l, TCP_FLAGS(WIRE_TCP_SYN), .sport = 40000, .dport = 80);
    assert_memory_equal(l->seen, "II IT(ALE) RA RA_DISCARD(POLICY)", 32);
    assert_fate(l, HOST_BLOCKED, HOST_NOTE_NONE);
    /* silently: neither SYN-ACK nor RST went out */
    LAB_OUT(l, TCP_FLAGS(WIRE_TCP_SYN | WIRE_TCP_ACK), .sport = 80, .dport = 40000, .ack = 1);
    assert_fate(l, HOST_CONSEQUENCE, HOST_NOTE_REFUSED_FLOW);
    LAB_OUT(l, TCP_FLAGS(WIRE_TCP_RST | WIRE_TCP_ACK), .sport = 80, .dport = 40000, .ack = 1);
    assert_string_equal(l->seen, "");
    assert_fate(l, HOST_CONSEQUENCE, HOST_NOTE_REFUSED_FLOW);
    host_close(l->host, e);
}

static void ORD_23_reauthorized_segment_out(void **state)
{
    struct host_lab *l = *state;
    struct host_endpoint *e = listener(l, 80);
    struct host_lab_tcp server = {.local = 80, .remote = 40000}, client = {.local = 50000, .remote = 443};

    host_lab_accept(l, &server);
    host_lab_connect(l, &client);
    host_lab_rule(l, "permit RA");
    host_lab_rule(l, "permit AC");
    assert_string_equal(host_lab_send(l, &client, "x"), "ST AC(REAUTH) SPK OT OI");
    assert_string_equal(host_lab_send(l, &server, "x"), "ST RA(REAUTH) SPK OT OI");
    host_lab_rule(l, "block AC");
    host_lab_send(l, &client, "x");
    assert_memory_equal(l->seen, "ST AC(REAUTH) AC_DISCARD(POLICY)", 32);
    assert_null(strstr(l->seen, "OT"));
    assert_fate(l, HOST_BLOCKED, HOST_NOTE_NONE);
    host_close(l->host, e);
}

/* A connection whose handshake lost a step on the way never came about. */
static void ORD_17_handshake_dropped(void **state)
{
    struct host_lab *l = *state;
    struct host_endpoint *e = listener(l, 80);
    struct host_lab_tcp client = {.local = 50000, .remote = 443}, server = {.local = 80, .remote = 40000};
    UINT64 id;

    id = host_lab_rule(l, "block OI ip_remote_address=10.0.0.2");
    assert_string_equal(host_lab_connect(l, &client), "BR RES CR AC SPK OT OI OI_DISCARD(POLICY) |  | ");
    assert_fate(l, HOST_CONSEQUENCE, HOST_NOTE_UNSENT_REQUEST);
    host_lab_remove(l, "OI", id);
    /* the SYN again, and all goes its way */
    assert_string_equal(host_lab_connect(l, &client), "SPK OT OI | II IT SPK FE | SPK OT OI");

    id = host_lab_rule(l, "block II ip_remote_address=10.0.0.2");
    assert_string_equal(host_lab_accept(l, &server), "II II_DISCARD(POLICY) |  | ");
    assert_fate(l, HOST_CONSEQUENCE, HOST_NOTE_UNSENT_REQUEST);
    host_lab_remove(l, "II", id);
    host_lab_segment(l, &server, false, WIRE_TCP_ACK, NULL);
    assert_fate(l, HOST_CONSEQUENCE, HOST_NOTE_UNSENT_REQUEST);
    assert_string_equal(host_lab_accept(l, &server), "II IT(ALE) RA SPK | SPK OT OI | II IT SPK FE");

    /* the SYN-ACK */
    client.local = 50001;
    id = host_lab_rule(l, "block IT ip_local_port=50001");
    assert_string_equal(host_lab_connect(l, &client), "BR RES CR AC SPK OT OI | II IT IT_DISCARD(POLICY) | ");
    assert_fate(l, HOST_CONSEQUENCE, HOST_NOTE_UNSENT_REQUEST);
    server.remote = 40001;
    host_lab_rule(l, "block OT ip_remote_port=40001");
    assert_string_equal(host_lab_accept(l, &server), "II IT(ALE) RA SPK | SPK OT OT_DISCARD(POLICY) | ");
    assert_fate(l, HOST_CONSEQUENCE, HOST_NOTE_UNSENT_REQUEST);
    host_close(l->host, e);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, host_lab_setup, host_lab_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ORD_01_passive_open),
        TEST(ORD_02_active_open),
        TEST(ORD_03_server_on_syn),
        TEST(ORD_04_established),
        TEST(ORD_05_data),
        TEST(ORD_06_closed_port),
        TEST(ORD_07_close),
        TEST(ORD_07_own_reset),
        TEST(ORD_08_stream_packet),
        TEST(ORD_11_reauthorized_segment_in),
        TEST(ORD_17_handshake_dropped),
        TEST(ORD_22_tcp_refused),
        TEST(ORD_23_reauthorized_segment_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
