/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search of src/explain/solve.h against brute force: random small problems, every assignment judged by an
 * arbitration written out here from section 3 of the semantics, with no word shared with the engine's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "explain/solve.h"

#define MAX_VARS     6
#define MAX_CLASSES  5
#define MAX_FILTERS  14
#define MAX_LITERALS 48

struct box {
    struct solve_problem p;
    struct solve_var vars[MAX_VARS];
    uint64_t domains[MAX_VARS];
    uint64_t sets[MAX_LITERALS];
    struct solve_literal literals[MAX_LITERALS];
    struct solve_filter filters[MAX_FILTERS];
    struct solve_sublayer sublayers[MAX_FILTERS];
    struct solve_step steps[3];
    struct solve_constraint constraints[2];
    uint64_t allowed[2][MAX_CLASSES];
};

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint32_t below(uint64_t *state, uint32_t n)
{
    return (uint32_t)(next_random(state) % n);
}

/* The arbitration of one layer, by hand: ARB-01..15, 34 and the contract of a supposed callout. */
static bool judge_blocks(const struct box *b, const struct solve_step *step, const uint32_t *classes)
{
    bool decided = false, block = false, write = true;

    for (uint32_t i = 0; i < step->count; i++) {
        const struct solve_sublayer *sub = &b->sublayers[step->first + i];

        for (uint32_t f = sub->first; f < sub->first + sub->count; f++) {
            const struct solve_filter *filter = &b->filters[f];
            bool match = true;

            for (uint32_t k = 0; k < filter->count; k++) {
                const struct solve_literal *l = &b->literals[filter->first + k];

                match = match && (*l->set >> classes[l->var] & 1);
            }
            if (!match)
                continue;
            if (filter->answer == SOLVE_CALLOUT) {
                uint32_t said = classes[filter->callout];

                if (said == SOLVE_CALLOUT_CONTINUE)
                    continue;
                if (!write) {
                    if (said == SOLVE_CALLOUT_BLOCK && !block) { /* veto */
                        block = true;
                        break;
                    }
                    continue;
                }
                decided = true;
                block = said == SOLVE_CALLOUT_BLOCK;
                if (block || filter->callout_hard)
                    write = false;
                break;
            }
            if (write) {
                decided = true;
                block = filter->answer == SOLVE_BLOCK;
                write = filter->answer == SOLVE_PERMIT;
            }
            break;
        }
    }
    return decided && block;
}

static bool allowed(const struct box *b, const uint32_t *classes)
{
    for (uint32_t v = 0; v < b->p.var_count; v++) {
        if (!(b->domains[v] >> classes[v] & 1))
            return false;
    }
    for (uint32_t i = 0; i < b->p.constraint_count; i++) {
        const struct solve_constraint *c = &b->constraints[i];

        if (!(c->allowed[classes[c->a]] >> classes[c->b] & 1))
            return false;
    }
    return true;
}

