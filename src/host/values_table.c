/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which value each field of each layer has. A field belongs to many layers and means the same in all of them,
 * so one table goes by the condition's key and names a getter; where the meaning depends on the layer after
 * all (DIRECTION, addresses of a bind, flags) it is chosen here, once, when a lane's scratch is made. So are
 * settings that override a field.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/values.h"

static const struct {
    const GUID *key;
    UINT8 get;
} meanings[] = {
    {&FWPM_CONDITION_IP_PROTOCOL, GET_PROTOCOL},
    {&FWPM_CONDITION_IP_LOCAL_ADDRESS, GET_LOCAL_ADDRESS},
    {&FWPM_CONDITION_IP_LOCAL_ADDRESS_TYPE, GET_LOCAL_ADDRESS_TYPE},
    {&FWPM_CONDITION_IP_LOCAL_PORT, GET_LOCAL_PORT},
    {&FWPM_CONDITION_IP_REMOTE_ADDRESS, GET_REMOTE_ADDRESS},
    {&FWPM_CONDITION_IP_REMOTE_PORT, GET_REMOTE_PORT},
    {&FWPM_CONDITION_IP_DESTINATION_ADDRESS_TYPE, GET_DESTINATION_ADDRESS_TYPE},
    {&FWPM_CONDITION_IP_SOURCE_ADDRESS, GET_SOURCE_ADDRESS},
    {&FWPM_CONDITION_IP_DESTINATION_ADDRESS, GET_DESTINATION_ADDRESS},
    {&FWPM_CONDITION_EMBEDDED_PROTOCOL, GET_EMBEDDED_PROTOCOL},
    {&FWPM_CONDITION_EMBEDDED_REMOTE_ADDRESS, GET_EMBEDDED_REMOTE_ADDRESS},
    {&FWPM_CONDITION_EMBEDDED_LOCAL_ADDRESS_TYPE, GET_EMBEDDED_LOCAL_ADDRESS_TYPE},
    {&FWPM_CONDITION_EMBEDDED_LOCAL_PORT, GET_EMBEDDED_LOCAL_PORT},
    {&FWPM_CONDITION_EMBEDDED_REMOTE_PORT, GET_EMBEDDED_REMOTE_PORT},
    {&FWPM_CONDITION_ORIGINAL_ICMP_TYPE, GET_ORIGINAL_ICMP_TYPE},
    {&FWPM_CONDITION_DIRECTION, GET_PACKET_DIRECTION},
    {&FWPM_CONDITION_FLAGS, GET_FLAGS},
    {&FWPM_CONDITION_REAUTHORIZE_REASON, GET_REAUTHORIZE_REASON},
    {&FWPM_CONDITION_COMPARTMENT_ID, GET_COMPARTMENT},
    {&FWPM_CONDITION_IP_LOCAL_INTERFACE, GET_LOCAL_LUID},
    {&FWPM_CONDITION_INTERFACE_INDEX, GET_LOCAL_INDEX},
    {&FWPM_CONDITION_SUB_INTERFACE_INDEX, GET_ZERO32},
    {&FWPM_CONDITION_INTERFACE_TYPE, GET_LOCAL_TYPE},
    {&FWPM_CONDITION_TUNNEL_TYPE, GET_LOCAL_TUNNEL},
    {&FWPM_CONDITION_CURRENT_PROFILE_ID, GET_LOCAL_PROFILE},
    {&FWPM_CONDITION_LOCAL_INTERFACE_PROFILE_ID, GET_LOCAL_PROFILE},
    {&FWPM_CONDITION_ORIGINAL_PROFILE_ID, GET_ORIGINAL_PROFILE},
    {&FWPM_CONDITION_IP_ARRIVAL_INTERFACE, GET_ARRIVAL_LUID},
    {&FWPM_CONDITION_ARRIVAL_INTERFACE_INDEX, GET_ARRIVAL_INDEX},
    {&FWPM_CONDITION_ARRIVAL_INTERFACE_TYPE, GET_ARRIVAL_TYPE},
    {&FWPM_CONDITION_ARRIVAL_TUNNEL_TYPE, GET_ARRIVAL_TUNNEL},
    {&FWPM_CONDITION_ARRIVAL_INTERFACE_PROFILE_ID, GET_ARRIVAL_PROFILE},
    {&FWPM_CONDITION_IP_PHYSICAL_ARRIVAL_INTERFACE, GET_ARRIVAL_LUID},
    {&FWPM_CONDITION_SOURCE_INTERFACE_INDEX, GET_ARRIVAL_INDEX},
    {&FWPM_CONDITION_SOURCE_SUB_INTERFACE_INDEX, GET_ZERO32},
    {&FWPM_CONDITION_IP_NEXTHOP_INTERFACE, GET_NEXTHOP_LUID},
    {&FWPM_CONDITION_NEXTHOP_INTERFACE_INDEX, GET_NEXTHOP_INDEX},
    {&FWPM_CONDITION_NEXTHOP_SUB_INTERFACE_INDEX, GET_NEXTHOP_SUB_INDEX},
    {&FWPM_CONDITION_NEXTHOP_INTERFACE_TYPE, GET_NEXTHOP_TYPE},
    {&FWPM_CONDITION_NEXTHOP_TUNNEL_TYPE, GET_NEXTHOP_TUNNEL},
    {&FWPM_CONDITION_NEXTHOP_INTERFACE_PROFILE_ID, GET_NEXTHOP_PROFILE},
    {&FWPM_CONDITION_IP_PHYSICAL_NEXTHOP_INTERFACE, GET_NEXTHOP_LUID},
    {&FWPM_CONDITION_IP_FORWARD_INTERFACE, GET_NEXTHOP_LUID},
    {&FWPM_CONDITION_DESTINATION_INTERFACE_INDEX, GET_NEXTHOP_INDEX},
    {&FWPM_CONDITION_DESTINATION_SUB_INTERFACE_INDEX, GET_NEXTHOP_SUB_INDEX},
    {&FWPM_CONDITION_INTERFACE_QUARANTINE_EPOCH, GET_QUARANTINE_EPOCH},
    {&FWPM_CONDITION_ALE_NAP_CONTEXT, GET_NAP_CONTEXT},
    {&FWPM_CONDITION_ALE_APP_ID, GET_APP},
    {&FWPM_CONDITION_ALE_ORIGINAL_APP_ID, GET_ORIGINAL_APP},
    {&FWPM_CONDITION_ALE_USER_ID, GET_USER},
    {&FWPM_CONDITION_ALE_PACKAGE_ID, GET_PACKAGE},
    {&FWPM_CONDITION_ALE_PACKAGE_FAMILY_NAME, GET_PACKAGE_FAMILY},
    {&FWPM_CONDITION_ALE_SECURITY_ATTRIBUTE_FQBN_VALUE, GET_BINARY_NAME},
    {&FWPM_CONDITION_ALE_REMOTE_USER_ID, GET_REMOTE_IDENTITY},
    {&FWPM_CONDITION_ALE_REMOTE_MACHINE_ID, GET_REMOTE_IDENTITY},
    {&FWPM_CONDITION_ALE_SIO_FIREWALL_SYSTEM_PORT, GET_SOCKET_PROPERTIES},
    {&FWPM_CONDITION_ALE_PROMISCUOUS_MODE, GET_PROMISCUOUS},
    {&FWPM_CONDITION_PEER_NAME, GET_NAME},
    {&FWPM_CONDITION_ALE_EFFECTIVE_NAME, GET_NAME},
    {&FWPM_CONDITION_INTERFACE_MAC_ADDRESS, GET_INTERFACE_MAC},
    {&FWPM_CONDITION_MAC_LOCAL_ADDRESS, GET_LOCAL_MAC},
    {&FWPM_CONDITION_MAC_REMOTE_ADDRESS, GET_REMOTE_MAC},
    {&FWPM_CONDITION_MAC_LOCAL_ADDRESS_TYPE, GET_LOCAL_MAC_TYPE},
    {&FWPM_CONDITION_MAC_REMOTE_ADDRESS_TYPE, GET_REMOTE_MAC_TYPE},
    {&FWPM_CONDITION_ETHER_TYPE, GET_ETHER_TYPE},
    {&FWPM_CONDITION_VLAN_ID, GET_VLAN},
    {&FWPM_CONDITION_NDIS_MEDIA_TYPE, GET_MEDIUM},
    {&FWPM_CONDITION_NDIS_PHYSICAL_MEDIA_TYPE, GET_PHYSICAL_MEDIUM},
    {&FWPM_CONDITION_NDIS_PORT, GET_ZERO32},
    {&FWPM_CONDITION_L2_FLAGS, GET_L2_FLAGS},
};

