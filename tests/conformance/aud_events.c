/* SPDX-License-Identifier: Apache-2.0 */
/* AUD-01..05, 07, 09, 11: net events, the log and its options; audits are in aud_audit.c, subscribers in
 * aud_subscribe.c. What needs a pended operation (AUD-10) comes later. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "events_lab.h"

static void AUD_01_a_block_is_logged_with_all_that_is_known(void **state)
{
    struct bfe_lab *l = *state;
    UINT64 id = bfe_lab_add_port(l->kernel, 80, FWP_ACTION_BLOCK);
    struct bfe_net_event **all;
    struct traffic t;
    SID *system = (SID *)(UINT8[12]){1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0};

    traffic_connection(&t, l);
    traffic_value(&t, &FWPM_CONDITION_FLAGS)->uint32 =
        FWP_CONDITION_FLAG_IS_LOOPBACK | FWP_CONDITION_FLAG_IS_REAUTHORIZE;
    traffic_value(&t, &FWPM_CONDITION_REAUTHORIZE_REASON)->uint32 =
        FWP_CONDITION_REAUTHORIZE_REASON_POLICY_CHANGE;
    traffic_value(&t, &FWPM_CONDITION_ORIGINAL_PROFILE_ID)->uint32 = 2;
    traffic_value(&t, &FWPM_CONDITION_CURRENT_PROFILE_ID)->uint32 = 4;
    assert_int_equal(traffic_classify(&t), FWP_ACTION_BLOCK);
    assert_int_equal(events_read(l, NULL, &all), 1);
    const FWPM_NET_EVENT5 *e = &all[0]->event;
    const FWPM_NET_EVENT_HEADER3 *h = &e->header;
    assert_int_equal(e->type, FWPM_NET_EVENT_TYPE_CLASSIFY_DROP);
    assert_int_equal(e->classifyDrop->filterId, id);
    assert_int_equal(e->classifyDrop->layerId, FWPS_LAYER_ALE_AUTH_CONNECT_V4);
    assert_int_equal(e->classifyDrop->reauthReason, FWP_CONDITION_REAUTHORIZE_REASON_POLICY_CHANGE);
    assert_int_equal(e->classifyDrop->originalProfile, 2);
    assert_int_equal(e->classifyDrop->currentProfile, 4);
    assert_int_equal(e->classifyDrop->msFwpDirection, BFE_DIRECTION_OUT);
    assert_int_equal(e->classifyDrop->isLoopback, TRUE);
    assert_int_equal(h->flags, FWPM_NET_EVENT_FLAG_IP_PROTOCOL_SET | FWPM_NET_EVENT_FLAG_LOCAL_ADDR_SET |
                                   FWPM_NET_EVENT_FLAG_REMOTE_ADDR_SET | FWPM_NET_EVENT_FLAG_LOCAL_PORT_SET |
                                   FWPM_NET_EVENT_FLAG_REMOTE_PORT_SET | FWPM_NET_EVENT_FLAG_APP_ID_SET |
                                   FWPM_NET_EVENT_FLAG_USER_ID_SET | FWPM_NET_EVENT_FLAG_IP_VERSION_SET |
                                   FWPM_NET_EVENT_FLAG_REAUTH_REASON_SET);
    assert_int_equal(h->ipVersion, FWP_IP_VERSION_V4);
    assert_int_equal(h->ipProtocol, 6);
    assert_int_equal(h->localAddrV4, 0x0a000001);
    assert_int_equal(h->remoteAddrV4, 0x0a000002);
    assert_int_equal(h->localPort, 1000);
    assert_int_equal(h->remotePort, 80);
    assert_int_equal(h->appId.size, traffic_app.size);
    assert_memory_equal(h->appId.data, traffic_app.data, traffic_app.size);
    assert_true(h->appId.data != traffic_app.data); /* its own copy */
    assert_true(security_sid_equal(h->userId, system));
    UINT64 when = (UINT64)h->timeStamp.dwHighDateTime << 32 | h->timeStamp.dwLowDateTime;
    assert_true(when == rt_clock_filetime(l->clock));
    bfe_free(all);
}

