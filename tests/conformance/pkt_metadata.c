/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metadata by layer (PKT-20) and what of it applies (PKT-21). The masks below are typed from the table of the
 * semantics, layer by layer, and compared with what the engine's facts say and with what is indicated.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scene_lab.h"

#define M(name) FWPS_METADATA_FIELD_##name

enum { RECEIVED = 1, SENT = 2 };

static const struct row {
    enum host_layer role;
    unsigned ways;
    UINT32 table;    /* what the table has */
    UINT32 only_in;  /* of these: with received packets alone */
    UINT32 only_out; /* ... with sent ones */
    bool no_discard;
} rows[] = {
    {LAYER_II, RECEIVED, M(IP_HEADER_SIZE) | M(COMPARTMENT_ID) | M(FRAGMENT_DATA), 0, 0, false},
    {LAYER_OI, SENT,
     M(IP_HEADER_SIZE) | M(TRANSPORT_HEADER_SIZE) | M(COMPARTMENT_ID) | M(FRAGMENT_DATA) | M(PATH_MTU), 0, 0,
     false},
    {LAYER_FW, RECEIVED, M(COMPARTMENT_ID), 0, 0, false},
    {LAYER_IT, RECEIVED,
     M(FLOW_HANDLE) | M(IP_HEADER_SIZE) | M(SYSTEM_FLAGS) | M(RESERVED) | M(TRANSPORT_HEADER_SIZE) |
         M(COMPARTMENT_ID) | M(TRANSPORT_ENDPOINT_HANDLE) | M(ALE_CLASSIFY_REQUIRED) |
         M(ICMP_ID_AND_SEQUENCE),
     0, 0, false},
    {LAYER_OT, SENT,
     M(FLOW_HANDLE) | M(SYSTEM_FLAGS) | M(RESERVED) | M(TRANSPORT_HEADER_SIZE) | M(COMPARTMENT_ID) |
         M(TRANSPORT_ENDPOINT_HANDLE) | M(TRANSPORT_CONTROL_DATA) | M(REMOTE_SCOPE_ID) |
         M(ICMP_ID_AND_SEQUENCE),
     0, 0, false},
    {LAYER_ST, RECEIVED | SENT, M(FLOW_HANDLE) | M(SYSTEM_FLAGS), 0, 0, false},
    {LAYER_DD, RECEIVED | SENT,
     M(FLOW_HANDLE) | M(IP_HEADER_SIZE) | M(SYSTEM_FLAGS) | M(TRANSPORT_HEADER_SIZE) | M(COMPARTMENT_ID) |
         M(TRANSPORT_ENDPOINT_HANDLE) | M(TRANSPORT_CONTROL_DATA) | M(REMOTE_SCOPE_ID) |
         M(ICMP_ID_AND_SEQUENCE),
     M(IP_HEADER_SIZE), M(REMOTE_SCOPE_ID), false},
    {LAYER_IIE, RECEIVED,
     M(IP_HEADER_SIZE) | M(TRANSPORT_HEADER_SIZE) | M(COMPARTMENT_ID) | M(TRANSPORT_ENDPOINT_HANDLE), 0, 0,
     false},
    {LAYER_OIE, SENT,
     M(SYSTEM_FLAGS) | M(TRANSPORT_HEADER_SIZE) | M(COMPARTMENT_ID) | M(TRANSPORT_ENDPOINT_HANDLE) |
         M(TRANSPORT_CONTROL_DATA) | M(REMOTE_SCOPE_ID),
     0, 0, false},
    {LAYER_RES, RECEIVED | SENT,
     M(PROCESS_PATH) | M(TOKEN) | M(PROCESS_ID) | M(RESERVED) | M(COMPLETION_HANDLE) |
         M(TRANSPORT_ENDPOINT_HANDLE) | M(SUB_PROCESS_TAG),
     0, 0, false},
    {LAYER_LIS, RECEIVED | SENT,
     M(PROCESS_PATH) | M(TOKEN) | M(PROCESS_ID) | M(RESERVED) | M(COMPLETION_HANDLE) |
         M(TRANSPORT_ENDPOINT_HANDLE) | M(SUB_PROCESS_TAG),
     0, 0, false},
    {LAYER_RA, RECEIVED | SENT,
     M(FLOW_HANDLE) | M(IP_HEADER_SIZE) | M(PROCESS_PATH) | M(TOKEN) | M(PROCESS_ID) | M(RESERVED) |
         M(TRANSPORT_HEADER_SIZE) | M(COMPARTMENT_ID) | M(COMPLETION_HANDLE) | M(TRANSPORT_ENDPOINT_HANDLE) |
         M(PACKET_DIRECTION) | M(PARENT_ENDPOINT_HANDLE) | M(ICMP_ID_AND_SEQUENCE) | M(SUB_PROCESS_TAG),
     M(IP_HEADER_SIZE), 0, false},
    {LAYER_AC, RECEIVED | SENT,
     M(FLOW_HANDLE) | M(PROCESS_PATH) | M(TOKEN) | M(PROCESS_ID) | M(RESERVED) | M(TRANSPORT_HEADER_SIZE) |
         M(COMPARTMENT_ID) | M(COMPLETION_HANDLE) | M(TRANSPORT_ENDPOINT_HANDLE) | M(REMOTE_SCOPE_ID) |
         M(PACKET_DIRECTION) | M(PARENT_ENDPOINT_HANDLE) | M(ICMP_ID_AND_SEQUENCE) | M(SUB_PROCESS_TAG),
     0, 0, false},
    {LAYER_FE, RECEIVED | SENT,
     M(FLOW_HANDLE) | M(PROCESS_PATH) | M(TOKEN) | M(PROCESS_ID) | M(RESERVED) |
         M(TRANSPORT_ENDPOINT_HANDLE) | M(PARENT_ENDPOINT_HANDLE) | M(ICMP_ID_AND_SEQUENCE) |
         M(SUB_PROCESS_TAG),
     0, 0, false},
    {LAYER_RR, RECEIVED | SENT,
     M(TOKEN) | M(PROCESS_ID) | M(COMPARTMENT_ID) | M(TRANSPORT_ENDPOINT_HANDLE) | M(SUB_PROCESS_TAG), 0, 0,
     true},
    {LAYER_EC, RECEIVED | SENT,
     M(TOKEN) | M(PROCESS_ID) | M(COMPARTMENT_ID) | M(TRANSPORT_ENDPOINT_HANDLE) | M(PARENT_ENDPOINT_HANDLE) |
         M(SUB_PROCESS_TAG),
     0, 0, true},
    {LAYER_CR, RECEIVED | SENT,
     M(TOKEN) | M(PROCESS_ID) | M(TRANSPORT_ENDPOINT_HANDLE) | M(PARENT_ENDPOINT_HANDLE) |
         M(ICMP_ID_AND_SEQUENCE) | M(LOCAL_REDIRECT_TARGET_PID) | M(REDIRECT_RECORD_HANDLE) |
         M(SUB_PROCESS_TAG),
     0, 0, true},
    {LAYER_BR, RECEIVED | SENT,
     M(TOKEN) | M(PROCESS_ID) | M(TRANSPORT_ENDPOINT_HANDLE) | M(LOCAL_REDIRECT_TARGET_PID) |
         M(SUB_PROCESS_TAG),
     0, 0, true},
    {LAYER_SPK, RECEIVED | SENT,
     M(FLOW_HANDLE) | M(IP_HEADER_SIZE) | M(SYSTEM_FLAGS) | M(TRANSPORT_HEADER_SIZE) | M(COMPARTMENT_ID) |
         M(TRANSPORT_ENDPOINT_HANDLE) | M(TRANSPORT_CONTROL_DATA) | M(REMOTE_SCOPE_ID),
     M(IP_HEADER_SIZE), M(REMOTE_SCOPE_ID), true},
    {LAYER_MAC_IN, RECEIVED, M(ETHER_FRAME_LENGTH), 0, 0, true},
    {LAYER_MAC_OUT, SENT, 0, 0, 0, true},
    {LAYER_MAC_IN_NATIVE, RECEIVED, 0, 0, 0, true},
    {LAYER_MAC_OUT_NATIVE, SENT, 0, 0, 0, true},
};

