/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ale_context: contexts that callouts keep with flows (ALE-13..19), and the options they set (ALE-10).
 *
 *   host_flow_associate() --> in the table --taken out by host_flow_remove() or the flow's end-->
 *        no classify of that callout has the flow: flowDeleteFn now, on the taker's stack
 *        one has:  on the list of the dying; flowDeleteFn when that classify returns, on its stack
 *
 * Who is in a classify is told by the holds: the engine asks for the context before it calls a callout
 * (ale_flow_context()), and indicate() says when the classify is back (ale_classified()). A callout that was
 * called before another one at the same layer may be held a little too long, never too short. Once out of the
 * table a context is seen by no further classify. flowDeleteFn runs with no lane held.
 *
 * A hold begins in its own thread's chain, without a lock: while there are no contexts at all nobody else can
 * ask for it, since what is associated later the classify has not been given. It goes to the lane's list,
 * where all see it, when there are contexts, or when its own thread is about to take some away.
 */
#include <stdlib.h>
#include <string.h>

#include "host/ale_inside.h"
#include "ledger/ledger.h"

struct ale_context {
    struct ale_context *next;
    UINT64 flow_id, context;
    FWPS_CALLOUT_FLOW_DELETE_NOTIFY_FN0 deleted;
    struct rt_context *context_of; /* the callout's: current while it is called back */
    UINT32 callout;
    UINT16 layer;
};

/* A list that is being called back; on the caller's stack. */
struct ale_calling {
    struct ale_calling *next;
    const struct ale_context *list;
    uintptr_t thread;
};

static struct ale_context **bucket(const struct ale *ale, UINT64 flow_id)
{
    return &ale->contexts[(flow_id * 0x9e3779b97f4a7c15ull >> 32) & (ale->context_buckets - 1)];
}

/* Where the context stands in its chain; *returned NULL: there is none. */
static struct ale_context **find(const struct ale *ale, UINT64 flow_id, UINT16 layer, UINT32 callout)
{
    struct ale_context **at = bucket(ale, flow_id);

    while (*at != NULL && ((*at)->flow_id != flow_id || (*at)->layer != layer || (*at)->callout != callout))
        at = &(*at)->next;
    return at;
}

/* Written with the lane held, read without. */
static void count_to(struct ale *ale, UINT32 count)
{
    __atomic_store_n(&ale->context_count, count, __ATOMIC_RELAXED);
}

static bool grow(struct ale *ale)
{
    UINT32 before = ale->context_buckets, buckets = before != 0 ? before * 2 : 64;
    struct ale_context **old = ale->contexts, **heads;

    if (ale->context_count < before)
        return true;
    heads = calloc(buckets, sizeof(struct ale_context *));
    if (heads == NULL)
        return before != 0;
    ale->contexts = heads;
    ale->context_buckets = buckets;
    for (UINT32 i = 0; i < before; i++) {
        while (old[i] != NULL) {
            struct ale_context *c = old[i], **head = bucket(ale, c->flow_id);

            old[i] = c->next;
            c->next = *head;
            *head = c;
        }
    }
    free(old);
    return true;
}

static void put_back(struct ale *ale, struct ale_context *c)
{
    c->next = ale->context_free;
    ale->context_free = c;
}

static void list_free(struct ale_context *c)
{
    while (c != NULL) {
        struct ale_context *next = c->next;

        free(c);
        c = next;
    }
}

void ale_contexts_destroy(struct lane *l)
{
    struct ale *ale = ale_of(l);

    for (UINT32 i = 0; i < ale->context_buckets; i++)
        list_free(ale->contexts[i]);
    free(ale->contexts);
    list_free(ale->context_free);
    list_free(ale->dying);
    rt_cond_destroy(ale->called);
}

/* ---- classifies under way ---------------------------------------------------------------------------------
 */

/* This thread's holds of this lane go to the list. */
static void list_own(struct ale *ale)
{
    for (struct ale_hold *k = rt_carried()->hold; k != NULL; k = k->outer) {
        if (k->listed || ale_of(k->scene->lane) != ale)
            continue;
        k->next = ale->holds;
        ale->holds = k;
        k->listed = true;
    }
}

static bool is_held(const struct ale *ale, const struct ale_context *c)
{
    for (const struct ale_hold *k = ale->holds; k != NULL; k = k->next)
        if (k->flow_id == c->flow_id && k->callout == c->callout && k->layer == c->layer)
            return true;
    return false;
}

