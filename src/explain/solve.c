/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search behind solve.h: a depth-first search over filters with three-valued judging.
 *
 * A node is a set of domains and a list of filters that were ruled out (clauses: at least one literal of each
 * must fail). Its children share nothing with it: each has its own copy of the domains, on a stack of words
 * that grows once and is reused. Depth is bounded by the number of filters plus callout variables, since
 * every child decides one more of them; recursion is therefore bounded too.
 */
#include "explain/solve.h"

#include "engine/arbitrate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- arbitration over sets of running states ------------------------------------------------------------
 */

/* The running state of arbitration (ARB-06): what was decided, and whether WRITE is still set. */
enum state { ST_NONE, ST_SOFT_PERMIT, ST_HARD_PERMIT, ST_SOFT_BLOCK, ST_HARD_BLOCK, ST_COUNT };
#define BLOCKED ((1u << ST_SOFT_BLOCK) | (1u << ST_HARD_BLOCK))

/* What a matching filter can say. */
enum said {
    SAID_CONTINUE,
    SAID_PERMIT,
    SAID_HARD_PERMIT,
    SAID_BLOCK,
    SAID_CALLOUT_PERMIT,
    SAID_CALLOUT_HARD_PERMIT,
    SAID_CALLOUT_BLOCK,
    SAID_COUNT
};
#define SAYS_BLOCK  ((1u << SAID_BLOCK) | (1u << SAID_CALLOUT_BLOCK))
#define SAYS_PERMIT (((1u << SAID_COUNT) - 1) & ~SAYS_BLOCK & ~(1u << SAID_CONTINUE))

/* What an answer makes of a state; `ends`: the sublayer asks no further filter. */
struct transition {
    uint8_t next;
    bool ends;
};

static enum state state_of(const struct engine_arbitration *a)
{
    if (a->action == 0)
        return ST_NONE;
    if (a->action == FWP_ACTION_PERMIT)
        return a->rights ? ST_SOFT_PERMIT : ST_HARD_PERMIT;
    return a->rights ? ST_SOFT_BLOCK : ST_HARD_BLOCK;
}

/* The engine's own arbitration, tabulated: the search cannot differ from it. */
static void tabulate(struct transition table[ST_COUNT][SAID_COUNT])
{
    static const struct engine_arbitration start[ST_COUNT] = {
        [ST_NONE] = {.action = 0, .rights = FWPS_RIGHT_ACTION_WRITE},
        [ST_SOFT_PERMIT] = {.action = FWP_ACTION_PERMIT, .rights = FWPS_RIGHT_ACTION_WRITE},
        [ST_HARD_PERMIT] = {.action = FWP_ACTION_PERMIT, .rights = 0},
        [ST_SOFT_BLOCK] = {.action = FWP_ACTION_BLOCK, .rights = FWPS_RIGHT_ACTION_WRITE},
        [ST_HARD_BLOCK] = {.action = FWP_ACTION_BLOCK, .rights = 0},
    };
    static const struct {
        FWP_ACTION_TYPE action;
        UINT32 flags;
        bool callout;
    } said[SAID_COUNT] = {
        [SAID_CONTINUE] = {FWP_ACTION_CONTINUE, 0, true},
        [SAID_PERMIT] = {FWP_ACTION_PERMIT, 0, false},
        [SAID_HARD_PERMIT] = {FWP_ACTION_PERMIT, FWPS_FILTER_FLAG_CLEAR_ACTION_RIGHT, false},
        [SAID_BLOCK] = {FWP_ACTION_BLOCK, 0, false},
        [SAID_CALLOUT_PERMIT] = {FWP_ACTION_PERMIT, 0, true},
        [SAID_CALLOUT_HARD_PERMIT] = {FWP_ACTION_PERMIT, FWPS_FILTER_FLAG_CLEAR_ACTION_RIGHT, true},
        [SAID_CALLOUT_BLOCK] = {FWP_ACTION_BLOCK, 0, true},
    };

    for (unsigned s = 0; s < ST_COUNT; s++) {
        for (unsigned a = 0; a < SAID_COUNT; a++) {
            struct engine_arbitration arb = start[s];
            struct engine_arb_step step;

            if (said[a].callout)
                step = engine_arb_supposed(&arb, NULL, FWP_ACTION_CALLOUT_UNKNOWN, said[a].flags,
                                           said[a].action);
            else
                step = engine_arb_filter(&arb, NULL, said[a].action, said[a].flags, 0);
            table[s][a] = (struct transition){(uint8_t)state_of(&arb), step.ends};
        }
    }
}

