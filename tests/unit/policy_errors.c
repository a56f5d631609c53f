/* SPDX-License-Identifier: Apache-2.0 */
/* policy: broken files. One line with the place, nothing changed in the bfe, never a crash. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <cmocka.h>

#include "policy_lab.h"

/* A filter whose condition's value is on line 3. */
#define VALUE_ON_LINE_3(value)                                                                               \
    "<wfpdiag>\n<filters>" PL_FILTER_HEAD PL_AT(PL_V4) PL_WEIGHT                                             \
        "<filterCondition><item><fieldKey>FWPM_CONDITION_IP_PROTOCOL</fieldKey>"                             \
        "<matchType>FWP_MATCH_EQUAL</matchType>\n<conditionValue>" value "</conditionValue>"                 \
        "</item></filterCondition>" PL_FILTER_TAIL "</filters></wfpdiag>"

static const struct {
    const char *text, *error;
} values[] = {
    {"<type>FWP_UINT8</type><uint8>256</uint8>",
     "x.xml:3:39: expected a number from 0 to 255, found \"256\""},
    {"<type>FWP_UINT8</type><uint8>six</uint8>",
     "x.xml:3:39: expected a number from 0 to 255, found \"six\""},
    {"<type>FWP_UINT8</type><uint8/>", "x.xml:3:39: expected a number from 0 to 255, found nothing"},
    {"<type>FWP_UINT8</type><uint8>-1</uint8>", "x.xml:3:39: expected a number from 0 to 255, found \"-1\""},
    {"<type>FWP_UINT16</type><uint16>65536</uint16>",
     "x.xml:3:40: expected a number from 0 to 65535, found \"65536\""},
    {"<type>FWP_UINT32</type><uint32>4294967296</uint32>",
     "x.xml:3:40: expected a number from 0 to 4294967295 or an IPv4 address, found \"4294967296\""},
    {"<type>FWP_UINT32</type><uint32>1.2.3</uint32>",
     "x.xml:3:40: expected an IPv4 address, found \"1.2.3\""},
    {"<type>FWP_UINT32</type><uint32>1.2.3.256</uint32>",
     "x.xml:3:40: expected an IPv4 address, found \"1.2.3.256\""},
    {"<type>FWP_UINT64</type><uint64>18446744073709551616</uint64>",
     "x.xml:3:40: expected a number from 0 to 18446744073709551615, found \"18446744073709551616\""},
    {"<type>FWP_INT8</type><int8>128</int8>",
     "x.xml:3:38: expected a number from -128 to 127, found \"128\""},
    {"<type>FWP_INT8</type><int8>-129</int8>",
     "x.xml:3:38: expected a number from -128 to 127, found \"-129\""},
    {"<type>FWP_DOUBLE</type><double64>1,5</double64>", "x.xml:3:40: expected a number, found \"1,5\""},
    {"<type>FWP_BYTE_ARRAY16_TYPE</type><byteArray16>fe80:::1</byteArray16>",
     "x.xml:3:51: expected an IPv6 address or 32 hex digits, found \"fe80:::1\""},
    {"<type>FWP_BYTE_ARRAY6_TYPE</type><byteArray6>00:11:22</byteArray6>",
     "x.xml:3:50: expected 12 hex digits, found \"00:11:22\""},
    {"<type>FWP_SID</type><sid>everyone</sid>", "x.xml:3:37: expected a SID (S-1-...), found \"everyone\""},
    {"<type>FWP_BYTE_BLOB_TYPE</type><byteBlob><data>123</data></byteBlob>",
     "x.xml:3:58: expected an even number of hex digits, found \"123\""},
    {"<type>FWP_BYTE_BLOB_TYPE</type><byteBlob><data>12x4</data></byteBlob>",
     "x.xml:3:58: expected an even number of hex digits, found \"12x4\""},
    {"<type>FWP_V6_ADDR_MASK</type><v6AddrMask><addr>::</addr><prefixLength>129</prefixLength></v6AddrMask>",
     "x.xml:3:73: expected a number from 0 to 128, found \"129\""},
    {"<type>FWP_UINT8</type><uint16>6</uint16>",
     "x.xml:3:1: expected <uint8> for the type FWP_UINT8 in <conditionValue>, found <uint16>"},
    {"<type>FWP_UINT8</type>",
     "x.xml:3:1: expected <uint8> for the type FWP_UINT8 in <conditionValue>, found none"},
    {"<uint8>6</uint8>", "x.xml:3:1: expected <type> in <conditionValue>, found only <uint8>"},
    {"<type>FWP_EMPTY</type><uint8>6</uint8>",
     "x.xml:3:1: expected nothing beside the type FWP_EMPTY in <conditionValue>, found <uint8>"},
    {"<type/><uint8>6</uint8>", "x.xml:3:17: expected the name of a value type, found nothing"},
};

