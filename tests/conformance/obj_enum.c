/* SPDX-License-Identifier: Apache-2.0 */
/* OBJ-34: enumerations: snapshots, pages, templates of every kind, handles. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "bfe/access.h"
#include "bfe/events.h"
#include "bfe_lab.h"

#define ALL_ACTIONS 0xffffffffu

/* Enumerates filters with the template; their ids in order, at most 64; returns how many. */
static size_t filters(struct bfe_session *s, const FWPM_FILTER_ENUM_TEMPLATE0 *t, UINT64 ids[64])
{
    struct bfe_enum *e = NULL;
    void **entries;
    UINT32 count;

    assert_int_equal(bfe_enum_create(s, BFE_FILTER, t, &e), STATUS_SUCCESS);
    assert_int_equal(bfe_enum_next(s, e, 64, &entries, &count), STATUS_SUCCESS);
    assert_true(count < 64);
    for (UINT32 i = 0; i < count; i++)
        ids[i] = ((FWPM_FILTER0 *)entries[i])->filterId;
    bfe_free(entries);
    assert_int_equal(bfe_enum_destroy(s, e), STATUS_SUCCESS);
    return count;
}

static NTSTATUS create_status(struct bfe_session *s, enum bfe_kind kind, const void *t)
{
    struct bfe_enum *e = NULL;
    NTSTATUS status = bfe_enum_create(s, kind, t, &e);

    if (status == STATUS_SUCCESS)
        bfe_enum_destroy(s, e);
    return status;
}

static void OBJ_34_a_handle_is_a_snapshot(void **state)
{
    struct bfe_lab *l = *state;
    UINT64 first = bfe_lab_add_port(l->kernel, 1, FWP_ACTION_BLOCK);
    UINT64 second = bfe_lab_add_port(l->kernel, 2, FWP_ACTION_BLOCK);
    struct bfe_enum *e = NULL;
    void **entries;
    UINT32 count;

    assert_int_equal(bfe_enum_create(l->kernel, BFE_FILTER, NULL, &e), STATUS_SUCCESS);
    assert_int_equal(bfe_filter_delete(l->kernel, NULL, second), STATUS_SUCCESS);
    bfe_lab_add_port(l->kernel, 3, FWP_ACTION_BLOCK);

    assert_int_equal(bfe_enum_next(l->kernel, e, 1, &entries, &count), STATUS_SUCCESS);
    assert_int_equal(count, 1);
    assert_int_equal(((FWPM_FILTER0 *)entries[0])->filterId, first);
    bfe_free(entries);
    assert_int_equal(bfe_filter_delete(l->kernel, NULL, first), STATUS_SUCCESS);
    assert_int_equal(bfe_enum_next(l->kernel, e, 10, &entries, &count), STATUS_SUCCESS);
    assert_int_equal(count,
                     1); /* the page goes on, whatever changed: the deleted one is still in the snapshot */
    FWPM_FILTER0 *f = entries[0];
    assert_int_equal(f->filterId, second);
    assert_int_equal(f->numFilterConditions, 1);
    assert_int_equal(f->filterCondition[0].conditionValue.uint16, 2);
    bfe_free(entries);
    assert_int_equal(bfe_enum_next(l->kernel, e, 10, &entries, &count), STATUS_SUCCESS);
    assert_int_equal(count, 0); /* exhausted */
    assert_null(entries);
    assert_int_equal(bfe_enum_destroy(l->kernel, e), STATUS_SUCCESS);
}

static void OBJ_34_handles_belong_to_their_session_and_kind(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *other = bfe_lab_session(l, BFE_LAB_KERNEL, 0, 0);
    struct bfe_enum *e = NULL;
    void **entries;
    UINT32 count;

    assert_int_equal(bfe_enum_create(l->kernel, BFE_PROVIDER, NULL, &e), STATUS_SUCCESS);
    assert_int_equal(bfe_enum_next(other, e, 1, &entries, &count), STATUS_INVALID_HANDLE);
    assert_int_equal(bfe_enum_destroy(other, e), STATUS_INVALID_HANDLE);
    assert_int_equal(bfe_enum_check(l->kernel, BFE_PROVIDER, e), STATUS_SUCCESS);
    assert_int_equal(bfe_enum_check(l->kernel, BFE_FILTER, e), STATUS_INVALID_HANDLE);
    assert_int_equal(bfe_enum_next(l->kernel, (struct bfe_enum *)0x1234, 1, &entries, &count),
                     STATUS_INVALID_HANDLE);
    assert_int_equal(bfe_enum_next(l->kernel, NULL, 1, &entries, &count), STATUS_INVALID_HANDLE);
    assert_int_equal(bfe_enum_next(l->kernel, e, 1, NULL, &count), STATUS_FWP_NULL_POINTER);
    assert_int_equal(bfe_enum_destroy(l->kernel, e), STATUS_SUCCESS);
    assert_int_equal(bfe_enum_destroy(l->kernel, e), STATUS_INVALID_HANDLE);
    assert_int_equal(bfe_enum_create(other, BFE_LAYER, NULL, &e), STATUS_SUCCESS);
    bfe_session_close(other); /* frees what is left open */
}

