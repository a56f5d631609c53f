/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A filter as the engine runs it: a deep copy of what bfe committed, and its conditions compiled into tests.
 *
 * One block holds everything, in this order:
 *
 *   struct engine_filter | tests[] | groups[] | conditions[] | what the values point to
 *
 * The block is measured by a dry run of the same code that fills it (struct arena without a base), so there
 * is one allocation and one free. A filter never changes after creation.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/internal.h"
#include "security/security.h"

/* ---- deep copy ------------------------------------------------------------------------------------- */

struct arena {
    UINT8 *base; /* NULL: only measure */
    size_t used;
};

static void *take(struct arena *a, size_t size, size_t align)
{
    void *p;

    a->used = (a->used + align - 1) & ~(align - 1);
    p = a->base != NULL ? a->base + a->used : NULL;
    a->used += size;
    return p;
}

static void *put(struct arena *a, const void *src, size_t size, size_t align)
{
    void *p = take(a, size, align);

    if (p != NULL && size != 0)
        memcpy(p, src, size);
    return p;
}

static FWP_BYTE_BLOB *put_blob(struct arena *a, const FWP_BYTE_BLOB *src)
{
    FWP_BYTE_BLOB *b = put(a, src, sizeof(*src), 8);
    UINT8 *data = put(a, src->data, src->size, 8);

    if (b != NULL)
        b->data = data;
    return b;
}

static size_t string_size(const WCHAR *s)
{
    size_t n = 0;

    while (s[n] != 0)
        n++;
    return (n + 1) * sizeof(*s);
}

static void put_condition_value(struct arena *a, FWP_CONDITION_VALUE0 *dst, const FWP_CONDITION_VALUE0 *src);

static void put_range(struct arena *a, FWP_CONDITION_VALUE0 *dst, const FWP_RANGE0 *src)
{
    FWP_RANGE0 *r = put(a, src, sizeof(*src), 8);
    FWP_CONDITION_VALUE0 low, high; /* an FWP_VALUE0 is the head of an FWP_CONDITION_VALUE0 */

    put_condition_value(a, &low, (const FWP_CONDITION_VALUE0 *)&src->valueLow);
    put_condition_value(a, &high, (const FWP_CONDITION_VALUE0 *)&src->valueHigh);
    if (r != NULL) {
        memcpy(&r->valueLow, &low, sizeof(r->valueLow));
        memcpy(&r->valueHigh, &high, sizeof(r->valueHigh));
    }
    dst->rangeValue = r;
}

/* src has passed engine_condition_check(): its pointers are there. */
static void put_condition_value(struct arena *a, FWP_CONDITION_VALUE0 *dst, const FWP_CONDITION_VALUE0 *src)
{
    *dst = *src;
    switch (src->type) {
    case FWP_UINT64:
    case FWP_INT64:
    case FWP_DOUBLE:
        dst->uint64 = put(a, src->uint64, 8, 8);
        break;
    case FWP_BYTE_ARRAY16_TYPE:
        dst->byteArray16 = put(a, src->byteArray16, sizeof(*src->byteArray16), 8);
        break;
    case FWP_BYTE_ARRAY6_TYPE:
        dst->byteArray6 = put(a, src->byteArray6, sizeof(*src->byteArray6), 8);
        break;
    case FWP_BYTE_BLOB_TYPE:
    case FWP_SECURITY_DESCRIPTOR_TYPE:
        dst->byteBlob = put_blob(a, src->byteBlob);
        break;
    case FWP_SID:
        dst->sid = put(a, src->sid, security_sid_size(src->sid), 8);
        break;
    case FWP_UNICODE_STRING_TYPE:
        dst->unicodeString = put(a, src->unicodeString, string_size(src->unicodeString), 8);
        break;
    case FWP_V4_ADDR_MASK:
        dst->v4AddrMask = put(a, src->v4AddrMask, sizeof(*src->v4AddrMask), 8);
        break;
    case FWP_V6_ADDR_MASK:
        dst->v6AddrMask = put(a, src->v6AddrMask, sizeof(*src->v6AddrMask), 8);
        break;
    case FWP_RANGE_TYPE:
        put_range(a, dst, src->rangeValue);
        break;
    default:
        break;
    }
}

/* ---- compilation ----------------------------------------------------------------------------------- */

