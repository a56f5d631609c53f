/* SPDX-License-Identifier: Apache-2.0 */
/* delay's inside: what replay_delay.c, delay_queue.c, delay_decide.c and delay_memory.c share. */
#ifndef WEIR_DATAPATH_DELAY_INSIDE_H
#define WEIR_DATAPATH_DELAY_INSIDE_H

#include "datapath/replay_delay.h"

/* Both ends and what is between them; the first end is who opened it, as far as is known. */
struct delay_key {
    union wire_addr address[2];
    uint16_t port[2];
    uint8_t version, protocol;
    uint8_t request; /* ICMP: the type of the request, or of what is none */
};

struct delay_flow {
    struct delay_key key;
    struct delay_flow *next_hash;
    struct delay_flow *older, *newer; /* by use */
    struct delay_hold *hold; /* TCP: its only one. Else: of the latest request; NULL: it waited for nobody */
    struct delay_piece *own, **own_tail; /* undecided, in their order */
    unsigned holds;                      /* its, with that */
    UINT64 flow_id;
    bool tcp, inbound; /* inbound: the first end is not here */
    bool open;         /* TCP: a SYN went its way: others that are held hold up nothing */
    bool connects; /* TCP: pended before its first SYN was sent: that of the capture is as late as the rest */
    bool gave_up;  /* for want of room: what would wait is held */
    uint64_t asked_ns;   /* TCP: when the SYN was captured that what waits answers */
    uint32_t syn;        /* TCP: its sequence number */
    uint32_t waiting[2]; /* TCP: by side; [1]: of the first end */
};

struct delay_hold {
    struct delay_flow *flow;
    struct delay_hold *older, *newer;
    UINT64 number; /* in the order of making */
    struct delay_piece *head, **tail;
    uint32_t waiting;
    unsigned taken;              /* pieces that delay_take() gave out and that have not come back */
    struct delay_piece *request; /* not TCP: while it is undecided */
    bool stopped;                /* its head is to be fed again, and waits for a completion */
    bool for_endpoint;           /* ... of a bind or listen */
    bool refused;                /* not TCP: the request is GONE */
    bool silent;                 /* what others wait for was absorbed, and may yet be sent as a copy: */
    bool silent_first;           /* ... of the end that opened the flow */
    uint64_t silent_ns;          /* ... when it was captured */
    uint64_t delay_ns, last_due;
    size_t place; /* in the heap; DELAY_NOWHERE */
    uint64_t due;
};
/* A datagram of which fragments were seen lately: whose flow it is, and what became of the first of them. */
struct delay_datagram {
    union wire_addr source, destination;
    uint32_t id;
    uint8_t version, protocol;
    bool has_key;    /* the one with the ports was seen */
    bool out, whole; /* a driver's packet has gone out for it; with all of it */
    bool gone;       /* it was held, and went nowhere: */
    struct host_outcome fate;
    struct delay_key key; /* with the sender first */
    UINT64 number;        /* of the frame that was seen first; 0: a free place */
};
#define DELAY_DATAGRAMS 1024u

#define DELAY_SILENCE_NS 5000000000ull /* so long what follows waits for a copy that perhaps nobody makes */
#define DELAY_NOWHERE    SIZE_MAX
#define DELAY_FLOWS      16384u /* buckets */
#define DELAY_PIECES     65536u

struct delay {
    struct delay_limits limits;
    struct delay_flow **flows;
    struct delay_flow *oldest_flow, *newest_flow;
    struct delay_piece **pieces;
    struct delay_hold *oldest, *newest;
    UINT64 next_hold;
    struct delay_datagram *datagrams;
    struct delay_hold **heap;
    size_t heap_count, heap_room;
    struct delay_piece *told, **told_tail;
    struct delay_piece *over, **over_tail; /* by next_over */
    uint32_t piece_count;                  /* that wait or are undecided; counts.bytes: their memory */
    struct delay_counts counts;
    UINT64 feeding; /* the frame that the host has now; 0: none. What is told of it meanwhile: */
    bool early_released, early_completed;
    struct host_completed early;
};

/* ---- delay_memory.c ---- */

