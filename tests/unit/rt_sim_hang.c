/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rt's simulated back end where things go badly, and what is a fiber's own: spinning, deadlock, the watchdog,
 * stacks, entering and leaving.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <fenv.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "rt/rt.h"
#include "rt_lab.h"

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif
#ifdef UNDER_TSAN
#define MANY 1000 /* it has room for some 8,000 threads */
#else
#define MANY 10000
#endif

/* ---- who does not wait, but asks again and again ------------------------------------------------------- */

struct flag {
    struct lab *l;
    atomic_bool set;
};

static void set_later(void *arg)
{
    struct flag *f = arg;

    sleep_until(f->l, 50 * MS);
    atomic_store(&f->set, true);
}

static void set_now(void *arg)
{
    struct flag *f = arg;

    atomic_store(&f->set, true);
}

static void ask_points(struct flag *f)
{
    while (!atomic_load(&f->set))
        rt_point();
}

static void ask_yields(struct flag *f)
{
    while (!atomic_load(&f->set))
        rt_yield();
}

static void ask_time(struct flag *f)
{
    while (!atomic_load(&f->set))
        rt_clock_query(f->l->clock);
}

static void ask_waits(struct flag *f)
{
    while (!atomic_load(&f->set)) {
        rt_mutex_lock(f->l->m);
        rt_cond_wait(f->l->c, f->l->m, 0);
        rt_mutex_unlock(f->l->m);
    }
}

static void who_spins_is_answered(void **state)
{
    static void (*const ways[])(struct flag *) = {ask_points, ask_yields, ask_time, ask_waits};

    (void)state;
    for (size_t way = 0; way < sizeof(ways) / sizeof(ways[0]); way++) {
        for (int later = 0; later < 2; later++) {
            for (uint32_t preempt = 0; preempt < 3; preempt += 2) {
                struct rt_thread *t;
                struct lab l;

                enter(&l, &(struct rt_sim_config){.preempt = preempt});
                struct flag f = {.l = &l};

                assert_int_equal(rt_thread_start("setter", later ? set_later : set_now, &f, &t), 0);
                ways[way](&f);
                if (later)
                    assert_in_range(rt_clock_now(l.clock), 50 * MS, 200 * MS);
                else
                    assert_true(rt_clock_now(l.clock) < 50 * MS);
                rt_thread_join(t);
                leave(&l);
            }
        }
    }
}

static void spin_for_ever(void *arg)
{
    ask_points(arg);
}

static void settling_ends_though_somebody_spins(void **state)
{
    struct rt_thread *t;
    struct lab l;

    (void)state;
    enter(&l, &(struct rt_sim_config){0});
    struct flag f = {.l = &l};

    assert_int_equal(rt_thread_start("spinner", spin_for_ever, &f, &t), 0);
    rt_sim_settle(l.sim, 100 * MS);
    assert_true(rt_clock_now(l.clock) == 100 * MS);
    atomic_store(&f.set, true);
    rt_thread_join(t);
    leave(&l);
}

static void points_take_no_time_while_time_moves_by_itself(void **state)
{
    struct lab l;

    (void)state;
    enter(&l, &(struct rt_sim_config){0});
    for (uint64_t packet = 1; packet <= 1000; packet++) {
        rt_sim_settle(l.sim, packet * US);
        for (int i = 0; i < 1000; i++)
            rt_point();
        assert_true(rt_clock_now(l.clock) == packet * US);
    }
    leave(&l);
}

/* ---- nobody can run; nobody lets others run ------------------------------------------------------------ */

struct told {
    atomic_uint calls;
    char fiber[48];
    struct rt_context *context;
    struct rt_sim *sim;
    char hanging[256];
    atomic_bool stop;
};

static void list_hanging(void *ctx, const char *name, const char *waits_for, struct rt_context *c)
{
    struct told *t = ctx;
    size_t n = strlen(t->hanging);

    snprintf(t->hanging + n, sizeof(t->hanging) - n, "%s: %s%s; ", name,
             waits_for == NULL ? "nothing" : waits_for, c == t->context && c != NULL ? " (same)" : "");
}

static void told_stuck(void *ctx, const char *fiber, struct rt_context *context)
{
    struct told *t = ctx;

    (void)atomic_load(&t->stop); /* after what the other thread did before it set this */
    snprintf(t->fiber, sizeof(t->fiber), "%s", fiber);
    t->context = context;
    t->hanging[0] = '\0';
    rt_sim_fibers(t->sim, list_hanging, t);
    atomic_fetch_add(&t->calls, 1);
    atomic_store(&t->stop, true);
}