static void AUD_01_what_is_empty_is_not_set_and_v6_is_v6(void **state)
{
    struct bfe_lab *l = *state;
    FWPM_FILTER0 f = bfe_lab_filter(&FWPM_LAYER_ALE_AUTH_RECV_ACCEPT_V6, FWP_ACTION_BLOCK);
    FWP_BYTE_ARRAY16 remote = {{0xfe, 0x80, [15] = 7}};
    struct bfe_net_event **all;
    struct traffic t;

    bfe_lab_add(l->kernel, &f);
    traffic_at(&t, l, FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V6);
    *traffic_value(&t, &FWPM_CONDITION_IP_REMOTE_ADDRESS) =
        (FWP_VALUE0){.type = FWP_BYTE_ARRAY16_TYPE, .byteArray16 = &remote};
    t.metadata.currentMetadataValues = FWPS_METADATA_FIELD_REMOTE_SCOPE_ID;
    t.metadata.remoteScopeId.Value = 12;
    assert_int_equal(traffic_classify(&t), FWP_ACTION_BLOCK);
    assert_int_equal(events_read(l, NULL, &all), 1);
    const FWPM_NET_EVENT_HEADER3 *h = &all[0]->event.header;
    assert_int_equal(h->ipVersion, FWP_IP_VERSION_V6);
    assert_memory_equal(&h->remoteAddrV6, &remote, 16);
    assert_int_equal(h->flags & FWPM_NET_EVENT_FLAG_LOCAL_ADDR_SET, 0); /* it was EMPTY */
    assert_int_equal(h->flags & FWPM_NET_EVENT_FLAG_USER_ID_SET, 0);
    assert_null(h->userId);
    assert_true(h->flags & FWPM_NET_EVENT_FLAG_SCOPE_ID_SET);
    assert_int_equal(h->scopeId, 12);
    assert_int_equal(all[0]->event.classifyDrop->msFwpDirection, BFE_DIRECTION_IN);
    bfe_free(all);
}

static void AUD_01_a_frames_drop_has_its_addresses(void **state)
{
    struct bfe_lab *l = *state;
    FWPM_FILTER0 f = bfe_lab_filter(&FWPM_LAYER_INBOUND_MAC_FRAME_ETHERNET, FWP_ACTION_BLOCK);
    FWP_BYTE_ARRAY6 here = {{1, 2, 3, 4, 5, 6}}, there = {{6, 5, 4, 3, 2, 1}};
    struct bfe_net_event **all;
    struct traffic t;

    bfe_lab_add(l->kernel, &f);
    traffic_at(&t, l, FWPS_LAYER_INBOUND_MAC_FRAME_ETHERNET);
    *traffic_value(&t, &FWPM_CONDITION_MAC_LOCAL_ADDRESS) =
        (FWP_VALUE0){.type = FWP_BYTE_ARRAY6_TYPE, .byteArray6 = &here};
    *traffic_value(&t, &FWPM_CONDITION_MAC_REMOTE_ADDRESS) =
        (FWP_VALUE0){.type = FWP_BYTE_ARRAY6_TYPE, .byteArray6 = &there};
    traffic_value(&t, &FWPM_CONDITION_ETHER_TYPE)->uint16 = 0x0806;
    assert_int_equal(traffic_classify(&t), FWP_ACTION_BLOCK);
    assert_int_equal(events_read(l, NULL, &all), 1);
    assert_int_equal(all[0]->event.type, FWPM_NET_EVENT_TYPE_CLASSIFY_DROP_MAC);
    assert_memory_equal(&all[0]->event.classifyDropMac->localMacAddr, &here, 6);
    assert_memory_equal(&all[0]->event.classifyDropMac->remoteMacAddr, &there, 6);
    assert_int_equal(all[0]->event.classifyDropMac->etherType, 0x0806);
    bfe_free(all);
}

/* Inbound at the transport layer, to this address of that type. */
static void inbound(struct bfe_lab *l, UINT32 to, UINT8 type)
{
    struct traffic t;

    traffic_at(&t, l, FWPS_LAYER_INBOUND_TRANSPORT_V4);
    traffic_value(&t, &FWPM_CONDITION_IP_LOCAL_ADDRESS)->uint32 = to;
    traffic_value(&t, &FWPM_CONDITION_IP_LOCAL_ADDRESS_TYPE)->uint8 = type;
    assert_int_equal(traffic_classify(&t), FWP_ACTION_BLOCK);
}

