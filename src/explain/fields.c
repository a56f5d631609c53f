/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table behind fields.h. A field belongs to many layers and means the same in all of them, so the table
 * goes by the condition's name. Sources: MATCH-12, 19, 20, 24, 29 and the descriptions of the condition
 * identifiers.
 */
#include "explain/fields.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define PREFIX "FWPM_CONDITION_"

#define FLAG_GROUP                                                                                           \
    .notation = WRITES_FLAGS, .flags_group = "FWP_CONDITION_FLAG", .flags_prefix = "FWP_CONDITION_FLAG_"
#define REASON_GROUP                                                                                         \
    .notation = WRITES_FLAGS, .flags_group = "FWP_CONDITION_REAUTHORIZE",                                    \
    .flags_prefix = "FWP_CONDITION_REAUTHORIZE_REASON_"
#define SOCKET_GROUP                                                                                         \
    .notation = WRITES_FLAGS, .flags_group = "FWP_CONDITION_SOCKET_PROPERTY",                                \
    .flags_prefix = "FWP_CONDITION_SOCKET_PROPERTY_FLAG_"
#define L2_GROUP                                                                                             \
    .notation = WRITES_FLAGS, .flags_group = "FWP_CONDITION_L2", .flags_prefix = "FWP_CONDITION_L2_"

