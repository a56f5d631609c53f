/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine: the door of the room that decides.
 *
 * An engine holds, for each of the 99 layers, the filters that run there, in the order in which they are
 * asked: sublayers by weight, filters in a sublayer by weight. A committed transaction builds the next
 * version of the layers it touched and publishes it with one release store; a classify pins the version it
 * started with and sees nothing else (OBJ-11). The packet path takes no lock and allocates nothing.
 *
 *   bfe  --engine_txn_*-->  snapshot (immutable)  <--pin--  engine_classify  --> verdict
 *                                                              |
 *                                                              +--> registered callouts (classifyFn)
 *
 * Values and filters are the documented types: FWPS_INCOMING_VALUES0 in, FWPS_FILTER3 inside.
 * Beside the index that engine_classify() uses stands engine_classify_naive(), which asks every filter in
 * turn with engine_match(): the oracle of the differential tests and of explain's assignments.
 */
#ifndef WEIR_ENGINE_ENGINE_H
#define WEIR_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fwpsk.h"
#include "engine/facts.h"
#include "engine/arbitrate.h"

struct engine;
struct engine_filter;
struct engine_snapshot;
struct engine_reader;
struct engine_txn;

/* ---- life ------------------------------------------------------------------------------------------ */

/* Returns 0 or -ENOMEM. The engine has one owner, who destroys it after its readers. */
int engine_create(struct engine **out);
void engine_destroy(struct engine *e);

/* ---- filters --------------------------------------------------------------------------------------- */

/*
 * What the engine needs to run a filter. `fwps` is copied deeply; its weight is an FWP_UINT64 (the
 * effective weight), its conditions' fieldId are field indexes of the layer, action.calloutId is the
 * callout's run-time id (0 when action is no callout).
 */
struct engine_filter_desc {
    UINT16 layer_id;
    const FWPS_FILTER3 *fwps;
    GUID filter_key;
    GUID callout_key;
    GUID sublayer_key;
    UINT64 sublayer_seq; /* order of adding: decides between sublayers of equal weight (OBJ-20) */
    /* What fwps->providerContext points into is not copied: an owner may be held instead. release(owner) is
     * called when the last reference goes, on the thread that drops it, perhaps inside a commit: it must not
     * call the engine. A failed create does not call it. */
    void *owner;
    void (*release)(void *owner);
};

/* Reference counted: create returns one reference. 0, -ENOMEM, -EINVAL (no such layer or field, an action or
 * a weight of another type, a condition that engine_condition_check() refuses). */
int engine_filter_create(const struct engine_filter_desc *desc, struct engine_filter **out);
struct engine_filter *engine_filter_ref(struct engine_filter *f);
void engine_filter_unref(struct engine_filter *f);
const FWPS_FILTER3 *engine_filter_fwps(const struct engine_filter *f);
const struct engine_filter_desc *engine_filter_desc(const struct engine_filter *f); /* desc->fwps == fwps() */

/*
 * Is this condition acceptable on this field? STATUS_SUCCESS, or in this order of checking:
 * STATUS_FWP_CONDITION_NOT_FOUND (field NULL: MATCH-05), STATUS_FWP_INVALID_ENUMERATOR (no such match type),
 * STATUS_FWP_TYPE_MISMATCH (MATCH-06), STATUS_FWP_MATCH_TYPE_MISMATCH (MATCH-07), STATUS_FWP_NULL_POINTER,
 * STATUS_FWP_INVALID_RANGE (MATCH-09), STATUS_FWP_INVALID_NET_MASK (MATCH-10),
 * STATUS_INVALID_SECURITY_DESCR, STATUS_INVALID_SID. Any thread, any IRQL.
 */
NTSTATUS engine_condition_check(const struct engine_field *field, FWP_MATCH_TYPE match,
                                const FWP_CONDITION_VALUE0 *value);

/*
 * Does the value satisfy the condition? Value and condition are as engine_condition_check() accepted them;
 * anything else is no match. MATCH-08..18, 28.
 * FWP_MATCH_PREFIX tests, as Microsoft documents against its name, whether the value *ends* with the
 * condition's string or blob; a blob's own terminating zero counts only if the condition has one too.
 */
