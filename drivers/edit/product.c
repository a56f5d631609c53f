/* SPDX-License-Identifier: Apache-2.0 */
/* edit's products: a list to be injected, the bytes behind it, and how it is accounted for (edit.h). */
#include "edit.h"

#define PRODUCT_TAG 'orPE'

struct product {
    NET_BUFFER_LIST *list;
    MDL *mdl;   /* NULL: the list is a clone, which may be a chain */
    LONG lists; /* that have not come back: each does by itself (INJ-30) */
    SIZE_T size;
    struct way *way; /* NULL, or counted there, and its stream referred to */
    UCHAR bytes[];
};

struct product *product_create(const UCHAR *bytes, SIZE_T size)
{
    struct product *product = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof *product + size, PRODUCT_TAG);

    if (product == NULL)
        return NULL;
    product->size = size;
    product->lists = 1;
    RtlCopyMemory(product->bytes, bytes, size);
    product->mdl = IoAllocateMdl(product->bytes, (ULONG)size, FALSE, FALSE, NULL);
    if (product->mdl != NULL) {
        MmBuildMdlForNonPagedPool(product->mdl);
        if (NT_SUCCESS(FwpsAllocateNetBufferAndNetBufferList(edit.lists.handle, 0, 0, product->mdl, 0, size,
                                                             &product->list)))
            return product;
        IoFreeMdl(product->mdl);
    }
    ExFreePoolWithTag(product, PRODUCT_TAG);
    return NULL;
}

struct product *product_of_clone(NET_BUFFER_LIST *clone, SIZE_T size)
{
    struct product *product = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof *product, PRODUCT_TAG);

    if (product == NULL)
        return NULL;
    product->list = clone;
    product->size = size;
    for (NET_BUFFER_LIST *list = clone; list != NULL; list = NET_BUFFER_LIST_NEXT_NBL(list))
        product->lists++;
    return product;
}

/* Nothing of it is left. */
static void gone(struct product *product)
{
    struct way *way = product->way;
    SIZE_T size = product->size;

    ExFreePoolWithTag(product, PRODUCT_TAG);
    if (way == NULL)
        return;
    way_done(way, size);
    flow_release(&edit.flows, &way->stream->flow);
}

static void free_lists(struct product *product, NET_BUFFER_LIST *chain, BOOLEAN dispatch_level)
{
    if (product->mdl != NULL) {
        FwpsFreeNetBufferList(chain);
        IoFreeMdl(product->mdl);
    } else {
        FwpsDiscardClonedStreamData(chain, 0, dispatch_level);
    }
}

static void NTAPI injected(void *context, NET_BUFFER_LIST *list, BOOLEAN dispatch_level)
{
    struct product *product = context;

    NET_BUFFER_LIST_NEXT_NBL(list) = NULL; /* the others of the chain have calls of their own */
    free_lists(product, list, dispatch_level);
    if (InterlockedDecrement(&product->lists) == 0)
        gone(product);
}

NTSTATUS product_inject(struct product *product, const struct flow *flow, UINT32 flags, struct way *way)
{
    NTSTATUS status;

    product->way = way;
    if (way != NULL) {
        flow_hold(&way->stream->flow);
        way_count(way, product->size);
    }
    status = FwpsStreamInjectAsync(edit.injection, NULL, 0, flow->id, flow->callout, flow->layer, flags,
                                   product->list, product->size, injected, product);
    if (!NT_SUCCESS(status)) {
        free_lists(product, product->list, FALSE);
        gone(product);
    }
    return status;
}
