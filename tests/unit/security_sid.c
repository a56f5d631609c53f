/* SPDX-License-Identifier: Apache-2.0 */
/* security: SIDs as bytes, text and names; the SIDs of services. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <cmocka.h>

#include "sddl_lab.h"

static void round_trip(const char *in, const char *out)
{
    struct lab_sid s;
    char text[200];
    assert_int_equal(security_sid_parse(in, (SID *)s.bytes, sizeof(s.bytes)), 0);
    assert_true(security_sid_valid(s.bytes, security_sid_size((SID *)s.bytes)));
    assert_false(security_sid_valid(s.bytes, security_sid_size((SID *)s.bytes) - 1));
    assert_int_equal(security_sid_format((SID *)s.bytes, text, sizeof(text)), (int)strlen(out));
    assert_string_equal(text, out);
}

static void sids_are_read_and_written(void **state)
{
    (void)state;
    round_trip("S-1-5-18", "S-1-5-18");
    round_trip("s-1-1-0", "S-1-1-0");
    round_trip("S-1-15-3-4214768333-1334025770-122408079-3919188833",
               "S-1-15-3-4214768333-1334025770-122408079-3919188833");
    /* MS-DTYP 2.4.2.1: an authority of 2^32 or more is hexadecimal */
    round_trip("S-1-0xA1B2C3D4E5-7", "S-1-0x00a1b2c3d4e5-7");
    round_trip("S-1-0x5-1", "S-1-5-1");
    round_trip("S-1-4294967295-1-2-3-4-5-6-7-8-9-10-11-12-13-14-4294967295",
               "S-1-4294967295-1-2-3-4-5-6-7-8-9-10-11-12-13-14-4294967295");
}

static void bytes_are_as_documented(void **state)
{
    /* MS-DTYP 2.4.2.2: revision, count, authority big endian, sub-authorities little endian */
    static const uint8_t administrators[] = {1, 2, 0, 0, 0, 0, 0, 5, 0x20, 0, 0, 0, 0x20, 2, 0, 0};
    struct lab_sid s;
    (void)state;
    assert_int_equal(security_sid_parse("BA", (SID *)s.bytes, sizeof(s.bytes)), 0);
    assert_int_equal(security_sid_size((SID *)s.bytes), sizeof(administrators));
    assert_memory_equal(s.bytes, administrators, sizeof(administrators));
}

static void wrong_sids_are_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "S",
        "S-1",
        "S-1-",
        "S-1-5",
        "S-1-5-",
        "S-2-5-18",
        "S-1-5-4294967296",
        "S-1-4294967296-1",
        "S-1-5-018",
        "S-1-5-18 ",
        " S-1-5-18",
        "S-1-5-18-",
        "S-1-0x-1",
        "S-1-0x1234567890123-1",
        "S-1-5--1",
        "ZZ",
        "BAX",
        "B",
        "S-1-5-1-2-3-4-5-6-7-8-9-10-11-12-13-14-15-16",
    };
    struct lab_sid s;
    uint8_t two_revisions[] = {2, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0}, sixteen[8 + 64] = {1, 16};
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(security_sid_parse(wrong[i], (SID *)s.bytes, sizeof(s.bytes)), -EINVAL);
    }
    assert_int_equal(security_sid_parse("S-1-5-32-544", (SID *)s.bytes, 15), -ENOSPC);
    assert_false(security_sid_valid(two_revisions, sizeof(two_revisions)));
    assert_false(security_sid_valid(sixteen, sizeof(sixteen)));
    assert_false(security_sid_valid(NULL, 12));
}

