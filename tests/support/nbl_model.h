/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random operations on NET_BUFFER_LISTs beside a naive model of them: bytes that lists share are the same
 * cell. A stream of numbers decides; the unit test's come from a seed, the fuzzer's from its input.
 *
 *   list = cells[start .. start + length), `unused` more in front; a clone holds pointers to the same cells
 */
#ifndef WEIR_TESTS_NBL_MODEL_H
#define WEIR_TESTS_NBL_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fwpmk.h"
#include "fwpsk.h"
#include "ndis/nbl.h"

#define MODEL_LISTS 6
#define MODEL_CELLS 2048
#define MODEL_FRONT 1024 /* where a list's used data begin at most */
#define MODEL_MDLS  12

/* Ends the program: a fuzzer wants that, too. */
#define MODEL_TRUE(x)                                                                                        \
    do {                                                                                                     \
        if (!(x))                                                                                            \
            abort();                                                                                         \
    } while (0)

struct model_list {
    NET_BUFFER_LIST *nbl; /* NULL: free */
    uint8_t *cells[MODEL_CELLS];
    unsigned start, unused, length;
    unsigned fronts[16], front_count; /* sizes of the MDLs that retreats put in front */
    unsigned parent;                  /* index; MODEL_LISTS: an own one */
    unsigned children;
    uint8_t *memory; /* of an own one */
    MDL *mdls[MODEL_MDLS];
    unsigned mdl_count;
};

struct model {
    uint32_t (*number)(void *ctx, uint32_t below); /* below > 0 */
    void *ctx;
    NDIS_HANDLE pool;
    struct model_list lists[MODEL_LISTS];
    uint8_t store[1 << 18]; /* the cells */
    unsigned stored;
};

static inline uint32_t model_number(struct model *m, uint32_t below)
{
    return m->number(m->ctx, below);
}

static inline uint8_t *model_cell(struct model *m, uint8_t value)
{
    MODEL_TRUE(m->stored < sizeof(m->store));
    m->store[m->stored] = value;
    return &m->store[m->stored++];
}

static inline void model_open(struct model *m)
{
    const NET_BUFFER_LIST_POOL_PARAMETERS p = {
        .Header = {NDIS_OBJECT_TYPE_DEFAULT, NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
                   NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1},
        .fAllocateNetBuffer = TRUE,
    };

    m->pool = NdisAllocateNetBufferListPool(NULL, &p);
    MODEL_TRUE(m->pool != NULL);
}

/* What the list says is what the model has, however it is read. */
static inline void model_check(struct model *m, struct model_list *x)
{
    NET_BUFFER *nb = NET_BUFFER_LIST_FIRST_NB(x->nbl);
    uint8_t all[MODEL_CELLS], part[64];
    uint32_t at, size;
    uint8_t *p;

    MODEL_TRUE(ndis_nbl_sound(x->nbl));
    MODEL_TRUE(NET_BUFFER_DATA_LENGTH(nb) == x->length);
    MODEL_TRUE(NET_BUFFER_DATA_OFFSET(nb) == x->unused);
    MODEL_TRUE(x->nbl->ChildRefCount == (LONG)x->children);
    MODEL_TRUE(ndis_nb_read(nb, 0, all, sizeof(all)) == x->length);
    for (unsigned i = 0; i < x->length; i++)
        MODEL_TRUE(all[i] == *x->cells[x->start + i]);
    p = ndis_nb_contiguous(nb);
    MODEL_TRUE(p == NULL || memcmp(p, all, x->length) == 0);
    size = model_number(m, sizeof(part));
    p = NdisGetDataBuffer(nb, size, part, 1, 0);
    MODEL_TRUE((p != NULL) == (size <= x->length));
    MODEL_TRUE(p == NULL || memcmp(p, all, size) == 0);
    p = NdisGetDataBuffer(nb, size, NULL, 8, 2);
    MODEL_TRUE(p == NULL || (((uintptr_t)p - 2) % 8 == 0 && memcmp(p, all, size) == 0));
    at = model_number(m, x->length + 1);
    size = (uint32_t)ndis_nb_read(nb, at, part, sizeof(part));
    MODEL_TRUE(size == (x->length - at < sizeof(part) ? x->length - at : sizeof(part)));
    MODEL_TRUE(memcmp(part, all + at, size) == 0);
}

static inline struct model_list *model_free_one(struct model *m)
{
    for (unsigned i = 0; i < MODEL_LISTS; i++)
        if (m->lists[i].nbl == NULL)
            return &m->lists[i];
    return NULL;
}

