/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who waits for whom, beside a naive reference: random flows whose requests are pended, kept, refused,
 * repeated, and a host that does what the plan says. The reference knows the whole plan ahead and needs no
 * queues: it says of each frame by itself what its fate is and when. Then the rules one by one, and what
 * happens when there is no room. delay_segments.c gives frames by hand.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "datapath/replay_delay.h"
#include "packets.h"

#define FRAMES 400
#define FLOWS  12
#define NEVER  UINT64_MAX

/* ---- the plan ------------------------------------------------------------------------------------------ */

enum plan {
    PLAN_FREE,   /* nobody objects */
    PLAN_KEEP,   /* absorbed, by a driver that keeps it */
    PLAN_PEND,   /* pended, and kept */
    PLAN_FLUSH,  /* pended, and not kept */
    PLAN_COPY,   /* pended, not kept; the driver made a packet of its own */
    PLAN_CONNECT /* TCP at AC: pended, there is no packet */
};

struct frame {
    uint64_t time;
    unsigned flow;
    bool from_first, syn;
    enum plan plan;
    uint64_t takes; /* until it is decided; NEVER */
    bool yes;
    uint8_t bytes[128];
    uint32_t size;
    /* what came of it */
    unsigned told, fed;
    enum host_fate fate;
    uint64_t at;
};

struct flow {
    bool tcp, out; /* out: the first end is this host */
    bool allowed;  /* the host's: a SYN or request went its way */
    bool refused;  /* TCP: the connect */
    bool copies;
};

struct world {
    struct frame frames[FRAMES];
    unsigned count;
    struct flow flows[FLOWS];
    struct {
        uint64_t time;
        unsigned frame;
    } events[FRAMES];
    unsigned event_count;
    struct delay *delay;
    uint64_t now, last;
    bool limited;
};

static const struct engine_layer *layer(UINT16 id)
{
    return engine_layer_by_id(id);
}

static uint32_t draw(uint64_t *seed, uint32_t below)
{
    *seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(*seed >> 33) % below;
}

static void build(struct world *w, struct frame *f, uint32_t sequence)
{
    const struct flow *x = &w->flows[f->flow];
    const bool sent = x->out == f->from_first;
    const uint16_t first = (uint16_t)(1000 + f->flow), second = 53;
    struct packet p = {
        .src = sent ? "10.0.0.1" : "10.0.0.2",
        .dst = sent ? "10.0.0.2" : "10.0.0.1",
        .sport = f->from_first ? first : second,
        .dport = f->from_first ? second : first,
        .protocol = x->tcp ? WIRE_PROTOCOL_TCP : WIRE_PROTOCOL_UDP,
    };

    if (x->tcp) {
        p.tcp_flags = f->syn ? WIRE_TCP_SYN : WIRE_TCP_ACK;
        p.seq = sequence;
        p.ack = f->syn ? 0 : 101;
    }
    f->size = (uint32_t)packet_build(&p, f->bytes, sizeof(f->bytes));
}

static struct capture_packet packet_of(const struct world *w, unsigned n)
{
    const struct frame *f = &w->frames[n];

    return (struct capture_packet){.number = n + 1,
                                   .time_ns = f->time,
                                   .has_time = true,
                                   .bytes = f->bytes,
                                   .captured = f->size,
                                   .length = f->size,
                                   .process = UINT32_MAX};
}

/* ---- the host ------------------------------------------------------------------------------------------ */

static void told(struct world *w, UINT64 number, const struct host_outcome *o, uint64_t at)
{
    struct frame *f = &w->frames[number - 1];

    f->told++;
    f->fate = o->fate;
    f->at = at;
}

static void drain(struct world *w)
{
    struct delay_piece *piece;

    while ((piece = delay_told(w->delay)) != NULL) {
        told(w, piece->packet.number, &piece->outcome, piece->packet.time_ns + piece->packet.delay_ns);
        delay_done(w->delay, piece);
    }
}