static void every_documented_alias_resolves(void **state)
{
    /* win32 "SID Strings" and MS-DTYP 2.5.1.1; the number is that of "Well-known SIDs" */
    static const struct {
        const char *alias, *sid;
    } table[] = {
        {"AA", "S-1-5-32-579"},
        {"AC", "S-1-15-2-1"},
        {"AN", "S-1-5-7"},
        {"AO", "S-1-5-32-548"},
        {"AP", "S-1-5-21-0-0-0-525"},
        {"AU", "S-1-5-11"},
        {"BA", "S-1-5-32-544"},
        {"BG", "S-1-5-32-546"},
        {"BO", "S-1-5-32-551"},
        {"BU", "S-1-5-32-545"},
        {"CA", "S-1-5-21-0-0-0-517"},
        {"CD", "S-1-5-32-574"},
        {"CG", "S-1-3-1"},
        {"CN", "S-1-5-21-0-0-0-522"},
        {"CO", "S-1-3-0"},
        {"CY", "S-1-5-32-569"},
        {"DA", "S-1-5-21-0-0-0-512"},
        {"DC", "S-1-5-21-0-0-0-515"},
        {"DD", "S-1-5-21-0-0-0-516"},
        {"DG", "S-1-5-21-0-0-0-514"},
        {"DU", "S-1-5-21-0-0-0-513"},
        {"EA", "S-1-5-21-0-0-0-519"},
        {"ED", "S-1-5-9"},
        {"EK", "S-1-5-21-0-0-0-527"},
        {"ER", "S-1-5-32-573"},
        {"ES", "S-1-5-32-576"},
        {"HA", "S-1-5-32-578"},
        {"HI", "S-1-16-12288"},
        {"IS", "S-1-5-32-568"},
        {"IU", "S-1-5-4"},
        {"KA", "S-1-5-21-0-0-0-526"},
        {"LA", "S-1-5-21-0-0-0-500"},
        {"LG", "S-1-5-21-0-0-0-501"},
        {"LS", "S-1-5-19"},
        {"LU", "S-1-5-32-559"},
        {"LW", "S-1-16-4096"},
        {"ME", "S-1-16-8192"},
        {"MP", "S-1-16-8448"},
        {"MS", "S-1-5-32-577"},
        {"MU", "S-1-5-32-558"},
        {"NO", "S-1-5-32-556"},
        {"NS", "S-1-5-20"},
        {"NU", "S-1-5-2"},
        {"OW", "S-1-3-4"},
        {"PA", "S-1-5-21-0-0-0-520"},
        {"PO", "S-1-5-32-550"},
        {"PS", "S-1-5-10"},
        {"PU", "S-1-5-32-547"},
        {"RA", "S-1-5-32-575"},
        {"RC", "S-1-5-12"},
        {"RD", "S-1-5-32-555"},
        {"RE", "S-1-5-32-552"},
        {"RM", "S-1-5-32-580"},
        {"RO", "S-1-5-21-0-0-0-498"},
        {"RS", "S-1-5-21-0-0-0-553"},
        {"RU", "S-1-5-32-554"},
        {"SA", "S-1-5-21-0-0-0-518"},
        {"SI", "S-1-16-16384"},
        {"SO", "S-1-5-32-549"},
        {"SS", "S-1-18-2"},
        {"SU", "S-1-5-6"},
        {"SY", "S-1-5-18"},
        {"UD", "S-1-5-84-0-0-0-0-0"},
        {"WD", "S-1-1-0"},
        {"WR", "S-1-5-33"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        round_trip(table[i].alias, table[i].sid);
    }
}

static void names_are_known_both_ways(void **state)
{
    static const struct {
        const char *sid, *name, *also;
    } table[] = {
        {"S-1-1-0", "Everyone", "everyone"},
        {"S-1-5-32-545", "BUILTIN\\Users", "Users"},
        {"S-1-5-18", "NT AUTHORITY\\SYSTEM", "SYSTEM"},
        {"S-1-15-3-1", "internetClient", "InternetClient"},
        {"S-1-15-2-1", "APPLICATION PACKAGE AUTHORITY\\ALL APPLICATION PACKAGES", "ALL APPLICATION PACKAGES"},
    };
    struct lab_sid a, b;
    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        lab_sid(&a, table[i].sid);
        assert_string_equal(security_sid_name((SID *)a.bytes), table[i].name);
        assert_true(security_sid_equal((SID *)a.bytes, lab_sid(&b, table[i].name)));
        assert_true(security_sid_equal((SID *)a.bytes, lab_sid(&b, table[i].also)));
    }
    assert_null(security_sid_name(lab_sid(&a, "S-1-5-21-1-2-3-1001")));
    assert_int_equal(security_sid_resolve("nobody\\knows", (SID *)a.bytes, sizeof(a.bytes)), -EINVAL);
}

