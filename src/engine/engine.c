/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's life: readers and their pins, callouts by key, and giving back what no reader can see.
 *
 * Locks: engine->lock guards the lists of readers, retired things and callout slots, and is held through a
 * commit. It is a leaf towards other rooms: nothing is called out to under it, except the release hooks of
 * filters (which must not call back). Readers never take it, but for the last one to leave a callout that is
 * being unregistered, and those who end a pin that engine_departed_wait() waits for.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/index.h"
#include "engine/internal.h"

#define LOOK_AGAIN_NS 1000000u /* where the system does not say whether anybody has pinned */
#define SLOT_BUCKETS                                                                                         \
    1024 /* a chain is a few long at the 100,000 callouts that OBJ-38 allows, and read only at commit */

/* ---- life ------------------------------------------------------------------------------------------ */

int engine_create(struct engine **out)
{
    struct engine_snapshot *empty = calloc(1, sizeof(*empty));
    struct engine *e = aligned_alloc(64, (sizeof(*e) + 63) / 64 * 64);
    int err = -ENOMEM;

    if (empty == NULL || e == NULL)
        goto fail;
    memset(e, 0, sizeof(*e));
    e->slots = calloc(SLOT_BUCKETS, sizeof(*e->slots));
    if (e->slots == NULL)
        goto fail;
    e->slot_buckets = SLOT_BUCKETS;
    err = rt_mutex_create(&e->lock);
    if (err)
        goto fail_slots;
    err = rt_cond_create(rt_clock_real(), &e->changed);
    if (err)
        goto fail_lock;
    e->retired_tail = &e->retired;
    e->departed_tail = &e->departed;
    atomic_init(&e->epoch, 1); /* 0 is "not pinned" */
    atomic_init(&e->awaited, 0);
    atomic_init(&e->changes, 1);
    e->cheap = rt_barrier_offered();
    atomic_init(&e->current, empty);
    *out = e;
    return 0;

fail_lock:
    rt_mutex_destroy(e->lock);
fail_slots:
    free(e->slots);
fail:
    free(e);
    free(empty);
    return err;
}

void engine_layer_snapshot_free(struct engine_layer_snapshot *ls)
{
    if (ls == NULL)
        return;
    if (ls->index != NULL)
        engine_index_destroy(ls->index);
    free(ls);
}

static void retired_free(struct engine *e, struct engine_retired *r)
{
    for (size_t i = 0; i < r->layer_count; i++)
        engine_layer_snapshot_free(r->layers[i]);
    for (size_t i = 0; i < r->filter_count; i++) {
        struct engine_filter *f = r->filters[i];

        if (!e->keeps_departed || !(f->action & FWP_ACTION_FLAG_CALLOUT)) {
            engine_filter_unref(f);
            continue;
        }
        f->departed_next = NULL;
        *e->departed_tail = f;
        e->departed_tail = &f->departed_next;
    }
    if (r->registration != NULL)
        free(r->registration);
    free((void *)r->snapshot);
    free(r);
}

static void slots_free(struct engine *e)
{
    for (size_t b = 0; b < e->slot_buckets; b++) {
        while (e->slots[b] != NULL) {
            struct engine_callout_slot *s = e->slots[b];
            struct engine_registration *r = atomic_load(&s->registration);

            e->slots[b] = s->next;
            if (r != NULL)
                free(r->retired);
            free(r);
            free(s);
        }
    }
    free(e->slots);
}

void engine_destroy(struct engine *e)
{
    const struct engine_snapshot *s;

    if (e == NULL)
        return;
    if (e->txn != NULL)
        engine_txn_abort(e->txn);
    s = atomic_load(&e->current);
    while (e->retired != NULL) {
        struct engine_retired *r = e->retired;

        e->retired = r->next;
        retired_free(e, r);
    }
    while (e->departed != NULL) {
        struct engine_filter *f = e->departed;

        e->departed = f->departed_next;
        engine_filter_unref(f);
    }
    for (size_t i = 0; i < ENGINE_LAYER_COUNT; i++) {
        struct engine_layer_snapshot *ls = (struct engine_layer_snapshot *)s->layers[i];

        if (ls == NULL)
            continue;
        for (UINT32 k = 0; k < ls->count; k++)
            engine_filter_unref((struct engine_filter *)ls->filters[k]);
        engine_layer_snapshot_free(ls);
    }
    free((void *)s);
    slots_free(e);
    rt_cond_destroy(e->changed);
    rt_mutex_destroy(e->lock);
    free(e);
}

void engine_set_observer(struct engine *e, const struct engine_observer *o)
{
    e->has_observer = o != NULL && o->classified != NULL;
    if (o != NULL)
        e->observer = *o;
    engine_observe_blocks(e, true);
}

