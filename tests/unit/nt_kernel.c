/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel as a whole: drivers, processes, callbacks, time, processors, IRQL, what stops the machine. */
#include "nt_lab.h"

/* ---- drivers --------------------------------------------------------------------------------------------
 */
static NTSTATUS refuses(PDRIVER_OBJECT driver, PUNICODE_STRING registry_path)
{
    (void)driver;
    (void)registry_path;
    return STATUS_NOT_SUPPORTED;
}

static NTSTATUS has_no_unload(PDRIVER_OBJECT driver, PUNICODE_STRING registry_path)
{
    (void)driver;
    return registry_path->Length != 0 && KeGetCurrentIrql() == PASSIVE_LEVEL ? STATUS_SUCCESS
                                                                             : STATUS_UNSUCCESSFUL;
}

static void drivers_body(struct nt_lab *lab)
{
    struct rt_context context = {0};
    struct nt_driver_config config = {
        .name = "other", .image = "other.so", .entry = refuses, .context = &context};
    struct nt_driver *d;

    assert_int_equal(nt_driver_create(lab->k, &config, &d), 0);
    assert_string_equal(nt_driver_name(d), "other");
    assert_ptr_equal(nt_of_driver(d), lab->k);
    assert_int_equal(nt_driver_start(d), STATUS_NOT_SUPPORTED);
    assert_ptr_equal(nt_driver_current(), lab->driver);
    assert_int_equal(nt_driver_unload(d, LAB_MS), STATUS_SUCCESS); /* never started: nothing is called */
    nt_driver_destroy(d);
    assert_null(context.driver);
    config.entry = has_no_unload;
    assert_int_equal(nt_driver_create(lab->k, &config, &d), 0);
    assert_int_equal(nt_driver_start(d), STATUS_SUCCESS);
    assert_int_equal(nt_driver_unload(d, LAB_MS), STATUS_INVALID_DEVICE_REQUEST);
    nt_driver_destroy(d);
}

static void drivers_come_and_go(void **state)
{
    (void)state;
    nt_lab_both(drivers_body, NULL);
}

/* A thread that works for drivers of two kernels in turn is one thread in each; a kernel that comes after one that went
 * is another, wherever it stands. */
static void two_kernels_body(struct nt_lab *lab)
{
    struct rt_context context = {0};
    const struct nt_config kernel = {.clock = lab->clock, .ledger = lab->ledger};
    const struct nt_driver_config config = {.name = "other", .entry = has_no_unload, .context = &context};
    PKTHREAD mine = KeGetCurrentThread();

    for (unsigned i = 0; i < 3; i++) {
        struct nt_driver *d;
        struct nt_entered was;
        PKTHREAD there;
        struct nt *k;

        assert_int_equal(nt_create(&kernel, &k), 0);
        assert_int_equal(nt_driver_create(k, &config, &d), 0);
        was = nt_enter(&context, PASSIVE_LEVEL);
        there = KeGetCurrentThread();
        assert_non_null(there);
        assert_ptr_not_equal(there, mine);
        assert_int_equal(PsGetThreadId((PETHREAD)there), PsGetCurrentThreadId());
        nt_leave(was, "the other");
        for (unsigned j = 0; j < 3; j++) {
            assert_ptr_equal(KeGetCurrentThread(), mine);
            was = nt_enter(&context, PASSIVE_LEVEL);
            assert_ptr_equal(KeGetCurrentThread(), there);
            nt_leave(was, "the other");
        }
        nt_driver_destroy(d);
        nt_destroy(k);
        assert_ptr_equal(KeGetCurrentThread(), mine);
    }
}

static void a_thread_of_two_kernels_is_one_in_each(void **state)
{
    (void)state;
    nt_lab_both(two_kernels_body, NULL);
}

static void enter_body(struct nt_lab *lab)
{
    struct nt_entered was = nt_enter(&lab->context, DISPATCH_LEVEL);

    assert_int_equal(KeGetCurrentIrql(), DISPATCH_LEVEL);
    nt_leave(was, "good");
    assert_int_equal(KeGetCurrentIrql(), PASSIVE_LEVEL);
    was = nt_enter(&lab->context, PASSIVE_LEVEL);
    KeRaiseIrqlToDpcLevel();
    nt_leave(was, "classifyFn");
    lab_expect(lab, LEDGER_NOTE, "classifyFn was called at IRQL 0 and came back at IRQL 2");
    assert_int_equal(KeGetCurrentIrql(), PASSIVE_LEVEL);
}

