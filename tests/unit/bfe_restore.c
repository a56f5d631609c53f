/* SPDX-License-Identifier: Apache-2.0 */
/* bfe: import of objects as another machine had them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "bfe_lab.h"

static FWPM_FILTER0 recorded(UINT32 key, UINT64 id, const UINT64 *weight)
{
    FWPM_FILTER0 f = bfe_lab_filter(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, FWP_ACTION_BLOCK);

    f.filterKey = bfe_lab_guid(key);
    f.filterId = id;
    f.subLayerKey = FWPM_SUBLAYER_UNIVERSAL;
    f.effectiveWeight = (FWP_VALUE0){.type = FWP_UINT64, .uint64 = (UINT64 *)weight};
    return f;
}

static void only_a_kernel_callers_transaction_restores(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *user = bfe_lab_session(l, BFE_LAB_USER, 0, 0);
    UINT64 weight = 1;
    FWPM_FILTER0 f = recorded(1, 1000, &weight);

    assert_int_equal(bfe_restore_filter(l->kernel, &f), STATUS_FWP_NO_TXN_IN_PROGRESS);
    assert_int_equal(bfe_txn_begin(user, 0), STATUS_SUCCESS);
    assert_int_equal(bfe_restore_filter(user, &f), STATUS_FWP_KM_CLIENTS_ONLY);
    assert_int_equal(bfe_txn_commit(user), STATUS_SUCCESS);
    bfe_session_close(user);
    assert_int_equal(bfe_txn_begin(l->kernel, FWPM_TXN_READ_ONLY), STATUS_SUCCESS);
    assert_int_equal(bfe_restore_filter(l->kernel, &f), STATUS_FWP_INCOMPATIBLE_TXN);
    assert_int_equal(bfe_txn_abort(l->kernel), STATUS_SUCCESS);
    assert_int_equal(bfe_restore_filter(l->kernel, NULL), STATUS_FWP_NULL_POINTER);
}

static void ids_weights_and_flags_are_as_recorded(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *s = l->kernel;
    UINT64 heavy = 0xf00000000000000f, light = 3;
    FWPM_FILTER0 f = recorded(1, 70000, &heavy), *got;
    FWP_ACTION_TYPE action;

    f.flags = 0x40000000; /* a flag of a newer Windows */
    assert_int_equal(bfe_txn_begin(s, 0), STATUS_SUCCESS);
    assert_int_equal(bfe_restore_filter(s, &f), STATUS_SUCCESS);
    assert_int_equal(bfe_restore_filter(s, &f), STATUS_FWP_ALREADY_EXISTS);
    f.filterKey = bfe_lab_guid(2);
    assert_int_equal(bfe_restore_filter(s, &f), STATUS_FWP_ALREADY_EXISTS); /* the id */
    f = recorded(3, 70001, &light);
    assert_int_equal(bfe_restore_filter(s, &f), STATUS_SUCCESS);
    f.effectiveWeight.type = FWP_EMPTY;
    f.filterKey = bfe_lab_guid(4);
    assert_int_equal(bfe_restore_filter(s, &f), STATUS_FWP_INVALID_PARAMETER);
    assert_int_equal(bfe_txn_commit(s), STATUS_SUCCESS);
    assert_true(bfe_lab_decider(l, 80, &action) == 70000);
    assert_int_equal(bfe_filter_get(s, NULL, 70000, &got), STATUS_SUCCESS);
    assert_int_equal(got->flags, 0x40000000);
    assert_true(*got->effectiveWeight.uint64 == heavy);
    bfe_free(got);
    assert_true(bfe_lab_add_port(s, 80, FWP_ACTION_PERMIT) > 70001); /* new ids follow the recorded ones */
}

static void what_does_not_act_is_kept(void **state)
{
    static const UINT32 flags[] = {FWPM_FILTER_FLAG_BOOTTIME, FWPM_FILTER_FLAG_DISABLED,
                                   FWPM_FILTER_FLAG_BOOTTIME | FWPM_FILTER_FLAG_DISABLED};
    struct bfe_lab *l = *state;
    UINT64 weight = 1;
    FWP_ACTION_TYPE action;

    assert_int_equal(bfe_txn_begin(l->kernel, 0), STATUS_SUCCESS);
    for (UINT32 i = 0; i < 3; i++) {
        FWPM_FILTER0 f = recorded(i + 1, 100 + i, &weight);

        f.flags = flags[i];
        assert_int_equal(bfe_restore_filter(l->kernel, &f), STATUS_SUCCESS);
    }
    assert_int_equal(bfe_txn_commit(l->kernel), STATUS_SUCCESS);
    for (UINT32 i = 0; i < 3; i++)
        assert_true(bfe_lab_has(l->kernel, 100 + i));
    assert_true(bfe_lab_decider(l, 80, &action) == 0);
}

