/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One classify, from FWPS_INCOMING_VALUES0 to the verdict: at the largest layer of each shared state, and at
 * a made-up layer of 364 filters, 14 fields, 6 sublayers. With the endpoint's classes cached as the host
 * holds them, from raw values, and by the naive engine; all three agree on every verdict before anything is
 * timed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "engine/index.h"
#include "policy/policy.h"
#include "samples.h"

#define PASSES 41
#define ROUNDS 40 /* over the samples, a pass */
#define COUNT  (SAMPLE_ENDPOINTS * SAMPLE_PACKETS)

enum way { CACHED, RAW, NAIVE, WAYS };

static void ask(struct engine_reader *r, struct samples *s, unsigned i, enum way way,
                struct engine_verdict *v)
{
    struct engine_request q = {.values = &s->packets[i].incoming,
                               .cache = way == CACHED ? &s->caches[i / SAMPLE_PACKETS] : NULL};

    if (way == NAIVE)
        engine_classify_naive(r, &q, v);
    else
        engine_classify(r, &q, v);
}

static double pass(struct engine_reader *r, struct samples *s, enum way way, uint64_t *sum)
{
    unsigned rounds = way == NAIVE ? ROUNDS / 10 : ROUNDS;
    double start = bench_cpu_ns();
    struct engine_verdict v;

    for (unsigned k = 0; k < rounds; k++) {
        for (unsigned i = 0; i < COUNT; i++) {
            ask(r, s, i, way, &v);
            *sum += v.filter_id;
        }
    }
    return (bench_cpu_ns() - start) / (rounds * COUNT);
}

static void verify(struct engine_reader *r, struct samples *s)
{
    for (unsigned i = 0; i < COUNT; i++) {
        struct engine_verdict v[WAYS];

        for (int w = 0; w < WAYS; w++) {
            ask(r, s, i, (enum way)w, &v[w]);
            if (v[w].filter_id != v[0].filter_id || v[w].action != v[0].action || v[w].rights != v[0].rights)
                bench_die("sample %u: filter %llu by one way, %llu by another", i, v[0].filter_id,
                          v[w].filter_id);
        }
    }
}

static UINT32 conditioned_fields(const struct engine_layer_snapshot *ls)
{
    UINT64 fields = 0;

    for (UINT32 i = 0; i < ls->count; i++)
        for (UINT32 k = 0; k < ls->filters[i]->group_count; k++)
            fields |= 1ULL << ls->filters[i]->groups[k].field;
    return (UINT32)__builtin_popcountll(fields);
}

static void measure(struct engine *e, UINT16 layer_id, const char *name)
{
    double ns[WAYS][PASSES], ratio[PASSES], cached;
    const struct engine_layer_snapshot *ls;
    struct engine_index_stats stats;
    struct engine_reader *r;
    struct samples *s;
    uint64_t sum = 0;

    if (engine_reader_create(e, &r) != 0)
        bench_die("no reader");
    ls = engine_pin(r)->layers[layer_id];
    s = samples_create(ls, 7);
    verify(r, s);
    for (int i = 0; i < PASSES; i++) {
        for (int w = 0; w < WAYS; w++)
            ns[w][i] = pass(r, s, (enum way)w, &sum);
        ratio[i] = ns[CACHED][i] / ns[NAIVE][i];
    }
    engine_index_stats(ls->index, &stats);
    cached = bench_median(ns[CACHED], PASSES); /* sorts */
    printf("%s: %s, %u filters, %u fields, %u sublayers\n", name, ls->layer->name, ls->count,
           conditioned_fields(ls), ls->sublayer_count);
    printf("    classes cached %.0f ns (least %.0f), raw values %.0f ns, naive %.0f ns; cached / naive %.3f; "
           "index %.0f KiB [%x]\n",
           cached, ns[CACHED][0], bench_median(ns[RAW], PASSES), bench_median(ns[NAIVE], PASSES),
           bench_median(ratio, PASSES), (double)stats.bytes / 1024, (unsigned)(sum & 15));
    fflush(stdout);
    engine_unpin(r);
    samples_destroy(s);
    engine_reader_destroy(r);
}

static void made_up(void)
{
    struct engine *e;
    struct engine_txn *t;
    uint64_t seed = 1;

    if (engine_create(&e) != 0 || engine_txn_begin(e, &t) != 0)
        bench_die("no engine");
    for (UINT64 i = 1; i <= 364; i++) {
        struct engine_filter *f = sample_filter(&seed, i);

        engine_txn_add(t, f);
        engine_filter_unref(f);
    }
    if (engine_txn_commit(t) != 0)
        bench_die("no commit");
    measure(e, SAMPLE_LAYER, "made up");
    engine_destroy(e);
}

static void from_state(const char *name)
{
    struct policy_error error = {0};
    struct policy *policy = NULL;
    struct engine *e;
    struct bfe *b;
    char path[512];
    UINT16 largest = 0;
    size_t most = 0;
    FILE *f = fopen(bench_state_path(name, path, sizeof(path)), "r");

    if (f == NULL) {
        printf("%s is not on this machine\n", name);
        return;
    }
    fclose(f);
    if (engine_create(&e) != 0 || bfe_create(e, NULL, &b) != 0)
        bench_die("no engine");
    if (policy_load_file(b, path, &policy, &error) != 0)
        bench_die("%s", error.text);
    for (UINT16 i = 0; i < ENGINE_LAYER_COUNT; i++) {
        struct engine_reader *r;
        const struct engine_filter *const *filters;
        size_t n;

        engine_reader_create(e, &r);
        n = engine_snapshot_filters(engine_pin(r), i, &filters);
        if (n > most) {
            most = n;
            largest = i;
        }
        engine_unpin(r);
        engine_reader_destroy(r);
    }
    engine_set_observer(e, NULL); /* the event log is not the classify's time */
    if (most != 0)
        measure(e, largest, name);
    policy_free(policy);
    bfe_destroy(b);
    engine_destroy(e);
}

int main(void)
{
    made_up();
    from_state("developer-laptop.wfpstate.xml");
    from_state("server-minimal.wfpstate.xml");
    from_state("vpn-desktop.filters.xml");
    return 0;
}
