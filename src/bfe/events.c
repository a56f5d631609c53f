/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events: the observer of the engine, the circular log and the engine's options; see events.h. Who is told is
 * in event_subscribe.c, the audit in audit.c.
 *
 * The observer runs on classifying threads. It decides by atomics alone whether anybody wants to know, which
 * is nearly always no for a permit; only then is an event made and `lock` taken, for as long as it takes to
 * append and to post. It never takes bfe's mutex. Order: bfe's mutex, events' lock, notifier's lock.
 *
 * The log has 128 slots of 1 KB; an event takes as many as it needs, and the oldest make room.
 */
#include "bfe/events.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bfe/events_inside.h"

#define KNOWN_KEYWORDS                                                                                       \
    (FWPM_NET_EVENT_KEYWORD_INBOUND_MCAST | FWPM_NET_EVENT_KEYWORD_INBOUND_BCAST |                           \
     FWPM_NET_EVENT_KEYWORD_CAPABILITY_DROP | FWPM_NET_EVENT_KEYWORD_CAPABILITY_ALLOW |                      \
     FWPM_NET_EVENT_KEYWORD_CLASSIFY_ALLOW | FWPM_NET_EVENT_KEYWORD_PORT_SCANNING_DROP)
#define QUEUE_FLAGS                                                                                          \
    (FWPM_ENGINE_OPTION_PACKET_QUEUE_INBOUND | FWPM_ENGINE_OPTION_PACKET_QUEUE_FORWARD |                     \
     FWPM_ENGINE_OPTION_PACKET_BATCH_INBOUND)

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

static void collect(struct bfe_events *ev, struct net_event *e)
{
    rt_mutex_lock(ev->lock);
    log_append(ev, e);
    events_post(ev, e);
    rt_mutex_unlock(ev->lock);
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
    id = events_audit_id(ev, kind, permit, (v->flags & ENGINE_VERDICT_VETO) != 0);
    bool wanted = collects(ev, q, kind, permit);
    if (!wanted && !id)
        return;
    e = net_event_create(q, v, rt_clock_filetime(ev->bfe->clock));
    if (!e)
        return; /* events come without guarantee */
    if (wanted)
        collect(ev, e);
    if (id)
        events_audit_verdict(ev, e, id);
    net_event_unref(e);
}

/* The engine tells of verdicts only while somebody wants them: while the log collects or an audit runs. */
void events_choose(struct bfe_events *ev)
{
    bool collects = option(ev, FWPM_ENGINE_COLLECT_NET_EVENTS) != 0;
    bool allows = collects && (option(ev, FWPM_ENGINE_NET_EVENT_MATCH_ANY_KEYWORDS) &
                               FWPM_NET_EVENT_KEYWORD_CLASSIFY_ALLOW);

    engine_observe_blocks(ev->bfe->engine,
                          collects || (ev->audited & (BFE_AUDIT_CONNECTION | BFE_AUDIT_PACKET_DROP)));
    engine_observe_permits(ev->bfe->engine, allows || (ev->audited & BFE_AUDIT_CONNECTION));
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
        events_choose(ev);
        rt_mutex_unlock(ev->lock);
    }
    bfe_leave(s);
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
