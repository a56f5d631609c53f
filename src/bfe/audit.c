/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit: verdicts and changes of objects under the numbers of Windows' security log (AUD-06, AUD-08, AUD-11),
 * for one sink, off by default. Records wait in a queue of the notifier's: the sink is called by bfe's own
 * thread, and what finds the queue full is lost.
 */
#include "bfe/events.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bfe/events_inside.h"

struct audit {
    bfe_audit_sink sink;
    void *ctx;
    struct notifier_sink *queue;
};

/* The record as it waits for the sink, with what it points to. */
struct audit_message {
    struct bfe_audit_record record;
    struct net_event *event;
    WCHAR text[]; /* name, then the user's */
};

static void free_audit_message(void *payload)
{
    struct audit_message *m = payload;

    if (m)
        net_event_unref(m->event);
    free(m);
}

static void deliver_audit(void *ctx, const void *payload)
{
    const struct audit_message *m = payload;
    struct audit *audit = ctx;

    audit->sink(audit->ctx, &m->record);
}

static UINT32 audit_category(UINT32 id)
{
    return id == 5152 || id == 5153 ? BFE_AUDIT_PACKET_DROP
           : id <= 5159             ? BFE_AUDIT_CONNECTION
                                    : BFE_AUDIT_POLICY_CHANGE;
}

/* The number for a verdict, 0 for none. A redirect layer's block is the connection's or the bind's (AUD-11).
 */
static UINT32 verdict_id(enum net_event_kind kind, bool permit, bool veto)
{
    if (veto)
        return 5153;
    switch (kind) {
    case NET_EVENT_LISTEN:
        return permit ? 5154 : 5155;
    case NET_EVENT_CONNECTION:
        return permit ? 5156 : 5157;
    case NET_EVENT_BIND:
        return permit ? 5158 : 5159;
    case NET_EVENT_CONNECTION_REDIRECT:
        return permit ? 0 : 5157;
    case NET_EVENT_BIND_REDIRECT:
        return permit ? 0 : 5159;
    default:
        return permit ? 0 : 5152;
    }
}

/* Persistent objects (and boot-time filters) that are added have numbers of their own. */
static UINT32 change_id(const struct bfe_change *change)
{
    bool persistent = change->added && change->object->lifetime == BFE_PERSISTENT;

    switch (change->kind) {
    case BFE_CALLOUT:
        return persistent ? 5440 : 5446;
    case BFE_FILTER:
        return persistent ? 5441 : 5447;
    case BFE_PROVIDER:
        return persistent ? 5442 : 5448;
    case BFE_PROVIDER_CONTEXT:
        return persistent ? 5443 : 5449;
    default:
        return persistent ? 5444 : 5450;
    }
}

static const FWPM_DISPLAY_DATA0 *display_data(const struct bfe_object *o)
{
    switch (o->kind) {
    case BFE_PROVIDER:
        return &o->provider->displayData;
    case BFE_PROVIDER_CONTEXT:
        return &o->context->displayData;
    case BFE_SUBLAYER:
        return &o->sublayer->displayData;
    case BFE_CALLOUT:
        return &o->callout->displayData;
    default:
        return &o->filter->displayData;
    }
}

static size_t length(const WCHAR *text)
{
    size_t n = 0;

    while (text && text[n])
        n++;
    return n;
}

static void audit_post(struct bfe_events *ev, struct audit_message *m)
{
    rt_mutex_lock(ev->lock);
    if (m && ev->audit)
        notifier_post(ev->audit->queue, m, free_audit_message);
    else
        free_audit_message(m);
    rt_mutex_unlock(ev->lock);
}

void bfe_events_audit_change(struct bfe *b, struct bfe_session *s, const struct bfe_change *change)
{
    struct bfe_events *ev = b->events;
    const WCHAR *name, *user;
    struct audit_message *m;

    if (change->object->lifetime == BFE_BUILTIN ||
        !(atomic_load_explicit(&ev->audited, memory_order_relaxed) & BFE_AUDIT_POLICY_CHANGE))
        return;
    name = display_data(change->object)->name;
    user = s ? s->desc->username : NULL;
    m = calloc(1, sizeof(*m) + (length(name) + length(user) + 2) * sizeof(WCHAR));
    if (!m)
        return;
    m->record = (struct bfe_audit_record){
        .id = change_id(change),
        .time = rt_clock_filetime(b->clock),
        .kind = change->kind,
        .added = change->added,
        .key = change->object->key,
        .run_time_id = change->object->id,
        .process_id = s ? s->desc->processId : 0,
    };
    if (name)
        m->record.name = memcpy(m->text, name, length(name) * sizeof(WCHAR));
    if (user)
        m->record.user_name = memcpy(m->text + length(name) + 1, user, length(user) * sizeof(WCHAR));
    audit_post(ev, m);
}

static void free_audit(void *ctx)
{
    free(ctx);
}

UINT32 events_audit_id(const struct bfe_events *ev, enum net_event_kind kind, bool permit, bool veto)
{
    UINT32 id = verdict_id(kind, permit, veto);

    if (id && !(atomic_load_explicit(&ev->audited, memory_order_relaxed) & audit_category(id)))
        id = 0;
    return id;
}

void events_audit_verdict(struct bfe_events *ev, struct net_event *e, UINT32 id)
{
    struct audit_message *m = calloc(1, sizeof(*m) + sizeof(WCHAR));

    if (!m)
        return;
    m->event = net_event_ref(e);
    m->record = (struct bfe_audit_record){.id = id, .event = &m->event->it};
    m->record.time = (UINT64)e->it.event.header.timeStamp.dwHighDateTime << 32 |
                     e->it.event.header.timeStamp.dwLowDateTime;
    audit_post(ev, m);
}

int bfe_audit_set(struct bfe *b, UINT32 categories, bfe_audit_sink sink, void *ctx)
{
    struct bfe_events *ev = b->events;
    struct audit *now = NULL, *before;

    if (categories && sink) {
        now = calloc(1, sizeof(*now));
        if (!now)
            return -ENOMEM;
        now->sink = sink;
        now->ctx = ctx;
        if (notifier_open(bfe_notifier(b), deliver_audit, now, &now->queue)) {
            free(now);
            return -ENOMEM;
        }
    }
    rt_mutex_lock(ev->lock);
    before = ev->audit;
    ev->audit = now;
    atomic_store_explicit(&ev->audited, now ? categories : 0, memory_order_relaxed);
    events_choose(ev);
    rt_mutex_unlock(ev->lock);
    if (before)
        notifier_close(before->queue, free_audit);
    return 0;
}
