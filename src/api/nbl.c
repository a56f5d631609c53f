/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fwps functions on NET_BUFFER_LISTs: references, clones, lists of drivers' own, IP headers, tags (NBL). Thin
 * doors: the bodies are ndis'. Any thread, IRQL <= DISPATCH_LEVEL.
 */
#include "fwpmk.h"
#include "fwpsk.h"

#include "api/api.h"
#include "api/internal.h"
#include "host/host_inject.h"
#include "ledger/ledger.h"
#include "ndis/nbl.h"
#include "nt/fault.h"

#define SITE __builtin_return_address(0)

static struct host *current_host(void)
{
    struct api_context *c = api_current();

    return c != NULL ? api_host(c) : NULL;
}

/* ---- references, clones, lists of one's own -------------------------------------------------------------
 */

void NTAPI FwpsReferenceNetBufferList0(NET_BUFFER_LIST *netBufferList, BOOLEAN intendToModify)
{
    (void)ndis_nbl_reference(netBufferList, intendToModify, SITE);
}

void NTAPI FwpsDereferenceNetBufferList0(NET_BUFFER_LIST *netBufferList, BOOLEAN dispatchLevel)
{
    if (dispatchLevel && rt_carried()->irql < DISPATCH_LEVEL) /* IRQL-05 */
        ledger_report(LEDGER_NOTE, SITE, "FwpsDereferenceNetBufferList: dispatchLevel below DISPATCH_LEVEL");
    (void)ndis_nbl_dereference(netBufferList, SITE);
}

