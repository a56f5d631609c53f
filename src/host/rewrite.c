/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rewrite: which packets go out, and when (rewrite.h tells the whole).
 *
 * A segment of the source in a rewritten connection is not sent; it is taken apart:
 *   its acknowledgement and window   what its sender has, translated; in every packet of that direction from now on
 *   new bytes                        came out of the pipeline meanwhile, or did not: what is there and fits into the
 *                                    window goes, in segments of the MSS
 *   repeated bytes                   what was sent in their place goes again, if it is still there
 *   bytes ahead of a hole            nothing: they go when they are in order
 *   one byte or none, just before    a keep-alive
 *   nothing that went                an acknowledgement alone, if it still says something: a new number, a window that
 *                                    somebody waits for, or it was a repeated one in the source too
 *   RST                              all that waits, then a RST with the number that is next and the segment's data
 *   a SYN with data                  that a stage may edit: the SYN alone, as if the other end had not taken them; they go
 *                                    when it has, in the source. The answer acknowledges so much
 *
 * Whoever acknowledged bytes of the source before what became of them was sent, acknowledges that when it is sent
 * (send_settle_up()): a peer of the real connection would have. So bytes that were put in do not stall behind a window that
 * only their own acknowledgement would open.
 *
 * The window. What the source's receiver allows beyond its acknowledgement, it allows beyond the translated one; an edge
 * never retreats, so where bytes were taken out the window is said to be as much larger. What the source's sender has
 * sent, it was allowed to, whether or not the capture shows by what: the edge is at least there. A window is not filled
 * to its last byte unless the source's sender did so: whatever is put in does not make a sender wait for an update that
 * is not in the capture. Without both SYNs nobody knows the scale, and there is no limit.
 */
#include <stdlib.h>
#include <string.h>

#include "host/rewrite_inside.h"

#define KEEP       (4u << 20)
#define MARKS      4096u
#define START(seq) ((1ull << 32) + (seq))

/* ---- life ----------------------------------------------------------------------------------------------- */

struct rewrite *rewrite_create(const struct rewrite_config *config)
{
    struct rewrite *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return NULL;
    r->config = *config;
    if (r->config.keep == 0)
        r->config.keep = KEEP;
    if (r->config.marks == 0)
        r->config.marks = MARKS;
    return r;
}

void rewrite_destroy(struct rewrite *r)
{
    if (r == NULL)
        return;
    if (r->busy) {
        r->doomed = r->dead = true;
        return;
    }
    for (int dir = 0; dir < 2; dir++) {
        map_free(&r->half[dir]);
        bytes_free(&r->half[dir]);
    }
    free(r->room);
    free(r);
}

bool rewrite_is_on(const struct rewrite *r)
{
    return r->on;
}

size_t rewrite_memory(const struct rewrite *r)
{
    size_t size = sizeof(*r) + r->room_size;

    for (int dir = 0; dir < 2; dir++)
        size += r->half[dir].kept + r->half[dir].mark_room * sizeof(struct rewrite_mark);
    return size;
}

/* Who sends is not called back into itself: what comes meanwhile goes when he is done. */
static bool enter(struct rewrite *r)
{
    if (r->busy) {
        r->once_more = true;
        return false;
    }
    r->busy = true;
    return true;
}

static void leave(struct rewrite *r)
{
    r->busy = false;
    r->frame = NULL;
    if (r->doomed)
        rewrite_destroy(r);
}

/* ---- where directions stand ----------------------------------------------------------------------------- */

static void place(struct rewrite_half *h, uint64_t at)
{
    h->in = h->in_was = h->top = h->out = h->next = at;
    h->known = true;
    h->guessed = false;
    map_begin(h);
}

void rewrite_fetch(const struct rewrite *r)
{
    for (size_t at = 0; at < sizeof(*r); at += 64)
        __builtin_prefetch((const char *)r + at, 1);
}

