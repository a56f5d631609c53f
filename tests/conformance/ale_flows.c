/* SPDX-License-Identifier: Apache-2.0 */
/* Section 7: which flows there are, where they are authorized, how long they live, what is shown. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "host_lab.h"

#define TCP(...) .protocol = WIRE_PROTOCOL_TCP, .tcp_flags = (__VA_ARGS__)
#define PING     .protocol = WIRE_PROTOCOL_ICMP, .icmp_type = 8
#define PONG     .protocol = WIRE_PROTOCOL_ICMP, .icmp_type = 0

static bool met(const struct host_lab *l, const char *layer)
{
    const char *at = l->seen;
    size_t n = strlen(layer);

    while ((at = strstr(at, layer)) != NULL) {
        if ((at == l->seen || at[-1] == ' ') && (at[n] == '\0' || at[n] == ' ' || at[n] == '('))
            return true;
        at += n;
    }
    return false;
}

static const struct host_lab_event *event(const struct host_lab *l, UINT16 layer_id)
{
    for (unsigned i = 0; i < l->event_count; i++)
        if (l->events[i].layer_id == layer_id)
            return &l->events[i];
    fail_msg("nothing was classified at layer %u: %s", layer_id, l->seen);
    return NULL;
}

static UINT64 impossible(const struct host_lab *l)
{
    struct host_counts c;

    host_counts(l->host, &c);
    return c.impossible;
}

static int teardown(void **state)
{
    struct host_lab *l = *state;

    assert_int_equal(impossible(l), 0);
    return host_lab_teardown(state);
}

static void ALE_01_a_flow_is_asked_once(void **state)
{
    struct host_lab *l = *state;
    struct host_lab_tcp t = {.local = 50000, .remote = 443};

    LAB_OUT(l, .sport = 4000, .dport = 53);
    assert_true(met(l, "AC"));
    for (int i = 0; i < 3; i++) {
        LAB_OUT(l, .sport = 4000, .dport = 53);
        assert_string_equal(l->seen, "DD OT OI");
        LAB_IN(l, .sport = 53, .dport = 4000);
        assert_string_equal(l->seen, "II IT DD");
    }
    host_lab_connect(l, &t);
    host_lab_send(l, &t, "once");
    assert_false(met(l, "AC") || met(l, "RA"));
    host_lab_receive(l, &t, "again");
    assert_false(met(l, "AC") || met(l, "RA"));
}

static void ALE_02_direction_of_the_first_packet(void **state)
{
    struct host_lab *l = *state;

    LAB_OUT(l, .sport = 4000, .dport = 53);
    assert_true(met(l, "AC") && !met(l, "RA"));
    assert_false(l->flow.inbound);
    LAB_IN(l, .sport = 53, .dport = 4000); /* comes in, and belongs to it */
    assert_false(met(l, "AC") || met(l, "RA"));
    LAB_IN(l, .sport = 4001, .dport = 53);
    assert_true(met(l, "RA") && !met(l, "AC"));
    assert_true(l->flow.inbound);
    LAB_OUT(l, .sport = 53, .dport = 4001);
    assert_false(met(l, "AC") || met(l, "RA"));
}

