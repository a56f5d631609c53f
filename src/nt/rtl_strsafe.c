/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strings with a bound (ntstrsafe.h). All of one width come down to copy_*(), which puts units behind `at`
 * and says where the end is; the *Ex functions then do what their flags say with the rest or after a failure. The
 * documented functions are those of rtl_strsafe_family.h, included for each width and each way to count.
 */
#include "ntstrsafe.h"
#include "nt/internal.h"
#include "nt/text.h"

#define FLAGS_KNOWN                                                                                          \
    (0xffu | STRSAFE_IGNORE_NULLS | STRSAFE_FILL_BEHIND_NULL | STRSAFE_FILL_ON_FAILURE |                     \
     STRSAFE_NULL_ON_FAILURE | STRSAFE_NO_TRUNCATION)

/* The end of what an *Ex function wrote: units from the start, and how it went. */
struct result {
    size_t end;
    NTSTATUS status;
};

#define FAMILY(T, formatter)                                                                                 \
    static size_t length_##T(const T *s, size_t limit)                                                       \
    {                                                                                                        \
        size_t n = 0;                                                                                        \
        while (n < limit && s[n] != 0)                                                                       \
            n++;                                                                                             \
        return n;                                                                                            \
    }                                                                                                        \
    /* Up to `count` units of from behind `at`. */                                                           \
    static struct result copy_##T(T *to, size_t room, size_t at, const T *from, size_t count) {              \
        if (room == 0 || room > NTSTRSAFE_MAX_CCH)                                                           \
            return (struct result){0, STATUS_INVALID_PARAMETER};                                             \
        if (at >= room) /* what is there has no end */                                                       \
            return (struct result){0, STATUS_INVALID_PARAMETER};                                             \
        size_t n = length_##T(from, count < room - at ? count : room - at);                                  \
        bool cut = n == room - at;                                                                           \
        n -= cut;                                                                                            \
        memmove(to + at, from, n * sizeof(T));                                                               \
        to[at + n] = 0;                                                                                      \
        return (struct result){at + n, cut ? STATUS_BUFFER_OVERFLOW : STATUS_SUCCESS};                       \
    } static struct result print_##T(T *to, size_t room, const T *format, va_list args) {                    \
        if (room == 0 || room > NTSTRSAFE_MAX_CCH)                                                           \
            return (struct result){0, STATUS_INVALID_PARAMETER};                                             \
        size_t n = formatter(to, room, format, args);                                                        \
        return n < room ? (struct result){n, STATUS_SUCCESS}                                                 \
                        : (struct result){room - 1, STATUS_BUFFER_OVERFLOW};                                 \
    } /* What an *Ex function's flags ask for. bytes: of the target, also an odd one at its end. */          \
    static NTSTATUS finish_##T(T *to, size_t room, size_t bytes, struct result r, T **end, size_t *left,     \
                               bool left_in_bytes, ULONG flags)                                              \
    {                                                                                                        \
        if (room > NTSTRSAFE_MAX_CCH || (flags & ~FLAGS_KNOWN) != 0)                                         \
            return STATUS_INVALID_PARAMETER;                                                                 \
        if (!NT_SUCCESS(r.status) && room > 0) {                                                             \
            if (flags & STRSAFE_FILL_ON_FAILURE) {                                                           \
                memset(to, (int)(flags & 0xff), bytes);                                                      \
                to[room - 1] = 0;                                                                            \
                r.end = (flags & 0xff) == 0 ? 0 : room - 1;                                                  \
            }                                                                                                \
            if (flags & (STRSAFE_NULL_ON_FAILURE | STRSAFE_NO_TRUNCATION)) {                                 \
                to[0] = 0;                                                                                   \
                r.end = 0;                                                                                   \
            }                                                                                                \
        } else if (NT_SUCCESS(r.status) && flags & STRSAFE_FILL_BEHIND_NULL && room > 0) {                   \
            memset(to + r.end + 1, (int)(flags & 0xff), bytes - (r.end + 1) * sizeof(T));                    \
        }                                                                                                    \
        if (r.status == STATUS_INVALID_PARAMETER)                                                            \
            return r.status;                                                                                 \
        if (end != NULL)                                                                                     \
            *end = to + r.end;                                                                               \
        if (left != NULL)                                                                                    \
            *left = left_in_bytes ? bytes - r.end * sizeof(T) : room - r.end;                                \
        return r.status;                                                                                     \
    }                                                                                                        \
    static const T *source_##T(const T *from, ULONG flags)                                                   \
    {                                                                                                        \
        static const T empty[1];                                                                             \
        return from == NULL && flags & STRSAFE_IGNORE_NULLS ? empty : from;                                  \
    }
