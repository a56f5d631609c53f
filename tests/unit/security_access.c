/* SPDX-License-Identifier: Apache-2.0 */
/* security: tokens and the access check (MS-DTYP 2.5.3.2), at the level of descriptors. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <cmocka.h>

#include "sddl_lab.h"
#include "fwpmu.h"

#define MATCH FWP_ACTRL_MATCH_FILTER
#define USER  "'user': 'S-1-5-21-1-2-3-1001'"
#define PLAIN "{" USER "}"

static bool plain(const char *sddl)
{
    return lab_check(sddl, PLAIN, MATCH);
}

static void aces_count_in_their_order(void **state)
{
    (void)state;
    assert_true(plain("D:(A;;CC;;;WD)"));
    assert_true(plain("D:(A;;CCRC;;;S-1-5-21-1-2-3-1001)"));
    assert_false(plain("D:(A;;CCRC;;;S-1-5-21-1-2-3-1002)"));
    assert_false(plain("D:(A;;DC;;;WD)"));
    assert_false(plain("D:(D;;CC;;;BU)(A;;CC;;;WD)"));
    assert_true(plain("D:(A;;CC;;;WD)(D;;CC;;;BU)"));
    assert_true(plain("D:(D;;CC;;;BA)(A;;CC;;;IU)"));
    assert_true(plain("D:(D;;DC;;;WD)(A;;CC;;;WD)"));
    assert_false(plain("D:(A;IO;CC;;;WD)"));
    assert_true(plain("D:(D;IO;CC;;;WD)(A;NP;CC;;;WD)"));
    /* all that is wanted, from one ACE or several */
    assert_false(lab_check("D:(A;;CC;;;WD)", PLAIN, 3));
    assert_true(lab_check("D:(A;;CC;;;WD)(A;;DC;;;BU)", PLAIN, 3));
    assert_false(lab_check("D:(A;;CC;;;WD)(D;;DC;;;BU)(A;;DC;;;WD)", PLAIN, 3));
    assert_true(lab_check("D:(A;;CC;;;WD)(D;;CC;;;BU)(A;;DC;;;WD)", PLAIN, 3));
}

static void a_null_dacl_grants_all_an_empty_one_nothing(void **state)
{
    (void)state;
    assert_true(plain("D:NO_ACCESS_CONTROL"));
    assert_true(plain("O:SY"));
    assert_true(lab_check("", PLAIN, 0xffff));
    assert_false(plain("D:"));
    assert_false(lab_check("D:NO_ACCESS_CONTROL", PLAIN, 0));
    assert_false(lab_check("D:(A;;GA;;;WD)", PLAIN, MAXIMUM_ALLOWED));
}

static void groups_count_by_their_attributes(void **state)
{
    static const char *const with[] = {"'BA'", "{'sid': 'BA', 'enabled': false}",
                                       "{'sid': 'BA', 'deny_only': true}"};
    static const bool allowed[] = {true, false, false}, denied[] = {true, false, true};
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        char token[256];
        snprintf(token, sizeof(token), "{" USER ", 'groups': [%s, 'WD']}", with[i]);
        assert_int_equal(lab_check("D:(A;;CC;;;BA)", token, MATCH), allowed[i]);
        assert_int_equal(lab_check("D:(D;;CC;;;BA)(A;;CC;;;WD)", token, MATCH), !denied[i]);
        /* the same in Member_of */
        assert_int_equal(lab_check("D:(XA;;CC;;;WD;(Member_of SID(BA)))", token, MATCH), allowed[i]);
        assert_int_equal(lab_check("D:(XD;;CC;;;WD;(Member_of SID(BA)))(A;;CC;;;WD)", token, MATCH),
                         !denied[i]);
    }
    assert_false(lab_check("D:(A;;CC;;;WD)", "{" USER ", 'groups': []}", MATCH));
    assert_true(lab_check("D:(A;;CC;;;S-1-5-21-1-2-3-1001)", "{" USER ", 'groups': []}", MATCH));
}

