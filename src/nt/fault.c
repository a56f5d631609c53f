/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that are made to fail, routines that are held: the slow half, out of the way of those that nobody asks about. */
#include "nt/fault.h"

bool nt_fails_asked(const struct nt_faults *faults, enum nt_fallible f, const void *site, NTSTATUS *status)
{
    NTSTATUS none;

    return faults->fails(faults->ctx, f, site, status != NULL ? status : &none);
}

struct nt_begun nt_begins_asked(const struct nt_faults *faults, const char *kind, const void *routine)
{
    struct rt_carried *carried = rt_carried();
    const struct nt_begun was = {.doing = carried->doing, .routine = carried->routine, .asked = true};

    carried->doing = kind;
    carried->routine = routine;
    if (faults->begins != NULL)
        faults->begins(faults->ctx, kind, routine);
    return was;
}
