/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redirect: connections to other places, sockets to other addresses, at ALE_CONNECT_REDIRECT and ALE_BIND_REDIRECT.
 *
 * A TCP connection goes to the program that is the proxy (redirect.h), if there is one; else TCP and UDP go to another
 * address. Only TCP is led to a local proxy: a UDP socket's own address is decided when it is bound, and one that is bound
 * to the network cannot reach loopback afterwards (RED-29, RED-30).
 *
 * Parameters: To4, To6 ("192.0.2.77:8080", "[2001:db8::77]:8080"; without a port the old one stays) and Ports, remote
 * ports ("80,8443"; none: all) say which connections go where; Bind4, Bind6 and BindPorts the same of sockets' own
 * addresses, of whatever port they ask for; DelayMs: 0: decided within classifyFn; else by a worker thread, so much later:
 *
 *     classify (classify.c)                                       worker (worker.c)
 *   FwpsAcquireClassifyHandle, FwpsPendClassify,   pended
 *   BLOCK, WRITE cleared  --------------------------------->  FwpsAcquireWritableLayerDataPointer, the change,
 *                                                             FwpsApplyModifiedLayerData, FwpsCompleteClassify,
 *                                                             FwpsReleaseClassifyHandle
 *
 * A request that was pended is owned by the list, then by whoever took it out. The lock guards the list and the proxy. When
 * the driver goes, what is pended goes on unchanged.
 */
#ifndef INSIDE_H
#define INSIDE_H

#include "../common/callouts.h"
#include "../common/parameters.h"
#include "../common/thread.h"
#include "redirect.h"

#include <mstcpip.h>

#define REQUEST_TAG 'qeRR'
#define CONTEXT_TAG 'xtCR'

struct target {
    SOCKADDR_STORAGE address; /* family 0: there is none */
    BOOLEAN any_port;         /* the port stays */
};

/* What is known of a request besides the request. */
struct asker {
    BOOLEAN bind;
    UINT8 protocol;
    UINT64 process;
    UINT64 filter;
};

struct request {
    LIST_ENTRY link;
    struct asker asker;
    UINT64 handle; /* of the classify */
    FWPS_CLASSIFY_OUT out;
    ULONGLONG due; /* interrupt time */
};

struct redirect {
    DEVICE_OBJECT *device;
    HANDLE handle;                /* of the driver's redirections */
    struct target to[2], bind[2]; /* IPv4, IPv6 */
    CHAR ports[64], bind_ports[64];
    ULONG delay_ms;
    KSPIN_LOCK lock;
    LIST_ENTRY pended;
    const FILE_OBJECT *proxy; /* by which it came; NULL: there is none */
    DWORD proxy_process;
    UINT16 proxy_port;
    struct thread worker;
};
extern struct redirect redirect;

/* classify.c */
void NTAPI redirect_connect(const FWPS_INCOMING_VALUES *values, const FWPS_INCOMING_METADATA_VALUES *metadata,
                            void *layer_data, const void *context, const FWPS_FILTER *filter,
                            UINT64 flow_context, FWPS_CLASSIFY_OUT *out);
void NTAPI redirect_bind(const FWPS_INCOMING_VALUES *values, const FWPS_INCOMING_METADATA_VALUES *metadata,
                         void *layer_data, const void *context, const FWPS_FILTER *filter,
                         UINT64 flow_context, FWPS_CLASSIFY_OUT *out);

/* change.c. Up to DISPATCH_LEVEL. */
/* Is it to be changed, as far as it is known now? */
BOOLEAN connect_wanted(const FWPS_CONNECT_REQUEST *request, const struct asker *asker);
BOOLEAN bind_wanted(const FWPS_BIND_REQUEST *request, const struct asker *asker);
/* In the writable copy. Without memory it stays as it is. */
void connect_change(FWPS_CONNECT_REQUEST *request, const struct asker *asker);
void bind_change(FWPS_BIND_REQUEST *request);

/* worker.c */
void request_pend(struct request *request);
NTSTATUS worker_start(void);
void worker_stop(void);
/* Completes what is pended, unchanged. */
void worker_drain(void);

#endif
