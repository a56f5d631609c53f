/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ale_find: which flow a packet belongs to, and what it needs before it may pass.
 *
 *   the tuple's entry               AUTHORIZED: nothing, or to be asked again (ALE-21..23)
 *                                   DENIED, PENDED: by protocol and direction, see view_flow()
 *   none, but another flow admits   what a multicast request's socket hears back (ALE-08); loose source
 *   it                              mapping (ALE-10)
 *   none                            a new flow: AC or RA; or nobody is there; or, a TCP segment without SYN,
 *                                   a connection that began before the capture did: it was authorized by an
 *                                   earlier policy, and is asked again under this one
 *
 * A refused operation never happened, so what else is seen of it is refused too, as a consequence:
 *
 *                      refused at AC                          refused at RA
 *   TCP, a SYN         same side and number: consequence      asked again, for it really arrives
 *                      else: a new operation
 *   TCP, the rest      consequence                            consequence
 *   others, same way   a new operation, asked again           asked again
 *   others, back       consequence: an answer to what was     consequence: of a program that never saw
 *                      never sent                             the request
 *
 * ICMP: a flow is named by its request (ALE-06: type, code, and id for echo); its reply is a packet of the
 * same flow the other way. What is no request's reply is a flow of its own, for each direction.
 */
#include <string.h>

#include "host/ale_inside.h"

/* ---- keys -------------------------------------------------------------------------------------------------
 */

/* The request that this type answers; -1: it answers none. */
static int request_of(uint8_t version, unsigned type)
{
    if (version == 6)
        return type == 129 ? 128 : -1;
    switch (type) {
    case 0: /* echo */
        return 8;
    case 14: /* timestamp */
    case 16: /* information */
    case 18: /* address mask */
        return (int)type - 1;
    default:
        return -1;
    }
}

static bool is_inbound(const struct scene *s)
{
    return s->packet_direction == FWP_DIRECTION_INBOUND;
}

void ale_key(const struct scene *s, struct host_flow_key *k, bool as_reply)
{
    k->local = s->local;
    k->remote = s->remote;
    if (__builtin_expect(!s->icmp, 1)) {
        host_flow_key_ends(k, s->local_port, s->remote_port, s->version, s->protocol);
        return;
    }
    host_flow_key_ends(k, 0, 0, s->version, s->protocol);
    int request = as_reply ? request_of(s->version, s->local_port) : -1;
    unsigned type = request >= 0 ? (unsigned)request : s->local_port;

    k->local_port = s->echo ? s->icmp_id : 0;
    k->remote_port = (uint16_t)(type << 8 | (s->remote_port & 0xff));
    k->flags = FLOW_KEY_ICMP;
    if (is_inbound(s) == (request < 0))
        k->flags |= FLOW_KEY_INBOUND_REQUEST;
}

/* A receiver's flow of multicast and broadcast: any remote end, one for each endpoint (ALE-09). */
static void receiver_key(const struct scene *s, const struct host_endpoint *e, struct host_flow_key *k)
{
    ale_key(s, k, false);
    memset(&k->remote, 0, sizeof(k->remote));
    k->remote.word[0] = e->id;
    if (!s->icmp)
        k->remote_port = 0;
    k->flags |= FLOW_KEY_ANY_REMOTE;
}

/* ---- policy -----------------------------------------------------------------------------------------------
 */

/* OBJ-40: what each flow was authorized under is compared with the layer's version as it is now. */
void ale_policy_notice_slow(struct lane *l)
{
    struct ale *ale = ale_of(l);
    const struct engine_snapshot *s = engine_pin(l->reader);

    ale->policy_version = engine_snapshot_version(s);
    for (unsigned inbound = 0; inbound < 2; inbound++)
        for (unsigned v6 = 0; v6 < 2; v6++)
            ale->policy[inbound][v6] =
                (UINT32)engine_snapshot_layer_version(s, layer_id(inbound ? LAYER_RA : LAYER_AC, v6 ? 6 : 4));
    engine_unpin(l->reader);
}

