/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transform: out-of-band modification. UDP datagrams are held by reference, and a worker thread makes new
 * ones in their place, of any size, in memory of its own.
 *
 *   classify (classify.c)                        worker (worker.c)
 *   FwpsReferenceNetBufferList(TRUE),     held   new bytes and NET_BUFFER_LIST (build.c),
 *   BLOCK + ABSORB, WRITE cleared  -----------> FwpsDereferenceNetBufferList, injection -----> injected():
 * freed
 *
 * The parameters: Find and Replace, texts of any size; Port: only datagrams that have it at one end (0: all).
 * Datagrams without the text go the same way, so that none overtakes another.
 *
 * A datagram is owned by the list, then by the worker, then by the injection. The lock guards the list alone.
 */
#ifndef TRANSFORM_H
#define TRANSFORM_H

#include "../common/callouts.h"
#include "../common/checksum.h"
#include "../common/lists.h"
#include "../common/path.h"
#include "../common/text.h"
#include "../common/thread.h"

#define DATAGRAM_TAG 'mgDT'
#define BYTES_TAG    'tyBT'
#define UDP_HEADER   8

struct datagram {
    LIST_ENTRY link;
    NET_BUFFER_LIST *nbl; /* referenced */
    ULONG offset;         /* of its first NET_BUFFER's data when it was indicated (PKT-11) */
    LONG users;           /* the worker, and each of its products until it has been injected */
    struct path path;
};

/* What stands in its place: one for each NET_BUFFER, a list and the bytes behind it. */
struct product {
    LIST_ENTRY link;
    NET_BUFFER_LIST *nbl;
    MDL *mdl;
    UCHAR *data;
    ULONG size;
    struct datagram *datagram; /* whose path the injection reads; counted */
};

struct transform {
    DEVICE_OBJECT *device;
    struct list_pool pool;
    HANDLE send, receive;
    ULONG port;
    struct text_change text;
    KSPIN_LOCK lock;
    LIST_ENTRY held;
    struct thread worker;
};
extern struct transform transform;

/* classify.c */
void NTAPI transform_classify(const FWPS_INCOMING_VALUES *values,
                              const FWPS_INCOMING_METADATA_VALUES *metadata, void *layer_data,
                              const void *context, const FWPS_FILTER *filter, UINT64 flow_context,
                              FWPS_CLASSIFY_OUT *out);

/* build.c. Up to DISPATCH_LEVEL. NULL: no memory. */
struct product *product_create(struct datagram *datagram, NET_BUFFER *nb);
void product_free(struct product *product); /* and lets go of its datagram */

/* worker.c */
void datagram_release(struct datagram *datagram);
NTSTATUS worker_start(void);
/* Waits for the thread; what is held is let go. */
void worker_stop(void);
void worker_drain(void);

#endif
