/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the putting together of datagrams: the input is a sequence of fragments of few datagrams (which one,
 * where, how much, the last or not, with which bytes, how much later, how much of it the capture cut off).
 *
 * With room for all, every answer and every whole is held against a naive reference, which keeps all bytes
 * and who brought them. With little room: bounds and counts alone.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../support/packets.h"
#include "host/internal.h"
#include "stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define IDS    4
#define MOST   1024
#define PIECES 128
#define SECOND 1000000000ull

struct naive {
    bool open, poisoned, odd; /* odd: some bytes are not the usual ones */
    UINT64 since;
    uint32_t end, received, shown;
    uint8_t bytes[MOST], owner[MOST];
    struct {
        uint32_t first, size;
        bool more;
    } of[PIECES + 1];
    unsigned count;
};

static enum fragment_result naive_add(struct naive *n, const struct packet *p, uint32_t there, UINT64 now)
{
    uint32_t first = p->offset, end = first + (uint32_t)p->size, taken = 0;
    const uint8_t *bytes = p->data;

    if (now - n->since >= 60 * SECOND)
        n->open = n->poisoned = false;
    if (n->poisoned)
        return FRAGMENT_OVERLAP;
    if (!n->open) {
        memset(n, 0, sizeof(*n));
        n->open = true;
        n->since = now;
        n->end = UINT32_MAX;
        n->shown = MOST;
    }
    for (unsigned i = 0; i < n->count; i++) {
        if (n->of[i].first == first && n->of[i].size == p->size && n->of[i].more == p->more &&
            memcmp(n->bytes + first, bytes, p->size) == 0)
            return FRAGMENT_HELD;
    }
    for (uint32_t i = first; i < (p->more ? end : MOST); i++)
        taken += n->owner[i] != 0;
    if (taken != 0 || (n->end != UINT32_MAX && (end > n->end || !p->more))) {
        n->poisoned = true;
        return FRAGMENT_OVERLAP;
    }
    n->of[n->count].first = first;
    n->of[n->count].size = (uint32_t)p->size;
    n->of[n->count].more = p->more;
    n->count++;
    memset(n->owner + first, 1, p->size);
    memcpy(n->bytes + first, bytes, p->size);
    if (there < p->size && first + there < n->shown)
        n->shown = first + there;
    n->received += (uint32_t)p->size;
    if (!p->more)
        n->end = end;
    return n->received == n->end ? FRAGMENT_COMPLETE : FRAGMENT_HELD;
}

static void compare_whole(struct naive *n, unsigned id, const uint8_t *out, uint32_t size, uint32_t length)
{
    uint32_t header = id % 2 != 0 ? 40 : 20, shown = n->shown < n->end ? n->shown : n->end;
    struct wire_packet w;

    REQUIRE(length == header + n->end);
    REQUIRE(size == header + shown);
    REQUIRE(memcmp(out + header, n->bytes, shown) == 0);
    wire_parse_ip(out, size, length, &w);
    REQUIRE(w.fault == WIRE_OK && w.reached == WIRE_TRANSPORT && !w.fragment && !w.ip_checksum_wrong);
    REQUIRE(w.ip_length == length);
    n->open = false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct naive *naive = calloc(IDS, sizeof(*naive));
    struct stream s = {data, size};
    bool little = take8(&s) % 4 == 3;
    struct host_limits limits = {.fragment_bytes = little ? 5000 : 0, .datagrams = little ? 3 : 8};
    struct fragments *f;
    UINT64 now = 0, completed = 0;

    REQUIRE(naive != NULL && fragments_create(&limits, &f) == 0);
    for (unsigned step = 0; stream_more(&s) && step < PIECES; step++) {
        uint8_t bytes[256], frame[512], *exact;
        unsigned id = take_below(&s, IDS), what = take8(&s), cut;
        struct packet p = {.link = PACKET_RAW,
                           .src = id % 2 != 0 ? "fd00::2" : "10.0.0.2",
                           .protocol = 47,
                           .no_transport = true,
                           .id = id,
                           .offset = 8 * take_below(&s, 96),
                           .more = (what & 1) != 0,
                           .data = bytes};
        enum fragment_result r, expected;
        struct host_counts counts = {0};
        struct wire_packet w;
        const uint8_t *out;
        uint32_t out_size, n, there;

        p.size = p.more ? 8 * (1 + take_below(&s, 31)) : 1 + take_below(&s, 250);
        if (p.offset == 0 && !p.more)
            continue;
        for (size_t i = 0; i < p.size; i++)
            bytes[i] = (uint8_t)(p.offset + i + ((what & 2) != 0 && i == 7));
        if ((what & 4) != 0)
            now += take8(&s) * (SECOND / 4);
        n = (uint32_t)packet_build(&p, frame, sizeof(frame));
        cut = (what & 8) != 0 && (what & 2) == 0 ? take_below(&s, (unsigned)p.size) : 0;
        there = (uint32_t)p.size - cut;
        exact = malloc(n - cut);
        REQUIRE(exact != NULL);
        memcpy(exact, frame, n - cut);
        wire_parse_ip(exact, n - cut, n, &w);
        REQUIRE(w.reached >= WIRE_NETWORK && w.fragment);
        r = fragments_add(f, &w, 1, now, &out, &out_size);
        free(exact);
        REQUIRE((r == FRAGMENT_COMPLETE) == (out != NULL));
        completed += r == FRAGMENT_COMPLETE;

        fragments_counts(f, &counts);
        REQUIRE(counts.datagrams_reassembled == completed);
        if (little) {
            REQUIRE(counts.fragments_held <= 5000 / 768);
            continue;
        }
        REQUIRE(counts.datagrams_evicted == 0 && r != FRAGMENT_BAD && r != FRAGMENT_NO_ROOM);
        /* Other bytes where the one or the other is cut off are taken for the same: not tried. */
        if (naive[id].open && ((what & 2) != 0 ? naive[id].shown != MOST : cut != 0 && naive[id].odd))
            break;
        expected = naive_add(&naive[id], &p, there, now);
        naive[id].odd |= (what & 2) != 0;
        REQUIRE(r == expected);
        if (r == FRAGMENT_COMPLETE)
            compare_whole(&naive[id], id, out, out_size, fragments_length(f));
    }
    fragments_expire(f, UINT64_MAX);
    fragments_destroy(f);
    free(naive);
    return 0;
}
