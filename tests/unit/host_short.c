/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The short ways of paths_short.c and paths_refused.c against the long one: two hosts over one engine, the second with
 * host_knobs.long_way, are given the same frames, times and changes at random. Each frame's outcome, all that
 * the observers hear, and all counters must be the same; and the short way must have been taken.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "host/internal.h"
#include "host_lab.h"

#define FLOWS 14
#define BATCH 8
#define RULES 6
#define TOLD  64

struct word { /* what an observer heard */
    UINT64 number, frame, time_ns, flow_id, endpoint_id, parent_id, filter_id;
    UINT16 layer;
    UINT8 what, action, depends, empty, cause, direction;
};

struct side {
    struct host *host;
    struct word told[TOLD];
    unsigned count;
    UINT64 brief; /* words without a number */
    UINT64 discards;
    struct host_outcome outcome;
};

struct stream { /* one flow of the world outside */
    bool tcp, six, out;
    UINT16 local, remote;
    unsigned peer;
    uint32_t next[2]; /* [0]: of this host */
    unsigned step;
};

struct world {
    struct host_lab lab; /* its engine and rules; its host is not used */
    struct side sides[2];
    uint64_t x;
    struct stream streams[FLOWS];
    UINT64 now_ns, frame;
    char layers[RULES][16];
    UINT64 rules[RULES]; /* 0: none */
    struct host_lab_callout callouts[4];
    unsigned callout_count;
    UINT64 untold; /* discards that the first side was not told of */
};

static unsigned any(struct world *w, unsigned below)
{
    w->x ^= w->x << 13;
    w->x ^= w->x >> 7;
    w->x ^= w->x << 17;
    return (unsigned)((w->x >> 24) % below);
}

static bool chance(struct world *w, unsigned one_in)
{
    return any(w, one_in) == 0;
}

/* ---- what is heard -------------------------------------------------------------------------------------- */

static void hear(struct side *s, const struct word *x)
{
    if (s->count < TOLD)
        s->told[s->count] = *x;
    s->count++;
}

static void on_classified(void *ctx, const struct host_event *e)
{
    struct side *s = ctx;

    s->discards += e->cause == HOST_CAUSE_DISCARD;
    hear(ctx, &(struct word){.what = 1,
                             .number = e->number + s->brief,
                             .frame = e->frame,
                             .time_ns = e->time_ns,
                             .flow_id = e->flow_id,
                             .endpoint_id = e->endpoint_id,
                             .parent_id = e->parent_id,
                             .filter_id = e->answer->verdict.filter_id,
                             .layer = e->layer->id,
                             .action = e->answer->verdict.action == FWP_ACTION_BLOCK,
                             .depends = e->answer->depends,
                             .empty = e->empty,
                             .cause = (UINT8)e->cause,
                             .direction = (UINT8)e->packet_direction});
}

/* host_observer.repeated: a word with less in it. */
static void on_repeated(void *ctx, const struct engine_layer *layer, const struct host_answer *answer,
                        UINT64 flow_id)
{
    struct side *s = ctx;

    s->brief++;
    hear(ctx, &(struct word){.what = 3,
                             .flow_id = flow_id,
                             .filter_id = answer->verdict.filter_id,
                             .layer = layer->id,
                             .action = answer->verdict.action == FWP_ACTION_BLOCK,
                             .depends = answer->depends});
}

/* host_observer.changed: so is this; of some flows it will do. */
static bool on_changed(void *ctx, enum host_flow_change change, UINT64 flow_id)
{
    if (flow_id % 3 != 0)
        hear(ctx, &(struct word){.what = 4, .flow_id = flow_id, .action = (UINT8)change});
    return flow_id % 3 != 0;
}

static void on_flow(void *ctx, enum host_flow_change change, const struct host_flow_info *f)
{
    hear(ctx, &(struct word){.what = 2,
                             .flow_id = f->id,
                             .endpoint_id = f->endpoint_id,
                             .parent_id = f->parent_id,
                             .action = (UINT8)change,
                             .cause = (UINT8)f->end});
}

