/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ale_defer: completions that are carried out later, on a thread of the host's (host_knobs.defer_completion;
 * PEND-21, IRQL-09).
 *
 *   host_complete(), last ticket --ale_defer()--> queue --the host's thread, PASSIVE--> ale_operation_run()
 *
 * Windows asks again inside FwpsCompleteOperation0 mostly, and sometimes not: a driver must be right in both.
 * An operation in the queue still waits, as far as everybody else is concerned: it is in the list of those,
 * it can be cancelled, and is then only let go. It leaves the queue once, by the thread; what is left at the
 * host's end goes with the operations.
 *
 * host_defer_completion() switches it while the host runs: from the next completion on.
 *
 * The thread starts with the first completion that is put off, on the back end of who completes. `lock`
 * guards the queue; nothing is called with it held.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "host/ale_inside.h"

struct deferred {
    struct deferred *next;
    struct ale_operation *op;
};

struct ale_defer {
    struct rt_mutex *lock;
    struct rt_cond *work;
    struct rt_thread *thread;
    struct deferred *head, **tail;
    bool stop;
    atomic_bool on; /* else completions are carried out at once */
};

static int create(struct lane *l)
{
    struct ale_defer *d = calloc(1, sizeof(*d));
    int e;

    if (d == NULL)
        return -ENOMEM;
    ale_of(l)->defer = d;
    d->tail = &d->head;
    atomic_init(&d->on, true);
    e = rt_mutex_create(&d->lock);
    if (e == 0)
        e = rt_cond_create(rt_clock_of_thread(), &d->work);
    return e;
}

int ale_defer_create(struct lane *l)
{
    return l->host->config.knobs.defer_completion ? create(l) : 0;
}

int host_defer_completion(struct host *h, bool defer)
{
    struct lane *l = &h->lanes[0];
    int e;

    if (ale_of(l)->defer == NULL) {
        e = defer ? create(l) : 0;
        if (e != 0)
            ale_defer_destroy(l);
        return e;
    }
    atomic_store(&ale_of(l)->defer->on, defer);
    return 0;
}

void ale_defer_destroy(struct lane *l)
{
    struct ale_defer *d = ale_of(l)->defer;
    struct deferred *one;

    if (d == NULL)
        return;
    if (d->thread != NULL) {
        rt_mutex_lock(d->lock);
        d->stop = true;
        rt_cond_broadcast(d->work);
        rt_mutex_unlock(d->lock);
        rt_thread_join(d->thread);
    }
    while ((one = d->head) != NULL) {
        d->head = one->next;
        free(one);
    }
    if (d->work != NULL)
        rt_cond_destroy(d->work);
    if (d->lock != NULL)
        rt_mutex_destroy(d->lock);
    free(d);
    ale_of(l)->defer = NULL;
}

static void carry_out(struct host *h, struct ale_operation *op)
{
    struct lane *visitor = ale_visit(h);

    while (visitor == NULL) { /* no memory: it is owed all the same */
        rt_yield();
        visitor = ale_visit(h);
    }
    ale_operation_run(visitor, op);
    ale_leave(visitor);
}

static void defer_main(void *arg)
{
    struct host *h = arg;
    struct ale_defer *d = ale_of(&h->lanes[0])->defer;

    rt_set_current(NULL); /* its starter's: a driver's */
    rt_mutex_lock(d->lock);
    while (!d->stop) {
        struct deferred *one = d->head;

        if (one == NULL) {
            rt_waits_for("completions to carry out");
            rt_cond_wait(d->work, d->lock, RT_FOREVER);
            continue;
        }
        d->head = one->next;
        if (d->head == NULL)
            d->tail = &d->head;
        rt_mutex_unlock(d->lock);
        carry_out(h, one->op);
        free(one);
        rt_mutex_lock(d->lock);
    }
    rt_mutex_unlock(d->lock);
}

bool ale_defer(struct lane *l, struct ale_operation *op)
{
    struct ale_defer *d = ale_of(l)->defer;
    struct deferred *one;
    bool taken;

    if (d == NULL || !atomic_load(&d->on))
        return false;
    one = malloc(sizeof(*one));
    if (one == NULL)
        return false;
    *one = (struct deferred){NULL, op};
    rt_mutex_lock(d->lock);
    taken = d->thread != NULL || rt_thread_start("completions", defer_main, l->host, &d->thread) == 0;
    if (taken) {
        *d->tail = one;
        d->tail = &one->next;
    }
    rt_mutex_unlock(d->lock);
    if (taken)
        rt_cond_broadcast(d->work);
    else
        free(one);
    return taken;
}
