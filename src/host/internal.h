/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host's inside: what its files know of each other. No other room includes it.
 *
 *   host.c       life, clock, counts; interfaces.c: interfaces, addresses
 *   paths.c ...  the order of layers: inbound, outbound, forwarded, loopback, ICMP, fragments (ORD)
 *   redirect*.c, classify_handle.c   where binds and connects go, and who waits for it (RED)
 *   ale*.c       endpoints, flows' authorization, reauthorization, closure, contexts (ALE, OBJ-40)
 *   flow_table.c where flows are found
 *   tcp.c        what segments mean for a flow; segments held until they are in order
 *   fragment.c   datagrams put together
 *   values.c, metadata.c, indicate.c   one classification: values, metadata, packet at its offset (PKT),
 * verdict layers.c     host_layer <-> run-time ids
 *
 * A frame's way:   host_frame() -> struct scene (the packet's view) -> paths_in() / paths_out() /
 * paths_forward() each step:     scene is pointed at (offset rule, flags, endpoint, flow) -> indicate() ->
 * struct answer at ALE:        ale_find() says what is needed; ale_decide() asks
 *
 * Locks. A lane's lock guards its tables and its state machines' steps, never a classify: ale_decide() writes
 * the state (CLASSIFYING, generation), leaves the lane, asks, enters again and looks whether the generation
 * is still its own. Two lanes are never locked together. Events are given out with no lane held. Pointers to
 * flows and endpoints are valid while the lane is held or a reference (endpoint: e->references; flow:
 * f->pins) is.
 */
#ifndef WEIR_HOST_INTERNAL_H
#define WEIR_HOST_INTERNAL_H

#include "host/flow_table.h"
#include "host/host.h"
#include "host/rewrite.h"
#include "rt/alone.h"
#include "rt/rt.h"

/* ---- layers by role (layers.c)
 * -------------------------------------------------------------------------------- */

enum host_layer {
    LAYER_II,
    LAYER_OI,
    LAYER_FW,
    LAYER_IT,
    LAYER_OT,
    LAYER_ST,
    LAYER_DD,
    LAYER_IIE,
    LAYER_OIE,
    LAYER_RES,
    LAYER_LIS,
    LAYER_RA,
    LAYER_AC,
    LAYER_FE,
    LAYER_RR,
    LAYER_EC,
    LAYER_CR,
    LAYER_BR,
    LAYER_SPK,
    LAYER_MAC_IN,
    LAYER_MAC_OUT,
    LAYER_MAC_IN_NATIVE,
    LAYER_MAC_OUT_NATIVE,
    LAYER_ROLES
};
/* The layer's run-time id for this family (ignored at L2). */
UINT16 layer_id(enum host_layer role, uint8_t version);
/* Its discard layer, or 0xffff where there is none (ORD-17). */
UINT16 layer_discard_id(enum host_layer role, uint8_t version);
const char *layer_short_name(enum host_layer role); /* "II", "RA", ... as the semantics abbreviate */

/* ---- interfaces, addresses (interfaces.c)
 * ---------------------------------------------------------------------------- */

struct host_interface {
    struct host_interface_desc desc;
};
/* What host_set_profile() changes under readers: ask whether it is known, then what it is. */
static inline UINT32 host_interface_unknown(const struct host_interface *i)
{
    return __atomic_load_n(&i->desc.unknown, __ATOMIC_ACQUIRE);
}
static inline UINT32 host_interface_profile(const struct host_interface *i)
{
    return __atomic_load_n(&i->desc.profile, __ATOMIC_ACQUIRE);
}
const struct host_interface *host_interface_by_index(const struct host *h, UINT32 index); /* NULL: none */
/* On which interface the address is local; NULL: on none. */
const struct host_interface *host_interface_of(const struct host *h, uint8_t version,
                                               const union wire_addr *a);
/* Does the number itself say that it is unicast? Most do: that of a subnet's broadcast ends in two ones at least, for those
 * of one or two addresses have none. */
static inline bool host_address_is_plain(uint8_t version, const union wire_addr *a)
{
    const uint32_t multicast = 0xe0000000;

    return version == 4 && (a->v4 & 3) != 3 && a->v4 - 1 < multicast - 1;
}
/* NL_ADDRESS_TYPE of an address: NlatUnicast, NlatAnycast, NlatMulticast, NlatBroadcast ... */
UINT8 host_address_type_found(const struct host *h, uint8_t version, const union wire_addr *a);
static inline UINT8 host_address_type(const struct host *h, uint8_t version, const union wire_addr *a)
{
    return host_address_is_plain(version, a) ? NlatUnicast : host_address_type_found(h, version, a);
}
/* Multicast or broadcast. */
static inline bool host_address_is_group(const struct host *h, uint8_t version, const union wire_addr *a)
{
    const UINT8 type = host_address_type(h, version, a);

    return type == NlatMulticast || type == NlatBroadcast;
}
/* Can somebody here be a member of the multicast group? False for the solicited-node groups of other hosts'
 * addresses, which only the stack joins, for its own. */
