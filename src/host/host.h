/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host: the door of the room that plays the Windows host: interfaces, endpoints, flows, ALE authorization,
 * and which layer a packet or a socket operation meets in which order.
 *
 *   datapath --frame--> host --each layer--> judge (the engine's classify) --> verdict
 *                        |                                                        |
 *                        +--> observer: every classification                     +--> pass, drop, hold
 *                        +--> outcome of the frame
 *
 * The host is passive where a capture is: it sends nothing of its own. What a frame shows of the host's own
 * programs (a SYN goes out: somebody bound and connected) it takes for the socket operation behind it; a
 * datapath that knows better says so itself (host_bind(), host_listen(), host_close()).
 * What follows from a refused operation never happened: such frames are CONSEQUENCE, meet no layer, and are
 * counted.
 *
 * Threads: a host has lanes, each the shard of endpoints and flows under one lock; a frame is worked on by
 * one thread. No lane is held across a classify (callouts come back at once: internal.h has the rules). Time
 * is the frames': the host's clock is moved by host_advance() and by each frame, never back. Memory is
 * bounded by struct host_limits; what is evicted is counted.
 */
#ifndef WEIR_HOST_HOST_H
#define WEIR_HOST_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/engine.h"
#include "ndis/packet.h"
#include "wire/wire.h"

struct host;
struct host_endpoint;

/* ---- what the host knows and does not --------------------------------------------------------------------
 */

/* Things that fields of layers ask about and that a capture may leave open. An unknown thing's fields are
 * passed to the judge as unknown. */
enum host_thing {
    HOST_THING_APP = 1u << 0,        /* ALE_APP_ID, ALE_ORIGINAL_APP_ID, processPath */
    HOST_THING_USER = 1u << 1,       /* ALE_USER_ID, token */
    HOST_THING_PACKAGE = 1u << 2,    /* ALE_PACKAGE_ID, ALE_PACKAGE_FAMILY_NAME, FQBN */
    HOST_THING_PROCESS = 1u << 3,    /* processId, subProcessTag */
    HOST_THING_LUID = 1u << 4,       /* interface LUIDs */
    HOST_THING_INDEX = 1u << 5,      /* interface and sub-interface indexes */
    HOST_THING_TYPE = 1u << 6,       /* interface types, tunnel types */
    HOST_THING_PROFILE = 1u << 7,    /* network profiles */
    HOST_THING_QUARANTINE = 1u << 8, /* quarantine epoch, NAP context */
    HOST_THING_REMOTE_ID =
        1u << 9,               /* ALE_REMOTE_USER_ID, ALE_REMOTE_MACHINE_ID: FWP_EMPTY if known to be none */
    HOST_THING_SIO = 1u << 10, /* ALE_SIO_FIREWALL_SYSTEM_PORT, ALE_PROMISCUOUS_MODE, PEER_NAME, names */
};

/* Who owns an endpoint. The datapath's; it outlives the host, or is never freed. */
struct host_owner {
    UINT32 unknown; /* HOST_THING_APP, _USER, _PACKAGE, _PROCESS */
    UINT64 process_id;
    UINT64 sub_process_tag; /* 0: none */
    const FWP_BYTE_BLOB *app_id;
    const FWP_BYTE_BLOB *token; /* as FWP_TOKEN_ACCESS_INFORMATION_TYPE carries it: security_token_blob() */
    const SID *package;         /* NULL: no AppContainer */
};

struct host_interface_desc {
    const char *name; /* copied; for messages */
    UINT32 unknown;   /* HOST_THING_LUID, _INDEX, _TYPE, _PROFILE */
    UINT64 luid;
    UINT32 index; /* > 0, unique */
    UINT32 type;  /* IANA ifType: 6 Ethernet, 24 loopback, 71 wireless */
    UINT32 tunnel_type;
    UINT32 profile;     /* FWP_PROFILE_ID / NLM category as CURRENT_PROFILE_ID has it */
    UINT32 mtu;         /* 0: 1500 */
    UINT32 compartment; /* 0: 1, the default one */
    uint8_t mac[6]; /* zeros: unknown. A frame sent to it that is neither from nor to a local address is to be
                       forwarded; sent to another it was only overheard: ignored */
    bool weak_host_receive, weak_host_send; /* PKT/ORD-14, ALE-28: strong by default */
    bool forwarding; /* where no MAC decides (raw IP, unknown): forwarded, instead of ignored */
};

/* ---- configuration
 * ------------------------------------------------------------------------------------------ */

struct host_limits {
    uint32_t flows;           /* 0: 1,000,000; the oldest idle flow is evicted */
    uint32_t endpoints;       /* 0: as many as flows; beyond, the flow that is evicted gives up its own */
    uint32_t fragment_bytes;  /* 0: 4 MiB held for reassembly */
    uint32_t datagrams;       /* 0: 1,024 under reassembly */
    uint32_t stream_bytes;    /* 0: 16 MiB of out-of-order segments held */
    uint32_t segments_a_flow; /* 0: 256 */
    uint32_t stream_buffer; /* 0: 8 MiB that a stream callout lets wait in one direction of a flow (STR-10) */
    uint32_t streams_bytes; /* 0: 256 MiB, of all of them together; what would be more is handed on */
};

/* Where the semantics say "knob". All zero is the default. */
struct host_knobs {
    bool shorten_idle;      /* ALE-07 */
    bool forward_ip_layers; /* ORD-14: II before and OI after FW */
    bool fragment_grouping; /* ORD-16 */
    bool mapped_v6;         /* MATCH-23: a dual-stack socket's IPv4 is seen at V6 everywhere */
    bool l2_layers;         /* ORD-20 is walked always; this makes observers hear of empty L2 layers too */
    bool verify_checksums;  /* transport checksums of inbound packets are checked: wire_verify() */
    bool trust_checksums;   /* no checksum is: wrong ones are taken for the capture's doing */
    uint32_t split_mdl;     /* PKT-19: MDLs of at most so many bytes; 0: one MDL */
    uint32_t split_list; /* STR-02: stream data in lists of at most so many bytes, chained; 0: as they came */
    bool stream_need_new;         /* STR-09, verifier mode: countBytesRequired is of new bytes */
    bool shift_receive_offset;    /* PKT-11: verifier mode */
    bool inject_in_caller;        /* IRQL-09: injections walk their layers before the inject call returns */
    uint32_t injection_cap;       /* INJ-17: so often a packet may come again; 0: 64 */
    bool redirect_block_enforced; /* RED-28: a BLOCK at CR or BR refuses */
    bool redirect_effective_only; /* RED-26: AC is asked once, about where a redirected connection goes */
    bool long_way;         /* every packet is taken along all of its layers: for tests of the short way */
    bool defer_completion; /* PEND-21, IRQL-09: what a completion brings about comes on the host's own thread
                            */
};

/* What one classification asks. Of its values the fields in `unknown` (bit = field index) are not known and
 * hold FWP_EMPTY. Those that no filter tests may still be missing, with metadata and packet:
 * engine_request_complete(). */
struct host_question {
    const struct engine_layer *layer;
    const struct engine_snapshot *snapshot; /* the policy that is asked; pinned */
    const struct engine_request *request;
    UINT64 tested; /* fields that some filter of the layer tests */
    UINT64 unknown;
};
struct host_answer {
    struct engine_verdict verdict;
    bool depends; /* it does depend on what is unknown; the verdict is what was chosen to be carried out */
    UINT64 depends_on;              /* field bits */
    const GUID *depends_on_callout; /* the first foreign callout that it depends on; NULL: none. Valid while
                                       the observer is told */
    /* Of the judge: the fields (bits) in whose place callouts were shown others, and these, by field. Valid until
     * host_judge.forgets differs. */
    UINT64 supposed;
    const FWP_VALUE0 *supposed_values;
};
/* `from` with these values in the place of the fields (bits): into `to`, which has `room` for as many. */
static inline void host_suppose(const FWPS_INCOMING_VALUES0 *from, UINT64 fields, const FWP_VALUE0 *values,
                                FWPS_INCOMING_VALUES0 *to, FWPS_INCOMING_VALUE0 *room)
{
    for (UINT32 i = 0; i < from->valueCount; i++)
        room[i].value = (fields >> i & 1) != 0 ? values[i] : from->incomingValue[i].value;
    *to = (FWPS_INCOMING_VALUES0){from->layerId, from->valueCount, room};
}
/*
 * Asked only where a filter tests an unknown field, or where a callout is foreign without an assumption; else
 * the host asks engine_classify() itself. The answer hangs on policy, callouts and which filters the known
 * values leave possible, and on nothing else: it may be given again without asking. On the classifying thread,
 * with the policy pinned. NULL: unknown fields are taken as FWP_EMPTY. explain is above host: it is registered
 * here.
 */
struct host_judge {
    void *ctx;
    NTSTATUS(*judge)
    (void *ctx, struct engine_reader *r, const struct host_question *q, struct host_answer *a);
    const UINT64 *forgets; /* counts when what answers point to goes; NULL: it goes at once */
};

/* Why a classification took place. */
enum host_cause {
    HOST_CAUSE_INITIAL,
    HOST_CAUSE_REAUTHORIZE,
    HOST_CAUSE_DISCARD, /* at a discard layer: the reason is in the metadata */
    HOST_CAUSE_CLOSE,
};

struct host_event {
    UINT64 number; /* from 1, in the order of classification */
    UINT64 frame;  /* the datapath's number of the frame; 0: no frame caused it */
    UINT64 time_ns;
    enum host_cause cause;
    const struct engine_layer *layer;
    const struct engine_request *request; /* values and metadata as a callout sees them */
    UINT64 unknown;
    const struct host_answer *answer;
    bool empty;         /* no filter is at this layer: nothing was asked */
    UINT64 flow_id;     /* 0: none */
    UINT64 endpoint_id; /* 0: none */
    UINT64 parent_id;   /* of an accepted socket: its listener; 0 */
    FWP_DIRECTION packet_direction;
    const NET_BUFFER_LIST *packet; /* NULL: none at this layer */
};

enum host_flow_change {
    HOST_FLOW_CREATED,
    HOST_FLOW_AUTHORIZED,
    HOST_FLOW_REFUSED,
    HOST_FLOW_DELETED,
    HOST_FLOW_REDIRECTED, /* it has other ends than were asked for; before it is authorized */
};
enum host_flow_end {
    HOST_END_NONE,
    HOST_END_CLOSED,
    HOST_END_RESET,
    HOST_END_IDLE,
    HOST_END_REFUSED,
    HOST_END_ENDPOINT,
    HOST_END_EVICTED,
    HOST_END_ABORTED,
    HOST_END_REPLACED,
    HOST_END_GIVEN_UP /* host_connection_gone() */
};

/* A flow for people: a copy. */
struct host_flow_info {
    UINT64 id, endpoint_id, parent_id;
    uint8_t version, protocol;
    bool inbound, loopback, mid_stream, multicast;
    union wire_addr local, remote;
    UINT16 local_port, remote_port; /* ICMP: type and code as the engine's fields have them */
    UINT16 icmp_id;
    UINT32 interface_index;
    enum host_flow_end end;
    bool torn; /* DELETED, TCP: by policy; its socket still stands and is to be aborted (ALE-26) */
    const struct host_owner *owner; /* NULL: unknown */
    /* The filter whose callout redirected it, and the ends that were asked for; 0: it was not redirected. */
    UINT64 redirected_by;
    union wire_addr asked_local, asked_remote;
    UINT16 asked_local_port, asked_remote_port;
};

/* On the classifying thread, no lane held. Any member may be NULL. All layers are told of, empty ones too,
 * which costs: NULL when nobody listens. */
struct host_observer {
    void *ctx;
    /* classified() hears of AC and RA, elsewhere only of what blocks or depends, and of values only those
     * that filters test; none where none does, or where an answer is given from memory, as it was before.
     * Cheap enough to be always on. */
    bool decisions_only;
    /* Its functions call nothing of the host's, nor wait for a thread that might: a lane may be held while they run. */
    bool light;
    void (*classified)(void *ctx, const struct host_event *e);
    /* For who hears of decisions alone and is content with less: an answer that depends and permits, elsewhere than at AC
     * and RA, given to a packet of this flow from memory; of one at a discard layer nothing is told. Else `classified` is
     * told of them. It has no number. A lane may be held: it may not call the host. */
    void (*repeated)(void *ctx, const struct engine_layer *layer, const struct host_answer *answer,
                     UINT64 flow_id);
    void (*flow)(void *ctx, enum host_flow_change change, const struct host_flow_info *f);
    /* Of a flow that was created and told of, nothing else of which has changed since: true: that will do; else `flow` is
     * told. May be NULL. A lane may be held, as above. */
    bool (*changed)(void *ctx, enum host_flow_change change, UINT64 flow_id);
    /* A frame is of this flow, and somebody is asked about it before its fate is known: what is kept of the flow for then may
     * be fetched meanwhile. Not of every frame; nothing follows of it. May be NULL. A lane may be held, as above. */
    void (*soon)(void *ctx, UINT64 flow_id);
    /* In-order TCP data as the stream layer sees it; out: sent by this host. `lost`: so many bytes before it
     * were not in the capture. */
    void (*stream)(void *ctx, UINT64 flow_id, bool out, const uint8_t *bytes, uint32_t size, uint32_t lost);
    /* A datagram put together from fragments, from its IP header on. */
    void (*reassembled)(void *ctx, UINT64 frame, const uint8_t *packet, uint32_t size);
};

/* --set: this value for the field wherever it is asked, or at one layer. */
struct host_setting {
    const struct engine_layer *layer; /* NULL: every layer that has the field */
    GUID field;
    FWP_VALUE0 value; /* must be of the field's type there; else it is passed over */
};

struct host_redirected; /* host_redirect.h */
struct host_emitted;    /* host_inject.h */
struct host_outcome;

/* An operation that a driver had pended is over. Told once for each, when all who pended it have completed it
 * and what followed (the second classify, if there is one) is done; on that thread, no lane held. */
enum host_operation {
    HOST_OPERATION_BIND,
    HOST_OPERATION_CONNECT,
    HOST_OPERATION_ACCEPT,
    HOST_OPERATION_CLOSURE, /* an endpoint's, which waited (RED-31) */
};
struct host_completed {
    enum host_operation operation; /* BIND: or listen */
    UINT64 frame;                  /* the datapath's number of the frame that began it; 0: none did */
    UINT64 flow_id;                /* 0: none; perhaps gone by now */
    UINT64 refused_by; /* the filter behind the second classify's block; 0: permitted, or none was */
    bool permitted; /* the endpoint may go on, the flow is authorized. ACCEPT: never: who accepts injects the
                     * packet (PEND-24) */
    bool cancelled; /* it was not asked again: refused by others, or its subject has gone (PEND-11, 41) */
};

/* Where streams' bytes come from and go to (host_stream.h). */
enum host_streams { HOST_STREAM_SEGMENTS, HOST_STREAM_SOCKETS };
struct host_stream_sink;

struct host_config {
    struct engine *engine;
    struct host_limits limits;
    struct host_knobs knobs;
    UINT32 unknown; /* HOST_THING_*: unknown in general; of an owner, what he says himself counts */
    struct host_judge judge;
    struct host_observer observer;
    const struct engine_assumption *assumptions; /* of foreign callouts; outlive the host */
    size_t assumption_count;
    const struct host_setting *settings; /* outlive the host */
    size_t setting_count;
    /* Who owns the local end of this; NULL: unknown. Called when an endpoint is made; may be NULL. */
    const struct host_owner *(*owner_of)(void *ctx, UINT64 time_ns, uint8_t version, uint8_t protocol,
                                         const union wire_addr *local, UINT16 local_port,
                                         const union wire_addr *remote, UINT16 remote_port);
    /* Is somebody waiting on this local port for packets that come unasked (TCP: SYN)? NULL: yes, always.
     * Asked only where the host itself knows no endpoint. */
    bool (*listening)(void *ctx, uint8_t version, uint8_t protocol, const union wire_addr *local,
                      UINT16 port);
    /* Packets of drivers: host_inject.h tells when. Any of them may be NULL. */
    void (*emit)(void *ctx, const struct host_emitted *e); /* it got through: to be written */
    void (*lost)(void *ctx, const struct host_emitted *e, const struct host_outcome *how); /* it did not */
    void (*released)(void *ctx, UINT64 frame, bool injected); /* nothing of this frame is held any more */
    /* The n-th frame after the one that is being given, from 0; NULL: not known (yet). Asked when this host
     * sent a datagram in fragments: its stack had all of it before the first one left. Packets valid during
     * the call. */
    const struct host_frame *(*following)(void *ctx, unsigned n);
    void (*completed)(void *ctx, const struct host_completed *c); /* may be NULL */
    /* A bind or connect goes elsewhere (host_redirect.h). May be NULL. */
    void (*redirected)(void *ctx, const struct host_redirected *r);
    void *ctx; /* of these */
    /* What arrives has arrived, and who sends has a reason: nothing presupposes a packet that was dropped
     * (HOST_NOTE_UNSENT_REQUEST, _SILENCED). Else (a replay) such frames are CONSEQUENCE. */
    bool live;
    /* Who writes out what passes need not know whether drivers changed it: outcome.changed may be a frame's bytes, too,
     * that a callout was shown and left as they were. Else each such frame is compared with what came. */
    bool lends_bytes;
    enum host_streams streams;
    const struct host_stream_sink *stream_sink; /* HOST_STREAM_SOCKETS: outlives the host; gets `ctx` */
    UINT64 start_ns;
    UINT64 seed; /* of the hash; 0: a fixed one. Outputs do not depend on it. */
};

/* ---- life -------------------------------------------------------------------------------------------------
 */

/* 0, -ENOMEM. The caller owns it, destroys it before the engine. */
int host_create(const struct host_config *config, struct host **out);
/* Ends all flows and endpoints silently (no classification). */
void host_destroy(struct host *h);
/* Closes all endpoints as a shutdown does: EC, flowDeleteFn, RR (ALE-33). */
void host_shutdown(struct host *h);

/* 0, -ENOMEM, -EEXIST (that index). Interfaces are never removed. */
int host_interface_add(struct host *h, const struct host_interface_desc *desc);
/* This address is the host's, on that interface; bits: of its subnet (for directed broadcasts), 0: unknown.
 * A prefix can be local as a whole (--local 10.0.0.0/24): `all`. */
int host_address_add(struct host *h, UINT32 interface_index, uint8_t version, const union wire_addr *a,
                     unsigned bits, bool all);
bool host_is_local(const struct host *h, uint8_t version, const union wire_addr *a);

/* The network's category changed (ALE-22 PROFILE_CROSSING). */
void host_set_profile(struct host *h, UINT32 interface_index, UINT32 profile);

/* ---- time -------------------------------------------------------------------------------------------------
 */
/* Moves the host's clock, ends what has been idle too long. Earlier times are taken as now. */
void host_advance(struct host *h, UINT64 now_ns);
/* Would it do more than to move the clock, which the next frame does as well? For whose host no other thread works on. */
bool host_advance_due(const struct host *h, UINT64 now_ns);
UINT64 host_now(const struct host *h);

/* ---- frames -----------------------------------------------------------------------------------------------
 */

enum host_way { HOST_WAY_UNKNOWN, HOST_WAY_IN, HOST_WAY_OUT }; /* as the capture says; else by addresses */

struct host_frame {
    const struct wire_packet *packet; /* bytes and headers; valid during the call */
    UINT64 number;                    /* the datapath's, from 1 */
    UINT64 time_ns;
    UINT32 interface_index;
    enum host_way way;
    bool follows; /* the datapath knows that what this answers was sent: no HOST_NOTE_UNSENT_REQUEST for it */
};

enum host_fate {
    HOST_PASSED,      /* nobody objected */
    HOST_IGNORED,     /* met no layer: not IP (ARP ...), not this host's business */
    HOST_BLOCKED,     /* by policy or a callout: layer, filter */
    HOST_ABSORBED,    /* by a callout, silently */
    HOST_HELD,        /* its authorization is pended */
    HOST_CONSEQUENCE, /* would never have been sent */
    HOST_STACK,       /* the stack itself discards it: module, reason */
    HOST_REWRITTEN, /* of a TCP connection whose stream callouts edit: others stand for it (host_emitted.rewritten), or
                       * none. layer, filter_id: who took all of its data out, if that was one */
    HOST_FATES
};
const char *host_fate_name(enum host_fate f); /* "passed", "blocked", ..., "stack" */

/* Why a frame is a CONSEQUENCE, or what else is to be counted. */
enum host_note {
    HOST_NOTE_NONE,
    HOST_NOTE_REFUSED_FLOW,   /* its flow was refused */
    HOST_NOTE_REFUSED_BIND,   /* its endpoint could not be bound, or may not listen */
    HOST_NOTE_ENDED_FLOW,     /* its flow was torn down by a refused reauthorization, or aborted */
    HOST_NOTE_UNSENT_REQUEST, /* answers a packet that was dropped */
    HOST_NOTE_SILENCED,       /* the stack's answer (RST, ICMP error) that a discard layer suppressed */
    HOST_NOTE_CUT,            /* cut within a header by the capture: judged as far as was there */
    HOST_NOTES
};
const char *host_note_words(enum host_note n);

struct host_outcome {
    enum host_fate fate;
    enum host_note note;
    const struct engine_layer *layer; /* BLOCKED, ABSORBED, STACK: where. HELD: where its own operation was
                                       * pended; NULL: it belongs to one that was pended before */
    UINT64 filter_id;                 /* BLOCKED: that decided; 0: none did (a callout's own) */
    FWPS_DISCARD_MODULE0 module;      /* STACK, BLOCKED */
    UINT32 reason;
    enum wire_fault fault;             /* STACK: of the headers, if that is why */
    bool depends;                      /* a classification on the way depends on something unknown */
    UINT64 flow_id;                    /* 0: none; loopback: the receiver's flow */
    UINT64 sender_flow_id;             /* loopback: the sender's; else 0 */
    bool inbound, outbound, forwarded; /* which paths it took; loopback: in and out */
    bool answers;                      /* it goes against the way in which its flow was opened */
    bool kept; /* a driver holds it, by reference or clone: host_config.released() will come */
    bool
        looped; /* it went out to a group or to all, and its copy for members on this host has come through (ORD-21) */
    /* PASSED and changed in place (or perhaps not: host_config.lends_bytes): the frame's bytes as they are now, `captured` of
     * them; valid until the next frame. NULL: they are as they were. */
    const uint8_t *changed;
};

void host_frame(struct host *h, const struct host_frame *f, struct host_outcome *out);
/* The same within host_hold(), by who holds. */
void host_frame_held(struct host *h, const struct host_frame *f, struct host_outcome *out);
/* Between the two this thread gives frames, and calls nothing of the host's but these two, host_prefetch() and
 * host_is_local(); all other threads that want something of it wait. A few frames: what it saves is a lock a frame.
 * Not from within a callback. */
void host_hold(struct host *h);
void host_let(struct host *h);
/* Does somebody wait for it? For who holds it in a simulated world, where nobody goes on but when he lets him. */
bool host_wanted(const struct host *h);
/* Fetches what the next frames' lookups will touch. A hint: changes nothing. host_frame() is given these very
 * frames, or others; not these with other contents. */
void host_prefetch(struct host *h, const struct host_frame *frames, size_t count);

/* ---- socket operations, where the datapath knows of them
 * ------------------------------------------------------ */

struct host_socket {
    uint8_t version, protocol;
    bool dual_stack, raw, promiscuous; /* version 6, dual_stack: IPv4 too (MATCH-23) */
    bool reuse;                        /* SO_REUSEADDR: another one may be bound there (not TCP) */
    bool implicit;                     /* by a connect or a send, not by bind(): IS_IMPLICIT_BIND */
    union wire_addr local;             /* unspecified: wildcard bind */
    UINT16 port;
    UINT32 interface_index; /* 0: by address */
    const struct host_owner *owner;
};
/* BR, RES (ORD-01). STATUS_SUCCESS and a reference; STATUS_ACCESS_DENIED: refused; STATUS_PENDING: pended
 * (*out is set); STATUS_NO_MEMORY, STATUS_ADDRESS_ALREADY_EXISTS. */
NTSTATUS host_bind(struct host *h, const struct host_socket *s, struct host_endpoint **out);
/* LIS, TCP only. STATUS_SUCCESS, STATUS_ACCESS_DENIED, STATUS_PENDING. */
NTSTATUS host_listen(struct host *h, struct host_endpoint *e);
/* host_knobs.defer_completion, from the next completion on. Nobody completes meanwhile. 0 or -ENOMEM. */
int host_defer_completion(struct host *h, bool defer);
/* How bind(), and listen() after it, stand where they were pended (PEND-40): STATUS_PENDING,
 * STATUS_ACCESS_DENIED, STATUS_SUCCESS. Any thread. */
NTSTATUS host_socket_status(struct host *h, struct host_endpoint *e);
/* Joins or leaves a multicast group (ORD-21). */
NTSTATUS host_membership(struct host *h, struct host_endpoint *e, const union wire_addr *group, bool join);
/* A property that RES and LIS are reclassified for (ALE-30). */
NTSTATUS host_reclassify(struct host *h, struct host_endpoint *e);
/* EC, flows end, RR (ALE-33); drops the reference. */
void host_close(struct host *h, struct host_endpoint *e);
/* Its program has closed it, and TCP is still at saying farewell: drops the reference; EC and the rest come when the end
 * of its connection is seen, or now if it has none. */
void host_release(struct host *h, struct host_endpoint *e);
/* The host's TCP has given up the connection between these ends, and no packet said so (nobody answers): what its end
 * brings about comes now. None is there: nothing. By who gives frames. */
void host_connection_gone(struct host *h, uint8_t version, const union wire_addr *local, UINT16 local_port,
                          const union wire_addr *remote, UINT16 remote_port);
UINT64 host_endpoint_id(const struct host_endpoint *e);

/* ---- authorization, from outside
 * ------------------------------------------------------------------------------- */

/* All flows that the reason concerns are reauthorized, at their next packet (ALE-21..23). Policy changes are
 * noticed without this. */
void host_reauthorize(struct host *h, UINT32 reason);

/* From inside a classify at RES, LIS, AC or RA: holds the operation until host_complete() (PEND-01..09); the
 * completion handle is the metadata's. FwpsPendOperation0 and FwpsCompleteOperation0 will be their doors. */
NTSTATUS host_pend(struct host *h, HANDLE completion_handle, HANDLE *completion_context);
NTSTATUS host_complete(struct host *h, HANDLE completion_context);
/* Fetches what that will touch: a hint. */
void host_complete_ahead(struct host *h, HANDLE completion_context);

/* ---- flows and their contexts (ALE-13..20), FwpsFlow*'s bodies; any thread, <= DISPATCH
 * -------------------------- */
NTSTATUS host_flow_associate(struct host *h, UINT64 flow_id, UINT16 layer_id, UINT32 callout_id,
                             UINT64 context);
NTSTATUS host_flow_remove(struct host *h, UINT64 flow_id, UINT16 layer_id, UINT32 callout_id);
NTSTATUS host_flow_abort(struct host *h, UINT64 flow_id);
/* Waits until no flowDeleteFn of this callout runs on another thread; how many contexts it still has
 * (LIFE-03, 06). PASSIVE. */
UINT64 host_callout_contexts(struct host *h, UINT32 callout_id);
/* Its driver has gone and left it: its contexts go, and nobody is told. None of its functions may be running. */
void host_callout_forget(struct host *h, UINT32 callout_id);
/* What the ledger calls such a context. */
static inline UINT64 host_context_key(UINT64 flow_id, UINT16 layer_id, UINT32 callout_id)
{
    return flow_id ^ (UINT64)callout_id << 40 ^ (UINT64)layer_id << 56;
}
/* The options of the classify that is running on this thread (ALE-10, CLS-30). */
NTSTATUS host_option_set(struct host *h, const void *classify_context, FWP_CLASSIFY_OPTION_TYPE type,
                         const FWP_VALUE0 *value);

/* Calls fn for every flow / endpoint, in order of age; fn must not change the host. */
void host_flows(struct host *h, void (*fn)(void *ctx, const struct host_flow_info *f), void *ctx);

struct host_endpoint_info {
    UINT64 id, parent_id;
    uint8_t version, protocol;
    bool bound, listening;
    union wire_addr local, remote;
    UINT16 local_port, remote_port;
    const struct host_owner *owner;
};
void host_endpoints(struct host *h, void (*fn)(void *ctx, const struct host_endpoint_info *e), void *ctx);

struct host_counts {
    UINT64 frames, fates[HOST_FATES], notes[HOST_NOTES];
    UINT64 classified, asked_judge, flows_created, flows_live, flows_evicted, endpoints_live,
        endpoints_evicted;
    UINT64 impossible; /* steps that the authorization's table does not know: a fault of the host's */
    UINT64 reauthorized, fragments_held, datagrams_reassembled, datagrams_evicted, segments_evicted;
    UINT64 datagrams_expired, datagrams_refused; /* after 60 s; with overlaps or two ends */
    UINT64 bytes_differ;    /* of TCP: came twice, not the same, both at hand: what is in order counts */
    UINT64 bytes_unreached; /* of TCP: behind a hole that nobody filled, to the end */
};
/* Any thread, also from callbacks, but owner_of() and listening(). Each counter is whole; together they are
 * of about one moment. */
void host_counts(const struct host *h, struct host_counts *out);

#endif