static NTSTATUS clone(NET_BUFFER_LIST *original, NDIS_HANDLE list_pool, NDIS_HANDLE buffer_pool, bool deep,
                      NET_BUFFER_LIST **out, const void *site)
{
    if (original == NULL || out == NULL)
        return STATUS_FWP_NULL_POINTER;
    *out = NULL;
    if (ndis_nbl_made(original) == NDIS_MADE_NOT)
        return STATUS_INVALID_PARAMETER;
    *out = ndis_nbl_clone(original, list_pool, buffer_pool, deep, NDIS_BY_FWPS, site);
    if (*out == NULL)
        return STATUS_NO_MEMORY;
    if (ndis_tags_any(original)) {
        ndis_tags_copy(*out, original);
        ndis_tags_tell(original, FWPS_NET_BUFFER_LIST_CLONED_VIA_WFP_API, *out, FWPS_LAYER_NON_WFP);
    }
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI FwpsAllocateCloneNetBufferList0(NET_BUFFER_LIST *originalNetBufferList,
                                               NDIS_HANDLE netBufferListPoolHandle,
                                               NDIS_HANDLE netBufferPoolHandle, ULONG allocateCloneFlags,
                                               NET_BUFFER_LIST **netBufferList)
{
    NT_FAIL_STATUS(FwpsAllocateCloneNetBufferList0);
    if (allocateCloneFlags != 0) /* NBL-06 */
        return STATUS_INVALID_PARAMETER;
    return clone(originalNetBufferList, netBufferListPoolHandle, netBufferPoolHandle, false, netBufferList,
                 SITE);
}

NTSTATUS NTAPI FwpsAllocateDeepCloneNetBufferList0(NET_BUFFER_LIST *originalNetBufferList,
                                                   NDIS_HANDLE netBufferListPoolHandle,
                                                   NDIS_HANDLE netBufferPoolHandle,
                                                   NET_BUFFER_LIST **netBufferList)
{
    NT_FAIL_STATUS(FwpsAllocateDeepCloneNetBufferList0);
    return clone(originalNetBufferList, netBufferListPoolHandle, netBufferPoolHandle, true, netBufferList,
                 SITE);
}

void NTAPI FwpsFreeCloneNetBufferList0(NET_BUFFER_LIST *netBufferList, ULONG freeCloneFlags)
{
    (void)freeCloneFlags;
    ndis_nbl_free(netBufferList, NDIS_MADE_CLONE, NDIS_BY_FWPS, SITE);
}

NTSTATUS NTAPI FwpsAllocateNetBufferAndNetBufferList0(NDIS_HANDLE poolHandle, USHORT contextSize,
                                                      USHORT contextBackFill, MDL *mdlChain, ULONG dataOffset,
                                                      SIZE_T dataLength, NET_BUFFER_LIST **netBufferList)
{
    NET_BUFFER_LIST *nbl;

    NT_FAIL_STATUS(FwpsAllocateNetBufferAndNetBufferList0);
    if (netBufferList == NULL)
        return STATUS_FWP_NULL_POINTER;
    *netBufferList = NULL;
    if (poolHandle == NULL || contextSize % MEMORY_ALLOCATION_ALIGNMENT != 0 ||
        contextBackFill % MEMORY_ALLOCATION_ALIGNMENT != 0 || dataLength > UINT32_MAX)
        return STATUS_INVALID_PARAMETER; /* NBL-12 */
    nbl = ndis_nbl_own(poolHandle, contextSize, contextBackFill, true, mdlChain, dataOffset, dataLength,
                       NDIS_BY_FWPS, SITE);
    if (nbl == NULL)
        return ndis_nbl_pool_fits(poolHandle) ? STATUS_NO_MEMORY : STATUS_INVALID_PARAMETER;
    *netBufferList = nbl;
    return STATUS_SUCCESS;
}

void NTAPI FwpsFreeNetBufferList0(NET_BUFFER_LIST *netBufferList)
{
    ndis_nbl_free(netBufferList, NDIS_MADE_OWN, NDIS_BY_FWPS, SITE);
}

/* ---- headers, fragments, security */

NTSTATUS NTAPI FwpsConstructIpHeaderForTransportPacket0(
    NET_BUFFER_LIST *netBufferList, ULONG headerIncludeHeaderLength, ADDRESS_FAMILY addressFamily,
    const UCHAR *sourceAddress, const UCHAR *remoteAddress, IPPROTO nextProtocol, UINT64 endpointHandle,
    const WSACMSGHDR *controlData, ULONG controlDataLength, UINT32 flags, PVOID reserved,
    IF_INDEX interfaceIndex, IF_INDEX subInterfaceIndex)
{
    NT_FAIL_STATUS(FwpsConstructIpHeaderForTransportPacket0);
    (void)endpointHandle; /* sockets here have no options that stand in headers */
    (void)controlData;
    (void)controlDataLength;
    (void)flags;
    (void)interfaceIndex;
    (void)subInterfaceIndex;
    if (netBufferList == NULL || sourceAddress == NULL || remoteAddress == NULL)
        return STATUS_FWP_NULL_POINTER;
    if (reserved != NULL)
        return STATUS_INVALID_PARAMETER;
    return ndis_construct_ip_header(netBufferList, headerIncludeHeaderLength, addressFamily, sourceAddress,
                                    remoteAddress, (uint8_t)nextProtocol);
}

NTSTATUS NTAPI FwpsReassembleForwardFragmentGroup0(ADDRESS_FAMILY addressFamily,
                                                   NET_BUFFER_LIST *fragmentGroupNblChain,
                                                   NDIS_HANDLE netBufferAndNetBufferListPoolHandle,
                                                   ULONG dataBackFill, ULONG flags,
                                                   NET_BUFFER_LIST **reassembledNbl)
{
    NT_FAIL_STATUS(FwpsReassembleForwardFragmentGroup0);
    if (fragmentGroupNblChain == NULL || reassembledNbl == NULL)
        return STATUS_FWP_NULL_POINTER;
    *reassembledNbl = NULL;
    if (flags != 0)
        return STATUS_INVALID_PARAMETER;
    return host_reassemble_group(addressFamily, fragmentGroupNblChain, netBufferAndNetBufferListPoolHandle,
                                 dataBackFill, reassembledNbl, SITE);
}

/* There is no IPsec: nothing was secured, nothing will be. */
NTSTATUS NTAPI FwpsGetPacketListSecurityInformation0(NET_BUFFER_LIST *packetList, UINT32 queryFlags,
                                                     FWPS_PACKET_LIST_INFORMATION0 *packetInformation)
{
    NT_FAIL_STATUS(FwpsGetPacketListSecurityInformation0);
    if (packetList == NULL || packetInformation == NULL)
        return STATUS_FWP_NULL_POINTER;
    if ((queryFlags & FWPS_PACKET_LIST_INFORMATION_QUERY_INVALID_MASK) ==
        FWPS_PACKET_LIST_INFORMATION_QUERY_INVALID_MASK)
        return STATUS_INVALID_PARAMETER; /* inbound and outbound at once */
    *packetInformation = (FWPS_PACKET_LIST_INFORMATION0){0};
    if ((queryFlags & FWPS_PACKET_LIST_INFORMATION_QUERY_FWP) != 0)
        packetInformation->fwpInformation.isReinjected = ndis_history_of(packetList) != NULL;
    return STATUS_SUCCESS;
}

/* ---- tags (NBL-21) --------------------------------------------------------------------------------------
 */

static NTSTATUS associate(NET_BUFFER_LIST *nbl, UINT16 layer, UINT64 context, UINT64 tag,
                          ndis_notify_fn notify, unsigned version, UINT32 flags)
{
    const struct ndis_tag t = {.tag = tag,
                               .context = context,
                               .layer = layer,
                               .version = version,
                               .notify = notify,
                               .owner = rt_current()};

    if (nbl == NULL || notify == NULL)
        return STATUS_FWP_NULL_POINTER;
    if (flags != 0 || tag == 0)
        return STATUS_INVALID_PARAMETER;
    if (layer == FWPS_LAYER_STREAM_V4 || layer == FWPS_LAYER_STREAM_V6)
        return STATUS_FWP_INCOMPATIBLE_LAYER;
    switch (ndis_tag_add(nbl, &t)) {
    case NDIS_TAG_OK:
        return STATUS_SUCCESS;
    case NDIS_TAG_EXISTS:
        return STATUS_FWP_ALREADY_EXISTS;
    case NDIS_TAG_NO_MEMORY:
        return STATUS_NO_MEMORY;
    default:
        return STATUS_INVALID_PARAMETER;
    }
}

NTSTATUS NTAPI FwpsNetBufferListAssociateContext0(NET_BUFFER_LIST *netBufferList, UINT16 layerId,
                                                  UINT64 context, UINT64 contextTag, GUID *providerGuid,
                                                  void *deviceObject,
                                                  FWPS_NET_BUFFER_LIST_NOTIFY_FN0 notifyFn, UINT32 flags)
{
    NT_FAIL_STATUS(FwpsNetBufferListAssociateContext0);
    (void)providerGuid;
    (void)deviceObject;
    return associate(netBufferList, layerId, context, contextTag, (ndis_notify_fn)notifyFn, 0, flags);
}

NTSTATUS NTAPI FwpsNetBufferListAssociateContext1(NET_BUFFER_LIST *netBufferList, UINT16 layerId,
                                                  UINT64 context, UINT64 contextTag, GUID *providerGuid,
                                                  void *deviceObject,
                                                  FWPS_NET_BUFFER_LIST_NOTIFY_FN1 notifyFn, UINT32 flags)
{
    NT_FAIL_STATUS(FwpsNetBufferListAssociateContext1);
    (void)providerGuid;
    (void)deviceObject;
    return associate(netBufferList, layerId, context, contextTag, (ndis_notify_fn)notifyFn, 1, flags);
}

UINT64 NTAPI FwpsNetBufferListGetTagForContext0(void)
{
    struct host *h = current_host();

    return h != NULL ? host_next_tag(h) : 0;
}

NTSTATUS NTAPI FwpsNetBufferListRetrieveContext0(NET_BUFFER_LIST *netBufferList, UINT64 contextTag,
                                                 BOOLEAN removeContext, UINT32 flags, UINT64 *context)
{
    struct ndis_tag t;

    if (netBufferList == NULL || context == NULL)
        return STATUS_FWP_NULL_POINTER;
    if (flags != 0)
        return STATUS_INVALID_PARAMETER;
    if (ndis_tag_find(netBufferList, contextTag, removeContext, &t) != NDIS_TAG_OK)
        return STATUS_NOT_FOUND;
    *context = t.context;
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI FwpsNetBufferListRemoveContext0(NET_BUFFER_LIST *netBufferList, UINT64 contextTag,
                                               UINT32 flags)
{
    struct ndis_tag t;

    NT_FAIL_STATUS(FwpsNetBufferListRemoveContext0);
    if (flags != 0)
        return STATUS_INVALID_PARAMETER;
    if (netBufferList == NULL) /* wherever it is: packets that are not in the stack are not known here */
        return STATUS_NOT_FOUND;
    if (ndis_tag_find(netBufferList, contextTag, true, &t) != NDIS_TAG_OK)
        return STATUS_NOT_FOUND;
    ndis_tag_tell(&t, netBufferList, FWPS_NET_BUFFER_LIST_CONTEXT_REMOVED, NULL, t.layer);
    return STATUS_SUCCESS;
}
