/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions and snapshots: what a commit makes of its operations, in which order filters stand, what a pin
 * keeps (OBJ-11), and when what was replaced is given back. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "engine/engine.h"

#define LAYER FWPS_LAYER_ALE_AUTH_CONNECT_V4
#define OTHER FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4

static struct engine *engine;
static struct engine_reader *reader;
static int released;

static int setup(void **state)
{
    (void)state;
    released = 0;
    return engine_create(&engine) || engine_reader_create(engine, &reader);
}

static int teardown(void **state)
{
    (void)state;
    engine_reader_destroy(reader);
    engine_destroy(engine);
    return 0;
}

static void on_release(void *owner)
{
    ++*(int *)owner;
}

static struct engine_filter *make(UINT16 layer, UINT64 id, UINT16 sublayer, UINT64 seq, UINT64 weight)
{
    FWPS_FILTER3 fwps = {.filterId = id,
                         .weight = {.type = FWP_UINT64, .uint64 = &weight},
                         .subLayerWeight = sublayer,
                         .action.type = FWP_ACTION_PERMIT};
    struct engine_filter_desc desc = {.layer_id = layer,
                                      .fwps = &fwps,
                                      .sublayer_key = {.Data1 = sublayer, .Data2 = (UINT16)seq},
                                      .sublayer_seq = seq,
                                      .owner = &released,
                                      .release = on_release};
    struct engine_filter *f;

    assert_int_equal(engine_filter_create(&desc, &f), 0);
    return f;
}

static void add(struct engine_txn *t, struct engine_filter *f)
{
    assert_int_equal(engine_txn_add(t, f), 0);
    engine_filter_unref(f);
}

static struct engine_txn *begin(void)
{
    struct engine_txn *t;

    assert_int_equal(engine_txn_begin(engine, &t), 0);
    return t;
}

static size_t count_at(UINT16 layer)
{
    const struct engine_filter *const *filters;
    size_t n = engine_snapshot_filters(engine_pin(reader), layer, &filters);

    engine_unpin(reader);
    return n;
}

static void one_transaction_at_a_time(void **state)
{
    struct engine_txn *t = begin(), *second;

    (void)state;
    assert_int_equal(engine_txn_begin(engine, &second), -EBUSY);
    engine_txn_abort(t);
    t = begin();
    assert_int_equal(engine_txn_commit(t), 0);
    engine_txn_abort(begin());
}

static void nothing_is_seen_before_commit(void **state)
{
    struct engine_txn *t = begin();

    (void)state;
    add(t, make(LAYER, 1, 1, 1, 1));
    assert_int_equal(count_at(LAYER), 0);
    engine_txn_abort(t);
    assert_int_equal(count_at(LAYER), 0);
    assert_int_equal(released, 1);
    t = begin();
    add(t, make(LAYER, 1, 1, 1, 1));
    assert_int_equal(engine_txn_commit(t), 0);
    assert_int_equal(count_at(LAYER), 1);
}

static void operations_apply_in_order(void **state)
{
    struct engine_txn *t = begin();

    (void)state;
    add(t, make(LAYER, 1, 1, 1, 1));
    add(t, make(LAYER, 2, 1, 1, 1));
    assert_int_equal(engine_txn_remove(t, LAYER, 1), 0); /* added and removed: no trace */
    assert_int_equal(engine_txn_commit(t), 0);
    assert_int_equal(count_at(LAYER), 1);
    assert_int_equal(released, 1);
    t = begin();
    assert_int_equal(engine_txn_remove(t, LAYER, 2), 0); /* replaced, heavier */
    add(t, make(LAYER, 2, 1, 1, 9));
    assert_int_equal(engine_txn_commit(t), 0);
    assert_int_equal(count_at(LAYER), 1);
    assert_int_equal(released, 2);
    t = begin();
    assert_int_equal(engine_txn_remove(t, LAYER, 2), 0); /* replaced and removed after all */
    add(t, make(LAYER, 2, 1, 1, 5));
    assert_int_equal(engine_txn_remove(t, LAYER, 2), 0);
    assert_int_equal(engine_txn_commit(t), 0);
    assert_int_equal(count_at(LAYER), 0);
    assert_int_equal(released, 4);
}

