/* SPDX-License-Identifier: Apache-2.0 */
/* What ALE's files know of each other; the design is told in ale.c. Unless said otherwise the lane is held.
 */
#ifndef WEIR_HOST_ALE_INSIDE_H
#define WEIR_HOST_ALE_INSIDE_H

#include "host/ale.h"
#include "host/internal.h"
#include "host/span.h"

#define ALE_TICKS          64u  /* of host_flow.used, a second */
#define ALE_IDLE           60u  /* ALE-06, seconds; refused ones too */
#define ALE_IDLE_MULTICAST 4u   /* ALE-08 */
#define ALE_LINGER         600u /* seconds until an endpoint that was only implied and has no flow closes */

/* ---- the machine and its operations (ale.c) ---------------------------------------------------------------
 */

#define ALE_TICKETS 8u /* callouts that may pend one operation (PEND-42) */

#define ALE_TICKETS_NEAR 3u

/* What pending and completing touch: a cache line. Fields are the lane's, but where it says so. */
struct ale_operation {
    UINT32 slot, generation; /* its handles; generation is raised when it ends */
    UINT32 next, prev;       /* of the free ones; of those that wait in one bucket */
    UINT64 flow_id;
    UINT64 frame;                   /* that caused it */
    struct host_endpoint *endpoint; /* a reference: of bind and listen the subject */
    UINT32 flow_slot;
    uint8_t kind;        /* enum ale_kind */
    uint8_t tickets;     /* given out */
    uint8_t outstanding; /* bits of those not completed */
    bool live;
    bool running;   /* its classify has not come back */
    bool pended;    /* a callout pended it; read by the engine through scene.pended */
    bool waiting;   /* ... and it is in the list of those that wait */
    bool cancelled; /* its subject is gone or has been refused: completing it is a no-op (PEND-11, 41) */
    UINT32 callouts[ALE_TICKETS_NEAR]; /* who pended it; the others in its rest */
};
_Static_assert(sizeof(struct ale_operation) == 64, "an operation is a cache line");

/* Of few operations: what AC was asked about, as far as its completion asks again (no packet); callouts beyond
 * the first. */
struct ale_rest {
    const struct host_interface *interface, *home;
    union wire_addr local, remote;
    UINT32 flags;
    UINT32 callouts[ALE_TICKETS - ALE_TICKETS_NEAR];
    UINT16 local_port, remote_port, icmp_id, icmp_sequence;
    uint8_t version, protocol, original_icmp_type;
    bool icmp : 1, echo : 1, loopback : 1, group : 1;
    bool as_asked : 1;         /* AC was asked about the tuple that was asked for (RED-26) */
    struct redirect *redirect; /* of BR, CR, EC: a reference */
};
_Static_assert(sizeof(struct ale_operation) + sizeof(struct ale_rest) + sizeof(HANDLE) <= 256,
               "what a pended operation costs");

/* What a classify of an operation came to. */
enum ale_outcome { ALE_PERMITTED, ALE_REFUSED, ALE_WAITS };

struct ale_context;
struct redirect;
struct redirects;
struct redirect_records;

/* Accepts that were completed and are ended by whoever enters the lane next (ale_backlog.c). */
#define ALE_BACKLOG 32u
struct ale_backlog {
    UINT32 count;
    struct ale_operation *ends[ALE_BACKLOG];
};

struct ale {
    UINT64 now_ns;
    UINT64 left_out_ns; /* of the time since the host began: what ale_clock() does not count */
    UINT32 tick;        /* ale_tick(): of that time */
    struct ale_backlog backlog;
    struct span operations, rests; /* struct ale_operation, struct ale_rest, by slot */
    /* HANDLE, by slot: of an accept that waits for one completion and nothing else, its context; else NULL. That is all
     * that host_complete() must look at, and of many operations it stays in the caches. */
    struct span awaited;
    UINT32 operation_slots, operation_free; /* ever used; the list of free ones */
    struct ale_hold *holds;
    struct ale_context **contexts;         /* by flow id */
    UINT32 context_buckets, context_count; /* the count: ale_context.c's count_to() */
    struct ale_context *context_free;
    struct ale_context *dying;   /* out of the table; a classify still has them */
    struct ale_calling *calling; /* being called back */
    struct rt_cond *called;      /* ... no longer */
    struct ale_visitor *visitors;
    struct redirects *redirects; /* redirect_inside.h */
    struct ale_defer *defer;     /* ale_defer.c's; NULL: completions are carried out at once */
    UINT64 policy_version;
    UINT32 policy[2][2]; /* [inbound][IPv6]: of AC or RA, as host_flow.policy has it */
    bool options_registered[4];
    bool closing; /* host_shutdown() */
};
static inline struct ale *ale_of(const struct lane *l)
{
    return l->ale;
}

