/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host: datagrams put together from fragments: headers of the whole, order, repetition, overlaps, time,
 * limits; and against a naive reference over random fragments.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "host/internal.h"
#include "packets.h"
#include "wire_invariants.h"

#define SRC6   "2001:db8::1"
#define SECOND 1000000000ull
#define MOST   64

static struct packet_frame frames[MOST];
static uint8_t room[70000];

static uint64_t seed = 11;
static uint32_t below(uint32_t n)
{
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(seed >> 33) % n;
}

static struct fragments *create(uint32_t bytes, uint32_t datagrams)
{
    struct host_limits limits = {.fragment_bytes = bytes, .datagrams = datagrams};
    struct fragments *f;

    assert_int_equal(fragments_create(&limits, &f), 0);
    return f;
}

static enum fragment_result add_cut(struct fragments *f, const uint8_t *frame, size_t captured, size_t size,
                                    UINT64 now, const uint8_t **out, uint32_t *out_size)
{
    uint8_t *exact = malloc(captured); /* nothing may be used after the call, nor beyond it */
    enum fragment_result r;
    struct wire_packet w;

    assert_non_null(exact);
    memcpy(exact, frame, captured);
    wire_parse(WIRE_LINK_ETHERNET, exact, (uint32_t)captured, (uint32_t)size, &w);
    assert_true(w.reached >= WIRE_NETWORK);
    r = fragments_add(f, &w, 1, now, out, out_size);
    free(exact);
    assert_int_equal(r == FRAGMENT_COMPLETE, *out != NULL);
    return r;
}

static enum fragment_result add(struct fragments *f, const struct packet_frame *frame, UINT64 now,
                                const uint8_t **out, uint32_t *size)
{
    return add_cut(f, frame->bytes, frame->size, frame->size, now, out, size);
}

static enum fragment_result add_one(struct fragments *f, const struct packet *p, size_t first, size_t bytes,
                                    UINT64 now)
{
    size_t n = packet_fragment(p, first, bytes, room, sizeof(room));
    const uint8_t *out;
    uint32_t size;

    return add_cut(f, room, n, n, now, &out, &size);
}

/* The whole is the packet as it is built unfragmented, without a link header. */
static void whole_is(const struct packet *p, const uint8_t *out, uint32_t size)
{
    struct packet ip = *p;
    struct wire_packet w;
    size_t n;

    ip.link = PACKET_RAW;
    ip.fragment = false;
    ip.padding = 0;
    n = packet_build(&ip, room, sizeof(room));
    assert_int_equal(size, n);
    assert_memory_equal(out, room, n);
    wire_parse_ip(out, size, size, &w);
    assert_int_equal(w.reached, WIRE_TRANSPORT);
    assert_false(w.fragment);
    assert_true(wire_verify(&w));
}

static struct host_counts counts(const struct fragments *f)
{
    struct host_counts c = {0};

    fragments_counts(f, &c);
    return c;
}

/* ---- the whole ------------------------------------------------------------------------------------- */

static const struct packet datagrams[] = {
    {.sport = 7, .dport = 9, .fill = 3000, .id = 1, .padding = 6},
    {.protocol = 1, .icmp_type = 8, .fill = 1992, .id = 0xffff, .ttl = 2, .dont_fragment = true},
    {.ip_options = "\x94\4\0\0\1\1\1", .ip_options_size = 7, .fill = 1001, .id = 3},
    {.src = SRC6, .sport = 7, .dport = 9, .fill = 3000, .id = 0xfedcba98},
    {.src = SRC6,
     .protocol = 6,
     .fill = 1501,
     .id = 9,
     .extension_count = 4,
     .after_fragment = 1,
     .extensions = {{0, "\5\2\0\0\1\0", 6}, {60, "\1\4", 2}, {43, "\0\0\0\0\0\0", 6}, {60, "\1\4", 2}}},
};
#define DATAGRAMS (sizeof(datagrams) / sizeof(datagrams[0]))

