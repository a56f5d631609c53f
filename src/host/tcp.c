/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp: what the segments of a connection say about it, as this host's stack would have understood them.
 *
 *              out SYN                    in SYN-ACK: FE
 *     NONE -------------> SYN_SENT ---------------------------> ESTABLISHED
 *       | in SYN             | in SYN (simultaneous)              ^  |  |
 *       +------> SYN_RECEIVED <--+    in ACK of our SYN: FE       |  |  |
 *                      +------------------------------------------+  |  |
 *                                             out FIN: FIN_WAIT_1 <--+  +--> in FIN: CLOSE_WAIT
 *     FIN_WAIT_1 --acked--> FIN_WAIT_2 --in FIN--> TIME_WAIT     CLOSE_WAIT --out FIN--> LAST_ACK --acked--+
 *     FIN_WAIT_1 --in FIN--> CLOSING --acked--> TIME_WAIT                        RST, either way: CLOSED <-+
 *
 * CLOSED_NOW is said when both ends have sent a FIN and both were acknowledged (TIME_WAIT or CLOSED): the
 * last acknowledgement still belongs to the flow.
 *
 * The host is a watcher here: what it plays has happened, and a capture may have holes and a point of view.
 * So, in this order:
 *  1. What this host sends, it had reason to send: an outbound segment is never refused. An ACK, data or FIN
 *     out of SYN_SENT or SYN_RECEIVED establishes the connection (what it answers is not in the capture); a
 *     SYN or SYN-ACK with a new sequence number shows that the old connection was over (NEW_CONNECTION); a
 *     RST ends it, but for one out of SYN_SENT that answers a stray segment.
 *  2. An acknowledgement proves that its sender has what it acknowledges. Bytes that were never seen are
 * given up as lost (GAP), and what is held behind them is delivered. It is believed up to what its sender can
 *     have received: its window beyond what was seen (1 GiB where the window is not known).
 *  3. Inbound segments are refused only where the reason does not hang on what the capture may lack. What
 *     lies beyond the window, or comes to a closed one, or with a SYN, is refused (for the SYN: not
 * delivered) but kept as doubtful: it counts as soon as this host acknowledges it, and yields to a
 * retransmission.
 *
 * Sequence numbers are compared around the circle; more than 1 GiB ahead is not this connection. Of bytes
 * that come twice those in order first count; held ones yield to a segment that is in order, here or to the
 * receiver, as it acknowledges. Urgent data is data. A FIN counts when everything before it does; bytes behind
 * it are refused (FinReceived). Keep-alives and whole retransmissions are RETRANSMITTED, with DuplicateSegment
 * as reason, not refused. Timestamps are not looked at: PAWS refuses only what wraps within a packet's life.
 *
 * Reasons (InetDiscard*): AckInvalid: an ACK beyond what could be acknowledged, or a handshake's that fits no
 * SYN, or none at all where there must be one. ExpectedSyn: SYN_SENT, no SYN and nothing that shows its
 * sender beyond one. Rst: a RST in SYN_SENT that acknowledges nothing of ours. OutsideWindow, ClosedWindow,
 * FinReceived: see above. LandAttack: a SYN from its own destination. ListenerInvalidFlags: a first SYN with
 * FIN or RST. SynRcvdSyn: another SYN after our SYN-ACK. MissedReset: a SYN on a connection that stands (the
 * other one has started anew). TimeWaitTcb: a SYN to TIME_WAIT from before its end. The names are documented,
 * their conditions are not: these are read from the names and RFC 9293.
 *
 * In the flow: host_flow.tcp, half[2]. next: first byte not seen in order; top: beyond the last seen.
 */
#include "host/tcp_inside.h"

#include <errno.h>
#include <string.h>

#define WAY_OFF (1u << 30)
#define NEARBY  (1u << 16)

#define FLAGS_SYN_ACK (WIRE_TCP_SYN | WIRE_TCP_ACK)

