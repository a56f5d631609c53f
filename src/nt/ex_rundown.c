/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rundown protection: who uses an object says so, and whoever will take it away waits until nobody does.
 *
 *   Count: 2 for each who uses it; the lowest bit once ExWaitForRundownProtectionRelease() was called: nobody
 * new
 *
 * Who waits sleeps on k->spin_free, as those do who wait for a spin lock; the last user wakes it.
 */
#include "nt/fault.h"
#include "nt/internal.h"
#include "nt/sanitizers.h"

#define ACTIVE ((ULONG_PTR)1)
#define ONE    ((ULONG_PTR)2)

static bool acquire(PEX_RUNDOWN_REF r, ULONG_PTR count)
{
    ULONG_PTR was = __atomic_load_n(&r->Count, __ATOMIC_RELAXED);

    rt_point();
    do {
        if ((was & ACTIVE) != 0)
            return false;
    } while (!__atomic_compare_exchange_n(&r->Count, &was, was + count * ONE, true, __ATOMIC_ACQ_REL,
                                          __ATOMIC_RELAXED));
    return true;
}

static void release(PEX_RUNDOWN_REF r, ULONG_PTR count, const char *function, const void *site)
{
    struct nt *k = nt_current();
    ULONG_PTR was = __atomic_load_n(&r->Count, __ATOMIC_RELAXED);

    rt_point();
    nt_tsan_release(r);
    do {
        if (was / ONE < count) {
            nt_bug(KMODE_EXCEPTION_NOT_HANDLED, NULL, site, "%s: given back more often than taken", function);
            return;
        }
    } while (!__atomic_compare_exchange_n(&r->Count, &was, was - count * ONE, true, __ATOMIC_ACQ_REL,
                                          __ATOMIC_RELAXED));
    if (was - count * ONE == ACTIVE && k != NULL) { /* its memory may be gone by now */
        rt_mutex_lock(k->spin);
        rt_cond_broadcast(k->spin_free);
        rt_mutex_unlock(k->spin);
    }
}

static void wait_for_release(PEX_RUNDOWN_REF r)
{
    struct nt *k = nt_current();

    rt_point();
    __atomic_or_fetch(&r->Count, ACTIVE, __ATOMIC_ACQ_REL);
    if (k == NULL) {
        while (__atomic_load_n(&r->Count, __ATOMIC_ACQUIRE) != ACTIVE)
            rt_yield();
        return;
    }
    rt_waits_for("rundown protection to be released");
    rt_mutex_lock(k->spin);
    while (__atomic_load_n(&r->Count, __ATOMIC_ACQUIRE) != ACTIVE)
        rt_cond_wait(k->spin_free, k->spin, RT_FOREVER);
    rt_mutex_unlock(k->spin);
    rt_waits_for(NULL);
    nt_tsan_acquire(r);
}

VOID ExInitializeRundownProtection(PEX_RUNDOWN_REF RunRef)
{
    __atomic_store_n(&RunRef->Count, 0, __ATOMIC_RELEASE);
}

VOID ExReInitializeRundownProtection(PEX_RUNDOWN_REF RunRef)
{
    __atomic_store_n(&RunRef->Count, 0, __ATOMIC_RELEASE);
}

BOOLEAN ExAcquireRundownProtection(PEX_RUNDOWN_REF RunRef)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return acquire(RunRef, 1);
}

BOOLEAN ExAcquireRundownProtectionEx(PEX_RUNDOWN_REF RunRef, ULONG Count)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return acquire(RunRef, Count);
}

VOID ExReleaseRundownProtection(PEX_RUNDOWN_REF RunRef)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    release(RunRef, 1, __func__, NT_SITE);
}

VOID ExReleaseRundownProtectionEx(PEX_RUNDOWN_REF RunRef, ULONG Count)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    release(RunRef, Count, __func__, NT_SITE);
}

VOID ExWaitForRundownProtectionRelease(PEX_RUNDOWN_REF RunRef)
{
    NT_IRQL_MAX(APC_LEVEL);
    wait_for_release(RunRef);
}

VOID ExRundownCompleted(PEX_RUNDOWN_REF RunRef)
{
    __atomic_store_n(&RunRef->Count, ACTIVE, __ATOMIC_RELEASE);
}

/* ---- by processor: one count does for all ---------------------------------------------------------------
 */
struct _EX_RUNDOWN_REF_CACHE_AWARE {
    EX_RUNDOWN_REF one;
};

SIZE_T ExSizeOfRundownProtectionCacheAware(VOID)
{
    return sizeof(struct _EX_RUNDOWN_REF_CACHE_AWARE);
}

PEX_RUNDOWN_REF_CACHE_AWARE ExAllocateCacheAwareRundownProtection(POOL_TYPE PoolType, ULONG PoolTag)
{
    NT_FAIL_NULL(ExAllocateCacheAwareRundownProtection);
    (void)PoolType;
    NT_IRQL_MAX(APC_LEVEL);
    return nt_pool_alloc(sizeof(struct _EX_RUNDOWN_REF_CACHE_AWARE), PoolTag, NT_SITE);
}

VOID ExInitializeRundownProtectionCacheAware(PEX_RUNDOWN_REF_CACHE_AWARE RunRefCacheAware, SIZE_T RunRefSize)
{
    (void)RunRefSize;
    ExInitializeRundownProtection(&RunRefCacheAware->one);
}

VOID ExReInitializeRundownProtectionCacheAware(PEX_RUNDOWN_REF_CACHE_AWARE RunRefCacheAware)
{
    ExReInitializeRundownProtection(&RunRefCacheAware->one);
}

VOID ExFreeCacheAwareRundownProtection(PEX_RUNDOWN_REF_CACHE_AWARE RunRefCacheAware)
{
    nt_pool_free(RunRefCacheAware, NT_SITE);
}

BOOLEAN ExAcquireRundownProtectionCacheAware(PEX_RUNDOWN_REF_CACHE_AWARE RunRefCacheAware)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return acquire(&RunRefCacheAware->one, 1);
}

VOID ExReleaseRundownProtectionCacheAware(PEX_RUNDOWN_REF_CACHE_AWARE RunRefCacheAware)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    release(&RunRefCacheAware->one, 1, __func__, NT_SITE);
}

BOOLEAN ExAcquireRundownProtectionCacheAwareEx(PEX_RUNDOWN_REF_CACHE_AWARE RunRefCacheAware, ULONG Count)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return acquire(&RunRefCacheAware->one, Count);
}

VOID ExReleaseRundownProtectionCacheAwareEx(PEX_RUNDOWN_REF_CACHE_AWARE RunRefCacheAware, ULONG Count)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    release(&RunRefCacheAware->one, Count, __func__, NT_SITE);
}

VOID ExWaitForRundownProtectionReleaseCacheAware(PEX_RUNDOWN_REF_CACHE_AWARE RunRefCacheAware)
{
    NT_IRQL_MAX(APC_LEVEL);
    wait_for_release(&RunRefCacheAware->one);
}

VOID ExRundownCompletedCacheAware(PEX_RUNDOWN_REF_CACHE_AWARE RunRefCacheAware)
{
    ExRundownCompleted(&RunRefCacheAware->one);
}
