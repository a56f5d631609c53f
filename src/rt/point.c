/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What code above calls on its way without waiting: scheduling points, yields, the time of whoever calls.
 * Each is one predictable branch in the real back end.
 */
#include <sched.h>

#include "rt/sim.h"

void rt_waits_for(const char *what)
{
    if (rt_here.fiber != NULL)
        atomic_store_explicit(&rt_here.fiber->waits, what, memory_order_relaxed);
}

const char *rt_fiber_name(void)
{
    return rt_here.fiber != NULL ? rt_here.fiber->thread.name : NULL;
}

bool rt_after_switch(void (*fn)(void))
{
    if (!rt_here.switching)
        return false;
    rt_here.arrived = fn;
    return true;
}

/* Numbers go on while engines come and go: what carries an older one belongs to none that is. */
uint64_t rt_number(void)
{
    static _Atomic uint64_t last;

    return atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
}

bool rt_points_over(void)
{
    struct rt_fiber *me = rt_here.fiber;

    if (me == NULL) {
        rt_points = 0;
        return false;
    }
    rt_sim_look_up(me);
    return true;
}

bool rt_point(void)
{
    return __builtin_expect(--rt_points > 0, 1) || rt_points_over();
}

void rt_yield(void)
{
    struct rt_fiber *me = rt_here.fiber;

    if (me == NULL) {
        sched_yield();
        return;
    }
    rt_sim_point(me); /* who only yields may spin */
    rt_sim_give_way(me);
}

struct rt_clock *rt_clock_of_thread(void)
{
    return rt_here.fiber == NULL ? rt_clock_real() : rt_sim_clock_of(rt_here.fiber);
}

#define QUERY_NS 100 /* what a time query takes of virtual time */

uint64_t rt_clock_query(struct rt_clock *c)
{
    struct rt_fiber *me = rt_here.fiber;
    struct rt_sim *s;

    if (me == NULL || c->kind == RT_CLOCK_MANUAL)
        return rt_clock_now(c);
    s = me->world;
    rt_sim_set_now(s, rt_sim_now(s) + QUERY_NS);
    /* A deadline was reached: as a clock's interrupt would, it lets in who waited for it. */
    if (s->timer_count != 0 && s->timers[0].deadline <= rt_sim_now(s))
        rt_sim_give_way(me);
    else
        rt_sim_point(me);
    return rt_sim_now(s);
}
