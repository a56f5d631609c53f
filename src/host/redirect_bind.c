/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redirect_bind: BR, once for each bind: where the socket is bound, and so all of its connections; and EC, whose closure
 * may wait (RED-31).
 *
 *   bind:     CLASSIFYING --BR--> bound where the last version says --> RES
 *                          +----> pended: PENDED, until it is completed; then on to RES
 *   closure:  EC --nobody pends--> the flows' contexts, RR
 *                +--> pended: the endpoint stays, closing, with its flows' contexts; all of the rest comes with the
 *                     completion, on its caller's stack
 */
#include <stdlib.h>
#include <string.h>

#include "host/redirect_inside.h"

/* ---- bind ---------------------------------------------------------------------------------------------------- */

void host_endpoint_local(const struct host_endpoint *e, union wire_addr *address, UINT16 *port)
{
    *address = e->local;
    *port = e->local_port;
}

/* Lane held. NULL, or why it cannot be bound there. */
static const char *moves(struct lane *l, struct host_endpoint *e, const struct host_redirect_ends *to)
{
    const struct ale_endpoint_key key = {e->version, e->protocol, to->local_port, to->local};

    if (!wire_addr_is_unspecified(e->version, &to->local) && !host_is_local(l->host, e->version, &to->local))
        return "its address is none of this host";
    if (to->local_port != 0 && ale_endpoint_is_taken(l, &key, e))
        return "another socket is bound there";
    ale_endpoint_move(l, e, &key);
    return NULL;
}

static void refused(struct lane *l, const char *why)
{
    redirect_report("a redirection of a bind was refused: %s", why);
    host_count(&ale_of(l)->redirects->counts.refused);
}

/* All have answered: the endpoint is bound where they say. */
static enum ale_result conclude(struct lane *l, struct redirect *r, struct host_endpoint *e, struct scene *s,
                                const struct answer *a)
{
    const struct host_config *config = &l->host->config;
    struct redirects *x = ale_of(l)->redirects;
    struct host_redirected told = {
        .bind = true,
        .filter_id = r->current->filter_id,
        .endpoint_id = e->id,
        .frame = s->frame,
        .asked = {
            .version = e->version, .protocol = e->protocol, .local = e->local, .local_port = e->local_port}};
    const char *why = NULL;
    bool stayed;

    if (a->blocked && config->knobs.redirect_block_enforced)
        return ALE_REFUSED_BIND;
    if (a->blocked)
        host_count(&x->counts.blocks);
    if (r->current->number == 0)
        return ALE_PASS;
    told.given = told.asked;
    if (!redirect_address(&r->current->is.bind.localAddressAndPort, e->version, &told.given.local,
                          &told.given.local_port)) {
        refused(l, "its address is of another family");
        return ALE_REFUSED_BIND;
    }
    if (told.given.local_port == told.asked.local_port &&
        wire_addr_equal(&told.given.local, &told.asked.local))
        return ALE_PASS;
    lane_enter(l);
    why = moves(l, e, &told.given);
    if (why == NULL) {
        x->counts.binds++;
        ale_endpoint_of(e)->moved = true;
        __atomic_store_n(&x->any, true, __ATOMIC_RELAXED);
        if (!redirect_translate(x, &told.asked, &told.given, 0, e->id))
            why = "there is no memory";
    }
    lane_leave(l);
    if (why != NULL) {
        refused(l, why);
        return ALE_REFUSED_BIND;
    }
    if (config->redirected != NULL) {
        stayed = lane_rest(l);
        config->redirected(config->ctx, &told);
        lane_back(l, stayed);
    }
    return ALE_PASS;
}

/* With an operation of that kind. NULL: no memory. */
static struct redirect *begin(struct lane *l, enum redirect_kind kind, enum ale_kind of,
                              struct host_endpoint *e, UINT64 frame)
{
    struct redirect *r = redirect_new(l, kind);
    struct ale_operation *op;

    if (r == NULL)
        return NULL;
    lane_enter(l);
    op = ale_operation_begin(l, of, e, NULL);
    if (op != NULL && !ale_operation_redirect(l, op, r)) {
        ale_operation_end(l, op, NULL);
        op = NULL;
    }
    if (op == NULL)
        redirect_unref(r);
    else
        op->frame = frame;
    lane_leave(l);
    if (op == NULL)
        return NULL;
    r->op = op;
    return r;
}

/* BR is asked; ALE_PENDING: it waits. */
static enum ale_result ask_bind(struct lane *l, struct redirect *r, struct host_endpoint *e, struct scene *s,
                                struct answer *a, bool *over)
{
    uint8_t *state = &ale_endpoint_of(e)->bind;
    struct ale_operation *op = r->op;
    bool pended, due = false, gone;
    enum ale_result result;

