/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ale_again: asking again: packets' reauthorizations (ALE-21..28), the completion of a pended connect
 * (PEND-17), and connections whose beginning was not seen, which were authorized by an earlier policy.
 *
 *   AUTHORIZED --a packet, REAUTHORIZE--> CLASSIFYING --> AUTHORIZED | torn down (ALE-26)
 *   PENDED --host_complete()--> COMPLETING --> CLASSIFYING --> AUTHORIZED | DENIED
 *   none --adopt--> AUTHORIZED, to be asked again at once
 */
#include "host/redirect_inside.h"

/* A connection whose beginning the capture did not see. It was authorized before this policy was, so its
 * entry is AUTHORIZED: no BR, RES, CR, AC, RA or FE is made up for it. But they were: who connected was bound
 * (ALE-31), the connection has had its indication at AC or RA (ALE-32), and the end that is still to come is
 * told as of any endpoint: EC, and RR of what was bound. An accepted socket was assigned nothing of its own.
 */
bool ale_adopt(struct scene *s, bool accepted)
{
    struct lane *l = s->lane;
    struct host_endpoint *e, *listener;
    bool ok;

    lane_enter(l);
    listener = accepted ? ale_endpoint_receiver(s) : NULL;
    if (listener != NULL) {
        ale_endpoint_ref(listener);
        ale_endpoint_idle(l, listener);
    }
    e = ale_endpoint_imply(s, false, true);
    if (e != NULL) {
        e->implicit_bind = !accepted;
        e->remote = s->remote;
        e->remote_port = s->remote_port;
        ale_endpoint_of(e)->bind = ALE_AUTHORIZED;
        e->assigned = accepted ? 0 : 1;
        e->classified = true;
        e->parent = listener;
    } else if (listener != NULL) {
        ale_endpoint_unref(l, listener);
    }
    lane_leave(l);
    if (e == NULL)
        return false;
    ok = ale_enter(s, e, accepted, FLOW_MID_STREAM);
    lane_enter(l);
    if (ok) {
        struct host_flow *f = s->flow;

        ale_flow_step(l, f, ALE_EVENT_BEGIN);
        ale_flow_step(l, f, ALE_EVENT_PERMIT);
        ale_authorized(l, s, f, NULL, ale_policy_of(l, f));
        f->policy = ~f->policy; /* until this one has permitted it */
        f->flags |= FLOW_ESTABLISHED;
        f->marks |= FLOW_MARK_CLASSIFIED;
        tcp_adopt(f, s->packet, s->packet_direction == FWP_DIRECTION_OUTBOUND);
    } else {
        ale_endpoint_of(e)->closed = true;
        ale_endpoint_unref(l, e);
    }
    lane_leave(l);
    return ok;
}

enum ale_result ale_ask_again(struct scene *s, UINT32 reasons, struct answer *a)
{
    struct lane *l = s->lane;
    struct host_flow *f = s->flow;
    UINT32 slot = flow_table_slot(l->flows, f), policy, arrival = 0;
    enum host_layer layer;
    enum ale_result r = ALE_PASS;
    struct ale_options o;
    struct scene t;
    UINT16 generation;
    bool tcp;

    lane_enter(l);
    layer = f->flags & FLOW_INBOUND ? LAYER_RA : LAYER_AC;
    if (ale_is_over(s, f) || f->state != ALE_AUTHORIZED) {
        lane_leave(l);
        return ale_overtaken(s, layer, a);
    }
    ale_flow_step(l, f, ALE_EVENT_REAUTHORIZE);
    generation = f->generation;
    policy = ale_policy_of(l, f);
    tcp = ale_is_tcp(f);
    t = *s;
    t.reauthorize = reasons;
    t.authorized_for = f->arrival;
    ale_as_its_request(&t, f);
    host_count(&l->host->counts.reauthorized);
    lane_leave(l);

    ale_ask(&t, layer, &o, a);

