/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vswitch_events: who is told of a virtual switch's events, and what waits for an answer (OTH-10).
 *
 *   raise() --each subscriber's callback, in its context--> its status
 *              | STATUS_PENDING, where it may: a note, whose address is the completion context
 *              v
 *   NotifyComplete(note) --the last one of this event--> event.completed(first failure)
 *
 * A note is made before the callback runs, for the callback may complete it before it returns. Pending is allowed for
 * events of ports and of policies, and when state is saved or restored; not for switches' lives, interfaces and the
 * order of the filter engine.
 *
 * `lock` guards the lists; no callback runs with it held. `running` of a subscription counts its callbacks under way;
 * who unsubscribes waits for zero.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/vswitch.h"
#include "ledger/ledger.h"

struct subscription {
    struct subscription *next;
    UINT32 id; /* 0: ends */
    FWPS_VSWITCH_EVENT_DISPATCH_TABLE0 table;
    void *notify_context;
    struct rt_context *context; /* of who subscribed */
    unsigned running;
};

/* An event under way. */
struct raised {
    unsigned waits; /* notes, and one for raise() itself */
    NTSTATUS status;
    bool pended;
    void (*completed)(void *ctx, NTSTATUS status);
    void *ctx;
};

/* One subscriber's answer to come. */
struct note {
    struct note *next;
    struct raised *of;
    UINT32 subscription;
    bool returned, done; /* its callback has returned PENDING; it was completed */
    NTSTATUS status;
};

struct vswitch_events {
    struct rt_mutex *lock;
    struct rt_cond *idle;
    struct subscription *first, **end;
    struct note *notes;
    UINT32 next_id;
};

/* ---- life --------------------------------------------------------------------------------------------------- */

int vswitch_events_create(struct host *h, struct vswitch_events **out)
{
    struct vswitch_events *e = calloc(1, sizeof(*e));
    int result;

    (void)h;
    if (e == NULL)
        return -ENOMEM;
    *out = e;
    e->end = &e->first;
    result = rt_mutex_create(&e->lock);
    return result == 0 ? rt_cond_create(rt_clock_of_thread(), &e->idle) : result;
}

static bool over(struct vswitch_events *e, struct raised *r);

void vswitch_events_destroy(struct vswitch_events *e)
{
    for (struct note *n = e->notes, *next; n != NULL; n = next) { /* nobody completes them any more */
        next = n->next;
        if (--n->of->waits == 0)
            free(n->of);
        free(n);
    }
    for (struct subscription *s = e->first, *next; s != NULL; s = next) {
        next = s->next;
        free(s);
    }
    if (e->idle != NULL)
        rt_cond_destroy(e->idle);
    if (e->lock != NULL)
        rt_mutex_destroy(e->lock);
    free(e);
}

NTSTATUS host_vswitch_subscribe(struct host *h, const FWPS_VSWITCH_EVENT_DISPATCH_TABLE0 *table,
                                void *notify_context, UINT32 *id)
{
    struct vswitch_events *e = vswitch_events_of(h);
    struct subscription *s;

    if (table == NULL || id == NULL)
        return STATUS_FWP_NULL_POINTER;
    *id = 0;
    s = calloc(1, sizeof(*s));
    if (s == NULL)
        return STATUS_NO_MEMORY;
    s->table = *table;
    s->notify_context = notify_context;
    s->context = rt_current();
    rt_mutex_lock(e->lock);
    *id = s->id = ++e->next_id;
    *e->end = s;
    e->end = &s->next;
    rt_mutex_unlock(e->lock);
    return STATUS_SUCCESS;
}

/* The lock is held. NULL: there is none. */
static struct note *of_subscription(struct vswitch_events *e, UINT32 id)
{
    struct note *n = e->notes;

    while (n != NULL && n->subscription != id)
        n = n->next;
    return n;
}

