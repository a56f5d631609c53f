/* SPDX-License-Identifier: Apache-2.0 */
/* MATCH: what a value must be to satisfy a condition (MATCH-08..16, 18), and what fields mean (19, 21, 24,
 * 27). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "engine_lab.h"

#define V(t, member, p) ((FWP_CONDITION_VALUE0){.type = (t), .member = (p)})

static int open_lab(void **state, UINT16 layer)
{
    struct lab *l = malloc(sizeof(*l));

    lab_open(l, layer);
    *state = l;
    return 0;
}

static int setup_v4(void **state)
{
    return open_lab(state, FWPS_LAYER_ALE_AUTH_CONNECT_V4);
}

static int setup_v6(void **state)
{
    return open_lab(state, FWPS_LAYER_ALE_AUTH_CONNECT_V6);
}

static int teardown(void **state)
{
    lab_close(*state);
    free(*state);
    return 0;
}

/* ---- order and equality -------------------------------------------------------------------------------- */

/* Each ordering match type against a value below, at and above the bound. */
static void check_order(struct lab *l, const GUID *key, FWP_CONDITION_VALUE0 bound,
                        const FWP_VALUE0 below_at_above[3])
{
    static const struct {
        FWP_MATCH_TYPE match;
        bool holds[3];
    } rows[] = {
        {FWP_MATCH_GREATER, {false, false, true}},         {FWP_MATCH_LESS, {true, false, false}},
        {FWP_MATCH_GREATER_OR_EQUAL, {false, true, true}}, {FWP_MATCH_LESS_OR_EQUAL, {true, true, false}},
        {FWP_MATCH_EQUAL, {false, true, false}},           {FWP_MATCH_NOT_EQUAL, {true, false, true}},
    };

    for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++)
        for (int i = 0; i < 3; i++) {
            *lab_value(l, key) = below_at_above[i];
            assert_int_equal(lab_matches_one(l, key, rows[r].match, bound), rows[r].holds[i]);
        }
}

static void MATCH_08_integers_compare_unsigned(void **state)
{
    struct lab *l = *state;
    UINT64 u[3] = {0x7fffffffffffffff, 0x8000000000000000, 0x8000000000000001};

    check_order(l, &FWPM_CONDITION_IP_PROTOCOL, LAB_U8(0x80),
                (FWP_VALUE0[]){{.type = FWP_UINT8, .uint8 = 0x7f},
                               {.type = FWP_UINT8, .uint8 = 0x80},
                               {.type = FWP_UINT8, .uint8 = 0x81}});
    check_order(l, &FWPM_CONDITION_IP_REMOTE_PORT, LAB_U16(0x8000),
                (FWP_VALUE0[]){{.type = FWP_UINT16, .uint16 = 1},
                               {.type = FWP_UINT16, .uint16 = 0x8000},
                               {.type = FWP_UINT16, .uint16 = 0xffff}});
    /* 127.255.255.255 < 128.0.0.0 < 128.0.0.1: host order, as a big-endian number reads */
    check_order(l, &FWPM_CONDITION_IP_REMOTE_ADDRESS, LAB_U32(0x80000000),
                (FWP_VALUE0[]){{.type = FWP_UINT32, .uint32 = 0x7fffffff},
                               {.type = FWP_UINT32, .uint32 = 0x80000000},
                               {.type = FWP_UINT32, .uint32 = 0x80000001}});
    check_order(l, &FWPM_CONDITION_IP_LOCAL_INTERFACE, V(FWP_UINT64, uint64, &u[1]),
                (FWP_VALUE0[]){{.type = FWP_UINT64, .uint64 = &u[0]},
                               {.type = FWP_UINT64, .uint64 = &u[1]},
                               {.type = FWP_UINT64, .uint64 = &u[2]}});
}

static void MATCH_08_ends_of_the_number_line(void **state)
{
    struct lab *l = *state;
    FWP_VALUE0 *proto = lab_value(l, &FWPM_CONDITION_IP_PROTOCOL);

    for (unsigned v = 0; v < 256; v++) {
        proto->uint8 = (UINT8)v;
        assert_false(lab_matches_one(l, &FWPM_CONDITION_IP_PROTOCOL, FWP_MATCH_GREATER, LAB_U8(255)));
        assert_false(lab_matches_one(l, &FWPM_CONDITION_IP_PROTOCOL, FWP_MATCH_LESS, LAB_U8(0)));
        assert_true(lab_matches_one(l, &FWPM_CONDITION_IP_PROTOCOL, FWP_MATCH_GREATER_OR_EQUAL, LAB_U8(0)));
        assert_true(lab_matches_one(l, &FWPM_CONDITION_IP_PROTOCOL, FWP_MATCH_LESS_OR_EQUAL, LAB_U8(255)));
    }
}

static void MATCH_08_v6_addresses_are_big_endian(void **state)
{
    struct lab *l = *state;
    FWP_BYTE_ARRAY16 a[3] = {
        {{0x20, 0x01, 0, 0xff}}, {{0x20, 0x01, 1}}, {{0x20, 0x01, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}}};

    check_order(l, &FWPM_CONDITION_IP_REMOTE_ADDRESS, V(FWP_BYTE_ARRAY16_TYPE, byteArray16, &a[1]),
                (FWP_VALUE0[]){{.type = FWP_BYTE_ARRAY16_TYPE, .byteArray16 = &a[0]},
                               {.type = FWP_BYTE_ARRAY16_TYPE, .byteArray16 = &a[1]},
                               {.type = FWP_BYTE_ARRAY16_TYPE, .byteArray16 = &a[2]}});
}

