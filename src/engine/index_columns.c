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

struct piece {
    UINT32 start; /* in the pool */
    UINT8 mask;
    bool used;
};

struct builder {
    const struct engine_index_config *cfg;
    UINT32 columns;
    UINT64 *pool;
    UINT32 pool_count, pool_room;
    /* pieces by content */
    struct piece *pieces;
    UINT32 piece_count, piece_mask;
    /* classes: lines, and their starts, one a column */
    struct ix_line *lines;
    UINT32 class_count, line_room;
    UINT32 *starts;
    UINT32 start_room;
    UINT32 *classes; /* hash table of class + 1 */
    UINT32 class_mask;
    UINT64 *hashes; /* of a class */
    UINT32 hash_room;
    /* the vector at the cell of the sweep */
    _Alignas(64) UINT64 words[ENGINE_INDEX_COLUMNS * 8];
    UINT8 mask[ENGINE_INDEX_COLUMNS + 16];
    UINT32 start[ENGINE_INDEX_COLUMNS];
    UINT64 hash;
};

/* ---- pieces ---------------------------------------------------------------------------------------- */

static UINT64 hash_words(const UINT64 *w)
{
    UINT64 a = ix_mix(w[0] ^ w[4], w[1] + 1), b = ix_mix(w[2], w[3] ^ w[5]);

    return ix_mix(a ^ w[6], b + w[7]);
}

static bool same_piece(const struct builder *b, const struct piece *p, UINT8 mask, const UINT64 *w)
{
    const UINT64 *at = b->pool + p->start;

    if (p->mask != mask)
        return false;
    for (UINT32 m = mask; m != 0; m &= m - 1)
        if (*at++ != w[__builtin_ctz(m)])
            return false;
    return true;
}

static UINT64 hash_piece(const UINT64 *packed, UINT8 mask)
{
    UINT64 w[8] = {0};

    for (UINT32 m = mask; m != 0; m &= m - 1)
        w[__builtin_ctz(m)] = *packed++;
    return hash_words(w);
}

static int grow_pieces(struct builder *b)
{
    UINT32 room = 2 * (b->piece_mask + 1);
    struct piece *p = ix_alloc(b->cfg, 64, room * sizeof(*p));

    if (p == NULL)
        return -ENOMEM;
    memset(p, 0, room * sizeof(*p));
    for (UINT32 i = 0; i <= b->piece_mask && b->pieces != NULL; i++) {
        const struct piece *o = &b->pieces[i];
        UINT64 h;

        if (!o->used)
            continue;
        for (h = hash_piece(b->pool + o->start, o->mask); p[h & (room - 1)].used; h++)
            ;
        p[h & (room - 1)] = *o;
    }
    free(b->pieces);
    b->pieces = p;
    b->piece_mask = room - 1;
    return 0;
}

/* The place of these 8 words in the pool: an equal piece's, or a new one. */
static int intern_piece(struct builder *b, const UINT64 *w, UINT8 *mask_out, UINT32 *start)
{
    UINT64 h = hash_words(w);
    void *array = b->pool;
    UINT8 mask = 0;
    int err;

    for (UINT32 i = 0; i < 8; i++)
        mask |= (UINT8)((w[i] != 0) << i);
    *mask_out = mask;
    for (; b->pieces[h & b->piece_mask].used; h++) {
        if (same_piece(b, &b->pieces[h & b->piece_mask], mask, w)) {
            *start = b->pieces[h & b->piece_mask].start;
            return 0;
        }
    }
    err = ix_grow(b->cfg, &array, &b->pool_room, b->pool_count + 16,
                  sizeof(*b->pool)); /* loads run over the end */
    b->pool = array;
    if (err)
        return err;
    *start = b->pool_count;
    b->pieces[h & b->piece_mask] = (struct piece){b->pool_count, mask, true};
    for (UINT32 m = mask; m != 0; m &= m - 1)
        b->pool[b->pool_count++] = w[__builtin_ctz(m)];
    return ++b->piece_count * 2 > b->piece_mask ? grow_pieces(b) : 0;
}

/* ---- classes --------------------------------------------------------------------------------------- */

