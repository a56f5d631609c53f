/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paths_stream: the stream layer for a segment of a flow that has a pipeline (stream.h), where segments are what streams
 * are fed with. Of other flows paths_tcp.c asks the layer itself, segment by segment.
 *
 *   in:   ... SPK -> tcp_segment() -> [FE] -> path_stream_feed() -> path_stream_end()
 *   out:  tcp_segment() -> [FE] -> path_stream_feed() -> [AC | RA again] -> path_stream_end() -> SPK -> OT -> OI
 *                                                                           | HOST_REWRITTEN: others have walked the
 *                                                                           | layers below, this one is at its end
 *
 * A frame whose data a plain filter took out alone is BLOCKED at the stream layer, as without callouts; of a callout's it
 * is REWRITTEN (with layer and filter), for what was taken out may be on its way again. A callout that drops the connection
 * has resets sent both ways; the frame is BLOCKED, the flow aborted, what comes later a consequence.
 *
 * A segment that TCP refuses meets the discard layer as ever. In a rewritten connection it goes no further; its
 * acknowledgement counts if only its data could not be taken.
 */
#include "host/ale_inside.h"
#include "host/paths.h"
#include "host/stream_inside.h"
#include "host/stream_wire.h"
#include "host/tcp_inside.h"

struct stream *path_stream(struct scene *s)
{
    if (((s->lane->busy[s->version == 6] >> LAYER_ST & 1) == 0 && !streams_any(s->host)) || s->flow == NULL)
        return NULL;
    return stream_of(s);
}

/* Where both directions stood before the segment. */
static void places_before(const struct tcp_result *r, struct wire_pass *pass)
{
    struct scene *s = pass->s;
    const struct wire_packet *p = s->packet;
    uint32_t there = p->captured > p->data_at ? p->captured - p->data_at : 0;
    bool flow;

    lane_enter(s->lane);
    flow = path_flow(s);
    for (int dir = 0; flow && dir < 2; dir++) {
        const struct tcp_half *h = &s->flow->half[dir];

        pass->known[dir] = (h->flags & (TCP_HALF_KNOWN | TCP_HALF_GUESSED)) == TCP_HALF_KNOWN;
        pass->next[dir] = h->next;
        if (r->out != (dir == 0))
            continue;
        if ((r->events & TCP_DATA) != 0)
            pass->next[dir] -= r->size + (there < p->data_length ? p->data_length - there : 0);
        if ((r->events & TCP_FIN_NOW) != 0)
            pass->next[dir]--;
    }
    lane_leave(s->lane);
}

static void tell(struct scene *s, const struct tcp_result *r)
{
    const struct host_observer *o = &s->host->config.observer;
    bool stayed;

    if ((r->events & (TCP_DATA | TCP_GAP)) == 0 || o->stream == NULL)
        return;
    stayed = lane_rest(s->lane);
    o->stream(o->ctx, s->flow_id, r->out, r->data, (r->events & TCP_DATA) != 0 ? r->size : 0,
              (r->events & TCP_GAP) != 0 ? r->lost : 0);
    lane_back(s->lane, stayed);
}

/* One piece that the segment set in order, of either direction. */
static void feed(struct wire_pass *pass, struct stream_wire **w, const struct tcp_result *r,
                 struct stream_fed *fed)
{
    struct scene *s = pass->s;
    const bool own = r->out != path_inbound(s);
    const UINT8 tcp = s->packet->tcp_flags;
    UINT32 flags = (r->events & TCP_FIN_NOW) != 0 ? HOST_STREAM_END : 0;

    *fed = (struct stream_fed){.same = true};
    if ((r->events & (TCP_DATA | TCP_GAP | TCP_FIN_NOW)) == 0)
        return;
    if (own && (tcp & WIRE_TCP_PSH) != 0 && path_inbound(s))
        flags |= HOST_STREAM_PUSH;
    if (own && (tcp & WIRE_TCP_URG) != 0)
        flags |= HOST_STREAM_URGENT;
    tell(s, r);
    wire_feed(pass, w, r->out ? 0 : 1, r->data, (r->events & TCP_DATA) != 0 ? r->size : 0,
              (r->events & TCP_GAP) != 0 ? r->lost : 0, flags, fed);
}

