/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel's files use of the run-time library below the documented functions: no checks of IRQL. */
#ifndef WEIR_NT_TEXT_H
#define WEIR_NT_TEXT_H

#include "format.h"
#include <stdbool.h>

#include "ntddk.h"

WCHAR rtl_upcase(WCHAR c);
WCHAR rtl_downcase(WCHAR c);
/* Compares without regard to case where asked; the difference of the first unlike units, or of the lengths.
 */
int32_t rtl_compare_units(const WCHAR *a, size_t a_length, const WCHAR *b, size_t b_length, bool fold);
/* Of pool that the functions hand out: "Rtls". */
#define RTL_TAG 0x736c7452u

size_t rtl_length(const WCHAR *s); /* units before the NUL */
/* UTF-8 into new units with a NUL behind, freed with free(); NULL: no memory. *length: without the NUL. */
WCHAR *rtl_wide_of(const char *utf8, size_t *length);
/* Units into new UTF-8 with a NUL. */
char *rtl_utf8_of(const WCHAR *units, size_t length);
/* Units of `text` in UTF-8 after conversion, and the other way. */
size_t rtl_utf8_size(const WCHAR *text, size_t units);
size_t rtl_utf16_size(const char *text, size_t bytes);

#endif
