/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ale_bind: what is asked about an endpoint itself: BR and RES when it is bound, LIS when it listens, EC and
 * RR when it goes (ALE-30..34, ORD-01). host_bind() and its like are for who knows of socket calls; for the
 * others a packet shows that the call must have been made, and the flags say that it was implied.
 *
 * At these layers there is no packet and no other end (ALE-37); they follow the socket's family (MATCH-23).
 */
#include <stdlib.h>
#include <string.h>

#include "host/redirect_inside.h"
#include "host/walk.h"

void ale_endpoint_scene(struct scene *s, struct lane *l, struct host_endpoint *e, const struct scene *from)
{
    const struct host *h = l->host;

    memset(s, 0, sizeof(*s));
    s->host = l->host;
    s->lane = l;
    s->time_ns = ale_now(l);
    if (from != NULL) {
        s->frame = from->frame;
        s->time_ns = from->time_ns;
    }
    s->version = e->version;
    s->protocol = e->protocol;
    s->local = e->local;
    s->local_port = e->local_port;
    s->endpoint = e;
    s->any_remote = true;
    s->packet_direction = FWP_DIRECTION_OUTBOUND;
    s->connection_direction = FWP_DIRECTION_OUTBOUND;
    s->interface = e->interface_index != 0 ? host_interface_by_index(h, e->interface_index)
                   : e->wildcard           ? NULL
                                           : host_interface_of(h, e->version, &e->local);
    s->loopback = wire_addr_is_loopback(e->version, &e->local);
}

/* One classify of a bind or listen. The state is CLASSIFYING. */
static enum ale_result settle(struct lane *l, struct host_endpoint *e, struct scene *s, enum ale_kind kind,
                              bool initial, struct answer *a)
{
    struct ale_endpoint *x = ale_endpoint_of(e);
    const enum host_layer role = kind == ALE_BIND ? LAYER_RES : LAYER_LIS;
    uint8_t *state = kind == ALE_BIND ? &x->bind : &x->listen;
    const struct recalled *known = indicate_recalls(s, role);
    struct ale_operation *op = NULL;
    enum ale_outcome outcome;
    bool due = false;

    if (initial && known == NULL) {
        lane_enter(l);
        op = ale_operation_begin(l, kind, e, NULL);
        if (op == NULL)
            ale_step(l, state, ALE_EVENT_BLOCK);
        else
            e->operation = op;
        lane_leave(l);
        if (op == NULL)
            return ALE_NO_MEMORY;
        s->completion_handle = ale_operation_handle(op);
        s->pended = &op->pended;
    }
    if (known != NULL)
        indicate_known(s, role, known, a);
    else
        indicate(s, role, a);
    lane_enter(l);
    outcome = op != NULL ? ale_operation_returned(l, op, NULL, a) : a->blocked ? ALE_REFUSED : ALE_PERMITTED;
    if (*state != ALE_CLASSIFYING && *state != ALE_PENDED) {
        outcome = ALE_REFUSED; /* closed meanwhile */
    } else if (outcome == ALE_PERMITTED) {
        ale_step(l, state, ALE_EVENT_PERMIT);
        if (kind == ALE_BIND)
            e->assigned++; /* ALE-31 */
        else
            e->listening = true;
    } else if (outcome == ALE_REFUSED) {
        ale_step(l, state, ALE_EVENT_BLOCK);
        e->refused |= kind == ALE_BIND;
    } else {
        due = ale_operation_due(op);
    }
    lane_leave(l);
    if (due) { /* PEND-23 */
        ale_operation_run(l, op);
        lane_enter(l);
        outcome = *state == ALE_AUTHORIZED ? ALE_PERMITTED : ALE_REFUSED;
        lane_leave(l);
    }
    return outcome == ALE_PERMITTED ? ALE_PASS : outcome == ALE_WAITS ? ALE_PENDING : ALE_REFUSED_BIND;
}

static bool begin(struct lane *l, uint8_t *state)
{
    bool ok;

    lane_enter(l);
    ok = ale_step(l, state, ALE_EVENT_BEGIN);
    lane_leave(l);
    return ok;
}

enum ale_result ale_endpoint_bind(struct lane *l, struct host_endpoint *e, const struct scene *from,
                                  struct answer *a)
{
    struct ale_endpoint *x = ale_endpoint_of(e);
    enum ale_result r;
    struct scene s;

    ale_endpoint_scene(&s, l, e, from);
    if (!begin(l, &x->bind))
        return ALE_NO_MEMORY;
    if (!redirect_may_skip(l, LAYER_BR, e->version)) {
        r = redirect_bind(l, e, &s, a);
        if (r == ALE_PENDING)
            return r;
        if (r != ALE_PASS) {
            lane_enter(l);
            ale_step(l, &x->bind, ALE_EVENT_BLOCK);
            e->refused = true;
            lane_leave(l);
            return r;
        }
        ale_endpoint_scene(&s, l, e, from); /* where it is bound now */
    }
    return ale_endpoint_settle(l, e, &s, a);
}

