/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The C run-time's strings: wide ones, and what Windows has beside the host's for narrow ones. One body makes
 * the narrow and the wide function where both are needed.
 *
 * The *_s functions: EINVAL for a NULL or no room, ERANGE where it does not fit (the target is then empty),
 * STRUNCATE where it was cut because _TRUNCATE was asked for. No handler is called.
 */
#include <errno.h>
#include <string.h>

#include "nt/crt.h"
#include "nt/text.h"

#define TRUNCATE  ((size_t)-1)
#define STRUNCATE 80

static int lower(int c)
{
    return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

static int upper(int c)
{
    return c >= 'a' && c <= 'z' ? c - 32 : c;
}

static int fold_char(char c)
{
    return lower((unsigned char)c);
}

static int fold_WCHAR(WCHAR c)
{
    return rtl_downcase(c);
}

static char lower_char(char c)
{
    return (char)lower(c);
}

static char upper_char(char c)
{
    return (char)upper(c);
}

/* ---- of both widths -------------------------------------------------------------------------------------
 */
#define FAMILY(T, str, _str, plain)                                                                          \
    static size_t length_##T(const T *s, size_t room)                                                        \
    {                                                                                                        \
        size_t n = 0;                                                                                        \
        while (n < room && s[n] != 0)                                                                        \
            n++;                                                                                             \
        return n;                                                                                            \
    }                                                                                                        \
    int weir_crt__##_str##icmp(const T *a, const T *b)                                                       \
    {                                                                                                        \
        while (*a != 0 && fold_##T(*a) == fold_##T(*b)) {                                                    \
            a++;                                                                                             \
            b++;                                                                                             \
        }                                                                                                    \
        return fold_##T(*a) - fold_##T(*b);                                                                  \
    }                                                                                                        \
    int weir_crt__##_str##nicmp(const T *a, const T *b, size_t count)                                        \
    {                                                                                                        \
        for (; count > 0; count--, a++, b++)                                                                 \
            if (*a == 0 || fold_##T(*a) != fold_##T(*b))                                                     \
                return fold_##T(*a) - fold_##T(*b);                                                          \
        return 0;                                                                                            \
    }                                                                                                        \
    T *weir_crt__##_str##rev(T *s)                                                                           \
    {                                                                                                        \
        size_t n = length_##T(s, (size_t)-1);                                                                \
        for (size_t i = 0; i < n / 2; i++) {                                                                 \
            T c = s[i];                                                                                      \
            s[i] = s[n - 1 - i];                                                                             \
            s[n - 1 - i] = c;                                                                                \
        }                                                                                                    \
        return s;                                                                                            \
    }                                                                                                        \
    size_t weir_crt_##str##nlen_s(const T *s, size_t room)                                                   \
    {                                                                                                        \
        return s == NULL ? 0 : length_##T(s, room);                                                          \
    }                                                                                                        \
    /* Puts from behind `at`, count units at most. */                                                        \
    static int put_##T(T *to, size_t room, size_t at, const T *from, size_t count)                           \
    {                                                                                                        \
        if (from == NULL && count != 0) {                                                                    \
            to[0] = 0;                                                                                       \
            return EINVAL;                                                                                   \
        }                                                                                                    \
        size_t n = count == 0 ? 0 : length_##T(from, count == TRUNCATE ? room - at : count);                 \
        if (n >= room - at) {                                                                                \
            if (count != TRUNCATE) {                                                                         \
                to[0] = 0;                                                                                   \
                return ERANGE;                                                                               \
            }                                                                                                \
            memmove(to + at, from, (room - at - 1) * sizeof(T));                                             \
            to[room - 1] = 0;                                                                                \
            return STRUNCATE;                                                                                \
        }                                                                                                    \
        if (n > 0)                                                                                           \
            memmove(to + at, from, n * sizeof(T));                                                           \
        to[at + n] = 0;                                                                                      \
        return 0;                                                                                            \
    }                                                                                                        \
    int weir_crt_##str##cpy_s(T *to, size_t room, const T *from)                                             \
    {                                                                                                        \
        return to == NULL || room == 0 ? EINVAL : put_##T(to, room, 0, from, (size_t)-2);                    \
    }                                                                                                        \
    int weir_crt_##str##ncpy_s(T *to, size_t room, const T *from, size_t count)                              \
    {                                                                                                        \
        return to == NULL || room == 0 ? EINVAL : put_##T(to, room, 0, from, count);                         \
    }                                                                                                        \
    int weir_crt_##str##ncat_s(T *to, size_t room, const T *from, size_t count)                              \
    {                                                                                                        \
        if (to == NULL || room == 0)                                                                         \
            return EINVAL;                                                                                   \
        size_t at = length_##T(to, room);                                                                    \
        if (at == room) {                                                                                    \
            to[0] = 0;                                                                                       \
            return EINVAL;                                                                                   \
        }                                                                                                    \
        return put_##T(to, room, at, from, count);                                                           \
    }                                                                                                        \
    int weir_crt_##str##cat_s(T *to, size_t room, const T *from)                                             \
    {                                                                                                        \
        return weir_crt_##str##ncat_s(to, room, from, (size_t)-2);                                           \
    }                                                                                                        \
    static bool in_##T(T c, const T *set)                                                                    \
    {                                                                                                        \
        while (*set != 0)                                                                                    \
            if (*set++ == c)                                                                                 \
                return true;                                                                                 \
        return false;                                                                                        \
    }                                                                                                        \
    T *weir_crt_##str##tok_s(T *s, const T *set, T **context)                                                \
    {                                                                                                        \
        if (s == NULL)                                                                                       \
            s = *context;                                                                                    \
        while (*s != 0 && in_##T(*s, set))                                                                   \
            s++;                                                                                             \
        *context = s;                                                                                        \
        if (*s == 0)                                                                                         \
            return NULL;                                                                                     \
        T *start = s;                                                                                        \
        while (*s != 0 && !in_##T(*s, set))                                                                  \
            s++;                                                                                             \
        if (*s != 0)                                                                                         \
            *s++ = 0;                                                                                        \
        *context = s;                                                                                        \
        return start;                                                                                        \
    }                                                                                                        \
    T *weir_crt__##_str##lwr(T *s)                                                                           \
    {                                                                                                        \
        for (T *at = s; *at != 0; at++)                                                                      \
            *at = plain##_lower(*at);                                                                        \
        return s;                                                                                            \
    }                                                                                                        \
    T *weir_crt__##_str##upr(T *s)                                                                           \
    {                                                                                                        \
        for (T *at = s; *at != 0; at++)                                                                      \
            *at = plain##_upper(*at);                                                                        \
        return s;                                                                                            \
    }
#define narrow_lower lower_char
#define narrow_upper upper_char
#define wide_lower   rtl_downcase
#define wide_upper   rtl_upcase
FAMILY(char, str, str, narrow)
FAMILY(WCHAR, wcs, wcs, wide)

/* ---- narrow ---------------------------------------------------------------------------------------------
 */
char *weir_crt__strset(char *s, int c)
{
    memset(s, c, strlen(s));
    return s;
}

char *weir_crt__strnset(char *s, int c, size_t size)
{
    memset(s, c, strnlen(s, size));
    return s;
}

int weir_crt__memicmp(const void *a, const void *b, size_t size)
{
    const unsigned char *x = a, *y = b;

    for (size_t i = 0; i < size; i++)
        if (lower(x[i]) != lower(y[i]))
            return lower(x[i]) - lower(y[i]);
    return 0;
}

int weir_crt_memcpy_s(void *to, size_t room, const void *from, size_t size)
{
    if (size == 0)
        return 0;
    if (to == NULL)
        return EINVAL;
    if (from == NULL || room < size) {
        memset(to, 0, room);
        return from == NULL ? EINVAL : ERANGE;
    }
    memcpy(to, from, size);
    return 0;
}

int weir_crt_memmove_s(void *to, size_t room, const void *from, size_t size)
{
    if (size == 0)
        return 0;
    if (to == NULL || from == NULL)
        return EINVAL;
    if (room < size)
        return ERANGE;
    memmove(to, from, size);
    return 0;
}

/* ---- wide -----------------------------------------------------------------------------------------------
 */
size_t weir_crt_wcslen(const WCHAR *s)
{
    return rtl_length(s);
}

size_t weir_crt_wcsnlen(const WCHAR *s, size_t room)
{
    return length_WCHAR(s, room);
}

WCHAR *weir_crt_wcscpy(WCHAR *to, const WCHAR *from)
{
    memcpy(to, from, (rtl_length(from) + 1) * sizeof *to);
    return to;
}

WCHAR *weir_crt_wcsncpy(WCHAR *to, const WCHAR *from, size_t count)
{
    size_t n = length_WCHAR(from, count);

    memcpy(to, from, n * sizeof *to);
    memset(to + n, 0, (count - n) * sizeof *to);
    return to;
}

WCHAR *weir_crt_wcscat(WCHAR *to, const WCHAR *from)
{
    weir_crt_wcscpy(to + rtl_length(to), from);
    return to;
}

WCHAR *weir_crt_wcsncat(WCHAR *to, const WCHAR *from, size_t count)
{
    size_t at = rtl_length(to), n = length_WCHAR(from, count);

    memcpy(to + at, from, n * sizeof *to);
    to[at + n] = 0;
    return to;
}

int weir_crt_wcscmp(const WCHAR *a, const WCHAR *b)
{
    while (*a != 0 && *a == *b) {
        a++;
        b++;
    }
    return *a < *b ? -1 : *a > *b;
}

int weir_crt_wcsncmp(const WCHAR *a, const WCHAR *b, size_t count)
{
    for (; count > 0; count--, a++, b++)
        if (*a == 0 || *a != *b)
            return (int)*a - (int)*b;
    return 0;
}

WCHAR *weir_crt_wcschr(const WCHAR *s, WCHAR c)
{
    while (*s != c)
        if (*s++ == 0)
            return NULL;
    return (WCHAR *)(uintptr_t)s;
}

WCHAR *weir_crt_wcsrchr(const WCHAR *s, WCHAR c)
{
    const WCHAR *last = NULL;

    do
        if (*s == c)
            last = s;
    while (*s++ != 0);
    return (WCHAR *)(uintptr_t)last;
}

WCHAR *weir_crt_wcsstr(const WCHAR *s, const WCHAR *what)
{
    size_t n = rtl_length(what);

    for (size_t left = rtl_length(s); left >= n; left--, s++)
        if (memcmp(s, what, n * sizeof *s) == 0)
            return (WCHAR *)(uintptr_t)s;
    return NULL;
}

size_t weir_crt_wcsspn(const WCHAR *s, const WCHAR *set)
{
    size_t n = 0;

    while (s[n] != 0 && in_WCHAR(s[n], set))
        n++;
    return n;
}

size_t weir_crt_wcscspn(const WCHAR *s, const WCHAR *set)
{
    size_t n = 0;

    while (s[n] != 0 && !in_WCHAR(s[n], set))
        n++;
    return n;
}

WCHAR *weir_crt_wcspbrk(const WCHAR *s, const WCHAR *set)
{
    s += weir_crt_wcscspn(s, set);
    return *s == 0 ? NULL : (WCHAR *)(uintptr_t)s;
}

WCHAR *weir_crt_wmemcpy(WCHAR *to, const WCHAR *from, size_t count)
{
    return memcpy(to, from, count * sizeof *to);
}

WCHAR *weir_crt_wmemmove(WCHAR *to, const WCHAR *from, size_t count)
{
    return memmove(to, from, count * sizeof *to);
}

WCHAR *weir_crt_wmemset(WCHAR *to, WCHAR value, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] = value;
    return to;
}

int weir_crt_wmemcmp(const WCHAR *a, const WCHAR *b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (a[i] != b[i])
            return a[i] < b[i] ? -1 : 1;
    return 0;
}

WCHAR *weir_crt_wmemchr(const WCHAR *s, WCHAR c, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (s[i] == c)
            return (WCHAR *)(uintptr_t)(s + i);
    return NULL;
}

/* ---- kinds of characters: ASCII, and letters by their case ------------------------------------------------
 */
USHORT weir_crt_towlower(USHORT c)
{
    return rtl_downcase(c);
}

USHORT weir_crt_towupper(USHORT c)
{
    return rtl_upcase(c);
}

int weir_crt_iswupper(USHORT c)
{
    return rtl_downcase(c) != c;
}

int weir_crt_iswlower(USHORT c)
{
    return rtl_upcase(c) != c;
}

int weir_crt_iswalpha(USHORT c)
{
    return weir_crt_iswupper(c) || weir_crt_iswlower(c);
}

int weir_crt_iswdigit(USHORT c)
{
    return c >= '0' && c <= '9';
}

int weir_crt_iswxdigit(USHORT c)
{
    return weir_crt_iswdigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

int weir_crt_iswspace(USHORT c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || c == 0x85 || c == 0xa0;
}

int weir_crt_iswalnum(USHORT c)
{
    return weir_crt_iswalpha(c) || weir_crt_iswdigit(c);
}

int weir_crt_iswprint(USHORT c)
{
    return c >= ' ' && c != 0x7f && (c < 0x80 || c >= 0xa0);
}

int weir_crt_iswpunct(USHORT c)
{
    return weir_crt_iswprint(c) && !weir_crt_iswalnum(c) && !weir_crt_iswspace(c);
}
