/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resources: locks of readers and writers that know their owners, so that an owner may come again.
 *
 *   ActiveCount   0 free; else how many threads own it
 *   Flag          EXCLUSIVE: one of them owns it alone
 *   OwnerTable    who, and how often: TableSize entries (in OwnerEntry.TableSize), made as they are needed
 *
 * All under k->spin; whoever has to wait sleeps on k->spin_free. A thread is known by rt_self().
 */
#include <stdlib.h>

#include "nt/fault.h"
#include "nt/internal.h"
#include "nt/sanitizers.h"

#define EXCLUSIVE 0x80

static OWNER_ENTRY *entry_of(ERESOURCE *r, ERESOURCE_THREAD thread)
{
    for (ULONG i = 0; i < r->OwnerEntry.TableSize; i++) {
        if (r->OwnerTable[i].OwnerThread == thread)
            return &r->OwnerTable[i];
    }
    return NULL;
}

/* A free entry; NULL: out of memory. */
static OWNER_ENTRY *entry_new(ERESOURCE *r)
{
    OWNER_ENTRY *e = entry_of(r, 0), *more;
    ULONG n = r->OwnerEntry.TableSize;

    if (e != NULL)
        return e;
    more = realloc(r->OwnerTable, (n + 4) * sizeof(*more));
    if (more == NULL)
        return NULL;
    memset(more + n, 0, 4 * sizeof(*more));
    r->OwnerTable = more;
    r->OwnerEntry.TableSize = n + 4;
    return &more[n];
}

/* How a reader stands to writers that wait. */
enum manner { FAIR, BEFORE_WRITERS };

/* Can the thread have it now? */
static bool free_for(const ERESOURCE *r, const OWNER_ENTRY *mine, bool exclusive, enum manner manner)
{
    if (r->ActiveCount == 0)
        return true;
    if ((r->Flag & EXCLUSIVE) != 0)
        return mine != NULL;
    if (exclusive)
        return false;
    return mine != NULL || manner == BEFORE_WRITERS || r->NumberOfExclusiveWaiters == 0;
}

static BOOLEAN acquire(ERESOURCE *r, bool exclusive, BOOLEAN wait, enum manner manner, const char *function,
                       const void *site)
{
    ERESOURCE_THREAD me = (ERESOURCE_THREAD)rt_self();
    struct nt *k = nt_current();
    ULONG *waiters = exclusive ? &r->NumberOfExclusiveWaiters : &r->NumberOfSharedWaiters;
    OWNER_ENTRY *mine;
    BOOLEAN got = FALSE;
    bool first;

    rt_point();
    if (k == NULL)
        return FALSE;
    rt_mutex_lock(k->spin);
    mine = entry_of(r, me);
    if (exclusive && mine != NULL && (r->Flag & EXCLUSIVE) == 0) {
        rt_mutex_unlock(k->spin);
        nt_bug(RESOURCE_NOT_OWNED, NULL, site,
               "%s: the calling thread owns the resource shared and would wait for itself", function);
        return FALSE;
    }
    while (!free_for(r, mine, exclusive, manner)) {
        if (!wait)
            goto out;
        r->ContentionCount++;
        ++*waiters;
        rt_waits_for("a resource");
        rt_cond_wait(k->spin_free, k->spin, RT_FOREVER);
        rt_waits_for(NULL);
        --*waiters;
        mine = entry_of(r, me);
    }
    first = mine == NULL;
    if (first && (mine = entry_new(r)) == NULL)
        goto out;
    if (first) {
        mine->OwnerThread = me;
        mine->OwnerCount = 0;
        r->ActiveCount++;
        if (exclusive)
            r->Flag |= EXCLUSIVE;
    }
    mine->OwnerCount++;
    nt_tsan_acquire(r);
    got = TRUE;
    if (first)
        ledger_open(LEDGER_LOCK, (uintptr_t)r, 0, "resource", site);
out:
    rt_mutex_unlock(k->spin);
    return got;
}

static void release(ERESOURCE *r, ERESOURCE_THREAD thread, const char *function, const void *site)
{
    struct nt *k = nt_current();
    OWNER_ENTRY *mine;
    bool last;

    if (k == NULL)
        return;
    rt_mutex_lock(k->spin);
    mine = entry_of(r, thread);
    if (mine == NULL) {
        rt_mutex_unlock(k->spin);
        nt_bug(RESOURCE_NOT_OWNED, NULL, site, "%s: the thread does not own the resource", function);
        return;
    }
    last = mine->OwnerCount == 1;
    mine->OwnerCount--;
    if (last) {
        ledger_close(LEDGER_LOCK, (uintptr_t)r, site);
        mine->OwnerThread = 0;
        r->ActiveCount--;
        if (r->ActiveCount == 0)
            r->Flag = (USHORT)(r->Flag & ~EXCLUSIVE);
        nt_tsan_release(r);
        rt_cond_broadcast(k->spin_free);
    }
    rt_mutex_unlock(k->spin);
    rt_point();
}

NTSTATUS ExInitializeResourceLite(PERESOURCE Resource)
{
    NT_FAIL_STATUS(ExInitializeResourceLite);
    memset(Resource, 0, sizeof(*Resource));
    InitializeListHead(&Resource->SystemResourcesList);
    return STATUS_SUCCESS;
}