enum ale_result ale_endpoint_settle(struct lane *l, struct host_endpoint *e, struct scene *s,
                                    struct answer *a)
{
    return settle(l, e, s, ALE_BIND, true, a);
}

enum ale_result ale_endpoint_listen(struct lane *l, struct host_endpoint *e, const struct scene *from,
                                    struct answer *a)
{
    struct scene s;

    ale_endpoint_scene(&s, l, e, from);
    if (!begin(l, &ale_endpoint_of(e)->listen))
        return ALE_NO_MEMORY;
    return settle(l, e, &s, ALE_LISTEN, true, a);
}

UINT64 ale_endpoint_completed(struct lane *l, struct ale_operation *op)
{
    struct host_endpoint *e = op->endpoint;
    struct ale_endpoint *x = ale_endpoint_of(e);
    uint8_t *state = op->kind == ALE_BIND ? &x->bind : &x->listen;
    struct answer a;
    struct scene s;
    bool ok;

    lane_enter(l);
    ok = *state == ALE_PENDED && ale_step(l, state, ALE_EVENT_COMPLETE) &&
         ale_step(l, state, ALE_EVENT_REAUTHORIZE);
    lane_leave(l);
    if (!ok)
        return 0;
    ale_endpoint_scene(&s, l, e, NULL);
    s.flags = FWP_CONDITION_FLAG_IS_REAUTHORIZE; /* PEND-39: no reason, no handle */
    settle(l, e, &s, op->kind, false, &a);
    return a.blocked ? a.filter_id : 0;
}

/* ---- the end ----------------------------------------------------------------------------------------------
 */

static bool is_tcp(const struct host_endpoint *e)
{
    return e->protocol == WIRE_PROTOCOL_TCP && !e->raw;
}

bool ale_endpoint_closure(struct lane *l, struct host_endpoint *e, const struct scene *from)
{
    const bool asked = !redirect_may_skip(l, LAYER_EC, e->version);
    struct scene s;
    bool due, waits;

    if (asked)
        ale_endpoint_scene(&s, l, e, from);
    lane_enter(l);
    /* ALE-32: TCP: who had an indication at AC or RA, and listeners; others: each that came to be. */
    due = !e->closing && (is_tcp(e) ? e->classified || e->listening : !e->refused);
    e->closing = true;
    ale_operations_cancel(l, ale_endpoint_of(e)->operations);
    ale_endpoint_forget(l, e);
    if (asked && is_tcp(e) && !e->listening) {
        if (wire_addr_is_unspecified(e->version, &s.local) && !e->dual_stack) {
            s.local = ale_endpoint_of(e)->connected; /* its connect gave it one */
            s.loopback = wire_addr_is_loopback(e->version, &s.local);
        }
        s.remote = e->remote;
        s.remote_port = e->remote_port;
        s.any_remote = false;
        if (e->parent != NULL)
            s.connection_direction = FWP_DIRECTION_INBOUND;
    }
    waits = ale_endpoint_of(e)->closure != NULL;
    lane_leave(l);
    if (!due)
        return waits;
    return asked && redirect_closure(l, e, &s);
}

void ale_endpoint_release(struct lane *l, struct host_endpoint *e, const struct scene *from)
{
    struct ale_endpoint *x = ale_endpoint_of(e);
    UINT32 assigned;
    struct answer a;
    struct scene s;

    lane_enter(l);
    assigned = x->closed ? 0 : e->assigned;
    e->assigned = 0;
    lane_leave(l);
    if (redirect_may_skip(l, LAYER_RR, e->version))
        assigned = 0;
    for (; assigned != 0; assigned--) { /* ALE-31, ALE-34 */
        ale_endpoint_scene(&s, l, e, from);
        indicate(&s, LAYER_RR, &a);
    }
    lane_enter(l);
    if (!x->closed) {
        x->closed = true;
        x->bind = x->listen = ALE_NEW;
        e->listening = false;
        ale_endpoint_unref(l, e); /* the lane's */
    }
    lane_leave(l);
}

struct gather {
    UINT32 endpoint;
    struct {
        UINT32 slot;
        UINT64 id;
    } found[64];
    struct lane *lane;
    unsigned count;
};

static void gather(void *ctx, struct host_flow *f)
{
    struct gather *g = ctx;

    if (f->endpoint != g->endpoint || g->count == 64)
        return;
    g->found[g->count].slot = flow_table_slot(g->lane->flows, f);
    g->found[g->count++].id = f->id;
}

