/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index_parts.h: what the files of the index share, and nobody else.
 *
 *   filters --collect--> items of each field --map--> cells, spans --flat|columns--> vectors
 *
 *   item   one condition of one filter on one field, as a number range, a mask, bytes ...
 *   map    a field's values cut into cells: value -> cell. Immutable, counted (under engine->lock), one
 * block. span   filter `slot` is satisfied by the cells first .. end-1 of this field slot   a filter's bit:
 * its position among the filters the vectors were built from row    flat: the vector of a cell class columns:
 * a vector; several cells may have the same
 */
#ifndef WEIR_ENGINE_INDEX_PARTS_H
#define WEIR_ENGINE_INDEX_PARTS_H

#include <string.h>

#include "engine/index.h"

typedef unsigned __int128 ix_num; /* a value as a number: addresses are big-endian ones */

/* Cells that each map has. A value of another type, or NULL where it should point, satisfies no condition. */
#define IX_CELL_OFF   0u
#define IX_CELL_EMPTY 1u
#define IX_CELL_FIRST 2u /* BYTES: any unlisted; TOKEN: not checked yet; ANY: any */
#define IX_CELL_KEYS                                                                                         \
    3u /* BYTES: one a key; TOKEN: two a descriptor, filters with EQUAL and with NOT_EQUAL                   \
        */

#define IX_DESCRIPTORS 256 /* a field with more distinct descriptors has no token classes */
#define IX_TOKENS      64  /* token classes a field */
#define IX_NO_SLOT     0xffu

enum ix_kind {
    IX_U8,    /* a table of 256 */
    IX_U16,   /* 256 pages of 256, equal ones shared */
    IX_U32,   /* a search tree of 16 keys a node */
    IX_U64,   /* binary search; FWP_BYTE_ARRAY6_TYPE as well */
    IX_U128,  /* binary search */
    IX_FLAGS, /* integer with FLAGS_* conditions: tested bits pressed together, times intervals */
    IX_BYTES, /* hash of a blob or SID */
    IX_TOKEN, /* security descriptors against a token */
    IX_ANY,   /* no cells: each filter is asked itself */
    /* Of a field, not of its map: */
    IX_FEW32, /* U32 of at most 16 starts */
    IX_FEW64, /* U64 of at most 8 */
};
#define IX_FEW64_STARTS 8

struct ix_key {
    UINT64 hash;
    UINT32 offset; /* into bytes */
    UINT32 size;
};

#define IX_LEVELS 6 /* 64 * 16^5 starts */
struct ix_map {
    UINT8 kind;
    UINT8 type;           /* FWP_DATA_TYPE of the values */
    UINT8 depth;          /* U32: levels of the tree */
    UINT8 root;           /* U32: nodes of the highest, searched together */
    UINT8 bits;           /* FLAGS: set bits of mask */
    UINT32 cells;         /* all, the fixed ones counted */
    UINT32 doubt;         /* so many cells from IX_CELL_FIRST do not decide */
    UINT32 count;         /* starts, or keys */
    const UINT32 *tree;   /* U32: all levels; level 0 is the starts, padded */
    const UINT64 *starts; /* U8, U16, U64, FLAGS: padded to 8; U128: pairs, high first */
    const UINT16 *cell16; /* U8: 256; U16: the pages */
    const UINT8 *page;    /* U16 */
    UINT64 mask;          /* FLAGS: tested bits; BYTES, TOKEN: of the hash table */
    /* second line */
    const UINT32 *slots; /* BYTES, TOKEN: key + 1, 0 is free */
    const struct ix_key *keys;
    const UINT8 *bytes;
    UINT32 level[IX_LEVELS]; /* U32: where a level starts in tree, 0 the lowest */
    UINT32 bytes_size;
    UINT32 refs;
    size_t size; /* of the block */
};

struct ix_span {
    UINT32 slot;
    UINT32 first, end;
};

/* ---- collecting ------------------------------------------------------------------------------------ */

enum ix_what {
    IX_RANGE,    /* low .. high, modulo the type's width; may wrap */
    IX_WIDE,     /* the same in wide[low] */
    IX_SET,      /* FLAGS_* with mask low; test->op says which */
    IX_KEY,      /* equal to the bytes */
    IX_ALWAYS,   /* any present value */
    IX_NEVER,    /* none */
    IX_UNSORTED, /* cannot be classified: any present value may satisfy it */
};

