/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp: the life of connections and the calls on them (RFC 9293).
 *
 *   CLOSED --listen--> LISTEN --SYN--> a child in SYN_RECEIVED --ACK--> ESTABLISHED, in its listener's `ready`
 *   CLOSED --connect--> SYN_SENT (perhaps held: no timer) --SYN ACK--> ESTABLISHED
 *   ESTABLISHED --FIN sent--> FIN_WAIT_1 -> FIN_WAIT_2 -> TIME_WAIT     both: CLOSING -> TIME_WAIT
 *   ESTABLISHED --FIN came--> CLOSE_WAIT --FIN sent--> LAST_ACK -> over
 *
 * A child belongs to its listener until stack_accept(); whoever closes the listener resets them. A connection that
 * its owner let go goes on alone to its end; data that still comes for it is answered by a reset.
 *
 * tcp_end() is how each of them is over; an owned socket stays as a handle that says how it ended.
 */
#include "stack/internal.h"

enum { FIRST_RTO_S = 1, ORPHAN_S = 60 };

void tcp_prepare(struct tcp_socket *t)
{
    const struct stack_config *c = &t->socket.stack->config;

    t->rto = FIRST_RTO_S * SECOND;
    t->again_at = t->ack_at = t->end_at = NEVER;
    t->socket.timer.due = tcp_due;
    while (t->scale_out < 14 && 65535u << t->scale_out < c->limits.receive_bytes)
        t->scale_out++;
    t->socket.in.limit = c->limits.receive_bytes + (1u << t->scale_out); /* windows are rounded up */
    t->sack = (c->without & STACK_WITHOUT_SACK) == 0;
    t->stamps = (c->without & STACK_WITHOUT_STAMPS) == 0;
    t->scaled = (c->without & STACK_WITHOUT_SCALE) == 0;
    t->ts_offset = (uint32_t)stack_random(t->socket.stack);
}

/* ---- states --------------------------------------------------------------------------------------------- */

void tcp_set(struct tcp_socket *t, enum tcp_state state)
{
    static const uint8_t seen[TCP_STATES] = {
        [TCP_CLOSED] = STACK_CLOSED,         [TCP_LISTEN] = STACK_LISTENING,
        [TCP_SYN_SENT] = STACK_CONNECTING,   [TCP_SYN_RECEIVED] = STACK_ACCEPTING,
        [TCP_ESTABLISHED] = STACK_CONNECTED, [TCP_FIN_WAIT_1] = STACK_CLOSING,
        [TCP_FIN_WAIT_2] = STACK_CLOSING,    [TCP_CLOSE_WAIT] = STACK_CLOSING,
        [TCP_CLOSING] = STACK_CLOSING,       [TCP_LAST_ACK] = STACK_CLOSING,
        [TCP_TIME_WAIT] = STACK_CLOSED,
    };

    t->tcp = (uint8_t)state;
    if (state == TCP_FIN_WAIT_2 && (!t->socket.owned || t->socket.leaving))
        t->end_at = t->socket.stack->now + ORPHAN_S * SECOND;
    if (state == TCP_TIME_WAIT) {
        t->end_at = t->socket.stack->now + t->socket.stack->config.time_wait_ns;
        t->again_at = NEVER;
        segments_free(&t->sent);
    }
    stack_set_state(&t->socket, (enum stack_state)seen[state]);
}

/* Out of its listener's lists. */
static void leave_listener(struct tcp_socket *t)
{
    struct tcp_socket *l = t->listener, *before = NULL;

    if (l == NULL)
        return;
    t->listener = NULL;
    l->waiting--;
    for (struct tcp_socket *at = l->ready; at != NULL; before = at, at = at->ready_next) {
        if (at != t)
            continue;
        *(before != NULL ? &before->ready_next : &l->ready) = t->ready_next;
        if (l->ready_last == t)
            l->ready_last = before;
        break;
    }
    t->ready_next = NULL;
}

void tcp_end(struct tcp_socket *t, enum stack_state state)
{
    struct stack_socket *k = &t->socket;

    if (k->dead)
        return;
    leave_listener(t);
    t->tcp = TCP_CLOSED;
    t->again_at = t->ack_at = t->end_at = NEVER;
    t->ack_now = k->held = false;
    timer_set(&k->stack->timers, &k->timer, NEVER, false);
    segments_free(&t->sent);
    ring_free(&k->out);
    if (state != STACK_CLOSED) /* as in Windows: what was not read by then is gone */
        ring_free(&k->in);
    socket_leave_tables(k);
    if (!k->owned) {
        stack_bury(k);
        return;
    }
    stack_set_state(k, state);
    stack_tell(k, STACK_EVENT_READABLE);
}