void rewrite_place(struct rewrite *r, int dir, uint32_t seq)
{
    if (!r->half[dir].known)
        place(&r->half[dir], START(seq));
}

void rewrite_passed(struct rewrite *r, int dir, uint32_t size, bool end)
{
    struct rewrite_half *h = &r->half[dir];

    h->in += size;
    h->source_fin = h->source_fin || end;
    h->fin = h->fin || end;
}

/* A direction of which nothing was seen but what the other end acknowledges begins at `at`, or has come there: what was
 * guessed before is corrected. It may lie behind: a capture often has an acknowledgement before what it acknowledges. */
static void place_guessed(struct rewrite *r, struct rewrite_half *h, uint64_t at)
{
    const bool untouched = h->in == h->out; /* else a callout has put something in */

    if (!r->on || (at < h->in && untouched)) {
        place(h, at);
        h->begun = at;
    } else if (at > h->in) { /* nobody saw what is between */
        if (h->next == h->out)
            h->next += at - h->in;
        map_go(h, at - h->in);
    } else if (at < h->in) {
        h->in = h->begun = at;
        map_begin(h);
    }
    h->top = at;
}

void rewrite_see(struct rewrite *r, int dir, const struct wire_packet *p)
{
    struct rewrite_half *h = &r->half[dir], *other = &r->half[!dir];
    const bool syn = (p->tcp_flags & WIRE_TCP_SYN) != 0;

    if (r->dead || p->reached != WIRE_TRANSPORT)
        return;
    header_keep(&h->header, p);
    if (syn && !h->syn.seen)
        header_syn(p, &h->syn);
    if (!h->known) {
        place(h, START(p->tcp_seq + syn));
    } else if (h->guessed) {
        place_guessed(r, h, rewrite_position(p->tcp_seq + syn, h->in));
        h->guessed = false;
    } else if (h->blank) {
        place(h, START(p->tcp_seq + syn));
        h->begun = h->in;
        h->blank = false;
        if (!other->said)
            other->acked = h->in;
    }
    if ((p->tcp_flags & WIRE_TCP_ACK) != 0 && (!other->known || other->guessed)) {
        if (!other->known)
            place(other, START(p->tcp_ack));
        else
            place_guessed(r, other, rewrite_position(p->tcp_ack, other->in));
        other->guessed = true;
    }
    if (p->data_length > h->largest)
        h->largest = p->data_length;
    h->in_was = h->in;
    other->in_was = other->in;
    if (!r->busy) {
        r->frame = p;
        r->frame_dir = dir;
        r->frame_used = false;
    }
}

void rewrite_abandon(struct rewrite *r)
{
    if (!r->busy)
        r->frame = NULL;
}

/* ---- what comes out of the pipeline --------------------------------------------------------------------- */

static void put(struct rewrite *r, struct rewrite_half *h, const struct rewrite_element *e)
{
    if (e->lost) {
        if (h->next == h->out)
            h->next += e->span;
        map_go(h, e->span);
    } else if (h->fin) {
        r->config.counts->late += e->size;
        h->in += e->span;
        map_begin(h);
    } else {
        if (e->size != 0)
            bytes_put(r, h, e->bytes, e->size);
        if (e->size == e->span)
            map_go(h, e->size);
        else
            map_edit(r, h, e->span, e->size);
    }
    if (!e->end || h->fin)
        return;
    if (h->source_fin)
        map_go(h, 1);
    else
        map_edit(r, h, 0, 1);
    h->fin = true;
}

/* What of the feed passed before it became another: now it counts as an element. */
static void put_passed(struct rewrite *r, struct rewrite_half *h)
{
    const struct rewrite_element e = {
        .bytes = h->feed, .size = h->feed_passed, .span = h->feed_passed, .same = true, .end = h->feed_end};

    h->feeding = false;
    put(r, h, &e);
}

/* Bytes of the segment that is worked on that passed the pipeline as they were before this moment: they have not been
 * sent, and now will not be as they came. How many, up to h->in; *bytes: they. */
