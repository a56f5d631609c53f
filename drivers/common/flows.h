/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flows: what a driver remembers of each TCP connection, as a context of the connection's flow at the stream layer.
 *
 *   classify at ALE_FLOW_ESTABLISHED      FwpsFlowAssociateContext          classify at STREAM
 *   flow_read(), flow_enter()  ---------> the context, a reference  ------> (struct flow *)flow_context
 *                                            |  the flow ends, or flows_empty()
 *                                            v
 *                                         flowDeleteFn: flow_left()
 *
 * A flow is counted: one reference is the engine's, from flow_enter() to flow_left(); a driver's queue may hold others
 * (flow_hold). The set's lock guards its list and `leaving` alone, and no documented function is called under it
 * (ALE-18). Up to DISPATCH_LEVEL but flows_empty().
 */
#ifndef FLOWS_H
#define FLOWS_H

#include "kernel.h"

/* First in the driver's own structure, which starts out zeroed, in non-paged pool. */
struct flow {
    LIST_ENTRY link;
    volatile LONG users;
    BOOLEAN leaving; /* somebody removes its context */
    UINT64 id;
    UINT16 layer; /* FWPS_LAYER_STREAM_* */
    UINT32 callout;
    ADDRESS_FAMILY family;
    UINT8 local[16], remote[16]; /* IPv4: the first four bytes, as in a packet */
    UINT16 local_port, remote_port;
};

struct flow_set {
    KSPIN_LOCK lock;
    LIST_ENTRY flows;
    void (*free)(struct flow *flow); /* nobody refers to it any more */
};

void flows_init(struct flow_set *set, void (*free)(struct flow *flow));

/* In a classify at ALE_FLOW_ESTABLISHED. FALSE: no TCP, or no flow. */
BOOLEAN flow_read(struct flow *flow, const FWPS_INCOMING_VALUES *values,
                  const FWPS_INCOMING_METADATA_VALUES *metadata);
/* Its context at the stream layer of its family from now on; callouts: V4's id, V6's. On failure it is the
 * caller's still; otherwise it may be gone when this returns. */
NTSTATUS flow_enter(struct flow_set *set, struct flow *flow, const UINT32 callouts[2]);
/* In flowDeleteFn. */
void flow_left(struct flow_set *set, struct flow *flow);

void flow_hold(struct flow *flow);
void flow_release(struct flow_set *set, struct flow *flow);

/* PASSIVE_LEVEL, in the unload routine, when no flow is entered any more: removes all contexts, and returns when
 * the last flowDeleteFn has begun. */
void flows_empty(struct flow_set *set);

#endif
