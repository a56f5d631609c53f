/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Section 9 of the semantics: where a packet's data begins at each layer, what stands in front of it, and how
 * many packets an indication carries. Positions are counted by hand from the frames' descriptions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scene_lab.h"

/* Where the headers of a frame stand. */
struct places {
    uint32_t ip, transport, data;
};

static const uint8_t router_alert[4] = {0x94, 4, 0, 0};
static const uint8_t tcp_nops[4] = {1, 1, 1, 1};

/* Ethernet 14, IPv4 24 with its option, UDP 8. */
static const struct places udp4_places = {14, 38, 46};
#define UDP4 .ip_options = router_alert, .ip_options_size = 4, .sport = 500, .dport = 600, .fill = 30
/* Ethernet 14, IPv4 20, TCP 24 with its options. */
static const struct places tcp4_places = {14, 34, 58};
#define TCP4                                                                                                 \
    .protocol = WIRE_PROTOCOL_TCP, .tcp_options = tcp_nops, .tcp_options_size = 4, .sport = 500,             \
    .dport = 600, .tcp_flags = WIRE_TCP_ACK, .fill = 30
/* Ethernet 14, IPv6 40 and hop-by-hop options 8, UDP 8. */
static const struct places udp6_places = {14, 62, 70};
#define UDP6                                                                                                 \
    .src = "fd00::2", .dst = "fd00::1", .extensions = {{.type = 0}}, .extension_count = 1, .sport = 500,     \
    .dport = 600, .fill = 30
/* Ethernet 14, IPv4 20, ICMP 8. */
static const struct places icmp_places = {14, 34, 42};
#define ECHO .protocol = WIRE_PROTOCOL_ICMP, .icmp_type = 8, .icmp_id = 7, .icmp_seq = 9, .fill = 30

/* The layer shows the frame's bytes from `at` on, to the end; `reachable` bytes stand in front. */
static void shows(struct scene_lab *l, enum host_layer role, uint32_t at, uint32_t reachable)
{
    const struct scene_seen *s = &l->seen[0];

    scene_lab_indicate(l, role);
    assert_int_equal(l->count, 1);
    if (!s->packet)
        fail_msg("%s shows no packet", layer_short_name(role));
    if (s->size != l->size - at || memcmp(s->bytes, l->frame + at, s->size) != 0)
        fail_msg("%s: data begins %zu bytes before the end, not at %u of %zu", layer_short_name(role),
                 s->size, at, l->size);
    if (s->reachable != reachable)
        fail_msg("%s: %u bytes in front, not %u", layer_short_name(role), s->reachable, reachable);
}

static void shows_nothing(struct scene_lab *l, enum host_layer role)
{
    scene_lab_indicate(l, role);
    assert_int_equal(l->count, 1);
    if (l->seen[0].packet || l->seen[0].layer_data)
        fail_msg("%s shows a packet", layer_short_name(role));
}

static void PKT_01_inbound_ip_begins_at_the_transport_header(void **state)
{
    struct scene_lab *l = *state;

    SCENE_IN(l, UDP4);
    shows(l, LAYER_II, udp4_places.transport, 24);
    assert_int_equal(l->seen[0].metadata.ipHeaderSize, 24);
    SCENE_IN(l, TCP4);
    shows(l, LAYER_II, tcp4_places.transport, 20);
    SCENE_IN(l, UDP6);
    shows(l, LAYER_II, udp6_places.transport, 48);
    assert_int_equal(l->seen[0].metadata.ipHeaderSize, 48);
    SCENE_IN(l, ECHO);
    shows(l, LAYER_II, icmp_places.transport, 20);
}

