/* SPDX-License-Identifier: Apache-2.0 */
/* net_event: see net_event.h. */
#include "bfe/net_event.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "security/security.h"

/* ---- layers ----------------------------------------------------------------------------------- */

enum net_event_kind net_event_kind(UINT16 layer_id)
{
    const struct engine_layer *layer = engine_layer_by_id(layer_id);

    switch (layer_id) {
    case FWPS_LAYER_ALE_AUTH_LISTEN_V4:
    case FWPS_LAYER_ALE_AUTH_LISTEN_V6:
        return NET_EVENT_LISTEN;
    case FWPS_LAYER_ALE_AUTH_CONNECT_V4:
    case FWPS_LAYER_ALE_AUTH_CONNECT_V6:
    case FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4:
    case FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V6:
        return NET_EVENT_CONNECTION;
    case FWPS_LAYER_ALE_RESOURCE_ASSIGNMENT_V4:
    case FWPS_LAYER_ALE_RESOURCE_ASSIGNMENT_V6:
        return NET_EVENT_BIND;
    case FWPS_LAYER_ALE_CONNECT_REDIRECT_V4:
    case FWPS_LAYER_ALE_CONNECT_REDIRECT_V6:
        return NET_EVENT_CONNECTION_REDIRECT;
    case FWPS_LAYER_ALE_BIND_REDIRECT_V4:
    case FWPS_LAYER_ALE_BIND_REDIRECT_V6:
        return NET_EVENT_BIND_REDIRECT;
    case FWPS_LAYER_ALE_RESOURCE_RELEASE_V4:
    case FWPS_LAYER_ALE_RESOURCE_RELEASE_V6:
    case FWPS_LAYER_ALE_ENDPOINT_CLOSURE_V4:
    case FWPS_LAYER_ALE_ENDPOINT_CLOSURE_V6:
        return NET_EVENT_NONE;
    case FWPS_LAYER_INBOUND_MAC_FRAME_ETHERNET:
    case FWPS_LAYER_OUTBOUND_MAC_FRAME_ETHERNET:
    case FWPS_LAYER_INBOUND_MAC_FRAME_NATIVE:
    case FWPS_LAYER_OUTBOUND_MAC_FRAME_NATIVE:
    case FWPS_LAYER_INGRESS_VSWITCH_ETHERNET:
    case FWPS_LAYER_EGRESS_VSWITCH_ETHERNET:
        return NET_EVENT_MAC;
    default:
        return !layer || layer->discard || layer->user_mode ? NET_EVENT_NONE : NET_EVENT_PACKET;
    }
}

/* ---- reading the indicated values ------------------------------------------------------------- */

/* The value of the layer's field with this key; NULL: the layer has none, or it is EMPTY, or of another type.
 */
static const FWP_VALUE0 *value_of(const struct engine_request *q, const GUID *key, FWP_DATA_TYPE type)
{
    const struct engine_layer *layer = engine_layer_by_id(q->values->layerId);
    int index = layer ? engine_layer_field(layer, key) : -1;
    const FWP_VALUE0 *v;

    if (index < 0 || (UINT32)index >= q->values->valueCount)
        return NULL;
    v = &q->values->incomingValue[index].value;
    return v->type == type ? v : NULL;
}

static UINT32 number_of(const struct engine_request *q, const GUID *key)
{
    const FWP_VALUE0 *v;

    if ((v = value_of(q, key, FWP_UINT32)) != NULL)
        return v->uint32;
    if ((v = value_of(q, key, FWP_UINT16)) != NULL)
        return v->uint16;
    if ((v = value_of(q, key, FWP_UINT8)) != NULL)
        return v->uint8;
    return 0;
}

static bool has_metadata(const struct engine_request *q, UINT32 field)
{
    return q->metadata && (q->metadata->currentMetadataValues & field);
}

