/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream_socket: source and sink of HOST_STREAM_SOCKETS: what programs send and the stack received comes by
 * host_stream_feed(); what comes out of a pipeline is told to host_config.stream_sink.
 *
 *   host_stream_feed() -> the flow's scene, without a packet -> stream_of() -> none: at once to the sink
 *                                                                   +-> stream_feed() -> element() -> sink
 */
#include <string.h>

#include "host/ale_inside.h"
#include "host/paths.h"
#include "host/stream_inside.h"
#include "host/walk.h"

static const struct host_stream_sink *sink_of(const struct host *h)
{
    static const struct host_stream_sink nobody;

    return h->config.stream_sink != NULL ? h->config.stream_sink : &nobody;
}

/* The stream's word: which directions' ends have come out, and whether TCP is through. */
#define OVER(dir) ((uintptr_t)1 << (dir))
#define THROUGH   ((uintptr_t)4)

static void mark(struct stream *st, uintptr_t bit)
{
    void **word = stream_word(st);

    *word = (void *)((uintptr_t)*word | bit);
}

static bool is_marked(struct stream *st, uintptr_t bits)
{
    return ((uintptr_t)*stream_word(st) & bits) == bits;
}

bool stream_socket_stays(struct stream *st)
{
    mark(st, THROUGH);
    return !is_marked(st, OVER(0) | OVER(1));
}

static void element(struct host *h, struct stream *st, int dir, const struct stream_element *e)
{
    const UINT32 flags = e->flags & (HOST_STREAM_END | HOST_STREAM_ABORT);

    if ((flags & HOST_STREAM_END) != 0)
        mark(st, OVER(dir));
    if (sink_of(h)->bytes != NULL && (e->size != 0 || flags != 0))
        sink_of(h)->bytes(h->config.ctx, st->id, dir == 0, e->bytes, e->size, e->flags);
}

static void drop(struct host *h, struct stream *st, UINT64 filter_id)
{
    if (sink_of(h)->drop != NULL)
        sink_of(h)->drop(h->config.ctx, st->id, filter_id);
}

static void hold(struct host *h, struct stream *st, bool held)
{
    if (sink_of(h)->hold != NULL)
        sink_of(h)->hold(h->config.ctx, st->id, held);
}

const struct stream_sink stream_socket_sink = {.element = element, .drop = drop, .hold = hold};

/* The scene of a connection that has no stream yet. False: there is no such flow. */
static bool scene_of(struct host *h, UINT64 flow_id, bool out, struct scene *s)
{
    struct lane *l = &h->lanes[0];
    const struct host_flow *f;

    memset(s, 0, sizeof(*s));
    s->host = h;
    s->lane = l;
    s->time_ns = h->now_ns;
    s->flow_id = flow_id;
    s->protocol = WIRE_PROTOCOL_TCP;
    s->packet_direction = out ? FWP_DIRECTION_OUTBOUND : FWP_DIRECTION_INBOUND;
    lane_enter(l);
    f = flow_id != 0 ? flow_table_by_id(l->flows, flow_id) : NULL;
    if (f != NULL && (f->marks & (FLOW_MARK_TORN | FLOW_MARK_GONE)) != 0)
        f = NULL;
    if (f != NULL) {
        s->flow = (struct host_flow *)f;
        s->endpoint = ale_endpoint_at(l, f->endpoint);
        s->version = f->key.version;
        s->local = f->key.local;
        s->remote = f->key.remote;
        s->local_port = f->key.local_port;
        s->remote_port = f->key.remote_port;
        s->loopback = (f->flags & FLOW_LOOPBACK) != 0;
        s->connection_direction =
            (f->flags & FLOW_INBOUND) != 0 ? FWP_DIRECTION_INBOUND : FWP_DIRECTION_OUTBOUND;
        s->interface = host_interface_by_index(h, f->arrival);
    }
    lane_leave(l);
    if (f == NULL)
        return false;
    s->home = host_interface_of(h, s->version, &s->local);
    return true;
}

NTSTATUS host_stream_feed(struct host *h, UINT64 flow_id, bool out, const uint8_t *bytes, uint32_t size,
                          UINT32 flags, UINT64 *held)
{
    const int dir = out ? 0 : 1;
    struct stream_fed fed = {0};
    struct stream *st;
    struct scene s;
    TURN_OF(&h->lanes[0]);

    if (held != NULL)
        *held = 0;
    if (!scene_of(h, flow_id, out, &s))
        return STATUS_NOT_FOUND;
    st = stream_of(&s);
    if (st == NULL) {
        if (sink_of(h)->bytes != NULL && (size != 0 || (flags & (HOST_STREAM_END | HOST_STREAM_ABORT)) != 0))
            sink_of(h)->bytes(h->config.ctx, flow_id, out, bytes, size, flags);
        return STATUS_SUCCESS;
    }
    stream_feed(&s, st, dir, bytes, size, 0, flags, &fed);
    if (held != NULL)
        *held = fed.waiting;
    if (fed.dropped)
        ale_tear_down(&h->lanes[0], flow_table_slot(h->lanes[0].flows, s.flow), flow_id, HOST_END_ABORTED,
                      NULL);
    return STATUS_SUCCESS;
}

bool host_stream_wanted(struct host *h, uint8_t version, const union wire_addr *local, UINT16 local_port,
                        const union wire_addr *remote, UINT16 remote_port, UINT64 *flow_id)
{
    struct lane *l = &h->lanes[0];
    const struct host_flow *f;
    const struct host_flow_key key = host_flow_key_tcp(version, local, local_port, remote, remote_port);
    struct scene s;
    TURN_OF(l);

    *flow_id = 0;
    if ((l->busy[version == 6] >> LAYER_ST & 1) == 0 && !streams_any(h))
        return false;
    lane_enter(l);
    f = flow_table_find(l->flows, &key);
    if (f != NULL && (f->flags & FLOW_ESTABLISHED) != 0)
        *flow_id = f->id;
    lane_leave(l);
    return *flow_id != 0 && scene_of(h, *flow_id, true, &s) && stream_of(&s) != NULL;
}

void host_stream_over(struct host *h, UINT64 flow_id)
{
    struct stream *st;
    struct scene s;
    TURN_OF(&h->lanes[0]);

    st = stream_find(h, flow_id);
    if (st != NULL && is_marked(st, THROUGH | OVER(0) | OVER(1)) && scene_of(h, flow_id, true, &s))
        path_connection_closed(&s);
}
