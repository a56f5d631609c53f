/* SPDX-License-Identifier: Apache-2.0 */
/* nldef.h: the network layer's enumerations are with ndis.h's constants. */
#ifndef WEIR_WDK_NLDEF_H
#define WEIR_WDK_NLDEF_H

#include "ifdef.h"

#endif
