/* SPDX-License-Identifier: Apache-2.0 */
/* A part of wdm.h: memory descriptor lists and memory (src/nt/mm_*.c). */
#ifndef WEIR_WDK_NT_MM_H
#define WEIR_WDK_NT_MM_H

#endif
