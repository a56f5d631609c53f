/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events: the observer of the engine, the circular log, options, subscriptions and the audit; see events.h.
 *
 * The observer runs on classifying threads. It decides by atomics alone whether anybody wants to know, which
 * is nearly always no for a permit; only then is an event made and `lock` taken, for as long as it takes to
 * append and to post. It never takes bfe's mutex. Order: bfe's mutex, events' lock, notifier's lock.
 *
 * The log has 128 slots of 1 KB; an event takes as many as it needs, and the oldest make room.
 */
#include "bfe/events.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "bfe/net_event.h"
#include "bfe/outer.h"

#define LOG_SLOTS 128
#define SLOT_SIZE 1024

#define KNOWN_KEYWORDS                                                                                       \
    (FWPM_NET_EVENT_KEYWORD_INBOUND_MCAST | FWPM_NET_EVENT_KEYWORD_INBOUND_BCAST |                           \
     FWPM_NET_EVENT_KEYWORD_CAPABILITY_DROP | FWPM_NET_EVENT_KEYWORD_CAPABILITY_ALLOW |                      \
     FWPM_NET_EVENT_KEYWORD_CLASSIFY_ALLOW | FWPM_NET_EVENT_KEYWORD_PORT_SCANNING_DROP)
#define QUEUE_FLAGS                                                                                          \
    (FWPM_ENGINE_OPTION_PACKET_QUEUE_INBOUND | FWPM_ENGINE_OPTION_PACKET_QUEUE_FORWARD |                     \
     FWPM_ENGINE_OPTION_PACKET_BATCH_INBOUND)

struct bfe_event_subscription {
    struct bfe_event_subscription *next;
    struct bfe_session *session;
    struct net_event_template *template;
    struct notifier_sink *sink;
    unsigned version;
    bfe_event_callback callback;
    void *context;
};

struct audit {
    bfe_audit_sink sink;
    void *ctx;
    struct notifier_sink *queue;
};

struct bfe_events {
    struct bfe *bfe;
    _Atomic UINT32 options[FWPM_ENGINE_OPTION_MAX];
    _Atomic UINT32 audited; /* BFE_AUDIT_* categories */

    struct rt_mutex *lock; /* guards what follows */
    struct net_event *log[LOG_SLOTS];
    size_t first, count, slots;
    struct bfe_event_subscription *subscriptions;
    struct audit *audit;
};

static UINT32 option(const struct bfe_events *ev, FWPM_ENGINE_OPTION which)
{
    return atomic_load_explicit(&ev->options[which], memory_order_relaxed);
}

/* ---- the log ---------------------------------------------------------------------------------- */

static size_t slots_of(const struct net_event *e)
{
    size_t slots = (e->size + SLOT_SIZE - 1) / SLOT_SIZE;

    return slots < LOG_SLOTS ? slots : LOG_SLOTS;
}

static void log_drop_oldest(struct bfe_events *ev)
{
    struct net_event *e = ev->log[ev->first];

    ev->first = (ev->first + 1) % LOG_SLOTS;
    ev->count--;
    ev->slots -= slots_of(e);
    net_event_unref(e);
}

static void log_append(struct bfe_events *ev, struct net_event *e)
{
    size_t slots = slots_of(e);

    while (ev->slots + slots > LOG_SLOTS)
        log_drop_oldest(ev);
    ev->log[(ev->first + ev->count++) % LOG_SLOTS] = net_event_ref(e);
    ev->slots += slots;
}

void bfe_events_clear(struct bfe *b)
{
    struct bfe_events *ev = b->events;

    rt_mutex_lock(ev->lock);
    while (ev->count)
        log_drop_oldest(ev);
    rt_mutex_unlock(ev->lock);
}

NTSTATUS bfe_events_snapshot(struct bfe_session *s, const FWPM_NET_EVENT_ENUM_TEMPLATE0 *tmpl,
                             struct net_event ***out, size_t *count)
{
    struct bfe_events *ev = s->bfe->events;
    struct net_event_template *t;
    NTSTATUS status;

