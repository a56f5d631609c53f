/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON lines of doc/events.md: header, then in the order of happening flow, classify, filter (ahead of
 * the first line that names it), policy and frame lines, at last a summary.
 */
#include <errno.h>
#include <stdlib.h>

#include "internal.h"

/* Filters whose "filter" line is out: as many as a run names. */
struct told {
    const struct report_filter **slots;
    size_t room, count;
};

struct report_events {
    struct report_names *names;
    struct value_memo memo;
    struct told told;
    const struct engine_field *app_field;
    struct out out;
};

/* ---- members ------------------------------------------------------------------------------------------ */

static void member(struct out *o, const char *name)
{
    out_text(o, ",\"");
    out_text(o, name);
    out_text(o, "\":");
}

static void number_member(struct out *o, const char *name, UINT64 n)
{
    member(o, name);
    out_number(o, n);
}

static void text_member(struct out *o, const char *name, const char *text)
{
    member(o, name);
    out_string(o, text);
}

static void flag_member(struct out *o, const char *name, bool value)
{
    member(o, name);
    out_text(o, value ? "true" : "false");
}

static void begin(struct out *o, const char *event)
{
    out_text(o, "{\"event\":\"");
    out_text(o, event);
    out_char(o, '"');
}

static void end(struct out *o)
{
    out_text(o, "}\n");
}

/* Names of the fields whose bits are set. */
static void fields_member(struct out *o, const char *name, const struct engine_layer *layer, UINT64 bits)
{
    bool first = true;

    member(o, name);
    out_char(o, '[');
    for (UINT16 i = 0; i < layer->field_count; i++) {
        if (!(bits >> i & 1))
            continue;
        if (!first)
            out_char(o, ',');
        first = false;
        out_string(o, layer->fields[i].name);
    }
    out_char(o, ']');
}

static void discard_members(struct out *o, FWPS_DISCARD_MODULE0 module, UINT32 reason)
{
    const char *name = discard_reason_name(module, reason);

    member(o, "discard");
    out_text(o, "{\"module\":");
    out_string(o, discard_module_name(module));
    number_member(o, "reason", reason);
    if (name != NULL)
        text_member(o, "name", name);
    out_char(o, '}');
}

/* ---- filters ------------------------------------------------------------------------------------------ */

/* Is it the first time? Without memory to remember: yes, again. */
static bool first_time(struct told *t, const struct report_filter *f)
{
    size_t at;

    if (t->count * 2 >= t->room) {
        size_t room = t->room == 0 ? 256 : t->room * 2;
        const struct report_filter **more = calloc(room, sizeof *more);

        if (more == NULL)
            return true;
        for (size_t i = 0; i < t->room; i++) {
            if (t->slots[i] == NULL)
                continue;
            for (at = t->slots[i]->id & (room - 1); more[at] != NULL;)
                at = (at + 1) & (room - 1);
            more[at] = t->slots[i];
        }
        free(t->slots);
        t->slots = more;
        t->room = room;
    }
    for (at = f->id & (t->room - 1); t->slots[at] != NULL; at = (at + 1) & (t->room - 1)) {
        if (t->slots[at] == f)
            return false;
    }
    t->slots[at] = f;
    t->count++;
    return true;
}

static void filter_line(struct out *o, const struct report_filter *f)
{
    begin(o, "filter");
    number_member(o, "id", f->id);
    text_member(o, "key", f->key);
    text_member(o, "name", f->name);
    text_member(o, "layer", f->layer);
    text_member(o, "action", f->action);
    if (f->callout != NULL) {
        text_member(o, "callout", f->callout);
        text_member(o, "callout_name", f->callout_name);
    }
    text_member(o, "sublayer", f->sublayer);
    text_member(o, "sublayer_name", f->sublayer_name);
    member(o, "provider");
    if (f->provider != NULL)
        out_string(o, f->provider);
    else
        out_text(o, "null");
    member(o, "conditions");
    out_char(o, '[');
    for (size_t i = 0; i < f->condition_count; i++) {
        if (i != 0)
            out_char(o, ',');
        out_string(o, f->conditions[i]);
    }
    out_char(o, ']');
    end(o);
}