static bool same_class(const struct builder *b, UINT32 class)
{
    return memcmp(b->starts + (size_t) class * b->columns, b->start, b->columns * sizeof(*b->start)) == 0 &&
           memcmp(b->lines[class].summary, b->mask, sizeof(b->lines[class].summary)) == 0;
}

static int grow_classes(struct builder *b)
{
    UINT32 room = 2 * (b->class_mask + 1), *t = ix_alloc(b->cfg, 64, room * sizeof(*t));

    if (t == NULL)
        return -ENOMEM;
    memset(t, 0, room * sizeof(*t));
    for (UINT32 i = 0; i < b->class_count; i++) {
        UINT64 h = b->hashes[i];

        while (t[h & (room - 1)] != 0)
            h++;
        t[h & (room - 1)] = i + 1;
    }
    free(b->classes);
    b->classes = t;
    b->class_mask = room - 1;
    return 0;
}

/* The class of the vector of the sweep. */
static int intern_class(struct builder *b, UINT32 *out)
{
    void *lines = b->lines, *starts = b->starts, *hashes = b->hashes;
    UINT64 h = b->hash;
    int err;

    for (; b->classes[h & b->class_mask] != 0; h++) {
        *out = b->classes[h & b->class_mask] - 1;
        if (b->hashes[*out] == b->hash && same_class(b, *out))
            return 0;
    }
    err = ix_grow(b->cfg, &lines, &b->line_room, b->class_count + 1, sizeof(*b->lines));
    b->lines = lines;
    if (err)
        return err;
    err = ix_grow(b->cfg, &starts, &b->start_room, (b->class_count + 1) * b->columns, sizeof(*b->starts));
    b->starts = starts;
    if (err)
        return err;
    err = ix_grow(b->cfg, &hashes, &b->hash_room, b->class_count + 1, sizeof(*b->hashes));
    b->hashes = hashes;
    if (err)
        return err;
    *out = b->class_count;
    memcpy(b->lines[*out].summary, b->mask, sizeof(b->lines[*out].summary));
    memcpy(b->starts + (size_t)*out * b->columns, b->start, b->columns * sizeof(*b->start));
    b->hashes[*out] = b->hash;
    b->classes[h & b->class_mask] = ++b->class_count;
    return b->class_count * 2 > b->class_mask ? grow_classes(b) : 0;
}

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

static int touch(struct builder *b, UINT32 column)
{
    UINT32 start;
    int err = intern_piece(b, b->words + 8 * column, &b->mask[column], &start);

    if (err)
        return err;
    b->hash ^= ix_mix(b->start[column], column + 1) ^ ix_mix(start, column + 1);
    b->start[column] = start;
    return 0;
}

static int sweep(struct builder *b, const struct flips *flips, UINT32 cells, UINT32 first, UINT32 *class_of)
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
            err = touch(b, (UINT32)__builtin_ctzll(dirty));
        if (!err)
            err = intern_class(b, &class_of[c]);
        if (err)
            return err;
    }
    return 0;
}

/* ---- finishing a field of a block -------------------------------------------------------------------- */

/* The start most classes have in a column, if most do (Boyer and Moore's vote). */
static UINT32 vote(const struct builder *b, UINT32 column)
{
    UINT32 winner = b->starts[column], votes = 0;

    for (UINT32 i = 0; i < b->class_count; i++) {
        UINT32 s = b->starts[(size_t)i * b->columns + column];

        if (votes == 0)
            winner = s;
        if (s == winner)
            votes++;
        else
            votes--;
    }
    return winner;
}

static void *shrunk(const struct engine_index_config *cfg, const void *from, size_t used, size_t slack)
{
    void *p = ix_alloc(cfg, 64, used + slack);

    if (p != NULL) {
        memcpy(p, from, used);
        memset((char *)p + used, 0, slack);
    }
    return p;
}

