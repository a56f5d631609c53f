/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What does not come back: a driver's function that spins, waits that nobody can end, a test that asks again and again
 * while time stands still. The process ends with a message, every thread's stack and how to run it again.
 *
 *   a world's watchdog: somebody spins, or nothing moves --> embed_hang_stuck() --signal--> the engine's OS thread
 *   real time: watch(), the same by e->beats -----------------------------------------------^       |
 *                                 the same as last time, in a driver or asking?  no: go on  <--------+--> yes: the end
 *   a world in which nobody can ever run again --> embed_hang_stuck(), on its own thread --> the end
 *   embed_hang(): somebody's patience is over --> the end
 *
 * The watchdog's patience is three quarters of hang_ns, and it has to find the same twice in a row: the end comes after
 * one and a half to twice hang_ns, and a look at a bad moment is not the end.
 *
 * Real time that the test itself takes (it waits for a program that it started, it stands in a debugger) is not ours:
 * where no driver's function is on the stack and no call of weir.h was made meanwhile, nothing is said. A process
 * that is traced is never ended.
 *
 * A driver that faults ends the process as well (loader_crash_arm()): on Windows it stops the machine. Test frameworks
 * set handlers of their own for each test, which say less, so each call of weir.h looks whether ours stand.
 *
 * File-scope state: who is asked by the signal, as signals are the process's. One is asked at a time.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "embed/internal.h"

#define HANG_NS  (20 * WEIR_SECOND)
#define LOOKS    4u
#define MANY     1000u /* calls without time going by, between two reports */
#define GRACE_NS (10 * WEIR_SECOND)

struct embed_hang {
    pid_t thread; /* the engine's own */
    struct report {
        uint64_t time_ns, beats; /* real time; e->beats */
        char fiber[48];          /* who was found; "": nobody said */
        bool in_driver;
    } last;
    pthread_t watch; /* real time */
    bool watching, stop;
    pthread_mutex_t lock; /* stop */
    pthread_cond_t changed;
};

static struct {
    atomic_flag busy;
    _Atomic(struct embed *) engine;
    atomic_bool answered;
    char fiber[48]; /* who was found; "": whoever runs */
    struct rt_context *context;
} probe = {.busy = ATOMIC_FLAG_INIT};

static int probe_signal(void)
{
    return SIGRTMIN + 7;
}

uint64_t embed_hang_ns(const struct embed *e)
{
    return e->config.hang_ns != 0 ? e->config.hang_ns : HANG_NS;
}

/* ---- the end ------------------------------------------------------------------------------------------- */

/* fiber, own: of the calling thread; NULL: the test's. c: who is to blame. */
static _Noreturn void end(struct embed *e, const char *fiber, const struct rt_context *own,
                          const struct rt_context *c, const char *what)
{
    struct nt_driver *d = c != NULL ? c->driver : NULL;
    char text[512], again[512];

    embed_how_again(e, again, sizeof again);
    snprintf(text, sizeof text, "weir: %s%s%s%s", d != NULL ? nt_driver_name(d) : "", d != NULL ? ": " : "",
             what, "\nthreads:");
    loader_stacks_collect(e->sim, fiber != NULL ? fiber : "the test's own thread", own, NULL);
    loader_crash_hang(text, again);
}

/* Whoever runs. */
static const char *running_fiber(struct embed *e)
{
    const char *name = rt_fiber_name();

    return name != NULL && rt_self() != e->thread ? name : NULL;
}

void embed_hang(struct embed *e, const char *what)
{
    char text[256];

    snprintf(text, sizeof text, "%s does not come back: it waits for what does not come", what);
    end(e, running_fiber(e), rt_current(), rt_current(), text);
}

/* ---- asking the thread --------------------------------------------------------------------------------- */

static uint64_t real_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * WEIR_SECOND + (uint64_t)t.tv_nsec;
}

static bool has_driver(const struct rt_context *c)
{
    return c != NULL && c->driver != NULL;
}

/* On the engine's thread, wherever it is but between two fibers. */
static void probed(void)
{
    struct embed *e = atomic_load(&probe.engine);
    const struct rt_context *own = rt_current(), *c = own;
    const struct report *last;
    struct report now;
    bool again, others;
    char text[256];

    if (e == NULL)
        return;
    last = &e->hang->last;
    now = (struct report){.time_ns = real_ns(), .beats = atomic_load(&e->beats)};
    snprintf(now.fiber, sizeof now.fiber, "%s", probe.fiber);
    others = now.fiber[0] != '\0' && strcmp(now.fiber, "main") != 0;
    if (has_driver(probe.context) && (others || !has_driver(own)))
        c = probe.context; /* it spins, though another may run at this moment */
    now.in_driver = has_driver(c) || rt_carried()->in_classify != 0;
    again = last->time_ns != 0 && now.time_ns - last->time_ns < 2 * embed_hang_ns(e) &&
            strcmp(now.fiber, last->fiber) == 0;
    if (again && now.in_driver && last->in_driver && (others || now.beats == last->beats)) {
        snprintf(text, sizeof text,
                 "it does not come back: %llu s of real time, and it neither waits nor returns%s%s",
                 (unsigned long long)(embed_hang_ns(e) / WEIR_SECOND), others ? "; thread " : "",
                 others ? now.fiber : "");
        end(e, running_fiber(e), own, c, text);
    }
    if (e->sim != NULL && again && now.beats - last->beats > MANY)
        end(e, running_fiber(e), own, c,
            "the test asks again and again, and time stands still: weir_run(), weir_wait() and weir_settle() "
            "let it go "
            "by");
    e->hang->last = now;
    atomic_store(&probe.answered, true);
}