static UINT32 direction_of(const struct engine_request *q)
{
    const struct engine_layer *layer = engine_layer_by_id(q->values->layerId);
    const FWP_VALUE0 *v = value_of(q, &FWPM_CONDITION_DIRECTION, FWP_UINT32);

    if (v)
        return v->uint32 == FWP_DIRECTION_INBOUND ? BFE_DIRECTION_IN : BFE_DIRECTION_OUT;
    if (layer && layer->direction == 'f')
        return BFE_DIRECTION_FORWARD;
    if (layer && layer->direction)
        return layer->direction == 'i' ? BFE_DIRECTION_IN : BFE_DIRECTION_OUT;
    if (has_metadata(q, FWPS_METADATA_FIELD_PACKET_DIRECTION))
        return q->metadata->packetDirection == FWP_DIRECTION_INBOUND ? BFE_DIRECTION_IN : BFE_DIRECTION_OUT;
    return BFE_DIRECTION_OUT; /* bind, listen: an own program asks */
}

static enum net_audience audience_of_type(UINT32 nlat)
{
    return nlat == NlatMulticast ? NET_TO_GROUP : nlat == NlatBroadcast ? NET_TO_ALL : NET_TO_ONE;
}

enum net_audience net_event_inbound_audience(const struct engine_request *q)
{
    static const GUID *const types[] = {&FWPM_CONDITION_IP_LOCAL_ADDRESS_TYPE,
                                        &FWPM_CONDITION_IP_DESTINATION_ADDRESS_TYPE};
    static const GUID *const mac_types[] = {&FWPM_CONDITION_MAC_DESTINATION_ADDRESS_TYPE,
                                            &FWPM_CONDITION_MAC_LOCAL_ADDRESS_TYPE};
    const FWP_VALUE0 *v;

    if (direction_of(q) != BFE_DIRECTION_IN)
        return NET_TO_ONE;
    for (size_t i = 0; i < ARRAYSIZE(types); i++) {
        enum net_audience audience = audience_of_type(number_of(q, types[i]));
        if (audience != NET_TO_ONE)
            return audience;
    }
    for (size_t i = 0; i < ARRAYSIZE(mac_types); i++) { /* DL_ADDRESS_TYPE, other numbers */
        UINT32 type = number_of(q, mac_types[i]);
        if (type == DlMulticast || type == DlBroadcast)
            return type == DlMulticast ? NET_TO_GROUP : NET_TO_ALL;
    }
    if ((v = value_of(q, &FWPM_CONDITION_IP_LOCAL_ADDRESS, FWP_UINT32)) != NULL)
        return v->uint32 == 0xffffffffu ? NET_TO_ALL : v->uint32 >> 28 == 0xe ? NET_TO_GROUP : NET_TO_ONE;
    if ((v = value_of(q, &FWPM_CONDITION_IP_LOCAL_ADDRESS, FWP_BYTE_ARRAY16_TYPE)) != NULL)
        return v->byteArray16->byteArray16[0] == 0xff ? NET_TO_GROUP : NET_TO_ONE;
    return NET_TO_ONE;
}

/* ---- making one ------------------------------------------------------------------------------- */

/* What has to be copied behind the struct. */
struct extras {
    const FWP_BYTE_BLOB *app, *vswitch;
    const SID *user, *package;
};

/* The token's user: the first of its SIDs. */
static const SID *user_of(const FWP_BYTE_BLOB *token)
{
    const TOKEN_ACCESS_INFORMATION *t;

    if (!token || token->size < sizeof(*t) || (uintptr_t)token->data % _Alignof(TOKEN_ACCESS_INFORMATION))
        return NULL;
    t = (const void *)token->data;
    return t->SidHash && t->SidHash->SidCount ? t->SidHash->SidAttr[0].Sid : NULL;
}

static struct extras find_extras(const struct engine_request *q)
{
    const FWP_VALUE0 *app = value_of(q, &FWPM_CONDITION_ALE_APP_ID, FWP_BYTE_BLOB_TYPE);
    const FWP_VALUE0 *user = value_of(q, &FWPM_CONDITION_ALE_USER_ID, FWP_TOKEN_ACCESS_INFORMATION_TYPE);
    const FWP_VALUE0 *package = value_of(q, &FWPM_CONDITION_ALE_PACKAGE_ID, FWP_SID);
    const FWP_VALUE0 *vswitch = value_of(q, &FWPM_CONDITION_VSWITCH_ID, FWP_BYTE_BLOB_TYPE);

    return (struct extras){
        .app = app ? app->byteBlob : NULL,
        .user = user ? user_of(user->tokenAccessInformation) : NULL,
        .package = package ? package->sid : NULL,
        .vswitch = vswitch ? vswitch->byteBlob : NULL,
    };
}

