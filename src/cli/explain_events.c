/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir explain --events: one flow of a replay, from the JSON lines that it wrote: what it is, who decided and
 * why, and packet by packet which layers were asked and what they said.
 */
#include "cli/explain_events.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report/report.h"

/* What the lines come to. */
struct told {
    const struct report_story *s;
    enum explain_verdict verdict;
    const json_t *decisive; /* the classify line that decided; NULL: none */
    const json_t *blocked;  /* a frame that was blocked, where no line says by whom */
    const json_t *depends;  /* the first line that depends */
    int64_t start_ns;
};

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));

    return text != NULL ? text : "";
}

static long long number_of(const json_t *o, const char *key)
{
    return (long long)json_integer_value(json_object_get(o, key));
}

static bool is(const json_t *o, const char *key, const char *value)
{
    return strcmp(text_of(o, key), value) == 0;
}

static const char *short_layer(const json_t *o)
{
    const char *name = text_of(o, "layer");

    return strncmp(name, "FWPM_LAYER_", 11) == 0 ? name + 11 : name;
}

static bool authorizes(const json_t *o)
{
    return strstr(text_of(o, "layer"), "_ALE_AUTH_") != NULL;
}

static void conclude(struct told *t)
{
    const json_t *authorized = NULL;
    size_t i;
    json_t *o;

    json_array_foreach(t->s->lines, i, o)
    {
        bool own = is(o, "cause", "initial") || is(o, "cause", "reauthorize");

        if (t->start_ns == 0)
            t->start_ns = number_of(o, "time_ns");
        if (is(o, "event", "frame") && is(o, "fate", "blocked") && t->blocked == NULL)
            t->blocked = o;
        if (!is(o, "event", "classify") || !own)
            continue;
        if (is(o, "verdict", "BLOCKED") && t->decisive == NULL)
            t->decisive = o;
        if (json_is_true(json_object_get(o, "depends")) && t->depends == NULL)
            t->depends = o;
        if (authorizes(o) && authorized == NULL)
            authorized = o;
    }
    if (t->decisive != NULL || t->blocked != NULL)
        t->verdict = EXPLAIN_BLOCKED;
    else
        t->verdict = t->depends != NULL ? EXPLAIN_DEPENDS : EXPLAIN_PERMITTED;
    if (t->decisive == NULL && t->blocked == NULL)
        t->decisive = authorized;
}

/* ---- text ------------------------------------------------------------------------------------------------
 */

static void print_end(const json_t *flow, const char *address, const char *port)
{
    const char *text = text_of(flow, address);
    long long protocol = number_of(flow, "protocol");

    if (protocol != 6 && protocol != 17)
        fputs(text, stdout);
    else
        printf(strchr(text, ':') != NULL ? "[%s]:%lld" : "%s:%lld", text, number_of(flow, port));
}

static const char *last_part(const char *path)
{
    const char *last = strrchr(path, '\\');

    return last != NULL && last[1] != '\0' ? last + 1 : path;
}

static void print_flow(const json_t *flow, long long number)
{
    static const char *const flags[] = {"loopback", "mid_stream", "multicast"};
    const json_t *user;

    printf("flow %lld", number);
    if (flow == NULL) {
        puts("");
        return;
    }
    printf(": %s %s, ", text_of(flow, "direction"), text_of(flow, "protocol_name"));
    print_end(flow, "local_address", "local_port");
    fputs(is(flow, "direction", "inbound") ? " from " : " to ", stdout);
    print_end(flow, "remote_address", "remote_port");
    if (*text_of(flow, "program") != '\0')
        printf(", program %s", last_part(text_of(flow, "program")));
    user = json_object_get(flow, "user");
    if (json_is_string(user))
        printf(", user %s", json_string_value(user));
    for (unsigned i = 0; i < 3; i++) {
        if (json_is_true(json_object_get(flow, flags[i])))
            printf(", %s", i == 1 ? "begun before the capture" : flags[i]);
    }
    puts("");
}

static const json_t *filter_line(const struct report_story *s, const json_t *line)
{
    const json_t *f = json_object_get(line, "filter");
    char id[24];

    snprintf(id, sizeof id, "%lld", number_of(f, "id"));
    return json_is_object(f) ? json_object_get(s->filters, id) : NULL;
}

