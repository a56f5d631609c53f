/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inject_walk: the way of an injected packet (INJ-10, 11).
 *
 *   network, transport receive   II -> IT -> [RA] -> DD ...                  paths_in(), as what arrives
 *   transport send               [AC if there is no flow] -> DD -> OT -> OI
 *   network send                 the same if it is somebody's here, else OT -> OI as a raw sender's;
 *                                to the host itself: then inbound (INJ-31)
 *   forward                      no layer (INJ-19)
 *   MAC receive, MAC send        from the MAC layer on that it names; received: then as what arrives (inject_frame.c)
 *
 * The packet stands in one piece: in the list's own MDL if it does there, else in the injector's room, where
 * a transport send also gets its IP header: the one of the frame it stems from, as far as that still fits.
 * What has got through is emitted with the bytes that the last layer left.
 */
#include <stdlib.h>
#include <string.h>

#include "host/again.h"
#include "host/inject_inside.h"
#include "host/paths.h"
#include "host/vswitch.h"
#include "host/walk.h"
#include "ledger/ledger.h"
#include "ws2def.h"

#define DEFAULT_MTU 1500u

/* One packet of an injection under way. */
struct going {
    struct host *host;
    const struct injection *i;
    struct injection_room *room;
    const uint8_t *bytes;
    uint32_t size;
    const struct host_interface *interface;
    bool inbound, forwarded, loopback;
    bool to_us;    /* to an address of the host's, whatever it is for other subnets */
    uint32_t link; /* MAC: the link header's size */
    struct host_outcome out;
    struct wire_packet packet; /* from here on nothing is cleared: none, until it was read */
    struct walk walk;
};

static void going_begin(struct going *g, struct host *h, const struct injection *i,
                        struct injection_room *room)
{
    memset(g, 0, offsetof(struct going, packet));
    g->host = h;
    g->i = i;
    g->room = room;
    g->packet.version = 0;
}

static uint8_t version_of(const struct injection *i)
{
    return i->what.family == AF_INET6 ? 6 : 4;
}

/* ---- the bytes ------------------------------------------------------------------------------------------
 */

static uint8_t *reserve(struct injection_room *room, uint32_t size)
{
    if (size > room->size) {
        uint8_t *more = realloc(room->bytes, size);

        if (more == NULL)
            return NULL;
        room->bytes = more;
        room->size = size;
    }
    return room->bytes;
}

/* The IP header of the frame that the packet stems from; NULL: there is none of this version. */
static const uint8_t *header_of_origin(const struct going *g, struct wire_packet *of)
{
    const struct ndis_origin *o = g->i->origin;
    uint32_t size, ip_at;
    const uint8_t *came;

    if (o == NULL)
        return NULL;
    came = ndis_frame_came(ndis_frame_of_origin(o), &size, &ip_at);
    if (ip_at >= size)
        return NULL;
    wire_parse_ip(came + ip_at, size - ip_at, size - ip_at, of);
    return of->version == version_of(g->i) && of->reached >= WIRE_NETWORK ? came + ip_at : NULL;
}

/* An address as it stands in a packet. */
static void address_bytes(uint8_t version, const union wire_addr *a, uint8_t out[16])
{
    if (version == 6)
        memcpy(out, a->v6, 16);
    else
        for (unsigned n = 0; n < 4; n++)
            out[n] = (uint8_t)(a->v4 >> (24 - 8 * n));
}

struct endpoint_sought {
    UINT64 id;
    struct host_endpoint_info found;
};

static void is_it(void *ctx, const struct host_endpoint_info *e)
{
    struct endpoint_sought *x = ctx;

    if (e->id == x->id)
        x->found = *e;
}

/* All are looked at: only where nothing nearer tells. False: it is not there (any more). */
static bool endpoint_of(struct host *h, UINT64 id, struct host_endpoint_info *out)
{
    struct endpoint_sought x = {.id = id};
    const bool stayed = lane_rest(&h->lanes[0]);

    host_endpoints(h, is_it, &x);
    lane_back(&h->lanes[0], stayed);
    *out = x.found;
    return x.found.id == id;
}

