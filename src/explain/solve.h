/* SPDX-License-Identifier: Apache-2.0 */
/*
 * solve: can this come out PERMITTED, can it come out BLOCKED, and with which values?
 *
 * The search knows nothing of filters' fields and types. What it is given is a problem over variables, each
 * with a finite number of classes (values that no condition tells apart):
 *
 *   step 0 (a layer)            step 1 ...          a literal: variable v's class is in this set
 *     sublayer, by weight                           a filter matches when all its literals hold
 *       filter, by weight  ---->  answer            a callout's answer is itself a variable
 *
 * and constraints: which pairs of classes of two variables can be true together. A domain is the set of
 * classes that a variable may still have; the search narrows domains until an outcome is certain.
 *
 *   solve()  ->  one class for each variable, or "there is none", which is a proof.
 *
 * How: at each node every step is judged as far as its domains allow (which running states of arbitration can
 * be left behind, ARB-06..15); a goal that no state allows is cut off, a goal that all states give is won.
 * Between the two, one undecided filter is made to match or not to match, whichever brings the goal nearer;
 * what must not match is kept as a clause and propagated. Every choice is tried both ways, so the answer is
 * exact, however good or bad the choices were.
 *
 * A problem is read only while it is solved; everything in it belongs to the caller. No global state.
 */
#ifndef WEIR_EXPLAIN_SOLVE_H
#define WEIR_EXPLAIN_SOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a matching filter says. */
enum solve_answer {
    SOLVE_PERMIT,      /* soft: ARB-10 */
    SOLVE_PERMIT_HARD, /* with CLEAR_ACTION_RIGHT: ARB-12 */
    SOLVE_BLOCK,       /* a filter's block is hard */
    SOLVE_CALLOUT,     /* what the variable `callout` says; its classes are enum solve_callout_class */
};

enum solve_callout_class {
    SOLVE_CALLOUT_CONTINUE,
    SOLVE_CALLOUT_PERMIT,
    SOLVE_CALLOUT_BLOCK, /* given as the contract asks (struct engine_assumption) */
    SOLVE_CALLOUT_CLASSES,
};

struct solve_literal {
    uint32_t var;
    const uint64_t *set; /* as many words as the variable's domain */
};

struct solve_filter {
    uint32_t first, count; /* literals[first .. first + count): all must hold; none: always matches */
    enum solve_answer answer;
    uint32_t callout;  /* SOLVE_CALLOUT: the variable */
    bool callout_hard; /* ... and its permit leaves no right behind */
};

struct solve_sublayer {
    uint32_t first, count; /* filters */
};

struct solve_step {
    uint32_t first, count; /* sublayers, heaviest first */
};

struct solve_var {
    uint32_t classes;
    uint32_t word, words; /* where its domain lies in the concatenation of all domains */
};

/* allowed[class of a] is a set over b's classes. */
struct solve_constraint {
    uint32_t a, b;
    const uint64_t *allowed; /* vars[a].classes rows of vars[b].words words */
};

struct solve_problem {
    const struct solve_var *vars;
    uint32_t var_count;
    uint32_t words;          /* of all domains together */
    const uint64_t *domains; /* where the search starts */
    const struct solve_literal *literals;
    const struct solve_filter *filters;
    uint32_t filter_count;
    const struct solve_sublayer *sublayers;
    const struct solve_step *steps;
    uint32_t step_count;
    const struct solve_constraint *constraints;
    uint32_t constraint_count;
};

/* All steps permit; or this one blocks. */
enum solve_goal { SOLVE_GOAL_PERMIT, SOLVE_GOAL_BLOCK };

struct solve_budget {
    uint64_t nodes; /* left; counts down */
};

#define SOLVE_FOUND 1
#define SOLVE_NONE  0

/*
 * Looks for an assignment (one class a variable, into classes[var_count]) that reaches the goal.
 * SOLVE_GOAL_PERMIT looks at all steps, SOLVE_GOAL_BLOCK at `step` only. SOLVE_FOUND; SOLVE_NONE: proved that
 * there is none; -E2BIG: the budget ran out first; -ENOMEM. Where several classes do, the lowest is taken:
 * put the ordinary ones first.
 */
int solve(const struct solve_problem *p, enum solve_goal goal, uint32_t step, struct solve_budget *budget,
          uint32_t *classes);

/* What the step comes to under a full assignment: blocked or not, and the filter that decided (UINT32_MAX:
 * none, the implicit permit). */
bool solve_blocks(const struct solve_problem *p, uint32_t step, const uint32_t *classes, uint32_t *decider);

/* Takes out of the domains what the constraints alone rule out. False: nothing is left of one of them. */
bool solve_narrow(const struct solve_problem *p, uint64_t *domains);

/* Is the assignment inside the domains, and allowed by every constraint? */
bool solve_consistent(const struct solve_problem *p, const uint32_t *classes);

static inline bool solve_bit(const uint64_t *set, uint32_t i)
{
    return (set[i / 64] >> (i % 64)) & 1;
}

static inline void solve_set_bit(uint64_t *set, uint32_t i)
{
    set[i / 64] |= UINT64_C(1) << (i % 64);
}

#endif
