/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON lines read back, for the story of one flow.
 *
 *   pass 1: the flow's own lines, filters    pass 2: with its endpoint known, all that is the flow's
 *
 * A line is looked at as text first: only the ones that name the flow or the endpoint are parsed, so that a
 * file of millions of lines is read at the speed of the disk.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "internal.h"

struct reader {
    const char *path;
    FILE *f;
    char *line;
    size_t room;
    ssize_t size;
    unsigned long number;
    struct report_error *error;
};

static int bad(struct reader *r, const char *expected, const char *found)
{
    snprintf(r->error->text, sizeof r->error->text, "%s: line %lu: expected %s, found %.80s", r->path,
             r->number, expected, found);
    return -EINVAL;
}

/* 1: a line; 0: the end; negative errno. */
static int next_line(struct reader *r)
{
    errno = 0;
    r->size = getline(&r->line, &r->room, r->f);
    if (r->size < 0) {
        if (!ferror(r->f))
            return errno == ENOMEM ? -ENOMEM : 0;
        snprintf(r->error->text, sizeof r->error->text, "%s: cannot be read", r->path);
        return -EIO;
    }
    r->number++;
    while (r->size > 0 && (r->line[r->size - 1] == '\n' || r->line[r->size - 1] == '\r'))
        r->line[--r->size] = '\0';
    if (r->size < 2 || r->line[0] != '{' || r->line[r->size - 1] != '}')
        return bad(r, "a JSON object", r->size == 0 ? "an empty line" : r->line);
    return 1;
}

static int parse(struct reader *r, json_t **out)
{
    json_error_t at;

    *out = json_loadb(r->line, (size_t)r->size, JSON_REJECT_DUPLICATES, &at);
    if (*out != NULL)
        return 0;
    if (json_error_code(&at) == json_error_out_of_memory)
        return -ENOMEM;
    return bad(r, "a JSON object", at.text);
}

/* Does the line say "member":number? */
static bool says(const struct reader *r, const char *member, UINT64 number)
{
    char text[64];
    size_t n = (size_t)snprintf(text, sizeof text, "\"%s\":%llu", member, (unsigned long long)number);
    const char *at = r->line;

    while ((at = memmem(at, (size_t)(r->line + r->size - at), text, n)) != NULL) {
        if (at[n] == ',' || at[n] == '}')
            return true;
        at += n;
    }
    return false;
}

/* Its event, as all lines begin: {"event":"... */
static bool is(const struct reader *r, const char *event)
{
    char text[32];
    size_t n = (size_t)snprintf(text, sizeof text, "{\"event\":\"%s\"", event);

    return (size_t)r->size > n && memcmp(r->line, text, n) == 0;
}

static UINT64 number_of(const json_t *o, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(o, key));

    return n > 0 ? (UINT64)n : 0;
}

static int read_header(struct reader *r, struct report_story *s)
{
    int err = next_line(r);
    json_int_t version;

    if (err == 0) {
        r->number = 1;
        return bad(r, "a header, {\"weir-events\": 1, ...}", "the end of the file");
    }
    if (err == 1)
        err = parse(r, &s->header);
    if (err != 0)
        return err;
    version = json_integer_value(json_object_get(s->header, "weir-events"));
    if (!json_is_object(s->header) || version == 0)
        return bad(r, "a header, {\"weir-events\": 1, ...}", r->line);
    if (version != REPORT_EVENTS_VERSION) {
        char found[32];

        snprintf(found, sizeof found, "version %lld", (long long)version);
        return bad(r, "version 1 of these files", found);
    }
    return 0;
}

static int keep(struct reader *r, struct report_story *s)
{
    json_t *o;
    int err;

    if (json_array_size(s->lines) >= REPORT_STORY_LINES) {
        s->left_off++;
        return 0;
    }
    err = parse(r, &o);
    if (err == 0 && json_array_append_new(s->lines, o) != 0)
        err = -ENOMEM;
    return err;
}

