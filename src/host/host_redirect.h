/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_redirect: the host's fourth door: classify handles (RED), redirected binds and connects, the records of proxied
 * connections, and closures that wait.
 *
 *   classifyFn at BR, CR, EC --host_classify_acquire()--> handle
 *     |  host_classify_writable(), _apply(): another version of the request, inline or later
 *     |  host_classify_pend() ............. host_classify_complete(): on any thread
 *     +- host_classify_release()
 *   all have answered: what the last version says is where the socket is bound, where the connection goes
 *     --> host_config.redirected, host_outcome.redirected; the flow is that of the new tuple
 *
 * A local proxy:  its accepted socket --host_redirect_records(), _context()--> the records, opaque bytes
 *                 its own socket      --host_redirect_set_records()--> CR of its connect has them as metadata
 *
 * Handles, redirect handles and records are numbers with a generation, never addresses: what is used too often or too
 * late names nothing and is told so (HOST_CLASSIFY_* below). Who may do what, and when: redirect.c.
 */
#ifndef WEIR_HOST_HOST_REDIRECT_H
#define WEIR_HOST_HOST_REDIRECT_H

#include "host/host.h"

/* ---- classify handles (FwpsAcquireClassifyHandle0 and so on); any thread, <= DISPATCH ---------------------------- */

/* What was wrong with a call, as bits; the rest of it was done. 0: nothing. */
#define HOST_CLASSIFY_NO_HANDLE  0x001u /* nothing was done: it names no handle, any longer */
#define HOST_CLASSIFY_TWICE      0x002u /* nothing was done: completed, or released by its owner, already */
#define HOST_CLASSIFY_NOT_PENDED 0x004u /* nothing was done: completed without a pend */
#define HOST_CLASSIFY_NOT_ACQUIRED                                                                           \
    0x008u /* nothing was done: applied what was not acquired, or is no longer writable */
#define HOST_CLASSIFY_OTHER_POINTER                                                                          \
    0x010u /* applied another pointer than was acquired: that was taken (RED-08) */
#define HOST_CLASSIFY_UNAPPLIED                                                                              \
    0x020u /* completed with acquired data that were not applied: they are dropped */
#define HOST_CLASSIFY_READ_ONLY                                                                              \
    0x040u /* members changed that are not writable (RED-10): they stay as they were */
#define HOST_CLASSIFY_INLINE_FLAG                                                                            \
    0x080u /* REAUTHORIZE_IF_MODIFIED_BY_OTHERS without a pend: ignored (RED-17) */
#define HOST_CLASSIFY_CONTEXT                                                                                \
    0x100u /* localRedirectContext is no pool of that size: it was not taken (RED-23) */
#define HOST_CLASSIFY_FLAGS 0x200u /* unknown flags: ignored */

/* classify_context: of the classify that runs on this thread. STATUS_SUCCESS; STATUS_FWP_NULL_POINTER;
 * STATUS_INVALID_PARAMETER: of none that runs; STATUS_INSUFFICIENT_RESOURCES. */
NTSTATUS host_classify_acquire(struct host *h, const void *classify_context, UINT64 *handle);
/* From inside the classify (RED-16). STATUS_SUCCESS: the indication waits, whatever classifyFn returns;
 * STATUS_FWP_CANNOT_PEND: not at this layer (RED-13), not in this classify, or it is pended already;
 * STATUS_INVALID_HANDLE; STATUS_FWP_TCPIP_NOT_READY (the host shuts down); STATUS_INSUFFICIENT_RESOURCES. */
NTSTATUS host_classify_pend(struct host *h, UINT64 handle, UINT64 filter_id);
/* STATUS_SUCCESS: *data is FWPS_BIND_REQUEST0 or FWPS_CONNECT_REQUEST0, the host's, writable until it is applied or the
 * indication is over. out (may be NULL) is set to BLOCK without WRITE (RED-07). STATUS_FWP_NULL_POINTER;
 * STATUS_INVALID_HANDLE; STATUS_INVALID_DEVICE_STATE: nothing can be changed at this layer, or not any more. */
NTSTATUS host_classify_writable(struct host *h, UINT64 handle, UINT64 filter_id, void **data,
                                FWPS_CLASSIFY_OUT0 *out);
UINT32 host_classify_apply(struct host *h, UINT64 handle, const void *data, UINT32 flags);
/* out NULL: the callout is asked again (RED-15, 21). */
UINT32 host_classify_complete(struct host *h, UINT64 handle, const FWPS_CLASSIFY_OUT0 *out);
UINT32 host_classify_release(struct host *h, UINT64 handle);

/* How many closures of that owner's endpoints wait (RED-31). Any thread. */
UINT32 host_closures(struct host *h, const struct host_owner *owner);