static void make_random(struct box *b, uint64_t *seed)
{
    uint32_t literals = 0, filters = 0, sublayers = 0;
    uint32_t vars = 1 + below(seed, MAX_VARS), callouts = below(seed, 3);

    memset(b, 0, sizeof *b);
    if (callouts >= vars)
        callouts = vars - 1;
    b->p = (struct solve_problem){.vars = b->vars,
                                  .var_count = vars,
                                  .words = vars,
                                  .domains = b->domains,
                                  .literals = b->literals,
                                  .filters = b->filters,
                                  .sublayers = b->sublayers,
                                  .steps = b->steps,
                                  .constraints = b->constraints};
    for (uint32_t v = 0; v < vars; v++) {
        uint32_t n = v < callouts ? SOLVE_CALLOUT_CLASSES : 1 + below(seed, MAX_CLASSES);

        b->vars[v] = (struct solve_var){n, v, 1};
        b->domains[v] = (UINT64_C(1) << n) - 1;
        if (below(seed, 4) == 0)
            b->domains[v] &= next_random(seed);
        if (b->domains[v] == 0)
            b->domains[v] = 1;
    }
    b->p.step_count = 1 + below(seed, 3);
    for (uint32_t s = 0; s < b->p.step_count; s++) {
        b->steps[s].first = sublayers;
        b->steps[s].count = below(seed, 4);
        for (uint32_t i = 0; i < b->steps[s].count; i++, sublayers++) {
            uint32_t room = MAX_FILTERS - filters, n = below(seed, 5);

            b->sublayers[sublayers].first = filters;
            b->sublayers[sublayers].count = n < room ? n : room;
            for (n = b->sublayers[sublayers].count; n > 0; n--, filters++) {
                struct solve_filter *f = &b->filters[filters];

                f->first = literals;
                f->answer = (enum solve_answer)below(seed, callouts != 0 ? 4 : 3);
                f->callout = callouts != 0 ? below(seed, callouts) : 0;
                f->callout_hard = below(seed, 2);
                for (f->count = 0; f->count < below(seed, 4) && literals < MAX_LITERALS;
                     f->count++, literals++) {
                    uint32_t v = below(seed, vars);

                    b->sets[literals] = next_random(seed) & ((UINT64_C(1) << b->vars[v].classes) - 1);
                    b->literals[literals] = (struct solve_literal){v, &b->sets[literals]};
                }
            }
        }
    }
    b->p.filter_count = filters;
    b->p.constraint_count = vars > 1 ? below(seed, 3) : 0;
    for (uint32_t i = 0; i < b->p.constraint_count; i++) {
        uint32_t x = below(seed, vars), y = (x + 1 + below(seed, vars - 1)) % vars;

        for (uint32_t c = 0; c < b->vars[x].classes; c++)
            b->allowed[i][c] =
                (next_random(seed) | next_random(seed)) & ((UINT64_C(1) << b->vars[y].classes) - 1);
        b->constraints[i] = (struct solve_constraint){x, y, b->allowed[i]};
    }
}

static void check_against_brute_force(struct box *b)
{
    bool any_permit = false, any_block[3] = {false};
    uint32_t classes[MAX_VARS] = {0}, decider;
    struct solve_budget budget = {1000000};
    int got;

    for (;;) {
        uint32_t v = 0;

        if (allowed(b, classes)) {
            bool blocked = false;

            for (uint32_t s = 0; s < b->p.step_count; s++) {
                bool blocks = judge_blocks(b, &b->steps[s], classes);

                assert_int_equal(blocks, solve_blocks(&b->p, s, classes, &decider));
                any_block[s] = any_block[s] || blocks;
                blocked = blocked || blocks;
            }
            any_permit = any_permit || !blocked;
        }
        while (v < b->p.var_count && ++classes[v] == b->vars[v].classes)
            classes[v++] = 0;
        if (v == b->p.var_count)
            break;
    }

    got = solve(&b->p, SOLVE_GOAL_PERMIT, 0, &budget, classes);
    assert_int_equal(got, any_permit ? SOLVE_FOUND : SOLVE_NONE);
    if (got == SOLVE_FOUND) {
        assert_true(allowed(b, classes));
        assert_true(solve_consistent(&b->p, classes));
        for (uint32_t s = 0; s < b->p.step_count; s++)
            assert_false(judge_blocks(b, &b->steps[s], classes));
    }
    for (uint32_t s = 0; s < b->p.step_count; s++) {
        got = solve(&b->p, SOLVE_GOAL_BLOCK, s, &budget, classes);
        assert_int_equal(got, any_block[s] ? SOLVE_FOUND : SOLVE_NONE);
        if (got == SOLVE_FOUND) {
            assert_true(allowed(b, classes));
            assert_true(judge_blocks(b, &b->steps[s], classes));
        }
    }
}

static void solve_random_problems(void **state)
{
    uint64_t seed = 20261121;
    struct box b;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        make_random(&b, &seed);
        check_against_brute_force(&b);
    }
}

