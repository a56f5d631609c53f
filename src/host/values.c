/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The values of a classification. Filling walks the bits of the fields that are wanted and nothing else; what
 * each field's value is made of was chosen before (values_table.c).
 *
 * Host order in all numbers, IPv6 addresses and MAC addresses as they stand (PKT-25). Pointers go into the
 * scene, its packet, interface and owner, and are good as long as those are. What does not apply is FWP_EMPTY
 * (MATCH-12); what is not known is FWP_EMPTY and reported.
 */
#include <string.h>

#include "host/values.h"

/* Whose lack of knowledge leaves a getter's value open. */
enum whose { ANYBODY, OWNER, LOCAL, ARRIVAL, NEXTHOP, WHOSE };

static const struct {
    UINT16 thing; /* HOST_THING_* */
    UINT8 whose;
} doubts[GETTERS] = {
    [GET_LOCAL_LUID] = {HOST_THING_LUID, LOCAL},
    [GET_LOCAL_INDEX] = {HOST_THING_INDEX, LOCAL},
    [GET_LOCAL_TYPE] = {HOST_THING_TYPE, LOCAL},
    [GET_LOCAL_TUNNEL] = {HOST_THING_TYPE, LOCAL},
    [GET_LOCAL_PROFILE] = {HOST_THING_PROFILE, LOCAL},
    [GET_ORIGINAL_PROFILE] = {HOST_THING_PROFILE, LOCAL},
    [GET_ARRIVAL_LUID] = {HOST_THING_LUID, ARRIVAL},
    [GET_ARRIVAL_INDEX] = {HOST_THING_INDEX, ARRIVAL},
    [GET_ARRIVAL_TYPE] = {HOST_THING_TYPE, ARRIVAL},
    [GET_ARRIVAL_TUNNEL] = {HOST_THING_TYPE, ARRIVAL},
    [GET_ARRIVAL_PROFILE] = {HOST_THING_PROFILE, ARRIVAL},
    [GET_NEXTHOP_LUID] = {HOST_THING_LUID, NEXTHOP},
    [GET_NEXTHOP_INDEX] = {HOST_THING_INDEX, NEXTHOP},
    [GET_NEXTHOP_SUB_INDEX] = {HOST_THING_INDEX, NEXTHOP},
    [GET_NEXTHOP_TYPE] = {HOST_THING_TYPE, NEXTHOP},
    [GET_NEXTHOP_TUNNEL] = {HOST_THING_TYPE, NEXTHOP},
    [GET_NEXTHOP_PROFILE] = {HOST_THING_PROFILE, NEXTHOP},
    [GET_QUARANTINE_EPOCH] = {HOST_THING_QUARANTINE, ANYBODY},
    [GET_NAP_CONTEXT] = {HOST_THING_QUARANTINE, ANYBODY},
    [GET_APP] = {HOST_THING_APP, OWNER},
    [GET_ORIGINAL_APP] = {HOST_THING_APP, OWNER},
    [GET_USER] = {HOST_THING_USER, OWNER},
    [GET_PACKAGE] = {HOST_THING_PACKAGE, OWNER},
    [GET_PACKAGE_FAMILY] = {HOST_THING_PACKAGE, OWNER},
    [GET_BINARY_NAME] = {HOST_THING_PACKAGE, OWNER},
    [GET_REMOTE_IDENTITY] = {HOST_THING_REMOTE_ID, ANYBODY},
    [GET_SOCKET_PROPERTIES] = {HOST_THING_SIO, ANYBODY},
    [GET_PROMISCUOUS] = {HOST_THING_SIO, ANYBODY},
    [GET_NAME] = {HOST_THING_SIO, ANYBODY},
};

/* ---- filling --------------------------------------------------------------------------------------------
 */

static const UINT64 zero64;
static const SID null_sid = {1, 1, {{0, 0, 0, 0, 0, 0}}, {0}}; /* S-1-0-0: MATCH-29 */

static void put8(FWP_VALUE0 *v, UINT8 x)
{
    v->type = FWP_UINT8;
    v->uint8 = x;
}

static void put16(FWP_VALUE0 *v, UINT16 x)
{
    v->type = FWP_UINT16;
    v->uint16 = x;
}

