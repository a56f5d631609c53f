/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IP and Ethernet addresses as text, and back. Each parser reads units of either width through struct text
 * and says where it stopped; the documented functions are thin pairs (A, W) over one body. Any IRQL.
 *
 * IPv4: strict is four decimal parts without leading zeroes; else one to four parts, decimal, octal (0) or
 * hexadecimal (0x), the last of which fills what is left. IPv6: RFC 4291 with an IPv4 address at the end;
 * printed with the longest run of two or more zero words shortened, the first of equals, and IPv4-mapped,
 * -compatible and ISATAP addresses with a dotted end.
 */
#include <stdio.h>

#include "ip2string.h"
#include "nt/internal.h"

struct text {
    const void *units;
    bool wide;
};

static unsigned at(const struct text *t, size_t i)
{
    return t->wide ? ((const WCHAR *)t->units)[i] : ((const unsigned char *)t->units)[i];
}

static int digit_of(unsigned c, unsigned base)
{
    unsigned value = c >= '0' && c <= '9'   ? c - '0'
                     : c >= 'a' && c <= 'f' ? c - 'a' + 10
                     : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                            : 16;

    return value < base ? (int)value : -1;
}

/* ---- IPv4 --------------------------------------------------------------------------------------------- */
/* One part; false: there is none, or it does not fit into 32 bits. */
static bool part_of_v4(const struct text *t, size_t *i, bool strict, uint64_t *value)
{
    unsigned base = 10;
    size_t digits = 0;

    if (at(t, *i) == '0' && (at(t, *i + 1) == 'x' || at(t, *i + 1) == 'X')) {
        if (strict)
            return false;
        base = 16;
        *i += 2;
    } else if (at(t, *i) == '0' && digit_of(at(t, *i + 1), 10) >= 0) {
        if (strict)
            return false;
        base = 8;
        *i += 1;
    }
    *value = 0;
    for (int d; (d = digit_of(at(t, *i), base)) >= 0; ++*i, digits++) {
        *value = *value * base + (unsigned)d;
        if (*value > 0xffffffff)
            return false;
    }
    return digits > 0;
}

/* *end: where it stopped, also when it failed. */
static bool parse_v4(const struct text *t, bool strict, size_t *end, uint8_t out[4])
{
    uint64_t parts[4], all = 0;
    size_t i = *end, n = 0;
    bool good = true;

    for (;;) {
        good = part_of_v4(t, &i, strict, &parts[n]);
        if (!good)
            break;
        n++;
        if (n == 4 || at(t, i) != '.')
            break;
        if (strict && parts[n - 1] > 255) {
            good = false;
            break;
        }
        i++;
    }
    *end = i;
    if (!good || (strict && n != 4))
        return false;
    for (size_t j = 0; j + 1 < n; j++) {
        if (parts[j] > 255)
            return false;
        all |= parts[j] << (24 - 8 * j);
    }
    if (parts[n - 1] > 0xffffffffull >> (8 * (n - 1)))
        return false;
    all |= parts[n - 1];
    for (size_t j = 0; j < 4; j++)
        out[j] = (uint8_t)(all >> (24 - 8 * j));
    return true;
}

/* ---- IPv6 --------------------------------------------------------------------------------------------- */
static bool parse_v6(const struct text *t, size_t *end, uint8_t out[16])
{
    uint8_t bytes[16] = {0};
    size_t i = *end, n = 0; /* bytes so far */
    int gap = -1;           /* where :: stands, in bytes */

    if (at(t, i) == ':') {
        if (at(t, i + 1) != ':')
            return false;
        gap = 0;
        i += 2;
    }
    while (n < 16) {
        size_t start = i, digits = 0;
        unsigned value = 0;
        int d;

        while (digits < 4 && (d = digit_of(at(t, i), 16)) >= 0) {
            value = value << 4 | (unsigned)d;
            i++;
            digits++;
        }
        if (digits == 0)
            break;
        if (digit_of(at(t, i), 16) >= 0) {
            *end = i;
            return false; /* a fifth digit */
        }
        if (at(t, i) == '.' && n <= 12) { /* the last four bytes as IPv4 */
            size_t v4 = start;
            if (!parse_v4(t, true, &v4, bytes + n)) {
                *end = v4;
                return false;
            }
            i = v4;
            n += 4;
            break;
        }
        bytes[n++] = (uint8_t)(value >> 8);
        bytes[n++] = (uint8_t)value;
        if (n == 16 || at(t, i) != ':')
            break;
        if (at(t, i + 1) == ':') {
            if (gap >= 0)
                break;
            gap = (int)n;
            i += 2;
        } else if (digit_of(at(t, i + 1), 16) >= 0) {
            i++;
        } else {
            break;
        }
    }
    *end = i;
    if (gap < 0 && n != 16)
        return false;
    if (gap >= 0) {
        if (n > 14)
            return false; /* :: stands for at least one word */
        memmove(bytes + 16 - (n - (size_t)gap), bytes + gap, n - (size_t)gap);
        memset(bytes + gap, 0, 16 - n);
    }
    memcpy(out, bytes, 16);
    return true;
}