/* No capture holds control data, and nothing is redirected. */
#define NEVER (M(TRANSPORT_CONTROL_DATA) | M(LOCAL_REDIRECT_TARGET_PID) | M(REDIRECT_RECORD_HANDLE))

static void PKT_20_the_facts_are_the_table(void **state)
{
    (void)state;
    assert_int_equal(ARRAYSIZE(rows), LAYER_ROLES);
    for (size_t i = 0; i < ARRAYSIZE(rows); i++) {
        const struct row *r = &rows[i];

        for (uint8_t version = 4; version <= 6; version += 2) {
            UINT16 id = layer_id(r->role, version), discard = layer_discard_id(r->role, version);

            assert_int_equal(r->role, i);
            assert_int_equal(engine_layer_by_id(id)->metadata, r->table);
            assert_int_equal(engine_layer_by_id(id)->l2_metadata, 0);
            assert_int_equal(discard == 0xffff, r->no_discard);
            if (!r->no_discard)
                assert_int_equal(engine_layer_by_id(discard)->metadata, r->table | M(DISCARD_REASON));
        }
    }
}

/* A scene to which everything applies that can: the first fragment of an echo request of an accepted socket.
 */
static void everything(struct scene_lab *l, bool in)
{
    if (in)
        SCENE_IN(l, .protocol = WIRE_PROTOCOL_ICMP, .icmp_type = 8, .icmp_id = 7, .icmp_seq = 9, .fill = 32,
                 .id = 5, .more = true);
    else
        SCENE_OUT(l, .protocol = WIRE_PROTOCOL_ICMP, .icmp_type = 8, .icmp_id = 7, .icmp_seq = 9, .fill = 32,
                  .id = 5, .more = true);
    scene_lab_rich(l);
    l->scene.metadata_flags = M(ALE_CLASSIFY_REQUIRED);
}