static void OBJ_34_uncommitted_objects_are_their_sessions_alone(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *reader = bfe_lab_session(l, BFE_LAB_KERNEL, 0, 1);
    struct bfe_enum *e = NULL;
    UINT64 ids[64];

    assert_int_equal(bfe_txn_begin(l->kernel, 0), STATUS_SUCCESS);
    bfe_lab_add_port(l->kernel, 1, FWP_ACTION_BLOCK);
    assert_int_equal(filters(l->kernel, NULL, ids), 1);
    /* another session waits for the lock, here in vain: the clock is moved while it does */
    assert_int_equal(bfe_txn_abort(l->kernel), STATUS_SUCCESS);
    assert_int_equal(bfe_enum_create(reader, BFE_FILTER, NULL, &e), STATUS_SUCCESS);
    bfe_enum_destroy(reader, e);
    assert_int_equal(filters(reader, NULL, ids), 0);
    bfe_session_close(reader);
}

static void OBJ_34_templates_by_provider_layer_callout_and_action(void **state)
{
    struct bfe_lab *l = *state;
    GUID provider = bfe_lab_guid(1), callout = bfe_lab_guid(2), other = bfe_lab_guid(3);
    FWPM_PROVIDER0 p = bfe_lab_provider(&provider);
    FWPM_CALLOUT0 c = bfe_lab_callout(&callout, &FWPM_LAYER_ALE_AUTH_CONNECT_V4);
    FWPM_FILTER0 f = bfe_lab_filter(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, FWP_ACTION_BLOCK);
    UINT64 ids[64], owned, called, permit, v6;

    assert_int_equal(bfe_provider_add(l->kernel, &p, NULL, 0), STATUS_SUCCESS);
    assert_int_equal(bfe_callout_add(l->kernel, &c, NULL, 0, NULL), STATUS_SUCCESS);
    f.providerKey = &provider;
    owned = bfe_lab_add(l->kernel, &f);
    f.providerKey = NULL;
    f.action.type = FWP_ACTION_CALLOUT_TERMINATING;
    f.action.calloutKey = callout;
    called = bfe_lab_add(l->kernel, &f);
    f.action.type = FWP_ACTION_PERMIT;
    permit = bfe_lab_add(l->kernel, &f);
    f.layerKey = FWPM_LAYER_ALE_AUTH_CONNECT_V6;
    v6 = bfe_lab_add(l->kernel, &f);

    FWPM_FILTER_ENUM_TEMPLATE0 t = {.actionMask = ALL_ACTIONS};
    assert_int_equal(filters(l->kernel, &t, ids), 4); /* a zero layer is any layer */
    t.providerKey = &provider;
    assert_int_equal(filters(l->kernel, &t, ids), 1);
    assert_int_equal(ids[0], owned);
    t = (FWPM_FILTER_ENUM_TEMPLATE0){.layerKey = FWPM_LAYER_ALE_AUTH_CONNECT_V6, .actionMask = ALL_ACTIONS};
    assert_int_equal(filters(l->kernel, &t, ids), 1);
    assert_int_equal(ids[0], v6);
    t = (FWPM_FILTER_ENUM_TEMPLATE0){.actionMask = FWP_ACTION_FLAG_CALLOUT, .calloutKey = &callout};
    assert_int_equal(filters(l->kernel, &t, ids), 1);
    assert_int_equal(ids[0], called);
    t.calloutKey = &other;
    assert_int_equal(filters(l->kernel, &t, ids), 0);
    /* a mask has bits, not values: permit and block share the terminating bit */
    t = (FWPM_FILTER_ENUM_TEMPLATE0){.layerKey = FWPM_LAYER_ALE_AUTH_CONNECT_V4,
                                     .actionMask = FWP_ACTION_PERMIT ^ FWP_ACTION_FLAG_TERMINATING};
    assert_int_equal(filters(l->kernel, &t, ids), 2);
    assert_int_equal(ids[0], called); /* FWP_ACTION_CALLOUT_TERMINATING is 0x5003 */
    assert_int_equal(ids[1], permit);
}