static int print_v4(char *out, size_t size, const uint8_t a[4])
{
    return snprintf(out, size, "%u.%u.%u.%u", a[0], a[1], a[2], a[3]);
}

static bool zero(const uint8_t *a, size_t n)
{
    while (n-- > 0)
        if (*a++ != 0)
            return false;
    return true;
}

static bool ends_dotted(const uint8_t a[16])
{
    if (zero(a, 10) && a[10] == 0xff && a[11] == 0xff) /* mapped */
        return true;
    if (zero(a, 12) && (a[12] != 0 || a[13] != 0)) /* compatible */
        return true;
    return (a[8] & ~2) == 0 && a[9] == 0 && a[10] == 0x5e && a[11] == 0xfe; /* ISATAP */
}

static int print_v6(char *out, size_t size, const uint8_t a[16])
{
    size_t words = ends_dotted(a) ? 6 : 8, best = 8, best_length = 1, n = 0;

    for (size_t i = 0; i < words;) {
        size_t run = 0;
        while (i + run < words && a[2 * (i + run)] == 0 && a[2 * (i + run) + 1] == 0)
            run++;
        if (run > best_length) {
            best = i;
            best_length = run;
        }
        i += run + 1;
    }
    out[0] = 0;
    for (size_t i = 0; i < words;) {
        if (i == best) {
            n += (size_t)snprintf(out + n, size - n, "::");
            i += best_length;
            continue;
        }
        bool colon = i > 0 && out[n - 1] != ':';
        n += (size_t)snprintf(out + n, size - n, "%s%x", colon ? ":" : "", a[2 * i] << 8 | a[2 * i + 1]);
        i++;
    }
    if (words == 6) {
        if (out[n - 1] != ':')
            out[n++] = ':';
        n += (size_t)print_v4(out + n, size - n, a + 12);
    }
    return (int)n;
}

/* ---- the documented functions -------------------------------------------------------------------------- */
enum { TEXT_MAX = 80 };

static void widen(const char *text, WCHAR *out)
{
    do
        *out++ = (unsigned char)*text;
    while (*text++ != 0);
}

/* *length: in characters, with the NUL, there and back. */
static NTSTATUS give(const char *text, bool wide, void *out, PULONG length)
{
    ULONG need = (ULONG)strlen(text) + 1;

    if (length == NULL || (out == NULL && *length != 0))
        return STATUS_INVALID_PARAMETER;
    if (*length < need) {
        *length = need;
        return STATUS_INVALID_PARAMETER;
    }
    *length = need;
    if (wide)
        widen(text, out);
    else
        memcpy(out, text, need);
    return STATUS_SUCCESS;
}

/* A decimal port behind a colon up to the end; in host order. */
static bool parse_port(const struct text *t, size_t i, unsigned *port)
{
    size_t digits = 0;

    *port = 0;
    for (int d; (d = digit_of(at(t, i), 10)) >= 0; i++, digits++)
        if ((*port = *port * 10 + (unsigned)d) > 0xffff)
            return false;
    return digits > 0 && at(t, i) == 0;
}

static NTSTATUS v4_ex(const struct text *t, BOOLEAN strict, IN_ADDR *address, PUSHORT port)
{
    size_t end = 0;
    unsigned number = 0;
    uint8_t bytes[4];

    if (t->units == NULL || address == NULL || port == NULL || !parse_v4(t, strict, &end, bytes))
        return STATUS_INVALID_PARAMETER;
    if (at(t, end) == ':' ? !parse_port(t, end + 1, &number) : at(t, end) != 0)
        return STATUS_INVALID_PARAMETER;
    memcpy(address, bytes, 4);
    *port = __builtin_bswap16((USHORT)number);
    return STATUS_SUCCESS;
}

