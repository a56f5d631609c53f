/* SPDX-License-Identifier: Apache-2.0 */
/* OBJ-12..19 and 38: lifetimes, references, keys and ids, argument checks, limits, for all kinds of objects.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "bfe/events.h"
#include "bfe_lab.h"

static NTSTATUS add_provider(struct bfe_session *s, UINT32 n, UINT32 flags)
{
    GUID key = bfe_lab_guid(n);
    FWPM_PROVIDER0 p = bfe_lab_provider(&key);

    p.flags = flags;
    return bfe_provider_add(s, &p, NULL, 0);
}

static NTSTATUS add_sublayer(struct bfe_session *s, UINT32 n, UINT32 flags, const GUID *provider)
{
    GUID key = bfe_lab_guid(n);
    FWPM_SUBLAYER0 u = bfe_lab_sublayer(&key, 1);

    u.flags = flags;
    u.providerKey = (GUID *)provider;
    return bfe_sublayer_add(s, &u, NULL, 0);
}

static NTSTATUS add_context(struct bfe_session *s, UINT32 n, UINT32 flags, const GUID *provider)
{
    GUID key = bfe_lab_guid(n);
    FWPM_PROVIDER_CONTEXT3 x = bfe_lab_context(&key);

    x.flags = flags;
    x.providerKey = (GUID *)provider;
    return bfe_provider_context_add(s, &x, NULL, 0, NULL);
}

static NTSTATUS add_callout(struct bfe_session *s, UINT32 n, UINT32 flags, const GUID *provider)
{
    GUID key = bfe_lab_guid(n);
    FWPM_CALLOUT0 c = bfe_lab_callout(&key, &FWPM_LAYER_ALE_AUTH_CONNECT_V4);

    c.flags = flags;
    c.providerKey = (GUID *)provider;
    return bfe_callout_add(s, &c, NULL, 0, NULL);
}

/* A filter at AC v4; 0: no such reference. */
struct refs {
    UINT32 provider, sublayer, callout, context;
};

static NTSTATUS add_filter(struct bfe_session *s, UINT32 flags, struct refs r, UINT64 *id)
{
    FWPM_FILTER0 f = bfe_lab_filter(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, FWP_ACTION_BLOCK);
    GUID provider = bfe_lab_guid(r.provider);

    f.flags = flags;
    if (r.provider != 0)
        f.providerKey = &provider;
    if (r.sublayer != 0)
        f.subLayerKey = bfe_lab_guid(r.sublayer);
    if (r.callout != 0) {
        f.action.type = FWP_ACTION_CALLOUT_TERMINATING;
        f.action.calloutKey = bfe_lab_guid(r.callout);
    }
    if (r.context != 0) {
        f.flags |= FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT;
        f.providerContextKey = bfe_lab_guid(r.context);
    }
    return bfe_filter_add(s, &f, NULL, 0, id);
}

/* ---- OBJ-12: lifetimes --------------------------------------------------------------------------------- */

static bool has_provider(struct bfe_session *s, UINT32 n)
{
    GUID key = bfe_lab_guid(n);
    FWPM_PROVIDER0 *p = NULL;
    NTSTATUS status = bfe_provider_get(s, &key, &p);

    if (status == STATUS_SUCCESS)
        bfe_free(p);
    return status == STATUS_SUCCESS;
}

static void restart(struct bfe_lab *l)
{
    assert_int_equal(bfe_session_close(l->kernel), STATUS_SUCCESS);
    assert_int_equal(bfe_stop(l->bfe), 0);
    assert_int_equal(bfe_start(l->bfe), 0);
    l->kernel = bfe_lab_session(l, BFE_LAB_KERNEL, 0, 0);
}

static void OBJ_12_dynamic_static_persistent(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *d = bfe_lab_session(l, BFE_LAB_KERNEL, FWPM_SESSION_FLAG_DYNAMIC, 0);

    assert_int_equal(add_provider(d, 1, 0), STATUS_SUCCESS);
    assert_int_equal(add_provider(l->kernel, 2, 0), STATUS_SUCCESS);
    assert_int_equal(add_provider(l->kernel, 3, FWPM_PROVIDER_FLAG_PERSISTENT), STATUS_SUCCESS);
    /* A session whose objects all end with it takes no persistent ones. */
    assert_int_equal(add_provider(d, 4, FWPM_PROVIDER_FLAG_PERSISTENT),
                     STATUS_FWP_DYNAMIC_SESSION_IN_PROGRESS);
    bfe_session_close(d);
    assert_false(has_provider(l->kernel, 1));
    assert_true(has_provider(l->kernel, 2));
    assert_true(has_provider(l->kernel, 3));
    restart(l);
    assert_false(has_provider(l->kernel, 2));
    assert_true(has_provider(l->kernel, 3));
    bfe_lab_reboot(l, false);
    assert_false(has_provider(l->kernel, 2));
    assert_true(has_provider(l->kernel, 3));
}