NTSTATUS ExReinitializeResourceLite(PERESOURCE Resource)
{
    NT_IRQL_MAX(APC_LEVEL);
    free(Resource->OwnerTable);
    return ExInitializeResourceLite(Resource);
}

NTSTATUS ExDeleteResourceLite(PERESOURCE Resource)
{
    NT_IRQL_MAX(APC_LEVEL);
    if (Resource->ActiveCount != 0)
        nt_bug(RESOURCE_NOT_OWNED, NULL, NT_SITE, "ExDeleteResourceLite: the resource is owned");
    free(Resource->OwnerTable);
    Resource->OwnerTable = NULL;
    Resource->OwnerEntry.TableSize = 0;
    return STATUS_SUCCESS;
}

BOOLEAN ExAcquireResourceExclusiveLite(PERESOURCE Resource, BOOLEAN Wait)
{
    NT_IRQL_MAX(Wait ? APC_LEVEL : DISPATCH_LEVEL);
    return acquire(Resource, true, Wait, FAIR, __func__, NT_SITE);
}

BOOLEAN ExAcquireResourceSharedLite(PERESOURCE Resource, BOOLEAN Wait)
{
    NT_IRQL_MAX(Wait ? APC_LEVEL : DISPATCH_LEVEL);
    return acquire(Resource, false, Wait, FAIR, __func__, NT_SITE);
}

BOOLEAN ExAcquireSharedStarveExclusive(PERESOURCE Resource, BOOLEAN Wait)
{
    NT_IRQL_MAX(Wait ? APC_LEVEL : DISPATCH_LEVEL);
    return acquire(Resource, false, Wait, BEFORE_WRITERS, __func__, NT_SITE);
}

BOOLEAN ExAcquireSharedWaitForExclusive(PERESOURCE Resource, BOOLEAN Wait)
{
    NT_IRQL_MAX(Wait ? APC_LEVEL : DISPATCH_LEVEL);
    return acquire(Resource, false, Wait, FAIR, __func__, NT_SITE);
}

VOID ExReleaseResourceLite(PERESOURCE Resource)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    release(Resource, (ERESOURCE_THREAD)rt_self(), __func__, NT_SITE);
}

VOID ExReleaseResourceForThreadLite(PERESOURCE Resource, ERESOURCE_THREAD ResourceThreadId)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    release(Resource, ResourceThreadId, __func__, NT_SITE);
}

VOID ExConvertExclusiveToSharedLite(PERESOURCE Resource)
{
    struct nt *k = nt_current();
    bool mine;

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (k == NULL)
        return;
    rt_mutex_lock(k->spin);
    mine = (Resource->Flag & EXCLUSIVE) != 0 && entry_of(Resource, (ERESOURCE_THREAD)rt_self()) != NULL;
    if (mine) {
        Resource->Flag = (USHORT)(Resource->Flag & ~EXCLUSIVE);
        rt_cond_broadcast(k->spin_free);
    }
    rt_mutex_unlock(k->spin);
    if (!mine)
        nt_bug(RESOURCE_NOT_OWNED, NULL, NT_SITE, "ExConvertExclusiveToSharedLite: not owned exclusively");
}

/* How often the calling thread owns it: in either way, or only exclusively. */
static ULONG owned(ERESOURCE *r, bool exclusive)
{
    struct nt *k = nt_current();
    const OWNER_ENTRY *mine;
    ULONG n = 0;

    if (k == NULL)
        return 0;
    rt_mutex_lock(k->spin);
    mine = entry_of(r, (ERESOURCE_THREAD)rt_self());
    if (mine != NULL && (!exclusive || (r->Flag & EXCLUSIVE) != 0))
        n = mine->OwnerCount;
    rt_mutex_unlock(k->spin);
    return n;
}

BOOLEAN ExIsResourceAcquiredExclusiveLite(PERESOURCE Resource)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return owned(Resource, true) != 0;
}

ULONG ExIsResourceAcquiredSharedLite(PERESOURCE Resource)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return owned(Resource, false);
}

ULONG ExGetExclusiveWaiterCount(PERESOURCE Resource)
{
    return __atomic_load_n(&Resource->NumberOfExclusiveWaiters, __ATOMIC_RELAXED);
}

ULONG ExGetSharedWaiterCount(PERESOURCE Resource)
{
    return __atomic_load_n(&Resource->NumberOfSharedWaiters, __ATOMIC_RELAXED);
}

PVOID ExEnterCriticalRegionAndAcquireResourceExclusive(PERESOURCE Resource)
{
    NT_IRQL_MAX(APC_LEVEL);
    KeEnterCriticalRegion();
    acquire(Resource, true, TRUE, FAIR, __func__, NT_SITE);
    return NULL;
}

PVOID ExEnterCriticalRegionAndAcquireResourceShared(PERESOURCE Resource)
{
    NT_IRQL_MAX(APC_LEVEL);
    KeEnterCriticalRegion();
    acquire(Resource, false, TRUE, FAIR, __func__, NT_SITE);
    return NULL;
}

VOID ExReleaseResourceAndLeaveCriticalRegion(PERESOURCE Resource)
{
    NT_IRQL_MAX(APC_LEVEL);
    release(Resource, (ERESOURCE_THREAD)rt_self(), __func__, NT_SITE);
    KeLeaveCriticalRegion();
}

ERESOURCE_THREAD ExGetCurrentResourceThread(VOID)
{
    return (ERESOURCE_THREAD)rt_self();
}