static void outcome_of(struct world *w, unsigned n, bool follows, struct host_outcome *o)
{
    struct frame *f = &w->frames[n];
    struct flow *x = &w->flows[f->flow];
    const bool asks = x->tcp ? f->syn && f->from_first : f->from_first;

    *o = (struct host_outcome){.fate = HOST_PASSED, .flow_id = f->flow + 1, .answers = !f->from_first};
    o->inbound = x->out != f->from_first;
    o->outbound = !o->inbound;
    if (!asks) {
        if (!follows && !x->allowed)
            o->fate = HOST_CONSEQUENCE;
        return;
    }
    if (f->fed > 1 || x->refused) { /* a SYN after its completion */
        x->refused = x->refused || !f->yes;
        x->allowed = !x->refused;
        o->fate = x->refused ? HOST_CONSEQUENCE : HOST_PASSED;
        return;
    }
    switch (f->plan) {
    case PLAN_FREE:
        x->allowed = true;
        return;
    case PLAN_KEEP:
        o->fate = HOST_ABSORBED;
        o->kept = true;
        break;
    case PLAN_PEND:
    case PLAN_FLUSH:
    case PLAN_COPY:
        o->fate = HOST_HELD;
        o->kept = f->plan == PLAN_PEND;
        o->layer = layer(x->out ? FWPS_LAYER_ALE_AUTH_CONNECT_V4 : FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4);
        break;
    case PLAN_CONNECT:
        o->fate = HOST_HELD;
        o->layer = layer(FWPS_LAYER_ALE_AUTH_CONNECT_V4);
        break;
    }
    if (!x->tcp)
        x->allowed = false; /* of datagrams the last one counts */
    if (f->takes != NEVER) {
        w->events[w->event_count].time = w->now + f->takes;
        w->events[w->event_count++].frame = n;
    }
}

static void give(struct world *w, unsigned n, struct delay_piece *piece, bool follows, uint64_t at)
{
    struct capture_packet p = packet_of(w, n);
    struct wire_packet wire;
    struct host_outcome o;

    wire_parse(WIRE_LINK_ETHERNET, p.bytes, p.captured, p.length, &wire);
    assert_true(at >= w->last);
    w->last = at;
    w->frames[n].fed++;
    delay_feeding(w->delay, n + 1);
    outcome_of(w, n, follows, &o);
    if (delay_fed(w->delay, piece, piece != NULL ? &piece->packet : &p, piece != NULL ? &piece->wire : &wire,
                  &o, at)) {
        told(w, n + 1, &o, at);
        if (piece != NULL)
            delay_done(w->delay, piece);
    }
    drain(w);
}

/* A driver has made up its mind. */
static void decide(struct world *w, unsigned n)
{
    const struct frame *f = &w->frames[n];
    struct flow *x = &w->flows[f->flow];
    struct host_completed c = {.frame = n + 1, .permitted = f->yes};
    struct wire_packet wire;
    UINT64 number = 0;

    c.operation = x->out ? HOST_OPERATION_CONNECT : HOST_OPERATION_ACCEPT;
    wire_parse(WIRE_LINK_ETHERNET, f->bytes, f->size, f->size, &wire);
    if (f->plan != PLAN_KEEP)
        delay_completed(w->delay, &c, w->now);
    if (f->yes && (f->plan == PLAN_KEEP || f->plan == PLAN_PEND || f->plan == PLAN_COPY)) {
        const bool stands =
            delay_emitted(w->delay, f->plan == PLAN_COPY ? 0 : n + 1, &wire, false, w->now, &number);

        assert_true(w->limited || (stands && number == n + 1));
        x->allowed = true;
    }
    if (f->plan == PLAN_KEEP || f->plan == PLAN_PEND)
        delay_released(w->delay, n + 1);
    drain(w);
}

/* Until `until`; events of one time come before frames of that time. */
static void go_to(struct world *w, uint64_t until)
{
    for (;;) {
        uint64_t first = NEVER, due;
        unsigned which = 0;

        delay_settled(w->delay);
        drain(w);
        due = delay_due(w->delay);
        for (unsigned i = 0; i < w->event_count; i++)
            if (w->events[i].time < first) {
                first = w->events[i].time;
                which = i;
            }
        if (first != NEVER && first <= until && first <= due) {
            const unsigned n = w->events[which].frame;

            for (unsigned i = which + 1; i < w->event_count; i++) /* equal times in their order */
                w->events[i - 1] = w->events[i];
            w->event_count--;
            w->now = first > w->now ? first : w->now;
            decide(w, n);
            if (w->frames[n].plan == PLAN_FLUSH || !w->frames[n].yes) { /* the instant ends */
                delay_settled(w->delay);
                drain(w);
            }
            continue;
        }
        if (due == NEVER || due > until)
            break;
        w->now = due > w->now ? due : w->now;
        {
            uint64_t at = w->last;
            struct delay_piece *piece = delay_take(w->delay, &at);

            give(w, (unsigned)piece->packet.number - 1, piece, piece->follows, at);
        }
    }
    w->now = until > w->now && until != NEVER ? until : w->now;
}

