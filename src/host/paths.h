/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paths: what the files of the packet paths share.
 *
 *   paths.c          which way a frame goes; the scene of a packet; what every path does
 *   paths_course.c   in, out, through: by addresses; ahead of a frame's turn, too
 *   paths_in.c       inbound: packet layers, fragments, transport; datagrams, multicast
 *   paths_out.c      outbound: datagrams, fragments
 *   paths_tcp.c      both ways of a TCP segment: ALE, stream layers, the connection's end
 *   paths_stream.c   the stream layer of flows whose callouts may edit
 *   paths_icmp.c     ICMP errors, which quote a packet and never meet ALE
 *   paths_forward.c  what passes through
 *   paths_discard.c  what the stack itself discards, where and why
 *   paths_layers.c   the steps through the layers, one by one or several in one go
 *   paths_known.c    the way of a flow's packet that ALE has nothing to say about
 *   paths_memory.c   tuples of which later frames must know
 *   paths_short.c    the short way of packets that nobody wants to be asked about
 *   paths_refused.c  the short way of datagrams that are refused once more
 *
 * One walk has one scene and one outcome. A step that returns false has ended it: the outcome says how. The
 * lane is held only between lane_enter() and lane_leave(), never across a step.
 */
#ifndef WEIR_HOST_PATHS_H
#define WEIR_HOST_PATHS_H

#include "host/internal.h"

/* ---- paths.c */

/* Points the scene at a packet: tuple, direction. Interface, loopback and the rest are the caller's. */
void path_scene(struct scene *s, const struct wire_packet *p, bool inbound);
/* A frame's scene, without its packet's tuple. */
void path_scene_of(struct scene *s, struct lane *l, const struct host_frame *f, const struct ahead *a);
/* The key of the scene's flow; what its own echo or multicast flow would have. */
void path_key(const struct scene *s, struct host_flow_key *key);

/* One layer. False: blocked, and the outcome says so. Most layers have no filters, and a step there is this one bit. */
bool path_ask(struct scene *s, enum host_layer role, struct host_outcome *out);
static inline bool path_step(struct scene *s, enum host_layer role, struct host_outcome *out)
{
    return (s->lane->busy[s->version == 6] >> role & 1) == 0 || path_ask(s, role, out);
}
/* The outcome of a packet that this answer drops. */
void path_blocked(const struct answer *a, struct host_outcome *out);
bool path_consequence(struct host_outcome *out, enum host_note note); /* false */

/* Which layers have filters is noticed anew: once a packet, and behind whatever asked a callout outside path_ask(). */
void path_busy(struct lane *l);

/* Layers that follow each other; false: blocked, as path_step(). */
bool path_receive(struct scene *s, struct host_outcome *out);                 /* MAC layers, II */
bool path_receive_link(struct scene *s, struct host_outcome *out);            /* the MAC layers alone */
bool path_receive_whole(struct scene *s, bool tcp, struct host_outcome *out); /* ... to IT and SPK or DD */
bool path_send_whole(struct scene *s, bool tcp, struct host_outcome *out); /* SPK or DD, OT, OI, MAC layers */
bool path_send(struct scene *s, struct host_outcome *out);                 /* without SPK and DD */
bool path_send_ip(struct scene *s, struct host_outcome *out);              /* OI, MAC layers */
bool path_send_link(struct scene *s, struct host_outcome *out);            /* the MAC layers alone */

/* ale_find(), and whether the frame may go on: false: its flow was refused, is held, or it presupposes a
 * packet that was dropped; the outcome says so. */
bool path_find(struct scene *s, struct ale_view *v, struct host_outcome *out);
/* What the view needs; false: the packet ends here. True with s->flow NULL: there was no room for a flow. */
bool path_authorize(struct scene *s, struct ale_view *v, struct host_outcome *out);
/* Inbound, after path_receive(): IT, which hears whether ALE has a word to say (PKT-15), then ALE (ORD-03,
 * 10, 11). False: the packet ends here. */
bool path_admit(struct scene *s, struct ale_view *v, struct host_outcome *out);
/* The packet was dropped at a packet layer, or got through them: what presupposes it will know. The lane is
 * not held (dropped), is held (passed). */
void path_dropped(struct scene *s);
void path_passed(struct scene *s);

/* With the lane held: is the scene's flow still there? Else forgets it. */
static inline bool path_flow(struct scene *s)
{
    if (s->flow != NULL && (s->flow->id != s->flow_id || (s->flow->marks & FLOW_MARK_GONE) != 0))
        s->flow = NULL;
    return s->flow != NULL;
}

static inline bool path_inbound(const struct scene *s)
{
    return s->packet_direction == FWP_DIRECTION_INBOUND;
}

/* ale_find.c: the key of the scene's flow; as_reply: a reply's is its request's. */
void ale_key(const struct scene *s, struct host_flow_key *k, bool as_reply);

/* A frame that a driver injects: from this MAC layer on, up or down. The scene has host, lane, walk, packet, interface
 * and times. Inbound: it comes from outside, whatever its addresses are. HOST_IGNORED: it got through the MAC layers,
 * and is not for the host's IP layer. */
