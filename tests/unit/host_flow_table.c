/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flow table against a naive one: an array over all keys that there are, gone through for everything.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "host/flow_table.h"

#define KEYS 3000

static uint64_t random_state;

static uint64_t next_random(void)
{
    uint64_t x = random_state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return random_state = x;
}

static uint32_t below(uint32_t n)
{
    return (uint32_t)(next_random() % n);
}

/* Keys that differ in one field each time, so that one that the hash passed over would be found out. */
static void key_of(uint32_t n, struct host_flow_key *k)
{
    memset(k, 0, sizeof(*k));
    k->protocol = n % 2 != 0 ? WIRE_PROTOCOL_UDP : WIRE_PROTOCOL_TCP;
    if (n / 2 % 3 == 0) {
        k->version = 6;
        k->local.v6[n / 6 % 16] = (uint8_t)(n / 96);
        k->remote.v6[15] = (uint8_t)(n / 96 >> 8);
        k->remote_port = 443;
        k->local.v6[15] ^= 1;
        k->remote.v6[0] = (uint8_t)(n / 6 % 16);
    } else {
        k->version = 4;
        k->local.v4 = 0x0a000001;
        k->remote.v4 = 0x0a000000 + n / 6;
        k->local_port = (uint16_t)(n / 2 % 3);
        k->remote_port = 80;
        k->compartment = n / 6 % 7 == 0;
        k->flags = n / 6 % 11 == 0 ? FLOW_KEY_ANY_REMOTE : 0;
    }
}

struct naive {
    bool there;
    uint32_t used, slot;
    uint16_t lifetime;
    uint64_t id, placed; /* placed: the order in which flows entered, for ties */
};

struct world {
    struct flow_table *t;
    struct naive of[KEYS];
    uint32_t count, limit, now;
    uint64_t next_id, ended;
    bool leave;             /* fn leaves every third flow where it is */
    struct host_flow *gone; /* the last one removed */
};

static uint32_t key_number(const struct world *w, const struct host_flow *f)
{
    assert_true(f->id % KEYS < KEYS && w->of[f->id % KEYS].there);
    return (uint32_t)(f->id % KEYS);
}

static void drop(struct world *w, struct host_flow *f)
{
    uint32_t n = key_number(w, f);
    w->of[n].there = false;
    w->count--;
    w->gone = f;
    flow_table_remove(w->t, f);
}

static void ran_out(void *ctx, struct host_flow *f)
{
    struct world *w = ctx;
    struct naive *e = &w->of[key_number(w, f)];

    assert_int_not_equal(e->lifetime, 0);
    if ((uint64_t)e->used + 64u * e->lifetime > w->now)
        fail_msg("ended at %u: used at %u, lives %u s", w->now, e->used, e->lifetime);
    w->ended++;
    if (w->leave && f->id % 3 == 0) { /* it stays, and is due */
        w->ended--;
        e->used = f->used;
        flow_table_touch(w->t, f, w->now);
        e->used = w->now;
        return;
    }
    drop(w, f);
}

static uint32_t naive_due(const struct world *w)
{
    uint32_t due = 0;
    for (uint32_t i = 0; i < KEYS; i++)
        due += w->of[i].there && w->of[i].lifetime != 0 &&
               (uint64_t)w->of[i].used + 64u * w->of[i].lifetime <= w->now;
    return due;
}

static void check_one(struct world *w, uint32_t n)
{
    struct host_flow_key k;
    key_of(n, &k);
    struct host_flow *f = flow_table_find(w->t, &k);
    assert_int_equal(f != NULL, w->of[n].there);
    if (f == NULL)
        return;
    assert_memory_equal(&f->key, &k, sizeof(k));
    assert_int_equal(f->id, w->of[n].id);
    assert_int_equal(f->used, w->of[n].used);
    assert_int_equal(flow_table_slot(w->t, f), w->of[n].slot);
    assert_ptr_equal(flow_table_at(w->t, w->of[n].slot), f);
}

