/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ale_authorize: doing what ale_find() says is needed.
 *
 *   AC      socket and bind (BR, RES) if there are none yet, CR, then AC         } permit: the flow, and FE
 * at RA      a socket of its own for a TCP connection, its parent the listener    } once if it is not TCP
 *   REAUTH  at the layer that authorized the flow, whatever the packet's direction (ale_again.c)
 *
 * The flow's entry and id are there before AC or RA is asked (ALE-12): contexts can be set, and it is what a
 * pended or refused operation leaves behind. A refused TCP operation closes its endpoint at once (ALE-34);
 * its entry stays for ALE_IDLE seconds, so that what the capture shows of it is known for a consequence.
 *
 * Which packet is shown (ALE-25, 37): none at AC for TCP and in completions; the first one else; in
 * reauthorizations the one that caused them; at FE the ACK of who was called, none to who called.
 */
#include <string.h>

#include "host/stream_inside.h"
#include "host/redirect_inside.h"

/* ---- entries ----------------------------------------------------------------------------------------------
 */

/* A new entry of this scene; the oldest flows give way. NULL: out of memory. Lane not held. */
static struct host_flow *flow_begin(struct scene *s, const struct host_flow_key *key, bool inbound)
{
    struct lane *l = s->lane;
    struct host_flow *f;

    lane_enter(l);
    f = flow_table_add(l->flows, key);
    for (unsigned tries = 0; f == NULL && tries < 3; tries++) {
        struct host_flow *oldest = flow_table_find(l->flows, key);

        if (oldest == NULL)
            oldest = flow_table_oldest(l->flows);
        lane_leave(l);
        if (oldest != NULL)
            ale_end_flow(l, oldest, HOST_END_EVICTED);
        lane_enter(l);
        f = flow_table_add(l->flows, key);
    }
    if (f != NULL) {
        streams_new_flow(l);
        f->id = l->host->next_flow_id++;
        f->state = ALE_NEW;
        f->flags = (inbound ? FLOW_INBOUND : 0) | (s->loopback ? FLOW_LOOPBACK : 0);
        f->arrival = s->interface != NULL ? s->interface->desc.index : 0;
        f->original_icmp_type = s->icmp ? (uint8_t)s->local_port : 0;
        ale_flow_lifetime(l, f, ALE_IDLE, false);
        flow_table_remember(l->flows, f);
        host_count(&l->host->counts.flows_created);
    }
    lane_leave(l);
    return f;
}

static void attach(struct lane *l, struct host_flow *f, struct host_endpoint *e)
{
    struct host_endpoint *before = ale_endpoint_at(l, f->endpoint);

    if (before == e)
        return;
    if (before != NULL)
        ale_endpoint_give(l, before);
    f->endpoint = 0;
    if (e != NULL) {
        f->endpoint = ale_endpoint_of(e)->slot;
        ale_endpoint_take(l, e);
    }
}

/* TCP: which SYN was refused or pended, to know its repetitions. */
void ale_note_sequence(const struct scene *s, struct host_flow *f)
{
    if (s->packet == NULL)
        return; /* a completion: what was noted stands */
    memset(f->half, 0, sizeof(f->half));
    f->tcp = TCP_NONE;
    if (ale_is_tcp(f) && s->packet != NULL)
        f->half[s->packet_direction == FWP_DIRECTION_INBOUND].next = s->packet->tcp_seq;
}

/* Where nothing is redirected a flow is what it was created as. */
static bool told_briefly(const struct lane *l, enum host_flow_change change, UINT64 id)
{
    const struct host_observer *o = &l->host->config.observer;

    return o->changed != NULL && change != HOST_FLOW_CREATED && !redirected_any(l) &&
           o->changed(o->ctx, change, id);
}

void ale_tell(struct lane *l, UINT32 slot, UINT64 id, enum host_flow_change change)
{
    struct host_flow_info info;
    struct host_flow *f;

    if (l->host->config.observer.flow == NULL)
        return;
    lane_enter(l);
    f = ale_flow_at(l, slot, id);
    if (f != NULL && told_briefly(l, change, id))
        f = NULL;
    if (f != NULL)
        ale_flow_info(l, f, change == HOST_FLOW_REFUSED ? HOST_END_REFUSED : HOST_END_NONE, &info);
    lane_leave(l);
    if (f != NULL)
        ale_flow_tell(l, change, &info);
}

