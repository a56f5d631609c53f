/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index of up to 1024 filters: each cell of each field has a row, a bit a filter.
 *
 *   rows of a field, W words each:  OFF | EMPTY | first ... last cell | token classes (TOKEN fields)
 *
 * Built from spans by toggling: a span flips its filter's bit in its first row and in the row after its last;
 * the running XOR over the rows is then the truth. A small commit takes the rows of the index before, moves
 * the bits behind a removed or added filter by one, and copies the rows of cells that had to be cut.
 */
#include <errno.h>
#include <stdlib.h>

#include "engine/index_parts.h"

/* ---- fields ---------------------------------------------------------------------------------------- */

static bool is_opaque(UINT8 kind)
{
    return kind == IX_BYTES || kind == IX_TOKEN;
}

/* How a field's value is looked up: its map's kind, or a shorter way where there are few starts. */
static UINT8 kind_of(const struct ix_map *m)
{
    if (m->kind == IX_U32 && m->count <= 16)
        return IX_FEW32;
    if (m->kind == IX_U64 && m->count <= IX_FEW64_STARTS && m->type != FWP_BYTE_ARRAY6_TYPE)
        return IX_FEW64;
    return m->kind;
}

static int field_compare(const void *pa, const void *pb)
{
    const struct ix_field *a = pa, *b = pb;
    int opaque = is_opaque(b->kind) - is_opaque(a->kind);

    if (opaque != 0)
        return opaque;
    return a->kind != b->kind ? a->kind - b->kind : a->value - b->value;
}

/* Opaque fields first, then kind by kind. Takes over the references to the maps when it succeeds. */
struct ix_fields *ix_fields_create(const struct engine_index_config *cfg, UINT32 count,
                                   struct ix_map *const *maps, const UINT8 *values, UINT32 cached_from)
{
    struct ix_fields *f = ix_alloc(cfg, 64, sizeof(*f) + count * sizeof(f->of[0]));

    if (f == NULL)
        return NULL;
    memset(f, 0, sizeof(*f));
    f->count = count;
    f->decided = true;
    for (UINT32 i = 0; i < count; i++)
        f->of[i] = (struct ix_field){.map = maps[i],
                                     .doubt = maps[i]->doubt,
                                     .value = values[i],
                                     .kind = kind_of(maps[i]),
                                     .cached = IX_NO_SLOT};
    qsort(f->of, count, sizeof(f->of[0]), field_compare);
    memset(f->at, IX_NO_SLOT, sizeof(f->at));
    for (UINT32 i = 0; i < count; i++) {
        f->at[f->of[i].value] = (UINT8)i;
        if (f->of[i].doubt != 0)
            f->decided = false;
        if (is_opaque(f->of[i].kind) && cached_from + f->cached < ENGINE_CACHED_CLASSES) {
            f->of[i].cached = (UINT8)(cached_from + f->cached);
            f->cached++;
        } else if (f->of[i].doubt != 0) {
            f->doubtful = true;
        }
    }
    return f;
}

void ix_fields_free(struct ix_fields *f)
{
    if (f == NULL)
        return;
    for (UINT32 i = 0; i < f->count; i++) {
        ix_map_unref(f->of[i].map);
        free(f->of[i].tokens);
    }
    free(f);
}

void ix_flat_free(struct ix_flat *f)
{
    if (f == NULL)
        return;
    ix_fields_free(f->fields);
    free(f->rows);
    free(f);
}

/* Rows of a field: its cells', and those kept for token classes. */
static UINT32 rows_of(const struct ix_map *m)
{
    return m->cells + (m->kind == IX_TOKEN ? IX_TOKENS : 0);
}

/* ---- making one from parts --------------------------------------------------------------------------- */

/* A field as it is being made. */
struct part {
    struct ix_map *map;
    struct ix_spans spans;
    UINT32 *source;               /* patch: new cell -> old cell; NULL: the same */
    const struct ix_field *from;  /* patch: the rows to start from; NULL: from spans alone */
    const struct ix_draft *draft; /* whose items the spans came from */
    struct ix_draft *own;         /* patch: collected for this field only */
};