static inline struct model_list *model_any(struct model *m)
{
    struct model_list *x = &m->lists[model_number(m, MODEL_LISTS)];

    return x->nbl != NULL ? x : NULL;
}

/* A list of its own over MDLs of any sizes, empty ones too. */
static inline void model_own(struct model *m)
{
    struct model_list *x = model_free_one(m);
    unsigned size = model_number(m, 200), offset = model_number(m, size + 1), at = 0;
    MDL *first = NULL, **link = &first;

    if (x == NULL || m->stored + 256 > sizeof(m->store))
        return;
    memset(x, 0, sizeof(*x));
    x->parent = MODEL_LISTS;
    x->memory = malloc(size + 1);
    MODEL_TRUE(x->memory != NULL);
    for (unsigned i = 0; i < size; i++)
        x->memory[i] = (uint8_t)model_number(m, 256);
    do {
        const bool last = x->mdl_count == MODEL_MDLS - 1;
        unsigned part = last ? size - at : model_number(m, size - at + 1);

        x->mdls[x->mdl_count] = IoAllocateMdl(x->memory + at, part, FALSE, FALSE, NULL);
        MODEL_TRUE(x->mdls[x->mdl_count] != NULL);
        MmBuildMdlForNonPagedPool(x->mdls[x->mdl_count]);
        *link = x->mdls[x->mdl_count++];
        link = &(*link)->Next;
        at += part;
    } while (at < size);
    MODEL_TRUE(FwpsAllocateNetBufferAndNetBufferList0(m->pool, 0, 0, first, offset, size - offset, &x->nbl) ==
               STATUS_SUCCESS);
    x->unused = offset;
    x->length = size - offset;
    x->start = MODEL_FRONT;
    for (unsigned i = 0; i < size; i++)
        x->cells[x->start - offset + i] = model_cell(m, x->memory[i]);
}

static inline void model_clone(struct model *m, bool deep)
{
    struct model_list *x = model_any(m), *y = model_free_one(m);
    NTSTATUS status;

    if (x == NULL || y == NULL || m->stored + MODEL_CELLS > sizeof(m->store))
        return;
    memset(y, 0, sizeof(*y));
    status = deep ? FwpsAllocateDeepCloneNetBufferList0(x->nbl, NULL, NULL, &y->nbl)
                  : FwpsAllocateCloneNetBufferList0(x->nbl, NULL, NULL, 0, &y->nbl);
    MODEL_TRUE(status == STATUS_SUCCESS);
    y->start = MODEL_FRONT;
    y->length = x->length;
    for (unsigned i = 0; i < x->length; i++)
        y->cells[y->start + i] = deep ? model_cell(m, *x->cells[x->start + i]) : x->cells[x->start + i];
    y->parent = (unsigned)(x - m->lists);
    x->children++;
}

static inline void model_retreat(struct model *m)
{
    struct model_list *x = model_any(m);
    unsigned delta = model_number(m, 40), back_fill = model_number(m, 20);

    if (x == NULL)
        return;
    if (delta > x->unused) {
        if (x->front_count == 16 || x->unused + delta + back_fill > x->start ||
            m->stored + 64 > sizeof(m->store))
            return;
        x->fronts[x->front_count++] = delta + back_fill;
        for (unsigned i = 0; i < delta + back_fill; i++)
            x->cells[x->start - x->unused - 1 - i] = model_cell(m, 0);
        x->unused += delta + back_fill;
    }
    if (x->start < delta)
        return;
    MODEL_TRUE(NdisRetreatNetBufferListDataStart(x->nbl, delta, back_fill, NULL, NULL) ==
               NDIS_STATUS_SUCCESS);
    x->unused -= delta;
    x->start -= delta;
    x->length += delta;
}

static inline void model_advance(struct model *m)
{
    struct model_list *x = model_any(m);
    const bool frees = model_number(m, 2) && x != NULL && x->children == 0; /* clones share what would go */
    unsigned delta;

    if (x == NULL)
        return;
    delta = model_number(m, x->length + 1);
    NdisAdvanceNetBufferListDataStart(x->nbl, delta, frees, NULL);
    x->unused += delta;
    x->start += delta;
    x->length -= delta;
    while (frees && x->front_count > 0 && x->unused >= x->fronts[x->front_count - 1])
        x->unused -= x->fronts[--x->front_count];
}

static inline void model_write(struct model *m)
{
    struct model_list *x = model_any(m);
    uint8_t bytes[16];
    size_t at, done;

    if (x == NULL)
        return;
    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)model_number(m, 256);
    at = model_number(m, x->length + 1);
    done = ndis_nb_write(NET_BUFFER_LIST_FIRST_NB(x->nbl), at, bytes, sizeof(bytes));
    MODEL_TRUE(done == (x->length - at < sizeof(bytes) ? x->length - at : sizeof(bytes)));
    for (unsigned i = 0; i < done; i++)
        *x->cells[x->start + at + i] = bytes[i];
}

