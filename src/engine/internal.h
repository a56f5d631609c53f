/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine, inside: filters as they run, the snapshot of a layer, readers and pins, and the seam between the
 * engine and its index. Only files of src/engine include this.
 *
 *   filter.c   deep copy and compilation of a filter       match.c     one condition against one value
 *   engine.c   life, callouts, readers, pins, reclamation   commit.c    transactions: the next snapshot
 *   classify.c indexed and naive classify                   callout.c   asking a filter's callout
 *   match3.c   three-valued matching, for explain           arbitrate.* rights and vetoes, pure
 *   index*.c   which filters of a layer match, in order
 *
 * Invariants
 * - A layer snapshot never changes after it was published; arrays are in order of evaluation, position 0
 * first: sublayer weight descending, sublayer_seq ascending (OBJ-20), filter weight descending, filter id
 *   descending (OBJ-33). A position is an index into these arrays.
 * - The engine holds one reference to each filter from the commit that adds it until no reader can see a
 *   snapshot that has it; a snapshot holds none, so that a commit costs no walk over reference counts.
 * - Writers (transactions, callout registration) hold engine->lock; readers take none.
 */
#ifndef WEIR_ENGINE_INTERNAL_H
#define WEIR_ENGINE_INTERNAL_H

#include <stdatomic.h>
#include <string.h>

#include "engine/engine.h"
#include "rt/rt.h"

/* ---- filters --------------------------------------------------------------------------------------- */

/*
 * A condition, compiled. Most conditions on integers and V4 addresses are one of two tests on the value's
 * bits, taken as a number n of the type's width: RANGE: ((n - low) & keep) <= span    EQUAL, ordering, RANGE,
 * V4 mask; NOT_EQUAL with `negate`. Modulo the width, so that signed types need no case of their own
 *   *_SET: n & low                       FLAGS_*: low is the mask
 * Everything else is ENGINE_TEST_MATCH: engine_match() on the condition itself.
 */
enum engine_test_op {
    ENGINE_TEST_RANGE,
    ENGINE_TEST_ALL_SET,
    ENGINE_TEST_ANY_SET,
    ENGINE_TEST_NONE_SET,
    ENGINE_TEST_NEVER, /* holds for no value: an empty open range such as "greater than the greatest" */
    ENGINE_TEST_MATCH,
};

struct engine_test {
    UINT8 op;   /* enum engine_test_op */
    UINT8 type; /* RANGE, *_SET: the type the value must have. FWP_EMPTY: matches if `negate` (MATCH-14) */
    bool negate : 1; /* RANGE, and MATCH when `blob`: NOT_EQUAL */
    bool wide : 1;   /* the number is behind a pointer (64-bit types) */
    bool flip : 1;   /* see engine_test_holds() */
    bool blob : 1;   /* MATCH: (NOT_)EQUAL of a blob of `span` bytes whose engine_blob_tail() is `low` */
    UINT16 field;
    UINT16 rest; /* tests from this one to the last of its group, both counted */
    UINT64 low;
    UINT64 span;
    UINT64 keep;       /* all ones of the type's width */
    UINT64 mask, base; /* see engine_test_holds() */
    const FWPS_FILTER_CONDITION0 *condition;
};

/* The conditions on one field: alternatives (MATCH-03). Groups are requirements, all must hold (MATCH-02). */
struct engine_group {
    UINT16 field;
    UINT16 count; /* at most 65535 conditions on a field: engine_filter_create refuses more */
    UINT32 first; /* into tests */
};

struct engine_filter {
    /* what evaluation order and arbitration ask */
    UINT64 weight; /* effective weight */
    UINT64 id;
    UINT16 sublayer_weight;
    UINT16 flags; /* FWPS_FILTER_FLAG_* */
    FWP_ACTION_TYPE action;
    atomic_uint refs;
    struct engine_filter *departed_next; /* engine->departed */
    FWPS_FILTER3 fwps; /* deep copy, conditions in the caller's order; each passed engine_condition_check() */
    struct engine_filter_desc desc;
    /* Compiled. Groups stand in the order in which they are best asked, ties by field. */
    const struct engine_group *groups;
    UINT32 group_count;
    UINT32 test_count;
    struct engine_test tests[]; /* group after group; inside a group in the order of the conditions */
};