static void put32(FWP_VALUE0 *v, UINT32 x)
{
    v->type = FWP_UINT32;
    v->uint32 = x;
}

static void put64(FWP_VALUE0 *v, const UINT64 *x)
{
    v->type = FWP_UINT64;
    v->uint64 = (UINT64 *)x;
}

static void put_empty(FWP_VALUE0 *v)
{
    v->type = FWP_EMPTY;
    v->uint32 = 0;
}

static void put_address(FWP_VALUE0 *v, uint8_t version, const union wire_addr *a)
{
    if (version == 4) {
        put32(v, a->v4);
        return;
    }
    v->type = FWP_BYTE_ARRAY16_TYPE;
    v->byteArray16 = (FWP_BYTE_ARRAY16 *)a->v6;
}

static void put_mac(FWP_VALUE0 *v, const uint8_t *mac)
{
    v->type = FWP_BYTE_ARRAY6_TYPE;
    v->byteArray6 = (FWP_BYTE_ARRAY6 *)mac;
}

static void put_blob(FWP_VALUE0 *v, FWP_DATA_TYPE type, const FWP_BYTE_BLOB *blob)
{
    if (blob == NULL) {
        put_empty(v);
        return;
    }
    v->type = type;
    v->byteBlob = (FWP_BYTE_BLOB *)blob; /* tokenAccessInformation is a blob too */
}

static bool unbound(const struct scene *s)
{
    return wire_addr_is_unspecified(s->version, &s->local);
}

static void put_address_type(FWP_VALUE0 *v, const struct scene *s, uint8_t version, const union wire_addr *a)
{
    put8(v, host_address_type(s->host, version, a));
}

/* A packet that passes through has no local end. */
static void put_forwarded(FWP_VALUE0 *v, const struct scene *s, UINT8 get)
{
    if (s->packet == NULL)
        put_empty(v);
    else if (get == GET_FORWARDED_ADDRESS_TYPE)
        put_address_type(v, s, s->version, &s->packet->destination);
    else
        put_address(v, s->version, get == GET_SOURCE_ADDRESS ? &s->packet->source : &s->packet->destination);
}

static void put_embedded(FWP_VALUE0 *v, const struct scene *s, UINT8 get)
{
    const struct wire_packet *e = s->embedded;
    bool icmp;

    if (e == NULL || e->version == 0) {
        put_empty(v);
        return;
    }
    icmp = e->protocol == (e->version == 6 ? WIRE_PROTOCOL_ICMPV6 : WIRE_PROTOCOL_ICMP);
    switch (get) {
    case GET_EMBEDDED_PROTOCOL:
        put8(v, e->protocol);
        return;
    case GET_EMBEDDED_REMOTE_ADDRESS:
        put_address(v, e->version, &e->destination);
        return;
    case GET_EMBEDDED_LOCAL_ADDRESS_TYPE:
        put_address_type(v, s, e->version, &e->source);
        return;
    default:
        break;
    }
    if (e->reached < WIRE_TRANSPORT)
        put_empty(v); /* not quoted so far */
    else if (get == GET_EMBEDDED_LOCAL_PORT)
        put16(v, icmp ? e->icmp_type : e->source_port);
    else
        put16(v, icmp ? e->icmp_code : e->destination_port);
}

/* The interface's part, or EMPTY without one. */
static void put_interface(FWP_VALUE0 *v, const struct host_interface *i, UINT8 get)
{
    if (i == NULL) {
        put_empty(v);
        return;
    }
    switch (get) {
    case GET_LOCAL_LUID:
        put64(v, &i->desc.luid);
        break;
    case GET_LOCAL_INDEX:
        put32(v, i->desc.index);
        break;
    case GET_LOCAL_TYPE:
        put32(v, i->desc.type);
        break;
    case GET_LOCAL_TUNNEL:
        put32(v, i->desc.tunnel_type);
        break;
    default:
        put32(v, host_interface_profile(i));
        break;
    }
}

/* The profile under which the flow was authorized: of the interface that it was authorized for. */
static const struct host_interface *original_interface(const struct filling *f)
{
    const struct host_interface *i = NULL;

    if (f->s->reauthorize != 0 && f->s->authorized_for != 0)
        i = host_interface_by_index(f->s->host, f->s->authorized_for);
    return i != NULL ? i : f->local;
}