static void in_any_order(void **state)
{
    struct fragments *f = create(0, 0);
    const uint8_t *out;
    uint32_t size;

    (void)state;
    for (unsigned run = 0; run < 400; run++) {
        const struct packet *p = &datagrams[run % DATAGRAMS];
        size_t n = packet_fragments(p, 8 * (20 + below(100)), frames, MOST), order[MOST];

        for (size_t i = 0; i < n; i++)
            order[i] = i;
        for (size_t i = n; i-- > 1 && run >= DATAGRAMS;) {
            size_t j = below((uint32_t)i + 1), t = order[i];

            order[i] = order[j], order[j] = t;
        }
        for (size_t i = 0; i < n; i++) {
            enum fragment_result r = add(f, &frames[order[i]], run, &out, &size);

            assert_int_equal(r, i + 1 < n ? FRAGMENT_HELD : FRAGMENT_COMPLETE);
            assert_int_equal(counts(f).fragments_held, i + 1 < n ? i + 1 : 0);
            if (i + 1 < n && below(3) == 0) /* told twice */
                assert_int_equal(add(f, &frames[order[below((uint32_t)i + 1)]], run, &out, &size),
                                 FRAGMENT_HELD);
        }
        assert_int_equal(fragments_length(f), size);
        whole_is(p, out, size);
    }
    assert_int_equal(counts(f).datagrams_reassembled, 400);
    fragments_destroy(f);
}

static void the_largest_there_is(void **state)
{
    struct packet v4 = {.fill = 65535 - 20 - 8, .id = 4}, v6 = {.src = SRC6, .fill = 65535 - 8, .id = 5};
    struct fragments *f = create(0, 0);

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        const struct packet *p = i == 0 ? &v4 : &v6;
        static uint8_t bytes[66000];
        size_t all = packet_fragmentable(p), n;
        const uint8_t *out = NULL;
        uint32_t size = 0;

        for (size_t at = 0; at < all; at += 4096) {
            n = packet_fragment(p, at, 4096, bytes, sizeof(bytes));
            assert_int_equal(add_cut(f, bytes, n, n, 0, &out, &size),
                             at + 4096 < all ? FRAGMENT_HELD : FRAGMENT_COMPLETE);
        }
        whole_is(p, out, size);
        assert_int_equal(size, i == 0 ? 65535 : 65575);
    }
    fragments_destroy(f);
}

/* IPv6: the payload of the whole with its headers would be longer than the length field can say. */
static void larger_than_there_is(void **state)
{
    struct packet p = {.src = SRC6,
                       .no_transport = true,
                       .offset = 65520,
                       .fill = 7,
                       .extension_count = 1,
                       .extensions = {{0, "\1\4", 2}}};
    struct fragments *f = create(0, 0);
    const uint8_t *out;
    uint32_t size;
    size_t n;

    (void)state;
    n = packet_build(&p, room, sizeof(room));
    assert_int_equal(add_cut(f, room, n, n, 0, &out, &size), FRAGMENT_HELD); /* 65,535 with its 8 */
    p.fill = 8;
    n = packet_build(&p, room, sizeof(room));
    assert_int_equal(add_cut(f, room, n, n, 0, &out, &size), FRAGMENT_BAD);
    fragments_destroy(f);
}

static void atomic_fragments_go_alone(void **state)
{
    struct packet p = {.src = SRC6, .dport = 9, .data = "alone", .fragment = true, .id = 6};
    struct packet other = {.src = SRC6, .dport = 9, .fill = 100, .id = 6};
    struct fragments *f = create(0, 0);
    const uint8_t *out;
    uint32_t size;

    (void)state;
    assert_int_equal(add_one(f, &other, 0, 48, 0), FRAGMENT_HELD); /* the same id does not matter */
    frames[0].size = packet_build(&p, frames[0].bytes, sizeof(frames[0].bytes));
    assert_int_equal(add(f, &frames[0], 0, &out, &size), FRAGMENT_COMPLETE);
    whole_is(&p, out, size);
    assert_int_equal(counts(f).fragments_held, 1);
    assert_int_equal(counts(f).datagrams_reassembled, 0);
    frames[0].size = packet_fragment(&other, 48, 100, frames[0].bytes, sizeof(frames[0].bytes));
    assert_int_equal(add(f, &frames[0], 0, &out, &size), FRAGMENT_COMPLETE);
    whole_is(&other, out, size);
    fragments_destroy(f);
}

