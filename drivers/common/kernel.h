/* SPDX-License-Identifier: Apache-2.0 */
/* What each source of the drivers includes of the driver kit, in the order in which it wants to be included.
 */
#ifndef KERNEL_H
#define KERNEL_H

#ifndef NDIS_SUPPORT_NDIS6
#define NDIS_SUPPORT_NDIS6 1
#endif

#include <ntddk.h>

#include <fwpsk.h>

#include <fwpmk.h>

#endif
