/* SPDX-License-Identifier: Apache-2.0 */
/* assert.h */
#ifndef WEIR_WDK_CRT_ASSERT_H
#define WEIR_WDK_CRT_ASSERT_H

#ifdef NDEBUG
#define assert(e) ((void)0)
#else
#define assert(e) ((e) ? (void)0 : __builtin_trap())
#endif

#endif
