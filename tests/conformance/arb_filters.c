/* SPDX-License-Identifier: Apache-2.0 */
/* ARB: plain filters: order, rights, hard and soft (ARB-01, 02, 06..12, 15, 24, 25; OBJ-20, 33). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "engine_lab.h"

static int setup(void **state)
{
    struct lab *l = malloc(sizeof(*l));

    lab_open(l, FWPS_LAYER_ALE_AUTH_CONNECT_V4);
    *state = l;
    return 0;
}

static int teardown(void **state)
{
    lab_close(*state);
    free(*state);
    return 0;
}

#define WRITE FWPS_RIGHT_ACTION_WRITE
#define CLEAR FWPS_FILTER_FLAG_CLEAR_ACTION_RIGHT

static UINT64 add(struct lab *l, UINT16 sublayer, UINT64 weight, FWP_ACTION_TYPE action, UINT16 flags)
{
    return lab_add(
        l, &(struct lab_filter){.sublayer = sublayer, .weight = weight, .action = action, .flags = flags});
}

static void expect(struct lab *l, FWP_ACTION_TYPE action, UINT32 rights, UINT64 filter_id)
{
    const struct engine_verdict *v = lab_classify(l);

    assert_int_equal(v->action, action);
    assert_int_equal(v->rights, rights);
    assert_true(v->filter_id == filter_id);
}

static void ARB_01_sublayers_by_weight(void **state)
{
    struct lab *l = *state;
    UINT64 light = add(l, 1, 900, FWP_ACTION_BLOCK, 0), heavy = add(l, 9, 1, FWP_ACTION_PERMIT, CLEAR);
    UINT64 middle = add(l, 5, 500, FWP_ACTION_BLOCK, 0);

    expect(l, FWP_ACTION_PERMIT, 0, heavy);
    assert_int_equal(l->sublayer_count, 3);
    assert_int_equal(l->sublayers[0].weight, 9);
    assert_int_equal(l->sublayers[1].weight, 5);
    assert_int_equal(l->sublayers[2].weight, 1);
    assert_true(l->sublayers[0].filter_id == heavy && l->sublayers[1].filter_id == middle &&
                l->sublayers[2].filter_id == light);
    assert_int_equal(l->asked_count, 3); /* one decision each */
}

static void ARB_02_filters_by_weight_until_a_decision(void **state)
{
    struct lab *l = *state;
    UINT64 low = add(l, 1, 10, FWP_ACTION_BLOCK, 0), high, top;
    struct lab_filter other = {
        .sublayer = 1, .weight = 30, .action = FWP_ACTION_PERMIT, .condition_count = 1};

    expect(l, FWP_ACTION_BLOCK, 0, low);
    high = add(l, 1, 20, FWP_ACTION_PERMIT, 0);
    expect(l, FWP_ACTION_PERMIT, WRITE, high);
    assert_int_equal(l->asked_count, 1); /* the rest of the sublayer is skipped */
    other.conditions[0] = lab_condition(l, &FWPM_CONDITION_IP_PROTOCOL, FWP_MATCH_EQUAL, LAB_U8(6));
    lab_add(l, &other); /* heavier, but does not match */
    expect(l, FWP_ACTION_PERMIT, WRITE, high);
    top = add(l, 1, UINT64_MAX, FWP_ACTION_BLOCK, 0);
    expect(l, FWP_ACTION_BLOCK, 0, top);
}

static void ARB_06_starts_with_none_and_write(void **state)
{
    struct lab *l = *state;
    struct lab_script s = {.calls = 0};
    const GUID key = {.Data1 = 1};

    lab_register(l, &key, 1, 0);
    lab_add(l, &(struct lab_filter){
                   .sublayer = 5, .action = FWP_ACTION_CALLOUT_UNKNOWN, .callout = &key, .script = &s});
    lab_classify(l);
    assert_int_equal(s.calls, 1);
    assert_int_equal(s.shown.actionType, 0);
    assert_int_equal(s.shown.rights, WRITE);
}

