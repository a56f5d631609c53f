/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The C run-time's numbers: text to number and back, with Windows' 32-bit long; conversions of widths;
 * sorting and searching; random numbers of the world's seed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nt/crt.h"
#include "nt/text.h"
#include "rt/rt.h"

/* ---- text to number ---------------------------------------------------------------------------------------
 */
static unsigned digit(unsigned c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'z' ? c - 'a' + 10
           : c >= 'A' && c <= 'Z' ? c - 'A' + 10
                                  : 99;
}

/* The magnitude; the largest where it has no room. *end: units read, 0 where there is no number. */
static unsigned long long magnitude(const void *s, bool wide, int base, bool *negative, size_t *end)
{
#define AT(i) (wide ? ((const WCHAR *)s)[i] : ((const unsigned char *)s)[i])
    size_t i = 0, digits = 0;
    unsigned long long value = 0;
    bool over = false;

    *negative = false;
    *end = 0;
    if (base < 0 || base == 1 || base > 36)
        return 0;
    while (AT(i) == ' ' || (AT(i) >= '\t' && AT(i) <= '\r'))
        i++;
    if (AT(i) == '-' || AT(i) == '+')
        *negative = AT(i++) == '-';
    if ((base == 0 || base == 16) && AT(i) == '0' && (AT(i + 1) == 'x' || AT(i + 1) == 'X') &&
        digit(AT(i + 2)) < 16) {
        base = 16;
        i += 2;
    } else if (base == 0) {
        base = AT(i) == '0' ? 8 : 10;
    }
    for (; digit(AT(i)) < (unsigned)base; i++, digits++)
        over |= __builtin_mul_overflow(value, (unsigned)base, &value) ||
                __builtin_add_overflow(value, digit(AT(i)), &value);
    if (digits > 0)
        *end = i;
    return over ? ~0ull : value;
#undef AT
}

static long long as_signed(const void *s, bool wide, int base, long long least, long long most, size_t *end)
{
    bool negative;
    unsigned long long value = magnitude(s, wide, base, &negative, end);

    if (negative)
        return value > 0ull - (unsigned long long)least ? least : (long long)(0 - value);
    return value > (unsigned long long)most ? most : (long long)value;
}

static unsigned long long as_unsigned(const void *s, bool wide, int base, unsigned long long most,
                                      size_t *end)
{
    bool negative;
    unsigned long long value = magnitude(s, wide, base, &negative, end);

    if (value > most)
        return most;
    return negative ? (0 - value) & most : value;
}

#define FAMILY(T, is_wide, to_l, to_ul, to_ll, to_ull, a_i, a_i64)                                           \
    int to_l(const T *s, T **end, int base)                                                                  \
    {                                                                                                        \
        size_t at;                                                                                           \
        int value = (int)as_signed(s, is_wide, base, -0x7fffffffll - 1, 0x7fffffff, &at);                    \
        if (end != NULL)                                                                                     \
            *end = (T *)(uintptr_t)(s + at);                                                                 \
        return value;                                                                                        \
    }                                                                                                        \
    unsigned int to_ul(const T *s, T **end, int base)                                                        \
    {                                                                                                        \
        size_t at;                                                                                           \
        unsigned int value = (unsigned int)as_unsigned(s, is_wide, base, 0xffffffff, &at);                   \
        if (end != NULL)                                                                                     \
            *end = (T *)(uintptr_t)(s + at);                                                                 \
        return value;                                                                                        \
    }                                                                                                        \
    long long to_ll(const T *s, T **end, int base)                                                           \
    {                                                                                                        \
        size_t at;                                                                                           \
        long long value = as_signed(s, is_wide, base, -0x7fffffffffffffffll - 1, 0x7fffffffffffffffll, &at); \
        if (end != NULL)                                                                                     \
            *end = (T *)(uintptr_t)(s + at);                                                                 \
        return value;                                                                                        \
    }                                                                                                        \
    unsigned long long to_ull(const T *s, T **end, int base)                                                 \
    {                                                                                                        \
        size_t at;                                                                                           \
        unsigned long long value = as_unsigned(s, is_wide, base, ~0ull, &at);                                \
        if (end != NULL)                                                                                     \
            *end = (T *)(uintptr_t)(s + at);                                                                 \
        return value;                                                                                        \
    }                                                                                                        \
    int a_i(const T *s)                                                                                      \
    {                                                                                                        \
        return to_l(s, NULL, 10);                                                                            \
    }                                                                                                        \
    long long a_i64(const T *s)                                                                              \
    {                                                                                                        \
        return to_ll(s, NULL, 10);                                                                           \
    }
