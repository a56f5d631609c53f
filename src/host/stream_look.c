/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream_look: one piece fed to a direction whose only stage inspects, and which keeps nothing: shown, and out. Most
 * streams that somebody sees are so.
 *
 *   stream_look() --> the place's queue, of this one --stream_call()--> lets_go() --> the sink, and used again
 *                                                          |
 *                                                          +--> stream_answered_alone(): as ever
 *
 * It is the straight way of what stream_enter() and stream_work() do, step by step the same, so that whoever comes back in
 * from the callout finds everything as there; what the stage does not let go at once is worked on as ever. So nothing that a
 * callout can do is another thing here (tests/unit/stream_look.c holds the two against each other).
 */
#include "host/indicate.h"
#include "host/stream_inside.h"
#include "host/walk.h"

void stream_look_prepare(struct host *h)
{
    struct streams *all = h->streams;
    const struct host_config *c = &h->config;

    /* Who hears of more than decisions hears of each piece; so does, of what depends, who is not content with less. */
    all->looks = c->knobs.split_list == 0 && !c->knobs.long_way &&
                 (c->observer.classified == NULL || c->observer.decisions_only);
    all->looks_unsure = all->looks && (c->observer.classified == NULL || c->observer.repeated != NULL);
    all->look_flow.context = ale_flow_context;
    all->look = (struct engine_request){.flow = &all->look_flow,
                                        .assumptions = c->assumptions,
                                        .assumption_count = c->assumption_count,
                                        .irql = DISPATCH_LEVEL};
}

/* A classification in another one has values of its own. */
static inline bool is_common(const struct scene *s, const struct stream_dir *d)
{
    const struct streams *all = s->host->streams;

    return d->set != NULL && d->set->inspects &&
           (stream_set_unsure(d->set) ? all->looks_unsure : all->looks) && d->places->head == NULL &&
           d->places->waits == STREAM_GOES && !d->places->allowed && !d->ended &&
           s->lane->scratch->level == 0 && s->turns == NULL;
}

/* What the callout sees beside the data. False: no memory. */
static inline bool describe(struct scene *s, UINT16 layer)
{
    struct streams *all = s->host->streams;
    struct engine_request *q = &all->look;
    struct kept *k = inspect_stream_values(s, layer);

    if (k == NULL)
        return false;
    s->layer_data = NULL;
    all->look_flow.ctx = s;
    q->values = &k->values;
    q->metadata = &k->metadata;
    q->pended = s->pended;
    q->classify_context = scene_classify_context(s);
    return true;
}

/* stream_append() and stream_pop(), of a place that has nothing else. */
static inline void put(struct stream_run *r, struct stream_dir *d, struct stream_chunk *c)
{
    struct stream_place *p = d->places;

    p->head = c;
    p->tail = &c->next;
    p->chunks = 1;
    p->bytes = c->size;
    d->waiting = c->size;
    stream_count(&r->host->streams->counts.waiting, c->size);
    if (c->kind == STREAM_MARK) {
        p->marked = true;
        p->closes = p->closes || (c->flags & HOST_STREAM_ABORT) != 0;
    }
}

static inline void take(struct stream_run *r, struct stream_dir *d, struct stream_chunk *c)
{
    struct stream_place *p = d->places;

    p->head = NULL;
    p->tail = &p->head;
    p->chunks = 0;
    p->bytes = 0;
    d->waiting = 0;
    stream_count(&r->host->streams->counts.waiting, (UINT64) - (INT64)c->size);
    p->ended = p->ended || c->kind == STREAM_MARK;
}

/* stream_out(), of a direction that has not ended. */
static inline void out(struct stream_run *r, struct stream_dir *d, struct stream_chunk *c)
{
    struct streams *all = r->host->streams;
    const struct stream_sink *sink = r->host->stream_sink;
    const bool data = c->kind == STREAM_DATA;
    const struct stream_element e = {.bytes = data ? c->store->bytes : NULL,
                                     .size = c->size,
                                     .span = c->span,
                                     .same = data,
                                     .flags = c->flags};

    r->tally->same += c->size;
    stream_count(&all->counts.passed, c->size);
    r->tally->runs += data;
    r->tally->marks += !data;
    d->ended = !data;
    if (sink != NULL && sink->element != NULL)
        sink->element(r->host, r->st, r->dir, &e);
    stream_chunk_done(all, c);
}

/* Has the stage let go what it was asked about, and did nothing else happen there? */
static inline bool lets_go(const struct stream_run *r, const struct stream_dir *d,
                           const struct stream_chunk *c, const struct stream_shown *shown,
                           enum engine_stage_answer answer)
{
    const FWPS_STREAM_CALLOUT_IO_PACKET0 *io = &shown->io;