static void wait_for_ever(void *arg)
{
    struct job *j = arg;

    rt_mutex_lock(j->l->m);
    if (j->name[0] == 'n')
        rt_waits_for("the policy server's answer");
    j->turns = 1;
    while (j->turns == 1 && rt_cond_wait(j->l->c, j->l->m, RT_FOREVER) == 0)
        ;
    rt_mutex_unlock(j->l->m);
}

static void a_deadlock_is_told(void **state)
{
    struct rt_context context = {0};
    struct told told = {0};
    struct rt_thread *t[3];
    struct lab l;

    (void)state;
    enter(&l, &(struct rt_sim_config){.stuck = told_stuck, .ctx = &told});
    struct job j[3] = {{&l, "named", 0, 0}, {&l, "plain", 0, 0}, {&l, "joiner", 0, 0}};

    told.sim = l.sim;
    start(&t[0], &j[0], wait_for_ever);
    rt_set_current(&context);
    start(&t[1], &j[1], wait_for_ever);
    rt_sim_settle(l.sim, 1 * S); /* nothing more happens: no deadlock, for the first fiber does not wait */
    assert_int_equal(told.calls, 0);
    rt_mutex_lock(l.m);
    assert_int_equal(rt_cond_wait(l.c, l.m, 2 * S), -ETIMEDOUT); /* nor here */
    assert_int_equal(told.calls, 0);
    assert_int_equal(rt_cond_wait(l.c, l.m, RT_FOREVER), -EDEADLK);
    rt_mutex_unlock(l.m);
    assert_int_equal(told.calls, 1);
    assert_string_equal(told.fiber, "main");
    assert_ptr_equal(told.context, &context);
    assert_string_equal(told.hanging, "named: the policy server's answer; plain: a condition (same); ");
    rt_set_current(NULL);
    /* A join that cannot end: the oldest wait for a condition is ended, and so on. */
    rt_thread_join(t[1]);
    assert_int_equal(told.calls, 3);
    rt_thread_join(t[0]);
    leave(&l);
}

struct cross { /* two that take two locks in two orders, and one that waits for itself */
    struct lab *l;
    struct rt_mutex *first, *second;
    struct rt_thread *self;
};

static void lock_both(void *arg)
{
    struct cross *c = arg;

    rt_mutex_lock(c->first);
    rt_yield();
    rt_mutex_lock(c->second);
    rt_mutex_unlock(c->second);
    rt_mutex_unlock(c->first);
}

static void join_itself(void *arg)
{
    struct cross *c = arg;

    rt_thread_join(c->self);
}

static void a_deadlock_of_locks_is_told_and_goes_on(void **state)
{
    struct told told = {0};
    struct rt_mutex *other;
    struct rt_thread *t[2];
    struct lab l;

    (void)state;
    enter(&l, &(struct rt_sim_config){.stuck = told_stuck, .ctx = &told});
    told.sim = l.sim;
    assert_int_equal(rt_mutex_create(&other), 0);
    struct cross c[2] = {{&l, l.m, other, NULL}, {&l, other, l.m, NULL}};

    for (int i = 0; i < 2; i++)
        assert_int_equal(rt_thread_start(i == 0 ? "one" : "two", lock_both, &c[i], &t[i]), 0);
    rt_thread_join(t[0]);
    assert_string_equal(told.hanging, "one: a lock; two: a lock; ");
    rt_thread_join(t[1]);
    assert_int_equal(told.calls, 1);
    assert_int_equal(rt_thread_start("narcissus", join_itself, &c[0], &c[0].self), 0);
    rt_thread_join(c[0].self);
    assert_string_equal(told.hanging, "narcissus: the end of a thread; ");
    rt_mutex_destroy(other);
    leave(&l);
}

static void spin_without_a_point(void *arg)
{
    struct told *t = arg;

    while (!atomic_load(&t->stop))
        ;
}

