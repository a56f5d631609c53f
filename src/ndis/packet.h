/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packet: a packet of the host's as a NET_BUFFER_LIST with one NET_BUFFER over one MDL, or several.
 *
 * The layout is the documented one (PKT-19: several MDLs are allowed, and `split` makes them on purpose). The
 * bytes are the caller's and are not copied; the packet shows [first, end) of them, with the data offset
 * anywhere in between, so that a driver can retreat to the headers in front and read with
 * NET_BUFFER_CURRENT_MDL arithmetic. One ndis_packet is used for many indications, one after the other; it
 * allocates only when a packet needs more MDLs than any before it.
 */
#ifndef WEIR_NDIS_PACKET_H
#define WEIR_NDIS_PACKET_H

#include <stddef.h>
#include <stdint.h>

#include "ndis.h"

struct ndis_packet;

/* 0 or -ENOMEM. */
int ndis_packet_create(struct ndis_packet **out);
void ndis_packet_destroy(struct ndis_packet *p);

/* Shows bytes[0 .. size) with data starting at `data_at` and ending at size. split 0: one MDL; otherwise MDLs
 * of at most so many bytes, of odd sizes (PKT-19). The list is valid until the next call. NULL: out of memory
 * or data_at > size. */
NET_BUFFER_LIST *ndis_packet_show(struct ndis_packet *p, uint8_t *bytes, uint32_t size, uint32_t data_at,
                                  uint32_t split);

/* The data offset of the first NET_BUFFER, from the first byte shown. */
uint32_t ndis_packet_offset(const NET_BUFFER_LIST *nbl);
/* Moves the start of the data of every NET_BUFFER: back into what is in front of it, or forward. 0 or -ERANGE
 * (there is not so much). NdisRetreat/AdvanceNetBufferDataStart without allocation. */
int ndis_packet_retreat(NET_BUFFER_LIST *nbl, uint32_t bytes);
int ndis_packet_advance(NET_BUFFER_LIST *nbl, uint32_t bytes);
/* Copies up to `size` bytes from the start of the data of the first NET_BUFFER; returns how many there were.
 */
size_t ndis_packet_read(const NET_BUFFER_LIST *nbl, uint8_t *out, size_t size);

#endif
