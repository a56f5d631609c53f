/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pools, and what drivers allocate from them: NET_BUFFER_LISTs of their own, NET_BUFFERs.
 *
 * A pool is a mark, parameters and a count; memory comes from the C library, a list with all that belongs to
 * it (context area, NET_BUFFER, MDL, data) in one piece. A pool that is freed while something of it lives is
 * a finding, and is kept.
 *
 * Any thread, IRQL <= DISPATCH_LEVEL.
 */
#include <stdlib.h>
#include <string.h>

#include "ledger/ledger.h"
#include "ndis/inside.h"
#include "nt/fault.h"
#include "nt/irql.h"
#include "rt/alone.h"

#define POOL_MARK   0x57454952504f4f4cull
#define BUFFER_MARK 0x57454952204e4220ull

/* ---- pools */

struct ndis_pool *ndis_pool_of(NDIS_HANDLE handle, enum pool_kind kind)
{
    struct ndis_pool *p = handle;

    return p != NULL && p->mark == POOL_MARK && p->kind == kind ? p : NULL;
}

static struct ndis_pool *pool_make(enum pool_kind kind, ULONG tag, uint32_t data_size, const void *site)
{
    struct ndis_pool *p = calloc(1, sizeof(*p));

    if (p == NULL)
        return NULL;
    p->mark = POOL_MARK;
    p->kind = kind;
    p->tag = tag;
    p->data_size = data_size;
    ledger_open(LEDGER_NBL_POOL, (uintptr_t)p, 0, NULL, site);
    return p;
}

static bool header_ok(const NDIS_OBJECT_HEADER *h, UCHAR revision, USHORT size)
{
    return h->Type == NDIS_OBJECT_TYPE_DEFAULT && h->Revision >= revision && h->Size >= size;
}

NDIS_HANDLE NTAPI NdisAllocateNetBufferListPool(NDIS_HANDLE NdisHandle,
                                                NET_BUFFER_LIST_POOL_PARAMETERS const *Parameters)
{
    struct ndis_pool *p;

    NT_IRQL_MAX(DISPATCH_LEVEL);
    NT_FAIL_NULL(NdisAllocateNetBufferListPool);
    (void)NdisHandle;
    if (Parameters == NULL ||
        !header_ok(&Parameters->Header, NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
                   NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1) ||
        Parameters->ContextSize % MEMORY_ALLOCATION_ALIGNMENT != 0 ||
        (Parameters->DataSize != 0 && !Parameters->fAllocateNetBuffer))
        return NULL;
    p = pool_make(POOL_OF_LISTS, Parameters->PoolTag, Parameters->DataSize, __builtin_return_address(0));
    if (p == NULL)
        return NULL;
    p->with_buffer = Parameters->fAllocateNetBuffer;
    p->context_size = Parameters->ContextSize;
    p->protocol = Parameters->ProtocolId;
    return p;
}

NDIS_HANDLE NTAPI NdisAllocateNetBufferPool(NDIS_HANDLE NdisHandle,
                                            NET_BUFFER_POOL_PARAMETERS const *Parameters)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    NT_FAIL_NULL(NdisAllocateNetBufferPool);
    (void)NdisHandle;
    if (Parameters == NULL ||
        !header_ok(&Parameters->Header, 1, NDIS_SIZEOF_NET_BUFFER_POOL_PARAMETERS_REVISION_1))
        return NULL;
    return pool_make(POOL_OF_BUFFERS, Parameters->PoolTag, Parameters->DataSize, __builtin_return_address(0));
}

static void pool_free(NDIS_HANDLE handle, enum pool_kind kind, const void *site)
{
    struct ndis_pool *p;

    if (!ledger_close(LEDGER_NBL_POOL, (uintptr_t)handle, site))
        return;
    p = ndis_pool_of(handle, kind);
    if (p == NULL) {
        ledger_report(LEDGER_BUGCHECK, site, "a pool was freed that is not one of this kind");
        return;
    }
    if (__atomic_load_n(&p->live, __ATOMIC_ACQUIRE) != 0) {
        ledger_report(LEDGER_BUGCHECK, site, "a pool was freed of which something is still in use");
        return;
    }
    p->mark = 0;
    free(p);
}

