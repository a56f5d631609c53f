/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notifier: see notifier.h.
 *
 * Life of a sink: open -> closed (no new messages, waiting ones dropped) -> free (when its callback is not
 * running). A sink that is closed from its own callback stays allocated until that callback has returned; the
 * thread then frees it. `running` names the sink whose callback runs; `here` tells the thread from all
 * others.
 */
#include "bfe/notifier.h"

#include <errno.h>
#include <stdlib.h>

struct message {
    struct message *next;
    struct notifier_sink *sink;
    uint64_t serial;
    void *payload;
    void (*free_payload)(void *payload);
};

struct notifier_sink {
    struct notifier *owner;
    notifier_deliver deliver;
    void *ctx;
    struct rt_context *current; /* the subscriber's context: what the API resolves from inside the callback */
    void (*done)(void *ctx);
    size_t waiting;
    uint64_t dropped;
    bool closed; /* from its own callback: the thread frees it */
};

struct notifier {
    struct rt_mutex *lock;
    struct rt_cond *changed; /* a message came, a callback ended, or stop was asked for */
    struct rt_thread *thread;
    struct message *head, **tail;
    struct notifier_sink *running;
    uint64_t last_serial, running_serial; /* messages are numbered in the order of posting; 0: none runs */
    size_t limit;
    bool stop;
};

static _Thread_local struct notifier *here; /* set on the delivering thread only */

static void message_free(struct message *m)
{
    if (m->free_payload)
        m->free_payload(m->payload);
    free(m);
}

/* Takes the first message off the queue; lock held. */
static struct message *take(struct notifier *n)
{
    struct message *m = n->head;

    n->head = m->next;
    if (!n->head)
        n->tail = &n->head;
    m->sink->waiting--;
    return m;
}

static void deliver_all(void *arg)
{
    struct notifier *n = arg;

    here = n;
    rt_mutex_lock(n->lock);
    while (!n->stop) {
        if (!n->head) {
            rt_cond_wait(n->changed, n->lock, RT_FOREVER);
            continue;
        }
        struct message *m = take(n);
        struct notifier_sink *s = m->sink;
        n->running = s;
        n->running_serial = m->serial;
        rt_mutex_unlock(n->lock);

        struct rt_context *before = rt_set_current(s->current);
        s->deliver(s->ctx, m->payload);
        rt_set_current(before);
        message_free(m);

        rt_mutex_lock(n->lock);
        n->running = NULL;
        n->running_serial = 0;
        rt_cond_broadcast(n->changed);
        if (!s->closed)
            continue;
        rt_mutex_unlock(n->lock);
        if (s->done)
            s->done(s->ctx);
        free(s);
        rt_mutex_lock(n->lock);
    }
    rt_mutex_unlock(n->lock);
    here = NULL;
}

int notifier_create(struct rt_clock *clock, struct notifier **out)
{
    int rc;
    struct notifier *n = calloc(1, sizeof(*n));

    if (!n)
        return -ENOMEM;
    n->tail = &n->head;
    n->limit = NOTIFIER_DEFAULT_LIMIT;
    rc = rt_mutex_create(&n->lock);
    if (rc)
        goto free_notifier;
    rc = rt_cond_create(clock, &n->changed);
    if (rc)
        goto destroy_lock;
    *out = n;
    return 0;

destroy_lock:
    rt_mutex_destroy(n->lock);
free_notifier:
    free(n);
    return rc;
}

void notifier_destroy(struct notifier *n)
{
    if (!n)
        return;
    rt_mutex_lock(n->lock);
    n->stop = true;
    rt_cond_broadcast(n->changed);
    rt_mutex_unlock(n->lock);
    if (n->thread)
        rt_thread_join(n->thread);
    while (n->head)
        message_free(take(n));
    rt_cond_destroy(n->changed);
    rt_mutex_destroy(n->lock);
    free(n);
}

void notifier_set_limit(struct notifier *n, size_t limit)
{
    rt_mutex_lock(n->lock);
    n->limit = limit;
    rt_mutex_unlock(n->lock);
}

int notifier_open(struct notifier *n, notifier_deliver deliver, void *ctx, struct notifier_sink **out)
{
    int rc = 0;
    struct notifier_sink *s = calloc(1, sizeof(*s));

    if (!s)
        return -ENOMEM;
    s->owner = n;
    s->deliver = deliver;
    s->ctx = ctx;
    s->current = rt_current();
    rt_mutex_lock(n->lock);
    if (!n->thread)
        rc = rt_thread_start("weir-notify", deliver_all, n, &n->thread);
    rt_mutex_unlock(n->lock);
    if (rc) {
        free(s);
        return rc;
    }
    *out = s;
    return 0;
}

void notifier_close(struct notifier_sink *s, void (*done)(void *ctx))
{
    struct notifier *n = s->owner;
    struct message *forgotten = NULL;

    rt_mutex_lock(n->lock);
    for (struct message **at = &n->head; *at;) {
        struct message *m = *at;
        if (m->sink != s) {
            at = &m->next;
            continue;
        }
        *at = m->next;
        m->next = forgotten;
        forgotten = m;
    }
    n->tail = &n->head;
    while (*n->tail)
        n->tail = &(*n->tail)->next;
    bool inside = n->running == s && here == n;
    if (inside) {
        s->closed = true;
        s->done = done;
    } else {
        while (n->running == s)
            rt_cond_wait(n->changed, n->lock, RT_FOREVER);
    }
    rt_cond_broadcast(n->changed);
    rt_mutex_unlock(n->lock);

    while (forgotten) {
        struct message *m = forgotten;
        forgotten = m->next;
        message_free(m);
    }
    if (inside)
        return;
    if (done)
        done(s->ctx);
    free(s);
}

bool notifier_post(struct notifier_sink *s, void *payload, void (*free_payload)(void *payload))
{
    struct notifier *n = s->owner;
    struct message *m = malloc(sizeof(*m));
    bool taken = false;

    rt_mutex_lock(n->lock);
    if (m && !s->closed && s->waiting < n->limit) {
        *m = (struct message){
            .sink = s, .serial = ++n->last_serial, .payload = payload, .free_payload = free_payload};
        *n->tail = m;
        n->tail = &m->next;
        s->waiting++;
        taken = true;
        rt_cond_broadcast(n->changed);
    } else if (!s->closed) {
        s->dropped++;
    }
    rt_mutex_unlock(n->lock);
    if (!taken) {
        free(m);
        if (free_payload)
            free_payload(payload);
    }
    return taken;
}

uint64_t notifier_dropped(struct notifier_sink *s)
{
    rt_mutex_lock(s->owner->lock);
    uint64_t dropped = s->dropped;
    rt_mutex_unlock(s->owner->lock);
    return dropped;
}

void notifier_flush(struct notifier *n)
{
    rt_mutex_lock(n->lock);
    uint64_t until = n->last_serial;
    while ((n->head && n->head->serial <= until) || (n->running_serial && n->running_serial <= until))
        rt_cond_wait(n->changed, n->lock, RT_FOREVER);
    rt_mutex_unlock(n->lock);
}
