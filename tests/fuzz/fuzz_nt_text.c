/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the kernel's text. The first byte chooses:
 *   0  the rest is a format, with arguments that fit any directive (pointers to strings of both widths that
 * are NUL terminated for either); narrow and wide formatters agree in what they count with and without room
 *   1  the rest is UTF-8: to UTF-16 and back; what was well-formed comes back as it was
 *   2  the rest is an address: what parses prints, and parses again to the same bytes
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ip2string.h"
#include "nt/format.h"
#include "nt/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(what)                                                                                        \
    do {                                                                                                     \
        if (!(what)) {                                                                                       \
            fprintf(stderr, "fuzz_nt_text: not so: %s (line %d)\n", #what, __LINE__);                        \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

static size_t format(char *out, size_t room, const char *text, ...)
{
    va_list args;

    va_start(args, text);
    size_t n = rtl_format(out, room, text, args);
    va_end(args);
    return n;
}

/* Every argument may be read as int, pointer, string of either width or counted string: an object that is a
 * STRING, a UNICODE_STRING and, as text, ends at once. */
static void formats(const char *text)
{
    static _Alignas(16) unsigned char anything[32]; /* zero: empty strings, NULL buffers */
    char out[64];

    for (const char *p = text; *p != 0; p++) /* no directive reads a double where a pointer was passed */
        if (strchr("eEfFgGaAL", *p) != NULL || *p == '*')
            return;
#define A anything, anything, anything, anything, anything, anything, anything, anything
#define B A, A, A, A, A, A, A, A
    if (strlen(text) > 64)
        return;
    size_t whole = format(NULL, 0, text, B);
    size_t cut = format(out, sizeof out, text, B);
#undef A
#undef B
    REQUIRE(whole == cut);
    REQUIRE(strnlen(out, sizeof out) < sizeof out);
}

static void conversions(const char *text, size_t size)
{
    size_t units, bytes = rtl_utf16_size(text, size);
    WCHAR *wide = rtl_wide_of(text, &units);

    if (wide == NULL)
        return;
    if (strlen(text) == size)
        REQUIRE(units == bytes);
    char *back = rtl_utf8_of(wide, units);
    if (back != NULL && strstr(back, "\xef\xbf\xbd") == NULL)
        REQUIRE(strcmp(back, text) == 0);
    free(back);
    free(wide);
}

static void addresses(const char *text)
{
    const char *end, *stop;
    char out[64];
    IN6_ADDR six, six_again;
    IN_ADDR four, four_again;

    if (NT_SUCCESS(RtlIpv6StringToAddressA(text, &end, &six))) {
        RtlIpv6AddressToStringA(&six, out);
        REQUIRE(NT_SUCCESS(RtlIpv6StringToAddressA(out, &stop, &six_again)) && *stop == 0);
        REQUIRE(memcmp(&six, &six_again, sizeof six) == 0);
    }
    REQUIRE(end >= text && end <= text + strlen(text));
    if (NT_SUCCESS(RtlIpv4StringToAddressA(text, FALSE, &end, &four))) {
        RtlIpv4AddressToStringA(&four, out);
        REQUIRE(NT_SUCCESS(RtlIpv4StringToAddressA(out, TRUE, &stop, &four_again)) && *stop == 0);
        REQUIRE(memcmp(&four, &four_again, sizeof four) == 0);
    }
    ULONG scope;
    USHORT port;
    (void)RtlIpv6StringToAddressExA(text, &six, &scope, &port);
    (void)RtlIpv4StringToAddressExA(text, TRUE, &four, &port);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 4096)
        return 0;
    char *text = malloc(size);
    if (text == NULL)
        return 0;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = 0;
    if (data[0] % 3 == 0)
        formats(text);
    else if (data[0] % 3 == 1)
        conversions(text, strlen(text));
    else
        addresses(text);
    free(text);
    return 0;
}
