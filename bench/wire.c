/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What reading a packet costs: wire_parse() with its bytes in the cache, from memory, and from memory fetched
 * ahead as a replay can; the checksum. Peers, in the same run: for parsing from memory, touching each frame's
 * first two cache lines and nothing else; for the checksum, a sum of 16 bits at a time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "wire/wire.h"

#define FRAME   658 /* bytes, the mean of real captures */
#define HOT     16
#define STREAM  200000 /* x FRAME: far beyond the caches */
#define AHEAD   8
#define PASSES  15
#define REPEATS 4000

static void put16(uint8_t *at, unsigned v)
{
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
}

/* A frame of FRAME bytes: TCP with a time stamp; every fourth UDP; every eighth IPv6. */
static void make_frame(uint8_t *f, unsigned n)
{
    bool v6 = n % 8 == 5, udp = n % 4 == 3;
    uint8_t *ip = f + 14, *transport = ip + (v6 ? 40 : 20);
    size_t size = (size_t)(f + FRAME - transport);

    for (unsigned i = 0; i < FRAME; i++)
        f[i] = (uint8_t)(i * 7 + n);
    put16(f + 12, v6 ? 0x86dd : 0x0800);
    if (v6) {
        memset(ip, 0, 8);
        ip[0] = 0x60;
        put16(ip + 4, (unsigned)size);
        ip[6] = udp ? 17 : 6;
        ip[7] = 64;
    } else {
        memset(ip, 0, 12);
        ip[0] = 0x45;
        put16(ip + 2, FRAME - 14);
        ip[8] = 64;
        ip[9] = udp ? 17 : 6;
        put16(ip + 10, wire_fold(wire_sum(ip, 20, 0)));
    }
    put16(transport, 1024 + n % 60000);
    put16(transport + 2, 443);
    if (udp) {
        put16(transport + 4, (unsigned)size);
    } else {
        transport[12] = 0x80;
        transport[13] = WIRE_TCP_ACK;
        memcpy(transport + 20, "\1\1\10\12", 4);
    }
}

static uint64_t parse_all(const uint8_t *frames, size_t count, size_t repeats)
{
    uint64_t seen = 0;

    for (size_t r = 0; r < repeats; r++) {
        for (size_t i = 0; i < count; i++) {
            struct wire_packet w;

            wire_parse(WIRE_LINK_ETHERNET, frames + i * FRAME, FRAME, FRAME, &w);
            seen += w.reached == WIRE_TRANSPORT ? w.data_length : 1u << 30;
            __asm__ volatile("" : : "r"(&w) : "memory");
        }
    }
    return seen;
}

static uint64_t parse_ahead(const uint8_t *frames, size_t count)
{
    uint64_t seen = 0;

    for (size_t i = 0; i < count; i++) {
        struct wire_packet w;

        __builtin_prefetch(frames + (i + AHEAD) * FRAME); /* beyond the end: nothing happens */
        __builtin_prefetch(frames + (i + AHEAD) * FRAME + 64);
        wire_parse(WIRE_LINK_ETHERNET, frames + i * FRAME, FRAME, FRAME, &w);
        seen += w.data_length;
        __asm__ volatile("" : : "r"(&w) : "memory");
    }
    return seen;
}

static uint64_t sum_of_16(const uint8_t *bytes, size_t size)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < size; i += 2) {
        sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
        __asm__ volatile("" : "+r"(sum)); /* one at a time: that is what is compared */
    }
    return sum;
}

static uint64_t touch_all(const uint8_t *frames, size_t count)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        uint64_t a, b;

        memcpy(&a, frames + i * FRAME, 8);
        memcpy(&b, frames + i * FRAME + 56, 8);
        sum += a ^ b;
    }
    return sum;
}

static void report(const char *what, double *ns)
{
    bench_sort(ns, PASSES);
    printf("  %-44s %6.1f ns (%.1f .. %.1f)\n", what, bench_percentile(ns, PASSES, 0.5), ns[0],
           ns[PASSES - 1]);
}

int main(void)
{
    static double hot[PASSES], stream[PASSES], ahead[PASSES], touched[PASSES], ratio[PASSES], sum[PASSES],
        plain[PASSES], sums[PASSES], verify[PASSES];
    uint8_t *frames = malloc((size_t)STREAM * FRAME);
    uint64_t sink = 0;

    if (frames == NULL)
        bench_die("no memory");
    for (unsigned i = 0; i < STREAM; i++)
        make_frame(frames + (size_t)i * FRAME, i);
    if (parse_all(frames, STREAM, 1) >= 1u << 30)
        bench_die("a frame that should be sound is not");

    for (unsigned pass = 0; pass < PASSES; pass++) {
        double start = bench_cpu_ns();

        sink += parse_all(frames, HOT, REPEATS);
        hot[pass] = (bench_cpu_ns() - start) / (HOT * REPEATS);

        start = bench_cpu_ns();
        sink += touch_all(frames, STREAM);
        touched[pass] = (bench_cpu_ns() - start) / STREAM;

        start = bench_cpu_ns();
        sink += parse_all(frames, STREAM, 1);
        stream[pass] = (bench_cpu_ns() - start) / STREAM;

        start = bench_cpu_ns();
        sink += parse_ahead(frames, STREAM);
        ahead[pass] = (bench_cpu_ns() - start) / STREAM;
        ratio[pass] = ahead[pass] / touched[pass];

        start = bench_cpu_ns();
        for (unsigned i = 0; i < HOT * REPEATS; i++)
            sink += wire_fold(wire_sum(frames + i % HOT * FRAME, FRAME, 0));
        sum[pass] = (bench_cpu_ns() - start) / (HOT * REPEATS);

        start = bench_cpu_ns();
        for (unsigned i = 0; i < HOT * REPEATS; i++)
            sink += sum_of_16(frames + i % HOT * FRAME, FRAME);
        plain[pass] = (bench_cpu_ns() - start) / (HOT * REPEATS);
        sums[pass] = sum[pass] / plain[pass];

        start = bench_cpu_ns();
        for (unsigned i = 0; i < HOT * REPEATS; i++) {
            struct wire_packet w;

            wire_parse(WIRE_LINK_ETHERNET, frames + i % HOT * FRAME, FRAME, FRAME, &w);
            sink += wire_verify(&w);
        }
        verify[pass] = (bench_cpu_ns() - start) / (HOT * REPEATS);
    }
    printf("a packet of %d bytes, median of %d passes (least .. most)\n", FRAME, PASSES);
    report("parse, in the cache", hot);
    report("parse, from memory", stream);
    report("parse, from memory, fetched ahead", ahead);
    report("touching its headers, from memory", touched);
    printf("  parse fetched ahead / touch: %.2f\n", bench_median(ratio, PASSES));
    report("checksum of it, in the cache", sum);
    report("16 bits at a time, in the cache", plain);
    printf("  checksum / 16 bits at a time: %.2f\n", bench_median(sums, PASSES));
    report("parse and verify, in the cache", verify);
    free(frames);
    return sink == 0; /* it was used */
}
