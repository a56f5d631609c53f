/* SPDX-License-Identifier: Apache-2.0 */
/* devioctl.h: control codes of devices are in wdm.h. */
#ifndef WEIR_WDK_DEVIOCTL_H
#define WEIR_WDK_DEVIOCTL_H

#include "wdm.h"

#endif
