/* SPDX-License-Identifier: Apache-2.0 */
/* MATCH: how a filter's conditions combine (MATCH-01..04, 26), and which conditions are acceptable (05..07,
 * 09, 10). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "engine_lab.h"

#define V4_CONNECT FWPS_LAYER_ALE_AUTH_CONNECT_V4

static int lab_setup(void **state)
{
    struct lab *l = malloc(sizeof(*l));

    lab_open(l, V4_CONNECT);
    *state = l;
    return 0;
}

static int lab_teardown(void **state)
{
    lab_close(*state);
    free(*state);
    return 0;
}

/* ---- combining ----------------------------------------------------------------------------------------- */

static void MATCH_01_no_conditions(void **state)
{
    struct lab *l = *state;

    assert_true(lab_matches(l, NULL, 0));
    for (UINT16 i = 0; i < l->layer->field_count; i++)
        l->values[i].value.type = FWP_EMPTY;
    assert_true(lab_matches(l, NULL, 0));
}

static void MATCH_02_fields_are_anded(void **state)
{
    struct lab *l = *state;
    FWPS_FILTER_CONDITION0 both[2] = {
        lab_condition(l, &FWPM_CONDITION_IP_PROTOCOL, FWP_MATCH_EQUAL, LAB_U8(6)),
        lab_condition(l, &FWPM_CONDITION_IP_REMOTE_PORT, FWP_MATCH_EQUAL, LAB_U16(443)),
    };

    lab_value(l, &FWPM_CONDITION_IP_PROTOCOL)->uint8 = 6;
    lab_value(l, &FWPM_CONDITION_IP_REMOTE_PORT)->uint16 = 443;
    assert_true(lab_matches(l, both, 2));
    lab_value(l, &FWPM_CONDITION_IP_REMOTE_PORT)->uint16 = 80;
    assert_false(lab_matches(l, both, 2));
    lab_value(l, &FWPM_CONDITION_IP_REMOTE_PORT)->uint16 = 443;
    lab_value(l, &FWPM_CONDITION_IP_PROTOCOL)->uint8 = 17;
    assert_false(lab_matches(l, both, 2));
}

static void MATCH_03_one_field_is_ored(void **state)
{
    struct lab *l = *state;
    /* not adjacent: the alternatives of a field need not stand together */
    FWPS_FILTER_CONDITION0 c[3] = {
        lab_condition(l, &FWPM_CONDITION_IP_REMOTE_PORT, FWP_MATCH_EQUAL, LAB_U16(80)),
        lab_condition(l, &FWPM_CONDITION_IP_PROTOCOL, FWP_MATCH_EQUAL, LAB_U8(6)),
        lab_condition(l, &FWPM_CONDITION_IP_REMOTE_PORT, FWP_MATCH_EQUAL, LAB_U16(443)),
    };
    FWPS_FILTER_CONDITION0 twice[2] = {c[0], c[0]};

    lab_value(l, &FWPM_CONDITION_IP_PROTOCOL)->uint8 = 6;
    lab_value(l, &FWPM_CONDITION_IP_REMOTE_PORT)->uint16 = 80;
    assert_true(lab_matches(l, c, 3));
    assert_true(lab_matches(l, twice, 2)); /* and no DUPLICATE_CONDITION */
    lab_value(l, &FWPM_CONDITION_IP_REMOTE_PORT)->uint16 = 443;
    assert_true(lab_matches(l, c, 3));
    lab_value(l, &FWPM_CONDITION_IP_REMOTE_PORT)->uint16 = 81;
    assert_false(lab_matches(l, c, 3));
    lab_value(l, &FWPM_CONDITION_IP_REMOTE_PORT)->uint16 = 443;
    lab_value(l, &FWPM_CONDITION_IP_PROTOCOL)->uint8 = 17;
    assert_false(lab_matches(l, c, 3));
}

