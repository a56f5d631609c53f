/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From search to answer: one search for a world that permits, one a step for a world that blocks; the two
 * brought near to each other; both judged by the naive engine before anybody sees them.
 */
#include "explain/answer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *explain_verdict_name(enum explain_verdict v)
{
    static const char *const names[] = {"PERMITTED", "BLOCKED", "DEPENDS", "UNDECIDED", "CONTRADICTION"};

    return names[v];
}

/* ---- judging --------------------------------------------------------------------------------- */

const struct explain_value *explain_world_value(const struct explain_problem *p,
                                                const struct explain_world *w, uint32_t step, UINT16 field)
{
    const struct explain_source *s = &p->steps[step].source[field];

    return &p->vars[s->var].classes[w->classes[s->var]].v[s->slot];
}

struct recorder {
    struct explain_arena *a;
    struct explain_step_result *r;
    uint32_t match_room, sublayer_room, first_match;
};

static void *more(struct explain_arena *a, void *items, uint32_t count, uint32_t *room, size_t size)
{
    void *grown;

    if (count < *room)
        return items;
    grown = explain_alloc(a, ((size_t)*room * 2 + 8) * size);
    if (grown == NULL)
        return NULL;
    if (count != 0)
        memcpy(grown, items, count * size);
    *room = *room * 2 + 8;
    return grown;
}

static void record_filter(void *ctx, const struct engine_filter *f, enum engine_answer answer,
                          bool substitute)
{
    struct recorder *rec = ctx;
    struct explain_step_result *r = rec->r;
    void *items = more(rec->a, r->matches, r->match_count, &rec->match_room, sizeof *r->matches);

    if (items == NULL)
        return;
    r->matches = items;
    r->matches[r->match_count++] =
        (struct explain_match){engine_filter_fwps(f)->filterId, answer, substitute};
}

static void record_sublayer(void *ctx, const struct engine_sublayer_result *s)
{
    struct recorder *rec = ctx;
    struct explain_step_result *r = rec->r;
    void *items = more(rec->a, r->sublayers, r->sublayer_count, &rec->sublayer_room, sizeof *r->sublayers);

    if (items == NULL)
        return;
    r->sublayers = items;
    r->sublayers[r->sublayer_count++] = (struct explain_sublayer_result){
        .key = *s->key,
        .weight = s->weight,
        .filter_id = s->filter != NULL ? engine_filter_fwps(s->filter)->filterId : 0,
        .action = s->action,
        .running = s->running,
        .rights = s->rights,
        .took_effect = s->took_effect,
        .first_match = rec->first_match,
        .match_count = r->match_count - rec->first_match,
    };
    rec->first_match = r->match_count;
}

FWP_ACTION_TYPE explain_callout_action(enum solve_callout_class class)
{
    return class == SOLVE_CALLOUT_PERMIT  ? FWP_ACTION_PERMIT
           : class == SOLVE_CALLOUT_BLOCK ? FWP_ACTION_BLOCK
                                          : FWP_ACTION_CONTINUE;
}

int explain_judge_values(const struct explain_state *state, struct explain_arena *a,
                         const FWPS_INCOMING_VALUES0 *in, const struct engine_assumption *assumptions,
                         size_t assumption_count, bool naive, struct explain_step_result *out)
{
    struct recorder rec = {.a = a, .r = out};
    struct engine_trace trace = {.ctx = &rec, .filter = record_filter, .sublayer = record_sublayer};
    struct engine_request request = {.values = in,
                                     .trace = &trace,
                                     .assumptions = assumptions,
                                     .assumption_count = assumption_count,
                                     .supposed = true};
    struct engine_verdict verdict;
    NTSTATUS status = naive ? engine_classify_naive(state->reader, &request, &verdict)
                            : engine_classify(state->reader, &request, &verdict);

    if (status != STATUS_SUCCESS)
        return -EPROTO;
    out->blocked = verdict.action == FWP_ACTION_BLOCK;
    out->filter_id = verdict.filter_id;
    out->flags = verdict.flags;
    out->rights = verdict.rights;
    return a->failed ? -ENOMEM : 0;
}

static int judge_step(struct explain_problem *p, const struct explain_world *w, uint32_t step,
                      const struct engine_assumption *assumptions, size_t assumption_count,
                      struct explain_step_result *out)
{
    const struct engine_layer *layer = p->steps[step].layer;
    FWPS_INCOMING_VALUE0 *values = explain_alloc(&p->arena, (layer->field_count + 1) * sizeof *values);
    FWPS_INCOMING_VALUES0 in = {layer->id, layer->field_count, values};

    if (values == NULL)
        return -ENOMEM;
    for (UINT16 i = 0; i < layer->field_count; i++)
        values[i].value = explain_world_value(p, w, step, i)->value;
    return explain_judge_values(p->state, &p->arena, &in, assumptions, assumption_count, true, out);
}

/* The step whose answer people mean: the first block; without one, the layer that authorizes the operation.
 */
