/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate: the host (its layers, its filters) stands between the host's own TCP/IP stack and the wires.
 *
 *   program --> stack --send()--> host_frame(OUT) --PASSED--------------------------> wire (or loopback)
 *                  ^                              --HELD, the first of a connection-> STACK_HELD: it waits
 *                  |                              --refused by ALE------------------> STACK_DENIED
 *                  |                              --else gone: STACK_DROPPED, as a packet that was lost
 *   wire --> host_frame(IN) --PASSED, or the stack itself discards--> stack_input()
 *                           --else gone; or a driver has it
 *
 * A held connect. Its frame's number is noted with the socket; the host tells completed() with that number when
 * the driver has completed the operation and the second classify is over. Permitted: stack_resume() makes the SYN
 * go out, through host_frame() once more, where the flow is authorized now. A datagram that is held is gone: who
 * pended it has a clone and injects that (PEND-34).
 *
 * Ends. A connection that policy has ended (ALE-26: a refused reauthorization; FwpsFlowAbort0) is ended in the stack too:
 * its program's next call fails, its peer gets a reset. One that the stack gives up without a packet is ended with the
 * host: its flow, its endpoint.
 *
 * Fragments. A datagram of the host's own that is longer than its wire takes comes from the stack in pieces. They are kept
 * until the last is there, then given one after the other: with the first the host has all that follow
 * (host_config.following), so callouts see the datagram whole (ORD-16), and the first one's outcome is the send's. A
 * packet of a driver's that is too long for its wire is cut here. What arrives in fragments both the host and the stack put
 * together; when the host keeps what it made whole, the stack forgets its pieces. It does so, too, where the datagram is
 * for a socket that was redirected, which only the first piece could tell: it is given the whole, between the ends that
 * the socket knows.
 *
 * Groups. What is sent to a group, or to all, comes back to members on the host itself (IP_MULTICAST_LOOP): the host says
 * that the copy has passed the layers inbound (host_outcome.looped), and the stack gets it.
 *
 * Frames. What stands behind an Ethernet header need not be IP: such a frame meets the MAC layers alone, and no stack. What a
 * driver injects there keeps its own header, both ways.
 *
 * Everything on this machine is sent in answer to what was there, and what arrives has arrived, drivers' packets
 * too: host_config.live.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "embed/gate.h"
#include "host/host_redirect.h"

#define PACKET_MOST 65535u
#define PIECES      64u         /* of 65,535 bytes, at 1,280 */
#define OWN_IDS     0x80008000u /* identifications of what is cut here: the stack's begin at 1 */

/* One fragment, and those that wait for the last one. */
struct piece {
    struct host_frame frame;
    struct wire_packet wire;
    uint32_t at, size; /* its frame in `room` */
};
struct pieces {
    struct piece of[PIECES];
    uint32_t count, given; /* `given`: with the host */
    uint32_t used;
    bool begins;
    uint8_t room[PACKET_MOST + PIECES * (LINK + 60)];
};

/* ---- what is told as an event -------------------------------------------------------------------------- */

void embed_gate_tell(struct embed *e, enum weir_event_kind kind, const char *verdict, const char *note,
                     const struct host_outcome *o, uint32_t interface, bool inbound, const uint8_t *bytes,
                     uint32_t size, bool frame)
{
    const struct embed_packet_event event = {
        .kind = kind,
        .verdict = verdict,
        .note = note,
        .layer = o != NULL && o->layer != NULL ? embed_layer_name(o->layer) : NULL,
        .filter_id = o != NULL ? o->filter_id : 0,
        .flow_id = o != NULL ? o->flow_id : 0,
        .interface = interface,
        .inbound = inbound,
        .frame = frame,
        .bytes = bytes,
        .size = size,
    };

    embed_event_packet(e, &event);
}