static void PKT_01_discards_begin_where_the_stack_stopped(void **state)
{
    struct scene_lab *l = *state;
    const enum host_layer roles[] = {LAYER_II, LAYER_OI};

    for (int i = 0; i < 2; i++) {
        SCENE_IN(l, UDP4);
        l->scene.stopped_at = 22;
        scene_lab_discard(l, roles[i], FWPS_DISCARD_MODULE_NETWORK, IpDiscardBadChecksum);
        assert_int_equal(l->count, 1);
        assert_true(l->seen[0].packet);
        assert_int_equal(l->seen[0].size, l->size - 22);
        assert_memory_equal(l->seen[0].bytes, l->frame + 22, l->size - 22);
    }
    /* A block by policy stops it where the layer itself stands. */
    SCENE_IN(l, UDP4);
    l->scene.stopped_at = 22;
    host_lab_rule(&l->lab, "block II");
    assert_true(scene_lab_indicate(l, LAYER_II));
    assert_int_equal(l->count, 2);
    assert_int_equal(l->seen[1].layer, FWPS_LAYER_INBOUND_IPPACKET_V4_DISCARD);
    assert_int_equal(l->seen[1].size, l->size - udp4_places.transport);
    assert_int_equal(l->scene.stopped_at, 22);
    host_lab_rule(&l->lab, "block OI");
    SCENE_OUT(l, UDP4);
    assert_true(scene_lab_indicate(l, LAYER_OI));
    assert_int_equal(l->seen[1].size, l->size - udp4_places.ip);
}

static void PKT_02_outbound_and_forwarded_ip_begin_at_the_ip_header(void **state)
{
    struct scene_lab *l = *state;

    SCENE_OUT(l, UDP4);
    shows(l, LAYER_OI, udp4_places.ip, 0);
    SCENE_OUT(l, TCP4);
    shows(l, LAYER_OI, tcp4_places.ip, 0);
    SCENE_IN(l, UDP6);
    shows(l, LAYER_FW, udp6_places.ip, 0);
    scene_lab_discard(l, LAYER_FW, FWPS_DISCARD_MODULE_GENERAL, 0);
    assert_int_equal(l->seen[0].layer, FWPS_LAYER_IPFORWARD_V6_DISCARD);
    assert_int_equal(l->seen[0].size, l->size - udp6_places.ip);
}

static void PKT_03_inbound_transport_begins_at_the_data(void **state)
{
    struct scene_lab *l = *state;

    SCENE_IN(l, UDP4);
    shows(l, LAYER_IT, udp4_places.data, 32);
    SCENE_IN(l, TCP4);
    shows(l, LAYER_IT, tcp4_places.data, 44);
    SCENE_IN(l, UDP6);
    shows(l, LAYER_IT, udp6_places.data, 56);
    scene_lab_discard(l, LAYER_IT, FWPS_DISCARD_MODULE_TRANSPORT, InetDiscardEndpointNotFound);
    assert_int_equal(l->seen[0].layer, FWPS_LAYER_INBOUND_TRANSPORT_V6_DISCARD);
    assert_int_equal(l->seen[0].size, l->size - udp6_places.data);
    /* the stack's ICMP socket */
    SCENE_IN(l, ECHO);
    shows(l, LAYER_IT, icmp_places.transport, 20);
    /* a protocol without a header that the stack knows */
    SCENE_IN(l, .protocol = 47, .no_transport = true, .fill = 30);
    shows(l, LAYER_IT, 34, 20);
}

static void PKT_04_outbound_transport_has_no_ip_header(void **state)
{
    struct scene_lab *l = *state;

    SCENE_OUT(l, UDP4);
    shows(l, LAYER_OT, udp4_places.transport, 0);
    SCENE_OUT(l, TCP4);
    shows(l, LAYER_OT, tcp4_places.transport, 0);
    scene_lab_discard(l, LAYER_OT, FWPS_DISCARD_MODULE_TRANSPORT, InetDiscardEndpointNotFound);
    assert_int_equal(l->seen[0].size, l->size - tcp4_places.transport);
    assert_int_equal(l->seen[0].reachable, 0);
    SCENE_OUT(l, ECHO);
    shows(l, LAYER_OT, icmp_places.transport, 0);
}

