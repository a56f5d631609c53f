/* SPDX-License-Identifier: Apache-2.0 */
/* OBJ-20, OBJ-22..31 and 33, OTH-03: what filters may say, which of them act, and in which order. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "bfe_lab.h"

static FWPM_FILTER0 ac_filter(FWP_ACTION_TYPE action)
{
    return bfe_lab_filter(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, action);
}

static GUID add_callout_at(struct bfe_session *s, UINT32 n, const GUID *layer, UINT32 flags)
{
    GUID key = bfe_lab_guid(n);
    FWPM_CALLOUT0 c = bfe_lab_callout(&key, layer);

    c.flags = flags;
    assert_int_equal(bfe_callout_add(s, &c, NULL, 0, NULL), STATUS_SUCCESS);
    return key;
}

static NTSTATUS add_status(struct bfe_session *s, const FWPM_FILTER0 *f)
{
    return bfe_filter_add(s, f, NULL, 0, NULL);
}

static UINT64 weight_of(struct bfe_session *s, UINT64 id)
{
    FWPM_FILTER0 *f;
    UINT64 weight;

    assert_int_equal(bfe_filter_get(s, NULL, id, &f), STATUS_SUCCESS);
    assert_int_equal(f->effectiveWeight.type, FWP_UINT64);
    weight = *f->effectiveWeight.uint64;
    bfe_free(f);
    return weight;
}

/* ---- order -----------------------------------------------------------------------------------------------
 */

static void OBJ_20_equal_sublayers_earlier_added_first(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *s = l->kernel;
    GUID first = bfe_lab_add_sublayer(s, 9, 500), second = bfe_lab_add_sublayer(s, 2, 500);
    FWPM_FILTER0 f = ac_filter(FWP_ACTION_BLOCK);
    FWP_ACTION_TYPE action;
    UINT64 in_second, in_first;

    /* Both blocks are hard: the first one asked decides, whatever key, filter id or order of filters. */
    f.subLayerKey = second;
    in_second = bfe_lab_add(s, &f);
    assert_true(bfe_lab_decider(l, 80, &action) == in_second);
    f.subLayerKey = first;
    in_first = bfe_lab_add(s, &f);
    assert_true(bfe_lab_decider(l, 80, &action) == in_first);
    /* Heavier before lighter all the same. */
    f.subLayerKey = bfe_lab_add_sublayer(s, 10, 501);
    in_second = bfe_lab_add(s, &f);
    assert_true(bfe_lab_decider(l, 80, &action) == in_second);
}

static void OBJ_33_equal_weight_newer_first(void **state)
{
    struct bfe_lab *l = *state;
    UINT64 weight = ~(UINT64)0, permit, block;
    FWPM_FILTER0 f = ac_filter(FWP_ACTION_PERMIT);
    FWP_ACTION_TYPE action;

    f.weight = (FWP_VALUE0){.type = FWP_UINT64, .uint64 = &weight};
    permit = bfe_lab_add(l->kernel, &f);
    f.action.type = FWP_ACTION_BLOCK;
    block = bfe_lab_add(l->kernel, &f);
    assert_true(bfe_lab_decider(l, 80, &action) == block);
    assert_int_equal(bfe_filter_delete(l->kernel, NULL, block), STATUS_SUCCESS);
    assert_true(bfe_lab_decider(l, 80, &action) == permit);
}

/* ---- callouts that are not registered ---------------------------------------------------------------------
 */

static void NTAPI says_continue(const FWPS_INCOMING_VALUES0 *values,
                                const FWPS_INCOMING_METADATA_VALUES0 *meta, void *layer_data,
                                const FWPS_FILTER0 *filter, UINT64 flow_context, FWPS_CLASSIFY_OUT0 *out)
{
    (void)values;
    (void)meta;
    (void)layer_data;
    (void)filter;
    (void)flow_context;
    out->actionType = FWP_ACTION_CONTINUE;
}

