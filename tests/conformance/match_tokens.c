/* SPDX-License-Identifier: Apache-2.0 */
/* MATCH: fields that hold a token and conditions that hold a security descriptor (MATCH-17, 28), and the
 * package SID that every program has (29). */
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

struct sid {
    UINT8 bytes[SECURITY_MAX_SID_SIZE];
};

static SID *sid_of(struct sid *s, const char *text)
{
    assert_int_equal(security_sid_parse(text, (SID *)s->bytes, sizeof(s->bytes)), 0);
    return (SID *)s->bytes;
}

/* Is the token admitted by the descriptor, asked through a filter? */
static bool admits(struct lab *l, const GUID *key, FWP_MATCH_TYPE match, const char *sddl,
                   const FWP_VALUE0 *token)
{
    FWP_BYTE_BLOB sd;
    void *raw;
    size_t size;
    bool result;

    assert_int_equal(security_sddl_parse(sddl, &raw, &size, NULL), 0);
    sd = (FWP_BYTE_BLOB){(UINT32)size, raw};
    *lab_value(l, key) = *token;
    result = lab_matches_one(l, key, match,
                             (FWP_CONDITION_VALUE0){.type = FWP_SECURITY_DESCRIPTOR_TYPE, .sd = &sd});
    free(raw);
    return result;
}

static FWP_VALUE0 value_of(const struct security_token *t)
{
    return (FWP_VALUE0){.type = FWP_TOKEN_ACCESS_INFORMATION_TYPE,
                        .tokenAccessInformation = (FWP_BYTE_BLOB *)security_token_blob(t)};
}

static void MATCH_17_user_id_is_an_access_check(void **state)
{
    struct lab *l = *state;
    struct sid alice;
    struct security_token *t;
    FWP_VALUE0 v;

    assert_int_equal(security_token_plain_user(sid_of(&alice, "S-1-5-21-1-2-3-1001"), &t), 0);
    v = value_of(t);
    assert_true(
        admits(l, &FWPM_CONDITION_ALE_USER_ID, FWP_MATCH_EQUAL, "D:(A;;CC;;;S-1-5-21-1-2-3-1001)", &v));
    assert_false(
        admits(l, &FWPM_CONDITION_ALE_USER_ID, FWP_MATCH_NOT_EQUAL, "D:(A;;CC;;;S-1-5-21-1-2-3-1001)", &v));
    assert_false(
        admits(l, &FWPM_CONDITION_ALE_USER_ID, FWP_MATCH_EQUAL, "D:(A;;CC;;;S-1-5-21-1-2-3-1002)", &v));
    assert_true(
        admits(l, &FWPM_CONDITION_ALE_USER_ID, FWP_MATCH_NOT_EQUAL, "D:(A;;CC;;;S-1-5-21-1-2-3-1002)", &v));
    assert_true(admits(l, &FWPM_CONDITION_ALE_USER_ID, FWP_MATCH_EQUAL, "D:(A;;CC;;;WD)", &v));
    assert_false(admits(l, &FWPM_CONDITION_ALE_USER_ID, FWP_MATCH_EQUAL, "D:(A;;CC;;;SY)", &v));
    /* the right asked for is FWP_ACTRL_MATCH_FILTER, bit 0 (CC): another right is not enough */
    assert_false(admits(l, &FWPM_CONDITION_ALE_USER_ID, FWP_MATCH_EQUAL, "D:(A;;DC;;;WD)", &v));
    /* order of entries: an earlier denial wins */
    assert_false(admits(l, &FWPM_CONDITION_ALE_USER_ID, FWP_MATCH_EQUAL,
                        "D:(D;;CC;;;S-1-5-21-1-2-3-1001)(A;;CC;;;WD)", &v));
    assert_true(admits(l, &FWPM_CONDITION_ALE_USER_ID, FWP_MATCH_EQUAL,
                       "D:(A;;CC;;;WD)(D;;CC;;;S-1-5-21-1-2-3-1001)", &v));
    /* the same for the peer's user and machine */
    assert_true(admits(l, &FWPM_CONDITION_ALE_REMOTE_USER_ID, FWP_MATCH_EQUAL,
                       "D:(A;;CC;;;S-1-5-21-1-2-3-1001)", &v));
    assert_true(admits(l, &FWPM_CONDITION_ALE_REMOTE_MACHINE_ID, FWP_MATCH_EQUAL,
                       "D:(A;;CC;;;S-1-5-21-1-2-3-1001)", &v));
    security_token_destroy(t);
}