    *over = true;
    redirect_ask(l, r, s, LAYER_BR, a);
    lane_enter(l);
    pended = op->pended;
    gone = e->closing || (*state != ALE_CLASSIFYING && *state != ALE_PENDED);
    if (pended && gone) {
        redirect_abandon(l, op, NULL);
    } else if (pended) {
        if (*state == ALE_CLASSIFYING)
            ale_step(l, state, ALE_EVENT_PEND);
        due = redirect_waits(l, r, NULL);
    }
    *over = !pended;
    lane_leave(l);
    if (pended) {
        a->blocked = true;
        if (due && !ale_defer(l, op))
            ale_operation_run(l, op);
        return gone ? ALE_REFUSED_BIND : ALE_PENDING;
    }
    result = gone ? ALE_REFUSED_BIND : conclude(l, r, e, s, a);
    lane_enter(l);
    ale_operation_end(l, op, NULL);
    lane_leave(l);
    return result;
}

enum ale_result redirect_bind(struct lane *l, struct host_endpoint *e, struct scene *s, struct answer *a)
{
    struct redirect *r;
    bool over;

    if (!redirect_has_filters(l, LAYER_BR, e->version)) {
        (void)indicate(s, LAYER_BR, a);
        return ALE_PASS;
    }
    r = begin(l, REDIRECT_BIND, ALE_BIND_REDIRECT, e, s->frame);
    if (r == NULL)
        return ALE_NO_MEMORY;
    r->version = e->version;
    redirect_sockaddr(&r->current->is.bind.localAddressAndPort, e->version, &e->local, e->local_port);
    return ask_bind(l, r, e, s, a, &over);
}

UINT64 redirect_bind_completed(struct lane *l, struct ale_operation *op, bool *tell)
{
    struct host_endpoint *e = op->endpoint;
    uint8_t *state = &ale_endpoint_of(e)->bind;
    struct redirect *r;
    enum ale_result result;
    struct answer a = {0};
    struct scene s;
    bool ok, over;

    lane_enter(l);
    r = ale_operation_redirected(l, op);
    ok = r != NULL && *state == ALE_PENDED && !e->closing && redirect_renew(l, r, ALE_BIND_REDIRECT, NULL) &&
         ale_step(l, state, ALE_EVENT_COMPLETE) && ale_step(l, state, ALE_EVENT_REAUTHORIZE);
    op->cancelled = true; /* it no longer waits */
    lane_leave(l);
    if (!ok)
        return 0;
    ale_endpoint_scene(&s, l, e, NULL);
    s.frame = op->frame;
    result = ask_bind(l, r, e, &s, &a, &over);
    if (result == ALE_PASS) {
        ale_endpoint_scene(&s, l, e, NULL); /* where it is bound now */
        s.frame = op->frame;
        ale_endpoint_settle(l, e, &s, &a);
    } else if (result != ALE_PENDING) {
        lane_enter(l);
        if (*state == ALE_CLASSIFYING)
            ale_step(l, state, ALE_EVENT_BLOCK);
        e->refused = true;
        lane_leave(l);
    }
    lane_enter(l);
    *tell = *state != ALE_PENDED;
    lane_leave(l);
    return a.blocked && result != ALE_PENDING ? a.filter_id : 0;
}

/* ---- closure ------------------------------------------------------------------------------------------------- */

/* Nobody else is asked, so whose turn it is goes without saying, and most never acquire a handle. Any thread that has the
 * scene in a classify. */
struct redirect *redirect_closure_late(struct scene *s, UINT32 callout)
{
    struct redirect_late *late = s->late;
    struct redirect *r = begin(s->lane, REDIRECT_CLOSURE, ALE_CLOSURE, s->endpoint, s->frame);
    bool ok;

    if (r == NULL)
        return NULL;
    lane_enter(s->lane);
    ok = redirect_turn_begins(r, late->filter_id, callout);
    if (!ok)
        ale_operation_end(s->lane, r->op, NULL);
    lane_leave(s->lane);
    if (!ok)
        return NULL;
    return s->redirect = late->r = r;
}

/* Of the only callout. False: there are others, or none of ours. *r: what came of it; NULL: nothing. */
static bool closure_alone(struct lane *l, struct scene *s, struct redirect **r)
{
    struct redirect_late late = {0};
    struct answer a;
    bool asked;

    s->late = &late;
    asked = !l->host->config.knobs.mapped_v6 && indicate_alone(s, LAYER_EC, &late.filter_id, &a);
    s->late = NULL;
    s->redirect = NULL;
    *r = late.r;
    if (late.r == NULL)
        return asked;
    lane_enter(l);
    redirect_turn_ends(late.r);
    lane_leave(l);
    return true;
}

/* Of all of them, in turn. NULL: there are none, or no memory. */
static struct redirect *closure_in_turn(struct lane *l, struct host_endpoint *e, struct scene *s)
{
    struct redirect *r = redirect_has_filters(l, LAYER_EC, e->version)
                             ? begin(l, REDIRECT_CLOSURE, ALE_CLOSURE, e, s->frame)
                             : NULL;
    struct answer a;

