/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams: the data of an indication read and cloned (STR-02, 19, 30), put in (STR-17..26), gone on with after they were
 * deferred (STR-14): thin doors to ndis/slice.h and host/host_stream.h.
 *
 * The data begin at dataOffset: in its list, in its buffer, that many bytes behind the beginning of the
 * buffer's data; they go on through the buffer's successors and the list's.
 */
#include "fwpsk.h"

#include "api/api.h"
#include "api/internal.h"
#include "host/host_stream.h"
#include "ledger/ledger.h"
#include "ndis/slice.h"
#include "nt/fault.h"
#include "nt/irql.h"
#include "nt/mdl.h"

#define SITE __builtin_return_address(0)

static struct host *current_host(void)
{
    struct api_context *c = api_current();

    return c != NULL ? api_host(c) : NULL;
}

/* ---- the data of an indication ---------------------------------------------------------------------------- */

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

/* Trimmed to what is indicated (STR-30). The clones keep the data, whatever becomes of the stream. */
NTSTATUS NTAPI FwpsCloneStreamData0(FWPS_STREAM_DATA0 *calloutStreamData, NDIS_HANDLE netBufferListPoolHandle,
                                    NDIS_HANDLE netBufferPoolHandle, ULONG allocateCloneFlags,
                                    NET_BUFFER_LIST **netBufferListChain)
{
    const FWPS_STREAM_DATA_OFFSET0 *at;
    NET_BUFFER_LIST *list;

    NT_FAIL_STATUS(FwpsCloneStreamData0);
    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (calloutStreamData == NULL || netBufferListChain == NULL)
        return STATUS_FWP_NULL_POINTER;
    *netBufferListChain = NULL;
    at = &calloutStreamData->dataOffset;
    list = at->netBufferList != NULL ? at->netBufferList : calloutStreamData->netBufferListChain;
    if (allocateCloneFlags != 0 || list == NULL)
        return STATUS_INVALID_PARAMETER;
    return ndis_stream_clone(list, at->netBuffer != NULL ? at->netBuffer : NET_BUFFER_LIST_FIRST_NB(list),
                             at->netBufferOffset, calloutStreamData->dataLength, netBufferListPoolHandle,
                             netBufferPoolHandle, netBufferListChain, SITE);
}

/* A chain of such clones that were not injected. What is none is a finding, and is left alone. */
void NTAPI FwpsDiscardClonedStreamData0(NET_BUFFER_LIST *netBufferListChain, UINT32 allocateCloneFlags,
                                        BOOLEAN dispatchLevel)
{
    const void *site = SITE;
    NET_BUFFER_LIST *next;

    (void)allocateCloneFlags;
    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (dispatchLevel && rt_carried()->irql < DISPATCH_LEVEL) /* IRQL-05 */
        ledger_report(LEDGER_NOTE, site, "FwpsDiscardClonedStreamData: dispatchLevel below DISPATCH_LEVEL");
    while (netBufferListChain != NULL) {
        if (ledger_was_closed(LEDGER_STREAM_CLONE, (uintptr_t)netBufferListChain)) {
            (void)ledger_close(LEDGER_STREAM_CLONE, (uintptr_t)netBufferListChain, site);
            return; /* nobody knows what followed it */
        }
        next = ndis_nbl_made(netBufferListChain) != NDIS_MADE_NOT
                   ? NET_BUFFER_LIST_NEXT_NBL(netBufferListChain)
                   : NULL;
        ndis_nbl_free(netBufferListChain, NDIS_MADE_CLONE, NDIS_BY_FWPS, site);
        netBufferListChain = next;
    }
}

/* ---- putting in, going on ----------------------------------------------------------------------------------- */

NTSTATUS NTAPI FwpsStreamInjectAsync0(HANDLE injectionHandle, HANDLE injectionContext, UINT32 flags,
                                      UINT64 flowId, UINT32 calloutId, UINT16 layerId, UINT32 streamFlags,
                                      NET_BUFFER_LIST *netBufferList, SIZE_T dataLength,
                                      FWPS_INJECT_COMPLETE0 completionFn, HANDLE completionContext)
{
    struct host *h = current_host();
    const struct host_stream_injection what = {.handle = injectionHandle,
                                               .context = injectionContext,
                                               .flow_id = flowId,
                                               .callout_id = calloutId,
                                               .layer_id = layerId,
                                               .flags = flags,
                                               .stream_flags = streamFlags,
                                               .list = netBufferList,
                                               .size = dataLength,
                                               .complete = completionFn,
                                               .complete_context = completionContext,
                                               .site = SITE};

    NT_FAIL_STATUS(FwpsStreamInjectAsync0);
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return h != NULL ? host_stream_inject(h, &what) : STATUS_FWP_TCPIP_NOT_READY;
}

NTSTATUS NTAPI FwpsStreamContinue0(UINT64 flowId, UINT32 calloutId, UINT16 layerId, UINT32 streamFlags)
{
    struct host *h = current_host();

    NT_FAIL_STATUS(FwpsStreamContinue0);
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return h != NULL ? host_stream_continue(h, flowId, calloutId, layerId, streamFlags, SITE)
                     : STATUS_FWP_TCPIP_NOT_READY;
}
