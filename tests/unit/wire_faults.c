/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire: every fault, at the byte where it stands; and frames cut at every byte, by the capture (no fault) and
 * as sent. Buffers have the exact size, so that a sanitizer sees a byte too far.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "packets.h"
#include "wire_invariants.h"

#define V6 .src = "2001:db8::1"

/* A frame parsed from a block of exactly its captured size. */
static uint8_t *parse_exact(uint16_t link, const uint8_t *frame, size_t captured, size_t length,
                            struct wire_packet *w)
{
    uint8_t *exact = malloc(captured != 0 ? captured : 1);
    const char *broken;

    assert_non_null(exact);
    memcpy(exact, frame, captured);
    wire_parse(link, captured != 0 ? exact : exact + 1, (uint32_t)captured, (uint32_t)length, w);
    broken = wire_invariants(w);
    if (broken != NULL)
        fail_msg("captured %zu of %zu: not so: %s", captured, length, broken);
    return exact;
}

/* ---- faults ---------------------------------------------------------------------------------------- */

struct fault_case {
    const char *name;
    struct packet p;
    enum wire_fault fault;
    uint8_t reached, version;
    uint32_t at;
    size_t drop; /* so many bytes of the end were never sent */
};

#define IP  14
#define T4  (IP + 20) /* transport */
#define T6  (IP + 40)
#define RAW .link = PACKET_RAW

