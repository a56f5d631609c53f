/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pend: FwpsPendOperation0 and FwpsCompleteOperation0, the doors of the host's authorizations (PEND-01..46;
 * the states and who may do what: src/host/ale.c).
 *
 *   classifyFn --FwpsPendOperation0--> host_pend(): the operation waits; the context is the driver's
 *   any thread --FwpsCompleteOperation0--> host_complete(): reauthorized inside this call at AC, RES and LIS
 *                                          (PEND-21; deferred by host_knobs.defer_completion)
 *
 * A context is good for one completion: a second one, or one that never was, is reported and does nothing
 * (PEND-13). The packet given along stays the driver's (PEND-30).
 */
#include "fwpmk.h"
#include "fwpsk.h"

#include "api/api.h"
#include "api/internal.h"
#include "host/host_inject.h"
#include "ledger/ledger.h"

NTSTATUS NTAPI FwpsPendOperation0(HANDLE completionHandle, HANDLE *completionContext)
{
    struct api_context *c = api_current();
    const void *site = __builtin_return_address(0);
    NTSTATUS status;

    api_at_most(DISPATCH_LEVEL, site); /* PEND-16 */
    if (c == NULL || api_host(c) == NULL)
        return STATUS_FWP_TCPIP_NOT_READY;
    status = host_pend(api_host(c), completionHandle, completionContext);
    if (status == STATUS_SUCCESS)
        ledger_open(LEDGER_PENDED_OPERATION, (uintptr_t)*completionContext, 0, NULL, site);
    return status;
}

void NTAPI FwpsCompleteOperation0(HANDLE completionContext, NET_BUFFER_LIST *netBufferList)
{
    struct api_context *c = api_current();
    const void *site = __builtin_return_address(0);

    api_at_most(DISPATCH_LEVEL, site);
    if (c == NULL || api_host(c) == NULL ||
        !ledger_close(LEDGER_PENDED_OPERATION, (uintptr_t)completionContext, site))
        return;
    host_carry(netBufferList);
    host_complete(api_host(c), completionContext);
}
