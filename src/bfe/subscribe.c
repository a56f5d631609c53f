/* SPDX-License-Identifier: Apache-2.0 */
/*
 * subscribe: see subscribe.h.
 *
 * A commit publishes its changes under bfe's mutex: for each subscription that wants one, a FWPM_*_CHANGE0 is
 * put into the notifier's queue, which never blocks. Subscriptions are on one list, guarded by the mutex;
 * ending one takes it off the list first, so that nothing is posted to it any more, and then, without the
 * mutex, closes its sink.
 */
#include "bfe/subscribe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bfe/outer.h"
#include "bfe/template.h"

#define NOTIFY_FLAGS (FWPM_SUBSCRIPTION_FLAG_NOTIFY_ON_ADD | FWPM_SUBSCRIPTION_FLAG_NOTIFY_ON_DELETE)

struct bfe_subscription {
    struct bfe_subscription *next;
    struct bfe_session *session;
    enum bfe_kind kind;
    UINT32 flags;
    struct template *template;
    struct notifier_sink *sink;
    bfe_change_callback callback;
    void *context;
    UINT64 reported; /* losses told of by bfe_subscription_status */
};

struct bfe_state_subscription {
    struct bfe_state_subscription *next;
    struct notifier_sink *sink;
    FWPM_SERVICE_STATE_CHANGE_CALLBACK0 callback;
    void *context;
};

struct bfe_subscriptions {
    struct notifier *notifier;
    struct bfe_subscription *first;
    struct bfe_state_subscription *states;
};

int bfe_subscriptions_create(struct bfe *b)
{
    struct bfe_subscriptions *all = calloc(1, sizeof(*all));

    if (!all)
        return -ENOMEM;
    if (notifier_create(b->clock, &all->notifier)) {
        free(all);
        return -ENOMEM;
    }
    b->subscriptions = all;
    return 0;
}

static void free_state_subscription(void *ctx)
{
    free(ctx);
}

void bfe_subscriptions_destroy(struct bfe *b)
{
    struct bfe_subscriptions *all = b->subscriptions;

    if (!all)
        return;
    while (all->states) {
        struct bfe_state_subscription *sub = all->states;
        all->states = sub->next;
        notifier_close(sub->sink, free_state_subscription);
    }
    notifier_destroy(all->notifier);
    free(all);
    b->subscriptions = NULL;
}

struct notifier *bfe_notifier(struct bfe *b)
{
    return b->subscriptions->notifier;
}

void bfe_notify_limit(struct bfe *b, size_t limit)
{
    notifier_set_limit(b->subscriptions->notifier, limit);
}

void bfe_notify_flush(struct bfe *b)
{
    notifier_flush(b->subscriptions->notifier);
}

/* ---- changes of objects ----------------------------------------------------------------------- */

static bool is_stored(enum bfe_kind kind)
{
    return kind == BFE_PROVIDER || kind == BFE_PROVIDER_CONTEXT || kind == BFE_SUBLAYER ||
           kind == BFE_CALLOUT || kind == BFE_FILTER;
}

/* All five documented change structs, so that one size fits each. */
union change {
    FWPM_PROVIDER_CHANGE0 provider;
    FWPM_PROVIDER_CONTEXT_CHANGE0 context;
    FWPM_SUBLAYER_CHANGE0 sublayer;
    FWPM_CALLOUT_CHANGE0 callout;
    FWPM_FILTER_CHANGE0 filter;
};

static union change *describe(const struct bfe_change *change)
{
    FWPM_CHANGE_TYPE type = change->added ? FWPM_CHANGE_ADD : FWPM_CHANGE_DELETE;
    const struct bfe_object *o = change->object;
    union change *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    switch (change->kind) {
    case BFE_PROVIDER:
        c->provider = (FWPM_PROVIDER_CHANGE0){type, o->key};
        break;
    case BFE_PROVIDER_CONTEXT:
        c->context = (FWPM_PROVIDER_CONTEXT_CHANGE0){type, o->key, o->id};
        break;
    case BFE_SUBLAYER:
        c->sublayer = (FWPM_SUBLAYER_CHANGE0){type, o->key};
        break;
    case BFE_CALLOUT:
        c->callout = (FWPM_CALLOUT_CHANGE0){type, o->key, (UINT32)o->id};
        break;
    default:
        c->filter = (FWPM_FILTER_CHANGE0){type, o->key, o->id};
    }
    return c;
}