    if (!option(ev, FWPM_ENGINE_COLLECT_NET_EVENTS))
        return STATUS_FWP_NET_EVENTS_DISABLED;
    status = net_event_template_create(tmpl, &t);
    if (status != STATUS_SUCCESS)
        return status;
    bool readable = bfe_access_check_container(s, BFE_NET_EVENT, FWPM_ACTRL_READ) == STATUS_SUCCESS;
    struct net_event **rows = calloc(LOG_SLOTS, sizeof(struct net_event *));
    if (!rows) {
        net_event_template_destroy(t);
        return STATUS_NO_MEMORY;
    }
    *count = 0;
    rt_mutex_lock(ev->lock);
    for (size_t i = 0; readable && i < ev->count; i++) {
        struct net_event *e = ev->log[(ev->first + i) % LOG_SLOTS];
        if (net_event_matches(t, e))
            rows[(*count)++] = net_event_ref(e);
    }
    rt_mutex_unlock(ev->lock);
    net_event_template_destroy(t);
    *out = rows;
    return STATUS_SUCCESS;
}

/* ---- audit ------------------------------------------------------------------------------------ */

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

/* ---- the observer ----------------------------------------------------------------------------- */

/* Does the log collect this (AUD-02)? Allow events are of the authorization layers. */
static bool collects(const struct bfe_events *ev, const struct engine_request *q, enum net_event_kind kind,
                     bool permit)
{
    UINT32 keywords = option(ev, FWPM_ENGINE_NET_EVENT_MATCH_ANY_KEYWORDS);

    if (!option(ev, FWPM_ENGINE_COLLECT_NET_EVENTS))
        return false;
    if (permit && (!(keywords & FWPM_NET_EVENT_KEYWORD_CLASSIFY_ALLOW) ||
                   (kind != NET_EVENT_LISTEN && kind != NET_EVENT_CONNECTION && kind != NET_EVENT_BIND)))
        return false;
    switch (net_event_inbound_audience(q)) {
    case NET_TO_GROUP:
        return (keywords & FWPM_NET_EVENT_KEYWORD_INBOUND_MCAST) != 0;
    case NET_TO_ALL:
        return (keywords & FWPM_NET_EVENT_KEYWORD_INBOUND_BCAST) != 0;
    default:
        return true;
    }
}

static void free_event(void *payload)
{
    net_event_unref(payload);
}

static void collect(struct bfe_events *ev, struct net_event *e)
{
    rt_mutex_lock(ev->lock);
    log_append(ev, e);
    for (struct bfe_event_subscription *sub = ev->subscriptions; sub; sub = sub->next)
        if (net_event_fits(e, sub->version) && net_event_matches(sub->template, e))
            notifier_post(sub->sink, net_event_ref(e), free_event);
    rt_mutex_unlock(ev->lock);
}

static void audit_verdict(struct bfe_events *ev, struct net_event *e, UINT32 id)
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

static void classified(void *ctx, const struct engine_request *q, const struct engine_verdict *v)
{
    struct bfe_events *ev = ctx;
    enum net_event_kind kind = net_event_kind(q->values->layerId);
    bool permit = v->action == FWP_ACTION_PERMIT;
    struct net_event *e;
    UINT32 id;

    if (kind == NET_EVENT_NONE || (!permit && (v->flags & ENGINE_VERDICT_ABSORB))) /* AUD-03, AUD-11 */
        return;
    id = verdict_id(kind, permit, (v->flags & ENGINE_VERDICT_VETO) != 0);
    if (id && !(atomic_load_explicit(&ev->audited, memory_order_relaxed) & audit_category(id)))
        id = 0;
    bool wanted = collects(ev, q, kind, permit);
    if (!wanted && !id)
        return;
    e = net_event_create(q, v, rt_clock_filetime(ev->bfe->clock));
    if (!e)
        return; /* events come without guarantee */
    if (wanted)
        collect(ev, e);
    if (id)
        audit_verdict(ev, e, id);
    net_event_unref(e);
}

/* The engine tells of permits only while somebody wants them. */
static void choose_permits(struct bfe_events *ev)
{
    bool logged =
        option(ev, FWPM_ENGINE_COLLECT_NET_EVENTS) &&
        (option(ev, FWPM_ENGINE_NET_EVENT_MATCH_ANY_KEYWORDS) & FWPM_NET_EVENT_KEYWORD_CLASSIFY_ALLOW);

    engine_observe_permits(ev->bfe->engine, logged || (ev->audited & BFE_AUDIT_CONNECTION));
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
    choose_permits(ev);
    rt_mutex_unlock(ev->lock);
    if (before)
        notifier_close(before->queue, free_audit);
    return 0;
}

/* ---- options ---------------------------------------------------------------------------------- */

