/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream: streams' life, and the door by which bytes come in (stream.h).
 *
 *   stream_of() -> no callout filter matches: NULL, remembered until policy or callouts change
 *        +-> struct stream --stream_feed()--> stage 0 ... --> sink            --stream_end()--> dead --> reaped
 *
 * A stream is made, fed and freed by who has the turn; stream_table.c says who finds it, and how.
 * It ends when its flow does: what waits in it is shown once more, unless the flow was aborted (ALE-19), and goes
 * on; then the sink hears of its end. From then on nothing is called for it. Its memory goes when nobody is in a
 * pipeline and no injection refers to it.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "host/ale_inside.h"
#include "host/stream_inside.h"
#include "host/walk.h"

#define SLAB 64u /* streams */

int streams_create(struct host *h)
{
    struct streams *all = calloc(1, sizeof(*all));

    if (all == NULL)
        return -ENOMEM;
    h->streams = all;
    stream_look_prepare(h);
    return rt_mutex_create(&all->lock);
}

/* ---- memory */

/* Side by side, for as long as the host lives: there are never more than there were flows at a time, whose table does not
 * shrink either. */
struct stream_slab {
    struct stream streams[SLAB];
    struct stream_slab *next;
};

static void give_back(struct streams *all, struct stream *st)
{
    st->chain = all->spare_streams;
    all->spare_streams = st;
}

static bool more_streams(struct streams *all)
{
    struct stream_slab *slab = aligned_alloc(_Alignof(struct stream_slab), sizeof(*slab));

    if (slab == NULL)
        return false;
    slab->next = all->slabs;
    all->slabs = slab;
    for (UINT32 i = SLAB; i-- > 0;)
        give_back(all, &slab->streams[i]);
    return true;
}

/* Zeroed. The next one, whose turn comes some flows later, is fetched meanwhile. NULL: no memory. */
static struct stream *a_free_one(struct streams *all)
{
    struct stream *st;
    const char *next;

    if (all->spare_streams == NULL && !more_streams(all))
        return NULL;
    st = all->spare_streams;
    all->spare_streams = st->chain;
    next = (const char *)st->chain;
    for (size_t n = 0; next != NULL && n < sizeof(*st); n += 64)
        __builtin_prefetch(next + n, 1);
    memset(st, 0, sizeof(*st));
    return st;
}

static void slabs_free(struct streams *all)
{
    while (all->slabs != NULL) {
        struct stream_slab *slab = all->slabs;

        all->slabs = slab->next;
        free(slab);
    }
}

/* ---- life */

static void free_queue(struct stream *st, struct stream_chunk *c)
{
    while (c != NULL) {
        struct stream_chunk *next = c->next;

        stream_chunk_free(c);
        c = next;
    }
    (void)st;
}

static void clear_dir(struct stream *st, int dir)
{
    struct streams *all = st->host->streams;
    struct stream_dir *d = &st->dir[dir];
    struct stream_run r = {.host = st->host, .st = st, .dir = dir, .asking = UINT_MAX};

    for (UINT32 i = 0; d->set != NULL && i < d->set->count; i++) {
        struct stream_place *p = &d->places[i];

        if (p->waits == STREAM_DEFERS)
            stream_owe(&r, i, false);
        free_queue(st, p->head);
        p->head = NULL;
        p->tail = &p->head;
    }
    stream_count(&all->counts.waiting, (UINT64) - (INT64)d->waiting);
    stream_count(&all->counts.lost, d->waiting);
    d->waiting = 0;
    free_queue(st, stream_inbox_take(d));
    stream_drop_later(d);
}

static void stream_free(struct stream *st)
{
    struct streams *all = st->host->streams;

    for (int dir = 0; dir < 2; dir++) {
        struct stream_dir *d = &st->dir[dir];

        clear_dir(st, dir);
        stream_count(&all->counts.memory, (UINT64) - (INT64)stream_places_size(d));
        stream_set_unref(all, d->set);
        stream_places_free(d, d->places);
    }
    stream_count(&all->counts.memory, (UINT64) - (INT64)sizeof(*st));
    if (!st->none)
        stream_count(&all->counts.streams, (UINT64)-1);
    if (st->allows) /* it is in a line that nothing else needs now */
        free(st->allowed);
    give_back(all, st);
}

