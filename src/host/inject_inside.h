/* SPDX-License-Identifier: Apache-2.0 */
/* inject's inside: what its files share: inject.c (handles, what is accepted), injector.c (queue, completion), inject_walk.c
 * (one packet's way), inject_frame.c (of a frame: from which MAC layer on). */
#ifndef WEIR_HOST_INJECT_INSIDE_H
#define WEIR_HOST_INJECT_INSIDE_H

#include "host/host_inject.h"
#include "host/internal.h"

/* How many were accepted and completed since the host began: atomic, never less. Read `completed` first: if `accepted` is the
 * same afterwards, none was in flight in between. */
struct injection_flights {
    UINT64 accepted, completed;
};

struct injection_handle {
    UINT64 id;     /* atomic; 0: free */
    bool closing;  /* atomic: it accepts no more. Set for as long as it is free */
    bool told;     /* that its driver has no filter where it injects */
    bool sum_told; /* the walker's: injection_tell_sum() */
    UINT16 family;
    UINT32 generation, types;
    struct ledger_party *party;                /* whose it is; NULL: a program's */
    struct injection_flights packets, streams; /* of all that had its place */
};

/* One injection, from its acceptance to its completion. */
struct injection {
    struct injection *next;
    struct host_injection what;   /* without `send` */
    struct injection_handle *of;  /* NULL: of a stream, without one */
    struct rt_context *context;   /* of who injected: current in completionFn */
    struct ndis_origin *origin;   /* the list's, borrowed until it is completed; NULL: of no frame */
    struct ndis_history *history; /* with this injection, which lies in its memory; NULL: of a stream */
    struct ndis_frame *frame;     /* `list` is the host's own: its frame, held; NULL */
    uint8_t remote[16];           /* of `send`, network order; */
    bool has_remote;              /* the list begins at its transport header */
    uint8_t *header;              /* headerIncludeHeader, copied */
    uint32_t header_size;
    NTSTATUS status;
    bool of_stream;             /* its bytes go into a stream, not along the layers: `stream` has them, or */
    struct stream_work *stream; /* NULL: they are there already */
};

/* A packet's goes with the last who holds its history: its list mostly, or this one. */
void injection_free(struct injection *i);

#define INJECTION_SLOT_BITS 16

/* Room for a packet that does not stand in one piece; the injector's, kept. */
struct injection_room {
    uint8_t *bytes;
    uint32_t size;
};

struct injector {
    struct rt_mutex *lock;
    struct rt_cond *work, *done;
    struct rt_thread *thread;
    uintptr_t self; /* of the thread, while it runs completions */
    bool stop, sleeps;
    struct injection *head, **tail; /* head: read without the lock by injector_has_more() */
    struct injection_handle
        *handles[INJECTION_SLOT_BITS];   /* piece n has 2^n of them, and stays where it is */
    size_t handle_count;                 /* atomic, never less */
    struct injection_flights bare;       /* of streams, without a handle */
    unsigned waiting;                    /* for `done`; atomic */
    struct host_injection_counts counts; /* without injected, completed, in_flight */
    struct injection_room room;
};

/* Slot n's, n < handle_count. */
static inline struct injection_handle *injection_handle_at(const struct injector *j, size_t slot)
{
    const unsigned piece = 63 - (unsigned)__builtin_clzll(slot + 1);

    return &j->handles[piece][slot + 1 - ((size_t)1 << piece)];
}
/* Some are in flight from now on. */
static inline void injection_take_off(struct injection_flights *f, unsigned count)
{
    (void)rt_add(&f->accepted, count, __ATOMIC_SEQ_CST);
}
static inline bool injection_in_flight(const struct injection_flights *f)
{
    const UINT64 completed = __atomic_load_n(&f->completed, __ATOMIC_SEQ_CST);

    return __atomic_load_n(&f->accepted, __ATOMIC_SEQ_CST) != completed;
}
/* One is not in flight any more, or some never were: who waits for that sees it. */
void injection_land(struct injector *j, struct injection_flights *f);
void injection_never_flew(struct injector *j, struct injection_flights *f, unsigned count);

int injector_create(struct host *h); /* h->injector: 0 or -ENOMEM */
void injector_destroy(struct host *h);
/* With its lock: is there somebody who will carry injections out? */
bool injector_runs(struct host *h);
/* Accepted ones, linked, go to who carries them out: the injector, or the caller himself. */
void injector_queue(struct host *h, struct injection *first, struct injection *last);
/* Has anybody left something in the queue? */
static inline bool injector_has_more(struct injector *j)
{
    return __atomic_load_n(&j->head, __ATOMIC_ACQUIRE) != NULL;
}
/* Walks and completes what is queued, one burst; callouts are called at irql at least. False: nothing was. */
bool injector_burst(struct host *h, KIRQL irql);

/* Walks all of its packets: emits them or tells that they are lost, and says what its completion is to say.
 * The caller has the turn. */
void injection_walk(struct host *h, struct injection *i, struct injection_room *room);
/* That a driver injects with wrong checksums is told once for each handle. By who has the turn. */
bool injection_sum_was_told(const struct injection *i);
void injection_tell_sum(const struct injection *i);
/* STATUS_HOPLIMIT_EXCEEDED, reported, if it has come again too often (INJ-17). */
NTSTATUS injection_capped(struct host *h, const struct injection *i);
/* Counts of the host's injections; any thread. */
void injection_count(struct host *h, bool emitted);
/* Of streams: so many injections are accepted for the handle (INJ-03), or one without a handle; or not, after all. */
NTSTATUS injection_stream_begin(struct host *h, HANDLE handle, unsigned count, struct injection_handle **of);
bool injection_stream_begin_bare(struct host *h);
void injection_stream_cancel(struct host *h, struct injection_handle *of, unsigned count);
/* They are queued: malloc'd, with what (list, complete, complete_context, site), of and stream set. */
void injection_stream_queue(struct host *h, struct injection *first);
/* stream_inject.c: the bytes go in; frees the work, or leaves it to who is in there. The caller has the turn. What its
 * list's completion is to say. */
NTSTATUS stream_injection(struct host *h, struct stream_work *w);
void stream_work_free(struct stream_work *w);
/* Once for each handle: true the first time. */
bool injection_told(struct host *h, const struct injection *i);

static inline bool injection_is_mac(const struct injection *i)
{
    return i->what.kind == HOST_INJECT_MAC_SEND || i->what.kind == HOST_INJECT_MAC_RECEIVE;
}
/* inject_frame.c: where the frame starts again. */
enum host_layer injection_mac_layer(UINT16 layer);
/* By which adapter: that is named, that of the frame it stems from; where none is named, by what stands in it. NULL:
 * there is none of this index, or none at all. */
const struct host_interface *injection_adapter(const struct host *h, const struct injection *i,
                                               const struct wire_packet *p);
/* Has the driver a filter at the layer that it injects at (INJ-29)? The caller has the turn. */
bool injection_has_filter(struct host *h, const struct injection *i);

#endif