static const struct fault_case faults[] = {
    /* link */
    {"ethernet of 13 bytes", {.ttl = 1}, WIRE_FAULT_LINK_SHORT, WIRE_NOTHING, 0, 0, 28 + 1},
    {"half a tag", {.vlan = 4}, WIRE_FAULT_LINK_SHORT, WIRE_NOTHING, 0, 14, 28 + 2},
    {"SNAP of 6 bytes", {.snap = true}, WIRE_FAULT_LINK_SHORT, WIRE_NOTHING, 0, 14, 28 + 2},
    {"SLL of 15 bytes", {.link = PACKET_SLL}, WIRE_FAULT_LINK_SHORT, WIRE_NOTHING, 0, 0, 28 + 1},
    {"SLL2 of 19 bytes", {.link = PACKET_SLL2}, WIRE_FAULT_LINK_SHORT, WIRE_NOTHING, 0, 0, 28 + 1},
    {"NULL of 3 bytes", {.link = PACKET_NULL}, WIRE_FAULT_LINK_SHORT, WIRE_NOTHING, 0, 0, 28 + 1},
    /* version */
    {"raw version 5", {RAW, .version = 5}, WIRE_FAULT_IP_VERSION, WIRE_LINK, 0, 0, 0},
    {"type says 4, header 6", {.version = 6}, WIRE_FAULT_IP_VERSION, WIRE_LINK, 0, IP, 0},
    {"type says 6, header 4", {V6, .version = 4}, WIRE_FAULT_IP_VERSION, WIRE_LINK, 0, IP, 0},
    {"link says 4, header 6", {.link = PACKET_IPV4, V6}, WIRE_FAULT_IP_VERSION, WIRE_LINK, 0, 0, 0},
    {"link says 6, header 4", {.link = PACKET_IPV6}, WIRE_FAULT_IP_VERSION, WIRE_LINK, 0, 0, 0},
    /* IPv4 */
    {"nothing after the link", {.ttl = 1}, WIRE_FAULT_IP_SHORT, WIRE_LINK, 0, IP, 28},
    {"IPv4 of 19 bytes", {.ttl = 1}, WIRE_FAULT_IP_SHORT, WIRE_LINK, 0, IP, 9},
    {"header of 16 bytes", {.header_words = 4}, WIRE_FAULT_IP_HEADER_LENGTH, WIRE_LINK, 4, IP, 0},
    {"header of 0 bytes", {.header_words = -1}, WIRE_FAULT_IP_HEADER_LENGTH, WIRE_LINK, 4, IP, 0},
    {"header beyond the frame", {.header_words = 8}, WIRE_FAULT_IP_HEADER_LENGTH, WIRE_LINK, 4, IP, 0},
    {"length below the header", {.ip_length = 19}, WIRE_FAULT_IP_TOTAL_LENGTH, WIRE_LINK, 4, IP + 2, 0},
    {"length beyond the frame", {.ip_length = 29}, WIRE_FAULT_IP_TOTAL_LENGTH, WIRE_LINK, 4, IP + 2, 0},
    {"option of length 1",
     {.ip_options = "\1\7\1", .ip_options_size = 3},
     WIRE_FAULT_IP_OPTION,
     WIRE_LINK,
     4,
     IP + 21,
     0},
    {"option beyond the header",
     {.ip_options = "\7\5\4", .ip_options_size = 3},
     WIRE_FAULT_IP_OPTION,
     WIRE_LINK,
     4,
     IP + 20,
     0},
    {"option without a length",
     {.ip_options = "\1\1\1\7", .ip_options_size = 4, .protocol = 47}, /* the frame ends there too */
     WIRE_FAULT_IP_OPTION,
     WIRE_LINK,
     4,
     IP + 23,
     0},
    {"fragment of 12 bytes, more to come",
     {.more = true, .data = "1234"},
     WIRE_FAULT_FRAGMENT,
     WIRE_LINK,
     4,
     IP + 6,
     0},
    {"fragment that ends at 65,536",
     {.offset = 65512, .no_transport = true, .data = "1234"},
     WIRE_FAULT_FRAGMENT,
     WIRE_LINK,
     4,
     IP + 6,
     0},
    /* IPv6 */
    {"IPv6 of 39 bytes", {V6}, WIRE_FAULT_IP_SHORT, WIRE_LINK, 0, IP, 9},
    {"payload beyond the frame", {V6, .ip_length = 9}, WIRE_FAULT_IP_TOTAL_LENGTH, WIRE_LINK, 6, IP + 4, 0},
    {"hop-by-hop second",
     {V6, .extension_count = 2, .extensions = {{60, "\1\4", 2}, {0, "\1\4", 2}}},
     WIRE_FAULT_IP6_EXTENSION,
     WIRE_LINK,
     6,
     T6 + 8,
     0},
    {"header of 4 bytes",
     {V6, .protocol = 43, .data = "\21\0ab"},
     WIRE_FAULT_IP6_EXTENSION,
     WIRE_LINK,
     6,
     T6,
     0},
    {"header beyond the packet",
     {V6, .protocol = 60, .data = "\21\1abcdef", .size = 8},
     WIRE_FAULT_IP6_EXTENSION,
     WIRE_LINK,
     6,
     T6,
     0},
    {"two fragment headers",
     {V6, .protocol = 44, .fragment = true, .data = "\21\0\0\0\0\0\0\1", .size = 8},
     WIRE_FAULT_IP6_EXTENSION,
     WIRE_LINK,
     6,
     T6 + 8,
     0},
    {"unknown option: discard",
     {V6, .extension_count = 1, .extensions = {{60, "\1\0\x5e\0", 4}}},
     WIRE_FAULT_IP6_OPTION,
     WIRE_LINK,
     6,
     T6 + 4,
     0},
    {"home address among hop-by-hop options",
     {V6, .extension_count = 1, .extensions = {{0, "\xc9\0", 2}}},
     WIRE_FAULT_IP6_OPTION,
     WIRE_LINK,
     6,
     T6 + 2,
     0},
    {"option beyond its header",
     {V6, .extension_count = 1, .extensions = {{60, "\1\5", 2}}},
     WIRE_FAULT_IP6_OPTION,
     WIRE_LINK,
     6,
     T6 + 2,
     0},
    {"option without a length",
     {V6, .extension_count = 1, .extensions = {{60, "\1\3abc\4", 6}}},
     WIRE_FAULT_IP6_OPTION,
     WIRE_LINK,
     6,
     T6 + 7,
     0},
    {"jumbogram",
     {V6, .ip_length = -1, .extension_count = 1, .extensions = {{0, "\xc2\4\0\1\0\0", 6}}},
     WIRE_FAULT_IP6_JUMBOGRAM,
     WIRE_LINK,
     6,
     T6 + 2,
     0},
    {"a jumbo payload that is none", /* RFC 2675: payload length is not 0 */
     {V6, .extension_count = 1, .extensions = {{0, "\xc2\4\0\1\0\0", 6}}},
     WIRE_FAULT_IP6_OPTION,
     WIRE_LINK,
     6,
     T6 + 2,
     0},
    {"length 0 with options, no jumbogram",
     {V6, .ip_length = -1, .extension_count = 1, .extensions = {{0, "\1\4", 2}}},
     WIRE_FAULT_IP_TOTAL_LENGTH,
     WIRE_LINK,
     6,
     IP + 4,
     0},
    {"IPv6 fragment of 12 bytes, more to come",
     {V6, .more = true, .data = "1234"},
     WIRE_FAULT_FRAGMENT,
     WIRE_LINK,
     6,
     T6 + 2,
     0},
    {"IPv6 fragment that ends beyond 65,535",
     {V6, .offset = 65528, .no_transport = true, .data = "12345678"},
     WIRE_FAULT_FRAGMENT,
     WIRE_LINK,
     6,
     T6 + 2,
     0},
    {"first fragment ends within its options",
     {V6, .protocol = 60, .more = true, .data = "\21\1abcdef", .size = 8},
     WIRE_FAULT_FIRST_FRAGMENT,
     WIRE_LINK,
     6,
     T6 + 8,
     0},
    {"first fragment ends within TCP",
     {V6, .protocol = 6, .more = true, .no_transport = true, .data = "\0\1\0\2abcd", .size = 8},
     WIRE_FAULT_FIRST_FRAGMENT,
     WIRE_NETWORK,
     6,
     T6 + 8,
     0},
    /* transport */
    {"TCP of 19 bytes",
     {.protocol = 6, .no_transport = true, .fill = 19},
     WIRE_FAULT_TRANSPORT_SHORT,
     WIRE_NETWORK,
     4,
     T4,
     0},
    {"UDP of 7 bytes",
     {V6, .no_transport = true, .fill = 7},
     WIRE_FAULT_TRANSPORT_SHORT,
     WIRE_NETWORK,
     6,
     T6,
     0},
    {"ICMP of 3 bytes",
     {.protocol = 1, .no_transport = true, .fill = 3},
     WIRE_FAULT_TRANSPORT_SHORT,
     WIRE_NETWORK,
     4,
     T4,
     0},
    {"echo of 7 bytes",
     {V6, .protocol = 58, .no_transport = true, .data = "\x80\0\0\0\0\1\0", .size = 7},
     WIRE_FAULT_TRANSPORT_SHORT,
     WIRE_NETWORK,
     6,
     T6,
     0},
    {"data offset 4", {.protocol = 6, .data_offset = 4}, WIRE_FAULT_TCP_OFFSET, WIRE_NETWORK, 4, T4 + 12, 0},
    {"data offset beyond the segment",
     {V6, .protocol = 6, .data_offset = 6},
     WIRE_FAULT_TCP_OFFSET,
     WIRE_NETWORK,
     6,
     T6 + 12,
     0},
    {"TCP option of length 0",
     {.protocol = 6, .tcp_options = "\1\3\0\0", .tcp_options_size = 4},
     WIRE_FAULT_TCP_OPTION,
     WIRE_NETWORK,
     4,
     T4 + 21,
     0},
    {"TCP option beyond the header",
     {.protocol = 6, .tcp_options = "\2\5\0\0", .tcp_options_size = 4},
     WIRE_FAULT_TCP_OPTION,
     WIRE_NETWORK,
     4,
     T4 + 20,
     0},
    {"TCP option without a length",
     {.protocol = 6, .tcp_options = "\1\1\1\10", .tcp_options_size = 4},
     WIRE_FAULT_TCP_OPTION,
     WIRE_NETWORK,
     4,
     T4 + 23,
     0},
    {"UDP length 7", {.udp_length = 7}, WIRE_FAULT_UDP_LENGTH, WIRE_NETWORK, 4, T4 + 4, 0},
    {"UDP length 0", {V6, .udp_length = -1}, WIRE_FAULT_UDP_LENGTH, WIRE_NETWORK, 6, T6 + 4, 0},
    {"UDP length beyond the packet", /* padding does not help */
     {.udp_length = 9, .padding = 18},
     WIRE_FAULT_UDP_LENGTH,
     WIRE_NETWORK,
     4,
     T4 + 4,
     0},
};
#define FAULTS (sizeof(faults) / sizeof(faults[0]))