NTSTATUS bfe_option_get(struct bfe_session *s, FWPM_ENGINE_OPTION which, FWP_VALUE0 **value)
{
    NTSTATUS status;

    if (!value)
        return STATUS_FWP_NULL_POINTER;
    *value = NULL;
    if ((UINT32)which >= FWPM_ENGINE_OPTION_MAX)
        return STATUS_FWP_INVALID_ENUMERATOR;
    status = bfe_enter(s);
    if (status != STATUS_SUCCESS)
        return status;
    status = bfe_access_check_container(s, BFE_SECURED_ENGINE, FWPM_ACTRL_READ);
    if (status == STATUS_SUCCESS) {
        *value = calloc(1, sizeof(**value));
        if (*value)
            **value = (FWP_VALUE0){.type = FWP_UINT32, .uint32 = option(s->bfe->events, which)};
        else
            status = STATUS_NO_MEMORY;
    }
    bfe_leave(s);
    return status;
}

static NTSTATUS check_option(const struct bfe_events *ev, FWPM_ENGINE_OPTION which, const FWP_VALUE0 *value)
{
    if ((UINT32)which >= FWPM_ENGINE_OPTION_MAX)
        return STATUS_FWP_INVALID_ENUMERATOR;
    if (value->type != FWP_UINT32)
        return STATUS_FWP_TYPE_MISMATCH;
    switch (which) {
    case FWPM_ENGINE_COLLECT_NET_EVENTS:
        return value->uint32 <= 1 ? STATUS_SUCCESS : STATUS_FWP_OUT_OF_BOUNDS;
    case FWPM_ENGINE_NET_EVENT_MATCH_ANY_KEYWORDS:
        return value->uint32 & ~(UINT32)KNOWN_KEYWORDS ? STATUS_FWP_INVALID_FLAGS : STATUS_SUCCESS;
    case FWPM_ENGINE_MONITOR_IPSEC_CONNECTIONS: /* may be turned on, but not off again */
        if (value->uint32 > 1)
            return STATUS_FWP_OUT_OF_BOUNDS;
        return option(ev, which) && !value->uint32 ? STATUS_FWP_STILL_ON : STATUS_SUCCESS;
    case FWPM_ENGINE_PACKET_QUEUING:
        return value->uint32 & ~(UINT32)QUEUE_FLAGS ? STATUS_FWP_INVALID_FLAGS : STATUS_SUCCESS;
    case FWPM_ENGINE_NAME_CACHE: /* reserved for Windows' internal use */
        return STATUS_NOT_SUPPORTED;
    default:
        return STATUS_SUCCESS;
    }
}

NTSTATUS bfe_option_set(struct bfe_session *s, FWPM_ENGINE_OPTION which, const FWP_VALUE0 *value)
{
    struct bfe_events *ev = s->bfe->events;
    NTSTATUS status;

    if (!value)
        return STATUS_FWP_NULL_POINTER;
    status = bfe_enter(s);
    if (status != STATUS_SUCCESS)
        return status;
    status = bfe_outside_txn(s);
    if (status == STATUS_SUCCESS && s->dynamic)
        status = STATUS_FWP_DYNAMIC_SESSION_IN_PROGRESS;
    if (status == STATUS_SUCCESS)
        status = bfe_access_check_container(s, BFE_SECURED_ENGINE, FWPM_ACTRL_WRITE);
    if (status == STATUS_SUCCESS)
        status = check_option(ev, which, value);
    if (status == STATUS_SUCCESS) {
        /* The log is kept while collection is off, and emptied when it begins anew (logging). */
        if (which == FWPM_ENGINE_COLLECT_NET_EVENTS && value->uint32 && !option(ev, which))
            bfe_events_clear(s->bfe);
        rt_mutex_lock(ev->lock);
        atomic_store_explicit(&ev->options[which], value->uint32, memory_order_relaxed);
        choose_permits(ev);
        rt_mutex_unlock(ev->lock);
    }
    bfe_leave(s);
    return status;
}

/* ---- subscriptions ---------------------------------------------------------------------------- */

static void free_subscription(void *ctx)
{
    struct bfe_event_subscription *sub = ctx;

    net_event_template_destroy(sub->template);
    free(sub);
}

