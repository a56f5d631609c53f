/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Building the finite problem. Passes, each over what the one before left:
 *
 *   1 keep     filters that the known things do not already exclude, and what they still ask (uses)
 *   2 generate candidate values for every variable, from the conditions in its uses
 *   3 merge    candidates with equal rows (answers to all uses, tag) into classes
 *   4 emit     literals, filters, sublayers, steps, constraints as struct solve_problem wants them
 *
 * Dropping filters first is what keeps classes few: of a layer's hundreds of filters a question about one
 * program usually leaves a dozen.
 */
#include "explain/problem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_CLASSES 65536u

int explain_problem_begin(const struct explain_state *state, struct explain_problem *p)
{
    *p = (struct explain_problem){.state = state, .use_builtin = true};
    engine_pin(state->reader);
    p->pinned = true;
    return 0;
}

void explain_problem_end(struct explain_problem *p)
{
    if (p->pinned)
        engine_unpin(p->state->reader);
    explain_arena_free(&p->arena);
    *p = (struct explain_problem){0};
}

/* Room for one more item of an array in the arena; the old array is left to the arena. */
static void *grown(struct explain_arena *a, void *items, uint32_t count, uint32_t *room, size_t size)
{
    void *more;

    if (count < *room)
        return items;
    more = explain_alloc(a, (*room == 0 ? 8 : (size_t)*room * 2) * size);
    if (more == NULL)
        return NULL;
    if (count != 0)
        memcpy(more, items, count * size);
    *room = *room == 0 ? 8 : *room * 2;
    return more;
}

uint32_t explain_add_var(struct explain_problem *p, const struct explain_var *v)
{
    void *items = grown(&p->arena, p->vars, p->var_count, &p->var_room, sizeof *p->vars);

    if (items == NULL)
        return UINT32_MAX;
    p->vars = items;
    p->vars[p->var_count] = *v;
    return p->var_count++;
}

uint32_t explain_find_var(const struct explain_problem *p, const char *name)
{
    for (uint32_t i = 0; i < p->var_count; i++) {
        if (strcmp(p->vars[i].name, name) == 0)
            return i;
    }
    return UINT32_MAX;
}

uint32_t explain_add_step(struct explain_problem *p, const struct engine_layer *layer, const char *stage,
                          unsigned party)
{
    void *items = grown(&p->arena, p->steps, p->step_count, &p->step_room, sizeof *p->steps);

    if (items == NULL)
        return UINT32_MAX;
    p->steps = items;
    p->steps[p->step_count] = (struct explain_step){.layer = layer, .stage = stage, .party = party};
    p->steps[p->step_count].source =
        explain_alloc(&p->arena, (layer->field_count + 1) * sizeof(struct explain_source));
    return p->arena.failed ? UINT32_MAX : p->step_count++;
}

void explain_add_constraint(struct explain_problem *p, uint32_t a, uint32_t b, explain_allowed_fn *allowed,
                            uint64_t arg)
{
    void *items =
        grown(&p->arena, p->constraints, p->constraint_count, &p->constraint_room, sizeof *p->constraints);

    if (items == NULL || a == b)
        return;
    p->constraints = items;
    p->constraints[p->constraint_count++] = (struct explain_constraint){a, b, allowed, arg};
    p->vars[a].constrained = p->vars[b].constrained = true;
}

struct explain_class *explain_candidate(struct explain_problem *p, struct explain_var *v)
{
    void *items = grown(&p->arena, v->classes, v->count, &v->room, sizeof *v->classes);

    if (items == NULL)
        return NULL;
    v->classes = items;
    v->classes[v->count] = (struct explain_class){0};
    return &v->classes[v->count++];
}

/* ---- 1: the filters in question -------------------------------------------------------------- */

static bool use_holds(const struct explain_use *u, const struct explain_class *c)
{
    return engine_filter_field_match(u->engine_filter, u->field, &c->v[u->slot].value) == ENGINE_MATCH_YES;
}

