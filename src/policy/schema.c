/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which element may stand where in an export, and what becomes of it: one row each. An element with no row in
 * its context is kept as text and noted. The member names are those of the documented structs, because netsh
 * writes the structs member by member.
 *
 * Lookup costs a hash of the name and two loads: names get slots in an open-addressed table, and a matrix
 * (context, slot) holds the row.
 */
#include <errno.h>
#include <string.h>

#include "internal.h"

/* The short forms of rows. */
#define INTO(ctx, name, to, type, member)                                                                    \
    {                                                                                                        \
        ctx, E_INTO, to, offsetof(type, member), 0, 0, name                                                  \
    }
#define SAME(ctx, name, to)                                                                                  \
    {                                                                                                        \
        ctx, E_INTO, to, 0, 0, 0, name                                                                       \
    }
#define NEW(ctx, name, to, type, member, made)                                                               \
    {                                                                                                        \
        ctx, E_NEW, to, offsetof(type, member), 0, sizeof(made), name                                        \
    }
#define PAYLOAD(name, to, member, made, type)                                                                \
    {                                                                                                        \
        C_VALUE, E_NEW, to, offsetof(FWP_CONDITION_VALUE0, member), type, sizeof(made), name                 \
    }
#define RECORDS(ctx, name, what)                                                                             \
    {                                                                                                        \
        ctx, E_RECORDS, what, 0, 0, 0, name                                                                  \
    }
#define RECORD(ctx, name, what)                                                                              \
    {                                                                                                        \
        ctx, E_RECORD, what, 0, 0, 0, name                                                                   \
    }
#define ITEMS(ctx, name, to, type, array, count, item)                                                       \
    {                                                                                                        \
        ctx, E_ITEMS, to, offsetof(type, array), offsetof(type, count), sizeof(item), name                   \
    }
#define FLAGS(ctx, name, group, type, member)                                                                \
    {                                                                                                        \
        ctx, E_FLAGS, group, offsetof(type, member), 0, 0, name                                              \
    }
#define RAW(ctx, name)                                                                                       \
    {                                                                                                        \
        ctx, E_RAW, 0, 0, 0, 0, name                                                                         \
    }
#define IGNORE(ctx, name)                                                                                    \
    {                                                                                                        \
        ctx, E_IGNORE, 0, 0, 0, 0, name                                                                      \
    }
#define LEAF(ctx, name, kind, arg, type, member)                                                             \
    {                                                                                                        \
        ctx, kind, arg, offsetof(type, member), 0, 0, name                                                   \
    }
#define VALUE(name, type)                                                                                    \
    {C_VALUE, E_VALUE, type, 0, 0, 0, name},                                                                 \
    {                                                                                                        \
        C_RANGE_VALUE, E_VALUE, type, 0, 0, 0, name                                                          \
    }
#define DISPLAY(ctx, type)            INTO(ctx, "displayData", C_DISPLAY, type, displayData)
#define BLOB(ctx, name, type, member) INTO(ctx, name, C_BLOB, type, member)

