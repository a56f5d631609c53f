/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fwpmu.h: management as user programs call it: Win32 codes (FWP_E_*), every call checked against the
 * caller's token.
 *
 * The C names are the kernel's (fwpmk.h), but bound to symbols of their own by an assembler label, so that
 * one program can hold a driver and its user-mode client.
 */
#ifndef WEIR_WDK_FWPMU_H
#define WEIR_WDK_FWPMU_H

#ifdef WEIR_WDK_FWPMK_H
#error "fwpmk.h and fwpmu.h declare the same names for kernel and for user callers: include one of them"
#endif

#include "fwpmtypes.h"
#include "fwpstypes.h"
#include "fwpvi.h"
#include "rpcauth.h"
#include "winerror.h"

/* Binds a declaration to the user flavour's symbol. */
#define WEIR_USER_CALL(name) __asm__("weir_user_" #name)

#ifdef __cplusplus
extern "C" {
#endif
#include "wdk_fwpmu_functions.h"
#ifdef __cplusplus
}
#endif

#endif
