/* SPDX-License-Identifier: Apache-2.0 */
/* rewrite's classifyFns: a header's field, a datagram's payload (rewrite.h). */
#include "rewrite.h"

#define UDP_HEADER 8

static void permit(const FWPS_FILTER *filter, FWPS_CLASSIFY_OUT *out)
{
    out->actionType = FWP_ACTION_PERMIT;
    if ((filter->flags & FWPS_FILTER_FLAG_CLEAR_ACTION_RIGHT) != 0)
        out->rights &= ~FWPS_RIGHT_ACTION_WRITE;
}

/* The original: the clone goes in its place, or, without memory for one, nothing does. */
static void absorb(FWPS_CLASSIFY_OUT *out)
{
    out->actionType = FWP_ACTION_BLOCK;
    out->rights &= ~FWPS_RIGHT_ACTION_WRITE;
    out->flags |= FWPS_CLASSIFY_OUT_FLAG_ABSORB;
}

/* ---- a header's field ------------------------------------------------------------------------------------
 */

/* DSCP is the upper six bits of IPv4's second byte, and of the traffic class, which begins in IPv6's first.
 */
static BOOLEAN mark(UCHAR *header, ULONG size, BOOLEAN v6)
{
    ULONG header_size;
    UCHAR was;

    if (size < (v6 ? 40u : 20u))
        return FALSE;
    if (v6) {
        was = (UCHAR)(header[0] << 4 | header[1] >> 4);
        header[0] = (UCHAR)((header[0] & 0xf0) | rewrite.dscp >> 2);
        header[1] = (UCHAR)((header[1] & 0x3f) | (rewrite.dscp & 3) << 6);
        return (BOOLEAN)(was >> 2 != rewrite.dscp);
    }
    header_size = (header[0] & 0x0fu) * 4;
    if (header_size < 20 || header_size > size)
        return FALSE;
    was = header[1];
    header[1] = (UCHAR)((was & 3) | rewrite.dscp << 2);
    checksum_ip4(header, header_size);
    return (BOOLEAN)(was >> 2 != rewrite.dscp);
}

/* The header's checksum is done; what the adapter was to add for the transport is not ours to change. */
static void no_header_offload(NET_BUFFER_LIST *nbl)
{
    NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO info;

    info.Value = NET_BUFFER_LIST_INFO(nbl, TcpIpChecksumNetBufferListInfo);
    info.Transmit.IpHeaderChecksum = 0;
    NET_BUFFER_LIST_INFO(nbl, TcpIpChecksumNetBufferListInfo) = info.Value;
}

void NTAPI rewrite_header(const FWPS_INCOMING_VALUES *values, const FWPS_INCOMING_METADATA_VALUES *metadata,
                          void *layer_data, const void *context, const FWPS_FILTER *filter,
                          UINT64 flow_context, FWPS_CLASSIFY_OUT *out)
{
    BOOLEAN v6 = (BOOLEAN)(values->layerId == FWPS_LAYER_OUTBOUND_IPPACKET_V6), changed = FALSE;
    HANDLE injection = v6 ? rewrite.network_v6 : rewrite.network_v4;
    COMPARTMENT_ID compartment = UNSPECIFIED_COMPARTMENT_ID;
    NET_BUFFER_LIST *clone;
    struct copies *copies;

    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(flow_context);
    if ((out->rights & FWPS_RIGHT_ACTION_WRITE) == 0)
        return;
    if (rewrite.dscp > 63 || path_own(injection, layer_data)) {
        permit(filter, out);
        return;
    }
    absorb(out);
    if (!NT_SUCCESS(FwpsAllocateCloneNetBufferList(layer_data, NULL, NULL, 0, &clone)))
        return;
    copies = copies_create(clone);
    if (copies == NULL)
        return;
    for (ULONG i = 0; i < copies->count; i++)
        changed |= mark(copies->of[i].data, copies->of[i].size, v6);
    if (!changed) { /* it goes on as it is */
        copies_free(copies);
        out->flags &= ~FWPS_CLASSIFY_OUT_FLAG_ABSORB;
        out->rights |= FWPS_RIGHT_ACTION_WRITE;
        permit(filter, out);
        return;
    }
    no_header_offload(clone);
    if (FWPS_IS_METADATA_FIELD_PRESENT(metadata, FWPS_METADATA_FIELD_COMPARTMENT_ID))
        compartment = (COMPARTMENT_ID)metadata->compartmentId;
    if (!NT_SUCCESS(
            FwpsInjectNetworkSendAsync(injection, NULL, 0, compartment, clone, copies_injected, copies)))
        copies_free(copies);
}

/* ---- a datagram's payload --------------------------------------------------------------------------------
 */

