/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delay's queues: what waits, until when, and what is told of it when it waits no longer.
 *
 *   delay_frame() --enqueue--> hold: head ... tail --due--> delay_take() --> the host
 *                                      +-- no room, the end, or refused --> told, with a fate of its own
 *
 * A hold is due when nothing stands in the way of its head (delay_schedule(), which everybody calls who changes
 * what that hangs on), at the head's own time plus the hold's delay, and never before what it gave out last: what
 * waits there keeps its order. A hold without a due time is not in the heap (delay_memory.c).
 *
 * Room is counted in pieces and bytes: delay_enter() when a piece is taken in, delay_tell() or delay_take() when
 * it leaves. The order of what is told is that of the decisions. replay_delay.c tells the whole.
 */
#include <stdlib.h>

#include "delay_inside.h"

/* ---- telling ------------------------------------------------------------------------------------------- */

static void leave(struct delay *d, struct delay_piece *piece)
{
    d->piece_count--;
    d->counts.bytes -= piece->size;
}

void delay_enter(struct delay *d, struct delay_piece *piece)
{
    d->piece_count++;
    d->counts.bytes += piece->size;
}

/* Its fate is known; the caller has taken it out of everything else. */
void delay_tell(struct delay *d, struct delay_piece *piece)
{
    leave(d, piece);
    piece->next = NULL;
    *d->told_tail = piece;
    d->told_tail = &piece->next;
}

bool delay_tells(const struct delay *d)
{
    return d->told != NULL;
}

struct delay_piece *delay_told(struct delay *d)
{
    struct delay_piece *piece = d->told;

    if (piece == NULL)
        return NULL;
    d->told = piece->next;
    if (d->told == NULL)
        d->told_tail = &d->told;
    return piece;
}

void delay_done(struct delay *d, struct delay_piece *piece)
{
    (void)d;
    free(piece);
}

/* The fate of a frame that the host has never seen, as far as the flow tells. */
void delay_fate_of(const struct delay_flow *f, bool from_first, enum host_fate fate, enum host_note note,
                   struct host_outcome *o)
{
    *o = (struct host_outcome){.fate = fate, .note = note, .flow_id = f->flow_id};
    o->inbound = f->inbound == from_first;
    o->outbound = !o->inbound;
    o->answers = !from_first;
}

/* ---- queues -------------------------------------------------------------------------------------------- */

bool delay_is_after(const struct delay_piece *own, const struct wire_packet *w)
{
    return (w->tcp_flags & WIRE_TCP_ACK) != 0 && delay_before(own->wire.tcp_seq, w->tcp_ack);
}

/* Does a segment that is held stand in the way of this one? */
bool delay_is_owed(const struct delay_flow *f, const struct wire_packet *w, bool from_first)
{
    for (const struct delay_piece *own = f->own; own != NULL; own = own->next_own) {
        if (delay_bare_syn(&own->wire)) {
            if (!f->open)
                return true;
        } else if (own->from_first != from_first && delay_is_after(own, w)) {
            return true;
        }
    }
    return false;
}

static bool is_blocked(const struct delay_hold *h)
{
    const struct delay_piece *head = h->head;

    if (h->stopped)
        return true;
    if (h->silent)
        return false; /* not for ever */
    return h->flow->tcp ? delay_is_owed(h->flow, &head->wire, head->from_first) : h->request != NULL;
}

void delay_schedule(struct delay *d, struct delay_hold *h)
{
    uint64_t due = UINT64_MAX;

    if (h->head != NULL && !is_blocked(h)) {
        due = h->head->packet.time_ns + (h->silent ? DELAY_SILENCE_NS : h->delay_ns);
        if (due < h->last_due)
            due = h->last_due;
    }
    delay_heap(d, h, due);
}

void delay_enqueue(struct delay_hold *h, struct delay_piece *piece, bool ahead)
{
    piece->hold = h;
    piece->flow = h->flow;
    if (ahead) {
        piece->next = h->head;
        h->head = piece;
        if (piece->next == NULL)
            h->tail = &piece->next;
    } else {
        piece->next = NULL;
        *h->tail = piece;
        h->tail = &piece->next;
    }
    h->waiting++;
    h->flow->waiting[piece->from_first]++;
}

static struct delay_piece *dequeue(struct delay_hold *h)
{
    struct delay_piece *piece = h->head;

