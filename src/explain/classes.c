/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Candidates for the values of one field: enough of them that every combination of answers that the
 * conditions can give for any value shows up in one. problem.c merges those that turn out alike.
 *
 *   numbers, addresses  the borders of all ranges cut the line into pieces; where bits are tested too, each
 * piece is taken once for every combination of tested bits that it holds blobs               each one named;
 * each with something before and after it (tests of ends); none of them SIDs, arrays        each one named;
 * none of them
 *
 * Everything a number can be fits 128 bits, addresses as big-endian numbers (MATCH-08).
 */
#include "engine/number.h"
#include "explain/problem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef engine_u128 u128;

#define MAX_BITS   14 /* tested bits of one field: combinations are enumerated, of more by groups */
#define MAX_MASKS  64 /* distinct masks of one field */
#define MAX_STATES 20000u
#define MAX_TOTAL  65536u

struct gather {
    struct explain_problem *p;
    const struct engine_field *field;
    u128 *cuts;
    size_t cut_count, cut_room;
    UINT64 mask; /* all tested bits */
    UINT64 masks[MAX_MASKS];
    unsigned mask_count; /* MAX_MASKS + 1: there are more */
    struct explain_value *values;
    uint32_t count, room;
    int err;
};

static void cut(struct gather *g, u128 at)
{
    if (g->cut_count == g->cut_room) {
        size_t room = g->cut_room == 0 ? 32 : g->cut_room * 2;
        u128 *more = realloc(g->cuts, room * sizeof *more);

        if (more == NULL) {
            g->err = -ENOMEM;
            return;
        }
        g->cuts = more;
        g->cut_room = room;
    }
    g->cuts[g->cut_count++] = at;
}

static void add_value(struct gather *g, const FWP_VALUE0 *value)
{
    if (g->count == g->room) {
        uint32_t room = g->room == 0 ? 32 : g->room * 2;
        struct explain_value *more = realloc(g->values, room * sizeof *more);

        if (more == NULL || room > MAX_TOTAL * 4) {
            g->err = more == NULL ? -ENOMEM : -E2BIG;
            free(more);
            if (more != NULL)
                g->values = NULL;
            return;
        }
        g->values = more;
        g->room = room;
    }
    if (g->err == 0)
        g->values[g->count++] = (struct explain_value){.value = *value};
}

/* ---- numbers --------------------------------------------------------------------------------- */

static u128 greatest(FWP_DATA_TYPE type)
{
    UINT64 max;

    if (explain_is_number(type, &max))
        return max;
    return type == FWP_BYTE_ARRAY6_TYPE ? ((u128)1 << 48) - 1 : ~(u128)0;
}

static void write_bytes(u128 n, UINT8 *bytes, size_t size)
{
    for (size_t i = size; i > 0; i--, n >>= 8)
        bytes[i - 1] = (UINT8)n;
}

static void add_number(struct gather *g, u128 n)
{
    FWP_VALUE0 v = {.type = g->field->data_type};
    UINT64 wide = (UINT64)n;

    switch (v.type) {
    case FWP_UINT8:
        v.uint8 = (UINT8)n;
        break;
    case FWP_UINT16:
        v.uint16 = (UINT16)n;
        break;
    case FWP_UINT32:
        v.uint32 = (UINT32)n;
        break;
    case FWP_UINT64:
        v.uint64 = explain_copy(&g->p->arena, &wide, sizeof wide);
        break;
    case FWP_BYTE_ARRAY6_TYPE:
        v.byteArray6 = explain_alloc(&g->p->arena, sizeof *v.byteArray6);
        if (v.byteArray6 != NULL)
            write_bytes(n, v.byteArray6->byteArray6, 6);
        break;
    default:
        v.byteArray16 = explain_alloc(&g->p->arena, sizeof *v.byteArray16);
        if (v.byteArray16 != NULL)
            write_bytes(n, v.byteArray16->byteArray16, 16);
        break;
    }
    if (g->p->arena.failed)
        g->err = -ENOMEM;
    else
        add_value(g, &v);
}

static void add_mask(struct gather *g, UINT64 mask)
{
    unsigned i = 0;

    g->mask |= mask;
    while (i < g->mask_count && i < MAX_MASKS && g->masks[i] != mask)
        i++;
    if (i < g->mask_count)
        return;
    if (i < MAX_MASKS)
        g->masks[i] = mask;
    g->mask_count = i + 1;
}

