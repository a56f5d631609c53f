/* SPDX-License-Identifier: Apache-2.0 */
/* Section 8: what is about packets: forwarding, fragments, drops, malformed packets, loopback, layer 2. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "host_lab.h"

static const uint8_t our_mac[6] = {2, 0, 0, 0, 0, 1};

static struct host_endpoint *bound(struct host_lab *l, uint8_t version, uint8_t protocol, UINT16 port)
{
    struct host_socket s = {.version = version, .protocol = protocol, .port = port};
    struct host_endpoint *e = NULL;

    assert_int_equal(host_bind(l->host, &s, &e), STATUS_SUCCESS);
    if (protocol == WIRE_PROTOCOL_TCP)
        assert_int_equal(host_listen(l->host, e), STATUS_SUCCESS);
    return e;
}

static void assert_fate(const struct host_lab *l, enum host_fate fate, enum host_note note)
{
    assert_string_equal(host_fate_name(l->outcome.fate), host_fate_name(fate));
    assert_string_equal(host_note_words(l->outcome.note), host_note_words(note));
}

static struct host_lab *lab(struct host_lab *l, struct host_knobs knobs)
{
    host_lab_open(l, &(struct host_config){.knobs = knobs});
    return l;
}

/* ---- forwarding --------------------------------------------------------------------------------------- */

static void ORD_14_forwarded(void **state)
{
    struct host_lab *l = *state, *knob = malloc(sizeof(*knob));

    assert_non_null(knob);
    LAB_IN(l, .src = "10.0.0.2", .dst = "192.0.2.1", .sport = 1, .dport = 2, .fill = 8);
    assert_string_equal(l->seen, "FW");
    assert_fate(l, HOST_PASSED, HOST_NOTE_NONE);
    assert_true(l->outcome.forwarded && !l->outcome.inbound && !l->outcome.outbound);
    host_lab_rule(l, "block FW");
    LAB_IN(l, .src = "10.0.0.2", .dst = "192.0.2.1", .sport = 1, .dport = 2, .fill = 8);
    assert_string_equal(l->seen, "FW FW_DISCARD(POLICY)");
    assert_fate(l, HOST_BLOCKED, HOST_NOTE_NONE);
    /* between others, only overheard */
    LAB_IN(l, .src = "10.0.0.2", .dst = "192.0.2.1", .mac_dst = (const uint8_t *)"\2\0\0\0\0\7", .fill = 8);
    assert_string_equal(l->seen, "");
    assert_fate(l, HOST_IGNORED, HOST_NOTE_NONE);
    lab(knob, (struct host_knobs){.forward_ip_layers = true});
    LAB_IN(knob, .src = "10.0.0.2", .dst = "192.0.2.1", .sport = 1, .dport = 2, .fill = 8);
    assert_string_equal(knob->seen, "II FW OI");
    host_lab_close(knob);
    free(knob);
}

static void ORD_14_hop_limit(void **state)
{
    struct host_lab *l = *state;

    LAB_IN(l, .src = "10.0.0.2", .dst = "192.0.2.1", .ttl = 1, .fill = 8);
    assert_string_equal(l->seen, "FW_DISCARD(HopLimitExceeded)");
    assert_fate(l, HOST_STACK, HOST_NOTE_NONE);
}

static void add_interface(struct host_lab *l, UINT32 index, bool weak, const char *address)
{
    struct host_interface_desc d = {.name = "second",
                                    .luid = 0x0006000002000000,
                                    .index = index,
                                    .type = 6,
                                    .weak_host_receive = weak,
                                    .weak_host_send = weak};
    union wire_addr a;

    assert_int_equal(host_interface_add(l->host, &d), 0);
    assert_int_equal(wire_addr_parse(address, &a, NULL), 4);
    assert_int_equal(host_address_add(l->host, index, 4, &a, 24, false), 0);
}

static const char *on_interface(struct host_lab *l, enum host_way way, UINT32 index, const struct packet *p)
{
    size_t n = packet_build(p, l->bytes, sizeof(l->bytes));

    return host_lab_bytes(l, way, packet_link_type(p->link), l->bytes, n, n, index);
}

