/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transactions: from the operations of a transaction to the next snapshot.
 *
 *   ops --net effect per layer--> adds, removed ids --merge with the layer's arrays--> next layer snapshot
 *       --index built from the previous one--> new table of layers --one store--> published
 *
 * A touched layer's arrays are copied in runs between the changes: nothing is sorted but the additions, and
 * no filter is looked at but those that a binary search meets. Untouched layers are shared. All memory is had
 * before the store that publishes; after it nothing can fail. Everything here runs under engine->lock.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/index.h"
#include "engine/internal.h"

#define MAX_UNTESTED 8
#define MAX_ASKED    4 /* tests of numbers in a row, before an index is the shorter way */

struct txn_op {
    UINT64 id;
    UINT32 seq;
    UINT16 layer;
    struct engine_filter *filter; /* one reference; NULL: remove `id` */
};

struct engine_txn {
    struct engine *engine;
    struct txn_op *ops;
    size_t count, capacity;
};

/* The net change of one layer. */
struct layer_change {
    UINT16 layer;
    struct engine_filter **adds; /* in order of evaluation; into plan->filters */
    UINT32 add_count;
    UINT64 *removed_ids; /* ascending; into plan->ids */
    UINT32 removed_count;
    struct engine_layer_snapshot *next; /* NULL: the layer becomes empty */
};

struct plan {
    struct layer_change changes[ENGINE_LAYER_COUNT];
    size_t change_count;
    struct engine_filter **filters; /* all additions */
    UINT64 *ids;                    /* all removals */
    size_t add_count, removed_count;
    struct engine_snapshot *snapshot;
    struct engine_retired *retired;
};

/* ---- collecting operations ------------------------------------------------------------------------- */

int engine_txn_begin(struct engine *e, struct engine_txn **out)
{
    struct engine_txn *t = calloc(1, sizeof(*t));
    int err = 0;

    if (t == NULL)
        return -ENOMEM;
    t->engine = e;
    rt_mutex_lock(e->lock);
    if (e->txn != NULL)
        err = -EBUSY;
    else
        e->txn = t;
    rt_mutex_unlock(e->lock);
    if (err)
        free(t);
    else
        *out = t;
    return err;
}

static int txn_op(struct engine_txn *t, const struct txn_op *op)
{
    if (t->count == UINT32_MAX)
        return -ENOMEM;
    if (t->count == t->capacity) {
        size_t capacity = t->capacity != 0 ? t->capacity * 2 : 8;
        struct txn_op *ops = realloc(t->ops, capacity * sizeof(*ops));

        if (ops == NULL)
            return -ENOMEM;
        t->ops = ops;
        t->capacity = capacity;
    }
    t->ops[t->count] = *op;
    t->ops[t->count].seq = (UINT32)t->count;
    t->count++;
    return 0;
}

int engine_txn_add(struct engine_txn *t, struct engine_filter *f)
{
    struct txn_op op = {.id = f->id, .layer = f->desc.layer_id, .filter = f};
    int err = txn_op(t, &op);

    if (!err)
        engine_filter_ref(f);
    return err;
}

int engine_txn_remove(struct engine_txn *t, UINT16 layer_id, UINT64 filter_id)
{
    struct txn_op op = {.id = filter_id, .layer = layer_id};

    if (layer_id >= ENGINE_LAYER_COUNT)
        return -EINVAL;
    return txn_op(t, &op);
}

/* Ends the transaction; what its operations still hold is dropped. */
static void txn_end(struct engine_txn *t)
{
    struct engine *e = t->engine;

    rt_mutex_lock(e->lock);
    e->txn = NULL;
    rt_mutex_unlock(e->lock);
    for (size_t i = 0; i < t->count; i++)
        engine_filter_unref(t->ops[i].filter);
    free(t->ops);
    free(t);
}

void engine_txn_abort(struct engine_txn *t)
{
    if (t != NULL)
        txn_end(t);
}

/* ---- the net effect -------------------------------------------------------------------------------- */

static int op_compare(const void *pa, const void *pb)
{
    const struct txn_op *a = pa, *b = pb;

    if (a->layer != b->layer)
        return a->layer < b->layer ? -1 : 1;
    if (a->id != b->id)
        return a->id < b->id ? -1 : 1;
    return (a->seq > b->seq) - (a->seq < b->seq);
}

