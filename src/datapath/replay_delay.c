/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who waits when decisions take time: causality.
 *
 *   frame of the capture --delay_frame()--> the host, at its own time ------------------------------+
 *          |                                                                                         |
 *          +-- it could only follow from a frame that is held --> queue of that hold                 |
 *                                                                  |  decided: its time + delay      v
 *                                                                  +--delay_take()--> the host --> its fate
 *
 * A capture shows what happened on a machine without the driver. If a driver takes 3 s to permit a
 * connection, its SYN goes out 3 s later, and so does everything that could only come because it went out;
 * nothing else changes. So:
 *
 * 1. Every frame is asked about at its own time, unless it could only follow from one that is held. What a
 * sender sends without an answer is never held up: a repeated SYN that comes in, further datagrams of whoever
 * sent the first (PEND-36, 37), other flows.
 * 2. What follows waits in order, and goes to the host at its own time plus the delay of what it waited for:
 * the time at which that went its way, less the time at which it was captured. It is written with that time.
 *
 *   held                                        what waits for it
 *   -----------------------------------------   ----------------------------------------------------------
 *   TCP going out: the SYN, pended at AC (or    all of the connection, both ways, repeated SYNs too: none
 *   its bind)                                   was sent (PEND-35); the SYN itself goes to the host again
 *   TCP coming in: the SYN, pended at RA        all of the connection, both ways, but repeated SYNs
 *   TCP: a SYN that a driver keeps              the same
 *   TCP: another segment that a driver keeps    the other side's segments that acknowledge it; what
 *                                               acknowledges those; what is behind either, of its side
 *   others: a request, pended or kept           answers, and ICMP errors that quote it, up to the next
 *                                               request: that is then what they answer
 *   any: a frame whose endpoint's bind or       as above; the frame goes to the host again
 *   listen is pended
 *
 *    To keep is to hold a frame by reference or clone, having absorbed it (host_outcome.kept).
 *
 * States of a held frame (a piece, `undecided`), and who moves it; each is left once:
 *
 *   delay_fed(): HELD, or kept
 *     +-- injected, and got through (emitted) --> OUT: told as passed; its time is now
 *     +-- (AC of TCP, binds) completed --> AGAIN: to the host, at now
 *     +-- nobody has it any more and its operation is completed, and the instant ends without an injection
 *     |   (lost: what was injected was dropped) --> GONE: told as absorbed, or as it was lost
 *     +-- the end --> HELD
 *
 * The instant must end first, for the order in which a driver completes, injects and lets go is its own; and
 * one that made a packet of its own from a pended one (a deep copy: PEND-47), or from one it had kept and let
 * go of (CLS-34), injects it then: a packet without origin, of the flow and way of an undecided piece whose
 * packet no driver keeps, stands for that. Of a received datagram in fragments that piece is the one that made it
 * whole; those before it have gone their way.
 *
 * A driver may also absorb a frame and keep nothing that the host knows of: it has copied the bytes. Then the
 * frame is GONE with the end of the instant, unless the copy is injected within it. But what follows from it,
 * of a request or a SYN, waits DELAY_SILENCE_NS more (delay_hold.silent): a copy that is sent in that time is
 * a packet of its own, and what waited follows from that one. If none is, the host is asked.
 *
 * When a piece is OUT, what waited for it has a delay. GONE, it has none: answers to a datagram are
 * consequences at once; of a connection the host is asked, at once, and says so (consequence, as without
 * time), unless another SYN of it still waits or has passed. A TCP connection keeps its delay: it is the
 * greatest so far, and all that comes later is later by it. Of datagrams each request has its own.
 *
 * Each frame has one fate, told once: a piece when it leaves `undecided`, all others when the host has had
 * them.
 *
 * Memory. Frames that wait or are undecided are copied. Beyond the limits the flow whose hold is the oldest
 * gives way: what waits there is told as held (counts.evicted), and what would wait there later too; a frame
 * that finds no room even so is told as it stands. Flows are forgotten when nothing of them is here and they
 * have no delay, or, the longest unused first, when there are too many.
 *
 * This file asks of a frame that comes whether it must wait, and of one that the host has had what it holds up.
 * delay_queue.c has the queues and their room, delay_decide.c what the host tells of held frames, delay_memory.c
 * the flows and what finds them.
 *
 * One thread; nothing here depends on an address.
 */
#include <stdlib.h>

#include "delay_inside.h"

/* ---- a frame comes ------------------------------------------------------------------------------------- */

bool delay_idle(const struct delay *d)
{
    return d->oldest_flow == NULL;
}

bool delay_empty(const struct delay *d)
{
    return d->counts.waiting == 0 && d->counts.undecided == 0;
}