/* EQUAL x permits, NOT_EQUAL x permits, everything else is blocked: there is nothing else. */
static void solve_complementary_filters_are_definite(void **state)
{
    uint64_t domain = 3, x = 1, not_x = 2;
    struct solve_var var = {2, 0, 1};
    struct solve_literal literals[] = {{0, &x}, {0, &not_x}};
    struct solve_filter filters[] = {
        {0, 1, SOLVE_PERMIT, 0, false}, {1, 1, SOLVE_PERMIT, 0, false}, {2, 0, SOLVE_BLOCK, 0, false}};
    struct solve_sublayer sublayer = {0, 3};
    struct solve_step step = {0, 1};
    struct solve_problem p = {&var, 1, 1, &domain, literals, filters, 3, &sublayer, &step, 1, NULL, 0};
    struct solve_budget budget = {1000};
    uint32_t classes[1];

    (void)state;
    assert_int_equal(solve(&p, SOLVE_GOAL_PERMIT, 0, &budget, classes), SOLVE_FOUND);
    assert_int_equal(solve(&p, SOLVE_GOAL_BLOCK, 0, &budget, classes), SOLVE_NONE);
}

/* 300 permits for one app each over a default block, and a proof that no app escapes a hard permit above. */
static void solve_large_sublayers_stay_cheap(void **state)
{
    enum { APPS = 300, WORDS = (APPS + 64) / 64 };
    static uint64_t sets[APPS][WORDS];
    static struct solve_literal literals[APPS];
    static struct solve_filter filters[APPS + 2];
    uint64_t domain[WORDS] = {0};
    struct solve_var var = {APPS + 1, 0, WORDS};
    struct solve_sublayer sublayers[] = {{APPS + 1, 1}, {0, APPS + 1}};
    struct solve_step step = {1, 1};
    struct solve_problem p = {&var,     1,         WORDS, domain, literals, filters,
                              APPS + 2, sublayers, &step, 1,      NULL,     0};
    struct solve_budget budget = {2000};
    uint32_t classes[1], decider;

    (void)state;
    for (uint32_t i = 0; i <= APPS; i++)
        solve_set_bit(domain, i);
    for (uint32_t i = 0; i < APPS; i++) {
        solve_set_bit(sets[i], i + 1);
        literals[i] = (struct solve_literal){0, sets[i]};
        filters[i] = (struct solve_filter){i, 1, SOLVE_PERMIT, 0, false};
    }
    filters[APPS] = (struct solve_filter){0, 0, SOLVE_BLOCK, 0, false};
    filters[APPS + 1] = (struct solve_filter){0, 0, SOLVE_PERMIT_HARD, 0, false};
    assert_int_equal(solve(&p, SOLVE_GOAL_BLOCK, 0, &budget, classes), SOLVE_FOUND);
    assert_int_equal(classes[0], 0);
    assert_int_equal(solve(&p, SOLVE_GOAL_PERMIT, 0, &budget, classes), SOLVE_FOUND);
    assert_false(solve_blocks(&p, 0, classes, &decider));
    assert_int_equal(decider, classes[0] - 1);
    step = (struct solve_step){0, 2};
    assert_int_equal(solve(&p, SOLVE_GOAL_BLOCK, 0, &budget, classes), SOLVE_NONE);
    assert_true(budget.nodes > 0);
}

/* A budget that is too small is said, never taken for a proof. */
static void solve_budget_runs_out(void **state)
{
    uint64_t domain = 3, x = 1;
    struct solve_var var = {2, 0, 1};
    struct solve_literal literal = {0, &x};
    struct solve_filter filter = {0, 1, SOLVE_BLOCK, 0, false};
    struct solve_sublayer sublayer = {0, 1};
    struct solve_step step = {0, 1};
    struct solve_problem p = {&var, 1, 1, &domain, &literal, &filter, 1, &sublayer, &step, 1, NULL, 0};
    struct solve_budget budget = {1};
    uint32_t classes[1];

    (void)state;
    assert_true(solve(&p, SOLVE_GOAL_BLOCK, 0, &budget, classes) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(solve_random_problems),
        cmocka_unit_test(solve_complementary_filters_are_definite),
        cmocka_unit_test(solve_large_sublayers_stay_cheap),
        cmocka_unit_test(solve_budget_runs_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
