/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tally for people: first the flows, grouped by what was decided and by whom, then what became of the
 * frames, then what the answers hang on. At most 100 columns; and the same as JSON.
 */
#include <stdlib.h>

#include "tally.h"

#define WIDTH      100
#define MOST_FLOWS 10 /* of a group */
#define MOST_ROWS  25 /* groups, reasons */

/* ---- words ----------------------------------------------------------------------------------------------
 */

static const char *short_layer(const struct engine_layer *layer)
{
    const char *name = layer != NULL ? layer->name : "no layer";

    return strncmp(name, "FWPM_LAYER_", 11) == 0 ? name + 11 : name;
}

/* Cut to `most` columns, with an ellipsis; a character counts as one. */
static void put_cut(const char *text, size_t most, FILE *out)
{
    size_t n = 0, size = 0, keep = 0;

    for (; text[size] != '\0'; size++) {
        if (((unsigned char)text[size] & 0xc0) == 0x80)
            continue;
        if (n + 3 == most)
            keep = size;
        n++;
    }
    if (n <= most)
        fputs(text, out);
    else
        fprintf(out, "%.*s...", (int)keep, text);
}

/* `4711 "Name"`, in what room there is. */
static void put_filter(const struct report_filter *f, UINT64 id, size_t used, FILE *out)
{
    int n;

    if (id == 0) {
        fputs("no filter: the implicit permit", out);
        return;
    }
    n = fprintf(out, "filter %llu", (unsigned long long)id);
    if (f == NULL || f->name[0] == '\0')
        return;
    fputs(" \"", out);
    put_cut(f->name, used + (size_t)n + 3 < WIDTH - 20 ? WIDTH - used - (size_t)n - 3 : 20, out);
    fputc('"', out);
}

/* The last part of an owner's program. */
static const char *program_of(const struct host_owner *owner, struct explain_arena *a)
{
    const char *text, *last;

    if (owner == NULL || owner->app_id == NULL || owner->app_id->size == 0)
        return "?";
    text = explain_blob_text(a, NULL, owner->app_id);
    last = text != NULL ? strrchr(text, '\\') : NULL;
    return text == NULL ? "?" : last != NULL && last[1] != '\0' ? last + 1 : text;
}

static const char *depends_words(const struct tally_depends *d, struct explain_arena *a)
{
    struct explain_text t = {0};
    char key[ENGINE_GUID_TEXT];
    const char *out;

    for (UINT16 i = 0; i < d->layer->field_count; i++) {
        if (d->fields >> i & 1)
            explain_addf(&t, "%s%s", t.size != 0 ? ", " : "", explain_field_short(&d->layer->fields[i]));
    }
    if (memcmp(&d->callout, &(GUID){0}, sizeof(GUID)) != 0) {
        const char *name = engine_guid_name(ENGINE_GUID_CALLOUT, &d->callout);

        explain_addf(&t, "%scallout %s", t.size != 0 ? ", " : "",
                     name != NULL ? name : engine_guid_format(&d->callout, key));
    }
    out = t.data != NULL ? explain_strdup(a, t.data) : NULL;
    explain_text_free(&t);
    return out != NULL ? out : "something unknown";
}

/* ---- flows ----------------------------------------------------------------------------------------------
 */

enum verdict { BLOCKED, DEPENDS, PERMITTED };

/* A flow's row as it is sorted. */
struct listed {
    const struct tally_flow *flow;
    const struct tally_told *told;
};

static enum verdict verdict_of(const struct listed *l)
{
    const struct tally_flow *f = l->flow;

    return f->blocked || f->refused ? BLOCKED : f->depends != 0 ? DEPENDS : PERMITTED;
}

static UINT64 filter_id(const struct listed *l)
{
    return l->told->filter != NULL ? l->told->filter->id : 0;
}

/* Groups: by verdict, what it depends on, layer, filter; in them by id. */
static int compare_group(const struct listed *x, const struct listed *y)
{
    int a = (int)verdict_of(x) - (int)verdict_of(y);
    UINT16 lx = (UINT16)(x->told->layer - 1), ly = (UINT16)(y->told->layer - 1); /* none: last */

    if (a == 0 && verdict_of(x) == DEPENDS)
        a = (x->flow->depends > y->flow->depends) - (x->flow->depends < y->flow->depends);
    if (a == 0)
        a = (lx > ly) - (lx < ly);
    if (a == 0)
        a = (filter_id(x) > filter_id(y)) - (filter_id(x) < filter_id(y));
    return a;
}

