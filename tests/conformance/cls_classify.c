/* SPDX-License-Identifier: Apache-2.0 */
/* CLS: the contract of classifyFn as far as it needs no packet: how it is called (CLS-01, 02, 22..24), what
 * its answer may be (04..06), and ABSORB (08..14). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "engine_lab.h"

static int setup(void **state)
{
    struct lab *l = malloc(sizeof(*l));

    lab_open(l, FWPS_LAYER_ALE_AUTH_CONNECT_V4);
    *state = l;
    return 0;
}

static int teardown(void **state)
{
    lab_close(*state);
    free(*state);
    return 0;
}

static const GUID A = {.Data1 = 0xa}, B = {.Data1 = 0xb};

static UINT64 callout(struct lab *l, const GUID *key, UINT16 sublayer, FWP_ACTION_TYPE kind,
                      struct lab_script *s)
{
    return lab_add(l, &(struct lab_filter){
                          .sublayer = sublayer, .weight = 5, .action = kind, .callout = key, .script = s});
}

static UINT64 context_of_flow(void *ctx, UINT16 layer, UINT32 callout_id)
{
    assert_int_equal(layer, FWPS_LAYER_ALE_AUTH_CONNECT_V4);
    assert_int_equal(callout_id, 7); /* the lab's filters name their callout by this run-time id */
    return *(UINT64 *)ctx;
}

static void CLS_01_called_for_each_matching_filter(void **state)
{
    struct lab *l = *state;
    struct lab_script one = {.calls = 0}, two = {.calls = 0}, other = {.calls = 0};
    struct lab_filter no = {.sublayer = 5,
                            .weight = 9,
                            .action = FWP_ACTION_CALLOUT_UNKNOWN,
                            .callout = &A,
                            .script = &other,
                            .condition_count = 1};
    FWPS_INCOMING_METADATA_VALUES0 meta = {0};
    int data = 0, context = 0;
    UINT64 on_flow = 42;
    struct engine_flow flow = {&on_flow, context_of_flow};
    UINT64 id;

    no.conditions[0] = lab_condition(l, &FWPM_CONDITION_IP_PROTOCOL, FWP_MATCH_EQUAL, LAB_U8(6));
    lab_register(l, &A, 1, 0);
    id = callout(l, &A, 9, FWP_ACTION_CALLOUT_UNKNOWN, &one);
    callout(l, &A, 5, FWP_ACTION_CALLOUT_INSPECTION, &two);
    lab_add(l, &no); /* does not match */
    l->request.metadata = &meta;
    l->request.layer_data = &data;
    l->request.classify_context = &context;
    l->request.flow = &flow;
    lab_classify(l);
    assert_int_equal(one.calls, 1);
    assert_true(one.flow_context == 42);
    assert_int_equal(two.calls, 1);
    assert_int_equal(other.calls, 0);
    assert_ptr_equal(one.values, &l->incoming);
    assert_ptr_equal(one.metadata, &meta);
    assert_ptr_equal(one.layer_data, &data);
    assert_ptr_equal(one.classify_context, &context);
    assert_true(one.filter->filterId == id);
    assert_int_equal(one.filter->subLayerWeight, 9);
    assert_true(*one.filter->weight.uint64 == 5);
    l->request.layer_data = NULL; /* may be NULL */
    l->request.metadata = NULL;
    lab_classify(l);
    assert_null(one.layer_data);
    assert_non_null(one.metadata); /* never NULL for the callout: nothing is present */
    assert_int_equal(one.metadata->currentMetadataValues, 0);
}