/* The sink hears of the end once. */
static void tell_ended(struct stream *st)
{
    const struct stream_sink *sink = st->host->stream_sink;

    if (!st->told && !st->none && sink != NULL && sink->ended != NULL)
        sink->ended(st->host, st, st->aborted);
    st->told = true;
}

void streams_reap_slow(struct host *h)
{
    struct streams *all = h->streams;
    struct stream *st, *due = NULL, **at;

    rt_mutex_lock(all->lock);
    for (at = &all->dead; (st = *at) != NULL;) {
        if (st->inside != 0) {
            at = &st->chain;
            continue;
        }
        *at = st->chain;
        st->chain = due;
        due = st;
    }
    rt_mutex_unlock(all->lock);
    while ((st = due) != NULL) {
        due = st->chain;
        tell_ended(st);
        stream_free(st);
    }
}

void streams_destroy(struct host *h)
{
    struct streams *all = h->streams;

    if (all == NULL)
        return;
    for (UINT32 i = 0; i < all->bucket_count; i++)
        while (all->buckets[i] != NULL) {
            all->buckets[i]->aborted = true;
            stream_table_take(all, all->buckets[i]);
        }
    while (all->dead != NULL) {
        struct stream *st = all->dead;

        all->dead = st->chain;
        tell_ended(st);
        stream_free(st);
    }
    stream_spares_free(all);
    slabs_free(all);
    stream_table_free(all);
    free(all->since);
    if (all->lock != NULL)
        rt_mutex_destroy(all->lock);
    free(all);
    h->streams = NULL;
}

/* The scene of a stream without a packet: what its first one was, and its flow and endpoint as they are. */
void stream_scene(struct stream *st, int dir, struct scene *s)
{
    struct lane *l = &st->host->lanes[0];
    struct host_flow *f;

    memset(s, 0, sizeof(*s));
    s->host = st->host;
    s->lane = l;
    s->time_ns = st->host->now_ns;
    s->version = st->version;
    s->protocol = WIRE_PROTOCOL_TCP;
    s->local = st->local;
    s->remote = st->remote;
    s->local_port = st->local_port;
    s->remote_port = st->remote_port;
    s->interface = st->interface;
    s->home = st->home;
    s->loopback = st->loopback;
    s->connection_direction = (FWP_DIRECTION)st->connection_direction;
    s->packet_direction = dir == 0 ? FWP_DIRECTION_OUTBOUND : FWP_DIRECTION_INBOUND;
    s->flow_id = st->id;
    lane_enter(l);
    f = ale_flow_at(l, st->slot, st->id);
    if (f != NULL) {
        s->flow = f;
        s->endpoint = ale_endpoint_at(l, f->endpoint);
    }
    lane_leave(l);
}

/* NULL: no memory, or another thread has ended its flow. */
static struct stream *make(struct scene *s)
{
    struct streams *all = s->host->streams;
    struct stream *st = a_free_one(all);
    UINT64 version, generation;

    if (st == NULL)
        return NULL;
    st->host = s->host;
    st->id = s->flow_id;
    st->version = s->version;
    st->local = s->local;
    st->remote = s->remote;
    st->local_port = s->local_port;
    st->remote_port = s->remote_port;
    st->interface = s->interface;
    st->home = s->home;
    st->loopback = s->loopback;
    st->connection_direction = (uint8_t)s->connection_direction;
    st->none = true;
    st->slot = flow_table_slot(s->lane->flows, s->flow);
    stream_count(&all->counts.memory, sizeof(*st));
    version = engine_version(st->host->config.engine);
    generation = engine_callout_generation(st->host->config.engine);
    if (stream_stages_common(st, version, generation)) {
        st->seen = version;
        st->seen_generation = generation;
        st->staged = true;
        st->none = !st->dir[0].set->asks;
        stream_count(&all->counts.streams, !st->none);
    }
    if (!stream_table_put(s, st)) {
        stream_free(st);
        return NULL;
    }
    return st;
}

static void nothing(struct stream_run *r, void *ctx)
{
    (void)r;
    (void)ctx;
}

