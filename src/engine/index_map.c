/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index, second step: the values of one field cut into cells.
 *
 * Numbers: every range of every condition begins at a start and ends before one; between two starts all
 * values satisfy the same conditions. Sorted, the starts are the cells, and a filter's cells are a few spans.
 * FLAGS_* conditions cut further by the bits that they test: cell = interval * 2^bits + tested bits pressed
 * together. Bytes (app ids, SIDs): a cell a key, one for all others. Security descriptors: two cells a
 * descriptor, the filters that ask for it with EQUAL and with NOT_EQUAL; a token's row is put together from
 * them (index_token.c).
 */
#include <errno.h>
#include <stdlib.h>

#include "engine/index_parts.h"

static enum ix_kind kind_of(UINT8 type)
{
    switch (type) {
    case FWP_UINT8:
    case FWP_INT8:
        return IX_U8;
    case FWP_UINT16:
    case FWP_INT16:
        return IX_U16;
    case FWP_UINT32:
    case FWP_INT32:
        return IX_U32;
    case FWP_UINT64:
    case FWP_INT64:
    case FWP_BYTE_ARRAY6_TYPE:
        return IX_U64;
    case FWP_BYTE_ARRAY16_TYPE:
        return IX_U128;
    case FWP_BYTE_BLOB_TYPE:
    case FWP_SID:
        return IX_BYTES;
    case FWP_TOKEN_ACCESS_INFORMATION_TYPE:
    case FWP_TOKEN_INFORMATION_TYPE:
        return IX_TOKEN;
    default:
        return IX_ANY;
    }
}

ix_num ix_greatest(UINT8 type)
{
    switch (kind_of(type)) {
    case IX_U8:
        return 0xff;
    case IX_U16:
        return 0xffff;
    case IX_U32:
        return 0xffffffff;
    case IX_U64:
        return type == FWP_BYTE_ARRAY6_TYPE ? 0xffffffffffffULL : UINT64_MAX;
    default:
        return ~(ix_num)0;
    }
}

void ix_map_unref(struct ix_map *m)
{
    if (m != NULL && --m->refs == 0)
        free(m);
}

/* ---- sorting starts -------------------------------------------------------------------------------- */

/* Where a range begins (id = 2 * item) or has just ended (2 * item + 1). */
struct event {
    UINT64 high, low;
    UINT32 id;
};

static UINT8 digit(const struct event *e, unsigned byte)
{
    return (UINT8)((byte < 8 ? e->low : e->high) >> (8 * (byte % 8)));
}

static int event_compare(const void *pa, const void *pb)
{
    const struct event *a = pa, *b = pb;

    if (a->high != b->high)
        return a->high < b->high ? -1 : 1;
    return (a->low > b->low) - (a->low < b->low);
}

/* Radix sort by the bytes in which the keys differ; `scratch` is as large. Returns where the result is. */
static struct event *sort_events(struct event *e, struct event *scratch, UINT32 n)
{
    UINT64 low = 0, high = 0;

    if (n < 48) {
        if (n > 1)
            qsort(e, n, sizeof(*e), event_compare);
        return e;
    }
    for (UINT32 i = 1; i < n; i++) {
        low |= e[i].low ^ e[0].low;
        high |= e[i].high ^ e[0].high;
    }
    for (unsigned byte = 0; byte < 16; byte++) {
        UINT32 at[256] = {0}, sum = 0;
        struct event *t;

        if ((((byte < 8 ? low : high) >> (8 * (byte % 8))) & 0xff) == 0)
            continue;
        for (UINT32 i = 0; i < n; i++)
            at[digit(&e[i], byte)]++;
        for (unsigned k = 0; k < 256; k++) {
            UINT32 c = at[k];

            at[k] = sum;
            sum += c;
        }
        for (UINT32 i = 0; i < n; i++)
            scratch[at[digit(&e[i], byte)]++] = e[i];
        t = e;
        e = scratch;
        scratch = t;
    }
    return e;
}

/* The ends of an item's range; false: it has none. */
bool ix_item_range(const struct ix_draft *d, const struct ix_item *it, ix_num *low, ix_num *high)
{
    if (it->what == IX_RANGE) {
        *low = it->low;
        *high = it->high;
        return true;
    }
    if (it->what == IX_WIDE) {
        *low = d->wide[it->low].low;
        *high = d->wide[it->low].high;
        return true;
    }
    return false;
}

/*
 * Starts of all ranges, sorted, 0 first; rank[2 * item] is the interval where its range begins, rank[2 * item
 * + 1] the one after its end (*count: none). starts has room for 2 * items + 1.
 */
