/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Remove locks: rundown protection with a tag. Who works on a device holds its lock, and whoever removes the device lets
 * go of his own and waits for the others; nobody gets it after that.
 *
 * Each acquisition is an obligation of the ledger's, under the lock and its tag: given back with another tag than it was
 * taken with (documented as an error), given back twice, or never, is told. What is not open is not given back.
 * The time limit and the high watermark are for checked builds; here nobody watches them.
 */
#include "ledger/ledger.h"
#include "nt/internal.h"

static uint64_t key_of(const IO_REMOVE_LOCK *lock, const void *tag)
{
    return (uintptr_t)lock + ((uint64_t)(uintptr_t)tag << 1);
}

VOID IoInitializeRemoveLockEx(PIO_REMOVE_LOCK Lock, ULONG AllocateTag, ULONG MaxLockedMinutes,
                              ULONG HighWatermark, ULONG RemlockSize)
{
    (void)AllocateTag;
    (void)MaxLockedMinutes;
    (void)HighWatermark;
    (void)RemlockSize;
    NT_IRQL_MAX(PASSIVE_LEVEL);
    ExInitializeRundownProtection(&Lock->users);
}

NTSTATUS IoAcquireRemoveLockEx(PIO_REMOVE_LOCK RemoveLock, PVOID Tag, PCSTR File, ULONG Line,
                               ULONG RemlockSize)
{
    (void)File; /* the call site says as much */
    (void)Line;
    (void)RemlockSize;
    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (!ExAcquireRundownProtection(&RemoveLock->users))
        return STATUS_DELETE_PENDING;
    ledger_open(LEDGER_OBJECT_REFERENCE, key_of(RemoveLock, Tag), 0, "remove lock", NT_SITE);
    return STATUS_SUCCESS;
}

VOID IoReleaseRemoveLockEx(PIO_REMOVE_LOCK RemoveLock, PVOID Tag, ULONG RemlockSize)
{
    (void)RemlockSize;
    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (ledger_close(LEDGER_OBJECT_REFERENCE, key_of(RemoveLock, Tag), NT_SITE))
        ExReleaseRundownProtection(&RemoveLock->users);
}

VOID IoReleaseRemoveLockAndWaitEx(PIO_REMOVE_LOCK RemoveLock, PVOID Tag, ULONG RemlockSize)
{
    (void)RemlockSize;
    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (!ledger_close(LEDGER_OBJECT_REFERENCE, key_of(RemoveLock, Tag), NT_SITE))
        return;
    ExReleaseRundownProtection(&RemoveLock->users);
    ExWaitForRundownProtectionRelease(&RemoveLock->users);
}
