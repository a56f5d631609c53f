/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paths_tcp: the way of a TCP segment, both directions.
 *
 *   in:   II -> IT -> [RA | AC] -> SPK -> tcp_segment() -> [FE] -> ST               (ORD-03, 04, 05, 08, 11)
 *   out:  [BR RES CR AC] -> tcp_segment() -> ST -> [AC | RA again] -> SPK -> OT -> OI   (ORD-02, 05, 08, 23)
 *         a SYN: tcp_segment() only after OI, for if it is dropped no connection has begun
 *
 * tcp.c hears of inbound segments that passed the packet layers, and of what this host sent as it stands at
 * the stream layer: data that OT or OI drops was given to TCP, and would be sent again. The stream layer sees
 * each byte once, in order; bytes that an acknowledgement or a filled hole sets in order come after the
 * segment's own, and a block of theirs no longer concerns this frame.
 *
 * A connection's end (ORD-07) is seen at ST by flags; then ale_end_flow() does what closing does (ALE-33).
 * Its tuple is remembered for a while: what comes late meets the packet layers alone.
 */
#include "host/paths.h"
#include "host/stream_wire.h"

static bool bare_syn(const struct wire_packet *p)
{
    return (p->tcp_flags & (WIRE_TCP_SYN | WIRE_TCP_ACK | WIRE_TCP_RST)) == WIRE_TCP_SYN;
}

/* ---- the stream layer */

static bool stream_step(struct scene *s, bool out_way, const uint8_t *bytes, uint32_t size, UINT32 flags,
                        struct host_outcome *out)
{
    FWP_DIRECTION way = s->packet_direction;
    UINT32 steady = s->steady;
    bool passed;

    s->stream = bytes;
    s->stream_size = size;
    s->stream_flags = flags | (out_way ? FWPS_STREAM_FLAG_SEND : FWPS_STREAM_FLAG_RECEIVE);
    s->packet_direction = out_way ? FWP_DIRECTION_OUTBOUND : FWP_DIRECTION_INBOUND;
    passed = path_step(s, LAYER_ST, out);
    if (s->packet_direction != way)
        s->steady = steady; /* of the other direction */
    s->packet_direction = way;
    s->stream = NULL;
    s->stream_size = 0;
    s->stream_flags = 0;
    return passed;
}

static void tell_stream(struct scene *s, const struct tcp_result *r)
{
    const struct host_observer *o = &s->host->config.observer;
    const bool stayed = lane_rest(s->lane);

    o->stream(o->ctx, s->flow_id, r->out, r->data, (r->events & TCP_DATA) != 0 ? r->size : 0,
              (r->events & TCP_GAP) != 0 ? r->lost : 0);
    lane_back(s->lane, stayed);
}

/* One piece that the segment set in order. False: blocked. */
static bool stream_piece(struct scene *s, const struct tcp_result *r, struct host_outcome *out)
{
    const struct host_observer *o = &s->host->config.observer;
    UINT32 flags = 0;

    if ((r->events & (TCP_DATA | TCP_GAP)) != 0 && o->stream != NULL)
        tell_stream(s, r);
    if ((r->events & TCP_FIN_NOW) != 0)
        flags |= r->out ? FWPS_STREAM_FLAG_SEND_DISCONNECT : FWPS_STREAM_FLAG_RECEIVE_DISCONNECT;
    if ((r->events & TCP_DATA) != 0) {
        if (!stream_step(s, r->out, r->data, r->size, 0, out))
            return false;
    }
    return flags == 0 || stream_step(s, r->out, NULL, 0, flags, out);
}

