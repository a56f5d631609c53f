/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rt's simulated back end: order, virtual time, seeds, preemption, locks. What both back ends promise alike
 * is run on both.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "rt/alone.h"
#include "rt/rt.h"
#include "rt_lab.h"

/* ---- order --------------------------------------------------------------------------------------------- */

static void take_turns(void *arg)
{
    struct job *j = arg;

    for (unsigned i = 0; i < j->turns; i++) {
        note(j->l, j->name);
        rt_yield();
    }
}

static void the_first_that_is_ready_runs_first(void **state)
{
    struct lab l;
    struct rt_thread *t[3];

    (void)state;
    enter(&l, &(struct rt_sim_config){.seed = 1});
    struct job j[3] = {{&l, "a", 0, 3}, {&l, "b", 0, 2}, {&l, "c", 0, 3}};

    for (int i = 0; i < 3; i++)
        start(&t[i], &j[i], take_turns);
    assert_true(rt_sim_ready(l.sim));
    assert_string_equal(l.trace, ""); /* nobody runs until somebody waits */
    for (int i = 0; i < 3; i++)
        rt_thread_join(t[i]);
    assert_string_equal(l.trace, "abcabcac");
    assert_false(rt_sim_ready(l.sim));
    leave(&l);
}

/* rt/alone.h: in a process that has had other threads, and whatever the seed lets in at points. */
static uint64_t counted;

static void nothing(void *arg)
{
    (void)arg;
}

static void count_alone(void *arg)
{
    struct job *j = arg;

    for (unsigned i = 0; i < j->turns; i++) {
        assert_true(rt_alone());
        (void)rt_add(&counted, 1, __ATOMIC_RELAXED);
        (void)rt_point();
    }
}

static void who_counts_in_a_world_is_alone(void **state)
{
    struct rt_thread *t[3];
    struct lab l;

    (void)state;
    assert_int_equal(rt_thread_start("other", nothing, NULL, &t[0]), 0);
    rt_thread_join(t[0]);
    assert_false(rt_alone());
    for (unsigned preempt = 0; preempt < 3; preempt++) {
        enter(&l, &(struct rt_sim_config){.seed = 7, .preempt = preempt});
        counted = 0;
        struct job j[3] = {{&l, "a", 0, 1000}, {&l, "b", 0, 1000}, {&l, "c", 0, 1000}};

        for (int i = 0; i < 3; i++)
            start(&t[i], &j[i], count_alone);
        for (int i = 0; i < 3; i++)
            rt_thread_join(t[i]);
        assert_int_equal(counted, 3000);
        leave(&l);
    }
}

static void settling_moves_time_through_the_deadlines_and_no_further(void **state)
{
    struct lab l;
    struct rt_thread *t[5];

    (void)state;
    enter(&l, &(struct rt_sim_config){.seed = 1, .start_ns = 100 * MS});
    struct job j[5] = {{&l, "e", 150 * MS, 0},
                       {&l, "a", 101 * MS, 0},
                       {&l, "c", 120 * MS, 0},
                       {&l, "d", 120 * MS, 0}, /* equal deadlines: first waited, first woken */
                       {&l, "b", 120 * MS - 1, 0}};

    assert_true(rt_clock_now(l.clock) == 100 * MS);
    assert_true(rt_clock_filetime(l.clock) == 116444736000000000ull + 100 * MS / 100);
    for (int i = 0; i < 5; i++)
        start(&t[i], &j[i], sleep_then_tell);
    rt_sim_settle(l.sim, 100 * MS);
    assert_string_equal(l.trace, "");
    assert_true(rt_sim_next_deadline(l.sim) == 101 * MS);
    rt_sim_settle(l.sim, 120 * MS - 2);
    assert_string_equal(l.trace, "a");
    assert_true(rt_clock_now(l.clock) == 120 * MS - 2);
    rt_sim_settle(l.sim, 50 * MS); /* time never goes back */
    assert_true(rt_clock_now(l.clock) == 120 * MS - 2);
    rt_sim_settle(l.sim, 120 * MS);
    assert_string_equal(l.trace, "abcd");
    rt_sim_settle(l.sim, 150 * MS - 1);
    assert_string_equal(l.trace, "abcd");
    assert_true(rt_sim_next_deadline(l.sim) == 150 * MS);
    rt_thread_join(t[0]); /* the first fiber waits: time moves for it */
    assert_string_equal(l.trace, "abcde");
    assert_true(rt_clock_now(l.clock) == 150 * MS);
    assert_true(rt_sim_next_deadline(l.sim) == UINT64_MAX);
    for (int i = 1; i < 5; i++)
        rt_thread_join(t[i]);
    leave(&l);
}

