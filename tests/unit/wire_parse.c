/* SPDX-License-Identifier: Apache-2.0 */
/* wire: what is said of sound frames: link headers, IPv4 and IPv6 with what may stand in them, transports. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "packets.h"
#include "wire_invariants.h"

#define SRC  "192.0.2.1"
#define DST  "198.51.100.2"
#define SRC6 "2001:db8::1"
#define DST6 "2001:db8:0:1::2"

static uint8_t frame[70000];

static void parse(const struct packet *p, struct wire_packet *w)
{
    const char *broken;

    packet_parse(p, frame, sizeof(frame), w);
    broken = wire_invariants(w);
    if (broken != NULL)
        fail_msg("not so: %s", broken);
}
#define PARSE(w, ...) parse(&(struct packet){__VA_ARGS__}, w)

static void address_is(const struct wire_packet *w, const union wire_addr *a, const char *text)
{
    char out[WIRE_ADDR_TEXT];

    assert_string_equal(wire_addr_format(w->version, a, out), text);
}

/* ---- link headers ---------------------------------------------------------------------------------- */

static void every_link_type(void **state)
{
    static const struct {
        const char *name;
        struct packet p;
        uint32_t ip_at, mac_at;
        uint16_t ether_type, vlan;
        uint8_t tags, cooked;
    } table[] = {
        {"ethernet", {.link = PACKET_ETHERNET}, 14, 0, 0x0800, WIRE_NO_VLAN, 0, 0},
        {"ethernet v6", {.src = SRC6}, 14, 0, 0x86dd, WIRE_NO_VLAN, 0, 0},
        {"802.1Q", {.vlan = 0x6005}, 18, 0, 0x0800, 5, 1, 0},
        {"802.1ad", {.vlan = 5, .outer_vlan = 0x2007}, 22, 0, 0x0800, 7, 2, 0},
        {"priority tag only", {.vlan = 0xe000}, 18, 0, 0x0800, 0, 1, 0},
        {"SNAP", {.snap = true}, 22, 0, 0x0800, WIRE_NO_VLAN, 0, 0},
        {"SNAP v6 in a VLAN", {.snap = true, .vlan = 9, .src = SRC6}, 26, 0, 0x86dd, 9, 1, 0},
        {"raw", {.link = PACKET_RAW}, 0, UINT32_MAX, 0, WIRE_NO_VLAN, 0, 0},
        {"raw v6", {.link = PACKET_RAW, .src = SRC6}, 0, UINT32_MAX, 0, WIRE_NO_VLAN, 0, 0},
        {"IPV4", {.link = PACKET_IPV4}, 0, UINT32_MAX, 0, WIRE_NO_VLAN, 0, 0},
        {"IPV6", {.link = PACKET_IPV6, .src = SRC6}, 0, UINT32_MAX, 0, WIRE_NO_VLAN, 0, 0},
        {"SLL to us", {.link = PACKET_SLL}, 16, UINT32_MAX, 0x0800, WIRE_NO_VLAN, 0, WIRE_COOKED_TO_US},
        {"SLL from us",
         {.link = PACKET_SLL, .cooked = WIRE_COOKED_FROM_US},
         16,
         UINT32_MAX,
         0x0800,
         WIRE_NO_VLAN,
         0,
         WIRE_COOKED_FROM_US},
        {"SLL tagged", {.link = PACKET_SLL, .vlan = 3}, 20, UINT32_MAX, 0x0800, 3, 1, WIRE_COOKED_TO_US},
        {"SLL2",
         {.link = PACKET_SLL2, .cooked = WIRE_COOKED_MULTICAST, .src = SRC6},
         20,
         UINT32_MAX,
         0x86dd,
         WIRE_NO_VLAN,
         0,
         WIRE_COOKED_MULTICAST},
        {"NULL", {.link = PACKET_NULL}, 4, UINT32_MAX, 0, WIRE_NO_VLAN, 0, 0},
        {"NULL swapped", {.link = PACKET_NULL_SWAPPED}, 4, UINT32_MAX, 0, WIRE_NO_VLAN, 0, 0},
        {"NULL v6", {.link = PACKET_NULL, .src = SRC6}, 4, UINT32_MAX, 0, WIRE_NO_VLAN, 0, 0},
        {"LOOP", {.link = PACKET_LOOP}, 4, UINT32_MAX, 0, WIRE_NO_VLAN, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct packet p = table[i].p;
        struct wire_packet w;

        p.sport = 7, p.dport = 9, p.data = "x";
        parse(&p, &w);
        if (w.reached != WIRE_TRANSPORT || w.destination_port != 9)
            fail_msg("%s: reached %u, fault %s", table[i].name, w.reached, wire_fault_words(w.fault));
        assert_int_equal(w.version, p.src != NULL ? 6 : 4);
        assert_int_equal(w.ip_at, table[i].ip_at);
        assert_int_equal(w.mac_at, table[i].mac_at);
        assert_int_equal(w.ether_type, table[i].ether_type);
        assert_int_equal(w.vlan, table[i].vlan);
        assert_int_equal(w.vlan_tags, table[i].tags);
        assert_int_equal(w.cooked, table[i].cooked);
        assert_int_equal(w.link_type, packet_link_type(p.link));
        assert_true(wire_link_known(w.link_type));
        assert_ptr_equal(w.frame, frame);
    }
}

static void families_of_all_systems(void **state)
{
    static const uint8_t numbers[] = {10, 23, 24, 28, 30};
    struct wire_packet w;
    size_t n;

    (void)state;
    n = PACKET(frame, .link = PACKET_NULL, .src = SRC6, .data = "x");
    for (size_t i = 0; i < sizeof(numbers); i++) {
        memset(frame, 0, 4);
        frame[0] = numbers[i];
        wire_parse(WIRE_LINK_NULL, frame, (uint32_t)n, (uint32_t)n, &w);
        assert_int_equal(w.reached, WIRE_TRANSPORT);
        memset(frame, 0, 4);
        frame[3] = numbers[i];
        wire_parse(WIRE_LINK_LOOP, frame, (uint32_t)n, (uint32_t)n, &w);
        assert_int_equal(w.reached, WIRE_TRANSPORT);
    }
    frame[3] = 7; /* another family: not IP, nothing wrong */
    wire_parse(WIRE_LINK_LOOP, frame, (uint32_t)n, (uint32_t)n, &w);
    assert_int_equal(w.reached, WIRE_LINK);
    assert_int_equal(w.fault, WIRE_OK);
    assert_int_equal(w.ip_at, 4);
}

static void the_same_link_by_other_numbers(void **state)
{
    static const uint16_t raw[] = {WIRE_LINK_RAW_BSD, WIRE_LINK_RAW_OPENBSD, WIRE_LINK_RAW};
    struct wire_packet w;
    size_t n = PACKET(frame, .link = PACKET_RAW, .dport = 53);

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        wire_parse(raw[i], frame, (uint32_t)n, (uint32_t)n, &w);
        assert_int_equal(w.destination_port, 53);
        assert_int_equal(w.link_type, raw[i]);
    }
    wire_parse_ip(frame, (uint32_t)n, (uint32_t)n, &w);
    assert_int_equal(w.destination_port, 53);
    assert_int_equal(w.ip_at, 0);
}