static void generic_rights_are_mapped(void **state)
{
    const GENERIC_MAPPING other = {
        .GenericRead = 0x10, .GenericWrite = 0x20, .GenericExecute = 0x40, .GenericAll = 0x7f};
    struct lab_sd sd = lab_sd("D:(A;;GRGW;;;WD)");
    struct security_token *t = lab_token(PLAIN);
    const FWP_BYTE_BLOB *blob = security_token_blob(t);
    (void)state;
    assert_true(plain("D:(A;;GA;;;WD)"));
    assert_true(plain("D:(A;;GR;;;WD)"));
    assert_true(plain("D:(A;;GX;;;WD)"));
    assert_false(plain("D:(A;;GW;;;WD)"));
    assert_false(plain("D:(D;;GA;;;BU)(A;;CC;;;WD)"));
    assert_true(lab_check("D:(A;;CCRC;;;WD)", PLAIN, GENERIC_READ));
    assert_false(lab_check("D:(A;;CC;;;WD)", PLAIN, GENERIC_READ));
    assert_true(security_access_check_mapped(sd.data, sd.size, blob, 0x30, &other));
    assert_false(security_access_check_mapped(sd.data, sd.size, blob, 0x40, &other));
    assert_false(security_access_check_mapped(sd.data, sd.size, blob, GENERIC_EXECUTE, &other));
    security_token_destroy(t);
    free(sd.data);
}

static void owners_may_read_and_change_the_descriptor(void **state)
{
    (void)state;
    assert_true(lab_check("O:S-1-5-21-1-2-3-1001D:", PLAIN, READ_CONTROL | WRITE_DAC));
    assert_false(lab_check("O:S-1-5-21-1-2-3-1001D:", PLAIN, MATCH));
    assert_false(lab_check("O:SYD:", PLAIN, READ_CONTROL));
    /* OWNER RIGHTS replaces that, and stands for the owner */
    assert_false(lab_check("O:S-1-5-21-1-2-3-1001D:(A;;CC;;;OW)", PLAIN, READ_CONTROL));
    assert_true(lab_check("O:S-1-5-21-1-2-3-1001D:(A;;CC;;;OW)", PLAIN, MATCH));
    assert_false(lab_check("O:SYD:(A;;CC;;;OW)", PLAIN, MATCH));
    assert_true(lab_check("O:BUD:(A;;CC;;;OW)", PLAIN, MATCH));
    assert_true(lab_check("O:BUD:(A;IO;CC;;;OW)", PLAIN, READ_CONTROL));
}

static void restricted_sids_must_be_granted_too(void **state)
{
    static const char token[] = "{" USER ", 'restricted': ['RC', 'S-1-5-21-9-9-9-9']}";
    static const char writes[] = "{" USER ", 'restricted': ['RC'], 'write_restricted': true}";
    const GENERIC_MAPPING m = {
        .GenericRead = 0x20001, .GenericWrite = 0x20002, .GenericExecute = 4, .GenericAll = 7};
    (void)state;
    assert_false(lab_check("D:(A;;CC;;;WD)", token, MATCH));
    assert_false(lab_check("D:(A;;CC;;;RC)", token, MATCH));
    assert_true(lab_check("D:(A;;CC;;;RC)(A;;CC;;;WD)", token, MATCH));
    assert_true(lab_check("D:(A;;CC;;;WD)(A;;CC;;;S-1-5-21-9-9-9-9)", token, MATCH));
    assert_false(lab_check("D:(D;;CC;;;RC)(A;;CC;;;WD)(A;;CC;;;S-1-5-21-9-9-9-9)", token, MATCH));
    /* write-restricted: only rights to write are asked twice */
    assert_true(lab_check("D:(A;;CC;;;WD)", writes, MATCH));
    struct lab_sd sd = lab_sd("D:(A;;CCDC;;;WD)(A;;CC;;;RC)");
    struct security_token *t = lab_token(writes);
    assert_true(security_access_check_mapped(sd.data, sd.size, security_token_blob(t), 1, &m));
    assert_false(security_access_check_mapped(sd.data, sd.size, security_token_blob(t), 2, &m));
    security_token_destroy(t);
    free(sd.data);
}

#define PACKAGE          "'package': 'S-1-15-2-1-2-3-4-5-6-7'"
#define CONTAINER        "{" USER ", " PACKAGE "}"
#define WITH(capability) "{" USER ", " PACKAGE ", 'capabilities': ['" capability "']}"

