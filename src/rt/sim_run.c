/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who runs next in a world, and what time it is then.
 *
 * next() is the whole rule: a ready fiber, the one that waits longest or one that the seed draws; if there is
 * none, time moves to the next deadline; if that lies beyond what the first fiber allows, the first fiber's
 * settling is over; if there is no deadline and the first fiber waits, nobody can ever run again: deadlock.
 *
 * A deadlock is told to config.stuck, here, on the world's own thread. If that returns (or is NULL), the
 * first fiber's wait for a condition ends with -EDEADLK; where it is in none, that of the oldest fiber that
 * is in one. If nobody waits for a condition, somebody gets a lock that another holds, or returns from a join
 * too early: it was told, and what comes of it is for who was told and went on.
 *
 * Spinning: a fiber that passes points for ever waits for something, only that it does not say so. rt_point()
 * counts down a number of the world's; at zero it looks up. If time has moved since the last look, others get
 * their turn and that is all. If not, somebody spins: the fiber sleeps, 100 us of virtual time, twice that
 * the next time in a row, up to 12.8 ms; so others run and deadlines come. Code that never reaches a point is
 * the watchdog's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rt/sim.h"

#define SPIN_NS     100000u
#define SPIN_SHIFTS 7u

/* A number below n, all alike to one part in 2^64 / n. */
uint64_t rt_sim_below(struct rt_random *r, uint64_t n)
{
    return (uint64_t)(((unsigned __int128)rt_random_next(r) * n) >> 64);
}

/* ---- the queues ---------------------------------------------------------------------------------------- */

int rt_sim_reserve(struct rt_sim *s)
{
    size_t capacity = s->capacity == 0 ? 16 : s->capacity * 2;
    struct rt_fiber **ready;
    struct rt_timer *timers;

    if (s->live + 1 < s->capacity)
        return 0;
    ready = malloc(capacity * sizeof(struct rt_fiber *));
    timers = malloc(capacity * sizeof(struct rt_timer));
    if (ready == NULL || timers == NULL) {
        free(ready);
        free(timers);
        return -ENOMEM;
    }
    for (size_t i = 0; i < s->ready_count; i++)
        ready[i] = s->ready[(s->ready_at + i) & (s->capacity - 1)];
    if (s->timer_count != 0)
        memcpy(timers, s->timers, s->timer_count * sizeof(struct rt_timer));
    free(s->ready);
    free(s->timers);
    s->ready = ready;
    s->ready_at = 0;
    s->timers = timers;
    s->capacity = capacity;
    return 0;
}

static void set_timer(struct rt_sim *s, size_t at, struct rt_timer t)
{
    s->timers[at] = t;
    t.fiber->timer = at;
}

static bool earlier(const struct rt_timer *a, const struct rt_timer *b)
{
    return a->deadline < b->deadline || (a->deadline == b->deadline && a->number < b->number);
}

static void sift_up(struct rt_sim *s, size_t at, struct rt_timer t)
{
    for (; at > 0 && earlier(&t, &s->timers[(at - 1) / 2]); at = (at - 1) / 2)
        set_timer(s, at, s->timers[(at - 1) / 2]);
    set_timer(s, at, t);
}

static void sift_down(struct rt_sim *s, size_t at, struct rt_timer t)
{
    for (size_t child; (child = 2 * at + 1) < s->timer_count; at = child) {
        if (child + 1 < s->timer_count && earlier(&s->timers[child + 1], &s->timers[child]))
            child++;
        if (!earlier(&s->timers[child], &t))
            break;
        set_timer(s, at, s->timers[child]);
    }
    set_timer(s, at, t);
}

static void add_timer(struct rt_fiber *f, uint64_t deadline)
{
    struct rt_sim *s = f->world;

    sift_up(s, s->timer_count++, (struct rt_timer){deadline, s->waits++, f});
}

