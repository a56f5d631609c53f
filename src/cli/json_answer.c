/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same answers as JSON: doc/json.md says what the members mean. Members are added, never changed.
 */
#include "cli/cli.h"

#include <string.h>

static json_t *guid_json(struct explain_arena *a, enum engine_guid_kind kind, const GUID *key)
{
    return json_string(explain_guid_text(a, kind, key));
}

json_t *filter_json(const struct explain_state *s, struct explain_arena *a, UINT64 id)
{
    const FWPM_FILTER0 *f = explain_state_filter(s, id);
    char key[ENGINE_GUID_TEXT];
    json_t *o;

    if (id == 0)
        return json_null();
    o = json_object();
    json_object_set_new(o, "id", json_integer((json_int_t)id));
    if (f == NULL)
        return o;
    json_object_set_new(o, "key", json_string(engine_guid_format(&f->filterKey, key)));
    json_object_set_new(o, "name", json_string(explain_utf8(a, f->displayData.name)));
    json_object_set_new(o, "action", json_string(explain_action_name(f->action.type)));
    if (f->action.type & FWP_ACTION_FLAG_CALLOUT) {
        json_object_set_new(o, "callout", guid_json(a, ENGINE_GUID_CALLOUT, &f->action.calloutKey));
        json_object_set_new(o, "callout_name",
                            json_string(explain_callout_name(s, a, &f->action.calloutKey)));
    }
    json_object_set_new(o, "sublayer", guid_json(a, ENGINE_GUID_SUBLAYER, &f->subLayerKey));
    json_object_set_new(o, "sublayer_name", json_string(explain_sublayer_name(s, a, &f->subLayerKey)));
    json_object_set_new(o, "provider",
                        f->providerKey != NULL ? guid_json(a, ENGINE_GUID_PROVIDER, f->providerKey)
                                               : json_null());
    json_object_set_new(o, "provider_name",
                        f->providerKey != NULL ? json_string(explain_provider_name(s, a, f->providerKey))
                                               : json_null());
    return o;
}

static const char *answer_word(enum engine_answer a)
{
    switch (a) {
    case ENGINE_ANSWER_PERMIT:
        return "PERMIT";
    case ENGINE_ANSWER_BLOCK:
        return "BLOCK";
    default:
        return "CONTINUE";
    }
}

