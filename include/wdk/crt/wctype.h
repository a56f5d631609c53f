/* SPDX-License-Identifier: Apache-2.0 */
/* wctype.h: kinds of wide characters. */
#ifndef WEIR_WDK_CRT_WCTYPE_H
#define WEIR_WDK_CRT_WCTYPE_H

#include "weir/bind.h"

typedef unsigned short wint_t, wctype_t;

#ifdef __cplusplus
extern "C" {
#endif

wint_t towlower(wint_t c) WEIR_CRT(towlower);
wint_t towupper(wint_t c) WEIR_CRT(towupper);
int iswalpha(wint_t c) WEIR_CRT(iswalpha);
int iswdigit(wint_t c) WEIR_CRT(iswdigit);
int iswxdigit(wint_t c) WEIR_CRT(iswxdigit);
int iswspace(wint_t c) WEIR_CRT(iswspace);
int iswupper(wint_t c) WEIR_CRT(iswupper);
int iswlower(wint_t c) WEIR_CRT(iswlower);
int iswalnum(wint_t c) WEIR_CRT(iswalnum);
int iswprint(wint_t c) WEIR_CRT(iswprint);
int iswpunct(wint_t c) WEIR_CRT(iswpunct);

#ifdef __cplusplus
}
#endif

#endif
