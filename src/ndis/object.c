/* SPDX-License-Identifier: Apache-2.0 */
/* Generic objects, memory by NDIS' names, the version. */
#include <stdlib.h>

#include "ledger/ledger.h"
#include "nt/fault.h"
#include "nt/irql.h"
#include "ndis.h"

PNDIS_GENERIC_OBJECT NTAPI NdisAllocateGenericObject(PDRIVER_OBJECT DriverObject, ULONG Tag, USHORT Size)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    NT_FAIL_NULL(NdisAllocateGenericObject);
    const size_t size = sizeof(NDIS_GENERIC_OBJECT) + Size;
    NDIS_GENERIC_OBJECT *o;

    (void)Tag;
    o = calloc(1, size);
    if (o == NULL)
        return NULL;
    o->Header.Type = NDIS_OBJECT_TYPE_DEFAULT;
    o->Header.Revision = 1;
    o->Header.Size = sizeof(*o);
    o->DriverObject = DriverObject;
    ledger_open(LEDGER_POOL, (uintptr_t)o, size, "NDIS generic object", __builtin_return_address(0));
    return o;
}

VOID NTAPI NdisFreeGenericObject(PNDIS_GENERIC_OBJECT NdisObject)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (ledger_close(LEDGER_POOL, (uintptr_t)NdisObject, __builtin_return_address(0)))
        free(NdisObject);
}

UINT NTAPI NdisGetVersion(VOID)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return 6u << 16 | 50u; /* the NDIS whose structures these headers have */
}

PVOID NTAPI NdisAllocateMemoryWithTagPriority(NDIS_HANDLE NdisHandle, UINT Length, ULONG Tag,
                                              EX_POOL_PRIORITY Priority)
{
    void *p;

    NT_IRQL_MAX(DISPATCH_LEVEL);
    NT_FAIL_NULL(NdisAllocateMemoryWithTagPriority);
    p = malloc(Length != 0 ? Length : 1);
    (void)NdisHandle;
    (void)Tag;
    (void)Priority;
    if (p != NULL)
        ledger_open(LEDGER_POOL, (uintptr_t)p, Length, "NDIS memory", __builtin_return_address(0));
    return p;
}

NDIS_STATUS NTAPI NdisAllocateMemoryWithTag(PVOID *VirtualAddress, UINT Length, ULONG Tag)
{
    void *p;

    NT_FAIL_STATUS(NdisAllocateMemoryWithTag);
    p = malloc(Length != 0 ? Length : 1);
    (void)Tag;
    *VirtualAddress = p;
    if (p == NULL)
        return NDIS_STATUS_FAILURE;
    ledger_open(LEDGER_POOL, (uintptr_t)p, Length, "NDIS memory", __builtin_return_address(0));
    return NDIS_STATUS_SUCCESS;
}

VOID NTAPI NdisFreeMemory(PVOID VirtualAddress, UINT Length, UINT MemoryFlags)
{
    (void)Length;
    (void)MemoryFlags;
    if (ledger_close(LEDGER_POOL, (uintptr_t)VirtualAddress, __builtin_return_address(0)))
        free(VirtualAddress);
}

VOID NTAPI NdisFreeMemoryWithTagPriority(NDIS_HANDLE NdisHandle, PVOID VirtualAddress, ULONG Tag)
{
    (void)NdisHandle;
    (void)Tag;
    if (ledger_close(LEDGER_POOL, (uintptr_t)VirtualAddress, __builtin_return_address(0)))
        free(VirtualAddress);
}
