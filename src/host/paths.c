/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paths: which way a frame goes, and the steps that all ways share.
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
#include "host/indicate.h"
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

/* ---- steps -------------------------------------------------------------------------------------------- */

void path_blocked(const struct answer *a, struct host_outcome *out)
{
    out->fate = a->absorbed ? HOST_ABSORBED : HOST_BLOCKED;
    out->layer = engine_layer_by_id(a->layer);
    out->filter_id = a->filter_id;
    out->module = FWPS_DISCARD_MODULE_GENERAL;
    out->reason = FWPS_DISCARD_FIREWALL_POLICY;
    out->depends = out->depends || a->depends;
}

/*
 * Which layers are to be asked, for they have filters, read once a frame, and again behind each layer that has some, ALE's
 * and the streams' too: a callout may have changed the policy (OBJ-11).
 */
static __attribute__((noinline)) void busy_changed(struct lane *l, UINT64 among, UINT64 generation)
{
    const struct host_observer *o = &l->host->config.observer;
    const bool all = o->classified != NULL && !o->decisions_only; /* who hears of empty layers, too */
    const struct engine_filter *const *filters;
    const struct engine_snapshot *snapshot;

    l->busy_among = among;
    l->busy_generation = generation;
    l->looks[0] = l->looks[1] = 0;
    memset(l->settled, 0, sizeof(l->settled));
    memset(l->depends, 0, sizeof(l->depends));
    lane_enter(l);
    short_forget(l);
    lane_leave(l);
    snapshot = engine_pin(l->reader);
    l->busy_under = engine_snapshot_version(snapshot) + 1;
    l->busy[0] = l->busy[1] = 0;
    for (unsigned role = 0; role < LAYER_ROLES; role++)
        for (unsigned six = 0; six < 2; six++)
            if (all || engine_snapshot_filters(snapshot, layer_id((enum host_layer)role, six ? 6 : 4),
                                               &filters) != 0)
                l->busy[six] |= 1u << role;
    engine_unpin(l->reader);
    short_ways_make(l);
}

static inline void busy_notice(struct lane *l)
{
    const struct engine *e = l->host->config.engine;
    const UINT64 among = __atomic_load_n(&l->host->among, __ATOMIC_ACQUIRE),
                 generation = engine_callout_generation(e);

    if (__builtin_expect(l->busy_under != engine_version(e) + 1 || l->busy_among != among ||
                             l->busy_generation != generation,
                         0))
        busy_changed(l, among, generation);
}

void path_busy(struct lane *l)
{
    busy_notice(l);
}

/* The layer's answer is known from now on. */
static void settled(struct lane *l, bool six, enum host_layer role, bool depends)
{
    const UINT32 bit = 1u << role;

    if ((l->settled[six] & bit) != 0 && (!depends || (l->depends[six] & bit) != 0))
        return;
    l->settled[six] |= bit;
    l->depends[six] |= depends ? bit : 0;
    short_ways_make(l);
}

bool path_ask(struct scene *s, enum host_layer role, struct host_outcome *out)
{
    struct lane *l = s->lane;
    const uint8_t epoch = l->short_epoch;
    struct answer a;

    if (indicate(s, role, &a)) {
        path_blocked(&a, out);
        return false;
    }
    out->depends = out->depends || a.depends;
    if (a.steady)
        s->steady |= 1u << role;
    if (a.settled)
        settled(l, s->version == 6, role, a.depends);
    busy_notice(l);
    if (__builtin_expect(l->short_epoch != epoch, 0))
        s->steady = 0;
    return true;
}

bool path_consequence(struct host_outcome *out, enum host_note note)
{
    out->fate = HOST_CONSEQUENCE;
    out->note = note != HOST_NOTE_NONE ? note : HOST_NOTE_REFUSED_FLOW;
    return false;
}

/* A packet's layers between which nothing happens, [1]: of TCP; and where on the way a step begins or ends. */
static const UINT8 up[2][5] = {{LAYER_MAC_IN_NATIVE, LAYER_MAC_IN, LAYER_II, LAYER_IT, LAYER_DD},
                               {LAYER_MAC_IN_NATIVE, LAYER_MAC_IN, LAYER_II, LAYER_IT, LAYER_SPK}};
static const UINT8 down[2][5] = {{LAYER_DD, LAYER_OT, LAYER_OI, LAYER_MAC_OUT, LAYER_MAC_OUT_NATIVE},
                                 {LAYER_SPK, LAYER_OT, LAYER_OI, LAYER_MAC_OUT, LAYER_MAC_OUT_NATIVE}};
enum { UP_NATIVE, UP_MAC, UP_IP, UP_TRANSPORT, UP_END = 5 };
enum { DOWN_TOP, DOWN_TRANSPORT, DOWN_IP, DOWN_MAC, DOWN_END = 5 };

/* The layers roles[n] to roles[end - 1], in one go where each but looks. False: blocked. */
static bool ask_along(struct scene *s, const UINT8 *roles, unsigned n, unsigned end, struct host_outcome *out)
{
    struct lane *l = s->lane;
    const UINT32 *busy = &l->busy[s->version == 6];

    while (n < end) {
        const unsigned from = n;
        uint8_t epoch;

        if ((*busy >> roles[n] & 1) == 0) {
            n++;
            continue;
        }
        epoch = l->short_epoch;
        n = inspect_along(s, roles, from, end);
        if (n == from) {
            if (!path_ask(s, (enum host_layer)roles[n++], out))
                return false;
            continue;
        }
        busy_notice(l);
        if (__builtin_expect(l->short_epoch != epoch, 0))
            s->steady = 0;
    }
    return true;
}

/* Loopback does not come down to the adapters; nor has every capture MAC headers. */
static bool has_mac(const struct scene *s)
{
    return !s->loopback && s->packet->mac_at != UINT32_MAX;
}

static bool receive(struct scene *s, bool tcp, unsigned end, struct host_outcome *out)
{
    const unsigned from = !has_mac(s) ? UP_IP : s->behind_native ? UP_MAC : UP_NATIVE;

    return ask_along(s, up[tcp], from, end, out);
}

static bool send(struct scene *s, bool tcp, unsigned from, struct host_outcome *out)
{
    return ask_along(s, down[tcp], from, has_mac(s) ? DOWN_END : DOWN_MAC, out);
}

bool path_receive_link(struct scene *s, struct host_outcome *out)
{
    return receive(s, false, UP_IP, out);
}

bool path_receive(struct scene *s, struct host_outcome *out)
{
    return receive(s, false, UP_TRANSPORT, out);
}

bool path_receive_whole(struct scene *s, bool tcp, struct host_outcome *out)
{
    return receive(s, tcp, UP_END, out);
}

bool path_send_link(struct scene *s, struct host_outcome *out)
{
    return send(s, false, DOWN_MAC, out);
}

bool path_send_ip(struct scene *s, struct host_outcome *out)
{
    return send(s, false, DOWN_IP, out);
}

bool path_send(struct scene *s, struct host_outcome *out)
{
    return send(s, false, DOWN_TRANSPORT, out);
}

bool path_send_whole(struct scene *s, bool tcp, struct host_outcome *out)
{
    return send(s, tcp, DOWN_TOP, out);
}

/* ---- flows -------------------------------------------------------------------------------------------- */

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
    busy_notice(s->lane);
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
    busy_notice(s->lane);
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
    busy_notice(s->lane);
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

    busy_notice(l);
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
