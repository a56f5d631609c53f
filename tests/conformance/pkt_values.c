/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fixed values of an indication: orders of bytes (PKT-25), directions (MATCH-20), reasons of
 * reauthorization (MATCH-25), flags, interfaces, and what is not known. Also that a callout sees the same as
 * the observer, and that nothing is filled in vain.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bfe/net_event.h"
#include "scene_lab.h"

#define CONDITION(name) &FWPM_CONDITION_##name

static bool is_empty(const struct scene_seen *s, const GUID *key)
{
    return scene_value(s, key)->type == FWP_EMPTY;
}

/* ---- PKT-25 ---------------------------------------------------------------------------------------------
 */

static void PKT_25_values_are_in_host_order_bytes_as_they_stand(void **state)
{
    struct scene_lab *l = *state;
    const struct scene_seen *s = &l->seen[0];
    uint8_t v6[16] = {0xfd, 0, [15] = 2};

    SCENE_IN(l, .src = "10.1.2.3", .dst = "10.0.0.1", .sport = 0x1234, .dport = 0x0035, .fill = 4);
    scene_lab_indicate(l, LAYER_IT);
    assert_int_equal(scene_number(s, CONDITION(IP_REMOTE_ADDRESS)), 0x0a010203);
    assert_int_equal(scene_number(s, CONDITION(IP_LOCAL_ADDRESS)), 0x0a000001);
    assert_int_equal(scene_number(s, CONDITION(IP_REMOTE_PORT)), 0x1234);
    assert_int_equal(scene_number(s, CONDITION(IP_LOCAL_PORT)), 53);
    scene_lab_indicate(l, LAYER_II);
    assert_memory_equal(s->bytes, "\x12\x34\x00\x35", 4); /* the packet: network order */
    SCENE_IN(l, .src = "fd00::2", .dst = "fd00::1", .sport = 0x1234, .dport = 53, .fill = 4);
    scene_lab_indicate(l, LAYER_IT);
    assert_int_equal(scene_value(s, CONDITION(IP_REMOTE_ADDRESS))->type, FWP_BYTE_ARRAY16_TYPE);
    assert_memory_equal(scene_value(s, CONDITION(IP_REMOTE_ADDRESS))->byteArray16, v6, 16);
    assert_int_equal(scene_number(s, CONDITION(IP_REMOTE_PORT)), 0x1234);
    l->lab.host->config.knobs.l2_layers = true;
    SCENE_IN(l, .vlan = 0x123, .fill = 4);
    scene_lab_indicate(l, LAYER_MAC_IN);
    assert_int_equal(scene_number(s, CONDITION(ETHER_TYPE)), 0x0800);
    assert_int_equal(scene_number(s, CONDITION(VLAN_ID)), 0x123);
    assert_memory_equal(scene_value(s, CONDITION(MAC_LOCAL_ADDRESS))->byteArray6, l->frame, 6);
    assert_memory_equal(scene_value(s, CONDITION(MAC_REMOTE_ADDRESS))->byteArray6, l->frame + 6, 6);
}

/* ---- MATCH-20, MATCH-25 ---------------------------------------------------------------------------------
 */

static void MATCH_20_direction_is_the_connections_but_for_datagrams(void **state)
{
    static const enum host_layer roles[] = {LAYER_ST, LAYER_FE, LAYER_DD};
    static const FWP_DIRECTION ways[] = {FWP_DIRECTION_OUTBOUND, FWP_DIRECTION_INBOUND};
    struct scene_lab *l = *state;

    for (size_t i = 0; i < ARRAYSIZE(roles); i++) {
        for (int connection = 0; connection < 2; connection++) {
            for (int packet = 0; packet < 2; packet++) {
                if (ways[packet] == FWP_DIRECTION_INBOUND)
                    SCENE_IN(l, .fill = 4);
                else
                    SCENE_OUT(l, .fill = 4);
                l->scene.connection_direction = ways[connection];
                scene_lab_indicate(l, roles[i]);
                assert_int_equal(scene_number(&l->seen[0], CONDITION(DIRECTION)),
                                 roles[i] == LAYER_DD ? ways[packet] : ways[connection]);
            }
        }
    }
}