static int finish(struct builder *b, struct ix_block_field *out, size_t *size)
{
    UINT32 others = 0;

    for (UINT32 k = 0; k < b->columns; k++)
        out->usual[k] = vote(b, k);
    for (UINT32 i = 0; i < b->class_count; i++) {
        const UINT32 *s = b->starts + (size_t)i * b->columns;

        b->lines[i].other = 0;
        b->lines[i].spare = 0;
        b->lines[i].ref = others;
        for (UINT32 k = 0; k < b->columns; k++)
            if (s[k] != out->usual[k])
                b->lines[i].other |= 1ULL << k;
        others += (UINT32)__builtin_popcountll(b->lines[i].other);
    }
    out->classes = b->class_count;
    out->lines = shrunk(b->cfg, b->lines, b->class_count * sizeof(*b->lines), 0);
    out->pool = shrunk(b->cfg, b->pool, b->pool_count * sizeof(*b->pool), 8 * sizeof(*b->pool));
    out->refs = ix_alloc(b->cfg, 64, others * sizeof(*out->refs));
    if (out->lines == NULL || out->pool == NULL || out->refs == NULL)
        return -ENOMEM;
    for (UINT32 i = 0; i < b->class_count; i++) {
        UINT32 *at = out->refs + b->lines[i].ref;

        for (UINT64 m = b->lines[i].other; m != 0; m &= m - 1)
            *at++ = b->starts[(size_t)i * b->columns + (UINT32)__builtin_ctzll(m)];
    }
    *size += b->class_count * sizeof(*b->lines) + (b->pool_count + 8) * sizeof(*b->pool) +
             others * sizeof(*out->refs);
    return 0;
}

static void builder_reset(struct builder *b)
{
    free(b->pool);
    free(b->pieces);
    free(b->lines);
    free(b->starts);
    free(b->classes);
    free(b->hashes);
}

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
    *from = s->of + low;
    *count = i - low;
}

/* Bits of the filters of the block that do not test the field. */
static void start_words(struct builder *b, const struct ix_block *block, const struct ix_draft *d)
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

static int build_field(const struct engine_index_config *cfg, const struct ix_block *block,
                       const struct ix_draft *d, const struct ix_spans *spans, UINT32 cells,
                       struct ix_block_field *out, size_t *size)
{
    struct builder *b = ix_alloc(cfg, 64, sizeof(*b));
    struct flips flips = {0};
    const struct ix_span *from;
    UINT32 count;
    int err;

    if (b == NULL)
        return -ENOMEM;
    memset(b, 0, sizeof(*b));
    b->cfg = cfg;
    b->columns = block->columns;
    b->piece_mask = b->class_mask = 127;
    spans_of(spans, block, &from, &count);
    err = order_flips(cfg, from, count, cells, &flips);
    out->class_of = ix_alloc(cfg, 64, cells * sizeof(*out->class_of));
    if (!err && out->class_of == NULL)
        err = -ENOMEM;
    if (!err)
        err = grow_pieces(b);
    if (!err)
        err = grow_classes(b);
    if (!err) {
        start_words(b, block, d);
        err = sweep(b, &flips, cells, block->first, out->class_of);
    }
    if (!err)
        err = finish(b, out, size);
    *size += cells * sizeof(*out->class_of);
    free(flips.at);
    free(flips.of);
    builder_reset(b);
    free(b);
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

        for (UINT32 k = 0; b->of != NULL && k < c->fields->count; k++) {
            free(b->of[k].lines);
            free(b->of[k].class_of);
            free(b->of[k].refs);
            free(b->of[k].pool);
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

/* All blocks; spans_of_field: by the layer's field. */
static int build_blocks(const struct engine_index_config *cfg, struct ix_columns *c,
                        const struct ix_drafts *d, const struct ix_spans *spans_of_field)
{
    for (UINT32 i = 0; i < c->block_count; i++) {
        struct ix_block *b = &c->blocks[i];

        b->of = ix_alloc(cfg, 64, c->fields->count * sizeof(b->of[0]));
        if (b->of == NULL)
            return -ENOMEM;
        memset(b->of, 0, c->fields->count * sizeof(b->of[0]));
        c->size += c->fields->count * sizeof(b->of[0]);
        for (UINT32 k = 0; k < c->fields->count; k++) {
            const struct ix_field *f = &c->fields->of[k];
            int err = build_field(cfg, b, d->of[f->value], &spans_of_field[f->value], cells_of(f->map),
                                  &b->of[k], &c->size);

            if (err)
                return err;
            c->classes += b->of[k].classes;
        }
    }
    return 0;
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
        err = build_blocks(cfg, c, &d, spans);
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
