/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paths_icmp: ICMP errors (ORD-13). They never meet ALE; the flow they belong to is that of the packet they
 * quote, and an error about a packet that was never sent, or that answers one that never arrived, was never
 * sent either.
 */
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

/* Is there anything that forbids this error? The quoted packet's flow is left in the scene. */
static bool quoted_allows(struct scene *s, struct scene *q, struct host_outcome *out)
{
    const bool sent = !path_inbound(q);
    struct memory *m = s->lane->memory;
    struct host_flow_key key;
    struct ale_view v = {0};
    bool silenced, unsent;

    path_key(q, &key);
    lane_enter(s->lane);
    ale_find(q, &v);
    silenced = !sent && memory_has(m, &key, MEMORY_SILENCED, s->time_ns);
    if (q->flow != NULL)
        unsent = (q->flow->flags & (sent ? FLOW_UNSENT_OUT : FLOW_UNSENT_IN)) != 0;
    else
        unsent = memory_has(m, &key, sent ? MEMORY_UNSENT_OUT : MEMORY_UNSENT_IN, s->time_ns);
    s->flow = q->flow;
    s->flow_id = q->flow != NULL ? q->flow_id : 0;
    s->endpoint = q->flow != NULL ? q->endpoint : NULL;
    lane_leave(s->lane);
    out->flow_id = s->flow_id;
    if (v.refused)
        return path_consequence(out, v.note);
    if (silenced)
        return path_consequence(out, HOST_NOTE_SILENCED);
    return unsent ? path_consequence(out, HOST_NOTE_UNSENT_REQUEST) : true;
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