static void MATCH_17_both_parts_of_an_app_container_must_grant(void **state)
{
    static const char internet[] = "D:(A;;CC;;;S-1-15-3-1)(A;;CC;;;WD)";
    (void)state;
    /* the requirement's own example */
    assert_true(plain(internet));
    assert_false(lab_check(internet, CONTAINER, MATCH));
    assert_true(lab_check(internet, WITH("internetClient"), MATCH));
    assert_false(lab_check(internet, WITH("internetClientServer"), MATCH));
    assert_false(lab_check("D:(A;;CC;;;S-1-15-3-1)", WITH("internetClient"), MATCH));
    assert_false(lab_check("D:(A;;CC;;;WD)", WITH("internetClient"), MATCH));
    /* ALL APPLICATION PACKAGES, and the package itself */
    assert_true(lab_check("D:(A;;CC;;;AC)(A;;CC;;;WD)", CONTAINER, MATCH));
    assert_false(lab_check("D:(A;;CC;;;AC)", CONTAINER, MATCH));
    assert_true(lab_check("D:(A;;CC;;;S-1-15-2-2)(A;;CC;;;WD)", CONTAINER, MATCH));
    assert_true(lab_check("D:(A;;CC;;;S-1-15-2-1-2-3-4-5-6-7)(A;;CC;;;WD)", CONTAINER, MATCH));
    assert_false(lab_check("D:(A;;CC;;;S-1-15-2-1-2-3-4-5-6-8)(A;;CC;;;WD)", CONTAINER, MATCH));
    assert_false(lab_check("D:(D;;CC;;;S-1-15-3-1)(A;;CC;;;AC)(A;;CC;;;WD)", WITH("internetClient"), MATCH));
    assert_false(lab_check("D:(D;;CC;;;BU)(A;;CC;;;AC)(A;;CC;;;WD)", CONTAINER, MATCH));
    /* a less privileged AppContainer is no member of ALL APPLICATION PACKAGES */
    static const char lpac[] = "{" USER ", " PACKAGE ", 'attributes': {'WIN://NOALLAPPPKG': [1]}}";
    assert_false(lab_check("D:(A;;CC;;;AC)(A;;CC;;;WD)", lpac, MATCH));
    assert_true(lab_check("D:(A;;CC;;;S-1-15-2-2)(A;;CC;;;WD)", lpac, MATCH));
    /* the stock isolation filters of a user */
    static const char stock[] =
        "O:SYG:SYD:(A;;CCRC;;;S-1-5-21-1-2-3-1001)(A;;CCRC;;;AC)(A;;CCRC;;;S-1-15-3-1)";
    assert_true(lab_check(stock, CONTAINER, MATCH));
    assert_true(plain(stock));
    assert_false(lab_check(stock, "{'user': 'S-1-5-21-1-2-3-1002', " PACKAGE "}", MATCH));
}

static void MATCH_28_conditional_aces_test_the_tokens_attributes(void **state)
{
    static const char named[] = "D:(XA;;CC;;;WD;(WIN://SYSAPPID Contains \"Name\"))";
    (void)state;
    assert_false(plain(named));
    assert_true(lab_check(named, "{" USER ", 'attributes': {'WIN://SYSAPPID': ['name']}}", MATCH));
    assert_true(
        lab_check(named, "{" USER ", 'attributes': {'win://sysappid': ['other', 'NAME', 'x']}}", MATCH));
    assert_false(lab_check(named, "{" USER ", 'attributes': {'WIN://SYSAPPID': ['names']}}", MATCH));
    assert_false(lab_check(named, "{" USER ", 'attributes': {'WIN://SYSAPPID': []}}", MATCH));
    assert_false(lab_check(named, "{" USER ", 'attributes': {'SYSAPPID': ['name']}}", MATCH));
    assert_false(lab_check("D:(XA;;CC;;;BA;(WIN://SYSAPPID Contains \"name\"))",
                           "{" USER ", 'attributes': {'WIN://SYSAPPID': ['name']}}", MATCH));
}

/* The value of an expression, seen through an allow and a deny ACE: 1, 0, or -1 for UNKNOWN. */
static int value_of(const char *expression, const char *attributes, const char *sacl)
{
    char allow[1024], deny[1024], token[1024];
    snprintf(allow, sizeof(allow), "D:(XA;;CC;;;WD;(%s))%s", expression, sacl);
    snprintf(deny, sizeof(deny), "D:(XD;;CC;;;WD;(%s))(A;;CC;;;WD)%s", expression, sacl);
    snprintf(token, sizeof(token), "{" USER ", 'groups': ['WD', 'BU', 'IU'], 'attributes': {%s}}",
             attributes);
    bool allowed = lab_check(allow, token, MATCH), denied = !lab_check(deny, token, MATCH);
    assert_false(allowed && !denied);
    return allowed ? 1 : denied ? -1 : 0;
}

