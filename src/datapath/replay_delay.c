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
 * One thread; nothing here depends on an address.
 */
#include <stdlib.h>
#include <string.h>

#include "delay_inside.h"

/* ---- telling ------------------------------------------------------------------------------------------- */

static void leave(struct delay *d, struct delay_piece *piece)
{
    d->piece_count--;
    d->counts.bytes -= piece->size;
}

static void enter(struct delay *d, struct delay_piece *piece)
{
    d->piece_count++;
    d->counts.bytes += piece->size;
}

/* Its fate is known; the caller has taken it out of everything else. */
static void tell(struct delay *d, struct delay_piece *piece)
{
    leave(d, piece);
    piece->next = NULL;
    *d->told_tail = piece;
    d->told_tail = &piece->next;
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
static void fate_of(const struct delay_flow *f, bool from_first, enum host_fate fate, enum host_note note,
                    struct host_outcome *o)
{
    *o = (struct host_outcome){.fate = fate, .note = note, .flow_id = f->flow_id};
    o->inbound = f->inbound == from_first;
    o->outbound = !o->inbound;
    o->answers = !from_first;
}

/* ---- queues -------------------------------------------------------------------------------------------- */

static bool is_after(const struct delay_piece *own, const struct wire_packet *w)
{
    return (w->tcp_flags & WIRE_TCP_ACK) != 0 && delay_before(own->wire.tcp_seq, w->tcp_ack);
}

/* Does a segment that is held stand in the way of this one? */
static bool is_owed(const struct delay_flow *f, const struct wire_packet *w, bool from_first)
{
    for (const struct delay_piece *own = f->own; own != NULL; own = own->next_own) {
        if (delay_bare_syn(&own->wire)) {
            if (!f->open)
                return true;
        } else if (own->from_first != from_first && is_after(own, w)) {
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
    return h->flow->tcp ? is_owed(h->flow, &head->wire, head->from_first) : h->request != NULL;
}

static void schedule(struct delay *d, struct delay_hold *h)
{
    uint64_t due = UINT64_MAX;

    if (h->head != NULL && !is_blocked(h)) {
        due = h->head->packet.time_ns + (h->silent ? DELAY_SILENCE_NS : h->delay_ns);
        if (due < h->last_due)
            due = h->last_due;
    }
    delay_heap(d, h, due);
}

static void enqueue(struct delay_hold *h, struct delay_piece *piece, bool ahead)
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
static void rest(struct delay *d, struct delay_flow *f)
{
    struct delay_hold *h = f->hold;

    if (h != NULL && h->head == NULL && h->taken == 0 && !h->refused && !h->silent && h->delay_ns == 0 &&
        h->request == NULL && (!f->tcp || f->own == NULL))
        delay_hold_free(d, h);
    if (f->holds == 0 && f->own == NULL && !f->gave_up)
        delay_flow_free(d, f);
}

/* A hold that nobody asks for any more. */
static void rest_hold(struct delay *d, struct delay_hold *h)
{
    if (h->flow->hold != h && h->head == NULL && h->taken == 0 && h->request == NULL)
        delay_hold_free(d, h);
}

/* A frame of it has come back. */
static void rest_hold_later(struct delay *d, struct delay_hold *h)
{
    struct delay_flow *f = h->flow;

    rest_hold(d, h);
    rest(d, f);
}

/* ---- room ---------------------------------------------------------------------------------------------- */

/* All that waits there is held, for good. */
static void give_up(struct delay *d, struct delay_hold *h)
{
    while (h->head != NULL) {
        struct delay_piece *piece = dequeue(h);

        if (piece->again)
            delay_piece_forget(d, piece);
        fate_of(h->flow, piece->from_first, HOST_HELD, HOST_NOTE_NONE, &piece->outcome);
        d->counts.waiting--;
        tell(d, piece);
    }
    h->stopped = false;
    schedule(d, h);
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
static bool make_room(struct delay *d, const struct capture_packet *p)
{
    const size_t size = delay_piece_size(p);

    while (d->piece_count >= d->limits.frames || d->counts.bytes + size > d->limits.bytes)
        if (!evict(d))
            return false;
    return true;
}

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
    return f->waiting[from_first] != 0 || is_owed(f, w, from_first) ||
           (h->head != NULL && is_after(h->head, w));
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
        fate_of(f, from_first, HOST_HELD, HOST_NOTE_NONE, out);
        d->counts.evicted++;
        return DELAY_FATE;
    }
    h = f->hold;
    if (h == NULL || (!f->tcp && from_first))
        return DELAY_FEED; /* PEND-36 */
    if (h->silent && h->head == NULL && p->time_ns > h->silent_ns + DELAY_SILENCE_NS)
        h->silent = false; /* no copy was made */
    if (h->refused) {
        fate_of(f, from_first, HOST_CONSEQUENCE, HOST_NOTE_UNSENT_REQUEST, out);
        return DELAY_FATE;
    }
    if (f->tcp ? !tcp_waits(f, w, from_first, quoted)
               : h->request == NULL && h->head == NULL && h->delay_ns == 0 && !h->silent)
        return !f->tcp || f->open ? DELAY_FEED_FOLLOWS : DELAY_FEED;
    piece = make_room(d, p) && !f->gave_up ? delay_piece_make(p, w) : NULL;
    if (piece == NULL) {
        fate_of(f, from_first, HOST_HELD, HOST_NOTE_NONE, out);
        d->counts.evicted++;
        return DELAY_FATE;
    }
    piece->from_first = from_first;
    enter(d, piece);
    enqueue(h, piece, false);
    d->counts.waiting++;
    d->counts.waited++;
    schedule(d, h);
    return DELAY_WAITS;
}

/* ---- what is decided ----------------------------------------------------------------------------------- */

static void own(struct delay_flow *f, struct delay_piece *piece)
{
    piece->next_own = NULL;
    *f->own_tail = piece;
    f->own_tail = &piece->next_own;
}

/* It is undecided no longer. */
static void decided(struct delay *d, struct delay_piece *piece)
{
    struct delay_flow *f = piece->flow;
    struct delay_piece **at;

    piece->undecided = false;
    d->counts.undecided--;
    delay_piece_forget(d, piece);
    if (f == NULL)
        return;
    for (at = &f->own; *at != piece; at = &(*at)->next_own)
        ;
    *at = piece->next_own;
    if (f->own_tail == &piece->next_own)
        f->own_tail = at;
    if (piece->hold != NULL)
        piece->hold->request = NULL;
}

/* So much later than it was captured the connection goes on. */
static void tcp_delayed(struct delay *d, struct delay_flow *f, uint64_t from_ns, uint64_t now_ns)
{
    struct delay_hold *h = f->hold;

    if (h == NULL)
        return;
    if (now_ns > from_ns && now_ns - from_ns > h->delay_ns)
        h->delay_ns = now_ns - from_ns;
    schedule(d, h);
}

/* Later fragments have the first one's fate. */
static void tell_parts(struct delay *d, struct delay_piece *piece)
{
    struct delay_datagram *g = delay_datagram_of(d, &piece->wire);

    if (g != NULL && g->number == piece->packet.number && piece->outcome.fate == HOST_PASSED) {
        g->out = true;
        g->whole = piece->whole;
    } else if (g != NULL && g->number == piece->packet.number) {
        g->gone = true;
        g->fate = piece->outcome;
    }
    while (piece->parts != NULL) {
        struct delay_piece *part = piece->parts;
        const uint64_t at = piece->packet.time_ns + piece->packet.delay_ns;

        piece->parts = part->next;
        d->counts.undecided--;
        part->outcome = piece->outcome;
        part->unwritten = piece->outcome.fate == HOST_PASSED && !piece->whole;
        if (piece->outcome.fate == HOST_PASSED && at > part->packet.time_ns)
            part->packet.delay_ns = at - part->packet.time_ns;
        tell(d, part);
    }
}

/* Its packet went its way. */
static void goes_out(struct delay *d, struct delay_piece *piece, uint64_t now_ns)
{
    const uint64_t time_ns = piece->packet.time_ns;
    struct delay_flow *f = piece->flow;
    struct delay_hold *h = piece->hold;

    decided(d, piece);
    piece->packet.delay_ns = now_ns > time_ns ? now_ns - time_ns : 0;
    piece->outcome.fate = HOST_PASSED;
    piece->outcome.note = HOST_NOTE_NONE;
    piece->outcome.layer = NULL;
    piece->outcome.filter_id = 0;
    tell(d, piece);
    tell_parts(d, piece);
    if (f == NULL)
        return;
    if (f->tcp) {
        const bool syn = delay_bare_syn(&piece->wire);

        if (!syn || !f->open) /* the first SYN that goes out opens it */
            tcp_delayed(d, f, syn ? f->asked_ns : time_ns, now_ns);
        f->open = f->open || syn;
        if (f->hold != NULL)
            schedule(d, f->hold);
    } else if (h != NULL) {
        h->delay_ns = piece->packet.delay_ns;
        schedule(d, h);
        rest_hold(d, h);
    }
    rest(d, f);
}

/* What waits for this request answers nothing. */
static void refuse(struct delay *d, struct delay_hold *h)
{
    h->refused = true;
    while (h->head != NULL) {
        struct delay_piece *answer = dequeue(h);

        d->counts.waiting--;
        fate_of(h->flow, answer->from_first, HOST_CONSEQUENCE, HOST_NOTE_UNSENT_REQUEST, &answer->outcome);
        tell(d, answer);
    }
    schedule(d, h);
}

/* It was absorbed, and the host knows of nobody who has it: who copied the bytes may send them yet. */
static void fall_silent(struct delay_hold *h, const struct delay_piece *piece)
{
    h->silent = true;
    h->silent_first = piece->from_first;
    h->silent_ns = piece->packet.time_ns;
}

/* It never will. */
static void is_gone(struct delay *d, struct delay_piece *piece)
{
    struct delay_flow *f = piece->flow;
    struct delay_hold *h = piece->hold;
    bool silent = piece->outcome.fate == HOST_ABSORBED;

    decided(d, piece);
    if (!piece->lost && piece->outcome.fate == HOST_HELD)
        piece->outcome.fate = HOST_ABSORBED;
    tell(d, piece);
    tell_parts(d, piece);
    if (f == NULL)
        return;
    if (piece->kept || piece->pended || piece->lost)
        silent = false;
    if (f->tcp && f->hold != NULL) {
        if (silent && delay_bare_syn(&piece->wire) && !f->open)
            fall_silent(f->hold, piece);
        schedule(d, f->hold);
    } else if (h != NULL && silent) {
        fall_silent(h, piece);
        schedule(d, h);
    } else if (h != NULL) {
        refuse(d, h);
        rest_hold(d, h);
    }
    rest(d, f);
}

/* Perhaps, if the instant ends without an injection. */
static void maybe_gone(struct delay *d, struct delay_piece *piece)
{
    if (piece->over || piece->again || (piece->kept && !piece->released) ||
        (piece->pended && !piece->completed))
        return;
    piece->over = true;
    piece->next_over = NULL;
    *d->over_tail = piece;
    d->over_tail = &piece->next_over;
}

void delay_settled(struct delay *d)
{
    while (d->over != NULL) {
        struct delay_piece *piece = d->over;

        d->over = piece->next_over;
        if (d->over == NULL)
            d->over_tail = &d->over;
        is_gone(d, piece);
    }
}

bool delay_at_rest(const struct delay *d)
{
    return d->over == NULL;
}

static void not_over(struct delay *d, struct delay_piece *piece)
{
    struct delay_piece **at = &d->over;

    if (!piece->over)
        return;
    while (*at != piece)
        at = &(*at)->next_over;
    *at = piece->next_over;
    if (d->over_tail == &piece->next_over)
        d->over_tail = at;
    piece->over = false;
}

/* ---- what the host tells ------------------------------------------------------------------------------- */

static bool same_way(const struct wire_packet *a, const struct wire_packet *b)
{
    return a->version == b->version && a->reached == b->reached && a->protocol == b->protocol &&
           wire_addr_equal(&a->source, &b->source) && wire_addr_equal(&a->destination, &b->destination) &&
           a->source_port == b->source_port && a->destination_port == b->destination_port &&
           a->icmp_id == b->icmp_id && (a->version != 0 || a->ether_type == b->ether_type);
}

/* Whom a packet that a driver made itself stands for: one that its flow waits for; or one that nobody waits
 * for and that would be told as absorbed at the end of this instant. */
static struct delay_piece *made_from(const struct delay *d, const struct wire_packet *w)
{
    bool from_first;
    struct delay_flow *f = delay_flow_find(d, w, &from_first);
    struct delay_piece *piece = f != NULL ? f->own : NULL;

    while (piece != NULL && (piece->from_first != from_first || piece->again ||
                             (piece->kept ? !piece->released : !piece->pended)))
        piece = piece->next_own;
    if (piece != NULL)
        return piece;
    for (piece = d->over; piece != NULL; piece = piece->next_over)
        if (!piece->lost && (same_way(&piece->wire, w) || delay_is_datagram(d, &piece->wire, w)))
            return piece;
    return NULL;
}

static struct delay_piece *whose(const struct delay *d, UINT64 origin, const struct wire_packet *w)
{
    struct delay_piece *piece = origin != 0 ? delay_piece_find(d, origin) : made_from(d, w);

    return piece == NULL || piece->again ? NULL : piece;
}

const struct delay_piece *delay_whose(const struct delay *d, UINT64 origin, const struct wire_packet *w)
{
    return whose(d, origin, w);
}

/* A packet that a driver made itself: a copy of one that was absorbed a while ago? What waits follows from it. */
static void end_silence(struct delay *d, const struct wire_packet *w, uint64_t now_ns)
{
    bool from_first;
    struct delay_flow *f = delay_flow_find(d, w, &from_first);
    struct delay_hold *h = f != NULL && f->holds != 0 ? d->oldest : NULL;

    while (h != NULL && (h->flow != f || !h->silent || h->silent_first != from_first))
        h = h->newer;
    if (h == NULL || (f->tcp && !delay_bare_syn(w)))
        return;
    h->silent = false;
    if (f->tcp) {
        f->open = true;
        tcp_delayed(d, f, h->silent_ns, now_ns);
        return;
    }
    h->delay_ns = now_ns > h->silent_ns ? now_ns - h->silent_ns : 0;
    schedule(d, h);
}

bool delay_emitted(struct delay *d, UINT64 origin, const struct wire_packet *w, bool whole, uint64_t now_ns,
                   UINT64 *number)
{
    struct delay_piece *piece = whose(d, origin, w);

    if (piece == NULL && origin == 0)
        end_silence(d, w, now_ns);
    if (piece == NULL)
        return false;
    *number = piece->packet.number;
    piece->whole = whole;
    not_over(d, piece);
    goes_out(d, piece, now_ns);
    return true;
}

bool delay_lost(struct delay *d, UINT64 origin, const struct host_outcome *how)
{
    struct delay_piece *piece = origin != 0 ? delay_piece_find(d, origin) : NULL;
    UINT64 flow_id;

    if (piece == NULL || piece->again || piece->lost)
        return false;
    flow_id = piece->outcome.flow_id;
    piece->lost = true;
    piece->outcome = *how;
    piece->outcome.changed = NULL;
    if (piece->outcome.flow_id == 0)
        piece->outcome.flow_id = flow_id;
    return true;
}

void delay_released(struct delay *d, UINT64 origin)
{
    struct delay_piece *piece = delay_piece_find(d, origin);

    if (piece == NULL && origin == d->feeding)
        d->early_released = true;
    if (piece == NULL)
        return;
    piece->released = true;
    maybe_gone(d, piece);
}

/* What waited for a bind or listen is fed again, whoever's it was: the host says whether it still waits. */
static void endpoint_completed(struct delay *d, const struct host_completed *c, uint64_t now_ns)
{
    for (struct delay_hold *h = d->oldest; h != NULL; h = h->newer) {
        if (!h->stopped || !h->for_endpoint)
            continue;
        h->stopped = h->for_endpoint = false;
        if (c->permitted && now_ns > h->head->packet.time_ns &&
            now_ns - h->head->packet.time_ns > h->delay_ns)
            h->delay_ns = now_ns - h->head->packet.time_ns;
        delay_piece_forget(d, h->head);
        schedule(d, h);
    }
}

static void completed(struct delay *d, struct delay_piece *piece, const struct host_completed *c,
                      uint64_t now_ns)
{
    struct delay_hold *h = piece->hold;

    if (!piece->again) {
        piece->completed = true;
        maybe_gone(d, piece);
        return;
    }
    if (!h->stopped || h->head != piece)
        return;
    h->stopped = false;
    delay_piece_forget(d, piece);
    piece->refused = !c->permitted;
    piece->refused_by = c->refused_by;
    if (c->permitted)
        tcp_delayed(d, h->flow, piece->packet.time_ns, now_ns);
    schedule(d, h);
}

void delay_completed(struct delay *d, const struct host_completed *c, uint64_t now_ns)
{
    struct delay_piece *piece;

    if (c->operation == HOST_OPERATION_BIND) {
        endpoint_completed(d, c, now_ns);
        return;
    }
    piece = delay_piece_find(d, c->frame);
    if (piece != NULL) {
        completed(d, piece, c, now_ns);
    } else if (c->frame != 0 && c->frame == d->feeding) {
        d->early = *c;
        d->early_completed = true;
    }
}

/* ---- a frame has been fed ------------------------------------------------------------------------------ */

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
            tcp_delayed(d, f, f->asked_ns, now_ns);
        }
    } else if (piece != NULL && piece->request) { /* it had waited: the delay is that of its answers */
        if (o->fate == HOST_BLOCKED || o->fate == HOST_ABSORBED || o->fate == HOST_CONSEQUENCE)
            refuse(d, piece->hold);
    } else if (from_first && w->fragment_offset == 0) {
        f->hold = NULL; /* what is answered from now on is this one */
        if (h != NULL)
            rest_hold(d, h);
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
    enqueue(h, piece, true);
    d->counts.waiting++;
    delay_piece_note(d, piece);
    schedule(d, h);
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
        schedule(d, f->hold);
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
                rest_hold(d, before);
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
            rest(d, f);
        d->counts.evicted += o->fate == HOST_HELD;
        return true;
    }
    piece->outcome = *o;
    piece->outcome.changed = NULL;
    piece->pended = pended;
    piece->kept = o->kept;
    piece->released = released;
    piece->completed = false;
    enter(d, piece);
    if (again)
        stop(d, h, piece);
    else
        becomes_own(d, f, h, piece);
    if (complete)
        completed(d, piece, &d->early, now_ns);
    else
        maybe_gone(d, piece);
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
    part = make_room(d, p) ? delay_piece_make(p, w) : NULL;
    if (part == NULL)
        return false;
    part->outcome = *o;
    enter(d, part);
    if (!g->out && !g->gone && first->again) {
        part->from_first = first->from_first;
        enqueue(first->hold, part, false);
        d->counts.waiting++;
        return true;
    }
    if (g->out) {
        part->outcome.fate = HOST_PASSED;
        part->outcome.layer = NULL;
        part->unwritten = !g->whole;
        tell(d, part);
        return true;
    }
    if (g->gone) {
        part->outcome = g->fate;
        tell(d, part);
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

bool delay_fed(struct delay *d, struct delay_piece *piece, const struct capture_packet *p,
               const struct wire_packet *w, struct host_outcome *o, uint64_t now_ns)
{
    const bool held = o->fate == HOST_HELD,
               kept = o->fate == HOST_ABSORBED || (o->kept && (held || o->fate == HOST_BLOCKED));
    struct delay_hold *from = piece != NULL ? piece->hold : NULL;
    struct delay_flow *f = from != NULL ? from->flow : NULL;
    bool from_first = piece != NULL && piece->from_first, tells = true, fresh = piece == NULL;

    d->feeding = 0;
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
        if (fresh && make_room(d, p))
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
        rest_hold_later(d, from);
    } else if (f != NULL) {
        rest(d, f);
    }
    return tells;
}

/* ---- what is due --------------------------------------------------------------------------------------- */

uint64_t delay_due(const struct delay *d)
{
    return d->heap_count != 0 ? d->heap[0]->due : UINT64_MAX;
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
            refuse(d, h);
    }
    piece->again = false;
    h->taken++;
    schedule(d, h);
    return piece;
}

/* ---- the end ------------------------------------------------------------------------------------------- */

void delay_end_waiting(struct delay *d)
{
    for (struct delay_hold *h = d->oldest; h != NULL; h = h->newer)
        give_up(d, h);
}

void delay_end(struct delay *d)
{
    delay_end_waiting(d);
    for (size_t i = 0; i < DELAY_PIECES; i++) {
        while (d->pieces[i] != NULL) {
            struct delay_piece *piece = d->pieces[i];

            not_over(d, piece);
            decided(d, piece);
            if (!piece->lost)
                piece->outcome.fate = HOST_HELD;
            tell(d, piece);
            tell_parts(d, piece);
        }
    }
}
