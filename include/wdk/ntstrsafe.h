/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ntstrsafe.h: strings with a bound, in bytes (Cb) or characters (Cch), and counted strings
 * (src/nt/rtl_strsafe.c). The target is always terminated. STATUS_BUFFER_OVERFLOW: cut;
 * STATUS_INVALID_PARAMETER: a bound that is 0 or above NTSTRSAFE_MAX_CCH, or a string without an end.
 * PASSIVE_LEVEL where a Unicode string is formatted, else any.
 */
#ifndef WEIR_WDK_NTSTRSAFE_H
#define WEIR_WDK_NTSTRSAFE_H

#include <stdarg.h>

#include "ntdef.h"
#include "ntstatus.h"

#define NTSTRSAFE_MAX_CCH                2147483647
#define NTSTRSAFE_UNICODE_STRING_MAX_CCH (0xffff / sizeof(WCHAR))
#define NTSTRSAFEDDI                     NTSTATUS
#define NTSTRSAFEWORKERDDI               NTSTATUS
#include "wdk_nt_constants.h" /* STRSAFE_* */
#define STRSAFE_FILL_BYTE(x)    ((ULONG)(((x)&0x000000ff) | STRSAFE_FILL_BEHIND_NULL))
#define STRSAFE_FAILURE_BYTE(x) ((ULONG)(((x)&0x000000ff) | STRSAFE_FILL_ON_FAILURE))

typedef PCHAR NTSTRSAFE_PSTR;
typedef const CHAR *NTSTRSAFE_PCSTR, *STRSAFE_LPCSTR, *STRSAFE_PCNZCH;
typedef PWCHAR NTSTRSAFE_PWSTR;
typedef const WCHAR *NTSTRSAFE_PCWSTR, *STRSAFE_LPCWSTR, *STRSAFE_PCNZWCH;
typedef PCHAR STRSAFE_LPSTR;
typedef PWCHAR STRSAFE_LPWSTR;

