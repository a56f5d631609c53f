/* SPDX-License-Identifier: Apache-2.0 */
/* edit, inline: the text goes, the other comes, within classifyFn (edit.h). */
#include "edit.h"

BOOLEAN edit_direction(UINT32 stream_flags)
{
    return (BOOLEAN)((stream_flags & FWPS_STREAM_FLAG_RECEIVE) != 0 ? edit.received : edit.sent);
}

#define KEPT                                                                                                 \
    (FWPS_STREAM_FLAG_RECEIVE | FWPS_STREAM_FLAG_RECEIVE_PUSH | FWPS_STREAM_FLAG_SEND |                      \
     FWPS_STREAM_FLAG_SEND_NODELAY)

static BOOLEAN wanted(const FWPS_INCOMING_VALUES *values)
{
    const FWPS_INCOMING_VALUE *value = values->incomingValue;
    BOOLEAN v4 = (BOOLEAN)(values->layerId == FWPS_LAYER_STREAM_V4);
    UINT16 local =
        value[v4 ? (ULONG)FWPS_FIELD_STREAM_V4_IP_LOCAL_PORT : (ULONG)FWPS_FIELD_STREAM_V6_IP_LOCAL_PORT]
            .value.uint16;
    UINT16 remote =
        value[v4 ? (ULONG)FWPS_FIELD_STREAM_V4_IP_REMOTE_PORT : (ULONG)FWPS_FIELD_STREAM_V6_IP_REMOTE_PORT]
            .value.uint16;

    return (BOOLEAN)(edit.text.find_size != 0 && !edit.worker.closing &&
                     (edit.port == 0 || local == edit.port || remote == edit.port));
}

/* A stream with a hole, or with what was to be replaced, must not go on. */
static void drop(FWPS_STREAM_CALLOUT_IO_PACKET *io, FWPS_CLASSIFY_OUT *out)
{
    io->streamAction = FWPS_STREAM_ACTION_DROP_CONNECTION;
    out->actionType = FWP_ACTION_NONE;
}

/* Where the text begins first; the data's size: nowhere. FALSE: no memory. */
static BOOLEAN search(const FWPS_STREAM_DATA *data, ULONG *at, BOOLEAN *whole)
{
    SIZE_T copied;
    UCHAR *bytes =
        ExAllocatePool2(POOL_FLAG_NON_PAGED | POOL_FLAG_UNINITIALIZED, data->dataLength, BYTES_TAG);

    if (bytes == NULL)
        return FALSE;
    FwpsCopyStreamDataToBuffer(data, bytes, data->dataLength, &copied);
    *at = text_first(&edit.text, bytes, (ULONG)copied, whole);
    ExFreePoolWithTag(bytes, BYTES_TAG);
    return TRUE;
}

/* The data begins with the text: the other one goes in front (STR-17), and so many bytes are taken out. */
static void replace(const FWPS_INCOMING_VALUES *values, const FWPS_INCOMING_METADATA_VALUES *metadata,
                    const FWPS_FILTER *filter, FWPS_STREAM_CALLOUT_IO_PACKET *io, FWPS_CLASSIFY_OUT *out)
{
    struct flow flow = {0};
    struct product *product;

    if (edit.text.replace_size != 0) {
        flow.id = metadata->flowHandle;
        flow.layer = values->layerId;
        flow.callout = filter->action.calloutId;
        product = product_create((const UCHAR *)edit.text.replace, edit.text.replace_size);
        if (product == NULL ||
            !NT_SUCCESS(product_inject(product, &flow, io->streamData->flags & KEPT, NULL))) {
            drop(io, out);
            return;
        }
    }
    out->actionType = FWP_ACTION_BLOCK;
    io->countBytesEnforced = edit.text.find_size;
}

void NTAPI edit_inline(const FWPS_INCOMING_VALUES *values, const FWPS_INCOMING_METADATA_VALUES *metadata,
                       void *layer_data, const void *context, const FWPS_FILTER *filter, UINT64 flow_context,
                       FWPS_CLASSIFY_OUT *out)
{
    FWPS_STREAM_CALLOUT_IO_PACKET *io = layer_data;
    const FWPS_STREAM_DATA *data = io->streamData;
    BOOLEAN whole;
    ULONG at;

    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(flow_context);
    out->actionType = FWP_ACTION_PERMIT;
    if (!wanted(values)) {
        io->streamAction = FWPS_STREAM_ACTION_ALLOW_CONNECTION;
        return;
    }
    if (!edit_direction(data->flags) || data->dataLength == 0)
        return;
    if (!search(data, &at, &whole)) {
        drop(io, out);
        return;
    }
    if (at == data->dataLength)
        return;
    /* What could be the text's beginning is not, if nothing follows (STR-11, STR-12). */
    if (!whole && (out->flags &
                   (FWPS_CLASSIFY_OUT_FLAG_NO_MORE_DATA | FWPS_CLASSIFY_OUT_FLAG_BUFFER_LIMIT_REACHED)) != 0)
        return;
    if (at != 0) { /* what is before it passes; the rest is indicated again at once */
        io->countBytesEnforced = at;
        return;
    }
    if (whole) {
        replace(values, metadata, filter, io, out);
        return;
    }
    /* As many as are missing: right whether that is taken for the total or for what is to come (STR-09). */
    io->streamAction = FWPS_STREAM_ACTION_NEED_MORE_DATA;
    io->countBytesRequired = edit.text.find_size - (UINT32)data->dataLength;
    out->actionType = FWP_ACTION_NONE;
}