/* From one list to another; where they share bytes the outcome depends on the pieces: left out. */
static inline void model_copy(struct model *m)
{
    struct model_list *x = model_any(m), *y = model_any(m);
    ULONG from, to, size, done = 0;

    if (x == NULL || y == NULL || x == y)
        return;
    from = model_number(m, x->length + 1);
    to = model_number(m, y->length + 1);
    size = model_number(m, 100);
    size = size < y->length - to ? size : y->length - to;
    for (unsigned i = 0; i < y->length; i++)
        for (unsigned n = 0; n < x->length; n++)
            if (y->cells[y->start + i] == x->cells[x->start + n])
                return;
    MODEL_TRUE(NdisCopyFromNetBufferToNetBuffer(NET_BUFFER_LIST_FIRST_NB(y->nbl), to, size,
                                                NET_BUFFER_LIST_FIRST_NB(x->nbl), from,
                                                &done) == NDIS_STATUS_SUCCESS);
    MODEL_TRUE(done == (size < x->length - from ? size : x->length - from));
    for (unsigned i = 0; i < done; i++)
        *y->cells[y->start + to + i] = *x->cells[x->start + from + i];
}

/* Cut into fragments and put together again it is what it was. */
static inline void model_fragments(struct model *m)
{
    struct model_list *x = model_any(m);
    NET_BUFFER_LIST *pieces, *whole;
    ULONG skip, most, header;
    uint8_t all[MODEL_CELLS];
    size_t size;

    if (x == NULL || x->length == 0)
        return;
    skip = model_number(m, x->length);
    most = 1 + model_number(m, 50);
    header = model_number(m, 30);
    pieces = NdisAllocateFragmentNetBufferList(x->nbl, NULL, NULL, skip, most, header, 5, 0);
    MODEL_TRUE(pieces != NULL && ndis_nbl_sound(pieces));
    whole = NdisAllocateReassembledNetBufferList(pieces, NULL, header, 0, 0, 0);
    MODEL_TRUE(whole != NULL && ndis_nbl_sound(whole));
    size = ndis_nb_read(NET_BUFFER_LIST_FIRST_NB(whole), 0, all, sizeof(all));
    MODEL_TRUE(size == x->length - skip);
    for (unsigned i = 0; i < size; i++)
        MODEL_TRUE(all[i] == *x->cells[x->start + skip + i]);
    NdisFreeFragmentNetBufferList(pieces, header, 0); /* what it shows data of stays */
    MODEL_TRUE(ndis_nb_read(NET_BUFFER_LIST_FIRST_NB(whole), 0, all, sizeof(all)) == size);
    NdisFreeReassembledNetBufferList(whole, 0, 0);
}

/* Children first: the bytes are the parent's. */
static inline void model_free(struct model *m, struct model_list *x)
{
    if (x == NULL || x->children != 0)
        return;
    if (x->parent != MODEL_LISTS) {
        FwpsFreeCloneNetBufferList0(x->nbl, 0);
        m->lists[x->parent].children--;
    } else {
        FwpsFreeNetBufferList0(x->nbl);
        for (unsigned i = 0; i < x->mdl_count; i++)
            IoFreeMdl(x->mdls[i]);
        free(x->memory);
    }
    x->nbl = NULL;
}

static inline void model_step(struct model *m)
{
    switch (model_number(m, 10)) {
    case 0:
        model_own(m);
        break;
    case 1:
    case 2:
        model_clone(m, false);
        break;
    case 3:
        model_clone(m, true);
        break;
    case 4:
        model_retreat(m);
        break;
    case 5:
        model_advance(m);
        break;
    case 6:
        model_write(m);
        break;
    case 7:
        model_copy(m);
        break;
    case 8:
        model_fragments(m);
        break;
    default:
        model_free(m, model_any(m));
        break;
    }
    for (unsigned i = 0; i < MODEL_LISTS; i++)
        if (m->lists[i].nbl != NULL)
            model_check(m, &m->lists[i]);
}

static inline void model_close(struct model *m)
{
    for (unsigned again = 0; again < MODEL_LISTS; again++)
        for (unsigned i = 0; i < MODEL_LISTS; i++)
            if (m->lists[i].nbl != NULL)
                model_free(m, &m->lists[i]);
    NdisFreeNetBufferListPool(m->pool);
}

#endif