struct number_type {
    UINT64 keep;  /* all ones of the width */
    UINT64 least; /* the least and the greatest value, as bits */
    UINT64 greatest;
    bool wide;
};

static bool number_type(FWP_DATA_TYPE t, struct number_type *out)
{
    static const struct number_type types[] = {
        [FWP_UINT8] = {0xff, 0, 0xff, false},
        [FWP_UINT16] = {0xffff, 0, 0xffff, false},
        [FWP_UINT32] = {0xffffffff, 0, 0xffffffff, false},
        [FWP_UINT64] = {UINT64_MAX, 0, UINT64_MAX, true},
        [FWP_INT8] = {0xff, 0x80, 0x7f, false},
        [FWP_INT16] = {0xffff, 0x8000, 0x7fff, false},
        [FWP_INT32] = {0xffffffff, 0x80000000, 0x7fffffff, false},
        [FWP_INT64] = {UINT64_MAX, 1ULL << 63, ~(1ULL << 63), true},
    };

    if (t < FWP_UINT8 || t > FWP_INT64)
        return false;
    *out = types[t];
    return true;
}

static UINT64 number_of(const FWP_VALUE0 *v, const struct number_type *n)
{
    return n->wide ? *v->uint64 : v->uint32 & n->keep;
}

static void set_range(struct engine_test *t, const struct number_type *n, UINT64 low, UINT64 high)
{
    t->op = ENGINE_TEST_RANGE;
    t->low = low;
    t->span = (high - low) & n->keep;
}

/* "Greater than the greatest" and its like: no value satisfies them. */
static void set_open(struct engine_test *t, const struct number_type *n, UINT64 bound, bool greater)
{
    if (bound == (greater ? n->greatest : n->least))
        t->op = ENGINE_TEST_NEVER;
    else if (greater)
        set_range(t, n, (bound + 1) & n->keep, n->greatest);
    else
        set_range(t, n, n->least, (bound - 1) & n->keep);
}

static void compile_number(struct engine_test *t, FWP_MATCH_TYPE match, UINT64 v, const struct number_type *n)
{
    switch (match) {
    case FWP_MATCH_NOT_EQUAL:
        t->negate = true;
        set_range(t, n, v, v);
        break;
    case FWP_MATCH_EQUAL:
        set_range(t, n, v, v);
        break;
    case FWP_MATCH_GREATER:
    case FWP_MATCH_LESS:
        set_open(t, n, v, match == FWP_MATCH_GREATER);
        break;
    case FWP_MATCH_GREATER_OR_EQUAL:
        set_range(t, n, v, n->greatest);
        break;
    case FWP_MATCH_LESS_OR_EQUAL:
        set_range(t, n, n->least, v);
        break;
    case FWP_MATCH_FLAGS_ALL_SET:
        t->op = ENGINE_TEST_ALL_SET;
        t->low = v;
        break;
    case FWP_MATCH_FLAGS_ANY_SET:
        t->op = ENGINE_TEST_ANY_SET;
        t->low = v;
        break;
    case FWP_MATCH_FLAGS_NONE_SET:
        t->op = ENGINE_TEST_NONE_SET;
        t->low = v;
        break;
    default:
        t->op = ENGINE_TEST_MATCH;
        break;
    }
}

static bool is_equality(FWP_MATCH_TYPE m)
{
    return m == FWP_MATCH_EQUAL || m == FWP_MATCH_NOT_EQUAL;
}

/* The one formula for numbers: see engine_test_holds(). */
static void set_formula(struct engine_test *t)
{
    t->flip = t->negate || t->op == ENGINE_TEST_ANY_SET || t->op == ENGINE_TEST_NEVER;
    if (t->op == ENGINE_TEST_NEVER)
        return;
    t->mask = t->op == ENGINE_TEST_RANGE ? t->keep : t->low;
    t->base = t->op == ENGINE_TEST_RANGE || t->op == ENGINE_TEST_ALL_SET ? t->low : 0;
}

static struct engine_test compile(const FWPS_FILTER_CONDITION0 *c)
{
    struct engine_test t = {.op = ENGINE_TEST_MATCH, .field = c->fieldId, .condition = c};
    const FWP_CONDITION_VALUE0 *v = &c->conditionValue;
    struct number_type n;

