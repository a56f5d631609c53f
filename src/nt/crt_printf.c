/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The C run-time's printf family over rtl_format(), with Windows' return values and NULs:
 *
 *   _snprintf      no NUL where the text fills the room exactly (returns its length) or is longer (returns
 * -1) snprintf       C99: always a NUL, the whole length swprintf       always a NUL, -1 where it was cut
 *   sprintf_s      the target is empty and -1 where it does not fit
 *   _snprintf_s    up to `count` characters and a NUL, -1 where it was cut by count; _TRUNCATE: by the room
 */
#include <stdlib.h>
#include <string.h>

#include "nt/crt.h"
#include "nt/format.h"
#include "nt/text.h"

#define TRUNCATE ((size_t)-1)

/* Without a NUL where it does not fit: formatted into a copy one longer. */
static int fill_narrow(char *to, size_t room, const char *format, va_list args)
{
    size_t length = rtl_format(to, room, format, args);

    if (length < room)
        return (int)length;
    if (room > 0) { /* the formatter put a NUL where Windows puts a character */
        char *all = malloc(length + 1);
        if (all == NULL)
            return -1;
        rtl_format(all, length + 1, format, args);
        memcpy(to, all, room);
        free(all);
    }
    return length == room ? (int)length : -1;
}

static int fill_wide(WCHAR *to, size_t room, const WCHAR *format, va_list args)
{
    size_t length = rtl_format_wide(to, room, format, args);

    if (length < room)
        return (int)length;
    if (room > 0) {
        WCHAR *all = malloc((length + 1) * sizeof *all);
        if (all == NULL)
            return -1;
        rtl_format_wide(all, length + 1, format, args);
        memcpy(to, all, room * sizeof *to);
        free(all);
    }
    return length == room ? (int)length : -1;
}

#define FAMILY(T, formatter, fill, vs_s, s_s, vsn, sn, vsn_s, sn_s)                                          \
    int vs_s(T *to, size_t room, const T *format, va_list args)                                              \
    {                                                                                                        \
        if (to == NULL || room == 0 || format == NULL)                                                       \
            return -1;                                                                                       \
        size_t length = formatter(to, room, format, args);                                                   \
        if (length < room)                                                                                   \
            return (int)length;                                                                              \
        to[0] = 0;                                                                                           \
        return -1;                                                                                           \
    }                                                                                                        \
    int s_s(T *to, size_t room, const T *format, ...)                                                        \
    {                                                                                                        \
        va_list args;                                                                                        \
        va_start(args, format);                                                                              \
        int result = vs_s(to, room, format, args);                                                           \
        va_end(args);                                                                                        \
        return result;                                                                                       \
    }                                                                                                        \
    int vsn(T *to, size_t room, const T *format, va_list args)                                               \
    {                                                                                                        \
        return fill(to, room, format, args);                                                                 \
    }                                                                                                        \
    int sn(T *to, size_t room, const T *format, ...)                                                         \
    {                                                                                                        \
        va_list args;                                                                                        \
        va_start(args, format);                                                                              \
        int result = fill(to, room, format, args);                                                           \
        va_end(args);                                                                                        \
        return result;                                                                                       \
    }                                                                                                        \
    int vsn_s(T *to, size_t room, size_t count, const T *format, va_list args)                               \
    {                                                                                                        \
        if (to == NULL || room == 0 || format == NULL)                                                       \
            return -1;                                                                                       \
        size_t limit = count == TRUNCATE || count >= room ? room : count + 1;                                \
        size_t length = formatter(to, limit, format, args);                                                  \
        if (length < limit)                                                                                  \
            return (int)length;                                                                              \
        if (count != TRUNCATE && count >= room)                                                              \
            to[0] = 0;                                                                                       \
        return -1;                                                                                           \
    }                                                                                                        \
    int sn_s(T *to, size_t room, size_t count, const T *format, ...)                                         \
    {                                                                                                        \
        va_list args;                                                                                        \
        va_start(args, format);                                                                              \
        int result = vsn_s(to, room, count, format, args);                                                   \
        va_end(args);                                                                                        \
        return result;                                                                                       \
    }
FAMILY(char, rtl_format, fill_narrow, weir_crt_vsprintf_s, weir_crt_sprintf_s, weir_crt__vsnprintf,
       weir_crt__snprintf, weir_crt__vsnprintf_s, weir_crt__snprintf_s)
FAMILY(WCHAR, rtl_format_wide, fill_wide, weir_crt_vswprintf_s, weir_crt_swprintf_s, weir_crt__vsnwprintf,
       weir_crt__snwprintf, weir_crt__vsnwprintf_s, weir_crt__snwprintf_s)

int weir_crt_vsprintf(char *to, const char *format, va_list args)
{
    return (int)rtl_format(to, 0x7fffffff, format, args);
}

int weir_crt_sprintf(char *to, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int result = weir_crt_vsprintf(to, format, args);
    va_end(args);
    return result;
}

