/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The paths of a classify through the index, written once and compiled for each instruction set: the
 * including file defines, under its target options,
 *
 *   IX_FN(name)          the name with the set's suffix
 *   IX_NAME              the set's name, a string
 *   ix_count16(node, v), ix_count8(node, v)  how many of 16 32-bit, 8 64-bit keys are <= v
 *   ix_press(v, mask)    the bits of v under mask, pressed together
 *   ix_live8(words)      a bit for each of 8 words that is not 0
 *   ix_live32(bytes), ix_live64(bytes)  a bit for each byte that is not 0
 *   ix_piece(...)  adds the words of one column that are not 0; see index_piece.h
 *
 * Vectors are GCC's generic ones: one zmm, two ymm or four xmm as the target has it.
 */
#ifndef IX_FN
#error "include from a kernel"
#endif

typedef UINT64 IX_FN(v8) __attribute__((vector_size(64), aligned(64), may_alias));
typedef UINT64 IX_FN(v4) __attribute__((vector_size(32), aligned(32), may_alias));

#define IX_INLINE static inline __attribute__((always_inline))

/* ---- a value's cell -------------------------------------------------------------------------------- */

IX_INLINE UINT32 IX_FN(search32)(const struct ix_map *m, UINT32 v)
{
    const UINT32 *node;
    UINT32 at = 0;

    if (v == UINT32_MAX) /* which is what pads the nodes */
        return m->count - 1;
    node = m->tree + m->level[m->depth - 1];
    for (UINT32 k = 0; k < m->root; k++)
        at += ix_count16(node + k * 16, v);
    at--;
    for (UINT32 k = m->depth - 1u; k-- > 0;)
        at = at * 16 + ix_count16(m->tree + m->level[k] + at * 16, v) - 1;
    return at;
}

IX_INLINE UINT32 IX_FN(search64)(const struct ix_map *m, UINT64 v)
{
    const UINT64 *s = m->starts;
    UINT32 at = 0;

    for (UINT32 n = m->count; n > 1;) {
        UINT32 half = n / 2;

        at += s[at + half] <= v ? half : 0;
        n -= half;
    }
    return at;
}

IX_INLINE UINT32 IX_FN(search128)(const struct ix_map *m, const UINT8 *bytes)
{
    ix_num v = ix_load128(bytes);
    UINT32 at = 0;

    for (UINT32 n = m->count; n > 1;) {
        UINT32 half = n / 2;
        const UINT64 *s = m->starts + 2 * (size_t)(at + half);

        at += ((ix_num)s[0] << 64 | s[1]) <= v ? half : 0;
        n -= half;
    }
    return at;
}

IX_INLINE bool IX_FN(number)(const FWP_VALUE0 *v, UINT64 *out)
{
    switch (v->type) {
    case FWP_UINT8:
    case FWP_INT8:
        *out = v->uint8;
        return true;
    case FWP_UINT16:
    case FWP_INT16:
        *out = v->uint16;
        return true;
    case FWP_UINT32:
    case FWP_INT32:
        *out = v->uint32;
        return true;
    default:
        if (v->uint64 == NULL)
            return false;
        *out = *v->uint64;
        return true;
    }
}

static __attribute__((noinline)) UINT32 IX_FN(odd_cell)(const struct ix_map *m, const FWP_VALUE0 *v)
{
    if (v->type == FWP_EMPTY)
        return IX_CELL_EMPTY;
    if (m->kind == IX_TOKEN &&
        (v->type == FWP_TOKEN_ACCESS_INFORMATION_TYPE || v->type == FWP_TOKEN_INFORMATION_TYPE) &&
        v->tokenInformation != NULL)
        return IX_CELL_FIRST;
    return IX_CELL_OFF;
}

