/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transform: the new datagram (transform.h).
 *
 * Outbound it begins with the UDP header, and the stack puts IP's in front; inbound with the IP header, whose
 * lengths and checksum change with the payload's size:
 *
 *   [ IP header, ip_header_size bytes, inbound only | UDP header | payload ]
 */
#include "transform.h"

#define MOST 0xffffu

/* All bytes of the packet, from the IP header on if it is inbound, in a block of the caller's; NULL: no
 * memory. The NET_BUFFER is left as it was. */
static UCHAR *gather(const struct datagram *datagram, NET_BUFFER *nb, ULONG *size)
{
    const struct path *path = &datagram->path;
    ULONG back = 0, gone = datagram->offset - NET_BUFFER_DATA_OFFSET(nb);
    UCHAR *block, *bytes;

    /* The stack may itself have gone back over the transport header since. */
    if (path->direction == FWP_DIRECTION_INBOUND) {
        back = path->ip_header_size + path->transport_header_size - gone;
        if (NdisRetreatNetBufferDataStart(nb, back, 0, NULL) != NDIS_STATUS_SUCCESS)
            return NULL;
    }
    *size = NET_BUFFER_DATA_LENGTH(nb);
    block = ExAllocatePool2(POOL_FLAG_NON_PAGED | POOL_FLAG_UNINITIALIZED, *size, BYTES_TAG);
    if (block != NULL) {
        bytes = NdisGetDataBuffer(nb, *size, block, 1, 0);
        if (bytes != NULL && bytes != block)
            RtlCopyMemory(block, bytes, *size);
    }
    if (back != 0)
        NdisAdvanceNetBufferDataStart(nb, back, FALSE, NULL);
    return block;
}

/* Lengths and sums of what is now `size` bytes long. */
static void mend_headers(const struct path *path, UCHAR *data, ULONG ip, ULONG size)
{
    BOOLEAN out = (BOOLEAN)(path->direction == FWP_DIRECTION_OUTBOUND);

    write_16(data + ip + 4, (UINT16)(size - ip));
    checksum_udp(data + ip, size - ip, path->family, out ? path->local : path->remote,
                 out ? path->remote : path->local);
    if (ip == 0)
        return;
    if (path->family == AF_INET) {
        write_16(data + 2, (UINT16)size);
        checksum_ip4(data, ip);
    } else {
        write_16(data + 4, (UINT16)(size - 40));
    }
}

/* The payload with the texts replaced. What is no whole datagram, or would be too large for one, stays as it
 * is. */
static BOOLEAN alter(const struct path *path, struct product *product)
{
    ULONG ip = path->direction == FWP_DIRECTION_INBOUND ? path->ip_header_size : 0, head = ip + UDP_HEADER,
          count;
    ULONG64 size;
    UCHAR *made;

    if (product->size < head || read_16(product->data + ip + 4) != product->size - ip)
        return TRUE;
    count = text_count(&transform.text, product->data + head, product->size - head);
    size = product->size + (ULONG64)count * transform.text.replace_size -
           (ULONG64)count * transform.text.find_size;
    if (count == 0 || size > MOST - (ip == 0 ? 60 : 0)) {
        if (ip == 0)
            mend_headers(path, product->data, ip, product->size); /* an adapter may have been to do it */
        return TRUE;
    }
    made = ExAllocatePool2(POOL_FLAG_NON_PAGED | POOL_FLAG_UNINITIALIZED, (SIZE_T)size, BYTES_TAG);
    if (made == NULL)
        return FALSE;
    RtlCopyMemory(made, product->data, head);
    text_apply(&transform.text, product->data + head, product->size - head, made + head);
    ExFreePoolWithTag(product->data, BYTES_TAG);
    product->data = made;
    product->size = (ULONG)size;
    mend_headers(path, made, ip, product->size);
    return TRUE;
}

static NTSTATUS describe(const struct path *path, struct product *product)
{
    NTSTATUS status;

    product->mdl = IoAllocateMdl(product->data, product->size, FALSE, FALSE, NULL);
    if (product->mdl == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    MmBuildMdlForNonPagedPool(product->mdl);
    status = FwpsAllocateNetBufferAndNetBufferList(transform.pool.handle, 0, 0, product->mdl, 0,
                                                   product->size, &product->nbl);
    if (NT_SUCCESS(status) && path->secure) /* without the headers of IPsec (NBL-18) */
        status = FwpsConstructIpHeaderForTransportPacket(
            product->nbl, path->ip_header_size, path->family, path->remote, path->local,
            (IPPROTO)path->protocol, 0, NULL, 0, 0, NULL, path->interface_index, path->subinterface_index);
    return status;
}

struct product *product_create(struct datagram *datagram, NET_BUFFER *nb)
{
    struct product *product = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof *product, DATAGRAM_TAG);

    if (product == NULL)
        return NULL;
    InterlockedIncrement(&datagram->users);
    product->datagram = datagram;
    product->data = gather(datagram, nb, &product->size);
    if (product->data != NULL && alter(&datagram->path, product) &&
        NT_SUCCESS(describe(&datagram->path, product)))
        return product;
    product_free(product);
    return NULL;
}

void product_free(struct product *product)
{
    if (product->nbl != NULL)
        FwpsFreeNetBufferList(product->nbl);
    if (product->mdl != NULL)
        IoFreeMdl(product->mdl);
    if (product->data != NULL)
        ExFreePoolWithTag(product->data, BYTES_TAG);
    datagram_release(product->datagram);
    ExFreePoolWithTag(product, DATAGRAM_TAG);
}
