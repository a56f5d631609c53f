/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory descriptor lists: IoAllocateMdl() and the functions that fill them in.
 *
 * An MDL that is allocated here stands behind a mark, so that one that was not is known for it when it is
 * freed. All memory is mapped and stays: to lock and to map change flags, and put the address in
 * MappedSystemVa, nothing else. The array of page frames behind an MDL is there and holds zeros.
 *
 * Any thread, IRQL <= DISPATCH_LEVEL.
 */
#include <stdlib.h>
#include <string.h>

#include "ntddk.h"

#include "ledger/ledger.h"
#include "nt/fault.h"
#include "nt/mdl.h"

#define MARK 0x4c444d5254495257ull

struct marked {
    uint64_t mark;
    void (*release)(MDL *mdl); /* besides the MDL's own memory; NULL: nothing */
    MDL mdl;
};

static struct marked *marked_of(MDL *mdl)
{
    return (struct marked *)((char *)mdl - offsetof(struct marked, mdl));
}

SIZE_T NTAPI MmSizeOfMdl(PVOID Base, SIZE_T Length)
{
    return sizeof(MDL) + sizeof(PFN_NUMBER) * ADDRESS_AND_SIZE_TO_SPAN_PAGES(Base, Length);
}

MDL *mm_mdl_make(void *address, uint32_t length, size_t behind, void (*release)(MDL *mdl))
{
    const size_t size = MmSizeOfMdl(address, length);
    struct marked *m;

    if (size > INT16_MAX) /* MDL.Size cannot say it */
        return NULL;
    m = calloc(1, offsetof(struct marked, mdl) + size + behind);
    if (m == NULL)
        return NULL;
    m->mark = MARK;
    m->release = release;
    MmInitializeMdl(&m->mdl, address, length);
    return &m->mdl;
}

void *mm_mdl_behind(MDL *mdl)
{
    return (char *)mdl + mdl->Size;
}

bool mm_mdl_is_ours(MDL *mdl)
{
    return marked_of(mdl)->mark == MARK;
}

void mm_mdl_free(MDL *mdl)
{
    struct marked *m = marked_of(mdl);

    if (m->release != NULL)
        m->release(mdl);
    m->mark = 0;
    free(m);
}

/* ---- the documented functions */

PMDL NTAPI IoAllocateMdl(PVOID VirtualAddress, ULONG Length, BOOLEAN SecondaryBuffer, BOOLEAN ChargeQuota,
                         PIRP Irp)
{
    MDL *mdl;

    NT_FAIL_NULL(IoAllocateMdl);
    mdl = mm_mdl_make(VirtualAddress, Length, 0, NULL);
    (void)ChargeQuota;
    if (mdl == NULL)
        return NULL;
    ledger_open(LEDGER_MDL, (uintptr_t)mdl, Length, NULL, __builtin_return_address(0));
    if (Irp != NULL) {
        if (SecondaryBuffer && Irp->MdlAddress != NULL) {
            MDL *last = Irp->MdlAddress;

            while (last->Next != NULL)
                last = last->Next;
            last->Next = mdl;
        } else {
            Irp->MdlAddress = mdl;
        }
    }
    return mdl;
}

VOID NTAPI IoFreeMdl(PMDL Mdl)
{
    if (!ledger_close(LEDGER_MDL, (uintptr_t)Mdl, __builtin_return_address(0)))
        return; /* not one that is there */
    if (!mm_mdl_is_ours(Mdl)) {
        ledger_report(LEDGER_BUGCHECK, __builtin_return_address(0),
                      "IoFreeMdl: an MDL that IoAllocateMdl did not make");
        return;
    }
    mm_mdl_free(Mdl);
}

VOID NTAPI MmBuildMdlForNonPagedPool(PMDL MemoryDescriptorList)
{
    MemoryDescriptorList->MdlFlags |= MDL_SOURCE_IS_NONPAGED_POOL;
    MemoryDescriptorList->MappedSystemVa = MmGetMdlVirtualAddress(MemoryDescriptorList);
    MemoryDescriptorList->Process = NULL;
}