static void OBJ_22_unregistered_callouts_block(void **state)
{
    struct bfe_lab *l = *state;
    static const struct {
        FWP_ACTION_TYPE type;
        bool blocks;
    } cases[] = {{FWP_ACTION_CALLOUT_TERMINATING, true},
                 {FWP_ACTION_CALLOUT_UNKNOWN, true},
                 {FWP_ACTION_CALLOUT_INSPECTION, false}};
    GUID key = add_callout_at(l->kernel, 1, &FWPM_LAYER_ALE_AUTH_CONNECT_V4, 0);
    const struct engine_callout registered = {.key = key, .version = 0, .classify.v0 = says_continue};
    FWPM_FILTER0 f = ac_filter(0);
    FWP_ACTION_TYPE action;

    f.action.calloutKey = key;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        UINT64 id;

        f.action.type = cases[i].type;
        id = bfe_lab_add(l->kernel, &f);
        assert_true(bfe_lab_decider(l, 80, &action) == (cases[i].blocks ? id : 0));
        assert_int_equal(action, cases[i].blocks ? FWP_ACTION_BLOCK : FWP_ACTION_PERMIT);
        assert_int_equal(engine_callout_register(l->engine, &registered), 0);
        assert_true(bfe_lab_decider(l, 80, &action) == 0);
        assert_int_equal(engine_callout_unregister(l->engine, &key), 0); /* and again after it has gone */
        assert_true(bfe_lab_decider(l, 80, &action) == (cases[i].blocks ? id : 0));
        assert_int_equal(bfe_filter_delete(l->kernel, NULL, id), STATUS_SUCCESS);
    }
}

static void OBJ_22_the_flag_registered_is_reported(void **state)
{
    struct bfe_lab *l = *state;
    GUID key = add_callout_at(l->kernel, 1, &FWPM_LAYER_ALE_AUTH_CONNECT_V4, 0);
    const struct engine_callout registered = {.key = key, .version = 0, .classify.v0 = says_continue};
    FWPM_CALLOUT0 *c;

    for (int on = 0; on < 2; on++) {
        if (on)
            assert_int_equal(engine_callout_register(l->engine, &registered), 0);
        assert_int_equal(bfe_callout_get(l->kernel, &key, 0, &c), STATUS_SUCCESS);
        assert_int_equal(c->flags, on ? FWPM_CALLOUT_FLAG_REGISTERED : 0);
        bfe_free(c);
    }
    assert_int_equal(engine_callout_unregister(l->engine, &key), 0);
}

static void OBJ_23_permit_if_callout_unregistered(void **state)
{
    struct bfe_lab *l = *state;
    FWPM_FILTER0 f = ac_filter(FWP_ACTION_CALLOUT_TERMINATING);
    FWP_ACTION_TYPE action;
    UINT64 id;

    f.action.calloutKey = add_callout_at(l->kernel, 1, &FWPM_LAYER_ALE_AUTH_CONNECT_V4, 0);
    f.flags = FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED;
    id = bfe_lab_add(l->kernel, &f);
    assert_true(bfe_lab_decider(l, 80, &action) == id);
    assert_int_equal(action, FWP_ACTION_PERMIT);
}

static void OBJ_24_substitutes_are_like_filters(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *s = l->kernel;
    UINT16 ac = engine_layer_by_key(&FWPM_LAYER_ALE_AUTH_CONNECT_V4)->id;
    FWPM_FILTER0 f = ac_filter(FWP_ACTION_CALLOUT_TERMINATING), below = ac_filter(0);
    struct engine_verdict v;
    UINT64 id, id_below;

    f.action.calloutKey = add_callout_at(s, 1, &FWPM_LAYER_ALE_AUTH_CONNECT_V4, 0);
    f.subLayerKey = bfe_lab_add_sublayer(s, 2, 0xf000);
    /* The block is hard: a permit below changes nothing. */
    below.action.type = FWP_ACTION_PERMIT;
    id_below = bfe_lab_add(s, &below);
    id = bfe_lab_add(s, &f);
    v = bfe_lab_classify(l, ac);
    assert_true(v.filter_id == id && v.action == FWP_ACTION_BLOCK);
    assert_int_equal(v.rights & FWPS_RIGHT_ACTION_WRITE, 0);
    assert_true((v.flags & ENGINE_VERDICT_SUBSTITUTE) != 0);
    assert_int_equal(bfe_filter_delete(s, NULL, id), STATUS_SUCCESS);
    assert_int_equal(bfe_filter_delete(s, NULL, id_below), STATUS_SUCCESS);
    /* The permit is soft, unless CLEAR_ACTION_RIGHT is set. */
    below.action.type = FWP_ACTION_BLOCK;
    id_below = bfe_lab_add(s, &below);
    f.flags = FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED;
    id = bfe_lab_add(s, &f);
    v = bfe_lab_classify(l, ac);
    assert_true(v.filter_id == id_below && v.action == FWP_ACTION_BLOCK);
    assert_int_equal(bfe_filter_delete(s, NULL, id), STATUS_SUCCESS);
    f.flags |= FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT;
    id = bfe_lab_add(s, &f);
    v = bfe_lab_classify(l, ac);
    assert_true(v.filter_id == id && v.action == FWP_ACTION_PERMIT);
}

