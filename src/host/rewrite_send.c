/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rewrite_send: what a direction's packets say, and its bytes on their way (rewrite.c tells when).
 *
 * Each packet of a direction says how far its sender has acknowledged, translated, and not beyond what was sent. Bytes go in
 * segments of the MSS as far as the window lets them.
 */
#include "host/rewrite_inside.h"

#define SEGMENT 536u /* if neither a SYN nor a larger segment was seen */
#define LARGEST 65535u
#define TCP_ECE 0x40
#define TCP_CWR 0x80

/* ---- what a direction's packets say --------------------------------------------------------------------- */

static bool scale_known(const struct rewrite *r)
{
    return r->half[0].syn.seen && r->half[1].syn.seen;
}

uint8_t send_scale(const struct rewrite *r, int dir)
{
    return r->half[0].syn.scaled && r->half[1].syn.scaled ? r->half[dir].syn.scale : 0;
}

/* All that this direction's sender has acknowledged, as far as it was sent. */
uint64_t send_ack(const struct rewrite *r, int dir)
{
    const struct rewrite_half *h = &r->half[dir], *other = &r->half[!dir];
    uint64_t ack = h->said ? map_end(other, h->ack) : h->acked;

    if (ack > other->next)
        ack = other->next;
    return ack > h->acked ? ack : h->acked;
}

uint16_t send_window(const struct rewrite *r, int dir, uint64_t ack)
{
    const struct rewrite_half *h = &r->half[dir];
    const uint8_t scale = send_scale(r, dir);
    uint64_t more;

    if (!scale_known(r) || ack + ((uint64_t)h->window << scale) >= h->edge)
        return h->window;
    more = (h->edge - ack + (1u << scale) - 1) >> scale;
    return more < UINT16_MAX ? (uint16_t)more : UINT16_MAX;
}

bool send_one(struct rewrite *r, int dir, struct packet_wish *w)
{
    struct rewrite_half *h = &r->half[dir];
    const bool acks = h->said || r->half[!dir].known;
    uint64_t edge;

    w->ack = acks ? send_ack(r, dir) : 0;
    w->window = send_window(r, dir, w->ack);
    if (acks)
        w->flags |= WIRE_TCP_ACK;
    if (!packet_send(r, dir, w))
        return false;
    edge = w->ack + ((uint64_t)w->window << send_scale(r, dir));
    h->acked = w->ack;
    h->shown = w->window;
    if (edge > h->edge)
        h->edge = edge;
    return true;
}

/* ---- data ----------------------------------------------------------------------------------------------- */

static uint32_t segment_size(const struct rewrite *r, int dir)
{
    const struct rewrite_half *h = &r->half[dir], *other = &r->half[!dir];
    const uint32_t options = packet_options(r, dir);
    uint32_t mss;

    if (h->syn.seen || other->syn.seen) {
        mss = h->syn.seen ? h->syn.mss : other->syn.mss;
        if (other->syn.seen && other->syn.mss < mss)
            mss = other->syn.mss;
        mss = mss > options + 8 ? mss - options : 8;
    } else {
        mss = h->largest > other->largest ? h->largest : other->largest;
        mss = mss > SEGMENT ? mss : SEGMENT;
    }
    return mss < LARGEST - REWRITE_IP - REWRITE_TCP ? mss : LARGEST - REWRITE_IP - REWRITE_TCP;
}

/* Up to where the other end lets this direction send. */
static uint64_t allowed(const struct rewrite *r, int dir)
{
    const struct rewrite_half *h = &r->half[dir], *other = &r->half[!dir];
    uint64_t edge, evident;

    if (h->force || !other->said || !scale_known(r))
        return UINT64_MAX;
    edge = other->edge;
    evident = h->top > other->ack ? map_end(h, other->ack) + (h->top - other->ack) : 0;
    if (evident >= edge)
        return evident;
    return edge > other->acked ? edge - 1 : edge;
}