static void PKT_05_data_and_ale_layers_follow_the_packets_direction(void **state)
{
    static const enum host_layer roles[] = {LAYER_DD, LAYER_RA, LAYER_FE, LAYER_SPK};
    struct scene_lab *l = *state;

    for (int i = 0; i < 4; i++) {
        SCENE_IN(l, UDP4);
        shows(l, roles[i], udp4_places.data, 32);
        SCENE_OUT(l, UDP4);
        shows(l, roles[i], udp4_places.transport, 0);
    }
    SCENE_IN(l, ECHO);
    shows(l, LAYER_DD, icmp_places.transport, 20);
    shows(l, LAYER_RA, icmp_places.transport, 20);
    SCENE_IN(l, TCP4);
    shows(l, LAYER_SPK, tcp4_places.data, 44);
    shows(l, LAYER_RA, tcp4_places.data, 44);
    SCENE_OUT(l, TCP4);
    shows(l, LAYER_SPK, tcp4_places.transport, 0);
}

static void PKT_05_connects_show_what_is_there(void **state)
{
    struct scene_lab *l = *state;

    SCENE_OUT(l, UDP4);
    shows(l, LAYER_AC, udp4_places.transport, 0);
    SCENE_OUT(l, TCP4);
    shows_nothing(l, LAYER_AC);
    /* reauthorized by a packet, of any protocol */
    SCENE_OUT(l, TCP4);
    l->scene.reauthorize = FWP_CONDITION_REAUTHORIZE_REASON_POLICY_CHANGE;
    shows(l, LAYER_AC, tcp4_places.transport, 0);
    SCENE_IN(l, TCP4);
    l->scene.reauthorize = FWP_CONDITION_REAUTHORIZE_REASON_POLICY_CHANGE;
    shows(l, LAYER_AC, tcp4_places.data, 44);
    SCENE_IN(l, UDP4);
    l->scene.reauthorize = FWP_CONDITION_REAUTHORIZE_REASON_NEW_ARRIVAL_INTERFACE;
    shows(l, LAYER_AC, udp4_places.data, 32);
    /* completed after it had been pended: nothing (ALE-25) */
    SCENE_OUT(l, UDP4);
    l->scene.reauthorize = FWP_CONDITION_REAUTHORIZE_REASON_CLASSIFY_COMPLETION;
    shows_nothing(l, LAYER_AC);
    /* who connected is told of the established flow before his ACK is sent (ALE-37) */
    SCENE_IN(l, TCP4);
    l->scene.connection_direction = FWP_DIRECTION_OUTBOUND;
    shows_nothing(l, LAYER_FE);
    l->scene.connection_direction = FWP_DIRECTION_INBOUND;
    shows(l, LAYER_FE, tcp4_places.data, 44);
}

static void PKT_06_icmp_errors_begin_at_the_quoted_packet_or_at_icmp(void **state)
{
    const struct packet quoted = {.src = "10.0.0.1", .dst = "10.0.0.9", .sport = 5, .dport = 6, .fill = 4};
    const struct packet sent = {.src = "10.0.0.9", .dst = "10.0.0.1", .sport = 5, .dport = 6, .fill = 4};
    struct scene_lab *l = *state;

    SCENE_IN(l, .src = "10.0.0.9", .dst = "10.0.0.1", .protocol = WIRE_PROTOCOL_ICMP, .icmp_type = 3,
             .icmp_code = 1, .quotes = &quoted);
    shows(l, LAYER_IIE, 42, 28);
    assert_int_equal(l->seen[0].bytes[0] >> 4, 4); /* the inner header's version */
    assert_memory_equal(l->seen[0].bytes + 12, "\x0a\x00\x00\x01\x0a\x00\x00\x09", 8);
    SCENE_OUT(l, .src = "10.0.0.1", .dst = "10.0.0.9", .protocol = WIRE_PROTOCOL_ICMP, .icmp_type = 3,
              .icmp_code = 3, .quotes = &sent);
    shows(l, LAYER_OIE, 34, 0);
}