static void a_level_that_does_not_come_back_is_mended(void **state)
{
    (void)state;
    nt_lab_both(enter_body, NULL);
}

/* ---- IRQL -----------------------------------------------------------------------------------------------
 */
static void irql_body(struct nt_lab *lab)
{
    LARGE_INTEGER none = {.QuadPart = 0}, some = lab_ms(1);
    KSPIN_LOCK lock;
    KEVENT event;
    KTIMER timer;
    UUID uuid;
    KIRQL irql, was;

    KeInitializeEvent(&event, NotificationEvent, FALSE);
    KeInitializeTimer(&timer);
    KeInitializeSpinLock(&lock);
    KeAcquireSpinLockAtDpcLevel(&lock); /* below the level that its name says */
    lab_expect(lab, LEDGER_NOTE, "KeAcquireSpinLockAtDpcLevel is called at IRQL 0, below 2");
    KeReleaseSpinLockFromDpcLevel(&lock);
    lab_expect(lab, LEDGER_NOTE, "KeReleaseSpinLockFromDpcLevel is called at IRQL 0, below 2");
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    assert_int_equal(irql, PASSIVE_LEVEL);
    assert_int_equal(KeRaiseIrqlToDpcLevel(), DISPATCH_LEVEL);
    assert_int_equal(KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, &none), STATUS_TIMEOUT);
    assert_int_equal(lab_found(lab, LEDGER_NOTE), 0); /* to look is allowed */
    assert_int_equal(KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, &some), STATUS_TIMEOUT);
    lab_expect(lab, LEDGER_NOTE, "KeWaitForSingleObject waits at IRQL 2");
    KeDelayExecutionThread(KernelMode, FALSE, &some);
    lab_expect(lab, LEDGER_NOTE, "KeDelayExecutionThread is called at IRQL 2, above 1");
    WeirPagedCode("PagedRoutine");
    lab_expect(lab, LEDGER_NOTE, "PagedRoutine is paged code and runs at IRQL 2");
    ExUuidCreate(&uuid);
    lab_expect(lab, LEDGER_NOTE, "ExUuidCreate is called at IRQL 2, above 0");
    KeFlushQueuedDpcs();
    lab_expect(lab, LEDGER_NOTE, "KeFlushQueuedDpcs");
    KeSetTimer(&timer, lab_ms(1000), NULL);
    KeCancelTimer(&timer);
    KeSetEvent(&event, IO_NO_INCREMENT, FALSE);
    assert_int_equal(lab_found(lab, LEDGER_NOTE), 0);
    KeRaiseIrql(HIGH_LEVEL, &was);
    assert_int_equal(was, DISPATCH_LEVEL);
    KeSetEvent(&event, IO_NO_INCREMENT, FALSE);
    lab_expect(lab, LEDGER_NOTE, "KeSetEvent is called at IRQL 15, above 2");
    KeLowerIrql(irql);
    KeLowerIrql(DISPATCH_LEVEL);
    lab_expect_bug(lab, IRQL_NOT_LESS_OR_EQUAL, "KeLowerIrql: from 0 to 2");
    KeRaiseIrql(APC_LEVEL, &irql);
    lab_expect_bug(lab, IRQL_NOT_GREATER_OR_EQUAL, "KeRaiseIrql: from 2 to 1");
    KeLowerIrql(PASSIVE_LEVEL);
}

static VOID nothing(PVOID arg)
{
    (void)arg;
}

static void irql_thread_body(struct nt_lab *lab)
{
    HANDLE thread;
    KIRQL irql;

    KeRaiseIrql(APC_LEVEL, &irql);
    assert_int_equal(PsCreateSystemThread(&thread, 0, NULL, NULL, NULL, nothing, NULL), STATUS_SUCCESS);
    lab_expect(lab, LEDGER_NOTE, "PsCreateSystemThread is called at IRQL 1, above 0");
    KeLowerIrql(irql);
    lab_join(thread);
}