static uint32_t decisive_step(const struct explain_problem *p, const struct explain_world *w)
{
    static const char *const authorizing[] = {"_ALE_AUTH_CONNECT_", "_ALE_AUTH_RECV_ACCEPT_",
                                              "_ALE_AUTH_LISTEN_", "_ALE_RESOURCE_ASSIGNMENT_"};

    for (uint32_t s = 0; s < p->step_count; s++) {
        if (w->steps[s].blocked)
            return s;
    }
    for (size_t i = 0; i < sizeof authorizing / sizeof authorizing[0]; i++) {
        for (uint32_t s = 0; s < p->step_count; s++) {
            if (strstr(p->steps[s].layer->name, authorizing[i]) != NULL)
                return s;
        }
    }
    for (uint32_t s = 0; s < p->step_count; s++) {
        if (w->steps[s].filter_id != 0)
            return s;
    }
    return 0;
}

int explain_world_judge(struct explain_problem *p, const uint32_t *classes, struct explain_world *out,
                        const char **error)
{
    struct engine_assumption *assumptions =
        explain_alloc(&p->arena, (p->var_count + 1) * sizeof *assumptions);
    size_t n = 0;

    *out = (struct explain_world){0};
    out->classes = explain_copy(&p->arena, classes, p->var_count * sizeof *classes);
    out->steps = explain_alloc(&p->arena, (p->step_count + 1) * sizeof *out->steps);
    if (p->arena.failed)
        return -ENOMEM;
    for (uint32_t v = 0; v < p->var_count; v++) {
        if (p->vars[v].callout)
            assumptions[n++] =
                (struct engine_assumption){p->vars[v].callout_key, explain_callout_action(classes[v])};
    }
    for (uint32_t s = 0; s < p->step_count; s++) {
        uint32_t decider;
        int err = judge_step(p, out, s, assumptions, n, &out->steps[s]);

        if (err == 0 && out->steps[s].blocked != solve_blocks(&p->solve, s, classes, &decider))
            err = -EPROTO;
        if (err == -EPROTO)
            *error = explain_printf(&p->arena,
                                    "internal error: the naive engine says %s at %s, the search does not",
                                    out->steps[s].blocked ? "BLOCK" : "PERMIT", p->steps[s].layer->name);
        if (err != 0)
            return err;
        out->blocked = out->blocked || out->steps[s].blocked;
    }
    out->decisive = decisive_step(p, out);
    return 0;
}

/* ---- what it depends on ---------------------------------------------------------------------- */

static bool any_block(const struct explain_problem *p, const uint32_t *classes)
{
    uint32_t decider;

    for (uint32_t s = 0; s < p->step_count; s++) {
        if (p->solve.steps[s].count != 0 && solve_blocks(&p->solve, s, classes, &decider))
            return true;
    }
    return false;
}

/* Is this a possible world with that outcome? */
static bool comes_to(const struct explain_problem *p, const uint32_t *classes, bool blocked)
{
    return solve_consistent(&p->solve, classes) && any_block(p, classes) == blocked;
}

bool explain_var_matters(const struct explain_problem *p, uint32_t var)
{
    const struct solve_var *v = &p->solve.vars[var];
    unsigned possible = 0;

    for (uint32_t w = 0; w < v->words; w++)
        possible += (unsigned)__builtin_popcountll(p->solve.domains[v->word + w]);
    if (possible < 2 || p->vars[var].callout)
        return possible > 1;
    for (uint32_t i = 0; i < p->use_count; i++) {
        if (p->uses[i].var == var)
            return true;
    }
    return false;
}

