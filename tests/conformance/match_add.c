/* SPDX-License-Identifier: Apache-2.0 */
/* MATCH: the same rules as match_conditions.c, as who adds a filter meets them: the status of the add, and
 * that a refused filter leaves nothing behind (MATCH-03, 05..07, 09, 10). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "bfe_lab.h"

/* Adds a filter at AC v4 with these conditions; the status. Nothing acts if it was refused, the filter does
 * if not. */
static NTSTATUS add(struct bfe_lab *l, FWPM_FILTER_CONDITION0 *conditions, UINT32 count)
{
    FWPM_FILTER0 f = bfe_lab_filter(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, FWP_ACTION_BLOCK);
    const struct engine_filter *const *filters;
    NTSTATUS status;
    size_t before, after;
    UINT64 id = 0;

    f.filterCondition = conditions;
    f.numFilterConditions = count;
    before = engine_snapshot_filters(engine_pin(l->reader), FWPS_LAYER_ALE_AUTH_CONNECT_V4, &filters);
    engine_unpin(l->reader);
    status = bfe_filter_add(l->kernel, &f, NULL, 0, &id);
    after = engine_snapshot_filters(engine_pin(l->reader), FWPS_LAYER_ALE_AUTH_CONNECT_V4, &filters);
    engine_unpin(l->reader);
    assert_int_equal(after, before + (status == STATUS_SUCCESS));
    return status;
}

static NTSTATUS add_one(struct bfe_lab *l, const GUID *key, FWP_MATCH_TYPE match, FWP_CONDITION_VALUE0 value)
{
    FWPM_FILTER_CONDITION0 c = bfe_lab_condition(key, match, value);

    return add(l, &c, 1);
}

#define U8(x)  ((FWP_CONDITION_VALUE0){.type = FWP_UINT8, .uint8 = (x)})
#define U16(x) ((FWP_CONDITION_VALUE0){.type = FWP_UINT16, .uint16 = (x)})
#define U32(x) ((FWP_CONDITION_VALUE0){.type = FWP_UINT32, .uint32 = (x)})

static void MATCH_03_never_a_duplicate_condition(void **state)
{
    struct bfe_lab *l = *state;
    FWP_ACTION_TYPE action;
    FWPM_FILTER_CONDITION0 c[3] = {
        bfe_lab_condition(&FWPM_CONDITION_IP_REMOTE_PORT, FWP_MATCH_EQUAL, U16(80)),
        bfe_lab_condition(&FWPM_CONDITION_IP_REMOTE_PORT, FWP_MATCH_EQUAL, U16(80)),
        bfe_lab_condition(&FWPM_CONDITION_IP_REMOTE_PORT, FWP_MATCH_EQUAL, U16(443)),
    };

    assert_int_equal(add(l, c, 3), STATUS_SUCCESS);
    assert_true(bfe_lab_decider(l, 80, &action) != 0);
    assert_int_equal(action, FWP_ACTION_BLOCK);
    assert_true(bfe_lab_decider(l, 443, &action) != 0);
    assert_true(bfe_lab_decider(l, 81, &action) == 0);
}

static void MATCH_05_condition_not_found(void **state)
{
    struct bfe_lab *l = *state;
    const GUID nobodys = bfe_lab_guid(77);
    FWPM_FILTER_CONDITION0 c[2] = {
        bfe_lab_condition(&FWPM_CONDITION_IP_REMOTE_PORT, FWP_MATCH_EQUAL, U16(80)),
        bfe_lab_condition(&FWPM_CONDITION_INTERFACE_MAC_ADDRESS, FWP_MATCH_EQUAL, U8(1)),
    };

    assert_int_equal(add(l, c, 2), STATUS_FWP_CONDITION_NOT_FOUND);
    assert_int_equal(add_one(l, &nobodys, FWP_MATCH_EQUAL, U8(1)), STATUS_FWP_CONDITION_NOT_FOUND);
    assert_int_equal(add(l, c, 1), STATUS_SUCCESS);
}

