/* SPDX-License-Identifier: Apache-2.0 */
/*
 * callouts: a driver's callouts and their filters, from one table.
 *
 * Each row is a layer. callouts_start() registers a callout for it and adds the callout's object and one
 * filter, all in one transaction of a dynamic session; callouts_stop() closes the session, by which objects
 * and filters go, and then unregisters. In between the set belongs to this module.
 *
 * Both run at PASSIVE_LEVEL, in DriverEntry and in the unload routine.
 */
#ifndef CALLOUTS_H
#define CALLOUTS_H

#include "kernel.h"

#define CALLOUTS_MOST 64

struct callout_layer {
    UINT16 id;       /* FWPS_LAYER_*, as a classify names the layer */
    const GUID *key; /* FWPM_LAYER_*, as management names it */
    FWPS_CALLOUT_CLASSIFY_FN classify;
    UINT8 protocol; /* what the filter asks IP_PROTOCOL to be; 0: no condition */
};

struct callout_set {
    GUID base;   /* of the driver; the last byte is left for the layer, and for the sublayer 255 */
    WCHAR *name; /* in the names of all objects */
    FWP_ACTION_TYPE action;
    const struct callout_layer *layers;
    UINT32 count; /* at most CALLOUTS_MOST */
    /* Of all its callouts; NULL: none of them has contexts of flows. */
    FWPS_CALLOUT_FLOW_DELETE_NOTIFY_FN0 flow_deleted;
    UINT32 ids[CALLOUTS_MOST];
    UINT32 registered;
    HANDLE engine;
};

/* All of it or, with a failure's status, nothing. */
NTSTATUS callouts_start(struct callout_set *set, DEVICE_OBJECT *device);

/* When this returns no classifyFn of the set is running nor will be. Also after a callouts_start() that
 * failed. What contexts of flows there are must be on their way out: it waits for the last (LIFE-04). */
void callouts_stop(struct callout_set *set);

#endif