static void MATCH_04_negatives_are_ored_too(void **state)
{
    struct lab *l = *state;
    FWPS_FILTER_CONDITION0 c[2] = {
        lab_condition(l, &FWPM_CONDITION_IP_REMOTE_PORT, FWP_MATCH_NOT_EQUAL, LAB_U16(80)),
        lab_condition(l, &FWPM_CONDITION_IP_REMOTE_PORT, FWP_MATCH_NOT_EQUAL, LAB_U16(443)),
    };

    lab_value(l, &FWPM_CONDITION_IP_REMOTE_PORT)->uint16 = 80;
    assert_true(lab_matches(l, c, 2));
    assert_false(lab_matches(l, c, 1));
    lab_value(l, &FWPM_CONDITION_IP_REMOTE_PORT)->uint16 = 443;
    assert_true(lab_matches(l, c, 2));
    lab_value(l, &FWPM_CONDITION_IP_REMOTE_PORT)->uint16 = 1;
    assert_true(lab_matches(l, c, 2));
}

static void MATCH_26_or_equals_single_filters(void **state)
{
    struct lab *l = *state;
    const UINT16 ports[3] = {22, 80, 443};
    struct lab_filter f = {.sublayer = 1, .weight = 5, .action = FWP_ACTION_BLOCK, .condition_count = 3};
    FWP_VALUE0 *port = lab_value(l, &FWPM_CONDITION_IP_REMOTE_PORT);
    FWP_ACTION_TYPE as_one[512];
    UINT64 id;

    for (int i = 0; i < 3; i++)
        f.conditions[i] =
            lab_condition(l, &FWPM_CONDITION_IP_REMOTE_PORT, FWP_MATCH_EQUAL, LAB_U16(ports[i]));
    id = lab_add(l, &f);
    for (UINT16 p = 0; p < 512; p++) {
        port->uint16 = p;
        as_one[p] = lab_classify(l)->action;
    }
    lab_remove(l, id);
    f.condition_count = 1;
    for (int i = 0; i < 3; i++) {
        f.conditions[0] =
            lab_condition(l, &FWPM_CONDITION_IP_REMOTE_PORT, FWP_MATCH_EQUAL, LAB_U16(ports[i]));
        lab_add(l, &f);
    }
    for (UINT16 p = 0; p < 512; p++) {
        port->uint16 = p;
        assert_int_equal(lab_classify(l)->action, as_one[p]);
        assert_int_equal(as_one[p], p == 22 || p == 80 || p == 443 ? FWP_ACTION_BLOCK : FWP_ACTION_PERMIT);
    }
}

/* ---- acceptable conditions ----------------------------------------------------------------------------- */

static NTSTATUS check_at(UINT16 layer_id, const GUID *key, FWP_MATCH_TYPE match, FWP_CONDITION_VALUE0 value)
{
    const struct engine_layer *layer = engine_layer_by_id(layer_id);
    int field = engine_layer_field(layer, key);

    return engine_condition_check(field < 0 ? NULL : &layer->fields[field], match, &value);
}

static NTSTATUS check(const GUID *key, FWP_MATCH_TYPE match, FWP_CONDITION_VALUE0 value)
{
    return check_at(V4_CONNECT, key, match, value);
}

static void MATCH_05_no_such_field(void **state)
{
    (void)state;
    /* INTERFACE_MAC_ADDRESS belongs to the MAC layers */
    assert_int_equal(check(&FWPM_CONDITION_INTERFACE_MAC_ADDRESS, FWP_MATCH_EQUAL, LAB_U8(1)),
                     STATUS_FWP_CONDITION_NOT_FOUND);
    assert_int_equal(check(&FWPM_CONDITION_IP_PROTOCOL, FWP_MATCH_EQUAL, LAB_U8(1)), STATUS_SUCCESS);
}

#define V(t, member, p) ((FWP_CONDITION_VALUE0){.type = (t), .member = (p)})