static bool wants(const struct bfe_subscription *sub, const struct bfe_session *by,
                  const struct bfe_change *change)
{
    UINT32 flag =
        change->added ? FWPM_SUBSCRIPTION_FLAG_NOTIFY_ON_ADD : FWPM_SUBSCRIPTION_FLAG_NOTIFY_ON_DELETE;

    return sub->kind == change->kind && sub->session != by && !sub->session->aborted && (sub->flags & flag) &&
           template_matches(sub->template, change->object) &&
           bfe_may(sub->session, change->kind, change->object, FWPM_ACTRL_READ) == STATUS_SUCCESS;
}

void bfe_changes_publish(struct bfe *b, struct bfe_session *s, const struct bfe_change *changes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bfe_events_audit_change(b, s, &changes[i]);
        for (struct bfe_subscription *sub = b->subscriptions->first; sub; sub = sub->next)
            if (wants(sub, s, &changes[i]))
                notifier_post(sub->sink, describe(&changes[i]), free);
    }
}

static void deliver(void *ctx, const void *payload)
{
    struct bfe_subscription *sub = ctx;

    switch (sub->kind) {
    case BFE_PROVIDER:
        ((FWPM_PROVIDER_CHANGE_CALLBACK0)sub->callback)(sub->context, payload);
        break;
    case BFE_PROVIDER_CONTEXT:
        ((FWPM_PROVIDER_CONTEXT_CHANGE_CALLBACK0)sub->callback)(sub->context, payload);
        break;
    case BFE_SUBLAYER:
        ((FWPM_SUBLAYER_CHANGE_CALLBACK0)sub->callback)(sub->context, payload);
        break;
    case BFE_CALLOUT:
        ((FWPM_CALLOUT_CHANGE_CALLBACK0)sub->callback)(sub->context, payload);
        break;
    default:
        ((FWPM_FILTER_CHANGE_CALLBACK0)sub->callback)(sub->context, payload);
    }
}

static void free_subscription(void *ctx)
{
    struct bfe_subscription *sub = ctx;

    template_destroy(sub->template);
    free(sub);
}

/* The five FWPM_*_SUBSCRIPTION0 have one layout, their templates differ. */
static FWPM_FILTER_SUBSCRIPTION0 subscription_head(const void *subscription)
{
    FWPM_FILTER_SUBSCRIPTION0 head;

    _Static_assert(sizeof(head) == sizeof(FWPM_PROVIDER_SUBSCRIPTION0), "one layout");
    _Static_assert(sizeof(head) == sizeof(FWPM_PROVIDER_CONTEXT_SUBSCRIPTION0), "one layout");
    _Static_assert(sizeof(head) == sizeof(FWPM_SUBLAYER_SUBSCRIPTION0), "one layout");
    _Static_assert(sizeof(head) == sizeof(FWPM_CALLOUT_SUBSCRIPTION0), "one layout");
    memcpy(&head, subscription, sizeof(head));
    return head;
}

NTSTATUS bfe_subscribe(struct bfe_session *s, enum bfe_kind kind, const void *subscription,
                       bfe_change_callback callback, void *context, struct bfe_subscription **out)
{
    struct bfe_subscription *sub = NULL;
    NTSTATUS status;

    if (!is_stored(kind))
        return STATUS_INVALID_PARAMETER;
    if (!subscription || !callback || !out)
        return STATUS_FWP_NULL_POINTER;
    status = bfe_enter(s);
    if (status != STATUS_SUCCESS)
        return status;
    status = bfe_outside_txn(s);
    if (status != STATUS_SUCCESS)
        goto leave;
    status = bfe_access_check_container(s, kind, FWPM_ACTRL_SUBSCRIBE);
    if (status != STATUS_SUCCESS)
        goto leave;
    FWPM_FILTER_SUBSCRIPTION0 head = subscription_head(subscription);
    status = head.flags & ~(UINT32)NOTIFY_FLAGS ? STATUS_FWP_INVALID_FLAGS
             : !head.flags                      ? STATUS_FWP_NEVER_MATCH
                                                : STATUS_SUCCESS;
    if (status != STATUS_SUCCESS)
        goto leave;
    sub = calloc(1, sizeof(*sub));
    if (!sub) {
        status = STATUS_NO_MEMORY;
        goto leave;
    }
    sub->session = s;
    sub->kind = kind;
    sub->flags = head.flags;
    sub->callback = callback;
    sub->context = context;
    status = template_create(kind, head.enumTemplate, false, &sub->template);
    if (status != STATUS_SUCCESS)
        goto leave;
    if (notifier_open(s->bfe->subscriptions->notifier, deliver, sub, &sub->sink)) {
        status = STATUS_NO_MEMORY;
        goto leave;
    }
    sub->next = s->bfe->subscriptions->first;
    s->bfe->subscriptions->first = sub;
    *out = sub;
    sub = NULL;
leave:
    bfe_leave(s);
    if (sub)
        free_subscription(sub);
    return status;
}

