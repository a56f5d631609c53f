/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bfe: the door of the management room, named for Windows' Base Filtering Engine service.
 *
 * It keeps the objects - sessions, transactions, providers, provider contexts, sublayers, callouts, filters,
 * the event log - checks what callers may do, and hands committed filters to the engine. Section 1 of the
 * semantics (OBJ) is its law. The exported Fwpm*0 functions (room api) only check pointers and call here.
 *
 *   api (kernel: NTSTATUS, unchecked | user: FWP_E_*, access checks) --> bfe session --> store --> engine_txn
 *
 * Every call names a session. Status is always NTSTATUS here; api converts to Win32 codes for the user
 * flavour. Objects handed out (get, enum) are one block each, freed with bfe_free(). Locking: one
 * reader/writer lock over the store, owned by sessions, not threads (OBJ-07); notifications are delivered by
 * bfe's own thread after commit, holding no lock (OBJ-35).
 */
#ifndef WEIR_BFE_BFE_H
#define WEIR_BFE_BFE_H

#include "fwpmk.h"
#include "engine/engine.h"
#include "rt/rt.h"

struct bfe;
struct bfe_session;
struct bfe_store; /* where persistent objects live; in memory for now */

/* ---- life of the service ---------------------------------------------------------------------------- */
struct bfe_config {
    struct rt_clock *clock;  /* NULL: the real one */
    struct bfe_store *store; /* NULL: a store of its own */
    /* Is this service (a provider's serviceName) auto-start? NULL: all are. (OBJ-27) */
    bool (*service_autostart)(void *ctx, const WCHAR *service);
    void *ctx;
    bool boot; /* start before the service does: only boot-time filters act, until bfe_start() (OBJ-29) */
};
/* All return 0, -ENOMEM, or -EINVAL: the store holds what cannot be loaded. bfe_destroy closes what is open.
 */
int bfe_create(struct engine *engine, const struct bfe_config *config, struct bfe **out);
void bfe_destroy(struct bfe *b);
int bfe_stop(struct bfe *b); /* the service stops: static objects go, sessions are aborted (OBJ-03, OBJ-12) */
int bfe_start(struct bfe *b); /* ... and starts again from its store; boot-time filters cease to act */
int bfe_store_create(struct bfe_store **out);
void bfe_store_destroy(struct bfe_store *s);

/* ---- sessions, transactions ------------------------------------------------------------------------- */
struct bfe_caller {
    bool kernel; /* never checked (OBJ-37) */
    const FWP_BYTE_BLOB
        *token; /* a user caller's token (room security); copied by reference, must outlive the session */
    UINT32 process_id;
    const SID *sid;
    const WCHAR *user_name;
};
NTSTATUS bfe_session_open(struct bfe *b, const struct bfe_caller *caller, const FWPM_SESSION0 *session,
                          struct bfe_session **out);
NTSTATUS bfe_session_close(struct bfe_session *s); /* NULL is harmless */
/* Announces the close: calls that wait in the session, and all later ones, return STATUS_FWP_SESSION_ABORTED.
 */
void bfe_session_cancel(struct bfe_session *s);
NTSTATUS bfe_txn_begin(struct bfe_session *s, UINT32 flags);
NTSTATUS bfe_txn_commit(struct bfe_session *s);
NTSTATUS bfe_txn_abort(struct bfe_session *s);

void bfe_free(void *object);

/* ---- objects ---------------------------------------------------------------------------------------- */
/* sd: optional security descriptor for the new object (self-relative), NULL for the container's default. */
NTSTATUS bfe_provider_add(struct bfe_session *s, const FWPM_PROVIDER0 *p, const void *sd, size_t sd_size);
NTSTATUS bfe_provider_delete(struct bfe_session *s, const GUID *key);
NTSTATUS bfe_provider_get(struct bfe_session *s, const GUID *key, FWPM_PROVIDER0 **out);

NTSTATUS bfe_provider_context_add(struct bfe_session *s, const FWPM_PROVIDER_CONTEXT3 *c, const void *sd,
                                  size_t sd_size, UINT64 *id);
NTSTATUS bfe_provider_context_delete(struct bfe_session *s, const GUID *key, UINT64 id); /* key NULL: by id */
NTSTATUS bfe_provider_context_get(struct bfe_session *s, const GUID *key, UINT64 id,
                                  FWPM_PROVIDER_CONTEXT3 **out);

NTSTATUS bfe_sublayer_add(struct bfe_session *s, const FWPM_SUBLAYER0 *l, const void *sd, size_t sd_size);
NTSTATUS bfe_sublayer_delete(struct bfe_session *s, const GUID *key);
NTSTATUS bfe_sublayer_get(struct bfe_session *s, const GUID *key, FWPM_SUBLAYER0 **out);