/* Is it known already whether the conditions hold? A variable without a generator has its candidates. */
static enum engine_match3 known_match(const struct explain_problem *p, const struct explain_use *u)
{
    const struct explain_var *v = &p->vars[u->var];
    uint32_t yes = 0;

    if (v->generate != NULL)
        return ENGINE_MATCH_DEPENDS;
    for (uint32_t c = 0; c < v->count; c++)
        yes += use_holds(u, &v->classes[c]);
    return yes == 0 ? ENGINE_MATCH_NO : yes == v->count ? ENGINE_MATCH_YES : ENGINE_MATCH_DEPENDS;
}

static enum solve_callout_class class_of(enum policy_builtin_answer answer)
{
    return answer == POLICY_BUILTIN_PERMIT  ? SOLVE_CALLOUT_PERMIT
           : answer == POLICY_BUILTIN_BLOCK ? SOLVE_CALLOUT_BLOCK
                                            : SOLVE_CALLOUT_CONTINUE;
}

bool explain_assumed_answer(const struct explain_problem *p, const GUID *key,
                            enum solve_callout_class *answer, const char **why)
{
    const struct policy_builtin_callout *b;

    for (uint32_t i = 0; i < p->assumption_count; i++) {
        if (memcmp(&p->assumptions[i].callout, key, sizeof *key) == 0) {
            *answer = p->assumptions[i].answer;
            *why = p->assumptions[i].why;
            return true;
        }
    }
    if (p->others_continue) {
        *answer = SOLVE_CALLOUT_CONTINUE;
        *why = "assumed to decide nothing";
        return true;
    }
    b = p->use_builtin ? policy_builtin_callout(key) : NULL;
    if (b == NULL)
        return false;
    *why = b->why;
    *answer = class_of(b->answer);
    return b->answer != POLICY_BUILTIN_DEPENDS;
}

static uint32_t callout_var(struct explain_problem *p, const GUID *key)
{
    struct explain_var v = {.callout = true, .callout_key = *key, .rank = 50};
    enum solve_callout_class answer;
    char text[ENGINE_GUID_TEXT];

    engine_guid_format(key, text);
    for (uint32_t i = 0; i < p->var_count; i++) {
        if (p->vars[i].callout && memcmp(&p->vars[i].callout_key, key, sizeof *key) == 0)
            return i;
    }
    v.name = explain_printf(&p->arena, "CALLOUT %s", text);
    v.count = v.room = SOLVE_CALLOUT_CLASSES;
    v.classes = explain_alloc(&p->arena, SOLVE_CALLOUT_CLASSES * sizeof *v.classes);
    if (v.classes == NULL)
        return UINT32_MAX;
    for (uint64_t c = 0; c < SOLVE_CALLOUT_CLASSES; c++)
        v.classes[c].tag = c;
    v.given = explain_assumed_answer(p, key, &answer, &v.why);
    if (v.given) /* the class's number is its meaning: the domain is narrowed when the problem is emitted */
        v.classes[0].tag = answer;
    return explain_add_var(p, &v);
}

