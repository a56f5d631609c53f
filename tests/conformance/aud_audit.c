/* SPDX-License-Identifier: Apache-2.0 */
/* AUD-03, 04, 06, 08: verdicts and changes of objects as Windows' security log numbers them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "events_lab.h"

/* What a callout's block at a transport layer with these answer flags is audited as; 0: not at all. */
static UINT32 audit_of_callouts_block(struct bfe_lab *l, UINT32 flags)
{
    struct events_audited a = {0};
    struct traffic t;

    events_blocking_callout(l, &FWPM_LAYER_OUTBOUND_TRANSPORT_V4, 5);
    events_answer(flags);
    assert_int_equal(bfe_audit_set(l->bfe, BFE_AUDIT_PACKET_DROP | BFE_AUDIT_CONNECTION, events_on_audit, &a),
                     0);
    traffic_at(&t, l, FWPS_LAYER_OUTBOUND_TRANSPORT_V4);
    assert_int_equal(traffic_classify(&t), FWP_ACTION_BLOCK);
    bfe_notify_flush(l->bfe);
    assert_int_equal(bfe_audit_set(l->bfe, 0, NULL, NULL), 0);
    return a.id[0];
}

static void AUD_03_an_absorb_is_not_audited(void **state)
{
    assert_int_equal(audit_of_callouts_block(*state, FWPS_CLASSIFY_OUT_FLAG_ABSORB), 0);
}

static void AUD_04_without_absorb_a_callouts_block_is_audited(void **state)
{
    assert_int_equal(audit_of_callouts_block(*state, 0), 5152);
}

#define EVERYTHING (BFE_AUDIT_POLICY_CHANGE | BFE_AUDIT_PACKET_DROP | BFE_AUDIT_CONNECTION)

static void AUD_06_verdicts_have_the_documented_numbers(void **state)
{
    static const struct {
        UINT16 layer;
        UINT32 permit, block;
    } numbers[] = {
        {FWPS_LAYER_ALE_AUTH_LISTEN_V4, 5154, 5155},
        {FWPS_LAYER_ALE_AUTH_LISTEN_V6, 5154, 5155},
        {FWPS_LAYER_ALE_AUTH_CONNECT_V4, 5156, 5157},
        {FWPS_LAYER_ALE_AUTH_CONNECT_V6, 5156, 5157},
        {FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4, 5156, 5157},
        {FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V6, 5156, 5157},
        {FWPS_LAYER_ALE_RESOURCE_ASSIGNMENT_V4, 5158, 5159},
        {FWPS_LAYER_ALE_RESOURCE_ASSIGNMENT_V6, 5158, 5159},
        {FWPS_LAYER_INBOUND_TRANSPORT_V4, 0, 5152},
        {FWPS_LAYER_OUTBOUND_IPPACKET_V6, 0, 5152},
    };
    struct bfe_lab *l = *state;

    for (size_t i = 0; i < ARRAYSIZE(numbers); i++) {
        FWPM_FILTER0 f = bfe_lab_filter(engine_layer_by_id(numbers[i].layer)->key, FWP_ACTION_BLOCK);
        struct events_audited a = {0};
        struct traffic t;
        UINT64 id;

        traffic_at(&t, l, numbers[i].layer);
        assert_int_equal(
            bfe_audit_set(l->bfe, EVERYTHING & ~(UINT32)BFE_AUDIT_POLICY_CHANGE, events_on_audit, &a), 0);
        assert_int_equal(traffic_classify(&t), FWP_ACTION_PERMIT);
        id = bfe_lab_add(l->kernel, &f);
        assert_int_equal(traffic_classify(&t), FWP_ACTION_BLOCK);
        bfe_notify_flush(l->bfe);
        assert_int_equal(a.count, numbers[i].permit ? 2 : 1);
        if (numbers[i].permit)
            assert_int_equal(a.id[0], numbers[i].permit);
        assert_int_equal(a.id[a.count - 1], numbers[i].block);
        assert_int_equal(a.filter[a.count - 1], id);
    }
}

static void AUD_06_off_by_default_and_by_category(void **state)
{
    struct bfe_lab *l = *state;
    struct events_audited a = {0};
    struct traffic t;

    bfe_lab_add_port(l->kernel, 80, FWP_ACTION_BLOCK);
    traffic_connection(&t, l);
    traffic_classify(&t);
    assert_int_equal(bfe_audit_set(l->bfe, BFE_AUDIT_PACKET_DROP, events_on_audit, &a), 0);
    traffic_classify(&t); /* a connection is not a packet */
    bfe_lab_add_port(l->kernel, 81, FWP_ACTION_BLOCK);
    bfe_notify_flush(l->bfe);
    assert_int_equal(a.count, 0);
    assert_int_equal(bfe_audit_set(l->bfe, BFE_AUDIT_CONNECTION, events_on_audit, &a), 0);
    traffic_classify(&t);
    bfe_notify_flush(l->bfe);
    assert_int_equal(a.count, 1);
    assert_int_equal(bfe_audit_set(l->bfe, 0, NULL, NULL), 0);
    traffic_classify(&t);
    bfe_notify_flush(l->bfe);
    assert_int_equal(a.count, 1);
    /* the audit does not depend on the collection of net events */
    assert_int_equal(events_option(l->kernel, FWPM_ENGINE_COLLECT_NET_EVENTS, 0), STATUS_SUCCESS);
    assert_int_equal(bfe_audit_set(l->bfe, BFE_AUDIT_CONNECTION, events_on_audit, &a), 0);
    traffic_classify(&t);
    bfe_notify_flush(l->bfe);
    assert_int_equal(a.count, 2);
    assert_int_equal(bfe_audit_set(l->bfe, 0, NULL, NULL), 0);
}