/* ---- after the answer -------------------------------------------------------------------------------------
 */

static UINT32 option(const struct ale_options *o, FWP_CLASSIFY_OPTION_TYPE type, UINT32 otherwise)
{
    return o != NULL && o->set >> type & 1 ? o->value[type] : otherwise;
}

/* What a permitted flow becomes. Lane held. */
void ale_authorized(struct lane *l, const struct scene *s, struct host_flow *f, const struct ale_options *o,
                    uint32_t policy)
{
    bool inbound = f->flags & FLOW_INBOUND, group;
    struct host_endpoint *e = ale_endpoint_at(l, f->endpoint);
    FWP_CLASSIFY_OPTION_TYPE life = FWP_CLASSIFY_OPTION_UNICAST_LIFETIME;
    UINT32 otherwise = ALE_IDLE;

    f->policy = policy;
    f->reasons = 0;
    f->marks &= ~(FLOW_MARK_TORN | FLOW_MARK_NO_BIND);
    if (s->interface != NULL)
        f->arrival = s->interface->desc.index;
    memset(f->half, 0, sizeof(f->half));
    f->tcp = TCP_NONE;
    if (ale_is_tcp(f)) {
        ale_flow_lifetime(l, f, 0, false);
        return;
    }
    group = host_address_is_group(s->host, s->version, inbound ? &s->local : &s->remote);
    if (group) {
        f->flags |= FLOW_MULTICAST;
        life = FWP_CLASSIFY_OPTION_MCAST_BCAST_LIFETIME;
        if (!inbound) {
            f->flags |= FLOW_REFRESH_OUT_ONLY;
            otherwise = ALE_IDLE_MULTICAST;
        }
    }
    ale_flow_lifetime(l, f, option(o, life, otherwise), o != NULL && o->set >> life & 1);
    if (e == NULL || inbound)
        return;
    if (group && option(o, FWP_CLASSIFY_OPTION_MULTICAST_STATE, FWP_OPTION_VALUE_ALLOW_MULTICAST_STATE) !=
                     FWP_OPTION_VALUE_DENY_MULTICAST_STATE) {
        ale_endpoint_of(e)->answers = f->id;
        ale_endpoint_of(e)->answers_slot = flow_table_slot(l->flows, f);
    } else if (!group && option(o, FWP_CLASSIFY_OPTION_LOOSE_SOURCE_MAPPING, 0) ==
                             FWP_OPTION_VALUE_ENABLE_LOOSE_SOURCE) {
        ale_endpoint_of(e)->loose = f->id;
        ale_endpoint_of(e)->loose_slot = flow_table_slot(l->flows, f);
    }
}

/* The C library copies this faster than what GCC puts here (rep movs). */
static void copy_scene(struct scene *to, const struct scene *from)
{
    size_t size = sizeof(*to);

    __asm__("" : "+r"(size));
    memcpy(to, from, size);
}

/* FE is asked with a packet or without: of a copy. */
static void ask_established(const struct scene *s, const struct host_flow *f, bool with_packet,
                            struct answer *a)
{
    struct scene t;

    copy_scene(&t, s);
    if (!with_packet)
        t.packet = NULL;
    lane_enter(s->lane);
    ale_as_its_request(&t, f);
    lane_leave(s->lane);
    ale_ask(&t, LAYER_FE, NULL, a);
}

/* FE of what has no handshake (ALE-11). False: blocked there; the flow is gone (CLS-25). */
bool ale_establish(struct scene *s, bool with_packet, struct answer *a)
{
    const UINT32 slot = flow_table_slot(s->lane->flows, s->flow);
    const struct recalled *known;
    struct host_flow *f;

    lane_enter(s->lane);
    f = ale_flow_at(s->lane, slot, s->flow_id);
    lane_leave(s->lane);
    if (f == NULL)
        return false;
    known = ale_recalls(s, LAYER_FE);
    if (known != NULL)
        ale_known(s, LAYER_FE, known, NULL, a);
    else
        ask_established(s, f, with_packet, a);
    lane_enter(s->lane);
    f = ale_flow_at(s->lane, slot, s->flow_id);
    if (f != NULL && !a->blocked)
        f->flags |= FLOW_ESTABLISHED;
    lane_leave(s->lane);
    return !a->blocked && f != NULL;
}