/* `before` bytes are in front of the UDP header. A wrong length is left for the receiver to find. */
static BOOLEAN change(const struct path *path, struct copy *copy, ULONG before)
{
    BOOLEAN out = (BOOLEAN)(path->direction == FWP_DIRECTION_OUTBOUND);
    UCHAR *datagram = copy->data + before;
    ULONG size;

    if (copy->size < before + UDP_HEADER)
        return FALSE;
    size = copy->size - before;
    if (read_16(datagram + 4) != size ||
        text_count(&rewrite.text, datagram + UDP_HEADER, size - UDP_HEADER) == 0)
        return FALSE;
    text_apply(&rewrite.text, datagram + UDP_HEADER, size - UDP_HEADER, datagram + UDP_HEADER);
    checksum_udp(datagram, size, path->family, out ? path->local : path->remote,
                 out ? path->remote : path->local);
    return TRUE;
}

/* Before a clone is made: is there anything to change? */
static BOOLEAN wanted(const struct path *path, NET_BUFFER_LIST *nbl)
{
    ULONG header = path->direction == FWP_DIRECTION_OUTBOUND ? UDP_HEADER : 0;

    for (NET_BUFFER *nb = NET_BUFFER_LIST_FIRST_NB(nbl); nb != NULL; nb = NET_BUFFER_NEXT_NB(nb)) {
        ULONG size = NET_BUFFER_DATA_LENGTH(nb);
        UCHAR *data = size > header ? NdisGetDataBuffer(nb, size, NULL, 1, 0) : NULL;

        if (data == NULL ? size > header : text_count(&rewrite.text, data + header, size - header) != 0)
            return TRUE; /* in several pieces: the copy will tell */
    }
    return FALSE;
}

/* The sums are complete, so nothing is left for the adapter. */
static void no_offload(NET_BUFFER_LIST *nbl)
{
    NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO info;

    info.Value = NET_BUFFER_LIST_INFO(nbl, TcpIpChecksumNetBufferListInfo);
    info.Transmit.UdpChecksum = 0;
    NET_BUFFER_LIST_INFO(nbl, TcpIpChecksumNetBufferListInfo) = info.Value;
}

/* A changed clone of nbl that knows its path; NULL, STATUS_SUCCESS: there was nothing to change. */
static NTSTATUS make(struct path *path, NET_BUFFER_LIST *nbl, struct copies **made)
{
    ULONG before = path->direction == FWP_DIRECTION_INBOUND ? path->ip_header_size : 0;
    BOOLEAN changed = FALSE;
    NET_BUFFER_LIST *clone;
    struct copies *copies;
    NTSTATUS status = path_clone(path, nbl, &clone);

    *made = NULL;
    if (!NT_SUCCESS(status))
        return status;
    copies = copies_create(clone);
    if (copies == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    for (ULONG i = 0; i < copies->count; i++)
        changed |= change(path, &copies->of[i], before);
    if (!changed) {
        copies_free(copies);
        return STATUS_SUCCESS;
    }
    if (path->direction == FWP_DIRECTION_OUTBOUND)
        no_offload(clone);
    *made = copies;
    return STATUS_SUCCESS;
}

void NTAPI rewrite_payload(const FWPS_INCOMING_VALUES *values, const FWPS_INCOMING_METADATA_VALUES *metadata,
                           void *layer_data, const void *context, const FWPS_FILTER *filter,
                           UINT64 flow_context, FWPS_CLASSIFY_OUT *out)
{
    BOOLEAN outbound = (BOOLEAN)(path_direction(values, metadata) == FWP_DIRECTION_OUTBOUND);
    HANDLE injection = outbound ? rewrite.send : rewrite.receive;
    struct copies *copies = NULL;
    struct path path;
    NTSTATUS status;

    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(flow_context);
    if ((out->rights & FWPS_RIGHT_ACTION_WRITE) == 0)
        return;
    if (rewrite.text.find_size == 0 || layer_data == NULL || path_own(injection, layer_data)) {
        permit(filter, out);
        return;
    }
    status = path_read(&path, values, metadata, layer_data);
    if (NT_SUCCESS(status) && wanted(&path, layer_data))
        status = make(&path, layer_data, &copies);
    if (NT_SUCCESS(status) && copies == NULL) {
        path_clear(&path);
        permit(filter, out);
        return;
    }
    absorb(out);
    if (copies == NULL) {
        path_clear(&path);
        return;
    }
    copies->path = path; /* its copies of parameters go with it */
    if (outbound)
        copies->path.args.remoteAddress = copies->path.remote;
    status = path_inject(&copies->path, injection, copies->clone, copies_injected, copies);
    if (!NT_SUCCESS(status))
        copies_free(copies);
}
