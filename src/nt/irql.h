/* SPDX-License-Identifier: Apache-2.0 */
/*
 * irql: the first line of a documented function: who may call it at which IRQL (IRQL-02, 03). For all rooms
 * that have such functions. A call at another level is a finding that names the function, and goes on.
 */
#ifndef WEIR_NT_IRQL_H
#define WEIR_NT_IRQL_H

#include <stdbool.h>

#include "ntddk.h"
#include "rt/rt.h"

/* ke_irql.c. site: where the documented function was called. */
__attribute__((cold)) void nt_irql_found(KIRQL limit, bool above, const char *function, const void *site);

static inline void nt_irql_at_most(KIRQL limit, const char *function, const void *site)
{
    if (rt_carried()->irql > limit)
        nt_irql_found(limit, true, function, site);
}

static inline void nt_irql_at_least(KIRQL limit, const char *function, const void *site)
{
    if (rt_carried()->irql < limit)
        nt_irql_found(limit, false, function, site);
}

/* In the documented function itself. */
#define NT_IRQL_MAX(limit) nt_irql_at_most((limit), __func__, __builtin_return_address(0))
#define NT_IRQL_MIN(limit) nt_irql_at_least((limit), __func__, __builtin_return_address(0))

#endif
