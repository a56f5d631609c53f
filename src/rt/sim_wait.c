/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated half of mutexes, conditions and threads: what rt_mutex_lock() and the others do inside a
 * world.
 *
 * A mutex is handed over: who unlocks it makes the one that waits longest (or the one that the seed draws)
 * its owner, who then is ready. So nobody overtakes, and a lock is never found taken again after a wait for
 * it.
 *
 * A wait by the world's clock, or by the real one, which inside a world reads as the world's, has its
 * deadline in the world's heap. One by a manual clock is ended by who advances that clock: it broadcasts, and
 * the wait looks.
 */
#include <errno.h>

#include "rt/sim.h"

static struct rt_fiber *nth(struct rt_fibers *q, uint64_t n)
{
    struct rt_fiber *f = q->first;

    while (n-- != 0)
        f = f->after;
    return f;
}

/* Slow ways are functions of their own: what is left of a lock that is free has no registers to save. */
static __attribute__((noinline)) void wait_for(struct rt_fiber *me, struct rt_mutex *m)
{
    rt_sim_queue(&m->waiting, me);
    if (rt_sim_block(me, RT_FOREVER, RT_WAIT_LOCK) == RT_DEADLOCKED) /* else it was handed over */
        m->owner = me;
}

static inline void take(struct rt_fiber *me, struct rt_mutex *m)
{
    if (__builtin_expect(m->owner != NULL, 0))
        wait_for(me, m);
    else
        m->owner = me;
}

static __attribute__((noinline)) void lock_at_point(struct rt_fiber *me, struct rt_mutex *m)
{
    rt_sim_point(me);
    take(me, m);
}

void rt_sim_lock(struct rt_fiber *me, struct rt_mutex *m)
{
    if (__builtin_expect(me->world->config.preempt != 0, 0))
        lock_at_point(me, m);
    else
        take(me, m);
}

static __attribute__((noinline)) void hand_over(struct rt_fiber *me, struct rt_mutex *m)
{
    struct rt_fiber *f = m->waiting.first;

    if (me->world->config.shuffle && f->after != NULL) {
        uint64_t count = 0;

        for (struct rt_fiber *g = f; g != NULL; g = g->after)
            count++;
        f = nth(&m->waiting, rt_sim_below(&me->world->order, count));
    }
    m->owner = f;
    rt_sim_make_ready(f, RT_SIGNALLED);
}

void rt_sim_unlock(struct rt_fiber *me, struct rt_mutex *m)
{
    if (__builtin_expect(m->waiting.first != NULL, 0))
        hand_over(me, m);
    else
        m->owner = NULL;
}

void rt_sim_broadcast(struct rt_cond *c)
{
    while (c->waiting.first != NULL)
        rt_sim_make_ready(c->waiting.first, RT_SIGNALLED);
}

static int wait_by_manual(struct rt_fiber *me, struct rt_cond *c, uint64_t deadline_ns)
{
    int result = -ETIMEDOUT;

    rt_clock_count_wait(c->clock, 1);
    for (uint64_t seen = c->generation; rt_clock_now(c->clock) < deadline_ns;) {
        rt_sim_queue(&c->waiting, me);
        if (rt_sim_block(me, RT_FOREVER, RT_WAIT_CONDITION) == RT_DEADLOCKED)
            result = -EDEADLK;
        else if (c->generation != seen)
            result = 0;
        else
            continue; /* its clock moved */
        break;
    }
    rt_clock_count_wait(c->clock, -1);
    return result;
}

static int wait_by_world(struct rt_fiber *me, struct rt_cond *c, uint64_t deadline_ns)
{
    if (deadline_ns <= rt_sim_now(me->world)) {
        rt_sim_give_way(me); /* who waits in a loop for nothing lets others in */
        rt_sim_point(me);
        return -ETIMEDOUT;
    }
    rt_sim_queue(&c->waiting, me);
    switch (rt_sim_block(me, deadline_ns, RT_WAIT_CONDITION)) {
    case RT_TIMED_OUT:
        return -ETIMEDOUT;
    case RT_DEADLOCKED:
        return -EDEADLK;
    default:
        return 0;
    }
}

int rt_sim_wait(struct rt_fiber *me, struct rt_cond *c, struct rt_mutex *m, uint64_t deadline_ns)
{
    int result;

    rt_sim_unlock(me, m);
    if (c->clock->kind == RT_CLOCK_MANUAL && deadline_ns != RT_FOREVER)
        result = wait_by_manual(me, c, deadline_ns);
    else
        result = wait_by_world(me, c, deadline_ns);
    take(me, m); /* no point before it: the wait was one */
    return result;
}

int rt_sim_start(struct rt_fiber *me, const char *name, void (*fn)(void *arg), void *arg,
                 struct rt_thread **out)
{
    struct rt_fiber *f;
    int rc = rt_fiber_create(me->world, name, fn, arg, &f);

    if (rc != 0)
        return rc;
    rt_sim_make_ready(f, RT_SIGNALLED);
    *out = &f->thread;
    return 0;
}

void rt_sim_join(struct rt_thread *t)
{
    struct rt_fiber *f = t->fiber, *me = rt_here.fiber;

    if (atomic_load_explicit(&f->state, memory_order_relaxed) != RT_ENDED) {
        if (me == NULL) /* nobody is in its world, so it cannot end: its memory goes with the world */
            return;
        f->joiner = me;
        if (rt_sim_block(me, RT_FOREVER, RT_WAIT_THREAD) == RT_DEADLOCKED) {
            f->joiner = NULL;
            return;
        }
    }
    rt_fiber_free(f);
}