/* Words for what a frame came to that did not pass. at: where its IP packet begins; size: there is none. */
static void tell_fate(struct embed *e, const struct host_outcome *o, uint32_t interface, bool inbound,
                      const uint8_t *bytes, uint32_t at, uint32_t size)
{
    const bool frame = at == size;

    if (!frame) {
        bytes += at;
        size -= at;
    }
    switch (o->fate) {
    case HOST_BLOCKED:
    case HOST_ABSORBED:
    case HOST_CONSEQUENCE:
    case HOST_STACK:
        embed_gate_tell(e, WEIR_EVENT_DROPPED, host_fate_name(o->fate),
                        o->note != HOST_NOTE_NONE ? host_note_words(o->note)
                        : o->fault != WIRE_OK     ? wire_fault_words(o->fault)
                                                  : NULL,
                        o, interface, inbound, bytes, size, frame);
        break;
    case HOST_HELD:
        embed_gate_tell(e, WEIR_EVENT_PENDED, "pended",
                        o->layer != NULL ? NULL : "waits with what was pended before", o, interface, inbound,
                        bytes, size, frame);
        break;
    default:
        break;
    }
}

/* ---- out ----------------------------------------------------------------------------------------------- */

static bool is_ale(const struct engine_layer *l)
{
    switch (l != NULL ? l->id : 0xffff) {
    case FWPS_LAYER_ALE_AUTH_CONNECT_V4:
    case FWPS_LAYER_ALE_AUTH_CONNECT_V6:
    case FWPS_LAYER_ALE_RESOURCE_ASSIGNMENT_V4:
    case FWPS_LAYER_ALE_RESOURCE_ASSIGNMENT_V6:
    case FWPS_LAYER_ALE_BIND_REDIRECT_V4:
    case FWPS_LAYER_ALE_BIND_REDIRECT_V6:
    case FWPS_LAYER_ALE_CONNECT_REDIRECT_V4:
    case FWPS_LAYER_ALE_CONNECT_REDIRECT_V6:
        return true;
    default:
        return false;
    }
}

static bool is_accept(const struct engine_layer *l)
{
    return l != NULL &&
           (l->id == FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4 || l->id == FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V6);
}

/* What the sender hears of it. */
static enum stack_sent answer_of(struct embed_gate *g, const struct stack_packet *p,
                                 const struct host_frame *f, const struct host_outcome *o,
                                 struct embed_socket *s)
{
    const bool tcp = s != NULL && s->kind == WEIR_TCP;

    switch (o->fate) {
    case HOST_HELD:
        if (!tcp || !p->begins || is_accept(o->layer))
            return STACK_DROPPED;
        s->held_frame = f->number;
        s->held_next = g->held;
        g->held = s;
        return STACK_HELD;
    case HOST_BLOCKED:
        if (!tcp && is_accept(o->layer) &&
            !o->inbound) /* an answer, and what it answers is refused when asked again */
            return STACK_DENIED;
        return s != NULL && is_ale(o->layer) && (p->begins || !tcp) ? STACK_DENIED : STACK_DROPPED;
    case HOST_ABSORBED:
        return tcp && is_ale(o->layer) && p->begins ? STACK_DENIED : STACK_DROPPED;
    case HOST_CONSEQUENCE:
        return p->begins && (o->note == HOST_NOTE_REFUSED_FLOW || o->note == HOST_NOTE_REFUSED_BIND)
                   ? STACK_DENIED
                   : STACK_DROPPED;
    default:
        return STACK_DROPPED;
    }
}