static void every_fault_where_it_stands(void **state)
{
    static uint8_t frame[70000];
    bool seen[WIRE_FAULT_CHECKSUM] = {true};

    (void)state;
    for (size_t i = 0; i < FAULTS; i++) {
        const struct fault_case *c = &faults[i];
        size_t size = packet_build(&c->p, frame, sizeof(frame)) - c->drop;
        struct wire_packet w;
        uint8_t *exact = parse_exact(packet_link_type(c->p.link), frame, size, size, &w);

        if (w.fault != c->fault)
            fail_msg("%s: found \"%s\"", c->name, wire_fault_words(w.fault));
        if (w.fault_at != c->at || w.reached != c->reached || w.version != c->version)
            fail_msg("%s: at %u, reached %u, version %u", c->name, w.fault_at, w.reached, w.version);
        if (w.version == 4)
            assert_int_equal(w.source.v4, 0x0a000002);
        seen[c->fault] = true;
        free(exact);
    }
    for (unsigned f = 0; f < WIRE_FAULT_CHECKSUM; f++) {
        if (!seen[f] && f != WIRE_FAULT_IP_CHECKSUM) /* the host's to say */
            fail_msg("no case for \"%s\"", wire_fault_words(f));
    }
}

static void just_not_a_fault(void **state)
{
    static const struct packet table[] = {
        {.offset = 65512, .no_transport = true, .data = "123"}, /* ends at 65,535 */
        {V6, .offset = 65528, .no_transport = true, .data = "1234567"},
        {.ip_options = "\1\7\3\4", .ip_options_size = 4}, /* options up to the header's end */
        {.protocol = 6, .tcp_options = "\1\1\10\2", .tcp_options_size = 4},
        {V6, .extension_count = 1, .extensions = {{60, "\5\4", 2}}},
    };
    static uint8_t frame[2048];
    struct wire_packet w;

    (void)state;
    for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        packet_parse(&table[i], frame, sizeof(frame), &w);
        assert_int_equal(w.fault, WIRE_OK);
        assert_true(w.reached >= WIRE_NETWORK);
    }
}

