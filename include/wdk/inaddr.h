/* SPDX-License-Identifier: Apache-2.0 */
/* inaddr.h: IPv4 addresses. */
#ifndef WEIR_WDK_INADDR_H
#define WEIR_WDK_INADDR_H

#include "ws2def.h"

#endif