static UINT32 expected(const struct row *r, bool in, bool reauthorized)
{
    UINT32 mask = r->table & ~NEVER & ~(in ? r->only_out : r->only_in);

    if (!reauthorized)
        return mask & ~M(PACKET_DIRECTION);
    if (r->role == LAYER_AC && in) /* the decided additions */
        mask |= M(IP_HEADER_SIZE);
    if (r->role == LAYER_RA && !in)
        mask |= M(REMOTE_SCOPE_ID);
    return mask;
}

static void check(const struct scene_lab *l, const struct row *r, UINT32 want)
{
    UINT32 got = l->seen[0].metadata.currentMetadataValues;

    assert_int_equal(l->count, 1);
    if (got != want)
        fail_msg("%s: metadata 0x%08x, not 0x%08x", layer_short_name(r->role), got, want);
}

static void PKT_20_all_that_applies_is_the_table(void **state)
{
    struct scene_lab *l = *state;

    l->lab.host->config.knobs.l2_layers = true;
    for (size_t i = 0; i < ARRAYSIZE(rows); i++) {
        const struct row *r = &rows[i];

        for (unsigned way = RECEIVED; way <= SENT; way++) {
            for (int again = 0; again < 2; again++) {
                if (!(r->ways & way))
                    continue;
                everything(l, way == RECEIVED);
                l->scene.reauthorize = again ? FWP_CONDITION_REAUTHORIZE_REASON_POLICY_CHANGE : 0;
                scene_lab_indicate(l, r->role);
                check(l, r, expected(r, way == RECEIVED, again));
                if (r->no_discard)
                    continue;
                scene_lab_discard(l, r->role, FWPS_DISCARD_MODULE_NETWORK, IpDiscardBadLength);
                check(l, r, expected(r, way == RECEIVED, again) | M(DISCARD_REASON));
            }
        }
    }
}

