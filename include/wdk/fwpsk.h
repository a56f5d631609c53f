/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fwpsk.h: what a callout driver calls at run time: registration, pending, cloning, injection, streams,
 * contexts. The prototypes carry no IRQL here; each function's documentation in Weir's book gives it.
 */
#ifndef WEIR_WDK_FWPSK_H
#define WEIR_WDK_FWPSK_H

#include "fwpstypes.h"
#include "fwpvi.h"
#include "ntstatus.h"

#ifdef __cplusplus
extern "C" {
#endif
#include "wdk_fwpsk_functions.h"
#ifdef __cplusplus
}
#endif

#endif
