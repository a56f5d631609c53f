/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_stream: the host's third door: the stream layer (STR), where callouts see TCP's bytes in order, take,
 * hold, and put in others.
 *
 * Each direction of a flow is a pipeline of stages: the callout filters that match at ST, in the order of evaluation,
 * heaviest sublayer first (the waterfall, STR-05):
 *
 *   source --feed--> stage 0 --> stage 1 --> ... --> sink
 *   (segments in       |  ^        |
 *    order, or the     |  |        +--- what a stage keeps (NEED_MORE_DATA, DEFER) waits in its queue
 *    program's send)   |  +--- FwpsStreamInjectAsync0 of stage 0's callout enters here, behind it (STR-17, 18)
 *                      +--- BLOCK: taken out; PERMIT, CONTINUE: goes on
 *
 * What moves along is a run of elements, each with the bytes that it carries and how many bytes of the source it stands
 * for: passed data carry as many as they stand for, injected data stand for none, removed data carry none. So whoever
 * is at the end of the pipeline knows at each byte where in the source it stands, whatever was edited before.
 *
 * Two kinds of source and sink (host_config.streams):
 *   HOST_STREAM_SEGMENTS  (replay) the source is what segments set in order, the sink the host itself: stream_wire.c
 *                         rewrites the connection's segments and emits them (host_config.emit)
 *   HOST_STREAM_SOCKETS   (embedded) the source are the programs' sends and what the stack received, the sink is
 *                         host_config.stream_sink: the stack's own TCP makes segments of what comes out
 *
 * Serialised per flow and direction: one thread at a time is in a direction's pipeline; it may come back into it
 * from a callout (an injection in line). Feeding needs the host's turn. Injections and continuations from elsewhere are
 * queued to the host's injector, and completed by it. No lane is held while a callout runs.
 *
 * Memory: a stage keeps at most host_limits.stream_buffer bytes (8 MB, STR-10), all streams together
 * host_limits.streams_bytes; what would not fit is handed on and counted. A flow has a pipeline only if a callout filter
 * matches it.
 */
#ifndef WEIR_HOST_HOST_STREAM_H
#define WEIR_HOST_HOST_STREAM_H

#include "host/host.h"

/* ---- sockets as source and sink --------------------------------------------------------------------------- */

#define HOST_STREAM_END     0x1u /* behind the bytes: the direction is closed (FIN) */
#define HOST_STREAM_ABORT   0x2u /* the connection was reset (RST); no bytes */
#define HOST_STREAM_PUSH    0x4u /* inbound: PSH was set */
#define HOST_STREAM_URGENT  0x8u
#define HOST_STREAM_NODELAY 0x10u /* outbound */

/*
 * Bytes for a direction of a flow; out: sent by this host. STATUS_SUCCESS: they went into the pipeline, and what
 * passed at once has been given to the sink. STATUS_NOT_FOUND: no such flow: nothing was done. STATUS_NO_MEMORY.
 * *held (may be NULL): so many bytes of this direction wait in the pipeline now; the socket may want to wait (DEFER:
 * stop reading from the peer, so that its window shrinks, STR-14). PASSIVE or DISPATCH, needs no lock, takes the turn.
 */
NTSTATUS host_stream_feed(struct host *h, UINT64 flow_id, bool out, const uint8_t *bytes, uint32_t size,
                          UINT32 flags, UINT64 *held);

/* Is the connection between these ends shown to a callout at the stream layer (or would be with its next bytes)? Then its
 * flow's id: its bytes are to be fed. PASSIVE or DISPATCH, needs no lock, takes the turn. */
bool host_stream_wanted(struct host *h, uint8_t version, const union wire_addr *local, UINT16 local_port,
                        const union wire_addr *remote, UINT16 remote_port, UINT64 *flow_id);
/* Both ends (HOST_STREAM_END) have come out at the sink and been dealt with: if TCP is through as well, the flow ends now.
 * A flow whose ends have not both come out is kept when TCP is through. */
void host_stream_over(struct host *h, UINT64 flow_id);

struct host_stream_sink {
    /* In order. On the thread that feeds or on the injector's; no lane held. flags: HOST_STREAM_END behind the bytes. */
    void (*bytes)(void *ctx, UINT64 flow_id, bool out, const uint8_t *bytes, uint32_t size, UINT32 flags);
    /* A callout dropped the connection (STR-13), or FwpsFlowAbort0: both ends are to be reset. */
    void (*drop)(void *ctx, UINT64 flow_id, UINT64 filter_id);
    /* A callout deferred what is received: the socket stops reading (`held`), or goes on (STR-14). */
    void (*hold)(void *ctx, UINT64 flow_id, bool held);
};

/* ---- what the API calls -------------------------------------------------------------------------------------- */

struct host_stream_injection {
    HANDLE handle; /* of type FWPS_INJECTION_TYPE_STREAM */
    HANDLE context;
    UINT64 flow_id;
    UINT32 callout_id;
    UINT16 layer_id;
    UINT32 flags;          /* of the function: 0 */
    UINT32 stream_flags;   /* FWPS_STREAM_FLAG_* */
    NET_BUFFER_LIST *list; /* NULL only with *_DISCONNECT (STR-24) */
    SIZE_T size;
    FWPS_STREAM_INJECT_COMPLETE0 complete;
    void *complete_context;
    const void *site;
};
/* STR-17..26. STATUS_SUCCESS: `complete` is called once for the list (not if it is NULL), perhaps before this returns.
 * STATUS_FWP_NULL_POINTER (INJ-07), STATUS_FWP_INVALID_PARAMETER (STR-23), STATUS_FWP_INJECT_HANDLE_STALE, _CLOSING,
 * STATUS_NOT_FOUND (no such flow or callout there; the flow has ended: STR-26), STATUS_NO_MEMORY. <= DISPATCH. */
NTSTATUS host_stream_inject(struct host *h, const struct host_stream_injection *i);
/* STR-14. STATUS_SUCCESS; STATUS_NOT_FOUND; STATUS_INVALID_PARAMETER: nothing of it is deferred. <= DISPATCH. */
NTSTATUS host_stream_continue(struct host *h, UINT64 flow_id, UINT32 callout_id, UINT16 layer_id,
                              UINT32 stream_flags, const void *site);

/* ---- counts ---------------------------------------------------------------------------------------------------- */

struct host_stream_counts {
    UINT64 streams;                              /* flows that have a pipeline now */
    UINT64 memory;                               /* bytes that pipelines take now, with what waits in them */
    UINT64 waiting;                              /* of them: bytes that wait */
    UINT64 indicated, passed, removed, injected; /* bytes, ever */
    UINT64 limited;                              /* times that a buffer limit was reached (STR-10) */
    UINT64 handed;  /* times that a filter went, or a stream ended, while data waited: they were handed on */
    UINT64 lost;    /* bytes that waited in a stream that was aborted */
    UINT64 late;    /* bytes that came behind an end that a callout had invented */
    UINT64 dropped; /* connections that callouts dropped */
    UINT64 rewritten; /* segments that were replaced */
};
void host_stream_counts(struct host *h, struct host_stream_counts *out);

/* HOST_STREAM_SEGMENTS: connections whose segments are replaced. */
struct host_rewrite_counts {
    UINT64 made;       /* packets */
    UINT64 again;      /* of them: repeat what was sent */
    UINT64 swallowed;  /* segments that nothing was sent for */
    UINT64 evicted;    /* bytes that could not be kept until they were acknowledged */
    UINT64 unwindowed; /* bytes that were sent beyond the window, for want of room or at the end */
    UINT64 late;       /* bytes that came behind an end or a reset: nowhere to go */
    UINT64 forgotten;  /* edits whose place was forgotten, for want of room */
    UINT64 unchanged;  /* edits of loopback connections, which are not carried out */
    UINT64 early;      /* segments with data that answer bytes which a callout still kept */
};
/* As host_counts(). */
void host_rewrite_counts(struct host *h, struct host_rewrite_counts *out);
/* Is something of a connection with a callout that may give it back: data that waits or was taken out last, an end that was
 * taken out? For who decides how long to wait at the end of a run. Takes the turn; PASSIVE. */
bool host_stream_waits(struct host *h);
/* The run is over: what windows keep back goes. Takes the turn; PASSIVE. */
void host_stream_flush(struct host *h);
/* A driver has gone: what streams kept for filters of its callouts is handed on now, and told against it (STR-27), and
 * nobody asks for its ledger's party any more. Takes the turn; PASSIVE. */
void host_stream_driver_gone(struct host *h);

#endif
