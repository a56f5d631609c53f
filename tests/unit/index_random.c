/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index against the filters themselves: after random commits, with every form, threshold and kernel, it
 * finds the filters that hold and no others, in order, from wherever it is asked.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "index_lab.h"

#define MOST 4096

/* A layer that commits change; its last snapshot. */
struct world {
    struct index_lab lab;
    struct engine_index_config config;
    struct engine_filter *filters[MOST];
    UINT32 count;
    struct engine_layer_snapshot *now;
};

static void open_world(struct world *w, UINT16 layer, UINT64 seed)
{
    memset(w, 0, sizeof(*w));
    index_lab_open(&w->lab, layer, seed);
    w->config = engine_index_defaults;
}

static void drop_snapshot(struct engine_layer_snapshot *ls)
{
    if (ls != NULL)
        engine_index_destroy(ls->index);
    index_lab_snapshot_free(ls);
}

static void close_world(struct world *w)
{
    drop_snapshot(w->now);
    for (UINT32 i = 0; i < w->count; i++)
        engine_filter_unref(w->filters[i]);
    index_lab_close(&w->lab);
}

static UINT32 choose(struct world *w, const UINT32 *from, UINT32 n)
{
    return from[index_lab_below(&w->lab, n)];
}

#define CHOOSE(w, ...)                                                                                       \
    choose(w, (const UINT32[]){__VA_ARGS__}, sizeof((const UINT32[]){__VA_ARGS__}) / sizeof(UINT32))

static void random_thresholds(struct world *w)
{
    w->config.flat_max = CHOOSE(w, 1024, 1024, 1, 7, 64, 600);
    w->config.recent_max = CHOOSE(w, 512, 0, 3, 20, 1024);
    w->config.block_columns = CHOOSE(w, ENGINE_INDEX_COLUMNS, 1, 2, 3);
    w->config.flag_cells = CHOOSE(w, 1024, 1, 16);
    w->config.combine_max = CHOOSE(w, 4096, 0, 60);
    w->config.patch_max = CHOOSE(w, 8, 0, 1, 3);
    w->config.kernel =
        CHOOSE(w, ENGINE_INDEX_BEST, ENGINE_INDEX_PORTABLE, ENGINE_INDEX_AVX2, ENGINE_INDEX_AVX512);
}

/* Random changes: positions before that go, positions after that are new. */
struct change {
    UINT32 removed[MOST], added[MOST];
    struct engine_layer_delta delta;
};

/* Applies them to w->filters. */
static void random_change(struct world *w, struct change *c, UINT32 removals, UINT32 additions)
{
    struct engine_filter *next[MOST];
    UINT32 n = 0, old = 0, kept = 0;

    memset(&c->delta, 0, sizeof(c->delta));
    for (UINT32 i = 0; i < w->count; i++) {
        if (removals != 0 && index_lab_below(&w->lab, w->count - i) < removals) {
            removals--;
            c->removed[c->delta.removed_count++] = i;
            engine_filter_unref(w->filters[i]);
        } else {
            w->filters[kept++] = w->filters[i];
        }
    }
    while (old < kept || additions != 0) {
        UINT32 left = kept - old + additions;

        if (additions != 0 && index_lab_below(&w->lab, left) < additions) {
            additions--;
            c->added[c->delta.added_count++] = n;
            next[n++] = index_lab_filter(&w->lab);
        } else {
            next[n++] = w->filters[old++];
        }
    }
    memcpy(w->filters, next, n * sizeof(*next));
    w->count = n;
    c->delta.removed = c->removed;
    c->delta.added = c->added;
}

static void commit(struct world *w, UINT32 removals, UINT32 additions)
{
    struct change *c = malloc(sizeof(*c));
    struct engine_layer_snapshot *next;

    random_change(w, c, removals, additions);
    if (w->count == 0) {
        drop_snapshot(w->now);
        w->now = NULL;
        free(c);
        return;
    }
    next = index_lab_snapshot(&w->lab, w->filters, w->count);
    next->sublayer_count = 1 + index_lab_below(&w->lab, 2); /* one by one, or all at once */
    assert_int_equal(engine_index_build_with(&w->config, w->now, next, &c->delta), 0);
    drop_snapshot(w->now);
    w->now = next;
    free(c);
}