static int keep_filter(struct explain_problem *p, uint32_t step, uint32_t sublayer,
                       const struct engine_filter *f)
{
    const FWPS_FILTER3 *fwps = engine_filter_fwps(f);
    const struct engine_filter_desc *desc = engine_filter_desc(f);
    UINT16 fields[ENGINE_MAX_FIELDS];
    size_t n = engine_filter_fields(f, fields, ENGINE_MAX_FIELDS);
    struct explain_kept kept = {f, step, sublayer, p->use_count, 0, UINT32_MAX};
    void *items;

    if (fwps->action.type == FWP_ACTION_CALLOUT_INSPECTION)
        return 0; /* never decides: ARB-19 */
    for (size_t i = 0; i < n; i++) {
        const struct explain_source *source = &p->steps[step].source[fields[i]];
        struct explain_use use = {step, p->kept_count, f, fields[i], source->var, source->slot, NULL};

        switch (known_match(p, &use)) {
        case ENGINE_MATCH_NO:
            p->use_count = kept.first_use;
            return 0;
        case ENGINE_MATCH_YES:
            continue;
        case ENGINE_MATCH_DEPENDS:
            break;
        }
        items = grown(&p->arena, p->uses, p->use_count, &p->use_room, sizeof *p->uses);
        if (items == NULL)
            return -ENOMEM;
        p->uses = items;
        p->uses[p->use_count++] = use;
    }
    kept.use_count = p->use_count - kept.first_use;
    if (fwps->action.type & FWP_ACTION_FLAG_CALLOUT &&
        engine_callout_state(p->state->engine, &desc->callout_key) != ENGINE_CALLOUT_UNREGISTERED) {
        kept.callout = callout_var(p, &desc->callout_key);
        if (kept.callout == UINT32_MAX)
            return -ENOMEM;
    }
    items = grown(&p->arena, p->kept, p->kept_count, &p->kept_room, sizeof *p->kept);
    if (items == NULL)
        return -ENOMEM;
    p->kept = items;
    p->kept[p->kept_count++] = kept;
    return 0;
}

static int keep_filters(struct explain_problem *p)
{
    const struct engine_snapshot *snapshot = engine_pin(p->state->reader);
    int err = 0;

    for (uint32_t s = 0; s < p->step_count && err == 0; s++) {
        const struct engine_filter *const *filters;
        size_t n = engine_snapshot_filters(snapshot, p->steps[s].layer->id, &filters);
        uint32_t sublayer = 0;

        p->steps[s].filters = (uint32_t)n;
        for (size_t i = 0; i < n && err == 0; i++) {
            if (i > 0 && memcmp(&engine_filter_desc(filters[i])->sublayer_key,
                                &engine_filter_desc(filters[i - 1])->sublayer_key, sizeof(GUID)) != 0)
                sublayer++;
            err = keep_filter(p, s, sublayer, filters[i]);
        }
    }
    engine_unpin(p->state->reader); /* the problem's own pin stays */
    return err;
}

/* ---- 2 and 3: classes ------------------------------------------------------------------------ */

/* One variable's uses, and for each candidate a row of answers. */
struct rows {
    uint32_t *uses;
    uint32_t use_count, words;
    uint64_t *bits;
    uint32_t *kept; /* the classes' candidates */
    uint32_t count;
};

static uint64_t row_hash(const uint64_t *row, uint32_t words, uint64_t tag)
{
    uint64_t h = tag * UINT64_C(0x9e3779b97f4a7c15);

    for (uint32_t w = 0; w < words; w++) {
        h ^= row[w];
        h = (h << 27 | h >> 37) * UINT64_C(0x9e3779b97f4a7c15);
    }
    return h ^ h >> 29;
}

static int merge_rows(struct explain_problem *p, const struct explain_var *v, struct rows *r)
{
    uint32_t slots = 16, *table;

    while (slots < v->count * 2)
        slots *= 2;
    table = explain_alloc(&p->arena, slots * sizeof *table);
    r->kept = explain_alloc(&p->arena, (v->count + 1) * sizeof *r->kept);
    if (table == NULL || r->kept == NULL)
        return -ENOMEM;
    for (uint32_t c = 0; c < v->count; c++) {
        const uint64_t *row = r->bits + (size_t)c * r->words;
        uint64_t tag = v->constrained ? v->classes[c].tag : 0;
        uint32_t at = (uint32_t)(row_hash(row, r->words, tag) & (slots - 1));
        bool found = false;

        for (; table[at] != 0 && !found; at = (at + 1) & (slots - 1)) {
            uint32_t other = r->kept[table[at] - 1];

            found = memcmp(row, r->bits + (size_t)other * r->words, r->words * sizeof *row) == 0 &&
                    (!v->constrained || v->classes[other].tag == tag);
            if (found)
                break;
        }
        if (found)
            continue;
        r->kept[r->count++] = c;
        table[at] = r->count;
    }
    return 0;
}