static void remove_timer(struct rt_fiber *f)
{
    struct rt_sim *s = f->world;
    size_t at = f->timer;
    struct rt_timer last;

    if (at == RT_NO_TIMER)
        return;
    f->timer = RT_NO_TIMER;
    last = s->timers[--s->timer_count];
    if (at == s->timer_count)
        return;
    if (at > 0 && earlier(&last, &s->timers[(at - 1) / 2]))
        sift_up(s, at, last);
    else
        sift_down(s, at, last);
}

void rt_sim_queue(struct rt_fibers *q, struct rt_fiber *f)
{
    f->queue = q;
    f->after = NULL;
    f->before = q->last;
    if (q->last != NULL)
        q->last->after = f;
    else
        q->first = f;
    q->last = f;
}

static void leave_queue(struct rt_fiber *f)
{
    struct rt_fibers *q = f->queue;

    if (q == NULL)
        return;
    if (f->before != NULL)
        f->before->after = f->after;
    else
        q->first = f->after;
    if (f->after != NULL)
        f->after->before = f->before;
    else
        q->last = f->before;
    f->queue = NULL;
}

static void set_state(struct rt_fiber *f, enum rt_fiber_state state)
{
    atomic_store_explicit(&f->state, state, memory_order_relaxed);
}

static void push_ready(struct rt_fiber *f)
{
    struct rt_sim *s = f->world;

    set_state(f, RT_READY);
    if (__builtin_expect(f->held, 0)) {
        f->aside = true;
        return;
    }
    s->ready[(s->ready_at + s->ready_count++) & (s->capacity - 1)] = f;
}

void rt_sim_make_ready(struct rt_fiber *f, enum rt_woken woken)
{
    leave_queue(f);
    remove_timer(f);
    f->woken = woken;
    push_ready(f);
}

static struct rt_fiber *pop_ready(struct rt_sim *s)
{
    struct rt_fiber **head = &s->ready[s->ready_at], *f = *head;

    if (s->config.shuffle && s->ready_count > 1) {
        struct rt_fiber **drawn =
            &s->ready[(s->ready_at + rt_sim_below(&s->order, s->ready_count)) & (s->capacity - 1)];

        f = *drawn;
        *drawn = *head;
    }
    s->ready_at = (s->ready_at + 1) & (s->capacity - 1);
    s->ready_count--;
    return f;
}

void rt_sim_expire(struct rt_sim *s)
{
    while (s->timer_count != 0 && s->timers[0].deadline <= rt_sim_now(s))
        rt_sim_make_ready(s->timers[0].fiber, RT_TIMED_OUT);
}

/* ---- the rule ------------------------------------------------------------------------------------------ */

static bool waits_for(const struct rt_fiber *f, enum rt_wait what)
{
    return atomic_load_explicit(&f->state, memory_order_relaxed) == RT_WAITING &&
           atomic_load_explicit(&f->wait, memory_order_relaxed) == what;
}

/* Any thread: the watchdog, too. */
struct rt_context *rt_sim_context_of(struct rt_fiber *f)
{
    struct rt_sim *s = f->world;
    _Atomic(struct rt_context *) *current = atomic_load(&s->current_of);

    if (current != NULL && atomic_load(&s->inside) && atomic_load(&s->running) == f)
        return atomic_load(current);
    return atomic_load(&f->context);
}

/* Nobody can run. See the opening comment. */
static void deadlock(struct rt_sim *s)
{
    static const enum rt_wait order[] = {RT_WAIT_CONDITION, RT_WAIT_LOCK, RT_WAIT_THREAD};
    struct rt_fiber *victim = NULL;

    if (s->config.stuck != NULL)
        s->config.stuck(s->config.ctx, s->first.thread.name, rt_sim_context_of(&s->first));
    for (size_t i = 0; victim == NULL; i++) { /* the first fiber waits, if nobody else does */
        victim = waits_for(&s->first, order[i]) ? &s->first : s->fibers;
        while (victim != NULL && !waits_for(victim, order[i]))
            victim = victim->next;
    }
    rt_sim_make_ready(victim, RT_DEADLOCKED);
}

