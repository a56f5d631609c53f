/* SPDX-License-Identifier: Apache-2.0 */
/* What runs later: DPCs, timers, work items, system threads; and that unloading waits for it. */
#include "nt_lab.h"

static void pause_ms(int64_t ms)
{
    LARGE_INTEGER interval = lab_ms(ms);

    KeDelayExecutionThread(KernelMode, FALSE, &interval);
}

static void wait_for(KEVENT *event)
{
    assert_int_equal(KeWaitForSingleObject(event, Executive, KernelMode, FALSE, NULL), STATUS_SUCCESS);
}

/* ---- DPCs -----------------------------------------------------------------------------------------------
 */
struct deferred {
    struct nt_lab *lab;
    KDPC dpc, second;
    KEVENT done, gate;
    KTIMER timer;
    volatile LONG runs, threaded;
    KIRQL irql;
    void *one, *two;
};

static VOID dpc_routine(PKDPC dpc, PVOID context, PVOID one, PVOID two)
{
    struct deferred *d = context;

    LAB_CHECK(d->lab, dpc == &d->dpc);
    LAB_CHECK(d->lab, rt_current() == &d->lab->context);
    d->irql = KeGetCurrentIrql();
    d->one = one;
    d->two = two;
    InterlockedIncrement(&d->runs);
    KeSetEvent(&d->done, IO_NO_INCREMENT, FALSE);
}

static void dpc_body(struct nt_lab *lab)
{
    struct deferred d = {.lab = lab};
    int one, two;

    KeInitializeEvent(&d.done, SynchronizationEvent, FALSE);
    KeInitializeDpc(&d.dpc, dpc_routine, &d);
    for (unsigned i = 1; i <= 50; i++) {
        assert_true(KeInsertQueueDpc(&d.dpc, &one, &two));
        wait_for(&d.done);
        assert_int_equal(InterlockedAdd(&d.runs, 0), i);
        assert_int_equal(d.irql, DISPATCH_LEVEL);
        assert_ptr_equal(d.one, &one);
        assert_ptr_equal(d.two, &two);
    }
    KeInitializeThreadedDpc(&d.dpc, dpc_routine, &d);
    KeSetImportanceDpc(&d.dpc, HighImportance);
    assert_true(KeInsertQueueDpc(&d.dpc, NULL, NULL));
    wait_for(&d.done);
    assert_int_equal(d.irql, PASSIVE_LEVEL);
    KeInsertQueueDpc(&d.dpc, NULL, NULL);
    KeFlushQueuedDpcs();
    assert_int_equal(InterlockedAdd(&d.runs, 0), 52);
    memset(&d.dpc, 0, sizeof(d.dpc));
    assert_false(KeInsertQueueDpc(&d.dpc, NULL, NULL));
    lab_expect_bug(lab, IRQL_NOT_LESS_OR_EQUAL, "never initialised");
}

static void dpc_runs_at_dispatch_level(void **state)
{
    (void)state;
    nt_lab_both(dpc_body, NULL);
}

static VOID holds_the_queue(PKDPC dpc, PVOID context, PVOID one, PVOID two)
{
    struct deferred *d = context;

    (void)dpc;
    (void)one;
    (void)two;
    KeSetEvent(&d->done, IO_NO_INCREMENT, FALSE);
    while (KeReadStateEvent(&d->gate) == 0)
        YieldProcessor();
}

static VOID counts(PKDPC dpc, PVOID context, PVOID one, PVOID two)
{
    struct deferred *d = context;

    (void)dpc;
    (void)one;
    (void)two;
    InterlockedIncrement(&d->runs);
}

