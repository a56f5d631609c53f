/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The framework's synchronization scopes and execution levels: a device whose queue, files, requests' cancellation,
 * timer, DPC and work item all call back at once, from several threads, and take their time. Which of them meet, and at
 * which IRQL, is what the scope and the level say. Then what may not be combined. In simulated and real worlds; that
 * callbacks meet where nothing keeps them apart is asked of the simulated ones alone.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "wdf_lab.h"

#define WORKS    CTL_CODE(FILE_DEVICE_NETWORK, 1, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define KEEPS    CTL_CODE(FILE_DEVICE_NETWORK, 2, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define ROUNDS   8
#define STALL_US 200

enum kind { REQUEST, CANCEL, STATE, OPEN_FILE, TIMER, DPC, WORK, KINDS };
enum { QUEUES = 1u << REQUEST | 1u << CANCEL | 1u << STATE, ALL = (1u << KINDS) - 1 };

struct scene {
    WDF_SYNCHRONIZATION_SCOPE scope;
    WDF_EXECUTION_LEVEL level;
    bool automatic;    /* timer, DPC, work item */
    bool below_queue;  /* ... are the queue's children */
    unsigned apart[2]; /* sets of kinds of which no two are ever inside */
};

static struct {
    struct nt_lab *lab;
    const struct scene *scene;
    WDFDEVICE device;
    WDFQUEUE queue;
    atomic_uint inside[KINDS];
    atomic_uint met[KINDS]; /* with which kinds */
    atomic_uint calls[KINDS];
    atomic_uint irqls[KINDS]; /* a set */
} here;

static void busy(enum kind kind)
{
    const KIRQL irql = KeGetCurrentIrql();

    atomic_fetch_add(&here.calls[kind], 1);
    atomic_fetch_or(&here.irqls[kind], 1u << irql);
    atomic_fetch_add(&here.inside[kind], 1);
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned k = 0; k < KINDS; k++)
            if (atomic_load(&here.inside[k]) > (k == kind)) {
                atomic_fetch_or(&here.met[kind], 1u << k);
                atomic_fetch_or(&here.met[k], 1u << kind);
            }
        KeStallExecutionProcessor(STALL_US);
    }
    atomic_fetch_sub(&here.inside[kind], 1);
    LAB_CHECK(here.lab, KeGetCurrentIrql() == irql);
}

static VOID cancelled(WDFREQUEST request)
{
    busy(CANCEL);
    WdfRequestComplete(request, STATUS_CANCELLED);
}

static VOID control(WDFQUEUE queue, WDFREQUEST request, size_t out, size_t in, ULONG code)
{
    (void)queue;
    (void)out;
    (void)in;
    busy(REQUEST);
    if (code == KEEPS && WdfRequestMarkCancelableEx(request, cancelled) == STATUS_SUCCESS)
        return;
    WdfRequestComplete(request, STATUS_SUCCESS);
}

static VOID opened(WDFDEVICE device, WDFREQUEST request, WDFFILEOBJECT file)
{
    (void)device;
    (void)file;
    busy(OPEN_FILE);
    WdfRequestComplete(request, STATUS_SUCCESS);
}
static VOID file_told(WDFFILEOBJECT file)
{
    (void)file;
    busy(OPEN_FILE);
}
static VOID ticked(WDFTIMER timer)
{
    (void)timer;
    busy(TIMER);
}
static VOID called(WDFDPC dpc)
{
    (void)dpc;
    busy(DPC);
}
static VOID worked(WDFWORKITEM item)
{
    (void)item;
    busy(WORK);
}
static VOID stopped(WDFQUEUE queue, WDFCONTEXT context)
{
    (void)queue;
    busy(STATE);
    KeSetEvent(context, IO_NO_INCREMENT, FALSE);
}