static void ALE_03_what_is_asked_where(void **state)
{
    struct host_lab *l = *state;

    /* UDP: each remote address and port */
    LAB_OUT(l, .sport = 4000, .dport = 53);
    assert_true(met(l, "AC"));
    LAB_OUT(l, .sport = 4000, .dport = 54);
    assert_true(met(l, "AC"));
    LAB_OUT(l, .sport = 4000, .dst = "10.0.0.3", .dport = 53);
    assert_true(met(l, "AC"));
    LAB_OUT(l, .sport = 4000, .dport = 53);
    assert_false(met(l, "AC"));
    LAB_IN(l, .dport = 7000, .sport = 60);
    assert_true(met(l, "RA"));
    LAB_IN(l, .dport = 7000, .sport = 61);
    assert_true(met(l, "RA"));
    /* TCP: the SYN */
    LAB_OUT(l, TCP(WIRE_TCP_SYN), .sport = 50000, .dport = 443);
    assert_true(met(l, "AC"));
    LAB_IN(l, TCP(WIRE_TCP_SYN), .sport = 50001, .dport = 80);
    assert_true(met(l, "RA"));
    /* ICMP: each type, code and id; its answers belong to it */
    LAB_OUT(l, PING, .icmp_id = 1);
    assert_true(met(l, "AC"));
    LAB_IN(l, PONG, .icmp_id = 1);
    assert_false(met(l, "AC") || met(l, "RA"));
    LAB_OUT(l, PING, .icmp_id = 1, .icmp_seq = 2);
    assert_false(met(l, "AC"));
    LAB_OUT(l, PING, .icmp_id = 2);
    assert_true(met(l, "AC"));
    LAB_OUT(l, PING, .icmp_code = 1, .icmp_id = 1);
    assert_true(met(l, "AC"));
    LAB_IN(l, PING, .icmp_id = 1); /* the peer's own question */
    assert_true(met(l, "RA"));
    LAB_OUT(l, PONG, .icmp_id = 1);
    assert_false(met(l, "AC") || met(l, "RA"));
    LAB_IN(l, PONG, .icmp_id = 9); /* nobody asked */
    assert_true(met(l, "RA"));
    /* an error is nobody's flow */
    LAB_IN(l, .protocol = WIRE_PROTOCOL_ICMP, .icmp_type = 3);
    assert_false(met(l, "RA"));
}

static void ALE_04_other_protocols_as_udp(void **state)
{
    struct host_lab *l = *state;
    struct host_socket raw = {.version = 4, .protocol = WIRE_PROTOCOL_TCP, .raw = true};
    struct host_endpoint *e;

    LAB_OUT(l, .protocol = 47);
    assert_string_equal(l->seen, "BR RES CR AC FE DD OT OI");
    LAB_OUT(l, .protocol = 47);
    assert_string_equal(l->seen, "DD OT OI");
    LAB_IN(l, .protocol = 47);
    assert_false(met(l, "RA"));
    LAB_IN(l, .protocol = 48);
    assert_string_equal(l->seen, "BR RES II IT(ALE) RA FE DD");
    /* a raw socket that speaks TCP itself: first send and first receive, no handshake */
    assert_int_equal(host_bind(l->host, &raw, &e), STATUS_SUCCESS);
    LAB_OUT(l, TCP(WIRE_TCP_ACK), .sport = 1, .dport = 2);
    assert_true(met(l, "AC") && met(l, "FE"));
    LAB_OUT(l, TCP(WIRE_TCP_SYN), .sport = 1, .dport = 2);
    assert_false(met(l, "AC") || met(l, "FE"));
    host_close(l->host, e);
}

static void ALE_05_a_tcp_flow_is_a_connection(void **state)
{
    struct host_lab *l = *state;
    struct host_lab_tcp t = {.local = 50000, .remote = 443}, other = {.local = 50000, .remote = 444};
    UINT64 id;

    host_lab_connect(l, &t);
    id = l->outcome.flow_id;
    host_lab_connect(l, &other);
    assert_true(l->outcome.flow_id != id && l->outcome.flow_id != 0);
    host_lab_wait(l, 3 * 3600 * 1000); /* silence does not end it */
    host_lab_send(l, &t, "still there");
    assert_int_equal(l->outcome.flow_id, id);
    assert_false(met(l, "AC"));
    host_lab_segment(l, &t, false, WIRE_TCP_RST | WIRE_TCP_ACK, ""); /* its end is */
    assert_non_null(strstr(l->flows, "deleted(reset)"));
    t.out = 7000000;
    t.in = 8000000;
    host_lab_connect(l, &t);
    assert_true(l->outcome.flow_id != id);
}

