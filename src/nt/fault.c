/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that are made to fail: the slow half of the check, out of the way of those that are not asked about. */
#include "nt/fault.h"

bool nt_fails_asked(const struct nt_faults *faults, enum nt_fallible f, const void *site, NTSTATUS *status)
{
    NTSTATUS none;

    return faults->fails(faults->ctx, f, site, status != NULL ? status : &none);
}
