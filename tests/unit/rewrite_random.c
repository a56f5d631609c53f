/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rewrite's random test: two ends talk over a bad network, a capture is taken near one of them, a pipeline edits the
 * bytes at random, inline or later; what rewrite gives out is read by a reassembler that knows nothing of it.
 *
 *   ends (tcp_end: sends, acknowledges, repeats) --network: lost, late, doubled--> capture --> order (own) --> pipeline
 *                                                                                    |            expected <--+   |
 *                                                                                    +--> rewrite <--elements----+
 *                                                                                            | packets
 *                                                                          reader: positions -> bytes; == expected
 *
 * The reader also holds each packet against what a rewritten connection promises: right checksums, each position always
 * the same byte, nothing acknowledged that was not sent, acknowledgements and window edges that never go back, segments
 * within the MSS, a FIN where the bytes end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host/rewrite.h"

#define STREAM  6000u /* bytes of one end, at most */
#define EDITED  16000u
#define FLYING  64u
#define MISSING 0x100u

static uint64_t seed_now, random_state;

static uint32_t any(uint32_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)((random_state >> 20) % below);
}

static bool once_in(uint32_t n)
{
    return n != 0 && any(n) == 0;
}

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "seed %llu: %s:%d: %s\n", (unsigned long long)seed_now, __FILE__, __LINE__,      \
                    #condition);                                                                             \
            fail();                                                                                          \
        }                                                                                                    \
    } while (0)

/* ---- one run -------------------------------------------------------------------------------------------- */

struct frame {
    uint8_t bytes[2200];
    uint32_t size;
    int dir;
};

struct tcp_end {
    uint8_t stream[STREAM];
    uint32_t length, isn, sent, acked; /* positions: 0 is the SYN, 1 the first byte, length + 1 the FIN */
    bool have[STREAM + 2];             /* of what the other sends */
    uint32_t got;                      /* in order, positions as above */
    uint32_t room;                     /* receive buffer */
    uint32_t read;                     /* taken out of it */
    uint8_t scale;
    uint16_t mss;
    bool started, fin_when_done;
    uint16_t id;
};

struct reader {
    uint16_t bytes[EDITED + 8]; /* MISSING: not seen */
    bool seen[EDITED + 8];
    uint32_t top; /* beyond all that was sent, positions */
    uint32_t fin; /* 0: none */
    uint32_t ack; /* of the other's */
    uint64_t edge;
    bool said;
};

struct pipe_byte {
    uint16_t value; /* MISSING */
};

struct pipeline {
    struct pipe_byte waiting[STREAM + 16];
    uint32_t count;
    bool end, ended, ended_out;
    uint16_t expected[EDITED];
    uint32_t expected_count;
};

struct run {
    struct tcp_end end[2];
    struct frame flying[FLYING];
    uint32_t flying_count;
    /* capture's point of view */
    uint32_t next[2];
    struct {
        bool is;
        uint8_t byte;
    } held[2][STREAM + 4];
    bool fin_held[2], fin_done[2];
    uint32_t fin_at[2], proved[2];
    struct pipeline pipe[2];
    struct reader reader[2];
    struct rewrite *rewrite;
    struct rewrite_counts counts;
    bool v6, vlan, stamps, sack, on_seen, capture_loses, edits, defers, windowed;
    uint32_t loss, mss;
    uint32_t clock;
    bool ending;
};

static struct run *run;

/* ---- packets -------------------------------------------------------------------------------------------- */

static void put16(uint8_t *at, uint32_t v)
{
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
}

static void put32(uint8_t *at, uint32_t v)
{
    put16(at, v >> 16);
    put16(at + 2, v & 0xffff);
}

