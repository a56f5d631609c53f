/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a NET_BUFFER_LIST carries besides data: context areas and NetBufferListInfo.
 *
 *   Context -> [ unused (Offset bytes) | used ] Size bytes -> next
 *
 * An area that was made together with its list goes with it; one that had to be allocated later is marked in
 * the word in front of it, and is freed when its last byte is given back, or with the list.
 */
#include <stdlib.h>
#include <string.h>

#include "ledger/ledger.h"
#include "ndis/inside.h"
#include "nt/fault.h"
#include "nt/irql.h"

#define ALIGNED(n) (((n) + MEMORY_ALLOCATION_ALIGNMENT - 1) & ~(size_t)(MEMORY_ALLOCATION_ALIGNMENT - 1))

struct area {
    uint64_t apart; /* allocated alone */
    uint64_t unused;
    NET_BUFFER_LIST_CONTEXT context;
};

static struct area *area_of(NET_BUFFER_LIST_CONTEXT *c)
{
    return (struct area *)((char *)c - offsetof(struct area, context));
}

size_t ndis_context_room(uint32_t size)
{
    return ALIGNED(offsetof(struct area, context) + sizeof(NET_BUFFER_LIST_CONTEXT) + size);
}

void ndis_context_put(NET_BUFFER_LIST *nbl, void *room, uint16_t size, uint16_t back_fill)
{
    struct area *a = room;

    a->context.Next = nbl->Context;
    a->context.Size = (USHORT)(size + back_fill);
    a->context.Offset = back_fill;
    nbl->Context = &a->context;
}

void ndis_contexts_end(NET_BUFFER_LIST *nbl)
{
    NET_BUFFER_LIST_CONTEXT *c = nbl->Context, *next;

    nbl->Context = NULL;
    for (; c != NULL; c = next) {
        next = c->Next;
        if (area_of(c)->apart)
            free(area_of(c));
    }
}

NDIS_STATUS NTAPI NdisAllocateNetBufferListContext(NET_BUFFER_LIST *NetBufferList, USHORT ContextSize,
                                                   USHORT ContextBackFill, ULONG PoolTag)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    NT_FAIL_STATUS(NdisAllocateNetBufferListContext);
    NET_BUFFER_LIST_CONTEXT *c = NetBufferList->Context;
    struct area *a;

    (void)PoolTag;
    if (ContextSize % MEMORY_ALLOCATION_ALIGNMENT != 0 ||
        ContextBackFill % MEMORY_ALLOCATION_ALIGNMENT != 0 ||
        (unsigned)ContextSize + ContextBackFill > UINT16_MAX)
        return NDIS_STATUS_FAILURE;
    if (c != NULL && c->Offset >= ContextSize) {
        c->Offset = (USHORT)(c->Offset - ContextSize);
        return NDIS_STATUS_SUCCESS;
    }
    a = calloc(1, ndis_context_room((uint32_t)ContextSize + ContextBackFill));
    if (a == NULL)
        return NDIS_STATUS_RESOURCES;
    a->apart = 1;
    ndis_context_put(NetBufferList, a, ContextSize, ContextBackFill);
    return NDIS_STATUS_SUCCESS;
}

VOID NTAPI NdisFreeNetBufferListContext(NET_BUFFER_LIST *NetBufferList, USHORT ContextSize)
{
    NET_BUFFER_LIST_CONTEXT *c = NetBufferList->Context;

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (c == NULL || ContextSize > c->Size - c->Offset) {
        ledger_report(LEDGER_BUGCHECK, __builtin_return_address(0),
                      "NdisFreeNetBufferListContext: more than was allocated");
        return;
    }
    c->Offset = (USHORT)(c->Offset + ContextSize);
    if (c->Offset == c->Size && area_of(c)->apart) {
        NetBufferList->Context = c->Next;
        free(area_of(c));
    }
}

/* ---- information -----------------------------------------------------------------------------------------
 */

static void copy_info(NET_BUFFER_LIST *to, const NET_BUFFER_LIST *from, const uint8_t *ids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to->NetBufferListInfo[ids[i]] = from->NetBufferListInfo[ids[i]];
}

VOID NTAPI NdisCopySendNetBufferListInfo(NET_BUFFER_LIST *DestNetBufferList,
                                         NET_BUFFER_LIST const *SrcNetBufferList)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    static const uint8_t ids[] = {
        TcpIpChecksumNetBufferListInfo,
        IPsecOffloadV1NetBufferListInfo,
        TcpLargeSendNetBufferListInfo,
        Ieee8021QNetBufferListInfo,
        MediaSpecificInformation,
        NetBufferListCancelId,
        NetBufferListProtocolId,
        IPsecOffloadV2TunnelNetBufferListInfo,
        IPsecOffloadV2HeaderNetBufferListInfo,
        VirtualSubnetInfo,
        NetBufferListFilteringInfo,
    };

    copy_info(DestNetBufferList, SrcNetBufferList, ids, sizeof(ids));
}

VOID NTAPI NdisCopyReceiveNetBufferListInfo(NET_BUFFER_LIST *DestNetBufferList,
                                            NET_BUFFER_LIST const *SrcNetBufferList)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    static const uint8_t ids[] = {
        TcpIpChecksumNetBufferListInfo,
        IPsecOffloadV1NetBufferListInfo,
        TcpReceiveNoPush,
        Ieee8021QNetBufferListInfo,
        MediaSpecificInformation,
        NetBufferListFrameType,
        NetBufferListHashValue,
        NetBufferListHashInfo,
        IPsecOffloadV2TunnelNetBufferListInfo,
        IPsecOffloadV2HeaderNetBufferListInfo,
        VirtualSubnetInfo,
        NetBufferListFilteringInfo,
    };

    copy_info(DestNetBufferList, SrcNetBufferList, ids, sizeof(ids));
}