FAMILY(char, false, weir_crt_strtol, weir_crt_strtoul, weir_crt_strtoll, weir_crt_strtoull, weir_crt_atoi,
       weir_crt__atoi64)
FAMILY(WCHAR, true, weir_crt_wcstol, weir_crt_wcstoul, weir_crt_wcstoll, weir_crt_wcstoull, weir_crt__wtoi,
       weir_crt__wtoi64)

/* ---- number to text ---------------------------------------------------------------------------------------
 */
/* Negative numbers have a sign in base 10 only. */
static int print(unsigned long long value, bool negative, void *to, bool wide, size_t room, int base)
{
    char text[68];
    size_t n = 0;

    if (to == NULL || room == 0)
        return EINVAL;
    if (base < 2 || base > 36) {
        memset(to, 0, wide ? sizeof(WCHAR) : 1);
        return EINVAL;
    }
    if (negative)
        value = 0 - value;
    do {
        text[n++] = "0123456789abcdefghijklmnopqrstuvwxyz"[value % (unsigned)base];
        value /= (unsigned)base;
    } while (value != 0);
    if (negative)
        text[n++] = '-';
    if (n >= room) {
        memset(to, 0, wide ? sizeof(WCHAR) : 1);
        return ERANGE;
    }
    for (size_t i = 0; i <= n; i++) {
        char c = i == n ? 0 : text[n - 1 - i];
        if (wide)
            ((WCHAR *)to)[i] = (WCHAR)c;
        else
            ((char *)to)[i] = c;
    }
    return 0;
}

static bool minus(long long n, int base)
{
    return n < 0 && base == 10;
}

int weir_crt__itoa_s(int n, char *to, size_t room, int base)
{
    return print(minus(n, base) ? (unsigned long long)(long long)n : (unsigned)n, minus(n, base), to, false,
                 room, base);
}

int weir_crt__itow_s(int n, WCHAR *to, size_t room, int base)
{
    return print(minus(n, base) ? (unsigned long long)(long long)n : (unsigned)n, minus(n, base), to, true,
                 room, base);
}

int weir_crt__ultoa_s(unsigned int n, char *to, size_t room, int base)
{
    return print(n, false, to, false, room, base);
}

int weir_crt__ultow_s(unsigned int n, WCHAR *to, size_t room, int base)
{
    return print(n, false, to, true, room, base);
}

int weir_crt__ui64toa_s(unsigned long long n, char *to, size_t room, int base)
{
    return print(n, false, to, false, room, base);
}

int weir_crt__ui64tow_s(unsigned long long n, WCHAR *to, size_t room, int base)
{
    return print(n, false, to, true, room, base);
}

int weir_crt__i64toa_s(long long n, char *to, size_t room, int base)
{
    return print((unsigned long long)n, minus(n, base), to, false, room, base);
}

int weir_crt__i64tow_s(long long n, WCHAR *to, size_t room, int base)
{
    return print((unsigned long long)n, minus(n, base), to, true, room, base);
}

char *weir_crt__itoa(int n, char *to, int base)
{
    weir_crt__itoa_s(n, to, 68, base);
    return to;
}

WCHAR *weir_crt__itow(int n, WCHAR *to, int base)
{
    weir_crt__itow_s(n, to, 68, base);
    return to;
}

char *weir_crt__ultoa(unsigned int n, char *to, int base)
{
    weir_crt__ultoa_s(n, to, 68, base);
    return to;
}

WCHAR *weir_crt__ultow(unsigned int n, WCHAR *to, int base)
{
    weir_crt__ultow_s(n, to, 68, base);
    return to;
}

