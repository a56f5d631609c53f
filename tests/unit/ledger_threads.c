/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger under threads, real (under TSan) and simulated: nothing is lost, nothing is found that is not
 * so, and more threads than there are cells for counters count right too.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ledger/ledger.h"

#define THREADS 40 /* more than cells */
#define ROUNDS  300
#define OPEN    20
#define SITE(n) ((const void *)(uintptr_t)(n))

struct lab {
    struct ledger *ledger;
    struct ledger_party *party[2];
    struct rt_context context[2];
    atomic_uint found[LEDGER_FAULTS];
    atomic_uint next;
    uint64_t numbers[THREADS * OPEN];
    size_t count;
};

static void count_found(void *ctx, const struct ledger_finding *f)
{
    struct lab *l = ctx;

    atomic_fetch_add(&l->found[f->fault], 1);
}

/* Opens and closes its own, references shared ones, closes one twice, leaves one open. */
static void work(void *arg)
{
    struct lab *l = arg;
    unsigned me = atomic_fetch_add(&l->next, 1);
    uint64_t base = (me + 1) * 1000;

    rt_set_current(&l->context[me % 2]);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        for (uint64_t i = 0; i < OPEN; i++) {
            ledger_open(LEDGER_POOL, base + i, round, NULL, SITE(1));
            if (i % 4 == 0) {
                ledger_open(LEDGER_NBL_REFERENCE, i, 0, NULL, SITE(2)); /* of a key that all share */
                rt_point();
                assert_true(ledger_use(LEDGER_NBL_REFERENCE, i, SITE(3)));
            }
        }
        for (uint64_t i = 0; i < OPEN; i++) {
            assert_true(ledger_close(LEDGER_POOL, base + i, SITE(4)));
            if (i % 4 == 0)
                assert_true(ledger_close(LEDGER_NBL_REFERENCE, i, SITE(5)));
        }
        if (round % 16 == me % 16)
            rt_yield();
    }
    ledger_close(LEDGER_POOL, base, SITE(6));
    ledger_open(LEDGER_MDL, base, 0, NULL, SITE(7));
    rt_set_current(NULL);
}

static void keep_number(void *ctx, const struct ledger_finding *f)
{
    struct lab *l = ctx;

    l->numbers[l->count++] = f->number;
}

static void run(enum ledger_mode mode)
{
    static struct lab l;
    struct ledger_config config = {.mode = mode, .found = count_found, .ctx = &l};
    struct rt_thread *t[THREADS];
    struct ledger_counts counts;
    uint64_t all = (uint64_t)THREADS * (ROUNDS * (OPEN + OPEN / 4) + 1);

    memset(&l, 0, sizeof(l));
    assert_int_equal(ledger_create(&config, &l.ledger), 0);
    for (int i = 0; i < 2; i++) {
        l.party[i] = ledger_party_add(l.ledger, i == 0 ? "even" : "odd");
        l.context[i].party = l.party[i];
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(rt_thread_start("worker", work, &l, &t[i]), 0);
    for (int i = 0; i < THREADS; i++)
        rt_thread_join(t[i]);
    ledger_counts(l.ledger, &counts);
    assert_int_equal(counts.opened, all);
    assert_int_equal(counts.lost, 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(ledger_open_count(l.party[i], LEDGER_MDL), THREADS / 2);
    if (mode == LEDGER_FULL) {
        assert_int_equal(counts.closed, all - THREADS);
        assert_int_equal(counts.open, THREADS);
        assert_int_equal(l.found[LEDGER_TWICE] + l.found[LEDGER_UNKNOWN],
                         THREADS); /* a ring may have turned */
        ledger_each(l.ledger, NULL, keep_number, &l);
        assert_int_equal(l.count, THREADS);
        for (size_t i = 1; i < THREADS; i++)
            assert_true(l.numbers[i - 1] < l.numbers[i]);
        assert_true(l.numbers[THREADS - 1] <= all);
    } else {
        assert_int_equal(counts.closed, all); /* it cannot tell a second close */
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(ledger_open_count(l.party[i], LEDGER_NBL_REFERENCE), 0);
    assert_int_equal(l.found[LEDGER_FOREIGN], 0);
    assert_int_equal(l.found[LEDGER_AFTER], 0);
    ledger_destroy(l.ledger);
}

static void threads_lose_nothing(void **state)
{
    (void)state;
    run(LEDGER_FULL);
    run(LEDGER_COUNT);
}

static void fibers_lose_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 3; seed++) {
        struct rt_sim *sim;

        assert_int_equal(
            rt_sim_create(&(struct rt_sim_config){.seed = seed, .shuffle = true, .preempt = 2}, &sim), 0);
        assert_int_equal(rt_sim_enter(sim), 0);
        run(LEDGER_FULL);
        run(LEDGER_COUNT);
        rt_sim_leave(sim);
        rt_sim_destroy(sim);
    }
}

/* A reader while others write: what it is told is never torn. */
struct reading {
    struct lab *l;
    atomic_bool stop;
    unsigned walks;
};

static void check_whole(void *ctx, const struct ledger_finding *f)
{
    (void)ctx;
    if (f->kind == LEDGER_POOL)
        assert_ptr_equal(f->opened, SITE(1));
    else if (f->kind == LEDGER_NBL_REFERENCE)
        assert_ptr_equal(f->opened, SITE(2));
    else
        assert_ptr_equal(f->opened, SITE(7));
}

static void read_all(void *arg)
{
    struct reading *r = arg;

    do {
        struct ledger_counts counts;

        ledger_each(r->l->ledger, NULL, check_whole, NULL);
        ledger_counts(r->l->ledger, &counts);
        assert_true(counts.open <= counts.opened);
        r->walks++;
    } while (!atomic_load(&r->stop));
}

static void who_lists_sees_whole_entries(void **state)
{
    static struct lab l;
    struct ledger_config config = {.mode = LEDGER_FULL, .found = count_found, .ctx = &l};
    struct reading r = {.l = &l};
    struct rt_thread *t[4], *reader;

    (void)state;
    assert_int_equal(ledger_create(&config, &l.ledger), 0);
    for (int i = 0; i < 2; i++) {
        l.party[i] = ledger_party_add(l.ledger, "both");
        l.context[i].party = l.party[i];
    }
    assert_int_equal(rt_thread_start("reader", read_all, &r, &reader), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(rt_thread_start("worker", work, &l, &t[i]), 0);
    for (int i = 0; i < 4; i++)
        rt_thread_join(t[i]);
    atomic_store(&r.stop, true);
    rt_thread_join(reader);
    assert_true(r.walks > 0);
    assert_int_equal(ledger_settle(l.party[0]) + ledger_settle(l.party[1]), 4);
    ledger_destroy(l.ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_lose_nothing),
        cmocka_unit_test(fibers_lose_nothing),
        cmocka_unit_test(who_lists_sees_whole_entries),
    };

    return cmocka_run_group_tests_name("ledger_threads", tests, NULL, NULL);
}