static bool known(const struct tcp_half *h)
{
    return (h->flags & TCP_HALF_KNOWN) != 0;
}

static void set_next(struct tcp_half *h, uint32_t seq)
{
    h->next = h->top = seq;
    h->flags |= TCP_HALF_KNOWN;
}

static void refuse(struct tcp_result *r, UINT32 reason)
{
    r->events |= TCP_REFUSED;
    r->reason = reason;
}

static void repeated(struct tcp_result *r)
{
    r->events |= TCP_RETRANSMITTED;
    r->reason = InetDiscardDuplicateSegment;
}

/* What the capture has of the payload. */
static uint32_t payload_captured(const struct wire_packet *p)
{
    uint32_t there = p->captured > p->data_at ? p->captured - p->data_at : 0;
    return there < p->data_length ? there : p->data_length;
}

/* ---- SYNs ---- */

static void read_syn(struct tcp_half *h, const struct wire_packet *p)
{
    uint32_t at = p->transport_at + 20, end = p->transport_at + p->transport_header_size;

    set_next(h, p->tcp_seq + 1);
    h->flags = TCP_HALF_KNOWN | TCP_HALF_SYN | (h->flags & TCP_HALF_RECORD);
    h->scale = 0;
    end = end < p->captured ? end : p->captured;
    while (at < end && p->frame[at] != 0) {
        if (p->frame[at] == 1) {
            at++;
            continue;
        }
        if (end - at < 2 || p->frame[at + 1] < 2 || p->frame[at + 1] > end - at)
            break;
        if (p->frame[at] == 3 && p->frame[at + 1] == 3) { /* window scale */
            h->scale = p->frame[at + 2] <= 14 ? p->frame[at + 2] : 14;
            h->flags |= TCP_HALF_SCALED;
        }
        at += p->frame[at + 1];
    }
}

/* The SYN of this half again: not yet anything behind it, or so little that no new number would fall there.
 */
static bool same_syn(const struct tcp_half *h, uint32_t seq)
{
    return known(h) && seq_before(seq, h->next) && h->next - seq <= NEARBY;
}

/* The window that this half's sender has open, in bytes; UINT32_MAX: nobody knows. */
static uint32_t window_of(const struct host_flow *f, int dir)
{
    const struct tcp_half *h = &f->half[dir], *other = &f->half[!dir];

    if ((h->flags & TCP_HALF_WINDOW) == 0)
        return UINT32_MAX;
    if (h->window == 0)
        return 0;
    if ((h->flags & other->flags & TCP_HALF_SYN) == 0)
        return UINT32_MAX;
    if ((h->flags & other->flags & TCP_HALF_SCALED) == 0)
        return h->window;
    return (uint32_t)h->window << h->scale;
}

bool tcp_syn_starts_anew(const struct host_flow *f, const struct wire_packet *p, bool out)
{
    const struct tcp_half *h = &f->half[out ? 0 : 1];

    switch ((enum tcp_state)f->tcp) {
    case TCP_NONE:
        return false;
    case TCP_SYN_SENT:
        return out && (p->tcp_flags & WIRE_TCP_ACK) == 0 && !same_syn(h, p->tcp_seq);
    case TCP_CLOSED:
        return out || (p->tcp_flags & WIRE_TCP_ACK) == 0;
    case TCP_SYN_RECEIVED:
        if (out) /* in a simultaneous opening its SYN stays the same */
            return known(h) && !same_syn(h, p->tcp_seq);
        return (p->tcp_flags & WIRE_TCP_ACK) == 0 && !same_syn(h, p->tcp_seq) && !known(&f->half[0]);
    case TCP_TIME_WAIT:
        if (same_syn(h, p->tcp_seq))
            return false;
        return out || ((p->tcp_flags & WIRE_TCP_ACK) == 0 && (!known(h) || seq_before(h->next, p->tcp_seq)));
    default:
        return out && !same_syn(h, p->tcp_seq);
    }
}