static void cut_condition(struct gather *g, FWP_MATCH_TYPE match, const FWP_CONDITION_VALUE0 *c)
{
    u128 low, high;

    if (match == FWP_MATCH_FLAGS_ALL_SET || match == FWP_MATCH_FLAGS_ANY_SET ||
        match == FWP_MATCH_FLAGS_NONE_SET) {
        if (engine_number((const FWP_VALUE0 *)c, &low))
            add_mask(g, (UINT64)low);
        return;
    }
    switch (c->type) {
    case FWP_V4_ADDR_MASK:
        low = c->v4AddrMask->addr & c->v4AddrMask->mask;
        high = low | (UINT32)~c->v4AddrMask->mask;
        break;
    case FWP_V6_ADDR_MASK:
        low = engine_number_bytes(c->v6AddrMask->addr, 16);
        high = c->v6AddrMask->prefixLength == 0 ? ~(u128)0
                                                : ((u128)1 << (128 - c->v6AddrMask->prefixLength)) - 1;
        if (c->v6AddrMask->prefixLength >= 128)
            high = 0;
        low &= ~high;
        high |= low;
        break;
    case FWP_RANGE_TYPE:
        if (!engine_number(&c->rangeValue->valueLow, &low) ||
            !engine_number(&c->rangeValue->valueHigh, &high))
            return;
        break;
    default:
        if (!engine_number((const FWP_VALUE0 *)c, &low))
            return;
        high = low;
        break;
    }
    cut(g, low);
    cut(g, high + 1); /* may wrap to 0, which is a border anyway */
}

/* The smallest number from low on whose bits under mask are `bits`. False: there is none up to high. */
static bool next_with_bits(u128 low, u128 high, UINT64 mask, UINT64 bits, u128 *out)
{
    u128 wrong = (low ^ bits) & mask, wanted = bits, fixed = mask, turn;

    if (wrong == 0) {
        *out = low;
        return low <= high;
    }
    while (wrong & (wrong - 1))
        wrong &= wrong - 1; /* the highest bit where low differs from what is wanted */
    turn = wrong;
    if (low & wrong) { /* too large there: a free bit above must go up by one */
        do {
            if (turn == (u128)1 << 127)
                return false;
            turn <<= 1;
        } while (turn & (fixed | low));
    }
    *out = (low & ~(turn | (turn - 1))) | turn | (wanted & (turn - 1));
    return *out <= high;
}

static int compare_u128(const void *x, const void *y)
{
    u128 a = *(const u128 *)x, b = *(const u128 *)y;

    return (a > b) - (a < b);
}

static void numbers_between(struct gather *g, u128 low, u128 high)
{
    UINT64 bits = 0;

    if (g->mask == 0) {
        add_number(g, low);
        return;
    }
    do {
        u128 n;

        if (next_with_bits(low, high, g->mask, bits, &n))
            add_number(g, n);
        bits = (bits - g->mask) & g->mask; /* the next subset of mask */
    } while (bits != 0 && g->err == 0);
}

/*
 * Bits that stand in the same masks are alike: of such a group only matters whether none, some or all are
 * set. So the combinations of groups stand for all numbers, where nothing but masks tests the field.
 */
static void numbers_of_groups(struct gather *g)
{
    UINT64 group[64], state[64] = {0};
    unsigned count = 1;
    size_t combinations = 1;

    group[0] = g->mask;
    for (unsigned m = 0; m < g->mask_count; m++)
        for (unsigned i = 0, n = count; i < n; i++) {
            UINT64 in = group[i] & g->masks[m], out = group[i] & ~g->masks[m];

            if (in == 0 || out == 0)
                continue;
            group[i] = in;
            group[count++] = out;
        }
    for (unsigned i = 0; i < count && combinations <= MAX_STATES; i++)
        combinations *= group[i] & (group[i] - 1) ? 3 : 2;
    if (g->mask_count > MAX_MASKS || combinations > MAX_STATES) {
        g->err = -E2BIG;
        return;
    }
    for (unsigned i = 0; i < count && g->err == 0;) {
        UINT64 n = 0;

        for (unsigned j = 0; j < count; j++)
            n |= state[j];
        add_number(g, n);
        /* The next combination: none, one bit, all of the first group, then the next group's turn. */
        for (i = 0; i < count; i++) {
            UINT64 one = group[i] & -group[i];

            state[i] = state[i] == group[i] ? 0 : state[i] == 0 && one != group[i] ? one : group[i];
            if (state[i] != 0)
                break;
        }
    }
}