/* Which flow a frame is of, and from which of its ends. NULL: none, or none that can be told. */
struct delay_flow *delay_flow_find(const struct delay *d, const struct wire_packet *w, bool *from_first);
/* The same of what an ICMP error quotes. */
struct delay_flow *delay_flow_quoted(const struct delay *d, const struct wire_packet *w, bool *from_first);
/* A new one; backwards: its first end is whom the frame goes to. NULL: no room. */
struct delay_flow *delay_flow_make(struct delay *d, const struct wire_packet *w, bool backwards);
/* A fragment comes: its datagram is known from now on. */
void delay_datagram_note(struct delay *d, const struct capture_packet *p, const struct wire_packet *w);
/* Is `w` a datagram of the ends and direction of the one that this later fragment, which has no ports, is a part of? */
bool delay_is_datagram(const struct delay *d, const struct wire_packet *part, const struct wire_packet *w);
/* NULL: no fragment, or it is forgotten. */
struct delay_datagram *delay_datagram_of(const struct delay *d, const struct wire_packet *w);
void delay_flow_use(struct delay *d, struct delay_flow *f);
void delay_flow_free(struct delay *d, struct delay_flow *f);
struct delay_hold *delay_hold_make(struct delay *d, struct delay_flow *f);
void delay_hold_free(struct delay *d, struct delay_hold *h);
/* In the heap with this time; again: moved. UINT64_MAX: out of it. Room was made with the hold. */
void delay_heap(struct delay *d, struct delay_hold *h, uint64_t due);

struct delay_piece *delay_piece_make(const struct capture_packet *p, const struct wire_packet *w);
struct delay_piece *delay_piece_find(const struct delay *d, UINT64 number);
void delay_piece_note(struct delay *d, struct delay_piece *piece); /* to be found by its number */
void delay_piece_forget(struct delay *d, struct delay_piece *piece);
size_t delay_piece_size(const struct capture_packet *p);

/* ---- delay_queue.c ---- */

/* It takes room from now on. */
void delay_enter(struct delay *d, struct delay_piece *piece);
/* Room for one more, in whose favour others may have to be told. False: there is none. */
bool delay_make_room(struct delay *d, const struct capture_packet *p);
/* Its fate is known; the caller has taken it out of everything else. */
void delay_tell(struct delay *d, struct delay_piece *piece);
/* The fate of a frame that the host has never seen, as far as the flow tells. */
void delay_fate_of(const struct delay_flow *f, bool from_first, enum host_fate fate, enum host_note note,
                   struct host_outcome *o);
/* TCP: does this segment acknowledge that one? */
bool delay_is_after(const struct delay_piece *own, const struct wire_packet *w);
/* TCP: does a segment that is held stand in the way of this one? */
bool delay_is_owed(const struct delay_flow *f, const struct wire_packet *w, bool from_first);
/* When is it due now? After each change of what it waits for. */
void delay_schedule(struct delay *d, struct delay_hold *h);
/* Behind the others, or ahead of them. The caller counts (counts.waiting) and schedules. */
void delay_enqueue(struct delay_hold *h, struct delay_piece *piece, bool ahead);
/* What waits for this request answers nothing. */
void delay_refuse(struct delay *d, struct delay_hold *h);
/* Forgets the flow, or the hold that nobody asks for any more, if nothing of it is here; both may be gone then. */
void delay_rest(struct delay *d, struct delay_flow *f);
void delay_rest_hold(struct delay *d, struct delay_hold *h);
/* A frame of it has come back: its hold, then its flow. */
void delay_rest_hold_later(struct delay *d, struct delay_hold *h);

/* ---- delay_decide.c ---- */

/* TCP: so much later than it was captured the connection goes on. */
void delay_tcp_delayed(struct delay *d, struct delay_flow *f, uint64_t from_ns, uint64_t now_ns);
/* Nobody may have it any more: then it is GONE, if the instant ends without an injection. */
void delay_maybe_gone(struct delay *d, struct delay_piece *piece);
/* The operation that pended it is completed. */
void delay_piece_completed(struct delay *d, struct delay_piece *piece, const struct host_completed *c,
                           uint64_t now_ns);

static inline bool delay_before(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}

static inline bool delay_bare_syn(const struct wire_packet *w)
{
    return w->protocol == WIRE_PROTOCOL_TCP && w->reached == WIRE_TRANSPORT &&
           (w->tcp_flags & (WIRE_TCP_SYN | WIRE_TCP_ACK | WIRE_TCP_RST)) == WIRE_TCP_SYN;
}

#endif
