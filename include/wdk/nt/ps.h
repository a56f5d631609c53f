/* SPDX-License-Identifier: Apache-2.0 */
/* A part of wdm.h: processes and threads (src/nt/ps_*.c). */
#ifndef WEIR_WDK_NT_PS_H
#define WEIR_WDK_NT_PS_H

#endif
