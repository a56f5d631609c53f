/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three-valued matching for explain: does a filter match when some fields are unknown? A filter is undecided
 * only if no known field refuses it and the conditions on some unknown field hold for some values and not
 * for others.
 */
#include "engine/internal.h"

static const struct engine_group *group_of(const struct engine_filter *f, UINT16 field)
{
    for (UINT32 i = 0; i < f->group_count; i++)
        if (f->groups[i].field == field)
            return &f->groups[i];
    return NULL;
}

/* Two NOT_EQUALs of different numbers admit every value of their type and FWP_EMPTY (MATCH-04, MATCH-14). */
static bool all_values(const struct engine_test *t, UINT32 n)
{
    for (UINT32 i = 0; i < n; i++)
        for (UINT32 k = i + 1; k < n && t[i].op == ENGINE_TEST_RANGE && t[i].negate; k++)
            if (t[k].op == ENGINE_TEST_RANGE && t[k].negate && t[i].type == t[k].type &&
                (((t[k].low - t[i].low) & t[i].keep) > t[i].span) &&
                (((t[i].low - t[k].low) & t[k].keep) > t[k].span))
                return true;
    return false;
}

static bool no_value(const struct engine_test *t, UINT32 n)
{
    for (UINT32 i = 0; i < n; i++)
        if (t[i].op != ENGINE_TEST_NEVER)
            return false;
    return true;
}

static enum engine_match3 group_match(const struct engine_filter *f, const struct engine_group *g,
                                      const FWP_VALUE0 *value)
{
    const struct engine_test *t = &f->tests[g->first];

    if (value == NULL) {
        if (no_value(t, g->count))
            return ENGINE_MATCH_NO;
        return all_values(t, g->count) ? ENGINE_MATCH_YES : ENGINE_MATCH_DEPENDS;
    }
    for (UINT16 i = 0; i < g->count; i++)
        if (engine_test_holds(&t[i], value))
            return ENGINE_MATCH_YES;
    return ENGINE_MATCH_NO;
}

enum engine_match3 engine_filter_field_match(const struct engine_filter *f, UINT16 field,
                                             const FWP_VALUE0 *value)
{
    const struct engine_group *g = group_of(f, field);

    return g == NULL ? ENGINE_MATCH_YES : group_match(f, g, value);
}

enum engine_match3 engine_filter_match3(const struct engine_filter *f, const FWPS_INCOMING_VALUE0 *values,
                                        const bool *known)
{
    enum engine_match3 all = ENGINE_MATCH_YES;

    for (UINT32 i = 0; i < f->group_count; i++) {
        const struct engine_group *g = &f->groups[i];
        bool is_known = known == NULL || known[g->field];

        switch (group_match(f, g, is_known ? &values[g->field].value : NULL)) {
        case ENGINE_MATCH_NO:
            return ENGINE_MATCH_NO;
        case ENGINE_MATCH_DEPENDS:
            all = ENGINE_MATCH_DEPENDS;
            break;
        default:
            break;
        }
    }
    return all;
}

size_t engine_filter_fields(const struct engine_filter *f, UINT16 *out, size_t max)
{
    bool has[ENGINE_MAX_FIELDS] = {false};
    size_t n = 0;

    for (UINT32 i = 0; i < f->group_count; i++)
        has[f->groups[i].field] = true;
    for (UINT16 field = 0; field < ENGINE_MAX_FIELDS; field++) {
        if (!has[field])
            continue;
        if (n < max)
            out[n] = field;
        n++;
    }
    return n;
}
