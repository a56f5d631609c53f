/* SPDX-License-Identifier: Apache-2.0 */
/* Stores and slices: the memory of streams, and the lists over it (slice.h). */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/ledger.h"
#include "ndis/inside.h"
#include "ndis/slice.h"
#include "rt/alone.h"

struct ndis_slice {
    struct ndis_block block; /* first */
    NET_BUFFER nb;
    struct ndis_store *store; /* from here on it stays when the slice is used again */
    MDL one, *mdls;           /* mdls: where one is not enough */
    uint32_t mdl_room;
    uint64_t tag;
};

/* ---- stores */

struct ndis_store *ndis_store_take(uint32_t capacity)
{
    struct ndis_store *s = malloc(sizeof(*s) + capacity);

    if (s == NULL)
        return NULL;
    s->references = 1;
    s->capacity = capacity;
    s->used = 0;
    return s;
}

struct ndis_store *ndis_store_ref(struct ndis_store *s)
{
    (void)rt_add(&s->references, 1, __ATOMIC_RELAXED);
    return s;
}

void ndis_store_unref(struct ndis_store *s)
{
    if (s != NULL && rt_sub(&s->references, 1, __ATOMIC_ACQ_REL) == 0)
        free(s);
}

/* ---- slices */

/* ndis_block.release: nobody holds it any more. */
static void released(struct ndis_block *b)
{
    struct ndis_slice *s = (struct ndis_slice *)b;

    ndis_buffer_end(&s->nb);
    ndis_contexts_end(&b->nbl);
    ndis_block_strip(b);
    ndis_store_unref(s->store);
    free(s->mdls);
    free(s);
}

static void begin(struct ndis_slice *s)
{
    ndis_block_begin(&s->block, NDIS_MADE_STREAM, NDIS_BY_NDIS, NULL);
    s->block.release = released;
    s->block.nbl.FirstNetBuffer = &s->nb;
}

struct ndis_slice *ndis_slice_take(struct ndis_store *store)
{
    struct ndis_slice *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return NULL;
    begin(s);
    s->store = ndis_store_ref(store);
    return s;
}

bool ndis_slice_again(struct ndis_slice *s)
{
    struct ndis_block *b = &s->block;

    if (ndis_slice_held(s) || __atomic_load_n(&s->store->references, __ATOMIC_ACQUIRE) != 2)
        return false; /* ours and the owner's of the store */
    if (((uintptr_t)s->nb.NdisReserved[1] | (uintptr_t)b->nbl.Context | (uintptr_t)b->tags |
         (uintptr_t)b->history | (uintptr_t)b->origin | (uintptr_t)b->parent | b->parent_count) != 0) {
        ndis_buffer_end(&s->nb);
        ndis_contexts_end(&b->nbl);
        ndis_block_strip(b);
    }
    memset(s, 0, offsetof(struct ndis_slice, store));
    begin(s);
    s->store->used = 0;
    s->tag = 0;
    return true;
}

/* Of at most `split` bytes, odd and not all the same, as frames are split. */
static uint32_t odd_size(uint32_t split, uint32_t n)
{
    const uint32_t odds = (split + 1) / 2;

    return 2 * ((odds - 1 + n * 5) % odds) + 1;
}

static MDL *lay(struct ndis_slice *s, uint8_t *bytes, uint32_t size, uint32_t split)
{
    uint32_t count = 0, at = 0;

    if (split == 0 || size <= 1) {
        ndis_mdl_describe(&s->one, bytes, size);
        return &s->one;
    }
    while (at < size)
        at += odd_size(split, count++);
    if (count > s->mdl_room) {
        free(s->mdls);
        s->mdls = malloc(count * sizeof(*s->mdls));
        s->mdl_room = s->mdls != NULL ? count : 0;
        if (s->mdls == NULL)
            return NULL;
    }
    at = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t part = odd_size(split, i);

        part = part < size - at ? part : size - at;
        ndis_mdl_describe(&s->mdls[i], bytes + at, part);
        if (i != 0)
            s->mdls[i - 1].Next = &s->mdls[i];
        at += part;
    }
    return s->mdls;
}

NET_BUFFER_LIST *ndis_slice_show(struct ndis_slice *s, uint32_t begin, uint32_t end, uint32_t split)
{
    MDL *mdls;

    ndis_buffer_end(&s->nb);
    mdls = lay(s, s->store->bytes + begin, end - begin, split);
    if (mdls == NULL)
        return NULL;
    ndis_buffer_begin(&s->nb, mdls, 0, end - begin, NULL);
    s->nb.Next = NULL;
    s->block.nbl.FirstNetBuffer = &s->nb;
    s->block.nbl.Next = NULL;
    return &s->block.nbl;
}

NET_BUFFER_LIST *ndis_slice_list(struct ndis_slice *s)
{
    return &s->block.nbl;
}

bool ndis_slice_held(const struct ndis_slice *s)
{
    return __atomic_load_n(&s->block.references, __ATOMIC_ACQUIRE) > 1;
}

void ndis_slice_done(struct ndis_slice *s)
{
    if (s != NULL)
        ndis_block_unref(&s->block);
}

static const struct ndis_slice *slice_of(const NET_BUFFER_LIST *nbl)
{
    const struct ndis_block *b = ndis_block_of(nbl);

    while (b != NULL && b->made != NDIS_MADE_STREAM)
        b = b->parent != NULL ? b->parent : b->parent_count != 0 ? b->parents[0] : NULL;
    return (const struct ndis_slice *)b; /* its first member */
}

bool ndis_is_stream(const NET_BUFFER_LIST *nbl)
{
    return slice_of(nbl) != NULL;
}

void ndis_slice_tag(struct ndis_slice *s, uint64_t tag)
{
    s->tag = tag;
}

uint64_t ndis_stream_tag(const NET_BUFFER_LIST *nbl)
{
    const struct ndis_slice *s = slice_of(nbl);

    return s != NULL ? s->tag : 0;
}