bool host_may_join(const struct host *h, uint8_t version, const union wire_addr *group);
/* Is it the host's? *home: its interface, or `arrival` where any will do (loopback, or it is on several). */
bool host_local_at(const struct host *h, uint8_t version, const union wire_addr *a,
                   const struct host_interface *arrival, const struct host_interface **home);
/* On whose subnet the address is; NULL: nobody knows. */
const struct host_interface *host_route(const struct host *h, uint8_t version, const union wire_addr *a);
/* An address of the host's, of that interface if it is not NULL. False: it has none of this version. */
bool host_address_for(const struct host *h, const struct host_interface *i, uint8_t version,
                      union wire_addr *out);
const struct host_interface *host_loopback_interface(const struct host *h); /* NULL: there is none */
int host_addresses_create(struct host *h);                                  /* 0 or -ENOMEM */
void host_addresses_destroy(struct host *h);

/* ---- endpoints (ale_endpoint.c)
 * ---------------------------------------------------------------------------------- */

struct ale_operation; /* ale.h */
struct redirect;      /* redirect_inside.h */
struct redirect_shown;
struct redirect_late;

/* One owner in one lane, shared by its endpoints: what classifying keeps of its opaque values, so that an
 * endpoint stays small (a TCP connection has one of its own). */
struct party {
    const struct host_owner *owner;                   /* NULL: unknown */
    struct engine_class_cache caches[LAYER_ROLES][2]; /* [1]: IPv6 */
};

struct host_endpoint {
    UINT64 id;                    /* TRANSPORT_ENDPOINT_HANDLE */
    struct host_endpoint *parent; /* accepted sockets: the listener; a reference */
    struct party *party;
    UINT32 references;
    uint8_t version, protocol;
    bool dual_stack, raw, promiscuous, wildcard; /* settled when it is made */
    bool implicit_bind, listening, closing, refused;
    bool classified; /* has had an initial AC or RA indication: EC is due (ALE-32) */
    bool proxied;    /* a proxy's, with redirect records set (RED-25) */
    UINT32 assigned; /* RR due: successful resource assignments (ALE-31) */
    union wire_addr local, remote;
    UINT16 local_port, remote_port;
    UINT32 interface_index;
    struct ale_operation *operation; /* bind or listen under way; NULL */
    UINT32 flows;                    /* how many are its */
};

/* ---- scene: everything a classification can be asked about
 * --------------------------------------------------------- */

struct lane;
struct scene;
struct walk; /* walk.h */

/* A classify in which a callout was asked, while it runs: what host_pend(), host_option_set() and
 * host_flow_remove() find of it. ale_context.c's. While `entered` it is in its thread's chain, which only
 * that thread looks at; while `listed` in the lane's list, too. */
struct ale_hold {
    struct ale_hold *outer; /* the chain; its innermost is rt_carried()->hold */
    struct ale_hold *next;  /* the list */
    struct scene *scene;
    UINT64 flow_id;
    UINT16 layer;
    UINT32 callout;
    bool entered, listed;
};

/* What FwpsClassifyOptionSet0 said during a classify at AC or RA (ALE-10); its address is the classify
 * context there. */
struct ale_options {
    struct host *host;
    UINT32 set; /* bit = FWP_CLASSIFY_OPTION_TYPE */
    UINT32 value[FWP_CLASSIFY_OPTION_MAX];
};

struct scene {
    struct host *host;
    struct lane *lane;
    UINT64 frame, time_ns;

    /* The packet; NULL: none. `bytes` are those of the packet shown: the frame's, or a reassembled
     * datagram's. */
    const struct wire_packet *packet;
    const struct host_interface *next_hop; /* forwarded: departure */
    FWP_DIRECTION packet_direction;

    UINT16 icmp_id, icmp_sequence;
    bool echo;
    UINT8 original_icmp_type; /* of the flow's first packet */

