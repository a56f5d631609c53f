/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir.h: one question to one layer: filters and callouts answer as they do for the host; a pend inside ends with the
 * question; values and names that make no sense are told.
 */
#include <errno.h>

#include "embed_lab.h"
#include "linked.h"

#include <fwpmu.h>

#define ASK(...)                                                                                             \
    (const struct weir_field[]){__VA_ARGS__},                                                                \
        sizeof((struct weir_field[]){__VA_ARGS__}) / sizeof(struct weir_field)

static int begin(void **state)
{
    struct embed_lab *l = calloc(1, sizeof *l);

    assert_non_null(l);
    embed_lab_open(l, NULL);
    *state = l;
    return 0;
}

static int end(void **state)
{
    embed_lab_close(*state);
    free(*state);
    return 0;
}

static UINT64 block_port(HANDLE engine, UINT16 port)
{
    FWPM_FILTER_CONDITION0 condition = {.fieldKey = FWPM_CONDITION_IP_REMOTE_PORT,
                                        .matchType = FWP_MATCH_EQUAL,
                                        .conditionValue = {.type = FWP_UINT16, .uint16 = port}};
    FWPM_FILTER0 filter = {.displayData = {.name = (WCHAR *)u"no port"},
                           .layerKey = FWPM_LAYER_ALE_AUTH_CONNECT_V4,
                           .numFilterConditions = 1,
                           .filterCondition = &condition,
                           .action = {.type = FWP_ACTION_BLOCK}};
    UINT64 id = 0;

    assert_int_equal(FwpmFilterAdd0(engine, &filter, NULL, &id), ERROR_SUCCESS);
    return id;
}

static void filters_answer(void **state)
{
    struct embed_lab *l = *state;
    struct weir_verdict v;
    HANDLE engine;
    UINT64 id;

    assert_int_equal(FwpmEngineOpen0(NULL, RPC_C_AUTHN_WINNT, NULL, NULL, &engine), ERROR_SUCCESS);
    id = block_port(engine, 443);
    assert_int_equal(weir_classify(l->w, "ALE_AUTH_CONNECT_V4", ASK({"IP_REMOTE_PORT", "443"}), &v), 0);
    assert_false(v.permit);
    assert_false(v.pended);
    assert_true(v.filter_id == id);
    assert_non_null(strstr(v.text, "block by filter"));
    assert_non_null(strstr(v.text, "\"no port\""));
    assert_int_equal(weir_classify(l->w, "FWPM_LAYER_ALE_AUTH_CONNECT_V4", ASK({"IP_REMOTE_PORT", "80"}), &v),
                     0);
    assert_true(v.permit);
    assert_true(v.filter_id == 0);
    assert_int_equal(weir_classify(l->w, "ALE_AUTH_CONNECT_V4", NULL, 0, &v), 0); /* no port: EMPTY */
    assert_true(v.permit);
    assert_true(weir_expect(
        l->w, &(struct weir_match){.layer = "ALE_AUTH_CONNECT_V4", .verdict = "block", .filter_id = id}, 1));
    assert_int_equal(FwpmEngineClose0(engine), ERROR_SUCCESS);
}

static void callouts_answer(void **state)
{
    struct embed_lab *l = *state;
    struct weir_verdict v;

    assert_non_null(linked_load(l->w));
    assert_int_equal(
        weir_classify(l->w, "ALE_AUTH_CONNECT_V4",
                      ASK({"IP_REMOTE_PORT", "81"}, {"IP_PROTOCOL", "tcp"}, {"IP_REMOTE_ADDRESS", "1.2.3.4"}),
                      &v),
        0);
    assert_false(v.permit);
    assert_non_null(strstr(v.text, "\"by port\""));
    assert_non_null(strstr(l->printed, "port 81 is blocked"));
    assert_int_equal(
        weir_classify(l->w, "ALE_AUTH_CONNECT_V4", ASK({"FWPM_CONDITION_IP_REMOTE_PORT", "80"}), &v), 0);
    assert_true(v.permit);
}

