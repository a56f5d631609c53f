/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp_in: segments in, in the order of RFC 9293, 3.10.7, with RFC 5961's care about resets and RFC 7323's
 * timestamps.
 *
 *   tcp_input() -> whose? -> LISTEN: a child | SYN_SENT: the answer | others: sequence, RST, SYN, ACK, data, FIN
 *
 * Nobody's: a reset. What does not fit the window is answered by an ACK; of those that carry nothing not more than a
 * hundred a second leave, so that two ends that disagree do not talk for ever.
 */
#include "stack/internal.h"

enum { CHALLENGES = 100, ACK_EVERY = 2 };
#define ACK_DELAY    (40 * MILLISECOND)
#define STAMP_OLD_NS (24ull * 86400 * SECOND)

struct arrival {
    const struct wire_packet *packet;
    struct tcp_options options;
    const uint8_t *data;
    uint32_t sequence, ack, length; /* of data */
    uint32_t window;
    uint8_t flags;
};

static bool has(const struct arrival *a, unsigned flag)
{
    return (a->flags & flag) != 0;
}

static void challenge(struct tcp_socket *t)
{
    struct stack *s = t->socket.stack;

    if (s->now / SECOND != s->challenge_second) {
        s->challenge_second = s->now / SECOND;
        s->challenges = 0;
    }
    if (s->challenges++ < CHALLENGES)
        tcp_send_ack(t);
}

/* ---- opening -------------------------------------------------------------------------------------------- */

/* What its SYN says. */
static void learn(struct tcp_socket *t, const struct arrival *a)
{
    t->irs = a->sequence;
    t->rcv_nxt = t->rcv_adv = t->last_ack_sent = a->sequence + 1;
    t->peer_mss = a->options.mss;
    t->scaled &= a->options.has_scale;
    t->scale_in = t->scaled ? a->options.scale : 0;
    t->sack &= a->options.sack_permitted;
    t->stamps &= a->options.has_ts;
    if (t->stamps) {
        t->ts_recent = a->options.ts_value;
        t->ts_recent_ns = t->socket.stack->now;
    }
    t->snd_wnd = t->snd_wnd_most = a->packet->tcp_window; /* never scaled on a SYN */
    t->snd_wl1 = a->sequence;
    t->snd_wl2 = a->ack;
    tcp_find_mss(t);
}

static void listen_input(struct tcp_socket *l, const struct arrival *a)
{
    const struct wire_packet *p = a->packet;
    struct stack *s = l->socket.stack;
    struct stack_socket *k;
    struct tcp_socket *t;
    struct segment *g;

    if (has(a, WIRE_TCP_RST))
        return;
    if (has(a, WIRE_TCP_ACK) || !has(a, WIRE_TCP_SYN)) {
        if (has(a, WIRE_TCP_ACK))
            tcp_answer_reset(s, p);
        return;
    }
    if (l->waiting >= l->backlog) { /* as Windows does: its caller sees WSAECONNREFUSED */
        tcp_answer_reset(s, p);
        return;
    }
    k = socket_new(s, p->version, WIRE_PROTOCOL_TCP);
    if (k == NULL)
        return;
    t = tcp_of(k);
    k->owned = false;
    k->user = l->socket.user;
    k->local = p->destination;
    k->remote = p->source;
    k->local_port = p->destination_port;
    k->remote_port = p->source_port;
    g = segments_push(&t->sent);
    if (g == NULL || socket_enter_tables(k, false, true) != 0) {
        stack_bury(k);
        return;
    }
    t->passive = true;
    t->listener = l;
    l->waiting++;
    learn(t, a);
    t->iss = t->snd_una = t->snd_nxt = t->snd_left = tcp_first_sequence(t);
    t->snd_max = t->iss + 1;
    *g = (struct segment){.sequence = t->iss, .length = 1, .flags = WIRE_TCP_SYN};
    tcp_set(t, TCP_SYN_RECEIVED);
    t->snd_nxt++;
    tcp_send_again(t, g);
    s->counts.retransmitted--; /* it is the first time */
    if (k->dead)
        return;
    tcp_again_later(t);
    tcp_arm(t);
}

static void syn_sent_input(struct tcp_socket *t, const struct arrival *a)
{
    const bool acks = has(a, WIRE_TCP_ACK);

    if (t->socket.held || t->sent.count == 0) {
        tcp_answer_reset(t->socket.stack, a->packet); /* nothing of it has left */
        return;
    }
    if (acks && (seq_le(a->ack, t->iss) || seq_lt(t->snd_max, a->ack))) {
        tcp_answer_reset(t->socket.stack, a->packet);
        return;
    }
    if (has(a, WIRE_TCP_RST)) {
        if (acks) {
            t->socket.error = -ECONNREFUSED;
            tcp_end(t, STACK_RESET);
        }
        return;
    }
    if (!has(a, WIRE_TCP_SYN))
        return;
    learn(t, a);
    if (!acks) { /* both at once */
        tcp_set(t, TCP_SYN_RECEIVED);
        tcp_send_again(t, segments_at(&t->sent, 0));
        if (!t->socket.dead)
            tcp_arm(t);
        return;
    }
    tcp_acknowledged(t, a->ack, &a->options);
    t->again_at = NEVER;
    t->ack_now = true;
    tcp_established(t);
    tcp_output(t);
}

