/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paths_short: the short way of a packet that nobody wants to be asked about.
 *
 *   paths_frame() --a flow that is authorized, a plain TCP segment or UDP datagram of it--> short_way()
 *                        |                                             | TCP: tcp_segment(); refreshed; passed
 *                        v                                             v
 *                  paths_in(), paths_out()  <--no--  are all layers on its way empty or known to permit?
 *                        |                                             ^
 *                        +--went through, nothing special: short_note() says so in the flow
 *
 * A layer's answer is known if its filters test nothing (lane->settled); or if none asks a callout, and all that
 * they test stays as it is for a flow's packets of one direction (struct plan's `steady`): it permitted once,
 * so it permits until something else changes of what it was told: policy, addresses, a profile
 * (lane->short_epoch, of which the flow keeps the last byte). What changes of the flow itself is seen in the
 * flow (ale_flow_step() takes the mark away).
 * Two marks, one a direction, say that the answers of all layers on the way are known that have filters.
 * Which layers those are hangs on few things (struct short_way): it is worked out for all of them when it changes.
 *
 * The result is the long way's, to the counters; host_knobs.long_way takes everything along that one, and the
 * tests compare the two. A TCP segment that brings more about than data or an acknowledgement leaves the
 * short way behind tcp_segment(), for path_tcp_went_in() or path_tcp_going_out().
 */
#include "host/ale_inside.h"
#include "host/indicate.h"
#include "host/paths.h"
#include "host/stream_inside.h"
#include "host/walk.h"

#include <string.h>

#define BIT(role) (1u << (role))

/* Layers that an established flow's packet visits: [TCP][inbound]; ST apart. */
static const UINT32 layers_of[2][2] = {
    {BIT(LAYER_DD) | BIT(LAYER_OT) | BIT(LAYER_OI), BIT(LAYER_II) | BIT(LAYER_IT) | BIT(LAYER_DD)},
    {BIT(LAYER_SPK) | BIT(LAYER_OT) | BIT(LAYER_OI), BIT(LAYER_II) | BIT(LAYER_IT) | BIT(LAYER_SPK)},
};
static const UINT32 mac_layers_of[2] = {BIT(LAYER_MAC_OUT) | BIT(LAYER_MAC_OUT_NATIVE),
                                        BIT(LAYER_MAC_IN) | BIT(LAYER_MAC_IN_NATIVE)};

bool short_possible(const struct host_config *c)
{
    return !c->knobs.long_way && !c->knobs.mapped_v6 && !c->knobs.verify_checksums &&
           c->observer.stream == NULL && (c->observer.classified == NULL || c->observer.decisions_only);
}

void short_ways_make(struct lane *l)
{
    for (unsigned n = 0; l->short_on && n < SHORT_WAYS; n++) {
        const bool tcp = n & 1, in = n >> 1 & 1, six = n >> 2 & 1, mac = n >> 3 & 1;
        UINT32 roles = layers_of[tcp][in] | (mac ? mac_layers_of[in] : 0);

        for (unsigned data = 0; data < 2; data++) {
            const UINT32 asked = (roles |= tcp && data ? BIT(LAYER_ST) : 0) & l->busy[six],
                         telling = asked & l->depends[six];
            const bool one = (telling & (telling - 1)) == 0; /* at most one tells anybody something */

            l->short_ways[n].with[data] = (struct short_asked){
                .telling = telling,
                .layer = telling != 0 ? layer_id((enum host_layer)__builtin_ctz(telling), six ? 6 : 4) : 0,
                .others = (UINT8)__builtin_popcount(asked & ~telling),
                .known = {one && (asked & ~l->settled[six]) == 0, one},
            };
            l->short_ways[n].unsettled = asked & ~l->settled[six];
        }
    }
}

bool short_is_plain(const struct lane *l, const struct wire_packet *p, bool in)
{
    return p->reached == WIRE_TRANSPORT && !p->fragment && !p->cut && p->fault == WIRE_OK &&
           (p->protocol == WIRE_PROTOCOL_TCP ? (p->tcp_flags & (WIRE_TCP_SYN | WIRE_TCP_RST)) == 0
                                             : p->protocol == WIRE_PROTOCOL_UDP) &&
           (!in || !p->ip_checksum_wrong || l->host->config.knobs.trust_checksums);
}