    /* From `local` to `any_remote`: what is the same for the packets of an established flow, compared as a whole
     * (inspect.c). The tuple from this host's side; ICMP as the layers' port fields have it (type, code). */
    union wire_addr local, remote;
    UINT16 local_port, remote_port;
    uint8_t version, protocol;
    bool icmp; /* ports are type and code; ids are there if `echo` */
    bool loopback;
    UINT64 flow_id;                         /* also reserved before the flow is there (ALE-12); 0: none */
    struct host_endpoint *endpoint;         /* NULL: none, or unknown */
    const struct host_interface *interface; /* arrival of inbound, departure of outbound */
    const struct host_interface *home;  /* whose address the local one is; NULL: as `interface` (ALE-28) */
    const struct redirect_shown *shown; /* AC, CR: what is said of a redirected connection; NULL: none is */
    UINT32 flags;          /* FWP_CONDITION_FLAG_*: those that the scene's members do not imply */
    UINT32 reauthorize;    /* FWP_CONDITION_REAUTHORIZE_REASON_*; not 0: REAUTH */
    UINT32 metadata_flags; /* FWPS_METADATA_FIELD_ALE_CLASSIFY_REQUIRED, ..PASS_THRU */
    FWP_DIRECTION connection_direction; /* the flow's: MATCH-20 */
    uint32_t path_mtu;
    bool any_remote; /* EC, LIS..: no remote end */

    /* IIE: what the error quotes, from this host's side. */
    const struct wire_packet *embedded;

    struct host_flow *likely; /* ale_find(): perhaps its flow; NULL: unknown */
    struct host_flow *flow;   /* NULL: none */

    /* What is special about this classification. */
    UINT32 authorized_for;     /* index of the interface that the flow was authorized for; 0: unknown */
    bool group;                /* inbound to a multicast or broadcast address */
    bool as_asked;             /* AC: the tuple is the one that was asked for (RED-26) */
    HANDLE completion_handle;  /* NULL: none (PEND-03) */
    struct redirect *redirect; /* BR, CR, EC: what is asked in parts; NULL */
    struct redirect_late
        *late; /* EC: it becomes that when its only callout acquires a handle; NULL: it does not */
    const struct engine_turns *turns; /* ... */
    const bool *pended;
    void *classify_context;
    void *layer_data; /* CR, BR: the request; FW: a group's chain; else NULL: the packet's list is shown */
    const uint8_t *stream; /* ST: the in-order bytes */
    uint32_t stream_size;
    UINT32 stream_flags; /* ST: FWPS_STREAM_FLAG_SEND, _RECEIVE, .._DISCONNECT, .._ABORT (ORD-07) */
    FWPS_DISCARD_MODULE0 discard_module; /* at discard layers */
    UINT32 discard_reason;
    UINT64 discard_filter_id; /* indicate.c's: the filter that blocked */
    uint32_t stopped_at;      /* II and OI discard: offset in the frame where the stack stopped (PKT-01) */
    bool follows;             /* host_frame.follows, host_config.live */
    UINT32 steady;            /* roles of layers that permitted, steadily: paths_short.c */
    struct ale_hold hold;
    struct walk *walk; /* the packet as callouts see it; NULL: they see none */
    bool
        behind_native; /* a frame that was injected at the Ethernet layer: the native one is not met (INJ-10) */
    struct ale_options *options; /* NULL: none may be set here */
};

/* What a classification came to. */
struct answer {
    bool blocked;
    bool absorbed; /* blocked, silently */
    bool depends;
    bool steady;  /* so it is for each packet of the flow in this direction, until something else changes */
    bool settled; /* ... for each packet, until policy or callouts change */
    bool empty;   /* no filter there */
    enum host_layer role;
    UINT16 layer; /* run-time id */
    UINT64 filter_id;
    UINT32 callout; /* blocked: that of the filter that decided; 0: it has none */
    struct engine_verdict verdict;
};

/* ---- one classification (indicate.c)
 * -------------------------------------------------------------------------------- */

/*
 * Classifies the scene at a layer of role `role` (of scene->version; L2 ones apart): builds the values that
 * its filters test (all of them if a callout or the observer will see them), metadata, the packet at its
 * offset; asks engine or judge; tells the observer. A layer without filters costs a branch, unless somebody
 * observes. A block at a layer with a discard layer is indicated there too, with
 * FWPS_DISCARD_FIREWALL_POLICY, unless absorbed (ORD-17). No lane may be held. Returns out->blocked.
 */
bool indicate(struct scene *s, enum host_layer role, struct answer *out);
/* The answer that indicate() would give from memory (recall.c), so that nobody of ours will be asked, nor can pend: for
 * indicate_known(), at once. NULL: there is none. */
struct recalled;
const struct recalled *indicate_recalls(struct scene *s, enum host_layer role);
/* indicate(), with that answer. */
bool indicate_known(struct scene *s, enum host_layer role, const struct recalled *known, struct answer *out);
/* indicate() of a layer whose only filter asks a callout of ours; *filter_id: that filter, before it is asked. False: it is
 * another case, and nothing has happened. */