static void wrong_values_have_a_place(void **state)
{
    struct policy_lab l = {0};
    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        char text[4096];
        snprintf(text, sizeof(text), VALUE_ON_LINE_3("%s"), values[i].text);
        pl_refused(&l, text, strlen(text), values[i].error);
    }
    pl_close(&l);
}

static const struct {
    const char *text, *error;
} files[] = {
    {"", "x.xml:1:1: expected <wfpstate>, <wfpdiag> or <netEvents>, found the end of the file"},
    {"  \n ", "x.xml:2:2: expected <wfpstate>, <wfpdiag> or <netEvents>, found the end of the file"},
    {"hello",
     "x.xml:1:1: expected XML (<wfpstate>, <wfpdiag> or <netEvents>), found \"hello\" (syntax error)"},
    {"{\"a\": 1}", "x.xml:1:1: expected XML (<wfpstate>, <wfpdiag> or <netEvents>), found \"{\"a\": 1}\" "
                   "(not well-formed (invalid token))"},
    {"<html><body/></html>", "x.xml:1:1: expected <wfpstate>, <wfpdiag> or <netEvents>, found <html>"},
    {"<?xml version=\"1.0\"?>\n<firewallState/>",
     "x.xml:2:1: expected <wfpstate>, <wfpdiag> or <netEvents>, found <firewallState>"},
    {"<wfpstate>\n\t<layers>\n", "x.xml:3:1: expected </layers>, found the end of the file"},
    {"<wfpstate>\r\n\t<providers>\r\n\t\t<item><serviceName>dns",
     "x.xml:3:25: expected </serviceName>, found the end of the file"},
    {"<wfpstate><subscriptions><a><b>", "x.xml:1:32: expected </subscriptions>, found the end of the file"},
    {"<wfpstate>\n<layers", "x.xml:2:8: expected </wfpstate>, found the end of the file"},
    {"<wfpstate>\n  </wfpdiag>", "x.xml:2:3: expected </wfpstate>, found \"</wfpdiag>\""},
    {"<wfpstate>\n<layers numItems=\"many\"/></wfpstate>",
     "x.xml:2:1: expected a number in numItems, found \"many\""},
    {"<wfpstate>a & b</wfpstate>",
     "x.xml:1:14: expected well-formed XML, found \" b</wfpstate>\" (not well-formed (invalid token))"},
    {"<!DOCTYPE x [<!ENTITY a \"b\">]><wfpstate/>", "x.xml:1:13: expected an element, found a DOCTYPE (x)"},
    {"<?xml version=\"1.0\" encoding=\"EBCDIC-7\"?><wfpstate/>",
     "x.xml:1:31: expected UTF-8 or UTF-16, found another encoding in \"EBCDIC-7\"?>\""},
    {"<wfpstate/>\n<firewallState/>\ntrailing",
     "x.xml:3:1: expected well-formed XML, found \"trailing\" (syntax error)"},
    {"<wfpstate/>\r\n<firewallState>\r\n<a></firewallState>",
     "x.xml:3:4: expected </firewallState>, found \"</firewallState>\""},
    {"<wfpstate><sessions><item><kernelMode>maybe</kernelMode></item></sessions></wfpstate>",
     "x.xml:1:27: expected true or false, found \"maybe\""},
    {"<wfpstate><providers><item><providerKey>{12345678-1234-1234-1234-12345678901}</providerKey></item></"
     "providers></wfpstate>",
     "x.xml:1:28: expected a GUID {xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx}, found "
     "\"{12345678-1234-1234-1234-12345678901}\""},
    {"<wfpstate><providers><item><providerKey>not a key</providerKey></item></providers></wfpstate>",
     "x.xml:1:28: expected a GUID {xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx} or a name, found \"not a key\""},
    {"<wfpstate><subLayers><item><weight>65536</weight></item></subLayers></wfpstate>",
     "x.xml:1:28: expected a number from 0 to 65535, found \"65536\""},
    {"<wfpstate><aleConnectedEndpoints><item><localV4Address>::1</localV4Address></item></"
     "aleConnectedEndpoints></wfpstate>",
     "x.xml:1:40: expected an IPv4 address, found \"::1\""},
    {"<wfpstate><layers><item><layer><flags><item/></flags></layer></item></layers></wfpstate>",
     "x.xml:1:39: expected the name of a flag or a hex number, found nothing"},
};

