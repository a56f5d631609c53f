/* SPDX-License-Identifier: Apache-2.0 */
/* Spin locks of every kind, push locks, resources, rundown; interlocked operations, interlocked and sequenced
 * lists. */
#include "nt_lab.h"

#include <stdint.h>
#include <stdlib.h>

#define THREADS 3
#define TAG     0x67615457u /* "WTag" */
#define ROUNDS  200

/* Runs `routine` on some threads at once until all have ended. */
static void on_threads(PKSTART_ROUTINE routine, void *arg)
{
    HANDLE threads[THREADS];

    for (unsigned i = 0; i < THREADS; i++)
        threads[i] = lab_thread(routine, arg);
    for (unsigned i = 0; i < THREADS; i++)
        lab_join(threads[i]);
}

/* ---- spin locks: who has one is alone -------------------------------------------------------------------
 */
struct guarded {
    struct nt_lab *lab;
    KSPIN_LOCK plain, queued;
    EX_SPIN_LOCK rw;
    EX_PUSH_LOCK push;
    LONG plain_count, queued_count, rw_count, push_count;
    volatile LONG readers, most_readers;
};

static VOID use_all(PVOID arg)
{
    struct guarded *g = arg;
    KLOCK_QUEUE_HANDLE handle;
    KIRQL irql;

    for (unsigned i = 0; i < ROUNDS; i++) {
        KeAcquireSpinLock(&g->plain, &irql);
        LAB_CHECK(g->lab, irql == PASSIVE_LEVEL && KeGetCurrentIrql() == DISPATCH_LEVEL);
        g->plain_count++;
        rt_point();
        KeAcquireInStackQueuedSpinLockAtDpcLevel(&g->queued, &handle);
        g->queued_count++;
        KeReleaseInStackQueuedSpinLockFromDpcLevel(&handle);
        KeReleaseSpinLock(&g->plain, irql);
        LAB_CHECK(g->lab, KeGetCurrentIrql() == PASSIVE_LEVEL);
        KeAcquireInStackQueuedSpinLock(&g->queued, &handle);
        g->queued_count++;
        KeReleaseInStackQueuedSpinLock(&handle);
        if (i % 4 == 0) {
            irql = ExAcquireSpinLockExclusive(&g->rw);
            LAB_CHECK(g->lab, InterlockedAdd(&g->readers, 0) == 0);
            g->rw_count++;
            ExReleaseSpinLockExclusive(&g->rw, irql);
            ExAcquirePushLockExclusive(&g->push);
            g->push_count++;
            ExReleasePushLockExclusive(&g->push);
        } else {
            irql = ExAcquireSpinLockShared(&g->rw);
            InterlockedIncrement(&g->readers);
            LAB_CHECK(g->lab, g->rw_count >= 0);
            InterlockedDecrement(&g->readers);
            ExReleaseSpinLockShared(&g->rw, irql);
            ExAcquirePushLockShared(&g->push);
            LAB_CHECK(g->lab, g->push_count >= 0);
            ExReleasePushLockShared(&g->push);
        }
    }
}

static void exclusion_body(struct nt_lab *lab)
{
    struct guarded g = {.lab = lab};

    KeInitializeSpinLock(&g.plain);
    KeInitializeSpinLock(&g.queued);
    ExInitializePushLock(&g.push);
    on_threads(use_all, &g);
    assert_int_equal(g.plain_count, THREADS * ROUNDS);
    assert_int_equal(g.queued_count, 2 * THREADS * ROUNDS);
    assert_int_equal(g.rw_count, THREADS * ROUNDS / 4);
    assert_int_equal(g.push_count, THREADS * ROUNDS / 4);
    assert_int_equal(g.plain, 0);
    assert_int_equal(g.rw, 0);
}

static void locks_exclude(void **state)
{
    (void)state;
    nt_lab_both(exclusion_body, NULL);
}

/* ---- readers are together -------------------------------------------------------------------------------
 */
struct meeting {
    struct nt_lab *lab;
    EX_SPIN_LOCK rw;
    KEVENT both_in;
    volatile LONG in;
};