static void ALE_06_idle_times(void **state)
{
    struct host_lab *l = *state;
    struct host_socket s = {.version = 4, .protocol = WIRE_PROTOCOL_UDP, .port = 4100};
    struct host_endpoint *e;

    LAB_OUT(l, .sport = 4000, .dport = 53);
    host_lab_wait(l, 59000);
    LAB_IN(l, .sport = 53, .dport = 4000); /* either direction refreshes */
    assert_false(met(l, "RA"));
    host_lab_wait(l, 59000);
    LAB_OUT(l, .sport = 4000, .dport = 53);
    assert_false(met(l, "AC"));
    host_lab_wait(l, 60100);
    assert_non_null(strstr(l->flows, "deleted(idle)"));
    LAB_OUT(l, .sport = 4000, .dport = 53);
    assert_true(met(l, "AC"));
    LAB_OUT(l, PING, .icmp_id = 5);
    host_lab_wait(l, 59000);
    LAB_OUT(l, PING, .icmp_id = 5);
    assert_false(met(l, "AC"));
    host_lab_wait(l, 60100);
    LAB_OUT(l, PING, .icmp_id = 5);
    assert_true(met(l, "AC"));
    /* closing the socket ends its flows, and only its */
    assert_int_equal(host_bind(l->host, &s, &e), STATUS_SUCCESS);
    LAB_OUT(l, .sport = 4100, .dport = 53);
    LAB_OUT(l, .sport = 4100, .dport = 54);
    LAB_OUT(l, .sport = 4200, .dport = 53);
    host_lab_reset(l);
    host_close(l->host, e);
    assert_string_equal(l->flows, "deleted(endpoint) deleted(endpoint)");
    LAB_OUT(l, .sport = 4200, .dport = 53);
    assert_false(met(l, "AC"));
}

static void ALE_07_idle_times_shorten(void **state)
{
    struct host_config c = {.limits.flows = 64, .knobs.shorten_idle = true};
    struct host_lab l;

    (void)state;
    for (int knob = 0; knob < 2; knob++) {
        c.knobs.shorten_idle = knob;
        host_lab_open(&l, &c);
        LAB_OUT(&l, .sport = 4000, .dport = 53);
        host_lab_wait(&l, 35000);
        LAB_OUT(&l, .sport = 4000, .dport = 53);
        assert_false(met(&l, "AC")); /* nearly empty: 60 s */
        for (UINT16 i = 1; i < 40; i++)
            LAB_OUT(&l, .sport = 4000, .dport = 100 + i);
        host_lab_wait(&l, 31000);
        LAB_OUT(&l, .sport = 4000, .dport = 139);
        assert_int_equal(met(&l, "AC"), knob); /* above half: 30 s */
        host_lab_close(&l);
        host_lab_open(&l, &c);
        for (UINT16 i = 1; i < 60; i++)
            LAB_OUT(&l, .sport = 4000, .dport = 100 + i);
        host_lab_wait(&l, 16000);
        LAB_OUT(&l, .sport = 4000, .dport = 159);
        assert_int_equal(met(&l, "AC"), knob); /* above three quarters: 15 s */
        host_lab_close(&l);
    }
}

static void ALE_08_sent_to_a_group(void **state)
{
    struct host_lab *l = *state;

    LAB_OUT(l, .sport = 4000, .dst = "239.255.255.250", .dport = 1900);
    assert_true(met(l, "AC"));
    assert_true(l->flow.multicast);
    LAB_IN(l, .src = "10.0.0.77", .sport = 1234, .dport = 4000); /* from anywhere */
    assert_string_equal(l->seen, "II IT DD");
    host_lab_wait(l, 3000);
    LAB_IN(l, .src = "10.0.0.78", .sport = 9, .dport = 4000); /* does not refresh it */
    assert_false(met(l, "RA"));
    host_lab_wait(l, 1500);
    LAB_IN(l, .src = "10.0.0.79", .sport = 9, .dport = 4000);
    assert_true(met(l, "RA"));
    /* what is sent does */
    LAB_OUT(l, .sport = 4100, .dst = "10.0.0.255", .dport = 137);
    host_lab_wait(l, 3000);
    LAB_OUT(l, .sport = 4100, .dst = "10.0.0.255", .dport = 137);
    assert_false(met(l, "AC"));
    host_lab_wait(l, 3000);
    LAB_IN(l, .src = "10.0.0.80", .sport = 137, .dport = 4100);
    assert_false(met(l, "RA"));
    LAB_IN(l, .src = "10.0.0.80", .sport = 137, .dport = 4101); /* another socket asked nothing */
    assert_true(met(l, "RA"));
}

