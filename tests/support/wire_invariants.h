/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold of every parsed packet, whatever the bytes were. Shared by unit tests and fuzz targets, so
 * it needs no test library: NULL, or what does not hold.
 */
#ifndef WEIR_TESTS_WIRE_INVARIANTS_H
#define WEIR_TESTS_WIRE_INVARIANTS_H

#include <string.h>

#include "wire/wire.h"

static inline const char *wire_invariants(const struct wire_packet *p)
{
    static const uint8_t zero[16];
    bool later = p->fragment_offset != 0;

#define MUST(what)                                                                                           \
    do {                                                                                                     \
        if (!(what))                                                                                         \
            return #what;                                                                                    \
    } while (0)

    MUST(p->captured <= p->length);
    MUST(p->reached <= WIRE_TRANSPORT);
    MUST(p->fault < WIRE_FAULT_CHECKSUM);
    MUST(p->fault == WIRE_OK || !p->cut);
    MUST(p->fault == WIRE_OK || p->reached != WIRE_TRANSPORT);
    MUST(p->fault != WIRE_OK || p->fault_at == 0);
    MUST(p->fault_at <= p->captured);
    MUST(p->ip_at <= p->captured);
    MUST(p->mac_at == UINT32_MAX || p->mac_at + 14 <= p->captured);
    MUST((p->vlan_tags == 0) == (p->vlan == WIRE_NO_VLAN));
    MUST(p->version == 0 || p->version == 4 || p->version == 6);
    MUST(p->version != 0 || p->reached < WIRE_NETWORK);
    MUST(p->version != 4 || memcmp(p->source.v6, zero, 12) == 0);
    MUST(p->version != 4 || memcmp(p->destination.v6, zero, 12) == 0);
    if (p->version == 0)
        MUST(memcmp(p->source.v6, zero, 16) == 0 && p->protocol == 0 && p->ip_length == 0);

    if (p->reached < WIRE_NETWORK) {
        MUST(p->transport_at == 0 && p->data_at == 0 && p->data_length == 0);
        return NULL;
    }
    MUST(p->ip_header_size >= (p->version == 4 ? 20 : 40));
    MUST(p->ip_at + p->ip_header_size <= p->captured);
    MUST(p->ip_length >= p->ip_header_size);
    MUST(p->version == 4 ? p->ip_length <= 65535 || p->ip_length == p->length - p->ip_at : true);
    MUST(!later || p->fragment);
    MUST((p->ip_flags & WIRE_IP_MORE_FRAGMENTS) == 0 || p->fragment);
    MUST(p->fragment_offset % 8 == 0);
    if (p->version == 6 && p->fragment) {
        MUST(p->fragment_header_at >= p->ip_at + 40);
        MUST(p->fragment_header_at + 8 <= p->ip_at + p->ip_header_size);
    } else {
        MUST(p->fragment_header_at == 0 && !p->ip6_unfragmented_headers);
    }
    MUST(!later || p->reached == WIRE_NETWORK);
    if (later) {
        MUST(p->transport_at == 0 && p->source_port == 0 && p->destination_port == 0 && p->icmp_type == 0);
        MUST(p->data_at == p->ip_at + p->ip_header_size);
    }
    if (p->reached == WIRE_TRANSPORT) {
        MUST(p->transport_at == p->ip_at + p->ip_header_size);
        MUST(p->data_at >= p->transport_at && p->data_at <= p->captured);
        MUST(p->cut || p->data_at == p->transport_at + p->transport_header_size);
        MUST(p->cut || p->transport_header_size + p->data_length <= p->ip_length - p->ip_header_size);
        MUST(p->protocol != WIRE_PROTOCOL_TCP || p->transport_header_size >= 20);
        MUST(p->protocol != WIRE_PROTOCOL_UDP || p->transport_header_size == 8);
    }
#undef MUST
    return NULL;
}

#endif
