/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.h: the index's door inside the room. Which filters of a layer match these values, in the order of
 * evaluation, asked one after the other and only as far as the caller goes.
 *
 * Each field that a filter of the layer tests has its values cut into cells: two values in one cell satisfy
 * the same conditions. A cell has a bit vector, one bit a filter; the AND over the fields is the set of
 * filters that match. Two forms of it:
 *
 *   flat      up to config.flat_max filters: each cell has its whole vector beside the others; a commit
 * copies it and moves bits columns   beyond: vectors as a summary and shared pieces of 512 filters; built
 * once, shared by the snapshots that follow, with a mask of removed filters and a flat index of added ones
 * ("recent") until a commit finds it worth building anew
 *
 * Nothing here owns filters, and nothing is written after engine_index_build() but token classes
 * (index_token.c).
 */
#ifndef WEIR_ENGINE_INDEX_H
#define WEIR_ENGINE_INDEX_H

#include "engine/internal.h"

#define ENGINE_INDEX_FLAT_WORDS 16 /* a flat vector is at most so long: 1024 filters */
#define ENGINE_INDEX_COLUMNS    48 /* columns (of 512 filters) whose summary shares a cache line */

enum engine_index_kernel {
    ENGINE_INDEX_BEST, /* what this machine can */
    ENGINE_INDEX_PORTABLE,
    ENGINE_INDEX_AVX2,
    ENGINE_INDEX_AVX512,
};

/* Thresholds; tests lower them to cross each. Kept by reference; a later build inherits it from prev. */
struct engine_index_config {
    UINT32 flat_max;      /* filters in a flat index, at most 1024 */
    UINT32 recent_max;    /* added filters before columns are built anew, at most 1024 */
    UINT32 block_columns; /* columns in a block, 1 .. ENGINE_INDEX_COLUMNS */
    UINT32 flag_cells;    /* cells of a field with FLAGS_* conditions; beyond, its filters are verified one by
                             one */
    UINT32 combine_max;   /* combinations of fields with few classes, made one (columns) */
    UINT32 patch_max;     /* changes of a flat index that are patched, not built anew */
    enum engine_index_kernel kernel;
    void *(*alloc)(void *ctx, size_t align, size_t size); /* NULL: aligned_alloc; freed with free() */
    void *ctx;
};
extern const struct engine_index_config engine_index_defaults;

struct engine_cursor;

/* The head of an index, seen by the inline functions below. */
struct engine_index {
    void (*begin)(const struct engine_layer_snapshot *ls, const FWPS_INCOMING_VALUE0 *values,
                  struct engine_class_cache *cache, struct engine_cursor *c);
};

enum engine_cursor_form {
    ENGINE_CURSOR_BITS,  /* bits say all */
    ENGINE_CURSOR_WORDS, /* words, then `next` */
    ENGINE_CURSOR_CALL,  /* `next` */
};

#define ENGINE_CURSOR_WORDS_MOST (8 * ENGINE_INDEX_COLUMNS)

/* Where a classify stands. On its stack; not to be copied. */
struct engine_cursor {
    UINT32 form;
    UINT32 live;      /* which words of bits are not 0 */
    UINT32 found, at; /* words, and the first that is not behind */
    UINT32 (*next)(struct engine_cursor *c, UINT32 from);
    const struct engine_layer_snapshot *ls;
    const FWPS_INCOMING_VALUE0 *values;
    UINT64 doubt; /* fields whose cell does not decide: the filter is asked itself */
    _Alignas(
        64) UINT64 bits[ENGINE_INDEX_FLAT_WORDS]; /* flat: the filters that match, as far as `live` says */
    /* columns: which words of the block have matches (`found` of them), in order: 8 * column + bit */
    UINT8 column[ENGINE_CURSOR_WORDS_MOST + 8];
    UINT8 bit[ENGINE_CURSOR_WORDS_MOST + 8];
    UINT32 first;   /* the block's first slot */
    bool eager;     /* find all at once */
    bool more;      /* there may be matches behind the words */
    UINT32 block;   /* whose lines are loaded; UINT32_MAX: none */
    UINT64 columns; /* of the block that have candidates not looked at */
    UINT32 base_at; /* with a recent index: next match of the columns and of the recent, as positions */
    UINT32 recent_at;
    _Alignas(64) UINT64 summary[8];
    const void *line[ENGINE_MAX_FIELDS]; /* of the block's dims */
    UINT32 cell[ENGINE_MAX_FIELDS];
    _Alignas(64) UINT64 word[ENGINE_CURSOR_WORDS_MOST];
};

