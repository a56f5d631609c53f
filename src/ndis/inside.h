/* SPDX-License-Identifier: Apache-2.0 */
/* ndis' inside: what stands around a NET_BUFFER_LIST and a NET_BUFFER, and who may touch it. */
#ifndef WEIR_NDIS_INSIDE_H
#define WEIR_NDIS_INSIDE_H

#include <string.h>

#include "ndis/nbl.h"
#include "nt/mdl.h"

/* ---- pools (pool.c) -------------------------------------------------------------------------------------
 */
enum pool_kind { POOL_OF_LISTS, POOL_OF_BUFFERS };
struct ndis_pool {
    uint64_t mark;
    enum pool_kind kind;
    bool with_buffer;      /* each list with a NET_BUFFER */
    uint16_t context_size; /* each list with so much */
    uint32_t data_size;    /* each buffer with so much data */
    ULONG tag;
    UCHAR protocol;
    uint32_t live; /* of what came from it */
};
/* The pool behind a handle; NULL: none, or of the other kind. */
struct ndis_pool *ndis_pool_of(NDIS_HANDLE handle, enum pool_kind kind);

/* By the C library, which is faster here than what GCC would write in its place (rep stos); and of a block of malloc()'s GCC
 * would make calloc(), which passes the thread's own free blocks by. */
static inline void ndis_clear(void *at, size_t size)
{
    __asm__("" : "+r"(size));
    memset(at, 0, size);
}

/* ---- lists (nbl.c) ---------------------------------------------------------------------------------------
 */
/*
 * references: one of the owner (driver, or walk), one of each child, one of each driver's reference. What is
 * below the line is the owner's thread's.
 */
struct ndis_block {
    uint32_t references;
    uint32_t holds; /* of the references, those of drivers */
    bool modify;
    /* ---- */
    uint8_t made, by;
    bool lent_origin, lent_history; /* not a reference: who lent it keeps it for as long as this needs it */
    struct ndis_pool *pool;
    struct ndis_block *parent;
    struct ndis_block **parents; /* a reassembled one's: all that it shows data of */
    uint32_t parent_count;
    struct ndis_history *history;
    struct ndis_origin *origin;
    struct ndis_tag *tags;
    NET_BUFFER *buffers; /* that came with it */
    uint32_t buffer_count;
    void (*release)(struct ndis_block *b); /* the last reference went; NULL: free() */
    NET_BUFFER_LIST nbl;
};
struct ndis_block *ndis_block_of(const NET_BUFFER_LIST *nbl); /* NULL: nobody's, or gone */
/* Writes its list: marks, pool. One reference. Everything else is zero already. */
void ndis_block_begin(struct ndis_block *b, enum ndis_made made, enum ndis_by by, struct ndis_pool *pool);
void ndis_block_ref(struct ndis_block *b);
void ndis_block_unref(struct ndis_block *b);
/* It is a child of `parent` from now on. */
void ndis_block_adopt(struct ndis_block *b, struct ndis_block *parent);
/* What it holds of others is let go; a frame's, which is used again. */
void ndis_block_strip(struct ndis_block *b);

void ndis_origin_gone(struct ndis_origin *o); /* frame.c: its last reference went */

/* ---- buffers (data.c) ------------------------------------------------------------------------------------
 */
/* Writes a NET_BUFFER over the chain; the rest of it is zero already. */
void ndis_buffer_begin(NET_BUFFER *nb, MDL *chain, uint32_t offset, size_t length, NDIS_HANDLE pool);
/* Frees the MDLs that retreats put in front and no advance took away. */
void ndis_buffer_end(NET_BUFFER *nb);
/* Points CurrentMdl at DataOffset; past the last byte: behind it. */
void ndis_buffer_seek(NET_BUFFER *nb);
/* Describes mapped memory. */
static inline void ndis_mdl_describe(MDL *mdl, uint8_t *bytes, uint32_t size)
{
    const uintptr_t at = (uintptr_t)bytes;

    *mdl = (MDL){
        .Size = sizeof(*mdl),
        .MdlFlags = MDL_MAPPED_TO_SYSTEM_VA | MDL_SOURCE_IS_NONPAGED_POOL,
        .MappedSystemVa = bytes,
        .StartVa = bytes - at % PAGE_SIZE,
        .ByteCount = size,
        .ByteOffset = (ULONG)(at % PAGE_SIZE),
    };
}
static inline uint8_t *ndis_mdl_bytes(MDL *mdl)
{
    return mm_mdl_map(mdl);
}

/* NdisRetreatNetBuffer(List)DataStart() (data.c). */
NDIS_STATUS ndis_retreat(NET_BUFFER *nb, ULONG delta, ULONG back_fill,
                         NET_BUFFER_ALLOCATE_MDL_HANDLER allocate);
NDIS_STATUS ndis_retreat_list(NET_BUFFER_LIST *nbl, ULONG delta, ULONG back_fill,
                              NET_BUFFER_ALLOCATE_MDL_HANDLER allocate, NET_BUFFER_FREE_MDL_HANDLER release);

/* ---- context areas (info.c) */
size_t ndis_context_room(uint32_t size); /* bytes that an area takes inside a block */
void ndis_context_put(NET_BUFFER_LIST *nbl, void *room, uint16_t size, uint16_t back_fill);
void ndis_contexts_end(NET_BUFFER_LIST *nbl); /* those that were allocated apart */

#endif
