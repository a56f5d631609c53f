/* SPDX-License-Identifier: Apache-2.0 */
/* A part of wdm.h: strings, memory, tables, conversions (src/nt/rtl_*.c). */
#ifndef WEIR_WDK_NT_RTL_H
#define WEIR_WDK_NT_RTL_H

#endif
