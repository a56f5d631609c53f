/* SPDX-License-Identifier: Apache-2.0 */
/* wpprecorder.h: WPP's recorder; see weir/wpp.h. */
#ifndef WEIR_WDK_WPPRECORDER_H
#define WEIR_WDK_WPPRECORDER_H

#include "evntrace.h"

#endif