/* Variables by rank, the most telling first. */
static uint32_t *ranked(struct explain_problem *p)
{
    uint32_t *order = explain_alloc(&p->arena, (p->var_count + 1) * sizeof *order);

    for (uint32_t i = 0; order != NULL && i < p->var_count; i++) {
        uint32_t at = i;

        for (; at > 0 && p->vars[order[at - 1]].rank > p->vars[i].rank; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    return order;
}

/* Changes `from` in this one variable so that it comes out the other way; into `to`. */
static bool flip_one(const struct explain_problem *p, const uint32_t *from, bool blocked, uint32_t var,
                     uint32_t *to)
{
    memcpy(to, from, p->var_count * sizeof *to);
    for (uint32_t c = 0; c < p->vars[var].count; c++) {
        to[var] = c;
        if (c != from[var] && comes_to(p, to, blocked))
            return true;
    }
    return false;
}

/* One variable may be enough. */
static bool near_by_one(struct explain_problem *p, const uint32_t *order, uint32_t *permit, uint32_t *block)
{
    uint32_t *other = explain_alloc(&p->arena, (p->var_count + 1) * sizeof *other);

    for (uint32_t i = 0; other != NULL && i < p->var_count; i++) {
        if (!explain_var_matters(p, order[i]))
            continue;
        if (flip_one(p, permit, true, order[i], other)) {
            memcpy(block, other, p->var_count * sizeof *other);
            return true;
        }
        if (flip_one(p, block, false, order[i], other)) {
            memcpy(permit, other, p->var_count * sizeof *other);
            return true;
        }
    }
    return false;
}

/* Otherwise make them agree wherever agreeing changes nothing, the least telling first. */
static void near_by_steps(const struct explain_problem *p, const uint32_t *order, uint32_t *permit,
                          uint32_t *block)
{
    bool changed = true;

    while (changed) {
        changed = false;
        for (uint32_t i = p->var_count; i > 0; i--) {
            uint32_t v = order[i - 1], was;

            if (permit[v] == block[v])
                continue;
            was = block[v];
            block[v] = permit[v];
            if (comes_to(p, block, true)) {
                changed = true;
                continue;
            }
            block[v] = was;
            was = permit[v];
            permit[v] = block[v];
            if (comes_to(p, permit, false)) {
                changed = true;
                continue;
            }
            permit[v] = was;
        }
    }
}

static int list_depends(struct explain_problem *p, const uint32_t *order, const uint32_t *permit,
                        const uint32_t *block, struct explain_answer *out)
{
    out->depends = explain_alloc(&p->arena, (p->var_count + 1) * sizeof *out->depends);
    if (out->depends == NULL)
        return -ENOMEM;
    for (uint32_t pass = 0; pass < 2; pass++) { /* what filters test first; then what only goes with it */
        for (uint32_t i = 0; i < p->var_count; i++) {
            if (permit[order[i]] != block[order[i]] && explain_var_matters(p, order[i]) == (pass == 0))
                out->depends[out->depend_count++] = order[i];
        }
    }
    return 0;
}

/* ---- the answer ------------------------------------------------------------------------------ */

/* Can the step block at all? Most layers of a walk have no filter left. */
static bool may_block(const struct explain_problem *p, uint32_t step)
{
    const struct solve_step *s = &p->solve.steps[step];

    for (uint32_t i = 0; i < s->count; i++) {
        const struct solve_sublayer *sub = &p->solve.sublayers[s->first + i];

        for (uint32_t f = sub->first; f < sub->first + sub->count; f++) {
            enum solve_answer a = p->solve.filters[f].answer;

            if (a == SOLVE_BLOCK || a == SOLVE_CALLOUT)
                return true;
        }
    }
    return false;
}

static int search_block(struct explain_problem *p, struct solve_budget *budget, uint32_t *block)
{
    bool gave_up = false;

    for (uint32_t s = 0; s < p->step_count; s++) {
        struct solve_budget share = {budget->nodes / (p->step_count - s)};
        uint64_t before = share.nodes;
        int got = may_block(p, s) ? solve(&p->solve, SOLVE_GOAL_BLOCK, s, &share, block) : SOLVE_NONE;

        budget->nodes -= before - share.nodes;
        if (got == SOLVE_FOUND || got == -ENOMEM)
            return got;
        gave_up = gave_up || got == -E2BIG;
    }
    return gave_up ? -E2BIG : SOLVE_NONE;
}

static int show(struct explain_problem *p, const uint32_t *classes, struct explain_world **out,
                const char **error)
{
    *out = explain_alloc(&p->arena, sizeof **out);
    return *out == NULL ? -ENOMEM : explain_world_judge(p, classes, *out, error);
}

int explain_answer(struct explain_problem *p, uint64_t budget, struct explain_answer *out, const char **error)
{
    struct solve_budget left = {budget / 2};
    uint32_t *permit = explain_alloc(&p->arena, (p->var_count + 1) * sizeof *permit);
    uint32_t *block = explain_alloc(&p->arena, (p->var_count + 1) * sizeof *block);
    uint32_t *order = ranked(p);
    int can_permit, can_block, err = 0;

    *out = (struct explain_answer){0};
    *error = NULL;
    if (p->arena.failed)
        return -ENOMEM;
    can_permit = solve(&p->solve, SOLVE_GOAL_PERMIT, 0, &left, permit);
    left.nodes += budget - budget / 2;
    can_block = search_block(p, &left, block);
    out->nodes = budget - left.nodes;
    if (can_permit == -ENOMEM || can_block == -ENOMEM)
        return -ENOMEM;
    for (uint32_t v = 0; v < p->var_count; v++)
        out->free = out->free || explain_var_matters(p, v);
    if (can_permit == SOLVE_FOUND && can_block == SOLVE_FOUND) {
        out->verdict = EXPLAIN_DEPENDS;
        if (!near_by_one(p, order, permit, block))
            near_by_steps(p, order, permit, block);
        err = list_depends(p, order, permit, block, out);
    } else if (can_permit < 0 || can_block < 0) {
        out->verdict = EXPLAIN_UNDECIDED;
    } else if (can_permit == SOLVE_NONE && can_block == SOLVE_NONE) {
        out->verdict = EXPLAIN_CONTRADICTION;
    } else {
        out->verdict = can_permit == SOLVE_FOUND ? EXPLAIN_PERMITTED : EXPLAIN_BLOCKED;
    }
    if (err == 0 && can_permit == SOLVE_FOUND)
        err = show(p, permit, &out->permit, error);
    if (err == 0 && can_block == SOLVE_FOUND)
        err = show(p, block, &out->block, error);
    if (err == 0 &&
        ((out->permit != NULL && out->permit->blocked) || (out->block != NULL && !out->block->blocked))) {
        *error = "internal error: the naive engine judges an assignment otherwise than the search";
        err = -EPROTO;
    }
    return err;
}