static void start_anew(struct lane *l, struct host_flow *f)
{
    tcp_forget(l, f);
    memset(f->half, 0, sizeof(f->half));
    f->tcp = TCP_NONE;
}

void tcp_adopt(struct host_flow *f, const struct wire_packet *p, bool out)
{
    memset(f->half, 0, sizeof(f->half));
    f->tcp = TCP_NONE;
    if ((p->tcp_flags & FLAGS_SYN_ACK) == WIRE_TCP_SYN)
        return;
    if ((p->tcp_flags & WIRE_TCP_ACK) != 0) {
        set_next(&f->half[out ? 1 : 0], p->tcp_ack);
        f->half[out ? 1 : 0].flags |= TCP_HALF_GUESSED;
    }
    if ((p->tcp_flags & WIRE_TCP_SYN) != 0) {
        f->tcp = out ? TCP_SYN_RECEIVED : TCP_SYN_SENT;
        return;
    }
    set_next(&f->half[out ? 0 : 1], p->tcp_seq);
    f->tcp = TCP_ESTABLISHED;
}

/* ---- ends ---- */

static void establish(struct host_flow *f, struct tcp_result *r)
{
    f->tcp = TCP_ESTABLISHED;
    r->events |= TCP_ESTABLISHED_NOW;
}

/* The FIN of `dir` is acknowledged. */
static void fin_acked(struct host_flow *f, int dir, struct tcp_result *r)
{
    struct tcp_half *h = &f->half[dir];

    if ((h->flags & TCP_HALF_FIN) == 0 || (h->flags & TCP_HALF_FIN_ACKED) != 0)
        return;
    h->flags |= TCP_HALF_FIN_ACKED;
    if (dir == 0)
        f->tcp = f->tcp == TCP_FIN_WAIT_1 ? TCP_FIN_WAIT_2
                 : f->tcp == TCP_CLOSING  ? TCP_TIME_WAIT
                 : f->tcp == TCP_LAST_ACK ? TCP_CLOSED
                                          : f->tcp;
    /* In LAST_ACK this host has acknowledged the other's FIN, whether that was seen or not. */
    if (f->tcp == TCP_CLOSED || (f->half[!dir].flags & TCP_HALF_FIN_ACKED) != 0)
        r->events |= TCP_CLOSED_NOW;
}

/* Everything up to the FIN of `dir` is there. */
static void fin_in_order(struct lane *l, struct host_flow *f, int dir, struct tcp_result *r)
{
    struct tcp_half *h = &f->half[dir];
    bool proved;

    h->next++;
    if (seq_before(h->top, h->next))
        h->top = h->next;
    h->flags |= TCP_HALF_FIN;
    r->events |= TCP_FIN_NOW;
    if (dir == 0)
        f->tcp = f->tcp == TCP_CLOSE_WAIT ? TCP_LAST_ACK : TCP_FIN_WAIT_1;
    else
        f->tcp = f->tcp == TCP_FIN_WAIT_1   ? TCP_CLOSING
                 : f->tcp == TCP_FIN_WAIT_2 ? TCP_TIME_WAIT
                                            : TCP_CLOSE_WAIT;
    proved = tcp_held_proved(l, f, dir, h->next);
    tcp_held_end(l, f, dir);
    if (proved)
        fin_acked(f, dir, r);
}

/* ---- data ---- */

static bool flowing(const struct host_flow *f)
{
    return f->tcp >= TCP_ESTABLISHED && f->tcp != TCP_CLOSED;
}

static void deliver(struct lane *l, struct host_flow *f, int dir, const struct tcp_piece *p, uint32_t lost,
                    struct tcp_result *r)
{
    r->out = dir == 0;
    r->lost = lost;
    r->events |= lost != 0 ? TCP_GAP : 0;
    if (p->size != 0) {
        r->events |= TCP_DATA;
        r->data = p->bytes;
        r->size = p->size;
    }
    tcp_held_cut(l, f, dir, p->length - p->size);
    if (p->fin)
        fin_in_order(l, f, dir, r);
}