static size_t sid_room(const SID *sid)
{
    return sid ? (security_sid_size(sid) + 7) & ~(size_t)7 : 0;
}

static size_t blob_room(const FWP_BYTE_BLOB *blob)
{
    return blob ? ((size_t)blob->size + 7) & ~(size_t)7 : 0;
}

static SID *put_sid(UINT8 **at, const SID *sid)
{
    SID *copy = sid ? (SID *)*at : NULL;

    if (sid)
        memcpy(copy, sid, security_sid_size(sid));
    *at += sid_room(sid);
    return copy;
}

static FWP_BYTE_BLOB put_blob(UINT8 **at, const FWP_BYTE_BLOB *blob)
{
    FWP_BYTE_BLOB copy = {0};

    if (blob && blob->size) {
        copy = (FWP_BYTE_BLOB){blob->size, *at};
        memcpy(copy.data, blob->data, blob->size);
    }
    *at += blob_room(blob);
    return copy;
}

static void put_address(const struct engine_request *q, const GUID *key, UINT32 flag,
                        FWPM_NET_EVENT_HEADER3 *h, FWP_BYTE_ARRAY16 *address)
{
    const FWP_VALUE0 *v4 = value_of(q, key, FWP_UINT32), *v6 = value_of(q, key, FWP_BYTE_ARRAY16_TYPE);

    if (v4)
        memcpy(address, &v4->uint32, sizeof(v4->uint32));
    else if (v6)
        *address = *v6->byteArray16;
    else
        return;
    h->flags |= flag | FWPM_NET_EVENT_FLAG_IP_VERSION_SET;
    h->ipVersion = v4 ? FWP_IP_VERSION_V4 : FWP_IP_VERSION_V6;
}

static void put_port(const struct engine_request *q, const GUID *key, UINT32 flag, UINT32 *flags,
                     UINT16 *port)
{
    const FWP_VALUE0 *v = value_of(q, key, FWP_UINT16);

    if (v) {
        *port = v->uint16;
        *flags |= flag;
    }
}

static void fill_header(struct net_event *e, const struct engine_request *q, UINT64 filetime)
{
    const struct engine_layer *layer = engine_layer_by_id(q->values->layerId);
    FWPM_NET_EVENT_HEADER3 *h = &e->it.event.header;
    const FWP_VALUE0 *v;

    h->timeStamp.dwLowDateTime = (UINT32)filetime;
    h->timeStamp.dwHighDateTime = (UINT32)(filetime >> 32);
    h->ipVersion = FWP_IP_VERSION_NONE;
    if (layer && layer->family) {
        h->ipVersion = layer->family == '4' ? FWP_IP_VERSION_V4 : FWP_IP_VERSION_V6;
        h->flags |= FWPM_NET_EVENT_FLAG_IP_VERSION_SET;
    }
    put_address(q, &FWPM_CONDITION_IP_LOCAL_ADDRESS, FWPM_NET_EVENT_FLAG_LOCAL_ADDR_SET, h, &h->localAddrV6);
    put_address(q, &FWPM_CONDITION_IP_REMOTE_ADDRESS, FWPM_NET_EVENT_FLAG_REMOTE_ADDR_SET, h,
                &h->remoteAddrV6);
    /* A forwarded packet has no local end: source and destination stand in its place. */
    put_address(q, &FWPM_CONDITION_IP_SOURCE_ADDRESS, FWPM_NET_EVENT_FLAG_LOCAL_ADDR_SET, h, &h->localAddrV6);
    put_address(q, &FWPM_CONDITION_IP_DESTINATION_ADDRESS, FWPM_NET_EVENT_FLAG_REMOTE_ADDR_SET, h,
                &h->remoteAddrV6);
    put_port(q, &FWPM_CONDITION_IP_LOCAL_PORT, FWPM_NET_EVENT_FLAG_LOCAL_PORT_SET, &h->flags, &h->localPort);
    put_port(q, &FWPM_CONDITION_IP_REMOTE_PORT, FWPM_NET_EVENT_FLAG_REMOTE_PORT_SET, &h->flags,
             &h->remotePort);
    v = value_of(q, &FWPM_CONDITION_IP_PROTOCOL, FWP_UINT8);
    if (v) {
        h->ipProtocol = v->uint8;
        h->flags |= FWPM_NET_EVENT_FLAG_IP_PROTOCOL_SET;
    }
    if (has_metadata(q, FWPS_METADATA_FIELD_REMOTE_SCOPE_ID) && h->ipVersion == FWP_IP_VERSION_V6) {
        h->scopeId = q->metadata->remoteScopeId.Value;
        h->flags |= FWPM_NET_EVENT_FLAG_SCOPE_ID_SET;
    }
    if (number_of(q, &FWPM_CONDITION_REAUTHORIZE_REASON))
        h->flags |= FWPM_NET_EVENT_FLAG_REAUTH_REASON_SET;
}