/* See internal.h. */
int engine_index_build(const struct engine_layer_snapshot *prev, struct engine_layer_snapshot *next,
                       const struct engine_layer_delta *delta);
/* The same with thresholds of one's own, for a first build (tests, benchmarks). */
int engine_index_build_with(const struct engine_index_config *config,
                            const struct engine_layer_snapshot *prev, struct engine_layer_snapshot *next,
                            const struct engine_layer_delta *delta);
void engine_index_destroy(struct engine_index *ix);

/* The filters that the known fields leave possible, as bits by position; unknown: the fields (bit = index)
 * that are not looked at. How many words of bits were written; 0: this index cannot say so. */
UINT32 engine_index_candidates(const struct engine_layer_snapshot *ls, const FWPS_INCOMING_VALUE0 *values,
                               UINT64 unknown, struct engine_class_cache *cache,
                               UINT64 bits[ENGINE_INDEX_FLAT_WORDS]);

/* engine_snapshot_classes(). */
bool engine_index_classes(const struct engine_layer_snapshot *ls, const FWPS_INCOMING_VALUE0 *values,
                          UINT64 fields, UINT32 *classes);

struct engine_index_stats {
    size_t bytes;  /* all that the index holds; what is shared is counted in each */
    bool columns;  /* else flat */
    UINT32 fields; /* that have conditions */
    UINT32 cells;
    UINT32 classes; /* distinct vectors (columns) */
    UINT32 blocks;
    UINT32 recent;  /* filters in the recent index */
    UINT32 removed; /* filters that the columns still hold */
    const char *kernel;
};
void engine_index_stats(const struct engine_index *ix, struct engine_index_stats *out);

static inline void engine_index_begin(const struct engine_layer_snapshot *ls,
                                      const FWPS_INCOMING_VALUE0 *values, struct engine_class_cache *cache,
                                      struct engine_cursor *c)
{
    ls->index->begin(ls, values, cache, c);
}

/* The first bit >= from among words of which `live` are not 0; from <= 1024. */
static inline UINT32 engine_index_bit(const UINT64 *bits, UINT32 live, UINT32 from)
{
    UINT32 w = from >> 6;
    UINT64 x;

    live >>= w;
    if (live == 0)
        return ENGINE_NO_POSITION;
    if (live & 1) {
        x = bits[w] & (~0ULL << (from & 63));
        if (x != 0)
            return w * 64 + (UINT32)__builtin_ctzll(x);
        live &= ~1U;
        if (live == 0)
            return ENGINE_NO_POSITION;
    }
    w += (UINT32)__builtin_ctz(live);
    return w * 64 + (UINT32)__builtin_ctzll(bits[w]);
}

/* A word of matches of the columns, and its first slot. */
static inline UINT64 engine_index_found(const struct engine_cursor *c, UINT32 i, UINT32 *base)
{
    UINT32 k = 8u * c->column[i] + c->bit[i];

    *base = c->first + 64 * k;
    return c->word[k];
}

/* The first slot >= from among the cursor's words. */
static inline UINT32 engine_index_word(struct engine_cursor *c, UINT32 from)
{
    for (; c->at < c->found; c->at++) {
        UINT32 base;
        UINT64 x = engine_index_found(c, c->at, &base);

        if (from > base)
            x &= from - base < 64 ? ~0ULL << (from - base) : 0;
        if (x != 0)
            return base + (UINT32)__builtin_ctzll(x);
    }
    return ENGINE_NO_POSITION;
}

static inline UINT32 engine_index_next(struct engine_cursor *c, UINT32 from)
{
    UINT32 at;

    if (c->form == ENGINE_CURSOR_BITS)
        return engine_index_bit(c->bits, c->live, from);
    if (c->form == ENGINE_CURSOR_WORDS) {
        at = engine_index_word(c, from);
        if (at != ENGINE_NO_POSITION || !c->more)
            return at;
    }
    return c->next(c, from);
}

/* Are all matches known: in bits (CURSOR_BITS), or in the words (CURSOR_WORDS)? */
static inline bool engine_index_complete(const struct engine_cursor *c)
{
    return c->form == ENGINE_CURSOR_BITS || (c->form == ENGINE_CURSOR_WORDS && !c->more);
}

#endif