static const uint8_t *mac_at(const struct scene *s, bool destination_address)
{
    const struct wire_packet *p = s->packet;

    if (p == NULL || p->mac_at > p->captured || p->captured - p->mac_at < 12)
        return NULL;
    return p->frame + p->mac_at + (destination_address ? 0 : 6);
}

/* OTH-05. Numbers of interface types are IANA's: Ethernet, Wi-Fi, the two kinds of mobile broadband. What they are
 * cannot be told of others: they give Ethernet frames. A machine's own Wi-Fi Direct and VM traffic is in no capture. */
static UINT32 l2_flags(UINT32 type, const struct wire_packet *p)
{
    UINT32 x = FWP_CONDITION_L2_IS_NATIVE_ETHERNET;

    switch (type) {
    case IF_TYPE_IEEE80211:
        x = FWP_CONDITION_L2_IS_WIFI;
        break;
    case IF_TYPE_WWANPP:
    case IF_TYPE_WWANPP2:
        x = FWP_CONDITION_L2_IS_MOBILE_BROADBAND;
        break;
    default:
        break;
    }
    if (type == IF_TYPE_ETHERNET_CSMACD || type == IF_TYPE_IEEE80211 || type == IF_TYPE_WWANPP ||
        type == IF_TYPE_WWANPP2)
        x |= FWP_CONDITION_L2_IF_CONNECTOR_PRESENT;
    if (p != NULL && p->fault != WIRE_OK)
        x |= FWP_CONDITION_L2_IS_MALFORMED_PACKET;
    if (p != NULL && p->fragment)
        x |= FWP_CONDITION_L2_IS_IP_FRAGMENT_GROUP;
    return x;
}

static void put_l2(FWP_VALUE0 *v, const struct filling *f, UINT8 get)
{
    static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    const struct scene *s = f->s;
    const struct wire_packet *p = s->packet;
    const struct host_interface *i = s->interface;
    UINT32 type = i != NULL ? i->desc.type : 0;
    bool local = get == GET_LOCAL_MAC || get == GET_LOCAL_MAC_TYPE;
    const uint8_t *mac = mac_at(s, local == scene_inbound(s));

    put_empty(v);
    switch (get) {
    case GET_INTERFACE_MAC:
        if (i != NULL)
            put_mac(v, i->desc.mac);
        break;
    case GET_LOCAL_MAC:
    case GET_REMOTE_MAC:
        if (mac != NULL)
            put_mac(v, mac);
        break;
    case GET_LOCAL_MAC_TYPE:
    case GET_REMOTE_MAC_TYPE:
        if (mac != NULL)
            put8(v, memcmp(mac, broadcast, 6) == 0 ? DlBroadcast : mac[0] & 1 ? DlMulticast : DlUnicast);
        break;
    case GET_ETHER_TYPE:
        if (p != NULL)
            put16(v, p->ether_type);
        break;
    case GET_VLAN:
        if (p != NULL)
            put16(v, p->vlan == WIRE_NO_VLAN ? 0 : p->vlan & 0xfff);
        break;
    case GET_MEDIUM:
        put32(v, type == 24 ? NdisMediumLoopback : NdisMedium802_3); /* frames come as Ethernet's */
        break;
    case GET_PHYSICAL_MEDIUM:
        put32(v, type == 6    ? NdisPhysicalMedium802_3
                 : type == 71 ? NdisPhysicalMediumNative802_11
                              : NdisPhysicalMediumUnspecified);
        break;
    default:
        put32(v, l2_flags(type, p));
        break;
    }
}

static void put_owner(FWP_VALUE0 *v, const struct filling *f, UINT8 get)
{
    const struct host_owner *o = f->owner;

    switch (get) {
    case GET_APP:
        put_blob(v, FWP_BYTE_BLOB_TYPE, o->app_id);
        break;
    case GET_ORIGINAL_APP:
        if (f->s->endpoint != NULL && f->s->endpoint->proxied)
            o = ale_endpoint_original(f->s->endpoint);
        put_blob(v, FWP_BYTE_BLOB_TYPE, o != NULL ? o->app_id : NULL);
        break;
    case GET_USER:
    case GET_PACKAGE_FAMILY: /* an attribute of the token: MATCH-28 */
        put_blob(v, FWP_TOKEN_ACCESS_INFORMATION_TYPE, o->token);
        break;
    case GET_PACKAGE:
        v->type = FWP_SID;
        v->sid = (SID *)(o->package != NULL ? o->package : &null_sid);
        break;
    default:
        put_empty(v);
        break;
    }
}

