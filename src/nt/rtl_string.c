/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counted strings: made, copied, appended, compared, hashed, duplicated, matched. Lengths are bytes, without
 * a terminator. What only moves bytes runs at any IRQL; what folds case is for APC_LEVEL and below.
 */
#include <stdlib.h>

#include "nt/fault.h"
#include "nt/internal.h"
#include "nt/text.h"

#define MAX_BYTES 0xfffcu /* even, with room for a NUL in MaximumLength */

size_t rtl_length(const WCHAR *s)
{
    size_t n = 0;

    while (s[n] != 0)
        n++;
    return n;
}

int32_t rtl_compare_units(const WCHAR *a, size_t a_length, const WCHAR *b, size_t b_length, bool fold)
{
    for (size_t i = 0; i < a_length && i < b_length; i++) {
        WCHAR x = a[i], y = b[i];
        if (x == y)
            continue;
        if (fold) {
            x = rtl_upcase(x);
            y = rtl_upcase(y);
        }
        if (x != y)
            return (int32_t)x - (int32_t)y;
    }
    return (int32_t)a_length - (int32_t)b_length;
}

/* ---- made --------------------------------------------------------------------------------------------- */
VOID RtlInitUnicodeString(PUNICODE_STRING DestinationString, PCWSTR SourceString)
{
    size_t bytes = SourceString == NULL ? 0 : rtl_length(SourceString) * sizeof(WCHAR);

    if (bytes > MAX_BYTES)
        bytes = MAX_BYTES;
    DestinationString->Length = (USHORT)bytes;
    DestinationString->MaximumLength = (USHORT)(SourceString == NULL ? 0 : bytes + sizeof(WCHAR));
    DestinationString->Buffer = (PWCH)(uintptr_t)SourceString;
}

NTSTATUS RtlInitUnicodeStringEx(PUNICODE_STRING DestinationString, PCWSTR SourceString)
{
    if (SourceString != NULL && rtl_length(SourceString) * sizeof(WCHAR) > MAX_BYTES)
        return STATUS_NAME_TOO_LONG;
    RtlInitUnicodeString(DestinationString, SourceString);
    return STATUS_SUCCESS;
}

VOID RtlInitString(PSTRING DestinationString, PCSZ SourceString)
{
    size_t bytes = SourceString == NULL ? 0 : strlen(SourceString);

    if (bytes > 0xfffe)
        bytes = 0xfffe;
    DestinationString->Length = (USHORT)bytes;
    DestinationString->MaximumLength = (USHORT)(SourceString == NULL ? 0 : bytes + 1);
    DestinationString->Buffer = (PCHAR)(uintptr_t)SourceString;
}

NTSTATUS RtlInitStringEx(PSTRING DestinationString, PCSZ SourceString)
{
    if (SourceString != NULL && strlen(SourceString) > 0xfffe)
        return STATUS_NAME_TOO_LONG;
    RtlInitString(DestinationString, SourceString);
    return STATUS_SUCCESS;
}

VOID RtlInitAnsiString(PANSI_STRING DestinationString, PCSZ SourceString)
{
    RtlInitString(DestinationString, SourceString);
}

NTSTATUS RtlInitAnsiStringEx(PANSI_STRING DestinationString, PCSZ SourceString)
{
    return RtlInitStringEx(DestinationString, SourceString);
}

VOID RtlInitUTF8String(PSTRING DestinationString, PCSZ SourceString)
{
    RtlInitString(DestinationString, SourceString);
}

/* ---- copied, appended --------------------------------------------------------------------------------- */
VOID RtlCopyUnicodeString(PUNICODE_STRING DestinationString, PCUNICODE_STRING SourceString)
{
    USHORT n = SourceString == NULL ? 0 : SourceString->Length;

    if (n > DestinationString->MaximumLength)
        n = DestinationString->MaximumLength & ~1u;
    if (n > 0)
        memmove(DestinationString->Buffer, SourceString->Buffer, n);
    DestinationString->Length = n;
    if (n + sizeof(WCHAR) <= DestinationString->MaximumLength)
        DestinationString->Buffer[n / sizeof(WCHAR)] = 0;
}

