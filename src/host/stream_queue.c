/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream_queue: chunks, the queues in which a stage's wait, and the end of the pipeline, where they go to the sink.
 *
 *   fed bytes -> stream_chunks() -> stream_append(place) ... stream_pop() -> the next place, or stream_out() -> sink, freed
 *
 * A chunk is owned by the queue that it stands in, or by who took it out. Its bytes stand in a store that others may
 * share: what a callout has cloned keeps it. Small data that wait are put together, so that a queue that waits costs what
 * its bytes do. What waits is counted, of the direction and of the host.
 */
#include <stdlib.h>
#include <string.h>

#include "host/stream_inside.h"

#define SMALL    4096u  /* what waits and is smaller is put together, */
#define TOGETHER 16384u /* so much of it */
#define SPARE    1536u  /* a store that is used again: what an Ethernet frame carries, */
#define SPARES   8u     /* so many of them */

/* ---- chunks */

void stream_chunk_free(struct stream_chunk *c)
{
    ndis_slice_done(c->slice);
    ndis_store_unref(c->store);
    free(c);
}

static uint32_t odd_size(uint32_t split, uint32_t n)
{
    const uint32_t odds = (split + 1) / 2;

    return 2 * ((odds - 1 + n * 3) % odds) + 1;
}

static struct stream_chunk *chunk_over(struct ndis_store *store, uint32_t at, uint32_t size, bool source,
                                       UINT32 flags)
{
    struct stream_chunk *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return NULL;
    c->store = ndis_store_ref(store);
    c->begin = c->at = at;
    c->size = size;
    c->span = source ? size : 0;
    c->flags = flags & ~(UINT32)(HOST_STREAM_END | HOST_STREAM_ABORT);
    return c;
}

struct stream_chunk *stream_chunks(struct host *h, const uint8_t *bytes, uint32_t size, bool source,
                                   UINT32 flags)
{
    const uint32_t split = h->config.knobs.split_list;
    struct stream_chunk *first = NULL, **end = &first;
    struct ndis_store *store = ndis_store_take(size);

    if (store == NULL)
        return NULL;
    memcpy(store->bytes, bytes, size);
    store->used = size;
    for (uint32_t at = 0, n = 0; at < size; n++) {
        uint32_t part = split != 0 ? odd_size(split, n) : size;

        part = part < size - at ? part : size - at;
        *end = chunk_over(store, at, part, source, flags);
        if (*end == NULL)
            goto fail;
        end = &(*end)->next;
        at += part;
    }
    ndis_store_unref(store);
    return first;
fail:
    ndis_store_unref(store);
    while (first != NULL) {
        struct stream_chunk *next = first->next;

        stream_chunk_free(first);
        first = next;
    }
    return NULL;
}

static struct stream_chunk *spare_make(void)
{
    struct ndis_store *store = ndis_store_take(SPARE);
    struct stream_chunk *c = store != NULL ? chunk_over(store, 0, 0, true, 0) : NULL;

    ndis_store_unref(store);
    return c;
}

/* One that is used again, with its store and list. */
static inline void begin_again(struct stream_chunk *c, enum stream_kind kind, uint32_t size, UINT32 flags)
{
    c->next = NULL;
    c->begin = c->at = 0;
    c->size = c->span = size;
    c->through = 0;
    c->flags = flags;
    c->filter_id = 0;
    c->kind = (uint8_t)kind;
    c->lost = false;
}

struct stream_chunk *stream_chunks_fed(struct host *h, const uint8_t *bytes, uint32_t size, UINT32 flags)
{
    struct streams *all = h->streams;
    struct stream_chunk *c = all->spare;

    if (size > SPARE || h->config.knobs.split_list != 0)
        return stream_chunks(h, bytes, size, true, flags);
    if (c != NULL) {
        all->spare = c->next;
        all->spares--;
    } else if ((c = spare_make()) == NULL) {
        return NULL;
    }
    /* For so few GCC would copy here, word by word (rep movs); the C library is faster. */
    __asm__("" : "+r"(size));
    memcpy(c->store->bytes, bytes, size);
    c->store->used = size;
    begin_again(c, STREAM_DATA, size, flags & ~(UINT32)(HOST_STREAM_END | HOST_STREAM_ABORT));
    return c;
}

struct stream_chunk *stream_mark_fed(struct host *h, UINT32 flags)
{
    struct stream_chunk *c = h->streams->spare_mark;

    if (c == NULL)
        return stream_mark(h, flags);
    h->streams->spare_mark = NULL;
    begin_again(c, STREAM_MARK, 0, flags & (HOST_STREAM_END | HOST_STREAM_ABORT));
    return c;
}

void stream_chunk_done(struct streams *all, struct stream_chunk *c)
{
    if (c->kind == STREAM_MARK && all->spare_mark == NULL && c->slice != NULL && ndis_slice_again(c->slice)) {
        all->spare_mark = c;
        return;
    }
    if (all->spares >= SPARES || c->slice == NULL || c->store->capacity != SPARE ||
        !ndis_slice_again(c->slice)) {
        stream_chunk_free(c);
        return;
    }
    c->next = all->spare;
    all->spare = c;
    all->spares++;
}

void stream_spares_free(struct streams *all)
{
    while (all->spare != NULL) {
        struct stream_chunk *c = all->spare;

        all->spare = c->next;
        stream_chunk_free(c);
    }
    if (all->spare_mark != NULL)
        stream_chunk_free(all->spare_mark);
    all->spare_mark = NULL;
}

struct stream_chunk *stream_mark(struct host *h, UINT32 flags)
{
    struct stream_chunk *c = calloc(1, sizeof(*c));