/* Whose packet a transport send is: of the frame that it stems from, else of its endpoint. */
static NTSTATUS sender_of(const struct going *g, const uint8_t *from, uint8_t source[16], uint8_t *protocol)
{
    const uint8_t version = version_of(g->i);
    struct host_endpoint_info e;

    if (from != NULL) {
        memcpy(source, from + (version == 4 ? 12 : 8), version == 4 ? 4 : 16);
        return STATUS_SUCCESS;
    }
    if (g->i->what.endpoint == 0)
        return STATUS_INVALID_PARAMETER;
    if (!endpoint_of(g->host, g->i->what.endpoint, &e))
        return STATUS_NOT_FOUND; /* INJ-32 */
    *protocol = e.protocol;
    if (wire_addr_is_unspecified(e.version, &e.local) || e.version != version) {
        union wire_addr to = {0};

        if (version == 6)
            memcpy(to.v6, g->i->remote, 16);
        else
            to.v4 = (uint32_t)g->i->remote[0] << 24 | (uint32_t)g->i->remote[1] << 16 |
                    (uint32_t)g->i->remote[2] << 8 | g->i->remote[3];
        if (!host_address_for(g->host, host_route(g->host, version, &to), version, &e.local))
            return STATUS_HOST_UNREACHABLE;
    }
    address_bytes(version, &e.local, source);
    return STATUS_SUCCESS;
}

/* A transport send: an IP header in front of what the NET_BUFFER holds. */
static NTSTATUS with_header(struct going *g, const NET_BUFFER *nb)
{
    const uint8_t version = version_of(g->i);
    uint8_t header[60], source[16] = {0}, protocol = WIRE_PROTOCOL_UDP, *to;
    const uint8_t *from, *front = header;
    uint32_t size;
    struct wire_packet of = {0};
    NTSTATUS status;

    from = header_of_origin(g, &of);
    if (g->i->header != NULL) {
        front = g->i->header;
        size = g->i->header_size;
    } else {
        status = sender_of(g, from, source, &protocol);
        if (status != STATUS_SUCCESS)
            return status;
        if (from != NULL)
            protocol = of.protocol;
        if (from != NULL && of.ip_length - of.ip_header_size == nb->DataLength &&
            memcmp(from + (version == 4 ? 16 : 24), g->i->remote, version == 4 ? 4 : 16) == 0) {
            front = from; /* it is what it was: options, extension headers and all */
            size = of.ip_header_size;
        } else {
            size = ndis_ip_header(header, version, source, g->i->remote, protocol, nb->DataLength, from,
                                  from != NULL ? of.ip_header_size : 0);
        }
    }
    to = reserve(g->room, size + nb->DataLength);
    if (to == NULL)
        return STATUS_NO_MEMORY;
    memcpy(to, front, size);
    ndis_nb_read(nb, 0, to + size, nb->DataLength);
    g->bytes = to;
    g->size = size + nb->DataLength;
    return STATUS_SUCCESS;
}

static NTSTATUS get_bytes(struct going *g, const NET_BUFFER *nb)
{
    uint8_t *to;

    if (g->i->frame != NULL) { /* an original: all of it, wherever the last layer let it begin */
        g->bytes = ndis_frame_bytes(g->i->frame, &g->size);
        return STATUS_SUCCESS;
    }
    if (g->i->what.kind == HOST_INJECT_TRANSPORT_SEND && (g->i->has_remote || g->i->header != NULL))
        return with_header(g, nb);
    g->size = nb->DataLength;
    g->bytes = ndis_nb_contiguous(nb);
    if (g->bytes != NULL)
        return STATUS_SUCCESS;
    to = reserve(g->room, g->size);
    if (to == NULL)
        return STATUS_NO_MEMORY;
    ndis_nb_read(nb, 0, to, g->size);
    g->bytes = to;
    return STATUS_SUCCESS;
}

/* ---- where it goes */

/* Does it go to where the packet went that it stems from? */
static bool goes_as_origin(const struct going *g)
{
    struct wire_packet of = {0};

    return header_of_origin(g, &of) != NULL && wire_addr_equal(&of.destination, &g->packet.destination);
}

/* By which one it leaves: the one that is named; as the packet it stems from if it goes to the same address; where the
 * route to its destination leads; else as that packet all the same, or where its source is at home. */
static const struct host_interface *outgoing(const struct going *g, UINT32 named)
{
    const struct ndis_origin *o = g->i->origin;
    const struct wire_packet *p = &g->packet;
    const struct host *h = g->host;
    const struct host_interface *i = host_interface_by_index(h, named);

    if (i == NULL && o != NULL && goes_as_origin(g))
        i = host_interface_by_index(h, o->interface_index);
    if (i == NULL)
        i = host_route(h, p->version, &p->destination);
    if (i == NULL && o != NULL)
        i = host_interface_by_index(h, o->interface_index);
    return i != NULL ? i : host_interface_of(h, p->version, &p->source);
}