/* Looks the filter up and tells of it once, ahead of the line that names it. */
static const struct report_filter *introduce(struct report_events *e, UINT64 id)
{
    const struct report_filter *f = report_names_filter(e->names, id);

    if (f != NULL && first_time(&e->told, f))
        filter_line(&e->out, f);
    return f;
}

static void filter_member(struct out *o, const struct report_filter *f, UINT64 id)
{
    member(o, "filter");
    if (id == 0) {
        out_text(o, "null");
        return;
    }
    out_text(o, "{\"id\":");
    out_number(o, id);
    if (f != NULL) {
        text_member(o, "key", f->key);
        text_member(o, "name", f->name);
        text_member(o, "action", f->action);
        text_member(o, "sublayer", f->sublayer);
    }
    out_char(o, '}');
}

/* ---- classifications ----------------------------------------------------------------------------------- */

static const char *cause_name(enum host_cause c)
{
    switch (c) {
    case HOST_CAUSE_REAUTHORIZE:
        return "reauthorize";
    case HOST_CAUSE_DISCARD:
        return "discard";
    case HOST_CAUSE_CLOSE:
        return "close";
    default:
        return "initial";
    }
}

static void values_member(struct report_events *e, const struct host_event *h)
{
    const FWPS_INCOMING_VALUES0 *in = h->request->values;
    struct out *o = &e->out;
    bool first = true;

    member(o, "values");
    out_char(o, '{');
    for (UINT16 i = 0; i < h->layer->field_count && i < in->valueCount; i++) {
        if (h->unknown >> i & 1)
            continue;
        if (!first)
            out_char(o, ',');
        first = false;
        out_char(o, '"');
        out_text(o, h->layer->fields[i].name);
        out_text(o, "\":");
        value_write(o, &e->memo, &h->layer->fields[i], &in->incomingValue[i].value);
    }
    out_char(o, '}');
    if (h->unknown != 0)
        fields_member(o, "unknown", h->layer, h->unknown);
}

static void answer_members(struct report_events *e, const struct host_event *h,
                           const struct report_filter *filter)
{
    const struct host_answer *a = h->answer;
    char key[ENGINE_GUID_TEXT];
    struct out *o = &e->out;

    text_member(o, "verdict", a->verdict.action == FWP_ACTION_BLOCK ? "BLOCKED" : "PERMITTED");
    filter_member(o, filter, a->verdict.filter_id);
    if (a->verdict.flags & ENGINE_VERDICT_VETO)
        flag_member(o, "veto", true);
    if (a->verdict.flags & ENGINE_VERDICT_SUBSTITUTE)
        flag_member(o, "substitute", true);
    if (!a->depends)
        return;
    flag_member(o, "depends", true);
    fields_member(o, "depends_on", h->layer, a->depends_on);
    if (a->depends_on_callout != NULL)
        text_member(o, "depends_on_callout", engine_guid_format(a->depends_on_callout, key));
}

void report_events_classified(void *ctx, const struct host_event *h)
{
    struct report_events *e = ctx;
    struct out *o = &e->out;
    const struct report_filter *filter = NULL;

    if (!h->empty && h->answer != NULL)
        filter = introduce(e, h->answer->verdict.filter_id);
    begin(o, "classify");
    number_member(o, "number", h->number);
    number_member(o, "frame", h->frame);
    number_member(o, "time_ns", h->time_ns);
    text_member(o, "layer", h->layer->name);
    text_member(o, "cause", cause_name(h->cause));
    number_member(o, "flow", h->flow_id);
    number_member(o, "endpoint", h->endpoint_id);
    if (h->parent_id != 0)
        number_member(o, "parent", h->parent_id);
    text_member(o, "direction", h->packet_direction == FWP_DIRECTION_INBOUND ? "inbound" : "outbound");
    if (h->request != NULL)
        engine_request_complete(h->request);
    if (h->cause == HOST_CAUSE_DISCARD && h->request != NULL && h->request->metadata != NULL)
        discard_members(o, h->request->metadata->discardMetadata.discardModule,
                        h->request->metadata->discardMetadata.discardReason);
    if (h->empty || h->request == NULL || h->answer == NULL) {
        text_member(o, "verdict", "PERMITTED");
        member(o, "filter");
        out_text(o, "null");
        flag_member(o, "empty", true);
    } else {
        answer_members(e, h, filter);
        values_member(e, h);
    }
    end(o);
}