/* All that the segment set in order, and the reset. `r` gathers the events of all pieces. */
static bool stream_steps(struct scene *s, struct tcp_result *r, struct host_outcome *out)
{
    const bool way = !path_inbound(s);
    struct tcp_result piece = *r;
    struct host_outcome others;
    bool passed = true, more;

    if ((r->events & (TCP_DATA | TCP_GAP | TCP_FIN_NOW)) != 0) {
        others = *out;
        passed = stream_piece(s, &piece, piece.out == way ? out : &others) || piece.out != way;
    }
    while ((piece.events & TCP_MORE) != 0 || (r->events & TCP_MORE) != 0) {
        lane_enter(s->lane);
        more = path_flow(s) && tcp_more(s->lane, s->flow, &piece);
        lane_leave(s->lane);
        if (!more)
            break;
        r->events |= piece.events & (TCP_CLOSED_NOW | TCP_FIN_NOW | TCP_DATA);
        others = *out;
        (void)stream_piece(s, &piece, &others);
    }
    if ((r->events & TCP_RESET_NOW) != 0 && passed)
        passed = stream_step(s, way, NULL, 0,
                             way ? FWPS_STREAM_FLAG_SEND_ABORT : FWPS_STREAM_FLAG_RECEIVE_ABORT, out);
    return passed;
}

/* ---- the connection's end */

/* Streams fed by sockets hear of a reset from here, and may outlast TCP: bytes and ends are with callouts yet. */
static bool stays(struct scene *s, bool reset)
{
    const bool sockets = s->host->config.streams == HOST_STREAM_SOCKETS;
    struct stream *st = sockets && s->flow != NULL ? stream_find(s->host, s->flow_id) : NULL;
    struct stream_fed fed;

    if (st == NULL)
        return false;
    if (!reset)
        return stream_socket_stays(st);
    stream_feed(s, st, path_inbound(s) ? 1 : 0, NULL, 0, 0, HOST_STREAM_ABORT, &fed);
    return false;
}

static void ended_so(struct scene *s, UINT32 events, bool rewritten)
{
    const bool reset = (events & TCP_RESET_NOW) != 0;
    struct host_flow *f = NULL;
    struct host_flow_key key;

    if ((events & (TCP_RESET_NOW | TCP_CLOSED_NOW)) == 0 || stays(s, reset))
        return;
    lane_enter(s->lane);
    if (path_flow(s)) {
        f = s->flow;
        path_key(s, &key);
        memory_put(s->lane->memory, &key, reset ? MEMORY_RESET : MEMORY_CLOSED, s->time_ns,
                   s->time_ns + CLOSED_NS);
        if (rewritten)
            memory_put(s->lane->memory, &key, MEMORY_REWRITTEN, s->time_ns, s->time_ns + CLOSED_NS);
    }
    lane_leave(s->lane);
    if (f == NULL)
        return;
    ale_end_flow(s->lane, f, reset ? HOST_END_RESET : HOST_END_CLOSED);
    s->flow = NULL;
}

static void ended(struct scene *s, UINT32 events)
{
    ended_so(s, events, false);
}

void path_connection_closed(struct scene *s)
{
    ended(s, TCP_CLOSED_NOW);
}

/* What comes after the end, or resets what was not there: the packet layers alone. */
enum late { NOT_LATE, LATE, LATE_RESET, LATE_REWRITTEN };

static enum late is_late(struct scene *s)
{
    struct memory *m = s->lane->memory;
    struct host_flow_key key;
    enum late late = NOT_LATE;
    unsigned kinds;

    if (s->flow != NULL || bare_syn(s->packet))
        return NOT_LATE;
    path_key(s, &key);
    lane_enter(s->lane);
    kinds = memory_kinds(m, &key, s->time_ns);
    if ((kinds & MEMORY_BIT(MEMORY_REWRITTEN)) != 0) {
        late = LATE_REWRITTEN;
        s->host->wire_counts.late += s->packet->data_length;
    } else if ((kinds & MEMORY_BIT(MEMORY_CLOSED)) != 0) {
        late = LATE;
    } else if ((kinds & MEMORY_BIT(MEMORY_RESET)) != 0) {
        late = LATE_RESET;
    } else if ((s->packet->tcp_flags & WIRE_TCP_RST) != 0) {
        late = LATE;
    }
    lane_leave(s->lane);
    return late;
}

/* ---- both ways */

static UINT64 flow_before(const struct scene *s)
{
    return s->flow != NULL ? s->flow->id : 0;
}

