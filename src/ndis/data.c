/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data of a NET_BUFFER: where it starts, what stands in it.
 *
 *   MdlChain                    CurrentMdl
 *      |                            |
 *   [ MDL 0 ........ ][ MDL 1 .. ][ MDL 2 ........ ][ MDL 3 ]
 *   |<-- DataOffset ------------------->|<-- DataLength --->|
 *                                 |<--->| CurrentMdlOffset
 *
 * A retreat beyond the chain's beginning puts an MDL in front; an advance that is asked to takes away those
 * that retreats put there, when nothing of them is used any more. Which ones these are is kept in a list that
 * hangs at the NET_BUFFER's reserved word: an MDL in front of others may be anybody's.
 */
#include <stdlib.h>
#include <string.h>

#include "ledger/ledger.h"
#include "ndis/inside.h"
#include "nt/fault.h"
#include "nt/irql.h"
#include "nt/mdl.h"

/* An MDL that a retreat put in front, newest first. */
struct front {
    struct front *next;
    MDL *mdl;
    bool by_handler;
};

static struct front *fronts(const NET_BUFFER *nb)
{
    return nb->NdisReserved[1];
}

void ndis_buffer_begin(NET_BUFFER *nb, MDL *chain, uint32_t offset, size_t length, NDIS_HANDLE pool)
{
    nb->MdlChain = chain;
    nb->DataOffset = offset;
    nb->stDataLength = length;
    nb->NdisPoolHandle = pool;
    nb->NdisReserved[1] = NULL;
    ndis_buffer_seek(nb);
}

void ndis_buffer_end(NET_BUFFER *nb)
{
    struct front *f = fronts(nb);

    nb->NdisReserved[1] = NULL;
    while (f != NULL) {
        struct front *next = f->next;

        if (!f->by_handler)
            mm_mdl_free(f->mdl);
        free(f);
        f = next;
    }
}

void ndis_buffer_seek(NET_BUFFER *nb)
{
    MDL *mdl = nb->MdlChain;
    ULONG left = nb->DataOffset;

    while (mdl != NULL && left >= mdl->ByteCount && mdl->Next != NULL) {
        left -= mdl->ByteCount;
        mdl = mdl->Next;
    }
    nb->CurrentMdl = mdl;
    nb->CurrentMdlOffset = mdl != NULL ? left : 0;
}

/* ---- data starts */

/* An MDL over zeros of its own. */
static MDL *mdl_with_data(uint32_t size)
{
    MDL *mdl = mm_mdl_make(NULL, size + PAGE_SIZE, size, NULL); /* a frame more: the data start anywhere */
    uint8_t *bytes;
    CSHORT whole;

    if (mdl == NULL)
        return NULL;
    bytes = mm_mdl_behind(mdl);
    whole = mdl->Size;
    ndis_mdl_describe(mdl, bytes, size);
    mdl->Size = whole;
    return mdl;
}

/* Do the data begin in the first MDL, and may they begin at `offset` of it? Then nothing has to be sought. */
static inline bool begins_within(const NET_BUFFER *nb, ULONG offset)
{
    return nb->CurrentMdl == nb->MdlChain && nb->CurrentMdl != NULL &&
           nb->CurrentMdlOffset == nb->DataOffset && offset < nb->CurrentMdl->ByteCount;
}

static inline void begin_within(NET_BUFFER *nb, ULONG offset, ULONG length)
{
    nb->DataOffset = nb->CurrentMdlOffset = offset;
    nb->DataLength = length;
}

NDIS_STATUS ndis_retreat(NET_BUFFER *NetBuffer, ULONG DataOffsetDelta, ULONG DataBackFill,
                         NET_BUFFER_ALLOCATE_MDL_HANDLER AllocateMdlHandler)
{
    NET_BUFFER *nb = NetBuffer;
    ULONG size = DataOffsetDelta + DataBackFill;
    struct front *f;

    if (DataOffsetDelta <= nb->DataOffset) {
        nb->DataOffset -= DataOffsetDelta;
        nb->DataLength += DataOffsetDelta;
        ndis_buffer_seek(nb);
        return NDIS_STATUS_SUCCESS;
    }
    if (size < DataOffsetDelta || nb->DataLength + DataOffsetDelta < DataOffsetDelta)
        return NDIS_STATUS_FAILURE;
    f = malloc(sizeof(*f));
    if (f == NULL)
        return NDIS_STATUS_RESOURCES;
    *f = (struct front){.next = fronts(nb), .by_handler = AllocateMdlHandler != NULL};
    f->mdl = f->by_handler ? AllocateMdlHandler(&size) : mdl_with_data(size);
    if (f->mdl == NULL || f->mdl->ByteCount < DataOffsetDelta - nb->DataOffset) {
        free(f);
        return NDIS_STATUS_RESOURCES;
    }
    f->mdl->Next = nb->MdlChain;
    nb->MdlChain = f->mdl;
    nb->NdisReserved[1] = f;
    nb->DataOffset += f->mdl->ByteCount - DataOffsetDelta;
    nb->DataLength += DataOffsetDelta;
    ndis_buffer_seek(nb);
    return NDIS_STATUS_SUCCESS;
}