/* What is no IP ends at the link, without a fault. */
static void not_ip(void **state)
{
    static const uint16_t types[] = {0x0806, 0x8847, 0x8863, 0x8864, 0x88cc, 0x22f3, 1501, 1535};
    static const uint8_t llc[60] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0, 46, 0x42, 0x42, 3};
    static const uint8_t lone_llc[17] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0, 2, 0x42, 0x42, 3};
    struct wire_packet w;

    (void)state;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        PARSE(&w, .ether_type = types[i], .data = "x");
        assert_int_equal(w.reached, WIRE_LINK);
        assert_int_equal(w.fault, WIRE_OK);
        assert_int_equal(w.ether_type, types[i]);
        assert_int_equal(w.version, 0);
        assert_int_equal(w.ip_at, 14);
    }
    wire_parse(WIRE_LINK_ETHERNET, llc, sizeof(llc), sizeof(llc), &w);
    assert_int_equal(w.reached, WIRE_LINK);
    assert_int_equal(w.ether_type, 0);
    wire_parse(WIRE_LINK_ETHERNET, lone_llc, sizeof(lone_llc), sizeof(lone_llc), &w);
    assert_int_equal(w.reached, WIRE_LINK);
    wire_parse(105, llc, sizeof(llc), sizeof(llc), &w); /* a link type that nobody here knows */
    assert_int_equal(w.reached, WIRE_NOTHING);
    assert_int_equal(w.fault, WIRE_OK);
    assert_false(wire_link_known(105));
}