/* Sublayers: heavier first, then older (OBJ-20); the key only keeps equal ones apart. */
static int sublayer_order(UINT16 weight_a, UINT64 seq_a, const GUID *key_a, UINT16 weight_b, UINT64 seq_b,
                          const GUID *key_b)
{
    if (weight_a != weight_b)
        return weight_a > weight_b ? -1 : 1;
    if (seq_a != seq_b)
        return seq_a < seq_b ? -1 : 1;
    return memcmp(key_a, key_b, sizeof(*key_a));
}

/* The order of evaluation (ARB-01, ARB-02, OBJ-33). */
static int filter_order(const struct engine_filter *a, const struct engine_filter *b)
{
    int order = sublayer_order(a->sublayer_weight, a->desc.sublayer_seq, &a->desc.sublayer_key,
                               b->sublayer_weight, b->desc.sublayer_seq, &b->desc.sublayer_key);

    if (order != 0)
        return order;
    if (a->weight != b->weight)
        return a->weight > b->weight ? -1 : 1;
    return (a->id < b->id) - (a->id > b->id);
}

static int filter_compare(const void *a, const void *b)
{
    return filter_order(*(struct engine_filter *const *)a, *(struct engine_filter *const *)b);
}

/* One id's operations, in order: ends as an addition, a removal, both (replaced) or neither. */
static int net_of(const struct txn_op *ops, size_t n, struct plan *p, struct layer_change *c)
{
    struct engine_filter *pending = NULL;
    bool removed = false;

    for (size_t i = 0; i < n; i++) {
        if (ops[i].filter != NULL) {
            if (pending != NULL)
                return -EINVAL;
            pending = ops[i].filter;
        } else if (pending != NULL) {
            pending = NULL;
        } else {
            if (removed)
                return -ENOENT;
            removed = true;
        }
    }
    if (pending != NULL) {
        p->filters[p->add_count++] = pending;
        c->add_count++;
    }
    if (removed) {
        p->ids[p->removed_count++] = ops[0].id;
        c->removed_count++;
    }
    return 0;
}

static int plan_changes(const struct engine_txn *t, struct plan *p)
{
    for (size_t i = 0, n; i < t->count; i += n) {
        struct layer_change *c = p->change_count != 0 ? &p->changes[p->change_count - 1] : NULL;
        int err;

        if (c == NULL || c->layer != t->ops[i].layer) {
            c = &p->changes[p->change_count++];
            *c = (struct layer_change){.layer = t->ops[i].layer,
                                       .adds = p->filters + p->add_count,
                                       .removed_ids = p->ids + p->removed_count};
        }
        for (n = 1; i + n < t->count && t->ops[i + n].layer == c->layer && t->ops[i + n].id == t->ops[i].id;)
            n++;
        err = net_of(&t->ops[i], n, p, c);
        if (err)
            return err;
    }
    for (size_t i = 0; i < p->change_count; i++)
        if (p->changes[i].add_count > 1)
            qsort(p->changes[i].adds, p->changes[i].add_count, sizeof(*p->changes[i].adds), filter_compare);
    return 0;
}

/* ---- the next layer snapshot ----------------------------------------------------------------------- */

static int id_compare(const void *pa, const void *pb)
{
    const UINT64 *a = pa, *b = pb;

    return (*a > *b) - (*a < *b);
}

/* Positions in prev of the removed ids. */
static int find_removed(const struct engine_layer_snapshot *prev, const struct layer_change *c, UINT32 *out)
{
    UINT32 found = 0, count = prev != NULL ? prev->count : 0;

    for (UINT32 i = 0; i < count && found < c->removed_count; i++) {
        if (c->removed_count == 1 ? prev->ids[i] == c->removed_ids[0]
                                  : bsearch(&prev->ids[i], c->removed_ids, c->removed_count, sizeof(UINT64),
                                            id_compare) != NULL)
            out[found++] = i;
    }
    return found == c->removed_count ? 0 : -ENOENT;
}

