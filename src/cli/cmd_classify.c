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
#include "cli/classify.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

static int parse_options(int argc, char **argv, struct classify_options *o)
{
    enum { BATCH = 256 };
    static const struct option longs[] = {
        SHARED_STATE, SHARED_CALLOUTS, SHARED_JSON, SHARED_VERBOSE, {"batch", required_argument, NULL, BATCH},
        SHARED_END,
    };
    int c, status = EXIT_PERMITTED;

    opterr = 0;
    while (status == EXIT_PERMITTED && (c = getopt_long(argc, argv, ":vh", longs, NULL)) != -1) {
        if (c == BATCH)
            o->batch = optarg;
        else
            status = shared_option("classify", c, argv, &o->shared, usage);
    }
    return status;
}

int classify_begin(const struct classify *c, struct explain_problem *p)
{
    int err = explain_problem_begin(c->s, p);

    p->assumptions = (struct explain_assumption *)c->settled;
    p->assumption_count = c->settled_count;
    p->others_continue = c->o->shared.assume == EXPLAIN_ASSUME_PLAIN;
    p->use_builtin = c->o->shared.assume == EXPLAIN_ASSUME_DEFAULT;
    return err;
}

/* ---- one classification ---------------------------------------------------------------------- */

int classify_solve(struct explain_problem *p, const struct engine_layer *layer,
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
    struct report r = {&p, &answer, NULL, NULL, c->o->shared.verbose};
    const char *error = NULL;
    int err, status = EXIT_PERMITTED;

    if (optind == argc)
        return complain_usage("classify", "LAYER is missing");
    layer = engine_layer_by_name(argv[optind]);
    if (layer == NULL)
        return complain_usage("classify", "no layer is called '%s'", argv[optind]);
    err = classify_begin(c, &p);
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
        err = classify_solve(&p, layer, values, &answer, &error);
        r.question = explain_printf(&p.arena, "classify at %s", layer->name);
    }
    if (status == EXIT_PERMITTED && err != 0)
        status = complain(err == -EPROTO  ? EXIT_INTERNAL
                          : err == -E2BIG ? EXIT_UNDECIDED
                                          : EXIT_OS_ERROR,
                          "%s", error != NULL ? error : strerror(-err));
    if (status == EXIT_PERMITTED && c->o->shared.json)
        status = print_json(answer_json(&r), true);
    else if (status == EXIT_PERMITTED)
        print_answer(&r, stdout);
    if (status == EXIT_PERMITTED)
        status = exit_status_of(answer.verdict);
    explain_problem_end(&p);
    return status;
}

/* ---- the command ----------------------------------------------------------------------------- */

/* What is taken of each callout of the state, once for all lines. */
static int take_assumptions(struct classify *c, struct explain_arena *a)
{
    struct explain_problem p;
    int status;

    status = shared_callouts("classify", &c->o->shared, c->s, a, c->settled, &c->settled_count);
    if (status != EXIT_PERMITTED)
        return status;
    c->assumptions = explain_alloc(a, (c->s->callout_count + 1) * sizeof *c->assumptions);
    if (c->assumptions == NULL || classify_begin(c, &p) != 0)
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
    struct classify_options o = {0};
    struct classify c = {.o = &o};
    struct explain_state *s = NULL;
    struct explain_arena a = {0};
    int status = parse_options(argc, argv, &o);

    if (status != EXIT_PERMITTED)
        return status < 0 ? EXIT_PERMITTED : status;
    status = load_state("classify", o.shared.state, &s);
    c.s = s;
    if (status == EXIT_PERMITTED)
        status = take_assumptions(&c, &a);
    if (status == EXIT_PERMITTED)
        status = o.batch != NULL ? classify_batch(&c, argc, argv) : single(&c, argc, argv);
    explain_state_close(s);
    explain_arena_free(&a);
    return status;
}