VOID RtlCopyString(PSTRING DestinationString, const STRING *SourceString)
{
    USHORT n = SourceString == NULL ? 0 : SourceString->Length;

    if (n > DestinationString->MaximumLength)
        n = DestinationString->MaximumLength;
    if (n > 0)
        memmove(DestinationString->Buffer, SourceString->Buffer, n);
    DestinationString->Length = n;
}

static NTSTATUS append_units(PUNICODE_STRING to, const WCHAR *from, size_t bytes)
{
    if (bytes == 0)
        return STATUS_SUCCESS;
    if (to->Length + bytes > to->MaximumLength)
        return STATUS_BUFFER_TOO_SMALL;
    memmove((char *)to->Buffer + to->Length, from, bytes);
    to->Length = (USHORT)(to->Length + bytes);
    if (to->Length + sizeof(WCHAR) <= to->MaximumLength)
        to->Buffer[to->Length / sizeof(WCHAR)] = 0;
    return STATUS_SUCCESS;
}

NTSTATUS RtlAppendUnicodeToString(PUNICODE_STRING Destination, PCWSTR Source)
{
    return Source == NULL ? STATUS_SUCCESS
                          : append_units(Destination, Source, rtl_length(Source) * sizeof(WCHAR));
}

NTSTATUS RtlAppendUnicodeStringToString(PUNICODE_STRING Destination, PCUNICODE_STRING Source)
{
    return append_units(Destination, Source->Buffer, Source->Length);
}

NTSTATUS RtlAppendStringToString(PSTRING Destination, const STRING *Source)
{
    if (Source->Length == 0)
        return STATUS_SUCCESS;
    if (Destination->Length + Source->Length > Destination->MaximumLength)
        return STATUS_BUFFER_TOO_SMALL;
    memmove(Destination->Buffer + Destination->Length, Source->Buffer, Source->Length);
    Destination->Length = (USHORT)(Destination->Length + Source->Length);
    return STATUS_SUCCESS;
}

NTSTATUS RtlAppendAsciizToString(PSTRING Destination, PCSZ Source)
{
    STRING s;

    if (Source == NULL)
        return STATUS_SUCCESS;
    if (strlen(Source) > 0xffff)
        return STATUS_BUFFER_TOO_SMALL;
    s.Length = s.MaximumLength = (USHORT)strlen(Source);
    s.Buffer = (PCHAR)(uintptr_t)Source;
    return RtlAppendStringToString(Destination, &s);
}

/* ---- compared ----------------------------------------------------------------------------------------- */
LONG RtlCompareUnicodeStrings(PCWCH String1, SIZE_T String1Length, PCWCH String2, SIZE_T String2Length,
                              BOOLEAN CaseInSensitive)
{
    if (CaseInSensitive)
        NT_IRQL_MAX(APC_LEVEL);
    return rtl_compare_units(String1, String1Length, String2, String2Length, CaseInSensitive);
}

LONG RtlCompareUnicodeString(PCUNICODE_STRING String1, PCUNICODE_STRING String2, BOOLEAN CaseInSensitive)
{
    if (CaseInSensitive)
        NT_IRQL_MAX(APC_LEVEL);
    return rtl_compare_units(String1->Buffer, String1->Length / sizeof(WCHAR), String2->Buffer,
                             String2->Length / sizeof(WCHAR), CaseInSensitive);
}

BOOLEAN RtlEqualUnicodeString(PCUNICODE_STRING String1, PCUNICODE_STRING String2, BOOLEAN CaseInSensitive)
{
    if (CaseInSensitive)
        NT_IRQL_MAX(APC_LEVEL);
    return String1->Length == String2->Length &&
           rtl_compare_units(String1->Buffer, String1->Length / sizeof(WCHAR), String2->Buffer,
                             String2->Length / sizeof(WCHAR), CaseInSensitive) == 0;
}

LONG RtlCompareString(const STRING *String1, const STRING *String2, BOOLEAN CaseInSensitive)
{
    for (USHORT i = 0; i < String1->Length && i < String2->Length; i++) {
        CHAR x = String1->Buffer[i], y = String2->Buffer[i];
        if (CaseInSensitive) {
            x = RtlUpperChar(x);
            y = RtlUpperChar(y);
        }
        if (x != y)
            return (LONG)(UCHAR)x - (LONG)(UCHAR)y;
    }
    return (LONG)String1->Length - (LONG)String2->Length;
}