static VOID meet(PVOID arg)
{
    struct meeting *m = arg;
    KIRQL irql = ExAcquireSpinLockShared(&m->rw);

    if (InterlockedIncrement(&m->in) == THREADS)
        KeSetEvent(&m->both_in, IO_NO_INCREMENT, FALSE);
    while (KeReadStateEvent(&m->both_in) == 0)
        YieldProcessor();
    ExReleaseSpinLockShared(&m->rw, irql);
}

static void meeting_body(struct nt_lab *lab)
{
    struct meeting m = {.lab = lab};

    KeInitializeEvent(&m.both_in, NotificationEvent, FALSE);
    on_threads(meet, &m);
    assert_int_equal(m.in, THREADS);
}

static void readers_share_a_spin_lock(void **state)
{
    (void)state;
    nt_lab_both(meeting_body, NULL);
}

/* ---- misuse is a finding, never a silent hang -----------------------------------------------------------
 */
static void misuse_body(struct nt_lab *lab)
{
    KLOCK_QUEUE_HANDLE handle, other;
    EX_SPIN_LOCK rw = 0;
    EX_PUSH_LOCK push;
    KSPIN_LOCK lock;
    KIRQL irql, again;

    KeInitializeSpinLock(&lock);
    KeAcquireSpinLock(&lock, &irql);
    KeAcquireSpinLock(&lock, &again);
    lab_expect_bug(lab, SPIN_LOCK_ALREADY_OWNED, "holds the spin lock already");
    KeReleaseSpinLock(&lock, again);
    KeReleaseSpinLock(&lock, irql);
    lab_expect_bug(lab, SPIN_LOCK_NOT_OWNED, "does not hold");
    KeAcquireInStackQueuedSpinLock(&lock, &handle);
    KeAcquireInStackQueuedSpinLock(&lock, &other);
    lab_expect_bug(lab, SPIN_LOCK_ALREADY_OWNED, "KeAcquireInStackQueuedSpinLock");
    KeReleaseSpinLock(&lock, PASSIVE_LEVEL);
    lab_expect(lab, LEDGER_NOTE, "of the other kind");
    irql = ExAcquireSpinLockExclusive(&rw);
    ExAcquireSpinLockExclusiveAtDpcLevel(&rw);
    lab_expect_bug(lab, SPIN_LOCK_ALREADY_OWNED, "reader/writer");
    ExAcquireSpinLockSharedAtDpcLevel(&rw);
    lab_expect_bug(lab, SPIN_LOCK_ALREADY_OWNED, "reader/writer");
    ExReleaseSpinLockSharedFromDpcLevel(&rw);
    lab_expect_bug(lab, SPIN_LOCK_NOT_OWNED, "does not hold");
    ExReleaseSpinLockExclusive(&rw, irql);
    ExInitializePushLock(&push);
    ExReleasePushLockShared(&push);
    lab_expect_bug(lab, SPIN_LOCK_NOT_OWNED, "a push lock");
}

static void misuse_of_spin_locks_is_reported(void **state)
{
    (void)state;
    nt_lab_both(misuse_body, NULL);
}

static void trying_body(struct nt_lab *lab)
{
    EX_SPIN_LOCK rw = 0;
    KSPIN_LOCK lock;
    KIRQL irql;

    (void)lab;
    KeInitializeSpinLock(&lock);
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    assert_true(KeTestSpinLock(&lock));
    assert_true(KeTryToAcquireSpinLockAtDpcLevel(&lock));
    assert_false(KeTestSpinLock(&lock));
    assert_false(KeTryToAcquireSpinLockAtDpcLevel(&lock));
    KeReleaseSpinLockFromDpcLevel(&lock);
    assert_true(ExTryAcquireSpinLockSharedAtDpcLevel(&rw));
    assert_true(ExTryAcquireSpinLockSharedAtDpcLevel(&rw));
    assert_false(ExTryAcquireSpinLockExclusiveAtDpcLevel(&rw));
    assert_false(ExTryConvertSharedSpinLockExclusive(&rw));
    ExReleaseSpinLockSharedFromDpcLevel(&rw);
    assert_true(ExTryConvertSharedSpinLockExclusive(&rw));
    assert_false(ExTryAcquireSpinLockSharedAtDpcLevel(&rw));
    ExReleaseSpinLockExclusiveFromDpcLevel(&rw);
    assert_int_equal(rw, 0);
    KeLowerIrql(irql);
}

