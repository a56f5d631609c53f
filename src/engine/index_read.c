/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index, as readers use it, apart from the kernels: the classes of opaque values, candidates that the
 * filter itself must confirm, and columns read together with what was added since.
 *
 * Token classes are the one thing that a reader writes. Which descriptors grant a token is checked once; the
 * answers are its class, and the class has a row beside the cells' rows. A row is claimed by a counter,
 * written by the one reader that claimed it and seen by others only after its state is released as ready. A
 * token that finds no room gets the cell of candidates, and is checked against the filters that come that
 * far.
 */
#include "engine/index_parts.h"

/* ---- token classes --------------------------------------------------------------------------------- */

static bool grants(const struct ix_map *m, UINT32 key, const FWP_VALUE0 *v)
{
    FWP_BYTE_BLOB sd = {m->keys[key].size, (UINT8 *)(uintptr_t)(m->bytes + m->keys[key].offset)};
    FWP_CONDITION_VALUE0 c = {.type = FWP_SECURITY_DESCRIPTOR_TYPE, .sd = &sd};

    return engine_match(FWP_MATCH_EQUAL, &c, v);
}

static void fill_token_row(const struct ix_flat *flat, const struct ix_field *f, const UINT64 *granted,
                           UINT64 *row)
{
    UINT32 words = flat->words;

    memcpy(row, f->rows + (size_t)IX_CELL_OFF * words, words * 8);
    for (UINT32 k = 0; k < f->map->count; k++) {
        bool yes = granted[k / 64] >> (k % 64) & 1;
        const UINT64 *from = f->rows + (size_t)(IX_CELL_KEYS + 2 * k + !yes) * words;

        for (UINT32 w = 0; w < words; w++)
            row[w] |= from[w];
    }
}

static UINT32 find_token(const struct ix_field *f, const UINT64 *granted)
{
    UINT32 n = atomic_load_explicit(&f->tokens->claimed, memory_order_relaxed);

    for (UINT32 i = 0; i < n && i < IX_TOKENS; i++) {
        struct ix_token_class *c = &f->tokens->of[i];

        if (atomic_load_explicit(&c->state, memory_order_acquire) != 0 &&
            memcmp(c->granted, granted, sizeof(c->granted)) == 0)
            return i;
    }
    return IX_TOKENS;
}

UINT32 ix_token_cell(const struct ix_flat *flat, const struct ix_field *f, const FWP_VALUE0 *v)
{
    UINT32 cell = ix_cell(f->map, v), i;
    UINT64 granted[IX_DESCRIPTORS / 64] = {0};

    if (cell != IX_CELL_FIRST || f->map->count > IX_DESCRIPTORS || f->map->doubt > 1)
        return cell;
    for (UINT32 k = 0; k < f->map->count; k++)
        granted[k / 64] |= (UINT64)grants(f->map, k, v) << (k % 64);
    i = find_token(f, granted);
    if (i == IX_TOKENS) {
        struct ix_token_class *c;

        if (atomic_load_explicit(&f->tokens->claimed, memory_order_relaxed) >= IX_TOKENS)
            return IX_CELL_FIRST;
        i = atomic_fetch_add_explicit(&f->tokens->claimed, 1, memory_order_relaxed);
        if (i >= IX_TOKENS)
            return IX_CELL_FIRST;
        c = &f->tokens->of[i];
        memcpy(c->granted, granted, sizeof(granted));
        fill_token_row(flat, f, granted, f->rows + (size_t)(f->map->cells + i) * flat->words);
        atomic_store_explicit(&c->state, 1, memory_order_release);
    }
    return f->map->cells + i;
}

/* ---- the class cache ------------------------------------------------------------------------------- */

void ix_cache_fill(const struct ix_index *ix, const FWPS_INCOMING_VALUE0 *values,
                   struct engine_class_cache *cache)
{
    const struct ix_fields *f;

