/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir classify --batch: one JSON object a line in, one result line out.
 *
 *   line -> struct query ---- all known ----> engine_classify (indexed) ----> result line
 *                     |                              | a foreign callout nobody settled
 *                     +--- some unknown ---> problem -> answer -------------> result line
 *
 * A line has an arena of its own. A bad line is answered by an object with its number and what is wrong.
 */
#include "cli/classify.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct query {
    const struct engine_layer *layer;
    const struct explain_value *values[ENGINE_MAX_FIELDS]; /* NULL: unknown */
    struct explain_assumption *callouts;                   /* the line's own; they go before all others */
    uint32_t callout_count;
};

/* ---- results --------------------------------------------------------------------------------- */

static json_t *result_sublayers(const struct explain_step_result *r, struct explain_arena *a)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < r->sublayer_count; i++) {
        const struct explain_sublayer_result *s = &r->sublayers[i];
        json_t *o = json_object();

        json_object_set_new(o, "sublayer", json_string(explain_guid_text(a, ENGINE_GUID_SUBLAYER, &s->key)));
        json_object_set_new(o, "weight", json_integer(s->weight));
        json_object_set_new(o, "filter_id",
                            s->filter_id != 0 ? json_integer((json_int_t)s->filter_id) : json_null());
        json_object_set_new(o, "action",
                            s->action != 0 ? json_string(explain_action_name(s->action)) : json_null());
        json_object_set_new(o, "took_effect", json_boolean(s->took_effect));
        json_object_set_new(o, "running",
                            s->running != 0 ? json_string(explain_action_name(s->running)) : json_null());
        json_object_set_new(o, "rights", json_integer(s->rights));
        json_array_append_new(list, o);
    }
    return list;
}

static void set_result(json_t *o, const struct classify *c, struct explain_arena *a,
                       const struct explain_step_result *r)
{
    json_object_set_new(o, "filter_id",
                        r->filter_id != 0 ? json_integer((json_int_t)r->filter_id) : json_null());
    json_object_set_new(o, "filter", filter_json(c->s, a, r->filter_id));
    json_object_set_new(o, "implicit", json_boolean(r->filter_id == 0));
    json_object_set_new(o, "rights", json_integer(r->rights));
    json_object_set_new(o, "veto", json_boolean(r->flags & ENGINE_VERDICT_VETO));
    json_object_set_new(o, "sublayers", result_sublayers(r, a));
}

/* The line's own assumptions ahead of the rest. */
static const struct engine_assumption *all_assumptions(const struct classify *c, struct explain_arena *a,
                                                       const struct query *q, size_t *count)
{
    struct engine_assumption *all;

    *count = c->assumption_count;
    if (q->callout_count == 0)
        return c->assumptions;
    all = explain_alloc(a, (c->assumption_count + q->callout_count) * sizeof *all);
    if (all == NULL)
        return c->assumptions;
    for (uint32_t i = 0; i < q->callout_count; i++)
        all[i] =
            (struct engine_assumption){q->callouts[i].callout, explain_callout_action(q->callouts[i].answer)};
    if (c->assumption_count != 0)
        memcpy(all + q->callout_count, c->assumptions, c->assumption_count * sizeof *all);
    *count += q->callout_count;
    return all;
}

/* All fields known: the engine as it is. False: a foreign callout has a say, or it could not be judged. */
static bool direct(const struct classify *c, struct explain_arena *a, const struct query *q, json_t *o)
{
    FWPS_INCOMING_VALUE0 incoming[ENGINE_MAX_FIELDS];
    FWPS_INCOMING_VALUES0 in = {q->layer->id, q->layer->field_count, incoming};
    struct explain_step_result r = {0};
    const struct engine_assumption *assumptions;
    size_t count;

    for (UINT16 i = 0; i < q->layer->field_count; i++) {
        if (q->values[i] == NULL)
            return false;
        incoming[i].value = q->values[i]->value;
    }
    assumptions = all_assumptions(c, a, q, &count);
    if (explain_judge_values(c->s, a, &in, assumptions, count, false, &r) != 0 ||
        r.flags & ENGINE_VERDICT_FOREIGN)
        return false;
    json_object_set_new(o, "verdict", json_string(r.blocked ? "BLOCKED" : "PERMITTED"));
    set_result(o, c, a, &r);
    return true;
}