/* ---- redirect handles (FwpsRedirectHandleCreate0), PASSIVE ------------------------------------------------------- */

/* STATUS_SUCCESS, STATUS_FWP_NULL_POINTER, STATUS_INSUFFICIENT_RESOURCES. */
NTSTATUS host_redirect_handle_create(struct host *h, const GUID *provider, HANDLE *out);
/* STATUS_INVALID_HANDLE. Connections that were redirected with it stay so. */
NTSTATUS host_redirect_handle_destroy(struct host *h, HANDLE handle);

/* ---- records ------------------------------------------------------------------------------------------------- */

/* RED-20. records: of the metadata, NULL: none. *context (may be NULL): what the redirection by this handle was given. */
FWPS_CONNECTION_REDIRECT_STATE host_redirect_state(struct host *h, HANDLE records, HANDLE handle,
                                                   void **context);
/* FwpsQueryConnectionSioFormatRedirectRecords0 (RED-27). STATUS_SUCCESS, STATUS_NOT_FOUND, STATUS_BUFFER_TOO_SMALL;
 * *size: what was written, or what is needed. */
NTSTATUS host_redirect_format(struct host *h, HANDLE records, void *out, SIZE_T room, SIZE_T *size);

/* The two ends of a socket's connection, from its side. */
struct host_redirect_ends {
    uint8_t version, protocol;
    union wire_addr local, remote;
    UINT16 local_port, remote_port;
};
/* SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS, _CONTEXT on a socket that was accepted (RED-24). As above. */
NTSTATUS host_redirect_records(struct host *h, const struct host_redirect_ends *accepted, void *out,
                               SIZE_T room, SIZE_T *size);
NTSTATUS host_redirect_context(struct host *h, const struct host_redirect_ends *accepted, void *out,
                               SIZE_T room, SIZE_T *size);
/* SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS, before the socket connects. STATUS_SUCCESS; STATUS_INVALID_PARAMETER: these
 * are no records; STATUS_ACCESS_DENIED: connected already; STATUS_NO_MEMORY. */
NTSTATUS host_redirect_set_records(struct host *h, struct host_endpoint *e, const void *records, SIZE_T size);

/* STATUS_SUCCESS, STATUS_INVALID_PARAMETER: would it take these bytes? */
NTSTATUS host_redirect_check(struct host *h, const void *records, SIZE_T size);

/* ---- what came of it ----------------------------------------------------------------------------------------- */

/* host_config.redirected: told once for each bind or connection that goes elsewhere than was asked for, before AC or RES
 * is asked. On the classifying thread, no lane held. Frames are translated, in host_outcome.changed: redirect_frame.c. */
struct host_redirected {
    bool bind;                              /* else connect */
    UINT64 filter_id;                       /* whose callout made the version that counts */
    UINT64 endpoint_id, flow_id;            /* flow_id: 0 for a bind */
    struct host_redirect_ends asked, given; /* bind: the local ends alone */
    UINT64 target_process;                  /* localRedirectTargetPID; 0: it is none of this host */
    UINT64 frame;                           /* that began it; 0: none did */
};

/* Where the endpoint is bound, which is not where it was asked to be if BR said so. */
void host_endpoint_local(const struct host_endpoint *e, union wire_addr *address, UINT16 *port);
/* Has the flow been redirected? A copy of what was told; false: no, or it is gone. Any thread. */
bool host_flow_redirected(struct host *h, UINT64 flow_id, struct host_redirected *out);

/* Behind the layers of a live host: a packet that was delivered to it, from its IP header on, as the socket that it is for
 * knows its ends. bytes itself, or as many others that are good until the next frame. By who gives frames. */
const uint8_t *host_redirect_undo(struct host *h, const uint8_t *bytes, uint32_t size);
/* The ends that a connection has, and those that its socket knows: the one from the other. Nothing is changed where it was
 * not redirected. Any thread. */
void host_redirect_given(struct host *h, struct host_redirect_ends *ends);
void host_redirect_asked(struct host *h, struct host_redirect_ends *ends);

struct host_redirect_counts {
    UINT64 handles;         /* classify handles that are out */
    UINT64 pended;          /* indications at BR, CR, EC that wait */
    UINT64 closing;         /* of them: closures (RED-31) */
    UINT64 binds, connects; /* redirected, ever */
    UINT64 refused;    /* redirections that could not be: RED-18, no such address, a tuple that is taken */
    UINT64 blocks;     /* BLOCK at BR or CR that was not enforced (RED-28) */
    UINT64 live;       /* redirected flows now */
    UINT64 translated; /* frames that were given another tuple */
};
void host_redirect_counts(struct host *h, struct host_redirect_counts *out);

#endif
