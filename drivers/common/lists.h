/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lists: NET_BUFFER_LISTs of the driver's own, and the pool that they come from.
 *
 * A pool is made in DriverEntry and freed in the unload routine, both at PASSIVE_LEVEL, when no list of it is left.
 */
#ifndef LISTS_H
#define LISTS_H

#include "kernel.h"

struct list_pool {
    NDIS_GENERIC_OBJECT *ndis;
    NDIS_HANDLE handle; /* for FwpsAllocateNetBufferAndNetBufferList */
};

NTSTATUS lists_create(struct list_pool *pool, DRIVER_OBJECT *driver);
void lists_free(struct list_pool *pool);

#endif
