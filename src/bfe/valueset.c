/* SPDX-License-Identifier: Apache-2.0 */
/*
 * valueset: see valueset.h.
 *
 * Numbers and addresses become intervals of 128-bit integers, plus whether the EMPTY value is admitted
 * (MATCH-13, MATCH-14): unions of intervals are compared exactly. Single values of any type are asked of
 * engine_match(), so that this file and the engine cannot disagree. Flag masks and text have rules of their
 * own below.
 */
#include "bfe/valueset.h"

#include <stdlib.h>
#include <string.h>

#include "engine/number.h"

typedef engine_u128 u128;

struct interval {
    u128 low, high;
};

struct intervals { /* at most two from one condition */
    struct interval item[2];
    size_t count;
    bool empty; /* admits the EMPTY value */
};

/* ---- intervals -------------------------------------------------------------------------------- */

static void add(struct intervals *s, u128 low, u128 high)
{
    if (low <= high)
        s->item[s->count++] = (struct interval){low, high};
}

/* Everything but [low, high], below `top`. EMPTY satisfies every negation (MATCH-14). */
static void add_complement(struct intervals *s, u128 low, u128 high, u128 top)
{
    if (low > 0)
        add(s, 0, low - 1);
    if (high < top)
        add(s, high + 1, top);
    s->empty = true;
}

/* The lowest and highest value that EQUAL admits. */
static bool equal_bounds(const FWP_CONDITION_VALUE0 *v, unsigned bits, struct interval *out)
{
    FWP_VALUE0 value;

    switch (v->type) {
    case FWP_V4_ADDR_MASK:
        out->low = v->v4AddrMask->addr & v->v4AddrMask->mask;
        out->high = out->low | (UINT32)~v->v4AddrMask->mask;
        return true;
    case FWP_V6_ADDR_MASK: {
        unsigned host = 128 - (v->v6AddrMask->prefixLength > 128 ? 128 : v->v6AddrMask->prefixLength);
        u128 wild = host == 128 ? ~(u128)0 : ((u128)1 << host) - 1;
        out->low = engine_number_bytes(v->v6AddrMask->addr, 16) & ~wild;
        out->high = out->low | wild;
        return true;
    }
    default:
        value = engine_plain_value(v);
        if (!engine_number(&value, &out->low))
            return false;
        out->high = out->low;
        return bits > 0;
    }
}

/* A numeric field's condition as intervals; false: it is none (flags, or no numeric field). */
static bool intervals_of(const struct engine_field *field, const FWPM_FILTER_CONDITION0 *c,
                         struct intervals *out)
{
    const FWP_CONDITION_VALUE0 *v = &c->conditionValue;
    struct interval eq;
    unsigned bits = engine_number_bits(field->data_type);

    *out = (struct intervals){0};
    if (bits == 0)
        return false;
    u128 top = engine_number_max(bits);
    if (v->type == FWP_EMPTY) {
        if (c->matchType == FWP_MATCH_EQUAL)
            out->empty = true;
        else if (c->matchType == FWP_MATCH_NOT_EQUAL)
            add(out, 0, top);
        return c->matchType == FWP_MATCH_EQUAL || c->matchType == FWP_MATCH_NOT_EQUAL;
    }
    if (v->type == FWP_RANGE_TYPE) {
        if (!engine_number(&v->rangeValue->valueLow, &eq.low) ||
            !engine_number(&v->rangeValue->valueHigh, &eq.high))
            return false;
    } else if (!equal_bounds(v, bits, &eq)) {
        return false;
    }
    switch (c->matchType) {
    case FWP_MATCH_EQUAL:
    case FWP_MATCH_RANGE:
        add(out, eq.low, eq.high);
        return true;
    case FWP_MATCH_NOT_EQUAL:
        add_complement(out, eq.low, eq.high, top);
        return true;
    case FWP_MATCH_GREATER:
        if (eq.high < top)
            add(out, eq.high + 1, top);
        return true;
    case FWP_MATCH_GREATER_OR_EQUAL:
        add(out, eq.low, top);
        return true;
    case FWP_MATCH_LESS:
        if (eq.low > 0)
            add(out, 0, eq.low - 1);
        return true;
    case FWP_MATCH_LESS_OR_EQUAL:
        add(out, 0, eq.high);
        return true;
    default:
        return false;
    }
}

static int by_low(const void *a, const void *b)
{
    const struct interval *x = a, *y = b;

    return x->low < y->low ? -1 : x->low > y->low;
}

/* Is [low, high] within the union of the sorted intervals? */
static bool covered(const struct interval *sorted, size_t count, struct interval what)
{
    u128 next = what.low;

    for (size_t i = 0; i < count && sorted[i].low <= next; i++) {
        if (sorted[i].high < next)
            continue;
        if (sorted[i].high >= what.high)
            return true;
        next = sorted[i].high + 1;
    }
    return false;
}

enum answer { NO, YES, UNKNOWN };

static enum answer intervals_contain(const struct valueset_question *q, const struct intervals *asked)
{
    struct interval *all = calloc(2 * q->count, sizeof(*all));
    enum answer answer = YES;
    size_t count = 0;
    bool empty = false;

