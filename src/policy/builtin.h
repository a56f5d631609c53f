/* SPDX-License-Identifier: Apache-2.0 */
/* The generated table of Windows' built-in callouts, ordered by the bytes of the key. */
#ifndef WEIR_POLICY_BUILTIN_H
#define WEIR_POLICY_BUILTIN_H

#include "policy/policy.h"

extern const struct policy_builtin_callout policy_builtin_table[];
extern const size_t policy_builtin_count;

#endif