    if (s->interface != NULL)
        arrival = s->interface->desc.index;
    lane_enter(l);
    f = ale_flow_at(l, slot, s->flow_id);
    if (f == NULL || f->generation != generation) {
        r = a->blocked || f == NULL || f->state != ALE_AUTHORIZED ? ALE_BLOCKED : ALE_PASS;
        f = NULL;
    } else if (!a->blocked) {
        ale_flow_step(l, f, ALE_EVENT_PERMIT);
        f->policy = policy;
        f->reasons = 0;
        if (arrival != 0)
            f->arrival = arrival;
    } else if (a->absorbed) { /* ALE-27: asked again with the next packet */
        ale_flow_step(l, f, ALE_EVENT_ABSORB);
        r = ALE_ABSORBED;
    } else {
        ale_flow_step(l, f, ALE_EVENT_BLOCK);
        r = ALE_BLOCKED;
    }
    lane_leave(l);
    if (r == ALE_BLOCKED && f != NULL) { /* ALE-26 */
        if (tcp)
            ale_tear_down(l, slot, s->flow_id, HOST_END_REFUSED, s);
        else
            ale_end_flow(l, f, HOST_END_REFUSED);
        s->flow = NULL;
    }
    return r;
}

UINT64 ale_connect_completed(struct lane *l, struct ale_operation *op, bool *tell)
{
    UINT32 slot = op->flow_slot, policy = 0;
    UINT64 id = op->flow_id, refused_by = 0;
    enum ale_result r = ALE_PASS;
    struct ale_options o;
    struct scene s, t;
    struct answer a;
    struct host_flow *f;
    UINT16 generation = 0;
    bool tcp = false, again = false, known = false, effective = false, waits = false;

    lane_enter(l);
    ale_policy_notice(l);
    ale_operation_scene(op, l, &s);
    f = ale_flow_at(l, slot, id);
    if (f != NULL) {
        again = f->state == ALE_AUTHORIZED;
        if (f->state == ALE_DENIED || f->state == ALE_NEW || !ale_flow_step(l, f, ALE_EVENT_COMPLETE) ||
            !ale_flow_step(l, f, ALE_EVENT_REAUTHORIZE))
            f = NULL;
    }
    if (f != NULL) {
        generation = f->generation;
        policy = ale_policy_of(l, f);
        tcp = ale_is_tcp(f);
        known = f->flags & FLOW_ESTABLISHED;
        s.authorized_for = f->arrival;
        host_count(&l->host->counts.reauthorized);
    }
    s.flow = f;
    s.frame = op->frame;
    lane_leave(l);
    if (f == NULL)
        return 0;
    t = s;
    t.reauthorize = FWP_CONDITION_REAUTHORIZE_REASON_CLASSIFY_COMPLETION;

    ale_ask(&t, LAYER_AC, &o, &a);

    lane_enter(l);
    op->cancelled = true; /* it no longer waits */
    f = ale_flow_at(l, slot, id);
    if (f == NULL || f->generation != generation) {
        f = NULL;
    } else if (!a.blocked && s.as_asked) {
        redirect_scene_goes(&s, f); /* now about where it goes */
        s.flow = f;
        effective = true;
    } else if (!a.blocked) {
        ale_flow_step(l, f, ALE_EVENT_PERMIT);
        ale_authorized(l, &s, f, &o, policy);
    } else if (!tcp && !again && ale_operations_wait(l, f->operations, op)) {
        /* Its own datagram alone: each of the others is an operation of its own and asked about when it is completed
         * (PEND-17, 36). */
        ale_flow_step(l, f, ALE_EVENT_PEND);
        waits = true;
        refused_by = a.filter_id;
    } else {
        ale_flow_step(l, f, ALE_EVENT_BLOCK);
        ale_flow_lifetime(l, f, ALE_IDLE, false);
        ale_operations_cancel(l, f->operations); /* others that wait for it wait for nothing */
        r = ALE_BLOCKED;
        refused_by = a.filter_id;
    }
    lane_leave(l);
    if (f == NULL)
        return 0;
    if (waits)
        return refused_by;
    if (effective) {
        r = ale_authorize_connect(&s, &a);
        *tell = r != ALE_PENDING;
        return r == ALE_BLOCKED || r == ALE_ABSORBED ? a.filter_id : 0;
    }
    if (r == ALE_BLOCKED && again) {
        ale_tear_down(l, slot, id, HOST_END_REFUSED, NULL);
    } else if (r == ALE_BLOCKED) {
        ale_refuse(l, slot, id, NULL);
        ale_tell(l, slot, id, HOST_FLOW_REFUSED);
    } else if (!again) {
        ale_tell(l, slot, id, HOST_FLOW_AUTHORIZED);
        s.flow = f;
        if (!tcp && !known && !ale_establish(&s, false, &a))
            ale_tear_down(l, slot, id, HOST_END_ABORTED, NULL);
    }
    return refused_by;
}