BOOLEAN RtlEqualString(const STRING *String1, const STRING *String2, BOOLEAN CaseInSensitive)
{
    return RtlCompareString(String1, String2, CaseInSensitive) == 0;
}

BOOLEAN RtlPrefixUnicodeString(PCUNICODE_STRING String1, PCUNICODE_STRING String2, BOOLEAN CaseInSensitive)
{
    size_t n = String1->Length / sizeof(WCHAR);

    if (CaseInSensitive)
        NT_IRQL_MAX(APC_LEVEL);
    return String1->Length <= String2->Length &&
           rtl_compare_units(String1->Buffer, n, String2->Buffer, n, CaseInSensitive) == 0;
}

BOOLEAN RtlSuffixUnicodeString(PCUNICODE_STRING String1, PCUNICODE_STRING String2, BOOLEAN CaseInSensitive)
{
    size_t n = String1->Length / sizeof(WCHAR), all = String2->Length / sizeof(WCHAR);

    if (CaseInSensitive)
        NT_IRQL_MAX(APC_LEVEL);
    return n <= all && (n == 0 || rtl_compare_units(String1->Buffer, n, String2->Buffer + (all - n), n,
                                                    CaseInSensitive) == 0);
}

BOOLEAN RtlPrefixString(const STRING *String1, const STRING *String2, BOOLEAN CaseInSensitive)
{
    STRING head = *String2;

    if (String1->Length > String2->Length)
        return FALSE;
    head.Length = String1->Length;
    return RtlEqualString(String1, &head, CaseInSensitive);
}

NTSTATUS RtlHashUnicodeString(PCUNICODE_STRING String, BOOLEAN CaseInSensitive, ULONG HashAlgorithm,
                              PULONG HashValue)
{
    ULONG hash = 0;

    if (String == NULL || HashValue == NULL)
        return STATUS_INVALID_PARAMETER;
    if (HashAlgorithm != HASH_STRING_ALGORITHM_DEFAULT && HashAlgorithm != HASH_STRING_ALGORITHM_X65599)
        return STATUS_INVALID_PARAMETER;
    for (USHORT i = 0; i < String->Length / sizeof(WCHAR); i++)
        hash = hash * 65599 + (CaseInSensitive ? rtl_upcase(String->Buffer[i]) : String->Buffer[i]);
    *HashValue = hash;
    return STATUS_SUCCESS;
}

NTSTATUS RtlValidateUnicodeString(ULONG Flags, PCUNICODE_STRING String)
{
    if (Flags != 0)
        return STATUS_INVALID_PARAMETER;
    if (String == NULL)
        return STATUS_SUCCESS;
    if (String->Length % 2 != 0 || String->MaximumLength % 2 != 0 || String->Length > String->MaximumLength)
        return STATUS_INVALID_PARAMETER;
    if (String->Buffer == NULL && (String->Length != 0 || String->MaximumLength != 0))
        return STATUS_INVALID_PARAMETER;
    return STATUS_SUCCESS;
}

/* ---- duplicated, freed -------------------------------------------------------------------------------- */
NTSTATUS RtlDuplicateUnicodeString(ULONG Flags, PCUNICODE_STRING StringIn, PUNICODE_STRING StringOut)
{
    NT_FAIL_STATUS(RtlDuplicateUnicodeString);
    size_t terminator = Flags & RTL_DUPLICATE_UNICODE_STRING_NULL_TERMINATE ? sizeof(WCHAR) : 0;

    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (StringIn == NULL || StringOut == NULL || (Flags & ~3u) != 0 ||
        Flags == RTL_DUPLICATE_UNICODE_STRING_ALLOCATE_NULL_STRING ||
        !NT_SUCCESS(RtlValidateUnicodeString(0, StringIn)))
        return STATUS_INVALID_PARAMETER;
    *StringOut = (UNICODE_STRING){0, 0, NULL};
    if (StringIn->Length == 0 && !(Flags & RTL_DUPLICATE_UNICODE_STRING_ALLOCATE_NULL_STRING))
        return STATUS_SUCCESS;
    if (StringIn->Length + terminator > 0xfffe)
        return STATUS_NAME_TOO_LONG;
    WCHAR *buffer = nt_pool_alloc(StringIn->Length + terminator, RTL_TAG, NT_SITE);
    if (buffer == NULL)
        return STATUS_NO_MEMORY;
    if (StringIn->Length > 0)
        memcpy(buffer, StringIn->Buffer, StringIn->Length);
    if (terminator != 0)
        buffer[StringIn->Length / sizeof(WCHAR)] = 0;
    *StringOut = (UNICODE_STRING){StringIn->Length, (USHORT)(StringIn->Length + terminator), buffer};
    return STATUS_SUCCESS;
}

