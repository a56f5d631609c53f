/* SPDX-License-Identifier: Apache-2.0 */
/* security: SDDL to descriptors and back, conditional expressions and resource attributes included. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <cmocka.h>

#include "sddl_lab.h"
#include "skip.h"
#include "fwpmu.h" /* FWP_ACTRL_MATCH_FILTER */

/* Parses, formats as `out`, and parses that into the same bytes. */
static void round_trip(const char *in, const char *out)
{
    struct lab_sd sd = lab_sd(in), again;
    char *text;
    assert_true(security_sd_valid(sd.data, sd.size));
    assert_int_equal(security_sddl_format(sd.data, sd.size, &text), 0);
    assert_string_equal(text, out);
    again = lab_sd(text);
    assert_int_equal(again.size, sd.size);
    assert_memory_equal(again.data, sd.data, sd.size);
    free(again.data);
    free(text);
    free(sd.data);
}

static void same(const char *sddl)
{
    round_trip(sddl, sddl);
}

static void documented_descriptors(void **state)
{
    (void)state;
    /* win32 "Security Descriptor String Format", strings 1 and 2 */
    round_trip("O:AOG:DAD:(A;;RPWPCCDCLCSWRCWDWOGA;;;S-1-0-0)",
               "O:AOG:DAD:(A;;CCDCLCSWRPWPRCWDWOGA;;;S-1-0-0)");
    struct lab_sd sd = lab_sd("O:DAG:DAD:(A;;RPWPCCDCLCRCWOWDSDSW;;;SY)\n(A;;RPWPCCDCLCRCWOWDSDSW;;;DA)\n"
                              "(OA;;CCDC;bf967aba-0de6-11d0-a285-00aa003049e2;;AO)\n"
                              "(OA;;CCDC;bf967a9c-0de6-11d0-a285-00aa003049e2;;AO)\n"
                              "(OA;;CCDC;6da8a4ff-0e52-11d0-a286-00aa003049e2;;AO)\n"
                              "(OA;;CCDC;bf967aa8-0de6-11d0-a285-00aa003049e2;;PO)\n"
                              "(A;;RPLCRC;;;AU)S:(AU;SAFA;WDWOSDWPCCDCSW;;;WD)");
    const SECURITY_DESCRIPTOR_RELATIVE *h = sd.data;
    const uint8_t *dacl = (const uint8_t *)sd.data + h->Dacl, *sacl = (const uint8_t *)sd.data + h->Sacl;
    assert_int_equal(h->Revision, 1);
    assert_int_equal(h->Control, 0x8014);
    static const uint8_t dacl_header[] = {4, 0, 0x04, 0x01, 7, 0, 0, 0};
    static const uint8_t first_ace[] = {0, 0, 0x14, 0, 0x3f, 0, 0xf, 0, 1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0};
    static const uint8_t audit[] = {2, 0, 0x1c, 0, 1, 0, 0, 0, 2, 0xc0, 0x14, 0, 0x2b, 0, 0xd, 0};
    assert_memory_equal(dacl, dacl_header, sizeof(dacl_header));
    assert_memory_equal(dacl + 8, first_ace, sizeof(first_ace));
    assert_int_equal(dacl[8 + 0x14 + 0x24], ACCESS_ALLOWED_OBJECT_ACE_TYPE);
    assert_int_equal(dacl[8 + 0x14 + 0x24 + 2], 0x2c);
    assert_memory_equal(sacl, audit, sizeof(audit));
    free(sd.data);
    /* "ACE Strings": the mask 0x100e003f, and the number form */
    round_trip("D:(A;;0x100e003f;;;S-1-1-0)", "D:(A;;CCDCLCSWRPWPRCWDWOGA;;;WD)");
    round_trip("D:(A;;0x7800003F;;;WD)", "D:(A;;0x7800003f;;;WD)");
    round_trip("D:(A;;1;;;WD)(A;;017;;;WD)", "D:(A;;CC;;;WD)(A;;CCDCLCSW;;;WD)");
    round_trip("D:(A;;FR;;;WD)(A;;FAKA;;;WD)(A;;KX;;;WD)", "D:(A;;FR;;;WD)(A;;FA;;;WD)(A;;KR;;;WD)");
}