/* With the lane held. A flow that this segment made and that it does not open was open already. */
static void segment(struct scene *s, UINT64 before, struct tcp_result *r)
{
    const struct wire_packet *p = s->packet;
    const bool out = !path_inbound(s);
    bool adopted = false;

    r->events = 0;
    if (!path_flow(s))
        return;
    if (s->flow->id != before && !bare_syn(p)) {
        s->flow->flags |= FLOW_MID_STREAM;
        tcp_adopt(s->flow, p, out);
        adopted = true;
    }
    tcp_segment(s->lane, s->flow, p, out, r);
    if (adopted && (s->flow->flags & FLOW_ESTABLISHED) == 0 && s->flow->tcp >= TCP_ESTABLISHED &&
        s->flow->tcp < TCP_CLOSED)
        r->events |= TCP_ESTABLISHED_NOW;
    if ((s->flow->flags & FLOW_ESTABLISHED) != 0)
        r->events &= ~(UINT32)TCP_ESTABLISHED_NOW;
}

static bool established(struct scene *s, UINT32 events, struct host_outcome *out)
{
    struct answer a = {0};
    bool passed;

    if ((events & TCP_ESTABLISHED_NOW) == 0)
        return true;
    passed = ale_established(s, &a);
    path_busy(s->lane);
    if (passed) {
        out->depends = out->depends || a.depends;
        return true;
    }
    path_blocked(&a, out);
    return false;
}

/* Where streams are fed by sockets, who has a pipeline has been asked there. */
static bool by_sockets(const struct scene *s)
{
    return s->host->config.streams == HOST_STREAM_SOCKETS;
}

/* What the segment set in order is shown by who feeds the sockets' streams; its events count here. */
static void pass_over(struct scene *s, struct tcp_result *r)
{
    struct tcp_result piece = *r;
    bool more = (r->events & TCP_MORE) != 0;

    while (more) {
        lane_enter(s->lane);
        more = path_flow(s) && tcp_more(s->lane, s->flow, &piece);
        lane_leave(s->lane);
        if (more)
            r->events |= piece.events & (TCP_CLOSED_NOW | TCP_FIN_NOW | TCP_DATA);
    }
}

void path_tcp_went_in(struct scene *s, struct tcp_result *r, struct host_outcome *out)
{
    struct stream_wire *w;
    struct stream *st;

    if (__builtin_expect((r->events & TCP_REFUSED) != 0, 0)) {
        path_discard(s, LAYER_IT, FWPS_DISCARD_MODULE_TRANSPORT, r->reason, out);
        if ((st = path_stream(s)) != NULL && !by_sockets(s))
            path_stream_refused(s, st, r, out);
        return;
    }
    if (r->events != 0 && !established(s, r->events, out))
        return;
    st = path_stream(s);
    if (st == NULL && r->events == 0)
        return;
    if (st != NULL && !by_sockets(s)) {
        if (!path_stream_feed(s, st, r, &w, out))
            return;
        (void)path_stream_end(s, w, r, out);
        ended_so(s, r->events, wire_is_on(w));
        wire_done(w);
        return;
    }
    if (st == NULL)
        (void)stream_steps(s, r, out);
    else
        pass_over(s, r);
    ended(s, r->events);
}

void path_tcp_received(struct scene *s, UINT64 before, struct host_outcome *out)
{
    struct tcp_result r;

    lane_enter(s->lane);
    segment(s, before, &r);
    path_passed(s);
    lane_leave(s->lane);
    path_tcp_went_in(s, &r, out);
}

void path_tcp_in(struct scene *s, struct ale_view *v, struct host_outcome *out)
{
    const UINT64 before = flow_before(s);
    enum late late;

    late = is_late(s);
    if (late == LATE_REWRITTEN) {
        if (path_step(s, LAYER_IT, out))
            out->fate = HOST_REWRITTEN;
        return;
    }
    if (late == LATE_RESET && (s->packet->tcp_flags & WIRE_TCP_RST) == 0) {
        path_discard(s, LAYER_IT, FWPS_DISCARD_MODULE_TRANSPORT, InetDiscardEndpointNotFound, out);
        return;
    }
    if (late != NOT_LATE) {
        (void)path_step(s, LAYER_IT, out);
        return;
    }
    if (!path_admit(s, v, out))
        return;
    if (!path_step(s, LAYER_SPK, out)) {
        path_dropped(s);
        return;
    }
    path_tcp_received(s, before, out);
}

