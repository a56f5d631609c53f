/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event_subscribe: who is told of net events (AUD-12). An event is posted to a subscription's queue when it
 * is logged and delivered by bfe's own thread, which asks then whether the subscriber may still read it.
 */
#include "bfe/events.h"

#include <stdlib.h>
#include <string.h>

#include "bfe/events_inside.h"

struct bfe_event_subscription {
    struct bfe_event_subscription *next;
    struct bfe_session *session;
    struct net_event_template *template;
    struct notifier_sink *sink;
    unsigned version;
    bfe_event_callback callback;
    void *context;
};

static void free_event(void *payload)
{
    net_event_unref(payload);
}

void events_post(struct bfe_events *ev, struct net_event *e)
{
    for (struct bfe_event_subscription *sub = ev->subscriptions; sub; sub = sub->next)
        if (net_event_fits(e, sub->version) && net_event_matches(sub->template, e))
            notifier_post(sub->sink, net_event_ref(e), free_event);
}

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