/* Signed and floating types exist in the format though no layer has them: engine_match knows them. */
static void MATCH_08_signed_and_floating(void **state)
{
    INT64 wide[3] = {INT64_MIN, -1, INT64_MAX};
    double d[3] = {-1.5, 0.25, 2};
    struct {
        FWP_CONDITION_VALUE0 bound;
        FWP_VALUE0 values[3];
    } rows[] = {
        {V(FWP_INT8, int8, -1),
         {{.type = FWP_INT8, .int8 = -128}, {.type = FWP_INT8, .int8 = -1}, {.type = FWP_INT8, .int8 = 127}}},
        {V(FWP_INT16, int16, -1),
         {{.type = FWP_INT16, .int16 = -2},
          {.type = FWP_INT16, .int16 = -1},
          {.type = FWP_INT16, .int16 = 0}}},
        {V(FWP_INT32, int32, -1),
         {{.type = FWP_INT32, .int32 = INT32_MIN},
          {.type = FWP_INT32, .int32 = -1},
          {.type = FWP_INT32, .int32 = 5}}},
        {V(FWP_INT64, int64, &wide[1]),
         {{.type = FWP_INT64, .int64 = &wide[0]},
          {.type = FWP_INT64, .int64 = &wide[1]},
          {.type = FWP_INT64, .int64 = &wide[2]}}},
        {V(FWP_FLOAT, float32, 0.5f),
         {{.type = FWP_FLOAT, .float32 = -0.5f},
          {.type = FWP_FLOAT, .float32 = 0.5f},
          {.type = FWP_FLOAT, .float32 = 7}}},
        {V(FWP_DOUBLE, double64, &d[1]),
         {{.type = FWP_DOUBLE, .double64 = &d[0]},
          {.type = FWP_DOUBLE, .double64 = &d[1]},
          {.type = FWP_DOUBLE, .double64 = &d[2]}}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (int k = 0; k < 3; k++) {
            assert_int_equal(engine_match(FWP_MATCH_GREATER, &rows[i].bound, &rows[i].values[k]), k > 1);
            assert_int_equal(engine_match(FWP_MATCH_LESS, &rows[i].bound, &rows[i].values[k]), k < 1);
            assert_int_equal(engine_match(FWP_MATCH_GREATER_OR_EQUAL, &rows[i].bound, &rows[i].values[k]),
                             k >= 1);
            assert_int_equal(engine_match(FWP_MATCH_LESS_OR_EQUAL, &rows[i].bound, &rows[i].values[k]),
                             k <= 1);
            assert_int_equal(engine_match(FWP_MATCH_EQUAL, &rows[i].bound, &rows[i].values[k]), k == 1);
        }
    }
}

static void MATCH_09_range_is_inclusive(void **state)
{
    struct lab *l = *state;
    FWP_RANGE0 ports = {{.type = FWP_UINT16, .uint16 = 1024}, {.type = FWP_UINT16, .uint16 = 65535}};
    FWP_RANGE0 hosts = {{.type = FWP_UINT32, .uint32 = 0x7fffffff},
                        {.type = FWP_UINT32, .uint32 = 0x80000001}};
    FWP_VALUE0 *port = lab_value(l, &FWPM_CONDITION_IP_REMOTE_PORT),
               *addr = lab_value(l, &FWPM_CONDITION_IP_REMOTE_ADDRESS);

    for (unsigned p = 1020; p < 1030; p++) {
        port->uint16 = (UINT16)p;
        assert_int_equal(lab_matches_one(l, &FWPM_CONDITION_IP_REMOTE_PORT, FWP_MATCH_RANGE,
                                         V(FWP_RANGE_TYPE, rangeValue, &ports)),
                         p >= 1024);
    }
    port->uint16 = 65535;
    assert_true(lab_matches_one(l, &FWPM_CONDITION_IP_REMOTE_PORT, FWP_MATCH_RANGE,
                                V(FWP_RANGE_TYPE, rangeValue, &ports)));
    for (UINT32 a = 0x7ffffffd; a < 0x80000005; a++) {
        addr->uint32 = a;
        assert_int_equal(lab_matches_one(l, &FWPM_CONDITION_IP_REMOTE_ADDRESS, FWP_MATCH_RANGE,
                                         V(FWP_RANGE_TYPE, rangeValue, &hosts)),
                         a >= 0x7fffffff && a <= 0x80000001);
    }
}

static void MATCH_09_v6_range(void **state)
{
    struct lab *l = *state;
    FWP_BYTE_ARRAY16 low = {{0xfe, 0x80}}, high = {{0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0xff}}, v = low;
    FWP_RANGE0 r = {{.type = FWP_BYTE_ARRAY16_TYPE, .byteArray16 = &low},
                    {.type = FWP_BYTE_ARRAY16_TYPE, .byteArray16 = &high}};
    FWP_CONDITION_VALUE0 c = V(FWP_RANGE_TYPE, rangeValue, &r);

    *lab_value(l, &FWPM_CONDITION_IP_REMOTE_ADDRESS) =
        (FWP_VALUE0){.type = FWP_BYTE_ARRAY16_TYPE, .byteArray16 = &v};
    assert_true(lab_matches_one(l, &FWPM_CONDITION_IP_REMOTE_ADDRESS, FWP_MATCH_RANGE, c));
    v = high;
    assert_true(lab_matches_one(l, &FWPM_CONDITION_IP_REMOTE_ADDRESS, FWP_MATCH_RANGE, c));
    v.byteArray16[15] = 1;
    assert_false(lab_matches_one(l, &FWPM_CONDITION_IP_REMOTE_ADDRESS, FWP_MATCH_RANGE, c));
    v = low;
    v.byteArray16[1] = 0x7f;
    assert_false(lab_matches_one(l, &FWPM_CONDITION_IP_REMOTE_ADDRESS, FWP_MATCH_RANGE, c));
}

static void MATCH_10_mask_compares_masked_bits(void **state)
{
    struct lab *l = *state;
    FWP_VALUE0 *addr = lab_value(l, &FWPM_CONDITION_IP_REMOTE_ADDRESS);
    const struct {
        UINT32 value, net, mask;
        bool in;
    } rows[] = {
        {0x0a010203, 0x0a000000, 0xff000000, true}, {0x0b010203, 0x0a000000, 0xff000000, false},
        {0x0affffff, 0x0a0a0a0a, 0xff000000, true}, /* bits of the address under the mask do not count */
        {0x0a000001, 0x0a0a0a0a, 0xff000000, true}, {0x12345678, 0x00000000, 0x00000000, true},
        {0x0a000001, 0x0a000001, 0xffffffff, true}, {0x0a000000, 0x0a000001, 0xffffffff, false},
        {0xffffffff, 0x80000000, 0x80000000, true},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        addr->uint32 = rows[i].value;
        assert_int_equal(lab_matches_one(l, &FWPM_CONDITION_IP_REMOTE_ADDRESS, FWP_MATCH_EQUAL,
                                         LAB_V4(rows[i].net, rows[i].mask)),
                         rows[i].in);
        assert_int_equal(lab_matches_one(l, &FWPM_CONDITION_IP_REMOTE_ADDRESS, FWP_MATCH_NOT_EQUAL,
                                         LAB_V4(rows[i].net, rows[i].mask)),
                         !rows[i].in);
    }
}

static void MATCH_10_prefix_compares_leading_bits(void **state)
{
    struct lab *l = *state;
    FWP_BYTE_ARRAY16 v;
    FWP_V6_ADDR_AND_MASK m = {{0x20, 0x01, 0x0d, 0xb8, 0x55, 0xaa, 0x55, 0xaa, 1, 2, 3, 4, 5, 6, 7, 8}, 0};

    *lab_value(l, &FWPM_CONDITION_IP_REMOTE_ADDRESS) =
        (FWP_VALUE0){.type = FWP_BYTE_ARRAY16_TYPE, .byteArray16 = &v};
    for (unsigned flip = 0; flip < 128; flip++) {
        memcpy(v.byteArray16, m.addr, 16);
        v.byteArray16[flip / 8] ^= (UINT8)(0x80 >> flip % 8);
        for (unsigned n = flip < 3 ? 0 : flip - 3; n <= flip + 3 && n <= 128; n++) {
            m.prefixLength = (UINT8)n;
            assert_int_equal(lab_matches_one(l, &FWPM_CONDITION_IP_REMOTE_ADDRESS, FWP_MATCH_EQUAL,
                                             V(FWP_V6_ADDR_MASK, v6AddrMask, &m)),
                             flip >= n);
        }
    }
}

static void MATCH_11_flags(void **state)
{
    struct lab *l = *state;
    FWP_VALUE0 *flags = lab_value(l, &FWPM_CONDITION_FLAGS);

    for (UINT32 v = 0; v < 8; v++)
        for (UINT32 m = 0; m < 8; m++) {
            flags->uint32 = v | 0x100000;
            assert_int_equal(lab_matches_one(l, &FWPM_CONDITION_FLAGS, FWP_MATCH_FLAGS_ALL_SET, LAB_U32(m)),
                             (v & m) == m);
            assert_int_equal(lab_matches_one(l, &FWPM_CONDITION_FLAGS, FWP_MATCH_FLAGS_ANY_SET, LAB_U32(m)),
                             (v & m) != 0);
            assert_int_equal(lab_matches_one(l, &FWPM_CONDITION_FLAGS, FWP_MATCH_FLAGS_NONE_SET, LAB_U32(m)),
                             (v & m) == 0);
        }
}

/* ---- EMPTY --------------------------------------------------------------------------------------------- */

static void MATCH_12_unknown_is_empty(void **state)
{
    struct lab *l = *state;

    /* an EMPTY value is acceptable in every field, whatever the field's type */
    for (UINT16 i = 0; i < l->layer->field_count; i++)
        l->values[i].value.type = FWP_EMPTY;
    assert_true(lab_matches(l, NULL, 0));
    assert_false(lab_matches_one(l, &FWPM_CONDITION_IP_LOCAL_ADDRESS, FWP_MATCH_EQUAL, LAB_U32(0)));
    lab_value(l, &FWPM_CONDITION_IP_LOCAL_ADDRESS)->type = FWP_UINT32;
    assert_true(lab_matches_one(l, &FWPM_CONDITION_IP_LOCAL_ADDRESS, FWP_MATCH_EQUAL, LAB_U32(0)));
}

static void MATCH_13_empty_condition_matches_only_empty(void **state)
{
    struct lab *l = *state;

    for (UINT16 i = 0; i < l->layer->field_count; i++) {
        FWPS_FILTER_CONDITION0 c = {.fieldId = i, .matchType = FWP_MATCH_EQUAL, .conditionValue = LAB_EMPTY};

        l->values[i].value.type = FWP_EMPTY;
        assert_true(lab_matches(l, &c, 1));
        if (l->layer->fields[i].data_type > FWP_UINT32)
            continue;
        l->values[i].value.type = l->layer->fields[i].data_type;
        assert_false(lab_matches(l, &c, 1));
    }
}

static void MATCH_14_empty_field(void **state)
{
    struct lab *l = *state;
    FWP_RANGE0 all = {{.type = FWP_UINT16, .uint16 = 0}, {.type = FWP_UINT16, .uint16 = 65535}};
    FWP_BYTE_BLOB blob = {2, (UINT8 *)"a"};
    UINT8 sid[SECURITY_MAX_SID_SIZE];

    assert_int_equal(security_sid_parse("S-1-0-0", (SID *)sid, sizeof(sid)), 0);
    *lab_value(l, &FWPM_CONDITION_IP_REMOTE_PORT) = (FWP_VALUE0){.type = FWP_EMPTY};
    *lab_value(l, &FWPM_CONDITION_IP_REMOTE_ADDRESS) = (FWP_VALUE0){.type = FWP_EMPTY};
    for (FWP_MATCH_TYPE m = FWP_MATCH_EQUAL; m <= FWP_MATCH_LESS_OR_EQUAL; m++)
        assert_false(lab_matches_one(l, &FWPM_CONDITION_IP_REMOTE_PORT, m, LAB_U16(0)));
    assert_false(lab_matches_one(l, &FWPM_CONDITION_IP_REMOTE_PORT, FWP_MATCH_RANGE,
                                 V(FWP_RANGE_TYPE, rangeValue, &all)));
    assert_false(lab_matches_one(l, &FWPM_CONDITION_IP_REMOTE_PORT, FWP_MATCH_FLAGS_ALL_SET, LAB_U16(0)));
    assert_false(lab_matches_one(l, &FWPM_CONDITION_IP_REMOTE_ADDRESS, FWP_MATCH_EQUAL, LAB_V4(0, 0)));
    assert_false(lab_matches_one(l, &FWPM_CONDITION_ALE_APP_ID, FWP_MATCH_EQUAL,
                                 V(FWP_BYTE_BLOB_TYPE, byteBlob, &blob)));
    assert_false(lab_matches_one(l, &FWPM_CONDITION_ALE_APP_ID, FWP_MATCH_PREFIX,
                                 V(FWP_BYTE_BLOB_TYPE, byteBlob, &blob)));
    assert_false(
        lab_matches_one(l, &FWPM_CONDITION_ALE_PACKAGE_ID, FWP_MATCH_EQUAL, V(FWP_SID, sid, (SID *)sid)));
    /* the two that hold */
    assert_true(lab_matches_one(l, &FWPM_CONDITION_IP_REMOTE_PORT, FWP_MATCH_NOT_EQUAL, LAB_U16(0)));
    assert_true(lab_matches_one(l, &FWPM_CONDITION_IP_REMOTE_ADDRESS, FWP_MATCH_NOT_EQUAL, LAB_V4(0, 0)));
    assert_true(lab_matches_one(l, &FWPM_CONDITION_ALE_APP_ID, FWP_MATCH_NOT_EQUAL,
                                V(FWP_BYTE_BLOB_TYPE, byteBlob, &blob)));
    assert_true(lab_matches_one(l, &FWPM_CONDITION_ALE_APP_ID, FWP_MATCH_NOT_PREFIX,
                                V(FWP_BYTE_BLOB_TYPE, byteBlob, &blob)));
    assert_true(
        lab_matches_one(l, &FWPM_CONDITION_ALE_PACKAGE_ID, FWP_MATCH_NOT_EQUAL, V(FWP_SID, sid, (SID *)sid)));
}

static void MATCH_15_flags_none_set_of_empty(void **state)
{
    struct lab *l = *state;

    *lab_value(l, &FWPM_CONDITION_FLAGS) = (FWP_VALUE0){.type = FWP_EMPTY};
    assert_false(lab_matches_one(l, &FWPM_CONDITION_FLAGS, FWP_MATCH_FLAGS_NONE_SET, LAB_U32(1)));
    assert_false(lab_matches_one(l, &FWPM_CONDITION_FLAGS, FWP_MATCH_FLAGS_NONE_SET, LAB_U32(0)));
    *lab_value(l, &FWPM_CONDITION_FLAGS) = (FWP_VALUE0){.type = FWP_UINT32};
    assert_true(lab_matches_one(l, &FWPM_CONDITION_FLAGS, FWP_MATCH_FLAGS_NONE_SET, LAB_U32(1)));
}

/* ---- blobs, SIDs, arrays, strings ---------------------------------------------------------------------- */

static void MATCH_16_app_id(void **state)
{
    struct lab *l = *state;
    FWP_BYTE_BLOB *id, *same, *other, *kernel;
    static const WCHAR want[] = u"\\device\\harddiskvolume3\\windows\\\u00e9t\u00e9.exe";

    assert_int_equal(
        engine_app_id_from_path("\\Device\\HarddiskVolume3\\Windows\\\xc3\x89t\xc3\xa9.EXE", &id), 0);
    assert_int_equal(id->size, sizeof(want)); /* the terminating zero included */
    assert_memory_equal(id->data, want, sizeof(want));
    assert_int_equal(
        engine_app_id_from_path("\\device\\harddiskvolume3\\windows\\\xc3\xa9t\xc3\xa9.exe", &same), 0);
    assert_int_equal(engine_app_id_from_path("\\device\\harddiskvolume3\\windows\\ete.exe", &other), 0);
    assert_int_equal(engine_app_id_from_path("System", &kernel), 0);
    assert_int_equal(kernel->size, sizeof(u"System"));
    assert_memory_equal(kernel->data, u"System", sizeof(u"System"));
    *lab_value(l, &FWPM_CONDITION_ALE_APP_ID) = (FWP_VALUE0){.type = FWP_BYTE_BLOB_TYPE, .byteBlob = id};
    assert_true(lab_matches_one(l, &FWPM_CONDITION_ALE_APP_ID, FWP_MATCH_EQUAL,
                                V(FWP_BYTE_BLOB_TYPE, byteBlob, same)));
    assert_false(lab_matches_one(l, &FWPM_CONDITION_ALE_APP_ID, FWP_MATCH_EQUAL,
                                 V(FWP_BYTE_BLOB_TYPE, byteBlob, other)));
    /* byte-exact: another case, or no terminating zero, is another program */
    same->data[2] = 'D';
    assert_false(lab_matches_one(l, &FWPM_CONDITION_ALE_APP_ID, FWP_MATCH_EQUAL,
                                 V(FWP_BYTE_BLOB_TYPE, byteBlob, same)));
    same->data[2] = 'd';
    same->size -= 2;
    assert_false(lab_matches_one(l, &FWPM_CONDITION_ALE_APP_ID, FWP_MATCH_EQUAL,
                                 V(FWP_BYTE_BLOB_TYPE, byteBlob, same)));
    assert_int_equal(engine_app_id_from_path("\xff", &other), -22); /* not UTF-8: -EINVAL, nothing made */
    free(id);
    free(same);
    free(other);
    free(kernel);
}

/* Letters of every script that has two cases, a few of each. */
static void MATCH_16_lower_case_in_other_scripts(void **state)
{
    static const WCHAR want[] = u"\u00e9\u03c3\u0436\u0561\uff41\u00df\u4e2d";
    FWP_BYTE_BLOB *id;

    (void)state;
    assert_int_equal(engine_app_id_from_path("\xc3\x89"     /* E with acute */
                                             "\xce\xa3"     /* sigma */
                                             "\xd0\x96"     /* zhe */
                                             "\xd4\xb1"     /* ayb */
                                             "\xef\xbc\xa1" /* fullwidth A */
                                             "\xc3\x9f"     /* sharp s: is lower case */
                                             "\xe4\xb8\xad" /* has no case */,
                                             &id),
                     0);
    assert_int_equal(id->size, sizeof(want));
    assert_memory_equal(id->data, want, sizeof(want));
    free(id);
}

static void MATCH_18_binary_equality(void **state)
{
    struct lab *l = *state;
    UINT8 a[SECURITY_MAX_SID_SIZE], b[SECURITY_MAX_SID_SIZE], c[SECURITY_MAX_SID_SIZE];

    assert_int_equal(security_sid_parse("S-1-15-2-1-2-3-4-5-6-7", (SID *)a, sizeof(a)), 0);
    assert_int_equal(security_sid_parse("S-1-15-2-1-2-3-4-5-6-8", (SID *)b, sizeof(b)), 0);
    assert_int_equal(security_sid_parse("S-1-15-2-1-2-3-4-5-6", (SID *)c, sizeof(c)), 0);
    *lab_value(l, &FWPM_CONDITION_ALE_PACKAGE_ID) = (FWP_VALUE0){.type = FWP_SID, .sid = (SID *)a};
    assert_true(
        lab_matches_one(l, &FWPM_CONDITION_ALE_PACKAGE_ID, FWP_MATCH_EQUAL, V(FWP_SID, sid, (SID *)a)));
    assert_false(
        lab_matches_one(l, &FWPM_CONDITION_ALE_PACKAGE_ID, FWP_MATCH_EQUAL, V(FWP_SID, sid, (SID *)b)));
    assert_false(
        lab_matches_one(l, &FWPM_CONDITION_ALE_PACKAGE_ID, FWP_MATCH_EQUAL, V(FWP_SID, sid, (SID *)c)));
    assert_false(
        lab_matches_one(l, &FWPM_CONDITION_ALE_PACKAGE_ID, FWP_MATCH_NOT_EQUAL, V(FWP_SID, sid, (SID *)a)));
    assert_true(
        lab_matches_one(l, &FWPM_CONDITION_ALE_PACKAGE_ID, FWP_MATCH_NOT_EQUAL, V(FWP_SID, sid, (SID *)b)));
}

static int setup_mac(void **state)
{
    return open_lab(state, FWPS_LAYER_INBOUND_MAC_FRAME_ETHERNET);
}

static void MATCH_18_byte_arrays(void **state)
{
    struct lab *l = *state;
    FWP_BYTE_ARRAY6 mac = {{2, 0, 0, 0, 0, 1}}, other = {{2, 0, 0, 0, 0, 2}};
    FWP_RANGE0 r = {{.type = FWP_BYTE_ARRAY6_TYPE, .byteArray6 = &mac},
                    {.type = FWP_BYTE_ARRAY6_TYPE, .byteArray6 = &other}};

    *lab_value(l, &FWPM_CONDITION_MAC_REMOTE_ADDRESS) =
        (FWP_VALUE0){.type = FWP_BYTE_ARRAY6_TYPE, .byteArray6 = &mac};
    assert_true(lab_matches_one(l, &FWPM_CONDITION_MAC_REMOTE_ADDRESS, FWP_MATCH_EQUAL,
                                V(FWP_BYTE_ARRAY6_TYPE, byteArray6, &mac)));
    assert_false(lab_matches_one(l, &FWPM_CONDITION_MAC_REMOTE_ADDRESS, FWP_MATCH_EQUAL,
                                 V(FWP_BYTE_ARRAY6_TYPE, byteArray6, &other)));
    assert_true(lab_matches_one(l, &FWPM_CONDITION_MAC_REMOTE_ADDRESS, FWP_MATCH_NOT_EQUAL,
                                V(FWP_BYTE_ARRAY6_TYPE, byteArray6, &other)));
    assert_true(lab_matches_one(l, &FWPM_CONDITION_MAC_REMOTE_ADDRESS, FWP_MATCH_RANGE,
                                V(FWP_RANGE_TYPE, rangeValue, &r)));
    mac.byteArray6[5] = 3;
    r.valueLow.byteArray6 = &other;
    r.valueHigh.byteArray6 = &other;
    assert_false(lab_matches_one(l, &FWPM_CONDITION_MAC_REMOTE_ADDRESS, FWP_MATCH_RANGE,
                                 V(FWP_RANGE_TYPE, rangeValue, &r)));
}

/* PREFIX is documented to test the end of the value, against its name. */
static void MATCH_07_prefix_tests_the_end(void **state)
{
    struct lab *l = *state;
    WCHAR path[] = u"\\device\\x\\app.exe", end[] = u"\\app.exe", start[] = u"\\device";
    FWP_BYTE_BLOB value = {sizeof(path), (UINT8 *)path}, tail = {sizeof(end), (UINT8 *)end};
    FWP_BYTE_BLOB bare = {sizeof(end) - 2, (UINT8 *)end}, head = {sizeof(start) - 2, (UINT8 *)start};

    *lab_value(l, &FWPM_CONDITION_ALE_APP_ID) = (FWP_VALUE0){.type = FWP_BYTE_BLOB_TYPE, .byteBlob = &value};
    assert_true(lab_matches_one(l, &FWPM_CONDITION_ALE_APP_ID, FWP_MATCH_PREFIX,
                                V(FWP_BYTE_BLOB_TYPE, byteBlob, &tail)));
    assert_true(lab_matches_one(l, &FWPM_CONDITION_ALE_APP_ID, FWP_MATCH_PREFIX,
                                V(FWP_BYTE_BLOB_TYPE, byteBlob, &bare)));
    assert_false(lab_matches_one(l, &FWPM_CONDITION_ALE_APP_ID, FWP_MATCH_PREFIX,
                                 V(FWP_BYTE_BLOB_TYPE, byteBlob, &head)));
    assert_false(lab_matches_one(l, &FWPM_CONDITION_ALE_APP_ID, FWP_MATCH_NOT_PREFIX,
                                 V(FWP_BYTE_BLOB_TYPE, byteBlob, &tail)));
    assert_true(lab_matches_one(l, &FWPM_CONDITION_ALE_APP_ID, FWP_MATCH_NOT_PREFIX,
                                V(FWP_BYTE_BLOB_TYPE, byteBlob, &head)));
}

static void MATCH_07_strings(void **state)
{
    FWP_VALUE0 v = {.type = FWP_UNICODE_STRING_TYPE, .unicodeString = (WCHAR *)u"Stra\u00dfe \u0416\u0394"};
    const struct {
        FWP_MATCH_TYPE match;
        const WCHAR *operand;
        bool holds;
    } rows[] = {
        {FWP_MATCH_EQUAL, u"Stra\u00dfe \u0416\u0394", true},
        {FWP_MATCH_EQUAL, u"stra\u00dfe \u0416\u0394", false},
        {FWP_MATCH_EQUAL_CASE_INSENSITIVE, u"STRA\u00dfE \u0436\u03b4", true},
        {FWP_MATCH_EQUAL_CASE_INSENSITIVE, u"STRASSE \u0436\u03b4", false},
        {FWP_MATCH_EQUAL_CASE_INSENSITIVE, u"stra\u00dfe \u0416", false},
        {FWP_MATCH_NOT_EQUAL, u"stra\u00dfe \u0416\u0394", true},
        {FWP_MATCH_PREFIX, u"\u0416\u0394", true},
        {FWP_MATCH_PREFIX, u"Stra", false},
        {FWP_MATCH_NOT_PREFIX, u"Stra", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(engine_match(rows[i].match,
                                      &V(FWP_UNICODE_STRING_TYPE, unicodeString, (WCHAR *)rows[i].operand),
                                      &v),
                         rows[i].holds);
}

/* ---- what fields mean ---------------------------------------------------------------------------------- */

static void MATCH_19_icmp_aliases_ports(void **state)
{
    struct lab *l = *state;
    const UINT16 layers[] = {FWPS_LAYER_INBOUND_TRANSPORT_V4, FWPS_LAYER_OUTBOUND_TRANSPORT_V6,
                             FWPS_LAYER_ALE_AUTH_CONNECT_V4, FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V6};

    for (size_t i = 0; i < sizeof(layers) / sizeof(layers[0]); i++) {
        const struct engine_layer *layer = engine_layer_by_id(layers[i]);
        int type = engine_layer_field(layer, &FWPM_CONDITION_ICMP_TYPE);

        assert_true(type >= 0);
        assert_int_equal(type, engine_layer_field(layer, &FWPM_CONDITION_IP_LOCAL_PORT));
        assert_int_equal(engine_layer_field(layer, &FWPM_CONDITION_ICMP_CODE),
                         engine_layer_field(layer, &FWPM_CONDITION_IP_REMOTE_PORT));
        assert_int_not_equal(engine_layer_field(layer, &FWPM_CONDITION_ORIGINAL_ICMP_TYPE), type);
    }
    lab_value(l, &FWPM_CONDITION_IP_LOCAL_PORT)->uint16 = 8; /* an echo request */
    assert_true(lab_matches_one(l, &FWPM_CONDITION_ICMP_TYPE, FWP_MATCH_EQUAL, LAB_U16(8)));
    assert_false(lab_matches_one(l, &FWPM_CONDITION_ICMP_TYPE, FWP_MATCH_EQUAL, LAB_U16(0)));
    assert_true(lab_matches_one(l, &FWPM_CONDITION_ICMP_CODE, FWP_MATCH_EQUAL, LAB_U16(0)));
}

static void MATCH_21_flag_bits(void **state)
{
    struct lab *l = *state;
    const struct {
        UINT32 flag, bit;
    } rows[] = {
        {FWP_CONDITION_FLAG_IS_LOOPBACK, 0x1},
        {FWP_CONDITION_FLAG_IS_IPSEC_SECURED, 0x2},
        {FWP_CONDITION_FLAG_IS_REAUTHORIZE, 0x4},
        {FWP_CONDITION_FLAG_IS_WILDCARD_BIND, 0x8},
        {FWP_CONDITION_FLAG_IS_RAW_ENDPOINT, 0x10},
        {FWP_CONDITION_FLAG_IS_FRAGMENT, 0x20},
        {FWP_CONDITION_FLAG_IS_FRAGMENT_GROUP, 0x40},
        {FWP_CONDITION_FLAG_IS_IPSEC_NATT_RECLASSIFY, 0x80},
        {FWP_CONDITION_FLAG_REQUIRES_ALE_CLASSIFY, 0x100},
        {FWP_CONDITION_FLAG_IS_IMPLICIT_BIND, 0x200},
        {FWP_CONDITION_FLAG_IS_REASSEMBLED, 0x400},
        {FWP_CONDITION_FLAG_IS_NAME_APP_SPECIFIED, 0x4000},
        {FWP_CONDITION_FLAG_IS_AUTH_FW, 0x10000},
        {FWP_CONDITION_FLAG_IS_RECLASSIFY, 0x20000},
        {FWP_CONDITION_FLAG_IS_OUTBOUND_PASS_THRU, 0x40000},
        {FWP_CONDITION_FLAG_IS_INBOUND_PASS_THRU, 0x80000},
        {FWP_CONDITION_FLAG_IS_CONNECTION_REDIRECTED, 0x100000},
        {FWP_CONDITION_FLAG_IS_PROXY_CONNECTION, 0x200000},
        {FWP_CONDITION_FLAG_IS_APPCONTAINER_LOOPBACK, 0x400000},
        {FWP_CONDITION_FLAG_IS_NON_APPCONTAINER_LOOPBACK, 0x800000},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(rows[i].flag, rows[i].bit);
        lab_value(l, &FWPM_CONDITION_FLAGS)->uint32 = rows[i].bit;
        for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++)
            assert_int_equal(
                lab_matches_one(l, &FWPM_CONDITION_FLAGS, FWP_MATCH_FLAGS_ALL_SET, LAB_U32(rows[k].flag)),
                i == k);
    }
}

static int setup_bind(void **state)
{
    return open_lab(state, FWPS_LAYER_ALE_RESOURCE_ASSIGNMENT_V4);
}

/* What the host indicates at a bind; here, that the engine can tell these binds apart. */
static void MATCH_24_wildcard_and_raw_binds(void **state)
{
    struct lab *l = *state;

    lab_value(l, &FWPM_CONDITION_IP_LOCAL_PORT)->uint16 = 53;
    *lab_value(l, &FWPM_CONDITION_IP_LOCAL_ADDRESS) = (FWP_VALUE0){.type = FWP_EMPTY};
    lab_value(l, &FWPM_CONDITION_FLAGS)->uint32 = FWP_CONDITION_FLAG_IS_WILDCARD_BIND;
    assert_true(lab_matches_one(l, &FWPM_CONDITION_IP_LOCAL_ADDRESS, FWP_MATCH_EQUAL, LAB_EMPTY));
    assert_false(lab_matches_one(l, &FWPM_CONDITION_IP_LOCAL_ADDRESS, FWP_MATCH_EQUAL, LAB_U32(0)));
    assert_true(lab_matches_one(l, &FWPM_CONDITION_FLAGS, FWP_MATCH_FLAGS_ANY_SET,
                                LAB_U32(FWP_CONDITION_FLAG_IS_WILDCARD_BIND)));
    assert_false(lab_matches_one(l, &FWPM_CONDITION_FLAGS, FWP_MATCH_FLAGS_ANY_SET,
                                 LAB_U32(FWP_CONDITION_FLAG_IS_RAW_ENDPOINT)));
    /* promiscuous mode is a field of these layers only */
    for (UINT16 id = 0; id < ENGINE_LAYER_COUNT; id++)
        assert_int_equal(
            engine_layer_field(engine_layer_by_id(id), &FWPM_CONDITION_ALE_PROMISCUOUS_MODE) >= 0,
            id == FWPS_LAYER_ALE_RESOURCE_ASSIGNMENT_V4 || id == FWPS_LAYER_ALE_RESOURCE_ASSIGNMENT_V6 ||
                id == FWPS_LAYER_ALE_RESOURCE_ASSIGNMENT_V4_DISCARD ||
                id == FWPS_LAYER_ALE_RESOURCE_ASSIGNMENT_V6_DISCARD);
}

static void MATCH_27_field_indexes_are_the_layers_enum(void **state)
{
    struct lab *l = *state;
    const struct {
        UINT16 layer;
        const GUID *key;
        int index;
    } rows[] = {
        {FWPS_LAYER_ALE_AUTH_CONNECT_V4, &FWPM_CONDITION_IP_PROTOCOL,
         FWPS_FIELD_ALE_AUTH_CONNECT_V4_IP_PROTOCOL},
        {FWPS_LAYER_ALE_AUTH_CONNECT_V4, &FWPM_CONDITION_IP_REMOTE_PORT,
         FWPS_FIELD_ALE_AUTH_CONNECT_V4_IP_REMOTE_PORT},
        {FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4, &FWPM_CONDITION_IP_REMOTE_PORT,
         FWPS_FIELD_ALE_AUTH_RECV_ACCEPT_V4_IP_REMOTE_PORT},
        {FWPS_LAYER_ALE_AUTH_CONNECT_V6, &FWPM_CONDITION_FLAGS, FWPS_FIELD_ALE_AUTH_CONNECT_V6_FLAGS},
        {FWPS_LAYER_INBOUND_TRANSPORT_V4, &FWPM_CONDITION_IP_PROTOCOL,
         FWPS_FIELD_INBOUND_TRANSPORT_V4_IP_PROTOCOL},
        {FWPS_LAYER_STREAM_V6, &FWPM_CONDITION_DIRECTION, FWPS_FIELD_STREAM_V6_DIRECTION},
    };
    struct engine_verdict v;
    UINT64 id;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(engine_layer_field(engine_layer_by_id(rows[i].layer), rows[i].key), rows[i].index);
    assert_int_equal(l->layer->field_count, FWPS_FIELD_ALE_AUTH_CONNECT_V4_MAX);
    l->values[FWPS_FIELD_ALE_AUTH_CONNECT_V4_IP_REMOTE_PORT].value.uint16 = 99;
    assert_true(lab_matches_one(l, &FWPM_CONDITION_IP_REMOTE_PORT, FWP_MATCH_EQUAL, LAB_U16(99)));
    /* values of another layer do not pass for this one's */
    l->incoming.valueCount--;
    assert_int_equal(engine_classify(l->reader, &l->request, &v), STATUS_INVALID_PARAMETER);
    id = lab_add(l, &(struct lab_filter){.sublayer = 1, .action = FWP_ACTION_BLOCK}); /* with filters, too */
    assert_int_equal(engine_classify(l->reader, &l->request, &v), STATUS_INVALID_PARAMETER);
    lab_remove(l, id);
    l->incoming.valueCount++;
    l->incoming.layerId = ENGINE_LAYER_COUNT;
    assert_int_equal(engine_classify(l->reader, &l->request, &v), STATUS_FWP_LAYER_NOT_FOUND);
    /* nor a value of another type for the field's: it satisfies nothing, not even a negation */
    l->incoming.layerId = l->layer->id;
    *lab_value(l, &FWPM_CONDITION_IP_REMOTE_PORT) = (FWP_VALUE0){.type = FWP_UINT32, .uint32 = 99};
    assert_false(lab_matches_one(l, &FWPM_CONDITION_IP_REMOTE_PORT, FWP_MATCH_EQUAL, LAB_U16(99)));
    assert_false(lab_matches_one(l, &FWPM_CONDITION_IP_REMOTE_PORT, FWP_MATCH_NOT_EQUAL, LAB_U16(1)));
}

#define AT(setup, test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        AT(setup_v4, MATCH_08_integers_compare_unsigned),
        AT(setup_v4, MATCH_08_ends_of_the_number_line),
        AT(setup_v6, MATCH_08_v6_addresses_are_big_endian),
        cmocka_unit_test(MATCH_08_signed_and_floating),
        AT(setup_v4, MATCH_09_range_is_inclusive),
        AT(setup_v6, MATCH_09_v6_range),
        AT(setup_v4, MATCH_10_mask_compares_masked_bits),
        AT(setup_v6, MATCH_10_prefix_compares_leading_bits),
        AT(setup_v4, MATCH_11_flags),
        AT(setup_v4, MATCH_12_unknown_is_empty),
        AT(setup_v4, MATCH_13_empty_condition_matches_only_empty),
        AT(setup_v4, MATCH_14_empty_field),
        AT(setup_v4, MATCH_15_flags_none_set_of_empty),
        AT(setup_v4, MATCH_16_app_id),
        cmocka_unit_test(MATCH_16_lower_case_in_other_scripts),
        AT(setup_v4, MATCH_18_binary_equality),
        AT(setup_mac, MATCH_18_byte_arrays),
        AT(setup_v4, MATCH_07_prefix_tests_the_end),
        cmocka_unit_test(MATCH_07_strings),
        AT(setup_v4, MATCH_19_icmp_aliases_ports),
        AT(setup_v4, MATCH_21_flag_bits),
        AT(setup_bind, MATCH_24_wildcard_and_raw_binds),
        AT(setup_v4, MATCH_27_field_indexes_are_the_layers_enum),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
