/* SPDX-License-Identifier: Apache-2.0 */
/* specstrings.h: annotations, see sal.h. */
#ifndef WEIR_WDK_SPECSTRINGS_H
#define WEIR_WDK_SPECSTRINGS_H

#include "sal.h"

#endif