static const struct explain_field table[] = {
    {.name = "ALE_APP_ID", .words = "program", .meaning = MEANS_APP, .notation = WRITES_APP},
    {.name = "ALE_EFFECTIVE_NAME", .words = "effective name", .meaning = MEANS_OTHER, .may_be_empty = true},
    {.name = "ALE_NAP_CONTEXT", .words = "NAP context", .meaning = MEANS_OTHER},
    {.name = "ALE_ORIGINAL_APP_ID",
     .words = "program before redirection",
     .meaning = MEANS_ORIGINAL_APP,
     .notation = WRITES_APP},
    {.name = "ALE_PACKAGE_FAMILY_NAME", .words = "package family", .meaning = MEANS_PACKAGE_FAMILY},
    {.name = "ALE_PACKAGE_ID", .words = "app package", .meaning = MEANS_PACKAGE},
    {.name = "ALE_PROMISCUOUS_MODE", .words = "promiscuous mode", .meaning = MEANS_PROMISCUOUS},
    {.name = "ALE_REMOTE_MACHINE_ID",
     .words = "remote machine",
     .meaning = MEANS_REMOTE_IDENTITY,
     .may_be_empty = true},
    {.name = "ALE_REMOTE_USER_ID",
     .words = "remote user",
     .meaning = MEANS_REMOTE_IDENTITY,
     .may_be_empty = true},
    {.name = "ALE_SECURITY_ATTRIBUTE_FQBN_VALUE",
     .words = "fully qualified binary name",
     .meaning = MEANS_OTHER,
     .may_be_empty = true},
    {.name = "ALE_SIO_FIREWALL_SYSTEM_PORT",
     .words = "socket properties",
     .meaning = MEANS_OTHER,
     SOCKET_GROUP},
    {.name = "ALE_USER_ID", .words = "user", .meaning = MEANS_USER},
    {.name = "ARRIVAL_INTERFACE_INDEX",
     .words = "index of the arrival interface",
     .meaning = MEANS_ARRIVAL_INTERFACE,
     .part = PART_INDEX},
    {.name = "ARRIVAL_INTERFACE_PROFILE_ID",
     .words = "profile of the arrival interface",
     .meaning = MEANS_INTERFACE_PROFILE,
     .notation = WRITES_PROFILE},
    {.name = "ARRIVAL_INTERFACE_TYPE",
     .words = "type of the arrival interface",
     .meaning = MEANS_ARRIVAL_INTERFACE,
     .notation = WRITES_IF_TYPE,
     .part = PART_TYPE},
    {.name = "ARRIVAL_TUNNEL_TYPE",
     .words = "tunnel type of the arrival interface",
     .meaning = MEANS_ARRIVAL_INTERFACE,
     .notation = WRITES_TUNNEL_TYPE,
     .part = PART_TUNNEL},
    {.name = "COMPARTMENT_ID", .words = "network compartment", .meaning = MEANS_OTHER},
    {.name = "CURRENT_PROFILE_ID",
     .words = "current profile",
     .meaning = MEANS_PROFILE,
     .notation = WRITES_PROFILE},
    {.name = "DIRECTION", .words = "direction", .meaning = MEANS_DIRECTION, .notation = WRITES_DIRECTION},
    {.name = "EMBEDDED_LOCAL_ADDRESS_TYPE",
     .words = "type of the embedded local address",
     .meaning = MEANS_OTHER,
     .notation = WRITES_ADDRESS_TYPE},
    {.name = "EMBEDDED_LOCAL_PORT", .words = "embedded local port", .meaning = MEANS_OTHER},
    {.name = "EMBEDDED_PROTOCOL",
     .words = "embedded protocol",
     .meaning = MEANS_OTHER,
     .notation = WRITES_PROTOCOL},
    {.name = "EMBEDDED_REMOTE_ADDRESS", .words = "embedded remote address", .meaning = MEANS_OTHER},
    {.name = "EMBEDDED_REMOTE_PORT", .words = "embedded remote port", .meaning = MEANS_OTHER},
    {.name = "FLAGS", .words = "flags", .meaning = MEANS_FLAGS, FLAG_GROUP},
    {.name = "INTERFACE_INDEX",
     .words = "interface index",
     .meaning = MEANS_LOCAL_INTERFACE,
     .part = PART_INDEX},
    {.name = "INTERFACE_QUARANTINE_EPOCH",
     .words = "quarantine epoch of the interface",
     .meaning = MEANS_OTHER},
    {.name = "INTERFACE_TYPE",
     .words = "interface type",
     .meaning = MEANS_LOCAL_INTERFACE,
     .notation = WRITES_IF_TYPE,
     .part = PART_TYPE},
    {.name = "IPSEC_SECURITY_REALM_ID",
     .words = "IPsec security realm",
     .meaning = MEANS_SECURITY_REALM,
     .may_be_empty = true},
    {.name = "IP_ARRIVAL_INTERFACE",
     .words = "arrival interface",
     .meaning = MEANS_ARRIVAL_INTERFACE,
     .part = PART_LUID},
    {.name = "IP_DESTINATION_ADDRESS", .words = "destination address", .meaning = MEANS_DESTINATION_ADDRESS},
    {.name = "IP_DESTINATION_ADDRESS_TYPE",
     .words = "destination address type",
     .meaning = MEANS_DESTINATION_ADDRESS_TYPE,
     .notation = WRITES_ADDRESS_TYPE},
    {.name = "IP_DESTINATION_PORT", .words = "destination port", .meaning = MEANS_OTHER},
    {.name = "IP_LOCAL_ADDRESS", .words = "local address", .meaning = MEANS_LOCAL_ADDRESS},
    {.name = "IP_LOCAL_ADDRESS_TYPE",
     .words = "local address type",
     .meaning = MEANS_LOCAL_ADDRESS_TYPE,
     .notation = WRITES_ADDRESS_TYPE},
    {.name = "IP_LOCAL_ADDRESS_V4", .words = "local address", .meaning = MEANS_LOCAL_ADDRESS},
    {.name = "IP_LOCAL_ADDRESS_V6", .words = "local address", .meaning = MEANS_LOCAL_ADDRESS},
    {.name = "IP_LOCAL_INTERFACE",
     .words = "local interface",
     .meaning = MEANS_LOCAL_INTERFACE,
     .part = PART_LUID},
    {.name = "IP_LOCAL_PORT", .words = "local port", .meaning = MEANS_LOCAL_PORT},
    {.name = "IP_NEXTHOP_INTERFACE",
     .words = "next-hop interface",
     .meaning = MEANS_NEXTHOP_INTERFACE,
     .part = PART_LUID},
    {.name = "IP_PROTOCOL", .words = "protocol", .meaning = MEANS_PROTOCOL, .notation = WRITES_PROTOCOL},
    {.name = "IP_REMOTE_ADDRESS", .words = "remote address", .meaning = MEANS_REMOTE_ADDRESS},
    {.name = "IP_REMOTE_ADDRESS_V4", .words = "remote address", .meaning = MEANS_REMOTE_ADDRESS},
    {.name = "IP_REMOTE_ADDRESS_V6", .words = "remote address", .meaning = MEANS_REMOTE_ADDRESS},
    {.name = "IP_REMOTE_PORT", .words = "remote port", .meaning = MEANS_REMOTE_PORT},
    {.name = "IP_SOURCE_ADDRESS", .words = "source address", .meaning = MEANS_SOURCE_ADDRESS},
    {.name = "IP_SOURCE_PORT", .words = "source port", .meaning = MEANS_OTHER},
    {.name = "L2_FLAGS", .words = "layer-2 flags", .meaning = MEANS_OTHER, L2_GROUP},
    {.name = "LOCAL_INTERFACE_PROFILE_ID",
     .words = "profile of the local interface",
     .meaning = MEANS_INTERFACE_PROFILE,
     .notation = WRITES_PROFILE,
     .may_be_empty = true},
    {.name = "NEXTHOP_INTERFACE_INDEX",
     .words = "index of the next-hop interface",
     .meaning = MEANS_NEXTHOP_INTERFACE,
     .part = PART_INDEX},
    {.name = "NEXTHOP_INTERFACE_PROFILE_ID",
     .words = "profile of the next-hop interface",
     .meaning = MEANS_INTERFACE_PROFILE,
     .notation = WRITES_PROFILE},
    {.name = "NEXTHOP_INTERFACE_TYPE",
     .words = "type of the next-hop interface",
     .meaning = MEANS_NEXTHOP_INTERFACE,
     .notation = WRITES_IF_TYPE,
     .part = PART_TYPE},
    {.name = "NEXTHOP_SUB_INTERFACE_INDEX",
     .words = "sub-index of the next-hop interface",
     .meaning = MEANS_NEXTHOP_INTERFACE,
     .part = PART_SUB_INDEX},
    {.name = "NEXTHOP_TUNNEL_TYPE",
     .words = "tunnel type of the next-hop interface",
     .meaning = MEANS_NEXTHOP_INTERFACE,
     .notation = WRITES_TUNNEL_TYPE,
     .part = PART_TUNNEL},
    {.name = "ORIGINAL_ICMP_TYPE",
     .words = "original ICMP type",
     .meaning = MEANS_ORIGINAL_ICMP_TYPE,
     .may_be_empty = true},
    {.name = "ORIGINAL_PROFILE_ID",
     .words = "original profile",
     .meaning = MEANS_PROFILE,
     .notation = WRITES_PROFILE},
    {.name = "PEER_NAME", .words = "peer name", .meaning = MEANS_OTHER, .may_be_empty = true},
    {.name = "REAUTHORIZE_REASON",
     .words = "reason of the reauthorization",
     .meaning = MEANS_REAUTHORIZE_REASON,
     REASON_GROUP},
    {.name = "SUB_INTERFACE_INDEX",
     .words = "sub-interface index",
     .meaning = MEANS_LOCAL_INTERFACE,
     .part = PART_SUB_INDEX},
    {.name = "TUNNEL_TYPE",
     .words = "tunnel type",
     .meaning = MEANS_LOCAL_INTERFACE,
     .notation = WRITES_TUNNEL_TYPE,
     .part = PART_TUNNEL},
};