static void llc_has_a_number_for_ip(void **state)
{
    uint8_t ip[100], llc[117] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0, 0, 6, 6, 3};
    size_t n = PACKET(ip, .link = PACKET_RAW, .dport = 53);
    struct wire_packet w;

    (void)state;
    memcpy(llc + 17, ip, n);
    llc[13] = (uint8_t)(n + 3);
    wire_parse(WIRE_LINK_ETHERNET, llc, (uint32_t)n + 17, (uint32_t)n + 17, &w);
    assert_int_equal(w.destination_port, 53);
    assert_int_equal(w.ip_at, 17);
}

/* ---- IPv4 ------------------------------------------------------------------------------------------ */

static void ipv4_members(void **state)
{
    struct wire_packet w;

    (void)state;
    PARSE(&w, .src = SRC, .dst = DST, .ttl = 3, .traffic_class = 0xb9, .id = 0xbeef, .dont_fragment = true,
          .ip_options = "\x94\4\0\0", .ip_options_size = 4, .sport = 1000, .dport = 53, .data = "hello");
    assert_int_equal(w.reached, WIRE_TRANSPORT);
    assert_int_equal(w.fault, WIRE_OK);
    assert_int_equal(w.version, 4);
    address_is(&w, &w.source, SRC);
    address_is(&w, &w.destination, DST);
    assert_int_equal(w.source.v4, 0xc0000201);
    assert_int_equal(w.ttl, 3);
    assert_int_equal(w.traffic_class, 0xb9);
    assert_int_equal(w.fragment_id, 0xbeef);
    assert_int_equal(w.ip_flags, WIRE_IP_DONT_FRAGMENT);
    assert_false(w.fragment);
    assert_int_equal(w.ip_header_size, 24);
    assert_int_equal(w.ip_length, 24 + 8 + 5);
    assert_int_equal(w.protocol, WIRE_PROTOCOL_UDP);
    assert_int_equal(w.transport_at, 14 + 24);
    assert_int_equal(w.transport_header_size, 8);
    assert_int_equal(w.source_port, 1000);
    assert_int_equal(w.destination_port, 53);
    assert_int_equal(w.data_at, 14 + 24 + 8);
    assert_int_equal(w.data_length, 5);
    assert_memory_equal(frame + w.data_at, "hello", 5);
}

static void padding_is_not_of_the_packet(void **state)
{
    struct wire_packet w;

    (void)state;
    PARSE(&w, .protocol = WIRE_PROTOCOL_TCP, .tcp_flags = WIRE_TCP_ACK, .padding = 6);
    assert_int_equal(w.length, 60);
    assert_int_equal(w.ip_length, 40);
    assert_int_equal(w.data_length, 0);
    PARSE(&w, .src = SRC6, .protocol = 47, .data = "abc", .padding = 6);
    assert_int_equal(w.ip_length, 43);
    assert_int_equal(w.data_length, 3);
    PARSE(&w, .src = SRC6, .protocol = 59, .padding = 6); /* payload length 0, and so it is */
    assert_int_equal(w.ip_length, 40);
    assert_int_equal(w.data_length, 0);
    assert_int_equal(w.reached, WIRE_TRANSPORT);
}

/* What offloading senders' captures show: length 0, longer than the field could say. */
static void length_zero_is_the_frames(void **state)
{
    struct wire_packet w;

    (void)state;
    PARSE(&w, .protocol = WIRE_PROTOCOL_TCP, .tcp_flags = WIRE_TCP_ACK, .fill = 3000, .ip_length = -1);
    assert_int_equal(w.reached, WIRE_TRANSPORT);
    assert_int_equal(w.ip_length, 3040);
    assert_int_equal(w.data_length, 3000);
    assert_true(wire_verify(&w));
    PARSE(&w, .src = SRC6, .protocol = WIRE_PROTOCOL_TCP, .tcp_flags = WIRE_TCP_ACK, .fill = 3000,
          .ip_length = -1);
    assert_int_equal(w.reached, WIRE_TRANSPORT);
    assert_int_equal(w.ip_length, 3060);
    assert_int_equal(w.data_length, 3000);
}