const struct element schema_table[] = {
    /* roots: wfpstate (show state), wfpdiag (show filters, capture), netEvents (show netevents) */
    SAME(C_DOCUMENT, "wfpstate", C_STATE),
    SAME(C_DOCUMENT, "wfpdiag", C_STATE),
    RECORDS(C_DOCUMENT, "netEvents", R_EVENT),
    RAW(C_DOCUMENT, "firewallState"),

    /* sections */
    {C_STATE, E_TEXT, 0, offsetof(struct policy, time_stamp), 0, 0, "timeStamp"},
    RECORDS(C_STATE, "sessions", R_SESSION),
    {C_STATE, E_RECORDS, R_COUNT, 0, 0, 0, "layers"},
    RECORDS(C_STATE, "callouts", R_CALLOUT),
    RECORDS(C_STATE, "filters", R_FILTER),
    RECORDS(C_STATE, "providers", R_PROVIDER),
    RECORDS(C_STATE, "providerContexts", R_PROVIDER_CONTEXT),
    RECORDS(C_STATE, "subLayers", R_SUBLAYER),
    RECORDS(C_STATE, "aleConnectedEndpoints", R_ENDPOINT),
    RECORDS(C_STATE, "netEvents", R_EVENT),
    RECORDS(C_STATE, "events", R_EVENT),
    SAME(C_STATE, "initialState", C_STATE),
    SAME(C_STATE, "wfpstate", C_STATE),
    RAW(C_STATE, "subscriptions"),
    RAW(C_STATE, "ipsecSaContexts"),
    RAW(C_STATE, "ikeextStatistics"),
    RAW(C_STATE, "ipsecStatistics"),
    RAW(C_STATE, "ikeextSas"),
    RAW(C_STATE, "sysInfo"),
    RAW(C_STATE, "firewallState"),

    RECORD(C_LAYER_ITEM, "layer", R_LAYER),
    RECORDS(C_LAYER_ITEM, "callouts", R_CALLOUT),
    RECORDS(C_LAYER_ITEM, "filters", R_FILTER),

    LEAF(C_DISPLAY, "name", E_WIDE, 0, FWPM_DISPLAY_DATA0, name),
    LEAF(C_DISPLAY, "description", E_WIDE, 0, FWPM_DISPLAY_DATA0, description),

    {C_BLOB, E_HEX, 0, 0, 0, 0, "data"},
    IGNORE(C_BLOB, "asString"),

    /* layer */
    LEAF(C_LAYER, "layerKey", E_GUID, ENGINE_GUID_LAYER, FWPM_LAYER0, layerKey),
    DISPLAY(C_LAYER, FWPM_LAYER0),
    FLAGS(C_LAYER, "flags", G_LAYER_FLAG, FWPM_LAYER0, flags),
    ITEMS(C_LAYER, "field", C_FIELD, FWPM_LAYER0, field, numFields, FWPM_FIELD0),
    LEAF(C_LAYER, "defaultSubLayerKey", E_GUID, ENGINE_GUID_SUBLAYER, FWPM_LAYER0, defaultSubLayerKey),
    LEAF(C_LAYER, "layerId", E_UINT16, 0, FWPM_LAYER0, layerId),
    LEAF(C_FIELD, "fieldKey", E_GUID_PTR, ENGINE_GUID_CONDITION, FWPM_FIELD0, fieldKey),
    LEAF(C_FIELD, "type", E_ENUM, G_FIELD_TYPE, FWPM_FIELD0, type),
    LEAF(C_FIELD, "dataType", E_ENUM, G_DATA_TYPE, FWPM_FIELD0, dataType),

    /* callout */
    LEAF(C_CALLOUT, "calloutKey", E_GUID, ENGINE_GUID_CALLOUT, FWPM_CALLOUT0, calloutKey),
    DISPLAY(C_CALLOUT, FWPM_CALLOUT0),
    FLAGS(C_CALLOUT, "flags", G_CALLOUT_FLAG, FWPM_CALLOUT0, flags),
    LEAF(C_CALLOUT, "providerKey", E_GUID_PTR, ENGINE_GUID_PROVIDER, FWPM_CALLOUT0, providerKey),
    BLOB(C_CALLOUT, "providerData", FWPM_CALLOUT0, providerData),
    LEAF(C_CALLOUT, "applicableLayer", E_GUID, ENGINE_GUID_LAYER, FWPM_CALLOUT0, applicableLayer),
    LEAF(C_CALLOUT, "calloutId", E_UINT32, 0, FWPM_CALLOUT0, calloutId),

    /* filter */
    LEAF(C_FILTER, "filterKey", E_GUID, ENGINE_GUID_KINDS, FWPM_FILTER0, filterKey),
    DISPLAY(C_FILTER, FWPM_FILTER0),
    FLAGS(C_FILTER, "flags", G_FILTER_FLAG, FWPM_FILTER0, flags),
    LEAF(C_FILTER, "providerKey", E_GUID_PTR, ENGINE_GUID_PROVIDER, FWPM_FILTER0, providerKey),
    BLOB(C_FILTER, "providerData", FWPM_FILTER0, providerData),
    LEAF(C_FILTER, "layerKey", E_GUID, ENGINE_GUID_LAYER, FWPM_FILTER0, layerKey),
    LEAF(C_FILTER, "subLayerKey", E_GUID, ENGINE_GUID_SUBLAYER, FWPM_FILTER0, subLayerKey),
    INTO(C_FILTER, "weight", C_VALUE, FWPM_FILTER0, weight),
    ITEMS(C_FILTER, "filterCondition", C_CONDITION, FWPM_FILTER0, filterCondition, numFilterConditions,
          FWPM_FILTER_CONDITION0),
    INTO(C_FILTER, "action", C_ACTION, FWPM_FILTER0, action),
    LEAF(C_FILTER, "rawContext", E_UINT64, 0, FWPM_FILTER0, rawContext),
    LEAF(C_FILTER, "providerContextKey", E_GUID, ENGINE_GUID_PROVIDER, FWPM_FILTER0, providerContextKey),
    LEAF(C_FILTER, "reserved", E_GUID_PTR, ENGINE_GUID_KINDS, FWPM_FILTER0, reserved),
    LEAF(C_FILTER, "filterId", E_UINT64, 0, FWPM_FILTER0, filterId),
    INTO(C_FILTER, "effectiveWeight", C_VALUE, FWPM_FILTER0, effectiveWeight),
    LEAF(C_ACTION, "type", E_ENUM, G_ACTION_TYPE, FWPM_ACTION0, type),
    LEAF(C_ACTION, "filterType", E_GUID, ENGINE_GUID_CALLOUT, FWPM_ACTION0, filterType),
    LEAF(C_ACTION, "calloutKey", E_GUID, ENGINE_GUID_CALLOUT, FWPM_ACTION0, calloutKey),

    LEAF(C_CONDITION, "fieldKey", E_GUID, ENGINE_GUID_CONDITION, FWPM_FILTER_CONDITION0, fieldKey),
    LEAF(C_CONDITION, "matchType", E_ENUM, G_MATCH_TYPE, FWPM_FILTER_CONDITION0, matchType),
    INTO(C_CONDITION, "conditionValue", C_VALUE, FWPM_FILTER_CONDITION0, conditionValue),

    /* value; a range's ends are single values, so a range cannot hold a range */
    LEAF(C_VALUE, "type", E_ENUM, G_DATA_TYPE, FWP_VALUE0, type),
    LEAF(C_RANGE_VALUE, "type", E_ENUM, G_DATA_TYPE, FWP_VALUE0, type),
    VALUE("uint8", FWP_UINT8),
    VALUE("uint16", FWP_UINT16),
    VALUE("uint32", FWP_UINT32),
    VALUE("uint64", FWP_UINT64),
    VALUE("int8", FWP_INT8),
    VALUE("int16", FWP_INT16),
    VALUE("int32", FWP_INT32),
    VALUE("int64", FWP_INT64),
    VALUE("float32", FWP_FLOAT),
    VALUE("double64", FWP_DOUBLE),
    VALUE("byteArray16", FWP_BYTE_ARRAY16_TYPE),
    VALUE("byteArray6", FWP_BYTE_ARRAY6_TYPE),
    VALUE("sid", FWP_SID),
    VALUE("sd", FWP_SECURITY_DESCRIPTOR_TYPE),
    VALUE("unicodeString", FWP_UNICODE_STRING_TYPE),
    PAYLOAD("byteBlob", C_BLOB, byteBlob, FWP_BYTE_BLOB, FWP_BYTE_BLOB_TYPE),
    PAYLOAD("tokenAccessInformation", C_BLOB, tokenAccessInformation, FWP_BYTE_BLOB,
            FWP_TOKEN_ACCESS_INFORMATION_TYPE),
    PAYLOAD("v4AddrMask", C_V4_MASK, v4AddrMask, FWP_V4_ADDR_AND_MASK, FWP_V4_ADDR_MASK),
    PAYLOAD("v6AddrMask", C_V6_MASK, v6AddrMask, FWP_V6_ADDR_AND_MASK, FWP_V6_ADDR_MASK),
    PAYLOAD("rangeValue", C_RANGE, rangeValue, FWP_RANGE0, FWP_RANGE_TYPE),
    INTO(C_RANGE, "valueLow", C_RANGE_VALUE, FWP_RANGE0, valueLow),
    INTO(C_RANGE, "valueHigh", C_RANGE_VALUE, FWP_RANGE0, valueHigh),
    LEAF(C_V4_MASK, "addr", E_V4, 0, FWP_V4_ADDR_AND_MASK, addr),
    LEAF(C_V4_MASK, "mask", E_V4, 0, FWP_V4_ADDR_AND_MASK, mask),
    LEAF(C_V6_MASK, "addr", E_V6, 0, FWP_V6_ADDR_AND_MASK, addr),
    LEAF(C_V6_MASK, "prefixLength", E_UINT8, 128, FWP_V6_ADDR_AND_MASK, prefixLength),

    /* provider */
    LEAF(C_PROVIDER, "providerKey", E_GUID, ENGINE_GUID_PROVIDER, FWPM_PROVIDER0, providerKey),
    DISPLAY(C_PROVIDER, FWPM_PROVIDER0),
    FLAGS(C_PROVIDER, "flags", G_PROVIDER_FLAG, FWPM_PROVIDER0, flags),
    BLOB(C_PROVIDER, "providerData", FWPM_PROVIDER0, providerData),
    LEAF(C_PROVIDER, "serviceName", E_WIDE, 0, FWPM_PROVIDER0, serviceName),

    /* provider context: data and classify options are read, IPsec's policies are kept as text */
    LEAF(C_PROVIDER_CONTEXT, "providerContextKey", E_GUID, ENGINE_GUID_PROVIDER, FWPM_PROVIDER_CONTEXT3,
         providerContextKey),
    DISPLAY(C_PROVIDER_CONTEXT, FWPM_PROVIDER_CONTEXT3),
    FLAGS(C_PROVIDER_CONTEXT, "flags", G_CONTEXT_FLAG, FWPM_PROVIDER_CONTEXT3, flags),
    LEAF(C_PROVIDER_CONTEXT, "providerKey", E_GUID_PTR, ENGINE_GUID_PROVIDER, FWPM_PROVIDER_CONTEXT3,
         providerKey),
    BLOB(C_PROVIDER_CONTEXT, "providerData", FWPM_PROVIDER_CONTEXT3, providerData),
    LEAF(C_PROVIDER_CONTEXT, "type", E_ENUM, G_CONTEXT_TYPE, FWPM_PROVIDER_CONTEXT3, type),
    NEW(C_PROVIDER_CONTEXT, "dataBuffer", C_BLOB, FWPM_PROVIDER_CONTEXT3, dataBuffer, FWP_BYTE_BLOB),
    NEW(C_PROVIDER_CONTEXT, "classifyOptions", C_CLASSIFY_OPTIONS, FWPM_PROVIDER_CONTEXT3, classifyOptions,
        FWPM_CLASSIFY_OPTIONS0),
    RAW(C_PROVIDER_CONTEXT, "keyingPolicy"),
    RAW(C_PROVIDER_CONTEXT, "ikeQmTransportPolicy"),
    RAW(C_PROVIDER_CONTEXT, "ikeQmTunnelPolicy"),
    RAW(C_PROVIDER_CONTEXT, "authipQmTransportPolicy"),
    RAW(C_PROVIDER_CONTEXT, "authipQmTunnelPolicy"),
    RAW(C_PROVIDER_CONTEXT, "ikeMmPolicy"),
    RAW(C_PROVIDER_CONTEXT, "authIpMmPolicy"),
    RAW(C_PROVIDER_CONTEXT, "ikeV2QmTunnelPolicy"),
    RAW(C_PROVIDER_CONTEXT, "ikeV2QmTransportPolicy"),
    RAW(C_PROVIDER_CONTEXT, "ikeV2MmPolicy"),
    RAW(C_PROVIDER_CONTEXT, "idpOptions"),
    RAW(C_PROVIDER_CONTEXT, "networkConnectionPolicy"),
    LEAF(C_PROVIDER_CONTEXT, "providerContextId", E_UINT64, 0, FWPM_PROVIDER_CONTEXT3, providerContextId),
    ITEMS(C_CLASSIFY_OPTIONS, "options", C_CLASSIFY_OPTION, FWPM_CLASSIFY_OPTIONS0, options, numOptions,
          FWPM_CLASSIFY_OPTION0),
    LEAF(C_CLASSIFY_OPTION, "type", E_ENUM, G_CLASSIFY_OPTION, FWPM_CLASSIFY_OPTION0, type),
    INTO(C_CLASSIFY_OPTION, "value", C_VALUE, FWPM_CLASSIFY_OPTION0, value),

    /* sublayer */
    LEAF(C_SUBLAYER, "subLayerKey", E_GUID, ENGINE_GUID_SUBLAYER, FWPM_SUBLAYER0, subLayerKey),
    DISPLAY(C_SUBLAYER, FWPM_SUBLAYER0),
    FLAGS(C_SUBLAYER, "flags", G_SUBLAYER_FLAG, FWPM_SUBLAYER0, flags),
    LEAF(C_SUBLAYER, "providerKey", E_GUID_PTR, ENGINE_GUID_PROVIDER, FWPM_SUBLAYER0, providerKey),
    BLOB(C_SUBLAYER, "providerData", FWPM_SUBLAYER0, providerData),
    LEAF(C_SUBLAYER, "weight", E_UINT16, 0, FWPM_SUBLAYER0, weight),

    /* session */
    LEAF(C_SESSION, "sessionKey", E_GUID, ENGINE_GUID_KINDS, FWPM_SESSION0, sessionKey),
    DISPLAY(C_SESSION, FWPM_SESSION0),
    FLAGS(C_SESSION, "flags", G_SESSION_FLAG, FWPM_SESSION0, flags),
    LEAF(C_SESSION, "txnWaitTimeoutInMSec", E_UINT32, 0, FWPM_SESSION0, txnWaitTimeoutInMSec),
    LEAF(C_SESSION, "processId", E_UINT32, 0, FWPM_SESSION0, processId),
    LEAF(C_SESSION, "sid", E_SID, 0, FWPM_SESSION0, sid),
    LEAF(C_SESSION, "username", E_WIDE, 0, FWPM_SESSION0, username),
    LEAF(C_SESSION, "kernelMode", E_BOOL, 0, FWPM_SESSION0, kernelMode),

    /* connected endpoint */
    LEAF(C_ENDPOINT, "endpointId", E_UINT64, 0, struct policy_endpoint, id),
    LEAF(C_ENDPOINT, "ipVersion", E_ENUM, G_IP_VERSION, struct policy_endpoint, ip_version),
    LEAF(C_ENDPOINT, "localV4Address", E_ADDRESS, 4, struct policy_endpoint, local_address),
    LEAF(C_ENDPOINT, "remoteV4Address", E_ADDRESS, 4, struct policy_endpoint, remote_address),
    LEAF(C_ENDPOINT, "localV6Address", E_ADDRESS, 6, struct policy_endpoint, local_address),
    LEAF(C_ENDPOINT, "remoteV6Address", E_ADDRESS, 6, struct policy_endpoint, remote_address),
    LEAF(C_ENDPOINT, "ipProtocol", E_UINT8, 0, struct policy_endpoint, protocol),
    LEAF(C_ENDPOINT, "localPort", E_UINT16, 0, struct policy_endpoint, local_port),
    LEAF(C_ENDPOINT, "remotePort", E_UINT16, 0, struct policy_endpoint, remote_port),
    LEAF(C_ENDPOINT, "localTokenModifiedId", E_UINT64, 0, struct policy_endpoint, token_modified_id),
    LEAF(C_ENDPOINT, "mmSaId", E_UINT64, 0, struct policy_endpoint, mm_sa_id),
    LEAF(C_ENDPOINT, "qmSaId", E_UINT64, 0, struct policy_endpoint, qm_sa_id),
    LEAF(C_ENDPOINT, "ipsecStatus", E_TEXT, 0, struct policy_endpoint, ipsec_status),
    FLAGS(C_ENDPOINT, "flags", G_ENDPOINT_FLAG, struct policy_endpoint, flags),
    BLOB(C_ENDPOINT, "appId", struct policy_endpoint, app_id),

    /* net event */
    SAME(C_EVENT, "header", C_EVENT_HEADER),
    LEAF(C_EVENT, "type", E_TEXT, 0, struct policy_net_event, type),
    SAME(C_EVENT, "classifyDrop", C_EVENT_CLASSIFY),
    SAME(C_EVENT, "classifyAllow", C_EVENT_CLASSIFY),
    SAME(C_EVENT, "capabilityDrop", C_EVENT_CLASSIFY),
    SAME(C_EVENT, "capabilityAllow", C_EVENT_CLASSIFY),
    RAW(C_EVENT, "internalFields"),
    LEAF(C_EVENT_HEADER, "timeStamp", E_TEXT, 0, struct policy_net_event, time_stamp),
    FLAGS(C_EVENT_HEADER, "flags", G_EVENT_FLAG, struct policy_net_event, flags),
    LEAF(C_EVENT_HEADER, "ipVersion", E_ENUM, G_IP_VERSION, struct policy_net_event, ip_version),
    LEAF(C_EVENT_HEADER, "ipProtocol", E_UINT8, 0, struct policy_net_event, protocol),
    LEAF(C_EVENT_HEADER, "localAddrV4", E_ADDRESS, 4, struct policy_net_event, local_address),
    LEAF(C_EVENT_HEADER, "remoteAddrV4", E_ADDRESS, 4, struct policy_net_event, remote_address),
    LEAF(C_EVENT_HEADER, "localAddrV6", E_ADDRESS, 6, struct policy_net_event, local_address),
    LEAF(C_EVENT_HEADER, "remoteAddrV6", E_ADDRESS, 6, struct policy_net_event, remote_address),
    LEAF(C_EVENT_HEADER, "localPort", E_UINT16, 0, struct policy_net_event, local_port),
    LEAF(C_EVENT_HEADER, "remotePort", E_UINT16, 0, struct policy_net_event, remote_port),
    LEAF(C_EVENT_HEADER, "scopeId", E_UINT32, 0, struct policy_net_event, scope_id),
    BLOB(C_EVENT_HEADER, "appId", struct policy_net_event, app_id),
    LEAF(C_EVENT_HEADER, "userId", E_SID, 0, struct policy_net_event, user),
    LEAF(C_EVENT_HEADER, "packageSid", E_SID, 0, struct policy_net_event, package),
    RAW(C_EVENT_HEADER, "addressFamily"),
    RAW(C_EVENT_HEADER, "enterpriseId"),
    RAW(C_EVENT_HEADER, "policyFlags"),
    RAW(C_EVENT_HEADER, "effectiveName"),
    LEAF(C_EVENT_CLASSIFY, "filterId", E_UINT64, 0, struct policy_net_event, filter_id),
    LEAF(C_EVENT_CLASSIFY, "layerId", E_UINT16, 0, struct policy_net_event, layer_id),
    LEAF(C_EVENT_CLASSIFY, "reauthReason", E_UINT32, 0, struct policy_net_event, reauth_reason),
    LEAF(C_EVENT_CLASSIFY, "originalProfile", E_UINT32, 0, struct policy_net_event, original_profile),
    LEAF(C_EVENT_CLASSIFY, "currentProfile", E_UINT32, 0, struct policy_net_event, current_profile),
    LEAF(C_EVENT_CLASSIFY, "msFwpDirection", E_TEXT, 0, struct policy_net_event, direction),
    LEAF(C_EVENT_CLASSIFY, "isLoopback", E_BOOL8, 0, struct policy_net_event, loopback),
    RAW(C_EVENT_CLASSIFY, "networkCapabilityId"),
    RAW(C_EVENT_CLASSIFY, "vSwitchId"),
    RAW(C_EVENT_CLASSIFY, "vSwitchSourcePort"),
    RAW(C_EVENT_CLASSIFY, "vSwitchDestinationPort"),
};