/* ---- the search's own state ------------------------------------------------------------------------------
 */

enum match { MATCH_NO, MATCH_MAYBE, MATCH_YES };

struct search {
    const struct solve_problem *p;
    struct solve_budget *budget;
    enum solve_goal goal;
    uint32_t step;
    struct transition table[ST_COUNT][SAID_COUNT];
    uint8_t *ruled_out; /* per filter: it is a clause */
    uint32_t *clauses;  /* the filters ruled out, as a stack */
    uint32_t clause_count;
    uint64_t *stack;                        /* domains of the nodes on the path */
    size_t stack_nodes, stack_room, stride; /* words a node */
    uint32_t *classes;                      /* out */
};

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

static enum match literal_match(const uint64_t *dom, const uint64_t *set, uint32_t words)
{
    uint64_t in = 0, out = 0;

    for (uint32_t w = 0; w < words; w++) {
        in |= dom[w] & set[w];
        out |= dom[w] & ~set[w];
    }
    if (in == 0)
        return MATCH_NO;
    return out == 0 ? MATCH_YES : MATCH_MAYBE;
}

static enum match filter_match(const struct search *s, const uint64_t *node, uint32_t f)
{
    const struct solve_filter *filter = &s->p->filters[f];
    enum match m = MATCH_YES;

    if (s->ruled_out[f])
        return MATCH_NO;
    for (uint32_t i = 0; i < filter->count; i++) {
        const struct solve_literal *l = &s->p->literals[filter->first + i];
        const struct solve_var *v = &s->p->vars[l->var];

        switch (literal_match(node + v->word, l->set, v->words)) {
        case MATCH_NO:
            return MATCH_NO;
        case MATCH_MAYBE:
            m = MATCH_MAYBE;
            break;
        case MATCH_YES:
            break;
        }
    }
    return m;
}

/* What the filter can say if it matches, as SAID_* bits; SAID_CONTINUE: it lets the sublayer go on. */
static unsigned filter_answers(const struct search *s, const uint64_t *node, uint32_t f)
{
    const struct solve_filter *filter = &s->p->filters[f];
    uint64_t dom;
    unsigned out = 0;

    switch (filter->answer) {
    case SOLVE_PERMIT:
        return 1u << SAID_PERMIT;
    case SOLVE_PERMIT_HARD:
        return 1u << SAID_HARD_PERMIT;
    case SOLVE_BLOCK:
        return 1u << SAID_BLOCK;
    case SOLVE_CALLOUT:
        break;
    }
    dom = node[s->p->vars[filter->callout].word];
    if (dom & (1u << SOLVE_CALLOUT_CONTINUE))
        out |= 1u << SAID_CONTINUE;
    if (dom & (1u << SOLVE_CALLOUT_PERMIT))
        out |= 1u << (filter->callout_hard ? SAID_CALLOUT_HARD_PERMIT : SAID_CALLOUT_PERMIT);
    if (dom & (1u << SOLVE_CALLOUT_BLOCK))
        out |= 1u << SAID_CALLOUT_BLOCK;
    return out;
}

/* ---- judging a node
 * ---------------------------------------------------------------------------------------- */

/* The states that a sublayer can leave behind when it is entered in `state`. */
static unsigned leave_one(const struct search *s, const uint64_t *node, const struct solve_sublayer *sub,
                          enum state state)
{
    unsigned out = 0;