/* What is sent with a sum that is not right, though that of the packet it stems from was: nobody makes it good (NBL-15).
 * Told once a handle. */
static void check_sum(const struct going *g)
{
    const struct ndis_origin *o = g->i->origin;
    uint32_t came, ip_at;
    const uint8_t *bytes;
    struct wire_packet of;

    if (g->host->config.knobs.trust_checksums || injection_sum_was_told(g->i) || wire_verify(&g->packet))
        return;
    if (o != NULL) {
        bytes = ndis_frame_came(ndis_frame_of_origin(o), &came, &ip_at);
        wire_parse_ip(bytes + ip_at, came - ip_at, came - ip_at, &of);
        if (!wire_verify(&of))
            return;
    }
    injection_tell_sum(g->i);
    ledger_report(
        LEDGER_NOTE, g->i->what.site,
        g->packet.protocol == WIRE_PROTOCOL_UDP && g->packet.version == 6
            ? "a packet was injected with a checksum that is not right (over IPv6 UDP must have one): "
              "its receiver drops it"
            : "a packet was injected with a checksum that is not right: its receiver drops it");
}

/* Interface, loopback; INJ-31, 32. */
static NTSTATUS find_way(struct going *g)
{
    const struct wire_packet *p = &g->packet;
    const struct ndis_origin *o = g->i->origin;
    const struct host *h = g->host;
    struct lane *l = &g->host->lanes[0];
    const struct host_interface *home;
    const bool comes = path_is_near(l, p, true), goes = !comes && path_is_near(l, p, false);
    const bool to_us = comes || (!goes && path_local_at(l, p->version, &p->destination, NULL, &home));
    const UINT32 named = g->i->what.interface_index;
    const enum host_injection_kind kind = g->i->what.kind;
    const bool forwarded = kind == HOST_INJECT_FORWARD,
               inbound = kind == HOST_INJECT_NETWORK_RECEIVE || kind == HOST_INJECT_TRANSPORT_RECEIVE,
               loopback = to_us && !comes && !forwarded && host_is_local(h, p->version, &p->source);
    uint32_t mtu, came, ip_at;

    g->forwarded = forwarded;
    g->inbound = inbound;
    g->loopback = loopback;
    g->to_us = to_us;
    if (loopback && kind == HOST_INJECT_NETWORK_RECEIVE)
        return STATUS_DATA_NOT_ACCEPTED;
    g->interface = loopback ? host_loopback_interface(h) : NULL;
    if (g->interface == NULL && (inbound || loopback)) {
        g->interface = host_interface_by_index(h, named != 0 || o == NULL ? named : o->interface_index);
        if (g->interface == NULL && inbound)
            g->interface = host_interface_of(h, p->version, &p->destination);
    }
    if (!inbound)
        check_sum(g);
    if (inbound || loopback)
        return STATUS_SUCCESS;
    g->interface = outgoing(g, named);
    if (g->interface == NULL)
        return STATUS_HOST_UNREACHABLE;
    mtu = g->interface->desc.mtu != 0 ? g->interface->desc.mtu : DEFAULT_MTU;
    if (o != NULL) { /* what the adapter was to split may be as long again */
        (void)ndis_frame_came(ndis_frame_of_origin(o), &came, &ip_at);
        mtu = came - ip_at > mtu ? came - ip_at : mtu;
    }
    if (p->version == 4 && g->size > mtu && (p->ip_flags & WIRE_IP_DONT_FRAGMENT) != 0)
        return STATUS_INVALID_BUFFER_SIZE;
    return STATUS_SUCCESS;
}

/* What stands in a scene whatever the packet is. */
static void scene_blank(struct going *g, struct scene *s)
{
    struct lane *l = &g->host->lanes[0];

    memset(s, 0, sizeof(*s));
    s->host = g->host;
    s->lane = l;
    s->frame = g->walk.number;
    s->time_ns = g->host->now_ns;
    s->packet = &g->packet;
    s->interface = g->interface;
    s->loopback = g->loopback;
    s->follows = g->host->config.live;
    s->walk = &g->walk;
    path_busy(l);
}

/* The flow of the packet that it stems from, which is nearly always its own, too. */
static struct host_flow *likely_flow(const struct going *g, struct lane *l)
{
    const struct ndis_origin *o = g->i->origin;
    bool ours;