static void CLS_02_version_registered_decides(void **state)
{
    static int context; /* the lab keeps its address */
    struct lab *l = *state;

    /* the filter's versions are one layout, told apart by the type of their provider context */
    assert_int_equal(sizeof(FWPS_FILTER0), sizeof(FWPS_FILTER3));
    assert_int_equal(offsetof(FWPS_FILTER0, context), offsetof(FWPS_FILTER3, context));
    l->request.classify_context = &context;
    for (unsigned version = 0; version <= 3; version++) {
        struct lab_script s = {.act = true, .action = FWP_ACTION_BLOCK};
        UINT64 id;

        lab_register(l, &A, version, 0);
        id = callout(l, &A, 5, FWP_ACTION_CALLOUT_TERMINATING, &s);
        assert_true(lab_classify(l)->filter_id == id);
        assert_int_equal(s.version, version);
        assert_ptr_equal(s.classify_context, version == 0 ? NULL : &context);
        lab_remove(l, id);
        assert_int_equal(engine_callout_unregister(l->engine, &A), 0);
    }
}

static void CLS_04_result_values(void **state)
{
    struct lab *l = *state;
    const struct {
        FWP_ACTION_TYPE action;
        FWP_ACTION_TYPE verdict;
        bool decides;
    } rows[] = {
        {FWP_ACTION_BLOCK, FWP_ACTION_BLOCK, true},   {FWP_ACTION_CONTINUE, FWP_ACTION_PERMIT, false},
        {FWP_ACTION_NONE, FWP_ACTION_PERMIT, false},  {FWP_ACTION_NONE_NO_MATCH, FWP_ACTION_PERMIT, false},
        {FWP_ACTION_PERMIT, FWP_ACTION_PERMIT, true},
    };

    lab_register(l, &A, 1, 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct lab_script s = {.act = true, .action = rows[i].action};
        UINT64 id = callout(l, &A, 5, FWP_ACTION_CALLOUT_UNKNOWN, &s);

        assert_int_equal(lab_classify(l)->action, rows[i].verdict);
        assert_true(l->verdict.filter_id == (rows[i].decides ? id : 0));
        assert_int_equal(l->conduct & ENGINE_CONDUCT_INVALID_ACTION, 0);
        lab_remove(l, id);
    }
}

static void CLS_05_invalid_action_blocks(void **state)
{
    struct lab *l = *state;
    const FWP_ACTION_TYPE invalid[] = {FWP_ACTION_CALLOUT_TERMINATING,
                                       FWP_ACTION_CALLOUT_INSPECTION,
                                       FWP_ACTION_CALLOUT_UNKNOWN,
                                       1,
                                       0xffffffff,
                                       0x1003};
    struct lab_script s = {.act = true};
    UINT64 id;

    lab_register(l, &A, 1, 0);
    for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
        s.action = invalid[i];
        id = callout(l, &A, 5, FWP_ACTION_CALLOUT_UNKNOWN, &s);
        assert_int_equal(lab_classify(l)->action, FWP_ACTION_BLOCK);
        assert_true(l->verdict.filter_id == id);
        assert_true(l->conduct & ENGINE_CONDUCT_INVALID_ACTION);
        lab_remove(l, id);
    }
}

static void meddle(struct lab_script *s, FWPS_CLASSIFY_OUT0 *out)
{
    (void)s;
    out->outContext = 0x1234;
    out->filterId = 0x5678;
    out->reserved = 0x9abc;
}

static void CLS_06_system_members_are_restored(void **state)
{
    struct lab *l = *state;
    struct lab_script s = {.act = true, .action = FWP_ACTION_PERMIT, .also = meddle}, next = {.calls = 0};
    UINT64 id;

    lab_register(l, &A, 1, 0);
    lab_register(l, &B, 1, 0);
    id = callout(l, &A, 9, FWP_ACTION_CALLOUT_UNKNOWN, &s);
    callout(l, &B, 5, FWP_ACTION_CALLOUT_INSPECTION, &next);
    assert_true(lab_classify(l)->filter_id == id);
    assert_int_equal(l->conduct, ENGINE_CONDUCT_SYSTEM_MEMBER);
    assert_true(next.shown.outContext == 0);
    assert_true(next.shown.filterId == id);
    assert_int_equal(next.shown.reserved, 0);
}

