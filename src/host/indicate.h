/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of one classification share: values*.c, metadata.c, offsets.c, scratch.c and indicate.c. A lane's
 * scratch: what was prepared once for each layer, what is remembered of the policy's version, and the room
 * that a classification needs, a level for each that is under way on this lane (a callout may call back into
 * the host, which then classifies again before the first has returned).
 */
#ifndef WEIR_HOST_INDICATE_H
#define WEIR_HOST_INDICATE_H

#include "host/internal.h"

/* Fields of which each packet has its own value, that is stored and no more (values_kept.c). */
enum kept_place {
    KEPT_PROTOCOL,
    KEPT_LOCAL_ADDRESS,
    KEPT_LOCAL_ADDRESS_TYPE,
    KEPT_LOCAL_PORT,
    KEPT_REMOTE_ADDRESS,
    KEPT_REMOTE_ADDRESS_TYPE,
    KEPT_REMOTE_PORT,
    KEPT_CONNECTION_DIRECTION,
    KEPT_FLAGS,
    KEPT_REASON,
    KEPT_BOUND_ADDRESS,
    KEPT_BOUND_ADDRESS_TYPE,
    KEPT_CONNECTED_ADDRESS_TYPE,
    KEPT_ORIGINAL_ICMP_TYPE,
    KEPT_PROMISCUOUS,
    KEPT_PLACES
};
/* A value behind those of the layer: what it lacks is stored there. */
#define KEPT_NOWHERE (ENGINE_MAX_FIELDS * sizeof(FWPS_INCOMING_VALUE0))

enum kept_handle { KEPT_FLOW, KEPT_ENDPOINT, KEPT_PARENT, KEPT_HANDLES };

/* How the fields of one layer are filled; made once, by values_prepare(). */
struct prepared {
    _Alignas(64) UINT16 place[KEPT_PLACES]; /* the field: offset in bytes of its value; KEPT_NOWHERE: none */
    UINT32 metadata;                        /* FWPS_METADATA_FIELD_*: the layer's */
    UINT8 get[ENGINE_MAX_FIELDS];           /* enum getter */
    UINT64 each;                            /* fields that are filled for each packet, but those of `place` */
    UINT64 of_owner;                        /* ... for each owner */
    UINT64 of_profile;                      /* ... for each packet that is asked about again, and after it */
    bool placed_late;                       /* some of the places from KEPT_BOUND_ADDRESS on are there */
    UINT64 overridden;                      /* fields that a setting decides */
    UINT64 all;                             /* all fields' bits */
    UINT32 flags;                           /* FWP_CONDITION_FLAG_* that can be said at this layer */
    bool prepared;
    /* Metadata: where in struct kept a flow's, its endpoint's and the endpoint's parent's handles are stored. */
    UINT16 handle[KEPT_HANDLES];
};

/* What an owner's values are made of: another one may come to stand where he stood. */
struct kept_owner {
    const struct host_owner *owner; /* NULL: unknown */
    const void *app_id, *token, *package;
    UINT32 unknown;
    bool proxied; /* and the first one's; filled anew each time */
};

/* Of a usual scene (inspect_inside.h), what its flow's values and metadata are. */
struct kept_flow {
    UINT64 number; /* struct told's; 0: none */
    UINT64 handle[KEPT_HANDLES];
    UINT32 metadata; /* which of KEPT_OF_FLOW are there */
    UINT32 flags;    /* FWP_CONDITION_FLAG_*, at whatever layer */
    UINT32 scope;    /* IPv6: the remote end's */
    UINT8 types;     /* KEPT_LOCAL_TYPE, KEPT_REMOTE_TYPE: which of these are known: */
    UINT8 local_type, remote_type;
};

/*
 * What the last scene of a direction that was asked about tells of its packet, and its numbers: of its flow, of all else.
 * Who notes the numbers knows a later scene by them. inspect.c's.
 */
#define TOLD_WORDS  13
#define TOLD_OTHERS 4
struct told {
    UINT64 word[TOLD_WORDS]; /* the scene's, from `local` on */
    UINT64 endpoint_id, endpoint_bits;
    UINT64 among;                /* host.among: what is said of interfaces and addresses */
    UINT64 flow, other, numbers; /* the numbers, not 0; the last one that was given */
    /* Flows come and go, but for a few layers that is all: of the last scenes that differed in more. */
    struct told_other {
        UINT64 word[TOLD_WORDS]; /* 0 where the flow's are */
        UINT64 among, number;
    } others[TOLD_OTHERS];
    unsigned oldest;
    struct kept_flow made; /* kept.h's: of the scene that values were last brought up to */
};

