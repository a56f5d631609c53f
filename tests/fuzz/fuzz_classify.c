/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the engine: filters come and go at one layer, and after every commit the index must give the verdict
 * that asking every filter in turn gives, with and without a cache of classes, traced and not.
 */
#include "engine/engine.h"

#include "values.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_FILTERS    64
#define MAX_CONDITIONS 6

struct run {
    struct stream s;
    struct arena arena;
    struct engine *engine;
    struct engine_reader *reader;
    const struct engine_layer *layer;
    UINT64 ids[MAX_FILTERS];
    unsigned count;
    UINT64 next_id;
};

static GUID key_of(unsigned kind, unsigned n)
{
    GUID g = {.Data1 = 0xf0220000 + kind, .Data2 = (unsigned short)n};
    return g;
}

static void take_condition(struct run *r, FWPS_FILTER_CONDITION0 *out)
{
    UINT16 field = (UINT16)take_below(&r->s, r->layer->field_count);
    FWP_DATA_TYPE type = take_condition_type(&r->s, r->layer->fields[field].data_type);
    out->fieldId = take8(&r->s) == 255 ? (UINT16)(field + 200) : field;
    out->matchType = (FWP_MATCH_TYPE)(type == FWP_RANGE_TYPE ? FWP_MATCH_RANGE : take_below(&r->s, 14));
    take_value(&r->s, &r->arena, type, &out->conditionValue);
}

static struct engine_filter *take_filter(struct run *r)
{
    static const FWP_ACTION_TYPE actions[] = {FWP_ACTION_PERMIT,
                                              FWP_ACTION_BLOCK,
                                              FWP_ACTION_CALLOUT_TERMINATING,
                                              FWP_ACTION_CALLOUT_UNKNOWN,
                                              FWP_ACTION_CALLOUT_INSPECTION,
                                              FWP_ACTION_CONTINUE};
    FWPS_FILTER_CONDITION0 conditions[MAX_CONDITIONS];
    UINT64 weight = take_below(&r->s, 8);
    unsigned sublayer = take_below(&r->s, 4), callout = take_below(&r->s, 3);
    FWPS_FILTER3 fwps = {.filterId = r->next_id,
                         .weight = {.type = FWP_UINT64, .uint64 = &weight},
                         .subLayerWeight = (UINT16)(sublayer / 2), /* some sublayers weigh the same */
                         .flags = (UINT16)(take8(&r->s) & 0x3f),
                         .numFilterConditions = take_below(&r->s, MAX_CONDITIONS + 1),
                         .filterCondition = conditions};
    fwps.action.type = actions[take_below(&r->s, sizeof(actions) / sizeof(actions[0]))];
    if (fwps.action.type & FWP_ACTION_FLAG_CALLOUT) {
        fwps.action.calloutId = 1 + callout;
    }
    for (UINT32 i = 0; i < fwps.numFilterConditions; i++) {
        take_condition(r, &conditions[i]);
    }
    struct engine_filter_desc desc = {.layer_id = r->layer->id,
                                      .fwps = &fwps,
                                      .callout_key = key_of(1, callout),
                                      .sublayer_key = key_of(2, sublayer),
                                      .sublayer_seq = sublayer};
    struct engine_filter *f;
    return engine_filter_create(&desc, &f) == 0 ? f : NULL;
}

static void commit_some(struct run *r)
{
    struct engine_txn *t;
    UINT64 ids[MAX_FILTERS];
    unsigned count = r->count, changes = 1 + take_below(&r->s, 8);
    bool keep = take8(&r->s) < 230;
    memcpy(ids, r->ids, sizeof(ids));
    REQUIRE(engine_txn_begin(r->engine, &t) == 0);
    while (changes-- != 0) {
        if (count == MAX_FILTERS || (count != 0 && take_below(&r->s, 4) == 0)) {
            unsigned victim = take_below(&r->s, count);
            REQUIRE(engine_txn_remove(t, r->layer->id, ids[victim]) == 0);
            ids[victim] = ids[--count];
            continue;
        }
        struct engine_filter *f = take_filter(r);
        if (f != NULL) {
            REQUIRE(engine_txn_add(t, f) == 0);
            engine_filter_unref(f);
            ids[count++] = r->next_id++;
        }
    }
    if (!keep) {
        engine_txn_abort(t);
        return;
    }
    REQUIRE(engine_txn_commit(t) == 0);
    memcpy(r->ids, ids, sizeof(ids));
    r->count = count;
}