FAMILY(char, rtl_format)
FAMILY(WCHAR, rtl_format_wide)

#define WHOLE ((size_t)-1)

#define T          char
#define OF(what)   what##_char
#define NAME(what) RtlStringCch##what##A
#define PER        1
#include "nt/rtl_strsafe_family.h"
#define NAME(what) RtlStringCb##what##A
#define PER        sizeof(T)
#include "nt/rtl_strsafe_family.h"
#undef T
#undef OF

#define T          WCHAR
#define OF(what)   what##_WCHAR
#define NAME(what) RtlStringCch##what##W
#define PER        1
#include "nt/rtl_strsafe_family.h"
#define NAME(what) RtlStringCb##what##W
#define PER        sizeof(T)
#include "nt/rtl_strsafe_family.h"
#undef T
#undef OF

/* ---- counted strings: no terminator
 * ------------------------------------------------------------------------- */
NTSTATUS RtlUnicodeStringValidate(PCUNICODE_STRING SourceString)
{
    return SourceString == NULL ? STATUS_INVALID_PARAMETER : RtlValidateUnicodeString(0, SourceString);
}

NTSTATUS RtlUnicodeStringValidateEx(PCUNICODE_STRING SourceString, ULONG dwFlags)
{
    if (SourceString == NULL && dwFlags & STRSAFE_IGNORE_NULLS)
        return STATUS_SUCCESS;
    return RtlUnicodeStringValidate(SourceString);
}

NTSTATUS RtlUnicodeStringInitEx(PUNICODE_STRING DestinationString, const WCHAR *pszSrc, ULONG dwFlags)
{
    size_t n = pszSrc == NULL ? 0 : length_WCHAR(pszSrc, NTSTRSAFE_UNICODE_STRING_MAX_CCH + 1);

    if (DestinationString == NULL || (dwFlags & ~FLAGS_KNOWN) != 0 || n > NTSTRSAFE_UNICODE_STRING_MAX_CCH)
        return STATUS_INVALID_PARAMETER;
    DestinationString->Length = (USHORT)(n * sizeof(WCHAR));
    DestinationString->MaximumLength =
        (USHORT)(pszSrc == NULL                         ? 0
                 : n < NTSTRSAFE_UNICODE_STRING_MAX_CCH ? (n + 1) * sizeof(WCHAR)
                                                        : n * sizeof(WCHAR));
    DestinationString->Buffer = (PWCH)(uintptr_t)pszSrc;
    return STATUS_SUCCESS;
}

NTSTATUS RtlUnicodeStringInit(PUNICODE_STRING DestinationString, const WCHAR *pszSrc)
{
    return RtlUnicodeStringInitEx(DestinationString, pszSrc, 0);
}

/* Puts n units behind `at`. */
static NTSTATUS counted(PUNICODE_STRING to, size_t at, const WCHAR *from, size_t n)
{
    size_t room = to->MaximumLength / sizeof(WCHAR);
    NTSTATUS status = STATUS_SUCCESS;

    if (!NT_SUCCESS(RtlUnicodeStringValidate(to)))
        return STATUS_INVALID_PARAMETER;
    if (n > room - at) {
        n = room - at;
        status = STATUS_BUFFER_OVERFLOW;
    }
    if (n > 0)
        memmove(to->Buffer + at, from, n * sizeof(WCHAR));
    to->Length = (USHORT)((at + n) * sizeof(WCHAR));
    return status;
}

static size_t at_most(size_t n, size_t limit)
{
    return n < limit ? n : limit;
}

NTSTATUS RtlUnicodeStringCopy(PUNICODE_STRING to, PCUNICODE_STRING from)
{
    if (!NT_SUCCESS(RtlUnicodeStringValidate(from)))
        return STATUS_INVALID_PARAMETER;
    return counted(to, 0, from->Buffer, from->Length / sizeof(WCHAR));
}

NTSTATUS RtlUnicodeStringCopyString(PUNICODE_STRING to, const WCHAR *from)
{
    return counted(to, 0, from, length_WCHAR(from, NTSTRSAFE_UNICODE_STRING_MAX_CCH));
}

NTSTATUS RtlUnicodeStringCchCopyN(PUNICODE_STRING to, PCUNICODE_STRING from, size_t count)
{
    if (!NT_SUCCESS(RtlUnicodeStringValidate(from)))
        return STATUS_INVALID_PARAMETER;
    return counted(to, 0, from->Buffer, at_most(from->Length / sizeof(WCHAR), count));
}