static void ALE_09_received_by_a_group(void **state)
{
    struct host_lab *l = *state;
    struct host_socket s = {.version = 4, .protocol = WIRE_PROTOCOL_UDP, .port = 5353, .reuse = true};
    struct host_endpoint *a, *b;
    union wire_addr group = {.v4 = 0xe00000fb};
    UINT64 first;

    assert_int_equal(host_bind(l->host, &s, &a), STATUS_SUCCESS);
    assert_int_equal(host_bind(l->host, &s, &b), STATUS_SUCCESS);
    assert_int_equal(host_membership(l->host, a, &group, true), STATUS_SUCCESS);
    assert_int_equal(host_membership(l->host, b, &group, true), STATUS_SUCCESS);
    LAB_IN(l, .dst = "224.0.0.251", .sport = 5353, .dport = 5353);
    assert_string_equal(l->seen, "II IT(ALE) RA FE DD RA FE DD"); /* one flow for each of the two */
    assert_string_equal(l->flows, "created authorized created authorized");
    LAB_IN(l, .src = "10.0.0.9", .dst = "224.0.0.251", .sport = 1, .dport = 5353); /* any remote */
    assert_string_equal(l->seen, "II IT DD DD");
    assert_int_equal(host_membership(l->host, b, &group, false), STATUS_SUCCESS);
    LAB_IN(l, .dst = "224.0.0.251", .sport = 5353, .dport = 5353);
    assert_string_equal(l->seen, "II IT DD");
    first = l->outcome.flow_id;
    /* an answer is a flow of its own */
    LAB_OUT(l, .sport = 5353, .dport = 5353);
    assert_true(met(l, "AC"));
    assert_true(l->outcome.flow_id != first);
    host_close(l->host, a);
    host_close(l->host, b);
}

/* ---- options ----------------------------------------------------------------------------------------------
 */

struct option {
    struct host_lab *lab;
    FWP_CLASSIFY_OPTION_TYPE type;
    FWP_VALUE0 value;
    NTSTATUS status;
};

static void set_option(struct host_lab_callout *c, FWPS_CLASSIFY_OUT0 *out)
{
    struct option *o = c->ctx;

    (void)out;
    o->status = host_option_set(o->lab->host, c->classify_context, o->type, &o->value);
}

