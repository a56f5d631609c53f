/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A simulated world, from its making to its end: who is in it, its clock, settling, who hangs where. sim.h
 * has the picture and the states.
 *
 * NOBODY IN IT --enter--> INSIDE --leave--> NOBODY IN IT ... --destroy--> gone. Fibers that have not ended
 * sleep while nobody is in it, and go on when the same OS thread enters again: they never move to another. So one
 * thread can have several worlds and go from one to the other; what it carries is each world's own.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rt/sim.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define INSTRUMENTED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define INSTRUMENTED 1
#endif
#endif

#ifdef INSTRUMENTED
#define STACK_BYTES (1024u * 1024u) /* its frames are several times as large */
#else
#define STACK_BYTES (256u * 1024u)
#endif
#define LEAST_STACK_BYTES 16384u

int rt_sim_create(const struct rt_sim_config *config, struct rt_sim **out)
{
    struct rt_sim *s = calloc(1, sizeof(*s));
    size_t size;
    int rc = -ENOMEM;

    *out = NULL;
    if (s == NULL)
        return -ENOMEM;
    s->config = *config;
    s->page = (size_t)sysconf(_SC_PAGESIZE);
    size = config->stack_bytes == 0 ? STACK_BYTES : config->stack_bytes;
    size = size < LEAST_STACK_BYTES ? LEAST_STACK_BYTES : size;
    s->config.stack_bytes = (uint32_t)((size + s->page - 1) / s->page * s->page);
    s->clock.kind = RT_CLOCK_WORLD;
    atomic_init(&s->clock.now, config->start_ns);
    rt_random_seed(&s->drawn, config->seed);
    rt_random_seed(&s->order, ~config->seed);
    s->points = config->preempt != 0 ? 1 : RT_POINTS_A_LOOK;
    s->look = RT_POINTS_A_LOOK;
    s->looked = UINT64_MAX;
    s->first.world = s;
    s->first.timer = RT_NO_TIMER;
    strcpy(s->first.thread.name, "main");
    atomic_init(&s->first.state, RT_RUNNING);
    atomic_init(&s->running, &s->first);
    pthread_mutex_init(&s->list_lock, NULL);
    rt_sanitizers_find(&s->sanitizers);
    s->spare_stacks = malloc(RT_SPARE_STACKS * sizeof(*s->spare_stacks));
    if (s->spare_stacks == NULL)
        goto out;
    rc = rt_sim_reserve(s);
    if (rc != 0)
        goto out;
    s->live = 1;
    rc = rt_watchdog_start(s);
    if (rc != 0)
        goto out;
    *out = s;
    return 0;
out:
    rt_sim_destroy(s);
    return rc;
}

void rt_sim_destroy(struct rt_sim *s)
{
    if (s == NULL)
        return;
    rt_watchdog_stop(s);
    rt_fibers_destroy(s);
    pthread_mutex_destroy(&s->list_lock);
    free(s->timers);
    free(s->ready);
    free(s);
}

int rt_sim_enter(struct rt_sim *s)
{
    if (rt_here.fiber != NULL || atomic_exchange(&s->inside, true))
        return -EBUSY;
    if (s->live > 1 && !pthread_equal(s->owner, pthread_self())) { /* its fibers belong to another */
        atomic_store(&s->inside, false);
        return -EBUSY;
    }
    s->owner = pthread_self();
    atomic_store(&s->current_of, &rt_here.current);
    atomic_fetch_add(&s->beats, 1);
    if (s->sanitizers.tsan_switch != NULL)
        s->first.tsan = s->sanitizers.tsan_current();
    s->outside = rt_here.carried;
    rt_here.carried = s->first.carried;
    rt_here.fiber = &s->first;
    rt_points = s->points;
    return 0;
}

void rt_sim_leave(struct rt_sim *s)
{
    if (rt_here.fiber != &s->first)
        return;
    s->first.carried = rt_here.carried;
    rt_here.carried = s->outside;
    rt_here.fiber = NULL;
    s->points = rt_points;
    rt_points = 0;
    atomic_store(&s->inside, false);
}

__attribute__((noinline)) bool rt_left(void)
{
    const uintptr_t at = (uintptr_t)__builtin_frame_address(0);
    const struct rt_fiber *me = rt_here.fiber;

    if (me != NULL && me != &me->world->first)
        return at - (uintptr_t)me->stack.low >= me->stack.size;
    return rt_here.carried.called != NULL && at > (uintptr_t)rt_here.carried.called; /* stacks grow down */
}

