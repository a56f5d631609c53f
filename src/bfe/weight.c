/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Effective weights (OBJ-31, OBJ-32).
 *
 * An automatic weight is a sum over disjoint bit slots of the layer, the most telling field on top. A field
 * whose values have no order (a blob, a SID, flags, an interface) has one bit, set when any condition is on
 * it. A numeric field counts how many bits of it the conditions fix: S = nbits - log2(admitted values), a
 * second condition on the same field adding to the first up to nbits. Fields that share a slot add up too. A
 * slot of w bits then holds
 *
 *     round((2^w - 1) * S / total),  at least 1 if S > 0,   total: nbits of all fields sharing the slot
 *
 * The slots were recovered from the weights that real machines recorded (data/weight_model.tsv; doc/design.md
 * says how well they fit) and differ between builds of Windows; tools/gen_weights.py makes the tables.
 */
#include <math.h>
#include <string.h>

#include "bfe/filter.h"
#include "bfe/weight.h"
#include "engine/number.h"

struct weight_slot {
    UINT8 low, width; /* width 0: not known */
    UINT16 total;     /* 0: one bit */
};

struct weight_layer {
    const struct weight_slot *complete; /* every field has a slot; NULL: the layer has no fields */
    const struct weight_slot *known[BFE_WEIGHT_CLASSES];
    bool fast;
};

#include "bfe_weight_tables.h"

#define NO_CONDITIONS_FAST 0x7ffffffffffffffu /* what the four *_FAST layers show */
#define AUTO_MASK          (((UINT64)1 << 60) - 1)

typedef engine_u128 u128;

/* A MAC address is no number here: real weights give it one bit. */
static unsigned scalar_bits(FWP_DATA_TYPE type)
{
    return type == FWP_BYTE_ARRAY6_TYPE ? 0 : engine_number_bits(type);
}

static double log2_of_count(u128 low, u128 high, unsigned nbits)
{
    u128 span = high - low; /* one less than the count, which may not fit */

    return span + 1 == 0 ? (double)nbits : (double)log2l((long double)span + 1);
}

/* How many bits of a field of nbits the condition fixes. */
static double fixed_bits(const FWPM_FILTER_CONDITION0 *c, unsigned nbits)
{
    const FWP_CONDITION_VALUE0 *v = &c->conditionValue;
    u128 top = engine_number_max(nbits), low, high;
    FWP_VALUE0 plain = engine_plain_value(v);
    double set;

    if (v->type == FWP_V4_ADDR_MASK)
        return __builtin_popcount(v->v4AddrMask->mask);
    if (v->type == FWP_V6_ADDR_MASK)
        return v->v6AddrMask->prefixLength;
    if (v->type == FWP_RANGE_TYPE) {
        if (!engine_number(&v->rangeValue->valueLow, &low) ||
            !engine_number(&v->rangeValue->valueHigh, &high) || low > high)
            return 0;
        return nbits - log2_of_count(low, high, nbits);
    }
    if (!engine_number(&plain, &low))
        return nbits;
    set = __builtin_popcountll((UINT64)low) + __builtin_popcountll((UINT64)(low >> 64));
    switch (c->matchType) {
    case FWP_MATCH_GREATER:
        return low >= top ? nbits : nbits - log2_of_count(low + 1, top, nbits);
    case FWP_MATCH_GREATER_OR_EQUAL:
        return nbits - log2_of_count(low, top, nbits);
    case FWP_MATCH_LESS:
        return low == 0 ? nbits : nbits - log2_of_count(0, low - 1, nbits);
    case FWP_MATCH_LESS_OR_EQUAL:
        return nbits - log2_of_count(0, low, nbits);
    case FWP_MATCH_NOT_EQUAL:
        return nbits - log2_of_count(1, top, nbits);
    case FWP_MATCH_FLAGS_ALL_SET:
    case FWP_MATCH_FLAGS_NONE_SET:
        return set;
    case FWP_MATCH_FLAGS_ANY_SET:
        return set == 0 ? nbits : -log2(1 - exp2(-set));
    default:
        return nbits;
    }
}

static bool weigh(const struct engine_layer *layer, const struct weight_slot *slots,
                  const FWPM_FILTER_CONDITION0 *conditions, UINT32 count, UINT64 *out)
{
    double fixed[ENGINE_MAX_FIELDS] = {0}, in_slot[60] = {0};
    const struct weight_slot *numeric[60] = {0};
    UINT64 seen = 0, weight = 0;

    for (UINT32 i = 0; i < count; i++) {
        int f = engine_layer_field(layer, &conditions[i].fieldKey);
        unsigned nbits;

        if (f < 0 || slots[f].width == 0)
            return false;
        seen |= (UINT64)1 << f;
        if (slots[f].total == 0) {
            weight |= (UINT64)1 << slots[f].low;
            continue;
        }
        nbits = scalar_bits(layer->fields[f].data_type);
        fixed[f] += fixed_bits(&conditions[i], nbits);
        if (fixed[f] > nbits)
            fixed[f] = nbits;
    }
    for (unsigned f = 0; f < layer->field_count; f++) {
        if ((seen >> f & 1) != 0 && slots[f].total != 0) {
            in_slot[slots[f].low] += fixed[f];
            numeric[slots[f].low] = &slots[f];
        }
    }
    for (unsigned low = 0; low < 60; low++) {
        UINT64 mask, units;

        if (numeric[low] == NULL || in_slot[low] <= 0)
            continue;
        mask = ((UINT64)1 << numeric[low]->width) - 1;
        units = (UINT64)floor((double)mask * in_slot[low] / numeric[low]->total + 0.5);
        weight += (units == 0 ? 1 : units > mask ? mask : units) << low;
    }
    *out = weight & AUTO_MASK;
    return true;
}

bool bfe_weight_auto_by(enum bfe_weight_class by, const struct engine_layer *layer,
                        const FWPM_FILTER_CONDITION0 *conditions, UINT32 count, UINT64 *out)
{
    const struct weight_layer *w = &weight_layers[layer->id];

    if (count == 0) {
        *out = w->fast ? NO_CONDITIONS_FAST : 0;
        return true;
    }
    return w->known[by] != NULL && weigh(layer, w->known[by], conditions, count, out);
}

UINT64 bfe_weight_auto(const struct engine_layer *layer, const FWPM_FILTER_CONDITION0 *conditions,
                       UINT32 count)
{
    const struct weight_layer *w = &weight_layers[layer->id];
    UINT64 weight = 0;

    if (count == 0)
        return w->fast ? NO_CONDITIONS_FAST : 0;
    if (w->complete != NULL)
        weigh(layer, w->complete, conditions, count, &weight);
    return weight;
}

NTSTATUS bfe_weight_effective(const struct engine_layer *layer, const FWPM_FILTER0 *f, UINT64 *out)
{
    switch (f->weight.type) {
    case FWP_UINT64:
        if (f->weight.uint64 == NULL)
            return STATUS_FWP_NULL_POINTER;
        *out = *f->weight.uint64;
        return STATUS_SUCCESS;
    case FWP_EMPTY:
        *out = bfe_weight_auto(layer, f->filterCondition, f->numFilterConditions);
        return STATUS_SUCCESS;
    case FWP_UINT8:
        if (f->weight.uint8 > 15)
            return STATUS_FWP_INVALID_WEIGHT;
        *out = (UINT64)f->weight.uint8 << 60 |
               bfe_weight_auto(layer, f->filterCondition, f->numFilterConditions);
        return STATUS_SUCCESS;
    default:
        return STATUS_FWP_INVALID_WEIGHT;
    }
}