static void PKT_20_ale_required_is_said_at_inbound_transport_alone(void **state)
{
    struct scene_lab *l = *state;

    for (int role = 0; role < LAYER_ROLES; role++) {
        everything(l, true);
        scene_lab_indicate(l, (enum host_layer)role);
        if (l->count != 0)
            assert_int_equal((l->seen[0].metadata.currentMetadataValues & M(ALE_CLASSIFY_REQUIRED)) != 0,
                             role == LAYER_IT);
    }
}

static void PKT_20_the_members_say_what_they_stand_for(void **state)
{
    struct scene_lab *l = *state;
    const FWPS_INCOMING_METADATA_VALUES0 *m = &l->seen[0].metadata;

    everything(l, true);
    l->scene.reauthorize = FWP_CONDITION_REAUTHORIZE_REASON_POLICY_CHANGE;
    scene_lab_indicate(l, LAYER_RA);
    assert_int_equal(m->flowHandle, 33);
    assert_ptr_equal(m->processPath, l->app);
    assert_int_equal(m->processId, 4711);
    assert_ptr_equal(m->subProcessTag, (PVOID)12);
    assert_int_equal(m->transportEndpointHandle, 71);
    assert_int_equal(m->parentEndpointHandle, 70);
    assert_ptr_equal(m->completionHandle, (HANDLE)99);
    assert_int_equal(m->icmpIdAndSequence, 7 << 16 | 9);
    assert_int_equal(m->packetDirection, FWP_DIRECTION_INBOUND);
    assert_int_equal(m->ipHeaderSize, 20);
    assert_int_equal(m->compartmentId, 1);
    everything(l, false);
    scene_lab_indicate(l, LAYER_OI);
    assert_int_equal(m->ipHeaderSize, 20);
    assert_int_equal(m->transportHeaderSize, 8);
    assert_int_equal(m->pathMtu, 1500);
    l->scene.path_mtu = 1280;
    scene_lab_indicate(l, LAYER_OI);
    assert_int_equal(m->pathMtu, 1280);
    l->lab.host->config.knobs.l2_layers = true;
    everything(l, true);
    scene_lab_indicate(l, LAYER_MAC_IN);
    assert_int_equal(m->frameLength, l->size);
    /* link scope goes by the interface */
    SCENE_OUT(l, .src = "fe80::1", .dst = "fe80::2", .fill = 4);
    scene_lab_indicate(l, LAYER_OT);
    assert_int_equal(m->remoteScopeId.Value, 1);
    SCENE_OUT(l, .src = "fd00::1", .dst = "fd00::2", .fill = 4);
    scene_lab_indicate(l, LAYER_OT);
    assert_int_equal(m->remoteScopeId.Value, 0);
    scene_lab_discard(l, LAYER_OT, FWPS_DISCARD_MODULE_TRANSPORT, InetDiscardAckInvalid);
    assert_int_equal(m->discardMetadata.discardModule, FWPS_DISCARD_MODULE_TRANSPORT);
    assert_int_equal(m->discardMetadata.discardReason, InetDiscardAckInvalid);
    assert_int_equal(m->discardMetadata.filterId, 0);
}

static void PKT_20_a_block_is_discarded_by_firewall_policy(void **state)
{
    struct scene_lab *l = *state;
    UINT64 id = host_lab_rule(&l->lab, "block IT");
    const FWPS_DISCARD_METADATA0 *d = &l->seen[1].metadata.discardMetadata;

    SCENE_IN(l, .fill = 4);
    assert_true(scene_lab_indicate(l, LAYER_IT));
    assert_int_equal(l->answer.filter_id, id);
    assert_int_equal(l->count, 2);
    assert_int_equal(l->seen[1].layer, FWPS_LAYER_INBOUND_TRANSPORT_V4_DISCARD);
    assert_int_equal(l->seen[1].cause, HOST_CAUSE_DISCARD);
    assert_int_equal(d->discardModule, FWPS_DISCARD_MODULE_GENERAL);
    assert_int_equal(d->discardReason, FWPS_DISCARD_FIREWALL_POLICY);
    assert_int_equal(d->filterId, id);
}

