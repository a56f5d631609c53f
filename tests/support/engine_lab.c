/* SPDX-License-Identifier: Apache-2.0 */
/* See engine_lab.h. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "engine_lab.h"

/* ---- scripted callouts ------------------------------------------------------------------------------ */

static void play(unsigned version, const FWPS_INCOMING_VALUES0 *values,
                 const FWPS_INCOMING_METADATA_VALUES0 *meta, void *layer_data, const void *classify_context,
                 const FWPS_FILTER3 *filter, UINT64 flow_context, FWPS_CLASSIFY_OUT0 *out)
{
    struct lab_script *s = (struct lab_script *)(uintptr_t)filter->context;

    s->calls++;
    s->version = version;
    s->shown = *out;
    s->values = values;
    s->metadata = meta;
    s->layer_data = layer_data;
    s->classify_context = classify_context;
    s->filter = filter;
    s->flow_context = flow_context;
    if (s->act)
        out->actionType = s->action;
    if (s->clear_write)
        out->rights &= ~(UINT32)FWPS_RIGHT_ACTION_WRITE;
    if (s->set_write)
        out->rights |= FWPS_RIGHT_ACTION_WRITE;
    out->flags |= s->flags;
    if (s->also != NULL)
        s->also(s, out);
}

static void NTAPI play0(const FWPS_INCOMING_VALUES0 *v, const FWPS_INCOMING_METADATA_VALUES0 *m, void *d,
                        const FWPS_FILTER0 *f, UINT64 c, FWPS_CLASSIFY_OUT0 *o)
{
    play(0, v, m, d, NULL, (const FWPS_FILTER3 *)f, c, o);
}

static void NTAPI play1(const FWPS_INCOMING_VALUES0 *v, const FWPS_INCOMING_METADATA_VALUES0 *m, void *d,
                        const void *cc, const FWPS_FILTER1 *f, UINT64 c, FWPS_CLASSIFY_OUT0 *o)
{
    play(1, v, m, d, cc, (const FWPS_FILTER3 *)f, c, o);
}

static void NTAPI play2(const FWPS_INCOMING_VALUES0 *v, const FWPS_INCOMING_METADATA_VALUES0 *m, void *d,
                        const void *cc, const FWPS_FILTER2 *f, UINT64 c, FWPS_CLASSIFY_OUT0 *o)
{
    play(2, v, m, d, cc, (const FWPS_FILTER3 *)f, c, o);
}

static void NTAPI play3(const FWPS_INCOMING_VALUES0 *v, const FWPS_INCOMING_METADATA_VALUES0 *m, void *d,
                        const void *cc, const FWPS_FILTER3 *f, UINT64 c, FWPS_CLASSIFY_OUT0 *o)
{
    play(3, v, m, d, cc, f, c, o);
}

void lab_register(struct lab *l, const GUID *key, unsigned version, UINT32 flags)
{
    struct engine_callout c = {.key = *key, .flags = flags, .version = version};

    switch (version) {
    case 0:
        c.classify.v0 = play0;
        break;
    case 1:
        c.classify.v1 = play1;
        break;
    case 2:
        c.classify.v2 = play2;
        break;
    default:
        c.classify.v3 = play3;
        break;
    }
    assert_int_equal(engine_callout_register(l->engine, &c), 0);
}

/* ---- the lab ---------------------------------------------------------------------------------------- */

void lab_open(struct lab *l, UINT16 layer_id)
{
    memset(l, 0, sizeof(*l));
    l->layer = engine_layer_by_id(layer_id);
    assert_non_null(l->layer);
    assert_int_equal(engine_create(&l->engine), 0);
    assert_int_equal(engine_reader_create(l->engine, &l->reader), 0);
    for (UINT16 i = 0; i < l->layer->field_count; i++) {
        FWP_DATA_TYPE t = l->layer->fields[i].data_type;

        l->values[i].value.type = t <= FWP_UINT32 ? t : FWP_EMPTY;
    }
    l->incoming = (FWPS_INCOMING_VALUES0){
        .layerId = layer_id, .valueCount = l->layer->field_count, .incomingValue = l->values};
    l->request.values = &l->incoming;
    l->next_id = 1;
}

