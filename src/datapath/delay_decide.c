/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delay's decisions: what the host tells of frames that are held, and what that means for who waits for them.
 *
 *   delay_emitted()    a packet went its way: the frame that it stands for is OUT ----> its followers' delay
 *   delay_released(), delay_completed(), delay_lost()
 *                      nobody will send it any more, perhaps: `over`, until the instant ends
 *   delay_settled()    the instant has ended: what is still over is GONE -------------> refused, or silent
 *   delay_end()        the capture has: the rest is HELD
 *
 * The states of a piece stand in replay_delay.c; `undecided` is left in decided() and nowhere else, and what left
 * it is told in the same breath, with the later fragments of its datagram.
 */
#include "delay_inside.h"

/* ---- what is decided ----------------------------------------------------------------------------------- */

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
void delay_tcp_delayed(struct delay *d, struct delay_flow *f, uint64_t from_ns, uint64_t now_ns)
{
    struct delay_hold *h = f->hold;

    if (h == NULL)
        return;
    if (now_ns > from_ns && now_ns - from_ns > h->delay_ns)
        h->delay_ns = now_ns - from_ns;
    delay_schedule(d, h);
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
        delay_tell(d, part);
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
    delay_tell(d, piece);
    tell_parts(d, piece);
    if (f == NULL)
        return;
    if (f->tcp) {
        const bool syn = delay_bare_syn(&piece->wire);

        if (!syn || !f->open) /* the first SYN that goes out opens it */
            delay_tcp_delayed(d, f, syn ? f->asked_ns : time_ns, now_ns);
        f->open = f->open || syn;
        if (f->hold != NULL)
            delay_schedule(d, f->hold);
    } else if (h != NULL) {
        h->delay_ns = piece->packet.delay_ns;
        delay_schedule(d, h);
        delay_rest_hold(d, h);
    }
    delay_rest(d, f);
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
    delay_tell(d, piece);
    tell_parts(d, piece);
    if (f == NULL)
        return;
    if (piece->kept || piece->pended || piece->lost)
        silent = false;
    if (f->tcp && f->hold != NULL) {
        if (silent && delay_bare_syn(&piece->wire) && !f->open)
            fall_silent(f->hold, piece);
        delay_schedule(d, f->hold);
    } else if (h != NULL && silent) {
        fall_silent(h, piece);
        delay_schedule(d, h);
    } else if (h != NULL) {
        delay_refuse(d, h);
        delay_rest_hold(d, h);
    }
    delay_rest(d, f);
}

/* Perhaps, if the instant ends without an injection. */
void delay_maybe_gone(struct delay *d, struct delay_piece *piece)
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
        delay_tcp_delayed(d, f, h->silent_ns, now_ns);
        return;
    }
    h->delay_ns = now_ns > h->silent_ns ? now_ns - h->silent_ns : 0;
    delay_schedule(d, h);
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
    delay_maybe_gone(d, piece);
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
        delay_schedule(d, h);
    }
}

void delay_piece_completed(struct delay *d, struct delay_piece *piece, const struct host_completed *c,
                           uint64_t now_ns)
{
    struct delay_hold *h = piece->hold;

    if (!piece->again) {
        piece->completed = true;
        delay_maybe_gone(d, piece);
        return;
    }
    if (!h->stopped || h->head != piece)
        return;
    h->stopped = false;
    delay_piece_forget(d, piece);
    piece->refused = !c->permitted;
    piece->refused_by = c->refused_by;
    if (c->permitted)
        delay_tcp_delayed(d, h->flow, piece->packet.time_ns, now_ns);
    delay_schedule(d, h);
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
        delay_piece_completed(d, piece, c, now_ns);
    } else if (c->frame != 0 && c->frame == d->feeding) {
        d->early = *c;
        d->early_completed = true;
    }
}

/* ---- the end ------------------------------------------------------------------------------------------- */

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
            delay_tell(d, piece);
            tell_parts(d, piece);
        }
    }
}
