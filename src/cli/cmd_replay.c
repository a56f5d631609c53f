/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir replay: a capture through a policy.
 *
 *   options -> policy (explain_state) -> host's configuration -> replay_run() --frames, classifications--+
 *                                             ^                                                         |
 *                                 judge, who, --set, --callout        events (JSON lines), tally <------+
 *
 * The policies of --at are loaded once ahead of the run, so that a bad file is told of before anything is
 * done, and to know their callouts.
 */
#include "cli/replay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bfe/events.h"
#include "explain/judge.h"
#include "loader/loader.h"

struct run {
    const struct replay_options *o;
    struct explain_state *s;
    struct explain_arena a;
    struct explain_judge *judge;
    struct report_names *names;
    struct report_events *events;
    struct report_tally *tally;
    struct who *who;
    struct drivers *drivers; /* NULL: none */
    FILE *events_file;
    struct explain_assumption settled[MAX_CALLOUTS];
    uint32_t settled_count;
    struct engine_assumption *assumptions;
    size_t assumption_count, assumption_room;
    struct host_setting *settings;
    size_t setting_count;
    struct replay_change changes[MAX_CHANGES];
    struct change {
        struct run *run;
        const char *file;
        const struct replay_at *what;
        UINT64 time_ns;
    } loads[MAX_CHANGES];
    struct replay_local *hints;
    size_t hint_count;
    UINT64 start_ns;
    UINT64 inbound, wrong_sums; /* frames; of them discarded for a wrong checksum */
    bool progress_shown;
};

static int no_memory(void)
{
    return complain(EXIT_OS_ERROR, "out of memory");
}

/* ---- callouts -------------------------------------------------------------------------------------------
 */

/* What is taken of each callout of this policy. */
static int assume_callouts(struct run *r, const struct explain_state *s)
{
    struct explain_problem p;
    int status = EXIT_PERMITTED;

    if (explain_problem_begin(s, &p) != 0)
        return no_memory();
    p.assumptions = r->settled;
    p.assumption_count = r->settled_count;
    p.others_continue = r->o->shared.assume == EXPLAIN_ASSUME_PLAIN;
    p.use_builtin = r->o->shared.assume == EXPLAIN_ASSUME_DEFAULT;
    for (UINT32 i = 0; i < s->callout_count && status == EXIT_PERMITTED; i++) {
        const GUID *key = &s->callouts[i]->calloutKey;
        enum solve_callout_class answer;
        const char *why;
        bool known = !explain_assumed_answer(&p, key, &answer, &why);

        for (size_t k = 0; k < r->assumption_count && !known; k++)
            known = memcmp(&r->assumptions[k].callout_key, key, sizeof *key) == 0;
        if (known)
            continue;
        if (r->assumption_count == r->assumption_room) {
            size_t room = r->assumption_room == 0 ? 64 : r->assumption_room * 2;
            struct engine_assumption *more = realloc(r->assumptions, room * sizeof *more);

            if (more == NULL) {
                status = no_memory();
                break;
            }
            r->assumptions = more;
            r->assumption_room = room;
        }
        r->assumptions[r->assumption_count++] =
            (struct engine_assumption){*key, explain_callout_action(answer)};
    }
    explain_problem_end(&p);
    return status;
}

/* ---- --set ------------------------------------------------------------------------------------------------
 */

/* One host_setting for each type that the field has somewhere (an address is of two). */
static int add_setting(struct run *r, const struct explain_setting *set)
{
    size_t before = r->setting_count;
    const char *error = NULL, *first = NULL;

    for (UINT16 id = 0; id < ENGINE_LAYER_COUNT; id++) {
        const struct engine_layer *layer = set->layer != NULL ? set->layer : engine_layer_by_id(id);
        const struct engine_field *field = explain_field_find(layer, set->field);
        struct host_setting *all, *s;
        struct explain_value v;
        bool there = false;
        int err;

        if (field == NULL || (set->layer != NULL && id > 0))
            continue;
        err = explain_value_parse(&r->a, field, set->text, &v, &error);
        if (err == -ENOMEM)
            return no_memory();
        if (err != 0) {
            first = first != NULL ? first : error;
            continue;
        }
        for (size_t i = before; i < r->setting_count && !there; i++)
            there = memcmp(&r->settings[i].field, field->key, sizeof(GUID)) == 0 &&
                    r->settings[i].value.type == v.value.type;
        if (there)
            continue;
        all = realloc(r->settings, (r->setting_count + 1) * sizeof *all);
        if (all == NULL)
            return no_memory();
        r->settings = all;
        s = &all[r->setting_count++];
        *s = (struct host_setting){.layer = set->layer, .field = *field->key, .value = v.value};
    }
    if (r->setting_count == before)
        return complain_usage("replay", "--set %s=%s: %s", set->field, set->text,
                              first != NULL ? first : "no layer has the field");
    return EXIT_PERMITTED;
}

