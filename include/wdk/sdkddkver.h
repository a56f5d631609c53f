/* SPDX-License-Identifier: Apache-2.0 */
/* sdkddkver.h: the target Windows that a source is compiled for. NTDDI_VERSION defaults to the newest known.
 */
#ifndef WEIR_WDK_SDKDDKVER_H
#define WEIR_WDK_SDKDDKVER_H

#include "wdk_ntddi.h"

#ifndef NTDDI_VERSION
#define NTDDI_VERSION NTDDI_WIN10_NI
#endif

#endif
