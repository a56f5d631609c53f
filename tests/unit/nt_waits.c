/* SPDX-License-Identifier: Apache-2.0 */
/* Dispatcher objects: events, semaphores, mutexes, queues, threads; waits for one and for several; time-outs.
 */
#include "nt_lab.h"

static NTSTATUS wait(void *object, int64_t ms)
{
    LARGE_INTEGER timeout = lab_ms(ms);

    return KeWaitForSingleObject(object, Executive, KernelMode, FALSE, ms < 0 ? NULL : &timeout);
}

/* ---- events ---------------------------------------------------------------------------------------------
 */
static void events_body(struct nt_lab *lab)
{
    KEVENT manual, automatic;

    (void)lab;
    KeInitializeEvent(&manual, NotificationEvent, FALSE);
    KeInitializeEvent(&automatic, SynchronizationEvent, TRUE);
    assert_int_equal(wait(&manual, 0), STATUS_TIMEOUT);
    assert_int_equal(KeSetEvent(&manual, IO_NO_INCREMENT, FALSE), 0);
    assert_int_equal(KeSetEvent(&manual, IO_NO_INCREMENT, FALSE), 1);
    assert_int_equal(wait(&manual, 0), STATUS_SUCCESS);
    assert_int_equal(wait(&manual, -1), STATUS_SUCCESS); /* it stays */
    assert_int_equal(KeReadStateEvent(&manual), 1);
    assert_int_equal(KeResetEvent(&manual), 1);
    assert_int_equal(KeResetEvent(&manual), 0);
    assert_int_equal(wait(&automatic, -1), STATUS_SUCCESS);
    assert_int_equal(KeReadStateEvent(&automatic), 0); /* taken */
    assert_int_equal(wait(&automatic, 0), STATUS_TIMEOUT);
    KeSetEvent(&automatic, IO_NO_INCREMENT, FALSE);
    KeClearEvent(&automatic);
    assert_int_equal(wait(&automatic, 0), STATUS_TIMEOUT);
    assert_int_equal(KePulseEvent(&manual, IO_NO_INCREMENT, FALSE), 0);
    assert_int_equal(KeReadStateEvent(&manual), 0);
}

static void events_keep_and_lose_their_state(void **state)
{
    (void)state;
    nt_lab_both(events_body, NULL);
}

/* ---- many threads at one event --------------------------------------------------------------------------
 */
#define WAITERS 8
struct crowd {
    struct nt_lab *lab;
    KEVENT event, all_in;
    volatile LONG waiting, through;
};