/*
 * Of which scene values and metadata are: where the next one of the layer differs in its flow alone, and nothing of it is
 * special, only what says which flow it is, and where the packet's headers stand, is written anew. inspect.c's.
 */
struct kept_of {
    UINT64 flow, other; /* struct told's; other: 0: of none that could come again */
    /* The packet's headers, and what follows of them: where the data begins, the first byte in front of it. */
    UINT64 where; /* headers_of() */
    uint32_t at, first;
};

/* What follows of where a packet's headers stand, at a layer. */
struct kept_placed {
    UINT64 where;                       /* headers_of(); 0: of none */
    uint32_t at, first;                 /* where the data begins, the first byte in front of it */
    UINT32 ip_header, transport_header; /* their sizes, as the metadata say */
};
#define KEPT_PLACED 4

/*
 * What callouts were shown at a layer last: of the values, only those that differ from packet to packet are
 * filled anew while the rest is about the same interfaces in the same state.
 */
struct kept {
    _Alignas(
        64) struct kept_of of; /* in one cache line: all that a packet of another flow is compared with */
    UINT64 of_unknown;         /* fields, where `of.other` is not 0 */
    FWPS_INCOMING_VALUES0 values;
    union wire_addr end[2]; /* IPv6, of.other not 0: local, remote, and the values point to them */
    UINT64 among;           /* host.among */
    const struct host_interface *local, *arrival, *next_hop; /* the scene's interface is one of the two */
    struct kept_owner owner;                                 /* whose the fields of an owner are */
    UINT64 unknown;                         /* of the fields that are kept: the interfaces' and the host's, */
    UINT64 unknown_of_owner;                /* and the owner's */
    struct kept_placed placed[KEPT_PLACED]; /* headers that packets had before: inspect_inside.h's */
    bool filled;                            /* the above are those of `value` */
    bool any_remote;                        /* as the scene's was */
    bool again; /* the fields of `of_profile` are those of a packet that was asked about again */
    bool
        plain; /* metadata: what metadata_keep() does not write is zero, and what it writes once is written: */
    const struct host_interface *metadata_of; /* for this one, */
    UINT32 path_mtu;                          /* and scene.path_mtu as it was */
    bool rare; /* keep_rare() has written something other than 0 that has a field */
    FWPS_INCOMING_METADATA_VALUES0 metadata;
    FWPS_INCOMING_VALUE0 value[ENGINE_MAX_FIELDS + 1];
};

/* What kind an address is, of those asked for last. */
struct kept_address {
    union wire_addr address;
    UINT64 among; /* host.among + 1; 0: none */
    uint8_t version;
    UINT8 type;
};

#define MAX_FOREIGN 8

/* What the filters of a layer need, of one version of them. */
struct plan {
    _Alignas(64) UINT16 layer; /* all that inspect() reads is in one cache line */
    bool callouts;             /* some ask a callout: the rest then also depends on `generation` */
    bool ours;                 /* a callout of this engine's may be asked */
    bool alone;                /* ... by the layer's only filter, and no foreign one: inspect() may do */
    bool inspects;             /* ... and it is an inspection: */
    UINT64 version;            /* the layer's; 0: no filters */
    UINT64 generation;
    UINT64 tested;                   /* fields */
    const struct prepared *prepared; /* the layer's */
    struct engine_inspector inspector;
    UINT32 count; /* filters */
    UINT64 only;  /* alone: the filter's id */
    bool many;    /* more foreign callouts than are listed */
    UINT8 foreign_count;
    const struct engine_filter *foreign[MAX_FOREIGN]; /* with a foreign callout that nobody assumes about */
    bool steady; /* no callouts, and nothing tested that differs between a flow's packets of one direction */
    bool
        settled; /* filters that test nothing, no callout of ours: `answer` is the answer to every question */
    struct host_answer answer;
    GUID callout; /* answer.depends_on_callout points here, or is NULL */
};

/* A classification that a packet brought about: what its next one of the same flow in the same direction would bring about
 * as well, until something changes that short_forget() is told of. */
struct heard {
    UINT16 layer;
    bool settled; /* by the layer's plan, which has the answer */
    bool discard, empty, judged, told;
    UINT64 unknown; /* fields, as the observer is told */
    struct host_answer answer;
};
#define HEARD_MOST 6

struct override {
    UINT16 layer, field;
    const FWP_VALUE0 *value;
};

#define KEPT_LEVELS 2 /* an injection in its caller is a classification in another */
#define LEVELS      4 /* deeper ones show no packet; a callout that gets there calls itself */

