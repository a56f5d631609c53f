/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fibers: their memory, their first and last step, and the switch from one to another.
 *
 * Fiber records and stacks (stacks.c) are kept for the next fiber. A fiber cannot give back the stack it runs on: it ends by switching
 * away, and whoever runs next gives it back (world->reap).
 *
 * A switch, in order: context and carried of the one that leaves go out of rt_here, the other's come in; ASan
 * hears of the new stack, TSan of the new thread; the stacks change; the one that arrives tells ASan that it
 * is there, and reaps. errno is each fiber's own. A signal's handler that comes in between sees a world in which nobody
 * runs: if it wants to know who does, it is put off until somebody has arrived (rt_after_switch()).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rt/sim.h"

/* ---- the switch ---------------------------------------------------------------------------------------- */

static void reap(struct rt_sim *s)
{
    struct rt_fiber *f = s->reap;

    if (f == NULL)
        return;
    s->reap = NULL;
    rt_stack_put(s, f->stack);
    f->stack.low = NULL;
    if (s->sanitizers.tsan_switch != NULL)
        s->sanitizers.tsan_destroy(f->tsan);
}

/* Somebody goes around, and is on my stack. Afterwards it is as if I had not run. */
static __attribute__((noinline)) void visited(struct rt_fiber *me)
{
    struct rt_sim *s = me->world;
    struct rt_visit *v = s->visit;

    v->fn(v->ctx, me->thread.name, rt_fiber_waits_for(me), rt_sim_context_of(me));
    if (s->sanitizers.start_switch != NULL)
        s->sanitizers.start_switch(&me->fake_stack, v->stack.low, v->stack.size);
    if (s->sanitizers.tsan_switch != NULL)
        s->sanitizers.tsan_switch(v->tsan, 0);
    rt_place_switch(&me->place, &v->back);
    if (s->sanitizers.start_switch != NULL) { /* now I do run */
        const void *low;
        size_t size;

        s->sanitizers.finish_switch(me->fake_stack, &low, &size);
    }
}

void rt_sim_visit(struct rt_sim *s,
                  void (*fn)(void *ctx, const char *name, const char *waits_for, struct rt_context *c),
                  void *ctx)
{
    struct rt_fiber *running = atomic_load(&s->running);
    struct rt_visit v = {.fn = fn, .ctx = ctx, .stack = running->stack, .tsan = running->tsan};
    void *fake = NULL;

    s->visit = &v;
    for (struct rt_fiber *f = &s->first; f != NULL; f = f == &s->first ? s->fibers : f->next) {
        if (f == running || atomic_load(&f->state) == RT_ENDED || (f != &s->first && !f->begun))
            continue;
        if (s->sanitizers.start_switch != NULL)
            s->sanitizers.start_switch(&fake, f->stack.low, f->stack.size);
        if (s->sanitizers.tsan_switch != NULL)
            s->sanitizers.tsan_switch(f->tsan, 0);
        rt_place_switch(&v.back, &f->place);
        if (s->sanitizers.start_switch != NULL) {
            const void *low;
            size_t size;

            s->sanitizers.finish_switch(fake, &low, &size);
        }
    }
    s->visit = NULL;
}

/* A signal came while nobody ran. */
static __attribute__((noinline)) void heard(void)
{
    void (*fn)(void) = rt_here.arrived;

    rt_here.arrived = NULL;
    fn();
}

/* `me` runs, on its own stack, after a switch. `from` was left: where it is the first fiber, this is how one
 * learns what its stack is. */
static void arrive(struct rt_fiber *me, struct rt_fiber *from)
{
    struct rt_sim *s = me->world;

    if (s->sanitizers.start_switch != NULL) {
        const void *low;
        size_t size;

        s->sanitizers.finish_switch(me->fake_stack, &low, &size);
        if (from == &s->first && s->visit == NULL)
            from->stack = (struct rt_stack){(unsigned char *)low, size};
    }
    if (__builtin_expect(s->visit != NULL, 0))
        visited(me);
    reap(s);
    rt_here.switching = false;
    if (__builtin_expect(rt_here.arrived != NULL, 0))
        heard();
}