/* The next header is that of the first fragment (RFC 8200, 4.5), the header too. */
static void the_first_fragment_has_the_header(void **state)
{
    struct packet p = {.src = SRC6, .dport = 9, .fill = 100, .id = 6}, last = p;
    struct fragments *f = create(0, 0);
    const uint8_t *out;
    uint32_t size;

    (void)state;
    last.ttl = 9;
    frames[0].size = packet_fragment(&last, 48, 100, frames[0].bytes, sizeof(frames[0].bytes));
    frames[0].bytes[14 + 40] = 6; /* says that it is of TCP */
    assert_int_equal(add(f, &frames[0], 0, &out, &size), FRAGMENT_HELD);
    frames[1].size = packet_fragment(&p, 0, 48, frames[1].bytes, sizeof(frames[1].bytes));
    assert_int_equal(add(f, &frames[1], 0, &out, &size), FRAGMENT_COMPLETE);
    whole_is(&p, out, size);
    fragments_destroy(f);
}

/* ---- keys ------------------------------------------------------------------------------------------ */

static void what_belongs_together(void **state)
{
    static const struct packet p = {.fill = 100, .id = 1};
    struct packet other[4] = {p, p, p, p};
    struct fragments *f = create(0, 0);
    struct wire_packet w;
    const uint8_t *out;
    uint32_t size;
    size_t n;

    (void)state;
    other[0].src = "10.0.0.3";
    other[1].dst = "10.0.0.3";
    other[2].id = 2;
    other[3].protocol = 6;
    assert_int_equal(add_one(f, &p, 0, 48, 0), FRAGMENT_HELD);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(add_one(f, &other[i], 48, 200, 0), FRAGMENT_HELD);
    n = packet_fragment(&p, 48, 200, room, sizeof(room));
    wire_parse(WIRE_LINK_ETHERNET, room, (uint32_t)n, (uint32_t)n, &w);
    assert_int_equal(fragments_add(f, &w, 2, 0, &out, &size), FRAGMENT_HELD); /* on another interface */
    assert_int_equal(fragments_add(f, &w, 1, 0, &out, &size), FRAGMENT_COMPLETE);
    assert_int_equal(counts(f).fragments_held, 5);
    fragments_destroy(f);
}

/* ---- overlaps -------------------------------------------------------------------------------------- */

static void overlaps_end_the_datagram(void **state)
{
    static const struct packet both[2] = {{.fill = 200, .id = 1}, {.src = SRC6, .fill = 200, .id = 1}};

    (void)state;
    for (unsigned v = 0; v < 2; v++) {
        static const struct {
            size_t at, size;
        } bad[] = {{0, 40}, {0, 56}, {40, 16}, {40, 64}, {56, 8}, {48, 32}, {48, 56}};

        for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
            struct fragments *f = create(0, 0);

            assert_int_equal(add_one(f, &both[v], 0, 48, 0), FRAGMENT_HELD);
            assert_int_equal(add_one(f, &both[v], 48, 48, 0), FRAGMENT_HELD);
            assert_int_equal(add_one(f, &both[v], bad[i].at, bad[i].size, 0), FRAGMENT_OVERLAP);
            assert_int_equal(counts(f).fragments_held, 0);
            assert_int_equal(counts(f).datagrams_refused, 1);
            assert_int_equal(add_one(f, &both[v], 96, 200, 1), FRAGMENT_OVERLAP); /* its rest as well */
            assert_int_equal(add_one(f, &both[v], 0, 48, 59 * SECOND), FRAGMENT_OVERLAP);
            assert_int_equal(add_one(f, &both[v], 0, 48, 60 * SECOND), FRAGMENT_HELD);
            assert_int_equal(counts(f).datagrams_expired, 0);
            fragments_destroy(f);
        }
    }
}

