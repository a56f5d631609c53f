/* SPDX-License-Identifier: Apache-2.0 */
/* malloc.h: here the same as stdlib.h. */
#ifndef WEIR_WDK_CRT_MALLOC_H
#define WEIR_WDK_CRT_MALLOC_H

#include "stdlib.h"

#endif