static void fill(FWP_VALUE0 *v, const struct filling *f, UINT8 get)
{
    const struct scene *s = f->s;

    switch (get) {
    case GET_ZERO8:
        put8(v, 0);
        break;
    case GET_ZERO32:
    case GET_NAP_CONTEXT:
    case GET_SOCKET_PROPERTIES:
        put32(v, 0);
        break;
    case GET_ZERO64:
    case GET_QUARANTINE_EPOCH:
        put64(v, &zero64);
        break;
    case GET_PROTOCOL:
        put8(v, s->protocol);
        break;
    case GET_BOUND_ADDRESS:
        if (unbound(s)) {
            put_empty(v); /* MATCH-12, 24 */
            break;
        }
        /* fall through */
    case GET_LOCAL_ADDRESS:
        put_address(v, s->version, &s->local);
        break;
    case GET_BOUND_ADDRESS_TYPE:
        if (unbound(s)) {
            put_empty(v);
            break;
        }
        /* fall through */
    case GET_LOCAL_ADDRESS_TYPE:
        put_address_type(v, s, s->version, &s->local);
        break;
    case GET_LOCAL_PORT:
        put16(v, s->local_port);
        break;
    case GET_REMOTE_ADDRESS:
        if (s->any_remote)
            put_empty(v);
        else
            put_address(v, s->version, &s->remote);
        break;
    case GET_REMOTE_PORT:
        if (s->any_remote)
            put_empty(v);
        else
            put16(v, s->remote_port);
        break;
    case GET_DESTINATION_ADDRESS_TYPE:
        put_address_type(v, s, s->version, &s->remote);
        break;
    case GET_CONNECTED_ADDRESS_TYPE:
        put_address_type(v, s, s->version,
                         s->connection_direction == FWP_DIRECTION_INBOUND ? &s->local : &s->remote);
        break;
    case GET_SOURCE_ADDRESS:
    case GET_DESTINATION_ADDRESS:
    case GET_FORWARDED_ADDRESS_TYPE:
        put_forwarded(v, s, get);
        break;
    case GET_EMBEDDED_PROTOCOL:
    case GET_EMBEDDED_REMOTE_ADDRESS:
    case GET_EMBEDDED_LOCAL_ADDRESS_TYPE:
    case GET_EMBEDDED_LOCAL_PORT:
    case GET_EMBEDDED_REMOTE_PORT:
        put_embedded(v, s, get);
        break;
    case GET_ORIGINAL_ICMP_TYPE:
        if (s->icmp)
            put16(v, s->original_icmp_type);
        else
            put_empty(v);
        break;
    case GET_PACKET_DIRECTION:
        put32(v, s->packet_direction);
        break;
    case GET_CONNECTION_DIRECTION:
        put32(v, s->connection_direction);
        break;
    case GET_FLAGS:
        put32(v, filling_flags(f));
        break;
    case GET_REAUTHORIZE_REASON:
        put32(v, s->reauthorize);
        break;
    case GET_COMPARTMENT:
        put32(v, s->interface != NULL && s->interface->desc.compartment != 0 ? s->interface->desc.compartment
                                                                             : 1);
        break;
    case GET_LOCAL_LUID:
    case GET_LOCAL_INDEX:
    case GET_LOCAL_TYPE:
    case GET_LOCAL_TUNNEL:
    case GET_LOCAL_PROFILE:
        put_interface(v, f->local, get);
        break;
    case GET_ORIGINAL_PROFILE:
        put_interface(v, original_interface(f), GET_LOCAL_PROFILE);
        break;
    case GET_ARRIVAL_LUID:
    case GET_ARRIVAL_INDEX:
    case GET_ARRIVAL_TYPE:
    case GET_ARRIVAL_TUNNEL:
    case GET_ARRIVAL_PROFILE:
        put_interface(v, f->arrival, (UINT8)(GET_LOCAL_LUID + (get - GET_ARRIVAL_LUID)));
        break;
    case GET_NEXTHOP_LUID:
        put_interface(v, f->next_hop, GET_LOCAL_LUID);
        break;
    case GET_NEXTHOP_INDEX:
        put_interface(v, f->next_hop, GET_LOCAL_INDEX);
        break;
    case GET_NEXTHOP_SUB_INDEX:
        if (f->next_hop != NULL)
            put32(v, 0);
        else
            put_empty(v);
        break;
    case GET_NEXTHOP_TYPE:
        put_interface(v, f->next_hop, GET_LOCAL_TYPE);
        break;
    case GET_NEXTHOP_TUNNEL:
        put_interface(v, f->next_hop, GET_LOCAL_TUNNEL);
        break;
    case GET_NEXTHOP_PROFILE:
        put_interface(v, f->next_hop, GET_LOCAL_PROFILE);
        break;
    case GET_APP:
    case GET_ORIGINAL_APP:
    case GET_USER:
    case GET_PACKAGE:
    case GET_PACKAGE_FAMILY:
        if (f->owner != NULL)
            put_owner(v, f, get);
        else
            put_empty(v);
        break;
    case GET_PROMISCUOUS:
        put32(v, s->endpoint != NULL && s->endpoint->promiscuous); /* SIO_RCVALL's RCVALL_ON, RCVALL_OFF */
        break;
    case GET_INTERFACE_MAC:
    case GET_LOCAL_MAC:
    case GET_REMOTE_MAC:
    case GET_LOCAL_MAC_TYPE:
    case GET_REMOTE_MAC_TYPE:
    case GET_ETHER_TYPE:
    case GET_VLAN:
    case GET_MEDIUM:
    case GET_PHYSICAL_MEDIUM:
    case GET_L2_FLAGS:
        put_l2(v, f, get);
        break;
    default: /* EMPTY, REMOTE_IDENTITY, NAME, BINARY_NAME */
        put_empty(v);
        break;
    }
}