static void add_one(struct world *w, uint32_t n, const uint16_t *lifetimes, uint32_t lifetime_count)
{
    struct host_flow_key k;
    key_of(n, &k);
    struct host_flow *f = flow_table_add(w->t, &k);
    assert_int_equal(f != NULL, !w->of[n].there && w->count < w->limit);
    if (f == NULL)
        return;
    assert_int_equal(f->id, 0);
    assert_int_equal(f->endpoint + f->operations + f->lifetime + f->pins + f->state + f->tcp, 0);
    f->id = ++w->next_id * KEYS + n;
    f->lifetime = lifetimes[below(lifetime_count)];
    flow_table_touch(w->t, f, w->now);
    w->of[n] = (struct naive){.there = true,
                              .used = w->now,
                              .slot = flow_table_slot(w->t, f),
                              .lifetime = f->lifetime,
                              .id = f->id};
    w->count++;
}

static void look_at_oldest(struct world *w)
{
    struct host_flow *f = flow_table_oldest(w->t);
    uint32_t least = UINT32_MAX;

    assert_int_equal(f != NULL, w->count != 0);
    for (uint32_t i = 0; i < KEYS; i++)
        least = w->of[i].there && w->of[i].used < least ? w->of[i].used : least;
    if (f != NULL)
        assert_int_equal(f->used, least);
}

static void look_at_many(struct world *w)
{
    struct host_flow_key keys[45];
    const struct host_flow_key *asked[45] = {0};
    struct host_flow *out[45] = {0};
    uint32_t n = below(46), numbers[45];

    for (uint32_t i = 0; i < n; i++) {
        numbers[i] = below(KEYS);
        key_of(numbers[i], &keys[i]);
        asked[i] = &keys[i];
    }
    flow_table_find_many(w->t, asked, n, out);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(out[i] != NULL, w->of[numbers[i]].there);
        if (out[i] != NULL)
            assert_int_equal(out[i]->id, w->of[numbers[i]].id);
        /* a guess changes no answer, whether it is right, wrong, or of a flow that is gone */
        assert_ptr_equal(flow_table_find_likely(w->t, &keys[i], out[i]), out[i]);
        assert_ptr_equal(flow_table_find_likely(w->t, &keys[i], out[0]), out[i]);
        assert_ptr_equal(flow_table_find_likely(w->t, &keys[i], w->gone), out[i]);
    }
}

static void look_by_id(struct world *w)
{
    uint32_t n = below(KEYS);
    struct host_flow *f = flow_table_by_id(w->t, w->of[n].id == 0 ? UINT64_MAX : w->of[n].id);

    assert_int_equal(f != NULL, w->of[n].there);
    if (f != NULL) {
        assert_int_equal(f->id, w->of[n].id);
        flow_table_remember(w->t, f);
    }
}

static void count_one(void *ctx, struct host_flow *f)
{
    struct world *w = ctx;
    key_number(w, f);
    w->ended++;
}