static void ALE_10_options(void **state)
{
    struct host_lab *l = *state;
    struct option life = {.lab = l,
                          .type = FWP_CLASSIFY_OPTION_UNICAST_LIFETIME,
                          .value = {.type = FWP_UINT32, .uint32 = 300}},
                  group = life, deny = life, loose = life;
    struct host_lab_callout a = {.action = FWP_ACTION_PERMIT, .also = set_option, .ctx = &life},
                            b = {.action = FWP_ACTION_PERMIT, .also = set_option, .ctx = &group},
                            c = {.action = FWP_ACTION_PERMIT, .also = set_option, .ctx = &deny},
                            d = {.action = FWP_ACTION_PERMIT, .also = set_option, .ctx = &loose};

    group.type = FWP_CLASSIFY_OPTION_MCAST_BCAST_LIFETIME;
    group.value.uint32 = 30;
    deny.type = FWP_CLASSIFY_OPTION_MULTICAST_STATE;
    deny.value.uint32 = FWP_OPTION_VALUE_DENY_MULTICAST_STATE;
    loose.type = FWP_CLASSIFY_OPTION_LOOSE_SOURCE_MAPPING;
    loose.value.uint32 = FWP_OPTION_VALUE_ENABLE_LOOSE_SOURCE;
    host_lab_callout(l, "AC ip_remote_port=53", &a);
    host_lab_callout(l, "AC ip_remote_port=1900", &b);
    host_lab_callout(l, "AC ip_remote_port=3702", &c);
    host_lab_callout(l, "AC ip_remote_port=69", &d);

    LAB_OUT(l, .sport = 4000, .dport = 53);
    assert_int_equal(life.status, STATUS_SUCCESS);
    host_lab_wait(l, 299000);
    LAB_OUT(l, .sport = 4000, .dport = 53);
    assert_false(met(l, "AC"));
    host_lab_wait(l, 300100);
    LAB_OUT(l, .sport = 4000, .dport = 53);
    assert_true(met(l, "AC"));

    LAB_OUT(l, .sport = 4001, .dst = "239.255.255.250", .dport = 1900);
    host_lab_wait(l, 29000);
    LAB_IN(l, .src = "10.0.0.9", .sport = 7, .dport = 4001);
    assert_false(met(l, "RA"));

    LAB_OUT(l, .sport = 4002, .dst = "239.255.255.250", .dport = 3702);
    LAB_IN(l, .src = "10.0.0.9", .sport = 7, .dport = 4002);
    assert_true(met(l, "RA")); /* no state was made of it */

    LAB_OUT(l, .sport = 4003, .dport = 69);
    LAB_IN(l, .src = "10.0.0.9", .sport = 69, .dport = 4003); /* another address, the same port */
    assert_false(met(l, "RA"));
    LAB_IN(l, .src = "10.0.0.9", .sport = 70, .dport = 4003);
    assert_true(met(l, "RA"));
    LAB_OUT(l, .sport = 4004, .dport = 70); /* not set here */
    LAB_IN(l, .src = "10.0.0.9", .sport = 70, .dport = 4004);
    assert_true(met(l, "RA"));
}

static void ALE_11_established_after_authorized(void **state)
{
    struct host_lab *l = *state;
    struct host_lab_tcp t = {.local = 50000, .remote = 443};

    LAB_OUT(l, .sport = 4000, .dport = 53);
    assert_non_null(strstr(l->seen, "AC FE"));
    LAB_IN(l, .sport = 4000, .dport = 53);
    assert_non_null(strstr(l->seen, "RA FE"));
    host_lab_segment(l, &t, true, WIRE_TCP_SYN, "");
    assert_false(met(l, "FE")); /* the handshake is not over */
    host_lab_segment(l, &t, false, WIRE_TCP_SYN | WIRE_TCP_ACK, "");
    assert_true(met(l, "FE"));
    host_lab_rule(l, "block AC ip_remote_port=99");
    LAB_OUT(l, .sport = 4000, .dport = 99);
    assert_false(met(l, "FE"));
    host_lab_rule(l, "block RA ip_local_port=99");
    LAB_IN(l, .sport = 4000, .dport = 99);
    assert_false(met(l, "FE"));
}

static void ALE_24_packets_of_both_directions_at_both_layers(void **state)
{
    struct host_lab *l = *state;
    const struct host_lab_event *e;

    LAB_OUT(l, .sport = 4000, .dport = 53);
    LAB_IN(l, .sport = 4001, .dport = 80);
    host_lab_rule(l, "permit AC ip_remote_port=1");
    host_lab_rule(l, "permit RA ip_local_port=1");
    LAB_IN(l, .sport = 53, .dport = 4000);
    e = event(l, FWPS_LAYER_ALE_AUTH_CONNECT_V4);
    assert_int_equal(e->direction, FWP_DIRECTION_INBOUND);
    assert_true(e->flags & FWP_CONDITION_FLAG_IS_REAUTHORIZE);
    assert_true(e->metadata & FWPS_METADATA_FIELD_PACKET_DIRECTION);
    LAB_OUT(l, .sport = 80, .dport = 4001);
    e = event(l, FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4);
    assert_int_equal(e->direction, FWP_DIRECTION_OUTBOUND);
    assert_true(e->metadata & FWPS_METADATA_FIELD_PACKET_DIRECTION);
}