static uint32_t passed_before(const struct rewrite *r, int dir, const uint8_t **bytes)
{
    const struct rewrite_half *h = &r->half[dir];
    const struct wire_packet *p = r->frame;
    uint64_t from, first, end;

    if (p == NULL || r->frame_dir != dir)
        return 0;
    first = rewrite_position(p->tcp_seq, h->in);
    from = first > h->in_was ? first : h->in_was;
    end = first + (p->captured > p->data_at ? p->captured - p->data_at : 0);
    if (end > first + p->data_length)
        end = first + p->data_length;
    if (from >= h->in || h->in > end)
        return 0;
    *bytes = p->frame + p->data_at + (from - first);
    return (uint32_t)(h->in - from);
}

/* From here on others are sent. */
static void turn_on(struct rewrite *r)
{
    uint32_t passed[2] = {0, 0};
    const uint8_t *bytes[2];

    if (r->on)
        return;
    r->on = true;
    for (int dir = 0; dir < 2; dir++) {
        passed[dir] = passed_before(r, dir, &bytes[dir]);
        r->half[dir].in -= passed[dir];
    }
    for (int dir = 0; dir < 2; dir++) {
        struct rewrite_half *h = &r->half[dir], *other = &r->half[!dir];

        if (!h->known) {
            place(h, START(0));
            h->blank = true;
        }
        h->out = h->next = h->begun = h->in;
        map_begin(h);
        h->acked = other->in; /* a guess, if it has said nothing */
        if (h->said) {
            h->acked = h->ack < other->in ? h->ack : other->in;
            h->shown = h->window;
        }
    }
    for (int dir = 0; dir < 2; dir++) {
        const struct rewrite_element e = {
            .bytes = bytes[dir], .size = passed[dir], .span = passed[dir], .same = true};

        if (passed[dir] != 0)
            put(r, &r->half[dir], &e);
        if (r->half[dir].feeding)
            put_passed(r, &r->half[dir]);
    }
}

void rewrite_withhold(struct rewrite *r)
{
    turn_on(r);
}

void rewrite_feed(struct rewrite *r, int dir, const uint8_t *bytes, uint32_t size, uint32_t lost, bool fin)
{
    struct rewrite_half *h = &r->half[dir];

    h->feed = bytes;
    h->feed_size = size;
    h->feed_passed = 0;
    h->feed_fin = fin;
    h->feed_end = false;
    h->feeding = !r->on;
    if (h->feeding) /* whatever becomes of them: they are seen by nobody */
        h->in += lost;
    h->source_fin = h->source_fin || fin;
}

void rewrite_element(struct rewrite *r, int dir, const struct rewrite_element *e)
{
    struct rewrite_half *h = &r->half[dir];

    if (r->dead) {
        r->config.counts->late += e->size;
        return;
    }
    if (!r->on && h->feeding) {
        const bool same =
            e->same && e->size == e->span && e->size <= h->feed_size - h->feed_passed && !h->feed_end;

        if (e->lost)
            return;
        if ((same || (e->size == 0 && e->span == 0)) && (!e->end || h->feed_fin)) {
            h->feed_passed += e->size;
            h->feed_end = h->feed_end || e->end;
            return;
        }
    }
    turn_on(r);
    put(r, h, e);
}

void rewrite_fed(struct rewrite *r, int dir)
{
    struct rewrite_half *h = &r->half[dir];

    if (!h->feeding)
        return;
    if (h->feed_passed != h->feed_size || h->feed_end != h->feed_fin) {
        turn_on(r);
        return;
    }
    h->feeding = false;
    h->in += h->feed_size + h->feed_fin;
    h->fin = h->fin || h->feed_end;
}

/* ---- a segment ------------------------------------------------------------------------------------------ */

struct segment {
    uint64_t from, end; /* with its FIN */
    bool data;          /* it carries something */
    bool keeps_alive;
    bool says_again;  /* an acknowledgement alone, the same as before */
    bool says_window; /* ... with another window */
};