const char *explain_field_short(const struct engine_field *f)
{
    return strncmp(f->name, PREFIX, sizeof PREFIX - 1) == 0 ? f->name + sizeof PREFIX - 1 : f->name;
}

const struct explain_field *explain_field_of(const struct engine_field *f)
{
    static const struct explain_field number = {.name = ""};
    static const struct explain_field opaque = {.name = "", .may_be_empty = true};
    const char *name = explain_field_short(f);
    size_t low = 0, high = sizeof table / sizeof table[0];

    while (low < high) {
        size_t mid = (low + high) / 2;
        int d = strcmp(name, table[mid].name);

        if (d == 0)
            return &table[mid];
        if (d < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return f->data_type == FWP_BYTE_BLOB_TYPE ? &opaque : &number;
}

const char *explain_field_words(const struct engine_field *f, char *buf, size_t size)
{
    const struct explain_field *e = explain_field_of(f);
    const char *name = explain_field_short(f);
    size_t i;

    if (e->words != NULL)
        return e->words;
    for (i = 0; i + 1 < size && name[i] != '\0'; i++)
        buf[i] = name[i] == '_' ? ' ' : (char)tolower((unsigned char)name[i]);
    buf[i] = '\0';
    return buf;
}

/* MATCH-19: the ICMP keys are other names of the port fields. */
static const char *unalias(const char *name)
{
    if (strcasecmp(name, "ICMP_TYPE") == 0)
        return "IP_LOCAL_PORT";
    if (strcasecmp(name, "ICMP_CODE") == 0)
        return "IP_REMOTE_PORT";
    return name;
}

const struct engine_field *explain_field_find(const struct engine_layer *layer, const char *name)
{
    if (strncasecmp(name, PREFIX, sizeof PREFIX - 1) == 0)
        name += sizeof PREFIX - 1;
    for (int pass = 0; pass < 2; pass++) {
        for (UINT16 i = 0; i < layer->field_count; i++) {
            if (layer->fields[i].name != NULL &&
                strcasecmp(explain_field_short(&layer->fields[i]), name) == 0)
                return &layer->fields[i];
        }
        name = unalias(name);
    }
    return NULL;
}

bool explain_field_exists(const char *name)
{
    for (UINT16 id = 0; id < ENGINE_LAYER_COUNT; id++) {
        const struct engine_layer *layer = engine_layer_by_id(id);

        if (layer != NULL && explain_field_find(layer, name) != NULL)
            return true;
    }
    return false;
}
