/* SPDX-License-Identifier: Apache-2.0 */
/* ctype.h: kinds of characters; ASCII's alone, as in the kernel. */
#ifndef WEIR_WDK_CRT_CTYPE_H
#define WEIR_WDK_CRT_CTYPE_H

#ifdef __cplusplus
extern "C" {
#endif

int isalpha(int c);
int isdigit(int c);
int isxdigit(int c);
int isspace(int c);
int isupper(int c);
int islower(int c);
int isalnum(int c);
int isprint(int c);
int ispunct(int c);
int iscntrl(int c);
int isgraph(int c);
int tolower(int c);
int toupper(int c);

#define _tolower(c)  ((c) - 'A' + 'a')
#define _toupper(c)  ((c) - 'a' + 'A')
#define __isascii(c) ((unsigned)(c) < 0x80)
#define isascii(c)   __isascii(c)
#define __toascii(c) ((c) & 0x7f)

#ifdef __cplusplus
}
#endif

#include "wctype.h"

#endif