static VOID in_crowd(PVOID arg)
{
    struct crowd *c = arg;

    if (InterlockedIncrement(&c->waiting) == WAITERS)
        KeSetEvent(&c->all_in, IO_NO_INCREMENT, FALSE);
    LAB_CHECK(c->lab, wait(&c->event, -1) == STATUS_SUCCESS);
    InterlockedIncrement(&c->through);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

static void crowd_body(struct nt_lab *lab)
{
    EVENT_TYPE type = *(EVENT_TYPE *)lab->arg;
    HANDLE threads[WAITERS];
    struct crowd c = {.lab = lab};
    LARGE_INTEGER pause = lab_ms(20);

    KeInitializeEvent(&c.event, type, FALSE);
    KeInitializeEvent(&c.all_in, NotificationEvent, FALSE);
    for (unsigned i = 0; i < WAITERS; i++)
        threads[i] = lab_thread(in_crowd, &c);
    assert_int_equal(wait(&c.all_in, -1), STATUS_SUCCESS);
    KeDelayExecutionThread(KernelMode, FALSE, &pause); /* the last one sleeps now too */
    KeSetEvent(&c.event, IO_NO_INCREMENT, FALSE);
    while (InterlockedAdd(&c.through, 0) == 0)
        KeDelayExecutionThread(KernelMode, FALSE, &pause);
    KeDelayExecutionThread(KernelMode, FALSE, &pause);
    if (type == SynchronizationEvent)
        assert_int_equal(InterlockedAdd(&c.through, 0), 1);
    while (type == SynchronizationEvent && InterlockedAdd(&c.through, 0) < WAITERS) {
        KeSetEvent(&c.event, IO_NO_INCREMENT, FALSE);
        pause = lab_ms(1);
        KeDelayExecutionThread(KernelMode, FALSE, &pause);
    }
    for (unsigned i = 0; i < WAITERS; i++)
        lab_join(threads[i]);
    assert_int_equal(c.through, WAITERS);
}

static void notification_lets_all_go_synchronization_one(void **state)
{
    EVENT_TYPE type;

    (void)state;
    type = NotificationEvent;
    nt_lab_both(crowd_body, &type);
    type = SynchronizationEvent;
    nt_lab_both(crowd_body, &type);
}

/* ---- an event on the waiter's stack, as drivers have it -------------------------------------------------
 */
struct request {
    KEVENT *done;
    LONG answer;
};
struct server {
    struct nt_lab *lab;
    KEVENT asked, taken;
    struct request *request;
};
#define REQUESTS 200

static VOID serve(PVOID arg)
{
    struct server *s = arg;

    for (unsigned i = 0; i < REQUESTS; i++) {
        LAB_CHECK(s->lab, wait(&s->asked, -1) == STATUS_SUCCESS);
        s->request->answer = (LONG)i;
        KeSetEvent(s->request->done, IO_NO_INCREMENT, FALSE); /* from here on it may be gone */
    }
}

static __attribute__((noinline)) LONG ask(struct server *s)
{
    struct request r;
    KEVENT done;

    KeInitializeEvent(&done, NotificationEvent, FALSE);
    r.done = &done;
    s->request = &r;
    KeSetEvent(&s->asked, IO_NO_INCREMENT, FALSE);
    assert_int_equal(wait(&done, -1), STATUS_SUCCESS);
    memset(&done, 0xee, sizeof(done));
    return r.answer;
}

static void stack_body(struct nt_lab *lab)
{
    struct server s = {.lab = lab};
    HANDLE thread;

    KeInitializeEvent(&s.asked, SynchronizationEvent, FALSE);
    thread = lab_thread(serve, &s);
    for (unsigned i = 0; i < REQUESTS; i++)
        assert_int_equal(ask(&s), i);
    lab_join(thread);
}

static void event_may_live_on_the_waiters_stack(void **state)
{
    (void)state;
    nt_lab_both(stack_body, NULL);
}

/* ---- time-outs ------------------------------------------------------------------------------------------
 */
static void timeouts_body(struct nt_lab *lab)
{
    LARGE_INTEGER before, after, absolute, interval = lab_ms(30);
    KEVENT never;

    KeInitializeEvent(&never, NotificationEvent, FALSE);
    KeQuerySystemTimePrecise(&before);
    assert_int_equal(wait(&never, 20), STATUS_TIMEOUT);
    KeQuerySystemTimePrecise(&after);
    assert_true(after.QuadPart - before.QuadPart >= 20 * 10000);
    if (lab->simulated) /* virtual time: to the deadline and no further, but for the question's 100 ns */
        assert_true(after.QuadPart - before.QuadPart <= 20 * 10000 + 10);
    KeQuerySystemTimePrecise(&before);
    absolute.QuadPart = before.QuadPart + 10 * 10000;
    assert_int_equal(KeWaitForSingleObject(&never, Executive, KernelMode, FALSE, &absolute), STATUS_TIMEOUT);
    KeQuerySystemTimePrecise(&after);
    assert_true(after.QuadPart >= absolute.QuadPart);
    absolute.QuadPart = before.QuadPart - 10; /* past */
    assert_int_equal(KeWaitForSingleObject(&never, Executive, KernelMode, FALSE, &absolute), STATUS_TIMEOUT);
    KeQuerySystemTimePrecise(&before);
    assert_int_equal(KeDelayExecutionThread(KernelMode, FALSE, &interval), STATUS_SUCCESS);
    KeQuerySystemTimePrecise(&after);
    assert_true(after.QuadPart - before.QuadPart >= 30 * 10000);
    interval.QuadPart = 0;
    assert_int_equal(KeDelayExecutionThread(KernelMode, FALSE, &interval), STATUS_SUCCESS);
}

static void timeouts_relative_absolute_and_past(void **state)
{
    (void)state;
    nt_lab_both(timeouts_body, NULL);
}

/* ---- several objects ------------------------------------------------------------------------------------
 */
static void several_body(struct nt_lab *lab)
{
    LARGE_INTEGER none = {.QuadPart = 0};
    KWAIT_BLOCK blocks[5];
    KSEMAPHORE semaphore;
    KEVENT events[4];
    void *all[5] = {&events[0], &events[1], &events[2], &events[3], &semaphore};

    (void)lab;
    for (unsigned i = 0; i < 4; i++)
        KeInitializeEvent(&events[i], SynchronizationEvent, FALSE);
    KeInitializeSemaphore(&semaphore, 2, 3);
    assert_int_equal(KeWaitForMultipleObjects(2, all, WaitAny, Executive, KernelMode, FALSE, &none, NULL),
                     STATUS_TIMEOUT);
    KeSetEvent(&events[1], IO_NO_INCREMENT, FALSE);
    assert_int_equal(KeWaitForMultipleObjects(3, all, WaitAny, Executive, KernelMode, FALSE, NULL, NULL),
                     STATUS_WAIT_1);
    assert_int_equal(KeReadStateEvent(&events[1]), 0);
    assert_int_equal(KeWaitForMultipleObjects(5, all, WaitAny, Executive, KernelMode, FALSE, NULL, blocks),
                     STATUS_WAIT_0 + 4);
    assert_int_equal(KeReadStateSemaphore(&semaphore), 1);
    /* All: nothing is taken until all can be. */
    for (unsigned i = 0; i < 3; i++)
        KeSetEvent(&events[i], IO_NO_INCREMENT, FALSE);
    assert_int_equal(KeWaitForMultipleObjects(5, all, WaitAll, Executive, KernelMode, FALSE, &none, blocks),
                     STATUS_TIMEOUT);
    assert_int_equal(KeReadStateEvent(&events[0]), 1);
    KeSetEvent(&events[3], IO_NO_INCREMENT, FALSE);
    assert_int_equal(KeWaitForMultipleObjects(5, all, WaitAll, Executive, KernelMode, FALSE, NULL, blocks),
                     STATUS_WAIT_0);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(KeReadStateEvent(&events[i]), 0);
    assert_int_equal(KeReadStateSemaphore(&semaphore), 0);
}

static void any_takes_one_all_takes_all_or_none(void **state)
{
    (void)state;
    nt_lab_both(several_body, NULL);
}

struct philosopher {
    struct nt_lab *lab;
    KMUTEX *left, *right;
    LONG *meals; /* of the two forks' users: guarded by both */
};
#define TABLE 4
#define MEALS 40

static VOID dine(PVOID arg)
{
    struct philosopher *p = arg;
    void *both[2] = {p->left, p->right};

    for (unsigned i = 0; i < MEALS; i++) {
        LAB_CHECK(p->lab, KeWaitForMultipleObjects(2, both, WaitAll, Executive, KernelMode, FALSE, NULL,
                                                   NULL) == STATUS_WAIT_0);
        ++*p->meals;
        KeReleaseMutex(p->left, FALSE);
        KeReleaseMutex(p->right, FALSE);
    }
}

static void dining_body(struct nt_lab *lab)
{
    struct philosopher seats[TABLE];
    HANDLE threads[TABLE];
    KMUTEX forks[TABLE];
    LONG meals[TABLE] = {0};

    for (unsigned i = 0; i < TABLE; i++)
        KeInitializeMutex(&forks[i], 0);
    for (unsigned i = 0; i < TABLE; i++) {
        seats[i] = (struct philosopher){lab, &forks[i], &forks[(i + 1) % TABLE], &meals[i]};
        threads[i] = lab_thread(dine, &seats[i]);
    }
    for (unsigned i = 0; i < TABLE; i++)
        lab_join(threads[i]);
    for (unsigned i = 0; i < TABLE; i++) {
        assert_int_equal(meals[i], MEALS);
        assert_int_equal(KeReadStateMutex(&forks[i]), 1);
    }
}

static void waiting_for_all_never_holds_some(void **state)
{
    (void)state;
    nt_lab_both(dining_body, NULL);
}

/* ---- semaphores -----------------------------------------------------------------------------------------
 */
static void semaphore_body(struct nt_lab *lab)
{
    KSEMAPHORE s;

    KeInitializeSemaphore(&s, 1, 3);
    assert_int_equal(wait(&s, 0), STATUS_SUCCESS);
    assert_int_equal(wait(&s, 0), STATUS_TIMEOUT);
    assert_int_equal(KeReleaseSemaphore(&s, IO_NO_INCREMENT, 2, FALSE), 0);
    assert_int_equal(KeReleaseSemaphore(&s, IO_NO_INCREMENT, 1, FALSE), 2);
    assert_int_equal(KeReleaseSemaphore(&s, IO_NO_INCREMENT, 1, FALSE), 3);
    lab_expect_bug(lab, KMODE_EXCEPTION_NOT_HANDLED, "limit");
    assert_int_equal(KeReadStateSemaphore(&s), 3);
}

static void semaphore_counts_to_its_limit(void **state)
{
    (void)state;
    nt_lab_both(semaphore_body, NULL);
}

/* ---- mutexes --------------------------------------------------------------------------------------------
 */
struct owned {
    struct nt_lab *lab;
    KMUTEX mutex;
    KEVENT taken, give;
    LONG counter;
};

static VOID take_and_keep(PVOID arg)
{
    struct owned *o = arg;

    LAB_CHECK(o->lab, wait(&o->mutex, -1) == STATUS_SUCCESS);
    KeSetEvent(&o->taken, IO_NO_INCREMENT, FALSE);
    LAB_CHECK(o->lab, wait(&o->give, -1) == STATUS_SUCCESS);
    KeReleaseMutex(&o->mutex, FALSE);
}

static VOID take_and_end(PVOID arg)
{
    struct owned *o = arg;

    LAB_CHECK(o->lab, wait(&o->mutex, -1) == STATUS_SUCCESS);
}

static void mutex_body(struct nt_lab *lab)
{
    struct owned o = {.lab = lab};
    HANDLE thread;

    KeInitializeMutex(&o.mutex, 0);
    KeInitializeEvent(&o.taken, NotificationEvent, FALSE);
    KeInitializeEvent(&o.give, NotificationEvent, FALSE);
    assert_int_equal(wait(&o.mutex, 0), STATUS_SUCCESS);
    assert_int_equal(wait(&o.mutex, 0), STATUS_SUCCESS); /* its owner may */
    assert_int_equal(KeReadStateMutex(&o.mutex), -1);
    assert_int_equal(KeReleaseMutex(&o.mutex, FALSE), -1);
    assert_int_equal(KeReleaseMutex(&o.mutex, FALSE), 0);
    assert_int_equal(KeReadStateMutex(&o.mutex), 1);
    KeReleaseMutex(&o.mutex, FALSE);
    lab_expect_bug(lab, KMODE_EXCEPTION_NOT_HANDLED, "does not own");
    thread = lab_thread(take_and_keep, &o);
    assert_int_equal(wait(&o.taken, -1), STATUS_SUCCESS);
    assert_int_equal(wait(&o.mutex, 5), STATUS_TIMEOUT);
    KeReleaseMutex(&o.mutex, FALSE);
    lab_expect_bug(lab, KMODE_EXCEPTION_NOT_HANDLED, "does not own");
    KeSetEvent(&o.give, IO_NO_INCREMENT, FALSE);
    assert_int_equal(wait(&o.mutex, -1), STATUS_SUCCESS);
    KeReleaseMutex(&o.mutex, FALSE);
    lab_join(thread);
    /* Who ends and holds one leaves it to the others, and is reported. */
    lab_join(lab_thread(take_and_end, &o));
    lab_expect_bug(lab, THREAD_TERMINATE_HELD_MUTEX, "holds a mutex");
    assert_int_equal(wait(&o.mutex, 0), STATUS_SUCCESS);
    KeReleaseMutex(&o.mutex, FALSE);
}

static void mutex_has_an_owner_who_may_come_again(void **state)
{
    (void)state;
    nt_lab_both(mutex_body, NULL);
}

/* ---- fast and guarded mutexes ---------------------------------------------------------------------------
 */
struct shared {
    struct nt_lab *lab;
    FAST_MUTEX fast;
    KGUARDED_MUTEX guarded;
    LONG fast_count, guarded_count;
};
#define ROUNDS 300

static VOID count_up(PVOID arg)
{
    struct shared *s = arg;

    for (unsigned i = 0; i < ROUNDS; i++) {
        ExAcquireFastMutex(&s->fast);
        LAB_CHECK(s->lab, KeGetCurrentIrql() == APC_LEVEL);
        s->fast_count++;
        ExReleaseFastMutex(&s->fast);
        LAB_CHECK(s->lab, KeGetCurrentIrql() == PASSIVE_LEVEL);
        KeAcquireGuardedMutex(&s->guarded);
        LAB_CHECK(s->lab, KeAreAllApcsDisabled());
        s->guarded_count++;
        KeReleaseGuardedMutex(&s->guarded);
        LAB_CHECK(s->lab, !KeAreAllApcsDisabled());
    }
}

static void fast_body(struct nt_lab *lab)
{
    struct shared s = {.lab = lab};
    HANDLE threads[3];

    ExInitializeFastMutex(&s.fast);
    KeInitializeGuardedMutex(&s.guarded);
    for (unsigned i = 0; i < 3; i++)
        threads[i] = lab_thread(count_up, &s);
    for (unsigned i = 0; i < 3; i++)
        lab_join(threads[i]);
    assert_int_equal(s.fast_count, 3 * ROUNDS);
    assert_int_equal(s.guarded_count, 3 * ROUNDS);
    assert_true(ExTryToAcquireFastMutex(&s.fast));
    assert_false(ExTryToAcquireFastMutex(&s.fast));
    assert_int_equal(KeGetCurrentIrql(), APC_LEVEL);
    ExAcquireFastMutex(&s.fast);
    lab_expect_bug(lab, KMODE_EXCEPTION_NOT_HANDLED, "holds the mutex already");
    ExReleaseFastMutex(&s.fast);
    assert_int_equal(KeGetCurrentIrql(), PASSIVE_LEVEL);
    ExReleaseFastMutex(&s.fast);
    lab_expect_bug(lab, KMODE_EXCEPTION_NOT_HANDLED, "does not hold");
    assert_true(KeTryToAcquireGuardedMutex(&s.guarded));
    KeReleaseGuardedMutex(&s.guarded);
}

static void fast_and_guarded_mutexes_exclude(void **state)
{
    (void)state;
    nt_lab_both(fast_body, NULL);
}

/* ---- queues ---------------------------------------------------------------------------------------------
 */
struct item {
    LIST_ENTRY link;
    LONG number;
};
struct workshop {
    struct nt_lab *lab;
    KQUEUE queue;
    volatile LONG sum, abandoned;
};
#define ITEMS 100

static VOID work_off(PVOID arg)
{
    struct workshop *w = arg;

    for (;;) {
        PLIST_ENTRY entry = KeRemoveQueue(&w->queue, KernelMode, NULL);
        struct item *item;

        if (entry == (PLIST_ENTRY)(ULONG_PTR)STATUS_ABANDONED) {
            InterlockedIncrement(&w->abandoned);
            break;
        }
        item = CONTAINING_RECORD(entry, struct item, link);
        InterlockedAdd(&w->sum, item->number);
    }
}

static void queue_body(struct nt_lab *lab)
{
    LARGE_INTEGER none = {.QuadPart = 0}, pause = lab_ms(1);
    static struct item items[ITEMS];
    struct workshop w = {.lab = lab};
    HANDLE threads[3];
    PLIST_ENTRY left;

    KeInitializeQueue(&w.queue, 0);
    assert_ptr_equal(KeRemoveQueue(&w.queue, KernelMode, &none), (PLIST_ENTRY)(ULONG_PTR)STATUS_TIMEOUT);
    assert_int_equal(KeInsertQueue(&w.queue, &items[0].link), 0);
    assert_int_equal(KeInsertQueue(&w.queue, &items[1].link), 1);
    assert_int_equal(KeInsertHeadQueue(&w.queue, &items[2].link), 2);
    assert_ptr_equal(KeRemoveQueue(&w.queue, KernelMode, NULL), &items[2].link);
    assert_ptr_equal(KeRemoveQueue(&w.queue, KernelMode, NULL), &items[0].link);
    assert_ptr_equal(KeRemoveQueue(&w.queue, KernelMode, NULL), &items[1].link);
    for (unsigned i = 0; i < 3; i++)
        threads[i] = lab_thread(work_off, &w);
    for (unsigned i = 0; i < ITEMS; i++) {
        items[i].number = (LONG)i;
        KeInsertQueue(&w.queue, &items[i].link);
    }
    while (KeReadStateQueue(&w.queue) != 0 || InterlockedAdd(&w.sum, 0) != ITEMS * (ITEMS - 1) / 2)
        KeDelayExecutionThread(KernelMode, FALSE, &pause);
    /* All three wait, or will. */
    KeInsertQueue(&w.queue, &items[0].link);
    while (KeReadStateQueue(&w.queue) != 0)
        KeDelayExecutionThread(KernelMode, FALSE, &pause);
    while (InterlockedAdd(&w.abandoned, 0) < 3) {
        left = KeRundownQueue(&w.queue);
        assert_null(left);
        KeDelayExecutionThread(KernelMode, FALSE, &pause);
    }
    for (unsigned i = 0; i < 3; i++)
        lab_join(threads[i]);
    KeInsertQueue(&w.queue, &items[5].link);
    KeInsertQueue(&w.queue, &items[6].link);
    left = KeRundownQueue(&w.queue);
    assert_ptr_equal(left, &items[5].link);
    assert_ptr_equal(left->Flink, &items[6].link);
    assert_ptr_equal(left->Flink->Flink, left);
}

static void queue_gives_each_entry_to_one_thread(void **state)
{
    (void)state;
    nt_lab_both(queue_body, NULL);
}

/* ---- what nobody initialised ----------------------------------------------------------------------------
 */
static void uninitialised_body(struct nt_lab *lab)
{
    KWAIT_BLOCK *none = NULL;
    KEVENT event;
    void *objects[4] = {&event, &event, &event, &event};

    memset(&event, 0, sizeof(event));
    assert_true(wait(&event, -1) != STATUS_SUCCESS);
    lab_expect_bug(lab, IRQL_NOT_LESS_OR_EQUAL, "never initialised");
    KeSetEvent(&event, IO_NO_INCREMENT, FALSE);
    lab_expect_bug(lab, IRQL_NOT_LESS_OR_EQUAL, "never initialised");
    KeInitializeEvent(&event, NotificationEvent, TRUE);
    assert_int_equal(KeWaitForMultipleObjects(4, objects, WaitAny, Executive, KernelMode, FALSE, NULL, none),
                     STATUS_WAIT_0);
    lab_expect_bug(lab, MAXIMUM_WAIT_OBJECTS_EXCEEDED, "wait blocks");
}

static void objects_that_nobody_initialised_are_reported(void **state)
{
    (void)state;
    nt_lab_both(uninitialised_body, NULL);
}

/* ---- the same seed, the same order ----------------------------------------------------------------------
 */
struct race {
    struct nt_lab *lab;
    KEVENT *event;
    KMUTEX *mutex;
    volatile LONG *turn;
    unsigned number;
};

static VOID run_race(PVOID arg)
{
    struct race *r = arg;
    LARGE_INTEGER pause = lab_ms(r->number % 3);

    for (unsigned i = 0; i < 10; i++) {
        wait(r->mutex, -1);
        lab_trace(r->lab, "%u has turn %d", r->number, InterlockedIncrement(r->turn));
        KeReleaseMutex(r->mutex, FALSE);
        if (i % 4 == 3)
            KeDelayExecutionThread(KernelMode, FALSE, &pause);
        wait(r->event, 1);
        KeSetEvent(r->event, IO_NO_INCREMENT, FALSE);
    }
}

static void race_body(struct nt_lab *lab)
{
    struct race racers[5];
    volatile LONG turn = 0;
    HANDLE threads[5];
    KEVENT event;
    KMUTEX mutex;

    KeInitializeEvent(&event, SynchronizationEvent, TRUE);
    KeInitializeMutex(&mutex, 0);
    for (unsigned i = 0; i < 5; i++) {
        racers[i] = (struct race){lab, &event, &mutex, &turn, i};
        threads[i] = lab_thread(run_race, &racers[i]);
    }
    for (unsigned i = 0; i < 5; i++)
        lab_join(threads[i]);
    assert_int_equal(turn, 50);
}

static void same_seed_same_order(void **state)
{
    (void)state;
    assert_in_range(nt_lab_same(race_body, NULL, 6), 1, 5); /* and another seed another */
    nt_lab_both(race_body, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_keep_and_lose_their_state),
        cmocka_unit_test(notification_lets_all_go_synchronization_one),
        cmocka_unit_test(event_may_live_on_the_waiters_stack),
        cmocka_unit_test(timeouts_relative_absolute_and_past),
        cmocka_unit_test(any_takes_one_all_takes_all_or_none),
        cmocka_unit_test(waiting_for_all_never_holds_some),
        cmocka_unit_test(semaphore_counts_to_its_limit),
        cmocka_unit_test(mutex_has_an_owner_who_may_come_again),
        cmocka_unit_test(fast_and_guarded_mutexes_exclude),
        cmocka_unit_test(queue_gives_each_entry_to_one_thread),
        cmocka_unit_test(objects_that_nobody_initialised_are_reported),
        cmocka_unit_test(same_seed_same_order),
    };

    return cmocka_run_group_tests_name("nt_waits", tests, NULL, NULL);
}
