/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rewriter: bytes a second through a connection whose streams are edited, headers and checksums made, beside memcpy()
 * of the same bytes.
 *
 * Segments of 1,448 bytes out of 4 MiB that no first cache holds, an acknowledgement after every second one. "passes": no
 * segment is edited before the first, which turned the connection; "edits": of each segment 8 bytes become 12. What is
 * given out is counted and dropped. Interleaved, pass by pass.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "host/rewrite.h"

#define PASSES  15
#define BYTES   (4u << 20)
#define SEGMENT 1448u

struct side {
    struct rewrite *rewrite;
    struct rewrite_counts counts;
    uint8_t frame[66 + SEGMENT], answer[66];
    uint32_t seq, top; /* of the source; of what was sent */
    uint64_t given;
    bool edits;
};

static void put16(uint8_t *at, uint32_t v)
{
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
}

static void put32(uint8_t *at, uint32_t v)
{
    put16(at, v >> 16);
    put16(at + 2, v);
}

static void header(uint8_t *f, int dir, uint32_t size)
{
    memset(f, 0, 66);
    put16(f + 12, 0x0800);
    f[14] = 0x45;
    put16(f + 16, 52 + size);
    f[22] = 64;
    f[23] = WIRE_PROTOCOL_TCP;
    put32(f + 26, dir == 0 ? 0x0a000001 : 0x0a000002);
    put32(f + 30, dir == 0 ? 0x0a000002 : 0x0a000001);
    put16(f + 34, dir == 0 ? 1000 : 80);
    put16(f + 36, dir == 0 ? 80 : 1000);
    f[46] = 8 << 4;
    f[47] = WIRE_TCP_ACK;
    put16(f + 48, 65535);
    f[54] = f[55] = 1;
    f[56] = 8;
    f[57] = 10;
    put16(f + 24, wire_fold(wire_sum(f + 14, 20, 0)));
}

static void on_send(void *ctx, const struct rewrite_sent *p)
{
    struct side *s = ctx;

    s->given += p->data;
}

static void segment(struct side *s, const uint8_t *bytes)
{
    struct rewrite_element e = {.same = true};
    struct wire_packet p;

    put32(s->frame + 38, s->seq);
    memcpy(s->frame + 66, bytes, SEGMENT); /* as a capture has it */
    wire_parse(WIRE_LINK_ETHERNET, s->frame, sizeof(s->frame), sizeof(s->frame), &p);
    rewrite_see(s->rewrite, 0, &p);
    rewrite_feed(s->rewrite, 0, s->frame + 66, SEGMENT, 0, false);
    e.bytes = s->frame + 66;
    e.size = e.span = SEGMENT;
    if (s->edits) {
        e.size = e.span = 700;
        rewrite_element(s->rewrite, 0, &e);
        rewrite_element(s->rewrite, 0,
                        &(struct rewrite_element){.bytes = (const uint8_t *)"twelve bytes", .size = 12});
        rewrite_element(s->rewrite, 0, &(struct rewrite_element){.span = 8});
        e.bytes += 708;
        e.size = e.span = SEGMENT - 708;
    }
    rewrite_element(s->rewrite, 0, &e);
    rewrite_fed(s->rewrite, 0);
    if (!rewrite_segment(s->rewrite, 0, &p))
        bench_die("it is not rewritten");
    s->seq += SEGMENT;
}

static void answer(struct side *s)
{
    struct wire_packet p;

    put32(s->answer + 42, s->seq);
    wire_parse(WIRE_LINK_ETHERNET, s->answer, sizeof(s->answer), sizeof(s->answer), &p);
    rewrite_see(s->rewrite, 1, &p);
    (void)rewrite_segment(s->rewrite, 1, &p);
}

static double pass(struct side *s, const uint8_t *bytes)
{
    const double before = bench_cpu_ns();

    for (uint32_t at = 0, n = 0; at + SEGMENT <= BYTES; at += SEGMENT, n++) {
        segment(s, bytes + at);
        if (n % 2 == 1)
            answer(s);
    }
    return bench_cpu_ns() - before;
}

static void begin(struct side *s, bool edits)
{
    const struct rewrite_config config = {.send = on_send, .ctx = s, .counts = &s->counts};

    *s = (struct side){.seq = 1, .edits = edits};
    header(s->frame, 0, SEGMENT);
    header(s->answer, 1, 0);
    s->rewrite = rewrite_create(&config);
    if (s->rewrite == NULL)
        bench_die("no memory");
    rewrite_place(s->rewrite, 0, 1);
    rewrite_place(s->rewrite, 1, 0);
    rewrite_withhold(s->rewrite);
}

int main(void)
{
    static double copied[PASSES], passed[PASSES], edited[PASSES], ratios[2][PASSES];
    uint8_t *from = malloc(BYTES), *to = malloc(BYTES);
    const double all = BYTES / SEGMENT * (double)SEGMENT;
    static struct side sides[2];

    if (from == NULL || to == NULL)
        bench_die("no memory");
    memset(from, 'x', BYTES);
    begin(&sides[0], false);
    begin(&sides[1], true);
    for (int i = -1; i < PASSES; i++) {
        double times[3], before = bench_cpu_ns();

        for (uint32_t at = 0; at + SEGMENT <= BYTES; at += SEGMENT) {
            memcpy(to + at, from + at, SEGMENT);
            __asm__ volatile("" : : "r"(to) : "memory");
        }
        times[0] = bench_cpu_ns() - before;
        times[1] = pass(&sides[0], from);
        times[2] = pass(&sides[1], from);
        if (i < 0)
            continue;
        copied[i] = times[0];
        passed[i] = times[1];
        edited[i] = times[2];
        ratios[0][i] = times[1] / times[0];
        ratios[1][i] = times[2] / times[0];
    }
    if (sides[0].given != (uint64_t)all * (PASSES + 1) || sides[1].given <= sides[0].given ||
        sides[0].counts.evicted != 0)
        bench_die("bytes were lost");
    printf("rewritten connections, segments of %u bytes; GB/s of one core (time / memcpy's)\n", SEGMENT);
    printf("  memcpy  %6.2f\n", all / bench_median(copied, PASSES));
    printf("  passes  %6.2f  (%.1f)\n", all / bench_median(passed, PASSES), bench_median(ratios[0], PASSES));
    printf("  edits   %6.2f  (%.1f)\n", all / bench_median(edited, PASSES), bench_median(ratios[1], PASSES));
    printf("  memory of a rewritten connection with nothing on its way: %zu bytes\n",
           rewrite_memory(sides[0].rewrite));
    for (int i = 0; i < 2; i++)
        rewrite_destroy(sides[i].rewrite);
    free(from);
    free(to);
    return 0;
}