    return answer == ENGINE_STAGE_ASKED && io->streamAction == FWPS_STREAM_ACTION_NONE &&
           io->countBytesRequired == 0 &&
           (io->countBytesEnforced == 0 || io->countBytesEnforced == shown->size) && d->places->head == c &&
           c->next == NULL && !d->ended && !stream_stopped(r->st);
}

/* As stream_enter() has it told by indicate(); who listens is content with less (looks_unsure). */
static __attribute__((noinline)) void tell_unsure(const struct scene *s, UINT16 layer)
{
    const struct host_observer *o = &s->host->config.observer;
    const struct host_answer answer = {.verdict = {.action = FWP_ACTION_PERMIT,
                                                   .rights = FWPS_RIGHT_ACTION_WRITE,
                                                   .flags = ENGINE_VERDICT_IMPLICIT},
                                       .depends = true};

    if (o->classified != NULL)
        o->repeated(o->ctx, engine_layer_by_id(layer), &answer, s->flow_id);
}

/* True: straight. */
static inline bool look(struct scene *s, struct stream *st, int dir, struct stream_chunk *c,
                        struct stream_tally *came)
{
    struct streams *all = s->host->streams;
    struct stream_dir *d = &st->dir[dir];
    const bool mark = c->kind == STREAM_MARK;
    enum engine_stage_answer answer = ENGINE_STAGE_NOT_ASKED;
    FWPS_CLASSIFY_OUT0 answers;
    struct stream_shown shown;
    struct stream_run r;
    bool showed, straight = false;

    all->looked++;
    stream_run_make(&r, s, st, dir, &all->look, came);
    stream_run_begin(d, &r);
    came->depends = stream_set_unsure(d->set);
    put(&r, d, c);
    answers.actionType = 0;
    answers.outContext = answers.filterId = 0;
    answers.rights = FWPS_RIGHT_ACTION_WRITE;
    answers.reserved = 0;
    answers.flags = mark || d->places->closes ? FWPS_CLASSIFY_OUT_FLAG_NO_MORE_DATA : 0;
    showed = stream_show_one(&r, c, d->places->missed, &shown);
    if (showed)
        answer = stream_call(&r, 0, &shown, &answers);
    if (__builtin_expect(showed && lets_go(&r, d, c, &shown, answer), 1)) {
        d->places->missed = 0;
        ndis_slice_list(c->slice)->Next = NULL;
        take(&r, d, c);
        out(&r, d, c);
        straight = !r.put && !st->dropped;
    } else {
        stream_answered_alone(&r, mark, showed ? &shown : NULL, answer, &answers, answers.flags);
    }
    if (__builtin_expect(d->inbox != NULL || d->later != NULL, 0)) {
        stream_meanwhile(&r);
        straight = false;
    }
    stream_run_end(d, &r);
    return straight;
}

enum stream_looked stream_look(struct scene *s, struct stream *st, int dir, const uint8_t *bytes,
                               uint32_t size, UINT32 flags, struct stream_tally *came)
{
    const UINT32 mark = flags & (HOST_STREAM_END | HOST_STREAM_ABORT);
    const UINT16 layer = layer_id(LAYER_ST, s->version);
    const FWP_DIRECTION way = s->packet_direction;
    struct host *h = s->host;
    struct lane *l = s->lane;
    struct stream_dir *d = &st->dir[dir];
    const struct engine_snapshot *snapshot;
    struct stream_chunk *c;
    enum stream_looked looked = STREAM_LOOKED_NOT;
    bool stayed;

    if (!is_common(s, d) || (size != 0) == (mark != 0) || (mark & (mark - 1)) != 0)
        return STREAM_LOOKED_NOT;
    stayed = lane_rest(l);
    snapshot = engine_pin(l->reader);
    l->scratch->level++;
    s->packet_direction = dir == 0 ? FWP_DIRECTION_OUTBOUND : FWP_DIRECTION_INBOUND;
    if (d->version == engine_snapshot_layer_version(snapshot, layer) &&
        d->generation == engine_callout_generation(h->config.engine) && describe(s, layer) &&
        (c = size != 0 ? stream_chunks_fed(h, bytes, size, flags) : stream_mark_fed(h, mark)) != NULL)
        looked = look(s, st, dir, c, came) ? STREAM_LOOKED_STRAIGHT : STREAM_LOOKED;
    if (__builtin_expect(looked != STREAM_LOOKED_NOT && came->depends, 0))
        tell_unsure(s, layer);
    s->packet_direction = way;
    l->scratch->level--;
    engine_unpin(l->reader);
    lane_back(l, stayed);
    return looked;
}