static void MATCH_25_reasons_come_with_reauthorize_alone(void **state)
{
    static const UINT32 reasons[] = {FWP_CONDITION_REAUTHORIZE_REASON_POLICY_CHANGE,
                                     FWP_CONDITION_REAUTHORIZE_REASON_NEW_ARRIVAL_INTERFACE |
                                         FWP_CONDITION_REAUTHORIZE_REASON_PROFILE_CROSSING,
                                     FWP_CONDITION_REAUTHORIZE_REASON_PROXY_HANDLE_CHANGED};
    static const enum host_layer roles[] = {LAYER_AC, LAYER_RA};
    struct scene_lab *l = *state;
    const struct scene_seen *s = &l->seen[0];

    for (int i = 0; i < 2; i++) {
        SCENE_IN(l, .fill = 4);
        scene_lab_indicate(l, roles[i]);
        assert_int_equal(scene_number(s, CONDITION(REAUTHORIZE_REASON)), 0);
        assert_false(scene_number(s, CONDITION(FLAGS)) & FWP_CONDITION_FLAG_IS_REAUTHORIZE);
        for (size_t j = 0; j < ARRAYSIZE(reasons); j++) {
            l->scene.reauthorize = reasons[j];
            scene_lab_indicate(l, roles[i]);
            assert_int_equal(scene_number(s, CONDITION(REAUTHORIZE_REASON)), reasons[j]);
            assert_true(scene_number(s, CONDITION(FLAGS)) & FWP_CONDITION_FLAG_IS_REAUTHORIZE);
            assert_int_equal(s->cause, HOST_CAUSE_REAUTHORIZE);
        }
    }
    /* Other layers know nothing of it. */
    scene_lab_indicate(l, LAYER_IT);
    assert_false(scene_number(s, CONDITION(FLAGS)) & FWP_CONDITION_FLAG_IS_REAUTHORIZE);
}

/* ---- flags ----------------------------------------------------------------------------------------------
 */

static UINT32 flags_at(struct scene_lab *l, enum host_layer role)
{
    scene_lab_indicate(l, role);
    return (UINT32)scene_number(&l->seen[0], CONDITION(FLAGS));
}

static void MATCH_21_loopback_between_ordinary_programs_says_so_at_ale(void **state)
{
    const SID package = {1, 1, {{0, 0, 0, 0, 0, 15}}, {2}};
    struct scene_lab *l = *state;

    SCENE_IN(l, .src = "127.0.0.1", .dst = "127.0.0.1", .fill = 4);
    scene_lab_rich(l);
    assert_int_equal(flags_at(l, LAYER_RA), 0);
    l->scene.loopback = true;
    assert_int_equal(flags_at(l, LAYER_RA),
                     FWP_CONDITION_FLAG_IS_LOOPBACK | FWP_CONDITION_FLAG_IS_NON_APPCONTAINER_LOOPBACK);
    assert_int_equal(flags_at(l, LAYER_AC),
                     FWP_CONDITION_FLAG_IS_LOOPBACK | FWP_CONDITION_FLAG_IS_NON_APPCONTAINER_LOOPBACK);
    assert_int_equal(flags_at(l, LAYER_IT), FWP_CONDITION_FLAG_IS_LOOPBACK);
    assert_int_equal(flags_at(l, LAYER_FE), FWP_CONDITION_FLAG_IS_LOOPBACK);
    l->owner.package = &package;
    assert_int_equal(flags_at(l, LAYER_RA),
                     FWP_CONDITION_FLAG_IS_LOOPBACK | FWP_CONDITION_FLAG_IS_APPCONTAINER_LOOPBACK);
}

