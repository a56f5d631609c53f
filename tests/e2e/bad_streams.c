/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver that does one thing against the contract of the stream layer: what tests/e2e/bad_streams.py wants named.
 *
 * Parameter Mode: see classify_stream(). What is put in is one byte of its own, or a clone.
 */
#include <initguid.h>

#include "../../drivers/common/callouts.h"
#include "../../drivers/common/parameters.h"

#define BAD_TAG 'daB '
#define MUCH    (64u << 20)

enum mode {
    INSPECTS,          /* lets all pass */
    ASKS_FOR_MUCH,     /* 64 MB; at the limit it permits */
    ASKS_AT_THE_LIMIT, /* ... and there asks for more */
    ASKS_FOR_NOTHING,  /* NEED_MORE_DATA, countBytesRequired 0, once */
    DISCARDS_ORIGINAL, /* FwpsDiscardClonedStreamData of what is indicated */
    DISCARDS_TWICE,
    KEEPS_CLONE,
    MIXES,              /* takes the first indication out for later, lets the others pass */
    INJECTS_UNASKED,    /* from a DPC, with everything let pass */
    INJECTS_END,        /* from a DPC: an end that was not there */
    INJECTS_BOTH_WAYS,  /* with both directions' flags */
    INJECTS_ORIGINAL,   /* what is indicated, no clone of it */
    INJECTS_TOO_MUCH,   /* dataLength beyond the list */
    TURNS_CLONE,        /* into the other direction */
    GIVES_TO_TRANSPORT, /* a clone to FwpsInjectTransportReceiveAsync */
    CONTINUES_INSIDE,   /* FwpsStreamContinue in a classifyFn */
    DEFERS_SENT,
    ENFORCES_TOO_MUCH,
    ANSWERS_NOTHING,
    NEVER_GOES_ON, /* waits for more until the end */
};

struct later {
    KTIMER timer;
    KDPC dpc;
    UINT64 flow;
    UINT32 callout, flags;
    UINT16 layer;
    NET_BUFFER_LIST *clone; /* NULL: the byte */
};

static struct {
    DEVICE_OBJECT *device;
    HANDLE handle, transport;
    NDIS_HANDLE pool;
    ULONG mode, calls;
    LONG under_way;
    UCHAR byte;
} bad;

static void NTAPI classify_stream(const FWPS_INCOMING_VALUES *values,
                                  const FWPS_INCOMING_METADATA_VALUES *metadata, void *layer_data,
                                  const void *context, const FWPS_FILTER *filter, UINT64 flow_context,
                                  FWPS_CLASSIFY_OUT *out);

static const struct callout_layer layers[] = {
    {FWPS_LAYER_STREAM_V4, &FWPM_LAYER_STREAM_V4, classify_stream, 0},
};

static struct callout_set callouts = {
    .base = {0x2b0c7d5a, 0x91f4, 0x4c08, {0xa7, 0x2e, 0x5d, 0x13, 0x6f, 0x40, 0x88, 0x00}},
    .name = L"Bad",
    .action = FWP_ACTION_CALLOUT_UNKNOWN,
    .layers = layers,
    .count = ARRAYSIZE(layers),
};

/* ---- putting in ----------------------------------------------------------------------------------------- */

static void NTAPI done(void *context, NET_BUFFER_LIST *list, BOOLEAN dispatch)
{
    MDL *mdl = context;

    if (mdl == NULL) {
        FwpsDiscardClonedStreamData(list, 0, dispatch);
    } else {
        FwpsFreeNetBufferList(list);
        IoFreeMdl(mdl);
    }
    InterlockedDecrement(&bad.under_way);
}