bool indicate_alone(struct scene *s, enum host_layer role, UINT64 *filter_id, struct answer *out);
/* Tells the observer of a settled answer that depends, once more. Of the scene are read: host, lane, frame, time_ns,
 * version, endpoint, flow_id, packet_direction, reauthorize. */
void indicate_settled(struct scene *s, enum host_layer role);

/* Indicates at the discard layer of `role` what the stack itself discards (ORD-18). Returns whether a filter
 * or callout there blocked it: that suppresses the stack's answer (ORD-06, ORD-12). */
bool indicate_discard(struct scene *s, enum host_layer role, FWPS_DISCARD_MODULE0 module, UINT32 reason);

/* What classifying needs of room, one a lane or visitor; it reads h->config now. 0 or -ENOMEM. */
struct scratch; /* indicate.h */
int scratch_create(struct host *h, struct scratch **out);
void scratch_destroy(struct scratch *s); /* NULL: nothing */

/* values.c: fills values of the fields in `want` (bits) and says which of them are not known. values are the
 * lane's scratch, valid until its next classification. */
UINT64 values_fill(const struct scene *s, const struct engine_layer *layer, UINT64 want,
                   FWPS_INCOMING_VALUE0 *values, struct scratch *room);
/* metadata.c: PKT-20, PKT-21. at: packet_offset() */
void metadata_fill(const struct scene *s, enum host_layer role, bool discard, uint32_t at,
                   FWPS_INCOMING_METADATA_VALUES0 *out);
/* offsets.c: PKT-01..09. Where the data starts, from the frame's first byte; UINT32_MAX: no packet here. */
uint32_t packet_offset(const struct scene *s, enum host_layer role, bool discard);

/* ---- ALE (ale.h has its states)
 * -------------------------------------------------------------------------------------- */

enum ale_need { ALE_NEED_NOTHING, ALE_NEED_AUTHORIZE, ALE_NEED_REAUTHORIZE };

struct ale_view {
    enum ale_need need;
    enum host_layer layer; /* AC or RA */
    UINT32 reasons;        /* of the reauthorization */
    bool refused;          /* the frame belongs to what was refused: CONSEQUENCE */
    bool held;             /* ... to what is pended: HELD */
    enum host_note note;
    bool no_endpoint; /* inbound, unasked: nobody is there (ORD-06, ORD-12) */
    bool tcp;         /* a connection's segment, not a raw socket's, which is a datagram (ALE-04) */
    bool new_flow;
};

/*
 * Who holds the lane: ale_find() and ale_refresh() are called with it held (so that a packet enters it once
 * for both, and once more for tcp_segment()); ale_decide(), ale_established(), ale_end_flow() take it
 * themselves and are called without it. A scene's flow is good after a classify if s->flow->id is still
 * s->flow_id, which the paths look at each time they enter the lane again: slots are never given back to the
 * system while the table lives, and a free one has id 0. Whoever ends the scene's own flow sets s->flow to
 * NULL.
 */

/* Finds endpoint and flow of the scene's tuple (s->endpoint, s->flow, s->flow_id and the connection's
 * direction are set), says what the packet needs. Changes nothing but idle flows that have run out. A TCP
 * segment without SYN and without a flow is the middle of a connection whose beginning was not seen: it
 * needs AUTHORIZE at the layer of its way (the paths have kept away what follows a closed one). */
void ale_find(struct scene *s, struct ale_view *v);

enum ale_result { ALE_PASS, ALE_BLOCKED, ALE_ABSORBED, ALE_PENDING, ALE_REFUSED_BIND, ALE_NO_MEMORY };

/* Does what the view needs: implicit bind (BR, RES), CR, AC; RA; reauthorization; makes the flow. For what is
 * not TCP the FE classify follows at once (ALE-11). `a` is the answer of the layer that decided. */
enum ale_result ale_decide(struct scene *s, struct ale_view *v, struct answer *a);

/* The handshake is complete (ALE-11). False: blocked there (CLS-25), the flow is gone. */
bool ale_established(struct scene *s, struct answer *a);
/* engine_flow.context of every request, whether there is a flow or not: called before each callout is. ctx is
 * the scene; returns the flow's context for this callout at this layer, 0: none. No lane held. */
UINT64 ale_flow_context(void *ctx, UINT16 layer_id, UINT32 callout_id);
/* The classify of the scene came back: what waited for its callouts to return (ALE-15, 16) is done. Called
 * after each classify of engine or judge; costs a branch when no callout was asked. No lane held. */
