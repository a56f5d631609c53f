/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's text: formats with Windows' meanings, the drivers' C run-time, strings, conversions,
 * addresses. The expected texts are those that Windows' documentation gives or that follow from its rules;
 * numbers are also compared with the host's printf, which agrees where Windows does.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <cmocka.h>

#include "nt/crt.h"
#include "nt/format.h"
#include "ntstrsafe.h"
#include "ip2string.h"
#include "nt_lab.h"

static char out[256];

static const char *f(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    size_t n = rtl_format(out, sizeof out, format, args);
    va_end(args);
    assert_int_equal(n, strlen(out));
    return out;
}

static const char *w(const WCHAR *format, ...)
{
    static WCHAR wide[256];
    va_list args;

    va_start(args, format);
    size_t n = rtl_format_wide(wide, ARRAYSIZE(wide), format, args);
    va_end(args);
    for (size_t i = 0; i <= n; i++)
        out[i] = (char)wide[i];
    return out;
}

static void formats(void **state)
{
    (void)state;
    UNICODE_STRING u = RTL_CONSTANT_STRING(u"wide text");
    STRING a = RTL_CONSTANT_STRING("narrow text");
    UNICODE_STRING none = {0, 0, NULL};

    assert_string_equal(f("%ld %lu %lx", -5, 4000000000u, 0xabcdu), "-5 4000000000 abcd");
    assert_string_equal(f("%I64d|%I64x|%I32u|%Iu", -1ll, 0x123456789abull, 7u, (size_t)8),
                        "-1|123456789ab|7|8");
    assert_string_equal(f("%lld %hu %hhu", 1ll << 40, 65537, 257), "1099511627776 1 1");
    assert_string_equal(f("%p", (void *)0xdeadbeef), "00000000DEADBEEF");
    assert_string_equal(f("[%20p]", (void *)0x10), "[    0000000000000010]");
    assert_string_equal(f("%s %S %ws %ls %hs", "n", u"w", u"x", u"y", "z"), "n w x y z");
    assert_string_equal(w(u"%s %S %ws %hs", u"w", "n", u"x", "z"), "w n x z");
    assert_string_equal(f("%c%C%lc%hc", 'a', u'b', u'c', 'd'), "abcd");
    assert_string_equal(f("%wZ, %Z, %lZ", &u, &a, &u), "wide text, narrow text, wide text");
    assert_string_equal(w(u"%wZ, %Z", &u, &a), "wide text, narrow text");
    assert_string_equal(f("%s|%ws|%wZ|%Z", (char *)NULL, (WCHAR *)NULL, &none, (STRING *)NULL),
                        "(null)|(null)|(null)|(null)");
    assert_string_equal(f("%.3s|%.3S|%.4wZ|%5s|%-5s|", "abcdef", u"abcdef", &u, "x", "y"),
                        "abc|abc|wide|    x|y    |");
    assert_string_equal(f("%*d|%-*d|%.*d|", 5, 42, 5, 42, 4, 42), "   42|42   |0042|");
    assert_string_equal(f("%#x %#X %#o %+d % d %05d %-5d|", 255, 255, 8, 1, 1, -42, 7),
                        "0xff 0XFF 010 +1  1 -0042 7    |");
    assert_string_equal(f("%%%y%"), "%y");
    assert_string_equal(f("%.0d|%d|%u", 0, INT32_MIN, UINT32_MAX), "|-2147483648|4294967295");
    assert_string_equal(f("%S", u"\u00e4\u20ac\U0001f600"), "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
    assert_string_equal(f("%.2f %g %08.3f", 1.5, 0.25, -3.14159), "1.50 0.25 -003.142");
    /* cut, but counted whole */
    char small[4];
    va_list none_;
    memset(&none_, 0, sizeof none_);
    assert_int_equal(rtl_format(small, sizeof small, "abcdef", none_), 6);
    assert_string_equal(small, "abc");
    assert_int_equal(rtl_format(NULL, 0, "abcdef", none_), 6);
}

/* The host agrees for int-sized numbers in every flag, width and precision. */
static void numbers_as_the_host_prints_them(void **state)
{
    static const char *const flags[] = {"", "-", "0", "+", " ", "#", "-0", "+0", "#0", "-#", "+-"};
    static const char types[] = "diuoxX";
    static const int values[] = {0, 1, -1, 7, 8, 255, 65536, INT32_MAX, INT32_MIN, 123456789};
    char host[128], format[32];

    (void)state;
    for (size_t i = 0; i < ARRAYSIZE(flags); i++)
        for (int width = 0; width < 14; width += 4)
            for (int precision = -1; precision < 12; precision += 4)
                for (const char *t = types; *t != 0; t++)
                    for (size_t v = 0; v < ARRAYSIZE(values); v++) {
                        int n = snprintf(format, sizeof format, "%%%s", flags[i]);
                        if (width > 0)
                            n += snprintf(format + n, sizeof format - (size_t)n, "%d", width);
                        if (precision >= 0)
                            n += snprintf(format + n, sizeof format - (size_t)n, ".%d", precision);
                        snprintf(format + n, sizeof format - (size_t)n, "%c", *t);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
                        snprintf(host, sizeof host, format, values[v]);
#pragma GCC diagnostic pop
                        if (strcmp(f(format, values[v]), host) != 0)
                            fail_msg("%s of %d: '%s', the host '%s'", format, values[v], out, host);
                    }
}

static void run_time_printf(void **state)
{
    char b[8];
    WCHAR wide[8];

    (void)state;
    memset(b, 'x', sizeof b);
    assert_int_equal(weir_crt__snprintf(b, 3, "abc"), 3); /* fills it: no NUL */
    assert_memory_equal(b, "abcx", 4);
    assert_int_equal(weir_crt__snprintf(b, 3, "abcd"), -1);
    assert_int_equal(weir_crt__snprintf(b, 8, "%d", 42), 2);
    assert_string_equal(b, "42");
    assert_int_equal(weir_crt_snprintf(b, 3, "abcd"), 4);
    assert_string_equal(b, "ab");
    assert_int_equal(weir_crt_sprintf_s(b, sizeof b, "12345678"), -1);
    assert_string_equal(b, "");
    assert_int_equal(weir_crt__snprintf_s(b, sizeof b, 3, "abcdef"), -1);
    assert_string_equal(b, "abc");
    assert_int_equal(weir_crt__snprintf_s(b, sizeof b, (size_t)-1, "abcdefghij"), -1);
    assert_string_equal(b, "abcdefg");
    assert_int_equal(weir_crt_swprintf(wide, 8, u"%s", u"abc"), 3);
    assert_int_equal(weir_crt__snwprintf(wide, 3, u"abc"), 3);
    assert_int_equal(weir_crt_swprintf(wide, 3, u"abcd"), -1);

    int number, n;
    unsigned hex;
    char word[8];
    assert_int_equal(weir_crt_sscanf_s(" -12 0x1F word9 rest", "%d %x %s%n", &number, &hex, word, 8u, &n), 3);
    assert_int_equal(number, -12);
    assert_int_equal(hex, 0x1f);
    assert_string_equal(word, "word9");
    assert_int_equal(n, 15);
}

static void run_time_strings(void **state)
{
    WCHAR b[8], *context;
    char c[8];

    (void)state;
    assert_int_equal(weir_crt_wcslen(u"abc"), 3);
    assert_int_equal(weir_crt__wcsicmp(u"\u00c4BC", u"\u00e4bc"), 0);
    assert_true(weir_crt_wcscmp(u"abc", u"abd") < 0);
    assert_int_equal(weir_crt__wcsnicmp(u"ABCx", u"abcy", 3), 0);
    assert_int_equal(weir_crt_wcscpy_s(b, 8, u"1234567"), 0);
    assert_int_equal(weir_crt_wcscat_s(b, 8, u"8"), 34);
    assert_int_equal(b[0], 0);
    assert_int_equal(weir_crt_strncpy_s(c, 4, "abcdef", (size_t)-1), 80);
    assert_string_equal(c, "abc");
    assert_int_equal(weir_crt_strncpy_s(c, 4, "abcdef", 2), 0);
    assert_string_equal(c, "ab");
    assert_int_equal(weir_crt_strcpy_s(NULL, 4, "a"), 22);
    assert_null(weir_crt_wcsstr(u"abc", u"d"));
    assert_int_equal(weir_crt_wcsstr(u"abcabd", u"abd")[2], u'd');
    assert_null(weir_crt_wcschr(u"abc", u'd'));
    assert_int_equal(weir_crt_wcsrchr(u"a/b/c", u'/')[1], u'c');
    WCHAR list[] = u"a,b,,c";
    assert_int_equal(weir_crt_wcstok_s(list, u",", &context)[0], u'a');
    assert_int_equal(weir_crt_wcstok_s(NULL, u",", &context)[0], u'b');
    assert_int_equal(weir_crt_wcstok_s(NULL, u",", &context)[0], u'c');
    assert_null(weir_crt_wcstok_s(NULL, u",", &context));
    assert_int_equal(weir_crt_strtol("99999999999", NULL, 10), INT32_MAX);
    assert_int_equal(weir_crt_strtol("-99999999999", NULL, 10), INT32_MIN);
    assert_int_equal(weir_crt_wcstoul(u" 0x10z", &context, 0), 16);
    assert_int_equal(context[0], u'z');
    assert_int_equal(weir_crt__itoa_s(-10, c, 8, 10), 0);
    assert_string_equal(c, "-10");
    assert_int_equal(weir_crt__itoa_s(-1, c, 4, 16), 34);
}

static void bounded(void **state)
{
    char b[8], *end;
    WCHAR wide[4];
    size_t left, length;

    (void)state;
    assert_int_equal(RtlStringCchCopyA(b, 8, "1234567"), STATUS_SUCCESS);
    assert_int_equal(RtlStringCchCopyA(b, 8, "12345678"), STATUS_BUFFER_OVERFLOW);
    assert_string_equal(b, "1234567");
    assert_int_equal(RtlStringCchCopyA(b, 0, "x"), STATUS_INVALID_PARAMETER);
    assert_int_equal(RtlStringCbCopyNA(b, 8, "abcdef", 3), STATUS_SUCCESS);
    assert_string_equal(b, "abc");
    assert_int_equal(RtlStringCchCatA(b, 8, "defgh"), STATUS_BUFFER_OVERFLOW);
    assert_string_equal(b, "abcdefg");
    assert_int_equal(RtlStringCbPrintfW(wide, sizeof wide, u"%d", 1234), STATUS_BUFFER_OVERFLOW);
    assert_int_equal(wide[3], 0);
    assert_int_equal(RtlStringCchLengthW(u"abc", 4, &length), STATUS_SUCCESS);
    assert_int_equal(length, 3);
    assert_int_equal(RtlStringCbLengthW(u"abc", 6, &length), STATUS_INVALID_PARAMETER);
    assert_int_equal(RtlStringCchCopyExA(b, 8, "ab", &end, &left, STRSAFE_FILL_BEHIND_NULL | '!'),
                     STATUS_SUCCESS);
    assert_int_equal(left, 6);
    assert_ptr_equal(end, b + 2);
    assert_memory_equal(b, "ab\0!!!!!", 8);
    assert_int_equal(RtlStringCchCopyExA(b, 2, "abc", NULL, NULL, STRSAFE_NO_TRUNCATION),
                     STATUS_BUFFER_OVERFLOW);
    assert_int_equal(b[0], 0);
}

static void strings(struct nt_lab *lab)
{
    UNICODE_STRING a, b, big;
    ANSI_STRING narrow;
    WCHAR room[8];
    ULONG value;
    GUID guid, back;

    (void)lab;
    RtlInitUnicodeString(&a, u"Stra\u00dfe \u00c4");
    RtlInitUnicodeString(&b, u"STRA\u00dfE \u00e4");
    assert_true(RtlEqualUnicodeString(&a, &b, TRUE));
    assert_false(RtlEqualUnicodeString(&a, &b, FALSE));
    RtlInitEmptyUnicodeString(&big, room, sizeof room);
    assert_int_equal(RtlAppendUnicodeToString(&big, u"1234"), STATUS_SUCCESS);
    assert_int_equal(RtlAppendUnicodeToString(&big, u"56789"), STATUS_BUFFER_TOO_SMALL);
    assert_int_equal(big.Length, 8);
    assert_int_equal(RtlIntegerToUnicodeString(48879, 16, &big), STATUS_SUCCESS);
    assert_int_equal(big.Length, 8);
    assert_int_equal(big.Buffer[0], u'B');
    assert_int_equal(RtlUnicodeStringToInteger(&big, 16, &value), STATUS_SUCCESS);
    assert_int_equal(value, 48879);
    assert_int_equal(RtlIntegerToUnicodeString(1, 3, &big), STATUS_INVALID_PARAMETER);

    assert_int_equal(RtlUnicodeStringToAnsiString(&narrow, &a, TRUE), STATUS_SUCCESS);
    assert_string_equal(narrow.Buffer, "Stra\xc3\x9f"
                                       "e \xc3\x84");
    assert_int_equal(RtlAnsiStringToUnicodeString(&big, &narrow, TRUE), STATUS_SUCCESS);
    assert_true(RtlEqualUnicodeString(&a, &big, FALSE));
    RtlFreeUnicodeString(&big);
    RtlFreeAnsiString(&narrow);

    WCHAR half[] = {0xd800, u'x'};
    char utf8[8];
    ULONG n;
    assert_int_equal(RtlUnicodeToUTF8N(utf8, sizeof utf8, &n, half, sizeof half), STATUS_SOME_NOT_MAPPED);
    assert_int_equal(n, 4);
    assert_int_equal(RtlUnicodeToUTF8N(utf8, 2, &n, u"\u20acx", 4), STATUS_BUFFER_TOO_SMALL);
    assert_int_equal(n, 0);
    assert_int_equal(RtlUTF8ToUnicodeN(room, sizeof room, &n, "\xf0\x9f\x98\x80", 4), STATUS_SUCCESS);
    assert_int_equal(n, 4);

    memset(&guid, 0x5a, sizeof guid);
    guid.Data1 = 0x01234567;
    assert_int_equal(RtlStringFromGUID(&guid, &big), STATUS_SUCCESS);
    assert_int_equal(big.Length, 76);
    assert_int_equal(RtlGUIDFromString(&big, &back), STATUS_SUCCESS);
    assert_memory_equal(&guid, &back, sizeof guid);
    RtlFreeUnicodeString(&big);
    RtlInitUnicodeString(&a, u"ABC.TXT");
    RtlInitUnicodeString(&b, u"A*.T?T");
    assert_true(RtlIsNameInExpression(&b, &a, TRUE, NULL));
    RtlInitUnicodeString(&b, u"A?.TXT");
    assert_false(RtlIsNameInExpression(&b, &a, TRUE, NULL));
}

static void strings_in_both(void **state)
{
    (void)state;
    nt_lab_both(strings, NULL);
}

/* inet_pton() and inet_ntop() are the judges where the forms are the same. */
static void addresses(void **state)
{
    static const char *const v6[] = {"::",
                                     "::1",
                                     "1::",
                                     "2001:db8::1",
                                     "fe80::1:2:3:4",
                                     "1:2:3:4:5:6:7:8",
                                     "::ffff:1.2.3.4",
                                     "1:2:3:4:5:6:1.2.3.4",
                                     "2001:0:0:1::1",
                                     "0:0:1::"};
    static const char *const bad6[] = {"", ":", "1", "1:2:3:4:5:6:7", "12345::", "1.2.3.4", "g::"};
    const char *end;
    char text[64];
    IN6_ADDR a;
    IN_ADDR v4;
    uint8_t host[16];

    (void)state;
    for (size_t i = 0; i < ARRAYSIZE(v6); i++) { /* 10: the host's AF_INET6; ours is Windows' */
        assert_int_equal(RtlIpv6StringToAddressA(v6[i], &end, &a), STATUS_SUCCESS);
        assert_int_equal(*end, 0);
        assert_int_equal(inet_pton(10, v6[i], host), 1);
        assert_memory_equal(&a, host, 16);
        char *stop = RtlIpv6AddressToStringA(&a, text);
        assert_int_equal(*stop, 0);
        assert_int_equal(inet_pton(10, text, host), 1);
        assert_memory_equal(&a, host, 16);
    }
    for (size_t i = 0; i < ARRAYSIZE(bad6); i++)
        assert_int_not_equal(RtlIpv6StringToAddressA(bad6[i], &end, &a), STATUS_SUCCESS);
    for (unsigned i = 0; i < 20000; i++) { /* words of zero are frequent */
        uint64_t seed = i * 0x9e3779b97f4a7c15ull;
        for (unsigned j = 0; j < 8; j++) {
            uint16_t word = (seed >> (8 * j) & 3) == 0 ? (uint16_t)(seed >> (5 * j)) : 0;
            host[2 * j] = (uint8_t)(word >> 8);
            host[2 * j + 1] = (uint8_t)word;
        }
        RtlIpv6AddressToStringA((const IN6_ADDR *)host, text);
        assert_int_equal(RtlIpv6StringToAddressA(text, &end, &a), STATUS_SUCCESS);
        assert_int_equal(*end, 0);
        assert_memory_equal(&a, host, 16);
    }
    assert_int_equal(RtlIpv4StringToAddressA("10.1.2.3/24", TRUE, &end, &v4), STATUS_SUCCESS);
    assert_string_equal(end, "/24");
    assert_int_equal(v4.S_un.S_un_b.s_b4, 3);
    assert_int_equal(RtlIpv4StringToAddressA("10.1", TRUE, &end, &v4), STATUS_INVALID_PARAMETER);
    assert_int_equal(RtlIpv4StringToAddressA("10.0x1", FALSE, &end, &v4), STATUS_SUCCESS);
    assert_int_equal(v4.S_un.S_un_b.s_b4, 1);
    assert_int_equal(RtlIpv4StringToAddressA("256.1.1.1", TRUE, &end, &v4), STATUS_INVALID_PARAMETER);
    assert_int_equal(RtlIpv4StringToAddressA("010.1.1.1", TRUE, &end, &v4), STATUS_INVALID_PARAMETER);
    LPCWSTR wide_end;
    assert_int_equal(RtlIpv4StringToAddressW(u"1.2.3.4", TRUE, &wide_end, &v4), STATUS_SUCCESS);
    assert_int_equal(*wide_end, 0);
    ULONG scope;
    USHORT port;
    assert_int_equal(RtlIpv6StringToAddressExA("[fe80::1%3]:80", &a, &scope, &port), STATUS_SUCCESS);
    assert_int_equal(scope, 3);
    assert_int_equal(port, 0x5000);
    ULONG room = sizeof text;
    assert_int_equal(RtlIpv6AddressToStringExA(&a, scope, port, text, &room), STATUS_SUCCESS);
    assert_string_equal(text, "[fe80::1%3]:80");
    assert_int_equal(room, strlen(text) + 1);
}

static void times(void **state)
{
    TIME_FIELDS t;
    LARGE_INTEGER time, back;
    ULONG seconds;

    (void)state;
    RtlSecondsSince1970ToTime(1583020800, &time); /* 2020-03-01 00:00:00, a Sunday */
    RtlTimeToTimeFields(&time, &t);
    assert_int_equal(t.Year, 2020);
    assert_int_equal(t.Month, 3);
    assert_int_equal(t.Day, 1);
    assert_int_equal(t.Weekday, 0);
    for (uint64_t day = 0; day < 300000; day += 37) {
        time.QuadPart = (LONGLONG)(day * 864000000000ull + 123450000);
        RtlTimeToTimeFields(&time, &t);
        assert_true(RtlTimeFieldsToTime(&t, &back));
        assert_true(back.QuadPart == time.QuadPart);
    }
    assert_true(RtlTimeToSecondsSince1970(&(LARGE_INTEGER){.QuadPart = 116444736000000000ll}, &seconds));
    assert_int_equal(seconds, 0);
    t = (TIME_FIELDS){2023, 2, 29, 0, 0, 0, 0, 0};
    assert_false(RtlTimeFieldsToTime(&t, &back));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats),         cmocka_unit_test(numbers_as_the_host_prints_them),
        cmocka_unit_test(run_time_printf), cmocka_unit_test(run_time_strings),
        cmocka_unit_test(bounded),         cmocka_unit_test(strings_in_both),
        cmocka_unit_test(addresses),       cmocka_unit_test(times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
