/* SPDX-License-Identifier: Apache-2.0 */
/* tchar.h: here the same as wchar.h. */
#ifndef WEIR_WDK_CRT_TCHAR_H
#define WEIR_WDK_CRT_TCHAR_H

#include "wchar.h"

#endif