static void OBJ_34_templates_by_provider_context(void **state)
{
    struct bfe_lab *l = *state;
    GUID context = bfe_lab_guid(1), callout = bfe_lab_guid(2);
    FWPM_PROVIDER_CONTEXT3 x = bfe_lab_context(&context);
    FWPM_CALLOUT0 c = bfe_lab_callout(&callout, &FWPM_LAYER_ALE_AUTH_CONNECT_V4);
    FWPM_FILTER0 f = bfe_lab_filter(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, FWP_ACTION_CALLOUT_TERMINATING);
    FWPM_PROVIDER_CONTEXT_ENUM_TEMPLATE0 of = {.providerContextType = FWPM_GENERAL_CONTEXT};
    FWPM_FILTER_ENUM_TEMPLATE0 t = {.actionMask = ALL_ACTIONS, .providerContextTemplate = &of};
    UINT64 ids[64], with;

    c.flags = FWPM_CALLOUT_FLAG_USES_PROVIDER_CONTEXT;
    assert_int_equal(bfe_provider_context_add(l->kernel, &x, NULL, 0, NULL), STATUS_SUCCESS);
    assert_int_equal(bfe_callout_add(l->kernel, &c, NULL, 0, NULL), STATUS_SUCCESS);
    f.action.calloutKey = callout;
    f.flags = FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT;
    f.providerContextKey = context;
    with = bfe_lab_add(l->kernel, &f);
    bfe_lab_add_port(l->kernel, 7, FWP_ACTION_BLOCK);
    assert_int_equal(filters(l->kernel, &t, ids), 1);
    assert_int_equal(ids[0], with);
    of.providerContextType = FWPM_CLASSIFY_OPTIONS_CONTEXT;
    assert_int_equal(filters(l->kernel, &t, ids), 0);
    of.providerContextType = FWPM_PROVIDER_CONTEXT_TYPE_MAX;
    assert_int_equal(create_status(l->kernel, BFE_FILTER, &t), STATUS_FWP_INVALID_ENUMERATOR);

    /* the same template enumerates the contexts themselves */
    struct bfe_enum *e = NULL;
    void **entries;
    UINT32 count;
    of.providerContextType = FWPM_GENERAL_CONTEXT;
    assert_int_equal(bfe_enum_create(l->kernel, BFE_PROVIDER_CONTEXT, &of, &e), STATUS_SUCCESS);
    assert_int_equal(bfe_enum_next(l->kernel, e, 9, &entries, &count), STATUS_SUCCESS);
    assert_int_equal(count, 1);
    assert_int_equal(((FWPM_PROVIDER_CONTEXT3 *)entries[0])->dataBuffer->size, 4);
    bfe_free(entries);
    bfe_enum_destroy(l->kernel, e);
    of.providerContextType = FWPM_CLASSIFY_OPTIONS_CONTEXT;
    assert_int_equal(bfe_enum_create(l->kernel, BFE_PROVIDER_CONTEXT, &of, &e), STATUS_SUCCESS);
    assert_int_equal(bfe_enum_next(l->kernel, e, 9, &entries, &count), STATUS_SUCCESS);
    assert_int_equal(count, 0);
    bfe_enum_destroy(l->kernel, e);
}

/* ---- conditions of a template
 * ------------------------------------------------------------------------------------- */

struct asking {
    struct bfe_lab *l;
    FWPM_FILTER_CONDITION0 asked;
    FWPM_FILTER_CONDITION0 had[4];
    UINT32 had_count;
};

static bool admitted(const struct asking *a, FWP_FILTER_ENUM_TYPE type)
{
    FWPM_FILTER_ENUM_TEMPLATE0 t = {.layerKey = FWPM_LAYER_ALE_AUTH_CONNECT_V4,
                                    .enumType = type,
                                    .actionMask = ALL_ACTIONS,
                                    .numFilterConditions = 1,
                                    .filterCondition = (FWPM_FILTER_CONDITION0 *)&a->asked};
    FWPM_FILTER0 f = bfe_lab_filter(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, FWP_ACTION_BLOCK);
    UINT64 ids[64], id;
    size_t n;

    f.numFilterConditions = a->had_count;
    f.filterCondition = (FWPM_FILTER_CONDITION0 *)a->had;
    id = bfe_lab_add(a->l->kernel, &f);
    n = filters(a->l->kernel, &t, ids);
    assert_true(n <= 1);
    assert_int_equal(bfe_filter_delete(a->l->kernel, NULL, id), STATUS_SUCCESS);
    return n == 1;
}

#define EXPECT(a, contained, overlapping)                                                                    \
    do {                                                                                                     \
        assert_int_equal(admitted(a, FWP_FILTER_ENUM_FULLY_CONTAINED), contained);                           \
        assert_int_equal(admitted(a, FWP_FILTER_ENUM_OVERLAPPING), overlapping);                             \
    } while (0)

#define PORT   &FWPM_CONDITION_IP_REMOTE_PORT
#define U16(x) ((FWP_CONDITION_VALUE0){.type = FWP_UINT16, .uint16 = (x)})
#define U32(x) ((FWP_CONDITION_VALUE0){.type = FWP_UINT32, .uint32 = (x)})
#define RANGE(lo, hi)                                                                                        \
    ((FWP_CONDITION_VALUE0){.type = FWP_RANGE_TYPE,                                                          \
                            .rangeValue = &(FWP_RANGE0){.valueLow = {.type = FWP_UINT16, .uint16 = (lo)},    \
                                                        .valueHigh = {.type = FWP_UINT16, .uint16 = (hi)}}})
#define C(key, match, value) bfe_lab_condition(key, match, value)

