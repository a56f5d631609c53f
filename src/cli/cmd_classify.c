/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir classify: what one layer says to values given one by one, or line by line.
 *
 *   line -> JSON -> values ---- all known ----> engine_classify (indexed) ----> result line
 *                     |                              | a foreign callout nobody settled
 *                     +--- some unknown ---> problem -> answer -------------> result line
 *
 * Fields are independent of each other here: a classify asks about values, not about connections.
 */
#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define MAX_CALLOUTS 64

static const char usage[] =
    "usage: weir classify --state FILE LAYER FIELD=VALUE... [OPTIONS]\n"
    "       weir classify --state FILE --batch FILE|- [OPTIONS]\n"
    "\n"
    "Asks one of the 99 layers. Fields that are not given are unknown: the answer is PERMITTED, BLOCKED, or "
    "DEPENDS\n"
    "on some of them. LAYER is a name with or without FWPM_LAYER_, FIELD one with or without "
    "FWPM_CONDITION_.\n"
    "\n"
    "  --batch FILE|-     one JSON object a line: {\"layer\": \"FWPM_LAYER_...\", \"values\":\n"
    "                     {\"FWPM_CONDITION_...\": VALUE}}; absent fields are unknown, null is EMPTY. One "
    "result\n"
    "                     line each; doc/json.md has the notations of values and the members of results\n"
    "  --callout WHICH=permit|block|continue\n"
    "  --assume default|plain|none\n"
    "                     what callouts of that machine answer (see weir explain --help)\n"
    "  --json             the answer as JSON\n"
    "  -v                 also the value of every field, and what was assumed\n"
    "\n"
    "Exit status: 0 permitted, 1 blocked, 2 depends, 3 not proved within the budget; 64 wrong usage, 65 bad "
    "input,\n"
    "66 no such file, 70 internal error. With --batch: 0, or 65 if any line was bad.\n";

struct options {
    const char *state, *batch;
    bool json, verbose;
    enum explain_assume assume;
    char *callouts[MAX_CALLOUTS];
    unsigned callout_count;
};

struct classify {
    const struct explain_state *s;
    const struct options *o;
    struct explain_assumption settled[MAX_CALLOUTS]; /* --callout */
    struct engine_assumption *assumptions;           /* of all callouts of the state, for the direct way */
    size_t assumption_count;
};

static int parse_options(int argc, char **argv, struct options *o)
{
    enum { STATE = 256, BATCH, CALLOUT, ASSUME, JSON, HELP };
    static const struct option longs[] = {
        {"state", required_argument, NULL, STATE},
        {"batch", required_argument, NULL, BATCH},
        {"callout", required_argument, NULL, CALLOUT},
        {"assume", required_argument, NULL, ASSUME},
        {"json", no_argument, NULL, JSON},
        {"verbose", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, HELP},
        {NULL, 0, NULL, 0},
    };
    int c;

    opterr = 0;
    while ((c = getopt_long(argc, argv, ":vh", longs, NULL)) != -1) {
        switch (c) {
        case STATE:
            o->state = optarg;
            break;
        case BATCH:
            o->batch = optarg;
            break;
        case CALLOUT:
            if (o->callout_count == MAX_CALLOUTS)
                return complain_usage("classify", "more than %d --callout", MAX_CALLOUTS);
            o->callouts[o->callout_count++] = optarg;
            break;
        case ASSUME:
            if (!parse_assume(optarg, &o->assume))
                return complain_usage("classify", "--assume %s: expected default, plain or none", optarg);
            break;
        case JSON:
            o->json = true;
            break;
        case 'v':
            o->verbose = true;
            break;
        case 'h':
        case HELP:
            fputs(usage, stdout);
            return -1;
        case ':':
            return complain_usage("classify", "%s needs a value", argv[optind - 1]);
        default:
            return complain_usage("classify", "unknown option %s", argv[optind - 1]);
        }
    }
    return EXIT_PERMITTED;
}