struct parts {
    UINT32 count;
    UINT8 value[ENGINE_MAX_FIELDS];
    struct part of[ENGINE_MAX_FIELDS];
};

static void parts_free(struct parts *p)
{
    for (UINT32 i = 0; i < p->count; i++) {
        ix_map_unref(p->of[i].map);
        free(p->of[i].spans.of);
        free(p->of[i].source);
        ix_draft_free(p->of[i].own);
    }
    free(p);
}

static struct part *parts_add(struct parts *p, UINT8 value)
{
    p->value[p->count] = value;
    return &p->of[p->count++];
}

/* Rows and fields for these parts; the rows are not filled. The parts' maps are taken over. */
static int flat_alloc(const struct engine_index_config *cfg, struct parts *p, UINT32 count,
                      UINT32 cached_from, struct ix_flat **out)
{
    UINT32 words = count <= 512 ? 8 : 16, rows = 1;
    struct ix_map *maps[ENGINE_MAX_FIELDS];
    struct ix_flat *f = ix_alloc(cfg, 64, sizeof(*f));
    UINT64 *at;

    if (f == NULL)
        return -ENOMEM;
    memset(f, 0, sizeof(*f));
    f->count = count;
    f->words = words;
    for (UINT32 i = 0; i < p->count; i++) {
        maps[i] = p->of[i].map;
        rows += rows_of(maps[i]);
        f->cells += maps[i]->cells;
        f->size += maps[i]->size;
    }
    f->rows = ix_alloc(cfg, 64, (size_t)rows * words * 8);
    f->fields = ix_fields_create(cfg, p->count, maps, p->value, cached_from);
    if (f->rows == NULL || f->fields == NULL)
        goto fail;
    for (UINT32 i = 0; i < p->count; i++)
        p->of[i].map = NULL;
    f->size +=
        (size_t)rows * words * 8 + sizeof(*f) + sizeof(*f->fields) + p->count * sizeof(f->fields->of[0]);
    f->all = f->rows;
    at = f->rows + words;
    for (UINT32 i = 0; i < p->count; i++) {
        struct ix_field *o = &f->fields->of[i];

        o->rows = at;
        at += (size_t)rows_of(o->map) * words;
        if (o->kind != IX_TOKEN)
            continue;
        o->tokens = ix_alloc(cfg, 64, sizeof(*o->tokens));
        if (o->tokens == NULL)
            goto fail;
        memset(o->tokens, 0, sizeof(*o->tokens));
        f->size += sizeof(*o->tokens);
    }
    memset(f->all, 0, words * 8);
    for (UINT32 i = 0; i < count; i++)
        f->all[i / 64] |= 1ULL << (i % 64);
    *out = f;
    return 0;
fail:
    if (f->fields != NULL && p->count != 0 && p->of[0].map != NULL)
        for (UINT32 i = 0; i < f->fields->count; i++)
            f->fields->of[i].map = NULL; /* still the parts' */
    ix_flat_free(f);
    return -ENOMEM;
}

static const struct part *part_of(const struct parts *p, UINT8 value)
{
    for (UINT32 i = 0; i < p->count; i++)
        if (p->value[i] == value)
            return &p->of[i];
    return NULL;
}

static void flip(UINT64 *row, UINT32 slot)
{
    row[slot / 64] ^= 1ULL << (slot % 64);
}

/* Rows from spans alone: every filter of the index is in the draft, or does not test the field. */
static void fill_rows(const struct ix_flat *f, const struct ix_field *o, const struct part *p)
{
    UINT32 words = f->words, cells = o->map->cells;
    UINT64 *rows = o->rows;

    memset(rows, 0, (size_t)cells * words * 8);
    memcpy(rows, f->all, words * 8);
    for (UINT32 i = 0; i < p->draft->count; i++) {
        UINT32 slot = p->draft->items[i].slot;

        rows[slot / 64] &= ~(1ULL << (slot % 64));
    }
    for (UINT32 i = 0; i < p->spans.count; i++) {
        const struct ix_span *s = &p->spans.of[i];

        flip(rows + (size_t)s->first * words, s->slot);
        if (s->end < cells)
            flip(rows + (size_t)s->end * words, s->slot);
    }
    for (size_t i = words; i < (size_t)cells * words; i++)
        rows[i] ^= rows[i - words];
}

