/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers and GUIDs as text, and back; random numbers; multiplication and division of old
 * interfaces.
 */
#include <stdio.h>

#include "nt/fault.h"
#include "nt/internal.h"
#include "nt/text.h"

static bool base_is_known(ULONG base)
{
    return base == 0 || base == 2 || base == 8 || base == 10 || base == 16;
}

static NTSTATUS number_to_string(ULONGLONG value, ULONG base, PUNICODE_STRING string)
{
    WCHAR digits[64];
    size_t n = 0;

    if (!base_is_known(base))
        return STATUS_INVALID_PARAMETER;
    if (base == 0)
        base = 10;
    do {
        digits[n++] = (WCHAR) "0123456789ABCDEF"[value % base];
        value /= base;
    } while (value != 0);
    if (n * sizeof(WCHAR) > string->MaximumLength)
        return STATUS_BUFFER_OVERFLOW;
    for (size_t i = 0; i < n; i++)
        string->Buffer[i] = digits[n - 1 - i];
    string->Length = (USHORT)(n * sizeof(WCHAR));
    if (string->Length + sizeof(WCHAR) <= string->MaximumLength)
        string->Buffer[n] = 0;
    return STATUS_SUCCESS;
}

NTSTATUS RtlIntegerToUnicodeString(ULONG Value, ULONG Base, PUNICODE_STRING String)
{
    NT_IRQL_MAX(PASSIVE_LEVEL);
    return number_to_string(Value, Base, String);
}

NTSTATUS RtlInt64ToUnicodeString(ULONGLONG Value, ULONG Base, PUNICODE_STRING String)
{
    NT_IRQL_MAX(PASSIVE_LEVEL);
    return number_to_string(Value, Base, String);
}

/* Blanks, a sign, a base (0x, 0o, 0b where base is 0), digits as far as there are any. *at: where it stopped.
 */
static NTSTATUS parse(const WCHAR *text, size_t length, ULONG base, ULONGLONG *value, size_t *at)
{
    size_t i = 0;
    bool negative = false;

    if (!base_is_known(base))
        return STATUS_INVALID_PARAMETER;
    while (i < length && text[i] != 0 && text[i] <= ' ')
        i++;
    if (i < length && (text[i] == '-' || text[i] == '+'))
        negative = text[i++] == '-';
    if (base == 0) {
        base = 10;
        if (i + 1 < length && text[i] == '0') {
            WCHAR letter = text[i + 1];
            base = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 10;
            if (base != 10)
                i += 2;
        }
    }
    *value = 0;
    for (; i < length; i++) {
        WCHAR c = text[i];
        ULONG digit = c >= '0' && c <= '9'   ? (ULONG)(c - '0')
                      : c >= 'a' && c <= 'f' ? (ULONG)(c - 'a' + 10)
                      : c >= 'A' && c <= 'F' ? (ULONG)(c - 'A' + 10)
                                             : 16;
        if (digit >= base)
            break;
        *value = *value * base + digit;
    }
    if (negative)
        *value = -*value;
    *at = i;
    return STATUS_SUCCESS;
}

NTSTATUS RtlUnicodeStringToInteger(PCUNICODE_STRING String, ULONG Base, PULONG Value)
{
    ULONGLONG value;
    size_t at;

    NT_IRQL_MAX(PASSIVE_LEVEL);
    NTSTATUS status = parse(String->Buffer, String->Length / sizeof(WCHAR), Base, &value, &at);
    if (NT_SUCCESS(status))
        *Value = (ULONG)value;
    return status;
}

NTSTATUS RtlUnicodeStringToInt64(PCUNICODE_STRING String, ULONG Base, PLONG64 Number, PWSTR *EndPointer)
{
    ULONGLONG value;
    size_t at;

    NT_IRQL_MAX(PASSIVE_LEVEL);
    NTSTATUS status = parse(String->Buffer, String->Length / sizeof(WCHAR), Base, &value, &at);
    if (NT_SUCCESS(status)) {
        *Number = (LONG64)value;
        if (EndPointer != NULL)
            *EndPointer = String->Buffer + at;
    }
    return status;
}

NTSTATUS RtlCharToInteger(PCSZ String, ULONG Base, PULONG Value)
{
    WCHAR wide[128]; /* more digits than any number has */
    size_t n = 0, at;
    ULONGLONG value;

    while (*String != 0 && (unsigned char)*String <= ' ')
        String++;
    for (; String[n] != 0 && n < ARRAYSIZE(wide); n++)
        wide[n] = (unsigned char)String[n];
    NTSTATUS status = parse(wide, n, Base, &value, &at);
    if (NT_SUCCESS(status))
        *Value = (ULONG)value;
    return status;
}

/* ---- GUIDs -------------------------------------------------------------------------------------------- */
enum { GUID_UNITS = 38 };