/* ---- --at
 * --------------------------------------------------------------------------------------------------- */

static int apply_change(void *ctx, struct capture_error *error)
{
    struct change *c = ctx;
    struct run *r = c->run;
    struct policy_error why;
    int err = explain_state_replace(r->s, c->file, &why);

    if (err == 0)
        err = who_endpoints(r->who);
    if (err != 0) {
        snprintf(error->text, sizeof error->text, "%.*s", (int)sizeof error->text - 1, why.text);
        return err;
    }
    report_names_forget(r->names);
    if (r->events != NULL) {
        json_t *o = json_object();

        json_object_set_new(o, "event", json_string("policy"));
        json_object_set_new(o, "time_ns", json_integer((json_int_t)c->time_ns));
        json_object_set_new(o, "file", json_string(c->file));
        json_object_set_new(o, "filters", json_integer(r->s->filter_count));
        report_events_object(r->events, o);
        json_decref(o);
    }
    return 0;
}

/* Of --at what is no policy. */
static void tell_host(void *ctx, struct host *h)
{
    const struct change *c = ctx;
    struct run *r = c->run;

    if (c->what->profile != 0)
        for (UINT32 index = 1; index <= MAX_INTERFACES; index++)
            host_set_profile(h, index, c->what->profile);
    else
        host_reauthorize(h, c->what->reason);
    if (r->events != NULL) {
        json_t *o = json_object();

        json_object_set_new(o, "event", json_string("reauthorize"));
        json_object_set_new(o, "time_ns", json_integer((json_int_t)c->time_ns));
        json_object_set_new(o, "reason", json_string(c->what->word));
        report_events_object(r->events, o);
        json_decref(o);
    }
}

static int by_time(const void *x, const void *y)
{
    const struct replay_change *a = x, *b = y;

    if (a->time_ns != b->time_ns)
        return a->time_ns < b->time_ns ? -1 : 1;
    return a->ctx < b->ctx ? -1 : 1; /* places of one array: as given */
}

/* The time of the first packet; 0 if there is none. What is wrong with the file is told of by the run. */
static UINT64 beginning(const char *path)
{
    struct capture_error error;
    struct capture_packet p;
    struct capture *c;
    UINT64 ns = 0;

    if (capture_open(path, &c, &error) != 0)
        return 0;
    if (capture_next(c, &p, &error) == 1)
        ns = p.time_ns;
    capture_close(c);
    return ns;
}

static int prepare_changes(struct run *r)
{
    const struct replay_options *o = r->o;
    int status = EXIT_PERMITTED;

    for (unsigned i = 0; i < o->at_count && status == EXIT_PERMITTED; i++) {
        struct explain_state *s = NULL;

        if (replay_time_relative(o->at[i].time) && strcmp(o->input, "-") == 0)
            return complain_usage(
                "replay", "--at %s: when standard input begins is not known ahead; give a date and time",
                o->at[i].time);
        r->loads[i] = (struct change){.run = r, .file = o->at[i].file, .what = &o->at[i]};
        replay_time(o->at[i].time, r->start_ns, &r->loads[i].time_ns);
        r->changes[i] = (struct replay_change){
            .time_ns = r->loads[i].time_ns, .apply = apply_change, .ctx = &r->loads[i]};
        if (o->at[i].file == NULL) {
            r->changes[i].apply = NULL;
            r->changes[i].tell = tell_host;
            continue;
        }
        status = load_state("replay", o->at[i].file, &s);
        if (status == EXIT_PERMITTED)
            status = assume_callouts(r, s);
        explain_state_close(s);
    }
    qsort(r->changes, o->at_count, sizeof r->changes[0], by_time);
    return status;
}

/* ---- who is local
 * ---------------------------------------------------------------------------------------------- */