static void the_watchdog_sees_who_spins(void **state)
{
    struct rt_context context = {0};
    struct told told = {0};
    struct rt_thread *t, *u;
    struct lab l;

    (void)state;
    enter(&l, &(struct rt_sim_config){.watchdog_ns = 100 * MS, .stuck = told_stuck, .ctx = &told});
    struct job j = {&l, "waiter", 0, 0};

    told.sim = l.sim;
    start(&u, &j, wait_for_ever);
    rt_set_current(&context);
    assert_int_equal(rt_thread_start("spinner", spin_without_a_point, &told, &t), 0);
    rt_set_current(NULL);
    rt_sim_settle(l.sim, 0);
    assert_int_equal(told.calls, 1);
    assert_string_equal(told.fiber, "spinner");
    assert_ptr_equal(told.context, &context);
    assert_string_equal(told.hanging, "waiter: a condition; spinner: nothing (same); ");
    rt_thread_join(t);

    /* The first fiber, too; but not while time moves, nor while nobody is inside. */
    atomic_store(&told.stop, false);
    spin_without_a_point(&told);
    assert_int_equal(told.calls, 2);
    assert_string_equal(told.fiber, "main");
    for (uint64_t i = 1; i < 300; i++) {
        rt_sim_settle(l.sim, i);
        usleep(1000);
    }
    rt_sim_leave(l.sim);
    usleep(300000);
    assert_int_equal(rt_sim_enter(l.sim), 0);
    assert_int_equal(told.calls, 2);
    rt_mutex_lock(l.m);
    j.turns = 0;
    rt_cond_broadcast(l.c);
    rt_mutex_unlock(l.m);
    rt_thread_join(u);
    leave(&l);
}

/* Two that hand the ball to and fro: each waits for the other, so neither spins. */
struct match {
    struct lab *l;
    struct told *told;
    bool rests; /* lets a millisecond go by each time */
    int ball;
    unsigned turns;
};
struct player {
    struct match *m;
    int me;
};

static void play(void *arg)
{
    struct player *p = arg;
    struct match *m = p->m;

    while (!atomic_load(&m->told->stop)) {
        rt_mutex_lock(m->l->m);
        while (m->ball != p->me && !atomic_load(&m->told->stop))
            rt_cond_wait(m->l->c, m->l->m, RT_FOREVER);
        rt_mutex_unlock(m->l->m);
        usleep(2000); /* at work */
        m->turns++;
        if (m->rests)
            sleep_until(m->l, rt_clock_now(m->l->clock) + 1 * MS);
        rt_mutex_lock(m->l->m);
        m->ball = !p->me;
        rt_cond_broadcast(m->l->c);
        rt_mutex_unlock(m->l->m);
    }
}

static void the_watchdog_sees_that_time_stands_still(void **state)
{
    static const char *const names[] = {"one", "other"};

    (void)state;
    for (unsigned rests = 0; rests < 2; rests++) {
        struct told told = {0};
        struct rt_thread *t[2];
        struct lab l;

        enter(&l, &(struct rt_sim_config){.watchdog_ns = 100 * MS, .stuck = told_stuck, .ctx = &told});
        told.sim = l.sim;
        struct match m = {.l = &l, .told = &told, .rests = rests};
        struct player players[2] = {{&m, 0}, {&m, 1}};

        for (unsigned i = 0; i < 2; i++)
            assert_int_equal(rt_thread_start(names[i], play, &players[i], &t[i]), 0);
        rt_sim_settle(l.sim, 150 * MS);
        if (rests) { /* it takes three times as long, but time goes by */
            assert_int_equal(told.calls, 0);
            assert_true(m.turns >= 100);
            atomic_store(&told.stop, true);
            rt_sim_settle(l.sim, 200 * MS);
        } else {
            assert_int_equal(told.calls, 1);
            assert_true(strcmp(told.fiber, "one") == 0 || strcmp(told.fiber, "other") == 0);
            assert_true(m.turns > 10);
        }
        for (unsigned i = 0; i < 2; i++)
            rt_thread_join(t[i]);
        leave(&l);
    }
}

/* ---- what a fiber has of its own ----------------------------------------------------------------------- */

struct own {
    struct rt_context *context;
    int number;
    uintptr_t self;
    bool good;
};