#ifdef __cplusplus
extern "C" {
#endif
NTSTATUS RtlStringCchCopyA(CHAR *pszDest, size_t cchDest, const CHAR *pszSrc);
NTSTATUS RtlStringCchCopyNA(CHAR *pszDest, size_t cchDest, const CHAR *pszSrc, size_t cchToCopy);
NTSTATUS RtlStringCchCatA(CHAR *pszDest, size_t cchDest, const CHAR *pszSrc);
NTSTATUS RtlStringCchCatNA(CHAR *pszDest, size_t cchDest, const CHAR *pszSrc, size_t cchToAppend);
NTSTATUS RtlStringCchPrintfA(CHAR *pszDest, size_t cchDest, const CHAR *pszFormat, ...);
NTSTATUS RtlStringCchVPrintfA(CHAR *pszDest, size_t cchDest, const CHAR *pszFormat, va_list argList);
NTSTATUS RtlStringCchLengthA(const CHAR *psz, size_t cchMax, size_t *pcchLength);
NTSTATUS RtlStringCchCopyExA(CHAR *pszDest, size_t cchDest, const CHAR *pszSrc, CHAR **ppszDestEnd,
                             size_t *pcchRemaining, ULONG dwFlags);
NTSTATUS RtlStringCchCopyNExA(CHAR *pszDest, size_t cchDest, const CHAR *pszSrc, size_t cchToCopy,
                              CHAR **ppszDestEnd, size_t *pcchRemaining, ULONG dwFlags);
NTSTATUS RtlStringCchCatExA(CHAR *pszDest, size_t cchDest, const CHAR *pszSrc, CHAR **ppszDestEnd,
                            size_t *pcchRemaining, ULONG dwFlags);
NTSTATUS RtlStringCchCatNExA(CHAR *pszDest, size_t cchDest, const CHAR *pszSrc, size_t cchToAppend,
                             CHAR **ppszDestEnd, size_t *pcchRemaining, ULONG dwFlags);
NTSTATUS RtlStringCchPrintfExA(CHAR *pszDest, size_t cchDest, CHAR **ppszDestEnd, size_t *pcchRemaining,
                               ULONG dwFlags, const CHAR *pszFormat, ...);
NTSTATUS RtlStringCchVPrintfExA(CHAR *pszDest, size_t cchDest, CHAR **ppszDestEnd, size_t *pcchRemaining,
                                ULONG dwFlags, const CHAR *pszFormat, va_list argList);
NTSTATUS RtlStringCbCopyA(CHAR *pszDest, size_t cbDest, const CHAR *pszSrc);
NTSTATUS RtlStringCbCopyNA(CHAR *pszDest, size_t cbDest, const CHAR *pszSrc, size_t cbToCopy);
NTSTATUS RtlStringCbCatA(CHAR *pszDest, size_t cbDest, const CHAR *pszSrc);
NTSTATUS RtlStringCbCatNA(CHAR *pszDest, size_t cbDest, const CHAR *pszSrc, size_t cbToAppend);
NTSTATUS RtlStringCbPrintfA(CHAR *pszDest, size_t cbDest, const CHAR *pszFormat, ...);
NTSTATUS RtlStringCbVPrintfA(CHAR *pszDest, size_t cbDest, const CHAR *pszFormat, va_list argList);
NTSTATUS RtlStringCbLengthA(const CHAR *psz, size_t cbMax, size_t *pcbLength);
NTSTATUS RtlStringCbCopyExA(CHAR *pszDest, size_t cbDest, const CHAR *pszSrc, CHAR **ppszDestEnd,
                            size_t *pcbRemaining, ULONG dwFlags);
NTSTATUS RtlStringCbCopyNExA(CHAR *pszDest, size_t cbDest, const CHAR *pszSrc, size_t cbToCopy,
                             CHAR **ppszDestEnd, size_t *pcbRemaining, ULONG dwFlags);
NTSTATUS RtlStringCbCatExA(CHAR *pszDest, size_t cbDest, const CHAR *pszSrc, CHAR **ppszDestEnd,
                           size_t *pcbRemaining, ULONG dwFlags);
NTSTATUS RtlStringCbCatNExA(CHAR *pszDest, size_t cbDest, const CHAR *pszSrc, size_t cbToAppend,
                            CHAR **ppszDestEnd, size_t *pcbRemaining, ULONG dwFlags);
NTSTATUS RtlStringCbPrintfExA(CHAR *pszDest, size_t cbDest, CHAR **ppszDestEnd, size_t *pcbRemaining,
                              ULONG dwFlags, const CHAR *pszFormat, ...);
NTSTATUS RtlStringCbVPrintfExA(CHAR *pszDest, size_t cbDest, CHAR **ppszDestEnd, size_t *pcbRemaining,
                               ULONG dwFlags, const CHAR *pszFormat, va_list argList);

NTSTATUS RtlStringCchCopyW(WCHAR *pszDest, size_t cchDest, const WCHAR *pszSrc);
NTSTATUS RtlStringCchCopyNW(WCHAR *pszDest, size_t cchDest, const WCHAR *pszSrc, size_t cchToCopy);
NTSTATUS RtlStringCchCatW(WCHAR *pszDest, size_t cchDest, const WCHAR *pszSrc);
NTSTATUS RtlStringCchCatNW(WCHAR *pszDest, size_t cchDest, const WCHAR *pszSrc, size_t cchToAppend);
NTSTATUS RtlStringCchPrintfW(WCHAR *pszDest, size_t cchDest, const WCHAR *pszFormat, ...);
NTSTATUS RtlStringCchVPrintfW(WCHAR *pszDest, size_t cchDest, const WCHAR *pszFormat, va_list argList);
NTSTATUS RtlStringCchLengthW(const WCHAR *psz, size_t cchMax, size_t *pcchLength);
NTSTATUS RtlStringCchCopyExW(WCHAR *pszDest, size_t cchDest, const WCHAR *pszSrc, WCHAR **ppszDestEnd,
                             size_t *pcchRemaining, ULONG dwFlags);
NTSTATUS RtlStringCchCopyNExW(WCHAR *pszDest, size_t cchDest, const WCHAR *pszSrc, size_t cchToCopy,
                              WCHAR **ppszDestEnd, size_t *pcchRemaining, ULONG dwFlags);
NTSTATUS RtlStringCchCatExW(WCHAR *pszDest, size_t cchDest, const WCHAR *pszSrc, WCHAR **ppszDestEnd,
                            size_t *pcchRemaining, ULONG dwFlags);
NTSTATUS RtlStringCchCatNExW(WCHAR *pszDest, size_t cchDest, const WCHAR *pszSrc, size_t cchToAppend,
                             WCHAR **ppszDestEnd, size_t *pcchRemaining, ULONG dwFlags);
NTSTATUS RtlStringCchPrintfExW(WCHAR *pszDest, size_t cchDest, WCHAR **ppszDestEnd, size_t *pcchRemaining,
                               ULONG dwFlags, const WCHAR *pszFormat, ...);
NTSTATUS RtlStringCchVPrintfExW(WCHAR *pszDest, size_t cchDest, WCHAR **ppszDestEnd, size_t *pcchRemaining,
                                ULONG dwFlags, const WCHAR *pszFormat, va_list argList);
NTSTATUS RtlStringCbCopyW(WCHAR *pszDest, size_t cbDest, const WCHAR *pszSrc);
NTSTATUS RtlStringCbCopyNW(WCHAR *pszDest, size_t cbDest, const WCHAR *pszSrc, size_t cbToCopy);
NTSTATUS RtlStringCbCatW(WCHAR *pszDest, size_t cbDest, const WCHAR *pszSrc);
NTSTATUS RtlStringCbCatNW(WCHAR *pszDest, size_t cbDest, const WCHAR *pszSrc, size_t cbToAppend);
NTSTATUS RtlStringCbPrintfW(WCHAR *pszDest, size_t cbDest, const WCHAR *pszFormat, ...);
NTSTATUS RtlStringCbVPrintfW(WCHAR *pszDest, size_t cbDest, const WCHAR *pszFormat, va_list argList);
NTSTATUS RtlStringCbLengthW(const WCHAR *psz, size_t cbMax, size_t *pcbLength);
NTSTATUS RtlStringCbCopyExW(WCHAR *pszDest, size_t cbDest, const WCHAR *pszSrc, WCHAR **ppszDestEnd,
                            size_t *pcbRemaining, ULONG dwFlags);
NTSTATUS RtlStringCbCopyNExW(WCHAR *pszDest, size_t cbDest, const WCHAR *pszSrc, size_t cbToCopy,
                             WCHAR **ppszDestEnd, size_t *pcbRemaining, ULONG dwFlags);
NTSTATUS RtlStringCbCatExW(WCHAR *pszDest, size_t cbDest, const WCHAR *pszSrc, WCHAR **ppszDestEnd,
                           size_t *pcbRemaining, ULONG dwFlags);
NTSTATUS RtlStringCbCatNExW(WCHAR *pszDest, size_t cbDest, const WCHAR *pszSrc, size_t cbToAppend,
                            WCHAR **ppszDestEnd, size_t *pcbRemaining, ULONG dwFlags);
NTSTATUS RtlStringCbPrintfExW(WCHAR *pszDest, size_t cbDest, WCHAR **ppszDestEnd, size_t *pcbRemaining,
                              ULONG dwFlags, const WCHAR *pszFormat, ...);
NTSTATUS RtlStringCbVPrintfExW(WCHAR *pszDest, size_t cbDest, WCHAR **ppszDestEnd, size_t *pcbRemaining,
                               ULONG dwFlags, const WCHAR *pszFormat, va_list argList);

NTSTATUS RtlUnicodeStringInit(PUNICODE_STRING DestinationString, const WCHAR *pszSrc);
NTSTATUS RtlUnicodeStringInitEx(PUNICODE_STRING DestinationString, const WCHAR *pszSrc, ULONG dwFlags);
NTSTATUS RtlUnicodeStringValidate(PCUNICODE_STRING SourceString);
NTSTATUS RtlUnicodeStringValidateEx(PCUNICODE_STRING SourceString, ULONG dwFlags);
NTSTATUS RtlUnicodeStringCopy(PUNICODE_STRING DestinationString, PCUNICODE_STRING SourceString);
NTSTATUS RtlUnicodeStringCopyString(PUNICODE_STRING DestinationString, const WCHAR *pszSrc);
NTSTATUS RtlUnicodeStringCbCopyN(PUNICODE_STRING DestinationString, PCUNICODE_STRING SourceString,
                                 size_t cbToCopy);
NTSTATUS RtlUnicodeStringCchCopyN(PUNICODE_STRING DestinationString, PCUNICODE_STRING SourceString,
                                  size_t cchToCopy);
NTSTATUS RtlUnicodeStringCbCopyStringN(PUNICODE_STRING DestinationString, const WCHAR *pszSrc,
                                       size_t cbToCopy);
NTSTATUS RtlUnicodeStringCchCopyStringN(PUNICODE_STRING DestinationString, const WCHAR *pszSrc,
                                        size_t cchToCopy);
NTSTATUS RtlUnicodeStringCat(PUNICODE_STRING DestinationString, PCUNICODE_STRING SourceString);
NTSTATUS RtlUnicodeStringCatString(PUNICODE_STRING DestinationString, const WCHAR *pszSrc);
NTSTATUS RtlUnicodeStringCbCatN(PUNICODE_STRING DestinationString, PCUNICODE_STRING SourceString,
                                size_t cbToAppend);
NTSTATUS RtlUnicodeStringCchCatN(PUNICODE_STRING DestinationString, PCUNICODE_STRING SourceString,
                                 size_t cchToAppend);
NTSTATUS RtlUnicodeStringCbCatStringN(PUNICODE_STRING DestinationString, const WCHAR *pszSrc,
                                      size_t cbToAppend);
NTSTATUS RtlUnicodeStringCchCatStringN(PUNICODE_STRING DestinationString, const WCHAR *pszSrc,
                                       size_t cchToAppend);
NTSTATUS RtlUnicodeStringPrintf(PUNICODE_STRING DestinationString, const WCHAR *pszFormat, ...);
NTSTATUS RtlUnicodeStringVPrintf(PUNICODE_STRING DestinationString, const WCHAR *pszFormat, va_list argList);
#ifdef __cplusplus
}
#endif

#endif