/* Must it wait, of a connection? */
static bool tcp_waits(const struct delay_flow *f, const struct wire_packet *w, bool from_first, bool quoted)
{
    const struct delay_hold *h = f->hold;

    if (h == NULL)
        return false;
    if (h->stopped)
        return true;
    if (!quoted && !f->connects && from_first && delay_bare_syn(w))
        return false; /* PEND-37 */
    if (h->delay_ns != 0 || h->silent)
        return true;
    if (quoted)
        return h->head != NULL || (f->own != NULL && delay_bare_syn(&f->own->wire) && !f->open);
    return f->waiting[from_first] != 0 || delay_is_owed(f, w, from_first) ||
           (h->head != NULL && delay_is_after(h->head, w));
}

/* Another connection of the same two ends begins, and nothing of the old one is here. */
static bool tcp_anew(const struct delay_flow *f, const struct wire_packet *w)
{
    return delay_bare_syn(w) && w->tcp_seq != f->syn && f->own == NULL &&
           (f->hold == NULL || f->hold->head == NULL);
}

enum delay_says delay_frame(struct delay *d, const struct capture_packet *p, const struct wire_packet *w,
                            struct host_outcome *out)
{
    struct delay_hold *h;
    struct delay_piece *piece;
    struct delay_flow *f;
    bool from_first, quoted = false;

    if (w->fragment)
        delay_datagram_note(d, p, w);
    if (delay_idle(d))
        return DELAY_FEED;
    f = delay_flow_quoted(d, w, &from_first);
    if (f != NULL) {
        from_first = !from_first; /* it goes to who sent what it quotes */
        quoted = true;
    } else {
        f = delay_flow_find(d, w, &from_first);
    }
    if (f == NULL)
        return DELAY_FEED;
    delay_flow_use(d, f);
    if (f->tcp && tcp_anew(f, w)) {
        delay_flow_free(d, f);
        return DELAY_FEED;
    }
    if (f->gave_up && !(from_first && (!f->tcp || delay_bare_syn(w)))) {
        delay_fate_of(f, from_first, HOST_HELD, HOST_NOTE_NONE, out);
        d->counts.evicted++;
        return DELAY_FATE;
    }
    h = f->hold;
    if (h == NULL || (!f->tcp && from_first))
        return DELAY_FEED; /* PEND-36 */
    if (h->silent && h->head == NULL && p->time_ns > h->silent_ns + DELAY_SILENCE_NS)
        h->silent = false; /* no copy was made */
    if (h->refused) {
        delay_fate_of(f, from_first, HOST_CONSEQUENCE, HOST_NOTE_UNSENT_REQUEST, out);
        return DELAY_FATE;
    }
    if (f->tcp ? !tcp_waits(f, w, from_first, quoted)
               : h->request == NULL && h->head == NULL && h->delay_ns == 0 && !h->silent)
        return !f->tcp || f->open ? DELAY_FEED_FOLLOWS : DELAY_FEED;
    piece = delay_make_room(d, p) && !f->gave_up ? delay_piece_make(p, w) : NULL;
    if (piece == NULL) {
        delay_fate_of(f, from_first, HOST_HELD, HOST_NOTE_NONE, out);
        d->counts.evicted++;
        return DELAY_FATE;
    }
    piece->from_first = from_first;
    delay_enter(d, piece);
    delay_enqueue(h, piece, false);
    d->counts.waiting++;
    d->counts.waited++;
    delay_schedule(d, h);
    return DELAY_WAITS;
}

/* ---- a frame has been fed ------------------------------------------------------------------------------ */

static void own(struct delay_flow *f, struct delay_piece *piece)
{
    piece->next_own = NULL;
    *f->own_tail = piece;
    f->own_tail = &piece->next_own;
}

void delay_feeding(struct delay *d, UINT64 number)
{
    d->feeding = number;
    d->early_released = d->early_completed = false;
}

/* It needs nobody's decision. What does that say of its flow? */
static void is_decided(struct delay *d, struct delay_flow *f, const struct delay_piece *piece,
                       bool from_first, const struct wire_packet *w, const struct host_outcome *o,
                       uint64_t time_ns, uint64_t now_ns)
{
    struct delay_hold *h = f->hold;

    if (f->tcp) {
        if (from_first && o->fate == HOST_PASSED && delay_bare_syn(w) && h != NULL && !f->open) {
            if (f->waiting[0] + f->waiting[1] == 0)
                f->asked_ns = time_ns;
            f->open = true;
            delay_tcp_delayed(d, f, f->asked_ns, now_ns);
        }
    } else if (piece != NULL && piece->request) { /* it had waited: the delay is that of its answers */
        if (o->fate == HOST_BLOCKED || o->fate == HOST_ABSORBED || o->fate == HOST_CONSEQUENCE)
            delay_refuse(d, piece->hold);
    } else if (from_first && w->fragment_offset == 0) {
        f->hold = NULL; /* what is answered from now on is this one */
        if (h != NULL)
            delay_rest_hold(d, h);
    }
}

