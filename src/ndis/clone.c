/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists that show data of other lists: clones, deep clones, fragments, reassembled ones.
 *
 *   block | NET_BUFFER ... | MDL ... | context area | data          one allocation
 *
 * A clone begins where its original's used data begins: what was in front of it is not reachable through the
 * clone (NdisAllocateCloneNetBufferList). Its MDLs are its own, the bytes are shared; a deep clone has bytes
 * of its own. All of them are children of what they show (NBL-05, 11), and inherit history and origin of it.
 *
 * Any thread, IRQL <= DISPATCH_LEVEL.
 */
#include <stdlib.h>
#include <string.h>

#include "ledger/ledger.h"
#include "ndis/inside.h"
#include "ndis/slice.h"
#include "nt/fault.h"
#include "nt/irql.h"
#include "rt/alone.h"

#define ALIGNED(n) (((n) + MEMORY_ALLOCATION_ALIGNMENT - 1) & ~(size_t)(MEMORY_ALLOCATION_ALIGNMENT - 1))

_Static_assert(sizeof(NET_BUFFER) % MEMORY_ALLOCATION_ALIGNMENT == 0, "they stand in an array");

/* A block under construction: what is left of its memory. */
struct room {
    struct ndis_block *block;
    NET_BUFFER *buffers;
    MDL *mdls;
    char *more; /* context area, then data */
    NET_BUFFER **link;
};

static bool room_make(struct room *r, size_t buffers, size_t mdls, size_t more)
{
    const size_t head = ALIGNED(sizeof(struct ndis_block)), nbs = buffers * sizeof(NET_BUFFER);
    const size_t size = head + nbs + ALIGNED(mdls * sizeof(MDL));
    char *p = malloc(size + more);

    if (p == NULL)
        return false;
    ndis_clear(p, head + nbs); /* MDLs are written whole */
    if (more != 0)
        ndis_clear(p + size, more);
    r->block = (struct ndis_block *)p;
    r->block->buffers = r->buffers = (NET_BUFFER *)(p + head);
    r->mdls = (MDL *)(p + head + nbs);
    r->more = p + size;
    r->link = &r->block->nbl.FirstNetBuffer;
    return true;
}

static NET_BUFFER *room_buffer(struct room *r, MDL *chain, uint32_t offset, size_t length, NDIS_HANDLE pool)
{
    NET_BUFFER *nb = r->buffers++;

    r->block->buffer_count++;
    ndis_buffer_begin(nb, chain, offset, length, pool);
    *r->link = nb;
    r->link = &nb->Next;
    return nb;
}

/* One more MDL in the chain. */
static void room_mdl(struct room *r, MDL ***chain, uint8_t *bytes, uint32_t size)
{
    MDL *mdl = r->mdls++;

    ndis_mdl_describe(mdl, bytes, size);
    **chain = mdl;
    *chain = &mdl->Next;
}

/* MDLs over `size` bytes of the data from `at` on; they are shared. Returns how many bytes there were. */
static size_t share(struct room *r, MDL ***chain, const NET_BUFFER *from, size_t at, size_t size)
{
    size_t skip = from->CurrentMdlOffset + at, done = 0;

    for (MDL *mdl = from->CurrentMdl; mdl != NULL && done < size; mdl = mdl->Next) {
        size_t part;

        if (skip >= mdl->ByteCount) {
            skip -= mdl->ByteCount;
            continue;
        }
        part = mdl->ByteCount - skip;
        part = part < size - done ? part : size - done;
        room_mdl(r, chain, ndis_mdl_bytes(mdl) + skip, (uint32_t)part);
        done += part;
        skip = 0;
    }
    return done;
}

static size_t mdls_of(const NET_BUFFER *nb)
{
    size_t n = 0;

    for (const MDL *mdl = nb->CurrentMdl; mdl != NULL; mdl = mdl->Next)
        n++;
    return n != 0 ? n : 1; /* empty data have one, too */
}