static WDFDEVICE make_device(WDFDRIVER driver, WDF_SYNCHRONIZATION_SCOPE scope, WDF_EXECUTION_LEVEL level)
{
    const UNICODE_STRING sddl = RTL_CONSTANT_STRING(u"D:P"), name = RTL_CONSTANT_STRING(u"\\Device\\Scopes");
    PWDFDEVICE_INIT init = WdfControlDeviceInitAllocate(driver, &sddl);
    WDF_OBJECT_ATTRIBUTES a;
    WDF_FILEOBJECT_CONFIG files;
    WDFDEVICE device;

    assert_non_null(init);
    WDF_OBJECT_ATTRIBUTES_INIT(&a);
    a.SynchronizationScope = scope;
    a.ExecutionLevel = level;
    WDF_FILEOBJECT_CONFIG_INIT(&files, opened, file_told, file_told);
    WdfDeviceInitSetFileObjectConfig(init, &files, WDF_NO_OBJECT_ATTRIBUTES);
    assert_int_equal(WdfDeviceInitAssignName(init, &name), STATUS_SUCCESS);
    assert_int_equal(WdfDeviceCreate(&init, &a, &device), STATUS_SUCCESS);
    return device;
}

/* ---- threads that ask ------------------------------------------------------------------------------------ */

static VOID opens(PVOID context)
{
    struct nt_lab *lab = context;

    for (unsigned i = 0; i < ROUNDS; i++) {
        struct nt_file *f;

        LAB_CHECK(lab, nt_open(lab->k, "\\Device\\Scopes", 0, &f) == STATUS_SUCCESS);
        nt_close(f);
    }
}

static VOID asks(PVOID context)
{
    struct nt_lab *lab = context;
    struct nt_file *f;
    size_t done;

    LAB_CHECK(lab, nt_open(lab->k, "\\Device\\Scopes", 0, &f) == STATUS_SUCCESS);
    for (unsigned i = 0; i < ROUNDS; i++)
        LAB_CHECK(lab, nt_control(f, WORKS, NULL, 0, NULL, 0, &done, 10000 * LAB_MS) == STATUS_SUCCESS);
    nt_close(f);
}

static VOID gives_up(PVOID context)
{
    struct nt_lab *lab = context;
    struct nt_file *f;
    size_t done;

    LAB_CHECK(lab, nt_open(lab->k, "\\Device\\Scopes", 0, &f) == STATUS_SUCCESS);
    for (unsigned i = 0; i < 3; i++)
        LAB_CHECK(lab, nt_control(f, KEEPS, NULL, 0, NULL, 0, &done, 10 * LAB_MS) == STATUS_CANCELLED);
    nt_close(f);
}

/* ---- scenes ---------------------------------------------------------------------------------------------- */