/* The urgent pointer of a packet from seq on; 0: what it points behind is not in it, or was edited. */
static uint16_t urgent_of(const struct rewrite *r, int dir, uint64_t seq, uint32_t size)
{
    const struct rewrite_half *h = &r->half[dir];
    const struct wire_packet *p = r->frame;
    uint64_t source, sent;

    if (p == NULL || r->frame_dir != dir || (p->tcp_flags & WIRE_TCP_URG) == 0)
        return 0;
    source = rewrite_position(p->tcp_seq, h->top) +
             ((uint32_t)p->frame[p->transport_at + 18] << 8 | p->frame[p->transport_at + 19]);
    sent = map_end(h, source);
    if (sent != map_start(h, source - 1) + 1 || sent <= seq || sent > seq + size)
        return 0;
    return (uint16_t)(sent - seq);
}

/* Those of the segment's flags that its packets share. */
uint8_t send_flags(const struct rewrite *r, int dir)
{
    uint8_t flags;

    if (r->frame == NULL || r->frame_dir != dir)
        return 0;
    flags = r->frame->tcp_flags & TCP_ECE;
    return (uint8_t)(flags | (r->packets[dir] == 0 ? r->frame->tcp_flags & TCP_CWR : 0));
}

bool send_pushes(const struct rewrite *r, int dir)
{
    return r->frame == NULL || r->frame_dir != dir || (r->frame->tcp_flags & WIRE_TCP_PSH) != 0;
}

/* Bytes [at, to) of what is or was sent, and the end behind them if it is there. Up to `limit`. */
void send_range(struct rewrite *r, int dir, uint64_t at, uint64_t to, uint64_t limit, bool again)
{
    struct rewrite_half *h = &r->half[dir];
    const uint32_t mss = segment_size(r, dir);

    while (at < to && !r->dead) {
        const uint64_t end = h->fin ? h->out - 1 : h->out; /* of bytes */
        struct packet_wish w = {.seq = at, .flags = send_flags(r, dir)};
        uint64_t there, stop = to < end ? to : end;

        stop = stop < limit ? stop : limit;
        if (at < stop) {
            w.size = bytes_at(h, at, stop - at < mss ? (uint32_t)(stop - at) : mss, &there);
            if (w.size == 0) { /* a hole, or no longer here */
                at = there < end ? there : end;
                if (!again)
                    h->next = at;
                continue;
            }
        } else if (at != end || !h->fin || at >= limit) {
            return; /* the window ends here */
        }
        if (w.size != 0 && at + w.size == end && send_pushes(r, dir))
            w.flags |= WIRE_TCP_PSH;
        if (h->fin && at + w.size == end && to > end)
            w.flags |= WIRE_TCP_FIN;
        w.urgent = urgent_of(r, dir, at, w.size);
        w.flags |= w.urgent != 0 ? WIRE_TCP_URG : 0;
        at += w.size + ((w.flags & WIRE_TCP_FIN) != 0);
        if (!again) {
            h->next = at;
            r->config.counts->bytes += w.size;
        } else {
            r->config.counts->again++;
        }
        if (!send_one(r, dir, &w))
            return;
    }
}

void send_new(struct rewrite *r, int dir)
{
    struct rewrite_half *h = &r->half[dir];
    const uint64_t most = allowed(r, dir);

    if (most == UINT64_MAX && h->force)
        r->config.counts->unwindowed += h->out - h->next;
    send_range(r, dir, h->next, h->out, most, false);
    h->force = false;
}

/* Acknowledgements that wait for what they acknowledge to be sent, and what they let go. */
void send_settle_up(struct rewrite *r)
{
    bool more = true;

    while (more && !r->dead) {
        more = false;
        for (int dir = 0; dir < 2; dir++) {
            struct rewrite_half *h = &r->half[dir];

            if (!h->said || send_ack(r, dir) <= h->acked)
                continue;
            struct packet_wish w = {.seq = h->next};
            if (!send_one(r, dir, &w))
                return;
            send_new(r, !dir);
            more = true;
        }
    }
}

void send_forget(struct rewrite *r)
{
    for (int dir = 0; dir < 2; dir++) {
        struct rewrite_half *h = &r->half[dir];
        const struct rewrite_half *other = &r->half[!dir];

        if (!other->said)
            continue;
        bytes_forget(h, other->acked);
        map_forget(h, other->ack, other->acked);
    }
}