static void put_mac(const struct engine_request *q, const GUID *key, FWP_BYTE_ARRAY6 *out)
{
    const FWP_VALUE0 *v = value_of(q, key, FWP_BYTE_ARRAY6_TYPE);

    if (v)
        *out = *v->byteArray6;
}

static void fill_mac(struct net_event *e, const struct engine_request *q)
{
    FWPM_NET_EVENT_CLASSIFY_DROP_MAC0 *m = &e->body.mac;
    const FWP_VALUE0 *luid = value_of(q, &FWPM_CONDITION_INTERFACE, FWP_UINT64);

    put_mac(q, &FWPM_CONDITION_MAC_LOCAL_ADDRESS, &m->localMacAddr);
    put_mac(q, &FWPM_CONDITION_MAC_REMOTE_ADDRESS, &m->remoteMacAddr);
    put_mac(q, &FWPM_CONDITION_MAC_SOURCE_ADDRESS, &m->remoteMacAddr);
    put_mac(q, &FWPM_CONDITION_MAC_DESTINATION_ADDRESS, &m->localMacAddr);
    m->mediaType = number_of(q, &FWPM_CONDITION_NDIS_MEDIA_TYPE);
    m->ifType = number_of(q, &FWPM_CONDITION_INTERFACE_TYPE);
    m->etherType = (UINT16)number_of(q, &FWPM_CONDITION_ETHER_TYPE);
    m->ndisPortNumber = number_of(q, &FWPM_CONDITION_NDIS_PORT);
    m->vlanTag = (UINT16)number_of(q, &FWPM_CONDITION_VLAN_ID);
    m->ifLuid = luid ? *luid->uint64 : 0;
}

/* The members that the three structs have in common, under the same names. */
#define FILL_COMMON(body, q, v)                                                                              \
    do {                                                                                                     \
        (body)->filterId = (v)->filter_id; /* also of a permit: AUD-07 */                                    \
        (body)->layerId = (q)->values->layerId;                                                              \
        (body)->reauthReason = number_of(q, &FWPM_CONDITION_REAUTHORIZE_REASON);                             \
        (body)->originalProfile = number_of(q, &FWPM_CONDITION_ORIGINAL_PROFILE_ID);                         \
        (body)->currentProfile = number_of(q, &FWPM_CONDITION_CURRENT_PROFILE_ID);                           \
        (body)->msFwpDirection = direction_of(q);                                                            \
        (body)->isLoopback = (number_of(q, &FWPM_CONDITION_FLAGS) & FWP_CONDITION_FLAG_IS_LOOPBACK) != 0;    \
    } while (0)
#define FILL_VSWITCH(body, q)                                                                                \
    do {                                                                                                     \
        if ((q)->metadata &&                                                                                 \
            ((q)->metadata->currentL2MetadataValues & FWPS_L2_METADATA_FIELD_VSWITCH_SOURCE_PORT_ID))        \
            (body)->vSwitchSourcePort = (q)->metadata->vSwitchSourcePortId;                                  \
        if ((q)->metadata &&                                                                                 \
            ((q)->metadata->currentL2MetadataValues & FWPS_L2_METADATA_FIELD_VSWITCH_DESTINATION_PORT_ID))   \
            (body)->vSwitchDestinationPort = (q)->metadata->vSwitchDestinationPortId;                        \
    } while (0)