VOID NTAPI IoBuildPartialMdl(PMDL SourceMdl, PMDL TargetMdl, PVOID VirtualAddress, ULONG Length)
{
    const ULONG offset = (ULONG)((PUCHAR)VirtualAddress - (PUCHAR)MmGetMdlVirtualAddress(SourceMdl));
    const CSHORT inherited = SourceMdl->MdlFlags & (MDL_MAPPED_TO_SYSTEM_VA | MDL_SOURCE_IS_NONPAGED_POOL |
                                                    MDL_PAGES_LOCKED | MDL_IO_SPACE);
    const CSHORT kept = TargetMdl->MdlFlags & MDL_ALLOCATED_FIXED_SIZE;

    TargetMdl->Process = SourceMdl->Process;
    TargetMdl->StartVa = PAGE_ALIGN(VirtualAddress);
    TargetMdl->ByteOffset = BYTE_OFFSET(VirtualAddress);
    TargetMdl->ByteCount = Length != 0 ? Length : SourceMdl->ByteCount - offset; /* 0: to the end */
    TargetMdl->MdlFlags = (CSHORT)(kept | MDL_PARTIAL);
    TargetMdl->MappedSystemVa = NULL;
    if ((inherited & (MDL_MAPPED_TO_SYSTEM_VA | MDL_SOURCE_IS_NONPAGED_POOL)) != 0) {
        TargetMdl->MdlFlags |= (CSHORT)(inherited | MDL_PARENT_MAPPED_SYSTEM_VA);
        TargetMdl->MappedSystemVa = (PUCHAR)SourceMdl->MappedSystemVa + offset;
    }
}

static void *map_pages(MDL *mdl, KPROCESSOR_MODE mode)
{
    mdl->MappedSystemVa = MmGetMdlVirtualAddress(mdl);
    if (mode == KernelMode)
        mdl->MdlFlags |= MDL_MAPPED_TO_SYSTEM_VA;
    if ((mdl->MdlFlags & MDL_PARTIAL) != 0)
        mdl->MdlFlags |= MDL_PARTIAL_HAS_BEEN_MAPPED;
    return mdl->MappedSystemVa;
}

PVOID NTAPI MmMapLockedPagesSpecifyCache(PMDL MemoryDescriptorList, KPROCESSOR_MODE AccessMode,
                                         MEMORY_CACHING_TYPE CacheType, PVOID RequestedAddress,
                                         ULONG BugCheckOnFailure, ULONG Priority)
{
    NT_FAIL_NULL(MmMapLockedPagesSpecifyCache);
    (void)CacheType;
    (void)RequestedAddress;
    (void)BugCheckOnFailure;
    (void)Priority;
    return map_pages(MemoryDescriptorList, AccessMode);
}

PVOID NTAPI MmMapLockedPages(PMDL MemoryDescriptorList, KPROCESSOR_MODE AccessMode)
{
    return map_pages(MemoryDescriptorList, AccessMode);
}

VOID NTAPI MmUnmapLockedPages(PVOID BaseAddress, PMDL MemoryDescriptorList)
{
    (void)BaseAddress;
    MemoryDescriptorList->MdlFlags &=
        (CSHORT) ~(MDL_MAPPED_TO_SYSTEM_VA | MDL_PARENT_MAPPED_SYSTEM_VA | MDL_PARTIAL_HAS_BEEN_MAPPED);
}

void *mm_mdl_map(MDL *mdl)
{
    if ((mdl->MdlFlags & (MDL_MAPPED_TO_SYSTEM_VA | MDL_SOURCE_IS_NONPAGED_POOL)) != 0)
        return mdl->MappedSystemVa;
    return map_pages(mdl, KernelMode);
}

PVOID NTAPI MmGetSystemAddressForMdlSafe(PMDL Mdl, ULONG Priority)
{
    NT_FAIL_NULL(MmGetSystemAddressForMdlSafe);
    (void)Priority;
    return mm_mdl_map(Mdl);
}

VOID NTAPI MmProbeAndLockPages(PMDL MemoryDescriptorList, KPROCESSOR_MODE AccessMode,
                               LOCK_OPERATION Operation)
{
    (void)AccessMode;
    MemoryDescriptorList->MdlFlags |= MDL_PAGES_LOCKED;
    if (Operation != IoReadAccess)
        MemoryDescriptorList->MdlFlags |= MDL_WRITE_OPERATION;
}

VOID NTAPI MmUnlockPages(PMDL MemoryDescriptorList)
{
    MmUnmapLockedPages(NULL, MemoryDescriptorList);
    MemoryDescriptorList->MdlFlags &= (CSHORT) ~(MDL_PAGES_LOCKED | MDL_WRITE_OPERATION);
}
