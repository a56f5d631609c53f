/* SPDX-License-Identifier: Apache-2.0 */
/*
 * statistics: inline inspection. Counts what is indicated at each layer by protocol, changes nothing, and
 * tells a program that asks (statistics.h).
 *
 *   classifyFn --> counts[processor][layer][protocol] <-- IRP_MJ_DEVICE_CONTROL adds the processors up
 *
 * The filters' action is FWP_ACTION_CALLOUT_INSPECTION: such a callout has no say, and its answer is CONTINUE
 * whatever others said. A classify function is called for each packet, so what is known of its layer when it is
 * compiled, which value tells the protocol, is not found out there: most layers have a function of their own.
 * They run on all processors at once and at up to DISPATCH_LEVEL. Each processor
 * has counters of its own, so that none waits for another's cache line; they are interlocked all the same,
 * because a thread below DISPATCH_LEVEL may be moved between asking where it runs and counting.
 *
 * Lifetime: the counters go after callouts_stop(), the device last.
 */
#include <initguid.h>

#include "../common/callouts.h"
#include "statistics.h"

#define STATISTICS_TAG 'tatS'
#define LAYERS         72
#define PROTOCOLS      (STATISTICS_OTHER + 1)

struct counter {
    volatile LONG64 indications, bytes;
};
struct counters {
    struct counter of[LAYERS][PROTOCOLS];
};

static struct {
    struct counters *processors;
    ULONG processor_count;
    DEVICE_OBJECT *device;
} statistics;

static UNICODE_STRING device_name = RTL_CONSTANT_STRING(L"\\Device\\Statistics");
static UNICODE_STRING link_name = RTL_CONSTANT_STRING(L"\\DosDevices\\Statistics");

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD unload;
_Dispatch_type_(IRP_MJ_CREATE) _Dispatch_type_(IRP_MJ_CLOSE) static DRIVER_DISPATCH open_or_close;
_Dispatch_type_(IRP_MJ_DEVICE_CONTROL) static DRIVER_DISPATCH control;

/* ---- counting --------------------------------------------------------------------------------------------
 */

/* The IP header is in front of the data, by `back` bytes, at INBOUND_IPPACKET, and at their beginning at the others. */
static UINT16 protocol_in_header(NET_BUFFER *packet, ULONG back, BOOLEAN v6)
{
    UCHAR storage[40], *header;
    ULONG size = v6 ? 40 : 20;
    UINT16 protocol = STATISTICS_OTHER;

    if (back != 0 && NdisRetreatNetBufferDataStart(packet, back, 0, NULL) != NDIS_STATUS_SUCCESS)
        return protocol;
    header = NdisGetDataBuffer(packet, size, storage, 1, 0);
    if (header != NULL)
        protocol = header[v6 ? 6 : 9];
    if (back != 0)
        NdisAdvanceNetBufferDataStart(packet, back, FALSE, NULL);
    return protocol;
}

static FORCEINLINE ULONG header_size(const FWPS_INCOMING_METADATA_VALUES *metadata)
{
    return FWPS_IS_METADATA_FIELD_PRESENT(metadata, FWPS_METADATA_FIELD_IP_HEADER_SIZE)
               ? metadata->ipHeaderSize
               : 0;
}

static ULONG64 bytes_of(const NET_BUFFER_LIST *packets)
{
    ULONG64 bytes = 0;

    for (; packets != NULL; packets = NET_BUFFER_LIST_NEXT_NBL(packets))
        for (const NET_BUFFER *nb = NET_BUFFER_LIST_FIRST_NB(packets); nb != NULL;
             nb = NET_BUFFER_NEXT_NB(nb))
            bytes += NET_BUFFER_DATA_LENGTH(nb);
    return bytes;
}

