/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index: which cells of a field satisfy a filter. The alternatives of one filter on the field become
 * spans of cells, disjoint and ascending.
 */
#include <errno.h>
#include <stdlib.h>

#include "engine/index_parts.h"

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
        ix_item_range(d, it, &low, &high);
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

int ix_all_spans(const struct engine_index_config *cfg, const struct ix_draft *d, const struct ix_map *m,
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
