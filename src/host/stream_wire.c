/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream_wire: the sink of streams whose source are segments (a replay): what comes out of a pipeline goes on as TCP.
 *
 *   paths_stream.c: segment --wire_see--> struct rewrite (rewrite.h): as it came, or others in its place
 *                       data --wire_feed--> pipeline --element--------> rewrite --on_send--> outbound: SPK, OT, OI, MAC
 *                                                                                     inbound: it has passed them
 *   injector: an injection, a continuation --> pipeline --element, settled--> rewrite      |
 *                                                                                          v
 *                                                                         host_config.emit(), or lost()
 *
 * A flow's segments go as they came until one does not come out of the pipeline as it went in: bytes taken out, put in,
 * kept, or ahead of a hole where a stage may still edit what is in the hole. From then on the flow is rewritten, for
 * good (rewrite.h). Flows that are only inspected never are.
 *
 * What is sent for a segment has that frame's number as origin, host_emitted.rewritten, and its time; what an injection
 * sets free has the number of the newest frame of its direction and the host's time. Outbound packets walk the layers
 * below the stream layer as any packet of the host's does, with flow and endpoint: other callouts see what is sent, may
 * change, take or block it. Inbound ones have been through II, IT and SPK as they came.
 *
 * The end. A connection that the source has closed (both FINs acknowledged) lives on as long as an end is kept in the
 * pipeline (a driver blocked the FIN, and injects it later): the flow ends when it has come out (end_flow()).
 *
 * Not here: loopback. A connection of the host with itself is two flows, each with a pipeline; what the one sends would
 * have to be what the other receives. Its pipelines are shown the bytes, and what they change is not carried out (counted:
 * `unchanged`).
 *
 * Life: struct stream_wire hangs on stream_word(); made with the flow's first segment (a SYN has the MSS) where a stage may
 * edit it, freed when the stream has ended and nobody is in on_send(). Where all stages only inspect there is none: its
 * segments are noted (stream_past()), and it is made (wire_late()) in the middle of the pass of a segment that does not come
 * out as it went in, or when an injection comes. All of it needs the turn.
 */
#include <stdlib.h>
#include <string.h>

#include "host/ale_inside.h"
#include "host/host_inject.h"
#include "host/paths.h"
#include "host/rewrite.h"
#include "host/stream_inside.h"
#include "host/stream_wire.h"
#include "host/tcp_inside.h"
#include "host/walk.h"

struct stream_wire {
    struct stream_wire *next, **at; /* of the host's */
    struct host *host;
    struct stream *st; /* NULL: it has ended */
    struct rewrite *rewrite;
    struct scene *scene; /* of the segment that is worked on; NULL: none is */
    UINT64 flow_id, dropped_by;
    UINT64 number[2]; /* of the newest frame of each direction */
    UINT32 interface_index;
    unsigned inside; /* calls that may send */
    bool ends;       /* the source has ended it: see wire_may_end() */
};

static struct stream_wire *wire_of(struct stream *st)
{
    return *stream_word(st);
}

static void wire_free(struct stream_wire *w)
{
    *w->at = w->next;
    if (w->next != NULL)
        w->next->at = w->at;
    rewrite_destroy(w->rewrite);
    free(w);
}

static void enter(struct stream_wire *w)
{
    w->inside++;
}

static void leave(struct stream_wire *w)
{
    if (--w->inside == 0 && w->st == NULL)
        wire_free(w);
}

/* ---- what is sent --------------------------------------------------------------------------------------- */

static void fill(const struct stream_wire *w, const struct rewrite_sent *sent, const struct wire_packet *p,
                 struct host_emitted *e)
{
    *e = (struct host_emitted){
        .bytes = sent->bytes + sent->ip_at,
        .size = sent->size - sent->ip_at,
        .version = p->version,
        .inbound = sent->dir == 1,
        .interface_index = w->interface_index,
        .origin = w->number[sent->dir],
        .link = sent->ip_at != 0 ? sent->bytes : NULL,
        .link_size = sent->ip_at,
        .rewritten = true,
        .flow_id = w->flow_id,
        .time_ns = w->host->now_ns,
    };
}

