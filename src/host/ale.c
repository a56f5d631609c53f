/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ale: the state machine of authorization, its operations, pending and completing.
 *
 * Subjects and states. A subject is something that must be allowed: a bind (ale_endpoint.bind), a listen
 * (.listen), a flow (host_flow.state, connect or accept). Its state is one of ale.h's; only ale_step() writes
 * it, by the table below. What the table has no entry for cannot happen; if it does, it is counted
 * (host_counts.impossible), changes nothing, and fails the tests.
 *
 *   begin          who                           event                  state
 *   ------------   ---------------------------   --------------------   ----------------------------------
 *   a packet or    the lane's worker:            BEGIN                  NEW, DENIED, PENDED -> CLASSIFYING
 *   socket call    ale_decide(), host_bind()
 *   classify       indicate(), lane not held
 *   a callout      host_pend(), on that stack    PEND                   CLASSIFYING -> PENDED
 *   pends
 *   it returns     the same worker, lane         PERMIT                 CLASSIFYING -> AUTHORIZED
 *                  entered again                                        PENDED      -> PENDED (PEND-11)
 *                                                BLOCK                  CLASSIFYING -> DENIED
 *                                                                       PENDED      -> DENIED (somebody
 *                                                                       else's hard block: PEND-11)
 *   later          host_complete(), any thread   COMPLETE               PENDED      -> COMPLETING
 *                  AC, RES, LIS: asked again     REAUTHORIZE            COMPLETING  -> CLASSIFYING
 *                  RA: nothing is asked          END                    COMPLETING  -> NEW (PEND-24)
 *   a packet       ale_decide()                  REAUTHORIZE            AUTHORIZED  -> CLASSIFYING
 *                                                ABSORB                 CLASSIFYING -> AUTHORIZED (ALE-27)
 *   end            ale_end_flow(), closure,      END                    any         -> NEW, or gone
 *                  idle time, abort
 *
 * Operations. An operation is one initial classify of a subject, from BEGIN until it is decided; it exists
 * because a callout may pend it. It has its own memory (a slab, slot and generation), for what is pended may
 * outlive its packet, its endpoint and its flow:
 *
 *   completion handle    (metadata)    generation and slot; good while the classify runs (PEND-02)
 *   completion context   (host_pend)   the same and a ticket; good until completed, once (PEND-13)
 *
 * Several callouts may pend one operation: it goes on when all tickets are back (PEND-42). Several operations
 * may wait for one flow, for packets of a pended UDP peer or repeated SYNs are asked again (PEND-36, 37): the
 * flow is PENDED while any waits, and a refused repetition does not end the wait of the others. A refused or
 * closed subject cancels its operations; completing them is accepted and does nothing (PEND-11, 41).
 *
 * Who may do what. A lane has one worker at a time: the thread that brings frames, moves the clock, binds,
 * listens and closes. Visitors come on any thread and at any time, also from inside a classify: host_pend(),
 * host_complete(), host_flow_*(), host_option_set(), host_reauthorize(). A visitor who has to classify does
 * it with a reader and room of its own (ale_visit()): the worker's may be in use further down on the same
 * stack.
 *
 * A completed accept, of which nothing is asked again, is put into the lane's backlog and ended by whoever enters the
 * lane next (ale_backlog.c).
 *
 * The lane's lock guards tables, states, operations, contexts and lists; it is never held while indicate(),
 * flowDeleteFn or the observer run. Before a classify the state is CLASSIFYING and the subject's generation
 * is noted; afterwards whoever finds another generation has been overtaken (aborted, ended, completed by
 * another thread) and leaves the subject as it is. Flows are named by slot and id across the gap, endpoints
 * by a reference, operations by slot and generation: no bare pointer is kept over it.
 *
 * What may be read without the lane: of an endpoint what is written before lookups and flows know it (id,
 * family, protocol, local end, parent, owner, interface, raw, wildcard, ...); of a flow its id and key, and
 * by the lane's worker alone, for it alone adds entries and takes them out; of an operation everything by who
 * runs it, once all tickets are back. All else changes under others: it is copied while the lane is held.
 *
 * Memory goes back late: an endpoint without references is put aside and freed when the clock moves, by the
 * worker, between frames, since a scene may still point to it; a flow that a visitor ends is marked
 * (FLOW_MARK_GONE, _TORN), and the worker takes it out of the table.
 *
 * Contexts of flows (ale_context.c) are called back exactly once: by whoever takes them out of the table, or, if
 * a classify of that callout is on its way with the context, by that classify's return (ALE-15, 16).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/redirect_inside.h"

/* ---- the table --------------------------------------------------------------------------------------------
 */

/* What is not named is impossible: 0. */
#define TO(state) ((state) + 1)
static const uint8_t table[ALE_STATES][ALE_EVENTS] = {
    [ALE_NEW] =
        {
            [ALE_EVENT_BEGIN] = TO(ALE_CLASSIFYING),
            [ALE_EVENT_END] = TO(ALE_NEW),
        },
    [ALE_CLASSIFYING] =
        {
            [ALE_EVENT_PEND] = TO(ALE_PENDED),
            [ALE_EVENT_PERMIT] = TO(ALE_AUTHORIZED),
            [ALE_EVENT_BLOCK] = TO(ALE_DENIED),
            [ALE_EVENT_ABSORB] = TO(ALE_AUTHORIZED),
            /* An earlier operation of the same flow is completed elsewhere: its answer counts. */
            [ALE_EVENT_COMPLETE] = TO(ALE_COMPLETING),
            [ALE_EVENT_END] = TO(ALE_NEW),
        },
    [ALE_PENDED] =
        {
            [ALE_EVENT_BEGIN] = TO(ALE_CLASSIFYING), /* PEND-36, 37 */
            [ALE_EVENT_PEND] = TO(ALE_PENDED),       /* PEND-42 */
            [ALE_EVENT_PERMIT] = TO(ALE_PENDED),
            [ALE_EVENT_BLOCK] = TO(ALE_DENIED),
            [ALE_EVENT_COMPLETE] = TO(ALE_COMPLETING),
            [ALE_EVENT_END] = TO(ALE_NEW),
        },
    [ALE_COMPLETING] =
        {
            [ALE_EVENT_REAUTHORIZE] = TO(ALE_CLASSIFYING),
            [ALE_EVENT_COMPLETE] = TO(ALE_COMPLETING),
            [ALE_EVENT_END] = TO(ALE_NEW),
        },
    [ALE_AUTHORIZED] =
        {
            [ALE_EVENT_REAUTHORIZE] = TO(ALE_CLASSIFYING),
            /* Another operation of the flow was permitted while this one waited. */
            [ALE_EVENT_COMPLETE] = TO(ALE_COMPLETING),
            [ALE_EVENT_END] = TO(ALE_NEW),
        },
    [ALE_DENIED] =
        {
            [ALE_EVENT_BEGIN] = TO(ALE_CLASSIFYING),
            [ALE_EVENT_END] = TO(ALE_NEW),
        },
};

bool ale_step(struct lane *l, uint8_t *state, enum ale_event event)
{
    uint8_t next = *state < ALE_STATES && (unsigned)event < ALE_EVENTS ? table[*state][event] : 0;

    if (next == 0) {
        host_count(&l->host->counts.impossible);
        return false;
    }
    *state = next - 1;
    return true;
}

bool ale_flow_step(struct lane *l, struct host_flow *f, enum ale_event event)
{
    if (!ale_step(l, &f->state, event))
        return false;
    f->generation++;
    f->marks &= (uint8_t) ~(FLOW_MARK_SHORT_OUT | FLOW_MARK_SHORT_IN);
    return true;
}

/* ---- completing
 * ---------------------------------------------------------------------------------------------
 */

void ale_let_go(struct lane *l, struct host_flow *f)
{
    if (f->state != ALE_PENDED || (f->operations != 0 && ale_operations_wait(l, f->operations, NULL)))
        return;
    ale_flow_step(l, f, ALE_EVENT_COMPLETE);
    ale_flow_step(l, f, ALE_EVENT_END);
    flow_table_touch(l->flows, f, ale_tick(l));
}

/* How its subject stands now. Lane held. */
static bool is_permitted(const struct ale_operation *op, const struct host_flow *f)
{
    if (op->kind == ALE_BIND || op->kind == ALE_BIND_REDIRECT)
        return ale_endpoint_of(op->endpoint)->bind == ALE_AUTHORIZED;
    if (op->kind == ALE_LISTEN)
        return ale_endpoint_of(op->endpoint)->listen == ALE_AUTHORIZED;
    return (op->kind == ALE_CONNECT || op->kind == ALE_CONNECT_REDIRECT) && f != NULL &&
           f->state == ALE_AUTHORIZED && !(f->marks & (FLOW_MARK_TORN | FLOW_MARK_GONE));
}

static enum host_operation operation_of(const struct ale_operation *op)
{
    switch (op->kind) {
    case ALE_CONNECT:
    case ALE_CONNECT_REDIRECT:
        return HOST_OPERATION_CONNECT;
    case ALE_ACCEPT:
        return HOST_OPERATION_ACCEPT;
    case ALE_CLOSURE:
        return HOST_OPERATION_CLOSURE;
    default:
        return HOST_OPERATION_BIND;
    }
}

/* Nothing is asked again: an accept, or what nobody waits for any more. Lane held. */
static bool is_quiet(const struct ale_operation *op)
{
    return op->cancelled || op->kind == ALE_ACCEPT;
}

/* Lane held. *c: what is told of it. */
static void finish(struct lane *l, struct ale_operation *op, struct host_completed *c)
{
    struct host_flow *f = op->flow_id != 0 ? ale_flow_at(l, op->flow_slot, op->flow_id) : NULL;
    const bool lets_go = !op->cancelled && op->kind == ALE_ACCEPT && f != NULL;

    *c = (struct host_completed){.frame = op->frame,
                                 .flow_id = op->flow_id,
                                 .operation = operation_of(op),
                                 .cancelled = op->cancelled,
                                 .permitted = is_permitted(op, f)};
    ale_operation_end(l, op, f);
    if (lets_go)
        ale_let_go(l, f);
}

void ale_operation_run(struct lane *l, struct ale_operation *op)
{
    const struct host_config *config = &l->host->config;
    struct host_completed c;
    UINT64 refused_by = 0;
    bool asks, cancelled, tell = true;

    lane_enter(l);
    asks = !is_quiet(op);
    cancelled = op->cancelled;
    lane_leave(l);
    if (asks && op->kind == ALE_CONNECT)
        refused_by = ale_connect_completed(l, op, &tell);
    else if (asks && op->kind == ALE_CONNECT_REDIRECT)
        refused_by = redirect_connect_completed(l, op, &tell);
    else if (asks && op->kind == ALE_BIND_REDIRECT)
        refused_by = redirect_bind_completed(l, op, &tell);
    else if (asks && op->kind == ALE_CLOSURE)
        redirect_closure_completed(l, op);
    else if (asks)
        refused_by = ale_endpoint_completed(l, op);
    lane_enter(l);
    finish(l, op, &c);
    lane_leave(l);
    c.cancelled = cancelled; /* not because it has been asked */
    c.refused_by = refused_by;
    if (config->completed != NULL && tell)
        config->completed(config->ctx, &c);
}

/* ---- pend, complete ---------------------------------------------------------------------------------------
 */

static bool may_pend(const struct ale_hold *k)
{
    const struct scene *s = k->scene;

    return s->completion_handle != NULL && s->reauthorize == 0 &&
           !(s->flags & FWP_CONDITION_FLAG_IS_REAUTHORIZE) &&
           !engine_layer_by_id(k->layer)->discard; /* PKT-22 */
}

/* A bind or listen shows at once that it waits, a flow when its classify is back. Lane held. */
static void show_pended(struct lane *l, struct ale_operation *op)
{
    struct ale_endpoint *x = ale_endpoint_of(op->endpoint);

    if (op->kind == ALE_BIND)
        ale_step(l, &x->bind, ALE_EVENT_PEND);
    else if (op->kind == ALE_LISTEN)
        ale_step(l, &x->listen, ALE_EVENT_PEND);
}

/* Until an operation's first ticket is given out, nobody but the thread that classifies it knows of it. */
NTSTATUS host_pend(struct host *h, HANDLE completion_handle, HANDLE *completion_context)
{
    struct lane *l = &h->lanes[0];
    struct ale *ale = ale_of(l);
    struct ale_hold *k = ale_hold_here(h);
    struct ale_operation *op;
    HANDLE context;
    bool shared;

    if (k != NULL && !may_pend(k)) /* PEND-03..09, 43, 45: whatever the handle */
        return STATUS_FWP_CANNOT_PEND;
    if (k == NULL || completion_context == NULL || completion_handle == NULL ||
        completion_handle != k->scene->completion_handle)
        return STATUS_FWP_NULL_POINTER;
    if (k->scene->pended == NULL)
        return STATUS_FWP_NULL_POINTER;
    op = ale_operation_named(ale, completion_handle); /* it runs as long as its scene */
    if (__atomic_load_n(&ale->closing, __ATOMIC_RELAXED))
        return STATUS_FWP_TCPIP_NOT_READY;
    shared = op->pended || op->kind == ALE_BIND || op->kind == ALE_LISTEN;
    if (shared)
        lane_lock(l);
    context = ale_operation_pend(ale, op, k->callout);
    if (context != NULL && !op->pended) {
        op->pended = true;
        show_pended(l, op);
    }
    if (shared)
        rt_mutex_unlock(l->lock);
    if (context == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    *completion_context = context;
    return STATUS_SUCCESS;
}

void host_complete_ahead(struct host *h, HANDLE completion_context)
{
    const struct ale *ale = ale_of(&h->lanes[0]);

    __builtin_prefetch(ale_operation_awaited(ale, ale_operation_slot(completion_context)), 1);
    __builtin_prefetch(ale_operation_named(ale, completion_context), 1);
}

/* A last completion of what is not quiet. */
static void carry_on(struct lane *l, struct ale_operation *op)
{
    struct lane *visitor;

    if (ale_defer(l, op))
        return;
    while ((visitor = ale_visit(l->host)) == NULL) /* no memory: it is owed all the same */
        rt_yield();
    ale_operation_run(visitor, op);
    ale_leave(visitor);
}

/* The general way: what is asked again, put off, cancelled, pended by several, or still has its classify; and what is no
 * context, any longer. The lane is held, and left. */
static __attribute__((noinline)) NTSTATUS complete_slowly(struct lane *l, HANDLE completion_context)
{
    const unsigned bit = ale_operation_bit(completion_context);
    const struct host_config *config = &l->host->config;
    struct host_completed c;
    struct ale_operation *op;
    bool run, quiet;

    lane_settle(l);
    op = ale_operation_of(ale_of(l), completion_context);
    if (op == NULL || !(op->outstanding & bit)) {
        rt_mutex_unlock(l->lock);
        return STATUS_INVALID_PARAMETER; /* PEND-13 */
    }
    op->outstanding &= (uint8_t)~bit;
    run = op->outstanding == 0 && op->waiting;
    quiet = run && is_quiet(op) && ale_of(l)->defer == NULL;
    if (quiet)
        finish(l, op, &c);
    rt_mutex_unlock(l->lock);
    if (run && !quiet)
        carry_on(l, op);
    else if (quiet && config->completed != NULL)
        config->completed(config->ctx, &c);
    return STATUS_SUCCESS;
}

/* The lane is held, and left before it is told. */
static __attribute__((noinline)) void tell_accepted(struct lane *l, const struct ale_operation *op)
{
    const struct host_config *config = &l->host->config;
    const struct host_completed c = {.frame = op->frame,
                                     .flow_id = op->flow_id,
                                     .operation = HOST_OPERATION_ACCEPT,
                                     .cancelled = op->cancelled};

    rt_mutex_unlock(l->lock);
    config->completed(config->ctx, &c);
}

NTSTATUS host_complete(struct host *h, HANDLE completion_context)
{
    struct lane *l = &h->lanes[0];
    struct ale *ale = ale_of(l);
    const uintptr_t slot = ale_operation_slot(completion_context);
    struct ale_operation *op;

    rt_mutex_lock(l->lock); /* what is in the backlog may stay there: no context of it is awaited */
    if (__builtin_expect(slot >= ale->operation_slots || ale->defer != NULL ||
                             *ale_operation_awaited(ale, slot) != completion_context,
                         0))
        return complete_slowly(l, completion_context);
    *ale_operation_awaited(ale, slot) = NULL;
    op = ale_operation_named(ale, completion_context);
    ale_backlog_put(l, op);
    if (__builtin_expect(h->config.completed != NULL, 0)) /* ended or not, it is as it was */
        tell_accepted(l, op);
    else
        rt_mutex_unlock(l->lock);
    return STATUS_SUCCESS;
}

/* ---- visitors ---------------------------------------------------------------------------------------------
 */

struct ale_visitor {
    struct lane lane; /* first */
    struct ale_visitor *next;
};

static void visitor_destroy(struct ale_visitor *v)
{
    if (v->lane.scratch != NULL)
        scratch_destroy(v->lane.scratch);
    if (v->lane.reader != NULL)
        engine_reader_destroy(v->lane.reader);
    free(v);
}

struct lane *ale_visit(struct host *h)
{
    struct lane *l = &h->lanes[0];
    struct ale *ale = ale_of(l);
    struct ale_visitor *v;

    rt_mutex_lock(l->lock);
    v = ale->visitors;
    if (v != NULL)
        ale->visitors = v->next;
    rt_mutex_unlock(l->lock);
    if (v != NULL)
        return &v->lane;
    v = calloc(1, sizeof(*v));
    if (v == NULL)
        return NULL;
    v->lane = (struct lane){
        .host = h,
        .lock = l->lock,
        .backlog = l->backlog,
        .flows = l->flows,
        .fragments = l->fragments,
        .endpoints = l->endpoints,
        .ale = l->ale,
        .segments = l->segments,
        .memory = l->memory,
    };
    if (engine_reader_create(h->config.engine, &v->lane.reader) != 0 ||
        scratch_create(h, &v->lane.scratch) != 0) {
        visitor_destroy(v);
        return NULL;
    }
    return &v->lane;
}

void ale_leave(struct lane *visitor)
{
    struct ale_visitor *v = (struct ale_visitor *)visitor;
    struct ale *ale = ale_of(visitor);

    rt_mutex_lock(visitor->lock);
    v->next = ale->visitors;
    ale->visitors = v;
    rt_mutex_unlock(visitor->lock);
}

/* ---- life -------------------------------------------------------------------------------------------------
 */

int ale_create(struct lane *l)
{
    struct ale *ale = calloc(1, sizeof(*ale));
    int e;

    if (ale == NULL)
        return -ENOMEM;
    l->ale = ale;
    l->backlog = &ale->backlog.count;
    ale_clock(l, l->host->now_ns);
    e = ale_operations_create(ale);
    if (e != 0)
        goto no_operations;
    e = rt_cond_create(rt_clock_real(), &ale->called);
    if (e != 0)
        goto no_cond;
    e = redirects_create(ale);
    if (e != 0)
        goto no_redirects;
    e = ale_endpoints_create(l);
    if (e != 0)
        goto no_endpoints;
    ale_options_register(l);
    return ale_defer_create(l);

no_endpoints:
    redirects_destroy(l);
no_redirects:
    rt_cond_destroy(ale->called);
no_cond:
    ale_operations_destroy(ale);
no_operations:
    free(ale);
    l->ale = NULL;
    return e;
}

void ale_destroy(struct lane *l)
{
    struct ale *ale = ale_of(l);

    if (ale == NULL)
        return;
    ale_defer_destroy(l);
    ale_options_unregister(l);
    while (ale->visitors != NULL) {
        struct ale_visitor *v = ale->visitors;

        ale->visitors = v->next;
        visitor_destroy(v);
    }
    ale_contexts_destroy(l);
    redirects_destroy(l);
    ale_endpoints_destroy(l);
    ale_operations_destroy(ale);
    free(ale);
    l->ale = NULL;
}

/* All EC first, then all flows, then all RR: for each endpoint that is the order of ALE-33, and no flow has
 * to be looked for. Accepted sockets before those that listened. */
static void shut_down(struct lane *l, bool release)
{
    for (int accepted = 1; accepted >= 0; accepted--) {
        for (UINT32 slot = 1;; slot++) {
            struct host_endpoint *e;
            bool more, due;

            lane_enter(l);
            more = slot < ale_endpoints_slots(l);
            e = ale_endpoint_at(l, slot);
            due = e != NULL && !ale_endpoint_of(e)->closed && (e->parent != NULL) == accepted &&
                  !(release && ale_endpoint_of(e)->closure != NULL); /* RED-31 */
            lane_leave(l);
            if (!more)
                break;
            if (!due)
                continue;
            if (release)
                ale_endpoint_release(l, e, NULL);
            else
                (void)ale_endpoint_closure(l, e, NULL);
        }
    }
}

void ale_shutdown(struct host *h)
{
    for (size_t i = 0; i < h->lane_count; i++) {
        struct lane *l = &h->lanes[i];
        struct host_flow *f;

        lane_enter(l);
        __atomic_store_n(&ale_of(l)->closing, true, __ATOMIC_RELAXED);
        lane_leave(l);
        shut_down(l, false);
        while ((f = ale_flow_oldest(l)) != NULL)
            ale_end_flow(l, f, HOST_END_ENDPOINT);
        shut_down(l, true);
        ale_endpoints_advance(l);
    }
}

void ale_advance(struct lane *l, UINT64 now_ns)
{
    lane_enter(l);
    ale_clock(l, now_ns);
    lane_leave(l);
    ale_flows_expire(l);
    ale_endpoints_advance(l);
}