/* ---- what fits what ---------------------------------------------------------------------------------------
 */

static void OBJ_25_a_callout_has_one_layer(void **state)
{
    struct bfe_lab *l = *state;
    FWPM_FILTER0 f = ac_filter(FWP_ACTION_CALLOUT_TERMINATING);

    f.action.calloutKey = add_callout_at(l->kernel, 1, &FWPM_LAYER_ALE_AUTH_CONNECT_V6, 0);
    assert_int_equal(add_status(l->kernel, &f), STATUS_FWP_INCOMPATIBLE_LAYER);
    f.layerKey = FWPM_LAYER_ALE_AUTH_CONNECT_V6;
    assert_int_equal(add_status(l->kernel, &f), STATUS_SUCCESS);
}

static void OBJ_26_actions(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *s = l->kernel;
    static const FWP_ACTION_TYPE refused[] = {FWP_ACTION_NONE,           FWP_ACTION_CONTINUE,
                                              FWP_ACTION_NONE_NO_MATCH,  0,
                                              FWP_ACTION_BLOCK | 0x8000, 0xffffffff};
    static const FWP_ACTION_TYPE callouts[] = {FWP_ACTION_CALLOUT_TERMINATING, FWP_ACTION_CALLOUT_INSPECTION,
                                               FWP_ACTION_CALLOUT_UNKNOWN};
    GUID key = add_callout_at(s, 1, &FWPM_LAYER_ALE_AUTH_CONNECT_V4, 0);
    FWPM_FILTER0 f = ac_filter(0);

    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        f.action.type = refused[i];
        assert_int_equal(add_status(s, &f), STATUS_FWP_INVALID_ACTION_TYPE);
    }
    for (size_t i = 0; i < 3; i++) {
        f = ac_filter(callouts[i]);
        f.action.calloutKey = key;
        assert_int_equal(add_status(s, &f), STATUS_SUCCESS);
        f.subLayerKey = FWPM_SUBLAYER_INSPECTION;
        assert_int_equal(add_status(s, &f), callouts[i] == FWP_ACTION_CALLOUT_INSPECTION
                                                ? STATUS_SUCCESS
                                                : STATUS_FWP_ACTION_INCOMPATIBLE_WITH_SUBLAYER);
    }
    for (size_t i = 0; i < 2; i++) {
        f = ac_filter(i == 0 ? FWP_ACTION_BLOCK : FWP_ACTION_PERMIT);
        assert_int_equal(add_status(s, &f), STATUS_SUCCESS);
        f.subLayerKey = FWPM_SUBLAYER_INSPECTION;
        assert_int_equal(add_status(s, &f), STATUS_FWP_ACTION_INCOMPATIBLE_WITH_SUBLAYER);
    }
    f = bfe_lab_filter(&FWPM_LAYER_IKEEXT_V4, FWP_ACTION_CALLOUT_TERMINATING); /* no callouts there */
    f.action.calloutKey = key;
    assert_int_equal(add_status(s, &f), STATUS_FWP_ACTION_INCOMPATIBLE_WITH_LAYER);
}

