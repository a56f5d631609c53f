/* SPDX-License-Identifier: Apache-2.0 */
/* kernelspecs.h: annotations, see sal.h. */
#ifndef WEIR_WDK_KERNELSPECS_H
#define WEIR_WDK_KERNELSPECS_H

#include "sal.h"

#endif