/* A few of the last bytes of a blob of at least ENGINE_BLOB_TAIL bytes, mixed: paths differ there. */
#define ENGINE_BLOB_TAIL 24
static inline UINT64 engine_blob_tail(const UINT8 *data, UINT64 size)
{
    UINT64 w[3];

    memcpy(w, data + size - ENGINE_BLOB_TAIL, sizeof(w));
    return w[0] ^ (w[1] << 21 | w[1] >> 43) ^ (w[2] << 42 | w[2] >> 22);
}

/* The tests that are engine_match()'s: but most blobs differ in their size or tail. */
static inline bool engine_test_matches(const struct engine_test *t, const FWP_VALUE0 *v)
{
    if (t->blob && v->type == FWP_BYTE_BLOB_TYPE && v->byteBlob != NULL && v->byteBlob->data != NULL &&
        (v->byteBlob->size != t->span || engine_blob_tail(v->byteBlob->data, t->span) != t->low))
        return t->negate;
    return engine_match(t->condition->matchType, &t->condition->conditionValue, v);
}

/*
 * Does a test hold? Inline and with few branches: the naive walk is this. All tests on numbers are one
 * formula,
 *   ((n & mask) - base) & keep <= span, the other way round with `flip`:
 *   RANGE     mask = keep, base = low          ALL_SET   mask = low, base = low, span = 0
 *   ANY_SET   NONE_SET flipped                 NONE_SET  mask = low, base = 0, span = 0
 *   NEVER     0 <= 0 flipped
 */
static inline bool engine_test_holds(const struct engine_test *t, const FWP_VALUE0 *v)
{
    UINT64 n;

    if (t->op == ENGINE_TEST_MATCH)
        return engine_test_matches(t, v);
    n = v->uint32;
    if (t->wide && v->type == t->type) {
        if (v->uint64 == NULL)
            return false;
        n = *v->uint64;
    }
    return ((v->type == t->type) & (((((n & t->mask) - t->base) & t->keep) <= t->span) != t->flip)) |
           ((v->type == FWP_EMPTY) & t->negate);
}

/* Does the filter match these values (indexed by field)? */
static inline bool engine_filter_holds(const struct engine_filter *f, const FWPS_INCOMING_VALUE0 *values)
{
    const struct engine_test *t = f->tests, *end = t + f->test_count;

    while (t < end) {
        if (engine_test_holds(t, &values[t->field].value))
            t += t->rest;
        else if (t->rest == 1)
            return false;
        else
            t++;
    }
    return true;
}

/* ---- callouts -------------------------------------------------------------------------------------- */

/* One registration. Readers that run it count themselves in, or list it with themselves; it is freed when
 * none can reach it. */
struct engine_registration {
    struct engine_callout callout;
    atomic_uint running;
    atomic_bool leaving;            /* unregister waits: the last one out signals */
    struct engine_retired *retired; /* allocated with it, so that unregistering cannot fail */
};

/* What a key means to this engine, from the first mention of the key to the engine's end. */
struct engine_callout_slot {
    GUID key;
    _Atomic(struct engine_registration *) registration; /* NULL: not registered */
    atomic_bool foreign;
    UINT16 layer_id;                  /* under engine->lock: where the management half says that it applies */
    struct engine_callout_slot *next; /* hash chain */
};

/* ---- snapshots ------------------------------------------------------------------------------------- */

#define ENGINE_NO_POSITION UINT32_MAX

/* What the arbitration loop needs of a filter without touching the filter; one a position. */
struct engine_entry {
    struct engine_callout_slot *slot; /* NULL: plain filter */
    UINT32 end;                       /* of its sublayer: sublayers[sublayer].end */
    UINT16 sublayer;                  /* into sublayers; there are at most 65,536 (OBJ-19) */
    UINT8 kind;                       /* enum engine_entry_kind */
    UINT8 flags;                      /* the low FWPS_FILTER_FLAG_* bits that arbitration needs */
};
#define ENGINE_PLAIN_PERMIT  0x01u /* else block */
#define ENGINE_PLAIN_HARD    0x02u /* FWPS_FILTER_FLAG_CLEAR_ACTION_RIGHT */
#define ENGINE_PLAIN_CALLOUT 0x80u /* not plain: see entries */
enum engine_entry_kind {
    ENGINE_ENTRY_PERMIT,
    ENGINE_ENTRY_BLOCK,
    ENGINE_ENTRY_TERMINATING,
    ENGINE_ENTRY_UNKNOWN,
    ENGINE_ENTRY_INSPECTION,
};