static void AUD_02_what_is_collected_by_default_and_by_keyword(void **state)
{
    struct bfe_lab *l = *state;
    FWPM_FILTER0 f = bfe_lab_filter(&FWPM_LAYER_INBOUND_TRANSPORT_V4, FWP_ACTION_BLOCK);
    struct bfe_net_event **all;
    struct traffic t;

    bfe_lab_add(l->kernel, &f);
    f.layerKey = FWPM_LAYER_OUTBOUND_TRANSPORT_V4;
    bfe_lab_add(l->kernel, &f);
    inbound(l, 0x0a000001, NlatUnicast);
    assert_int_equal(events_count(l), 1);
    inbound(l, 0xe0000001, NlatMulticast);
    inbound(l, 0xffffffff, NlatBroadcast);
    inbound(l, 0x0affffff, NlatBroadcast);   /* a subnet's: only its type tells */
    inbound(l, 0xe0000001, NlatUnspecified); /* only its number tells */
    assert_int_equal(events_count(l), 1);
    traffic_at(&t, l, FWPS_LAYER_OUTBOUND_TRANSPORT_V4); /* all outbound, multicast too */
    traffic_value(&t, &FWPM_CONDITION_IP_REMOTE_ADDRESS)->uint32 = 0xe0000001;
    traffic_value(&t, &FWPM_CONDITION_IP_DESTINATION_ADDRESS_TYPE)->uint8 = NlatMulticast;
    traffic_classify(&t);
    assert_int_equal(events_count(l), 2);

    assert_int_equal(events_option(l->kernel, FWPM_ENGINE_NET_EVENT_MATCH_ANY_KEYWORDS,
                                   FWPM_NET_EVENT_KEYWORD_INBOUND_MCAST),
                     STATUS_SUCCESS);
    inbound(l, 0xe0000001, NlatMulticast);
    inbound(l, 0xffffffff, NlatBroadcast);
    assert_int_equal(events_count(l), 3);
    assert_int_equal(events_option(l->kernel, FWPM_ENGINE_NET_EVENT_MATCH_ANY_KEYWORDS,
                                   FWPM_NET_EVENT_KEYWORD_INBOUND_BCAST),
                     STATUS_SUCCESS);
    inbound(l, 0xe0000001, NlatMulticast);
    inbound(l, 0xffffffff, NlatBroadcast);
    assert_int_equal(events_count(l), 4);

    /* permits only by keyword, and then of the authorization layers */
    traffic_connection(&t, l);
    assert_int_equal(traffic_classify(&t), FWP_ACTION_PERMIT);
    assert_int_equal(events_count(l), 4);
    assert_int_equal(events_option(l->kernel, FWPM_ENGINE_NET_EVENT_MATCH_ANY_KEYWORDS,
                                   FWPM_NET_EVENT_KEYWORD_CLASSIFY_ALLOW),
                     STATUS_SUCCESS);
    traffic_classify(&t);
    assert_int_equal(events_read(l, NULL, &all), 5);
    assert_int_equal(all[4]->event.type, FWPM_NET_EVENT_TYPE_CLASSIFY_ALLOW);
    assert_int_equal(all[4]->event.classifyAllow->layerId, FWPS_LAYER_ALE_AUTH_CONNECT_V4);
    assert_int_equal(all[4]->event.classifyAllow->msFwpDirection, BFE_DIRECTION_OUT);
    bfe_free(all);
    traffic_at(&t, l, FWPS_LAYER_OUTBOUND_IPPACKET_V4);
    assert_int_equal(traffic_classify(&t), FWP_ACTION_PERMIT);
    assert_int_equal(events_count(l), 5);
    assert_int_equal(events_option(l->kernel, FWPM_ENGINE_NET_EVENT_MATCH_ANY_KEYWORDS, 0), STATUS_SUCCESS);
    traffic_connection(&t, l);
    traffic_classify(&t);
    assert_int_equal(events_count(l), 5);
}