bool engine_match(FWP_MATCH_TYPE match, const FWP_CONDITION_VALUE0 *condition, const FWP_VALUE0 *value);

/* Three values: unknown fields leave a filter undecided unless another field already refuses it. */
enum engine_match3 { ENGINE_MATCH_NO, ENGINE_MATCH_YES, ENGINE_MATCH_DEPENDS };

/* values: indexed by field, field_count of them; known[i]: is values[i] known? known NULL: all are. */
enum engine_match3 engine_filter_match3(const struct engine_filter *f, const FWPS_INCOMING_VALUE0 *values,
                                        const bool *known);

/* The filter's conditions on one field against one value (NULL: unknown). YES when it has none there. An
 * unknown value is still YES or NO when the conditions hold for every value of the field's type and for
 * FWP_EMPTY, or for none (MATCH-04). */
enum engine_match3 engine_filter_field_match(const struct engine_filter *f, UINT16 field,
                                             const FWP_VALUE0 *value);

/* The fields that the filter has conditions on, ascending; returns how many there are, writes at most `max`.
 */
size_t engine_filter_fields(const struct engine_filter *f, UINT16 *out, size_t max);

/*
 * The app id of a program (MATCH-16): its path in UTF-16, lower-cased, with the terminating zero; "System",
 * the kernel's, keeps its capital. `path` is UTF-8. One malloc'd block, the caller frees. 0, -ENOMEM, -EINVAL
 * (not UTF-8, or empty).
 */
int engine_app_id_from_path(const char *path, FWP_BYTE_BLOB **out);
/* One UTF-16 unit in lower case, as file names are folded; used by EQUAL_CASE_INSENSITIVE too. */
WCHAR engine_lower(WCHAR c);

/* ---- changing policy ------------------------------------------------------------------------------- */

/*
 * One transaction at a time per engine (bfe's lock serialises them): begin returns -EBUSY while one is open.
 * Removal is by filter id; ids are unique in a layer, that is the caller's to keep (they come from one
 * counter). The changes apply in the order given: a filter added and removed again leaves no trace, one
 * removed may be added anew. Nothing is visible before commit; commit may fail with -ENOMEM, or -ENOENT (a
 * removed id is not there), then nothing has changed. abort and commit, also a failed one, end the
 * transaction. PASSIVE_LEVEL.
 */
int engine_txn_begin(struct engine *e, struct engine_txn **out);
int engine_txn_add(struct engine_txn *t, struct engine_filter *f); /* takes its own reference */
int engine_txn_remove(struct engine_txn *t, UINT16 layer_id, UINT64 filter_id);
int engine_txn_commit(struct engine_txn *t);
void engine_txn_abort(struct engine_txn *t);

/* Frees what earlier commits replaced and no reader can see any more (every commit does this too). Returns
 * whether all of it is gone. Never waits. */
bool engine_collect(struct engine *e);

/* ---- callouts -------------------------------------------------------------------------------------- */

enum engine_callout_state {
    ENGINE_CALLOUT_UNREGISTERED, /* substitute action: OBJ-22..24 */
    ENGINE_CALLOUT_REGISTERED,   /* a classifyFn is called */
    ENGINE_CALLOUT_FOREIGN, /* belongs to the machine a policy was exported from: verdict depends on it */
};

#define ENGINE_ANY_LAYER 0xffff

/* A registered callout. version 0..3 says which member of `fn` is called and which FWPS_FILTERn it sees. */
struct engine_callout {
    GUID key;
    UINT32 flags; /* FWP_CALLOUT_FLAG_* */
    unsigned version;
    union {
        FWPS_CALLOUT_CLASSIFY_FN0 v0;
        FWPS_CALLOUT_CLASSIFY_FN1 v1;
        FWPS_CALLOUT_CLASSIFY_FN2 v2;
        FWPS_CALLOUT_CLASSIFY_FN3 v3;
    } classify;
    union {
        FWPS_CALLOUT_NOTIFY_FN0 v0;
        FWPS_CALLOUT_NOTIFY_FN1 v1;
        FWPS_CALLOUT_NOTIFY_FN2 v2;
        FWPS_CALLOUT_NOTIFY_FN3 v3;
    } notify;        /* NULL: none */
    UINT32 id;       /* its run-time id, as filters name it; 0: has none, engine_callout_by_id() misses it */
    UINT16 layer_id; /* where it applies; ENGINE_ANY_LAYER: where the management half says, if there is one */
    FWPS_CALLOUT_FLOW_DELETE_NOTIFY_FN0 flow_delete; /* NULL: flows may carry no context for it (ALE-13) */
    struct rt_context *context; /* current while its functions run: its driver's; NULL: stays as it is */
};

