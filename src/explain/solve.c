/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search behind solve.h: a depth-first search over filters with three-valued judging.
 *
 * A node is a set of domains and a list of filters that were ruled out (clauses: at least one literal of each
 * must fail). Its children share nothing with it: each has its own copy of the domains, on a stack of words
 * that grows once and is reused. Depth is bounded by the number of filters plus callout variables, since
 * every child decides one more of them; recursion is therefore bounded too.
 */
#include "explain/solve_node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint64_t *dom_of(const struct search *s, uint64_t *node, uint32_t var)
{
    return node + s->p->vars[var].word;
}

/* Nodes live on one stack that may move when it grows: functions below take node numbers, not pointers. */
static uint64_t *node_at(struct search *s, size_t node)
{
    return s->stack + node * s->stride;
}

static int push_copy(struct search *s, size_t from, size_t *out)
{
    if (s->stack_nodes == s->stack_room) {
        size_t room = s->stack_room * 2;
        uint64_t *grown = realloc(s->stack, room * s->stride * sizeof *grown);

        if (grown == NULL)
            return -ENOMEM;
        s->stack = grown;
        s->stack_room = room;
    }
    memcpy(node_at(s, s->stack_nodes), node_at(s, from), s->stride * sizeof(uint64_t));
    *out = s->stack_nodes++;
    return 0;
}

static void pop_node(struct search *s)
{
    s->stack_nodes--;
}

/* ---- from domains to one assignment ---------------------------------------------------------- */

static uint32_t dom_first(const uint64_t *dom, uint32_t words)
{
    for (uint32_t w = 0; w < words; w++) {
        if (dom[w] != 0)
            return w * 64 + (uint32_t)__builtin_ctzll(dom[w]);
    }
    return UINT32_MAX;
}

static bool dom_single(const uint64_t *dom, uint32_t words)
{
    unsigned n = 0;

    for (uint32_t w = 0; w < words; w++)
        n += (unsigned)__builtin_popcountll(dom[w]);
    return n == 1;
}

static int spend(struct search *s)
{
    if (s->budget->nodes == 0)
        return -E2BIG;
    s->budget->nodes--;
    return 0;
}

/* Gives every variable one class, lowest first, under the clauses and constraints. Variables are settled from
 * `var` on. The node is the caller's to pop. */
static int label(struct search *s, size_t node, uint32_t var)
{
    const struct solve_problem *p = s->p;
    int err;

    while (var < p->var_count && dom_single(node_at(s, node) + p->vars[var].word, p->vars[var].words))
        var++;
    if (var == p->var_count) {
        for (uint32_t v = 0; v < p->var_count; v++)
            s->classes[v] = dom_first(node_at(s, node) + p->vars[v].word, p->vars[v].words);
        return SOLVE_FOUND;
    }
    for (;;) {
        uint64_t *dom = dom_of(s, node_at(s, node), var);
        uint32_t c = dom_first(dom, p->vars[var].words);
        size_t child;

        if (c == UINT32_MAX)
            return SOLVE_NONE;
        err = spend(s);
        if (err == 0)
            err = push_copy(s, node, &child);
        if (err != 0)
            return err;
        dom = dom_of(s, node_at(s, child), var);
        memset(dom, 0, p->vars[var].words * sizeof *dom);
        solve_set_bit(dom, c);
        err = node_propagate(s, node_at(s, child)) ? label(s, child, var + 1) : SOLVE_NONE;
        pop_node(s);
        if (err != SOLVE_NONE)
            return err;
        dom = dom_of(s, node_at(s, node), var);
        dom[c / 64] &= ~(UINT64_C(1) << (c % 64));
        if (!node_propagate(s, node_at(s, node)))
            return SOLVE_NONE;
    }
}

/* ---- choosing what to decide next ------------------------------------------------------------ */

struct choice {
    uint32_t filter;  /* UINT32_MAX: `callout` is decided instead */
    bool match_first; /* try "it matches" before "it does not" */
    uint32_t callout, callout_class;
};

static uint32_t undecided_literals(const struct search *s, const uint64_t *node, uint32_t f)
{
    const struct solve_filter *filter = &s->p->filters[f];
    uint32_t n = 0;

    for (uint32_t i = 0; i < filter->count; i++) {
        const struct solve_literal *l = &s->p->literals[filter->first + i];
        const struct solve_var *v = &s->p->vars[l->var];

        n += node_literal_match(node + v->word, l->set, v->words) == MATCH_MAYBE;
    }
    return n;
}