/* inspect.c's: a classification under way. What is the same for all stands there from the start. */
struct inspecting {
    struct kept *(*all)[2]; /* of this level: scratch.kept */
    struct scene *s;
    struct kept *kept;
    NET_BUFFER_LIST *list;
    enum host_layer role;
    const struct prepared *prepared;
    bool again; /* the values are of `kept->of`, and the scene's */
    UINT64 unknown;
    struct engine_flow flow;
    struct engine_request request;
};

/*
 * Layers that a packet of an established flow meets one after the other, by position. inspect_along.c's: what is known of a
 * row's layers, of one number of the engine's changes.
 */
enum layer_row { ROW_UP, ROW_UP_TCP, ROW_DOWN, ROW_DOWN_TCP, LAYER_ROWS };
#define LAYER_ROW 5
extern const UINT8 layer_rows[LAYER_ROWS][LAYER_ROW]; /* paths_layers.c's: enum host_layer */

struct look {
    _Alignas(64) struct kept *kept[KEPT_LEVELS];
    const struct prepared *prepared;
    struct engine_inspector inspector;
    UINT16 layer;
    UINT8 role; /* enum host_layer */
};
struct along {
    UINT64 changes;            /* engine_changes(); 0: nothing is known */
    UINT32 looks;              /* positions with an inspection and nothing else: all but `kept` is there; */
    UINT32 known[KEPT_LEVELS]; /* ... and that */
    UINT32 types;              /* kept_types() of them */
    struct look look[LAYER_ROW];
};

struct scratch {
    struct host *host;
    UINT8 role[ENGINE_LAYER_COUNT]; /* enum host_layer; LAYER_ROLES: no layer of the host's */
    struct prepared prepared[ENGINE_LAYER_COUNT];
    struct plan plan[ENGINE_LAYER_COUNT];
    struct override *overrides;
    size_t override_count;
    /* By level; layer; [1]: inbound. Made when a callout is first asked there. */
    struct kept *kept[KEPT_LEVELS][ENGINE_LAYER_COUNT][2];
    struct kept_address addresses[2];  /* the local end's, the remote one's */
    struct told told[2];               /* [1]: inbound */
    struct along along[LAYER_ROWS][4]; /* along_of() */
    struct ndis_packet *packets[LEVELS];
    struct inspecting inspecting[KEPT_LEVELS], *inside[KEPT_LEVELS]; /* the latter: where they are */
    unsigned level, inspecting_levels; /* below the latter a classification may be inspect()'s; 0: none may */
    struct recalls *recalls[ENGINE_LAYER_COUNT]; /* recall.c's; NULL: nothing was asked there yet */
    UINT64 recalled;                             /* answers that it gave */
    bool hears;                                  /* paths_refused.c: */
    bool heard_all; /* that may be told again are in `heard`, and there were no others */
    UINT8 heard_count;
    struct heard heard[HEARD_MOST];
};

/*
 * inspect.c: the common case of a classification in one go: the layer's only filter asks a callout of ours about a
 * packet (plan.alone). False: it is another case, or a knob says so, and nothing has happened.
 */
void inspect_prepare(struct scratch *room); /* once */
bool inspect(struct scene *s, enum host_layer role, const struct plan *plan, struct answer *out);
/* inspect_along.c: the layers of a row at these positions, which have filters (lane.busy_rows), are asked as long as each has
 * one inspection and nothing else. Nobody has decided anything then. Returns a position behind the last that was done, at
 * which to go on; the first of them: none was. The policy may have changed. */
unsigned inspect_along(struct scene *s, enum layer_row row, UINT32 rest);
/* Values and metadata for a callout at the stream layer, which shows bytes of its own. NULL: out of memory. */
struct kept *inspect_stream_values(struct scene *s, UINT16 layer);

/* Is the layer's plan of this version and these callouts? A layer that never had filters has version 0, and a new plan:
 * both say the same. */
static inline bool plan_stands(const struct plan *plan, const struct engine *e,
                               const struct engine_snapshot *snapshot, UINT16 layer)
{
    return plan->version == engine_snapshot_layer_version(snapshot, layer) &&
           ((int)!plan->callouts | (int)(plan->generation == engine_callout_generation(e))) != 0;
}

/* scratch.c: the layer's plan is made anew. */
void plan_again(struct scratch *room, const struct engine_snapshot *snapshot, UINT16 layer);
/* Of the version that is pinned. */
static inline const struct plan *plan_of(struct scratch *room, const struct engine_snapshot *snapshot,
                                         UINT16 layer)
{
    const struct plan *plan = &room->plan[layer];

    if (__builtin_expect(!plan_stands(plan, room->host->config.engine, snapshot, layer), 0))
        plan_again(room, snapshot, layer);
    return plan;
}