static void OTH_03_user_mode_layers(void **state)
{
    struct bfe_lab *l = *state;
    unsigned seen = 0;

    for (UINT16 id = 0; id < ENGINE_LAYER_COUNT; id++) {
        const struct engine_layer *layer = engine_layer_by_id(id);
        FWPM_FILTER0 f = bfe_lab_filter(layer->key, FWP_ACTION_PERMIT);
        FWPM_CALLOUT0 c = bfe_lab_callout(NULL, layer->key);

        assert_int_equal(add_status(l->kernel, &f), STATUS_SUCCESS);
        f.flags = FWPM_FILTER_FLAG_BOOTTIME;
        assert_int_equal(add_status(l->kernel, &f),
                         layer->user_mode ? STATUS_FWP_INCOMPATIBLE_LAYER : STATUS_SUCCESS);
        assert_int_equal(bfe_callout_add(l->kernel, &c, NULL, 0, NULL),
                         layer->user_mode ? STATUS_FWP_INCOMPATIBLE_LAYER : STATUS_SUCCESS);
        f.flags = 0;
        f.action.type = FWP_ACTION_CALLOUT_TERMINATING;
        f.action.calloutKey = bfe_lab_guid(1);
        assert_int_equal(add_status(l->kernel, &f), layer->user_mode
                                                        ? STATUS_FWP_ACTION_INCOMPATIBLE_WITH_LAYER
                                                        : STATUS_FWP_CALLOUT_NOT_FOUND);
        seen += layer->user_mode;
    }
    assert_true(seen > 0 && seen < ENGINE_LAYER_COUNT);
}

static bool only_alpha_is_automatic(void *ctx, const WCHAR *service)
{
    (void)ctx;
    return service[0] == u'a';
}

static void OBJ_27_disabled_providers(void **state)
{
    const struct bfe_config config = {.service_autostart = only_alpha_is_automatic};
    static const WCHAR *const services[] = {u"alpha", u"omega", NULL};
    struct bfe_lab lab, *l = &lab;
    FWPM_PROVIDER0 *p;
    FWP_ACTION_TYPE action;
    UINT64 ids[3];
    FWPM_FILTER0 *got;

    (void)state;
    bfe_lab_open(l, &config);
    for (UINT16 i = 0; i < 3; i++) {
        GUID key = bfe_lab_guid(i + 1u);
        FWPM_PROVIDER0 provider = bfe_lab_provider(&key);
        FWPM_FILTER0 f = ac_filter(FWP_ACTION_BLOCK);
        FWPM_FILTER_CONDITION0 c =
            bfe_lab_condition(&FWPM_CONDITION_IP_REMOTE_PORT, FWP_MATCH_EQUAL,
                              (FWP_CONDITION_VALUE0){.type = FWP_UINT16, .uint16 = (UINT16)(i + 1)});

        provider.flags = FWPM_PROVIDER_FLAG_PERSISTENT;
        provider.serviceName = (WCHAR *)services[i];
        assert_int_equal(bfe_provider_add(l->kernel, &provider, NULL, 0), STATUS_SUCCESS);
        f.flags = FWPM_FILTER_FLAG_PERSISTENT;
        f.providerKey = &key;
        f.filterCondition = &c;
        f.numFilterConditions = 1;
        ids[i] = bfe_lab_add(l->kernel, &f);
        assert_true(bfe_lab_decider(l, (UINT16)(i + 1), &action) ==
                    ids[i]); /* added now: it acts, whoever adds it */
    }
    for (int restarts = 0; restarts < 2; restarts++) {
        bfe_lab_reboot(l, false);
        for (UINT16 i = 0; i < 3; i++) {
            GUID key = bfe_lab_guid(i + 1u);

            assert_int_equal(bfe_provider_get(l->kernel, &key, &p), STATUS_SUCCESS);
            assert_int_equal((p->flags & FWPM_PROVIDER_FLAG_DISABLED) != 0, i == 1);
            bfe_free(p);
            assert_int_equal(bfe_filter_get(l->kernel, NULL, ids[i], &got), STATUS_SUCCESS);
            assert_int_equal((got->flags & FWPM_FILTER_FLAG_DISABLED) != 0, i == 1);
            bfe_free(got);
            assert_true(bfe_lab_decider(l, (UINT16)(i + 1), &action) == (i == 1 ? 0 : ids[i]));
        }
    }
    bfe_lab_close(l);
}

static void OBJ_27_providers_never_affect_classification(void **state)
{
    struct bfe_lab *l = *state;
    GUID key = bfe_lab_guid(1);
    FWPM_PROVIDER0 p = bfe_lab_provider(&key);
    FWPM_FILTER0 f = ac_filter(FWP_ACTION_BLOCK);
    UINT64 without, with;
    FWP_ACTION_TYPE action;

    assert_int_equal(bfe_provider_add(l->kernel, &p, NULL, 0), STATUS_SUCCESS);
    without = bfe_lab_add(l->kernel, &f);
    f.providerKey = &key;
    with = bfe_lab_add(l->kernel, &f);
    assert_true(weight_of(l->kernel, with) == weight_of(l->kernel, without));
    assert_true(bfe_lab_decider(l, 80, &action) == with); /* the newer one, as without providers */
}