int ix_flat_build(const struct engine_index_config *cfg, const struct engine_layer *layer,
                  const struct engine_filter *const *filters, UINT32 count, UINT32 cached_from,
                  struct ix_flat **out)
{
    struct parts *p = ix_alloc(cfg, 64, sizeof(*p));
    struct ix_drafts d;
    struct ix_flat *f = NULL;
    int err;

    if (p == NULL)
        return -ENOMEM;
    memset(p, 0, sizeof(*p));
    err = ix_collect(cfg, layer, filters, count, -1, &d);
    for (UINT32 i = 0; i < ENGINE_MAX_FIELDS && !err; i++) {
        struct part *part;

        if (d.of[i] == NULL)
            continue;
        part = parts_add(p, (UINT8)i);
        part->draft = d.of[i];
        err = ix_map_build(cfg, d.of[i], &part->map, &part->spans);
    }
    if (!err)
        err = flat_alloc(cfg, p, count, cached_from, &f);
    for (UINT32 i = 0; !err && i < f->fields->count; i++)
        fill_rows(f, &f->fields->of[i], part_of(p, f->fields->of[i].value));
    ix_drafts_free(&d);
    parts_free(p);
    *out = f;
    return err;
}

/* ---- patching -------------------------------------------------------------------------------------- */

static void bits_insert(UINT64 *w, UINT32 words, UINT32 at, bool one)
{
    UINT32 k = at / 64;
    UINT64 below = (1ULL << (at % 64)) - 1, carry = w[k] >> 63, next;

    w[k] = (w[k] & below) | (w[k] & ~below) << 1 | (UINT64)one << (at % 64);
    for (k++; k < words; k++, carry = next) {
        next = w[k] >> 63;
        w[k] = w[k] << 1 | carry;
    }
}

static void bits_remove(UINT64 *w, UINT32 words, UINT32 at)
{
    UINT32 k = at / 64;
    UINT64 below = (1ULL << (at % 64)) - 1;

    w[k] = (w[k] & below) | (w[k] >> 1 & ~below);
    for (; k + 1 < words; k++) {
        w[k] |= w[k + 1] << 63;
        w[k + 1] >>= 1;
    }
}

/* Of 8 or 16 words: two sizes that the compiler knows. */
static void copy_row(UINT64 *to, const UINT64 *from, UINT32 words)
{
    if (words == 8)
        memcpy(to, from, 64);
    else
        memcpy(to, from, 128);
}

/* The rows of one field after the change. tests[i]: added filter i has conditions on the field. */
static void move_rows(const struct ix_flat *f, const struct ix_flat *old, const struct ix_field *o,
                      const struct part *p, const struct engine_layer_delta *delta, const bool *tests)
{
    UINT32 wide = f->words > old->words ? f->words : old->words;

    for (UINT32 c = 0; c < o->map->cells; c++) {
        UINT64 row[ENGINE_INDEX_FLAT_WORDS] = {0};
        const UINT64 *from = p->from->rows + (size_t)(p->source != NULL ? p->source[c] : c) * old->words;

        copy_row(row, from, old->words);
        for (size_t i = delta->removed_count; i-- > 0;)
            bits_remove(row, wide, delta->removed[i]);
        for (size_t i = 0; i < delta->added_count; i++)
            bits_insert(row, wide, delta->added[i], !tests[i]);
        copy_row(o->rows + (size_t)c * f->words, row, f->words);
    }
    for (UINT32 i = 0; i < p->spans.count; i++) {
        const struct ix_span *s = &p->spans.of[i];
        UINT32 slot = delta->added[s->slot];

        for (UINT32 c = s->first; c < s->end; c++)
            o->rows[(size_t)c * f->words + slot / 64] |= 1ULL << (slot % 64);
    }
}

