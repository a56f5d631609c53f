/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection that a single inspection is shown, by stream_look() and by the general door (host_knobs.long_way): the same
 * moves, pieces, ends, injections and continuations, at random. What the callout was shown, what came out, and what was
 * counted and found must be the same; and stream_look() must have been taken. Often filters of another machine's callouts
 * stand around the inspection, of which the general door asks each; that something depends on them must be told then.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fwpmk.h"
#include "fwpsk.h"

#include "host/stream_inside.h"
#include "stream_lab.h"

#define RUNS       400
#define STEPS      24
#define MOVES_MOST 12

static uint64_t chance;

static uint32_t roll(uint32_t below)
{
    chance ^= chance << 13;
    chance ^= chance >> 7;
    chance ^= chance << 17;
    return (uint32_t)(chance >> 33) % below;
}

#define FOREIGN 3 /* at most */

struct told {
    char *seen, *in, *out;
    unsigned calls, elements, drops, holds, unholds, completed, notes, foreign;
    UINT64 unsure; /* so often somebody was told that it depends on what is unknown */
    UINT64 looked;
    struct host_stream_counts counts;
};

/* In line; behind an end it may be refused. */
static void inject(struct player *p, const struct driver_lab_call *c, FWPS_STREAM_CALLOUT_IO_PACKET0 *io)
{
    (void)c;
    (void)stream_lab_text(p, io->streamData->flags & (FWPS_STREAM_FLAG_SEND | FWPS_STREAM_FLAG_RECEIVE),
                          "in");
}

/* Most of them let it go at once. */
static struct move any_move(void)
{
    static const FWP_ACTION_TYPE actions[] = {FWP_ACTION_PERMIT, FWP_ACTION_CONTINUE, FWP_ACTION_NONE,
                                              FWP_ACTION_BLOCK, 0};
    static const FWPS_STREAM_ACTION_TYPE streams[] = {
        FWPS_STREAM_ACTION_NEED_MORE_DATA, FWPS_STREAM_ACTION_DEFER, FWPS_STREAM_ACTION_DROP_CONNECTION,
        FWPS_STREAM_ACTION_ALLOW_CONNECTION};
    struct move m = {.action = actions[roll(5)]};

    if (roll(6) == 0)
        m.stream = streams[roll(roll(4) == 0 ? 4 : 2)];
    if (m.stream == FWPS_STREAM_ACTION_NEED_MORE_DATA)
        m.need = roll(9);
    if (roll(6) == 0)
        m.enforce = roll(6);
    if (roll(8) == 0)
        m.also = inject;
    m.inject_end = roll(60) == 0;
    m.keep = roll(6) == 0;
    return m;
}

/* apart: an end comes alone. Behind another stage it always does: there the data before it are not the last yet. */
static void step(struct stream_lab *l, struct player *p, bool apart)
{
    char bytes[24];
    size_t size = roll(5) == 0 ? 0 : 1 + roll(20);
    UINT32 flags = roll(4) == 0 ? HOST_STREAM_PUSH : 0;

    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)('a' + roll(26));
    flags |= roll(16) == 0 ? HOST_STREAM_END : roll(40) == 0 ? HOST_STREAM_ABORT : 0;
    if (apart && (flags & (HOST_STREAM_END | HOST_STREAM_ABORT)) != 0)
        size = 0;
    if (roll(10) == 0)
        (void)stream_lab_continue(p, FWPS_STREAM_FLAG_RECEIVE);
    else if (roll(12) == 0)
        (void)stream_lab_text(p, roll(2) == 0 ? FWPS_STREAM_FLAG_RECEIVE : FWPS_STREAM_FLAG_SEND, "later");
    else if (size != 0 || flags != 0)
        stream_lab_bytes(l, roll(2) == 0, bytes, size, flags);
    stream_lab_settle(l);
}

static UINT64 unsure; /* observers have the lab for a context, which others read */

static void repeated(void *ctx, const struct engine_layer *layer, const struct host_answer *answer,
                     UINT64 flow_id)
{
    (void)ctx, (void)flow_id;
    assert_int_equal(layer->id, FWPS_LAYER_STREAM_V4);
    assert_true(answer->depends && answer->verdict.action == FWP_ACTION_PERMIT);
    unsure++;
}

static void classified(void *ctx, const struct host_event *e)
{
    (void)ctx;
    unsure += e->layer->id == FWPS_LAYER_STREAM_V4 && e->answer->depends;
}

/* Of some of them it is supposed what they say, mostly that they go on: nothing depends on these. Before some stands a filter
 * that permits, so that they are not asked. */