static void ORD_14_weak_host(void **state)
{
    struct host_lab *l = *state;
    struct host_endpoint *e = bound(l, 4, WIRE_PROTOCOL_UDP, 53);
    struct packet in = {.src = "10.0.0.2", .dst = "10.0.0.1", .sport = 9, .dport = 53, .fill = 4};
    struct packet out = {.src = "10.0.0.1", .dst = "10.0.0.2", .sport = 53, .dport = 9, .fill = 4};

    add_interface(l, 3, true, "10.0.3.1");
    add_interface(l, 4, false, "10.0.4.1");
    assert_string_equal(on_interface(l, HOST_WAY_IN, 3, &in), "FW(IN_PASS_THRU) II IT(ALE) RA FE DD");
    assert_fate(l, HOST_PASSED, HOST_NOTE_NONE);
    assert_string_equal(on_interface(l, HOST_WAY_OUT, 3, &out), "DD OT OI FW(OUT_PASS_THRU)");
    /* the strong host: that address is not on this interface */
    assert_string_equal(on_interface(l, HOST_WAY_IN, 4, &in), "II II_DISCARD(NotLocallyDestined)");
    assert_fate(l, HOST_STACK, HOST_NOTE_NONE);
    host_lab_rule(l, "block FW flags~IS_INBOUND_PASS_THRU");
    on_interface(l, HOST_WAY_IN, 3, &in);
    assert_string_equal(l->seen, "FW(IN_PASS_THRU) FW_DISCARD(POLICY)");
    host_close(l->host, e);
}

/* ---- fragments ---------------------------------------------------------------------------------------- */

static struct packet_frame pieces[16];

static void ORD_15_fragments_in(void **state)
{
    struct host_lab *l = *state;
    struct host_endpoint *e = bound(l, 4, WIRE_PROTOCOL_UDP, 53), *e6 = bound(l, 6, WIRE_PROTOCOL_UDP, 53);
    struct packet p = {.src = "10.0.0.2", .dst = "10.0.0.1", .sport = 9, .dport = 53, .fill = 100, .id = 77};
    struct packet p6 = {.src = "fd00::2", .dst = "fd00::1", .sport = 9, .dport = 53, .fill = 100, .id = 78};
    size_t n = packet_fragments(&p, 48, pieces, 16);

    assert_int_equal(n, 3);
    for (size_t i = 0; i < n; i++) { /* n as packets, n as fragments, once whole */
        host_lab_bytes(l, HOST_WAY_IN, WIRE_LINK_ETHERNET, pieces[i].bytes, pieces[i].size, pieces[i].size,
                       1);
        assert_string_equal(l->seen, i < n - 1 ? "II II(FRAGMENT)"
                                               : "II II(FRAGMENT) II(REASSEMBLED) IT(ALE) RA FE DD");
        assert_fate(l, HOST_PASSED, HOST_NOTE_NONE);
    }
    assert_int_equal(l->reassembled, 20 + 8 + 100);
    /* in another order; refused where it is whole: that is the fate of the piece that made it so */
    host_lab_rule(l, "block II flags~IS_REASSEMBLED");
    p.id++;
    packet_fragments(&p, 48, pieces, 16);
    for (size_t i = n; i-- > 0;) {
        host_lab_bytes(l, HOST_WAY_IN, WIRE_LINK_ETHERNET, pieces[i].bytes, pieces[i].size, pieces[i].size,
                       1);
        assert_fate(l, i > 0 ? HOST_PASSED : HOST_BLOCKED, HOST_NOTE_NONE);
    }
    assert_string_equal(l->seen, "II II(FRAGMENT) II(REASSEMBLED) II_DISCARD(POLICY)");
    /* a dropped fragment is no part of anything */
    host_lab_rule(l, "block II flags~IS_FRAGMENT");
    host_lab_bytes(l, HOST_WAY_IN, WIRE_LINK_ETHERNET, pieces[0].bytes, pieces[0].size, pieces[0].size, 1);
    assert_string_equal(l->seen, "II II(FRAGMENT) II_DISCARD(POLICY)");
    assert_fate(l, HOST_BLOCKED, HOST_NOTE_NONE);
    n = packet_fragments(&p6, 64, pieces, 16);
    for (size_t i = 0; i < n; i++)
        host_lab_bytes(l, HOST_WAY_IN, WIRE_LINK_ETHERNET, pieces[i].bytes, pieces[i].size, pieces[i].size,
                       1);
    assert_string_equal(l->seen, "II II(FRAGMENT) II(REASSEMBLED) IT(ALE) RA FE DD");
    host_close(l->host, e);
    host_close(l->host, e6);
}