/* While a DPC of the same processor runs, another stays in the queue: once, and can be taken out. */
static void dpc_queue_body(struct nt_lab *lab)
{
    struct deferred d = {.lab = lab};

    KeInitializeEvent(&d.done, SynchronizationEvent, FALSE);
    KeInitializeEvent(&d.gate, NotificationEvent, FALSE);
    KeInitializeDpc(&d.dpc, holds_the_queue, &d);
    KeInitializeDpc(&d.second, counts, &d);
    KeSetTargetProcessorDpc(&d.dpc, 1);
    KeSetTargetProcessorDpc(&d.second, 1);
    assert_false(KeRemoveQueueDpc(&d.second));
    assert_true(KeInsertQueueDpc(&d.dpc, NULL, NULL));
    wait_for(&d.done);
    assert_true(KeInsertQueueDpc(&d.second, NULL, NULL));
    assert_false(KeInsertQueueDpc(&d.second, NULL, NULL));
    assert_true(KeRemoveQueueDpc(&d.second));
    assert_false(KeRemoveQueueDpc(&d.second));
    assert_true(KeInsertQueueDpc(&d.second, NULL, NULL));
    KeSetEvent(&d.gate, IO_NO_INCREMENT, FALSE);
    KeFlushQueuedDpcs();
    assert_int_equal(InterlockedAdd(&d.runs, 0), 1);
}

static void dpc_is_queued_once_and_can_be_removed(void **state)
{
    (void)state;
    nt_lab_both(dpc_queue_body, NULL);
}

/* ---- timers ---------------------------------------------------------------------------------------------
 */
static void timer_body(struct nt_lab *lab)
{
    struct deferred d = {.lab = lab};
    LARGE_INTEGER before, after, due;
    KTIMER manual, automatic;

    KeInitializeTimer(&manual);
    KeInitializeTimerEx(&automatic, SynchronizationTimer);
    KeQuerySystemTimePrecise(&before);
    assert_false(KeSetTimer(&manual, lab_ms(10), NULL));
    assert_true(KeSetTimer(&manual, lab_ms(20), NULL)); /* again, from the start */
    assert_false(KeReadStateTimer(&manual));
    assert_int_equal(KeWaitForSingleObject(&manual, Executive, KernelMode, FALSE, NULL), STATUS_SUCCESS);
    KeQuerySystemTimePrecise(&after);
    assert_true(after.QuadPart - before.QuadPart >= 20 * 10000);
    assert_true(KeReadStateTimer(&manual));
    assert_false(KeCancelTimer(&manual));
    due.QuadPart = after.QuadPart + 10 * 10000; /* absolute */
    assert_false(KeSetTimer(&manual, due, NULL));
    assert_int_equal(KeWaitForSingleObject(&manual, Executive, KernelMode, FALSE, NULL), STATUS_SUCCESS);
    KeQuerySystemTimePrecise(&after);
    assert_true(after.QuadPart >= due.QuadPart);
    KeSetTimer(&automatic, lab_ms(1), NULL);
    assert_int_equal(KeWaitForSingleObject(&automatic, Executive, KernelMode, FALSE, NULL), STATUS_SUCCESS);
    assert_false(KeReadStateTimer(&automatic));
    assert_false(KeSetTimer(&automatic, lab_ms(100000), NULL));
    assert_true(KeCancelTimer(&automatic));
    assert_false(KeCancelTimer(&automatic));
    /* With a DPC; periodic. */
    KeInitializeEvent(&d.done, SynchronizationEvent, FALSE);
    KeInitializeDpc(&d.dpc, dpc_routine, &d);
    KeInitializeTimerEx(&d.timer, SynchronizationTimer);
    KeQuerySystemTimePrecise(&before);
    KeSetTimerEx(&d.timer, lab_ms(5), 10, &d.dpc);
    for (unsigned i = 0; i < 4; i++)
        wait_for(&d.done);
    KeQuerySystemTimePrecise(&after);
    assert_true(KeCancelTimer(&d.timer));
    KeFlushQueuedDpcs();
    assert_true(after.QuadPart - before.QuadPart >= 35 * 10000);
    if (lab->simulated)
        assert_true(after.QuadPart - before.QuadPart <= 35 * 10000 + 10);
    KeSetCoalescableTimer(&d.timer, lab_ms(3), 0, 50, &d.dpc);
    wait_for(&d.done);
    memset(&manual, 0, sizeof(manual));
    assert_false(KeSetTimer(&manual, lab_ms(1), NULL));
    lab_expect_bug(lab, IRQL_NOT_LESS_OR_EQUAL, "never initialised");
}

