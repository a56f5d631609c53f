/* SPDX-License-Identifier: Apache-2.0 */
/* mdlapi.h: MDLs by NDIS' names; a part of ndis.h (src/ndis/mdl.c). IRQL <= DISPATCH_LEVEL. */
#ifndef WEIR_WDK_MDLAPI_H
#define WEIR_WDK_MDLAPI_H

#include "ndis.h" /* which includes this where it is wanted */

/* Allocated and built, in one step; freed by NdisFreeMdl(). */
MDL *NTAPI NdisAllocateMdl(NDIS_HANDLE NdisHandle, PVOID VirtualAddress, ULONG Length);
VOID NTAPI NdisFreeMdl(MDL *Mdl);

#define NdisQueryMdl(_Mdl, _VirtualAddress, _Length, _Priority)                                              \
    do {                                                                                                     \
        if ((PVOID)(_VirtualAddress) != NULL)                                                                \
            *(PVOID *)(_VirtualAddress) = MmGetSystemAddressForMdlSafe((_Mdl), (_Priority));                 \
        *(_Length) = MmGetMdlByteCount(_Mdl);                                                                \
    } while (0)
#define NdisQueryMdlOffset(_Mdl, _Offset, _Length)                                                           \
    do {                                                                                                     \
        *(_Offset) = MmGetMdlByteOffset(_Mdl);                                                               \
        *(_Length) = MmGetMdlByteCount(_Mdl);                                                                \
    } while (0)
#define NdisGetNextMdl(_CurrentMdl, _NextMdl) (*(_NextMdl) = (_CurrentMdl)->Next)
#define NdisMdlLength(_Mdl)                   MmGetMdlByteCount(_Mdl)
#define NDIS_MDL_LINKAGE(_Mdl)                ((_Mdl)->Next)

#endif
