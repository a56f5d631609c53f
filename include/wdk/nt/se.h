/* SPDX-License-Identifier: Apache-2.0 */
/* A part of wdm.h: access checks from the kernel (src/nt/se_*.c). */
#ifndef WEIR_WDK_NT_SE_H
#define WEIR_WDK_NT_SE_H

#endif