void ale_endpoint_end_flows(struct lane *l, struct host_endpoint *e, enum host_flow_end how)
{
    struct gather g = {.endpoint = ale_endpoint_of(e)->slot, .lane = l};

    do {
        g.count = 0;
        lane_enter(l);
        if (e->flows != 0)
            flow_table_each(l->flows, gather, &g);
        lane_leave(l);
        for (unsigned i = 0; i < g.count; i++) {
            struct host_flow *f;

            lane_enter(l);
            f = ale_flow_at(l, g.found[i].slot, g.found[i].id);
            lane_leave(l);
            if (f == NULL)
                continue;
            if (l == &l->host->lanes[0])
                ale_end_flow(l, f, how);
            else /* a visitor: a completed closure (RED-31) */
                ale_tear_down(l, g.found[i].slot, g.found[i].id, how, NULL);
        }
    } while (g.count != 0 && l == &l->host->lanes[0]);
}

static void cancel(void *ctx, struct host_flow *f)
{
    const struct gather *g = ctx;

    if (f->endpoint == g->endpoint)
        ale_operations_cancel(g->lane, f->operations);
}

/* PEND-41: also who completes within the closure's own callout finds that nothing is asked again. */
static void cancel_operations(struct lane *l, struct host_endpoint *e)
{
    struct gather g = {.endpoint = ale_endpoint_of(e)->slot, .lane = l};

    lane_enter(l);
    if (e->flows != 0)
        flow_table_each(l->flows, cancel, &g);
    lane_leave(l);
}

void ale_endpoint_close(struct lane *l, struct host_endpoint *e, enum host_flow_end how)
{
    bool waits;

    cancel_operations(l, e);
    waits = ale_endpoint_closure(l, e, NULL);
    if (waits) {
        lane_enter(l);
        waits = redirect_closure_ends(e, how);
        lane_leave(l);
    }
    if (waits)
        return; /* the rest comes when it is completed */
    ale_endpoint_end_flows(l, e, how);
    ale_endpoint_release(l, e, NULL);
}

/* ---- socket calls -----------------------------------------------------------------------------------------
 */

static NTSTATUS status_of(enum ale_result r)
{
    switch (r) {
    case ALE_PASS:
        return STATUS_SUCCESS;
    case ALE_PENDING:
        return STATUS_PENDING;
    case ALE_NO_MEMORY:
        return STATUS_NO_MEMORY;
    default:
        return STATUS_ACCESS_DENIED;
    }
}

static bool is_taken(struct lane *l, const struct host_socket *s)
{
    struct scene at = {
        .lane = l, .version = s->version, .protocol = s->protocol, .local = s->local, .local_port = s->port};
    const struct host_endpoint *e = ale_endpoint_receiver(&at);

    if (e == NULL)
        e = ale_endpoint_sender(&at);
    return e != NULL && e->version == s->version && wire_addr_equal(&e->local, &s->local) && !e->refused;
}

NTSTATUS host_bind(struct host *h, const struct host_socket *s, struct host_endpoint **out)
{
    struct ale_endpoint_key key = {s->version, s->protocol, s->port, s->local};
    struct lane *l = &h->lanes[0];
    struct host_endpoint *e = NULL;
    enum ale_result r;
    struct answer a;
    TURN_OF(l);

    *out = NULL;
    lane_enter(l);
    if (s->port != 0 && !s->reuse && is_taken(l, s)) {
        lane_leave(l);
        return STATUS_ADDRESS_ALREADY_EXISTS;
    }
    e = ale_endpoint_make(l, &key, s->owner);
    if (e != NULL) {
        e->dual_stack = s->version == 6 && s->dual_stack;
        e->raw = s->raw;
        e->promiscuous = s->promiscuous;
        e->interface_index = s->interface_index;
        e->implicit_bind = s->implicit;
        ale_endpoint_of(e)->is_explicit = true;
        ale_endpoint_ref(e); /* the caller's */
    }
    lane_leave(l);
    if (e == NULL)
        return STATUS_NO_MEMORY;
    r = ale_endpoint_bind(l, e, NULL, &a);
    if (r == ALE_PASS || r == ALE_PENDING) {
        lane_enter(l);
        ale_endpoint_show(l, e);
        lane_leave(l);
        *out = e;
    } else {
        host_close(h, e);
    }
    return status_of(r);
}

NTSTATUS host_listen(struct host *h, struct host_endpoint *e)
{
    struct lane *l = &h->lanes[0];
    uint8_t bound, listens;
    struct answer a;
    bool closing;
    TURN_OF(l);

    lane_enter(l);
    closing = e->closing;
    bound = ale_endpoint_of(e)->bind;
    listens = ale_endpoint_of(e)->listen;
    lane_leave(l);
    if (!is_tcp(e) || closing || bound != ALE_AUTHORIZED)
        return STATUS_INVALID_DEVICE_STATE;
    if (listens == ALE_AUTHORIZED)
        return STATUS_SUCCESS;
    if (listens == ALE_PENDED)
        return STATUS_PENDING;
    return status_of(ale_endpoint_listen(l, e, NULL, &a));
}

