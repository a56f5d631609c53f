/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fwpmk.h: management as the kernel calls it: NTSTATUS, no access checks (OBJ-37, OBJ-38).
 *
 * User programs include fwpmu.h, whose functions have the same names in C but return Win32 codes and are
 * checked. One source includes one of the two.
 */
#ifndef WEIR_WDK_FWPMK_H
#define WEIR_WDK_FWPMK_H

#ifdef WEIR_WDK_FWPMU_H
#error "fwpmk.h and fwpmu.h declare the same names for kernel and for user callers: include one of them"
#endif

#include "fwpmtypes.h"
#include "fwpvi.h"
#include "ntstatus.h"
#include "rpcauth.h"

#ifdef __cplusplus
extern "C" {
#endif
#include "wdk_fwpmk_functions.h"
#ifdef __cplusplus
}
#endif

#endif
