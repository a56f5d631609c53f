/* SPDX-License-Identifier: Apache-2.0 */
/* ntddk.h: the wider of the two kernel headers; here the same as wdm.h. */
#ifndef WEIR_WDK_NTDDK_H
#define WEIR_WDK_NTDDK_H

#include "wdm.h"

#endif
