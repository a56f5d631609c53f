/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks: marks, references, parents, histories, origins.
 *
 *   begin: 1 reference (the owner's) -> ref/unref by children and drivers -> the owner frees -> 0: gone
 *
 * A list's first reserved words hold a mark made of its address, and its block; both are cleared when the
 * owner frees it, so that a list copied by value, a stranger's and a freed one (as long as its memory is
 * there for its children's sake) are all known for what they are.
 *
 * Threads: counts are atomic. The thread that brings a count to zero has seen all that others did before
 * (acquire, release); it alone takes the block apart.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/ledger.h"
#include "ndis/inside.h"
#include "rt/alone.h"

#define MARK 0x57454952204e424cull

struct ndis_history {
    _Alignas(max_align_t) struct ndis_history *before; /* so that what is beside it may be anything */
    uint32_t references, length;
    uint64_t handle, earlier; /* earlier: of the injection before, where `before` does not say it */
    void *context;
};

/* One reference less: was it the last? Who has the only one shares it with nobody, and need not lock the bus. */
static inline bool is_last(uint32_t *references)
{
    if (__atomic_load_n(references, __ATOMIC_ACQUIRE) == 1) {
        __atomic_store_n(references, 0, __ATOMIC_RELAXED);
        return true;
    }
    return rt_sub(references, 1, __ATOMIC_ACQ_REL) == 0;
}

/* ---- blocks */

struct ndis_block *ndis_block_of(const NET_BUFFER_LIST *nbl)
{
    if (nbl == NULL || (uintptr_t)nbl->NdisReserved[0] != (uintptr_t)(MARK ^ (uintptr_t)nbl))
        return NULL;
    return nbl->NdisReserved[1];
}

void ndis_block_begin(struct ndis_block *b, enum ndis_made made, enum ndis_by by, struct ndis_pool *pool)
{
    b->references = 1;
    b->made = (uint8_t)made;
    b->by = (uint8_t)by;
    b->pool = pool;
    b->nbl.NdisPoolHandle = pool;
    b->nbl.NdisReserved[0] = (PVOID)(uintptr_t)(MARK ^ (uintptr_t)&b->nbl);
    b->nbl.NdisReserved[1] = b;
}

enum ndis_made ndis_nbl_made(const NET_BUFFER_LIST *nbl)
{
    const struct ndis_block *b = ndis_block_of(nbl);

    return b != NULL ? (enum ndis_made)b->made : NDIS_MADE_NOT;
}

void ndis_block_ref(struct ndis_block *b)
{
    (void)rt_add(&b->references, 1, __ATOMIC_RELAXED);
}

void ndis_block_adopt(struct ndis_block *b, struct ndis_block *parent)
{
    ndis_block_ref(parent);
    (void)rt_add(&parent->nbl.ChildRefCount, 1, __ATOMIC_RELAXED);
    b->parent = parent;
    b->nbl.ParentNetBufferList = &parent->nbl;
    b->history = ndis_history_ref(parent->history);
    b->origin = parent->origin; /* the parent's, which is held */
    b->lent_origin = true;
}

void ndis_block_strip(struct ndis_block *b)
{
    struct ndis_block *parent = b->parent;
    struct ndis_origin *origin = b->lent_origin ? NULL : b->origin;

    while (b->tags != NULL) {
        struct ndis_tag *next = b->tags->next;

        free(b->tags);
        b->tags = next;
    }
    if (!b->lent_history)
        ndis_history_unref(b->history);
    b->history = NULL;
    b->lent_origin = b->lent_history = false;
    for (uint32_t i = 0; i < b->parent_count; i++)
        ndis_block_unref(b->parents[i]);
    b->parent_count = 0;
    b->parent = NULL;
    b->origin = NULL;
    if (parent != NULL)
        ndis_block_unref(parent);
    ndis_origin_unref(origin); /* last: the block may be the origin's own */
}

void ndis_block_unref(struct ndis_block *b)
{
    if (!is_last(&b->references))
        return;
    if (b->release != NULL) {
        b->release(b);
        return;
    }
    for (uint32_t i = 0; i < b->buffer_count; i++)
        ndis_buffer_end(&b->buffers[i]);
    ndis_contexts_end(&b->nbl);
    ndis_block_strip(b);
    free(b);
}

/* ---- references of drivers */

bool ndis_nbl_reference(NET_BUFFER_LIST *nbl, bool modify, const void *site)
{
    struct ndis_block *b = ndis_block_of(nbl);

    if (b == NULL) {
        ledger_report(LEDGER_AFTER, site, "FwpsReferenceNetBufferList: not a list that is there");
        return false;
    }
    ndis_block_ref(b);
    (void)rt_add(&b->holds, 1, __ATOMIC_RELAXED);
    if (modify)
        __atomic_store_n(&b->modify, true, __ATOMIC_RELAXED);
    ledger_open(LEDGER_NBL_REFERENCE, (uintptr_t)nbl, 0, NULL, site);
    return true;
}

bool ndis_nbl_dereference(NET_BUFFER_LIST *nbl, const void *site)
{
    struct ndis_block *b = ndis_block_of(nbl);
    uint32_t holds;

    if (b == NULL) {
        ledger_report(LEDGER_AFTER, site, "FwpsDereferenceNetBufferList: not a list that is there");
        return false;
    }
    if (!ledger_close(LEDGER_NBL_REFERENCE, (uintptr_t)nbl, site))
        return false;
    holds = __atomic_load_n(&b->holds, __ATOMIC_RELAXED);
    do {
        if (holds == 0) {
            ledger_report(LEDGER_BUGCHECK, site, "FwpsDereferenceNetBufferList without a reference");
            return false;
        }
    } while (
        !__atomic_compare_exchange_n(&b->holds, &holds, holds - 1, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    ndis_block_unref(b);
    return true;
}

bool ndis_nbl_meant_to_modify(const NET_BUFFER_LIST *nbl)
{
    const struct ndis_block *b = ndis_block_of(nbl);

    return b != NULL && __atomic_load_n(&b->modify, __ATOMIC_RELAXED);
}

/* ---- freeing ---------------------------------------------------------------------------------------------
 */

static enum ledger_kind kind_of(enum ndis_made made)
{
    return made == NDIS_MADE_STREAM_CLONE                            ? LEDGER_STREAM_CLONE
           : made == NDIS_MADE_CLONE || made == NDIS_MADE_DEEP_CLONE ? LEDGER_NBL_CLONE
                                                                     : LEDGER_NBL;
}

static bool same_kind(enum ndis_made made, enum ndis_made expected)
{
    if (made == NDIS_MADE_DEEP_CLONE || made == NDIS_MADE_STREAM_CLONE)
        made = NDIS_MADE_CLONE;
    if (made == NDIS_MADE_REASSEMBLED && expected == NDIS_MADE_OWN)
        return true; /* FwpsFreeNetBufferList0 frees FwpsReassembleForwardFragmentGroup0's */
    return made == expected;
}

void ndis_nbl_free(NET_BUFFER_LIST *nbl, enum ndis_made expected, enum ndis_by by, const void *site)
{
    struct ndis_block *b = ndis_block_of(nbl);
    struct ndis_pool *pool;

    if (b == NULL || b->made == NDIS_MADE_FRAME || b->made == NDIS_MADE_STREAM) {
        if (b == NULL && !ledger_close(kind_of(expected), (uintptr_t)nbl, site))
            return; /* the ledger knew more of it */
        ledger_report(LEDGER_BUGCHECK, site,
                      b != NULL ? "a list of the stack's was freed by a driver"
                                : "a list was freed that is not there");
        return;
    }
    if (!ledger_close(kind_of((enum ndis_made)b->made), (uintptr_t)nbl, site))
        return;
    if (!same_kind((enum ndis_made)b->made, expected) || b->by != by)
        ledger_report(LEDGER_WRONG, site, "a list was freed by a function of another kind than made it");
    if (b->parent != NULL)
        (void)rt_sub(&b->parent->nbl.ChildRefCount, 1, __ATOMIC_RELAXED);
    if (__atomic_load_n(&nbl->ChildRefCount, __ATOMIC_RELAXED) > 0)
        ledger_report(LEDGER_NOTE, site, "a list was freed whose clones still share its data"); /* NBL-05 */
    nbl->NdisReserved[0] = NULL;
    pool = b->pool;
    if (pool != NULL)
        (void)rt_sub(&pool->live, 1, __ATOMIC_RELAXED);
    ndis_block_unref(b);
}

/* ---- history ----------------------------------------------------------------------------------------------
 */

struct ndis_history *ndis_history_of(const NET_BUFFER_LIST *nbl)
{
    const struct ndis_block *b = ndis_block_of(nbl);

    return b != NULL ? b->history : NULL;
}

struct ndis_history *ndis_history_ref(struct ndis_history *h)
{
    if (h != NULL)
        (void)rt_add(&h->references, 1, __ATOMIC_RELAXED);
    return h;
}

void ndis_history_unref(struct ndis_history *h)
{
    while (h != NULL && is_last(&h->references)) {
        struct ndis_history *before = h->before;

        free(h);
        h = before;
    }
}

struct ndis_history *ndis_history_add(struct ndis_history *before, uint64_t handle, void *context,
                                      size_t beside)
{
    struct ndis_history *h = malloc(sizeof(*h) + beside);

    if (h != NULL)
        *h = (struct ndis_history){.before = ndis_history_ref(before),
                                   .references = 1,
                                   .length = ndis_history_length(before) + 1,
                                   .handle = handle,
                                   .context = context};
    return h;
}

void *ndis_history_beside(struct ndis_history *h)
{
    return h + 1;
}

uint32_t ndis_history_length(const struct ndis_history *h)
{
    return h != NULL ? h->length : 0;
}

uint64_t ndis_history_before(const struct ndis_history *h)
{
    return h == NULL ? 0 : h->before != NULL ? ndis_history_last(h->before) : h->earlier;
}

void ndis_history_age(struct ndis_history *h, uint32_t more, uint64_t before)
{
    h->length += more;
    h->earlier = before;
}

uint64_t ndis_history_last(const struct ndis_history *h)
{
    return h != NULL ? h->handle : 0;
}

enum ndis_injected ndis_history_state(const struct ndis_history *h, uint64_t handle, void **context)
{
    if (h == NULL)
        return NDIS_NOT_INJECTED;
    for (const struct ndis_history *at = h; at != NULL; at = at->before)
        if (at->handle == handle) {
            *context = at->context;
            return at == h ? NDIS_INJECTED_BY_SELF : NDIS_PREVIOUSLY_INJECTED_BY_SELF;
        }
    return NDIS_INJECTED_BY_OTHER;
}

void ndis_nbl_set_history(NET_BUFFER_LIST *nbl, struct ndis_history *h)
{
    struct ndis_block *b = ndis_block_of(nbl);
    struct ndis_history *was;

    if (b == NULL)
        return;
    was = b->lent_history ? NULL : b->history;
    b->history = ndis_history_ref(h);
    b->lent_history = false;
    ndis_history_unref(was);
}

/* ---- origin */

struct ndis_origin *ndis_origin_of(const NET_BUFFER_LIST *nbl)
{
    const struct ndis_block *b = ndis_block_of(nbl);

    return b != NULL ? b->origin : NULL;
}

struct ndis_origin *ndis_origin_ref(struct ndis_origin *o)
{
    if (o != NULL)
        (void)rt_add(&o->references, 1, __ATOMIC_RELAXED);
    return o;
}

void ndis_origin_unref(struct ndis_origin *o)
{
    if (o != NULL && is_last(&o->references))
        ndis_origin_gone(o);
}

void ndis_nbl_set_origin(NET_BUFFER_LIST *nbl, struct ndis_origin *o)
{
    struct ndis_block *b = ndis_block_of(nbl);
    struct ndis_origin *was;

    if (b == NULL)
        return;
    was = b->lent_origin ? NULL : b->origin;
    b->origin = ndis_origin_ref(o);
    b->lent_origin = false;
    ndis_origin_unref(was);
}

void ndis_nbl_carry(NET_BUFFER_LIST *nbl)
{
    struct ndis_origin *o = ndis_origin_of(nbl);

    if (o != NULL)
        __atomic_store_n(&o->completed, true, __ATOMIC_RELEASE);
}
