/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of redirection know of each other; redirect.c tells the design. Unless said otherwise the lane's lock is
 * held (rt_mutex_lock(): these come on any thread). */
#ifndef WEIR_HOST_REDIRECT_INSIDE_H
#define WEIR_HOST_REDIRECT_INSIDE_H

#include "host/ale_inside.h"
#include "host/host_redirect.h"

struct redirects;

enum redirect_kind { REDIRECT_BIND, REDIRECT_CONNECT, REDIRECT_CLOSURE };

union redirect_request {
    FWPS_CONNECT_REQUEST0 connect;
    FWPS_BIND_REQUEST0 bind;
};

/* One version of a request. `is` is the host's, `shown` what drivers see and may scribble on. */
struct redirect_version {
    struct redirect_version *previous; /* NULL: what was asked for */
    struct redirect_version *all;      /* of the redirect: freed with it */
    union redirect_request is, shown;
    UINT64 filter_id;
    UINT32 number;     /* in the order of applying; 0: what was asked for */
    bool owns_context; /* is.connect.localRedirectContext is the host's to free */
};

/* What the callout of one filter said. */
struct redirect_answer {
    UINT64 filter_id;
    UINT32 callout;
    UINT32 applied; /* the number of the last version that it made; 0: none */
    bool asking;    /* its classifyFn runs */
    bool pended, completed;
    bool again;                        /* completed with NULL */
    bool watches;                      /* RED-17 */
    bool settled;                      /* `out` is its answer */
    HANDLE ticket;                     /* of the operation, while pended */
    struct redirect_version *writable; /* acquired and not applied; NULL */
    FWPS_CLASSIFY_OUT0 out;
};

#define REDIRECT_ROUNDS 16u /* so often somebody may be asked again because another changed the request */

struct redirect {
    struct redirect *newer, *older; /* of all: the host's end frees what is left */
    struct host *host;
    struct ale_operation *op; /* NULL: it is over */
    struct redirect_version *current, *all;
    struct redirect_answer *answers;
    struct engine_turns turns;
    union redirect_request view, pristine; /* layerData; as it was shown */
    UINT32 references;                     /* the operation's, one a handle */
    UINT32 answer_count, answer_room;
    UINT32 asking; /* whose turn it is; UINT32_MAX: nobody's */
    UINT32 versions, rounds;
    uint8_t kind;
    uint8_t version; /* of the addresses in the request: 6 where a dual-stack socket sees IPv4 */
    bool waits;      /* somebody has pended it in this round: those behind him are not asked */
    bool over;       /* decided, or nobody waits for it */
    bool no_memory;
    /* A closure: what EC is asked about, what is done behind it. */
    union wire_addr scene_remote;
    UINT16 scene_remote_port;
    bool any_remote, inbound;
    enum host_flow_end how;
    bool whole;    /* the endpoint's flows end, too */
    UINT64 *flows; /* whose contexts end */
    UINT32 flow_count, flow_room;
};

/* A closure that is asked of one callout: it becomes a redirect only when the callout acquires a handle. */
struct redirect_late {
    UINT64 filter_id;   /* the callout's */
    struct redirect *r; /* NULL: not yet */
};

/* ---- redirect.c */
struct redirect *redirect_new(struct lane *l, enum redirect_kind kind); /* lane not held; NULL: no memory */
void redirect_unref(struct redirect *r);
void redirect_dropped(struct redirect *r);                   /* its operation has ended */
void redirect_free(struct redirects *x, struct redirect *r); /* whoever refers to it */
/* Asks until somebody pends it or all have said what they have to say. Lane not held. */
void redirect_ask(struct lane *l, struct redirect *r, const struct scene *s, enum host_layer role,
                  struct answer *a);
