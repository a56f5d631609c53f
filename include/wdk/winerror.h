/* SPDX-License-Identifier: Apache-2.0 */
/* winerror.h: Win32 error codes and the filtering platform's FWP_E_*, which user callers of Fwpm functions
 * get. */
#ifndef WEIR_WDK_WINERROR_H
#define WEIR_WDK_WINERROR_H

#include "ntdef.h"
#include "wdk_winerror.h"

#define S_OK          ((HRESULT)0)
#define NO_ERROR      ERROR_SUCCESS
#define SUCCEEDED(hr) ((HRESULT)(hr) >= 0)
#define FAILED(hr)    ((HRESULT)(hr) < 0)

#endif