static void parts_and_flags(void **state)
{
    (void)state;
    same("O:SYG:BAD:P(A;;GA;;;SY)");
    same("D:PARAI(A;OICINPIOID;GR;;;BU)S:PARAI(AU;SAFA;CC;;;WD)(AL;;CC;;;WD)");
    same("D:");
    same("D:S:");
    same("D:NO_ACCESS_CONTROL");
    same("D:(A;NP;CC;;;SY)S:NO_ACCESS_CONTROL");
    same("");
    same("O:S-1-5-21-1-2-3-1001");
    round_trip("S:(ML;;NWNRNX;;;ME)D:(D;;CC;;;AN)O:LS", "O:LSD:(D;;CC;;;AN)S:(ML;;NWNRNX;;;ME)");
    round_trip(" O: LS \n D: ( A ; ; CC ; ; ; WD ) ", "O:LSD:(A;;CC;;;WD)");
    round_trip("d:(a;oi;cc;;;wd)", "D:(A;OI;CC;;;WD)");
    same("S:(SP;;;;;S-1-17-1)");
    same("D:(OD;;CC;bf967aba-0de6-11d0-a285-00aa003049e2;bf967a9c-0de6-11d0-a285-00aa003049e2;WD)");
    same("D:(OA;;CC;;bf967a9c-0de6-11d0-a285-00aa003049e2;WD)S:(OU;FA;CC;;;WD)");
    /* "If ace_type is OA and neither GUID is given, it becomes A" */
    round_trip("D:(OA;;CC;;;WD)", "D:(A;;CC;;;WD)");
}

static void a_null_acl_is_not_an_empty_one(void **state)
{
    struct lab_sd null = lab_sd("D:NO_ACCESS_CONTROL"), empty = lab_sd("D:"), none = lab_sd("");
    (void)state;
    assert_int_equal(((SECURITY_DESCRIPTOR_RELATIVE *)null.data)->Control,
                     SE_SELF_RELATIVE | SE_DACL_PRESENT);
    assert_int_equal(((SECURITY_DESCRIPTOR_RELATIVE *)null.data)->Dacl, 0);
    assert_int_equal(((SECURITY_DESCRIPTOR_RELATIVE *)empty.data)->Control,
                     SE_SELF_RELATIVE | SE_DACL_PRESENT);
    assert_int_not_equal(((SECURITY_DESCRIPTOR_RELATIVE *)empty.data)->Dacl, 0);
    assert_int_equal(((SECURITY_DESCRIPTOR_RELATIVE *)none.data)->Control, SE_SELF_RELATIVE);
    free(null.data);
    free(empty.data);
    free(none.data);
}