    if (r == NULL) /* it goes all the same, unasked by who could pend it */
        (void)indicate(s, LAYER_EC, &a);
    else
        redirect_ask(l, r, s, LAYER_EC, &a);
    return r;
}

bool redirect_closure(struct lane *l, struct host_endpoint *e, struct scene *s)
{
    struct redirect *r;
    bool pended, due = false;

    if (!closure_alone(l, s, &r))
        r = closure_in_turn(l, e, s);
    if (r == NULL)
        return false;
    lane_enter(l);
    r->scene_remote = s->remote;
    r->scene_remote_port = s->remote_port;
    r->any_remote = s->any_remote;
    r->inbound = s->connection_direction == FWP_DIRECTION_INBOUND;
    pended = r->op->pended;
    due = pended && r->op->outstanding == 0;
    if (!pended || due) { /* PEND-23: completed already, by all who pended it */
        bool again = false;

        for (UINT32 i = 0; due && i < r->answer_count; i++)
            again |= r->answers[i].again;
        if (!again) {
            ale_operation_end(l, r->op, NULL);
            pended = false;
        }
    }
    if (pended) {
        ale_endpoint_of(e)->closure = r;
        due = redirect_waits(l, r, NULL);
    }
    lane_leave(l);
    if (pended && due && !ale_defer(l, r->op)) {
        ale_operation_run(l, r->op);
        lane_enter(l);
        pended = ale_endpoint_of(e)->closure != NULL;
        lane_leave(l);
    }
    return pended;
}

bool redirect_closure_ends(struct host_endpoint *e, enum host_flow_end how)
{
    struct redirect *r = ale_endpoint_of(e)->closure;

    if (r == NULL)
        return false;
    r->whole = true;
    r->how = how;
    return true;
}

bool redirect_closure_adds(struct lane *l, struct host_endpoint *e, UINT64 flow_id)
{
    struct redirect *r = ale_endpoint_of(e)->closure;
    UINT64 *more;

    (void)l;
    if (r == NULL)
        return false;
    if (r->flow_count == r->flow_room) {
        more = realloc(r->flows, (r->flow_room + 8) * sizeof(*more));
        if (more == NULL)
            return false;
        r->flows = more;
        r->flow_room += 8;
    }
    r->flows[r->flow_count++] = flow_id;
    return true;
}

UINT32 host_closures(struct host *h, const struct host_owner *owner)
{
    struct lane *l = &h->lanes[0];
    UINT32 count = 0;

    lane_lock(l);
    if (redirects_of(h)->counts.closing != 0)
        for (UINT32 slot = 1; slot < ale_endpoints_slots(l); slot++) {
            const struct host_endpoint *e = ale_endpoint_at(l, slot);

            count += e != NULL && e->party->owner == owner && ale_endpoint_of(e)->closure != NULL;
        }
    rt_mutex_unlock(l->lock);
    return count;
}

/* What had to wait (ALE-33). */
static void rest_of_closure(struct lane *l, struct redirect *r, struct host_endpoint *e)
{
    for (UINT32 i = 0; i < r->flow_count; i++)
        ale_contexts_end(l, r->flows[i]);
    if (r->whole)
        ale_endpoint_end_flows(l, e, r->how);
    ale_endpoint_release(l, e, NULL);
}

void redirect_closure_completed(struct lane *l, struct ale_operation *op)
{
    struct host_endpoint *e = op->endpoint;
    struct redirect *r;
    bool again = false, pended = false, due = false;
    struct scene s;
    struct answer a;

    lane_enter(l);
    r = ale_operation_redirected(l, op);
    for (UINT32 i = 0; r != NULL && i < r->answer_count; i++)
        again |= r->answers[i].again;
    again = again && redirect_renew(l, r, ALE_CLOSURE, NULL);
    lane_leave(l);
    if (r == NULL)
        return;
    if (again) {
        ale_endpoint_scene(&s, l, e, NULL);
        s.remote = r->scene_remote;
        s.remote_port = r->scene_remote_port;
        s.any_remote = r->any_remote;
        s.connection_direction = r->inbound ? FWP_DIRECTION_INBOUND : FWP_DIRECTION_OUTBOUND;
        redirect_ask(l, r, &s, LAYER_EC, &a);
        lane_enter(l);
        pended = r->op->pended;
        if (pended)
            due = redirect_waits(l, r, NULL);
        lane_leave(l);
        if (pended && due && !ale_defer(l, r->op))
            ale_operation_run(l, r->op);
        if (pended)
            return;
    }
    lane_enter(l);
    ale_endpoint_of(e)->closure = NULL;
    ale_endpoint_ref(e);
    r->references++;
    lane_leave(l);
    rest_of_closure(l, r, e);
    lane_enter(l);
    if (again)
        ale_operation_end(l, r->op, NULL);
    redirect_unref(r);
    ale_endpoint_unref(l, e);
    lane_leave(l);
}