static void OBJ_34_a_filter_contains_or_overlaps_the_ports_asked_for(void **state)
{
    struct asking a = {.l = *state, .asked = C(PORT, FWP_MATCH_EQUAL, U16(80))};

    EXPECT(&a, true, true); /* no condition: everything */
    a.had_count = 1;
    a.had[0] = C(PORT, FWP_MATCH_EQUAL, U16(80));
    EXPECT(&a, true, true);
    a.had[0] = C(PORT, FWP_MATCH_EQUAL, U16(81));
    EXPECT(&a, false, false);
    a.had[0] = C(PORT, FWP_MATCH_RANGE, RANGE(1, 100));
    EXPECT(&a, true, true);
    a.had[0] = C(PORT, FWP_MATCH_NOT_EQUAL, U16(80));
    EXPECT(&a, false, false);

    a.asked = C(PORT, FWP_MATCH_RANGE, RANGE(50, 150));
    a.had[0] = C(PORT, FWP_MATCH_RANGE, RANGE(1, 100));
    EXPECT(&a, false, true);
    a.had[0] = C(PORT, FWP_MATCH_RANGE, RANGE(50, 150));
    EXPECT(&a, true, true);
    a.had[0] = C(PORT, FWP_MATCH_GREATER, U16(149));
    EXPECT(&a, false, true);
    a.had[0] = C(PORT, FWP_MATCH_GREATER, U16(150));
    EXPECT(&a, false, false);
    a.had[0] = C(PORT, FWP_MATCH_GREATER_OR_EQUAL, U16(50));
    EXPECT(&a, true, true);
    a.had[0] = C(PORT, FWP_MATCH_LESS, U16(150));
    EXPECT(&a, false, true);
    a.had[0] = C(PORT, FWP_MATCH_LESS_OR_EQUAL, U16(150));
    EXPECT(&a, true, true);
    a.had[0] = C(PORT, FWP_MATCH_NOT_EQUAL, U16(100));
    EXPECT(&a, false, true);

    /* alternatives on one field together cover what none does alone (MATCH-03) */
    a.had_count = 2;
    a.had[0] = C(PORT, FWP_MATCH_RANGE, RANGE(1, 99));
    a.had[1] = C(PORT, FWP_MATCH_GREATER_OR_EQUAL, U16(100));
    EXPECT(&a, true, true);
    a.had[1] = C(PORT, FWP_MATCH_GREATER, U16(100));
    EXPECT(&a, false, true);
    /* a field that is not asked about may have any value: not contained, but met */
    a.had[0] = C(PORT, FWP_MATCH_RANGE, RANGE(50, 150));
    a.had[1] = C(&FWPM_CONDITION_IP_PROTOCOL, FWP_MATCH_EQUAL,
                 ((FWP_CONDITION_VALUE0){.type = FWP_UINT8, .uint8 = 6}));
    EXPECT(&a, false, true);
    /* negations admit the EMPTY value, which a range does not (MATCH-14) */
    a.asked = C(PORT, FWP_MATCH_NOT_EQUAL, U16(7));
    a.had_count = 2;
    a.had[0] = C(PORT, FWP_MATCH_RANGE, RANGE(0, 0xffff));
    a.had[1] = C(PORT, FWP_MATCH_RANGE, RANGE(0, 0xffff));
    EXPECT(&a, false, true);
    a.had_count = 1;
    a.had[0] = C(PORT, FWP_MATCH_NOT_EQUAL, U16(7));
    EXPECT(&a, true, true);
}

static void OBJ_34_a_filter_contains_or_overlaps_the_addresses_asked_for(void **state)
{
    struct asking a = {.l = *state, .had_count = 1};
    FWP_V4_ADDR_AND_MASK net24 = {0x0a000100, 0xffffff00}, net16 = {0x0a000000, 0xffff0000},
                         far = {0x0b000000, 0xff000000};
    const GUID *key = &FWPM_CONDITION_IP_REMOTE_ADDRESS;

    a.asked =
        C(key, FWP_MATCH_EQUAL, ((FWP_CONDITION_VALUE0){.type = FWP_V4_ADDR_MASK, .v4AddrMask = &net24}));
    a.had[0] =
        C(key, FWP_MATCH_EQUAL, ((FWP_CONDITION_VALUE0){.type = FWP_V4_ADDR_MASK, .v4AddrMask = &net16}));
    EXPECT(&a, true, true);
    a.had[0].conditionValue.v4AddrMask = &far;
    EXPECT(&a, false, false);
    a.had[0].conditionValue = U32(0x0a000105);
    EXPECT(&a, false, true);
    a.asked.conditionValue = U32(0x0a000105);
    a.had[0].conditionValue = (FWP_CONDITION_VALUE0){.type = FWP_V4_ADDR_MASK, .v4AddrMask = &net24};
    EXPECT(&a, true, true);
}