static void make_frame(struct frame *f, int dir, uint32_t position, uint32_t size, uint8_t flags)
{
    struct tcp_end *e = &run->end[dir], *other = &run->end[!dir];
    uint32_t at = 14, ip, tcp, options = 0;
    const bool syn = (flags & WIRE_TCP_SYN) != 0;
    uint32_t window;

    memset(f, 0, sizeof(*f));
    f->dir = dir;
    f->bytes[5] = (uint8_t)(2 - dir);
    f->bytes[11] = (uint8_t)(1 + dir);
    if (run->vlan) {
        put16(f->bytes + 12, 0x8100);
        put16(f->bytes + 14, 7);
        at += 4;
    }
    put16(f->bytes + at - 2, run->v6 ? 0x86dd : 0x0800);
    ip = at;
    at += run->v6 ? 40 : 20;
    tcp = at;
    at += 20;
    if (syn) {
        f->bytes[at] = 2;
        f->bytes[at + 1] = 4;
        put16(f->bytes + at + 2, e->mss);
        f->bytes[at + 4] = 3;
        f->bytes[at + 5] = 3;
        f->bytes[at + 6] = e->scale;
        f->bytes[at + 7] = 1;
        at += 8;
    }
    if (run->stamps) {
        f->bytes[at] = f->bytes[at + 1] = 1;
        f->bytes[at + 2] = 8;
        f->bytes[at + 3] = 10;
        put32(f->bytes + at + 4, run->clock);
        put32(f->bytes + at + 8, run->clock);
        at += 12;
    }
    if (run->sack && !syn && other->started) { /* the first range ahead of a hole */
        uint32_t from = e->got, to;
        while (from < other->length + 1 && !e->have[from])
            from++;
        for (to = from; to < other->length + 1 && e->have[to]; to++)
            ;
        if (from > e->got && to > from) {
            f->bytes[at] = f->bytes[at + 1] = 1;
            f->bytes[at + 2] = 5;
            f->bytes[at + 3] = 10;
            put32(f->bytes + at + 4, other->isn + from);
            put32(f->bytes + at + 8, other->isn + to);
            at += 12;
        }
    }
    options = at - tcp - 20;
    (void)options;
    if (size != 0)
        memcpy(f->bytes + at, e->stream + position - 1, size);
    put16(f->bytes + tcp, dir == 0 ? 1000 : 80);
    put16(f->bytes + tcp + 2, dir == 0 ? 80 : 1000);
    put32(f->bytes + tcp + 4, e->isn + position);
    if ((flags & WIRE_TCP_ACK) != 0)
        put32(f->bytes + tcp + 8, other->isn + e->got);
    f->bytes[tcp + 12] = (uint8_t)((at - tcp) / 4 << 4);
    f->bytes[tcp + 13] = flags;
    window = e->room - (e->got > e->read ? e->got - e->read : 0);
    window = syn ? window : window >> e->scale;
    put16(f->bytes + tcp + 14, window < 65535 ? window : 65535);
    f->size = at + size;
    if (run->v6) {
        f->bytes[ip] = 0x60;
        put16(f->bytes + ip + 4, f->size - tcp);
        f->bytes[ip + 6] = 6;
        f->bytes[ip + 7] = 64;
        f->bytes[ip + 8] = f->bytes[ip + 24] = 0xfd;
        f->bytes[ip + 23] = (uint8_t)(1 + dir);
        f->bytes[ip + 39] = (uint8_t)(2 - dir);
    } else {
        f->bytes[ip] = 0x45;
        put16(f->bytes + ip + 2, f->size - ip);
        put16(f->bytes + ip + 4, ++e->id);
        f->bytes[ip + 8] = 64;
        f->bytes[ip + 9] = 6;
        f->bytes[ip + 12] = f->bytes[ip + 16] = 10;
        f->bytes[ip + 15] = (uint8_t)(1 + dir);
        f->bytes[ip + 19] = (uint8_t)(2 - dir);
        put16(f->bytes + ip + 10, wire_fold(wire_sum(f->bytes + ip, 20, 0)));
    }
    const uint8_t rest[4] = {(uint8_t)((f->size - tcp) >> 8), (uint8_t)(f->size - tcp), 0, 6};
    uint64_t sum = run->v6 ? wire_sum(f->bytes + ip + 8, 32, 0) : wire_sum(f->bytes + ip + 12, 8, 0);
    sum = wire_sum(rest, 4, sum);
    put16(f->bytes + tcp + 16, wire_fold(wire_sum(f->bytes + tcp, f->size - tcp, sum)));
}

