/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp_out: segments out.
 *
 *   tcp_output() -> what is lost, oldest first -> what is new, as far as the window goes -> the ACK that is due
 *
 * What is given to tcp_send() leaves at once, in pieces of the MSS (no Nagle, no congestion control). A piece that the
 * window cuts short waits unless nothing is under way (RFC 9293, 3.8.6.2.1). FIN goes with the last data when the
 * window has room for it. An ACK goes with everything; alone for every second segment, or 40 ms after the first.
 *
 * config.send() is called from here. It may end the connection (dead), or cause more output: that is put off
 * until the one under way is through (in_output).
 */
#include "stack/internal.h"

enum { MOST_OPTIONS = 40 };

/* ---- one segment ---------------------------------------------------------------------------------------- */

/* The window that is told with it. */
static uint32_t tell_window(struct tcp_socket *t, bool syn)
{
    uint32_t window = tcp_window(t), scale = syn || !t->scaled ? 0 : t->scale_out, field;

    field = (window + (1u << scale) - 1) >> scale;
    if (field > UINT16_MAX)
        field = UINT16_MAX;
    if (seq_lt(t->rcv_adv, t->rcv_nxt + (field << scale)))
        t->rcv_adv = t->rcv_nxt + (field << scale);
    return field;
}

/* `length` bytes from `offset` of `out`. */
static enum stack_sent transmit(struct tcp_socket *t, uint8_t flags, uint32_t sequence, uint32_t offset,
                                uint32_t length, bool begins)
{
    struct stack_socket *k = &t->socket;
    const bool acks = t->tcp != TCP_SYN_SENT, syn = (flags & WIRE_TCP_SYN) != 0;
    struct outgoing o = {.socket = k,
                         .source = &k->local,
                         .destination = &k->remote,
                         .version = k->version,
                         .protocol = WIRE_PROTOCOL_TCP,
                         .begins = begins,
                         .keep_whole = true};
    uint8_t *h = ip_begin(k->stack, k->version, TCP_HEADER + MOST_OPTIONS + length);
    const uint32_t left = t->snd_left;
    enum stack_sent sent;
    uint32_t size, end;
    int why;

    if (h == NULL)
        return STACK_SENT; /* lost, as it were */
    if (acks)
        flags |= WIRE_TCP_ACK;
    size = TCP_HEADER + tcp_options_write(t, flags, h + TCP_HEADER);
    put16(h, k->local_port);
    put16(h + 2, k->remote_port);
    put32(h + 4, sequence);
    put32(h + 8, acks ? t->rcv_nxt : 0);
    h[12] = (uint8_t)(size / 4 << 4);
    h[13] = flags;
    put16(h + 14, (flags & WIRE_TCP_RST) != 0 ? 0 : tell_window(t, syn));
    put32(h + 16, 0);
    ring_read(&k->out, offset, h + size, length);
    if (acks) {
        t->last_ack_sent = t->rcv_nxt;
        t->unacked = 0;
        t->ack_at = NEVER;
        t->ack_now = false;
    }
    k->asking = begins;
    if (begins)
        k->answer = 0;
    end = sequence + length + syn + ((flags & WIRE_TCP_FIN) != 0);
    if (seq_lt(t->snd_left, end))
        t->snd_left = end;
    sent = ip_send(k->stack, &o, size + length, 16, &why);
    k->asking = false;
    if (sent != STACK_SENT && t->snd_left == end)
        t->snd_left = left;
    return sent;
}

static void note_sent(struct tcp_socket *t, struct segment *g)
{
    g->sent_ns = t->socket.stack->now;
    g->serial = ++t->serial;
    if (g->times < UINT16_MAX)
        g->times++;
}

void tcp_send_again(struct tcp_socket *t, struct segment *g)
{
    const uint32_t syn = (g->flags & WIRE_TCP_SYN) != 0, fin = (g->flags & WIRE_TCP_FIN) != 0;
    uint32_t length = g->length - syn - fin;

    if (g->lost) {
        g->lost = false;
        t->lost--;
    }
    note_sent(t, g);
    t->socket.stack->counts.retransmitted++;
    transmit(t, g->flags | (length != 0 ? WIRE_TCP_PSH : 0), g->sequence, g->sequence - t->snd_una, length,
             false);
}

void tcp_begin(struct tcp_socket *t, bool ask)
{
    struct stack_socket *k = &t->socket;
    struct segment *g;
    enum stack_sent sent;

    do {
        sent = transmit(t, WIRE_TCP_SYN, t->iss, 0, 0, ask);
        ask = false;
    } while (sent == STACK_HELD && k->answer > 0 && !k->dead && (k->answer = 0, true));
    if (k->dead || t->tcp != TCP_SYN_SENT)
        return;
    if (sent == STACK_HELD && k->answer == 0) {
        k->held = true;
        return;
    }
    if (sent == STACK_HELD || sent == STACK_DENIED) {
        tcp_end(t, STACK_REFUSED);
        return;
    }
    g = segments_push(&t->sent); /* tcp_connect() has made room */
    *g = (struct segment){.sequence = t->iss, .length = 1, .flags = WIRE_TCP_SYN};
    note_sent(t, g);
    t->snd_nxt = t->snd_max = t->iss + 1;
    tcp_again_later(t);
    tcp_arm(t);
}

void tcp_send_ack(struct tcp_socket *t)
{
    transmit(t, 0, t->snd_nxt, 0, 0, false);
}