/* Inline: it is most of what a classify does here. */
static FORCEINLINE void count(UINT16 layer, UINT16 protocol, ULONG64 bytes)
{
    struct counter *counter;

    if (layer >= LAYERS)
        return;
    counter = &statistics.processors[KeGetCurrentProcessorIndex()].of[layer][protocol];
    InterlockedIncrementNoFence64(&counter->indications);
    InterlockedAddNoFence64(&counter->bytes, (LONG64)bytes);
}

static FORCEINLINE void say_nothing(FWPS_CLASSIFY_OUT *out)
{
    if ((out->rights & FWPS_RIGHT_ACTION_WRITE) != 0)
        out->actionType = FWP_ACTION_CONTINUE;
}

/* A layer's function; `protocol` is an expression of its parameters. */
#define CLASSIFY(name, layer, protocol)                                                                      \
    static void NTAPI classify_##name(                                                                       \
        const FWPS_INCOMING_VALUES *values, const FWPS_INCOMING_METADATA_VALUES *metadata, void *layer_data, \
        const void *context, const FWPS_FILTER *filter, UINT64 flow_context, FWPS_CLASSIFY_OUT *out)         \
    {                                                                                                        \
        UNREFERENCED_PARAMETER(values);                                                                      \
        UNREFERENCED_PARAMETER(metadata);                                                                    \
        UNREFERENCED_PARAMETER(context);                                                                     \
        UNREFERENCED_PARAMETER(filter);                                                                      \
        UNREFERENCED_PARAMETER(flow_context);                                                                \
        say_nothing(out);                                                                                    \
        count(layer, protocol, bytes_of(layer_data));                                                        \
    }