NDIS_STATUS NTAPI NdisRetreatNetBufferDataStart(NET_BUFFER *NetBuffer, ULONG DataOffsetDelta,
                                                ULONG DataBackFill,
                                                NET_BUFFER_ALLOCATE_MDL_HANDLER AllocateMdlHandler)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    NT_FAIL_STATUS(NdisRetreatNetBufferDataStart);
    if (__builtin_expect(DataOffsetDelta <= NetBuffer->DataOffset &&
                             begins_within(NetBuffer, NetBuffer->DataOffset - DataOffsetDelta),
                         1)) {
        begin_within(NetBuffer, NetBuffer->DataOffset - DataOffsetDelta,
                     NetBuffer->DataLength + DataOffsetDelta);
        return NDIS_STATUS_SUCCESS;
    }
    return ndis_retreat(NetBuffer, DataOffsetDelta, DataBackFill, AllocateMdlHandler);
}

static __attribute__((noinline)) void advance(NET_BUFFER *nb, ULONG DataOffsetDelta, BOOLEAN FreeMdl,
                                              NET_BUFFER_FREE_MDL_HANDLER FreeMdlHandler, const void *site)
{
    struct front *f;

    if (DataOffsetDelta > nb->DataLength) {
        ledger_report(LEDGER_BUGCHECK, site, "NdisAdvanceNetBufferDataStart beyond the end of the data");
        return;
    }
    nb->DataOffset += DataOffsetDelta;
    nb->DataLength -= DataOffsetDelta;
    while (FreeMdl && (f = fronts(nb)) != NULL && f->mdl == nb->MdlChain &&
           nb->DataOffset >= f->mdl->ByteCount && !(f->by_handler && FreeMdlHandler == NULL)) {
        nb->MdlChain = f->mdl->Next;
        nb->DataOffset -= f->mdl->ByteCount;
        nb->NdisReserved[1] = f->next;
        if (f->by_handler)
            FreeMdlHandler(f->mdl);
        else
            mm_mdl_free(f->mdl);
        free(f);
    }
    ndis_buffer_seek(nb);
}

VOID NTAPI NdisAdvanceNetBufferDataStart(NET_BUFFER *NetBuffer, ULONG DataOffsetDelta, BOOLEAN FreeMdl,
                                         NET_BUFFER_FREE_MDL_HANDLER FreeMdlHandler)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (__builtin_expect(!FreeMdl && DataOffsetDelta <= NetBuffer->DataLength &&
                             begins_within(NetBuffer, NetBuffer->DataOffset + DataOffsetDelta),
                         1))
        begin_within(NetBuffer, NetBuffer->DataOffset + DataOffsetDelta,
                     NetBuffer->DataLength - DataOffsetDelta);
    else
        advance(NetBuffer, DataOffsetDelta, FreeMdl, FreeMdlHandler, __builtin_return_address(0));
}

NDIS_STATUS ndis_retreat_list(NET_BUFFER_LIST *NetBufferList, ULONG DataOffsetDelta, ULONG DataBackFill,
                              NET_BUFFER_ALLOCATE_MDL_HANDLER AllocateMdlHandler,
                              NET_BUFFER_FREE_MDL_HANDLER FreeMdlHandler)
{
    for (NET_BUFFER *nb = NetBufferList->FirstNetBuffer; nb != NULL; nb = nb->Next) {
        NDIS_STATUS status = ndis_retreat(nb, DataOffsetDelta, DataBackFill, AllocateMdlHandler);

        if (status == NDIS_STATUS_SUCCESS)
            continue;
        for (NET_BUFFER *done = NetBufferList->FirstNetBuffer; done != nb; done = done->Next)
            NdisAdvanceNetBufferDataStart(done, DataOffsetDelta, TRUE, FreeMdlHandler);
        return status;
    }
    return NDIS_STATUS_SUCCESS;
}