static void a_checksum_left_to_the_adapter(void **state)
{
    struct wire_packet w;
    size_t n = PACKET(frame, .dport = 53);

    (void)state;
    frame[14 + 10] = frame[14 + 11] = 0;
    wire_parse(WIRE_LINK_ETHERNET, frame, (uint32_t)n, (uint32_t)n, &w);
    assert_int_equal(w.reached, WIRE_TRANSPORT);
    assert_true(w.ip_checksum_wrong);
    PARSE(&w, .dport = 53);
    assert_false(w.ip_checksum_wrong);
    PARSE(&w, .dport = 53, .bad = PACKET_BAD_IP_SUM);
    assert_true(w.reached == WIRE_TRANSPORT && w.fault == WIRE_OK && w.ip_checksum_wrong);
    PARSE(&w, .dport = 53, .bad = PACKET_BAD_IP_SUM, .ip_options = "\1\1\1", .ip_options_size = 3);
    assert_true(w.reached == WIRE_TRANSPORT && w.fault == WIRE_OK && w.ip_checksum_wrong);
    PARSE(&w, .dport = 53, .ip_options = "\1\1\1", .ip_options_size = 3);
    assert_false(w.ip_checksum_wrong);
}

static void ipv4_fragments(void **state)
{
    struct packet p = {.sport = 7, .dport = 9, .fill = 3000, .id = 77, .padding = 3};
    struct wire_packet w;
    uint32_t n;

    (void)state;
    n = (uint32_t)packet_fragment(&p, 0, 1480, frame, sizeof(frame));
    wire_parse(WIRE_LINK_ETHERNET, frame, n, n, &w);
    assert_null(wire_invariants(&w));
    assert_int_equal(w.reached, WIRE_TRANSPORT); /* the first one has the ports */
    assert_int_equal(w.fault, WIRE_OK);
    assert_true(w.fragment);
    assert_int_equal(w.ip_flags, WIRE_IP_MORE_FRAGMENTS);
    assert_int_equal(w.destination_port, 9);
    assert_int_equal(w.data_length, 1480 - 8);

    n = (uint32_t)packet_fragment(&p, 2960, 1480, frame, sizeof(frame));
    wire_parse(WIRE_LINK_ETHERNET, frame, n, n, &w);
    assert_null(wire_invariants(&w));
    assert_int_equal(w.reached, WIRE_NETWORK);
    assert_int_equal(w.fault, WIRE_OK);
    assert_int_equal(w.fragment_offset, 2960);
    assert_int_equal(w.ip_flags, 0);
    assert_int_equal(w.fragment_id, 77);
    assert_int_equal(w.protocol, WIRE_PROTOCOL_UDP);
    assert_int_equal(w.data_length, 48);
    assert_int_equal(w.data_at, 34);

    n = (uint32_t)packet_fragment(&p, 0, 8, frame, sizeof(frame)); /* the UDP header alone */
    wire_parse(WIRE_LINK_ETHERNET, frame, n, n, &w);
    assert_int_equal(w.reached, WIRE_TRANSPORT);
    p.protocol = WIRE_PROTOCOL_TCP;
    n = (uint32_t)packet_fragment(&p, 0, 16, frame,
                                  sizeof(frame)); /* part of a TCP header: wait for the rest */
    wire_parse(WIRE_LINK_ETHERNET, frame, n, n, &w);
    assert_int_equal(w.reached, WIRE_NETWORK);
    assert_int_equal(w.fault, WIRE_OK);
    assert_false(w.cut);
}

/* ---- IPv6 ------------------------------------------------------------------------------------------ */

