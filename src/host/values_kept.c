/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The values of a layer as callouts see them, kept from packet to packet.
 *
 * A callout reads values by index, so all of them must be there and right. Most say the same of every packet
 * (what the host does not know, what nobody says) or of every packet on an interface: they are filled when
 * the interfaces or what is known of them have changed. `lasting` says which. The rest is each packet's own:
 * the common ones have a place and are stored there without asking, others are filled as ever.
 *
 *   values_keep() --another interface, another profile--> all fields
 *                 --else--> places | those of the owner, if it is another one | `each`
 *
 * What is kept belongs to one lane, one direction and one level: a classification inside another has values of
 * its own, and those that are deeper still fill all of them (indicate.c).
 */
#include <stdlib.h>
#include <string.h>

#include "host/kept.h"
#include "host/values.h"

/* What a getter's value hangs on. */
enum lasting {
    OF_EACH,      /* scene, packet, flow, endpoint */
    OF_OWNER,     /* ... and what it is made of */
    OF_PROFILE,   /* as OF_INTERFACE, unless the packet is asked about again */
    OF_INTERFACE, /* the scene's interfaces, as they were when they were looked at, and its direction */
    OF_HOST,      /* nothing that changes */
};

static const UINT8 lasting[GETTERS] = {
    [GET_EMPTY] = OF_HOST,
    [GET_ZERO8] = OF_HOST,
    [GET_ZERO32] = OF_HOST,
    [GET_ZERO64] = OF_HOST,
    [GET_QUARANTINE_EPOCH] = OF_HOST,
    [GET_NAP_CONTEXT] = OF_HOST,
    [GET_REMOTE_IDENTITY] = OF_HOST,
    [GET_SOCKET_PROPERTIES] = OF_HOST,
    [GET_NAME] = OF_HOST,
    [GET_APP] = OF_OWNER,
    [GET_ORIGINAL_APP] = OF_OWNER,
    [GET_USER] = OF_OWNER,
    [GET_PACKAGE] = OF_OWNER,
    [GET_PACKAGE_FAMILY] = OF_OWNER,
    [GET_BINARY_NAME] = OF_OWNER,
    [GET_ORIGINAL_PROFILE] = OF_PROFILE,
    [GET_COMPARTMENT] = OF_INTERFACE,
    [GET_LOCAL_LUID] = OF_INTERFACE,
    [GET_LOCAL_INDEX] = OF_INTERFACE,
    [GET_LOCAL_TYPE] = OF_INTERFACE,
    [GET_LOCAL_TUNNEL] = OF_INTERFACE,
    [GET_LOCAL_PROFILE] = OF_INTERFACE,
    [GET_ARRIVAL_LUID] = OF_INTERFACE,
    [GET_ARRIVAL_INDEX] = OF_INTERFACE,
    [GET_ARRIVAL_TYPE] = OF_INTERFACE,
    [GET_ARRIVAL_TUNNEL] = OF_INTERFACE,
    [GET_ARRIVAL_PROFILE] = OF_INTERFACE,
    [GET_NEXTHOP_LUID] = OF_INTERFACE,
    [GET_NEXTHOP_INDEX] = OF_INTERFACE,
    [GET_NEXTHOP_SUB_INDEX] = OF_INTERFACE,
    [GET_NEXTHOP_TYPE] = OF_INTERFACE,
    [GET_NEXTHOP_TUNNEL] = OF_INTERFACE,
    [GET_NEXTHOP_PROFILE] = OF_INTERFACE,
    [GET_INTERFACE_MAC] = OF_INTERFACE,
    [GET_MEDIUM] = OF_INTERFACE,
    [GET_PHYSICAL_MEDIUM] = OF_INTERFACE,
    [GET_PACKET_DIRECTION] = OF_INTERFACE,
};