static void MATCH_21_flags_stand_where_they_mean_something(void **state)
{
    struct scene_lab *l = *state;

    SCENE_IN(l, .fill = 4);
    scene_lab_rich(l);
    l->scene.flags = ~0u;
    assert_true(flags_at(l, LAYER_II) & FWP_CONDITION_FLAG_IS_FRAGMENT);
    assert_true(flags_at(l, LAYER_II) & FWP_CONDITION_FLAG_IS_REASSEMBLED);
    assert_false(flags_at(l, LAYER_IT) & FWP_CONDITION_FLAG_IS_REASSEMBLED);
    assert_true(flags_at(l, LAYER_FW) & FWP_CONDITION_FLAG_IS_INBOUND_PASS_THRU);
    assert_false(flags_at(l, LAYER_II) & FWP_CONDITION_FLAG_IS_INBOUND_PASS_THRU);
    assert_true(flags_at(l, LAYER_LIS) & FWP_CONDITION_FLAG_IS_RECLASSIFY);
    l->scene.flags = 0;
    l->endpoint.wildcard = l->endpoint.implicit_bind = l->endpoint.raw = true;
    assert_int_equal(flags_at(l, LAYER_RES), FWP_CONDITION_FLAG_IS_WILDCARD_BIND |
                                                 FWP_CONDITION_FLAG_IS_IMPLICIT_BIND |
                                                 FWP_CONDITION_FLAG_IS_RAW_ENDPOINT);
    assert_int_equal(flags_at(l, LAYER_DD), FWP_CONDITION_FLAG_IS_RAW_ENDPOINT);
    assert_int_equal(flags_at(l, LAYER_OI), 0);
}

/* ---- every field of every layer -------------------------------------------------------------------------
 */

static void every_value_has_its_fields_type(void **state)
{
    static const uint8_t stream[] = "data";
    struct scene_lab *l = *state;

    l->lab.host->config.knobs.l2_layers = true;
    for (int role = 0; role < LAYER_ROLES; role++) {
        for (int v6 = 0; v6 < 2; v6++) {
            const struct engine_layer *layer;
            const char *src = v6 ? "fd00::2" : "10.0.0.2", *dst = v6 ? "fd00::1" : "10.0.0.1";
            unsigned given = 0;

            SCENE_IN(l, .src = src, .dst = dst, .fill = 4);
            scene_lab_rich(l);
            l->scene.stream = stream;
            l->scene.stream_size = 4;
            scene_lab_indicate(l, (enum host_layer)role);
            layer = engine_layer_by_id(l->seen[0].layer);
            assert_int_equal(layer->id, layer_id((enum host_layer)role, v6 ? 6 : 4));
            for (UINT16 i = 0; i < layer->field_count; i++) {
                FWP_DATA_TYPE type = l->seen[0].value[i].value.type;

                if (type != FWP_EMPTY && type != layer->fields[i].data_type)
                    fail_msg("%s: %s has type %d", layer->name, layer->fields[i].name, type);
                given += type != FWP_EMPTY;
            }
            assert_true(given > 0);
            assert_int_equal(l->seen[0].unknown, 0);
        }
    }
}

static void owners_are_indicated(void **state)
{
    const SID package = {1, 1, {{0, 0, 0, 0, 0, 15}}, {2}};
    const SID nobody = {1, 1, {{0, 0, 0, 0, 0, 0}}, {0}};
    struct scene_lab *l = *state;
    const struct scene_seen *s = &l->seen[0];

    SCENE_IN(l, .fill = 4);
    scene_lab_rich(l);
    scene_lab_indicate(l, LAYER_RA);
    assert_ptr_equal(scene_value(s, CONDITION(ALE_APP_ID))->byteBlob, l->app);
    assert_ptr_equal(scene_value(s, CONDITION(ALE_USER_ID))->tokenAccessInformation, l->owner.token);
    assert_memory_equal(scene_value(s, CONDITION(ALE_PACKAGE_ID))->sid, &nobody,
                        sizeof(nobody)); /* MATCH-29 */
    l->owner.package = &package;
    scene_lab_indicate(l, LAYER_RA);
    assert_memory_equal(scene_value(s, CONDITION(ALE_PACKAGE_ID))->sid, &package, sizeof(package));
    assert_true(is_empty(s, CONDITION(ALE_REMOTE_USER_ID)));
}

