/* SPDX-License-Identifier: Apache-2.0 */
/* driverspecs.h: annotations, see sal.h. */
#ifndef WEIR_WDK_DRIVERSPECS_H
#define WEIR_WDK_DRIVERSPECS_H

#include "sal.h"

#endif