/* Below the stream layer. False: it ends there. */
static bool walk_out(struct stream_wire *w, const struct wire_packet *p, struct walk *walk,
                     struct host_outcome *o)
{
    struct scene s;

    if (w->scene != NULL)
        s = *w->scene;
    else
        stream_scene(w->st, 0, &s);
    s.frame = w->number[0];
    s.walk = walk;
    s.classify_context = s.layer_data = NULL;
    s.steady = s.reauthorize = s.flags = s.metadata_flags = 0;
    s.stream = NULL;
    s.stream_size = 0;
    s.stream_flags = 0;
    path_scene(&s, p, false);
    path_busy(s.lane);
    return path_step(&s, LAYER_SPK, o) && path_send(&s, o);
}

static void on_send(void *ctx, const struct rewrite_sent *sent)
{
    struct stream_wire *w = ctx;
    struct host *h = w->host;
    struct lane *l = &h->lanes[0];
    struct host_outcome o = {.flow_id = w->flow_id, .inbound = sent->dir == 1, .outbound = sent->dir == 0};
    struct wire_packet p;
    struct host_emitted e;
    struct walk walk;
    uint32_t size;
    bool through = true, stayed;

    wire_parse(sent->link_type, sent->bytes, sent->size, sent->size, &p);
    walk_begin(&walk, h, w->number[sent->dir], &p);
    if (sent->dir == 0 && (w->scene != NULL || w->st != NULL))
        through = walk_out(w, &p, &walk, &o);
    fill(w, sent, &p, &e);
    if (walk.frame != NULL && walk.packet == &p) /* what callouts left of it */
        e.bytes = ndis_frame_bytes(walk.frame, &size) + sent->ip_at;
    stayed = lane_rest(l);
    if (through && h->config.emit != NULL)
        h->config.emit(h->config.ctx, &e);
    else if (!through && h->config.lost != NULL)
        h->config.lost(h->config.ctx, &e, &o);
    lane_back(l, stayed);
    walk_end(&walk, &o);
}

/* ---- life ------------------------------------------------------------------------------------------------ */

static bool may_have_wire(const struct stream *st)
{
    return !st->loopback && st->host->config.emit != NULL;
}

/* As it stands after what came and went so far, but for what only headers say. */
static struct stream_wire *wire_make(struct stream *st)
{
    struct host *h = st->host;
    const struct stream_past *past = &st->past;
    struct rewrite_config config = {.send = on_send, .counts = &h->wire_counts};
    struct stream_wire *w;

    if (!may_have_wire(st) || (w = calloc(1, sizeof(*w))) == NULL)
        return NULL;
    config.ctx = w;
    w->rewrite = rewrite_create(&config);
    if (w->rewrite == NULL) {
        free(w);
        return NULL;
    }
    w->host = h;
    w->st = st;
    w->flow_id = st->id;
    w->interface_index = st->interface != NULL ? st->interface->desc.index : 0;
    for (int dir = 0; dir < 2; dir++) {
        w->number[dir] = past->number[dir];
        if (past->way[dir].ended)
            rewrite_passed(w->rewrite, dir, 0, true);
    }
    w->next = h->wires;
    w->at = &h->wires;
    if (w->next != NULL)
        w->next->at = &w->next;
    h->wires = w;
    *stream_word(st) = w;
    return w;
}

/* The pass's segment. Until wire_done(). */
static void begin_segment(struct stream_wire *w, const struct wire_pass *pass)
{
    struct scene *s = pass->s;
    const int dir = s->packet_direction == FWP_DIRECTION_OUTBOUND ? 0 : 1;

    enter(w);
    w->scene = s;
    w->number[dir] = s->frame;
    w->interface_index = s->interface != NULL ? s->interface->desc.index : 0;
    for (int d = 0; d < 2; d++)
        if (pass->known[d])
            rewrite_place(w->rewrite, d, pass->next[d]);
    rewrite_see(w->rewrite, dir, s->packet);
}

