/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intsafe.h: arithmetic and conversions that tell an overflow by an HRESULT; ntintsafe.h has the kernel's own, with
 * NTSTATUS. Any IRQL.
 */
#ifndef WEIR_WDK_INTSAFE_H
#define WEIR_WDK_INTSAFE_H

#include "winerror.h"

#define INTSAFE_E_ARITHMETIC_OVERFLOW ((HRESULT)0x80070216)

#define WEIR_INTSAFE_NAME(name) name
#define WEIR_INTSAFE_STATUS     HRESULT
#define WEIR_INTSAFE_OK         S_OK
#define WEIR_INTSAFE_OVERFLOW   INTSAFE_E_ARITHMETIC_OVERFLOW
#include "intsafe_parts.h"

#endif