static void scene(struct nt_lab *lab)
{
    const struct scene *s = lab->arg;
    const bool passive = s->level == WdfExecutionLevelPassive;
    WDF_OBJECT_ATTRIBUTES a;
    WDF_IO_QUEUE_CONFIG queue;
    WDF_TIMER_CONFIG ticks;
    WDF_DPC_CONFIG calls;
    WDF_WORKITEM_CONFIG works;
    WDFTIMER timer;
    WDFDPC dpc = NULL;
    WDFWORKITEM work = NULL;
    KEVENT event;
    HANDLE threads[4];

    memset(&here, 0, sizeof here);
    here.lab = lab;
    here.scene = s;
    here.device = make_device(lab_framework(lab), s->scope, s->level);
    WDF_IO_QUEUE_CONFIG_INIT_DEFAULT_QUEUE(&queue, WdfIoQueueDispatchParallel);
    queue.EvtIoDeviceControl = control;
    assert_int_equal(WdfIoQueueCreate(here.device, &queue, WDF_NO_OBJECT_ATTRIBUTES, &here.queue),
                     STATUS_SUCCESS);
    WDF_OBJECT_ATTRIBUTES_INIT(&a);
    a.ParentObject = s->below_queue ? (WDFOBJECT)here.queue : (WDFOBJECT)here.device;
    if (passive || !s->automatic || s->scope == WdfSynchronizationScopeNone) {
        WDF_WORKITEM_CONFIG_INIT(&works, worked);
        works.AutomaticSerialization = (BOOLEAN)s->automatic;
        assert_int_equal(WdfWorkItemCreate(&works, &a, &work), STATUS_SUCCESS);
    }
    if (!passive) {
        WDF_DPC_CONFIG_INIT(&calls, called);
        calls.AutomaticSerialization = (BOOLEAN)s->automatic;
        assert_int_equal(WdfDpcCreate(&calls, &a, &dpc), STATUS_SUCCESS);
    }
    WDF_TIMER_CONFIG_INIT(&ticks, ticked);
    ticks.AutomaticSerialization = (BOOLEAN)s->automatic;
    a.ExecutionLevel = passive ? WdfExecutionLevelPassive : WdfExecutionLevelInheritFromParent;
    assert_int_equal(WdfTimerCreate(&ticks, &a, &timer), STATUS_SUCCESS);
    WdfControlFinishInitializing(here.device);
    KeInitializeEvent(&event, SynchronizationEvent, FALSE);

    threads[0] = lab_thread(opens, lab);
    threads[1] = lab_thread(asks, lab);
    threads[2] = lab_thread(asks, lab);
    threads[3] = lab_thread(gives_up, lab);
    for (unsigned i = 0; i < 2 * ROUNDS; i++) {
        LARGE_INTEGER pause = {.QuadPart = -5000};

        (void)WdfTimerStart(timer, WDF_REL_TIMEOUT_IN_US(100));
        if (work != NULL)
            WdfWorkItemEnqueue(work);
        if (dpc != NULL)
            (void)WdfDpcEnqueue(dpc);
        KeDelayExecutionThread(KernelMode, FALSE, &pause);
    }
    for (unsigned i = 0; i < 4; i++)
        lab_join(threads[i]);
    WdfTimerStop(timer, TRUE);
    if (work != NULL)
        WdfWorkItemFlush(work);
    WdfIoQueueStop(here.queue, stopped, &event);
    KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, NULL);
    WdfObjectDelete(here.device);

    for (unsigned k = 0; k < KINDS; k++) {
        if (k == WORK ? work != NULL : k == DPC ? dpc != NULL : true)
            assert_true(here.calls[k] > 0);
        for (unsigned i = 0; i < 2; i++)
            if (s->apart[i] & 1u << k)
                assert_int_equal(here.met[k] & s->apart[i], 0);
    }
    assert_int_equal(here.irqls[DPC] & ~(1u << DISPATCH_LEVEL), 0);
    assert_int_equal(here.irqls[WORK] & ~(1u << PASSIVE_LEVEL), 0);
    assert_int_equal(here.irqls[TIMER], passive ? 1u << PASSIVE_LEVEL : 1u << DISPATCH_LEVEL);
    if (passive || s->scope == WdfSynchronizationScopeDevice)
        assert_int_equal(here.irqls[OPEN_FILE], passive ? 1u << PASSIVE_LEVEL : 1u << DISPATCH_LEVEL);
    else
        assert_int_equal(here.irqls[OPEN_FILE], 1u << PASSIVE_LEVEL); /* as programs open */
    if (s->scope != WdfSynchronizationScopeNone) {
        assert_int_equal(here.irqls[REQUEST], passive ? 1u << PASSIVE_LEVEL : 1u << DISPATCH_LEVEL);
        assert_int_equal(here.irqls[CANCEL], here.irqls[REQUEST]);
        assert_int_equal(here.irqls[STATE], here.irqls[REQUEST]);
    }
    if (!lab->simulated)
        return;
    /* what nothing keeps apart does meet: the test could see it */
    if (s->scope == WdfSynchronizationScopeNone)
        assert_true((here.met[REQUEST] & 1u << REQUEST) != 0 && (here.met[OPEN_FILE] & 1u << REQUEST) != 0 &&
                    (here.met[TIMER] & 1u << REQUEST) != 0);
    if (s->scope == WdfSynchronizationScopeQueue)
        assert_true((here.met[OPEN_FILE] & 1u << REQUEST) != 0);
    if (!s->automatic)
        assert_true((here.met[TIMER] & (1u << REQUEST | 1u << OPEN_FILE)) != 0);
}

