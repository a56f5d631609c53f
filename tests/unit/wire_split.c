/* SPDX-License-Identifier: Apache-2.0 */
/* wire: packets cut into fragments, put together again by a reader of its own. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "wire/wire.h"

static uint8_t packet[65535 + 60], whole[65535 + 60];
static uint64_t seed = 11;

static uint32_t random32(void)
{
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(seed >> 32);
}

static void put16(uint8_t *at, uint32_t v)
{
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
}

static uint32_t get16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

static void fill(uint8_t *at, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        at[i] = (uint8_t)(i * 13 + i / 241);
}

static uint32_t make4(uint32_t payload, uint32_t options, uint32_t places, uint32_t id)
{
    memset(packet, 0, 60);
    packet[0] = (uint8_t)(0x45 + options / 4);
    put16(packet + 2, 20 + options + payload);
    put16(packet + 4, id);
    put16(packet + 6, places);
    packet[8] = 64;
    packet[9] = WIRE_PROTOCOL_UDP;
    packet[12] = packet[16] = 10;
    if (options >= 8) { /* one that is not copied, one that is */
        memcpy(packet + 20, (const uint8_t[]){7, 4, 4, 0, 148, 4, 1, 2}, 8);
        memset(packet + 28, 1, options - 8);
    }
    fill(packet + 20 + options, payload);
    put16(packet + 10, wire_fold(wire_sum(packet, 20 + options, 0)));
    return 20 + options + payload;
}

/* headers: 0 none, 1 hop-by-hop, 2 destination options, 3 hop-by-hop, options, routing, options. *front: what routers read. */
static uint32_t make6(uint32_t payload, unsigned headers, uint32_t *front)
{
    static const uint8_t chains[][5] = {{17}, {0, 17}, {60, 17}, {0, 60, 43, 60, 17}};
    static const uint32_t fronts[] = {40, 48, 40, 64};
    uint32_t at = 40;

    memset(packet, 0, 128);
    packet[0] = 0x60;
    packet[6] = chains[headers][0];
    packet[7] = 64;
    packet[8] = packet[24] = 0xfd;
    packet[23] = 1;
    packet[39] = 2;
    for (unsigned i = 0; chains[headers][i] != 17; i++, at += 8) {
        packet[at] = chains[headers][i + 1];
        packet[at + 2] = chains[headers][i] == 43 ? 253 : 1; /* PadN; a routing type of experiments */
        packet[at + 3] = chains[headers][i] == 43 ? 0 : 4;
    }
    fill(packet + at, payload);
    put16(packet + 4, at - 40 + payload);
    *front = fronts[headers];
    return at + payload;
}

/* Cuts it, and reads the pieces into `whole`, from `first` on; their number. */
static unsigned together(uint32_t size, uint32_t first, uint32_t mtu, uint32_t id, uint32_t before, bool more)
{
    uint8_t *piece = malloc(mtu);
    struct wire_split s;
    struct wire_packet p;
    uint32_t n, at = first;
    unsigned count = 0;

    assert_non_null(piece);
    assert_true(wire_split_begin(&s, packet, size, mtu, id));
    memset(whole, 0, sizeof whole);
    memcpy(whole, packet, first);
    while ((n = wire_split_next(&s, piece)) != 0) {
        const uint32_t place = before + at - first;
        uint32_t head;

        assert_true(n <= mtu);
        wire_parse_ip(piece, n, n, &p);
        assert_int_equal(p.version, s.version);
        assert_int_equal(p.ip_length, n);
        assert_false(p.ip_checksum_wrong);
        assert_true(p.fragment);
        assert_int_equal(p.fragment_offset, place);
        assert_int_equal(p.fragment_id, id);
        assert_int_equal(p.protocol == WIRE_PROTOCOL_UDP || s.version == 6, 1);
        head = p.ip_header_size;
        if (s.version == 6) { /* the parser counts what follows the fragment header, too */
            head = p.fragment_header_at + 8;
            assert_int_equal(p.fragment_header_at, first);
            assert_memory_equal(piece + 7, packet + 7, 33);
        } else if (place == before) {
            assert_int_equal(head, first);
        } else if (first > 20) {
            assert_memory_equal(piece + 20, ((const uint8_t[]){148, 4, 1, 2}), 4);
        }
        memcpy(whole + at, piece + head, n - head);
        at += n - head;
        assert_int_equal((p.ip_flags & WIRE_IP_MORE_FRAGMENTS) != 0, at < size || more);
        assert_true(at == size || ((n - head) % 8 == 0 && n + 8 > mtu)); /* as long as may be */
        count++;
    }
    assert_int_equal(at, size);
    assert_memory_equal(whole, packet, size);
    free(piece);
    return count;
}