    if (state == ST_HARD_BLOCK)
        return 1u << ST_HARD_BLOCK; /* ARB-08: final */
    for (uint32_t f = sub->first; f < sub->first + sub->count; f++) {
        enum match m = filter_match(s, node, f);
        bool goes_on = m == MATCH_MAYBE;
        unsigned said;

        if (m == MATCH_NO)
            continue;
        said = filter_answers(s, node, f);
        for (unsigned a = 0; a < SAID_COUNT; a++) {
            if (!(said & (1u << a)))
                continue;
            if (s->table[state][a].ends)
                out |= 1u << s->table[state][a].next;
            else
                goes_on = true;
        }
        if (!goes_on)
            return out; /* nothing behind it is asked (ARB-02) */
    }
    return out | 1u << state;
}

static unsigned leave(const struct search *s, const uint64_t *node, const struct solve_sublayer *sub,
                      unsigned states)
{
    unsigned out = 0;

    for (unsigned st = 0; st < ST_COUNT; st++) {
        if (states & (1u << st))
            out |= leave_one(s, node, sub, (enum state)st);
    }
    return out;
}

static unsigned step_states(const struct search *s, const uint64_t *node, const struct solve_step *step)
{
    unsigned states = 1u << ST_NONE;

    for (uint32_t i = 0; i < step->count; i++)
        states = leave(s, node, &s->p->sublayers[step->first + i], states);
    return states;
}

enum judgement { JUDGED_IMPOSSIBLE, JUDGED_OPEN, JUDGED_CERTAIN };

static enum judgement judge_step(const struct search *s, const uint64_t *node, uint32_t step)
{
    unsigned states = step_states(s, node, &s->p->steps[step]);
    unsigned good = s->goal == SOLVE_GOAL_BLOCK ? BLOCKED : ~BLOCKED;

    if (!(states & good))
        return JUDGED_IMPOSSIBLE;
    return states & ~good ? JUDGED_OPEN : JUDGED_CERTAIN;
}

/* *open is the first step that is not certain. */
static enum judgement judge(const struct search *s, const uint64_t *node, uint32_t *open)
{
    enum judgement all = JUDGED_CERTAIN;

    if (s->goal == SOLVE_GOAL_BLOCK) {
        *open = s->step;
        return judge_step(s, node, s->step);
    }
    for (uint32_t i = 0; i < s->p->step_count; i++) {
        enum judgement j = judge_step(s, node, i);

        if (j == JUDGED_IMPOSSIBLE)
            return j;
        if (j == JUDGED_OPEN && all == JUDGED_CERTAIN) {
            *open = i;
            all = j;
        }
    }
    return all;
}

/* ---- propagation
 * -------------------------------------------------------------------------------------------- */

static bool dom_empty(const uint64_t *dom, uint32_t words)
{
    for (uint32_t w = 0; w < words; w++) {
        if (dom[w] != 0)
            return false;
    }
    return true;
}

/* Narrows a domain to set (or to what is outside it). False: nothing is left. */
static bool narrow(const struct search *s, uint64_t *node, uint32_t var, const uint64_t *set, bool inside,
                   bool *changed)
{
    const struct solve_var *v = &s->p->vars[var];
    uint64_t *dom = node + v->word;
    uint64_t left = 0;

    for (uint32_t w = 0; w < v->words; w++) {
        uint64_t narrowed = dom[w] & (inside ? set[w] : ~set[w]);

        if (narrowed != dom[w]) {
            dom[w] = narrowed;
            *changed = true;
        }
        left |= narrowed;
    }
    return left != 0;
}

/* One clause: some literal of the filter must fail. */
static bool propagate_clause(const struct search *s, uint64_t *node, uint32_t f, bool *changed)
{
    const struct solve_filter *filter = &s->p->filters[f];
    const struct solve_literal *open = NULL;

    for (uint32_t i = 0; i < filter->count; i++) {
        const struct solve_literal *l = &s->p->literals[filter->first + i];
        const struct solve_var *v = &s->p->vars[l->var];

        switch (literal_match(node + v->word, l->set, v->words)) {
        case MATCH_NO:
            return true;
        case MATCH_YES:
            break;
        case MATCH_MAYBE:
            if (open != NULL)
                return true; /* two ways to fail are left */
            open = l;
            break;
        }
    }
    return open != NULL && narrow(s, node, open->var, open->set, false, changed);
}