    if (number_type(v->type, &n)) {
        compile_number(&t, c->matchType, number_of((const FWP_VALUE0 *)v, &n), &n);
        t.type = (UINT8)v->type;
    } else if (v->type == FWP_RANGE_TYPE && number_type(v->rangeValue->valueLow.type, &n)) {
        set_range(&t, &n, number_of(&v->rangeValue->valueLow, &n), number_of(&v->rangeValue->valueHigh, &n));
        t.type = (UINT8)v->rangeValue->valueLow.type;
    } else if (v->type == FWP_V4_ADDR_MASK) {
        number_type(FWP_UINT32, &n);
        set_range(&t, &n, v->v4AddrMask->addr & v->v4AddrMask->mask,
                  v->v4AddrMask->addr | ~v->v4AddrMask->mask);
        t.negate = c->matchType == FWP_MATCH_NOT_EQUAL;
        t.type = FWP_UINT32;
    } else {
        if (v->type == FWP_BYTE_BLOB_TYPE && is_equality(c->matchType) &&
            v->byteBlob->size >= ENGINE_BLOB_TAIL) {
            t.blob = true;
            t.negate = c->matchType == FWP_MATCH_NOT_EQUAL;
            t.span = v->byteBlob->size;
            t.low = engine_blob_tail(v->byteBlob->data, t.span);
        }
        return t;
    }
    t.keep = n.keep;
    t.wide = n.wide;
    set_formula(&t);
    return t;
}

/*
 * When to ask a condition: first what refuses most for little (a port, a program), last what costs most. A
 * walk over many filters then mostly ends at each one's first test, which a processor predicts well.
 */
static unsigned rank_of(const FWPS_FILTER_CONDITION0 *c)
{
    bool equal = c->matchType == FWP_MATCH_EQUAL;

    switch (c->conditionValue.type) {
    case FWP_UINT16:
    case FWP_UINT64:
        return equal ? 0 : 2;
    case FWP_BYTE_BLOB_TYPE:
        return equal ? 1 : 3;
    case FWP_SID:
    case FWP_UNICODE_STRING_TYPE:
        return 3;
    case FWP_SECURITY_DESCRIPTOR_TYPE:
        return 4;
    default:
        return 2;
    }
}

struct order { /* a condition's place among the tests */
    UINT16 rank;
    UINT16 field;
    UINT32 index;
};