/* ---- the reader ----------------------------------------------------------------------------------------- */

static void read_packet(const uint8_t *bytes, uint32_t size, bool made)
{
    struct wire_packet p;
    struct reader *me, *other;
    uint32_t position, ack;
    int dir;

    wire_parse(WIRE_LINK_ETHERNET, bytes, size, size, &p);
    CHECK(p.reached == WIRE_TRANSPORT && p.fault == WIRE_OK && !p.ip_checksum_wrong &&
          p.version == (run->v6 ? 6 : 4));
    CHECK(wire_verify(&p) && p.vlan_tags == run->vlan);
    CHECK(p.ip_at + p.ip_length == size);
    dir = p.source_port == 1000 ? 0 : 1;
    me = &run->reader[dir];
    other = &run->reader[!dir];
    position = p.tcp_seq - run->end[dir].isn;
    if (getenv("WEIR_SHOW") != NULL)
        fprintf(stderr, "%s dir %d at %u size %u flags %02x ack %u window %u\n", made ? "  made" : "as is",
                dir, position, p.data_length, p.tcp_flags, p.tcp_ack - run->end[!dir].isn, p.tcp_window);
    if (made && p.data_length != 0)
        CHECK(p.data_length + (run->stamps ? 12 : 0) <= run->mss);
    for (uint32_t i = 0; i < p.data_length; i++) {
        const uint32_t at = position + i;
        const uint8_t byte = p.frame[p.data_at + i];

        CHECK(at < EDITED + 8);
        if (p.data_length == 1 && position + 1 == me->top) /* a keep-alive's byte is nobody's */
            break;
        CHECK(at >= 1);
        CHECK(me->fin == 0 || at < me->fin);
        CHECK(!me->seen[at] || me->bytes[at] == byte);
        me->seen[at] = true;
        me->bytes[at] = byte;
    }
    const uint32_t past =
        position + p.data_length + ((p.tcp_flags & WIRE_TCP_SYN) != 0) + ((p.tcp_flags & WIRE_TCP_FIN) != 0);
    if ((p.tcp_flags & WIRE_TCP_FIN) != 0) {
        CHECK(me->fin == 0 || me->fin == past - 1);
        CHECK(me->top <= past);
        me->fin = past - 1;
    }
    if (past > me->top)
        me->top = past;
    if ((p.tcp_flags & WIRE_TCP_ACK) == 0)
        return;
    ack = p.tcp_ack - run->end[!dir].isn;
    if (!run->capture_loses)
        CHECK(ack <= other->top);
    if (made)
        CHECK(!me->said || ack >= me->ack);
    uint64_t edge =
        ack + ((uint64_t)p.tcp_window << ((p.tcp_flags & WIRE_TCP_SYN) != 0 ? 0 : run->end[dir].scale));
    if (made && me->said)
        CHECK(edge + (1u << run->end[dir].scale) > me->edge || p.tcp_window == 65535);
    if (!me->said || ack > me->ack)
        me->ack = ack;
    if (edge > me->edge)
        me->edge = edge;
    me->said = true;
}

static void on_send(void *ctx, const struct rewrite_sent *p)
{
    (void)ctx;
    read_packet(p->bytes, p->size, true);
}

/* ---- the pipeline --------------------------------------------------------------------------------------- */

static void give(int dir, const uint8_t *bytes, uint32_t size, uint32_t span, bool same, bool end)
{
    const struct rewrite_element e = {.bytes = bytes, .size = size, .span = span, .same = same, .end = end};
    struct pipeline *q = &run->pipe[dir];

    for (uint32_t i = 0; i < size; i++)
        q->expected[q->expected_count++] = bytes[i];
    rewrite_element(run->rewrite, dir, &e);
}