/* ---- PKT-21 ---------------------------------------------------------------------------------------------
 */

static void PKT_21_nothing_is_said_that_does_not_apply(void **state)
{
    static const UINT32 optional =
        M(FLOW_HANDLE) | M(PROCESS_PATH) | M(TOKEN) | M(PROCESS_ID) | M(FRAGMENT_DATA) |
        M(COMPLETION_HANDLE) | M(TRANSPORT_ENDPOINT_HANDLE) | M(PACKET_DIRECTION) | M(ALE_CLASSIFY_REQUIRED) |
        M(PARENT_ENDPOINT_HANDLE) | M(ICMP_ID_AND_SEQUENCE) | M(SUB_PROCESS_TAG) | NEVER;
    struct scene_lab *l = *state;

    l->lab.host->config.knobs.l2_layers = true;
    for (size_t i = 0; i < ARRAYSIZE(rows); i++) {
        for (unsigned way = RECEIVED; way <= SENT; way++) {
            if (!(rows[i].ways & way))
                continue;
            if (way == RECEIVED)
                SCENE_IN(l, .sport = 1, .dport = 2, .fill = 8);
            else
                SCENE_OUT(l, .sport = 1, .dport = 2, .fill = 8);
            scene_lab_indicate(l, rows[i].role);
            check(l, &rows[i], expected(&rows[i], way == RECEIVED, false) & ~optional);
        }
    }
}

/* Taking one thing away takes one field away. */
static void lacks(struct scene_lab *l, enum host_layer role, UINT32 field)
{
    struct scene bare = l->scene;
    UINT32 with, without;

    everything(l, true);
    l->scene.reauthorize = FWP_CONDITION_REAUTHORIZE_REASON_POLICY_CHANGE;
    scene_lab_indicate(l, role);
    with = l->seen[0].metadata.currentMetadataValues;
    l->scene = bare;
    scene_lab_indicate(l, role);
    without = l->seen[0].metadata.currentMetadataValues;
    assert_int_equal(with & ~without, field);
    assert_int_equal(without & ~with, 0);
}

static void PKT_21_each_optional_field_goes_with_its_thing(void **state)
{
    struct scene_lab *l = *state;
    struct wire_packet whole;

#define WITHOUT(role, field, change)                                                                         \
    do {                                                                                                     \
        everything(l, true);                                                                                 \
        l->scene.reauthorize = FWP_CONDITION_REAUTHORIZE_REASON_POLICY_CHANGE;                               \
        change;                                                                                              \
        lacks(l, (role), (field));                                                                           \
    } while (0)
    WITHOUT(LAYER_RA, M(FLOW_HANDLE), l->scene.flow_id = 0);
    WITHOUT(LAYER_RA, M(PACKET_DIRECTION), l->scene.reauthorize = 0);
    WITHOUT(LAYER_RA, M(COMPLETION_HANDLE), l->scene.completion_handle = NULL);
    WITHOUT(LAYER_RA, M(ICMP_ID_AND_SEQUENCE), l->scene.echo = false);
    WITHOUT(LAYER_IT, M(ALE_CLASSIFY_REQUIRED), l->scene.metadata_flags = 0);
    WITHOUT(LAYER_II, M(FRAGMENT_DATA), whole = l->packet; whole.fragment = false; l->scene.packet = &whole);
#undef WITHOUT
}