/* The first position of prev that comes after f. */
static UINT32 place_of(const struct engine_layer_snapshot *prev, const struct engine_filter *f, UINT32 low)
{
    UINT32 high = prev != NULL ? prev->count : 0;

    while (low < high) {
        UINT32 mid = low + (high - low) / 2;

        if (filter_order(prev->filters[mid], f) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static bool same_sublayer(const struct engine_filter *a, const struct engine_filter *b)
{
    return sublayer_order(a->sublayer_weight, a->desc.sublayer_seq, &a->desc.sublayer_key, b->sublayer_weight,
                          b->desc.sublayer_seq, &b->desc.sublayer_key) == 0;
}

static struct engine_layer_snapshot *layer_alloc(UINT32 count, UINT32 sublayers)
{
    struct engine_layer_snapshot *ls;
    size_t each = sizeof(*ls->filters) + sizeof(*ls->ids) + sizeof(*ls->entries) + sizeof(*ls->plain);
    UINT32 words = (count + 63) / 64;
    UINT8 *p = malloc(sizeof(*ls) + count * each + sublayers * sizeof(*ls->sublayers) +
                      words * sizeof(*ls->sublayer_at));

    if (p == NULL)
        return NULL;
    ls = (struct engine_layer_snapshot *)p;
    *ls = (struct engine_layer_snapshot){.count = count};
    p += sizeof(*ls);
    ls->filters = (const struct engine_filter **)p;
    p += count * sizeof(*ls->filters);
    ls->ids = (UINT64 *)p;
    p += count * sizeof(*ls->ids);
    ls->entries = (struct engine_entry *)p;
    p += count * sizeof(*ls->entries);
    ls->sublayers = (struct engine_sublayer_group *)p;
    p += sublayers * sizeof(*ls->sublayers);
    ls->sublayer_at = (UINT16 *)p;
    p += words * sizeof(*ls->sublayer_at);
    ls->plain = p;
    return ls;
}

static int entry_make(struct engine *e, const struct engine_filter *f, struct engine_entry *out)
{
    *out = (struct engine_entry){.flags = (UINT8)f->flags};
    switch (f->action) {
    case FWP_ACTION_PERMIT:
        out->kind = ENGINE_ENTRY_PERMIT;
        return 0;
    case FWP_ACTION_BLOCK:
        out->kind = ENGINE_ENTRY_BLOCK;
        return 0;
    case FWP_ACTION_CALLOUT_TERMINATING:
        out->kind = ENGINE_ENTRY_TERMINATING;
        break;
    case FWP_ACTION_CALLOUT_INSPECTION:
        out->kind = ENGINE_ENTRY_INSPECTION;
        break;
    default:
        out->kind = ENGINE_ENTRY_UNKNOWN;
        break;
    }
    out->slot = engine_slot(e, &f->desc.callout_key, true);
    return out->slot != NULL ? 0 : -ENOMEM;
}

static UINT8 plain_of(const struct engine_entry *entry)
{
    if (entry->slot != NULL)
        return ENGINE_PLAIN_CALLOUT;
    return (entry->kind == ENGINE_ENTRY_PERMIT ? ENGINE_PLAIN_PERMIT : 0) |
           (entry->flags & FWPS_FILTER_FLAG_CLEAR_ACTION_RIGHT ? ENGINE_PLAIN_HARD : 0);
}

static void copy_run(struct engine_layer_snapshot *next, UINT32 at, const struct engine_layer_snapshot *prev,
                     UINT32 from, UINT32 n)
{
    if (n == 0)
        return;
    memcpy(&next->filters[at], &prev->filters[from], n * sizeof(*next->filters));
    memcpy(&next->ids[at], &prev->ids[from], n * sizeof(*next->ids));
    memcpy(&next->entries[at], &prev->entries[from], n * sizeof(*next->entries));
    memcpy(&next->plain[at], &prev->plain[from], n * sizeof(*next->plain));
}

/* Runs of prev between the changes, additions at their places; fills `added` with positions in next. */
static int merge_filters(struct engine *e, const struct engine_layer_snapshot *prev,
                         struct engine_layer_snapshot *next, const struct layer_change *c,
                         const UINT32 *removed, UINT32 *added)
{
    UINT32 from = 0, at = 0, place = 0, a = 0, r = 0, total = prev != NULL ? prev->count : 0;

    while (a < c->add_count || r < c->removed_count) {
        bool add;
        UINT32 stop;

        if (a < c->add_count)
            place = place_of(prev, c->adds[a], place);
        add = a < c->add_count && (r == c->removed_count || place <= removed[r]);
        stop = add ? place : removed[r];
        copy_run(next, at, prev, from, stop - from);
        at += stop - from;
        from = stop;
        if (add) {
            if (entry_make(e, c->adds[a], &next->entries[at]))
                return -ENOMEM;
            next->plain[at] = plain_of(&next->entries[at]);
            next->filters[at] = c->adds[a];
            next->ids[at] = c->adds[a]->id;
            added[a++] = at++;
        } else {
            from++;
            r++;
        }
    }
    copy_run(next, at, prev, from, total - from);
    return 0;
}

/* Groups of sublayers from prev's groups and the changes; numbers the entries by them. */
static void merge_sublayers(const struct engine_layer_snapshot *prev, struct engine_layer_snapshot *next,
                            const struct layer_change *c, const UINT32 *removed)
{
    UINT32 g = 0, groups = prev != NULL ? prev->sublayer_count : 0, a = 0, r = 0, at = 0;

    while (g < groups || a < c->add_count) {
        const struct engine_sublayer_group *old = g < groups ? &prev->sublayers[g] : NULL;
        const struct engine_filter *f = a < c->add_count ? c->adds[a] : NULL;
        struct engine_sublayer_group *s = &next->sublayers[next->sublayer_count];
        UINT32 n = 0;
        int order = old == NULL ? 1
                    : f == NULL ? -1
                                : sublayer_order(old->weight, old->seq, &old->key, f->sublayer_weight,
                                                 f->desc.sublayer_seq, &f->desc.sublayer_key);

        if (order <= 0) {
            *s = *old;
            n = old->end - old->first;
            for (; r < c->removed_count && removed[r] < old->end; r++)
                n--;
            g++;
        } else {
            *s = (struct engine_sublayer_group){
                .key = f->desc.sublayer_key, .seq = f->desc.sublayer_seq, .weight = f->sublayer_weight};
        }
        if (order >= 0)
            for (const struct engine_filter *first = f; a < c->add_count && same_sublayer(first, c->adds[a]);
                 a++)
                n++;
        if (n == 0)
            continue;
        s->first = at;
        s->end = at + n;
        for (; at < s->end; at++) {
            next->entries[at].sublayer = (UINT16)next->sublayer_count;
            next->entries[at].end = s->end;
        }
        next->sublayer_count++;
    }
    for (UINT32 i = 0, k = 0; i < next->count; i += 64) {
        while (i >= next->sublayers[k].end)
            k++;
        next->sublayer_at[i / 64] = (UINT16)k;
    }
    for (UINT32 i = next->count; i > 0 && next->callout_end == 0; i--)
        if (next->entries[i - 1].slot != NULL)
            next->callout_end = i;
    next->untested = next->count <= MAX_UNTESTED;
    for (UINT32 i = 0; i < next->count && next->untested; i++)
        next->untested = next->filters[i]->test_count == 0;
    next->only = next->untested && next->count == 1 ? next->filters[0] : NULL;
    next->single = next->count == 1 && next->filters[0]->test_count <= MAX_ASKED;
    if (next->count == 1)
        next->only_entry = next->entries[0];
    for (UINT32 i = 0; next->single && i < next->filters[0]->test_count; i++)
        next->single = next->filters[0]->tests[i].op != ENGINE_TEST_MATCH;
}

static int layer_build(struct engine *e, const struct engine_snapshot *current, struct layer_change *c)
{
    const struct engine_layer_snapshot *prev = current->layers[c->layer];
    UINT32 sublayers = prev != NULL ? prev->sublayer_count : 0, before = prev != NULL ? prev->count : 0;
    UINT32 *positions = malloc(((size_t)c->removed_count + c->add_count + 1) * sizeof(*positions));
    UINT32 *removed = positions, *added = positions + c->removed_count;
    struct engine_layer_snapshot *next = NULL;
    struct engine_layer_delta delta = {removed, c->removed_count, added, c->add_count};
    int err = -ENOMEM;

    if (positions == NULL)
        return -ENOMEM;
    err = find_removed(prev, c, removed);
    if (err || before - c->removed_count + c->add_count == 0)
        goto out;
    for (UINT32 i = 0; i < c->add_count; i++)
        sublayers += i == 0 || !same_sublayer(c->adds[i - 1], c->adds[i]);
    err = -ENOMEM;
    next = layer_alloc(before - c->removed_count + c->add_count, sublayers);
    if (next == NULL)
        goto out;
    next->layer = engine_layer_by_id(c->layer);
    next->field_count = next->layer->field_count;
    next->version = current->version + 1;
    err = merge_filters(e, prev, next, c, removed, added);
    if (err)
        goto out;
    merge_sublayers(prev, next, c, removed);
    err = engine_index_build(prev, next, &delta);
    if (err)
        goto out;
    c->next = next;
    next = NULL;
out:
    /* The retirement wants the removed filters: from here on their positions stand where their ids stood. */
    for (UINT32 i = 0; !err && i < c->removed_count; i++)
        c->removed_ids[i] = removed[i];
    engine_layer_snapshot_free(next);
    free(positions);
    return err;
}

/* ---- commit ---------------------------------------------------------------------------------------- */

static int plan_alloc(const struct engine_txn *t, struct plan *p)
{
    size_t n = t->count;
    size_t pointers = n + ENGINE_LAYER_COUNT;

    p->filters = malloc((n + 1) * sizeof(*p->filters));
    p->ids = malloc((n + 1) * sizeof(*p->ids));
    p->snapshot = malloc(sizeof(*p->snapshot));
    p->retired = calloc(1, sizeof(*p->retired) + pointers * sizeof(void *));
    if (p->filters == NULL || p->ids == NULL || p->snapshot == NULL || p->retired == NULL)
        return -ENOMEM;
    p->retired->layers = (struct engine_layer_snapshot **)(p->retired + 1);
    p->retired->filters = (struct engine_filter **)(p->retired->layers + ENGINE_LAYER_COUNT);
    return 0;
}

static void plan_free(struct plan *p)
{
    for (size_t i = 0; i < p->change_count; i++)
        engine_layer_snapshot_free(p->changes[i].next);
    free(p->retired);
    free(p->snapshot);
    free(p->ids);
    free(p->filters);
}

/* What the new snapshot no longer has. Positions of removed filters stand in removed_ids by now. */
static void plan_retire(struct plan *p, const struct engine_snapshot *current)
{
    struct engine_retired *r = p->retired;

    r->snapshot = current;
    for (size_t i = 0; i < p->change_count; i++) {
        const struct layer_change *c = &p->changes[i];
        const struct engine_layer_snapshot *old = current->layers[c->layer];

        if (old == NULL)
            continue;
        r->layers[r->layer_count++] = (struct engine_layer_snapshot *)old;
        for (UINT32 k = 0; k < c->removed_count; k++)
            r->filters[r->filter_count++] = (struct engine_filter *)old->filters[c->removed_ids[k]];
    }
}

static int commit_locked(struct engine *e, struct plan *p)
{
    const struct engine_snapshot *current = atomic_load_explicit(&e->current, memory_order_relaxed);
    struct engine_retired *retired = p->retired;
    int err;

    for (size_t i = 0; i < p->change_count; i++) {
        err = layer_build(e, current, &p->changes[i]);
        if (err)
            return err;
    }
    *p->snapshot = *current;
    p->snapshot->version++;
    for (size_t i = 0; i < p->change_count; i++) {
        p->snapshot->layers[p->changes[i].layer] = p->changes[i].next;
        p->snapshot->changed[p->changes[i].layer] = p->snapshot->version;
    }
    plan_retire(p, current);

    atomic_store(&e->current, p->snapshot);
    atomic_store_explicit(&e->version, p->snapshot->version, memory_order_release);
    atomic_fetch_add(&e->changes, 1);

    /* The engine's references now: those of the additions that stayed. */
    for (size_t i = 0; i < p->add_count; i++)
        engine_filter_ref(p->filters[i]);
    for (size_t i = 0; i < p->change_count; i++)
        p->changes[i].next = NULL;
    p->snapshot = NULL;
    p->retired = NULL;
    engine_retire(e, retired);
    return 0;
}

int engine_txn_commit(struct engine_txn *t)
{
    struct engine *e = t->engine;
    struct plan *p = calloc(1, sizeof(*p));
    int err = -ENOMEM;

    if (p == NULL)
        goto out;
    err = plan_alloc(t, p);
    if (err)
        goto out;
    for (size_t i = 1; i < t->count; i++) {
        if (op_compare(&t->ops[i - 1], &t->ops[i]) > 0) {
            qsort(t->ops, t->count, sizeof(*t->ops), op_compare);
            break;
        }
    }
    err = plan_changes(t, p);
    if (err)
        goto out;
    if (p->add_count != 0 || p->removed_count != 0) {
        rt_mutex_lock(e->lock);
        err = commit_locked(e, p);
        rt_mutex_unlock(e->lock);
    }
out:
    if (p != NULL)
        plan_free(p);
    free(p);
    txn_end(t);
    return err;
}