static int cut(const struct engine_index_config *cfg, const struct ix_draft *d, ix_num *starts, UINT32 *count,
               UINT32 *rank)
{
    ix_num greatest = ix_greatest(d->type), low, high, last = 0;
    struct event *e = ix_alloc(cfg, 64, (4 * (size_t)d->count + 1) * sizeof(*e)), *sorted;
    UINT32 n = 0, c = 1;

    if (e == NULL)
        return -ENOMEM;
    for (UINT32 i = 0; i < d->count; i++) {
        rank[2 * i] = 0;
        rank[2 * i + 1] = UINT32_MAX;
        if (!ix_item_range(d, &d->items[i], &low, &high))
            continue;
        if (low != 0)
            e[n++] = (struct event){(UINT64)(low >> 64), (UINT64)low, 2 * i};
        if (high != greatest) {
            high++;
            e[n++] = (struct event){(UINT64)(high >> 64), (UINT64)high, 2 * i + 1};
        }
    }
    sorted = sort_events(e, e + n, n);
    starts[0] = 0;
    for (UINT32 i = 0; i < n; i++) {
        ix_num v = (ix_num)sorted[i].high << 64 | sorted[i].low;

        if (v != last)
            starts[c++] = last = v;
        rank[sorted[i].id] = c - 1;
    }
    free(e);
    for (UINT32 i = 0; i < d->count; i++)
        if (rank[2 * i + 1] == UINT32_MAX)
            rank[2 * i + 1] = c;
    *count = c;
    return 0;
}

/* ---- maps of numbers ------------------------------------------------------------------------------- */

struct layout {
    UINT8 *base;
    size_t used;
};

static size_t place(struct layout *l, size_t size)
{
    size_t at = l->used;

    l->used = (l->used + size + 63) & ~(size_t)63;
    return at;
}

static struct ix_map *map_alloc(const struct engine_index_config *cfg, UINT8 kind, UINT8 type, size_t size)
{
    struct ix_map *m = ix_alloc(cfg, 64, size);

    if (m == NULL)
        return NULL;
    memset(m, 0, sizeof(*m));
    m->kind = kind;
    m->type = type;
    m->refs = 1;
    m->size = size;
    return m;
}

static UINT32 up16(UINT32 n)
{
    return (n + 15) & ~15u;
}

/* Intervals of 16-bit values as pages: one a page in which an interval begins, one for each run of whole
 * pages. */
static UINT32 fill_pages(const ix_num *starts, UINT32 count, UINT8 *page, UINT16 *cells)
{
    UINT32 pages = 0, at = 0, uniform = UINT32_MAX, uniform_cell = UINT32_MAX;

    for (UINT32 p = 0; p < 256; p++) {
        bool whole = at + 1 >= count || starts[at + 1] >= (p + 1) * 256;

        if (at + 1 < count && starts[at + 1] == p * 256) {
            at++;
            whole = at + 1 >= count || starts[at + 1] >= (p + 1) * 256;
        }
        if (whole && uniform_cell == at) {
            page[p] = (UINT8)uniform;
            continue;
        }
        if (whole) {
            uniform = pages;
            uniform_cell = at;
        }
        page[p] = (UINT8)pages;
        for (UINT32 v = 0; v < 256; v++) {
            while (at + 1 < count && starts[at + 1] <= p * 256 + v)
                at++;
            if (cells != NULL)
                cells[pages * 256 + v] = (UINT16)at;
        }
        pages++;
    }
    return pages;
}