static bool hint(struct replay_local *l, const FWP_VALUE0 *v)
{
    *l = (struct replay_local){0};
    if (v->type == FWP_UINT32) {
        l->version = 4;
        l->bits = 32;
        l->address.v4 = v->uint32;
    } else if (v->type == FWP_BYTE_ARRAY16_TYPE) {
        l->version = 6;
        l->bits = 128;
        memcpy(l->address.v6, v->byteArray16->byteArray16, 16);
    }
    return l->version != 0 && !wire_addr_is_unspecified(l->version, &l->address) &&
           !wire_addr_is_loopback(l->version, &l->address) &&
           !wire_addr_is_multicast(l->version, &l->address);
}

/* The local ends of the connections that the export recorded. */
static int prepare_hints(struct run *r)
{
    const struct policy *p = r->s->policy;

    r->hints = calloc(p->counts.endpoints + 1, sizeof *r->hints);
    if (r->hints == NULL)
        return no_memory();
    for (UINT32 i = 0; i < p->counts.endpoints; i++) {
        struct replay_local *l = &r->hints[r->hint_count];
        bool there = false;

        if (!hint(l, &p->endpoints[i].local_address))
            continue;
        for (size_t k = 0; k < r->hint_count && !there; k++)
            there = r->hints[k].version == l->version && wire_addr_equal(&r->hints[k].address, &l->address);
        r->hint_count += !there;
    }
    return EXIT_PERMITTED;
}

/* ---- what the run tells
 * ------------------------------------------------------------------------------------------ */

static void classified(void *ctx, const struct host_event *e)
{
    struct run *r = ctx;

    if (r->events != NULL)
        report_events_classified(r->events, e);
    report_tally_classified(r->tally, e);
}

static void repeated(void *ctx, const struct engine_layer *layer, const struct host_answer *answer,
                     UINT64 flow_id)
{
    report_tally_repeated(((struct run *)ctx)->tally, layer, answer, flow_id);
}

static bool changed(void *ctx, enum host_flow_change change, UINT64 flow_id)
{
    return report_tally_changed(((struct run *)ctx)->tally, change, flow_id);
}

static void soon(void *ctx, UINT64 flow_id)
{
    report_tally_soon(((struct run *)ctx)->tally, flow_id);
}

static void flow(void *ctx, enum host_flow_change change, const struct host_flow_info *f)
{
    struct run *r = ctx;

    if (r->events != NULL)
        report_events_flow(r->events, change, f);
    report_tally_flow(r->tally, change, f);
}

static void begun(void *ctx, struct replay_run *run)
{
    drivers_begun(((struct run *)ctx)->drivers, run);
}

/* What a driver that ends the process leaves of the events. */
static void flush_events(void *ctx)
{
    struct run *r = ctx;

    if (r->events != NULL)
        (void)report_events_close(r->events);
    r->events = NULL;
    if (r->events_file != NULL)
        fflush(r->events_file);
}

static void next(void *ctx, const struct capture *c, const struct capture_packet *p)
{
    struct run *r = ctx;

    if (r->drivers != NULL)
        loader_crash_doing("packet", p->number);
    who_process(r->who, p->process, p->process != UINT32_MAX ? capture_process(c, p->process) : NULL);
}

static __attribute__((noinline)) void frame_event(struct run *r, const struct capture_packet *p,
                                                  const struct wire_packet *w, const struct host_outcome *o,
                                                  bool written)
{
    report_events_frame(r->events, p->number, p->time_ns, p->delay_ns, p->length, o, written);
    report_tally_frame(r->tally, w, o, written);
}

static void frame(void *ctx, const struct capture *c, const struct capture_packet *p,
                  const struct wire_packet *w, const struct host_outcome *o, bool written)
{
    struct run *r = ctx;

    (void)c;
    r->inbound += o->inbound;
    if (__builtin_expect(o->fault == WIRE_FAULT_IP_CHECKSUM || o->fault == WIRE_FAULT_CHECKSUM, 0))
        r->wrong_sums += o->inbound;
    if (r->events != NULL)
        frame_event(r, p, w, o, written);
    else
        report_tally_frame(r->tally, w, o, written);
}

static void injected(void *ctx, const struct replay_injected *i)
{
    struct run *r = ctx;

    if (r->events != NULL)
        report_events_injected(r->events, i->packet, i->lost, i->stands, i->time_ns, i->written);
    if (i->lost != NULL && !i->stands)
        report_tally_lost(r->tally, i->packet->size, i->lost);
}