void tcp_established(struct tcp_socket *t)
{
    struct tcp_socket *l = t->listener;

    t->tries = 0;
    tcp_set(t, TCP_ESTABLISHED);
    if (l == NULL) {
        stack_tell(&t->socket, STACK_EVENT_WRITABLE);
        return;
    }
    t->ready_next = NULL;
    *(l->ready_last != NULL ? &l->ready_last->ready_next : &l->ready) = t;
    l->ready_last = t;
    stack_tell(&l->socket, STACK_EVENT_ACCEPT);
}

/* ---- sizes and numbers ---------------------------------------------------------------------------------- */

/* Room for payload without options in a packet for the peer. */
static uint32_t path_room(const struct tcp_socket *t)
{
    const struct stack_socket *k = &t->socket;
    uint32_t mtu = net_mtu(k->stack, k->version, &k->remote),
             header = ip_header_size(k->version) + TCP_HEADER;
    uint32_t room = mtu > header + 40 ? mtu - header : 40, most = k->stack->config.mss;

    if (room > UINT16_MAX)
        room = UINT16_MAX;
    return most != 0 && most < room ? most : room;
}

uint32_t tcp_own_mss(const struct tcp_socket *t)
{
    return path_room(t);
}

void tcp_find_mss(struct tcp_socket *t)
{
    uint32_t room = path_room(t), least = t->socket.version == 4 ? 536 : 1220;
    uint32_t said = t->peer_mss != 0 ? t->peer_mss : least, options = tcp_options_size(t);

    if (said < room)
        room = said;
    t->mss = (uint16_t)(room > options + 8 ? room - options : 8);
}

uint32_t tcp_first_sequence(struct tcp_socket *t)
{
    struct stack *s = t->socket.stack;

    return s->config.sequence_fixed ? s->config.sequence
                                    : (uint32_t)stack_random(s) + (uint32_t)(s->now / 4000); /* RFC 6528 */
}

uint32_t tcp_window(const struct tcp_socket *t)
{
    const struct stack_socket *k = &t->socket;
    uint32_t limit = k->stack->config.limits.receive_bytes, told = t->rcv_adv - t->rcv_nxt;
    uint32_t room = k->in.used < limit ? limit - k->in.used : 0;
    uint32_t step = limit / 2 < t->mss ? limit / 2 : t->mss;
    uint32_t most = 65535u << (t->scaled ? t->scale_out : 0); /* that can be said */

    if (room > most)
        room = most;
    if (seq_lt(t->rcv_adv, t->rcv_nxt))
        told = 0;
    /* Never less than was told, and more only when it is worth a segment. */
    return room >= told + (step != 0 ? step : 1) ? room : told;
}

bool tcp_window_is_news(const struct tcp_socket *t)
{
    uint32_t limit = t->socket.stack->config.limits.receive_bytes, told = t->rcv_adv - t->rcv_nxt;
    uint32_t step = limit / 2 < 2u * t->mss ? limit / 2 : 2u * t->mss, window = tcp_window(t);

    return window > told && (window - told >= step || told == 0);
}

/* ---- calls ---------------------------------------------------------------------------------------------- */

int tcp_connect(struct tcp_socket *t)
{
    if (segments_push(&t->sent) == NULL) /* room for the SYN, which may have to wait */
        return -ENOMEM;
    t->sent.count = 0;
    t->iss = t->snd_una = t->snd_nxt = t->snd_max = t->snd_left = tcp_first_sequence(t);
    tcp_set(t, TCP_SYN_SENT);
    tcp_begin(t, true);
    return 0;
}

void tcp_resume(struct tcp_socket *t, bool permitted)
{
    t->socket.held = false;
    if (t->tcp != TCP_SYN_SENT)
        return;
    if (permitted)
        tcp_begin(t, false);
    else
        tcp_end(t, STACK_REFUSED);
}

/* Why nothing is sent or received any more, or not yet; 0: it may be. */
static int hindrance(const struct tcp_socket *t)
{
    switch ((enum stack_state)t->socket.state) {
    case STACK_CONNECTED:
    case STACK_CLOSING:
    case STACK_CLOSED:
        return 0;
    case STACK_RESET:
        return t->socket.error != 0 ? t->socket.error : -ECONNRESET;
    case STACK_TIMED_OUT:
        return -ETIMEDOUT;
    case STACK_REFUSED:
        return -EACCES;
    case STACK_UNREACHABLE:
        return -ENETUNREACH;
    default:
        return -ENOTCONN;
    }
}

long tcp_send(struct tcp_socket *t, const uint8_t *bytes, size_t size)
{
    struct ring *out = &t->socket.out;
    int why = hindrance(t);
    uint32_t n;

    if (why != 0)
        return why;
    if (t->finish || (t->tcp != TCP_ESTABLISHED && t->tcp != TCP_CLOSE_WAIT))
        return -EPIPE;
    n = out->limit - out->used;
    if (n > size)
        n = (uint32_t)size;
    if (n == 0)
        return size == 0 ? 0 : -EAGAIN;
    if (!ring_reserve(out, out->used + n))
        return -EAGAIN;
    ring_write(out, out->used, bytes, n);
    out->used += n;
    tcp_output(t);
    return n;
}

