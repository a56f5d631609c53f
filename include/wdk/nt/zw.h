/* SPDX-License-Identifier: Apache-2.0 */
/* A part of wdm.h: system services: registry, files, queries (src/nt/zw_*.c). */
#ifndef WEIR_WDK_NT_ZW_H
#define WEIR_WDK_NT_ZW_H

#endif
