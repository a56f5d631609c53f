/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger beside the barest bookkeeping there can be: records of 200 bytes from a free list, put into a
 * hash by their key and taken out again (what an implementation of pend and complete needs anyway).
 *
 * N are outstanding; a step completes a random one and begins a new one. Three ways, interleaved pass by
 * pass, over the same random numbers: bare; bare and a ledger that counts (live); bare and a full ledger.
 * What the ledger costs is the difference, and its share is the ratio.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "ledger/ledger.h"

#define PASSES 15
#define STEPS  262144

struct record { /* a pended operation's */
    struct record *next;
    uint64_t key;
    uint64_t state[23];
};

struct bare {
    struct record *slab, *free, **buckets;
    size_t mask;
    uint64_t *open; /* keys */
    size_t count;
    uint64_t next_key;
};

enum way { BARE, COUNT, FULL, WAYS };

static struct record **bucket(struct bare *b, uint64_t key)
{
    return &b->buckets[(key * 0x9e3779b97f4a7c15u >> 32) & b->mask];
}

static uint64_t insert(struct bare *b)
{
    struct record *r = b->free, **at;

    b->free = r->next;
    r->key = b->next_key += 64; /* completion contexts, as handed out */
    r->state[0] = r->key;
    at = bucket(b, r->key);
    r->next = *at;
    *at = r;
    return r->key;
}

static void take(struct bare *b, uint64_t key)
{
    struct record **at = bucket(b, key), *r;

    while ((*at)->key != key)
        at = &(*at)->next;
    r = *at;
    *at = r->next;
    r->next = b->free;
    b->free = r;
}

static void bare_create(struct bare *b, size_t n)
{
    size_t buckets = 1;

    while (buckets < n)
        buckets *= 2;
    *b = (struct bare){.slab = calloc(n + 1, sizeof(struct record)), .mask = buckets - 1, .count = n};
    b->buckets = calloc(buckets, sizeof(*b->buckets));
    b->open = calloc(n, sizeof(*b->open));
    if (b->slab == NULL || b->buckets == NULL || b->open == NULL)
        bench_die("no memory");
    for (size_t i = n + 1; i-- > 0;) {
        b->slab[i].next = b->free;
        b->free = &b->slab[i];
    }
}

static void bare_destroy(struct bare *b)
{
    free(b->open);
    free(b->buckets);
    free(b->slab);
}

struct lab {
    struct bare bare[WAYS];
    struct ledger *ledger[WAYS]; /* BARE: none */
    struct rt_context context[WAYS];
    uint32_t *draws;
};

static void begin(struct lab *l, enum way w, size_t slot)
{
    uint64_t key = insert(&l->bare[w]);

    l->bare[w].open[slot] = key;
    if (w != BARE)
        ledger_open(LEDGER_PENDED_OPERATION, key, 0, NULL, __builtin_return_address(0));
}

static void complete(struct lab *l, enum way w, size_t slot)
{
    uint64_t key = l->bare[w].open[slot];

    if (w != BARE && !ledger_close(LEDGER_PENDED_OPERATION, key, __builtin_return_address(0)))
        bench_die("it was not open");
    take(&l->bare[w], key);
}

static double pass(struct lab *l, enum way w)
{
    double start;

    rt_set_current(&l->context[w]);
    start = bench_cpu_ns();
    for (size_t i = 0; i < STEPS; i++) {
        complete(l, w, l->draws[i]);
        begin(l, w, l->draws[i]);
    }
    return (bench_cpu_ns() - start) / STEPS;
}

static void measure(size_t n)
{
    static const char *const names[WAYS] = {"bare slab and hash", "with the ledger's counters",
                                            "with the full ledger"};
    double ns[WAYS][PASSES], ratio[WAYS][PASSES], more[WAYS][PASSES];
    size_t bytes[WAYS];
    struct lab l = {0};

    l.draws = malloc(STEPS * sizeof(*l.draws));
    if (l.draws == NULL)
        bench_die("no memory");
    srand(1);
    for (size_t i = 0; i < STEPS; i++)
        l.draws[i] = (uint32_t)(((uint64_t)rand() << 16 ^ (uint64_t)rand()) % n);
    for (int w = BARE; w < WAYS; w++) {
        struct ledger_config config = {.mode = w == FULL ? LEDGER_FULL : LEDGER_COUNT};

        bare_create(&l.bare[w], n);
        bytes[w] = bench_heap_bytes();
        if (w != BARE) {
            if (ledger_create(&config, &l.ledger[w]) != 0)
                bench_die("no memory");
            l.context[w].party = ledger_party_add(l.ledger[w], "driver");
        }
        rt_set_current(&l.context[w]);
        for (size_t i = 0; i < n; i++)
            begin(&l, w, i);
        bytes[w] = bench_heap_bytes() - bytes[w];
    }
    for (int p = 0; p < PASSES; p++) {
        for (int w = BARE; w < WAYS; w++) {
            pass(&l, w);
            ns[w][p] = pass(&l, w);
            ratio[w][p] = ns[w][p] / ns[BARE][p];
            more[w][p] = ns[w][p] - ns[BARE][p];
        }
    }
    for (int w = BARE; w < WAYS; w++) {
        struct ledger_counts counts;

        printf("%8zu outstanding, %-27s %6.1f ns", n, names[w], bench_median(ns[w], PASSES));
        if (w != BARE) {
            ledger_counts(l.ledger[w], &counts);
            if (counts.open != n || counts.opened != counts.closed + n)
                bench_die("it counted wrong");
            printf(", ratio %.2f, the ledger's part %6.1f ns, %.0f bytes each",
                   bench_median(ratio[w], PASSES), bench_median(more[w], PASSES),
                   (double)bytes[w] / (double)n);
        }
        printf("\n");
        rt_set_current(NULL);
        ledger_destroy(l.ledger[w]);
        bare_destroy(&l.bare[w]);
    }
    free(l.draws);
}

int main(void)
{
    struct rt_sim *s;

    measure(4000);
    measure(262144);
    printf("in a simulated world:\n");
    if (rt_sim_create(&(struct rt_sim_config){0}, &s) != 0)
        bench_die("no memory");
    rt_sim_enter(s);
    measure(4000);
    measure(262144);
    rt_sim_leave(s);
    rt_sim_destroy(s);
    return 0;
}