static void trying_does_not_wait(void **state)
{
    (void)state;
    nt_lab_both(trying_body, NULL);
}

/* A lock that is kept at unload is what the driver owes. */
static void kept_body(struct nt_lab *lab)
{
    KSPIN_LOCK *lock = lab->arg;

    KeInitializeSpinLock(lock);
    lab->keep_left = true;
    KeAcquireSpinLockRaiseToDpc(lock);
    KeLowerIrql(PASSIVE_LEVEL);
}

static void a_lock_that_is_kept_is_owed(void **state)
{
    static struct nt_lab out;
    KSPIN_LOCK lock;

    (void)state;
    nt_lab_run(&(struct nt_lab_world){.name = "simulated", .simulated = true}, kept_body, &lock, &out);
    assert_int_equal(out.settled, 1);
    assert_int_equal(out.last_kind, LEDGER_LOCK);
}

/* ---- rundown --------------------------------------------------------------------------------------------
 */
struct runner {
    struct nt_lab *lab;
    EX_RUNDOWN_REF *ref;
    volatile LONG inside, refused, gone, started;
};

static VOID use_until_refused(PVOID arg)
{
    struct runner *r = arg;

    InterlockedIncrement(&r->started);
    while (ExAcquireRundownProtection(r->ref)) {
        InterlockedIncrement(&r->inside);
        LAB_CHECK(r->lab, InterlockedAdd(&r->gone, 0) == 0);
        YieldProcessor();
        InterlockedDecrement(&r->inside);
        ExReleaseRundownProtection(r->ref);
        YieldProcessor();
    }
    InterlockedIncrement(&r->refused);
}

static void rundown_body(struct nt_lab *lab)
{
    EX_RUNDOWN_REF ref;
    struct runner r = {.lab = lab, .ref = &ref};
    PEX_RUNDOWN_REF_CACHE_AWARE aware;
    LARGE_INTEGER pause = lab_ms(2);
    HANDLE threads[THREADS];

    ExInitializeRundownProtection(&ref);
    for (unsigned i = 0; i < THREADS; i++)
        threads[i] = lab_thread(use_until_refused, &r);
    while (InterlockedAdd(&r.started, 0) < THREADS)
        KeDelayExecutionThread(KernelMode, FALSE, &pause);
    ExWaitForRundownProtectionRelease(&ref);
    assert_int_equal(InterlockedExchange(&r.gone, 1), 0);
    assert_int_equal(InterlockedAdd(&r.inside, 0), 0);
    for (unsigned i = 0; i < THREADS; i++)
        lab_join(threads[i]);
    assert_int_equal(r.refused, THREADS);
    assert_false(ExAcquireRundownProtectionEx(&ref, 3));
    ExReInitializeRundownProtection(&ref);
    assert_true(ExAcquireRundownProtectionEx(&ref, 3));
    ExReleaseRundownProtectionEx(&ref, 2);
    ExReleaseRundownProtection(&ref);
    ExReleaseRundownProtection(&ref);
    lab_expect_bug(lab, KMODE_EXCEPTION_NOT_HANDLED, "more often");
    ExRundownCompleted(&ref);
    assert_false(ExAcquireRundownProtection(&ref));
    aware = ExAllocateCacheAwareRundownProtection(NonPagedPoolNx, TAG);
    assert_non_null(aware);
    assert_true(ExAcquireRundownProtectionCacheAware(aware));
    ExReleaseRundownProtectionCacheAware(aware);
    ExWaitForRundownProtectionReleaseCacheAware(aware);
    assert_false(ExAcquireRundownProtectionCacheAware(aware));
    ExFreeCacheAwareRundownProtection(aware);
}

static void rundown_waits_for_users_and_refuses_new_ones(void **state)
{
    (void)state;
    nt_lab_both(rundown_body, NULL);
}

/* ---- remove locks ---------------------------------------------------------------------------------------
 */
struct device {
    struct nt_lab *lab;
    IO_REMOVE_LOCK lock;
    KEVENT taken, go;
    volatile LONG gone;
};

