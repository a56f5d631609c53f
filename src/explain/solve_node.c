/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One node of the search: what its domains say of filters, sublayers and steps, and what follows from its
 * clauses and constraints. Nothing here chooses anything.
 */
#include "explain/solve_node.h"

#include "engine/arbitrate.h"

/* ---- arbitration, as a table ----------------------------------------------------------------- */

static enum state state_of(const struct engine_arbitration *a)
{
    if (a->action == 0)
        return ST_NONE;
    if (a->action == FWP_ACTION_PERMIT)
        return a->rights ? ST_SOFT_PERMIT : ST_HARD_PERMIT;
    return a->rights ? ST_SOFT_BLOCK : ST_HARD_BLOCK;
}

/* The engine's own arbitration, tabulated: the search cannot differ from it. */
void node_tabulate(struct transition table[ST_COUNT][SAID_COUNT])
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

/* ---- filters --------------------------------------------------------------------------------- */

enum match node_literal_match(const uint64_t *dom, const uint64_t *set, uint32_t words)
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

enum match node_filter_match(const struct search *s, const uint64_t *node, uint32_t f)
{
    const struct solve_filter *filter = &s->p->filters[f];
    enum match m = MATCH_YES;

    if (s->ruled_out[f])
        return MATCH_NO;
    for (uint32_t i = 0; i < filter->count; i++) {
        const struct solve_literal *l = &s->p->literals[filter->first + i];
        const struct solve_var *v = &s->p->vars[l->var];

        switch (node_literal_match(node + v->word, l->set, v->words)) {
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
unsigned node_filter_answers(const struct search *s, const uint64_t *node, uint32_t f)
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

/* ---- judging a node -------------------------------------------------------------------------- */

/* The states that a sublayer can leave behind when it is entered in `state`. */
static unsigned leave_one(const struct search *s, const uint64_t *node, const struct solve_sublayer *sub,
                          enum state state)
{
    unsigned out = 0;

    if (state == ST_HARD_BLOCK)
        return 1u << ST_HARD_BLOCK; /* ARB-08: final */
    for (uint32_t f = sub->first; f < sub->first + sub->count; f++) {
        enum match m = node_filter_match(s, node, f);
        bool goes_on = m == MATCH_MAYBE;
        unsigned said;

        if (m == MATCH_NO)
            continue;
        said = node_filter_answers(s, node, f);
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

unsigned node_leave(const struct search *s, const uint64_t *node, const struct solve_sublayer *sub,
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
        states = node_leave(s, node, &s->p->sublayers[step->first + i], states);
    return states;
}

static enum judgement judge_step(const struct search *s, const uint64_t *node, uint32_t step)
{
    unsigned states = step_states(s, node, &s->p->steps[step]);
    unsigned good = s->goal == SOLVE_GOAL_BLOCK ? BLOCKED : ~BLOCKED;

    if (!(states & good))
        return JUDGED_IMPOSSIBLE;
    return states & ~good ? JUDGED_OPEN : JUDGED_CERTAIN;
}

/* *open is the first step that is not certain. */
enum judgement node_judge(const struct search *s, const uint64_t *node, uint32_t *open)
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

/* ---- propagation ----------------------------------------------------------------------------- */

static bool dom_empty(const uint64_t *dom, uint32_t words)
{
    for (uint32_t w = 0; w < words; w++) {
        if (dom[w] != 0)
            return false;
    }
    return true;
}

/* Narrows a domain to set (or to what is outside it). False: nothing is left. */
bool node_narrow(const struct search *s, uint64_t *node, uint32_t var, const uint64_t *set, bool inside,
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

        switch (node_literal_match(node + v->word, l->set, v->words)) {
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
    return open != NULL && node_narrow(s, node, open->var, open->set, false, changed);
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
        if (node_literal_match(dom_b, row, b->words) == MATCH_NO) {
            dom_a[i / 64] &= ~(UINT64_C(1) << (i % 64));
            *changed = true;
        } else {
            any_a = true;
        }
    }
    return any_a && !dom_empty(dom_b, b->words);
}

bool node_propagate(const struct search *s, uint64_t *node)
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

/* ---- full assignments ------------------------------------------------------------------------ */

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

    node_tabulate(table);
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

    return node_propagate(&s, domains);
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