const struct record_type record_types[R_COUNT] = {
    [R_SESSION] = {C_SESSION, sizeof(FWPM_SESSION0), "session"},
    [R_LAYER] = {C_LAYER, sizeof(FWPM_LAYER0), "layer"},
    [R_CALLOUT] = {C_CALLOUT, sizeof(FWPM_CALLOUT0), "callout"},
    [R_FILTER] = {C_FILTER, sizeof(FWPM_FILTER0), "filter"},
    [R_PROVIDER] = {C_PROVIDER, sizeof(FWPM_PROVIDER0), "provider"},
    [R_PROVIDER_CONTEXT] = {C_PROVIDER_CONTEXT, sizeof(FWPM_PROVIDER_CONTEXT3), "provider context"},
    [R_SUBLAYER] = {C_SUBLAYER, sizeof(FWPM_SUBLAYER0), "sublayer"},
    [R_ENDPOINT] = {C_ENDPOINT, sizeof(struct policy_endpoint), "endpoint"},
    [R_EVENT] = {C_EVENT, sizeof(struct policy_net_event), "net event"},
};

const struct constant_names constant_groups[G_COUNT] = {
    [G_DATA_TYPE] = {"FWP_", "value type"},
    [G_MATCH_TYPE] = {"FWP_MATCH_", "match type"},
    [G_ACTION_TYPE] = {"FWP_ACTION_", "action"},
    [G_FIELD_TYPE] = {"FWPM_FIELD_", "field type"},
    [G_CONTEXT_TYPE] = {"FWPM_", "provider context type"},
    [G_CLASSIFY_OPTION] = {"FWP_CLASSIFY_OPTION_", "classify option"},
    [G_IP_VERSION] = {"FWP_IP_VERSION_", "IP version"},
    [G_FILTER_FLAG] = {"FWPM_FILTER_FLAG_", "filter flag"},
    /* netsh mixes the run-time half's flags in */
    [G_CALLOUT_FLAG] = {"FWP", "callout flag"},
    [G_LAYER_FLAG] = {"FWPM_LAYER_FLAG_", "layer flag"},
    [G_PROVIDER_FLAG] = {"FWPM_PROVIDER_FLAG_", "provider flag"},
    [G_CONTEXT_FLAG] = {"FWPM_PROVIDER_CONTEXT_FLAG_", "provider context flag"},
    [G_SUBLAYER_FLAG] = {"FWPM_SUBLAYER_FLAG_", "sublayer flag"},
    [G_SESSION_FLAG] = {"FWPM_SESSION_FLAG_", "session flag"},
    [G_ENDPOINT_FLAG] = {"FWP", "endpoint flag"},
    [G_EVENT_FLAG] = {"FWPM_NET_EVENT_FLAG_", "net event flag"},
};

