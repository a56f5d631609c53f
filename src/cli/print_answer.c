/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An answer for people: the verdict first, then layer by layer what was asked and what it said.
 */
#include "cli/cli.h"

#include <string.h>

/* "Default Outbound" (filter 116027), or what there is. */
static const char *filter_name(struct explain_problem *p, UINT64 id)
{
    const FWPM_FILTER0 *f = explain_state_filter(p->state, id);

    if (id == 0)
        return "no filter: the implicit permit";
    if (f == NULL || f->displayData.name == NULL)
        return explain_printf(&p->arena, "filter %llu", (unsigned long long)id);
    return explain_printf(&p->arena, "\"%s\" (filter %llu)", explain_utf8(&p->arena, f->displayData.name),
                          (unsigned long long)id);
}

static const char *provider_words(struct explain_problem *p, const FWPM_FILTER0 *f)
{
    if (f == NULL || f->providerKey == NULL)
        return "no provider";
    return explain_printf(&p->arena, "provider %s",
                          explain_provider_name(p->state, &p->arena, f->providerKey));
}

/* By which filter, of which sublayer and provider, at which layer. */
static void print_decider(struct explain_problem *p, const struct explain_world *w, FILE *out)
{
    const struct explain_step_result *r = &w->steps[w->decisive];
    const FWPM_FILTER0 *f = explain_state_filter(p->state, r->filter_id);

    if (r->filter_id == 0) {
        fprintf(out, "by no filter: the implicit permit, at %s", p->steps[w->decisive].layer->name);
        return;
    }
    fprintf(out, "by %s, sublayer %s, %s, at %s", filter_name(p, r->filter_id),
            f != NULL ? explain_sublayer_name(p->state, &p->arena, &f->subLayerKey) : "?",
            provider_words(p, f), p->steps[w->decisive].layer->name);
    if (r->flags & ENGINE_VERDICT_VETO)
        fputs(" (a veto over a hard permit)", out);
    if (r->flags & ENGINE_VERDICT_SUBSTITUTE)
        fputs(" (its callout is not there: the substitute action)", out);
}

/* ---- unknown things -------------------------------------------------------------------------- */

static const char *var_words(struct explain_problem *p, const struct explain_var *v)
{
    const char *party = v->party == 0 ? "" : "the other end's ";
    char buf[64];

    if (v->callout)
        return explain_printf(&p->arena, "the callout %s",
                              explain_callout_name(p->state, &p->arena, &v->callout_key));
    for (uint32_t s = 0; s < EXPLAIN_SLOTS; s++) {
        if (v->field[s] != NULL && explain_slot_tested(p, v, s))
            return explain_printf(&p->arena, "%s%s", party,
                                  explain_field_words(v->field[s], buf, sizeof buf));
    }
    return v->name;
}

static const char *class_words(struct explain_problem *p, const struct explain_var *v, uint32_t class)
{
    static const char *const answers[] = {"continues", "permits", "blocks"};

    if (v->callout)
        return answers[class];
    for (uint32_t s = 0; s < EXPLAIN_SLOTS; s++) {
        if (v->field[s] != NULL && explain_slot_tested(p, v, s))
            return explain_value_words(&p->arena, v->field[s], &v->classes[class].v[s]);
    }
    return "";
}

static void print_depends(const struct report *r, FILE *out)
{
    const char *between = "";

    fputs("DEPENDS on ", out);
    for (uint32_t i = 0; i < r->answer->depend_count; i++) {
        const struct explain_var *v = &r->p->vars[r->answer->depends[i]];

        if (!explain_var_matters(r->p, r->answer->depends[i]))
            continue;
        fprintf(out, "%s%s", between, var_words(r->p, v));
        between = ", ";
    }
    fprintf(out, " (%s)\n", explain_depends_text(&r->p->arena, r->p, r->answer));
}

/* Of callouts of Windows' own that it depends on: what their answer hangs on (OTH-15). */
static void print_reasons(const struct report *r, FILE *out)
{
    for (uint32_t i = 0; i < r->answer->depend_count; i++) {
        const struct explain_var *v = &r->p->vars[r->answer->depends[i]];

        if (v->callout && !v->given && v->why != NULL)
            fprintf(out, "  the callout %s: %s\n",
                    explain_callout_name(r->p->state, &r->p->arena, &v->callout_key), v->why);
    }
}

static void print_world_of(const struct report *r, const char *verdict, const struct explain_world *w,
                           FILE *out)
{
    fprintf(out, "  %s if ", verdict);
    for (uint32_t i = 0, n = 0; i < r->answer->depend_count; i++) {
        const struct explain_var *v = &r->p->vars[r->answer->depends[i]];

        if (!explain_var_matters(r->p, r->answer->depends[i]))
            continue;
        fprintf(out, "%s%s %s %s", n++ != 0 ? " and " : "", var_words(r->p, v), v->callout ? "itself" : "is",
                class_words(r->p, v, w->classes[r->answer->depends[i]]));
    }
    fputs(": ", out);
    print_decider(r->p, w, out);
    fputc('\n', out);
}

