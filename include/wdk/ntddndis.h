/* SPDX-License-Identifier: Apache-2.0 */
/* ntddndis.h: here a part of ndis.h. */
#ifndef WEIR_WDK_NTDDNDIS_H
#define WEIR_WDK_NTDDNDIS_H

#include "ndis.h"

#endif