struct ix_item {
    UINT64 low, high;
    const struct engine_test *test;
    UINT32 slot;
    UINT8 what;
    bool negate; /* RANGE, WIDE, KEY */
    bool empty;  /* FWP_EMPTY satisfies it */
};

struct ix_wide {
    ix_num low, high;
};

/* A field's items; those of one filter (alternatives) stand together, filters ascending. */
struct ix_draft {
    UINT16 field;
    UINT8 type;
    UINT32 count, room;
    struct ix_item *items;
    UINT32 wide_count, wide_room;
    struct ix_wide *wide;
};

struct ix_drafts {
    const struct engine_layer *layer;
    struct ix_draft *of[ENGINE_MAX_FIELDS]; /* NULL: no conditions */
};

/* All items of these filters; only: one field, or -1. 0 or -ENOMEM; free in either case. */
int ix_collect(const struct engine_index_config *cfg, const struct engine_layer *layer,
               const struct engine_filter *const *filters, UINT32 count, int only, struct ix_drafts *out);
void ix_drafts_free(struct ix_drafts *d);
void ix_draft_free(struct ix_draft *d); /* may be NULL */
/* The bytes of a KEY item's condition. */
void ix_condition_bytes(const struct engine_test *t, const UINT8 **data, UINT32 *size);

/* ---- maps ------------------------------------------------------------------------------------------ */

struct ix_spans {
    UINT32 count, room;
    struct ix_span *of;
};

/* What index_map.c, index_spans.c and index_extend.c share. rank: two a item, for a range the intervals where
 * it begins and after which it ended, for a key its number. */
struct ix_bytes {
    const UINT8 *data;
    UINT32 size;
};
struct ix_census {
    UINT64 mask; /* bits that FLAGS_* test */
    bool unsorted;
};
ix_num ix_greatest(UINT8 type);
bool ix_item_range(const struct ix_draft *d, const struct ix_item *it, ix_num *low, ix_num *high);
bool ix_has_sets(const struct ix_draft *d);
struct ix_census ix_census(const struct ix_draft *d);
int ix_intern(const struct engine_index_config *cfg, const struct ix_draft *d, const struct ix_map *old,
              struct ix_bytes **keys, UINT32 *count, UINT32 *rank);
struct ix_map *ix_map_numbers(const struct engine_index_config *cfg, UINT8 kind, UINT8 type,
                              const ix_num *starts, UINT32 count, UINT64 mask);
struct ix_map *ix_map_bytes(const struct engine_index_config *cfg, UINT8 kind, UINT8 type,
                            const struct ix_bytes *keys, UINT32 count);
int ix_all_spans(const struct engine_index_config *cfg, const struct ix_draft *d, const struct ix_map *m,
                 const UINT32 *rank, struct ix_spans *out);

/* Cuts a field into cells and says which satisfy each filter. 0 or -ENOMEM. */
int ix_map_build(const struct engine_index_config *cfg, const struct ix_draft *d, struct ix_map **map,
                 struct ix_spans *spans);
/*
 * The map with the cells that these items need besides; *out may be the same map with a reference more.
 * *source: for each new cell the old one it was cut from (NULL: same cells), freed by the caller.
 * -ENOMEM, or -EAGAIN: build the field anew.
 */
int ix_map_extend(const struct engine_index_config *cfg, struct ix_map *old, const struct ix_draft *d,
                  struct ix_map **out, UINT32 **source, struct ix_spans *spans);
static inline struct ix_map *ix_map_ref(struct ix_map *m)
{
    m->refs++;
    return m;
}
void ix_map_unref(struct ix_map *m);

/* ---- flat ------------------------------------------------------------------------------------------ */

struct ix_token_class {
    atomic_uint state; /* 0 free, 1 being written, 2 ready */
    UINT64 granted[IX_DESCRIPTORS / 64];
};

struct ix_tokens {
    atomic_uint claimed;
    struct ix_token_class of[IX_TOKENS];
};

