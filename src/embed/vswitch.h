/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual switches of a test: what vswitch.c (switches, ports, their frames) and vswitch_event.c (what subscribers are told)
 * know of each other.
 *
 * A port's life, each step told to subscribers; `state` is the test thread's:
 *
 *   weir_port_add() --PORT_CREATE--> CREATING --permitted--> INTERFACE_CREATE, INTERFACE_CONNECT --> CONNECTED
 *                                       +--refused--> NONE                                            ^ v connect, disconnect
 *   weir_port_remove() --INTERFACE_DISCONNECT, _DELETE, PORT_DELETE--> DELETING --> NONE       DISCONNECTED
 *
 * CREATING and DELETING last where a subscriber has pended: completed() sets `answered`, on any thread, and the pump goes on
 * with it (embed_vswitches_drain()).
 */
#ifndef WEIR_EMBED_VSWITCH_H
#define WEIR_EMBED_VSWITCH_H

#include <stdatomic.h>

#include "embed/machine.h"
#include "host/host_vswitch.h"

struct got { /* a frame that came out of a port */
    struct got *next;
    uint32_t size;
    uint8_t bytes[];
};

struct embed_port {
    struct embed_port *next;
    struct embed_vswitch *of;
    struct host_vswitch_port is;
    uint8_t mac[6]; /* zeros: none was given */
    enum weir_port_state state;
    FWP_BYTE_BLOB nic_id, vm_id;
    WCHAR nic[257], vm[257];
    bool telling;         /* subscribers are told of it now: nothing is gone on with */
    atomic_bool answered; /* with `status`: what was pended is completed */
    NTSTATUS status;
    struct got *first, **end; /* the switch's lock */
    unsigned waiting;
};

struct learned {
    uint8_t mac[6];
    uint32_t port; /* 0: nothing */
};
#define LEARNED 256u

struct embed_vswitch {
    struct embed_vswitch *next;
    struct embed *e;
    void *handle; /* NULL: it has ended */
    struct host_vswitch *is;
    FWP_BYTE_BLOB id;
    WCHAR name[257];
    char text[257]; /* its name, for people */
    struct embed_port *ports;
    struct embed_port *gone; /* removed: what drivers were told of them outlives them */
    struct rt_mutex *lock;   /* learned, what came out of ports: frames may pass on the host's injector */
    struct learned learned[LEARNED];
    unsigned learns; /* the place that is written over next */
};

/* vswitch.c */
/* What was pended for this port is completed. */
void embed_port_goes_on(struct embed_port *p, NTSTATUS status);

/* vswitch_event.c. Subscribers are told, on a thread of their own; port: NULL for the switch's own. STATUS_PENDING: the
 * port's `answered` will be set. */
NTSTATUS embed_vswitch_tell(struct embed_vswitch *v, FWPS_VSWITCH_EVENT_TYPE type, struct embed_port *port);

#endif