static void binds_without_an_address_indicate_none(void **state)
{
    struct scene_lab *l = *state;
    const struct scene_seen *s = &l->seen[0];

    SCENE_IN(l, .src = "10.0.0.2", .dst = "0.0.0.0", .fill = 4);
    l->scene.any_remote = true;
    scene_lab_indicate(l, LAYER_RES);
    assert_true(is_empty(s, CONDITION(IP_LOCAL_ADDRESS)));
    scene_lab_indicate(l, LAYER_EC);
    assert_true(is_empty(s, CONDITION(IP_REMOTE_ADDRESS)));
    assert_true(is_empty(s, CONDITION(IP_REMOTE_PORT)));
    scene_lab_indicate(l, LAYER_IT); /* a packet's is what it is */
    assert_int_equal(scene_number(s, CONDITION(IP_LOCAL_ADDRESS)), 0);
}

static void interfaces_are_those_that_are_known(void **state)
{
    struct scene_lab *l = *state;
    const struct scene_seen *s = &l->seen[0];

    SCENE_IN(l, .fill = 4);
    scene_lab_indicate(l, LAYER_RA);
    assert_int_equal(scene_number(s, CONDITION(ARRIVAL_INTERFACE_INDEX)), 1);
    assert_int_equal(scene_number(s, CONDITION(IP_LOCAL_INTERFACE)), 0x0006000001000000);
    assert_int_equal(scene_number(s, CONDITION(INTERFACE_TYPE)), 6);
    assert_true(is_empty(s, CONDITION(IP_NEXTHOP_INTERFACE)));
    /* MATCH-12: sent, and reauthorized where it was received */
    SCENE_OUT(l, .fill = 4);
    l->scene.reauthorize = FWP_CONDITION_REAUTHORIZE_REASON_POLICY_CHANGE;
    scene_lab_indicate(l, LAYER_RA);
    assert_true(is_empty(s, CONDITION(ARRIVAL_INTERFACE_INDEX)));
    assert_int_equal(scene_number(s, CONDITION(NEXTHOP_INTERFACE_INDEX)), 1);
    /* forwarded: from one to the other */
    SCENE_IN(l, .src = "10.0.0.2", .dst = "192.0.2.1", .fill = 4);
    l->scene.next_hop = host_interface_by_index(l->lab.host, 2);
    scene_lab_indicate(l, LAYER_FW);
    assert_int_equal(scene_number(s, CONDITION(SOURCE_INTERFACE_INDEX)), 1);
    assert_int_equal(scene_number(s, CONDITION(DESTINATION_INTERFACE_INDEX)), 2);
    assert_int_equal(scene_number(s, CONDITION(IP_SOURCE_ADDRESS)), 0x0a000002);
    assert_int_equal(scene_number(s, CONDITION(IP_DESTINATION_ADDRESS)), 0xc0000201);
    /* a weak host: the packet came on another interface than the address is of */
    SCENE_IN(l, .fill = 4);
    l->scene.home = host_interface_by_index(l->lab.host, 2);
    scene_lab_indicate(l, LAYER_RA);
    assert_int_equal(scene_number(s, CONDITION(ARRIVAL_INTERFACE_INDEX)), 1);
    assert_int_equal(scene_number(s, CONDITION(INTERFACE_INDEX)), 2);
}

