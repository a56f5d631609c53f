/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mutexes and conditions with deadlines by any clock.
 *
 * A condition has a lock of its own, so that a clock can wake its waiters without knowing the mutex they
 * gave up: the wait takes cond->lock before it releases the mutex, and a broadcast under cond->lock moves
 * `generation`. Whoever changes the state under the mutex and broadcasts afterwards therefore cannot be
 * missed.
 *
 * This is the real half. Inside a world all of it is sim_wait.c's, which uses the other members of the same
 * objects: they are made outside or inside, and used by threads or by the fibers of one world.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "rt/internal.h"

#define NS_PER_SEC 1000000000u

int rt_mutex_create(struct rt_mutex **out)
{
    struct rt_mutex *m = calloc(1, sizeof(*m));

    if (m == NULL)
        return -ENOMEM;
    pthread_mutex_init(&m->m, NULL);
    *out = m;
    return 0;
}

void rt_mutex_destroy(struct rt_mutex *m)
{
    if (m == NULL)
        return;
    pthread_mutex_destroy(&m->m);
    free(m);
}

void rt_mutex_lock(struct rt_mutex *m)
{
    if (rt_here.fiber != NULL)
        rt_sim_lock(rt_here.fiber, m);
    else
        pthread_mutex_lock(&m->m);
}

void rt_mutex_unlock(struct rt_mutex *m)
{
    if (rt_here.fiber != NULL)
        rt_sim_unlock(rt_here.fiber, m);
    else
        pthread_mutex_unlock(&m->m);
}

bool rt_mutex_wanted(const struct rt_mutex *m)
{
    return m->waiting.first != NULL;
}

int rt_cond_create(struct rt_clock *clock, struct rt_cond **out)
{
    struct rt_cond *c = calloc(1, sizeof(*c));
    pthread_condattr_t attr;

    if (c == NULL)
        return -ENOMEM;
    c->clock = clock;
    pthread_mutex_init(&c->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&c->cv, &attr);
    pthread_condattr_destroy(&attr);
    if (clock->kind == RT_CLOCK_MANUAL) {
        pthread_mutex_lock(&clock->lock);
        c->next = clock->conds;
        clock->conds = c;
        pthread_mutex_unlock(&clock->lock);
    }
    *out = c;
    return 0;
}

void rt_cond_destroy(struct rt_cond *c)
{
    if (c == NULL)
        return;
    if (c->clock->kind == RT_CLOCK_MANUAL) {
        pthread_mutex_lock(&c->clock->lock);
        for (struct rt_cond **at = &c->clock->conds; *at != NULL; at = &(*at)->next) {
            if (*at == c) {
                *at = c->next;
                break;
            }
        }
        pthread_mutex_unlock(&c->clock->lock);
    }
    pthread_cond_destroy(&c->cv);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

int rt_cond_wait(struct rt_cond *c, struct rt_mutex *m, uint64_t deadline_ns)
{
    bool manual = c->clock->kind == RT_CLOCK_MANUAL, counted = manual && deadline_ns != RT_FOREVER;
    int result = 0;

    if (rt_here.fiber != NULL)
        return rt_sim_wait(rt_here.fiber, c, m, deadline_ns);
    if (counted)
        rt_clock_count_wait(c->clock, 1);
    pthread_mutex_lock(&c->lock);
    pthread_mutex_unlock(&m->m);
    for (uint64_t seen = c->generation; c->generation == seen;) {
        if (deadline_ns == RT_FOREVER) {
            pthread_cond_wait(&c->cv, &c->lock);
            continue;
        }
        if (rt_clock_now(c->clock) >= deadline_ns || c->clock->kind == RT_CLOCK_WORLD) {
            result = -ETIMEDOUT; /* a world's clock stands still for who is outside: it would never come */
            break;
        }
        if (manual) {
            pthread_cond_wait(&c->cv, &c->lock);
        } else {
            struct timespec t = {.tv_sec = (time_t)(deadline_ns / NS_PER_SEC),
                                 .tv_nsec = (long)(deadline_ns % NS_PER_SEC)};

            pthread_cond_timedwait(&c->cv, &c->lock, &t);
        }
    }
    pthread_mutex_unlock(&c->lock);
    if (counted)
        rt_clock_count_wait(c->clock, -1);
    pthread_mutex_lock(&m->m);
    return result;
}

void rt_cond_broadcast(struct rt_cond *c)
{
    if (rt_here.fiber == NULL) {
        pthread_mutex_lock(&c->lock);
        c->generation++;
        pthread_cond_broadcast(&c->cv);
        pthread_mutex_unlock(&c->lock);
    } else {
        c->generation++;
    }
    rt_sim_broadcast(c);
}
