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

static ix_num greatest_of(UINT8 type)
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
static bool item_range(const struct ix_draft *d, const struct ix_item *it, ix_num *low, ix_num *high)
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
    ix_num greatest = greatest_of(d->type), low, high, last = 0;
    struct event *e = ix_alloc(cfg, 64, (4 * (size_t)d->count + 1) * sizeof(*e)), *sorted;
    UINT32 n = 0, c = 1;

    if (e == NULL)
        return -ENOMEM;
    for (UINT32 i = 0; i < d->count; i++) {
        rank[2 * i] = 0;
        rank[2 * i + 1] = UINT32_MAX;
        if (!item_range(d, &d->items[i], &low, &high))
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

static struct ix_map *map_numbers(const struct engine_index_config *cfg, UINT8 kind, UINT8 type,
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

/* ---- maps of bytes --------------------------------------------------------------------------------- */

struct bytes_source {
    const UINT8 *data;
    UINT32 size;
};

static struct ix_map *map_bytes(const struct engine_index_config *cfg, UINT8 kind, UINT8 type,
                                const struct bytes_source *keys, UINT32 count)
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
static int intern(const struct engine_index_config *cfg, const struct ix_draft *d, const struct ix_map *old,
                  struct bytes_source **keys, UINT32 *count, UINT32 *rank)
{
    UINT32 room = 16, n = old != NULL ? old->count : 0, *table;
    struct bytes_source *k;
    int err = -ENOMEM;

    while (room < 2 * (n + d->count))
        room *= 2;
    k = ix_alloc(cfg, 64, ((size_t)n + d->count) * sizeof(*k));
    table = ix_alloc(cfg, 64, room * sizeof(*table));
    if (k == NULL || table == NULL)
        goto out;
    memset(table, 0, room * sizeof(*table));
    for (UINT32 i = 0; i < n; i++)
        k[i] = (struct bytes_source){old->bytes + old->keys[i].offset, old->keys[i].size};
    for (UINT32 i = 0; i < d->count; i++) {
        struct bytes_source b;
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
            const struct bytes_source *o = &k[table[s] - 1];

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

/* ---- spans ----------------------------------------------------------------------------------------- */

static int add_span(const struct engine_index_config *cfg, struct ix_spans *s, UINT32 slot, UINT32 first,
                    UINT32 end)
{
    void *array = s->of;
    int err;

    if (first >= end)
        return 0;
    err = ix_grow(cfg, &array, &s->room, s->count + 1, sizeof(*s->of));
    s->of = array;
    if (err)
        return err;
    s->of[s->count++] = (struct ix_span){slot, first, end};
    return 0;
}

static int span_compare(const void *pa, const void *pb)
{
    const struct ix_span *a = pa, *b = pb;

    return (a->first > b->first) - (a->first < b->first);
}

/* A filter's spans from `from` on become disjoint and ascending. */
static void join_spans(struct ix_spans *s, UINT32 from)
{
    UINT32 n = from;

    qsort(s->of + from, s->count - from, sizeof(*s->of), span_compare);
    for (UINT32 i = from + 1; i < s->count; i++) {
        if (s->of[i].first > s->of[n].end)
            s->of[++n] = s->of[i];
        else if (s->of[i].end > s->of[n].end)
            s->of[n].end = s->of[i].end;
    }
    s->count = n + 1;
}

static int range_spans(const struct engine_index_config *cfg, const struct ix_map *m,
                       const struct ix_item *it, bool wraps, UINT32 a, UINT32 b, struct ix_spans *out)
{
    UINT32 end = m->cells, slot = it->slot;
    int err;

    a += IX_CELL_FIRST;
    b += IX_CELL_FIRST;
    if (wraps == it->negate) /* one piece: the range, or what a wrapping one leaves out */
        return wraps ? add_span(cfg, out, slot, b, a) : add_span(cfg, out, slot, a, b);
    if (it->negate) {
        err = add_span(cfg, out, slot, IX_CELL_FIRST, a);
        return err ? err : add_span(cfg, out, slot, b, end);
    }
    err = add_span(cfg, out, slot, IX_CELL_FIRST, b);
    return err ? err : add_span(cfg, out, slot, a, end);
}

static int key_spans(const struct engine_index_config *cfg, const struct ix_map *m, const struct ix_item *it,
                     UINT32 key, struct ix_spans *out)
{
    UINT32 cell = IX_CELL_KEYS + key;
    int err;

    if (m->kind == IX_TOKEN) { /* a candidate until checked, and in the row of its descriptor */
        err = add_span(cfg, out, it->slot, IX_CELL_FIRST, IX_CELL_FIRST + 1);
        cell = IX_CELL_KEYS + 2 * key + it->negate;
        return err ? err : add_span(cfg, out, it->slot, cell, cell + 1);
    }
    if (!it->negate)
        return add_span(cfg, out, it->slot, cell, cell + 1);
    err = add_span(cfg, out, it->slot, IX_CELL_FIRST, cell);
    return err ? err : add_span(cfg, out, it->slot, cell + 1, m->cells);
}

static int item_spans(const struct engine_index_config *cfg, const struct ix_draft *d, const struct ix_map *m,
                      const struct ix_item *it, const UINT32 *rank, struct ix_spans *out)
{
    ix_num low = 0, high = 0;

    if (m->kind == IX_ANY)
        return it->what == IX_NEVER ? 0 : add_span(cfg, out, it->slot, IX_CELL_FIRST, m->cells);
    switch (it->what) {
    case IX_RANGE:
    case IX_WIDE:
        item_range(d, it, &low, &high);
        return range_spans(cfg, m, it, low > high, rank[0], rank[1], out);
    case IX_KEY:
        return key_spans(cfg, m, it, rank[0], out);
    case IX_NEVER:
        return 0;
    default:
        return add_span(cfg, out, it->slot, IX_CELL_FIRST, m->cells);
    }
}

/* The k-th combination of the tested bits, at their places. */
static UINT64 spread(UINT64 mask, UINT32 k)
{
    UINT64 v = 0;

    for (; mask != 0; mask &= mask - 1, k >>= 1)
        if (k & 1)
            v |= mask & -mask;
    return v;
}

static bool set_holds(const struct engine_test *t, UINT64 low, UINT64 v)
{
    switch (t->op) {
    case ENGINE_TEST_ALL_SET:
        return (v & low) == low;
    case ENGINE_TEST_ANY_SET:
        return (v & low) != 0;
    default:
        return (v & low) == 0;
    }
}

static bool flag_item_holds(const struct ix_item *it, const UINT32 *rank, UINT32 interval, UINT64 v)
{
    bool in;

    switch (it->what) {
    case IX_SET:
        return set_holds(it->test, it->low, v);
    case IX_RANGE:
        in = it->low <= it->high ? interval >= rank[0] && interval < rank[1]
                                 : interval >= rank[0] || interval < rank[1];
        return in != it->negate;
    case IX_NEVER:
        return false;
    default:
        return true;
    }
}

/* Cells of a FLAGS field that satisfy n alternatives. */
static int flag_spans(const struct engine_index_config *cfg, const struct ix_map *m, const struct ix_item *it,
                      UINT32 n, const UINT32 *rank, struct ix_spans *out)
{
    UINT32 start = 0;
    bool on = false;
    int err;

    for (UINT32 c = IX_CELL_FIRST; c <= m->cells; c++) {
        UINT32 k = c - IX_CELL_FIRST;
        UINT64 v = c < m->cells ? spread(m->mask, k & ((1u << m->bits) - 1)) : 0;
        bool holds = false;

        for (UINT32 i = 0; i < n && !holds && c < m->cells; i++)
            holds = flag_item_holds(&it[i], rank + 2 * i, k >> m->bits, v);
        if (holds && !on)
            start = c;
        if (!holds && on) {
            err = add_span(cfg, out, it->slot, start, c);
            if (err)
                return err;
        }
        on = holds;
    }
    return 0;
}

/* The spans of the alternatives of one filter. */
static int group_spans(const struct engine_index_config *cfg, const struct ix_draft *d,
                       const struct ix_map *m, UINT32 at, UINT32 n, const UINT32 *rank, struct ix_spans *out)
{
    const struct ix_item *it = &d->items[at];
    UINT32 from = out->count;
    int err;

    for (UINT32 i = 0; i < n; i++) {
        if (it[i].empty) {
            err = add_span(cfg, out, it->slot, IX_CELL_EMPTY, IX_CELL_EMPTY + 1);
            if (err)
                return err;
            break;
        }
    }
    if (m->kind == IX_FLAGS) {
        err = flag_spans(cfg, m, it, n, rank + 2 * at, out);
        if (err)
            return err;
    } else {
        for (UINT32 i = 0; i < n; i++) {
            err = item_spans(cfg, d, m, &it[i], rank + 2 * (at + i), out);
            if (err)
                return err;
        }
    }
    if (out->count - from > 1)
        join_spans(out, from);
    return 0;
}

#define MEMO 16
/* Filters of a FLAGS field mostly repeat a few masks: their spans are copied. */
static bool repeat_spans(const struct engine_index_config *cfg, const struct ix_item *it, UINT32 n,
                         UINT32 (*memo)[3], const struct ix_item *items, struct ix_spans *out, int *err)
{
    for (UINT32 i = 0; i < MEMO && n == 1 && it->what == IX_SET; i++) {
        const struct ix_item *o = &items[memo[i][0]];

        if (memo[i][2] == 0 || o->what != IX_SET || o->low != it->low || o->test->op != it->test->op ||
            o->empty != it->empty)
            continue;
        for (UINT32 k = 0; k < memo[i][2] && !*err; k++) {
            struct ix_span s = out->of[memo[i][1] + k];

            *err = add_span(cfg, out, it->slot, s.first, s.end);
        }
        return true;
    }
    return false;
}

static int all_spans(const struct engine_index_config *cfg, const struct ix_draft *d, const struct ix_map *m,
                     const UINT32 *rank, struct ix_spans *out)
{
    UINT32 memo[MEMO][3] = {{0}}, memos = 0;

    for (UINT32 i = 0, n; i < d->count; i += n) {
        UINT32 from = out->count;
        int err = 0;

        for (n = 1; i + n < d->count && d->items[i + n].slot == d->items[i].slot; n++)
            ;
        if (m->kind == IX_FLAGS && repeat_spans(cfg, &d->items[i], n, memo, d->items, out, &err)) {
            if (err)
                return err;
            continue;
        }
        err = group_spans(cfg, d, m, i, n, rank, out);
        if (err)
            return err;
        if (n == 1) {
            memo[memos % MEMO][0] = i;
            memo[memos % MEMO][1] = from;
            memo[memos++ % MEMO][2] = out->count - from;
        }
    }
    return 0;
}

/* ---- the whole ------------------------------------------------------------------------------------- */

struct census {
    UINT64 mask; /* bits that FLAGS_* test */
    bool unsorted;
};

static struct census count_items(const struct ix_draft *d)
{
    struct census c = {0, false};

    for (UINT32 i = 0; i < d->count; i++) {
        if (d->items[i].what == IX_SET)
            c.mask |= d->items[i].low;
        c.unsorted |= d->items[i].what == IX_UNSORTED;
    }
    return c;
}

static bool has_sets(const struct ix_draft *d)
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
        *map = map_numbers(cfg, kind, d->type, starts, count, mask);
    if (*map == NULL)
        err = -ENOMEM;
out:
    free(starts);
    return err;
}

static int build_bytes(const struct engine_index_config *cfg, const struct ix_draft *d, UINT8 kind,
                       UINT32 *rank, struct ix_map **map)
{
    struct bytes_source *keys;
    UINT32 count;
    int err = intern(cfg, d, NULL, &keys, &count, rank);

    if (err)
        return err;
    *map = map_bytes(cfg, kind, d->type, keys, count);
    free(keys);
    return *map == NULL ? -ENOMEM : 0;
}

int ix_map_build(const struct engine_index_config *cfg, const struct ix_draft *d, struct ix_map **map,
                 struct ix_spans *spans)
{
    struct census c = count_items(d);
    UINT8 kind = (UINT8)kind_of(d->type);
    UINT32 *rank = ix_alloc(cfg, 64, 2 * (size_t)d->count * sizeof(*rank));
    int err = -ENOMEM;

    *map = NULL;
    if (rank == NULL)
        return err;
    if (has_sets(d))
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
        err = all_spans(cfg, d, *map, rank, spans);
    if (err) {
        ix_map_unref(*map);
        *map = NULL;
    }
    free(rank);
    return err;
}

/* ---- extending ------------------------------------------------------------------------------------- */

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
    ix_num greatest = greatest_of(d->type);
    int err = -ENOMEM;

    if (starts == NULL)
        return err;
    for (UINT32 i = 0; i < count; i++)
        starts[i] = start_of(old, i);
    for (UINT32 i = 0; i < d->count; i++) {
        if (!item_range(d, &d->items[i], &low, &high))
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
        *out = map_numbers(cfg, old->kind, old->type, starts, count, 0);
        *source = ix_alloc(cfg, 64, ((size_t)count + IX_CELL_FIRST) * sizeof(**source));
        if (*out == NULL || *source == NULL)
            err = -ENOMEM;
    }
    if (err)
        goto out;
    for (UINT32 i = 0; i < d->count; i++) {
        rank[2 * i] = 0;
        rank[2 * i + 1] = count;
        if (!item_range(d, &d->items[i], &low, &high))
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
    struct bytes_source *keys;
    UINT32 count, cells;
    int err = intern(cfg, d, old, &keys, &count, rank);

    if (err)
        return err;
    if (count == old->count) {
        *out = ix_map_ref(old);
        goto out;
    }
    *out = map_bytes(cfg, old->kind, old->type, keys, count);
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
    struct census c = count_items(d);
    UINT32 *rank;
    int err;

    *out = NULL;
    *source = NULL;
    if (c.unsorted || old->doubt == old->cells || old->kind == IX_ANY)
        return -EAGAIN;
    if (has_sets(d) && (old->kind != IX_FLAGS || (c.mask & ~old->mask) != 0))
        return -EAGAIN;
    rank = ix_alloc(cfg, 64, 2 * (size_t)d->count * sizeof(*rank));
    if (rank == NULL)
        return -ENOMEM;
    if (old->kind == IX_BYTES || old->kind == IX_TOKEN)
        err = extend_bytes(cfg, old, d, out, source, rank);
    else
        err = extend_numbers(cfg, old, d, out, source, rank);
    if (!err)
        err = all_spans(cfg, d, *out, rank, spans);
    free(rank);
    if (err) {
        ix_map_unref(*out);
        free(*source);
        *out = NULL;
        *source = NULL;
    }
    return err;
}