static void wrong_files_have_a_place(void **state)
{
    struct policy_lab l = {0};
    (void)state;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        pl_refused(&l, files[i].text, strlen(files[i].text), files[i].error);
    pl_close(&l);
}

/* Everything before a broken end is read, then undone. */
static void nothing_remains_of_a_broken_file(void **state)
{
    static const char good[] = PL_ONE(PL_V4, "");
    struct policy_lab l = {0};
    (void)state;
    pl_load(&l, good);
    assert_int_equal(pl_count(&l, BFE_FILTER), 1);
    for (size_t cut = 0; cut < sizeof(good) - 1; cut++) {
        pl_close(&l);
        pl_open(&l);
        assert_int_equal(policy_load_memory(l.lab.bfe, "x.xml", good, cut, &l.policy, &l.error), -EINVAL);
        assert_null(l.policy);
        assert_int_equal(strncmp(l.error.text, "x.xml:1:", 8), 0);
        assert_int_equal(l.error.line, 1);
        assert_int_equal(l.error.column, cut + 1);
        assert_int_equal(pl_count(&l, BFE_FILTER), 0);
    }
    pl_close(&l);
}

static void places_count_characters_and_both_line_ends(void **state)
{
    struct policy_lab l = {0};
    static const char utf8[] = "\xef\xbb\xbf<wfpstate>\r\n<!-- \xc3\xa4\xc3\xb6 "
                               "--><subLayers><item><weight>x</weight></item></subLayers></wfpstate>";
    (void)state;
    pl_refused(&l, utf8, sizeof(utf8) - 1, "x.xml:2:29: expected a number from 0 to 65535, found \"x\"");
    assert_int_equal(l.error.line, 2);
    assert_int_equal(l.error.column, 29);
    /* UTF-16, with and without a mark: a place is the same */
    for (int with_bom = 0; with_bom < 2; with_bom++) {
        for (int big = 0; big < 2; big++) {
            static const WCHAR text[] =
                u"<wfpstate>\r\n<!-- \u00e4\U0001F600 "
                u"--><subLayers><item><weight>x</weight></item></subLayers></wfpstate>";
            unsigned char bytes[2 * sizeof(text)];
            size_t n = 0;
            if (with_bom) {
                bytes[n++] = big ? 0xfe : 0xff;
                bytes[n++] = big ? 0xff : 0xfe;
            }
            for (size_t i = 0; text[i] != 0; i++) {
                bytes[n++] = (unsigned char)(big ? text[i] >> 8 : text[i]);
                bytes[n++] = (unsigned char)(big ? text[i] : text[i] >> 8);
            }
            pl_refused(&l, (const char *)bytes, n,
                       "x.xml:2:29: expected a number from 0 to 65535, found \"x\"");
        }
    }
    pl_close(&l);
}

static void hostile_files_end_quietly(void **state)
{
    struct policy_lab l = {0};
    struct policy_error error;
    char *text = malloc(1 << 20);
    size_t n = 0;
    (void)state;
    assert_non_null(text);
    /* deep nesting of what may nest */
    for (int i = 0; i < 1000; i++)
        n += (size_t)sprintf(text + n, "<wfpstate>");
    pl_refused(&l, text, n, "x.xml:1:311: expected at most 32 nested elements, found another <wfpstate>");
    /* and of what nobody knows: kept as text, however deep */
    n = (size_t)sprintf(text, "<wfpstate>");
    for (int i = 0; i < 20000; i++)
        n += (size_t)sprintf(text + n, "<a>");
    for (int i = 0; i < 20000; i++)
        n += (size_t)sprintf(text + n, "</a>");
    n += (size_t)sprintf(text + n, "</wfpstate>");
    assert_int_equal(pl_try(&l, text, n), 0);
    pl_noted(&l, POLICY_NOTE_UNKNOWN, "<a>");
    /* a missing file; a folder */
    pl_close(&l);
    pl_open(&l);
    assert_int_equal(policy_load_file(l.lab.bfe, "/nowhere/at/all.xml", &l.policy, &error), -ENOENT);
    assert_string_equal(error.text,
                        "/nowhere/at/all.xml: expected a readable file, found: No such file or directory");
    assert_int_equal(policy_load_file(l.lab.bfe, "/", &l.policy, &error), -EISDIR);
    assert_null(l.policy);
    free(text);
    pl_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_values_have_a_place),
        cmocka_unit_test(wrong_files_have_a_place),
        cmocka_unit_test(nothing_remains_of_a_broken_file),
        cmocka_unit_test(places_count_characters_and_both_line_ends),
        cmocka_unit_test(hostile_files_end_quietly),
    };
    return cmocka_run_group_tests_name("policy_errors", tests, NULL, NULL);
}