static NTSTATUS v6_ex(const struct text *t, IN6_ADDR *address, PULONG scope, PUSHORT port)
{
    bool bracket;
    size_t end = 0;
    unsigned number = 0;
    uint64_t zone = 0;
    uint8_t bytes[16];

    if (t->units == NULL || address == NULL || scope == NULL || port == NULL)
        return STATUS_INVALID_PARAMETER;
    bracket = at(t, 0) == '[';
    end = bracket;
    if (!parse_v6(t, &end, bytes))
        return STATUS_INVALID_PARAMETER;
    if (at(t, end) == '%') {
        size_t digits = 0;
        end++;
        for (int d; (d = digit_of(at(t, end), 10)) >= 0; end++, digits++)
            if ((zone = zone * 10 + (unsigned)d) > 0xffffffff)
                return STATUS_INVALID_PARAMETER;
        if (digits == 0)
            return STATUS_INVALID_PARAMETER;
    }
    if (bracket && at(t, end++) != ']')
        return STATUS_INVALID_PARAMETER;
    if (bracket && at(t, end) == ':' ? !parse_port(t, end + 1, &number) : at(t, end) != 0)
        return STATUS_INVALID_PARAMETER;
    memcpy(address, bytes, 16);
    *scope = (ULONG)zone;
    *port = __builtin_bswap16((USHORT)number);
    return STATUS_SUCCESS;
}

static bool parse_ethernet(const struct text *t, size_t *end, uint8_t out[6])
{
    size_t i = 0, n = 0;
    unsigned separator = 0;

    for (; n < 6; n++) {
        if (n > 0) {
            if (separator == 0)
                separator = at(t, i);
            if ((separator != '-' && separator != ':') || at(t, i) != separator)
                break;
            i++;
        }
        int high = digit_of(at(t, i), 16), low = high < 0 ? -1 : digit_of(at(t, i + 1), 16);
        if (low < 0)
            break;
        out[n] = (uint8_t)(high << 4 | low);
        i += 2;
    }
    *end = i;
    return n == 6;
}

static void v4_ex_text(const IN_ADDR *address, USHORT port, char *text)
{
    int n = print_v4(text, TEXT_MAX, (const uint8_t *)address);

    if (port != 0)
        snprintf(text + n, TEXT_MAX - (size_t)n, ":%u", __builtin_bswap16(port));
}

static void v6_ex_text(const IN6_ADDR *address, ULONG scope, USHORT port, char *text)
{
    size_t n = 0;

    if (port != 0)
        text[n++] = '[';
    n += (size_t)print_v6(text + n, TEXT_MAX - n, (const uint8_t *)address);
    if (scope != 0)
        n += (size_t)snprintf(text + n, TEXT_MAX - n, "%%%u", scope);
    if (port != 0)
        snprintf(text + n, TEXT_MAX - n, "]:%u", __builtin_bswap16(port));
}

PSTR RtlIpv4AddressToStringA(const IN_ADDR *Addr, PSTR S)
{
    return S + print_v4(S, 16, (const uint8_t *)Addr);
}

PWSTR RtlIpv4AddressToStringW(const IN_ADDR *Addr, PWSTR S)
{
    char text[TEXT_MAX];
    int n = print_v4(text, sizeof text, (const uint8_t *)Addr);

    widen(text, S);
    return S + n;
}

PSTR RtlIpv6AddressToStringA(const IN6_ADDR *Addr, PSTR S)
{
    return S + print_v6(S, 46, (const uint8_t *)Addr);
}

PWSTR RtlIpv6AddressToStringW(const IN6_ADDR *Addr, PWSTR S)
{
    char text[TEXT_MAX];
    int n = print_v6(text, sizeof text, (const uint8_t *)Addr);

    widen(text, S);
    return S + n;
}

PSTR RtlEthernetAddressToStringA(const DL_EUI48 *Addr, PSTR S)
{
    const UCHAR *b = Addr->Byte;

    return S + snprintf(S, 18, "%02X-%02X-%02X-%02X-%02X-%02X", b[0], b[1], b[2], b[3], b[4], b[5]);
}