static void ipv6_members(void **state)
{
    struct wire_packet w;

    (void)state;
    PARSE(&w, .src = SRC6, .dst = DST6, .ttl = 255, .traffic_class = 0xb9, .sport = 1000, .dport = 53,
          .data = "hello");
    assert_int_equal(w.reached, WIRE_TRANSPORT);
    assert_int_equal(w.version, 6);
    address_is(&w, &w.source, SRC6);
    address_is(&w, &w.destination, DST6);
    assert_int_equal(w.ttl, 255);
    assert_int_equal(w.traffic_class, 0xb9);
    assert_int_equal(w.ip_header_size, 40);
    assert_int_equal(w.ip_length, 40 + 8 + 5);
    assert_int_equal(w.transport_at, 14 + 40);
    assert_int_equal(w.data_length, 5);
    assert_false(w.fragment);
}

#define ROUTER_ALERT "\5\2\0\0\1\0"
#define PADN4        "\1\4\0\0\0\0"

static void extension_headers(void **state)
{
    struct wire_packet w;

    (void)state;
    PARSE(&w, .src = SRC6, .dport = 53, .extension_count = 3,
          .extensions = {{0, ROUTER_ALERT, 6}, {43, "\0\0\0\0\0\0", 6}, {60, PADN4 "\1\6\0\0\0\0\0\0", 14}});
    assert_int_equal(w.reached, WIRE_TRANSPORT);
    assert_int_equal(w.protocol, WIRE_PROTOCOL_UDP);
    assert_int_equal(w.ip_header_size, 40 + 8 + 8 + 16);
    assert_int_equal(w.destination_port, 53);
    assert_false(w.fragment);
    PARSE(&w, .src = SRC6, .dport = 53, .extension_count = 1, /* a correspondent's home address */
          .extensions = {{60, "\1\2\0\0\xc9\x10\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20", 22}});
    assert_int_equal(w.reached, WIRE_TRANSPORT);
}

static void headers_that_are_payload(void **state)
{
    static const uint8_t types[] = {4, 41, 47, 50, 51, 59, 135, 139, 140, 253};
    struct wire_packet w;

    (void)state;
    for (size_t i = 0; i < sizeof(types); i++) {
        PARSE(&w, .src = SRC6, .protocol = types[i], .data = "\6\0abcdefghijklmn", .size = 16);
        assert_int_equal(w.reached, WIRE_TRANSPORT);
        assert_int_equal(w.protocol, types[i]);
        assert_int_equal(w.transport_header_size, 0);
        assert_int_equal(w.data_at, 54);
        assert_int_equal(w.data_length, 16);
        assert_int_equal(w.source_port | w.destination_port, 0);
        PARSE(&w, .protocol = types[i], .data = "\6\0abcdefghijklmn", .size = 16);
        assert_int_equal(w.reached, WIRE_TRANSPORT);
        assert_int_equal(w.data_at, 34);
    }
    /* ICMP of the other family is nothing but payload */
    PARSE(&w, .protocol = WIRE_PROTOCOL_ICMPV6, .no_transport = true, .data = "\200\0\0\0\0\1\0\1",
          .size = 8);
    assert_int_equal(w.transport_header_size, 0);
    assert_int_equal(w.icmp_type, 0);
}

static void ipv6_fragments(void **state)
{
    struct packet p = {.src = SRC6,
                       .sport = 7,
                       .dport = 9,
                       .fill = 3000,
                       .id = 0x12345678,
                       .extension_count = 2,
                       .after_fragment = 1,
                       .extensions = {{0, ROUTER_ALERT, 6}, {60, PADN4, 6}}};
    struct wire_packet w;
    uint32_t n;

    (void)state;
    n = (uint32_t)packet_fragment(&p, 0, 1232, frame, sizeof(frame));
    wire_parse(WIRE_LINK_ETHERNET, frame, n, n, &w);
    assert_null(wire_invariants(&w));
    assert_int_equal(w.reached, WIRE_TRANSPORT);
    assert_int_equal(w.destination_port, 9);
    assert_true(w.fragment && w.ip6_unfragmented_headers);
    assert_int_equal(w.fragment_header_at, 14 + 48);
    assert_int_equal(w.ip_header_size, 40 + 8 + 8 + 8);
    assert_int_equal(w.ip_flags, WIRE_IP_MORE_FRAGMENTS);
    assert_int_equal(w.fragment_id, 0x12345678);

    n = (uint32_t)packet_fragment(&p, 2464, 1232, frame, sizeof(frame));
    wire_parse(WIRE_LINK_ETHERNET, frame, n, n, &w);
    assert_null(wire_invariants(&w));
    assert_int_equal(w.reached, WIRE_NETWORK);
    assert_int_equal(w.protocol, 60); /* of what the first one has there */
    assert_int_equal(w.fragment_offset, 2464);
    assert_int_equal(w.ip_header_size, 40 + 8 + 8);
    assert_int_equal(w.data_length, 8 + 8 + 3000 - 2464);

    PARSE(&w, .src = SRC6, .dport = 53, .fragment = true, .id = 5, .data = "x"); /* an atomic one */
    assert_int_equal(w.reached, WIRE_TRANSPORT);
    assert_true(w.fragment);
    assert_false(w.ip6_unfragmented_headers);
    assert_int_equal(w.ip_flags, 0);
    assert_int_equal(w.fragment_offset, 0);
}

