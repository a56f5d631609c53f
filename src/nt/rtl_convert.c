/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Narrow text to wide and back. Narrow is UTF-8 throughout: ANSI and OEM are its code page (65001), so that
 * the names of this host's files and the text of its tools come through whole.
 */
#include <stdlib.h>

#include "nt/fault.h"
#include "nt/internal.h"
#include "nt/text.h"

size_t rtl_utf8_size(const WCHAR *text, size_t units)
{
    size_t size = 0;
    char out[4];

    for (size_t at = 0; at < units;)
        size += rtl_utf8_put(rtl_utf16_next(text, units, &at), out);
    return size;
}

size_t rtl_utf16_size(const char *text, size_t bytes)
{
    size_t size = 0;
    WCHAR out[2];

    for (size_t at = 0; at < bytes;)
        size += rtl_utf16_put(rtl_utf8_next(text, bytes, &at), out);
    return size;
}

/* Whole characters as far as they fit. *mapped: was everything well-formed, *all: did everything fit? Both
 * may be NULL. Returns units (bytes) written. */
static size_t to_utf8(char *out, size_t size, const WCHAR *text, size_t units, bool *mapped, bool *all)
{
    size_t n = 0;

    if (mapped != NULL)
        *mapped = true;
    if (all != NULL)
        *all = true;
    for (size_t at = 0; at < units;) {
        size_t before = at;
        uint32_t code = rtl_utf16_next(text, units, &at);
        char bytes[4];
        unsigned m = rtl_utf8_put(code, bytes);

        if (n + m > size) {
            if (all != NULL)
                *all = false;
            break;
        }
        if (code == 0xfffd && text[before] != 0xfffd && mapped != NULL)
            *mapped = false;
        memcpy(out + n, bytes, m);
        n += m;
    }
    return n;
}

static size_t to_utf16(WCHAR *out, size_t size, const char *text, size_t bytes, bool *mapped, bool *all)
{
    size_t n = 0;

    if (mapped != NULL)
        *mapped = true;
    if (all != NULL)
        *all = true;
    for (size_t at = 0; at < bytes;) {
        size_t before = at;
        uint32_t code = rtl_utf8_next(text, bytes, &at);
        WCHAR units[2];
        unsigned m = rtl_utf16_put(code, units);

        if (n + m > size) {
            if (all != NULL)
                *all = false;
            break;
        }
        if (code == 0xfffd && (unsigned char)text[before] != 0xef && mapped != NULL)
            *mapped = false;
        memcpy(out + n, units, m * sizeof(WCHAR));
        n += m;
    }
    return n;
}

WCHAR *rtl_wide_of(const char *utf8, size_t *length)
{
    size_t bytes = strlen(utf8), units = rtl_utf16_size(utf8, bytes);
    WCHAR *out = malloc((units + 1) * sizeof(*out));

    if (out == NULL)
        return NULL;
    to_utf16(out, units, utf8, bytes, NULL, NULL);
    out[units] = 0;
    if (length != NULL)
        *length = units;
    return out;
}

char *rtl_utf8_of(const WCHAR *units, size_t length)
{
    size_t size = rtl_utf8_size(units, length);
    char *out = malloc(size + 1);

    if (out == NULL)
        return NULL;
    to_utf8(out, size, units, length, NULL, NULL);
    out[size] = 0;
    return out;
}

/* ---- with sizes --------------------------------------------------------------------------------------- */
NTSTATUS RtlUnicodeToMultiByteN(PCHAR MultiByteString, ULONG MaxBytesInMultiByteString,
                                PULONG BytesInMultiByteString, PCWCH UnicodeString,
                                ULONG BytesInUnicodeString)
{
    NT_IRQL_MAX(APC_LEVEL);
    size_t n = to_utf8(MultiByteString, MaxBytesInMultiByteString, UnicodeString,
                       BytesInUnicodeString / sizeof(WCHAR), NULL, NULL);
    if (BytesInMultiByteString != NULL)
        *BytesInMultiByteString = (ULONG)n;
    return STATUS_SUCCESS;
}

NTSTATUS RtlUnicodeToMultiByteSize(PULONG BytesInMultiByteString, PCWCH UnicodeString,
                                   ULONG BytesInUnicodeString)
{
    NT_IRQL_MAX(APC_LEVEL);
    *BytesInMultiByteString = (ULONG)rtl_utf8_size(UnicodeString, BytesInUnicodeString / sizeof(WCHAR));
    return STATUS_SUCCESS;
}

NTSTATUS RtlMultiByteToUnicodeN(PWCH UnicodeString, ULONG MaxBytesInUnicodeString,
                                PULONG BytesInUnicodeString, const CHAR *MultiByteString,
                                ULONG BytesInMultiByteString)
{
    NT_IRQL_MAX(APC_LEVEL);
    size_t n = to_utf16(UnicodeString, MaxBytesInUnicodeString / sizeof(WCHAR), MultiByteString,
                        BytesInMultiByteString, NULL, NULL);
    if (BytesInUnicodeString != NULL)
        *BytesInUnicodeString = (ULONG)(n * sizeof(WCHAR));
    return STATUS_SUCCESS;
}

NTSTATUS RtlMultiByteToUnicodeSize(PULONG BytesInUnicodeString, const CHAR *MultiByteString,
                                   ULONG BytesInMultiByteString)
{
    NT_IRQL_MAX(APC_LEVEL);
    *BytesInUnicodeString = (ULONG)(rtl_utf16_size(MultiByteString, BytesInMultiByteString) * sizeof(WCHAR));
    return STATUS_SUCCESS;
}