static struct rt_fiber *next(struct rt_sim *s)
{
    for (;;) {
        bool settling = atomic_load_explicit(&s->first.state, memory_order_relaxed) == RT_SETTLING;

        rt_sim_expire(s);
        if (s->ready_count != 0)
            return pop_ready(s);
        if (s->timer_count != 0 && (!settling || s->timers[0].deadline <= s->until))
            rt_sim_set_now(s, s->timers[0].deadline);
        else if (settling)
            return &s->first;
        else
            deadlock(s);
    }
}

void rt_sim_run_others(struct rt_fiber *me)
{
    struct rt_fiber *f = next(me->world);

    set_state(f, RT_RUNNING);
    if (f != me)
        rt_fiber_switch(me, f);
}

enum rt_woken rt_sim_block(struct rt_fiber *me, uint64_t deadline_ns, enum rt_wait what)
{
    if (what != RT_WAIT_SPIN)
        rt_fiber_waited(me);
    atomic_store_explicit(&me->wait, what, memory_order_relaxed);
    set_state(me, RT_WAITING);
    if (deadline_ns != RT_FOREVER)
        add_timer(me, deadline_ns);
    rt_sim_run_others(me);
    atomic_store_explicit(&me->wait, RT_NO_WAIT, memory_order_relaxed);
    return me->woken;
}

void rt_sim_give_way(struct rt_fiber *me)
{
    struct rt_sim *s = me->world;
    struct rt_fiber *f;

    rt_sim_expire(s);
    if (s->ready_count == 0)
        return;
    f = pop_ready(s); /* before this one stands in line: the draw is among the others */
    push_ready(me);
    set_state(f, RT_RUNNING);
    rt_fiber_switch(me, f);
}

/* Takes those that are held out of the ready ones. */
static void put_aside(struct rt_sim *s)
{
    const size_t count = s->ready_count;

    s->ready_count = 0;
    for (size_t i = 0; i < count; i++) { /* what is put back stands where it was read, or before */
        struct rt_fiber *f = s->ready[(s->ready_at + i) & (s->capacity - 1)];

        push_ready(f);
    }
}

void rt_sim_hold(struct rt_sim *s, bool (*held)(void *ctx, const struct rt_carried *carried), void *ctx)
{
    for (struct rt_fiber *f = s->fibers; f != NULL; f = f->next)
        f->held = held != NULL && held(ctx, &f->carried);
    put_aside(s);
    for (struct rt_fiber *f = s->fibers; f != NULL; f = f->next)
        if (f->aside && !f->held) {
            f->aside = false;
            push_ready(f);
        }
}

void rt_sim_stand_aside(void)
{
    struct rt_fiber *me = rt_here.fiber;

    if (me == NULL || me == &me->world->first)
        return;
    me->held = true;
    push_ready(me);
    rt_sim_run_others(me);
}

void rt_sim_look_up(struct rt_fiber *me)
{
    struct rt_sim *s = me->world;
    bool preempts = s->config.preempt != 0;
    unsigned shift;

    rt_points = preempts ? 1 : RT_POINTS_A_LOOK;
    if (preempts) {
        if (rt_sim_below(&s->order, s->config.preempt) == 0)
            rt_sim_give_way(me);
        if (--s->look != 0)
            return;
        s->look = RT_POINTS_A_LOOK;
    }
    if (s->looked != rt_sim_now(s)) {
        s->looked = rt_sim_now(s);
        s->stalls = 0;
        rt_sim_give_way(me);
        return;
    }
    shift = s->stalls < SPIN_SHIFTS ? s->stalls : SPIN_SHIFTS;
    s->stalls++;
    rt_sim_block(me, rt_sim_now(s) + ((uint64_t)SPIN_NS << shift), RT_WAIT_SPIN);
    s->looked = rt_sim_now(s);
}
