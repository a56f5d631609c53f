/* SPDX-License-Identifier: Apache-2.0 */
/* The management API as a driver includes it. */
#include "fwpmk.h"

#include "api_side.h"

#define SIDE api_kernel_side
#define NAME "kernel"
#include "api_side.inc"