bool tcp_more(struct lane *l, struct host_flow *f, struct tcp_result *r)
{
    struct tcp_piece piece;
    uint32_t lost;

    memset(r, 0, sizeof(*r));
    if ((f->half[0].flags & TCP_HALF_RECORD) == 0 || !flowing(f))
        return false;
    for (int dir = 0; dir < 2; dir++) {
        if (!tcp_held_next(l, f, dir, &piece, &lost))
            continue;
        deliver(l, f, dir, &piece, lost, r);
        return true;
    }
    return false;
}

/* Why this host is not bound to take the piece; 0: it is. */
static UINT32 beyond_window(const struct host_flow *f, const struct tcp_piece *p)
{
    uint32_t window = window_of(f, 0), ahead = p->seq - f->half[1].next;

    if (p->length == 0 || window == UINT32_MAX || seq_before(p->seq, f->half[1].next) || ahead < window)
        return 0;
    return window == 0 ? InetDiscardClosedWindow : InetDiscardOutsideWindow;
}

static void take(struct lane *l, struct host_flow *f, int dir, struct tcp_piece *p, struct tcp_result *r)
{
    struct tcp_half *h = &f->half[dir];
    uint32_t end = p->seq + p->length, past;

    if (p->length == 0 && !p->fin)
        return;
    if ((h->flags & TCP_HALF_FIN) != 0 && seq_before(h->next - 1, end) && p->length != 0 && dir == 1) {
        refuse(r, InetDiscardFinReceived);
        return;
    }
    past = h->next - p->seq;
    if (!seq_before(h->next, end + p->fin)) { /* nothing of it is new */
        repeated(r);
        return;
    }
    if ((h->flags & TCP_HALF_FIN) != 0)
        return;
    if (dir == 1 && !p->doubtful) {
        UINT32 reason = beyond_window(f, p);
        p->doubtful = reason != 0;
        if (reason != 0 && (r->events & TCP_ESTABLISHED_NOW) == 0) /* what completes the handshake counts */
            refuse(r, reason);
    }
    if (!p->doubtful)
        tcp_held_undoubt(l, f, dir, p->seq, end);
    if (seq_before(h->top, end + p->fin))
        h->top = end + p->fin;
    /* In order, and nothing waits that comes before it. */
    if (!p->doubtful && !seq_before(h->next, p->seq) && flowing(f) && !tcp_held_ready(l, f, dir)) {
        p->bytes += past < p->size ? past : p->size;
        p->size -= past < p->size ? past : p->size;
        p->length -= past;
        p->seq = h->next;
        if ((f->half[0].flags & TCP_HALF_RECORD) != 0)
            tcp_held_compare(l, f, dir, p->seq, p->bytes, p->size);
        h->next = end;
        deliver(l, f, dir, p, 0, r);
        return;
    }
    tcp_held_add(l, f, dir, p);
    if (!p->doubtful)
        r->events |= TCP_HELD_DATA;
}

/* ---- the segment ---- */

/* An acknowledgement of what `dir` sent. False: it cannot be. */
static bool acknowledge(struct lane *l, struct host_flow *f, int dir, uint32_t ack, struct tcp_result *r)
{
    struct tcp_half *h = &f->half[dir];
    uint32_t window = window_of(f, !dir);

    if (!known(h) || (h->flags & TCP_HALF_GUESSED) != 0) {
        set_next(h, ack);
        h->flags |= TCP_HALF_GUESSED;
        return true;
    }
    if (seq_before(h->next, ack)) {
        /* A window as it was: perhaps not the last one. */
        uint32_t most = window >= WAY_OFF ? WAY_OFF : window < NEARBY ? NEARBY : window;
        if (dir == 0 && seq_before(h->top, ack) && ack - h->top > most)
            return false;
        if ((h->flags & TCP_HALF_FIN) == 0)
            tcp_held_prove(l, f, dir, ack);
    } else if (ack == h->next) {
        fin_acked(f, dir, r);
    }
    return true;
}