static void sees_the_struct(struct lab_script *s, FWPS_CLASSIFY_OUT0 *out)
{
    s->ctx = out;
}

/* Its layout is asserted with all others where the library is compiled; here, that the data comes back in it.
 */
static void CLS_36_the_answer_comes_back_in_the_struct(void **state)
{
    struct lab *l = *state;
    struct lab_script s = {.act = true,
                           .action = FWP_ACTION_BLOCK,
                           .clear_write = true,
                           .flags = FWPS_CLASSIFY_OUT_FLAG_ABSORB,
                           .also = sees_the_struct};
    UINT64 id;

    assert_int_equal(offsetof(FWPS_CLASSIFY_OUT0, actionType), 0);
    assert_true(offsetof(FWPS_CLASSIFY_OUT0, outContext) < offsetof(FWPS_CLASSIFY_OUT0, filterId));
    assert_true(offsetof(FWPS_CLASSIFY_OUT0, filterId) < offsetof(FWPS_CLASSIFY_OUT0, rights));
    assert_true(offsetof(FWPS_CLASSIFY_OUT0, rights) < offsetof(FWPS_CLASSIFY_OUT0, flags));
    assert_true(offsetof(FWPS_CLASSIFY_OUT0, flags) < offsetof(FWPS_CLASSIFY_OUT0, reserved));
    lab_register(l, &A, 1, 0);
    id = callout(l, &A, 9, FWP_ACTION_CALLOUT_TERMINATING, &s);
    lab_classify(l);
    assert_non_null(s.ctx);
    assert_int_equal(s.shown.rights, FWPS_RIGHT_ACTION_WRITE); /* the engine's half of it */
    assert_int_equal(s.shown.flags, 0);
    assert_int_equal(l->verdict.action, FWP_ACTION_BLOCK); /* and the callout's */
    assert_int_equal(l->verdict.rights, 0);
    assert_int_equal(l->verdict.flags, ENGINE_VERDICT_ABSORB);
    assert_true(l->verdict.filter_id == id);
}

/* ---- ABSORB -------------------------------------------------------------------------------------------- */

/* The verdict's flags at a layer for a callout that answers `action` with ABSORB. */
static UINT32 absorb_at(UINT16 layer, FWP_ACTION_TYPE action, const bool *pended, UINT32 *conduct)
{
    struct lab l;
    struct lab_script s = {
        .act = true, .action = action, .clear_write = true, .flags = FWPS_CLASSIFY_OUT_FLAG_ABSORB};

    lab_open(&l, layer);
    lab_register(&l, &A, 1, 0);
    l.request.pended = pended;
    callout(&l, &A, 5, FWP_ACTION_CALLOUT_TERMINATING, &s);
    assert_int_equal(lab_classify(&l)->action, action);
    if (conduct != NULL)
        *conduct = l.conduct;
    lab_close(&l);
    return l.verdict.flags;
}

static int events;
static UINT32 event_flags;

static void on_classified(void *ctx, const struct engine_request *q, const struct engine_verdict *v)
{
    (void)ctx;
    (void)q;
    events++;
    event_flags = v->flags;
}

/* The engine's part: the verdict says that the block is silent, so that no event, audit or discard layer
 * follows. */
static void CLS_08_absorb_is_marked_in_the_verdict(void **state)
{
    (void)state;
    assert_int_equal(absorb_at(FWPS_LAYER_INBOUND_TRANSPORT_V4, FWP_ACTION_BLOCK, NULL, NULL),
                     ENGINE_VERDICT_ABSORB);
}

