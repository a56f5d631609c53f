/* SPDX-License-Identifier: Apache-2.0 */
/* wire: checksums against a sum taken byte by byte, quoted packets, addresses. */
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

#define SRC6 "2001:db8::1"

static uint8_t frame[70000];

static uint64_t seed = 7;
static uint32_t random32(void)
{
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(seed >> 32);
}

/* ---- sums ------------------------------------------------------------------------------------------ */

static void sums_of_any_size_and_alignment(void **state)
{
    (void)state;
    for (unsigned run = 0; run < 4000; run++) {
        size_t at = random32() % 16, size = run < 400 ? run : random32() % 3000, split;
        uint8_t *block = malloc(at + size + 1);
        uint16_t expected;

        assert_non_null(block);
        for (size_t i = 0; i < at + size; i++)
            block[i] = run % 3 == 0 ? 0xff : (uint8_t)random32();
        expected = packet_sum_end(packet_sum(block + at, size, 0));
        block = realloc(block, at + size + (at + size == 0));
        assert_non_null(block);
        assert_int_equal(wire_fold(wire_sum(block + at, size, 0)), expected);
        split = size == 0 ? 0 : random32() % size & ~1u; /* in two pieces, the first of even size */
        assert_int_equal(
            wire_fold(wire_sum(block + at + split, size - split, wire_sum(block + at, split, 0))), expected);
        free(block);
    }
    memset(frame, 0xff, sizeof(frame));
    assert_int_equal(wire_fold(wire_sum(frame, 65536, 0)), 0);
    assert_int_equal(wire_fold(wire_sum(frame, 0, 0)), 0xffff);
    assert_int_equal(wire_fold(UINT64_MAX), 0);
}

/* ---- verification ---------------------------------------------------------------------------------- */

static bool verified(const struct packet *p)
{
    struct wire_packet w;

    packet_parse(p, frame, sizeof(frame), &w);
    assert_int_equal(w.fault, WIRE_OK);
    assert_int_equal(w.reached, WIRE_TRANSPORT);
    return wire_verify(&w);
}
#define VERIFIED(...) verified(&(struct packet){__VA_ARGS__})

static void transport_checksums(void **state)
{
    static const uint8_t protocols[] = {WIRE_PROTOCOL_TCP, WIRE_PROTOCOL_UDP, WIRE_PROTOCOL_ICMP};

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned v = 0; v < 2; v++) {
            struct packet p = {.src = v == 0 ? NULL : SRC6, .protocol = protocols[i], .sport = 5};

            for (p.fill = 0; p.fill < 70; p.fill++) {
                p.sport = (uint16_t)random32();
                p.padding = p.fill % 5;
                p.bad = 0;
                assert_true(verified(&p));
                p.bad = PACKET_BAD_SUM;
                assert_false(verified(&p));
            }
            p.bad = PACKET_PSEUDO_SUM; /* left to the adapter; ICMP over IPv4 has no pseudo header to sum */
            assert_int_equal(verified(&p), v == 1 || protocols[i] != WIRE_PROTOCOL_ICMP);
        }
    }
}

static void checksums_that_are_not_there(void **state)
{
    (void)state;
    assert_true(VERIFIED(.fill = 9, .bad = PACKET_NO_SUM));
    assert_false(VERIFIED(.src = SRC6, .fill = 9, .bad = PACKET_NO_SUM));
    assert_false(VERIFIED(.protocol = WIRE_PROTOCOL_TCP, .fill = 9, .bad = PACKET_NO_SUM));
    assert_true(VERIFIED(.protocol = 47, .fill = 9));
    assert_true(VERIFIED(.fill = 64, .more = true, .bad = PACKET_BAD_SUM)); /* of the whole: unknown */
}

static void a_sum_without_the_length(void **state)
{
    struct packet p = {.protocol = WIRE_PROTOCOL_TCP, .fill = 3000, .bad = PACKET_PSEUDO_SUM};
    struct wire_packet w;
    uint32_t sum;
    uint16_t field;

    (void)state;
    packet_parse(&p, frame, sizeof(frame), &w);
    sum = packet_sum(frame + 14 + 12, 8, WIRE_PROTOCOL_TCP);
    field = (uint16_t)~packet_sum_end(sum);
    frame[w.transport_at + 16] = (uint8_t)(field >> 8);
    frame[w.transport_at + 17] = (uint8_t)field;
    assert_true(wire_verify(&w));
    frame[w.transport_at + 17] ^= 1;
    assert_false(wire_verify(&w));
}