static void OBJ_28_contexts(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *s = l->kernel;
    GUID general = bfe_lab_guid(1), options = bfe_lab_guid(2);
    FWPM_PROVIDER_CONTEXT3 x = bfe_lab_context(&general);
    FWPM_CLASSIFY_OPTION0 option = {.type = FWP_CLASSIFY_OPTION_UNICAST_LIFETIME,
                                    .value = {.type = FWP_UINT32}};
    FWPM_CLASSIFY_OPTIONS0 set = {.numOptions = 1, .options = &option};
    GUID plain = add_callout_at(s, 3, &FWPM_LAYER_ALE_AUTH_CONNECT_V4, 0);
    GUID user =
        add_callout_at(s, 4, &FWPM_LAYER_ALE_AUTH_CONNECT_V4, FWPM_CALLOUT_FLAG_USES_PROVIDER_CONTEXT);
    FWPM_CALLOUT0 setter =
        bfe_lab_callout(&FWPM_CALLOUT_SET_OPTIONS_AUTH_CONNECT_LAYER_V4, &FWPM_LAYER_ALE_AUTH_CONNECT_V4);
    FWPM_FILTER0 f = ac_filter(FWP_ACTION_BLOCK), *got;
    UINT64 id;

    setter.flags = FWPM_CALLOUT_FLAG_USES_PROVIDER_CONTEXT;
    assert_int_equal(bfe_callout_add(s, &setter, NULL, 0, NULL), STATUS_SUCCESS);
    assert_int_equal(bfe_provider_context_add(s, &x, NULL, 0, NULL), STATUS_SUCCESS);
    x.providerContextKey = options;
    x.type = FWPM_CLASSIFY_OPTIONS_CONTEXT;
    x.classifyOptions = &set;
    assert_int_equal(bfe_provider_context_add(s, &x, NULL, 0, NULL), STATUS_SUCCESS);

    f.rawContext = 0x1122334455667788;
    id = bfe_lab_add(s, &f);
    assert_int_equal(bfe_filter_get(s, NULL, id, &got), STATUS_SUCCESS);
    assert_true(got->rawContext == 0x1122334455667788);
    bfe_free(got);
    f.action.type = FWP_ACTION_CALLOUT_TERMINATING;
    f.action.calloutKey = plain;
    assert_int_equal(add_status(s, &f), STATUS_SUCCESS);
    f.action.calloutKey = user;
    assert_int_equal(add_status(s, &f), STATUS_FWP_CONTEXT_INCOMPATIBLE_WITH_CALLOUT);

    f.flags = FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT;
    f.providerContextKey = general;
    assert_int_equal(add_status(s, &f), STATUS_SUCCESS);
    f.action.calloutKey = FWPM_CALLOUT_SET_OPTIONS_AUTH_CONNECT_LAYER_V4;
    assert_int_equal(add_status(s, &f), STATUS_FWP_PROVIDER_CONTEXT_MISMATCH);
    f.providerContextKey = options;
    assert_int_equal(add_status(s, &f), STATUS_SUCCESS);

    f = bfe_lab_filter(&FWPM_LAYER_IKEEXT_V4, FWP_ACTION_PERMIT);
    f.rawContext = 1;
    assert_int_equal(add_status(s, &f), STATUS_FWP_CONTEXT_INCOMPATIBLE_WITH_LAYER);
    f.flags = FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT;
    f.providerContextKey = general;
    assert_int_equal(add_status(s, &f), STATUS_FWP_CONTEXT_INCOMPATIBLE_WITH_LAYER);
}

static const FWPS_FILTER3 *seen_filter;
static UINT32 seen_context_size;

static void NTAPI looks_at_context(const FWPS_INCOMING_VALUES0 *values,
                                   const FWPS_INCOMING_METADATA_VALUES0 *meta, void *layer_data,
                                   const void *classify_context, const FWPS_FILTER3 *filter,
                                   UINT64 flow_context, FWPS_CLASSIFY_OUT0 *out)
{
    (void)values;
    (void)meta;
    (void)layer_data;
    (void)classify_context;
    (void)flow_context;
    seen_filter = filter;
    seen_context_size = filter->providerContext == NULL ? 0 : filter->providerContext->dataBuffer->size;
    out->actionType = FWP_ACTION_CONTINUE;
}