/* ---- flows and frames -----------------------------------------------------------------------------------
 */

static const char *change_name(enum host_flow_change c)
{
    static const char *const names[] = {"created", "authorized", "refused", "deleted", "redirected"};

    return names[c];
}

static const char *flow_end_name(enum host_flow_end end)
{
    static const char *const names[] = {"none",     "closed",  "reset",   "idle",    "refused",
                                        "endpoint", "evicted", "aborted", "replaced"};

    return names[end];
}

static void end_members(struct out *o, const char *address, const char *port, const struct host_flow_info *f,
                        const union wire_addr *a, UINT16 number)
{
    char text[WIRE_ADDR_TEXT];

    text_member(o, address, wire_addr_format(f->version, a, text));
    number_member(o, port, number);
}

void report_events_flow(void *ctx, enum host_flow_change change, const struct host_flow_info *f)
{
    struct report_events *e = ctx;
    struct out *o = &e->out;
    char protocol[16];

    if (change == HOST_FLOW_REDIRECTED)
        (void)introduce(e, f->redirected_by);
    begin(o, "flow");
    text_member(o, "change", change_name(change));
    number_member(o, "flow", f->id);
    number_member(o, "endpoint", f->endpoint_id);
    if (f->parent_id != 0)
        number_member(o, "parent", f->parent_id);
    number_member(o, "protocol", f->protocol);
    text_member(o, "protocol_name", protocol_text(f->protocol, protocol));
    text_member(o, "direction", f->inbound ? "inbound" : "outbound");
    end_members(o, "local_address", "local_port", f, &f->local, f->local_port);
    end_members(o, "remote_address", "remote_port", f, &f->remote, f->remote_port);
    if (f->redirected_by != 0) {
        number_member(o, "redirected_by", f->redirected_by);
        end_members(o, "asked_local_address", "asked_local_port", f, &f->asked_local, f->asked_local_port);
        end_members(o, "asked_remote_address", "asked_remote_port", f, &f->asked_remote,
                    f->asked_remote_port);
    }
    if (f->protocol == WIRE_PROTOCOL_ICMP || f->protocol == WIRE_PROTOCOL_ICMPV6)
        number_member(o, "icmp_id", f->icmp_id);
    number_member(o, "interface", f->interface_index);
    if (f->owner != NULL && f->owner->app_id != NULL) {
        FWP_VALUE0 v = {.type = FWP_BYTE_BLOB_TYPE, .byteBlob = (FWP_BYTE_BLOB *)(uintptr_t)f->owner->app_id};

        member(o, "program");
        value_write(o, &e->memo, e->app_field, &v);
    }
    if (f->owner != NULL && f->owner->token != NULL) {
        FWP_VALUE0 v = {.type = FWP_TOKEN_ACCESS_INFORMATION_TYPE,
                        .tokenAccessInformation = (FWP_BYTE_BLOB *)(uintptr_t)f->owner->token};

        member(o, "user");
        value_write(o, &e->memo, e->app_field, &v);
    }
    if (f->loopback)
        flag_member(o, "loopback", true);
    if (f->mid_stream)
        flag_member(o, "mid_stream", true);
    if (f->multicast)
        flag_member(o, "multicast", true);
    if (change == HOST_FLOW_DELETED)
        text_member(o, "end", flow_end_name(f->end));
    end(o);
}

void report_events_injected(struct report_events *e, const struct host_emitted *p,
                            const struct host_outcome *lost, bool stands, UINT64 time_ns, bool written)
{
    struct out *o = &e->out;
    const struct report_filter *filter = lost != NULL ? introduce(e, lost->filter_id) : NULL;

    begin(o, "injected");
    number_member(o, "frame", p->origin);
    number_member(o, "time_ns", time_ns);
    number_member(o, "length", p->size);
    text_member(o, "fate", lost == NULL ? "out" : host_fate_name(lost->fate));
    flag_member(o, "written", written);
    text_member(o, "way", p->forwarded ? "forwarded" : p->inbound ? "inbound" : "outbound");
    number_member(o, "flow", p->flow_id);
    if (stands)
        flag_member(o, "stands", true);
    if (p->rewritten)
        flag_member(o, "made", true);
    else if (!host_emitted_unchanged(p))
        flag_member(o, "changed", true);
    if (lost != NULL && lost->layer != NULL)
        text_member(o, "layer", lost->layer->name);
    if (lost != NULL && (lost->fate == HOST_BLOCKED || lost->fate == HOST_ABSORBED) && lost->layer != NULL)
        filter_member(o, filter, lost->filter_id);
    end(o);
}