struct ix_map *ix_map_numbers(const struct engine_index_config *cfg, UINT8 kind, UINT8 type,
                              const ix_num *starts, UINT32 count, UINT64 mask)
{
    struct layout l = {NULL, (sizeof(struct ix_map) + 63) & ~(size_t)63};
    size_t at_starts = 0, at_cells = 0, at_page = 0;
    UINT32 level[IX_LEVELS] = {0}, depth = 0, total = 0, root = 0;
    UINT8 page[256];
    struct ix_map *m;

    if (kind == IX_U32) {
        for (UINT32 n = count; depth < IX_LEVELS; n = up16(n) / 16) {
            level[depth++] = total;
            total += up16(n);
            root = up16(n) / 16;
            if (n <= 64) /* the highest level is up to four nodes */
                break;
        }
        at_starts = place(&l, total * sizeof(UINT32));
    } else {
        at_starts = place(&l, ((count + 7) & ~7u) * sizeof(UINT64) * (kind == IX_U128 ? 2 : 1));
    }
    if (kind == IX_U8)
        at_cells = place(&l, 256 * sizeof(UINT16));
    if (kind == IX_U16) {
        at_page = place(&l, 256);
        at_cells = place(&l, fill_pages(starts, count, page, NULL) * 256 * sizeof(UINT16));
    }
    m = map_alloc(cfg, kind, type, l.used);
    if (m == NULL)
        return NULL;
    l.base = (UINT8 *)m;
    m->count = count;
    m->cells = IX_CELL_FIRST + count;
    if (kind == IX_U32) {
        UINT32 *tree = (UINT32 *)(void *)(l.base + at_starts);

        m->tree = tree;
        m->depth = (UINT8)depth;
        m->root = (UINT8)root;
        memcpy(m->level, level, sizeof(level));
        memset(tree, 0xff, total * sizeof(*tree));
        for (UINT32 i = 0; i < count; i++)
            tree[i] = (UINT32)starts[i];
        for (UINT32 k = 1; k < depth; k++)
            for (UINT32 i = 0; i < (level[k] - level[k - 1]) / 16; i++)
                tree[level[k] + i] = tree[level[k - 1] + 16 * i];
        return m;
    }
    m->starts = (UINT64 *)(void *)(l.base + at_starts);
    memset(l.base + at_starts, 0xff, ((count + 7) & ~7u) * sizeof(UINT64) * (kind == IX_U128 ? 2 : 1));
    for (UINT32 i = 0; i < count; i++) {
        UINT64 *s = (UINT64 *)(void *)(l.base + at_starts) + i * (kind == IX_U128 ? 2 : 1);

        if (kind == IX_U128)
            *s++ = (UINT64)(starts[i] >> 64);
        *s = (UINT64)starts[i];
    }
    if (kind == IX_U8) {
        UINT16 *cells = (UINT16 *)(void *)(l.base + at_cells);

        m->cell16 = cells;
        for (UINT32 v = 0, at = 0; v < 256; v++) {
            if (at + 1 < count && starts[at + 1] == v)
                at++;
            cells[v] = (UINT16)at;
        }
    }
    if (kind == IX_U16) {
        m->page = l.base + at_page;
        m->cell16 = (UINT16 *)(void *)(l.base + at_cells);
        fill_pages(starts, count, l.base + at_page, (UINT16 *)(void *)(l.base + at_cells));
    }
    if (kind == IX_FLAGS) {
        m->mask = mask;
        m->bits = (UINT8)__builtin_popcountll(mask);
        m->cells = IX_CELL_FIRST + (count << m->bits);
    }
    return m;
}

/* ---- maps of bytes --------------------------------------------------------------------------------- */

struct ix_map *ix_map_bytes(const struct engine_index_config *cfg, UINT8 kind, UINT8 type,
                            const struct ix_bytes *keys, UINT32 count)
{
    struct layout l = {NULL, (sizeof(struct ix_map) + 63) & ~(size_t)63};
    size_t at_slots, at_keys, at_bytes, total = 0;
    UINT32 room = 8;
    struct ix_key *k;
    UINT32 *slots;
    struct ix_map *m;
    UINT8 *bytes;

    while (room < 2 * count)
        room *= 2;
    for (UINT32 i = 0; i < count; i++)
        total += keys[i].size;
    at_slots = place(&l, room * sizeof(*slots));
    at_keys = place(&l, count * sizeof(*k));
    at_bytes = place(&l, total);
    m = map_alloc(cfg, kind, type, l.used);
    if (m == NULL)
        return NULL;
    l.base = (UINT8 *)m;
    m->count = count;
    m->cells = IX_CELL_KEYS + (kind == IX_TOKEN ? 2 * count : count);
    m->doubt = kind == IX_TOKEN;
    m->mask = room - 1;
    m->slots = slots = (UINT32 *)(void *)(l.base + at_slots);
    m->keys = k = (struct ix_key *)(void *)(l.base + at_keys);
    m->bytes = bytes = l.base + at_bytes;
    memset(slots, 0, room * sizeof(*slots));
    for (UINT32 i = 0; i < count; i++) {
        UINT64 s;

        k[i] = (struct ix_key){ix_hash(keys[i].data, keys[i].size), m->bytes_size, keys[i].size};
        if (keys[i].size != 0)
            memcpy(bytes + m->bytes_size, keys[i].data, keys[i].size);
        m->bytes_size += keys[i].size;
        for (s = k[i].hash & m->mask; slots[s] != 0; s = (s + 1) & m->mask)
            ;
        slots[s] = i + 1;
    }
    return m;
}

/* Distinct keys of the items, rank[2 * item] being its number; old keys (may be NULL) come first. */
int ix_intern(const struct engine_index_config *cfg, const struct ix_draft *d, const struct ix_map *old,
              struct ix_bytes **keys, UINT32 *count, UINT32 *rank)
{
    UINT32 room = 16, n = old != NULL ? old->count : 0, *table;
    struct ix_bytes *k;
    int err = -ENOMEM;