static VOID works_on(PVOID arg)
{
    struct device *d = arg;

    assert_int_equal(IoAcquireRemoveLock(&d->lock, arg), STATUS_SUCCESS);
    KeSetEvent(&d->taken, IO_NO_INCREMENT, FALSE);
    (void)KeWaitForSingleObject(&d->go, Executive, KernelMode, FALSE, NULL);
    LAB_CHECK(d->lab, InterlockedAdd(&d->gone, 0) == 0);
    IoReleaseRemoveLock(&d->lock, arg);
}

static VOID lets_go_later(PVOID arg)
{
    struct device *d = arg;
    LARGE_INTEGER pause = lab_ms(2);

    KeDelayExecutionThread(KernelMode, FALSE, &pause);
    KeSetEvent(&d->go, IO_NO_INCREMENT, FALSE);
}

static void removal_body(struct nt_lab *lab)
{
    struct device d = {.lab = lab};
    HANDLE user, later;
    KIRQL irql;

    IoInitializeRemoveLock(&d.lock, TAG, 0, 0);
    KeInitializeEvent(&d.taken, NotificationEvent, FALSE);
    KeInitializeEvent(&d.go, NotificationEvent, FALSE);
    user = lab_thread(works_on, &d);
    (void)KeWaitForSingleObject(&d.taken, Executive, KernelMode, FALSE, NULL);
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    assert_int_equal(IoAcquireRemoveLock(&d.lock, NULL), STATUS_SUCCESS);
    assert_int_equal(IoAcquireRemoveLock(&d.lock, NULL), STATUS_SUCCESS);
    IoReleaseRemoveLock(&d.lock, NULL);
    KeLowerIrql(irql);
    IoReleaseRemoveLock(&d.lock, &irql);
    lab_expect(lab, LEDGER_UNKNOWN, ""); /* taken with another tag: still held */
    later = lab_thread(lets_go_later, &d);
    IoReleaseRemoveLockAndWait(&d.lock, NULL);
    InterlockedExchange(&d.gone, 1);
    assert_int_equal(IoAcquireRemoveLock(&d.lock, NULL), STATUS_DELETE_PENDING);
    lab_join(user);
    lab_join(later);
    IoReleaseRemoveLock(&d.lock, NULL);
    lab_expect(lab, LEDGER_TWICE, "");
}

static void removal_waits_for_those_at_work(void **state)
{
    (void)state;
    nt_lab_both(removal_body, NULL);
}

/* ---- resources ------------------------------------------------------------------------------------------
 */
struct library {
    struct nt_lab *lab;
    ERESOURCE resource;
    LONG edition;
};

static VOID read_and_write(PVOID arg)
{
    struct library *l = arg;

    for (unsigned i = 0; i < ROUNDS; i++) {
        KeEnterCriticalRegion();
        if (i % 5 == 0) {
            LAB_CHECK(l->lab, ExAcquireResourceExclusiveLite(&l->resource, TRUE));
            LAB_CHECK(l->lab, ExAcquireResourceExclusiveLite(&l->resource, TRUE)); /* again */
            LAB_CHECK(l->lab, ExIsResourceAcquiredExclusiveLite(&l->resource));
            l->edition++;
            ExReleaseResourceLite(&l->resource);
            ExReleaseResourceLite(&l->resource);
        } else {
            LAB_CHECK(l->lab, ExAcquireResourceSharedLite(&l->resource, TRUE));
            LAB_CHECK(l->lab, ExIsResourceAcquiredSharedLite(&l->resource) == 1);
            LAB_CHECK(l->lab, l->edition >= 0);
            ExReleaseResourceLite(&l->resource);
        }
        KeLeaveCriticalRegion();
    }
}

