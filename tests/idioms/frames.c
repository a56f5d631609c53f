/* SPDX-License-Identifier: Apache-2.0 */
/*
 * At the MAC layers: what is sent gets a VLAN tag, what is received is cloned and given back, ARP too.
 *
 *   OUTBOUND_MAC_FRAME_ETHERNET: absorbed; a list of the driver's own, the bytes with a tag behind the addresses
 *                                --FwpsInjectMacSendAsync--> completed() frees it
 *   INBOUND_MAC_FRAME_ETHERNET:  retreated to the Ethernet header, cloned, advanced; absorbed
 *                                --FwpsInjectMacReceiveAsync--> completed() frees the clone
 *
 * Parameters: Vlan (default 42). Drop: 1: what is received is let go of instead.
 */
#include <initguid.h>
#include <ntddk.h>

#include <fwpsk.h>

#include <fwpmk.h>

#include "../../drivers/common/callouts.h"
#include "../../drivers/common/parameters.h"

#define FRAMES_TAG 'marF'
#define TAG_SIZE   4
#define ADDRESSES  12

struct sent {
    NET_BUFFER_LIST *list;
    MDL *mdl; /* of one of the driver's own; NULL: the list is a clone */
    UCHAR *bytes;
};

static struct {
    DEVICE_OBJECT *device;
    HANDLE handle;
    NDIS_HANDLE pool;
    ULONG vlan, drop;
} frames;

static void NTAPI sends(const FWPS_INCOMING_VALUES *values, const FWPS_INCOMING_METADATA_VALUES *metadata,
                        void *layer_data, const void *context, const FWPS_FILTER *filter, UINT64 flow_context,
                        FWPS_CLASSIFY_OUT *out);
static void NTAPI receives(const FWPS_INCOMING_VALUES *values, const FWPS_INCOMING_METADATA_VALUES *metadata,
                           void *layer_data, const void *context, const FWPS_FILTER *filter,
                           UINT64 flow_context, FWPS_CLASSIFY_OUT *out);

static const struct callout_layer layers[] = {
    {FWPS_LAYER_OUTBOUND_MAC_FRAME_ETHERNET, &FWPM_LAYER_OUTBOUND_MAC_FRAME_ETHERNET, sends, 0},
    {FWPS_LAYER_INBOUND_MAC_FRAME_ETHERNET, &FWPM_LAYER_INBOUND_MAC_FRAME_ETHERNET, receives, 0},
};

static struct callout_set callouts = {
    .base = {0x2d9d8f11, 0x64c2, 0x4f0b, {0xa3, 0x5e, 0x19, 0x72, 0xbc, 0x04, 0xd8, 0x00}},
    .name = L"Frames",
    .action = FWP_ACTION_CALLOUT_TERMINATING,
    .layers = layers,
    .count = ARRAYSIZE(layers),
};

static void sent_free(struct sent *s)
{
    if (s->mdl == NULL) {
        FwpsFreeCloneNetBufferList(s->list, 0);
    } else {
        FwpsFreeNetBufferList(s->list);
        IoFreeMdl(s->mdl);
        ExFreePoolWithTag(s->bytes, FRAMES_TAG);
    }
    ExFreePoolWithTag(s, FRAMES_TAG);
}

static void NTAPI completed(void *context, NET_BUFFER_LIST *list, BOOLEAN dispatch_level)
{
    UNREFERENCED_PARAMETER(list);
    UNREFERENCED_PARAMETER(dispatch_level);
    sent_free(context);
}

static BOOLEAN is_ours(NET_BUFFER_LIST *list)
{
    const FWPS_PACKET_INJECTION_STATE state = FwpsQueryPacketInjectionState(frames.handle, list, NULL);

    return state == FWPS_PACKET_INJECTED_BY_SELF || state == FWPS_PACKET_PREVIOUSLY_INJECTED_BY_SELF;
}

static void take(FWPS_CLASSIFY_OUT *out)
{
    out->actionType = FWP_ACTION_BLOCK;
    out->flags |= FWPS_CLASSIFY_OUT_FLAG_ABSORB;
    out->rights &= ~FWPS_RIGHT_ACTION_WRITE;
}

/* The frame's bytes with a tag in them. */
static BOOLEAN tagged(NET_BUFFER *nb, struct sent *s)
{
    const ULONG size = NET_BUFFER_DATA_LENGTH(nb);
    UCHAR *room, *from;

    room = ExAllocatePool2(POOL_FLAG_NON_PAGED, 2 * size + TAG_SIZE, FRAMES_TAG);
    if (room == NULL)
        return FALSE;
    from = NdisGetDataBuffer(nb, size, room + size + TAG_SIZE, 1, 0);
    if (from == NULL || size < ADDRESSES)
        goto fail;
    RtlCopyMemory(room, from, ADDRESSES);
    room[ADDRESSES] = 0x81;
    room[ADDRESSES + 1] = 0x00;
    room[ADDRESSES + 2] = (UCHAR)(frames.vlan >> 8);
    room[ADDRESSES + 3] = (UCHAR)frames.vlan;
    RtlCopyMemory(room + ADDRESSES + TAG_SIZE, from + ADDRESSES, size - ADDRESSES);
    s->bytes = room;
    s->mdl = IoAllocateMdl(room, size + TAG_SIZE, FALSE, FALSE, NULL);
    if (s->mdl == NULL)
        goto fail;
    MmBuildMdlForNonPagedPool(s->mdl);
    if (NT_SUCCESS(
            FwpsAllocateNetBufferAndNetBufferList(frames.pool, 0, 0, s->mdl, 0, size + TAG_SIZE, &s->list)))
        return TRUE;
    IoFreeMdl(s->mdl);
fail:
    ExFreePoolWithTag(room, FRAMES_TAG);
    return FALSE;
}