static void scopes_and_levels(void **state)
{
    static const struct scene scenes[] = {
        {WdfSynchronizationScopeNone, WdfExecutionLevelDispatch, true, false, {0}},
        {WdfSynchronizationScopeNone, WdfExecutionLevelPassive, true, false, {0}},
        {WdfSynchronizationScopeDevice, WdfExecutionLevelDispatch, true, false, {ALL}},
        {WdfSynchronizationScopeDevice, WdfExecutionLevelPassive, true, false, {ALL}},
        {WdfSynchronizationScopeDevice, WdfExecutionLevelPassive, true, true, {ALL}},
        {WdfSynchronizationScopeDevice, WdfExecutionLevelDispatch, false, false, {QUEUES | 1u << OPEN_FILE}},
        {WdfSynchronizationScopeQueue, WdfExecutionLevelDispatch, true, true, {ALL & ~(1u << OPEN_FILE)}},
        {WdfSynchronizationScopeQueue, WdfExecutionLevelPassive, true, true, {ALL & ~(1u << OPEN_FILE)}},
        {WdfSynchronizationScopeQueue,
         WdfExecutionLevelDispatch,
         true,
         false,
         {QUEUES, 1u << TIMER | 1u << DPC | 1u << WORK}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof scenes / sizeof scenes[0]; i++)
        nt_lab_both(scene, (void *)(uintptr_t)&scenes[i]);
}

/* ---- what may not be combined ---------------------------------------------------------------------------- */

struct combination {
    WDF_SYNCHRONIZATION_SCOPE scope;
    WDF_EXECUTION_LEVEL level;
    bool automatic;
    NTSTATUS dpc, timer, passive_timer, work;
};

static void combine(WDFDRIVER driver, const struct combination *c)
{
    WDFDEVICE device = make_device(driver, c->scope, c->level);
    WDF_OBJECT_ATTRIBUTES a;
    WDF_TIMER_CONFIG ticks;
    WDF_DPC_CONFIG calls;
    WDF_WORKITEM_CONFIG works;
    WDFTIMER timer;
    WDFDPC dpc;
    WDFWORKITEM work;

    WDF_OBJECT_ATTRIBUTES_INIT(&a);
    a.ParentObject = device;
    WDF_DPC_CONFIG_INIT(&calls, called);
    calls.AutomaticSerialization = (BOOLEAN)c->automatic;
    assert_int_equal(WdfDpcCreate(&calls, &a, &dpc), c->dpc);
    WDF_WORKITEM_CONFIG_INIT(&works, worked);
    works.AutomaticSerialization = (BOOLEAN)c->automatic;
    assert_int_equal(WdfWorkItemCreate(&works, &a, &work), c->work);
    WDF_TIMER_CONFIG_INIT_PERIODIC(&ticks, ticked, 10);
    ticks.AutomaticSerialization = (BOOLEAN)c->automatic;
    assert_int_equal(WdfTimerCreate(&ticks, &a, &timer), c->timer);
    a.ExecutionLevel = WdfExecutionLevelPassive;
    assert_int_equal(WdfTimerCreate(&ticks, &a, &timer), STATUS_INVALID_PARAMETER); /* it has a period */
    ticks.Period = 0;
    assert_int_equal(WdfTimerCreate(&ticks, &a, &timer), c->passive_timer);
    /* neither has a level or a scope of its own; no timer has a scope */
    assert_int_equal(WdfDpcCreate(&calls, &a, &dpc),
                     NT_SUCCESS(c->dpc) ? STATUS_WDF_EXECUTION_LEVEL_INVALID : c->dpc);
    assert_int_equal(WdfWorkItemCreate(&works, &a, &work),
                     NT_SUCCESS(c->work) ? STATUS_WDF_EXECUTION_LEVEL_INVALID : c->work);
    a.SynchronizationScope = WdfSynchronizationScopeNone;
    assert_int_equal(WdfTimerCreate(&ticks, &a, &timer), NT_SUCCESS(c->passive_timer)
                                                             ? STATUS_WDF_SYNCHRONIZATION_SCOPE_INVALID
                                                             : c->passive_timer);
    WdfObjectDelete(device);
}

static void combinations(struct nt_lab *lab)
{
    static const NTSTATUS no = STATUS_WDF_INCOMPATIBLE_EXECUTION_LEVEL;
    const struct combination all[] = {
        {WdfSynchronizationScopeNone, WdfExecutionLevelDispatch, true, 0, 0, 0, 0},
        {WdfSynchronizationScopeNone, WdfExecutionLevelPassive, true, 0, 0, 0, 0},
        {WdfSynchronizationScopeInheritFromParent, WdfExecutionLevelPassive, true, 0, 0, 0, 0},
        {WdfSynchronizationScopeDevice, WdfExecutionLevelDispatch, true, 0, 0, no, no},
        {WdfSynchronizationScopeDevice, WdfExecutionLevelInheritFromParent, true, 0, 0, no, no},
        {WdfSynchronizationScopeDevice, WdfExecutionLevelPassive, true, no, no, 0, 0},
        {WdfSynchronizationScopeQueue, WdfExecutionLevelPassive, true, no, no, 0, 0},
        {WdfSynchronizationScopeDevice, WdfExecutionLevelPassive, false, 0, 0, 0, 0},
        {WdfSynchronizationScopeDevice, WdfExecutionLevelDispatch, false, 0, 0, 0, 0},
    };
    WDFDRIVER driver = lab_framework(lab);
    WDF_OBJECT_ATTRIBUTES a;
    WDF_TIMER_CONFIG ticks;
    WDF_IO_QUEUE_CONFIG queue;
    WDFTIMER timer;
    WDFOBJECT object;
    WDFDEVICE device;
    WDFQUEUE made;

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        combine(driver, &all[i]);
    WDF_TIMER_CONFIG_INIT(&ticks, ticked);
    assert_int_equal(WdfTimerCreate(&ticks, WDF_NO_OBJECT_ATTRIBUTES, &timer),
                     STATUS_WDF_PARENT_NOT_SPECIFIED);
    WDF_OBJECT_ATTRIBUTES_INIT(&a);
    assert_int_equal(WdfTimerCreate(&ticks, &a, &timer), STATUS_WDF_PARENT_NOT_SPECIFIED);
    a.ParentObject = driver;
    assert_int_equal(WdfTimerCreate(&ticks, &a, &timer), STATUS_INVALID_DEVICE_REQUEST);
    WDF_OBJECT_ATTRIBUTES_INIT(&a);
    a.SynchronizationScope = WdfSynchronizationScopeDevice;
    assert_int_equal(WdfObjectCreate(&a, &object), STATUS_WDF_SYNCHRONIZATION_SCOPE_INVALID);
    a.SynchronizationScope = (WDF_SYNCHRONIZATION_SCOPE)0;
    assert_int_equal(WdfObjectCreate(&a, &object), STATUS_INVALID_PARAMETER);
    device = make_device(driver, WdfSynchronizationScopeNone, WdfExecutionLevelPassive);
    WDF_IO_QUEUE_CONFIG_INIT(&queue, WdfIoQueueDispatchParallel);
    assert_int_equal(WdfIoQueueCreate(device, &queue, WDF_NO_OBJECT_ATTRIBUTES, &made),
                     STATUS_WDF_NO_CALLBACK);
    WdfObjectDelete(device);
}

static void combinations_in_both(void **state)
{
    (void)state;
    nt_lab_both(combinations, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scopes_and_levels),
        cmocka_unit_test(combinations_in_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