static void timers_expire_once_or_again(void **state)
{
    (void)state;
    nt_lab_both(timer_body, NULL);
}

/* Timers expire in the order of their time, whatever the order they were set in. */
#define TIMERS 12
struct alarm {
    struct nt_lab *lab;
    KTIMER timer;
    KDPC dpc;
    unsigned number;
    volatile LONG *next;
    KEVENT *last;
};

static VOID rings(PKDPC dpc, PVOID context, PVOID one, PVOID two)
{
    struct alarm *a = context;
    LONG turn = InterlockedIncrement(a->next) - 1;

    (void)dpc;
    (void)one;
    (void)two;
    LAB_CHECK(a->lab, turn == (LONG)a->number);
    if (turn == TIMERS - 1)
        KeSetEvent(a->last, IO_NO_INCREMENT, FALSE);
}

static void order_body(struct nt_lab *lab)
{
    static struct alarm alarms[TIMERS];
    volatile LONG next = 0;
    KEVENT last;

    KeInitializeEvent(&last, NotificationEvent, FALSE);
    for (unsigned i = 0; i < TIMERS; i++) {
        unsigned n = (i * 5) % TIMERS;

        alarms[n] = (struct alarm){.lab = lab, .number = n, .next = &next, .last = &last};
        KeInitializeTimer(&alarms[n].timer);
        KeInitializeDpc(&alarms[n].dpc, rings, &alarms[n]);
        KeSetTimer(&alarms[n].timer, lab_ms(20 + 3 * n), &alarms[n].dpc);
    }
    wait_for(&last);
}

static void timers_expire_in_order(void **state)
{
    (void)state;
    nt_lab_both(order_body, NULL);
}

/* ---- timers that the system allocates -------------------------------------------------------------------
 */
struct ticking {
    struct nt_lab *lab;
    volatile LONG ticks, deleted;
    KEVENT ticked;
};

static VOID ticks(PEX_TIMER timer, PVOID context)
{
    struct ticking *t = context;

    LAB_CHECK(t->lab, timer != NULL && KeGetCurrentIrql() == DISPATCH_LEVEL);
    LAB_CHECK(t->lab, InterlockedAdd(&t->deleted, 0) == 0);
    InterlockedIncrement(&t->ticks);
    KeSetEvent(&t->ticked, IO_NO_INCREMENT, FALSE);
}

static VOID deleted(PVOID context)
{
    struct ticking *t = context;

    KeSetEvent(&t->ticked, IO_NO_INCREMENT, FALSE);
    InterlockedIncrement(&t->deleted); /* from now on t may go */
}

static void ex_timer_body(struct nt_lab *lab)
{
    LARGE_INTEGER soon = {.QuadPart = -10000};
    struct ticking t = {.lab = lab};
    EXT_DELETE_PARAMETERS parameters;
    EXT_SET_PARAMETERS tolerance;
    PEX_TIMER timer;

    KeInitializeEvent(&t.ticked, SynchronizationEvent, FALSE);
    timer = ExAllocateTimer(ticks, &t, EX_TIMER_HIGH_RESOLUTION);
    assert_non_null(timer);
    ExInitializeSetTimerParameters(&tolerance);
    assert_false(ExSetTimer(timer, -20000, 30000, &tolerance));
    for (unsigned i = 0; i < 3; i++)
        wait_for(&t.ticked);
    assert_true(ExCancelTimer(timer, NULL));
    assert_false(ExCancelTimer(timer, NULL));
    assert_false(ExSetTimer(timer, -10000000, 0, NULL));
    assert_true(ExDeleteTimer(timer, TRUE, TRUE, NULL));
    assert_in_range(InterlockedAdd(&t.ticks, 0), 3, lab->simulated ? 3 : 1000);
    timer = ExAllocateTimer(ticks, &t, EX_TIMER_NOTIFICATION);
    assert_non_null(timer);
    assert_false(ExSetTimer(timer, -10000, 0, NULL));
    assert_int_equal(KeWaitForSingleObject(timer, Executive, KernelMode, FALSE, NULL), STATUS_SUCCESS);
    wait_for(&t.ticked);
    ExInitializeDeleteTimerParameters(&parameters);
    parameters.DeleteCallback = deleted;
    parameters.DeleteContext = &t;
    assert_false(ExDeleteTimer(timer, TRUE, FALSE, &parameters));
    while (InterlockedAdd(&t.deleted, 0) == 0)
        KeDelayExecutionThread(KernelMode, FALSE, &soon);
    assert_int_equal(t.deleted, 1);
}