/* All kinds, with their contents, ids and descriptors; deleted ones stay deleted; aborted ones never were. */
static void OBJ_12_what_persists(void **state)
{
    struct bfe_lab *l = *state;
    GUID one = bfe_lab_guid(1), key;
    FWPM_FILTER0 *f = NULL;
    FWP_ACTION_TYPE action;
    UINT64 id, dropped, aborted = 0;
    FWPM_PROVIDER_CONTEXT3 *x = NULL;
    FWPM_SUBLAYER0 *u = NULL;
    FWPM_CALLOUT0 *c = NULL;

    assert_int_equal(add_provider(l->kernel, 1, FWPM_PROVIDER_FLAG_PERSISTENT), STATUS_SUCCESS);
    assert_int_equal(add_sublayer(l->kernel, 2, FWPM_SUBLAYER_FLAG_PERSISTENT, &one), STATUS_SUCCESS);
    assert_int_equal(add_context(l->kernel, 3, FWPM_PROVIDER_CONTEXT_FLAG_PERSISTENT, &one), STATUS_SUCCESS);
    assert_int_equal(add_callout(l->kernel, 4, FWPM_CALLOUT_FLAG_PERSISTENT, &one), STATUS_SUCCESS);
    assert_int_equal(add_filter(l->kernel, FWPM_FILTER_FLAG_PERSISTENT, (struct refs){1, 2, 4, 3}, &id),
                     STATUS_SUCCESS);
    assert_int_equal(add_filter(l->kernel, FWPM_FILTER_FLAG_PERSISTENT, (struct refs){0}, &dropped),
                     STATUS_SUCCESS);
    assert_int_equal(bfe_filter_delete(l->kernel, NULL, dropped), STATUS_SUCCESS);
    assert_int_equal(bfe_txn_begin(l->kernel, 0), STATUS_SUCCESS);
    assert_int_equal(add_filter(l->kernel, FWPM_FILTER_FLAG_PERSISTENT, (struct refs){0}, &aborted),
                     STATUS_SUCCESS);
    assert_int_equal(bfe_txn_abort(l->kernel), STATUS_SUCCESS);

    bfe_lab_reboot(l, false);
    assert_false(bfe_lab_has(l->kernel, dropped));
    assert_false(bfe_lab_has(l->kernel, aborted));
    assert_int_equal(bfe_filter_get(l->kernel, NULL, id, &f), STATUS_SUCCESS);
    key = bfe_lab_guid(2);
    assert_memory_equal(&f->subLayerKey, &key, sizeof(key));
    assert_int_equal(bfe_sublayer_get(l->kernel, &key, &u), STATUS_SUCCESS);
    assert_memory_equal(u->providerKey, &one, sizeof(one));
    key = bfe_lab_guid(3);
    assert_memory_equal(&f->providerContextKey, &key, sizeof(key));
    assert_int_equal(bfe_provider_context_get(l->kernel, &key, 0, &x), STATUS_SUCCESS);
    assert_int_equal(x->dataBuffer->size, 4);
    key = bfe_lab_guid(4);
    assert_memory_equal(&f->action.calloutKey, &key, sizeof(key));
    assert_int_equal(bfe_callout_get(l->kernel, &key, 0, &c), STATUS_SUCCESS);
    bfe_free(f);
    bfe_free(u);
    bfe_free(x);
    bfe_free(c);
    assert_true(bfe_lab_decider(l, 80, &action) == id); /* and it acts: its callout is not registered */
    assert_int_equal(bfe_provider_delete(l->kernel, &one), STATUS_FWP_IN_USE); /* references hold again */
    assert_true(bfe_lab_add_port(l->kernel, 80, FWP_ACTION_BLOCK) > id);       /* ids go on */
    assert_int_equal(bfe_filter_delete(l->kernel, NULL, id), STATUS_SUCCESS);
    bfe_lab_reboot(l, false);
    assert_false(bfe_lab_has(l->kernel, id));
}