const struct host_interface *filling_interface(const struct scene *s)
{
    if (s->endpoint != NULL && s->endpoint->interface_index != 0)
        return host_interface_by_index(s->host, s->endpoint->interface_index);
    return !unbound(s) ? host_interface_of(s->host, s->version, &s->local) : NULL;
}

static const FWP_VALUE0 *overriding(const struct scratch *room, UINT16 layer, UINT16 field)
{
    for (size_t i = 0; i < room->override_count; i++)
        if (room->overrides[i].layer == layer && room->overrides[i].field == field)
            return room->overrides[i].value;
    return NULL;
}

UINT64 filling_fields(const struct filling *f, const struct scratch *room, UINT16 layer, UINT64 want,
                      FWPS_INCOMING_VALUE0 *values)
{
    const struct prepared *p = f->prepared;
    UINT32 general = f->s->host->config.unknown,
           doubt[WHOSE] = {
               [ANYBODY] = general,
               [OWNER] = f->owner != NULL ? f->owner->unknown : ~0u, /* who is told of knows best */
               [LOCAL] = general | (f->local != NULL ? host_interface_unknown(f->local) : 0),
               [ARRIVAL] = general | (f->arrival != NULL ? host_interface_unknown(f->arrival) : 0),
               [NEXTHOP] = general | (f->next_hop != NULL ? host_interface_unknown(f->next_hop) : 0),
           };
    UINT64 unknown = 0;

    for (; want != 0; want &= want - 1) {
        UINT16 i = (UINT16)__builtin_ctzll(want);
        FWP_VALUE0 *v = &values[i].value;
        UINT8 get = p->get[i];

        if (__builtin_expect((p->overridden >> i & 1) != 0, 0)) {
            *v = *overriding(room, layer, i);
        } else if (__builtin_expect((doubts[get].thing & doubt[doubts[get].whose]) != 0, 0)) {
            put_empty(v);
            unknown |= 1ULL << i;
        } else {
            fill(v, f, get);
        }
    }
    return unknown;
}

UINT64 values_fill(const struct scene *s, const struct engine_layer *layer, UINT64 want,
                   FWPS_INCOMING_VALUE0 *values, struct scratch *room)
{
    struct filling f;

    filling_begin(&f, s, room, layer->id);
    return filling_fields(&f, room, layer->id, want, values);
}