/* The connection is closed because FE was blocked. */
static void shut(struct scene *s)
{
    struct lane *l = s->lane;
    struct host_flow *f = s->flow;
    UINT32 slot = flow_table_slot(l->flows, f);
    bool tcp;

    lane_enter(l);
    f = ale_flow_at(l, slot, s->flow_id);
    tcp = f != NULL && ale_is_tcp(f);
    if (tcp)
        ale_flow_step(l, f, ALE_EVENT_END);
    lane_leave(l);
    if (tcp)
        ale_tear_down(l, slot, s->flow_id, HOST_END_ABORTED, s);
    else if (f != NULL)
        ale_end_flow(l, f, HOST_END_ABORTED);
    s->flow = NULL;
}

bool ale_established(struct scene *s, struct answer *a)
{
    const struct host_flow *f = s->flow;
    bool ok, inbound = false, known = false;

    memset(a, 0, sizeof(*a));
    if (f == NULL || f->id != s->flow_id)
        return f != NULL;
    lane_enter(s->lane);
    inbound = f->flags & FLOW_INBOUND;
    known = f->flags & FLOW_ESTABLISHED;
    lane_leave(s->lane);
    if (known)
        return true;
    ok = ale_establish(s, inbound, a); /* ALE-37 */
    if (!ok)
        shut(s);
    return ok;
}

/* ---- initial authorization --------------------------------------------------------------------------------
 */

static enum ale_result refused_result(const struct answer *a)
{
    return a->absorbed ? ALE_ABSORBED : ALE_BLOCKED;
}

static bool may_begin(const struct host_flow *f)
{
    return f->state == ALE_NEW || f->state == ALE_DENIED || f->state == ALE_PENDED;
}

bool ale_is_over(const struct scene *s, const struct host_flow *f)
{
    return f->id != s->flow_id || f->marks & (FLOW_MARK_TORN | FLOW_MARK_GONE);
}

/* Another thread ended the flow under the packet: it is dropped with it, and nobody is asked. */
enum ale_result ale_overtaken(const struct scene *s, enum host_layer layer, struct answer *a)
{
    *a = (struct answer){
        .blocked = true, .absorbed = true, .role = layer, .layer = layer_id(layer, s->version)};
    return ALE_ABSORBED;
}

/* The operation that AC or RA may pend. Lane held. NULL: out of memory. */
static struct ale_operation *begin(struct scene *s, enum host_layer layer, struct host_flow *f)
{
    struct lane *l = s->lane;
    struct ale_operation *op =
        ale_operation_begin(l, layer == LAYER_AC ? ALE_CONNECT : ALE_ACCEPT, s->endpoint, f);

    if (op != NULL && layer == LAYER_AC && !ale_operation_note(l, op, s)) {
        ale_operation_end(l, op, f);
        return NULL;
    }
    return op;
}

/* Asks as the operation says, of a copy. */
static void ask_initially(struct scene *s, enum host_layer layer, struct ale_operation *op,
                          const struct host_flow *f, struct ale_options *o, struct answer *a)
{
    struct lane *l = s->lane;
    struct scene t, asked;
    bool twice;

    lane_enter(l);
    copy_scene(&t, s);
    t.completion_handle = ale_operation_handle(op);
    t.pended = &op->pended;
    op->frame = t.frame;
    twice = layer == LAYER_AC && redirect_asks_twice(&t, f, &asked);
    if (twice) { /* what waits, waits for this one */
        twice = ale_operation_note(l, op, &asked);
        asked.as_asked = true;
    }
    lane_leave(l);

    if (twice) /* RED-26 */
        ale_ask(&asked, layer, o, a);
    if (twice && !op->pended && !a->blocked) {
        lane_enter(l);
        twice = !ale_operation_note(l, op, s);
        lane_leave(l);
    }
    if (!twice || (!op->pended && !a->blocked))
        ale_ask(&t, layer, o, a);
}

/* Asks AC or RA for the flow s->flow, whose endpoint is s->endpoint. */
static enum ale_result authorize_initially(struct scene *s, enum host_layer layer, struct answer *a)
{
    struct lane *l = s->lane;
    struct host_flow *f = s->flow;
    UINT32 slot = flow_table_slot(l->flows, f), policy;
    const struct recalled *recalled = ale_recalls(s, layer);
    struct ale_operation *op = NULL; /* NULL: nobody is asked who could pend it */
    enum ale_outcome outcome;
    struct ale_options o;
    bool tcp, known, due = false, waits_already;
    UINT16 generation;

