/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver that edits TCP streams by a rule that hangs on no segment: what tests/e2e/replay_edits.py holds the replay's
 * output against.
 *
 * Parameters. Rule: what becomes of the byte 'e': 0 it stays; 1 "[e]"; 2 nothing; 3 "[e" (mode 2 alone). Inspects: its filters'
 * type says that it inspects, whatever it does. Mode, how:
 *   0 inspects (its filters' type says so), and lets all pass
 *   1 inline, a whole indication at once: what it has become is injected, and the indication blocked. Also where it is the
 *     same: bytes are taken out and put back
 *   2 inline, piece by piece: permits up to the next 'e', blocks that one, injects before it
 *   3 out of band: takes all of it, ends too, and injects it LateMs later
 *   4 needs more data: waits for 1,000 bytes, then as 1
 *   5 drops the connection where it sees an 'e'
 *   6 defers what is received for LateMs at each 'e', then lets it pass
 *   7 needs more data: waits for 1,000 bytes, then lets them pass
 *
 *   classify --make()--> piece --(timer, DPC)--> throw() --> completion frees it
 */
#include <initguid.h>

#include "../../drivers/common/callouts.h"
#include "../../drivers/common/parameters.h"
#include "../../drivers/common/stream.h"

#define EDIT_TAG 'tidE'
#define DEFERRED 4096
#define MOST     4u /* times as long as it was */

struct piece {
    NET_BUFFER_LIST *list;
    MDL *mdl;
    UCHAR *bytes;
    UINT64 flow;
    UINT32 callout, flags;
    UINT16 layer;
    BOOLEAN goes_on; /* it is a deferral, to be continued */
    KTIMER timer;
    KDPC dpc;
};

static struct {
    DEVICE_OBJECT *device;
    HANDLE handle;
    NDIS_HANDLE pool;
    ULONG mode, rule, late_ms;
    LONG under_way;
    LONG deferred[DEFERRED]; /* by flow: its next 'e' has been */
} edit;

static void NTAPI classify_stream(const FWPS_INCOMING_VALUES *values,
                                  const FWPS_INCOMING_METADATA_VALUES *metadata, void *layer_data,
                                  const void *context, const FWPS_FILTER *filter, UINT64 flow_context,
                                  FWPS_CLASSIFY_OUT *out);

static const struct callout_layer layers[] = {
    {FWPS_LAYER_STREAM_V4, &FWPM_LAYER_STREAM_V4, classify_stream, 0},
    {FWPS_LAYER_STREAM_V6, &FWPM_LAYER_STREAM_V6, classify_stream, 0},
};

static struct callout_set callouts = {
    .base = {0x7a1f6c1e, 0x4e13, 0x4f5b, {0x90, 0x3d, 0x11, 0x6a, 0xc2, 0x58, 0x0b, 0x00}},
    .name = L"Edits",
    .action = FWP_ACTION_CALLOUT_UNKNOWN,
    .layers = layers,
    .count = ARRAYSIZE(layers),
};

/* ---- pieces --------------------------------------------------------------------------------------------- */

static void free_piece(struct piece *piece)
{
    if (piece->list != NULL)
        FwpsFreeNetBufferList(piece->list);
    if (piece->mdl != NULL)
        IoFreeMdl(piece->mdl);
    if (piece->bytes != NULL)
        ExFreePoolWithTag(piece->bytes, EDIT_TAG);
    ExFreePoolWithTag(piece, EDIT_TAG);
    InterlockedDecrement(&edit.under_way);
}

/* Its bytes are not there yet: `room` for them; 0: it has none. */
static struct piece *make(ULONG room)
{
    struct piece *piece = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof *piece, EDIT_TAG);

    if (piece == NULL)
        return NULL;
    InterlockedIncrement(&edit.under_way);
    if (room != 0 && (piece->bytes = ExAllocatePool2(POOL_FLAG_NON_PAGED, room, EDIT_TAG)) == NULL) {
        free_piece(piece);
        return NULL;
    }
    return piece;
}

static BOOLEAN make_list(struct piece *piece, ULONG size)
{
    piece->mdl = IoAllocateMdl(piece->bytes, size, FALSE, FALSE, NULL);
    if (piece->mdl == NULL)
        return FALSE;
    MmBuildMdlForNonPagedPool(piece->mdl);
    return (BOOLEAN)NT_SUCCESS(
        FwpsAllocateNetBufferAndNetBufferList(edit.pool, 0, 0, piece->mdl, 0, size, &piece->list));
}

static void NTAPI done(void *context, NET_BUFFER_LIST *list, BOOLEAN dispatch)
{
    UNREFERENCED_PARAMETER(list);
    UNREFERENCED_PARAMETER(dispatch);
    free_piece(context);
}