/* Everything at once, with these lifetimes and steps of time. */
static void run(uint64_t seed, uint32_t limit, const uint16_t *lifetimes, uint32_t lifetime_count,
                uint32_t longest_step, uint32_t operations, bool exact)
{
    static struct world w; /* large */

    memset(&w, 0, sizeof(w));
    random_state = seed * 0x9e3779b97f4a7c15 | 1;
    w.limit = limit;
    w.leave = exact;
    assert_int_equal(flow_table_create(limit, seed, &w.t), 0);
    for (uint32_t i = 0; i < operations; i++) {
        uint32_t what = below(1000), n = below(KEYS);
        struct host_flow_key k;
        if (what < 350) {
            add_one(&w, n, lifetimes, lifetime_count);
        } else if (what < 600) { /* a packet */
            key_of(n, &k);
            struct host_flow *f = flow_table_find(w.t, &k);
            assert_int_equal(f != NULL, w.of[n].there);
            if (f == NULL)
                continue;
            if (below(50) == 0)
                w.of[n].lifetime = f->lifetime = lifetimes[below(lifetime_count)];
            flow_table_touch(w.t, f, w.now);
            w.of[n].used = w.now;
        } else if (what < 700) {
            key_of(n, &k);
            struct host_flow *f = flow_table_find(w.t, &k);
            if (f != NULL)
                drop(&w, f);
        } else if (what < 850) {
            check_one(&w, n);
        } else if (what < 900) {
            look_at_many(&w);
        } else if (what < 990) {
            w.now += below(longest_step);
            uint32_t max = exact || below(2) != 0 ? UINT32_MAX : below(5);
            uint32_t due = exact ? naive_due(&w) : 0;
            uint32_t done = flow_table_expire(w.t, w.now, max, ran_out, &w);
            assert_true(done <= max);
            if (exact) { /* all that were due, and no others: ran_out() looks at those */
                assert_int_equal(done, due);
                assert_int_equal(naive_due(&w), 0);
            }
        } else if (what < 998) {
            look_at_oldest(&w);
        } else {
            look_by_id(&w);
        }
        assert_int_equal(flow_table_count(w.t), w.count);
        if (w.count == w.limit && below(4) == 0)
            drop(&w, flow_table_oldest(w.t));
    }
    for (uint32_t n = 0; n < KEYS; n++)
        check_one(&w, n);
    w.leave = false; /* in the end everything with a lifetime runs out */
    w.now = w.now < UINT32_MAX - 70 * 64 * 60 ? w.now + 70 * 64 * 60 : w.now;
    while (flow_table_expire(w.t, w.now, UINT32_MAX, ran_out, &w) != 0)
        ;
    for (uint32_t n = 0; n < KEYS; n++)
        assert_true(!w.of[n].there || w.of[n].lifetime == 0);
    w.ended = 0;
    flow_table_each(w.t, count_one, &w);
    assert_int_equal(w.ended, w.count);
    flow_table_destroy(w.t);
}

static const uint16_t usual[] = {0, 0, 60, 60, 4, 120};

static void like_a_naive_table(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++)
        run(seed, KEYS, usual, 6, 64, 100000, true);
}

static void at_its_limit(void **state)
{
    (void)state;
    run(11, 1000, usual, 6, 64, 150000, true);
    run(12, 1, usual, 6, 300, 20000, true);
    run(13, 33, usual, 6, 300, 50000, true);
}

static void leaps_of_time(void **state)
{
    (void)state;
    run(21, KEYS, usual, 6, 64 * 3600, 60000, true); /* 5,000 steps of half an hour: 2,800 hours */
    run(22, KEYS, usual, 6, 2, 100000, true);
}

/* More lifetimes than there are classes: nothing ends early, and everything ends. */
static void many_lifetimes(void **state)
{
    uint16_t lifetimes[60];

    (void)state;
    for (uint16_t i = 0; i < 60; i++)
        lifetimes[i] = i;
    run(31, KEYS, lifetimes, 60, 64, 100000, false);
}

static void last_tick(void **state)
{
    struct flow_table *t;
    struct host_flow_key k;
    struct host_flow *f;

    (void)state;
    assert_int_equal(flow_table_create(10, 0, &t), 0);
    key_of(1, &k);
    f = flow_table_add(t, &k);
    f->lifetime = 60;
    flow_table_touch(t, f, UINT32_MAX - 1);
    assert_int_equal(flow_table_expire(t, UINT32_MAX, 10, count_one, NULL), 0);
    flow_table_touch(t, f, UINT32_MAX);
    flow_table_touch(t, f, 5); /* earlier: now */
    assert_int_equal(f->used, UINT32_MAX);
    assert_ptr_equal(flow_table_oldest(t), f);
    flow_table_destroy(t);
}

static void left_alone(void *ctx, struct host_flow *f)
{
    (void)f;
    ++*(uint32_t *)ctx;
}

