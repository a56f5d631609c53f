/* SPDX-License-Identifier: Apache-2.0 */
/* windef.h: here a part of ntdef.h. */
#ifndef WEIR_WDK_WINDEF_H
#define WEIR_WDK_WINDEF_H

#include "ntdef.h"

#endif