static int begin(const struct classify *c, struct explain_problem *p)
{
    int err = explain_problem_begin(c->s, p);

    p->assumptions = (struct explain_assumption *)c->settled;
    p->assumption_count = c->o->callout_count;
    p->others_continue = c->o->assume == EXPLAIN_ASSUME_PLAIN;
    p->use_builtin = c->o->assume == EXPLAIN_ASSUME_DEFAULT;
    return err;
}

/* ---- one classification
 * -------------------------------------------------------------------------------------------------- */

/* 0; -EINVAL with *error; -ENOMEM; -E2BIG; -EPROTO. */
static int solve_one(struct explain_problem *p, const struct engine_layer *layer,
                     const struct explain_value *const *values, struct explain_answer *answer,
                     const char **error)
{
    int err = explain_classify_add(p, layer, values);

    if (err == 0)
        err = explain_problem_build(p, error);
    if (err == -E2BIG)
        *error = explain_printf(&p->arena,
                                "%s: too many different values matter; give some of what is unknown", *error);
    if (err == 0)
        err = explain_answer(p, EXPLAIN_BUDGET, answer, error);
    return err;
}

static int single(struct classify *c, int argc, char **argv)
{
    const struct engine_layer *layer;
    const struct explain_value *values[ENGINE_MAX_FIELDS] = {NULL};
    struct explain_problem p;
    struct explain_answer answer;
    struct report r = {&p, &answer, NULL, NULL, c->o->verbose};
    const char *error = NULL;
    int err, status = EXIT_PERMITTED;

    if (optind == argc)
        return complain_usage("classify", "LAYER is missing");
    layer = engine_layer_by_name(argv[optind]);
    if (layer == NULL)
        return complain_usage("classify", "no layer is called '%s'", argv[optind]);
    err = begin(c, &p);
    for (int i = optind + 1; i < argc && status == EXIT_PERMITTED && err == 0; i++) {
        char *equals = strchr(argv[i], '=');
        const struct engine_field *field = NULL;
        struct explain_value *v = explain_alloc(&p.arena, sizeof *v);

        if (equals == NULL) {
            status = complain_usage("classify", "'%s': expected FIELD=VALUE", argv[i]);
            break;
        }
        *equals = '\0';
        field = explain_field_find(layer, argv[i]);
        if (field == NULL) {
            status = complain_usage("classify", "%s: %s has no such field", argv[i], layer->name);
            break;
        }
        err = v == NULL ? -ENOMEM : explain_value_parse(&p.arena, field, equals + 1, v, &error);
        if (err == -EINVAL) {
            status = complain_usage("classify", "%s: %s", argv[i], error);
            break;
        }
        values[field->index] = v;
    }
    if (status == EXIT_PERMITTED && err == 0) {
        err = solve_one(&p, layer, values, &answer, &error);
        r.question = explain_printf(&p.arena, "classify at %s", layer->name);
    }
    if (status == EXIT_PERMITTED && err != 0)
        status = complain(err == -EPROTO  ? EXIT_INTERNAL
                          : err == -E2BIG ? EXIT_UNDECIDED
                                          : EXIT_OS_ERROR,
                          "%s", error != NULL ? error : strerror(-err));
    if (status == EXIT_PERMITTED && c->o->json)
        status = print_json(answer_json(&r), true);
    else if (status == EXIT_PERMITTED)
        print_answer(&r, stdout);
    if (status == EXIT_PERMITTED)
        status = exit_status_of(answer.verdict);
    explain_problem_end(&p);
    return status;
}

/* ---- batches
 * -----------------------------------------------------------------------------------------------------------------
 */

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

/* All fields known: the engine as it is. False: a foreign callout has a say, or it could not be judged. */
static bool direct(const struct classify *c, struct explain_arena *a, const struct engine_layer *layer,
                   const struct explain_value *const *values, json_t *o)
{
    FWPS_INCOMING_VALUE0 incoming[ENGINE_MAX_FIELDS];
    FWPS_INCOMING_VALUES0 in = {layer->id, layer->field_count, incoming};
    struct explain_step_result r = {0};

    for (UINT16 i = 0; i < layer->field_count; i++) {
        if (values[i] == NULL)
            return false;
        incoming[i].value = values[i]->value;
    }
    if (explain_judge_values(c->s, a, &in, c->assumptions, c->assumption_count, false, &r) != 0 ||
        r.flags & ENGINE_VERDICT_FOREIGN)
        return false;
    json_object_set_new(o, "verdict", json_string(r.blocked ? "BLOCKED" : "PERMITTED"));
    set_result(o, c, a, &r);
    return true;
}

