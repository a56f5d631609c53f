/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paths: which way a frame goes, and what all ways share: its scene, its flow (the layers: paths_layers.c).
 *
 *   frame --path_course()-> in       paths_in()
 *                          out       paths_out()
 *                          loopback  paths_out() in the sender's context, then paths_in() (ORD-19)
 *                          through   paths_forward()
 *                          nowhere   not IP, or not this host's business: the MAC layers at most
 *
 * A frame that belongs to what was refused, held or never sent meets no layer, so the flow is looked up
 * before anything is classified (path_find()); the result serves the whole walk. Everything that a later
 * frame may presuppose is kept with the flow (FLOW_UNSENT_*), or by its tuple where there is no flow
 * (paths_memory.c); of a live host nothing is (host_config.live): there the packets themselves are what follows.
 */
#include <string.h>

#include "host/ale_inside.h"
#include "host/paths.h"
#include "host/walk.h"

/* ---- the scene ---------------------------------------------------------------------------------------- */

static bool is_echo(uint8_t protocol, uint8_t type)
{
    return protocol == WIRE_PROTOCOL_ICMP ? type == 0 || type == 8 : type == 128 || type == 129;
}

static bool is_icmp(const struct wire_packet *p)
{
    return p->protocol == (p->version == 4 ? WIRE_PROTOCOL_ICMP : WIRE_PROTOCOL_ICMPV6);
}

void path_scene(struct scene *s, const struct wire_packet *p, bool inbound)
{
    s->packet = p;
    s->packet_direction = inbound ? FWP_DIRECTION_INBOUND : FWP_DIRECTION_OUTBOUND;
    s->version = p->version;
    s->protocol = p->protocol;
    s->local = inbound ? p->destination : p->source;
    s->remote = inbound ? p->source : p->destination;
    s->local_port = inbound ? p->destination_port : p->source_port;
    s->remote_port = inbound ? p->source_port : p->destination_port;
    s->icmp = s->echo = false;
    s->icmp_id = s->icmp_sequence = 0;
    s->stopped_at = p->fault_at;
    if (!is_icmp(p) || p->reached != WIRE_TRANSPORT)
        return;
    s->icmp = true;
    s->local_port = p->icmp_type; /* FWPM_CONDITION_ICMP_TYPE and _CODE are names of the ports' fields */
    s->remote_port = p->icmp_code;
    s->original_icmp_type = p->icmp_type;
    s->echo = is_echo(p->protocol, p->icmp_type);
    if (s->echo) {
        s->icmp_id = p->icmp_id;
        s->icmp_sequence = p->icmp_sequence;
    }
}

void path_key(const struct scene *s, struct host_flow_key *key)
{
    ale_key(s, key, true); /* an answer's is its request's */
}

/* ---- flows -------------------------------------------------------------------------------------------- */

bool path_consequence(struct host_outcome *out, enum host_note note)
{
    out->fate = HOST_CONSEQUENCE;
    out->note = note != HOST_NOTE_NONE ? note : HOST_NOTE_REFUSED_FLOW;
    return false;
}

/* Does this packet answer, or go on from, one that was dropped? A handshake's step presupposes the one before
 * it; everything else of a connection presupposes the handshake. Else it is the answer that presupposes the
 * request. */
static bool presupposes(const struct scene *s, unsigned unsent)
{
    const bool in = path_inbound(s);

    if (s->protocol != WIRE_PROTOCOL_TCP) {
        const bool answers = in != ((s->flow->flags & FLOW_INBOUND) != 0);

        return answers && (unsent & (in ? FLOW_UNSENT_OUT : FLOW_UNSENT_IN)) != 0;
    }
    if ((s->packet->tcp_flags & WIRE_TCP_SYN) == 0)
        return true;
    if ((s->packet->tcp_flags & WIRE_TCP_ACK) == 0)
        return false;
    return (unsent & (in ? FLOW_UNSENT_OUT : FLOW_UNSENT_IN)) != 0;
}