static void conditional_expressions(void **state)
{
    (void)state;
    /* MATCH-28, and the examples of win32 "SDDL for Conditional ACEs" */
    round_trip("D:(XA;;CC;;;WD;(WIN://SYSAPPID Contains \"name\"))",
               "D:(XA;;CC;;;WD;(WIN://SYSAPPID Contains \"name\"))");
    round_trip("D:(XA; ;FX;;;S-1-1-0; (@User.Title==\"PM\" && (@User.Division==\"Finance\" || @User.Division "
               "==\" Sales\")))",
               "D:(XA;;FX;;;WD;(@User.Title == \"PM\" && (@User.Division == \"Finance\" || @User.Division == "
               "\" Sales\")))");
    same("D:(XA;;FX;;;WD;(@User.Project Any_of @Resource.Project))");
    round_trip("D:(XA; ;FR;;;S-1-1-0; (Member_of {SID(S-1-5-65-1), SID(BO)} && @Device.Bitlocker))",
               "D:(XA;;FR;;;WD;(Member_of {SID(S-1-5-65-1), SID(BO)} && @Device.Bitlocker))");
    /* "ACE Strings": # is 0 */
    round_trip("D:AI(XA;OICI;FA;;;WD;(OctetStringType==#1#2#3##))",
               "D:AI(XA;OICI;FA;;;WD;(OctetStringType == #01020300))");
    /* each operator */
    same("D:(XA;;CC;;;WD;(a == 1 && b != 2 && c < 3 && d <= 4 && e > 5 && f >= 6))");
    same("D:(XD;;CC;;;WD;(a Contains {1, 2} || b Not_Contains \"x\" || c Any_of {} || d Not_Any_of {#00, "
         "SID(BA)}))");
    same("D:(ZA;;CC;;;WD;(Exists a && Not_Exists @User.b && Member_of SID(BA) && Member_of_Any {SID(BA)}))");
    same("D:(XA;;CC;;;WD;(Not_Member_of SID(BA) || Not_Member_of_Any {SID(WD), SID(BU)} || Device_Member_of "
         "SID(BA)))");
    same("D:(XA;;CC;;;WD;(Device_Member_of_Any SID(BA) || Not_Device_Member_of SID(BA) || "
         "Not_Device_Member_of_Any {SID(BA)}))");
    round_trip("D:(XA;;CC;;;WD;(!(a)||! exists b&&!@user.c))",
               "D:(XA;;CC;;;WD;(!(a) || !(Exists b) && !(@User.c)))");
    /* precedence and association */
    round_trip("D:(XA;;CC;;;WD;((a||b)&&((c&&d)&&e)))", "D:(XA;;CC;;;WD;((a || b) && (c && d && e)))");
    same("D:(XA;;CC;;;WD;(a && (b && c) || d))");
    same("D:(XA;;CC;;;WD;(a || (b || c)))");
    /* numbers keep sign and base */
    same("D:(XA;;CC;;;WD;(a == +1 || a == -1 || a == 0x1f || a == -0x10 || a == 017 || a == 00 || a == 0))");
    same("D:(XA;;CC;;;WD;(a == 9223372036854775807 || a == -9223372036854775808))");
    /* names: escapes; local ones; words that are operators */
    same("D:(XA;;CC;;;WD;(@User.a%0020b%00e9 == 1 && APPID://PATH Contains \"%WINDIR%\\*\"))");
    round_trip("D:(XA;;CC;;;WD;(@User.\xc3\xa9t\xc3\xa9 == \"\xe2\x82\xac \xf0\x9f\x98\x80\"))",
               "D:(XA;;CC;;;WD;(@User.%00e9t%00e9 == \"\xe2\x82\xac \xf0\x9f\x98\x80\"))");
    same("D:(XA;;CC;;;WD;(%0045xists == 1))");
    same("D:(XA;;CC;;;WD;(Exists.x == 1))");
    same("S:(XU;;CC;;;WD;(a))");
}

static void conditions_have_the_documented_bytes(void **state)
{
    /* (Title == "PM") : MS-DTYP 2.4.4.17.4 to .8 */
    static const uint8_t expected[] = {'a', 'r', 't', 'x', 0xf8, 10, 0,    0, 0,    'T', 0,
                                       'i', 0,   't', 0,   'l',  0,  'e',  0, 0x10, 4,   0,
                                       0,   0,   'P', 0,   'M',  0,  0x80, 0, 0,    0};
    static const uint8_t number[] = {0x04, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 3};
    struct lab_sd sd = lab_sd("D:(XA;;CC;;;WD;(Title==\"PM\"))");
    const uint8_t *ace = (const uint8_t *)sd.data + ((SECURITY_DESCRIPTOR_RELATIVE *)sd.data)->Dacl + 8;
    (void)state;
    assert_int_equal(ace[0], ACCESS_ALLOWED_CALLBACK_ACE_TYPE);
    assert_int_equal(ace[2], 8 + 12 + sizeof(expected));
    assert_memory_equal(ace + 20, expected, sizeof(expected));
    free(sd.data);
    sd = lab_sd("D:(XA;;CC;;;WD;(@Resource.n<-0x2))");
    ace = (const uint8_t *)sd.data + ((SECURITY_DESCRIPTOR_RELATIVE *)sd.data)->Dacl + 8;
    assert_int_equal(ace[24], 0xfa);
    assert_memory_equal(ace + 31, number, sizeof(number));
    assert_int_equal(ace[31 + sizeof(number)], 0x82);
    free(sd.data);
}