/* ---- transports ------------------------------------------------------------------------------------ */

static void tcp_members(void **state)
{
    struct wire_packet w;

    (void)state;
    PARSE(&w, .protocol = WIRE_PROTOCOL_TCP, .sport = 40000, .dport = 443, .seq = 0xfffffff0,
          .ack = 0x80000001, .tcp_flags = 0xff, .window = 0x1234, .tcp_options = "\2\4\5\xb4\1\3\3\7\4\2",
          .tcp_options_size = 10, .data = "hello");
    assert_int_equal(w.reached, WIRE_TRANSPORT);
    assert_int_equal(w.source_port, 40000);
    assert_int_equal(w.destination_port, 443);
    assert_true(w.tcp_seq == 0xfffffff0 && w.tcp_ack == 0x80000001);
    assert_int_equal(w.tcp_flags, 0xff);
    assert_int_equal(w.tcp_window, 0x1234);
    assert_int_equal(w.transport_header_size, 32);
    assert_int_equal(w.data_at, 14 + 20 + 32);
    assert_int_equal(w.data_length, 5);
    PARSE(&w, .protocol = WIRE_PROTOCOL_TCP, .tcp_options = "\1\1\10\12\1\2\3\4\5\6\7\10",
          .tcp_options_size = 12);
    assert_int_equal(w.transport_header_size, 32);
}

static void udp_shorter_than_ip_says(void **state)
{
    struct wire_packet w;

    (void)state;
    PARSE(&w, .fill = 100, .udp_length = 58);
    assert_int_equal(w.reached, WIRE_TRANSPORT);
    assert_int_equal(w.data_length, 50);
    assert_int_equal(w.ip_length, 128);
}

static void icmp_members(void **state)
{
    static const uint8_t echoes[2][2] = {{0, 8}, {128, 129}};
    struct wire_packet w;

    (void)state;
    for (unsigned v = 0; v < 2; v++) {
        const char *src = v == 0 ? SRC : SRC6;

        for (unsigned i = 0; i < 2; i++) {
            PARSE(&w, .src = src, .protocol = WIRE_PROTOCOL_ICMP, .icmp_type = echoes[v][i], .icmp_code = 0,
                  .icmp_id = 0xabcd, .icmp_seq = 0x1234, .data = "ping");
            assert_int_equal(w.icmp_type, echoes[v][i]);
            assert_int_equal(w.icmp_id, 0xabcd);
            assert_int_equal(w.icmp_sequence, 0x1234);
            assert_int_equal(w.transport_header_size, 8);
            assert_int_equal(w.data_length, 4);
            assert_int_equal(w.source_port | w.destination_port, 0);
        }
        PARSE(&w, .src = src, .protocol = WIRE_PROTOCOL_ICMP, .icmp_type = 3, .icmp_code = 7, .icmp_id = 99);
        assert_int_equal(w.icmp_type, 3);
        assert_int_equal(w.icmp_code, 7);
        assert_int_equal(w.icmp_id, 0); /* only echo has one */
    }
    PARSE(&w, .protocol = WIRE_PROTOCOL_ICMP, .no_transport = true, .data = "\21\0\0\0", .size = 4);
    assert_int_equal(w.reached, WIRE_TRANSPORT);
    assert_int_equal(w.transport_header_size, 4);
    assert_int_equal(w.data_length, 0);
}