/* The same for a packet without a flow. */
static bool presupposes_unsent(struct scene *s)
{
    const bool tcp = s->protocol == WIRE_PROTOCOL_TCP, in = path_inbound(s);
    const UINT64 now = s->time_ns, until = now + (tcp ? TCP_MEMORY_NS : DATAGRAM_MEMORY_NS);
    struct memory *m = s->lane->memory;
    struct host_flow_key key;
    bool found = false;
    unsigned kinds;

    if (tcp && (s->packet->tcp_flags & (WIRE_TCP_SYN | WIRE_TCP_ACK)) == WIRE_TCP_SYN)
        return false;
    path_key(s, &key);
    kinds = memory_kinds(m, &key, now);
    for (enum memory_kind kind = MEMORY_UNSENT_IN; kind <= MEMORY_UNSENT_OUT; kind++) {
        if (!tcp && in == (kind == MEMORY_UNSENT_IN))
            continue;
        if ((kinds & MEMORY_BIT(kind)) == 0)
            continue;
        found = true;
        if (tcp)
            memory_put(m, &key, kind, now, until);
    }
    return found;
}

bool path_find(struct scene *s, struct ale_view *v, struct host_outcome *out)
{
    struct lane *l = s->lane;
    bool unsent = false, silenced = false;
    struct host_flow_key key;

    lane_enter(l);
    ale_find(s, v);
    out->answers = s->flow != NULL && path_inbound(s) != ((s->flow->flags & FLOW_INBOUND) != 0);
    if (!v->refused && !v->held && !s->follows) {
        if (s->flow != NULL) {
            if (__builtin_expect((s->flow->flags & (FLOW_UNSENT_OUT | FLOW_UNSENT_IN)) != 0, 0))
                unsent = presupposes(s, s->flow->flags);
        } else {
            unsent = presupposes_unsent(s);
            if (s->protocol == WIRE_PROTOCOL_TCP && (s->packet->tcp_flags & WIRE_TCP_RST) != 0 &&
                !path_inbound(s)) {
                path_key(s, &key);
                silenced = memory_has(l->memory, &key, MEMORY_SILENCED, s->time_ns);
            }
        }
    }
    lane_leave(l);
    out->flow_id = s->flow_id;
    if (v->refused)
        return path_consequence(out, v->note);
    if (v->held) {
        out->fate = HOST_HELD;
        return false;
    }
    if (silenced)
        return path_consequence(out, HOST_NOTE_SILENCED);
    return unsent ? path_consequence(out, HOST_NOTE_UNSENT_REQUEST) : true;
}

/* A new flow has nothing to do with what its tuple was before. */
static void begun(struct scene *s)
{
    struct memory *m = s->lane->memory;
    struct host_flow_key key;

    path_key(s, &key);
    lane_enter(s->lane);
    memory_drop(m, &key,
                MEMORY_BIT(MEMORY_REWRITTEN) | (MEMORY_BIT(MEMORY_RESET + 1) - MEMORY_BIT(MEMORY_SILENCED)));
    lane_leave(s->lane);
}

bool path_authorize(struct scene *s, struct ale_view *v, struct host_outcome *out)
{
    const UINT64 before = s->flow != NULL ? s->flow->id : 0;
    const bool opens = v->need == ALE_NEED_AUTHORIZE; /* one that was refused before, perhaps */
    enum ale_result decided;
    struct answer a = {0};

    if (walk_refused(s, v->layer, out))
        return false;
    decided = ale_decide(s, v, &a);
    path_busy(s->lane);
    switch (decided) {
    case ALE_PASS:
        out->depends = out->depends || a.depends;
        out->flow_id = s->flow_id;
        if (s->flow != NULL && (opens || s->flow->id != before))
            begun(s);
        return true;
    case ALE_BLOCKED:
    case ALE_ABSORBED:
    case ALE_REFUSED_BIND:
        path_blocked(&a, out);
        break;
    case ALE_PENDING:
        out->fate = HOST_HELD;
        if (a.role == LAYER_AC || a.role == LAYER_CR || a.role == LAYER_BR || a.role == LAYER_RA ||
            a.role == LAYER_RES || a.role == LAYER_LIS) {
            out->layer = engine_layer_by_id(a.layer);
            out->filter_id = a.filter_id;
        }
        break;
    case ALE_NO_MEMORY:
        s->flow = NULL; /* only policy removes packets */
        return true;
    }
    out->flow_id = s->flow_id;
    return false;
}

