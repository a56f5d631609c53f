/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that is open, oldest first: at unload, and for reports.
 *
 * A walk looks at a window of numbers, from the last it told of to the last that was given when it began, so
 * what is opened meanwhile does not keep it going. It copies what it finds and tells of it with no lock held.
 * With memory for all of them one window does; without, it goes on in windows of a few.
 */
#include <stdlib.h>

#include "ledger/inside.h"

#define FEW 32

static int by_number(const void *a, const void *b)
{
    const struct ledger_entry *x = a, *y = b;

    return x->number < y->number ? -1 : x->number > y->number;
}

/* Calls fn for each; it may close it. */
static void walk(struct ledger *l, const struct ledger_party *p,
                 void (*fn)(void *ctx, const struct ledger_entry *e), void *ctx)
{
    uint64_t after = 0, until = atomic_load_explicit(&l->numbers, memory_order_relaxed);
    struct ledger_entry few[FEW], *all;
    size_t room = ledger_entry_count(l) + FEW, count;

    all = malloc(room * sizeof(*all));
    if (all == NULL)
        room = FEW;
    do {
        struct ledger_entry *found = all != NULL ? all : few;

        count = ledger_entry_collect(l, p, after, until, found, room);
        qsort(found, count, sizeof(*found), by_number);
        for (size_t i = 0; i < count; i++)
            fn(ctx, &found[i]);
        if (count != 0)
            after = found[count - 1].number;
    } while (count == room);
    free(all);
}

struct settled {
    struct ledger *ledger;
    uint64_t left;
};

static void settle_one(void *ctx, const struct ledger_entry *e)
{
    struct settled *s = ctx;
    struct ledger_finding f = {.fault = LEDGER_LEFT};

    if (!ledger_entry_close_number(s->ledger, e)) /* somebody closed it meanwhile */
        return;
    s->left++;
    ledger_count_closed(e->party, e->kind, 1);
    ledger_describe(e, &f);
    ledger_found(s->ledger, &f);
}

static uint64_t settle_counts(struct ledger_party *p)
{
    uint64_t left = 0;

    for (int k = 0; k < LEDGER_KINDS; k++) {
        uint64_t open = ledger_open_count(p, k);
        struct ledger_finding f = {.fault = LEDGER_LEFT,
                                   .kind = k,
                                   .driver = p->name,
                                   .size = open,
                                   .time_ns = ledger_now(p->ledger)};

        if (open == 0)
            continue;
        left += open;
        ledger_count_closed(p, k, open);
        ledger_found(p->ledger, &f);
    }
    return left;
}

uint64_t ledger_settle(struct ledger_party *p)
{
    struct settled s = {.ledger = p->ledger};

    if (p->ledger->config.mode == LEDGER_COUNT)
        return settle_counts(p);
    walk(p->ledger, p, settle_one, &s);
    return s.left;
}

struct told {
    void (*fn)(void *ctx, const struct ledger_finding *f);
    void *ctx;
};

static void tell(void *ctx, const struct ledger_entry *e)
{
    struct told *t = ctx;
    struct ledger_finding f = {.fault = LEDGER_LEFT};

    ledger_describe(e, &f);
    t->fn(t->ctx, &f);
}

void ledger_each(struct ledger *l, const struct ledger_party *p,
                 void (*fn)(void *ctx, const struct ledger_finding *f), void *ctx)
{
    struct told t = {fn, ctx};

    if (l->config.mode == LEDGER_FULL)
        walk(l, p, tell, &t);
}