static void OBJ_12_built_in_objects(void **state)
{
    struct bfe_lab *l = *state;
    const struct engine_builtin_sublayer *sublayers;
    const struct engine_builtin_provider *providers;
    size_t count = engine_builtin_sublayers(&sublayers);
    FWPM_PROVIDER0 *p, add_p;
    FWPM_SUBLAYER0 *u, add_u;
    FWPM_LAYER0 *layer;

    assert_true(count >= 18);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(bfe_sublayer_get(l->kernel, sublayers[i].key, &u), STATUS_SUCCESS);
        assert_int_equal(u->weight, sublayers[i].weight);
        bfe_free(u);
        assert_int_equal(bfe_sublayer_delete(l->kernel, sublayers[i].key), STATUS_FWP_BUILTIN_OBJECT);
        add_u = bfe_lab_sublayer(sublayers[i].key, 1);
        assert_int_equal(bfe_sublayer_add(l->kernel, &add_u, NULL, 0), STATUS_FWP_ALREADY_EXISTS);
    }
    count = engine_builtin_providers(&providers);
    assert_true(count >= 9);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(bfe_provider_get(l->kernel, providers[i].key, &p), STATUS_SUCCESS);
        bfe_free(p);
        assert_int_equal(bfe_provider_delete(l->kernel, providers[i].key), STATUS_FWP_BUILTIN_OBJECT);
        add_p = bfe_lab_provider(providers[i].key);
        assert_int_equal(bfe_provider_add(l->kernel, &add_p, NULL, 0), STATUS_FWP_ALREADY_EXISTS);
    }
    for (UINT16 id = 0; id < ENGINE_LAYER_COUNT; id++) {
        const struct engine_layer *facts = engine_layer_by_id(id);

        assert_int_equal(bfe_layer_get(l->kernel, NULL, id, &layer), STATUS_SUCCESS);
        assert_int_equal(layer->layerId, id);
        assert_int_equal(layer->numFields, facts->field_count);
        for (UINT32 i = 0; i < layer->numFields; i++)
            assert_memory_equal(layer->field[i].fieldKey, facts->fields[i].key, sizeof(GUID));
        bfe_free(layer);
        assert_int_equal(bfe_layer_get(l->kernel, facts->key, 0, &layer), STATUS_SUCCESS);
        assert_int_equal(layer->layerId, id);
        bfe_free(layer);
    }
    assert_int_equal(bfe_layer_get(l->kernel, NULL, ENGINE_LAYER_COUNT, &layer), STATUS_FWP_LAYER_NOT_FOUND);
}

/* ---- OBJ-13 -------------------------------------------------------------------------------------------- */

static void OBJ_13_lifetime_mismatch(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *s = l->kernel, *d = bfe_lab_session(l, BFE_LAB_KERNEL, FWPM_SESSION_FLAG_DYNAMIC, 0);
    struct bfe_session *e = bfe_lab_session(l, BFE_LAB_KERNEL, FWPM_SESSION_FLAG_DYNAMIC, 0);
    const UINT32 persistent = FWPM_FILTER_FLAG_PERSISTENT;
    GUID p1 = bfe_lab_guid(1), p2 = bfe_lab_guid(2);

    assert_int_equal(add_sublayer(d, 10, 0, NULL), STATUS_SUCCESS);
    assert_int_equal(add_sublayer(s, 11, 0, NULL), STATUS_SUCCESS);
    assert_int_equal(add_provider(s, 1, FWPM_PROVIDER_FLAG_PERSISTENT), STATUS_SUCCESS);
    assert_int_equal(add_provider(s, 2, FWPM_PROVIDER_FLAG_PERSISTENT), STATUS_SUCCESS);
    assert_int_equal(add_sublayer(s, 12, FWPM_SUBLAYER_FLAG_PERSISTENT, &p1), STATUS_SUCCESS);

    /* dynamic -> dynamic of the same session, of another; static -> dynamic */
    assert_int_equal(add_filter(d, 0, (struct refs){.sublayer = 10}, NULL), STATUS_SUCCESS);
    assert_int_equal(add_filter(e, 0, (struct refs){.sublayer = 10}, NULL), STATUS_FWP_LIFETIME_MISMATCH);
    assert_int_equal(add_filter(s, 0, (struct refs){.sublayer = 10}, NULL), STATUS_FWP_LIFETIME_MISMATCH);
    /* anything -> static, but not persistent */
    assert_int_equal(add_filter(d, 0, (struct refs){.sublayer = 11}, NULL), STATUS_SUCCESS);
    assert_int_equal(add_filter(s, 0, (struct refs){.sublayer = 11}, NULL), STATUS_SUCCESS);
    assert_int_equal(add_filter(s, persistent, (struct refs){.sublayer = 11}, NULL),
                     STATUS_FWP_LIFETIME_MISMATCH);
    assert_int_equal(add_filter(s, persistent, (struct refs){.sublayer = 10}, NULL),
                     STATUS_FWP_LIFETIME_MISMATCH);
    assert_int_equal(add_filter(s, FWPM_FILTER_FLAG_BOOTTIME, (struct refs){.sublayer = 11}, NULL),
                     STATUS_FWP_LIFETIME_MISMATCH);
    /* persistent -> persistent of the same provider, of another, of one by someone without a provider */
    assert_int_equal(add_filter(s, persistent, (struct refs){1, 12, 0, 0}, NULL), STATUS_SUCCESS);
    assert_int_equal(add_filter(s, persistent, (struct refs){2, 12, 0, 0}, NULL),
                     STATUS_FWP_LIFETIME_MISMATCH);
    assert_int_equal(add_filter(s, persistent, (struct refs){0, 12, 0, 0}, NULL),
                     STATUS_FWP_LIFETIME_MISMATCH);
    /* static and dynamic -> anybody's persistent */
    assert_int_equal(add_filter(s, 0, (struct refs){2, 12, 0, 0}, NULL), STATUS_SUCCESS);
    assert_int_equal(add_filter(d, 0, (struct refs){2, 12, 0, 0}, NULL), STATUS_SUCCESS);
    /* built-in: always */
    assert_int_equal(add_filter(s, persistent, (struct refs){0}, NULL), STATUS_SUCCESS);

    /* every kind of reference */
    assert_int_equal(add_provider(d, 20, 0), STATUS_SUCCESS);
    assert_int_equal(add_callout(d, 21, 0, NULL), STATUS_SUCCESS);
    assert_int_equal(add_context(d, 22, 0, NULL), STATUS_SUCCESS);
    assert_int_equal(add_filter(s, 0, (struct refs){.provider = 20}, NULL), STATUS_FWP_LIFETIME_MISMATCH);
    assert_int_equal(add_filter(s, 0, (struct refs){.callout = 21}, NULL), STATUS_FWP_LIFETIME_MISMATCH);
    assert_int_equal(add_filter(s, 0, (struct refs){.context = 22}, NULL), STATUS_FWP_LIFETIME_MISMATCH);
    p2 = bfe_lab_guid(20);
    assert_int_equal(add_sublayer(s, 30, 0, &p2), STATUS_FWP_LIFETIME_MISMATCH);
    assert_int_equal(add_context(s, 30, 0, &p2), STATUS_FWP_LIFETIME_MISMATCH);
    assert_int_equal(add_callout(s, 30, 0, &p2), STATUS_FWP_LIFETIME_MISMATCH);
    bfe_session_close(e);
    bfe_session_close(d);
}