    if (!all)
        return UNKNOWN;
    for (size_t i = 0; i < q->count; i++) {
        struct intervals one;
        if (!intervals_of(q->field, q->conditions[i], &one)) {
            free(all);
            return UNKNOWN;
        }
        for (size_t j = 0; j < one.count; j++)
            all[count++] = one.item[j];
        empty |= one.empty;
    }
    qsort(all, count, sizeof(*all), by_low);
    if (asked->empty && !empty)
        answer = NO;
    for (size_t i = 0; i < asked->count && answer == YES; i++)
        if (!covered(all, count, asked->item[i]))
            answer = NO;
    free(all);
    return answer;
}

static enum answer intervals_overlap(const struct valueset_question *q, const struct intervals *asked)
{
    enum answer answer = NO;

    for (size_t i = 0; i < q->count; i++) {
        struct intervals one;
        if (!intervals_of(q->field, q->conditions[i], &one)) {
            answer = UNKNOWN;
            continue;
        }
        if (asked->empty && one.empty)
            return YES;
        for (size_t j = 0; j < one.count; j++)
            for (size_t k = 0; k < asked->count; k++)
                if (one.item[j].low <= asked->item[k].high && asked->item[k].low <= one.item[j].high)
                    return YES;
    }
    return answer;
}

/* ---- flag masks ------------------------------------------------------------------------------- */

static bool is_flags(FWP_MATCH_TYPE m)
{
    return m == FWP_MATCH_FLAGS_ALL_SET || m == FWP_MATCH_FLAGS_ANY_SET || m == FWP_MATCH_FLAGS_NONE_SET;
}

static bool mask_of(const FWPM_FILTER_CONDITION0 *c, u128 *mask)
{
    FWP_VALUE0 value = engine_plain_value(&c->conditionValue);

    return engine_number(&value, mask);
}

static bool one_bit(u128 mask)
{
    return mask && !(mask & (mask - 1));
}

/* Does condition c (mask f) hold for every value for which the asked one (mask t) holds? */
static bool flags_imply(FWP_MATCH_TYPE asked, u128 t, FWP_MATCH_TYPE c, u128 f)
{
    switch (c) {
    case FWP_MATCH_FLAGS_ALL_SET:
        return !f || (asked == FWP_MATCH_FLAGS_ALL_SET && (t & f) == f) ||
               (asked == FWP_MATCH_FLAGS_ANY_SET && one_bit(t) && t == f);
    case FWP_MATCH_FLAGS_ANY_SET:
        return (asked == FWP_MATCH_FLAGS_ALL_SET && (t & f)) ||
               (asked == FWP_MATCH_FLAGS_ANY_SET && (t & f) == t);
    default: /* NONE_SET */
        return !f || (asked == FWP_MATCH_FLAGS_NONE_SET && (t & f) == f);
    }
}

/* Is there a value for which both hold? */
static bool flags_meet(FWP_MATCH_TYPE asked, u128 t, FWP_MATCH_TYPE c, u128 f)
{
    if ((asked == FWP_MATCH_FLAGS_ANY_SET && !t) || (c == FWP_MATCH_FLAGS_ANY_SET && !f))
        return false;
    if (asked == FWP_MATCH_FLAGS_NONE_SET && c == FWP_MATCH_FLAGS_NONE_SET)
        return true;
    if (asked == FWP_MATCH_FLAGS_NONE_SET)
        return c == FWP_MATCH_FLAGS_ALL_SET ? !(t & f) : (f & ~t) != 0;
    if (c == FWP_MATCH_FLAGS_NONE_SET)
        return asked == FWP_MATCH_FLAGS_ALL_SET ? !(t & f) : (t & ~f) != 0;
    return true;
}

static enum answer flags_answer(const struct valueset_question *q, bool contain)
{
    enum answer answer = NO;
    u128 t, f;

    if (!mask_of(q->asked, &t))
        return UNKNOWN;
    for (size_t i = 0; i < q->count; i++) {
        const FWPM_FILTER_CONDITION0 *c = q->conditions[i];
        if (!is_flags(c->matchType) || !mask_of(c, &f)) {
            answer = UNKNOWN;
            continue;
        }
        if (contain ? flags_imply(q->asked->matchType, t, c->matchType, f)
                    : flags_meet(q->asked->matchType, t, c->matchType, f))
            return YES;
    }
    return answer;
}

/* ---- single values, and the rest -------------------------------------------------------------- */

/* Does the template ask for exactly one value? Then matching is the engine's question. */
static bool single_value(const FWPM_FILTER_CONDITION0 *c, FWP_VALUE0 *out)
{
    switch (c->conditionValue.type) {
    case FWP_V4_ADDR_MASK:
    case FWP_V6_ADDR_MASK:
    case FWP_RANGE_TYPE:
    case FWP_SECURITY_DESCRIPTOR_TYPE:
        return false;
    default:
        *out = engine_plain_value(&c->conditionValue);
        return c->matchType == FWP_MATCH_EQUAL;
    }
}