/* Most Ethernet frames are read in one go (plain.c), and loose packets; frames of raw IP never are: what is behind the link
 * header is the same. */
static void plain_frames_are_read_as_all(void **state)
{
    static const uint8_t stamp[] = {1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8};
    uint64_t x = 0x9e3779b97f4a7c15ull;
    unsigned sound = 0;

    (void)state;
    for (unsigned n = 0; n < 60000; n++) {
        uint8_t bytes[256];
        const bool tcp = n % 3 != 0, six = n % 4 == 1;
        struct packet p = {.src = six ? "2001:db8::1" : NULL,
                           .dst = six ? "2001:db8::2" : NULL,
                           .protocol = tcp ? WIRE_PROTOCOL_TCP : WIRE_PROTOCOL_UDP,
                           .sport = 40000,
                           .dport = 80,
                           .tcp_flags = WIRE_TCP_ACK,
                           .fill = n % 40,
                           .tcp_options = tcp && n % 2 ? stamp : NULL,
                           .tcp_options_size = tcp && n % 2 ? sizeof(stamp) : 0,
                           .padding = n % 5 == 0 ? 9 : 0};
        size_t size = packet_build(&p, bytes, sizeof(bytes)), captured = size;
        struct wire_packet a, b, loose;

        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        for (unsigned k = 0; k < (x & 3); k++) /* something in the headers is another */
            bytes[14 + (x >> (8 + 8 * k)) % 74 % (size - 14)] = (uint8_t)(x >> (32 + 8 * k));
        if (n % 7 == 0)
            captured = 14 + (x >> 40) % (size - 13);
        wire_parse(WIRE_LINK_ETHERNET, bytes, (uint32_t)captured, (uint32_t)size, &a);
        wire_parse(six ? WIRE_LINK_IPV6 : WIRE_LINK_IPV4, bytes + 14, (uint32_t)captured - 14,
                   (uint32_t)size - 14, &b);
        sound += a.reached == WIRE_TRANSPORT;
        assert_ptr_equal(a.frame, bytes);
        assert_int_equal(a.captured, captured);
        assert_int_equal(a.length, size);
        assert_int_equal(a.link_type, WIRE_LINK_ETHERNET);
        assert_int_equal(a.ether_type, six ? 0x86dd : 0x0800);
        assert_int_equal(a.mac_at, 0);
        assert_int_equal(a.ip_at, 14);
        a.frame = b.frame;
        a.captured -= 14;
        a.length -= 14;
        a.link_type = b.link_type;
        a.ether_type = b.ether_type;
        a.mac_at = b.mac_at;
        a.ip_at -= 14;
        a.fault_at -= a.fault != WIRE_OK ? 14 : 0;
        a.transport_at -= a.transport_at != 0 ? 14 : 0;
        a.data_at -= a.data_at != 0 ? 14 : 0;
        assert_memory_equal(&a, &b, sizeof(a));
        wire_parse_ip(bytes + 14, (uint32_t)captured - 14, (uint32_t)size - 14, &loose);
        wire_parse(WIRE_LINK_RAW, bytes + 14, (uint32_t)captured - 14, (uint32_t)size - 14, &b);
        assert_memory_equal(&loose, &b, sizeof(b));
    }
    assert_in_range(sound, 20000, 59000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_link_type),
        cmocka_unit_test(families_of_all_systems),
        cmocka_unit_test(the_same_link_by_other_numbers),
        cmocka_unit_test(not_ip),
        cmocka_unit_test(llc_has_a_number_for_ip),
        cmocka_unit_test(ipv4_members),
        cmocka_unit_test(padding_is_not_of_the_packet),
        cmocka_unit_test(length_zero_is_the_frames),
        cmocka_unit_test(a_checksum_left_to_the_adapter),
        cmocka_unit_test(ipv4_fragments),
        cmocka_unit_test(ipv6_members),
        cmocka_unit_test(extension_headers),
        cmocka_unit_test(headers_that_are_payload),
        cmocka_unit_test(ipv6_fragments),
        cmocka_unit_test(tcp_members),
        cmocka_unit_test(udp_shorter_than_ip_says),
        cmocka_unit_test(icmp_members),
        cmocka_unit_test(plain_frames_are_read_as_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