static void MATCH_06_value_types(void **state)
{
    UINT64 luid = 1;
    FWP_BYTE_ARRAY16 a16 = {{1}};
    FWP_V6_ADDR_AND_MASK v6 = {{1}, 64};
    FWP_BYTE_BLOB blob = {0, NULL}, sd;
    UINT8 sid[SECURITY_MAX_SID_SIZE];
    FWP_RANGE0 ports = {{.type = FWP_UINT16, .uint16 = 1}, {.type = FWP_UINT16, .uint16 = 2}};
    FWP_RANGE0 mixed = {{.type = FWP_UINT16, .uint16 = 1}, {.type = FWP_UINT32, .uint32 = 2}};
    void *raw;
    size_t raw_size;
    const UINT16 v6_connect = FWPS_LAYER_ALE_AUTH_CONNECT_V6;

    (void)state;
    assert_int_equal(security_sddl_parse("D:(A;;CC;;;WD)", &raw, &raw_size, NULL), 0);
    sd = (FWP_BYTE_BLOB){(UINT32)raw_size, raw};
    assert_int_equal(security_sid_parse("S-1-0-0", (SID *)sid, sizeof(sid)), 0);
    const struct {
        UINT16 layer;
        const GUID *key;
        FWP_MATCH_TYPE match;
        FWP_CONDITION_VALUE0 value;
        bool ok;
    } rows[] = {
        {V4_CONNECT, &FWPM_CONDITION_IP_REMOTE_ADDRESS, FWP_MATCH_EQUAL, LAB_U32(1), true},
        {V4_CONNECT, &FWPM_CONDITION_IP_REMOTE_ADDRESS, FWP_MATCH_EQUAL, LAB_V4(0, 0), true},
        {V4_CONNECT, &FWPM_CONDITION_IP_REMOTE_ADDRESS, FWP_MATCH_EQUAL,
         V(FWP_BYTE_ARRAY16_TYPE, byteArray16, &a16), false},
        {V4_CONNECT, &FWPM_CONDITION_IP_REMOTE_ADDRESS, FWP_MATCH_EQUAL, V(FWP_V6_ADDR_MASK, v6AddrMask, &v6),
         false},
        {v6_connect, &FWPM_CONDITION_IP_REMOTE_ADDRESS, FWP_MATCH_EQUAL,
         V(FWP_BYTE_ARRAY16_TYPE, byteArray16, &a16), true},
        {v6_connect, &FWPM_CONDITION_IP_REMOTE_ADDRESS, FWP_MATCH_EQUAL, V(FWP_V6_ADDR_MASK, v6AddrMask, &v6),
         true},
        {v6_connect, &FWPM_CONDITION_IP_REMOTE_ADDRESS, FWP_MATCH_EQUAL, LAB_V4(0, 0), false},
        {V4_CONNECT, &FWPM_CONDITION_IP_REMOTE_PORT, FWP_MATCH_EQUAL, LAB_U16(1), true},
        {V4_CONNECT, &FWPM_CONDITION_IP_REMOTE_PORT, FWP_MATCH_EQUAL, LAB_U8(1), false},
        {V4_CONNECT, &FWPM_CONDITION_IP_REMOTE_PORT, FWP_MATCH_EQUAL, LAB_U32(1), false},
        {V4_CONNECT, &FWPM_CONDITION_IP_PROTOCOL, FWP_MATCH_EQUAL, LAB_U8(1), true},
        {V4_CONNECT, &FWPM_CONDITION_IP_PROTOCOL, FWP_MATCH_EQUAL, LAB_U16(1), false},
        {V4_CONNECT, &FWPM_CONDITION_FLAGS, FWP_MATCH_FLAGS_ALL_SET, LAB_U32(1), true},
        {V4_CONNECT, &FWPM_CONDITION_FLAGS, FWP_MATCH_FLAGS_ALL_SET, LAB_V4(0, 0), false}, /* no address */
        {V4_CONNECT, &FWPM_CONDITION_IP_LOCAL_INTERFACE, FWP_MATCH_EQUAL, V(FWP_UINT64, uint64, &luid), true},
        {V4_CONNECT, &FWPM_CONDITION_IP_LOCAL_INTERFACE, FWP_MATCH_EQUAL, LAB_U32(1), false},
        {V4_CONNECT, &FWPM_CONDITION_ALE_APP_ID, FWP_MATCH_EQUAL, V(FWP_BYTE_BLOB_TYPE, byteBlob, &blob),
         true},
        {V4_CONNECT, &FWPM_CONDITION_ALE_APP_ID, FWP_MATCH_EQUAL,
         V(FWP_UNICODE_STRING_TYPE, unicodeString, (WCHAR *)u"a"), false},
        {V4_CONNECT, &FWPM_CONDITION_ALE_USER_ID, FWP_MATCH_EQUAL, V(FWP_SECURITY_DESCRIPTOR_TYPE, sd, &sd),
         true},
        {V4_CONNECT, &FWPM_CONDITION_ALE_USER_ID, FWP_MATCH_EQUAL, V(FWP_SID, sid, (SID *)sid), false},
        {V4_CONNECT, &FWPM_CONDITION_ALE_PACKAGE_ID, FWP_MATCH_EQUAL, V(FWP_SID, sid, (SID *)sid), true},
        {V4_CONNECT, &FWPM_CONDITION_ALE_PACKAGE_ID, FWP_MATCH_EQUAL,
         V(FWP_SECURITY_DESCRIPTOR_TYPE, sd, &sd), false},
        {V4_CONNECT, &FWPM_CONDITION_ALE_PACKAGE_FAMILY_NAME, FWP_MATCH_EQUAL,
         V(FWP_SECURITY_DESCRIPTOR_TYPE, sd, &sd), true},
        {V4_CONNECT, &FWPM_CONDITION_IP_REMOTE_PORT, FWP_MATCH_RANGE, V(FWP_RANGE_TYPE, rangeValue, &ports),
         true},
        {V4_CONNECT, &FWPM_CONDITION_IP_REMOTE_PORT, FWP_MATCH_RANGE, V(FWP_RANGE_TYPE, rangeValue, &mixed),
         false},
        {V4_CONNECT, &FWPM_CONDITION_IP_PROTOCOL, FWP_MATCH_RANGE, V(FWP_RANGE_TYPE, rangeValue, &ports),
         false},
        {V4_CONNECT, &FWPM_CONDITION_IP_REMOTE_PORT, FWP_MATCH_RANGE, LAB_U16(1), false},
        {V4_CONNECT, &FWPM_CONDITION_IP_REMOTE_PORT, FWP_MATCH_EQUAL, V(FWP_RANGE_TYPE, rangeValue, &ports),
         false},
        {V4_CONNECT, &FWPM_CONDITION_IP_REMOTE_PORT, FWP_MATCH_EQUAL, LAB_EMPTY, true},
        {V4_CONNECT, &FWPM_CONDITION_ALE_USER_ID, FWP_MATCH_EQUAL, LAB_EMPTY, true},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        NTSTATUS got = check_at(rows[i].layer, rows[i].key, rows[i].match, rows[i].value);

        if (got != (rows[i].ok ? STATUS_SUCCESS : STATUS_FWP_TYPE_MISMATCH))
            fail_msg("row %zu: 0x%08x", i, (unsigned)got);
    }
    free(raw);
}

