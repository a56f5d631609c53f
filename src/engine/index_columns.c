/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index of many filters. Slots are cut into blocks of up to 48 columns of 512 filters; for each block and
 * field:
 *
 *   cell --class_of--> class --> line (64 bytes: which words of 64 filters are not 0)
 *                                 `-> per column, where its words start in the pool
 *
 * Vectors of neighbouring cells are nearly alike: a sweep over the cells in order flips the filters whose
 * spans begin or end, and only columns that were touched are looked up again among the pieces seen so far. So
 * equal pieces are stored once, equal vectors are one class, and building costs as much as there are spans.
 * Most classes share most columns: a column's commonest piece is its `usual` one, which a line needs not
 * name.
 */
#include <errno.h>
#include <stdlib.h>

#include "engine/index_parts.h"

/* ---- the sweep ------------------------------------------------------------------------------------- */

/* Slots whose spans begin or end at a cell, cells ascending: of[at[cell]] .. of[at[cell + 1]]. */
struct flips {
    UINT32 *at;
    UINT32 *of;
};

static int order_flips(const struct engine_index_config *cfg, const struct ix_span *s, UINT32 count,
                       UINT32 cells, struct flips *out)
{
    UINT32 sum = 0;

    out->at = ix_alloc(cfg, 64, ((size_t)cells + 2) * sizeof(*out->at));
    out->of = ix_alloc(cfg, 64, 2 * (size_t)count * sizeof(*out->of));
    if (out->at == NULL || out->of == NULL)
        return -ENOMEM;
    memset(out->at, 0, ((size_t)cells + 2) * sizeof(*out->at));
    for (UINT32 i = 0; i < count; i++) { /* counted two ahead, so that filling leaves the starts */
        if (s[i].first < cells)
            out->at[s[i].first + 2]++;
        if (s[i].end < cells)
            out->at[s[i].end + 2]++;
    }
    for (UINT32 c = 0; c < cells + 2; c++)
        out->at[c] = sum += out->at[c];
    for (UINT32 i = 0; i < count; i++) {
        if (s[i].first < cells)
            out->of[out->at[s[i].first + 1]++] = s[i].slot;
        if (s[i].end < cells)
            out->of[out->at[s[i].end + 1]++] = s[i].slot;
    }
    return 0;
}

static int sweep(struct ix_builder *b, const struct flips *flips, UINT32 cells, UINT32 first,
                 UINT32 *class_of)
{
    UINT64 dirty = (1ULL << b->columns) - 1;
    int err = 0;

    for (UINT32 c = 0; c < cells; c++) {
        for (UINT32 i = flips->at[c]; i < flips->at[c + 1]; i++) {
            UINT32 slot = flips->of[i] - first;

            b->words[slot / 64] ^= 1ULL << (slot % 64);
            dirty |= 1ULL << (slot / 512);
        }
        if (dirty == 0) {
            class_of[c] = class_of[c - 1];
            continue;
        }
        for (; dirty != 0 && !err; dirty &= dirty - 1)
            err = ix_builder_touch(b, (UINT32)__builtin_ctzll(dirty));
        if (!err)
            err = ix_builder_class(b, &class_of[c]);
        if (err)
            return err;
    }
    return 0;
}

/* ---- one field of a block ----------------------------------------------------------------------------- */

/* The part of an ascending array of spans whose slots are in the block. */
static void spans_of(const struct ix_spans *s, const struct ix_block *block, const struct ix_span **from,
                     UINT32 *count)
{
    UINT32 i = 0, n = s->count, low = 0;

    while (n > 0) { /* the first span with slot >= block->first */
        UINT32 half = n / 2;

        if (s->of[low + half].slot < block->first) {
            low += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    for (i = low; i < s->count && s->of[i].slot < block->first + block->count; i++)
        ;
    *from = low == 0 ? s->of : s->of + low; /* there may be none: NULL has no offset */
    *count = i - low;
}

/* Bits of the filters of the block that do not test the field. */
static void start_words(struct ix_builder *b, const struct ix_block *block, const struct ix_draft *d)
{
    UINT32 n = 0;

    memset(b->words, 0, sizeof(b->words));
    for (UINT32 i = 0; i < block->count; i++)
        b->words[i / 64] |= 1ULL << (i % 64);
    for (n = 0; n < d->count && d->items[n].slot < block->first; n++)
        ;
    for (; n < d->count && d->items[n].slot < block->first + block->count; n++) {
        UINT32 slot = d->items[n].slot - block->first;

        b->words[slot / 64] &= ~(1ULL << (slot % 64));
    }
}

/* A field of a block on its way to a dim. */
struct made {
    struct ix_builder *b;
    UINT32 *class_of; /* cell -> class */
    UINT32 cells;
    UINT8 field; /* of the columns' fields */
};

static int make_field(const struct engine_index_config *cfg, const struct ix_block *block,
                      const struct ix_draft *d, const struct ix_spans *spans, struct made *m)
{
    struct flips flips = {0};
    const struct ix_span *from;
    UINT32 count;
    int err;

    err = ix_builder_open(cfg, block->columns, &m->b);
    m->class_of = ix_alloc(cfg, 64, m->cells * sizeof(*m->class_of));
    if (m->class_of == NULL)
        err = -ENOMEM;
    spans_of(spans, block, &from, &count);
    if (!err)
        err = order_flips(cfg, from, count, m->cells, &flips);
    if (!err) {
        start_words(m->b, block, d);
        err = sweep(m->b, &flips, m->cells, block->first, m->class_of);
    }
    free(flips.at);
    free(flips.of);
    return err;
}

/* ---- fields together --------------------------------------------------------------------------------- */

static int by_classes(const void *pa, const void *pb)
{
    const struct made *a = pa, *b = pb;

    if (a->b->class_count != b->b->class_count)
        return a->b->class_count < b->b->class_count ? -1 : 1;
    return (a->field > b->field) - (a->field < b->field);
}

/*
 * The classes of all combinations of the members', the last member's changing fastest. -E2BIG: they have so
 * little in common that their words would take more than `budget`.
 */
static int combine(const struct made *m, UINT32 members, UINT32 budget, struct ix_builder *out, UINT32 *table)
{
    const struct ix_builder *last = m[members - 1].b;
    UINT32 at[IX_MEMBERS] = {0}, n = 0, bytes = out->columns * 64;
    UINT64 *before = ix_alloc(out->cfg, 64, bytes); /* all members but the last */
    int err = 0;

    if (before == NULL)
        return -ENOMEM;
    for (;;) {
        UINT32 i = members - 1;

        memset(before, 0xff, bytes);
        for (UINT32 k = 0; k + 1 < members; k++)
            ix_builder_and(m[k].b, at[k], before);
        for (UINT32 c = 0; c < last->class_count && !err; c++) {
            memcpy(out->words, before, bytes);
            ix_builder_and(last, c, out->words);
            for (UINT32 k = 0; k < out->columns && !err; k++)
                err = ix_builder_touch(out, k);
            if (!err)
                err = ix_builder_class(out, &table[n++]);
            if (!err && out->pool_count > budget)
                err = -E2BIG;
        }
        while (i-- > 0 && ++at[i] == m[i].b->class_count)
            at[i] = 0;
        if (i == UINT32_MAX || err)
            break;
    }
    free(before);
    return err;
}

/* The members' parts in a dim. */
static void take_parts(struct made *m, UINT32 members, struct ix_dim *out, size_t *size)
{
    UINT32 stride = 1;

    out->members = members;
    for (UINT32 i = members; i-- > 0; stride *= m[i].b->class_count) {
        out->field[i] = m[i].field;
        out->part[i] = m[i].class_of;
        m[i].class_of = NULL;
        for (UINT32 c = 0; c < m[i].cells; c++)
            out->part[i][c] *= stride;
        *size += m[i].cells * sizeof(UINT32);
    }
}

/* Several fields as one dim; -E2BIG: they are better apart. */
static int make_combined(const struct engine_index_config *cfg, struct made *m, UINT32 members,
                         const struct ix_block *block, struct ix_dim *out, struct ix_builder **b,
                         size_t *size)
{
    UINT32 combinations = 1, budget = block->count < 2048 ? 8192 : 4 * block->count;
    int err;

    for (UINT32 i = 0; i < members; i++)
        combinations *= m[i].b->class_count;
    out->table = ix_alloc(cfg, 64, combinations * sizeof(*out->table));
    if (out->table == NULL)
        return -ENOMEM;
    err = ix_builder_open(cfg, block->columns, b);
    if (!err)
        err = combine(m, members, budget, *b, out->table);
    if (err) {
        ix_builder_close(*b);
        *b = NULL;
        free(out->table);
        out->table = NULL;
        return err;
    }
    *size += combinations * sizeof(*out->table);
    take_parts(m, members, out, size);
    return 0;
}

/* As one dim, or, where that takes too much, each half for itself. */
static int make_group(const struct engine_index_config *cfg, struct made *m, UINT32 members,
                      struct ix_block *b, struct ix_builder **builders, size_t *size)
{
    struct ix_dim *out = &b->of[b->dims];
    int err;

    if (members == 1) {
        builders[b->dims++] = m->b;
        take_parts(m, 1, out, size);
        m->b = NULL;
        return 0;
    }
    err = make_combined(cfg, m, members, b, out, &builders[b->dims], size);
    if (err == 0)
        b->dims++;
    if (err != -E2BIG)
        return err;
    err = make_group(cfg, m, members / 2, b, builders, size);
    return err ? err : make_group(cfg, m + members / 2, members - members / 2, b, builders, size);
}

/* Fields with few classes together, as long as their combinations are few for a block of this size. */
static int make_dims(const struct engine_index_config *cfg, struct made *m, UINT32 count, struct ix_block *b,
                     size_t *size)
{
    struct ix_builder *builders[ENGINE_MAX_FIELDS] = {NULL};
    UINT32 limit = b->count < 1024 ? 1024 : b->count;
    int err = 0;

    if (limit > cfg->combine_max)
        limit = cfg->combine_max;
    qsort(m, count, sizeof(*m), by_classes);
    for (UINT32 i = 0, n; i < count && !err; i += n) {
        UINT64 product = m[i].b->class_count;

        for (n = 1; i + n < count && n < IX_MEMBERS && product * m[i + n].b->class_count <= limit; n++)
            product *= m[i + n].b->class_count;
        err = make_group(cfg, m + i, n, b, builders, size);
    }
    b->narrow = b->columns <= IX_NARROW_COLUMNS;
    for (UINT32 i = 0; i < b->dims && !err; i++)
        b->narrow &= builders[i]->pool_count <= UINT16_MAX;
    for (UINT32 i = 0; i < b->dims && !err; i++)
        err = ix_builder_finish(builders[i], b->narrow, &b->of[i], size);
    for (UINT32 i = 0; i < b->dims; i++)
        ix_builder_close(builders[i]);
    return err;
}

/* ---- the whole ------------------------------------------------------------------------------------- */

/* Token classes live in flat rows; here descriptors have the cell of candidates only. */
static UINT32 cells_of(const struct ix_map *m)
{
    return m->kind == IX_TOKEN ? IX_CELL_KEYS : m->cells;
}

void ix_columns_unref(struct ix_columns *c)
{
    if (c == NULL || --c->refs != 0)
        return;
    for (UINT32 i = 0; i < c->block_count; i++) {
        struct ix_block *b = &c->blocks[i];

        for (UINT32 k = 0; k < b->dims; k++) {
            for (UINT32 n = 0; n < b->of[k].members; n++)
                free(b->of[k].part[n]);
            free(b->of[k].lines);
            free(b->of[k].refs);
            free(b->of[k].pool);
            free(b->of[k].table);
        }
        free(b->of);
    }
    ix_fields_free(c->fields);
    free(c);
}

static int columns_alloc(const struct engine_index_config *cfg, UINT32 count, struct ix_columns **out)
{
    UINT32 slots = cfg->block_columns * 512, blocks = (count + slots - 1) / slots;
    struct ix_columns *c = ix_alloc(cfg, 64, sizeof(*c) + blocks * sizeof(c->blocks[0]));

    if (c == NULL)
        return -ENOMEM;
    memset(c, 0, sizeof(*c) + blocks * sizeof(c->blocks[0]));
    c->refs = 1;
    c->count = count;
    c->block_slots = slots;
    c->block_count = blocks;
    c->size = sizeof(*c) + blocks * sizeof(c->blocks[0]);
    for (UINT32 i = 0; i < blocks; i++) {
        struct ix_block *b = &c->blocks[i];

        b->first = i * slots;
        b->count = count - b->first < slots ? count - b->first : slots;
        b->columns = (b->count + 511) / 512;
    }
    *out = c;
    return 0;
}

/* spans_of_field: by the layer's field. */
static int make_block(const struct engine_index_config *cfg, struct ix_columns *c, struct ix_block *b,
                      const struct ix_drafts *d, const struct ix_spans *spans_of_field)
{
    struct made made[ENGINE_MAX_FIELDS] = {{0}};
    UINT32 fields = c->fields->count;
    int err = 0;

    b->of = ix_alloc(cfg, 64, fields * sizeof(b->of[0]));
    if (b->of == NULL)
        return -ENOMEM;
    memset(b->of, 0, fields * sizeof(b->of[0]));
    for (UINT32 k = 0; k < fields && !err; k++) {
        const struct ix_field *f = &c->fields->of[k];

        made[k].field = (UINT8)k;
        made[k].cells = cells_of(f->map);
        err = make_field(cfg, b, d->of[f->value], &spans_of_field[f->value], &made[k]);
    }
    if (!err)
        err = make_dims(cfg, made, fields, b, &c->size);
    for (UINT32 k = 0; k < b->dims; k++)
        c->classes += b->of[k].classes;
    c->size += fields * sizeof(b->of[0]);
    for (UINT32 k = 0; k < fields; k++) {
        ix_builder_close(made[k].b);
        free(made[k].class_of);
    }
    return err;
}

int ix_columns_build(const struct engine_index_config *cfg, const struct engine_layer *layer,
                     const struct engine_filter *const *filters, UINT32 count, struct ix_columns **out)
{
    struct ix_spans spans[ENGINE_MAX_FIELDS] = {{0}};
    struct ix_map *maps[ENGINE_MAX_FIELDS];
    UINT8 values[ENGINE_MAX_FIELDS];
    UINT32 n = 0;
    struct ix_columns *c = NULL;
    struct ix_drafts d;
    int err = ix_collect(cfg, layer, filters, count, -1, &d);

    for (UINT32 i = 0; i < ENGINE_MAX_FIELDS && !err; i++) {
        if (d.of[i] == NULL)
            continue;
        err = ix_map_build(cfg, d.of[i], &maps[n], &spans[i]);
        if (!err)
            values[n++] = (UINT8)i;
    }
    if (!err)
        err = columns_alloc(cfg, count, &c);
    if (!err) {
        c->fields = ix_fields_create(cfg, n, maps, values, 0);
        err = c->fields == NULL ? -ENOMEM : 0;
    }
    if (!err) {
        for (UINT32 i = 0; i < n; i++) {
            c->cells += cells_of(maps[i]);
            c->size += maps[i]->size;
        }
        n = 0; /* the fields' now */
        for (UINT32 i = 0; i < c->block_count && !err; i++)
            err = make_block(cfg, c, &c->blocks[i], &d, spans);
    }
    for (UINT32 i = 0; i < n; i++)
        ix_map_unref(maps[i]);
    for (UINT32 i = 0; i < ENGINE_MAX_FIELDS; i++)
        free(spans[i].of);
    ix_drafts_free(&d);
    if (err) {
        ix_columns_unref(c);
        c = NULL;
    }
    *out = c;
    return err;
}
