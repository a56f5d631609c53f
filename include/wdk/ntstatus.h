/* SPDX-License-Identifier: Apache-2.0 */
/* ntstatus.h: NTSTATUS codes, the filtering platform's STATUS_FWP_* among them. */
#ifndef WEIR_WDK_NTSTATUS_H
#define WEIR_WDK_NTSTATUS_H

#include "ntdef.h"
#include "wdk_ntstatus.h"

#endif
