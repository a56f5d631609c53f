/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intsafe.h: arithmetic and conversions that fail where the result does not fit. Here for user programs
 * (HRESULT); ntintsafe.h has the kernel's, with NTSTATUS.
 */
#ifndef WEIR_WDK_INTSAFE_H
#define WEIR_WDK_INTSAFE_H

#include "ntintsafe.h"

#define INTSAFE_E_ARITHMETIC_OVERFLOW ((HRESULT)0x80070216)

#endif