/* The values of everything that the line left open, in one world; and what callouts answer. */
static json_t *open_values(struct explain_problem *p, const struct explain_world *w,
                           const struct explain_value *const *given)
{
    json_t *o = json_object(), *values = assignment_json(p, w, 0);
    const struct engine_layer *layer = p->steps[0].layer;

    for (UINT16 i = 0; i < layer->field_count; i++) {
        if (given[i] != NULL && layer->fields[i].name != NULL)
            json_object_del(values, layer->fields[i].name);
    }
    json_object_set_new(o, "values", values);
    json_object_set_new(o, "callouts", callouts_json(p, w));
    return o;
}

static int searched(const struct classify *c, const struct engine_layer *layer,
                    const struct explain_value *const *values, json_t *o, const char **error)
{
    struct explain_problem p;
    struct explain_answer answer;
    const struct explain_world *w;
    int err = begin(c, &p);

    if (err == 0)
        err = solve_one(&p, layer, values, &answer, error);
    if (err != 0) {
        if (*error != NULL)
            json_object_set_new(o, "error", json_string(*error));
        goto out;
    }
    json_object_set_new(o, "verdict", json_string(explain_verdict_name(answer.verdict)));
    if (answer.verdict == EXPLAIN_DEPENDS) {
        json_t *both = json_object(), *fields = json_array(), *depends = depends_json(&p, &answer);
        json_t *one, *name;
        size_t i, k;

        json_array_foreach(depends, i, one)
        {
            json_array_foreach(json_object_get(one, "fields"), k, name) json_array_append(fields, name);
        }
        json_object_set_new(o, "fields", fields);
        json_object_set_new(o, "depends", depends);
        json_object_set_new(both, "permitted", open_values(&p, answer.permit, values));
        json_object_set_new(both, "blocked", open_values(&p, answer.block, values));
        json_object_set_new(o, "assignments", both);
    } else if ((w = answer.permit != NULL ? answer.permit : answer.block) != NULL) {
        set_result(o, c, &p.arena, &w->steps[0]);
        json_object_set_new(o, "example", json_boolean(answer.free));
    }
out:
    explain_problem_end(&p);
    return err;
}

/* Reads a line's layer and values; what is wrong with it goes to *error. */
static int read_line(struct explain_arena *a, const json_t *line, const struct engine_layer **layer,
                     const struct explain_value **values, const char **error)
{
    const json_t *name = json_object_get(line, "layer"), *given = json_object_get(line, "values");
    const char *key;
    json_t *value;

    if (!json_is_object(line)) {
        *error = "expected an object";
        return -EINVAL;
    }
    json_object_foreach((json_t *)line, key, value)
    {
        if (strcmp(key, "layer") != 0 && strcmp(key, "values") != 0 && strcmp(key, "id") != 0) {
            *error = explain_printf(a, "unknown member '%s'", key);
            return -EINVAL;
        }
    }
    if (!json_is_string(name)) {
        *error = "expected \"layer\": the name of a layer";
        return -EINVAL;
    }
    *layer = engine_layer_by_name(json_string_value(name));
    if (*layer == NULL) {
        *error = explain_printf(a, "no layer is called '%s'", json_string_value(name));
        return -EINVAL;
    }
    if (given != NULL && !json_is_object(given)) {
        *error = "expected \"values\": an object";
        return -EINVAL;
    }
    json_object_foreach((json_t *)given, key, value)
    {
        const struct engine_field *field = explain_field_find(*layer, key);
        struct explain_value *v = explain_alloc(a, sizeof *v);
        int err;

        if (field == NULL) {
            *error = explain_printf(a, "%s has no field '%s'", (*layer)->name, key);
            return -EINVAL;
        }
        err = v == NULL ? -ENOMEM : explain_value_from_json(a, field, value, v, error);
        if (err == -EINVAL)
            *error = explain_printf(a, "%s: %s", key, *error);
        if (err != 0)
            return err;
        values[field->index] = v;
    }
    return 0;
}

