/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp_segments: bytes of TCP streams that wait for their turn.
 *
 * A flow has a record here only while something of it waits: segments behind a hole, an acknowledgement of
 * bytes that were never seen, bytes that the capture cut off and nobody was told of. half[0]'s flag says that
 * there is one, so that a flow without costs a branch. Per direction a record has a list of pieces, in order
 * of sequence numbers and without overlap; all pieces of the lane stand in a second list, by age.
 *
 * Limits: bytes held in the lane (host_limits.stream_bytes, with what managing them costs) and pieces a flow
 * (segments_a_flow). Beyond, the oldest piece goes (of the lane, of the flow), counted as segments_evicted:
 * it becomes a hole, given up like any other when the receiver acknowledges beyond it. The same happens to a
 * piece for which there is no memory.
 *
 * Holding allocates, in order does not: it is off the steady path.
 */
#include "host/tcp_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 1024

struct record;

struct held {
    struct held *next;          /* of its direction, by sequence number */
    struct held *older, *newer; /* of the lane */
    struct record *record;
    uint32_t seq, size, length;
    uint8_t dir;
    bool fin, doubtful;
    uint8_t bytes[];
};

struct record {
    struct record *next; /* in its bucket */
    struct host_flow *flow;
    struct held *first[2];
    uint32_t pieces;
    uint32_t proved[2], cut[2];
    bool has_proof[2];
    bool pinned; /* in use: not to be freed when its last piece is evicted */
};

struct segments {
    size_t bytes, most;
    uint32_t pieces_a_flow;
    struct held *oldest, *newest;
    struct held *lent; /* the piece whose bytes the caller has; goes at the next call */
    struct record *buckets[BUCKETS];
};

int tcp_create(struct lane *l)
{
    const struct host_limits *limits = &l->host->limits;
    struct segments *s = calloc(1, sizeof(*s));

    l->segments = s;
    if (s == NULL)
        return -ENOMEM;
    s->most = limits->stream_bytes != 0 ? limits->stream_bytes : 16u << 20;
    s->pieces_a_flow = limits->segments_a_flow != 0 ? limits->segments_a_flow : 256;
    return 0;
}

static struct record **record_at(struct segments *s, const struct host_flow *f)
{
    struct record **at = &s->buckets[((uintptr_t)f >> 4) * 0x9e3779b97f4a7c15 >> 54];

    while (*at != NULL && (*at)->flow != f)
        at = &(*at)->next;
    return at;
}

static struct record *record_of(struct lane *l, const struct host_flow *f)
{
    return (f->half[0].flags & TCP_HALF_RECORD) != 0 ? *record_at(l->segments, f) : NULL;
}

/* Out of both lists; the caller frees it, or lends it. */
static void detach(struct segments *s, struct held *h)
{
    struct held **at = &h->record->first[h->dir];

    while (*at != h)
        at = &(*at)->next;
    *at = h->next;
    *(h->older != NULL ? &h->older->newer : &s->oldest) = h->newer;
    *(h->newer != NULL ? &h->newer->older : &s->newest) = h->older;
    h->record->pieces--;
    s->bytes -= sizeof(*h) + h->size;
}

static void drop(struct segments *s, struct held *h)
{
    detach(s, h);
    free(h);
}

static void end_lent(struct segments *s)
{
    free(s->lent);
    s->lent = NULL;
}

static bool record_idle(const struct record *r)
{
    return r->pieces == 0 && r->cut[0] == 0 && r->cut[1] == 0 && !r->has_proof[0] && !r->has_proof[1];
}

static void record_free(struct segments *s, struct record **at)
{
    struct record *r = *at;

    *at = r->next;
    s->bytes -= sizeof(*r);
    free(r);
}

/* Nothing of the flow waits any more: its record goes. */
static void tidy(struct lane *l, struct host_flow *f)
{
    struct record **at = record_at(l->segments, f);

    if (*at == NULL || !record_idle(*at))
        return;
    record_free(l->segments, at);
    f->half[0].flags &= (uint8_t)~TCP_HALF_RECORD;
}