static void CLS_09_block_without_absorb_is_reported(void **state)
{
    struct lab *l = *state;
    struct engine_observer o = {.classified = on_classified};
    struct lab_script s = {.act = true, .action = FWP_ACTION_BLOCK, .clear_write = true};
    struct engine_verdict v;

    lab_register(l, &A, 1, 0);
    callout(l, &A, 5, FWP_ACTION_CALLOUT_TERMINATING, &s);
    engine_set_observer(l->engine, &o);
    events = 0;
    assert_int_equal(engine_classify(l->reader, &l->request, &v), STATUS_SUCCESS);
    assert_int_equal(events, 1);
    assert_int_equal(event_flags & ENGINE_VERDICT_ABSORB, 0);
    s.action = FWP_ACTION_PERMIT; /* permits only when wanted */
    assert_int_equal(engine_classify(l->reader, &l->request, &v), STATUS_SUCCESS);
    assert_int_equal(events, 1);
    o.want_permits = true;
    engine_set_observer(l->engine, &o);
    assert_int_equal(engine_classify(l->reader, &l->request, &v), STATUS_SUCCESS);
    assert_int_equal(events, 2);
}

static const UINT16 absorbing[] = {
    FWPS_LAYER_INBOUND_MAC_FRAME_NATIVE,   FWPS_LAYER_OUTBOUND_MAC_FRAME_NATIVE,
    FWPS_LAYER_INBOUND_MAC_FRAME_ETHERNET, FWPS_LAYER_OUTBOUND_MAC_FRAME_ETHERNET,
    FWPS_LAYER_INGRESS_VSWITCH_ETHERNET,   FWPS_LAYER_EGRESS_VSWITCH_ETHERNET,
    FWPS_LAYER_INBOUND_IPPACKET_V4,        FWPS_LAYER_INBOUND_IPPACKET_V6,
    FWPS_LAYER_OUTBOUND_IPPACKET_V4,       FWPS_LAYER_OUTBOUND_IPPACKET_V6,
    FWPS_LAYER_INBOUND_TRANSPORT_V4,       FWPS_LAYER_INBOUND_TRANSPORT_V6,
    FWPS_LAYER_OUTBOUND_TRANSPORT_V4,      FWPS_LAYER_OUTBOUND_TRANSPORT_V6,
    FWPS_LAYER_INBOUND_ICMP_ERROR_V4,      FWPS_LAYER_INBOUND_ICMP_ERROR_V6,
    FWPS_LAYER_OUTBOUND_ICMP_ERROR_V4,     FWPS_LAYER_OUTBOUND_ICMP_ERROR_V6,
    FWPS_LAYER_DATAGRAM_DATA_V4,           FWPS_LAYER_DATAGRAM_DATA_V6,
    FWPS_LAYER_STREAM_PACKET_V4,           FWPS_LAYER_STREAM_PACKET_V6,
    FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4,    FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V6,
    FWPS_LAYER_ALE_AUTH_CONNECT_V4,        FWPS_LAYER_ALE_AUTH_CONNECT_V6,
};

static bool among(UINT16 layer, const UINT16 *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] == layer)
            return true;
    return false;
}

static void CLS_10_layers_that_absorb(void **state)
{
    const UINT16 tolerated[] = {FWPS_LAYER_ALE_FLOW_ESTABLISHED_V4, FWPS_LAYER_ALE_FLOW_ESTABLISHED_V6,
                                FWPS_LAYER_IPFORWARD_V4, FWPS_LAYER_IPFORWARD_V6}; /* CLS-11, 13 */

    (void)state;
    for (UINT16 layer = 0; layer < ENGINE_LAYER_COUNT; layer++) {
        bool honoured =
            among(layer, absorbing, sizeof(absorbing) / sizeof(absorbing[0])) || among(layer, tolerated, 4);
        UINT32 conduct;

        assert_int_equal(absorb_at(layer, FWP_ACTION_BLOCK, NULL, &conduct),
                         honoured ? ENGINE_VERDICT_ABSORB : 0);
        assert_int_equal(conduct, honoured ? 0 : ENGINE_CONDUCT_ABSORB_IGNORED);
    }
}