static const char *comment(void *ctx, const struct host_outcome *o, char *buf, size_t size)
{
    return report_comment(((struct run *)ctx)->names, o, buf, size);
}

static void progress(void *ctx, uint64_t done, uint64_t all, uint64_t frames)
{
    struct run *r = ctx;

    if (all != 0)
        fprintf(stderr, "\r%3u%%  %llu packets ", (unsigned)(done * 100 / all), (unsigned long long)frames);
    else
        fprintf(stderr, "\r%llu packets ", (unsigned long long)frames);
    r->progress_shown = true;
}

/* ---- setting up
 * ------------------------------------------------------------------------------------------------------ */

static int open_state(struct run *r)
{
    static const FWP_VALUE0 off = {.type = FWP_UINT32, .uint32 = 0};
    struct policy_error error;
    int err, status = EXIT_PERMITTED;

    if (r->o->shared.state != NULL)
        status = load_state("replay", r->o->shared.state, &r->s);
    else if ((err = explain_state_open(NULL, &r->s, &error)) != 0)
        status = complain(EXIT_OS_ERROR, "%s", error.text);
    /* Nobody can ask this bfe for its event log: no event is made for what policy blocks (AUD-05). */
    if (status == EXIT_PERMITTED &&
        bfe_option_set(r->s->session, FWPM_ENGINE_COLLECT_NET_EVENTS, &off) != STATUS_SUCCESS)
        status = complain(EXIT_INTERNAL, "the event log cannot be turned off");
    return status;
}

static int open_events(struct run *r)
{
    const char *path = r->o->events;
    json_t *run;

    if (path == NULL)
        return EXIT_PERMITTED;
    r->events_file = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");
    if (r->events_file == NULL)
        return complain(EXIT_OS_ERROR, "%s: %s", path, strerror(errno));
    if (report_events_open(r->events_file, r->names, &r->events) != 0 || who_tokens(r->who, r->events) != 0)
        return no_memory();
    run = json_object();
    json_object_set_new(run, "input", json_string(r->o->input));
    json_object_set_new(run, "state",
                        r->o->shared.state != NULL ? json_string(r->o->shared.state) : json_null());
    json_object_set_new(run, "filters", json_integer(r->s->filter_count));
    json_object_set_new(run, "depends", json_string(r->o->block ? "block" : "permit"));
    report_events_header(r->events, run);
    json_decref(run);
    return EXIT_PERMITTED;
}

static int prepare(struct run *r)
{
    const struct replay_options *o = r->o;
    struct explain_judge_config judge = {.assume = o->shared.assume, .block = o->block};
    int status = open_state(r);

    if (status == EXIT_PERMITTED)
        status = shared_callouts("replay", &o->shared, r->s, &r->a, r->settled, &r->settled_count);
    if (status == EXIT_PERMITTED)
        status = assume_callouts(r, r->s);
    for (unsigned i = 0; i < o->shared.setting_count && status == EXIT_PERMITTED; i++)
        status = add_setting(r, &o->shared.settings[i]);
    if (status != EXIT_PERMITTED)
        return status;
    if (strcmp(o->input, "-") != 0 && (o->at_count != 0 || o->who != NULL))
        r->start_ns = beginning(o->input);
    judge.state = r->s;
    judge.callouts = r->settled;
    judge.callout_count = r->settled_count;
    if (who_create(r->s, &r->who) != 0 || who_endpoints(r->who) != 0 ||
        report_names_create(r->s->bfe, &r->names) != 0 || report_tally_create(r->names, 0, &r->tally) != 0 ||
        explain_judge_create(&judge, &r->judge) != 0)
        return no_memory();
    if (o->who != NULL)
        status = who_read(r->who, o->who, r->start_ns);
    if (status == EXIT_PERMITTED)
        status = prepare_changes(r);
    if (status == EXIT_PERMITTED)
        status = prepare_hints(r);
    if (status == EXIT_PERMITTED && o->driver_count != 0)
        status = drivers_prepare(o, r->s, flush_events, r, &r->drivers);
    return status == EXIT_PERMITTED ? open_events(r) : status;
}

/* ---- the end
 * -----------------------------------------------------------------------------------------------------------
 */

