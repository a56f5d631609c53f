/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A packet as drivers know it: one NET_BUFFER_LIST, one NET_BUFFER, a chain of MDLs over bytes that are the
 * caller's.
 *
 *   MdlChain                    CurrentMdl
 *      |                            |
 *   [ MDL 0 ........ ][ MDL 1 .. ][ MDL 2 ........ ][ MDL 3 ]
 *   |<-- DataOffset ------------------->|<-- DataLength --->|
 *                                 |<--->| CurrentMdlOffset
 *
 * Everything stands in one ndis_packet and is written again for each packet shown; it grows when a packet
 * takes more MDLs than any before. What a callout left in the reserved words of the one before is gone.
 *
 * One thread at a time. Any IRQL where no MDLs are wanting.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "ndis/packet.h"

#define PAGE_BYTES 4096u

struct ndis_packet {
    NET_BUFFER_LIST list;
    NET_BUFFER buffer;
    MDL *mdls;
    uint32_t mdl_room;
};

static bool reserve_mdls(struct ndis_packet *p, uint32_t count)
{
    MDL *mdls;

    if (count <= p->mdl_room)
        return true;
    mdls = realloc(p->mdls, count * sizeof(*mdls));
    if (mdls == NULL)
        return false;
    p->mdls = mdls;
    p->mdl_room = count;
    return true;
}

int ndis_packet_create(struct ndis_packet **out)
{
    struct ndis_packet *p = calloc(1, sizeof(*p));

    if (p == NULL || !reserve_mdls(p, 1)) {
        free(p);
        return -ENOMEM;
    }
    *out = p;
    return 0;
}

void ndis_packet_destroy(struct ndis_packet *p)
{
    if (p == NULL)
        return;
    free(p->mdls);
    free(p);
}

/* The n-th MDL's size when packets are split: odd, at most `split`, and not always the same, so that a reader
 * who supposes one size is found out. */
static uint32_t odd_size(uint32_t split, uint32_t n)
{
    uint32_t odds = (split + 1) / 2; /* odd numbers up to split */

    return 2 * ((odds - 1 + n * 5) % odds) + 1;
}

static void describe(MDL *mdl, uint8_t *bytes, uint32_t size)
{
    uintptr_t at = (uintptr_t)bytes;

    *mdl = (MDL){
        .Size = sizeof(*mdl),
        .MdlFlags = MDL_MAPPED_TO_SYSTEM_VA | MDL_SOURCE_IS_NONPAGED_POOL,
        .MappedSystemVa = bytes,
        .StartVa = bytes - at % PAGE_BYTES,
        .ByteCount = size,
        .ByteOffset = (ULONG)(at % PAGE_BYTES),
    };
}

/* Lays MDLs over the bytes; false: out of memory. */
static bool lay_mdls(struct ndis_packet *p, uint8_t *bytes, uint32_t size, uint32_t split)
{
    uint32_t count = 0, at = 0;

    if (split == 0 || size == 0) {
        describe(&p->mdls[0], bytes, size);
        return true;
    }
    while (at < size) {
        uint32_t part = odd_size(split, count);

        part = part < size - at ? part : size - at;
        if (count == p->mdl_room && !reserve_mdls(p, count * 2 + 8))
            return false;
        describe(&p->mdls[count++], bytes + at, part);
        at += part;
    }
    for (uint32_t i = 0; i + 1 < count; i++) /* the array stays where it is from here on */
        p->mdls[i].Next = &p->mdls[i + 1];
    return true;
}

/* Points the buffer's current MDL at its DataOffset. At the end of the chain: behind the last byte. */
static void seek(NET_BUFFER *nb)
{
    MDL *mdl = nb->MdlChain;
    ULONG left = nb->DataOffset;

    while (left >= mdl->ByteCount && mdl->Next != NULL) {
        left -= mdl->ByteCount;
        mdl = mdl->Next;
    }
    nb->CurrentMdl = mdl;
    nb->CurrentMdlOffset = left;
}

NET_BUFFER_LIST *ndis_packet_show(struct ndis_packet *p, uint8_t *bytes, uint32_t size, uint32_t data_at,
                                  uint32_t split)
{
    NET_BUFFER *nb = &p->buffer;

    if (data_at > size || !lay_mdls(p, bytes, size, split))
        return NULL;
    memset(&p->list, 0, sizeof(p->list));
    memset(nb, 0, sizeof(*nb));
    nb->MdlChain = p->mdls;
    nb->DataOffset = data_at;
    nb->DataLength = size - data_at;
    seek(nb);
    p->list.FirstNetBuffer = nb;
    return &p->list;
}

uint32_t ndis_packet_offset(const NET_BUFFER_LIST *nbl)
{
    return nbl->FirstNetBuffer->DataOffset;
}

int ndis_packet_retreat(NET_BUFFER_LIST *nbl, uint32_t bytes)
{
    for (const NET_BUFFER *nb = nbl->FirstNetBuffer; nb != NULL; nb = nb->Next)
        if (bytes > nb->DataOffset)
            return -ERANGE;
    for (NET_BUFFER *nb = nbl->FirstNetBuffer; nb != NULL; nb = nb->Next) {
        nb->DataOffset -= bytes;
        nb->DataLength += bytes;
        seek(nb);
    }
    return 0;
}

int ndis_packet_advance(NET_BUFFER_LIST *nbl, uint32_t bytes)
{
    for (const NET_BUFFER *nb = nbl->FirstNetBuffer; nb != NULL; nb = nb->Next)
        if (bytes > nb->DataLength)
            return -ERANGE;
    for (NET_BUFFER *nb = nbl->FirstNetBuffer; nb != NULL; nb = nb->Next) {
        nb->DataOffset += bytes;
        nb->DataLength -= bytes;
        seek(nb);
    }
    return 0;
}

size_t ndis_packet_read(const NET_BUFFER_LIST *nbl, uint8_t *out, size_t size)
{
    const NET_BUFFER *nb = nbl->FirstNetBuffer;
    size_t done = 0, want = size < nb->DataLength ? size : nb->DataLength;
    size_t skip = nb->CurrentMdlOffset;

    for (const MDL *mdl = nb->CurrentMdl; mdl != NULL && done < want; mdl = mdl->Next, skip = 0) {
        size_t part = mdl->ByteCount - skip;

        part = part < want - done ? part : want - done;
        memcpy(out + done, (const uint8_t *)mdl->MappedSystemVa + skip, part);
        done += part;
    }
    return done;
}
