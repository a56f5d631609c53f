/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fwpvi.h: the unnumbered names (FWPS_CLASSIFY_OUT, FwpmFilterAdd, ...) as aliases of the version that the
 * target Windows has (CLS-37). A source chooses its target by defining NTDDI_VERSION before including any
 * header; otherwise it is the newest. A source that uses two versions of a thing names them by number.
 */
#ifndef WEIR_WDK_FWPVI_H
#define WEIR_WDK_FWPVI_H

#include "sdkddkver.h"
#include "wdk_fwpvi.h"

#endif