static bool pools_ok(NDIS_HANDLE list_pool, NDIS_HANDLE buffer_pool)
{
    return (list_pool == NULL || ndis_pool_of(list_pool, POOL_OF_LISTS) != NULL) &&
           (buffer_pool == NULL || ndis_pool_of(buffer_pool, POOL_OF_BUFFERS) != NULL ||
            ndis_pool_of(buffer_pool, POOL_OF_LISTS) != NULL);
}

static void finish(struct room *r, enum ndis_made made, enum ndis_by by, NDIS_HANDLE list_pool,
                   enum ledger_kind kind, const void *site)
{
    struct ndis_pool *p = ndis_pool_of(list_pool, POOL_OF_LISTS);

    ndis_block_begin(r->block, made, by, p);
    if (p != NULL)
        (void)rt_add(&p->live, 1, __ATOMIC_RELAXED);
    ledger_open(kind, (uintptr_t)&r->block->nbl, 0, NULL, site);
}

/* ---- clones */

#define DEEP_CONTEXT 64 /* NBL-11: there is one; how large is nowhere said */

NET_BUFFER_LIST *ndis_nbl_clone(NET_BUFFER_LIST *original, NDIS_HANDLE list_pool, NDIS_HANDLE buffer_pool,
                                bool deep, enum ndis_by by, const void *site)
{
    struct ndis_block *parent = ndis_block_of(original);
    size_t buffers = 0, mdls = 0, more = 0;
    struct room r;
    char *data;

    if (parent == NULL || !pools_ok(list_pool, buffer_pool))
        return NULL;
    for (const NET_BUFFER *nb = original->FirstNetBuffer; nb != NULL; nb = nb->Next) {
        buffers++;
        mdls += deep ? 1 : mdls_of(nb);
        more += deep ? ALIGNED(nb->DataLength) : 0;
    }
    if (deep)
        more += ndis_context_room(DEEP_CONTEXT);
    if (!room_make(&r, buffers, mdls, more))
        return NULL;
    data = r.more + (deep ? ndis_context_room(DEEP_CONTEXT) : 0);
    for (const NET_BUFFER *nb = original->FirstNetBuffer; nb != NULL; nb = nb->Next) {
        MDL *chain = NULL, **end = &chain;

        if (deep) {
            room_mdl(&r, &end, (uint8_t *)data, nb->DataLength);
            ndis_nb_read(nb, 0, data, nb->DataLength);
            data += ALIGNED(nb->DataLength);
        } else if (share(&r, &end, nb, 0, nb->DataLength) == 0) {
            room_mdl(&r, &end, (uint8_t *)r.block, 0);
        }
        room_buffer(&r, chain, 0, nb->DataLength, buffer_pool)->ChecksumBias = nb->ChecksumBias;
    }
    if (deep)
        ndis_context_put(&r.block->nbl, r.more, DEEP_CONTEXT, 0);
    memcpy(r.block->nbl.NetBufferListInfo, original->NetBufferListInfo, sizeof(original->NetBufferListInfo));
    r.block->nbl.NblFlags = original->NblFlags;
    r.block->nbl.Flags = original->Flags;
    r.block->nbl.SourceHandle = original->SourceHandle;
    finish(&r, deep ? NDIS_MADE_DEEP_CLONE : NDIS_MADE_CLONE, by, list_pool, LEDGER_NBL_CLONE, site);
    ndis_block_adopt(r.block, parent);
    return &r.block->nbl;
}

NET_BUFFER_LIST *NTAPI NdisAllocateCloneNetBufferList(NET_BUFFER_LIST *OriginalNetBufferList,
                                                      NDIS_HANDLE NetBufferListPoolHandle,
                                                      NDIS_HANDLE NetBufferPoolHandle,
                                                      ULONG AllocateCloneFlags)
{
    NET_BUFFER_LIST *clone;

    NT_IRQL_MAX(DISPATCH_LEVEL);
    NT_FAIL_NULL(NdisAllocateCloneNetBufferList);
    clone = ndis_nbl_clone(OriginalNetBufferList, NetBufferListPoolHandle, NetBufferPoolHandle, false,
                           NDIS_BY_NDIS, __builtin_return_address(0));
    if (clone != NULL && (AllocateCloneFlags & NDIS_CLONE_FLAGS_USE_ORIGINAL_MDLS) != 0) {
        const NET_BUFFER *from = OriginalNetBufferList->FirstNetBuffer;

        for (NET_BUFFER *nb = clone->FirstNetBuffer; nb != NULL; nb = nb->Next, from = from->Next) {
            nb->MdlChain = from->MdlChain; /* and what is in front of the data with it */
            nb->DataOffset = from->DataOffset;
            ndis_buffer_seek(nb);
        }
    }
    return clone;
}