/* Can the stages of both directions be others than they were? */
static inline bool is_renewed(const struct host *h, const struct stream *st)
{
    return st->staged && st->seen == engine_version(h->config.engine) &&
           st->seen_generation == engine_callout_generation(h->config.engine);
}

/* False: no memory. */
static __attribute__((noinline)) bool renew(struct scene *s, struct stream *st)
{
    struct host *h = s->host;
    const UINT64 version = engine_version(h->config.engine);
    const UINT64 generation = engine_callout_generation(h->config.engine);

    for (int dir = 0; dir < 2; dir++)
        if (st->dir[dir].run == NULL && !stream_enter(s, st, dir, nothing, NULL, NULL))
            return false;
    st->seen = version;
    st->seen_generation = generation;
    st->staged = st->dir[0].set != NULL; /* NULL: somebody is inside who has not got so far */
    if (st->none && (st->dir[0].set->asks || st->dir[1].set->asks)) {
        rt_mutex_lock(h->streams->lock);
        st->none = false;
        rt_mutex_unlock(h->streams->lock);
        stream_count(&h->streams->counts.streams, 1);
    }
    return true;
}

/* It is not there, or is to be looked at: st, NULL: none. */
static __attribute__((noinline)) struct stream *stream_of_slow(struct scene *s, struct stream *st)
{
    struct host *h = s->host;
    struct streams *all = h->streams;

    if (st == NULL && indicate_stream_asks(s))
        st = make(s);
    if (st == NULL || (!is_renewed(h, st) && !renew(s, st)))
        return NULL;
    if (all->joined) { /* STR-28 */
        all->joined = false;
        host_reauthorize(h, FWP_CONDITION_REAUTHORIZE_REASON_MID_STREAM_INSPECTION);
    }
    return st->none ? NULL : st;
}

struct stream *stream_of(struct scene *s)
{
    struct host *h = s->host;
    struct streams *all = h->streams;
    struct stream *st;

    if (!streams_any(h) && !indicate_stream_asks(s))
        return NULL;
    streams_reap(h);
    st = stream_of_flow(all, flow_table_slot(s->lane->flows, s->flow), s->flow_id);
    if (__builtin_expect(st == NULL || !is_renewed(h, st) || all->joined, 0))
        return stream_of_slow(s, st);
    return st->none ? NULL : st;
}

UINT64 stream_flow(const struct stream *st)
{
    return st->id;
}

bool stream_may_edit(const struct stream *st)
{
    return st->edits != 0;
}

struct stream_past *stream_past(struct stream *st)
{
    return &st->past;
}

void **stream_word(struct stream *st)
{
    return &st->word;
}

void host_stream_counts(struct host *h, struct host_stream_counts *out)
{
    const UINT64 *from = (const UINT64 *)&h->streams->counts;
    UINT64 *to = (UINT64 *)out;

    _Static_assert(sizeof(*out) % sizeof(UINT64) == 0, "all of them are counters");
    for (size_t i = 0; i < sizeof(*out) / sizeof(UINT64); i++)
        to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
    out->memory += out->waiting;
}

void stream_count_rewritten(struct host *h)
{
    stream_count(&h->streams->counts.rewritten, 1);
}

/* ---- feeding */

struct feed {
    const uint8_t *bytes;
    uint32_t size, lost;
    UINT32 flags;
    bool no_memory;
};

static struct stream_chunk *hole(uint32_t span)
{
    struct stream_chunk *c = calloc(1, sizeof(*c));

    if (c != NULL) {
        c->kind = STREAM_HOLE;
        c->span = span;
        c->lost = true;
    }
    return c;
}

/* What is fed, as chunks. NULL: nothing, or no memory (*failed). */
static struct stream_chunk *chunks_of(struct host *h, const struct feed *f, bool edits, bool *failed)
{
    struct stream_chunk *first = NULL, **end = &first;
    const UINT32 marks[2] = {f->flags & HOST_STREAM_END, f->flags & HOST_STREAM_ABORT};