/* The context goes to callouts that say they use it; a raw context to all. */
static void OBJ_28_what_the_callout_gets(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *s = l->kernel;
    GUID general = bfe_lab_guid(1);
    FWPM_PROVIDER_CONTEXT3 x = bfe_lab_context(&general);
    FWPM_FILTER0 f = ac_filter(FWP_ACTION_CALLOUT_TERMINATING);
    FWP_ACTION_TYPE action;
    UINT64 id;

    assert_int_equal(bfe_provider_context_add(s, &x, NULL, 0, NULL), STATUS_SUCCESS);
    for (UINT32 uses = 0; uses < 2; uses++) {
        GUID key = add_callout_at(s, 10 + uses, &FWPM_LAYER_ALE_AUTH_CONNECT_V4,
                                  uses ? FWPM_CALLOUT_FLAG_USES_PROVIDER_CONTEXT : 0);
        const struct engine_callout c = {.key = key, .version = 3, .classify.v3 = looks_at_context};

        assert_int_equal(engine_callout_register(l->engine, &c), 0);
        f.action.calloutKey = key;
        f.flags = FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT;
        f.providerContextKey = general;
        id = bfe_lab_add(s, &f);
        bfe_lab_decider(l, 80, &action);
        assert_int_equal(seen_context_size, uses ? 4 : 0);
        assert_int_equal(bfe_filter_delete(s, NULL, id), STATUS_SUCCESS);
        if (!uses) {
            f.flags = 0;
            memset(&f.providerContextKey, 0, sizeof(f.providerContextKey));
            f.rawContext = 99;
            id = bfe_lab_add(s, &f);
            bfe_lab_decider(l, 80, &action);
            assert_true(seen_filter->context == 99);
            assert_int_equal(bfe_filter_delete(s, NULL, id), STATUS_SUCCESS);
        }
        assert_int_equal(engine_callout_unregister(l->engine, &key), 0);
    }
}

/* ---- boot-time and persistent
 * ------------------------------------------------------------------------------ */

static void OBJ_29_boot_time_filters(void **state)
{
    struct bfe_lab *l = *state;
    FWPM_FILTER0 f = ac_filter(FWP_ACTION_BLOCK);
    struct bfe_caller caller = {.kernel = true};
    struct bfe_session *s;
    UINT64 boot, persistent;
    FWP_ACTION_TYPE action;

    f.flags = FWPM_FILTER_FLAG_BOOTTIME;
    f.weight = (FWP_VALUE0){.type = FWP_UINT8, .uint8 = 15}; /* it would decide wherever it acts */
    boot = bfe_lab_add(l->kernel, &f);
    f.weight.type = FWP_EMPTY;
    f.flags = FWPM_FILTER_FLAG_PERSISTENT;
    persistent = bfe_lab_add(l->kernel, &f);
    f.flags = 0;
    bfe_lab_add(l->kernel, &f);
    assert_true(bfe_lab_has(l->kernel, boot)); /* kept, but not applied: the engine is long past its start */
    assert_int_equal(bfe_filter_delete(l->kernel, NULL, persistent), STATUS_SUCCESS);
    assert_true(bfe_lab_decider(l, 80, &action) != boot);
    f.flags = FWPM_FILTER_FLAG_PERSISTENT;
    persistent = bfe_lab_add(l->kernel, &f);

    bfe_lab_reboot(l, true); /* the stack is up, the service not yet */
    assert_true(bfe_lab_decider(l, 80, &action) == boot);
    assert_int_not_equal(bfe_session_open(l->bfe, &caller, NULL, &s), STATUS_SUCCESS);
    assert_int_equal(bfe_start(l->bfe), 0);
    assert_true(bfe_lab_decider(l, 80, &action) == persistent);
    l->kernel = bfe_lab_session(l, BFE_LAB_KERNEL, 0, 0);
    assert_true(bfe_lab_has(l->kernel, boot));
    assert_int_equal(bfe_stop(l->bfe), 0);
    assert_true(bfe_lab_decider(l, 80, &action) == 0);
}

