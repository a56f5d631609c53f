/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch: stream inspection. Looks for a pattern in what TCP connections carry, wherever segments begin and end.
 *
 * Parameters: Pattern; Port: only connections that have it at one end (0: all); Action: "count", or "drop": the connection
 * on which it is found ends there, before the pattern's last byte has passed.
 *
 *   ALE_FLOW_ESTABLISHED: a struct connection becomes the flow's context at STREAM (flows.h)
 *   STREAM: each byte moves the direction's state on; nothing is copied, held or asked for again
 *   flowDeleteFn: it goes
 *
 * A direction's state is one number, how much of the pattern the last bytes were (Knuth, Morris, Pratt), so a connection
 * takes sizeof(struct connection), however long it lives. Indications of a direction come one after the other, so nothing
 * guards it. The lock guards the places.
 */
#include <initguid.h>

#include "../common/callouts.h"
#include "../common/flows.h"
#include "../common/parameters.h"
#include "../common/stream.h"
#include "watch.h"

#define WATCH_TAG 'ctaW'

struct way {
    UINT64 offset; /* bytes so far */
    ULONG at;      /* of the pattern, the last of them */
};

struct connection {
    struct flow flow;   /* first */
    struct way ways[2]; /* received, sent */
};

struct watch {
    DEVICE_OBJECT *device;
    CHAR pattern[128];
    ULONG size, fall[128]; /* fall[i]: where to go on when pattern[i] does not fit */
    ULONG port;
    BOOLEAN drops;
    volatile BOOLEAN closing;
    struct flow_set flows;
    volatile LONG64 connections, open, bytes[2], found, dropped, lost;
    KSPIN_LOCK lock;
    struct watch_place places[WATCH_PLACES];
    UINT64 place_count; /* ever */
};
static struct watch watch;

static UNICODE_STRING device_name = RTL_CONSTANT_STRING(L"\\Device\\Watch");
static UNICODE_STRING link_name = RTL_CONSTANT_STRING(L"\\DosDevices\\Watch");

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD unload;
static DRIVER_DISPATCH open_or_close, control;

/* ---- looking ---------------------------------------------------------------------------------------------
 */

static void prepare(void)
{
    ULONG at = 0;

    for (ULONG i = 1; i < watch.size; i++) {
        watch.fall[i] = at;
        while (at != 0 && watch.pattern[i] != watch.pattern[at])
            at = watch.fall[at];
        at += watch.pattern[i] == watch.pattern[at];
    }
}

static ULONG step(ULONG at, CHAR byte)
{
    while (at != 0 && watch.pattern[at] != byte)
        at = watch.fall[at];
    return at + (watch.pattern[at] == byte);
}

static void keep_place(const struct connection *connection, BOOLEAN sent, UINT64 offset)
{
    const struct flow *flow = &connection->flow;
    struct watch_place *place;
    KLOCK_QUEUE_HANDLE held;

    KeAcquireInStackQueuedSpinLock(&watch.lock, &held);
    place = &watch.places[watch.place_count++ % WATCH_PLACES];
    place->flow = flow->id;
    place->offset = offset;
    place->family = (UINT8)flow->family;
    place->sent = sent;
    place->local_port = flow->local_port;
    place->remote_port = flow->remote_port;
    RtlCopyMemory(place->local, flow->local, sizeof place->local);
    RtlCopyMemory(place->remote, flow->remote, sizeof place->remote);
    KeReleaseInStackQueuedSpinLock(&held);
    InterlockedIncrement64(&watch.found);
}

struct look {
    struct connection *connection;
    BOOLEAN sent, found;
};

static BOOLEAN look(void *context, const UCHAR *bytes, ULONG size)
{
    struct look *is = context;
    struct way *way = &is->connection->ways[is->sent];

    for (ULONG i = 0; i < size; i++) {
        if (way->at == 0) { /* as nearly always: on to where it may begin */
            const ULONG from = i;

            while (i < size && bytes[i] != (UCHAR)watch.pattern[0])
                i++;
            way->offset += i - from;
            if (i == size)
                break;
        }
        way->offset++;
        way->at = step(way->at, (CHAR)bytes[i]);
        if (way->at != watch.size)
            continue;
        way->at = 0;
        is->found = TRUE;
        keep_place(is->connection, is->sent, way->offset - watch.size);
        if (watch.drops)
            return FALSE;
    }
    return TRUE;
}

