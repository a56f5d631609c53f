/* SPDX-License-Identifier: Apache-2.0 */
/* A part of wdm.h: pools, lookaside lists, work items, interlocked lists, rundown, push locks, callbacks (src/nt/ex_*.c). */
#ifndef WEIR_WDK_NT_EX_H
#define WEIR_WDK_NT_EX_H

#endif
