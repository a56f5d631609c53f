/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fast mutexes and guarded mutexes: one structure. Count is 1 when free, and one less for the holder and each
 * who waits; who gives it back with others waiting sets Event, which lets one of them go. Owner is rt_self()
 * of the holder. A thread that acquires a second time would wait for itself: a finding, and it goes on
 * without.
 *
 * A fast mutex raises its holder to APC_LEVEL and remembers from where; a guarded mutex does not.
 */
#include "nt/internal.h"
#include "nt/sanitizers.h"

static void init(PFAST_MUTEX m)
{
    m->Count = 1;
    m->Owner = NULL;
    m->Contention = 0;
    KeInitializeEvent(&m->Event, SynchronizationEvent, FALSE);
    m->OldIrql = PASSIVE_LEVEL;
}

static PVOID owner_of(const FAST_MUTEX *m)
{
    return __atomic_load_n(&m->Owner, __ATOMIC_RELAXED);
}

static void own(PFAST_MUTEX m, const void *site)
{
    nt_tsan_acquire(m);
    __atomic_store_n(&m->Owner, (PVOID)rt_self(), __ATOMIC_RELAXED);
    ledger_open(LEDGER_LOCK, (uintptr_t)m, 0, "fast mutex", site);
}

static bool acquire(PFAST_MUTEX m, const char *function, const void *site)
{
    struct nt *k = nt_current();

    rt_point();
    if (owner_of(m) == (PVOID)rt_self()) {
        nt_bug(KMODE_EXCEPTION_NOT_HANDLED, NULL, site, "%s: the calling thread holds the mutex already",
               function);
        return false;
    }
    if (__atomic_sub_fetch(&m->Count, 1, __ATOMIC_ACQ_REL) != 0) {
        __atomic_fetch_add(&m->Contention, 1, __ATOMIC_RELAXED);
        if (k != NULL) {
            nt_wait_one(k, &m->Event.Header, RT_FOREVER, "a fast or guarded mutex");
        } else {
            while (__atomic_exchange_n(&m->Event.Header.SignalState, 0, __ATOMIC_ACQ_REL) == 0)
                rt_yield();
        }
    }
    own(m, site);
    return true;
}

static bool try_acquire(PFAST_MUTEX m, const void *site)
{
    LONG free = 1;

    rt_point();
    if (!__atomic_compare_exchange_n(&m->Count, &free, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        return false;
    own(m, site);
    return true;
}

static void release(PFAST_MUTEX m, const char *function, const void *site)
{
    struct nt *k = nt_current();

    if (owner_of(m) != (PVOID)rt_self()) {
        nt_bug(KMODE_EXCEPTION_NOT_HANDLED, NULL, site, "%s: the calling thread does not hold the mutex",
               function);
        return;
    }
    ledger_close(LEDGER_LOCK, (uintptr_t)m, site);
    __atomic_store_n(&m->Owner, NULL, __ATOMIC_RELAXED);
    nt_tsan_release(m);
    if (__atomic_add_fetch(&m->Count, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    if (k != NULL)
        nt_event_set(k, &m->Event);
    else
        __atomic_store_n(&m->Event.Header.SignalState, 1, __ATOMIC_RELEASE);
}

VOID ExInitializeFastMutex(PFAST_MUTEX FastMutex)
{
    init(FastMutex);
}

VOID ExAcquireFastMutex(PFAST_MUTEX FastMutex)
{
    struct rt_carried *carried = rt_carried();
    KIRQL was = carried->irql;

    NT_IRQL_MAX(APC_LEVEL);
    if (was < APC_LEVEL)
        carried->irql = APC_LEVEL;
    if (acquire(FastMutex, __func__, NT_SITE))
        FastMutex->OldIrql = was;
}

BOOLEAN ExTryToAcquireFastMutex(PFAST_MUTEX FastMutex)
{
    struct rt_carried *carried = rt_carried();
    KIRQL was = carried->irql;

    NT_IRQL_MAX(APC_LEVEL);
    if (!try_acquire(FastMutex, NT_SITE))
        return FALSE;
    if (was < APC_LEVEL)
        carried->irql = APC_LEVEL;
    FastMutex->OldIrql = was;
    return TRUE;
}

VOID ExReleaseFastMutex(PFAST_MUTEX FastMutex)
{
    KIRQL back = (KIRQL)FastMutex->OldIrql;

    NT_IRQL_MAX(APC_LEVEL);
    release(FastMutex, __func__, NT_SITE);
    rt_carried()->irql = back;
    rt_point();
}

VOID ExAcquireFastMutexUnsafe(PFAST_MUTEX FastMutex)
{
    NT_IRQL_MAX(APC_LEVEL);
    acquire(FastMutex, __func__, NT_SITE);
}

VOID ExReleaseFastMutexUnsafe(PFAST_MUTEX FastMutex)
{
    NT_IRQL_MAX(APC_LEVEL);
    release(FastMutex, __func__, NT_SITE);
    rt_point();
}

VOID KeInitializeGuardedMutex(PKGUARDED_MUTEX Mutex)
{
    init(Mutex);
}

VOID KeAcquireGuardedMutex(PKGUARDED_MUTEX Mutex)
{
    NT_IRQL_MAX(APC_LEVEL);
    KeEnterGuardedRegion();
    acquire(Mutex, __func__, NT_SITE);
}

BOOLEAN KeTryToAcquireGuardedMutex(PKGUARDED_MUTEX Mutex)
{
    NT_IRQL_MAX(APC_LEVEL);
    KeEnterGuardedRegion();
    if (try_acquire(Mutex, NT_SITE))
        return TRUE;
    KeLeaveGuardedRegion();
    return FALSE;
}

VOID KeReleaseGuardedMutex(PKGUARDED_MUTEX Mutex)
{
    NT_IRQL_MAX(APC_LEVEL);
    release(Mutex, __func__, NT_SITE);
    KeLeaveGuardedRegion();
    rt_point();
}

VOID KeAcquireGuardedMutexUnsafe(PKGUARDED_MUTEX Mutex)
{
    NT_IRQL_MAX(APC_LEVEL);
    acquire(Mutex, __func__, NT_SITE);
}

VOID KeReleaseGuardedMutexUnsafe(PKGUARDED_MUTEX Mutex)
{
    NT_IRQL_MAX(APC_LEVEL);
    release(Mutex, __func__, NT_SITE);
    rt_point();
}