static void resource_body(struct nt_lab *lab)
{
    struct library l = {.lab = lab};

    assert_int_equal(ExInitializeResourceLite(&l.resource), STATUS_SUCCESS);
    on_threads(read_and_write, &l);
    assert_int_equal(l.edition, THREADS * ROUNDS / 5);
    assert_true(ExAcquireResourceSharedLite(&l.resource, FALSE));
    assert_false(ExAcquireResourceExclusiveLite(&l.resource, FALSE));
    lab_expect_bug(lab, RESOURCE_NOT_OWNED, "wait for itself");
    ExReleaseResourceLite(&l.resource);
    ExReleaseResourceLite(&l.resource);
    lab_expect_bug(lab, RESOURCE_NOT_OWNED, "does not own");
    ExEnterCriticalRegionAndAcquireResourceExclusive(&l.resource);
    assert_true(KeAreApcsDisabled());
    ExConvertExclusiveToSharedLite(&l.resource);
    assert_false(ExIsResourceAcquiredExclusiveLite(&l.resource));
    assert_int_equal(ExIsResourceAcquiredLite(&l.resource), 1);
    ExReleaseResourceAndLeaveCriticalRegion(&l.resource);
    assert_false(KeAreApcsDisabled());
    KeLeaveCriticalRegion();
    lab_expect_bug(lab, APC_INDEX_MISMATCH, "KeLeaveCriticalRegion");
    assert_int_equal(ExDeleteResourceLite(&l.resource), STATUS_SUCCESS);
}

static void resource_has_one_writer_or_many_readers(void **state)
{
    (void)state;
    nt_lab_both(resource_body, NULL);
}

/* ---- interlocked operations -----------------------------------------------------------------------------
 */
struct counters {
    struct nt_lab *lab;
    volatile CHAR c8;
    volatile SHORT c16;
    volatile LONG c32, toggles;
    volatile LONG64 c64;
    PVOID volatile pointer;
};

static VOID count(PVOID arg)
{
    struct counters *c = arg;

    for (unsigned i = 0; i < ROUNDS; i++) {
        InterlockedIncrement16(&c->c16);
        InterlockedExchangeAdd(&c->c32, 3);
        InterlockedDecrement(&c->c32);
        InterlockedAdd64(&c->c64, 5);
        InterlockedDecrement64(&c->c64);
        InterlockedXor(&c->toggles, 1);
    }
}

static void interlocked_body(struct nt_lab *lab)
{
    struct counters c = {.lab = lab};
    LONG bits[2] = {0, 0};
    int one, two;

    on_threads(count, &c);
    assert_int_equal(c.c16, THREADS * ROUNDS);
    assert_int_equal(c.c32, 2 * THREADS * ROUNDS);
    assert_true(c.c64 == 4 * THREADS * ROUNDS);
    assert_int_equal(c.toggles, THREADS * ROUNDS % 2);
    c.c32 = 7;
    assert_int_equal(InterlockedIncrement(&c.c32), 8);
    assert_int_equal(InterlockedDecrement(&c.c32), 7);
    assert_int_equal(InterlockedExchange(&c.c32, 9), 7);
    assert_int_equal(InterlockedExchangeAdd(&c.c32, 2), 9);
    assert_int_equal(InterlockedAdd(&c.c32, 2), 13);
    assert_int_equal(InterlockedCompareExchange(&c.c32, 1, 12), 13);
    assert_int_equal(c.c32, 13);
    assert_int_equal(InterlockedCompareExchange(&c.c32, 1, 13), 13);
    assert_int_equal(InterlockedOr(&c.c32, 6), 1);
    assert_int_equal(InterlockedAnd(&c.c32, 5), 7);
    assert_int_equal(InterlockedXor(&c.c32, 1), 5);
    assert_int_equal(c.c32, 4);
    c.c32 = INT32_MAX; /* they wrap */
    c.c64 = INT64_MAX;
    c.c16 = INT16_MAX;
    assert_int_equal(InterlockedIncrement(&c.c32), INT32_MIN);
    assert_int_equal(InterlockedDecrement(&c.c32), INT32_MAX);
    assert_int_equal(InterlockedExchangeAdd(&c.c32, INT32_MIN), INT32_MAX);
    assert_int_equal(c.c32, -1);
    assert_true(InterlockedAdd64(&c.c64, 2) == INT64_MIN + 1);
    assert_true(InterlockedCompareExchange64(&c.c64, 5, INT64_MIN) == INT64_MIN + 1);
    assert_true(InterlockedCompareExchange64(&c.c64, 5, INT64_MIN + 1) == INT64_MIN + 1);
    assert_true(c.c64 == 5);
    assert_int_equal(InterlockedIncrement16(&c.c16), INT16_MIN);
    assert_int_equal(InterlockedCompareExchange16(&c.c16, -1, 0), INT16_MIN);
    assert_int_equal(InterlockedCompareExchange16(&c.c16, -1, INT16_MIN), INT16_MIN);
    assert_int_equal(c.c16, -1);
    assert_int_equal(_InterlockedExchange8(&c.c8, 3), 0);
    assert_int_equal(_InterlockedOr8(&c.c8, 8), 3);
    assert_int_equal(_InterlockedAnd8(&c.c8, 9), 11);
    assert_int_equal(c.c8, 9);
    assert_null(InterlockedExchangePointer(&c.pointer, &one));
    assert_ptr_equal(InterlockedCompareExchangePointer(&c.pointer, &two, NULL), &one);
    assert_ptr_equal(InterlockedCompareExchangePointer(&c.pointer, &two, &one), &one);
    assert_ptr_equal(c.pointer, &two);
    assert_int_equal(InterlockedBitTestAndSet(bits, 35), 0);
    assert_int_equal(bits[1], 8);
    assert_int_equal(InterlockedBitTestAndSet(bits, 35), 1);
    assert_int_equal(InterlockedBitTestAndReset(bits, 35), 1);
    assert_int_equal(bits[1], 0);
    WriteRelease(&c.c32, 77);
    KeMemoryBarrier();
    assert_int_equal(ReadAcquire(&c.c32), 77);
}

