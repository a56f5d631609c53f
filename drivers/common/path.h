/* SPDX-License-Identifier: Apache-2.0 */
/*
 * path: where a packet came from and went to, and all that it takes to inject it there again.
 *
 * A classify's values and metadata are gone when it returns (CLS-20); path_read() copies what an injection
 * needs. It knows the layers ALE_AUTH_CONNECT, ALE_AUTH_RECV_ACCEPT and DATAGRAM_DATA of both families.
 *
 * Ownership: a path may own the copy of control data; path_clear() frees it. An injection's parameters point
 * into the path, so it stays where it is until the injection is over (INJ-23). Up to DISPATCH_LEVEL.
 */
#ifndef PATH_H
#define PATH_H

#include "kernel.h"

struct path {
    ADDRESS_FAMILY family;
    FWP_DIRECTION direction;
    UINT8 protocol;
    UINT8 local[16], remote[16];    /* as they stand in a packet; IPv4: the first four bytes */
    UINT16 local_port, remote_port; /* of ICMP: type and code */
    COMPARTMENT_ID compartment;
    /* outbound */
    UINT64 endpoint;
    FWPS_TRANSPORT_SEND_PARAMS args;
    void *owned; /* what args points to besides `remote` */
    /* inbound */
    UINT32 ip_header_size, transport_header_size;
    IF_INDEX interface_index, subinterface_index;
    BOOLEAN secure; /* was protected by IPsec */
};

/* The value of the layer's field FLAGS. */
UINT32 path_flags(const FWPS_INCOMING_VALUES *values);

/* Of the packet that is classified: what the layer or the metadata says (ALE-24). */
FWP_DIRECTION path_direction(const FWPS_INCOMING_VALUES *values,
                             const FWPS_INCOMING_METADATA_VALUES *metadata);

/* nbl may be NULL. STATUS_INSUFFICIENT_RESOURCES; STATUS_NOT_SUPPORTED: a layer that is not known. */
NTSTATUS path_read(struct path *path, const FWPS_INCOMING_VALUES *values,
                   const FWPS_INCOMING_METADATA_VALUES *metadata, NET_BUFFER_LIST *nbl);
void path_clear(struct path *path);

/* The same two ends and protocol? */
BOOLEAN path_same(const struct path *a, const struct path *b);

/* In the classify of nbl: a clone of it that can be injected: outbound from the transport header on, inbound
 * from the IP header on. nbl is left as it was (PKT-10). */
NTSTATUS path_clone(const struct path *path, NET_BUFFER_LIST *nbl, NET_BUFFER_LIST **clone);

/* Hands a list over; as with the documented functions `done` is called if and only if this succeeds. */
NTSTATUS path_inject(struct path *path, HANDLE injection, NET_BUFFER_LIST *nbl, FWPS_INJECT_COMPLETE done,
                     void *context);

/* Was the packet injected by this driver's handle, now or earlier (INJ-13)? */
BOOLEAN path_own(HANDLE injection, const NET_BUFFER_LIST *nbl);

#endif