static void generate_numbers(struct gather *g)
{
    u128 max = greatest(g->field->data_type);

    g->mask &= (UINT64)max;
    if (__builtin_popcountll(g->mask) > MAX_BITS) {
        if (g->cut_count == 0)
            numbers_of_groups(g);
        else
            g->err = -E2BIG;
        return;
    }
    cut(g, 0);
    if (g->err != 0)
        return;
    qsort(g->cuts, g->cut_count, sizeof *g->cuts, compare_u128);
    for (size_t i = 0; i < g->cut_count && g->err == 0; i++) {
        u128 low = g->cuts[i], high = max;

        if (low > max || (i + 1 < g->cut_count && g->cuts[i + 1] == low))
            continue;
        if (i + 1 < g->cut_count && g->cuts[i + 1] <= max)
            high = g->cuts[i + 1] - 1;
        numbers_between(g, low, high);
    }
}

/* ---- blobs and SIDs -------------------------------------------------------------------------- */

static void add_blob(struct gather *g, const void *before, size_t before_size, const FWP_BYTE_BLOB *b,
                     const void *after, size_t after_size)
{
    FWP_VALUE0 v = {.type = FWP_BYTE_BLOB_TYPE};
    size_t size = before_size + b->size + after_size;

    v.byteBlob = explain_alloc(&g->p->arena, sizeof *v.byteBlob);
    if (v.byteBlob != NULL) {
        v.byteBlob->size = (UINT32)size;
        v.byteBlob->data = explain_alloc(&g->p->arena, size + 1);
    }
    if (g->p->arena.failed) {
        g->err = -ENOMEM;
        return;
    }
    if (before_size != 0)
        memcpy(v.byteBlob->data, before, before_size);
    if (b->size != 0)
        memcpy(v.byteBlob->data + before_size, b->data, b->size);
    if (after_size != 0)
        memcpy(v.byteBlob->data + before_size + b->size, after, after_size);
    add_value(g, &v);
}

static void generate_blob(struct gather *g, FWP_MATCH_TYPE match, const FWP_CONDITION_VALUE0 *c)
{
    static const UINT8 before[4] = {'?', 0, '\\', 0}, end[2] = {0, 0}, after[4] = {'?', 0, 0, 0};

    if (c->type != FWP_BYTE_BLOB_TYPE)
        return;
    add_blob(g, NULL, 0, c->byteBlob, NULL, 0);
    if (match == FWP_MATCH_PREFIX || match == FWP_MATCH_NOT_PREFIX) {
        add_blob(g, before, sizeof before, c->byteBlob, NULL, 0);
        add_blob(g, NULL, 0, c->byteBlob, end, sizeof end);
        add_blob(g, before, sizeof before, c->byteBlob, end, sizeof end);
        add_blob(g, NULL, 0, c->byteBlob, after, sizeof after);
    }
}

/* A program, name or SID that nothing names comes first: it is the ordinary case. */
static void generate_other(struct gather *g)
{
    static const char app[] = "\\device\\harddiskvolume1\\any\\other\\program.exe";
    static const UINT32 sub[] = {5, 21, 0, 0, 0, 999};
    FWP_VALUE0 v = {0};

    if (g->field->data_type == FWP_BYTE_BLOB_TYPE) {
        const char *text = explain_field_of(g->field)->notation == WRITES_APP ? app : "any other";
        size_t units;
        WCHAR *wide = explain_utf16(&g->p->arena, text, &units);
        FWP_BYTE_BLOB b = {(UINT32)((units + 1) * sizeof(WCHAR)), (UINT8 *)wide};

        if (wide == NULL)
            g->err = -ENOMEM;
        else
            add_blob(g, NULL, 0, &b, NULL, 0);
        if (g->err == 0)
            g->values[g->count - 1].label = text == app ? "any other program" : "anything else";
        return;
    }
    if (g->field->data_type != FWP_SID)
        return;
    v.type = FWP_SID;
    v.sid = explain_alloc(&g->p->arena, SECURITY_MAX_SID_SIZE);
    if (v.sid == NULL) {
        g->err = -ENOMEM;
        return;
    }
    if (explain_field_of(g->field)->meaning ==
        MEANS_PACKAGE) { /* MATCH-29: no AppContainer; then some other one */
        FWP_VALUE0 null = {.type = FWP_SID, .sid = explain_alloc(&g->p->arena, SECURITY_MAX_SID_SIZE)};

        if (null.sid == NULL || security_sid_parse("S-1-0-0", null.sid, SECURITY_MAX_SID_SIZE) != 0 ||
            security_sid_parse("S-1-15-2-0-0-0-0-0-0-1", v.sid, SECURITY_MAX_SID_SIZE) != 0) {
            g->err = -ENOMEM;
            return;
        }
        add_value(g, &null);
    } else {
        v.sid->Revision = 1;
        v.sid->SubAuthorityCount = 5;
        v.sid->IdentifierAuthority.Value[5] = (UINT8)sub[0];
        memcpy(v.sid->SubAuthority, sub + 1, 5 * sizeof sub[0]);
    }
    add_value(g, &v);
}

