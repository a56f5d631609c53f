/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FwpsvSwitch*: subscriptions to virtual switches' events, thin doors to host_vswitch.h (OTH-10); and packet contexts,
 * of which none are given out: to reference one does nothing, as documented (OTH-13).
 */
#include "fwpsk.h"

#include "api/api.h"
#include "api/internal.h"
#include "host/host_vswitch.h"
#include "ledger/ledger.h"
#include "nt/irql.h"

#define SITE __builtin_return_address(0)

static struct host *current_host(void)
{
    struct api_context *c = api_current();

    return c != NULL ? api_host(c) : NULL;
}

NTSTATUS NTAPI FwpsvSwitchEventsSubscribe0(const GUID *providerGuid, void *notifyContext, UINT32 flags,
                                           void *reserved,
                                           const FWPS_VSWITCH_EVENT_DISPATCH_TABLE0 *eventDispatchTable,
                                           UINT32 *subscriptionId)
{
    struct host *h = current_host();
    NTSTATUS status;

    (void)providerGuid;
    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (subscriptionId != NULL)
        *subscriptionId = 0;
    if (flags != 0 || reserved != NULL)
        return STATUS_INVALID_PARAMETER;
    if (h == NULL)
        return STATUS_FWP_TCPIP_NOT_READY;
    status = host_vswitch_subscribe(h, eventDispatchTable, notifyContext, subscriptionId);
    if (status == STATUS_SUCCESS)
        ledger_open(LEDGER_SUBSCRIPTION, *subscriptionId, 0, "FwpsvSwitchEventsSubscribe0", SITE);
    return status;
}

void NTAPI FwpsvSwitchEventsUnsubscribe0(UINT32 subscriptionId, UINT32 flags, void *reserved)
{
    struct host *h = current_host();

    (void)flags;
    (void)reserved;
    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (ledger_close(LEDGER_SUBSCRIPTION, subscriptionId, SITE) && h != NULL)
        (void)host_vswitch_unsubscribe(h, subscriptionId);
}

void NTAPI FwpsvSwitchNotifyComplete0(void *completionContext, NTSTATUS status, UINT32 flags, void *reserved)
{
    struct host *h = current_host();

    (void)flags;
    (void)reserved;
    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (h == NULL || !host_vswitch_complete(h, completionContext, status))
        ledger_report(LEDGER_NOTE, SITE,
                      "FwpsvSwitchNotifyComplete: no event waits for this, or it is still pending");
}

void NTAPI FwpsReferencevSwitchPacketContext0(HANDLE packetContext)
{
    (void)packetContext;
    NT_IRQL_MAX(DISPATCH_LEVEL);
}

void NTAPI FwpsDereferencevSwitchPacketContext0(HANDLE packetContext)
{
    (void)packetContext;
    NT_IRQL_MAX(DISPATCH_LEVEL);
}