VOID NTAPI NdisFreeCloneNetBufferList(NET_BUFFER_LIST *CloneNetBufferList, ULONG FreeCloneFlags)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    (void)FreeCloneFlags; /* how it was made is known */
    ndis_nbl_free(CloneNetBufferList, NDIS_MADE_CLONE, NDIS_BY_NDIS, __builtin_return_address(0));
}

/* ---- clones of stream data */

/* One list's part: of each buffer from *nb on, of the first one what is behind *skip. NULL: no memory. */
static NET_BUFFER_LIST *stream_part(struct ndis_block *parent, NET_BUFFER *from, uint32_t skip, size_t *left,
                                    NDIS_HANDLE list_pool, NDIS_HANDLE buffer_pool, const void *site)
{
    size_t buffers = 0, mdls = 0;
    struct room r;

    for (const NET_BUFFER *nb = from; nb != NULL; nb = nb->Next) {
        buffers++;
        mdls += mdls_of(nb);
    }
    if (!room_make(&r, buffers, mdls, 0))
        return NULL;
    for (const NET_BUFFER *nb = from; nb != NULL; nb = nb->Next, skip = 0) {
        const size_t there = nb->DataLength > skip ? nb->DataLength - skip : 0;
        const size_t size = there < *left ? there : *left;
        MDL *chain = NULL, **end = &chain;

        if (size == 0 && nb != from)
            break;
        if (share(&r, &end, nb, skip, size) == 0)
            room_mdl(&r, &end, (uint8_t *)r.block, 0);
        room_buffer(&r, chain, 0, size, buffer_pool);
        *left -= size;
    }
    finish(&r, NDIS_MADE_STREAM_CLONE, NDIS_BY_FWPS, list_pool, LEDGER_STREAM_CLONE, site);
    ndis_block_adopt(r.block, parent);
    return &r.block->nbl;
}

NTSTATUS ndis_stream_clone(NET_BUFFER_LIST *list, NET_BUFFER *nb, uint32_t skip, size_t size,
                           NDIS_HANDLE list_pool, NDIS_HANDLE buffer_pool, NET_BUFFER_LIST **out,
                           const void *site)
{
    NET_BUFFER_LIST *chain = NULL, **end = &chain;
    NTSTATUS status = STATUS_INVALID_PARAMETER;

    if (!pools_ok(list_pool, buffer_pool))
        return status;
    do {
        struct ndis_block *parent = ndis_block_of(list);

        if (parent == NULL)
            goto fail;
        *end = stream_part(parent, nb, skip, &size, list_pool, buffer_pool, site);
        if (*end == NULL) {
            status = STATUS_NO_MEMORY;
            goto fail;
        }
        end = &(*end)->Next;
        list = list->Next;
        nb = list != NULL ? list->FirstNetBuffer : NULL;
        skip = 0;
    } while (size != 0);
    *out = chain;
    return STATUS_SUCCESS;

fail:
    while (chain != NULL) {
        NET_BUFFER_LIST *next = chain->Next;

        ndis_nbl_free(chain, NDIS_MADE_CLONE, NDIS_BY_FWPS, site);
        chain = next;
    }
    return status;
}

/* ---- fragments ------------------------------------------------------------------------------------------
 */