/* The sets of the uses, over the classes that are left. */
static int make_sets(struct explain_problem *p, struct explain_var *v, const struct rows *r)
{
    uint32_t words = (r->count + 63) / 64;
    struct explain_class *classes = explain_alloc(&p->arena, (r->count + 1) * sizeof *classes);

    if (classes == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < r->use_count; i++) {
        struct explain_use *u = &p->uses[r->uses[i]];

        u->set = explain_alloc(&p->arena, words * sizeof *u->set);
        if (u->set == NULL)
            return -ENOMEM;
        for (uint32_t c = 0; c < r->count; c++) {
            if (solve_bit(r->bits + (size_t)r->kept[c] * r->words, i))
                solve_set_bit(u->set, c);
        }
    }
    for (uint32_t c = 0; c < r->count; c++)
        classes[c] = v->classes[r->kept[c]];
    v->classes = classes;
    v->count = r->count;
    return 0;
}

static int make_classes(struct explain_problem *p, uint32_t var, const char **what)
{
    struct explain_var *v = &p->vars[var];
    struct rows r = {0};
    int err = v->generate != NULL ? v->generate(p, v) : 0;

    v = &p->vars[var];
    if (err == 0 && (v->count > MAX_CLASSES || v->count == 0))
        err = v->count == 0 ? -EDOM : -E2BIG;
    if (err != 0) {
        *what = v->name;
        return p->arena.failed ? -ENOMEM : err;
    }
    if (v->callout)
        return 0;
    r.uses = explain_alloc(&p->arena, (p->use_count + 1) * sizeof *r.uses);
    if (r.uses == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < p->use_count; i++) {
        if (p->uses[i].var == var)
            r.uses[r.use_count++] = i;
    }
    r.words = (r.use_count + 63) / 64;
    r.bits = explain_alloc(&p->arena, ((size_t)v->count * r.words + 1) * sizeof *r.bits);
    if (r.bits == NULL)
        return -ENOMEM;
    for (uint32_t c = 0; c < v->count; c++) {
        for (uint32_t i = 0; i < r.use_count; i++) {
            if (use_holds(&p->uses[r.uses[i]], &v->classes[c]))
                solve_set_bit(r.bits + (size_t)c * r.words, i);
        }
    }
    err = merge_rows(p, v, &r);
    return err != 0 ? err : make_sets(p, v, &r);
}

/* ---- 4: what the search wants ---------------------------------------------------------------- */

static enum solve_answer answer_of(const struct explain_kept *k, bool *hard)
{
    const FWPS_FILTER3 *f = engine_filter_fwps(k->filter);

    *hard = f->flags & FWPS_FILTER_FLAG_CLEAR_ACTION_RIGHT;
    if (k->callout != UINT32_MAX)
        return SOLVE_CALLOUT;
    if (f->action.type == FWP_ACTION_PERMIT || (f->action.type & FWP_ACTION_FLAG_CALLOUT &&
                                                f->flags & FWPS_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED))
        return *hard ? SOLVE_PERMIT_HARD : SOLVE_PERMIT;
    return SOLVE_BLOCK; /* also the substitute of an unregistered callout: OBJ-22 */
}

static bool set_full(const uint64_t *set, uint32_t count)
{
    for (uint32_t c = 0; c < count; c++) {
        if (!solve_bit(set, c))
            return false;
    }
    return true;
}