static void run(struct world *w, const struct delay_limits *limits)
{
    struct delay_counts c;

    assert_int_equal(delay_create(limits, &w->delay), 0);
    for (unsigned n = 0; n < w->count; n++) {
        struct capture_packet p = packet_of(w, n);
        struct wire_packet wire;
        struct host_outcome o;

        go_to(w, p.time_ns);
        if (p.time_ns > w->last)
            w->last = p.time_ns;
        wire_parse(WIRE_LINK_ETHERNET, p.bytes, p.captured, p.length, &wire);
        switch (delay_frame(w->delay, &p, &wire, &o)) {
        case DELAY_WAITS:
            break;
        case DELAY_FATE:
            told(w, n + 1, &o, p.time_ns);
            break;
        case DELAY_FEED:
            give(w, n, NULL, false, p.time_ns);
            break;
        case DELAY_FEED_FOLLOWS:
            give(w, n, NULL, true, p.time_ns);
            break;
        }
        drain(w);
    }
    go_to(w, NEVER);
    delay_end_waiting(w->delay);
    drain(w);
    delay_end(w->delay);
    drain(w);
    delay_counts(w->delay, &c);
    assert_true(c.waiting == 0 && c.undecided == 0 && c.bytes == 0);
    for (unsigned n = 0; n < w->count; n++)
        assert_int_equal(w->frames[n].told, 1);
    delay_destroy(w->delay);
}

/* ---- the reference ------------------------------------------------------------------------------------- */

struct expected {
    enum host_fate fate;
    uint64_t at; /* of what passed */
};

static bool injects(const struct frame *f)
{
    return f->plan == PLAN_KEEP || f->plan == PLAN_PEND || f->plan == PLAN_COPY;
}

static struct expected expect_request(const struct frame *f)
{
    if (f->plan == PLAN_FREE)
        return (struct expected){HOST_PASSED, f->time};
    if (f->takes == NEVER)
        return (struct expected){HOST_HELD, 0};
    if (f->plan == PLAN_CONNECT)
        return (struct expected){f->yes ? HOST_PASSED : HOST_CONSEQUENCE, f->time + f->takes};
    if (f->yes && injects(f))
        return (struct expected){HOST_PASSED, f->time + f->takes};
    return (struct expected){HOST_ABSORBED, 0};
}

static struct expected expect_answer(const struct world *w, const struct frame *f)
{
    const struct frame *r = NULL;
    struct expected e;

    for (const struct frame *x = w->frames; x < f; x++)
        if (x->flow == f->flow && x->from_first)
            r = x;
    if (r == NULL)
        return (struct expected){HOST_CONSEQUENCE, 0}; /* this host says so */
    e = expect_request(r);
    if (e.fate == HOST_PASSED)
        return (struct expected){HOST_PASSED, f->time + (e.at - r->time)};
    return (struct expected){e.fate == HOST_HELD ? HOST_HELD : HOST_CONSEQUENCE, 0};
}

/* The connection: when it was opened, and by how much it is late; or when nobody hoped any more. */
static struct expected expect_tcp(const struct world *w, const struct frame *f)
{
    const struct frame *first = NULL, *asked = NULL, *other = NULL;
    uint64_t opened = NEVER;
    bool waits = false;

    for (const struct frame *x = w->frames; x < w->frames + w->count; x++) {
        if (x->flow != f->flow)
            continue;
        if (!x->syn) {
            other = other == NULL ? x : other;
            continue;
        }
        first = first == NULL ? x : first;
        if (first->plan == PLAN_CONNECT && x != first)
            continue;
        if (other == NULL && x->time < opened)
            asked = x;
        if (expect_request(x).fate == HOST_PASSED && expect_request(x).at < opened)
            opened = expect_request(x).at;
        if (expect_request(x).fate == HOST_HELD && x < f)
            waits = true;
    }
    if (first->plan == PLAN_CONNECT && f != first && first->takes == NEVER)
        return (struct expected){HOST_HELD, 0};
    if (first->plan == PLAN_CONNECT && f != first && f->syn) /* SYNs of a pended connect wait as well */
        return (struct expected){first->yes ? HOST_PASSED : HOST_CONSEQUENCE, f->time + first->takes};
    if (f->syn)
        return expect_request(f);
    if (opened != NEVER)
        return (struct expected){HOST_PASSED, f->time + (opened - asked->time)};
    return (struct expected){waits ? HOST_HELD : HOST_CONSEQUENCE, 0};
}