/* The flow needs nothing, and has nothing that a packet's way hangs on. What its bytes from `generation` on must be
 * is asked at once. */
static bool is_settled(const struct lane *l, const struct host_flow *f, const struct host_interface *i)
{
    enum { FIRST = offsetof(struct host_flow, generation) };
#define AT(member) [offsetof(struct host_flow, member) - FIRST]
    static const uint8_t mask[8] = {
        AT(state) = 0xff,
        AT(flags) = FLOW_LOOPBACK | FLOW_MULTICAST | FLOW_REFRESH_OUT_ONLY | FLOW_UNSENT_OUT | FLOW_UNSENT_IN,
        AT(reasons) = 0xff,
        AT(marks) = FLOW_MARK_TORN | FLOW_MARK_RAW | FLOW_MARK_GONE,
    };
    static const uint8_t wanted[8] = {AT(state) = ALE_AUTHORIZED};
#undef AT
    uint64_t is, of, should;

    memcpy(&is, (const uint8_t *)f + FIRST, sizeof(is));
    memcpy(&of, mask, sizeof(of));
    memcpy(&should, wanted, sizeof(should));
    return (is & of) == should && i != NULL && f->arrival == i->desc.index &&
           f->policy == ale_policy_of(l, f);
}

static uint8_t mark_of(bool in)
{
    return in ? FLOW_MARK_SHORT_IN : FLOW_MARK_SHORT_OUT;
}

static bool is_marked(const struct lane *l, const struct host_flow *f, bool in)
{
    return (f->marks & mark_of(in)) != 0 && f->short_epoch == l->short_epoch;
}

static void forget(void *ctx, struct host_flow *f)
{
    (void)ctx;
    f->marks &= (uint8_t) ~(FLOW_MARK_SHORT_IN | FLOW_MARK_SHORT_OUT);
}

void short_forget(struct lane *l)
{
    if (++l->short_epoch == 0) /* marks of long ago would be taken for new ones */
        flow_table_each(l->flows, forget, NULL);
}

/* What tcp_segment() found, behind which there is nothing to be done but asking ST, whose answer is known. */
static bool is_quiet(const struct tcp_result *r, bool in, bool st_known)
{
    const UINT32 more = r->events & ~(UINT32)(TCP_RETRANSMITTED | TCP_HELD_DATA);

    return more == 0 || (more == TCP_DATA && r->out != in && st_known);
}

/* What is said of any packet of the flow. */
static void say(const struct host_flow *flow, bool in, struct host_outcome *out)
{
    out->inbound = in;
    out->outbound = !in;
    out->flow_id = flow->id;
    out->answers = in != ((flow->flags & FLOW_INBOUND) != 0);
}

/* Of a connection that was refused (view_flow()). False: not so. */
static bool refused(struct lane *l, struct host_flow *flow, bool in, struct host_outcome *out)
{
    if ((flow->marks & (FLOW_MARK_RAW | FLOW_MARK_GONE)) != 0 || (flow->flags & FLOW_LOOPBACK) != 0)
        return false;
    ale_flow_used(l, flow);
    say(flow, in, out);
    out->fate = HOST_CONSEQUENCE;
    out->note = flow->marks & FLOW_MARK_TORN      ? HOST_NOTE_ENDED_FLOW
                : flow->marks & FLOW_MARK_NO_BIND ? HOST_NOTE_REFUSED_BIND
                                                  : HOST_NOTE_REFUSED_FLOW;
    l->shortened++;
    return true;
}

/* tell(), for who wants to know no more than that. False: nobody does. */
static bool tell_briefly(struct lane *l, UINT16 id, UINT64 flow_id)
{
    const struct host_config *c = &l->host->config;

    if (c->observer.repeated == NULL || !c->observer.decisions_only)
        return false;
    host_count_worker(&l->classified);
    c->observer.repeated(c->observer.ctx, engine_layer_by_id(id), &l->scratch->plan[id].answer, flow_id);
    return true;
}