NTSTATUS bfe_callout_add(struct bfe_session *s, const FWPM_CALLOUT0 *c, const void *sd, size_t sd_size,
                         UINT32 *id);
NTSTATUS bfe_callout_delete(struct bfe_session *s, const GUID *key, UINT32 id);
NTSTATUS bfe_callout_get(struct bfe_session *s, const GUID *key, UINT32 id, FWPM_CALLOUT0 **out);

/* The run-time half of a callout (OBJ-21), by key, or if that is NULL by id: the id that both halves share,
 * the management object's, or one that the object will have when it is added. hold: one caller at a time
 * works on it; STATUS_FWP_IN_USE: another does; STATUS_FWP_CALLOUT_NOT_FOUND; with `make` a new entry, or
 * STATUS_NO_MEMORY. */
struct bfe_callout_entry {
    GUID key;
    UINT32 id;
    bool made; /* by this call */
};
NTSTATUS bfe_callout_hold(struct bfe *b, const GUID *key, UINT32 id, bool make,
                          struct bfe_callout_entry *out);
void bfe_callout_release(struct bfe *b, const GUID *key, bool forget);
/* Is this thread inside a notifyFn? */
bool bfe_callouts_notifying(struct bfe *b);
/* Waits until callouts have been told of every filter deleted so far (LIFE-13); from inside a classify or a
 * notifyFn it returns at once. PASSIVE. */
void bfe_callouts_settle(struct bfe *b);

NTSTATUS bfe_filter_add(struct bfe_session *s, const FWPM_FILTER0 *f, const void *sd, size_t sd_size,
                        UINT64 *id);
NTSTATUS bfe_filter_delete(struct bfe_session *s, const GUID *key, UINT64 id);
NTSTATUS bfe_filter_get(struct bfe_session *s, const GUID *key, UINT64 id, FWPM_FILTER0 **out);

NTSTATUS bfe_layer_get(struct bfe_session *s, const GUID *key, UINT16 id, FWPM_LAYER0 **out);

/* ---- enumeration: a snapshot taken at creation (OBJ-34). One set for all kinds of objects. ------------- */
enum bfe_kind {
    BFE_PROVIDER,
    BFE_PROVIDER_CONTEXT,
    BFE_SUBLAYER,
    BFE_LAYER,
    BFE_CALLOUT,
    BFE_FILTER,
    BFE_SESSION,
    BFE_NET_EVENT,
    BFE_KINDS
};
struct bfe_enum;
/* tmpl: the FWPM_*_ENUM_TEMPLATE0 of the kind, or NULL for all. */
NTSTATUS bfe_enum_create(struct bfe_session *s, enum bfe_kind kind, const void *tmpl, struct bfe_enum **out);
/* *entries: one block (bfe_free) holding an array of pointers to objects, and the objects. */
NTSTATUS bfe_enum_next(struct bfe_session *s, struct bfe_enum *e, UINT32 requested, void ***entries,
                       UINT32 *returned);
NTSTATUS bfe_enum_destroy(struct bfe_session *s, struct bfe_enum *e);

/* ---- import: objects as another machine had them ------------------------------------------------------ */
/*
 * Inside a write transaction of a kernel session: like *_add, but run-time ids, effective weights and flags
 * are taken as given, built-in objects are merged, a filter may be kept without being applied (BOOTTIME,
 * DISABLED), and references to objects that the source does not list are accepted (the importer reports
 * them). Callouts restored so are foreign to the engine.
 */
NTSTATUS bfe_restore_provider(struct bfe_session *s, const FWPM_PROVIDER0 *p);
NTSTATUS bfe_restore_provider_context(struct bfe_session *s, const FWPM_PROVIDER_CONTEXT3 *c);
NTSTATUS bfe_restore_sublayer(struct bfe_session *s, const FWPM_SUBLAYER0 *l);
NTSTATUS bfe_restore_callout(struct bfe_session *s, const FWPM_CALLOUT0 *c);
NTSTATUS bfe_restore_filter(struct bfe_session *s,
                            const FWPM_FILTER0 *f); /* filterId and effectiveWeight as recorded */

/* Built-in objects become again what they are before any import. */
NTSTATUS bfe_restore_builtins(struct bfe_session *s);

/* ---- weights ------------------------------------------------------------------------------------------ */
/* The automatic low 60 bits for these conditions at this layer (OBJ-32; data/weight_model.tsv). */
UINT64 bfe_weight_auto(const struct engine_layer *layer, const FWPM_FILTER_CONDITION0 *conditions,
                       UINT32 count);

/* The rest of the door (change subscriptions, security information, net events, engine options) is in
 * bfe/events.h, bfe/access.h and bfe/subscribe.h. */

#endif