static void reset(struct lane *l, struct host_flow *f, struct tcp_result *r)
{
    tcp_forget(l, f);
    f->tcp = TCP_CLOSED;
    r->events |= TCP_RESET_NOW;
}

static void segment_rst(struct lane *l, struct host_flow *f, const struct wire_packet *p, bool out,
                        struct tcp_result *r)
{
    const struct tcp_half *ours = &f->half[0], *theirs = &f->half[1];

    if (out) {
        if (f->tcp == TCP_SYN_SENT && (p->tcp_flags & WIRE_TCP_ACK) == 0 && p->tcp_seq != ours->next)
            return; /* it answers a stray segment, and goes on trying */
        if (f->tcp != TCP_CLOSED && f->tcp != TCP_TIME_WAIT)
            reset(l, f, r);
        return;
    }
    if (f->tcp == TCP_CLOSED) {
        repeated(r);
        return;
    }
    if (f->tcp == TCP_SYN_SENT) {
        if ((p->tcp_flags & WIRE_TCP_ACK) == 0 || p->tcp_ack - ours->next > ours->top - ours->next)
            refuse(r, InetDiscardRst);
        else
            reset(l, f, r);
        return;
    }
    if (known(
            theirs)) { /* its sender may know less than was seen of it, and the capture less than this host */
        uint32_t window = window_of(f, 0);
        window = window >= WAY_OFF ? WAY_OFF : window < NEARBY ? NEARBY : window;
        if (p->tcp_seq - theirs->next + NEARBY > window + NEARBY) {
            refuse(r, f->tcp == TCP_TIME_WAIT ? InetDiscardTimeWaitTcbReceivedRstOutsideWindow
                                              : InetDiscardOutsideWindow);
            return;
        }
    }
    reset(l, f, r);
}

/* What comes with a SYN waits for somebody to acknowledge it (fast open). */
static void data_on_syn(struct lane *l, struct host_flow *f, const struct wire_packet *p, int dir,
                        struct tcp_result *r)
{
    struct tcp_piece piece = {.seq = p->tcp_seq + 1,
                              .bytes = p->frame + p->data_at,
                              .size = payload_captured(p),
                              .length = p->data_length,
                              .doubtful = true};
    if (piece.length != 0)
        take(l, f, dir, &piece, r);
}

static void segment_syn(struct lane *l, struct host_flow *f, const struct wire_packet *p, bool out,
                        struct tcp_result *r)
{
    int dir = out ? 0 : 1;
    struct tcp_half *h = &f->half[dir];
    bool again = same_syn(h, p->tcp_seq);

    if (!out && f->tcp == TCP_NONE && (f->flags & FLOW_LOOPBACK) == 0 &&
        f->key.local_port == f->key.remote_port && wire_addr_equal(&f->key.local, &f->key.remote)) {
        refuse(r, InetDiscardLandAttack);
        return;
    }
    if (!out && f->tcp == TCP_NONE && (p->tcp_flags & WIRE_TCP_FIN) != 0) {
        refuse(r, InetDiscardListenerInvalidFlags);
        return;
    }
    switch ((enum tcp_state)f->tcp) {
    case TCP_NONE:
        f->tcp = out ? TCP_SYN_SENT : TCP_SYN_RECEIVED;
        break;
    case TCP_SYN_SENT:
        if (!out)
            f->tcp = TCP_SYN_RECEIVED; /* simultaneous */
        break;
    case TCP_SYN_RECEIVED:
        if (!out && !again) {
            refuse(r, InetDiscardSynRcvdSyn);
            return;
        }
        break;
    case TCP_TIME_WAIT:
        if (!out) {
            refuse(r, InetDiscardTimeWaitTcb);
            return;
        }
        break;
    default:
        if (!again) {
            if (!out)
                refuse(r, InetDiscardMissedReset);
            return;
        }
        break;
    }
    r->events |= TCP_SAW_SYN;
    if (again) {
        repeated(r);
        return;
    }
    read_syn(h, p);
    data_on_syn(l, f, p, dir, r);
}