static void PKT_21_what_nobody_knows_of_an_owner_is_left_out(void **state)
{
    struct scene_lab *l = *state;
    const FWPS_INCOMING_METADATA_VALUES0 *m = &l->seen[0].metadata;

    everything(l, true);
    l->endpoint.parent = NULL;
    l->owner.unknown = HOST_THING_APP;
    scene_lab_indicate(l, LAYER_RA);
    assert_false(m->currentMetadataValues & (M(PROCESS_PATH) | M(PARENT_ENDPOINT_HANDLE)));
    assert_true(m->currentMetadataValues & M(PROCESS_ID));
    l->owner.unknown = HOST_THING_PROCESS;
    scene_lab_indicate(l, LAYER_RA);
    assert_false(m->currentMetadataValues & (M(PROCESS_ID) | M(SUB_PROCESS_TAG)));
    assert_true(m->currentMetadataValues & M(TOKEN));
    l->owner.unknown = HOST_THING_USER;
    l->owner.sub_process_tag = 0;
    scene_lab_indicate(l, LAYER_RA);
    assert_false(m->currentMetadataValues & (M(TOKEN) | M(SUB_PROCESS_TAG)));
    l->party.owner = NULL;
    scene_lab_indicate(l, LAYER_RA);
    assert_false(m->currentMetadataValues & (M(PROCESS_PATH) | M(PROCESS_ID) | M(TOKEN)));
    assert_true(m->currentMetadataValues & M(TRANSPORT_ENDPOINT_HANDLE));
}

/* A TCP connect has no packet yet: no sizes of headers either. */
static void PKT_21_no_header_sizes_without_a_packet(void **state)
{
    struct scene_lab *l = *state;

    SCENE_OUT(l, .protocol = WIRE_PROTOCOL_TCP, .tcp_flags = WIRE_TCP_SYN, .sport = 1, .dport = 2);
    scene_lab_indicate(l, LAYER_AC);
    assert_false(l->seen[0].metadata.currentMetadataValues & M(TRANSPORT_HEADER_SIZE));
    l->scene.packet = NULL;
    scene_lab_indicate(l, LAYER_AC);
    assert_false(l->seen[0].metadata.currentMetadataValues & M(TRANSPORT_HEADER_SIZE));
}

/* ---- PKT-15: with the paths -----------------------------------------------------------------------------
 */

/* What the packet itself met: before it the socket was bound. */
static const char *packet_layers(const char *seen)
{
    const char *at = strstr(seen, "II ");

    return at != NULL ? at : seen;
}

static void PKT_15_required_where_ale_follows(void **state)
{
    struct host_lab *l = *state;
    UINT64 rule;

    assert_string_equal(packet_layers(LAB_IN(l, .sport = 53, .dport = 4000, .fill = 8)),
                        "II IT(ALE) RA FE DD");
    assert_string_equal(LAB_IN(l, .sport = 53, .dport = 4000, .fill = 8), "II IT DD");
    rule = host_lab_rule(l, "block RA ip_remote_port=9");
    assert_string_equal(LAB_IN(l, .sport = 53, .dport = 4000, .fill = 8), "II IT(ALE) RA(REAUTH) DD");
    assert_string_equal(LAB_IN(l, .sport = 53, .dport = 4000, .fill = 8), "II IT DD");
    host_lab_remove(l, "RA", rule);
}

/* An outbound flow is asked about again at the layer that authorized it, by an inbound packet too. */
static void PKT_15_required_for_a_reauthorization_at_connect(void **state)
{
    struct host_lab *l = *state;

    LAB_OUT(l, .sport = 4000, .dport = 53, .fill = 8);
    assert_string_equal(LAB_IN(l, .sport = 53, .dport = 4000, .fill = 8), "II IT DD");
    host_lab_rule(l, "block AC ip_remote_port=9");
    assert_string_equal(LAB_IN(l, .sport = 53, .dport = 4000, .fill = 8), "II IT(ALE) AC(REAUTH) DD");
}

static void PKT_15_tcp_requires_it_once(void **state)
{
    struct host_lab *l = *state;
    struct host_lab_tcp t = {.local = 80, .remote = 40000};

    assert_string_equal(packet_layers(LAB_IN(l, .protocol = WIRE_PROTOCOL_TCP, .tcp_flags = WIRE_TCP_SYN,
                                             .sport = 40001, .dport = 80)),
                        "II IT(ALE) RA SPK");
    host_lab_accept(l, &t);
    assert_null(strstr(host_lab_receive(l, &t, "x"), "ALE"));
}