static void OBJ_30_flags(void **state)
{
    struct bfe_lab *l = *state;
    FWPM_FILTER0 f = ac_filter(FWP_ACTION_BLOCK), *got;
    GUID reserved = bfe_lab_guid(1);
    FWP_ACTION_TYPE action;
    UINT64 id;

    f.flags = FWPM_FILTER_FLAG_BOOTTIME | FWPM_FILTER_FLAG_PERSISTENT;
    assert_int_equal(add_status(l->kernel, &f), STATUS_FWP_INVALID_FLAGS);
    f.flags = FWPM_FILTER_FLAG_DISABLED;
    assert_int_equal(add_status(l->kernel, &f), STATUS_FWP_INVALID_FLAGS);
    f.flags = 0x80000000;
    assert_int_equal(add_status(l->kernel, &f), STATUS_FWP_INVALID_FLAGS);
    f.flags = 0;
    f.reserved = &reserved;
    assert_int_equal(add_status(l->kernel, &f), STATUS_FWP_RESERVED); /* OBJ-18 */
    f.reserved = NULL;
    f.flags = FWPM_FILTER_FLAG_INDEXED; /* kept, reported, and of no effect */
    id = bfe_lab_add(l->kernel, &f);
    assert_int_equal(bfe_filter_get(l->kernel, NULL, id, &got), STATUS_SUCCESS);
    assert_int_equal(got->flags, FWPM_FILTER_FLAG_INDEXED);
    bfe_free(got);
    assert_true(bfe_lab_decider(l, 80, &action) == id);
}

/* FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT, as whoever adds the filter sets it. */
static void ARB_12_the_flag_of_management_makes_hard(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *s = l->kernel;
    FWPM_FILTER0 f = ac_filter(FWP_ACTION_PERMIT), below = ac_filter(FWP_ACTION_BLOCK);
    UINT64 permit, block = bfe_lab_add(s, &below);
    FWP_ACTION_TYPE action;

    f.subLayerKey = bfe_lab_add_sublayer(s, 2, 0xf000);
    permit = bfe_lab_add(s, &f);
    assert_true(bfe_lab_decider(l, 80, &action) == block);
    assert_int_equal(bfe_filter_delete(s, NULL, permit), STATUS_SUCCESS);
    f.flags = FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT;
    permit = bfe_lab_add(s, &f);
    assert_true(bfe_lab_decider(l, 80, &action) == permit);
    assert_int_equal(action, FWP_ACTION_PERMIT);
}

static void OBJ_31_weights(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *s = l->kernel;
    FWPM_FILTER_CONDITION0 c = bfe_lab_condition(&FWPM_CONDITION_IP_PROTOCOL, FWP_MATCH_EQUAL,
                                                 (FWP_CONDITION_VALUE0){.type = FWP_UINT8, .uint8 = 6});
    static const FWP_DATA_TYPE refused[] = {FWP_UINT16, FWP_UINT32, FWP_INT64, FWP_FLOAT};
    FWPM_FILTER0 f = ac_filter(FWP_ACTION_BLOCK);
    UINT64 given = 0xfedcba9876543210, automatic, id;

    f.filterCondition = &c;
    f.numFilterConditions = 1;
    automatic = weight_of(s, bfe_lab_add(s, &f));
    assert_true(automatic != 0 && automatic < (UINT64)1 << 60);
    for (UINT8 range = 0; range < 16; range++) {
        f.weight = (FWP_VALUE0){.type = FWP_UINT8, .uint8 = range};
        id = bfe_lab_add(s, &f);
        assert_true(weight_of(s, id) == ((UINT64)range << 60 | automatic));
    }
    f.weight.uint8 = 16;
    assert_int_equal(add_status(s, &f), STATUS_FWP_INVALID_WEIGHT);
    f.weight = (FWP_VALUE0){.type = FWP_UINT64, .uint64 = &given};
    assert_true(weight_of(s, bfe_lab_add(s, &f)) == 0xfedcba9876543210);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        f.weight = (FWP_VALUE0){.type = refused[i]};
        assert_int_equal(add_status(s, &f), STATUS_FWP_INVALID_WEIGHT);
    }
    f.weight = (FWP_VALUE0){.type = FWP_UINT64, .uint64 = NULL};
    assert_int_equal(add_status(s, &f), STATUS_FWP_NULL_POINTER);
}

