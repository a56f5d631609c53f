/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_vswitch: the host's door for virtual switches: a datapath that has one gives its frames here, and only then
 * anything is indicated at the vSwitch layers (OTH-08).
 *
 *   frame from a port --host_vswitch_frame()--> INGRESS_VSWITCH_ETHERNET -> INGRESS_VSWITCH_TRANSPORT_V4/V6
 *                                                  | who gets it? destinations()
 *                     for each of them:            +--> EGRESS_VSWITCH_ETHERNET -> EGRESS_VSWITCH_TRANSPORT_V4/V6
 *                                                          +--> deliver()
 *   FwpsInjectvSwitchEthernetIngressAsync0: host_inject() (HOST_INJECT_VSWITCH): the same way again, from the top
 *
 * The transport layers see IP alone, and not at all what comes from or goes to a port in private VLAN or trunk mode.
 * The second and later copies of a frame are marked (RECLASSIFY_MULTI_DESTINATION: OTH-12). Port 0 is the switch's
 * own: its traffic is asked about, as on Windows, and a block of it is reported (OTH-09).
 *
 * A frame takes the host's turn, as host_frame() does; deliver() and destinations() are called with it, no lock held.
 * Every question is told to host_observer.classified() as any other (only where a filter is). Switches live as long as the host;
 * ports come and go. What a driver keeps of a frame is told by host_config.released(), with the
 * number that the datapath gave the frame.
 */
#ifndef WEIR_HOST_HOST_VSWITCH_H
#define WEIR_HOST_HOST_VSWITCH_H

#include "host/host.h"

struct host_vswitch;

struct host_vswitch_port {
    UINT32 id; /* NDIS_SWITCH_PORT_ID, unique in its switch */
    UINT16 nic_index;
    UINT8 nic_type;              /* NDIS_SWITCH_NIC_TYPE */
    bool bypasses_transport;     /* private VLAN or trunk mode */
    const FWP_BYTE_BLOB *nic_id; /* ...INTERFACE_ID; outlives the host */
    const FWP_BYTE_BLOB *vm_id;  /* NULL: no virtual machine's. Outlives the host */
};

struct host_vswitch_desc {
    const FWP_BYTE_BLOB *id; /* outlives the host; unique */
    UINT8 network_type;
    UINT32 tenant_network_id;
    UINT32 compartment;                    /* 0: 1 */
    const struct host_vswitch_port *ports; /* copied */
    size_t port_count;
    /* To which ports it goes, at most `most` of them; how many. NULL: to all but its source. */
    unsigned (*destinations)(void *ctx, const struct wire_packet *p, UINT32 source_port, UINT32 *ports,
                             unsigned most);
    /* A copy got through: the frame's bytes, valid during the call. May be NULL. */
    void (*deliver)(void *ctx, UINT64 number, UINT32 port, const uint8_t *frame, uint32_t size);
    void *ctx;
};

/* 0, -ENOMEM, -EEXIST (the id), -EINVAL (no id, or two ports of one number). */
int host_vswitch_add(struct host *h, const struct host_vswitch_desc *desc, struct host_vswitch **out);
/* Ports that come and go, by whoever gives the frames, between two of them. 0; -ENOMEM, -EEXIST (add); -ENOENT (remove). */
int host_vswitch_port_add(struct host *h, struct host_vswitch *v, const struct host_vswitch_port *port);
int host_vswitch_port_remove(struct host *h, struct host_vswitch *v, UINT32 id);
/* Its id means it no more, it has no ports, and its callbacks are not called any more; what is still injected into it goes
 * nowhere. */
void host_vswitch_remove(struct host *h, struct host_vswitch *v);
/* NULL: there is none of this id. */
struct host_vswitch *host_vswitch_by_id(const struct host *h, const FWP_BYTE_BLOB *id);

struct host_vswitch_frame {
    const uint8_t *bytes; /* from the Ethernet header on */
    uint32_t size;
    UINT64 number; /* the datapath's, as of host_frame's */
    UINT64 time_ns;
    UINT32 source_port;
};
struct host_vswitch_outcome {
    enum host_fate fate;              /* at ingress: PASSED, BLOCKED, ABSORBED */
    const struct engine_layer *layer; /* where it ended; NULL: it did not */
    UINT64 filter_id;
    unsigned copies, delivered; /* to so many ports; so many got through egress */
    bool kept;                  /* a driver holds it */
};
void host_vswitch_frame(struct host *h, struct host_vswitch *v, const struct host_vswitch_frame *f,
                        struct host_vswitch_outcome *out);

/* ---- events (FwpsvSwitchEvents*: OTH-10) -------------------------------------------------------------------- */

/* STATUS_SUCCESS and an id that is not 0; STATUS_FWP_NULL_POINTER, STATUS_NO_MEMORY. The table is copied; the
 * callbacks run in the subscriber's context. PASSIVE. */
NTSTATUS host_vswitch_subscribe(struct host *h, const FWPS_VSWITCH_EVENT_DISPATCH_TABLE0 *table,
                                void *notify_context, UINT32 *id);
/* Waits until none of its callbacks runs. False: there is none of this id. What it has pended is completed with
 * STATUS_CANCELLED, and reported. PASSIVE; not from within a callback of its own. */
bool host_vswitch_unsubscribe(struct host *h, UINT32 id);

/* An event of a switch. Which of the structures are there goes by its type; they are passed through as they are. */
struct host_vswitch_event {
    FWPS_VSWITCH_EVENT_TYPE type; /* VSWITCH_NONE: the filter engine's place has changed (reorder) */
    const NDIS_SWITCH_PARAMETERS *vswitch;
    const NDIS_SWITCH_PORT_ARRAY *ports; /* VSWITCH_CREATE, DELETE */
    const NDIS_SWITCH_NIC_ARRAY *nics;
    const NDIS_SWITCH_PORT_PARAMETERS *port;                             /* PORT_* */
    const NDIS_SWITCH_NIC_PARAMETERS *nic;                               /* INTERFACE_* */
    const NDIS_SWITCH_PORT_PROPERTY_PARAMETERS *property;                /* POLICY_ADD, UPDATE */
    const NDIS_SWITCH_PORT_PROPERTY_DELETE_PARAMETERS *property_deleted; /* POLICY_DELETE */
    NDIS_SWITCH_PORT_ID port_id;                                         /* RUNTIME_STATE_* */
    void **saved; /* SAVE: what the subscriber gives, and how long it is */
    SIZE_T *saved_size;
    void *restored; /* RESTORE */
    SIZE_T restored_size;
    BOOLEAN in_position; /* reorder */
    const NDIS_ENUM_FILTERS *filters;
    /* Called once when the last subscriber that has pended it completes it; not if raising it was not PENDING. Any
     * thread, <= DISPATCH_LEVEL. May be NULL. */
    void (*completed)(void *ctx, NTSTATUS status);
    void *ctx;
};
/* Tells all subscribers, in the order of subscribing. STATUS_SUCCESS, the first failure (those behind are told all the
 * same), or STATUS_PENDING: completed() will come. A PENDING where none is allowed is reported and taken as success.
 * PASSIVE. */
NTSTATUS host_vswitch_raise(struct host *h, const struct host_vswitch_event *event);
/* FwpsvSwitchNotifyComplete0's body. False: it is no context of a pended event. */
bool host_vswitch_complete(struct host *h, void *completion_context, NTSTATUS status);

#endif