static void read_segment(struct rewrite *r, int dir, const struct wire_packet *p, struct segment *g)
{
    struct rewrite_half *h = &r->half[dir], *other = &r->half[!dir];
    const bool fin = (p->tcp_flags & WIRE_TCP_FIN) != 0, syn = (p->tcp_flags & WIRE_TCP_SYN) != 0;
    uint64_t ack;

    *g = (struct segment){.from = rewrite_position(p->tcp_seq, h->top) + syn};
    g->end = g->from + p->data_length + fin;
    g->data = g->end != g->from;
    g->keeps_alive = !syn && !fin && p->data_length <= 1 && g->from + 1 == h->top;
    if (g->end > h->top)
        h->top = g->end;
    if ((p->tcp_flags & WIRE_TCP_ACK) == 0)
        return;
    ack = rewrite_position(p->tcp_ack, other->top);
    g->says_again = h->said && ack == h->ack && p->tcp_window == h->window && !g->data;
    g->says_window = h->said && ack == h->ack && p->tcp_window != h->window && !g->data;
    if (!h->said || ack >= h->ack) {
        h->ack = ack;
        h->window = p->tcp_window;
    }
    h->said = true;
    if (!r->on && ack + ((uint64_t)p->tcp_window << (syn ? 0 : send_scale(r, dir))) > h->edge)
        h->edge = ack + ((uint64_t)p->tcp_window << (syn ? 0 : send_scale(r, dir)));
}

/* What the segment repeats. */
static void send_again(struct rewrite *r, int dir, const struct wire_packet *p, const struct segment *g)
{
    struct rewrite_half *h = &r->half[dir];
    const uint64_t to = g->end < h->in_was ? g->end : h->in_was;
    uint64_t from = g->from;

    if (from >= to)
        return;
    if (from < h->begun) { /* as it was sent before the rewriting */
        const uint64_t stop = to < h->begun ? to : h->begun;
        struct packet_wish w = {.seq = from, .flags = send_flags(r, dir)};
        const uint32_t there = p->captured > p->data_at ? p->captured - p->data_at : 0;

        w.size = (uint32_t)(stop - from);
        w.size = w.size < p->data_length ? w.size : p->data_length;
        w.size = w.size < there ? w.size : there;
        w.bytes = p->frame + p->data_at;
        if ((p->tcp_flags & WIRE_TCP_FIN) != 0 && stop == g->end)
            w.flags |= WIRE_TCP_FIN;
        if (send_pushes(r, dir) && w.size != 0)
            w.flags |= WIRE_TCP_PSH;
        r->config.counts->again++;
        if ((w.size != 0 || (w.flags & WIRE_TCP_FIN) != 0) && !send_one(r, dir, &w))
            return;
        from = stop;
    }
    if (from < to) {
        const uint64_t end = map_end(h, to);

        send_range(r, dir, map_start(h, from), end < h->next ? end : h->next, UINT64_MAX, true);
    }
}

static void keep_alive(struct rewrite *r, int dir, const struct wire_packet *p)
{
    struct rewrite_half *h = &r->half[dir];
    uint8_t byte = p->captured > p->data_at ? p->frame[p->data_at] : 0;
    struct packet_wish w = {.seq = h->next - 1, .size = p->data_length, .bytes = &byte};
    uint64_t there;

    if (w.size != 0 && bytes_at(h, h->next - 1, 1, &there) != 0)
        bytes_copy(h, h->next - 1, &byte, 1);
    (void)send_one(r, dir, &w);
}