/* Asks for every match from 0 on, or jumps ahead now and then, as a decision does. */
static void compare(struct world *w, const struct index_lab_values *v, struct engine_class_cache *cache,
                    bool jump)
{
    struct engine_cursor c;
    UINT32 from = 0;

    engine_index_begin(w->now, v->of, cache, &c);
    for (;;) {
        UINT32 want = from, got = engine_index_next(&c, from);

        while (want < w->count && !engine_filter_holds(w->filters[want], v->of))
            want++;
        if (want == w->count) {
            assert_int_equal(got, ENGINE_NO_POSITION);
            return;
        }
        assert_int_equal(got, want);
        from = got + 1;
        if (jump && index_lab_below(&w->lab, 2) == 0)
            from += index_lab_below(&w->lab, w->count - got);
    }
}

static void check(struct world *w, UINT32 rounds)
{
    for (UINT32 i = 0; i < rounds && w->now != NULL; i++) {
        struct engine_class_cache cache = {0};
        struct index_lab_values v;

        index_lab_values(&w->lab, &v);
        compare(w, &v, NULL, false);
        compare(w, &v, &cache, true);
        compare(w, &v, &cache, false);
    }
}

static UINT16 random_layer(struct index_lab *l)
{
    static const UINT16 often[] = {FWPS_LAYER_ALE_AUTH_CONNECT_V4, FWPS_LAYER_ALE_AUTH_CONNECT_V6,
                                   FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4, FWPS_LAYER_INBOUND_MAC_FRAME_ETHERNET,
                                   FWPS_LAYER_INBOUND_TRANSPORT_V6};

    if (index_lab_below(l, 2))
        return often[index_lab_below(l, sizeof(often) / sizeof(often[0]))];
    for (;;) {
        const struct engine_layer *layer = engine_layer_by_id((UINT16)index_lab_below(l, ENGINE_LAYER_COUNT));

        if (layer != NULL && layer->field_count != 0)
            return layer->id;
    }
}

/* WEIR_CASES, as for the differential test of the engine: 200,000 is once. */
static UINT32 effort(void)
{
    const char *s = getenv("WEIR_CASES");
    unsigned long cases = s != NULL ? strtoul(s, NULL, 10) : 0;

    return cases < 400000 ? 1 : (UINT32)(cases / 200000);
}

/* Few filters, many commits: all that a patch does. */
static void small_layers(void **state)
{
    struct world *w = malloc(sizeof(*w));
    struct index_lab dice = {.seed = 1};

    (void)state;
    for (UINT32 i = 0; i < 150 * effort(); i++) {
        open_world(w, random_layer(&dice), i);
        random_thresholds(w);
        for (UINT32 k = 0; k < 25; k++) {
            UINT32 gone = index_lab_below(&w->lab, w->count < 4 ? w->count + 1 : 4);

            commit(w, gone, index_lab_below(&w->lab, w->count > 60 ? 3 : 9));
            check(w, 6);
        }
        close_world(w);
    }
    free(w);
}

/* Layers that grow over the thresholds of each form, and shrink again. */
static void growing_layers(void **state)
{
    struct world *w = malloc(sizeof(*w));
    struct index_lab dice = {.seed = 2};

    (void)state;
    for (UINT32 i = 0; i < 6 * effort(); i++) {
        open_world(w, random_layer(&dice), 1000 + i);
        random_thresholds(w);
        if (i % 2 == 0)
            w->config = engine_index_defaults;
        commit(w, 0, 400 + index_lab_below(&w->lab, 80));
        for (UINT32 k = 0; k < 40; k++) {
            UINT32 more = index_lab_below(&w->lab, 8) == 0 ? 150 : 2;

            commit(w, index_lab_below(&w->lab, 3),
                   w->count < 2200 ? more + index_lab_below(&w->lab, more) : 1);
            check(w, 3);
        }
        while (w->count > 300) {
            commit(w, w->count / 5 + 1, index_lab_below(&w->lab, 2));
            check(w, 3);
        }
        close_world(w);
    }
    free(w);
}