static void compare(const struct world *w, uint64_t seed)
{
    for (unsigned n = 0; n < w->count; n++) {
        const struct frame *f = &w->frames[n];
        const struct expected e = w->flows[f->flow].tcp ? expect_tcp(w, f)
                                  : f->from_first       ? expect_request(f)
                                                        : expect_answer(w, f);

        if (f->fate != e.fate || (e.fate == HOST_PASSED && f->at != e.at))
            fail_msg("seed %llu: frame %u of flow %u (%s, %s, plan %d): %s at %llu, expected %s at %llu",
                     (unsigned long long)seed, n + 1, f->flow, w->flows[f->flow].tcp ? "TCP" : "UDP",
                     f->from_first ? "first" : "second", f->plan, host_fate_name(f->fate),
                     (unsigned long long)f->at, host_fate_name(e.fate), (unsigned long long)e.at);
    }
}

/* ---- random worlds ------------------------------------------------------------------------------------- */

static void plan(struct world *w, struct frame *f, uint64_t *seed)
{
    static const enum plan plans[] = {PLAN_FREE, PLAN_KEEP, PLAN_PEND, PLAN_FLUSH};
    const struct flow *x = &w->flows[f->flow];

    f->plan = plans[draw(seed, 4)];
    f->takes = 1 + draw(seed, 4000);
    f->yes = draw(seed, 3) != 0;
    if (draw(seed, 20) == 0)
        f->takes = NEVER;
    if (x->copies) { /* in their order: nothing else tells whose a copy is */
        f->plan = draw(seed, 3) == 0 ? PLAN_FREE : PLAN_COPY;
        f->takes = 2000;
        f->yes = true;
    }
    if (x->tcp && x->out)
        f->plan = draw(seed, 4) == 0 ? PLAN_FREE : PLAN_CONNECT;
}

/* Each flow: TCP: SYNs, then the rest. A repeated SYN comes before anything else: after that it would be
 * answered. */
static void make(struct world *w, uint64_t seed)
{
    bool answered[FLOWS] = {false}, begun[FLOWS] = {false};
    const uint64_t first_seed = seed;

    memset(w, 0, sizeof(*w));
    for (unsigned i = 0; i < FLOWS; i++) {
        w->flows[i].tcp = draw(&seed, 2);
        w->flows[i].out = draw(&seed, 2);
        w->flows[i].copies = draw(&seed, 4) == 0;
    }
    w->count = 20 + draw(&seed, FRAMES - 20);
    for (unsigned n = 0; n < w->count; n++) {
        struct frame *f = &w->frames[n];
        const unsigned x = draw(&seed, FLOWS);

        f->flow = x;
        /* every frame at a time of its own, so that nothing hangs on the order of what is simultaneous */
        f->time = 1000000 + (uint64_t)n * 1000003 / 1000 * 7 + draw(&seed, 1000);
        f->from_first = !begun[x] || draw(&seed, 2);
        if (w->flows[x].tcp) {
            f->syn = !begun[x] || (!answered[x] && draw(&seed, 3) == 0);
            f->from_first = f->syn || draw(&seed, 2);
            answered[x] = answered[x] || !f->syn;
        }
        if (f->syn || (!w->flows[x].tcp && f->from_first))
            plan(w, f, &seed);
        f->takes = f->takes == NEVER ? NEVER : f->takes * 1009 + first_seed % 97;
        if (f->syn) { /* of one connect there is one operation; what was allowed is not asked about again */
            for (const struct frame *y = w->frames; y < f; y++)
                if (y->flow == x && (y->plan == PLAN_CONNECT || y->plan == PLAN_FREE)) {
                    f->plan = PLAN_FREE;
                    f->yes = true;
                }
        }
        begun[x] = true;
        build(w, f, 100);
    }
}

static void as_the_reference_says(void **state)
{
    const struct delay_limits unlimited = {0};
    struct world *w = malloc(sizeof(*w));
    const char *one = getenv("WEIR_SEED");
    uint64_t passed = 0, late = 0, consequences = 0, held = 0;

    (void)state;
    assert_non_null(w);
    for (uint64_t seed = one != NULL ? strtoull(one, NULL, 0) : 1;
         seed <= (one != NULL ? strtoull(one, NULL, 0) : 1500); seed++) {
        make(w, seed);
        run(w, &unlimited);
        compare(w, seed);
        for (unsigned n = 0; n < w->count; n++) {
            passed += w->frames[n].fate == HOST_PASSED;
            late += w->frames[n].fate == HOST_PASSED && w->frames[n].at != w->frames[n].time;
            consequences += w->frames[n].fate == HOST_CONSEQUENCE;
            held += w->frames[n].fate == HOST_HELD;
        }
    }
    if (one == NULL) /* the plans are not all of one kind */
        assert_true(passed > 50000 && late > 10000 && consequences > 5000 && held > 1000);
    free(w);
}

