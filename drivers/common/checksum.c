/* SPDX-License-Identifier: Apache-2.0 */
/* checksum: those of IPv4's header (RFC 791) and of UDP (RFC 768, RFC 8200 section 8.1). */
#include "checksum.h"

UINT16 read_16(const UCHAR *from)
{
    return (UINT16)(from[0] << 8 | from[1]);
}

void write_16(UCHAR *to, UINT16 value)
{
    to[0] = (UCHAR)(value >> 8);
    to[1] = (UCHAR)value;
}

static UINT32 add(UINT32 sum, const UCHAR *data, ULONG size)
{
    for (; size > 1; data += 2, size -= 2)
        sum += read_16(data);
    return size != 0 ? sum + ((UINT32)data[0] << 8) : sum;
}

static UINT16 fold(UINT32 sum)
{
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return (UINT16)~sum;
}

void checksum_ip4(UCHAR *header, ULONG size)
{
    write_16(header + 10, 0);
    write_16(header + 10, fold(add(0, header, size)));
}

void checksum_udp(UCHAR *datagram, ULONG size, ADDRESS_FAMILY family, const UINT8 *source,
                  const UINT8 *target)
{
    ULONG address = family == AF_INET ? 4 : 16;
    UINT32 sum = IPPROTO_UDP + size;
    UINT16 checksum;

    write_16(datagram + 6, 0);
    sum = add(add(sum, source, address), target, address);
    checksum = fold(add(sum, datagram, size));
    write_16(datagram + 6, checksum != 0 ? checksum : 0xffff); /* 0 would say that there is none */
}