int weir_crt_vsnprintf(char *to, size_t room, const char *format, va_list args)
{
    return (int)rtl_format(to, room, format, args);
}

int weir_crt_snprintf(char *to, size_t room, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int result = weir_crt_vsnprintf(to, room, format, args);
    va_end(args);
    return result;
}

int weir_crt_vswprintf(WCHAR *to, size_t room, const WCHAR *format, va_list args)
{
    size_t length = rtl_format_wide(to, room, format, args);

    return length < room ? (int)length : -1;
}

int weir_crt_swprintf(WCHAR *to, size_t room, const WCHAR *format, ...)
{
    va_list args;

    va_start(args, format);
    int result = weir_crt_vswprintf(to, room, format, args);
    va_end(args);
    return result;
}

int weir_crt__scprintf(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int result = (int)rtl_format(NULL, 0, format, args);
    va_end(args);
    return result;
}

/* ---- sscanf_s: numbers, words, characters -----------------------------------------------------------------
 */
static bool blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static int digit(char c, unsigned base)
{
    unsigned value = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                     : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                     : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
                                            : 99;

    return value < base ? (int)value : -1;
}

static bool scan_number(const char **s, unsigned base, size_t width, unsigned long long *value)
{
    const char *at = *s, *end = width == 0 ? at + strlen(at) : at + strnlen(at, width);
    bool negative = false;
    size_t digits = 0;

    if (at < end && (*at == '-' || *at == '+'))
        negative = *at++ == '-';
    if ((base == 16 || base == 0) && end - at > 2 && at[0] == '0' && (at[1] == 'x' || at[1] == 'X') &&
        digit(at[2], 16) >= 0) {
        base = 16;
        at += 2;
    } else if (base == 0) {
        base = at < end && *at == '0' ? 8 : 10;
    }
    *value = 0;
    for (; at < end && digit(*at, base) >= 0; at++, digits++)
        *value = *value * base + (unsigned)digit(*at, base);
    if (negative)
        *value = -*value;
    *s = at;
    return digits > 0;
}

static void store(void *to, unsigned bits, unsigned long long value)
{
    if (bits == 8)
        *(UINT8 *)to = (UINT8)value;
    else if (bits == 16)
        *(UINT16 *)to = (UINT16)value;
    else if (bits == 32)
        *(UINT32 *)to = (UINT32)value;
    else
        *(UINT64 *)to = value;
}

/* %d %i %u %x %o (h hh l ll I64), %s %c (each with its size as unsigned), %n, %%; a star takes and forgets.
 */
int weir_crt_sscanf_s(const char *s, const char *format, ...)
{
    const char *start = s;
    int stored = 0;
    va_list args;

    va_start(args, format);
    for (; *format != 0; format++) {
        if (blank(*format)) {
            while (blank(*s))
                s++;
            continue;
        }
        if (*format != '%' || format[1] == '%') {
            format += *format == '%';
            if (*s != *format)
                break;
            s++;
            continue;
        }
        bool forget = *++format == '*';
        size_t width = 0;
        unsigned bits = 32;
        format += forget;
        while (*format >= '0' && *format <= '9')
            width = width * 10 + (size_t)(*format++ - '0');
        for (; *format == 'h' || *format == 'l'; format++)
            bits = *format == 'h' ? bits / 2 : format[1] == 'l' ? 64 : bits;
        if (strncmp(format, "I64", 3) == 0) {
            bits = 64;
            format += 3;
        }
        unsigned long long value;
        switch (*format) {
        case 'd':
        case 'i':
        case 'u':
        case 'x':
        case 'X':
        case 'o':
            while (blank(*s))
                s++;
            if (*s == 0 && stored == 0) {
                stored = -1;
                goto out;
            }
            if (!scan_number(&s,
                             *format == 'i'                     ? 0
                             : *format == 'o'                   ? 8
                             : *format == 'x' || *format == 'X' ? 16
                                                                : 10,
                             width, &value))
                goto out;
            if (!forget) {
                store(va_arg(args, void *), bits, value);
                stored++;
            }
            break;
        case 's':
        case 'c': {
            size_t n = 0, limit = width != 0 ? width : *format == 'c' ? 1 : (size_t)-1;
            bool word = *format == 's';
            while (word && blank(*s))
                s++;
            if (*s == 0) {
                stored = stored == 0 ? -1 : stored;
                goto out;
            }
            while (s[n] != 0 && n < limit && !(word && blank(s[n])))
                n++;
            if (!forget) {
                char *to = va_arg(args, char *);
                unsigned room = va_arg(args, unsigned);
                if (n + word > room) { /* too small: nothing is stored */
                    if (room > 0)
                        to[0] = 0;
                    goto out;
                }
                memcpy(to, s, n);
                if (word)
                    to[n] = 0;
                stored++;
            }
            s += n;
            break;
        }
        case 'n':
            *va_arg(args, int *) = (int)(s - start);
            break;
        default:
            goto out;
        }
    }
out:
    va_end(args);
    return stored;
}