void ale_classified_listed(struct scene *s);
static inline void ale_classified(struct scene *s)
{
    if (!s->hold.entered)
        return;
    rt_carried()->hold = s->hold.outer; /* classifies end from the inside out */
    s->hold.entered = false;
    if (s->hold.listed)
        ale_classified_listed(s);
}
/* Is this one of the host's own callouts, which set options and nothing else (ALE-10)? */
bool ale_sets_options(const struct lane *l, const GUID *callout);
/* The flow saw a packet: its idle time starts anew (direction matters for multicast: ALE-08). */
void ale_refresh(struct scene *s);
/* Ends a flow; the endpoint of a TCP flow closes with it (EC, flowDeleteFn, RR: ALE-33). s may be about
 * another packet or none. */
void ale_end_flow(struct lane *l, struct host_flow *f, enum host_flow_end how);
void ale_advance(struct lane *l, UINT64 now_ns);
/* lane->endpoints and lane->ale: made after lane->flows, gone before it. create: 0 or -ENOMEM. destroy ends
 * everything silently. shutdown: host_shutdown()'s body. */
int ale_create(struct lane *l);
void ale_destroy(struct lane *l);
/* Of a proxied endpoint: the owner of the connection that was first redirected. With the lane held or the classify on. */
const struct host_owner *ale_endpoint_original(const struct host_endpoint *e);
/* Fetches the endpoint of a flow (its `endpoint`) into the caches: a hint. */
void ale_endpoint_prefetch(const struct lane *l, UINT32 slot);
/* ... what its end looks at besides; */
void ale_endpoint_prefetch_end(const struct lane *l, UINT32 slot);
/* ... where endpoints of this local end are found. */
void ale_endpoint_prefetch_key(const struct lane *l, const struct host_flow_key *k);
void ale_shutdown(struct host *h);
/* Carries out the lane's backlog. Lane held. */
void ale_backlog_settle(struct lane *l);
/* host_reauthorize() for flows authorized for this interface alone (0: all): host_set_profile() calls it. */
void ale_reauthorize(struct host *h, UINT32 reason, UINT32 interface_index);
/* Endpoints that receive a multicast or broadcast (ORD-21): the n-th, NULL beyond. */
struct host_endpoint *ale_receiver(struct scene *s, unsigned n);

/* ---- TCP (tcp.c)
 * ------------------------------------------------------------------------------------------------------ */

enum {
    TCP_SAW_SYN = 1u << 0, /* opens (or repeats the opening of) a connection */
    TCP_SAW_SYN_ACK = 1u << 1,
    TCP_ESTABLISHED_NOW = 1u << 2, /* FE is due: SYN-ACK for who connected, ACK for who accepted */
    TCP_DATA = 1u << 3,            /* in order and new: stream layer */
    TCP_HELD_DATA = 1u << 4,       /* new, not in order: kept */
    TCP_RETRANSMITTED = 1u << 5,   /* nothing new in it */
    TCP_FIN_NOW = 1u << 6,         /* that side's stream ends here, in order */
    TCP_RESET_NOW = 1u << 7,       /* an acceptable RST */
    TCP_CLOSED_NOW = 1u << 8,      /* both sides ended: the flow is over */
    TCP_REFUSED = 1u << 9,         /* not acceptable: reason says why; the flow is as it was */
    TCP_GAP = 1u << 10,            /* bytes before the data were never seen */
    TCP_NEW_CONNECTION = 1u << 11, /* a SYN that starts anew where the old connection had ended */
    TCP_MORE = 1u << 12,           /* ask tcp_more(): the segment set more in order, in either direction */
};
struct tcp_result {
    UINT32 events;
    UINT32 reason;       /* TCP_REFUSED, TCP_RETRANSMITTED: InetDiscard* */
    bool out;            /* whose stream data, size, lost, TCP_FIN_NOW are of: of what this host sent */
    const uint8_t *data; /* TCP_DATA: the in-order bytes; valid until the next call in this lane */
    uint32_t size;
    uint32_t lost; /* TCP_GAP: so many bytes before the data; there may be no data (size 0) */
};

/* Of this host's end, as far as the segments show; in host_flow.tcp. */
enum tcp_state {
    TCP_NONE, /* nothing seen yet */
    TCP_SYN_SENT,
    TCP_SYN_RECEIVED,
    TCP_ESTABLISHED,
    TCP_FIN_WAIT_1,
    TCP_FIN_WAIT_2,
    TCP_CLOSE_WAIT,
    TCP_CLOSING,
    TCP_LAST_ACK,
    TCP_TIME_WAIT,
    TCP_CLOSED, /* over: reset, or both ends closed and acknowledged */
    TCP_STATES
};

/* lane->segments, by host->limits: what is held until it is in order. create: 0 or -ENOMEM. */
int tcp_create(struct lane *l);
void tcp_destroy(struct lane *l);

/* Works a segment into the flow's state. `out`: sent by this host. With the lane held. */
void tcp_segment(struct lane *l, struct host_flow *f, const struct wire_packet *p, bool out,
                 struct tcp_result *r);
