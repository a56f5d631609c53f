/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timer: what is due when. Two binary heaps by moment, then by order of setting: one of what something will come of,
 * one of what only lasts (TIME_WAIT, fragments that wait for others), so that a program can tell whether anything
 * still happens by itself.
 *
 * A timer is in at most one of them, at `place`. Its owner sets and stops it; timers_take() stops it before
 * it is due. Room is reserved when a socket is made, so that setting cannot fail.
 */
#include <stdlib.h>

#include "stack/internal.h"

int timers_reserve(struct timers *t, uint32_t count)
{
    for (unsigned i = 0; i < 2; i++) {
        uint32_t room = t->room[i] != 0 ? t->room[i] : 16;
        struct timer **heap;

        while (room < count + 1)
            room *= 2;
        if (room == t->room[i])
            continue;
        heap = realloc(t->heap[i], room * sizeof(*heap));
        if (heap == NULL)
            return -ENOMEM;
        t->heap[i] = heap;
        t->room[i] = room;
    }
    return 0;
}

void timers_free(struct timers *t)
{
    free(t->heap[0]);
    free(t->heap[1]);
}

static bool before(const struct timer *a, const struct timer *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void put(struct timers *t, bool lasting, uint32_t place, struct timer *timer)
{
    t->heap[lasting][place] = timer;
    timer->place = place;
}

/* Finds the place of a timer that stands at `place`. */
static void settle(struct timers *t, bool lasting, uint32_t place)
{
    struct timer **heap = t->heap[lasting], *timer = heap[place];
    uint32_t count = t->count[lasting];

    while (place > 1 && before(timer, heap[place / 2])) {
        put(t, lasting, place, heap[place / 2]);
        place /= 2;
    }
    for (uint32_t child; (child = place * 2) <= count; place = child) {
        if (child < count && before(heap[child + 1], heap[child]))
            child++;
        if (!before(heap[child], timer))
            break;
        put(t, lasting, place, heap[child]);
    }
    put(t, lasting, place, timer);
}

static void take_out(struct timers *t, struct timer *timer)
{
    bool lasting = timer->lasting;
    uint32_t place = timer->place;
    struct timer *last = t->heap[lasting][t->count[lasting]--];

    timer->place = 0;
    if (last == timer)
        return;
    put(t, lasting, place, last);
    settle(t, lasting, place);
}

void timer_set(struct timers *t, struct timer *timer, uint64_t at, bool lasting)
{
    if (timer->place != 0 && timer->at == at && timer->lasting == lasting)
        return;
    if (timer->place != 0 && (at == NEVER || timer->lasting != lasting))
        take_out(t, timer);
    timer->at = at;
    timer->lasting = lasting;
    if (at == NEVER)
        return;
    timer->order = ++t->order;
    if (timer->place == 0)
        put(t, lasting, ++t->count[lasting], timer);
    settle(t, lasting, timer->place);
}

uint64_t timers_next(const struct timers *t, bool lasting)
{
    return t->count[lasting] != 0 ? t->heap[lasting][1]->at : NEVER;
}

struct timer *timers_take(struct timers *t, uint64_t now)
{
    bool lasting = timers_next(t, true) < timers_next(t, false);
    struct timer *timer;

    if (timers_next(t, lasting) > now || t->count[lasting] == 0)
        return NULL;
    timer = t->heap[lasting][1];
    take_out(t, timer);
    timer->at = NEVER;
    return timer;
}
