/* SPDX-License-Identifier: Apache-2.0 */
/* What redirect_wire.c, the table of translations, and redirect_frame.c, which uses it, know of each other. Unless said
 * otherwise the lane is held. */
#ifndef WEIR_HOST_REDIRECT_WIRE_INSIDE_H
#define WEIR_HOST_REDIRECT_WIRE_INSIDE_H

#include "host/redirect_inside.h"
#include "host/redirect_packet.h"
#include "host/redirect_pieces.h"
#include "host/redirect_wire.h"

struct translation {
    struct translation *given_next; /* by the given ends */
    struct translation *next;       /* by the ends as asked for */
    struct translation *ended_next;
    struct host_redirect_ends asked, given;
    UINT64 flow_id, endpoint_id; /* flow_id 0: of a bind: any remote end */
    UINT64 until_ns;             /* 0: not ended */
    bool dead;                   /* replaced; goes with its turn in the list of the ended */
};

struct redirect_wire {
    struct translation **by_ends, **by_given;
    UINT32 buckets, count, ended;
    struct translation *ended_first, **ended_last;
    /* The worker's, without the lane: */
    struct redirect_written frame, whole, undone; /* whole: a datagram that comes in fragments */
    struct redirect_pieces *pieces;               /* NULL: none yet */
    const struct wire_packet *came;               /* the fragment being given, as it was before `frame` */
    struct redirect_tuple to;                     /* ... and what its datagram was translated to */
    bool now;                                     /* `frame` is of the frame that is being given */
    bool turned; /* `whole` was redirected on its way: redirect_wire_turned() is to come */
};

static inline struct redirect_wire *redirect_wire_of(const struct lane *l)
{
    return ale_of(l)->redirects->wire;
}
struct redirect_wire *
redirect_wire_make(struct redirects *x); /* that there is, or a new one; NULL: no memory */
/* By the ends that were asked for; by those that it leads to, preferably of what has not ended. NULL: none. */
struct translation *redirect_wire_find(const struct redirect_wire *w, const struct host_redirect_ends *ends);
const struct translation *redirect_wire_led(const struct redirect_wire *w,
                                            const struct host_redirect_ends *given);
void redirect_wire_expire(struct redirect_wire *w, UINT64 now_ns);
/* Its flow has begun anew: it is nobody's from now on. */
void redirect_wire_over(struct redirect_wire *w, struct translation *t);
/* The local end that a redirected bind has. False: it was not redirected. */
bool redirect_wire_bind(const struct redirect_wire *w, struct host_redirect_ends *e);
/* From the ends that are given to those that were asked for. False: they are the same. */
bool redirect_wire_asked(const struct redirect_wire *w, struct host_redirect_ends *e);

#endif