bool path_admit(struct scene *s, struct ale_view *v, struct host_outcome *out)
{
    if (v->need != ALE_NEED_NOTHING)
        s->metadata_flags |= FWPS_METADATA_FIELD_ALE_CLASSIFY_REQUIRED;
    if (!path_step(s, LAYER_IT, out)) {
        path_dropped(s);
        return false;
    }
    s->metadata_flags &= ~(UINT32)FWPS_METADATA_FIELD_ALE_CLASSIFY_REQUIRED;
    if (v->need != ALE_NEED_NOTHING && !path_authorize(s, v, out))
        return false;
    s->reauthorize = 0;
    return true;
}

void path_dropped(struct scene *s)
{
    const bool tcp = s->protocol == WIRE_PROTOCOL_TCP, in = path_inbound(s);
    struct host_flow_key key;

    if (s->host->config.live || (tcp && (s->packet->tcp_flags & WIRE_TCP_SYN) == 0))
        return; /* nothing follows from it; the peer would send it again */
    lane_enter(s->lane);
    if (path_flow(s)) {
        if (tcp ? (s->flow->flags & FLOW_ESTABLISHED) == 0 : in == ((s->flow->flags & FLOW_INBOUND) != 0))
            s->flow->flags |= in ? FLOW_UNSENT_IN : FLOW_UNSENT_OUT;
    } else {
        path_key(s, &key);
        memory_put(s->lane->memory, &key, in ? MEMORY_UNSENT_IN : MEMORY_UNSENT_OUT, s->time_ns,
                   s->time_ns + (tcp ? TCP_MEMORY_NS : DATAGRAM_MEMORY_NS));
    }
    lane_leave(s->lane);
}

void path_passed(struct scene *s)
{
    const bool in = path_inbound(s);

    if (!path_flow(s))
        return;
    if (__builtin_expect((s->flow->flags & (FLOW_UNSENT_OUT | FLOW_UNSENT_IN)) != 0, 0) &&
        (s->protocol != WIRE_PROTOCOL_TCP || (s->packet->tcp_flags & WIRE_TCP_SYN) != 0))
        s->flow->flags &= (uint8_t) ~(in ? FLOW_UNSENT_IN : FLOW_UNSENT_OUT);
    ale_refresh(s);
}

void path_went(struct scene *s)
{
    lane_enter(s->lane);
    path_passed(s);
    lane_leave(s->lane);
}

/* ---- frames ------------------------------------------------------------------------------------------- */

/* What was written of this frame ahead of its turn, or else is written now. */
static inline const struct ahead *ahead_of(struct lane *l, const struct host_frame *f)
{
    struct ahead *a = &l->ahead[f->number % AHEAD];

    if (__builtin_expect(a->frame != f || a->packet != f->packet || a->number != f->number ||
                             a->places != (uint32_t)l->host->places,
                         0))
        path_not_ahead(l, f, a);
    a->frame = NULL;
    return a;
}

/* Not IP: only the MAC layers hear of it. */
static void not_ip(struct scene *s, bool in, struct host_outcome *out)
{
    out->fate = HOST_IGNORED;
    out->note = s->packet->cut ? HOST_NOTE_CUT : HOST_NOTE_NONE;
    out->fault = (enum wire_fault)s->packet->fault;
    s->packet_direction = in ? FWP_DIRECTION_INBOUND : FWP_DIRECTION_OUTBOUND;
    if (in)
        (void)path_receive_link(s, out);
    else
        (void)path_send_link(s, out);
}