static void a_datagram_shorter_than_its_packet(void **state)
{
    struct packet p = {.fill = 20};
    struct wire_packet w;
    size_t n = packet_build(&p, frame, sizeof(frame));

    (void)state;
    memset(frame + n, 0xee, 4); /* bytes after the datagram, inside the IP packet */
    frame[14 + 3] += 4;
    frame[14 + 10] = frame[14 + 11] = 0;
    wire_parse(WIRE_LINK_ETHERNET, frame, (uint32_t)n + 4, (uint32_t)n + 4, &w);
    assert_int_equal(w.data_length, 20);
    assert_true(wire_verify(&w));
}

/* The packet's last byte of an address is made another, at `at`: as it is on the way. */
static bool verified_on_the_way(const struct packet *p, size_t at)
{
    struct wire_packet w;
    size_t n = packet_build(p, frame, sizeof(frame));

    frame[at] ^= 0x50;
    if (p->src == NULL) {
        uint16_t sum;

        frame[14 + 10] = frame[14 + 11] = 0;
        sum = packet_sum_end(packet_sum(frame + 14, (frame[14] & 15u) * 4, 0));
        frame[14 + 10] = (uint8_t)(sum >> 8);
        frame[14 + 11] = (uint8_t)sum;
    }
    wire_parse(WIRE_LINK_ETHERNET, frame, (uint32_t)n, (uint32_t)n, &w);
    assert_int_equal(w.reached, WIRE_TRANSPORT);
    return wire_verify(&w);
}

#define ADDRESS_77 "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\x77" /* 2001:db8::77 */
#define ADDRESS_78 "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\x78"
#define V6_DST     (14 + 39)
#define V6_SRC     (14 + 23)

/* On a source route the pseudo header has the last destination, with a home address that as the source. */
static void addresses_that_are_not_in_the_header(void **state)
{
    static const struct {
        struct packet p;
        size_t at;
        bool known;
    } table[] = {
        {{.src = SRC6,
          .dst = "2001:db8::77",
          .extension_count = 2,
          .extensions = {{60, "\1\4", 2}, {43, "\0\1\0\0\0\0" ADDRESS_77, 22}}},
         V6_DST,
         true},
        {{.src = SRC6,
          .dst = "2001:db8::77",
          .extension_count = 1,
          .extensions = {{43, "\0\1\0\0\0\0" ADDRESS_78 ADDRESS_77, 38}}},
         V6_DST,
         true},
        {{.src = SRC6,
          .dst = "2001:db8::77",
          .extension_count = 1,
          .extensions = {{43, "\4\1\1\0\0\0" ADDRESS_77 ADDRESS_78, 38}}},
         V6_DST,
         true},
        {{.src = SRC6,
          .dst = "2001:db8::77",
          .extension_count = 1,
          .extensions = {{43, "\3\1\0\0\0\0" ADDRESS_78, 22}}},
         V6_DST,
         false},
        {{.src = "2001:db8::77",
          .dst = SRC6,
          .extension_count = 1,
          .extensions = {{60, "\1\2\0\0\xc9\x10" ADDRESS_77, 22}}},
         V6_SRC,
         true},
        {{.dst = "10.0.0.9", .ip_options = "\1\x83\7\4\12\0\0\x9", .ip_options_size = 8}, 14 + 19, true},
        {{.dst = "10.0.0.9", .ip_options = "\x89\4\4\0", .ip_options_size = 4}, 14 + 19, false},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct packet p = table[i].p;

        p.fill = 9;
        if (!verified_on_the_way(&p, table[i].at))
            fail_msg("case %u: on its way the checksum is said to be wrong", i);
        p.bad = PACKET_BAD_SUM;
        assert_int_equal(verified_on_the_way(&p, table[i].at), !table[i].known);
    }
    /* arrived: the header's destination it is */
    assert_true(VERIFIED(.fill = 9, .ip_options = "\1\x83\7\x8\12\0\0\x9", .ip_options_size = 8));
    assert_true(VERIFIED(.src = SRC6, .fill = 9, .extension_count = 1,
                         .extensions = {{43, "\0\0\0\0\0\0" ADDRESS_78, 22}}));
    assert_false(VERIFIED(.src = SRC6, .fill = 9, .bad = PACKET_BAD_SUM, .extension_count = 1,
                          .extensions = {{43, "\0\0\0\0\0\0" ADDRESS_78, 22}}));
}

/* ---- quotations ------------------------------------------------------------------------------------ */

static bool quote(const struct packet *p, struct wire_packet *q)
{
    struct wire_packet w;
    bool found;

    packet_parse(p, frame, sizeof(frame), &w);
    found = wire_icmp_quote(&w, q);
    assert_null(wire_invariants(q));
    assert_int_equal(found, q->reached >= WIRE_NETWORK);
    if (found)
        assert_ptr_equal(q->frame, frame + w.data_at);
    return found;
}
#define QUOTE(q, ...) quote(&(struct packet){__VA_ARGS__}, q)

