/* SPDX-License-Identifier: Apache-2.0 */
/* path: reading it from a classify, cloning and injecting along it (path.h). */
#include "path.h"

#include "checksum.h"

#define PATH_TAG 'htaP'

struct fields {
    UINT16 layer;
    ADDRESS_FAMILY family;
    UINT16 local_address, remote_address, local_port, remote_port, protocol, interface_index,
        subinterface_index, flags;
};

#define FIELDS(layer, family)                                                                                \
    {                                                                                                        \
        FWPS_LAYER_##layer, family, FWPS_FIELD_##layer##_IP_LOCAL_ADDRESS,                                   \
            FWPS_FIELD_##layer##_IP_REMOTE_ADDRESS, FWPS_FIELD_##layer##_IP_LOCAL_PORT,                      \
            FWPS_FIELD_##layer##_IP_REMOTE_PORT, FWPS_FIELD_##layer##_IP_PROTOCOL,                           \
            FWPS_FIELD_##layer##_INTERFACE_INDEX, FWPS_FIELD_##layer##_SUB_INTERFACE_INDEX,                  \
            FWPS_FIELD_##layer##_FLAGS                                                                       \
    }

static const struct fields all_fields[] = {
    FIELDS(ALE_AUTH_CONNECT_V4, AF_INET),     FIELDS(ALE_AUTH_CONNECT_V6, AF_INET6),
    FIELDS(ALE_AUTH_RECV_ACCEPT_V4, AF_INET), FIELDS(ALE_AUTH_RECV_ACCEPT_V6, AF_INET6),
    FIELDS(DATAGRAM_DATA_V4, AF_INET),        FIELDS(DATAGRAM_DATA_V6, AF_INET6),
};

static const struct fields *fields_of(UINT16 layer)
{
    for (ULONG i = 0; i < ARRAYSIZE(all_fields); i++)
        if (all_fields[i].layer == layer)
            return &all_fields[i];
    return NULL;
}

UINT32 path_flags(const FWPS_INCOMING_VALUES *values)
{
    const struct fields *fields = fields_of(values->layerId);

    return fields != NULL ? values->incomingValue[fields->flags].value.uint32 : 0;
}

FWP_DIRECTION path_direction(const FWPS_INCOMING_VALUES *values,
                             const FWPS_INCOMING_METADATA_VALUES *metadata)
{
    switch (values->layerId) {
    case FWPS_LAYER_DATAGRAM_DATA_V4:
        return (FWP_DIRECTION)values->incomingValue[FWPS_FIELD_DATAGRAM_DATA_V4_DIRECTION].value.uint32;
    case FWPS_LAYER_DATAGRAM_DATA_V6:
        return (FWP_DIRECTION)values->incomingValue[FWPS_FIELD_DATAGRAM_DATA_V6_DIRECTION].value.uint32;
    default:
        break;
    }
    if (FWPS_IS_METADATA_FIELD_PRESENT(metadata, FWPS_METADATA_FIELD_PACKET_DIRECTION))
        return metadata->packetDirection;
    return values->layerId == FWPS_LAYER_ALE_AUTH_CONNECT_V4 ||
                   values->layerId == FWPS_LAYER_ALE_AUTH_CONNECT_V6
               ? FWP_DIRECTION_OUTBOUND
               : FWP_DIRECTION_INBOUND;
}

/* Fixed values hold IPv4 addresses as numbers, packets hold them big end first. */
static void copy_address(UINT8 *to, ADDRESS_FAMILY family, const FWP_VALUE *value)
{
    if (family == AF_INET) {
        UINT32 address = RtlUlongByteSwap(value->uint32);

        RtlCopyMemory(to, &address, sizeof address);
    } else {
        RtlCopyMemory(to, value->byteArray16->byteArray16, 16);
    }
}