static void a_failed_commit_changes_nothing(void **state)
{
    struct engine_txn *t = begin();
    UINT64 version;

    (void)state;
    add(t, make(LAYER, 1, 1, 1, 1));
    assert_int_equal(engine_txn_commit(t), 0);
    version = engine_snapshot_version(engine_pin(reader));
    engine_unpin(reader);
    t = begin();
    add(t, make(LAYER, 2, 1, 1, 1));
    add(t, make(OTHER, 3, 1, 1, 1));
    assert_int_equal(engine_txn_remove(t, OTHER, 99), 0);
    assert_int_equal(engine_txn_commit(t), -ENOENT);
    assert_int_equal(count_at(LAYER), 1);
    assert_int_equal(count_at(OTHER), 0);
    assert_true(engine_snapshot_version(engine_pin(reader)) == version);
    engine_unpin(reader);
    assert_int_equal(released, 2);
    engine_txn_abort(begin()); /* and the transaction has ended */
    t = begin();
    assert_int_equal(engine_txn_remove(t, LAYER, 1), 0);
    assert_int_equal(engine_txn_remove(t, LAYER, 1), 0); /* twice */
    assert_int_equal(engine_txn_commit(t), -ENOENT);
    assert_int_equal(count_at(LAYER), 1);
}

static void OBJ_11_a_pin_keeps_its_version(void **state)
{
    const struct engine_filter *const *before, *const *after;
    const struct engine_snapshot *old, *new;
    struct engine_txn *t = begin();

    (void)state;
    add(t, make(LAYER, 1, 1, 1, 1));
    assert_int_equal(engine_txn_commit(t), 0);
    old = engine_pin(reader);
    assert_int_equal(engine_snapshot_filters(old, LAYER, &before), 1);
    t = begin();
    assert_int_equal(engine_txn_remove(t, LAYER, 1), 0);
    add(t, make(LAYER, 2, 1, 1, 1));
    add(t, make(OTHER, 3, 1, 1, 1));
    assert_int_equal(engine_txn_commit(t), 0);
    /* the old version is whole, and its filter alive */
    assert_int_equal(engine_snapshot_filters(old, LAYER, &before), 1);
    assert_true(engine_filter_fwps(before[0])->filterId == 1);
    assert_int_equal(engine_snapshot_filters(old, OTHER, &after), 0);
    assert_int_equal(released, 0);
    assert_false(engine_collect(engine));
    /* a pin made now sees the new one, at once, though the outer is held */
    new = engine_pin(reader);
    assert_int_equal(engine_snapshot_filters(new, LAYER, &after), 1);
    assert_true(engine_filter_fwps(after[0])->filterId == 2);
    assert_int_equal(engine_snapshot_filters(new, OTHER, &after), 1);
    assert_true(engine_snapshot_version(new) > engine_snapshot_version(old));
    engine_unpin(reader);
    assert_false(engine_collect(engine));
    assert_int_equal(released, 0);
    engine_unpin(reader);
    assert_true(engine_collect(engine));
    assert_int_equal(released, 1);
}

static void untouched_layers_are_shared(void **state)
{
    const struct engine_filter *const *before, *const *after;
    struct engine_txn *t = begin();

    (void)state;
    add(t, make(LAYER, 1, 1, 1, 1));
    add(t, make(OTHER, 2, 1, 1, 1));
    assert_int_equal(engine_txn_commit(t), 0);
    engine_snapshot_filters(engine_pin(reader), OTHER, &before);
    t = begin();
    add(t, make(LAYER, 3, 1, 1, 1));
    assert_int_equal(engine_txn_commit(t), 0);
    engine_snapshot_filters(engine_pin(reader), OTHER, &after);
    assert_ptr_equal(before, after);
    engine_unpin(reader);
    engine_unpin(reader);
}