static void ALE_35_loopback(void **state)
{
    struct host_lab *l = *state;
    const struct host_lab_event *ac, *ra;

    LAB_OUT(l, .src = "127.0.0.1", .dst = "127.0.0.1", .sport = 4000, .dport = 53);
    assert_true(met(l, "AC") && met(l, "RA") && met(l, "OT") && met(l, "IT"));
    assert_int_equal(l->outcome.fate, HOST_PASSED);
    assert_true(l->outcome.flow_id != l->outcome.sender_flow_id);
    ac = event(l, FWPS_LAYER_ALE_AUTH_CONNECT_V4);
    ra = event(l, FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4);
    assert_true(ac < ra);
    for (unsigned i = 0; i < l->event_count; i++) {
        if (l->events[i].layer_id == FWPS_LAYER_ALE_AUTH_CONNECT_V4 ||
            l->events[i].layer_id == FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4 ||
            l->events[i].layer_id == FWPS_LAYER_ALE_FLOW_ESTABLISHED_V4)
            assert_true(l->events[i].flags & FWP_CONDITION_FLAG_IS_LOOPBACK);
    }
    /* and back, on the same two flows */
    LAB_OUT(l, .src = "127.0.0.1", .dst = "127.0.0.1", .sport = 53, .dport = 4000);
    assert_false(met(l, "AC") || met(l, "RA"));
    assert_true(met(l, "OT") && met(l, "IT"));
}

/* ---- what is shown ----------------------------------------------------------------------------------------
 */

static const struct host_owner owner = {.process_id = 4711};

static const struct host_owner *owner_of(void *ctx, UINT64 time_ns, uint8_t version, uint8_t protocol,
                                         const union wire_addr *local, UINT16 local_port,
                                         const union wire_addr *remote, UINT16 remote_port)
{
    (void)ctx;
    (void)time_ns;
    (void)version;
    (void)protocol;
    (void)local;
    (void)remote;
    (void)remote_port;
    return local_port == 4000 || local_port == 53 ? &owner : NULL;
}

static void ALE_36_the_owner_is_known_at_ALE(void **state)
{
    const struct host_config c = {.owner_of = owner_of};
    struct host_lab l;

    (void)state;
    host_lab_open(&l, &c);
    for (int in = 0; in < 2; in++) {
        if (in)
            LAB_IN(&l, .sport = 4000, .dport = 53);
        else
            LAB_OUT(&l, .sport = 4000, .dport = 99);
        for (unsigned i = 0; i < l.event_count; i++) {
            const struct host_lab_event *e = &l.events[i];
            bool ale = engine_layer_by_id(e->layer_id)->name != NULL &&
                       strstr(engine_layer_by_id(e->layer_id)->name, "_ALE_") != NULL;

            assert_int_equal((e->metadata & FWPS_METADATA_FIELD_PROCESS_ID) != 0, ale);
            if (!ale)
                assert_false(e->metadata & (FWPS_METADATA_FIELD_PROCESS_PATH | FWPS_METADATA_FIELD_TOKEN));
        }
    }
    host_lab_close(&l);
}