/* Nothing went for it: an acknowledgement alone, if it says something. */
static void acknowledge(struct rewrite *r, int dir, const struct segment *g)
{
    const struct rewrite_half *h = &r->half[dir], *other = &r->half[!dir];
    const uint64_t ack = send_ack(r, dir);
    const uint16_t window = send_window(r, dir, ack);
    const bool waits = other->next < other->out || h->shown == 0;
    struct packet_wish w = {.seq = h->next, .flags = send_flags(r, dir)};

    if (ack > h->acked || g->says_again || (window != h->shown && (g->says_window || waits)))
        (void)send_one(r, dir, &w);
    else
        r->config.counts->swallowed++;
}

/* What a reset carries is its reason (RFC 9293, 3.5.3), no part of the stream: it goes with it, as it came. */
static void segment_reset(struct rewrite *r, int dir, const struct wire_packet *p)
{
    const uint32_t there = p->captured > p->data_at ? p->captured - p->data_at : 0;
    struct rewrite_half *h = &r->half[dir];
    struct packet_wish w = {.flags = WIRE_TCP_RST, .bytes = p->frame + p->data_at};

    h->force = r->half[!dir].force = true;
    send_new(r, !dir);
    send_new(r, dir);
    w.seq = h->next;
    w.size = there < p->data_length ? there : p->data_length;
    (void)send_one(r, dir, &w);
    r->dead = true;
}

static void one_segment(struct rewrite *r, int dir, const struct wire_packet *p)
{
    struct segment g;

    read_segment(r, dir, p, &g);
    if ((p->tcp_flags & WIRE_TCP_RST) != 0) {
        segment_reset(r, dir, p);
        return;
    }
    if (g.data && !g.keeps_alive && r->half[dir].said && r->half[dir].ack > r->half[!dir].in)
        r->config.counts->early++;
    if (g.keeps_alive) {
        keep_alive(r, dir, p);
    } else {
        if (g.data)
            send_again(r, dir, p, &g);
        send_new(r, dir);
        if (r->packets[dir] == 0)
            acknowledge(r, dir, &g);
    }
    send_new(r, !dir);
    send_settle_up(r);
}

static void finish(struct rewrite *r)
{
    r->frame = NULL;
    while (r->once_more && !r->dead) {
        r->once_more = false;
        send_new(r, 0);
        send_new(r, 1);
        send_settle_up(r);
    }
    send_forget(r);
    leave(r);
}

/* A SYN whose data are not shown to anybody yet, or which acknowledges such: it goes without them, which is as if the other
 * end had not taken them (RFC 7413), and says what it can. */
static bool is_for_itself(const struct rewrite *r, int dir, const struct wire_packet *p)
{
    return p->data_length != 0 ||
           ((p->tcp_flags & WIRE_TCP_ACK) != 0 && (int32_t)((uint32_t)send_ack(r, dir) - p->tcp_ack) < 0);
}

static void segment_syn(struct rewrite *r, int dir, const struct wire_packet *p)
{
    struct rewrite_half *h = &r->half[dir];
    const bool acks = (p->tcp_flags & WIRE_TCP_ACK) != 0;
    struct packet_wish w = {.seq = p->tcp_seq, .window = p->tcp_window, .flags = WIRE_TCP_SYN};

    (void)enter(r);
    r->packets[0] = r->packets[1] = 0;
    if (acks) {
        w.flags |= WIRE_TCP_ACK;
        w.ack = send_ack(r, dir);
        if ((int32_t)(p->tcp_ack - (uint32_t)w.ack) < 0) { /* an old one, repeated */
            w.ack = p->tcp_ack;
        } else {
            h->acked = w.ack;
            h->shown = w.window;
            h->edge = w.ack + w.window > h->edge ? w.ack + w.window : h->edge; /* not scaled */
        }
    } else if (!h->said) {
        h->window = (uint16_t)((p->tcp_window >> h->syn.scale) + (h->syn.scale != 0));
    }
    if (packet_send(r, dir, &w) && acks && !r->dead) {
        send_new(r, !dir);
        send_new(r, dir);
        send_settle_up(r);
    }
    finish(r);
}

