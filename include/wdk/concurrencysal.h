/* SPDX-License-Identifier: Apache-2.0 */
/* concurrencysal.h: annotations, see sal.h. */
#ifndef WEIR_WDK_CONCURRENCYSAL_H
#define WEIR_WDK_CONCURRENCYSAL_H

#include "sal.h"

#endif