/* "taken for local: ...": what --local auto found. */
static void print_locals(const struct replay_result *x, FILE *out)
{
    char text[WIRE_ADDR_TEXT];

    fprintf(out, "local: ");
    for (size_t i = 0; i < x->local_count && i < 4; i++) {
        const struct replay_local *l = &x->locals[i];

        fprintf(out, "%s%s", i != 0 ? ", " : "", wire_addr_format(l->version, &l->address, text));
        if (l->bits != (l->version == 4 ? 32 : 128))
            fprintf(out, "/%u", l->bits);
    }
    if (x->local_count > 4)
        fprintf(out, " ... and %zu more", x->local_count - 4);
    if (x->local_count == 0)
        fputs("nobody", out);
    if (x->guessed)
        fprintf(out, "\n  (guessed: in %llu of %llu packets looked at; --local says it)",
                (unsigned long long)x->guessed_in, (unsigned long long)x->guessed_of);
    fputc('\n', out);
}

static json_t *locals_json(const struct replay_result *x)
{
    json_t *list = json_array();
    char text[WIRE_ADDR_TEXT], with[WIRE_ADDR_TEXT + 4];

    for (size_t i = 0; i < x->local_count; i++) {
        snprintf(with, sizeof with, "%s/%u",
                 wire_addr_format(x->locals[i].version, &x->locals[i].address, text), x->locals[i].bits);
        json_array_append_new(list, json_string(with));
    }
    return list;
}

static void write_summary(struct run *r, const struct replay_result *x, const char *error)
{
    json_t *o = report_tally_json(r->tally, &x->counts);

    json_object_set_new(o, "read", json_integer((json_int_t)x->read));
    json_object_set_new(o, "written", json_integer((json_int_t)x->written));
    json_object_set_new(o, "blocked_kept", json_integer((json_int_t)x->blocked_kept));
    json_object_set_new(o, "sums", replay_sums_json(&x->sums));
    if (r->drivers != NULL)
        json_object_set_new(o, "streams", replay_streams_json(x));
    json_object_set_new(o, "local", locals_json(x));
    json_object_set_new(o, "guessed", json_boolean(x->guessed));
    if (error != NULL)
        json_object_set_new(o, "error", json_string(error));
    report_events_object(r->events, o);
    json_decref(o);
}

static int close_events(struct run *r)
{
    int err;

    if (r->events_file == NULL)
        return EXIT_PERMITTED;
    err = report_events_close(r->events);
    r->events = NULL;
    if (r->events_file != stdout && fclose(r->events_file) != 0 && err == 0)
        err = -errno;
    r->events_file = NULL;
    return err == 0 ? EXIT_PERMITTED : complain(EXIT_OS_ERROR, "%s: %s", r->o->events, strerror(-err));
}

static int status_of(int err)
{
    switch (err) {
    case 0:
        return EXIT_PERMITTED;
    case -EINVAL:
        return EXIT_DATA_ERROR;
    case -ENOENT:
    case -EACCES:
    case -EISDIR:
        return EXIT_NO_INPUT;
    case -EPROTO:
        return EXIT_INTERNAL;
    default:
        return EXIT_OS_ERROR;
    }
}

static void print_table(struct run *r, const struct replay_result *x)
{
    bool taken = (r->o->output != NULL && strcmp(r->o->output, "-") == 0) ||
                 (r->o->events != NULL && strcmp(r->o->events, "-") == 0);
    FILE *out = taken ? stderr : stdout;
    struct who_counts who;

    report_tally_print(r->tally, &x->counts, r->o->shared.verbose, out);
    if (r->drivers != NULL) {
        replay_sums_print(&x->sums, out);
        replay_streams_print(x, out);
    }
    fputc('\n', out);
    print_locals(x, out);
    if (r->wrong_sums * 2 > r->inbound)
        fprintf(out,
                "checksums: %llu of %llu inbound packets were discarded for a wrong one; if the capture was "
                "made\n  anonymous, or its checksums were left to an adapter: --checksums trust\n",
                (unsigned long long)r->wrong_sums, (unsigned long long)r->inbound);
    if (r->o->output != NULL)
        fprintf(out, "written: %llu of %llu packets to %s%s\n", (unsigned long long)x->written,
                (unsigned long long)x->read, r->o->output,
                x->blocked_kept != 0 ? ", blocked ones with a comment" : "");
    if (!r->o->shared.verbose)
        return;
    who_counts(r->who, &who);
    fprintf(out, "owners: %llu by --who, %llu by the capture, %llu by the export, %llu unknown\n",
            (unsigned long long)who.by_rule, (unsigned long long)who.by_process,
            (unsigned long long)who.by_endpoint, (unsigned long long)who.unknown);
}