NTSTATUS RtlUnicodeToUTF8N(PCHAR UTF8StringDestination, ULONG UTF8StringMaxByteCount,
                           PULONG UTF8StringActualByteCount, PCWCH UnicodeStringSource,
                           ULONG UnicodeStringByteCount)
{
    bool mapped = true, all = true;
    size_t n;

    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (UnicodeStringSource == NULL)
        return STATUS_INVALID_PARAMETER_4;
    if (UnicodeStringByteCount % sizeof(WCHAR) != 0 ||
        (UTF8StringDestination == NULL && UTF8StringActualByteCount == NULL))
        return STATUS_INVALID_PARAMETER;
    if (UTF8StringDestination == NULL)
        n = rtl_utf8_size(UnicodeStringSource, UnicodeStringByteCount / sizeof(WCHAR));
    else
        n = to_utf8(UTF8StringDestination, UTF8StringMaxByteCount, UnicodeStringSource,
                    UnicodeStringByteCount / sizeof(WCHAR), &mapped, &all);
    if (UTF8StringActualByteCount != NULL)
        *UTF8StringActualByteCount = (ULONG)n;
    return !all ? STATUS_BUFFER_TOO_SMALL : mapped ? STATUS_SUCCESS : STATUS_SOME_NOT_MAPPED;
}

NTSTATUS RtlUTF8ToUnicodeN(PWSTR UnicodeStringDestination, ULONG UnicodeStringMaxByteCount,
                           PULONG UnicodeStringActualByteCount, const CHAR *UTF8StringSource,
                           ULONG UTF8StringByteCount)
{
    bool mapped = true, all = true;
    size_t n;

    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (UTF8StringSource == NULL)
        return STATUS_INVALID_PARAMETER_4;
    if (UnicodeStringDestination == NULL && UnicodeStringActualByteCount == NULL)
        return STATUS_INVALID_PARAMETER;
    if (UnicodeStringDestination == NULL)
        n = rtl_utf16_size(UTF8StringSource, UTF8StringByteCount);
    else
        n = to_utf16(UnicodeStringDestination, UnicodeStringMaxByteCount / sizeof(WCHAR), UTF8StringSource,
                     UTF8StringByteCount, &mapped, &all);
    if (UnicodeStringActualByteCount != NULL)
        *UnicodeStringActualByteCount = (ULONG)(n * sizeof(WCHAR));
    return !all ? STATUS_BUFFER_TOO_SMALL : mapped ? STATUS_SUCCESS : STATUS_SOME_NOT_MAPPED;
}

/* ---- counted strings ---------------------------------------------------------------------------------- */
ULONG RtlAnsiStringToUnicodeSize(PCANSI_STRING AnsiString)
{
    return (ULONG)((rtl_utf16_size(AnsiString->Buffer, AnsiString->Length) + 1) * sizeof(WCHAR));
}

ULONG RtlUnicodeStringToAnsiSize(PCUNICODE_STRING UnicodeString)
{
    return (ULONG)(rtl_utf8_size(UnicodeString->Buffer, UnicodeString->Length / sizeof(WCHAR)) + 1);
}

NTSTATUS RtlAnsiStringToUnicodeString(PUNICODE_STRING DestinationString, PCANSI_STRING SourceString,
                                      BOOLEAN AllocateDestinationString)
{
    NT_FAIL_STATUS(RtlAnsiStringToUnicodeString);
    ULONG size = RtlAnsiStringToUnicodeSize(SourceString);

    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (size > 0xffff)
        return STATUS_INVALID_PARAMETER_2;
    if (AllocateDestinationString) {
        DestinationString->Buffer = nt_pool_alloc(size, RTL_TAG, NT_SITE);
        if (DestinationString->Buffer == NULL)
            return STATUS_NO_MEMORY;
        DestinationString->MaximumLength = (USHORT)size;
    } else if (size > DestinationString->MaximumLength) {
        return STATUS_BUFFER_OVERFLOW;
    }
    size_t n = to_utf16(DestinationString->Buffer, size / sizeof(WCHAR) - 1, SourceString->Buffer,
                        SourceString->Length, NULL, NULL);
    DestinationString->Buffer[n] = 0;
    DestinationString->Length = (USHORT)(n * sizeof(WCHAR));
    return STATUS_SUCCESS;
}

NTSTATUS RtlUnicodeStringToAnsiString(PANSI_STRING DestinationString, PCUNICODE_STRING SourceString,
                                      BOOLEAN AllocateDestinationString)
{
    NT_FAIL_STATUS(RtlUnicodeStringToAnsiString);
    ULONG size = RtlUnicodeStringToAnsiSize(SourceString);
    NTSTATUS status = STATUS_SUCCESS;

    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (size > 0xffff)
        return STATUS_INVALID_PARAMETER_2;
    if (AllocateDestinationString) {
        DestinationString->Buffer = nt_pool_alloc(size, RTL_TAG, NT_SITE);
        if (DestinationString->Buffer == NULL)
            return STATUS_NO_MEMORY;
        DestinationString->MaximumLength = (USHORT)size;
    } else if (size > DestinationString->MaximumLength) { /* what fits, and says so */
        if (DestinationString->MaximumLength == 0)
            return STATUS_BUFFER_OVERFLOW;
        size = DestinationString->MaximumLength;
        status = STATUS_BUFFER_OVERFLOW;
    }
    size_t n = to_utf8(DestinationString->Buffer, size - 1, SourceString->Buffer,
                       SourceString->Length / sizeof(WCHAR), NULL, NULL);
    DestinationString->Buffer[n] = 0;
    DestinationString->Length = (USHORT)n;
    return status;
}