void rt_fiber_switch(struct rt_fiber *me, struct rt_fiber *to)
{
    struct rt_sim *s = me->world;
    struct rt_here *here = &rt_here;
    bool ended = atomic_load_explicit(&me->state, memory_order_relaxed) == RT_ENDED;
    int kept = errno;

    here->switching = true;
    atomic_signal_fence(memory_order_seq_cst);
    atomic_store_explicit(&me->context, atomic_load_explicit(&here->current, memory_order_relaxed),
                          memory_order_relaxed);
    me->carried = here->carried;
    atomic_store_explicit(&here->current, atomic_load_explicit(&to->context, memory_order_relaxed),
                          memory_order_relaxed);
    here->carried = to->carried;
    here->fiber = to;
    atomic_store_explicit(&s->running, to, memory_order_release); /* with its name, for the watchdog */
    atomic_store_explicit(&s->beats, atomic_load_explicit(&s->beats, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    atomic_store_explicit(&to->turns, atomic_load_explicit(&to->turns, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    s->left = me;
    if (s->sanitizers.start_switch != NULL)
        s->sanitizers.start_switch(ended ? NULL : &me->fake_stack, to->stack.low, to->stack.size);
    if (s->sanitizers.tsan_switch != NULL)
        s->sanitizers.tsan_switch(to->tsan, 0);
    rt_place_switch(&me->place, &to->place);
    arrive(me, s->left);
    errno = kept;
}

/* ---- a fiber's life ------------------------------------------------------------------------------------ */

static void list_remove(struct rt_sim *s, struct rt_fiber *f)
{
    pthread_mutex_lock(&s->list_lock);
    if (f->prev != NULL)
        f->prev->next = f->next;
    else
        s->fibers = f->next;
    if (f->next != NULL)
        f->next->prev = f->prev;
    else
        s->last = f->prev;
    pthread_mutex_unlock(&s->list_lock);
}

static void list_add(struct rt_sim *s, struct rt_fiber *f)
{
    pthread_mutex_lock(&s->list_lock);
    f->next = NULL;
    f->prev = s->last;
    if (s->last != NULL)
        s->last->next = f;
    else
        s->fibers = f;
    s->last = f;
    pthread_mutex_unlock(&s->list_lock);
}

static void fiber_main(void *arg)
{
    struct rt_fiber *me = arg;
    struct rt_sim *s = me->world;

    arrive(me, s->left);
    me->begun = true;
    me->thread.fn(me->thread.arg);
    atomic_store_explicit(&me->state, RT_ENDED, memory_order_relaxed);
    s->live--;
    s->reap = me;
    if (me->joiner != NULL)
        rt_sim_make_ready(me->joiner, RT_SIGNALLED);
    rt_sim_run_others(me);
    __builtin_unreachable(); /* nobody switches to a fiber that has ended */
}

int rt_fiber_create(struct rt_sim *s, const char *name, void (*fn)(void *arg), void *arg,
                    struct rt_fiber **out)
{
    struct rt_fiber *f = s->spare_fibers;
    int rc = rt_sim_reserve(s);

    if (rc != 0)
        return rc;
    if (f != NULL)
        s->spare_fibers = f->next;
    else if ((f = malloc(sizeof(*f))) == NULL)
        return -ENOMEM;
    memset(f, 0, sizeof(*f));
    rc = rt_stack_get(s, &f->stack);
    if (rc != 0) {
        f->next = s->spare_fibers;
        s->spare_fibers = f;
        return rc;
    }
    f->world = s;
    f->timer = RT_NO_TIMER;
    f->thread.fiber = f;
    f->thread.fn = fn;
    f->thread.arg = arg;
    strncpy(f->thread.name, name, sizeof(f->thread.name) - 1);
    atomic_init(&f->context, rt_current());
    atomic_init(&f->state, RT_READY);
    if (s->sanitizers.tsan_switch != NULL)
        f->tsan = s->sanitizers.tsan_create(0);
    rt_place_make(&f->place, f->stack.low, f->stack.size, fiber_main, f);
    s->live++;
    list_add(s, f);
    *out = f;
    return 0;
}

void rt_fiber_free(struct rt_fiber *f)
{
    struct rt_sim *s = f->world;

    list_remove(s, f);
    f->next = s->spare_fibers;
    s->spare_fibers = f;
}

void rt_fibers_destroy(struct rt_sim *s)
{
    reap(s);
    for (struct rt_fiber *f = s->fibers, *after; f != NULL; f = after) {
        after = f->next;
        if (f->stack.low != NULL) { /* never ended */
            if (s->sanitizers.tsan_switch != NULL)
                s->sanitizers.tsan_destroy(f->tsan);
            rt_stack_put(s, f->stack);
        }
        free(f);
    }
    while (s->spare_fibers != NULL) {
        struct rt_fiber *f = s->spare_fibers;

        s->spare_fibers = f->next;
        free(f);
    }
    rt_stacks_end(s);
}
