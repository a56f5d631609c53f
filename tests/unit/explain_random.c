/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers against brute force (explain_lab.h): random small policies, some fields known, some not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/explain_lab.h"

static void ask(struct explain_lab *l, uint64_t *seed)
{
    struct lab_question q;
    struct explain_problem p;
    struct explain_answer answer;
    const char *error = NULL;
    bool permit, block;

    lab_random_question(l, seed, &q);
    assert_int_equal(explain_problem_begin(&l->s, &p), 0);
    p.use_builtin = false;
    assert_int_equal(explain_classify_add(&p, l->layer, q.values), 0);
    assert_int_equal(explain_problem_build(&p, &error), 0);
    if (explain_answer(&p, EXPLAIN_BUDGET, &answer, &error) != 0)
        fail_msg("%s", error);
    lab_brute_force(l, &q, &permit, &block);
    assert_int_equal(answer.verdict, permit && block ? EXPLAIN_DEPENDS
                                     : permit        ? EXPLAIN_PERMITTED
                                                     : EXPLAIN_BLOCKED);
    if (permit && block) {
        assert_false(answer.permit->blocked);
        assert_true(answer.block->blocked);
        assert_true(answer.depend_count > 0);
        for (uint32_t v = 0; v < p.var_count; v++) { /* they differ in what they name, and in nothing else */
            bool named = false;

            for (uint32_t i = 0; i < answer.depend_count; i++)
                named = named || answer.depends[i] == v;
            assert_int_equal(answer.permit->classes[v] != answer.block->classes[v], named);
        }
    }
    explain_problem_end(&p);
}

static void answers_equal_brute_force(void **state)
{
    struct explain_lab *l = *state;
    uint64_t seed = 4711;

    for (unsigned policy = 0; policy < 130; policy++) {
        struct explain_arena a = {0};
        struct engine_filter *filters[LAB_FILTERS];
        uint32_t n = lab_random_policy(l, &a, &seed, filters);

        for (unsigned i = 0; i < 6; i++)
            ask(l, &seed);
        lab_remove_policy(l, filters, n);
        explain_arena_free(&a);
    }
}

/* port EQUAL 443 permits, port NOT_EQUAL 443 permits, and a block behind both: there is no port that is
 * blocked. */
static void complementary_conditions_are_no_dependence(void **state)
{
    struct explain_lab *l = *state;
    struct engine_filter *filters[3];
    struct engine_txn *t;
    struct explain_problem p;
    struct explain_answer answer;
    const struct explain_value *values[ENGINE_MAX_FIELDS] = {NULL};
    const char *error = NULL;

    assert_int_equal(engine_txn_begin(l->s.engine, &t), 0);
    for (unsigned i = 0; i < 3; i++) {
        UINT64 weight = 3 - i;
        FWPS_FILTER_CONDITION0 c = {.fieldId = l->field[1]->index,
                                    .matchType = i == 0 ? FWP_MATCH_EQUAL : FWP_MATCH_NOT_EQUAL,
                                    .conditionValue = {.type = FWP_UINT16, .uint16 = 443}};
        FWPS_FILTER3 fwps = {.filterId = 900 + i,
                             .weight = {.type = FWP_UINT64, .uint64 = &weight},
                             .numFilterConditions = i < 2,
                             .filterCondition = &c,
                             .action = {.type = i < 2 ? FWP_ACTION_PERMIT : FWP_ACTION_BLOCK}};
        struct engine_filter_desc desc = {
            .layer_id = LAB_LAYER, .fwps = &fwps, .filter_key = {.Data1 = 900 + i}};

        assert_int_equal(engine_filter_create(&desc, &filters[i]), 0);
        assert_int_equal(engine_txn_add(t, filters[i]), 0);
    }
    assert_int_equal(engine_txn_commit(t), 0);
    assert_int_equal(explain_problem_begin(&l->s, &p), 0);
    assert_int_equal(explain_classify_add(&p, l->layer, values), 0);
    assert_int_equal(explain_problem_build(&p, &error), 0);
    assert_int_equal(explain_answer(&p, EXPLAIN_BUDGET, &answer, &error), 0);
    assert_int_equal(answer.verdict, EXPLAIN_PERMITTED);
    explain_problem_end(&p);
    assert_int_equal(engine_txn_begin(l->s.engine, &t), 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(engine_txn_remove(t, LAB_LAYER, 900 + i), 0);
        engine_filter_unref(filters[i]);
    }
    assert_int_equal(engine_txn_commit(t), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_equal_brute_force),
        cmocka_unit_test(complementary_conditions_are_no_dependence),
    };

    return cmocka_run_group_tests(tests, lab_set_up, lab_tear_down);
}