/* The values of everything that the line left open, in one world; and what callouts answer. Put back into the
 * line, they make it known. */
static json_t *open_values(struct explain_problem *p, const struct explain_world *w, const struct query *q)
{
    json_t *o = json_object(), *values = assignment_json(p, w, 0);

    for (UINT16 i = 0; i < q->layer->field_count; i++) {
        if (q->values[i] != NULL)
            json_object_del(values, q->layer->fields[i].name);
    }
    json_object_set_new(o, "values", values);
    json_object_set_new(o, "callouts", callouts_json(p, w));
    return o;
}

static void set_depends(json_t *o, struct explain_problem *p, const struct explain_answer *answer,
                        const struct query *q)
{
    json_t *both = json_object(), *fields = json_array(), *depends = depends_json(p, answer), *one, *name;
    size_t i, k;

    json_array_foreach(depends, i, one)
    {
        json_array_foreach(json_object_get(one, "fields"), k, name) json_array_append(fields, name);
    }
    json_object_set_new(o, "fields", fields);
    json_object_set_new(o, "depends", depends);
    json_object_set_new(both, "permitted", open_values(p, answer->permit, q));
    json_object_set_new(both, "blocked", open_values(p, answer->block, q));
    json_object_set_new(o, "assignments", both);
}

static int searched(const struct classify *c, const struct query *q, json_t *o)
{
    struct explain_problem p;
    struct explain_answer answer;
    struct explain_assumption *all;
    const struct explain_world *w;
    const char *error = NULL;
    int err = classify_begin(c, &p);

    if (q->callout_count != 0 && err == 0) {
        all = explain_alloc(&p.arena, (q->callout_count + p.assumption_count) * sizeof *all);
        err = all == NULL ? -ENOMEM : 0;
        if (err == 0) {
            memcpy(all, q->callouts, q->callout_count * sizeof *all);
            if (p.assumption_count != 0)
                memcpy(all + q->callout_count, p.assumptions, p.assumption_count * sizeof *all);
            p.assumptions = all;
            p.assumption_count += q->callout_count;
        }
    }
    if (err == 0)
        err = classify_solve(&p, q->layer, q->values, &answer, &error);
    if (err != 0) {
        json_object_set_new(o, "error", json_string(error != NULL ? error : "out of memory"));
        goto out;
    }
    json_object_set_new(o, "verdict", json_string(explain_verdict_name(answer.verdict)));
    if (answer.verdict == EXPLAIN_DEPENDS) {
        set_depends(o, &p, &answer, q);
    } else if ((w = answer.permit != NULL ? answer.permit : answer.block) != NULL) {
        set_result(o, c, &p.arena, &w->steps[0]);
        json_object_set_new(o, "example", json_boolean(answer.free));
    }
out:
    explain_problem_end(&p);
    return err;
}

/* ---- reading a line -------------------------------------------------------------------------- */

static int read_values(struct explain_arena *a, const json_t *given, struct query *q, const char **error)
{
    const char *key;
    json_t *value;

    if (given != NULL && !json_is_object(given)) {
        *error = "expected \"values\": an object";
        return -EINVAL;
    }
    json_object_foreach((json_t *)given, key, value)
    {
        const struct engine_field *field = explain_field_find(q->layer, key);
        struct explain_value *v = explain_alloc(a, sizeof *v);
        int err;

        if (field == NULL) {
            *error = explain_printf(a, "%s has no field '%s'", q->layer->name, key);
            return -EINVAL;
        }
        err = v == NULL ? -ENOMEM : explain_value_from_json(a, field, value, v, error);
        if (err == -EINVAL)
            *error = explain_printf(a, "%s: %s", key, *error);
        if (err != 0)
            return err;
        q->values[field->index] = v;
    }
    return 0;
}

static int read_callouts(const struct classify *c, struct explain_arena *a, const json_t *given,
                         struct query *q, const char **error)
{
    const char *key;
    json_t *value;