static bool is_own_operation(const struct host_outcome *o)
{
    return o->layer != NULL && (o->layer->id == FWPS_LAYER_ALE_AUTH_CONNECT_V4 ||
                                o->layer->id == FWPS_LAYER_ALE_AUTH_CONNECT_V6 ||
                                o->layer->id == FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4 ||
                                o->layer->id == FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V6);
}

static bool is_connect(const struct host_outcome *o)
{
    return o->layer->id == FWPS_LAYER_ALE_AUTH_CONNECT_V4 || o->layer->id == FWPS_LAYER_ALE_AUTH_CONNECT_V6;
}

/* To the head of its queue, until somebody else is done. */
static void stop(struct delay *d, struct delay_hold *h, struct delay_piece *piece)
{
    if (h->flow->tcp && delay_bare_syn(&piece->wire)) {
        h->flow->asked_ns = piece->packet.time_ns;
        h->flow->connects = true;
    }
    piece->again = true;
    h->stopped = true;
    h->for_endpoint = !piece->pended;
    delay_enqueue(h, piece, true);
    d->counts.waiting++;
    delay_piece_note(d, piece);
    delay_schedule(d, h);
}

static void becomes_own(struct delay *d, struct delay_flow *f, struct delay_hold *h,
                        struct delay_piece *piece)
{
    piece->again = false;
    piece->undecided = true;
    piece->flow = f;
    piece->hold = NULL;
    d->counts.undecided++;
    delay_piece_note(d, piece);
    if (f == NULL)
        return;
    own(f, piece);
    if (f->tcp) {
        if (delay_bare_syn(&piece->wire) && !f->open && f->waiting[0] + f->waiting[1] == 0)
            f->asked_ns = piece->packet.time_ns;
    } else if (h != NULL) {
        piece->hold = h;
        h->request = piece;
    }
    if (f->hold != NULL)
        delay_schedule(d, f->hold);
}

/* The flow and the hold in which a held frame stands. False: no room. */
static bool place(struct delay *d, struct delay_piece *piece, const struct host_outcome *o, bool again,
                  struct delay_flow **flow, struct delay_hold **hold)
{
    struct delay_flow *f = piece->flow;
    bool from_first = true;

    *flow = NULL;
    *hold = NULL;
    if (f == NULL)
        f = delay_flow_find(d, &piece->wire, &from_first);
    else
        from_first = piece->from_first;
    if (f == NULL && o->answers && !again && piece->wire.protocol != WIRE_PROTOCOL_TCP)
        return true; /* nobody waits for an answer */
    if (f == NULL) {
        f = delay_flow_make(d, &piece->wire, o->answers);
        from_first = !o->answers;
        if (f != NULL)
            f->inbound = from_first ? o->inbound && !o->outbound : o->outbound && !o->inbound;
    }
    if (f == NULL)
        return !again;
    piece->from_first = from_first;
    if (f->flow_id == 0)
        f->flow_id = o->flow_id;
    *flow = f;
    if (piece->hold != NULL && piece->request) { /* the same as before */
        *hold = piece->hold;
        return true;
    }
    if (f->tcp) {
        if (f->hold == NULL)
            f->hold = delay_hold_make(d, f);
        *hold = f->hold;
        if (delay_bare_syn(&piece->wire) && from_first && !f->open)
            f->syn = piece->wire.tcp_seq;
    } else if (from_first || again) {
        struct delay_hold *h = delay_hold_make(d, f), *before = f->hold;

        *hold = h;
        if (h != NULL && from_first) {
            f->hold = h;
            piece->request = true;
            if (before != NULL)
                delay_rest_hold(d, before);
        }
    }
    return *hold != NULL || (!again && !f->tcp);
}

/* It is held, or kept. True: there is no room, so that is its fate. */
static bool is_undecided(struct delay *d, struct delay_piece *piece, const struct host_outcome *o,
                         uint64_t now_ns)
{
    const bool released = d->early_released, complete = d->early_completed;
    const bool pended = o->fate == HOST_HELD && is_own_operation(o);
    const bool again = o->fate == HOST_HELD &&
                       (!pended || (is_connect(o) && piece->wire.protocol == WIRE_PROTOCOL_TCP && !o->kept));
    struct delay_flow *f;
    struct delay_hold *h;

    if (!place(d, piece, o, again, &f, &h)) {
        if (f != NULL)
            delay_rest(d, f);
        d->counts.evicted += o->fate == HOST_HELD;
        return true;
    }
    piece->outcome = *o;
    piece->outcome.changed = NULL;
    piece->pended = pended;
    piece->kept = o->kept;
    piece->released = released;
    piece->completed = false;
    delay_enter(d, piece);
    if (again)
        stop(d, h, piece);
    else
        becomes_own(d, f, h, piece);
    if (complete)
        delay_piece_completed(d, piece, &d->early, now_ns);
    else
        delay_maybe_gone(d, piece);
    return false;
}