/* ---- OBJ-14 -------------------------------------------------------------------------------------------- */

static void OBJ_14_in_use(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *s = l->kernel;
    GUID p = bfe_lab_guid(1), u = bfe_lab_guid(2), c = bfe_lab_guid(3), x = bfe_lab_guid(4);
    FWPM_CALLOUT0 *callout = NULL;
    FWPM_PROVIDER_CONTEXT3 *context = NULL;
    UINT64 id, id2;

    assert_int_equal(add_provider(s, 1, 0), STATUS_SUCCESS);
    assert_int_equal(add_sublayer(s, 2, 0, &p), STATUS_SUCCESS);
    assert_int_equal(add_callout(s, 3, 0, &p), STATUS_SUCCESS);
    assert_int_equal(add_context(s, 4, 0, &p), STATUS_SUCCESS);
    assert_int_equal(add_filter(s, 0, (struct refs){1, 2, 3, 4}, &id), STATUS_SUCCESS);
    assert_int_equal(add_filter(s, 0, (struct refs){1, 2, 3, 4}, &id2), STATUS_SUCCESS);
    assert_int_equal(bfe_callout_get(s, &c, 0, &callout), STATUS_SUCCESS);
    assert_int_equal(bfe_provider_context_get(s, &x, 0, &context), STATUS_SUCCESS);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(bfe_provider_delete(s, &p), STATUS_FWP_IN_USE);
        assert_int_equal(bfe_sublayer_delete(s, &u), STATUS_FWP_IN_USE);
        assert_int_equal(bfe_callout_delete(s, &c, 0), STATUS_FWP_IN_USE);
        assert_int_equal(bfe_callout_delete(s, NULL, callout->calloutId), STATUS_FWP_IN_USE);
        assert_int_equal(bfe_provider_context_delete(s, &x, 0), STATUS_FWP_IN_USE);
        assert_int_equal(bfe_provider_context_delete(s, NULL, context->providerContextId), STATUS_FWP_IN_USE);
        assert_int_equal(bfe_filter_delete(s, NULL, round == 0 ? id : id2), STATUS_SUCCESS);
    }
    /* An abort restores the counts. */
    assert_int_equal(bfe_txn_begin(s, 0), STATUS_SUCCESS);
    assert_int_equal(add_filter(s, 0, (struct refs){1, 2, 3, 4}, &id), STATUS_SUCCESS);
    assert_int_equal(bfe_sublayer_delete(s, &u), STATUS_FWP_IN_USE);
    assert_int_equal(bfe_txn_abort(s), STATUS_SUCCESS);
    assert_int_equal(bfe_sublayer_delete(s, &u), STATUS_SUCCESS);
    assert_int_equal(bfe_callout_delete(s, NULL, callout->calloutId), STATUS_SUCCESS);
    assert_int_equal(bfe_provider_delete(s, &p), STATUS_FWP_IN_USE); /* the context still refers to it */
    assert_int_equal(bfe_provider_context_delete(s, NULL, context->providerContextId), STATUS_SUCCESS);
    assert_int_equal(bfe_provider_delete(s, &p), STATUS_SUCCESS);

    assert_int_equal(bfe_callout_delete(s, NULL, callout->calloutId), STATUS_FWP_CALLOUT_NOT_FOUND);
    assert_int_equal(bfe_callout_delete(s, &c, 0), STATUS_FWP_CALLOUT_NOT_FOUND);
    assert_int_equal(bfe_provider_delete(s, &p), STATUS_FWP_PROVIDER_NOT_FOUND);
    assert_int_equal(bfe_sublayer_delete(s, &u), STATUS_FWP_SUBLAYER_NOT_FOUND);
    assert_int_equal(bfe_provider_context_delete(s, &x, 0), STATUS_FWP_PROVIDER_CONTEXT_NOT_FOUND);
    assert_int_equal(bfe_filter_delete(s, NULL, 0), STATUS_FWP_FILTER_NOT_FOUND);
    assert_int_equal(bfe_filter_delete(s, &x, 0), STATUS_FWP_FILTER_NOT_FOUND);
    bfe_free(callout);
    bfe_free(context);
}