static int compare_flows(const void *a, const void *b)
{
    const struct listed *x = a, *y = b;
    int d = compare_group(x, y);

    return d != 0 ? d : (x->flow->id > y->flow->id) - (x->flow->id < y->flow->id);
}

struct shown {
    char local[END_TEXT], remote[END_TEXT], protocol[16];
    const char *protocol_name, *program;
};

static void show(const struct tally_told *i, struct shown *s, struct explain_arena *a)
{
    end_text(i->version, i->protocol, &i->local, i->local_port, s->local);
    end_text(i->version, i->protocol, &i->remote, i->remote_port, s->remote);
    s->protocol_name = protocol_text(i->protocol, s->protocol);
    s->program = program_of(i->owner, a);
}

static int max(int a, size_t b)
{
    return (size_t)a > b ? a : (int)b;
}

/* A line of its own below the flow's: whom its program wanted to talk to. */
static void put_redirected(const struct report_tally *t, const struct tally_told *i, FILE *out)
{
    const struct tally_redirected *r = &t->redirected[i->redirected - 1];
    char asked[END_TEXT];
    int used;

    end_text(i->version, i->protocol, &r->asked, r->asked_port, asked);
    used = fprintf(out, "      redirected; asked for %s; by ", asked);
    put_filter(r->by, r->by_id, used > 0 ? (size_t)used : 0, out);
    fputc('\n', out);
}

/* Both ends in a line; or, where addresses are too long for that, the remote one in a line of its own. */
static void put_flows(const struct report_tally *t, const struct listed *flows, size_t count, FILE *out)
{
    struct explain_arena a = {0};
    int local = 5, remote = 6, number = 4;
    struct shown s;
    bool folded;

    for (size_t i = 0; i < count; i++) {
        char text[24];

        show(flows[i].told, &s, &a);
        local = max(local, strlen(s.local));
        remote = max(remote, strlen(s.remote));
        number =
            max(number, (size_t)snprintf(text, sizeof text, "%llu", (unsigned long long)flows[i].flow->id));
    }
    folded = number + local + remote > 52;
    if (folded)
        remote = max(local, (size_t)remote);
    fprintf(out, "  %*s  DIR  PROTO   ", number, "FLOW");
    if (!folded)
        fprintf(out, "%-*s  ", local, "LOCAL");
    fprintf(out, "%-*s  PASSED  DROPPED  PROGRAM\n", remote, folded ? "LOCAL, then REMOTE" : "REMOTE");
    for (size_t i = 0; i < count; i++) {
        const struct tally_flow *f = flows[i].flow;
        int used;

        show(flows[i].told, &s, &a);
        used = fprintf(out, "  %*llu  %-3s  %-6s  ", number, (unsigned long long)f->id,
                       flows[i].told->inbound ? "in" : "out", s.protocol_name);
        if (folded)
            fprintf(out, "%s\n%*s", s.local, used, "");
        else
            used += fprintf(out, "%-*s  ", local, s.local);
        used += fprintf(out, "%-*s  %6llu  %7llu  ", remote, s.remote, (unsigned long long)f->passed,
                        (unsigned long long)f->dropped);
        put_cut(s.program, used < WIDTH - 8 ? (size_t)(WIDTH - used) : 8, out);
        fputc('\n', out);
        if (flows[i].told->redirected != 0)
            put_redirected(t, flows[i].told, out);
    }
    explain_arena_free(&a);
}