static bool any_matches(const struct valueset_question *q, const FWP_VALUE0 *value)
{
    for (size_t i = 0; i < q->count; i++)
        if (engine_match(q->conditions[i]->matchType, &q->conditions[i]->conditionValue, value))
            return true;
    return false;
}

static bool same_blob(const FWP_BYTE_BLOB *a, const FWP_BYTE_BLOB *b)
{
    return a->size == b->size && (!a->size || memcmp(a->data, b->data, a->size) == 0);
}

/* The same operand? Blobs and descriptors by their bytes, all else as the engine compares. */
static bool same_operand(const FWPM_FILTER_CONDITION0 *a, const FWPM_FILTER_CONDITION0 *b)
{
    if (a->conditionValue.type != b->conditionValue.type)
        return false;
    if (a->conditionValue.type == FWP_SECURITY_DESCRIPTOR_TYPE)
        return same_blob(a->conditionValue.sd, b->conditionValue.sd);
    FWP_VALUE0 value = engine_plain_value(&b->conditionValue);
    return engine_match(FWP_MATCH_EQUAL, &a->conditionValue, &value);
}

/* Does PREFIX of a's operand hold for of's operand? Then every value for which of's holds satisfies a's too.
 */
static bool is_prefix(const FWPM_FILTER_CONDITION0 *a, const FWPM_FILTER_CONDITION0 *of)
{
    FWP_VALUE0 value = engine_plain_value(&of->conditionValue);

    return engine_match(FWP_MATCH_PREFIX, &a->conditionValue, &value);
}

/* Conditions on blobs, SIDs, descriptors and text, of which the template does not ask for one value. */
static bool opaque_contains(const struct valueset_question *q)
{
    const FWPM_FILTER_CONDITION0 *t = q->asked;

    for (size_t i = 0; i < q->count; i++) {
        const FWPM_FILTER_CONDITION0 *c = q->conditions[i];
        if (c->matchType == t->matchType && same_operand(c, t))
            return true;
        if (t->matchType == FWP_MATCH_PREFIX && c->matchType == FWP_MATCH_PREFIX && is_prefix(c, t))
            return true;
        if (t->matchType == FWP_MATCH_NOT_PREFIX && c->matchType == FWP_MATCH_NOT_PREFIX && is_prefix(t, c))
            return true;
        for (size_t j = 0; j < i; j++) /* "not a or not b" leaves nothing out */
            if (c->matchType == FWP_MATCH_NOT_EQUAL && q->conditions[j]->matchType == FWP_MATCH_NOT_EQUAL &&
                c->conditionValue.type != FWP_SECURITY_DESCRIPTOR_TYPE && !same_operand(c, q->conditions[j]))
                return true;
    }
    return false;
}

static bool opaque_overlaps(const struct valueset_question *q)
{
    const FWPM_FILTER_CONDITION0 *t = q->asked;

    for (size_t i = 0; i < q->count; i++) {
        const FWPM_FILTER_CONDITION0 *c = q->conditions[i];
        FWP_VALUE0 value;
        bool meet = true;
        if (t->conditionValue.type == FWP_SECURITY_DESCRIPTOR_TYPE) /* some token may satisfy both */
            meet = c->matchType == t->matchType || !same_operand(c, t);
        else if (single_value(c, &value))
            meet = engine_match(t->matchType, &t->conditionValue, &value);
        else if (t->matchType == FWP_MATCH_PREFIX && c->matchType == FWP_MATCH_PREFIX)
            meet = is_prefix(c, t) || is_prefix(t, c);
        else if (t->matchType == FWP_MATCH_PREFIX && c->matchType == FWP_MATCH_NOT_PREFIX)
            meet = !is_prefix(c, t);
        else if (t->matchType == FWP_MATCH_NOT_PREFIX && c->matchType == FWP_MATCH_PREFIX)
            meet = !is_prefix(t, c);
        if (meet)
            return true;
    }
    return false;
}

bool valueset_contains(const struct valueset_question *q)
{
    struct intervals asked;
    FWP_VALUE0 value;
    enum answer answer = UNKNOWN;

    if (single_value(q->asked, &value))
        return any_matches(q, &value);
    if (is_flags(q->asked->matchType))
        answer = flags_answer(q, true);
    else if (intervals_of(q->field, q->asked, &asked))
        answer = intervals_contain(q, &asked);
    else
        answer = opaque_contains(q) ? YES : NO;
    return answer == YES; /* what cannot be shown is not promised */
}

bool valueset_overlaps(const struct valueset_question *q)
{
    struct intervals asked;
    FWP_VALUE0 value;

    if (single_value(q->asked, &value))
        return any_matches(q, &value);
    if (is_flags(q->asked->matchType))
        return flags_answer(q, false) != NO;
    if (intervals_of(q->field, q->asked, &asked))
        return intervals_overlap(q, &asked) != NO;
    return opaque_overlaps(q);
}

bool valueset_empty(const struct engine_field *field, const FWPM_FILTER_CONDITION0 *c)
{
    struct intervals set;
    u128 mask;

    if (c->matchType == FWP_MATCH_FLAGS_ANY_SET)
        return mask_of(c, &mask) && !mask;
    return intervals_of(field, c, &set) && !set.count && !set.empty;
}