IX_INLINE UINT32 IX_FN(cell)(const struct ix_map *m, UINT8 kind, const FWP_VALUE0 *v)
{
    const UINT8 *data;
    UINT32 size;
    UINT64 n;

    if (v->type != m->type)
        return IX_FN(odd_cell)(m, v);
    switch (kind) {
    case IX_U8:
        return IX_CELL_FIRST + m->cell16[v->uint8];
    case IX_U16:
        return IX_CELL_FIRST + m->cell16[m->page[v->uint16 >> 8] * 256u + (v->uint16 & 255u)];
    case IX_U32:
        return IX_CELL_FIRST + IX_FN(search32)(m, v->uint32);
    case IX_FEW32:
        if (v->uint32 == UINT32_MAX)
            return IX_CELL_FIRST + m->count - 1;
        return IX_CELL_FIRST - 1 + ix_count16(m->tree, v->uint32);
    case IX_FEW64:
        if (v->uint64 == NULL)
            return IX_CELL_OFF;
        size = ix_count8(m->starts, *v->uint64);
        return IX_CELL_FIRST - 1 + (size < m->count ? size : m->count); /* the padding is <= the greatest */
    case IX_U64:
        if (v->uint64 == NULL)
            return IX_CELL_OFF;
        n = m->type == FWP_BYTE_ARRAY6_TYPE ? ix_load48(v->byteArray6->byteArray6) : *v->uint64;
        return IX_CELL_FIRST + IX_FN(search64)(m, n);
    case IX_U128:
        if (v->byteArray16 == NULL)
            return IX_CELL_OFF;
        return IX_CELL_FIRST + IX_FN(search128)(m, v->byteArray16->byteArray16);
    case IX_FLAGS:
        if (!IX_FN(number)(v, &n))
            return IX_CELL_OFF;
        size = m->count > 1 ? IX_FN(search64)(m, n) << m->bits : 0;
        return IX_CELL_FIRST + size + (UINT32)ix_press(n, m->mask);
    case IX_BYTES:
        if (!ix_value_bytes(m->type, v, &data, &size))
            return IX_CELL_OFF;
        return IX_CELL_KEYS + ix_find_key(m, data, size); /* none: UINT32_MAX, so CELL_FIRST */
    case IX_TOKEN:
        return v->tokenInformation != NULL ? IX_CELL_FIRST : IX_CELL_OFF;
    default:
        return IX_CELL_FIRST;
    }
}

/* ---- flat ------------------------------------------------------------------------------------------ */

IX_INLINE UINT64 IX_FN(doubt)(const struct ix_field *f, UINT32 cell)
{
    return (UINT64)(cell - IX_CELL_FIRST < f->doubt) << f->value;
}

/* The AND over a flat index's fields, into c->bits. vectors: 1 or 2, a constant. */
IX_INLINE void IX_FN(and_rows)(const struct ix_flat *fl, const FWPS_INCOMING_VALUE0 *values,
                               const struct engine_class_cache *cache, struct engine_cursor *c,
                               const unsigned vectors, const bool doubtful)
{
    const struct ix_fields *fs = fl->fields;
    const struct ix_field *f = fs->of, *end = f + fs->count;
    const IX_FN(v8) *row = (const void *)fl->all;
    IX_FN(v8) a = row[0], b = vectors > 1 ? row[1] : row[0];
    UINT64 doubt = 0;
    UINT32 cell;

    if (cache != NULL) {
        for (const struct ix_field *cached = f + fs->cached; f < cached; f++) {
            cell = cache->cls[f->cached];
            doubt |= IX_FN(doubt)(f, cell);
            row = (const void *)(f->rows + (size_t)cell * (8 * vectors));
            a &= row[0];
            if (vectors > 1)
                b &= row[1];
        }
    }
    for (; f < end; f++) {
        cell = IX_FN(cell)(f->map, f->kind, &values[f->value].value);
        if (doubtful)
            doubt |= IX_FN(doubt)(f, cell);
        row = (const void *)(f->rows + (size_t)cell * (8 * vectors));
        a &= row[0];
        if (vectors > 1)
            b &= row[1];
    }
    *(IX_FN(v8) *)(void *)c->bits = a;
    c->live = ix_live8(a);
    if (vectors > 1) {
        *(IX_FN(v8) *)(void *)(c->bits + 8) = b;
        c->live |= ix_live8(b) << 8;
    }
    c->doubt |= doubt;
}

static void IX_FN(and_flat)(const struct ix_flat *fl, const FWPS_INCOMING_VALUE0 *values,
                            const struct engine_class_cache *cache, struct engine_cursor *c)
{
    bool doubtful = cache == NULL || fl->fields->doubtful;

    if (fl->words == 8 && !doubtful)
        IX_FN(and_rows)(fl, values, cache, c, 1, false);
    else if (fl->words == 8)
        IX_FN(and_rows)(fl, values, cache, c, 1, true);
    else
        IX_FN(and_rows)(fl, values, cache, c, 2, true);
}

