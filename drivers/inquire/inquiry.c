/* SPDX-License-Identifier: Apache-2.0 */
/* inquiry: one question to the policy and the packets that wait for its answer (inquire.h). */
#include "inquire.h"

static void packet_free(struct packet *packet)
{
    FwpsFreeCloneNetBufferList(packet->clone, 0);
    path_clear(&packet->path);
    ExFreePoolWithTag(packet, PACKET_TAG);
}

static NTSTATUS packet_add(struct inquiry *inquiry, const FWPS_INCOMING_VALUES *values,
                           const FWPS_INCOMING_METADATA_VALUES *metadata, NET_BUFFER_LIST *nbl)
{
    struct packet *packet = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof *packet, PACKET_TAG);
    NTSTATUS status;

    if (packet == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    status = path_read(&packet->path, values, metadata, nbl);
    if (NT_SUCCESS(status))
        status = path_clone(&packet->path, nbl, &packet->clone);
    if (!NT_SUCCESS(status)) {
        path_clear(&packet->path);
        ExFreePoolWithTag(packet, PACKET_TAG);
        return status;
    }
    InsertTailList(&inquiry->packets, &packet->link);
    return STATUS_SUCCESS;
}

struct inquiry *inquiry_create(enum inquiry_kind kind, const FWPS_INCOMING_VALUES *values,
                               const FWPS_INCOMING_METADATA_VALUES *metadata, NET_BUFFER_LIST *nbl)
{
    struct inquiry *inquiry = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof *inquiry, INQUIRY_TAG);
    NTSTATUS status;

    if (inquiry == NULL)
        return NULL;
    inquiry->kind = kind;
    inquiry->inbound = (BOOLEAN)(values->layerId == FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4 ||
                                 values->layerId == FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V6);
    InitializeListHead(&inquiry->packets);
    if (FWPS_IS_METADATA_FIELD_PRESENT(metadata, FWPS_METADATA_FIELD_TRANSPORT_ENDPOINT_HANDLE))
        inquiry->endpoint = metadata->transportEndpointHandle;
    if (FWPS_IS_METADATA_FIELD_PRESENT(metadata, FWPS_METADATA_FIELD_FLOW_HANDLE))
        inquiry->flow = metadata->flowHandle;
    status = path_read(&inquiry->path, values, metadata, NULL);
    path_clear(&inquiry->path); /* only its ends are wanted */
    if (NT_SUCCESS(status) && nbl != NULL)
        status = packet_add(inquiry, values, metadata, nbl);
    if (NT_SUCCESS(status))
        return inquiry;
    inquiry_free(inquiry);
    return NULL;
}

void inquiry_free(struct inquiry *inquiry)
{
    while (!IsListEmpty(&inquiry->packets))
        packet_free(CONTAINING_RECORD(RemoveHeadList(&inquiry->packets), struct packet, link));
    ExFreePoolWithTag(inquiry, INQUIRY_TAG);
}

static void NTAPI injected(void *context, NET_BUFFER_LIST *nbl, BOOLEAN dispatch_level)
{
    UNREFERENCED_PARAMETER(nbl);
    UNREFERENCED_PARAMETER(dispatch_level);
    packet_free(context);
}

void inquiry_inject(struct inquiry *inquiry)
{
    while (!IsListEmpty(&inquiry->packets)) {
        struct packet *packet = CONTAINING_RECORD(RemoveHeadList(&inquiry->packets), struct packet, link);
        HANDLE injection = packet->path.direction == FWP_DIRECTION_OUTBOUND ? inquire.send : inquire.receive;

        if (!NT_SUCCESS(path_inject(&packet->path, injection, packet->clone, injected, packet)))
            packet_free(packet);
    }
}