static void allocated_timers_call_back_and_go(void **state)
{
    (void)state;
    nt_lab_both(ex_timer_body, NULL);
}

/* ---- work items -----------------------------------------------------------------------------------------
 */
struct job {
    struct nt_lab *lab;
    WORK_QUEUE_ITEM item;
    KEVENT done, *needs, *gives;
    volatile LONG *count;
    KIRQL irql;
    bool again;
};

static VOID work(PVOID parameter)
{
    struct job *j = parameter;

    j->irql = KeGetCurrentIrql();
    LAB_CHECK(j->lab, rt_current() == &j->lab->context);
    if (j->needs != NULL)
        LAB_CHECK(j->lab,
                  KeWaitForSingleObject(j->needs, Executive, KernelMode, FALSE, NULL) == STATUS_SUCCESS);
    if (j->gives != NULL)
        KeSetEvent(j->gives, IO_NO_INCREMENT, FALSE);
    if (j->again) {
        j->again = false;
        ExQueueWorkItem(&j->item, DelayedWorkQueue); /* from its own routine: it is idle */
        return;
    }
    if (j->count != NULL)
        InterlockedIncrement(j->count);
    KeSetEvent(&j->done, IO_NO_INCREMENT, FALSE);
}

static void job_init(struct job *j, struct nt_lab *lab)
{
    *j = (struct job){.lab = lab};
    ExInitializeWorkItem(&j->item, work, j);
    KeInitializeEvent(&j->done, NotificationEvent, FALSE);
}

static void work_body(struct nt_lab *lab)
{
    struct job j;

    job_init(&j, lab);
    j.again = true;
    ExQueueWorkItem(&j.item, DelayedWorkQueue);
    wait_for(&j.done);
    assert_int_equal(j.irql, PASSIVE_LEVEL);
    memset(&j.item, 0, sizeof(j.item));
    ExQueueWorkItem(&j.item, DelayedWorkQueue);
    lab_expect_bug(lab, WORKER_INVALID, "never initialised");
}

static void work_items_run_at_passive_level(void **state)
{
    (void)state;
    nt_lab_both(work_body, NULL);
}

/* Each item waits for what the one queued after it does: more of them than there are workers. */
#define CHAIN 12
static void chain_body(struct nt_lab *lab)
{
    static struct job jobs[CHAIN];
    KEVENT links[CHAIN];
    volatile LONG count = 0;

    for (unsigned i = 0; i < CHAIN; i++) {
        KeInitializeEvent(&links[i], NotificationEvent, FALSE);
        job_init(&jobs[i], lab);
        jobs[i].count = &count;
        jobs[i].gives = &links[i];
        jobs[i].needs = i + 1 < CHAIN ? &links[i + 1] : NULL;
    }
    for (unsigned i = 0; i < CHAIN; i++)
        ExQueueWorkItem(&jobs[i].item, i % 2 == 0 ? DelayedWorkQueue : CriticalWorkQueue);
    for (unsigned i = 0; i < CHAIN; i++)
        wait_for(&jobs[i].done);
    assert_int_equal(count, CHAIN);
}