static void same(const struct engine_verdict *a, const struct engine_verdict *b)
{
    REQUIRE(a->action == b->action);
    REQUIRE(a->rights == b->rights);
    REQUIRE(a->flags == b->flags);
    REQUIRE(a->filter_id == b->filter_id);
}

static void ignore_filter(void *ctx, const struct engine_filter *f, enum engine_answer answer,
                          bool substitute)
{
    (void)f;
    (void)answer;
    (void)substitute;
    ++*(unsigned *)ctx;
}

static void classify(struct run *r, struct engine_class_cache *cache)
{
    FWPS_INCOMING_VALUE0 values[ENGINE_MAX_FIELDS];
    struct engine_assumption assumptions[3];
    unsigned told = 0, told_naive = 0;
    for (UINT16 i = 0; i < r->layer->field_count; i++) {
        FWP_CONDITION_VALUE0 v;
        FWP_DATA_TYPE type = r->layer->fields[i].data_type;
        take_value(&r->s, &r->arena, take8(&r->s) < 32 ? FWP_EMPTY : type, &v);
        memset(&values[i], 0, sizeof(values[i]));
        memcpy(&values[i].value, &v, sizeof(values[i].value));
    }
    FWPS_INCOMING_VALUES0 incoming = {
        .layerId = r->layer->id, .valueCount = r->layer->field_count, .incomingValue = values};
    struct engine_request q = {.values = &incoming, .assumptions = assumptions};
    for (unsigned i = 0; i < 3; i++) {
        static const FWP_ACTION_TYPE actions[] = {FWP_ACTION_PERMIT, FWP_ACTION_BLOCK, FWP_ACTION_CONTINUE};
        unsigned n = take_below(&r->s, 4);
        if (n < 3) {
            assumptions[q.assumption_count++] =
                (struct engine_assumption){.callout_key = key_of(1, i), .action = actions[n]};
        }
    }
    struct engine_verdict plain, naive, traced;
    struct engine_trace trace = {.ctx = &told, .filter = ignore_filter},
                        naive_trace = {.ctx = &told_naive, .filter = ignore_filter};
    REQUIRE(engine_classify(r->reader, &q, &plain) == STATUS_SUCCESS);
    REQUIRE(engine_classify_naive(r->reader, &q, &naive) == STATUS_SUCCESS);
    same(&plain, &naive);
    memset(cache, 0, sizeof(*cache));
    q.cache = cache;
    for (unsigned again = 0; again < 2; again++) {
        REQUIRE(engine_classify(r->reader, &q, &plain) == STATUS_SUCCESS);
        same(&plain, &naive);
    }
    q.cache = NULL;
    q.trace = &trace;
    REQUIRE(engine_classify(r->reader, &q, &traced) == STATUS_SUCCESS);
    same(&traced, &naive);
    q.trace = &naive_trace;
    REQUIRE(engine_classify_naive(r->reader, &q, &traced) == STATUS_SUCCESS);
    REQUIRE(told == told_naive);
    /* all known: three-valued matching has nothing to depend on but foreign callouts */
    const struct engine_filter *const *filters;
    size_t n = engine_snapshot_filters(engine_pin(r->reader), r->layer->id, &filters);
    REQUIRE(n == r->count);
    for (size_t i = 0; i < n; i++) {
        REQUIRE(engine_filter_match3(filters[i], values, NULL) != ENGINE_MATCH_DEPENDS);
    }
    engine_unpin(r->reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct run r;
    static struct engine_class_cache cache;
    r = (struct run){.s = {data, size}, .next_id = 1};
    r.layer = engine_layer_by_id(take8(&r.s) % ENGINE_LAYER_COUNT);
    if (r.layer == NULL || r.layer->field_count == 0) {
        return 0;
    }
    REQUIRE(engine_create(&r.engine) == 0);
    REQUIRE(engine_reader_create(r.engine, &r.reader) == 0);
    uint8_t foreign = take8(&r.s);
    for (unsigned i = 0; i < 3; i++) {
        GUID key = key_of(1, i);
        if (foreign & 1u << i) {
            REQUIRE(engine_callout_set_foreign(r.engine, &key, true) == 0);
        }
    }
    /* bounded by the arena: a classify takes at most 2 blocks a field */
    while (stream_more(&r.s) && r.arena.count < ARENA_BLOCKS / 2) {
        commit_some(&r);
        if (take_below(&r.s, 3) != 0) {
            classify(&r, &cache);
        }
    }
    engine_reader_destroy(r.reader);
    engine_destroy(r.engine);
    arena_free(&r.arena);
    return 0;
}