/* Filters before their sublayers, callouts and providers: found at commit; what never comes stays a key. */
static void any_order_and_holes(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *s = l->kernel;
    GUID provider = bfe_lab_guid(50), heavy = bfe_lab_guid(51), callout = bfe_lab_guid(52);
    FWPM_PROVIDER0 p = bfe_lab_provider(&provider);
    FWPM_SUBLAYER0 u = bfe_lab_sublayer(&heavy, 0xffff);
    FWPM_CALLOUT0 c = bfe_lab_callout(&callout, &FWPM_LAYER_ALE_AUTH_CONNECT_V4);
    UINT64 weight = 1;
    FWPM_FILTER0 f = recorded(1, 100, &weight);
    struct engine_verdict v;
    UINT16 ac = engine_layer_by_key(&FWPM_LAYER_ALE_AUTH_CONNECT_V4)->id;
    FWP_ACTION_TYPE action;

    assert_int_equal(bfe_txn_begin(s, 0), STATUS_SUCCESS);
    f.providerKey = &provider;
    f.subLayerKey = heavy;
    assert_int_equal(bfe_restore_filter(s, &f), STATUS_SUCCESS);
    f = recorded(2, 101, &weight); /* in the universal sublayer: below, if the weight of the other is known */
    assert_int_equal(bfe_restore_filter(s, &f), STATUS_SUCCESS);
    f = recorded(3, 102, &weight);
    f.layerKey = FWPM_LAYER_ALE_AUTH_CONNECT_V6;
    f.action.type = FWP_ACTION_CALLOUT_TERMINATING;
    f.action.calloutKey = bfe_lab_guid(99); /* never comes */
    f.providerKey = &callout;               /* no such provider */
    assert_int_equal(bfe_restore_filter(s, &f), STATUS_SUCCESS);
    assert_int_equal(bfe_restore_sublayer(s, &u), STATUS_SUCCESS);
    assert_int_equal(bfe_restore_provider(s, &p), STATUS_SUCCESS);
    c.calloutId = 300;
    assert_int_equal(bfe_restore_callout(s, &c), STATUS_SUCCESS);
    assert_int_equal(bfe_txn_commit(s), STATUS_SUCCESS);

    assert_true(bfe_lab_decider(l, 80, &action) == 100);
    assert_int_equal(bfe_provider_delete(s, &provider), STATUS_FWP_IN_USE);
    assert_int_equal(bfe_sublayer_delete(s, &heavy), STATUS_FWP_IN_USE);
    assert_int_equal(bfe_filter_delete(s, NULL, 100), STATUS_SUCCESS);
    assert_int_equal(bfe_sublayer_delete(s, &heavy), STATUS_SUCCESS);
    assert_int_equal(bfe_provider_delete(s, &provider), STATUS_SUCCESS);
    v = bfe_lab_classify(l, (UINT16)(ac + 2)); /* AC v6: an orphan's substitute action */
    assert_true(v.filter_id == 102 && (v.flags & ENGINE_VERDICT_SUBSTITUTE) != 0);
}

static void imported_callouts_are_foreign(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *s = l->kernel;
    GUID key = bfe_lab_guid(1);
    FWPM_CALLOUT0 c = bfe_lab_callout(&key, &FWPM_LAYER_ALE_AUTH_CONNECT_V4);
    UINT64 weight = 1;
    FWPM_FILTER0 f = recorded(2, 100, &weight);
    struct engine_verdict v;
    FWPM_CALLOUT0 *got;

    f.action.type = FWP_ACTION_CALLOUT_TERMINATING;
    f.action.calloutKey = key;
    c.calloutId = 277;
    assert_int_equal(bfe_txn_begin(s, 0), STATUS_SUCCESS);
    assert_int_equal(bfe_restore_callout(s, &c), STATUS_SUCCESS);
    assert_int_equal(bfe_restore_filter(s, &f), STATUS_SUCCESS);
    assert_int_equal(engine_callout_state(l->engine, &key), ENGINE_CALLOUT_UNREGISTERED);
    assert_int_equal(bfe_txn_commit(s), STATUS_SUCCESS);
    assert_int_equal(engine_callout_state(l->engine, &key), ENGINE_CALLOUT_FOREIGN);
    assert_int_equal(bfe_callout_get(s, NULL, 277, &got), STATUS_SUCCESS);
    bfe_free(got);
    v = bfe_lab_classify(l, engine_layer_by_key(&FWPM_LAYER_ALE_AUTH_CONNECT_V4)->id);
    assert_true((v.flags & ENGINE_VERDICT_FOREIGN) != 0);
    assert_int_equal(v.action, FWP_ACTION_PERMIT);
    assert_int_equal(bfe_filter_delete(s, NULL, 100), STATUS_SUCCESS);
    assert_int_equal(bfe_callout_delete(s, &key, 0), STATUS_SUCCESS);
    assert_int_equal(engine_callout_state(l->engine, &key), ENGINE_CALLOUT_UNREGISTERED);
}

static UINT16 weight_of_teredo(struct bfe_session *s)
{
    FWPM_SUBLAYER0 *u;
    UINT16 weight;

    assert_int_equal(bfe_sublayer_get(s, &FWPM_SUBLAYER_TEREDO, &u), STATUS_SUCCESS);
    weight = u->weight;
    bfe_free(u);
    return weight;
}