#define CLASSIFY_BOTH(layer, protocol_v4, protocol_v6)                                                       \
    CLASSIFY(layer##_V4, FWPS_LAYER_##layer##_V4, protocol_v4)                                               \
    CLASSIFY(layer##_V6, FWPS_LAYER_##layer##_V6, protocol_v6)

/* The layer's values tell it. */
#define VALUE(layer)          values->incomingValue[FWPS_FIELD_##layer##_IP_PROTOCOL].value.uint8
#define CLASSIFY_VALUE(layer) CLASSIFY_BOTH(layer, VALUE(layer##_V4), VALUE(layer##_V6))
/* The packet does. */
#define FIRST NET_BUFFER_LIST_FIRST_NB((NET_BUFFER_LIST *)layer_data)

CLASSIFY_BOTH(INBOUND_IPPACKET, protocol_in_header(FIRST, header_size(metadata), FALSE),
              protocol_in_header(FIRST, header_size(metadata), TRUE))
CLASSIFY_BOTH(OUTBOUND_IPPACKET, protocol_in_header(FIRST, 0, FALSE), protocol_in_header(FIRST, 0, TRUE))
CLASSIFY_BOTH(IPFORWARD, protocol_in_header(FIRST, 0, FALSE), protocol_in_header(FIRST, 0, TRUE))
CLASSIFY_VALUE(INBOUND_TRANSPORT)
CLASSIFY_VALUE(OUTBOUND_TRANSPORT)
CLASSIFY_VALUE(DATAGRAM_DATA)
CLASSIFY_BOTH(INBOUND_ICMP_ERROR, IPPROTO_ICMP, IPPROTO_ICMPV6)
CLASSIFY_BOTH(OUTBOUND_ICMP_ERROR, IPPROTO_ICMP, IPPROTO_ICMPV6)
CLASSIFY_BOTH(STREAM_PACKET, IPPROTO_TCP, IPPROTO_TCP)
CLASSIFY_VALUE(ALE_RESOURCE_ASSIGNMENT)
CLASSIFY_BOTH(ALE_AUTH_LISTEN, IPPROTO_TCP, IPPROTO_TCP)
CLASSIFY_VALUE(ALE_AUTH_RECV_ACCEPT)
CLASSIFY_VALUE(ALE_AUTH_CONNECT)
CLASSIFY_VALUE(ALE_FLOW_ESTABLISHED)
CLASSIFY_VALUE(ALE_RESOURCE_RELEASE)
CLASSIFY_VALUE(ALE_ENDPOINT_CLOSURE)
/* Nothing does, at all the others. */
CLASSIFY(other, values->layerId, STATISTICS_OTHER)

/* At STREAM the layer's data are no packet but a piece of the stream. */
static ULONG64 bytes_of_stream(const FWPS_STREAM_CALLOUT_IO_PACKET *packet)
{
    return packet != NULL && packet->streamData != NULL ? packet->streamData->dataLength : 0;
}

static void NTAPI classify_stream(const FWPS_INCOMING_VALUES *values,
                                  const FWPS_INCOMING_METADATA_VALUES *metadata, void *layer_data,
                                  const void *context, const FWPS_FILTER *filter, UINT64 flow_context,
                                  FWPS_CLASSIFY_OUT *out)
{
    UNREFERENCED_PARAMETER(metadata);
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(filter);
    UNREFERENCED_PARAMETER(flow_context);
    say_nothing(out);
    count(values->layerId, IPPROTO_TCP, bytes_of_stream(layer_data));
}

#define BOTH(layer, v4, v6)                                                                                  \
    {FWPS_LAYER_##layer##_V4, &FWPM_LAYER_##layer##_V4, v4, 0},                                              \
    {                                                                                                        \
        FWPS_LAYER_##layer##_V6, &FWPM_LAYER_##layer##_V6, v6, 0                                             \
    }
#define BOTH_OWN(layer) BOTH(layer, classify_##layer##_V4, classify_##layer##_V6)
#define BOTH_DISCARDS(layer)                                                                                 \
    {FWPS_LAYER_##layer##_V4_DISCARD, &FWPM_LAYER_##layer##_V4_DISCARD, classify_other, 0},                  \
    {                                                                                                        \
        FWPS_LAYER_##layer##_V6_DISCARD, &FWPM_LAYER_##layer##_V6_DISCARD, classify_other, 0                 \
    }

static const struct callout_layer layers[] = {
    BOTH_OWN(INBOUND_IPPACKET),
    BOTH_OWN(OUTBOUND_IPPACKET),
    BOTH_OWN(IPFORWARD),
    BOTH_OWN(INBOUND_TRANSPORT),
    BOTH_OWN(OUTBOUND_TRANSPORT),
    BOTH(STREAM, classify_stream, classify_stream),
    BOTH_OWN(DATAGRAM_DATA),
    BOTH_OWN(INBOUND_ICMP_ERROR),
    BOTH_OWN(OUTBOUND_ICMP_ERROR),
    BOTH_OWN(STREAM_PACKET),
    BOTH_OWN(ALE_RESOURCE_ASSIGNMENT),
    BOTH_OWN(ALE_AUTH_LISTEN),
    BOTH_OWN(ALE_AUTH_RECV_ACCEPT),
    BOTH_OWN(ALE_AUTH_CONNECT),
    BOTH_OWN(ALE_FLOW_ESTABLISHED),
    BOTH_OWN(ALE_RESOURCE_RELEASE),
    BOTH_OWN(ALE_ENDPOINT_CLOSURE),
    BOTH_DISCARDS(INBOUND_IPPACKET),
    BOTH_DISCARDS(OUTBOUND_IPPACKET),
    BOTH_DISCARDS(IPFORWARD),
    BOTH_DISCARDS(INBOUND_TRANSPORT),
    BOTH_DISCARDS(OUTBOUND_TRANSPORT),
    BOTH_DISCARDS(DATAGRAM_DATA),
    BOTH_DISCARDS(ALE_RESOURCE_ASSIGNMENT),
    BOTH_DISCARDS(ALE_AUTH_RECV_ACCEPT),
    BOTH_DISCARDS(ALE_AUTH_CONNECT),
};

static struct callout_set callouts = {
    .base = {0xc6645989, 0x33d3, 0x41a0, {0x92, 0x93, 0xd9, 0x9f, 0x91, 0x37, 0xc2, 0x00}},
    .name = L"Statistics",
    .action = FWP_ACTION_CALLOUT_INSPECTION,
    .layers = layers,
    .count = ARRAYSIZE(layers),
};

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

static BOOLEAN sum(struct statistics_entry *entry, UINT16 layer, UINT16 protocol)
{
    RtlZeroMemory(entry, sizeof *entry);
    entry->layer = layer;
    entry->protocol = protocol;
    for (ULONG i = 0; i < statistics.processor_count; i++) {
        const struct counter *counter = &statistics.processors[i].of[layer][protocol];

        entry->indications += (UINT64)ReadNoFence64(&counter->indications);
        entry->bytes += (UINT64)ReadNoFence64(&counter->bytes);
    }
    return (BOOLEAN)(entry->indications != 0);
}

static NTSTATUS NTAPI control(DEVICE_OBJECT *device, IRP *irp)
{
    IO_STACK_LOCATION *stack = IoGetCurrentIrpStackLocation(irp);
    struct statistics_entry *entries = irp->AssociatedIrp.SystemBuffer, entry;
    ULONG room = stack->Parameters.DeviceIoControl.OutputBufferLength / sizeof *entries, found = 0;

    UNREFERENCED_PARAMETER(device);
    if (stack->Parameters.DeviceIoControl.IoControlCode != IOCTL_STATISTICS_READ)
        return complete(irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    if (room == 0)
        return complete(irp, STATUS_BUFFER_TOO_SMALL, 0);
    for (UINT16 layer = 0; layer < LAYERS; layer++) {
        for (UINT16 protocol = 0; protocol < PROTOCOLS && found < room; protocol++) {
            if (sum(&entry, layer, protocol))
                entries[found++] = entry;
        }
    }
    return complete(irp, STATUS_SUCCESS, found * sizeof *entries);
}

/* ---- begin and end ---------------------------------------------------------------------------------------
 */

static void NTAPI unload(DRIVER_OBJECT *driver)
{
    UNREFERENCED_PARAMETER(driver);
    callouts_stop(&callouts);
    IoDeleteSymbolicLink(&link_name);
    IoDeleteDevice(statistics.device);
    ExFreePoolWithTag(statistics.processors, STATISTICS_TAG);
}

NTSTATUS NTAPI DriverEntry(DRIVER_OBJECT *driver, UNICODE_STRING *registry_path)
{
    NTSTATUS status;

    UNREFERENCED_PARAMETER(registry_path);
    statistics.processor_count = KeQueryMaximumProcessorCountEx(ALL_PROCESSOR_GROUPS);
    statistics.processors = ExAllocatePool2(
        POOL_FLAG_NON_PAGED, statistics.processor_count * sizeof *statistics.processors, STATISTICS_TAG);
    if (statistics.processors == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    status = IoCreateDevice(driver, 0, &device_name, FILE_DEVICE_NETWORK, FILE_DEVICE_SECURE_OPEN, FALSE,
                            &statistics.device);
    if (!NT_SUCCESS(status))
        goto free_counters;
    status = IoCreateSymbolicLink(&link_name, &device_name);
    if (!NT_SUCCESS(status))
        goto delete_device;
    driver->MajorFunction[IRP_MJ_CREATE] = open_or_close;
    driver->MajorFunction[IRP_MJ_CLOSE] = open_or_close;
    driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = control;
    driver->DriverUnload = unload;
    status = callouts_start(&callouts, statistics.device);
    if (NT_SUCCESS(status))
        return status;

    IoDeleteSymbolicLink(&link_name);
delete_device:
    IoDeleteDevice(statistics.device);
free_counters:
    ExFreePoolWithTag(statistics.processors, STATISTICS_TAG);
    return status;
}
