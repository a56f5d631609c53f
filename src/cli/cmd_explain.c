/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir explain: a question to a machine's policy.
 *
 *   arguments -> struct explain_options -> struct explain_question -> problem -> answer -> text or JSON
 *
 * `packet` without --direction is asked both ways; the answers are then put together.
 */
#include "cli/explain_events.h"
#include "cli/explain_options.h"
#include "cli/print_endpoints.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- the question in words ------------------------------------------------------------------- */

static const char *end_words(struct explain_arena *a, const struct explain_question *q,
                             const struct explain_end *e)
{
    const char *address = e->wildcard ? "*" : "?";
    bool v6 = false;

    if (e->address_known) {
        v6 = e->address.type == FWP_BYTE_ARRAY16_TYPE;
        address = v6 ? explain_v6_text(a, e->address.byteArray16->byteArray16)
                     : explain_v4_text(a, e->address.uint32);
    }
    if (q->protocol != 6 && q->protocol != 17)
        return address;
    return explain_printf(a, v6 ? "[%s]:%s" : "%s:%s", address,
                          e->port_known ? explain_printf(a, "%u", e->port) : "?");
}

static const char *question_words(struct explain_arena *a, const struct explain_question *q)
{
    const struct engine_field *protocol =
        explain_field_find(engine_layer_by_id(FWPS_LAYER_ALE_AUTH_CONNECT_V4), "IP_PROTOCOL");
    const char *local = end_words(a, q, &q->local), *remote = end_words(a, q, &q->remote);
    const char *text = explain_printf(a, "%s %s, IPv%c: %s", explain_op_name(q->op),
                                      explain_number_text(a, protocol, q->protocol), q->family, local);

    if (q->op == EXPLAIN_CONNECT || (q->op == EXPLAIN_PACKET && q->direction != 'i'))
        text = explain_printf(a, "%s to %s", text, remote);
    else if (q->op == EXPLAIN_ACCEPT || q->op == EXPLAIN_PACKET)
        text = explain_printf(a, "%s from %s", text, remote);
    if (q->app != NULL)
        text = explain_printf(a, "%s, program %s", text, explain_blob_text(a, NULL, q->app));
    if (q->token != NULL)
        text = explain_printf(a, "%s, user %s", text, q->token->label);
    return text;
}

/* ---- asking ---------------------------------------------------------------------------------- */

struct asked {
    struct explain_problem p;
    struct explain_notes notes;
    struct explain_answer answer;
    const char *words;
};

static int ask(const struct explain_state *s, struct explain_question *q, struct asked *x)
{
    const char *error = NULL;
    int err = explain_problem_begin(s, &x->p);

    x->words = question_words(&x->p.arena, q);
    if (err == 0)
        err = explain_question_add(&x->p, q, 0, &x->notes, &error);
    if (err == -EINVAL)
        return complain_usage("explain", "%s", error != NULL ? error : "this cannot be asked");
    for (uint32_t i = 0; i < q->setting_count && err == 0; i++) {
        if (!q->settings[i].used && !q->settings[i].soft)
            return complain_usage("explain", "--set %s: no layer of this operation has the field",
                                  q->settings[i].field);
    }
    if (err == 0)
        err = explain_problem_build(&x->p, &error);
    if (err == -E2BIG)
        return complain(EXIT_UNDECIDED, "%s: too many different values matter; give some of what is unknown",
                        error);
    if (err == -EDOM)
        return complain_usage("explain", "%s: no value is possible with what was given", error);
    if (err == 0)
        err = explain_answer(&x->p, EXPLAIN_BUDGET, &x->answer, &error);
    if (err == -EPROTO)
        return complain(EXIT_INTERNAL, "%s", error);
    return err == 0 ? EXIT_PERMITTED
                    : complain(EXIT_OS_ERROR, "%s", err == -ENOMEM ? "out of memory" : strerror(-err));
}

static int tell_why_not(const struct explain_options *o, struct asked *x, json_t *json)
{
    const struct explain_world *worlds[] = {x->answer.permit, x->answer.block};
    const FWPM_FILTER0 *const *filters;
    int n = explain_find_filters(x->p.state, &x->p.arena, o->why_not, &filters);
    json_t *list = json_array();

    if (n == 0) {
        json_decref(list);
        return complain_usage("explain", "--why-not %s: no filter has this id, key or name", o->why_not);
    }
    for (int i = 0; i < n; i++) {
        for (unsigned w = 0; w < 2; w++) {
            struct explain_why_not *all;
            int count;

            if (worlds[w] == NULL || (x->answer.verdict != EXPLAIN_DEPENDS && w == 1 && worlds[0] != NULL))
                continue;
            count = explain_why_not(&x->p, worlds[w], filters[i], &all);
            /* of several filters with one name only those on the way are of interest */
            if (count < 1 || (n > 1 && all[0].reason == WHY_NOT_ELSEWHERE))
                continue;
            if (json != NULL) {
                json_t *one = why_not_json(&x->p, worlds[w], all, count);

                json_array_extend(list, one);
                json_decref(one);
                continue;
            }
            if (x->answer.verdict == EXPLAIN_DEPENDS)
                printf("\n%s:", w == 0 ? "as PERMITTED" : "as BLOCKED");
            print_why_not(&x->p, worlds[w], all, count, stdout);
        }
    }
    if (json != NULL)
        json_object_set_new(json, "why_not", list);
    else
        json_decref(list);
    return EXIT_PERMITTED;
}