/* The statuses of MATCH-05..10 reach the caller of an add, and nothing is added. */
static void OBJ_18_conditions(void **state)
{
    struct bfe_lab *l = *state;
    FWP_V4_ADDR_AND_MASK holes = {0x0a000000, 0xff00ff00};
    FWP_RANGE0 backwards = {.valueLow = {.type = FWP_UINT16, .uint16 = 9},
                            .valueHigh = {.type = FWP_UINT16, .uint16 = 8}};
    FWP_BYTE_BLOB torn = {.size = 9};
    const struct {
        const GUID *field;
        FWP_MATCH_TYPE match;
        FWP_CONDITION_VALUE0 value;
        NTSTATUS status;
    } cases[] = {
        {&FWPM_CONDITION_IP_REMOTE_PORT, FWP_MATCH_EQUAL, {.type = FWP_UINT32}, STATUS_FWP_TYPE_MISMATCH},
        {&FWPM_CONDITION_IP_REMOTE_PORT,
         FWP_MATCH_PREFIX,
         {.type = FWP_UINT16},
         STATUS_FWP_MATCH_TYPE_MISMATCH},
        {&FWPM_CONDITION_IP_REMOTE_PORT,
         FWP_MATCH_RANGE,
         {.type = FWP_RANGE_TYPE, .rangeValue = &backwards},
         STATUS_FWP_INVALID_RANGE},
        {&FWPM_CONDITION_IP_REMOTE_PORT, FWP_MATCH_RANGE, {.type = FWP_RANGE_TYPE}, STATUS_FWP_NULL_POINTER},
        {&FWPM_CONDITION_IP_REMOTE_ADDRESS,
         FWP_MATCH_EQUAL,
         {.type = FWP_V4_ADDR_MASK, .v4AddrMask = &holes},
         STATUS_FWP_INVALID_NET_MASK},
        {&FWPM_CONDITION_IP_REMOTE_ADDRESS,
         FWP_MATCH_EQUAL,
         {.type = FWP_V4_ADDR_MASK},
         STATUS_FWP_NULL_POINTER},
        {&FWPM_CONDITION_ALE_APP_ID,
         FWP_MATCH_EQUAL,
         {.type = FWP_BYTE_BLOB_TYPE, .byteBlob = &torn},
         STATUS_FWP_NULL_POINTER},
        {&FWPM_CONDITION_ALE_USER_ID,
         FWP_MATCH_EQUAL,
         {.type = FWP_SECURITY_DESCRIPTOR_TYPE},
         STATUS_FWP_NULL_POINTER},
        {&FWPM_CONDITION_IP_REMOTE_PORT,
         FWP_MATCH_TYPE_MAX,
         {.type = FWP_UINT16},
         STATUS_FWP_INVALID_ENUMERATOR},
        {&FWPM_CONDITION_IP_REMOTE_PORT, FWP_MATCH_EQUAL, {.type = 0x7777}, STATUS_FWP_INVALID_ENUMERATOR},
    };
    FWPM_FILTER0 f = ac_filter(FWP_ACTION_BLOCK);
    FWP_ACTION_TYPE action;

    f.numFilterConditions = 1;
    assert_int_equal(add_status(l->kernel, &f), STATUS_FWP_NULL_POINTER);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        FWPM_FILTER_CONDITION0 c = bfe_lab_condition(cases[i].field, cases[i].match, cases[i].value);

        f.filterCondition = &c;
        assert_int_equal(add_status(l->kernel, &f), cases[i].status);
    }
    assert_true(bfe_lab_decider(l, 0, &action) == 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bfe_lab_setup, bfe_lab_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(OBJ_18_conditions),
        TEST(OBJ_20_equal_sublayers_earlier_added_first),
        TEST(OBJ_22_unregistered_callouts_block),
        TEST(OBJ_22_the_flag_registered_is_reported),
        TEST(OBJ_23_permit_if_callout_unregistered),
        TEST(OBJ_24_substitutes_are_like_filters),
        TEST(OBJ_25_a_callout_has_one_layer),
        TEST(OBJ_26_actions),
        cmocka_unit_test(OBJ_27_disabled_providers),
        TEST(OBJ_27_providers_never_affect_classification),
        TEST(OBJ_28_contexts),
        TEST(OBJ_28_what_the_callout_gets),
        TEST(OBJ_29_boot_time_filters),
        TEST(OBJ_30_flags),
        TEST(ARB_12_the_flag_of_management_makes_hard),
        TEST(OBJ_31_weights),
        TEST(OBJ_33_equal_weight_newer_first),
        TEST(OTH_03_user_mode_layers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
