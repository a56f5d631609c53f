/* SPDX-License-Identifier: Apache-2.0 */
/* A part of wdm.h: object references and handles (src/nt/ob_*.c). */
#ifndef WEIR_WDK_NT_OB_H
#define WEIR_WDK_NT_OB_H

#endif
