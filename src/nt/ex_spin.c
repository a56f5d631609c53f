/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks of readers and writers in one word: reader/writer spin locks (EX_SPIN_LOCK) and push locks.
 *
 *   0                            free
 *   n                            n readers
 *   WRITER | number of its thread   (30 bits of rt_self(), mixed: enough to know oneself again)
 *   CONTENDED beside any of them: somebody sleeps on k->spin_free
 *
 * A reader goes before a writer that waits. A writer that comes a second time waits for itself: a finding,
 * and it goes on without the lock.
 */
#include "nt/internal.h"
#include "nt/sanitizers.h"

#define WRITER    0x80000000u
#define CONTENDED 0x40000000u
#define VALUE     0x3fffffffu

typedef volatile uint32_t word;

static uint32_t myself(void)
{
    uint64_t self = (uint64_t)rt_self() * 0x9e3779b97f4a7c15ull;

    return WRITER | (uint32_t)(self >> 34);
}

static bool swap(word *w, uint32_t *was, uint32_t now)
{
    return __atomic_compare_exchange_n(w, was, now, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

/* One try; *was is what it found. */
static bool try_once(word *w, bool exclusive, uint32_t *was)
{
    *was = __atomic_load_n(w, __ATOMIC_ACQUIRE);
    for (;;) {
        if (exclusive ? (*was & ~CONTENDED) != 0 : (*was & WRITER) != 0)
            return false;
        if (swap(w, was, exclusive ? myself() | (*was & CONTENDED) : *was + 1))
            return true;
    }
}

static void wake(struct nt *k)
{
    if (k == NULL)
        return;
    rt_mutex_lock(k->spin);
    rt_cond_broadcast(k->spin_free);
    rt_mutex_unlock(k->spin);
}

static void contend(word *w, bool exclusive, const char *what)
{
    struct nt *k = nt_current();
    uint32_t was;

    if (k == NULL) {
        while (!try_once(w, exclusive, &was))
            rt_yield();
        return;
    }
    rt_waits_for(what);
    rt_mutex_lock(k->spin);
    while (!try_once(w, exclusive, &was)) {
        if ((was & CONTENDED) != 0 || swap(w, &was, was | CONTENDED))
            rt_cond_wait(k->spin_free, k->spin, RT_FOREVER);
    }
    rt_mutex_unlock(k->spin);
    rt_waits_for(NULL);
}

static void acquire(word *w, bool exclusive, const char *what, const char *function, const void *site)
{
    uint32_t was;

    rt_point();
    if (!try_once(w, exclusive, &was)) {
        if ((was & ~CONTENDED) == myself()) {
            nt_bug(SPIN_LOCK_ALREADY_OWNED, NULL, site, "%s: the calling thread holds %s already", function,
                   what);
            return;
        }
        contend(w, exclusive, what);
    }
    nt_tsan_acquire(w);
    ledger_open(LEDGER_LOCK, (uintptr_t)w, 0, what, site);
}

static void release(word *w, bool exclusive, const char *what, const char *function, const void *site)
{
    uint32_t was = __atomic_load_n(w, __ATOMIC_RELAXED), now;
    struct nt *k = nt_current();

    if (exclusive ? (was & ~CONTENDED) != myself() : (was & WRITER) != 0 || (was & VALUE) == 0) {
        nt_bug(SPIN_LOCK_NOT_OWNED, NULL, site, "%s: the calling thread does not hold %s that way", function,
               what);
        return;
    }
    ledger_close(LEDGER_LOCK, (uintptr_t)w, site);
    nt_tsan_release(w);
    do {
        now = exclusive || (was & VALUE) == 1 ? 0 : was - 1;
    } while (!swap(w, &was, now)); /* from here on its memory may be gone */
    if (now == 0 && (was & CONTENDED) != 0)
        wake(k);
}

/* ---- reader/writer spin locks ---------------------------------------------------------------------------
 */
#define NAME "a reader/writer spin lock"

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

KIRQL ExAcquireSpinLockExclusive(PEX_SPIN_LOCK SpinLock)
{
    KIRQL was;

    NT_IRQL_MAX(DISPATCH_LEVEL);
    was = raise();
    acquire((word *)SpinLock, true, NAME, __func__, NT_SITE);
    return was;
}

VOID ExAcquireSpinLockExclusiveAtDpcLevel(PEX_SPIN_LOCK SpinLock)
{
    NT_IRQL_MIN(DISPATCH_LEVEL);
    acquire((word *)SpinLock, true, NAME, __func__, NT_SITE);
}

KIRQL ExAcquireSpinLockShared(PEX_SPIN_LOCK SpinLock)
{
    KIRQL was;

    NT_IRQL_MAX(DISPATCH_LEVEL);
    was = raise();
    acquire((word *)SpinLock, false, NAME, __func__, NT_SITE);
    return was;
}

VOID ExAcquireSpinLockSharedAtDpcLevel(PEX_SPIN_LOCK SpinLock)
{
    NT_IRQL_MIN(DISPATCH_LEVEL);
    acquire((word *)SpinLock, false, NAME, __func__, NT_SITE);
}

VOID ExReleaseSpinLockExclusive(PEX_SPIN_LOCK SpinLock, KIRQL OldIrql)
{
    release((word *)SpinLock, true, NAME, __func__, NT_SITE);
    lower(OldIrql, __func__, NT_SITE);
}

VOID ExReleaseSpinLockExclusiveFromDpcLevel(PEX_SPIN_LOCK SpinLock)
{
    NT_IRQL_MIN(DISPATCH_LEVEL);
    release((word *)SpinLock, true, NAME, __func__, NT_SITE);
    rt_point();
}

VOID ExReleaseSpinLockShared(PEX_SPIN_LOCK SpinLock, KIRQL OldIrql)
{
    release((word *)SpinLock, false, NAME, __func__, NT_SITE);
    lower(OldIrql, __func__, NT_SITE);
}

VOID ExReleaseSpinLockSharedFromDpcLevel(PEX_SPIN_LOCK SpinLock)
{
    NT_IRQL_MIN(DISPATCH_LEVEL);
    release((word *)SpinLock, false, NAME, __func__, NT_SITE);
    rt_point();
}

ULONG ExTryConvertSharedSpinLockExclusive(PEX_SPIN_LOCK SpinLock)
{
    word *w = (word *)SpinLock;
    uint32_t was = __atomic_load_n(w, __ATOMIC_RELAXED);

    NT_IRQL_MIN(DISPATCH_LEVEL);
    rt_point();
    do {
        if ((was & ~CONTENDED) != 1)
            return FALSE;
    } while (!swap(w, &was, myself() | (was & CONTENDED)));
    return TRUE;
}

static BOOLEAN try_acquire(word *w, bool exclusive, const void *site)
{
    uint32_t was;

    rt_point();
    if (!try_once(w, exclusive, &was))
        return FALSE;
    nt_tsan_acquire(w);
    ledger_open(LEDGER_LOCK, (uintptr_t)w, 0, NAME, site);
    return TRUE;
}

BOOLEAN ExTryAcquireSpinLockExclusiveAtDpcLevel(PEX_SPIN_LOCK SpinLock)
{
    NT_IRQL_MIN(DISPATCH_LEVEL);
    return try_acquire((word *)SpinLock, true, NT_SITE);
}

BOOLEAN ExTryAcquireSpinLockSharedAtDpcLevel(PEX_SPIN_LOCK SpinLock)
{
    NT_IRQL_MIN(DISPATCH_LEVEL);
    return try_acquire((word *)SpinLock, false, NT_SITE);
}

/* ---- push locks: the same, below DISPATCH_LEVEL ---------------------------------------------------------
 */
#define PUSH "a push lock"

VOID ExInitializePushLock(PEX_PUSH_LOCK PushLock)
{
    PushLock->Value = 0;
}

VOID ExAcquirePushLockExclusiveEx(PEX_PUSH_LOCK PushLock, ULONG Flags)
{
    (void)Flags;
    NT_IRQL_MAX(APC_LEVEL);
    acquire((word *)&PushLock->Value, true, PUSH, __func__, NT_SITE);
}

VOID ExAcquirePushLockSharedEx(PEX_PUSH_LOCK PushLock, ULONG Flags)
{
    (void)Flags;
    NT_IRQL_MAX(APC_LEVEL);
    acquire((word *)&PushLock->Value, false, PUSH, __func__, NT_SITE);
}

VOID ExReleasePushLockExclusiveEx(PEX_PUSH_LOCK PushLock, ULONG Flags)
{
    (void)Flags;
    NT_IRQL_MAX(APC_LEVEL);
    release((word *)&PushLock->Value, true, PUSH, __func__, NT_SITE);
    rt_point();
}

VOID ExReleasePushLockSharedEx(PEX_PUSH_LOCK PushLock, ULONG Flags)
{
    (void)Flags;
    NT_IRQL_MAX(APC_LEVEL);
    release((word *)&PushLock->Value, false, PUSH, __func__, NT_SITE);
    rt_point();
}

VOID ExReleasePushLockEx(PEX_PUSH_LOCK PushLock, ULONG Flags)
{
    word *w = (word *)&PushLock->Value;

    (void)Flags;
    NT_IRQL_MAX(APC_LEVEL);
    release(w, (__atomic_load_n(w, __ATOMIC_RELAXED) & WRITER) != 0, PUSH, __func__, NT_SITE);
    rt_point();
}