/* The last one may be shorter than the unit in which places are counted. */
static void a_short_end_told_twice(void **state)
{
    struct packet p = {.fill = 92, .id = 1}; /* 100 bytes with UDP's header */
    struct fragments *f = create(0, 0);
    const uint8_t *out;
    uint32_t size;

    (void)state;
    assert_int_equal(add_one(f, &p, 96, 8, 0), FRAGMENT_HELD);
    assert_int_equal(add_one(f, &p, 96, 8, 0), FRAGMENT_HELD);
    assert_int_equal(counts(f).fragments_held, 1);
    frames[0].size = packet_fragment(&p, 0, 96, frames[0].bytes, sizeof(frames[0].bytes));
    assert_int_equal(add(f, &frames[0], 0, &out, &size), FRAGMENT_COMPLETE);
    whole_is(&p, out, size);
    fragments_destroy(f);
}

static void the_same_place_with_other_bytes(void **state)
{
    struct packet p = {.no_transport = true, .fill = 200, .id = 1}, other = p;
    struct fragments *f = create(0, 0);
    static uint8_t data[200];

    (void)state;
    other.fill = 0;
    other.data = data;
    other.size = 200;
    for (unsigned i = 0; i < 200; i++)
        data[i] = (uint8_t)i;
    assert_int_equal(add_one(f, &p, 0, 96, 0), FRAGMENT_HELD);
    assert_int_equal(add_one(f, &other, 0, 96, 0), FRAGMENT_HELD); /* the same after all */
    data[95] ^= 1;
    assert_int_equal(add_one(f, &other, 0, 96, 0), FRAGMENT_OVERLAP);
    fragments_destroy(f);
}

static void two_ends(void **state)
{
    struct packet p = {.fill = 200, .id = 1}, shorter = p, longer = p;

    (void)state;
    shorter.fill = 150;
    longer.fill = 250;
    for (unsigned i = 0; i < 4; i++) {
        struct fragments *f = create(0, 0);

        if (i == 0) { /* beyond the end */
            assert_int_equal(add_one(f, &shorter, 96, 200, 0), FRAGMENT_HELD);
            assert_int_equal(add_one(f, &p, 160, 24, 0), FRAGMENT_OVERLAP);
        } else if (i == 1) { /* an end before what is there */
            assert_int_equal(add_one(f, &p, 168, 24, 0), FRAGMENT_HELD);
            assert_int_equal(add_one(f, &shorter, 96, 200, 0), FRAGMENT_OVERLAP);
        } else if (i == 2) { /* a later end */
            assert_int_equal(add_one(f, &p, 160, 200, 0), FRAGMENT_HELD);
            assert_int_equal(add_one(f, &longer, 208, 200, 0), FRAGMENT_OVERLAP);
        } else { /* the last one again, but not as the last */
            assert_int_equal(add_one(f, &(struct packet){.fill = 192, .id = 1}, 160, 200, 0), FRAGMENT_HELD);
            assert_int_equal(add_one(f, &longer, 160, 40, 0), FRAGMENT_OVERLAP);
        }
        fragments_destroy(f);
    }
}

static void no_fragments_at_all(void **state)
{
    static const struct packet bad[] = {
        {.fill = 8},                          /* whole */
        {.more = true, .no_transport = true}, /* nothing in it */
        {.offset = 64, .no_transport = true}, /* likewise, the last */
        {.src = SRC6, .more = true, .no_transport = true, .protocol = 47},
        {.more = true, .no_transport = true, .fill = 9}, /* refused by the parser already */
    };
    struct fragments *f = create(0, 0);
    const uint8_t *out;
    uint32_t size;

    (void)state;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct wire_packet w;

        packet_parse(&bad[i], room, sizeof(room), &w);
        assert_int_equal(fragments_add(f, &w, 1, 0, &out, &size), FRAGMENT_BAD);
        assert_null(out);
    }
    assert_int_equal(counts(f).fragments_held, 0);
    fragments_destroy(f);
}