/* An IPv4 flow of a socket that sees IPv6 alone (MATCH-23). */
bool ale_is_mapped(const struct lane *l, const struct host_flow *f)
{
    const struct host_endpoint *e = ale_endpoint_at(l, f->endpoint);

    return e != NULL && e->version == 6;
}

/* ---- reasons ----------------------------------------------------------------------------------------------
 */

/* Those that something outside the packet brings about, as bits of host_flow.reasons. */
static const UINT32 kept_reasons[8] = {
    FWP_CONDITION_REAUTHORIZE_REASON_PROFILE_CROSSING,
    FWP_CONDITION_REAUTHORIZE_REASON_IPSEC_PROPERTIES_CHANGED,
    FWP_CONDITION_REAUTHORIZE_REASON_MID_STREAM_INSPECTION,
    FWP_CONDITION_REAUTHORIZE_REASON_SOCKET_PROPERTY_CHANGED,
    FWP_CONDITION_REAUTHORIZE_REASON_NEW_INBOUND_MCAST_BCAST_PACKET,
    FWP_CONDITION_REAUTHORIZE_REASON_EDP_POLICY_CHANGED,
    FWP_CONDITION_REAUTHORIZE_REASON_PROXY_HANDLE_CHANGED,
    FWP_CONDITION_REAUTHORIZE_REASON_CHECK_OFFLOAD,
};

struct marking {
    struct lane *lane;
    UINT32 reason, interface_index;
};

static void mark_flow(void *ctx, struct host_flow *f)
{
    const struct marking *m = ctx;

    if (m->interface_index != 0 && f->arrival != m->interface_index)
        return;
    for (unsigned i = 0; i < 8; i++) {
        /* RA only: ALE-22 */
        if (kept_reasons[i] == FWP_CONDITION_REAUTHORIZE_REASON_NEW_INBOUND_MCAST_BCAST_PACKET &&
            (f->flags & (FLOW_INBOUND | FLOW_MULTICAST)) != (FLOW_INBOUND | FLOW_MULTICAST))
            continue;
        if (m->reason & kept_reasons[i])
            f->reasons |= (uint8_t)(1u << i);
    }
    if (m->reason & FWP_CONDITION_REAUTHORIZE_REASON_POLICY_CHANGE)
        f->policy = ~ale_policy_of(m->lane, f);
}

void ale_reauthorize(struct host *h, UINT32 reason, UINT32 interface_index)
{
    for (size_t i = 0; i < h->lane_count; i++) {
        struct marking m = {&h->lanes[i], reason, interface_index};

        lane_lock(m.lane);
        flow_table_each(m.lane->flows, mark_flow, &m);
        rt_mutex_unlock(m.lane->lock);
    }
}

void host_reauthorize(struct host *h, UINT32 reason)
{
    ale_reauthorize(h, reason, 0);
}

static UINT32 reasons_of(const struct scene *s, const struct host_flow *f)
{
    UINT32 reasons = 0;

    for (unsigned i = 0; f->reasons != 0 && i < 8; i++)
        if (f->reasons >> i & 1)
            reasons |= kept_reasons[i];
    if (f->policy != ale_policy_of(s->lane, f))
        reasons |= FWP_CONDITION_REAUTHORIZE_REASON_POLICY_CHANGE;
    /* ALE-28: a strong host does not take part in this. */
    if (s->interface != NULL && f->arrival != 0 && s->interface->desc.index != f->arrival) {
        if (is_inbound(s) && s->interface->desc.weak_host_receive)
            reasons |= FWP_CONDITION_REAUTHORIZE_REASON_NEW_ARRIVAL_INTERFACE;
        if (!is_inbound(s) && s->interface->desc.weak_host_send)
            reasons |= FWP_CONDITION_REAUTHORIZE_REASON_NEW_NEXTHOP_INTERFACE;
    }
    return reasons;
}