    if (o == NULL || o->flow == NULL)
        return NULL;
    lane_enter(l);
    ours = flow_table_gave(l->flows, o->flow); /* the list may be of another host's packet */
    lane_leave(l);
    return ours ? o->flow : NULL;
}

static void scene_begin(struct going *g, struct scene *s, bool inbound)
{
    scene_blank(g, s);
    path_scene(s, &g->packet, inbound);
    s->likely = likely_flow(g, s->lane);
    if (path_is_near(s->lane, &g->packet, inbound)) {
        s->home = s->lane->near.home;
        return;
    }
    if (inbound && !g->to_us)
        s->group = host_address_is_group(g->host, g->packet.version, &g->packet.destination);
    if (s->group || g->loopback)
        return;
    s->home = g->interface;
    (void)path_local_at(s->lane, g->packet.version, inbound ? &g->packet.destination : &g->packet.source,
                        g->interface, &s->home);
}

static void go_in(struct going *g)
{
    struct scene s;

    scene_begin(g, &s, true);
    paths_in(&s, &g->out);
}

/* Nobody here knows the tuple: neither a flow nor an endpoint. */
static bool is_raw(const struct scene *s)
{
    return s->flow == NULL && s->endpoint == NULL;
}

/* The connection has ended in peace: its endpoint is gone for the layers, but the stack answers for it yet
 * (TIME_WAIT), and what it had sent last may still be on its way. */
static bool is_waiting(struct scene *s)
{
    struct host_flow_key key;
    bool waits;

    if (s->protocol != WIRE_PROTOCOL_TCP || s->flow != NULL)
        return false;
    path_key(s, &key);
    lane_enter(s->lane);
    waits = memory_has(s->lane->memory, &key, MEMORY_CLOSED, s->time_ns);
    lane_leave(s->lane);
    return waits;
}

static void go_out(struct going *g)
{
    struct ale_view v = {0};
    struct scene s;

    scene_begin(g, &s, false);
    g->out.outbound = true;
    if (g->packet.reached != WIRE_TRANSPORT) { /* a fragment, or cut: nothing above it can tell whose it is */
        (void)path_send_ip(&s, &g->out);
    } else if (wire_is_icmp_error(&g->packet)) {
        path_icmp_error_out(&s, &g->out);
    } else if (path_find(&s, &v, &g->out)) {
        struct host_endpoint_info e;

        if (g->i->what.endpoint != 0 && (s.endpoint == NULL || s.endpoint->id != g->i->what.endpoint) &&
            !endpoint_of(g->host, g->i->what.endpoint, &e) && !is_waiting(&s)) {
            g->walk.status = STATUS_NOT_FOUND; /* INJ-32 */
            g->out.fate = HOST_STACK;
            return;
        }
        if (g->i->what.kind == HOST_INJECT_NETWORK_SEND && is_raw(&s))
            (void)path_send(&s, &g->out);
        else if (v.tcp)
            path_tcp_injected(&s, &v, &g->out);
        else
            path_datagram_injected(&s, &v, &g->out);
    }
    if (g->out.fate != HOST_PASSED || !g->loopback)
        return;
    scene_begin(g, &s, true); /* ORD-19, INJ-16: its history goes with it */
    walk_copy(&s);
    g->out.sender_flow_id = g->out.flow_id;
    g->out.flow_id = 0;
    paths_in(&s, &g->out);
}

/* ---- frames (MAC) */

/* Nothing behind an Ethernet's header says what this is, but the bytes are an IP packet: a list of
 * INBOUND_MAC_FRAME_ETHERNET begins there, and has to be retreated first (INJ-21). */
static bool begins_at_ip(const struct going *g)
{
    struct wire_packet p;

    if (g->packet.version != 0)
        return false;
    wire_parse_ip(g->bytes, g->size, g->size, &p);
    return p.version != 0 && p.reached >= WIRE_NETWORK;
}

/* INJ-29. */
static void look_for_filter(struct host *h, const struct injection *i)
{
    if (!injection_has_filter(h, i) && injection_told(h, i))
        ledger_report(
            LEDGER_NOTE, i->what.site,
            "a frame was injected at a layer where its driver has no filter: on Windows nobody completes it");
}