static void work_that_waits_for_work_gets_on(void **state)
{
    (void)state;
    nt_lab_both(chain_body, NULL);
}

/* ---- threads --------------------------------------------------------------------------------------------
 */
struct worker {
    struct nt_lab *lab;
    CLIENT_ID id;
    KEVENT named;
    volatile LONG ran;
};

static __attribute__((noinline)) void deep(struct worker *w, unsigned levels)
{
    volatile char room[64];

    memset((char *)room, (int)levels, sizeof(room));
    if (levels == 0) {
        InterlockedIncrement(&w->ran);
        PsTerminateSystemThread(STATUS_CANCELLED);
        LAB_CHECK(w->lab, false); /* it does not return */
        return;
    }
    deep(w, levels - 1);
    LAB_CHECK(w->lab, room[0] == 0);
}

static VOID ends_deep(PVOID arg)
{
    struct worker *w = arg;

    KeWaitForSingleObject(&w->named, Executive, KernelMode, FALSE, NULL);
    LAB_CHECK(w->lab, PsGetCurrentThreadId() == w->id.UniqueThread);
    LAB_CHECK(w->lab, PsGetCurrentProcessId() == w->id.UniqueProcess);
    LAB_CHECK(w->lab, PsIsSystemThread(PsGetCurrentThread()));
    LAB_CHECK(w->lab, KeSetBasePriorityThread(KeGetCurrentThread(), 2) == 0);
    LAB_CHECK(w->lab, KeSetBasePriorityThread(KeGetCurrentThread(), 1) == 2);
    deep(w, 20);
}

static VOID ends_raised(PVOID arg)
{
    KIRQL irql;

    (void)arg;
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
}

static void thread_body(struct nt_lab *lab)
{
    struct worker w = {.lab = lab};
    PETHREAD object, found;
    HANDLE thread = NULL;

    KeInitializeEvent(&w.named, NotificationEvent, FALSE);
    assert_int_equal(PsCreateSystemThread(&thread, THREAD_ALL_ACCESS, NULL, NULL, &w.id, ends_deep, &w),
                     STATUS_SUCCESS);
    assert_int_equal(ObReferenceObjectByHandle(thread, THREAD_ALL_ACCESS, *PsThreadType, KernelMode,
                                               (void **)&object, NULL),
                     STATUS_SUCCESS);
    ZwClose(thread);
    assert_int_equal(PsGetThreadExitStatus(object), STATUS_PENDING);
    KeSetEvent(&w.named, IO_NO_INCREMENT, FALSE);
    assert_int_equal(KeWaitForSingleObject(object, Executive, KernelMode, FALSE, NULL), STATUS_SUCCESS);
    assert_int_equal(w.ran, 1);
    assert_int_equal(PsGetThreadExitStatus(object), STATUS_CANCELLED);
    assert_ptr_equal(PsGetThreadId(object), w.id.UniqueThread);
    ObDereferenceObject(object);
    assert_int_equal(PsLookupThreadByThreadId(PsGetCurrentThreadId(), &found), STATUS_SUCCESS);
    assert_ptr_equal(found, PsGetCurrentThread());
    ObDereferenceObject(found);
    assert_int_equal(PsLookupThreadByThreadId((HANDLE)(uintptr_t)0x7ffc, &found), STATUS_INVALID_CID);
    assert_int_equal(PsTerminateSystemThread(STATUS_SUCCESS),
                     STATUS_INVALID_PARAMETER); /* this one is none */
    lab_join(lab_thread(ends_raised, NULL));
    lab_expect(lab, LEDGER_NOTE, "ends at IRQL 2");
}

static void thread_ends_where_it_says_so(void **state)
{
    (void)state;
    nt_lab_both(thread_body, NULL);
}

/* ---- unloading ------------------------------------------------------------------------------------------
 */