/* What fn leaves there is due again, and counts once a call. */
static void left_flows_are_due_again(void **state)
{
    struct flow_table *t;
    struct host_flow_key k;
    uint32_t asked = 0;

    (void)state;
    assert_int_equal(flow_table_create(100, 0, &t), 0);
    for (uint32_t i = 0; i < 40; i++) {
        key_of(i, &k);
        struct host_flow *f = flow_table_add(t, &k);
        f->lifetime = 4;
        flow_table_touch(t, f, i);
    }
    assert_int_equal(flow_table_expire(t, 4 * 64 - 1, 100, left_alone, &asked), 0);
    assert_int_equal(flow_table_expire(t, 4 * 64, 100, left_alone, &asked), 1);
    assert_int_equal(flow_table_expire(t, 4 * 64, 100, left_alone, &asked), 1);
    assert_int_equal(flow_table_expire(t, 4 * 64 + 39, 7, left_alone, &asked), 7);
    assert_int_equal(flow_table_expire(t, 4 * 64 + 39, 100, left_alone, &asked), 40);
    assert_int_equal(asked, 1 + 1 + 7 + 40);
    flow_table_destroy(t);
}

static void many_key(uint32_t n, struct host_flow_key *k)
{
    memset(k, 0, sizeof(*k));
    k->version = 4;
    k->protocol = WIRE_PROTOCOL_TCP;
    k->local.v4 = 0xc0a80001;
    k->remote.v4 = n * 2654435761u;
    k->local_port = (uint16_t)n;
    k->remote_port = 443;
}

/* Full, a table takes at most 128 bytes a flow; nothing moves while it grows. */
static void bytes_a_flow(void **state)
{
    const uint32_t limits[] = {100000, 131072, 250001};
    struct flow_table *t;
    struct host_flow_key k;

    (void)state;
    for (int l = 0; l < 3; l++) {
        struct host_flow **flows = calloc(limits[l], sizeof(*flows));
        assert_non_null(flows);
        assert_int_equal(flow_table_create(limits[l], 7, &t), 0);
        assert_true(flow_table_bytes(t) < 256 << 10);
        for (uint32_t i = 0; i < limits[l]; i++) {
            many_key(i, &k);
            flows[i] = flow_table_add(t, &k);
            assert_non_null(flows[i]);
            many_key(below(i + 1), &k);
            assert_non_null(flow_table_find(t, &k));
        }
        many_key(limits[l], &k);
        assert_null(flow_table_find(t, &k));
        assert_null(flow_table_add(t, &k));
        for (uint32_t i = 0; i < limits[l]; i++) {
            many_key(i, &k);
            assert_ptr_equal(flow_table_find(t, &k), flows[i]);
        }
        double bytes = (double)flow_table_bytes(t) / limits[l];
        printf("# %u flows: %.1f bytes each\n", limits[l], bytes);
        assert_true(bytes < 125); /* 128 is the promise; this is what the densities come to */
        free(flows);
        flow_table_destroy(t);
    }
}

/* Flows that differ in one word of the key alone are as well spread as any: no long chains, no more bytes. */
static void every_word_is_hashed(void **state)
{
    (void)state;
    for (int word = 0; word < 5; word++) {
        struct host_flow_key k = {.version = 6, .protocol = WIRE_PROTOCOL_TCP};
        struct flow_table *t;
        assert_int_equal(flow_table_create(100000, 7, &t), 0);
        for (uint32_t i = 0; i < 100000; i++) {
            if (word < 2)
                k.local.word[word] = i;
            else if (word < 4)
                k.remote.word[word - 2] = i;
            else {
                k.local_port = (uint16_t)i;
                k.remote_port = (uint16_t)(i >> 16);
            }
            assert_non_null(flow_table_add(t, &k));
        }
        assert_true((double)flow_table_bytes(t) / 100000 < 125);
        flow_table_destroy(t);
    }
}