static void expressions_are_three_valued(void **state)
{
    static const struct {
        const char *expression;
        int value;
    } table[] = {
        /* attributes: s = "Abc", n = 5, neg = -3, many = {"a", "b"}, nums = {1, 2, 3}, zero = 0, empty = ""
         */
        {"s == \"abc\"", 1},
        {"s == \"abd\"", 0},
        {"s != \"abd\"", 1},
        {"missing == 1", -1},
        {"missing != 1", -1},
        {"s == 5", -1},
        {"n == 0x5 && n == 05", 1},
        {"n < 6 && n <= 5 && n > -1 && n >= 5", 1},
        {"n < 5 || n > 5", 0},
        {"neg < 0", 1},
        {"neg > -4", 1},
        {"s < \"abd\" && s > \"abb\"", 1},
        {"many == {\"b\", \"a\"}", 1},
        {"many == {\"a\"}", 0},
        {"many != {\"a\"}", 1},
        {"many == \"a\"", 0},
        {"s == {\"ABC\"}", 1},
        {"many < \"z\"", -1},
        {"n < {1, 2}", -1},
        {"many Contains \"A\"", 1},
        {"many Contains {\"a\", \"b\"}", 1},
        {"many Contains {\"a\", \"c\"}", 0},
        {"many Not_Contains {\"a\", \"c\"}", 1},
        {"many Any_of {\"x\", \"b\"}", 1},
        {"many Any_of {\"x\", \"y\"}", 0},
        {"many Not_Any_of {\"x\", \"y\"}", 1},
        {"nums Contains 2", 1},
        {"nums Any_of {7, 3}", 1},
        {"missing Contains 1", -1},
        {"missing Any_of {1}", -1},
        {"Exists s", 1},
        {"Exists missing", 0},
        {"Not_Exists missing", 1},
        {"Exists @User.s", 0},
        {"Exists @User.clearance", 1},
        {"@User.clearance >= 3", 1},
        {"@Device.clearance >= 3", -1},
        {"n == @User.five", 1},
        {"n == @User.missing", -1},
        /* an attribute alone */
        {"n", 1},
        {"zero", 0},
        {"s", 1},
        {"empty", 0},
        {"missing", -1},
        {"many", -1},
        {"!(zero)", 1},
        /* the tables of win32 "SDDL for Conditional ACEs" */
        {"n && zero", 0},
        {"n && missing", -1},
        {"zero && missing", 0},
        {"missing && zero", 0},
        {"missing && missing", -1},
        {"n || missing", 1},
        {"missing || n", 1},
        {"zero || missing", -1},
        {"zero || zero", 0},
        {"!(missing)", -1},
        {"zero && zero || n", 1},
        {"zero && (zero || n)", 0},
        /* groups: WD, BU, IU */
        {"Member_of SID(BU)", 1},
        {"Member_of {SID(BU), SID(IU)}", 1},
        {"Member_of {SID(BU), SID(BA)}", 0},
        {"Member_of_Any {SID(BU), SID(BA)}", 1},
        {"Member_of_Any {SID(SY), SID(BA)}", 0},
        {"Not_Member_of {SID(BU), SID(BA)}", 1},
        {"Not_Member_of_Any {SID(BU), SID(BA)}", 0},
        {"Member_of SID(S-1-5-21-1-2-3-1001)", 1},
        {"Device_Member_of SID(BU)", 0},
        {"Not_Device_Member_of_Any {SID(BU)}", 1},
    };
    static const char attributes[] =
        "'s': ['Abc'], 'n': 5, 'neg': -3, 'many': ['a', 'b'], 'nums': [1, 2, 3], 'zero': 0,"
        " 'empty': '', '@User.clearance': 4, '@User.five': [5]";
    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        int value = value_of(table[i].expression, attributes, "");
        if (value != table[i].value) {
            fail_msg("%s: %d, not %d", table[i].expression, value, table[i].value);
        }
    }
}