static void icmp_stands_in_the_port_fields(void **state)
{
    const struct packet quoted = {.src = "10.0.0.1", .dst = "10.0.0.9", .sport = 5, .dport = 6, .fill = 4};
    struct scene_lab *l = *state;
    const struct scene_seen *s = &l->seen[0];

    SCENE_IN(l, .src = "10.0.0.9", .dst = "10.0.0.1", .protocol = WIRE_PROTOCOL_ICMP, .icmp_type = 3,
             .icmp_code = 1, .quotes = &quoted);
    assert_true(wire_icmp_quote(&l->packet, &(struct wire_packet){0}));
    {
        struct wire_packet inner;

        assert_true(wire_icmp_quote(&l->packet, &inner));
        l->scene.embedded = &inner;
        scene_lab_indicate(l, LAYER_IIE);
    }
    assert_int_equal(scene_number(s, CONDITION(IP_LOCAL_PORT)), 3);  /* type: MATCH-19 */
    assert_int_equal(scene_number(s, CONDITION(IP_REMOTE_PORT)), 1); /* code */
    assert_int_equal(scene_number(s, CONDITION(EMBEDDED_PROTOCOL)), WIRE_PROTOCOL_UDP);
    assert_int_equal(scene_number(s, CONDITION(EMBEDDED_LOCAL_PORT)), 5);
    assert_int_equal(scene_number(s, CONDITION(EMBEDDED_REMOTE_PORT)), 6);
    assert_int_equal(scene_number(s, CONDITION(EMBEDDED_REMOTE_ADDRESS)), 0x0a000009);
    SCENE_IN(l, .protocol = WIRE_PROTOCOL_ICMP, .icmp_type = 8, .icmp_id = 3);
    l->scene.original_icmp_type = 8;
    scene_lab_indicate(l, LAYER_RA);
    assert_int_equal(scene_number(s, CONDITION(ORIGINAL_ICMP_TYPE)), 8);
    SCENE_IN(l, .fill = 4);
    scene_lab_indicate(l, LAYER_RA);
    assert_true(is_empty(s, CONDITION(ORIGINAL_ICMP_TYPE)));
}

static void data_link_addresses_have_kinds(void **state)
{
    static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, group[6] = {1, 0, 0x5e, 0, 0, 1};
    struct scene_lab *l = *state;
    const struct scene_seen *s = &l->seen[0];

    l->lab.host->config.knobs.l2_layers = true;
    SCENE_IN(l, .mac_dst = all, .fill = 4);
    scene_lab_indicate(l, LAYER_MAC_IN);
    assert_int_equal(scene_number(s, CONDITION(MAC_LOCAL_ADDRESS_TYPE)), DlBroadcast);
    assert_int_equal(scene_number(s, CONDITION(MAC_REMOTE_ADDRESS_TYPE)), DlUnicast);
    {
        /* and the event log reads them as what they are */
        FWPS_INCOMING_VALUES0 values = {FWPS_LAYER_INBOUND_MAC_FRAME_ETHERNET,
                                        engine_layer_by_id(s->layer)->field_count, l->seen[0].value};
        struct engine_request q = {.values = &values};

        assert_int_equal(net_event_inbound_audience(&q), NET_TO_ALL);
    }
    SCENE_OUT(l, .mac_dst = group, .fill = 4);
    scene_lab_indicate(l, LAYER_MAC_OUT);
    assert_int_equal(scene_number(s, CONDITION(MAC_REMOTE_ADDRESS_TYPE)), DlMulticast);
    assert_memory_equal(scene_value(s, CONDITION(INTERFACE_MAC_ADDRESS))->byteArray6, "\2\0\0\0\0\1", 6);
    assert_int_equal(scene_number(s, CONDITION(VLAN_ID)), 0);
    scene_lab_indicate(l, LAYER_MAC_OUT_NATIVE);
    assert_int_equal(scene_number(s, CONDITION(NDIS_MEDIA_TYPE)), NdisMedium802_3);
    assert_int_equal(scene_number(s, CONDITION(L2_FLAGS)),
                     FWP_CONDITION_L2_IS_NATIVE_ETHERNET | FWP_CONDITION_L2_IF_CONNECTOR_PRESENT);
}

/* ---- what is not known; settings; the judge -------------------------------------------------------------
 */

static UINT64 field_bit(enum host_layer role, const GUID *key)
{
    return 1ULL << engine_layer_field(engine_layer_by_id(layer_id(role, 4)), key);
}