static int order_compare(const void *pa, const void *pb)
{
    const struct order *a = pa, *b = pb;

    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    if (a->field != b->field)
        return a->field < b->field ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

/* Places for the conditions, groups together: a group ranks as the last of its conditions. */
static UINT32 arrange(const FWPS_FILTER_CONDITION0 *c, UINT32 n, struct order *out)
{
    UINT16 rank[ENGINE_MAX_FIELDS] = {0};
    bool seen[ENGINE_MAX_FIELDS] = {false};
    UINT32 groups = 0;

    for (UINT32 i = 0; i < n; i++) {
        UINT16 mine = (UINT16)rank_of(&c[i]);

        groups += !seen[c[i].fieldId];
        seen[c[i].fieldId] = true;
        if (rank[c[i].fieldId] < mine)
            rank[c[i].fieldId] = mine;
    }
    for (UINT32 i = 0; i < n; i++)
        out[i] = (struct order){rank[c[i].fieldId], c[i].fieldId, i};
    if (n > 1)
        qsort(out, n, sizeof(*out), order_compare);
    return groups;
}

static void compile_all(struct engine_filter *f, struct engine_group *groups, const struct order *order)
{
    UINT32 g = 0;

    for (UINT32 i = 0; i < f->test_count; i++) {
        f->tests[i] = compile(&f->fwps.filterCondition[order[i].index]);
        if (i == 0 || f->tests[i].field != f->tests[i - 1].field)
            groups[g++] = (struct engine_group){f->tests[i].field, 0, i};
        groups[g - 1].count++;
    }
    for (UINT32 i = 0; i < g; i++)
        for (UINT16 k = 0; k < groups[i].count; k++)
            f->tests[groups[i].first + k].rest = (UINT16)(groups[i].count - k);
    f->groups = groups;
    f->group_count = g;
}

/* ---- life ------------------------------------------------------------------------------------------ */

static bool action_known(FWP_ACTION_TYPE a)
{
    return a == FWP_ACTION_PERMIT || a == FWP_ACTION_BLOCK || a == FWP_ACTION_CALLOUT_TERMINATING ||
           a == FWP_ACTION_CALLOUT_INSPECTION || a == FWP_ACTION_CALLOUT_UNKNOWN;
}

static int desc_check(const struct engine_filter_desc *d)
{
    const struct engine_layer *layer = engine_layer_by_id(d->layer_id);
    const FWPS_FILTER3 *s = d->fwps;

    if (layer == NULL || !action_known(s->action.type))
        return -EINVAL;
    if (s->weight.type != FWP_UINT64 || s->weight.uint64 == NULL)
        return -EINVAL;
    if (s->numFilterConditions > UINT16_MAX || (s->numFilterConditions != 0 && s->filterCondition == NULL))
        return -EINVAL;
    for (UINT32 i = 0; i < s->numFilterConditions; i++) {
        const FWPS_FILTER_CONDITION0 *c = &s->filterCondition[i];

        if (c->fieldId >= layer->field_count)
            return -EINVAL;
        if (engine_condition_check(&layer->fields[c->fieldId], c->matchType, &c->conditionValue) !=
            STATUS_SUCCESS)
            return -EINVAL;
    }
    return 0;
}

/* Everything behind the struct and its tests. f NULL: measure. */
static size_t fill(struct engine_filter *f, const struct engine_filter_desc *d, UINT32 group_count,
                   const struct order *order)
{
    const FWPS_FILTER3 *s = d->fwps;
    UINT32 n = s->numFilterConditions;
    struct arena a = {(UINT8 *)f, sizeof(*f) + n * sizeof(struct engine_test)};
    struct engine_group *groups = take(&a, group_count * sizeof(*groups), 8);
    FWPS_FILTER_CONDITION0 *conditions = put(&a, s->filterCondition, n * sizeof(*conditions), 8);
    UINT64 *weight = put(&a, s->weight.uint64, sizeof(*weight), 8);

    for (UINT32 i = 0; i < n; i++) {
        FWP_CONDITION_VALUE0 v;

        put_condition_value(&a, &v, &s->filterCondition[i].conditionValue);
        if (f != NULL)
            conditions[i].conditionValue = v;
    }
    if (f == NULL)
        return a.used;
    f->fwps = *s;
    f->fwps.weight.uint64 = weight;
    f->fwps.filterCondition = n != 0 ? conditions : NULL;
    f->test_count = n;
    compile_all(f, groups, order);
    return a.used;
}

int engine_filter_create(const struct engine_filter_desc *desc, struct engine_filter **out)
{
    UINT32 n = desc->fwps->numFilterConditions;
    struct order few[32], *order = few;
    struct engine_filter *f;
    UINT32 groups;
    int err = desc_check(desc);

    if (err)
        return err;
    if (n > sizeof(few) / sizeof(few[0])) {
        order = malloc(n * sizeof(*order));
        if (order == NULL)
            return -ENOMEM;
    }
    groups = arrange(desc->fwps->filterCondition, n, order);
    f = malloc(fill(NULL, desc, groups, order));
    if (f == NULL) {
        err = -ENOMEM;
        goto out;
    }
    fill(f, desc, groups, order);
    f->desc = *desc;
    f->desc.fwps = &f->fwps;
    f->weight = *f->fwps.weight.uint64;
    f->id = f->fwps.filterId;
    f->sublayer_weight = f->fwps.subLayerWeight;
    f->flags = f->fwps.flags;
    f->action = f->fwps.action.type;
    atomic_init(&f->refs, 1);
    *out = f;
out:
    if (order != few)
        free(order);
    return err;
}

struct engine_filter *engine_filter_ref(struct engine_filter *f)
{
    atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
    return f;
}

void engine_filter_unref(struct engine_filter *f)
{
    if (f == NULL || atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (f->desc.release != NULL)
        f->desc.release(f->desc.owner);
    free(f);
}

const FWPS_FILTER3 *engine_filter_fwps(const struct engine_filter *f)
{
    return &f->fwps;
}

const struct engine_filter_desc *engine_filter_desc(const struct engine_filter *f)
{
    return &f->desc;
}
