/* SPDX-License-Identifier: Apache-2.0 */
/* Templates of net events (FWPM_NET_EVENT_ENUM_TEMPLATE0), for enumerations and subscriptions; see
 * net_event.h. */
#include <stdlib.h>
#include <string.h>

#include "bfe/net_event.h"

struct net_event_template {
    FWPM_NET_EVENT_ENUM_TEMPLATE0 described;
    bool any;
    UINT64 start, end; /* FILETIMEs; end 0: no end */
    FWPM_FILTER0 *conditions;
};

/* The documented keys, as fields that a condition can be checked against; addresses stand twice. The eighth
 * documented key, the scope id, is "reserved for internal use" and has no published GUID. */
static const struct engine_field fields[] = {
    {&FWPM_CONDITION_IP_PROTOCOL, "FWPM_CONDITION_IP_PROTOCOL", 0, FWPM_FIELD_RAW_DATA, FWP_UINT8},
    {&FWPM_CONDITION_IP_LOCAL_PORT, "FWPM_CONDITION_IP_LOCAL_PORT", 1, FWPM_FIELD_RAW_DATA, FWP_UINT16},
    {&FWPM_CONDITION_IP_REMOTE_PORT, "FWPM_CONDITION_IP_REMOTE_PORT", 2, FWPM_FIELD_RAW_DATA, FWP_UINT16},
    {&FWPM_CONDITION_ALE_APP_ID, "FWPM_CONDITION_ALE_APP_ID", 3, FWPM_FIELD_RAW_DATA, FWP_BYTE_BLOB_TYPE},
    {&FWPM_CONDITION_ALE_USER_ID, "FWPM_CONDITION_ALE_USER_ID", 4, FWPM_FIELD_RAW_DATA, FWP_SID},
    {&FWPM_CONDITION_IP_LOCAL_ADDRESS, "FWPM_CONDITION_IP_LOCAL_ADDRESS", 5, FWPM_FIELD_IP_ADDRESS,
     FWP_UINT32},
    {&FWPM_CONDITION_IP_REMOTE_ADDRESS, "FWPM_CONDITION_IP_REMOTE_ADDRESS", 6, FWPM_FIELD_IP_ADDRESS,
     FWP_UINT32},
    {&FWPM_CONDITION_IP_LOCAL_ADDRESS, "FWPM_CONDITION_IP_LOCAL_ADDRESS", 7, FWPM_FIELD_IP_ADDRESS,
     FWP_BYTE_ARRAY16_TYPE},
    {&FWPM_CONDITION_IP_REMOTE_ADDRESS, "FWPM_CONDITION_IP_REMOTE_ADDRESS", 8, FWPM_FIELD_IP_ADDRESS,
     FWP_BYTE_ARRAY16_TYPE},
};
enum { PROTOCOL, LOCAL_PORT, REMOTE_PORT, APP_ID, USER_ID, LOCAL_ADDRESS, REMOTE_ADDRESS };
#define SECOND_FAMILY 2 /* from an address' IPv4 field to its IPv6 field */

static int find_field(const GUID *key)
{
    for (size_t i = 0; i < ARRAYSIZE(fields); i++)
        if (memcmp(fields[i].key, key, sizeof(*key)) == 0)
            return (int)i;
    return -1;
}

/* Which family's address does a condition speak of? */
static bool is_v6(const FWP_CONDITION_VALUE0 *v)
{
    FWP_DATA_TYPE type = v->type == FWP_RANGE_TYPE && v->rangeValue ? v->rangeValue->valueLow.type : v->type;

    return type == FWP_BYTE_ARRAY16_TYPE || type == FWP_V6_ADDR_MASK;
}

static NTSTATUS check_conditions(const FWPM_FILTER_CONDITION0 *conditions, UINT32 count)
{
    UINT32 seen = 0;

    if (count && !conditions)
        return STATUS_FWP_NULL_POINTER;
    for (UINT32 i = 0; i < count; i++) {
        int index = find_field(&conditions[i].fieldKey);
        if (index < 0)
            return STATUS_FWP_CONDITION_NOT_FOUND;
        if (seen & 1u << index)
            return STATUS_FWP_DUPLICATE_CONDITION;
        seen |= 1u << index;
        if (index >= LOCAL_ADDRESS && is_v6(&conditions[i].conditionValue))
            index += SECOND_FAMILY;
        NTSTATUS status =
            engine_condition_check(&fields[index], conditions[i].matchType, &conditions[i].conditionValue);
        if (status != STATUS_SUCCESS)
            return status;
    }
    return STATUS_SUCCESS;
}

static UINT64 filetime_of(const FILETIME *t)
{
    return (UINT64)t->dwHighDateTime << 32 | t->dwLowDateTime;
}