static int verdict(const struct report_totals *t)
{
    return t->blocked + t->absorbed != 0 ? EXIT_BLOCKED : t->depends != 0 ? EXIT_DEPENDS : EXIT_PERMITTED;
}

static int run(struct run *r)
{
    const struct replay_options *o = r->o;
    struct replay_config config = {
        .input = o->input,
        .output = o->output,
        .host = {.engine = r->s->engine,
                 .unknown = HOST_THING_APP | HOST_THING_USER | HOST_THING_PACKAGE | HOST_THING_PROCESS |
                            HOST_THING_LUID | HOST_THING_PROFILE | HOST_THING_QUARANTINE | HOST_THING_SIO,
                 .judge = {r->judge, explain_judge, explain_judge_forgets(r->judge)},
                 .observer = {.ctx = r,
                              .decisions_only = o->events == NULL,
                              .light = o->events == NULL && r->drivers == NULL,
                              .classified = classified,
                              .repeated = o->events == NULL ? repeated : NULL,
                              .flow = flow,
                              .changed = o->events == NULL ? changed : NULL,
                              .soon = soon},
                 .assumptions = r->assumptions,
                 .assumption_count = r->assumption_count,
                 .settings = r->settings,
                 .setting_count = r->setting_count,
                 .knobs = {.trust_checksums = o->trust, .defer_completion = o->defer},
                 .owner_of = who_owner,
                 .ctx = r->who},
        .locals = o->local_count != 0 ? o->locals : NULL,
        .local_count = o->local_count,
        .hints = r->hints,
        .hint_count = r->hint_count,
        .changes = r->changes,
        .change_count = o->at_count,
        .drivers = r->drivers != NULL ? drivers_config(r->drivers) : NULL,
        .begun = r->drivers != NULL ? begun : NULL,
        .keep_blocked = o->keep_blocked,
        .stack_drops = o->stack_drops,
        .next = r->drivers != NULL ? next : NULL,
        .asked = next,
        .frame = frame,
        .injected = r->drivers != NULL ? injected : NULL,
        .progress = !o->quiet && isatty(STDERR_FILENO) ? progress : NULL,
        .comment = comment,
        .ctx = r,
    };
    struct capture_error error = {{0}};
    struct replay_result x = {0};
    struct report_totals totals;
    int err = replay_run(&config, &x, &error), status = status_of(err), closed;

    if (r->progress_shown)
        fputs("\r                                        \r", stderr);
    if (r->events != NULL)
        write_summary(r, &x, err != 0 ? error.text : NULL);
    closed = close_events(r);
    if (!o->quiet && (err == 0 || x.read != 0))
        print_table(r, &x);
    if (err != 0)
        complain(status, "%s", error.text[0] != '\0' ? error.text : strerror(-err));
    report_tally_totals(r->tally, &totals);
    if (status == EXIT_PERMITTED && !replay_sums_hold(&x.sums))
        status = complain(EXIT_INTERNAL,
                          "packets were lost count of: in and injected are not what became of them");
    replay_free(&x);
    if (status == EXIT_PERMITTED)
        status = closed;
    if (status != EXIT_PERMITTED)
        return r->drivers != NULL ? drivers_status(r->drivers, status) : status;
    status = verdict(&totals);
    return r->drivers != NULL ? drivers_status(r->drivers, status) : status;
}

int cmd_replay(int argc, char **argv)
{
    struct replay_options o = {0};
    struct run r = {.o = &o};
    int status = replay_options_parse(argc, argv, &o);

    if (status == EXIT_PERMITTED && o.driver_count != 0)
        status = drivers_restart(&o);
    if (status != EXIT_PERMITTED) {
        replay_options_free(&o);
        return status < 0 ? EXIT_PERMITTED : status;
    }
    status = prepare(&r);
    if (status == EXIT_PERMITTED)
        status = run(&r);
    close_events(&r);
    drivers_destroy(r.drivers);
    replay_options_free(&o);
    report_tally_destroy(r.tally);
    explain_judge_destroy(r.judge);
    report_names_destroy(r.names);
    who_destroy(r.who);
    free(r.assumptions);
    free(r.settings);
    free(r.hints);
    explain_state_close(r.s);
    explain_arena_free(&r.a);
    return status;
}