static void the_first_fiber_sleeps_and_others_get_on(void **state)
{
    struct lab l;
    struct rt_thread *t;

    (void)state;
    enter(&l, &(struct rt_sim_config){.seed = 1});
    struct job j = {&l, "a", 3 * MS, 0};

    start(&t, &j, sleep_then_tell);
    sleep_until(&l, 2 * MS);
    assert_string_equal(l.trace, "");
    assert_true(rt_clock_now(l.clock) == 2 * MS);
    sleep_until(&l, 2 * MS); /* over already */
    assert_true(rt_clock_now(l.clock) == 2 * MS);
    sleep_until(&l, 5 * MS);
    assert_string_equal(l.trace, "a");
    rt_thread_join(t);
    leave(&l);
}

/* Against what sorting says: a thousand sleeps of many fibers, each woken in the order of (deadline, wait).
 */
#define SLEEPERS 50
#define SLEEPS   40
struct sleeper {
    struct lab *l;
    uint64_t at[SLEEPS];
    uint64_t *log;
    size_t *logged;
};

static void sleep_often(void *arg)
{
    struct sleeper *s = arg;

    for (int i = 0; i < SLEEPS; i++) {
        sleep_until(s->l, s->at[i]);
        s->log[(*s->logged)++] = rt_clock_now(s->l->clock);
    }
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static void many_sleeps_end_as_sorting_says(void **state)
{
    static struct sleeper s[SLEEPERS];
    static uint64_t log[SLEEPERS * SLEEPS], sorted[SLEEPERS * SLEEPS];
    struct rt_thread *t[SLEEPERS];
    size_t logged = 0;
    struct lab l;

    (void)state;
    enter(&l, &(struct rt_sim_config){.seed = 42, .shuffle = true});
    for (size_t i = 0; i < SLEEPERS; i++) {
        uint64_t at = 0;

        s[i] = (struct sleeper){.l = &l, .log = log, .logged = &logged};
        for (size_t k = 0; k < SLEEPS; k++)
            sorted[i * SLEEPS + k] = s[i].at[k] = at += 1 + rt_random() % 1000;
        assert_int_equal(rt_thread_start("sleeper", sleep_often, &s[i], &t[i]), 0);
    }
    qsort(sorted, SLEEPERS * SLEEPS, sizeof(sorted[0]), by_value);
    for (size_t i = 0; i < SLEEPERS; i++)
        rt_thread_join(t[i]);
    assert_int_equal(logged, SLEEPERS * SLEEPS);
    assert_memory_equal(log, sorted, sizeof(log));
    leave(&l);
}

/* ---- seeds --------------------------------------------------------------------------------------------- */

static void wander(void *arg)
{
    struct job *j = arg;

    for (unsigned i = 0; i < j->turns; i++) {
        char word[64];

        snprintf(word, sizeof(word), "%s%u@%llu ", j->name, i, (unsigned long long)rt_clock_now(j->l->clock));
        rt_mutex_lock(j->l->m);
        note(j->l, word);
        rt_point();
        rt_mutex_unlock(j->l->m);
        switch (rt_random() % 4) {
        case 0:
            sleep_until(j->l, rt_clock_now(j->l->clock) + rt_random() % 1000);
            break;
        case 1:
            rt_yield();
            break;
        case 2:
            rt_cond_broadcast(j->l->c);
            break;
        default:
            rt_point();
            break;
        }
    }
}

static uint64_t wanderings(const struct rt_sim_config *config, unsigned turns)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
    struct rt_thread *t[6];
    struct job j[6];
    struct lab l;
    uint64_t hash;

    enter(&l, config);
    for (int i = 0; i < 6; i++) {
        j[i] = (struct job){&l, names[i], 0, turns};
        start(&t[i], &j[i], wander);
    }
    for (int i = 0; i < 6; i++)
        rt_thread_join(t[i]);
    hash = l.hash;
    leave(&l);
    return hash;
}