static void resource_attributes(void **state)
{
    (void)state;
    round_trip(
        "S:(RA;CI;;;;S-1-1-0; (\"Project\",TS,0,\"Windows\",\"SQL\")) \n(RA;CI;;;;S-1-1-0; "
        "(\"Secrecy\",TU,0,3))",
        "S:(RA;CI;;;;WD;(\"Project\",TS,0x0,\"Windows\",\"SQL\"))(RA;CI;;;;WD;(\"Secrecy\",TU,0x0,3))");
    same("S:(RA;;;;;WD;(\"a%0020b\",TI,0x2,-1,2))(RA;;;;;WD;(\"s\",TD,0x0,BA,S-1-5-21-1-2-3-4))"
         "(RA;;;;;WD;(\"o\",TX,0x0,#0102,#))(RA;;;;;WD;(\"t\",TB,0x0,0,1))(RA;;;;;WD;(\"none\",TS,0x0))");
}

static void errors_say_where(void **state)
{
    static const struct {
        const char *sddl;
        size_t at;
    } table[] = {
        {"X", 0},
        {"O", 0},
        {"O:", 2},
        {"O:ZZ", 2},
        {"O:SYO:SY", 4},
        {"D:(A;;CC;;;WD)D:", 14},
        {"D:X", 2},
        {"D:(A;;CC;;;WD", 13},
        {"D:(A;;CC;;;)", 11},
        {"D:(B;;CC;;;WD)", 3},
        {"D:(A;XX;CC;;;WD)", 5},
        {"D:(A;;CCX;;;WD)", 8},
        {"D:(A;;0xfffffffff;;;WD)", 6},
        {"D:(A;;CC;nope;;WD)", 9},
        {"D:(A;;CC;bf967aba-0de6-11d0-a285-00aa003049e2;;WD)", 9},
        {"D:(A;;CC;;;S-1-5-99999999999)", 17},
        {"D:(XA;;CC;;;WD)", 14},
        {"D:(XA;;CC;;;WD;)", 15},
        {"D:(XA;;CC;;;WD;())", 16},
        {"D:(XA;;CC;;;WD;(a ==))", 20},
        {"D:(XA;;CC;;;WD;(a == \"x))", 25},
        {"D:(XA;;CC;;;WD;(a == 9223372036854775808))", 21},
        {"D:(XA;;CC;;;WD;(1 == 1 &&))", 25},
        {"D:(XA;;CC;;;WD;(a && ))", 21},
        {"D:(XA;;CC;;;WD;(Member_of {1}))", 27},
        {"D:(XA;;CC;;;WD;(@Usr.a))", 16},
        {"D:NO_ACCESS_CONTROL(A;;CC;;;WD)", 19},
        {"S:(RA;;;;;WD;(\"a\",TQ,0))", 18},
        {"S:(RA;;;;;WD;(\"a\",TB,0,2))", 23},
        {"D:(A;;CC;;;WD)\xff", 14},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        void *sd = &sd;
        size_t size = 1, at = 999;
        assert_int_equal(security_sddl_parse(table[i].sddl, &sd, &size, &at), -EINVAL);
        assert_null(sd);
        if (at != table[i].at) {
            fail_msg("%s: at %zu, not %zu", table[i].sddl, at, table[i].at);
        }
    }
}

static void depth_is_bounded(void **state)
{
    char text[4096];
    struct lab_sd sd;
    (void)state;
    for (unsigned depth = 1; depth < 2000; depth *= 2) {
        void *out;
        size_t size, n = 0;
        n += (size_t)sprintf(text, "D:(XA;;CC;;;WD;");
        memset(text + n, '(', depth);
        n += depth;
        text[n++] = 'a';
        memset(text + n, ')', depth);
        n += depth;
        strcpy(text + n, ")");
        int status = security_sddl_parse(text, &out, &size, NULL);
        assert_int_equal(status, depth <= 64 ? 0 : -EINVAL);
        free(out);
    }
    /* a stack deeper than evaluation has is refused when it is read */
    strcpy(text, "D:(XA;;CC;;;WD;(a");
    for (unsigned i = 0; i < 70; i++) {
        strcat(text, " && (a");
    }
    for (unsigned i = 0; i < 70; i++) {
        strcat(text, ")");
    }
    strcat(text, "))");
    assert_int_equal(security_sddl_parse(text, &sd.data, &sd.size, NULL), -EINVAL);
}

