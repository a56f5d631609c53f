/* SPDX-License-Identifier: Apache-2.0 */
/* search.h: here the same as stdlib.h. */
#ifndef WEIR_WDK_CRT_SEARCH_H
#define WEIR_WDK_CRT_SEARCH_H

#include "stdlib.h"

#endif