/* The scene's hold is in its thread's chain, until ale_classified(). */
static inline void ale_hold_enter(struct scene *s)
{
    struct ale_hold *k = &s->hold;
    struct rt_carried *me = rt_carried();

    k->scene = s;
    k->flow_id = s->flow_id;
    k->outer = me->hold;
    me->hold = k;
    k->entered = true;
    k->listed = false;
}

/* ale_flow_context(), for who knows that it is the scene's. */
UINT64 ale_flow_context_listed(struct scene *s, UINT16 layer_id, UINT32 callout_id);
static inline UINT64 ale_flow_context_of(struct scene *s, UINT16 layer_id, UINT32 callout_id)
{
    struct ale_hold *k = &s->hold;

    if (!k->entered)
        ale_hold_enter(s);
    if (__builtin_expect(k->listed || __atomic_load_n(&ale_of(s->lane)->context_count, __ATOMIC_RELAXED) != 0,
                         0))
        return ale_flow_context_listed(s, layer_id, callout_id);
    k->flow_id = s->flow_id;
    k->layer = layer_id;
    k->callout = callout_id;
    return 0;
}

/* ... whose hold is entered, and not listed: only its own thread lists it. */
static inline UINT64 ale_flow_context_held(struct scene *s, UINT16 layer_id, UINT32 callout_id)
{
    struct ale_hold *k = &s->hold;

    if (__builtin_expect(__atomic_load_n(&ale_of(s->lane)->context_count, __ATOMIC_RELAXED) != 0, 0))
        return ale_flow_context_listed(s, layer_id, callout_id);
    k->layer = layer_id;
    k->callout = callout_id;
    return 0;
}

/* One step of the table; what is impossible is counted and leaves the state as it is: false. */
bool ale_step(struct lane *l, uint8_t *state, enum ale_event event);
/* Of host_flow: raises its generation. */
bool ale_flow_step(struct lane *l, struct host_flow *f, enum ale_event event);

/* A new operation, running; NULL: out of memory. Takes a reference to e (may be NULL). */
struct ale_operation *ale_operation_begin(struct lane *l, enum ale_kind kind, struct host_endpoint *e,
                                          const struct host_flow *f);
int ale_operations_create(struct ale *ale); /* 0 or -ENOMEM */
void ale_operations_destroy(struct ale *ale);
/* Handles and contexts: the slot + 1, a ticket (from 1; a handle's is 0), the generation. */
#define ALE_SLOT_BITS    24
#define ALE_TICKET_SHIFT ALE_SLOT_BITS
#define ALE_MAX_SLOTS    ((1u << ALE_SLOT_BITS) - 1)

static inline uintptr_t ale_operation_slot(HANDLE handle)
{
    return ((uintptr_t)handle & ALE_MAX_SLOTS) - 1; /* wraps for 0 */
}

/* Where the operation stands, or stood, or never was, that a handle or context names. */
static inline struct ale_operation *ale_operation_named(const struct ale *ale, HANDLE handle)
{
    return (struct ale_operation *)ale->operations.base + ale_operation_slot(handle);
}

/* The operation that a handle or context names; NULL: none, any longer. */
static inline struct ale_operation *ale_operation_of(const struct ale *ale, HANDLE handle)
{
    struct ale_operation *op;

    if (ale_operation_slot(handle) >= ale->operation_slots)
        return NULL;
    op = ale_operation_named(ale, handle);
    return op->live && op->generation == (UINT32)((uintptr_t)handle >> 32) ? op : NULL;
}

static inline HANDLE ale_operation_handle(const struct ale_operation *op)
{
    return (HANDLE)((uintptr_t)op->generation << 32 | (uintptr_t)(op->slot + 1));
}

