/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paths_icmp: ICMP errors (ORD-13). They never meet ALE; the flow they belong to is that of the packet they
 * quote, and an error about a packet that was never sent, or that answers one that never arrived, was never
 * sent either.
 */
#include "host/ale_inside.h"
#include "host/paths.h"

/* The scene of the packet that the error quotes, from this host's side: `sent` by this host. */
static bool quoted_scene(const struct scene *s, bool sent, struct wire_packet *quoted, struct scene *q)
{
    if (!wire_icmp_quote(s->packet, quoted))
        return false;
    *q = *s;
    path_scene(q, quoted, !sent);
    return quoted->reached == WIRE_TRANSPORT;
}

/* Is there anything that forbids this error? The scene is given the quoted packet's flow. */
static bool quoted_allows(struct scene *s, const struct scene *q, struct host_outcome *out)
{
    const bool sent = !path_inbound(q);
    struct memory *m = s->lane->memory;
    enum host_note note = HOST_NOTE_NONE;
    struct host_flow_key key;
    struct host_flow *f;

    path_key(q, &key);
    lane_enter(s->lane);
    f = flow_table_find(s->lane->flows, &key);
    if (f != NULL && (f->marks & FLOW_MARK_GONE) != 0)
        f = NULL;
    if (f == NULL) {
        if (!sent && memory_has(m, &key, MEMORY_SILENCED, s->time_ns))
            note = HOST_NOTE_SILENCED;
        else if (memory_has(m, &key, sent ? MEMORY_UNSENT_OUT : MEMORY_UNSENT_IN, s->time_ns))
            note = HOST_NOTE_UNSENT_REQUEST;
    } else {
        s->flow = f;
        s->flow_id = f->id;
        s->endpoint = ale_endpoint_at(s->lane, f->endpoint);
        if ((f->marks & FLOW_MARK_TORN) != 0)
            note = HOST_NOTE_ENDED_FLOW;
        else if (f->state == ALE_DENIED)
            note = (f->marks & FLOW_MARK_NO_BIND) != 0 ? HOST_NOTE_REFUSED_BIND : HOST_NOTE_REFUSED_FLOW;
        else if ((f->flags & (sent ? FLOW_UNSENT_OUT : FLOW_UNSENT_IN)) != 0)
            note = HOST_NOTE_UNSENT_REQUEST;
    }
    lane_leave(s->lane);
    out->flow_id = s->flow_id;
    return note == HOST_NOTE_NONE ? true : path_consequence(out, note);
}

void path_icmp_error_in(struct scene *s, struct host_outcome *out)
{
    struct wire_packet quoted = {0};
    struct scene q;

    if (quoted_scene(s, true, &quoted, &q) && !quoted_allows(s, &q, out))
        return;
    s->embedded = quoted.version != 0 ? &quoted : NULL;
    if (path_receive(s, out) && path_step(s, LAYER_IT, out))
        (void)path_step(s, LAYER_IIE, out);
    s->embedded = NULL;
}

void path_icmp_error_out(struct scene *s, struct host_outcome *out)
{
    struct wire_packet quoted = {0};
    struct scene q;

    if (quoted_scene(s, false, &quoted, &q) && !quoted_allows(s, &q, out))
        return;
    s->embedded = quoted.version != 0 ? &quoted : NULL;
    if (path_step(s, LAYER_OIE, out))
        (void)path_send(s, out);
    s->embedded = NULL;
}