static void put_in(int dir)
{
    uint8_t some[40];
    uint32_t size = 1 + any(once_in(4) ? 39 : 6);

    if (run->pipe[dir].expected_count + size + 2 * STREAM > EDITED)
        return;
    for (uint32_t i = 0; i < size; i++)
        some[i] = (uint8_t)(0x80 | any(128));
    give(dir, some, size, 0, false, false);
}

/* Works off what waits; feed: where the bytes of the feed under way are, so many at the end; NULL. */
static void work(int dir, const uint8_t *feed, uint32_t feed_size, bool all)
{
    struct pipeline *q = &run->pipe[dir];
    uint32_t taken = 0;
    uint8_t copy[STREAM];

    while (taken < q->count) {
        const uint32_t left = q->count - taken;
        uint32_t some = 1 + any(left);

        if (!all && run->defers && once_in(3))
            break;
        if (once_in(2))
            some = left;
        if (q->waiting[taken].value == MISSING) {
            const struct rewrite_element e = {.span = 1, .lost = true};
            rewrite_element(run->rewrite, dir, &e);
            q->expected[q->expected_count++] = MISSING;
            taken++;
            continue;
        }
        for (uint32_t i = 0; i < some; i++) {
            if (q->waiting[taken + i].value == MISSING) {
                some = i;
                break;
            }
            copy[i] = (uint8_t)q->waiting[taken + i].value;
        }
        if (run->edits && once_in(6)) {
            put_in(dir);
        } else if (run->edits && once_in(6)) {
            give(dir, NULL, 0, some, false, false);
            taken += some;
        } else {
            const bool fresh = feed != NULL && left <= feed_size;

            give(dir, fresh ? feed + (feed_size - left) : copy, some, some, true, false);
            taken += some;
        }
    }
    memmove(q->waiting, q->waiting + taken, (q->count - taken) * sizeof(*q->waiting));
    q->count -= taken;
    if (q->end && !q->ended_out && q->count == 0 && (all || !run->defers || once_in(2))) {
        if (run->edits && once_in(3))
            put_in(dir);
        q->ended_out = true;
        give(dir, NULL, 0, 0, true, true);
    }
}

static void feed(int dir, const uint8_t *bytes, uint32_t size, uint32_t lost, bool fin)
{
    struct pipeline *q = &run->pipe[dir];

    rewrite_feed(run->rewrite, dir, bytes, size, lost, fin);
    for (uint32_t i = 0; i < lost; i++)
        q->waiting[q->count++].value = MISSING;
    if (lost != 0 && q->count == lost &&
        !rewrite_is_on(run->rewrite)) { /* as one, as the pipeline gives it */
        const struct rewrite_element e = {.span = lost, .lost = true};
        rewrite_element(run->rewrite, dir, &e);
        for (uint32_t i = 0; i < lost; i++)
            q->expected[q->expected_count++] = MISSING;
        q->count = 0;
    }
    for (uint32_t i = 0; i < size; i++)
        q->waiting[q->count++].value = bytes[i];
    q->end = q->end || fin;
    work(dir, bytes, size, false);
    rewrite_fed(run->rewrite, dir);
}

/* ---- the capture ---------------------------------------------------------------------------------------- */

/* What is in order of a direction now. */
static void in_order(int dir)
{
    static uint8_t piece[STREAM];

    for (;;) {
        uint32_t size = 0, lost = 0, at = run->next[dir];
        bool fin = false;

        if (run->fin_done[dir])
            return;
        while (at + lost < run->proved[dir] && at + lost <= run->end[dir].length &&
               !run->held[dir][at + lost].is)
            lost++;
        at += lost;
        while (at + size <= run->end[dir].length && run->held[dir][at + size].is) {
            piece[size] = run->held[dir][at + size].byte;
            size++;
        }
        if (size > 1 && once_in(4))
            size = 1 + any(size);
        if (at + size == run->end[dir].length + 1 && (run->fin_held[dir] || run->proved[dir] > at + size) &&
            run->end[dir].fin_when_done)
            fin = run->fin_held[dir];
        if (size == 0 && lost == 0 && !fin)
            return;
        run->next[dir] = at + size;
        run->fin_done[dir] = fin;
        feed(dir, piece, size, lost, fin);
    }
}