bool rewrite_segment(struct rewrite *r, int dir, const struct wire_packet *p)
{
    const bool syn = (p->tcp_flags & WIRE_TCP_SYN) != 0;
    struct segment g;

    if (r->dead) {
        r->config.counts->swallowed++;
        return true;
    }
    if (r->busy || p->reached != WIRE_TRANSPORT)
        return r->on;
    if (!r->on || syn) { /* a SYN has the same numbers in both spaces */
        read_segment(r, dir, p, &g);
        if (r->on && (p->tcp_flags & WIRE_TCP_RST) == 0 && is_for_itself(r, dir, p)) {
            segment_syn(r, dir, p);
            return true;
        }
        r->frame = NULL;
        return false;
    }
    (void)enter(r);
    r->packets[0] = r->packets[1] = 0;
    one_segment(r, dir, p);
    finish(r);
    return true;
}

bool rewrite_is_ahead(const struct rewrite *r, int dir, const struct wire_packet *p)
{
    const struct rewrite_half *h = &r->half[dir];
    const bool syn = (p->tcp_flags & WIRE_TCP_SYN) != 0;
    const uint64_t from = rewrite_position(p->tcp_seq, h->top) + syn;
    uint32_t there = p->captured > p->data_at ? p->captured - p->data_at : 0;

    if (r->on || !h->known || p->reached != WIRE_TRANSPORT || (p->tcp_flags & WIRE_TCP_RST) != 0 ||
        (syn && from != h->in))
        return false;
    if (there > p->data_length)
        there = p->data_length;
    return from > h->in || from + there > h->in;
}

bool rewrite_keeps_end(const struct rewrite *r)
{
    return (r->half[0].source_fin && !r->half[0].fin) || (r->half[1].source_fin && !r->half[1].fin);
}

bool rewrite_misses(const struct rewrite *r)
{
    if (!r->on || r->dead)
        return false;
    for (int dir = 0; dir < 2; dir++) {
        const struct rewrite_half *h = &r->half[dir];
        const struct rewrite_mark *m = h->mark_count != 0 ? &h->marks[h->mark_count - 1] : NULL;
        const struct rewrite_mark *before = h->mark_count > 1 ? m - 1 : &h->base;

        if (!h->fin && h->open && m != NULL && m->sent - before->sent < m->source - before->source)
            return true;
    }
    return rewrite_keeps_end(r);
}

/* ---- without one ---------------------------------------------------------------------------------------- */

/* Without any header nothing can be made yet: it goes with the next segment. */
static bool has_header(const struct rewrite *r)
{
    return r->half[0].header.version != 0 || r->half[1].header.version != 0;
}

static void go_on(struct rewrite *r, bool force)
{
    if (!r->on || r->dead || !has_header(r) || !enter(r))
        return;
    r->frame = NULL;
    r->packets[0] = r->packets[1] = 0;
    for (int dir = 0; dir < 2; dir++) {
        r->half[dir].force = r->half[dir].force || (force && r->half[dir].next < r->half[dir].out);
        send_new(r, dir);
    }
    send_settle_up(r);
    finish(r);
}

void rewrite_settle(struct rewrite *r)
{
    go_on(r, false);
}

void rewrite_flush(struct rewrite *r)
{
    go_on(r, true);
}

void rewrite_reset(struct rewrite *r)
{
    if (r->dead)
        return;
    turn_on(r);
    if (!enter(r)) {
        r->dead = true; /* from within `send`: the packets of this moment are the last */
        return;
    }
    r->packets[0] = r->packets[1] = 0;
    for (int dir = 0; dir < 2; dir++) {
        struct packet_wish w = {.seq = r->half[dir].next, .flags = WIRE_TCP_RST};

        (void)send_one(r, dir, &w);
    }
    r->dead = true;
    leave(r);
}

bool rewrite_is_over(const struct rewrite *r)
{
    return r->dead || (r->half[0].fin && r->half[1].fin &&
                       (!r->on || (r->half[0].next == r->half[0].out && r->half[1].next == r->half[1].out)));
}