static void ALE_37_packets_that_are_shown(void **state)
{
    struct host_lab *l = *state;
    struct host_lab_tcp t = {.local = 50000, .remote = 443}, u = {.local = 80, .remote = 50001};

    LAB_OUT(l, .sport = 4000, .dport = 53);
    assert_false(event(l, FWPS_LAYER_ALE_RESOURCE_ASSIGNMENT_V4)->has_packet);
    assert_true(event(l, FWPS_LAYER_ALE_AUTH_CONNECT_V4)->has_packet);
    assert_true(event(l, FWPS_LAYER_ALE_FLOW_ESTABLISHED_V4)->has_packet);
    LAB_IN(l, .sport = 4000, .dport = 53);
    assert_true(event(l, FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4)->has_packet);
    assert_true(event(l, FWPS_LAYER_ALE_FLOW_ESTABLISHED_V4)->has_packet);
    host_lab_segment(l, &t, true, WIRE_TCP_SYN, "");
    assert_false(event(l, FWPS_LAYER_ALE_AUTH_CONNECT_V4)->has_packet);
    host_lab_segment(l, &t, false, WIRE_TCP_SYN | WIRE_TCP_ACK, "");
    assert_false(event(l, FWPS_LAYER_ALE_FLOW_ESTABLISHED_V4)->has_packet);
    host_lab_segment(l, &u, false, WIRE_TCP_SYN, "");
    assert_true(event(l, FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4)->has_packet);
    host_lab_segment(l, &u, true, WIRE_TCP_SYN | WIRE_TCP_ACK, "");
    host_lab_segment(l, &u, false, WIRE_TCP_ACK, "");
    assert_true(event(l, FWPS_LAYER_ALE_FLOW_ESTABLISHED_V4)->has_packet);
}

/* ---- what a refusal makes of the rest ---------------------------------------------------------------------
 */

static void assert_fate(const struct host_lab *l, enum host_fate fate, enum host_note note)
{
    assert_string_equal(host_fate_name(l->outcome.fate), host_fate_name(fate));
    assert_string_equal(host_note_words(l->outcome.note), host_note_words(note));
}

static void ALE_refused_connect(void **state)
{
    struct host_lab *l = *state;

    host_lab_rule(l, "block AC ip_remote_port=443");
    LAB_OUT(l, TCP(WIRE_TCP_SYN), .sport = 50000, .dport = 443, .seq = 100);
    assert_fate(l, HOST_BLOCKED, HOST_NOTE_NONE);
    assert_string_equal(l->flows, "created refused");
    LAB_OUT(l, TCP(WIRE_TCP_SYN), .sport = 50000, .dport = 443, .seq = 100);
    assert_fate(l, HOST_CONSEQUENCE, HOST_NOTE_REFUSED_FLOW);
    LAB_IN(l, TCP(WIRE_TCP_SYN | WIRE_TCP_ACK), .sport = 443, .dport = 50000, .seq = 900, .ack = 101);
    assert_fate(l, HOST_CONSEQUENCE, HOST_NOTE_REFUSED_FLOW);
    LAB_OUT(l, TCP(WIRE_TCP_RST), .sport = 50000, .dport = 443, .seq = 101);
    assert_fate(l, HOST_CONSEQUENCE, HOST_NOTE_REFUSED_FLOW);
    LAB_OUT(l, TCP(WIRE_TCP_SYN), .sport = 50000, .dport = 443, .seq = 5000); /* tried anew */
    assert_fate(l, HOST_BLOCKED, HOST_NOTE_NONE);
    assert_true(met(l, "AC"));
    LAB_OUT(l, .sport = 4000, .dport = 443);
    assert_fate(l, HOST_BLOCKED, HOST_NOTE_NONE);
    LAB_IN(l, .sport = 443, .dport = 4000); /* answers what was never sent */
    assert_fate(l, HOST_CONSEQUENCE, HOST_NOTE_UNSENT_REQUEST);
    LAB_OUT(l, .sport = 4000, .dport = 443);
    assert_fate(l, HOST_BLOCKED, HOST_NOTE_NONE);
    assert_true(met(l, "AC"));
    host_lab_wait(l, 61000);
    LAB_IN(l, .sport = 443, .dport = 4000);
    assert_fate(l, HOST_PASSED, HOST_NOTE_NONE);
}