/* A frame through the host and onto its wire. Of a datagram's pieces the first is told of. */
static enum stack_sent pass_on(struct embed *e, const struct stack_packet *p, const struct host_frame *f,
                               bool first)
{
    struct embed_gate *g = e->gate;
    struct embed_socket *s = p->socket != NULL ? stack_user(p->socket) : NULL;
    struct embed_interface *i = embed_interface_by_index(e, p->interface), *by = i;
    const uint32_t link = i != NULL ? LINK : 0, size = f->packet->captured;
    const struct host_owner *before = g->sending;
    const uint8_t *bytes = f->packet->frame;
    const void *out;
    struct host_outcome o;
    uint64_t process;

    g->sending = s != NULL ? &s->process->owner : embed_system_owner(e);
    process = nt_process_attach(s != NULL ? s->process->id : 0);
    out = embed_calls_out();
    host_frame(e->host, f, &o);
    embed_is_back(out);
    (void)nt_process_attach(process);
    g->sending = before;
    if (o.changed != NULL)
        bytes = o.changed;
    if (o.changed != NULL && i != NULL) /* it may have been redirected to where another wire leads */
        i = embed_interface_towards(e, 0, bytes + link, size - link);
    if (o.fate != HOST_PASSED && o.fate != HOST_IGNORED) {
        if (first)
            tell_fate(e, &o, p->interface, false, bytes, link, size);
        return answer_of(g, p, f, &o, s);
    }
    if (first)
        g->looped = o.looped;
    if (g->looped && !o.inbound && i != NULL)
        embed_wire_loop(e, p->interface, bytes + link, size - link);
    if (o.inbound || i == NULL)
        embed_wire_loop(e, p->interface, bytes + link, size - link);
    else if (i == by)
        embed_wire_frame(e, i, false, bytes, size);
    else
        embed_wire_send(e, i, false, bytes + link, size - link);
    return STACK_SENT;
}

/* The packet as a frame, in `room`. */
static void frame_of(struct embed *e, const struct stack_packet *p, uint8_t *room, struct wire_packet *wire,
                     struct host_frame *f)
{
    struct embed_interface *i = embed_interface_by_index(e, p->interface);

    memcpy(room + LINK, p->bytes, p->size);
    if (i != NULL) {
        embed_wire_link(i, false, room, LINK + p->size);
        wire_parse(WIRE_LINK_ETHERNET, room, LINK + p->size, LINK + p->size, wire);
        if (i->checksum_offload)
            (void)wire_sum_leave(wire, room);
    } else { /* loopback has no link */
        wire_parse_ip(room + LINK, p->size, p->size, wire);
    }
    *f = (struct host_frame){.packet = wire,
                             .number = ++e->gate->frames,
                             .time_ns = embed_now(e),
                             .interface_index = p->interface,
                             .way = HOST_WAY_OUT};
}

/* Kept until the last one is there. False: there is no room, it goes alone. */
static bool keep_piece(struct embed *e, const struct stack_packet *p)
{
    struct embed_gate *g = e->gate;
    struct pieces *all = g->pieces;
    struct piece *at;

    if (all == NULL)
        all = g->pieces = calloc(1, sizeof *all);
    if (all == NULL || all->count == PIECES || LINK + p->size > sizeof all->room - all->used)
        return false;
    at = &all->of[all->count++];
    at->at = all->used;
    at->size = LINK + p->size;
    all->used += at->size;
    frame_of(e, p, all->room + at->at, &at->wire, &at->frame);
    if (all->count == 1)
        all->begins = p->begins;
    return true;
}

/* All of a datagram's, one after the other: what became of the first is the sender's answer. */
static enum stack_sent send_pieces(struct embed *e, const struct stack_packet *last)
{
    struct pieces *all = e->gate->pieces;
    struct stack_packet p = *last;
    enum stack_sent answer = STACK_SENT, sent;

    p.begins = all->begins;
    for (all->given = 0; all->given < all->count; all->given++) {
        sent = pass_on(e, &p, &all->of[all->given].frame, all->given == 0);
        if (all->given == 0)
            answer = sent;
    }
    all->count = all->used = 0;
    return answer;
}

static const struct host_frame *following(void *ctx, unsigned n)
{
    const struct pieces *all = ((struct embed *)ctx)->gate->pieces;

    return all != NULL && all->given + 1 + n < all->count ? &all->of[all->given + 1 + n].frame : NULL;
}

/* Whose bytes `p` is: a piece of a datagram, the last of one? */
static bool is_piece(const struct stack_packet *p, bool *last)
{
    struct wire_packet w;

    *last = true;
    if (p->size < (p->version == 4 ? 20u : 48u) ||
        (p->version == 4 ? (p->bytes[6] & 0x3f) == 0 && p->bytes[7] == 0 : p->bytes[6] != 44))
        return false;
    wire_parse_ip(p->bytes, p->size, p->size, &w);
    *last = (w.ip_flags & WIRE_IP_MORE_FRAGMENTS) == 0;
    return w.fragment && (w.fragment_offset != 0 || !*last);
}