/* ---- OBJ-15, 16 ---------------------------------------------------------------------------------------- */

static void OBJ_15_keys_are_unique_within_a_kind(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *s = l->kernel;
    FWPM_FILTER0 f = bfe_lab_filter(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, FWP_ACTION_BLOCK), *got, *got2;
    static const GUID zero;
    UINT64 a, b;

    for (int round = 0; round < 2; round++) {
        NTSTATUS expected = round == 0 ? STATUS_SUCCESS : STATUS_FWP_ALREADY_EXISTS;

        f.filterKey = bfe_lab_guid(1);
        assert_int_equal(add_provider(s, 1, 0), expected);
        assert_int_equal(add_sublayer(s, 1, 0, NULL), expected);
        assert_int_equal(add_callout(s, 1, 0, NULL), expected);
        assert_int_equal(add_context(s, 1, 0, NULL), expected);
        assert_int_equal(bfe_filter_add(s, &f, NULL, 0, NULL), expected);
    }
    /* Zero: the engine chooses. */
    f.filterKey = zero;
    a = bfe_lab_add(s, &f);
    b = bfe_lab_add(s, &f);
    assert_int_equal(bfe_filter_get(s, NULL, a, &got), STATUS_SUCCESS);
    assert_int_equal(bfe_filter_get(s, NULL, b, &got2), STATUS_SUCCESS);
    assert_memory_not_equal(&got->filterKey, &zero, sizeof(zero));
    assert_memory_not_equal(&got->filterKey, &got2->filterKey, sizeof(zero));
    bfe_free(got2);
    assert_int_equal(bfe_filter_get(s, &got->filterKey, 0, &got2), STATUS_SUCCESS);
    assert_true(got2->filterId == a);
    bfe_free(got);
    bfe_free(got2);
    /* A deleted key may be used again. */
    f.filterKey = bfe_lab_guid(1);
    assert_int_equal(bfe_filter_delete(s, &f.filterKey, 0), STATUS_SUCCESS);
    assert_int_equal(bfe_filter_add(s, &f, NULL, 0, NULL), STATUS_SUCCESS);
}

static void OBJ_16_ids_are_the_engines(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *s = l->kernel;
    FWPM_FILTER0 f = bfe_lab_filter(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, FWP_ACTION_BLOCK), *got;
    GUID key = bfe_lab_guid(1);
    FWPM_CALLOUT0 c = bfe_lab_callout(&key, &FWPM_LAYER_ALE_AUTH_CONNECT_V4), *callout;
    FWPM_PROVIDER_CONTEXT3 x = bfe_lab_context(&key), *context;
    UINT64 first, second, weight = 5, xid;
    UINT32 cid;

    f.filterId = 4711;
    f.effectiveWeight = (FWP_VALUE0){.type = FWP_UINT64, .uint64 = &weight};
    first = bfe_lab_add(s, &f);
    second = bfe_lab_add(s, &f);
    assert_true(first != 4711 && second != 4711 && second > first);
    assert_int_equal(bfe_filter_get(s, NULL, first, &got), STATUS_SUCCESS);
    assert_true(got->filterId == first);
    assert_int_equal(got->effectiveWeight.type, FWP_UINT64);
    assert_true(*got->effectiveWeight.uint64 == 0); /* not the 5 that came with it */
    bfe_free(got);

    c.calloutId = 4711;
    assert_int_equal(bfe_callout_add(s, &c, NULL, 0, &cid), STATUS_SUCCESS);
    assert_true(cid != 0 && cid != 4711);
    assert_int_equal(bfe_callout_get(s, NULL, cid, &callout), STATUS_SUCCESS);
    assert_int_equal(callout->calloutId, cid);
    bfe_free(callout);
    x.providerContextId = 4711;
    assert_int_equal(bfe_provider_context_add(s, &x, NULL, 0, &xid), STATUS_SUCCESS);
    assert_true(xid != 0 && xid != 4711);
    assert_int_equal(bfe_provider_context_get(s, NULL, xid, &context), STATUS_SUCCESS);
    assert_true(context->providerContextId == xid);
    bfe_free(context);
}