NDIS_STATUS NTAPI NdisRetreatNetBufferListDataStart(NET_BUFFER_LIST *NetBufferList, ULONG DataOffsetDelta,
                                                    ULONG DataBackFill,
                                                    NET_BUFFER_ALLOCATE_MDL_HANDLER AllocateMdlHandler,
                                                    NET_BUFFER_FREE_MDL_HANDLER FreeMdlHandler)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    NT_FAIL_STATUS(NdisRetreatNetBufferListDataStart);
    return ndis_retreat_list(NetBufferList, DataOffsetDelta, DataBackFill, AllocateMdlHandler,
                             FreeMdlHandler);
}

VOID NTAPI NdisAdvanceNetBufferListDataStart(NET_BUFFER_LIST *NetBufferList, ULONG DataOffsetDelta,
                                             BOOLEAN FreeMdl, NET_BUFFER_FREE_MDL_HANDLER FreeMdlHandler)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    for (NET_BUFFER *nb = NetBufferList->FirstNetBuffer; nb != NULL; nb = nb->Next)
        NdisAdvanceNetBufferDataStart(nb, DataOffsetDelta, FreeMdl, FreeMdlHandler);
}

VOID NTAPI NdisAdjustNetBufferCurrentMdl(NET_BUFFER *NetBuffer)
{
    ndis_buffer_seek(NetBuffer);
}

/* ---- reading and writing */

static bool aligned(const uint8_t *p, ULONG multiple, ULONG offset)
{
    return multiple <= 1 || ((uintptr_t)p - offset) % multiple == 0;
}

static __attribute__((noinline)) PVOID get_slowly(NET_BUFFER *NetBuffer, ULONG BytesNeeded, PVOID Storage,
                                                  ULONG AlignMultiple, ULONG AlignOffset, const void *site)
{
    MDL *mdl;
    ULONG skip;

    nt_irql_at_most(DISPATCH_LEVEL, "NdisGetDataBuffer", site);
    if (nt_fails(NT_FALLIBLE_NdisGetDataBuffer, site, NULL))
        return NULL;
    mdl = NetBuffer->CurrentMdl;
    skip = NetBuffer->CurrentMdlOffset;
    if (NetBuffer->DataLength < BytesNeeded || mdl == NULL)
        return NULL;
    while (skip >= mdl->ByteCount && mdl->Next != NULL) {
        skip -= mdl->ByteCount;
        mdl = mdl->Next;
    }
    if (skip <= mdl->ByteCount && mdl->ByteCount - skip >= BytesNeeded) {
        uint8_t *at = ndis_mdl_bytes(mdl) + skip;

        if (aligned(at, AlignMultiple, AlignOffset))
            return at;
    }
    if (Storage == NULL || ndis_nb_read(NetBuffer, 0, Storage, BytesNeeded) != BytesNeeded)
        return NULL;
    return Storage;
}

/* Nearly always all that is asked for stands in the present MDL, at any address. */
PVOID NTAPI NdisGetDataBuffer(NET_BUFFER *NetBuffer, ULONG BytesNeeded, PVOID Storage, ULONG AlignMultiple,
                              ULONG AlignOffset)
{
    if (__builtin_expect(rt_carried()->irql <= DISPATCH_LEVEL && nt_fails_never() && AlignMultiple <= 1, 1)) {
        MDL *mdl = NetBuffer->CurrentMdl;
        const ULONG skip = NetBuffer->CurrentMdlOffset;

        if (__builtin_expect(mdl != NULL && NetBuffer->DataLength >= BytesNeeded && skip < mdl->ByteCount &&
                                 mdl->ByteCount - skip >= BytesNeeded,
                             1))
            return ndis_mdl_bytes(mdl) + skip;
    }
    return get_slowly(NetBuffer, BytesNeeded, Storage, AlignMultiple, AlignOffset,
                      __builtin_return_address(0));
}

/* Walks `size` bytes of the data from `at` on, piece by piece. */
struct walk {
    MDL *mdl;
    size_t skip, left;
};

static struct walk walk_begin(const NET_BUFFER *nb, size_t at, size_t size, bool beyond)
{
    struct walk w = {.mdl = nb->CurrentMdl, .skip = nb->CurrentMdlOffset + at, .left = size};

    if (!beyond)
        w.left = at >= nb->DataLength ? 0 : size < nb->DataLength - at ? size : nb->DataLength - at;
    return w;
}