static void OBJ_34_a_filter_contains_or_overlaps_the_flags_asked_for(void **state)
{
    struct asking a = {.l = *state, .had_count = 1};
    const GUID *key = &FWPM_CONDITION_FLAGS;

    a.asked = C(key, FWP_MATCH_FLAGS_ALL_SET, U32(3));
    a.had[0] = C(key, FWP_MATCH_FLAGS_ALL_SET, U32(1));
    EXPECT(&a, true, true);
    a.had[0] = C(key, FWP_MATCH_FLAGS_ALL_SET, U32(4));
    EXPECT(&a, false, true);
    a.had[0] = C(key, FWP_MATCH_FLAGS_ANY_SET, U32(6));
    EXPECT(&a, true, true);
    a.had[0] = C(key, FWP_MATCH_FLAGS_NONE_SET, U32(2));
    EXPECT(&a, false, false);
    a.had[0] = C(key, FWP_MATCH_FLAGS_NONE_SET, U32(4));
    EXPECT(&a, false, true);
    a.asked = C(key, FWP_MATCH_FLAGS_NONE_SET, U32(3));
    a.had[0] = C(key, FWP_MATCH_FLAGS_NONE_SET, U32(1));
    EXPECT(&a, true, true);
    a.had[0] = C(key, FWP_MATCH_FLAGS_ANY_SET, U32(3));
    EXPECT(&a, false, false);
    a.asked = C(key, FWP_MATCH_FLAGS_ANY_SET, U32(3));
    a.had[0] = C(key, FWP_MATCH_FLAGS_ANY_SET, U32(7));
    EXPECT(&a, true, true);
    a.had[0] = C(key, FWP_MATCH_FLAGS_ANY_SET, U32(1));
    EXPECT(&a, false, true);
    a.had[0] = C(key, FWP_MATCH_FLAGS_NONE_SET, U32(3));
    EXPECT(&a, false, false);
}

static void OBJ_34_a_filter_contains_or_overlaps_the_application_asked_for(void **state)
{
    struct asking a = {.l = *state, .had_count = 1};
    FWP_BYTE_BLOB one = {6, (UINT8 *)"a\0b\0\0"}, two = {6, (UINT8 *)"a\0c\0\0"},
                  root = {4, (UINT8 *)"b\0\0\0"};
    const GUID *key = &FWPM_CONDITION_ALE_APP_ID;
    FWP_CONDITION_VALUE0 v1 = {.type = FWP_BYTE_BLOB_TYPE, .byteBlob = &one};
    FWP_CONDITION_VALUE0 v2 = {.type = FWP_BYTE_BLOB_TYPE, .byteBlob = &two};
    FWP_CONDITION_VALUE0 prefix = {.type = FWP_BYTE_BLOB_TYPE, .byteBlob = &root};

    a.asked = C(key, FWP_MATCH_EQUAL, v1);
    a.had[0] = C(key, FWP_MATCH_EQUAL, v1);
    EXPECT(&a, true, true);
    a.had[0] = C(key, FWP_MATCH_EQUAL, v2);
    EXPECT(&a, false, false);
    a.had[0] = C(key, FWP_MATCH_NOT_EQUAL, v2);
    EXPECT(&a, true, true);
    a.had[0] = C(key, FWP_MATCH_PREFIX, prefix);
    EXPECT(&a, true, true);
    a.asked = C(key, FWP_MATCH_PREFIX, prefix);
    a.had[0] = C(key, FWP_MATCH_EQUAL, v1);
    EXPECT(&a, false, true);
    a.had[0] = C(key, FWP_MATCH_NOT_PREFIX, prefix);
    EXPECT(&a, false, false);
    a.asked = C(key, FWP_MATCH_NOT_EQUAL, v1);
    a.had[0] = C(key, FWP_MATCH_EQUAL, v1);
    EXPECT(&a, false, false);
    a.had[0] = C(key, FWP_MATCH_EQUAL, v2);
    EXPECT(&a, false, true);
    a.had[0] = C(key, FWP_MATCH_NOT_EQUAL, v1);
    EXPECT(&a, true, true);
}

static void OBJ_34_a_token_asks_which_filters_admit_its_user(void **state)
{
    struct bfe_lab *l = *state;
    struct asking a = {.l = l, .had_count = 1};
    const FWP_BYTE_BLOB *token = security_token_blob(l->admin);
    const GUID *key = &FWPM_CONDITION_ALE_USER_ID;
    void *sd;
    size_t size;

    a.asked = C(key, FWP_MATCH_EQUAL,
                ((FWP_CONDITION_VALUE0){.type = FWP_TOKEN_ACCESS_INFORMATION_TYPE,
                                        .tokenAccessInformation = (FWP_BYTE_BLOB *)token}));
    assert_int_equal(security_sddl_parse("D:(A;;CC;;;BA)", &sd, &size, NULL), 0);
    FWP_BYTE_BLOB blob = {(UINT32)size, sd};
    a.had[0] =
        C(key, FWP_MATCH_EQUAL, ((FWP_CONDITION_VALUE0){.type = FWP_SECURITY_DESCRIPTOR_TYPE, .sd = &blob}));
    EXPECT(&a, true, true);
    free(sd);
    assert_int_equal(security_sddl_parse("D:(A;;CC;;;NS)", &sd, &size, NULL), 0);
    blob = (FWP_BYTE_BLOB){(UINT32)size, sd};
    EXPECT(&a, false, false);
    free(sd);
}