long tcp_receive(struct tcp_socket *t, uint8_t *out, size_t size)
{
    struct ring *in = &t->socket.in;
    uint32_t n = in->used < size ? in->used : (uint32_t)size;
    int why = hindrance(t);

    if (why != 0)
        return why;
    if (n == 0 && size != 0)
        return t->fin_came || t->socket.state == STACK_CLOSED ? 0 : -EAGAIN;
    ring_read(in, 0, out, n);
    ring_skip(in, n);
    if (t->fin_came || t->tcp == TCP_CLOSED || t->tcp == TCP_TIME_WAIT) {
        if (in->used == 0)
            ring_free(in);
        return n;
    }
    /* The window opens: said when it is worth it. */
    if (tcp_window_is_news(t))
        tcp_send_ack(t);
    return n;
}

int tcp_shutdown(struct tcp_socket *t)
{
    int why = hindrance(t);

    if (why != 0)
        return why;
    if (t->finish)
        return 0;
    t->finish = true;
    if (t->tcp == TCP_ESTABLISHED)
        tcp_set(t, TCP_FIN_WAIT_1);
    else if (t->tcp == TCP_CLOSE_WAIT)
        tcp_set(t, TCP_LAST_ACK);
    tcp_output(t);
    return 0;
}

static void close_listener(struct tcp_socket *l)
{
    struct stack_socket *next;

    for (struct stack_socket *k = l->socket.stack->sockets; k != NULL && l->waiting != 0; k = next) {
        next = k->next;
        if (!is_tcp(k) || tcp_of(k)->listener != l)
            continue;
        leave_listener(tcp_of(k));
        tcp_abort(tcp_of(k));
        next = l->socket.stack->sockets; /* sending may have changed the list */
    }
    stack_bury(&l->socket);
}

static bool is_synchronized(const struct tcp_socket *t)
{
    return t->tcp >= TCP_SYN_RECEIVED && t->tcp != TCP_TIME_WAIT;
}

void tcp_close(struct tcp_socket *t)
{
    struct stack_socket *k = &t->socket;

    if (t->tcp == TCP_LISTEN) {
        close_listener(t);
        return;
    }
    if (t->tcp == TCP_CLOSED || t->tcp == TCP_SYN_SENT) {
        stack_bury(k);
        return;
    }
    if (k->in.used != 0 && t->tcp != TCP_TIME_WAIT) {
        tcp_abort(t);
        return;
    }
    k->owned = false;
    k->user = NULL;
    k->events = 0;
    socket_unbind(k);
    ring_free(&k->in);
    t->range_count = 0;
    t->finish = true;
    if (t->tcp == TCP_SYN_RECEIVED || t->tcp == TCP_ESTABLISHED)
        tcp_set(t, TCP_FIN_WAIT_1);
    else if (t->tcp == TCP_CLOSE_WAIT)
        tcp_set(t, TCP_LAST_ACK);
    else if (t->tcp == TCP_FIN_WAIT_2)
        tcp_set(t, TCP_FIN_WAIT_2); /* for so long */
    tcp_output(t);
    if (!k->dead)
        tcp_arm(t);
}

void tcp_abort(struct tcp_socket *t)
{
    if (t->tcp == TCP_LISTEN) {
        close_listener(t);
        return;
    }
    if (is_synchronized(t))
        tcp_send_reset(t);
    leave_listener(t);
    stack_bury(&t->socket);
}

void tcp_fail(struct tcp_socket *t)
{
    if (is_synchronized(t))
        tcp_send_reset(t);
    t->socket.error = -ECONNABORTED;
    tcp_end(t, STACK_RESET);
}

void tcp_give_up(struct tcp_socket *t, enum stack_state state)
{
    const struct stack_config *c = &t->socket.stack->config;

    if (c->gave_up != NULL && !t->socket.dead)
        c->gave_up(c->ctx, &t->socket);
    tcp_end(t, state);
}

/* ---- what ICMP says ------------------------------------------------------------------------------------- */

bool tcp_is_under_way(const struct tcp_socket *t, uint32_t sequence)
{
    return t->tcp >= TCP_SYN_SENT && seq_le(t->snd_una, sequence) && seq_lt(sequence, t->snd_max);
}

void tcp_error(struct tcp_socket *t, uint32_t sequence, bool too_big, int error)
{
    (void)error;
    if (!tcp_is_under_way(t, sequence))
        return;
    if (t->tcp == TCP_SYN_SENT) {
        if (!too_big)
            tcp_give_up(t, STACK_UNREACHABLE);
        return;
    }
    if (!too_big || t->tcp == TCP_SYN_RECEIVED)
        return; /* RFC 5461: it may pass */
    tcp_find_mss(t);
    tcp_rewind(t);
    tcp_output(t);
}
