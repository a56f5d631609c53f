/* SPDX-License-Identifier: Apache-2.0 */
/* turn: who works on a lane now (walk.h). `turn` and its company are guarded by the lane's lock; `stays` and
 * `kept` belong to who has the turn. */
#include "host/walk.h"

void turn_take(struct lane *l)
{
    const uintptr_t me = rt_self();

    rt_mutex_lock(l->lock);
    if (__builtin_expect(l->turn != 0 && l->turn != me, 0)) {
        l->turn_waiting++;
        while (l->turn != 0)
            rt_cond_wait(l->turn_over, l->lock, RT_FOREVER);
        l->turn_waiting--;
    }
    l->turn = me;
    l->turn_depth++;
    l->stays = l->kept = true;
}

void turn_give(struct lane *l)
{
    bool waiting;

    if (!l->kept)
        rt_mutex_lock(l->lock);
    if (--l->turn_depth == 0)
        l->turn = 0;
    waiting = l->turn_depth == 0 && l->turn_waiting != 0;
    l->stays = l->kept = false;
    rt_mutex_unlock(l->lock);
    if (__builtin_expect(waiting, 0))
        rt_cond_broadcast(l->turn_over);
}

unsigned turn_depth(struct lane *l)
{
    unsigned depth;

    rt_mutex_lock(l->lock);
    depth = l->turn == rt_self() ? l->turn_depth : 0;
    rt_mutex_unlock(l->lock);
    return depth;
}

bool turn_is_mine(struct lane *l)
{
    return turn_depth(l) != 0;
}
