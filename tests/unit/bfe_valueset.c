/* SPDX-License-Identifier: Apache-2.0 */
/* valueset against brute force: on an 8-bit field every value can be tried, so that contained and overlapping
 * have an oracle that knows nothing of intervals and masks. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "bfe/valueset.h"

static UINT32 seed = 12345;

static UINT32 random_below(UINT32 n)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

struct condition {
    FWPM_FILTER_CONDITION0 c;
    FWP_RANGE0 range;
};

/* flags: of which family; masks and order are not mixed with each other's exactness. */
static void random_condition(struct condition *out, bool flags)
{
    static const FWP_MATCH_TYPE ordered[] = {
        FWP_MATCH_EQUAL,         FWP_MATCH_GREATER, FWP_MATCH_LESS,     FWP_MATCH_GREATER_OR_EQUAL,
        FWP_MATCH_LESS_OR_EQUAL, FWP_MATCH_RANGE,   FWP_MATCH_NOT_EQUAL};
    static const FWP_MATCH_TYPE masks[] = {FWP_MATCH_FLAGS_ALL_SET, FWP_MATCH_FLAGS_ANY_SET,
                                           FWP_MATCH_FLAGS_NONE_SET};
    /* small numbers and both ends are where mistakes are */
    UINT8 low = (UINT8)(random_below(3) ? random_below(6) : 250 + random_below(6)), high = low;

    out->c.matchType = flags ? masks[random_below(3)] : ordered[random_below(7)];
    out->c.conditionValue = (FWP_CONDITION_VALUE0){.type = FWP_UINT8, .uint8 = low};
    if (out->c.matchType == FWP_MATCH_RANGE) {
        high = (UINT8)(low + random_below(256u - low));
        out->range = (FWP_RANGE0){{.type = FWP_UINT8, .uint8 = low}, {.type = FWP_UINT8, .uint8 = high}};
        out->c.conditionValue = (FWP_CONDITION_VALUE0){.type = FWP_RANGE_TYPE, .rangeValue = &out->range};
    } else if (!flags && random_below(20) == 0) {
        out->c.matchType = FWP_MATCH_EQUAL;
        out->c.conditionValue = (FWP_CONDITION_VALUE0){.type = FWP_EMPTY};
    }
}

static bool holds(const FWPM_FILTER_CONDITION0 *c, const FWP_VALUE0 *v)
{
    return engine_match(c->matchType, &c->conditionValue, v);
}

/* The answers by trying all 256 values and EMPTY. with_empty: flag fields always have a value (MATCH-15). */
static void brute(const struct valueset_question *q, bool with_empty, bool *contains, bool *overlaps,
                  bool *empty)
{
    *contains = *empty = true;
    *overlaps = false;
    for (unsigned i = 0; i <= 256; i++) {
        FWP_VALUE0 v = {.type = FWP_UINT8, .uint8 = (UINT8)i};
        bool any = false;
        if (i == 256 && !with_empty)
            break;
        if (i == 256)
            v = (FWP_VALUE0){.type = FWP_EMPTY};
        if (!holds(q->asked, &v))
            continue;
        *empty = false;
        for (size_t j = 0; j < q->count; j++)
            any |= holds(q->conditions[j], &v);
        *overlaps |= any;
        *contains &= any;
    }
}

static void compare(bool flags, size_t most, unsigned rounds)
{
    static const struct engine_field field = {&FWPM_CONDITION_IP_PROTOCOL, "x", 0, FWPM_FIELD_RAW_DATA,
                                              FWP_UINT8};
    unsigned contained = 0, met = 0;

    for (unsigned i = 0; i < rounds; i++) {
        struct condition asked, had[4];
        const FWPM_FILTER_CONDITION0 *list[4];
        struct valueset_question q = {&field, &asked.c, list, 1 + random_below((UINT32)most)};
        bool contains, overlaps, empty;

        random_condition(&asked, flags);
        for (size_t j = 0; j < q.count; j++) {
            random_condition(&had[j], flags);
            list[j] = &had[j].c;
        }
        brute(&q, !flags, &contains, &overlaps, &empty);
        assert_int_equal(valueset_empty(&field, &asked.c), empty);
        if (empty)
            continue;
        assert_int_equal(valueset_contains(&q), contains);
        assert_int_equal(valueset_overlaps(&q), overlaps);
        contained += contains;
        met += overlaps && !contains;
    }
    assert_true(contained > rounds / 50 && met > rounds / 50); /* both kinds of answers came up */
}

static void numbers_agree_with_brute_force(void **state)
{
    (void)state;
    compare(false, 4, 20000);
}

/* Of several masks no union is made: one condition against one is exact. */
static void flag_masks_agree_with_brute_force(void **state)
{
    (void)state;
    compare(true, 1, 20000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_agree_with_brute_force),
        cmocka_unit_test(flag_masks_agree_with_brute_force),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