/* ---- time, limits ---------------------------------------------------------------------------------- */

static void sixty_seconds(void **state)
{
    struct packet p = {.fill = 200, .id = 1}, q = {.fill = 200, .id = 2};
    struct fragments *f = create(0, 0);

    (void)state;
    assert_int_equal(add_one(f, &p, 0, 48, 5 * SECOND), FRAGMENT_HELD);
    assert_int_equal(add_one(f, &q, 0, 48, 6 * SECOND), FRAGMENT_HELD);
    assert_int_equal(add_one(f, &p, 48, 48, 64 * SECOND), FRAGMENT_HELD); /* does not prolong it */
    assert_int_equal(fragments_expire(f, 65 * SECOND - 1), 0);
    assert_int_equal(counts(f).fragments_held, 3);
    assert_int_equal(fragments_expire(f, 65 * SECOND), 1);
    assert_int_equal(counts(f).fragments_held, 1);
    assert_int_equal(add_one(f, &q, 48, 300, 66 * SECOND), FRAGMENT_HELD); /* too late: a new beginning */
    assert_int_equal(counts(f).datagrams_expired, 2);
    assert_int_equal(fragments_expire(f, 0), 0); /* an earlier time does nothing */
    assert_int_equal(fragments_expire(f, UINT64_MAX), 1);
    assert_int_equal(counts(f).fragments_held, 0);
    fragments_destroy(f);
}

static void the_oldest_is_given_up(void **state)
{
    struct packet p = {.fill = 200};
    struct fragments *f = create(0, 3);

    (void)state;
    for (p.id = 1; p.id <= 4; p.id++)
        assert_int_equal(add_one(f, &p, 0, 48, p.id), FRAGMENT_HELD);
    assert_int_equal(counts(f).datagrams_evicted, 1);
    assert_int_equal(counts(f).fragments_held, 3);
    p.id = 2;
    assert_int_equal(add_one(f, &p, 48, 200, 9), FRAGMENT_COMPLETE);
    p.id = 1; /* gone, so that its rest is the first of it */
    assert_int_equal(add_one(f, &p, 48, 200, 9), FRAGMENT_HELD);
    assert_int_equal(counts(f).datagrams_evicted, 1);
    fragments_destroy(f);
}

static void bytes_are_limited(void **state)
{
    struct packet p = {.fill = 58000};
    struct fragments *f = create(64 * 1024, 0);
    const uint8_t *out;
    uint32_t size;
    size_t n;

    (void)state;
    for (p.id = 1; p.id <= 200; p.id++) /* far more than fits */
        assert_int_equal(add_one(f, &p, 1480 * (p.id % 7), 1480, p.id), FRAGMENT_HELD);
    assert_true(counts(f).datagrams_evicted >= 200 - 64 * 1024 / 1480);
    assert_true(counts(f).fragments_held * 1480 <= 64 * 1024);
    assert_true(counts(f).fragments_held >= 30); /* and it is used */

    p.id = 1000;
    for (size_t at = 0; at + 1480 < 58008; at += 1480) /* one of 58,000 bytes has room, alone */
        assert_int_equal(add_one(f, &p, at, 1480, 1000), FRAGMENT_HELD);
    assert_true(counts(f).fragments_held >= 39);
    n = packet_fragment(&p, 39 * 1480, 1480, room, sizeof(room));
    assert_int_equal(add_cut(f, room, n, n, 1000, &out, &size), FRAGMENT_COMPLETE);
    whole_is(&p, out, size);
    fragments_destroy(f);

    f = create(8 * 1024, 0); /* room for no more than its beginning: it stays, and cannot be completed */
    for (size_t at = 0; at < 4 * 1480; at += 1480)
        assert_int_equal(add_one(f, &p, at, 1480, 0), FRAGMENT_HELD);
    assert_int_equal(add_one(f, &p, 8 * 1480, 1480, 0), FRAGMENT_HELD);
    assert_int_equal(add_one(f, &p, 9 * 1480, 1480, 0), FRAGMENT_NO_ROOM);
    assert_int_equal(counts(f).fragments_held, 5);
    fragments_destroy(f);

    f = create(100, 0); /* nothing fits at all */
    assert_int_equal(add_one(f, &p, 0, 1480, 0), FRAGMENT_NO_ROOM);
    assert_int_equal(add_one(f, &p, 0, 1480, 0), FRAGMENT_NO_ROOM);
    fragments_destroy(f);
}