static void put_group_head(const struct report_tally *t, const struct listed *l, FILE *out)
{
    struct explain_arena a = {0};
    const struct tally_flow *f = l->flow;
    const struct engine_layer *layer = tally_layer(l->told);
    const struct tally_depends *d = f->depends != 0 ? &t->depends[f->depends - 1] : NULL;
    int used = 0;

    fputc('\n', out);
    switch (verdict_of(l)) {
    case DEPENDS:
        fprintf(out, "DEPENDS at %s on ", short_layer(d->layer));
        put_cut(depends_words(d, &a), WIDTH - 16 - strlen(short_layer(d->layer)), out);
        fprintf(out, "\n  taken as PERMITTED by ");
        used = 24;
        break;
    case BLOCKED:
        used = fprintf(out, layer != NULL ? "BLOCKED at %s by " : "BLOCKED", short_layer(layer));
        break;
    case PERMITTED:
        used = layer != NULL ? fprintf(out, "PERMITTED at %s by ", short_layer(layer))
                             : fprintf(out, "PERMITTED, no authorization seen");
        break;
    }
    if (layer != NULL && verdict_of(l) == BLOCKED && l->told->filter == NULL)
        fputs("a callout, no filter", out);
    else if (layer != NULL)
        put_filter(l->told->filter, filter_id(l), (size_t)used, out);
    fputc('\n', out);
    explain_arena_free(&a);
}

static void print_flows(const struct report_tally *t, bool verbose, FILE *out)
{
    struct listed *flows = malloc((t->flow_count + 1) * sizeof *flows);
    size_t count = 0, groups = 0, left = 0, end;

    if (flows == NULL)
        return;
    for (UINT32 i = 0; i < t->flow_count; i++) {
        if (t->flows[i].listed)
            flows[count++] = (struct listed){&t->flows[i], &t->told[i]};
    }
    qsort(flows, count, sizeof *flows, compare_flows);
    for (size_t i = 0; i < count; i = end) {
        size_t n;

        for (end = i; end < count && compare_group(&flows[i], &flows[end]) == 0;)
            end++;
        if (groups++ >= MOST_ROWS && !verbose) {
            left += end - i;
            continue;
        }
        put_group_head(t, &flows[i], out);
        n = verbose || end - i <= MOST_FLOWS + 1 ? end - i : MOST_FLOWS;
        put_flows(t, flows + i, n, out);
        if (n < end - i)
            fprintf(out, "  ... and %zu more (-v, --json)\n", end - i - n);
    }
    if (left != 0)
        fprintf(out, "\n... and %zu more flows, decided otherwise (-v, --json)\n", left);
    free(flows);
}

/* ---- frames -----------------------------------------------------------------------------------------------
 */

static int compare_drops(const void *a, const void *b)
{
    const struct tally_drop *x = *(const struct tally_drop *const *)a,
                            *y = *(const struct tally_drop *const *)b;

    if (x->fate != y->fate)
        return (int)x->fate - (int)y->fate;
    if (x->frames != y->frames)
        return x->frames < y->frames ? 1 : -1;
    return x < y ? -1 : 1; /* of one array: in the order of happening */
}

/* In words, at most a line. */
static void put_reason(const struct tally_drop *d, FILE *out)
{
    const char *name;
    int used = 26;

    switch (d->fate) {
    case HOST_BLOCKED:
    case HOST_ABSORBED:
        if (d->layer == NULL) {
            fputs("with the first fragment of its datagram", out);
            break;
        }
        used += fprintf(out, "at %s by ", short_layer(d->layer));
        if (d->filter_id == 0)
            fputs("a callout, no filter", out);
        else
            put_filter(d->filter, d->filter_id, (size_t)used, out);
        break;
    case HOST_STACK:
        name = discard_reason_name(d->module, d->reason);
        if (d->layer != NULL)
            used += fprintf(out, "at %s: ", short_layer(d->layer));
        if (d->fault != WIRE_OK)
            put_cut(wire_fault_words(d->fault), (size_t)(WIDTH - used), out);
        else if (name != NULL)
            fputs(name, out);
        else
            fprintf(out, "%s %u", discard_module_name(d->module), d->reason);
        break;
    default:
        if (d->note != HOST_NOTE_NONE)
            put_cut(host_note_words(d->note), (size_t)(WIDTH - used), out);
        break;
    }
}

static const struct tally_drop **sorted_drops(const struct report_tally *t)
{
    const struct tally_drop **drops = malloc((t->drop_count + 1) * sizeof *drops);

    for (UINT32 i = 0; drops != NULL && i < t->drop_count; i++)
        drops[i] = &t->drops[i];
    if (drops != NULL)
        qsort(drops, t->drop_count, sizeof *drops, compare_drops);
    return drops;
}