static struct sent *sent_make(void)
{
    return ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof(struct sent), FRAMES_TAG);
}

static void NTAPI sends(const FWPS_INCOMING_VALUES *values, const FWPS_INCOMING_METADATA_VALUES *metadata,
                        void *layer_data, const void *context, const FWPS_FILTER *filter, UINT64 flow_context,
                        FWPS_CLASSIFY_OUT *out)
{
    NET_BUFFER_LIST *list = layer_data;
    struct sent *s;

    UNREFERENCED_PARAMETER(metadata);
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(filter);
    UNREFERENCED_PARAMETER(flow_context);
    out->actionType = FWP_ACTION_PERMIT;
    if (is_ours(list))
        return;
    s = sent_make();
    if (s == NULL)
        return;
    if (!tagged(NET_BUFFER_LIST_FIRST_NB(list), s)) {
        ExFreePoolWithTag(s, FRAMES_TAG);
        return;
    }
    take(out);
    if (!NT_SUCCESS(FwpsInjectMacSendAsync(
            frames.handle, NULL, 0, values->layerId,
            values->incomingValue[FWPS_FIELD_OUTBOUND_MAC_FRAME_ETHERNET_INTERFACE_INDEX].value.uint32,
            values->incomingValue[FWPS_FIELD_OUTBOUND_MAC_FRAME_ETHERNET_NDIS_PORT].value.uint32, s->list,
            completed, s)))
        sent_free(s);
}

static void NTAPI receives(const FWPS_INCOMING_VALUES *values, const FWPS_INCOMING_METADATA_VALUES *metadata,
                           void *layer_data, const void *context, const FWPS_FILTER *filter,
                           UINT64 flow_context, FWPS_CLASSIFY_OUT *out)
{
    NET_BUFFER_LIST *list = layer_data;
    const ULONG header = metadata->ethernetMacHeaderSize;
    struct sent *s;
    NTSTATUS status;

    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(filter);
    UNREFERENCED_PARAMETER(flow_context);
    out->actionType = FWP_ACTION_PERMIT;
    if (is_ours(list))
        return;
    if (frames.drop) {
        take(out);
        return;
    }
    s = sent_make();
    if (s == NULL)
        return;
    s->mdl = NULL;
    if (!NT_SUCCESS(NdisRetreatNetBufferListDataStart(list, header, 0, NULL, NULL))) {
        ExFreePoolWithTag(s, FRAMES_TAG);
        return;
    }
    status = FwpsAllocateCloneNetBufferList(list, NULL, NULL, 0, &s->list);
    NdisAdvanceNetBufferListDataStart(list, header, FALSE, NULL);
    if (!NT_SUCCESS(status)) {
        ExFreePoolWithTag(s, FRAMES_TAG);
        return;
    }
    take(out);
    if (!NT_SUCCESS(FwpsInjectMacReceiveAsync(
            frames.handle, NULL, 0, values->layerId,
            values->incomingValue[FWPS_FIELD_INBOUND_MAC_FRAME_ETHERNET_INTERFACE_INDEX].value.uint32,
            values->incomingValue[FWPS_FIELD_INBOUND_MAC_FRAME_ETHERNET_NDIS_PORT].value.uint32, s->list,
            completed, s)))
        sent_free(s);
}

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD Unload;

static void close_all(void)
{
    if (frames.handle != NULL)
        FwpsInjectionHandleDestroy(frames.handle); /* waits for what is on its way */
    if (frames.pool != NULL)
        NdisFreeNetBufferListPool(frames.pool);
    IoDeleteDevice(frames.device);
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

    frames.vlan = parameter_number(key, L"Vlan", 42);
    frames.drop = parameter_number(key, L"Drop", 0);
    parameters_close(key);
    object->DriverUnload = Unload;
    status =
        IoCreateDevice(object, 0, NULL, FILE_DEVICE_NETWORK, FILE_DEVICE_SECURE_OPEN, FALSE, &frames.device);
    if (!NT_SUCCESS(status))
        return status;
    pool.Header.Type = NDIS_OBJECT_TYPE_DEFAULT;
    pool.Header.Revision = NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1;
    pool.Header.Size = NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1;
    pool.fAllocateNetBuffer = TRUE;
    pool.PoolTag = FRAMES_TAG;
    frames.pool = NdisAllocateNetBufferListPool(NULL, &pool);
    status = frames.pool != NULL
                 ? FwpsInjectionHandleCreate(AF_UNSPEC, FWPS_INJECTION_TYPE_L2, &frames.handle)
                 : STATUS_INSUFFICIENT_RESOURCES;
    if (NT_SUCCESS(status))
        status = callouts_start(&callouts, frames.device);
    if (!NT_SUCCESS(status))
        close_all();
    return status;
}