static void PKT_07_the_stream_layer_shows_its_bytes_alone(void **state)
{
    static const uint8_t stream[] = "GET / HTTP/1.1";
    struct scene_lab *l = *state;

    for (uint8_t version = 4; version <= 6; version += 2) {
        SCENE_IN(l, TCP4);
        l->scene.version = version;
        l->scene.stream = stream;
        l->scene.stream_size = sizeof(stream) - 1;
        l->scene.stream_flags = FWPS_STREAM_FLAG_RECEIVE;
        scene_lab_indicate(l, LAYER_ST);
        assert_int_equal(l->seen[0].reachable, 0);
        assert_int_equal(l->seen[0].size, sizeof(stream) - 1);
        assert_memory_equal(l->seen[0].bytes, stream, sizeof(stream) - 1);
        assert_int_equal(l->seen[0].stream_flags, FWPS_STREAM_FLAG_RECEIVE);
        assert_int_equal(l->seen[0].stream_length, sizeof(stream) - 1);
    }
    /* the end of a stream has no data */
    l->scene.stream = NULL;
    l->scene.stream_size = 0;
    l->scene.stream_flags = FWPS_STREAM_FLAG_RECEIVE_DISCONNECT;
    scene_lab_indicate(l, LAYER_ST);
    assert_false(l->seen[0].packet);
    assert_true(l->seen[0].layer_data);
    assert_int_equal(l->seen[0].stream_flags, FWPS_STREAM_FLAG_RECEIVE_DISCONNECT);
}

static void PKT_07_operations_have_no_packet(void **state)
{
    static const enum host_layer roles[] = {LAYER_RES, LAYER_LIS, LAYER_RR, LAYER_EC, LAYER_CR, LAYER_BR};
    struct scene_lab *l = *state;

    for (size_t i = 0; i < ARRAYSIZE(roles); i++) {
        SCENE_IN(l, UDP4); /* a packet is what caused it */
        shows_nothing(l, roles[i]);
        SCENE_OUT(l, TCP4);
        shows_nothing(l, roles[i]);
    }
}

static void PKT_08_frames_begin_at_the_mac_header_or_behind_it(void **state)
{
    struct scene_lab *l = *state;

    l->lab.host->config.knobs.l2_layers = true;
    SCENE_IN(l, UDP4);
    shows(l, LAYER_MAC_IN, 14, 14);
    assert_int_equal(l->seen[0].metadata.ethernetMacHeaderSize, 14);
    assert_int_equal(l->seen[0].metadata.currentL2MetadataValues,
                     FWPS_L2_METADATA_FIELD_ETHERNET_MAC_HEADER_SIZE);
    shows(l, LAYER_MAC_IN_NATIVE, 0, 0);
    SCENE_OUT(l, UDP4);
    shows(l, LAYER_MAC_OUT, 0, 0);
    shows(l, LAYER_MAC_OUT_NATIVE, 0, 0);
    SCENE_IN(l, .vlan = 5, .fill = 4);
    shows(l, LAYER_MAC_IN, 18, 18);
    assert_int_equal(l->seen[0].metadata.ethernetMacHeaderSize, 18);
}

/* PKT-09: a clone made after the retreat begins with an IP version. */
static void retreats_to_ip(struct scene_lab *l, enum host_layer role, bool both)
{
    const struct scene_seen *s = &l->seen[0];
    uint32_t by;

    scene_lab_indicate(l, role);
    by = s->metadata.ipHeaderSize + (both ? s->metadata.transportHeaderSize : 0);
    assert_true(FWPS_IS_METADATA_FIELD_PRESENT(&s->metadata, FWPS_METADATA_FIELD_IP_HEADER_SIZE));
    assert_int_equal(by, s->reachable);
    assert_int_equal(l->size - s->size - by, 14);
    assert_int_equal(l->frame[l->size - s->size - by] >> 4, l->scene.version);
}