/* Some captures say that more was captured than sent: what is there was sent. */
static void more_captured_than_sent(void **state)
{
    static uint8_t frame[2048];
    size_t n = PACKET(frame, .data = "hello");
    struct wire_packet w;

    (void)state;
    free(parse_exact(WIRE_LINK_ETHERNET, frame, n, n - 10, &w));
    assert_int_equal(w.length, n);
    assert_int_equal(w.fault, WIRE_OK);
    assert_int_equal(w.data_length, 5);
}

static void every_fault_has_words(void **state)
{
    (void)state;
    for (unsigned f = 0; f <= WIRE_FAULT_CHECKSUM; f++) {
        assert_string_not_equal(wire_fault_words(f), "an unknown fault");
        for (unsigned g = 0; g < f; g++)
            assert_string_not_equal(wire_fault_words(f), wire_fault_words(g));
    }
    assert_string_equal(wire_fault_words(WIRE_FAULT_CHECKSUM + 1), "an unknown fault");
}

/* ---- cut at every byte ----------------------------------------------------------------------------- */

static const struct packet inner4 = {.sport = 5, .dport = 6, .data = "quoted"};
static const struct packet inner6 = {.src = "2001:db8::5", .sport = 5, .dport = 6, .protocol = 6};

static const struct packet samples[] = {
    {.data = "hello"},
    {.protocol = 6, .tcp_flags = 2, .tcp_options = "\2\4\5\xb4\1\3\3\7\4\2\1\1", .tcp_options_size = 12},
    {.protocol = 1, .icmp_type = 8, .icmp_id = 3, .icmp_seq = 4, .fill = 20, .vlan = 5, .outer_vlan = 6},
    {.quotes = &inner4, .icmp_type = 3, .icmp_code = 3},
    {.quotes = &inner6, .icmp_type = 1, .icmp_code = 4},
    {.ip_options = "\x94\4\0\0\1\1\1", .ip_options_size = 7, .protocol = 2, .data = "igmp", .snap = true},
    {V6, .data = "hello", .vlan = 9},
    {V6, .protocol = 6, .tcp_options = "\1\1\10\12\1\2\3\4\5\6\7\10", .tcp_options_size = 12,
     .data = "12345678", .extension_count = 4, .after_fragment = 1, .more = true,
     .extensions = {{0, "\5\2\0\0\1\0", 6},
                    {43, "\0\0\0\0\0\0", 6},
                    {60, "\1\4", 2},
                    {60, "\1\14\0\0\0\0\0\0\0\0\0\0\0\0", 14}}},
    {V6, .offset = 1232, .id = 9, .extension_count = 1, .extensions = {{60, "\1\4", 2}}, .fill = 50},
    {V6, .protocol = 58, .icmp_type = 135, .icmp_id = 1, .fill = 16, .link = PACKET_SLL},
    {.offset = 800, .more = true, .no_transport = true, .fill = 64, .link = PACKET_SLL2},
    {.link = PACKET_NULL, .protocol = 47, .fill = 30},
    {.link = PACKET_LOOP, V6, .protocol = 50, .fill = 30},
    {.link = PACKET_RAW, .protocol = 6, .padding = 4},
    {.link = PACKET_IPV4, .fill = 3},
    {.link = PACKET_IPV6, V6, .fill = 3},
};
#define SAMPLES (sizeof(samples) / sizeof(samples[0]))