/* After TCP_MORE, until it returns false: the next piece that the segment set in order: held bytes behind a
 * filled hole, or, of the other direction, what its acknowledgement proves to have arrived (r->out says
 * which). Events are TCP_DATA, TCP_GAP, TCP_FIN_NOW, TCP_CLOSED_NOW. What is not asked for comes with the
 * flow's next segment. */
bool tcp_more(struct lane *l, struct host_flow *f, struct tcp_result *r);
/* Would tcp_segment() answer TCP_NEW_CONNECTION? For who has to know before the old flow is used. */
bool tcp_syn_starts_anew(const struct host_flow *f, const struct wire_packet *p, bool out);
static inline bool tcp_starts_anew(const struct host_flow *f, const struct wire_packet *p, bool out)
{
    return (p->tcp_flags & (WIRE_TCP_SYN | WIRE_TCP_RST)) == WIRE_TCP_SYN && tcp_syn_starts_anew(f, p, out);
}
/* A flow whose beginning was not seen (mid stream): its state becomes what it was just before p. Then
 * tcp_segment(p) as ever. */
void tcp_adopt(struct host_flow *f, const struct wire_packet *p, bool out);
void tcp_forget(struct lane *l, struct host_flow *f); /* segments held for it */

/* ---- fragments (fragment.c)
 * ------------------------------------------------------------------------------------------- */

struct fragments;
enum fragment_result {
    FRAGMENT_HELD,
    FRAGMENT_COMPLETE, /* *out is the whole, from its IP header on: the caller frees nothing, valid until next
                        */
    FRAGMENT_OVERLAP,  /* discarded, with its whole datagram (RFC 5722; IPv4 as Windows does since) */
    FRAGMENT_BAD,
    FRAGMENT_NO_ROOM,
};
int fragments_create(const struct host_limits *limits, struct fragments **out);
void fragments_destroy(struct fragments *f);
enum fragment_result fragments_add(struct fragments *f, const struct wire_packet *p, UINT32 interface_index,
                                   UINT64 now_ns, const uint8_t **out, uint32_t *size);
/* How long the whole that fragments_add() gave out last was as sent; *size is less if the capture had cut a
 * fragment off: for wire_parse_ip(*out, *size, fragments_length(f), ...). */
uint32_t fragments_length(const struct fragments *f);
/* Datagrams have slots [0, fragments_slots()). over: told when one's fragments are held no longer, because it
 * is complete or because it was given up; perhaps twice, the second time for nothing. From within the calls
 * here. */
void fragments_watch(struct fragments *f, void (*over)(void *ctx, uint32_t slot, bool complete), void *ctx);
uint32_t fragments_slots(const struct fragments *f);
uint32_t fragments_slot(const struct fragments *f); /* whose the last fragment was; UINT32_MAX: nobody's */
void fragments_clear(struct fragments *f);          /* gives up all of them */
/* Makes a first fragment's header (IPv6: without the fragment header) that of the whole, of `size` bytes
 * behind it; next: what the fragment header says (RFC 791, 3.2; RFC 8200, 4.5). */
void fragment_header_of_whole(uint8_t *h, uint8_t version, uint32_t header, uint32_t size, uint8_t next);
/* Ends datagrams whose time is over (60 s from their first fragment; fragments_add() does so too); how many.
 */
uint32_t fragments_expire(struct fragments *f, UINT64 now_ns);
/* Adds this lane's to *c: fragments_held (now) and datagrams_*. */
void fragments_counts(const struct fragments *f, struct host_counts *c);
void tcp_counts(const struct lane *l, struct host_counts *c); /* tcp_segments.c */

/* ---- paths
 * --------------------------------------------------------------------------------------------------------------
 */
void paths_in(struct scene *s, struct host_outcome *out);
void paths_out(struct scene *s, struct host_outcome *out);
void paths_forward(struct scene *s, struct host_outcome *out);
/* Which way the frame goes, and along it: host_frame()'s body (paths.c). */
void paths_frame(struct lane *l, const struct host_frame *f, struct host_outcome *out);
/* What is known of a frame before its turn comes: host_prefetch() writes it, paths_frame() spares itself the
 * work if it is of this very frame and the host has no more addresses since. */