/* Below the window, so that it has to be answered. */
void tcp_send_probe(struct tcp_socket *t)
{
    transmit(t, 0, t->snd_una - 1, 0, 0, false);
}

void tcp_send_reset(struct tcp_socket *t)
{
    t->socket.stack->counts.reset_sent++;
    transmit(t, WIRE_TCP_RST, t->snd_left, 0, 0, false);
}

void tcp_answer_reset(struct stack *s, const struct wire_packet *p)
{
    struct outgoing o = {.version = p->version,
                         .protocol = WIRE_PROTOCOL_TCP,
                         .source = &p->destination,
                         .destination = &p->source};
    const bool acks = (p->tcp_flags & WIRE_TCP_ACK) == 0;
    uint32_t length =
        p->data_length + ((p->tcp_flags & WIRE_TCP_SYN) != 0) + ((p->tcp_flags & WIRE_TCP_FIN) != 0);
    uint8_t *h;
    int why;

    if ((p->tcp_flags & WIRE_TCP_RST) != 0)
        return;
    h = ip_begin(s, p->version, TCP_HEADER);
    if (h == NULL)
        return;
    put16(h, p->destination_port);
    put16(h + 2, p->source_port);
    put32(h + 4, acks ? 0 : p->tcp_ack);
    put32(h + 8, acks ? p->tcp_seq + length : 0);
    h[12] = TCP_HEADER / 4 << 4;
    h[13] = WIRE_TCP_RST | (acks ? WIRE_TCP_ACK : 0);
    put16(h + 14, 0);
    put32(h + 16, 0);
    s->counts.reset_sent++;
    (void)ip_send(s, &o, TCP_HEADER, 16, &why);
}

/* ---- what may be sent ----------------------------------------------------------------------------------- */

/* The oldest lost one, if the window has room for it. */
static bool send_lost(struct tcp_socket *t)
{
    for (uint32_t i = 0; i < t->sent.count && t->lost != 0; i++) {
        struct segment *g = segments_at(&t->sent, i);

        if (!g->lost)
            continue;
        if (i != 0 && seq_lt(t->snd_una + t->snd_wnd, g->sequence + g->length))
            return false;
        if (i == 0 && t->snd_wnd < g->length && (g->flags & WIRE_TCP_SYN) == 0)
            return false; /* the timer asks */
        tcp_send_again(t, g);
        return true;
    }
    return false;
}

static bool may_send(const struct tcp_socket *t)
{
    return (t->tcp == TCP_ESTABLISHED || t->tcp == TCP_CLOSE_WAIT || t->tcp == TCP_FIN_WAIT_1 ||
            t->tcp == TCP_CLOSING || t->tcp == TCP_LAST_ACK) &&
           !t->fin_acked;
}

bool tcp_has_unsent(const struct tcp_socket *t)
{
    uint32_t offset = t->snd_nxt - t->snd_una;

    return may_send(t) && (offset < t->socket.out.used || (t->finish && offset == t->socket.out.used));
}

static bool send_new(struct tcp_socket *t)
{
    const struct ring *out = &t->socket.out;
    uint32_t offset = t->snd_nxt - t->snd_una, left, window, n;
    struct segment *g;
    bool fin;

    if (t->lost != 0 || !tcp_has_unsent(t))
        return false;
    left = out->used - offset;
    window = offset < t->snd_wnd ? t->snd_wnd - offset : 0;
    n = left < t->mss ? left : t->mss;
    n = n < window ? n : window;
    fin = t->finish && n == left && window > n;
    if (n == 0 && !fin)
        return false;
    if (n < left && n < t->mss && n < t->snd_wnd_most / 2 && t->sent.count != 0)
        return false;
    g = segments_push(&t->sent);
    if (g == NULL)
        return false;
    *g = (struct segment){.sequence = t->snd_nxt, .length = n + fin, .flags = fin ? WIRE_TCP_FIN : 0};
    if (seq_lt(t->snd_nxt, t->snd_max)) { /* after a rewind */
        g->times = 1;
        t->socket.stack->counts.retransmitted++;
    }
    note_sent(t, g);
    t->snd_nxt += n + fin;
    if (seq_lt(t->snd_max, t->snd_nxt))
        t->snd_max = t->snd_nxt;
    if (t->again_at == NEVER || t->sent.count == 1)
        tcp_again_later(t);
    transmit(t, (fin ? WIRE_TCP_FIN : 0) | (n != 0 && n == left ? WIRE_TCP_PSH : 0), g->sequence, offset, n,
             false);
    return true;
}

void tcp_output(struct tcp_socket *t)
{
    const struct stack_socket *k = &t->socket;

    t->output_again = true;
    if (t->in_output)
        return;
    t->in_output = true;
    while (t->output_again && !k->dead && t->tcp != TCP_CLOSED) {
        t->output_again = false;
        while (!k->dead && (send_lost(t) || send_new(t)))
            continue;
    }
    if (t->ack_now && !k->dead && t->tcp != TCP_CLOSED)
        tcp_send_ack(t);
    t->in_output = false;
    if (k->dead || t->tcp == TCP_CLOSED)
        return;
    /* Nothing is under way, but something waits for the window. */
    if (t->again_at == NEVER && t->sent.count == 0 && tcp_has_unsent(t))
        tcp_again_later(t);
    tcp_arm(t);
}
