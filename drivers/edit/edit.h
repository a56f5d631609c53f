/* SPDX-License-Identifier: Apache-2.0 */
/*
 * edit: a text in TCP streams is replaced by another, of any size, wherever segments begin and end.
 *
 * Parameters: Find and Replace; Port: only connections that have it at one end (0: all); Direction: "in", "out", "both";
 * Mode: "inline" or "worker"; HoldMs: see below; Instance: another number for each copy of the driver that is loaded
 * at a time, since the keys of its objects have it.
 *
 * inline (inline.c) keeps nothing: what stands before the text passes, the text is blocked and the other one injected
 * in its place from within classifyFn; where the end of the data may be the text's beginning, more data is asked for.
 *
 * worker (classify.c, worker.c): out of band. Every byte of a direction is cloned and blocked, its FIN too, and a worker
 * thread injects in order what it makes of them:
 *
 *     classify                   held           worker                               injection
 *   clone, BLOCK  -------------------------->  search, behind the tail  ---------->  injected(): freed
 *   DEFER where MOST bytes wait  <.......      |  the text in it: new bytes             |
 *                                        .     v                                        |
 *                  FwpsStreamContinue <......  what may be the text's beginning: the    |
 *                  when nothing waits          way's tail, until more comes or HoldMs <-+
 *
 * Once bytes of a flow have waited, all later ones do (STR-20, STR-21), until the driver goes: it lets the worker finish,
 * and a flow of which nothing is pending is let go for good (FWPS_STREAM_ACTION_ALLOW_CONNECTION).
 *
 * A stream (the flow's context) is referred to by the engine, by its place among the ready ones and by each injection. The
 * lock guards the lists and counts; no function of the filtering platform is called under it (STR-31).
 */
#ifndef EDIT_H
#define EDIT_H

#include "../common/callouts.h"
#include "../common/flows.h"
#include "../common/lists.h"
#include "../common/text.h"
#include "../common/thread.h"

#define STREAM_TAG 'rtSE'
#define CHUNK_TAG  'khCE'
#define BYTES_TAG  'tyBE'
#define MOST_HELD  0x10000 /* received bytes that wait; then the sender is held up */

/* What was indicated at once: a clone, or, without one, the end of the direction. */
struct chunk {
    LIST_ENTRY link;
    NET_BUFFER_LIST *clone;
    SIZE_T size;
};

struct stream;

/* One direction of a stream. */
struct way {
    struct stream *stream;
    UINT32 flags; /* FWPS_STREAM_FLAG_*: for what is injected */
    /* under the lock */
    LIST_ENTRY held;  /* chunks, for the worker */
    ULONG pending;    /* chunks, the tail, injections: what has come and is not yet gone */
    SIZE_T waiting;   /* their bytes */
    BOOLEAN deferred; /* by classifyFn; the worker continues it */
    /* the worker's */
    UCHAR tail[sizeof((struct text_change *)0)->find];
    ULONG tail_size;
    ULONGLONG tail_due; /* interrupt time */
    LIST_ENTRY tail_link;
};

struct stream {
    struct flow flow; /* first */
    LIST_ENTRY ready_link;
    BOOLEAN ready;
    struct way ways[2]; /* received, sent */
};

struct edit {
    DEVICE_OBJECT *device;
    HANDLE injection;
    struct list_pool lists;
    struct text_change text;
    ULONG port, hold_ms;
    BOOLEAN by_worker, received, sent;
    struct flow_set flows;
    KSPIN_LOCK lock;
    LIST_ENTRY ready; /* streams with something for the worker, each referred to */
    ULONG pending;    /* of all ways */
    LIST_ENTRY tails; /* ways whose tail waits, the oldest first; the worker's */
    struct thread worker;
    const UINT32 *stream_callouts; /* V4's, V6's */
};
extern struct edit edit;

/* inline.c */
BOOLEAN edit_direction(UINT32 stream_flags); /* is it one that is edited? */
void NTAPI edit_inline(const FWPS_INCOMING_VALUES *values, const FWPS_INCOMING_METADATA_VALUES *metadata,
                       void *layer_data, const void *context, const FWPS_FILTER *filter, UINT64 flow_context,
                       FWPS_CLASSIFY_OUT *out);

/* classify.c */
void NTAPI edit_established(const FWPS_INCOMING_VALUES *values, const FWPS_INCOMING_METADATA_VALUES *metadata,
                            void *layer_data, const void *context, const FWPS_FILTER *filter,
                            UINT64 flow_context, FWPS_CLASSIFY_OUT *out);
void NTAPI edit_hold(const FWPS_INCOMING_VALUES *values, const FWPS_INCOMING_METADATA_VALUES *metadata,
                     void *layer_data, const void *context, const FWPS_FILTER *filter, UINT64 flow_context,
                     FWPS_CLASSIFY_OUT *out);
void NTAPI edit_flow_deleted(UINT16 layer, UINT32 callout, UINT64 flow_context);
void stream_free(struct flow *flow);

/* ready.c: what waits, and who is to look after it. Up to DISPATCH_LEVEL. */
/* FALSE: the driver goes and nothing of the stream is pending: it is to be let go. */
BOOLEAN way_expect(struct way *way, SIZE_T size);
/* The same for what comes of what is pending: the worker's. */
void way_count(struct way *way, SIZE_T size);
/* It is no longer: gone, or lost. */
void way_done(struct way *way, SIZE_T size);
void way_add(struct way *way, struct chunk *chunk);
struct chunk *way_take(struct way *way);
struct stream *stream_take_ready(void); /* the caller's reference */
/* Is it deferred, and nothing of it pending? Then it is no longer deferred. */
BOOLEAN way_continues(struct way *way);
BOOLEAN anything_pending(void);

/* product.c: what is injected. Up to DISPATCH_LEVEL. */
/* A list of the driver's own with a copy of the bytes; NULL: no memory. */
struct product *product_create(const UCHAR *bytes, SIZE_T size);
/* Around a clone, which becomes the product's. */
struct product *product_of_clone(NET_BUFFER_LIST *clone, SIZE_T size);
/* Gives it away, also on failure. way: NULL, or where it counts as pending until it is gone. */
NTSTATUS product_inject(struct product *product, const struct flow *flow, UINT32 flags, struct way *way);

/* worker.c */
NTSTATUS worker_start(void);
/* Waits for the thread. Nothing is held any more when it returns, nor will be. */
void worker_stop(void);

#endif