void rt_sim_abandon(struct rt_sim *s)
{
    const struct rt_fiber *me = rt_here.fiber;

    rt_watchdog_stop(s);
    if (me == NULL || me->world != s)
        return;
    if (me != &s->first && s->sanitizers.start_switch != NULL) { /* no switch: only that we are there */
        const void *low;
        size_t size;

        s->sanitizers.start_switch(NULL, s->first.stack.low, s->first.stack.size);
        s->sanitizers.finish_switch(s->first.fake_stack, &low, &size);
        if (s->sanitizers.unpoison != NULL) /* frames that were left; as ASan itself does at a longjmp() */
            s->sanitizers.unpoison(s->first.stack.low, s->first.stack.size);
    }
    if (me != &s->first && s->sanitizers.tsan_switch != NULL)
        s->sanitizers.tsan_switch(s->first.tsan, 0);
    rt_here.carried = s->outside;
    rt_here.fiber = NULL;
    rt_points = 0;
    atomic_store_explicit(&rt_here.current, NULL, memory_order_relaxed);
    atomic_store(&s->inside, false);
}

struct rt_sim *rt_sim_current(void)
{
    return rt_here.fiber == NULL ? NULL : rt_here.fiber->world;
}

struct rt_clock *rt_sim_clock(struct rt_sim *s)
{
    return &s->clock;
}

struct rt_clock *rt_sim_clock_of(struct rt_fiber *me)
{
    return &me->world->clock;
}

uint64_t rt_sim_next_deadline(const struct rt_sim *s)
{
    return s->timer_count == 0 ? UINT64_MAX : s->timers[0].deadline;
}

bool rt_sim_ready(const struct rt_sim *s)
{
    return s->ready_count != 0 || rt_sim_next_deadline(s) <= rt_sim_now(s);
}

void rt_sim_settle(struct rt_sim *s, uint64_t until_ns)
{
    uint64_t now = rt_sim_now(s);

    if (until_ns < now)
        until_ns = now;
    if (s->ready_count != 0 || (s->timer_count != 0 && s->timers[0].deadline <= until_ns)) {
        if (rt_here.fiber != &s->first)
            return;
        s->until = until_ns;
        rt_fiber_waited(&s->first);
        atomic_store_explicit(&s->first.state, RT_SETTLING, memory_order_relaxed);
        rt_sim_run_others(&s->first);
        if (rt_sim_now(s) > until_ns) /* queries move it, too */
            return;
    }
    if (until_ns != now)
        rt_fiber_waited(&s->first);
    rt_sim_set_now(s, until_ns);
}

bool rt_sim_pass(struct rt_sim *s, uint64_t until_ns)
{
    if (s->ready_count != 0 || (s->timer_count != 0 && s->timers[0].deadline <= until_ns) ||
        until_ns <= rt_sim_now(s))
        return false;
    rt_fiber_waited(&s->first);
    rt_sim_set_now(s, until_ns);
    return true;
}

const char *rt_fiber_waits_for(struct rt_fiber *f)
{
    static const char *const words[] = {
        [RT_NO_WAIT] = NULL,
        [RT_WAIT_CONDITION] = "a condition",
        [RT_WAIT_LOCK] = "a lock",
        [RT_WAIT_THREAD] = "the end of a thread",
        [RT_WAIT_SPIN] = "a change of memory (it spins)",
    };
    enum rt_wait wait = atomic_load(&f->wait);
    const char *said = atomic_load(&f->waits);

    return wait == RT_WAIT_CONDITION && said != NULL ? said : words[wait];
}

void rt_sim_fibers(struct rt_sim *s,
                   void (*fn)(void *ctx, const char *name, const char *waits_for, struct rt_context *c),
                   void *ctx)
{
    pthread_mutex_lock(&s->list_lock);
    for (struct rt_fiber *f = s->fibers; f != NULL; f = f->next)
        if (atomic_load(&f->state) != RT_ENDED)
            fn(ctx, f->thread.name, rt_fiber_waits_for(f), rt_sim_context_of(f));
    pthread_mutex_unlock(&s->list_lock);
}
