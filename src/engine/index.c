/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index of a layer's snapshot: which form it takes, and how a commit gets the next one from the one
 * before.
 *
 *   flat, few changes       -> the flat index before, patched             microseconds
 *   columns, few changes    -> the columns before, shared; a mask of what was removed; a flat index of what
 * was added ("recent"), patched; positions of both, written anew otherwise               -> built from the
 * filters
 *
 * Called under engine->lock; what indexes share is counted without atomics for that reason.
 */
#include <errno.h>
#include <stdlib.h>

#include "engine/index_parts.h"

const struct engine_index_config engine_index_defaults = {
    .flat_max = 64 * ENGINE_INDEX_FLAT_WORDS,
    .recent_max = 512,
    .block_columns = ENGINE_INDEX_COLUMNS,
    .flag_cells = 1024,
    .combine_max = 4096,
    .patch_max = 8,
};

static const struct ix_kernel *choose_kernel(enum engine_index_kernel want)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if ((want == ENGINE_INDEX_BEST || want == ENGINE_INDEX_AVX512) && __builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("bmi2"))
        return &ix_kernel_avx512;
    if (want != ENGINE_INDEX_PORTABLE && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2"))
        return &ix_kernel_avx2;
#else
    (void)want;
#endif
    return &ix_kernel_portable;
}

static struct ix_index *index_alloc(const struct engine_index_config *cfg,
                                    const struct engine_layer_snapshot *ls)
{
    struct ix_index *ix = ix_alloc(cfg, 64, sizeof(*ix));

    if (ix == NULL)
        return NULL;
    memset(ix, 0, sizeof(*ix));
    ix->cfg = cfg;
    ix->kernel = choose_kernel(cfg->kernel);
    ix->stamp = ls->version << 7 | ls->layer->id;
    ix->count = ls->count;
    return ix;
}

static struct ix_index *ix_mutable(struct engine_index *ix)
{
    return (struct ix_index *)(void *)ix;
}

void engine_index_destroy(struct engine_index *index)
{
    struct ix_index *ix = ix_mutable(index);

    if (ix == NULL)
        return;
    ix_flat_free(ix->flat);
    ix_columns_unref(ix->base);
    free(ix->alive);
    free(ix->base_at);
    free(ix->recent_at);
    free(ix->source);
    free(ix);
}

/* ---- flat ------------------------------------------------------------------------------------------ */

static int make_flat(struct ix_index *ix, const struct ix_index *prev,
                     const struct engine_layer_snapshot *next, const struct engine_layer_delta *delta)
{
    const struct engine_index_config *cfg = ix->cfg;

    if (prev != NULL && prev->base == NULL && delta->removed_count + delta->added_count <= cfg->patch_max &&
        prev->flat->stale <= 64 + next->count / 2)
        return ix_flat_patch(cfg, next->layer, prev->flat, next->filters, next->count, 0, delta, &ix->flat);
    return ix_flat_build(cfg, next->layer, next->filters, next->count, 0, &ix->flat);
}

/* ---- columns with recent changes --------------------------------------------------------------------- */

/* What the recent index becomes. */
struct recent {
    const struct engine_filter **filters;
    UINT32 count;
    UINT32 *removed, *added; /* slots before, slots after */
    struct engine_layer_delta delta;
};

static UINT32 source_of(const struct ix_index *prev, UINT32 position)
{
    return prev->source != NULL ? prev->source[position] : position;
}

/* Takes out what was removed: bits of alive, slots of the recent index before. */
static void apply_removals(struct ix_index *ix, const struct ix_index *prev,
                           const struct engine_layer_delta *delta, struct recent *r)
{
    for (size_t i = 0; i < delta->removed_count; i++) {
        UINT32 s = source_of(prev, delta->removed[i]);

        if (s & IX_FROM_RECENT) {
            r->removed[r->delta.removed_count++] = s & ~IX_FROM_RECENT;
        } else {
            ix->alive[s / 64] &= ~(1ULL << (s % 64));
            ix->removed++;
        }
    }
}

/* Walks the positions of the snapshot before and after side by side. */
static void place_all(struct ix_index *ix, const struct ix_index *prev,
                      const struct engine_layer_snapshot *next, const struct engine_layer_delta *delta,
                      struct recent *r)
{
    UINT32 old = 0;
    size_t removed = 0, added = 0;

    for (UINT32 i = 0; i < next->count; i++) {
        UINT32 s;

        if (added < delta->added_count && delta->added[added] == i) {
            added++;
            r->added[r->delta.added_count++] = r->count;
            s = IX_FROM_RECENT;
        } else {
            while (removed < delta->removed_count && delta->removed[removed] == old) {
                removed++;
                old++;
            }
            s = source_of(prev, old++);
        }
        if (s & IX_FROM_RECENT) {
            s = r->count | IX_FROM_RECENT;
            ix->recent_at[r->count] = i;
            r->filters[r->count++] = next->filters[i];
        } else {
            ix->base_at[s] = i;
        }
        ix->source[i] = s;
    }
}

/* A removed slot stands where the next living one does, so that base_at ascends. */
static void place_removed(struct ix_index *ix)
{
    UINT32 at = ix->count;

    for (UINT32 s = ix->base->count; s-- > 0;) {
        if (ix->alive[s / 64] >> (s % 64) & 1)
            at = ix->base_at[s];
        else
            ix->base_at[s] = at;
    }
}

static int recent_alloc(const struct engine_index_config *cfg, const struct engine_layer_delta *delta,
                        UINT32 room, struct recent *r)
{
    *r = (struct recent){0};
    r->filters = ix_alloc(cfg, 64, room * sizeof(*r->filters));
    r->removed = ix_alloc(cfg, 64, delta->removed_count * sizeof(*r->removed));
    r->added = ix_alloc(cfg, 64, delta->added_count * sizeof(*r->added));
    r->delta.removed = r->removed;
    r->delta.added = r->added;
    return r->filters == NULL || r->removed == NULL || r->added == NULL ? -ENOMEM : 0;
}

