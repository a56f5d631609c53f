/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paths_refused: the short way of a datagram that is refused once more.
 *
 * A refused flow of UDP is asked about with each datagram (ale_find.c), at the same layers, with the same values. Where that
 * came to the same end as it must come to each time, it need not be done again:
 *
 *   first datagram       the long way: endpoint, flow, refused
 *   second               the long way, listened to (scratch.hears): each classification, whether it hangs on anything but
 *                        policy, flow and direction (hear()), and what was told of it
 *     refused_note()     all of them are known: put down once a lane for all flows with the same ones; the flow gets
 *                        their number (half[0].next: UDP has no use for it) and FLOW_MARK_SHORT_IN
 *   the next ones        refused_again(): counted and told as noted; the flow is used, and refused
 *
 * Only inbound datagrams to sockets that no program opened by itself: nothing about those changes while they are there.
 * The mark goes as paths_short.c's do: with each step of the flow, with policy, addresses, profiles (short_epoch).
 */
#include <stdlib.h>
#include <string.h>

#include "host/ale_inside.h"
#include "host/indicate.h"
#include "host/paths.h"

struct refusal {
    UINT16 layer; /* that blocked, */
    UINT64 filter_id;
    bool mac;    /* the datagram had a MAC header: layers of its own */
    UINT8 count; /* and all that was heard, in order */
    struct heard heard[HEARD_MOST];
};

#define REFUSALS 64

struct refusals {
    UINT32 count;
    uint8_t epoch; /* of the lane when they were noted */
    struct refusal list[REFUSALS];
};

void refused_destroy(struct lane *l)
{
    free(l->refusals);
}

static bool has_mac(const struct wire_packet *p)
{
    return p->mac_at != UINT32_MAX;
}

/* The flow is refused, and the datagram goes the way that it was opened; there is nothing else about it. */
static bool is_candidate(const struct lane *l, const struct host_frame *f, const struct ahead *a)
{
    const struct wire_packet *p = f->packet;
    const struct host_flow *flow = a->flow;
    const struct host_endpoint *e;

    if (p->protocol != WIRE_PROTOCOL_UDP || f->follows || flow->id != a->flow_id ||
        flow->state != ALE_DENIED || flow->reasons != 0 || flow->operations != 0 || a->interface == NULL ||
        a->home != a->interface || flow->arrival != a->interface->desc.index || !short_is_plain(l, p, true) ||
        ale_flow_is_idle(l, flow) ||
        (flow->flags & (FLOW_INBOUND | FLOW_LOOPBACK | FLOW_MULTICAST | FLOW_UNSENT_OUT | FLOW_UNSENT_IN)) !=
            FLOW_INBOUND ||
        (flow->marks & (FLOW_MARK_TORN | FLOW_MARK_RAW | FLOW_MARK_GONE | FLOW_MARK_NO_BIND)) != 0)
        return false;
    e = ale_endpoint_at(l, flow->endpoint);
    return e != NULL && !ale_endpoint_of(e)->is_explicit && !e->refused &&
           ale_endpoint_of(e)->bind == ALE_AUTHORIZED && e == ale_endpoint_hears(l, p);
}

bool refused_again(struct lane *l, const struct host_frame *f, const struct ahead *a,
                   struct host_outcome *out)
{
    struct scratch *room = l->scratch;
    const struct engine *engine = l->host->config.engine;
    struct host_flow *flow = a->flow;
    const struct refusal *r;
    UINT32 slot;
    UINT64 id;
    struct scene s; /* as much of it as indicate_heard() reads */