static json_t *conditions_json(struct explain_problem *p, uint32_t step, UINT64 id)
{
    const struct engine_layer *layer = p->steps[step].layer;
    const FWPM_FILTER0 *f = explain_state_filter(p->state, id);
    json_t *list = json_array();
    const struct explain_requirement *all;
    FWPS_FILTER3 shell = {0};
    int n;

    if (f == NULL)
        return list;
    shell.filterCondition =
        explain_alloc(&p->arena, (f->numFilterConditions + 1) * sizeof *shell.filterCondition);
    for (UINT32 i = 0; shell.filterCondition != NULL && i < f->numFilterConditions; i++) {
        int field = engine_layer_field(layer, &f->filterCondition[i].fieldKey);

        if (field >= 0)
            shell.filterCondition[shell.numFilterConditions++] =
                (FWPS_FILTER_CONDITION0){.fieldId = (UINT16)field,
                                         .matchType = f->filterCondition[i].matchType,
                                         .conditionValue = f->filterCondition[i].conditionValue};
    }
    n = explain_requirements(&p->arena, layer, &shell, &all);
    for (int i = 0; i < n; i++) {
        json_t *o = json_object();

        json_object_set_new(o, "field", json_string(layer->fields[all[i].field].name));
        json_object_set_new(o, "words", json_string(all[i].words));
        json_object_set_new(o, "raw", json_string(all[i].raw));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *match_json(struct explain_problem *p, uint32_t step, const struct explain_match *m)
{
    json_t *o = filter_json(p->state, &p->arena, m->filter_id);

    json_object_set_new(o, "answer", json_string(answer_word(m->answer)));
    if (m->substitute)
        json_object_set_new(o, "substitute", json_true());
    json_object_set_new(o, "conditions", conditions_json(p, step, m->filter_id));
    return o;
}

static json_t *sublayer_json(struct explain_problem *p, const struct explain_world *w, uint32_t step,
                             const struct explain_sublayer_result *s, bool matches)
{
    json_t *o = json_object(), *list;

    json_object_set_new(o, "sublayer", guid_json(&p->arena, ENGINE_GUID_SUBLAYER, &s->key));
    json_object_set_new(o, "weight", json_integer(s->weight));
    json_object_set_new(o, "filter_id",
                        s->filter_id != 0 ? json_integer((json_int_t)s->filter_id) : json_null());
    json_object_set_new(o, "action",
                        s->action != 0 ? json_string(explain_action_name(s->action)) : json_null());
    json_object_set_new(o, "took_effect", json_boolean(s->took_effect));
    json_object_set_new(o, "running",
                        s->running != 0 ? json_string(explain_action_name(s->running)) : json_null());
    json_object_set_new(o, "rights", json_integer(s->rights));
    if (!matches)
        return o;
    json_object_set_new(o, "name", json_string(explain_sublayer_name(p->state, &p->arena, &s->key)));
    list = json_array();
    for (uint32_t i = 0; i < s->match_count; i++)
        json_array_append_new(list, match_json(p, step, &w->steps[step].matches[s->first_match + i]));
    json_object_set_new(o, "matches", list);
    return o;
}

json_t *layer_json(struct explain_problem *p, const struct explain_world *w, uint32_t step, bool matches)
{
    const struct explain_step_result *r = &w->steps[step];
    json_t *o = json_object(), *list = json_array();

    json_object_set_new(o, "layer", json_string(p->steps[step].layer->name));
    json_object_set_new(o, "stage", json_string(p->steps[step].stage));
    json_object_set_new(o, "verdict", json_string(r->blocked ? "BLOCKED" : "PERMITTED"));
    json_object_set_new(o, "filter_id",
                        r->filter_id != 0 ? json_integer((json_int_t)r->filter_id) : json_null());
    json_object_set_new(o, "rights", json_integer(r->rights));
    json_object_set_new(o, "veto", json_boolean(r->flags & ENGINE_VERDICT_VETO));
    for (uint32_t i = 0; i < r->sublayer_count; i++)
        json_array_append_new(list, sublayer_json(p, w, step, &r->sublayers[i], matches));
    json_object_set_new(o, "sublayers", list);
    return o;
}

/* ---- what it depends on ---------------------------------------------------------------------- */

static const char *const callout_words[] = {"continue", "permit", "block"};

static json_t *class_json(struct explain_problem *p, const struct explain_var *v, uint32_t class)
{
    json_t *o;

    if (v->callout)
        return json_string(callout_words[class]);
    o = json_object();
    for (uint32_t s = 0; s < EXPLAIN_SLOTS; s++) {
        if (v->field[s] != NULL)
            json_object_set_new(o, v->field[s]->name,
                                explain_value_to_json(&p->arena, v->field[s], &v->classes[class].v[s]));
    }
    return o;
}

json_t *depends_json(struct explain_problem *p, const struct explain_answer *answer)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < answer->depend_count; i++) {
        uint32_t id = answer->depends[i];
        const struct explain_var *v = &p->vars[id];
        json_t *o = json_object(), *fields = json_array();
        char key[ENGINE_GUID_TEXT];

        if (v->callout)
            json_object_set_new(o, "callout", json_string(engine_guid_format(&v->callout_key, key)));
        for (uint32_t s = 0; s < EXPLAIN_SLOTS; s++) {
            if (v->field[s] != NULL)
                json_array_append_new(fields, json_string(v->field[s]->name));
        }
        json_object_set_new(o, "fields", fields);
        json_object_set_new(o, "tested", json_boolean(explain_var_matters(p, id)));
        json_object_set_new(o, "permitted", class_json(p, v, answer->permit->classes[id]));
        json_object_set_new(o, "blocked", class_json(p, v, answer->block->classes[id]));
        json_array_append_new(list, o);
    }
    return list;
}

json_t *assignment_json(struct explain_problem *p, const struct explain_world *w, uint32_t step)
{
    const struct engine_layer *layer = p->steps[step].layer;
    json_t *o = json_object();

    for (UINT16 i = 0; i < layer->field_count; i++) {
        if (layer->fields[i].name != NULL)
            json_object_set_new(
                o, layer->fields[i].name,
                explain_value_to_json(&p->arena, &layer->fields[i], explain_world_value(p, w, step, i)));
    }
    return o;
}