/* ---- PKT-22: where nothing may wait ----------------------------------------------------------------------
 */

static struct host_lab *pend_lab;

struct pend_try {
    NTSTATUS status;
    HANDLE context;
};

static void try_to_pend(struct host_lab_callout *c, FWPS_CLASSIFY_OUT0 *out)
{
    struct pend_try *t = c->ctx;

    (void)out;
    t->status = host_pend(pend_lab->host, c->metadata->completionHandle, &t->context);
}

static void PKT_22_nothing_is_pended_but_operations(void **state)
{
    /* established, transport before an authorization, data, stream packets, all that was discarded */
    static const char *const never[] = {"FE", "IT", "DD", "RA_DISCARD", "IT_DISCARD", "AC_DISCARD"};
    struct host_lab_callout c[ARRAYSIZE(never)] = {0}, at_ra = {0};
    struct pend_try tries[ARRAYSIZE(never)] = {0}, ra = {0};
    struct host_lab *l = *state;

    pend_lab = l;
    for (size_t i = 0; i < ARRAYSIZE(never); i++) {
        c[i] = (struct host_lab_callout){.action = FWP_ACTION_PERMIT, .also = try_to_pend, .ctx = &tries[i]};
        host_lab_callout(l, never[i], &c[i]);
    }
    host_lab_rule(l, "block RA ip_local_port=7");
    host_lab_rule(l, "block IT ip_local_port=8");
    host_lab_rule(l, "block AC ip_remote_port=9");
    LAB_IN(l, .sport = 53, .dport = 4000, .fill = 8); /* IT, FE, DD */
    LAB_IN(l, .sport = 53, .dport = 7, .fill = 8);
    LAB_IN(l, .sport = 53, .dport = 8, .fill = 8);
    LAB_OUT(l, .sport = 5000, .dport = 9, .fill = 8);
    for (size_t i = 0; i < ARRAYSIZE(never); i++) {
        if (c[i].calls == 0)
            fail_msg("%s was not classified", never[i]);
        if (NT_SUCCESS(tries[i].status))
            fail_msg("%s: an operation was pended", never[i]);
    }
    /* and where it is an operation, it can be */
    at_ra = (struct host_lab_callout){.action = FWP_ACTION_BLOCK,
                                      .flags = FWPS_CLASSIFY_OUT_FLAG_ABSORB,
                                      .clear_write = true,
                                      .also = try_to_pend,
                                      .ctx = &ra};
    host_lab_callout(l, "RA ip_local_port=4001", &at_ra);
    LAB_IN(l, .sport = 53, .dport = 4001, .fill = 8);
    assert_int_equal(at_ra.calls, 1);
    assert_int_equal(ra.status, STATUS_SUCCESS);
    assert_int_equal(host_lab_fate(l), HOST_HELD);
    assert_int_equal(host_complete(l->host, ra.context), STATUS_SUCCESS);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, scene_lab_setup, scene_lab_teardown)
#define PATH(f) cmocka_unit_test_setup_teardown(f, host_lab_setup, host_lab_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(PKT_20_the_facts_are_the_table),
        TEST(PKT_20_all_that_applies_is_the_table),
        TEST(PKT_20_ale_required_is_said_at_inbound_transport_alone),
        TEST(PKT_20_the_members_say_what_they_stand_for),
        TEST(PKT_20_a_block_is_discarded_by_firewall_policy),
        TEST(PKT_21_nothing_is_said_that_does_not_apply),
        TEST(PKT_21_each_optional_field_goes_with_its_thing),
        TEST(PKT_21_what_nobody_knows_of_an_owner_is_left_out),
        TEST(PKT_21_no_header_sizes_without_a_packet),
        PATH(PKT_15_required_where_ale_follows),
        PATH(PKT_15_required_for_a_reauthorization_at_connect),
        PATH(PKT_15_tcp_requires_it_once),
        PATH(PKT_22_nothing_is_pended_but_operations),
    };
    return cmocka_run_group_tests_name("pkt_metadata", tests, NULL, NULL);
}