/* ---- data ----------------------------------------------------------------------------------------------- */

/* Notes [first, end) as there. False: no room for one more piece. */
static bool range_add(struct tcp_socket *t, uint32_t first, uint32_t end)
{
    uint32_t i = 0, j;

    while (i < t->range_count && seq_lt(t->ranges[i].end, first))
        i++;
    j = i;
    while (j < t->range_count && seq_le(t->ranges[j].first, end))
        j++;
    if (i == j) { /* touches none */
        if (t->range_count == RANGES)
            return false;
        memmove(&t->ranges[i + 1], &t->ranges[i], (t->range_count - i) * sizeof(struct range));
        t->range_count++;
        t->ranges[i] = (struct range){first, end};
        return true;
    }
    if (seq_lt(first, t->ranges[i].first))
        t->ranges[i].first = first;
    if (seq_lt(end, t->ranges[j - 1].end))
        end = t->ranges[j - 1].end;
    t->ranges[i].end = end;
    memmove(&t->ranges[i + 1], &t->ranges[j], (t->range_count - j) * sizeof(struct range));
    t->range_count -= j - i - 1;
    return true;
}

/* What is in order now, after rcv_nxt moved. */
static void ranges_join(struct tcp_socket *t)
{
    uint32_t gone = 0;

    while (gone < t->range_count && seq_le(t->ranges[gone].first, t->rcv_nxt)) {
        if (seq_lt(t->rcv_nxt, t->ranges[gone].end)) {
            t->socket.in.used += t->ranges[gone].end - t->rcv_nxt;
            t->rcv_nxt = t->ranges[gone].end;
        }
        gone++;
    }
    t->range_count -= gone;
    memmove(t->ranges, t->ranges + gone, t->range_count * sizeof(struct range));
}

static void in_order(struct tcp_socket *t, uint32_t n)
{
    const bool gaps = t->range_count != 0;

    t->rcv_nxt += n;
    t->socket.in.used += n;
    ranges_join(t);
    stack_tell(&t->socket, STACK_EVENT_READABLE);
    if (gaps || ++t->unacked >= ACK_EVERY)
        t->ack_now = true;
    else if (t->ack_at == NEVER)
        t->ack_at = t->socket.stack->now + ACK_DELAY;
}

/* The part of it that is new and within the window. */
static void take_data(struct tcp_socket *t, struct arrival *a, bool *fin)
{
    struct ring *in = &t->socket.in;
    struct stack *s = t->socket.stack;
    uint32_t window = t->rcv_adv - t->rcv_nxt, offset;

    if (seq_lt(a->sequence, t->rcv_nxt)) {
        uint32_t old = t->rcv_nxt - a->sequence;

        if (old > a->length) {
            old = a->length;
            *fin = false;
        }
        s->counts.duplicates++;
        t->ack_now = true;
        a->data += old;
        a->length -= old;
        a->sequence += old;
    }
    offset = a->sequence - t->rcv_nxt;
    if (a->length > window - (offset < window ? offset : window)) {
        a->length = window - (offset < window ? offset : window);
        *fin = false;
        t->ack_now = true;
    }
    if (a->length == 0)
        return;
    if (!ring_reserve(in, in->used + offset + a->length) ||
        (offset != 0 && !range_add(t, a->sequence, a->sequence + a->length))) {
        s->counts.discarded++;
        *fin = false;
        return;
    }
    ring_write(in, in->used + offset, a->data, a->length);
    if (offset == 0) {
        in_order(t, a->length);
        return;
    }
    t->latest = a->sequence;
    t->ack_now = true;
    s->counts.out_of_order++;
}

static void fin_came(struct tcp_socket *t)
{
    t->fin_came = true;
    t->rcv_nxt++;
    t->ack_now = true;
    t->range_count = 0;
    if (t->tcp == TCP_ESTABLISHED)
        tcp_set(t, TCP_CLOSE_WAIT);
    else if (t->tcp == TCP_FIN_WAIT_1)
        tcp_set(t, TCP_CLOSING);
    else if (t->tcp == TCP_FIN_WAIT_2)
        tcp_set(t, TCP_TIME_WAIT);
    stack_tell(&t->socket, STACK_EVENT_READABLE);
}