static void some_foreign(struct stream_lab *l, unsigned n, struct engine_assumption *assumed, size_t *count)
{
    static const FWP_ACTION_TYPE types[] = {FWP_ACTION_CALLOUT_INSPECTION, FWP_ACTION_CALLOUT_TERMINATING,
                                            FWP_ACTION_CALLOUT_UNKNOWN};

    for (; n > 0; n--) {
        GUID key;

        if (roll(8) == 0)
            stream_lab_plain(l, (UINT16)roll(3), FWP_ACTION_PERMIT);
        key = stream_lab_foreign(l, (UINT16)roll(3), types[roll(3)]);
        if (roll(2) == 0)
            assumed[(*count)++] = (struct engine_assumption){key, roll(4) != 0   ? FWP_ACTION_CONTINUE
                                                                  : roll(3) != 0 ? FWP_ACTION_PERMIT
                                                                                 : FWP_ACTION_BLOCK};
    }
}

static void run(uint64_t seed, bool general, struct told *t)
{
    struct engine_assumption assumed[FOREIGN];
    struct host_config c = {0};
    struct move moves[MOVES_MOST];
    struct stream_lab l;
    struct player *p;
    struct host *h;
    unsigned before;

    chance = seed * 0x9e3779b97f4a7c15ull + 1;
    c.knobs.split_mdl = roll(4) == 0 ? 3 : 0;
    stream_lab_open(&l, &c, true);
    h = (struct host *)l.d.host.host;
    h->config.knobs.long_way = general;
    h->config.observer.decisions_only = true; /* who hears of everything hears of each piece */
    h->config.observer.classified = classified;
    h->config.observer.repeated = roll(8) != 0 ? repeated : NULL;
    unsure = 0;
    t->foreign = roll(2) == 0 ? 1 + roll(FOREIGN) : 0;
    h->config.assumptions = assumed;
    h->config.assumption_count = 0;
    before = roll(t->foreign + 1);
    some_foreign(&l, before, assumed, &h->config.assumption_count);
    p = stream_lab_play(&l, &(struct player){.weight = 1, .type = FWP_ACTION_CALLOUT_INSPECTION});
    some_foreign(&l, t->foreign - before, assumed, &h->config.assumption_count);
    stream_look_prepare(h);
    for (unsigned flows = 1 + roll(3); flows > 0; flows--) {
        for (unsigned i = 0; i < MOVES_MOST; i++)
            moves[i] = any_move();
        stream_lab_moves(p, moves, MOVES_MOST);
        stream_lab_connect(&l);
        for (unsigned i = 0; i < STEPS; i++)
            step(&l, p, t->foreign != 0);
    }
    t->seen = strdup(p->seen);
    t->in = strdup(l.in);
    t->out = strdup(l.out);
    t->calls = p->calls;
    t->elements = l.elements;
    t->drops = l.drops;
    t->holds = l.holds;
    t->unholds = l.unholds;
    t->completed = l.completed;
    t->notes = l.d.found[LEDGER_NOTE];
    t->looked = h->streams->looked;
    t->unsure = unsure;
    host_stream_counts(h, &t->counts);
    stream_lab_close(&l);
}

static void one_look_is_what_the_pipeline_does(void **state)
{
    UINT64 looked = 0, beside = 0, calls = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= RUNS; seed++) {
        struct told a, b;

        run(seed, false, &a);
        run(seed, true, &b);
        if (strcmp(a.seen, b.seen) != 0)
            print_message("seed %llu\n", (unsigned long long)seed);
        assert_string_equal(a.seen, b.seen);
        assert_string_equal(a.in, b.in);
        assert_string_equal(a.out, b.out);
        assert_int_equal(a.calls, b.calls);
        if (a.foreign == 0) /* from stage to stage bytes go in other pieces */
            assert_int_equal(a.elements, b.elements);
        assert_int_equal(a.drops, b.drops);
        assert_int_equal(a.holds, b.holds);
        assert_int_equal(a.unholds, b.unholds);
        assert_int_equal(a.completed, b.completed);
        assert_int_equal(a.notes, b.notes);
        if (a.foreign != 0) /* the general door has a place for each of them */
            a.counts.memory = b.counts.memory = 0;
        assert_memory_equal(&a.counts, &b.counts, sizeof(a.counts));
        assert_int_equal(a.unsure != 0, b.unsure != 0);
        assert_int_equal(b.looked, 0);
        looked += a.looked;
        beside += a.foreign != 0 ? a.looked : 0;
        calls += a.calls;
        free(a.seen);
        free(a.in);
        free(a.out);
        free(b.seen);
        free(b.in);
        free(b.out);
    }
    assert_true(looked > calls / 3);
    assert_true(beside > looked / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_look_is_what_the_pipeline_does)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