struct engine_sublayer_group {
    GUID key;
    UINT64 seq;
    UINT16 weight;
    UINT32 first;
    UINT32 end; /* one past its last position; the next group's first */
};

struct engine_index;

struct engine_layer_snapshot {
    const struct engine_layer *layer;
    const struct engine_filter *only; /* untested, and the only one; else NULL */
    struct engine_entry only_entry;   /* of the only one, tested or not */
    bool single;                      /* there is one only, and to ask it itself is cheaper than the index */
    UINT64 version; /* of the commit that made it; > 0, differs whenever the layer's filters differ */
    UINT32 field_count;
    UINT32 callout_end; /* one past the last position with a callout; 0: none */
    bool untested;      /* a handful of filters that test nothing: there is nothing to look up */
    UINT32 count;       /* filters; never 0: a layer without filters has no snapshot */
    UINT32 sublayer_count;
    const struct engine_filter **filters;
    UINT64 *ids; /* filter ids, so that removal by id scans one dense array */
    struct engine_entry *entries;
    UINT8 *plain; /* ENGINE_PLAIN_*: all that a walk asks of a plain filter, a byte a position */
    struct engine_sublayer_group *sublayers;
    UINT16 *sublayer_at; /* the sublayer of position 0, 64, 128 ...: of others, the search starts there */
    struct engine_index *index;
};

struct engine_snapshot {
    UINT64 version;
    const struct engine_layer_snapshot *layers[ENGINE_LAYER_COUNT]; /* NULL: no filters */
    UINT64 changed[ENGINE_LAYER_COUNT]; /* version of the commit that last changed the layer; 0: none did */
};

/* ---- the seam to the index ------------------------------------------------------------------------- */

/*
 * engine/index.h, the index's own door inside the room, gives:
 *
 *   int  engine_index_build(const struct engine_layer_snapshot *prev, struct engine_layer_snapshot *next,
 *                           const struct engine_layer_delta *delta);
 *        prev NULL: first filters of the layer. Sets next->index; 0 or -ENOMEM (then nothing changed, and
 * prev's index is as good as before). Called under engine->lock. prev's index stays in use by readers: what
 * the two share is counted by the index, and never written. void engine_index_destroy(struct engine_index
 * *ix); Called under engine->lock, when no reader can see it. struct engine_cursor: on the classifying stack,
 * not to be copied. static inline void engine_index_begin(const struct engine_layer_snapshot *ls, const
 * FWPS_INCOMING_VALUE0 *values, struct engine_class_cache *cache, struct engine_cursor *c); values has
 * layer->field_count members. cache may be NULL. static inline UINT32 engine_index_next(struct engine_cursor
 * *c, UINT32 from); The first position >= from whose filter matches, or ENGINE_NO_POSITION. `from` never
 * decreases. After a decision the loop asks from the end of the sublayer: so a sublayer is skipped by `from`
 * alone.
 *
 * A value of a type other than the field's declared type or FWP_EMPTY satisfies no condition; a field of type
 * TOKEN_ACCESS_INFORMATION or TOKEN_INFORMATION may carry either of the two.
 */
struct engine_layer_delta {
    const UINT32 *removed; /* positions in prev, ascending */
    size_t removed_count;
    const UINT32 *added; /* positions in next, ascending */
    size_t added_count;
};

/* ---- the engine ------------------------------------------------------------------------------------ */

/* A callout that a reader is asking; NULL: none. */
typedef _Atomic(struct engine_registration *) engine_asked;

/*
 * Reclamation by epoch. A reader that is pinned shows an epoch in its own cache line (0: not pinned); a
 * writer publishes, then raises the epoch, then may free what it replaced once no reader shows an older one.
 * Pin: store the epoch, then load the snapshot. Either the writer must see the pin or the reader the new
 * snapshot; that takes a full barrier between the two on both sides. Readers leave theirs to the writer's
 * rt_barrier() where the system has one (`cheap`: a pin is then two plain moves); else their store is
 * sequentially consistent, as everything of the writer's is.
 *
 * In the same way a reader that is `cheap` shows which registrations it runs, from the outermost classify on;
 * those deeper than the list is long count themselves in.
 */
