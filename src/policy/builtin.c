/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Weir assumes of Windows' built-in callouts. An export names them, but the code behind them is on the
 * machine it came from: where documentation says what they answer to plain traffic, that is taken, everywhere
 * else nothing.
 */
#include <string.h>

#include "builtin.h"

/* As the generator orders keys: by their bytes in memory. */
const struct policy_builtin_callout *policy_builtin_callout(const GUID *key)
{
    size_t low = 0, high = policy_builtin_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = memcmp(key, policy_builtin_table[middle].key, sizeof(*key));
        if (order == 0)
            return &policy_builtin_table[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

size_t policy_builtin_callouts(const struct policy_builtin_callout **out)
{
    *out = policy_builtin_table;
    return policy_builtin_count;
}