/* One filter at a time over the boundary of every word and form. */
static void one_by_one(void **state)
{
    struct world *w = malloc(sizeof(*w));

    (void)state;
    open_world(w, FWPS_LAYER_ALE_AUTH_CONNECT_V4, 77);
    for (UINT32 i = 0; i < 1400; i++) {
        commit(w, 0, 1);
        if (i % 16 == 0 || i % 64 > 61 || i % 64 < 2)
            check(w, 2);
    }
    for (UINT32 i = 0; i < 700; i++) {
        commit(w, 1, 0);
        if (i % 16 == 0)
            check(w, 2);
    }
    close_world(w);
    free(w);
}

/* A cache that outlives commits is noticed to be old; many tokens find a class, or do without. */
static void class_cache(void **state)
{
    struct world *w = malloc(sizeof(*w));

    (void)state;
    for (UINT32 seed = 0; seed < 20; seed++) {
        struct engine_class_cache cache = {0};
        struct index_lab_values v;

        open_world(w, FWPS_LAYER_ALE_AUTH_CONNECT_V4, 5000 + seed);
        w->config.flat_max = seed % 2 ? 1024 : 10;
        index_lab_values(&w->lab, &v);
        for (UINT32 k = 0; k < 30; k++) {
            commit(w, w->count > 20, 2);
            compare(w, &v, &cache, false);
            compare(w, &v, &cache, true);
        }
        close_world(w);
    }
    free(w);
}

/* ---- without memory ---------------------------------------------------------------------------------- */

/* Which allocation fails, and how many there were. */
struct failing {
    UINT32 at, count;
};

static void *failing_alloc(void *ctx, size_t align, size_t size)
{
    struct failing *f = ctx;

    return f->count++ == f->at ? NULL : aligned_alloc(align, size);
}

/* A build fails at every one of its allocations in turn: nothing leaks, and the index before still answers.
 */
static void no_memory(void **state)
{
    struct world *w = malloc(sizeof(*w));
    struct change *c = malloc(sizeof(*c));
    struct failing failing = {UINT32_MAX, 0};

    (void)state;
    for (UINT32 form = 0; form < 4; form++) {
        open_world(w, FWPS_LAYER_ALE_AUTH_CONNECT_V4, 9000 + form);
        w->config.alloc = failing_alloc;
        w->config.ctx = &failing;
        w->config.flat_max = form < 2 ? 1024 : 8;
        w->config.recent_max = form == 3 ? 0 : 512;
        w->config.patch_max = form == 1 ? 0 : 8;
        commit(w, 0, 40);
        for (UINT32 step = 0; step < 3; step++) {
            struct engine_filter *old[64];
            UINT32 count = w->count;
            struct engine_layer_snapshot *next;
            int err = -1;

            for (UINT32 i = 0; i < count; i++)
                old[i] = engine_filter_ref(w->filters[i]);
            random_change(w, c, 1, 2);
            next = index_lab_snapshot(&w->lab, w->filters, w->count);
            for (UINT32 n = 0; err != 0; n++) {
                failing = (struct failing){n, 0};
                err = engine_index_build_with(&w->config, w->now, next, &c->delta);
                if (err == 0)
                    break;
                assert_int_equal(err, -12); /* ENOMEM */
                assert_null(next->index);
                if (n % 8 == 0) {
                    struct engine_filter *new[64];
                    UINT32 new_count = w->count;

                    memcpy(new, w->filters, new_count * sizeof(*new));
                    memcpy(w->filters, old, count * sizeof(*old));
                    w->count = count;
                    check(w, 1);
                    memcpy(w->filters, new, new_count * sizeof(*new));
                    w->count = new_count;
                }
            }
            failing.at = UINT32_MAX;
            drop_snapshot(w->now);
            w->now = next;
            check(w, 3);
            for (UINT32 i = 0; i < count; i++)
                engine_filter_unref(old[i]);
        }
        close_world(w);
    }
    free(c);
    free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_layers), cmocka_unit_test(growing_layers), cmocka_unit_test(one_by_one),
        cmocka_unit_test(class_cache),  cmocka_unit_test(no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
