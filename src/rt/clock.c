/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clocks. The real one reads the host's; a manual one stands still until it is told to move, and then wakes
 * the waits of the conditions that run by it (cond.c).
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

static struct rt_clock real_clock = {.manual = false}; /* has no state: never written */

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
    c->manual = true;
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
    }
    pthread_mutex_unlock(&c->lock);
}

void rt_clock_manual_await(struct rt_clock *c, unsigned waits)
{
    pthread_mutex_lock(&c->lock);
    while (c->waiting < waits)
        pthread_cond_wait(&c->waiting_changed, &c->lock);
    pthread_mutex_unlock(&c->lock);
}

uint64_t rt_clock_now(struct rt_clock *c)
{
    return c->manual ? atomic_load(&c->now) : host_ns(CLOCK_MONOTONIC);
}

uint64_t rt_clock_filetime(struct rt_clock *c)
{
    return FILETIME_OF_UNIX + (c->manual ? atomic_load(&c->now) : host_ns(CLOCK_REALTIME)) / 100;
}
