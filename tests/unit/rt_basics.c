/* SPDX-License-Identifier: Apache-2.0 */
/* rt: clocks, waits with deadlines by either clock, threads and the context they inherit. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <cmocka.h>

#include "rt/alone.h"
#include "rt/rt.h"

#define MS 1000000ull

#define COUNTERS 4
#define COUNTS   50000u

static uint32_t counted;

static void count_up_and_down(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < COUNTS; i++) {
        (void)rt_add(&counted, 3, __ATOMIC_RELAXED);
        (void)rt_sub(&counted, 2, __ATOMIC_ACQ_REL);
    }
}

/* rt/alone.h: what is counted is what the operations say, alone or not; of threads that count at once nothing is lost. */
static void counts_are_right_alone_and_in_company(void **state)
{
    struct rt_thread *t[COUNTERS];
    uint64_t wide = 0;

    (void)state;
    assert_true(rt_add(&wide, 1, __ATOMIC_SEQ_CST) == 1);
    assert_true(rt_sub(&wide, 2u, __ATOMIC_SEQ_CST) == UINT64_MAX);
    counted = 0;
    count_up_and_down(NULL);
    assert_int_equal(counted, COUNTS);
    for (unsigned i = 0; i < COUNTERS; i++)
        assert_int_equal(rt_thread_start("counts", count_up_and_down, NULL, &t[i]), 0);
    assert_false(rt_alone());
    count_up_and_down(NULL);
    for (unsigned i = 0; i < COUNTERS; i++)
        rt_thread_join(t[i]);
    assert_int_equal(counted, (COUNTERS + 2) * COUNTS);
}

static void manual_clock_moves_only_when_told(void **state)
{
    struct rt_clock *c;

    (void)state;
    assert_int_equal(rt_clock_manual_create(5 * MS, &c), 0);
    assert_true(rt_clock_now(c) == 5 * MS);
    assert_true(rt_clock_now(c) == 5 * MS);
    rt_clock_manual_advance(c, 7 * MS);
    assert_true(rt_clock_now(c) == 12 * MS);
    assert_true(rt_clock_filetime(c) == 116444736000000000ull + 12 * MS / 100);
    rt_clock_manual_destroy(c);
}

static void real_clock_moves_forward(void **state)
{
    uint64_t a = rt_clock_now(rt_clock_real()), b;

    (void)state;
    do
        b = rt_clock_now(rt_clock_real());
    while (b == a);
    assert_true(b > a);
    /* FILETIMEs of this century: 2000-01-01 .. 2100-01-01 */
    assert_in_range(rt_clock_filetime(rt_clock_real()), 125911584000000000ull, 157469184000000000ull);
}

struct waiter {
    struct rt_clock *clock;
    struct rt_mutex *m;
    struct rt_cond *c;
    uint64_t deadline;
    bool flag;
    int result;
    struct rt_context *context;
};

static void wait_for_flag(void *arg)
{
    struct waiter *w = arg;

    w->context = rt_current();
    rt_mutex_lock(w->m);
    w->result = 0;
    while (!w->flag && w->result == 0)
        w->result = rt_cond_wait(w->c, w->m, w->deadline);
    rt_mutex_unlock(w->m);
}

static void setup(struct waiter *w, struct rt_clock *clock, uint64_t deadline)
{
    *w = (struct waiter){.clock = clock, .deadline = deadline};
    assert_int_equal(rt_mutex_create(&w->m), 0);
    assert_int_equal(rt_cond_create(clock, &w->c), 0);
}

static void teardown(struct waiter *w)
{
    rt_cond_destroy(w->c);
    rt_mutex_destroy(w->m);
}

static void manual_wait_times_out_exactly_at_its_deadline(void **state)
{
    struct rt_clock *clock;
    struct rt_thread *t;
    struct waiter w;

    (void)state;
    assert_int_equal(rt_clock_manual_create(0, &clock), 0);
    setup(&w, clock, 10 * MS);
    assert_int_equal(rt_thread_start("waiter", wait_for_flag, &w, &t), 0);
    rt_clock_manual_await(clock, 1);
    rt_clock_manual_advance(clock, 10 * MS - 1);
    rt_clock_manual_await(clock, 1); /* still there */
    rt_clock_manual_advance(clock, 1);
    rt_thread_join(t);
    assert_int_equal(w.result, -ETIMEDOUT);
    teardown(&w);
    rt_clock_manual_destroy(clock);
}

