/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rewrite: a connection that is not followed yet. Nearly all never have to be: of their segments only what cannot be learned
 * later is noted, in 24 bytes a direction of whoever owns the stream (stream_wire.c).
 *
 *   rewrite_note(), each segment that goes as it came --> struct rewrite_past --rewrite_resume()--> struct rewrite, OFF
 *
 * Numbers are of 32 bits until then, and compared as TCP compares them; rewrite_resume() gives them their places in the
 * space of the connection, which rewrite_place() and rewrite_see() have begun.
 */
#include "host/rewrite_inside.h"
#include "host/tcp_inside.h"

static inline void note(struct rewrite_past past[2], int dir, const struct wire_packet *p, bool syn)
{
    struct rewrite_past *h = &past[dir];
    const bool fin = (p->tcp_flags & WIRE_TCP_FIN) != 0;
    const uint32_t end = p->tcp_seq + syn + p->data_length + fin;
    uint32_t edge;
    bool scaled;

    if (!h->known || seq_before(h->top, end))
        h->top = end;
    h->known = true;
    if ((p->tcp_flags & WIRE_TCP_ACK) == 0)
        return;
    if (!h->said || !seq_before(p->tcp_ack, h->ack)) {
        h->ack = p->tcp_ack;
        h->window = p->tcp_window;
    }
    scaled = !syn && past[!dir].syn.scaled && h->syn.scaled;
    edge = p->tcp_ack + ((uint32_t)p->tcp_window << (scaled ? h->syn.scale : 0));
    if (!h->said || seq_before(h->edge, edge))
        h->edge = edge;
    h->said = true;
}

static __attribute__((noinline)) void note_syn(struct rewrite_past past[2], int dir,
                                               const struct wire_packet *p)
{
    if (!past[dir].syn.seen)
        header_syn(p, &past[dir].syn);
    note(past, dir, p, true);
}

void rewrite_note(struct rewrite_past past[2], int dir, const struct wire_packet *p)
{
    if (p->reached != WIRE_TRANSPORT)
        return;
    if (__builtin_expect((p->tcp_flags & WIRE_TCP_SYN) != 0, 0))
        note_syn(past, dir, p);
    else
        note(past, dir, p, false);
}

void rewrite_resume(struct rewrite *r, const struct rewrite_past past[2])
{
    for (int dir = 0; dir < 2; dir++) {
        const struct rewrite_past *from = &past[dir];
        struct rewrite_half *h = &r->half[dir];

        if (from->syn.seen)
            h->syn = from->syn;
        if (h->known && from->known && rewrite_position(from->top, h->top) > h->top)
            h->top = rewrite_position(from->top, h->top);
    }
    for (int dir = 0; dir < 2; dir++) {
        const struct rewrite_past *from = &past[dir];
        const struct rewrite_half *other = &r->half[!dir];
        struct rewrite_half *h = &r->half[dir];

        if (!from->said || !other->known)
            continue;
        h->said = true;
        h->window = from->window;
        h->ack = rewrite_position(from->ack, other->top);
        h->edge = rewrite_position(from->edge, h->ack);
    }
}