static void what_nobody_knows_is_said_to_be_unknown(void **state)
{
    struct scene_lab *l = *state;
    const struct scene_seen *s = &l->seen[0];

    SCENE_IN(l, .fill = 4);
    scene_lab_rich(l);
    l->owner.unknown = HOST_THING_APP;
    scene_lab_indicate(l, LAYER_RA);
    assert_int_equal(s->unknown, field_bit(LAYER_RA, CONDITION(ALE_APP_ID)));
    assert_true(is_empty(s, CONDITION(ALE_APP_ID)));
    l->owner.unknown = 0;
    l->lab.host->config.unknown = HOST_THING_QUARANTINE;
    scene_lab_indicate(l, LAYER_RA);
    assert_int_equal(s->unknown, field_bit(LAYER_RA, CONDITION(INTERFACE_QUARANTINE_EPOCH)) |
                                     field_bit(LAYER_RA, CONDITION(ALE_NAP_CONTEXT)));
    /* nobody knows whose it is */
    l->lab.host->config.unknown = 0;
    l->scene.endpoint = NULL;
    scene_lab_indicate(l, LAYER_RA);
    assert_int_equal(s->unknown, field_bit(LAYER_RA, CONDITION(ALE_APP_ID)) |
                                     field_bit(LAYER_RA, CONDITION(ALE_USER_ID)) |
                                     field_bit(LAYER_RA, CONDITION(ALE_PACKAGE_ID)) |
                                     field_bit(LAYER_RA, CONDITION(ALE_PACKAGE_FAMILY_NAME)) |
                                     field_bit(LAYER_RA, CONDITION(ALE_SECURITY_ATTRIBUTE_FQBN_VALUE)));
    scene_lab_indicate(l, LAYER_IT);
    assert_int_equal(s->unknown, 0);
}

static struct {
    int asked;
    UINT64 unknown;
    bool complete;
    FWP_ACTION_TYPE action;
} judged;

static NTSTATUS judge(void *ctx, struct engine_reader *r, const struct host_question *q,
                      struct host_answer *a)
{
    (void)ctx;
    (void)r;
    judged.asked++;
    judged.unknown = q->unknown;
    engine_request_complete(q->request); /* what it solves with */
    judged.complete = q->request->metadata != NULL;
    a->verdict = (struct engine_verdict){.action = judged.action, .filter_id = 1234};
    a->depends = true;
    return STATUS_SUCCESS;
}

static void open_with_judge(struct scene_lab *l, const struct host_setting *settings, size_t count)
{
    const struct host_config config = {
        .judge = {.judge = judge}, .settings = settings, .setting_count = count};

    memset(&judged, 0, sizeof(judged));
    judged.action = FWP_ACTION_BLOCK;
    scene_lab_open(l, &config);
}

static void the_judge_is_asked_where_an_unknown_value_is_tested(void **state)
{
    struct scene_lab l;

    (void)state;
    open_with_judge(&l, NULL, 0);
    SCENE_IN(&l, .dport = 80, .fill = 4);
    scene_lab_indicate(&l, LAYER_RA);
    assert_int_equal(judged.asked, 0); /* no filter */
    host_lab_rule(&l.lab, "block RA ip_local_port=81");
    assert_false(scene_lab_indicate(&l, LAYER_RA));
    assert_int_equal(judged.asked, 0); /* it tests what is known */
    host_lab_rule(&l.lab, "permit RA interface_quarantine_epoch=7");
    assert_false(scene_lab_indicate(&l, LAYER_RA));
    assert_int_equal(judged.asked, 0);
    l.lab.host->config.unknown = HOST_THING_QUARANTINE;
    assert_true(scene_lab_indicate(&l, LAYER_RA));
    assert_int_equal(judged.asked, 1);
    assert_true(judged.complete);
    assert_true(judged.unknown & field_bit(LAYER_RA, CONDITION(INTERFACE_QUARANTINE_EPOCH)));
    assert_true(l.answer.depends);
    assert_int_equal(l.answer.filter_id, 1234);
    scene_lab_close(&l);
}

