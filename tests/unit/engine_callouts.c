/* SPDX-License-Identifier: Apache-2.0 */
/* Callouts by id; requests that are completed late; classifying under a version that was pinned before. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/engine.h"

static void NTAPI classify(const FWPS_INCOMING_VALUES0 *values, const FWPS_INCOMING_METADATA_VALUES0 *meta,
                           void *layer_data, const FWPS_FILTER0 *filter, UINT64 context,
                           FWPS_CLASSIFY_OUT0 *out)
{
    (void)values;
    (void)meta;
    (void)filter;
    (void)context;
    assert_ptr_equal(layer_data, (void *)5); /* put in by complete() */
    out->actionType = FWP_ACTION_BLOCK;
    out->rights = 0;
}

static void NTAPI deleted(UINT16 layer_id, UINT32 callout_id, UINT64 context)
{
    (void)layer_id;
    (void)callout_id;
    (void)context;
}

static const GUID one = {1, 0, 0, {0}}, two = {2, 0, 0, {0}};

static void callouts_are_found_by_id(void **state)
{
    struct engine_callout c = {
        .key = one, .classify.v0 = classify, .id = 7, .layer_id = 12, .flow_delete = deleted};
    struct engine_callout found = {0};
    struct engine *e;
    UINT64 before;

    (void)state;
    assert_int_equal(engine_create(&e), 0);
    before = engine_callout_generation(e);
    assert_false(engine_callout_by_id(e, 7, &found));
    assert_int_equal(engine_callout_register(e, &c), 0);
    assert_true(engine_callout_generation(e) != before);
    assert_true(engine_callout_by_id(e, 7, &found));
    assert_memory_equal(&found.key, &one, sizeof(one));
    assert_int_equal(found.layer_id, 12);
    assert_ptr_equal(found.flow_delete, deleted);
    c.key = two;
    assert_int_equal(engine_callout_register(e, &c), -EEXIST); /* the id is taken */
    c.id = 0;
    assert_int_equal(engine_callout_register(e, &c), 0);
    assert_false(engine_callout_by_id(e, 0, &found)); /* no id, not found by it */
    before = engine_callout_generation(e);
    assert_int_equal(engine_callout_unregister(e, &one), 0);
    assert_true(engine_callout_generation(e) != before);
    assert_false(engine_callout_by_id(e, 7, &found));
    before = engine_callout_generation(e);
    assert_int_equal(engine_callout_set_foreign(e, &one, true), 0);
    assert_true(engine_callout_generation(e) != before);
    engine_destroy(e);
}

static const struct engine_layer *layer; /* ALE_AUTH_CONNECT_V4 */

static struct engine_filter *filter(UINT64 id, FWP_ACTION_TYPE action, UINT64 weight)
{
    FWPS_FILTER3 fwps = {.filterId = id, .weight = {.type = FWP_UINT64, .uint64 = &weight}};
    struct engine_filter_desc desc = {.layer_id = layer->id, .fwps = &fwps, .callout_key = one};
    struct engine_filter *f;

    fwps.action.type = action;
    assert_int_equal(engine_filter_create(&desc, &f), 0);
    return f;
}

static void commit(struct engine *e, struct engine_filter *f)
{
    struct engine_txn *t;

    assert_int_equal(engine_txn_begin(e, &t), 0);
    assert_int_equal(engine_txn_add(t, f), 0);
    assert_int_equal(engine_txn_commit(t), 0);
    engine_filter_unref(f);
}

struct late {
    struct engine_request request;
    int completed;
};

static void complete(void *ctx)
{
    struct late *l = ctx;

    l->completed++;
    l->request.layer_data = (void *)5;
}

static void requests_are_completed_when_somebody_looks(void **state)
{
    const struct engine_callout c = {.key = one, .classify.v0 = classify};
    FWPS_INCOMING_VALUE0 value[ENGINE_MAX_FIELDS] = {0};
    FWPS_INCOMING_VALUES0 values = {.incomingValue = value};
    struct late l = {.request = {.values = &values, .complete = complete, .complete_ctx = &l}};
    struct engine_verdict v;
    struct engine_reader *r;
    struct engine *e;

    (void)state;
    layer = engine_layer_by_name("ALE_AUTH_CONNECT_V4");
    values.layerId = layer->id;
    values.valueCount = layer->field_count;
    assert_int_equal(engine_create(&e), 0);
    assert_int_equal(engine_reader_create(e, &r), 0);
    commit(e, filter(1, FWP_ACTION_PERMIT, 1));
    assert_int_equal(engine_classify(r, &l.request, &v), STATUS_SUCCESS);
    assert_int_equal(l.completed, 0); /* a plain filter sees nothing */
    assert_int_equal(engine_callout_register(e, &c), 0);
    commit(e, filter(2, FWP_ACTION_CALLOUT_TERMINATING, 9));
    assert_int_equal(engine_classify(r, &l.request, &v), STATUS_SUCCESS);
    assert_int_equal(l.completed, 1);
    assert_int_equal(v.action, FWP_ACTION_BLOCK);
    assert_int_equal(v.filter_id, 2);
    engine_reader_destroy(r);
    engine_destroy(e);
}

static void a_pinned_version_is_asked_as_it_was(void **state)
{
    FWPS_INCOMING_VALUE0 value[ENGINE_MAX_FIELDS] = {0};
    FWPS_INCOMING_VALUES0 values = {.incomingValue = value};
    const struct engine_request q = {.values = &values};
    const struct engine_snapshot *s;
    struct engine_verdict v;
    struct engine_reader *r;
    struct engine *e;

    (void)state;
    layer = engine_layer_by_name("ALE_AUTH_CONNECT_V4");
    values.layerId = layer->id;
    values.valueCount = layer->field_count;
    assert_int_equal(engine_create(&e), 0);
    assert_int_equal(engine_reader_create(e, &r), 0);
    commit(e, filter(1, FWP_ACTION_PERMIT, 1));
    s = engine_pin(r);
    commit(e, filter(2, FWP_ACTION_BLOCK, 9));
    assert_int_equal(engine_classify_pinned(r, s, &q, &v), STATUS_SUCCESS);
    assert_int_equal(v.filter_id, 1);
    assert_int_equal(engine_classify(r, &q, &v), STATUS_SUCCESS);
    assert_int_equal(v.filter_id, 2);
    engine_unpin(r);
    values.layerId = ENGINE_LAYER_COUNT;
    s = engine_pin(r);
    assert_int_equal(engine_classify_pinned(r, s, &q, &v), STATUS_FWP_LAYER_NOT_FOUND);
    engine_unpin(r);
    engine_reader_destroy(r);
    engine_destroy(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(callouts_are_found_by_id),
        cmocka_unit_test(requests_are_completed_when_somebody_looks),
        cmocka_unit_test(a_pinned_version_is_asked_as_it_was),
    };
    return cmocka_run_group_tests_name("engine_callouts", tests, NULL, NULL);
}