void engine_observe_permits(struct engine *e, bool want)
{
    __atomic_store_n(&e->observer.want_permits, want, __ATOMIC_RELAXED);
}

bool engine_observes_permits(const struct engine *e)
{
    return __atomic_load_n(&e->observer.want_permits, __ATOMIC_RELAXED);
}

void engine_observe_blocks(struct engine *e, bool want)
{
    __atomic_store_n(&e->has_blocks_observer, want && e->has_observer, __ATOMIC_RELAXED);
}

bool engine_observes_blocks(const struct engine *e)
{
    return __atomic_load_n(&e->has_blocks_observer, __ATOMIC_RELAXED);
}

/* ---- reclamation ----------------------------------------------------------------------------------- */

bool engine_reclaim(struct engine *e)
{
    unsigned long long oldest = ~0ULL;

    if (e->retired == NULL)
        return true;
    if (e->cheap && e->readers != NULL && !rt_barrier())
        return false; /* who has pinned is not known: later, or at the end */
    for (struct engine_reader *r = e->readers; r != NULL; r = r->next) {
        unsigned long long epoch = atomic_load(&r->epoch);

        if (epoch != 0 && epoch < oldest)
            oldest = epoch;
    }
    while (e->retired != NULL && e->retired->epoch <= oldest) {
        struct engine_retired *r = e->retired;

        e->retired = r->next;
        if (e->retired == NULL)
            e->retired_tail = &e->retired;
        retired_free(e, r);
    }
    return true;
}

void engine_retire(struct engine *e, struct engine_retired *r)
{
    r->epoch = atomic_fetch_add(&e->epoch, 1) + 1;
    r->next = NULL;
    *e->retired_tail = r;
    e->retired_tail = &r->next;
    engine_reclaim(e);
}

bool engine_collect(struct engine *e)
{
    bool clean;

    rt_mutex_lock(e->lock);
    engine_reclaim(e);
    clean = e->retired == NULL;
    rt_mutex_unlock(e->lock);
    return clean;
}

void engine_keep_departed(struct engine *e)
{
    rt_mutex_lock(e->lock);
    e->keeps_departed = true;
    rt_mutex_unlock(e->lock);
}

struct engine_filter *engine_departed(struct engine *e, bool *more)
{
    struct engine_filter *f;

    rt_mutex_lock(e->lock);
    engine_reclaim(e);
    f = e->departed;
    if (f != NULL) {
        e->departed = f->departed_next;
        if (e->departed == NULL)
            e->departed_tail = &e->departed;
    }
    *more = e->retired != NULL;
    rt_mutex_unlock(e->lock);
    return f;
}

void engine_departed_wait(struct engine *e)
{
    bool known;

    rt_mutex_lock(e->lock);
    for (;;) {
        atomic_store(&e->awaited, atomic_load(&e->epoch)); /* the newest that is retired */
        known = engine_reclaim(e);
        if (e->retired == NULL || e->departed != NULL)
            break;
        rt_waits_for("classifies that may still see a deleted filter");
        rt_cond_wait(e->changed, e->lock, known ? RT_FOREVER : rt_clock_now(rt_clock_real()) + LOOK_AGAIN_NS);
    }
    atomic_store(&e->awaited, 0);
    rt_mutex_unlock(e->lock);
    rt_waits_for(NULL);
}

/* ---- readers --------------------------------------------------------------------------------------- */

int engine_reader_create(struct engine *e, struct engine_reader **out)
{
    struct engine_reader *r = aligned_alloc(64, (sizeof(*r) + 63) / 64 * 64);

    if (r == NULL)
        return -ENOMEM;
    memset(r, 0, sizeof(*r));
    atomic_init(&r->epoch, 0);
    r->engine = e;
    r->cheap = e->cheap;
    rt_mutex_lock(e->lock);
    r->next = e->readers;
    if (r->next != NULL)
        r->next->prev = r;
    e->readers = r;
    rt_mutex_unlock(e->lock);
    *out = r;
    return 0;
}

void engine_reader_destroy(struct engine_reader *r)
{
    struct engine *e;

    if (r == NULL)
        return;
    e = r->engine;
    rt_mutex_lock(e->lock);
    if (r->prev != NULL)
        r->prev->next = r->next;
    else
        e->readers = r->next;
    if (r->next != NULL)
        r->next->prev = r->prev;
    engine_reclaim(e);
    if (atomic_load(&e->awaited) != 0)
        rt_cond_broadcast(e->changed);
    rt_mutex_unlock(e->lock);
    free(r);
}

const struct engine_snapshot *engine_pin(struct engine_reader *r)
{
    return engine_reader_pin(r);
}

void engine_unpin(struct engine_reader *r)
{
    engine_reader_unpin(r);
}