json_t *callouts_json(struct explain_problem *p, const struct explain_world *w)
{
    json_t *o = json_object();
    char key[ENGINE_GUID_TEXT];

    for (uint32_t i = 0; i < p->var_count; i++) {
        if (p->vars[i].callout)
            json_object_set_new(o, engine_guid_format(&p->vars[i].callout_key, key),
                                json_string(callout_words[w->classes[i]]));
    }
    return o;
}

static json_t *decider_json(struct explain_problem *p, const struct explain_world *w)
{
    const struct explain_step_result *r = &w->steps[w->decisive];
    json_t *o = json_object();

    json_object_set_new(o, "layer", json_string(p->steps[w->decisive].layer->name));
    json_object_set_new(o, "implicit", json_boolean(r->filter_id == 0));
    json_object_set_new(o, "filter", filter_json(p->state, &p->arena, r->filter_id));
    return o;
}

static json_t *world_json(struct explain_problem *p, const struct explain_world *w)
{
    json_t *o = json_object(), *layers = json_array();

    json_object_set_new(o, "decided_by", decider_json(p, w));
    json_object_set_new(o, "callouts", callouts_json(p, w));
    for (uint32_t s = 0; s < p->step_count; s++) {
        json_t *layer = layer_json(p, w, s, true);

        json_object_set_new(layer, "values", assignment_json(p, w, s));
        json_array_append_new(layers, layer);
    }
    json_object_set_new(o, "layers", layers);
    return o;
}

json_t *answer_json(const struct report *r)
{
    const struct explain_answer *a = r->answer;
    const struct explain_world *w = a->permit != NULL ? a->permit : a->block;
    json_t *o = json_object(), *notes = json_array();

    json_object_set_new(o, "verdict", json_string(explain_verdict_name(a->verdict)));
    json_object_set_new(o, "question", json_string(r->question));
    if (a->verdict == EXPLAIN_DEPENDS) {
        json_t *both = json_object();

        json_object_set_new(o, "decided_by", json_null());
        json_object_set_new(o, "depends", depends_json(r->p, a));
        json_object_set_new(both, "permitted", world_json(r->p, a->permit));
        json_object_set_new(both, "blocked", world_json(r->p, a->block));
        json_object_set_new(o, "assignments", both);
    } else if (w != NULL) {
        json_t *world = world_json(r->p, w);

        json_object_update(o, world);
        json_decref(world);
    }
    json_object_set_new(o, "example", json_boolean(a->free));
    for (uint32_t i = 0; r->notes != NULL && i < r->notes->count; i++)
        json_array_append_new(notes, json_string(r->notes->lines[i]));
    json_object_set_new(o, "notes", notes);
    return o;
}

json_t *why_not_json(struct explain_problem *p, const struct explain_world *w,
                     const struct explain_why_not *all, int count)
{
    static const char *const reasons[] = {
        [WHY_NOT_ELSEWHERE] = "other layer",
        [WHY_NOT_APPLIED] = "not applied",
        [WHY_NOT_CONDITION] = "condition",
        [WHY_NOT_SHADOWED] = "filter ahead",
        [WHY_NOT_CONTINUED] = "continued",
        [WHY_NOT_OVERRULED] = "overruled",
        [WHY_IT_DID] = "decides",
    };
    json_t *list = json_array();

    for (int i = 0; i < count; i++) {
        const struct explain_why_not *y = &all[i];
        json_t *o = json_object(), *failing = json_array();

        json_object_set_new(o, "filter", filter_json(p->state, &p->arena, y->filter->filterId));
        json_object_set_new(o, "layer", guid_json(&p->arena, ENGINE_GUID_LAYER, &y->filter->layerKey));
        json_object_set_new(o, "reason", json_string(reasons[y->reason]));
        json_object_set_new(o, "other", filter_json(p->state, &p->arena, y->other));
        for (uint32_t k = 0; k < y->failing_count; k++) {
            json_t *f = json_object();

            json_object_set_new(f, "words", json_string(y->failing[k].words));
            json_object_set_new(f, "raw", json_string(y->failing[k].raw));
            json_object_set_new(f, "value", json_string(y->failing[k].value));
            json_array_append_new(failing, f);
        }
        json_object_set_new(o, "failing", failing);
        json_array_append_new(list, o);
    }
    (void)w;
    return list;
}