struct ix_field {
    struct ix_map *map;
    UINT64 *rows; /* flat */
    struct ix_tokens *tokens;
    UINT32 doubt;
    UINT8 value; /* index of the layer's field */
    UINT8 kind;
    UINT8 cached; /* which cls of the class cache, or IX_NO_SLOT */
    UINT8 spare;
};

/* Fields with a place in the class cache come first. */
struct ix_fields {
    UINT32 count;
    UINT32 cached;
    bool doubtful;               /* cells of a field without a place in the cache may not decide */
    bool decided;                /* every cell of every field decides */
    UINT8 at[ENGINE_MAX_FIELDS]; /* by the layer's field: which of them; IX_NO_SLOT */
    struct ix_field of[];
};

struct ix_flat {
    UINT32 count;
    UINT32 words; /* of a row: 8 or 16 */
    UINT32 cells;
    UINT32 stale; /* filters removed since it was built from filters: their cells stay */
    size_t size;
    UINT64 *all;  /* the row of a layer without conditions */
    UINT64 *rows; /* one block */
    struct ix_fields *fields;
};

/* cached_from: the first free place in the class cache. */
int ix_flat_build(const struct engine_index_config *cfg, const struct engine_layer *layer,
                  const struct engine_filter *const *filters, UINT32 count, UINT32 cached_from,
                  struct ix_flat **out);
/* removed: slots in old; added: slots in the new one, whose filters are `filters`. */
int ix_flat_patch(const struct engine_index_config *cfg, const struct engine_layer *layer,
                  const struct ix_flat *old, const struct engine_filter *const *filters, UINT32 count,
                  UINT32 cached_from, const struct engine_layer_delta *delta, struct ix_flat **out);
void ix_flat_free(struct ix_flat *f);

struct ix_fields *ix_fields_create(const struct engine_index_config *cfg, UINT32 count,
                                   struct ix_map *const *maps, const UINT8 *values, UINT32 cached_from);
void ix_fields_free(struct ix_fields *f);

/* ---- columns --------------------------------------------------------------------------------------- */

/*
 * A class's vector. summary has a bit a word of 64 filters, a byte a column. The words of a column that are
 * not 0 stand in the pool one after the other, from start[] on. So a class is one cache line, in blocks of
 * few columns and small pools.
 */
#define IX_NARROW_COLUMNS 21
struct ix_narrow {
    UINT8 summary[IX_NARROW_COLUMNS];
    UINT8 spare;
    UINT16 start[IX_NARROW_COLUMNS];
};

/*
 * In other blocks the words start where `usual` says for the column, or, where `other` has the column's bit,
 * refs from refs[ref] on: most classes share most of their columns.
 */
struct ix_line {
    UINT8 summary[ENGINE_INDEX_COLUMNS];
    UINT64 other;
    UINT32 ref;
    UINT32 spare;
};

/*
 * The vectors of one field in a block; or of several with few classes each, which are then one: a class for
 * each combination, found by the sum of the members' parts.
 */
#define IX_MEMBERS 8
struct ix_dim {
    void *lines; /* struct ix_narrow or ix_line */
    UINT32 *refs;
    UINT64 *pool;
    UINT32 *table; /* sum of the parts -> class; NULL: one member, whose part is the class */
    UINT32 classes;
    UINT32 members;
    UINT8 field[IX_MEMBERS];
    UINT32 *part[IX_MEMBERS]; /* cell -> part */
    UINT32 usual[ENGINE_INDEX_COLUMNS];
};

/* Where the words of a column start in the pool. Without a branch: which column is asked follows no pattern.
 */
static inline UINT32 ix_start(const struct ix_dim *d, const void *at, UINT32 column, bool narrow)
{
    const struct ix_line *line = at;
    uintptr_t own, usual, other;

    if (narrow)
        return ((const struct ix_narrow *)at)->start[column];
    own = -(uintptr_t)(line->other >> column & 1);
    usual = (uintptr_t)&d->usual[column];
    other =
        (uintptr_t)(d->refs + line->ref + (UINT32)__builtin_popcountll(line->other & ((1ULL << column) - 1)));
    return *(const UINT32 *)(usual ^ ((usual ^ other) & own));
}

/* What a walk over columns needs of a dim. */
struct ix_view {
    const void *line;
    const UINT64 *pool;
};

