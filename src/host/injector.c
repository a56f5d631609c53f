/* SPDX-License-Identifier: Apache-2.0 */
/*
 * injector: the queue of what was injected, who carries it out, completions.
 *
 *   inject.c, stream_inject.c --injector_queue()--> queue
 *                                                     |  (or at once, in the caller: a knob)
 *   injector (a thread, at DISPATCH_LEVEL): takes the turn -> up to BURST of the queue -> each walks its layers, is emitted
 *   or lost, or goes into its stream -> gives the turn -> completionFn of each, in their order
 *
 * States of an injection: QUEUED -> WALKED -> COMPLETED, each once. Its handle's flights count it from acceptance until
 * completionFn has returned; until then the list, with its origin and history, is nobody else's.
 *
 * The thread starts with the first handle, on the back end of who creates it. It sleeps when the queue is empty and is
 * woken once a burst. Locks: `lock` guards the queue, making and closing handles, and counts; nothing is called with it held.
 * It may be taken with a lane's lock held by nobody. Who injects or completes takes it for the queue alone.
 */
#include <errno.h>
#include <stdlib.h>

#include "host/inject_inside.h"
#include "host/walk.h"
#include "ledger/ledger.h"

#define BURST  16u
#define NESTED 5u /* in the caller: deeper ones are left to those further out, for the stack's sake */

/* ---- life */

int injector_create(struct host *h)
{
    struct injector *j = calloc(1, sizeof(*j));
    int e;

    if (j == NULL)
        return -ENOMEM;
    h->injector = j;
    j->tail = &j->head;
    e = rt_mutex_create(&j->lock);
    if (e == 0)
        e = rt_cond_create(rt_clock_of_thread(), &j->work);
    if (e == 0)
        e = rt_cond_create(rt_clock_of_thread(), &j->done);
    return e;
}

static void complete(struct host *h, struct injection *i, KIRQL irql);

void injector_destroy(struct host *h)
{
    struct injector *j = h->injector;
    struct injection *i;

    if (j == NULL)
        return;
    if (j->thread != NULL) {
        rt_mutex_lock(j->lock);
        j->stop = true;
        rt_cond_broadcast(j->work);
        rt_mutex_unlock(j->lock);
        rt_thread_join(j->thread);
    }
    while ((i = j->head) != NULL) { /* nobody walks any more; each is completed all the same */
        __atomic_store_n(&j->head, i->next, __ATOMIC_RELAXED);
        i->status = STATUS_CANCELLED;
        complete(h, i, PASSIVE_LEVEL);
    }
    for (size_t n = 0; n < INJECTION_SLOT_BITS; n++)
        free(j->handles[n]);
    free(j->room.bytes);
    if (j->work != NULL)
        rt_cond_destroy(j->work);
    if (j->done != NULL)
        rt_cond_destroy(j->done);
    if (j->lock != NULL)
        rt_mutex_destroy(j->lock);
    free(j);
    h->injector = NULL;
}

/* ---- what is in flight */

/* Who waits says so before he looks again, and who changes what he looks at looks for him afterwards: one of the two sees the
 * other. */
static void changed(struct injector *j)
{
    if (__builtin_expect(__atomic_load_n(&j->waiting, __ATOMIC_SEQ_CST) == 0, 1))
        return;
    rt_mutex_lock(j->lock);
    rt_cond_broadcast(j->done);
    rt_mutex_unlock(j->lock);
}

void injection_land(struct injector *j, struct injection_flights *f)
{
    (void)rt_add(&f->completed, 1, __ATOMIC_SEQ_CST);
    changed(j);
}

void injection_never_flew(struct injector *j, struct injection_flights *f, unsigned count)
{
    (void)rt_sub(&f->accepted, count, __ATOMIC_SEQ_CST);
    changed(j);
}

static struct injection_flights *flights_of(struct injector *j, const struct injection *i)
{
    return i->of == NULL ? &j->bare : i->of_stream ? &i->of->streams : &i->of->packets;
}

/* Of all handles. The lock is held. All that were completed are read before any that was accepted: where both are the same,
 * nothing was in flight in between. */
