/* SPDX-License-Identifier: Apache-2.0 */
/* suppress.h: numbers of warnings of an analyser that is not here. */
#ifndef WEIR_WDK_SUPPRESS_H
#define WEIR_WDK_SUPPRESS_H

#endif
