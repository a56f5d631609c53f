/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IRQL: the kernel's own functions at the highest level that they are documented for, and one above: there a
 * finding names the function. (irql_calls.c does the same for the platform's functions.)
 */
#include "nt_lab.h"

#include <stdio.h>
#include <string.h>

#include "netioddk.h"

#define TAG 0x67615457u

/* What the calls act on: made anew for each. */
static struct things {
    KEVENT event;
    KSEMAPHORE semaphore;
    KTIMER timer;
    KQUEUE queue;
    LIST_ENTRY entry;
    KSPIN_LOCK lock;
    EX_SPIN_LOCK rw;
    EX_RUNDOWN_REF rundown;
    ERESOURCE resource;
    LOOKASIDE_LIST_EX lookaside;
    SLIST_HEADER list;
    SLIST_ENTRY element;
    WORK_QUEUE_ITEM work;
    KEVENT worked;
    KLOCK_QUEUE_HANDLE handle;
} T;

static VOID nothing(PVOID unused)
{
    (void)unused;
}

static VOID worked(PVOID event)
{
    KeSetEvent(event, IO_NO_INCREMENT, FALSE);
}

static VOID never_registered(PEPROCESS process, HANDLE id, PPS_CREATE_NOTIFY_INFO info)
{
    (void)process;
    (void)id;
    (void)info;
}

static LARGE_INTEGER later = {.QuadPart = -1000000};

/* A call, and what takes it back; at the level that it is called at. */
#define CALL(name, ...)                                                                                      \
    static void call_##name(void)                                                                            \
    {                                                                                                        \
        KIRQL irql;                                                                                          \
                                                                                                             \
        (void)irql;                                                                                          \
        __VA_ARGS__;                                                                                         \
    }
CALL(ExUuidCreate, UUID u; ExUuidCreate(&u))
CALL(NmrRegisterClient, NmrRegisterClient(NULL, NULL, NULL))
CALL(NmrRegisterProvider, NmrRegisterProvider(NULL, NULL, NULL))
CALL(NmrClientAttachProvider, NmrClientAttachProvider(NULL, NULL, NULL, NULL, NULL))
CALL(NmrWaitForClientDeregisterComplete, NmrWaitForClientDeregisterComplete(NULL))
CALL(NmrWaitForProviderDeregisterComplete, NmrWaitForProviderDeregisterComplete(NULL))
CALL(NmrDeregisterClient, NmrDeregisterClient(NULL))
CALL(NmrDeregisterProvider, NmrDeregisterProvider(NULL))
CALL(KeFlushQueuedDpcs, KeFlushQueuedDpcs())
CALL(PsSetCreateProcessNotifyRoutineEx, PsSetCreateProcessNotifyRoutineEx(never_registered, TRUE))
CALL(PsSetCreateProcessNotifyRoutineEx2,
     PsSetCreateProcessNotifyRoutineEx2(PsCreateProcessNotifySubsystems, (PVOID)(uintptr_t)never_registered,
                                        TRUE))
CALL(PsTerminateSystemThread, PsTerminateSystemThread(STATUS_SUCCESS)) /* of a thread that is none: returns */
CALL(KeSetBasePriorityThread, KeSetBasePriorityThread(KeGetCurrentThread(), 0))
CALL(KeDelayExecutionThread, LARGE_INTEGER i = {.QuadPart = 0}; KeDelayExecutionThread(KernelMode, FALSE, &i))
CALL(PsLookupProcessByProcessId, PEPROCESS p; PsLookupProcessByProcessId((HANDLE)1, &p))
CALL(KeExpandKernelStackAndCallout, KeExpandKernelStackAndCallout(nothing, NULL, 64))
CALL(ExCreateCallback, PCALLBACK_OBJECT c; ExCreateCallback(&c, NULL, FALSE, FALSE))
CALL(ExWaitForRundownProtectionRelease, ExWaitForRundownProtectionRelease(&T.rundown))
CALL(ExDeleteResourceLite, ExDeleteResourceLite(&T.resource))
CALL(KeSetEvent, KeSetEvent(&T.event, IO_NO_INCREMENT, FALSE))
CALL(KeClearEvent, KeClearEvent(&T.event))
CALL(KeResetEvent, KeResetEvent(&T.event))
CALL(KeReleaseSemaphore, KeReleaseSemaphore(&T.semaphore, IO_NO_INCREMENT, 1, FALSE))
CALL(KeSetTimer, KeSetTimer(&T.timer, later, NULL); KeCancelTimer(&T.timer))
CALL(KeSetCoalescableTimer, KeSetCoalescableTimer(&T.timer, later, 0, 0, NULL); KeCancelTimer(&T.timer))
CALL(KeCancelTimer, KeCancelTimer(&T.timer))
CALL(KeInsertQueue, KeInsertQueue(&T.queue, &T.entry))
CALL(KeRundownQueue, KeRundownQueue(&T.queue))
CALL(KeExpandKernelStackAndCalloutEx, KeExpandKernelStackAndCalloutEx(nothing, NULL, 64, FALSE, NULL))
CALL(ExAcquireRundownProtection, ExAcquireRundownProtection(&T.rundown);
     ExReleaseRundownProtection(&T.rundown))
CALL(KeAcquireSpinLockRaiseToDpc, irql = KeAcquireSpinLockRaiseToDpc(&T.lock);
     KeReleaseSpinLock(&T.lock, irql))
CALL(KeAcquireInStackQueuedSpinLock, KeAcquireInStackQueuedSpinLock(&T.lock, &T.handle);
     KeReleaseInStackQueuedSpinLock(&T.handle))
CALL(ExAcquireSpinLockExclusive, irql = ExAcquireSpinLockExclusive(&T.rw);
     ExReleaseSpinLockExclusive(&T.rw, irql))
CALL(ExAcquireSpinLockShared, irql = ExAcquireSpinLockShared(&T.rw); ExReleaseSpinLockShared(&T.rw, irql))
CALL(ExAllocateFromLookasideListEx, PVOID e = ExAllocateFromLookasideListEx(&T.lookaside);
     ExFreeToLookasideListEx(&T.lookaside, e))
CALL(ExpInterlockedPushEntrySList, InterlockedPushEntrySList(&T.list, &T.element))
CALL(ExQueueWorkItem, ExQueueWorkItem(&T.work, DelayedWorkQueue))

static const struct call {
    const char *name;
    KIRQL highest;
    void (*fn)(void);
} calls[] = {
#define PASSIVE(name)                                                                                        \
    {                                                                                                        \
#name, PASSIVE_LEVEL, call_##name                                                                    \
    }
#define APC(name)                                                                                            \
    {                                                                                                        \
#name, APC_LEVEL, call_##name                                                                        \
    }
#define DISPATCH(name)                                                                                       \
    {                                                                                                        \
#name, DISPATCH_LEVEL, call_##name                                                                   \
    }
    PASSIVE(ExUuidCreate),
    PASSIVE(KeFlushQueuedDpcs),
    PASSIVE(NmrRegisterClient),
    PASSIVE(NmrRegisterProvider),
    PASSIVE(NmrClientAttachProvider),
    PASSIVE(PsSetCreateProcessNotifyRoutineEx),
    PASSIVE(PsSetCreateProcessNotifyRoutineEx2),
    PASSIVE(PsTerminateSystemThread),
    PASSIVE(KeSetBasePriorityThread),
    APC(KeDelayExecutionThread),
    APC(PsLookupProcessByProcessId),
    APC(KeExpandKernelStackAndCallout),
    APC(ExCreateCallback),
    APC(ExWaitForRundownProtectionRelease),
    APC(ExDeleteResourceLite),
    APC(NmrWaitForClientDeregisterComplete),
    APC(NmrWaitForProviderDeregisterComplete),
    DISPATCH(KeSetEvent),
    DISPATCH(KeClearEvent),
    DISPATCH(KeResetEvent),
    DISPATCH(KeReleaseSemaphore),
    DISPATCH(KeSetTimer),
    DISPATCH(KeSetCoalescableTimer),
    DISPATCH(KeCancelTimer),
    DISPATCH(KeInsertQueue),
    DISPATCH(KeRundownQueue),
    DISPATCH(KeExpandKernelStackAndCalloutEx),
    DISPATCH(ExAcquireRundownProtection),
    DISPATCH(KeAcquireSpinLockRaiseToDpc),
    DISPATCH(KeAcquireInStackQueuedSpinLock),
    DISPATCH(ExAcquireSpinLockExclusive),
    DISPATCH(ExAcquireSpinLockShared),
    DISPATCH(ExAllocateFromLookasideListEx),
    DISPATCH(ExpInterlockedPushEntrySList),
    DISPATCH(ExQueueWorkItem),
    DISPATCH(NmrDeregisterClient),
    DISPATCH(NmrDeregisterProvider),
};
#define CALLS (sizeof(calls) / sizeof(calls[0]))

static void make_things(void)
{
    memset(&T, 0, sizeof(T));
    KeInitializeEvent(&T.event, NotificationEvent, FALSE);
    KeInitializeEvent(&T.worked, NotificationEvent, FALSE);
    KeInitializeSemaphore(&T.semaphore, 0, 10);
    KeInitializeTimer(&T.timer);
    KeInitializeQueue(&T.queue, 0);
    KeInitializeSpinLock(&T.lock);
    ExInitializeRundownProtection(&T.rundown);
    ExInitializeResourceLite(&T.resource);
    ExInitializeSListHead(&T.list);
    ExInitializeWorkItem(&T.work, worked, &T.worked);
    assert_int_equal(ExInitializeLookasideListEx(&T.lookaside, NULL, NULL, NonPagedPoolNx, 0, 64, TAG, 0),
                     STATUS_SUCCESS);
}

/* Calls it at that level; was there a finding that names it? */
static bool noted(struct nt_lab *lab, const struct call *c, KIRQL irql)
{
    char text[96];
    bool named;
    KIRQL was;

    make_things();
    KeRaiseIrql(irql, &was);
    c->fn();
    KeLowerIrql(was);
    if (c->fn == call_ExQueueWorkItem)
        assert_int_equal(KeWaitForSingleObject(&T.worked, Executive, KernelMode, FALSE, NULL),
                         STATUS_SUCCESS);
    ExDeleteLookasideListEx(&T.lookaside);
    snprintf(text, sizeof(text), "%s is called at IRQL %u, above %u", c->name, irql, c->highest);
    named = strcmp(lab->last, text) == 0;
    if (!named && lab->last[0] != '\0')
        fail_msg("%s: %s at IRQL %u: '%s'", lab->name, c->name, irql, lab->last);
    assert_true((lab_found(lab, LEDGER_NOTE) != 0) == named);
    return named;
}

static void levels_body(struct nt_lab *lab)
{
    bool passive = *(bool *)lab->arg;

    for (size_t i = 0; i < CALLS; i++) {
        if ((calls[i].highest < DISPATCH_LEVEL) != passive)
            continue;
        assert_false(noted(lab, &calls[i], PASSIVE_LEVEL));
        assert_false(noted(lab, &calls[i], calls[i].highest));
        assert_true(noted(lab, &calls[i], (KIRQL)(calls[i].highest + 1)));
    }
}

static void IRQL_02_kernel_functions_below_dispatch_level(void **state)
{
    bool passive = true;

    (void)state;
    nt_lab_both(levels_body, &passive);
}

static void IRQL_03_kernel_functions_up_to_dispatch_level(void **state)
{
    bool passive = false;

    (void)state;
    nt_lab_both(levels_body, &passive);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(IRQL_02_kernel_functions_below_dispatch_level),
        cmocka_unit_test(IRQL_03_kernel_functions_up_to_dispatch_level),
    };

    return cmocka_run_group_tests_name("irql_kernel", tests, NULL, NULL);
}