static void print_filter(const json_t *line)
{
    const json_t *f = json_object_get(line, "filter");

    if (!json_is_object(f))
        fputs(is(line, "verdict", "BLOCKED") || is(line, "fate", "blocked")
                  ? "a callout, no filter"
                  : "no filter: the implicit permit",
              stdout);
    else if (*text_of(f, "name") != '\0')
        printf("\"%s\" (filter %lld)", text_of(f, "name"), number_of(f, "id"));
    else
        printf("filter %lld", number_of(f, "id"));
}

static void print_list(const json_t *list, const char *between)
{
    size_t i;
    json_t *one;

    json_array_foreach(list, i, one)
    {
        const char *text = json_string_value(one);

        if (text != NULL && strncmp(text, "FWPM_CONDITION_", 15) == 0)
            text += 15;
        printf("%s%s", i != 0 ? between : "", text != NULL ? text : "");
    }
}

/* The verdict, who gave it, and why. */
static void print_verdict(const struct told *t)
{
    const json_t *line = t->decisive != NULL ? t->decisive : t->blocked, *filter, *on;

    printf("\n%s", explain_verdict_name(t->verdict));
    if (t->verdict == EXPLAIN_DEPENDS) {
        on = json_object_get(t->depends, "depends_on");
        printf(" at %s on ", short_layer(t->depends));
        print_list(on, ", ");
        if (*text_of(t->depends, "depends_on_callout") != '\0')
            printf("%scallout %s", json_array_size(on) != 0 ? ", " : "",
                   text_of(t->depends, "depends_on_callout"));
        printf("; carried out as %s", text_of(t->depends, "verdict"));
    }
    if (line == NULL) {
        puts(": no layer that authorizes was asked");
        return;
    }
    fputs(" by ", stdout);
    print_filter(line);
    filter = filter_line(t->s, line);
    if (filter != NULL)
        printf(", sublayer %s", *text_of(filter, "sublayer_name") != '\0' ? text_of(filter, "sublayer_name")
                                                                          : text_of(filter, "sublayer"));
    printf(", at %s\n", text_of(line, "layer"));
    if (filter == NULL)
        return;
    on = json_object_get(filter, "conditions");
    if (json_array_size(on) == 0) {
        puts("  it has no conditions: it matches everything at its layer");
        return;
    }
    fputs("  because ", stdout);
    print_list(on, "\n      and ");
    puts("");
}

static void print_values(const json_t *line)
{
    const char *key;
    json_t *value;

    json_object_foreach(json_object_get(line, "values"), key, value)
    {
        char *text = json_dumps(value, JSON_ENCODE_ANY);

        printf("        %s = %s\n", strncmp(key, "FWPM_CONDITION_", 15) == 0 ? key + 15 : key,
               text != NULL ? text : "?");
        free(text);
    }
    if (json_array_size(json_object_get(line, "unknown")) != 0) {
        fputs("        unknown: ", stdout);
        print_list(json_object_get(line, "unknown"), ", ");
        puts("");
    }
}

static void print_classify(const json_t *line, bool verbose)
{
    const json_t *discard = json_object_get(line, "discard");

    printf("    %-34s %-9s ", short_layer(line), text_of(line, "verdict"));
    if (json_is_true(json_object_get(line, "empty")))
        fputs("no filter is there", stdout);
    else
        print_filter(line);
    if (json_is_object(discard))
        printf("; told that it was discarded: %s",
               *text_of(discard, "name") != '\0' ? text_of(discard, "name") : text_of(discard, "module"));
    else if (!is(line, "cause", "initial"))
        printf("; %s", text_of(line, "cause"));
    if (json_is_true(json_object_get(line, "depends"))) {
        fputs("; depends on ", stdout);
        print_list(json_object_get(line, "depends_on"), ", ");
    }
    puts("");
    if (verbose)
        print_values(line);
}