    if (ix->base != NULL) {
        f = ix->base->fields;
        for (UINT32 i = 0; i < f->cached; i++)
            cache->cls[f->of[i].cached] = ix_cell(f->of[i].map, &values[f->of[i].value].value);
    }
    if (ix->flat != NULL) {
        f = ix->flat->fields;
        for (UINT32 i = 0; i < f->cached; i++) {
            const struct ix_field *o = &f->of[i];
            const FWP_VALUE0 *v = &values[o->value].value;

            cache->cls[o->cached] = o->kind == IX_TOKEN ? ix_token_cell(ix->flat, o, v) : ix_cell(o->map, v);
        }
    }
    cache->stamp = ix->stamp;
}

/* ---- candidates ------------------------------------------------------------------------------------ */

bool ix_verify(const struct engine_cursor *c, UINT32 position)
{
    const struct engine_filter *f = c->ls->filters[position];

    for (UINT32 i = 0; i < f->group_count; i++) {
        const struct engine_group *g = &f->groups[i];
        const struct engine_test *t = &f->tests[g->first];
        UINT32 k = 0;

        if (!(c->doubt >> g->field & 1))
            continue;
        while (k < g->count && !engine_test_holds(&t[k], &c->values[g->field].value))
            k++;
        if (k == g->count)
            return false;
    }
    return true;
}

UINT32 ix_next_flat_verified(struct engine_cursor *c, UINT32 from)
{
    for (;; from++) {
        from = engine_index_bit(c->bits, c->live, from);
        if (from == ENGINE_NO_POSITION || ix_verify(c, from))
            return from;
    }
}

UINT32 ix_next_columns_verified(struct engine_cursor *c, UINT32 from)
{
    const struct ix_kernel *k = ix_of(c->ls)->kernel;

    for (;; from++) {
        from = k->next_slot(c, from);
        if (from == ENGINE_NO_POSITION || ix_verify(c, from))
            return from;
    }
}

void ix_trim(struct engine_cursor *c, UINT32 end)
{
    UINT32 base = 0;

    for (; c->found > 0; c->found--) {
        engine_index_found(c, c->found - 1, &base);
        if (base < end)
            break;
    }
    if (c->found > 0 && end - base < 64)
        c->word[(base - c->first) / 64] &= (1ULL << (end - base)) - 1;
}

/* The row of the value's cell; NULL: the cell does not tell, its filters are to be asked. */
static inline const UINT64 *row_of(const struct ix_flat *flat, const struct ix_field *f,
                                   const FWPS_INCOMING_VALUE0 *values, const struct engine_class_cache *cache)
{
    const FWP_VALUE0 *v = &values[f->value].value;
    UINT32 cell = cache != NULL && f->cached != IX_NO_SLOT ? cache->cls[f->cached]
                  : f->kind == IX_TOKEN                    ? ix_token_cell(flat, f, v)
                                                           : ix_cell(f->map, v);

    return cell - IX_CELL_FIRST < f->doubt ? NULL : f->rows + (size_t)cell * flat->words;
}

/* The candidates of an index of eight words, which most are. False: a cell does not tell. */
static bool and_known(const struct ix_flat *flat, const FWPS_INCOMING_VALUE0 *values, UINT64 unknown,
                      const struct engine_class_cache *cache, UINT64 *bits)
{
    typedef UINT64 two __attribute__((vector_size(16), aligned(8), may_alias));
    const two *rows[ENGINE_MAX_FIELDS], *all = (const two *)(const void *)flat->all;
    two *out = (two *)(void *)bits, a = all[0], b = all[1], c = all[2], d = all[3];
    UINT32 count = 0;

    for (UINT32 i = 0; i < flat->fields->count; i++) {
        const struct ix_field *f = &flat->fields->of[i];

        if (unknown >> f->value & 1)
            continue;
        rows[count] = (const two *)(const void *)row_of(flat, f, values, cache);
        if (rows[count++] == NULL)
            return false;
    }
    for (UINT32 i = 0; i < count; i++) { /* apart from the calls above: in registers */
        a &= rows[i][0];
        b &= rows[i][1];
        c &= rows[i][2];
        d &= rows[i][3];
    }
    out[0] = a;
    out[1] = b;
    out[2] = c;
    out[3] = d;
    return true;
}