static void what_errors_quote(void **state)
{
    static const struct packet tcp = {.src = "192.0.2.9",
                                      .dst = "192.0.2.1",
                                      .protocol = WIRE_PROTOCOL_TCP,
                                      .sport = 1025,
                                      .dport = 80,
                                      .seq = 0x01020304,
                                      .tcp_flags = WIRE_TCP_SYN,
                                      .bad = PACKET_BAD_IP_SUM};
    static const struct packet echo = {.src = SRC6,
                                       .protocol = WIRE_PROTOCOL_ICMP,
                                       .icmp_type = 128,
                                       .icmp_id = 0x55aa,
                                       .icmp_seq = 3,
                                       .fill = 2000};
    static const struct packet later = {.offset = 1480, .no_transport = true, .fill = 600};
    struct wire_packet q;

    (void)state;
    /* IPv4 quotes 8 bytes: ports and the sequence number; a header that the way changed is good enough */
    assert_true(QUOTE(&q, .quotes = &tcp, .icmp_type = 3, .icmp_code = 13));
    assert_int_equal(q.reached, WIRE_TRANSPORT);
    assert_true(q.cut);
    assert_int_equal(q.version, 4);
    assert_int_equal(q.source.v4, 0xc0000209);
    assert_int_equal(q.protocol, WIRE_PROTOCOL_TCP);
    assert_int_equal(q.source_port, 1025);
    assert_int_equal(q.destination_port, 80);
    assert_int_equal(q.tcp_seq, 0x01020304);
    assert_int_equal(q.tcp_flags, 0);
    assert_int_equal(q.ip_length, 40);
    assert_int_equal(q.length, 28);
    assert_int_equal(q.data_at, 28);
    assert_int_equal(q.data_length, 0);

    assert_true(QUOTE(&q, .quotes = &tcp, .icmp_type = 11, .quote_size = 40));
    assert_false(q.cut);
    assert_int_equal(q.tcp_flags, WIRE_TCP_SYN);

    assert_true(QUOTE(&q, .quotes = &tcp, .icmp_type = 11, .quote_size = 23)); /* not even the ports */
    assert_int_equal(q.reached, WIRE_NETWORK);
    assert_true(q.cut);
    assert_int_equal(q.source_port, 0);
    assert_false(QUOTE(&q, .quotes = &tcp, .icmp_type = 11, .quote_size = 19)); /* nor the addresses */

    assert_true(QUOTE(&q, .quotes = &tcp, .icmp_type = 11, .quote_size = 22, .padding = 12)); /* no ports */
    assert_int_equal(q.reached, WIRE_NETWORK);

    assert_true(QUOTE(&q, .quotes = &echo, .icmp_type = 2));
    assert_int_equal(q.reached, WIRE_TRANSPORT);
    assert_int_equal(q.icmp_type, 128);
    assert_int_equal(q.icmp_id, 0x55aa);
    assert_int_equal(q.icmp_sequence, 3);
    assert_int_equal(q.ip_length, 2048);
    assert_int_equal(q.data_length, 1232 - 48);

    assert_true(QUOTE(&q, .quotes = &later, .icmp_type = 11, .icmp_code = 1));
    assert_int_equal(q.reached, WIRE_NETWORK);
    assert_int_equal(q.fragment_offset, 1480);
}

static void which_messages_are_errors(void **state)
{
    static const struct packet udp = {.sport = 5}, udp6 = {.src = SRC6, .sport = 5};
    struct wire_packet w, q;

    (void)state;
    for (unsigned type = 0; type < 256; type++) {
        bool v4 = type == 3 || type == 4 || type == 5 || type == 11 || type == 12;

        packet_parse(&(struct packet){.quotes = &udp, .icmp_type = (uint8_t)type}, frame, sizeof(frame), &w);
        assert_int_equal(wire_is_icmp_error(&w), v4);
        assert_int_equal(wire_icmp_quote(&w, &q), v4);
        packet_parse(&(struct packet){.quotes = &udp6, .icmp_type = (uint8_t)type}, frame, sizeof(frame), &w);
        assert_int_equal(wire_is_icmp_error(&w), type < 128);
        assert_int_equal(wire_icmp_quote(&w, &q), type < 128);
    }
    /* of the other version: no ICMP */
    packet_parse(&(struct packet){.protocol = WIRE_PROTOCOL_ICMPV6, .no_transport = true, .fill = 40}, frame,
                 sizeof(frame), &w);
    assert_false(wire_is_icmp_error(&w));
    assert_false(wire_icmp_quote(&w, &q));
    /* a quotation of the other version */
    assert_false(QUOTE(&q, .src = "192.0.2.1", .dst = "192.0.2.2", .quotes = &udp6, .icmp_type = 3));
}

/* ---- addresses ------------------------------------------------------------------------------------- */