static void captured(const struct frame *f)
{
    struct wire_packet p;
    const int dir = f->dir;
    uint32_t position;

    wire_parse(WIRE_LINK_ETHERNET, f->bytes, f->size, f->size, &p);
    if (getenv("WEIR_SHOW") != NULL)
        fprintf(stderr, "       dir %d at %u size %u flags %02x ack %u window %u\n", dir,
                p.tcp_seq - run->end[dir].isn, p.data_length, p.tcp_flags, p.tcp_ack - run->end[!dir].isn,
                p.tcp_window);
    rewrite_see(run->rewrite, dir, &p);
    position = p.tcp_seq - run->end[dir].isn;
    if ((p.tcp_flags & WIRE_TCP_ACK) != 0 && p.tcp_ack - run->end[!dir].isn > run->proved[!dir])
        run->proved[!dir] = p.tcp_ack - run->end[!dir].isn;
    for (uint32_t i = 0; i < p.data_length; i++) {
        if (position + i < run->next[dir] || run->held[dir][position + i].is)
            continue;
        run->held[dir][position + i].is = true;
        run->held[dir][position + i].byte = p.frame[p.data_at + i];
    }
    if ((p.tcp_flags & WIRE_TCP_FIN) != 0)
        run->fin_held[dir] = true;
    if (position > run->next[dir] && run->proved[dir] <= run->next[dir] && (p.tcp_flags & WIRE_TCP_SYN) == 0)
        rewrite_withhold(run->rewrite); /* ahead of a hole */
    in_order(dir);
    in_order(!dir);
    if (!rewrite_segment(run->rewrite, dir, &p)) {
        CHECK(!run->on_seen || (p.tcp_flags & WIRE_TCP_SYN) != 0);
        read_packet(f->bytes, f->size, false);
    }
    run->on_seen = rewrite_is_on(run->rewrite);
}

/* ---- the ends ------------------------------------------------------------------------------------------- */

static void launch(int dir, uint32_t position, uint32_t size, uint8_t flags)
{
    struct frame f;
    bool gone, unseen;

    run->clock++;
    make_frame(&f, dir, position, size, flags);
    gone = once_in(run->loss);
    unseen = run->capture_loses && once_in(30) && (flags & (WIRE_TCP_SYN | WIRE_TCP_FIN)) == 0;
    if (dir == 0 && !unseen)
        captured(&f);
    if (gone || run->flying_count == FLYING)
        return;
    f.bytes[0] = unseen; /* said beside it: seen at the far end of the way in */
    run->flying[run->flying_count++] = f;
    if (once_in(40) && run->flying_count < FLYING)
        run->flying[run->flying_count++] = f;
}

static void say(int dir)
{
    launch(dir, run->end[dir].sent, 0, WIRE_TCP_ACK);
}

static void receive(int dir, const struct frame *f) /* dir: who receives */
{
    struct tcp_end *e = &run->end[dir], *other = &run->end[!dir];
    struct wire_packet p;
    uint32_t position, ack;

    wire_parse(WIRE_LINK_ETHERNET, f->bytes, f->size, f->size, &p);
    position = p.tcp_seq - other->isn;
    if ((p.tcp_flags & WIRE_TCP_SYN) != 0) {
        if (e->got == 0)
            e->got = 1;
        if (!e->started) {
            e->started = true;
            e->sent = 1;
            launch(dir, 0, 0, WIRE_TCP_SYN | WIRE_TCP_ACK);
        } else if ((p.tcp_flags & WIRE_TCP_ACK) != 0) {
            e->acked = e->acked > 1 ? e->acked : 1;
            say(dir);
        } else {
            launch(dir, 0, 0, WIRE_TCP_SYN | WIRE_TCP_ACK);
        }
        return;
    }
    if (e->got == 0)
        return;
    ack = p.tcp_ack - e->isn;
    if (ack > e->acked && ack <= e->sent)
        e->acked = ack;
    for (uint32_t i = 0; i < p.data_length + ((p.tcp_flags & WIRE_TCP_FIN) != 0); i++)
        if (position + i >= e->got && position + i < e->read + e->room + 1)
            e->have[position + i] = true;
    while (e->got < other->length + 2 && e->have[e->got])
        e->got++;
    if (once_in(2) || !run->windowed)
        e->read = e->got;
    if (p.data_length != 0 || (p.tcp_flags & WIRE_TCP_FIN) != 0)
        say(dir);
}

