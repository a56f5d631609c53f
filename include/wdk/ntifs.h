/* SPDX-License-Identifier: Apache-2.0 */
/* ntifs.h: the widest of the kernel's headers; here the same as ntddk.h. */
#ifndef WEIR_WDK_NTIFS_H
#define WEIR_WDK_NTIFS_H

#include "ntddk.h"

#endif
