/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp_queue: what was sent and is not acknowledged, and what of it is taken for lost.
 *
 *   head                                                    count
 *   | sent, sacked? lost? | ... in order of sequence ...     |
 *
 * Lost (RFC 6675, without its congestion control): never sent again so far, and three later ones have arrived, or
 * as many as there are if fewer are under way and no more is to be sent (RFC 5827); sent again, and one
 * that was sent three transmissions later has arrived. Without SACK: three duplicate ACKs, then each partial one
 * (RFC 6582). All of them, when the timer says so. A transmission counts as arrived only if it is certain that it was
 * this one: it was the only one, or the answer is not sooner than the fastest so far.
 */
#include <stdlib.h>

#include "stack/internal.h"

enum { FIRST_ROOM = 8, DUPLICATES = 3 };

struct segment *segments_at(const struct segments *q, uint32_t i)
{
    return &q->at[(q->head + i) & (q->room - 1)];
}

struct segment *segments_push(struct segments *q)
{
    struct segment *more;
    uint32_t room = q->room != 0 ? q->room * 2 : FIRST_ROOM;

    if (q->count == SEGMENTS)
        return NULL;
    if (q->count == q->room) {
        more = malloc(room * sizeof(*more));
        if (more == NULL)
            return NULL;
        for (uint32_t i = 0; i < q->count; i++)
            more[i] = *segments_at(q, i);
        free(q->at);
        q->at = more;
        q->head = 0;
        q->room = room;
    }
    more = segments_at(q, q->count++);
    memset(more, 0, sizeof(*more));
    return more;
}

void segments_free(struct segments *q)
{
    free(q->at);
    memset(q, 0, sizeof(*q));
}

static void set_lost(struct tcp_socket *t, struct segment *g, bool lost)
{
    if (g->lost == lost)
        return;
    g->lost = lost;
    if (lost)
        t->lost++;
    else
        t->lost--;
}

static void arrived(struct tcp_socket *t, const struct segment *g)
{
    uint64_t age = t->socket.stack->now - g->sent_ns;

    if (g->times == 1 && (t->least_rtt == 0 || age < t->least_rtt))
        t->least_rtt = age != 0 ? age : 1;
    if ((g->times == 1 || (t->least_rtt != 0 && age >= t->least_rtt)) && g->serial > t->delivered)
        t->delivered = g->serial;
}

/* The head has arrived, all or a part. */
static void shorten(struct tcp_socket *t, struct segment *g, uint32_t ack)
{
    if (g->flags & WIRE_TCP_SYN)
        g->flags &= (uint8_t)~WIRE_TCP_SYN;
    g->length -= ack - g->sequence;
    g->sequence = ack;
    set_lost(t, g, false);
}

static bool answers_last(const struct tcp_socket *t, const struct segment *g, const struct tcp_options *o)
{
    return t->stamps && o->has_ts && seq_le(tcp_stamp_at(t, g->sent_ns), o->ts_echo);
}

void tcp_acknowledged(struct tcp_socket *t, uint32_t ack, const struct tcp_options *o)
{
    const bool had_syn = t->sent.count != 0 && (segments_at(&t->sent, 0)->flags & WIRE_TCP_SYN) != 0;
    const uint64_t now = t->socket.stack->now;
    uint32_t bytes = ack - t->snd_una - had_syn;
    bool measured = false, again = false;

    while (t->sent.count != 0) {
        struct segment *g = segments_at(&t->sent, 0);

        if (seq_le(ack, g->sequence))
            break;
        if (seq_lt(ack, g->sequence + g->length)) {
            shorten(t, g, ack);
            break;
        }
        /* Karn: sent more than once, it is certain only if the answer is to the last time. What came after waited. */
        if (!g->sacked && !measured && !again && (g->times == 1 || answers_last(t, g, o))) {
            tcp_round_trip(t, now - g->sent_ns);
            measured = true;
        }
        again |= g->times > 1;
        if (!g->sacked)
            arrived(t, g);
        set_lost(t, g, false);
        t->sent.head = (t->sent.head + 1) & (t->sent.room - 1);
        t->sent.count--;
    }
    if (bytes > t->socket.out.used) { /* its FIN */
        bytes = t->socket.out.used;
        t->fin_acked = true;
    }
    if (bytes != 0) {
        ring_skip(&t->socket.out, bytes);
        stack_tell(&t->socket, STACK_EVENT_WRITABLE);
    }
    if (t->socket.out.used == 0 && t->socket.out.room > 65536)
        ring_free(&t->socket.out);
    t->snd_una = ack;
    if (seq_lt(t->snd_nxt, ack))
        t->snd_nxt = ack;
    t->tries = 0;
    t->duplicates = 0;
    if (t->recovering && seq_le(t->recover, ack))
        t->recovering = false;
    else if (t->recovering && !t->sack && t->sent.count != 0)
        set_lost(t, segments_at(&t->sent, 0), true); /* a partial one */
}

void tcp_selective(struct tcp_socket *t, const struct tcp_options *o)
{
    for (uint32_t b = 0; b < o->blocks; b++) {
        const struct range *r = &o->sack[b];

        if (!seq_lt(r->first, r->end) || seq_lt(r->first, t->snd_una) || seq_lt(t->snd_max, r->end))
            continue; /* nonsense, or old, or a duplicate that is told (RFC 2883) */
        for (uint32_t i = 0; i < t->sent.count; i++) {
            struct segment *g = segments_at(&t->sent, i);

            if (seq_le(r->end, g->sequence))
                break;
            if (g->sacked || seq_lt(g->sequence, r->first) || seq_lt(r->end, g->sequence + g->length))
                continue;
            g->sacked = true;
            set_lost(t, g, false);
            arrived(t, g);
        }
    }
}

/* Is there something that could still be sent, so that more answers come? */
static bool more_to_send(const struct tcp_socket *t)
{
    return t->snd_nxt - t->snd_una < t->socket.out.used && t->snd_nxt - t->snd_una < t->snd_wnd;
}

void tcp_find_lost(struct tcp_socket *t)
{
    uint32_t enough = DUPLICATES, above = 0, count = t->sent.count;

    if (count == 0)
        return;
    if (count <= DUPLICATES && !more_to_send(t))
        enough = count > 1 ? count - 1 : DUPLICATES;
    if (!t->sack) {
        if (!t->recovering && t->duplicates >= enough) {
            t->recovering = true;
            t->recover = t->snd_max;
            set_lost(t, segments_at(&t->sent, 0), true);
        }
        return;
    }
    for (uint32_t i = count; i-- > 0;) {
        struct segment *g = segments_at(&t->sent, i);

        if (g->sacked)
            above++;
        else if (g->times == 1 ? above >= enough : t->delivered >= g->serial + DUPLICATES)
            set_lost(t, g, true);
    }
}

void tcp_all_lost(struct tcp_socket *t)
{
    /* What was told to be there may be forgotten (RFC 2018, 8), which shows at the head. */
    const bool forgotten = t->sent.count != 0 && segments_at(&t->sent, 0)->sacked;

    for (uint32_t i = 0; i < t->sent.count; i++) {
        struct segment *g = segments_at(&t->sent, i);

        if (forgotten)
            g->sacked = false;
        if (!g->sacked)
            set_lost(t, g, true);
    }
    t->recovering = true;
    t->recover = t->snd_max;
}

void tcp_rewind(struct tcp_socket *t)
{
    t->snd_nxt = t->snd_una;
    t->sent.count = 0;
    t->lost = 0;
    t->recovering = false;
}