static void MATCH_17_appcontainer_needs_both_parts(void **state)
{
    static const char stock[] = "D:(A;;CC;;;S-1-15-3-1)(A;;CC;;;WD)";
    struct lab *l = *state;
    struct sid user, package, internet, everyone;
    SID_AND_ATTRIBUTES capability = {sid_of(&internet, "S-1-15-3-1"), SE_GROUP_ENABLED};
    SID_AND_ATTRIBUTES group = {sid_of(&everyone, "S-1-1-0"), SE_GROUP_ENABLED};
    struct security_token_spec spec = {
        .user = sid_of(&user, "S-1-5-21-1-2-3-1001"), .groups = &group, .group_count = 1};
    struct security_token *plain, *without, *with;
    FWP_VALUE0 v;

    assert_int_equal(security_token_create(&spec, &plain), 0);
    spec.package = sid_of(&package, "S-1-15-2-1-2-3-4-5-6-7");
    assert_int_equal(security_token_create(&spec, &without), 0);
    spec.capabilities = &capability;
    spec.capability_count = 1;
    assert_int_equal(security_token_create(&spec, &with), 0);
    v = value_of(plain);
    assert_true(admits(l, &FWPM_CONDITION_ALE_USER_ID, FWP_MATCH_EQUAL, stock, &v));
    v = value_of(without);
    assert_false(admits(l, &FWPM_CONDITION_ALE_USER_ID, FWP_MATCH_EQUAL, stock, &v));
    v = value_of(with);
    assert_true(admits(l, &FWPM_CONDITION_ALE_USER_ID, FWP_MATCH_EQUAL, stock, &v));
    /* the capability alone is not enough either: the user part must grant too */
    assert_false(admits(l, &FWPM_CONDITION_ALE_USER_ID, FWP_MATCH_EQUAL, "D:(A;;CC;;;S-1-15-3-1)", &v));
    security_token_destroy(plain);
    security_token_destroy(without);
    security_token_destroy(with);
}

/* FWP_TOKEN_INFORMATION, the older form of a token: SIDs and restricted SIDs. */
static void MATCH_17_token_information(void **state)
{
    struct lab *l = *state;
    struct sid user, restricted;
    SID_AND_ATTRIBUTES sids[1] = {{sid_of(&user, "S-1-5-21-1-2-3-1001"), SE_GROUP_ENABLED}};
    SID_AND_ATTRIBUTES limits[1] = {{sid_of(&restricted, "S-1-5-12"), SE_GROUP_ENABLED}};
    FWP_TOKEN_INFORMATION info = {.sidCount = 1, .sids = sids};
    FWP_VALUE0 v = {.type = FWP_TOKEN_INFORMATION_TYPE, .tokenInformation = &info};

    assert_true(
        admits(l, &FWPM_CONDITION_ALE_USER_ID, FWP_MATCH_EQUAL, "D:(A;;CC;;;S-1-5-21-1-2-3-1001)", &v));
    assert_false(
        admits(l, &FWPM_CONDITION_ALE_USER_ID, FWP_MATCH_EQUAL, "D:(A;;CC;;;S-1-5-21-1-2-3-1002)", &v));
    info.restrictedSidCount = 1;
    info.restrictedSids = limits;
    assert_false(
        admits(l, &FWPM_CONDITION_ALE_USER_ID, FWP_MATCH_EQUAL, "D:(A;;CC;;;S-1-5-21-1-2-3-1001)", &v));
    assert_true(admits(l, &FWPM_CONDITION_ALE_USER_ID, FWP_MATCH_EQUAL,
                       "D:(A;;CC;;;S-1-5-21-1-2-3-1001)(A;;CC;;;S-1-5-12)", &v));
}

