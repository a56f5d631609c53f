/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream_table: where streams are found.
 *
 *   a segment   its flow's slot  --of[slot]-----> struct stream    who has the turn: no lookup, no lock
 *   an injection, a flow's end   --buckets[id]--> struct stream    any thread, under the lock
 *   frames that come soon        --of[slot]-----> what their segments will touch, into the caches
 *
 * The flow leads to its stream; of[] is a word that each flow has beside it. (In struct host_flow there is no room: a flow
 * costs at most 128 bytes, with its buckets. And a host without streams has none of these.) A word belongs to the flow that has
 * the slot. It is set when the flow's stream is made, while the flow is known to live, and cleared by stream_end(), which comes
 * before the slot is given up, on whatever thread that is; so what it says is of this flow or NULL. Who is not held up by the
 * lane may all the same ask about a flow that has just gone: therefore the id is compared, in the line that is needed anyway.
 *
 * The stream owns itself as long as it is here, and belongs to streams.dead from then on. What of[] led to may be used by who
 * has the turn until he reaps, though another thread ends the flow meanwhile: stream_stopped() says so then. Only who has the
 * turn lets of[] grow, so he reads it without the lock.
 */
#include <stdlib.h>
#include <string.h>

#include "host/ale_inside.h"
#include "host/paths.h"
#include "host/stream_inside.h"
#include "host/walk.h"

#define BUCKETS_FIRST 64u
#define WORDS_FIRST   256u

/* ---- by its flow's id */

/* Flows' ids are counted up: of those that live side by side each has a bucket of its own, next to its neighbour's. */
static struct stream **bucket(const struct streams *all, UINT64 id)
{
    return &all->buckets[id & (all->bucket_count - 1)];
}

/* The lock is held. */
static struct stream *find(const struct streams *all, UINT64 id)
{
    struct stream *st = all->bucket_count != 0 ? *bucket(all, id) : NULL;

    while (st != NULL && st->id != id)
        st = st->chain;
    return st;
}

static bool grow(struct streams *all)
{
    const UINT32 before = all->bucket_count, count = before != 0 ? before * 2 : BUCKETS_FIRST;
    struct stream **old = all->buckets, **heads;

    if (all->count < before)
        return true;
    heads = calloc(count, sizeof(struct stream *));
    if (heads == NULL)
        return before != 0;
    all->buckets = heads;
    all->bucket_count = count;
    for (UINT32 i = 0; i < before; i++)
        while (old[i] != NULL) {
            struct stream *st = old[i];

            old[i] = st->chain;
            st->chain = *bucket(all, st->id);
            *bucket(all, st->id) = st;
        }
    free(old);
    return true;
}

struct stream *stream_hold(struct host *h, UINT64 flow_id)
{
    struct streams *all = h->streams;
    struct stream *st;

    rt_mutex_lock(all->lock);
    st = find(all, flow_id);
    if (st != NULL && (st->none || __atomic_load_n(&st->dropped, __ATOMIC_RELAXED)))
        st = NULL;
    if (st != NULL)
        st->inside++;
    rt_mutex_unlock(all->lock);
    return st;
}

void stream_let(struct stream *st)
{
    struct streams *all = st->host->streams;

    rt_mutex_lock(all->lock);
    st->inside--;
    rt_mutex_unlock(all->lock);
}

struct stream *stream_find(struct host *h, UINT64 flow_id)
{
    struct streams *all = h->streams;
    struct stream *st;

    if (!streams_any(h))
        return NULL;
    rt_mutex_lock(all->lock);
    st = find(all, flow_id);
    rt_mutex_unlock(all->lock);
    return st != NULL && !st->none ? st : NULL;
}

/* ---- by its flow */

/* Room for the word of this slot. False: no memory. */
static bool widen(struct streams *all, UINT32 slot)
{
    UINT64 count = all->of_count != 0 ? all->of_count : WORDS_FIRST;
    struct stream **of;

    if (slot < all->of_count)
        return true;
    while (count <= slot)
        count *= 2;
    of = realloc(all->of, count * sizeof(*of));
    if (of == NULL)
        return false;
    memset(of + all->of_count, 0, (count - all->of_count) * sizeof(*of));
    all->of = of;
    all->of_count = count;
    return true;
}

/* ---- in and out */

bool stream_table_put(const struct scene *s, struct stream *st)
{
    struct streams *all = st->host->streams;
    bool ok;

    lane_enter(s->lane); /* the flow does not go before its word is there */
    ok = s->flow->id == st->id && (s->flow->marks & FLOW_MARK_GONE) == 0;
    rt_mutex_lock(all->lock);
    ok = ok && grow(all) && widen(all, st->slot);
    if (ok) {
        st->chain = *bucket(all, st->id);
        *bucket(all, st->id) = st;
        __atomic_store_n(&all->of[st->slot], st, __ATOMIC_RELAXED);
        __atomic_store_n(&all->count, all->count + 1, __ATOMIC_RELAXED);
    }
    rt_mutex_unlock(all->lock);
    lane_leave(s->lane);
    return ok;
}

void stream_table_take(struct streams *all, struct stream *st)
{
    struct stream **at = bucket(all, st->id);

    while (*at != st)
        at = &(*at)->chain;
    *at = st->chain;
    __atomic_store_n(&all->of[st->slot], NULL, __ATOMIC_RELAXED);
    st->chain = all->dead;
    __atomic_store_n(&all->dead, st, __ATOMIC_RELAXED);
    __atomic_store_n(&all->count, all->count - 1, __ATOMIC_RELAXED);
}

void stream_table_free(struct streams *all)
{
    free(all->buckets);
    free(all->of);
}

/* ---- ahead */

static inline bool is_talking(const struct ahead *a)
{
    return a->flow != NULL && a->packet->protocol == WIRE_PROTOCOL_TCP;
}

/* Step by step for all of them, so that what they wait for comes side by side. */
__attribute__((noinline)) void streams_fetch(struct lane *l, struct ahead *const *of, size_t count)
{
    struct host *h = l->host;
    struct stream *const *words = h->streams->of;
    const UINT64 known = h->streams->of_count;
    struct stream *const *word[AHEAD];
    const struct ahead *whose[AHEAD];
    struct stream *found[AHEAD];
    size_t n = 0, streams = 0;

    for (size_t i = 0; i < count; i++) {
        const UINT32 slot = is_talking(of[i]) ? flow_table_slot(l->flows, of[i]->flow) : UINT32_MAX;

        if (slot >= known)
            continue; /* an address that is nowhere would be looked for each time */
        __builtin_prefetch(&words[slot]);
        word[n] = &words[slot];
        whose[n++] = of[i];
    }
    for (size_t i = 0; i < n; i++) {
        struct stream *st = __atomic_load_n(word[i], __ATOMIC_RELAXED);

        if (st == NULL)
            continue;
        stream_fetch(st, whose[i]->course == COURSE_OUT ? 0 : 1, stream_touches(whose[i]->packet));
        found[streams++] = st;
    }
    if (streams != 0 && h->stream_sink->fetch != NULL)
        h->stream_sink->fetch(h, found, streams);
}