/* IP by what the link header says, but not enough of it to know more: 4, 6, or 0 if it is not. */
static uint8_t announced_version(const struct wire_packet *p)
{
    if (p->reached != WIRE_LINK || (!p->cut && p->fault == WIRE_OK))
        return 0;
    switch (p->ether_type) {
    case 0x0800:
        return 4;
    case 0x86dd:
        return 6;
    default: /* raw IP says it in the byte that is wrong or missing */
        return p->ether_type == 0 && p->mac_at == UINT32_MAX ? 4 : 0;
    }
}

/* No addresses to go by. What comes in like that is discarded; what went out was somebody's wish. */
static void headless(struct scene *s, uint8_t version, bool in, struct host_outcome *out)
{
    path_scene(s, s->packet, in);
    s->version = version;
    if (in)
        paths_in(s, out);
    else
        paths_out(s, out);
}

/* Out, then in: the copy that arrives is the sender's packet. */
static void loopback(struct scene *s, struct host_outcome *out)
{
    const struct host_interface *i = host_loopback_interface(s->host);
    struct scene receiver;
    UINT64 sender;

    s->loopback = true;
    if (i != NULL)
        s->interface = i;
    receiver = *s;
    path_scene(s, s->packet, false);
    paths_out(s, out);
    out->sender_flow_id = sender = out->flow_id;
    if (out->fate != HOST_PASSED)
        return;
    path_scene(&receiver, receiver.packet, true);
    walk_copy(&receiver);
    out->flow_id = 0;
    paths_in(&receiver, out);
    out->sender_flow_id = sender;
}

void path_scene_of(struct scene *s, struct lane *l, const struct host_frame *f, const struct ahead *a)
{
    size_t size = sizeof(*s);

    __asm__("" : "+r"(size)); /* the C library clears this faster than what GCC would put here (rep stos) */
    memset(s, 0, size);
    s->host = l->host;
    s->lane = l;
    s->frame = f->number;
    s->time_ns = l->host->now_ns;
    s->packet = f->packet;
    s->follows = f->follows || l->host->config.live;
    s->interface = a->interface;
    s->likely = a->flow;
}

/* What was on its way out comes back to this host. */
static void arrives_here(const struct scene *s, struct host_outcome *out)
{
    const UINT64 sender = out->flow_id;
    struct scene receiver = *s;

    receiver.endpoint = NULL;
    receiver.flow = receiver.likely = NULL;
    receiver.flow_id = 0;
    receiver.metadata_flags = receiver.flags = receiver.reauthorize = receiver.steady = 0;
    receiver.home = s->interface;
    path_scene(&receiver, s->packet, true);
    walk_copy(&receiver);
    out->flow_id = 0;
    paths_in(&receiver, out);
    out->sender_flow_id = sender;
}

/* IP or not, the frame's whole way. The scene has all but its packet's tuple. */
static void along(struct scene *s, enum course course, const struct host_interface *home, bool in,
                  struct host_outcome *out)
{
    const struct wire_packet *p = s->packet;

    if (p->version == 0) {
        const uint8_t version = announced_version(p);

        if (version == 0)
            not_ip(s, in, out);
        else
            headless(s, version, in, out);
        return;
    }
    switch (course) {
    case COURSE_IN_GROUP:
        s->group = true;
        path_scene(s, p, true);
        paths_in(s, out);
        break;
    case COURSE_IN:
        path_scene(s, p, true);
        s->home = home;
        paths_in(s, out);
        break;
    case COURSE_OUT:
        path_scene(s, p, false);
        s->home = home;
        paths_out(s, out);
        if (s->loopback && out->fate == HOST_PASSED) /* redirected to this host on its way (RED-18) */
            arrives_here(s, out);
        break;
    case COURSE_LOOPBACK:
        loopback(s, out);
        break;
    case COURSE_THROUGH:
        path_scene(s, p, in);
        paths_forward(s, out);
        break;
    case COURSE_NOWHERE:
        not_ip(s, in, out);
        break;
    }
}