static NTSTATUS status_of_state(uint8_t state)
{
    switch (state) {
    case ALE_DENIED:
        return STATUS_ACCESS_DENIED;
    case ALE_PENDED:
    case ALE_CLASSIFYING:
    case ALE_COMPLETING:
        return STATUS_PENDING;
    default:
        return STATUS_SUCCESS;
    }
}

NTSTATUS host_socket_status(struct host *h, struct host_endpoint *e)
{
    struct lane *l = &h->lanes[0];
    NTSTATUS bound, listens;

    lane_lock(l);
    bound = e->refused ? STATUS_ACCESS_DENIED : status_of_state(ale_endpoint_of(e)->bind);
    listens = status_of_state(ale_endpoint_of(e)->listen);
    rt_mutex_unlock(l->lock);
    return bound != STATUS_SUCCESS ? bound : listens;
}

NTSTATUS host_membership(struct host *h, struct host_endpoint *e, const union wire_addr *group, bool join)
{
    struct lane *l = &h->lanes[0];
    struct ale_endpoint *x = ale_endpoint_of(e);
    struct ale_group *more = NULL, **at;
    NTSTATUS status = STATUS_SUCCESS;

    if (!wire_addr_is_multicast(e->version, group) && !(e->dual_stack && wire_addr_is_multicast(4, group)))
        return STATUS_INVALID_PARAMETER;
    if (join) {
        more = malloc(sizeof(*more));
        if (more == NULL)
            return STATUS_NO_MEMORY;
        more->address = *group;
    }
    lane_lock(l);
    for (at = &x->groups; *at != NULL && !wire_addr_equal(&(*at)->address, group); at = &(*at)->next)
        ;
    if (join && *at == NULL) {
        more->next = NULL;
        *at = more;
        more = NULL;
    } else if (join) {
        status = STATUS_ADDRESS_ALREADY_EXISTS;
    } else if (*at != NULL) {
        more = *at;
        *at = more->next;
    } else {
        status = STATUS_NOT_FOUND;
    }
    rt_mutex_unlock(l->lock);
    free(more);
    return status;
}

NTSTATUS host_reclassify(struct host *h, struct host_endpoint *e)
{
    static const enum host_layer roles[] = {LAYER_RES, LAYER_LIS};
    struct lane *l = &h->lanes[0];
    bool bound, listening;
    struct answer a;
    struct scene s;
    TURN_OF(l);

    lane_enter(l);
    bound = !e->closing && e->assigned != 0;
    listening = e->listening;
    lane_leave(l);
    if (!bound)
        return STATUS_INVALID_DEVICE_STATE;
    for (unsigned i = 0; i < 2; i++) {
        if (roles[i] == LAYER_LIS && !listening)
            continue;
        ale_endpoint_scene(&s, l, e, NULL);
        s.flags = FWP_CONDITION_FLAG_IS_RECLASSIFY;
        if (indicate(&s, roles[i], &a))
            return STATUS_ACCESS_DENIED; /* the change is refused; the endpoint stays as it was */
    }
    return STATUS_SUCCESS;
}

void host_close(struct host *h, struct host_endpoint *e)
{
    struct lane *l = &h->lanes[0];
    TURN_OF(l);

    ale_endpoint_close(l, e, HOST_END_ENDPOINT);
    lane_enter(l);
    ale_endpoint_unref(l, e);
    lane_leave(l);
}

void host_connection_gone(struct host *h, uint8_t version, const union wire_addr *local, UINT16 local_port,
                          const union wire_addr *remote, UINT16 remote_port)
{
    struct lane *l = &h->lanes[0];
    const struct host_flow_key key = host_flow_key_tcp(version, local, local_port, remote, remote_port);
    struct host_flow *f;
    TURN_OF(l);

    lane_enter(l);
    f = flow_table_find(l->flows, &key);
    if (f != NULL && f->marks & (FLOW_MARK_TORN | FLOW_MARK_GONE))
        f = NULL;
    lane_leave(l);
    if (f != NULL)
        ale_end_flow(l, f, HOST_END_GIVEN_UP);
}

void host_release(struct host *h, struct host_endpoint *e)
{
    struct lane *l = &h->lanes[0];
    bool goes_on;
    TURN_OF(l);

    lane_enter(l);
    goes_on = is_tcp(e) && e->flows != 0 && !e->closing;
    lane_leave(l);
    if (!goes_on)
        ale_endpoint_close(l, e, HOST_END_ENDPOINT);
    lane_enter(l);
    ale_endpoint_unref(l, e);
    lane_leave(l);
}
