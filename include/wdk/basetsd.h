/* SPDX-License-Identifier: Apache-2.0 */
/* basetsd.h: here a part of ntdef.h. */
#ifndef WEIR_WDK_BASETSD_H
#define WEIR_WDK_BASETSD_H

#include "ntdef.h"

#endif