static int emit_filters(struct explain_problem *p)
{
    struct solve_literal *literals = explain_alloc(&p->arena, (p->use_count + 1) * sizeof *literals);
    struct solve_filter *filters = explain_alloc(&p->arena, (p->kept_count + 1) * sizeof *filters);
    struct solve_sublayer *subs = explain_alloc(&p->arena, (p->kept_count + 1) * sizeof *subs);
    struct solve_step *steps = explain_alloc(&p->arena, (p->step_count + 1) * sizeof *steps);
    uint32_t literal = 0, sub = 0, k = 0;

    if (p->arena.failed)
        return -ENOMEM;
    for (uint32_t s = 0; s < p->step_count; s++) {
        steps[s].first = sub;
        for (; k < p->kept_count && p->kept[k].step == s; k++) {
            const struct explain_kept *kept = &p->kept[k];
            bool same = sub > steps[s].first && p->kept[k - 1].sublayer == kept->sublayer;
            bool hard;

            if (!same)
                subs[sub++] = (struct solve_sublayer){k, 0};
            subs[sub - 1].count++;
            filters[k].first = literal;
            filters[k].answer = answer_of(kept, &hard);
            filters[k].callout = kept->callout;
            filters[k].callout_hard = hard;
            for (uint32_t u = kept->first_use; u < kept->first_use + kept->use_count; u++) {
                if (set_full(p->uses[u].set, p->vars[p->uses[u].var].count))
                    continue;
                literals[literal++] = (struct solve_literal){p->uses[u].var, p->uses[u].set};
                filters[k].count++;
            }
        }
        steps[s].count = sub - steps[s].first;
    }
    p->solve.literals = literals;
    p->solve.filters = filters;
    p->solve.filter_count = p->kept_count;
    p->solve.sublayers = subs;
    p->solve.steps = steps;
    p->solve.step_count = p->step_count;
    return 0;
}

static int emit_vars(struct explain_problem *p)
{
    struct solve_var *vars = explain_alloc(&p->arena, (p->var_count + 1) * sizeof *vars);
    uint64_t *domains;
    uint32_t words = 0;

    if (vars == NULL)
        return -ENOMEM;
    for (uint32_t v = 0; v < p->var_count; v++) {
        vars[v] = (struct solve_var){p->vars[v].count, words, (p->vars[v].count + 63) / 64};
        words += vars[v].words;
    }
    domains = explain_alloc(&p->arena, (words + 1) * sizeof *domains);
    if (domains == NULL)
        return -ENOMEM;
    for (uint32_t v = 0; v < p->var_count; v++) {
        const struct explain_var *var = &p->vars[v];

        if (var->callout && var->given) {
            solve_set_bit(domains + vars[v].word, (uint32_t)var->classes[0].tag);
            continue;
        }
        for (uint32_t c = 0; c < var->count; c++)
            solve_set_bit(domains + vars[v].word, c);
    }
    p->solve.vars = vars;
    p->solve.var_count = p->var_count;
    p->solve.words = words;
    p->solve.domains = domains;
    return 0;
}

static int emit_constraints(struct explain_problem *p)
{
    struct solve_constraint *out = explain_alloc(&p->arena, (p->constraint_count + 1) * sizeof *out);

    if (out == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < p->constraint_count; i++) {
        const struct explain_constraint *c = &p->constraints[i];
        const struct explain_var *a = &p->vars[c->a], *b = &p->vars[c->b];
        uint32_t words = (b->count + 63) / 64;
        uint64_t *allowed = explain_alloc(&p->arena, ((size_t)a->count * words + 1) * sizeof *allowed);

        if (allowed == NULL)
            return -ENOMEM;
        for (uint32_t x = 0; x < a->count; x++) {
            for (uint32_t y = 0; y < b->count; y++) {
                if (c->allowed(&a->classes[x], &b->classes[y], c->arg))
                    solve_set_bit(allowed + (size_t)x * words, y);
            }
        }
        out[i] = (struct solve_constraint){c->a, c->b, allowed};
    }
    p->solve.constraints = out;
    p->solve.constraint_count = p->constraint_count;
    return 0;
}

int explain_problem_build(struct explain_problem *p, const char **what)
{
    int err = keep_filters(p);

    *what = NULL;
    for (uint32_t v = 0; v < p->var_count && err == 0; v++)
        err = make_classes(p, v, what);
    if (err == 0)
        err = emit_filters(p);
    if (err == 0)
        err = emit_vars(p);
    if (err == 0)
        err = emit_constraints(p);
    if (err == 0) /* p->solve.domains is ours; a contradiction shows in the search */
        solve_narrow(&p->solve, (uint64_t *)p->solve.domains);
    return p->arena.failed ? -ENOMEM : err;
}