static void the_seed_decides_everything(void **state)
{
    struct rt_sim_config configs[] = {
        {.seed = 7},
        {.seed = 7, .shuffle = true},
        {.seed = 7, .preempt = 3},
        {.seed = 7, .shuffle = true, .preempt = 3},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(configs) / sizeof(configs[0]); i++) {
        uint64_t first = wanderings(&configs[i], 200);
        void *moved = malloc(12345); /* another heap, other addresses */

        assert_true(wanderings(&configs[i], 200) == first);
        free(moved);
        configs[i].seed = 8;
        assert_true(wanderings(&configs[i], 200) != first);
    }
    assert_true(wanderings(&configs[0], 200) != wanderings(&configs[1], 200));
    assert_true(wanderings(&configs[1], 200) != wanderings(&configs[3], 200));
}

static void seeds_reach_every_order(void **state)
{
    static const char *const orders[] = {"abc", "acb", "bac", "bca", "cab", "cba"};
    unsigned seen[6] = {0};

    (void)state;
    for (uint64_t seed = 0; seed < 600; seed++) {
        struct rt_thread *t[3];
        struct lab l;

        enter(&l, &(struct rt_sim_config){.seed = seed, .shuffle = true});
        struct job j[3] = {{&l, "a", 0, 1}, {&l, "b", 0, 1}, {&l, "c", 0, 1}};

        for (int i = 0; i < 3; i++)
            start(&t[i], &j[i], take_turns);
        rt_sim_settle(l.sim, 0);
        for (int i = 0; i < 6; i++)
            seen[i] += strncmp(l.trace, orders[i], 3) == 0;
        for (int i = 0; i < 3; i++)
            rt_thread_join(t[i]);
        leave(&l);
    }
    for (int i = 0; i < 6; i++)
        assert_in_range(seen[i], 60, 140);
}

static void random_numbers_are_the_seeds(void **state)
{
    uint64_t drawn[2][100];
    unsigned ones[64] = {0};

    (void)state;
    for (int run = 0; run < 2; run++) {
        struct lab l;

        enter(&l, &(struct rt_sim_config){.seed = 0, .shuffle = run == 1});
        for (int i = 0; i < 100; i++)
            drawn[run][i] = rt_random();
        leave(&l);
    }
    assert_memory_equal(drawn[0], drawn[1], sizeof(drawn[0]));
    assert_true(drawn[0][0] ==
                0x99ec5f36cb75f2b4ull); /* xoshiro256** of SplitMix64 of 0, by its authors' text */
    for (int i = 0; i < 100; i++)
        for (int bit = 0; bit < 64; bit++)
            ones[bit] += drawn[0][i] >> bit & 1;
    for (int bit = 0; bit < 64; bit++)
        assert_in_range(ones[bit], 25, 75);
    assert_true(rt_random() != rt_random()); /* the system's */
}

/* ---- preemption ---------------------------------------------------------------------------------------- */

struct counted {
    struct lab *l;
    unsigned *count;
    bool locked;
};

static void count_up(void *arg)
{
    struct counted *c = arg;

    for (int i = 0; i < 100; i++) {
        unsigned n;

        if (c->locked)
            rt_mutex_lock(c->l->m);
        n = *c->count;
        rt_point();
        *c->count = n + 1;
        if (c->locked)
            rt_mutex_unlock(c->l->m);
    }
}