static void functions_look_at_the_level(void **state)
{
    (void)state;
    nt_lab_both(irql_body, NULL);
    nt_lab_both(irql_thread_body, NULL);
}

/* ---- processes ------------------------------------------------------------------------------------------
 */
static struct nt_lab *told; /* routines have no context of their own */
static bool refuse_next;

static VOID plain_routine(HANDLE parent, HANDLE id, BOOLEAN create)
{
    lab_trace(told, "plain %u %u %u", (unsigned)(uintptr_t)parent, (unsigned)(uintptr_t)id, create);
}

static VOID ex_routine(PEPROCESS process, HANDLE id, PPS_CREATE_NOTIFY_INFO info)
{
    LAB_CHECK(told, PsGetProcessId(process) == id);
    LAB_CHECK(told, KeGetCurrentIrql() == PASSIVE_LEVEL && nt_driver_current() == told->driver);
    if (info == NULL) {
        lab_trace(told, "ex %u exits", (unsigned)(uintptr_t)id);
        return;
    }
    lab_trace(told, "ex %u %u", (unsigned)(uintptr_t)id, info->ImageFileName->Length);
    if (refuse_next)
        info->CreationStatus = STATUS_ACCESS_DENIED;
}

static VOID removes_itself(PEPROCESS process, HANDLE id, PPS_CREATE_NOTIFY_INFO info)
{
    (void)process;
    (void)id;
    (void)info;
    lab_trace(told, "once");
    LAB_CHECK(told, PsSetCreateProcessNotifyRoutineEx(removes_itself, TRUE) == STATUS_SUCCESS);
}

static void process_body(struct nt_lab *lab)
{
    static const WCHAR image[] = u"\\Device\\HarddiskVolume1\\Windows\\System32\\svchost.exe";
    PUNICODE_STRING name;
    PEPROCESS process;
    PVOID object;

    told = lab;
    refuse_next = false;
    assert_ptr_equal(PsGetCurrentProcessId(), (HANDLE)4);
    assert_ptr_equal(PsGetCurrentProcess(), PsInitialSystemProcess);
    assert_int_equal(PsSetCreateProcessNotifyRoutine(plain_routine, FALSE), STATUS_SUCCESS);
    assert_int_equal(PsSetCreateProcessNotifyRoutineEx(ex_routine, FALSE), STATUS_SUCCESS);
    assert_int_equal(PsSetCreateProcessNotifyRoutineEx(ex_routine, FALSE), STATUS_INVALID_PARAMETER);
    assert_int_equal(PsSetCreateProcessNotifyRoutineEx2(PsCreateProcessNotifySubsystems,
                                                        (PVOID)(uintptr_t)removes_itself, FALSE),
                     STATUS_SUCCESS);
    assert_int_equal(nt_process_add(lab->k, 100, image), STATUS_SUCCESS);
    assert_int_equal(nt_process_add(lab->k, 100, image), STATUS_OBJECT_NAME_COLLISION);
    refuse_next = true;
    assert_int_equal(nt_process_add(lab->k, 104, image), STATUS_ACCESS_DENIED);
    refuse_next = false;
    assert_int_equal(PsLookupProcessByProcessId((HANDLE)104, &process), STATUS_INVALID_CID);
    assert_int_equal(PsLookupProcessByProcessId((HANDLE)100, &process), STATUS_SUCCESS);
    assert_string_equal(PsGetProcessImageFileName(process), "svchost.exe");
    assert_int_equal(SeLocateProcessImageName(process, &name), STATUS_SUCCESS);
    assert_int_equal(name->Length, sizeof(image) - sizeof(WCHAR));
    assert_memory_equal(name->Buffer, image, name->Length);
    ExFreePool(name);
    assert_int_equal(nt_process_attach(100), 0);
    assert_ptr_equal(PsGetCurrentProcess(), process);
    assert_ptr_equal(PsGetCurrentProcessId(), (HANDLE)100);
    assert_int_equal(nt_process_attach(0), 100);
    assert_int_equal(PsGetProcessExitStatus(process), STATUS_PENDING);
    assert_int_equal(nt_process_remove(lab->k, 100), STATUS_SUCCESS);
    assert_int_equal(nt_process_remove(lab->k, 100), STATUS_INVALID_CID);
    object = process;
    assert_int_equal(KeWaitForSingleObject(object, Executive, KernelMode, FALSE, NULL), STATUS_SUCCESS);
    ObDereferenceObject(process);
    assert_int_equal(PsSetCreateProcessNotifyRoutine(plain_routine, TRUE), STATUS_SUCCESS);
    assert_int_equal(PsSetCreateProcessNotifyRoutineEx(ex_routine, TRUE), STATUS_SUCCESS);
    assert_int_equal(PsSetCreateProcessNotifyRoutineEx(ex_routine, TRUE), STATUS_PROCEDURE_NOT_FOUND);
    assert_int_equal(nt_process_add(lab->k, 108, image), STATUS_SUCCESS);
    assert_string_equal(
        lab->trace,
        "plain 4 100 1\nex 100 104\nonce\nplain 4 104 1\nex 104 104\nplain 4 100 0\nex 100 exits\n");
}