/* ---- a flow that is there ---------------------------------------------------------------------------------
 */

static bool is_syn(const struct scene *s)
{
    return s->packet != NULL &&
           (s->packet->tcp_flags & (WIRE_TCP_SYN | WIRE_TCP_ACK | WIRE_TCP_RST)) == WIRE_TCP_SYN;
}

static void point_at(struct scene *s, struct host_flow *f)
{
    s->flow = f;
    s->flow_id = f->id;
    s->endpoint = ale_endpoint_at(s->lane, f->endpoint);
    s->connection_direction = f->flags & FLOW_INBOUND ? FWP_DIRECTION_INBOUND : FWP_DIRECTION_OUTBOUND;
    s->original_icmp_type = f->original_icmp_type;
}

static void needs(struct ale_view *v, const struct scene *s)
{
    v->need = ALE_NEED_AUTHORIZE;
    v->layer = is_inbound(s) ? LAYER_RA : LAYER_AC;
}

static void refuse(struct ale_view *v, enum host_note note)
{
    v->refused = true;
    v->note = note;
}

static void someone_there(struct scene *s, struct ale_view *v);

static void begins_anew(struct scene *s, struct ale_view *v)
{
    needs(v, s);
    if (is_inbound(s))
        someone_there(s, v);
}

static void view_flow(struct scene *s, struct ale_view *v, struct host_flow *f)
{
    bool opened_in = f->flags & FLOW_INBOUND, same_way = is_inbound(s) == opened_in, tcp = ale_is_tcp(f);
    const struct tcp_half *half = &f->half[is_inbound(s)];

    point_at(s, f);
    if (f->state == ALE_AUTHORIZED) {
        v->reasons = reasons_of(s, f);
        if (v->reasons != 0) {
            v->need = ALE_NEED_REAUTHORIZE;
            v->layer = opened_in ? LAYER_RA : LAYER_AC;
        }
        return;
    }
    if (tcp && s->follows && (opened_in || f->marks & FLOW_MARK_TORN) && !is_inbound(s) &&
        s->packet != NULL && (s->packet->tcp_flags & WIRE_TCP_RST) != 0) {
        /* Nobody is there any more for what was pended, or the connection was torn down (ALE-26), and the stack says so:
         * the packet layers alone. */
        s->flow = NULL;
        s->flow_id = 0;
        s->endpoint = NULL;
        return;
    }
    flow_table_touch(s->lane->flows, f, ale_tick(s->lane));
    if (tcp && is_syn(s) && (f->marks & FLOW_MARK_TORN || f->state == ALE_NEW || f->state == ALE_DENIED)) {
        /* Of what was refused at AC the repeated SYN was never sent; at RA it arrives each time. */
        if (f->state == ALE_DENIED && !(f->marks & FLOW_MARK_TORN) && same_way && !opened_in &&
            half->next == s->packet->tcp_seq) {
            refuse(v, f->marks & FLOW_MARK_NO_BIND ? HOST_NOTE_REFUSED_BIND : HOST_NOTE_REFUSED_FLOW);
            return;
        }
        begins_anew(s, v);
        return;
    }
    if (f->marks & FLOW_MARK_TORN) {
        refuse(v, HOST_NOTE_ENDED_FLOW);
        return;
    }
    switch (f->state) {
    case ALE_NEW: /* a pended accept was let go: as if nothing had been asked (PEND-24) */
        if (tcp)
            refuse(v, HOST_NOTE_UNSENT_REQUEST);
        else
            needs(v, s);
        break;
    case ALE_DENIED:
        if (tcp)
            refuse(v, f->marks & FLOW_MARK_NO_BIND ? HOST_NOTE_REFUSED_BIND : HOST_NOTE_REFUSED_FLOW);
        else if (same_way)
            needs(v, s);
        else if (s->host->config.live) /* no answer to what was refused, but a flow of its own */
            begins_anew(s, v);
        else
            refuse(v, HOST_NOTE_UNSENT_REQUEST);
        break;
    case ALE_PENDED:
        if (!same_way) {
            refuse(v, HOST_NOTE_UNSENT_REQUEST);
        } else if (!tcp || (opened_in && is_syn(s))) { /* PEND-36, 37 */
            needs(v, s);
            if (tcp)
                someone_there(s, v);
        } else if (opened_in) {
            refuse(v, HOST_NOTE_UNSENT_REQUEST); /* no SYN-ACK was sent that this could answer */
        } else {
            v->held = true; /* PEND-35 */
        }
        break;
    default: /* another thread is asking */
        v->held = true;
    }
}