static NTSTATUS put_byte(UINT64 flow, UINT32 callout, UINT16 layer, UINT32 flags, SIZE_T size)
{
    NET_BUFFER_LIST *list = NULL;
    MDL *mdl = IoAllocateMdl(&bad.byte, 1, FALSE, FALSE, NULL);
    NTSTATUS status;

    if (mdl == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    MmBuildMdlForNonPagedPool(mdl);
    status = FwpsAllocateNetBufferAndNetBufferList(bad.pool, 0, 0, mdl, 0, 1, &list);
    InterlockedIncrement(&bad.under_way);
    if (NT_SUCCESS(status))
        status =
            FwpsStreamInjectAsync(bad.handle, NULL, 0, flow, callout, layer, flags, list, size, done, mdl);
    if (!NT_SUCCESS(status)) {
        if (list != NULL)
            FwpsFreeNetBufferList(list);
        IoFreeMdl(mdl);
        InterlockedDecrement(&bad.under_way);
    }
    return status;
}

static void put_clone(UINT64 flow, UINT32 callout, UINT16 layer, UINT32 flags, NET_BUFFER_LIST *clone)
{
    InterlockedIncrement(&bad.under_way);
    if (NT_SUCCESS(FwpsStreamInjectAsync(bad.handle, NULL, 0, flow, callout, layer, flags, clone,
                                         NET_BUFFER_DATA_LENGTH(NET_BUFFER_LIST_FIRST_NB(clone)), done,
                                         NULL)))
        return;
    FwpsDiscardClonedStreamData(clone, 0, FALSE);
    InterlockedDecrement(&bad.under_way);
}

static KDEFERRED_ROUTINE put_later;
static void NTAPI put_later(KDPC *dpc, void *context, void *a, void *b)
{
    struct later *l = context;

    UNREFERENCED_PARAMETER(dpc);
    UNREFERENCED_PARAMETER(a);
    UNREFERENCED_PARAMETER(b);
    if (l->clone != NULL)
        put_clone(l->flow, l->callout, l->layer, l->flags, l->clone);
    else if ((l->flags & FWPS_STREAM_FLAG_RECEIVE_DISCONNECT) != 0)
        FwpsStreamInjectAsync(bad.handle, NULL, 0, l->flow, l->callout, l->layer, l->flags, NULL, 0, done,
                              NULL);
    else
        put_byte(l->flow, l->callout, l->layer, l->flags, 1);
    ExFreePoolWithTag(l, BAD_TAG);
    InterlockedDecrement(&bad.under_way);
}

static void later(UINT64 flow, UINT32 callout, UINT16 layer, UINT32 flags, NET_BUFFER_LIST *clone)
{
    struct later *l = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof *l, BAD_TAG);
    LARGE_INTEGER due = {.QuadPart = -1};

    if (l == NULL)
        return;
    l->flow = flow;
    l->callout = callout;
    l->layer = layer;
    l->flags = flags;
    l->clone = clone;
    KeInitializeTimer(&l->timer);
    KeInitializeDpc(&l->dpc, put_later, l);
    InterlockedIncrement(&bad.under_way);
    KeSetTimer(&l->timer, due, &l->dpc);
}

/* ---- classifying ---------------------------------------------------------------------------------------- */

static void NTAPI given_back(void *context, NET_BUFFER_LIST *list, BOOLEAN dispatch)
{
    UNREFERENCED_PARAMETER(context);
    FwpsDiscardClonedStreamData(list, 0, dispatch);
    InterlockedDecrement(&bad.under_way);
}

static NET_BUFFER_LIST *clone_of(FWPS_STREAM_DATA *data)
{
    NET_BUFFER_LIST *clone = NULL;

    return NT_SUCCESS(FwpsCloneStreamData(data, NULL, NULL, 0, &clone)) ? clone : NULL;
}

static BOOLEAN more(FWPS_STREAM_CALLOUT_IO_PACKET *io, FWPS_CLASSIFY_OUT *out, UINT32 size, UINT32 unless)
{
    if ((out->flags & unless) != 0)
        return FALSE;
    io->streamAction = FWPS_STREAM_ACTION_NEED_MORE_DATA;
    io->countBytesRequired = size;
    out->actionType = FWP_ACTION_NONE;
    return TRUE;
}