static void drivers_are_told_of_processes(void **state)
{
    (void)state;
    nt_lab_both(process_body, NULL);
}

/* ---- callbacks ------------------------------------------------------------------------------------------
 */
static VOID notified(PVOID context, PVOID one, PVOID two)
{
    struct nt_lab *lab = context;

    lab_trace(lab, "told %u %u at %u", (unsigned)(uintptr_t)one, (unsigned)(uintptr_t)two,
              KeGetCurrentIrql());
}

static void callback_body(struct nt_lab *lab)
{
    UNICODE_STRING name = {.Buffer = (PWCH)(uintptr_t)u"\\Callback\\Weir", .Length = 28, .MaximumLength = 28};
    OBJECT_ATTRIBUTES attributes;
    PCALLBACK_OBJECT object, same;
    UNICODE_STRING own = {
        .Buffer = (PWCH)(uintptr_t)u"\\callback\\PowerState", .Length = 40, .MaximumLength = 40};
    PVOID one, two;
    KIRQL irql;

    InitializeObjectAttributes(&attributes, &own, OBJ_CASE_INSENSITIVE, NULL, NULL);
    assert_int_equal(ExCreateCallback(&object, &attributes, FALSE, TRUE), STATUS_SUCCESS); /* Windows' own */
    assert_int_equal(ExCreateCallback(&same, &attributes, FALSE, TRUE), STATUS_SUCCESS);
    assert_ptr_equal(same, object);
    ObDereferenceObject(same);
    ObDereferenceObject(object);
    InitializeObjectAttributes(&attributes, &name, OBJ_CASE_INSENSITIVE, NULL, NULL);
    assert_int_equal(ExCreateCallback(&object, &attributes, FALSE, TRUE), STATUS_OBJECT_NAME_NOT_FOUND);
    assert_int_equal(ExCreateCallback(&object, &attributes, TRUE, TRUE), STATUS_SUCCESS);
    assert_int_equal(ExCreateCallback(&same, &attributes, FALSE, FALSE), STATUS_SUCCESS);
    assert_ptr_equal(same, object);
    one = ExRegisterCallback(object, notified, lab);
    two = ExRegisterCallback(object, notified, lab);
    assert_non_null(one);
    assert_non_null(two);
    ExNotifyCallback(object, (PVOID)1, (PVOID)2);
    ExUnregisterCallback(one);
    ExUnregisterCallback(one);
    assert_int_equal(lab_found(lab, LEDGER_TWICE), 1);
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    ExNotifyCallback(object, (PVOID)3, (PVOID)4);
    KeLowerIrql(irql);
    ExUnregisterCallback(two);
    ExNotifyCallback(object, (PVOID)5, (PVOID)6);
    ObDereferenceObject(same);
    ObDereferenceObject(object);
    name.Length = 26;
    assert_int_equal(ExCreateCallback(&object, &attributes, TRUE, FALSE), STATUS_SUCCESS);
    one = ExRegisterCallback(object, notified, lab);
    assert_null(ExRegisterCallback(object, notified, lab)); /* one only */
    ExUnregisterCallback(one);
    ObDereferenceObject(object);
    name.Length = 0;
    assert_int_equal(ExCreateCallback(&object, &attributes, TRUE, FALSE), STATUS_UNSUCCESSFUL);
    assert_string_equal(lab->trace, "told 1 2 at 0\ntold 1 2 at 0\ntold 3 4 at 2\n");
}