VOID RtlFreeUnicodeString(PUNICODE_STRING UnicodeString)
{
    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (UnicodeString->Buffer != NULL)
        nt_pool_free(UnicodeString->Buffer, NT_SITE);
    *UnicodeString = (UNICODE_STRING){0, 0, NULL};
}

VOID RtlFreeAnsiString(PANSI_STRING AnsiString)
{
    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (AnsiString->Buffer != NULL)
        nt_pool_free(AnsiString->Buffer, NT_SITE);
    *AnsiString = (ANSI_STRING){0, 0, NULL};
}

VOID RtlFreeUTF8String(PUTF8_STRING Utf8String)
{
    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (Utf8String->Buffer != NULL)
        nt_pool_free(Utf8String->Buffer, NT_SITE);
    *Utf8String = (UTF8_STRING){0, 0, NULL};
}

/* ---- matched ------------------------------------------------------------------------------------------ */
/*
 * Wild cards of names: * any characters, ? one; DOS_STAR (<) up to the last dot, DOS_QM (>) one or none at a
 * dot or the end, DOS_DOT (") a dot or the end. Greedy with one point to come back to for each star would not
 * do for <, so the states are kept as a set: bit j says that the expression is matched up to its unit j.
 * Linear in the product of the lengths, no recursion.
 */
static bool matches(const WCHAR *pattern, size_t p, const WCHAR *name, size_t n, bool fold)
{
    uint8_t *now = calloc(2, p + 1), *next = now + p + 1;
    bool result = false;

    if (now == NULL)
        return false;
    size_t last_dot = n;
    for (size_t i = 0; i < n; i++)
        if (name[i] == '.')
            last_dot = i;
    now[0] = 1;
    for (size_t i = 0; i <= n; i++) {
        for (size_t j = 0; j < p; j++) { /* steps that take no character */
            bool at_end = i == n, at_dot = !at_end && name[i] == '.';
            if (now[j] && (pattern[j] == '*' || pattern[j] == '<' ||
                           (pattern[j] == '>' && (at_end || at_dot)) || (pattern[j] == '"' && at_end)))
                now[j + 1] = 1;
        }
        if (i == n)
            break;
        memset(next, 0, p + 1);
        WCHAR c = fold ? rtl_upcase(name[i]) : name[i];
        for (size_t j = 0; j < p; j++) {
            if (!now[j])
                continue;
            if (pattern[j] == '*' || (pattern[j] == '<' && i != last_dot))
                next[j] = 1;
            if (pattern[j] == '?' || (pattern[j] == '>' && name[i] != '.') ||
                (pattern[j] == '"' && name[i] == '.') || (pattern[j] == c && pattern[j] != '*'))
                next[j + 1] = 1;
        }
        memcpy(now, next, p + 1);
    }
    result = now[p];
    free(now);
    return result;
}

BOOLEAN RtlIsNameInExpression(PUNICODE_STRING Expression, PUNICODE_STRING Name, BOOLEAN IgnoreCase,
                              PWCH UpcaseTable)
{
    (void)UpcaseTable;
    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (Expression->Length == 0 || Name->Length == 0)
        return Expression->Length == Name->Length;
    return matches(Expression->Buffer, Expression->Length / sizeof(WCHAR), Name->Buffer,
                   Name->Length / sizeof(WCHAR), IgnoreCase);
}