/* ---- OBJ-17, 18 ---------------------------------------------------------------------------------------- */

static void OBJ_17_dangling_references(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *s = l->kernel;
    GUID missing = bfe_lab_guid(77);
    FWPM_FILTER0 f = bfe_lab_filter(&missing, FWP_ACTION_BLOCK);
    FWPM_CALLOUT0 c = bfe_lab_callout(NULL, &missing);
    FWPM_FILTER_CONDITION0 condition =
        bfe_lab_condition(&missing, FWP_MATCH_EQUAL, (FWP_CONDITION_VALUE0){.type = FWP_UINT16, .uint16 = 1});

    assert_int_equal(bfe_filter_add(s, &f, NULL, 0, NULL), STATUS_FWP_LAYER_NOT_FOUND);
    assert_int_equal(bfe_callout_add(s, &c, NULL, 0, NULL), STATUS_FWP_LAYER_NOT_FOUND);
    assert_int_equal(add_filter(s, 0, (struct refs){.provider = 77}, NULL), STATUS_FWP_PROVIDER_NOT_FOUND);
    assert_int_equal(add_filter(s, 0, (struct refs){.sublayer = 77}, NULL), STATUS_FWP_SUBLAYER_NOT_FOUND);
    assert_int_equal(add_filter(s, 0, (struct refs){.callout = 77}, NULL), STATUS_FWP_CALLOUT_NOT_FOUND);
    assert_int_equal(add_filter(s, 0, (struct refs){.context = 77}, NULL),
                     STATUS_FWP_PROVIDER_CONTEXT_NOT_FOUND);
    assert_int_equal(add_sublayer(s, 1, 0, &missing), STATUS_FWP_PROVIDER_NOT_FOUND);
    assert_int_equal(add_context(s, 1, 0, &missing), STATUS_FWP_PROVIDER_NOT_FOUND);
    assert_int_equal(add_callout(s, 1, 0, &missing), STATUS_FWP_PROVIDER_NOT_FOUND);
    f = bfe_lab_filter(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, FWP_ACTION_BLOCK);
    f.filterCondition = &condition;
    f.numFilterConditions = 1;
    assert_int_equal(bfe_filter_add(s, &f, NULL, 0, NULL), STATUS_FWP_CONDITION_NOT_FOUND);
    condition.fieldKey = FWPM_CONDITION_ICMP_CODE; /* an alias of the port fields, not missing (MATCH-19) */
    assert_int_equal(bfe_filter_add(s, &f, NULL, 0, NULL), STATUS_SUCCESS);
    condition.fieldKey = FWPM_CONDITION_IP_FORWARD_INTERFACE;
    assert_int_equal(bfe_filter_add(s, &f, NULL, 0, NULL), STATUS_FWP_CONDITION_NOT_FOUND);
}