static NTSTATUS walk_frame(struct going *g)
{
    const enum host_layer from = injection_mac_layer(g->i->what.layer);
    const struct ndis_origin *o = g->i->origin;
    struct scene s;

    g->inbound = g->i->what.kind == HOST_INJECT_MAC_RECEIVE;
    wire_parse(WIRE_LINK_ETHERNET, g->bytes, g->size, g->size, &g->packet);
    g->link = g->packet.reached >= WIRE_LINK ? g->packet.ip_at : g->size;
    if (g->packet.mac_at == UINT32_MAX || begins_at_ip(g)) {
        ledger_report(LEDGER_NOTE, g->i->what.site,
                      "a frame was injected that does not begin at its Ethernet header");
        return STATUS_INVALID_PARAMETER;
    }
    g->interface = injection_adapter(g->host, g->i, &g->packet);
    if (g->interface == NULL)
        return STATUS_INVALID_PARAMETER;
    look_for_filter(g->host, g->i);
    if (o == NULL && g->packet.version != 0 &&
        again_comes(g->host, &g->packet, g->i->context, g->i->history)) {
        const NTSTATUS status = injection_capped(g->host, g->i);

        if (status != STATUS_SUCCESS)
            return status;
    }
    scene_blank(g, &s);
    lane_back(&g->host->lanes[0], true);
    if (g->inbound)
        paths_frame_received(&s, from, &g->out);
    else
        paths_frame_sent(&s, from, &g->out);
    (void)lane_rest(&g->host->lanes[0]);
    return STATUS_SUCCESS;
}

/* ---- what became of it */

/* A frame's: with its own link header. e->bytes are still all of it. */
static void fill_frame(const struct going *g, struct host_emitted *e)
{
    const struct ndis_origin *o = g->i->origin;
    const uint8_t *came;
    uint32_t size, ip_at;

    e->frame = true;
    if (o != NULL) {
        came = ndis_frame_came(ndis_frame_of_origin(o), &size, &ip_at);
        e->origin = o->number;
        e->came = came;
        e->came_size = size;
    }
    e->link = e->bytes;
    e->link_size = g->link;
    if (e->bytes != NULL)
        e->bytes += g->link;
    e->size -= g->link;
}

static void fill(const struct going *g, struct host_emitted *e)
{
    const struct ndis_origin *o = g->i->origin;
    const uint8_t *came;
    uint32_t size, ip_at;

    *e = (struct host_emitted){
        .bytes = g->bytes,
        .size = g->size,
        .version = g->packet.version,
        .inbound = g->inbound || g->loopback,
        .forwarded = g->forwarded,
        .loopback = g->loopback,
        .looped = g->out.looped,
        .interface_index = g->interface != NULL ? g->interface->desc.index : 0,
        .flow_id = g->out.flow_id,
        .time_ns = g->host->now_ns,
    };
    if (g->walk.frame != NULL && g->walk.packet == &g->packet) /* what callouts left of it */
        e->bytes = ndis_frame_bytes(g->walk.frame, &size);
    if (injection_is_mac(g->i)) {
        fill_frame(g, e);
        return;
    }
    if (o == NULL)
        return;
    came = ndis_frame_came(ndis_frame_of_origin(o), &size, &ip_at);
    e->origin = o->number;
    e->reassembled = o->reassembled;
    e->link = ip_at != 0 ? came : NULL;
    e->link_size = ip_at;
    e->came = came + ip_at;
    e->came_size = size - ip_at;
}

static NTSTATUS status_of(const struct going *g)
{
    if (g->walk.status != STATUS_SUCCESS)
        return g->walk.status;
    switch (g->out.fate) {
    case HOST_PASSED:
    case HOST_ABSORBED:  /* somebody else has it now */
    case HOST_REWRITTEN: /* what goes in its place has gone */
        return STATUS_SUCCESS;
    case HOST_BLOCKED:
        return STATUS_ACCESS_DENIED;
    case HOST_HELD:
    case HOST_IGNORED: /* MAC: it was received, and is not for the IP layer */
        return STATUS_SUCCESS;
    case HOST_STACK:
        return g->out.module == FWPS_DISCARD_MODULE_TRANSPORT && g->out.reason == InetDiscardEndpointNotFound
                   ? STATUS_NOT_FOUND
               : g->out.module == FWPS_DISCARD_MODULE_NETWORK && g->out.reason == IpDiscardPortUnreachable
                   ? STATUS_NOT_FOUND
                   : STATUS_INVALID_PARAMETER;
    default: /* of a flow that was refused */
        return STATUS_NOT_FOUND;
    }
}