static unsigned counted_by_four(uint32_t preempt, bool locked)
{
    struct rt_thread *t[4];
    unsigned count = 0;
    struct lab l;

    enter(&l, &(struct rt_sim_config){.seed = 5, .preempt = preempt});
    struct counted c = {&l, &count, locked};

    for (int i = 0; i < 4; i++)
        assert_int_equal(rt_thread_start("counter", count_up, &c, &t[i]), 0);
    for (int i = 0; i < 4; i++)
        rt_thread_join(t[i]);
    leave(&l);
    return count;
}

static void preemption_finds_what_is_not_locked(void **state)
{
    (void)state;
    assert_int_equal(counted_by_four(0, false), 400);
    assert_in_range(counted_by_four(2, false), 100, 399);
    assert_int_equal(counted_by_four(2, true), 400);
    assert_int_equal(counted_by_four(1, true), 400);
}

/* ---- locks --------------------------------------------------------------------------------------------- */

static void lock_and_tell(void *arg)
{
    struct job *j = arg;

    rt_mutex_lock(j->l->m);
    note(j->l, j->name);
    rt_mutex_unlock(j->l->m);
}

static void a_mutex_is_handed_over_in_order(void **state)
{
    struct rt_thread *t[3];
    struct lab l;

    (void)state;
    enter(&l, &(struct rt_sim_config){.seed = 1});
    struct job j[3] = {{&l, "a", 0, 0}, {&l, "b", 0, 0}, {&l, "c", 0, 0}};

    rt_mutex_lock(l.m);
    for (int i = 0; i < 3; i++)
        start(&t[i], &j[i], lock_and_tell);
    rt_sim_settle(l.sim, 0);
    assert_string_equal(l.trace, "");
    rt_mutex_unlock(l.m); /* it is a's now */
    note(&l, "-");
    rt_mutex_lock(l.m); /* behind c */
    assert_string_equal(l.trace, "-abc");
    rt_mutex_unlock(l.m);
    for (int i = 0; i < 3; i++)
        rt_thread_join(t[i]);
    leave(&l);
}

/* A queue of one between producers and consumers: run on both back ends. */
struct bounded {
    struct rt_mutex *m;
    struct rt_cond *c;
    unsigned item, taken, sum;
};
#define ITEMS 500

static void produce(void *arg)
{
    struct bounded *b = arg;

    for (unsigned i = 1; i <= ITEMS; i++) {
        rt_mutex_lock(b->m);
        while (b->item != 0)
            assert_int_equal(rt_cond_wait(b->c, b->m, RT_FOREVER), 0);
        b->item = i;
        rt_cond_broadcast(b->c);
        rt_mutex_unlock(b->m);
    }
}

static void consume(void *arg)
{
    struct bounded *b = arg;

    rt_mutex_lock(b->m);
    while (b->taken < 3 * ITEMS) {
        while (b->item == 0 && b->taken < 3 * ITEMS)
            assert_int_equal(rt_cond_wait(b->c, b->m, RT_FOREVER), 0);
        if (b->item != 0) {
            b->sum += b->item;
            b->item = 0;
            b->taken++;
            rt_cond_broadcast(b->c);
        }
    }
    rt_mutex_unlock(b->m);
}

static void produce_and_consume(struct bounded *b)
{
    struct rt_thread *t[5];

    for (int i = 0; i < 5; i++)
        assert_int_equal(rt_thread_start("worker", i < 3 ? produce : consume, b, &t[i]), 0);
    for (int i = 0; i < 5; i++)
        rt_thread_join(t[i]);
    assert_int_equal(b->sum, 3 * (ITEMS * (ITEMS + 1) / 2));
}

static void both_back_ends_keep_locks_and_conditions(void **state)
{
    struct bounded b = {0};

    (void)state;
    assert_int_equal(rt_mutex_create(&b.m), 0); /* made before any world is entered */
    assert_int_equal(rt_cond_create(rt_clock_real(), &b.c), 0);
    produce_and_consume(&b);
    for (uint32_t preempt = 0; preempt < 4; preempt++) {
        struct lab l;

        enter(&l, &(struct rt_sim_config){.seed = preempt, .shuffle = true, .preempt = preempt});
        b.taken = b.sum = 0;
        produce_and_consume(&b);
        leave(&l);
    }
    b.taken = b.sum = 0;
    produce_and_consume(&b);
    rt_cond_destroy(b.c);
    rt_mutex_destroy(b.m);
}