/* Arc consistency of one constraint, both ways. */
static bool propagate_constraint(const struct search *s, uint64_t *node, const struct solve_constraint *c,
                                 bool *changed)
{
    const struct solve_var *a = &s->p->vars[c->a], *b = &s->p->vars[c->b];
    uint64_t *dom_a = node + a->word, *dom_b = node + b->word;
    bool any_a = false;

    for (uint32_t w = 0; w < b->words; w++) {
        uint64_t supported = 0;

        for (uint32_t i = 0; i < a->classes; i++) {
            if (solve_bit(dom_a, i))
                supported |= c->allowed[(size_t)i * b->words + w];
        }
        if (dom_b[w] & ~supported) {
            dom_b[w] &= supported;
            *changed = true;
        }
    }
    for (uint32_t i = 0; i < a->classes; i++) {
        const uint64_t *row = c->allowed + (size_t)i * b->words;

        if (!solve_bit(dom_a, i))
            continue;
        if (literal_match(dom_b, row, b->words) == MATCH_NO) {
            dom_a[i / 64] &= ~(UINT64_C(1) << (i % 64));
            *changed = true;
        } else {
            any_a = true;
        }
    }
    return any_a && !dom_empty(dom_b, b->words);
}

static bool propagate(const struct search *s, uint64_t *node)
{
    bool changed = true;

    while (changed) {
        changed = false;
        for (uint32_t i = 0; i < s->clause_count; i++) {
            if (!propagate_clause(s, node, s->clauses[i], &changed))
                return false;
        }
        for (uint32_t i = 0; i < s->p->constraint_count; i++) {
            if (!propagate_constraint(s, node, &s->p->constraints[i], &changed))
                return false;
        }
    }
    return true;
}

/* ---- from domains to one assignment
 * ------------------------------------------------------------------------- */

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
        err = propagate(s, node_at(s, child)) ? label(s, child, var + 1) : SOLVE_NONE;
        pop_node(s);
        if (err != SOLVE_NONE)
            return err;
        dom = dom_of(s, node_at(s, node), var);
        dom[c / 64] &= ~(UINT64_C(1) << (c % 64));
        if (!propagate(s, node_at(s, node)))
            return SOLVE_NONE;
    }
}

/* ---- choosing what to decide next
 * --------------------------------------------------------------------------- */

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

        n += literal_match(node + v->word, l->set, v->words) == MATCH_MAYBE;
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
        enum match m = filter_match(s, node, f);
        unsigned said;

        if (m == MATCH_NO)
            continue;
        said = filter_answers(s, node, f);
        if (m == MATCH_YES) {
            if (said & wanted && first_maybe != UINT32_MAX) {
                out->filter = first_maybe;
                out->match_first = filter_answers(s, node, first_maybe) & wanted;
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
            enum match m = filter_match(s, node, f);

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
        enum match m = filter_match(s, node, f);

        if (m == MATCH_NO || !(filter_answers(s, node, f) & SAYS_BLOCK))
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
        unsigned unblocked = leave(s, node, sub, states & ~BLOCKED);

        if (unblocked & BLOCKED && unblocked & ~BLOCKED) { /* here it is decided, one way or the other */
            if (s->goal == SOLVE_GOAL_BLOCK) {
                if (choose_in_sublayer(s, node, sub, SAYS_BLOCK, out))
                    return true;
            } else if (choose_against_block(s, node, sub, out)) {
                return true;
            }
        }
        states = unblocked | leave(s, node, sub, states & BLOCKED);
    }
    return choose_any(s, node, step, out);
}

/* ---- the search
 * --------------------------------------------------------------------------------------------- */

static int descend(struct search *s, size_t node);