size_t engine_snapshot_filters(const struct engine_snapshot *s, UINT16 layer_id,
                               const struct engine_filter *const **out)
{
    const struct engine_layer_snapshot *ls = layer_id < ENGINE_LAYER_COUNT ? s->layers[layer_id] : NULL;

    *out = ls != NULL ? ls->filters : NULL;
    return ls != NULL ? ls->count : 0;
}

UINT64 engine_snapshot_version(const struct engine_snapshot *s)
{
    return s->version;
}

UINT64 engine_version(const struct engine *e)
{
    return atomic_load_explicit(&e->version, memory_order_acquire);
}

UINT64 engine_changes(const struct engine *e)
{
    return atomic_load_explicit(&e->changes, memory_order_acquire);
}

_Static_assert(ENGINE_CANDIDATE_WORDS == ENGINE_INDEX_FLAT_WORDS, "what a flat index writes fits");

size_t engine_snapshot_candidates(const struct engine_snapshot *s, UINT16 layer_id,
                                  const FWPS_INCOMING_VALUE0 *values, UINT64 unknown,
                                  struct engine_class_cache *cache, UINT64 bits[ENGINE_CANDIDATE_WORDS])
{
    const struct engine_layer_snapshot *ls = layer_id < ENGINE_LAYER_COUNT ? s->layers[layer_id] : NULL;

    return ls != NULL ? engine_index_candidates(ls, values, unknown, cache, bits) : 0;
}

bool engine_snapshot_classes(const struct engine_snapshot *s, UINT16 layer_id,
                             const FWPS_INCOMING_VALUE0 *values, UINT64 fields, UINT32 *classes)
{
    const struct engine_layer_snapshot *ls = layer_id < ENGINE_LAYER_COUNT ? s->layers[layer_id] : NULL;

    return ls != NULL && engine_index_classes(ls, values, fields, classes);
}

UINT64 engine_snapshot_layer_version(const struct engine_snapshot *s, UINT16 layer_id)
{
    return layer_id < ENGINE_LAYER_COUNT ? s->changed[layer_id] : 0;
}

/* ---- callouts -------------------------------------------------------------------------------------- */

static size_t bucket_of(const struct engine *e, const GUID *key)
{
    UINT64 half[2];

    memcpy(half, key, sizeof(half));
    return ((half[0] ^ half[1]) * 0x9e3779b97f4a7c15ULL >> 32) % e->slot_buckets;
}

struct engine_callout_slot *engine_slot(struct engine *e, const GUID *key, bool create)
{
    struct engine_callout_slot **head = &e->slots[bucket_of(e, key)], *s;

    for (s = *head; s != NULL; s = s->next)
        if (memcmp(&s->key, key, sizeof(*key)) == 0)
            return s;
    if (!create)
        return NULL;
    s = calloc(1, sizeof(*s));
    if (s == NULL)
        return NULL;
    s->key = *key;
    atomic_init(&s->registration, NULL);
    atomic_init(&s->foreign, false);
    s->layer_id = ENGINE_ANY_LAYER;
    s->next = *head;
    *head = s;
    e->slot_count++;
    return s;
}

static struct engine_registration *registration_create(const struct engine_callout *callout)
{
    struct engine_registration *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return NULL;
    r->retired = calloc(1, sizeof(*r->retired));
    if (r->retired == NULL) {
        free(r);
        return NULL;
    }
    r->callout = *callout;
    r->retired->registration = r;
    return r;
}

/* Under e->lock, which keeps the registration: unregistering takes it too. Few callouts, rarely asked. */
static const struct engine_registration *registered_id(const struct engine *e, UINT32 id,
                                                       const struct engine_callout_slot **slot)
{
    if (id == 0)
        return NULL;
    for (size_t b = 0; b < e->slot_buckets; b++) {
        for (struct engine_callout_slot *s = e->slots[b]; s != NULL; s = s->next) {
            const struct engine_registration *r = atomic_load(&s->registration);

            if (r != NULL && r->callout.id == id) {
                *slot = s;
                return r;
            }
        }
    }
    return NULL;
}

static void callout_copy(const struct engine_callout_slot *slot, const struct engine_registration *r,
                         struct engine_callout *out)
{
    *out = r->callout;
    if (out->layer_id == ENGINE_ANY_LAYER)
        out->layer_id = slot->layer_id;
}

bool engine_callout_by_id(struct engine *e, UINT32 id, struct engine_callout *out)
{
    const struct engine_callout_slot *slot;
    const struct engine_registration *r;

    rt_mutex_lock(e->lock);
    r = registered_id(e, id, &slot);
    if (r != NULL)
        callout_copy(slot, r, out);
    rt_mutex_unlock(e->lock);
    return r != NULL;
}