static void AUD_02_options_and_their_faults(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *dynamic = bfe_lab_session(l, BFE_LAB_KERNEL, FWPM_SESSION_FLAG_DYNAMIC, 0);
    FWP_VALUE0 *v, wrong = {.type = FWP_UINT16, .uint16 = 1};

    assert_int_equal(bfe_option_get(l->kernel, FWPM_ENGINE_COLLECT_NET_EVENTS, &v), STATUS_SUCCESS);
    assert_int_equal(v->type, FWP_UINT32);
    assert_int_equal(v->uint32, 1);
    bfe_free(v);
    assert_int_equal(bfe_option_get(l->kernel, FWPM_ENGINE_NET_EVENT_MATCH_ANY_KEYWORDS, &v), STATUS_SUCCESS);
    assert_int_equal(v->uint32, 0);
    bfe_free(v);
    assert_int_equal(bfe_option_get(l->kernel, FWPM_ENGINE_OPTION_MAX, &v), STATUS_FWP_INVALID_ENUMERATOR);
    assert_int_equal(bfe_option_set(l->kernel, FWPM_ENGINE_COLLECT_NET_EVENTS, &wrong),
                     STATUS_FWP_TYPE_MISMATCH);
    assert_int_equal(bfe_option_set(l->kernel, FWPM_ENGINE_COLLECT_NET_EVENTS, NULL),
                     STATUS_FWP_NULL_POINTER);
    assert_int_equal(events_option(l->kernel, FWPM_ENGINE_COLLECT_NET_EVENTS, 2), STATUS_FWP_OUT_OF_BOUNDS);
    assert_int_equal(events_option(l->kernel, FWPM_ENGINE_NET_EVENT_MATCH_ANY_KEYWORDS, 0x80),
                     STATUS_FWP_INVALID_FLAGS);
    assert_int_equal(events_option(l->kernel, FWPM_ENGINE_OPTION_MAX, 0), STATUS_FWP_INVALID_ENUMERATOR);
    assert_int_equal(events_option(l->kernel, FWPM_ENGINE_NAME_CACHE, 1), STATUS_NOT_SUPPORTED);
    assert_int_equal(events_option(l->kernel, FWPM_ENGINE_MONITOR_IPSEC_CONNECTIONS, 1), STATUS_SUCCESS);
    assert_int_equal(events_option(l->kernel, FWPM_ENGINE_MONITOR_IPSEC_CONNECTIONS, 0), STATUS_FWP_STILL_ON);
    assert_int_equal(events_option(dynamic, FWPM_ENGINE_COLLECT_NET_EVENTS, 1),
                     STATUS_FWP_DYNAMIC_SESSION_IN_PROGRESS);
    bfe_session_close(dynamic);
    assert_int_equal(bfe_txn_begin(l->kernel, 0), STATUS_SUCCESS);
    assert_int_equal(events_option(l->kernel, FWPM_ENGINE_COLLECT_NET_EVENTS, 1), STATUS_FWP_TXN_IN_PROGRESS);
    assert_int_equal(bfe_txn_abort(l->kernel), STATUS_SUCCESS);
}

/* ---- callouts that absorb and veto
 * ------------------------------------------------------------------------------------- */

static void AUD_03_an_absorb_leaves_no_trace(void **state)
{
    struct bfe_lab *l = *state;
    struct traffic t;

    events_blocking_callout(l, &FWPM_LAYER_OUTBOUND_TRANSPORT_V4, 5);
    events_answer(FWPS_CLASSIFY_OUT_FLAG_ABSORB);
    traffic_at(&t, l, FWPS_LAYER_OUTBOUND_TRANSPORT_V4);
    assert_int_equal(traffic_classify(&t), FWP_ACTION_BLOCK);
    assert_true(t.verdict.flags & ENGINE_VERDICT_ABSORB);
    assert_int_equal(events_count(l), 0);
}

static void AUD_04_without_absorb_a_callouts_block_is_logged(void **state)
{
    struct bfe_lab *l = *state;
    UINT64 id = events_blocking_callout(l, &FWPM_LAYER_OUTBOUND_TRANSPORT_V4, 5);
    struct bfe_net_event **all;
    struct traffic t;

    events_answer(0);
    traffic_at(&t, l, FWPS_LAYER_OUTBOUND_TRANSPORT_V4);
    assert_int_equal(traffic_classify(&t), FWP_ACTION_BLOCK);
    assert_int_equal(events_read(l, NULL, &all), 1);
    assert_int_equal(all[0]->event.classifyDrop->filterId, id);
    bfe_free(all);
}

/* ---- the circular log
 * --------------------------------------------------------------------------------------------------- */

static void AUD_05_the_log_is_circular(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_net_event **all;
    struct traffic t;
    UINT32 n;

    bfe_lab_add_port(l->kernel, 0, FWP_ACTION_BLOCK);
    for (UINT16 port = 1; port <= 500; port++) {
        traffic_connection(&t, l);
        traffic_value(&t, &FWPM_CONDITION_IP_REMOTE_PORT)->uint16 = port;
        traffic_classify(&t);
    }
    n = events_read(l, NULL, &all);
    assert_in_range(n, 100, 150);
    assert_int_equal(all[n - 1]->event.header.remotePort, 500);
    assert_int_equal(all[0]->event.header.remotePort, 501 - n); /* the newest n, oldest first */
    bfe_free(all);
}

static void AUD_05_large_events_take_the_room_of_several(void **state)
{
    struct bfe_lab *l = *state;
    FWP_BYTE_BLOB long_path = {60000, calloc(1, 60000)};
    struct traffic t;

    bfe_lab_add_port(l->kernel, 0, FWP_ACTION_BLOCK);
    for (unsigned i = 0; i < 20; i++) {
        traffic_connection(&t, l);
        traffic_value(&t, &FWPM_CONDITION_ALE_APP_ID)->byteBlob = &long_path;
        traffic_classify(&t);
    }
    assert_int_equal(events_count(l), 2); /* of 60 KB each in 128 KB */
    free(long_path.data);
}