/* Everything depends; permits, but for remote ports that end in 7. */
static NTSTATUS judge(void *ctx, struct engine_reader *r, const struct host_question *q,
                      struct host_answer *answer)
{
    NTSTATUS status = engine_classify_pinned(r, q->snapshot, q->request, &answer->verdict);

    (void)ctx;
    answer->depends = true;
    answer->depends_on = q->unknown;
    return status;
}

static bool listening(void *ctx, uint8_t version, uint8_t protocol, const union wire_addr *local, UINT16 port)
{
    (void)ctx, (void)version, (void)protocol, (void)local;
    return port % 16 != 3;
}

/* ---- policy --------------------------------------------------------------------------------------------- */

static const char *const some_rules[] = {
    "permit ST",
    "permit ST ip_remote_port=443",
    "block ST ip_remote_port=1026",
    "permit ST direction=0",
    "block ST flags~IS_LOOPBACK",
    "permit SPK ip_remote_port=443",
    "permit DD",
    "permit DD ip_local_port=53",
    "block DD ip_remote_port=1027",
    "permit IT ip_remote_port=1025",
    "block IT ip_local_port=2002 ip_remote_port=1024",
    "permit IT",
    "permit II ip_remote_address=10.0.0.3",
    "block OI ip_remote_address=10.0.0.5",
    "permit OT6 ip_remote_port=1025",
    "permit ST6 direction=1",
    "permit OT",
    "block AC ip_remote_port=1028",
    "block RA ip_local_port=2005",
    "block RA ip_local_port=2001",
    "block RA ip_remote_port=443",
    "block RA",
    "permit AC",
    "permit RA ip_local_port=2001",
    "permit DD interface_index=1",
    "block RES ip_local_port=2003",
    "permit FE ip_remote_port=443",
    "permit ST6",
    "permit MAC_IN ether_type=2048",
    "block MAC_IN ether_type=34525",
    "permit MAC_OUT ether_type=34525",
    "permit MAC_OUT_NATIVE",
};

static void change_rule(struct world *w)
{
    unsigned n = any(w, RULES);
    const char *rule = some_rules[any(w, sizeof(some_rules) / sizeof(some_rules[0]))];

    if (w->rules[n] != 0)
        host_lab_remove(&w->lab, w->layers[n], w->rules[n]);
    w->rules[n] = 0;
    if (chance(w, 3))
        return;
    w->rules[n] = host_lab_rule(&w->lab, rule);
    sscanf(rule, "%*s %15s", w->layers[n]);
}

/* A callout of the engine's, or one of another machine's, where the short way would pass. */
static void add_callout(struct world *w)
{
    static const char *const where[] = {
        "ST", "DD", "ST ip_remote_port=443", "IT", "SPK", "OT ip_remote_port=1025", "FE"};
    struct host_lab_callout *c = &w->callouts[w->callout_count++];

    c->action = chance(w, 4) ? FWP_ACTION_BLOCK : FWP_ACTION_PERMIT;
    host_lab_callout(&w->lab, where[any(w, 7)], c);
    if (chance(w, 3))
        return;
    assert_int_equal(engine_callout_unregister(w->lab.engine, &c->key), STATUS_SUCCESS);
    assert_int_equal(engine_callout_set_foreign(w->lab.engine, &c->key, true), 0);
}

/* ---- frames --------------------------------------------------------------------------------------------- */

static void new_stream(struct world *w, struct stream *s)
{
    *s = (struct stream){.tcp = !chance(w, 3),
                         .six = chance(w, 4),
                         .out = chance(w, 2),
                         .local = (UINT16)(chance(w, 4) ? 53 : 2000 + any(w, 9)),
                         .remote = (UINT16)(chance(w, 3) ? 443 : 1024 + any(w, 6)),
                         .peer = 2 + any(w, 4),
                         .next = {any(w, 1u << 31), any(w, 1u << 31)}};
}

