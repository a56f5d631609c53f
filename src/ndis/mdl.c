/* SPDX-License-Identifier: Apache-2.0 */
/* MDLs by NDIS' names: made and built in one step. */
#include "ledger/ledger.h"
#include "nt/fault.h"
#include "ndis.h"
#include "nt/irql.h"
#include "nt/mdl.h"

MDL *NTAPI NdisAllocateMdl(NDIS_HANDLE NdisHandle, PVOID VirtualAddress, ULONG Length)
{
    MDL *mdl;

    NT_IRQL_MAX(DISPATCH_LEVEL);
    NT_FAIL_NULL(NdisAllocateMdl);
    (void)NdisHandle;
    mdl = mm_mdl_make(VirtualAddress, Length, 0, NULL);
    if (mdl == NULL)
        return NULL;
    MmBuildMdlForNonPagedPool(mdl);
    ledger_open(LEDGER_MDL, (uintptr_t)mdl, Length, NULL, __builtin_return_address(0));
    return mdl;
}

VOID NTAPI NdisFreeMdl(MDL *Mdl)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (!ledger_close(LEDGER_MDL, (uintptr_t)Mdl, __builtin_return_address(0)))
        return;
    if (!mm_mdl_is_ours(Mdl)) {
        ledger_report(LEDGER_BUGCHECK, __builtin_return_address(0),
                      "NdisFreeMdl: an MDL that NdisAllocateMdl did not make");
        return;
    }
    mm_mdl_free(Mdl);
}