#define ENGINE_ASKS 4
struct engine_reader {
    _Alignas(64) atomic_ullong epoch; /* written by the reader's thread, read by writers */
    engine_asked asked[ENGINE_ASKS];  /* as `epoch` */
    unsigned asks;
    unsigned depth; /* pins nest; the outermost shows the epoch */
    bool cheap;     /* the engine's */
    struct engine *engine;
    struct engine_reader *prev, *next; /* engine->readers, under engine->lock */
};

/* What one change of policy took out of sight: freed when no reader shows an epoch below `epoch`. */
struct engine_retired {
    struct engine_retired *next;
    unsigned long long epoch;
    const struct engine_snapshot *snapshot;
    struct engine_registration *registration;
    struct engine_layer_snapshot **layers; /* allocated with this struct, like filters */
    size_t layer_count;
    struct engine_filter **filters; /* one reference each */
    size_t filter_count;
};

struct engine {
    _Atomic(const struct engine_snapshot *) current;
    atomic_ullong version; /* current's, a moment later */
    atomic_ullong changes; /* of version or callout_generation, behind either; from 1 on */
    atomic_ullong epoch;
    bool cheap; /* pins are without a barrier: engine_reclaim() makes it */
    /* Somebody waits for the end of pins of older epochs; 0: nobody. As with pins, either who unpins sees it, or he sees
     * the pin gone. */
    atomic_ullong awaited;
    struct engine_observer observer;
    bool has_observer, has_blocks_observer; /* the second goes on and off: atomic */
    _Alignas(64) struct rt_mutex *lock;
    struct rt_cond *changed; /* a reader unpinned what is awaited, a registration was left */
    struct engine_reader *readers;
    struct engine_retired *retired, **retired_tail;  /* oldest first */
    struct engine_filter *departed, **departed_tail; /* oldest first; a reference each */
    bool keeps_departed;
    struct engine_txn *txn;
    struct engine_callout_slot **slots;
    size_t slot_count, slot_buckets;
    atomic_ullong callout_generation;
};

/* Under e->lock. Slot of a key, made at first mention; NULL: no memory. */
struct engine_callout_slot *engine_slot(struct engine *e, const GUID *key, bool create);

/* Under e->lock. Queues what a change took out of sight, after the change was published; frees what it can.
 */
void engine_retire(struct engine *e, struct engine_retired *r);
bool engine_reclaim(struct engine *e); /* false: the system would not say who has pinned */

void engine_layer_snapshot_free(struct engine_layer_snapshot *ls); /* and its index; not its filters */

/* What came of asking the callout of an entry: callout.c. */
struct engine_asked {
    struct engine_arb_step step;
    enum engine_answer answer;
    bool substitute;
};

/*
 * Asks the callout that a matching filter names: calls it when it is registered, supposes its answer when it
 * is foreign, stands in for it otherwise, and puts the answer through arbitration. The caller holds a pin, no
 * lock.
 */
struct engine_asked engine_ask_callout(struct engine_reader *r, const struct engine_request *q,
                                       const struct engine_entry *entry, const struct engine_filter *f,
                                       struct engine_arbitration *a);

/* Counts the caller out of a registration that it ran. The caller still holds its pin. */
void engine_registration_leave(struct engine *e, struct engine_registration *r);
/* Wakes who waits for that, or for pins. */
void engine_reader_left(struct engine *e);

/* Inline, for classify; engine_pin() and engine_unpin() are these. */
static inline const struct engine_snapshot *engine_reader_pin(struct engine_reader *r)
{
    if (__builtin_expect(r->depth++ == 0, 1)) {
        unsigned long long epoch = atomic_load_explicit(&r->engine->epoch, memory_order_acquire);

        if (r->cheap) {
            atomic_store_explicit(&r->epoch, epoch, memory_order_release);
            atomic_signal_fence(memory_order_seq_cst);
        } else {
            atomic_store(&r->epoch, epoch);
        }
    }
    return atomic_load(&r->engine->current);
}

static inline void engine_reader_unpin(struct engine_reader *r)
{
    unsigned long long epoch;

    if (--r->depth != 0)
        return;
    epoch = atomic_load_explicit(&r->epoch, memory_order_relaxed);
    if (r->cheap) {
        atomic_store_explicit(&r->epoch, 0, memory_order_release);
        atomic_signal_fence(memory_order_seq_cst);
    } else {
        atomic_store(&r->epoch, 0);
    }
    if (__builtin_expect(epoch < atomic_load(&r->engine->awaited), 0))
        engine_reader_left(r->engine);
}

#endif