PWSTR RtlEthernetAddressToStringW(const DL_EUI48 *Addr, PWSTR S)
{
    char text[TEXT_MAX];
    char *end = RtlEthernetAddressToStringA(Addr, text);

    widen(text, S);
    return S + (end - text);
}

#define PAIR(suffix, CHARACTER, is_wide)                                                                     \
    NTSTATUS RtlIpv4AddressToStringEx##suffix(const IN_ADDR *Address, USHORT Port, CHARACTER *AddressString, \
                                              PULONG AddressStringLength)                                    \
    {                                                                                                        \
        char text[TEXT_MAX];                                                                                 \
                                                                                                             \
        if (Address == NULL)                                                                                 \
            return STATUS_INVALID_PARAMETER;                                                                 \
        v4_ex_text(Address, Port, text);                                                                     \
        return give(text, is_wide, AddressString, AddressStringLength);                                      \
    }                                                                                                        \
    NTSTATUS RtlIpv6AddressToStringEx##suffix(const IN6_ADDR *Address, ULONG ScopeId, USHORT Port,           \
                                              CHARACTER *AddressString, PULONG AddressStringLength)          \
    {                                                                                                        \
        char text[TEXT_MAX];                                                                                 \
                                                                                                             \
        if (Address == NULL)                                                                                 \
            return STATUS_INVALID_PARAMETER;                                                                 \
        v6_ex_text(Address, ScopeId, Port, text);                                                            \
        return give(text, is_wide, AddressString, AddressStringLength);                                      \
    }                                                                                                        \
    NTSTATUS RtlIpv4StringToAddress##suffix(const CHARACTER *S, BOOLEAN Strict,                              \
                                            const CHARACTER **Terminator, IN_ADDR *Addr)                     \
    {                                                                                                        \
        struct text t = {S, is_wide};                                                                        \
        size_t end = 0;                                                                                      \
        uint8_t bytes[4];                                                                                    \
        bool good = parse_v4(&t, Strict, &end, bytes);                                                       \
                                                                                                             \
        *Terminator = S + end;                                                                               \
        if (good)                                                                                            \
            memcpy(Addr, bytes, 4);                                                                          \
        return good ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER;                                             \
    }                                                                                                        \
    NTSTATUS RtlIpv6StringToAddress##suffix(const CHARACTER *S, const CHARACTER **Terminator,                \
                                            IN6_ADDR *Addr)                                                  \
    {                                                                                                        \
        struct text t = {S, is_wide};                                                                        \
        size_t end = 0;                                                                                      \
        uint8_t bytes[16];                                                                                   \
        bool good = parse_v6(&t, &end, bytes);                                                               \
                                                                                                             \
        *Terminator = S + end;                                                                               \
        if (good)                                                                                            \
            memcpy(Addr, bytes, 16);                                                                         \
        return good ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER;                                             \
    }                                                                                                        \
    NTSTATUS RtlEthernetStringToAddress##suffix(const CHARACTER *S, const CHARACTER **Terminator,            \
                                                DL_EUI48 *Addr)                                              \
    {                                                                                                        \
        struct text t = {S, is_wide};                                                                        \
        size_t end = 0;                                                                                      \
        uint8_t bytes[6];                                                                                    \
        bool good = parse_ethernet(&t, &end, bytes);                                                         \
                                                                                                             \
        *Terminator = S + end;                                                                               \
        if (good)                                                                                            \
            memcpy(Addr, bytes, 6);                                                                          \
        return good ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER;                                             \
    }                                                                                                        \
    NTSTATUS RtlIpv4StringToAddressEx##suffix(const CHARACTER *AddressString, BOOLEAN Strict,                \
                                              IN_ADDR *Address, PUSHORT Port)                                \
    {                                                                                                        \
        struct text t = {AddressString, is_wide};                                                            \
        return v4_ex(&t, Strict, Address, Port);                                                             \
    }                                                                                                        \
    NTSTATUS RtlIpv6StringToAddressEx##suffix(const CHARACTER *AddressString, IN6_ADDR *Address,             \
                                              PULONG ScopeId, PUSHORT Port)                                  \
    {                                                                                                        \
        struct text t = {AddressString, is_wide};                                                            \
        return v6_ex(&t, Address, ScopeId, Port);                                                            \
    }
PAIR(A, char, false)
PAIR(W, WCHAR, true)