static void resource_attributes_come_from_the_sacl(void **state)
{
    static const char sacl[] =
        "S:(RA;;;;;WD;(\"Project\",TS,0x0,\"a\",\"b\"))(RA;;;;;WD;(\"Level\",TU,0x0,3))"
        "(RA;;;;;WD;(\"Case\",TS,0x2,\"Xy\"))(RA;;;;;WD;(\"Off\",TI,0x10,1))"
        "(RA;;;;;WD;(\"Deny\",TI,0x4,1))(RA;;;;;WD;(\"Who\",TD,0x0,BA,BU))"
        "(RA;IO;;;;WD;(\"Below\",TI,0x0,1))(RA;;;;;WD;(\"Yes\",TB,0x0,1))";
    (void)state;
    assert_int_equal(value_of("@User.Project Any_of @Resource.Project", "'@User.Project': ['b', 'c']", sacl),
                     1);
    assert_int_equal(value_of("@User.Project Any_of @Resource.Project", "'@User.Project': ['c']", sacl), 0);
    assert_int_equal(value_of("@Resource.level == 3", "", sacl), 1);
    assert_int_equal(value_of("@Resource.Case == \"Xy\"", "", sacl), 1);
    assert_int_equal(value_of("@Resource.Case == \"xy\"", "", sacl), 0);
    assert_int_equal(value_of("Exists @Resource.Off", "", sacl), 0);
    assert_int_equal(value_of("Exists @Resource.Below", "", sacl), 0);
    assert_int_equal(value_of("@Resource.Who Contains SID(BU)", "", sacl), 1);
    assert_int_equal(value_of("@Resource.Who Contains SID(SY)", "", sacl), 0);
    assert_int_equal(value_of("@Resource.Yes", "", sacl), 1);
    /* only for deny: absent to an allow ACE, true to a deny ACE */
    assert_int_equal(value_of("@Resource.Deny == 1", "", sacl), -1);
    assert_int_equal(value_of("Exists @Resource.None", "", sacl), 0);
}

static void object_and_foreign_aces(void **state)
{
    struct lab_sd sd = lab_sd("D:(D;;CC;;;WD)(A;;CC;;;WD)");
    struct security_token *t = lab_token(PLAIN);
    uint8_t *ace = (uint8_t *)sd.data + ((SECURITY_DESCRIPTOR_RELATIVE *)sd.data)->Dacl + 8;
    (void)state;
    assert_false(plain("D:(OA;;CC;bf967aba-0de6-11d0-a285-00aa003049e2;;WD)"));
    assert_true(plain("D:(OD;;CC;bf967aba-0de6-11d0-a285-00aa003049e2;;WD)(A;;CC;;;WD)"));
    assert_false(plain("D:(OD;;CC;;;WD)(A;;CC;;;WD)"));
    assert_true(plain("D:(OA;;CC;;bf967aba-0de6-11d0-a285-00aa003049e2;WD)"));
    /* a type nobody knows is passed over; a callback that is no expression is UNKNOWN */
    assert_false(security_access_check(sd.data, sd.size, security_token_blob(t), MATCH));
    ace[0] = 0x77;
    assert_true(security_access_check(sd.data, sd.size, security_token_blob(t), MATCH));
    ace[0] = ACCESS_DENIED_CALLBACK_ACE_TYPE;
    assert_false(security_access_check(sd.data, sd.size, security_token_blob(t), MATCH));
    ace[0] = ACCESS_ALLOWED_CALLBACK_ACE_TYPE;
    assert_true(security_access_check(sd.data, sd.size, security_token_blob(t), MATCH));
    security_token_destroy(t);
    free(sd.data);
}

/* An expression of raw tokens behind "artx", as an allow and as a deny ACE see it. */
static int value_of_tokens(const uint8_t *tokens, size_t size)
{
    struct lab_sd allow = lab_sd("D:(XA;;CC;;;WD;(WIN://AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA))");
    struct lab_sd deny = lab_sd("D:(XD;;CC;;;WD;(WIN://AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA))(A;;CC;;;WD)");
    struct security_token *t = lab_token("{" USER ", 'attributes': {'a': [1]}}");
    const struct lab_sd *both[] = {&allow, &deny};
    for (unsigned i = 0; i < 2; i++) {
        uint8_t *ace = (uint8_t *)both[i]->data + ((SECURITY_DESCRIPTOR_RELATIVE *)both[i]->data)->Dacl + 8;
        memset(ace + 24, 0, 80);
        memcpy(ace + 24, tokens, size);
    }
    bool allowed = security_access_check(allow.data, allow.size, security_token_blob(t), MATCH);
    bool denied = !security_access_check(deny.data, deny.size, security_token_blob(t), MATCH);
    security_token_destroy(t);
    free(allow.data);
    free(deny.data);
    assert_false(allowed && !denied);
    return allowed ? 1 : denied ? -1 : 0;
}