static void OBJ_34_flags_sort_choose_and_exclude(void **state)
{
    struct bfe_lab *l = *state;
    FWPM_FILTER0 f = bfe_lab_filter(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, FWP_ACTION_BLOCK);
    GUID callout = bfe_lab_guid(5);
    FWPM_CALLOUT0 c = bfe_lab_callout(&callout, &FWPM_LAYER_ALE_AUTH_CONNECT_V4);
    UINT64 weight, ids[64], low, mid, high, boot;

    assert_int_equal(bfe_callout_add(l->kernel, &c, NULL, 0, NULL), STATUS_SUCCESS);
    f.weight = (FWP_VALUE0){.type = FWP_UINT64, .uint64 = &weight};
    weight = 5;
    mid = bfe_lab_add(l->kernel, &f);
    weight = 1;
    low = bfe_lab_add(l->kernel, &f);
    weight = 9;
    f.action.type = FWP_ACTION_CALLOUT_INSPECTION; /* does not terminate */
    f.action.calloutKey = callout;
    high = bfe_lab_add(l->kernel, &f);
    f.action.type = FWP_ACTION_BLOCK;
    f.flags = FWPM_FILTER_FLAG_BOOTTIME;
    weight = 7;
    boot = bfe_lab_add(l->kernel, &f);

    FWPM_FILTER_ENUM_TEMPLATE0 t = {.actionMask = ALL_ACTIONS};
    assert_int_equal(filters(l->kernel, &t, ids), 3); /* boot-time filters only if asked for */
    assert_true(ids[0] == mid && ids[1] == low && ids[2] == high);
    t.flags = FWP_FILTER_ENUM_FLAG_SORTED;
    assert_int_equal(filters(l->kernel, &t, ids), 3);
    assert_true(ids[0] == high && ids[1] == mid && ids[2] == low);
    t.flags = FWP_FILTER_ENUM_FLAG_SORTED | FWP_FILTER_ENUM_FLAG_INCLUDE_BOOTTIME;
    assert_int_equal(filters(l->kernel, &t, ids), 4);
    assert_true(ids[0] == high && ids[1] == boot);
    t.flags = FWP_FILTER_ENUM_FLAG_BOOTTIME_ONLY;
    assert_int_equal(filters(l->kernel, &t, ids), 1);
    assert_int_equal(ids[0], boot);
    t.flags = FWP_FILTER_ENUM_FLAG_BEST_TERMINATING_MATCH;
    assert_int_equal(filters(l->kernel, &t, ids), 1);
    assert_int_equal(ids[0], mid);                      /* the heaviest of those that terminate */
    assert_int_equal(filters(l->kernel, NULL, ids), 4); /* no template: all */
}

static void OBJ_34_disabled_filters_only_if_asked_for(void **state)
{
    struct bfe_lab *l = *state;
    FWPM_FILTER0 f = bfe_lab_filter(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, FWP_ACTION_BLOCK);
    UINT64 weight = 3, ids[64];

    f.filterKey = bfe_lab_guid(9);
    f.subLayerKey = FWPM_SUBLAYER_UNIVERSAL;
    f.filterId = 77;
    f.flags = FWPM_FILTER_FLAG_DISABLED;
    f.weight = f.effectiveWeight = (FWP_VALUE0){.type = FWP_UINT64, .uint64 = &weight};
    assert_int_equal(bfe_txn_begin(l->kernel, 0), STATUS_SUCCESS);
    assert_int_equal(bfe_restore_filter(l->kernel, &f), STATUS_SUCCESS); /* an import keeps such */
    assert_int_equal(bfe_txn_commit(l->kernel), STATUS_SUCCESS);
    FWPM_FILTER_ENUM_TEMPLATE0 t = {.actionMask = ALL_ACTIONS};
    assert_int_equal(filters(l->kernel, &t, ids), 0);
    t.flags = FWP_FILTER_ENUM_FLAG_INCLUDE_DISABLED;
    assert_int_equal(filters(l->kernel, &t, ids), 1);
    assert_int_equal(ids[0], 77);
}