/* Where a getter's value is stored without asking; KEPT_PLACES: nowhere. */
static enum kept_place place_of(UINT8 get)
{
    switch (get) {
    case GET_PROTOCOL:
        return KEPT_PROTOCOL;
    case GET_LOCAL_ADDRESS:
        return KEPT_LOCAL_ADDRESS;
    case GET_LOCAL_ADDRESS_TYPE:
        return KEPT_LOCAL_ADDRESS_TYPE;
    case GET_LOCAL_PORT:
        return KEPT_LOCAL_PORT;
    case GET_REMOTE_ADDRESS:
        return KEPT_REMOTE_ADDRESS;
    case GET_DESTINATION_ADDRESS_TYPE:
        return KEPT_REMOTE_ADDRESS_TYPE;
    case GET_REMOTE_PORT:
        return KEPT_REMOTE_PORT;
    case GET_CONNECTION_DIRECTION:
        return KEPT_CONNECTION_DIRECTION;
    case GET_FLAGS:
        return KEPT_FLAGS;
    case GET_REAUTHORIZE_REASON:
        return KEPT_REASON;
    case GET_BOUND_ADDRESS:
        return KEPT_BOUND_ADDRESS;
    case GET_BOUND_ADDRESS_TYPE:
        return KEPT_BOUND_ADDRESS_TYPE;
    case GET_CONNECTED_ADDRESS_TYPE:
        return KEPT_CONNECTED_ADDRESS_TYPE;
    case GET_ORIGINAL_ICMP_TYPE:
        return KEPT_ORIGINAL_ICMP_TYPE;
    case GET_PROMISCUOUS:
        return KEPT_PROMISCUOUS;
    default:
        return KEPT_PLACES;
    }
}

static const struct {
    UINT32 field;
    size_t at;
} handles[KEPT_HANDLES] = {
    [KEPT_FLOW] = {FWPS_METADATA_FIELD_FLOW_HANDLE, offsetof(FWPS_INCOMING_METADATA_VALUES0, flowHandle)},
    [KEPT_ENDPOINT] = {FWPS_METADATA_FIELD_TRANSPORT_ENDPOINT_HANDLE,
                       offsetof(FWPS_INCOMING_METADATA_VALUES0, transportEndpointHandle)},
    [KEPT_PARENT] = {FWPS_METADATA_FIELD_PARENT_ENDPOINT_HANDLE,
                     offsetof(FWPS_INCOMING_METADATA_VALUES0, parentEndpointHandle)},
};

void kept_prepare(struct prepared *p, const struct engine_layer *layer)
{
    for (unsigned i = 0; i < KEPT_PLACES; i++)
        p->place[i] = KEPT_NOWHERE;
    p->each = p->of_owner = p->of_profile = 0;
    p->placed_late = false;
    for (unsigned i = 0; i < KEPT_HANDLES; i++)
        p->handle[i] = (layer->metadata & handles[i].field) != 0
                           ? (UINT16)(offsetof(struct kept, metadata) + handles[i].at)
                           : (UINT16)(offsetof(struct kept, value) + KEPT_NOWHERE +
                                      offsetof(FWPS_INCOMING_VALUE0, value.uint64));
    for (UINT16 i = 0; i < layer->field_count; i++) {
        const enum kept_place place = place_of(p->get[i]);

        if ((p->overridden >> i & 1) != 0) /* the same for all */
            continue;
        if (place != KEPT_PLACES && p->place[place] == KEPT_NOWHERE) {
            p->place[place] = (UINT16)(i * sizeof(FWPS_INCOMING_VALUE0));
            p->placed_late = p->placed_late || place >= KEPT_BOUND_ADDRESS;
        } else if (lasting[p->get[i]] == OF_EACH) {
            p->each |= 1ULL << i;
        } else if (lasting[p->get[i]] == OF_OWNER) {
            p->of_owner |= 1ULL << i;
        } else if (lasting[p->get[i]] == OF_PROFILE) {
            p->of_profile |= 1ULL << i;
        }
    }
}

static __attribute__((noinline)) void look_up_type(struct kept_address *k, const struct scene *s,
                                                   const union wire_addr *a, UINT64 among)
{
    k->type = host_address_type_found(s->host, s->version, a);
    k->address = *a;
    k->version = s->version;
    k->among = among;
}

static inline UINT8 address_type(struct kept_address *k, const struct scene *s, const union wire_addr *a)
{
    UINT64 among;

    if (host_address_is_plain(s->version, a))
        return NlatUnicast;
    among = __atomic_load_n(&s->host->among, __ATOMIC_ACQUIRE) + 1;
    if (__builtin_expect(k->among != among || k->version != s->version || k->address.word[0] != a->word[0] ||
                             k->address.word[1] != a->word[1],
                         0)) {
        look_up_type(k, s, a, among);
    }
    return k->type;
}

static void put_address(FWP_VALUE0 *v, const struct scene *s, const union wire_addr *a)
{
    if (s->version == 4)
        v->uint32 = a->v4;
    else
        v->byteArray16 = (FWP_BYTE_ARRAY16 *)a->v6;
}

static void store_empty(FWP_VALUE0 *v)
{
    v->type = FWP_EMPTY;
    v->uint32 = 0;
}