static void interlocked_operations_count(void **state)
{
    (void)state;
    nt_lab_both(interlocked_body, NULL);
}

/* Between a plain read and a plain write another may come; never inside an interlocked operation. */
static VOID lose(PVOID arg)
{
    struct counters *c = arg;

    for (unsigned i = 0; i < ROUNDS; i++) {
        LONG seen = ReadNoFence(&c->c32);

        WriteNoFence(&c->c32, seen + 1);
        InterlockedIncrement64(&c->c64);
    }
}

static void lost_body(struct nt_lab *lab)
{
    struct counters *c = lab->arg;

    on_threads(lose, c);
}

static void preemption_finds_a_lost_update(void **state)
{
    struct counters c = {0};

    (void)state;
    nt_lab_run(
        &(struct nt_lab_world){
            .name = "preempted", .simulated = true, .shuffle = true, .preempt = 2, .seed = 5},
        lost_body, &c, NULL);
    assert_true(c.c64 == THREADS * ROUNDS);
    assert_true(c.c32 < THREADS * ROUNDS);
}

/* ---- lists ----------------------------------------------------------------------------------------------
 */
struct node {
    SLIST_ENTRY s; /* aligned to 16 */
    LIST_ENTRY l;
    SINGLE_LIST_ENTRY one;
    LONG number;
};
struct shelf {
    struct nt_lab *lab;
    SLIST_HEADER sequenced;
    LIST_ENTRY list;
    SINGLE_LIST_ENTRY single;
    KSPIN_LOCK lock;
    volatile LONG moved;
};
#define NODES 16

static VOID shuffle_nodes(PVOID arg)
{
    struct shelf *s = arg;

    for (unsigned i = 0; i < ROUNDS; i++) {
        PSLIST_ENTRY e = InterlockedPopEntrySList(&s->sequenced);
        PLIST_ENTRY l = ExInterlockedRemoveHeadList(&s->list, &s->lock);
        PSINGLE_LIST_ENTRY one = ExInterlockedPopEntryList(&s->single, &s->lock);

        if (e != NULL) {
            CONTAINING_RECORD(e, struct node, s)->number++; /* it is ours alone */
            InterlockedIncrement(&s->moved);
            InterlockedPushEntrySList(&s->sequenced, e);
        }
        if (l != NULL)
            ExInterlockedInsertTailList(&s->list, l, &s->lock);
        if (one != NULL)
            ExInterlockedPushEntryList(&s->single, one, &s->lock);
    }
}

