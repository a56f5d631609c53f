/* SPDX-License-Identifier: Apache-2.0 */
/* dontuse.h: names that Windows' build would warn of. */
#ifndef WEIR_WDK_DONTUSE_H
#define WEIR_WDK_DONTUSE_H

#endif