/* Where the list points to it; NULL when it does not. sub may be anything. Mutex held. */
static struct bfe_subscription **find(struct bfe_session *s, const struct bfe_subscription *sub)
{
    for (struct bfe_subscription **at = &s->bfe->subscriptions->first; *at; at = &(*at)->next)
        if (*at == sub && sub->session == s)
            return at;
    return NULL;
}

NTSTATUS bfe_unsubscribe(struct bfe_session *s, enum bfe_kind kind, struct bfe_subscription *subscription)
{
    NTSTATUS status = bfe_enter(s);
    struct bfe_subscription **at;

    if (status != STATUS_SUCCESS)
        return status;
    at = find(s, subscription);
    if (!at || subscription->kind != kind)
        status = STATUS_INVALID_HANDLE;
    else
        status = bfe_outside_txn(s);
    if (status == STATUS_SUCCESS)
        *at = subscription->next;
    bfe_leave(s);
    if (status == STATUS_SUCCESS)
        notifier_close(subscription->sink, free_subscription);
    return status;
}

NTSTATUS bfe_subscription_status(struct bfe_session *s, struct bfe_subscription *subscription,
                                 UINT64 *dropped)
{
    NTSTATUS status = bfe_enter(s);

    if (status != STATUS_SUCCESS)
        return status;
    if (!find(s, subscription)) {
        status = STATUS_INVALID_HANDLE;
    } else {
        *dropped = notifier_dropped(subscription->sink);
        status = *dropped > subscription->reported ? STATUS_FWP_NOTIFICATION_DROPPED : STATUS_SUCCESS;
        subscription->reported = *dropped;
    }
    bfe_leave(s);
    return status;
}

void bfe_subscriptions_drop(struct bfe_session *s)
{
    struct bfe *b = s->bfe;

    bfe_events_unsubscribe_all(s);
    for (;;) {
        rt_mutex_lock(b->mutex);
        struct bfe_subscription **at = &b->subscriptions->first, *sub;
        while (*at && (*at)->session != s)
            at = &(*at)->next;
        sub = *at;
        if (sub)
            *at = sub->next;
        rt_mutex_unlock(b->mutex);
        if (!sub)
            return;
        notifier_close(sub->sink, free_subscription);
    }
}

/* ---- listing ---------------------------------------------------------------------------------- */

/* One entry of the list that is handed out, with room for what its template points to. */
struct listed {
    FWPM_FILTER_SUBSCRIPTION0 subscription;
    union {
        UINT64 reserved;
        FWPM_PROVIDER_CONTEXT_ENUM_TEMPLATE0 context;
        FWPM_SUBLAYER_ENUM_TEMPLATE0 sublayer;
        FWPM_CALLOUT_ENUM_TEMPLATE0 callout;
        FWPM_FILTER_ENUM_TEMPLATE0 filter;
    } template;
    FWPM_PROVIDER_CONTEXT_ENUM_TEMPLATE0 filter_context;
    GUID keys[3];
};

static void move_key(GUID **key, GUID *to)
{
    if (*key) {
        *to = **key;
        *key = to;
    }
}