/* ---- clocks -------------------------------------------------------------------------------------------- */

static void inside_a_world_nobody_sees_the_hosts_time(void **state)
{
    uint64_t outside = rt_clock_now(rt_clock_real());
    struct lab l;

    (void)state;
    assert_ptr_equal(rt_clock_of_thread(), rt_clock_real());
    enter(&l, &(struct rt_sim_config){.start_ns = 5 * S});
    assert_ptr_equal(rt_clock_of_thread(), l.clock);
    assert_ptr_equal(rt_sim_current(), l.sim);
    assert_true(rt_clock_now(rt_clock_real()) == 5 * S);
    assert_true(rt_clock_filetime(rt_clock_real()) == rt_clock_filetime(l.clock));
    assert_true(rt_clock_query(l.clock) == 5 * S + 100);
    assert_true(rt_clock_query(rt_clock_real()) == 5 * S + 200);
    assert_true(rt_clock_now(l.clock) == 5 * S + 200);
    leave(&l);
    assert_true(rt_clock_now(rt_clock_real()) >= outside);
    assert_true(rt_clock_query(rt_clock_real()) >= outside);
}

struct by_manual {
    struct lab *l;
    struct rt_clock *clock;
    struct rt_cond *c;
    int result;
    bool done;
};

static void wait_by_manual(void *arg)
{
    struct by_manual *w = arg;

    rt_mutex_lock(w->l->m);
    w->result = rt_cond_wait(w->c, w->l->m, 10 * MS);
    w->done = true;
    rt_mutex_unlock(w->l->m);
}

static void a_manual_clock_works_inside_a_world(void **state)
{
    for (int signal = 0; signal < 2; signal++) {
        struct by_manual w = {0};
        struct rt_thread *t;
        struct lab l;

        (void)state;
        enter(&l, &(struct rt_sim_config){0});
        w.l = &l;
        assert_int_equal(rt_clock_manual_create(0, &w.clock), 0);
        assert_int_equal(rt_cond_create(w.clock, &w.c), 0);
        assert_int_equal(rt_thread_start("waiter", wait_by_manual, &w, &t), 0);
        rt_clock_manual_await(w.clock, 1);
        rt_clock_manual_advance(w.clock, 10 * MS - 1);
        rt_sim_settle(l.sim, 100 * MS);
        assert_false(w.done);
        if (signal)
            rt_cond_broadcast(w.c);
        else
            rt_clock_manual_advance(w.clock, 1);
        rt_thread_join(t);
        assert_int_equal(w.result, signal ? 0 : -ETIMEDOUT);
        rt_cond_destroy(w.c);
        rt_clock_manual_destroy(w.clock);
        leave(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_counts_in_a_world_is_alone),
        cmocka_unit_test(the_first_that_is_ready_runs_first),
        cmocka_unit_test(settling_moves_time_through_the_deadlines_and_no_further),
        cmocka_unit_test(the_first_fiber_sleeps_and_others_get_on),
        cmocka_unit_test(many_sleeps_end_as_sorting_says),
        cmocka_unit_test(the_seed_decides_everything),
        cmocka_unit_test(seeds_reach_every_order),
        cmocka_unit_test(random_numbers_are_the_seeds),
        cmocka_unit_test(preemption_finds_what_is_not_locked),
        cmocka_unit_test(a_mutex_is_handed_over_in_order),
        cmocka_unit_test(both_back_ends_keep_locks_and_conditions),
        cmocka_unit_test(inside_a_world_nobody_sees_the_hosts_time),
        cmocka_unit_test(a_manual_clock_works_inside_a_world),
    };

    return cmocka_run_group_tests_name("rt_sim", tests, NULL, NULL);
}