static void ARB_07_soft_permit_may_be_blocked(void **state)
{
    struct lab *l = *state;
    UINT64 id, hard;

    add(l, 9, 1, FWP_ACTION_PERMIT, 0);
    id = add(l, 5, 1, FWP_ACTION_BLOCK, 0);
    expect(l, FWP_ACTION_BLOCK, 0, id);
    hard = add(l, 12, 1, FWP_ACTION_PERMIT, CLEAR);
    expect(l, FWP_ACTION_PERMIT, 0, hard);
}

static void ARB_08_hard_block_is_final(void **state)
{
    struct lab *l = *state;
    UINT64 block = add(l, 9, 1, FWP_ACTION_BLOCK, 0);

    add(l, 5, 1, FWP_ACTION_PERMIT, 0);
    add(l, 4, 1, FWP_ACTION_PERMIT, CLEAR);
    expect(l, FWP_ACTION_BLOCK, 0, block);
    assert_false(l->sublayers[1].took_effect);
    assert_false(l->sublayers[2].took_effect);
}

static void ARB_08_soft_block_may_be_permitted(void **state)
{
    struct lab *l = *state;
    struct lab_script soft = {.act = true, .action = FWP_ACTION_BLOCK};
    const GUID key = {.Data1 = 1};
    UINT64 block, permit;

    lab_register(l, &key, 1, 0);
    block = lab_add(
        l, &(struct lab_filter){
               .sublayer = 9, .action = FWP_ACTION_CALLOUT_TERMINATING, .callout = &key, .script = &soft});
    expect(l, FWP_ACTION_BLOCK, WRITE, block);
    permit = add(l, 5, 1, FWP_ACTION_PERMIT, 0);
    expect(l, FWP_ACTION_PERMIT, WRITE, permit);
}

static void ARB_09_lower_answer_replaces(void **state)
{
    struct lab *l = *state;
    UINT64 second, third;

    add(l, 9, 1, FWP_ACTION_PERMIT, 0);
    second = add(l, 5, 1, FWP_ACTION_PERMIT, CLEAR);
    expect(l, FWP_ACTION_PERMIT, 0, second); /* its rights became current */
    assert_int_equal(l->sublayers[0].rights, WRITE);
    assert_int_equal(l->sublayers[1].rights, 0);
    lab_remove(l, second);
    third = add(l, 4, 1, FWP_ACTION_BLOCK, 0);
    expect(l, FWP_ACTION_BLOCK, 0, third);
}

static void ARB_10_defaults(void **state)
{
    struct lab *l = *state;
    struct lab_script permit = {.act = true, .action = FWP_ACTION_PERMIT},
                      block = {.act = true, .action = FWP_ACTION_BLOCK};
    const GUID key = {.Data1 = 1};
    UINT64 id = add(l, 5, 1, FWP_ACTION_PERMIT, 0);

    expect(l, FWP_ACTION_PERMIT, WRITE, id);
    lab_remove(l, id);
    id = add(l, 5, 1, FWP_ACTION_BLOCK, 0);
    expect(l, FWP_ACTION_BLOCK, 0, id);
    lab_remove(l, id);
    lab_register(l, &key, 1, 0);
    id = lab_add(
        l, &(struct lab_filter){
               .sublayer = 5, .action = FWP_ACTION_CALLOUT_TERMINATING, .callout = &key, .script = &permit});
    expect(l, FWP_ACTION_PERMIT, WRITE, id);
    lab_remove(l, id);
    id = lab_add(
        l, &(struct lab_filter){
               .sublayer = 5, .action = FWP_ACTION_CALLOUT_TERMINATING, .callout = &key, .script = &block});
    expect(l, FWP_ACTION_BLOCK, WRITE, id);
}

static void ARB_11_block_overrides_soft_permit(void **state)
{
    struct lab *l = *state;
    /* every pair of a heavier and a lighter filter: which one stands */
    const struct {
        FWP_ACTION_TYPE heavy;
        UINT16 heavy_flags;
        FWP_ACTION_TYPE light;
        FWP_ACTION_TYPE result;
    } rows[] = {
        {FWP_ACTION_PERMIT, 0, FWP_ACTION_BLOCK, FWP_ACTION_BLOCK},
        {FWP_ACTION_PERMIT, CLEAR, FWP_ACTION_BLOCK, FWP_ACTION_PERMIT},
        {FWP_ACTION_BLOCK, 0, FWP_ACTION_PERMIT, FWP_ACTION_BLOCK},
        {FWP_ACTION_BLOCK, CLEAR, FWP_ACTION_PERMIT, FWP_ACTION_BLOCK},
        {FWP_ACTION_PERMIT, 0, FWP_ACTION_PERMIT, FWP_ACTION_PERMIT},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        add(l, 9, 1, rows[i].heavy, rows[i].heavy_flags);
        add(l, 5, 1, rows[i].light, 0);
        assert_int_equal(lab_classify(l)->action, rows[i].result);
        lab_clear(l);
    }
}