static void keep_own(void *arg)
{
    struct own *o = arg;
    double doubles[8];
    uint64_t numbers[8];

    o->self = rt_self();
    o->good = rt_current() == o->context && rt_carried()->irql == 0 && rt_carried()->nt_thread == NULL;
    rt_carried()->irql = (uint8_t)o->number;
    rt_carried()->nt_thread = o;
    rt_set_current((struct rt_context *)o);
    fesetround(o->number % 2 ? FE_UPWARD : FE_TONEAREST);
    for (int i = 0; i < 8; i++) {
        doubles[i] = o->number * 1.5 + i;
        numbers[i] = (uint64_t)o->number << (8 * i);
    }
    for (int turn = 0; turn < 50; turn++) {
        errno = o->number;
        rt_yield();
        o->good = o->good && errno == o->number && rt_carried()->irql == (uint8_t)o->number &&
                  rt_carried()->nt_thread == o && rt_current() == (struct rt_context *)o &&
                  rt_self() == o->self && fegetround() == (o->number % 2 ? FE_UPWARD : FE_TONEAREST);
        for (int i = 0; i < 8; i++)
            o->good =
                o->good && doubles[i] == o->number * 1.5 + i && numbers[i] == (uint64_t)o->number << (8 * i);
    }
}

static void each_fiber_has_its_own(void **state)
{
    struct rt_context context = {0};
    struct rt_thread *t[20];
    struct own o[20];
    struct lab l;

    (void)state;
    enter(&l, &(struct rt_sim_config){.seed = 3, .shuffle = true});
    rt_carried()->irql = 99;
    for (int i = 0; i < 20; i++) {
        o[i] = (struct own){.context = i % 2 ? &context : NULL, .number = i};
        rt_set_current(o[i].context);
        assert_int_equal(rt_thread_start("own", keep_own, &o[i], &t[i]), 0);
    }
    rt_set_current(&context);
    rt_sim_settle(l.sim, 0);
    assert_ptr_equal(rt_set_current(NULL), &context);
    assert_int_equal(rt_carried()->irql, 99);
    rt_carried()->irql = 0;
    assert_int_equal(fegetround(), FE_TONEAREST);
    for (int i = 0; i < 20; i++) {
        assert_true(o[i].good);
        for (int k = 0; k < i; k++)
            assert_true(o[i].self != o[k].self);
        assert_true(o[i].self != rt_self());
        rt_thread_join(t[i]);
    }
    leave(&l);
    assert_int_equal(rt_carried()->irql, 0);
}

/* ---- memory -------------------------------------------------------------------------------------------- */

struct crowd {
    struct rt_mutex *m;
    struct rt_cond *c;
    int item, taken, sum;
};

static void all_wait_for_one(void *arg)
{
    struct crowd *b = arg;

    rt_mutex_lock(b->m);
    b->taken++;
    while (b->item == 0)
        rt_cond_wait(b->c, b->m, RT_FOREVER);
    b->sum++;
    rt_mutex_unlock(b->m);
}

static void there_may_be_thousands(void **state)
{
    static struct rt_thread *t[MANY];
    struct crowd b = {0};
    struct lab l;

    (void)state;
    enter(&l, &(struct rt_sim_config){.stack_bytes = 65536});
    b.m = l.m;
    b.c = l.c;
    for (int round = 0; round < 2; round++) {
        b.item = b.taken = b.sum = 0;
        for (int i = 0; i < MANY; i++)
            assert_int_equal(rt_thread_start("one of many", all_wait_for_one, &b, &t[i]), 0);
        rt_sim_settle(l.sim, 0);
        assert_int_equal(b.taken, MANY);
        assert_int_equal(b.sum, 0);
        rt_mutex_lock(b.m);
        b.item = 1;
        rt_cond_broadcast(b.c);
        rt_mutex_unlock(b.m);
        rt_sim_settle(l.sim, 0);
        assert_int_equal(b.sum, MANY);
        for (int i = 0; i < MANY; i++)
            rt_thread_join(t[i]);
    }
    leave(&l);
}

static __attribute__((noinline)) unsigned dig(unsigned bytes)
{
    volatile unsigned char here[1024];

    here[0] = (unsigned char)bytes;
    here[1023] = 1;
    return bytes <= 1024 ? here[0] : dig(bytes - 1024) + here[1023];
}

static void dig_so_deep(void *arg)
{
    *(unsigned *)arg = dig(*(unsigned *)arg);
}