static void AUD_06_changes_of_objects_have_the_documented_numbers(void **state)
{
    static const UINT32 persistent[] = {5442, 5443, 5444, 5440, 5441};
    static const UINT32 run_time[] = {5448, 5449, 5450, 5446, 5447};
    struct bfe_lab *l = *state;
    GUID keys[5];
    struct events_audited a = {0};

    for (UINT32 i = 0; i < 5; i++)
        keys[i] = bfe_lab_guid(i + 1);
    assert_int_equal(bfe_audit_set(l->bfe, BFE_AUDIT_POLICY_CHANGE, events_on_audit, &a), 0);
    for (int round = 0; round < 2; round++) {
        bool keep = round == 0;
        FWPM_PROVIDER0 p = bfe_lab_provider(&keys[0]);
        FWPM_PROVIDER_CONTEXT3 x = bfe_lab_context(&keys[1]);
        FWPM_SUBLAYER0 u = bfe_lab_sublayer(&keys[2], 1);
        FWPM_CALLOUT0 c = bfe_lab_callout(&keys[3], &FWPM_LAYER_ALE_AUTH_CONNECT_V4);
        FWPM_FILTER0 f = bfe_lab_filter(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, FWP_ACTION_BLOCK);
        p.flags = keep ? FWPM_PROVIDER_FLAG_PERSISTENT : 0;
        x.flags = keep ? FWPM_PROVIDER_CONTEXT_FLAG_PERSISTENT : 0;
        u.flags = keep ? FWPM_SUBLAYER_FLAG_PERSISTENT : 0;
        c.flags = keep ? FWPM_CALLOUT_FLAG_PERSISTENT : 0;
        f.flags = keep ? FWPM_FILTER_FLAG_PERSISTENT : 0;
        f.filterKey = keys[4];
        assert_int_equal(bfe_provider_add(l->kernel, &p, NULL, 0), STATUS_SUCCESS);
        assert_int_equal(bfe_provider_context_add(l->kernel, &x, NULL, 0, NULL), STATUS_SUCCESS);
        assert_int_equal(bfe_sublayer_add(l->kernel, &u, NULL, 0), STATUS_SUCCESS);
        assert_int_equal(bfe_callout_add(l->kernel, &c, NULL, 0, NULL), STATUS_SUCCESS);
        bfe_lab_add(l->kernel, &f);
        assert_int_equal(bfe_filter_delete(l->kernel, &keys[4], 0), STATUS_SUCCESS);
        assert_int_equal(bfe_callout_delete(l->kernel, &keys[3], 0), STATUS_SUCCESS);
        assert_int_equal(bfe_sublayer_delete(l->kernel, &keys[2]), STATUS_SUCCESS);
        assert_int_equal(bfe_provider_context_delete(l->kernel, &keys[1], 0), STATUS_SUCCESS);
        assert_int_equal(bfe_provider_delete(l->kernel, &keys[0]), STATUS_SUCCESS);
    }
    bfe_notify_flush(l->bfe);
    assert_int_equal(a.count, 20);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(a.id[i], persistent[i]);
        assert_true(a.added[i] && a.named[i]);
        assert_int_equal(a.id[5 + i], run_time[4 - i]); /* removed, in reverse */
        assert_false(a.added[5 + i]);
        assert_int_equal(a.id[10 + i], run_time[i]);
        assert_int_equal(a.id[15 + i], run_time[4 - i]);
    }
    assert_int_equal(bfe_audit_set(l->bfe, 0, NULL, NULL), 0);
}

static void AUD_08_a_veto_is_audited_and_told(void **state)
{
    struct bfe_lab *l = *state;
    FWPM_FILTER0 hard = bfe_lab_filter(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, FWP_ACTION_PERMIT);
    UINT64 vetoer = events_blocking_callout(l, &FWPM_LAYER_ALE_AUTH_CONNECT_V4, 5);
    FWPM_NET_EVENT_SUBSCRIPTION0 d = {0};
    struct bfe_event_subscription *sub;
    struct events_audited a = {0};
    struct events_heard h = {0};
    struct traffic t;

    events_answer(0);
    hard.subLayerKey = bfe_lab_add_sublayer(l->kernel, 600, 100);
    hard.flags = FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT;
    bfe_lab_add(l->kernel, &hard);
    assert_int_equal(bfe_audit_set(l->bfe, BFE_AUDIT_PACKET_DROP | BFE_AUDIT_CONNECTION, events_on_audit, &a),
                     0);
    assert_int_equal(bfe_event_subscribe(l->kernel, &d, 5, (bfe_event_callback)events_on_event, &h, &sub),
                     STATUS_SUCCESS);
    traffic_connection(&t, l);
    assert_int_equal(traffic_classify(&t), FWP_ACTION_BLOCK);
    assert_true(t.verdict.flags & ENGINE_VERDICT_VETO);
    bfe_notify_flush(l->bfe);
    assert_int_equal(a.count, 1);
    assert_int_equal(a.id[0], 5153);
    assert_int_equal(h.count, 1);
    assert_int_equal(h.filter, vetoer);
    assert_int_equal(bfe_event_unsubscribe(l->kernel, sub), STATUS_SUCCESS);
    assert_int_equal(bfe_audit_set(l->bfe, 0, NULL, NULL), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bfe_lab_setup, bfe_lab_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(AUD_03_an_absorb_is_not_audited),
        TEST(AUD_04_without_absorb_a_callouts_block_is_audited),
        TEST(AUD_06_verdicts_have_the_documented_numbers),
        TEST(AUD_06_off_by_default_and_by_category),
        TEST(AUD_06_changes_of_objects_have_the_documented_numbers),
        TEST(AUD_08_a_veto_is_audited_and_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
