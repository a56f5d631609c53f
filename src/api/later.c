/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Redirection, virtual tunnel interfaces: functions that a driver may be linked against and
 * that fail as documented until there is something behind them. Those that return nothing take handles which
 * nobody can have been given; that they are called all the same is reported.
 */
#include "fwpsk.h"

#include <stdio.h>

#include "api/internal.h"
#include "ledger/ledger.h"
#include "nt/fault.h"
#include "nt/irql.h"

#define SITE __builtin_return_address(0)

NTSTATUS NTAPI FwpsAcquireClassifyHandle0(void *classifyContext, UINT32 flags, UINT64 *classifyHandle)
{
    NT_FAIL_STATUS(FwpsAcquireClassifyHandle0);
    (void)classifyContext;
    (void)flags;
    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (classifyHandle != NULL)
        *classifyHandle = 0;
    return STATUS_NOT_SUPPORTED;
}

NTSTATUS NTAPI FwpsAcquireWritableLayerDataPointer0(UINT64 classifyHandle, UINT64 filterId, UINT32 flags,
                                                    PVOID *writableLayerData, FWPS_CLASSIFY_OUT0 *classifyOut)
{
    NT_FAIL_STATUS(FwpsAcquireWritableLayerDataPointer0);
    (void)classifyHandle;
    (void)filterId;
    (void)flags;
    (void)classifyOut;
    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (writableLayerData != NULL)
        *writableLayerData = NULL;
    return STATUS_NOT_SUPPORTED;
}

NTSTATUS NTAPI FwpsPendClassify0(UINT64 classifyHandle, UINT64 filterId, UINT32 flags,
                                 FWPS_CLASSIFY_OUT0 *classifyOut)
{
    NT_FAIL_STATUS(FwpsPendClassify0);
    (void)classifyHandle;
    (void)filterId;
    (void)flags;
    (void)classifyOut;
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return STATUS_FWP_CANNOT_PEND;
}

static void no_such_handle(const char *function, const void *site)
{
    char text[120];

    nt_irql_at_most(DISPATCH_LEVEL, function, site);
    snprintf(text, sizeof text, "%s: no handle has been given to anybody", function);
    ledger_report(LEDGER_NOTE, site, text);
}

void NTAPI FwpsApplyModifiedLayerData0(UINT64 classifyHandle, PVOID modifiedLayerData, UINT32 flags)
{
    (void)classifyHandle;
    (void)modifiedLayerData;
    (void)flags;
    no_such_handle(__func__, SITE);
}

void NTAPI FwpsCompleteClassify0(UINT64 classifyHandle, UINT32 flags, const FWPS_CLASSIFY_OUT0 *classifyOut)
{
    (void)classifyHandle;
    (void)flags;
    (void)classifyOut;
    no_such_handle(__func__, SITE);
}

void NTAPI FwpsReleaseClassifyHandle0(UINT64 classifyHandle)
{
    (void)classifyHandle;
    no_such_handle(__func__, SITE);
}

NTSTATUS NTAPI FwpsRedirectHandleCreate0(const GUID *providerGuid, UINT32 flags, HANDLE *redirectHandle)
{
    NT_FAIL_STATUS(FwpsRedirectHandleCreate0);
    (void)providerGuid;
    (void)flags;
    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (redirectHandle != NULL)
        *redirectHandle = NULL;
    return STATUS_NOT_SUPPORTED;
}

void NTAPI FwpsRedirectHandleDestroy0(HANDLE redirectHandle)
{
    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (redirectHandle != NULL)
        no_such_handle(__func__, SITE);
}

/* Without records nobody has redirected (RED-20), and there are none. */
FWPS_CONNECTION_REDIRECT_STATE NTAPI FwpsQueryConnectionRedirectState0(HANDLE redirectRecords,
                                                                       HANDLE redirectHandle,
                                                                       void **redirectContext)
{
    (void)redirectRecords;
    (void)redirectHandle;
    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (redirectContext != NULL)
        *redirectContext = NULL;
    return FWPS_CONNECTION_NOT_REDIRECTED;
}

NTSTATUS NTAPI FwpsQueryConnectionSioFormatRedirectRecords0(HANDLE RedirectRecords, PVOID OutputBuffer,
                                                            SIZE_T OutputBufferLength,
                                                            PSIZE_T BytesTransferred)
{
    (void)RedirectRecords;
    (void)OutputBuffer;
    (void)OutputBufferLength;
    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (BytesTransferred != NULL)
        *BytesTransferred = 0;
    return STATUS_NOT_FOUND;
}

NTSTATUS NTAPI FwpsVirtualIfTunnelInfoGet0(const FWPS_INCOMING_METADATA_VALUES0 *metadata,
                                           IPSEC_VIRTUAL_IF_TUNNEL_INFO0 *virtualIfTunnelInfo)
{
    (void)metadata;
    (void)virtualIfTunnelInfo;
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return STATUS_NOT_FOUND;
}

NTSTATUS NTAPI FwpsVirtualIfTunnelInfoSet0(NET_BUFFER_LIST *netBufferList,
                                           const IPSEC_VIRTUAL_IF_TUNNEL_INFO0 *virtualIfTunnelInfo)
{
    (void)netBufferList;
    (void)virtualIfTunnelInfo;
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return STATUS_NOT_SUPPORTED;
}