static void addresses_as_text(void **state)
{
    static const struct {
        const char *text;
        uint8_t version;
        unsigned bits;
        const char *back;
    } table[] = {
        {"10.0.0.1", 4, 32, "10.0.0.1"},
        {"10.0.0.0/8", 4, 8, "10.0.0.0"},
        {"0.0.0.0/0", 4, 0, "0.0.0.0"},
        {"fe80::1", 6, 128, "fe80::1"},
        {"2001:DB8:0:0:0:0:0:1/64", 6, 64, "2001:db8::1"},
        {"::/0", 6, 0, "::"},
        {"::ffff:192.0.2.1", 6, 128, "::ffff:192.0.2.1"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255/128", 6, 128,
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
        {"00ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", 0, 0, NULL}, /* no address is so long */
        {"10.0.0.1/33", 0, 0, NULL},
        {"fe80::1/129", 0, 0, NULL},
        {"10.0.0.1/", 0, 0, NULL},
        {"10.0.0.1/08", 0, 0, NULL},
        {"10.0.0.1/-1", 0, 0, NULL},
        {"10.0.0.1/8x", 0, 0, NULL},
        {"10.0.0.1/4294967304", 0, 0, NULL},
        {"10.0.0", 0, 0, NULL},
        {"", 0, 0, NULL},
        {"/8", 0, 0, NULL},
        {"host", 0, 0, NULL},
        {"fe80::1%eth0", 0, 0, NULL},
    };
    static const union wire_addr zero;
    union wire_addr a;
    char text[WIRE_ADDR_TEXT];

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        unsigned bits = 999;
        uint8_t version = wire_addr_parse(table[i].text, &a, &bits);

        if (version != table[i].version)
            fail_msg("%s: version %u", table[i].text, version);
        if (version == 0) {
            assert_int_equal(bits, 999);
            assert_true(wire_addr_equal(&a, &zero));
            continue;
        }
        assert_int_equal(bits, table[i].bits);
        assert_string_equal(wire_addr_format(version, &a, text), table[i].back);
    }
    assert_int_equal(wire_addr_parse("10.0.0.0/8", &a, NULL), 0); /* no prefix was asked for */
    assert_int_equal(wire_addr_parse("192.0.2.1", &a, NULL), 4);
    assert_int_equal(a.v4, 0xc0000201);
}

static void kinds_of_addresses(void **state)
{
    static const struct {
        const char *text;
        bool multicast, loopback, unspecified, link_local;
    } table[] = {
        {"223.255.255.255", 0, 0, 0, 0},
        {"224.0.0.1", 1, 0, 0, 0},
        {"239.255.255.255", 1, 0, 0, 0},
        {"240.0.0.0", 0, 0, 0, 0},
        {"127.0.0.1", 0, 1, 0, 0},
        {"127.255.0.3", 0, 1, 0, 0},
        {"126.0.0.1", 0, 0, 0, 0},
        {"0.0.0.0", 0, 0, 1, 0},
        {"0.0.0.1", 0, 0, 0, 0},
        {"169.254.1.1", 0, 0, 0, 1},
        {"169.255.0.1", 0, 0, 0, 0},
        {"ff02::1", 1, 0, 0, 0},
        {"fe80::1", 0, 0, 0, 1},
        {"febf::1", 0, 0, 0, 1},
        {"fec0::1", 0, 0, 0, 0},
        {"::1", 0, 1, 0, 0},
        {"::", 0, 0, 1, 0},
        {"::2", 0, 0, 0, 0},
        {"1::1", 0, 0, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        union wire_addr a, b;
        uint8_t version = wire_addr_parse(table[i].text, &a, NULL);

        assert_int_not_equal(version, 0);
        assert_int_equal(wire_addr_is_multicast(version, &a), table[i].multicast);
        assert_int_equal(wire_addr_is_loopback(version, &a), table[i].loopback);
        assert_int_equal(wire_addr_is_unspecified(version, &a), table[i].unspecified);
        assert_int_equal(wire_addr_is_link_local(version, &a), table[i].link_local);
        b = a;
        assert_true(wire_addr_equal(&a, &b));
        b.v6[15] ^= 1;
        assert_false(wire_addr_equal(&a, &b));
        b = a;
        b.v6[0] ^= 1;
        assert_false(wire_addr_equal(&a, &b));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_of_any_size_and_alignment),
        cmocka_unit_test(transport_checksums),
        cmocka_unit_test(checksums_that_are_not_there),
        cmocka_unit_test(a_sum_without_the_length),
        cmocka_unit_test(a_datagram_shorter_than_its_packet),
        cmocka_unit_test(addresses_that_are_not_in_the_header),
        cmocka_unit_test(what_errors_quote),
        cmocka_unit_test(which_messages_are_errors),
        cmocka_unit_test(addresses_as_text),
        cmocka_unit_test(kinds_of_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