static void print_frames(const struct report_tally *t, const struct host_counts *c, bool verbose, FILE *out)
{
    const struct tally_drop **drops = sorted_drops(t);
    UINT64 left = t->other_drops;

    fprintf(out, "\npackets: %llu; ", (unsigned long long)c->frames);
    for (int f = 0; f < HOST_FATES; f++) {
        if (f == HOST_PASSED || c->fates[f] != 0)
            fprintf(out, "%s%llu %s", f == HOST_PASSED ? "" : ", ", (unsigned long long)c->fates[f],
                    host_fate_name((enum host_fate)f));
    }
    fputc('\n', out);
    for (UINT32 i = 0; drops != NULL && i < t->drop_count; i++) {
        if (i >= MOST_ROWS && !verbose) {
            left += drops[i]->frames;
            continue;
        }
        fprintf(out, "  %10llu  %-11s ", (unsigned long long)drops[i]->frames,
                host_fate_name(drops[i]->fate));
        if (drops[i]->injected)
            fputs("(injected) ", out);
        put_reason(drops[i], out);
        fputc('\n', out);
    }
    if (left != 0)
        fprintf(out, "  %10llu  for other reasons (-v, --json)\n", (unsigned long long)left);
    if (c->bytes_differ != 0)
        fprintf(out, "  TCP: %llu bytes came twice, and not the same\n", (unsigned long long)c->bytes_differ);
    if (c->bytes_unreached != 0)
        fprintf(out, "  TCP: %llu bytes stood behind a hole that nobody filled\n",
                (unsigned long long)c->bytes_unreached);
    free(drops);
}

static void print_depends(struct report_tally *t, bool verbose, FILE *out)
{
    struct report_totals totals;
    struct explain_arena a = {0};
    UINT64 left = t->other_depends;

    report_tally_totals(t, &totals);
    if (totals.depends == 0)
        return;
    fprintf(out,
            "\nDEPENDS: %llu classifications hang on what nobody said (--who, --set, --callout say it)\n",
            (unsigned long long)totals.depends);
    for (UINT32 i = 0; i < t->depend_count; i++) {
        const struct tally_depends *d = &t->depends[i];
        const struct policy_builtin_callout *builtin;
        int used;

        if (i >= MOST_ROWS && !verbose) {
            left += d->permitted + d->blocked;
            continue;
        }
        used = fprintf(out, "  %10llu  %s at %s on ", (unsigned long long)(d->permitted + d->blocked),
                       d->blocked == 0     ? "permitted"
                       : d->permitted == 0 ? "blocked"
                                           : "taken",
                       short_layer(d->layer));
        put_cut(depends_words(d, &a), used < WIDTH - 20 ? (size_t)(WIDTH - used) : 20, out);
        fputc('\n', out);
        builtin = policy_builtin_callout(&d->callout);
        if (builtin != NULL && verbose)
            fprintf(out, "              %s\n", builtin->why);
    }
    if (left != 0)
        fprintf(out, "  %10llu  on other things (-v, --json)\n", (unsigned long long)left);
    explain_arena_free(&a);
}

void report_tally_print(struct report_tally *t, const struct host_counts *counts, bool verbose, FILE *out)
{
    struct report_totals totals;

    report_tally_totals(t, &totals);
    tally_fold(t);
    fprintf(out, "flows: %llu; %llu permitted, %llu blocked, %llu depend%s\n",
            (unsigned long long)totals.flows, (unsigned long long)totals.flows_permitted,
            (unsigned long long)totals.flows_blocked, (unsigned long long)totals.flows_depend,
            totals.flows_depend == 1 ? "s" : "");
    print_flows(t, verbose, out);
    if (t->unlisted != 0)
        fprintf(out, "\n%llu flows are counted, but not listed: more than %u are not kept\n",
                (unsigned long long)t->unlisted, t->max_flows);
    print_frames(t, counts, verbose, out);
    print_depends(t, verbose, out);
}

/* ---- JSON
 * -------------------------------------------------------------------------------------------------- */

static json_t *number(UINT64 n)
{
    return json_integer((json_int_t)n);
}

