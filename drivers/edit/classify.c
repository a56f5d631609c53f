/* SPDX-License-Identifier: Apache-2.0 */
/* edit, out of band: each connection has a context, and what it sends and receives is held (edit.h). */
#include "edit.h"

static struct stream *stream_create(void)
{
    struct stream *stream = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof *stream, STREAM_TAG);

    if (stream == NULL)
        return NULL;
    for (ULONG i = 0; i < 2; i++) {
        stream->ways[i].stream = stream;
        stream->ways[i].flags =
            i == 0 ? FWPS_STREAM_FLAG_RECEIVE | FWPS_STREAM_FLAG_RECEIVE_PUSH : FWPS_STREAM_FLAG_SEND;
        InitializeListHead(&stream->ways[i].held);
    }
    return stream;
}

void stream_free(struct flow *flow)
{
    ExFreePoolWithTag(CONTAINING_RECORD(flow, struct stream, flow), STREAM_TAG);
}

void NTAPI edit_established(const FWPS_INCOMING_VALUES *values, const FWPS_INCOMING_METADATA_VALUES *metadata,
                            void *layer_data, const void *context, const FWPS_FILTER *filter,
                            UINT64 flow_context, FWPS_CLASSIFY_OUT *out)
{
    struct stream *stream;

    UNREFERENCED_PARAMETER(layer_data);
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(filter);
    UNREFERENCED_PARAMETER(flow_context);
    out->actionType = FWP_ACTION_CONTINUE;
    if (edit.worker.closing || edit.text.find_size == 0)
        return;
    stream = stream_create();
    if (stream != NULL && flow_read(&stream->flow, values, metadata) &&
        (edit.port == 0 || stream->flow.local_port == edit.port || stream->flow.remote_port == edit.port) &&
        NT_SUCCESS(flow_enter(&edit.flows, &stream->flow, edit.stream_callouts)))
        return;
    if (stream != NULL) /* not one of those that are edited; or it passes unchanged */
        stream_free(&stream->flow);
}

void NTAPI edit_flow_deleted(UINT16 layer, UINT32 callout, UINT64 flow_context)
{
    UNREFERENCED_PARAMETER(layer);
    UNREFERENCED_PARAMETER(callout);
    flow_left(&edit.flows, (struct flow *)(ULONG_PTR)flow_context);
}

/* NULL: no memory. */
static struct chunk *chunk_create(FWPS_STREAM_DATA *data)
{
    struct chunk *chunk = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof *chunk, CHUNK_TAG);

    if (chunk == NULL)
        return NULL;
    chunk->size = data->dataLength;
    if (chunk->size == 0 || NT_SUCCESS(FwpsCloneStreamData(data, NULL, NULL, 0, &chunk->clone)))
        return chunk;
    ExFreePoolWithTag(chunk, CHUNK_TAG);
    return NULL;
}

/* The sender is to wait until the worker has caught up. */
static BOOLEAN defer(struct way *way)
{
    KLOCK_QUEUE_HANDLE held;
    BOOLEAN full;

    KeAcquireInStackQueuedSpinLock(&edit.lock, &held);
    full = (BOOLEAN)(way->waiting >= MOST_HELD && !edit.worker.closing);
    way->deferred |= full;
    KeReleaseInStackQueuedSpinLock(&held);
    return full;
}

#define ENDS_AT_ONCE                                                                                         \
    (FWPS_STREAM_FLAG_RECEIVE_ABORT | FWPS_STREAM_FLAG_SEND_ABORT | FWPS_STREAM_FLAG_RECEIVE_EXPEDITED |     \
     FWPS_STREAM_FLAG_SEND_EXPEDITED)

void NTAPI edit_hold(const FWPS_INCOMING_VALUES *values, const FWPS_INCOMING_METADATA_VALUES *metadata,
                     void *layer_data, const void *context, const FWPS_FILTER *filter, UINT64 flow_context,
                     FWPS_CLASSIFY_OUT *out)
{
    struct stream *stream = (struct stream *)(ULONG_PTR)flow_context;
    FWPS_STREAM_CALLOUT_IO_PACKET *io = layer_data;
    FWPS_STREAM_DATA *data = io->streamData;
    struct chunk *chunk;
    struct way *way;

    UNREFERENCED_PARAMETER(values);
    UNREFERENCED_PARAMETER(metadata);
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(filter);
    out->actionType = FWP_ACTION_PERMIT;
    if (stream == NULL) { /* not one of ours, or older than the driver */
        io->streamAction = FWPS_STREAM_ACTION_ALLOW_CONNECTION;
        return;
    }
    if (!edit_direction(data->flags) || (data->flags & ENDS_AT_ONCE) != 0)
        return;
    way = &stream->ways[(data->flags & FWPS_STREAM_FLAG_RECEIVE) != 0 ? 0 : 1];
    if ((data->flags & FWPS_STREAM_FLAG_RECEIVE) != 0 && defer(way)) {
        io->streamAction = FWPS_STREAM_ACTION_DEFER;
        out->actionType = FWP_ACTION_NONE;
        return;
    }
    if (!way_expect(way, data->dataLength)) {
        io->streamAction = FWPS_STREAM_ACTION_ALLOW_CONNECTION;
        return;
    }
    chunk = chunk_create(data);
    if (chunk == NULL) {
        way_done(way, data->dataLength);
        io->streamAction = FWPS_STREAM_ACTION_DROP_CONNECTION;
        out->actionType = FWP_ACTION_NONE;
        return;
    }
    way_add(way, chunk);
    out->actionType = FWP_ACTION_BLOCK;
}
