/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paths_known: the layers of a flow's packet that ALE has nothing to say about: a plain one of a flow that is authorized and
 * that nothing is due for, as short_way() has seen. Of packets that somebody wants to be asked about nearly all are so.
 *
 *   short_way() --SHORT_KNOWN--> path_known() --> the layers of its direction and protocol, from the first on
 *               --SHORT_TCP----> path_known() --> those behind tcp_segment()
 *               --SHORT_NO-----> long_way(): addresses, fragments, groups, path_find(), and the same functions
 */
#include "host/ale_inside.h"
#include "host/paths.h"
#include "host/walk.h"

/* As path_find() does for such a flow. False: another thread has come while somebody was told, and it is another one. */
static inline bool point_at(struct scene *s, const struct ahead *a, struct host_outcome *out)
{
    struct host_flow *f = a->flow;
    const bool opened_in = (f->flags & FLOW_INBOUND) != 0;
    bool is;

    lane_enter(s->lane);
    is = f->id == a->flow_id && f->state == ALE_AUTHORIZED && f->reasons == 0 &&
         (f->marks & (FLOW_MARK_TORN | FLOW_MARK_GONE)) == 0;
    if (__builtin_expect(is, 1)) {
        s->flow = f;
        s->flow_id = out->flow_id = f->id;
        s->endpoint = ale_endpoint_at(s->lane, f->endpoint);
        s->connection_direction = opened_in ? FWP_DIRECTION_INBOUND : FWP_DIRECTION_OUTBOUND;
        out->answers = path_inbound(s) != opened_in;
    }
    lane_leave(s->lane);
    return is;
}

/* A segment that left the short way. */
static void rest_of_tcp(struct scene *s, bool in, struct tcp_result *r, struct host_outcome *out)
{
    if (in) {
        path_went(s);
        path_tcp_went_in(s, r, out);
    } else {
        path_tcp_going_out(s, r, out);
    }
}

static void all_layers(struct scene *s, bool in, struct host_outcome *out)
{
    const bool tcp = s->protocol == WIRE_PROTOCOL_TCP;
    struct ale_view v = {.tcp = tcp};

    if (!in)
        (tcp ? path_tcp_out : path_datagram_out)(s, &v, out);
    else if (!path_receive_whole(s, tcp, out))
        path_dropped(s);
    else if (tcp)
        path_tcp_received(s, s->flow_id, out);
    else
        path_went(s);
}

bool path_known(struct lane *l, const struct host_frame *f, const struct ahead *a, bool in,
                struct tcp_result *r, struct host_outcome *out)
{
    struct ale_view v = {0};
    struct scene s;
    struct walk w;
    bool is;

    path_scene_of(&s, l, f, a);
    path_scene(&s, f->packet, in);
    s.home = a->home;
    is = point_at(&s, a, out);
    if (__builtin_expect(!is, 0)) {
        if (r == NULL)
            return false;
        (void)path_find(&s, &v, out); /* TCP has seen the segment */
    }
    walk_begin(&w, l->host, f->number, f->packet);
    s.walk = &w;
    if (l->host->config.observer.soon != NULL)
        l->host->config.observer.soon(l->host->config.observer.ctx, s.flow_id);
    if (in)
        out->inbound = true;
    else
        out->outbound = true;
    if (r != NULL) {
        rest_of_tcp(&s, in, r, out);
    } else {
        all_layers(&s, in, out);
        short_note(&s, out);
    }
    walk_end(&w, out);
    return true;
}