static json_t *drop_json(const struct tally_drop *d)
{
    json_t *o = json_object();
    const char *name = discard_reason_name(d->module, d->reason);

    json_object_set_new(o, "fate", json_string(host_fate_name(d->fate)));
    if (d->injected)
        json_object_set_new(o, "injected", json_true());
    json_object_set_new(o, "frames", number(d->frames));
    json_object_set_new(o, "bytes", number(d->bytes));
    json_object_set_new(o, "written", number(d->written));
    if (d->note != HOST_NOTE_NONE)
        json_object_set_new(o, "note", json_string(host_note_words(d->note)));
    if (d->layer != NULL)
        json_object_set_new(o, "layer", json_string(d->layer->name));
    if (d->filter_id != 0)
        json_object_set_new(o, "filter", number(d->filter_id));
    if (d->filter != NULL) {
        json_object_set_new(o, "filter_key", json_string(d->filter->key));
        json_object_set_new(o, "filter_name", json_string(d->filter->name));
    }
    if (d->fate == HOST_STACK) {
        json_object_set_new(o, "module", json_string(discard_module_name(d->module)));
        json_object_set_new(o, "reason", name != NULL ? json_string(name) : number(d->reason));
    }
    if (d->fault != WIRE_OK)
        json_object_set_new(o, "fault", json_string(wire_fault_words(d->fault)));
    return o;
}

static json_t *one_depends_json(const struct tally_depends *d)
{
    json_t *o = json_object(), *fields = json_array();
    char key[ENGINE_GUID_TEXT];

    json_object_set_new(o, "layer", json_string(d->layer->name));
    for (UINT16 i = 0; i < d->layer->field_count; i++) {
        if (d->fields >> i & 1)
            json_array_append_new(fields, json_string(d->layer->fields[i].name));
    }
    json_object_set_new(o, "fields", fields);
    if (memcmp(&d->callout, &(GUID){0}, sizeof(GUID)) != 0)
        json_object_set_new(o, "callout", json_string(engine_guid_format(&d->callout, key)));
    json_object_set_new(o, "permitted", number(d->permitted));
    json_object_set_new(o, "blocked", number(d->blocked));
    return o;
}

static json_t *host_json(const struct host_counts *c)
{
    json_t *o = json_object();

    json_object_set_new(o, "classified", number(c->classified));
    json_object_set_new(o, "asked_judge", number(c->asked_judge));
    json_object_set_new(o, "flows_created", number(c->flows_created));
    json_object_set_new(o, "flows_evicted", number(c->flows_evicted));
    json_object_set_new(o, "endpoints_evicted", number(c->endpoints_evicted));
    json_object_set_new(o, "reauthorized", number(c->reauthorized));
    json_object_set_new(o, "fragments_held", number(c->fragments_held));
    json_object_set_new(o, "datagrams_reassembled", number(c->datagrams_reassembled));
    json_object_set_new(o, "datagrams_evicted", number(c->datagrams_evicted));
    json_object_set_new(o, "segments_evicted", number(c->segments_evicted));
    json_object_set_new(o, "bytes_differ", number(c->bytes_differ));
    json_object_set_new(o, "bytes_unreached", number(c->bytes_unreached));
    return o;
}

json_t *report_tally_json(struct report_tally *t, const struct host_counts *c)
{
    json_t *o = json_object(), *fates = json_object(), *flows = json_object(), *drops = json_array(),
           *depends = json_array();
    const struct tally_drop **sorted = sorted_drops(t);
    struct report_totals totals;

    report_tally_totals(t, &totals);
    json_object_set_new(o, "event", json_string("summary"));
    json_object_set_new(o, "frames", number(c->frames));
    for (int f = 0; f < HOST_FATES; f++)
        json_object_set_new(fates, host_fate_name((enum host_fate)f), number(c->fates[f]));
    json_object_set_new(o, "fates", fates);
    json_object_set_new(flows, "total", number(totals.flows));
    json_object_set_new(flows, "permitted", number(totals.flows_permitted));
    json_object_set_new(flows, "blocked", number(totals.flows_blocked));
    json_object_set_new(flows, "depends", number(totals.flows_depend));
    json_object_set_new(flows, "unlisted", number(totals.flows_unlisted));
    json_object_set_new(o, "flows", flows);
    for (UINT32 i = 0; sorted != NULL && i < t->drop_count; i++)
        json_array_append_new(drops, drop_json(sorted[i]));
    json_object_set_new(o, "drops", drops);
    for (UINT32 i = 0; i < t->depend_count; i++)
        json_array_append_new(depends, one_depends_json(&t->depends[i]));
    json_object_set_new(o, "depends", depends);
    json_object_set_new(o, "host", host_json(c));
    free(sorted);
    return o;
}