/* It will never be in order: what the receiver was bound to take is counted. */
static void lose(struct lane *l, struct held *h)
{
    if (!h->doubtful)
        __atomic_fetch_add(&l->host->counts.bytes_unreached, h->length, __ATOMIC_RELAXED);
    drop(l->segments, h);
}

void tcp_counts(const struct lane *l, struct host_counts *c)
{
    const struct segments *s = l->segments;

    for (const struct held *h = s->oldest; h != NULL; h = h->newer)
        if (!h->doubtful)
            c->bytes_unreached += h->length;
}

/* `size` captured bytes from seq on came as well: of those held, how many are others? */
static void compare(struct lane *l, const struct record *r, int dir, uint32_t seq, const uint8_t *bytes,
                    uint32_t size)
{
    for (const struct held *h = r->first[dir]; h != NULL && seq_before(h->seq, seq + size); h = h->next) {
        const uint32_t from = seq_before(h->seq, seq) ? seq : h->seq;
        const uint32_t to = seq_before(h->seq + h->size, seq + size) ? h->seq + h->size : seq + size;
        UINT64 differ = 0;

        for (uint32_t at = from; seq_before(at, to); at++)
            differ += h->bytes[at - h->seq] != bytes[at - seq];
        if (differ != 0)
            __atomic_fetch_add(&l->host->counts.bytes_differ, differ, __ATOMIC_RELAXED);
    }
}

void tcp_held_compare(struct lane *l, const struct host_flow *f, int dir, uint32_t seq, const uint8_t *bytes,
                      uint32_t size)
{
    const struct record *r = record_of(l, f);

    if (r != NULL)
        compare(l, r, dir, seq, bytes, size);
}

/* The oldest piece of the record, or of all (NULL), and the record with its last one. */
static bool evict(struct lane *l, const struct record *of)
{
    struct segments *s = l->segments;
    struct held *h = s->oldest;
    struct record *r;

    while (h != NULL && of != NULL && h->record != of)
        h = h->newer;
    if (h == NULL)
        return false;
    r = h->record;
    lose(l, h);
    if (!r->pinned)
        tidy(l, r->flow);
    host_count(&l->host->counts.segments_evicted);
    return true;
}

static bool make_room(struct lane *l, size_t size)
{
    struct segments *s = l->segments;

    while (s->bytes + size > s->most) {
        if (!evict(l, NULL))
            return false;
    }
    return true;
}

static struct record *record_make(struct lane *l, struct host_flow *f)
{
    struct segments *s = l->segments;
    struct record *r = record_of(l, f), **at;

    if (r != NULL)
        return r;
    r = make_room(l, sizeof(*r)) ? calloc(1, sizeof(*r)) : NULL;
    if (r == NULL)
        return NULL;
    at = record_at(s, f);
    r->flow = f;
    r->next = *at;
    *at = r;
    s->bytes += sizeof(*r);
    f->half[0].flags |= TCP_HALF_RECORD;
    return r;
}

/* Up to `length` as sent, from `offset` on, behind `at`. */
static struct held **insert(struct lane *l, struct record *r, struct held **at, int dir,
                            const struct tcp_piece *p, uint32_t offset, uint32_t length, bool fin)
{
    struct segments *s = l->segments;
    uint32_t size = offset < p->size ? p->size - offset : 0;
    struct held *h;

    size = size < length ? size : length;
    h = malloc(sizeof(*h) + size);
    if (h == NULL) {
        host_count(&l->host->counts.segments_evicted);
        return at;
    }
    *h = (struct held){.next = *at, .older = s->newest, .record = r, .seq = p->seq + offset, .size = size};
    h->length = length;
    h->dir = (uint8_t)dir;
    h->fin = fin;
    h->doubtful = p->doubtful;
    if (size > 0)
        memcpy(h->bytes, p->bytes + offset, size);
    *at = h;
    *(s->newest != NULL ? &s->newest->newer : &s->oldest) = h;
    s->newest = h;
    s->bytes += sizeof(*h) + size;
    r->pieces++;
    return &h->next;
}