static void NTAPI inspect(const FWPS_INCOMING_VALUES *values, const FWPS_INCOMING_METADATA_VALUES *metadata,
                          void *layer_data, const void *context, const FWPS_FILTER *filter,
                          UINT64 flow_context, FWPS_CLASSIFY_OUT *out)
{
    FWPS_STREAM_CALLOUT_IO_PACKET *io = layer_data;
    FWPS_STREAM_DATA *data = io->streamData;
    struct look is = {0};

    UNREFERENCED_PARAMETER(values);
    UNREFERENCED_PARAMETER(metadata);
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(filter);
    out->actionType = FWP_ACTION_CONTINUE;
    if (flow_context == 0 || watch.closing) { /* nothing of this connection is looked for, now or later */
        io->streamAction = FWPS_STREAM_ACTION_ALLOW_CONNECTION;
        return;
    }
    is.connection = (struct connection *)(ULONG_PTR)flow_context;
    is.sent = (BOOLEAN)((data->flags & FWPS_STREAM_FLAG_SEND) != 0);
    InterlockedAdd64(&watch.bytes[is.sent], (LONG64)data->dataLength);
    if (!NT_SUCCESS(stream_visit(data, look, &is))) {
        InterlockedIncrement64(&watch.lost);
        io->streamAction = FWPS_STREAM_ACTION_ALLOW_CONNECTION;
    } else if (is.found && watch.drops) {
        InterlockedIncrement64(&watch.dropped);
        io->streamAction = FWPS_STREAM_ACTION_DROP_CONNECTION;
    }
}

/* ---- connections -----------------------------------------------------------------------------------------
 */

static void free_connection(struct flow *flow)
{
    ExFreePoolWithTag(CONTAINING_RECORD(flow, struct connection, flow), WATCH_TAG);
}

static BOOLEAN is_wanted(const struct flow *flow)
{
    return (BOOLEAN)(watch.port == 0 || flow->local_port == watch.port || flow->remote_port == watch.port);
}

static const UINT32 *stream_callouts(void);

static void NTAPI established(const FWPS_INCOMING_VALUES *values,
                              const FWPS_INCOMING_METADATA_VALUES *metadata, void *layer_data,
                              const void *context, const FWPS_FILTER *filter, UINT64 flow_context,
                              FWPS_CLASSIFY_OUT *out)
{
    struct connection *connection;

    UNREFERENCED_PARAMETER(layer_data);
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(filter);
    UNREFERENCED_PARAMETER(flow_context);
    out->actionType = FWP_ACTION_CONTINUE;
    if (watch.closing || watch.size == 0)
        return;
    connection = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof *connection, WATCH_TAG);
    if (connection == NULL) {
        InterlockedIncrement64(&watch.lost);
        return;
    }
    if (!flow_read(&connection->flow, values, metadata) || !is_wanted(&connection->flow)) {
        free_connection(&connection->flow);
        return;
    }
    InterlockedIncrement64(&watch.open); /* before: it may be over at once */
    if (NT_SUCCESS(flow_enter(&watch.flows, &connection->flow, stream_callouts()))) {
        InterlockedIncrement64(&watch.connections);
        return;
    }
    InterlockedDecrement64(&watch.open);
    InterlockedIncrement64(&watch.lost);
    free_connection(&connection->flow);
}

static void NTAPI flow_deleted(UINT16 layer, UINT32 callout, UINT64 flow_context)
{
    UNREFERENCED_PARAMETER(layer);
    UNREFERENCED_PARAMETER(callout);
    InterlockedDecrement64(&watch.open);
    flow_left(&watch.flows, (struct flow *)(ULONG_PTR)flow_context);
}

static const struct callout_layer stream_layers[] = {
    {FWPS_LAYER_STREAM_V4, &FWPM_LAYER_STREAM_V4, inspect, 0},
    {FWPS_LAYER_STREAM_V6, &FWPM_LAYER_STREAM_V6, inspect, 0},
};

static const struct callout_layer established_layers[] = {
    {FWPS_LAYER_ALE_FLOW_ESTABLISHED_V4, &FWPM_LAYER_ALE_FLOW_ESTABLISHED_V4, established, IPPROTO_TCP},
    {FWPS_LAYER_ALE_FLOW_ESTABLISHED_V6, &FWPM_LAYER_ALE_FLOW_ESTABLISHED_V6, established, IPPROTO_TCP},
};

static struct callout_set stream_set = {
    .base = {0xf60b2af3, 0xe90c, 0x47c9, {0xa7, 0xaa, 0x56, 0x0d, 0x84, 0xe8, 0x8a, 0x00}},
    .name = L"Watch",
    .layers = stream_layers,
    .count = ARRAYSIZE(stream_layers),
    .flow_deleted = flow_deleted,
};

static struct callout_set established_set = {
    .base = {0x8a815cf0, 0x2f0f, 0x481e, {0x96, 0xa3, 0xf7, 0xc9, 0x6b, 0x8c, 0x5b, 0x00}},
    .name = L"Watch: connections",
    .action = FWP_ACTION_CALLOUT_INSPECTION,
    .layers = established_layers,
    .count = ARRAYSIZE(established_layers),
};

static const UINT32 *stream_callouts(void)
{
    return stream_set.ids;
}

/* ---- answering -------------------------------------------------------------------------------------------
 */