/* ---- none is there ----------------------------------------------------------------------------------------
 */

static const struct host_owner *owner_of(const struct scene *s, const union wire_addr *local, UINT16 port,
                                         bool remote_known)
{
    static const union wire_addr none;
    const struct host_config *c = &s->host->config;

    if (c->owner_of == NULL)
        return NULL;
    return c->owner_of(c->ctx, s->time_ns, s->version, s->protocol, local, port,
                       remote_known ? &s->remote : &none, remote_known && !s->icmp ? s->remote_port : 0);
}

/* An endpoint that a packet implies. The lane is held, and left for a moment where room must be made. */
struct host_endpoint *ale_endpoint_imply(struct scene *s, bool wildcard, bool remote_known)
{
    struct lane *l = s->lane;
    struct ale_endpoint_key key = {.version = s->version, .protocol = s->protocol, .local = s->local};
    const struct host_owner *owner;
    struct host_endpoint *e;

    if (wildcard)
        memset(&key.local, 0, sizeof(key.local));
    if (!s->icmp)
        key.port = s->local_port;
    owner = owner_of(s, &s->local, key.port, remote_known);
    e = ale_endpoint_make(l, &key, owner);
    for (unsigned tries = 0; e == NULL && tries < 3; tries++) {
        struct host_flow *oldest;
        bool room;

        lane_leave(l);
        ale_endpoints_advance(l);
        room = ale_endpoints_evict(l);
        if (!room && (oldest = ale_flow_oldest(l)) != NULL) {
            ale_end_flow(l, oldest, HOST_END_EVICTED);
            ale_endpoints_advance(l);
        }
        lane_enter(l);
        e = ale_endpoint_make(l, &key, owner);
    }
    if (e != NULL && s->interface != NULL)
        e->interface_index = s->interface->desc.index;
    return e;
}

static bool is_listened(const struct scene *s)
{
    const struct host_config *c = &s->host->config;

    return s->icmp || c->listening == NULL ||
           c->listening(c->ctx, s->version, s->protocol, &s->local, s->local_port);
}

/* The socket calls that must have come before an unasked packet could be received: bind, and for TCP listen.
 * The lane is held, and left while they are classified. NULL: nobody is there, or no memory. */
static struct host_endpoint *imply_receiver(struct scene *s, bool wildcard)
{
    struct lane *l = s->lane;
    struct host_endpoint *e;
    enum ale_result r;
    struct answer a;

    if (!is_listened(s))
        return NULL;
    e = ale_endpoint_imply(s, wildcard, false);
    if (e == NULL)
        return NULL;
    ale_endpoint_show(l, e);
    ale_endpoint_ref(e);
    lane_leave(l);
    if (!s->icmp) { /* the stack's own end of ICMP is not bound by anybody */
        r = ale_endpoint_bind(l, e, s, &a);
        if (r == ALE_PASS && s->protocol == WIRE_PROTOCOL_TCP)
            ale_endpoint_listen(l, e, s, &a);
    }
    lane_enter(l);
    ale_endpoint_unref(l, e);
    ale_endpoint_idle(l, e);
    return ale_endpoint_of(e)->closed ? NULL : e;
}