/* False: the connection is over. */
static bool take(struct tcp_socket *t, struct arrival *a)
{
    bool fin = has(a, WIRE_TCP_FIN);

    if (t->tcp != TCP_ESTABLISHED && t->tcp != TCP_FIN_WAIT_1 && t->tcp != TCP_FIN_WAIT_2) {
        if (a->length != 0 || fin)
            t->ack_now = true;
        return true;
    }
    if (a->length != 0 && !t->socket.owned && t->listener == NULL &&
        seq_lt(t->rcv_nxt, a->sequence + a->length)) { /* nobody will read it (RFC 9293, 3.6.1) */
        tcp_send_reset(t);
        tcp_end(t, STACK_RESET);
        return false;
    }
    take_data(t, a, &fin);
    if (fin && !t->fin_known) {
        t->fin_known = true;
        t->fin_at = a->sequence + a->length;
        if (t->fin_at != t->rcv_nxt)
            t->ack_now = true;
    }
    if (t->fin_known && t->rcv_nxt == t->fin_at)
        fin_came(t);
    return true;
}

/* ---- acknowledgements ----------------------------------------------------------------------------------- */

static void after_fin(struct tcp_socket *t)
{
    if (t->tcp == TCP_FIN_WAIT_1)
        tcp_set(t, TCP_FIN_WAIT_2);
    else if (t->tcp == TCP_CLOSING)
        tcp_set(t, TCP_TIME_WAIT);
    else if (t->tcp == TCP_LAST_ACK)
        tcp_end(t, STACK_CLOSED);
}

/* False: nothing more of it counts. */
static bool take_ack(struct tcp_socket *t, const struct arrival *a, bool carries)
{
    const bool progress = seq_lt(t->snd_una, a->ack);

    if (seq_lt(t->snd_max, a->ack) || seq_lt(a->ack, t->snd_una - t->snd_wnd_most)) {
        challenge(t);
        return false;
    }
    if (progress) {
        tcp_acknowledged(t, a->ack, &a->options);
        tcp_again_later(t);
    } else if (a->ack == t->snd_una) {
        if (!carries && a->window == t->snd_wnd && t->sent.count != 0 && t->duplicates < UINT8_MAX)
            t->duplicates++;
        if (t->snd_wnd == 0)
            t->tries = 0; /* it is there, and its window is shut */
    }
    if (seq_le(t->snd_una, a->ack) &&
        (seq_lt(t->snd_wl1, a->sequence) || (t->snd_wl1 == a->sequence && seq_le(t->snd_wl2, a->ack)))) {
        if (t->snd_wnd == 0 && a->window != 0) {
            t->tries = t->backoff = 0;
            t->again_at = NEVER;
            tcp_again_later(t);
        }
        t->snd_wnd = a->window;
        t->snd_wl1 = a->sequence;
        t->snd_wl2 = a->ack;
        if (a->window > t->snd_wnd_most)
            t->snd_wnd_most = a->window;
    }
    if (t->sack && a->options.blocks != 0)
        tcp_selective(t, &a->options);
    tcp_find_lost(t);
    if (progress && t->fin_acked)
        after_fin(t);
    return t->tcp != TCP_CLOSED && !t->socket.dead;
}

/* ---- segments of a connection --------------------------------------------------------------------------- */

static void reset_came(struct tcp_socket *t, const struct arrival *a)
{
    if (a->sequence != t->rcv_nxt) {
        challenge(t);
        return;
    }
    if (t->tcp == TCP_TIME_WAIT)
        return; /* RFC 1337 */
    tcp_end(t, t->tcp == TCP_LAST_ACK || t->tcp == TCP_CLOSING ? STACK_CLOSED : STACK_RESET);
}

/* Is it of an earlier time? (PAWS) */
static bool is_stale(const struct tcp_socket *t, const struct arrival *a)
{
    return t->stamps && a->options.has_ts && !has(a, WIRE_TCP_RST) &&
           seq_lt(a->options.ts_value, t->ts_recent) && t->socket.stack->now - t->ts_recent_ns < STAMP_OLD_NS;
}

static bool in_window(const struct tcp_socket *t, const struct arrival *a, uint32_t length)
{
    uint32_t end = a->sequence + length;

    /* The right edge itself counts: who has filled the window acknowledges from there. */
    if (seq_lt(t->rcv_adv, a->sequence))
        return false;
    return length == 0 ? seq_le(t->rcv_nxt, a->sequence) : seq_lt(t->rcv_nxt, end);
}