static void the_judge_is_asked_where_a_foreign_callout_could_be(void **state)
{
    struct host_lab_callout c = {.action = FWP_ACTION_PERMIT};
    struct scene_lab l;

    (void)state;
    open_with_judge(&l, NULL, 0);
    host_lab_callout(&l.lab, "IT ip_local_port=80", &c);
    SCENE_IN(&l, .dport = 80, .fill = 4);
    scene_lab_indicate(&l, LAYER_IT);
    assert_int_equal(judged.asked, 0);
    assert_int_equal(c.calls, 1);
    assert_int_equal(engine_callout_unregister(l.lab.engine, &c.key), 0);
    assert_int_equal(engine_callout_set_foreign(l.lab.engine, &c.key, true), 0);
    scene_lab_indicate(&l, LAYER_IT);
    assert_int_equal(judged.asked, 1);
    SCENE_IN(&l, .dport = 81, .fill = 4); /* its filter does not match */
    scene_lab_indicate(&l, LAYER_IT);
    assert_int_equal(judged.asked, 1);
    scene_lab_close(&l);
}

static void settings_decide_and_make_known(void **state)
{
    UINT64 epoch = 9;
    struct host_setting settings[] = {
        {.layer = NULL, .field = FWPM_CONDITION_INTERFACE_QUARANTINE_EPOCH},
        {.layer = engine_layer_by_id(FWPS_LAYER_INBOUND_TRANSPORT_V4),
         .field = FWPM_CONDITION_INTERFACE_TYPE},
        {.layer = NULL, .field = FWPM_CONDITION_IP_LOCAL_PORT}, /* of a wrong type: passed over */
    };
    struct scene_lab l;

    (void)state;
    settings[0].value = (FWP_VALUE0){.type = FWP_UINT64, .uint64 = &epoch};
    settings[1].value = (FWP_VALUE0){.type = FWP_UINT32, .uint32 = 71};
    settings[2].value = (FWP_VALUE0){.type = FWP_UINT8, .uint8 = 1};
    open_with_judge(&l, settings, ARRAYSIZE(settings));
    l.lab.host->config.unknown = HOST_THING_QUARANTINE;
    host_lab_rule(&l.lab, "block RA interface_quarantine_epoch=9");
    SCENE_IN(&l, .dport = 80, .fill = 4);
    assert_true(scene_lab_indicate(&l, LAYER_RA));
    assert_int_equal(judged.asked, 0);
    assert_int_equal(scene_number(&l.seen[0], CONDITION(INTERFACE_TYPE)), 6);
    assert_int_equal(scene_number(&l.seen[0], CONDITION(IP_LOCAL_PORT)), 80);
    scene_lab_indicate(&l, LAYER_IT);
    assert_int_equal(scene_number(&l.seen[0], CONDITION(INTERFACE_TYPE)), 71);
    scene_lab_close(&l);
}

/* ---- a callout sees the same, and only who looks has it made --------------------------------------------
 */

static struct {
    int calls;
    UINT16 layer;
    FWPS_INCOMING_VALUE0 value[ENGINE_MAX_FIELDS];
    FWPS_INCOMING_METADATA_VALUES0 metadata;
    uint8_t bytes[256];
    size_t size;
} callout_saw;

static void look(struct host_lab_callout *c, FWPS_CLASSIFY_OUT0 *out)
{
    (void)out;
    callout_saw.calls++;
    callout_saw.layer = c->values->layerId;
    memcpy(callout_saw.value, c->values->incomingValue, c->values->valueCount * sizeof(FWPS_INCOMING_VALUE0));
    callout_saw.metadata = *c->metadata;
    callout_saw.size = 0;
    if (c->layer_data != NULL)
        callout_saw.size = ndis_packet_read(c->layer_data, callout_saw.bytes, sizeof(callout_saw.bytes));
}