static void AUD_05_an_enumeration_is_a_snapshot_of_the_log(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_enum *e = NULL;
    struct traffic t;
    void **entries;
    UINT32 count;

    bfe_lab_add_port(l->kernel, 0, FWP_ACTION_BLOCK);
    traffic_connection(&t, l);
    traffic_classify(&t);
    assert_int_equal(bfe_enum_create(l->kernel, BFE_NET_EVENT, NULL, &e), STATUS_SUCCESS);
    for (unsigned i = 0; i < 300; i++)
        traffic_classify(&t);
    assert_int_equal(bfe_enum_next(l->kernel, e, 10, &entries, &count), STATUS_SUCCESS);
    assert_int_equal(count, 1);
    bfe_free(entries);
    bfe_enum_destroy(l->kernel, e);
    assert_int_equal(bfe_txn_begin(l->kernel, 0), STATUS_SUCCESS);
    assert_int_equal(bfe_enum_create(l->kernel, BFE_NET_EVENT, NULL, &e), STATUS_FWP_TXN_IN_PROGRESS);
    assert_int_equal(bfe_txn_abort(l->kernel), STATUS_SUCCESS);
}

static void AUD_05_disabled_collection_says_so_and_a_restart_empties(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_enum *e = NULL;
    struct traffic t;

    bfe_lab_add_port(l->kernel, 0, FWP_ACTION_BLOCK);
    traffic_connection(&t, l);
    traffic_classify(&t);
    assert_int_equal(events_option(l->kernel, FWPM_ENGINE_COLLECT_NET_EVENTS, 0), STATUS_SUCCESS);
    assert_int_equal(bfe_enum_create(l->kernel, BFE_NET_EVENT, NULL, &e), STATUS_FWP_NET_EVENTS_DISABLED);
    traffic_classify(&t);
    assert_int_equal(events_option(l->kernel, FWPM_ENGINE_COLLECT_NET_EVENTS, 1), STATUS_SUCCESS);
    assert_int_equal(events_count(l), 0); /* emptied when collection begins anew */
    traffic_classify(&t);
    assert_int_equal(events_option(l->kernel, FWPM_ENGINE_COLLECT_NET_EVENTS, 1), STATUS_SUCCESS);
    assert_int_equal(events_count(l), 1); /* it was on already */

    assert_int_equal(bfe_stop(l->bfe), 0);
    assert_int_equal(bfe_start(l->bfe), 0);
    bfe_session_close(l->kernel);
    l->kernel = bfe_lab_session(l, BFE_LAB_KERNEL, 0, 0);
    assert_int_equal(events_count(l), 0);
}