static void call_back(const struct bfe_event_subscription *sub, const void *event)
{
    switch (sub->version) {
    case 1:
        ((FWPM_NET_EVENT_CALLBACK0)sub->callback)(sub->context, event);
        break;
    case 2:
        ((FWPM_NET_EVENT_CALLBACK1)sub->callback)(sub->context, event);
        break;
    case 3:
        ((FWPM_NET_EVENT_CALLBACK2)sub->callback)(sub->context, event);
        break;
    case 4:
        ((FWPM_NET_EVENT_CALLBACK3)sub->callback)(sub->context, event);
        break;
    default:
        ((FWPM_NET_EVENT_CALLBACK4)sub->callback)(sub->context, event);
    }
}

static void deliver_event(void *ctx, const void *payload)
{
    struct bfe_event_subscription *sub = ctx;
    struct bfe_session *s = sub->session;
    struct net_event *e = (struct net_event *)payload; /* shared; only its count changes */
    void **copy;

    rt_mutex_lock(s->bfe->mutex);
    bool readable =
        !s->closing && bfe_access_check_container(s, BFE_NET_EVENT, FWPM_ACTRL_READ) == STATUS_SUCCESS;
    rt_mutex_unlock(s->bfe->mutex);
    if (!readable)
        return;
    copy = net_event_copy_array(&e, 1, sub->version);
    if (copy)
        call_back(sub, copy[0]);
    free(copy);
}

NTSTATUS bfe_event_subscribe(struct bfe_session *s, const FWPM_NET_EVENT_SUBSCRIPTION0 *subscription,
                             unsigned version, bfe_event_callback callback, void *context,
                             struct bfe_event_subscription **out)
{
    struct bfe_events *ev = s->bfe->events;
    struct bfe_event_subscription *sub = NULL;
    NTSTATUS status;

    if (!subscription || !callback || !out)
        return STATUS_FWP_NULL_POINTER;
    if (version < 1 || version > BFE_NET_EVENT_NEWEST)
        return STATUS_INVALID_PARAMETER;
    if (subscription->flags)
        return STATUS_FWP_INVALID_FLAGS;
    status = bfe_enter(s);
    if (status != STATUS_SUCCESS)
        return status;
    status = bfe_outside_txn(s);
    if (status == STATUS_SUCCESS)
        status = bfe_access_check_container(s, BFE_NET_EVENT, FWPM_ACTRL_SUBSCRIBE);
    if (status != STATUS_SUCCESS)
        goto leave;
    sub = calloc(1, sizeof(*sub));
    if (!sub) {
        status = STATUS_NO_MEMORY;
        goto leave;
    }
    sub->session = s;
    sub->version = version;
    sub->callback = callback;
    sub->context = context;
    status = net_event_template_create(subscription->enumTemplate, &sub->template);
    if (status == STATUS_SUCCESS && notifier_open(bfe_notifier(s->bfe), deliver_event, sub, &sub->sink))
        status = STATUS_NO_MEMORY;
    if (status != STATUS_SUCCESS)
        goto leave;
    rt_mutex_lock(ev->lock);
    sub->next = ev->subscriptions;
    ev->subscriptions = sub;
    rt_mutex_unlock(ev->lock);
    *out = sub;
    sub = NULL;
leave:
    bfe_leave(s);
    if (sub)
        free_subscription(sub);
    return status;
}

/* Takes the one asked for, or any of the session's when it is NULL, off the list. */
static struct bfe_event_subscription *take(struct bfe_session *s, const struct bfe_event_subscription *asked)
{
    struct bfe_events *ev = s->bfe->events;
    struct bfe_event_subscription **at, *sub;

    rt_mutex_lock(ev->lock);
    for (at = &ev->subscriptions; *at; at = &(*at)->next)
        if ((*at)->session == s && (!asked || *at == asked))
            break;
    sub = *at;
    if (sub)
        *at = sub->next;
    rt_mutex_unlock(ev->lock);
    return sub;
}

NTSTATUS bfe_event_unsubscribe(struct bfe_session *s, struct bfe_event_subscription *subscription)
{
    struct bfe_event_subscription *sub = NULL;
    NTSTATUS status = bfe_enter(s);

    if (status != STATUS_SUCCESS)
        return status;
    status = bfe_outside_txn(s);
    if (status == STATUS_SUCCESS) {
        sub = subscription ? take(s, subscription) : NULL;
        status = sub ? STATUS_SUCCESS : STATUS_INVALID_HANDLE;
    }
    bfe_leave(s);
    if (sub)
        notifier_close(sub->sink, free_subscription);
    return status;
}

