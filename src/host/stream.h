/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream: what the host's own files know of streams (host_stream.h tells the whole).
 *
 *   stream.c        streams' life, feeding; stream_table.c: how they are found
 *   stream_stages.c which stages a flow has; stream_queue.c: what waits for them; stream_work.c: a stage at work
 *   stream_enter.c  who goes into a direction; stream_look.c: the straight way of one piece that is only looked at
 *   stream_show.c   what a callout is shown: FWPS_STREAM_CALLOUT_IO_PACKET0 over lists in documented shapes (STR-01..04)
 *   stream_inject.c injections, continuations (STR-17..26)
 *   stream_socket.c source and sink of HOST_STREAM_SOCKETS
 *   stream_wire.c   the sink of HOST_STREAM_SEGMENTS: positions in the source and in what is sent; segments rewritten
 */
#ifndef WEIR_HOST_STREAM_H
#define WEIR_HOST_STREAM_H

#include "host/host_stream.h"
#include "host/internal.h"
#include "host/rewrite.h"

struct stream; /* a flow's: both directions */

/* What comes out at a pipeline's end, in order. */
struct stream_element {
    const uint8_t *bytes; /* valid during the call */
    uint32_t size;        /* it carries; 0: what it stands for was taken out */
    uint32_t span;        /* source bytes it stands for; 0: injected */
    bool same;            /* size == span, and these are the source's own bytes */
    bool lost;    /* span bytes that nobody saw (a hole in the capture): neither shown nor edited; size 0 */
    UINT32 flags; /* HOST_STREAM_END behind it, _PUSH, _URGENT */
    UINT64 filter_id; /* size 0: that took it out; else 0 */
};

/* Where elements go: host.stream_sink. On the thread that is in the pipeline; the turn is ours, no lane held. */
struct stream_sink {
    void (*element)(struct host *h, struct stream *st, int dir, const struct stream_element *e);
    /* Elements came that no stream_feed() brought (an injection, a continuation), and that was the last one of this
     * batch. Once a batch, also for one without elements. */
    void (*settled)(struct host *h, struct stream *st);
    /* A callout dropped the connection: resets go both ways. The flow itself is ended by who calls this (from a
     * stream_feed(): by the path, which reads `dropped`). */
    void (*drop)(struct host *h, struct stream *st, UINT64 filter_id);
    void (*hold)(struct host *h, struct stream *st, bool held); /* DEFER of what is received */
    /* stream_end(): nothing comes any more (its last elements have come); what stream_word() points at goes now. */
    void (*ended)(struct host *h, struct stream *st, bool aborted);
    /* Fetches what the words of some streams point at. NULL: nothing. */
    void (*fetch)(struct host *h, struct stream *const *streams, size_t count);
};
extern const struct stream_sink stream_wire_sink;   /* HOST_STREAM_SEGMENTS */
extern const struct stream_sink stream_socket_sink; /* HOST_STREAM_SOCKETS: stream_socket.c */

/* The scene's flow's pipeline, made if a callout filter matches at ST under today's policy; NULL: it has none and needs
 * none, the flow has gone, or no memory (counted). dir 0: sent by this host. Lane not held, the turn is ours. */
struct stream *stream_of(struct scene *s);
/* ... if it is there already. */
struct stream *stream_find(struct host *h, UINT64 flow_id);
/* Fetches what these frames (at most AHEAD) will touch of the pipelines of their flows, those of them that have one. A hint.
 * The turn is ours. */
void streams_fetch(struct lane *l, struct ahead *const *of, size_t count);
UINT64 stream_flow(const struct stream *st);
/* Can any of its stages change what passes (a callout filter that is no inspection, or a plain block)? */
bool stream_may_edit(const struct stream *st);

/* What a feed came to, for the frame that brought it. */
struct stream_fed {
    bool same;         /* all of it passed, at once, as it was, and nothing else did */
    UINT64 waiting;    /* bytes of this direction that wait in the pipeline now */
    UINT64 removed_by; /* all of it was taken out, by this filter; 0: not so */
    UINT32 callout;    /* ... whose callout; 0: none's */
    bool dropped;      /* the connection was */
    bool depends;      /* on what is unknown */
};
/* `bytes` are the next of the source in this direction; lost: so many before them that nobody saw. flags: HOST_STREAM_*.
 * The scene is that of the packet behind it (values, metadata, events); NULL packet: none is. Calls the sink. */
void stream_feed(struct scene *s, struct stream *st, int dir, const uint8_t *bytes, uint32_t size,
                 uint32_t lost, UINT32 flags, struct stream_fed *out);
/* The flow ends: what waits is handed over once more (STR-33) unless it was aborted, then all is freed. */
void stream_end(struct host *h, UINT32 slot, UINT64 flow_id, bool aborted);

/* HOST_STREAM_SOCKETS, TCP is through: do ends still wait in the pipeline, or with who took them? Then host_stream_over()
 * ends the flow. */
bool stream_socket_stays(struct stream *st);

/* One more segment was replaced: host_stream_counts. */
void stream_count_rewritten(struct host *h);

/* What the sink of segments knows of a stream before it needs more. Zeroed at first. */
struct stream_past {
    UINT64 number[2]; /* of the newest frame of each direction */
    struct rewrite_past way[2];
};
struct stream_past *stream_past(struct stream *st);

/* A word of the sink's own for each stream, NULL at first; freed by it when it hears `ended`. */
void **stream_word(struct stream *st);

#endif
