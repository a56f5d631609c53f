/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index: a field's map with the cells that a new filter needs besides. Cells are only ever cut: that a
 * removed filter had wanted them is forgotten at the next build from filters.
 */
#include <errno.h>
#include <stdlib.h>

#include "engine/index_parts.h"

static ix_num start_of(const struct ix_map *m, UINT32 i)
{
    switch (m->kind) {
    case IX_U32:
        return m->tree[i];
    case IX_U128:
        return (ix_num)m->starts[2 * i] << 64 | m->starts[2 * i + 1];
    default:
        return m->starts[i];
    }
}

static UINT32 find_start(const ix_num *starts, UINT32 count, ix_num v)
{
    UINT32 low = 0;

    while (count > 1) {
        UINT32 half = count / 2;

        if (starts[low + half] <= v)
            low += half;
        count -= half;
    }
    return low;
}

static UINT32 add_start(ix_num *starts, UINT32 *count, ix_num v)
{
    UINT32 at = find_start(starts, *count, v);

    if (starts[at] == v)
        return 0;
    memmove(&starts[at + 2], &starts[at + 1], (*count - at - 1) * sizeof(*starts));
    starts[at + 1] = v;
    (*count)++;
    return 1;
}

static int extend_numbers(const struct engine_index_config *cfg, struct ix_map *old, const struct ix_draft *d,
                          struct ix_map **out, UINT32 **source, UINT32 *rank)
{
    ix_num *starts = ix_alloc(cfg, 64, ((size_t)old->count + 2 * (size_t)d->count) * sizeof(*starts)), low,
           high;
    UINT32 count = old->count, fresh = 0;
    ix_num greatest = ix_greatest(d->type);
    int err = -ENOMEM;

    if (starts == NULL)
        return err;
    for (UINT32 i = 0; i < count; i++)
        starts[i] = start_of(old, i);
    for (UINT32 i = 0; i < d->count; i++) {
        if (!ix_item_range(d, &d->items[i], &low, &high))
            continue;
        fresh += add_start(starts, &count, low);
        if (high != greatest)
            fresh += add_start(starts, &count, high + 1);
    }
    err = 0;
    if (fresh == 0) {
        *out = ix_map_ref(old);
    } else if (old->kind == IX_FLAGS) {
        err = -EAGAIN;
    } else {
        *out = ix_map_numbers(cfg, old->kind, old->type, starts, count, 0);
        *source = ix_alloc(cfg, 64, ((size_t)count + IX_CELL_FIRST) * sizeof(**source));
        if (*out == NULL || *source == NULL)
            err = -ENOMEM;
    }
    if (err)
        goto out;
    for (UINT32 i = 0; i < d->count; i++) {
        rank[2 * i] = 0;
        rank[2 * i + 1] = count;
        if (!ix_item_range(d, &d->items[i], &low, &high))
            continue;
        rank[2 * i] = find_start(starts, count, low);
        if (high != greatest)
            rank[2 * i + 1] = find_start(starts, count, high + 1);
    }
    if (*source != NULL) {
        (*source)[IX_CELL_OFF] = IX_CELL_OFF;
        (*source)[IX_CELL_EMPTY] = IX_CELL_EMPTY;
        for (UINT32 i = 0, at = 0; i < count; i++) {
            while (at + 1 < old->count && start_of(old, at + 1) <= starts[i])
                at++;
            (*source)[IX_CELL_FIRST + i] = IX_CELL_FIRST + at;
        }
    }
out:
    free(starts);
    return err;
}

static int extend_bytes(const struct engine_index_config *cfg, struct ix_map *old, const struct ix_draft *d,
                        struct ix_map **out, UINT32 **source, UINT32 *rank)
{
    struct ix_bytes *keys;
    UINT32 count, cells;
    int err = ix_intern(cfg, d, old, &keys, &count, rank);

    if (err)
        return err;
    if (count == old->count) {
        *out = ix_map_ref(old);
        goto out;
    }
    *out = ix_map_bytes(cfg, old->kind, old->type, keys, count);
    cells = IX_CELL_KEYS + (old->kind == IX_TOKEN ? 2 * count : count);
    *source = ix_alloc(cfg, 64, cells * sizeof(**source));
    if (*out == NULL || *source == NULL) {
        err = -ENOMEM;
        goto out;
    }
    for (UINT32 i = 0; i < cells; i++)
        (*source)[i] = i < old->cells ? i : old->kind == IX_TOKEN ? IX_CELL_OFF : IX_CELL_FIRST;
out:
    free(keys);
    return err;
}

int ix_map_extend(const struct engine_index_config *cfg, struct ix_map *old, const struct ix_draft *d,
                  struct ix_map **out, UINT32 **source, struct ix_spans *spans)
{
    struct ix_census c = ix_census(d);
    UINT32 *rank;
    int err;

    *out = NULL;
    *source = NULL;
    if (c.unsorted || old->doubt == old->cells || old->kind == IX_ANY)
        return -EAGAIN;
    if (ix_has_sets(d) && (old->kind != IX_FLAGS || (c.mask & ~old->mask) != 0))
        return -EAGAIN;
    rank = ix_alloc(cfg, 64, 2 * (size_t)d->count * sizeof(*rank));
    if (rank == NULL)
        return -ENOMEM;
    if (old->kind == IX_BYTES || old->kind == IX_TOKEN)
        err = extend_bytes(cfg, old, d, out, source, rank);
    else
        err = extend_numbers(cfg, old, d, out, source, rank);
    if (!err)
        err = ix_all_spans(cfg, d, *out, rank, spans);
    free(rank);
    if (err) {
        ix_map_unref(*out);
        free(*source);
        *out = NULL;
        *source = NULL;
    }
    return err;
}
