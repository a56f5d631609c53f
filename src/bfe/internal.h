/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bfe's inside: the object model that the files of this room share. No other room includes it.
 *
 * OBJECTS. An object (struct bfe_object) is one malloc'd block: header, documented struct (FWPM_FILTER0 ...),
 * and everything that struct points to. The documented part never changes once the object is linked (an
 * import exchanges a built-in object's as a whole); a change of its security descriptor swaps the pointer
 * `sd`. Blocks are reference counted: the tables own one reference, each undo entry one, each enumeration
 * snapshot one a row. All counts are guarded by the mutex.
 *
 * TABLES. One a kind: chained hash by key and (where the kind has one) by run-time id, and a list in
 * the order of adding. Linking sets the pointers to what the object refers to (ref[]) and counts `users`
 * there, so that IN_USE (OBJ-14) is one comparison. Dynamic objects are also on their session's list.
 *
 * TRANSACTIONS. Tables are changed in place by the one session that holds the write lock, with an undo log:
 * one entry an add, delete or descriptor change. Others cannot see the uncommitted state, because each of
 * their calls needs at least the read lock (OBJ-07); classification cannot, because the engine is told at
 * commit only (OBJ-11). A failing call rolls the log back to its own mark (OBJ-06); abort rolls back to 0;
 * links are undone in exact reverse, so that lists return to the order they had. Commit takes the net changes
 * (an object both added and deleted in the transaction cancels out): resolve late references -> store prepare
 * -> engine_txn_* -> store commit -> publish -> release the log. Whatever fails before the engine's commit
 * undoes all of it: nothing has changed.
 *
 * THE LOCK. `mutex` guards everything in struct bfe and is held for the whole of each call, never across a
 * wait or a call out of the room except into engine, store and security, which never call back. The
 * transaction lock is a state under the mutex: `writer` (a session in a write transaction) or `readers`
 * (sessions in read-only ones). Calls outside a transaction need the lock for their own length only, and as
 * the mutex is held all that while they never show up in `readers`. Waiting is on `changed`, to the session's
 * own time-out (OBJ-09) or the holder's hour (OBJ-10), whichever comes first: the waiter then aborts the
 * holder's transaction. A waiting writer keeps new read-only *transactions* out, so that it is not starved;
 * single reads pass. Order: mutex, then whatever bfe's outer half guards its queues with. Never the reverse.
 *
 * SESSIONS.  OPEN --service stops--> ABORTED (each call: SESSION_ABORTED) --close--> gone
 *            OPEN --close--> its transaction is aborted --> its dynamic objects go, one atomic change -->
 * gone If another session holds the lock at that moment, the closed session stays as an ORPHAN and whoever
 * releases the lock removes its objects first: nobody could tell the difference, for nobody else could have
 * looked. `busy` counts calls that wait inside a session; close waits for them to leave. Transaction of a
 * session:  NONE --begin--> READ | WRITE --commit, abort--> NONE READ | WRITE --one hour, user mode-->
 * EXPIRED (calls: TXN_ABORTED) --end--> NONE
 *
 * LIFETIMES. BUILTIN objects are there whenever the service runs. PERSISTENT ones are written to the store at
 * commit and read at start; BOOTTIME filters count as persistent. STATIC ones go when the service stops,
 * DYNAMIC ones with their session.
 *
 * WHO CALLS WHOM. The outer half (enumeration, access, subscriptions, events) implements the functions
 * at the end of this file. All of them are called with the mutex held, so they only look, copy and enqueue;
 * delivery to callbacks is on a thread of its own that holds no lock (OBJ-35).
 */
#ifndef WEIR_BFE_INTERNAL_H
#define WEIR_BFE_INTERNAL_H

#include "bfe/bfe.h"

/* ---- objects ---------------------------------------------------------------------------------------- */

enum bfe_lifetime { BFE_STATIC, BFE_DYNAMIC, BFE_PERSISTENT, BFE_BUILTIN };

/* An immutable self-relative security descriptor, shared by count (guarded by the mutex). */
struct bfe_sd {
    UINT32 refs;
    UINT32 size;
    UINT8 bytes[];
};

/* What an object can refer to. */
enum bfe_ref { BFE_REF_PROVIDER, BFE_REF_SUBLAYER, BFE_REF_CALLOUT, BFE_REF_CONTEXT, BFE_REFS };

struct bfe_object {
    /* Fixed while linked. */
    GUID key;
    UINT64 id;  /* filterId, calloutId, providerContextId; 0 for kinds without */
    UINT64 seq; /* order of adding, never reused */
    enum bfe_kind kind;
    enum bfe_lifetime lifetime;
    UINT32 refs;
    UINT32 users;  /* linked objects that refer to this one */
    bool linked;   /* in the tables */
    bool fresh;    /* added by the transaction now open */
    bool told;     /* a callout was sent ADD for this filter */
    bool restored; /* came by bfe_restore_*: may refer to what is not there; a callout is foreign */
    const GUID *provider_key;         /* into the block, or NULL */
    struct bfe_session *owner;        /* DYNAMIC: its session; NULL otherwise, and once the session is gone */
    struct bfe_sd *sd;                /* NULL: as its container says */
    struct bfe_object *ref[BFE_REFS]; /* look at them only while linked */
    void *replaced; /* a block that took the place of the data (an imported record of a built-in object), or
                       NULL */
    struct engine_filter *running; /* a filter's form in the engine; NULL when it does not run there */
    /* Links. */
    struct bfe_object *key_next, *id_next;
    struct bfe_object *prev, *next;             /* all of this kind in the order of adding */
    struct bfe_object *owned_prev, *owned_next; /* a dynamic session's */
    union {
        const void *data;
        const FWPM_PROVIDER0 *provider;
        const FWPM_PROVIDER_CONTEXT3 *context;
        const FWPM_SUBLAYER0 *sublayer;
        const FWPM_CALLOUT0 *callout;
        const FWPM_FILTER0 *filter;
    };
};

struct bfe_table {
    struct bfe_object **by_key, **by_id; /* 1 << bits chains each; by_id NULL until the first id */
    unsigned bits;
    size_t count;
    struct bfe_object *first, *last;
};

/* Unlinked objects have one reference, the caller's. */
struct bfe_object *bfe_object_ref(struct bfe_object *o);
void bfe_object_unref(struct bfe_object *o);               /* NULL is harmless */
struct bfe_sd *bfe_sd_create(const void *sd, size_t size); /* NULL: no memory */
void bfe_sd_unref(struct bfe_sd *sd);

struct bfe_object *bfe_find(struct bfe *b, enum bfe_kind kind, const GUID *key);
struct bfe_object *bfe_find_id(struct bfe *b, enum bfe_kind kind, UINT64 id);
NTSTATUS bfe_not_found(enum bfe_kind kind); /* STATUS_FWP_FILTER_NOT_FOUND ... */

/* ---- sessions, transactions -------------------------------------------------------------------------- */

/* EXPIRED: forcibly aborted, the next call says so; EXPIRED_TOLD: it has said so, commit, abort or begin move
 * on. */
enum bfe_txn_state { BFE_TXN_NONE, BFE_TXN_READ, BFE_TXN_WRITE, BFE_TXN_EXPIRED, BFE_TXN_EXPIRED_TOLD };

struct bfe_session {
    struct bfe *bfe;
    struct bfe_session *prev, *next; /* b->sessions */
    FWPM_SESSION0 *desc;             /* one block, bfe_free; what session enumeration shows */
    struct bfe_caller caller;        /* token by reference; sid and user name are in `desc` */
    bool dynamic;
    bool aborted;   /* the service stopped under it */
    bool closing;   /* bfe_session_close has begun */
    bool orphan;    /* closed; lives on until its dynamic objects can go */
    UINT32 busy;    /* calls inside, close waits for them */
    UINT64 wait_ns; /* RT_FOREVER: INFINITE */
    enum bfe_txn_state txn;
    UINT64 txn_deadline; /* when the hour is over; RT_FOREVER for kernel callers */
    struct bfe_object *owned_first, *owned_last;
    struct bfe_enum *enums; /* open enumerations: the outer half's, freed by bfe_enums_drop() */
};

enum bfe_undo_op { BFE_UNDO_ADD, BFE_UNDO_DELETE, BFE_UNDO_SD, BFE_UNDO_DATA };
struct bfe_undo {
    enum bfe_undo_op op;
    struct bfe_object *object; /* a reference */
    union {                    /* what it was */
        struct bfe_sd *sd;
        void *replaced;
    };
};

enum bfe_service { BFE_BOOTING, BFE_RUNNING, BFE_STOPPED };

struct bfe {
    struct engine *engine;
    struct bfe_config config;
    struct rt_clock *clock;
    struct bfe_store *store;
    bool own_store;

    struct rt_mutex *mutex;
    struct rt_cond *changed; /* the transaction lock, or a session's busy count, may have changed */
    enum bfe_service service;
    struct bfe_table tables[BFE_KINDS]; /* of the five kinds that are stored */
    struct bfe_session *sessions;

    struct bfe_session *writer;
    UINT32 readers;
    UINT32 waiting_writers;

    struct bfe_undo *log; /* of the one write transaction */
    size_t log_count, log_capacity;

    UINT64 next_seq, next_filter_id, next_context_id, guid_state;
    UINT32 next_callout_id;

    /* The outer half's. */
    struct bfe_access *access;
    struct bfe_subscriptions *subscriptions;
    struct bfe_events *events;
    struct bfe_callouts *callouts; /* callouts.c's */
};

/*
 * Every call of the door stands between enter and leave. enter locks the mutex, checks the session, waits for
 * the transaction lock. On any status but STATUS_SUCCESS nothing is held.
 *
 *     status = bfe_enter_read(s);                 status = bfe_enter_write(s, &mark);
 *     if (status != STATUS_SUCCESS)               if (status != STATUS_SUCCESS)
 *         return status;                              return status;
 *     ... look ...                                status = ... bfe_link / bfe_unlink ...
 *     bfe_leave_read(s);                          return bfe_leave_write(s, mark, status);
 *
 * leave_write keeps the call's changes if status is success (committing them when there is no explicit
 * transaction, which can still fail: its result is the call's), rolls back to the mark otherwise.
 */
NTSTATUS bfe_enter_read(struct bfe_session *s);
void bfe_leave_read(struct bfe_session *s);
NTSTATUS bfe_enter_write(struct bfe_session *s, size_t *mark);
NTSTATUS bfe_leave_write(struct bfe_session *s, size_t mark, NTSTATUS status);
/* Without the transaction lock: for what no transaction covers (subscriptions, events, sessions). */
NTSTATUS bfe_enter(struct bfe_session *s);
void bfe_leave(struct bfe_session *s);

/* Changes; write lock held. Each logs its own undo. link takes over the caller's reference (also on failure).
 * Statuses: STATUS_NO_MEMORY; unlink: IN_USE, BUILTIN_OBJECT. */
NTSTATUS bfe_link(struct bfe *b, struct bfe_object *o);
NTSTATUS bfe_unlink(struct bfe *b, struct bfe_object *o);
NTSTATUS bfe_change_sd(struct bfe *b, struct bfe_object *o,
                       struct bfe_sd *sd); /* takes over sd; NULL: the default */

/* ---- copies ------------------------------------------------------------------------------------------- */
/*
 * A deep copy of a documented struct as one malloc'd block, the struct first. kind BFE_PROVIDER ..
 * BFE_SESSION. The source must have been checked. NULL: no memory.
 */
void *bfe_copy(enum bfe_kind kind, const void *src);
/* ... with room for a header of that many bytes (a multiple of 8) in front, not initialised. */
void *bfe_copy_after(size_t header, enum bfe_kind kind, const void *src);
size_t bfe_kind_size(enum bfe_kind kind); /* of the documented struct */
/* The same for an enumeration's page: an array of count pointers, then the copies, in one block. */
void **bfe_copy_array(enum bfe_kind kind, const void *const *src, size_t count);
/* What to copy of an object: its data, except for a callout that is registered just now, whose flag goes in
 * scratch. */
const void *bfe_object_view(struct bfe *b, const struct bfe_object *o, FWPM_CALLOUT0 *scratch);
/* The documented form of a built-in layer: static shell in *shell and *fields (ENGINE_MAX_FIELDS) to copy
 * from. */
void bfe_layer_describe(const struct engine_layer *layer, FWPM_LAYER0 *shell, FWPM_FIELD0 *fields);

/* ---- what the outer half implements ----------------------------------------------------------- */

/* One net change of a committed transaction. */
struct bfe_change {
    enum bfe_kind kind;
    bool added;
    struct bfe_object *object; /* of the committer: take a reference to keep it */
};

/* BFE_KINDS stands for the engine itself (OPEN, BEGIN_READ_TXN, CLASSIFY ...). */
#define BFE_ENGINE BFE_KINDS

/* May the session's caller do this? object NULL: the kind's container. Kernel callers never get here:
 * call bfe_may(). STATUS_SUCCESS or STATUS_ACCESS_DENIED. */
NTSTATUS bfe_access_check(struct bfe_session *s, enum bfe_kind kind, const struct bfe_object *object,
                          UINT32 right);

static inline NTSTATUS bfe_may(struct bfe_session *s, enum bfe_kind kind, const struct bfe_object *object,
                               UINT32 right)
{
    return s->caller.kernel ? STATUS_SUCCESS : bfe_access_check(s, kind, object, right);
}

/* The same for one layer, which is no stored object. */
NTSTATUS bfe_access_check_layer(struct bfe_session *s, const struct engine_layer *layer, UINT32 right);

static inline NTSTATUS bfe_may_layer(struct bfe_session *s, const struct engine_layer *layer, UINT32 right)
{
    return s->caller.kernel ? STATUS_SUCCESS : bfe_access_check_layer(s, layer, right);
}

/* The service's state changes: subscribers are told (FWPM_SERVICE_START_PENDING also empties the event log).
 */
void bfe_state_publish(struct bfe *b, FWPM_SERVICE_STATE state);

/* A transaction of session s (NULL: the service itself, start or stop) was committed. Must not fail: what
 * cannot be queued is dropped, and counted as FWP_E_NOTIFICATION_DROPPED. */
void bfe_changes_publish(struct bfe *b, struct bfe_session *s, const struct bfe_change *changes,
                         size_t count);

/* The session ends or is aborted: free its enumerations and subscriptions. The second is called without the
 * mutex, before the session goes, and returns when no callback of the session runs any more. */
void bfe_enums_drop(struct bfe_session *s);
void bfe_subscriptions_drop(struct bfe_session *s);

/* Life of the outer half: create returns 0 or -ENOMEM; destroy is given NULL members when create failed. */
int bfe_outer_create(struct bfe *b);
void bfe_outer_destroy(struct bfe *b);

#endif