static void callbacks_reach_who_is_registered(void **state)
{
    (void)state;
    nt_lab_both(callback_body, NULL);
}

/* ---- time -----------------------------------------------------------------------------------------------
 */
static void time_body(struct nt_lab *lab)
{
    LARGE_INTEGER system, precise, frequency, counter, ticks, more, interval = lab_ms(100);
    ULONGLONG up, later;
    ULONG64 stamp;

    counter = KeQueryPerformanceCounter(&frequency);
    assert_true(frequency.QuadPart == 10000000);
    up = KeQueryInterruptTime();
    KeQuerySystemTime(&system);
    KeQueryTickCount(&ticks);
    KeQuerySystemTimePrecise(&precise);
    assert_true(precise.QuadPart >= system.QuadPart);
    assert_in_range(system.QuadPart, 125911584000000000ull, 157469184000000000ull); /* this century */
    KeDelayExecutionThread(KernelMode, FALSE, &interval);
    later = KeQueryInterruptTimePrecise(&stamp);
    assert_true(later - up >= 100 * 10000);
    more = KeQueryPerformanceCounter(NULL);
    assert_true(more.QuadPart - counter.QuadPart >= 100 * 10000);
    KeQueryTickCount(&more);
    assert_in_range(more.QuadPart - ticks.QuadPart, 5, lab->simulated ? 7 : 1000000);
    assert_int_equal(KeQueryTimeIncrement(), 156250);
    up = KeQueryUnbiasedInterruptTime();
    KeStallExecutionProcessor(50);
    assert_true(KeQueryUnbiasedInterruptTime() - up >= 500);
    /* Who polls gets on, in virtual time too. */
    up = KeQueryInterruptTime();
    while (KeQueryInterruptTime() - up < 1000)
        ;
}

static void time_moves_and_agrees(void **state)
{
    (void)state;
    nt_lab_both(time_body, NULL);
}

/* ---- who is it? -----------------------------------------------------------------------------------------
 */
#define CROWD 100 /* more than the kernel's table of threads has buckets */

struct asker {
    struct nt_lab *lab;
    PETHREAD thread;
    HANDLE id;
};

/* Who it is stays the same while others ask, whether they are found in the same place or not. */
static VOID asks_who(PVOID arg)
{
    struct asker *a = arg;

    a->thread = PsGetCurrentThread();
    a->id = PsGetCurrentThreadId();
    for (unsigned i = 0; i < 200; i++) {
        LAB_CHECK(a->lab, PsGetCurrentThread() == a->thread && PsGetCurrentThreadId() == a->id);
        if (i % 50 == 0)
            rt_yield();
    }
}

static void crowd_body(struct nt_lab *lab)
{
    PETHREAD me = PsGetCurrentThread();
    struct asker crowd[CROWD];
    HANDLE threads[CROWD];

    for (unsigned i = 0; i < CROWD; i++) {
        crowd[i] = (struct asker){.lab = lab};
        threads[i] = lab_thread(asks_who, &crowd[i]);
    }
    for (unsigned i = 0; i < CROWD; i++)
        lab_join(threads[i]);
    for (unsigned i = 0; i < CROWD; i++)
        for (unsigned j = 0; j < i; j++)
            assert_ptr_not_equal(crowd[i].id, crowd[j].id);
    assert_ptr_equal(PsGetCurrentThread(), me);
}

static void a_crowd_knows_who_is_who(void **state)
{
    (void)state;
    nt_lab_both(crowd_body, NULL);
}

/* ---- processors, stacks ---------------------------------------------------------------------------------
 */
static VOID on_more_stack(PVOID parameter)
{
    ++*(unsigned *)parameter;
}

