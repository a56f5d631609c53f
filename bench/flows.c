/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flow table against DPDK's rte_hash: the same keys, looked up in a random order, one at a time and 32 at
 * a time. Either side answers with the number of the flow: ours reads it in the flow, rte_hash has it beside
 * the key. Both sides' memory is of huge pages where the system has them on demand (--small: the peer's is
 * not).
 *
 *   usage: bench_flows [--quick] [--small] [flows ...]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "dpdk.h"
#include "hash_peer.h"
#include "host/flow_table.h"

#define ASKED   (1u << 20)
#define BATCH   32
#define PASSES  9
#define MINIMUM 3

static uint64_t state = 88172645463325252;

static uint64_t next_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* Flows of one host: a few local addresses, random remotes; one in four IPv6. */
static void key_of(uint32_t n, struct host_flow_key *k)
{
    uint32_t spread = n * 2654435761u;

    memset(k, 0, sizeof(*k));
    k->protocol = n % 3 == 0 ? WIRE_PROTOCOL_UDP : WIRE_PROTOCOL_TCP;
    k->local_port = (uint16_t)(n % 64000 + 1024);
    k->remote_port = n % 5 == 0 ? 80 : 443;
    if (n % 4 == 0) {
        k->version = 6;
        memcpy(k->local.v6, (const uint8_t[]){0x20, 1, 0xd, 0xb8}, 4);
        memcpy(k->remote.v6, (const uint8_t[]){0x20, 1, 0xd, 0xb8, 1}, 5);
        k->local.v6[15] = 1;
        memcpy(&k->remote.v6[8], &spread, 4);
    } else {
        k->version = 4;
        k->local.v4 = 0xc0a80000 + n % 4;
        k->remote.v4 = spread;
    }
}

static double ours_single(struct flow_table *t, const struct host_flow_key *asked, uint64_t *sum)
{
    double start = bench_cpu_ns();

    for (size_t i = 0; i < ASKED; i++) {
        const struct host_flow *f = flow_table_find(t, &asked[i]);
        *sum += f != NULL ? f->id : 0;
    }
    return (bench_cpu_ns() - start) / ASKED;
}

static double ours_many(struct flow_table *t, const struct host_flow_key *asked, uint64_t *sum)
{
    double start = bench_cpu_ns();

    for (size_t at = 0; at < ASKED; at += BATCH) {
        const struct host_flow_key *keys[BATCH];
        struct host_flow *found[BATCH];
        for (size_t i = 0; i < BATCH; i++)
            keys[i] = &asked[at + i];
        flow_table_find_many(t, keys, BATCH, found);
        for (size_t i = 0; i < BATCH; i++)
            *sum += found[i] != NULL ? found[i]->id : 0;
    }
    return (bench_cpu_ns() - start) / ASKED;
}

struct figures {
    double ours[PASSES], theirs[PASSES], ratio[PASSES];
};

static void print(const char *what, struct figures *f, size_t passes)
{
    double ours = bench_median(f->ours, passes), theirs = bench_median(f->theirs, passes);
    double ratio = bench_median(f->ratio, passes);
    printf("  %-8s %7.1f ns   rte_hash %7.1f ns   ratio %.2f (%.2f-%.2f)\n", what, ours, theirs, ratio,
           f->ratio[0], f->ratio[passes - 1]);
}

static void measure(uint32_t flows, size_t passes)
{
    struct host_flow_key *keys = malloc(flows * sizeof(*keys)), *asked = malloc(ASKED * sizeof(*asked));
    struct flow_table *t;
    struct figures single, many;
    double start, ours_add, theirs_add;
    uint64_t a = 0, b = 0;

    if (keys == NULL || asked == NULL || flow_table_create(flows, 1, &t) != 0)
        bench_die("out of memory");
    for (uint32_t i = 0; i < flows; i++)
        key_of(i, &keys[i]);
    start = bench_cpu_ns();
    for (uint32_t i = 0; i < flows; i++) {
        struct host_flow *f = flow_table_add(t, &keys[i]);
        if (f == NULL)
            bench_die("no room for flow %u", i);
        f->id = i + 1;
    }
    ours_add = (bench_cpu_ns() - start) / flows;
    size_t before = bench_dpdk_bytes();
    start = bench_cpu_ns();
    struct hash_peer *p = hash_peer_create(keys, sizeof(*keys), flows);
    theirs_add = (bench_cpu_ns() - start) / flows;
    for (size_t i = 0; i < ASKED; i++)
        asked[i] = keys[next_random() % flows];
    /* nothing is timed before both sides say the same; and this is the untimed pass */
    (void)ours_single(t, asked, &a);
    (void)hash_peer_single(p, asked, ASKED, &b);
    if (a != b)
        bench_die("the sides differ: %llu, %llu", (unsigned long long)a, (unsigned long long)b);
    for (size_t i = 0; i < passes; i++) {
        uint64_t sums[4] = {0};
        single.ours[i] = ours_single(t, asked, &sums[0]);
        single.theirs[i] = hash_peer_single(p, asked, ASKED, &sums[1]);
        many.ours[i] = ours_many(t, asked, &sums[2]);
        many.theirs[i] = hash_peer_bulk(p, asked, ASKED, &sums[3]);
        single.ratio[i] = single.ours[i] / single.theirs[i];
        many.ratio[i] = many.ours[i] / many.theirs[i];
        for (int s = 0; s < 4; s++) {
            if (sums[s] != a)
                bench_die("the sides differ");
        }
    }
    printf("%u flows: %.1f bytes a flow with its state; rte_hash %.1f for the keys alone; add %.0f and %.0f "
           "ns\n",
           flows, (double)flow_table_bytes(t) / flows, (double)(bench_dpdk_bytes() - before) / flows,
           ours_add, theirs_add);
    print("single", &single, passes);
    print("batched", &many, passes);
    hash_peer_destroy(p);
    flow_table_destroy(t);
    free(asked);
    free(keys);
}

int main(int argc, char **argv)
{
    uint32_t sizes[8] = {100000, 1000000, 10000000};
    size_t count = 3, given = 0, passes = PASSES;
    int small = 0;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quick") == 0) {
            passes = MINIMUM;
            count = 2;
        } else if (strcmp(argv[i], "--small") == 0) {
            small = 1;
        } else if (given < 8) {
            sizes[given++] = (uint32_t)strtoul(argv[i], NULL, 10);
        }
    }
    bench_dpdk_start(argv[0], 4096, !small);
    for (size_t i = 0; i < (given != 0 ? given : count); i++) {
        if (sizes[i] > 0)
            measure(sizes[i], passes);
    }
    return 0;
}