/* Calls back a list that nobody else can see any more, then keeps its memory. Lane not held, nor kept. */
static void call_back(struct lane *l, struct ale_context *list)
{
    struct ale *ale = ale_of(l);
    struct ale_calling me = {.list = list, .thread = rt_self()}, **at;

    if (list == NULL)
        return;
    rt_mutex_lock(l->lock);
    me.next = ale->calling;
    ale->calling = &me;
    rt_mutex_unlock(l->lock);
    for (struct ale_context *c = list; c != NULL; c = c->next) {
        struct rt_context *before = rt_current();
        struct ledger_party *party = c->context_of != NULL ? c->context_of->party : NULL;

        if (c->context_of != NULL)
            rt_set_current(c->context_of);
        ledger_close_for(party, LEDGER_FLOW_CONTEXT, host_context_key(c->flow_id, c->layer, c->callout));
        c->deleted(c->layer, c->callout, c->context);
        rt_set_current(before);
    }
    rt_mutex_lock(l->lock);
    for (at = &ale->calling; *at != &me; at = &(*at)->next)
        ;
    *at = me.next;
    while (list != NULL) {
        struct ale_context *next = list->next;

        put_back(ale, list);
        list = next;
    }
    rt_cond_broadcast(ale->called);
    rt_mutex_unlock(l->lock);
}

static UINT64 count_of(const struct ale_context *c, UINT32 callout)
{
    UINT64 n = 0;

    for (; c != NULL; c = c->next)
        n += c->callout == callout;
    return n;
}

static bool is_called_elsewhere(const struct ale *ale, UINT32 callout)
{
    for (const struct ale_calling *k = ale->calling; k != NULL; k = k->next)
        if (k->thread != rt_self() && count_of(k->list, callout) != 0)
            return true;
    return false;
}

UINT64 host_callout_contexts(struct host *h, UINT32 callout_id)
{
    UINT64 n = 0;

    for (unsigned i = 0; i < h->lane_count; i++) {
        struct lane *l = &h->lanes[i];
        struct ale *ale = ale_of(l);

        rt_mutex_lock(l->lock);
        while (is_called_elsewhere(ale, callout_id))
            rt_cond_wait(ale->called, l->lock, RT_FOREVER);
        n += count_of(ale->dying, callout_id);
        for (UINT32 b = 0; b < ale->context_buckets; b++)
            n += count_of(ale->contexts[b], callout_id);
        rt_mutex_unlock(l->lock);
    }
    return n;
}

/* There are contexts, or somebody has asked for the hold: the list is where all see it. */
UINT64 ale_flow_context_listed(struct scene *s, UINT16 layer_id, UINT32 callout_id)
{
    struct ale *ale = ale_of(s->lane);
    struct ale_hold *k = &s->hold;
    const struct ale_context *c = NULL;
    UINT64 context;

    rt_mutex_lock(s->lane->lock);
    list_own(ale);
    k->flow_id = s->flow_id;
    k->layer = layer_id;
    k->callout = callout_id;
    if (ale->context_count != 0 && s->flow_id != 0)
        c = *find(ale, s->flow_id, layer_id, callout_id);
    context = c != NULL ? c->context : 0;
    rt_mutex_unlock(s->lane->lock);
    return context;
}

UINT64 ale_flow_context(void *ctx, UINT16 layer_id, UINT32 callout_id)
{
    return ale_flow_context_of(ctx, layer_id, callout_id);
}

void ale_classified_listed(struct scene *s)
{
    struct lane *l = s->lane;
    struct ale *ale = ale_of(l);
    struct ale_context *due = NULL, **at;
    struct ale_hold **hold;

    rt_mutex_lock(l->lock);
    for (hold = &ale->holds; *hold != &s->hold; hold = &(*hold)->next)
        ;
    *hold = s->hold.next;
    s->hold.listed = false;
    for (at = &ale->dying; *at != NULL;) {
        struct ale_context *c = *at;

        if (is_held(ale, c)) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        c->next = due;
        due = c;
    }
    rt_mutex_unlock(l->lock);
    call_back(l, due);
}

/* ---- the doors --------------------------------------------------------------------------------------------
 */