void report_events_frame(struct report_events *e, UINT64 frame, UINT64 time_ns, UINT64 delay_ns,
                         uint32_t length, const struct host_outcome *f, bool written)
{
    struct out *o = &e->out;
    const struct report_filter *filter = introduce(e, f->filter_id);

    begin(o, "frame");
    number_member(o, "frame", frame);
    number_member(o, "time_ns", time_ns);
    if (delay_ns != 0)
        number_member(o, "delay_ns", delay_ns);
    number_member(o, "length", length);
    text_member(o, "fate", host_fate_name(f->fate));
    flag_member(o, "written", written);
    member(o, "ways");
    out_char(o, '[');
    if (f->outbound)
        out_text(o, "\"outbound\"");
    if (f->inbound)
        out_text(o, f->outbound ? ",\"inbound\"" : "\"inbound\"");
    if (f->forwarded)
        out_text(o, f->outbound || f->inbound ? ",\"forwarded\"" : "\"forwarded\"");
    out_char(o, ']');
    number_member(o, "flow", f->flow_id);
    if (f->sender_flow_id != 0)
        number_member(o, "sender_flow", f->sender_flow_id);
    if (f->note != HOST_NOTE_NONE)
        text_member(o, "note", host_note_words(f->note));
    if (f->layer != NULL)
        text_member(o, "layer", f->layer->name);
    if ((f->fate == HOST_BLOCKED || f->fate == HOST_ABSORBED) && f->layer != NULL)
        filter_member(o, filter, f->filter_id);
    if (f->fate == HOST_STACK || f->fate == HOST_BLOCKED)
        discard_members(o, f->module, f->reason);
    if (f->fault != WIRE_OK)
        text_member(o, "fault", wire_fault_words(f->fault));
    if (f->depends)
        flag_member(o, "depends", true);
    end(o);
}

/* ---- life ------------------------------------------------------------------------------------------------
 */

int report_events_open(FILE *out, struct report_names *names, struct report_events **e)
{
    *e = calloc(1, sizeof **e);
    if (*e == NULL)
        return -ENOMEM;
    (*e)->names = names;
    (*e)->out.stream = out;
    (*e)->app_field = explain_field_find(engine_layer_by_name("ALE_AUTH_CONNECT_V4"), "ALE_APP_ID");
    return 0;
}

int report_events_token(struct report_events *e, const FWP_BYTE_BLOB *token, const char *json)
{
    return value_memo_token(&e->memo, token, json);
}

/* The members of an object, in their order. */
static void object_members(struct out *o, const json_t *object, bool comma)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)object, key, value)
    {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);

        if (comma)
            out_char(o, ',');
        comma = true;
        out_string(o, key);
        out_char(o, ':');
        out_text(o, text != NULL ? text : "null");
        free(text);
    }
}

void report_events_header(struct report_events *e, const json_t *run)
{
    out_text(&e->out, "{\"weir-events\":");
    out_number(&e->out, REPORT_EVENTS_VERSION);
    if (run != NULL)
        object_members(&e->out, run, true);
    end(&e->out);
}

void report_events_object(struct report_events *e, const json_t *object)
{
    out_char(&e->out, '{');
    object_members(&e->out, object, false);
    end(&e->out);
}

int report_events_close(struct report_events *e)
{
    int err;

    if (e == NULL)
        return 0;
    out_flush(&e->out);
    err = e->out.error;
    if (err == 0 && fflush(e->out.stream) != 0)
        err = errno != 0 ? -errno : -EIO;
    value_memo_free(&e->memo);
    free(e->told.slots);
    free(e);
    return err;
}
