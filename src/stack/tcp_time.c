/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp_time: round trips, and what becomes of a connection by time alone.
 *
 *   again_at  something is under way: send it again (RFC 6298, the least time is Windows' 300 ms), doubling; or
 *             something waits for a window: probe it, for as long as probes are answered
 *   ack_at    an ACK that waited for company
 *   end_at    the end of TIME_WAIT, or of FIN_WAIT_2 without an owner or with one that only waits for it
 */
#include "stack/internal.h"

#define LEAST_RTO (300 * MILLISECOND)
#define MOST_RTO  (60 * SECOND)

void tcp_round_trip(struct tcp_socket *t, uint64_t ns)
{
    uint64_t off;

    t->backoff = 0;
    if (t->srtt == 0) {
        t->srtt = ns != 0 ? ns : 1;
        t->rttvar = ns / 2;
    } else {
        off = t->srtt > ns ? t->srtt - ns : ns - t->srtt;
        t->rttvar = (3 * t->rttvar + off) / 4;
        t->srtt = (7 * t->srtt + ns) / 8;
    }
    t->rto = t->srtt + (4 * t->rttvar > MILLISECOND ? 4 * t->rttvar : MILLISECOND);
    if (t->rto < LEAST_RTO)
        t->rto = LEAST_RTO;
    if (t->rto > MOST_RTO)
        t->rto = MOST_RTO;
}

void tcp_again_later(struct tcp_socket *t)
{
    uint64_t wait = t->backoff < 8 ? t->rto << t->backoff : MOST_RTO;

    if (t->sent.count == 0 && !tcp_has_unsent(t)) {
        t->again_at = NEVER;
        return;
    }
    t->again_at = t->socket.stack->now + (wait < MOST_RTO ? wait : MOST_RTO);
}

void tcp_arm(struct tcp_socket *t)
{
    uint64_t at = t->again_at < t->ack_at ? t->again_at : t->ack_at;

    if (t->socket.dead)
        return;
    if (t->end_at < at)
        at = t->end_at;
    timer_set(&t->socket.stack->timers, &t->socket.timer, at,
              t->tcp == TCP_TIME_WAIT || (t->tcp == TCP_FIN_WAIT_2 && t->end_at != NEVER));
}

static unsigned most_tries(const struct tcp_socket *t)
{
    const struct stack_config *c = &t->socket.stack->config;

    return t->tcp <= TCP_SYN_RECEIVED ? c->syn_retries : c->data_retries;
}

static void again(struct tcp_socket *t)
{
    struct segment *head = t->sent.count != 0 ? segments_at(&t->sent, 0) : NULL;
    const bool shut =
        t->tcp > TCP_SYN_RECEIVED && (head != NULL ? t->snd_wnd < head->length : t->snd_wnd == 0);

    if (t->tries++ >= most_tries(t)) {
        tcp_give_up(t, STACK_TIMED_OUT);
        return;
    }
    t->backoff++;
    if (t->tcp > TCP_SYN_RECEIVED && t->snd_wnd != 0 && shut) {
        tcp_rewind(t); /* in smaller pieces */
        head = NULL;
    } else if (shut) {
        tcp_all_lost(t);
        tcp_send_probe(t);
    } else if (head != NULL) {
        tcp_all_lost(t);
        tcp_send_again(t, segments_at(&t->sent, 0));
    }
    if (!t->socket.dead && t->tcp != TCP_CLOSED)
        tcp_again_later(t);
}

void tcp_due(struct timer *timer)
{
    struct stack_socket *k =
        (struct stack_socket *)(void *)((char *)timer - offsetof(struct stack_socket, timer));
    struct tcp_socket *t = tcp_of(k);
    const uint64_t now = k->stack->now;

    if (t->end_at <= now) {
        if (t->tcp == TCP_TIME_WAIT)
            tcp_end(t, STACK_CLOSED);
        else
            tcp_give_up(t, STACK_CLOSED);
        return;
    }
    if (t->ack_at <= now) {
        t->ack_at = NEVER;
        t->ack_now = true;
    }
    if (t->again_at <= now) {
        t->again_at = NEVER;
        again(t);
        if (k->dead || t->tcp == TCP_CLOSED)
            return;
        /* The others that are taken for lost wait for an answer to this one. */
        if (t->ack_now)
            tcp_send_ack(t);
        if (t->sent.count == 0)
            tcp_output(t);
        tcp_arm(t);
        return;
    }
    tcp_output(t);
}