/* Where the directions stand, of a flow whose segment nobody works on. */
static void place_by_flow(struct stream_wire *w)
{
    struct lane *l = &w->host->lanes[0];
    const struct host_flow *f;

    lane_enter(l);
    f = ale_flow_at(l, w->st->slot, w->st->id);
    for (int d = 0; f != NULL && d < 2; d++)
        if ((f->half[d].flags & (TCP_HALF_KNOWN | TCP_HALF_GUESSED)) == TCP_HALF_KNOWN)
            rewrite_place(w->rewrite, d, f->half[d].next);
    lane_leave(l);
}

/* A flow that nobody was to edit needs one all the same. pass: its segment; NULL: none is worked on. NULL: no memory. */
static struct stream_wire *wire_late(struct stream *st, struct wire_pass *pass)
{
    struct stream_wire *w = st->told ? NULL : wire_make(st);

    if (pass != NULL)
        pass->lazy = false;
    if (w == NULL)
        return NULL;
    if (pass == NULL) {
        place_by_flow(w);
        rewrite_resume(w->rewrite, st->past.way);
        return w;
    }
    begin_segment(w, pass);
    rewrite_resume(w->rewrite, st->past.way);
    for (int d = 0; d < 2; d++)
        if (pass->gone[d] != 0)
            rewrite_passed(w->rewrite, d, pass->gone[d], pass->ended[d]);
    rewrite_feed(w->rewrite, pass->dir, pass->bytes, pass->size, pass->lost, pass->fin);
    if (pass->passed != 0 || pass->end) {
        const struct rewrite_element e = {
            .bytes = pass->bytes, .size = pass->passed, .span = pass->passed, .same = true, .end = pass->end};

        rewrite_element(w->rewrite, pass->dir, &e);
    }
    return w;
}

static struct wire_pass *pass_of(const struct stream *st)
{
    struct wire_pass *p = st->host->streams->pass;

    while (__builtin_expect(p != NULL && p->st != st, 0))
        p = p->outer;
    return p != NULL && p->lazy ? p : NULL;
}

/* As rewrite_element() has it, while nothing is rewritten: did it come out as it went in? */
static inline bool as_it_came(struct wire_pass *p, int dir, const struct stream_element *e)
{
    const bool end = (e->flags & HOST_STREAM_END) != 0;

    if (p->dir != dir)
        return false;
    if (e->lost)
        return true;
    if (!(e->size == 0 && e->span == 0) &&
        (!e->same || e->size != e->span || e->size > p->size - p->passed || p->end))
        return false;
    if (end && !p->fin)
        return false;
    p->passed += e->size;
    p->end = p->end || end;
    return true;
}

/* ---- the sink ------------------------------------------------------------------------------------------- */

/* Not as it came, or of a flow that has a wire. */
static __attribute__((noinline)) void on_other(struct stream *st, int dir, const struct stream_element *e,
                                               struct wire_pass *pass)
{
    const struct rewrite_element element = {
        .bytes = e->bytes,
        .size = e->size,
        .span = e->span,
        .same = e->same,
        .lost = e->lost,
        .end = (e->flags & HOST_STREAM_END) != 0,
    };
    struct stream_wire *w = wire_of(st);

    if (w == NULL && may_have_wire(st))
        w = wire_late(st, pass);
    if (w != NULL)
        rewrite_element(w->rewrite, dir, &element);
}

static void on_element(struct host *h, struct stream *st, int dir, const struct stream_element *e)
{
    struct wire_pass *pass;

    (void)h;
    if (e->size == 0 && e->span == 0 && (e->flags & HOST_STREAM_END) == 0)
        return;
    pass = wire_of(st) == NULL ? pass_of(st) : NULL; /* of a flow that may have one */
    if (__builtin_expect(pass == NULL || !as_it_came(pass, dir, e), 0))
        on_other(st, dir, e, pass);
}

/* The flow, whose source has ended before. */
static void end_flow(struct host *h, UINT64 flow_id)
{
    struct lane *l = &h->lanes[0];
    struct host_flow *f;

    lane_enter(l);
    f = flow_table_by_id(l->flows, flow_id);
    if (f != NULL && (f->marks & (FLOW_MARK_TORN | FLOW_MARK_GONE)) != 0)
        f = NULL;
    if (f != NULL) {
        memory_put(l->memory, &f->key, MEMORY_CLOSED, h->now_ns, h->now_ns + CLOSED_NS);
        memory_put(l->memory, &f->key, MEMORY_REWRITTEN, h->now_ns, h->now_ns + CLOSED_NS);
    }
    lane_leave(l);
    if (f != NULL)
        ale_end_flow(l, f, HOST_END_CLOSED);
}