    lane_enter(l);
    if (ale_is_over(s, f) || !may_begin(f)) { /* overtaken since it was looked for */
        enum ale_result r = ale_is_over(s, f)            ? ale_overtaken(s, layer, a)
                            : f->state == ALE_AUTHORIZED ? ALE_PASS
                                                         : ALE_PENDING;

        lane_leave(l);
        return r;
    }
    if (recalled == NULL && (op = begin(s, layer, f)) == NULL) {
        lane_leave(l);
        return ALE_NO_MEMORY;
    }
    ale_flow_step(l, f, ALE_EVENT_BEGIN);
    tcp = ale_is_tcp(f);
    ale_note_sequence(s, f);
    if (!(f->marks & FLOW_MARK_CLASSIFIED) && s->endpoint != NULL)
        s->endpoint->classified = true; /* ALE-32: repetitions do not count */
    f->marks |= FLOW_MARK_CLASSIFIED;
    known = f->flags & FLOW_ESTABLISHED;
    generation = f->generation;
    policy = ale_policy_of(l, f);
    lane_leave(l);

    if (recalled != NULL)
        ale_known(s, layer, recalled, &o, a);
    else
        ask_initially(s, layer, op, f, &o, a);

    lane_enter(l);
    f = ale_flow_at(l, slot, s->flow_id);
    waits_already = f != NULL && ale_operations_wait(l, f->operations, NULL);
    outcome = op != NULL ? ale_operation_returned(l, op, f, a) : a->blocked ? ALE_REFUSED : ALE_PERMITTED;
    if (f == NULL || f->generation != generation) { /* overtaken: aborted, or an earlier one was completed */
        if (outcome == ALE_PERMITTED && (f == NULL || f->state != ALE_AUTHORIZED))
            outcome = ALE_REFUSED;
    } else if (outcome == ALE_PERMITTED) {
        if (f->state == ALE_CLASSIFYING && ale_flow_step(l, f, ALE_EVENT_PERMIT))
            ale_authorized(l, s, f, &o, policy);
    } else if (outcome == ALE_WAITS) {
        ale_step(l, &f->state, ALE_EVENT_PEND);   /* no generation of its own */
        ale_flow_lifetime(l, f, ALE_IDLE, false); /* from its completion on */
        due = ale_operation_due(op);
    } else if (waits_already) {
        ale_flow_step(l, f, ALE_EVENT_PEND); /* an earlier operation still waits: this packet alone is lost */
    } else {
        ale_flow_step(l, f, ALE_EVENT_BLOCK);
        ale_flow_lifetime(l, f, ALE_IDLE, false);
    }
    lane_leave(l);

    if (due) { /* PEND-23; the packet is lost all the same (PEND-34) */
        if (!ale_defer(l, op))
            ale_operation_run(l, op);
        return ALE_PENDING;
    }
    if (outcome == ALE_WAITS)
        return ALE_PENDING;
    if (outcome == ALE_REFUSED) {
        if (!waits_already) {
            ale_refuse(l, slot, s->flow_id, s);
            ale_tell(l, slot, s->flow_id, HOST_FLOW_REFUSED);
        }
        if (tcp)
            s->endpoint = NULL;
        return refused_result(a);
    }
    ale_tell(l, slot, s->flow_id, HOST_FLOW_AUTHORIZED);
    if (!tcp && !known) {
        struct answer fe;

        s->flow = f;
        if (!ale_establish(s, true, &fe)) {
            *a = fe;
            shut(s);
            return refused_result(a);
        }
    }
    return ALE_PASS;
}

/* Does another flow begin where one was refused, torn down or let go? Lane held. */
static bool is_another(const struct scene *s, const struct host_flow *f, bool inbound)
{
    if (f->state == ALE_PENDED)
        return false;
    if (inbound != !!(f->flags & FLOW_INBOUND))
        return true;
    return ale_is_tcp(f) && (f->marks & FLOW_MARK_TORN || f->half[inbound].next != s->packet->tcp_seq);
}