static void processor_body(struct nt_lab *lab)
{
    PROCESSOR_NUMBER number;
    KAFFINITY all;
    unsigned calls = 0;
    ULONG index;
    KIRQL irql;

    (void)lab;
    assert_int_equal(KeQueryActiveProcessorCount(&all), 4);
    assert_int_equal(all, 15);
    assert_int_equal(KeQueryActiveProcessorCountEx(ALL_PROCESSOR_GROUPS), 4);
    assert_int_equal(KeQueryActiveProcessorCountEx(1), 0);
    assert_true(KeGetCurrentProcessorNumber() < 4);
    index = KeGetCurrentProcessorNumberEx(&number);
    assert_int_equal(index, number.Number);
    assert_int_equal(KeGetProcessorIndexFromNumber(&number), number.Number);
    KeSetSystemAffinityThreadEx(4);
    assert_int_equal(KeGetCurrentProcessorIndex(), 2);
    KeRevertToUserAffinityThreadEx(0);
    assert_int_equal(KeGetProcessorNumberFromIndex(4, &number), STATUS_INVALID_PARAMETER);
    assert_int_equal(KeExpandKernelStackAndCallout(on_more_stack, &calls, 16384), STATUS_SUCCESS);
    assert_int_equal(
        KeExpandKernelStackAndCalloutEx(on_more_stack, &calls, MAXIMUM_EXPANSION_SIZE + 1, FALSE, NULL),
        STATUS_INVALID_PARAMETER_3);
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    assert_int_equal(KeExpandKernelStackAndCalloutEx(on_more_stack, &calls, 4096, TRUE, NULL),
                     STATUS_INVALID_PARAMETER_4);
    assert_int_equal(KeExpandKernelStackAndCalloutEx(on_more_stack, &calls, 4096, FALSE, NULL),
                     STATUS_SUCCESS);
    KeLowerIrql(irql);
    assert_int_equal(calls, 2);
    assert_true(ExIsProcessorFeaturePresent(PF_XMMI64_INSTRUCTIONS_AVAILABLE));
}

static void processors_and_stacks(void **state)
{
    (void)state;
    nt_lab_both(processor_body, NULL);
}

/* ---- what the debugger shows; what stops the machine ----------------------------------------------------
 */
static void print_body(struct nt_lab *lab)
{
    UNICODE_STRING s = {.Buffer = (PWCH)(uintptr_t)u"caf\u00e9", .Length = 8, .MaximumLength = 8};

    DbgPrint("%ld %I64d %wZ %ws", 5, -6ll, &s, u"wide");
    DbgPrintEx(DPFLTR_IHVNETWORK_ID, DPFLTR_ERROR_LEVEL, "%s|%S", "narrow", u"S");
    assert_string_equal(lab->trace, "lab 101 3 5 -6 caf\xc3\xa9 wide\nlab 80 0 narrow|S\n");
}

static void prints_as_windows_does(void **state)
{
    (void)state;
    nt_lab_both(print_body, NULL);
}

/* Only what the machine's end is reported as can be seen: the thread does not come back. */
static VOID stops(PVOID arg)
{
    struct nt_lab *lab = arg;
    LIST_ENTRY head, a, b;
    _Alignas(4) UCHAR bytes[10000] = {[0] = 1, [9999] = 2};

    switch (atomic_load(&lab->bugchecks)) {
    case 0:
        KeBugCheckEx(0xdeadu, 1, 2, 3, 4);
    case 1:
        InitializeListHead(&head);
        InsertTailList(&head, &a);
        InsertTailList(&head, &b);
        a.Flink = &head;
        RemoveEntryList(&b);
        break;
    case 2:
        ExRaiseStatus(STATUS_ACCESS_VIOLATION);
    case 3:
        ProbeForRead(bytes + 1, 3, 1);
        ProbeForRead(bytes + 1, 0, 4);
        ProbeForWrite(bytes, sizeof(bytes), 4);
        LAB_CHECK(lab, bytes[0] == 1 && bytes[sizeof(bytes) - 1] == 2);
        ProbeForRead(bytes + 1, 3, 4);
        break;
    default:
        ProbeForWrite(bytes, ~(SIZE_T)0, 4);
    }
    LAB_CHECK(lab, false);
}