/* However little room: each frame has one fate, nothing is left, and what gave way is counted. */
static void with_little_room(void **state)
{
    struct world *w = malloc(sizeof(*w));
    uint64_t evicted = 0;

    (void)state;
    assert_non_null(w);
    for (uint64_t seed = 1; seed <= 600; seed++) {
        struct delay_limits limits = {.frames = 1 + seed % 7, .flows = 1 + seed % 3};
        uint64_t held = 0;

        if (seed % 2 != 0)
            limits = (struct delay_limits){.bytes = 1000 * (1 + seed % 5)};
        make(w, seed);
        w->limited = true;
        run(w, &limits);
        for (unsigned n = 0; n < w->count; n++)
            held += w->frames[n].fate == HOST_HELD;
        evicted += held;
    }
    assert_true(evicted > 1000);
    free(w);
}

/* ---- rules, one by one --------------------------------------------------------------------------------- */

static void run_of(struct world *w)
{
    const struct delay_limits unlimited = {0};

    for (unsigned n = 0; n < w->count; n++)
        build(w, &w->frames[n], 100);
    run(w, &unlimited);
}

#define SECOND 1000000000ull

/* Of a connect everything is late by as much, the repeated SYN too, also one that
 * comes when it is permitted; another flow is not (PEND-35). */
static void PEND_35_a_connect_is_late_as_a_whole(void **state)
{
    struct world w = {.count = 7, .flows = {{.tcp = true, .out = true}, {.out = true}}};

    (void)state;
    for (unsigned n = 0; n < 7; n++)
        w.frames[n] = (struct frame){.time = (n + 1) * SECOND, .from_first = n != 2, .syn = n < 2};
    w.frames[0].plan = PLAN_CONNECT;
    w.frames[0].takes = 10 * SECOND;
    w.frames[0].yes = w.frames[1].yes = true;
    w.frames[5] = (struct frame){.time = 12 * SECOND, .from_first = true, .syn = true, .yes = true};
    w.frames[6].time = 13 * SECOND;
    w.frames[6].flow = 1;
    run_of(&w);
    for (unsigned n = 0; n < 7; n++) {
        assert_int_equal(w.frames[n].fate, HOST_PASSED);
        assert_int_equal(w.frames[n].at, w.frames[n].time + (n == 6 ? 0 : 10 * SECOND));
    }
}

/* A SYN that comes in again is asked about at its own time (PEND-37); what follows waits. */
static void PEND_37_a_repeated_syn_is_on_time(void **state)
{
    struct world w = {.count = 4, .flows = {{.tcp = true}}};

    (void)state;
    for (unsigned n = 0; n < 4; n++)
        w.frames[n] = (struct frame){.time = (n + 1) * SECOND,
                                     .from_first = n != 2,
                                     .syn = n < 2,
                                     .plan = n < 2 ? PLAN_PEND : PLAN_FREE};
    w.frames[0].takes = 5 * SECOND;
    w.frames[0].yes = true;
    w.frames[1].takes = 7 * SECOND;
    run_of(&w);
    assert_int_equal(w.frames[1].fed, 1);
    assert_int_equal(w.frames[0].at, 6 * SECOND);
    assert_int_equal(w.frames[1].fate, HOST_ABSORBED);
    assert_int_equal(w.frames[2].at, w.frames[2].time + 4 * SECOND); /* it answered the second */
    assert_int_equal(w.frames[3].at, w.frames[3].time + 4 * SECOND);
}

/* Further datagrams are asked about at their own time (PEND-36); each answer waits for what it answers. */
static void PEND_36_datagrams_wait_for_their_own_request(void **state)
{
    struct world w = {.count = 5, .flows = {{.out = true}}};
    static const bool first[] = {true, false, true, false, false};

    (void)state;
    for (unsigned n = 0; n < 5; n++)
        w.frames[n] = (struct frame){.time = (n + 1) * SECOND, .from_first = first[n]};
    w.frames[0].plan = w.frames[2].plan = PLAN_PEND;
    w.frames[0].takes = 20 * SECOND;
    w.frames[2].takes = 4 * SECOND;
    w.frames[0].yes = w.frames[2].yes = true;
    run_of(&w);
    assert_int_equal(w.frames[1].at, 22 * SECOND);
    assert_int_equal(w.frames[2].at, 7 * SECOND);
    assert_int_equal(w.frames[3].at, 8 * SECOND);
    assert_int_equal(w.frames[4].at, 9 * SECOND);
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(PEND_35_a_connect_is_late_as_a_whole),
        cmocka_unit_test(PEND_37_a_repeated_syn_is_on_time),
        cmocka_unit_test(PEND_36_datagrams_wait_for_their_own_request),
        cmocka_unit_test(as_the_reference_says),
        cmocka_unit_test(with_little_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
