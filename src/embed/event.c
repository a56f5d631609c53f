/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir.h: events as a test sees them: given out, counted, put into words.
 *
 * A line: "#12 0.001300 s ALE_AUTH_CONNECT_V4: pended, tcp 10.0.0.1:50000 -> 10.0.0.2:80, filter 3, flow 1, process 8".
 * The time is counted from the engine's making. The arrow goes the way of the packet or the connection.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "embed/watch.h"

static const char *const kinds[] = {
    [0] = "any",
    [WEIR_EVENT_CLASSIFY] = "classify",
    [WEIR_EVENT_PENDED] = "pended",
    [WEIR_EVENT_COMPLETED] = "completed",
    [WEIR_EVENT_FLOW] = "flow",
    [WEIR_EVENT_PACKET] = "packet",
    [WEIR_EVENT_DROPPED] = "dropped",
    [WEIR_EVENT_INJECTED] = "injected",
    [WEIR_EVENT_SOCKET] = "socket",
    [WEIR_EVENT_FINDING] = "finding",
    [WEIR_EVENT_PRINT] = "print",
    [WEIR_EVENT_FAULT] = "fault",
};
#define KINDS (sizeof kinds / sizeof kinds[0])

const char *embed_event_kind_name(enum weir_event_kind kind)
{
    return (unsigned)kind < KINDS ? kinds[kind] : "no kind that there is";
}

/* ---- words --------------------------------------------------------------------------------------------- */

struct line {
    char *to;
    size_t at;
};

static void add(struct line *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct line *l, const char *format, ...)
{
    va_list args;
    int size;

    va_start(args, format);
    size = vsnprintf(l->to + l->at, EMBED_LINE - l->at, format, args);
    va_end(args);
    if (size > 0)
        l->at = l->at + (size_t)size < EMBED_LINE ? l->at + (size_t)size : EMBED_LINE - 1;
}

static const char *end_text(const struct embed_record *r, bool local, char *out)
{
    const union wire_addr *a = local ? &r->local : &r->remote;

    if (r->has_ports)
        return embed_end_format(r->version, a, local ? r->local_port : r->remote_port, out);
    return wire_addr_format(r->version, a, out);
}

static void add_protocol(struct line *l, const struct embed_record *r)
{
    static const char flags[] = "FSRPAU"; /* from the lowest bit on */

    switch (r->protocol) {
    case WIRE_PROTOCOL_TCP:
        add(l, "tcp");
        break;
    case WIRE_PROTOCOL_UDP:
        add(l, "udp");
        break;
    case WIRE_PROTOCOL_ICMP:
        add(l, "icmp");
        break;
    case WIRE_PROTOCOL_ICMPV6:
        add(l, "icmpv6");
        break;
    default:
        add(l, "protocol %u", r->protocol);
        break;
    }
    if (r->tcp_flags != 0) {
        add(l, " ");
        for (unsigned i = 0; i < sizeof flags - 1; i++)
            if ((r->tcp_flags >> i & 1) != 0)
                add(l, "%c", flags[i]);
    }
}

static void add_ends(struct line *l, const struct embed_record *r)
{
    char local[WEIR_ADDRESS], remote[WEIR_ADDRESS];

    end_text(r, true, local);
    end_text(r, false, remote);
    if (!r->has_way)
        add(l, " %s with %s", local, remote);
    else if (r->inbound)
        add(l, " %s -> %s", remote, local);
    else
        add(l, " %s -> %s", local, remote);
}