static void list_one(const struct bfe_subscription *sub, struct listed *l)
{
    const void *described = template_described(sub->template);

    *l = (struct listed){.subscription = {.flags = sub->flags, .sessionKey = sub->session->desc->sessionKey}};
    if (!described)
        return;
    l->subscription.enumTemplate = (void *)&l->template;
    switch (sub->kind) {
    case BFE_PROVIDER_CONTEXT:
        l->template.context = *(const FWPM_PROVIDER_CONTEXT_ENUM_TEMPLATE0 *)described;
        move_key(&l->template.context.providerKey, &l->keys[0]);
        break;
    case BFE_SUBLAYER:
        l->template.sublayer = *(const FWPM_SUBLAYER_ENUM_TEMPLATE0 *)described;
        move_key(&l->template.sublayer.providerKey, &l->keys[0]);
        break;
    case BFE_CALLOUT:
        l->template.callout = *(const FWPM_CALLOUT_ENUM_TEMPLATE0 *)described;
        move_key(&l->template.callout.providerKey, &l->keys[0]);
        break;
    case BFE_FILTER:
        l->template.filter = *(const FWPM_FILTER_ENUM_TEMPLATE0 *)described;
        move_key(&l->template.filter.providerKey, &l->keys[0]);
        move_key(&l->template.filter.calloutKey, &l->keys[1]);
        if (l->template.filter.providerContextTemplate) {
            l->filter_context = *l->template.filter.providerContextTemplate;
            move_key(&l->filter_context.providerKey, &l->keys[2]);
            l->template.filter.providerContextTemplate = &l->filter_context;
        }
        break;
    default: /* a provider's: reserved, zero */
        break;
    }
}

/*
 * All in one block: pointers, entries, then the conditions of all templates in a row. These are copied deeply
 * as if they were one filter's, as bfe_copy() knows how to.
 */
static NTSTATUS list_all(struct bfe *b, enum bfe_kind kind, void ***entries, UINT32 *count)
{
    FWPM_FILTER0 shell = {.displayData = {.name = (WCHAR *)u""}}, *copied;
    size_t n = 0, conditions = 0, header;
    struct listed *listed;
    void **array;

    for (struct bfe_subscription *sub = b->subscriptions->first; sub; sub = sub->next) {
        const FWPM_FILTER_ENUM_TEMPLATE0 *t = template_described(sub->template);
        if (sub->kind != kind)
            continue;
        n++;
        if (kind == BFE_FILTER && t)
            conditions += t->numFilterConditions;
    }
    if (!n)
        return STATUS_SUCCESS;
    FWPM_FILTER_CONDITION0 *row = calloc(conditions + 1, sizeof(*row));
    if (!row)
        return STATUS_NO_MEMORY;
    for (struct bfe_subscription *sub = b->subscriptions->first; sub; sub = sub->next) {
        const FWPM_FILTER_ENUM_TEMPLATE0 *t = template_described(sub->template);
        if (sub->kind != BFE_FILTER || kind != BFE_FILTER || !t || !t->numFilterConditions)
            continue;
        memcpy(row + shell.numFilterConditions, t->filterCondition, t->numFilterConditions * sizeof(*row));
        shell.numFilterConditions += t->numFilterConditions;
    }
    shell.filterCondition = row;
    header = (n * sizeof(void *) + 15) / 16 * 16 + n * sizeof(*listed);
    header = (header + 15) / 16 * 16;
    array = bfe_copy_after(header, BFE_FILTER, &shell);
    free(row);
    if (!array)
        return STATUS_NO_MEMORY;
    listed = (void *)((UINT8 *)array + (n * sizeof(void *) + 15) / 16 * 16);
    copied = (void *)((UINT8 *)array + header);
    conditions = 0;
    n = 0;
    for (struct bfe_subscription *sub = b->subscriptions->first; sub; sub = sub->next) {
        if (sub->kind != kind)
            continue;
        list_one(sub, &listed[n]);
        array[n] = &listed[n].subscription;
        if (kind == BFE_FILTER && listed[n].template.filter.numFilterConditions) {
            listed[n].template.filter.filterCondition = copied->filterCondition + conditions;
            conditions += listed[n].template.filter.numFilterConditions;
        }
        n++;
    }
    *entries = array;
    *count = (UINT32)n;
    return STATUS_SUCCESS;
}