/* The operation's answer came back and it waits: chained; true: it was completed meanwhile, and is to be run. */
bool redirect_waits(struct lane *l, struct redirect *r, struct host_flow *f);
/* ... but nobody waits for it any more: its completions are owed all the same (PEND-41). f: its flow; NULL: gone, none. */
void redirect_abandon(struct lane *l, struct ale_operation *op, struct host_flow *f);
/* A new operation for the next rounds, in the place of the one that was completed. False: no memory. */
bool redirect_renew(struct lane *l, struct redirect *r, enum ale_kind kind, const struct host_flow *f);
void redirect_report(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Its only callout begins to be asked; to have answered. False: no memory. */
bool redirect_turn_begins(struct redirect *r, UINT64 filter_id, UINT32 callout);
void redirect_turn_ends(struct redirect *r);
bool redirect_has_filters(struct lane *l, enum host_layer role, uint8_t version); /* lane not held */
/* Nobody is asked or told there. */
bool redirect_may_skip(struct lane *l, enum host_layer role, uint8_t version);

/* ---- addresses */
void redirect_sockaddr(SOCKADDR_STORAGE *out, uint8_t version, const union wire_addr *a, UINT16 port);
/* False: it is of another family than `version`. */
bool redirect_address(const SOCKADDR_STORAGE *in, uint8_t version, union wire_addr *a, UINT16 *port);

/* ---- the host's (redirect_records.c, redirect_wire.c, classify_handle.c) */

struct redirect_token; /* a redirect handle */

/* A connection that goes elsewhere. */
struct redirected {
    struct redirected *next;      /* by flow id */
    struct redirected *next_pair; /* by the ends as given */
    UINT32 references;            /* its flow's, one for each set of records that names it */
    UINT64 number;                /* never used again: records name it */
    struct host_redirected told;
    UINT64 handle; /* of who redirected it to a local proxy; 0: it did not go there */
    void *context; /* pool; the host's */
    SIZE_T context_size;
    struct redirect_records *before; /* what its own socket had: it is a proxy's; a reference */
    const struct host_owner *owner;  /* of the first application */
    bool gone;                       /* its flow is */
    bool twice;                      /* AC is asked about both tuples (RED-26), */
    bool permitted;                  /* ... and has permitted the one that was asked for */
    bool joined;                     /* other flows were redirected to the same ends, and are this one */
};

/* What a proxy's socket was given: the redirections that led to it, newest first. */
struct redirect_records {
    UINT32 references;
    UINT32 slot, generation;
    UINT32 count;
    struct redirected *of[];
};

struct redirects {
    struct redirect *newest;
    bool any;            /* somebody was redirected, or given records, ever: read without the lock */
    struct span handles; /* classify_handle.c's */
    UINT32 handle_slots, handle_free;
    struct redirect_token *tokens;
    UINT32 token_count, token_room;
    struct redirect_records **records;
    UINT32 records_count, records_generation;
    struct redirected **flows, **pairs;
    UINT32 buckets, flow_count;
    struct redirect_wire *wire; /* redirect_wire.c's; NULL: nothing is translated */
    UINT64 next_number;
    UINT32 joined; /* flows that share their ends with others that were redirected, ever */
    struct host_redirect_counts counts;
};
static inline struct redirects *redirects_of(const struct host *h)
{
    return ale_of(&h->lanes[0])->redirects;
}
int redirects_create(struct ale *ale);  /* 0 or -ENOMEM */
void redirects_destroy(struct lane *l); /* before its endpoints */

/* classify_handle.c */
int classify_handles_create(struct redirects *x);
void classify_handles_destroy(struct redirects *x);

/* redirect_records.c */
bool redirect_token_is(const struct redirects *x, HANDLE handle);
struct redirected *redirected_of_flow(const struct redirects *x, UINT64 flow_id);
struct redirected *redirected_of_ends(const struct redirects *x, const struct host_redirect_ends *given);
/* Takes *r's members over. False: no memory. */
bool redirected_add(struct redirects *x, const struct redirected *r);
/* Has there been any? Asked with the lane's lock and without: of its own flow whoever asks knows. */
static inline bool redirected_any(const struct lane *l)
{
    return __atomic_load_n(&ale_of(l)->redirects->any, __ATOMIC_RELAXED);
}
/* What people are told of it. */
void redirected_info(const struct lane *l, UINT64 flow_id, struct host_flow_info *out);
/* Its flow has ended. */
void redirected_end(struct lane *l, UINT64 flow_id);
void redirect_records_unref(struct redirects *x, struct redirect_records *r);

HANDLE redirect_records_handle(const struct redirect_records *r);

/* redirect_wire.c: frames of `asked` are to be those of `given`, both ways; flow_id 0: of a bind, whatever their remote
 * end. False: no memory. end: the flow or endpoint is over, what comes late is still translated for a while. */
bool redirect_translate(struct redirects *x, const struct host_redirect_ends *asked,
                        const struct host_redirect_ends *given, UINT64 flow_id, UINT64 endpoint_id);
void redirect_translate_end(struct redirects *x, UINT64 flow_id, UINT64 endpoint_id, UINT64 now_ns);
void redirect_wire_destroy(struct redirects *x);
/* The scene's packet, which goes out, is that of `given` from now on. Lane not held. */
void redirect_rewrite(struct scene *s, const struct host_redirect_ends *given);

/* ---- what ALE calls (lane not held) */

/* CR. ALE_PASS: go on with AC, the scene's tuple is where it goes; ALE_PENDING; refused: `a` says how. */
enum ale_result redirect_connect(struct scene *s, struct answer *a);
/* BR. As above; the endpoint is bound where it says. */
enum ale_result redirect_bind(struct lane *l, struct host_endpoint *e, struct scene *s, struct answer *a);
/* EC. True: it waits; the rest comes with the completion. */
bool redirect_closure(struct lane *l, struct host_endpoint *e, struct scene *s);
/* scene->late: its callout acquires a handle. NULL: no memory. */
struct redirect *redirect_closure_late(struct scene *s, UINT32 callout);
/* What is done behind the closure of this endpoint, which waits: also the contexts of that flow. False: it does not
 * wait; the caller does it now. Lane held. */
/* ... that all of its flows end in this way. */
bool redirect_closure_ends(struct host_endpoint *e, enum host_flow_end how);
bool redirect_closure_adds(struct lane *l, struct host_endpoint *e, UINT64 flow_id);
/* A completed operation of theirs goes on. *tell: it is decided. The filter that refused it; 0: none did. */
UINT64 redirect_connect_completed(struct lane *l, struct ale_operation *op, bool *tell);
UINT64 redirect_bind_completed(struct lane *l, struct ale_operation *op, bool *tell);
void redirect_closure_completed(struct lane *l, struct ale_operation *op);
/* The tuple that was asked for, of a flow whose AC is asked twice (RED-26). False: once. Lane held. */
void redirect_scene_goes(struct scene *s,
                         const struct host_flow *f); /* from there to where it goes; then AC once */
bool redirect_asks_twice(const struct scene *s, const struct host_flow *f, struct scene *asked);

/* What AC and CR are told of a redirected or proxied connection (RED-25, 26). */
struct redirect_shown {
    UINT64 target;
    bool redirected;
    SOCKADDR_STORAGE original;
    HANDLE records;
};
void redirect_dress(struct scene *t, enum host_layer role, struct redirect_shown *room);

/* ---- both ends of a connection as a key ---------------------------------------------------------------------- */

static inline UINT32 redirect_hash(UINT64 x)
{
    x ^= x >> 32;
    x *= 0x9e3779b97f4a7c15ull;
    return (UINT32)(x >> 32);
}

static inline UINT32 redirect_hash_ends(const struct host_redirect_ends *e)
{
    UINT64 x = e->local.word[0] * 0xff51afd7ed558ccdull ^ e->local.word[1] * 31;

    x ^= e->remote.word[0] * 0xc4ceb9fe1a85ec53ull ^ e->remote.word[1];
    return redirect_hash(x ^ (UINT64)e->local_port << 32 ^ (UINT64)e->remote_port << 8 ^ e->protocol);
}

static inline bool redirect_same_ends(const struct host_redirect_ends *a, const struct host_redirect_ends *b)
{
    return a->version == b->version && a->protocol == b->protocol && a->local_port == b->local_port &&
           a->remote_port == b->remote_port && wire_addr_equal(&a->local, &b->local) &&
           wire_addr_equal(&a->remote, &b->remote);
}

#endif