/* Of an operation, which may be of no address. */
static inline void store_bound(const struct scene *s, const UINT16 *place, struct scratch *room,
                               FWPS_INCOMING_VALUE0 *values)
{
    FWP_VALUE0 *at = kept_place(values, place[KEPT_BOUND_ADDRESS]),
               *type = kept_place(values, place[KEPT_BOUND_ADDRESS_TYPE]);

    if (__builtin_expect(wire_addr_is_unspecified(s->version, &s->local), 0)) {
        store_empty(at);
        store_empty(type);
        return;
    }
    at->type = s->version == 4 ? FWP_UINT32 : FWP_BYTE_ARRAY16_TYPE;
    put_address(at, s, &s->local);
    if (place[KEPT_BOUND_ADDRESS_TYPE] != KEPT_NOWHERE) {
        type->type = FWP_UINT8;
        type->uint8 = address_type(&room->addresses[0], s, &s->local);
    }
}

/* The places that few layers have, and whose types change. */
static __attribute__((noinline)) void store_late(const struct filling *f, struct scratch *room,
                                                 FWPS_INCOMING_VALUE0 *values)
{
    const struct scene *s = f->s;
    const UINT16 *place = f->prepared->place;
    FWP_VALUE0 *v;

    if (place[KEPT_BOUND_ADDRESS] != KEPT_NOWHERE || place[KEPT_BOUND_ADDRESS_TYPE] != KEPT_NOWHERE)
        store_bound(s, place, room, values);
    if (place[KEPT_CONNECTED_ADDRESS_TYPE] != KEPT_NOWHERE)
        kept_place(values, place[KEPT_CONNECTED_ADDRESS_TYPE])->uint8 =
            s->connection_direction == FWP_DIRECTION_INBOUND
                ? address_type(&room->addresses[0], s, &s->local)
                : address_type(&room->addresses[1], s, &s->remote);
    v = kept_place(values, place[KEPT_ORIGINAL_ICMP_TYPE]);
    store_empty(v);
    if (s->icmp) {
        v->type = FWP_UINT16;
        v->uint16 = s->original_icmp_type;
    }
    kept_place(values, place[KEPT_PROMISCUOUS])->uint32 = s->endpoint != NULL && s->endpoint->promiscuous;
}

/* Their types are those that filling all of them has written. */
static void store(const struct filling *f, struct scratch *room, FWPS_INCOMING_VALUE0 *values)
{
    const struct scene *s = f->s;
    const UINT16 *place = f->prepared->place;

    kept_place(values, place[KEPT_PROTOCOL])->uint8 = s->protocol;
    kept_place(values, place[KEPT_LOCAL_PORT])->uint16 = s->local_port;
    if (__builtin_expect(s->any_remote, 0)) {
        put_address(kept_place(values, place[KEPT_LOCAL_ADDRESS]), s, &s->local);
    } else {
        kept_place(values, place[KEPT_REMOTE_PORT])->uint16 = s->remote_port;
        if (s->version == 4) {
            kept_place(values, place[KEPT_LOCAL_ADDRESS])->uint32 = s->local.v4;
            kept_place(values, place[KEPT_REMOTE_ADDRESS])->uint32 = s->remote.v4;
        } else {
            kept_place(values, place[KEPT_LOCAL_ADDRESS])->byteArray16 = (FWP_BYTE_ARRAY16 *)s->local.v6;
            kept_place(values, place[KEPT_REMOTE_ADDRESS])->byteArray16 = (FWP_BYTE_ARRAY16 *)s->remote.v6;
        }
    }
    kept_place(values, place[KEPT_CONNECTION_DIRECTION])->uint32 = s->connection_direction;
    kept_place(values, place[KEPT_REASON])->uint32 = s->reauthorize;
    kept_place(values, place[KEPT_FLAGS])->uint32 = filling_flags(f);
    if (place[KEPT_LOCAL_ADDRESS_TYPE] != KEPT_NOWHERE)
        kept_place(values, place[KEPT_LOCAL_ADDRESS_TYPE])->uint8 =
            address_type(&room->addresses[0], s, &s->local);
    if (place[KEPT_REMOTE_ADDRESS_TYPE] != KEPT_NOWHERE)
        kept_place(values, place[KEPT_REMOTE_ADDRESS_TYPE])->uint8 =
            address_type(&room->addresses[1], s, &s->remote);
    if (f->prepared->placed_late)
        store_late(f, room, values);
}

static bool is_proxied(const struct scene *s)
{
    return s->endpoint != NULL && s->endpoint->proxied;
}