static void on_settled(struct host *h, struct stream *st)
{
    struct stream_wire *w = wire_of(st);

    if (w == NULL || w->scene != NULL) /* within a segment: what it sends comes with that */
        return;
    enter(w);
    rewrite_settle(w->rewrite);
    if (w->ends && w->st != NULL && rewrite_is_over(w->rewrite)) {
        w->ends = false;
        end_flow(h, w->flow_id);
    }
    leave(w);
}

static void on_drop(struct host *h, struct stream *st, UINT64 filter_id)
{
    struct stream_wire *w = wire_of(st);

    (void)h;
    if (w == NULL)
        w = wire_late(st, pass_of(st));
    if (w == NULL)
        return;
    w->dropped_by = filter_id;
    enter(w);
    rewrite_reset(w->rewrite);
    leave(w);
}

/* Torn down by an abort, or because it was refused when it was asked again? Then both ends hear of it. */
static bool is_torn(struct host *h, UINT64 flow_id)
{
    struct lane *l = &h->lanes[0];
    const struct host_flow *f;
    bool torn;

    lane_enter(l);
    f = flow_table_by_id(l->flows, flow_id);
    torn = f != NULL && (f->marks & FLOW_MARK_TORN) != 0;
    lane_leave(l);
    return torn;
}

static void on_ended(struct host *h, struct stream *st, bool aborted)
{
    struct stream_wire *w = wire_of(st);

    if (w == NULL)
        return;
    *stream_word(st) = NULL;
    enter(w);
    if (!aborted)
        rewrite_flush(w->rewrite);
    else if (rewrite_is_on(w->rewrite) && is_torn(h, w->flow_id)) /* a search, where many end at once */
        rewrite_reset(w->rewrite);
    w->st = NULL;
    leave(w);
}

static void on_fetch(struct host *h, struct stream *const *streams, size_t count)
{
    if (h->wires == NULL) /* nothing of any of them has been looked at */
        return;
    for (size_t i = 0; i < count; i++)
        __builtin_prefetch(wire_of(streams[i]), 1);
    for (size_t i = 0; i < count; i++)
        if (wire_of(streams[i]) != NULL)
            rewrite_fetch(wire_of(streams[i])->rewrite);
}

const struct stream_sink stream_wire_sink = {
    .element = on_element,
    .settled = on_settled,
    .drop = on_drop,
    .ended = on_ended,
    .fetch = on_fetch,
};

/* ---- segments ------------------------------------------------------------------------------------------- */

static int way_of(const struct scene *s)
{
    return s->packet_direction == FWP_DIRECTION_OUTBOUND ? 0 : 1;
}

bool wire_is_none(struct stream *st)
{
    return wire_of(st) == NULL && !stream_may_edit(st);
}

void wire_note(struct scene *s, struct stream *st)
{
    const int way = way_of(s);

    st->past.number[way] = s->frame;
    rewrite_note(st->past.way, way, s->packet);
}

struct stream_wire *wire_see(struct wire_pass *pass)
{
    struct stream_wire *w = wire_of(pass->st);

    stream_past(pass->st)->number[way_of(pass->s)] = pass->s->frame;
    if (wire_is_none(pass->st)) {
        pass->lazy = may_have_wire(pass->st);
        return NULL;
    }
    if (w != NULL) {
        begin_segment(w, pass);
    } else if ((w = wire_make(pass->st)) != NULL) {
        begin_segment(w, pass);
        rewrite_resume(w->rewrite, pass->st->past.way);
    }
    return w;
}