static void malformed_descriptors_are_invalid(void **state)
{
    struct lab_sd sd = lab_sd("O:SYG:BAD:(A;;CC;;;WD)(XA;;CC;;;WD;(a == \"b\"))S:(AU;SA;CC;;;WD)");
    uint8_t *copy;
    char *text;
    (void)state;
    /* every truncation, at exactly that many bytes for the sanitizer to watch */
    for (size_t size = 0; size < sd.size; size++) {
        copy = malloc(size + 1);
        memcpy(copy, sd.data, size);
        uint8_t *exact = realloc(copy, size != 0 ? size : 1);
        assert_false(security_sd_valid(exact, size));
        assert_int_equal(security_sddl_format(exact, size, &text), -EINVAL);
        free(exact);
    }
    /* every byte, set to something else: never more than an answer */
    for (size_t i = 0; i < sd.size; i++) {
        for (unsigned v = 0; v < 256; v += 15) {
            copy = malloc(sd.size);
            memcpy(copy, sd.data, sd.size);
            copy[i] = (uint8_t)v;
            if (security_sddl_format(copy, sd.size, &text) == 0) {
                assert_true(security_sd_valid(copy, sd.size));
                free(text);
            }
            free(copy);
        }
    }
    assert_false(security_sd_valid(NULL, 20));
    free(sd.data);
}

/* Every <sd> of the exports: how many, and how many come back as Windows wrote them. */
static void count_real(const char *path, unsigned *all, unsigned *equal, unsigned *granted)
{
    char *line = NULL;
    size_t room = 0;
    FILE *f = fopen(path, "r");
    struct security_token *t = lab_token("{'user': 'NT AUTHORITY\\\\LOCAL SERVICE', 'services': ['dhcp']}");
    assert_non_null(f);
    while (getline(&line, &room, f) > 0) {
        char *start = strstr(line, "<sd>"), *end = start != NULL ? strstr(start, "</sd>") : NULL;
        if (end == NULL) {
            assert_null(start);
            continue;
        }
        *end = '\0';
        struct lab_sd sd = lab_sd(start + 4);
        char *text;
        assert_int_equal(security_sddl_format(sd.data, sd.size, &text), 0);
        ++*all;
        *equal += strcmp(text, start + 4) == 0;
        *granted += security_access_check(sd.data, sd.size, security_token_blob(t), FWP_ACTRL_MATCH_FILTER);
        free(text);
        free(sd.data);
    }
    security_token_destroy(t);
    free(line);
    fclose(f);
}

static void every_real_descriptor_is_read(void **state)
{
    static const struct {
        const char *path;
        unsigned count;
    } files[] = {
        {"data/states/developer-laptop.wfpstate.xml", 252},
        {"data/states/server-minimal.wfpstate.xml", 144},
        {"data/states/vpn-desktop.filters.xml", 178},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char path[4096];
        unsigned all = 0, equal = 0, granted = 0;
        SHARED_OR_SKIP(files[i].path, path);
        count_real(path, &all, &equal, &granted);
        assert_int_equal(all, files[i].count);
        assert_int_equal(equal, all);
        assert_true(granted > 0 && granted < all);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documented_descriptors),
        cmocka_unit_test(parts_and_flags),
        cmocka_unit_test(a_null_acl_is_not_an_empty_one),
        cmocka_unit_test(conditional_expressions),
        cmocka_unit_test(conditions_have_the_documented_bytes),
        cmocka_unit_test(resource_attributes),
        cmocka_unit_test(errors_say_where),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(malformed_descriptors_are_invalid),
        cmocka_unit_test(every_real_descriptor_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