static NTSTATUS walk_packet(struct going *g, const NET_BUFFER *nb)
{
    NTSTATUS status = get_bytes(g, nb);

    if (status != STATUS_SUCCESS)
        return status;
    if (injection_is_mac(g->i)) {
        status = walk_frame(g);
        return status == STATUS_SUCCESS ? status_of(g) : status;
    }
    wire_parse_ip(g->bytes, g->size, g->size, &g->packet);
    if (g->packet.version != version_of(g->i) || g->packet.reached < WIRE_NETWORK)
        return STATUS_INVALID_PARAMETER; /* INJ-21 */
    if (g->packet.ip_length < g->size) {
        g->size = g->packet.ip_length;
        wire_parse_ip(g->bytes, g->size, g->size, &g->packet);
    }
    if (g->i->origin == NULL && again_comes(g->host, &g->packet, g->i->context, g->i->history))
        status = injection_capped(g->host, g->i);
    if (status == STATUS_SUCCESS)
        status = find_way(g);
    if (status != STATUS_SUCCESS)
        return status;
    lane_back(&g->host->lanes[0], true); /* within the walk the lane is left for foreign code alone */
    if (g->forwarded)
        g->out.forwarded = true;
    else if (g->inbound)
        go_in(g);
    else
        go_out(g);
    (void)lane_rest(&g->host->lanes[0]);
    return status_of(g);
}

/* Through a virtual switch: who gets it is told by the switch's own callback. */
static NTSTATUS one_vswitch(struct host *h, const struct injection *i, struct injection_room *room,
                            const NET_BUFFER *nb)
{
    struct host_vswitch_outcome out = {.fate = HOST_STACK};
    NTSTATUS status = i->status;
    struct going g;

    going_begin(&g, h, i, room);
    if (status == STATUS_SUCCESS)
        status = get_bytes(&g, nb);
    if (status == STATUS_SUCCESS) {
        const struct vswitch_walk w = {.bytes = g.bytes,
                                       .size = g.size,
                                       .number = i->origin != NULL ? i->origin->number : 0,
                                       .source_port = i->what.source_port,
                                       .source_nic = i->what.source_nic,
                                       .nic_given = true,
                                       .origin = i->origin,
                                       .history = i->history};

        look_for_filter(h, i);
        vswitch_walk(h, i->what.vswitch, &w, &out);
        status = out.fate == HOST_BLOCKED   ? STATUS_ACCESS_DENIED
                 : out.fate == HOST_IGNORED ? STATUS_INVALID_PARAMETER /* shorter than its header: INJ-21 */
                                            : STATUS_SUCCESS;
    }
    injection_count(h, out.fate == HOST_PASSED);
    return status;
}

static NTSTATUS one(struct host *h, const struct injection *i, struct injection_room *room,
                    const NET_BUFFER *nb)
{
    const struct host_config *c = &h->config;
    NTSTATUS status = i->status;
    struct host_emitted e;
    struct going g;
    bool through;

    going_begin(&g, h, i, room);
    walk_begin(&g.walk, h, i->origin != NULL ? i->origin->number : 0, &g.packet);
    g.walk.injected = true;
    g.walk.origin = i->origin;
    g.walk.history = i->history;
    g.walk.tagged = ndis_tags_any(i->what.list) ? i->what.list : NULL;
    if (status == STATUS_SUCCESS)
        status = walk_packet(&g, nb);
    if (!NT_SUCCESS(status) && g.out.fate == HOST_PASSED)
        g.out.fate = HOST_STACK; /* it came to no layer */
    through = g.out.fate == HOST_PASSED || (injection_is_mac(i) && g.out.fate == HOST_IGNORED);
    fill(&g, &e);
    injection_count(h, through);
    if (through && c->emit != NULL)
        c->emit(c->ctx, &e);
    else if (!through && c->lost != NULL)
        c->lost(c->ctx, &e, &g.out);
    walk_end(&g.walk, &g.out);
    return status;
}

void injection_walk(struct host *h, struct injection *i, struct injection_room *room)
{
    NTSTATUS worst = i->status;

    for (const NET_BUFFER *nb = i->what.list->FirstNetBuffer; nb != NULL; nb = nb->Next) {
        const NTSTATUS status =
            i->what.kind == HOST_INJECT_VSWITCH ? one_vswitch(h, i, room, nb) : one(h, i, room, nb);

        if (NT_SUCCESS(worst))
            worst = status;
    }
    i->status = worst;
}