NTSTATUS host_flow_associate(struct host *h, UINT64 flow_id, UINT16 layer_id, UINT32 callout_id,
                             UINT64 context)
{
    struct lane *l = &h->lanes[0];
    struct ale *ale = ale_of(l);
    struct engine_callout callout;
    struct ale_context **at, *c;
    const struct host_flow *f;
    NTSTATUS status = STATUS_INVALID_PARAMETER;

    if (context == 0 || flow_id == 0 || callout_id == 0 ||
        !engine_callout_by_id(h->config.engine, callout_id, &callout) ||
        (callout.layer_id != layer_id && callout.layer_id != ENGINE_ANY_LAYER) || callout.flow_delete == NULL)
        return status;
    lane_lock(l);
    f = flow_table_by_id(l->flows, flow_id);
    if (f == NULL || f->marks & (FLOW_MARK_TORN | FLOW_MARK_GONE))
        goto out;
    status = STATUS_NO_MEMORY;
    if (!grow(ale))
        goto out;
    at = find(ale, flow_id, layer_id, callout_id);
    status = STATUS_OBJECT_NAME_EXISTS;
    if (*at != NULL)
        goto out;
    c = ale->context_free;
    if (c != NULL)
        ale->context_free = c->next;
    else
        c = malloc(sizeof(*c));
    status = STATUS_NO_MEMORY;
    if (c == NULL)
        goto out;
    *c = (struct ale_context){.flow_id = flow_id,
                              .context = context,
                              .deleted = callout.flow_delete,
                              .context_of = callout.context,
                              .callout = callout_id,
                              .layer = layer_id};
    *at = c;
    count_to(ale, ale->context_count + 1);
    status = STATUS_SUCCESS;
out:
    rt_mutex_unlock(l->lock);
    return status;
}

NTSTATUS host_flow_remove(struct host *h, UINT64 flow_id, UINT16 layer_id, UINT32 callout_id)
{
    struct lane *l = &h->lanes[0];
    struct ale *ale = ale_of(l);
    struct ale_context **at, *c = NULL;
    bool held = false;

    rt_mutex_lock(l->lock);
    if (ale->context_count != 0) {
        list_own(ale);
        at = find(ale, flow_id, layer_id, callout_id);
        c = *at;
        if (c != NULL) {
            *at = c->next;
            c->next = NULL;
            count_to(ale, ale->context_count - 1);
            held = is_held(ale, c);
        }
    }
    if (held) {
        c->next = ale->dying;
        ale->dying = c;
    }
    rt_mutex_unlock(l->lock);
    if (c == NULL)
        return STATUS_UNSUCCESSFUL;
    if (held)
        return STATUS_PENDING;
    call_back(l, c);
    return STATUS_SUCCESS;
}

/* Takes those of a callout out of a list. */
static UINT32 forget_in(struct ale *ale, struct ale_context **at, UINT32 callout)
{
    UINT32 n = 0;

    while (*at != NULL) {
        struct ale_context *c = *at;

        if (c->callout != callout) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        put_back(ale, c);
        n++;
    }
    return n;
}

void host_callout_forget(struct host *h, UINT32 callout_id)
{
    for (unsigned i = 0; i < h->lane_count; i++) {
        struct lane *l = &h->lanes[i];
        struct ale *ale = ale_of(l);
        UINT32 n = 0;

        rt_mutex_lock(l->lock);
        (void)forget_in(ale, &ale->dying, callout_id);
        for (UINT32 b = 0; b < ale->context_buckets; b++)
            n += forget_in(ale, &ale->contexts[b], callout_id);
        count_to(ale, ale->context_count - n);
        rt_mutex_unlock(l->lock);
    }
}

void ale_contexts_end(struct lane *l, UINT64 flow_id)
{
    struct ale *ale = ale_of(l);
    struct ale_context *due = NULL, **at;
    bool stayed;

    lane_enter(l);
    if (ale->context_count != 0)
        list_own(ale);
    for (at = ale->context_count != 0 ? bucket(ale, flow_id) : NULL; at != NULL && *at != NULL;) {
        struct ale_context *c = *at;

        if (c->flow_id != flow_id) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        count_to(ale, ale->context_count - 1);
        if (is_held(ale, c)) {
            c->next = ale->dying;
            ale->dying = c;
        } else {
            c->next = due;
            due = c;
        }
    }
    lane_leave(l);
    if (due == NULL)
        return;
    stayed = lane_rest(l);
    call_back(l, due);
    lane_back(l, stayed);
}

/* ---- options ----------------------------------------------------------------------------------------------
 */