/* A filter's line, and the highest flow. */
static int common(struct reader *r, struct report_story *s)
{
    char id[24];
    json_t *o;
    int err = 0;

    if (is(r, "filter")) {
        err = parse(r, &o);
        if (err != 0)
            return err;
        snprintf(id, sizeof id, "%llu", (unsigned long long)number_of(o, "id"));
        err = json_object_set_new(s->filters, id, o) != 0 ? -ENOMEM : 0;
    } else if (is(r, "flow")) {
        const char *at = strstr(r->line, "\"flow\":");
        UINT64 n = at != NULL ? strtoull(at + 7, NULL, 10) : 0;

        if (n > s->last_flow)
            s->last_flow = n;
    }
    return err;
}

/* Later lines of a flow add to what earlier ones say; one that was refused has no endpoint any more. */
static int take_flow(struct reader *r, struct report_story *s)
{
    json_t *o;
    int err = parse(r, &o);

    if (err != 0)
        return err;
    if (s->flow == NULL) {
        s->flow = o;
        return 0;
    }
    if (number_of(o, "endpoint") == 0)
        json_object_del(o, "endpoint");
    err = json_object_update(s->flow, o) != 0 ? -ENOMEM : 0;
    json_decref(o);
    return err;
}

/* One pass. endpoint, parent 0: not known (yet). */
static int pass(struct reader *r, struct report_story *s, UINT64 flow, UINT64 endpoint, UINT64 parent,
                bool first)
{
    int err;

    while ((err = next_line(r)) == 1) {
        if (first)
            err = common(r, s);
        else
            err = 0;
        if (err == 0 && first && is(r, "flow") && says(r, "flow", flow))
            err = take_flow(r, s);
        if (err != 0)
            return err;
        if (is(r, "policy") ||
            (is(r, "classify") && (says(r, "flow", flow) ||
                                   (says(r, "flow", 0) && ((endpoint != 0 && says(r, "endpoint", endpoint)) ||
                                                           (parent != 0 && says(r, "endpoint", parent)))))) ||
            (is(r, "frame") && (says(r, "flow", flow) || says(r, "sender_flow", flow))))
            err = keep(r, s);
        if (err != 0)
            return err;
    }
    return err;
}

/* Is anything of the flow's own among the lines? */
static bool any_own(const struct report_story *s)
{
    size_t i;
    json_t *o;

    if (s->flow != NULL)
        return true;
    json_array_foreach(s->lines, i, o)
    {
        const char *event = json_string_value(json_object_get(o, "event"));

        if (event != NULL && strcmp(event, "policy") != 0)
            return true;
    }
    return false;
}

int report_story_read(const char *path, UINT64 flow, struct report_story *out, struct report_error *error)
{
    struct reader r = {.path = path, .error = error};
    int err;

    *out = (struct report_story){.lines = json_array(), .filters = json_object()};
    *error = (struct report_error){{0}};
    r.f = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
    if (r.f == NULL) {
        err = -errno;
        snprintf(error->text, sizeof error->text, "%s: %s", path, strerror(errno));
        goto out;
    }
    err = read_header(&r, out);
    if (err == 0)
        err = pass(&r, out, flow, 0, 0, true);
    if (err == 0 && out->flow != NULL && fseek(r.f, 0, SEEK_SET) == 0) {
        json_array_clear(out->lines);
        out->left_off = 0;
        r.number = 0;
        err = next_line(&r) == 1 ? pass(&r, out, flow, number_of(out->flow, "endpoint"),
                                        number_of(out->flow, "parent"), false)
                                 : -EIO;
    }
    if (err == 0 && !any_own(out)) {
        snprintf(error->text, sizeof error->text,
                 out->last_flow != 0 ? "%s: no flow %llu; the last is %llu"
                                     : "%s: no flow %llu; there are none",
                 path, (unsigned long long)flow, (unsigned long long)out->last_flow);
        err = -ESRCH;
    }
out:
    if (r.f != NULL && r.f != stdin)
        fclose(r.f);
    free(r.line);
    if (err != 0)
        report_story_free(out);
    return err;
}

void report_story_free(struct report_story *s)
{
    json_decref(s->header);
    json_decref(s->flow);
    json_decref(s->lines);
    json_decref(s->filters);
    *s = (struct report_story){0};
}