/* ---- widths: narrow is UTF-8
 * ------------------------------------------------------------------------------- */
/* Whole characters, count units at most; a NUL behind them if there is room. to NULL: counts only. */
size_t weir_crt_mbstowcs(WCHAR *to, const char *from, size_t count)
{
    size_t size = strlen(from), n = 0;

    if (to == NULL)
        return rtl_utf16_size(from, size);
    for (size_t at = 0; at < size;) {
        WCHAR units[2];
        unsigned m = rtl_utf16_put(rtl_utf8_next(from, size, &at), units);
        if (n + m > count)
            return n;
        memcpy(to + n, units, m * sizeof *to);
        n += m;
    }
    if (n < count)
        to[n] = 0;
    return n;
}

size_t weir_crt_wcstombs(char *to, const WCHAR *from, size_t count)
{
    size_t size = rtl_length(from), n = 0;

    if (to == NULL)
        return rtl_utf8_size(from, size);
    for (size_t at = 0; at < size;) {
        char bytes[4];
        unsigned m = rtl_utf8_put(rtl_utf16_next(from, size, &at), bytes);
        if (n + m > count)
            return n;
        memcpy(to + n, bytes, m);
        n += m;
    }
    if (n < count)
        to[n] = 0;
    return n;
}

#define TRUNCATE  ((size_t)-1)
#define STRUNCATE 80

int weir_crt_mbstowcs_s(size_t *done, WCHAR *to, size_t room, const char *from, size_t count)
{
    size_t need = weir_crt_mbstowcs(NULL, from, 0), n;

    if (to == NULL || room == 0) {
        if (done != NULL)
            *done = need + 1;
        return room == 0 && to == NULL ? 0 : EINVAL;
    }
    if (count != TRUNCATE && (need < count ? need : count) >= room) {
        to[0] = 0;
        return ERANGE;
    }
    n = weir_crt_mbstowcs(to, from, count < room - 1 ? count : room - 1);
    to[n] = 0;
    if (done != NULL)
        *done = n + 1;
    return count == TRUNCATE && n < need ? STRUNCATE : 0;
}

int weir_crt_wcstombs_s(size_t *done, char *to, size_t room, const WCHAR *from, size_t count)
{
    size_t need = weir_crt_wcstombs(NULL, from, 0), n;

    if (to == NULL || room == 0) {
        if (done != NULL)
            *done = need + 1;
        return room == 0 && to == NULL ? 0 : EINVAL;
    }
    if (count != TRUNCATE && (need < count ? need : count) >= room) {
        to[0] = 0;
        return ERANGE;
    }
    n = weir_crt_wcstombs(to, from, count < room - 1 ? count : room - 1);
    to[n] = 0;
    if (done != NULL)
        *done = n + 1;
    return count == TRUNCATE && n < need ? STRUNCATE : 0;
}

/* ---- others
 * ------------------------------------------------------------------------------------------------ */
void weir_crt_qsort(void *base, size_t count, size_t size, int (*compare)(const void *, const void *))
{
    qsort(base, count, size, compare);
}

void *weir_crt_bsearch(const void *key, const void *base, size_t count, size_t size,
                       int (*compare)(const void *, const void *))
{
    return bsearch(key, base, count, size, compare);
}

int weir_crt_rand(void)
{
    return (int)(rt_random() & 0x7fff);
}

void weir_crt_srand(unsigned int seed)
{
    (void)seed; /* the world's seed rules */
}

unsigned short weir_crt__byteswap_ushort(unsigned short n)
{
    return __builtin_bswap16(n);
}

unsigned int weir_crt__byteswap_ulong(unsigned int n)
{
    return __builtin_bswap32(n);
}

unsigned long long weir_crt__byteswap_uint64(unsigned long long n)
{
    return __builtin_bswap64(n);
}

unsigned int weir_crt__rotl(unsigned int n, int by)
{
    return n << (by & 31) | n >> (-by & 31);
}

unsigned int weir_crt__rotr(unsigned int n, int by)
{
    return n >> (by & 31) | n << (-by & 31);
}
