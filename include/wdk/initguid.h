/* SPDX-License-Identifier: Apache-2.0 */
/* initguid.h: from here on DEFINE_GUID defines instead of declaring (guiddef.h). No guard: it may be
 * repeated. */
#ifndef INITGUID
#define INITGUID
#endif
#include "guiddef.h"
