/* SPDX-License-Identifier: Apache-2.0 */
/* wmistr.h: nothing of WMI is here but the name. */
#ifndef WEIR_WDK_WMISTR_H
#define WEIR_WDK_WMISTR_H

#include "ntdef.h"

#endif