static void OBJ_18_arguments_of_all_kinds(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *s = l->kernel;
    FWPM_PROVIDER0 p = bfe_lab_provider(NULL);
    FWPM_SUBLAYER0 u = bfe_lab_sublayer(NULL, 1);
    FWPM_CALLOUT0 c = bfe_lab_callout(NULL, &FWPM_LAYER_ALE_AUTH_CONNECT_V4);
    FWPM_PROVIDER_CONTEXT3 x = bfe_lab_context(NULL);
    FWPM_FILTER0 f = bfe_lab_filter(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, FWP_ACTION_BLOCK);
    const FWP_BYTE_BLOB torn = {.size = 3, .data = NULL};
    const FWP_VALUE0 two = {.type = FWP_UINT32, .uint32 = 2};
    FWPM_FILTER0 *got_f;
    GUID one = bfe_lab_guid(1);

    assert_int_equal(bfe_provider_add(s, NULL, NULL, 0), STATUS_FWP_NULL_POINTER);
    assert_int_equal(bfe_sublayer_add(s, NULL, NULL, 0), STATUS_FWP_NULL_POINTER);
    assert_int_equal(bfe_callout_add(s, NULL, NULL, 0, NULL), STATUS_FWP_NULL_POINTER);
    assert_int_equal(bfe_provider_context_add(s, NULL, NULL, 0, NULL), STATUS_FWP_NULL_POINTER);
    assert_int_equal(bfe_filter_add(s, NULL, NULL, 0, NULL), STATUS_FWP_NULL_POINTER);
    assert_int_equal(bfe_filter_get(s, NULL, 1, NULL), STATUS_FWP_NULL_POINTER);
    assert_int_equal(bfe_filter_get(NULL, NULL, 1, &got_f), STATUS_FWP_NULL_POINTER);
    assert_int_equal(bfe_provider_delete(s, NULL), STATUS_FWP_NULL_POINTER);
    assert_int_equal(bfe_sublayer_get(s, &one, NULL), STATUS_FWP_NULL_POINTER);

    p.displayData.name = u.displayData.name = c.displayData.name = NULL;
    x.displayData.name = f.displayData.name = NULL;
    assert_int_equal(bfe_provider_add(s, &p, NULL, 0), STATUS_FWP_NULL_DISPLAY_NAME);
    assert_int_equal(bfe_sublayer_add(s, &u, NULL, 0), STATUS_FWP_NULL_DISPLAY_NAME);
    assert_int_equal(bfe_callout_add(s, &c, NULL, 0, NULL), STATUS_FWP_NULL_DISPLAY_NAME);
    assert_int_equal(bfe_provider_context_add(s, &x, NULL, 0, NULL), STATUS_FWP_NULL_DISPLAY_NAME);
    assert_int_equal(bfe_filter_add(s, &f, NULL, 0, NULL), STATUS_FWP_NULL_DISPLAY_NAME);

    p = bfe_lab_provider(NULL);
    u = bfe_lab_sublayer(NULL, 1);
    c = bfe_lab_callout(NULL, &FWPM_LAYER_ALE_AUTH_CONNECT_V4);
    x = bfe_lab_context(NULL);
    p.flags = FWPM_PROVIDER_FLAG_DISABLED; /* reported, never asked for */
    u.flags = 2;
    c.flags = FWPM_CALLOUT_FLAG_REGISTERED;
    x.flags = FWPM_PROVIDER_CONTEXT_FLAG_DOWNLEVEL;
    assert_int_equal(bfe_provider_add(s, &p, NULL, 0), STATUS_FWP_INVALID_FLAGS);
    assert_int_equal(bfe_sublayer_add(s, &u, NULL, 0), STATUS_FWP_INVALID_FLAGS);
    assert_int_equal(bfe_callout_add(s, &c, NULL, 0, NULL), STATUS_FWP_INVALID_FLAGS);
    assert_int_equal(bfe_provider_context_add(s, &x, NULL, 0, NULL), STATUS_FWP_INVALID_FLAGS);

    p.flags = u.flags = c.flags = x.flags = 0;
    p.providerData = u.providerData = c.providerData = x.providerData = torn;
    assert_int_equal(bfe_provider_add(s, &p, NULL, 0), STATUS_FWP_NULL_POINTER);
    assert_int_equal(bfe_sublayer_add(s, &u, NULL, 0), STATUS_FWP_NULL_POINTER);
    assert_int_equal(bfe_callout_add(s, &c, NULL, 0, NULL), STATUS_FWP_NULL_POINTER);
    assert_int_equal(bfe_provider_context_add(s, &x, NULL, 0, NULL), STATUS_FWP_NULL_POINTER);
    p.providerData = (FWP_BYTE_BLOB){0};
    assert_int_equal(bfe_provider_add(s, &p, "no descriptor", 13), STATUS_INVALID_SECURITY_DESCR);

    f = bfe_lab_filter(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, FWP_ACTION_BLOCK);
    f.reserved = &one;
    assert_int_equal(bfe_filter_add(s, &f, NULL, 0, NULL), STATUS_FWP_RESERVED);
    assert_int_equal(bfe_option_set(s, FWPM_ENGINE_COLLECT_NET_EVENTS, &two), STATUS_FWP_OUT_OF_BOUNDS);
}