/*
 * By key; effective for every classify that starts afterwards. register: 0, -ENOMEM, -EEXIST (the key, or the
 * id if it is not 0). unregister
 * returns when no classify runs it, so not from inside its own classifyFn; 0, -ENOENT. A key that is
 * registered is not foreign, whatever was set.
 */
int engine_callout_register(struct engine *e, const struct engine_callout *callout);
int engine_callout_unregister(struct engine *e, const GUID *key);
int engine_callout_set_foreign(struct engine *e, const GUID *key, bool foreign);
enum engine_callout_state engine_callout_state(struct engine *e, const GUID *key);
/* A copy of the registration with this id (not 0), or of this key; its layer is where it was placed. False:
 * none. Any IRQL <= DISPATCH. */
bool engine_callout_by_id(struct engine *e, UINT32 id, struct engine_callout *out);
bool engine_callout_by_key(struct engine *e, const GUID *key, struct engine_callout *out);
/* The management half of this key applies at that layer; ENGINE_ANY_LAYER: there is none. 0 or -ENOMEM. */
int engine_callout_place(struct engine *e, const GUID *key, UINT16 layer_id);

/*
 * Tells the registered callout that f names of its adding or deleting (LIFE-08..14): notifyFn in the
 * callout's context, with the FWPS_FILTERn of its version, whose `context` it may set while no classify can
 * see the filter. commit: this is the notification at commit, for those that asked for it (and only for
 * them). PASSIVE; no lock of the engine's is held, and unregistering waits for it. STATUS_SUCCESS: also when
 * nobody was told.
 */
NTSTATUS engine_filter_notify(struct engine *e, struct engine_filter *f, FWPS_CALLOUT_NOTIFY_TYPE type,
                              bool commit, bool *told /* set if somebody was; may be NULL */);
/* From now on filters that name a callout are kept, when they were removed and no classify can see them any
 * more, until engine_departed() hands them over (LIFE-13). Before the first filter. */
void engine_keep_departed(struct engine *e);
/* The next such filter, oldest first, with its reference; NULL: none now. *more: others were removed that
 * some classify may still see. */
struct engine_filter *engine_departed(struct engine *e, bool *more);
/* Returns when engine_departed() has another one, or no others were removed. PASSIVE; no lock of the caller's that a
 * classify may want. */
void engine_departed_wait(struct engine *e);
/* Differs whenever a callout was registered, unregistered or (un)made foreign since. Any IRQL. */
UINT64 engine_callout_generation(const struct engine *e);

/* ---- classifying ----------------------------------------------------------------------------------- */

/* One a thread (a lane); holds its pin. */
int engine_reader_create(struct engine *e, struct engine_reader **out);
void engine_reader_destroy(struct engine_reader *r);
/* Returns the newest committed version, which stays valid until the matching unpin. Pins nest; an inner one
 * may be newer than the outer (a callout that changes policy and classifies again sees its change: OBJ-11).
 */
const struct engine_snapshot *engine_pin(struct engine_reader *r);
void engine_unpin(struct engine_reader *r);

/* A layer's filters in the order of evaluation; valid while pinned. */
size_t engine_snapshot_filters(const struct engine_snapshot *s, UINT16 layer_id,
                               const struct engine_filter *const **out);
UINT64 engine_snapshot_version(const struct engine_snapshot *s);
/* Of the newest policy, without a pin: what was learned of a snapshot of this version is still so. A commit
 * that has returned is seen, one under way may not be yet. */
UINT64 engine_version(const struct engine *e);
/* Differs whenever engine_version() or engine_callout_generation() do: one number for who wants to know whether anything has
 * changed. Never 0. Any IRQL. */