static void malformed_expressions_are_unknown(void **state)
{
#define A   0xf8, 2, 0, 0, 0, 'a', 0
#define ONE 0x04, 1, 0, 0, 0, 0, 0, 0, 0, 3, 2
    static const struct {
        uint8_t tokens[64];
        size_t size;
        int value;
    } table[] = {
        {{A, ONE, 0x80}, 19, 1},
        {{A, ONE, 0, 0, 0x80}, 21, 1}, /* padding is passed over */
        {{A, ONE, 0x81}, 19, 0},
        {{0}, 0, -1},                                       /* nothing */
        {{0x80}, 1, -1},                                    /* an operator without operands */
        {{A, A}, 14, -1},                                   /* too much left */
        {{ONE}, 11, -1},                                    /* a literal has no truth */
        {{ONE, ONE, 0x80}, 23, -1},                         /* nor is it a left side */
        {{A, A, ONE, 0x80}, 26, -1},                        /* one operand too many */
        {{A, ONE, 0x80, A, ONE, 0x80, 0xa0, 0x77}, 40, -1}, /* no such token */
        {{A, 0x10, 0xff, 0xff, 0xff, 0xff}, 12, -1},        /* longer than the ACE */
        {{A, 0x10, 1, 0, 0, 0, 'x', 0x80}, 14, -1},         /* half a character */
        {{0x51, 0, 0, 0, 0, 0x89}, 6, -1},                  /* a SID of nothing */
        {{0x51, 4, 0, 0, 0, 1, 0, 0, 0, 0x89}, 10, -1},     /* half a SID */
        {{0x51, 12, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0x89}, 18, 1},
        {{ONE, 0x89}, 12, -1}, /* no SID */
        {{A, 0x89}, 8, -1},
        {{ONE, 0x87}, 12, -1},
        {{A, 0x50, 6, 0, 0, 0, 0x50, 1, 0, 0, 0, 0, 0x86}, 19, -1}, /* a composite in a composite */
        {{A, 0x50, 0, 0, 0, 0, 0x86}, 13, 1},                       /* everything contains nothing */
    };
    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        int value = value_of_tokens(table[i].tokens, table[i].size);
        if (value != table[i].value) {
            fail_msg("row %zu: %d, not %d", i, value, table[i].value);
        }
    }
}

static void token_information_is_a_user_and_groups(void **state)
{
    struct lab_sid user, users, admins;
    SID_AND_ATTRIBUTES sids[] = {
        {.Sid = (PSID)lab_sid(&user, "S-1-5-21-1-2-3-1001")},
        {.Sid = (PSID)lab_sid(&users, "BU"), .Attributes = SE_GROUP_ENABLED},
        {.Sid = (PSID)lab_sid(&admins, "BA"), .Attributes = SE_GROUP_USE_FOR_DENY_ONLY}};
    FWP_TOKEN_INFORMATION token = {.sidCount = 3, .sids = sids};
    struct lab_sd sd = lab_sd("D:(A;;CC;;;BU)"), deny = lab_sd("D:(D;;CC;;;BA)(A;;CC;;;BU)");
    struct lab_sd self = lab_sd("D:(XA;;CC;;;S-1-5-21-1-2-3-1001;(Member_of SID(BU) && Not_Exists a))");
    (void)state;
    assert_true(security_access_check_sids(sd.data, sd.size, &token, MATCH));
    assert_false(security_access_check_sids(deny.data, deny.size, &token, MATCH));
    assert_true(security_access_check_sids(self.data, self.size, &token, MATCH));
    token.restrictedSids = sids;
    token.restrictedSidCount = 1;
    assert_false(security_access_check_sids(sd.data, sd.size, &token, MATCH));
    token.restrictedSids = sids + 1;
    assert_true(security_access_check_sids(sd.data, sd.size, &token, MATCH));
    token.sids = NULL;
    assert_false(security_access_check_sids(sd.data, sd.size, &token, MATCH));
    assert_false(security_access_check_sids(sd.data, sd.size, NULL, MATCH));
    free(sd.data);
    free(deny.data);
    free(self.data);
}

static void malformed_tokens_are_refused(void **state)
{
    struct security_token *t =
        lab_token("{" USER ", " PACKAGE ", 'capabilities': ['internetClient'], 'restricted': ['WD'],"
                  " 'attributes': {'a': ['x', 'y'], 'n': [1]}}");
    struct lab_sd sd = lab_sd("D:(XA;;CC;;;WD;(a Contains \"y\" && n == 1))(A;;CC;;;AC)");
    const FWP_BYTE_BLOB *blob = security_token_blob(t);
    FWP_BYTE_BLOB copy = *blob, none = {0};
    (void)state;
    assert_true(security_access_check(sd.data, sd.size, blob, MATCH));
    assert_false(security_access_check(sd.data, sd.size, NULL, MATCH));
    assert_false(security_access_check(sd.data, sd.size, &none, MATCH));
    /* cut anywhere, up to the NUL behind the last name, which no length counts */
    for (copy.size = 0; copy.size < blob->size - 2; copy.size++) {
        assert_false(security_access_check(sd.data, sd.size, &copy, MATCH));
    }
    /* a copy points out of itself */
    copy = (FWP_BYTE_BLOB){.size = blob->size, .data = malloc(blob->size)};
    memcpy(copy.data, blob->data, blob->size);
    assert_false(security_access_check(sd.data, sd.size, &copy, MATCH));
    free(copy.data);
    /* each byte changed: an answer, within bounds */
    for (uint32_t i = 0; i < blob->size; i++) {
        uint8_t was = blob->data[i];
        for (unsigned k = 1; k < 256; k *= 2) {
            blob->data[i] = (uint8_t)(was ^ k);
            security_access_check(sd.data, sd.size, blob, MATCH);
        }
        blob->data[i] = was;
    }
    assert_true(security_access_check(sd.data, sd.size, blob, MATCH));
    security_token_destroy(t);
    free(sd.data);
}