/* The stream's next packet, or something odd. True: this host sends it. */
static bool next_packet(struct world *w, struct stream *s, struct packet *p, char *text)
{
    bool by_us = chance(w, 2);
    uint8_t flags = WIRE_TCP_ACK;
    unsigned size = chance(w, 2) ? 0 : any(w, 40);
    uint32_t seq;

    if (s->tcp && s->step < 3) {
        by_us = s->out == (s->step != 1);
        flags = s->step == 0 ? WIRE_TCP_SYN : s->step == 1 ? WIRE_TCP_SYN | WIRE_TCP_ACK : WIRE_TCP_ACK;
        size = 0;
    } else if (!s->tcp && s->step == 0) {
        by_us = s->out;
    } else if (s->tcp && chance(w, 25)) {
        flags |= chance(w, 3) ? WIRE_TCP_RST : WIRE_TCP_FIN;
    }
    s->step++;
    if (chance(w, 40))
        by_us = !by_us;
    if (chance(w, 60))
        flags = (uint8_t)any(w, 64);
    seq = s->next[!by_us];
    if (!chance(w, 12))
        s->next[!by_us] += size + ((flags & (WIRE_TCP_SYN | WIRE_TCP_FIN)) != 0);
    if (chance(w, 15)) /* a hole, or again */
        seq += any(w, 60) - 20;
    snprintf(text, 32, s->six ? "fd00::%u" : "10.0.0.%u", s->peer);
    *p = (struct packet){.protocol = s->tcp ? WIRE_PROTOCOL_TCP : WIRE_PROTOCOL_UDP,
                         .src = by_us ? (s->six ? "fd00::1" : "10.0.0.1") : text,
                         .dst = by_us ? text : (s->six ? "fd00::1" : "10.0.0.1"),
                         .sport = by_us ? s->local : s->remote,
                         .dport = by_us ? s->remote : s->local,
                         .tcp_flags = flags,
                         .seq = seq,
                         .ack = (flags & WIRE_TCP_ACK) != 0 ? s->next[by_us] : 0,
                         .fill = size,
                         .link = chance(w, 2) ? PACKET_RAW : PACKET_ETHERNET,
                         .bad = chance(w, 50) ? PACKET_BAD_IP_SUM : 0};
    if (chance(w, 60))
        p->dst = s->six ? "ff02::1" : chance(w, 2) ? "224.0.0.251" : "10.0.0.255";
    if (chance(w, 60)) /* to itself */
        p->src = p->dst = s->six ? "fd00::1" : "10.0.0.1";
    return by_us;
}

/* Of an answer at a discard layer, from memory, who is content with less hears nothing. */
static bool is_untold(const struct word *is, const struct word *other)
{
    return other->what == 1 && other->cause == HOST_CAUSE_DISCARD &&
           (is->what != 1 || is->cause != HOST_CAUSE_DISCARD);
}

static void same_frame(struct world *w, unsigned n)
{
    const struct side *a = &w->sides[0], *b = &w->sides[1];
    const struct host_outcome *x = &a->outcome, *y = &b->outcome;

    (void)n;
    assert_int_equal(x->fate, y->fate);
    assert_int_equal(x->note, y->note);
    assert_ptr_equal(x->layer, y->layer);
    assert_int_equal(x->filter_id, y->filter_id);
    assert_int_equal(x->module, y->module);
    assert_int_equal(x->reason, y->reason);
    assert_int_equal(x->fault, y->fault);
    assert_int_equal(x->depends, y->depends);
    assert_int_equal(x->flow_id, y->flow_id);
    assert_int_equal(x->sender_flow_id, y->sender_flow_id);
    assert_int_equal(x->inbound, y->inbound);
    assert_int_equal(x->outbound, y->outbound);
    assert_int_equal(x->forwarded, y->forwarded);
    assert_int_equal(x->answers, y->answers);
    assert_int_equal(x->kept, y->kept);
    assert_int_equal(a->count + (b->discards - a->discards - w->untold), b->count);
    for (unsigned i = 0, k = 0; i < a->count && k < b->count && k < TOLD; i++, k++) {
        struct word other = b->told[k];

        while (is_untold(&a->told[i], &other) && k + 1 < b->count && k + 1 < TOLD) {
            w->untold++;
            other = b->told[++k];
        }
        other.number -= other.what == 1 ? w->untold : 0;
        if (a->told[i].what == 4) {
            assert_true(other.what == 2 &&
                        (other.action == HOST_FLOW_AUTHORIZED || other.action == HOST_FLOW_REFUSED));
            other = (struct word){.what = 4, .flow_id = other.flow_id, .action = other.action};
        }
        if (a->told[i].what == 3) {
            assert_true(other.what == 1 && other.cause <= HOST_CAUSE_REAUTHORIZE && !other.empty);
            assert_true(other.depends && !other.action);
            other = (struct word){.what = 3,
                                  .flow_id = other.flow_id,
                                  .filter_id = other.filter_id,
                                  .layer = other.layer,
                                  .action = other.action,
                                  .depends = other.depends};
        }
        assert_memory_equal(&a->told[i], &other, sizeof(other));
    }
    w->untold = b->discards - a->discards;
}

