/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_inject: the host's second door: packets that drivers inject, and what becomes of packets that they
 * kept.
 *
 *   callout: absorbs a frame, keeps it (reference, clone, copy)         host_outcome.kept
 *     later: host_inject() --queue--> the host's injector (a thread at DISPATCH_LEVEL; or in the caller)
 *                                       | the packet walks its layers again, others see it (INJ-10..12)
 *                                       +--> survives: host_config.emit()      what the datapath is to write
 *                                       +--> does not: host_config.lost()      where, by which filter
 *                                       +--> completionFn, exactly once, with the list's Status (INJ-04)
 *   the last reference, clone, injection of a frame is gone: host_config.released()
 *
 * Which packet stems from which frame: a clone of an indicated list, and what is injected of it, are of that
 * frame's origin, through any number of injections. A list that a driver built itself has none: number 0.
 *
 * Exactly: a frame with host_outcome.kept is followed by one released(), after host_frame() has returned or
 * before; in between there are as many emit() and lost() of its number as there were injections accepted. The
 * same for origin 0, without a released().
 *
 * Threads: the callbacks come from the injector, or from who dereferences last, no lock held, any IRQL up to
 * DISPATCH_LEVEL. On the simulated back end the injector is a fiber: it runs when the datapath lets it
 * (rt_sim_settle()); so all of it happens between two frames. Only one thread walks a host's layers at a
 * time: host_frame() and the injector take turns.
 */
#ifndef WEIR_HOST_HOST_INJECT_H
#define WEIR_HOST_HOST_INJECT_H

#include <string.h>

#include "host/host.h"
#include "ndis/nbl.h"

struct host_emitted {
    const uint8_t *bytes; /* from the IP header on; valid during the call */
    uint32_t size;
    uint8_t version; /* 4 or 6; a frame's that is not IP: 0 */
    bool inbound;    /* delivered to this host; else sent by it (forwarded: sent) */
    bool forwarded, loopback;
    bool looped;            /* as host_outcome's */
    UINT32 interface_index; /* it came in by, or goes out by; 0: nobody knows */
    UINT64 origin;          /* the datapath's number of the frame it stems from; 0: of none */
    const uint8_t *link;    /* that frame's link header; NULL: there is none */
    uint32_t link_size;
    bool
        frame; /* it was injected with its own link header, an Ethernet's: `link`, and `bytes` stand behind it in one
                 * piece, to the frame's end. To be written as it is */
    bool
        rewritten; /* made in the place of frames of a connection that stream callouts edit; `origin` is the newest */
    /* What it stems from, as it came, with the padding behind it (frame: and with its header); NULL: it is of none. Valid
     * as `bytes` are. */
    const uint8_t *came;
    uint32_t came_size;
    bool reassembled; /* it stems from the datagram that the frame completed: the link header is none's */
    UINT64 flow_id;   /* 0: none */
    UINT64 time_ns;   /* now */
};

/* Are the bytes (frame: and the header) those of what it stems from? Reads them all; within the call that has told of it. */
static inline bool host_emitted_unchanged(const struct host_emitted *e)
{
    if (e->came == NULL || e->bytes == NULL)
        return false;
    if (e->frame)
        return e->link_size + e->size == e->came_size && memcmp(e->came, e->link, e->came_size) == 0;
    return e->size <= e->came_size && memcmp(e->came, e->bytes, e->size) == 0;
}

/* ---- handles (FwpsInjectionHandleCreate0) -----------------------------------------------------------------
 */
/* type: FWPS_INJECTION_TYPE_*, 0: transport, stream and forward. family: AF_INET, AF_INET6 (Windows'
 * numbers), AF_UNSPEC but for the network layer (INJ-02); L2 takes each of them. STATUS_SUCCESS, STATUS_INVALID_PARAMETER,
 * STATUS_NO_MEMORY. */