static int tell(const struct explain_options *o, struct asked *x)
{
    struct report r = {&x->p, &x->answer, &x->notes, x->words, o->shared.verbose};
    int status = EXIT_PERMITTED;

    if (o->shared.json) {
        json_t *json = answer_json(&r);

        if (o->why_not != NULL)
            status = tell_why_not(o, x, json);
        if (status == EXIT_PERMITTED)
            status = print_json(json, true);
        else
            json_decref(json);
    } else {
        print_answer(&r, stdout);
        if (o->why_not != NULL)
            status = tell_why_not(o, x, NULL);
    }
    return status != EXIT_PERMITTED ? status : exit_status_of(x->answer.verdict);
}

/* A packet of which nobody said which way it goes. */
static int ask_both_ways(const struct explain_options *o, const struct explain_state *s,
                         struct explain_question *q)
{
    static const char directions[] = "oi";
    struct asked x[2] = {0};
    int status[2] = {0}, out;
    json_t *json = json_object();

    for (unsigned i = 0; i < 2; i++) {
        q->direction = directions[i];
        status[i] = ask(s, q, &x[i]);
        if (status[i] != EXIT_PERMITTED) {
            out = status[i];
            goto done;
        }
    }
    out = x[0].answer.verdict == x[1].answer.verdict ? exit_status_of(x[0].answer.verdict) : EXIT_DEPENDS;
    if (o->shared.json) {
        for (unsigned i = 0; i < 2; i++) {
            struct report r = {&x[i].p, &x[i].answer, &x[i].notes, x[i].words, o->shared.verbose};

            json_object_set_new(json, i == 0 ? "outbound" : "inbound", answer_json(&r));
        }
        json_object_set_new(json, "verdict",
                            json_string(x[0].answer.verdict == x[1].answer.verdict
                                            ? explain_verdict_name(x[0].answer.verdict)
                                            : "DEPENDS"));
        if (print_json(json_incref(json), true) != EXIT_PERMITTED)
            out = EXIT_OS_ERROR;
        goto done;
    }
    if (x[0].answer.verdict != x[1].answer.verdict)
        printf("DEPENDS on direction (DIRECTION): outbound %s, inbound %s\n\n",
               explain_verdict_name(x[0].answer.verdict), explain_verdict_name(x[1].answer.verdict));
    for (unsigned i = 0; i < 2; i++) {
        struct report r = {&x[i].p, &x[i].answer, &x[i].notes, x[i].words, o->shared.verbose};

        print_answer(&r, stdout);
        if (i == 0)
            putchar('\n');
    }
done:
    json_decref(json);
    explain_problem_end(&x[0].p);
    explain_problem_end(&x[1].p);
    return out;
}

static int run(struct explain_options *o, int argc, char **argv, const struct explain_state *s,
               struct explain_arena *a)
{
    struct explain_assumption assumptions[MAX_CALLOUTS];
    struct explain_question q = {.assume = o->shared.assume, .callouts = assumptions};
    struct asked x = {0};
    const char *note = NULL;
    int status;

    status = shared_callouts("explain", &o->shared, s, a, assumptions, &q.callout_count);
    if (status != EXIT_PERMITTED)
        return status;
    if (o->endpoints) {
        if (argc > optind)
            return complain_usage("explain", "--endpoints takes no operation, found '%s'", argv[optind]);
        return print_endpoints(s, a, &q, o->shared.json, o->shared.verbose);
    }
    status = explain_options_question(o, argc, argv, s, a, &q, &note);
    if (status != EXIT_PERMITTED)
        return status;
    if (q.op == EXPLAIN_PACKET && o->direction == 0)
        return ask_both_ways(o, s, &q);
    status = ask(s, &q, &x);
    if (status == EXIT_PERMITTED && note != NULL)
        explain_note(&x.p, &x.notes, note);
    if (status == EXIT_PERMITTED && o->family == 0 && !q.local.address_known && !q.remote.address_known)
        explain_note(&x.p, &x.notes,
                     q.family == '6' ? "asked about IPv6, as the protocol says"
                                     : "asked about IPv4 (-6 for IPv6)");
    if (status == EXIT_PERMITTED)
        status = tell(o, &x);
    explain_problem_end(&x.p);
    return status;
}

int cmd_explain(int argc, char **argv)
{
    struct explain_options o = {0};
    struct explain_state *s = NULL;
    struct explain_arena a = {0};
    int status = explain_options_parse(argc, argv, &o);

    if (status != EXIT_PERMITTED)
        return status < 0 ? EXIT_PERMITTED : status;
    if (o.events != NULL && argc > optind)
        return complain_usage("explain", "--events takes no operation, found '%s'", argv[optind]);
    if (o.events != NULL)
        return explain_events(o.events, o.flow, o.shared.json, o.shared.verbose);
    status = load_state("explain", o.shared.state, &s);
    if (status == EXIT_PERMITTED)
        status = run(&o, argc, argv, s, &a);
    explain_state_close(s);
    explain_arena_free(&a);
    return status;
}