NET_BUFFER_LIST *NTAPI NdisAllocateFragmentNetBufferList(NET_BUFFER_LIST *OriginalNetBufferList,
                                                         NDIS_HANDLE NetBufferListPool,
                                                         NDIS_HANDLE NetBufferPool, ULONG StartOffset,
                                                         ULONG MaximumLength, ULONG DataOffsetDelta,
                                                         ULONG DataBackFill, ULONG AllocateFragmentFlags)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    NT_FAIL_NULL(NdisAllocateFragmentNetBufferList);
    struct ndis_block *parent = ndis_block_of(OriginalNetBufferList);
    size_t buffers = 0, mdls = 0;
    struct room r;

    if (parent == NULL || MaximumLength == 0 || AllocateFragmentFlags != 0 ||
        !pools_ok(NetBufferListPool, NetBufferPool))
        return NULL;
    for (const NET_BUFFER *nb = OriginalNetBufferList->FirstNetBuffer; nb != NULL; nb = nb->Next) {
        const size_t left = nb->DataLength > StartOffset ? nb->DataLength - StartOffset : 0;
        const size_t pieces = (left + MaximumLength - 1) / MaximumLength;

        buffers += pieces;
        mdls += mdls_of(nb) + pieces; /* each cut divides one more */
    }
    if (buffers == 0 || !room_make(&r, buffers, mdls, 0))
        return NULL;
    finish(&r, NDIS_MADE_FRAGMENT, NDIS_BY_NDIS, NetBufferListPool, LEDGER_NBL, __builtin_return_address(0));
    ndis_block_adopt(r.block, parent);
    for (const NET_BUFFER *nb = OriginalNetBufferList->FirstNetBuffer; nb != NULL; nb = nb->Next)
        for (size_t at = StartOffset; at < nb->DataLength; at += MaximumLength) {
            const size_t left = nb->DataLength - at, size = left < MaximumLength ? left : MaximumLength;
            MDL *chain = NULL, **end = &chain;

            share(&r, &end, nb, at, size);
            room_buffer(&r, chain, 0, size, NetBufferPool);
        }
    if (DataOffsetDelta != 0 &&
        ndis_retreat_list(&r.block->nbl, DataOffsetDelta, DataBackFill, NULL, NULL) != NDIS_STATUS_SUCCESS) {
        ndis_nbl_free(&r.block->nbl, NDIS_MADE_FRAGMENT, NDIS_BY_NDIS, __builtin_return_address(0));
        return NULL;
    }
    return &r.block->nbl;
}

VOID NTAPI NdisFreeFragmentNetBufferList(NET_BUFFER_LIST *FragmentNetBufferList, ULONG DataOffsetDelta,
                                         ULONG FreeFragmentFlags)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    (void)DataOffsetDelta; /* what retreats put in front goes with the list */
    (void)FreeFragmentFlags;
    ndis_nbl_free(FragmentNetBufferList, NDIS_MADE_FRAGMENT, NDIS_BY_NDIS, __builtin_return_address(0));
}

/* ---- reassembly ------------------------------------------------------------------------------------------
 */

/* skip_first: of the first NET_BUFFER, skip: of the others. */
static NET_BUFFER_LIST *reassemble(NET_BUFFER_LIST *chain, NDIS_HANDLE pool, uint32_t skip_first,
                                   uint32_t skip, enum ndis_by by, const void *site)
{
    size_t lists = 0, mdls = 0, length = 0;
    bool first = true;
    struct room r;
    MDL *made = NULL, **end = &made;
    struct ndis_pool *p = pool != NULL ? ndis_pool_of(pool, POOL_OF_LISTS) : NULL;

    if (pool != NULL && (p == NULL || !p->with_buffer || p->data_size != 0))
        return NULL;
    for (NET_BUFFER_LIST *l = chain; l != NULL; l = l->Next) {
        if (ndis_block_of(l) == NULL)
            return NULL;
        lists++;
        for (const NET_BUFFER *nb = l->FirstNetBuffer; nb != NULL; nb = nb->Next)
            mdls += mdls_of(nb);
    }
    if (lists == 0 || !room_make(&r, 1, mdls + 1, lists * sizeof(struct ndis_block *)))
        return NULL;
    finish(&r, NDIS_MADE_REASSEMBLED, by, pool, LEDGER_NBL, site);
    r.block->parents = (struct ndis_block **)r.more;
    for (NET_BUFFER_LIST *l = chain; l != NULL; l = l->Next) {
        struct ndis_block *parent = ndis_block_of(l);

        if (r.block->parent_count == 0) {
            r.block->history = ndis_history_ref(parent->history);
            r.block->origin = ndis_origin_ref(parent->origin);
        }
        ndis_block_ref(parent);
        r.block->parents[r.block->parent_count++] = parent;
        for (const NET_BUFFER *nb = l->FirstNetBuffer; nb != NULL; nb = nb->Next, first = false) {
            const uint32_t off = first ? skip_first : skip;

            if (nb->DataLength > off)
                length += share(&r, &end, nb, off, nb->DataLength - off);
        }
    }
    if (made == NULL)
        room_mdl(&r, &end, (uint8_t *)r.block, 0);
    room_buffer(&r, made, 0, length, pool);
    return &r.block->nbl;
}