/* An outbound segment at the stream layer. False: it is at its end. *w: path_stream_end() is still to come. */
static bool stream_out(struct scene *s, struct tcp_result *r, struct stream_wire **w,
                       struct host_outcome *out)
{
    struct stream *st;

    *w = NULL;
    if (r->events != 0 && !established(s, r->events, out))
        return false;
    st = path_stream(s);
    if (st == NULL)
        return r->events == 0 || stream_steps(s, r, out);
    if (!by_sockets(s))
        return path_stream_feed(s, st, r, w, out);
    pass_over(s, r);
    return true;
}

/* What is below it. */
static void send_out(struct scene *s, struct stream_wire *w, struct tcp_result *r, struct host_outcome *out)
{
    if (!path_stream_end(s, w, r, out)) {
        ended_so(s, r->events, wire_is_on(w));
        wire_done(w);
        return;
    }
    if (path_send_whole(s, true, out))
        path_went(s);
    else
        path_dropped(s);
    ended_so(s, r->events, wire_is_on(w));
    wire_done(w);
}

void path_tcp_going_out(struct scene *s, struct tcp_result *r, struct host_outcome *out)
{
    struct stream_wire *w;

    if (!stream_out(s, r, &w, out)) {
        ended(s, r->events);
        return;
    }
    send_out(s, w, r, out);
}

/* A SYN has gone out: TCP hears of it. */
static void opened(struct scene *s, UINT64 before, struct tcp_result *r, struct host_outcome *out)
{
    struct stream_wire *w = NULL;

    lane_enter(s->lane);
    segment(s, before, r);
    path_passed(s);
    lane_leave(s->lane);
    if ((r->events & TCP_REFUSED) == 0 && stream_out(s, r, &w, out))
        (void)path_stream_end(s, w, r, out);
    ended_so(s, r->events, wire_is_on(w));
    wire_done(w);
}

void path_tcp_out(struct scene *s, struct ale_view *v, struct host_outcome *out)
{
    const bool opens = (s->packet->tcp_flags & WIRE_TCP_SYN) != 0;
    UINT64 before = flow_before(s);
    struct stream_wire *w = NULL;
    struct tcp_result r = {0};
    enum late late = is_late(s);

    if (late == LATE_REWRITTEN) {
        out->fate = HOST_REWRITTEN;
        return;
    }
    if (late != NOT_LATE) {
        (void)path_send(s, out);
        return;
    }
    /* The middle of a connection that was there before: asked again, but there is no stream to tell yet. */
    if ((v->need == ALE_NEED_AUTHORIZE || v->new_flow) && v->need != ALE_NEED_NOTHING) {
        if (!path_authorize(s, v, out))
            return;
        v->need = ALE_NEED_NOTHING;
    }
    if (!opens) {
        lane_enter(s->lane);
        segment(s, before, &r);
        lane_leave(s->lane);
        if (!stream_out(s, &r, &w, out)) {
            ended(s, r.events);
            return;
        }
    }
    if (v->need == ALE_NEED_REAUTHORIZE && !path_authorize(s, v, out)) {
        wire_done(w);
        return;
    }
    s->reauthorize = 0;
    if (!opens) {
        send_out(s, w, &r, out);
        return;
    }
    if (!path_send_whole(s, true, out)) {
        path_dropped(s);
        return;
    }
    opened(s, before, &r, out);
}

/* Below TCP itself: it has said what it had to when the segment first came by, but for a SYN, which opens a
 * connection only when it has gone out. */
void path_tcp_injected(struct scene *s, struct ale_view *v, struct host_outcome *out)
{
    const bool opens = (s->packet->tcp_flags & WIRE_TCP_SYN) != 0;
    const UINT64 before = flow_before(s);
    struct tcp_result r = {0};

    if (is_late(s) != NOT_LATE) {
        (void)path_send(s, out);
        return;
    }
    if (v->need != ALE_NEED_NOTHING && !path_authorize(s, v, out))
        return;
    s->reauthorize = 0;
    if (!path_send(s, out)) {
        path_dropped(s);
        return;
    }
    if (opens) {
        opened(s, before, &r, out);
        return;
    }
    path_went(s);
}