/* One of them is told of, what it was told before. */
static __attribute__((noinline)) void tell(struct lane *l, const struct host_frame *f, UINT32 role, bool in,
                                           UINT64 flow_id, struct host_endpoint *e)
{
    struct scene s; /* as much of it as indicate_settled() reads */

    s.host = l->host;
    s.lane = l;
    s.frame = f->number;
    s.time_ns = l->host->now_ns;
    s.version = f->packet->version;
    s.endpoint = e;
    s.flow_id = flow_id;
    s.packet_direction = in ? FWP_DIRECTION_INBOUND : FWP_DIRECTION_OUTBOUND;
    s.reauthorize = 0;
    indicate_settled(&s, (enum host_layer)__builtin_ctz(role));
    lane_enter(l); /* left while somebody was told; the caller leaves it again */
}

enum short_result short_way(struct lane *l, const struct host_frame *f, const struct ahead *a, bool in,
                            struct tcp_result *r, struct host_outcome *out)
{
    const struct wire_packet *p = f->packet;
    const bool tcp = p->protocol == WIRE_PROTOCOL_TCP;
    enum short_result result = SHORT_PASSED;
    struct host_flow *flow = a->flow;
    const struct short_asked *asked;
    bool marked;

    if (flow->id != a->flow_id || a->home != a->interface || !short_is_plain(l, p, in) ||
        ale_flow_is_idle(l, flow))
        return SHORT_NO;
    if (tcp && flow->state == ALE_DENIED && refused(l, flow, in, out))
        return SHORT_PASSED;
    ale_policy_notice(l);
    if (!is_settled(l, flow, a->interface))
        return SHORT_NO;
    if (tcp &&
        __builtin_expect(streams_any(l->host), 0)) /* it may have a pipeline, which wants to see all of it */
        return SHORT_KNOWN;
    asked = l->short_ways[short_way_number(tcp, in, p->version == 6, p->mac_at != UINT32_MAX)].with;
    marked = is_marked(l, flow, in) && !engine_observes_permits(l->host->config.engine);
    if (!asked->known[marked] || (!tcp && !marked)) /* UDP: perhaps to a group */
        return SHORT_KNOWN;
    if (tcp) {
        tcp_segment(l, flow, p, !in, r);
        if ((flow->flags & FLOW_ESTABLISHED) != 0)
            r->events &= ~(UINT32)TCP_ESTABLISHED_NOW;
        if (!is_quiet(r, in, asked[1].known[marked]))
            result = SHORT_TCP;
        else if ((r->events & TCP_DATA) != 0)
            asked++;
    }
    if (result == SHORT_TCP && !in)
        return result;                                   /* the other layers are below */
    host_count_worker_by(&l->classified, asked->others); /* those that tell count as they are told */
    ale_refresh_flow(l, flow, in);
    say(flow, in, out);
    if (asked->telling != 0) {
        out->depends = true;
        if (!tell_briefly(l, asked->layer, flow->id))
            tell(l, f, asked->telling, in, flow->id, ale_endpoint_at(l, flow->endpoint));
    }
    l->shortened += result == SHORT_PASSED;
    return result;
}

void short_note_known(struct scene *s, const struct host_outcome *out)
{
    struct lane *l = s->lane;
    const struct wire_packet *p = s->packet;
    const bool in = path_inbound(s), tcp = p->protocol == WIRE_PROTOCOL_TCP;
    struct host_flow_key key;
    UINT8 type;

    if (out->fate != HOST_PASSED || s->home != s->interface || s->flow == NULL)
        return;
    lane_enter(l);
    if (path_flow(s) && !is_marked(l, s->flow, in) && short_is_plain(l, p, in) &&
        is_settled(l, s->flow, s->interface)) {
        type = in || tcp ? NlatUnicast : host_address_type(l->host, p->version, &p->destination);
        path_key(s, &key); /* not one that hears other peers' packets (ALE-08, 10) */
        if (type == NlatUnicast && flow_table_find_likely(l->flows, &key, s->flow) == s->flow) {
            if (s->flow->short_epoch != l->short_epoch)
                forget(NULL, s->flow);
            s->flow->short_epoch = l->short_epoch;
            s->flow->marks |= mark_of(in);
        }
    }
    lane_leave(l);
}