static bool in_depends(const struct explain_answer *a, uint32_t var)
{
    for (uint32_t i = 0; i < a->depend_count; i++) {
        if (a->depends[i] == var)
            return true;
    }
    return false;
}

/* What else is unknown and tested, and which of its values this world has; what the answer was found to
 * depend on was said already if `rest`. */
static void print_unknown(const struct report *r, const struct explain_world *w, bool rest, FILE *out)
{
    const char *between = rest ? "  both if " : "  shown for: ";

    for (uint32_t i = 0; i < r->p->var_count; i++) {
        if (!explain_var_matters(r->p, i) || (rest && in_depends(r->answer, i)))
            continue;
        fprintf(out, "%s%s %s %s", between, var_words(r->p, &r->p->vars[i]),
                r->p->vars[i].callout ? "itself" : "is", class_words(r->p, &r->p->vars[i], w->classes[i]));
        between = "; ";
    }
    if (between[0] == ';')
        fputc('\n', out);
}

/* ---- layers ---------------------------------------------------------------------------------- */

static const char *answer_word(const struct explain_match *m)
{
    switch (m->answer) {
    case ENGINE_ANSWER_PERMIT:
        return m->substitute ? "PERMIT (substitute)" : "PERMIT";
    case ENGINE_ANSWER_BLOCK:
        return m->substitute ? "BLOCK (substitute)" : "BLOCK";
    case ENGINE_ANSWER_FOREIGN:
        return "unknown";
    default:
        return "CONTINUE";
    }
}

static void print_conditions(struct explain_problem *p, uint32_t step, const FWPM_FILTER0 *f, FILE *out)
{
    const struct engine_layer *layer = p->steps[step].layer;
    FWPS_FILTER_CONDITION0 *conditions =
        explain_alloc(&p->arena, (f->numFilterConditions + 1) * sizeof *conditions);
    FWPS_FILTER3 shell = {.filterCondition = conditions};
    const struct explain_requirement *all;
    int n;

    if (conditions == NULL)
        return;
    for (UINT32 i = 0; i < f->numFilterConditions; i++) {
        int field = engine_layer_field(layer, &f->filterCondition[i].fieldKey);

        if (field < 0)
            continue;
        conditions[shell.numFilterConditions++] =
            (FWPS_FILTER_CONDITION0){.fieldId = (UINT16)field,
                                     .matchType = f->filterCondition[i].matchType,
                                     .conditionValue = f->filterCondition[i].conditionValue};
    }
    n = explain_requirements(&p->arena, layer, &shell, &all);
    for (int i = 0; i < n; i++)
        fprintf(out, "          %s   [%s]\n", all[i].words, all[i].raw);
    if (n == 0)
        fputs("          no conditions: it matches everything\n", out);
}

static void print_match(struct explain_problem *p, uint32_t step, const struct explain_match *m, FILE *out)
{
    const FWPM_FILTER0 *f = explain_state_filter(p->state, m->filter_id);

    fprintf(out, "      %s: %s", filter_name(p, m->filter_id), answer_word(m));
    if (f == NULL) {
        fputc('\n', out);
        return;
    }
    if (f->action.type & FWP_ACTION_FLAG_CALLOUT)
        fprintf(out, " from the callout %s %s",
                explain_callout_name(p->state, &p->arena, &f->action.calloutKey),
                explain_guid_text(&p->arena, ENGINE_GUID_CALLOUT, &f->action.calloutKey));
    if (f->flags & FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT)
        fputs(", CLEAR_ACTION_RIGHT", out);
    fputc('\n', out);
    print_conditions(p, step, f, out);
}

static void print_sublayer(struct explain_problem *p, const struct explain_world *w, uint32_t step,
                           const struct explain_sublayer_result *s, FILE *out)
{
    const struct explain_step_result *r = &w->steps[step];

    fprintf(out, "    sublayer %s (weight %u): ", explain_sublayer_name(p->state, &p->arena, &s->key),
            s->weight);
    if (s->filter_id == 0)
        fputs(s->match_count == 0 ? "nothing matches" : "no decision", out);
    else
        fprintf(out, "%s%s", explain_action_name(s->action), s->took_effect ? "" : ", without effect");
    if (s->running != 0)
        fprintf(out, "; so far %s, %s", explain_action_name(s->running),
                s->rights & FWPS_RIGHT_ACTION_WRITE ? "lighter sublayers may change it"
                : s->running == FWP_ACTION_BLOCK    ? "final"
                                                    : "final but for a veto");
    fputc('\n', out);
    for (uint32_t i = 0; i < s->match_count; i++)
        print_match(p, step, &r->matches[s->first_match + i], out);
}