static void synchronized_input(struct tcp_socket *t, struct arrival *a)
{
    uint32_t length;

    if (t->tcp == TCP_SYN_RECEIVED && has(a, WIRE_TCP_SYN) && a->sequence == t->irs) {
        if (!has(a, WIRE_TCP_ACK) || a->ack != t->snd_max) {
            tcp_send_again(t, segments_at(&t->sent, 0)); /* it has not heard us */
            return;
        }
        a->flags &= (uint8_t)~WIRE_TCP_SYN; /* both opened at once, and this acknowledges */
        a->sequence++;
    }
    length = a->length + has(a, WIRE_TCP_SYN) + has(a, WIRE_TCP_FIN);
    if (is_stale(t, a) || (t->stamps && !a->options.has_ts && !has(a, WIRE_TCP_RST)) ||
        !in_window(t, a, length)) {
        if (has(a, WIRE_TCP_RST))
            return;
        t->socket.stack->counts.duplicates++;
        if (t->tcp == TCP_TIME_WAIT && has(a, WIRE_TCP_FIN))
            tcp_set(t, TCP_TIME_WAIT); /* its time begins again */
        if (length != 0)
            tcp_send_ack(t);
        else
            challenge(t);
        if (!t->socket.dead)
            tcp_arm(t);
        return;
    }
    if (has(a, WIRE_TCP_RST)) {
        reset_came(t, a);
        return;
    }
    if (has(a, WIRE_TCP_SYN)) {
        challenge(t);
        return;
    }
    if (!has(a, WIRE_TCP_ACK))
        return;
    if (t->stamps && seq_le(a->sequence, t->last_ack_sent) && seq_le(t->ts_recent, a->options.ts_value)) {
        t->ts_recent = a->options.ts_value;
        t->ts_recent_ns = t->socket.stack->now;
    }
    if (t->tcp == TCP_SYN_RECEIVED) {
        if (seq_le(a->ack, t->snd_una) || seq_lt(t->snd_max, a->ack)) {
            tcp_answer_reset(t->socket.stack, a->packet);
            return;
        }
        tcp_acknowledged(t, a->ack, &a->options);
        t->again_at = NEVER;
        t->snd_wl1 = a->sequence - 1; /* its window counts */
        tcp_established(t);
    } else if (t->tcp == TCP_FIN_WAIT_1 && t->snd_una == t->iss) { /* let go before it was answered */
        t->snd_wl1 = a->sequence - 1;
    }
    if (!take_ack(t, a, a->length != 0 || has(a, WIRE_TCP_FIN)) || !take(t, a))
        return;
    tcp_output(t);
}

/* A new connection of the same ends as one that only lasts (RFC 6191). */
static bool is_reborn(const struct tcp_socket *t, const struct arrival *a)
{
    return t->tcp == TCP_TIME_WAIT && has(a, WIRE_TCP_SYN) && !has(a, WIRE_TCP_ACK) &&
           !has(a, WIRE_TCP_RST) &&
           (seq_lt(t->rcv_nxt, a->sequence) ||
            (t->stamps && a->options.has_ts && seq_lt(t->ts_recent, a->options.ts_value)));
}

static struct stack_socket *find_listener(const struct stack *s, const struct wire_packet *p)
{
    struct stack_socket *k = NULL, *best = NULL;

    while ((k = socket_bound(s, p->version, WIRE_PROTOCOL_TCP, &p->destination, p->destination_port, k)) !=
           NULL) {
        if (k->state == STACK_LISTENING && (best == NULL || !wire_addr_is_unspecified(k->version, &k->local)))
            best = k;
    }
    return best;
}

void tcp_input(struct stack *s, const struct wire_packet *p)
{
    struct arrival a = {.packet = p,
                        .data = p->frame + p->data_at,
                        .sequence = p->tcp_seq,
                        .ack = p->tcp_ack,
                        .length = p->data_length,
                        .window = p->tcp_window,
                        .flags = p->tcp_flags};
    struct stack_socket *k;

    if (net_address(s, p->version, &p->destination) == NULL ||
        wire_addr_is_unspecified(p->version, &p->source)) {
        s->counts.discarded++;
        return;
    }
    tcp_options_read(p->frame + p->transport_at, p->transport_header_size, &a.options);
    k = socket_find(s, p->version, WIRE_PROTOCOL_TCP, &p->destination, p->destination_port, &p->source,
                    p->source_port);
    if (k != NULL && is_reborn(tcp_of(k), &a) && find_listener(s, p) != NULL) {
        tcp_end(tcp_of(k), STACK_CLOSED);
        k = NULL;
    }
    if (k == NULL)
        k = find_listener(s, p);
    if (k == NULL) {
        tcp_answer_reset(s, p);
        return;
    }
    if ((a.flags & WIRE_TCP_SYN) == 0)
        a.window <<= tcp_of(k)->scale_in;
    if (tcp_of(k)->tcp == TCP_LISTEN)
        listen_input(tcp_of(k), &a);
    else if (tcp_of(k)->tcp == TCP_SYN_SENT)
        syn_sent_input(tcp_of(k), &a);
    else
        synchronized_input(tcp_of(k), &a);
}