static void segment_syn_ack(struct lane *l, struct host_flow *f, const struct wire_packet *p, bool out,
                            struct tcp_result *r)
{
    int dir = out ? 0 : 1;
    struct tcp_half *h = &f->half[dir], *other = &f->half[!dir];
    bool again = same_syn(h, p->tcp_seq);

    switch ((enum tcp_state)f->tcp) {
    case TCP_NONE:
    case TCP_SYN_SENT:
    case TCP_SYN_RECEIVED:
        break;
    default:
        if (again) {
            r->events |= TCP_SAW_SYN_ACK;
            repeated(r);
            (void)acknowledge(l, f, !dir, p->tcp_ack, r);
        } else if (!out) {
            refuse(r, InetDiscardMissedReset);
        }
        return;
    }
    /* It acknowledges our SYN, and perhaps data that came with it. */
    if (!out && known(other) && p->tcp_ack - other->next > other->top - other->next) {
        refuse(r, InetDiscardAckInvalid);
        return;
    }
    if (!out && f->tcp == TCP_SYN_RECEIVED && known(h) && !again) {
        refuse(r, InetDiscardSynRcvdSyn);
        return;
    }
    r->events |= TCP_SAW_SYN_ACK;
    if (again)
        repeated(r);
    else
        read_syn(h, p);
    h->window = p->tcp_window;
    h->flags |= TCP_HALF_WINDOW;
    if (out)
        f->tcp = TCP_SYN_RECEIVED;
    else
        establish(f, r);
    if (out && known(other) && (p->tcp_ack - other->next > other->top - other->next))
        set_next(other, p->tcp_ack); /* the SYN that it answers is not in the capture */
    if (!acknowledge(l, f, !dir, p->tcp_ack, r))
        return;
    if (!again)
        data_on_syn(l, f, p, dir, r);
}

/* The handshake, as far as a segment without SYN and RST goes on with it. False: refused. */
static bool handshake(struct host_flow *f, const struct wire_packet *p, bool out, struct tcp_result *r)
{
    bool ack = (p->tcp_flags & WIRE_TCP_ACK) != 0;
    const struct tcp_half *ours = &f->half[0];

    if (f->tcp == TCP_NONE) {
        tcp_adopt(f, p, out);
        return true;
    }
    if (out) {
        establish(f, r);
        return true;
    }
    if (!ack) {
        refuse(r, f->tcp == TCP_SYN_SENT ? InetDiscardExpectedSyn : InetDiscardAckInvalid);
        return false;
    }
    if (known(ours) && p->tcp_ack - ours->next > ours->top - ours->next) {
        refuse(r, InetDiscardAckInvalid);
        return false;
    }
    if (f->tcp == TCP_SYN_SENT && p->data_length == 0 && (p->tcp_flags & WIRE_TCP_FIN) == 0) {
        refuse(r,
               InetDiscardExpectedSyn); /* with data, its sender is beyond a SYN-ACK that was not captured */
        return false;
    }
    establish(f, r);
    return true;
}

static void segment_other(struct lane *l, struct host_flow *f, const struct wire_packet *p, bool out,
                          struct tcp_result *r)
{
    int dir = out ? 0 : 1;
    struct tcp_half *h = &f->half[dir];
    bool ack = (p->tcp_flags & WIRE_TCP_ACK) != 0;
    struct tcp_piece piece = {.seq = p->tcp_seq,
                              .bytes = p->frame + p->data_at,
                              .size = payload_captured(p),
                              .length = p->data_length,
                              .fin = (p->tcp_flags & WIRE_TCP_FIN) != 0};