VOID NTAPI NdisFreeNetBufferListPool(NDIS_HANDLE PoolHandle)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    pool_free(PoolHandle, POOL_OF_LISTS, __builtin_return_address(0));
}

VOID NTAPI NdisFreeNetBufferPool(NDIS_HANDLE PoolHandle)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    pool_free(PoolHandle, POOL_OF_BUFFERS, __builtin_return_address(0));
}

NDIS_HANDLE NTAPI NdisGetPoolFromNetBufferList(NET_BUFFER_LIST *NetBufferList)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return NetBufferList->NdisPoolHandle;
}

NDIS_HANDLE NTAPI NdisGetPoolFromNetBuffer(NET_BUFFER *NetBuffer)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return NetBuffer->NdisPoolHandle;
}

/* ---- lists -----------------------------------------------------------------------------------------------
 */

#define ALIGNED(n) (((n) + MEMORY_ALLOCATION_ALIGNMENT - 1) & ~(size_t)(MEMORY_ALLOCATION_ALIGNMENT - 1))

NET_BUFFER_LIST *ndis_nbl_own(NDIS_HANDLE pool, uint16_t context_size, uint16_t context_back_fill,
                              bool with_buffer, MDL *mdls, uint32_t data_offset, size_t data_length,
                              enum ndis_by by, const void *site)
{
    struct ndis_pool *p = ndis_pool_of(pool, POOL_OF_LISTS);
    size_t context, size = ALIGNED(sizeof(struct ndis_block)), at;
    const uint32_t back_fill = context_back_fill + (p != NULL ? p->context_size : 0u);
    struct ndis_block *b;
    NET_BUFFER *nb;

    if (p == NULL || context_size % MEMORY_ALLOCATION_ALIGNMENT != 0 ||
        context_back_fill % MEMORY_ALLOCATION_ALIGNMENT != 0 || back_fill + context_size > UINT16_MAX ||
        (with_buffer && (!p->with_buffer || p->data_size != 0)))
        return NULL;
    at = size;
    context = back_fill + context_size != 0 ? ndis_context_room(back_fill + context_size) : 0;
    size += context;
    if (p->with_buffer)
        size += ALIGNED(sizeof(NET_BUFFER)) + (p->data_size != 0 ? ALIGNED(sizeof(MDL)) + p->data_size : 0);
    b = calloc(1, size);
    if (b == NULL)
        return NULL;
    ndis_block_begin(b, NDIS_MADE_OWN, by, p);
    if (context != 0)
        ndis_context_put(&b->nbl, (char *)b + at, context_size, (uint16_t)back_fill);
    at += context;
    if (p->protocol != 0)
        NdisSetNetBufferListProtocolId(&b->nbl, p->protocol);
    if (p->with_buffer) {
        nb = (NET_BUFFER *)((char *)b + at);
        at += ALIGNED(sizeof(NET_BUFFER));
        if (p->data_size != 0) {
            mdls = (MDL *)((char *)b + at);
            ndis_mdl_describe(mdls, (uint8_t *)b + at + ALIGNED(sizeof(MDL)), p->data_size);
        }
        ndis_buffer_begin(nb, mdls, data_offset, data_length, p);
        b->nbl.FirstNetBuffer = b->buffers = nb;
        b->buffer_count = 1;
    }
    (void)rt_add(&p->live, 1, __ATOMIC_RELAXED);
    ledger_open(LEDGER_NBL, (uintptr_t)&b->nbl, 0, NULL, site);
    return &b->nbl;
}

bool ndis_nbl_pool_fits(NDIS_HANDLE pool)
{
    const struct ndis_pool *p = ndis_pool_of(pool, POOL_OF_LISTS);

    return p != NULL && p->with_buffer && p->data_size == 0;
}