static void inject(struct piece *piece)
{
    const ULONG size =
        piece->list != NULL ? NET_BUFFER_DATA_LENGTH(NET_BUFFER_LIST_FIRST_NB(piece->list)) : 0;
    NTSTATUS status = FwpsStreamInjectAsync(edit.handle, NULL, 0, piece->flow, piece->callout, piece->layer,
                                            piece->flags, piece->list, size, done, piece);

    if (!NT_SUCCESS(status) || piece->list == NULL)
        free_piece(piece);
}

static KDEFERRED_ROUTINE throw_it;
static void NTAPI throw_it(KDPC *dpc, void *context, void *a, void *b)
{
    struct piece *piece = context;

    UNREFERENCED_PARAMETER(dpc);
    UNREFERENCED_PARAMETER(a);
    UNREFERENCED_PARAMETER(b);
    if (piece->goes_on) {
        FwpsStreamContinue(piece->flow, piece->callout, piece->layer, piece->flags);
        free_piece(piece);
    } else {
        inject(piece);
    }
}

static void later(struct piece *piece)
{
    LARGE_INTEGER due;

    due.QuadPart = -(LONG64)edit.late_ms * 10000 - 1;
    KeInitializeTimer(&piece->timer);
    KeInitializeDpc(&piece->dpc, throw_it, piece);
    KeSetTimer(&piece->timer, due, &piece->dpc);
}

/* ---- the rule ------------------------------------------------------------------------------------------- */

struct reading {
    UCHAR *to;
    ULONG size, seen;
    LONG first; /* 'e'; -1: none */
};

static BOOLEAN apply(void *context, const UCHAR *bytes, ULONG size)
{
    struct reading *is = context;

    for (ULONG i = 0; i < size; i++) {
        if (bytes[i] == 'e' && is->first < 0)
            is->first = (LONG)(is->seen + i);
        if (is->to == NULL)
            continue;
        if (bytes[i] != 'e' || edit.rule == 0) {
            is->to[is->size++] = bytes[i];
        } else if (edit.rule == 1) {
            is->to[is->size++] = '[';
            is->to[is->size++] = 'e';
            is->to[is->size++] = ']';
        }
    }
    is->seen += size;
    return TRUE;
}

static LONG first_e(FWPS_STREAM_DATA *data)
{
    struct reading is = {.first = -1};

    stream_visit(data, apply, &is);
    return is.first;
}

static void tell_where(struct piece *piece, const FWPS_INCOMING_VALUES *values,
                       const FWPS_INCOMING_METADATA_VALUES *metadata, const FWPS_FILTER *filter, UINT32 flags)
{
    piece->flow = metadata->flowHandle;
    piece->callout = filter->action.calloutId;
    piece->layer = values->layerId;
    piece->flags = flags;
}

/* What the indication becomes, as a piece. NULL: no memory. *size: of it. */
static struct piece *transformed(FWPS_STREAM_DATA *data, ULONG *size)
{
    struct piece *piece = make((ULONG)data->dataLength * MOST + 1);
    struct reading is = {.first = -1};

    if (piece == NULL)
        return NULL;
    is.to = piece->bytes;
    stream_visit(data, apply, &is);
    *size = is.size;
    if (is.size != 0 && !make_list(piece, is.size)) {
        free_piece(piece);
        return NULL;
    }
    return piece;
}

static UINT32 way_of(UINT32 flags)
{
    return flags & (FWPS_STREAM_FLAG_SEND | FWPS_STREAM_FLAG_RECEIVE);
}