static void MATCH_06_type_mismatch(void **state)
{
    struct bfe_lab *l = *state;

    assert_int_equal(add_one(l, &FWPM_CONDITION_IP_REMOTE_PORT, FWP_MATCH_EQUAL, U32(80)),
                     STATUS_FWP_TYPE_MISMATCH);
    assert_int_equal(add_one(l, &FWPM_CONDITION_IP_PROTOCOL, FWP_MATCH_EQUAL, U16(6)),
                     STATUS_FWP_TYPE_MISMATCH);
    assert_int_equal(add_one(l, &FWPM_CONDITION_ALE_USER_ID, FWP_MATCH_EQUAL, U32(6)),
                     STATUS_FWP_TYPE_MISMATCH);
    assert_int_equal(add_one(l, &FWPM_CONDITION_IP_PROTOCOL, FWP_MATCH_EQUAL, U8(6)), STATUS_SUCCESS);
}

static void MATCH_07_match_type_mismatch(void **state)
{
    struct bfe_lab *l = *state;
    FWP_BYTE_BLOB blob = {2, (UINT8 *)"a"};
    FWP_CONDITION_VALUE0 app = {.type = FWP_BYTE_BLOB_TYPE, .byteBlob = &blob};

    assert_int_equal(add_one(l, &FWPM_CONDITION_ALE_APP_ID, FWP_MATCH_GREATER, app),
                     STATUS_FWP_MATCH_TYPE_MISMATCH);
    assert_int_equal(add_one(l, &FWPM_CONDITION_ALE_APP_ID, FWP_MATCH_FLAGS_ALL_SET, app),
                     STATUS_FWP_MATCH_TYPE_MISMATCH);
    assert_int_equal(add_one(l, &FWPM_CONDITION_IP_REMOTE_PORT, FWP_MATCH_PREFIX, U16(1)),
                     STATUS_FWP_MATCH_TYPE_MISMATCH);
    assert_int_equal(add_one(l, &FWPM_CONDITION_IP_REMOTE_PORT, FWP_MATCH_EQUAL_CASE_INSENSITIVE, U16(1)),
                     STATUS_FWP_MATCH_TYPE_MISMATCH);
    assert_int_equal(add_one(l, &FWPM_CONDITION_ALE_APP_ID, FWP_MATCH_EQUAL, app), STATUS_SUCCESS);
}

static void MATCH_09_invalid_range(void **state)
{
    struct bfe_lab *l = *state;
    FWP_RANGE0 r = {{.type = FWP_UINT16, .uint16 = 9}, {.type = FWP_UINT16, .uint16 = 8}};
    FWP_CONDITION_VALUE0 v = {.type = FWP_RANGE_TYPE, .rangeValue = &r};

    assert_int_equal(add_one(l, &FWPM_CONDITION_IP_REMOTE_PORT, FWP_MATCH_RANGE, v),
                     STATUS_FWP_INVALID_RANGE);
    r.valueHigh.uint16 = 9;
    assert_int_equal(add_one(l, &FWPM_CONDITION_IP_REMOTE_PORT, FWP_MATCH_RANGE, v), STATUS_SUCCESS);
}

static void MATCH_10_invalid_net_mask(void **state)
{
    struct bfe_lab *l = *state;
    FWP_V4_ADDR_AND_MASK m = {0x0a000000, 0xff00ff00};
    FWP_CONDITION_VALUE0 v = {.type = FWP_V4_ADDR_MASK, .v4AddrMask = &m};

    assert_int_equal(add_one(l, &FWPM_CONDITION_IP_REMOTE_ADDRESS, FWP_MATCH_EQUAL, v),
                     STATUS_FWP_INVALID_NET_MASK);
    m.mask = 0xff000000;
    assert_int_equal(add_one(l, &FWPM_CONDITION_IP_REMOTE_ADDRESS, FWP_MATCH_EQUAL, v), STATUS_SUCCESS);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, bfe_lab_setup, bfe_lab_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(MATCH_03_never_a_duplicate_condition),
        TEST(MATCH_05_condition_not_found),
        TEST(MATCH_06_type_mismatch),
        TEST(MATCH_07_match_type_mismatch),
        TEST(MATCH_09_invalid_range),
        TEST(MATCH_10_invalid_net_mask),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