static void stop_body(struct nt_lab *lab)
{
    static const uint32_t codes[] = {0xdead, KERNEL_SECURITY_CHECK_FAILURE, KMODE_EXCEPTION_NOT_HANDLED,
                                     KMODE_EXCEPTION_NOT_HANDLED, KMODE_EXCEPTION_NOT_HANDLED};
    LARGE_INTEGER pause = lab_ms(1);

    lab->keep_left = true; /* the threads that stopped */
    for (unsigned i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        ZwClose(lab_thread(stops, lab));
        while (atomic_load(&lab->bugchecks) == i)
            KeDelayExecutionThread(KernelMode, FALSE, &pause);
        assert_int_equal(lab->bug_code, codes[i]);
        assert_int_equal(lab_found(lab, LEDGER_BUGCHECK), 1);
    }
}

static void what_stops_the_machine_is_reported(void **state)
{
    static struct nt_lab out;

    (void)state;
    nt_lab_run(&(struct nt_lab_world){.name = "simulated", .simulated = true}, stop_body, NULL, &out);
    assert_int_equal(out.unload_status, STATUS_TIMEOUT);
    assert_true(out.settled >= 5); /* the threads */
}

static void assert_body(struct nt_lab *lab)
{
    RtlAssert((PVOID)(uintptr_t) "x == 1", (PVOID)(uintptr_t) "file.c", 12, NULL);
    lab_expect_bug(lab, KMODE_EXCEPTION_NOT_HANDLED, "assertion 'x == 1' failed at file.c:12");
}

static void a_failed_assertion_is_reported(void **state)
{
    (void)state;
    nt_lab_both(assert_body, NULL);
}

/* ---- a thread without a driver --------------------------------------------------------------------------
 */
static void works_without_a_driver(void **state)
{
    LARGE_INTEGER none = {.QuadPart = 0}, now;
    PEPROCESS process;
    HANDLE thread;
    KEVENT event;
    KSPIN_LOCK lock;
    KIRQL irql;

    (void)state;
    KeInitializeEvent(&event, SynchronizationEvent, FALSE);
    assert_int_equal(KeSetEvent(&event, IO_NO_INCREMENT, FALSE), 0);
    assert_int_equal(KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, NULL), STATUS_SUCCESS);
    assert_int_equal(KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, &none), STATUS_TIMEOUT);
    assert_int_equal(KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, NULL),
                     STATUS_INVALID_DEVICE_STATE);
    KeInitializeSpinLock(&lock);
    KeAcquireSpinLock(&lock, &irql);
    KeReleaseSpinLock(&lock, irql);
    KeQuerySystemTime(&now);
    assert_true(now.QuadPart > 0);
    assert_int_equal(PsCreateSystemThread(&thread, 0, NULL, NULL, NULL, nothing, NULL),
                     STATUS_INVALID_DEVICE_STATE);
    assert_int_equal(PsLookupProcessByProcessId((HANDLE)4, &process), STATUS_INVALID_CID);
    assert_null(PsGetCurrentThread());
    assert_null(PsGetCurrentProcess());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drivers_come_and_go),
        cmocka_unit_test(a_thread_of_two_kernels_is_one_in_each),
        cmocka_unit_test(a_level_that_does_not_come_back_is_mended),
        cmocka_unit_test(functions_look_at_the_level),
        cmocka_unit_test(drivers_are_told_of_processes),
        cmocka_unit_test(callbacks_reach_who_is_registered),
        cmocka_unit_test(time_moves_and_agrees),
        cmocka_unit_test(a_crowd_knows_who_is_who),
        cmocka_unit_test(processors_and_stacks),
        cmocka_unit_test(prints_as_windows_does),
        cmocka_unit_test(what_stops_the_machine_is_reported),
        cmocka_unit_test(a_failed_assertion_is_reported),
        cmocka_unit_test(works_without_a_driver),
    };

    return cmocka_run_group_tests_name("nt_kernel", tests, NULL, NULL);
}