/* Is it the one that the fields are of? */
static inline bool is_owner(const struct kept *k, const struct filling *f)
{
    const struct host_owner *o = f->owner;

    if (!k->filled || k->owner.owner != o || k->owner.proxied || is_proxied(f->s))
        return false;
    return o == NULL || (k->owner.app_id == o->app_id && k->owner.token == o->token &&
                         k->owner.package == o->package && k->owner.unknown == o->unknown);
}

static __attribute__((noinline)) void fill_owner(struct kept *k, const struct filling *f,
                                                 struct scratch *room, UINT16 layer)
{
    const struct host_owner *o = f->owner;

    k->unknown_of_owner = filling_fields(f, room, layer, f->prepared->of_owner, k->value);
    k->owner = (struct kept_owner){.owner = o, .proxied = is_proxied(f->s)};
    if (o == NULL)
        return;
    k->owner.app_id = o->app_id;
    k->owner.token = o->token;
    k->owner.package = o->package;
    k->owner.unknown = o->unknown;
}

static __attribute__((noinline)) struct kept *make(struct kept **at, const struct engine_layer *layer)
{
    struct kept *k = aligned_alloc(_Alignof(struct kept), sizeof(*k));

    if (k == NULL)
        return NULL;
    memset(k, 0, sizeof(*k));
    k->values = (FWPS_INCOMING_VALUES0){
        .layerId = layer->id, .valueCount = layer->field_count, .incomingValue = k->value};
    *at = k;
    return k;
}

static __attribute__((noinline)) void fill_all(struct kept *k, const struct filling *f, struct scratch *room,
                                               UINT16 layer, UINT64 among)
{
    const struct prepared *p = f->prepared;

    k->unknown = filling_fields(f, room, layer, p->all & ~(p->each | p->of_owner | p->of_profile), k->value);
    k->local = f->local;
    k->arrival = f->arrival;
    k->next_hop = f->next_hop;
    k->among = among;
    k->any_remote = f->s->any_remote;
    k->again = true;
}

struct kept *values_keep(const struct scene *s, const struct engine_layer *layer, struct scratch *room,
                         UINT64 *unknown)
{
    const UINT64 among = __atomic_load_n(&s->host->among, __ATOMIC_ACQUIRE);
    const struct prepared *p = &room->prepared[layer->id];
    struct kept **at = &room->kept[room->level - 1][layer->id][scene_inbound(s)], *k = *at;
    struct filling f;

    if (__builtin_expect(k == NULL, 0) && (k = make(at, layer)) == NULL)
        return NULL;
    k->of.other = 0; /* whose they are is inspect.c's to say */
    filling_begin(&f, s, room, layer->id);
    if (__builtin_expect(!k->filled || k->any_remote != s->any_remote || k->among != among ||
                             k->local != f.local || k->arrival != f.arrival || k->next_hop != f.next_hop,
                         0))
        fill_all(k, &f, room, layer->id, among);
    else
        store(&f, room, k->value);
    if (p->of_owner != 0 && !is_owner(k, &f))
        fill_owner(k, &f, room, layer->id);
    if (p->of_profile != 0 && (k->again || s->reauthorize != 0)) {
        k->unknown &= ~p->of_profile;
        k->unknown |= filling_fields(&f, room, layer->id, p->of_profile, k->value);
        k->again = s->reauthorize != 0;
    }
    k->filled = true;
    *unknown = k->unknown | k->unknown_of_owner;
    if (p->each != 0)
        *unknown |= filling_fields(&f, room, layer->id, p->each, k->value);
    return k;
}

__attribute__((noinline)) void kept_flow_make(const struct scene *s, UINT64 number, unsigned types,
                                              struct scratch *room, struct kept_flow *f)
{
    f->number = number;
    f->types = (UINT8)types;
    f->flags = scene_flags(s, NULL);
    f->local_type = (types & KEPT_LOCAL_TYPE) != 0 ? address_type(&room->addresses[0], s, &s->local) : 0;
    f->remote_type = (types & KEPT_REMOTE_TYPE) != 0 ? address_type(&room->addresses[1], s, &s->remote) : 0;
    kept_flow_metadata(s, f);
}

void kept_flow_follows(const struct scene *s, const struct prepared *p, struct kept *k)
{
    if (s->version != 6)
        return;
    k->end[0] = s->local;
    k->end[1] = s->remote;
    kept_place(k->value, p->place[KEPT_LOCAL_ADDRESS])->byteArray16 = (FWP_BYTE_ARRAY16 *)k->end[0].v6;
    kept_place(k->value, p->place[KEPT_REMOTE_ADDRESS])->byteArray16 = (FWP_BYTE_ARRAY16 *)k->end[1].v6;
}