    if (given == NULL)
        return 0;
    q->callouts = explain_alloc(a, (json_object_size(given) + 1) * sizeof *q->callouts);
    if (q->callouts == NULL)
        return -ENOMEM;
    if (!json_is_object(given)) {
        *error = "expected \"callouts\": an object";
        return -EINVAL;
    }
    json_object_foreach((json_t *)given, key, value)
    {
        char *text = explain_printf(a, "%s=%s", key, json_is_string(value) ? json_string_value(value) : "?");

        if (text == NULL)
            return -ENOMEM;
        if (!parse_callout(c->s, a, text, &q->callouts[q->callout_count++], error)) {
            *error = explain_printf(a, "callouts: %s", *error);
            return -EINVAL;
        }
    }
    return 0;
}

static int read_line(const struct classify *c, struct explain_arena *a, const json_t *line, struct query *q,
                     const char **error)
{
    static const char known[] = " layer values callouts id ";
    const json_t *name = json_object_get(line, "layer");
    const char *key;
    json_t *value;
    int err;

    if (!json_is_object(line)) {
        *error = "expected an object";
        return -EINVAL;
    }
    json_object_foreach((json_t *)line, key, value)
    {
        const char *word = explain_printf(a, " %s ", key);

        if (word != NULL && strstr(known, word) == NULL) {
            *error = explain_printf(a, "unknown member '%s'", key);
            return -EINVAL;
        }
    }
    if (!json_is_string(name)) {
        *error = "expected \"layer\": the name of a layer";
        return -EINVAL;
    }
    q->layer = engine_layer_by_name(json_string_value(name));
    if (q->layer == NULL) {
        *error = explain_printf(a, "no layer is called '%s'", json_string_value(name));
        return -EINVAL;
    }
    err = read_values(a, json_object_get(line, "values"), q, error);
    return err != 0 ? err : read_callouts(c, a, json_object_get(line, "callouts"), q, error);
}

/* ---- the loop -------------------------------------------------------------------------------- */

/* One line in, one line out. *bad: it was not a good one. */
static int one_line(const struct classify *c, const char *text, size_t size, unsigned long number, bool *bad)
{
    struct query q = {0};
    struct explain_arena a = {0};
    const char *error = NULL;
    json_error_t at;
    json_t *line = json_loadb(text, size, JSON_REJECT_DUPLICATES, &at), *o = json_object();
    int err, status;

    json_object_set_new(o, "line", json_integer((json_int_t)number));
    if (line == NULL) {
        error = explain_printf(&a, "column %d: %s", at.column, at.text);
        err = -EINVAL;
    } else {
        if (json_object_get(line, "id") != NULL)
            json_object_set(o, "id", json_object_get(line, "id"));
        err = read_line(c, &a, line, &q, &error);
    }
    if (err != 0)
        json_object_set_new(o, "error", json_string(error != NULL ? error : "out of memory"));
    if (err == 0) {
        json_object_set_new(o, "layer", json_string(q.layer->name));
        if (!direct(c, &a, &q, o))
            err = searched(c, &q, o);
    }
    *bad = *bad || err != 0;
    status = print_json(o, false);
    json_decref(line);
    explain_arena_free(&a);
    return status;
}

int classify_batch(const struct classify *c, int argc, char **argv)
{
    FILE *f;
    unsigned long number = 0;
    char *line = NULL;
    size_t room = 0;
    ssize_t size;
    int status = EXIT_PERMITTED;
    bool bad = false;

    if (argc > optind)
        return complain_usage("classify", "--batch takes no LAYER, found '%s'", argv[optind]);
    f = strcmp(c->o->batch, "-") == 0 ? stdin : fopen(c->o->batch, "r");
    if (f == NULL)
        return complain(EXIT_NO_INPUT, "%s: %s", c->o->batch, strerror(errno));
    while (status == EXIT_PERMITTED && (size = getline(&line, &room, f)) >= 0) {
        number++;
        while (size > 0 && strchr(" \t\r\n", line[size - 1]) != NULL)
            size--;
        if (size > 0)
            status = one_line(c, line, (size_t)size, number, &bad);
    }
    if (status == EXIT_PERMITTED && ferror(f))
        status = complain(EXIT_NO_INPUT, "%s: cannot be read", c->o->batch);
    if (f != stdin)
        fclose(f);
    free(line);
    if (status == EXIT_PERMITTED && bad)
        status = EXIT_DATA_ERROR;
    return status;
}