    (void)h;
    if (c != NULL) {
        c->kind = STREAM_MARK;
        c->flags = flags & (HOST_STREAM_END | HOST_STREAM_ABORT);
    }
    return c;
}

/* ---- the sink */

static void count_waiting(struct stream_run *r, INT64 by)
{
    r->st->dir[r->dir].waiting += (UINT64)by;
    stream_count(&r->host->streams->counts.waiting, (UINT64)by);
}

void stream_out(struct stream_run *r, struct stream_chunk *c)
{
    struct stream_dir *d = &r->st->dir[r->dir];
    struct stream_tally *t = r->tally;
    const struct stream_sink *sink = r->host->stream_sink;
    struct stream_element e = {.span = c->span, .flags = c->flags, .lost = c->lost};

    if (d->ended &&
        c->kind == STREAM_DATA) { /* an end that a callout invented (STR-25) is one: nowhere to go */
        stream_count(&r->host->streams->counts.late, c->size);
        c->kind = STREAM_HOLE;
    }
    if (d->ended && (c->kind != STREAM_HOLE || c->span == 0) && (c->flags & HOST_STREAM_ABORT) == 0) {
        stream_chunk_free(c);
        return;
    }
    if (c->kind == STREAM_DATA) {
        e.bytes = c->store->bytes + c->at;
        e.size = c->size;
        e.same = c->span == c->size;
        if (e.same) {
            t->same += c->size;
            stream_count(&r->host->streams->counts.passed, c->size);
        } else {
            t->injected += c->size;
        }
        t->runs++;
    } else if (c->kind == STREAM_HOLE) {
        e.flags = 0;
        e.filter_id = c->filter_id;
        t->holes++;
        if (!c->lost)
            t->removed += c->span;
    } else {
        t->marks++;
        d->ended = true;
    }
    if (sink != NULL && sink->element != NULL)
        sink->element(r->host, r->st, r->dir, &e);
    stream_chunk_done(r->host->streams, c);
}

/* ---- queues */

/* Small data behind small data of the same sort: false, it is to be queued by itself. */
static bool put_together(struct stream_place *p, struct stream_chunk *c)
{
    struct stream_chunk *last = p->head;

    if (p->waits == STREAM_GOES || c->kind != STREAM_DATA || c->size >= SMALL || last == NULL)
        return false;
    last = (struct stream_chunk *)((char *)p->tail - offsetof(struct stream_chunk, next));
    if (last->kind != STREAM_DATA || last->through != c->through || (last->span == 0) != (c->span == 0) ||
        ((last->flags ^ c->flags) & HOST_STREAM_URGENT) != 0 || last->store->capacity != TOGETHER ||
        last->at + last->size != last->store->used || last->store->capacity - last->store->used < c->size ||
        (last->slice != NULL && ndis_slice_held(last->slice)))
        return false;
    memcpy(last->store->bytes + last->store->used, c->store->bytes + c->at, c->size);
    last->store->used += c->size;
    last->size += c->size;
    last->span += c->span;
    last->flags |= c->flags;
    return true;
}

/* What will wait goes to where others can stand behind it. */
static void make_room(struct stream_place *p, struct stream_chunk *c)
{
    struct ndis_store *store;

    if (p->waits == STREAM_GOES || c->kind != STREAM_DATA || c->size >= SMALL || c->slice != NULL)
        return;
    store = ndis_store_take(TOGETHER);
    if (store == NULL)
        return;
    memcpy(store->bytes, c->store->bytes + c->at, c->size);
    store->used = c->size;
    ndis_store_unref(c->store);
    c->store = store;
    c->begin = c->at = 0;
}

void stream_put(struct stream_run *r, struct stream_place *p, unsigned k, struct stream_chunk *c)
{
    c->next = NULL;
    if (c->kind == STREAM_HOLE)
        p->missed += c->span;
    else if (c->kind == STREAM_MARK) {
        p->marked = true;
        p->closes = p->closes || (c->flags & HOST_STREAM_ABORT) != 0;
    } else if (c->through > k)
        p->missed += c->size;
    else
        p->fresh = true;
    if (c->kind == STREAM_DATA) {
        p->bytes += c->size;
        count_waiting(r, c->size);
    }
    if (put_together(p, c)) {
        stream_chunk_free(c);
        return;
    }
    make_room(p, c);
    *p->tail = c;
    p->tail = &c->next;
    p->chunks++;
}

void stream_append(struct stream_run *r, unsigned k, struct stream_chunk *c)
{
    stream_put(r, &r->st->dir[r->dir].places[k], k, c);
}

struct stream_chunk *stream_pop(struct stream_run *r, struct stream_place *p)
{
    struct stream_chunk *c = p->head;

    p->head = c->next;
    if (p->head == NULL)
        p->tail = &p->head;
    c->next = NULL;
    p->chunks--;
    if (c->kind == STREAM_DATA) {
        p->bytes -= c->size;
        count_waiting(r, -(INT64)c->size);
    } else if (c->kind == STREAM_MARK) {
        p->ended = true;
    }
    return c;
}

struct stream_chunk *stream_pop_some(struct stream_run *r, struct stream_place *p, uint32_t size)
{
    struct stream_chunk *c = p->head, *some = chunk_over(c->store, c->at, size, c->span != 0, c->flags);

    if (some == NULL)
        return NULL;
    some->through = c->through;
    some->flags &= ~(UINT32)HOST_STREAM_PUSH; /* of the last byte */
    c->at += size;
    c->size -= size;
    if (c->span != 0)
        c->span -= size;
    p->bytes -= size;
    count_waiting(r, -(INT64)size);
    return some;
}