static struct injection_flights all_flights(const struct injector *j, struct injection_flights *streams)
{
    struct injection_flights packets = {0};

    *streams = (struct injection_flights){.completed = __atomic_load_n(&j->bare.completed, __ATOMIC_SEQ_CST)};
    for (size_t n = 0; n < j->handle_count; n++) {
        const struct injection_handle *x = injection_handle_at(j, n);

        packets.completed += __atomic_load_n(&x->packets.completed, __ATOMIC_SEQ_CST);
        streams->completed += __atomic_load_n(&x->streams.completed, __ATOMIC_SEQ_CST);
    }
    for (size_t n = 0; n < j->handle_count; n++) {
        const struct injection_handle *x = injection_handle_at(j, n);

        packets.accepted += __atomic_load_n(&x->packets.accepted, __ATOMIC_SEQ_CST);
        streams->accepted += __atomic_load_n(&x->streams.accepted, __ATOMIC_SEQ_CST);
    }
    streams->accepted += __atomic_load_n(&j->bare.accepted, __ATOMIC_SEQ_CST);
    return packets;
}

static UINT64 all_in_flight(const struct injector *j)
{
    struct injection_flights streams;
    const struct injection_flights packets = all_flights(j, &streams);

    return packets.accepted - packets.completed + streams.accepted - streams.completed;
}

/* ---- walking and completing ------------------------------------------------------------------------------
 */

/* By who has the turn alone. */
void injection_count(struct host *h, bool emitted)
{
    struct host_injection_counts *c = &h->injector->counts;

    host_count_worker(emitted ? &c->emitted : &c->lost);
}

/* Hands the list back (INJ-04, 06). No lock, no turn. */
static void complete(struct host *h, struct injection *i, KIRQL irql)
{
    struct injector *j = h->injector;
    NET_BUFFER_LIST *list = i->what.list;
    struct rt_carried *me = rt_carried();
    const uint8_t before = me->irql;
    struct rt_context *context = rt_set_current(i->context);
    struct ledger_party *party = ledger_current();

    if (irql > before)
        me->irql = irql;
    if (list != NULL)
        NET_BUFFER_LIST_STATUS(list) = i->status;
    if (party != NULL && list != NULL)
        (void)ledger_close_for(party, LEDGER_INJECTION, (uintptr_t)list);
    if (i->what.complete != NULL && list != NULL) /* STR-24: nothing was given, nothing comes back */
        i->what.complete(i->what.complete_context, list, me->irql >= DISPATCH_LEVEL);
    me->irql = before;
    rt_set_current(context);
    if (i->frame != NULL)
        ndis_frame_let_go(i->frame);
    stream_work_free(i->stream);
    injection_land(j, flights_of(j, i));
    injection_free(i);
}

/* Up to so many of the queue, linked; the lock is held. */
static struct injection *take(struct injector *j, unsigned most)
{
    struct injection *first = j->head, **end = &first;

    while (*end != NULL && most-- > 0)
        end = &(*end)->next;
    __atomic_store_n(&j->head, *end, __ATOMIC_RELAXED);
    *end = NULL;
    if (j->head == NULL)
        j->tail = &j->head;
    return first;
}

/* The turn is this thread's. */
static void walk_all(struct host *h, struct injection *some)
{
    for (struct injection *i = some; i != NULL; i = i->next) {
        struct rt_context *context = rt_set_current(i->context);

        if (!i->of_stream)
            injection_walk(h, i, &h->injector->room);
        else if (i->stream != NULL)
            i->status = stream_injection(h, i->stream);
        i->stream = NULL;
        rt_set_current(context);
    }
}

static void complete_all(struct host *h, struct injection *some, KIRQL irql)
{
    for (struct injection *i = some, *next; i != NULL; i = next) {
        next = i->next;
        complete(h, i, irql);
    }
}