static void PKT_09_retreats_reach_the_ip_header(void **state)
{
    static const enum host_layer roles[] = {LAYER_IT, LAYER_RA, LAYER_DD};
    const struct packet quoted = {.src = "10.0.0.1", .dst = "10.0.0.9", .sport = 5, .dport = 6, .fill = 4};
    struct scene_lab *l = *state;

    for (size_t i = 0; i < ARRAYSIZE(roles); i++) {
        SCENE_IN(l, UDP4);
        retreats_to_ip(l, roles[i], true);
        SCENE_IN(l, TCP4);
        retreats_to_ip(l, roles[i], true);
        SCENE_IN(l, UDP6);
        retreats_to_ip(l, roles[i], true);
        SCENE_IN(l, ECHO); /* begins at its header, and says so */
        retreats_to_ip(l, roles[i], true);
        assert_int_equal(l->seen[0].metadata.transportHeaderSize, 0);
    }
    SCENE_IN(l, UDP6);
    retreats_to_ip(l, LAYER_II, false);
    SCENE_IN(l, .src = "10.0.0.9", .dst = "10.0.0.1", .protocol = WIRE_PROTOCOL_ICMP, .icmp_type = 3,
             .quotes = &quoted);
    retreats_to_ip(l, LAYER_IIE, false);
    assert_int_equal(l->seen[0].metadata.transportHeaderSize, 8); /* ICMP's */
}

/* ---- PKT-11: what the stack does to a packet that somebody kept -----------------------------------------
 */

static NET_BUFFER_LIST *kept;
static uint32_t kept_offset;

static void keep(struct host_lab_callout *c, FWPS_CLASSIFY_OUT0 *out)
{
    (void)out;
    kept = c->layer_data;
    kept_offset = ndis_packet_offset(kept);
}

static void PKT_11_received_packets_may_be_retreated_afterwards(void **state)
{
    struct host_lab_callout c = {.action = FWP_ACTION_PERMIT, .also = keep};
    struct host_lab_callout d = {.action = FWP_ACTION_PERMIT, .also = keep};
    struct scene_lab *l = *state;

    host_lab_callout(&l->lab, "RA", &c);
    host_lab_callout(&l->lab, "IT", &d);
    SCENE_IN(l, UDP4);
    scene_lab_indicate(l, LAYER_RA);
    assert_int_equal(kept_offset, 32);
    assert_int_equal(ndis_packet_offset(kept), kept_offset); /* not unless asked for */
    c.action = FWP_ACTION_BLOCK;
    c.flags = FWPS_CLASSIFY_OUT_FLAG_ABSORB;
    scene_lab_indicate(l, LAYER_RA);
    assert_int_equal(kept_offset, 32);
    assert_int_equal(ndis_packet_offset(kept), kept_offset - 8); /* or where it was refused, */
    l->scene.pended = &(const bool){true};
    scene_lab_indicate(l, LAYER_RA);
    assert_int_equal(ndis_packet_offset(kept), kept_offset); /* and nobody pended it */
    l->scene.pended = NULL;
    c.action = FWP_ACTION_PERMIT;
    c.flags = 0;
    l->lab.host->config.knobs.shift_receive_offset = true;
    scene_lab_indicate(l, LAYER_RA);
    assert_int_equal(kept_offset, 32);
    assert_int_equal(ndis_packet_offset(kept), kept_offset - 8);
    scene_lab_indicate(l, LAYER_IT); /* RA alone */
    assert_int_equal(ndis_packet_offset(kept), kept_offset);
    SCENE_OUT(l, UDP4); /* received ones alone */
    l->scene.reauthorize = FWP_CONDITION_REAUTHORIZE_REASON_POLICY_CHANGE;
    scene_lab_indicate(l, LAYER_RA);
    assert_int_equal(ndis_packet_offset(kept), kept_offset);
}

static void each_layer(struct scene_lab *l, void (*check)(const struct scene_seen *s))
{
    static const uint8_t stream[] = "data";

    for (int role = 0; role < LAYER_ROLES; role++) {
        for (int out = 0; out < 2; out++) {
            if (out)
                SCENE_OUT(l, UDP4);
            else
                SCENE_IN(l, UDP4);
            l->scene.stream = stream;
            l->scene.stream_size = 4;
            scene_lab_indicate(l, (enum host_layer)role);
            for (unsigned i = 0; i < l->count; i++)
                check(&l->seen[i]);
        }
    }
}