/* Settles an undecided callout variable of a filter that matches. */
static bool choose_callout(const struct search *s, const uint64_t *node, uint32_t f, unsigned wanted,
                           struct choice *out)
{
    const struct solve_filter *filter = &s->p->filters[f];
    uint64_t dom;

    if (filter->answer != SOLVE_CALLOUT)
        return false;
    dom = node[s->p->vars[filter->callout].word];
    if ((dom & (dom - 1)) == 0)
        return false;
    out->filter = UINT32_MAX;
    out->callout = filter->callout;
    if (wanted & SAYS_BLOCK && dom & (1u << SOLVE_CALLOUT_BLOCK))
        out->callout_class = SOLVE_CALLOUT_BLOCK;
    else if (!(wanted & SAYS_BLOCK) && dom & (1u << SOLVE_CALLOUT_PERMIT))
        out->callout_class = SOLVE_CALLOUT_PERMIT;
    else
        out->callout_class = dom_first(&dom, 1);
    return true;
}

/*
 * Within one sublayer, bring about an answer that is in `wanted`: if a filter with such an answer is sure to
 * match, clear the way before it; else make the cheapest one match.
 */
static bool choose_in_sublayer(const struct search *s, const uint64_t *node, const struct solve_sublayer *sub,
                               unsigned wanted, struct choice *out)
{
    uint32_t first_maybe = UINT32_MAX, best = UINT32_MAX, best_cost = UINT32_MAX;

    for (uint32_t f = sub->first; f < sub->first + sub->count; f++) {
        enum match m = node_filter_match(s, node, f);
        unsigned said;

        if (m == MATCH_NO)
            continue;
        said = node_filter_answers(s, node, f);
        if (m == MATCH_YES) {
            if (said & wanted && first_maybe != UINT32_MAX) {
                out->filter = first_maybe;
                out->match_first = node_filter_answers(s, node, first_maybe) & wanted;
                return true;
            }
            if (choose_callout(s, node, f, wanted, out))
                return true;
            if (!(said & (1u << SAID_CONTINUE)))
                break;
            continue;
        }
        if (first_maybe == UINT32_MAX)
            first_maybe = f;
        if (said & wanted) {
            uint32_t cost = undecided_literals(s, node, f);

            if (cost < best_cost) {
                best_cost = cost;
                best = f;
            }
        }
    }
    if (best == UINT32_MAX)
        return false;
    out->filter = best;
    out->match_first = true;
    return true;
}

/* Nothing is known to be wanted: any filter of the step that is still open. */
static bool choose_any(const struct search *s, const uint64_t *node, const struct solve_step *step,
                       struct choice *out)
{
    for (uint32_t i = 0; i < step->count; i++) {
        const struct solve_sublayer *sub = &s->p->sublayers[step->first + i];

        for (uint32_t f = sub->first; f < sub->first + sub->count; f++) {
            enum match m = node_filter_match(s, node, f);

            if (m == MATCH_MAYBE) {
                out->filter = f;
                out->match_first = false;
                return true;
            }
            if (m == MATCH_YES && choose_callout(s, node, f, 0, out))
                return true;
        }
    }
    return false;
}

/* The goal is PERMIT and this sublayer can block: the first block that might match must not; where one is
 * sure to match, a permit must come before it. */
static bool choose_against_block(const struct search *s, const uint64_t *node,
                                 const struct solve_sublayer *sub, struct choice *out)
{
    for (uint32_t f = sub->first; f < sub->first + sub->count; f++) {
        enum match m = node_filter_match(s, node, f);

        if (m == MATCH_NO || !(node_filter_answers(s, node, f) & SAYS_BLOCK))
            continue;
        if (m == MATCH_YES)
            break;
        out->filter = f;
        out->match_first = false;
        return true;
    }
    return choose_in_sublayer(s, node, sub, SAYS_PERMIT, out);
}