struct ix_block {
    UINT32 first, count; /* slots */
    UINT32 columns;
    UINT32 dims;
    bool narrow;
    struct ix_dim *of;
};

struct ix_columns {
    UINT32 refs;
    UINT32 count;
    UINT32 block_slots; /* slots a block, but the last */
    UINT32 block_count;
    UINT32 cells, classes;
    size_t size;
    struct ix_fields *fields;
    struct ix_block blocks[];
};

/* Vectors while they are made: pieces and classes by content (index_pieces.c). */
struct ix_piece {
    UINT32 start; /* in the pool */
    UINT8 mask;
    bool used;
};

struct ix_builder {
    const struct engine_index_config *cfg;
    UINT32 columns;
    UINT64 *pool;
    UINT32 pool_count, pool_room;
    struct ix_piece *pieces; /* hash table */
    UINT32 piece_count, piece_mask;
    struct ix_line *lines; /* one a class */
    UINT32 class_count, line_room;
    UINT32 *starts; /* of a class, one a column */
    UINT32 start_room;
    UINT32 *classes; /* hash table of class + 1 */
    UINT32 class_mask;
    UINT64 *hashes; /* of a class */
    UINT32 hash_room;
    /* the vector that is next */
    _Alignas(64) UINT64 words[ENGINE_INDEX_COLUMNS * 8];
    UINT8 mask[ENGINE_INDEX_COLUMNS + 16];
    UINT32 start[ENGINE_INDEX_COLUMNS];
    UINT64 hash;
};

int ix_builder_open(const struct engine_index_config *cfg, UINT32 columns, struct ix_builder **out);
void ix_builder_close(struct ix_builder *b); /* may be NULL */
/* A column of b->words has changed. */
int ix_builder_touch(struct ix_builder *b, UINT32 column);
/* The class of b->words. */
int ix_builder_class(struct ix_builder *b, UINT32 *out);
/* words &= the vector of a class. */
void ix_builder_and(const struct ix_builder *b, UINT32 class, UINT64 *words);
/* What a reader needs of it; adds to *size. */
int ix_builder_finish(struct ix_builder *b, bool narrow, struct ix_dim *out, size_t *size);

int ix_columns_build(const struct engine_index_config *cfg, const struct engine_layer *layer,
                     const struct engine_filter *const *filters, UINT32 count, struct ix_columns **out);
void ix_columns_unref(struct ix_columns *c);

/* ---- the whole ------------------------------------------------------------------------------------- */

struct ix_kernel {
    const char *name;
    void (*begin_flat)(const struct engine_layer_snapshot *ls, const FWPS_INCOMING_VALUE0 *values,
                       struct engine_class_cache *cache, struct engine_cursor *c);
    void (*begin_columns)(const struct engine_layer_snapshot *ls, const FWPS_INCOMING_VALUE0 *values,
                          struct engine_class_cache *cache, struct engine_cursor *c);
    /* The next match >= from of the columns alone, both slots. */
    UINT32 (*next_slot)(struct engine_cursor *c, UINT32 from);
    bool (*classes)(const struct ix_fields *fs, const FWPS_INCOMING_VALUE0 *values, UINT64 fields,
                    UINT32 *classes);
};
extern const struct ix_kernel ix_kernel_portable;
#if defined(__x86_64__)
extern const struct ix_kernel ix_kernel_avx2, ix_kernel_avx512;
#endif

#define IX_FROM_RECENT 0x80000000u
#define IX_UNASKED     (ENGINE_NO_POSITION - 1) /* a cursor that has not looked yet */

struct ix_index {
    struct engine_index head;
    const struct engine_index_config *cfg;
    const struct ix_kernel *kernel;
    UINT64 stamp;
    UINT32 count;
    UINT32 cached;           /* places of the class cache in use */
    struct ix_flat *flat;    /* the whole, or, beside columns, the recent ones (may be NULL) */
    struct ix_columns *base; /* NULL: flat */
    /* Beside columns, once anything changed (else NULL): */
    UINT64 *alive;     /* slots of base not removed */
    UINT32 *base_at;   /* slot of base -> position (that of the next living one, for a removed slot) */
    UINT32 *recent_at; /* slot of flat -> position */
    UINT32 *source;    /* position -> slot of base, or slot of flat + IX_FROM_RECENT */
    UINT32 removed;
    size_t size;
};