static void broadcast_ends_a_wait(void **state)
{
    struct rt_clock *clocks[2] = {rt_clock_real(), NULL};

    (void)state;
    assert_int_equal(rt_clock_manual_create(0, &clocks[1]), 0);
    for (int i = 0; i < 2; i++) {
        for (int forever = 0; forever < 2; forever++) {
            struct rt_thread *t;
            struct waiter w;

            setup(&w, clocks[i], forever ? RT_FOREVER : rt_clock_now(clocks[i]) + 3600000 * MS);
            assert_int_equal(rt_thread_start("waiter", wait_for_flag, &w, &t), 0);
            rt_mutex_lock(w.m);
            w.flag = true;
            rt_mutex_unlock(w.m);
            rt_cond_broadcast(w.c);
            rt_thread_join(t);
            assert_int_equal(w.result, 0);
            teardown(&w);
        }
    }
    rt_clock_manual_destroy(clocks[1]);
}

static void real_wait_times_out(void **state)
{
    struct waiter w;
    uint64_t start = rt_clock_now(rt_clock_real());

    (void)state;
    setup(&w, rt_clock_real(), start + 2 * MS);
    wait_for_flag(&w);
    assert_int_equal(w.result, -ETIMEDOUT);
    assert_true(rt_clock_now(rt_clock_real()) >= start + 2 * MS);
    teardown(&w);
}

static void threads_inherit_the_context(void **state)
{
    struct rt_thread *t;
    struct waiter w;
    struct rt_context context = {0};

    (void)state;
    setup(&w, rt_clock_real(), 0);
    assert_null(rt_set_current(&context));
    assert_int_equal(rt_thread_start("a name too long for the kernel", wait_for_flag, &w, &t), 0);
    assert_ptr_equal(rt_set_current(NULL), &context);
    rt_thread_join(t);
    assert_ptr_equal(w.context, &context);
    assert_null(rt_current());
    teardown(&w);
}

#define ROUNDS 20000
struct ping {
    struct rt_mutex *m;
    struct rt_cond *c;
    unsigned turn;
};

static void pong(void *arg)
{
    struct ping *p = arg;

    rt_mutex_lock(p->m);
    for (unsigned i = 0; i < ROUNDS; i++) {
        while (p->turn % 2 == 0)
            rt_cond_wait(p->c, p->m, RT_FOREVER);
        p->turn++;
        rt_cond_broadcast(p->c);
    }
    rt_mutex_unlock(p->m);
}

static void no_wake_is_lost(void **state)
{
    struct ping p = {.turn = 0};
    struct rt_thread *t;

    (void)state;
    assert_int_equal(rt_mutex_create(&p.m), 0);
    assert_int_equal(rt_cond_create(rt_clock_real(), &p.c), 0);
    assert_int_equal(rt_thread_start("pong", pong, &p, &t), 0);
    rt_mutex_lock(p.m);
    for (unsigned i = 0; i < ROUNDS; i++) {
        p.turn++;
        rt_cond_broadcast(p.c);
        while (p.turn % 2 == 1)
            rt_cond_wait(p.c, p.m, RT_FOREVER);
    }
    rt_mutex_unlock(p.m);
    rt_thread_join(t);
    assert_int_equal(p.turn, 2 * ROUNDS);
    rt_cond_destroy(p.c);
    rt_mutex_destroy(p.m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_right_alone_and_in_company),
        cmocka_unit_test(manual_clock_moves_only_when_told),
        cmocka_unit_test(real_clock_moves_forward),
        cmocka_unit_test(manual_wait_times_out_exactly_at_its_deadline),
        cmocka_unit_test(broadcast_ends_a_wait),
        cmocka_unit_test(real_wait_times_out),
        cmocka_unit_test(threads_inherit_the_context),
        cmocka_unit_test(no_wake_is_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