/* What of the piece lies between those that are there. No room is made meanwhile: none of them goes. */
static void add_between(struct lane *l, struct record *r, int dir, const struct tcp_piece *p)
{
    struct held **at;
    uint32_t done = 0;

    for (at = &r->first[dir]; *at != NULL; at = &(*at)->next) {
        uint32_t from = p->seq + done;
        if (!seq_before(from, (*at)->seq + (*at)->length)) { /* all of it is before */
            if ((*at)->fin && from == (*at)->seq + (*at)->length)
                return; /* nothing is behind a FIN */
            continue;
        }
        if (!seq_before((*at)->seq, p->seq + p->length))
            break;
        if (seq_before(from, (*at)->seq))
            at = insert(l, r, at, dir, p, done, (*at)->seq - from, false);
        if (*at == NULL)
            break;
        done = (*at)->seq + (*at)->length - p->seq;
        if (done >= p->length) {
            if (done == p->length && !(*at)->doubtful)
                (*at)->fin |= p->fin;
            return;
        }
    }
    if (done < p->length || p->fin)
        insert(l, r, at, dir, p, done, p->length - done, p->fin);
}

/* Bytes up to `to` leave the piece's head. */
static void behead(struct segments *s, struct held *h, uint32_t to)
{
    const uint32_t length = to - h->seq, size = length < h->size ? length : h->size;

    memmove(h->bytes, h->bytes + size, h->size - size);
    h->seq = to;
    h->size -= size;
    h->length -= length;
    s->bytes -= size;
}

/* The receiver has acknowledged all before `proved`, though the capture lacks some of it, and has what is held from there
 * on. A piece that comes next for it is in order there: what is held of the same bytes gives way. */
static void yield(struct lane *l, struct record *r, int dir, const struct tcp_piece *p)
{
    uint32_t from = r->proved[dir];
    const uint32_t to = p->seq + p->length;
    struct held *next;

    if (p->doubtful || !r->has_proof[dir])
        return;
    for (const struct held *h = r->first[dir]; h != NULL && !seq_before(from, h->seq); h = h->next)
        if (!h->doubtful && seq_before(from, h->seq + h->length))
            from = h->seq + h->length;
    if (seq_before(from, p->seq))
        return;
    for (struct held *h = r->first[dir]; h != NULL && seq_before(h->seq, to); h = next) {
        next = h->next;
        if (seq_before(h->seq, from) || h->fin)
            continue;
        if (seq_before(to, h->seq + h->length))
            behead(l->segments, h, to);
        else
            drop(l->segments, h);
    }
}

void tcp_held_add(struct lane *l, struct host_flow *f, int dir, const struct tcp_piece *p)
{
    struct segments *s = l->segments;
    struct record *r;

    end_lent(s);
    r = record_make(l, f);
    if (r == NULL) {
        host_count(&l->host->counts.segments_evicted);
        return;
    }
    r->pinned = true;
    compare(l, r, dir, p->seq, p->bytes, p->size);
    yield(l, r, dir, p);
    if (make_room(l, sizeof(struct held) + p->size)) {
        while (r->pieces >= s->pieces_a_flow && evict(l, r))
            ;
        add_between(l, r, dir, p);
    } else {
        host_count(&l->host->counts.segments_evicted);
    }
    r->pinned = false;
    tidy(l, f);
}

void tcp_held_undoubt(struct lane *l, struct host_flow *f, int dir, uint32_t from, uint32_t to)
{
    struct record *r = record_of(l, f);
    struct held *h = r != NULL ? r->first[dir] : NULL, *next;

    for (; h != NULL; h = next) {
        next = h->next;
        if (h->doubtful && seq_before(h->seq, to) && seq_before(from, h->seq + h->length))
            drop(l->segments, h);
    }
}

void tcp_held_prove(struct lane *l, struct host_flow *f, int dir, uint32_t ack)
{
    struct record *r = record_make(l, f);

    if (r == NULL) { /* no memory: the hole is passed over in silence */
        host_count(&l->host->counts.segments_evicted);
        f->half[dir].next = ack;
        return;
    }
    if (!r->has_proof[dir] || seq_before(r->proved[dir], ack))
        r->proved[dir] = ack;
    r->has_proof[dir] = true;
}

bool tcp_held_proved(struct lane *l, const struct host_flow *f, int dir, uint32_t to)
{
    const struct record *r = record_of(l, f);
    return r != NULL && r->has_proof[dir] && !seq_before(r->proved[dir], to);
}