static void AUD_05_templates_of_events(void **state)
{
    struct bfe_lab *l = *state;
    FWPM_FILTER_CONDITION0 c[2];
    FWPM_NET_EVENT_ENUM_TEMPLATE0 tmpl = {.filterCondition = c};
    FWP_V4_ADDR_AND_MASK net = {0x0a000000, 0xff000000}, far = {0x0b000000, 0xff000000};
    FWP_BYTE_ARRAY16 v6 = {{1}};
    SID *system = (SID *)(UINT8[12]){1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0};
    struct bfe_net_event **all;
    struct bfe_enum *e = NULL;
    struct traffic t;
    UINT64 first = rt_clock_filetime(l->clock);

    bfe_lab_add_port(l->kernel, 0, FWP_ACTION_BLOCK);
    traffic_connection(&t, l);
    traffic_classify(&t);
    rt_clock_manual_advance(l->clock, 10 * BFE_LAB_SECOND);
    traffic_value(&t, &FWPM_CONDITION_IP_REMOTE_PORT)->uint16 = 443;
    traffic_classify(&t);

#define COUNT(expected)                                                                                      \
    do {                                                                                                     \
        assert_int_equal(events_read(l, &tmpl, &all), expected);                                             \
        bfe_free(all);                                                                                       \
    } while (0)
    COUNT(2); /* no condition, no period */
    tmpl.numFilterConditions = 1;
    c[0] = bfe_lab_condition(&FWPM_CONDITION_IP_REMOTE_PORT, FWP_MATCH_EQUAL,
                             (FWP_CONDITION_VALUE0){.type = FWP_UINT16, .uint16 = 443});
    COUNT(1);
    c[0].conditionValue.uint16 = 1;
    COUNT(0);
    c[0] = bfe_lab_condition(&FWPM_CONDITION_IP_REMOTE_ADDRESS, FWP_MATCH_EQUAL,
                             (FWP_CONDITION_VALUE0){.type = FWP_V4_ADDR_MASK, .v4AddrMask = &net});
    COUNT(2);
    c[0].conditionValue.v4AddrMask = &far;
    COUNT(0);
    c[0] = bfe_lab_condition(&FWPM_CONDITION_IP_REMOTE_ADDRESS, FWP_MATCH_NOT_EQUAL,
                             (FWP_CONDITION_VALUE0){.type = FWP_BYTE_ARRAY16_TYPE, .byteArray16 = &v6});
    COUNT(0); /* says nothing of IPv4 */
    c[0] = bfe_lab_condition(
        &FWPM_CONDITION_ALE_APP_ID, FWP_MATCH_EQUAL,
        (FWP_CONDITION_VALUE0){.type = FWP_BYTE_BLOB_TYPE, .byteBlob = (FWP_BYTE_BLOB *)&traffic_app});
    COUNT(2);
    c[0] = bfe_lab_condition(&FWPM_CONDITION_ALE_USER_ID, FWP_MATCH_EQUAL,
                             (FWP_CONDITION_VALUE0){.type = FWP_SID, .sid = system});
    COUNT(2);
    c[1] = bfe_lab_condition(&FWPM_CONDITION_IP_PROTOCOL, FWP_MATCH_EQUAL,
                             (FWP_CONDITION_VALUE0){.type = FWP_UINT8, .uint8 = 17});
    tmpl.numFilterConditions = 2;
    COUNT(0); /* both must hold */
    c[1] = c[0];
    assert_int_equal(bfe_enum_create(l->kernel, BFE_NET_EVENT, &tmpl, &e), STATUS_FWP_DUPLICATE_CONDITION);
    c[1].fieldKey = FWPM_CONDITION_FLAGS;
    assert_int_equal(bfe_enum_create(l->kernel, BFE_NET_EVENT, &tmpl, &e), STATUS_FWP_CONDITION_NOT_FOUND);
    tmpl.numFilterConditions = 0;
    tmpl.startTime = (FILETIME){(UINT32)(first + 1), (UINT32)((first + 1) >> 32)};
    COUNT(1);
    tmpl.endTime = (FILETIME){(UINT32)(first + 2), (UINT32)((first + 2) >> 32)};
    COUNT(0);
    tmpl.endTime = (FILETIME){1, 0};
    assert_int_equal(bfe_enum_create(l->kernel, BFE_NET_EVENT, &tmpl, &e), STATUS_FWP_INVALID_INTERVAL);
#undef COUNT
}

static void AUD_05_older_versions_see_what_they_can_hold(void **state)
{
    struct bfe_lab *l = *state;
    UINT64 id = bfe_lab_add_port(l->kernel, 80, FWP_ACTION_BLOCK);
    struct bfe_enum *e = NULL;
    struct traffic t;
    void **entries;
    UINT32 count;

    assert_int_equal(events_option(l->kernel, FWPM_ENGINE_NET_EVENT_MATCH_ANY_KEYWORDS,
                                   FWPM_NET_EVENT_KEYWORD_CLASSIFY_ALLOW),
                     STATUS_SUCCESS);
    traffic_connection(&t, l);
    traffic_value(&t, &FWPM_CONDITION_IP_REMOTE_PORT)->uint16 = 81;
    assert_int_equal(traffic_classify(&t), FWP_ACTION_PERMIT);
    traffic_value(&t, &FWPM_CONDITION_IP_REMOTE_PORT)->uint16 = 80;
    assert_int_equal(traffic_classify(&t), FWP_ACTION_BLOCK);
    for (unsigned version = 0; version <= BFE_NET_EVENT_NEWEST; version++) {
        assert_int_equal(bfe_enum_create(l->kernel, BFE_NET_EVENT, NULL, &e), STATUS_SUCCESS);
        assert_int_equal(bfe_net_event_next(l->kernel, e, version, 10, &entries, &count), STATUS_SUCCESS);
        assert_int_equal(count, version < 2 ? 1 : 2); /* allow events came with version 2 */
        void *drop = entries[count - 1];
#define CHECK(n)                                                                                             \
    if (version == n) {                                                                                      \
        FWPM_NET_EVENT##n *x = drop;                                                                         \
        assert_int_equal(x->type, FWPM_NET_EVENT_TYPE_CLASSIFY_DROP);                                        \
        assert_int_equal(x->classifyDrop->filterId, id);                                                     \
        assert_int_equal(x->header.remotePort, 80);                                                          \
        assert_memory_equal(x->header.appId.data, traffic_app.data, traffic_app.size);                       \
        assert_int_equal(x->header.userId->SubAuthority[0], 18);                                             \
    }
        CHECK(0)
        CHECK(1)
        CHECK(2)
        CHECK(3)
        CHECK(4)
        CHECK(5)
#undef CHECK
        bfe_free(entries);
        bfe_enum_destroy(l->kernel, e);
    }
}