static void OBJ_34_an_impossible_template_never_matches(void **state)
{
    struct bfe_lab *l = *state;
    FWPM_FILTER_CONDITION0 c[2] = {C(PORT, FWP_MATCH_EQUAL, U16(1)), C(PORT, FWP_MATCH_EQUAL, U16(2))};
    GUID key = bfe_lab_guid(1);
    FWPM_FILTER_ENUM_TEMPLATE0 t = {0};

    assert_int_equal(create_status(l->kernel, BFE_FILTER, &t),
                     STATUS_FWP_NEVER_MATCH); /* no action has no bits */
    t.actionMask = FWP_ACTION_FLAG_TERMINATING;
    t.calloutKey = &key;
    assert_int_equal(create_status(l->kernel, BFE_FILTER, &t), STATUS_FWP_NEVER_MATCH);
    t = (FWPM_FILTER_ENUM_TEMPLATE0){.actionMask = ALL_ACTIONS,
                                     .layerKey = FWPM_LAYER_RPC_UM,
                                     .flags = FWP_FILTER_ENUM_FLAG_BOOTTIME_ONLY};
    assert_int_equal(create_status(l->kernel, BFE_FILTER, &t), STATUS_FWP_NEVER_MATCH);
    t = (FWPM_FILTER_ENUM_TEMPLATE0){.actionMask = ALL_ACTIONS,
                                     .layerKey = FWPM_LAYER_ALE_AUTH_CONNECT_V4,
                                     .numFilterConditions = 1,
                                     .filterCondition = c};
    c[0] = C(PORT, FWP_MATCH_GREATER, U16(0xffff));
    assert_int_equal(create_status(l->kernel, BFE_FILTER, &t), STATUS_FWP_NEVER_MATCH);
    c[0] = C(PORT, FWP_MATCH_LESS, U16(0));
    assert_int_equal(create_status(l->kernel, BFE_FILTER, &t), STATUS_FWP_NEVER_MATCH);
    c[0] = C(&FWPM_CONDITION_FLAGS, FWP_MATCH_FLAGS_ANY_SET, U32(0));
    assert_int_equal(create_status(l->kernel, BFE_FILTER, &t), STATUS_FWP_NEVER_MATCH);

    /* other faults of a template */
    c[0] = C(PORT, FWP_MATCH_EQUAL, U16(1));
    t.numFilterConditions = 2;
    assert_int_equal(create_status(l->kernel, BFE_FILTER, &t), STATUS_FWP_DUPLICATE_CONDITION);
    c[1] = C(&FWPM_CONDITION_EMBEDDED_PROTOCOL, FWP_MATCH_EQUAL, U16(2));
    assert_int_equal(create_status(l->kernel, BFE_FILTER, &t), STATUS_FWP_CONDITION_NOT_FOUND);
    c[1] = C(&FWPM_CONDITION_IP_PROTOCOL, FWP_MATCH_EQUAL, U16(2));
    assert_int_equal(create_status(l->kernel, BFE_FILTER, &t), STATUS_FWP_TYPE_MISMATCH);
    t.filterCondition = NULL;
    assert_int_equal(create_status(l->kernel, BFE_FILTER, &t), STATUS_FWP_NULL_POINTER);
    t = (FWPM_FILTER_ENUM_TEMPLATE0){.actionMask = ALL_ACTIONS, .flags = 0x8000};
    assert_int_equal(create_status(l->kernel, BFE_FILTER, &t), STATUS_FWP_INVALID_FLAGS);
    t = (FWPM_FILTER_ENUM_TEMPLATE0){.actionMask = ALL_ACTIONS, .enumType = FWP_FILTER_ENUM_TYPE_MAX};
    assert_int_equal(create_status(l->kernel, BFE_FILTER, &t), STATUS_FWP_INVALID_ENUMERATOR);
    t = (FWPM_FILTER_ENUM_TEMPLATE0){.actionMask = ALL_ACTIONS, .layerKey = key};
    assert_int_equal(create_status(l->kernel, BFE_FILTER, &t), STATUS_FWP_LAYER_NOT_FOUND);
}