    if (f->tcp == TCP_CLOSED) {
        if (!out)
            refuse(r, InetDiscardTcbRemoved);
        return;
    }
    if (f->tcp < TCP_ESTABLISHED && !handshake(f, p, out, r))
        return;
    if (!ack && !out) {
        refuse(r, InetDiscardAckInvalid);
        return;
    }
    if (!known(h) || (h->flags & TCP_HALF_GUESSED) != 0) { /* its stream begins here, for who watches */
        set_next(h, p->tcp_seq);
        h->flags &= (uint8_t)~TCP_HALF_GUESSED;
    }
    if (ack && !acknowledge(l, f, !dir, p->tcp_ack, r)) {
        if (!out)
            refuse(r, InetDiscardAckInvalid);
        return;
    }
    take(l, f, dir, &piece, r);
    if (ack) {
        h->window = p->tcp_window;
        h->flags |= TCP_HALF_WINDOW;
    }
}

/*
 * Most segments: of an established connection of which nothing is held, an acknowledgement of nothing new that is
 * unseen, with data in order or none. What segment_other() does comes down to this. False: it is another.
 */
static bool segment_plain(struct host_flow *f, const struct wire_packet *p, bool out, struct tcp_result *r)
{
    struct tcp_half *h = &f->half[out ? 0 : 1];
    const struct tcp_half *other = &f->half[out ? 1 : 0];
    const uint8_t none = TCP_HALF_FIN | TCP_HALF_FIN_ACKED | TCP_HALF_GUESSED | TCP_HALF_RECORD;

    if (f->tcp != TCP_ESTABLISHED ||
        (p->tcp_flags & (WIRE_TCP_SYN | WIRE_TCP_RST | WIRE_TCP_FIN | WIRE_TCP_ACK)) != WIRE_TCP_ACK ||
        (h->flags & other->flags & TCP_HALF_KNOWN) == 0 || ((h->flags | other->flags) & none) != 0 ||
        seq_before(other->next, p->tcp_ack))
        return false;
    if (p->data_length != 0) {
        if (p->tcp_seq != h->next || p->captured < p->data_at || p->captured - p->data_at < p->data_length ||
            (!out && other->window == 0 && (other->flags & TCP_HALF_WINDOW) != 0))
            return false;
        h->next += p->data_length;
        if (seq_before(h->top, h->next))
            h->top = h->next;
        r->events = TCP_DATA;
        r->data = p->frame + p->data_at;
        r->size = p->data_length;
    }
    h->window = p->tcp_window;
    h->flags |= TCP_HALF_WINDOW;
    return true;
}

void tcp_segment(struct lane *l, struct host_flow *f, const struct wire_packet *p, bool out,
                 struct tcp_result *r)
{
    r->events = r->reason = 0; /* one by one: GCC would clear it by "rep stos" */
    r->out = out;
    r->data = NULL;
    r->size = r->lost = 0;
    if (__builtin_expect(!l->host->config.knobs.long_way && segment_plain(f, p, out, r), 1))
        return;
    if (tcp_starts_anew(f, p, out)) {
        start_anew(l, f);
        r->events |= TCP_NEW_CONNECTION;
    }
    if ((p->tcp_flags & WIRE_TCP_RST) != 0)
        segment_rst(l, f, p, out, r);
    else if ((p->tcp_flags & FLAGS_SYN_ACK) == FLAGS_SYN_ACK)
        segment_syn_ack(l, f, p, out, r);
    else if ((p->tcp_flags & WIRE_TCP_SYN) != 0)
        segment_syn(l, f, p, out, r);
    else
        segment_other(l, f, p, out, r);
    if ((f->half[0].flags & TCP_HALF_RECORD) != 0 && flowing(f) &&
        (tcp_held_ready(l, f, 0) || tcp_held_ready(l, f, 1)))
        r->events |= TCP_MORE;
    if ((r->events & (TCP_CLOSED_NOW | TCP_RESET_NOW)) != 0) /* the packet has some layers to go until then */
        ale_endpoint_prefetch_end(l, f->endpoint);
}