/* The next piece; 0: no more. */
static size_t walk_next(struct walk *w, uint8_t **bytes)
{
    size_t part;

    while (w->mdl != NULL && w->skip >= w->mdl->ByteCount) {
        w->skip -= w->mdl->ByteCount;
        w->mdl = w->mdl->Next;
    }
    if (w->mdl == NULL || w->left == 0)
        return 0;
    part = w->mdl->ByteCount - w->skip;
    part = part < w->left ? part : w->left;
    *bytes = ndis_mdl_bytes(w->mdl) + w->skip;
    w->skip += part;
    w->left -= part;
    return part;
}

size_t ndis_nb_read(const NET_BUFFER *nb, size_t at, void *out, size_t size)
{
    struct walk w = walk_begin(nb, at, size, false);
    size_t done = 0, part;
    uint8_t *bytes;

    while ((part = walk_next(&w, &bytes)) != 0) {
        memcpy((uint8_t *)out + done, bytes, part);
        done += part;
    }
    return done;
}

size_t ndis_nb_write(NET_BUFFER *nb, size_t at, const void *from, size_t size)
{
    struct walk w = walk_begin(nb, at, size, false);
    size_t done = 0, part;
    uint8_t *bytes;

    while ((part = walk_next(&w, &bytes)) != 0) {
        memcpy(bytes, (const uint8_t *)from + done, part);
        done += part;
    }
    return done;
}

NDIS_STATUS NTAPI NdisCopyFromNetBufferToNetBuffer(NET_BUFFER *Destination, ULONG DestinationOffset,
                                                   ULONG BytesToCopy, NET_BUFFER const *Source,
                                                   ULONG SourceOffset, ULONG *BytesCopied)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    NT_FAIL_STATUS(NdisCopyFromNetBufferToNetBuffer);
    struct walk to = walk_begin(Destination, DestinationOffset, BytesToCopy, true);
    struct walk from = walk_begin(Source, SourceOffset, BytesToCopy, false);
    uint8_t *out = NULL, *in = NULL;
    size_t room = 0, have = 0, part;

    *BytesCopied = 0;
    for (;;) {
        if (have == 0 && (have = walk_next(&from, &in)) == 0)
            break;
        if (room == 0 && (room = walk_next(&to, &out)) == 0)
            break;
        part = have < room ? have : room;
        memmove(out, in, part);
        in += part;
        out += part;
        have -= part;
        room -= part;
        *BytesCopied += (ULONG)part;
    }
    return NDIS_STATUS_SUCCESS;
}

uint8_t *ndis_nb_contiguous(const NET_BUFFER *nb)
{
    MDL *mdl = nb->CurrentMdl;
    size_t skip = nb->CurrentMdlOffset;

    while (mdl != NULL && skip >= mdl->ByteCount && mdl->Next != NULL) {
        skip -= mdl->ByteCount;
        mdl = mdl->Next;
    }
    if (mdl == NULL || skip > mdl->ByteCount || mdl->ByteCount - skip < nb->DataLength)
        return NULL;
    return ndis_mdl_bytes(mdl) + skip;
}

static bool buffer_sound(const NET_BUFFER *nb)
{
    uint64_t size = 0, before = 0;
    bool met = nb->CurrentMdl == NULL;

    for (const MDL *mdl = nb->MdlChain; mdl != NULL; mdl = mdl->Next) {
        if (mdl == nb->CurrentMdl) {
            met = true;
            before = size;
        }
        size += mdl->ByteCount;
    }
    if (!met || (uint64_t)nb->DataOffset + nb->DataLength > size)
        return false;
    return nb->DataLength == 0 || before + nb->CurrentMdlOffset == nb->DataOffset;
}

bool ndis_nbl_sound(const NET_BUFFER_LIST *nbl)
{
    if (nbl->FirstNetBuffer == NULL)
        return false;
    for (const NET_BUFFER *nb = nbl->FirstNetBuffer; nb != NULL; nb = nb->Next)
        if (!buffer_sound(nb))
            return false;
    return true;
}

ULONG NTAPI NdisQueryNetBufferPhysicalCount(NET_BUFFER *NetBuffer)
{
    size_t skip = NetBuffer->CurrentMdlOffset, left = NetBuffer->DataLength;
    ULONG pages = 0;

    NT_IRQL_MAX(DISPATCH_LEVEL);
    for (MDL *mdl = NetBuffer->CurrentMdl; mdl != NULL && left != 0; mdl = mdl->Next, skip = 0) {
        size_t part = mdl->ByteCount > skip ? mdl->ByteCount - skip : 0;

        part = part < left ? part : left;
        if (part != 0)
            pages += ADDRESS_AND_SIZE_TO_SPAN_PAGES(ndis_mdl_bytes(mdl) + skip, part);
        left -= part;
    }
    return pages;
}
