/* SPDX-License-Identifier: Apache-2.0 */
/* How a name of the C run-time becomes Weir's function: by its label in the object, so that the host's function of
 * that name, with another wchar_t or another printf, is never meant. */
#ifndef WEIR_WDK_CRT_BIND_H
#define WEIR_WDK_CRT_BIND_H

#define WEIR_CRT(name) __asm__("weir_crt_" #name)

#endif