static void one_buffer(const struct scene_seen *s)
{
    assert_int_equal(s->buffers, s->packet ? 1 : 0);
}

static void PKT_12_a_received_list_holds_one_packet(void **state)
{
    struct scene_lab *l = *state;

    l->lab.host->config.knobs.split_mdl = 7; /* many MDLs are still one packet */
    each_layer(l, one_buffer);
    SCENE_IN(l, TCP4);
    shows(l, LAYER_IT, tcp4_places.data, 44);
}

static void no_chain(const struct scene_seen *s)
{
    assert_false(s->next);
}

static void PKT_13_lists_are_not_chained(void **state)
{
    each_layer(*state, no_chain);
}

/* ---- order and length -----------------------------------------------------------------------------------
 */

static void PKT_24_ip_layers_see_the_packet_before_and_after_its_headers(void **state)
{
    struct scene_lab *l = *state;

    /* II: also what is no sound transport header yet */
    SCENE_IN(l, .no_transport = true, .fill = 3);
    shows(l, LAYER_II, 34, 20);
    /* a fragment is seen as it is */
    SCENE_IN(l, .id = 77, .offset = 16, .more = true, .no_transport = true, .fill = 24);
    shows(l, LAYER_II, 34, 20);
    assert_int_equal(l->seen[0].metadata.fragmentMetadata.fragmentIdentification, 77);
    assert_int_equal(l->seen[0].metadata.fragmentMetadata.fragmentOffset, 16);
    assert_int_equal(l->seen[0].metadata.fragmentMetadata.fragmentLength, 24);
    /* OI: all headers are made; OT: raw and foreign transport packets pass it too */
    SCENE_OUT(l, .protocol = 47, .no_transport = true, .fill = 24);
    shows(l, LAYER_OI, 14, 0);
    shows(l, LAYER_OT, 34, 0);
}

static void PKT_24_padding_of_the_link_is_not_of_the_packet(void **state)
{
    struct scene_lab *l = *state;

    SCENE_IN(l, .fill = 2, .padding = 16);
    scene_lab_indicate(l, LAYER_II);
    assert_int_equal(l->seen[0].size, 10);
    l->lab.host->config.knobs.l2_layers = true;
    scene_lab_indicate(l, LAYER_MAC_IN);
    assert_int_equal(l->seen[0].size, l->size - 14);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, scene_lab_setup, scene_lab_teardown)
    const struct CMUnitTest tests[] = {
        TEST(PKT_01_inbound_ip_begins_at_the_transport_header),
        TEST(PKT_01_discards_begin_where_the_stack_stopped),
        TEST(PKT_02_outbound_and_forwarded_ip_begin_at_the_ip_header),
        TEST(PKT_03_inbound_transport_begins_at_the_data),
        TEST(PKT_04_outbound_transport_has_no_ip_header),
        TEST(PKT_05_data_and_ale_layers_follow_the_packets_direction),
        TEST(PKT_05_connects_show_what_is_there),
        TEST(PKT_06_icmp_errors_begin_at_the_quoted_packet_or_at_icmp),
        TEST(PKT_07_the_stream_layer_shows_its_bytes_alone),
        TEST(PKT_07_operations_have_no_packet),
        TEST(PKT_08_frames_begin_at_the_mac_header_or_behind_it),
        TEST(PKT_09_retreats_reach_the_ip_header),
        TEST(PKT_11_received_packets_may_be_retreated_afterwards),
        TEST(PKT_12_a_received_list_holds_one_packet),
        TEST(PKT_13_lists_are_not_chained),
        TEST(PKT_24_ip_layers_see_the_packet_before_and_after_its_headers),
        TEST(PKT_24_padding_of_the_link_is_not_of_the_packet),
    };
    return cmocka_run_group_tests_name("pkt_offsets", tests, NULL, NULL);
}
