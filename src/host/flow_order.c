/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flow_order: which flow was used least recently, which have been idle too long.
 *
 * A packet that uses a flow writes the time into it and nothing else: the flow's own line is in the cache
 * anyway, its neighbours in a list are not. So a flow stands in the queue where it was *placed*, at or before
 * its real last use, and is moved when the queue's front reaches it.
 *
 * The queue of one lifetime (a class) is a radix heap in base 64 over `used`. Nothing in it was used before
 * `last`. A flow stands in level L, digit D: L is the highest base-64 digit in which its `used` differed from
 * `last` when it was placed, D what stands there. The front is the lowest filled list. In level 0 a list is
 * one tick: a flow in it was used then, or later and is placed anew. A list of a higher level, when the front
 * reaches it, moves `last` to where it begins, and its flows go to lower levels. As time only goes forward, a
 * flow moves down at most once a level, and up only if it was used since: constant work a flow, and the order
 * is exact to the tick.
 *
 * Classes: flows of one lifetime run out in the order of use. A lifetime that finds no class of its own
 * (there are ORDER_CLASSES - 2 for those > 0) shares the last one, which is gone through whole, once a
 * second.
 *
 *   host_flow.queue: the class. older, newer: neighbours in the list, or ORDER_HEAD | list.
 */
#include "host/flow_inside.h"

#include <string.h>

#define SECOND 64u

static struct order_link link_of(struct flow_table *t, uint32_t at)
{
    if (at >= ORDER_HEAD)
        return t->order.heads[at - ORDER_HEAD];
    return (struct order_link){t->flows[at].older, t->flows[at].newer};
}

static void set_older(struct flow_table *t, uint32_t at, uint32_t to)
{
    if (at >= ORDER_HEAD)
        t->order.heads[at - ORDER_HEAD].older = to;
    else
        t->flows[at].older = to;
}

static void set_newer(struct flow_table *t, uint32_t at, uint32_t to)
{
    if (at >= ORDER_HEAD)
        t->order.heads[at - ORDER_HEAD].newer = to;
    else
        t->flows[at].newer = to;
}

/* Lists are rings through their head: head.newer is the oldest, head.older the newest. */
static void ring_clear(struct order *o, uint32_t list)
{
    o->heads[list].older = o->heads[list].newer = ORDER_HEAD + list;
}

static bool ring_empty(const struct order *o, uint32_t list)
{
    return o->heads[list].newer == ORDER_HEAD + list;
}

static void ring_append(struct flow_table *t, uint32_t list, uint32_t slot)
{
    uint32_t head = ORDER_HEAD + list, newest = t->order.heads[list].older;

    t->flows[slot].older = newest;
    t->flows[slot].newer = head;
    set_newer(t, newest, slot);
    t->order.heads[list].older = slot;
}

static void ring_remove(struct flow_table *t, uint32_t slot)
{
    struct order_link l = link_of(t, slot);
    set_newer(t, l.older, l.newer);
    set_older(t, l.newer, l.older);
}

/* All of `from` behind what is in `to`; both are lists. */
static void ring_move(struct flow_table *t, uint32_t from, uint32_t to)
{
    struct order_link f = t->order.heads[from], l = t->order.heads[to];

    if (ring_empty(&t->order, from))
        return;
    set_newer(t, l.older, f.newer);
    set_older(t, f.newer, l.older);
    set_newer(t, f.older, ORDER_HEAD + to);
    t->order.heads[to].older = f.older;
    ring_clear(&t->order, from);
}

void order_open(struct order *o)
{
    memset(o, 0, sizeof(*o));
    for (uint32_t i = 0; i <= ORDER_KEPT; i++)
        ring_clear(o, i);
    o->classes[ORDER_ODD].lifetime = UINT16_MAX;
}