static void send_some(int dir, bool again)
{
    struct tcp_end *e = &run->end[dir], *other = &run->end[!dir];
    uint32_t from = again ? e->acked : e->sent, size, room;
    uint8_t flags = WIRE_TCP_ACK;

    if (e->got == 0 || e->acked == 0)
        return;
    if (again && once_in(3) && e->acked < e->sent)
        from += any(e->sent - e->acked);
    if (from > e->length + 1)
        return;
    room = other->read + other->room;
    room = room > from ? room - from : 0;
    size = e->length + 1 - from;
    if (size != 0) {
        uint32_t most = run->mss - (run->stamps ? 12 : 0);
        most = size < most ? size : most;
        size = 1 + any(most);
        if (once_in(3))
            size = most;
        if (size > room && !again)
            size = room;
        if (size == 0)
            return;
    }
    if (once_in(2))
        flags |= WIRE_TCP_PSH;
    if (from + size == e->length + 1 && e->fin_when_done && (size == 0 || once_in(2)))
        flags |= WIRE_TCP_FIN;
    if (size == 0 && (flags & WIRE_TCP_FIN) == 0)
        return;
    if (from + size + ((flags & WIRE_TCP_FIN) != 0) > e->sent)
        e->sent = from + size + ((flags & WIRE_TCP_FIN) != 0);
    launch(dir, from, size, flags);
}

static void deliver(uint32_t i)
{
    struct frame f = run->flying[i];
    const bool unseen = f.bytes[0];

    run->flying[i] = run->flying[--run->flying_count];
    f.bytes[0] = 0;
    if (f.dir == 1 && !unseen)
        captured(&f);
    receive(!f.dir, &f);
}

static bool is_done(void)
{
    for (int dir = 0; dir < 2; dir++)
        if (run->end[dir].acked < run->end[dir].length + 2)
            return false;
    return true;
}

static void later(int dir)
{
    if (run->pipe[dir].count == 0 && !(run->pipe[dir].end && !run->pipe[dir].ended_out))
        return;
    work(dir, NULL, 0, once_in(2));
    rewrite_settle(run->rewrite);
}

static void step(void)
{
    const int dir = (int)any(2);

    switch (any(8)) {
    case 0:
        if (run->defers)
            later(dir);
        break;
    case 1:
    case 2:
    case 3:
        send_some(dir, false);
        break;
    case 4:
        if (run->flying_count < 2)
            send_some(dir, true);
        else if (once_in(12))
            send_some(dir, true);
        if (once_in(30) && run->end[dir].started && run->end[dir].acked > 0)
            launch(dir, run->end[dir].sent - 1, 0, WIRE_TCP_ACK); /* keep-alive, if nothing is on its way */
        break;
    case 5:
        if (run->end[0].started && run->end[0].got == 0 && run->flying_count == 0)
            launch(0, 0, 0, WIRE_TCP_SYN);
        if (run->windowed && run->end[dir].got > run->end[dir].read) {
            run->end[dir].read = run->end[dir].got;
            say(dir);
        }
        break;
    default:
        if (run->flying_count != 0)
            deliver(once_in(5) ? any(run->flying_count) : 0);
        break;
    }
}