void paths_frame_received(struct scene *s, enum host_layer from, struct host_outcome *out);
void paths_frame_sent(struct scene *s, enum host_layer from, struct host_outcome *out);

/* ---- paths_tcp.c, paths_icmp.c: after path_receive() or before path_send() */
/* A connection that TCP was through with earlier; its scene has no packet. */
void path_connection_closed(struct scene *s);
void path_tcp_in(struct scene *s, struct ale_view *v, struct host_outcome *out);
void path_tcp_received(struct scene *s, UINT64 before,
                       struct host_outcome *out); /* ... behind SPK; before: the flow's id */
void path_tcp_out(struct scene *s, struct ale_view *v, struct host_outcome *out);
/* Of packets that a driver sends, below the transport that made them: after path_find() (INJ-11). */
void path_tcp_injected(struct scene *s, struct ale_view *v, struct host_outcome *out);
void path_datagram_injected(struct scene *s, struct ale_view *v, struct host_outcome *out);
/* paths_in.c, paths_out.c: a datagram, as those of TCP above. */
void path_datagram_in(struct scene *s, struct ale_view *v, struct host_outcome *out);
void path_went(struct scene *s); /* path_passed(), for who does not hold the lane */
void path_datagram_out(struct scene *s, struct ale_view *v, struct host_outcome *out);
void path_icmp_error_in(struct scene *s, struct host_outcome *out);
void path_icmp_error_out(struct scene *s, struct host_outcome *out);

/* The rest of the way behind tcp_segment(), of an established flow's segment that is no SYN and needs nothing of
 * ALE. Inbound: it has been refreshed. Outbound: OT and what is below are still to come. */
void path_tcp_went_in(struct scene *s, struct tcp_result *r, struct host_outcome *out);
void path_tcp_going_out(struct scene *s, struct tcp_result *r, struct host_outcome *out);

/* ---- paths_stream.c */

struct stream;
struct stream_wire;
/* The pipeline of the scene's flow, where streams are fed with segments or by sockets; NULL: it has none. */
struct stream *path_stream(struct scene *s);
/* All that the segment set in order goes through it; r gathers the events. False: a callout dropped the connection, and the
 * outcome says so. True: path_stream_end() may follow, and wire_done(*w) must. The lane is not held. */
bool path_stream_feed(struct scene *s, struct stream *st, struct tcp_result *r, struct stream_wire **w,
                      struct host_outcome *out);
/* Does the segment itself go on? Else the outcome says what became of it. */
bool path_stream_end(struct scene *s, struct stream_wire *w, struct tcp_result *r, struct host_outcome *out);
/* TCP refused it, and the discard layer has heard of it. */
void path_stream_refused(struct scene *s, struct stream *st, const struct tcp_result *r,
                         struct host_outcome *out);

/* ---- paths_course.c */

enum course { COURSE_NOWHERE, COURSE_IN, COURSE_IN_GROUP, COURSE_OUT, COURSE_LOOPBACK, COURSE_THROUGH };

/* As the capture says, or the frame's MACs; HOST_WAY_UNKNOWN: neither does. */
enum host_way path_way(const struct host_frame *f, const struct host_interface *i);
/* Of an IP packet that comes or goes by interface i (NULL: unknown). *home: the interface whose address it is. */
enum course path_course(struct lane *l, const struct host_frame *f, const struct host_interface *i,
                        const struct host_interface **home) __attribute__((noinline));
/* host_local_at(), which the worker asks of the same own address nearly always. Who has the turn. */
bool path_local_at(struct lane *l, uint8_t version, const union wire_addr *a,
                   const struct host_interface *arrival, const struct host_interface **home);
/* Is the host's nearest address at the packet's own end (inbound: its destination), and nobody of the host at the other?
 * Then that is its course (COURSE_IN, COURSE_OUT), and l->near.home its home. Who has the turn. */
static inline bool path_is_near(const struct lane *l, const struct wire_packet *p, bool inbound)
{
    const struct near *n = &l->near;
    const union wire_addr *own = inbound ? &p->destination : &p->source,
                          *other = inbound ? &p->source : &p->destination;

    return p->version == 4 && n->version == 4 && n->places == l->host->places && own->v4 == n->address.v4 &&
           !host_perhaps_local(l->host, 4, other);
}
/* paths_ahead() for a frame that nobody looked at ahead; without its flow. */
void path_not_ahead(struct lane *l, const struct host_frame *f, struct ahead *a) __attribute__((noinline));

/* ---- paths_short.c */

/* Whole, and with nothing about it that the way hangs on. */
bool short_is_plain(const struct lane *l, const struct wire_packet *p, bool in);