static int slot_compare(const void *a, const void *b)
{
    const UINT32 *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static int make_recent(struct ix_index *ix, const struct ix_index *prev, const struct engine_layer *layer,
                       struct recent *r)
{
    const struct engine_index_config *cfg = ix->cfg;
    UINT32 cached = ix->base->fields->cached;

    if (r->count == 0)
        return 0;
    qsort(r->removed, r->delta.removed_count, sizeof(*r->removed), slot_compare);
    if (prev->flat != NULL && r->delta.removed_count + r->delta.added_count <= cfg->patch_max &&
        prev->flat->stale <= 64 + r->count / 2)
        return ix_flat_patch(cfg, layer, prev->flat, r->filters, r->count, cached, &r->delta, &ix->flat);
    return ix_flat_build(cfg, layer, r->filters, r->count, cached, &ix->flat);
}

/* The columns before with what changed since beside them. */
static int make_shared(struct ix_index *ix, const struct ix_index *prev,
                       const struct engine_layer_snapshot *next, const struct engine_layer_delta *delta)
{
    const struct engine_index_config *cfg = ix->cfg;
    UINT32 slots = prev->base->count, words = (slots + 63) / 64;
    UINT32 room = (prev->flat != NULL ? prev->flat->count : 0) + (UINT32)delta->added_count;
    struct recent r;
    int err = recent_alloc(cfg, delta, room, &r);

    ix->base = prev->base;
    ix->base->refs++;
    ix->removed = prev->removed;
    if (prev->flat == NULL && ix->removed == 0 && delta->added_count == 0 && delta->removed_count == 0)
        goto out; /* nothing beside the columns */
    ix->alive = ix_alloc(cfg, 64, words * sizeof(*ix->alive));
    ix->base_at = ix_alloc(cfg, 64, slots * sizeof(*ix->base_at));
    ix->recent_at = ix_alloc(cfg, 64, room * sizeof(*ix->recent_at));
    ix->source = ix_alloc(cfg, 64, next->count * sizeof(*ix->source));
    if (!err && (ix->alive == NULL || ix->base_at == NULL || ix->recent_at == NULL || ix->source == NULL))
        err = -ENOMEM;
    if (err)
        goto out;
    ix->size += words * 8 + (size_t)slots * 4 + room * 4 + (size_t)next->count * 4;
    if (prev->alive != NULL)
        memcpy(ix->alive, prev->alive, words * sizeof(*ix->alive));
    else
        memset(ix->alive, 0xff, words * sizeof(*ix->alive));
    apply_removals(ix, prev, delta, &r);
    place_all(ix, prev, next, delta, &r);
    place_removed(ix);
    err = make_recent(ix, prev, next->layer, &r);
out:
    free(r.filters);
    free(r.removed);
    free(r.added);
    return err;
}

/* Is what the columns would carry beside them still little? */
static bool can_share(const struct engine_index_config *cfg, const struct ix_index *prev,
                      const struct engine_layer_delta *delta)
{
    size_t recent = prev->flat != NULL ? prev->flat->count : 0;

    return recent + delta->added_count <= cfg->recent_max &&
           prev->removed + delta->removed_count <= prev->base->count / 4;
}

/* ---- the door -------------------------------------------------------------------------------------- */

int engine_index_build_with(const struct engine_index_config *config,
                            const struct engine_layer_snapshot *prev, struct engine_layer_snapshot *next,
                            const struct engine_layer_delta *delta)
{
    const struct ix_index *before = prev != NULL ? ix_of(prev) : NULL;
    struct ix_index *ix = index_alloc(before != NULL ? before->cfg : config, next);
    const struct engine_index_config *cfg;
    int err;

    if (ix == NULL)
        return -ENOMEM;
    cfg = ix->cfg;
    if (before != NULL && before->base != NULL && next->count > cfg->flat_max - cfg->flat_max / 4 &&
        can_share(cfg, before, delta))
        err = make_shared(ix, before, next, delta);
    else if (next->count <= cfg->flat_max)
        err = make_flat(ix, before, next, delta);
    else
        err = ix_columns_build(cfg, next->layer, next->filters, next->count, &ix->base);
    if (err) {
        engine_index_destroy(&ix->head);
        return err;
    }
    ix->size +=
        sizeof(*ix) + (ix->flat != NULL ? ix->flat->size : 0) + (ix->base != NULL ? ix->base->size : 0);
    ix->head.begin = ix->base != NULL ? ix->kernel->begin_columns : ix->kernel->begin_flat;
    next->index = &ix->head;
    return 0;
}

int engine_index_build(const struct engine_layer_snapshot *prev, struct engine_layer_snapshot *next,
                       const struct engine_layer_delta *delta)
{
    return engine_index_build_with(&engine_index_defaults, prev, next, delta);
}

void engine_index_stats(const struct engine_index *index, struct engine_index_stats *out)
{
    const struct ix_index *ix = (const struct ix_index *)(const void *)index;

    *out = (struct engine_index_stats){
        .bytes = ix->size, .columns = ix->base != NULL, .kernel = ix->kernel->name};
    if (ix->base != NULL) {
        out->fields = ix->base->fields->count;
        out->cells = ix->base->cells;
        out->classes = ix->base->classes;
        out->blocks = ix->base->block_count;
        out->recent = ix->flat != NULL ? ix->flat->count : 0;
        out->removed = ix->removed;
    } else {
        out->fields = ix->flat->fields->count;
        out->cells = out->classes = ix->flat->cells;
    }
}