static void ORD_16_fragments_forwarded(void **state)
{
    struct host_lab *l = *state, *knob = malloc(sizeof(*knob));
    struct packet p = {.src = "10.0.0.2",
                       .dst = "192.0.2.1",
                       .mac_dst = our_mac,
                       .sport = 9,
                       .dport = 53,
                       .fill = 100,
                       .id = 77};
    size_t n = packet_fragments(&p, 48, pieces, 16);

    assert_non_null(knob);
    lab(knob, (struct host_knobs){.fragment_grouping = true});
    for (size_t i = 0; i < n; i++) {
        host_lab_bytes(l, HOST_WAY_IN, WIRE_LINK_ETHERNET, pieces[i].bytes, pieces[i].size, pieces[i].size,
                       1);
        assert_string_equal(l->seen, "FW");
        host_lab_bytes(knob, HOST_WAY_IN, WIRE_LINK_ETHERNET, pieces[i].bytes, pieces[i].size, pieces[i].size,
                       1);
        assert_string_equal(knob->seen, i < n - 1 ? "FW" : "FW FW(GROUP)");
    }
    host_lab_close(knob);
    free(knob);
}

static void ORD_16_fragments_out(void **state)
{
    struct host_lab *l = *state;
    struct packet p = {.src = "10.0.0.1", .dst = "10.0.0.2", .sport = 9, .dport = 53, .fill = 100, .id = 77};
    size_t n = packet_fragments(&p, 48, pieces, 16);

    /* OI stands before fragmentation: once, for the datagram */
    for (size_t i = 0; i < n; i++) {
        host_lab_bytes(l, HOST_WAY_OUT, WIRE_LINK_ETHERNET, pieces[i].bytes, pieces[i].size, pieces[i].size,
                       1);
        assert_string_equal(l->seen, i == 0 ? "BR RES CR AC FE DD OT OI" : "");
        assert_fate(l, HOST_PASSED, HOST_NOTE_NONE);
        assert_true(l->outcome.outbound);
    }
    UINT64 rule = host_lab_rule(l, "block OT");
    p.id++;
    packet_fragments(&p, 48, pieces, 16);
    for (size_t i = 0; i < n; i++) {
        host_lab_bytes(l, HOST_WAY_OUT, WIRE_LINK_ETHERNET, pieces[i].bytes, pieces[i].size, pieces[i].size,
                       1);
        assert_string_equal(l->seen, i == 0 ? "DD OT OT_DISCARD(POLICY)" : "");
        assert_fate(l, HOST_BLOCKED, HOST_NOTE_NONE);
        assert_int_equal(l->outcome.layer->id, FWPS_LAYER_OUTBOUND_TRANSPORT_V4);
        assert_int_equal(l->outcome.filter_id, rule);
    }
}

/* ---- drops -------------------------------------------------------------------------------------------- */