/* ---- preparing ------------------------------------------------------------------------------------------
 */

#define FLAG(name) FWP_CONDITION_FLAG_IS_##name

/* Which flags can be said where (MATCH-21, and the page of the condition flags). Those of policies and
 * redirection pass as the caller has them. */
static UINT32 flags_of(enum host_layer role)
{
    switch (role) {
    case LAYER_II:
        return FLAG(LOOPBACK) | FLAG(IPSEC_SECURED) | FLAG(FRAGMENT) | FLAG(REASSEMBLED);
    case LAYER_OI:
    case LAYER_ST:
    case LAYER_SPK:
    case LAYER_IIE:
    case LAYER_OIE:
    case LAYER_FE:
        return FLAG(LOOPBACK);
    case LAYER_FW:
        return FLAG(FRAGMENT_GROUP) | FLAG(INBOUND_PASS_THRU) | FLAG(OUTBOUND_PASS_THRU);
    case LAYER_IT:
        return FLAG(LOOPBACK) | FLAG(IPSEC_SECURED) | FLAG(RAW_ENDPOINT) | FLAG(IPSEC_NATT_RECLASSIFY);
    case LAYER_OT:
        return FLAG(LOOPBACK) | FLAG(RAW_ENDPOINT) | FLAG(IPSEC_NATT_RECLASSIFY);
    case LAYER_DD:
        return FLAG(LOOPBACK) | FLAG(RAW_ENDPOINT);
    case LAYER_RES: /* REAUTHORIZE here and at LIS: after a completion (PEND-39) */
        return FLAG(WILDCARD_BIND) | FLAG(RAW_ENDPOINT) | FLAG(IMPLICIT_BIND) | FLAG(RECLASSIFY) |
               FLAG(REAUTHORIZE);
    case LAYER_LIS:
        return FLAG(RECLASSIFY) | FLAG(REAUTHORIZE);
    case LAYER_RA:
    case LAYER_AC:
        return FLAG(LOOPBACK) | FLAG(IPSEC_SECURED) | FLAG(REAUTHORIZE) | FLAG(RAW_ENDPOINT) |
               FLAG(NAME_APP_SPECIFIED) | FLAG(AUTH_FW) | FLAG(CONNECTION_REDIRECTED) |
               FLAG(PROXY_CONNECTION) | FLAG(APPCONTAINER_LOOPBACK) | FLAG(NON_APPCONTAINER_LOOPBACK) |
               FLAG(HONORING_POLICY_AUTHORIZE);
    case LAYER_CR:
    case LAYER_BR:
    case LAYER_EC: /* after a completion (RED-21) */
        return FLAG(LOOPBACK) | FLAG(CONNECTION_REDIRECTED) | FLAG(PROXY_CONNECTION) | FLAG(REAUTHORIZE);
    case LAYER_RR:
        return FLAG(LOOPBACK) | FLAG(CONNECTION_REDIRECTED) | FLAG(PROXY_CONNECTION);
    default:
        return 0; /* L2 has flags of its own */
    }
}