static void MATCH_07_match_types(void **state)
{
    UINT64 luid = 1;
    FWP_BYTE_ARRAY16 a16 = {{1}};
    FWP_BYTE_BLOB blob = {0, NULL};
    UINT8 sid[SECURITY_MAX_SID_SIZE];
    FWP_RANGE0 blobs = {{.type = FWP_BYTE_BLOB_TYPE, .byteBlob = &blob},
                        {.type = FWP_BYTE_BLOB_TYPE, .byteBlob = &blob}};
    WCHAR text[] = u"text";
    const struct engine_field string = {.type = FWPM_FIELD_RAW_DATA, .data_type = FWP_UNICODE_STRING_TYPE};
    const FWP_CONDITION_VALUE0 string_value = V(FWP_UNICODE_STRING_TYPE, unicodeString, text);

    (void)state;
    assert_int_equal(security_sid_parse("S-1-0-0", (SID *)sid, sizeof(sid)), 0);
    const struct {
        const GUID *key;
        FWP_CONDITION_VALUE0 value;
        UINT32 usable; /* bit n: match type n */
    } rows[] = {
        /* everything on integers but RANGE (it takes an FWP_RANGE) and the string matches */
        {&FWPM_CONDITION_IP_REMOTE_PORT, LAB_U16(1), 0x5df},
        {&FWPM_CONDITION_IP_REMOTE_ADDRESS, LAB_U32(1), 0x5df},
        {&FWPM_CONDITION_IP_LOCAL_INTERFACE, V(FWP_UINT64, uint64, &luid), 0x5df},
        {&FWPM_CONDITION_IP_REMOTE_ADDRESS, LAB_V4(0, 0), 1 << FWP_MATCH_EQUAL | 1 << FWP_MATCH_NOT_EQUAL},
        {&FWPM_CONDITION_ALE_PACKAGE_ID, V(FWP_SID, sid, (SID *)sid),
         1 << FWP_MATCH_EQUAL | 1 << FWP_MATCH_NOT_EQUAL},
        {&FWPM_CONDITION_ALE_APP_ID, V(FWP_BYTE_BLOB_TYPE, byteBlob, &blob),
         1 << FWP_MATCH_EQUAL | 1 << FWP_MATCH_NOT_EQUAL | 1 << FWP_MATCH_PREFIX | 1 << FWP_MATCH_NOT_PREFIX},
        {&FWPM_CONDITION_ALE_APP_ID, LAB_EMPTY, 1 << FWP_MATCH_EQUAL},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (int match = 0; match < FWP_MATCH_TYPE_MAX; match++) {
            NTSTATUS got = check(rows[i].key, (FWP_MATCH_TYPE)match, rows[i].value);
            NTSTATUS want = rows[i].usable >> match & 1 ? STATUS_SUCCESS : STATUS_FWP_MATCH_TYPE_MISMATCH;

            /* RANGE with a single value on a field that has an order is the wrong type: MATCH-06 */
            if (match == FWP_MATCH_RANGE && (rows[i].usable & 2 || rows[i].value.type == FWP_V4_ADDR_MASK))
                want = STATUS_FWP_TYPE_MISMATCH;
            if (got != want)
                fail_msg("row %zu, match type %d: 0x%08x", i, match, (unsigned)got);
        }
    }
    assert_int_equal(
        check(&FWPM_CONDITION_ALE_APP_ID, FWP_MATCH_RANGE, V(FWP_RANGE_TYPE, rangeValue, &blobs)),
        STATUS_FWP_MATCH_TYPE_MISMATCH);
    for (int match = 0; match < FWP_MATCH_TYPE_MAX; match++) {
        bool usable = match == FWP_MATCH_EQUAL || match == FWP_MATCH_NOT_EQUAL ||
                      match == FWP_MATCH_EQUAL_CASE_INSENSITIVE || match == FWP_MATCH_PREFIX ||
                      match == FWP_MATCH_NOT_PREFIX;

        assert_int_equal(engine_condition_check(&string, (FWP_MATCH_TYPE)match, &string_value),
                         usable ? STATUS_SUCCESS : STATUS_FWP_MATCH_TYPE_MISMATCH);
    }
    for (FWP_MATCH_TYPE match = FWP_MATCH_EQUAL; match < FWP_MATCH_TYPE_MAX;
         match++) { /* an order, no bits */
        bool flags = match == FWP_MATCH_FLAGS_ALL_SET || match == FWP_MATCH_FLAGS_ANY_SET ||
                     match == FWP_MATCH_FLAGS_NONE_SET;

        if (flags || match == FWP_MATCH_GREATER)
            assert_int_equal(check_at(FWPS_LAYER_ALE_AUTH_CONNECT_V6, &FWPM_CONDITION_IP_REMOTE_ADDRESS,
                                      match, V(FWP_BYTE_ARRAY16_TYPE, byteArray16, &a16)),
                             flags ? STATUS_FWP_MATCH_TYPE_MISMATCH : STATUS_SUCCESS);
    }
    assert_int_equal(check(&FWPM_CONDITION_IP_PROTOCOL, FWP_MATCH_TYPE_MAX, LAB_U8(1)),
                     STATUS_FWP_INVALID_ENUMERATOR);
}