struct ahead {
    const struct host_frame *frame; /* NULL: of none */
    const struct wire_packet *packet;
    UINT64 number;
    const struct host_interface *interface, *home; /* as in struct scene */
    struct host_flow *flow; /* perhaps its flow: the key says it; NULL: unknown. Slots are never given back */
    UINT64 flow_id;         /* ... as it was; ids are never used again */
    uint32_t places;        /* host.places, its low half */
    uint8_t course;         /* enum course: paths.h */
};
_Static_assert(sizeof(struct ahead) == 64, "a cache line each");
/* One more in host->counts, which anybody may copy at any time. */
static inline void host_count(UINT64 *counter)
{
    (void)rt_add(counter, 1, __ATOMIC_RELAXED);
}
/* ... which the worker alone writes; by so many. */
static inline void host_count_worker_by(UINT64 *counter, UINT64 by)
{
    __atomic_store_n(counter, *counter + by, __ATOMIC_RELAXED);
}
static inline void host_count_worker(UINT64 *counter)
{
    host_count_worker_by(counter, 1);
}
#define AHEAD 64u /* frames, by number */

/* The bit of an IPv4 address in host.local_hint. */
static inline UINT64 host_local_bit(const union wire_addr *a)
{
    return 1ULL << (a->v4 * 0x9e3779b1u >> 26);
}

/* Which way each frame will go (in l->ahead), and the keys of the flows of those that have one, as this host sees them
 * (loopback: the sender's): keys and of[] have room for `count`. Returns how many. */
size_t paths_ahead(struct lane *l, const struct host_frame *frames, size_t count, struct ahead **of,
                   struct host_flow_key *keys);
/* lane->groups (group.c): forwarded fragments that wait for the others of their datagram. create: 0 or
 * -ENOMEM; destroy: silently. expire and flush let go on what waits no longer, or waits at all. No lane held.
 */
struct groups;
int groups_create(struct lane *l);
void groups_destroy(struct lane *l);
void groups_expire(struct lane *l, UINT64 now_ns);
void groups_flush(struct lane *l);
/* As fragments_counts(). With the lane held. */
void groups_counts(const struct lane *l, struct host_counts *c);
/* A fragment that passed FW alone. True: it goes on; false: it waits (HOST_HELD), or its group was refused.
 */
bool group_forward(struct scene *s, struct host_outcome *out);
/* lane->memory (paths_memory.c). 0 or -ENOMEM. */
struct memory;
int memory_create(const struct host_limits *limits, struct memory **out);
void memory_destroy(struct memory *m);
/* Fetches into the caches what will be asked of this tuple, or noted: a hint. */
void memory_fetch(struct memory *m, const struct host_flow_key *k, bool put);

/* ---- lanes
 * ----------------------------------------------------------------------------------------------------------------
 */

/* The own address that was asked for last, if its interface does not hang on where a packet arrives. */
struct near {
    union wire_addr address;
    UINT64 places; /* host.places then */
    const struct host_interface *home;
    uint8_t version; /* 0: none */
};

/* Which layers a packet that takes the short way meets, and what is known of their answers: by TCP or not, direction,
 * IP version, whether it has MAC headers. [1]: with the stream layer, for TCP's data. paths_short.c makes them. */
struct short_way {
    struct short_asked {
        UINT32 telling; /* the one that tells somebody something, by its bit; 0: none does */
        UINT16 layer;   /* its run-time id */
        UINT8 others;   /* how many others have filters */
        bool known[2];  /* by a flow's packet that is not marked, that is: may it take the short way? */
    } with[2];
    UINT32 unsettled; /* roles of those with filters whose answers are not settled, the stream layer too */
};
#define SHORT_WAYS 16

struct lane {
    struct host *host;
    struct rt_mutex *lock;
    const UINT32 *backlog; /* ale_backlog.c's: completions that wait for who enters next */
    bool stays;            /* lane_enter(): of its worker alone, */
    bool kept;             /* or of a visitor's copy */
    struct engine_reader *reader;
    struct flow_table *flows;
    struct fragments *fragments;
    struct fragments *sent;  /* paths_out.c's: one datagram, of what is to come */
    struct groups *groups;   /* group.c's; NULL: forwarded fragments go one by one */
    void *endpoints;         /* ale_endpoint.c's */
    void *ale;               /* ale.c's: operations, contexts */
    void *segments;          /* tcp_segments.c's: out-of-order data */
    struct scratch *scratch; /* scratch.c's */
    struct memory *memory;   /* paths_memory.c's: tuples of which later frames must know */
    struct near near;        /* paths_course.c's */
    struct ahead *ahead;     /* AHEAD of them, by the frame's number */
    bool holds;              /* host_hold(): the turn is not given back between one frame and the next */
    uintptr_t turn;          /* turn.c's: the thread whose turn it is, 0: nobody's; */
    unsigned turn_depth, turn_waiting; /* taken so often; so many wait */
    struct rt_cond *turn_over;
    UINT64 classified; /* the worker's: those of visitors are in host.counts */
    UINT64 busy_changes,
        busy_version;      /* paths_layers.c's: engine_changes() and the policy that `busy` is about, */
    UINT32 busy[2];        /* bits by role of the layers that have filters; [1]: IPv6 */
    UINT8 busy_rows[2][4]; /* ... by position in layer_rows */
    UINT64 busy_among;     /* as host.among was then; and paths_short.c's: */
    UINT32 settled[2];     /* bits by role of layers that have settled answers */
    UINT32 depends[2];     /* ... that depend */
    struct short_way short_ways[SHORT_WAYS]; /* by all of these */
    bool short_on;                           /* the short way may be taken at all */
    uint8_t short_epoch;
    UINT64 shortened;          /* frames that took it to its end; */
    UINT64 shortened_then;     /* ... when frames were last looked up ahead */
    UINT64 refused_again;      /* ... of them paths_refused.c's */
    struct refusals *refusals; /* NULL: none was noted yet */
};