    if (!is_candidate(l, f, a) || engine_observes_blocks(engine) || engine_observes_permits(engine))
        return false;
    r = (flow->marks & FLOW_MARK_SHORT_IN) != 0 && flow->short_epoch == l->short_epoch
            ? &l->refusals->list[flow->half[0].next]
            : NULL;
    if (r == NULL || r->mac != has_mac(f->packet)) {
        room->hears = room->heard_all = true;
        room->heard_count = 0;
        return false;
    }
    ale_flow_lifetime(l, flow, ALE_IDLE, false);
    slot = flow_table_slot(l->flows, flow);
    id = flow->id;
    s.host = l->host;
    s.lane = l;
    s.frame = f->number;
    s.time_ns = l->host->now_ns;
    s.version = f->packet->version;
    s.endpoint = ale_endpoint_at(l, flow->endpoint);
    s.flow_id = id;
    s.packet_direction = FWP_DIRECTION_INBOUND;
    s.reauthorize = 0;
    for (unsigned i = 0; i < r->count; i++) {
        indicate_heard(&s, &r->heard[i]);
        lane_enter(l); /* left while somebody was told; the caller leaves it again */
    }
    ale_tell(l, slot, id, HOST_FLOW_REFUSED);
    lane_enter(l);
    out->inbound = true;
    out->flow_id = id;
    out->fate = HOST_BLOCKED;
    out->layer = engine_layer_by_id(r->layer);
    out->filter_id = r->filter_id;
    out->module = FWPS_DISCARD_MODULE_GENERAL;
    out->reason = FWPS_DISCARD_FIREWALL_POLICY;
    l->shortened++;
    l->refused_again++;
    return true;
}

static bool same_answer(const struct host_answer *a, const struct host_answer *b)
{
    return a->verdict.action == b->verdict.action && a->verdict.rights == b->verdict.rights &&
           a->verdict.flags == b->verdict.flags && a->verdict.filter_id == b->verdict.filter_id;
}

static bool is_same(const struct refusal *r, const struct scratch *room, bool mac,
                    const struct host_outcome *out)
{
    if (r->mac != mac || r->layer != out->layer->id || r->filter_id != out->filter_id ||
        r->count != room->heard_count)
        return false;
    for (unsigned i = 0; i < r->count; i++) {
        const struct heard *x = &r->heard[i], *y = &room->heard[i];

        if (x->layer != y->layer || x->settled != y->settled || x->discard != y->discard ||
            x->empty != y->empty || x->judged != y->judged || x->told != y->told ||
            !same_answer(&x->answer, &y->answer))
            return false;
    }
    return true;
}

/* The number of what was heard, among the lane's; REFUSALS: there is no room. */
static UINT32 put(struct lane *l, bool mac, const struct host_outcome *out)
{
    const struct scratch *room = l->scratch;
    struct refusals *all = l->refusals;
    struct refusal *r;
    UINT32 i = 0;

    if (all == NULL && (all = l->refusals = calloc(1, sizeof(*all))) == NULL)
        return REFUSALS;
    if (all->epoch != l->short_epoch) { /* no mark speaks of them any more */
        all->epoch = l->short_epoch;
        all->count = 0;
    }
    while (i < all->count && !is_same(&all->list[i], room, mac, out))
        i++;
    if (i == all->count && i < REFUSALS) {
        r = &all->list[all->count++];
        r->layer = out->layer->id;
        r->filter_id = out->filter_id;
        r->mac = mac;
        r->count = room->heard_count;
        memcpy(r->heard, room->heard, sizeof(r->heard));
    }
    return i;
}

void refused_note(struct scene *s, const struct host_outcome *out)
{
    struct lane *l = s->lane;
    struct scratch *room = l->scratch;
    struct host_flow_key key;
    UINT32 number;

    if (!room->hears)
        return;
    room->hears = false;
    if (!room->heard_all || out->fate != HOST_BLOCKED || out->depends || out->layer == NULL)
        return;
    lane_enter(l);
    path_key(s, &key);
    if (path_flow(s) && s->flow->state == ALE_DENIED &&
        flow_table_find_likely(l->flows, &key, s->flow) == s->flow &&
        (number = put(l, has_mac(s->packet), out)) < REFUSALS) {
        if (s->flow->short_epoch != l->short_epoch)
            s->flow->marks &= (uint8_t) ~(FLOW_MARK_SHORT_IN | FLOW_MARK_SHORT_OUT);
        s->flow->short_epoch = l->short_epoch;
        s->flow->half[0].next = number;
        s->flow->marks |= FLOW_MARK_SHORT_IN;
    }
    lane_leave(l);
}
