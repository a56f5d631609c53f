/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inquire: out-of-band inspection at ALE_AUTH_CONNECT and ALE_AUTH_RECV_ACCEPT. Each new connection and flow
 * is held until a policy, asked by a worker thread, has answered.
 *
 *     classify (classify.c)                          worker (worker.c)
 *   connect, accept, packet of a
 *   reauthorization: ASKED -----------------------> the policy answers
 *                                                        | connect            | accept             | packet
 *   the completion's reauthorization:                    v                    v                    v
 *   gives the answer <--- FwpsCompleteOperation <--- COMPLETING          complete, then       inject, or
 *        | permitted, with packets                                       inject the packets   abort the flow
 *        +---> AUTHORIZED ------------------------> injects the packets
 *
 * An inquiry is in exactly one of the lists of that name, or in the hands of the one function that took it
 * out. The lock guards the lists and nothing else; no documented function of the filtering platform is called
 * under it. Because the reauthorization comes inside of FwpsCompleteOperation, an inquiry is in `completing`,
 * with its answer, before that function is called, and is not touched by the worker afterwards (PEND-20,
 * PEND-22).
 *
 * A COMPLETING inquiry whose endpoint went in the meantime is never asked for again (PEND-41); it is dropped
 * after STALE_MS or when the driver goes.
 */
#ifndef INQUIRE_H
#define INQUIRE_H

#include "../common/callouts.h"
#include "../common/thread.h"
#include "policy.h"

#define INQUIRY_TAG 'qnIi'
#define PACKET_TAG  'kPIi'
#define STALE_MS    30000

enum inquiry_kind {
    INQUIRY_CONNECT, /* pended at ALE_AUTH_CONNECT */
    INQUIRY_ACCEPT,  /* pended at ALE_AUTH_RECV_ACCEPT */
    INQUIRY_PACKET   /* of a flow that is authorized again: only the packet is held */
};

/* A held packet: a clone (NBL-05: it keeps the original) and where it is to be injected. */
struct packet {
    LIST_ENTRY link;
    NET_BUFFER_LIST *clone;
    struct path path;
};

struct inquiry {
    LIST_ENTRY link;
    enum inquiry_kind kind;
    HANDLE completion; /* of the pended operation */
    UINT64 endpoint;   /* tells pended operations of the same addresses and ports apart (PEND-19) */
    UINT64 flow;       /* of INQUIRY_PACKET; 0: unknown */
    struct path path;
    ULONGLONG due;   /* interrupt time, 100 ns; COMPLETING: when it is stale */
    BOOLEAN inbound; /* the flow, whatever direction its packet has (ALE-24) */
    BOOLEAN permitted;
    LIST_ENTRY packets;
};

struct inquire {
    DEVICE_OBJECT *device;
    HANDLE send, receive; /* two, since a packet that loops back keeps its history (INJ-16) */
    struct policy policy;
    KSPIN_LOCK lock;
    LIST_ENTRY asked, completing, authorized;
    struct thread worker;
};
extern struct inquire inquire;

/* classify.c */
void NTAPI inquire_classify(const FWPS_INCOMING_VALUES *values, const FWPS_INCOMING_METADATA_VALUES *metadata,
                            void *layer_data, const void *context, const FWPS_FILTER *filter,
                            UINT64 flow_context, FWPS_CLASSIFY_OUT *out);

/* inquiry.c. Up to DISPATCH_LEVEL. */
struct inquiry *inquiry_create(enum inquiry_kind kind, const FWPS_INCOMING_VALUES *values,
                               const FWPS_INCOMING_METADATA_VALUES *metadata, NET_BUFFER_LIST *nbl);
/* Its packets, too; it is in no list, its operation is completed. */
void inquiry_free(struct inquiry *inquiry);
/* Injects and thereby gives away all packets. */
void inquiry_inject(struct inquiry *inquiry);

/* worker.c */
NTSTATUS worker_start(void);
/* Refuses what is asked, waits for the thread. */
void worker_stop(void);
/* What came between the end of the thread and that of the callouts; and what is stale. */
void worker_drain(void);

#endif