struct late {
    struct nt_lab *lab;
    struct job job;
    struct deferred d;
    KEVENT never;
    volatile LONG finished;
    KTIMER timer;
};

static VOID late_thread(PVOID arg)
{
    struct late *l = arg;

    pause_ms(30);
    InterlockedIncrement(&l->finished);
}

static VOID late_work(PVOID arg)
{
    late_thread(arg);
}

static void late_body(struct nt_lab *lab)
{
    struct late *l = lab->arg;

    memset(l, 0, sizeof(*l));
    l->lab = lab;
    ZwClose(lab_thread(late_thread, l));
    ExInitializeWorkItem(&l->job.item, late_work, l);
    ExQueueWorkItem(&l->job.item, DelayedWorkQueue);
    l->d.lab = lab;
    KeInitializeEvent(&l->d.done, NotificationEvent, FALSE);
    KeInitializeDpc(&l->d.dpc, dpc_routine, &l->d);
    KeInitializeTimer(&l->d.timer);
    KeSetTimer(&l->d.timer, lab_ms(40), &l->d.dpc);
    assert_int_equal(InterlockedAdd(&l->finished, 0), 0);
}

static void unload_waits_for_what_is_under_way(void **state)
{
    static struct late l;
    static const struct nt_lab_world worlds[] = {{.name = "simulated", .simulated = true}, {.name = "real"}};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        nt_lab_run(&worlds[i], late_body, &l, NULL);
        assert_int_equal(l.finished, 2);
        assert_int_equal(l.d.runs, 1);
    }
}

static void endless_body(struct nt_lab *lab)
{
    struct late *l = lab->arg;

    memset(l, 0, sizeof(*l));
    lab->keep_left = true;
    KeInitializeTimer(&l->timer);
    KeInitializeDpc(&l->d.dpc, counts, &l->d);
    KeSetTimerEx(&l->timer, lab_ms(1), 5, &l->d.dpc);
}

static void unload_gives_up_on_what_never_ends(void **state)
{
    static struct late l;
    static struct nt_lab out;
    static const struct nt_lab_world worlds[] = {{.name = "simulated", .simulated = true}, {.name = "real"}};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        nt_lab_run(&worlds[i], endless_body, &l, &out);
        assert_int_equal(out.unload_status, STATUS_TIMEOUT);
        assert_true(out.settled >= 1);
        assert_true(l.d.runs >= 3);
    }
}

/* ---- memory that goes too early -------------------------------------------------------------------------
 */
static void early_body(struct nt_lab *lab)
{
    struct deferred *d = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof(*d), 1);
    struct deferred holder = {.lab = lab};
    struct job *j;
    KDPC *dpc;

    assert_non_null(d);
    KeInitializeTimer(&d->timer);
    KeSetTimer(&d->timer, lab_ms(1000000), NULL);
    ExFreePool(d);
    lab_expect_bug(lab, BAD_POOL_CALLER, "a timer that is set");
    dpc = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof(*dpc), 1);
    assert_non_null(dpc);
    KeInitializeDpc(dpc, counts, &holder);
    KeInitializeTimer(&holder.timer);
    KeSetTimer(&holder.timer, lab_ms(10), dpc);
    ExFreePool(dpc);
    lab_expect_bug(lab, BAD_POOL_CALLER, "the DPC of a timer");
    assert_int_equal(KeWaitForSingleObject(&holder.timer, Executive, KernelMode, FALSE, NULL),
                     STATUS_SUCCESS);
    /* Behind a DPC that runs, on the same processor. */
    KeInitializeEvent(&holder.done, SynchronizationEvent, FALSE);
    KeInitializeEvent(&holder.gate, NotificationEvent, FALSE);
    KeInitializeDpc(&holder.dpc, holds_the_queue, &holder);
    KeSetTargetProcessorDpc(&holder.dpc, 0);
    KeInsertQueueDpc(&holder.dpc, NULL, NULL);
    wait_for(&holder.done);
    dpc = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof(*dpc), 1);
    assert_non_null(dpc);
    KeInitializeDpc(dpc, counts, &holder);
    KeSetTargetProcessorDpc(dpc, 0);
    KeInsertQueueDpc(dpc, NULL, NULL);
    ExFreePool(dpc);
    lab_expect_bug(lab, BAD_POOL_CALLER, "a DPC that is queued");
    KeSetEvent(&holder.gate, IO_NO_INCREMENT, FALSE);
    KeFlushQueuedDpcs();
    assert_int_equal(holder.runs, 0);
    if (!lab->simulated) /* there a worker may be faster */
        return;
    j = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof(*j), 1);
    assert_non_null(j);
    job_init(j, lab);
    j->count = &holder.runs;
    ExQueueWorkItem(&j->item, DelayedWorkQueue);
    ExFreePool(j);
    lab_expect_bug(lab, BAD_POOL_CALLER, "a work item that is queued");
}