/* For an inbound packet that opens something: to whom? */
static void someone_there(struct scene *s, struct ale_view *v)
{
    bool tcp = s->protocol == WIRE_PROTOCOL_TCP;
    struct host_endpoint *e = ale_endpoint_receiver(s);
    const struct ale_endpoint *x;

    if (e == NULL)
        e = imply_receiver(s, false);
    s->endpoint = e;
    if (e == NULL) {
        v->need = ALE_NEED_NOTHING;
        v->no_endpoint = true;
        return;
    }
    x = ale_endpoint_of(e);
    if (x->bind == ALE_PENDED || (tcp && x->listen == ALE_PENDED)) {
        v->need = ALE_NEED_NOTHING;
        v->held = true;
    } else if (e->refused || (tcp && !e->listening && !e->raw)) {
        v->need = ALE_NEED_NOTHING;
        refuse(v, HOST_NOTE_REFUSED_BIND);
        ale_endpoint_idle(s->lane, e);
    }
}

/* Which side of a connection whose beginning was not seen was called: true: this one. */
static bool was_accepted(const struct scene *s)
{
    bool low = s->local_port < 1024, remote_low = s->remote_port < 1024;
    const struct host_endpoint *e = ale_endpoint_receiver(s);

    if (s->packet->tcp_flags & WIRE_TCP_SYN) /* with ACK: of who was called */
        return !is_inbound(s);
    if (e != NULL)
        return true;
    if (s->host->config.listening != NULL && is_listened(s))
        return low || !remote_low;
    return low != remote_low ? low : s->local_port < s->remote_port;
}

static void view_no_flow(struct scene *s, struct ale_view *v, bool tcp)
{
    struct host_endpoint *e;

    v->new_flow = true;
    s->connection_direction = s->packet_direction;
    if (tcp && !is_syn(s)) {
        if (s->packet == NULL || s->packet->tcp_flags & WIRE_TCP_RST) {
            v->new_flow = false;
            v->no_endpoint = is_inbound(s);
            return;
        }
        v->need = ALE_NEED_REAUTHORIZE;
        v->layer = was_accepted(s) ? LAYER_RA : LAYER_AC;
        v->reasons = FWP_CONDITION_REAUTHORIZE_REASON_POLICY_CHANGE;
        s->connection_direction = v->layer == LAYER_RA ? FWP_DIRECTION_INBOUND : FWP_DIRECTION_OUTBOUND;
        if (v->layer == LAYER_RA && is_inbound(s) && ale_endpoint_receiver(s) == NULL && !is_listened(s)) {
            v->need = ALE_NEED_NOTHING;
            v->new_flow = false;
            v->no_endpoint = true;
        }
        return;
    }
    s->original_icmp_type = s->icmp ? (UINT8)s->local_port : 0;
    needs(v, s);
    if (is_inbound(s)) {
        if (s->endpoint == NULL)
            someone_there(s, v);
        v->new_flow = v->need != ALE_NEED_NOTHING;
        return;
    }
    e = ale_endpoint_sender(s);
    if (e == NULL || (tcp && !ale_endpoint_of(e)->is_explicit))
        return;
    s->endpoint = e;
    if (e->refused) {
        refuse(v, HOST_NOTE_REFUSED_BIND);
        ale_endpoint_idle(s->lane, e);
    } else if (ale_endpoint_of(e)->bind == ALE_PENDED) {
        v->held = true;
    } else {
        return;
    }
    v->need = ALE_NEED_NOTHING;
    v->new_flow = false;
}

/* A flow that the receiver of this packet has and that admits it although the peer is another. */
static struct host_flow *admitting(const struct scene *s)
{
    struct host_endpoint *e = s->endpoint != NULL ? s->endpoint : ale_endpoint_receiver(s);
    struct ale_endpoint *x;
    struct host_flow *f;

