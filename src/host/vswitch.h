/* SPDX-License-Identifier: Apache-2.0 */
/* vswitch's inside: what vswitch.c, vswitch_events.c and the injector know of each other. */
#ifndef WEIR_HOST_VSWITCH_H
#define WEIR_HOST_VSWITCH_H

#include "host/host_vswitch.h"
#include "host/internal.h"

struct ndis_history;
struct ndis_origin;

struct vswitches;                     /* host->vswitches */
int vswitches_create(struct host *h); /* 0 or -ENOMEM */
void vswitches_destroy(struct host *h);

/* One frame's way through a switch; injected: origin and history of what was injected. The caller has the turn. */
struct vswitch_walk {
    const uint8_t *bytes;
    uint32_t size;
    UINT64 number;
    UINT32 source_port;
    UINT16 source_nic;
    bool nic_given; /* source_nic is the caller's, not the port's */
    struct ndis_origin *origin;
    struct ndis_history *history;
};
void vswitch_walk(struct host *h, struct host_vswitch *v, const struct vswitch_walk *w,
                  struct host_vswitch_outcome *out);

/* vswitch_events.c */
struct vswitch_events;
int vswitch_events_create(struct host *h, struct vswitch_events **out);
void vswitch_events_destroy(struct vswitch_events *e);
struct vswitch_events *vswitch_events_of(const struct host *h); /* vswitch.c */

#endif