void bfe_events_unsubscribe_all(struct bfe_session *s)
{
    struct bfe_event_subscription *sub;

    while ((sub = take(s, NULL)) != NULL)
        notifier_close(sub->sink, free_subscription);
}

/* As list_all() of subscribe.c: pointers, entries, then the conditions of all templates as if of one filter.
 */
NTSTATUS bfe_events_list(struct bfe *b, void ***entries, UINT32 *count)
{
    struct listed {
        FWPM_NET_EVENT_SUBSCRIPTION0 subscription;
        FWPM_NET_EVENT_ENUM_TEMPLATE0 template;
    } * listed;
    struct bfe_events *ev = b->events;
    FWPM_FILTER0 shell = {.displayData = {.name = (WCHAR *)u""}}, *copied;
    FWPM_FILTER_CONDITION0 *row = NULL;
    NTSTATUS status = STATUS_SUCCESS;
    size_t n = 0, conditions = 0, pointers, header;
    void **array;

    rt_mutex_lock(ev->lock);
    for (struct bfe_event_subscription *sub = ev->subscriptions; sub; sub = sub->next) {
        const FWPM_NET_EVENT_ENUM_TEMPLATE0 *t = net_event_template_described(sub->template);
        n++;
        conditions += t ? t->numFilterConditions : 0;
    }
    if (!n)
        goto unlock;
    row = calloc(conditions + 1, sizeof(*row));
    if (!row) {
        status = STATUS_NO_MEMORY;
        goto unlock;
    }
    for (struct bfe_event_subscription *sub = ev->subscriptions; sub; sub = sub->next) {
        const FWPM_NET_EVENT_ENUM_TEMPLATE0 *t = net_event_template_described(sub->template);
        if (!t || !t->numFilterConditions)
            continue;
        memcpy(row + shell.numFilterConditions, t->filterCondition, t->numFilterConditions * sizeof(*row));
        shell.numFilterConditions += t->numFilterConditions;
    }
    shell.filterCondition = row;
    pointers = (n * sizeof(void *) + 15) / 16 * 16;
    header = (pointers + n * sizeof(*listed) + 15) / 16 * 16;
    array = bfe_copy_after(header, BFE_FILTER, &shell);
    free(row);
    if (!array) {
        status = STATUS_NO_MEMORY;
        goto unlock;
    }
    listed = (void *)((UINT8 *)array + pointers);
    copied = (void *)((UINT8 *)array + header);
    conditions = n = 0;
    for (struct bfe_event_subscription *sub = ev->subscriptions; sub; sub = sub->next, n++) {
        const FWPM_NET_EVENT_ENUM_TEMPLATE0 *t = net_event_template_described(sub->template);
        array[n] = &listed[n].subscription;
        listed[n].subscription = (FWPM_NET_EVENT_SUBSCRIPTION0){.sessionKey = sub->session->desc->sessionKey};
        if (!t)
            continue;
        listed[n].subscription.enumTemplate = &listed[n].template;
        listed[n].template = *t;
        listed[n].template.filterCondition =
            t->numFilterConditions ? copied->filterCondition + conditions : NULL;
        conditions += t->numFilterConditions;
    }
    *entries = array;
    *count = (UINT32)n;
unlock:
    rt_mutex_unlock(ev->lock);
    return status;
}

/* ---- life --------------------------------------------------------------------------------------- */

int bfe_events_create(struct bfe *b)
{
    struct bfe_events *ev = calloc(1, sizeof(*ev));

    if (!ev)
        return -ENOMEM;
    ev->bfe = b;
    if (rt_mutex_create(&ev->lock)) {
        free(ev);
        return -ENOMEM;
    }
    atomic_init(&ev->options[FWPM_ENGINE_COLLECT_NET_EVENTS], 1); /* the documented default */
    b->events = ev;
    engine_set_observer(b->engine, &(struct engine_observer){.ctx = ev, .classified = classified});
    return 0;
}

void bfe_events_destroy(struct bfe *b)
{
    struct bfe_events *ev = b->events;

    if (!ev)
        return;
    engine_set_observer(b->engine, NULL);
    bfe_audit_set(b, 0, NULL, NULL);
    bfe_events_clear(b);
    rt_mutex_destroy(ev->lock);
    free(ev);
    b->events = NULL;
}