bool engine_callout_by_key(struct engine *e, const GUID *key, struct engine_callout *out)
{
    const struct engine_registration *r = NULL;
    const struct engine_callout_slot *slot;

    rt_mutex_lock(e->lock);
    slot = engine_slot(e, key, false);
    if (slot != NULL)
        r = atomic_load(&slot->registration);
    if (r != NULL)
        callout_copy(slot, r, out);
    rt_mutex_unlock(e->lock);
    return r != NULL;
}

int engine_callout_place(struct engine *e, const GUID *key, UINT16 layer_id)
{
    struct engine_callout_slot *slot;

    rt_mutex_lock(e->lock);
    slot = engine_slot(e, key, layer_id != ENGINE_ANY_LAYER);
    if (slot != NULL)
        slot->layer_id = layer_id;
    rt_mutex_unlock(e->lock);
    return slot != NULL || layer_id == ENGINE_ANY_LAYER ? 0 : -ENOMEM;
}

UINT64 engine_callout_generation(const struct engine *e)
{
    return atomic_load_explicit(&e->callout_generation, memory_order_acquire);
}

static void callouts_changed(struct engine *e)
{
    atomic_fetch_add(&e->callout_generation, 1);
    atomic_fetch_add(&e->changes, 1);
}

int engine_callout_register(struct engine *e, const struct engine_callout *callout)
{
    const struct engine_callout_slot *other;
    struct engine_registration *r;
    struct engine_callout_slot *s;
    int err = 0;

    if (callout->version > 3 || callout->classify.v0 == NULL)
        return -EINVAL;
    r = registration_create(callout);
    if (r == NULL)
        return -ENOMEM;
    rt_mutex_lock(e->lock);
    s = engine_slot(e, &callout->key, true);
    if (s == NULL)
        err = -ENOMEM;
    else if (atomic_load(&s->registration) != NULL || registered_id(e, callout->id, &other) != NULL)
        err = -EEXIST;
    else
        atomic_store(&s->registration, r);
    callouts_changed(e);
    rt_mutex_unlock(e->lock);
    if (err) {
        free(r->retired);
        free(r);
    }
    return err;
}

/*
 * A classify that is about to run the callout counts itself in and then looks again whether it is still
 * registered; here the slot is emptied and then the count is read. Both are sequentially consistent: either
 * the classify sees the empty slot, or this sees its count.
 */
/* Does somebody run it? */
static bool runs(const struct engine *e, struct engine_registration *r)
{
    if (atomic_load(&r->running) != 0)
        return true;
    for (struct engine_reader *reader = e->readers; e->cheap && reader != NULL; reader = reader->next)
        for (unsigned i = 0; i < ENGINE_ASKS; i++)
            if (atomic_load(&reader->asked[i]) == r)
                return true;
    return false;
}

int engine_callout_unregister(struct engine *e, const GUID *key)
{
    struct engine_callout_slot *s;
    struct engine_registration *r = NULL;

    rt_mutex_lock(e->lock);
    s = engine_slot(e, key, false);
    if (s != NULL)
        r = atomic_exchange(&s->registration, NULL);
    if (r == NULL) {
        rt_mutex_unlock(e->lock);
        return -ENOENT;
    }
    callouts_changed(e);
    atomic_store(&r->leaving, true);
    while (e->cheap && e->readers != NULL && !rt_barrier())
        rt_yield(); /* who runs it must be known */
    while (runs(e, r))
        rt_cond_wait(e->changed, e->lock, RT_FOREVER);
    engine_retire(e, r->retired);
    rt_mutex_unlock(e->lock);
    return 0;
}

void engine_registration_leave(struct engine *e, struct engine_registration *r)
{
    if (atomic_fetch_sub(&r->running, 1) == 1 && atomic_load(&r->leaving))
        engine_reader_left(e);
}

void engine_reader_left(struct engine *e)
{
    rt_mutex_lock(e->lock);
    rt_cond_broadcast(e->changed);
    rt_mutex_unlock(e->lock);
}

int engine_callout_set_foreign(struct engine *e, const GUID *key, bool foreign)
{
    struct engine_callout_slot *s;

    rt_mutex_lock(e->lock);
    s = engine_slot(e, key, true);
    if (s != NULL)
        atomic_store(&s->foreign, foreign);
    callouts_changed(e);
    rt_mutex_unlock(e->lock);
    return s != NULL ? 0 : -ENOMEM;
}

enum engine_callout_state engine_callout_state(struct engine *e, const GUID *key)
{
    enum engine_callout_state state = ENGINE_CALLOUT_UNREGISTERED;
    struct engine_callout_slot *s;

    rt_mutex_lock(e->lock);
    s = engine_slot(e, key, false);
    if (s != NULL && atomic_load(&s->registration) != NULL)
        state = ENGINE_CALLOUT_REGISTERED;
    else if (s != NULL && atomic_load(&s->foreign))
        state = ENGINE_CALLOUT_FOREIGN;
    rt_mutex_unlock(e->lock);
    return state;
}