NET_BUFFER_LIST *NTAPI NdisAllocateNetBufferList(NDIS_HANDLE PoolHandle, USHORT ContextSize,
                                                 USHORT ContextBackFill)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    NT_FAIL_NULL(NdisAllocateNetBufferList);
    return ndis_nbl_own(PoolHandle, ContextSize, ContextBackFill, false, NULL, 0, 0, NDIS_BY_NDIS,
                        __builtin_return_address(0));
}

NET_BUFFER_LIST *NTAPI NdisAllocateNetBufferAndNetBufferList(NDIS_HANDLE PoolHandle, USHORT ContextSize,
                                                             USHORT ContextBackFill, MDL *MdlChain,
                                                             ULONG DataOffset, SIZE_T DataLength)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    NT_FAIL_NULL(NdisAllocateNetBufferAndNetBufferList);
    return ndis_nbl_own(PoolHandle, ContextSize, ContextBackFill, true, MdlChain, DataOffset, DataLength,
                        NDIS_BY_NDIS, __builtin_return_address(0));
}

VOID NTAPI NdisFreeNetBufferList(NET_BUFFER_LIST *NetBufferList)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    ndis_nbl_free(NetBufferList, NDIS_MADE_OWN, NDIS_BY_NDIS, __builtin_return_address(0));
}

/* ---- NET_BUFFERs */

struct loose_buffer {
    NET_BUFFER nb;
    MDL mdl;
};

static NET_BUFFER *buffer_make(NDIS_HANDLE pool, bool with_data, MDL *mdls, uint32_t offset, size_t length,
                               const void *site)
{
    struct ndis_pool *p = ndis_pool_of(pool, POOL_OF_BUFFERS);
    const size_t head = ALIGNED(sizeof(struct loose_buffer));
    struct loose_buffer *l;

    if (p == NULL || with_data != (p->data_size != 0))
        return NULL;
    l = calloc(1, head + p->data_size);
    if (l == NULL)
        return NULL;
    if (with_data) {
        mdls = &l->mdl;
        ndis_mdl_describe(mdls, (uint8_t *)l + head, p->data_size);
    }
    ndis_buffer_begin(&l->nb, mdls, offset, length, p);
    l->nb.NdisReserved[0] = (PVOID)(uintptr_t)(BUFFER_MARK ^ (uintptr_t)&l->nb);
    (void)rt_add(&p->live, 1, __ATOMIC_RELAXED);
    ledger_open(LEDGER_NET_BUFFER, (uintptr_t)&l->nb, 0, NULL, site);
    return &l->nb;
}

NET_BUFFER *NTAPI NdisAllocateNetBuffer(NDIS_HANDLE PoolHandle, MDL *MdlChain, ULONG DataOffset,
                                        SIZE_T DataLength)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    NT_FAIL_NULL(NdisAllocateNetBuffer);
    return buffer_make(PoolHandle, false, MdlChain, DataOffset, DataLength, __builtin_return_address(0));
}

NET_BUFFER *NTAPI NdisAllocateNetBufferMdlAndData(NDIS_HANDLE PoolHandle)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    NT_FAIL_NULL(NdisAllocateNetBufferMdlAndData);
    return buffer_make(PoolHandle, true, NULL, 0, 0, __builtin_return_address(0));
}

VOID NTAPI NdisFreeNetBuffer(NET_BUFFER *NetBuffer)
{
    struct ndis_pool *p;

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (!ledger_close(LEDGER_NET_BUFFER, (uintptr_t)NetBuffer, __builtin_return_address(0)))
        return;
    if ((uintptr_t)NetBuffer->NdisReserved[0] != (uintptr_t)(BUFFER_MARK ^ (uintptr_t)NetBuffer)) {
        ledger_report(LEDGER_BUGCHECK, __builtin_return_address(0),
                      "NdisFreeNetBuffer: a NET_BUFFER that belongs to its list, or is not there");
        return;
    }
    ndis_buffer_end(NetBuffer);
    p = NetBuffer->NdisPoolHandle;
    NetBuffer->NdisReserved[0] = NULL;
    (void)rt_sub(&p->live, 1, __ATOMIC_RELEASE);
    free(NetBuffer);
}