UINT32 engine_index_candidates(const struct engine_layer_snapshot *ls, const FWPS_INCOMING_VALUE0 *values,
                               UINT64 unknown, struct engine_class_cache *cache,
                               UINT64 bits[ENGINE_INDEX_FLAT_WORDS])
{
    const struct ix_index *ix = ls->index != NULL ? ix_of(ls) : NULL;
    const struct ix_flat *flat = ix != NULL && ix->base == NULL ? ix->flat : NULL;

    if (flat == NULL)
        return 0;
    if (cache != NULL && cache->stamp != ix->stamp)
        ix_cache_fill(ix, values, cache);
    if (flat->words == 8)
        return and_known(flat, values, unknown, cache, bits) ? 8 : 0;
    memcpy(bits, flat->all, flat->words * sizeof(*bits));
    for (UINT32 i = 0; i < flat->fields->count; i++) {
        const struct ix_field *f = &flat->fields->of[i];
        const UINT64 *row;

        if (unknown >> f->value & 1)
            continue;
        row = row_of(flat, f, values, cache);
        if (row == NULL)
            return 0;
        for (UINT32 w = 0; w < flat->words; w++)
            bits[w] &= row[w];
    }
    return flat->words;
}

bool engine_index_classes(const struct engine_layer_snapshot *ls, const FWPS_INCOMING_VALUE0 *values,
                          UINT64 fields, UINT32 *classes)
{
    const struct ix_index *ix = ls->index != NULL ? ix_of(ls) : NULL;

    return ix != NULL && ix->base == NULL && ix->flat != NULL &&
           ix->kernel->classes(ix->flat->fields, values, fields, classes);
}

/* ---- columns and recent ---------------------------------------------------------------------------- */

/* The next living match of the columns from this slot on, as a position. */
static UINT32 advance_base(const struct ix_index *ix, struct engine_cursor *c, UINT32 slot)
{
    for (;; slot++) {
        slot = ix->kernel->next_slot(c, slot);
        if (slot == ENGINE_NO_POSITION)
            return slot;
        if ((ix->alive[slot / 64] >> (slot % 64) & 1) && (c->doubt == 0 || ix_verify(c, ix->base_at[slot])))
            return ix->base_at[slot];
    }
}

static UINT32 advance_recent(const struct ix_index *ix, struct engine_cursor *c, UINT32 slot)
{
    for (;; slot++) {
        slot = ix->flat != NULL ? engine_index_bit(c->bits, c->live, slot) : ENGINE_NO_POSITION;
        if (slot == ENGINE_NO_POSITION)
            return slot;
        if (c->doubt == 0 || ix_verify(c, ix->recent_at[slot]))
            return ix->recent_at[slot];
    }
}

/* The first member of an ascending array that is >= value; count: none. */
static UINT32 lower_bound(const UINT32 *a, UINT32 count, UINT32 value)
{
    UINT32 low = 0;

    while (count > 0) {
        UINT32 half = count / 2;

        if (a[low + half] < value) {
            low += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return low;
}

UINT32 ix_next_recent(struct engine_cursor *c, UINT32 from)
{
    const struct ix_index *ix = ix_of(c->ls);

    if (c->base_at < from || c->base_at == IX_UNASKED) {
        UINT32 slot = lower_bound(ix->base_at, ix->base->count, from);

        c->base_at = slot < ix->base->count ? advance_base(ix, c, slot) : ENGINE_NO_POSITION;
    }
    if (c->recent_at < from || c->recent_at == IX_UNASKED) {
        UINT32 count = ix->flat != NULL ? ix->flat->count : 0, slot = lower_bound(ix->recent_at, count, from);

        c->recent_at = slot < count ? advance_recent(ix, c, slot) : ENGINE_NO_POSITION;
    }
    return c->base_at < c->recent_at ? c->base_at : c->recent_at;
}