UINT64 engine_changes(const struct engine *e);
/* Of the commit that last changed this layer's filters; 0: it never had any. Two commits that leave the same
 * filters are two changes (OBJ-40). */
UINT64 engine_snapshot_layer_version(const struct engine_snapshot *s, UINT16 layer_id);

/*
 * The classes of an endpoint's opaque values (app id, user token, package ...) at one layer, so that they are
 * not hashed again a packet. Zeroed by its owner, filled by the engine, valid until the owner changes
 * the endpoint's values (then: zero it again); a new policy version is noticed by the stamp.
 */
#define ENGINE_CACHED_CLASSES 8
struct engine_class_cache {
    UINT64 stamp;
    UINT32 cls[ENGINE_CACHED_CLASSES];
};

/*
 * Which filters of a layer the known fields leave possible: bits by position in engine_snapshot_filters(),
 * exactly those that engine_filter_match3() would not refuse for a known field. unknown: the fields (bit =
 * index) that are not looked at, whose values need not be there. cache: as in a request, of these values; may
 * be NULL. Returns how many words were written; 0: it is not to be had cheaply for this layer or these values
 * (ask the filters). Tens of nanoseconds. While pinned.
 */
#define ENGINE_CANDIDATE_WORDS 16
size_t engine_snapshot_candidates(const struct engine_snapshot *s, UINT16 layer_id,
                                  const FWPS_INCOMING_VALUE0 *values, UINT64 unknown,
                                  struct engine_class_cache *cache, UINT64 bits[ENGINE_CANDIDATE_WORDS]);

/*
 * The classes of these fields' values at a layer: two values of a field in one class satisfy the same conditions of all
 * of the layer's filters, in this snapshot and in others with the same version of the layer. fields: bits, each of a
 * field that some filter tests; only their values need be there. classes: written from the lowest bit on. False: they
 * are not to be had cheaply for this layer or these values. Some nanoseconds a field. While pinned.
 */
bool engine_snapshot_classes(const struct engine_snapshot *s, UINT16 layer_id,
                             const FWPS_INCOMING_VALUE0 *values, UINT64 fields, UINT32 *classes);

/* What a foreign callout is taken to answer: FWP_ACTION_PERMIT, _BLOCK or _CONTINUE. It is taken to do as the
 * contract asks: it clears WRITE with a block, and with a permit when the filter says CLEAR_ACTION_RIGHT
 * (CLS-07). */
struct engine_assumption {
    GUID callout_key;
    FWP_ACTION_TYPE action;
};

/* One filter that matched, and what it said. */
enum engine_answer {
    ENGINE_ANSWER_PERMIT,
    ENGINE_ANSWER_BLOCK,
    ENGINE_ANSWER_CONTINUE,
    ENGINE_ANSWER_FOREIGN, /* unknown: a foreign callout without an assumption; taken as CONTINUE */
};

struct engine_sublayer_result {
    const GUID *key;
    UINT16 weight;
    const struct engine_filter *filter; /* the filter that ended it, NULL if none did */
    FWP_ACTION_TYPE action;             /* what that filter said: PERMIT or BLOCK; 0 if none */
    FWP_ACTION_TYPE running;            /* the layer's running action after this sublayer; 0 if none yet */
    UINT32 rights;                      /* running rights after this sublayer */
    bool took_effect;                   /* the answer changed or confirmed the running state by arbitration */
};

/* Told of each step when set in a request: slower, for explain and tests. Any member may be NULL. Every
 * sublayer that has filters in the layer is told of, also those in which nothing matched. */
struct engine_trace {
    void *ctx;
    void (*filter)(void *ctx, const struct engine_filter *f, enum engine_answer answer, bool substitute);
    void (*sublayer)(void *ctx, const struct engine_sublayer_result *r);
    /* A registered callout returned: what it was shown, what it gave back, ENGINE_CONDUCT_* (arbitrate.h). */
    void (*callout)(void *ctx, const struct engine_filter *f, const FWPS_CLASSIFY_OUT0 *shown,
                    const FWPS_CLASSIFY_OUT0 *returned, UINT32 conduct);
};

/* The flow that a classify belongs to: its context for a callout at this layer, 0 if it has none (CLS-21,
 * 22). */