bool host_vswitch_unsubscribe(struct host *h, UINT32 id)
{
    struct vswitch_events *e = vswitch_events_of(h);
    struct subscription **at, *s;
    struct note *n;

    rt_mutex_lock(e->lock);
    for (at = &e->first; *at != NULL && ((*at)->id != id || id == 0); at = &(*at)->next)
        ;
    s = *at;
    if (s == NULL) {
        rt_mutex_unlock(e->lock);
        return false;
    }
    s->id = 0;
    while (s->running != 0) {
        rt_waits_for("a virtual switch's event to be told");
        rt_cond_wait(e->idle, e->lock, RT_FOREVER);
    }
    for (at = &e->first; *at != s; at = &(*at)->next)
        ;
    *at = s->next;
    if (e->end == &s->next)
        e->end = at;
    while ((n = of_subscription(e, id)) != NULL) {
        rt_mutex_unlock(e->lock);
        ledger_report(LEDGER_NOTE, NULL,
                      "a virtual switch's event was pended and never completed: its OID would hang");
        (void)host_vswitch_complete(h, n, STATUS_CANCELLED);
        rt_mutex_lock(e->lock);
    }
    rt_mutex_unlock(e->lock);
    free(s);
    return true;
}

/* ---- one subscriber ----------------------------------------------------------------------------------------- */

static bool may_pend(FWPS_VSWITCH_EVENT_TYPE type)
{
    switch (type) {
    case FWPS_VSWITCH_EVENT_PORT_CREATE:
    case FWPS_VSWITCH_EVENT_PORT_DELETE:
    case FWPS_VSWITCH_EVENT_POLICY_ADD:
    case FWPS_VSWITCH_EVENT_POLICY_UPDATE:
    case FWPS_VSWITCH_EVENT_POLICY_DELETE:
    case FWPS_VSWITCH_EVENT_RUNTIME_STATE_SAVE:
    case FWPS_VSWITCH_EVENT_RUNTIME_STATE_RESTORE:
        return true;
    default:
        return false;
    }
}

/* STATUS_SUCCESS where the table has no callback for it. */
static NTSTATUS call(const struct subscription *s, const struct host_vswitch_event *v, void *completion)
{
    const FWPS_VSWITCH_EVENT_DISPATCH_TABLE0 *t = &s->table;
    void *ctx = s->notify_context;

    switch (v->type) {
    case FWPS_VSWITCH_EVENT_VSWITCH_CREATE:
    case FWPS_VSWITCH_EVENT_VSWITCH_DELETE:
        return t->vSwitchLifetimeNotifyFn != NULL
                   ? t->vSwitchLifetimeNotifyFn(ctx, v->type, v->vswitch, v->ports, v->nics)
                   : STATUS_SUCCESS;
    case FWPS_VSWITCH_EVENT_PORT_CREATE:
    case FWPS_VSWITCH_EVENT_PORT_DELETE:
        return t->vSwitchPortEventNotifyFn != NULL
                   ? t->vSwitchPortEventNotifyFn(ctx, completion, v->type, v->vswitch, v->port)
                   : STATUS_SUCCESS;
    case FWPS_VSWITCH_EVENT_INTERFACE_CREATE:
    case FWPS_VSWITCH_EVENT_INTERFACE_DELETE:
    case FWPS_VSWITCH_EVENT_INTERFACE_CONNECT:
    case FWPS_VSWITCH_EVENT_INTERFACE_DISCONNECT:
        return t->vSwitchInterfaceEventNotifyFn != NULL
                   ? t->vSwitchInterfaceEventNotifyFn(ctx, completion, v->type, v->vswitch, v->nic)
                   : STATUS_SUCCESS;
    case FWPS_VSWITCH_EVENT_POLICY_ADD:
    case FWPS_VSWITCH_EVENT_POLICY_UPDATE:
    case FWPS_VSWITCH_EVENT_POLICY_DELETE:
        return t->vSwitchPolicyEventNotifyFn != NULL
                   ? t->vSwitchPolicyEventNotifyFn(ctx, completion, v->type, v->vswitch, v->property,
                                                   v->property_deleted)
                   : STATUS_SUCCESS;
    case FWPS_VSWITCH_EVENT_RUNTIME_STATE_SAVE:
        return t->vSwitchRuntimeStateSaveNotifyFn != NULL
                   ? t->vSwitchRuntimeStateSaveNotifyFn(ctx, completion, v->type, v->vswitch, v->port_id,
                                                        v->saved, v->saved_size)
                   : STATUS_SUCCESS;
    case FWPS_VSWITCH_EVENT_RUNTIME_STATE_RESTORE:
        return t->vSwitchRuntimeStateRestoreNotifyFn != NULL
                   ? t->vSwitchRuntimeStateRestoreNotifyFn(ctx, completion, v->type, v->vswitch, v->port_id,
                                                           v->restored, v->restored_size)
                   : STATUS_SUCCESS;
    default:
        return t->vSwitchFilterEngineReorderNotifyRn != NULL
                   ? t->vSwitchFilterEngineReorderNotifyRn(ctx, completion, v->in_position, v->filters)
                   : STATUS_SUCCESS;
    }
}

