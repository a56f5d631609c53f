/* SPDX-License-Identifier: Apache-2.0 */
/* ipifcons.h: types of interfaces are with the constants. */
#ifndef WEIR_WDK_IPIFCONS_H
#define WEIR_WDK_IPIFCONS_H

#include "wdk_nt_constants.h"

#endif