NTSTATUS RtlStringFromGUID(const GUID *Guid, PUNICODE_STRING GuidString)
{
    char text[GUID_UNITS + 1];

    NT_FAIL_STATUS(RtlStringFromGUID);
    NT_IRQL_MAX(PASSIVE_LEVEL);
    *GuidString = (UNICODE_STRING){0, 0, NULL};
    WCHAR *buffer = nt_pool_alloc((GUID_UNITS + 1) * sizeof(WCHAR), RTL_TAG, NT_SITE);
    if (buffer == NULL)
        return STATUS_NO_MEMORY;
    snprintf(text, sizeof text, "{%08x-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x}", Guid->Data1,
             Guid->Data2, Guid->Data3, Guid->Data4[0], Guid->Data4[1], Guid->Data4[2], Guid->Data4[3],
             Guid->Data4[4], Guid->Data4[5], Guid->Data4[6], Guid->Data4[7]);
    for (size_t i = 0; i <= GUID_UNITS; i++)
        buffer[i] = (WCHAR)text[i];
    *GuidString = (UNICODE_STRING){GUID_UNITS * sizeof(WCHAR), (GUID_UNITS + 1) * sizeof(WCHAR), buffer};
    return STATUS_SUCCESS;
}

static int hex(WCHAR c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

NTSTATUS RtlGUIDFromString(PCUNICODE_STRING GuidString, GUID *Guid)
{
    static const char pattern[] = "{xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx}";
    unsigned char bytes[16] = {0};
    size_t digits = 0;

    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (GuidString->Length != GUID_UNITS * sizeof(WCHAR))
        return STATUS_INVALID_PARAMETER;
    for (size_t i = 0; i < GUID_UNITS; i++) {
        WCHAR c = GuidString->Buffer[i];
        if (pattern[i] != 'x') {
            if (c != (WCHAR)pattern[i])
                return STATUS_INVALID_PARAMETER;
            continue;
        }
        if (hex(c) < 0)
            return STATUS_INVALID_PARAMETER;
        bytes[digits / 2] = (unsigned char)(bytes[digits / 2] << 4 | hex(c));
        digits++;
    }
    Guid->Data1 = (ULONG)bytes[0] << 24 | (ULONG)bytes[1] << 16 | (ULONG)bytes[2] << 8 | bytes[3];
    Guid->Data2 = (USHORT)(bytes[4] << 8 | bytes[5]);
    Guid->Data3 = (USHORT)(bytes[6] << 8 | bytes[7]);
    memcpy(Guid->Data4, bytes + 8, 8);
    return STATUS_SUCCESS;
}

/* ---- random numbers: from the caller's seed, 0 .. 0x7ffffffe ------------------------------------------- */
ULONG RtlUniform(PULONG Seed)
{
    *Seed = (ULONG)(((ULONGLONG)*Seed * 0x7fffffed + 0x7fffffc3) % 0x7fffffff);
    return *Seed;
}

/* On Windows both mix the seed with a table of the system's, so two machines differ; here it is the world's
 * seed (rt_random), which makes a run repeatable. */
ULONG RtlRandom(PULONG Seed)
{
    ULONG value = (ULONG)((rt_random() ^ RtlUniform(Seed)) % 0x7fffffff);

    *Seed = value;
    return value;
}

ULONG RtlRandomEx(PULONG Seed)
{
    NT_IRQL_MAX(APC_LEVEL);
    ULONG value = (ULONG)((rt_random() ^ RtlUniform(Seed)) % 0x7fffffff);
    *Seed = value;
    return value;
}

/* ---- arithmetic --------------------------------------------------------------------------------------- */
LARGE_INTEGER RtlEnlargedIntegerMultiply(LONG Multiplicand, LONG Multiplier)
{
    return (LARGE_INTEGER){.QuadPart = (LONGLONG)Multiplicand * Multiplier};
}

LARGE_INTEGER RtlExtendedIntegerMultiply(LARGE_INTEGER Multiplicand, LONG Multiplier)
{
    return (LARGE_INTEGER){
        .QuadPart = (LONGLONG)((ULONGLONG)Multiplicand.QuadPart * (ULONGLONG)(LONGLONG)Multiplier)};
}

LARGE_INTEGER RtlExtendedLargeIntegerDivide(LARGE_INTEGER Dividend, ULONG Divisor, PULONG Remainder)
{
    ULONGLONG dividend = (ULONGLONG)Dividend.QuadPart;

    if (Remainder != NULL)
        *Remainder = Divisor == 0 ? 0 : (ULONG)(dividend % Divisor);
    return (LARGE_INTEGER){.QuadPart = Divisor == 0 ? 0 : (LONGLONG)(dividend / Divisor)};
}