/* Could any packet take it, with this configuration? */
bool short_possible(const struct host_config *c);
/* Works out l->short_ways anew: l->busy, settled or depends have changed. */
void short_ways_make(struct lane *l);
/* All marks are void. With the lane held. */
void short_forget(struct lane *l);
enum short_result {
    SHORT_NO,    /* nothing was done: the long way */
    SHORT_KNOWN, /* the same, but the flow needs nothing, nor is there anything about it that its way hangs on */
    SHORT_PASSED, /* the outcome is written */
    SHORT_TCP     /* r is tcp_segment()'s, and brings more about: path_tcp_went_in(), path_tcp_going_out() */
};
/* `a` is of this frame and has a flow. With the lane held. */
enum short_result short_way(struct lane *l, const struct host_frame *f, const struct ahead *a, bool in,
                            struct tcp_result *r, struct host_outcome *out);
static inline unsigned short_way_number(bool tcp, bool in, bool six, bool mac)
{
    return tcp | in << 1 | six << 2 | mac << 3;
}
/* The frame's packet went the long way: was it one that the next one need not go? Not where a layer's answer is unknown. */
void short_note_known(struct scene *s, const struct host_outcome *out);
static inline void short_note(struct scene *s, const struct host_outcome *out)
{
    const struct wire_packet *p = s->packet;
    /* With MAC layers, even if this one has no such header: another of the flow's may have. */
    const unsigned way =
        short_way_number(p->protocol == WIRE_PROTOCOL_TCP, path_inbound(s), p->version == 6, true);

    if ((s->lane->short_ways[way].unsettled & ~s->steady) == 0)
        short_note_known(s, out);
}

/* ---- paths_known.c */

/* The layers of a frame whose flow short_way() has seen; `a` is of it. r: NULL: all of them (SHORT_KNOWN); else those
 * behind tcp_segment() (SHORT_TCP). False: r is NULL, the flow is another than it was, and nothing was done. */
bool path_known(struct lane *l, const struct host_frame *f, const struct ahead *a, bool in,
                struct tcp_result *r, struct host_outcome *out);

/* ---- paths_refused.c */

/* A datagram of a flow that was refused is refused again: true if that is known to bring about what it did before, which
 * then has been done, and the outcome is written. Else what the long way brings about is listened to, until
 * refused_note(). `a` is of this frame and has a flow. With the lane held. */
bool refused_again(struct lane *l, const struct host_frame *f, const struct ahead *a,
                   struct host_outcome *out);
void refused_note(struct scene *s, const struct host_outcome *out);
void refused_destroy(struct lane *l);

/* ---- paths_discard.c */

/* The stack discards the packet: indicates it at the layer's discard layer; returns whether that was blocked
 * there, which silences the stack's answer. */
bool path_discard(struct scene *s, enum host_layer role, FWPS_DISCARD_MODULE0 module, UINT32 reason,
                  struct host_outcome *out);
/* An inbound packet whose headers are wrong. */
void path_discard_fault(struct scene *s, enum wire_fault fault, struct host_outcome *out);
/* Nobody is there for it (ORD-06, ORD-12). */
void path_discard_nobody(struct scene *s, struct host_outcome *out);

/* ---- paths_memory.c */

enum memory_kind {
    MEMORY_SILENCED = 1, /* a discard layer suppressed the stack's answer to this tuple's packet */
    MEMORY_UNSENT_IN,    /* a packet of this tuple to the host was dropped before it had a flow */
    MEMORY_UNSENT_OUT,   /* ... of the host */
    MEMORY_CLOSED,       /* a TCP connection ended: what comes late belongs to it */
    MEMORY_RESET,        /* ... by RST */
    MEMORY_FRAGMENT,     /* what became of a datagram that was sent in fragments (the key says which) */
    MEMORY_REWRITTEN,    /* besides CLOSED, RESET: its numbers are not the capture's any more */
};
/* With the lane held. `kind` until `until`; a note that is there already is put off. */
void memory_put(struct memory *m, const struct host_flow_key *k, enum memory_kind kind, UINT64 now,
                UINT64 until);
/* What is the fate of all fragments of a datagram, and frames between which they stand. */
struct fragment_note {
    UINT64 first, last; /* by number */
    UINT64 filter_id, flow_id;
    UINT16 layer_id; /* ENGINE_LAYER_COUNT: none */
    UINT8 fate, note;
};
void memory_put_fragment(struct memory *m, const struct host_flow_key *k, UINT64 now, UINT64 until,
                         const struct fragment_note *what);
/* False: there is none. */
bool memory_fragment(struct memory *m, const struct host_flow_key *k, UINT64 now, struct fragment_note *out);
bool memory_has(struct memory *m, const struct host_flow_key *k, enum memory_kind kind, UINT64 now);
/* Bits: 1 << enum memory_kind. */
unsigned memory_kinds(struct memory *m, const struct host_flow_key *k, UINT64 now);
void memory_drop(struct memory *m, const struct host_flow_key *k, unsigned kinds);
#define MEMORY_BIT(kind) (1u << (kind))

#define SECONDS            1000000000ull
#define TCP_MEMORY_NS      (3600 * SECONDS) /* put off by each frame that meets it */
#define DATAGRAM_MEMORY_NS (10 * SECONDS)   /* an answer that comes later is a word of its own */
#define SILENCE_NS         (10 * SECONDS)
#define CLOSED_NS          (240 * SECONDS) /* twice the longest life of a segment */
#define FRAGMENT_NS        (60 * SECONDS)

#endif