static void engines_are_apart(void **state)
{
    struct engine *other;
    struct engine_reader *r;
    const struct engine_filter *const *filters;
    struct engine_filter *f = make(LAYER, 1, 1, 1, 1);
    struct engine_txn *t = begin(), *u;

    (void)state;
    assert_int_equal(engine_create(&other), 0);
    assert_int_equal(engine_reader_create(other, &r), 0);
    assert_int_equal(engine_txn_begin(other, &u), 0); /* each has its own transaction */
    assert_int_equal(engine_txn_add(t, f), 0);        /* and may share a filter */
    assert_int_equal(engine_txn_add(u, f), 0);
    engine_filter_unref(f);
    assert_int_equal(engine_txn_commit(t), 0);
    assert_int_equal(engine_snapshot_filters(engine_pin(r), LAYER, &filters), 0);
    engine_unpin(r);
    assert_int_equal(engine_txn_commit(u), 0);
    engine_reader_destroy(r);
    engine_destroy(other);
    assert_int_equal(released, 0);
    assert_int_equal(count_at(LAYER), 1);
}

static void bad_filters_are_refused(void **state)
{
    UINT64 weight = 1;
    FWPS_FILTER_CONDITION0 c = {
        .fieldId = 0, .matchType = FWP_MATCH_EQUAL, .conditionValue = {.type = FWP_EMPTY}};
    FWPS_FILTER3 good = {.weight = {.type = FWP_UINT64, .uint64 = &weight},
                         .numFilterConditions = 1,
                         .filterCondition = &c,
                         .action.type = FWP_ACTION_BLOCK},
                 bad;
    struct engine_filter_desc desc = {.layer_id = LAYER, .fwps = &bad};
    struct engine_filter *f;

    (void)state;
    bad = good;
    assert_int_equal(engine_filter_create(&desc, &f), 0);
    engine_filter_unref(f);
    desc.layer_id = ENGINE_LAYER_COUNT;
    assert_int_equal(engine_filter_create(&desc, &f), -EINVAL);
    desc.layer_id = LAYER;
    bad.action.type = FWP_ACTION_CONTINUE;
    assert_int_equal(engine_filter_create(&desc, &f), -EINVAL);
    bad = good;
    bad.weight.type = FWP_EMPTY;
    assert_int_equal(engine_filter_create(&desc, &f), -EINVAL);
    bad = good;
    c.fieldId = engine_layer_by_id(LAYER)->field_count;
    assert_int_equal(engine_filter_create(&desc, &f), -EINVAL);
    c.fieldId = 0;
    c.matchType = FWP_MATCH_TYPE_MAX;
    assert_int_equal(engine_filter_create(&desc, &f), -EINVAL);
}

/* ---- a callout that changes policy and classifies again ------------------------------------------------ */

static struct {
    int depth;
    FWP_ACTION_TYPE inner;
} nested;

static void NTAPI change_policy(const FWPS_INCOMING_VALUES0 *values,
                                const FWPS_INCOMING_METADATA_VALUES0 *meta, void *data, const void *context,
                                const FWPS_FILTER1 *filter, UINT64 flow, FWPS_CLASSIFY_OUT0 *out)
{
    struct engine_request q = {.values = values};
    struct engine_verdict v;
    struct engine_txn *t;

    (void)meta, (void)data, (void)context, (void)flow, (void)out;
    if (nested.depth++ > 0)
        return;
    t = begin(); /* the block goes, and so does the filter that runs */
    assert_int_equal(engine_txn_remove(t, LAYER, 1), 0);
    assert_int_equal(engine_txn_remove(t, LAYER, 2), 0);
    assert_int_equal(engine_txn_commit(t), 0);
    assert_int_equal(engine_classify(reader, &q, &v), STATUS_SUCCESS);
    nested.inner = v.action;
    assert_true(filter->filterId == 2); /* still there */
    assert_int_equal(released, 0);
}