static NTSTATUS option_check(FWP_CLASSIFY_OPTION_TYPE type, const FWP_VALUE0 *value)
{
    UINT32 top;

    switch (type) {
    case FWP_CLASSIFY_OPTION_MULTICAST_STATE:
        top = FWP_OPTION_VALUE_ALLOW_GLOBAL_MULTICAST_STATE;
        break;
    case FWP_CLASSIFY_OPTION_LOOSE_SOURCE_MAPPING:
        top = FWP_OPTION_VALUE_ENABLE_LOOSE_SOURCE;
        break;
    case FWP_CLASSIFY_OPTION_UNICAST_LIFETIME:
    case FWP_CLASSIFY_OPTION_MCAST_BCAST_LIFETIME:
        top = UINT32_MAX;
        break;
    default:
        return STATUS_FWP_INVALID_ENUMERATOR;
    }
    if (value->type != FWP_UINT32)
        return STATUS_OBJECT_TYPE_MISMATCH;
    if (value->uint32 > top || (top == UINT32_MAX && value->uint32 == 0))
        return STATUS_FWP_OUT_OF_BOUNDS;
    return STATUS_SUCCESS;
}

/* The options that a classify of this thread takes; NULL: none does. */
static struct ale_options *options_here(const struct host *h)
{
    for (const struct ale_hold *k = ale_hold_here(h); k != NULL; k = k->outer)
        if (k->scene->host == h && k->scene->options != NULL)
            return k->scene->options;
    return NULL;
}

NTSTATUS host_option_set(struct host *h, const void *classify_context, FWP_CLASSIFY_OPTION_TYPE type,
                         const FWP_VALUE0 *value)
{
    struct ale_options *o;
    NTSTATUS status;

    if (value == NULL)
        return STATUS_INVALID_PARAMETER;
    status = option_check(type, value);
    if (status != STATUS_SUCCESS)
        return status;
    o = options_here(h);
    if (o == NULL || (classify_context != NULL && classify_context != o))
        return STATUS_UNSUCCESSFUL; /* not from inside a classify that takes options */
    if (o->set >> type & 1)
        return STATUS_UNSUCCESSFUL; /* the first one's stands */
    o->set |= 1u << type;
    o->value[type] = value->uint32;
    return STATUS_SUCCESS;
}

/* FWPM_CALLOUT_SET_OPTIONS_*: what its filter's provider context lists. It decides nothing. The classify
 * context is a scene's options, since these callouts stand at AC and RA only. */
static void NTAPI set_options(const FWPS_INCOMING_VALUES0 *values,
                              const FWPS_INCOMING_METADATA_VALUES0 *metadata, void *layer_data,
                              const void *classify_context, const FWPS_FILTER3 *filter, UINT64 flow_context,
                              FWPS_CLASSIFY_OUT0 *out)
{
    const struct ale_options *o = classify_context;
    const FWPM_CLASSIFY_OPTIONS0 *list =
        filter->providerContext != NULL && filter->providerContext->type == FWPM_CLASSIFY_OPTIONS_CONTEXT
            ? filter->providerContext->classifyOptions
            : NULL;

    (void)values;
    (void)metadata;
    (void)layer_data;
    (void)flow_context;
    if (out->rights & FWPS_RIGHT_ACTION_WRITE)
        out->actionType = FWP_ACTION_CONTINUE;
    for (UINT32 i = 0; o != NULL && list != NULL && i < list->numOptions; i++)
        host_option_set(o->host, o, list->options[i].type, &list->options[i].value);
}

static const GUID *const option_callouts[4] = {
    &FWPM_CALLOUT_SET_OPTIONS_AUTH_CONNECT_LAYER_V4,
    &FWPM_CALLOUT_SET_OPTIONS_AUTH_CONNECT_LAYER_V6,
    &FWPM_CALLOUT_SET_OPTIONS_AUTH_RECV_ACCEPT_LAYER_V4,
    &FWPM_CALLOUT_SET_OPTIONS_AUTH_RECV_ACCEPT_LAYER_V6,
};

void ale_options_register(struct lane *l)
{
    for (unsigned i = 0; i < 4; i++) {
        const struct engine_callout c = {
            .key = *option_callouts[i], .version = 3, .classify.v3 = set_options};

        ale_of(l)->options_registered[i] = engine_callout_register(l->host->config.engine, &c) == 0;
    }
}

bool ale_sets_options(const struct lane *l, const GUID *callout)
{
    for (unsigned i = 0; i < 4; i++)
        if (ale_of(l)->options_registered[i] && memcmp(option_callouts[i], callout, sizeof(*callout)) == 0)
            return true;
    return false;
}

void ale_options_unregister(struct lane *l)
{
    for (unsigned i = 0; i < 4; i++)
        if (ale_of(l)->options_registered[i])
            engine_callout_unregister(l->host->config.engine, option_callouts[i]);
}