/* The field from all filters: what extending its map cannot do. */
static int rebuild_part(const struct engine_index_config *cfg, const struct engine_layer *layer,
                        const struct engine_filter *const *filters, UINT32 count, UINT8 value,
                        struct part *part)
{
    struct ix_drafts d;
    int err = ix_collect(cfg, layer, filters, count, value, &d);

    part->from = NULL;
    part->spans.count = 0;
    part->draft = part->own = d.of[value];
    return err ? err : ix_map_build(cfg, part->draft, &part->map, &part->spans);
}

/* Parts of all fields after the change; `d`: the items of the added filters. */
static int patch_parts(const struct engine_index_config *cfg, const struct engine_layer *layer,
                       const struct ix_flat *old, const struct engine_filter *const *filters, UINT32 count,
                       const struct ix_drafts *d, struct parts *p)
{
    UINT64 had = 0;
    int err = 0;

    for (UINT32 i = 0; i < old->fields->count && !err; i++) {
        const struct ix_field *o = &old->fields->of[i];
        struct part *part = parts_add(p, o->value);

        had |= 1ULL << o->value;
        part->from = o;
        part->draft = d->of[o->value];
        if (part->draft == NULL) {
            part->map = ix_map_ref(o->map);
            continue;
        }
        err = ix_map_extend(cfg, o->map, part->draft, &part->map, &part->source, &part->spans);
        if (err == -EAGAIN)
            err = rebuild_part(cfg, layer, filters, count, o->value, part);
    }
    for (UINT32 i = 0; i < ENGINE_MAX_FIELDS && !err; i++)
        if (d->of[i] != NULL && !(had >> i & 1))
            err = rebuild_part(cfg, layer, filters, count, (UINT8)i, parts_add(p, (UINT8)i));
    return err;
}

int ix_flat_patch(const struct engine_index_config *cfg, const struct engine_layer *layer,
                  const struct ix_flat *old, const struct engine_filter *const *filters, UINT32 count,
                  UINT32 cached_from, const struct engine_layer_delta *delta, struct ix_flat **out)
{
    struct parts *p = ix_alloc(cfg, 64, sizeof(*p));
    const struct engine_filter **added = ix_alloc(cfg, 64, delta->added_count * sizeof(*added));
    bool *tests = ix_alloc(cfg, 64, delta->added_count * sizeof(*tests));
    struct ix_drafts d = {0};
    struct ix_flat *f = NULL;
    int err = -ENOMEM;

    if (p != NULL)
        memset(p, 0, sizeof(*p));
    if (p == NULL || added == NULL || tests == NULL)
        goto out;
    for (size_t i = 0; i < delta->added_count; i++)
        added[i] = filters[delta->added[i]];
    err = ix_collect(cfg, layer, added, (UINT32)delta->added_count, -1, &d);
    if (!err)
        err = patch_parts(cfg, layer, old, filters, count, &d, p);
    if (!err)
        err = flat_alloc(cfg, p, count, cached_from, &f);
    for (UINT32 i = 0; !err && i < f->fields->count; i++) {
        const struct ix_field *o = &f->fields->of[i];
        const struct part *part = part_of(p, o->value);

        if (part->from == NULL) {
            fill_rows(f, o, part);
            continue;
        }
        memset(tests, 0, delta->added_count * sizeof(*tests));
        for (UINT32 k = 0; part->draft != NULL && k < part->draft->count; k++)
            tests[part->draft->items[k].slot] = true;
        move_rows(f, old, o, part, delta, tests);
    }
    if (!err)
        f->stale = old->stale + (UINT32)delta->removed_count;
out:
    ix_drafts_free(&d);
    if (p != NULL)
        parts_free(p);
    free(added);
    free(tests);
    *out = f;
    return err;
}
