/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clocks. The real one reads the host's; a manual one stands still until it is told to move, and then wakes
 * the waits of the conditions that run by it (cond.c). A world's is moved by the world (sim_run.c), and
 * whoever is in a world and asks the real clock is told the world's time: nothing simulated can see the
 * host's.
 *
 * A manual clock knows its conditions, so that advancing can reach them. Order: the user's mutex,
 * clock->lock, cond->lock. `now` is written before a condition is woken under its own lock, and a wait reads
 * it under that lock: no wake is lost.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "rt/internal.h"

#define NS_PER_SEC       1000000000u
#define FILETIME_OF_UNIX 116444736000000000u /* 100 ns units from 1601 to 1970 */

static struct rt_clock real_clock = {.kind = RT_CLOCK_REAL}; /* has no state: never written */

static uint64_t host_ns(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * NS_PER_SEC + (uint64_t)t.tv_nsec;
}

struct rt_clock *rt_clock_real(void)
{
    return &real_clock;
}

int rt_clock_manual_create(uint64_t start_ns, struct rt_clock **out)
{
    struct rt_clock *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return -ENOMEM;
    c->kind = RT_CLOCK_MANUAL;
    atomic_init(&c->now, start_ns);
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->waiting_changed, NULL);
    *out = c;
    return 0;
}

void rt_clock_manual_destroy(struct rt_clock *c)
{
    if (c == NULL)
        return;
    pthread_cond_destroy(&c->waiting_changed);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

void rt_clock_manual_advance(struct rt_clock *c, uint64_t ns)
{
    pthread_mutex_lock(&c->lock);
    atomic_fetch_add(&c->now, ns);
    for (struct rt_cond *k = c->conds; k != NULL; k = k->next) {
        pthread_mutex_lock(&k->lock);
        pthread_cond_broadcast(&k->cv);
        pthread_mutex_unlock(&k->lock);
        rt_sim_broadcast(k);
    }
    pthread_mutex_unlock(&c->lock);
}

void rt_clock_count_wait(struct rt_clock *clock, int change)
{
    pthread_mutex_lock(&clock->lock);
    clock->waiting += (unsigned)change;
    pthread_cond_broadcast(&clock->waiting_changed);
    pthread_mutex_unlock(&clock->lock);
}

void rt_clock_manual_await(struct rt_clock *c, unsigned waits)
{
    while (rt_here.fiber != NULL && c->waiting < waits)
        rt_yield();
    pthread_mutex_lock(&c->lock);
    while (c->waiting < waits)
        pthread_cond_wait(&c->waiting_changed, &c->lock);
    pthread_mutex_unlock(&c->lock);
}

uint64_t rt_clock_now(struct rt_clock *c)
{
    if (c->kind == RT_CLOCK_REAL) {
        if (rt_here.fiber == NULL)
            return host_ns(CLOCK_MONOTONIC);
        c = rt_sim_clock_of(rt_here.fiber);
    }
    return atomic_load(&c->now);
}

uint64_t rt_clock_filetime(struct rt_clock *c)
{
    bool host = c->kind == RT_CLOCK_REAL && rt_here.fiber == NULL;

    return FILETIME_OF_UNIX + (host ? host_ns(CLOCK_REALTIME) : rt_clock_now(c)) / 100;
}
