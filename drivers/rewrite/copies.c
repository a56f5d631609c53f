/* SPDX-License-Identifier: Apache-2.0 */
/* copies: a clone whose bytes are its own (rewrite.h). */
#include "rewrite.h"

#define COPIES_TAG 'ipoC'
#define BYTES_TAG  'tyBC'

/* The clone's NET_BUFFER now describes `data`; what it was is kept. */
static void lead_away(struct copy *copy)
{
    NET_BUFFER *nb = copy->nb;

    copy->chain = NET_BUFFER_FIRST_MDL(nb);
    copy->current = NET_BUFFER_CURRENT_MDL(nb);
    copy->current_offset = NET_BUFFER_CURRENT_MDL_OFFSET(nb);
    copy->data_offset = NET_BUFFER_DATA_OFFSET(nb);
    copy->data_length = NET_BUFFER_DATA_LENGTH(nb);
    NET_BUFFER_FIRST_MDL(nb) = copy->mdl;
    NET_BUFFER_CURRENT_MDL(nb) = copy->mdl;
    NET_BUFFER_CURRENT_MDL_OFFSET(nb) = 0;
    NET_BUFFER_DATA_OFFSET(nb) = 0;
}

static void lead_back(const struct copy *copy)
{
    NET_BUFFER *nb = copy->nb;

    NET_BUFFER_FIRST_MDL(nb) = copy->chain;
    NET_BUFFER_CURRENT_MDL(nb) = copy->current;
    NET_BUFFER_CURRENT_MDL_OFFSET(nb) = copy->current_offset;
    NET_BUFFER_DATA_OFFSET(nb) = copy->data_offset;
    NET_BUFFER_DATA_LENGTH(nb) = copy->data_length;
}

static BOOLEAN copy_one(struct copy *copy, NET_BUFFER *nb)
{
    UCHAR *bytes;

    copy->size = NET_BUFFER_DATA_LENGTH(nb);
    if (copy->size == 0)
        return FALSE;
    copy->data = ExAllocatePool2(POOL_FLAG_NON_PAGED | POOL_FLAG_UNINITIALIZED, copy->size, BYTES_TAG);
    if (copy->data == NULL)
        return FALSE;
    /* The bytes where they are if they lie in one piece, or gathered in the copy. */
    bytes = NdisGetDataBuffer(nb, copy->size, copy->data, 1, 0);
    copy->mdl = bytes != NULL ? IoAllocateMdl(copy->data, copy->size, FALSE, FALSE, NULL) : NULL;
    if (copy->mdl == NULL) {
        ExFreePoolWithTag(copy->data, BYTES_TAG);
        return FALSE;
    }
    if (bytes != copy->data)
        RtlCopyMemory(copy->data, bytes, copy->size);
    MmBuildMdlForNonPagedPool(copy->mdl);
    copy->nb = nb;
    lead_away(copy);
    return TRUE;
}

struct copies *copies_create(NET_BUFFER_LIST *clone)
{
    struct copies *copies;
    ULONG count = 0;

    for (NET_BUFFER *nb = NET_BUFFER_LIST_FIRST_NB(clone); nb != NULL; nb = NET_BUFFER_NEXT_NB(nb))
        count++;
    copies = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof *copies + count * sizeof copies->of[0], COPIES_TAG);
    if (copies == NULL) {
        FwpsFreeCloneNetBufferList(clone, 0);
        return NULL;
    }
    copies->clone = clone;
    for (NET_BUFFER *nb = NET_BUFFER_LIST_FIRST_NB(clone); nb != NULL; nb = NET_BUFFER_NEXT_NB(nb)) {
        if (!copy_one(&copies->of[copies->count], nb)) {
            copies_free(copies);
            return NULL;
        }
        copies->count++;
    }
    return copies;
}

void copies_free(struct copies *copies)
{
    for (ULONG i = 0; i < copies->count; i++) {
        lead_back(&copies->of[i]);
        IoFreeMdl(copies->of[i].mdl);
        ExFreePoolWithTag(copies->of[i].data, BYTES_TAG);
    }
    FwpsFreeCloneNetBufferList(copies->clone, 0);
    path_clear(&copies->path);
    ExFreePoolWithTag(copies, COPIES_TAG);
}

void NTAPI copies_injected(void *context, NET_BUFFER_LIST *nbl, BOOLEAN dispatch_level)
{
    UNREFERENCED_PARAMETER(nbl);
    UNREFERENCED_PARAMETER(dispatch_level);
    copies_free(context);
}