static unsigned class_for(struct order *o, uint16_t lifetime)
{
    unsigned empty = ORDER_ODD;

    if (lifetime == 0)
        return 0;
    for (unsigned i = 1; i < ORDER_ODD; i++) {
        struct order_class *c = &o->classes[i];
        if (c->lifetime == lifetime)
            return i;
        if (c->count == 0 && empty == ORDER_ODD)
            empty = i;
    }
    if (empty != ORDER_ODD) {
        o->classes[empty].lifetime = lifetime;
        o->classes[empty].not_before = 0;
    }
    return empty;
}

/* Into the list that its `used` belongs to. */
static void place(struct flow_table *t, unsigned class, uint32_t slot)
{
    struct order_class *c = &t->order.classes[class];
    uint32_t used = t->flows[slot].used, differs = used ^ c->last;
    unsigned level = differs == 0 ? 0 : (31 - (unsigned)__builtin_clz(differs)) / 6;
    unsigned digit = used >> (6 * level) & 63;

    ring_append(t, class * ORDER_LISTS + level * 64 + digit, slot);
    c->filled[level] |= 1ull << digit;
}

void order_enter(struct flow_table *t, uint32_t slot)
{
    struct host_flow *f = flow_of(t, slot);
    unsigned class = class_for(&t->order, f->lifetime);
    struct order_class *c = &t->order.classes[class];

    if (c->count == 0) /* nothing holds `last` back */
        c->last = f->used;
    f->queue = (uint8_t) class;
    c->count++;
    place(t, class, slot);
}

void order_leave(struct flow_table *t, uint32_t slot)
{
    t->order.classes[flow_of(t, slot)->queue].count--;
    ring_remove(t, slot);
}

void flow_table_touch(struct flow_table *t, struct host_flow *f, uint32_t now)
{
    struct order *o = &t->order;

    if (now > o->now)
        o->now = now;
    f->used = o->now;
    if (o->classes[f->queue].lifetime == f->lifetime || (f->queue == ORDER_ODD && f->lifetime != 0))
        return;
    uint32_t slot = flow_table_slot(t, f);
    order_leave(t, slot);
    order_enter(t, slot);
}

/* The lowest list that holds something, and the first tick that belongs to it; false: the class is empty. */
static bool front(struct order *o, unsigned class, uint32_t *list, uint32_t *first)
{
    struct order_class *c = &o->classes[class];

    for (unsigned level = 0; level < ORDER_LEVELS; level++) {
        while (c->filled[level] != 0) {
            unsigned digit = (unsigned)__builtin_ctzll(c->filled[level]), shift = 6 * level;
            uint32_t at = class * ORDER_LISTS + level * 64 + digit;
            if (ring_empty(o, at)) {
                c->filled[level] &= ~(1ull << digit);
                continue;
            }
            *list = at;
            *first = shift + 6 >= 32 ? 0 : c->last >> (shift + 6) << (shift + 6);
            *first |= (uint32_t)digit << shift;
            return true;
        }
    }
    return false;
}

/*
 * The flow of the class that was used first, if it was at or before `until`; moves what stands in front of it
 * to its place. Looks at no more than *visits flows: when they are used up it returns the one used first of
 * those it has seen, if `any`.
 */
static uint32_t settle(struct flow_table *t, unsigned class, uint32_t until, uint32_t *visits, bool any)
{
    struct order *o = &t->order;
    struct order_class *c = &o->classes[class];
    uint32_t pending = class * ORDER_LISTS + ORDER_PENDING, best = FLOW_NONE, list, first, slot;

    for (;;) {
        bool waiting = !ring_empty(o, pending);
        if (waiting) {
            list = pending;
        } else {
            if (!front(o, class, &list, &first) || first > until)
                return FLOW_NONE;
            if (list >= class * ORDER_LISTS + 64) { /* of a higher level: its flows are to be placed anew */
                c->last = first;
                ring_move(t, list, pending);
                continue;
            }
            c->last = first;
        }
        slot = o->heads[list].newer;
        if (!waiting && t->flows[slot].used == first)
            return slot;
        if (*visits == 0)
            return any && best == FLOW_NONE ? slot : best;
        *visits -= 1;
        if (any && (best == FLOW_NONE || t->flows[slot].used < t->flows[best].used))
            best = slot;
        ring_remove(t, slot);
        place(t, class, slot);
    }
}