NTSTATUS RtlUnicodeStringCchCopyStringN(PUNICODE_STRING to, const WCHAR *from, size_t count)
{
    return counted(to, 0, from, length_WCHAR(from, at_most(count, NTSTRSAFE_UNICODE_STRING_MAX_CCH)));
}

NTSTATUS RtlUnicodeStringCbCopyN(PUNICODE_STRING to, PCUNICODE_STRING from, size_t count)
{
    if (!NT_SUCCESS(RtlUnicodeStringValidate(from)))
        return STATUS_INVALID_PARAMETER;
    return counted(to, 0, from->Buffer, at_most(from->Length / sizeof(WCHAR), count / sizeof(WCHAR)));
}

NTSTATUS RtlUnicodeStringCbCopyStringN(PUNICODE_STRING to, const WCHAR *from, size_t count)
{
    return counted(to, 0, from,
                   length_WCHAR(from, at_most(count / sizeof(WCHAR), NTSTRSAFE_UNICODE_STRING_MAX_CCH)));
}

NTSTATUS RtlUnicodeStringCat(PUNICODE_STRING to, PCUNICODE_STRING from)
{
    if (!NT_SUCCESS(RtlUnicodeStringValidate(from)))
        return STATUS_INVALID_PARAMETER;
    return counted(to, to->Length / sizeof(WCHAR), from->Buffer, from->Length / sizeof(WCHAR));
}

NTSTATUS RtlUnicodeStringCatString(PUNICODE_STRING to, const WCHAR *from)
{
    return counted(to, to->Length / sizeof(WCHAR), from,
                   length_WCHAR(from, NTSTRSAFE_UNICODE_STRING_MAX_CCH));
}

NTSTATUS RtlUnicodeStringCchCatN(PUNICODE_STRING to, PCUNICODE_STRING from, size_t count)
{
    if (!NT_SUCCESS(RtlUnicodeStringValidate(from)))
        return STATUS_INVALID_PARAMETER;
    return counted(to, to->Length / sizeof(WCHAR), from->Buffer,
                   at_most(from->Length / sizeof(WCHAR), count));
}

NTSTATUS RtlUnicodeStringCchCatStringN(PUNICODE_STRING to, const WCHAR *from, size_t count)
{
    return counted(to, to->Length / sizeof(WCHAR), from,
                   length_WCHAR(from, at_most(count, NTSTRSAFE_UNICODE_STRING_MAX_CCH)));
}

NTSTATUS RtlUnicodeStringCbCatN(PUNICODE_STRING to, PCUNICODE_STRING from, size_t count)
{
    if (!NT_SUCCESS(RtlUnicodeStringValidate(from)))
        return STATUS_INVALID_PARAMETER;
    return counted(to, to->Length / sizeof(WCHAR), from->Buffer,
                   at_most(from->Length / sizeof(WCHAR), count / sizeof(WCHAR)));
}

NTSTATUS RtlUnicodeStringCbCatStringN(PUNICODE_STRING to, const WCHAR *from, size_t count)
{
    return counted(to, to->Length / sizeof(WCHAR), from,
                   length_WCHAR(from, at_most(count / sizeof(WCHAR), NTSTRSAFE_UNICODE_STRING_MAX_CCH)));
}

NTSTATUS RtlUnicodeStringVPrintf(PUNICODE_STRING DestinationString, const WCHAR *pszFormat, va_list argList)
{
    size_t room = DestinationString->MaximumLength / sizeof(WCHAR);

    if (!NT_SUCCESS(RtlUnicodeStringValidate(DestinationString)))
        return STATUS_INVALID_PARAMETER;
    /* The formatter wants room for a NUL, which a counted string need not have. */
    size_t n = rtl_format_wide(NULL, 0, pszFormat, argList);
    WCHAR *all = nt_pool_alloc((n + 1) * sizeof(WCHAR), RTL_TAG, NT_SITE);
    if (all == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    rtl_format_wide(all, n + 1, pszFormat, argList);
    NTSTATUS status = n <= room ? STATUS_SUCCESS : STATUS_BUFFER_OVERFLOW;
    counted(DestinationString, 0, all, n);
    if (n < room)
        DestinationString->Buffer[n] = 0;
    nt_pool_free(all, NT_SITE);
    return status;
}

NTSTATUS RtlUnicodeStringPrintf(PUNICODE_STRING DestinationString, const WCHAR *pszFormat, ...)
{
    va_list args;

    va_start(args, pszFormat);
    NTSTATUS status = RtlUnicodeStringVPrintf(DestinationString, pszFormat, args);
    va_end(args);
    return status;
}