    h->head = piece->next;
    if (h->head == NULL)
        h->tail = &h->head;
    h->waiting--;
    h->flow->waiting[piece->from_first]--;
    return piece;
}

/* Forgets what need not be remembered. */
void delay_rest(struct delay *d, struct delay_flow *f)
{
    struct delay_hold *h = f->hold;

    if (h != NULL && h->head == NULL && h->taken == 0 && !h->refused && !h->silent && h->delay_ns == 0 &&
        h->request == NULL && (!f->tcp || f->own == NULL))
        delay_hold_free(d, h);
    if (f->holds == 0 && f->own == NULL && !f->gave_up)
        delay_flow_free(d, f);
}

/* A hold that nobody asks for any more. */
void delay_rest_hold(struct delay *d, struct delay_hold *h)
{
    if (h->flow->hold != h && h->head == NULL && h->taken == 0 && h->request == NULL)
        delay_hold_free(d, h);
}

/* A frame of it has come back. */
void delay_rest_hold_later(struct delay *d, struct delay_hold *h)
{
    struct delay_flow *f = h->flow;

    delay_rest_hold(d, h);
    delay_rest(d, f);
}

/* ---- room ---------------------------------------------------------------------------------------------- */

/* All that waits there is held, for good. */
static void give_up(struct delay *d, struct delay_hold *h)
{
    while (h->head != NULL) {
        struct delay_piece *piece = dequeue(h);

        if (piece->again)
            delay_piece_forget(d, piece);
        delay_fate_of(h->flow, piece->from_first, HOST_HELD, HOST_NOTE_NONE, &piece->outcome);
        d->counts.waiting--;
        delay_tell(d, piece);
    }
    h->stopped = false;
    delay_schedule(d, h);
}

static bool evict(struct delay *d)
{
    for (struct delay_hold *h = d->oldest; h != NULL; h = h->newer) {
        if (h->head == NULL || !is_blocked(h))
            continue;
        d->counts.evicted += h->waiting;
        h->flow->gave_up = true;
        give_up(d, h);
        return true;
    }
    return false;
}

/* Room for one more, in whose favour others may have to be told. */
bool delay_make_room(struct delay *d, const struct capture_packet *p)
{
    const size_t size = delay_piece_size(p);

    while (d->piece_count >= d->limits.frames || d->counts.bytes + size > d->limits.bytes)
        if (!evict(d))
            return false;
    return true;
}

/* ---- what is due --------------------------------------------------------------------------------------- */

uint64_t delay_due(const struct delay *d)
{
    return d->heap_count != 0 ? d->heap[0]->due : UINT64_MAX;
}

bool delay_is_quiet(const struct delay *d, uint64_t until_ns)
{
    return d->told == NULL && delay_at_rest(d) && delay_due(d) > until_ns;
}

struct delay_piece *delay_take(struct delay *d, uint64_t *now_ns)
{
    struct delay_hold *h = d->heap[0];
    struct delay_piece *piece = dequeue(h);

    d->counts.waiting--;
    leave(d, piece);
    if (h->due > *now_ns)
        *now_ns = h->due;
    h->last_due = *now_ns;
    piece->packet.delay_ns = *now_ns > piece->packet.time_ns ? *now_ns - piece->packet.time_ns : 0;
    piece->follows = !piece->again && !h->silent && (!h->flow->tcp || h->flow->open);
    if (h->silent && *now_ns >= h->silent_ns + DELAY_SILENCE_NS) {
        h->silent = false;
        if (!h->flow->tcp)
            delay_refuse(d, h);
    }
    piece->again = false;
    h->taken++;
    delay_schedule(d, h);
    return piece;
}

/* What waits for this request answers nothing. */
void delay_refuse(struct delay *d, struct delay_hold *h)
{
    h->refused = true;
    while (h->head != NULL) {
        struct delay_piece *answer = dequeue(h);

        d->counts.waiting--;
        delay_fate_of(h->flow, answer->from_first, HOST_CONSEQUENCE, HOST_NOTE_UNSENT_REQUEST,
                      &answer->outcome);
        delay_tell(d, answer);
    }
    delay_schedule(d, h);
}

/* The end of the capture. */
void delay_end_waiting(struct delay *d)
{
    for (struct delay_hold *h = d->oldest; h != NULL; h = h->newer)
        give_up(d, h);
}