static NTSTATUS complete(IRP *irp, NTSTATUS status, ULONG_PTR bytes)
{
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = bytes;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

static NTSTATUS NTAPI open_or_close(DEVICE_OBJECT *device, IRP *irp)
{
    UNREFERENCED_PARAMETER(device);
    return complete(irp, STATUS_SUCCESS, 0);
}

static void answer(struct watch_answer *to)
{
    KLOCK_QUEUE_HANDLE held;
    UINT64 first;

    RtlZeroMemory(to, sizeof *to);
    to->connections = (UINT64)ReadNoFence64(&watch.connections);
    to->open = (UINT64)ReadNoFence64(&watch.open);
    to->received = (UINT64)ReadNoFence64(&watch.bytes[0]);
    to->sent = (UINT64)ReadNoFence64(&watch.bytes[1]);
    to->found = (UINT64)ReadNoFence64(&watch.found);
    to->dropped = (UINT64)ReadNoFence64(&watch.dropped);
    to->lost = (UINT64)ReadNoFence64(&watch.lost);
    KeAcquireInStackQueuedSpinLock(&watch.lock, &held);
    first = watch.place_count > WATCH_PLACES ? watch.place_count - WATCH_PLACES : 0;
    for (UINT64 i = first; i < watch.place_count; i++)
        to->place[to->places++] = watch.places[i % WATCH_PLACES];
    KeReleaseInStackQueuedSpinLock(&held);
}

static NTSTATUS NTAPI control(DEVICE_OBJECT *device, IRP *irp)
{
    IO_STACK_LOCATION *stack = IoGetCurrentIrpStackLocation(irp);

    UNREFERENCED_PARAMETER(device);
    if (stack->Parameters.DeviceIoControl.IoControlCode != IOCTL_WATCH_READ)
        return complete(irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    if (stack->Parameters.DeviceIoControl.OutputBufferLength < sizeof(struct watch_answer))
        return complete(irp, STATUS_BUFFER_TOO_SMALL, 0);
    answer(irp->AssociatedIrp.SystemBuffer);
    return complete(irp, STATUS_SUCCESS, sizeof(struct watch_answer));
}

/* ---- begin and end ---------------------------------------------------------------------------------------
 */

static NTSTATUS read_parameters(UNICODE_STRING *registry_path)
{
    HANDLE key = parameters_open(registry_path);
    CHAR word[8];

    watch.size = parameter_text(key, L"Pattern", watch.pattern, sizeof watch.pattern);
    watch.port = parameter_number(key, L"Port", 0);
    parameter_text(key, L"Action", word, sizeof word);
    watch.drops = (BOOLEAN)(word[0] == 'd');
    parameters_close(key);
    prepare();
    return watch.size != 0 ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER;
}

/* Streams first: a context needs their callouts. An inspection cannot drop a connection (STR-13). */
static NTSTATUS start_callouts(void)
{
    NTSTATUS status;

    stream_set.action = watch.drops ? FWP_ACTION_CALLOUT_UNKNOWN : FWP_ACTION_CALLOUT_INSPECTION;
    status = callouts_start(&stream_set, watch.device);
    if (!NT_SUCCESS(status))
        return status;
    status = callouts_start(&established_set, watch.device);
    if (!NT_SUCCESS(status))
        callouts_stop(&stream_set);
    return status;
}

static void NTAPI unload(DRIVER_OBJECT *driver)
{
    UNREFERENCED_PARAMETER(driver);
    watch.closing = TRUE;
    callouts_stop(&established_set); /* no new contexts */
    flows_empty(&watch.flows);
    callouts_stop(&stream_set);
    IoDeleteSymbolicLink(&link_name);
    IoDeleteDevice(watch.device);
}

NTSTATUS NTAPI DriverEntry(DRIVER_OBJECT *driver, UNICODE_STRING *registry_path)
{
    NTSTATUS status = read_parameters(registry_path);

    if (!NT_SUCCESS(status))
        return status;
    KeInitializeSpinLock(&watch.lock);
    flows_init(&watch.flows, free_connection);
    status = IoCreateDevice(driver, 0, &device_name, FILE_DEVICE_NETWORK, FILE_DEVICE_SECURE_OPEN, FALSE,
                            &watch.device);
    if (!NT_SUCCESS(status))
        return status;
    status = IoCreateSymbolicLink(&link_name, &device_name);
    if (!NT_SUCCESS(status))
        goto delete_device;
    driver->MajorFunction[IRP_MJ_CREATE] = open_or_close;
    driver->MajorFunction[IRP_MJ_CLOSE] = open_or_close;
    driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = control;
    driver->DriverUnload = unload;
    status = start_callouts();
    if (NT_SUCCESS(status))
        return status;

    IoDeleteSymbolicLink(&link_name);
delete_device:
    IoDeleteDevice(watch.device);
    return status;
}
