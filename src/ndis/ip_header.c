/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IP headers for packets that have none, or another's: FwpsConstructIpHeaderForTransportPacket0 (NBL-17).
 *
 * What is kept of a header that was there: IPv4 options, type of service, identification, flags and time to
 * live; IPv6 traffic class, flow label and hop limit. AH, ESP and IPv6 extension headers go. Checksums are
 * written in full: the header's, and the transport's over all of the data.
 */
#include <stdlib.h>
#include <string.h>

#include "ndis/inside.h"
#include "wire/wire.h"
#include "ws2def.h"

#define HOPS 128 /* of packets that Windows sends */

static void put16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

uint32_t ndis_ip_header(uint8_t out[60], uint8_t version, const uint8_t *source, const uint8_t *destination,
                        uint8_t protocol, size_t length, const uint8_t *from, uint32_t from_size)
{
    uint32_t size = 20;

    memset(out, 0, 60);
    if (version == 6) {
        if (from != NULL && from_size >= 40)
            memcpy(out, from, 8);
        else
            out[7] = HOPS;
        out[0] = (uint8_t)(6u << 4 | (out[0] & 0x0f));
        put16(out + 4, (uint32_t)length);
        out[6] = protocol;
        memcpy(out + 8, source, 16);
        memcpy(out + 24, destination, 16);
        return 40;
    }
    if (from != NULL && from_size >= 20) {
        const uint32_t own = (from[0] & 0x0fu) * 4;

        if (own >= 20 && own <= from_size)
            size = own;
        memcpy(out, from, size);
        out[10] = out[11] = 0;
    } else {
        out[8] = HOPS;
    }
    out[0] = (uint8_t)(4u << 4 | size / 4);
    put16(out + 2, (uint32_t)(size + length));
    out[9] = protocol;
    memcpy(out + 12, source, 4);
    memcpy(out + 16, destination, 4);
    put16(out + 10, wire_fold(wire_sum(out, size, 0)));
    return size;
}

/* Where the checksum stands; 0: there is none to write (nor would a checksum stand at the beginning). */
static uint32_t checksum_at(uint8_t protocol, uint8_t version)
{
    switch (protocol) {
    case WIRE_PROTOCOL_TCP:
        return 16;
    case WIRE_PROTOCOL_UDP:
        return 6;
    case WIRE_PROTOCOL_ICMP:
        return version == 4 ? 2 : 0;
    case WIRE_PROTOCOL_ICMPV6:
        return version == 6 ? 2 : 0;
    }
    return 0;
}

/* Writes the transport checksum; the data begins at the transport header. False: out of memory. */
static bool write_checksum(NET_BUFFER *nb, uint8_t version, const uint8_t *source, const uint8_t *destination,
                           uint8_t protocol)
{
    const uint32_t at = checksum_at(protocol, version), n = version == 4 ? 4 : 16;
    uint8_t pseudo[40] = {0}, sum[2] = {0};
    uint8_t *bytes = ndis_nb_contiguous(nb), *copy = NULL;
    uint16_t value;
    uint64_t total = 0;

    if (at == 0 || nb->DataLength < at + 2)
        return true;
    ndis_nb_write(nb, at, sum, 2);
    if (bytes == NULL) {
        bytes = copy = malloc(nb->DataLength);
        if (copy == NULL)
            return false;
        ndis_nb_read(nb, 0, copy, nb->DataLength);
    }
    if (protocol != WIRE_PROTOCOL_ICMP) {
        memcpy(pseudo, source, n);
        memcpy(pseudo + n, destination, n);
        put16(pseudo + 2 * n, nb->DataLength >> 16);
        put16(pseudo + 2 * n + 2, nb->DataLength & 0xffff);
        pseudo[2 * n + 7] = protocol;
        total = wire_sum(pseudo, 2 * n + 8, 0);
    }
    value = wire_fold(wire_sum(bytes, nb->DataLength, total));
    if (value == 0 && protocol == WIRE_PROTOCOL_UDP)
        value = 0xffff;
    put16(sum, value);
    ndis_nb_write(nb, at, sum, 2);
    free(copy);
    return true;
}

/* One NET_BUFFER, beginning at its transport header or at the header of `old` bytes. */
static NTSTATUS construct(NET_BUFFER *nb, uint32_t old, uint8_t version, const uint8_t *source,
                          const uint8_t *destination, uint8_t protocol)
{
    uint8_t was[256] = {0}, header[60];
    const uint32_t known = old < sizeof(was) ? old : (uint32_t)sizeof(was);
    uint32_t size;

    ndis_nb_read(nb, 0, was, known);
    size = ndis_ip_header(header, version, source, destination, protocol, nb->DataLength - old,
                          old != 0 ? was : NULL, known);
    NdisAdvanceNetBufferDataStart(nb, old, FALSE, NULL);
    if (!write_checksum(nb, version, source, destination, protocol) ||
        ndis_retreat(nb, size, 0, NULL) != NDIS_STATUS_SUCCESS) {
        NdisRetreatNetBufferDataStart(nb, old, 0, NULL); /* where it came from */
        return STATUS_NO_MEMORY;
    }
    ndis_nb_write(nb, 0, header, size);
    return STATUS_SUCCESS;
}

NTSTATUS ndis_construct_ip_header(NET_BUFFER_LIST *nbl, uint32_t header_size, uint16_t family,
                                  const uint8_t *source, const uint8_t *destination, uint8_t protocol)
{
    const uint8_t version = family == AF_INET ? 4 : family == AF_INET6 ? 6 : 0;
    const uint32_t least = version == 4 ? 20 : 40;
    NET_BUFFER *nb;
    uint8_t first;

    if (version == 0 || ndis_block_of(nbl) == NULL || !ndis_nbl_sound(nbl))
        return STATUS_INVALID_PARAMETER;
    nb = nbl->FirstNetBuffer;
    if (header_size != 0 && (nb->Next != NULL || header_size < least || nb->DataLength < header_size ||
                             ndis_nb_read(nb, 0, &first, 1) != 1 || first >> 4 != version))
        return STATUS_INVALID_PARAMETER;
    for (NET_BUFFER *each = nb; each != NULL; each = each->Next)
        if (each->DataLength - header_size + 60 > UINT16_MAX)
            return STATUS_INVALID_PARAMETER;
    for (; nb != NULL; nb = nb->Next) {
        NTSTATUS status = construct(nb, header_size, version, source, destination, protocol);

        if (status != STATUS_SUCCESS) {
            for (NET_BUFFER *done = nbl->FirstNetBuffer; done != nb; done = done->Next)
                NdisAdvanceNetBufferDataStart(done, least, TRUE, NULL); /* only where there was no header */
            return status;
        }
    }
    nbl->NetBufferListInfo[TcpIpChecksumNetBufferListInfo] = NULL;
    nbl->NetBufferListInfo[TcpLargeSendNetBufferListInfo] = NULL;
    return STATUS_SUCCESS;
}