static void ARB_12_clear_action_right_makes_hard(void **state)
{
    struct lab *l = *state;
    UINT64 permit = add(l, 9, 1, FWP_ACTION_PERMIT, CLEAR);

    add(l, 5, 1, FWP_ACTION_BLOCK, 0);
    expect(l, FWP_ACTION_PERMIT, 0, permit);
    lab_clear(l);
    add(l, 9, 1, FWP_ACTION_PERMIT, 0); /* without the flag: soft */
    add(l, 5, 1, FWP_ACTION_BLOCK, 0);
    assert_int_equal(lab_classify(l)->action, FWP_ACTION_BLOCK);
}

static void ARB_15_static_block_is_no_veto(void **state)
{
    struct lab *l = *state;
    UINT64 permit = add(l, 9, 1, FWP_ACTION_PERMIT, CLEAR);

    add(l, 5, UINT64_MAX, FWP_ACTION_BLOCK, 0);
    add(l, 4, UINT64_MAX, FWP_ACTION_BLOCK, CLEAR);
    expect(l, FWP_ACTION_PERMIT, 0, permit);
    assert_int_equal(l->verdict.flags & ENGINE_VERDICT_VETO, 0);
    assert_int_equal(l->sublayers[1].action, FWP_ACTION_BLOCK);
    assert_false(l->sublayers[1].took_effect);
}

static void ARB_24_implicit_permit(void **state)
{
    struct lab *l = *state;
    struct lab_filter other = {.sublayer = 5, .action = FWP_ACTION_BLOCK, .condition_count = 1};
    struct lab_script go_on = {.act = true, .action = FWP_ACTION_CONTINUE};
    const GUID key = {.Data1 = 1};

    expect(l, FWP_ACTION_PERMIT, WRITE, 0); /* a layer without filters */
    assert_int_equal(l->verdict.flags, ENGINE_VERDICT_IMPLICIT);
    other.conditions[0] = lab_condition(l, &FWPM_CONDITION_IP_PROTOCOL, FWP_MATCH_EQUAL, LAB_U8(6));
    lab_add(l, &other);
    expect(l, FWP_ACTION_PERMIT, WRITE, 0); /* nothing matched */
    assert_int_equal(l->verdict.flags, ENGINE_VERDICT_IMPLICIT);
    lab_register(l, &key, 1, 0);
    lab_add(l, &(struct lab_filter){
                   .sublayer = 4, .action = FWP_ACTION_CALLOUT_UNKNOWN, .callout = &key, .script = &go_on});
    expect(l, FWP_ACTION_PERMIT, WRITE, 0); /* all continued */
    assert_int_equal(l->verdict.flags, ENGINE_VERDICT_IMPLICIT);
    assert_int_equal(go_on.calls, 1);
}

