/* SPDX-License-Identifier: Apache-2.0 */
/* lists: the pool (lists.h). Its lists come with a NET_BUFFER each, and without memory for data. */
#include "lists.h"

#define LISTS_TAG 'tsiL'

NTSTATUS lists_create(struct list_pool *pool, DRIVER_OBJECT *driver)
{
    NET_BUFFER_LIST_POOL_PARAMETERS parameters = {0};

    pool->ndis = NdisAllocateGenericObject(driver, LISTS_TAG, 0);
    if (pool->ndis == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    parameters.Header.Type = NDIS_OBJECT_TYPE_DEFAULT;
    parameters.Header.Revision = NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1;
    parameters.Header.Size = NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1;
    parameters.fAllocateNetBuffer = TRUE;
    parameters.PoolTag = LISTS_TAG;
    pool->handle = NdisAllocateNetBufferListPool(pool->ndis, &parameters);
    if (pool->handle != NULL)
        return STATUS_SUCCESS;
    NdisFreeGenericObject(pool->ndis);
    return STATUS_INSUFFICIENT_RESOURCES;
}

void lists_free(struct list_pool *pool)
{
    NdisFreeNetBufferListPool(pool->handle);
    NdisFreeGenericObject(pool->ndis);
}