/* Of indicate.c, for inspect.c: what an observer is told; IRQL-01. */
struct host_event indicate_event(struct scene *s, const struct engine_layer *layer,
                                 const struct host_answer *answer);
enum host_cause indicate_cause(const struct scene *s, enum host_layer role, bool discard);
struct engine_class_cache *indicate_cache(const struct scene *s, enum host_layer role,
                                          bool discard); /* NULL: none */
KIRQL indicate_irql(const struct scene *s, enum host_layer role, bool discard);
/* Fills out from out->verdict, whose filter is good for the last time. */
void indicate_answered(struct scene *s, struct answer *out);
/* A decision, at these layers even where nobody decided. */
static inline bool indicate_decides(enum host_layer role, const struct engine_verdict *v)
{
    return role == LAYER_AC || role == LAYER_RA || v->action == FWP_ACTION_BLOCK;
}
/* What a listener to decisions does not want to hear after all: false. */
bool indicate_matters(const struct host *h, enum host_layer role, const struct host_answer *answer);

/* 0 or -ENOMEM. */
int values_prepare(struct scratch *room, const struct host_config *config);
/* All values of the layer, into the lane's own of room->level, which is at most KEPT_LEVELS. Which are not known: as
 * values_fill(). NULL: out of memory. */
struct kept *values_keep(const struct scene *s, const struct engine_layer *layer, struct scratch *room,
                         UINT64 *unknown);
/* metadata_fill(), into k->metadata. `at` as packet_offset() says; has: prepared.metadata. */
void metadata_keep(const struct scene *s, enum host_layer role, bool discard, uint32_t at, struct kept *k,
                   UINT32 has);
/* Once more, where the headers of a whole packet stand elsewhere. */
void metadata_place(const struct scene *s, enum host_layer role, uint32_t at, struct kept *k, UINT32 has);

/* recall.c: what it keeps in there. */
void recall_destroy(struct scratch *room);

struct recalled;
/* For who wants to know whether all of it would be so again (scratch.hears): no callout of ours was asked (complete: one was
 * shown it), nothing was tested that may be another for the flow's next packet, and nobody but the observer is told. */
void indicate_hear(const struct scene *s, UINT64 tested, bool complete, const struct heard *x);
/* A settled plan's answer; who listens hears of decisions alone. Of the scene are read: as indicate_settled() does. */
void indicate_answer_settled(struct scene *s, const struct plan *plan, bool listens, struct answer *out);
/* tested: the plan's fields; the inspections that were met have been called. */
void indicate_answer_recalled(struct scene *s, UINT64 tested, const struct recalled *known, bool discard,
                              bool listens, struct answer *out);
/* Counts and tells once more what was heard. Of the scene are read: as indicate_settled() does. */
void indicate_heard(struct scene *s, const struct heard *h);

/* Are these fields the same for all packets that a TCP or UDP flow has in one direction, as long as neither
 * interfaces nor addresses change? But for what the packet's own condition flags say. */
bool values_are_steady(const struct prepared *p, UINT64 fields);

/* RED-05: it names a classify of the scene, at all layers. */
static inline const void *scene_classify_context(const struct scene *s)
{
    if (__builtin_expect(s->options != NULL, 0))
        return s->options;
    return __builtin_expect(s->classify_context != NULL, 0) ? (const void *)s->classify_context
                                                            : (const void *)s;
}

/* Does an inbound packet stand behind this classification? */
static inline bool scene_inbound(const struct scene *s)
{
    return s->packet_direction == FWP_DIRECTION_INBOUND;
}

/* Where the packet that a layer shows ends and where its first byte is, from the frame's first byte: what is
 * in front of the data can be retreated to (PKT-04, 07, 09). Of scenes with a packet. */
void packet_bounds(const struct scene *s, enum host_layer role, uint32_t *first, uint32_t *end);
/* What is known of a row of layers, for packets of its version and direction. */
static inline struct along *along_of(struct scratch *room, enum layer_row row, const struct scene *s)
{
    return &room->along[row][2 * (s->version == 6) + scene_inbound(s)];
}

/* The packet's end as the IP header says, as far as it was captured: link-layer padding is not of the packet
 * (PKT-18). */
static inline uint32_t packet_end(const struct wire_packet *p)
{
    if (p->version == 0 || p->ip_length > p->captured - p->ip_at)
        return p->captured;
    return p->ip_at + p->ip_length;
}
/* packet_offset() and the bounds around it, first <= offset <= end; UINT32_MAX: no packet here, 0 and 0. */
uint32_t packet_span(const struct scene *s, enum host_layer role, bool discard, uint32_t *first,
                     uint32_t *end);

#endif