/* ---- cut off --------------------------------------------------------------------------------------- */

static void what_the_capture_cut_off(void **state)
{
    static const struct packet p = {.sport = 7, .dport = 9, .fill = 3000, .id = 1};
    struct fragments *f = create(0, 0);
    size_t n = packet_fragments(&p, 1480, frames, MOST);
    struct wire_packet w;
    const uint8_t *out;
    uint32_t size;

    (void)state;
    assert_int_equal(n, 3);
    for (unsigned cut = 0; cut < 3; cut++) {
        for (unsigned i = 3; i-- > 0;) {
            enum fragment_result r =
                add_cut(f, frames[i].bytes, i == cut ? 64 : frames[i].size, frames[i].size, 0, &out, &size);
            assert_int_equal(r, i > 0 ? FRAGMENT_HELD : FRAGMENT_COMPLETE);
        }
        assert_int_equal(fragments_length(f), 3028);
        assert_int_equal(size, 20 + cut * 1480 + 30);
        wire_parse_ip(out, size, fragments_length(f), &w);
        assert_null(wire_invariants(&w));
        assert_int_equal(w.reached, WIRE_TRANSPORT);
        assert_int_equal(w.destination_port, 9);
        assert_int_equal(w.data_length, 3000);
        for (uint32_t i = 28; i < size; i++)
            assert_int_equal(out[i], (uint8_t)(i - 28));
    }
    fragments_destroy(f);
}

/* ---- against a naive reference --------------------------------------------------------------------- */

/* Keeps all bytes and who set them; no limit of memory, one state per id. */
struct naive {
    bool poisoned, open;
    UINT64 since;
    uint32_t end, received;
    uint8_t bytes[1024];
    uint8_t owner[1024]; /* 0: nobody; else which fragment */
    struct {
        uint32_t first, size;
        bool more;
    } of[256];
    unsigned count;
};

static enum fragment_result naive_add(struct naive *n, uint32_t first, uint32_t size, bool more,
                                      const uint8_t *bytes, UINT64 now)
{
    uint32_t taken = 0;

    if ((n->open || n->poisoned) && now - n->since >= 60 * SECOND)
        memset(n, 0, sizeof(*n));
    if (n->poisoned)
        return FRAGMENT_OVERLAP;
    if (!n->open)
        *n = (struct naive){.open = true, .since = now, .end = UINT32_MAX};
    for (unsigned i = 0; i < n->count; i++) {
        if (n->of[i].first == first && n->of[i].size == size && n->of[i].more == more &&
            memcmp(n->bytes + first, bytes, size) == 0)
            return FRAGMENT_HELD;
    }
    for (uint32_t i = first; i < first + size; i++)
        taken += n->owner[i] != 0;
    for (uint32_t i = first + size; i < 1024 && !more; i++)
        taken += n->owner[i] != 0;
    if (taken != 0 || (n->end != UINT32_MAX && (first + size > n->end || !more))) {
        memset(n, 0, sizeof(*n));
        n->poisoned = true;
        n->since = now; /* set right by the caller */
        return FRAGMENT_OVERLAP;
    }
    n->of[n->count].first = first, n->of[n->count].size = size, n->of[n->count].more = more;
    n->count++;
    memset(n->owner + first, (int)n->count, size);
    memcpy(n->bytes + first, bytes, size);
    n->received += size;
    if (!more)
        n->end = first + size;
    return n->received == n->end ? FRAGMENT_COMPLETE : FRAGMENT_HELD;
}

