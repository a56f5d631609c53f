/* SPDX-License-Identifier: Apache-2.0 */
/* How many obligations of each kind a party took on and met: a cell for each thread. inside.h has the rules.
 */
#include "ledger/inside.h"

static _Thread_local char here; /* its address tells threads apart; fibers of one world are one thread */

/* The slow way to a cell: the first time, and where two threads' addresses fall together. */
static __attribute__((noinline)) unsigned find_cell(struct ledger *l, uintptr_t me, unsigned at)
{
    for (unsigned i = 0; i < LEDGER_CELLS; i++, at = (at + 1) % LEDGER_CELLS) {
        uintptr_t owner = atomic_load_explicit(&l->owners[at], memory_order_relaxed);

        if (owner == 0 && atomic_compare_exchange_strong_explicit(&l->owners[at], &owner, me,
                                                                  memory_order_relaxed, memory_order_relaxed))
            return at;
        if (owner == me)
            return at;
    }
    return LEDGER_CELLS;
}

static void add(struct ledger *l, struct ledger_cell *cells, enum ledger_kind k, bool closed, uint64_t n)
{
    uintptr_t me = (uintptr_t)&here;
    unsigned at = (unsigned)((uint64_t)me * 0x9e3779b97f4a7c15u >> 59);
    _Atomic uint64_t *count;

    _Static_assert(LEDGER_CELLS == 1 << (64 - 59), "the hash has as many values as there are cells");
    if (atomic_load_explicit(&l->owners[at], memory_order_relaxed) != me)
        at = find_cell(l, me, at);
    count = closed ? &cells[at].of[k].closed : &cells[at].of[k].opened;
    if (at < LEDGER_CELLS)
        atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + n,
                              memory_order_relaxed);
    else
        atomic_fetch_add_explicit(count, n, memory_order_relaxed);
}

void ledger_count_opened(struct ledger_party *p, enum ledger_kind k)
{
    add(p->ledger, p->cells, k, false, 1);
}

void ledger_count_closed(struct ledger_party *p, enum ledger_kind k, uint64_t n)
{
    add(p->ledger, p->cells, k, true, n);
}

void ledger_count_sum(const struct ledger_party *p, enum ledger_kind k, uint64_t *opened, uint64_t *closed)
{
    *opened = *closed = 0;
    for (unsigned i = 0; i <= LEDGER_CELLS; i++) { /* closed first: what is opened meanwhile is open */
        *closed += atomic_load_explicit(&p->cells[i].of[k].closed, memory_order_relaxed);
        *opened += atomic_load_explicit(&p->cells[i].of[k].opened, memory_order_relaxed);
    }
}