static bool of_an_operation(enum host_layer role)
{
    return role == LAYER_RES || role == LAYER_LIS || role == LAYER_RR || role == LAYER_EC ||
           role == LAYER_CR || role == LAYER_BR;
}

/* What fields mean that were looked up before: the tables of layers name the same GUIDs by the same pointers. */
struct met {
    const GUID *key;
    UINT8 get;
};
#define MET 1024

static UINT8 meaning_of(const GUID *key, struct met *met)
{
    struct met *m = &met[((uintptr_t)key >> 3) % MET];
    UINT8 get = GET_EMPTY; /* RESERVED0..3, IPSEC_SECURITY_REALM_ID: nothing is ever said */

    if (m->key == key)
        return m->get;
    for (size_t i = 0; i < ARRAYSIZE(meanings); i++)
        if (memcmp(meanings[i].key, key, sizeof(*key)) == 0)
            get = meanings[i].get;
    *m = (struct met){key, get};
    return get;
}

static UINT8 getter_of(const GUID *key, enum host_layer role, struct met *met)
{
    const UINT8 get = meaning_of(key, met);

    if (get == GET_PACKET_DIRECTION && (role == LAYER_ST || role == LAYER_FE))
        return GET_CONNECTION_DIRECTION; /* MATCH-20 */
    if (get == GET_DESTINATION_ADDRESS_TYPE && role == LAYER_FW)
        return GET_FORWARDED_ADDRESS_TYPE;
    if (get == GET_DESTINATION_ADDRESS_TYPE && role == LAYER_FE)
        return GET_CONNECTED_ADDRESS_TYPE;
    if (get == GET_LOCAL_ADDRESS && of_an_operation(role))
        return GET_BOUND_ADDRESS;
    if (get == GET_LOCAL_ADDRESS_TYPE && of_an_operation(role))
        return GET_BOUND_ADDRESS_TYPE;
    return get;
}

