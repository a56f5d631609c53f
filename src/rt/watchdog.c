/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watchdog: an OS thread that looks whether a world still moves.
 *
 * It looks four times in the time that config.watchdog_ns allows. A world moves when a fiber was switched to
 * or its clock stands elsewhere; nobody in the world is no standstill. Once four looks in a row found nothing
 * new, it calls config.stuck on its own thread, and if that returns starts anew. It takes part in nothing
 * simulated: it has pthreads' locks, the real clock, and all signals blocked, which so go to the program's
 * own threads.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "rt/sim.h"

#define NS_PER_SEC 1000000000u
#define LOOKS      4

struct rt_watchdog {
    pthread_t thread;
    pthread_mutex_t lock; /* stop */
    pthread_cond_t changed;
    bool stop;
};

/* Sleeps so long; false: it is over. */
static bool sleep_for(struct rt_watchdog *w, uint64_t ns)
{
    struct timespec t;
    bool on;

    clock_gettime(CLOCK_MONOTONIC, &t);
    ns += (uint64_t)t.tv_nsec;
    t.tv_sec += (time_t)(ns / NS_PER_SEC);
    t.tv_nsec = (long)(ns % NS_PER_SEC);
    pthread_mutex_lock(&w->lock);
    while (!w->stop && pthread_cond_timedwait(&w->changed, &w->lock, &t) == 0)
        ;
    on = !w->stop;
    pthread_mutex_unlock(&w->lock);
    return on;
}

static void *watch(void *arg)
{
    struct rt_sim *s = arg;
    uint64_t beats = 0, now = 0;

    for (unsigned still = 0; sleep_for(s->watchdog, s->config.watchdog_ns / LOOKS);) {
        uint64_t beats_before = beats, now_before = now;
        struct rt_fiber *f = atomic_load(&s->running);

        beats = atomic_load(&s->beats);
        now = atomic_load(&s->clock.now);
        if (!atomic_load(&s->inside) || beats != beats_before || now != now_before) {
            still = 0;
        } else if (++still == LOOKS) {
            still = 0;
            s->config.stuck(s->config.ctx, f->thread.name, rt_sim_context_of(f));
        }
    }
    return NULL;
}

int rt_watchdog_start(struct rt_sim *s)
{
    struct rt_watchdog *w;
    pthread_condattr_t attr;
    sigset_t all, before;
    int rc;

    if (s->config.watchdog_ns == 0 || s->config.stuck == NULL)
        return 0;
    w = calloc(1, sizeof(*w));
    if (w == NULL)
        return -ENOMEM;
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->changed, &attr);
    pthread_condattr_destroy(&attr);
    s->watchdog = w;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&w->thread, NULL, watch, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == 0) {
        pthread_setname_np(w->thread, "weir-watchdog");
        return 0;
    }
    s->watchdog = NULL;
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    free(w);
    return -rc;
}

void rt_watchdog_stop(struct rt_sim *s)
{
    struct rt_watchdog *w = s->watchdog;

    if (w == NULL)
        return;
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    free(w);
    s->watchdog = NULL;
}