static void ORD_17_policy_drops(void **state)
{
    static const struct {
        const char *rule;
        bool out;
        uint8_t protocol;
        const char *seen;
    } table[] = {
        {"block II", false, WIRE_PROTOCOL_UDP, "II II_DISCARD(POLICY)"},
        {"block IT", false, WIRE_PROTOCOL_UDP, "II IT(ALE) IT_DISCARD(POLICY)"},
        {"block RA", false, WIRE_PROTOCOL_UDP, "II IT(ALE) RA RA_DISCARD(POLICY)"},
        {"block DD direction=FWP_DIRECTION_INBOUND", false, WIRE_PROTOCOL_UDP,
         "II IT(ALE) RA FE DD DD_DISCARD(POLICY)"},
        {"block RES", true, WIRE_PROTOCOL_UDP, "BR RES RES_DISCARD(POLICY)"},
        {"block AC", true, WIRE_PROTOCOL_UDP, "BR RES CR AC AC_DISCARD(POLICY)"},
        {"block DD", true, WIRE_PROTOCOL_UDP, "BR RES CR AC FE DD DD_DISCARD(POLICY)"},
        {"block OT", true, WIRE_PROTOCOL_UDP, "BR RES CR AC FE DD OT OT_DISCARD(POLICY)"},
        {"block OI", true, WIRE_PROTOCOL_UDP, "BR RES CR AC FE DD OT OI OI_DISCARD(POLICY)"},
        {"block SPK", true, WIRE_PROTOCOL_TCP, "BR RES CR AC SPK"}, /* has none */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        struct host_lab *l = malloc(sizeof(*l));
        struct host_endpoint *e;

        assert_non_null(l);
        host_lab_open(l, NULL);
        e = bound(l, 4, WIRE_PROTOCOL_UDP, 53);
        host_lab_rule(l, table[i].rule);
        host_lab_packet(
            l, table[i].out ? HOST_WAY_OUT : HOST_WAY_IN,
            &(struct packet){
                .protocol = table[i].protocol, .tcp_flags = WIRE_TCP_SYN, .sport = 40000, .dport = 53});
        /* what ending the endpoint says comes after */
        assert_memory_equal(l->seen, table[i].seen, strlen(table[i].seen));
        assert_fate(l, HOST_BLOCKED, HOST_NOTE_NONE);
        assert_true(l->outcome.filter_id != 0);
        assert_int_equal(l->outcome.module, FWPS_DISCARD_MODULE_GENERAL);
        assert_int_equal(l->outcome.reason, FWPS_DISCARD_FIREWALL_POLICY);
        host_close(l->host, e);
        host_lab_close(l);
        free(l);
    }
}

static void ORD_17_absorbed(void **state)
{
    struct host_lab *l = *state;
    struct host_lab_callout c = {
        .action = FWP_ACTION_BLOCK, .clear_write = true, .flags = FWPS_CLASSIFY_OUT_FLAG_ABSORB};

    host_lab_callout(l, "II", &c);
    bound(l, 4, WIRE_PROTOCOL_UDP, 53);
    LAB_IN(l, .sport = 40000, .dport = 53);
    assert_string_equal(l->seen, "II");
    assert_fate(l, HOST_ABSORBED, HOST_NOTE_NONE);
    assert_string_equal(l->outcome.layer->fwps_name, "FWPS_LAYER_INBOUND_IPPACKET_V4");
}

/* ---- malformed packets -------------------------------------------------------------------------------- */

static void ORD_18_malformed(void **state)
{
    struct host_lab *l = *state;
    static const struct {
        struct packet p;
        const char *seen;
        enum wire_fault fault;
    } table[] = {
        {{.bad = PACKET_BAD_IP_SUM}, "II_DISCARD(BadChecksum)", WIRE_FAULT_IP_CHECKSUM},
        {{.ip_length = 10}, "II_DISCARD(BadLength)", WIRE_FAULT_IP_TOTAL_LENGTH},
        {{.ip_length = 999}, "II_DISCARD(BadLength)", WIRE_FAULT_IP_TOTAL_LENGTH},
        {{.header_words = 4}, "II_DISCARD(MalformedHeader)", WIRE_FAULT_IP_HEADER_LENGTH},
        {{.version = 7}, "II_DISCARD(MalformedHeader)", WIRE_FAULT_IP_VERSION},
        {{.more = true, .fill = 5}, "II_DISCARD(BadLength)", WIRE_FAULT_FRAGMENT},
        {{.udp_length = 4}, "II IT_DISCARD(HeaderInvalid)", WIRE_FAULT_UDP_LENGTH},
        {{.protocol = WIRE_PROTOCOL_TCP, .data_offset = 4},
         "II IT_DISCARD(HeaderInvalid)",
         WIRE_FAULT_TCP_OFFSET},
        {{.protocol = WIRE_PROTOCOL_TCP, .no_transport = true, .fill = 7},
         "II IT_DISCARD(HeaderInvalid)",
         WIRE_FAULT_TRANSPORT_SHORT},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        host_lab_packet(l, HOST_WAY_IN, &table[i].p);
        assert_string_equal(l->seen, table[i].seen);
        assert_fate(l, HOST_STACK, HOST_NOTE_NONE);
        assert_int_equal(l->outcome.fault, table[i].fault);
        assert_non_null(l->outcome.layer);
    }
    /* refused by name */
    static const uint8_t jumbo[6] = {0xc2, 4, 0, 1, 0, 0};
    struct packet j = {.src = "fd00::2", .dst = "fd00::1", .extension_count = 1, .ip_length = -1, .fill = 16};

    j.extensions[0] = (struct packet_extension){0, jumbo, sizeof(jumbo)};
    host_lab_packet(l, HOST_WAY_IN, &j);
    assert_string_equal(l->seen, "II_DISCARD(MalformedHeader)");
    assert_int_equal(l->outcome.fault, WIRE_FAULT_IP6_JUMBOGRAM);
    /* what this host sent, its stack made so: not discarded */
    LAB_OUT(l, .udp_length = 4);
    assert_string_equal(l->seen, "OI");
    assert_fate(l, HOST_PASSED, HOST_NOTE_NONE);
}