static void memory_with_something_queued_in_it_is_reported(void **state)
{
    (void)state;
    nt_lab_both(early_body, NULL);
}

/* ---- the same seed, the same order ----------------------------------------------------------------------
 */
static VOID traces_dpc(PKDPC dpc, PVOID context, PVOID one, PVOID two)
{
    (void)dpc;
    (void)two;
    lab_trace(context, "dpc %u", (unsigned)(uintptr_t)one);
}

static VOID traces_work(PVOID context)
{
    struct job *j = context;

    lab_trace(j->lab, "work %u at %llu", (unsigned)(uintptr_t)j->count, KeQueryInterruptTime());
    KeSetEvent(&j->done, IO_NO_INCREMENT, FALSE);
}

static void mixed_body(struct nt_lab *lab)
{
    static struct job jobs[6];
    static KDPC dpcs[6];
    UUID uuid;

    for (unsigned i = 0; i < 6; i++) {
        job_init(&jobs[i], lab);
        jobs[i].item.WorkerRoutine = traces_work;
        jobs[i].count = (volatile LONG *)(uintptr_t)i; /* only its number */
        KeInitializeDpc(&dpcs[i], traces_dpc, lab);
        KeSetTargetProcessorDpc(&dpcs[i], (CCHAR)(i % 3));
        ExQueueWorkItem(&jobs[i].item, i % 3 == 0 ? CriticalWorkQueue : DelayedWorkQueue);
        KeInsertQueueDpc(&dpcs[i], (void *)(uintptr_t)i, NULL);
    }
    KeFlushQueuedDpcs();
    for (unsigned i = 0; i < 6; i++)
        wait_for(&jobs[i].done);
    assert_int_equal(ExUuidCreate(&uuid), STATUS_SUCCESS);
    lab_trace(lab, "%08x on %u", (unsigned)uuid.Data1, (unsigned)KeGetCurrentProcessorNumber());
}

static void same_seed_same_order(void **state)
{
    (void)state;
    assert_in_range(nt_lab_same(mixed_body, NULL, 6), 1, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dpc_runs_at_dispatch_level),
        cmocka_unit_test(dpc_is_queued_once_and_can_be_removed),
        cmocka_unit_test(timers_expire_once_or_again),
        cmocka_unit_test(timers_expire_in_order),
        cmocka_unit_test(allocated_timers_call_back_and_go),
        cmocka_unit_test(work_items_run_at_passive_level),
        cmocka_unit_test(work_that_waits_for_work_gets_on),
        cmocka_unit_test(thread_ends_where_it_says_so),
        cmocka_unit_test(unload_waits_for_what_is_under_way),
        cmocka_unit_test(unload_gives_up_on_what_never_ends),
        cmocka_unit_test(memory_with_something_queued_in_it_is_reported),
        cmocka_unit_test(same_seed_same_order),
    };

    return cmocka_run_group_tests_name("nt_deferred", tests, NULL, NULL);
}