static void ALE_refused_accept(void **state)
{
    struct host_lab *l = *state;

    host_lab_rule(l, "block RA ip_local_port=80");
    for (int i = 0; i < 2; i++) { /* each really arrives */
        LAB_IN(l, TCP(WIRE_TCP_SYN), .sport = 50000, .dport = 80, .seq = 100);
        assert_fate(l, HOST_BLOCKED, HOST_NOTE_NONE);
        assert_true(met(l, "RA"));
    }
    LAB_OUT(l, TCP(WIRE_TCP_SYN | WIRE_TCP_ACK), .sport = 80, .dport = 50000, .seq = 1, .ack = 101);
    assert_fate(l, HOST_CONSEQUENCE, HOST_NOTE_REFUSED_FLOW);
    LAB_IN(l, TCP(WIRE_TCP_ACK), .sport = 50000, .dport = 80, .seq = 101, .ack = 2);
    assert_fate(l, HOST_CONSEQUENCE, HOST_NOTE_REFUSED_FLOW);
    LAB_IN(l, .sport = 4000, .dport = 80);
    assert_fate(l, HOST_BLOCKED, HOST_NOTE_NONE);
    LAB_OUT(l, .sport = 80, .dport = 4000);
    assert_fate(l, HOST_CONSEQUENCE, HOST_NOTE_UNSENT_REQUEST);
    LAB_IN(l, .sport = 4000, .dport = 80);
    assert_true(met(l, "RA"));
}

static void ALE_refused_bind(void **state)
{
    struct host_lab *l = *state;

    host_lab_rule(l, "block RES ip_local_port=4000");
    LAB_OUT(l, .sport = 4000, .dport = 53);
    assert_fate(l, HOST_BLOCKED, HOST_NOTE_NONE);
    assert_true(met(l, "RES") && !met(l, "AC"));
    LAB_OUT(l, .sport = 4000, .dport = 54);
    assert_fate(l, HOST_CONSEQUENCE, HOST_NOTE_REFUSED_BIND);
    LAB_IN(l, .sport = 53, .dport = 4000);
    assert_fate(l, HOST_CONSEQUENCE, HOST_NOTE_REFUSED_BIND);
    LAB_OUT(l, TCP(WIRE_TCP_SYN), .sport = 4000, .dport = 80, .seq = 1);
    assert_fate(l, HOST_BLOCKED, HOST_NOTE_NONE);
    LAB_IN(l, TCP(WIRE_TCP_SYN | WIRE_TCP_ACK), .sport = 80, .dport = 4000, .ack = 2);
    assert_fate(l, HOST_CONSEQUENCE, HOST_NOTE_REFUSED_BIND);
    host_lab_rule(l, "block LIS ip_local_port=80");
    LAB_IN(l, TCP(WIRE_TCP_SYN), .sport = 50000, .dport = 80);
    assert_fate(l, HOST_CONSEQUENCE, HOST_NOTE_REFUSED_BIND);
    assert_true(met(l, "LIS") && !met(l, "RA"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, host_lab_setup, teardown)
        T(ALE_01_a_flow_is_asked_once),
        T(ALE_02_direction_of_the_first_packet),
        T(ALE_03_what_is_asked_where),
        T(ALE_04_other_protocols_as_udp),
        T(ALE_05_a_tcp_flow_is_a_connection),
        T(ALE_06_idle_times),
        T(ALE_07_idle_times_shorten),
        T(ALE_08_sent_to_a_group),
        T(ALE_09_received_by_a_group),
        T(ALE_10_options),
        T(ALE_11_established_after_authorized),
        T(ALE_24_packets_of_both_directions_at_both_layers),
        T(ALE_35_loopback),
        T(ALE_36_the_owner_is_known_at_ALE),
        T(ALE_37_packets_that_are_shown),
        T(ALE_refused_connect),
        T(ALE_refused_accept),
        T(ALE_refused_bind),
#undef T
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