/* The operation ends with the question; what the driver owes it still owes, and completing it does nothing. */
static void a_pend_is_cancelled(void **state)
{
    struct embed_lab *l = *state;
    struct weir_driver *d = linked_load(l->w);
    struct weir_verdict v;

    assert_non_null(d);
    assert_int_equal(weir_classify(l->w, "ALE_AUTH_CONNECT_V4", ASK({"IP_REMOTE_PORT", "82"}), &v), 0);
    assert_true(v.pended);
    assert_false(v.permit);
    assert_memory_equal(v.text, "pended by filter", 16);
    assert_int_equal(weir_outstanding(l->w, "pended operation"), 1);
    weir_run(l->w, WEIR_SECOND); /* the driver completes it */
    assert_int_equal(weir_outstanding(l->w, "pended operation"), 0);
    assert_true(weir_expect(l->w, &(struct weir_match){.kind = WEIR_EVENT_COMPLETED}, 0)); /* of nothing */
    assert_int_equal(weir_driver_unload(d), 0);
    assert_true(weir_expect_clean(l->w));
}

/* Elsewhere there is no completion handle. */
static void a_layer_without_pending(void **state)
{
    struct embed_lab *l = *state;
    struct weir_verdict v;

    assert_non_null(linked_load(l->w));
    assert_int_equal(weir_classify(l->w, "OUTBOUND_TRANSPORT_V4", ASK({"IP_REMOTE_PORT", "82"}), &v), 0);
    assert_true(v.permit);
    assert_false(v.pended);
}

static void values_as_text(void **state)
{
    struct embed_lab *l = *state;
    struct weir_verdict v;

    assert_int_equal(
        weir_classify(l->w, "ALE_AUTH_CONNECT_V6",
                      ASK({"IP_LOCAL_ADDRESS", "fe80::1"},
                          {"ALE_APP_ID", "C:\\Windows\\System32\\svchost.exe"}, {"ALE_USER_ID", "S-1-5-18"},
                          {"FLAGS", "IS_LOOPBACK"}, {"IP_PROTOCOL", "17"}, {"INTERFACE_TYPE", "6"}),
                      &v),
        0);
    assert_true(v.permit);
}

static void misuse_is_told(void **state)
{
    struct embed_lab *l = *state;
    struct weir_verdict v = {.permit = true};

    embed_lab_expects(l);
    assert_int_equal(weir_classify(l->w, "ALE_NOWHERE", NULL, 0, &v), -EINVAL);
    embed_lab_told(l, "no layer is called 'ALE_NOWHERE'");
    assert_false(v.permit);
    embed_lab_expects(l);
    assert_int_equal(weir_classify(l->w, "ALE_AUTH_CONNECT_V4", ASK({"IP_REMOTE_PROT", "80"}), &v), -EINVAL);
    embed_lab_told(l, "has no field IP_REMOTE_PROT");
    embed_lab_expects(l);
    assert_int_equal(weir_classify(l->w, "ALE_AUTH_CONNECT_V4", ASK({"IP_REMOTE_PORT", "70000"}), &v),
                     -EINVAL);
    embed_lab_told(l, "IP_REMOTE_PORT: expected a number up to 65535");
    embed_lab_expects(l);
    assert_int_equal(weir_classify(l->w, "ALE_AUTH_CONNECT_V4", ASK({"IP_REMOTE_PORT", NULL}), &v), -EINVAL);
    embed_lab_told(l, "field 0 has no value");
    embed_lab_expects(l);
    assert_int_equal(weir_classify(l->w, NULL, NULL, 0, &v), -EINVAL);
    embed_lab_told(l, "layer is NULL");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(filters_answer, begin, end),
        cmocka_unit_test_setup_teardown(callouts_answer, begin, end),
        cmocka_unit_test_setup_teardown(a_pend_is_cancelled, begin, end),
        cmocka_unit_test_setup_teardown(a_layer_without_pending, begin, end),
        cmocka_unit_test_setup_teardown(values_as_text, begin, end),
        cmocka_unit_test_setup_teardown(misuse_is_told, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