static void OBJ_18_arguments_of_contexts(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *s = l->kernel;
    FWPM_PROVIDER_CONTEXT3 x = bfe_lab_context(NULL), *got;
    FWPM_CLASSIFY_OPTION0 option = {.type = FWP_CLASSIFY_OPTION_UNICAST_LIFETIME,
                                    .value = {.type = FWP_UINT32, .uint32 = 9}};
    FWPM_CLASSIFY_OPTIONS0 options = {0};
    UINT64 id;

    x.type = FWPM_PROVIDER_CONTEXT_TYPE_MAX;
    assert_int_equal(bfe_provider_context_add(s, &x, NULL, 0, NULL), STATUS_FWP_INVALID_ENUMERATOR);
    x.type = FWPM_GENERAL_CONTEXT;
    x.dataBuffer = NULL;
    assert_int_equal(bfe_provider_context_add(s, &x, NULL, 0, NULL), STATUS_FWP_NULL_POINTER);
    x.type = FWPM_CLASSIFY_OPTIONS_CONTEXT;
    assert_int_equal(bfe_provider_context_add(s, &x, NULL, 0, NULL), STATUS_FWP_NULL_POINTER);
    x.classifyOptions = &options;
    assert_int_equal(bfe_provider_context_add(s, &x, NULL, 0, NULL), STATUS_FWP_ZERO_LENGTH_ARRAY);
    options.numOptions = 1;
    assert_int_equal(bfe_provider_context_add(s, &x, NULL, 0, NULL), STATUS_FWP_NULL_POINTER);
    options.options = &option;
    option.type = FWP_CLASSIFY_OPTION_MAX;
    assert_int_equal(bfe_provider_context_add(s, &x, NULL, 0, NULL), STATUS_FWP_INVALID_ENUMERATOR);
    option.type = FWP_CLASSIFY_OPTION_UNICAST_LIFETIME;
    assert_int_equal(bfe_provider_context_add(s, &x, NULL, 0, &id), STATUS_SUCCESS);
    option.value.uint32 = 0; /* a deep copy was taken */
    assert_int_equal(bfe_provider_context_get(s, NULL, id, &got), STATUS_SUCCESS);
    assert_int_equal(got->classifyOptions->numOptions, 1);
    assert_int_equal(got->classifyOptions->options[0].value.uint32, 9);
    bfe_free(got);
    /* Policies of key exchange: not held, and not pretended. */
    x.type = FWPM_IPSEC_IKE_MM_CONTEXT;
    assert_int_equal(bfe_provider_context_add(s, &x, NULL, 0, NULL), STATUS_NOT_SUPPORTED);
}

/* ---- OBJ-19, 38: limits ---------------------------------------------------------------------------------
 */

static void OBJ_19_universal_is_the_default_and_sublayers_end(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *s = l->kernel;
    FWPM_FILTER0 f = bfe_lab_filter(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, FWP_ACTION_BLOCK), *got;
    const struct engine_builtin_sublayer *builtin;
    FWPM_SUBLAYER0 u = bfe_lab_sublayer(NULL, 0xffff), *universal;
    UINT32 room = 65536 - (UINT32)engine_builtin_sublayers(&builtin);
    UINT64 id = bfe_lab_add(s, &f);

    assert_int_equal(bfe_filter_get(s, NULL, id, &got), STATUS_SUCCESS);
    assert_memory_equal(&got->subLayerKey, &FWPM_SUBLAYER_UNIVERSAL, sizeof(GUID));
    bfe_free(got);
    assert_int_equal(bfe_sublayer_get(s, &FWPM_SUBLAYER_UNIVERSAL, &universal), STATUS_SUCCESS);
    assert_int_equal(universal->weight, 0x8000);
    bfe_free(universal);

    assert_int_equal(bfe_txn_begin(s, 0), STATUS_SUCCESS);
    for (UINT32 i = 0; i < room; i++)
        assert_int_equal(bfe_sublayer_add(s, &u, NULL, 0), STATUS_SUCCESS);
    assert_int_equal(bfe_sublayer_add(s, &u, NULL, 0), STATUS_FWP_TOO_MANY_SUBLAYERS);
    assert_int_equal(bfe_txn_abort(s), STATUS_SUCCESS);
    assert_int_equal(bfe_sublayer_add(s, &u, NULL, 0), STATUS_SUCCESS);
}

static void OBJ_38_a_hundred_thousand_callouts(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *s = l->kernel;
    FWPM_CALLOUT0 c = bfe_lab_callout(NULL, &FWPM_LAYER_ALE_AUTH_CONNECT_V4);

    assert_int_equal(bfe_txn_begin(s, 0), STATUS_SUCCESS);
    for (UINT32 i = 0; i < 100000; i++)
        assert_int_equal(bfe_callout_add(s, &c, NULL, 0, NULL), STATUS_SUCCESS);
    assert_int_equal(bfe_callout_add(s, &c, NULL, 0, NULL), STATUS_FWP_TOO_MANY_CALLOUTS);
    assert_int_equal(bfe_txn_commit(s), STATUS_SUCCESS);
    assert_int_equal(bfe_callout_add(s, &c, NULL, 0, NULL), STATUS_FWP_TOO_MANY_CALLOUTS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bfe_lab_setup, bfe_lab_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(OBJ_12_dynamic_static_persistent),
        TEST(OBJ_12_what_persists),
        TEST(OBJ_12_built_in_objects),
        TEST(OBJ_13_lifetime_mismatch),
        TEST(OBJ_14_in_use),
        TEST(OBJ_15_keys_are_unique_within_a_kind),
        TEST(OBJ_16_ids_are_the_engines),
        TEST(OBJ_17_dangling_references),
        TEST(OBJ_18_arguments_of_all_kinds),
        TEST(OBJ_18_arguments_of_contexts),
        TEST(OBJ_19_universal_is_the_default_and_sublayers_end),
        TEST(OBJ_38_a_hundred_thousand_callouts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