/* The list with so many bytes more in front; NULL: there is no memory for them, and the list is gone. */
static NET_BUFFER_LIST *with_front(NET_BUFFER_LIST *nbl, uint32_t front, uint32_t back_fill, enum ndis_by by,
                                   const void *site)
{
    if (nbl != NULL && front != 0 &&
        ndis_retreat(nbl->FirstNetBuffer, front, back_fill, NULL) != NDIS_STATUS_SUCCESS) {
        ndis_nbl_free(nbl, NDIS_MADE_REASSEMBLED, by, site);
        nbl = NULL;
    }
    return nbl;
}

NET_BUFFER_LIST *ndis_nbl_reassemble(NET_BUFFER_LIST *chain, NDIS_HANDLE pool, uint32_t start_offset,
                                     uint32_t data_offset_delta, uint32_t back_fill, enum ndis_by by,
                                     const void *site)
{
    return with_front(reassemble(chain, pool, start_offset, start_offset, by, site), data_offset_delta,
                      back_fill, by, site);
}

NET_BUFFER_LIST *ndis_nbl_join(NET_BUFFER_LIST *chain, NDIS_HANDLE pool, uint32_t skip_first, uint32_t skip,
                               uint32_t front, uint32_t back_fill, const void *site)
{
    return with_front(reassemble(chain, pool, skip_first, skip, NDIS_BY_FWPS, site), front, back_fill,
                      NDIS_BY_FWPS, site);
}

NET_BUFFER_LIST *NTAPI NdisAllocateReassembledNetBufferList(NET_BUFFER_LIST *FragmentNetBufferList,
                                                            NDIS_HANDLE NetBufferAndNetBufferListPoolHandle,
                                                            ULONG StartOffset, ULONG DataOffsetDelta,
                                                            ULONG DataBackFill, ULONG AllocateReassembleFlags)
{
    NET_BUFFER_LIST *next, *nbl;

    NT_IRQL_MAX(DISPATCH_LEVEL);
    NT_FAIL_NULL(NdisAllocateReassembledNetBufferList);
    if (FragmentNetBufferList == NULL || AllocateReassembleFlags != 0)
        return NULL;
    next = FragmentNetBufferList->Next; /* the NET_BUFFERs of one list, whatever it is linked with */
    FragmentNetBufferList->Next = NULL;
    nbl = ndis_nbl_reassemble(FragmentNetBufferList, NetBufferAndNetBufferListPoolHandle, StartOffset,
                              DataOffsetDelta, DataBackFill, NDIS_BY_NDIS, __builtin_return_address(0));
    FragmentNetBufferList->Next = next;
    return nbl;
}

VOID NTAPI NdisFreeReassembledNetBufferList(NET_BUFFER_LIST *ReassembledNetBufferList, ULONG DataOffsetDelta,
                                            ULONG FreeReassembleFlags)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    (void)DataOffsetDelta;
    (void)FreeReassembleFlags;
    ndis_nbl_free(ReassembledNetBufferList, NDIS_MADE_REASSEMBLED, NDIS_BY_NDIS, __builtin_return_address(0));
}