/* What is said of a frame that is cut off agrees with what is said of the whole one, as far as it goes. */
static void agrees(const struct wire_packet *cut, const struct wire_packet *whole, size_t at)
{
    assert_int_equal(cut->fault, WIRE_OK);
    assert_true(cut->reached <= whole->reached);
    assert_true(cut->cut || cut->reached == whole->reached);
    if (cut->reached >= WIRE_LINK) {
        assert_int_equal(cut->ip_at, whole->ip_at);
        assert_int_equal(cut->ether_type, whole->ether_type);
        assert_int_equal(cut->vlan, whole->vlan);
    }
    if (cut->reached >= WIRE_NETWORK) {
        assert_int_equal(cut->protocol, whole->protocol);
        assert_int_equal(cut->ip_length, whole->ip_length);
        assert_int_equal(cut->ip_header_size, whole->ip_header_size);
        assert_int_equal(cut->fragment_offset, whole->fragment_offset);
        assert_int_equal(cut->fragment_id, whole->fragment_id);
        assert_true(wire_addr_equal(&cut->source, &whole->source));
        assert_true(wire_addr_equal(&cut->destination, &whole->destination));
    }
    if (cut->reached == WIRE_TRANSPORT) {
        assert_int_equal(cut->source_port, whole->source_port);
        assert_int_equal(cut->tcp_flags, whole->tcp_flags);
        assert_int_equal(cut->icmp_type, whole->icmp_type);
        assert_int_equal(cut->data_length, whole->data_length);
        assert_int_equal(cut->transport_header_size, whole->transport_header_size);
        assert_int_equal(cut->data_at, whole->data_at < at ? whole->data_at : at);
    }
}

