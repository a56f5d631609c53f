/* SPDX-License-Identifier: Apache-2.0 */
/* A part of wdm.h: dispatcher objects, spin locks, IRQL, DPCs, timers, time (src/nt/ke_*.c). */
#ifndef WEIR_WDK_NT_KE_H
#define WEIR_WDK_NT_KE_H

#endif