static inline const struct ix_index *ix_of(const struct engine_layer_snapshot *ls)
{
    return (const struct ix_index *)(const void *)ls->index;
}

/* Fills the classes of the opaque values and stamps the cache. */
void ix_cache_fill(const struct ix_index *ix, const FWPS_INCOMING_VALUE0 *values,
                   struct engine_class_cache *cache);
/* The class of a token: its row is filled at first sight. IX_CELL_FIRST where there is no room for one more.
 */
UINT32 ix_token_cell(const struct ix_flat *flat, const struct ix_field *f, const FWP_VALUE0 *v);
/* Does the filter at this position hold on the fields of `doubt`? */
bool ix_verify(const struct engine_cursor *c, UINT32 position);
UINT32 ix_next_flat_verified(struct engine_cursor *c, UINT32 from);
UINT32 ix_next_columns_verified(struct engine_cursor *c, UINT32 from);
UINT32 ix_next_recent(struct engine_cursor *c, UINT32 from);

/* Takes away bits of slots >= end, which only vectors cut off: where there are none. */
void ix_trim(struct engine_cursor *c, UINT32 end);

/* The cell of a value, portable (tools of the builder; the kernels have their own). */
UINT32 ix_cell(const struct ix_map *m, const FWP_VALUE0 *v);

void *ix_alloc(const struct engine_index_config *cfg, size_t align, size_t size);
int ix_grow(const struct engine_index_config *cfg, void **array, UINT32 *room, UINT32 need, size_t each);

static inline UINT64 ix_mix(UINT64 a, UINT64 b)
{
    unsigned __int128 p = (unsigned __int128)(a ^ 0x9e3779b97f4a7c15ULL) * (b ^ 0xd1b54a32d192ed03ULL);

    return (UINT64)p ^ (UINT64)(p >> 64);
}

static inline UINT64 ix_hash(const UINT8 *data, UINT32 size)
{
    UINT64 h = size, a, b;

    for (; size > 16; size -= 16, data += 16) {
        memcpy(&a, data, 8);
        memcpy(&b, data + 8, 8);
        h = ix_mix(a ^ h, b);
    }
    a = b = 0;
    if (size >= 8) {
        memcpy(&a, data, 8);
        memcpy(&b, data + size - 8, 8);
    } else {
        for (UINT32 i = 0; i < size; i++)
            a |= (UINT64)data[i] << (8 * i);
    }
    return ix_mix(a ^ h, b);
}

/* The bytes of a value of a BYTES field; false: satisfies no condition. */
static inline bool ix_value_bytes(UINT8 type, const FWP_VALUE0 *v, const UINT8 **data, UINT32 *size)
{
    if (type == FWP_SID) {
        if (v->sid == NULL)
            return false;
        *data = (const UINT8 *)v->sid;
        *size = 8 + 4u * (*data)[1];
        return true;
    }
    if (v->byteBlob == NULL || (v->byteBlob->size != 0 && v->byteBlob->data == NULL))
        return false;
    *data = v->byteBlob->data;
    *size = v->byteBlob->size;
    return true;
}

static inline UINT32 ix_find_key(const struct ix_map *m, const UINT8 *data, UINT32 size)
{
    UINT64 h = ix_hash(data, size);

    for (UINT64 i = h & m->mask;; i = (i + 1) & m->mask) {
        UINT32 s = m->slots[i];

        if (s == 0)
            return UINT32_MAX;
        if (m->keys[s - 1].hash == h && m->keys[s - 1].size == size &&
            (size == 0 || memcmp(m->bytes + m->keys[s - 1].offset, data, size) == 0))
            return s - 1;
    }
}

static inline ix_num ix_load128(const UINT8 *p)
{
    UINT64 hi, lo;

    memcpy(&hi, p, 8);
    memcpy(&lo, p + 8, 8);
    return (ix_num)__builtin_bswap64(hi) << 64 | __builtin_bswap64(lo);
}

static inline UINT64 ix_load48(const UINT8 *p)
{
    UINT64 n = 0;

    for (int i = 0; i < 6; i++)
        n = n << 8 | p[i];
    return n;
}

#endif
