/* SPDX-License-Identifier: Apache-2.0 */
/* wchar.h: wide strings (16 bits). */
#ifndef WEIR_WDK_CRT_WCHAR_H
#define WEIR_WDK_CRT_WCHAR_H

#include <stdarg.h>
#include <stddef.h>

#include "string.h"
#include "wctype.h"

#define WEOF ((wint_t)0xffff)
#ifndef WCHAR_MAX
#define WCHAR_MIN 0
#define WCHAR_MAX 0xffff
#endif

#ifdef __cplusplus
extern "C" {
#endif

int swprintf(wchar_t *to, size_t room, const wchar_t *format, ...) WEIR_CRT(swprintf);
int vswprintf(wchar_t *to, size_t room, const wchar_t *format, va_list args) WEIR_CRT(vswprintf);
int swprintf_s(wchar_t *to, size_t room, const wchar_t *format, ...) WEIR_CRT(swprintf_s);
int vswprintf_s(wchar_t *to, size_t room, const wchar_t *format, va_list args) WEIR_CRT(vswprintf_s);
int _snwprintf(wchar_t *to, size_t room, const wchar_t *format, ...) WEIR_CRT(_snwprintf);
int _vsnwprintf(wchar_t *to, size_t room, const wchar_t *format, va_list args) WEIR_CRT(_vsnwprintf);
int _snwprintf_s(wchar_t *to, size_t room, size_t count, const wchar_t *format, ...) WEIR_CRT(_snwprintf_s);
int _vsnwprintf_s(wchar_t *to, size_t room, size_t count, const wchar_t *format, va_list args) WEIR_CRT(_vsnwprintf_s);

wchar_t *wmemcpy(wchar_t *to, const wchar_t *from, size_t count) WEIR_CRT(wmemcpy);
wchar_t *wmemmove(wchar_t *to, const wchar_t *from, size_t count) WEIR_CRT(wmemmove);
wchar_t *wmemset(wchar_t *to, wchar_t value, size_t count) WEIR_CRT(wmemset);
int wmemcmp(const wchar_t *a, const wchar_t *b, size_t count) WEIR_CRT(wmemcmp);
wchar_t *wmemchr(const wchar_t *s, wchar_t c, size_t count) WEIR_CRT(wmemchr);

int _wtoi(const wchar_t *s) WEIR_CRT(_wtoi);
int _wtol(const wchar_t *s) WEIR_CRT(_wtoi);
long long _wtoi64(const wchar_t *s) WEIR_CRT(_wtoi64);
int wcstol(const wchar_t *s, wchar_t **end, int base) WEIR_CRT(wcstol);
unsigned int wcstoul(const wchar_t *s, wchar_t **end, int base) WEIR_CRT(wcstoul);
long long wcstoll(const wchar_t *s, wchar_t **end, int base) WEIR_CRT(wcstoll);
unsigned long long wcstoull(const wchar_t *s, wchar_t **end, int base) WEIR_CRT(wcstoull);
long long _wcstoi64(const wchar_t *s, wchar_t **end, int base) WEIR_CRT(wcstoll);
unsigned long long _wcstoui64(const wchar_t *s, wchar_t **end, int base) WEIR_CRT(wcstoull);

#ifdef __cplusplus
}
#endif

#endif