/* A later fragment of a datagram that is held, or has gone out since: if the host is to be asked about the first one again
 * (CR, a bind), it is asked about this one behind it. False: neither. */
static bool is_part(struct delay *d, const struct capture_packet *p, const struct wire_packet *w,
                    const struct host_outcome *o)
{
    const struct delay_datagram *g = delay_datagram_of(d, w);
    struct delay_piece *first, *part, **at;

    if (g == NULL || g->number == p->number)
        return false;
    first = delay_piece_find(d, g->number);
    if (!g->out && !g->gone && first == NULL)
        return false;
    part = delay_make_room(d, p) ? delay_piece_make(p, w) : NULL;
    if (part == NULL)
        return false;
    part->outcome = *o;
    delay_enter(d, part);
    if (!g->out && !g->gone && first->again) {
        part->from_first = first->from_first;
        delay_enqueue(first->hold, part, false);
        d->counts.waiting++;
        return true;
    }
    if (g->out) {
        part->outcome.fate = HOST_PASSED;
        part->outcome.layer = NULL;
        part->unwritten = !g->whole;
        delay_tell(d, part);
        return true;
    }
    if (g->gone) {
        part->outcome = g->fate;
        delay_tell(d, part);
        return true;
    }
    for (at = &first->parts; *at != NULL; at = &(*at)->next)
        ;
    *at = part;
    d->counts.undecided++;
    return true;
}

/* At a MAC layer each frame is a thing of its own, fragments too. */
static bool is_at_link(const struct host_outcome *o)
{
    switch (o->layer != NULL ? o->layer->id : ENGINE_LAYER_COUNT) {
    case FWPS_LAYER_INBOUND_MAC_FRAME_ETHERNET:
    case FWPS_LAYER_INBOUND_MAC_FRAME_NATIVE:
    case FWPS_LAYER_OUTBOUND_MAC_FRAME_ETHERNET:
    case FWPS_LAYER_OUTBOUND_MAC_FRAME_NATIVE:
        return true;
    default:
        return false;
    }
}

/* It is held, or somebody waits for something. */
static __attribute__((noinline)) bool has_fed(struct delay *d, struct delay_piece *piece,
                                              const struct capture_packet *p, const struct wire_packet *w,
                                              struct host_outcome *o, uint64_t now_ns)
{
    const bool held = o->fate == HOST_HELD,
               kept = o->fate == HOST_ABSORBED || (o->kept && (held || o->fate == HOST_BLOCKED));
    struct delay_hold *from = piece != NULL ? piece->hold : NULL;
    struct delay_flow *f = from != NULL ? from->flow : NULL;
    bool from_first = piece != NULL && piece->from_first, tells = true, fresh = piece == NULL;

    if (w->fragment && fresh && (held || o->fate == HOST_ABSORBED || o->fate == HOST_BLOCKED) &&
        !is_at_link(o) && is_part(d, p, w, o))
        return false;
    if (piece != NULL && piece->refused && o->fate == HOST_CONSEQUENCE && o->note == HOST_NOTE_REFUSED_FLOW) {
        /* It is what was refused; only what comes behind it is a consequence of that. */
        o->fate = HOST_BLOCKED;
        o->note = HOST_NOTE_NONE;
        o->layer = piece->outcome.layer;
        o->filter_id = piece->refused_by;
    }
    if (!held && !kept && delay_idle(d))
        return true;
    if (!held && !kept) {
        if (f == NULL)
            f = delay_flow_find(d, w, &from_first);
        if (f != NULL)
            is_decided(d, f, piece, from_first, w, o, p->time_ns, now_ns);
    } else {
        if (fresh && delay_make_room(d, p))
            piece = delay_piece_make(p, w);
        if (piece != NULL && !piece->request)
            piece->hold = NULL;
        if (piece != NULL)
            tells = is_undecided(d, piece, o, now_ns);
        else
            d->counts.evicted += held;
        if (tells && fresh)
            free(piece);
        f = f != NULL && from != NULL ? f : NULL; /* else it is new, or has been rested already */
    }
    if (from != NULL) {
        from->taken--;
        delay_rest_hold_later(d, from);
    } else if (f != NULL) {
        delay_rest(d, f);
    }
    return tells;
}

bool delay_fed(struct delay *d, struct delay_piece *piece, const struct capture_packet *p,
               const struct wire_packet *w, struct host_outcome *o, uint64_t now_ns)
{
    d->feeding = 0;
    return (o->fate == HOST_PASSED && piece == NULL && delay_idle(d)) || has_fed(d, piece, p, w, o, now_ns);
}