struct engine_flow {
    void *ctx;
    UINT64 (*context)(void *ctx, UINT16 layer_id, UINT32 callout_id);
};

/*
 * A question that is asked in parts, because a callout may take its time over it (RED-21, 28): ctx hears of each
 * registered callout's turn. No lock is held.
 */
enum engine_turn {
    ENGINE_TURN_ASK,
    ENGINE_TURN_ANSWERED, /* it has answered before: *returned is what it said; it is not called */
    ENGINE_TURN_PASS,     /* not now: as if it said nothing */
};
struct engine_turns {
    void *ctx;
    /* *returned: what it would be shown. */
    enum engine_turn (*before)(void *ctx, const struct engine_filter *f, FWPS_CLASSIFY_OUT0 *returned);
    /* It was called and gave *returned back; its driver's context is still current. */
    void (*after)(void *ctx, const struct engine_filter *f, const FWPS_CLASSIFY_OUT0 *returned);
};

/*
 * The registered callouts that a classify comes to, in order, for who wants to have the inspections among them called again
 * for a question that cannot have another answer (engine_meet_again()). Written by the classify.
 */
#define ENGINE_MEETINGS 4
struct engine_meeting { /* good for this version of the layer, while that is pinned */
    const struct engine_filter *filter;
    struct engine_callout_slot *slot;
    FWPS_CLASSIFY_OUT0 shown; /* before it was called; or was not, for want of a flow's context */
};
struct engine_met {
    UINT32 count;  /* zeroed by who asks; more than ENGINE_MEETINGS: the rest is not there */
    UINT32 decide; /* bits: those that do not only inspect */
    struct engine_meeting at[ENGINE_MEETINGS];
};

struct engine_request {
    const FWPS_INCOMING_VALUES0 *values;
    const FWPS_INCOMING_METADATA_VALUES0 *metadata; /* may be NULL */
    void *layer_data;                               /* may be NULL */
    const void *classify_context;                   /* may be NULL */
    const struct engine_flow *flow;                 /* may be NULL: no flow */
    const bool *pended; /* may be NULL; set by the host when a callout pends during this classify (CLS-13) */
    struct engine_class_cache *cache; /* may be NULL */
    const struct engine_trace *trace; /* may be NULL */
    const struct engine_turns *turns; /* may be NULL */
    struct engine_met *met;           /* may be NULL */
    const struct engine_assumption *assumptions;
    size_t assumption_count;
    bool supposed; /* nothing happens, somebody only asks what if: the observer is not told */
    /* May be NULL: all is here. Else some of the values that no filter tests, the metadata and layer_data may
     * still be missing, and this puts them in: it is called before a callout or an observer sees the request,
     * perhaps several times. It changes what the members point to, and the request itself. */
    void (*complete)(void *ctx);
    void *complete_ctx;
    KIRQL irql; /* IRQL-01: what callouts are called at, if the thread is not higher already */
};
static inline void engine_request_complete(const struct engine_request *q)
{
    if (q->complete != NULL)
        q->complete(q->complete_ctx);
}

/* A filter that ended its sublayer. */
struct engine_ended {
    const struct engine_filter *filter;
    FWP_ACTION_TYPE action; /* what it said: FWP_ACTION_PERMIT or FWP_ACTION_BLOCK */
};
#define ENGINE_MAX_ENDED 32 /* of the heaviest sublayers; lighter ones are not listed */

struct engine_verdict {
    FWP_ACTION_TYPE action; /* FWP_ACTION_PERMIT or FWP_ACTION_BLOCK */
    UINT32 rights;
    UINT32 flags; /* ENGINE_VERDICT_* (arbitrate.h) */
    UINT64 filter_id;
    const struct engine_filter *filter; /* the deciding filter; valid only while the caller holds a pin */
    /* Which filters ended their sublayers, from the heaviest on (AUD-09). For the observer, during its call;
     * NULL and 0 otherwise. */
    const struct engine_ended *ended;
    UINT32 ended_count;
};

/*
 * Classify at values->layerId. Pins for itself. STATUS_SUCCESS; STATUS_FWP_LAYER_NOT_FOUND;
 * STATUS_INVALID_PARAMETER when valueCount is not the layer's. Calls registered callouts on this stack.
 */