static void IX_FN(begin_flat)(const struct engine_layer_snapshot *ls, const FWPS_INCOMING_VALUE0 *values,
                              struct engine_class_cache *cache, struct engine_cursor *c)
{
    const struct ix_index *ix = ix_of(ls);

    if (cache != NULL && cache->stamp != ix->stamp)
        ix_cache_fill(ix, values, cache);
    c->doubt = 0;
    IX_FN(and_flat)(ix->flat, values, cache, c);
    c->form = ENGINE_CURSOR_BITS;
    if (c->doubt != 0) {
        c->ls = ls;
        c->values = values;
        c->form = ENGINE_CURSOR_CALL;
        c->next = ix_next_flat_verified;
    }
}

/* engine_index_classes() of a flat index. */
static bool IX_FN(classes)(const struct ix_fields *fs, const FWPS_INCOMING_VALUE0 *values, UINT64 fields,
                           UINT32 *classes)
{
    for (; fields != 0; fields &= fields - 1) {
        const unsigned value = (unsigned)__builtin_ctzll(fields);
        const UINT8 at = fs->at[value];
        const struct ix_field *f = &fs->of[at];

        if (at == IX_NO_SLOT || f->kind == IX_TOKEN)
            return false;
        *classes = IX_FN(cell)(f->map, f->kind, &values[value].value);
        if (*classes++ - IX_CELL_FIRST < f->doubt)
            return false; /* the cell does not decide */
    }
    return true;
}

/* ---- columns --------------------------------------------------------------------------------------- */

IX_INLINE UINT32 IX_FN(class_of)(const struct ix_dim *d, const UINT32 *cell)
{
    UINT32 class = d->part[0][cell[d->field[0]]];

    if (d->table == NULL)
        return class;
    for (UINT32 k = 1; k < d->members; k++)
        class += d->part[k][cell[d->field[k]]];
    return d->table[class];
}

static void IX_FN(load_block)(struct engine_cursor *c, const struct ix_columns *base, UINT32 block)
{
    const struct ix_block *b = &base->blocks[block];
    UINT64 valid = (1ULL << b->columns) - 1;

    c->block = block;
    if (b->narrow) {
        IX_FN(v4) a = ~(IX_FN(v4)){0};

        for (UINT32 i = 0; i < b->dims; i++) {
            c->line[i] = (const struct ix_narrow *)b->of[i].lines + IX_FN(class_of)(&b->of[i], c->cell);
            a &= *(const IX_FN(v4) *)c->line[i]; /* starts, behind the summary, are cut off by `valid` */
        }
        *(IX_FN(v4) *)(void *)c->summary = a;
        c->columns = ix_live32(a) & valid;
    } else {
        IX_FN(v8) a = ~(IX_FN(v8)){0};

        for (UINT32 i = 0; i < b->dims; i++) {
            c->line[i] = (const struct ix_line *)b->of[i].lines + IX_FN(class_of)(&b->of[i], c->cell);
            a &= *(const IX_FN(v8) *)c->line[i];
        }
        *(IX_FN(v8) *)(void *)c->summary = a;
        c->columns = ix_live64(a) & valid;
    }
}

/* The matches of the columns `left`, until there are more than `enough` words; returns what is left. dims: a
 * constant where it is small, so that lines and pools stay in registers. */
IX_INLINE UINT64 IX_FN(pieces)(struct engine_cursor *c, const struct ix_block *b, UINT64 left, UINT32 enough,
                               const UINT32 dims, const bool narrow)
{
    struct ix_view view[4];
    UINT32 found = c->found;

    for (UINT32 i = 0; i < dims && i < 4; i++)
        view[i] = (struct ix_view){c->line[i], b->of[i].pool};
    for (; left != 0 && found <= enough; left &= left - 1)
        found = ix_piece(c, b, view, dims, found, (UINT32)__builtin_ctzll(left), narrow);
    c->found = found;
    return left;
}