NTSTATUS host_injection_create(struct host *h, UINT16 family, UINT32 types, HANDLE *out);
/* Waits until all injections of the handle are complete (INJ-08). STATUS_INVALID_HANDLE. */
NTSTATUS host_injection_destroy(struct host *h, HANDLE handle);
FWPS_PACKET_INJECTION_STATE host_injection_state(struct host *h, HANDLE handle, const NET_BUFFER_LIST *nbl,
                                                 HANDLE *context);

/* ---- injecting */
enum host_injection_kind {
    HOST_INJECT_NETWORK_SEND,
    HOST_INJECT_NETWORK_RECEIVE,
    HOST_INJECT_TRANSPORT_SEND,
    HOST_INJECT_TRANSPORT_RECEIVE,
    HOST_INJECT_FORWARD,
    HOST_INJECT_MAC_SEND,
    HOST_INJECT_MAC_RECEIVE,
    HOST_INJECT_VSWITCH, /* into a switch's ingress; what gets through is told by its deliver(), not by emit() */
    HOST_INJECTION_KINDS
};
struct host_injection {
    enum host_injection_kind kind;
    HANDLE handle, context;
    UINT16 family; /* AF_UNSPEC: the handle's (network) */
    UINT32 flags;
    UINT32 compartment, interface_index, sub_interface_index;
    UINT64 endpoint;              /* transport send */
    UINT16 layer;                 /* MAC, vSwitch: the run-time id of the layer that it starts at again */
    struct host_vswitch *vswitch; /* vSwitch: NULL: STATUS_INVALID_PARAMETER */
    UINT32 source_port;
    UINT16 source_nic;
    /* Transport send: to whom; the list begins at its transport header. NULL: the list begins at its IP
     * header (INJ-21, 22). Read during the call. */
    const FWPS_TRANSPORT_SEND_PARAMS1 *send;
    /* MAC, vSwitch: a chain; each is an injection of its own (INJ-30). A list of the host's own may be injected there, if the
     * driver holds it: its whole frame then, and `complete` may be NULL (INJ-07). */
    NET_BUFFER_LIST *list;
    FWPS_INJECT_COMPLETE0 complete;
    void *complete_context;
    const void *site; /* of the documented function, for the ledger */
};
/* STATUS_SUCCESS: `complete` is going to be called, or was (INJ-04). Else it is not: STATUS_FWP_NULL_POINTER,
 * STATUS_FWP_INJECT_HANDLE_STALE, STATUS_FWP_INJECT_HANDLE_CLOSING, STATUS_INVALID_PARAMETER,
 * STATUS_NO_MEMORY. */
NTSTATUS host_inject(struct host *h, const struct host_injection *i);

/* FwpsCompleteOperation0's list: the operation's state goes over to it (PEND-28, 30). May be NULL. */
static inline void host_carry(NET_BUFFER_LIST *nbl)
{
    ndis_nbl_carry(nbl);
}

/* Waits until nothing is queued or walking. Not from a callout. Real back end: for tests and for the end of a
 * run; simulated: rt_sim_settle() does it. */
void host_inject_drain(struct host *h);

/* FwpsNetBufferListGetTagForContext0: never the same twice. */
UINT64 host_next_tag(struct host *h);
/* FwpsReassembleForwardFragmentGroup0's body (NBL-20): the chain must be one that was indicated as a group.
 * STATUS_SUCCESS, STATUS_INVALID_PARAMETER, STATUS_NO_MEMORY. */
NTSTATUS host_reassemble_group(UINT16 family, NET_BUFFER_LIST *chain, NDIS_HANDLE pool, UINT32 back_fill,
                               NET_BUFFER_LIST **out, const void *site);

struct host_injection_counts {
    UINT64 injected, emitted, lost, completed,
        capped; /* injected == emitted + lost + refused at completion */
    UINT64 handles, in_flight;
    UINT64 frames_kept, frames_copied; /* held by drivers now; seen by callouts ever */
};
void host_injection_counts(struct host *h, struct host_injection_counts *out);

#endif