void paths_frame_received(struct scene *s, enum host_layer from, struct host_outcome *out)
{
    const struct host_frame f = {.packet = s->packet, .way = HOST_WAY_IN};
    const struct host_interface *home = NULL;
    enum course course = COURSE_NOWHERE;

    s->behind_native = from == LAYER_MAC_IN;
    if (s->packet->version != 0)
        course = path_course(s->lane, &f, s->interface, &home);
    if (course == COURSE_LOOPBACK) /* it does not come from here, whatever it says */
        course = COURSE_IN;
    path_busy(s->lane);
    along(s, course, home, true, out);
}

/* A frame of the host's own was dropped at a MAC layer and is sent all the same: what answers it may come. */
static void sent_after_all(struct scene *s)
{
    struct host_flow_key key;

    if (s->packet->version == 0 || s->packet->reached != WIRE_TRANSPORT)
        return;
    path_key(s, &key);
    lane_enter(s->lane);
    s->flow = flow_table_find(s->lane->flows, &key);
    s->flow_id = s->flow != NULL ? s->flow->id : 0;
    path_passed(s);
    memory_drop(s->lane->memory, &key, MEMORY_BIT(MEMORY_UNSENT_OUT));
    lane_leave(s->lane);
}

void paths_frame_sent(struct scene *s, enum host_layer from, struct host_outcome *out)
{
    bool passed;

    if (s->packet->version != 0)
        path_scene(s, s->packet, false);
    s->packet_direction = FWP_DIRECTION_OUTBOUND;
    out->outbound = true;
    path_busy(s->lane);
    passed = from == LAYER_MAC_OUT ? path_send_link(s, out) : path_step(s, LAYER_MAC_OUT_NATIVE, out);
    if (passed)
        sent_after_all(s);
    out->flow_id = s->flow_id;
}

/* All layers, one by one. */
static __attribute__((noinline)) void long_way(struct lane *l, const struct host_frame *f,
                                               const struct ahead *a, struct host_outcome *out)
{
    const struct wire_packet *p = f->packet;
    const bool to_us = a->course == COURSE_IN;
    struct scene s;
    struct walk w;
    bool in = to_us;

    path_scene_of(&s, l, f, a);
    walk_begin(&w, l->host, f->number, p);
    s.walk = &w;
    if (p->version == 0 || a->course == COURSE_THROUGH || a->course == COURSE_NOWHERE)
        in = path_way(f, s.interface) != HOST_WAY_OUT; /* elsewhere addresses say it */
    along(&s, (enum course)a->course, a->home, in, out);
    if (p->version != 0 && l->short_on && (to_us || a->course == COURSE_OUT)) {
        short_note(&s, out);
        refused_note(&s, out);
    }
    walk_end(&w, out);
}

void paths_frame(struct lane *l, const struct host_frame *f, struct host_outcome *out)
{
    const struct ahead *a = ahead_of(l, f);
    const bool to_us = a->course == COURSE_IN;
    enum short_result taken = SHORT_NO;
    struct tcp_result r;

    path_busy(l);
    if (a->flow != NULL && l->short_on && (to_us || a->course == COURSE_OUT)) {
        lane_enter(l);
        taken = short_way(l, f, a, to_us, &r, out);
        if (taken == SHORT_NO && to_us && a->flow->state == ALE_DENIED && refused_again(l, f, a, out))
            taken = SHORT_PASSED;
        lane_leave(l);
    }
    if (taken == SHORT_PASSED ||
        (taken != SHORT_NO && path_known(l, f, a, to_us, taken == SHORT_TCP ? &r : NULL, out)))
        return;
    long_way(l, f, a, out);
}