static inline HANDLE *ale_operation_awaited(const struct ale *ale, uintptr_t slot)
{
    return (HANDLE *)ale->awaited.base + slot;
}

/* What a context's ticket is in op->outstanding; 0: a handle's, or nobody's. */
static inline unsigned ale_operation_bit(HANDLE context)
{
    unsigned ticket = (unsigned)((uintptr_t)context >> ALE_TICKET_SHIFT & 0xff);

    return ticket != 0 && ticket <= ALE_TICKETS ? 1u << (ticket - 1) : 0;
}
/* An accept that waits, and the last of whose tickets is back: ended, and its flow let go, before anybody looks. */
static inline void ale_backlog_put(struct lane *l, struct ale_operation *op)
{
    struct ale_backlog *b = &ale_of(l)->backlog;

    b->ends[b->count++] = op;
    if (b->count == ALE_BACKLOG)
        ale_backlog_settle(l);
}
/* f: its flow, as ale_flow_at() has it; NULL: it is gone, or there is none. */
void ale_operation_end(struct lane *l, struct ale_operation *op, struct host_flow *f);
/* The innermost classify of this host's that runs on this thread; NULL: none does. Lane not held. */
static inline struct ale_hold *ale_hold_here(const struct host *h)
{
    struct ale_hold *k = rt_carried()->hold;

    while (k != NULL && k->scene->host != h)
        k = k->outer;
    return k;
}

/* A callout takes one of its tickets. Too many of them, or no memory: NULL. */
HANDLE ale_operation_pend(struct ale *ale, struct ale_operation *op, UINT32 callout);
/* Keeps what the scene says for the completion (false: no memory); the scene of a completion, of lane l. */
bool ale_operation_note(struct lane *l, const struct ale_operation *op, const struct scene *s);
void ale_operation_scene(const struct ale_operation *op, struct lane *l, struct scene *s);
/* It is BR's, CR's or EC's: takes the reference. False: no memory. */
bool ale_operation_redirect(struct lane *l, const struct ale_operation *op, struct redirect *r);
struct redirect *ale_operation_redirected(struct lane *l, const struct ale_operation *op); /* NULL: none */
/* op goes on where `from` was: its frame, what was noted, its redirect. False: no memory. */
bool ale_operation_inherit(struct lane *l, struct ale_operation *op, struct ale_operation *from);
/* Its classify came back, and it waits. */
void ale_operation_waits(struct lane *l, struct ale_operation *op, struct host_flow *f);
/* Its classify came back: ended, unless it waits. */
enum ale_outcome ale_operation_returned(struct lane *l, struct ale_operation *op, struct host_flow *f,
                                        const struct answer *a);
/* Completed while its classify still ran (PEND-23)? Then it is to be run now, the lane not held. */
bool ale_operation_due(const struct ale_operation *op);
/* All who pended it have completed it: what is to be done then. Of a cancelled one nothing. Tells
 * host_config.completed. The lane not held. */
void ale_operation_run(struct lane *l, struct ale_operation *op);
/* What a pended accept leaves: its packet is asked about when it comes again (PEND-24). Its lifetime is what it
 * was given when it was pended, and begins now. */
void ale_let_go(struct lane *l, struct host_flow *f);
/* Puts that off to the host's own thread (ale_defer.c). False: it is to be done at once. create: 0 or
 * -ENOMEM. */
bool ale_defer(struct lane *l, struct ale_operation *op);
int ale_defer_create(struct lane *l);
void ale_defer_destroy(struct lane *l);
/* Of those that wait for a flow or an endpoint; head: its `operations`. Cancelled ones wait for nothing. */
void ale_operations_cancel(struct lane *l, UINT32 head);
bool ale_operations_wait(const struct lane *l, UINT32 head,
                         const struct ale_operation *but /* may be NULL */);
bool ale_operation_of_frame(const struct lane *l, UINT32 head, UINT64 frame);

/* For who is not the lane's worker: the lane with a reader and room of its own, so that classifying does not
 * disturb the worker's. NULL: out of memory. Lane not held. */
struct lane *ale_visit(struct host *h);
void ale_leave(struct lane *visitor);

/* ---- endpoints (ale_endpoint.c) ---------------------------------------------------------------------------
 */