static void MATCH_28_package_family_name(void **state)
{
    static const char sd[] = "D:(XA;;CC;;;WD;(WIN://SYSAPPID Contains \"Contoso.App_8wekyb3d8bbwe\"))";
    struct lab *l = *state;
    struct sid user, everyone;
    const char *const mine[] = {"Contoso.App_8wekyb3d8bbwe"}, *const other[] = {"Fabrikam.App_8wekyb3d8bbwe"};
    SID_AND_ATTRIBUTES group = {sid_of(&everyone, "S-1-1-0"), SE_GROUP_ENABLED};
    struct security_attribute attribute = {.name = "WIN://SYSAPPID", .values = mine, .value_count = 1};
    struct security_token_spec spec = {
        .user = sid_of(&user, "S-1-5-21-1-2-3-1001"), .groups = &group, .group_count = 1};
    struct security_token *ordinary, *app, *another;
    FWP_VALUE0 v;

    assert_int_equal(security_token_create(&spec, &ordinary), 0);
    spec.attributes = &attribute;
    spec.attribute_count = 1;
    assert_int_equal(security_token_create(&spec, &app), 0);
    attribute.values = other;
    assert_int_equal(security_token_create(&spec, &another), 0);
    v = value_of(app);
    assert_true(admits(l, &FWPM_CONDITION_ALE_PACKAGE_FAMILY_NAME, FWP_MATCH_EQUAL, sd, &v));
    v = value_of(another);
    assert_false(admits(l, &FWPM_CONDITION_ALE_PACKAGE_FAMILY_NAME, FWP_MATCH_EQUAL, sd, &v));
    v = value_of(ordinary);
    assert_false(admits(l, &FWPM_CONDITION_ALE_PACKAGE_FAMILY_NAME, FWP_MATCH_EQUAL, sd, &v));
    security_token_destroy(ordinary);
    security_token_destroy(app);
    security_token_destroy(another);
}

/* The host and explain indicate S-1-0-0 for a program that is no AppContainer; the stock pairs work on it. */
static void MATCH_29_package_id_of_no_package(void **state)
{
    struct lab *l = *state;
    struct sid none, package;
    FWP_CONDITION_VALUE0 c = {.type = FWP_SID, .sid = sid_of(&none, "S-1-0-0")};

    *lab_value(l, &FWPM_CONDITION_ALE_PACKAGE_ID) = (FWP_VALUE0){.type = FWP_SID, .sid = c.sid};
    assert_true(lab_matches_one(l, &FWPM_CONDITION_ALE_PACKAGE_ID, FWP_MATCH_EQUAL, c));
    assert_false(lab_matches_one(l, &FWPM_CONDITION_ALE_PACKAGE_ID, FWP_MATCH_NOT_EQUAL, c));
    lab_value(l, &FWPM_CONDITION_ALE_PACKAGE_ID)->sid = sid_of(&package, "S-1-15-2-1-2-3-4-5-6-7");
    assert_false(lab_matches_one(l, &FWPM_CONDITION_ALE_PACKAGE_ID, FWP_MATCH_EQUAL, c));
    assert_true(lab_matches_one(l, &FWPM_CONDITION_ALE_PACKAGE_ID, FWP_MATCH_NOT_EQUAL, c));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(MATCH_17_user_id_is_an_access_check), TEST(MATCH_17_appcontainer_needs_both_parts),
        TEST(MATCH_17_token_information),          TEST(MATCH_28_package_family_name),
        TEST(MATCH_29_package_id_of_no_package),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