static void tokens_have_the_documented_form(void **state)
{
    struct lab_sid user;
    struct security_token *t;
    (void)state;
    assert_int_equal(security_token_plain_user(lab_sid(&user, "S-1-5-21-1-2-3-1001"), &t), 0);
    const TOKEN_ACCESS_INFORMATION *info = (const TOKEN_ACCESS_INFORMATION *)security_token_blob(t)->data;
    assert_int_equal(info->TokenType, TokenPrimary);
    assert_null(info->PackageSid);
    assert_null(info->RestrictedSidHash);
    assert_null(info->SecurityAttributes);
    assert_true(security_sid_equal(info->SidHash->SidAttr[0].Sid, (SID *)user.bytes));
    bool everyone = false, users = false;
    struct lab_sid wd, bu;
    lab_sid(&wd, "WD");
    lab_sid(&bu, "BU");
    for (ULONG i = 1; i < info->SidHash->SidCount; i++) {
        assert_true(info->SidHash->SidAttr[i].Attributes & SE_GROUP_ENABLED);
        everyone |= security_sid_equal(info->SidHash->SidAttr[i].Sid, (SID *)wd.bytes);
        users |= security_sid_equal(info->SidHash->SidAttr[i].Sid, (SID *)bu.bytes);
    }
    assert_true(everyone && users);
    security_token_destroy(t);
    t = lab_token("{" USER ", " PACKAGE
                  ", 'capabilities': ['S-1-15-3-3'], 'attributes': {'WIN://SYSAPPID': ['app']}}");
    info = (const TOKEN_ACCESS_INFORMATION *)security_token_blob(t)->data;
    assert_int_equal(security_sid_kind(info->PackageSid), SECURITY_SID_PACKAGE);
    assert_int_equal(info->CapabilitiesHash->SidCount, 1);
    const TOKEN_SECURITY_ATTRIBUTES_INFORMATION *a = info->SecurityAttributes;
    assert_int_equal(a->AttributeCount, 1);
    assert_int_equal(a->Attribute.pAttributeV1->ValueType, CLAIM_SECURITY_ATTRIBUTE_TYPE_STRING);
    assert_int_equal(a->Attribute.pAttributeV1->Name.Length, 2 * strlen("WIN://SYSAPPID"));
    assert_memory_equal(a->Attribute.pAttributeV1->Values.pString[0].Buffer, u"app", 8);
    security_token_destroy(t);
}