/* One line in, one line out. *bad: it was not a good one. */
static int batch_line(const struct classify *c, const char *text, size_t size, unsigned long number,
                      bool *bad)
{
    const struct explain_value *values[ENGINE_MAX_FIELDS] = {NULL};
    const struct engine_layer *layer = NULL;
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
        err = read_line(&a, line, &layer, values, &error);
    }
    if (err == 0) {
        json_object_set_new(o, "layer", json_string(layer->name));
        if (!direct(c, &a, layer, values, o))
            err = searched(c, layer, values, o, &error);
    }
    if (err != 0) {
        *bad = true;
        if (json_object_get(o, "error") == NULL)
            json_object_set_new(o, "error",
                                json_string(err == -ENOMEM || error == NULL ? "out of memory" : error));
    }
    status = print_json(o, false);
    json_decref(line);
    explain_arena_free(&a);
    return status;
}

static int batch(struct classify *c, int argc, char **argv)
{
    FILE *f = strcmp(c->o->batch, "-") == 0 ? stdin : fopen(c->o->batch, "r");
    unsigned long number = 0;
    char *line = NULL;
    size_t room = 0;
    ssize_t size;
    int status = EXIT_PERMITTED;
    bool bad = false;

    if (argc > optind)
        return complain_usage("classify", "--batch takes no LAYER, found '%s'", argv[optind]);
    if (f == NULL)
        return complain(EXIT_NO_INPUT, "%s: %s", c->o->batch, strerror(errno));
    while (status == EXIT_PERMITTED && (size = getline(&line, &room, f)) >= 0) {
        number++;
        while (size > 0 && strchr(" \t\r\n", line[size - 1]) != NULL)
            size--;
        if (size > 0)
            status = batch_line(c, line, (size_t)size, number, &bad);
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

/* ---- the command
 * ----------------------------------------------------------------------------------------------------------------
 */

/* What is taken of each callout of the state, once for all lines. */
static int take_assumptions(struct classify *c, struct explain_arena *a)
{
    struct explain_problem p;
    const char *error;

    for (unsigned i = 0; i < c->o->callout_count; i++) {
        if (!parse_callout(c->s, a, c->o->callouts[i], &c->settled[i], &error))
            return complain_usage("classify", "%s", error);
    }
    c->assumptions = explain_alloc(a, (c->s->callout_count + 1) * sizeof *c->assumptions);
    if (c->assumptions == NULL || begin(c, &p) != 0)
        return complain(EXIT_OS_ERROR, "out of memory");
    for (UINT32 i = 0; i < c->s->callout_count; i++) {
        const GUID *key = &c->s->callouts[i]->calloutKey;
        enum solve_callout_class answer;
        const char *why;

        if (explain_assumed_answer(&p, key, &answer, &why))
            c->assumptions[c->assumption_count++] =
                (struct engine_assumption){*key, explain_callout_action(answer)};
    }
    explain_problem_end(&p);
    return EXIT_PERMITTED;
}

int cmd_classify(int argc, char **argv)
{
    struct options o = {0};
    struct classify c = {.o = &o};
    struct explain_state *s = NULL;
    struct explain_arena a = {0};
    int status = parse_options(argc, argv, &o);

    if (status != EXIT_PERMITTED)
        return status < 0 ? EXIT_PERMITTED : status;
    status = load_state("classify", o.state, &s);
    c.s = s;
    if (status == EXIT_PERMITTED)
        status = take_assumptions(&c, &a);
    if (status == EXIT_PERMITTED)
        status = o.batch != NULL ? batch(&c, argc, argv) : single(&c, argc, argv);
    explain_state_close(s);
    explain_arena_free(&a);
    return status;
}