static void CLS_11_flow_established(void **state)
{
    (void)state;
    assert_int_equal(absorb_at(FWPS_LAYER_ALE_FLOW_ESTABLISHED_V4, FWP_ACTION_BLOCK, NULL, NULL),
                     ENGINE_VERDICT_ABSORB);
    assert_int_equal(absorb_at(FWPS_LAYER_ALE_FLOW_ESTABLISHED_V6, FWP_ACTION_BLOCK, NULL, NULL),
                     ENGINE_VERDICT_ABSORB);
}

static void CLS_12_not_at_discard_layers(void **state)
{
    bool pended = true;
    int discards = 0;

    (void)state;
    for (UINT16 layer = 0; layer < ENGINE_LAYER_COUNT; layer++) {
        UINT32 conduct;

        if (!engine_layer_by_id(layer)->discard)
            continue;
        discards++;
        assert_int_equal(absorb_at(layer, FWP_ACTION_BLOCK, &pended, &conduct), 0);
        assert_int_equal(conduct, ENGINE_CONDUCT_ABSORB_IGNORED);
    }
    assert_true(discards > 10);
}

static void CLS_13_where_the_list_is_silent(void **state)
{
    const UINT16 when_pended[] = {FWPS_LAYER_ALE_RESOURCE_ASSIGNMENT_V4,
                                  FWPS_LAYER_ALE_RESOURCE_ASSIGNMENT_V6, FWPS_LAYER_ALE_AUTH_LISTEN_V4,
                                  FWPS_LAYER_ALE_AUTH_LISTEN_V6};
    const UINT16 never[] = {FWPS_LAYER_ALE_CONNECT_REDIRECT_V4, FWPS_LAYER_ALE_BIND_REDIRECT_V6,
                            FWPS_LAYER_ALE_ENDPOINT_CLOSURE_V4, FWPS_LAYER_STREAM_V4,
                            FWPS_LAYER_INGRESS_VSWITCH_TRANSPORT_V4};
    bool pended = true, not_pended = false;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(absorb_at(when_pended[i], FWP_ACTION_BLOCK, &pended, NULL), ENGINE_VERDICT_ABSORB);
        assert_int_equal(absorb_at(when_pended[i], FWP_ACTION_BLOCK, &not_pended, NULL), 0);
        assert_int_equal(absorb_at(when_pended[i], FWP_ACTION_BLOCK, NULL, NULL), 0);
    }
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(absorb_at(never[i], FWP_ACTION_BLOCK, &pended, NULL), 0);
    assert_int_equal(absorb_at(FWPS_LAYER_IPFORWARD_V4, FWP_ACTION_BLOCK, NULL, NULL), ENGINE_VERDICT_ABSORB);
}

static void CLS_14_only_with_block(void **state)
{
    UINT32 conduct;

    (void)state;
    assert_int_equal(absorb_at(FWPS_LAYER_INBOUND_TRANSPORT_V4, FWP_ACTION_PERMIT, NULL, &conduct), 0);
    assert_int_equal(conduct, ENGINE_CONDUCT_ABSORB_IGNORED);
}

/* ---- conditional on flow ------------------------------------------------------------------------------- */

static void CLS_22_conditional_on_flow(void **state)
{
    struct lab *l = *state;
    struct lab_script s = {.act = true, .action = FWP_ACTION_BLOCK};
    UINT64 context = 0, id;
    struct engine_flow flow = {&context, context_of_flow};

    lab_register(l, &A, 1, FWP_CALLOUT_FLAG_CONDITIONAL_ON_FLOW);
    id = callout(l, &A, 5, FWP_ACTION_CALLOUT_TERMINATING, &s);
    assert_int_equal(lab_classify(l)->action, FWP_ACTION_PERMIT); /* no flow */
    assert_int_equal(s.calls, 0);
    l->request.flow = &flow;
    assert_int_equal(lab_classify(l)->action, FWP_ACTION_PERMIT); /* a flow, but no context on it */
    assert_int_equal(s.calls, 0);
    context = 42;
    assert_true(lab_classify(l)->filter_id == id);
    assert_int_equal(s.calls, 1);
    assert_true(s.flow_context == 42);
    /* without the flag it is called either way */
    assert_int_equal(engine_callout_unregister(l->engine, &A), 0);
    lab_register(l, &A, 1, 0);
    context = 0;
    lab_classify(l);
    assert_int_equal(s.calls, 1);
    assert_true(s.flow_context == 0);
}