static void callouts_see_what_the_observer_sees(void **state)
{
    struct host_lab_callout c[LAYER_ROLES] = {0};
    struct scene_lab *l = *state;
    struct host_observer observer = l->lab.host->config.observer;

    for (int role = 0; role < LAYER_ROLES; role++) {
        const struct engine_layer *layer = engine_layer_by_id(layer_id((enum host_layer)role, 4));

        if (role == LAYER_ST)
            continue; /* its structure is of the classification's own */
        c[role] = (struct host_lab_callout){.action = FWP_ACTION_PERMIT, .also = look};
        host_lab_callout(&l->lab, layer_short_name((enum host_layer)role), &c[role]);
        SCENE_IN(l, .sport = 5, .dport = 6, .fill = 40);
        scene_lab_rich(l);
        scene_lab_indicate(l, (enum host_layer)role);
        memset(&callout_saw, 0, sizeof(callout_saw));
        l->lab.host->config.observer.classified = NULL; /* for the callout alone */
        scene_lab_indicate(l, (enum host_layer)role);
        l->lab.host->config.observer = observer;
        assert_int_equal(callout_saw.calls, 1);
        scene_lab_indicate(l, (enum host_layer)role);
        assert_int_equal(callout_saw.layer, layer->id);
        for (UINT16 i = 0; i < layer->field_count; i++) {
            const FWP_VALUE0 *a = &callout_saw.value[i].value, *b = &l->seen[0].value[i].value;

            assert_int_equal(a->type, b->type);
            if (a->type == FWP_UINT64 || a->type > FWP_UINT64)
                assert_ptr_equal(a->uint64, b->uint64);
            else if (a->type != FWP_EMPTY)
                assert_int_equal(a->type == FWP_UINT8    ? a->uint8
                                 : a->type == FWP_UINT16 ? a->uint16
                                                         : a->uint32,
                                 a->type == FWP_UINT8    ? b->uint8
                                 : a->type == FWP_UINT16 ? b->uint16
                                                         : b->uint32);
        }
        assert_int_equal(callout_saw.metadata.currentMetadataValues,
                         l->seen[0].metadata.currentMetadataValues);
        assert_int_equal(callout_saw.size, l->seen[0].size);
        assert_memory_equal(callout_saw.bytes, l->seen[0].bytes, callout_saw.size);
    }
}

/* A policy that changes is seen by the next classification; one that a callout is asked by, by itself. */
static void plans_follow_the_policy(void **state)
{
    struct scene_lab *l = *state;
    UINT64 rule;

    SCENE_IN(l, .sport = 5, .dport = 6, .fill = 4);
    assert_false(scene_lab_indicate(l, LAYER_IT));
    assert_true(l->answer.empty);
    rule = host_lab_rule(&l->lab, "block IT ip_local_port=6");
    assert_true(scene_lab_indicate(l, LAYER_IT));
    assert_false(l->answer.empty);
    host_lab_remove(&l->lab, "IT", rule);
    assert_false(scene_lab_indicate(l, LAYER_IT));
    host_lab_rule(&l->lab, "block IT ip_remote_port=5");
    assert_true(scene_lab_indicate(l, LAYER_IT));
    l->lab.host->config.observer.classified = NULL;
    assert_true(scene_lab_indicate(l, LAYER_IT));
    assert_false(scene_lab_indicate(l, LAYER_II));
    assert_true(l->answer.empty);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, scene_lab_setup, scene_lab_teardown)
    const struct CMUnitTest tests[] = {
        TEST(PKT_25_values_are_in_host_order_bytes_as_they_stand),
        TEST(MATCH_20_direction_is_the_connections_but_for_datagrams),
        TEST(MATCH_25_reasons_come_with_reauthorize_alone),
        TEST(MATCH_21_loopback_between_ordinary_programs_says_so_at_ale),
        TEST(MATCH_21_flags_stand_where_they_mean_something),
        TEST(every_value_has_its_fields_type),
        TEST(owners_are_indicated),
        TEST(binds_without_an_address_indicate_none),
        TEST(interfaces_are_those_that_are_known),
        TEST(icmp_stands_in_the_port_fields),
        TEST(data_link_addresses_have_kinds),
        TEST(what_nobody_knows_is_said_to_be_unknown),
        cmocka_unit_test(the_judge_is_asked_where_an_unknown_value_is_tested),
        cmocka_unit_test(the_judge_is_asked_where_a_foreign_callout_could_be),
        cmocka_unit_test(settings_decide_and_make_known),
        TEST(callouts_see_what_the_observer_sees),
        TEST(plans_follow_the_policy),
    };
    return cmocka_run_group_tests_name("pkt_values", tests, NULL, NULL);
}