/* Memory ends somewhere: the add fails, everything that is there stays, and room that comes free is used. */
static void memory_ends(void **state)
{
    struct flow_table *t;
    struct host_flow_key k;

    (void)state;
    for (size_t bytes = 0; bytes < 12u << 20; bytes = bytes * 2 + 70000) {
        uint32_t n = 0;
        assert_int_equal(flow_table_create(100000, 3, &t), 0);
        flow_table_cap(t, bytes);
        size_t before = flow_table_bytes(t);
        for (;;) {
            many_key(n, &k);
            if (flow_table_add(t, &k) == NULL)
                break;
            n++;
        }
        assert_true(n < 100000);
        assert_int_equal(flow_table_count(t), n);
        assert_true(flow_table_bytes(t) <= before + bytes);
        for (uint32_t i = 0; i < n; i++) {
            many_key(i, &k);
            assert_non_null(flow_table_find(t, &k));
        }
        if (n > 0) {
            many_key(n / 2, &k);
            flow_table_remove(t, flow_table_find(t, &k));
            assert_null(flow_table_find(t, &k));
            assert_non_null(flow_table_add(t, &k));
        }
        flow_table_cap(t, SIZE_MAX);
        for (uint32_t i = n; i < 100000; i++) {
            many_key(i, &k);
            assert_non_null(flow_table_add(t, &k));
        }
        flow_table_destroy(t);
    }
}

/* An address from elsewhere is told from a flow's without looking at it; a flow that is gone is still the table's. */
static void addresses_of_flows(void **state)
{
    struct flow_table *t, *other;
    struct host_flow_key k;
    struct host_flow *f, *g;

    (void)state;
    assert_int_equal(flow_table_create(100, 3, &t), 0);
    assert_int_equal(flow_table_create(100, 3, &other), 0);
    many_key(1, &k);
    f = flow_table_add(t, &k);
    g = flow_table_add(other, &k);
    assert_true(flow_table_gave(t, f));
    assert_true(flow_table_gave(other, g));
    assert_false(flow_table_gave(t, g));
    assert_false(flow_table_gave(other, f));
    assert_false(flow_table_gave(t, NULL));
    assert_false(flow_table_gave(t, f + 1)); /* never given out */
    assert_false(flow_table_gave(t, f - 1));
    assert_false(flow_table_gave(t, (const uint8_t *)f + 8));
    flow_table_remove(t, f);
    assert_true(flow_table_gave(t, f));
    flow_table_destroy(other);
    flow_table_destroy(t);
}

/* The oldest of very many: found by calls that each do little, and in order once that is done. */
static void oldest_of_many(void **state)
{
    struct flow_table *t;
    struct host_flow_key k;
    uint32_t last = 0;

    (void)state;
    assert_int_equal(flow_table_create(50000, 5, &t), 0);
    for (uint32_t i = 0; i < 50000; i++) {
        many_key(i, &k);
        flow_table_touch(t, flow_table_add(t, &k), i / 10);
    }
    for (uint32_t i = 0; i < 50000; i++) { /* they are used again, in another order */
        many_key(i * 7919 % 50000, &k);
        flow_table_touch(t, flow_table_find(t, &k), 10000 + i / 10);
    }
    for (int i = 0; i < 40; i++)
        assert_non_null(flow_table_oldest(t));
    for (uint32_t i = 0; i < 50000; i++) {
        struct host_flow *f = flow_table_oldest(t);
        assert_true(f->used >= last);
        last = f->used;
        flow_table_remove(t, f);
    }
    assert_null(flow_table_oldest(t));
    flow_table_destroy(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(like_a_naive_table), cmocka_unit_test(at_its_limit),
        cmocka_unit_test(leaps_of_time),      cmocka_unit_test(many_lifetimes),
        cmocka_unit_test(last_tick),          cmocka_unit_test(left_flows_are_due_again),
        cmocka_unit_test(bytes_a_flow),       cmocka_unit_test(every_word_is_hashed),
        cmocka_unit_test(memory_ends),        cmocka_unit_test(oldest_of_many),
        cmocka_unit_test(addresses_of_flows),
    };
    random_state = 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