static void ORD_18_checksums(void **state)
{
    struct host_lab *l = *state, *knob = malloc(sizeof(*knob));
    struct packet p = {.sport = 9, .dport = 53, .fill = 8, .bad = PACKET_BAD_SUM};

    assert_non_null(knob);
    lab(knob, (struct host_knobs){.verify_checksums = true});
    host_lab_packet(l, HOST_WAY_IN, &p); /* the adapter may have checked it and left it wrong */
    assert_fate(l, HOST_PASSED, HOST_NOTE_NONE);
    host_lab_packet(knob, HOST_WAY_IN, &p);
    assert_string_equal(knob->seen, "II IT_DISCARD(ChecksumInvalid)");
    assert_fate(knob, HOST_STACK, HOST_NOTE_NONE);
    host_lab_close(knob);
    free(knob);
}

static void ORD_18_session_state(void **state)
{
    struct host_lab *l = *state;
    struct host_lab_tcp t = {.local = 50000, .remote = 443};

    host_lab_connect(l, &t);
    t.in += 1000000; /* far outside of the window */
    host_lab_receive(l, &t, "x");
    assert_non_null(strstr(l->seen, "II IT SPK IT_DISCARD("));
    assert_fate(l, HOST_STACK, HOST_NOTE_NONE);
    assert_int_equal(l->outcome.module, FWPS_DISCARD_MODULE_TRANSPORT);
}

static void ORD_18_cut(void **state)
{
    struct host_lab *l = *state;
    struct packet p = {.src = "10.0.0.2", .dst = "10.0.0.1", .sport = 9, .dport = 53, .fill = 50};
    size_t n = packet_build(&p, l->bytes, sizeof(l->bytes));

    host_lab_bytes(l, HOST_WAY_IN, WIRE_LINK_ETHERNET, l->bytes, 14 + 20 + 4, n, 1);
    assert_string_equal(l->seen, "II");
    assert_fate(l, HOST_PASSED, HOST_NOTE_CUT);
    host_lab_bytes(l, HOST_WAY_IN, WIRE_LINK_ETHERNET, l->bytes, 14 + 12, n, 1);
    assert_string_equal(l->seen, "");
    assert_fate(l, HOST_PASSED, HOST_NOTE_CUT);
    /* payload that was not captured does not matter */
    host_lab_bytes(l, HOST_WAY_OUT, WIRE_LINK_ETHERNET, l->bytes, 14 + 20 + 8, n, 1);
    assert_int_equal(l->outcome.note, HOST_NOTE_NONE);
}

/* ---- loopback ----------------------------------------------------------------------------------------- */