static void lists_body(struct nt_lab *lab)
{
    struct node *nodes = ExAllocatePool2(POOL_FLAG_NON_PAGED, NODES * sizeof(*nodes), TAG);
    struct shelf s = {.lab = lab};
    LARGE_INTEGER sum = {.QuadPart = 5}, more = {.QuadPart = -7};
    unsigned n = 0;
    LONG numbers = 0;

    assert_non_null(nodes);
    InitializeSListHead(&s.sequenced);
    InitializeListHead(&s.list);
    s.single.Next = NULL;
    KeInitializeSpinLock(&s.lock);
    assert_null(InterlockedPopEntrySList(&s.sequenced));
    assert_null(ExInterlockedRemoveHeadList(&s.list, &s.lock));
    assert_null(ExInterlockedInsertHeadList(&s.list, &nodes[0].l, &s.lock));
    assert_ptr_equal(ExInterlockedInsertHeadList(&s.list, &nodes[1].l, &s.lock), &nodes[0].l);
    assert_ptr_equal(ExInterlockedInsertTailList(&s.list, &nodes[2].l, &s.lock), &nodes[0].l);
    for (unsigned i = 0; i < NODES; i++) {
        assert_ptr_equal(InterlockedPushEntrySList(&s.sequenced, &nodes[i].s),
                         i == 0 ? NULL : &nodes[i - 1].s);
        PushEntryList(&s.single, &nodes[i].one);
        if (i > 2)
            InsertTailList(&s.list, &nodes[i].l);
    }
    assert_int_equal(ExQueryDepthSList(&s.sequenced), NODES);
    on_threads(shuffle_nodes, &s);
    assert_int_equal(ExQueryDepthSList(&s.sequenced), NODES);
    for (PSLIST_ENTRY e = ExInterlockedFlushSList(&s.sequenced); e != NULL; e = e->Next, n++)
        numbers += CONTAINING_RECORD(e, struct node, s)->number;
    assert_int_equal(n, NODES);
    assert_int_equal(numbers, s.moved);
    assert_int_equal(ExQueryDepthSList(&s.sequenced), 0);
    assert_null(FirstEntrySList(&s.sequenced));
    for (n = 0; !IsListEmpty(&s.list); n++)
        RemoveHeadList(&s.list);
    assert_int_equal(n, NODES);
    for (n = 0; PopEntryList(&s.single) != NULL; n++)
        ;
    assert_int_equal(n, NODES);
    assert_true(ExInterlockedAddLargeInteger(&sum, more, &s.lock).QuadPart == 5);
    assert_true(sum.QuadPart == -2);
    ExFreePoolWithTag(nodes, TAG);
}

static void lists_lose_nothing(void **state)
{
    (void)state;
    nt_lab_both(lists_body, NULL);
}

static void list_order(void **state)
{
    LIST_ENTRY head, tail, a, b, c;

    (void)state;
    InitializeListHead(&head);
    assert_true(IsListEmpty(&head));
    InsertTailList(&head, &a);
    InsertHeadList(&head, &b);
    InsertTailList(&head, &c);
    assert_ptr_equal(head.Flink, &b);
    assert_ptr_equal(head.Blink, &c);
    assert_false(RemoveEntryList(&a));
    assert_ptr_equal(RemoveTailList(&head), &c);
    assert_true(RemoveEntryList(&b));
    InitializeListHead(&tail);
    InsertTailList(&tail, &a);
    InsertTailList(&tail, &b);
    InsertTailList(&head, &c);
    RemoveEntryList(&tail); /* the others are a list without a head */
    AppendTailList(&head, &a);
    assert_ptr_equal(head.Flink, &c);
    assert_ptr_equal(c.Flink, &a);
    assert_ptr_equal(head.Blink, &b);
    assert_ptr_equal(b.Flink, &head);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(locks_exclude),
        cmocka_unit_test(readers_share_a_spin_lock),
        cmocka_unit_test(misuse_of_spin_locks_is_reported),
        cmocka_unit_test(trying_does_not_wait),
        cmocka_unit_test(a_lock_that_is_kept_is_owed),
        cmocka_unit_test(rundown_waits_for_users_and_refuses_new_ones),
        cmocka_unit_test(removal_waits_for_those_at_work),
        cmocka_unit_test(resource_has_one_writer_or_many_readers),
        cmocka_unit_test(interlocked_operations_count),
        cmocka_unit_test(preemption_finds_a_lost_update),
        cmocka_unit_test(lists_lose_nothing),
        cmocka_unit_test(list_order),
    };

    return cmocka_run_group_tests_name("nt_locks", tests, NULL, NULL);
}