    *failed = true;
    if (f->lost != 0) {
        if ((*end = hole(f->lost)) == NULL)
            goto fail;
        end = &(*end)->next;
    }
    if (f->size != 0) {
        *end = edits ? stream_chunks(h, f->bytes, f->size, true, f->flags)
                     : stream_chunks_fed(h, f->bytes, f->size, f->flags);
        if (*end == NULL)
            goto fail;
        while (*end != NULL)
            end = &(*end)->next;
    }
    for (int i = 0; i < 2; i++) {
        if (marks[i] == 0)
            continue;
        if ((*end = edits ? stream_mark(h, marks[i]) : stream_mark_fed(h, marks[i])) == NULL)
            goto fail;
        end = &(*end)->next;
    }
    *failed = false;
    return first;
fail:
    while (first != NULL) {
        struct stream_chunk *next = first->next;

        stream_chunk_free(first);
        first = next;
    }
    return NULL;
}

/* Nobody wants to see it: from the source to the sink without a copy. */
static void straight(struct stream_run *r, const struct feed *f)
{
    const struct stream_sink *sink = r->host->stream_sink;
    struct stream_dir *d = &r->st->dir[r->dir];
    struct stream_tally *t = r->tally;
    const UINT32 ends = f->flags & (HOST_STREAM_END | HOST_STREAM_ABORT);
    struct stream_element e[3] = {
        {.span = f->lost, .lost = true},
        {.bytes = f->bytes, .size = f->size, .span = f->size, .same = true, .flags = f->flags & ~ends},
        {.flags = ends},
    };

    if (d->ended) { /* a callout had ended it: as stream_out() */
        e[1] = (struct stream_element){.span = f->size};
        e[2].flags &= HOST_STREAM_ABORT;
        stream_count(&r->host->streams->counts.late, f->size);
    }
    for (int i = 0; i < 3; i++)
        if ((e[i].span != 0 || (i == 2 && e[i].flags != 0)) && sink != NULL && sink->element != NULL)
            sink->element(r->host, r->st, r->dir, &e[i]);
    t->same += e[1].size;
    t->runs += e[1].size != 0;
    t->holes += (f->lost != 0) + (e[1].size != f->size);
    t->marks += ((ends & HOST_STREAM_END) != 0) + ((ends & HOST_STREAM_ABORT) != 0);
    d->ended = d->ended || ends != 0;
    stream_count(&r->host->streams->counts.passed, e[1].size);
}

static void feed_in(struct stream_run *r, void *ctx)
{
    const struct stream_dir *d = &r->st->dir[r->dir];
    const struct feed *f = ctx;
    struct stream_chunk *c;
    bool failed;

    if (d->set->count == 0) {
        straight(r, f);
        return;
    }
    c = chunks_of(r->host, f, d->set->edits, &failed);
    if (failed) { /* it cannot be shown; it is not lost, though what waits is overtaken */
        stream_count(&r->host->streams->counts.limited, 1);
        straight(r, f);
        return;
    }
    while (c != NULL) {
        struct stream_chunk *next = c->next;

        stream_append(r, 0, c);
        c = next;
    }
    stream_work(r, 0);
}

static void report_fed(const struct stream *st, int dir, const struct feed *f, const struct stream_tally *t,
                       struct stream_fed *out)
{
    const struct stream_dir *d = &st->dir[dir];
    const UINT32 marks = ((f->flags & HOST_STREAM_END) != 0) + ((f->flags & HOST_STREAM_ABORT) != 0);

    out->dropped = st->dropped;
    out->waiting = d->waiting;
    out->same = !st->dropped && d->waiting == 0 && t->same == f->size && t->injected == 0 &&
                t->removed == 0 && t->removed_by == 0 && t->holes == (f->lost != 0) && t->marks == marks;
    if (out->same)
        return;
    if ((f->size != 0 || marks != 0) && d->waiting == 0 && t->removed_by != 0 && !t->several &&
        t->same + t->injected + t->marks == 0 && !st->dropped)
        out->removed_by = t->removed_by;
    for (UINT32 i = 0; out->removed_by != 0 && i < d->set->count; i++)
        if (d->set->stages[i].filter_id == out->removed_by)
            out->callout = d->set->stages[i].callout;
}

/* Somebody is inside, on this very thread: from a callout, or the sink. */
static void feed_later(struct host *h, struct stream_dir *d, const struct feed *f, struct stream_fed *out)
{
    bool failed;

    stream_inbox_put(d, chunks_of(h, f, true, &failed));
    out->waiting = d->waiting + f->size;
}

