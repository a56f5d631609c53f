/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a simulated world costs: a switch of fibers beside the C library's swapcontext(), settling when there
 * is nothing to do, scheduling points, and locks beside pthread's.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

#include "bench.h"
#include "rt/rt.h"

#define PASSES   15
#define SWITCHES 200000u
#define CALLS    2000000u

static bool stop;

static void turn(void *arg)
{
    (void)arg;
    while (!stop)
        rt_yield();
}

static double fibers(void)
{
    double start = bench_cpu_ns();

    for (unsigned i = 0; i < SWITCHES / 2; i++)
        rt_yield();
    return (bench_cpu_ns() - start) / SWITCHES;
}

static ucontext_t here, there;

static void turn_context(void)
{
    for (;;)
        swapcontext(&there, &here);
}

static double contexts(void)
{
    double start = bench_cpu_ns();

    for (unsigned i = 0; i < SWITCHES / 2; i++)
        swapcontext(&here, &there);
    return (bench_cpu_ns() - start) / SWITCHES;
}

static double settling(struct rt_sim *s)
{
    uint64_t now = rt_clock_now(rt_sim_clock(s));
    double start = bench_cpu_ns();

    for (unsigned i = 0; i < CALLS; i++)
        rt_sim_settle(s, ++now);
    return (bench_cpu_ns() - start) / CALLS;
}

static double points(void)
{
    double start = bench_cpu_ns();

    for (unsigned i = 0; i < CALLS; i++)
        rt_point();
    return (bench_cpu_ns() - start) / CALLS;
}

static double locks(struct rt_mutex *m)
{
    double start = bench_cpu_ns();

    for (unsigned i = 0; i < CALLS; i++) {
        rt_mutex_lock(m);
        rt_mutex_unlock(m);
    }
    return (bench_cpu_ns() - start) / CALLS;
}

static double raw_locks(pthread_mutex_t *m)
{
    double start = bench_cpu_ns();

    for (unsigned i = 0; i < CALLS; i++) {
        pthread_mutex_lock(m);
        pthread_mutex_unlock(m);
    }
    return (bench_cpu_ns() - start) / CALLS;
}

static void nothing(void *arg)
{
    (void)arg;
}

static double starts(void)
{
    double start = bench_cpu_ns();

    for (unsigned i = 0; i < SWITCHES / 10; i++) {
        struct rt_thread *t;

        if (rt_thread_start("short", nothing, NULL, &t) != 0)
            bench_die("no memory");
        rt_thread_join(t);
    }
    return (bench_cpu_ns() - start) / (SWITCHES / 10);
}

static void say(const char *what, double *ns)
{
    printf("%-52s %7.1f ns\n", what, bench_median(ns, PASSES));
}

int main(void)
{
    static unsigned char stack[65536] __attribute__((aligned(16)));
    enum { FIBERS, CONTEXTS, SETTLE, POINT, LOCK, START, REAL_POINT, REAL_LOCK, RAW_LOCK, RATIO, FIGURES };
    static double ns[FIGURES][PASSES];
    pthread_mutex_t raw = PTHREAD_MUTEX_INITIALIZER;
    struct rt_thread *other;
    struct rt_mutex *m;
    struct rt_sim *s;

    if (rt_sim_create(&(struct rt_sim_config){0}, &s) != 0 || rt_mutex_create(&m) != 0)
        bench_die("no memory");
    getcontext(&there);
    there.uc_stack.ss_sp = stack;
    there.uc_stack.ss_size = sizeof(stack);
    makecontext(&there, turn_context, 0);
    for (int p = 0; p < PASSES; p++) {
        rt_sim_enter(s);
        stop = false;
        if (rt_thread_start("other", turn, NULL, &other) != 0)
            bench_die("no memory");
        fibers();
        ns[FIBERS][p] = fibers();
        stop = true;
        rt_thread_join(other);
        contexts();
        ns[CONTEXTS][p] = contexts();
        ns[RATIO][p] = ns[FIBERS][p] / ns[CONTEXTS][p];
        ns[SETTLE][p] = settling(s);
        ns[POINT][p] = points();
        ns[LOCK][p] = locks(m);
        ns[START][p] = starts();
        rt_sim_leave(s);
        ns[REAL_POINT][p] = points();
        ns[REAL_LOCK][p] = locks(m);
        ns[RAW_LOCK][p] = raw_locks(&raw);
    }
    say("a switch of fibers, by rt_yield()", ns[FIBERS]);
    say("a switch by swapcontext()", ns[CONTEXTS]);
    printf("%-52s %7.2f\n", "ratio", bench_median(ns[RATIO], PASSES));
    say("rt_sim_settle() with nothing to do", ns[SETTLE]);
    say("rt_point() in a world", ns[POINT]);
    say("rt_point() outside", ns[REAL_POINT]);
    say("lock and unlock in a world", ns[LOCK]);
    say("lock and unlock outside", ns[REAL_LOCK]);
    say("pthread_mutex_lock(), _unlock()", ns[RAW_LOCK]);
    say("a fiber started and joined", ns[START]);
    rt_mutex_destroy(m);
    rt_sim_destroy(s);
    return 0;
}