static enum stack_sent host_send(void *ctx, const struct stack_packet *p)
{
    struct embed *e = ctx;
    struct embed_gate *g = e->gate;
    struct wire_packet wire;
    struct host_frame f;
    bool last;

    if (p->size > PACKET_MOST)
        return STACK_SENT;
    if (p->forwarded) {
        struct embed_interface *i = embed_interface_by_index(e, p->interface);

        if (i != NULL)
            embed_wire_send(e, i, false, p->bytes, p->size);
        return STACK_SENT;
    }
    if (is_piece(p, &last) && keep_piece(e, p))
        return last ? send_pieces(e, p) : STACK_SENT;
    frame_of(e, p, g->frame, &wire, &f);
    return pass_on(e, p, &f, true);
}

int embed_gate_send_frame(struct embed *e, struct embed_interface *i, const uint8_t *frame, uint32_t size)
{
    struct wire_packet wire;
    struct host_outcome o;
    struct host_frame f = {.packet = &wire,
                           .number = ++e->gate->frames,
                           .time_ns = embed_now(e),
                           .interface_index = i->index,
                           .way = HOST_WAY_OUT};
    const void *out;

    wire_parse(WIRE_LINK_ETHERNET, frame, size, size, &wire);
    out = embed_calls_out();
    host_frame(e->host, &f, &o);
    embed_is_back(out);
    if (o.changed != NULL)
        frame = o.changed;
    if (o.fate != HOST_PASSED && o.fate != HOST_IGNORED) {
        tell_fate(e, &o, i->index, false, frame, size, size);
        return -EACCES;
    }
    embed_wire_frame(e, i, false, frame, size);
    return 0;
}

/* A packet of a driver's, which may be too long for the wire. */
void embed_gate_send_cut(struct embed *e, struct embed_interface *i, const uint8_t *bytes, uint32_t size)
{
    struct embed_gate *g = e->gate;
    struct wire_split split;
    uint32_t piece;

    if (size <= i->mtu || !wire_split_begin(&split, bytes, size, i->mtu, OWN_IDS + ++g->cut)) {
        embed_wire_send(e, i, false, bytes, size);
        return;
    }
    while ((piece = wire_split_next(&split, g->frame)) != 0)
        embed_wire_send(e, i, false, g->frame, piece);
}

/* ---- in ------------------------------------------------------------------------------------------------ */

/* As the socket that it is for knows its ends (RED-02). */
void embed_gate_give(struct embed *e, uint32_t interface, const uint8_t *bytes, uint32_t size)
{
    stack_advance(e->gate->stack, embed_now(e));
    stack_input(e->gate->stack, interface, host_redirect_undo(e->host, bytes, size), size);
}

/* What the stack itself would discard it gets, to answer it; also where nobody was allowed to listen. */
static bool reaches_stack(const struct host_outcome *o)
{
    switch (o->fate) {
    case HOST_PASSED:
    case HOST_IGNORED:
        return true;
    case HOST_STACK:
        return o->note != HOST_NOTE_SILENCED;
    case HOST_CONSEQUENCE: /* of a connection that policy has ended: there is none any more, which it says */
        return o->note == HOST_NOTE_REFUSED_BIND || o->note == HOST_NOTE_ENDED_FLOW;
    default:
        return false;
    }
}

/* What has come through: to the host's stack, if it is IP. completes: it is the last fragment of a datagram. */
void embed_gate_take(struct embed *e, const struct embed_interface *i, const uint8_t *frame, uint32_t size,
                     bool completes)
{
    const uint32_t at = embed_frame_ip(frame, size);
    struct embed_gate *g = e->gate;

    embed_frame_tell(e, i, WEIR_TO_HOST, true, frame, size);
    if (at < size && completes && g->undone_size != 0) {
        stack_forget_datagram(g->stack, frame + at, size - at);
        stack_advance(g->stack, embed_now(e));
        stack_input(g->stack, i->index, g->undone, g->undone_size);
    } else if (at < size) {
        embed_gate_give(e, i->index, frame + at, size - at);
    }
}