/* Points s at an entry that is to be asked about. False: out of memory. */
bool ale_enter(struct scene *s, struct host_endpoint *e, bool inbound, uint8_t flags)
{
    struct lane *l = s->lane;
    struct host_flow *f = s->flow;
    struct host_flow_key key;
    bool created = false, another;

    if (f != NULL && f->id != s->flow_id)
        f = NULL;
    if (f != NULL) {
        lane_enter(l);
        another = is_another(s, f, inbound);
        lane_leave(l);
        if (another) {
            ale_end_flow(l, f, HOST_END_REPLACED);
            f = NULL;
        }
    }
    if (f == NULL) {
        ale_key_of_new(s, &key);
        f = flow_begin(s, &key, inbound);
        if (f == NULL)
            return false;
        created = true;
    }
    lane_enter(l);
    if (s->protocol == WIRE_PROTOCOL_TCP && ale_endpoint_is_raw_tcp(s))
        f->marks |= FLOW_MARK_RAW;
    f->flags |= flags;
    attach(l, f, e);
    s->flow = f;
    s->flow_id = f->id;
    s->endpoint = e;
    s->connection_direction = inbound ? FWP_DIRECTION_INBOUND : FWP_DIRECTION_OUTBOUND;
    lane_leave(l);
    if (created)
        ale_tell(l, flow_table_slot(l->flows, f), f->id, HOST_FLOW_CREATED);
    return true;
}

/* Refused before AC was asked: by BR, RES or CR. */
static void deny_unasked(struct scene *s, uint8_t marks)
{
    struct lane *l = s->lane;
    struct host_flow *f = s->flow;
    UINT32 slot = flow_table_slot(l->flows, f);
    bool denied = false;

    lane_enter(l);
    if (!ale_is_over(s, f) && may_begin(f)) {
        ale_note_sequence(s, f);
        f->marks |= marks;
        denied = ale_flow_step(l, f, ALE_EVENT_BEGIN) && ale_flow_step(l, f, ALE_EVENT_BLOCK);
        ale_flow_lifetime(l, f, ALE_IDLE, false);
        ale_operations_cancel(l, f->operations);
    }
    lane_leave(l);
    if (!denied)
        return;
    ale_refuse(l, slot, s->flow_id, s);
    ale_tell(l, slot, s->flow_id, HOST_FLOW_REFUSED);
}

static void classify_ends(struct scene *s)
{
    lane_enter(s->lane);
    if (!ale_is_over(s, s->flow) && s->flow->state == ALE_CLASSIFYING)
        ale_flow_step(s->lane, s->flow, ALE_EVENT_END);
    lane_leave(s->lane);
}

enum ale_result ale_authorize_connect(struct scene *s, struct answer *a)
{
    classify_ends(s);
    return authorize_initially(s, LAYER_AC, a);
}

void ale_deny_connect(struct scene *s)
{
    classify_ends(s);
    deny_unasked(s, 0);
}

/* The implicit bind of who sends. */
static enum ale_result bind_sender(struct scene *s, struct host_endpoint *e, bool tcp, struct answer *a)
{
    struct lane *l = s->lane;
    enum ale_result r;

    r = ale_endpoint_bind(l, e, s, a);
    if (r == ALE_PASS)
        return r;
    if (!tcp) {
        lane_enter(l);
        ale_endpoint_idle(l, e);
        lane_leave(l);
        return r;
    }
    if (r == ALE_REFUSED_BIND && ale_enter(s, e, false, 0)) {
        deny_unasked(s, FLOW_MARK_NO_BIND);
        s->endpoint = NULL;
    }
    return r;
}

static enum ale_result connect_out(struct scene *s, struct answer *a)
{
    struct lane *l = s->lane;
    struct host_endpoint *e;
    bool tcp, made = false, unbound = false, refused = false;
    enum ale_result r = ALE_PASS;

