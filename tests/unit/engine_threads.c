/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readers and a committing writer side by side (OBJ-11), and a callout that comes and goes under them. Meant
 * to run under TSan, too. What must hold at every moment, whatever the timing:
 * - a policy is seen whole: one generation in both layers, never none and never two;
 * - a reader never goes back to an older version;
 * - a pinned filter is alive;
 * - once unregistering returned, the callout is not called any more.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "engine/engine.h"
#include "rt/rt.h"

#define READERS 3
#define COMMITS 1500

static const UINT16 layers[2] = {FWPS_LAYER_ALE_AUTH_CONNECT_V4, FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4};
static const GUID callout_key = {.Data1 = 0xca};

struct world {
    struct engine *engine;
    atomic_bool stop;
    atomic_int wrong;     /* things that must not be */
    atomic_bool callable; /* the callout is registered, or just being unregistered */
    atomic_int released;
    atomic_ullong classifies, calls;
};

static struct world world;

static void on_release(void *owner)
{
    atomic_fetch_add((atomic_int *)owner, 1);
}

static struct engine_filter *make(UINT16 layer, UINT64 id, UINT16 sublayer, FWP_ACTION_TYPE action,
                                  UINT16 flags)
{
    UINT64 weight = 1;
    FWPS_FILTER3 fwps = {.filterId = id,
                         .weight = {.type = FWP_UINT64, .uint64 = &weight},
                         .subLayerWeight = sublayer,
                         .flags = flags,
                         .action.type = action};
    struct engine_filter_desc desc = {.layer_id = layer,
                                      .fwps = &fwps,
                                      .callout_key = callout_key,
                                      .sublayer_key = {.Data1 = sublayer},
                                      .sublayer_seq = sublayer,
                                      .owner = &world.released,
                                      .release = on_release};
    struct engine_filter *f;

    assert_int_equal(engine_filter_create(&desc, &f), 0);
    return f;
}

static void NTAPI classify_fn(const FWPS_INCOMING_VALUES0 *v, const FWPS_INCOMING_METADATA_VALUES0 *m,
                              void *d, const void *c, const FWPS_FILTER1 *f, UINT64 flow,
                              FWPS_CLASSIFY_OUT0 *out)
{
    (void)v, (void)m, (void)d, (void)c, (void)f, (void)flow, (void)out;
    if (!atomic_load(&world.callable))
        atomic_fetch_add(&world.wrong, 1);
    atomic_fetch_add(&world.calls, 1);
}

#define CHECK(what) ((what) ? (void)0 : (void)atomic_fetch_add(&world.wrong, 1))

static void reader_main(void *arg)
{
    FWPS_INCOMING_VALUE0 values[ENGINE_MAX_FIELDS] = {{{0}}};
    struct engine_reader *r = arg;
    UINT64 last = 0;

    for (unsigned turn = 0; !atomic_load(&world.stop); turn++) {
        const struct engine_filter *const *filters;
        const struct engine_snapshot *s;
        struct engine_verdict v;
        UINT16 layer = layers[turn & 1];
        FWPS_INCOMING_VALUES0 in = {layer, engine_layer_by_id(layer)->field_count, values};
        struct engine_request q = {.values = &in};
        UINT64 generation[2];

        if (turn % 4 == 3) { /* the same pin for all of it */
            s = engine_pin(r);
            for (int i = 0; i < 2; i++) {
                size_t n = engine_snapshot_filters(s, layers[i], &filters);

                CHECK(n == 3);
                generation[i] = n == 3 ? engine_filter_fwps(filters[0])->filterId : 0;
            }
            CHECK(generation[0] == generation[1]);
            CHECK(engine_classify_naive(r, &q, &v) == STATUS_SUCCESS);
            CHECK(v.filter != NULL && engine_filter_fwps(v.filter)->filterId == v.filter_id);
            CHECK(v.filter_id >= generation[0]);
            engine_unpin(r);
        } else {
            CHECK(engine_classify(r, &q, &v) == STATUS_SUCCESS);
        }
        CHECK(v.action == FWP_ACTION_PERMIT && v.filter_id >= last);
        last = v.filter_id;
        atomic_fetch_add_explicit(&world.classifies, 1, memory_order_relaxed);
    }
}

/* Generation g: in each layer a hard permit (id g) over a callout filter and a block. */
static void commit_generation(UINT64 g)
{
    struct engine_txn *t;

    assert_int_equal(engine_txn_begin(world.engine, &t), 0);
    for (int i = 0; i < 2; i++) {
        struct engine_filter *f =
            make(layers[i], g, 9, FWP_ACTION_PERMIT, FWPS_FILTER_FLAG_CLEAR_ACTION_RIGHT);

        if (g > 10)
            assert_int_equal(engine_txn_remove(t, layers[i], g - 1), 0);
        assert_int_equal(engine_txn_add(t, f), 0);
        engine_filter_unref(f);
    }
    assert_int_equal(engine_txn_commit(t), 0);
}

static void readers_and_a_writer(void **state)
{
    struct engine_callout callout = {.key = callout_key, .version = 1, .classify.v1 = classify_fn};
    struct rt_thread *threads[READERS];
    struct engine_reader *readers[READERS];
    struct engine_txn *t;

    (void)state;
    memset(&world, 0, sizeof(world));
    assert_int_equal(engine_create(&world.engine), 0);
    assert_int_equal(engine_txn_begin(world.engine, &t), 0);
    for (int i = 0; i < 2; i++) {
        struct engine_filter *c = make(layers[i], 1, 5, FWP_ACTION_CALLOUT_INSPECTION, 0);
        struct engine_filter *b = make(layers[i], 2, 4, FWP_ACTION_BLOCK, 0);

        assert_int_equal(engine_txn_add(t, c), 0);
        assert_int_equal(engine_txn_add(t, b), 0);
        engine_filter_unref(c);
        engine_filter_unref(b);
    }
    assert_int_equal(engine_txn_commit(t), 0);
    commit_generation(10);
    for (int i = 0; i < READERS; i++) {
        assert_int_equal(engine_reader_create(world.engine, &readers[i]), 0);
        assert_int_equal(rt_thread_start("reader", reader_main, readers[i], &threads[i]), 0);
    }
    for (UINT64 g = 11; g < 10 + COMMITS; g++) {
        commit_generation(g);
        if (g % 4 == 0) {
            atomic_store(&world.callable, true);
            assert_int_equal(engine_callout_register(world.engine, &callout), 0);
        } else if (g % 4 == 2 && atomic_load(&world.callable)) {
            assert_int_equal(engine_callout_unregister(world.engine, &callout_key), 0);
            atomic_store(&world.callable, false);
        }
    }
    while (atomic_load(&world.classifies) < 10 * READERS || atomic_load(&world.calls) == 0)
        if (!atomic_load(&world.callable)) {
            atomic_store(&world.callable, true);
            assert_int_equal(engine_callout_register(world.engine, &callout), 0);
        }
    atomic_store(&world.stop, true);
    for (int i = 0; i < READERS; i++) {
        rt_thread_join(threads[i]);
        engine_reader_destroy(readers[i]);
    }
    assert_int_equal(atomic_load(&world.wrong), 0);
    assert_true(engine_collect(world.engine));
    assert_int_equal(atomic_load(&world.released), 2 * (COMMITS - 1));
    engine_destroy(world.engine);
    assert_int_equal(atomic_load(&world.released), 2 * (COMMITS + 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(readers_and_a_writer)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
