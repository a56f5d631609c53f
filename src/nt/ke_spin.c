/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spin locks. A KSPIN_LOCK is 0 when free, else whose it is:
 *
 *   rt_self() of the holder | QUEUED (taken by an in-stack queued function) | CONTENDED (somebody sleeps)
 *
 * Whoever finds it taken tries for a moment (real back end), then sleeps on k->spin_free until a holder that
 * sees CONTENDED wakes all sleepers. A thread that holds it already would wait for itself for ever: that is a
 * finding, and it goes on without the lock. A holder that never gives it back leaves the others asleep,
 * waiting for "a spin lock", where whoever watches over the run sees them.
 */
#include "nt/internal.h"
#include "nt/sanitizers.h"

#define CONTENDED ((ULONG_PTR)1)
#define QUEUED    ((ULONG_PTR)2)
#define FLAGS     (CONTENDED | QUEUED)
#define TRIES     200

static bool swap(PKSPIN_LOCK lock, ULONG_PTR *was, ULONG_PTR now)
{
    return __atomic_compare_exchange_n(lock, was, now, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

static void pause_a_little(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

/* The lock is somebody else's. Returns when it is ours. */
static void contend(PKSPIN_LOCK lock, ULONG_PTR mine)
{
    struct nt *k = nt_current();
    ULONG_PTR was;

    for (unsigned i = 0; i < TRIES && rt_sim_current() == NULL; i++) {
        was = 0;
        if (__atomic_load_n(lock, __ATOMIC_RELAXED) == 0 && swap(lock, &was, mine))
            return;
        pause_a_little();
    }
    if (k == NULL) {
        for (was = 0; !swap(lock, &was, mine); was = 0)
            rt_yield();
        return;
    }
    rt_waits_for("a spin lock");
    rt_mutex_lock(k->spin);
    for (;;) {
        was = 0;
        if (swap(lock, &was, mine))
            break;
        if ((was & CONTENDED) != 0 || swap(lock, &was, was | CONTENDED))
            rt_cond_wait(k->spin_free, k->spin, RT_FOREVER);
    }
    rt_mutex_unlock(k->spin);
    rt_waits_for(NULL);
}

static void acquire(PKSPIN_LOCK lock, ULONG_PTR flags, const char *function, const void *site)
{
    ULONG_PTR me = (ULONG_PTR)rt_self(), was = 0;

    rt_point();
    if (!swap(lock, &was, me | flags)) {
        if ((was & ~FLAGS) == me) {
            nt_bug(SPIN_LOCK_ALREADY_OWNED, NULL, site, "%s: the calling thread holds the spin lock already",
                   function);
            return;
        }
        contend(lock, me | flags);
    }
    nt_tsan_acquire(lock);
    ledger_open(LEDGER_LOCK, (uintptr_t)lock, 0, "spin lock", site);
}

static void release(PKSPIN_LOCK lock, ULONG_PTR flags, const char *function, const void *site)
{
    ULONG_PTR was = __atomic_load_n(lock, __ATOMIC_RELAXED);
    struct nt *k = nt_current();

    if ((was & ~FLAGS) != (ULONG_PTR)rt_self()) {
        nt_bug(SPIN_LOCK_NOT_OWNED, NULL, site, "%s: the calling thread does not hold the spin lock",
               function);
        return;
    }
    if ((was & QUEUED) != flags)
        nt_note(site, "%s: the spin lock was taken by a function of the other kind (%s)", function,
                flags == 0 ? "in-stack queued" : "plain");
    ledger_close(LEDGER_LOCK, (uintptr_t)lock, site);
    nt_tsan_release(lock);
    was = __atomic_exchange_n(lock, 0, __ATOMIC_ACQ_REL); /* from here on its memory may be gone */
    if ((was & CONTENDED) != 0 && k != NULL) {
        rt_mutex_lock(k->spin);
        rt_cond_broadcast(k->spin_free);
        rt_mutex_unlock(k->spin);
    }
}

/* To DISPATCH_LEVEL, if below. What was. */
static KIRQL raise(void)
{
    struct rt_carried *carried = rt_carried();
    KIRQL was = carried->irql;

    if (was < DISPATCH_LEVEL)
        carried->irql = DISPATCH_LEVEL;
    return was;
}

static void lower(KIRQL irql, const char *function, const void *site)
{
    struct rt_carried *carried = rt_carried();

    if (carried->irql < DISPATCH_LEVEL || irql > carried->irql)
        nt_note(site, "%s: from IRQL %u to %u", function, carried->irql, irql);
    carried->irql = irql;
    rt_point();
}

VOID KeInitializeSpinLock(PKSPIN_LOCK SpinLock)
{
    __atomic_store_n(SpinLock, 0, __ATOMIC_RELEASE);
}

KIRQL KeAcquireSpinLockRaiseToDpc(PKSPIN_LOCK SpinLock)
{
    KIRQL was;

    NT_IRQL_MAX(DISPATCH_LEVEL);
    was = raise();
    acquire(SpinLock, 0, __func__, NT_SITE);
    return was;
}

VOID KeReleaseSpinLock(PKSPIN_LOCK SpinLock, KIRQL NewIrql)
{
    release(SpinLock, 0, __func__, NT_SITE);
    lower(NewIrql, __func__, NT_SITE);
}

VOID KeAcquireSpinLockAtDpcLevel(PKSPIN_LOCK SpinLock)
{
    NT_IRQL_MIN(DISPATCH_LEVEL);
    acquire(SpinLock, 0, __func__, NT_SITE);
}

VOID KeReleaseSpinLockFromDpcLevel(PKSPIN_LOCK SpinLock)
{
    NT_IRQL_MIN(DISPATCH_LEVEL);
    release(SpinLock, 0, __func__, NT_SITE);
    rt_point();
}

BOOLEAN KeTryToAcquireSpinLockAtDpcLevel(PKSPIN_LOCK SpinLock)
{
    ULONG_PTR was = 0;

    NT_IRQL_MIN(DISPATCH_LEVEL);
    rt_point();
    if (!swap(SpinLock, &was, (ULONG_PTR)rt_self()))
        return FALSE;
    nt_tsan_acquire(SpinLock);
    ledger_open(LEDGER_LOCK, (uintptr_t)SpinLock, 0, "spin lock", NT_SITE);
    return TRUE;
}

BOOLEAN KeTestSpinLock(PKSPIN_LOCK SpinLock)
{
    rt_point();
    return __atomic_load_n(SpinLock, __ATOMIC_ACQUIRE) == 0;
}

/* A threaded DPC may run at either level: only the level below is raised. */
KIRQL KeAcquireSpinLockForDpc(PKSPIN_LOCK SpinLock)
{
    KIRQL was;

    NT_IRQL_MAX(DISPATCH_LEVEL);
    was = raise();
    acquire(SpinLock, 0, __func__, NT_SITE);
    return was;
}

VOID KeReleaseSpinLockForDpc(PKSPIN_LOCK SpinLock, KIRQL OldIrql)
{
    release(SpinLock, 0, __func__, NT_SITE);
    lower(OldIrql, __func__, NT_SITE);
}

/* ---- in-stack queued: the handle remembers lock and level ---------------------------------------------- */
static void queued_acquire(PKSPIN_LOCK lock, PKLOCK_QUEUE_HANDLE handle, KIRQL was, const char *function,
                           const void *site)
{
    handle->LockQueue.Next = NULL;
    handle->LockQueue.Lock = lock;
    handle->OldIrql = was;
    acquire(lock, QUEUED, function, site);
}

VOID KeAcquireInStackQueuedSpinLock(PKSPIN_LOCK SpinLock, PKLOCK_QUEUE_HANDLE LockHandle)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    queued_acquire(SpinLock, LockHandle, raise(), __func__, NT_SITE);
}

VOID KeReleaseInStackQueuedSpinLock(PKLOCK_QUEUE_HANDLE LockHandle)
{
    release(LockHandle->LockQueue.Lock, QUEUED, __func__, NT_SITE);
    lower(LockHandle->OldIrql, __func__, NT_SITE);
}

VOID KeAcquireInStackQueuedSpinLockAtDpcLevel(PKSPIN_LOCK SpinLock, PKLOCK_QUEUE_HANDLE LockHandle)
{
    NT_IRQL_MIN(DISPATCH_LEVEL);
    queued_acquire(SpinLock, LockHandle, rt_carried()->irql, __func__, NT_SITE);
}

VOID KeReleaseInStackQueuedSpinLockFromDpcLevel(PKLOCK_QUEUE_HANDLE LockHandle)
{
    NT_IRQL_MIN(DISPATCH_LEVEL);
    release(LockHandle->LockQueue.Lock, QUEUED, __func__, NT_SITE);
    rt_point();
}

VOID KeAcquireInStackQueuedSpinLockForDpc(PKSPIN_LOCK SpinLock, PKLOCK_QUEUE_HANDLE LockHandle)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    queued_acquire(SpinLock, LockHandle, raise(), __func__, NT_SITE);
}

VOID KeReleaseInStackQueuedSpinLockForDpc(PKLOCK_QUEUE_HANDLE LockHandle)
{
    release(LockHandle->LockQueue.Lock, QUEUED, __func__, NT_SITE);
    lower(LockHandle->OldIrql, __func__, NT_SITE);
}
