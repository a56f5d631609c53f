/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a field's value is made of: chosen for each layer's fields by values_table.c, made by values.c; which
 * of them are filled anew for each packet: values_kept.c.
 */
#ifndef WEIR_HOST_VALUES_H
#define WEIR_HOST_VALUES_H

#include "host/indicate.h"

enum getter {
    GET_EMPTY,
    GET_ZERO8,
    GET_ZERO32,
    GET_ZERO64,
    GET_PROTOCOL,
    GET_LOCAL_ADDRESS,
    GET_BOUND_ADDRESS, /* of a bind, perhaps to no address */
    GET_LOCAL_ADDRESS_TYPE,
    GET_BOUND_ADDRESS_TYPE,
    GET_LOCAL_PORT,
    GET_REMOTE_ADDRESS,
    GET_REMOTE_PORT,
    GET_DESTINATION_ADDRESS_TYPE, /* of what goes out or is connected: the remote end */
    GET_CONNECTED_ADDRESS_TYPE,   /* of a flow of either direction: whom its first packet was for */
    GET_SOURCE_ADDRESS,           /* of a forwarded packet */
    GET_DESTINATION_ADDRESS,
    GET_FORWARDED_ADDRESS_TYPE,
    GET_EMBEDDED_PROTOCOL,
    GET_EMBEDDED_REMOTE_ADDRESS,
    GET_EMBEDDED_LOCAL_ADDRESS_TYPE,
    GET_EMBEDDED_LOCAL_PORT,
    GET_EMBEDDED_REMOTE_PORT,
    GET_ORIGINAL_ICMP_TYPE,
    GET_PACKET_DIRECTION,
    GET_CONNECTION_DIRECTION,
    GET_FLAGS,
    GET_REAUTHORIZE_REASON,
    GET_COMPARTMENT,
    GET_LOCAL_LUID, /* of the interface that has the local address */
    GET_LOCAL_INDEX,
    GET_LOCAL_TYPE,
    GET_LOCAL_TUNNEL,
    GET_LOCAL_PROFILE,
    GET_ORIGINAL_PROFILE,
    GET_ARRIVAL_LUID,
    GET_ARRIVAL_INDEX,
    GET_ARRIVAL_TYPE,
    GET_ARRIVAL_TUNNEL,
    GET_ARRIVAL_PROFILE,
    GET_NEXTHOP_LUID,
    GET_NEXTHOP_INDEX,
    GET_NEXTHOP_SUB_INDEX,
    GET_NEXTHOP_TYPE,
    GET_NEXTHOP_TUNNEL,
    GET_NEXTHOP_PROFILE,
    GET_QUARANTINE_EPOCH,
    GET_NAP_CONTEXT,
    GET_APP,
    GET_ORIGINAL_APP, /* of a proxied connection: the first application's */
    GET_USER,
    GET_PACKAGE,
    GET_PACKAGE_FAMILY,
    GET_BINARY_NAME,
    GET_REMOTE_IDENTITY,
    GET_SOCKET_PROPERTIES,
    GET_PROMISCUOUS,
    GET_NAME,
    GET_INTERFACE_MAC,
    GET_LOCAL_MAC,
    GET_REMOTE_MAC,
    GET_LOCAL_MAC_TYPE,
    GET_REMOTE_MAC_TYPE,
    GET_ETHER_TYPE,
    GET_VLAN,
    GET_MEDIUM,
    GET_PHYSICAL_MEDIUM,
    GET_L2_FLAGS,
    GETTERS
};

/* One classification while its values are filled. */
struct filling {
    const struct scene *s;
    const struct prepared *prepared;
    const struct host_owner *owner;        /* NULL: unknown */
    const struct host_interface *local;    /* that has the local address; NULL: none */
    const struct host_interface *arrival;  /* NULL: none, or unknown because the packet goes out */
    const struct host_interface *next_hop; /* NULL: none, or unknown because it comes in */
};

/* That has the local address of a scene without an interface; NULL: none. */
const struct host_interface *filling_interface(const struct scene *s);

/* Which interface has the local address: with strong hosts the one that the packet is on. */
static inline const struct host_interface *local_interface(const struct scene *s, enum host_layer role)
{
    if (role == LAYER_II || role == LAYER_OI || role == LAYER_FW || role >= LAYER_MAC_IN)
        return s->interface; /* the packet's, whatever it is addressed to */
    if (s->home != NULL)
        return s->home;
    return s->interface != NULL ? s->interface : filling_interface(s);
}

static inline void filling_begin(struct filling *f, const struct scene *s, const struct scratch *room,
                                 UINT16 layer)
{
    const enum host_layer role = room->role[layer];
    const bool forward = role == LAYER_FW, in = scene_inbound(s);

    f->s = s;
    f->prepared = &room->prepared[layer];
    f->owner = s->endpoint != NULL && s->endpoint->party != NULL ? s->endpoint->party->owner : NULL;
    f->local = local_interface(s, role);
    f->arrival = forward || in ? s->interface : NULL;
    f->next_hop = forward ? s->next_hop : in ? NULL : s->interface;
}

/* The fields of `want`, as values_fill(). */
UINT64 filling_fields(const struct filling *f, const struct scratch *room, UINT16 layer, UINT64 want,
                      FWPS_INCOMING_VALUE0 *values);

/* FWP_CONDITION_FLAG_* of the scene, at whatever layer. */
static inline UINT32 scene_flags(const struct scene *s, const struct host_owner *owner)
{
    const struct host_endpoint *e = s->endpoint;
    UINT32 x = s->flags;

    if (s->loopback) {
        const bool container = owner != NULL && owner->package != NULL;

        x |= FWP_CONDITION_FLAG_IS_LOOPBACK | (container ? FWP_CONDITION_FLAG_IS_APPCONTAINER_LOOPBACK
                                                         : FWP_CONDITION_FLAG_IS_NON_APPCONTAINER_LOOPBACK);
    }
    if (s->reauthorize != 0)
        x |= FWP_CONDITION_FLAG_IS_REAUTHORIZE;
    if (e != NULL) {
        x |= e->wildcard ? FWP_CONDITION_FLAG_IS_WILDCARD_BIND : 0;
        x |= e->implicit_bind ? FWP_CONDITION_FLAG_IS_IMPLICIT_BIND : 0;
        x |= e->raw ? FWP_CONDITION_FLAG_IS_RAW_ENDPOINT : 0;
    }
    return x;
}

static inline UINT32 filling_flags(const struct filling *f)
{
    return scene_flags(f->s, f->owner) & f->prepared->flags;
}

/* values_kept.c: which fields of a layer are filled how; once the getters are chosen. */
void kept_prepare(struct prepared *p, const struct engine_layer *layer);

#endif
