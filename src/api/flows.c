/* SPDX-License-Identifier: Apache-2.0 */
/* FwpsFlow*0 and FwpsClassifyOptionSet0: what callouts say about flows, given on to the host of the current
 * context (ALE-10, 13..19, CLS-30). Any thread, IRQL <= DISPATCH_LEVEL. STATUS_FWP_TCPIP_NOT_READY: the
 * context has no host, so there are no flows. */
#include "fwpmk.h"
#include "fwpsk.h"

#include "api/api.h"
#include "api/internal.h"
#include "ledger/ledger.h"
#include "nt/fault.h"
#include "nt/irql.h"

static struct host *current_host(void)
{
    struct api_context *c = api_current();

    return c != NULL ? api_host(c) : NULL;
}

NTSTATUS NTAPI FwpsFlowAssociateContext0(UINT64 flowId, UINT16 layerId, UINT32 calloutId, UINT64 flowContext)
{
    NT_FAIL_STATUS(FwpsFlowAssociateContext0);
    UINT64 key = host_context_key(flowId, layerId, calloutId);
    const void *site = __builtin_return_address(0);
    struct host *h = current_host();
    NTSTATUS status;

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (h == NULL)
        return STATUS_FWP_TCPIP_NOT_READY;
    status = host_flow_associate(h, flowId, layerId, calloutId, flowContext);
    if (status == STATUS_SUCCESS)
        ledger_open(LEDGER_FLOW_CONTEXT, key, 0, NULL, site);
    return status;
}

NTSTATUS NTAPI FwpsFlowRemoveContext0(UINT64 flowId, UINT16 layerId, UINT32 calloutId)
{
    struct host *h = current_host();

    NT_FAIL_STATUS(FwpsFlowRemoveContext0);
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return h != NULL ? host_flow_remove(h, flowId, layerId, calloutId) : STATUS_FWP_TCPIP_NOT_READY;
}

NTSTATUS NTAPI FwpsFlowAbort0(UINT64 flowId)
{
    struct host *h = current_host();

    NT_FAIL_STATUS(FwpsFlowAbort0);
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return h != NULL ? host_flow_abort(h, flowId) : STATUS_FWP_TCPIP_NOT_READY;
}

/* The classify is the one that runs on this thread: the metadata are looked at for being there. */
NTSTATUS NTAPI FwpsClassifyOptionSet0(const FWPS_INCOMING_METADATA_VALUES0 *inMetadataValues,
                                      const FWP_CLASSIFY_OPTION_TYPE option, const FWP_VALUE0 *newValue)
{
    struct host *h = current_host();

    NT_FAIL_STATUS(FwpsClassifyOptionSet0);
    if (inMetadataValues == NULL || newValue == NULL)
        return STATUS_INVALID_PARAMETER;
    return h != NULL ? host_option_set(h, NULL, option, newValue) : STATUS_FWP_TCPIP_NOT_READY;
}