static void on_probe(int signal)
{
    (void)signal;
    if (!rt_after_switch(probed))
        probed();
}

/* A debugger may take its time. */
static bool is_traced(void)
{
    FILE *f = fopen("/proc/self/status", "re");
    char line[256];
    bool traced = false;

    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, "TracerPid:", 10) == 0)
            traced = atoi(line + 10) != 0;
    if (f != NULL)
        fclose(f);
    return traced;
}

static void ask(struct embed *e, const char *fiber, struct rt_context *context)
{
    const struct timespec moment = {.tv_nsec = 10000000};
    uint64_t waited = 0;

    if (is_traced() || atomic_flag_test_and_set(&probe.busy))
        return;
    atomic_store(&probe.answered, false);
    snprintf(probe.fiber, sizeof probe.fiber, "%s", fiber);
    probe.context = context;
    atomic_store(&probe.engine, e);
    if (syscall(SYS_tgkill, getpid(), e->hang->thread, probe_signal()) == 0)
        for (; !atomic_load(&probe.answered) && waited < GRACE_NS; waited += 10 * WEIR_MILLISECOND)
            nanosleep(&moment, NULL);
    atomic_store(&probe.engine, NULL);
    atomic_flag_clear(&probe.busy);
}

void embed_hang_stuck(void *ctx, const char *fiber, struct rt_context *context)
{
    struct embed *e = ctx;

    if ((pid_t)syscall(SYS_gettid) == e->hang->thread)
        end(e, running_fiber(e), rt_current(), context,
            "nobody can ever go on: everybody waits, and no time ends a wait");
    ask(e, fiber, context);
}

/* ---- real time ----------------------------------------------------------------------------------------- */

static bool sleep_for(struct embed_hang *h, uint64_t ns)
{
    struct timespec t;
    bool on;

    clock_gettime(CLOCK_MONOTONIC, &t);
    ns += (uint64_t)t.tv_nsec;
    t.tv_sec += (time_t)(ns / WEIR_SECOND);
    t.tv_nsec = (long)(ns % WEIR_SECOND);
    pthread_mutex_lock(&h->lock);
    while (!h->stop && pthread_cond_timedwait(&h->changed, &h->lock, &t) == 0)
        ;
    on = !h->stop;
    pthread_mutex_unlock(&h->lock);
    return on;
}

static void *watch(void *arg)
{
    struct embed *e = arg;
    uint64_t before = e->beats;

    for (unsigned still = 0; sleep_for(e->hang, embed_hang_ns(e) / 4 * 3 / LOOKS);) {
        const uint64_t now = atomic_load(&e->beats);

        still = now == before ? still + 1 : 0;
        before = now;
        if (still >= LOOKS) {
            still = 0;
            ask(e, "", NULL);
        }
    }
    return NULL;
}

static int start_watch(struct embed *e)
{
    struct embed_hang *h = e->hang;
    pthread_condattr_t attr;
    sigset_t all, before;
    int err;

    pthread_mutex_init(&h->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&h->changed, &attr);
    pthread_condattr_destroy(&attr);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pthread_create(&h->watch, NULL, watch, e);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    h->watching = err == 0;
    return -err;
}

/* ---- faults -------------------------------------------------------------------------------------------- */

static void say_again(void *ctx)
{
    char again[512];

    if (ctx == NULL) /* that engine has ended */
        return;
    embed_how_again(ctx, again, sizeof again);
    fprintf(stderr, "%s\n", again);
}

void embed_hang_arm(struct embed *e)
{
    loader_crash_arm(say_again, e);
}

/* ---- life ---------------------------------------------------------------------------------------------- */

int embed_hang_create(struct embed *e)
{
    struct sigaction action = {.sa_handler = on_probe, .sa_flags = SA_RESTART};

    e->hang = calloc(1, sizeof *e->hang);
    if (e->hang == NULL)
        return -ENOMEM;
    e->hang->thread = (pid_t)syscall(SYS_gettid);
    loader_stacks_prepare();
    sigaction(probe_signal(), &action, NULL);
    return e->config.real_time ? start_watch(e) : 0;
}

void embed_hang_destroy(struct embed *e)
{
    struct embed_hang *h = e->hang;

    if (h == NULL)
        return;
    loader_crash_disarm(e);
    if (h->watching) {
        pthread_mutex_lock(&h->lock);
        h->stop = true;
        pthread_cond_signal(&h->changed);
        pthread_mutex_unlock(&h->lock);
        pthread_join(h->watch, NULL);
    }
    if (e->config.real_time) {
        pthread_cond_destroy(&h->changed);
        pthread_mutex_destroy(&h->lock);
    }
    free(h);
    e->hang = NULL;
}