IX_INLINE UINT64 IX_FN(pieces_of)(struct engine_cursor *c, const struct ix_block *b, UINT64 left,
                                  UINT32 enough, const bool narrow)
{
    switch (b->dims) {
    case 1:
        return IX_FN(pieces)(c, b, left, enough, 1, narrow);
    case 2:
        return IX_FN(pieces)(c, b, left, enough, 2, narrow);
    case 3:
        return IX_FN(pieces)(c, b, left, enough, 3, narrow);
    case 4:
        return IX_FN(pieces)(c, b, left, enough, 4, narrow);
    default:
        return IX_FN(pieces)(c, b, left, enough, b->dims, narrow);
    }
}

/*
 * Finds words of matches at slots >= from: one column's, or, where all sublayers will be asked, a block's, so
 * that their loads overlap.
 */
static void IX_FN(fill)(struct engine_cursor *c, const struct ix_columns *base, UINT32 from)
{
    UINT32 enough = c->eager ? UINT32_MAX : 0;

    c->at = c->found = 0;
    while (from < base->count && c->found == 0) {
        UINT32 block = base->block_count == 1 ? 0 : from / base->block_slots;
        const struct ix_block *b = &base->blocks[block];
        UINT64 left;

        if (block != c->block)
            IX_FN(load_block)(c, base, block);
        c->first = b->first;
        left = c->columns & (~0ULL << ((from - b->first) / 512));
        if (b->narrow)
            c->columns = IX_FN(pieces_of)(c, b, left, enough, true);
        else
            c->columns = IX_FN(pieces_of)(c, b, left, enough, false);
        from = b->first + b->count;
        if (b->dims == 0)
            ix_trim(c, from);
    }
    c->more = c->columns != 0 || from < base->count;
}

static __attribute__((noinline)) UINT32 IX_FN(more_slots)(struct engine_cursor *c, UINT32 from)
{
    const struct ix_columns *base = ix_of(c->ls)->base;
    UINT32 slot;

    do {
        IX_FN(fill)(c, base, from);
        if (c->found == 0)
            return ENGINE_NO_POSITION;
        slot = engine_index_word(c, from);
    } while (slot == ENGINE_NO_POSITION); /* all that was found lies before `from` */
    return slot;
}

static UINT32 IX_FN(next_slot)(struct engine_cursor *c, UINT32 from)
{
    UINT32 slot = engine_index_word(c, from);

    return slot != ENGINE_NO_POSITION ? slot : IX_FN(more_slots)(c, from);
}

static void IX_FN(begin_columns)(const struct engine_layer_snapshot *ls, const FWPS_INCOMING_VALUE0 *values,
                                 struct engine_class_cache *cache, struct engine_cursor *c)
{
    const struct ix_index *ix = ix_of(ls);
    const struct ix_fields *fs = ix->base->fields;
    UINT64 doubt = 0;
    UINT32 i = 0;

    if (cache != NULL && cache->stamp != ix->stamp)
        ix_cache_fill(ix, values, cache);
    for (; cache != NULL && i < fs->cached; i++) {
        c->cell[i] = cache->cls[fs->of[i].cached];
        doubt |= IX_FN(doubt)(&fs->of[i], c->cell[i]);
    }
    if (fs->decided) {
        for (; i < fs->count; i++)
            c->cell[i] = IX_FN(cell)(fs->of[i].map, fs->of[i].kind, &values[fs->of[i].value].value);
    } else {
        for (; i < fs->count; i++) {
            c->cell[i] = IX_FN(cell)(fs->of[i].map, fs->of[i].kind, &values[fs->of[i].value].value);
            doubt |= IX_FN(doubt)(&fs->of[i], c->cell[i]);
        }
    }
    c->doubt = doubt;
    c->ls = ls;
    c->values = values;
    c->eager = ls->sublayer_count > 1;
    c->block = UINT32_MAX;
    IX_FN(fill)(c, ix->base, 0);
    c->form = ENGINE_CURSOR_WORDS;
    c->next = IX_FN(more_slots);
    if (ix->alive != NULL) {
        if (ix->flat != NULL)
            IX_FN(and_flat)(ix->flat, values, cache, c);
        c->base_at = c->recent_at = IX_UNASKED;
        c->form = ENGINE_CURSOR_CALL;
        c->next = ix_next_recent;
    } else if (doubt != 0) {
        c->form = ENGINE_CURSOR_CALL;
        c->next = ix_next_columns_verified;
    }
}
