/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text as Windows' printf family makes it, for everything in the kernel that formats: DbgPrint,
 * RtlStringCbPrintf, the C run-time of drivers. Not part of the room's door.
 *
 * Differences from the host's printf: %l is 32 bits; %I64, %I32 and %I; %p is 16 capital digits without 0x;
 * %S and %C are of the other width, %hs and %ws of a named one; %Z is an ANSI_STRING, %wZ a UNICODE_STRING; a
 * NULL string is "(null)"; %n writes nothing.
 *
 * Narrow text is UTF-8 wherever it meets wide text (the code page that Windows calls 65001): half a surrogate
 * pair and a broken sequence become U+FFFD.
 */
#ifndef WEIR_NT_FORMAT_H
#define WEIR_NT_FORMAT_H

#include <stdarg.h>
#include <stddef.h>

#include "ntdef.h"

/* Writes at most size - 1 units and a NUL (size 0: nothing, out may be NULL). Returns how many units the
 * whole text has without its NUL: >= size means that it was cut. Any IRQL, never allocates. */
size_t rtl_format(char *out, size_t size, const char *format, va_list args);
size_t rtl_format_wide(WCHAR *out, size_t size, const WCHAR *format, va_list args);

/* One code point of well-formed text, U+FFFD for what is broken. *at moves on by at least one unit; at <
 * size. */
uint32_t rtl_utf8_next(const char *text, size_t size, size_t *at);
uint32_t rtl_utf16_next(const WCHAR *text, size_t size, size_t *at);
/* How many units were put into out (4 bytes, 2 words). */
unsigned rtl_utf8_put(uint32_t code, char *out);
unsigned rtl_utf16_put(uint32_t code, WCHAR *out);

#endif