static void print_step(const struct report *r, const struct explain_world *w, uint32_t step, FILE *out)
{
    const struct explain_step_result *result = &w->steps[step];
    const struct explain_step *s = &r->p->steps[step];

    fprintf(out, "  %s (%s): %s", s->layer->name, s->stage, result->blocked ? "BLOCK" : "PERMIT");
    if (result->sublayer_count == 0)
        fputs(", no filters\n", out);
    else if (result->filter_id == 0)
        fputs(", implicitly\n", out);
    else
        fprintf(out, " by %s\n", filter_name(r->p, result->filter_id));
    for (uint32_t i = 0; i < result->sublayer_count; i++)
        print_sublayer(r->p, w, step, &result->sublayers[i], out);
    for (UINT16 i = 0; i < s->layer->field_count && r->verbose; i++) {
        const struct explain_value *v = explain_world_value(r->p, w, step, i);

        fprintf(out, "      %-36s %s\n", explain_field_short(&s->layer->fields[i]),
                explain_value_words(&r->p->arena, &s->layer->fields[i], v));
    }
}

static void print_steps(const struct report *r, const struct explain_world *w, FILE *out)
{
    uint32_t last = w->blocked ? w->decisive + 1 : r->p->step_count;

    for (uint32_t s = 0; s < last; s++)
        print_step(r, w, s, out);
    if (last < r->p->step_count)
        fputs("  the layers behind it are not reached\n", out);
}

/* ---- all of it ------------------------------------------------------------------------------- */

void print_answer(const struct report *r, FILE *out)
{
    const struct explain_answer *a = r->answer;
    const struct explain_world *w = a->permit != NULL ? a->permit : a->block;

    switch (a->verdict) {
    case EXPLAIN_PERMITTED:
    case EXPLAIN_BLOCKED:
        fprintf(out, "%s ", explain_verdict_name(a->verdict));
        print_decider(r->p, w, out);
        fputc('\n', out);
        break;
    case EXPLAIN_DEPENDS:
        print_depends(r, out);
        print_reasons(r, out);
        print_world_of(r, "PERMITTED", a->permit, out);
        print_world_of(r, "BLOCKED", a->block, out);
        print_unknown(r, a->permit, true, out);
        break;
    case EXPLAIN_UNDECIDED:
        fprintf(out,
                "UNDECIDED: no proof within the search's budget of %u steps; give more of what is unknown\n",
                EXPLAIN_BUDGET);
        break;
    case EXPLAIN_CONTRADICTION:
        fputs("CONTRADICTION: what was given cannot be true together\n", out);
        return;
    }
    fprintf(out, "%s\n", r->question);
    if (a->verdict == EXPLAIN_DEPENDS) {
        fputs("\nas PERMITTED:\n", out);
        print_steps(r, a->permit, out);
        fputs("\nas BLOCKED:\n", out);
        print_steps(r, a->block, out);
    } else if (w != NULL) {
        if (a->free)
            print_unknown(r, w, false, out);
        fputc('\n', out);
        print_steps(r, w, out);
    }
    for (uint32_t i = 0; i < r->p->var_count && r->verbose; i++) {
        const struct explain_var *v = &r->p->vars[i];

        if (v->callout && v->given && v->why != NULL)
            fprintf(out, "note: callout %s %s: %s\n",
                    explain_callout_name(r->p->state, &r->p->arena, &v->callout_key),
                    class_words(r->p, v, (uint32_t)v->classes[0].tag), v->why);
    }
    for (uint32_t i = 0; r->notes != NULL && i < r->notes->count && r->verbose; i++)
        fprintf(out, "note: %s\n", r->notes->lines[i]);
}

void print_why_not(struct explain_problem *p, const struct explain_world *w,
                   const struct explain_why_not *all, int count, FILE *out)
{
    for (int i = 0; i < count; i++) {
        const struct explain_why_not *y = &all[i];

        fprintf(out, "\nwhy not %s (%s) at %s? ", filter_name(p, y->filter->filterId),
                explain_action_name(y->filter->action.type),
                explain_guid_text(&p->arena, ENGINE_GUID_LAYER, &y->filter->layerKey));
        switch (y->reason) {
        case WHY_NOT_ELSEWHERE:
            fputs("This operation does not pass that layer.\n", out);
            break;
        case WHY_NOT_APPLIED:
            fprintf(out, "It takes no part: %s.\n",
                    explain_not_applied(y->filter) != NULL ? explain_not_applied(y->filter)
                                                           : "the engine does not have it");
            break;
        case WHY_NOT_CONDITION:
            fputs(y->failing_count == 1 ? "A condition fails:\n" : "Conditions fail:\n", out);
            for (uint32_t k = 0; k < y->failing_count; k++)
                fprintf(out, "  %s   [%s]; it is %s\n", y->failing[k].words, y->failing[k].raw,
                        y->failing[k].value);
            break;
        case WHY_NOT_SHADOWED:
            fprintf(out, "It matches, but in its sublayer %s came first.\n", filter_name(p, y->other));
            break;
        case WHY_NOT_CONTINUED:
            fprintf(out, "It matches and was asked, but its callout leaves the decision to others: %s.\n",
                    filter_name(p, y->other));
            break;
        case WHY_NOT_OVERRULED:
            fprintf(out, "It matches and answered for its sublayer, but %s decided.\n",
                    filter_name(p, y->other));
            break;
        case WHY_IT_DID:
            fputs("It does decide there.\n", out);
            break;
        }
    }
    (void)w;
}
