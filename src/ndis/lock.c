/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks, events and waits by NDIS' names, over the kernel's.
 *
 * A reader/writer lock: a spin lock guards two numbers; who cannot have the lock lets others run and tries
 * again. Readers do not wait for writers that wait: read access may be taken again by who has it.
 */
#include <stdlib.h>

#include "ledger/ledger.h"
#include "nt/fault.h"
#include "nt/irql.h"
#include "ndis.h"
#include "rt/rt.h"

struct _NDIS_RW_LOCK_EX {
    KSPIN_LOCK guard;
    ULONG readers;
    BOOLEAN writer;
};

enum { READING = 1, WRITING = 2 }; /* LOCK_STATE_EX.LockState */

VOID NTAPI NdisAllocateSpinLock(PNDIS_SPIN_LOCK SpinLock)
{
    KeInitializeSpinLock(&SpinLock->SpinLock);
}

VOID NTAPI NdisFreeSpinLock(PNDIS_SPIN_LOCK SpinLock)
{
    (void)SpinLock;
}

VOID NTAPI NdisAcquireSpinLock(PNDIS_SPIN_LOCK SpinLock)
{
    KIRQL before;

    NT_IRQL_MAX(DISPATCH_LEVEL);
    KeAcquireSpinLock(&SpinLock->SpinLock, &before);
    SpinLock->OldIrql = before;
}

VOID NTAPI NdisReleaseSpinLock(PNDIS_SPIN_LOCK SpinLock)
{
    NT_IRQL_MIN(DISPATCH_LEVEL);
    KeReleaseSpinLock(&SpinLock->SpinLock, SpinLock->OldIrql);
}

VOID NTAPI NdisDprAcquireSpinLock(PNDIS_SPIN_LOCK SpinLock)
{
    NT_IRQL_MIN(DISPATCH_LEVEL);
    KeAcquireSpinLockAtDpcLevel(&SpinLock->SpinLock);
    SpinLock->OldIrql = DISPATCH_LEVEL;
}

VOID NTAPI NdisDprReleaseSpinLock(PNDIS_SPIN_LOCK SpinLock)
{
    NT_IRQL_MIN(DISPATCH_LEVEL);
    KeReleaseSpinLockFromDpcLevel(&SpinLock->SpinLock);
}

/* ---- reader/writer locks --------------------------------------------------------------------------------
 */

PNDIS_RW_LOCK_EX NTAPI NdisAllocateRWLock(NDIS_HANDLE NdisHandle)
{
    NDIS_RW_LOCK_EX *l;

    NT_IRQL_MAX(DISPATCH_LEVEL);
    NT_FAIL_NULL(NdisAllocateRWLock);
    (void)NdisHandle;
    l = calloc(1, sizeof(*l));
    if (l == NULL)
        return NULL;
    KeInitializeSpinLock(&l->guard);
    ledger_open(LEDGER_POOL, (uintptr_t)l, sizeof(*l), "NDIS reader/writer lock",
                __builtin_return_address(0));
    return l;
}

VOID NTAPI NdisFreeRWLock(PNDIS_RW_LOCK_EX Lock)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (ledger_close(LEDGER_POOL, (uintptr_t)Lock, __builtin_return_address(0)))
        free(Lock);
}

static void acquire(NDIS_RW_LOCK_EX *l, LOCK_STATE_EX *state, UCHAR flags, bool writing)
{
    state->Flags = flags;
    state->OldIrql = KeGetCurrentIrql();
    if ((flags & NDIS_RWL_AT_DISPATCH_LEVEL) == 0 && state->OldIrql < DISPATCH_LEVEL) {
        KIRQL before;

        KeRaiseIrql(DISPATCH_LEVEL, &before);
    }
    for (bool have = false; !have;) {
        KeAcquireSpinLockAtDpcLevel(&l->guard);
        have = !l->writer && (!writing || l->readers == 0);
        if (have && writing)
            l->writer = TRUE;
        else if (have)
            l->readers++;
        KeReleaseSpinLockFromDpcLevel(&l->guard);
        if (!have)
            rt_yield();
    }
    state->LockState = writing ? WRITING : READING;
}

VOID NTAPI NdisAcquireRWLockRead(PNDIS_RW_LOCK_EX Lock, PLOCK_STATE_EX LockState, UCHAR Flags)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    acquire(Lock, LockState, Flags, false);
    ledger_open(LEDGER_LOCK, (uintptr_t)LockState, 0, "NDIS reader/writer lock", __builtin_return_address(0));
}

VOID NTAPI NdisAcquireRWLockWrite(PNDIS_RW_LOCK_EX Lock, PLOCK_STATE_EX LockState, UCHAR Flags)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    acquire(Lock, LockState, Flags, true);
    ledger_open(LEDGER_LOCK, (uintptr_t)LockState, 0, "NDIS reader/writer lock", __builtin_return_address(0));
}

VOID NTAPI NdisReleaseRWLock(PNDIS_RW_LOCK_EX Lock, PLOCK_STATE_EX LockState)
{
    NT_IRQL_MIN(DISPATCH_LEVEL);
    if (!ledger_close(LEDGER_LOCK, (uintptr_t)LockState, __builtin_return_address(0)))
        return;
    KeAcquireSpinLockAtDpcLevel(&Lock->guard);
    if (LockState->LockState == WRITING)
        Lock->writer = FALSE;
    else
        Lock->readers--;
    KeReleaseSpinLockFromDpcLevel(&Lock->guard);
    if ((LockState->Flags & NDIS_RWL_AT_DISPATCH_LEVEL) == 0)
        KeLowerIrql(LockState->OldIrql);
}

/* ---- events, time */

#define TICKS_A_MILLISECOND 10000ll /* of 100 ns */

VOID NTAPI NdisInitializeEvent(PNDIS_EVENT Event)
{
    KeInitializeEvent(&Event->Event, NotificationEvent, FALSE);
}

VOID NTAPI NdisSetEvent(PNDIS_EVENT Event)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    KeSetEvent(&Event->Event, 0, FALSE);
}

VOID NTAPI NdisResetEvent(PNDIS_EVENT Event)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    KeClearEvent(&Event->Event);
}

BOOLEAN NTAPI NdisWaitEvent(PNDIS_EVENT Event, UINT MsToWait)
{
    LARGE_INTEGER timeout = {.QuadPart = -TICKS_A_MILLISECOND * MsToWait};

    NT_IRQL_MAX(PASSIVE_LEVEL);
    return KeWaitForSingleObject(&Event->Event, Executive, KernelMode, FALSE,
                                 MsToWait != 0 ? &timeout : NULL) == STATUS_SUCCESS;
}

VOID NTAPI NdisMSleep(ULONG MicrosecondsToSleep)
{
    LARGE_INTEGER interval = {.QuadPart = -TICKS_A_MILLISECOND / 1000 * MicrosecondsToSleep};

    NT_IRQL_MAX(APC_LEVEL);
    KeDelayExecutionThread(KernelMode, FALSE, &interval);
}