static void MATCH_09_range_low_above_high(void **state)
{
    UINT64 big = UINT64_MAX, small = 5;
    FWP_BYTE_ARRAY16 high = {{0xfe, 0x80}}, low = {{0xfe, 0x7f, 0xff}};
    struct {
        const GUID *key;
        FWP_RANGE0 range;
        UINT16 layer;
    } rows[] = {
        {&FWPM_CONDITION_IP_REMOTE_PORT,
         {{.type = FWP_UINT16, .uint16 = 2}, {.type = FWP_UINT16, .uint16 = 1}},
         V4_CONNECT},
        /* unsigned: 0x80000000 is above 1 */
        {&FWPM_CONDITION_IP_REMOTE_ADDRESS,
         {{.type = FWP_UINT32, .uint32 = 0x80000000}, {.type = FWP_UINT32, .uint32 = 1}},
         V4_CONNECT},
        {&FWPM_CONDITION_IP_LOCAL_INTERFACE,
         {{.type = FWP_UINT64, .uint64 = &big}, {.type = FWP_UINT64, .uint64 = &small}},
         V4_CONNECT},
        {&FWPM_CONDITION_IP_REMOTE_ADDRESS,
         {{.type = FWP_BYTE_ARRAY16_TYPE, .byteArray16 = &high},
          {.type = FWP_BYTE_ARRAY16_TYPE, .byteArray16 = &low}},
         FWPS_LAYER_ALE_AUTH_CONNECT_V6},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        FWP_CONDITION_VALUE0 v = V(FWP_RANGE_TYPE, rangeValue, &rows[i].range);
        FWP_VALUE0 swap = rows[i].range.valueLow;

        assert_int_equal(check_at(rows[i].layer, rows[i].key, FWP_MATCH_RANGE, v), STATUS_FWP_INVALID_RANGE);
        rows[i].range.valueLow = rows[i].range.valueHigh;
        rows[i].range.valueHigh = swap;
        assert_int_equal(check_at(rows[i].layer, rows[i].key, FWP_MATCH_RANGE, v), STATUS_SUCCESS);
        rows[i].range.valueLow = swap; /* one value is a range */
        assert_int_equal(check_at(rows[i].layer, rows[i].key, FWP_MATCH_RANGE, v), STATUS_SUCCESS);
    }
}