    lane_enter(l);
    tcp = s->protocol == WIRE_PROTOCOL_TCP && !ale_endpoint_is_raw_tcp(s);
    e = ale_endpoint_sender(s);
    if (e == NULL || (tcp && !ale_endpoint_of(e)->is_explicit)) {
        e = ale_endpoint_imply(s, false, true);
        made = e != NULL;
        if (made) {
            e->implicit_bind = true;
            if (tcp) {
                e->remote = s->remote;
                e->remote_port = s->remote_port;
            } else {
                ale_endpoint_show(l, e);
            }
        }
    } else if (tcp) {
        ale_endpoint_of(e)->connected = s->local;
        e->remote = s->remote;
        e->remote_port = s->remote_port;
    }
    if (e != NULL) {
        ale_endpoint_ref(e);
        unbound = ale_endpoint_of(e)->bind == ALE_NEW;
        refused = e->refused;
    }
    lane_leave(l);
    if (e == NULL)
        return ALE_NO_MEMORY;
    if (unbound)
        r = bind_sender(s, e, tcp, a);
    else if (refused)
        r = ALE_REFUSED_BIND;
    if (r == ALE_PASS && !ale_enter(s, e, false, 0))
        r = ALE_NO_MEMORY;
    if (r == ALE_PASS) { /* CR: what the socket asked for, before AC sees what comes of it */
        r = redirect_connect(s, a);
        if (r == ALE_PASS)
            r = authorize_initially(s, LAYER_AC, a);
        else if (r == ALE_BLOCKED || r == ALE_ABSORBED)
            deny_unasked(s, 0);
    }
    lane_enter(l);
    if (made && tcp && e->flows == 0 && !ale_endpoint_of(e)->closed && r != ALE_PENDING) {
        ale_endpoint_of(e)->closed = true; /* it never came to anything */
        ale_endpoint_unref(l, e);
    }
    ale_endpoint_unref(l, e);
    lane_leave(l);
    return r;
}

static enum ale_result accept_in(struct scene *s, struct answer *a)
{
    struct lane *l = s->lane;
    struct host_endpoint *e = s->endpoint, *listener = NULL;
    enum ale_result r;
    bool tcp;

    lane_enter(l);
    tcp = s->protocol == WIRE_PROTOCOL_TCP && !ale_endpoint_is_raw_tcp(s);
    if (tcp && s->flow != NULL && s->flow->id == s->flow_id && s->flow->state == ALE_PENDED) {
        e = ale_endpoint_at(l, s->flow->endpoint); /* the same SYN, asked about again */
    } else if (tcp) {                              /* the socket that accept() will return */
        listener = e != NULL && e->listening ? e : ale_endpoint_receiver(s);
        if (listener != NULL) {
            ale_endpoint_ref(listener); /* where room must be made, the lane is left */
            ale_endpoint_idle(l, listener);
        }
        e = ale_endpoint_imply(s, false, true);
        if (e != NULL && listener != NULL) {
            e->parent = listener;
            e->party = listener->party;
        } else if (listener != NULL) {
            ale_endpoint_unref(l, listener);
        }
        if (e != NULL) {
            e->version = listener != NULL ? listener->version : s->version;
            e->dual_stack = listener != NULL && listener->dual_stack;
            e->remote = s->remote;
            e->remote_port = s->remote_port;
        }
    }
    if (e != NULL)
        ale_endpoint_ref(e);
    lane_leave(l);
    if (e == NULL)
        return ALE_NO_MEMORY;
    r = ale_enter(s, e, true, 0) ? authorize_initially(s, LAYER_RA, a) : ALE_NO_MEMORY;
    lane_enter(l);
    if (tcp && e->flows == 0 && !ale_endpoint_of(e)->closed && r != ALE_PENDING) {
        ale_endpoint_of(e)->closed = true;
        ale_endpoint_unref(l, e);
    }
    ale_endpoint_unref(l, e);
    lane_leave(l);
    return r;
}

enum ale_result ale_decide(struct scene *s, struct ale_view *v, struct answer *a)
{
    enum ale_result r;
    bool adopted;

    memset(a, 0, sizeof(*a));
    switch (v->need) {
    case ALE_NEED_NOTHING:
        return ALE_PASS;
    case ALE_NEED_AUTHORIZE:
        return v->layer == LAYER_AC ? connect_out(s, a) : accept_in(s, a);
    default:
        adopted = s->flow == NULL;
        if (adopted && !ale_adopt(s, v->layer == LAYER_RA))
            return ALE_NO_MEMORY;
        r = ale_ask_again(s, v->reasons, a);
        if (adopted && r == ALE_PASS)
            ale_tell(s->lane, flow_table_slot(s->lane->flows, s->flow), s->flow_id, HOST_FLOW_AUTHORIZED);
        return r;
    }
}