struct ale_group {
    struct ale_group *next;
    union wire_addr address;
};

struct ale_endpoint {
    _Alignas(64) struct host_endpoint e; /* first; with what says that it lives two cache lines */
    UINT32 slot;                         /* > 0 */
    bool live, hashed, is_explicit, lingers, closed;
    UINT32 next, port_next; /* chains of its key and of its port; free ones by next */
    uint8_t bind, listen;   /* enum ale_state */
    /* What its end looks at: a cache line, which is fetched when the end is in sight. */
    UINT32 operations;                         /* binds and listens that wait, as host_flow.operations */
    bool moved;                                /* BR: it is bound elsewhere than was asked for */
    UINT32 idle_older, idle_newer, idle_since; /* while it lingers */
    struct ale_group *groups;
    struct redirect_records *records; /* a reference; NULL: it is no proxy's */
    struct redirect *closure;         /* its closure waits (RED-31); NULL */
    struct ale_endpoint *dead;
    union wire_addr connected; /* TCP: the address that its connect was from, where its own is the wildcard */
    UINT64 answers, loose;     /* flows that admit other peers' packets (ALE-08, ALE-10); 0: none */
    UINT32 answers_slot, loose_slot;
};
static inline struct ale_endpoint *ale_endpoint_of(const struct host_endpoint *e)
{
    return (struct ale_endpoint *)e;
}

struct ale_endpoint_key {
    uint8_t version, protocol;
    UINT16 port;
    union wire_addr local;
};

int ale_endpoints_create(struct lane *l);
void ale_endpoints_destroy(struct lane *l);
/* With one reference, the lane's. NULL: out of memory or at the limit. */
struct host_endpoint *ale_endpoint_make(struct lane *l, const struct ale_endpoint_key *k,
                                        const struct host_owner *owner);
void ale_endpoint_show(struct lane *l, struct host_endpoint *e);          /* lookups find it from now on */
struct host_endpoint *ale_endpoint_at(const struct lane *l, UINT32 slot); /* NULL: free */
UINT32 ale_endpoints_slots(const struct lane *l);                         /* all slots are below */
void ale_endpoint_ref(struct host_endpoint *e);
void ale_endpoint_unref(struct lane *l, struct host_endpoint *e);
/* It gets another local end, before it has flows. */
void ale_endpoint_move(struct lane *l, struct host_endpoint *e, const struct ale_endpoint_key *k);
/* Is another than `but` bound there? */
bool ale_endpoint_is_taken(const struct lane *l, const struct ale_endpoint_key *k,
                           const struct host_endpoint *but);
/* A flow begins or no longer is its. */
void ale_endpoint_take(struct lane *l, struct host_endpoint *e);
void ale_endpoint_give(struct lane *l, struct host_endpoint *e);
/* It may linger from now on, or anew: it was looked at and has no flow. */
void ale_endpoint_idle(struct lane *l, struct host_endpoint *e);
void ale_endpoint_forget(struct lane *l, struct host_endpoint *e); /* lookups find it no longer */
/* Who receives an unasked unicast packet, who sends one. NULL: nobody known. */
/* To which socket this packet of UDP would go. */
struct host_endpoint *ale_endpoint_hears(const struct lane *l, const struct wire_packet *p);
struct host_endpoint *ale_endpoint_receiver(const struct scene *s);
struct host_endpoint *ale_endpoint_sender(const struct scene *s);
bool ale_endpoint_is_raw_tcp(const struct scene *s);
/* Closes implied endpoints that lingered too long, frees what nobody refers to. Lane not held. */
void ale_endpoints_advance(struct lane *l);
/* Gives up one that has no flow, to make room. False: there is none. Lane not held. */
bool ale_endpoints_evict(struct lane *l);

/* Lane not held for these. `from`: the scene of the packet that is behind it; NULL: none is. */
void ale_endpoint_scene(struct scene *s, struct lane *l, struct host_endpoint *e, const struct scene *from);
enum ale_result ale_endpoint_bind(struct lane *l, struct host_endpoint *e, const struct scene *from,
                                  struct answer *a);
enum ale_result ale_endpoint_listen(struct lane *l, struct host_endpoint *e, const struct scene *from,
                                    struct answer *a);
