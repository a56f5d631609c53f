/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk: the packet of one walk through the layers, as callouts see it; and whose turn it is to walk.
 *
 *   paths_frame(), injector --walk_begin()--> layers ... indicate(): a callout is about to look: walk_show()
 *                                                |         first time: the bytes are copied into an
 * ndis_frame
 *                                                +--> walk_end(): changed in place? kept by a driver?
 *
 * Most packets are seen by no callout: then a walk is a few words on the stack. A walk shows several packets
 * one after the other where the stack has several: a fragment and the datagram that it completed, a sender's
 * packet and the copy that comes back to the host (walk_copy()).
 *
 * Turns. A host has one worker at a time: the thread that brings frames, the injector, whoever calls a socket
 * operation. Who works has the turn, also while a callout runs (the lane's lock is not held then), and may
 * take it again on the same thread: that is how an injection in the caller nests. Visitors (ale_visit()) take
 * none.
 */
#ifndef WEIR_HOST_WALK_H
#define WEIR_HOST_WALK_H

#include "host/internal.h"
#include "ndis/frame.h"

#define WALK_FRAMES 6

struct walk {
    struct host *host;
    UINT64 number;                    /* the datapath's of the frame; 0: of none */
    const struct wire_packet *first;  /* the packet that it began with, */
    const struct wire_packet *packet; /* and that whose bytes `frame` has */
    struct wire_packet
        whole; /* a copy of that where it is another than the first: what fragments made is gone when
                               * the walk ends */
    struct ndis_frame *frame; /* NULL: no callout has looked at it */
    struct ndis_frame *frames[WALK_FRAMES];
    unsigned count;
    struct ndis_origin *origin;   /* an injected packet's, or the first frame's; borrowed */
    struct ndis_history *history; /* borrowed */
    NET_BUFFER_LIST *tagged;      /* whose tags the next frame gets; NULL */
    bool injected;
    bool taken;               /* a callout has absorbed it, and it matters whose it is (again.c): */
    struct rt_context *taker; /* his */
    NTSTATUS status;          /* not STATUS_SUCCESS: what its completion is to say (PEND-29) */
};

static inline void walk_begin(struct walk *w, struct host *h, UINT64 number, const struct wire_packet *p)
{
    w->host = h;
    w->number = number;
    w->first = w->packet = p;
    w->frame = NULL;
    w->count = 0;
    w->origin = NULL;
    w->history = NULL;
    w->tagged = NULL;
    w->injected = false;
    w->taken = false;
    w->status = STATUS_SUCCESS;
}

/* Has its packet a frame already? If not: makes it; false: out of memory. */
static inline bool walk_shows(const struct scene *s)
{
    return s->walk->frame != NULL && s->walk->packet == s->packet;
}
bool walk_make(struct scene *s);
/* The scene's packet for a callout, [first, end) with the data from `at` on. NULL: out of memory. */
static inline NET_BUFFER_LIST *walk_show(struct scene *s, uint32_t first, uint32_t at, uint32_t end)
{
    if (!walk_shows(s) && !walk_make(s))
        return NULL;
    return ndis_frame_show(s->walk->frame, first, at, end, s->host->config.knobs.split_mdl);
}
/* The scene's packet, to be kept beyond the walk: ndis_frame_let_go(). NULL: out of memory. */
struct ndis_frame *walk_hold(struct scene *s);
/* The bytes of the scene's packet come once more, as another list (ORD-19). Costs a branch where no callout
 * has looked. */
void walk_copy_slow(struct walk *w);
static inline void walk_copy(struct scene *s)
{
    if (s->walk != NULL && s->walk->frame != NULL)
        walk_copy_slow(s->walk);
}
/* out->kept, out->changed. */
void walk_end_slow(struct walk *w, struct host_outcome *out);
static inline void walk_end(struct walk *w, struct host_outcome *out)
{
    if (w->count != 0)
        walk_end_slow(w, out);
}
/* An injected packet whose pended operation has not been completed is refused at RA (PEND-29): true. */
bool walk_refused_slow(struct scene *s, enum host_layer layer, struct host_outcome *out);
static inline bool walk_refused(struct scene *s, enum host_layer layer, struct host_outcome *out)
{
    return s->walk != NULL && s->walk->injected && walk_refused_slow(s, layer, out);
}

int walk_create(struct host *h); /* h->frames; 0 or -ENOMEM */
void walk_destroy(struct host *h);

/* ---- turns (turn.c) */

/* With the lane's lock on return, which stays (lane_enter()) until turn_give(). */
void turn_take(struct lane *l);
/* Without the lock: free of any where the thread has the turn already. Until turn_give(). */
void turn_enter(struct lane *l);
void turn_give(struct lane *l);
/* The same within host_hold(), for who has it. */
void turn_hold(struct lane *l);
void turn_let(struct lane *l);
bool turn_is_mine(struct lane *l);
unsigned turn_depth(struct lane *l); /* how often this thread has taken it; 0: it has not */

/* For a function of the worker's: the turn, without the lock, until it returns. */
static inline struct lane *turn_begin(struct lane *l)
{
    turn_take(l);
    (void)lane_rest(l);
    return l;
}
static inline void turn_end(struct lane **l)
{
    turn_give(*l);
}
#define TURN_OF(of) __attribute__((cleanup(turn_end), unused)) struct lane *turn_ = turn_begin(of)

#endif
