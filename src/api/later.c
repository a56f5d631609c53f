/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual tunnel interfaces: functions that a driver may be linked against and that fail as documented until there is
 * something behind them.
 */
#include "fwpsk.h"

#include "api/internal.h"
#include "nt/irql.h"

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
