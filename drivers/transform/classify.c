/* SPDX-License-Identifier: Apache-2.0 */
/* transform's classifyFn: takes datagrams away (transform.h). */
#include "transform.h"

static void permit(const FWPS_FILTER *filter, FWPS_CLASSIFY_OUT *out)
{
    out->actionType = FWP_ACTION_PERMIT;
    if ((filter->flags & FWPS_FILTER_FLAG_CLEAR_ACTION_RIGHT) != 0)
        out->rights &= ~FWPS_RIGHT_ACTION_WRITE;
}

static void absorb(FWPS_CLASSIFY_OUT *out)
{
    out->actionType = FWP_ACTION_BLOCK;
    out->rights &= ~FWPS_RIGHT_ACTION_WRITE;
    out->flags |= FWPS_CLASSIFY_OUT_FLAG_ABSORB;
}

/* NULL: no memory. */
static struct datagram *datagram_create(const FWPS_INCOMING_VALUES *values,
                                        const FWPS_INCOMING_METADATA_VALUES *metadata, NET_BUFFER_LIST *nbl)
{
    struct datagram *datagram = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof *datagram, DATAGRAM_TAG);

    if (datagram == NULL)
        return NULL;
    datagram->users = 1;
    if (!NT_SUCCESS(path_read(&datagram->path, values, metadata, nbl))) {
        datagram_release(datagram);
        return NULL;
    }
    datagram->nbl = nbl;
    datagram->offset = NET_BUFFER_DATA_OFFSET(NET_BUFFER_LIST_FIRST_NB(nbl));
    return datagram;
}

static BOOLEAN wanted(const struct path *path)
{
    return (BOOLEAN)(transform.port == 0 || path->local_port == transform.port ||
                     path->remote_port == transform.port);
}

void NTAPI transform_classify(const FWPS_INCOMING_VALUES *values,
                              const FWPS_INCOMING_METADATA_VALUES *metadata, void *layer_data,
                              const void *context, const FWPS_FILTER *filter, UINT64 flow_context,
                              FWPS_CLASSIFY_OUT *out)
{
    HANDLE injection =
        path_direction(values, metadata) == FWP_DIRECTION_OUTBOUND ? transform.send : transform.receive;
    struct datagram *datagram;
    KLOCK_QUEUE_HANDLE held;

    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(flow_context);
    if ((out->rights & FWPS_RIGHT_ACTION_WRITE) == 0)
        return;
    if (layer_data == NULL || transform.worker.closing || path_own(injection, layer_data)) {
        permit(filter, out);
        return;
    }
    datagram = datagram_create(values, metadata, layer_data);
    if (datagram != NULL && !wanted(&datagram->path)) {
        datagram_release(datagram);
        permit(filter, out);
        return;
    }
    absorb(out); /* without memory it is lost, as datagrams may be; never passed unchanged */
    if (datagram == NULL)
        return;
    FwpsReferenceNetBufferList(layer_data, TRUE);
    KeAcquireInStackQueuedSpinLock(&transform.lock, &held);
    InsertTailList(&transform.held, &datagram->link);
    KeReleaseInStackQueuedSpinLock(&held);
    thread_wake(&transform.worker);
}