void embed_gate_arrive(struct embed *e, struct embed_interface *i, uint8_t *frame, uint32_t size)
{
    const uint32_t at = embed_frame_ip(frame, size);
    struct wire_packet wire;
    struct host_outcome o;
    struct host_frame f;
    const void *out;

    wire_parse(WIRE_LINK_ETHERNET, frame, size, size, &wire);
    f = (struct host_frame){.packet = &wire,
                            .number = ++e->gate->frames,
                            .time_ns = embed_now(e),
                            .interface_index = i->index,
                            .way = HOST_WAY_IN};
    out = embed_calls_out();
    host_frame(e->host, &f, &o);
    embed_is_back(out);
    if (o.fate != HOST_PASSED && o.fate != HOST_IGNORED)
        tell_fate(e, &o, i->index, true, frame, at, size);
    if (o.changed != NULL) /* valid until the next frame, which whoever hears of this one may cause */
        memcpy(frame, o.changed, size);
    if (!reaches_stack(&o) && e->gate->whole == f.number)
        stack_forget_datagram(e->gate->stack, frame + at, size - at);
    else if (reaches_stack(&o))
        embed_gate_take(e, i, frame, size, e->gate->whole == f.number);
}

/* ---- life ---------------------------------------------------------------------------------------------- */

static bool is_listening(void *ctx, uint8_t version, uint8_t protocol, const union wire_addr *local,
                         UINT16 port)
{
    struct embed *e = ctx;

    return stack_listens(e->gate->stack, version, protocol, local, port);
}

/* Who owns what no call of a socket's said: what is being sent; else the system. */
static const struct host_owner *owner_of(void *ctx, UINT64 time_ns, uint8_t version, uint8_t protocol,
                                         const union wire_addr *local, UINT16 local_port,
                                         const union wire_addr *remote, UINT16 remote_port)
{
    struct embed *e = ctx;

    (void)time_ns;
    (void)version;
    (void)protocol;
    (void)local;
    (void)local_port;
    (void)remote;
    (void)remote_port;
    return e->gate->sending != NULL ? e->gate->sending : embed_system_owner(e);
}

/* The observer's ctx is the engine, too. */
static void on_reassembled(void *ctx, UINT64 frame, const uint8_t *packet, uint32_t size)
{
    struct embed *e = ctx;
    struct embed_gate *g = e->gate;
    const uint8_t *undone = host_redirect_undo(e->host, packet, size);
    uint8_t *room;

    g->whole = frame;
    g->undone_size = 0;
    if (undone == packet)
        return;
    if (size > g->undone_room) {
        room = realloc(g->undone, size);
        if (room == NULL)
            return; /* as if it were lost on the wire: its socket does not know these ends */
        g->undone = room;
        g->undone_room = size;
    }
    memcpy(g->undone, undone, size);
    g->undone_size = size;
}

void embed_gate_host(struct embed *e, struct host_config *config)
{
    config->listening = is_listening;
    config->owner_of = owner_of;
    embed_inbox_host(config);
    config->following = following;
    config->observer.reassembled = on_reassembled;
    config->live = true;
    config->ctx = e;
}

uint64_t embed_gate_number(struct embed *e)
{
    return ++e->gate->frames;
}

struct stack *embed_gate_stack(struct embed *e)
{
    return e->gate->stack;
}

int embed_gate_create(struct embed *e)
{
    const struct stack_config config = {.seed = e->seed,
                                        .start_ns = embed_now(e),
                                        .forwarding = e->config.forwarding,
                                        .send = host_send,
                                        .told = embed_socket_told,
                                        .gave_up = embed_inbox_gave_up,
                                        .ctx = e};

    e->gate = calloc(1, sizeof *e->gate);
    return e->gate != NULL ? stack_create(&config, &e->gate->stack) : -ENOMEM;
}

void embed_gate_destroy(struct embed *e)
{
    struct embed_gate *g = e->gate;

    if (g == NULL)
        return;
    embed_inbox_empty(g);
    if (g->stack != NULL)
        stack_destroy(g->stack);
    free(g->pieces);
    free(g->undone);
    free(g);
    e->gate = NULL;
}