/* What a send injection is given beside the packet: deep copies, in one block. */
static NTSTATUS read_outbound(struct path *path, const FWPS_INCOMING_METADATA_VALUES *metadata)
{
    ULONG control = 0, header = 0;
    UCHAR *block;

    if (FWPS_IS_METADATA_FIELD_PRESENT(metadata, FWPS_METADATA_FIELD_TRANSPORT_ENDPOINT_HANDLE))
        path->endpoint = metadata->transportEndpointHandle;
    path->args.remoteAddress = path->remote;
    if (FWPS_IS_METADATA_FIELD_PRESENT(metadata, FWPS_METADATA_FIELD_REMOTE_SCOPE_ID))
        path->args.remoteScopeId = metadata->remoteScopeId;
    if (FWPS_IS_METADATA_FIELD_PRESENT(metadata, FWPS_METADATA_FIELD_TRANSPORT_CONTROL_DATA))
        control = metadata->controlDataLength;
    if (FWPS_IS_METADATA_FIELD_PRESENT(metadata, FWPS_METADATA_FIELD_TRANSPORT_HEADER_INCLUDE_HEADER))
        header = metadata->headerIncludeHeaderLength;
    if (control == 0 && header == 0)
        return STATUS_SUCCESS;

    block = ExAllocatePool2(POOL_FLAG_NON_PAGED, (SIZE_T)control + header, PATH_TAG);
    if (block == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    path->owned = block;
    if (control != 0) {
        RtlCopyMemory(block, metadata->controlData, control);
        path->args.controlData = (WSACMSGHDR *)block;
        path->args.controlDataLength = control;
    }
    if (header != 0) {
        RtlCopyMemory(block + control, metadata->headerIncludeHeader, header);
        path->args.headerIncludeHeader = block + control;
        path->args.headerIncludeHeaderLength = header;
    }
    return STATUS_SUCCESS;
}

static void read_inbound(struct path *path, const struct fields *fields, const FWPS_INCOMING_VALUES *values,
                         const FWPS_INCOMING_METADATA_VALUES *metadata, NET_BUFFER_LIST *nbl)
{
    FWPS_PACKET_LIST_INFORMATION information = {0};

    if (FWPS_IS_METADATA_FIELD_PRESENT(metadata, FWPS_METADATA_FIELD_IP_HEADER_SIZE))
        path->ip_header_size = metadata->ipHeaderSize;
    if (FWPS_IS_METADATA_FIELD_PRESENT(metadata, FWPS_METADATA_FIELD_TRANSPORT_HEADER_SIZE))
        path->transport_header_size = metadata->transportHeaderSize;
    path->interface_index = values->incomingValue[fields->interface_index].value.uint32;
    path->subinterface_index = values->incomingValue[fields->subinterface_index].value.uint32;
    if (nbl != NULL &&
        NT_SUCCESS(FwpsGetPacketListSecurityInformation(
            nbl, FWPS_PACKET_LIST_INFORMATION_QUERY_IPSEC | FWPS_PACKET_LIST_INFORMATION_QUERY_INBOUND,
            &information)))
        path->secure = (BOOLEAN)information.ipsecInformation.inbound.isSecure;
}

NTSTATUS path_read(struct path *path, const FWPS_INCOMING_VALUES *values,
                   const FWPS_INCOMING_METADATA_VALUES *metadata, NET_BUFFER_LIST *nbl)
{
    const struct fields *fields = fields_of(values->layerId);
    const FWPS_INCOMING_VALUE *value = values->incomingValue;

    RtlZeroMemory(path, sizeof *path);
    if (fields == NULL)
        return STATUS_NOT_SUPPORTED;
    path->family = fields->family;
    path->direction = path_direction(values, metadata);
    path->protocol = value[fields->protocol].value.uint8;
    copy_address(path->local, path->family, &value[fields->local_address].value);
    copy_address(path->remote, path->family, &value[fields->remote_address].value);
    path->local_port = value[fields->local_port].value.uint16;
    path->remote_port = value[fields->remote_port].value.uint16;
    path->compartment = UNSPECIFIED_COMPARTMENT_ID;
    if (FWPS_IS_METADATA_FIELD_PRESENT(metadata, FWPS_METADATA_FIELD_COMPARTMENT_ID))
        path->compartment = (COMPARTMENT_ID)metadata->compartmentId;
    if (path->direction == FWP_DIRECTION_OUTBOUND)
        return read_outbound(path, metadata);
    read_inbound(path, fields, values, metadata, nbl);
    return STATUS_SUCCESS;
}

void path_clear(struct path *path)
{
    if (path->owned != NULL)
        ExFreePoolWithTag(path->owned, PATH_TAG);
    path->owned = NULL;
}

BOOLEAN path_same(const struct path *a, const struct path *b)
{
    return (BOOLEAN)(a->family == b->family && a->protocol == b->protocol && a->direction == b->direction &&
                     a->local_port == b->local_port && a->remote_port == b->remote_port &&
                     a->compartment == b->compartment &&
                     RtlEqualMemory(a->local, b->local, sizeof a->local) &&
                     RtlEqualMemory(a->remote, b->remote, sizeof a->remote));
}

/* A packet that was reassembled, or whose checksum the adapter verified, may carry a wrong one (NBL-16). */
static void renew_ip_checksum(const struct path *path, NET_BUFFER_LIST *clone)
{
    UCHAR *header;

    if (path->family != AF_INET || path->ip_header_size < 20)
        return;
    header = NdisGetDataBuffer(NET_BUFFER_LIST_FIRST_NB(clone), path->ip_header_size, NULL, 1, 0);
    if (header != NULL)
        checksum_ip4(header, path->ip_header_size);
}

NTSTATUS path_clone(const struct path *path, NET_BUFFER_LIST *nbl, NET_BUFFER_LIST **clone)
{
    NET_BUFFER *first = NET_BUFFER_LIST_FIRST_NB(nbl);
    ULONG back = 0;
    NTSTATUS status;

    *clone = NULL;
    if (path->direction == FWP_DIRECTION_INBOUND) {
        back = path->ip_header_size + path->transport_header_size;
        status = (NTSTATUS)NdisRetreatNetBufferDataStart(first, back, 0, NULL);
        if (!NT_SUCCESS(status))
            return status;
    }
    status = FwpsAllocateCloneNetBufferList(nbl, NULL, NULL, 0, clone);
    if (back != 0)
        NdisAdvanceNetBufferDataStart(first, back, FALSE, NULL);
    if (!NT_SUCCESS(status) || path->direction == FWP_DIRECTION_OUTBOUND)
        return status;

    if (!path->secure) {
        renew_ip_checksum(path, *clone);
        return STATUS_SUCCESS;
    }
    /* Its AH or ESP header must not be seen again: a plain header takes their place (NBL-18). */
    status = FwpsConstructIpHeaderForTransportPacket(*clone, path->ip_header_size, path->family, path->remote,
                                                     path->local, (IPPROTO)path->protocol, 0, NULL, 0, 0,
                                                     NULL, path->interface_index, path->subinterface_index);
    if (!NT_SUCCESS(status)) {
        FwpsFreeCloneNetBufferList(*clone, 0);
        *clone = NULL;
    }
    return status;
}

NTSTATUS path_inject(struct path *path, HANDLE injection, NET_BUFFER_LIST *nbl, FWPS_INJECT_COMPLETE done,
                     void *context)
{
    if (path->direction == FWP_DIRECTION_OUTBOUND)
        return FwpsInjectTransportSendAsync(injection, NULL, path->endpoint, 0, &path->args, path->family,
                                            path->compartment, nbl, done, context);
    return FwpsInjectTransportReceiveAsync(injection, NULL, NULL, 0, path->family, path->compartment,
                                           path->interface_index, path->subinterface_index, nbl, done,
                                           context);
}

BOOLEAN path_own(HANDLE injection, const NET_BUFFER_LIST *nbl)
{
    FWPS_PACKET_INJECTION_STATE state = FwpsQueryPacketInjectionState(injection, nbl, NULL);

    return (BOOLEAN)(state == FWPS_PACKET_INJECTED_BY_SELF ||
                     state == FWPS_PACKET_PREVIOUSLY_INJECTED_BY_SELF);
}