static void begin(uint64_t seed)
{
    static struct run room;
    const uint32_t lengths[] = {40, 400, 1500, STREAM - 8};

    seed_now = seed;
    random_state = seed * 0x9e3779b97f4a7c15ull + 1;
    for (int i = 0; i < 4; i++)
        (void)any(2);
    run = &room;
    memset(run, 0, sizeof(*run));
    run->v6 = once_in(4);
    run->vlan = once_in(5);
    run->stamps = once_in(2);
    run->sack = once_in(2);
    run->edits = !once_in(6);
    run->defers = once_in(2);
    run->windowed = once_in(3);
    run->capture_loses = once_in(8);
    run->loss = once_in(2) ? 0 : 5 + any(40);
    for (int dir = 0; dir < 2; dir++) {
        struct tcp_end *e = &run->end[dir];

        e->length = any(lengths[any(4)]);
        for (uint32_t i = 0; i < e->length; i++)
            e->stream[i] = (uint8_t)any(128);
        e->isn = once_in(2) ? (uint32_t) - (int32_t)any(3000) : any(UINT32_MAX);
        e->mss = (uint16_t)(100 + any(1361));
        e->scale = (uint8_t)any(4);
        e->room = run->windowed ? 500 + any(3000) : 60000;
        e->fin_when_done = true;
        run->next[dir] = 1;
        run->reader[dir].top = 0;
    }
    run->mss = run->end[0].mss < run->end[1].mss ? run->end[0].mss : run->end[1].mss;
    const struct rewrite_config config = {.send = on_send, .counts = &run->counts};
    run->rewrite = rewrite_create(&config);
    assert_non_null(run->rewrite);
    run->end[0].started = true;
    run->end[0].sent = 1;
    launch(0, 0, 0, WIRE_TCP_SYN);
}

static void compare(int dir)
{
    const struct pipeline *q = &run->pipe[dir];
    const struct reader *in = &run->reader[dir];

    if (getenv("WEIR_SHOW") != NULL)
        fprintf(stderr,
                "dir %d: v6 %d edits %d defers %d windowed %d loses %d loss %u expected %u top %u fin %u "
                "ended %d\n",
                dir, run->v6, run->edits, run->defers, run->windowed, run->capture_loses, run->loss,
                q->expected_count, in->top, in->fin, q->ended_out);
    CHECK(q->ended_out || run->capture_loses);
    for (uint32_t i = 0; i < q->expected_count; i++) {
        if (q->expected[i] !=
            MISSING) /* a repetition may have been seen, as long as segments went as they came */
            CHECK(in->seen[i + 1] && in->bytes[i + 1] == q->expected[i]);
    }
    for (uint32_t i = q->expected_count; i < EDITED; i++)
        CHECK(!in->seen[i + 1]);
    CHECK(in->fin == (q->ended_out ? q->expected_count + 1 : 0));
    if (!run->capture_loses) { /* all that was sent was acknowledged in the end */
        CHECK(run->reader[!dir].ack == in->top);
    }
}

static void one_run(uint64_t seed)
{
    begin(seed);
    for (uint32_t steps = 0; steps < 20000 && !is_done(); steps++)
        step();
    CHECK(is_done());
    while (run->flying_count != 0)
        deliver(0);
    for (int dir = 0; dir < 2; dir++)
        work(dir, NULL, 0, true);
    rewrite_settle(run->rewrite);
    rewrite_flush(run->rewrite);
    for (int dir = 0; dir < 2; dir++)
        compare(dir);
    CHECK(run->counts.evicted == 0 && run->counts.late == 0);
    rewrite_destroy(run->rewrite);
}

static void edited_connections(void **state)
{
    /* WEIR_CASES: a long run */
    const char *text = getenv("WEIR_RUNS");
    const uint64_t runs = text != NULL                   ? strtoull(text, NULL, 10)
                          : getenv("WEIR_CASES") != NULL ? 100000
                                                         : 1500;
    const char *from = getenv("WEIR_FROM");
    const uint64_t first = from != NULL ? strtoull(from, NULL, 10) : 1;

    (void)state;
    for (uint64_t seed = first; seed < first + runs; seed++)
        one_run(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(edited_connections)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
