/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index against the naive walk, and both against engine_match(), on random policies: every match type on
 * every data type, alternatives, EMPTY, negations, flags, descriptors, callouts of all three kinds; values at
 * and beside the bounds of conditions; commits that add and remove filters in between; with and without the
 * cache of an endpoint's classes. Verdicts and every step of the trace must agree.
 *
 * WEIR_CASES: how many classifies (200,000); WEIR_SEED: where the random numbers start. A failure says the
 * seed that begins with its policy.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "engine/engine.h"
#include "security/security.h"

static UINT64 seed_now, round_now; /* round_now: WEIR_SEED to begin with this very policy */

/* What to run again. */
#define agree(what)                                                                                          \
    do {                                                                                                     \
        if (!(what))                                                                                         \
            fail_msg("WEIR_SEED=%llu: not so: %s", (unsigned long long)round_now, #what);                    \
    } while (0)

static UINT64 rnd(void)
{
    seed_now ^= seed_now >> 12;
    seed_now ^= seed_now << 25;
    seed_now ^= seed_now >> 27;
    return seed_now * 0x2545f4914f6cdd1dULL;
}

static UINT32 below(UINT32 n)
{
    return (UINT32)((rnd() >> 32) * n >> 32);
}

static bool chance(UINT32 percent)
{
    return below(100) < percent;
}

/* ---- the pools that conditions and values are drawn from ----------------------------------------------- */

#define POOL 12
static struct {
    UINT64 u64[POOL];
    FWP_BYTE_ARRAY16 a16[POOL];
    FWP_BYTE_ARRAY6 a6[POOL];
    FWP_BYTE_BLOB blobs[POOL];
    WCHAR text[POOL][16];
    UINT8 sids[POOL][SECURITY_MAX_SID_SIZE];
    FWP_BYTE_BLOB sds[POOL];
    struct security_token *tokens[POOL];
    FWP_TOKEN_INFORMATION infos[POOL];
    SID_AND_ATTRIBUTES info_sids[POOL];
    FWP_V4_ADDR_AND_MASK v4[POOL];
    FWP_V6_ADDR_AND_MASK v6[POOL];
    UINT32 u32[POOL];
} pool;

static void pool_token(int i)
{
    static const char *const capabilities[] = {"S-1-15-3-1", "S-1-15-3-3"};
    UINT8 user[SECURITY_MAX_SID_SIZE], everyone[SECURITY_MAX_SID_SIZE], package[SECURITY_MAX_SID_SIZE];
    UINT8 capability[SECURITY_MAX_SID_SIZE];
    char text[64];
    const char *family[1] = {i & 1 ? "Contoso" : "Fabrikam"};
    SID_AND_ATTRIBUTES group = {(SID *)everyone, SE_GROUP_ENABLED},
                       cap = {(SID *)capability, SE_GROUP_ENABLED};
    struct security_attribute attribute = {.name = "WIN://SYSAPPID", .values = family, .value_count = 1};
    struct security_token_spec spec = {.user = (SID *)user, .groups = &group, .group_count = 1};

    snprintf(text, sizeof(text), "S-1-5-21-1-2-3-%d", 1001 + i % 4);
    assert_int_equal(security_sid_parse(text, (SID *)user, sizeof(user)), 0);
    assert_int_equal(security_sid_parse("S-1-1-0", (SID *)everyone, sizeof(everyone)), 0);
    assert_int_equal(security_sid_parse("S-1-15-2-1-2-3-4-5-6-7", (SID *)package, sizeof(package)), 0);
    assert_int_equal(security_sid_parse(capabilities[i / 4 % 2], (SID *)capability, sizeof(capability)), 0);
    if (i % 3 == 1) {
        spec.package = (SID *)package;
        spec.capabilities = &cap;
        spec.capability_count = 1;
    }
    if (i % 3 == 2) {
        spec.attributes = &attribute;
        spec.attribute_count = 1;
    }
    assert_int_equal(security_token_create(&spec, &pool.tokens[i]), 0);
}

static void pool_open(void)
{
    static const char *const sddl[POOL] = {
        "D:(A;;CC;;;WD)",
        "D:(A;;CC;;;S-1-5-21-1-2-3-1001)",
        "D:(D;;CC;;;S-1-5-21-1-2-3-1002)(A;;CC;;;WD)",
        "D:(A;;CC;;;S-1-15-3-1)(A;;CC;;;WD)",
        "D:(XA;;CC;;;WD;(WIN://SYSAPPID Contains \"Contoso\"))",
        "D:(A;;CC;;;SY)",
        "D:(A;;DC;;;WD)",
        "D:(A;;CC;;;S-1-5-21-1-2-3-1003)(A;;CC;;;S-1-5-21-1-2-3-1004)",
        "D:",
        "D:(A;;CC;;;S-1-15-2-1)(A;;CC;;;WD)",
        "D:(A;;CC;;;BA)",
        "D:(A;;CC;;;S-1-5-21-1-2-3-1002)",
    };
    static const UINT64 u64[POOL] = {0,
                                     1,
                                     2,
                                     6,
                                     0x7f,
                                     0x80,
                                     0xffff,
                                     0x10000,
                                     0x7fffffffffffffff,
                                     0x8000000000000000,
                                     UINT64_MAX - 1,
                                     UINT64_MAX};
    static const UINT32 u32[POOL] = {0,    1,      6,      17,     0x7f,       0x80,
                                     0xff, 0x7fff, 0x8000, 0xffff, 0x80000000, 0xffffffff};

    memcpy(pool.u64, u64, sizeof(u64));
    memcpy(pool.u32, u32, sizeof(u32));
    for (int i = 0; i < POOL; i++) {
        char text[64];
        void *raw;
        size_t size;

        pool.a16[i].byteArray16[0] = 0xfe;
        pool.a16[i].byteArray16[1] = (UINT8)(i < 6 ? 0x80 : 0x7f);
        pool.a16[i].byteArray16[15] = (UINT8)(i % 6);
        pool.a6[i].byteArray6[0] = (UINT8)(i / 4);
        pool.a6[i].byteArray6[5] = (UINT8)(i % 4);
        for (int k = 0; k < 4 + i % 5; k++)
            pool.text[i][k] = (WCHAR)(k == 0 ? u'a' + i % 2 : u'x' + (i + k) % 3);
        pool.blobs[i] = (FWP_BYTE_BLOB){(UINT32)(i % 7 * 2 + (i & 1 ? 0 : 2)), (UINT8 *)pool.text[i]};
        snprintf(text, sizeof(text), i == 0 ? "S-1-0-0" : "S-1-15-2-%d-2-3-4", i % 5);
        assert_int_equal(security_sid_parse(text, (SID *)pool.sids[i], SECURITY_MAX_SID_SIZE), 0);
        assert_int_equal(security_sddl_parse(sddl[i], &raw, &size, NULL), 0);
        pool.sds[i] = (FWP_BYTE_BLOB){(UINT32)size, raw};
        pool_token(i);
        pool.info_sids[i] = (SID_AND_ATTRIBUTES){(SID *)pool.sids[i], SE_GROUP_ENABLED};
        pool.infos[i] = (FWP_TOKEN_INFORMATION){.sidCount = 1, .sids = &pool.info_sids[i]};
        pool.v4[i] = (FWP_V4_ADDR_AND_MASK){u32[i], i % 4 == 0 ? 0 : ~(UINT32)0 << (i * 3 % 32)};
        memcpy(pool.v6[i].addr, pool.a16[i].byteArray16, 16);
        pool.v6[i].prefixLength = (UINT8)(i % 5 == 0 ? 128 : i * 11);
    }
}

static void pool_close(void)
{
    for (int i = 0; i < POOL; i++) {
        free(pool.sds[i].data);
        security_token_destroy(pool.tokens[i]);
    }
}

/* A value of this type, from the pool; integers often one beside it. Wide numbers live in *wide. */
static FWP_VALUE0 draw(FWP_DATA_TYPE type, UINT64 *wide)
{
    FWP_VALUE0 v = {.type = type};
    UINT32 i = below(POOL), step = chance(25) ? below(3) - 1 : 0;

    switch (type) {
    case FWP_UINT8:
    case FWP_INT8:
        v.uint8 = (UINT8)(pool.u32[i] + step);
        break;
    case FWP_UINT16:
    case FWP_INT16:
        v.uint16 = (UINT16)(pool.u32[i] + step);
        break;
    case FWP_UINT32:
    case FWP_INT32:
        v.uint32 = chance(10) ? (UINT32)rnd() : pool.u32[i] + step;
        break;
    case FWP_UINT64:
    case FWP_INT64:
        *wide = pool.u64[i] + (INT64)(INT32)step;
        v.uint64 = wide;
        break;
    case FWP_BYTE_ARRAY16_TYPE:
        v.byteArray16 = &pool.a16[i];
        break;
    case FWP_BYTE_ARRAY6_TYPE:
        v.byteArray6 = &pool.a6[i];
        break;
    case FWP_BYTE_BLOB_TYPE:
        v.byteBlob = &pool.blobs[i];
        break;
    case FWP_SID:
        v.sid = (SID *)pool.sids[i];
        break;
    case FWP_SECURITY_DESCRIPTOR_TYPE:
        v.sd = &pool.sds[i];
        break;
    case FWP_TOKEN_INFORMATION_TYPE:
        v.tokenInformation = &pool.infos[i];
        break;
    case FWP_TOKEN_ACCESS_INFORMATION_TYPE:
        v.tokenAccessInformation = (FWP_BYTE_BLOB *)security_token_blob(pool.tokens[i]);
        break;
    default:
        v.type = FWP_EMPTY;
        break;
    }
    return v;
}

/* ---- random filters ------------------------------------------------------------------------------------ */

#define MAX_CONDITIONS 24

struct random_filter {
    FWPS_FILTER_CONDITION0 conditions[MAX_CONDITIONS];
    FWP_RANGE0 ranges[MAX_CONDITIONS];
    UINT64 wide[MAX_CONDITIONS][2];
    UINT32 count;
};

/* One acceptable condition on the field. */
static void draw_condition(const struct engine_field *field, struct random_filter *f)
{
    UINT32 n = f->count;
    FWPS_FILTER_CONDITION0 *c = &f->conditions[n];

    for (;;) {
        FWP_DATA_TYPE type = field->data_type;
        FWP_VALUE0 v;

        *c = (FWPS_FILTER_CONDITION0){.fieldId = field->index,
                                      .matchType = (FWP_MATCH_TYPE)below(FWP_MATCH_TYPE_MAX)};
        if (chance(40))
            c->matchType = FWP_MATCH_EQUAL;
        if (type == FWP_TOKEN_ACCESS_INFORMATION_TYPE || type == FWP_TOKEN_INFORMATION_TYPE)
            type = FWP_SECURITY_DESCRIPTOR_TYPE;
        v = draw(type, &f->wide[n][0]);
        memcpy(&c->conditionValue, &v, sizeof(v));
        if (c->matchType == FWP_MATCH_RANGE) {
            f->ranges[n].valueLow = v;
            f->ranges[n].valueHigh = draw(type, &f->wide[n][1]);
            c->conditionValue = (FWP_CONDITION_VALUE0){.type = FWP_RANGE_TYPE, .rangeValue = &f->ranges[n]};
        } else if (chance(5)) {
            c->conditionValue = (FWP_CONDITION_VALUE0){.type = FWP_EMPTY};
        } else if (type == FWP_UINT32 && chance(30)) {
            c->conditionValue =
                (FWP_CONDITION_VALUE0){.type = FWP_V4_ADDR_MASK, .v4AddrMask = &pool.v4[below(POOL)]};
        } else if (type == FWP_BYTE_ARRAY16_TYPE && chance(50)) {
            c->conditionValue =
                (FWP_CONDITION_VALUE0){.type = FWP_V6_ADDR_MASK, .v6AddrMask = &pool.v6[below(POOL)]};
        }
        if (engine_condition_check(field, c->matchType, &c->conditionValue) == STATUS_SUCCESS) {
            f->count++;
            return;
        }
    }
}

static GUID callout_key(UINT32 i)
{
    return (GUID){.Data1 = 0xca110000 + i};
}

/* Callouts 0, 1 are registered, 2 is foreign and supposed to answer, 3 foreign and unknown, 4, 5 nobody's. */
#define CALLOUTS 6

static struct engine_filter *draw_filter(const struct engine_layer *layer, UINT64 id)
{
    static const FWP_ACTION_TYPE actions[] = {FWP_ACTION_PERMIT, FWP_ACTION_BLOCK,
                                              FWP_ACTION_CALLOUT_TERMINATING, FWP_ACTION_CALLOUT_INSPECTION,
                                              FWP_ACTION_CALLOUT_UNKNOWN};
    struct random_filter r = {.count = 0};
    UINT64 weight = chance(30) ? below(4) : rnd() >> below(64);
    UINT32 sublayer = below(6), fields = below(4);
    FWPS_FILTER3 fwps = {.filterId = id, .weight = {.type = FWP_UINT64, .uint64 = &weight}};
    struct engine_filter_desc desc = {.layer_id = layer->id, .fwps = &fwps};
    struct engine_filter *f;

    for (UINT32 i = 0; i < fields && layer->field_count != 0; i++) {
        const struct engine_field *field =
            &layer->fields[chance(70) ? below(layer->field_count < 6 ? layer->field_count : 6)
                                      : below(layer->field_count)];
        UINT32 n = chance(70) ? 1 : 1 + below(4);

        while (n-- > 0 && r.count < MAX_CONDITIONS)
            draw_condition(field, &r);
    }
    fwps.numFilterConditions = r.count;
    fwps.filterCondition = r.conditions;
    fwps.subLayerWeight = (UINT16)(sublayer / 2); /* pairs of equal weight: age decides */
    fwps.flags = (UINT16)(rnd() & 7);
    fwps.action.type = actions[chance(75) ? below(2) : below(5)];
    fwps.action.calloutId = 1;
    desc.callout_key = callout_key(below(CALLOUTS));
    desc.sublayer_key.Data1 = 1000 + sublayer;
    desc.sublayer_seq = sublayer;
    assert_int_equal(engine_filter_create(&desc, &f), 0);
    return f;
}

/* ---- what happened ------------------------------------------------------------------------------------- */

struct log {
    UINT64 hash;
    UINT32 steps;
};

static void log_put(struct log *l, UINT64 x)
{
    l->hash = (l->hash ^ x) * 0x100000001b3ULL + (l->hash >> 29);
    l->steps++;
}

static void on_filter(void *ctx, const struct engine_filter *f, enum engine_answer answer, bool substitute)
{
    log_put(ctx, engine_filter_fwps(f)->filterId * 16 + answer * 2 + substitute);
}

static void on_sublayer(void *ctx, const struct engine_sublayer_result *r)
{
    log_put(ctx, r->key->Data1);
    log_put(ctx, r->filter != NULL ? engine_filter_fwps(r->filter)->filterId : 0);
    log_put(ctx, (UINT64)r->action << 32 | r->running);
    log_put(ctx, r->rights * 2 + r->took_effect);
}

/* Answers by what it is shown and by whose filter it is, so that both walks see the same. */
static void NTAPI classify_fn(const FWPS_INCOMING_VALUES0 *v, const FWPS_INCOMING_METADATA_VALUES0 *m,
                              void *d, const void *c, const FWPS_FILTER1 *f, UINT64 flow,
                              FWPS_CLASSIFY_OUT0 *out)
{
    static const FWP_ACTION_TYPE answers[] = {FWP_ACTION_PERMIT,
                                              FWP_ACTION_BLOCK,
                                              FWP_ACTION_CONTINUE,
                                              FWP_ACTION_NONE,
                                              0,
                                              FWP_ACTION_NONE_NO_MATCH,
                                              0x77,
                                              FWP_ACTION_BLOCK};
    UINT64 h = (f->filterId * 31 + out->actionType + out->rights) * 0x9e3779b97f4a7c15ULL >> 40;

    (void)v, (void)m, (void)d, (void)c, (void)flow;
    if (h & 8)
        return;
    out->actionType = answers[h & 7];
    if (h & 16)
        out->rights ^= FWPS_RIGHT_ACTION_WRITE;
    if (h & 32)
        out->flags |= FWPS_CLASSIFY_OUT_FLAG_ABSORB;
}

/* ---- the world ----------------------------------------------------------------------------------------- */

#define MAX_FILTERS 1600

struct world {
    struct engine *engine;
    struct engine_reader *reader;
    const struct engine_layer *layer;
    UINT64 ids[MAX_FILTERS];
    UINT32 count;
    UINT64 next_id;
    FWPS_INCOMING_VALUE0 values[ENGINE_MAX_FIELDS];
    UINT64 wide[ENGINE_MAX_FIELDS];
};

static void commit(struct world *w, UINT32 adds, UINT32 removes)
{
    struct engine_txn *t;

    assert_int_equal(engine_txn_begin(w->engine, &t), 0);
    while (removes-- > 0 && w->count > 0) {
        UINT32 at = below(w->count);

        assert_int_equal(engine_txn_remove(t, w->layer->id, w->ids[at]), 0);
        w->ids[at] = w->ids[--w->count];
    }
    while (adds-- > 0 && w->count < MAX_FILTERS) {
        struct engine_filter *f = draw_filter(w->layer, w->next_id);

        assert_int_equal(engine_txn_add(t, f), 0);
        engine_filter_unref(f);
        w->ids[w->count++] = w->next_id++;
    }
    assert_int_equal(engine_txn_commit(t), 0);
}

static bool opaque(FWP_DATA_TYPE t)
{
    return t > FWP_UINT64;
}

/* all: also what an endpoint keeps. */
static void draw_values(struct world *w, bool all)
{
    for (UINT16 i = 0; i < w->layer->field_count; i++) {
        FWP_DATA_TYPE t = w->layer->fields[i].data_type;

        if (!all && opaque(t))
            continue;
        if (t == FWP_TOKEN_ACCESS_INFORMATION_TYPE && chance(10))
            t = FWP_TOKEN_INFORMATION_TYPE;
        if (chance(7))
            t = FWP_EMPTY;
        else if (chance(2))
            t = (FWP_DATA_TYPE)(FWP_UINT8 + below(FWP_UINT64));
        w->values[i].value = draw(t, &w->wide[i]);
    }
}

/* What the conditions say, by engine_match() alone. */
static bool reference_match(const struct engine_filter *f, const FWPS_INCOMING_VALUE0 *values)
{
    const FWPS_FILTER3 *s = engine_filter_fwps(f);

    for (UINT32 i = 0; i < s->numFilterConditions; i++) {
        UINT16 field = s->filterCondition[i].fieldId;
        bool any = false;

        for (UINT32 k = 0; k < s->numFilterConditions && !any; k++)
            any = s->filterCondition[k].fieldId == field &&
                  engine_match(s->filterCondition[k].matchType, &s->filterCondition[k].conditionValue,
                               &values[field].value);
        if (!any)
            return false;
    }
    return true;
}

/* Compiled and three-valued matching against the reference. */
static void check_matching(struct world *w)
{
    const struct engine_filter *const *filters;
    size_t n = engine_snapshot_filters(engine_pin(w->reader), w->layer->id, &filters);
    bool known[ENGINE_MAX_FIELDS];

    assert_int_equal(n, w->count);
    for (UINT16 i = 0; i < w->layer->field_count;
         i++) /* unknown values are taken to be of the field's type */
        known[i] = chance(60) || (w->values[i].value.type != FWP_EMPTY &&
                                  w->values[i].value.type != w->layer->fields[i].data_type);
    for (size_t i = 0; i < n; i++) {
        bool want = reference_match(filters[i], w->values);
        enum engine_match3 partly = engine_filter_match3(filters[i], w->values, known);

        agree(engine_filter_match3(filters[i], w->values, NULL) ==
              (want ? ENGINE_MATCH_YES : ENGINE_MATCH_NO));
        /* what is said of some fields must hold whatever the others are: these are one way for them to be */
        if (partly != ENGINE_MATCH_DEPENDS)
            agree(partly == (want ? ENGINE_MATCH_YES : ENGINE_MATCH_NO));
    }
    engine_unpin(w->reader);
}

static void check_classify(struct world *w, struct engine_class_cache *cache)
{
    struct log indexed = {0}, naive = {0};
    struct engine_trace trace = {.filter = on_filter, .sublayer = on_sublayer};
    struct engine_assumption assumed = {
        callout_key(2),
        (FWP_ACTION_TYPE[]){FWP_ACTION_PERMIT, FWP_ACTION_BLOCK, FWP_ACTION_CONTINUE}[below(3)]};
    FWPS_INCOMING_VALUES0 in = {w->layer->id, w->layer->field_count, w->values};
    struct engine_request q = {.values = &in, .assumptions = &assumed, .assumption_count = 1, .cache = cache};
    struct engine_verdict a, b, c;

    assert_int_equal(engine_classify(w->reader, &q, &a), STATUS_SUCCESS);
    q.trace = &trace;
    trace.ctx = &indexed;
    assert_int_equal(engine_classify(w->reader, &q, &b), STATUS_SUCCESS);
    trace.ctx = &naive;
    q.cache = NULL;
    assert_int_equal(engine_classify_naive(w->reader, &q, &c), STATUS_SUCCESS);
    agree(indexed.hash == naive.hash && indexed.steps == naive.steps);
    agree(a.action == b.action && a.rights == b.rights && a.flags == b.flags && a.filter_id == b.filter_id);
    agree(a.action == c.action && a.rights == c.rights && a.flags == c.flags && a.filter_id == c.filter_id);
}

static UINT64 env(const char *name, UINT64 otherwise)
{
    const char *text = getenv(name);

    return text != NULL && text[0] != 0 ? strtoull(text, NULL, 0) : otherwise;
}

static const UINT16 layers[] = {
    FWPS_LAYER_ALE_AUTH_CONNECT_V4,
    FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V6,
    FWPS_LAYER_INBOUND_MAC_FRAME_ETHERNET,
    FWPS_LAYER_OUTBOUND_TRANSPORT_V4,
};

static void world_open(struct world *w)
{
    struct engine_callout c = {.version = 1, .classify.v1 = classify_fn};

    memset(w, 0, sizeof(*w));
    w->layer = engine_layer_by_id(chance(70) ? layers[below(4)] : (UINT16)below(ENGINE_LAYER_COUNT));
    w->next_id = 1;
    assert_int_equal(engine_create(&w->engine), 0);
    assert_int_equal(engine_reader_create(w->engine, &w->reader), 0);
    for (UINT32 i = 0; i < 2; i++) {
        c.key = callout_key(i);
        assert_int_equal(engine_callout_register(w->engine, &c), 0);
    }
    for (UINT32 i = 2; i < 4; i++) {
        GUID key = callout_key(i);

        assert_int_equal(engine_callout_set_foreign(w->engine, &key, true), 0);
    }
}

/* One policy, changed and asked; returns how many classifies it took. */
static UINT64 one_world(struct world *w)
{
    static const UINT32 sizes[] = {0, 1, 3, 12, 40, 70, 130, 350, 600, 1200};
    UINT32 size = sizes[chance(80) ? below(6) : below(10)], commits = 1 + below(8);
    UINT64 cases = 0;

    world_open(w);
    commit(w, size, 0);
    for (UINT32 i = 0; i < commits; i++) {
        struct engine_class_cache cache = {0};
        UINT32 turns = 30 + below(60);

        draw_values(w, true);
        for (UINT32 k = 0; k < turns; k++, cases++) {
            if (chance(10)) {
                memset(&cache, 0, sizeof(cache));
                draw_values(w, true);
            } else {
                draw_values(w, false);
            }
            check_classify(w, chance(50) ? &cache : NULL);
            if (chance(5))
                commit(w, 1, chance(50) ? 1 : 0); /* the cache meets a new version */
        }
        check_matching(w);
        commit(w, below(size / 4 + 3), below(size / 4 + 3));
        if (chance(5))
            commit(w, 0, w->count); /* the layer becomes empty */
    }
    engine_reader_destroy(w->reader);
    engine_destroy(w->engine);
    return cases;
}

static void index_agrees_with_naive(void **state)
{
    UINT64 cases = env("WEIR_CASES", 200000), seed = env("WEIR_SEED", 1), done = 0;
    struct world *w = malloc(sizeof(*w));

    (void)state;
    assert_non_null(w);
    for (UINT64 round = 0; done < cases; round++) {
        seed_now = (seed + round) * 0x9e3779b97f4a7c15ULL | 1;
        round_now = seed + round;
        done += one_world(w);
    }
    free(w);
}

static int open_pool(void **state)
{
    (void)state;
    pool_open();
    return 0;
}

static int close_pool(void **state)
{
    (void)state;
    pool_close();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(index_agrees_with_naive)};

    return cmocka_run_group_tests(tests, open_pool, close_pool);
}