static void NTAPI classify_stream(const FWPS_INCOMING_VALUES *values,
                                  const FWPS_INCOMING_METADATA_VALUES *metadata, void *layer_data,
                                  const void *context, const FWPS_FILTER *filter, UINT64 flow_context,
                                  FWPS_CLASSIFY_OUT *out)
{
    FWPS_STREAM_CALLOUT_IO_PACKET *io = layer_data;
    FWPS_STREAM_DATA *data = io->streamData;
    const BOOLEAN ends =
        (BOOLEAN)((data->flags & (FWPS_STREAM_FLAG_SEND_DISCONNECT | FWPS_STREAM_FLAG_RECEIVE_DISCONNECT)) !=
                  0);
    const BOOLEAN aborts =
        (BOOLEAN)((data->flags & (FWPS_STREAM_FLAG_SEND_ABORT | FWPS_STREAM_FLAG_RECEIVE_ABORT)) != 0);
    struct piece *piece;
    ULONG size = 0;
    LONG first;

    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(flow_context);
    out->actionType = edit.mode == 0 ? FWP_ACTION_CONTINUE : FWP_ACTION_PERMIT;
    if (edit.mode == 0 || aborts || (data->dataLength == 0 && edit.mode != 3))
        return;
    switch (edit.mode) {
    case 4:
    case 7:
        if (data->dataLength < 1000 && (out->flags & FWPS_CLASSIFY_OUT_FLAG_NO_MORE_DATA) == 0 &&
            (out->flags & FWPS_CLASSIFY_OUT_FLAG_BUFFER_LIMIT_REACHED) == 0) {
            io->streamAction = FWPS_STREAM_ACTION_NEED_MORE_DATA;
            io->countBytesRequired = 1000;
            out->actionType = FWP_ACTION_NONE;
            return;
        }
        if (edit.mode == 7)
            return;
        __attribute__((fallthrough));
    case 1:
        piece = transformed(data, &size);
        if (piece == NULL)
            return;
        tell_where(piece, values, metadata, filter, way_of(data->flags));
        out->actionType = FWP_ACTION_BLOCK;
        if (size != 0)
            inject(piece);
        else
            free_piece(piece);
        return;
    case 2:
        first = first_e(data);
        if (first < 0 || edit.rule == 0)
            return;
        if (first != 0) {
            io->countBytesEnforced = (SIZE_T)first;
            return;
        }
        if (edit.rule != 3)
            out->actionType = FWP_ACTION_BLOCK;
        io->countBytesEnforced = 1;
        if (edit.rule == 2)
            return;
        piece = make(3);
        if (piece == NULL)
            return;
        RtlCopyMemory(piece->bytes, "[e]", 3);
        if (!make_list(piece, edit.rule == 3 ? 1 : 3)) {
            free_piece(piece);
            return;
        }
        tell_where(piece, values, metadata, filter, way_of(data->flags));
        inject(piece);
        return;
    case 3:
        piece = transformed(data, &size);
        if (piece == NULL)
            return;
        tell_where(piece, values, metadata, filter,
                   way_of(data->flags) | (ends ? data->flags & (FWPS_STREAM_FLAG_SEND_DISCONNECT |
                                                                FWPS_STREAM_FLAG_RECEIVE_DISCONNECT)
                                               : 0));
        out->actionType = FWP_ACTION_BLOCK;
        if (size != 0 || ends)
            later(piece);
        else
            free_piece(piece);
        return;
    case 5:
        if (first_e(data) >= 0) {
            io->streamAction = FWPS_STREAM_ACTION_DROP_CONNECTION;
            out->actionType = FWP_ACTION_NONE;
        }
        return;
    case 6:
        first = first_e(data);
        if ((data->flags & FWPS_STREAM_FLAG_RECEIVE) == 0 || first < 0)
            return;
        if (first > 0) {
            io->countBytesEnforced = (SIZE_T)first;
            return;
        }
        if (InterlockedExchange(&edit.deferred[metadata->flowHandle % DEFERRED], 0) != 0) { /* here again */
            io->countBytesEnforced = 1;
            return;
        }
        InterlockedExchange(&edit.deferred[metadata->flowHandle % DEFERRED], 1);
        piece = make(0);
        if (piece == NULL)
            return;
        tell_where(piece, values, metadata, filter, data->flags);
        piece->goes_on = TRUE;
        io->streamAction = FWPS_STREAM_ACTION_DEFER;
        out->actionType = FWP_ACTION_NONE;
        later(piece);
        return;
    }
}

/* ---- life ----------------------------------------------------------------------------------------------- */

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD Unload;

static void close_all(void)
{
    LARGE_INTEGER pause;

    pause.QuadPart = -10000;
    while (InterlockedCompareExchange(&edit.under_way, 0, 0) != 0)
        KeDelayExecutionThread(KernelMode, FALSE, &pause);
    if (edit.handle != NULL)
        FwpsInjectionHandleDestroy(edit.handle);
    if (edit.pool != NULL)
        NdisFreeNetBufferListPool(edit.pool);
    IoDeleteDevice(edit.device);
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
    BOOLEAN inspects;
    NTSTATUS status;

    inspects = (BOOLEAN)(parameter_number(key, L"Inspects", 0) != 0);
    edit.mode = parameter_number(key, L"Mode", 0);
    edit.rule = parameter_number(key, L"Rule", 0);
    edit.late_ms = parameter_number(key, L"LateMs", 0);
    parameters_close(key);
    if (edit.mode == 0 || inspects)
        callouts.action = FWP_ACTION_CALLOUT_INSPECTION;
    object->DriverUnload = Unload;
    status =
        IoCreateDevice(object, 0, NULL, FILE_DEVICE_NETWORK, FILE_DEVICE_SECURE_OPEN, FALSE, &edit.device);
    if (!NT_SUCCESS(status))
        return status;
    pool.Header.Type = NDIS_OBJECT_TYPE_DEFAULT;
    pool.Header.Revision = NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1;
    pool.Header.Size = NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1;
    pool.fAllocateNetBuffer = TRUE;
    pool.PoolTag = EDIT_TAG;
    edit.pool = NdisAllocateNetBufferListPool(NULL, &pool);
    status = edit.pool != NULL
                 ? FwpsInjectionHandleCreate(AF_UNSPEC, FWPS_INJECTION_TYPE_STREAM, &edit.handle)
                 : STATUS_INSUFFICIENT_RESOURCES;
    if (NT_SUCCESS(status))
        status = callouts_start(&callouts, edit.device);
    if (!NT_SUCCESS(status))
        close_all();
    return status;
}