static void MATCH_10_net_masks(void **state)
{
    const UINT32 good[] = {0, 0x80000000, 0xff000000, 0xfffffffe, 0xffffffff};
    const UINT32 bad[] = {1, 0x0fffffff, 0xff00ff00, 0xfffffffd, 0x7fffffff};
    FWP_V6_ADDR_AND_MASK m = {{0}, 0};

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(
            check(&FWPM_CONDITION_IP_REMOTE_ADDRESS, FWP_MATCH_EQUAL, LAB_V4(0x0a000001, good[i])),
            STATUS_SUCCESS);
        assert_int_equal(
            check(&FWPM_CONDITION_IP_REMOTE_ADDRESS, FWP_MATCH_EQUAL, LAB_V4(0x0a000001, bad[i])),
            STATUS_FWP_INVALID_NET_MASK);
    }
    for (unsigned n = 0; n < 256; n++) {
        m.prefixLength = (UINT8)n;
        assert_int_equal(check_at(FWPS_LAYER_ALE_AUTH_CONNECT_V6, &FWPM_CONDITION_IP_REMOTE_ADDRESS,
                                  FWP_MATCH_EQUAL, V(FWP_V6_ADDR_MASK, v6AddrMask, &m)),
                         n <= 128 ? STATUS_SUCCESS : STATUS_FWP_INVALID_NET_MASK);
    }
}

static void pointers_must_point(void **state)
{
    FWP_BYTE_BLOB blob = {4, NULL};

    (void)state;
    assert_int_equal(check(&FWPM_CONDITION_IP_LOCAL_INTERFACE, FWP_MATCH_EQUAL, V(FWP_UINT64, uint64, NULL)),
                     STATUS_FWP_NULL_POINTER);
    assert_int_equal(
        check(&FWPM_CONDITION_ALE_APP_ID, FWP_MATCH_EQUAL, V(FWP_BYTE_BLOB_TYPE, byteBlob, &blob)),
        STATUS_FWP_NULL_POINTER);
    assert_int_equal(
        check(&FWPM_CONDITION_IP_REMOTE_PORT, FWP_MATCH_RANGE, V(FWP_RANGE_TYPE, rangeValue, NULL)),
        STATUS_FWP_NULL_POINTER);
    assert_int_equal(
        check(&FWPM_CONDITION_ALE_USER_ID, FWP_MATCH_EQUAL, V(FWP_SECURITY_DESCRIPTOR_TYPE, sd, &blob)),
        STATUS_FWP_NULL_POINTER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(MATCH_01_no_conditions, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(MATCH_02_fields_are_anded, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(MATCH_03_one_field_is_ored, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(MATCH_04_negatives_are_ored_too, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(MATCH_26_or_equals_single_filters, lab_setup, lab_teardown),
        cmocka_unit_test(MATCH_05_no_such_field),
        cmocka_unit_test(MATCH_06_value_types),
        cmocka_unit_test(MATCH_07_match_types),
        cmocka_unit_test(MATCH_09_range_low_above_high),
        cmocka_unit_test(MATCH_10_net_masks),
        cmocka_unit_test(pointers_must_point),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