static void service_sids_are_digests_of_names(void **state)
{
    struct lab_sid s, known;
    char text[200];
    (void)state;
    /* winnt.h, SECURITY_TRUSTED_INSTALLER_RID1..5 */
    assert_int_equal(security_service_sid("trustedinstaller", (SID *)s.bytes, sizeof(s.bytes)), 0);
    assert_true(security_sid_format((SID *)s.bytes, text, sizeof(text)) > 0);
    assert_string_equal(text, "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464");
    /* the stock service-hardening filters of the DHCP client */
    lab_sid(&known, "S-1-5-80-2940520708-3855866260-481812779-327648279-1710889582");
    assert_true(security_sid_equal(lab_sid(&s, "NT SERVICE\\dhcp"), (SID *)known.bytes));
    assert_string_equal(security_sid_name((SID *)known.bytes), "NT SERVICE\\Dhcp");
    const char *const names[] = {"alpha", "NT SERVICE\\MyOwn"};
    assert_int_equal(security_service_sid("MYOWN", (SID *)s.bytes, sizeof(s.bytes)), 0);
    assert_null(security_sid_name((SID *)s.bytes));
    assert_string_equal(security_service_name_among((SID *)s.bytes, names, 2), "NT SERVICE\\MyOwn");
    assert_null(security_service_name_among((SID *)s.bytes, names, 1));
    assert_int_equal(security_service_sid("", (SID *)s.bytes, sizeof(s.bytes)), -EINVAL);
    assert_int_equal(security_service_sid("a\xff", (SID *)s.bytes, sizeof(s.bytes)), -EINVAL);
    assert_int_equal(security_service_sid("dhcp", (SID *)s.bytes, 31), -ENOSPC);
}

static void kinds_tell_who_could_carry_a_sid(void **state)
{
    static const struct {
        const char *sid;
        enum security_sid_kind kind;
    } table[] = {
        {"WD", SECURITY_SID_EVERYONE},
        {"SY", SECURITY_SID_ACCOUNT},
        {"AN", SECURITY_SID_ACCOUNT},
        {"S-1-5-21-1-2-3-1001", SECURITY_SID_ACCOUNT},
        {"LA", SECURITY_SID_ACCOUNT},
        {"DA", SECURITY_SID_GROUP},
        {"BU", SECURITY_SID_GROUP},
        {"IU", SECURITY_SID_GROUP},
        {"S-1-2-1", SECURITY_SID_GROUP},
        {"NT SERVICE\\dhcp", SECURITY_SID_SERVICE},
        {"S-1-5-80-0", SECURITY_SID_GROUP},
        {"AC", SECURITY_SID_ALL_PACKAGES},
        {"ME", SECURITY_SID_LABEL},
        {"S-1-15-2-1-2-3-4-5-6-7", SECURITY_SID_PACKAGE},
        {"S-1-15-3-9", SECURITY_SID_CAPABILITY},
    };
    struct lab_sid s;
    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        assert_int_equal(security_sid_kind(lab_sid(&s, table[i].sid)), table[i].kind);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sids_are_read_and_written),
        cmocka_unit_test(bytes_are_as_documented),
        cmocka_unit_test(wrong_sids_are_refused),
        cmocka_unit_test(every_documented_alias_resolves),
        cmocka_unit_test(names_are_known_both_ways),
        cmocka_unit_test(service_sids_are_digests_of_names),
        cmocka_unit_test(kinds_tell_who_could_carry_a_sid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