static void some_frames(struct world *w)
{
    uint8_t bytes[BATCH][512];
    struct wire_packet parsed[BATCH];
    struct host_frame frames[BATCH] = {0};
    const unsigned count = 1 + any(w, BATCH);

    for (unsigned n = 0; n < count; n++) {
        struct stream *s = &w->streams[any(w, FLOWS)];
        struct packet p;
        char text[32];
        size_t size;

        if (chance(w, 60))
            new_stream(w, s);
        const bool by_us = next_packet(w, s, &p, text);
        size = chance(w, 80) ? packet_fragment(&p, 0, 16, bytes[n], sizeof(bytes[n]))
                             : packet_build(&p, bytes[n], sizeof(bytes[n]));
        wire_parse(packet_link_type(p.link), bytes[n],
                   (uint32_t)(chance(w, 80) ? any(w, (unsigned)size) : size), (uint32_t)size, &parsed[n]);
        w->now_ns += chance(w, 200) ? any(w, 70) * 1000000000ull : any(w, 3) * 1000000;
        frames[n] = (struct host_frame){.packet = &parsed[n],
                                        .number = ++w->frame,
                                        .time_ns = w->now_ns,
                                        .interface_index = chance(w, 70) ? 3 : 1,
                                        .way = by_us ? HOST_WAY_OUT : HOST_WAY_IN};
    }
    for (unsigned i = 0; i < 2; i++)
        host_prefetch(w->sides[i].host, frames, count);
    for (unsigned n = 0; n < count; n++) {
        for (unsigned i = 0; i < 2; i++) {
            w->sides[i].count = 0;
            host_frame(w->sides[i].host, &frames[n], &w->sides[i].outcome);
        }
        same_frame(w, n);
    }
}

/* ---- what else happens ---------------------------------------------------------------------------------- */

static void something(struct world *w)
{
    const bool moves = chance(w, 3); /* the host's own address, to the other interface as well */
    union wire_addr a = {.v4 = moves ? 0x0a000001u : 0x0a000100u + any(w, 4)};
    const unsigned what = any(w, 8), value = any(w, 3);
    const UINT64 wait = any(w, 70) * 1000000000ull;

    if (what == 0)
        w->now_ns += wait;
    if (what == 1 && w->callout_count < 4 && chance(w, 2))
        add_callout(w);
    if (what == 2)
        change_rule(w);
    for (unsigned i = 0; i < 2; i++) {
        struct side *s = &w->sides[i];

        s->count = 0;
        host_advance(s->host, w->now_ns);
        if (what == 3)
            host_set_profile(s->host, 1, value);
        if (what == 4)
            (void)host_address_add(s->host, moves ? 3 : 1, 4, &a, 32, false);
        if (what == 5)
            host_reauthorize(s->host, value == 0 ? FWP_CONDITION_REAUTHORIZE_REASON_POLICY_CHANGE
                                                 : FWP_CONDITION_REAUTHORIZE_REASON_SOCKET_PROPERTY_CHANGED);
        if (what == 6)
            (void)host_flow_abort(s->host, s->host->next_flow_id - 1 - value);
    }
    assert_int_equal(w->sides[0].count, w->sides[1].count);
}