static void cut_by_the_capture_at_every_byte(void **state)
{
    static uint8_t frame[2048];

    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        uint16_t link = packet_link_type(samples[i].link);
        size_t size = packet_build(&samples[i], frame, sizeof(frame));
        struct wire_packet whole, cut, quote;
        uint8_t reached = 0;

        free(parse_exact(link, frame, size, size, &whole));
        assert_int_equal(whole.fault, WIRE_OK);
        assert_true(whole.reached >= WIRE_NETWORK);
        assert_false(whole.cut);
        for (size_t n = 0; n < size; n++) {
            uint8_t *exact = parse_exact(link, frame, n, size, &cut);

            agrees(&cut, &whole, n);
            assert_true(cut.reached >= reached); /* more bytes never say less */
            reached = cut.reached;
            assert_int_equal(cut.length, size);
            wire_icmp_quote(&cut, &quote);
            assert_null(wire_invariants(&quote));
            assert_true(wire_verify(&cut));
            free(exact);
        }
        assert_int_equal(reached, whole.reached);
    }
}

static void sent_too_short_at_every_byte(void **state)
{
    static uint8_t frame[2048];

    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        uint16_t link = packet_link_type(samples[i].link);
        size_t size = packet_build(&samples[i], frame, sizeof(frame)) - samples[i].padding;

        for (size_t n = 0; n < size; n++) {
            struct wire_packet w, quote;
            uint8_t *exact = parse_exact(link, frame, n, n, &w);

            assert_true(w.fault != WIRE_OK); /* IP's own length tells */
            assert_false(w.cut);
            assert_true(w.reached <= WIRE_LINK);
            wire_icmp_quote(&w, &quote);
            free(exact);
        }
    }
}

/* Random bytes behind each link header, and samples with a byte changed: never out of bounds, always sound.
 */
static void whatever_the_bytes(void **state)
{
    static const uint16_t links[] = {0, 1, 12, 14, 101, 105, 108, 113, 228, 229, 276};
    uint64_t seed = 20;
    uint8_t frame[300];

    (void)state;
    for (unsigned run = 0; run < 20000; run++) {
        uint16_t link;
        size_t size;
        struct wire_packet w, quote;
        uint8_t *exact;

        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        if (run % 2 == 0) {
            link = links[(seed >> 33) % (sizeof(links) / sizeof(links[0]))];
            size = (seed >> 40) % 120;
            for (size_t i = 0; i < size; i++)
                frame[i] = (uint8_t)((seed = seed * 6364136223846793005ull + 1) >> 56);
            if (link == 1 && size > 14) {
                frame[12] = 8, frame[13] = 0, frame[14] = 0x40 | (frame[14] & 15);
            } else if (size > 0) {
                frame[0] = (frame[0] & 1) != 0 ? 0x60 : 0x45;
            }
        } else {
            const struct packet *p = &samples[(seed >> 33) % SAMPLES];

            link = packet_link_type(p->link);
            size = packet_build(p, frame, sizeof(frame));
            frame[(seed >> 40) % size] ^= (uint8_t)(1u << (seed >> 60) % 8);
        }
        exact = parse_exact(link, frame, size, size + seed % 3, &w);
        wire_icmp_quote(&w, &quote);
        assert_null(wire_invariants(&quote));
        wire_verify(&w);
        free(exact);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_fault_where_it_stands),
        cmocka_unit_test(every_fault_has_words),
        cmocka_unit_test(cut_by_the_capture_at_every_byte),
        cmocka_unit_test(sent_too_short_at_every_byte),
        cmocka_unit_test(whatever_the_bytes),
        cmocka_unit_test(just_not_a_fault),
        cmocka_unit_test(more_captured_than_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
