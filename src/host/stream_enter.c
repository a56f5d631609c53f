/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream_enter: who goes into a direction of a pipeline, and with what. One is inside at a time, but for who comes back
 * from a callout.
 *
 *   stream_enter()  fn, with the stages brought up to date; then what was fed or injected meanwhile
 *   stream_look()   one piece fed to a direction whose only stage inspects, and which keeps nothing: shown, and out. Most
 *                   streams that somebody sees are so. What the stage does not let go at once is worked on as ever
 *                   (stream_work_alone()), so that nothing that a callout can do is another thing here.
 */
#include <limits.h>

#include "host/indicate.h"
#include "host/stream_inside.h"
#include "host/walk.h"

/* ---- who is inside -------------------------------------------------------------------------------------- */

static inline void begin(struct stream_dir *d, struct stream_run *r)
{
    d->tally = (struct stream_tally){0};
    d->run = r;
    __atomic_store_n(&d->thread, rt_self(), __ATOMIC_RELAXED);
    r->host->streams->active++;
}

static inline void end(struct stream_dir *d, const struct stream_run *r)
{
    r->host->streams->active--;
    __atomic_store_n(&d->thread, 0, __ATOMIC_RELAXED);
    d->run = NULL;
}

/* What was fed or injected while somebody was inside. */
static void meanwhile(struct stream_run *r)
{
    struct stream_dir *d = &r->st->dir[r->dir];

    while ((d->inbox != NULL || d->later != NULL) && !stream_stopped(r->st)) {
        struct stream_chunk *c = d->inbox;

        d->inbox = NULL;
        d->inbox_tail = &d->inbox;
        while (c != NULL) {
            struct stream_chunk *next = c->next;

            if (d->set->count != 0) {
                stream_append(r, 0, c);
            } else {
                c->next = NULL;
                stream_out(r, c);
            }
            c = next;
        }
        if (d->set->count != 0)
            stream_work(r, 0);
        stream_later(r);
    }
}

/* ---- the general door ------------------------------------------------------------------------------------- */

struct entering {
    struct stream_run run;
    void (*fn)(struct stream_run *r, void *ctx);
    void *ctx;
    bool ok;
};

/* True: something was asked or came out; else there is nothing to tell of (a stream that only begins). */
static bool inside(void *ctx, const struct stream_question *q, struct host_answer *a)
{
    struct entering *e = ctx;
    struct stream_run *r = &e->run;
    struct stream_dir *d = &r->st->dir[r->dir];

    r->request = q->request;
    e->ok = stream_stages(r, q->snapshot, q->unknown) || d->set != NULL;
    if (!e->ok)
        return false;
    r->depends = d->set->depends;
    e->fn(r, e->ctx);
    meanwhile(r);
    a->depends = r->depends;
    if (d->tally.removed_by != 0 && d->tally.same + d->tally.injected + d->tally.marks == 0 &&
        d->waiting == 0) {
        a->verdict.action = FWP_ACTION_BLOCK;
        a->verdict.filter_id = d->tally.removed_by;
    }
    return r->asked || d->tally.runs + d->tally.holes + d->tally.marks != 0 || d->tally.removed_by != 0;
}

bool stream_enter(struct scene *s, struct stream *st, int dir, void (*fn)(struct stream_run *r, void *ctx),
                  void *ctx, bool *depends)
{
    struct host *h = s->host;
    struct stream_dir *d = &st->dir[dir];
    struct entering e = {
        .run = {.host = h, .st = st, .dir = dir, .s = s, .asking = UINT_MAX}, .fn = fn, .ctx = ctx};
    const FWP_DIRECTION way = s->packet_direction;

    s->packet_direction = dir == 0 ? FWP_DIRECTION_OUTBOUND : FWP_DIRECTION_INBOUND;
    begin(d, &e.run);
    indicate_stream(s, inside, &e);
    end(d, &e.run);
    s->packet_direction = way;
    if (depends != NULL)
        *depends = e.run.depends;
    return e.ok;
}

/* ---- one piece for who only looks ------------------------------------------------------------------------- */

void stream_look_prepare(struct host *h)
{
    struct streams *all = h->streams;

    all->look_flow.context = ale_flow_context;
    all->look = (struct engine_request){.flow = &all->look_flow,
                                        .assumptions = h->config.assumptions,
                                        .assumption_count = h->config.assumption_count,
                                        .irql = DISPATCH_LEVEL};
}

/* Who hears of more than decisions hears of each piece; a classification in another one has values of its own. */
static inline bool is_common(const struct scene *s, const struct stream_dir *d)
{
    const struct host_config *c = &s->host->config;

    return d->set != NULL && d->set->inspects && d->places->head == NULL && d->places->waits == STREAM_GOES &&
           !d->places->allowed && !d->ended && s->lane->scratch->level == 0 && s->turns == NULL &&
           c->knobs.split_list == 0 && !c->knobs.long_way &&
           (c->observer.classified == NULL || c->observer.decisions_only);
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
    q->classify_context = s->options != NULL            ? (const void *)s->options
                          : s->classify_context != NULL ? s->classify_context
                                                        : (const void *)s;
    return true;
}

static inline void look(struct scene *s, struct stream *st, int dir, struct stream_chunk *c)
{
    struct streams *all = s->host->streams;
    struct stream_dir *d = &st->dir[dir];
    struct stream_run r = {
        .host = s->host, .st = st, .dir = dir, .s = s, .request = &all->look, .asking = UINT_MAX};

    all->looked++;
    begin(d, &r);
    stream_work_alone(&r, c);
    if (__builtin_expect(d->inbox != NULL || d->later != NULL, 0))
        meanwhile(&r);
    end(d, &r);
}

bool stream_look(struct scene *s, struct stream *st, int dir, const uint8_t *bytes, uint32_t size,
                 UINT32 flags)
{
    const UINT32 mark = flags & (HOST_STREAM_END | HOST_STREAM_ABORT);
    const UINT16 layer = layer_id(LAYER_ST, s->version);
    const FWP_DIRECTION way = s->packet_direction;
    struct host *h = s->host;
    struct lane *l = s->lane;
    struct stream_dir *d = &st->dir[dir];
    const struct engine_snapshot *snapshot;
    struct stream_chunk *c;
    bool stayed, looked;

    if (!is_common(s, d) || (size != 0) == (mark != 0) || (mark & (mark - 1)) != 0)
        return false;
    stayed = lane_rest(l);
    snapshot = engine_pin(l->reader);
    l->scratch->level++;
    s->packet_direction = dir == 0 ? FWP_DIRECTION_OUTBOUND : FWP_DIRECTION_INBOUND;
    looked = d->version == engine_snapshot_layer_version(snapshot, layer) &&
             d->generation == engine_callout_generation(h->config.engine) && describe(s, layer) &&
             (c = size != 0 ? stream_chunks_fed(h, bytes, size, flags) : stream_mark_fed(h, mark)) != NULL;
    if (looked)
        look(s, st, dir, c);
    s->packet_direction = way;
    l->scratch->level--;
    engine_unpin(l->reader);
    lane_back(l, stayed);
    return looked;
}