static void CLS_23_not_called_is_continue(void **state)
{
    struct lab *l = *state;
    struct lab_script s = {.act = true, .action = FWP_ACTION_BLOCK};
    UINT64 next;

    lab_register(l, &A, 1, FWP_CALLOUT_FLAG_CONDITIONAL_ON_FLOW);
    callout(l, &A, 5, FWP_ACTION_CALLOUT_TERMINATING, &s);
    next = lab_add(l, &(struct lab_filter){.sublayer = 5, .weight = 1, .action = FWP_ACTION_BLOCK});
    assert_true(lab_classify(l)->filter_id == next);
    assert_int_equal(l->verdict.flags, 0); /* it is no substitute either: the callout is registered */
    assert_int_equal(l->conduct, 0);
}

static void CLS_24_registration_flags(void **state)
{
    struct lab *l = *state;
    const UINT32 flags[] = {FWP_CALLOUT_FLAG_ALLOW_OFFLOAD,
                            FWP_CALLOUT_FLAG_ENABLE_COMMIT_ADD_NOTIFY,
                            FWP_CALLOUT_FLAG_ALLOW_MID_STREAM_INSPECTION,
                            FWP_CALLOUT_FLAG_ALLOW_RECLASSIFY,
                            FWP_CALLOUT_FLAG_ALLOW_RSC,
                            FWP_CALLOUT_FLAG_ALLOW_L2_BATCH_CLASSIFY,
                            FWP_CALLOUT_FLAG_ALLOW_USO,
                            FWP_CALLOUT_FLAG_ALLOW_URO};
    const UINT32 bits[] = {0x2, 0x4, 0x8, 0x10, 0x40, 0x80, 0x100, 0x200};

    for (size_t i = 0; i < 8; i++) {
        struct lab_script s = {.act = true, .action = FWP_ACTION_BLOCK};
        UINT64 id;

        assert_int_equal(flags[i], bits[i]);
        lab_register(l, &A, 1, flags[i]); /* each alone changes nothing in who is called */
        id = callout(l, &A, 5, FWP_ACTION_CALLOUT_TERMINATING, &s);
        assert_true(lab_classify(l)->filter_id == id);
        lab_remove(l, id);
        assert_int_equal(engine_callout_unregister(l->engine, &A), 0);
    }
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(CLS_01_called_for_each_matching_filter),
        TEST(CLS_02_version_registered_decides),
        TEST(CLS_04_result_values),
        TEST(CLS_05_invalid_action_blocks),
        TEST(CLS_06_system_members_are_restored),
        TEST(CLS_36_the_answer_comes_back_in_the_struct),
        cmocka_unit_test(CLS_08_absorb_is_marked_in_the_verdict),
        TEST(CLS_09_block_without_absorb_is_reported),
        cmocka_unit_test(CLS_10_layers_that_absorb),
        cmocka_unit_test(CLS_11_flow_established),
        cmocka_unit_test(CLS_12_not_at_discard_layers),
        cmocka_unit_test(CLS_13_where_the_list_is_silent),
        cmocka_unit_test(CLS_14_only_with_block),
        TEST(CLS_22_conditional_on_flow),
        TEST(CLS_23_not_called_is_continue),
        TEST(CLS_24_registration_flags),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