static void taken_out(struct scene *s, const struct stream_fed *fed, struct host_outcome *out)
{
    out->layer = engine_layer_by_id(layer_id(LAYER_ST, s->version));
    out->filter_id = fed->removed_by;
    if (fed->callout != 0)
        return;
    out->fate = HOST_BLOCKED;
    out->module = FWPS_DISCARD_MODULE_GENERAL;
    out->reason = FWPS_DISCARD_FIREWALL_POLICY;
}

bool path_stream_feed(struct scene *s, struct stream *st, struct tcp_result *r, struct stream_wire **wire,
                      struct host_outcome *out)
{
    const UINT32 events = TCP_DATA | TCP_GAP | TCP_FIN_NOW | TCP_MORE | TCP_RESET_NOW;
    struct wire_pass pass;
    struct tcp_result piece;
    struct stream_fed fed;
    bool dropped, more;

    *wire = NULL;
    if ((r->events & events) == 0 && wire_is_none(st)) {
        wire_note(s, st);
        return true;
    }
    pass = (struct wire_pass){.s = s, .st = st};
    piece = *r;
    places_before(r, &pass);
    *wire = wire_see(&pass);
    feed(&pass, wire, &piece, &fed);
    out->depends = out->depends || fed.depends;
    dropped = fed.dropped;
    if (fed.removed_by != 0 && piece.out != path_inbound(s) && (piece.events & TCP_DATA) != 0)
        taken_out(s, &fed, out);
    while (!dropped && ((piece.events & TCP_MORE) != 0 || (r->events & TCP_MORE) != 0)) {
        lane_enter(s->lane);
        more = path_flow(s) && tcp_more(s->lane, s->flow, &piece);
        lane_leave(s->lane);
        if (!more)
            break;
        r->events |= piece.events & (TCP_CLOSED_NOW | TCP_FIN_NOW | TCP_DATA);
        feed(&pass, wire, &piece, &fed);
        dropped = fed.dropped;
    }
    if (!dropped && (r->events & TCP_RESET_NOW) != 0) {
        wire_feed(&pass, wire, path_inbound(s) ? 1 : 0, NULL, 0, 0, HOST_STREAM_ABORT, &fed);
        dropped = fed.dropped;
    }
    path_busy(s->lane);
    if (!dropped && pass.lazy)
        wire_note(s, st);
    if (!dropped)
        return true;
    out->fate = HOST_BLOCKED;
    out->layer = engine_layer_by_id(layer_id(LAYER_ST, s->version));
    out->filter_id = wire_dropped_by(*wire);
    out->module = FWPS_DISCARD_MODULE_GENERAL;
    out->reason = FWPS_DISCARD_FIREWALL_POLICY;
    r->events &= ~(UINT32)(TCP_RESET_NOW | TCP_CLOSED_NOW);
    if (s->flow != NULL)
        ale_tear_down(s->lane, flow_table_slot(s->lane->flows, s->flow), s->flow_id, HOST_END_ABORTED, s);
    s->flow = NULL;
    wire_done(*wire);
    *wire = NULL;
    return false;
}

bool path_stream_end(struct scene *s, struct stream_wire *w, struct tcp_result *r, struct host_outcome *out)
{
    bool goes = !wire_segment(s, w);

    if (out->fate == HOST_BLOCKED)
        goes = false;
    else if (!goes)
        out->fate = HOST_REWRITTEN;
    if ((r->events & TCP_CLOSED_NOW) != 0 && !wire_may_end(w))
        r->events &= ~(UINT32)TCP_CLOSED_NOW;
    return goes;
}

void path_stream_refused(struct scene *s, struct stream *st, const struct tcp_result *r,
                         struct host_outcome *out)
{
    const bool data = r->reason == InetDiscardOutsideWindow || r->reason == InetDiscardClosedWindow ||
                      r->reason == InetDiscardFinReceived;
    struct wire_pass pass = {.s = s, .st = st};
    struct stream_wire *w;

    places_before(r, &pass);
    w = wire_see(&pass);
    if (data && (s->packet->tcp_flags & WIRE_TCP_RST) == 0) {
        if (pass.lazy)
            wire_note(s, st);
        if (wire_segment(s, w))
            out->fate = HOST_REWRITTEN;
    } else if (wire_is_on(w)) {
        out->fate = HOST_REWRITTEN;
    }
    wire_done(w);
}