static void AUD_07_a_permit_names_its_filter(void **state)
{
    struct bfe_lab *l = *state;
    FWPM_FILTER0 f = bfe_lab_filter(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, FWP_ACTION_PERMIT);
    FWPM_FILTER_CONDITION0 c = bfe_lab_condition(&FWPM_CONDITION_IP_LOCAL_PORT, FWP_MATCH_EQUAL,
                                                 (FWP_CONDITION_VALUE0){.type = FWP_UINT16, .uint16 = 1000});
    struct events_audited a = {0};
    struct bfe_net_event **all;
    struct traffic t;
    UINT64 id;

    f.filterCondition = &c; /* the local port: a field for which Windows may say 0 */
    f.numFilterConditions = 1;
    id = bfe_lab_add(l->kernel, &f);
    assert_int_equal(bfe_audit_set(l->bfe, BFE_AUDIT_CONNECTION, events_on_audit, &a), 0);
    assert_int_equal(events_option(l->kernel, FWPM_ENGINE_NET_EVENT_MATCH_ANY_KEYWORDS,
                                   FWPM_NET_EVENT_KEYWORD_CLASSIFY_ALLOW),
                     STATUS_SUCCESS);
    traffic_connection(&t, l);
    assert_int_equal(traffic_classify(&t), FWP_ACTION_PERMIT);
    bfe_notify_flush(l->bfe);
    assert_int_equal(a.count, 1);
    assert_int_equal(a.id[0], 5156);
    assert_int_equal(a.filter[0], id);
    assert_int_equal(events_read(l, NULL, &all), 1);
    assert_int_equal(all[0]->event.classifyAllow->filterId, id);
    bfe_free(all);
    assert_int_equal(bfe_audit_set(l->bfe, 0, NULL, NULL), 0);
}

static void AUD_09_each_sublayers_terminating_filter_is_listed(void **state)
{
    struct bfe_lab *l = *state;
    FWPM_FILTER0 f = bfe_lab_filter(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, FWP_ACTION_PERMIT);
    GUID sublayers[4];
    UINT64 ids[4], callout;
    struct bfe_net_event **all;
    struct traffic t;

    events_answer(0);
    for (UINT32 i = 0; i < 4; i++)
        sublayers[i] = bfe_lab_add_sublayer(l->kernel, i + 1, (UINT16)(400 - 100 * i));
    f.subLayerKey = sublayers[0];
    ids[0] = bfe_lab_add(l->kernel, &f); /* soft permit */
    f.subLayerKey = sublayers[1];
    f.action.type = FWP_ACTION_BLOCK;
    ids[1] = bfe_lab_add(l->kernel, &f); /* hard block: decides; what follows cannot matter */
    f.subLayerKey = sublayers[2];
    f.action.type = FWP_ACTION_PERMIT;
    ids[2] = bfe_lab_add(l->kernel, &f);
    f.subLayerKey = sublayers[3];
    FWPM_FILTER_CONDITION0 c = bfe_lab_condition(&FWPM_CONDITION_IP_REMOTE_PORT, FWP_MATCH_EQUAL,
                                                 (FWP_CONDITION_VALUE0){.type = FWP_UINT16, .uint16 = 9});
    f.filterCondition = &c;
    f.numFilterConditions = 1;
    ids[3] = bfe_lab_add(l->kernel, &f); /* does not match: ends nothing */
    traffic_connection(&t, l);
    assert_int_equal(traffic_classify(&t), FWP_ACTION_BLOCK);
    assert_null(t.verdict.ended); /* for the observer alone */
    assert_int_equal(events_read(l, NULL, &all), 1);
    assert_int_equal(all[0]->terminating_count, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(all[0]->terminating[i].filter_id, ids[i]);
        assert_memory_equal(&all[0]->terminating[i].sublayer, &sublayers[i], sizeof(GUID));
        assert_int_equal(all[0]->terminating[i].action, i == 1 ? FWP_ACTION_BLOCK : FWP_ACTION_PERMIT);
    }
    bfe_free(all);

    /* a callout that ends its sublayer is listed too, also below a hard block; and an allow event has its
     * list */
    callout = events_blocking_callout(l, &FWPM_LAYER_ALE_AUTH_CONNECT_V4, 350);
    assert_int_equal(traffic_classify(&t), FWP_ACTION_BLOCK);
    assert_int_equal(events_read(l, NULL, &all), 2);
    assert_int_equal(all[1]->terminating_count, 4);
    assert_int_equal(all[1]->terminating[1].filter_id, callout);
    bfe_free(all);
    assert_int_equal(bfe_filter_delete(l->kernel, NULL, ids[1]), STATUS_SUCCESS);
    assert_int_equal(bfe_filter_delete(l->kernel, NULL, callout), STATUS_SUCCESS);
    assert_int_equal(events_option(l->kernel, FWPM_ENGINE_NET_EVENT_MATCH_ANY_KEYWORDS,
                                   FWPM_NET_EVENT_KEYWORD_CLASSIFY_ALLOW),
                     STATUS_SUCCESS);
    assert_int_equal(traffic_classify(&t), FWP_ACTION_PERMIT);
    assert_int_equal(events_read(l, NULL, &all), 3);
    assert_int_equal(all[2]->event.type, FWPM_NET_EVENT_TYPE_CLASSIFY_ALLOW);
    assert_int_equal(all[2]->terminating_count, 2);
    assert_int_equal(all[2]->terminating[1].filter_id, ids[2]);
    bfe_free(all);
}