NTSTATUS net_event_template_create(const FWPM_NET_EVENT_ENUM_TEMPLATE0 *tmpl, struct net_event_template **out)
{
    struct net_event_template *t;
    NTSTATUS status;

    if (tmpl) {
        status = check_conditions(tmpl->filterCondition, tmpl->numFilterConditions);
        if (status != STATUS_SUCCESS)
            return status;
    }
    t = calloc(1, sizeof(*t));
    if (!t)
        return STATUS_NO_MEMORY;
    t->any = !tmpl;
    if (tmpl) {
        FWPM_FILTER0 shell = {.displayData = {.name = (WCHAR *)u""},
                              .numFilterConditions = tmpl->numFilterConditions,
                              .filterCondition = tmpl->filterCondition};
        t->described = *tmpl;
        t->described.filterCondition = NULL;
        t->start = filetime_of(&tmpl->startTime);
        t->end = filetime_of(&tmpl->endTime);
        status = t->end && t->end < t->start ? STATUS_FWP_INVALID_INTERVAL : STATUS_SUCCESS;
        if (status == STATUS_SUCCESS && shell.numFilterConditions) {
            t->conditions = bfe_copy(BFE_FILTER, &shell);
            status = t->conditions ? STATUS_SUCCESS : STATUS_NO_MEMORY;
            if (t->conditions)
                t->described.filterCondition = t->conditions->filterCondition;
        }
        if (status != STATUS_SUCCESS) {
            net_event_template_destroy(t);
            return status;
        }
    }
    *out = t;
    return STATUS_SUCCESS;
}

void net_event_template_destroy(struct net_event_template *t)
{
    if (!t)
        return;
    bfe_free(t->conditions);
    free(t);
}

const FWPM_NET_EVENT_ENUM_TEMPLATE0 *net_event_template_described(const struct net_event_template *t)
{
    return t->any ? NULL : &t->described;
}

/* The event's value for a documented key; EMPTY where it has none. */
static FWP_VALUE0 event_value(const FWPM_NET_EVENT_HEADER3 *h, int index)
{
    FWP_VALUE0 v = {.type = FWP_EMPTY};
    bool v6 = h->ipVersion == FWP_IP_VERSION_V6;

#define GIVE(flag, data_type, member, what)                                                                  \
    if (h->flags & (flag)) {                                                                                 \
        v.type = data_type;                                                                                  \
        v.member = what;                                                                                     \
    }                                                                                                        \
    break
    switch (index) {
    case PROTOCOL:
        GIVE(FWPM_NET_EVENT_FLAG_IP_PROTOCOL_SET, FWP_UINT8, uint8, h->ipProtocol);
    case LOCAL_PORT:
        GIVE(FWPM_NET_EVENT_FLAG_LOCAL_PORT_SET, FWP_UINT16, uint16, h->localPort);
    case REMOTE_PORT:
        GIVE(FWPM_NET_EVENT_FLAG_REMOTE_PORT_SET, FWP_UINT16, uint16, h->remotePort);
    case APP_ID:
        GIVE(FWPM_NET_EVENT_FLAG_APP_ID_SET, FWP_BYTE_BLOB_TYPE, byteBlob, (FWP_BYTE_BLOB *)&h->appId);
    case USER_ID:
        GIVE(FWPM_NET_EVENT_FLAG_USER_ID_SET, FWP_SID, sid, h->userId);
    case LOCAL_ADDRESS:
        if (v6) {
            GIVE(FWPM_NET_EVENT_FLAG_LOCAL_ADDR_SET, FWP_BYTE_ARRAY16_TYPE, byteArray16,
                 (FWP_BYTE_ARRAY16 *)&h->localAddrV6);
        }
        GIVE(FWPM_NET_EVENT_FLAG_LOCAL_ADDR_SET, FWP_UINT32, uint32, h->localAddrV4);
    case REMOTE_ADDRESS:
        if (v6) {
            GIVE(FWPM_NET_EVENT_FLAG_REMOTE_ADDR_SET, FWP_BYTE_ARRAY16_TYPE, byteArray16,
                 (FWP_BYTE_ARRAY16 *)&h->remoteAddrV6);
        }
        GIVE(FWPM_NET_EVENT_FLAG_REMOTE_ADDR_SET, FWP_UINT32, uint32, h->remoteAddrV4);
    }
#undef GIVE
    return v;
}

bool net_event_matches(const struct net_event_template *t, const struct net_event *e)
{
    const FWPM_NET_EVENT_HEADER3 *h = &e->it.event.header;
    UINT64 when = filetime_of(&h->timeStamp);

    if (t->any)
        return true;
    if (when < t->start || (t->end && when > t->end))
        return false;
    for (UINT32 i = 0; i < t->described.numFilterConditions; i++) {
        const FWPM_FILTER_CONDITION0 *c = &t->described.filterCondition[i];
        int index = find_field(&c->fieldKey);
        FWP_VALUE0 v = event_value(h, index);
        /* A condition on one family's address says nothing about the other's: no match. */
        if (index >= LOCAL_ADDRESS && v.type != FWP_EMPTY && c->conditionValue.type != FWP_EMPTY &&
            is_v6(&c->conditionValue) != (h->ipVersion == FWP_IP_VERSION_V6))
            return false;
        if (!engine_match(c->matchType, &c->conditionValue, &v))
            return false;
    }
    return true;
}