bool injector_burst(struct host *h, KIRQL irql)
{
    struct injector *j = h->injector;
    struct lane *l = &h->lanes[0];
    struct rt_carried *me = rt_carried();
    const uint8_t before = me->irql;
    struct injection *some;

    turn_enter(l);
    rt_mutex_lock(j->lock);
    some = take(j, BURST); /* what is taken has the turn: who waits for it need not */
    rt_mutex_unlock(j->lock);
    if (irql > before)
        me->irql = irql;
    walk_all(h, some);
    me->irql = before;
    turn_give(l);
    complete_all(h, some, irql);
    return some != NULL;
}

/* In the caller, where nobody is in front of it: the queue would give it back at once. */
static void carry_out(struct host *h, struct injection *i)
{
    struct lane *l = &h->lanes[0];

    turn_enter(l);
    walk_all(h, i);
    turn_give(l);
    complete(h, i, PASSIVE_LEVEL);
}

static void injector_main(void *arg)
{
    struct host *h = arg;
    struct injector *j = h->injector;

    rt_set_current(NULL); /* its starter's: a driver's */
    rt_mutex_lock(j->lock);
    j->self = rt_self();
    while (!j->stop) {
        if (j->head == NULL) {
            j->sleeps = true;
            rt_waits_for("packets to inject");
            rt_cond_wait(j->work, j->lock, RT_FOREVER);
            j->sleeps = false;
            continue;
        }
        rt_mutex_unlock(j->lock);
        (void)injector_burst(h, DISPATCH_LEVEL);
        rt_mutex_lock(j->lock);
    }
    rt_mutex_unlock(j->lock);
}

void host_inject_drain(struct host *h)
{
    struct injector *j = h->injector;

    rt_mutex_lock(j->lock);
    __atomic_fetch_add(&j->waiting, 1, __ATOMIC_SEQ_CST);
    while (all_in_flight(j) != 0)
        rt_cond_wait(j->done, j->lock, RT_FOREVER);
    __atomic_fetch_sub(&j->waiting, 1, __ATOMIC_SEQ_CST);
    rt_mutex_unlock(j->lock);
}

/* ---- the queue */

bool injector_runs(struct host *h)
{
    struct injector *j = h->injector;

    return j->thread != NULL || h->config.knobs.inject_in_caller ||
           rt_thread_start("injector", injector_main, h, &j->thread) == 0;
}

void injector_queue(struct host *h, struct injection *first, struct injection *last)
{
    struct injector *j = h->injector;
    const bool here = h->config.knobs.inject_in_caller;
    bool wake;

    if (here && first == last && !injector_has_more(j) && turn_depth(&h->lanes[0]) < NESTED) {
        carry_out(h, first);
        while (injector_has_more(j) && injector_burst(h, PASSIVE_LEVEL))
            ;
        return;
    }
    rt_mutex_lock(j->lock);
    __atomic_store_n(j->tail, first, __ATOMIC_RELEASE);
    j->tail = &last->next;
    wake = j->sleeps;
    j->sleeps = false; /* one wake-up a burst */
    rt_mutex_unlock(j->lock);
    if (here)
        while (turn_depth(&h->lanes[0]) < NESTED && injector_burst(h, PASSIVE_LEVEL) && injector_has_more(j))
            ;
    else if (wake)
        rt_cond_broadcast(j->work);
}

void host_injection_counts(struct host *h, struct host_injection_counts *out)
{
    struct injector *j = h->injector;
    struct injection_flights packets, streams;

    rt_mutex_lock(j->lock);
    packets = all_flights(j, &streams);
    *out = (struct host_injection_counts){.handles = j->counts.handles,
                                          .injected = packets.accepted,
                                          .completed = packets.completed,
                                          .capped = j->counts.capped,
                                          .emitted = __atomic_load_n(&j->counts.emitted, __ATOMIC_RELAXED),
                                          .lost = __atomic_load_n(&j->counts.lost, __ATOMIC_RELAXED),
                                          .in_flight = packets.accepted - packets.completed +
                                                       streams.accepted - streams.completed};
    rt_mutex_unlock(j->lock);
    out->frames_kept = ndis_frames_kept(h->frames);
    out->frames_copied = ndis_frames_copied(h->frames);
}