static void as_a_naive_reference_does(void **state)
{
    static struct naive naive[8];
    struct fragments *f = create(0, 0);
    unsigned results[FRAGMENT_NO_ROOM + 1] = {0};
    UINT64 now = 0;

    (void)state;
    memset(naive, 0, sizeof(naive));
    for (unsigned run = 0; run < 60000; run++) {
        uint8_t data[256];
        unsigned id = below(8);
        /* few places, so that whole datagrams come about, and overlaps as well */
        uint32_t size = below(8) == 0 ? 8 * (1 + below(4)) : 32,
                 first = below(8) == 0 ? 8 * below(16) : 32 * below(5);
        bool more = first < 128 && below(40) != 0;
        struct packet p = {.src = id % 2 != 0 ? SRC6 : NULL,
                           .protocol = 47,
                           .no_transport = true,
                           .id = id,
                           .offset = first,
                           .more = more,
                           .data = data};
        enum fragment_result expected, found;
        UINT64 since = naive[id].since;
        const uint8_t *out;
        uint32_t got;
        size_t n;

        if (!more)
            size = below(2) == 0 ? size : 1 + below(31);
        if (first == 0 && !more)
            continue; /* whole: no fragment */
        for (uint32_t i = 0; i < size; i++)
            data[i] = (uint8_t)(first + i + id + (below(300) == 0));
        p.size = size;
        now += below(20) == 0 ? below(20) * SECOND : 0;
        n = packet_build(&p, room, sizeof(room));
        found = add_cut(f, room, n, n, now, &out, &got);

        if ((naive[id].open || naive[id].poisoned) && now - since >= 60 * SECOND)
            since = now;
        else if (!naive[id].open && !naive[id].poisoned)
            since = now;
        expected = naive_add(&naive[id], first, size, more, data, now);
        naive[id].since = since;
        if (found != expected)
            fail_msg("step %u: found %u, expected %u (id %u, %u+%u)", run, found, expected, id, first, size);
        results[found]++;
        if (found != FRAGMENT_COMPLETE)
            continue;
        n = id % 2 != 0 ? 40 : 20;
        assert_int_equal(got, n + naive[id].end);
        assert_memory_equal(out + n, naive[id].bytes, naive[id].end);
        memset(&naive[id], 0, sizeof(naive[id]));
    }
    assert_true(results[FRAGMENT_COMPLETE] > 200); /* it did happen */
    assert_true(results[FRAGMENT_OVERLAP] > 200);
    assert_int_equal(counts(f).datagrams_reassembled, results[FRAGMENT_COMPLETE]);
    fragments_destroy(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_any_order),
        cmocka_unit_test(the_largest_there_is),
        cmocka_unit_test(larger_than_there_is),
        cmocka_unit_test(atomic_fragments_go_alone),
        cmocka_unit_test(the_first_fragment_has_the_header),
        cmocka_unit_test(what_belongs_together),
        cmocka_unit_test(overlaps_end_the_datagram),
        cmocka_unit_test(a_short_end_told_twice),
        cmocka_unit_test(the_same_place_with_other_bytes),
        cmocka_unit_test(two_ends),
        cmocka_unit_test(no_fragments_at_all),
        cmocka_unit_test(sixty_seconds),
        cmocka_unit_test(the_oldest_is_given_up),
        cmocka_unit_test(bytes_are_limited),
        cmocka_unit_test(what_the_capture_cut_off),
        cmocka_unit_test(as_a_naive_reference_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