static void built_in_objects_are_merged(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *s = l->kernel;
    FWPM_SUBLAYER0 u = bfe_lab_sublayer(&FWPM_SUBLAYER_TEREDO, 4242);
    FWPM_PROVIDER0 p = bfe_lab_provider(&FWPM_PROVIDER_MPSSVC_WF), *got;
    UINT16 ours = weight_of_teredo(s);

    p.flags = FWPM_PROVIDER_FLAG_DISABLED;
    for (int commit = 0; commit < 2; commit++) {
        assert_int_equal(bfe_txn_begin(s, 0), STATUS_SUCCESS);
        assert_int_equal(bfe_restore_sublayer(s, &u), STATUS_SUCCESS);
        assert_int_equal(bfe_restore_sublayer(s, &u), STATUS_SUCCESS);
        assert_int_equal(bfe_restore_provider(s, &p), STATUS_SUCCESS); /* in use by built-in sublayers */
        assert_int_equal(weight_of_teredo(s), 4242);
        assert_int_equal(commit ? bfe_txn_commit(s) : bfe_txn_abort(s), STATUS_SUCCESS);
        assert_int_equal(weight_of_teredo(s), commit ? 4242 : ours);
        assert_int_equal(bfe_provider_get(s, &FWPM_PROVIDER_MPSSVC_WF, &got), STATUS_SUCCESS);
        assert_int_equal(got->flags, commit ? FWPM_PROVIDER_FLAG_DISABLED : 0);
        bfe_free(got);
    }
    assert_int_equal(bfe_sublayer_delete(s, &FWPM_SUBLAYER_TEREDO), STATUS_FWP_BUILTIN_OBJECT);
}

/* A file may list filters before the sublayer they are in: they run with the weight that it says. */
static void built_in_sublayers_weigh_what_the_file_says(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *s = l->kernel;
    FWPM_SUBLAYER0 u = bfe_lab_sublayer(&FWPM_SUBLAYER_TEREDO, 0xfffe);
    UINT64 weight = 1;
    FWPM_FILTER0 f = recorded(1, 100, &weight);
    FWP_ACTION_TYPE action;

    assert_int_equal(bfe_txn_begin(s, 0), STATUS_SUCCESS);
    f.subLayerKey = FWPM_SUBLAYER_TEREDO;
    assert_int_equal(bfe_restore_filter(s, &f), STATUS_SUCCESS);
    f = recorded(2, 101, &weight); /* in the universal sublayer */
    assert_int_equal(bfe_restore_filter(s, &f), STATUS_SUCCESS);
    assert_int_equal(bfe_restore_sublayer(s, &u), STATUS_SUCCESS);
    assert_int_equal(bfe_txn_commit(s), STATUS_SUCCESS);
    assert_true(bfe_lab_decider(l, 80, &action) == 100);
    /* Later, with filters running in it, it cannot change any more. */
    assert_int_equal(bfe_txn_begin(s, 0), STATUS_SUCCESS);
    u.weight = 1;
    assert_int_equal(bfe_restore_sublayer(s, &u), STATUS_SUCCESS);
    assert_int_equal(bfe_txn_commit(s), STATUS_SUCCESS);
    assert_int_equal(weight_of_teredo(s), 0xfffe);
}

static void an_aborted_import_leaves_nothing(void **state)
{
    struct bfe_lab *l = *state;
    GUID key = bfe_lab_guid(9);
    FWPM_CALLOUT0 c = bfe_lab_callout(&key, &FWPM_LAYER_ALE_AUTH_CONNECT_V4), *got;
    UINT64 weight = 1;
    FWPM_FILTER0 f = recorded(1, 100, &weight);
    FWP_ACTION_TYPE action;

    assert_int_equal(bfe_txn_begin(l->kernel, 0), STATUS_SUCCESS);
    assert_int_equal(bfe_restore_callout(l->kernel, &c), STATUS_SUCCESS);
    assert_int_equal(bfe_restore_filter(l->kernel, &f), STATUS_SUCCESS);
    assert_int_equal(bfe_txn_abort(l->kernel), STATUS_SUCCESS);
    assert_false(bfe_lab_has(l->kernel, 100));
    assert_int_equal(bfe_callout_get(l->kernel, &key, 0, &got), STATUS_FWP_CALLOUT_NOT_FOUND);
    assert_int_equal(engine_callout_state(l->engine, &key), ENGINE_CALLOUT_UNREGISTERED);
    assert_true(bfe_lab_decider(l, 80, &action) == 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bfe_lab_setup, bfe_lab_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(only_a_kernel_callers_transaction_restores),
        TEST(ids_weights_and_flags_are_as_recorded),
        TEST(what_does_not_act_is_kept),
        TEST(any_order_and_holes),
        TEST(imported_callouts_are_foreign),
        TEST(built_in_objects_are_merged),
        TEST(built_in_sublayers_weigh_what_the_file_says),
        TEST(an_aborted_import_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