static void fill_body(struct net_event *e, const struct engine_request *q, const struct engine_verdict *v,
                      FWP_BYTE_BLOB vswitch)
{
    FWPM_NET_EVENT5 *event = &e->it.event;

    if (v->action == FWP_ACTION_PERMIT) {
        event->type = FWPM_NET_EVENT_TYPE_CLASSIFY_ALLOW;
        event->classifyAllow = &e->body.allow;
        FILL_COMMON(&e->body.allow, q, v);
    } else if (e->kind == NET_EVENT_MAC) {
        event->type = FWPM_NET_EVENT_TYPE_CLASSIFY_DROP_MAC;
        event->classifyDropMac = &e->body.mac;
        FILL_COMMON(&e->body.mac, q, v);
        FILL_VSWITCH(&e->body.mac, q);
        e->body.mac.vSwitchId = vswitch;
        fill_mac(e, q);
    } else {
        event->type = FWPM_NET_EVENT_TYPE_CLASSIFY_DROP;
        event->classifyDrop = &e->body.drop;
        FILL_COMMON(&e->body.drop, q, v);
        FILL_VSWITCH(&e->body.drop, q);
        e->body.drop.vSwitchId = vswitch;
    }
}

struct net_event *net_event_create(const struct engine_request *q, const struct engine_verdict *v,
                                   UINT64 filetime)
{
    struct extras x = find_extras(q);
    size_t terminating = (size_t)v->ended_count * sizeof(struct bfe_terminating_filter);
    size_t size = sizeof(struct net_event) + terminating + blob_room(x.app) + blob_room(x.vswitch) +
                  sid_room(x.user) + sid_room(x.package);
    struct net_event *e = calloc(1, size);
    FWPM_NET_EVENT_HEADER3 *h;
    UINT8 *at;

    if (!e)
        return NULL;
    atomic_init(&e->refs, 1);
    e->size = size;
    e->kind = net_event_kind(q->values->layerId);
    e->veto = (v->flags & ENGINE_VERDICT_VETO) != 0;
    at = (UINT8 *)(e + 1);
    if (v->ended_count) {
        struct bfe_terminating_filter *list = (void *)at;
        for (UINT32 i = 0; i < v->ended_count; i++)
            list[i] = (struct bfe_terminating_filter){
                .sublayer = engine_filter_desc(v->ended[i].filter)->sublayer_key,
                .filter_id = engine_filter_fwps(v->ended[i].filter)->filterId,
                .action = v->ended[i].action,
            };
        e->it.terminating = list;
        e->it.terminating_count = v->ended_count;
        at += terminating;
    }
    fill_header(e, q, filetime);
    h = &e->it.event.header;
    h->appId = put_blob(&at, x.app);
    FWP_BYTE_BLOB vswitch = put_blob(&at, x.vswitch);
    h->userId = put_sid(&at, x.user);
    h->packageSid = put_sid(&at, x.package);
    h->flags |= (h->appId.size ? FWPM_NET_EVENT_FLAG_APP_ID_SET : 0) |
                (h->userId ? FWPM_NET_EVENT_FLAG_USER_ID_SET : 0) |
                (h->packageSid ? FWPM_NET_EVENT_FLAG_PACKAGE_ID_SET : 0);
    fill_body(e, q, v, vswitch);
    return e;
}

struct net_event *net_event_ref(struct net_event *e)
{
    atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
    return e;
}

void net_event_unref(struct net_event *e)
{
    if (e && atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) == 1)
        free(e);
}

/* ---- handing out ------------------------------------------------------------------------------ */

bool net_event_fits(const struct net_event *e, unsigned version)
{
    /* Windows 7's structs know drops only; allow events and frames came with FWPM_NET_EVENT2. */
    return version >= 2 || e->it.event.type == FWPM_NET_EVENT_TYPE_CLASSIFY_DROP;
}

/* Where each version keeps what, and how much of the newest header and body it has. Each header is the
 * beginning of the next one (FWPM_NET_EVENT_HEADER1 alone has reserved words that stay 0), as is each struct
 * of drops. */