/* ---- one slot -------------------------------------------------------------------------------- */

static void condition(struct gather *g, FWP_MATCH_TYPE match, const FWP_CONDITION_VALUE0 *c)
{
    FWP_VALUE0 v = {.type = FWP_SID};

    switch (g->field->data_type) {
    case FWP_BYTE_BLOB_TYPE:
        generate_blob(g, match, c);
        break;
    case FWP_SID:
        v.sid = c->sid;
        if (c->type == FWP_SID)
            add_value(g, &v);
        break;
    default:
        cut_condition(g, match, c);
        break;
    }
}

int explain_slot_values(struct explain_problem *p, const struct explain_var *v, unsigned slots,
                        const struct explain_values *preferred, const struct explain_value **out,
                        uint32_t *count)
{
    struct gather g = {.p = p};
    uint32_t var = (uint32_t)(v - p->vars);
    bool numeric;
    u128 border;

    for (unsigned s = 0; s < EXPLAIN_SLOTS && g.field == NULL; s++)
        g.field = slots >> s & 1 ? v->field[s] : NULL;
    if (g.field == NULL)
        return -EINVAL;
    numeric = g.field->data_type != FWP_BYTE_BLOB_TYPE && g.field->data_type != FWP_SID;
    for (uint32_t i = 0; preferred != NULL && i < preferred->count; i++)
        add_value(&g, &preferred->first[i]);
    for (uint32_t i = 0; preferred != NULL && i < preferred->cut_count; i++) {
        border = engine_number_bytes(preferred->cuts + (size_t)i * 16, 16);
        cut(&g, border);
    }
    if (!numeric && g.count == 0)
        generate_other(&g);
    for (uint32_t i = 0; i < p->use_count && g.err == 0; i++) {
        const struct explain_use *u = &p->uses[i];
        const FWPS_FILTER3 *f = engine_filter_fwps(u->engine_filter);

        if (u->var != var || !(slots >> u->slot & 1))
            continue;
        for (UINT32 k = 0; k < f->numFilterConditions && g.err == 0; k++) {
            if (f->filterCondition[k].fieldId == u->field)
                condition(&g, f->filterCondition[k].matchType, &f->filterCondition[k].conditionValue);
        }
    }
    if (numeric && g.err == 0)
        generate_numbers(&g);
    if (g.err == 0) {
        *out = explain_copy(&p->arena, g.values, g.count * sizeof *g.values);
        *count = g.count;
        if (*out == NULL)
            g.err = -ENOMEM;
    }
    free(g.values);
    free(g.cuts);
    return g.err;
}

bool explain_slot_tested(const struct explain_problem *p, const struct explain_var *v, uint32_t slot)
{
    uint32_t var = (uint32_t)(v - p->vars);

    for (uint32_t i = 0; i < p->use_count; i++) {
        if (p->uses[i].var == var && p->uses[i].slot == slot)
            return true;
    }
    return false;
}

int explain_generate_values(struct explain_problem *p, struct explain_var *v)
{
    const struct explain_value *values;
    uint32_t count = 0;
    int err = explain_slot_values(p, v, 1u << 0, v->ctx, &values, &count);

    for (uint32_t i = 0; i < count && err == 0; i++) {
        struct explain_class *c = explain_candidate(p, v);

        if (c == NULL)
            err = -ENOMEM;
        else
            c->v[0] = values[i];
    }
    if (err == 0 && v->may_be_empty && explain_candidate(p, v) == NULL)
        err = -ENOMEM;
    return err;
}
