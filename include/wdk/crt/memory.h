/* SPDX-License-Identifier: Apache-2.0 */
/* memory.h: here the same as string.h. */
#ifndef WEIR_WDK_CRT_MEMORY_H
#define WEIR_WDK_CRT_MEMORY_H

#include "string.h"

#endif