void lab_close(struct lab *l)
{
    engine_reader_destroy(l->reader);
    engine_destroy(l->engine);
}

static GUID sublayer_key(UINT16 weight)
{
    GUID g = {0};

    g.Data1 = 0x5ab1a7e0;
    g.Data2 = weight;
    return g;
}

UINT64 lab_add(struct lab *l, const struct lab_filter *f)
{
    UINT64 weight = f->weight;
    FWPS_FILTER3 fwps = {.filterId = f->id != 0 ? f->id : l->next_id,
                         .weight = {.type = FWP_UINT64, .uint64 = &weight},
                         .subLayerWeight = f->sublayer,
                         .flags = f->flags,
                         .numFilterConditions = f->condition_count,
                         .filterCondition = (FWPS_FILTER_CONDITION0 *)f->conditions,
                         .action = {.type = f->action, .calloutId = f->callout != NULL ? 7 : 0},
                         .context = (UINT64)(uintptr_t)f->script};
    struct engine_filter_desc desc = {.layer_id = l->layer->id,
                                      .fwps = &fwps,
                                      .sublayer_key = sublayer_key(f->sublayer),
                                      .sublayer_seq = f->sublayer};
    struct engine_filter *filter;
    struct engine_txn *t;

    if (f->callout != NULL)
        desc.callout_key = *f->callout;
    if (fwps.filterId >= l->next_id)
        l->next_id = fwps.filterId + 1;
    assert_int_equal(engine_filter_create(&desc, &filter), 0);
    assert_int_equal(engine_txn_begin(l->engine, &t), 0);
    assert_int_equal(engine_txn_add(t, filter), 0);
    assert_int_equal(engine_txn_commit(t), 0);
    engine_filter_unref(filter);
    return fwps.filterId;
}

void lab_remove(struct lab *l, UINT64 id)
{
    struct engine_txn *t;

    assert_int_equal(engine_txn_begin(l->engine, &t), 0);
    assert_int_equal(engine_txn_remove(t, l->layer->id, id), 0);
    assert_int_equal(engine_txn_commit(t), 0);
}

void lab_clear(struct lab *l)
{
    const struct engine_filter *const *filters;
    size_t n = engine_snapshot_filters(engine_pin(l->reader), l->layer->id, &filters);
    struct engine_txn *t;

    assert_int_equal(engine_txn_begin(l->engine, &t), 0);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(engine_txn_remove(t, l->layer->id, engine_filter_fwps(filters[i])->filterId), 0);
    engine_unpin(l->reader);
    assert_int_equal(engine_txn_commit(t), 0);
}

UINT16 lab_field(const struct lab *l, const GUID *key)
{
    int field = engine_layer_field(l->layer, key);

    assert_true(field >= 0);
    return (UINT16)field;
}

FWP_VALUE0 *lab_value(struct lab *l, const GUID *key)
{
    return &l->values[lab_field(l, key)].value;
}

FWPS_FILTER_CONDITION0 lab_condition(const struct lab *l, const GUID *key, FWP_MATCH_TYPE match,
                                     FWP_CONDITION_VALUE0 value)
{
    return (FWPS_FILTER_CONDITION0){
        .fieldId = lab_field(l, key), .matchType = match, .conditionValue = value};
}

/* ---- classifying ------------------------------------------------------------------------------------ */

static void on_filter(void *ctx, const struct engine_filter *f, enum engine_answer answer, bool substitute)
{
    struct lab *l = ctx;

    assert_true(l->asked_count < 64);
    l->asked[l->asked_count] = engine_filter_fwps(f)->filterId;
    l->answers[l->asked_count] = answer;
    l->substitutes[l->asked_count++] = substitute;
}

static void on_sublayer(void *ctx, const struct engine_sublayer_result *r)
{
    struct lab *l = ctx;

    assert_true(l->sublayer_count < LAB_SUBLAYERS);
    l->sublayers[l->sublayer_count++] =
        (struct lab_sublayer){r->weight, r->filter != NULL ? engine_filter_fwps(r->filter)->filterId : 0,
                              r->action, r->running,
                              r->rights, r->took_effect};
}

