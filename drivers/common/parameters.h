/* SPDX-License-Identifier: Apache-2.0 */
/* parameters: values of the service's Parameters key. PASSIVE_LEVEL, in DriverEntry. */
#ifndef PARAMETERS_H
#define PARAMETERS_H

#include "kernel.h"

/* NULL if there is no such key; the functions below take that for an empty one. */
HANDLE parameters_open(UNICODE_STRING *registry_path);
void parameters_close(HANDLE key);

/* A REG_DWORD, or `otherwise`. */
ULONG parameter_number(HANDLE key, PCWSTR name, ULONG otherwise);

/* A REG_SZ of ASCII characters, or a REG_DWORD in decimal; cut at the size, ends with a zero. Its length; 0
 * if it is absent. */
ULONG parameter_text(HANDLE key, PCWSTR name, CHAR *text, ULONG size);

/* Is the number one of those that the text lists, separated by anything that is no digit? Any IRQL. */
BOOLEAN number_listed(const CHAR *text, ULONG number);

#endif