static void print_frame(const struct told *t, const json_t *line)
{
    long long ns = number_of(line, "time_ns") - t->start_ns;

    printf("  packet %lld, +%lld.%06lld s, ", number_of(line, "frame"), ns / 1000000000,
           ns % 1000000000 / 1000);
    print_list(json_object_get(line, "ways"), "+");
    printf(", %lld bytes: %s", number_of(line, "length"), text_of(line, "fate"));
    if (*text_of(line, "note") != '\0')
        printf(" (%s)", text_of(line, "note"));
    else if (is(line, "fate", "stack"))
        printf(" (%s)", *text_of(line, "fault") != '\0' ? text_of(line, "fault")
                                                        : text_of(json_object_get(line, "discard"), "name"));
    puts("");
}

/* A frame's line stands behind its classifications; here it goes first. */
static void print_story(const struct told *t, bool verbose)
{
    size_t i, from = 0, empty = 0, n = json_array_size(t->s->lines);

    puts("");
    for (i = 0; i < n; i++) {
        const json_t *line = json_array_get(t->s->lines, i);
        bool frame = is(line, "event", "frame"), policy = is(line, "event", "policy");

        if (!frame && !policy && i + 1 < n)
            continue;
        if (frame)
            print_frame(t, line);
        for (size_t k = from; k < i + (frame || policy ? 0 : 1); k++) {
            const json_t *c = json_array_get(t->s->lines, k);

            if (json_is_true(json_object_get(c, "empty")) && !verbose)
                empty++;
            else
                print_classify(c, verbose);
        }
        if (policy)
            printf("  another policy: %s\n", text_of(line, "file"));
        from = i + 1;
    }
    if (t->s->left_off != 0)
        printf("  ... and %llu more lines\n", (unsigned long long)t->s->left_off);
    if (empty != 0)
        printf("\nnot shown: %zu visits to layers without filters (-v)\n", empty);
}

/* ---- JSON -------------------------------------------------------------------------------------------------
 */

static json_t *story_json(const struct told *t, long long number)
{
    const json_t *line = t->decisive != NULL ? t->decisive : t->blocked, *filter;
    json_t *o = json_object(), *by = json_object();

    json_object_set_new(o, "flow", t->s->flow != NULL ? json_incref(t->s->flow) : json_object());
    json_object_set_new(o, "number", json_integer(number));
    json_object_set_new(o, "verdict", json_string(explain_verdict_name(t->verdict)));
    if (line != NULL) {
        filter = filter_line(t->s, line);
        json_object_set_new(by, "layer", json_string(text_of(line, "layer")));
        json_object_set_new(by, "filter",
                            filter != NULL ? json_incref((json_t *)(uintptr_t)filter) : json_null());
        json_object_set_new(by, "frame", json_integer(number_of(line, "frame")));
        json_object_set_new(by, "implicit", json_boolean(filter == NULL && t->verdict != EXPLAIN_BLOCKED));
    }
    json_object_set_new(o, "decided_by", line != NULL ? json_incref(by) : json_null());
    json_object_set_new(o, "depends_on",
                        t->depends != NULL ? json_incref(json_object_get(t->depends, "depends_on"))
                                           : json_array());
    json_object_set_new(o, "lines", json_incref(t->s->lines));
    json_object_set_new(o, "left_off", json_integer((json_int_t)t->s->left_off));
    json_decref(by);
    return o;
}

int explain_events(const char *path, const char *flow, bool json, bool verbose)
{
    struct report_error error;
    struct report_story s;
    struct told t = {.s = &s};
    UINT64 number = 0;
    int err, status = EXIT_PERMITTED;

    if (flow == NULL)
        return complain_usage("explain", "--events %s: --flow N is missing", path);
    if (!explain_parse_number(flow, INT64_MAX, &number) || number == 0)
        return complain_usage("explain", "--flow %s: expected a flow's number", flow);
    err = report_story_read(path, number, &s, &error);
    if (err != 0)
        return complain(err == -EINVAL || err == -ESRCH ? EXIT_DATA_ERROR
                        : err == -ENOMEM                ? EXIT_OS_ERROR
                                                        : EXIT_NO_INPUT,
                        "%s", error.text[0] != '\0' ? error.text : strerror(-err));
    conclude(&t);
    if (json) {
        status = print_json(story_json(&t, (long long)number), true);
    } else {
        print_flow(s.flow, (long long)number);
        print_verdict(&t);
        print_story(&t, verbose);
    }
    report_story_free(&s);
    return status != EXIT_PERMITTED ? status : exit_status_of(t.verdict);
}