NTSTATUS engine_classify(struct engine_reader *r, const struct engine_request *q, struct engine_verdict *v);
NTSTATUS engine_classify_naive(struct engine_reader *r, const struct engine_request *q,
                               struct engine_verdict *v);
/* The same under a version that r has pinned: whoever looked at the version's filters to see which values
 * they test must not be asked by a newer one. */
NTSTATUS engine_classify_pinned(struct engine_reader *r, const struct engine_snapshot *s,
                                const struct engine_request *q, struct engine_verdict *v);
/*
 * The same where a layer's only filter asks an inspection (inspection.c): the verdict is the implicit permit, whatever
 * becomes of it (ARB-19, ARB-24). For who looked whether it is such a layer, and whose observer wants no permits.
 *
 *   begin --true: the callout stays registered--> its flow's context, the request completed --> call
 *         |                                        | CLS-22, 23: `conditional`, and there is none --> end
 *         +--false: the filter does not match, nobody is registered
 *
 * Of the request neither flow nor complete nor trace nor turns are looked at.
 */
struct engine_inspector { /* good for this version of the layer, while that is pinned */
    const struct engine_filter *filter;
    struct engine_callout_slot *slot;
    UINT32 callout; /* its run-time id, as the filter names it */
    bool tests;
};
struct engine_inspection {
    const struct engine_filter *filter;
    struct engine_registration *registration;
    bool conditional;
    bool listed; /* engine_inspection_begin()'s: how the callout is counted in */
};
/* False: it is no such layer. */
bool engine_inspects(const struct engine_snapshot *s, UINT16 layer_id, struct engine_inspector *out);
bool engine_inspection_begin(struct engine_reader *r, const struct engine_inspector *of,
                             const FWPS_INCOMING_VALUES0 *values, struct engine_inspection *x);
void engine_inspection_call(struct engine_reader *r, const struct engine_request *q,
                            const struct engine_inspection *x, UINT64 context);
void engine_inspection_end(struct engine_reader *r, const struct engine_inspection *x);
/* An inspection is called once more, as a classify that comes to it would do, with what it was shown before; not if it is no
 * longer registered, or CLS-22 forbids it. While pinned. */
void engine_meet_again(struct engine_reader *r, const struct engine_request *q,
                       const struct engine_meeting *m);
/*
 * Inspections that follow each other in one packet's way: what is the same for each is settled before the first. The reader
 * is pinned all the while; a callout may classify with it, deeper on the same stack.
 *
 *   engine_looks_begin() --> engine_look_begin() --true: as engine_inspection_begin()--> engine_look_call() or _end() -+
 *                              ^                +--false-------------------------------------------------------------+-> engine_looks_end()
 *                              +------------------------------------------------------------------------------------+
 *
 * From one call to the next the thread stays in a classify, as the last callout's driver. Before anything else than finding
 * out about the next look may call a driver: engine_looks_rest(), and it is who asks again.
 */
struct engine_looks {
    struct engine_reader *reader;
    struct rt_context *current; /* of who asks, */
    struct rt_context *driver;  /* the callout's that was called last, */
    bool within;                /* ... and the thread is in its classify still */
    UINT8 irql, raised;         /* of who asks, the callouts' */
    void *place;                /* in the reader's list: engine/inspection.c's */
    const void *classify_context;
};
/* What a callout is shown. */
struct engine_shown {
    const FWPS_INCOMING_VALUES0 *values;
    const FWPS_INCOMING_METADATA_VALUES0 *metadata;
    void *layer_data;
};
/* False: this engine's readers, or one that has so many callouts under way, are asked one by one. */
bool engine_looks_begin(struct engine_reader *r, KIRQL irql, const void *classify_context,
                        struct engine_looks *l);
void engine_looks_rest(struct engine_looks *l);
void engine_looks_end(struct engine_looks *l);
bool engine_look_begin(const struct engine_looks *l, const struct engine_inspector *of,
                       const FWPS_INCOMING_VALUES0 *values, struct engine_inspection *x);
void engine_look_call(struct engine_looks *l, const struct engine_inspection *x,
                      const struct engine_shown *shown, UINT64 context);