/* The feed is of a flow without a wire. */
static void feed_lazily(struct wire_pass *pass, struct stream_wire **w, UINT32 flags, struct stream_fed *out)
{
    struct streams *all = pass->s->host->streams;

    pass->outer = all->pass;
    all->pass = pass;
    stream_feed(pass->s, pass->st, pass->dir, pass->bytes, pass->size, pass->lost, flags, out);
    all->pass = pass->outer;
    if (pass->lazy && (pass->passed != pass->size || pass->end != pass->fin))
        (void)wire_late(pass->st, pass);
    if (!pass->lazy) {
        *w = wire_of(pass->st);
        if (*w != NULL)
            rewrite_fed((*w)->rewrite, pass->dir);
        return;
    }
    pass->gone[pass->dir] += pass->lost + pass->size + pass->fin;
    pass->ended[pass->dir] = pass->ended[pass->dir] || pass->end;
    if (pass->end)
        stream_past(pass->st)->way[pass->dir].ended = true;
}

void wire_feed(struct wire_pass *pass, struct stream_wire **w, int dir, const uint8_t *bytes, uint32_t size,
               uint32_t lost, UINT32 flags, struct stream_fed *out)
{
    const bool fin = (flags & HOST_STREAM_END) != 0;

    if (*w == NULL && pass->lazy) {
        pass->dir = dir;
        pass->bytes = bytes;
        pass->size = size;
        pass->lost = lost;
        pass->fin = fin;
        pass->passed = 0;
        pass->end = false;
        feed_lazily(pass, w, flags, out);
        return;
    }
    if (*w != NULL)
        rewrite_feed((*w)->rewrite, dir, bytes, size, lost, fin);
    stream_feed(pass->s, pass->st, dir, bytes, size, lost, flags, out);
    if (*w != NULL)
        rewrite_fed((*w)->rewrite, dir);
    else if (!out->same)
        pass->s->host->wire_unchanged++;
}

bool wire_segment_slow(struct scene *s, struct stream_wire *w)
{
    const int dir = s->packet_direction == FWP_DIRECTION_OUTBOUND ? 0 : 1;
    bool rewritten;

    if (w->st != NULL && rewrite_is_ahead(w->rewrite, dir, s->packet) && stream_may_edit(w->st))
        rewrite_withhold(w->rewrite);
    rewritten = rewrite_segment(w->rewrite, dir, s->packet);
    if (rewritten)
        stream_count_rewritten(s->host);
    return rewritten;
}

void wire_done(struct stream_wire *w)
{
    if (w == NULL)
        return;
    w->scene = NULL;
    rewrite_abandon(w->rewrite);
    leave(w);
}

UINT64 wire_dropped_by(const struct stream_wire *w)
{
    return w != NULL ? w->dropped_by : 0;
}

bool wire_is_on(const struct stream_wire *w)
{
    return w != NULL && rewrite_is_on(w->rewrite);
}

bool wire_may_end(struct stream_wire *w)
{
    if (w == NULL || w->st == NULL || !rewrite_is_on(w->rewrite) || rewrite_is_over(w->rewrite) ||
        !rewrite_keeps_end(w->rewrite))
        return true;
    w->ends = true;
    return false;
}

/* ---- the host's ----------------------------------------------------------------------------------------- */

void host_rewrite_counts(struct host *h, struct host_rewrite_counts *out)
{
    const struct rewrite_counts *c = &h->wire_counts;

    *out = (struct host_rewrite_counts){.made = c->made,
                                        .again = c->again,
                                        .swallowed = c->swallowed,
                                        .evicted = c->evicted,
                                        .unwindowed = c->unwindowed,
                                        .late = c->late,
                                        .forgotten = c->forgotten,
                                        .early = c->early,
                                        .unchanged = h->wire_unchanged};
}

bool host_stream_waits(struct host *h)
{
    struct host_stream_counts counts;
    TURN_OF(&h->lanes[0]);

    host_stream_counts(h, &counts);
    if (counts.waiting != 0)
        return true;
    for (const struct stream_wire *w = h->wires; w != NULL; w = w->next)
        if (w->st != NULL && rewrite_misses(w->rewrite))
            return true;
    return false;
}

void host_stream_flush(struct host *h)
{
    struct stream_wire *w, *next;
    TURN_OF(&h->lanes[0]);

    w = h->wires;

    for (; w != NULL; w = next) {
        enter(w);
        rewrite_flush(w->rewrite);
        next = w->next;
        leave(w);
    }
}
