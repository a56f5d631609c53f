/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rewrite: inline modification. A packet is cloned, the clone is given memory of its own, that is changed,
 * and the clone is injected before the classifyFn returns; the original is absorbed.
 *
 *   OUTBOUND_IPPACKET: Dscp            the field of IP's header is set         -> FwpsInjectNetworkSendAsync
 *   DATAGRAM_DATA:     Find, Replace   UDP payloads, texts of the same size    -> FwpsInjectTransport*Async
 *
 * Both are safe from inside of a classifyFn; TCP at the transport layers would not be (INJ-25).
 *
 * A clone shares its bytes with the original, whose other readers must not see the change (NBL-07). So each
 * NET_BUFFER of the clone is led to a private copy, by exchanging its chain of MDLs, and led back before the
 * clone is freed (NBL-08): struct copies keeps both.
 */
#ifndef REWRITE_H
#define REWRITE_H

#include "../common/callouts.h"
#include "../common/checksum.h"
#include "../common/path.h"
#include "../common/text.h"

struct rewrite {
    DEVICE_OBJECT *device;
    ULONG dscp; /* 0..63; more: left alone */
    struct text_change text;
    /* One for each direction and family, for what loops back and because network injection is by family. */
    HANDLE send, receive, network_v4, network_v6;
};
extern struct rewrite rewrite;

/* copies.c: a clone on memory of its own. Up to DISPATCH_LEVEL. */
struct copy {
    NET_BUFFER *nb;
    UCHAR *data;
    ULONG size;
    MDL *mdl;
    /* what nb was */
    MDL *chain, *current;
    ULONG current_offset, data_offset, data_length;
};
struct copies {
    NET_BUFFER_LIST *clone;
    struct path path; /* of an injection at DATAGRAM_DATA */
    ULONG count;
    struct copy of[];
};
/* Takes the clone over, in success and in failure (NULL). */
struct copies *copies_create(NET_BUFFER_LIST *clone);
/* Leads the clone back and frees it. */
void copies_free(struct copies *copies);
/* FWPS_INJECT_COMPLETE with copies for its context. */
void NTAPI copies_injected(void *context, NET_BUFFER_LIST *nbl, BOOLEAN dispatch_level);

/* classify.c */
void NTAPI rewrite_header(const FWPS_INCOMING_VALUES *values, const FWPS_INCOMING_METADATA_VALUES *metadata,
                          void *layer_data, const void *context, const FWPS_FILTER *filter,
                          UINT64 flow_context, FWPS_CLASSIFY_OUT *out);
void NTAPI rewrite_payload(const FWPS_INCOMING_VALUES *values, const FWPS_INCOMING_METADATA_VALUES *metadata,
                           void *layer_data, const void *context, const FWPS_FILTER *filter,
                           UINT64 flow_context, FWPS_CLASSIFY_OUT *out);

#endif