/* RES, once BR is through. */
enum ale_result ale_endpoint_settle(struct lane *l, struct host_endpoint *e, struct scene *s,
                                    struct answer *a);
/* All of them; on another thread than the worker's they are torn down. */
void ale_endpoint_end_flows(struct lane *l, struct host_endpoint *e, enum host_flow_end how);
/* The second classify, after the completion (PEND-39). The filter that refused it; 0: none did. */
UINT64 ale_endpoint_completed(struct lane *l, struct ale_operation *op);
/* EC; RR and out of the tables: before and after what its flows' contexts are told (ALE-33). closure: true: it waits, and
 * all of the rest comes when it is completed (RED-31). */
bool ale_endpoint_closure(struct lane *l, struct host_endpoint *e, const struct scene *from);
void ale_endpoint_release(struct lane *l, struct host_endpoint *e, const struct scene *from);
/* All of it, with its flows. */
void ale_endpoint_close(struct lane *l, struct host_endpoint *e, enum host_flow_end how);

/* ---- finding (ale_find.c) ---------------------------------------------------------------------------------
 */

/* The key of the scene's tuple; as_reply: of the request that it answers, if it is ICMP and does. */
void ale_key(const struct scene *s, struct host_flow_key *k, bool as_reply);
/* ... under which ale_decide() keeps the flow of a scene that ale_find() found none for. */
void ale_key_of_new(const struct scene *s, struct host_flow_key *k);
void ale_policy_notice_slow(struct lane *l);
static inline void ale_policy_notice(struct lane *l)
{
    if (__builtin_expect(ale_of(l)->policy_version != engine_version(l->host->config.engine), 0))
        ale_policy_notice_slow(l);
}
bool ale_is_mapped(const struct lane *l, const struct host_flow *f);
static inline __attribute__((always_inline)) uint32_t ale_policy_of(const struct lane *l,
                                                                    const struct host_flow *f)
{
    bool v6 = f->key.version == 6;

    if (__builtin_expect(l->host->config.knobs.mapped_v6 && !v6, 0))
        v6 = ale_is_mapped(l, f);
    return ale_of(l)->policy[(f->flags & FLOW_INBOUND) != 0][v6];
}
/* An endpoint that a packet implies. The lane may be left for a moment, where room must be made. */
struct host_endpoint *ale_endpoint_imply(struct scene *s, bool wildcard, bool remote_known);

/* ---- authorization (ale_authorize.c, ale_ask.c, ale_again.c)
 * ----------------------------------------------------------------------
 */

UINT64 ale_now(struct lane *l); /* lane not held */
static inline uint32_t ale_tick(const struct lane *l)
{
    return ale_of(l)->tick;
}
void ale_clock(struct lane *l, UINT64 now_ns); /* it is now so late */
/* The completion of a pended AC: the classify that PEND-17 describes. The filter that refused it; 0: none did.
 * *tell: false: another one took its place (RED-26). Lane not held. */
UINT64 ale_connect_completed(struct lane *l, struct ale_operation *op, bool *tell);
/* ale_ask.c: classifies the copy t; o: takes options; NULL: none may be set. Lane not held. */
void ale_ask(struct scene *t, enum host_layer role, struct ale_options *o, struct answer *a);
/* What ale_ask() would be answered from memory, so that nobody can pend; NULL: it is to be asked. For ale_known(), at once,
 * which needs no copy: the scene is as it was behind it. */
const struct recalled *ale_recalls(struct scene *s, enum host_layer role);
void ale_known(struct scene *s, enum host_layer role, const struct recalled *known, struct ale_options *o,
               struct answer *a);
void ale_as_its_request(struct scene *s, const struct host_flow *f);
void ale_as_its_socket(struct scene *s); /* MATCH-23: as a dual-stack socket sees IPv4 */
/* For CR, once it is completed: AC of a flow that is CLASSIFYING, or its refusal. Lane not held. */
enum ale_result ale_authorize_connect(struct scene *s, struct answer *a);
void ale_deny_connect(struct scene *s);
/* TCP: which SYN was refused or pended, to know its repetitions. Lane held. */
void ale_note_sequence(const struct scene *s, struct host_flow *f);
/* Points s at an entry that is to be asked about, for an endpoint. False: out of memory. Lane not held. */
bool ale_enter(struct scene *s, struct host_endpoint *e, bool inbound, uint8_t flags);
/* What a permitted flow becomes. */
void ale_authorized(struct lane *l, const struct scene *s, struct host_flow *f, const struct ale_options *o,
                    uint32_t policy);