NTSTATUS bfe_subscriptions_get(struct bfe_session *s, enum bfe_kind kind, void ***entries, UINT32 *count)
{
    NTSTATUS status;

    if (!is_stored(kind) && kind != BFE_NET_EVENT)
        return STATUS_INVALID_PARAMETER;
    if (!entries || !count)
        return STATUS_FWP_NULL_POINTER;
    *entries = NULL;
    *count = 0;
    status = bfe_enter(s);
    if (status != STATUS_SUCCESS)
        return status;
    status = bfe_access_check_container(s, kind, FWPM_ACTRL_READ);
    if (status == STATUS_SUCCESS)
        status = kind == BFE_NET_EVENT ? bfe_events_list(s->bfe, entries, count)
                                       : list_all(s->bfe, kind, entries, count);
    bfe_leave(s);
    return status;
}

/* ---- the service's state ---------------------------------------------------------------------- */

static FWPM_SERVICE_STATE state_of(const struct bfe *b)
{
    switch (b->service) {
    case BFE_BOOTING:
        return FWPM_SERVICE_START_PENDING;
    case BFE_RUNNING:
        return FWPM_SERVICE_RUNNING;
    default:
        return FWPM_SERVICE_STOPPED;
    }
}

FWPM_SERVICE_STATE bfe_state_get(struct bfe *b)
{
    rt_mutex_lock(b->mutex);
    FWPM_SERVICE_STATE state = state_of(b);
    rt_mutex_unlock(b->mutex);
    return state;
}

void bfe_state_publish(struct bfe *b, FWPM_SERVICE_STATE state)
{
    if (state == FWPM_SERVICE_START_PENDING)
        bfe_events_clear(b);
    for (struct bfe_state_subscription *sub = b->subscriptions->states; sub; sub = sub->next) {
        FWPM_SERVICE_STATE *payload = malloc(sizeof(*payload));
        if (payload) {
            *payload = state;
            notifier_post(sub->sink, payload, free);
        }
    }
}

static void deliver_state(void *ctx, const void *payload)
{
    struct bfe_state_subscription *sub = ctx;

    sub->callback(sub->context, *(const FWPM_SERVICE_STATE *)payload);
}

NTSTATUS bfe_state_subscribe(struct bfe *b, FWPM_SERVICE_STATE_CHANGE_CALLBACK0 callback, void *context,
                             struct bfe_state_subscription **out)
{
    struct bfe_state_subscription *sub;

    if (!callback || !out)
        return STATUS_FWP_NULL_POINTER;
    sub = calloc(1, sizeof(*sub));
    if (!sub)
        return STATUS_NO_MEMORY;
    sub->callback = callback;
    sub->context = context;
    if (notifier_open(b->subscriptions->notifier, deliver_state, sub, &sub->sink)) {
        free(sub);
        return STATUS_NO_MEMORY;
    }
    rt_mutex_lock(b->mutex);
    sub->next = b->subscriptions->states;
    b->subscriptions->states = sub;
    rt_mutex_unlock(b->mutex);
    *out = sub;
    return STATUS_SUCCESS;
}

NTSTATUS bfe_state_unsubscribe(struct bfe *b, struct bfe_state_subscription *subscription)
{
    struct bfe_state_subscription **at;

    rt_mutex_lock(b->mutex);
    for (at = &b->subscriptions->states; *at && *at != subscription;)
        at = &(*at)->next;
    bool found = *at != NULL;
    if (found)
        *at = subscription->next;
    rt_mutex_unlock(b->mutex);
    if (!found)
        return STATUS_INVALID_HANDLE;
    notifier_close(subscription->sink, free_state_subscription);
    return STATUS_SUCCESS;
}

/* ---- life of the outer half ------------------------------------------------------------------- */

int bfe_outer_create(struct bfe *b)
{
    int rc = bfe_access_create(b);

    if (!rc)
        rc = bfe_subscriptions_create(b);
    if (!rc)
        rc = bfe_events_create(b);
    if (rc)
        bfe_outer_destroy(b);
    return rc;
}

void bfe_outer_destroy(struct bfe *b)
{
    bfe_events_destroy(b);
    bfe_subscriptions_destroy(b);
    bfe_access_destroy(b);
}