static void OBJ_11_classify_inside_a_classify(void **state)
{
    const GUID key = {.Data1 = 9};
    struct engine_callout callout = {.key = key, .version = 1, .classify.v1 = change_policy};
    FWPS_INCOMING_VALUE0 values[ENGINE_MAX_FIELDS] = {{{0}}};
    FWPS_INCOMING_VALUES0 in = {LAYER, engine_layer_by_id(LAYER)->field_count, values};
    struct engine_request q = {.values = &in};
    struct engine_verdict v;
    UINT64 weight = 1;
    FWPS_FILTER3 fwps = {
        .filterId = 1, .weight = {.type = FWP_UINT64, .uint64 = &weight}, .action.type = FWP_ACTION_BLOCK};
    struct engine_filter_desc desc = {
        .layer_id = LAYER, .fwps = &fwps, .callout_key = key, .owner = &released, .release = on_release};
    struct engine_filter *block, *ask;
    struct engine_txn *t = begin();

    (void)state;
    memset(&nested, 0, sizeof(nested));
    assert_int_equal(engine_filter_create(&desc, &block), 0);
    fwps.filterId = 2;
    fwps.subLayerWeight = 9;
    fwps.action.type = FWP_ACTION_CALLOUT_INSPECTION;
    desc.sublayer_key.Data1 = 9;
    assert_int_equal(engine_filter_create(&desc, &ask), 0);
    add(t, block);
    add(t, ask);
    assert_int_equal(engine_txn_commit(t), 0);
    assert_int_equal(engine_callout_register(engine, &callout), 0);
    assert_int_equal(engine_classify(reader, &q, &v), STATUS_SUCCESS);
    assert_int_equal(nested.depth, 1);
    assert_int_equal(nested.inner, FWP_ACTION_PERMIT); /* the inner saw the change at once */
    assert_int_equal(v.action, FWP_ACTION_BLOCK);      /* the outer goes on with its version */
    assert_true(v.filter_id == 1);
    assert_true(engine_collect(engine));
    assert_int_equal(released, 2);
}

/* ---- order, against a sorted list ---------------------------------------------------------------------- */

struct entry {
    UINT16 sublayer;
    UINT64 seq, weight, id;
};

static int entry_compare(const void *pa, const void *pb)
{
    const struct entry *a = pa, *b = pb;

    if (a->sublayer != b->sublayer)
        return a->sublayer > b->sublayer ? -1 : 1;
    if (a->seq != b->seq)
        return a->seq < b->seq ? -1 : 1;
    if (a->weight != b->weight)
        return a->weight > b->weight ? -1 : 1;
    return a->id > b->id ? -1 : 1;
}

static UINT32 next_random(UINT64 *s, UINT32 n)
{
    *s = *s * 6364136223846793005ULL + 1442695040888963407ULL;
    return (UINT32)(*s >> 33) % n;
}

static void random_transactions_keep_the_order(void **state)
{
    static struct entry model[4000];
    UINT64 s = 7, next_id = 1;
    size_t n = 0;

    (void)state;
    for (int round = 0; round < 400; round++) {
        struct engine_txn *t = begin();
        UINT32 removes = round % 50 == 49 ? (UINT32)n : next_random(&s, 8),
               adds = round % 40 == 1 ? 500 : next_random(&s, 9);
        const struct engine_filter *const *filters;

        for (; removes > 0 && n > 0; removes--) {
            size_t at = next_random(&s, (UINT32)n);

            assert_int_equal(engine_txn_remove(t, LAYER, model[at].id), 0);
            model[at] = model[--n];
        }
        for (; adds > 0 && n < 4000; adds--, n++) {
            model[n] = (struct entry){(UINT16)next_random(&s, 4), next_random(&s, 3), next_random(&s, 20),
                                      next_id++};
            add(t, make(LAYER, model[n].id, model[n].sublayer, model[n].seq, model[n].weight));
        }
        assert_int_equal(engine_txn_commit(t), 0);
        if (n != 0)
            qsort(model, n, sizeof(*model), entry_compare);
        assert_int_equal(engine_snapshot_filters(engine_pin(reader), LAYER, &filters), n);
        for (size_t i = 0; i < n; i++)
            assert_true(engine_filter_fwps(filters[i])->filterId == model[i].id);
        engine_unpin(reader);
    }
    assert_true(engine_collect(engine));
    assert_int_equal(released, next_id - 1 - n);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_transaction_at_a_time),      TEST(nothing_is_seen_before_commit),
        TEST(operations_apply_in_order),      TEST(a_failed_commit_changes_nothing),
        TEST(OBJ_11_a_pin_keeps_its_version), TEST(OBJ_11_classify_inside_a_classify),
        TEST(untouched_layers_are_shared),    TEST(engines_are_apart),
        TEST(bad_filters_are_refused),        TEST(random_transactions_keep_the_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