static void AUD_11_stream_and_redirect_blocks_but_no_closures_or_discards(void **state)
{
    static const struct {
        UINT16 layer;
        UINT32 audit; /* 0: neither event nor audit */
    } cases[] = {
        {FWPS_LAYER_STREAM_V4, 5152},
        {FWPS_LAYER_ALE_CONNECT_REDIRECT_V4, 5157},
        {FWPS_LAYER_ALE_CONNECT_REDIRECT_V6, 5157},
        {FWPS_LAYER_ALE_BIND_REDIRECT_V4, 5159},
        {FWPS_LAYER_ALE_BIND_REDIRECT_V6, 5159},
        {FWPS_LAYER_STREAM_V6, 5152},
        {FWPS_LAYER_ALE_ENDPOINT_CLOSURE_V4, 0},
        {FWPS_LAYER_ALE_ENDPOINT_CLOSURE_V6, 0},
        {FWPS_LAYER_ALE_RESOURCE_RELEASE_V4, 0},
        {FWPS_LAYER_ALE_RESOURCE_RELEASE_V6, 0},
        {FWPS_LAYER_INBOUND_TRANSPORT_V4_DISCARD, 0},
        {FWPS_LAYER_STREAM_V6_DISCARD, 0},
    };
    struct bfe_lab *l = *state;

    for (size_t i = 0; i < ARRAYSIZE(cases); i++) {
        FWPM_FILTER0 f = bfe_lab_filter(engine_layer_by_id(cases[i].layer)->key, FWP_ACTION_BLOCK);
        UINT32 before = events_count(l);
        struct events_audited a = {0};
        struct traffic t;

        bfe_lab_add(l->kernel, &f);
        assert_int_equal(
            bfe_audit_set(l->bfe, BFE_AUDIT_PACKET_DROP | BFE_AUDIT_CONNECTION, events_on_audit, &a), 0);
        traffic_at(&t, l, cases[i].layer);
        assert_int_equal(traffic_classify(&t), FWP_ACTION_BLOCK);
        bfe_notify_flush(l->bfe);
        assert_int_equal(events_count(l), before + (cases[i].audit ? 1 : 0));
        assert_int_equal(a.count, cases[i].audit ? 1 : 0);
        assert_int_equal(a.id[0], cases[i].audit);
    }
    assert_int_equal(bfe_audit_set(l->bfe, 0, NULL, NULL), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bfe_lab_setup, bfe_lab_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(AUD_01_a_block_is_logged_with_all_that_is_known),
        TEST(AUD_01_what_is_empty_is_not_set_and_v6_is_v6),
        TEST(AUD_01_a_frames_drop_has_its_addresses),
        TEST(AUD_02_what_is_collected_by_default_and_by_keyword),
        TEST(AUD_02_options_and_their_faults),
        TEST(AUD_03_an_absorb_leaves_no_trace),
        TEST(AUD_04_without_absorb_a_callouts_block_is_logged),
        TEST(AUD_05_the_log_is_circular),
        TEST(AUD_05_large_events_take_the_room_of_several),
        TEST(AUD_05_an_enumeration_is_a_snapshot_of_the_log),
        TEST(AUD_05_disabled_collection_says_so_and_a_restart_empties),
        TEST(AUD_05_templates_of_events),
        TEST(AUD_05_older_versions_see_what_they_can_hold),
        TEST(AUD_07_a_permit_names_its_filter),
        TEST(AUD_09_each_sublayers_terminating_filter_is_listed),
        TEST(AUD_11_stream_and_redirect_blocks_but_no_closures_or_discards),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