static __attribute__((noinline)) void feed_as_ever(struct scene *s, struct stream *st, int dir,
                                                   const struct feed *f, struct stream_fed *out)
{
    struct stream_tally came;
    bool entered;

    if (st->dir[dir].run != NULL) {
        feed_later(s->host, &st->dir[dir], f, out);
        return;
    }
    entered = stream_enter(s, st, dir, feed_in, (void *)f, &came);
    out->depends = came.depends;
    if (entered)
        report_fed(st, dir, f, &came, out);
}

void stream_feed(struct scene *s, struct stream *st, int dir, const uint8_t *bytes, uint32_t size,
                 uint32_t lost, UINT32 flags, struct stream_fed *out)
{
    const struct feed f = {.bytes = bytes, .size = size, .lost = lost, .flags = flags};
    struct stream_dir *d = &st->dir[dir];
    struct stream_tally came;

    *out = (struct stream_fed){.dropped = st->dropped};
    if (st->dropped || st->gone || (d->closed && (flags & HOST_STREAM_ABORT) == 0))
        return; /* behind its end nothing is of the stream */
    d->closed = d->closed || (flags & (HOST_STREAM_END | HOST_STREAM_ABORT)) != 0;
    switch (lost == 0 && d->run == NULL ? stream_look(s, st, dir, bytes, size, flags, &came)
                                        : STREAM_LOOKED_NOT) {
    case STREAM_LOOKED_STRAIGHT:
        out->depends = came.depends;
        out->same = true;
        break;
    case STREAM_LOOKED:
        out->depends = came.depends;
        report_fed(st, dir, &f, &came, out);
        break;
    case STREAM_LOOKED_NOT:
        feed_as_ever(s, st, dir, &f, out);
        break;
    }
}

/* ---- the end */

/* What waits is shown once more: nothing comes behind it, and nothing can be deferred (STR-33). */
static void flush(struct stream_run *r, void *ctx)
{
    struct stream_dir *d = &r->st->dir[r->dir];

    (void)ctx;
    if (d->waiting != 0)
        stream_count(&r->host->streams->counts.handed, 1);
    for (UINT32 i = 0; i < d->set->count; i++)
        d->places[i].marked = d->places[i].closes = true;
    for (UINT32 i = d->set->count; i-- > 0;)
        stream_work(r, i);
}

bool stream_holds(const struct stream_dir *d)
{
    for (UINT32 i = 0; d->set != NULL && i < d->set->count; i++)
        if (d->places[i].head != NULL)
            return true;
    return false;
}

/* Both ways, as far as something waits. */
static void flush_all(struct stream *st)
{
    struct scene s;

    for (int dir = 0; !st->dropped && dir < 2; dir++)
        if (st->dir[dir].run == NULL && stream_holds(&st->dir[dir])) {
            stream_scene(st, dir, &s);
            (void)stream_enter(&s, st, dir, flush, NULL, NULL);
        }
}

void stream_end(struct host *h, UINT32 slot, UINT64 flow_id, bool aborted)
{
    struct streams *all = h->streams;
    struct stream *st;
    bool mine;

    if (__atomic_load_n(&all->count, __ATOMIC_RELAXED) == 0)
        return;
    mine = turn_is_mine(&h->lanes[0]);
    rt_mutex_lock(all->lock);
    st = stream_of_flow(all, slot, flow_id);
    for (int dir = 0; st != NULL && dir < 2; dir++) /* all of it will be looked at, one after the other */
        stream_fetch(st, dir, true);
    if (st != NULL && mine && !aborted && (stream_holds(&st->dir[0]) || stream_holds(&st->dir[1]))) {
        st->inside++;
        rt_mutex_unlock(all->lock);
        flush_all(st);
        rt_mutex_lock(all->lock);
        st->inside--;
    }
    if (st != NULL && !st->gone) {
        stream_table_take(all, st);
        st->aborted = aborted;
        __atomic_store_n(&st->gone, true, __ATOMIC_RELEASE);
    }
    rt_mutex_unlock(all->lock);
    if (mine)
        streams_reap(h);
}
