/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index, first step: one walk over the filters gathers the conditions of each field as items, small and
 * in a row, so that what follows does not touch filters again.
 */
#include <errno.h>
#include <stdlib.h>

#include "engine/index_parts.h"

void *ix_alloc(const struct engine_index_config *cfg, size_t align, size_t size)
{
    size = (size + align - 1) & ~(align - 1);
    if (size == 0)
        size = align;
    return cfg->alloc != NULL ? cfg->alloc(cfg->ctx, align, size) : aligned_alloc(align, size);
}

/* Room for `need` members, at least doubling. The array may be NULL with room 0. */
int ix_grow(const struct engine_index_config *cfg, void **array, UINT32 *room, UINT32 need, size_t each)
{
    UINT32 more = *room < 16 ? 16 : *room;
    void *p;

    if (need <= *room)
        return 0;
    while (more < need)
        more *= 2;
    p = ix_alloc(cfg, 64, more * each);
    if (p == NULL)
        return -ENOMEM;
    if (*array != NULL)
        memcpy(p, *array, *room * each);
    free(*array);
    *array = p;
    *room = more;
    return 0;
}

void ix_condition_bytes(const struct engine_test *t, const UINT8 **data, UINT32 *size)
{
    const FWP_CONDITION_VALUE0 *v = &t->condition->conditionValue;

    if (v->type == FWP_SID) {
        *data = (const UINT8 *)v->sid;
        *size = 8 + 4u * (*data)[1];
    } else { /* a blob or a security descriptor */
        *data = v->byteBlob->data;
        *size = v->byteBlob->size;
    }
}

/* ---- one condition --------------------------------------------------------------------------------- */

static ix_num v6_last(const UINT8 *addr, unsigned prefix, ix_num *first)
{
    ix_num host = prefix == 0 ? ~(ix_num)0 : prefix >= 128 ? 0 : ~(ix_num)0 >> prefix;

    *first = ix_load128(addr) & ~host;
    return *first | host;
}

/* Numbers that filter.c does not compile: 6 and 16 byte arrays. false: not one. */
static bool array_number(const FWP_VALUE0 *v, ix_num *out)
{
    if (v->type == FWP_BYTE_ARRAY16_TYPE)
        *out = ix_load128(v->byteArray16->byteArray16);
    else if (v->type == FWP_BYTE_ARRAY6_TYPE)
        *out = ix_load48(v->byteArray6->byteArray6);
    else
        return false;
    return true;
}

/* The range that a match type makes of an array; IX_UNSORTED: none. */
static enum ix_what array_range(const FWPS_FILTER_CONDITION0 *c, ix_num greatest, struct ix_wide *w,
                                bool *negate)
{
    const FWP_CONDITION_VALUE0 *v = &c->conditionValue;

    *negate = c->matchType == FWP_MATCH_NOT_EQUAL;
    if (v->type == FWP_V6_ADDR_MASK) {
        w->high = v6_last(v->v6AddrMask->addr, v->v6AddrMask->prefixLength, &w->low);
        return c->matchType == FWP_MATCH_EQUAL || *negate ? IX_WIDE : IX_UNSORTED;
    }
    if (v->type == FWP_RANGE_TYPE) {
        if (c->matchType != FWP_MATCH_RANGE || !array_number(&v->rangeValue->valueLow, &w->low) ||
            !array_number(&v->rangeValue->valueHigh, &w->high))
            return IX_UNSORTED;
        return IX_WIDE;
    }
    if (!array_number((const FWP_VALUE0 *)v, &w->low))
        return IX_UNSORTED;
    w->high = w->low;
    switch (c->matchType) {
    case FWP_MATCH_EQUAL:
    case FWP_MATCH_NOT_EQUAL:
        return IX_WIDE;
    case FWP_MATCH_GREATER:
        if (w->low == greatest)
            return IX_NEVER;
        w->low++;
        w->high = greatest;
        return IX_WIDE;
    case FWP_MATCH_LESS:
        if (w->low == 0)
            return IX_NEVER;
        w->high--;
        w->low = 0;
        return IX_WIDE;
    case FWP_MATCH_GREATER_OR_EQUAL:
        w->high = greatest;
        return IX_WIDE;
    case FWP_MATCH_LESS_OR_EQUAL:
        w->low = 0;
        return IX_WIDE;
    default:
        return IX_UNSORTED;
    }
}