/*
 * The lane, entered and left by its worker or by a visitor with a struct lane of its own. A worker that has a
 * frame goes in and out several times; within host_frame() it stays: leaving is put off until foreign code is
 * called (a classify, an observer, a callout's function: lane_rest()) or the frame is done. Nobody then waits
 * for a lane that a waiting worker has. Who takes &host->lanes[0] from any thread locks it with lane_lock(), and
 * calls nothing that enters; l->lock itself is enough for who reads neither flows nor endpoints nor operations.
 */
static inline void lane_settle(struct lane *l)
{
    if (__builtin_expect(*l->backlog != 0, 0))
        ale_backlog_settle(l);
}

static inline void lane_lock(struct lane *l)
{
    rt_mutex_lock(l->lock);
    lane_settle(l);
}

/* turn.c: with the lock, which is far more than the question whether it is wanted. */
void lane_enter_locking(struct lane *l);
void lane_let_go(struct lane *l);

static inline void lane_enter(struct lane *l)
{
    if (__builtin_expect(!l->kept, 0))
        lane_enter_locking(l);
}

static inline void lane_leave(struct lane *l)
{
    if (__builtin_expect(!l->kept, 0))
        lane_let_go(l);
}

/* Really left, until lane_back() with what it returned. The lane is not held as far as the caller knows. */
static inline bool lane_rest(struct lane *l)
{
    const bool stayed = l->stays;

    l->stays = false;
    if (l->kept) {
        l->kept = false;
        lane_let_go(l);
    }
    return stayed;
}

static inline void lane_back(struct lane *l, bool stayed)
{
    l->stays = stayed;
}

struct host {
    struct host_config config;
    struct host_limits limits;          /* with the defaults filled in */
    struct host_interface **interfaces; /* each its own allocation: pointers stay good */
    size_t interface_count;
    struct addresses *addresses; /* interfaces.c's */
    UINT64 places;               /* how often an interface or address was added */
    UINT64 local_hint;           /* host_perhaps_local()'s: bits of the IPv4 addresses that are the host's */
    UINT64 among;                /* ... or a profile was set: by any thread */
    UINT64 now_ns;
    UINT64 next_flow_id, next_endpoint_id, next_event;
    struct host_counts counts;
    struct lane *lanes; /* one today */
    size_t lane_count;
    struct ndis_frames *frames; /* walk.c's: packets that callouts see */
    uint8_t *changed;           /* bytes of the last frame that was changed in place */
    uint32_t changed_room;
    bool lent;                 /* instead the frame itself is, until the next one comes (ndis_frame_lend()) */
    struct injector *injector; /* injector.c's */
    struct vswitches *vswitches; /* vswitch.c's */
    struct stream_wire *wires;   /* stream_wire.c's */
    struct rewrite_counts wire_counts;
    UINT64 wire_unchanged;                 /* edits that are not carried out: of loopback */
    struct streams *streams;               /* stream.c's */
    const struct stream_sink *stream_sink; /* stream.h; where streams come out */
    struct again *again;                   /* again.c's; NULL: nothing injected was ever absorbed */
    UINT64 next_tag;                       /* FwpsNetBufferListGetTagForContext0 */
};

/* False: this address is nobody's here. Most remote ones are told by this alone. */
static inline bool host_perhaps_local(const struct host *h, uint8_t version, const union wire_addr *a)
{
    return version != 4 || a->v4 >> 24 == 127 ||
           (__atomic_load_n(&h->local_hint, __ATOMIC_ACQUIRE) & host_local_bit(a)) != 0;
}

/* So many classifications more. */
static inline void host_count_classified(const struct scene *s, unsigned n)
{
    if (__builtin_expect(s->lane == &s->host->lanes[0], 1))
        host_count_worker_by(&s->lane->classified, n);
    else
        __atomic_fetch_add(&s->host->counts.classified, n, __ATOMIC_RELAXED);
}

#endif