void engine_look_end(const struct engine_looks *l, const struct engine_inspection *x);
/* Whose callout a filter of a pinned version asks: the context that it is registered with. NULL: none is. */
struct rt_context *engine_filter_driver(struct engine *e, const struct engine_filter *f);
/* ... and the classifyFn, as a call site (the address behind its first byte), for reports. NULL: none is registered. */
const void *engine_filter_function(struct engine *e, const struct engine_filter *f);

/* ---- one filter after the other -------------------------------------------------------------------- */

/*
 * For layers where no arbitration takes place (ST, ARB-26): who classifies walks the matching filters himself
 * and asks each of them.
 */
enum engine_stage_kind {
    ENGINE_STAGE_PERMIT,
    ENGINE_STAGE_BLOCK,
    ENGINE_STAGE_TERMINATING,
    ENGINE_STAGE_UNKNOWN,
    ENGINE_STAGE_INSPECTION,
};
struct engine_stage {
    struct engine_filter *filter;     /* borrowed: engine_filter_ref() to keep it beyond the pin */
    struct engine_callout_slot *slot; /* the engine's own, as long as it lives; NULL: a plain filter */
    UINT32 sublayer;                  /* from 0, the heaviest; those without a matching filter count too */
    enum engine_stage_kind kind;
};
/*
 * The filters of a layer that match these values (layer->field_count of them), in order of evaluation, of a
 * version that r has pinned. Writes at most `max`; returns how many there are. unknown: fields (bit = index) whose
 * values are not known and hold FWP_EMPTY; *depends (may be NULL): some filter's match hangs on one of them.
 */
size_t engine_stages(const struct engine_snapshot *s, UINT16 layer_id, const FWPS_INCOMING_VALUE0 *values,
                     UINT64 unknown, struct engine_stage *out, size_t max, bool *depends);

enum engine_stage_answer {
    ENGINE_STAGE_ASKED,      /* classifyFn returned: *out is what it made of it */
    ENGINE_STAGE_NOT_ASKED,  /* it wants to be asked of flows with a context alone (CLS-22) */
    ENGINE_STAGE_SUBSTITUTE, /* it is not registered: out->actionType is the substitute action (OBJ-22..24) */
    ENGINE_STAGE_ASSUMED,    /* foreign, and supposed to have said out->actionType */
    ENGINE_STAGE_FOREIGN,    /* foreign: nobody knows */
};
/*
 * Asks a stage's callout with what *out shows it, on this stack; as a classify does: in its context, at
 * q->irql, with its flow context, after engine_request_complete(). The caller has pinned a version that has the
 * filter, holds no lock. Any IRQL <= DISPATCH_LEVEL.
 */
enum engine_stage_answer engine_stage_ask(struct engine_reader *r, const struct engine_request *q,
                                          const struct engine_stage *stage, FWPS_CLASSIFY_OUT0 *out);
/* Is the stage's callout registered, and with which flags? 0 where it is not. */
bool engine_stage_registered(const struct engine_stage *stage, struct engine_reader *r, UINT32 *flags);
/* Will engine_stage_ask() ask nobody, and hear nothing that decides, as long as the callouts are what they are
 * (engine_callout_generation())? So with a foreign callout that inspects, is assumed to go on, or of which nothing is known
 * (*unknown, else untouched). */
bool engine_stage_silent(const struct engine_stage *stage, const struct engine_request *q, bool *unknown);

/* ---- observing ------------------------------------------------------------------------------------- */

/* bfe's event log listens here; called on the classifying thread after a verdict, under no lock but with the
 * snapshot pinned. */
struct engine_observer {
    void *ctx;
    bool want_permits; /* to begin with; see engine_observe_permits() */
    void (*classified)(void *ctx, const struct engine_request *q, const struct engine_verdict *v);
};
void engine_set_observer(struct engine *e,
                         const struct engine_observer *o); /* NULL: none. Before readers run. */
/* Tells the observer of permits too, or no longer; at any time, seen by classifies soon. */
void engine_observe_permits(struct engine *e, bool want);
bool engine_observes_permits(const struct engine *e);
/* As much for blocks, which an observer hears of to begin with. */
void engine_observe_blocks(struct engine *e, bool want);
bool engine_observes_blocks(const struct engine *e);

#endif
