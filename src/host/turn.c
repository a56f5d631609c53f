/* SPDX-License-Identifier: Apache-2.0 */
/* turn: who is in a lane, and who works on it now (walk.h). `turn` and its company are guarded by the lane's lock; `stays` and
 * `kept` belong to who has the turn. */
#include "host/walk.h"

__attribute__((noinline)) void lane_enter_locking(struct lane *l)
{
    lane_lock(l);
    l->kept = l->stays;
}

__attribute__((noinline)) void lane_let_go(struct lane *l)
{
    rt_mutex_unlock(l->lock);
}

static __attribute__((noinline)) void wait(struct lane *l)
{
    l->turn_waiting++;
    while (l->turn != 0)
        rt_cond_wait(l->turn_over, l->lock, RT_FOREVER);
    l->turn_waiting--;
}

static inline void take(struct lane *l, uintptr_t me)
{
    rt_mutex_lock(l->lock);
    if (__builtin_expect(l->turn != 0 && l->turn != me, 0))
        wait(l);
    lane_settle(l);
    __atomic_store_n(&l->turn, me, __ATOMIC_RELAXED);
    l->turn_depth++;
    l->stays = l->kept = true;
}

void turn_take(struct lane *l)
{
    const uintptr_t me = rt_self();

    if (__atomic_load_n(&l->turn, __ATOMIC_RELAXED) == me && l->holds && l->turn_depth == 1 && l->stays) {
        l->turn_depth = 2;
        lane_enter(l);
    } else {
        take(l, me);
    }
}

void turn_enter(struct lane *l)
{
    if (turn_is_mine(l) && !l->kept) { /* nobody else looks at the depth while it is */
        l->turn_depth++;
        l->stays = false;
        return;
    }
    turn_take(l);
    (void)lane_rest(l);
}

/* Somebody waits for it. */
static __attribute__((noinline)) void hand_on(struct lane *l)
{
    rt_mutex_unlock(l->lock);
    rt_cond_broadcast(l->turn_over);
}

static inline void give(struct lane *l)
{
    bool waiting = false;

    if (!l->kept)
        rt_mutex_lock(l->lock);
    if (--l->turn_depth == 0) {
        __atomic_store_n(&l->turn, 0, __ATOMIC_RELAXED);
        waiting = l->turn_waiting != 0;
    }
    l->stays = l->kept = false;
    if (__builtin_expect(waiting, 0))
        hand_on(l);
    else
        rt_mutex_unlock(l->lock);
}

void turn_give(struct lane *l)
{
    if (l->holds && l->turn_depth == 2) { /* what turn_take() found held */
        l->turn_depth = 1;
        l->stays = true;
    } else if (l->turn_depth > 1 && !l->kept) {
        l->turn_depth--;
        l->stays = false;
    } else {
        give(l);
    }
}

void turn_hold(struct lane *l)
{
    l->turn_depth = 2;
    lane_enter(l);
}

void turn_let(struct lane *l)
{
    l->turn_depth = 1;
    l->stays = true;
}

void host_hold(struct host *h)
{
    struct lane *l = &h->lanes[0];

    turn_take(l);
    l->holds = l->turn_depth == 1;
}

void host_let(struct host *h)
{
    struct lane *l = &h->lanes[0];

    l->holds = false;
    turn_give(l);
}

bool host_wanted(const struct host *h)
{
    const struct lane *l = &h->lanes[0];

    return l->turn_waiting != 0 || rt_mutex_wanted(l->lock);
}

unsigned turn_depth(struct lane *l)
{
    /* What another thread's it is may change; whether it is this one's, only this one changes. */
    return __atomic_load_n(&l->turn, __ATOMIC_RELAXED) == rt_self() ? l->turn_depth : 0;
}

bool turn_is_mine(struct lane *l)
{
    return turn_depth(l) != 0;
}