/* ---- notes: the lock is held -------------------------------------------------------------------------------- */

static void answered(struct raised *r, NTSTATUS status)
{
    if (NT_SUCCESS(r->status) && !NT_SUCCESS(status))
        r->status = status;
}

static void unlink_note(struct vswitch_events *e, struct note *n)
{
    struct note **at = &e->notes;

    while (*at != n)
        at = &(*at)->next;
    *at = n->next;
}

/* One less to wait for; true: it was the last, and the event is the caller's to finish. */
static bool over(struct vswitch_events *e, struct raised *r)
{
    (void)e;
    return --r->waits == 0;
}

static void finish(struct raised *r)
{
    if (r->pended && r->completed != NULL)
        r->completed(r->ctx, r->status);
    free(r);
}

/* ---- raising and completing --------------------------------------------------------------------------------- */

/* The lock is held, left for the callback and taken again. */
static void tell(struct vswitch_events *e, struct subscription *s, const struct host_vswitch_event *v,
                 struct raised *r, struct note *n)
{
    struct rt_context *before;
    NTSTATUS status;

    *n = (struct note){.next = e->notes, .of = r, .subscription = s->id};
    e->notes = n;
    r->waits++;
    s->running++;
    rt_mutex_unlock(e->lock);
    before = rt_set_current(s->context);
    status = call(s, v, n);
    if (status == STATUS_PENDING && !may_pend(v->type)) {
        ledger_report(LEDGER_NOTE, NULL, "a virtual switch's event was pended that cannot be");
        status = STATUS_SUCCESS;
    }
    rt_set_current(before);
    rt_mutex_lock(e->lock);
    if (--s->running == 0)
        rt_cond_broadcast(e->idle);
    if (status == STATUS_PENDING && !n->done) {
        n->returned = true;
        r->pended = true;
        return;
    }
    answered(r, n->done ? n->status : status);
    unlink_note(e, n);
    (void)over(e, r);
    free(n);
}

NTSTATUS host_vswitch_raise(struct host *h, const struct host_vswitch_event *v)
{
    struct vswitch_events *e = vswitch_events_of(h);
    struct raised *r = calloc(1, sizeof(*r));
    NTSTATUS status;
    bool last;

    if (r == NULL)
        return STATUS_NO_MEMORY;
    *r = (struct raised){.waits = 1, .status = STATUS_SUCCESS, .completed = v->completed, .ctx = v->ctx};
    rt_mutex_lock(e->lock);
    for (UINT32 after = 0;;) { /* by id: lists change while nobody holds the lock */
        struct subscription *s = e->first;
        struct note *n;

        while (s != NULL && s->id <= after)
            s = s->next;
        if (s == NULL)
            break;
        after = s->id;
        n = malloc(sizeof(*n));
        if (n == NULL) {
            answered(r, STATUS_NO_MEMORY);
            break;
        }
        tell(e, s, v, r, n);
    }
    status = r->status;
    last = over(e, r);
    if (!last)
        status = STATUS_PENDING;
    else if (r->pended &&
             r->completed != NULL) /* it was completed meanwhile, but nobody was told that it waits */
        r->completed = NULL;
    rt_mutex_unlock(e->lock);
    if (last)
        finish(r);
    return status;
}

bool host_vswitch_complete(struct host *h, void *completion_context, NTSTATUS status)
{
    struct vswitch_events *e = vswitch_events_of(h);
    struct raised *r = NULL;
    struct note *n;

    rt_mutex_lock(e->lock);
    for (n = e->notes; n != NULL && n != completion_context; n = n->next)
        ;
    if (n == NULL || n->done || status == STATUS_PENDING) {
        rt_mutex_unlock(e->lock);
        return false;
    }
    if (!n->returned) { /* its callback is not back yet */
        n->done = true;
        n->status = status;
    } else {
        r = n->of;
        answered(r, status);
        unlink_note(e, n);
        if (!over(e, r))
            r = NULL;
        free(n);
    }
    rt_mutex_unlock(e->lock);
    if (r != NULL)
        finish(r);
    return true;
}