static void make_side(struct world *w, struct side *s, bool long_way)
{
    static const struct host_interface_desc one = {.name = "one", .luid = 1, .index = 1, .type = 6},
                                            other = {.name = "other",
                                                     .luid = 3,
                                                     .index = 3,
                                                     .type = 6,
                                                     .weak_host_receive = true,
                                                     .weak_host_send = true};
    const struct host_config config = {
        .engine = w->lab.engine,
        .knobs = {.long_way = long_way, .shorten_idle = w->x % 3 == 0, .trust_checksums = w->x % 5 == 0},
        .limits = {.flows = 64},
        .judge = {.judge = judge},
        .observer = {.ctx = s,
                     .decisions_only = true,
                     .classified = on_classified,
                     .repeated = !long_way && w->x % 2 == 0 ? on_repeated : NULL,
                     .flow = on_flow,
                     .changed = !long_way && w->x % 2 == 0 ? on_changed : NULL},
        .listening = listening,
        .start_ns = w->now_ns,
    };
    union wire_addr a;
    unsigned bits;

    assert_int_equal(host_create(&config, &s->host), 0);
    assert_int_equal(host_interface_add(s->host, &one), 0);
    assert_int_equal(host_interface_add(s->host, &other), 0);
    assert_int_equal(wire_addr_parse("10.0.0.1/24", &a, &bits), 4);
    assert_int_equal(host_address_add(s->host, 1, 4, &a, 24, false), 0);
    assert_int_equal(wire_addr_parse("fd00::1/64", &a, &bits), 6);
    assert_int_equal(host_address_add(s->host, 1, 6, &a, 64, false), 0);
}

static UINT64 run(unsigned seed, unsigned steps, UINT64 *refused)
{
    struct world *w = calloc(1, sizeof(*w));
    struct host_counts counts[2];
    UINT64 taken;

    assert_non_null(w);
    w->x = seed * 0x9e3779b97f4a7c15ull;
    host_lab_open(&w->lab, NULL);
    w->now_ns = 1000000000000ull;
    make_side(w, &w->sides[0], false);
    make_side(w, &w->sides[1], true);
    for (unsigned i = 0; i < FLOWS; i++)
        new_stream(w, &w->streams[i]);
    for (unsigned i = any(w, RULES); i > 0; i--)
        change_rule(w);
    if (seed % 4 == 0 && w->rules[0] == 0) {
        w->rules[0] = host_lab_rule(&w->lab, "block RA");
        strcpy(w->layers[0], "RA");
    }
    for (unsigned i = 0; i < steps; i++) {
        some_frames(w);
        if (chance(w, 12))
            something(w);
    }
    for (unsigned i = 0; i < 2; i++)
        host_counts(w->sides[i].host, &counts[i]);
    assert_memory_equal(&counts[0], &counts[1], sizeof(counts[0]));
    taken = w->sides[0].host->lanes[0].shortened;
    assert_int_equal(w->sides[1].host->lanes[0].shortened, 0);
    *refused += w->sides[0].host->lanes[0].refused_again;
    assert_int_equal(w->sides[1].host->lanes[0].refused_again, 0);
    for (unsigned i = 0; i < 2; i++)
        host_destroy(w->sides[i].host);
    host_lab_close(&w->lab);
    free(w);
    return taken;
}

static void the_short_way_is_the_long_one(void **state)
{
    const char *text = getenv("WEIR_RUNS");
    const unsigned runs = text != NULL ? (unsigned)strtoul(text, NULL, 10) : 120;
    UINT64 taken = 0, refused = 0;

    (void)state;
    for (unsigned seed = 1; seed <= runs; seed++)
        taken += run(seed, 120, &refused);
    assert_true(taken > runs * 50);
    assert_true(refused > runs);
    if (text != NULL)
        printf("%llu frames of %u runs took it, %llu were refused again\n", (unsigned long long)taken, runs,
               (unsigned long long)refused);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_short_way_is_the_long_one)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