static void ip4(void **state)
{
    (void)state;
    assert_int_equal(together(make4(1481, 0, 0, 7), 20, 1500, 7, 0, false), 2);
    assert_int_equal(together(make4(2960, 0, 0, 7), 20, 1500, 7, 0, false), 2);
    assert_int_equal(together(make4(2961, 0, 0, 0), 20, 1500, 77, 0, false),
                     3); /* an identification of the caller's */
    assert_int_equal(together(make4(65515, 0, 0, 7), 20, 1500, 7, 0, false), 45);
    assert_int_equal(together(make4(3000, 8, 0, 7), 28, 1500, 7, 0, false), 3);
    assert_int_equal(together(make4(3000, 0, 0x2000 | 185, 7), 20, 1500, 7, 1480, true), 3); /* a fragment */
    assert_int_equal(together(make4(3000, 0, 185, 7), 20, 1500, 7, 1480, false), 3);
    for (unsigned run = 0; run < 300; run++) {
        const uint32_t mtu = 68 + random32() % 2000, options = random32() % 2 ? 8 + random32() % 9 * 4 : 0;
        const uint32_t size = make4(mtu + random32() % 20000, options, 0, 1 + random32() % 65535);

        if (mtu >= 20 + options + 8)
            (void)together(size, 20 + options, mtu, get16(packet + 4), 0, false);
    }
}

static void ip6(void **state)
{
    uint32_t first, size;

    (void)state;
    size = make6(1461, 0, &first);
    assert_int_equal(together(size, first, 1500, 9, 0, false), 2);
    size = make6(65495, 0, &first);
    assert_int_equal(together(size, first, 1280, 0xabcdef01, 0, false), 54);
    for (unsigned run = 0; run < 300; run++) {
        const uint32_t mtu = 1280 + random32() % 2000;

        size = make6(mtu + random32() % 20000, run % 4, &first);
        (void)together(size, first, mtu, random32(), 0, false);
    }
}

static void what_is_not_cut(void **state)
{
    struct wire_split s;
    uint32_t first, size;

    (void)state;
    assert_false(wire_split_begin(&s, packet, make4(1480, 0, 0, 7), 1500, 1)); /* it fits */
    size = make6(1460, 0, &first);
    assert_false(wire_split_begin(&s, packet, size, 1500, 1));
    assert_false(wire_split_begin(&s, packet, make4(2000, 0, 0x4000, 7), 1500, 1)); /* it may not */
    size = make6(2000, 0, &first);
    packet[6] = 44; /* it is one */
    assert_false(wire_split_begin(&s, packet, size, 1500, 1));
    size = make6(2000, 1, &first);
    packet[41] = 255; /* headers beyond its end */
    assert_false(wire_split_begin(&s, packet, size, 1500, 1));
    assert_false(wire_split_begin(&s, packet, 0, 1500, 1));
    packet[0] = 0x44;
    assert_false(wire_split_begin(&s, packet, 2000, 1500, 1));
    assert_false(wire_split_begin(&s, packet, make4(2000, 0, 0, 7), 27, 1)); /* no room for eight bytes */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(ip4), cmocka_unit_test(ip6),
                                       cmocka_unit_test(what_is_not_cut)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