/* Names are told apart by their ends: the last eight bytes and the length. */
static UINT32 name_hash(const char *name, size_t size)
{
    UINT64 word = 0;
    if (size >= sizeof(word))
        memcpy(&word, name + size - sizeof(word), sizeof(word));
    else
        memcpy(&word, name, size);
    word = (word ^ size * 0x9e3779b97f4a7c15u) * 0xff51afd7ed558ccdu;
    return (UINT32)(word >> 40) % SCHEMA_NAMES;
}

static UINT32 name_slot(const struct schema *s, const char *name, size_t size)
{
    UINT32 at = name_hash(name, size);
    while (s->names[at] != NULL && (s->sizes[at] != size || memcmp(s->names[at], name, size) != 0))
        at = (at + 1) % SCHEMA_NAMES;
    return at;
}

void schema_init(struct schema *s)
{
    _Static_assert(sizeof(schema_table) / sizeof(schema_table[0]) < SCHEMA_NAMES,
                   "the table of names must keep free slots");
    memset(s, 0, sizeof(*s));
    for (size_t i = 0; i < sizeof(schema_table) / sizeof(schema_table[0]); i++) {
        UINT32 slot = name_slot(s, schema_table[i].name, strlen(schema_table[i].name));
        s->names[slot] = schema_table[i].name;
        s->sizes[slot] = s->lengths[i] = (UINT8)strlen(schema_table[i].name);
        s->rows[schema_table[i].context][slot] = (UINT16)(i + 1);
    }
}

const struct element *schema_find(const struct schema *s, enum context context, const char *name, size_t size)
{
    UINT16 row = s->rows[context][name_slot(s, name, size)];
    return row == 0 ? NULL : &schema_table[row - 1];
}