static void prepare(struct scratch *room, UINT16 id, enum host_layer role, struct met *met)
{
    const struct engine_layer *layer = engine_layer_by_id(id);
    struct prepared *p = &room->prepared[id];

    if (p->prepared)
        return; /* L2: both families */
    for (UINT16 i = 0; i < layer->field_count; i++) {
        p->get[i] = getter_of(layer->fields[i].key, role, met);
        p->all |= 1ULL << i;
    }
    p->flags = flags_of(role);
    p->metadata = layer->metadata;
    p->prepared = true;
    room->role[id] = (UINT8)role;
}

/* A setting holds where the layer has the field, of the value's type. The last one counts. */
static void override_layer(struct scratch *room, const struct host_setting *s, UINT16 id)
{
    const struct engine_layer *layer = engine_layer_by_id(id);
    int field = engine_layer_field(layer, &s->field);

    if (!room->prepared[id].prepared || field < 0)
        return;
    if (s->value.type != layer->fields[field].data_type && s->value.type != FWP_EMPTY)
        return;
    room->prepared[id].overridden |= 1ULL << field;
    for (size_t i = 0; i < room->override_count; i++) {
        struct override *o = &room->overrides[i];

        if (o->layer == id && o->field == field) {
            o->value = &s->value;
            return;
        }
    }
    room->overrides[room->override_count++] = (struct override){id, (UINT16)field, &s->value};
}

bool values_are_steady(const struct prepared *p, UINT64 fields)
{
    for (; fields != 0; fields &= fields - 1) {
        const unsigned i = (unsigned)__builtin_ctzll(fields);
        const enum getter get = p->get[i];

        if ((p->overridden >> i & 1) == 0 && /* forwarded and quoted packets, link headers */
            ((get >= GET_SOURCE_ADDRESS && get <= GET_EMBEDDED_REMOTE_PORT) || get >= GET_INTERFACE_MAC))
            return false;
    }
    return true;
}

int values_prepare(struct scratch *room, const struct host_config *config)
{
    struct met met[MET] = {0};

    memset(room->role, LAYER_ROLES, sizeof(room->role));
    for (unsigned role = 0; role < LAYER_ROLES; role++) {
        for (uint8_t version = 4; version <= 6; version += 2) {
            prepare(room, layer_id(role, version), role, met);
            if (layer_discard_id(role, version) < ENGINE_LAYER_COUNT)
                prepare(room, layer_discard_id(role, version), role, met);
        }
    }
    room->overrides = calloc(config->setting_count * ENGINE_LAYER_COUNT + 1, sizeof(*room->overrides));
    if (room->overrides == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < config->setting_count; i++)
        for (UINT16 id = 0; id < ENGINE_LAYER_COUNT; id++)
            if (config->settings[i].layer == NULL || config->settings[i].layer->id == id)
                override_layer(room, &config->settings[i], id);
    for (UINT16 id = 0; id < ENGINE_LAYER_COUNT; id++)
        if (room->prepared[id].prepared)
            kept_prepare(&room->prepared[id], engine_layer_by_id(id));
    return 0;
}
