/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams: reading the data of an indication (STR-02). Cloning them and going on later are still to come and
 * say so; FwpsStreamInjectAsync0 stands with the other injections.
 *
 * The data begin at dataOffset: in its list, in its buffer, that many bytes behind the beginning of the
 * buffer's data; they go on through the buffer's successors and the list's.
 */
#include "fwpsk.h"

#include "api/internal.h"
#include "nt/fault.h"
#include "nt/irql.h"
#include "nt/mdl.h"

/* NULL list: at the end. */
static void next_buffer(NET_BUFFER_LIST **list, NET_BUFFER **nb)
{
    *nb = NET_BUFFER_NEXT_NB(*nb);
    while (*nb == NULL && *list != NULL) {
        *list = NET_BUFFER_LIST_NEXT_NBL(*list);
        if (*list != NULL)
            *nb = NET_BUFFER_LIST_FIRST_NB(*list);
    }
}

static ULONG copy_mdls(const NET_BUFFER *nb, ULONG offset, ULONG size, UCHAR *to)
{
    ULONG skip = NET_BUFFER_CURRENT_MDL_OFFSET(nb) + offset, done = 0;

    for (MDL *mdl = NET_BUFFER_CURRENT_MDL(nb); mdl != NULL && done < size; mdl = mdl->Next) {
        ULONG here = MmGetMdlByteCount(mdl);

        if (skip >= here) {
            skip -= here;
            continue;
        }
        here = here - skip < size - done ? here - skip : size - done;
        memcpy(to + done, (UCHAR *)mm_mdl_map(mdl) + skip, here);
        done += here;
        skip = 0;
    }
    return done;
}

/* <= DISPATCH_LEVEL. Copies at most so much as there is. */
void NTAPI FwpsCopyStreamDataToBuffer0(const FWPS_STREAM_DATA0 *calloutStreamData, PVOID buffer,
                                       SIZE_T bytesToCopy, SIZE_T *bytesCopied)
{
    const FWPS_STREAM_DATA_OFFSET0 *at = &calloutStreamData->dataOffset;
    NET_BUFFER_LIST *list =
        at->netBufferList != NULL ? at->netBufferList : calloutStreamData->netBufferListChain;
    NET_BUFFER *nb = at->netBuffer != NULL ? at->netBuffer
                     : list != NULL        ? NET_BUFFER_LIST_FIRST_NB(list)
                                           : NULL;
    SIZE_T left = bytesToCopy < calloutStreamData->dataLength ? bytesToCopy : calloutStreamData->dataLength;
    ULONG offset = at->netBufferOffset;
    UCHAR *to = buffer;

    NT_IRQL_MAX(DISPATCH_LEVEL);
    while (list != NULL && nb != NULL && left != 0) {
        ULONG there = NET_BUFFER_DATA_LENGTH(nb) > offset ? NET_BUFFER_DATA_LENGTH(nb) - offset : 0;
        ULONG size = there < left ? there : (ULONG)left;
        ULONG copied = copy_mdls(nb, offset, size, to);

        to += copied;
        left -= copied;
        offset = 0;
        if (copied < size)
            break; /* its MDLs end before its data */
        next_buffer(&list, &nb);
    }
    *bytesCopied = (SIZE_T)(to - (UCHAR *)buffer);
}

NTSTATUS NTAPI FwpsCloneStreamData0(FWPS_STREAM_DATA0 *calloutStreamData, NDIS_HANDLE netBufferListPoolHandle,
                                    NDIS_HANDLE netBufferPoolHandle, ULONG allocateCloneFlags,
                                    NET_BUFFER_LIST **netBufferListChain)
{
    NT_FAIL_STATUS(FwpsCloneStreamData0);
    (void)calloutStreamData;
    (void)netBufferListPoolHandle;
    (void)netBufferPoolHandle;
    (void)allocateCloneFlags;
    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (netBufferListChain != NULL)
        *netBufferListChain = NULL;
    return STATUS_NOT_SUPPORTED;
}

/* Of clones that FwpsCloneStreamData0 does not make yet. */
void NTAPI FwpsDiscardClonedStreamData0(NET_BUFFER_LIST *netBufferListChain, UINT32 allocateCloneFlags,
                                        BOOLEAN dispatchLevel)
{
    (void)allocateCloneFlags;
    (void)dispatchLevel;
    NT_IRQL_MAX(DISPATCH_LEVEL);
    while (netBufferListChain != NULL) {
        NET_BUFFER_LIST *next = NET_BUFFER_LIST_NEXT_NBL(netBufferListChain);

        NET_BUFFER_LIST_NEXT_NBL(netBufferListChain) = NULL;
        FwpsFreeCloneNetBufferList0(netBufferListChain, 0);
        netBufferListChain = next;
    }
}

NTSTATUS NTAPI FwpsStreamContinue0(UINT64 flowId, UINT32 calloutId, UINT16 layerId, UINT32 streamFlags)
{
    NT_FAIL_STATUS(FwpsStreamContinue0);
    (void)flowId;
    (void)calloutId;
    (void)layerId;
    (void)streamFlags;
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return STATUS_NOT_SUPPORTED;
}