static const struct layout {
    size_t size, header, type, body, drop_size;
} layouts[BFE_NET_EVENT_NEWEST + 1] = {
#define LAYOUT(n, header_size, drop)                                                                         \
    {                                                                                                        \
        sizeof(FWPM_NET_EVENT##n), header_size, offsetof(FWPM_NET_EVENT##n, type),                           \
            offsetof(FWPM_NET_EVENT##n, classifyDrop), sizeof(drop)                                          \
    }
    LAYOUT(0, sizeof(FWPM_NET_EVENT_HEADER0), FWPM_NET_EVENT_CLASSIFY_DROP0),
    LAYOUT(1, sizeof(FWPM_NET_EVENT_HEADER0), FWPM_NET_EVENT_CLASSIFY_DROP1),
    LAYOUT(2, sizeof(FWPM_NET_EVENT_HEADER2), FWPM_NET_EVENT_CLASSIFY_DROP2),
    LAYOUT(3, sizeof(FWPM_NET_EVENT_HEADER3), FWPM_NET_EVENT_CLASSIFY_DROP2),
    LAYOUT(4, sizeof(FWPM_NET_EVENT_HEADER3), FWPM_NET_EVENT_CLASSIFY_DROP2),
    LAYOUT(5, sizeof(FWPM_NET_EVENT_HEADER3), FWPM_NET_EVENT_CLASSIFY_DROP2),
#undef LAYOUT
};

#define ROUND8(n) (((n) + 7) & ~(size_t)7)

static size_t copy_size(const struct net_event *e, unsigned version)
{
    return ROUND8(version == BFE_NET_EVENT_NEWEST ? sizeof(struct bfe_net_event) : layouts[version].size) +
           sizeof(e->body) + (e->size - sizeof(*e));
}

/* Moves a pointer into the event's block to the copy's. */
static void *moved(const struct net_event *e, const void *p, UINT8 *tail)
{
    return p ? tail + ((const UINT8 *)p - (const UINT8 *)(e + 1)) : NULL;
}

static void *copy_one(const struct net_event *e, unsigned version, UINT8 *at)
{
    const struct layout *layout = &layouts[version];
    size_t head = ROUND8(version == BFE_NET_EVENT_NEWEST ? sizeof(struct bfe_net_event) : layout->size);
    UINT8 *body = at + head, *tail = body + sizeof(e->body);
    FWPM_NET_EVENT_HEADER3 h = e->it.event.header;

    memset(at, 0, head + sizeof(e->body));
    memcpy(tail, e + 1, e->size - sizeof(*e));
    h.appId.data = moved(e, h.appId.data, tail);
    h.userId = moved(e, h.userId, tail);
    h.packageSid = moved(e, h.packageSid, tail);
    if (version < 2) /* what this version has no member for is not set either */
        h.flags &= ~(UINT32)FWPM_NET_EVENT_FLAG_PACKAGE_ID_SET;
    memcpy(at, &h, layout->header);
    memcpy(at + layout->type, &e->it.event.type, sizeof(e->it.event.type));
    memcpy(at + layout->body, &body, sizeof(body));
    memcpy(body, &e->body,
           e->it.event.type == FWPM_NET_EVENT_TYPE_CLASSIFY_DROP ? layout->drop_size : sizeof(e->body));
    if (e->it.event.type == FWPM_NET_EVENT_TYPE_CLASSIFY_DROP && version >= 2)
        ((FWPM_NET_EVENT_CLASSIFY_DROP2 *)body)->vSwitchId.data = moved(e, e->body.drop.vSwitchId.data, tail);
    if (e->it.event.type == FWPM_NET_EVENT_TYPE_CLASSIFY_DROP_MAC)
        ((FWPM_NET_EVENT_CLASSIFY_DROP_MAC0 *)body)->vSwitchId.data =
            moved(e, e->body.mac.vSwitchId.data, tail);
    if (version == BFE_NET_EVENT_NEWEST) {
        struct bfe_net_event *it = (void *)at;
        it->terminating_count = e->it.terminating_count;
        it->terminating = moved(e, e->it.terminating, tail);
    }
    return at;
}

void **net_event_copy_array(struct net_event *const *events, size_t count, unsigned version)
{
    size_t size = ROUND8(count * sizeof(void *)), at = size;
    void **array;

    for (size_t i = 0; i < count; i++)
        size += ROUND8(copy_size(events[i], version));
    array = malloc(size + 1);
    if (!array)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        array[i] = copy_one(events[i], version, (UINT8 *)array + at);
        at += ROUND8(copy_size(events[i], version));
    }
    return array;
}
