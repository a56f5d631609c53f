/* SPDX-License-Identifier: Apache-2.0 */
/* in6addr.h: IPv6 addresses. */
#ifndef WEIR_WDK_IN6ADDR_H
#define WEIR_WDK_IN6ADDR_H

#include "ws2def.h"

#endif