void tcp_held_cut(struct lane *l, struct host_flow *f, int dir, uint32_t size)
{
    struct record *r = size != 0 ? record_make(l, f) : NULL;

    if (r != NULL)
        r->cut[dir] += size;
}

static bool proved_beyond(const struct record *r, int dir, uint32_t next)
{
    return r->has_proof[dir] && seq_before(next, r->proved[dir]);
}

/* Does this piece come next, now? */
static bool due(const struct record *r, int dir, const struct held *h, uint32_t next)
{
    return !seq_before(next, h->seq) && (!h->doubtful || proved_beyond(r, dir, next));
}

/* The receiver has some of this piece, and so the hole before it, which nobody saw. */
static bool hole_proved(const struct record *r, int dir, const struct held *h)
{
    return r->has_proof[dir] && seq_before(h->seq, r->proved[dir]);
}

bool tcp_held_ready(struct lane *l, const struct host_flow *f, int dir)
{
    const struct record *r = record_of(l, f);
    const struct held *h;
    uint32_t next = f->half[dir].next;

    if (r == NULL)
        return false;
    h = r->first[dir];
    return r->cut[dir] != 0 || (h != NULL && (due(r, dir, h, next) || hole_proved(r, dir, h)));
}

bool tcp_held_next(struct lane *l, struct host_flow *f, int dir, struct tcp_piece *piece, uint32_t *lost)
{
    struct segments *s = l->segments;
    struct record *r = record_of(l, f);
    struct tcp_half *half = &f->half[dir];

    memset(piece, 0, sizeof(*piece));
    *lost = 0;
    end_lent(s);
    if (r == NULL)
        return false;
    *lost = r->cut[dir];
    r->cut[dir] = 0;
    for (;;) {
        struct held *h = r->first[dir];
        if (h != NULL && !seq_before(half->next, h->seq)) {
            uint32_t old = half->next - h->seq;
            if (old > h->length || (old == h->length && !h->fin)) {
                drop(s, h); /* came in order meanwhile */
                continue;
            }
            if (!due(r, dir, h, half->next))
                break;
            detach(s, h);
            s->lent = h;
            *piece = (struct tcp_piece){.seq = half->next, .length = h->length - old, .fin = h->fin};
            piece->size = old < h->size ? h->size - old : 0;
            piece->bytes = h->bytes + (old < h->size ? old : 0);
            half->next = h->seq + h->length;
            break;
        }
        if (h == NULL || !hole_proved(r, dir, h))
            break;
        *lost += h->seq - half->next;
        half->next = h->seq;
    }
    if (seq_before(half->top, half->next))
        half->top = half->next;
    if (!proved_beyond(r, dir, half->next))
        r->has_proof[dir] = false;
    tidy(l, f);
    return *lost != 0 || s->lent != NULL;
}

void tcp_held_end(struct lane *l, struct host_flow *f, int dir)
{
    struct record *r = record_of(l, f);

    if (r == NULL)
        return;
    while (r->first[dir] != NULL)
        drop(l->segments, r->first[dir]);
    r->has_proof[dir] = false;
    tidy(l, f);
}

void tcp_forget(struct lane *l, struct host_flow *f)
{
    struct record *r;

    if ((f->half[0].flags & TCP_HALF_RECORD) == 0)
        return;
    r = record_of(l, f);
    for (int dir = 0; r != NULL && dir < 2; dir++) {
        while (r->first[dir] != NULL)
            lose(l, r->first[dir]);
    }
    if (r != NULL)
        record_free(l->segments, record_at(l->segments, f));
    f->half[0].flags &= (uint8_t)~TCP_HALF_RECORD;
}

void tcp_destroy(struct lane *l)
{
    struct segments *s = l->segments;

    if (s == NULL)
        return;
    end_lent(s);
    while (s->oldest != NULL)
        drop(s, s->oldest);
    for (int i = 0; i < BUCKETS; i++) {
        while (s->buckets[i] != NULL)
            record_free(s, &s->buckets[i]);
    }
    free(s);
    l->segments = NULL;
}
