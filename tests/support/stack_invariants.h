/* SPDX-License-Identifier: Apache-2.0 */
/* What holds of every connection of a stack between two calls; the text of what does not, or NULL. */
#ifndef STACK_INVARIANTS_H
#define STACK_INVARIANTS_H

#include "stack/internal.h"

static inline const char *tcp_invariants(const struct tcp_socket *t)
{
    const struct stack_socket *k = &t->socket;
    uint32_t at = t->snd_una, lost = 0, before = t->rcv_nxt;

    if (t->tcp == TCP_CLOSED || t->tcp == TCP_LISTEN)
        return t->sent.count == 0 && k->timer.place == 0 ? NULL : "over, but something is to come";
    if (!seq_le(t->snd_una, t->snd_nxt) || !seq_le(t->snd_nxt, t->snd_max))
        return "una <= nxt <= max";
    for (uint32_t i = 0; i < t->sent.count; i++) {
        const struct segment *g = segments_at(&t->sent, i);

        if (g->sequence != at || g->length == 0)
            return "what is under way has gaps";
        if (g->lost && g->sacked)
            return "lost and there";
        at += g->length;
        lost += g->lost;
    }
    if (t->tcp != TCP_TIME_WAIT && at != t->snd_nxt)
        return "what is under way does not end at nxt";
    if (lost != t->lost && t->sent.count != 0)
        return "lost ones, counted";
    if (t->tcp > TCP_SYN_RECEIVED &&
        t->snd_nxt - t->snd_una > k->out.used + (t->snd_una == t->iss) + t->finish)
        return "more is under way than was given";
    for (uint32_t i = 0; i < t->range_count; i++) {
        if (!seq_lt(before, t->ranges[i].first) || !seq_lt(t->ranges[i].first, t->ranges[i].end))
            return "pieces out of order touch or cross";
        before = t->ranges[i].end;
    }
    if (seq_lt(t->rcv_adv, before))
        return "a piece beyond the window";
    if (k->in.used > k->in.limit || k->in.room > k->in.limit || k->out.used > k->out.limit)
        return "more than the limit";
    if (t->tcp != TCP_SYN_SENT && seq_lt(t->rcv_adv, t->rcv_nxt))
        return "the window's edge went back";
    /* Whoever waits for something is woken. */
    if (t->sent.count != 0 && t->again_at == NEVER)
        return "under way, and no timer";
    if (t->sent.count == 0 && tcp_has_unsent(t) && t->again_at == NEVER)
        return "something waits for a window, and no timer";
    if (t->tcp == TCP_TIME_WAIT && t->end_at == NEVER)
        return "TIME_WAIT for ever";
    if ((t->again_at != NEVER || t->ack_at != NEVER || t->end_at != NEVER) && k->timer.place == 0)
        return "a moment, and no timer";
    return NULL;
}

static inline const char *stack_invariants(const struct stack *s)
{
    uint32_t count = 0;

    for (struct stack_socket *k = s->sockets; k != NULL; k = k->next) {
        const char *broken = is_tcp(k) ? tcp_invariants(tcp_of(k)) : NULL;

        if (broken != NULL)
            return broken;
        if (k->dead || k->asking || k->stack != s)
            return "a socket that is none";
        count++;
    }
    if (count != s->socket_count)
        return "sockets, counted";
    if (s->depth != 0 || s->sending != 0 || s->events != NULL || s->graves != NULL || s->inputs != NULL)
        return "something is left to do";
    return NULL;
}

#endif
