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
#include "nt/fault.h"
#include "nt/irql.h"

NTSTATUS NTAPI FwpsPendOperation0(HANDLE completionHandle, HANDLE *completionContext)
{
    NT_FAIL_STATUS(FwpsPendOperation0);
    struct api_context *c = api_current();
    struct host *h = c != NULL ? api_host(c) : NULL;
    const void *site = __builtin_return_address(0);
    NTSTATUS status;

    NT_IRQL_MAX(DISPATCH_LEVEL); /* PEND-16 */
    if (h == NULL)
        return STATUS_FWP_TCPIP_NOT_READY;
    status = nt_pends(completionHandle, completionContext)
                 ? STATUS_SUCCESS
                 : host_pend(h, completionHandle, completionContext);
    if (status == STATUS_SUCCESS)
        ledger_open(LEDGER_PENDED_OPERATION, (uintptr_t)*completionContext, 0, NULL, site);
    return status;
}

void NTAPI FwpsCompleteOperation0(HANDLE completionContext, NET_BUFFER_LIST *netBufferList)
{
    struct api_context *c = api_current();
    struct host *h = c != NULL ? api_host(c) : NULL;
    const void *site = __builtin_return_address(0);

    if (h != NULL)
        host_complete_ahead(h, completionContext);
    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (h == NULL || !ledger_close(LEDGER_PENDED_OPERATION, (uintptr_t)completionContext, site))
        return;
    if (netBufferList != NULL)
        host_carry(netBufferList);
    host_complete(h, completionContext);
}