static void NTAPI classify_stream(const FWPS_INCOMING_VALUES *values,
                                  const FWPS_INCOMING_METADATA_VALUES *metadata, void *layer_data,
                                  const void *context, const FWPS_FILTER *filter, UINT64 flow_context,
                                  FWPS_CLASSIFY_OUT *out)
{
    FWPS_STREAM_CALLOUT_IO_PACKET *io = layer_data;
    FWPS_STREAM_DATA *data = io->streamData;
    const UINT64 flow = metadata->flowHandle;
    const UINT32 callout = filter->action.calloutId;
    const UINT16 layer = values->layerId;
    const UINT32 way = data->flags & (FWPS_STREAM_FLAG_SEND | FWPS_STREAM_FLAG_RECEIVE);
    NET_BUFFER_LIST *clone;

    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(flow_context);
    if (bad.mode != ANSWERS_NOTHING)
        out->actionType = FWP_ACTION_PERMIT;
    if (data->dataLength == 0 || (way == FWPS_STREAM_FLAG_SEND && bad.mode != DEFERS_SENT))
        return;
    bad.calls++;
    switch ((enum mode)bad.mode) {
    case INSPECTS:
    case ANSWERS_NOTHING:
        break;
    case ASKS_FOR_MUCH:
        more(io, out, MUCH,
             FWPS_CLASSIFY_OUT_FLAG_BUFFER_LIMIT_REACHED | FWPS_CLASSIFY_OUT_FLAG_NO_MORE_DATA);
        break;
    case ASKS_AT_THE_LIMIT:
        more(io, out, MUCH, 0);
        break;
    case ASKS_FOR_NOTHING:
        if (bad.calls == 1)
            more(io, out, 0, 0);
        break;
    case NEVER_GOES_ON:
        more(io, out, 1, 0);
        break;
    case DISCARDS_ORIGINAL:
        if (bad.calls == 1)
            FwpsDiscardClonedStreamData(data->netBufferListChain, 0, FALSE);
        break;
    case DISCARDS_TWICE:
        if (bad.calls != 1 || (clone = clone_of(data)) == NULL)
            break;
        FwpsDiscardClonedStreamData(clone, 0, FALSE);
        FwpsDiscardClonedStreamData(clone, 0, FALSE);
        break;
    case KEEPS_CLONE:
        if (bad.calls == 1)
            clone_of(data);
        break;
    case MIXES:
        if (bad.calls != 1 || (clone = clone_of(data)) == NULL)
            break;
        out->actionType = FWP_ACTION_BLOCK;
        later(flow, callout, layer, way, clone);
        break;
    case INJECTS_UNASKED:
    case INJECTS_END:
        if (bad.calls == 1)
            later(flow, callout, layer,
                  way | (bad.mode == INJECTS_END ? FWPS_STREAM_FLAG_RECEIVE_DISCONNECT : 0), NULL);
        break;
    case INJECTS_BOTH_WAYS:
        if (bad.calls == 1)
            put_byte(flow, callout, layer, FWPS_STREAM_FLAG_SEND | FWPS_STREAM_FLAG_RECEIVE, 1);
        break;
    case INJECTS_ORIGINAL:
        if (bad.calls != 1)
            break;
        FwpsStreamInjectAsync(bad.handle, NULL, 0, flow, callout, layer, way, data->netBufferListChain,
                              data->dataLength, done, NULL);
        break;
    case INJECTS_TOO_MUCH:
        if (bad.calls == 1)
            put_byte(flow, callout, layer, way, 100);
        break;
    case TURNS_CLONE:
        /* not of the first piece: by then the memory of one before it is used again */
        if (bad.calls == 3 && (clone = clone_of(data)) != NULL)
            put_clone(flow, callout, layer, FWPS_STREAM_FLAG_SEND, clone);
        break;
    case GIVES_TO_TRANSPORT:
        if (bad.calls != 1 || (clone = clone_of(data)) == NULL)
            break;
        InterlockedIncrement(&bad.under_way);
        if (!NT_SUCCESS(FwpsInjectTransportReceiveAsync(bad.transport, NULL, NULL, 0, AF_INET,
                                                        UNSPECIFIED_COMPARTMENT_ID, 1, 0, clone, given_back,
                                                        NULL)))
            given_back(NULL, clone, FALSE);
        break;
    case CONTINUES_INSIDE:
        if (bad.calls == 1)
            FwpsStreamContinue(flow, callout, layer, way);
        break;
    case DEFERS_SENT:
        io->streamAction = FWPS_STREAM_ACTION_DEFER;
        out->actionType = FWP_ACTION_NONE;
        break;
    case ENFORCES_TOO_MUCH:
        io->countBytesEnforced = data->dataLength + 1;
        break;
    }
}

/* ---- life ----------------------------------------------------------------------------------------------- */

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD Unload;

static void close_all(void)
{
    LARGE_INTEGER pause = {.QuadPart = -10000};

    while (InterlockedCompareExchange(&bad.under_way, 0, 0) != 0)
        KeDelayExecutionThread(KernelMode, FALSE, &pause);
    if (bad.handle != NULL)
        FwpsInjectionHandleDestroy(bad.handle);
    if (bad.transport != NULL)
        FwpsInjectionHandleDestroy(bad.transport);
    if (bad.pool != NULL)
        NdisFreeNetBufferListPool(bad.pool);
    IoDeleteDevice(bad.device);
}

static VOID Unload(_In_ PDRIVER_OBJECT object)
{
    UNREFERENCED_PARAMETER(object);
    callouts_stop(&callouts);
    close_all();
}

NTSTATUS DriverEntry(_In_ PDRIVER_OBJECT object, _In_ PUNICODE_STRING path)
{
    NET_BUFFER_LIST_POOL_PARAMETERS pool = {0};
    HANDLE key = parameters_open(path);
    NTSTATUS status;

    bad.mode = parameter_number(key, L"Mode", 0);
    bad.byte = '!';
    parameters_close(key);
    object->DriverUnload = Unload;
    status =
        IoCreateDevice(object, 0, NULL, FILE_DEVICE_NETWORK, FILE_DEVICE_SECURE_OPEN, FALSE, &bad.device);
    if (!NT_SUCCESS(status))
        return status;
    pool.Header.Type = NDIS_OBJECT_TYPE_DEFAULT;
    pool.Header.Revision = NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1;
    pool.Header.Size = NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1;
    pool.fAllocateNetBuffer = TRUE;
    pool.PoolTag = BAD_TAG;
    bad.pool = NdisAllocateNetBufferListPool(NULL, &pool);
    status = bad.pool != NULL ? FwpsInjectionHandleCreate(AF_UNSPEC, FWPS_INJECTION_TYPE_STREAM, &bad.handle)
                              : STATUS_INSUFFICIENT_RESOURCES;
    if (NT_SUCCESS(status))
        status = FwpsInjectionHandleCreate(AF_UNSPEC, FWPS_INJECTION_TYPE_TRANSPORT, &bad.transport);
    if (NT_SUCCESS(status))
        status = callouts_start(&callouts, bad.device);
    if (!NT_SUCCESS(status))
        close_all();
    return status;
}