static bool choose(const struct search *s, const uint64_t *node, uint32_t step_index, struct choice *out)
{
    const struct solve_step *step = &s->p->steps[step_index];
    unsigned states = 1u << ST_NONE;

    for (uint32_t i = 0; i < step->count; i++) {
        const struct solve_sublayer *sub = &s->p->sublayers[step->first + i];
        unsigned unblocked = node_leave(s, node, sub, states & ~BLOCKED);

        if (unblocked & BLOCKED && unblocked & ~BLOCKED) { /* here it is decided, one way or the other */
            if (s->goal == SOLVE_GOAL_BLOCK) {
                if (choose_in_sublayer(s, node, sub, SAYS_BLOCK, out))
                    return true;
            } else if (choose_against_block(s, node, sub, out)) {
                return true;
            }
        }
        states = unblocked | node_leave(s, node, sub, states & BLOCKED);
    }
    return choose_any(s, node, step, out);
}

/* ---- the search ------------------------------------------------------------------------------ */

static int descend(struct search *s, size_t node);

static bool force_match(const struct search *s, uint64_t *node, uint32_t f)
{
    const struct solve_filter *filter = &s->p->filters[f];
    bool changed = false;

    for (uint32_t i = 0; i < filter->count; i++) {
        const struct solve_literal *l = &s->p->literals[filter->first + i];

        if (!node_narrow(s, node, l->var, l->set, true, &changed))
            return false;
    }
    return true;
}

static int try_filter(struct search *s, size_t node, uint32_t f, bool match)
{
    size_t child;
    int err = push_copy(s, node, &child);

    if (err != 0)
        return err;
    if (match) {
        err = force_match(s, node_at(s, child), f) && node_propagate(s, node_at(s, child)) ? descend(s, child)
                                                                                           : SOLVE_NONE;
    } else {
        s->clauses[s->clause_count++] = f;
        s->ruled_out[f] = 1;
        err = node_propagate(s, node_at(s, child)) ? descend(s, child) : SOLVE_NONE;
        s->ruled_out[f] = 0;
        s->clause_count--;
    }
    pop_node(s);
    return err;
}

static int try_callout(struct search *s, size_t node, uint32_t var, uint32_t class, bool is)
{
    uint64_t set = UINT64_C(1) << class;
    bool changed = false;
    size_t child;
    int err = push_copy(s, node, &child);

    if (err != 0)
        return err;
    err = node_narrow(s, node_at(s, child), var, &set, is, &changed) && node_propagate(s, node_at(s, child))
              ? descend(s, child)
              : SOLVE_NONE;
    pop_node(s);
    return err;
}

static int descend(struct search *s, size_t node)
{
    struct choice c;
    uint32_t open;
    size_t child;
    int err = spend(s);

    if (err != 0)
        return err;
    switch (node_judge(s, node_at(s, node), &open)) {
    case JUDGED_IMPOSSIBLE:
        return SOLVE_NONE;
    case JUDGED_CERTAIN:
        err = push_copy(s, node, &child);
        if (err != 0)
            return err;
        err = label(s, child, 0);
        pop_node(s);
        return err;
    case JUDGED_OPEN:
        break;
    }
    /* Open means that some filter or callout of the step is undecided, so there is a choice. */
    if (!choose(s, node_at(s, node), open, &c))
        return SOLVE_NONE;
    if (c.filter != UINT32_MAX) {
        err = try_filter(s, node, c.filter, c.match_first);
        return err != SOLVE_NONE ? err : try_filter(s, node, c.filter, !c.match_first);
    }
    err = try_callout(s, node, c.callout, c.callout_class, true);
    return err != SOLVE_NONE ? err : try_callout(s, node, c.callout, c.callout_class, false);
}

int solve(const struct solve_problem *p, enum solve_goal goal, uint32_t step, struct solve_budget *budget,
          uint32_t *classes)
{
    struct search s = {.p = p,
                       .budget = budget,
                       .goal = goal,
                       .step = step,
                       .classes = classes,
                       .stack_room = 16,
                       .stride = (size_t)p->words + 1};
    int err = -ENOMEM;

    node_tabulate(s.table);
    s.ruled_out = calloc(p->filter_count + 1, 1);
    s.clauses = calloc(p->filter_count + 1, sizeof *s.clauses);
    s.stack = calloc(s.stack_room * s.stride, sizeof *s.stack);
    if (s.ruled_out == NULL || s.clauses == NULL || s.stack == NULL)
        goto out;
    if (p->words != 0)
        memcpy(s.stack, p->domains, p->words * sizeof *s.stack);
    s.stack_nodes = 1;
    err = node_propagate(&s, s.stack) ? descend(&s, 0) : SOLVE_NONE;
out:
    free(s.stack);
    free(s.clauses);
    free(s.ruled_out);
    return err;
}