static void on_callout(void *ctx, const struct engine_filter *f, const FWPS_CLASSIFY_OUT0 *shown,
                       const FWPS_CLASSIFY_OUT0 *returned, UINT32 conduct)
{
    struct lab *l = ctx;
    const FWPS_FILTER3 *fwps = engine_filter_fwps(f);

    (void)shown;
    (void)returned;
    l->conduct |= conduct;
    if (fwps->context != 0)
        ((struct lab_script *)(uintptr_t)fwps->context)->order = (int)l->asked_count + 1;
}

static void scripts_reset(struct lab *l)
{
    const struct engine_filter *const *filters;
    size_t n = engine_snapshot_filters(engine_pin(l->reader), l->layer->id, &filters);

    for (size_t i = 0; i < n; i++) {
        const FWPS_FILTER3 *f = engine_filter_fwps(filters[i]);

        if (f->context != 0)
            ((struct lab_script *)(uintptr_t)f->context)->calls = 0;
    }
    engine_unpin(l->reader);
}

/* Which callouts were called how often since scripts_reset(), as one number. */
static unsigned calls_of(struct lab *l)
{
    const struct engine_filter *const *filters;
    size_t n = engine_snapshot_filters(engine_pin(l->reader), l->layer->id, &filters);
    unsigned made = 0;

    for (size_t i = 0; i < n; i++) {
        const FWPS_FILTER3 *f = engine_filter_fwps(filters[i]);

        if (f->context != 0)
            made = made * 31 + (unsigned)((struct lab_script *)(uintptr_t)f->context)->calls;
    }
    engine_unpin(l->reader);
    return made;
}

/* Traced or not, by the index or not: the same callouts are called. */
static void assert_calls(struct lab *l, unsigned calls)
{
    assert_int_equal(calls_of(l), calls);
    scripts_reset(l);
}

static void assert_same(const struct engine_verdict *a, const struct engine_verdict *b)
{
    assert_int_equal(a->action, b->action);
    assert_int_equal(a->rights, b->rights);
    assert_int_equal(a->flags, b->flags);
    assert_true(a->filter_id == b->filter_id);
}

const struct engine_verdict *lab_classify(struct lab *l)
{
    struct engine_trace trace = {l, on_filter, on_sublayer, on_callout};
    struct engine_request traced = l->request;
    struct engine_verdict plain, naive;
    unsigned calls;

    traced.trace = &trace;
    scripts_reset(l);
    assert_int_equal(engine_classify(l->reader, &l->request, &plain), STATUS_SUCCESS);
    calls = calls_of(l);
    scripts_reset(l);
    l->asked_count = l->sublayer_count = 0;
    l->conduct = 0;
    assert_int_equal(engine_classify_naive(l->reader, &traced, &naive), STATUS_SUCCESS);
    assert_same(&plain, &naive);
    assert_calls(l, calls);
    assert_int_equal(engine_classify_naive(l->reader, &l->request, &naive), STATUS_SUCCESS);
    assert_same(&plain, &naive);
    assert_calls(l, calls);
    l->asked_count = l->sublayer_count = 0;
    l->conduct = 0;
    assert_int_equal(engine_classify(l->reader, &traced, &l->verdict), STATUS_SUCCESS);
    assert_same(&plain, &l->verdict);
    assert_int_equal(calls_of(l), calls);
    return &l->verdict;
}

bool lab_matches(struct lab *l, const FWPS_FILTER_CONDITION0 *conditions, UINT32 count)
{
    struct lab_filter f = {.sublayer = 1, .action = FWP_ACTION_BLOCK, .condition_count = count};
    UINT64 id;
    bool matched;

    assert_true(count <= LAB_CONDITIONS);
    if (count != 0)
        memcpy(f.conditions, conditions, count * sizeof(*conditions));
    id = lab_add(l, &f);
    matched = lab_classify(l)->filter_id == id;
    assert_int_equal(l->asked_count, matched ? 1 : 0);
    lab_remove(l, id);
    return matched;
}

bool lab_matches_one(struct lab *l, const GUID *key, FWP_MATCH_TYPE match, FWP_CONDITION_VALUE0 value)
{
    FWPS_FILTER_CONDITION0 c = lab_condition(l, key, match, value);

    return lab_matches(l, &c, 1);
}