static void a_stack_is_as_deep_as_asked_and_ends_in_a_guard(void **state)
{
    struct rt_thread *t;
    struct lab l;
    unsigned bytes = 2 << 20; /* half of it, for sanitizers' frames are larger */
    int status;
    pid_t child;

    (void)state;
    enter(&l, &(struct rt_sim_config){.stack_bytes = 8 << 20});
    for (int i = 0; i < 3; i++) { /* stacks come back */
        bytes = 2 << 20;
        assert_int_equal(rt_thread_start("digger", dig_so_deep, &bytes, &t), 0);
        rt_thread_join(t);
        assert_int_equal(bytes & 0xff, ((2 << 10) - 1) & 0xff);
    }
    leave(&l);
#ifndef UNDER_TSAN /* forking and TSan do not go together */
    fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit none = {0, 0};

        setrlimit(RLIMIT_CORE, &none);
        if (freopen("/dev/null", "w", stderr) == NULL)
            _exit(3);
        enter(&l, &(struct rt_sim_config){.stack_bytes = 1 << 20});
        bytes = 64 << 20;
        if (rt_thread_start("digger", dig_so_deep, &bytes, &t) == 0)
            rt_thread_join(t);
        _exit(0); /* nothing stopped it */
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGSEGV || WTERMSIG(status) == SIGABRT
                                    : WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != 3);
#else
    (void)child;
    (void)status;
#endif
}

/* ---- entering and leaving ------------------------------------------------------------------------------ */

static void try_to_enter(void *arg)
{
    struct told *t = arg;

    atomic_store(&t->calls, (unsigned)-rt_sim_enter(t->sim));
}

static void a_world_belongs_to_one_thread_at_a_time(void **state)
{
    struct rt_sim *other;
    struct told told = {0};
    struct rt_thread *t, *sleeper;
    struct lab l;

    (void)state;
    assert_int_equal(rt_sim_create(&(struct rt_sim_config){0}, &other), 0);
    enter(&l, &(struct rt_sim_config){0});
    struct job j = {&l, "a", 5 * MS, 0};

    assert_int_equal(rt_sim_enter(l.sim), -EBUSY);
    assert_int_equal(rt_sim_enter(other), -EBUSY);
    start(&sleeper, &j, sleep_then_tell);
    rt_sim_settle(l.sim, 1 * MS);
    rt_sim_leave(l.sim); /* with a fiber that sleeps */
    told.sim = l.sim;
    assert_int_equal(rt_thread_start("real", try_to_enter, &told, &t), 0);
    rt_thread_join(t);
    assert_int_equal(told.calls, EBUSY); /* its fiber would move to another thread */

    assert_int_equal(rt_sim_enter(other), 0); /* one after the other */
    assert_ptr_equal(rt_sim_current(), other);
    rt_sim_settle(other, 70 * MS);
    rt_sim_leave(other);
    rt_sim_destroy(other);

    assert_int_equal(rt_sim_enter(l.sim), 0);
    assert_string_equal(l.trace, "");
    rt_sim_settle(l.sim, 5 * MS);
    assert_string_equal(l.trace, "a");
    rt_thread_join(sleeper);
    leave(&l);
}

static void a_world_may_go_with_fibers_that_wait(void **state)
{
    struct rt_thread *t;
    struct told told = {0};
    struct lab l;

    (void)state;
    enter(&l, &(struct rt_sim_config){0});
    struct job j = {&l, "left", 0, 0};

    start(&t, &j, wait_for_ever);
    rt_sim_settle(l.sim, 0);
    start(&t, &j, wait_for_ever); /* and one that never ran */
    rt_sim_leave(l.sim);
    told.sim = l.sim;
    rt_sim_fibers(l.sim, list_hanging, &told);
    assert_string_equal(told.hanging, "left: a condition; left: nothing; ");
    rt_cond_destroy(l.c);
    rt_mutex_destroy(l.m);
    rt_sim_destroy(l.sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_spins_is_answered),
        cmocka_unit_test(settling_ends_though_somebody_spins),
        cmocka_unit_test(points_take_no_time_while_time_moves_by_itself),
        cmocka_unit_test(a_deadlock_is_told),
        cmocka_unit_test(a_deadlock_of_locks_is_told_and_goes_on),
        cmocka_unit_test(the_watchdog_sees_who_spins),
        cmocka_unit_test(the_watchdog_sees_that_time_stands_still),
        cmocka_unit_test(each_fiber_has_its_own),
        cmocka_unit_test(there_may_be_thousands),
        cmocka_unit_test(a_stack_is_as_deep_as_asked_and_ends_in_a_guard),
        cmocka_unit_test(a_world_belongs_to_one_thread_at_a_time),
        cmocka_unit_test(a_world_may_go_with_fibers_that_wait),
    };

    return cmocka_run_group_tests_name("rt_sim_hang", tests, NULL, NULL);
}