static bool force_match(const struct search *s, uint64_t *node, uint32_t f)
{
    const struct solve_filter *filter = &s->p->filters[f];
    bool changed = false;

    for (uint32_t i = 0; i < filter->count; i++) {
        const struct solve_literal *l = &s->p->literals[filter->first + i];

        if (!narrow(s, node, l->var, l->set, true, &changed))
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
        err = force_match(s, node_at(s, child), f) && propagate(s, node_at(s, child)) ? descend(s, child)
                                                                                      : SOLVE_NONE;
    } else {
        s->clauses[s->clause_count++] = f;
        s->ruled_out[f] = 1;
        err = propagate(s, node_at(s, child)) ? descend(s, child) : SOLVE_NONE;
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
    err = narrow(s, node_at(s, child), var, &set, is, &changed) && propagate(s, node_at(s, child))
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
    switch (judge(s, node_at(s, node), &open)) {
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

    tabulate(s.table);
    s.ruled_out = calloc(p->filter_count + 1, 1);
    s.clauses = calloc(p->filter_count + 1, sizeof *s.clauses);
    s.stack = calloc(s.stack_room * s.stride, sizeof *s.stack);
    if (s.ruled_out == NULL || s.clauses == NULL || s.stack == NULL)
        goto out;
    if (p->words != 0)
        memcpy(s.stack, p->domains, p->words * sizeof *s.stack);
    s.stack_nodes = 1;
    err = propagate(&s, s.stack) ? descend(&s, 0) : SOLVE_NONE;
out:
    free(s.stack);
    free(s.clauses);
    free(s.ruled_out);
    return err;
}

/* ---- full assignments
 * ----------------------------------------------------------------------------------------- */

static enum said says(const struct solve_filter *filter, const uint32_t *classes)
{
    switch (filter->answer) {
    case SOLVE_PERMIT:
        return SAID_PERMIT;
    case SOLVE_PERMIT_HARD:
        return SAID_HARD_PERMIT;
    case SOLVE_BLOCK:
        return SAID_BLOCK;
    case SOLVE_CALLOUT:
        break;
    }
    switch (classes[filter->callout]) {
    case SOLVE_CALLOUT_PERMIT:
        return filter->callout_hard ? SAID_CALLOUT_HARD_PERMIT : SAID_CALLOUT_PERMIT;
    case SOLVE_CALLOUT_BLOCK:
        return SAID_CALLOUT_BLOCK;
    default:
        return SAID_CONTINUE;
    }
}

bool solve_blocks(const struct solve_problem *p, uint32_t step_index, const uint32_t *classes,
                  uint32_t *decider)
{
    const struct solve_step *step = &p->steps[step_index];
    struct transition table[ST_COUNT][SAID_COUNT];
    enum state state = ST_NONE;

    tabulate(table);
    *decider = UINT32_MAX;
    for (uint32_t i = 0; i < step->count; i++) {
        const struct solve_sublayer *sub = &p->sublayers[step->first + i];

        for (uint32_t f = sub->first; f < sub->first + sub->count; f++) {
            const struct solve_filter *filter = &p->filters[f];
            struct transition t;
            bool match = true;

            for (uint32_t k = 0; k < filter->count && match; k++) {
                const struct solve_literal *l = &p->literals[filter->first + k];

                match = solve_bit(l->set, classes[l->var]);
            }
            if (!match)
                continue;
            t = table[state][says(filter, classes)];
            if (!t.ends)
                continue;
            /* while WRITE is set every answer stands, also one that repeats what was said */
            if (t.next != state || state == ST_SOFT_PERMIT || state == ST_SOFT_BLOCK)
                *decider = f;
            state = (enum state)t.next;
            break;
        }
    }
    return (1u << state) & BLOCKED;
}

bool solve_narrow(const struct solve_problem *p, uint64_t *domains)
{
    const struct search s = {.p = p};

    return propagate(&s, domains);
}

bool solve_consistent(const struct solve_problem *p, const uint32_t *classes)
{
    for (uint32_t v = 0; v < p->var_count; v++) {
        if (!solve_bit(p->domains + p->vars[v].word, classes[v]))
            return false;
    }
    for (uint32_t i = 0; i < p->constraint_count; i++) {
        const struct solve_constraint *c = &p->constraints[i];

        if (!solve_bit(c->allowed + (size_t)classes[c->a] * p->vars[c->b].words, classes[c->b]))
            return false;
    }
    return true;
}