/* Conditions that were not compiled to a number's test. */
static int sort_match(const struct engine_index_config *cfg, struct ix_draft *d, struct ix_item *it)
{
    const FWPS_FILTER_CONDITION0 *c = it->test->condition;
    FWP_DATA_TYPE type = c->conditionValue.type;
    bool equality = c->matchType == FWP_MATCH_EQUAL || c->matchType == FWP_MATCH_NOT_EQUAL;
    static const FWP_VALUE0 empty = {.type = FWP_EMPTY};
    ix_num greatest;
    struct ix_wide w;
    void *array;
    int err;

    it->what = IX_UNSORTED;
    it->empty = engine_match(c->matchType, &c->conditionValue, &empty);
    if (type == FWP_EMPTY) {
        it->what = IX_NEVER; /* MATCH-13: only the empty field */
        return 0;
    }
    switch (d->type) {
    case FWP_BYTE_ARRAY16_TYPE:
    case FWP_BYTE_ARRAY6_TYPE:
        greatest = d->type == FWP_BYTE_ARRAY6_TYPE ? (ix_num)0xffffffffffffULL : ~(ix_num)0;
        it->what = (UINT8)array_range(c, greatest, &w, &it->negate);
        if (it->what != IX_WIDE)
            return 0;
        if (d->type == FWP_BYTE_ARRAY6_TYPE) {
            it->what = IX_RANGE;
            it->low = (UINT64)w.low;
            it->high = (UINT64)w.high;
            return 0;
        }
        array = d->wide;
        err = ix_grow(cfg, &array, &d->wide_room, d->wide_count + 1, sizeof(*d->wide));
        d->wide = array;
        if (err)
            return err;
        it->low = d->wide_count;
        d->wide[d->wide_count++] = w;
        return 0;
    case FWP_BYTE_BLOB_TYPE:
    case FWP_SID:
        if (type == d->type && equality)
            it->what = IX_KEY;
        break;
    case FWP_TOKEN_ACCESS_INFORMATION_TYPE:
    case FWP_TOKEN_INFORMATION_TYPE:
        if (type == FWP_SECURITY_DESCRIPTOR_TYPE && equality)
            it->what = IX_KEY;
        break;
    default:
        break;
    }
    it->negate = c->matchType == FWP_MATCH_NOT_EQUAL;
    return 0;
}

static int sort_test(const struct engine_index_config *cfg, struct ix_draft *d, struct ix_item *it)
{
    const struct engine_test *t = it->test;

    if (t->op == ENGINE_TEST_MATCH)
        return sort_match(cfg, d, it);
    it->empty = t->negate;
    it->negate = t->negate;
    if (t->type != d->type) { /* cannot be: the filter was checked against the layer */
        it->what = IX_UNSORTED;
        return 0;
    }
    switch (t->op) {
    case ENGINE_TEST_RANGE:
        it->what = IX_RANGE;
        it->low = t->low;
        it->high = (t->low + t->span) & t->keep;
        if (t->span == t->keep)
            it->what = t->negate ? IX_NEVER : IX_ALWAYS;
        break;
    case ENGINE_TEST_NEVER:
        it->what = IX_NEVER;
        break;
    default:
        it->what = IX_SET;
        it->low = t->low & t->keep;
        break;
    }
    return 0;
}

/* ---- all of them ----------------------------------------------------------------------------------- */

static struct ix_draft *draft_of(const struct engine_index_config *cfg, struct ix_drafts *out, UINT16 field)
{
    struct ix_draft *d = out->of[field];

    if (d != NULL)
        return d;
    d = ix_alloc(cfg, 64, sizeof(*d));
    if (d == NULL)
        return NULL;
    memset(d, 0, sizeof(*d));
    d->field = field;
    d->type = (UINT8)out->layer->fields[field].data_type;
    out->of[field] = d;
    return d;
}

static int collect_test(const struct engine_index_config *cfg, struct ix_drafts *out, UINT32 slot,
                        const struct engine_test *t)
{
    struct ix_draft *d = draft_of(cfg, out, t->field);
    struct ix_item *it;
    void *array;
    int err;

    if (d == NULL)
        return -ENOMEM;
    array = d->items;
    err = ix_grow(cfg, &array, &d->room, d->count + 1, sizeof(*d->items));
    d->items = array;
    if (err)
        return err;
    it = &d->items[d->count++];
    *it = (struct ix_item){.test = t, .slot = slot};
    return sort_test(cfg, d, it);
}

int ix_collect(const struct engine_index_config *cfg, const struct engine_layer *layer,
               const struct engine_filter *const *filters, UINT32 count, int only, struct ix_drafts *out)
{
    memset(out, 0, sizeof(*out));
    out->layer = layer;
    for (UINT32 i = 0; i < count; i++) {
        const struct engine_filter *f = filters[i];

        if (i + 4 < count) {
            __builtin_prefetch(filters[i + 4]);
            __builtin_prefetch(filters[i + 4]->tests);
        }
        for (UINT32 k = 0; k < f->test_count; k++) {
            int err = only >= 0 && f->tests[k].field != only ? 0 : collect_test(cfg, out, i, &f->tests[k]);

            if (err)
                return err;
        }
    }
    return 0;
}

void ix_draft_free(struct ix_draft *d)
{
    if (d == NULL)
        return;
    free(d->items);
    free(d->wide);
    free(d);
}

void ix_drafts_free(struct ix_drafts *d)
{
    for (UINT32 i = 0; i < ENGINE_MAX_FIELDS; i++)
        ix_draft_free(d->of[i]);
}