static void OBJ_34_providers_sublayers_callouts_layers_and_sessions(void **state)
{
    struct bfe_lab *l = *state;
    GUID provider = bfe_lab_guid(1), sublayer = bfe_lab_guid(2), callout = bfe_lab_guid(3);
    FWPM_PROVIDER0 p = bfe_lab_provider(&provider);
    FWPM_SUBLAYER0 u = bfe_lab_sublayer(&sublayer, 9);
    FWPM_CALLOUT0 c = bfe_lab_callout(&callout, &FWPM_LAYER_ALE_AUTH_CONNECT_V4);
    UINT64 reserved = 1;
    struct bfe_enum *e = NULL;
    void **entries;
    UINT32 count;

    assert_int_equal(bfe_provider_add(l->kernel, &p, NULL, 0), STATUS_SUCCESS);
    u.providerKey = c.providerKey = &provider;
    assert_int_equal(bfe_sublayer_add(l->kernel, &u, NULL, 0), STATUS_SUCCESS);
    assert_int_equal(bfe_callout_add(l->kernel, &c, NULL, 0, NULL), STATUS_SUCCESS);

    FWPM_SUBLAYER_ENUM_TEMPLATE0 ut = {.providerKey = &provider};
    assert_int_equal(bfe_enum_create(l->kernel, BFE_SUBLAYER, &ut, &e), STATUS_SUCCESS);
    assert_int_equal(bfe_enum_next(l->kernel, e, 1000, &entries, &count), STATUS_SUCCESS);
    assert_int_equal(count, 1);
    assert_int_equal(((FWPM_SUBLAYER0 *)entries[0])->weight, 9);
    bfe_free(entries);
    bfe_enum_destroy(l->kernel, e);

    FWPM_CALLOUT_ENUM_TEMPLATE0 ct = {.providerKey = &provider, .layerKey = FWPM_LAYER_ALE_AUTH_CONNECT_V4};
    assert_int_equal(bfe_enum_create(l->kernel, BFE_CALLOUT, &ct, &e), STATUS_SUCCESS);
    assert_int_equal(bfe_enum_next(l->kernel, e, 1000, &entries, &count), STATUS_SUCCESS);
    assert_int_equal(count, 1);
    bfe_free(entries);
    bfe_enum_destroy(l->kernel, e);
    ct.layerKey = FWPM_LAYER_ALE_AUTH_CONNECT_V6;
    assert_int_equal(bfe_enum_create(l->kernel, BFE_CALLOUT, &ct, &e), STATUS_SUCCESS);
    assert_int_equal(bfe_enum_next(l->kernel, e, 1000, &entries, &count), STATUS_SUCCESS);
    assert_int_equal(count, 0);
    bfe_enum_destroy(l->kernel, e);
    ct.layerKey = provider;
    assert_int_equal(create_status(l->kernel, BFE_CALLOUT, &ct), STATUS_FWP_LAYER_NOT_FOUND);

    assert_int_equal(bfe_enum_create(l->kernel, BFE_LAYER, NULL, &e), STATUS_SUCCESS);
    assert_int_equal(bfe_enum_next(l->kernel, e, 98, &entries, &count), STATUS_SUCCESS);
    assert_int_equal(count, 98);
    const struct engine_layer *layer = engine_layer_by_id(48);
    const FWPM_LAYER0 *shown = entries[48];
    assert_int_equal(shown->layerId, 48);
    assert_memory_equal(&shown->layerKey, layer->key, sizeof(GUID));
    assert_int_equal(shown->numFields, layer->field_count);
    assert_memory_equal(shown->field[3].fieldKey, layer->fields[3].key, sizeof(GUID));
    bfe_free(entries);
    assert_int_equal(bfe_enum_next(l->kernel, e, 98, &entries, &count), STATUS_SUCCESS);
    assert_int_equal(count, 1); /* of 99 */
    bfe_free(entries);
    bfe_enum_destroy(l->kernel, e);

    struct bfe_session *user = bfe_lab_session(l, BFE_LAB_USER, FWPM_SESSION_FLAG_DYNAMIC, 0);
    assert_int_equal(bfe_enum_create(l->kernel, BFE_SESSION, NULL, &e), STATUS_SUCCESS);
    assert_int_equal(bfe_enum_next(l->kernel, e, 1000, &entries, &count), STATUS_SUCCESS);
    assert_int_equal(count, 2);
    unsigned kernels = 0, dynamic = 0;
    for (UINT32 i = 0; i < count; i++) {
        kernels += ((FWPM_SESSION0 *)entries[i])->kernelMode != 0;
        dynamic += ((FWPM_SESSION0 *)entries[i])->flags == FWPM_SESSION_FLAG_DYNAMIC;
    }
    assert_true(kernels == 1 && dynamic == 1);
    bfe_free(entries);
    bfe_enum_destroy(l->kernel, e);
    bfe_session_close(user);

    assert_int_equal(create_status(l->kernel, BFE_PROVIDER, &reserved), STATUS_FWP_RESERVED);
    assert_int_equal(create_status(l->kernel, BFE_LAYER, &reserved), STATUS_FWP_RESERVED);
    assert_int_equal(create_status(l->kernel, BFE_SESSION, &reserved), STATUS_FWP_RESERVED);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bfe_lab_setup, bfe_lab_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(OBJ_34_a_handle_is_a_snapshot),
        TEST(OBJ_34_handles_belong_to_their_session_and_kind),
        TEST(OBJ_34_uncommitted_objects_are_their_sessions_alone),
        TEST(OBJ_34_templates_by_provider_layer_callout_and_action),
        TEST(OBJ_34_templates_by_provider_context),
        TEST(OBJ_34_a_filter_contains_or_overlaps_the_ports_asked_for),
        TEST(OBJ_34_a_filter_contains_or_overlaps_the_addresses_asked_for),
        TEST(OBJ_34_a_filter_contains_or_overlaps_the_flags_asked_for),
        TEST(OBJ_34_a_filter_contains_or_overlaps_the_application_asked_for),
        TEST(OBJ_34_a_token_asks_which_filters_admit_its_user),
        TEST(OBJ_34_flags_sort_choose_and_exclude),
        TEST(OBJ_34_disabled_filters_only_if_asked_for),
        TEST(OBJ_34_an_impossible_template_never_matches),
        TEST(OBJ_34_providers_sublayers_callouts_layers_and_sessions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