static void ORD_19_loopback(void **state)
{
    struct host_lab *l = *state;
    struct host_endpoint *e = bound(l, 4, WIRE_PROTOCOL_TCP, 80);
    struct host_endpoint *u = bound(l, 4, WIRE_PROTOCOL_UDP, 53);
    struct packet p = {.link = PACKET_RAW,
                       .src = "127.0.0.1",
                       .dst = "127.0.0.1",
                       .protocol = WIRE_PROTOCOL_TCP,
                       .tcp_flags = WIRE_TCP_SYN,
                       .sport = 50000,
                       .dport = 80,
                       .seq = 100};
    UINT64 client, server;

    on_interface(l, HOST_WAY_UNKNOWN, 2, &p);
    assert_string_equal(l->seen, "BR RES CR AC SPK OT OI II IT(ALE) RA SPK");
    assert_fate(l, HOST_PASSED, HOST_NOTE_NONE);
    client = l->outcome.sender_flow_id;
    server = l->outcome.flow_id;
    assert_true(client != 0 && server != 0 && client != server);
    assert_true(l->outcome.inbound && l->outcome.outbound);
    for (unsigned i = 0; i < l->event_count; i++)
        if (i > 1) /* not of a bind */
            assert_true((l->events[i].flags & FWP_CONDITION_FLAG_IS_LOOPBACK) != 0 ||
                        engine_layer_field(engine_layer_by_id(l->events[i].layer_id), &FWPM_CONDITION_FLAGS) <
                            0);
    p = packet_reverse(&p);
    p.tcp_flags = WIRE_TCP_SYN | WIRE_TCP_ACK;
    p.seq = 900;
    p.ack = 101;
    on_interface(l, HOST_WAY_UNKNOWN, 2, &p);
    assert_string_equal(l->seen, "SPK OT OI II IT SPK FE");
    assert_true(l->outcome.sender_flow_id == server && l->outcome.flow_id == client);
    /* two addresses of the host's own are no different */
    p = (struct packet){.src = "10.0.0.1", .dst = "10.0.0.1", .sport = 50000, .dport = 53, .fill = 4};
    on_interface(l, HOST_WAY_UNKNOWN, 1, &p);
    assert_string_equal(l->seen, "BR RES CR AC FE DD OT OI II IT(ALE) RA FE DD");
    host_lab_rule(l, "block OI flags~IS_LOOPBACK");
    on_interface(l, HOST_WAY_UNKNOWN, 1, &p);
    assert_string_equal(l->seen, "DD OT OI OI_DISCARD(POLICY)");
    host_close(l->host, e);
    host_close(l->host, u);
}

/* ---- layer 2 ------------------------------------------------------------------------------------------ */

static void ORD_20_layer_2(void **state)
{
    struct host_lab *l = malloc(sizeof(*l));
    struct host_endpoint *e;

    (void)state;
    assert_non_null(l);
    lab(l, (struct host_knobs){.l2_layers = true})->l2 = true;
    e = bound(l, 4, WIRE_PROTOCOL_UDP, 53);
    LAB_IN(l, .sport = 40000, .dport = 53);
    assert_string_equal(l->seen, "MAC_IN_NATIVE MAC_IN II IT(ALE) RA FE DD");
    LAB_OUT(l, .sport = 53, .dport = 40000);
    assert_string_equal(l->seen, "DD OT OI MAC_OUT MAC_OUT_NATIVE");
    LAB_IN(l, .ether_type = 0x0806, .no_transport = true, .fill = 28);
    assert_string_equal(l->seen, "MAC_IN_NATIVE MAC_IN");
    assert_fate(l, HOST_IGNORED, HOST_NOTE_NONE);
    host_lab_rule(l, "block MAC_IN ether_type=0x0806");
    LAB_IN(l, .ether_type = 0x0806, .no_transport = true, .fill = 28);
    assert_string_equal(l->seen, "MAC_IN_NATIVE MAC_IN");
    assert_fate(l, HOST_BLOCKED, HOST_NOTE_NONE);
    host_lab_rule(l, "block MAC_OUT");
    LAB_OUT(l, .sport = 53, .dport = 40000);
    assert_string_equal(l->seen, "DD OT OI MAC_OUT");
    assert_fate(l, HOST_BLOCKED, HOST_NOTE_NONE);
    /* loopback does not come down to the adapter */
    LAB_OUT(l, .src = "10.0.0.1", .dst = "10.0.0.1", .sport = 50000, .dport = 53);
    assert_null(strstr(l->seen, "MAC"));
    host_close(l->host, e);
    host_lab_close(l);
    free(l);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, host_lab_setup, host_lab_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ORD_14_forwarded),
        TEST(ORD_14_hop_limit),
        TEST(ORD_14_weak_host),
        TEST(ORD_15_fragments_in),
        TEST(ORD_16_fragments_forwarded),
        TEST(ORD_16_fragments_out),
        TEST(ORD_17_policy_drops),
        TEST(ORD_17_absorbed),
        TEST(ORD_18_malformed),
        TEST(ORD_18_checksums),
        TEST(ORD_18_session_state),
        TEST(ORD_18_cut),
        TEST(ORD_19_loopback),
        TEST(ORD_20_layer_2),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