static void tokens_of_services_and_containers(void **state)
{
    struct lab_sid account, dhcp, dns, package, capability;
    const SID *services[2];
    struct security_token *t;
    struct lab_sd sd = lab_sd("D:(A;;CCRC;;;S-1-5-80-2940520708-3855866260-481812779-327648279-1710889582)");
    struct lab_sd group = lab_sd("D:(A;;CC;;;SU)"), writes = lab_sd("D:(A;;DC;;;SU)"),
                  admin = lab_sd("D:(A;;CC;;;BA)");
    const GENERIC_MAPPING m = {.GenericRead = 1, .GenericWrite = 2, .GenericExecute = 4, .GenericAll = 7};
    (void)state;
    services[0] = lab_sid(&dns, "NT SERVICE\\Dnscache");
    services[1] = lab_sid(&dhcp, "NT SERVICE\\dhcp");
    lab_sid(&account, "LS");
    assert_int_equal(security_token_service((SID *)account.bytes, services, 2, false, &t), 0);
    assert_true(security_access_check(sd.data, sd.size, security_token_blob(t), MATCH));
    assert_true(security_access_check(group.data, group.size, security_token_blob(t), MATCH));
    assert_false(security_access_check(admin.data, admin.size, security_token_blob(t), MATCH));
    assert_true(security_access_check_mapped(writes.data, writes.size, security_token_blob(t), 2, &m));
    security_token_destroy(t);
    assert_int_equal(security_token_service((SID *)account.bytes, services, 1, true, &t), 0);
    assert_false(security_access_check(sd.data, sd.size, security_token_blob(t), MATCH));
    assert_false(security_access_check_mapped(writes.data, writes.size, security_token_blob(t), 2, &m));
    security_token_destroy(t);
    assert_int_equal(security_token_plain_user(lab_sid(&account, "SY"), &t), 0);
    assert_true(security_access_check(admin.data, admin.size, security_token_blob(t), MATCH));
    security_token_destroy(t);
    lab_sid(&account, "S-1-5-21-1-2-3-1001");
    services[0] = lab_sid(&capability, "internetClient");
    assert_int_equal(security_token_app_container(
                         (SID *)account.bytes, lab_sid(&package, "S-1-15-2-1-2-3-4-5-6-7"), services, 1, &t),
                     0);
    struct lab_sd internet = lab_sd("D:(A;;CC;;;S-1-15-3-1)(A;;CC;;;WD)");
    assert_true(security_access_check(internet.data, internet.size, security_token_blob(t), MATCH));
    security_token_destroy(t);
    free(internet.data);
    free(sd.data);
    free(group.data);
    free(writes.data);
    free(admin.data);
    assert_int_equal(security_token_create(&(struct security_token_spec){0}, &t), -EINVAL);
    assert_null(t);
}

static void wrong_json_says_what_is_wrong(void **state)
{
    static const struct {
        const char *json, *error;
    } table[] = {
        {"", "token: line 1, column 0: '[' or '{' expected near end of file"},
        {"{\n  \"user\": }", "token: line 2, column 11: unexpected token near '}'"},
        {"[]", "token: expected an object"},
        {"{}", "token: user: expected a SID or a name as a string"},
        {"{\"user\": 5}", "token: user: expected a SID or a name as a string"},
        {"{\"user\": \"noone\"}", "token: user: no SID and no known name: \"noone\""},
        {"{\"user\": \"SY\", \"group\": []}", "token: unknown member \"group\""},
        {"{\"user\": \"SY\", \"groups\": \"BA\"}", "token: groups: expected a list of at most 4096"},
        {"{\"user\": \"SY\", \"groups\": [{\"sid\": \"BA\", \"on\": true}]}",
         "token: groups: unknown member \"on\""},
        {"{\"user\": \"SY\", \"groups\": [{\"sid\": \"BA\", \"enabled\": 1}]}",
         "token: groups: enabled: expected true or false"},
        {"{\"user\": \"SY\", \"capabilities\": [\"internetClient\"]}",
         "token: capabilities without a package"},
        {"{\"user\": \"SY\", \"write_restricted\": 1}", "token: write_restricted: expected true or false"},
        {"{\"user\": \"SY\", \"attributes\": {\"a\": [1, \"b\"]}}",
         "token: attribute a: expected strings, or integers, not both"},
        {"{\"user\": \"SY\", \"services\": [1]}", "token: services: expected a name as a string"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct security_token *t = (void *)&t;
        char *error = NULL;
        assert_int_equal(security_token_from_json(table[i].json, strlen(table[i].json), &t, &error), -EINVAL);
        assert_null(t);
        assert_string_equal(error, table[i].error);
        free(error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aces_count_in_their_order),
        cmocka_unit_test(a_null_dacl_grants_all_an_empty_one_nothing),
        cmocka_unit_test(groups_count_by_their_attributes),
        cmocka_unit_test(generic_rights_are_mapped),
        cmocka_unit_test(owners_may_read_and_change_the_descriptor),
        cmocka_unit_test(restricted_sids_must_be_granted_too),
        cmocka_unit_test(MATCH_17_both_parts_of_an_app_container_must_grant),
        cmocka_unit_test(MATCH_28_conditional_aces_test_the_tokens_attributes),
        cmocka_unit_test(expressions_are_three_valued),
        cmocka_unit_test(resource_attributes_come_from_the_sacl),
        cmocka_unit_test(object_and_foreign_aces),
        cmocka_unit_test(malformed_expressions_are_unknown),
        cmocka_unit_test(token_information_is_a_user_and_groups),
        cmocka_unit_test(malformed_tokens_are_refused),
        cmocka_unit_test(tokens_have_the_documented_form),
        cmocka_unit_test(tokens_of_services_and_containers),
        cmocka_unit_test(wrong_json_says_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