static void add_mac(struct line *l, const uint8_t *mac)
{
    add(l, " %02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

static void add_frame(struct line *l, const struct embed_record *r)
{
    add(l, "frame of type 0x%04x", r->ether_type);
    add_mac(l, r->inbound ? r->remote.v6 : r->local.v6);
    add(l, " ->");
    add_mac(l, r->inbound ? r->local.v6 : r->remote.v6);
}

static void add_body(struct line *l, const struct embed_record *r)
{
    add(l, "%s", embed_event_kind_name(r->kind));
    if (r->layer != NULL)
        add(l, " %s%s", r->kind == WEIR_EVENT_CLASSIFY || r->kind == WEIR_EVENT_PENDED ? "" : "at ",
            r->layer);
    add(l, ": %s", r->verdict != NULL ? r->verdict : "");
    if (r->empty)
        add(l, " (no filter is there)");
    if (r->reauthorization)
        add(l, " (again)");
    if (r->protocol != 0 || r->version != 0 || r->frame)
        add(l, r->verdict != NULL ? ", " : "");
    if (r->frame)
        add_frame(l, r);
    if (r->protocol != 0)
        add_protocol(l, r);
    if (r->version != 0)
        add_ends(l, r);
    if (r->size != 0)
        add(l, ", %u bytes", r->size);
    if (r->interface != 0)
        add(l, ", interface %u", r->interface);
    if (r->filter_id != 0)
        add(l, ", filter %llu", (unsigned long long)r->filter_id);
    if (r->flow_id != 0)
        add(l, ", flow %llu", (unsigned long long)r->flow_id);
    if (r->process_id != 0)
        add(l, ", process %llu", (unsigned long long)r->process_id);
    if (r->note != NULL)
        add(l, "; %s", r->note);
}

const char *embed_record_text(struct embed *e, const struct embed_record *r, char *text)
{
    const uint64_t since = r->time_ns > e->made_ns ? r->time_ns - e->made_ns : 0;
    struct line l = {.to = text};

    add(&l, "#%llu %llu.%06llu s ", (unsigned long long)r->number, (unsigned long long)(since / WEIR_SECOND),
        (unsigned long long)(since % WEIR_SECOND / WEIR_MICROSECOND));
    if (r->text != NULL)
        add(&l, "%s: %s", embed_event_kind_name(r->kind), r->text);
    else
        add_body(&l, r);
    return text;
}

/* ---- matching ------------------------------------------------------------------------------------------ */

static bool read_end(struct embed *e, const char *call, const char *member, const char *text,
                     struct embed_end *out)
{
    if (embed_end_parse(text, out))
        return true;
    embed_failed(
        e, call,
        "match.%s: expected an address such as 10.0.0.2, 10.0.0.2:80, [fd00::2]:80 or :80, found '%s'",
        member, text);
    return false;
}

/* "ALE_AUTH_CONNECT_V4", FWPM_LAYER_ before it or not; without its end _V4, _V6: either. */
static bool is_layer(const char *asked, const char *layer)
{
    size_t size;

    if (strncasecmp(asked, "FWPM_LAYER_", 11) == 0 || strncasecmp(asked, "FWPS_LAYER_", 11) == 0)
        asked += 11;
    size = strlen(asked);
    return strncasecmp(asked, layer, size) == 0 &&
           (layer[size] == '\0' || strcmp(layer + size, "_V4") == 0 || strcmp(layer + size, "_V6") == 0);
}

static bool is_some_layer(const char *asked)
{
    for (UINT16 id = 0; id < ENGINE_LAYER_COUNT; id++) {
        const struct engine_layer *l = engine_layer_by_id(id);

        if (l != NULL && is_layer(asked, embed_layer_name(l)))
            return true;
    }
    return false;
}

bool embed_matcher_make(struct embed *e, const char *call, const struct weir_match *match,
                        struct embed_matcher *m)
{
    *m = (struct embed_matcher){.is = match};
    if (match == NULL) {
        embed_failed(e, call, "match is NULL");
        return false;
    }
    m->kind = match->kind;
    if (m->kind == 0 && (match->layer != NULL || match->verdict != NULL))
        m->kind = WEIR_EVENT_CLASSIFY;
    if ((unsigned)m->kind >= KINDS) {
        embed_failed(e, call, "match.kind: %u is no kind of event", (unsigned)m->kind);
        return false;
    }
    if (match->layer != NULL && !is_some_layer(match->layer)) {
        embed_failed(e, call, "match.layer: no layer is called '%s'", match->layer);
        return false;
    }
    if ((match->local != NULL && !read_end(e, call, "local", match->local, &m->local)) ||
        (match->remote != NULL && !read_end(e, call, "remote", match->remote, &m->remote)))
        return false;
    m->asked = (m->kind != 0 ? MEMBER_KIND : 0) | (match->layer != NULL ? MEMBER_LAYER : 0) |
               (match->verdict != NULL ? MEMBER_VERDICT : 0) | (match->protocol != 0 ? MEMBER_PROTOCOL : 0) |
               (match->local != NULL ? MEMBER_LOCAL : 0) | (match->remote != NULL ? MEMBER_REMOTE : 0) |
               (match->filter_id != 0 ? MEMBER_FILTER : 0) | (match->flow_id != 0 ? MEMBER_FLOW : 0) |
               (match->process_id != 0 ? MEMBER_PROCESS : 0) |
               (match->contains != NULL ? MEMBER_CONTAINS : 0);
    return true;
}

static bool is_end(const struct embed_end *asked, const struct embed_record *r, bool local)
{
    const uint16_t port = local ? r->local_port : r->remote_port;

    if (r->version == 0 || (asked->has_port && (!r->has_ports || asked->port != port)))
        return false;
    return asked->version == 0 ||
           (asked->version == r->version && wire_addr_equal(&asked->address, local ? &r->local : &r->remote));
}

unsigned embed_matcher_differs(struct embed *e, const struct embed_matcher *m, const struct embed_record *r)
{
    const struct weir_match *is = m->is;
    unsigned differs = 0;
    char line[EMBED_LINE];

    if ((m->asked & MEMBER_KIND) != 0 && r->kind != m->kind)
        differs |= MEMBER_KIND;
    if ((m->asked & MEMBER_LAYER) != 0 && (r->layer == NULL || !is_layer(is->layer, r->layer)))
        differs |= MEMBER_LAYER;
    if ((m->asked & MEMBER_VERDICT) != 0 && (r->verdict == NULL || strcmp(is->verdict, r->verdict) != 0))
        differs |= MEMBER_VERDICT;
    if ((m->asked & MEMBER_PROTOCOL) != 0 && is->protocol != r->protocol)
        differs |= MEMBER_PROTOCOL;
    if ((m->asked & MEMBER_LOCAL) != 0 && !is_end(&m->local, r, true))
        differs |= MEMBER_LOCAL;
    if ((m->asked & MEMBER_REMOTE) != 0 && !is_end(&m->remote, r, false))
        differs |= MEMBER_REMOTE;
    if ((m->asked & MEMBER_FILTER) != 0 && is->filter_id != r->filter_id)
        differs |= MEMBER_FILTER;
    if ((m->asked & MEMBER_FLOW) != 0 && is->flow_id != r->flow_id)
        differs |= MEMBER_FLOW;
    if ((m->asked & MEMBER_PROCESS) != 0 && is->process_id != r->process_id)
        differs |= MEMBER_PROCESS;
    if ((m->asked & MEMBER_CONTAINS) != 0 && differs == 0 &&
        strstr(embed_record_text(e, r, line), is->contains) == NULL)
        differs |= MEMBER_CONTAINS;
    return differs;
}

/* ---- weir.h -------------------------------------------------------------------------------------------- */

void weir_events(struct weir *w, void (*fn)(void *ctx, const struct weir_event *event), void *ctx)
{
    struct embed *e;
    char own[EMBED_LINE], line[EMBED_LINE], local[WEIR_ADDRESS], remote[WEIR_ADDRESS];
    struct embed_record r;
    uint64_t number = 0, last;

    if (EMBED_ENTER(EMBED_ENGINE, w, &e) == NULL)
        return;
    if (fn == NULL) {
        embed_failed(e, __func__, "there is nobody to give events to: fn is NULL");
        return;
    }
    last = embed_records_last(e); /* what fn brings about is not given to it */
    while (embed_records_next(e, &number, &r, own) && number <= last) {
        const struct weir_event event = {
            .number = r.number,
            .time_ns = r.time_ns,
            .kind = r.kind,
            .layer = r.layer,
            .verdict = r.verdict,
            .filter_id = r.filter_id,
            .flow_id = r.flow_id,
            .process_id = r.process_id,
            .inbound = r.inbound,
            .reauthorization = r.reauthorization,
            .protocol = r.protocol,
            .local = r.version != 0 ? end_text(&r, true, local) : NULL,
            .remote = r.version != 0 ? end_text(&r, false, remote) : NULL,
            .text = embed_record_text(e, &r, line),
        };

        fn(ctx, &event);
        embed_again(e);
    }
}

struct counting {
    struct embed *e;
    struct embed_matcher matcher;
    size_t found;
};

static bool count_one(void *ctx, const struct embed_record *r)
{
    struct counting *c = ctx;

    c->found += embed_matcher_differs(c->e, &c->matcher, r) == 0;
    return true;
}

size_t weir_count(struct weir *w, const struct weir_match *match)
{
    struct counting c = {0};

    if (EMBED_ENTER(EMBED_ENGINE, w, &c.e) == NULL || !embed_matcher_make(c.e, __func__, match, &c.matcher))
        return 0;
    embed_records_each(c.e, match->since, count_one, &c);
    return c.found;
}

uint64_t weir_mark(struct weir *w)
{
    struct embed *e;

    return EMBED_ENTER(EMBED_ENGINE, w, &e) != NULL ? embed_records_last(e) : 0;
}

/* ---- for messages -------------------------------------------------------------------------------------- */

char *embed_watch_tail(struct embed *e, size_t lines)
{
    const uint64_t last = embed_records_last(e);
    uint64_t number = last > lines ? last - lines : 0;
    char own[EMBED_LINE], line[EMBED_LINE], *all = malloc(lines * (EMBED_LINE + 8) + 64);
    struct embed_record r;
    size_t at = 0;

    if (all == NULL)
        return NULL;
    all[0] = '\0';
    while (number < last && embed_records_next(e, &number, &r, own) && number <= last)
        at += (size_t)sprintf(all + at, "    %s\n", embed_record_text(e, &r, line));
    return all;
}
