/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions and memory. */
#include "fwpmk.h"

#include "api/internal.h"
#include "bfe/bfe.h"

NTSTATUS api_FwpmTransactionBegin0(enum api_flavour flavour, HANDLE engineHandle, UINT32 flags)
{
    API_SESSION_CALL(flavour, engineHandle, bfe_txn_begin(c.session, flags));
}

NTSTATUS api_FwpmTransactionCommit0(enum api_flavour flavour, HANDLE engineHandle)
{
    API_SESSION_CALL(flavour, engineHandle, bfe_txn_commit(c.session));
}

NTSTATUS api_FwpmTransactionAbort0(enum api_flavour flavour, HANDLE engineHandle)
{
    API_SESSION_CALL(flavour, engineHandle, bfe_txn_abort(c.session));
}

/* Everything that the API hands out is one block. The pointer is cleared, as documented. */
void api_FwpmFreeMemory0(enum api_flavour flavour, void **p)
{
    (void)flavour;
    if (!p)
        return;
    bfe_free(*p);
    *p = NULL;
}
