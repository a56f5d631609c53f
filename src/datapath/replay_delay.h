/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delay: who waits for whom when decisions take time. replay's; it knows no host and no clock, it is told of
 * both:
 *
 *   replay_delay.c   causality: flows, holds, what each event does to them
 *   delay_memory.c   pieces, flows, holds; where they are found; the order of what is due
 */
#ifndef WEIR_DATAPATH_REPLAY_DELAY_H
#define WEIR_DATAPATH_REPLAY_DELAY_H

#include "datapath/capture.h"
#include "host/host.h"

struct delay;
struct delay_hold;

/* A frame in delay's hands: it waits, or its fate does. */
struct delay_piece {
    struct delay_piece *next;      /* in its queue; among the told; */
    struct delay_piece *next_own;  /* of its hold, or of its flow: undecided, */
    struct delay_piece *next_over; /* and perhaps GONE when the instant ends; */
    struct delay_piece *next_hash; /* found by its number */
    struct delay_hold *hold;       /* NULL: nobody waits for it */
    struct delay_flow *flow;       /* while it is undecided */
    struct capture_packet packet;  /* its bytes are the piece's own; delay_ns: so far */
    struct wire_packet wire;
    struct host_outcome outcome;
    bool undecided;         /* fed; what becomes of it is not known */
    bool found;             /* by its number */
    bool again;             /* ... and it is to be fed again then */
    bool pended, completed; /* its own operation */
    bool whole;     /* what went out for it was all of the datagram that it is the first fragment of */
    bool unwritten; /* told as passed, and yet to be written: a part of a datagram of which the rest is out */
    struct delay_piece *parts; /* later fragments of its datagram, whose fate is its own; by next */
    bool refused;              /* ... was, and it is fed again to be told so */
    UINT64 refused_by;         /* the filter behind that; 0: none */
    bool kept, released;       /* by a driver */
    bool lost;                 /* what was injected for it was dropped: `outcome` says how */
    bool over;                 /* decided at the end of this instant, unless it is injected until then */
    bool follows;              /* host_frame.follows */
    bool from_first;           /* of the end that opened the flow */
    bool request;              /* not TCP: its hold is about it */
    size_t size;               /* of memory */
};

enum delay_says {
    DELAY_FEED,         /* to the host, now */
    DELAY_FEED_FOLLOWS, /* the same, and host_frame.follows */
    DELAY_WAITS,        /* it is taken */
    DELAY_FATE,         /* the host is not asked: *out says its fate */
};

struct delay_limits {
    uint32_t frames, flows;
    uint64_t bytes;
};
int delay_create(const struct delay_limits *limits, struct delay **out); /* 0, -ENOMEM. Zeros: defaults */
void delay_destroy(struct delay *d);

/* Nothing is waited for by anybody: delay_frame() would say FEED. */
bool delay_idle(const struct delay *d);
/* A frame of the capture, at its time. */
enum delay_says delay_frame(struct delay *d, const struct capture_packet *p, const struct wire_packet *w,
                            struct host_outcome *out);
/* The host is about to have the frame of this number: what is told of it meanwhile counts. */
void delay_feeding(struct delay *d, UINT64 number);
/* It has had it, at now_ns. piece: NULL, or what delay_take() gave; it is delay's again. True: this is its
 * fate (the outcome may have been changed), and it is to be told; a piece then goes with delay_done(). */
bool delay_fed(struct delay *d, struct delay_piece *piece, const struct capture_packet *p,
               const struct wire_packet *w, struct host_outcome *o, uint64_t now_ns);

/* What the host tells, at now_ns. */
/* whole: of a datagram that came in fragments it is all. A packet got through; does it stand for the frame?
 * w: the packet itself, for one without origin; *number: the frame's then. */
bool delay_emitted(struct delay *d, UINT64 origin, const struct wire_packet *w, bool whole, uint64_t now_ns,
                   UINT64 *number);
/* The piece that it would stand for; NULL: none. */
const struct delay_piece *delay_whose(const struct delay *d, UINT64 origin, const struct wire_packet *w);
/* It did not. True: it stands for the frame so far. */
bool delay_lost(struct delay *d, UINT64 origin, const struct host_outcome *how);
void delay_released(struct delay *d, UINT64 origin);
void delay_completed(struct delay *d, const struct host_completed *c, uint64_t now_ns);
/* The instant is over: nobody can run before time moves. */
void delay_settled(struct delay *d);
bool delay_at_rest(const struct delay *d); /* delay_settled() has nothing to decide */

/* Nothing is to be decided or told, or due until then, as long as nobody tells anything. */
bool delay_is_quiet(const struct delay *d, uint64_t until_ns);

/* When the next frame that waited is due; UINT64_MAX: none is. */
uint64_t delay_due(const struct delay *d);
/* The one that is due first; *now_ns (the time of the last one) becomes its time. */
struct delay_piece *delay_take(struct delay *d, uint64_t *now_ns);
/* One whose fate is known since (`outcome`), in the order of deciding; NULL: none. */
struct delay_piece *delay_told(struct delay *d);
bool delay_tells(const struct delay *d); /* is there one? */
void delay_done(struct delay *d, struct delay_piece *piece);
/* Nothing waits, and nothing is undecided? */
bool delay_empty(const struct delay *d);
/* The end for what waits: held. */
void delay_end_waiting(struct delay *d);
/* The end for the rest: undecided are held. */
void delay_end(struct delay *d);

struct delay_counts {
    uint64_t waiting, undecided;  /* now */
    uint64_t waited, evicted;     /* ever; evicted: told as held, for want of room */
    uint64_t bytes, flows, holds; /* now */
};
void delay_counts(const struct delay *d, struct delay_counts *out);

#endif
