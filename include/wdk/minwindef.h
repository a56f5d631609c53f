/* SPDX-License-Identifier: Apache-2.0 */
/* minwindef.h: here a part of ntdef.h. */
#ifndef WEIR_WDK_MINWINDEF_H
#define WEIR_WDK_MINWINDEF_H

#include "ntdef.h"

#endif
