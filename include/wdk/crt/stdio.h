/* SPDX-License-Identifier: Apache-2.0 */
/* stdio.h: formatting into memory; the kernel has no files. */
#ifndef WEIR_WDK_CRT_STDIO_H
#define WEIR_WDK_CRT_STDIO_H

#include <stdarg.h>
#include <stddef.h>

#include "weir/bind.h"
#include "wchar.h"

#define EOF       (-1)
#define _TRUNCATE ((size_t)-1)

#ifdef __cplusplus
extern "C" {
#endif

int sprintf(char *to, const char *format, ...) WEIR_CRT(sprintf);
int vsprintf(char *to, const char *format, va_list args) WEIR_CRT(vsprintf);
int snprintf(char *to, size_t room, const char *format, ...) WEIR_CRT(snprintf);
int vsnprintf(char *to, size_t room, const char *format, va_list args) WEIR_CRT(vsnprintf);
int _snprintf(char *to, size_t room, const char *format, ...) WEIR_CRT(_snprintf);
int _vsnprintf(char *to, size_t room, const char *format, va_list args) WEIR_CRT(_vsnprintf);
int sprintf_s(char *to, size_t room, const char *format, ...) WEIR_CRT(sprintf_s);
int vsprintf_s(char *to, size_t room, const char *format, va_list args) WEIR_CRT(vsprintf_s);
int _snprintf_s(char *to, size_t room, size_t count, const char *format, ...) WEIR_CRT(_snprintf_s);
int _vsnprintf_s(char *to, size_t room, size_t count, const char *format, va_list args) WEIR_CRT(_vsnprintf_s);
int sscanf_s(const char *s, const char *format, ...) WEIR_CRT(sscanf_s);
int _scprintf(const char *format, ...) WEIR_CRT(_scprintf);

#ifdef __cplusplus
}
#endif

#endif