/* FE of what has no handshake (ALE-11). False: blocked there, or the flow is gone. Lane not held. */
bool ale_establish(struct scene *s, bool with_packet, struct answer *a);
/* Has another thread ended the scene's flow? Then its packet is dropped with it, and nobody is asked. */
bool ale_is_over(const struct scene *s, const struct host_flow *f);
enum ale_result ale_overtaken(const struct scene *s, enum host_layer layer, struct answer *a);
void ale_tell(struct lane *l, UINT32 slot, UINT64 id, enum host_flow_change change); /* lane not held */
/* ale_again.c; lane not held. A flow for a connection whose beginning was not seen; false: no memory. */
bool ale_adopt(struct scene *s, bool accepted);
enum ale_result ale_ask_again(struct scene *s, UINT32 reasons, struct answer *a);
/* A flow is refused: what follows of it for endpoint and contexts. Lane not held. */
void ale_refuse(struct lane *l, UINT32 slot, UINT64 id, const struct scene *from);
void ale_tear_down(struct lane *l, UINT32 slot, UINT64 id, enum host_flow_end how, const struct scene *from);
/* Is it of a connection, or only of packets? */
static inline bool ale_is_tcp(const struct host_flow *f)
{
    return f->key.protocol == WIRE_PROTOCOL_TCP && !(f->marks & FLOW_MARK_RAW);
}

/* ---- flows (ale_flow.c) -----------------------------------------------------------------------------------
 */

void ale_flow_info(const struct lane *l, const struct host_flow *f, enum host_flow_end end,
                   struct host_flow_info *out);
/* Tells the observer. Lane not held. */
void ale_flow_tell(struct lane *l, enum host_flow_change change, const struct host_flow_info *info);
struct host_flow *ale_flow_at(struct lane *l, UINT32 slot, UINT64 id); /* NULL: gone */
struct host_flow *ale_flow_oldest(struct lane *l); /* NULL: none. Lane not held, by the worker alone */
void ale_flow_lifetime(struct lane *l, struct host_flow *f, uint32_t seconds, bool own);
/* Out of the table. Contexts must have been taken. */
void ale_flow_drop(struct lane *l, struct host_flow *f);
/* It was used now: flow_table_touch(), of which this is all for a flow whose lifetime is as it was (whoever changes
 * one tells the table at once), as the table's time is that of the last tick (ale_advance()). */
static inline void ale_flow_used(struct lane *l, struct host_flow *f)
{
    if (f->used != ale_tick(l))
        f->used = ale_tick(l);
}
/* Has it been idle for too long? */
bool ale_flow_is_idle_slow(const struct lane *l, const struct host_flow *f);
static inline bool ale_flow_is_idle(const struct lane *l, const struct host_flow *f)
{
    if (f->lifetime == 0 ||
        (ale_tick(l) - f->used < f->lifetime * ALE_TICKS && !l->host->config.knobs.shorten_idle))
        return false;
    return ale_flow_is_idle_slow(l, f);
}
/* ale_refresh() of this flow, by a packet of that direction. */
void ale_refresh_flow_slow(struct lane *l, struct host_flow *f, bool inbound);
static inline void ale_refresh_flow(struct lane *l, struct host_flow *f, bool inbound)
{
    if (__builtin_expect(l->host->config.knobs.shorten_idle || (f->flags & FLOW_REFRESH_OUT_ONLY) != 0, 0))
        ale_refresh_flow_slow(l, f, inbound);
    else
        ale_flow_used(l, f);
}
/* All contexts of a flow are given back: flowDeleteFn now, or when the classify that has it returns. Lane not
 * held. */
void ale_contexts_end(struct lane *l, UINT64 flow_id);
void ale_contexts_destroy(struct lane *l);
void ale_flows_expire(struct lane *l); /* lane not held */
/* The built-in callouts that set options (ALE-10); their absence from an engine that has its own is no error.
 * Lane not held. */
void ale_options_register(struct lane *l);
void ale_options_unregister(struct lane *l);

#endif