    while (room < 2 * (n + d->count))
        room *= 2;
    k = ix_alloc(cfg, 64, ((size_t)n + d->count) * sizeof(*k));
    table = ix_alloc(cfg, 64, room * sizeof(*table));
    if (k == NULL || table == NULL)
        goto out;
    memset(table, 0, room * sizeof(*table));
    for (UINT32 i = 0; i < n; i++)
        k[i] = (struct ix_bytes){old->bytes + old->keys[i].offset, old->keys[i].size};
    for (UINT32 i = 0; i < d->count; i++) {
        struct ix_bytes b;
        UINT32 s;

        if (d->items[i].what != IX_KEY)
            continue;
        ix_condition_bytes(d->items[i].test, &b.data, &b.size);
        if (old != NULL) {
            rank[2 * i] = ix_find_key(old, b.data, b.size);
            if (rank[2 * i] != UINT32_MAX)
                continue;
        }
        for (s = (UINT32)ix_hash(b.data, b.size) & (room - 1); table[s] != 0; s = (s + 1) & (room - 1)) {
            const struct ix_bytes *o = &k[table[s] - 1];

            if (o->size == b.size && (b.size == 0 || memcmp(o->data, b.data, b.size) == 0))
                break;
        }
        if (table[s] == 0) {
            k[n] = b;
            table[s] = ++n;
        }
        rank[2 * i] = table[s] - 1;
    }
    *keys = k;
    k = NULL;
    *count = n;
    err = 0;
out:
    free(k);
    free(table);
    return err;
}

/* ---- the whole ------------------------------------------------------------------------------------- */

struct ix_census ix_census(const struct ix_draft *d)
{
    struct ix_census c = {0, false};

    for (UINT32 i = 0; i < d->count; i++) {
        if (d->items[i].what == IX_SET)
            c.mask |= d->items[i].low;
        c.unsorted |= d->items[i].what == IX_UNSORTED;
    }
    return c;
}

bool ix_has_sets(const struct ix_draft *d)
{
    for (UINT32 i = 0; i < d->count; i++)
        if (d->items[i].what == IX_SET)
            return true;
    return false;
}

static struct ix_map *map_any(const struct engine_index_config *cfg, UINT8 type)
{
    struct ix_map *m = map_alloc(cfg, IX_ANY, type, sizeof(*m));

    if (m != NULL) {
        m->cells = IX_CELL_FIRST + 1;
        m->doubt = 1;
    }
    return m;
}

static int build_numbers(const struct engine_index_config *cfg, const struct ix_draft *d, UINT8 kind,
                         UINT64 mask, UINT32 *rank, struct ix_map **map)
{
    ix_num *starts = ix_alloc(cfg, 64, (2 * (size_t)d->count + 1) * sizeof(*starts));
    UINT32 count, bits = (UINT32)__builtin_popcountll(mask);
    int err = -ENOMEM;

    if (starts == NULL)
        return err;
    err = cut(cfg, d, starts, &count, rank);
    if (err)
        goto out;
    if (kind == IX_FLAGS && (bits > 16 || (UINT64)count << bits > cfg->flag_cells))
        *map = map_any(cfg, d->type);
    else
        *map = ix_map_numbers(cfg, kind, d->type, starts, count, mask);
    if (*map == NULL)
        err = -ENOMEM;
out:
    free(starts);
    return err;
}

static int build_bytes(const struct engine_index_config *cfg, const struct ix_draft *d, UINT8 kind,
                       UINT32 *rank, struct ix_map **map)
{
    struct ix_bytes *keys;
    UINT32 count;
    int err = ix_intern(cfg, d, NULL, &keys, &count, rank);

    if (err)
        return err;
    *map = ix_map_bytes(cfg, kind, d->type, keys, count);
    free(keys);
    return *map == NULL ? -ENOMEM : 0;
}

int ix_map_build(const struct engine_index_config *cfg, const struct ix_draft *d, struct ix_map **map,
                 struct ix_spans *spans)
{
    struct ix_census c = ix_census(d);
    UINT8 kind = (UINT8)kind_of(d->type);
    UINT32 *rank = ix_alloc(cfg, 64, 2 * (size_t)d->count * sizeof(*rank));
    int err = -ENOMEM;

    *map = NULL;
    if (rank == NULL)
        return err;
    if (ix_has_sets(d))
        kind = IX_FLAGS;
    if (kind == IX_ANY) {
        *map = map_any(cfg, d->type);
        err = *map == NULL ? -ENOMEM : 0;
    } else if (kind == IX_BYTES || kind == IX_TOKEN) {
        err = build_bytes(cfg, d, kind, rank, map);
    } else {
        err = build_numbers(cfg, d, kind, c.mask, rank, map);
    }
    if (!err && c.unsorted)
        (*map)->doubt = (*map)->cells;
    if (!err)
        err = ix_all_spans(cfg, d, *map, rank, spans);
    if (err) {
        ix_map_unref(*map);
        *map = NULL;
    }
    free(rank);
    return err;
}
