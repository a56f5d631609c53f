/* SPDX-License-Identifier: Apache-2.0 */
/* checksum: those of IPv4's header and of UDP, over bytes that lie in one piece. Any IRQL. */
#ifndef CHECKSUM_H
#define CHECKSUM_H

#include "kernel.h"

/* Writes the checksum of an IPv4 header; size: with its options. */
void checksum_ip4(UCHAR *header, ULONG size);

/* Writes the checksum of a UDP header and the data that follows it; addresses as in a packet. */
void checksum_udp(UCHAR *datagram, ULONG size, ADDRESS_FAMILY family, const UINT8 *source,
                  const UINT8 *target);

UINT16 read_16(const UCHAR *from);
void write_16(UCHAR *to, UINT16 value);

#endif