struct host_flow *flow_table_oldest(struct flow_table *t)
{
    uint32_t best = FLOW_NONE, visits, slot;

    for (unsigned i = 0; i < ORDER_CLASSES; i++) {
        if (t->order.classes[i].count == 0)
            continue;
        visits = 4096;
        slot = settle(t, i, UINT32_MAX, &visits, true);
        if (slot != FLOW_NONE && (best == FLOW_NONE || t->flows[slot].used < t->flows[best].used))
            best = slot;
    }
    return best == FLOW_NONE ? NULL : flow_of(t, best);
}

/* The class of odd lifetimes has no order to go by: all slots, once a second. */
static uint32_t expire_odd(struct flow_table *t, uint32_t max, void (*fn)(void *ctx, struct host_flow *f),
                           void *ctx)
{
    struct order_class *c = &t->order.classes[ORDER_ODD];
    uint32_t done = 0;

    if (c->count == 0 || t->order.now < c->not_before)
        return 0;
    for (uint32_t i = 0; i < t->slots && done < max; i++) {
        struct host_flow *f = flow_of(t, i);
        if (f->queue != ORDER_ODD || (uint64_t)f->used + f->lifetime * SECOND > t->order.now)
            continue;
        fn(ctx, f);
        done++;
    }
    if (done < max)
        c->not_before = t->order.now + SECOND;
    return done;
}

/* One class's flows that ran out; those that fn leaves there wait in ORDER_KEPT, and are asked about again.
 */
static uint32_t expire_class(struct flow_table *t, unsigned class, uint32_t max,
                             void (*fn)(void *ctx, struct host_flow *f), void *ctx)
{
    struct order *o = &t->order;
    struct order_class *c = &o->classes[class];
    uint32_t life = c->lifetime * SECOND, visits = max < UINT32_MAX - 256 ? max + 256 : max;
    uint32_t until, done = 0, slot, list, first;
    uint64_t next;

    if (c->count == 0 || o->now < c->not_before || o->now < life)
        return 0;
    until = o->now - life;
    while (done < max && (slot = settle(t, class, until, &visits, false)) != FLOW_NONE) {
        struct host_flow *f = flow_of(t, slot);
        uint32_t used = f->used;
        done++;
        fn(ctx, f);
        if (f->queue == class && f->used == used) {
            ring_remove(t, slot);
            ring_append(t, ORDER_KEPT, slot);
        }
    }
    while (!ring_empty(o, ORDER_KEPT)) {
        slot = o->heads[ORDER_KEPT].newer;
        ring_remove(t, slot);
        t->flows[slot].used = c->last; /* as late as the front is, and still due */
        place(t, class, slot);
    }
    next = (uint64_t)(front(o, class, &list, &first) && first < o->now ? first : o->now) + life;
    if (!ring_empty(o, class * ORDER_LISTS + ORDER_PENDING)) /* not yet sorted */
        next = 0;
    c->not_before = next > UINT32_MAX ? UINT32_MAX : (uint32_t)next;
    return done;
}

uint32_t flow_table_expire(struct flow_table *t, uint32_t now, uint32_t max,
                           void (*fn)(void *ctx, struct host_flow *f), void *ctx)
{
    uint32_t done = 0;

    if (now > t->order.now)
        t->order.now = now;
    for (unsigned i = 1; i < ORDER_ODD && done < max; i++)
        done += expire_class(t, i, max - done, fn, ctx);
    return done + expire_odd(t, max - done, fn, ctx);
}
