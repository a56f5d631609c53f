/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bit vectors of many filters, each piece of 512 bits stored once and each vector once: how they are made.
 * The maker has one vector before it (words) and says which columns it changed; asked for its class, it gives
 * the number of an equal vector seen before, or a new one. See struct ix_line for what readers get.
 */
#include <errno.h>
#include <stdlib.h>

#include "engine/index_parts.h"

/* ---- pieces ---------------------------------------------------------------------------------------- */

static UINT64 hash_words(const UINT64 *w)
{
    UINT64 a = ix_mix(w[0] ^ w[4], w[1] + 1), b = ix_mix(w[2], w[3] ^ w[5]);

    return ix_mix(a ^ w[6], b + w[7]);
}

static bool same_piece(const struct ix_builder *b, const struct ix_piece *p, UINT8 mask, const UINT64 *w)
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

static int grow_pieces(struct ix_builder *b)
{
    UINT32 room = 2 * (b->piece_mask + 1);
    struct ix_piece *p = ix_alloc(b->cfg, 64, room * sizeof(*p));

    if (p == NULL)
        return -ENOMEM;
    memset(p, 0, room * sizeof(*p));
    for (UINT32 i = 0; i <= b->piece_mask && b->pieces != NULL; i++) {
        const struct ix_piece *o = &b->pieces[i];
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
static int intern_piece(struct ix_builder *b, const UINT64 *w, UINT8 *mask_out, UINT32 *start)
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
    b->pieces[h & b->piece_mask] = (struct ix_piece){b->pool_count, mask, true};
    for (UINT32 m = mask; m != 0; m &= m - 1)
        b->pool[b->pool_count++] = w[__builtin_ctz(m)];
    return ++b->piece_count * 2 > b->piece_mask ? grow_pieces(b) : 0;
}

/* ---- classes --------------------------------------------------------------------------------------- */

static bool same_class(const struct ix_builder *b, UINT32 class)
{
    return memcmp(b->starts + (size_t) class * b->columns, b->start, b->columns * sizeof(*b->start)) == 0 &&
           memcmp(b->lines[class].summary, b->mask, sizeof(b->lines[class].summary)) == 0;
}

static int grow_classes(struct ix_builder *b)
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
int ix_builder_class(struct ix_builder *b, UINT32 *out)
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

int ix_builder_touch(struct ix_builder *b, UINT32 column)
{
    UINT32 start;
    int err = intern_piece(b, b->words + 8 * column, &b->mask[column], &start);

    if (err)
        return err;
    b->hash ^= ix_mix(b->start[column], column + 1) ^ ix_mix(start, column + 1);
    b->start[column] = start;
    return 0;
}

/* ---- life ------------------------------------------------------------------------------------------ */

int ix_builder_open(const struct engine_index_config *cfg, UINT32 columns, struct ix_builder **out)
{
    struct ix_builder *b = ix_alloc(cfg, 64, sizeof(*b));

    *out = b;
    if (b == NULL)
        return -ENOMEM;
    memset(b, 0, sizeof(*b));
    b->cfg = cfg;
    b->columns = columns;
    b->piece_mask = b->class_mask = 31;
    return grow_pieces(b) || grow_classes(b) ? -ENOMEM : 0;
}

void ix_builder_close(struct ix_builder *b)
{
    if (b == NULL)
        return;
    free(b->pool);
    free(b->pieces);
    free(b->lines);
    free(b->starts);
    free(b->classes);
    free(b->hashes);
    free(b);
}

void ix_builder_and(const struct ix_builder *b, UINT32 class, UINT64 *words)
{
    const UINT8 *masks = b->lines[class].summary;
    const UINT32 *starts = b->starts + (size_t) class * b->columns;

    for (UINT32 k = 0; k < b->columns; k++, words += 8) {
        const UINT64 *at = b->pool + starts[k];

        for (UINT32 i = 0; i < 8; i++)
            words[i] &= masks[k] >> i & 1 ? *at++ : 0;
    }
}

/* ---- finishing ------------------------------------------------------------------------------------- */

/* The start most classes have in a column, if most do (Boyer and Moore's vote). */
static UINT32 vote(const struct ix_builder *b, UINT32 column)
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

static int finish_narrow(const struct ix_builder *b, struct ix_dim *out)
{
    struct ix_narrow *to = ix_alloc(b->cfg, 64, b->class_count * sizeof(*to));

    out->lines = to;
    if (to == NULL)
        return -ENOMEM;
    memset(to, 0, b->class_count * sizeof(*to));
    for (UINT32 i = 0; i < b->class_count; i++, to++) {
        memcpy(to->summary, b->lines[i].summary, sizeof(to->summary));
        for (UINT32 k = 0; k < b->columns; k++)
            to->start[k] = (UINT16)b->starts[(size_t)i * b->columns + k];
    }
    return 0;
}

static int finish_wide(struct ix_builder *b, struct ix_dim *out, size_t *size)
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
    out->lines = ix_alloc(b->cfg, 64, b->class_count * sizeof(*b->lines));
    out->refs = ix_alloc(b->cfg, 64, others * sizeof(*out->refs));
    if (out->lines == NULL || out->refs == NULL)
        return -ENOMEM;
    memcpy(out->lines, b->lines, b->class_count * sizeof(*b->lines));
    for (UINT32 i = 0; i < b->class_count; i++) {
        UINT32 *at = out->refs + b->lines[i].ref;

        for (UINT64 m = b->lines[i].other; m != 0; m &= m - 1)
            *at++ = b->starts[(size_t)i * b->columns + (UINT32)__builtin_ctzll(m)];
    }
    *size += others * sizeof(*out->refs);
    return 0;
}

int ix_builder_finish(struct ix_builder *b, bool narrow, struct ix_dim *out, size_t *size)
{
    out->classes = b->class_count;
    out->pool = ix_alloc(b->cfg, 64, (b->pool_count + 8) * sizeof(*b->pool)); /* loads run over the end */
    if (out->pool == NULL)
        return -ENOMEM;
    memcpy(out->pool, b->pool, b->pool_count * sizeof(*b->pool));
    memset(out->pool + b->pool_count, 0, 8 * sizeof(*b->pool));
    *size += b->class_count * sizeof(*b->lines) + (b->pool_count + 8) * sizeof(*b->pool);
    return narrow ? finish_narrow(b, out) : finish_wide(b, out, size);
}
