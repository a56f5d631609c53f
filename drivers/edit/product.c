/* SPDX-License-Identifier: Apache-2.0 */
/* edit's products: a list to be injected, the bytes behind it, and how it is accounted for (edit.h). */
#include "edit.h"

#define PRODUCT_TAG 'orPE'

struct product {
    NET_BUFFER_LIST *list;
    MDL *mdl; /* NULL: the list is a clone */
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
    return product;
}

static void free_at(struct product *product, BOOLEAN dispatch_level)
{
    if (product->mdl != NULL) {
        FwpsFreeNetBufferList(product->list);
        IoFreeMdl(product->mdl);
    } else {
        FwpsDiscardClonedStreamData(product->list, 0, dispatch_level);
    }
    ExFreePoolWithTag(product, PRODUCT_TAG);
}

static void NTAPI injected(void *context, NET_BUFFER_LIST *list, BOOLEAN dispatch_level)
{
    struct product *product = context;
    struct way *way = product->way;
    SIZE_T size = product->size;

    UNREFERENCED_PARAMETER(list);
    free_at(product, dispatch_level);
    if (way == NULL)
        return;
    way_done(way, size);
    flow_release(&edit.flows, &way->stream->flow);
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
    if (!NT_SUCCESS(status))
        injected(product, product->list, FALSE);
    return status;
}