/* Two layers of one engine: a hard permit at one says nothing at the other. */
static void ARB_25_layers_are_apart(void **state)
{
    struct lab *l = *state;
    struct engine_verdict v;

    add(l, 9, 1, FWP_ACTION_PERMIT, CLEAR);
    l->layer = engine_layer_by_id(FWPS_LAYER_OUTBOUND_TRANSPORT_V4);
    add(l, 9, 1, FWP_ACTION_BLOCK, 0);
    l->incoming.layerId = FWPS_LAYER_OUTBOUND_TRANSPORT_V4;
    l->incoming.valueCount = l->layer->field_count;
    assert_int_equal(engine_classify(l->reader, &l->request, &v), STATUS_SUCCESS);
    assert_int_equal(v.action, FWP_ACTION_BLOCK);
    l->layer = engine_layer_by_id(FWPS_LAYER_ALE_AUTH_CONNECT_V4);
    l->incoming.layerId = FWPS_LAYER_ALE_AUTH_CONNECT_V4;
    l->incoming.valueCount = l->layer->field_count;
    assert_int_equal(engine_classify(l->reader, &l->request, &v), STATUS_SUCCESS);
    assert_int_equal(v.action, FWP_ACTION_PERMIT);
    assert_int_equal(v.rights, 0);
    /* the packet that the hard permit let out */
    l->incoming.layerId = FWPS_LAYER_OUTBOUND_TRANSPORT_V4;
    l->incoming.valueCount = engine_layer_by_id(FWPS_LAYER_OUTBOUND_TRANSPORT_V4)->field_count;
    assert_int_equal(engine_classify(l->reader, &l->request, &v), STATUS_SUCCESS);
    assert_int_equal(v.action, FWP_ACTION_BLOCK);
}

/* Sublayers of equal weight: the earlier-added first. */
static void OBJ_20_equal_sublayers_by_age(void **state)
{
    struct lab *l = *state;
    UINT64 weight = 1;
    FWPS_FILTER3 fwps = {
        .filterId = 1, .weight = {.type = FWP_UINT64, .uint64 = &weight}, .subLayerWeight = 7};
    struct engine_filter_desc desc = {.layer_id = l->layer->id, .fwps = &fwps};
    struct engine_filter *f;
    struct engine_txn *t;

    assert_int_equal(engine_txn_begin(l->engine, &t), 0);
    for (UINT32 i = 0; i < 3; i++) { /* keys and ids in the other order than ages */
        fwps.filterId = i + 1;
        fwps.action.type = i == 1 ? FWP_ACTION_BLOCK : FWP_ACTION_PERMIT;
        fwps.flags = CLEAR;
        desc.sublayer_key.Data1 = 100 - i;
        desc.sublayer_seq = (i + 2) % 3; /* 2, 0, 1: the second was added first */
        assert_int_equal(engine_filter_create(&desc, &f), 0);
        assert_int_equal(engine_txn_add(t, f), 0);
        engine_filter_unref(f);
    }
    assert_int_equal(engine_txn_commit(t), 0);
    expect(l, FWP_ACTION_BLOCK, 0, 2);
    assert_true(l->sublayers[0].filter_id == 2 && l->sublayers[1].filter_id == 3 &&
                l->sublayers[2].filter_id == 1);
}

static void OBJ_33_equal_weight_newer_first(void **state)
{
    struct lab *l = *state;
    UINT64 older = add(l, 5, UINT64_MAX, FWP_ACTION_PERMIT, 0),
           newer = add(l, 5, UINT64_MAX, FWP_ACTION_BLOCK, 0);

    assert_true(newer > older);
    expect(l, FWP_ACTION_BLOCK, 0, newer);
    /* by id, not by when the engine came to know it */
    lab_clear(l);
    lab_add(l, &(struct lab_filter){.sublayer = 5, .weight = 3, .action = FWP_ACTION_BLOCK, .id = 77});
    lab_add(l, &(struct lab_filter){.sublayer = 5, .weight = 3, .action = FWP_ACTION_PERMIT, .id = 66});
    expect(l, FWP_ACTION_BLOCK, 0, 77);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ARB_01_sublayers_by_weight),
        TEST(ARB_02_filters_by_weight_until_a_decision),
        TEST(ARB_06_starts_with_none_and_write),
        TEST(ARB_07_soft_permit_may_be_blocked),
        TEST(ARB_08_hard_block_is_final),
        TEST(ARB_08_soft_block_may_be_permitted),
        TEST(ARB_09_lower_answer_replaces),
        TEST(ARB_10_defaults),
        TEST(ARB_11_block_overrides_soft_permit),
        TEST(ARB_12_clear_action_right_makes_hard),
        TEST(ARB_15_static_block_is_no_veto),
        TEST(ARB_24_implicit_permit),
        TEST(ARB_25_layers_are_apart),
        TEST(OBJ_20_equal_sublayers_by_age),
        TEST(OBJ_33_equal_weight_newer_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