    if (e == NULL || s->icmp)
        return NULL;
    x = ale_endpoint_of(e);
    f = x->answers != 0 ? ale_flow_at(s->lane, x->answers_slot, x->answers) : NULL;
    if (f != NULL && f->state == ALE_AUTHORIZED && !(f->marks & FLOW_MARK_GONE) &&
        !ale_flow_is_idle(s->lane, f))
        return f;
    f = x->loose != 0 ? ale_flow_at(s->lane, x->loose_slot, x->loose) : NULL;
    if (f != NULL && f->state == ALE_AUTHORIZED && !(f->marks & FLOW_MARK_GONE) &&
        f->key.remote_port == s->remote_port && !ale_flow_is_idle(s->lane, f))
        return f;
    return NULL;
}

/* ---- the door ---------------------------------------------------------------------------------------------
 */

/* The entry of the key, unless its time is over: then it goes, for which the lane is left a moment. */
static struct host_flow *living(struct lane *l, const struct host_flow_key *key, struct host_flow *likely)
{
    struct host_flow *f = flow_table_find_likely(l->flows, key, likely);

    if (f == NULL || (!(f->marks & FLOW_MARK_GONE) && !ale_flow_is_idle(l, f)))
        return f;
    lane_leave(l);
    ale_end_flow(l, f, HOST_END_IDLE);
    lane_enter(l);
    return NULL;
}

void ale_find(struct scene *s, struct ale_view *v)
{
    struct lane *l = s->lane;
    struct host_endpoint *given = s->endpoint;
    struct host_flow_key key;
    struct host_flow *f;
    bool tcp = s->protocol == WIRE_PROTOCOL_TCP, group;

    memset(v, 0, sizeof(*v));
    s->flow = NULL;
    s->flow_id = 0;
    s->endpoint = NULL;
    ale_policy_notice(l);
    if (tcp && ale_endpoint_is_raw_tcp(s))
        tcp = false;
    ale_key(s, &key, true);
    f = living(l, &key, s->likely);
    if (f == NULL && s->icmp && request_of(s->version, s->local_port) >= 0) {
        ale_key(s, &key, false); /* an answer to nothing */
        f = living(l, &key, NULL);
    }
    v->tcp = f != NULL ? ale_is_tcp(f) : tcp;
    if (f != NULL && tcp && f->state == ALE_AUTHORIZED && s->packet != NULL &&
        tcp_starts_anew(f, s->packet, !is_inbound(s))) { /* the connection that this was is over */
        lane_leave(l);
        ale_end_flow(l, f, HOST_END_REPLACED);
        lane_enter(l);
        v->tcp = true;
        f = NULL;
    }
    if (f != NULL) {
        view_flow(s, v, f);
        return;
    }
    if (tcp) {
        view_no_flow(s, v, true);
        return;
    }
    group = is_inbound(s) && host_address_is_group(s->host, s->version, &s->local);
    if (group) {
        lane_leave(l);
        s->endpoint = given != NULL ? given : ale_receiver(s, 0);
        lane_enter(l);
        if (s->endpoint == NULL)
            s->endpoint = imply_receiver(s, true);
        if (s->endpoint == NULL) {
            v->no_endpoint = true;
            return;
        }
        if (s->endpoint->refused || ale_endpoint_of(s->endpoint)->bind == ALE_PENDED) {
            v->held = !s->endpoint->refused;
            if (s->endpoint->refused)
                refuse(v, HOST_NOTE_REFUSED_BIND);
            return;
        }
        receiver_key(s, s->endpoint, &key);
        f = living(l, &key, NULL);
        if (f != NULL) {
            view_flow(s, v, f);
            return;
        }
    }
    f = is_inbound(s) ? admitting(s) : NULL;
    if (f != NULL)
        view_flow(s, v, f);
    else
        view_no_flow(s, v, false);
}

/* The key under which ale_decide() keeps the flow of a scene that ale_find() found none for. */
void ale_key_of_new(const struct scene *s, struct host_flow_key *k)
{
    if (is_inbound(s) && s->protocol != WIRE_PROTOCOL_TCP && s->endpoint != NULL &&
        host_address_is_group(s->host, s->version, &s->local))
        receiver_key(s, s->endpoint, k);
    else
        ale_key(s, k, false);
}
