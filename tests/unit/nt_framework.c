/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver framework: objects with contexts and the order of their end, a control device with queues and
 * files asked by a test program, work items, timers, locks, the registry. Each in simulated and real worlds;
 * the lab's driver becomes a framework driver at the start of each body.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "wdf_lab.h"

#define CODE(function, method) CTL_CODE(FILE_DEVICE_NETWORK, (function), (method), FILE_ANY_ACCESS)

struct context {
    const char *name;
    struct nt_lab *lab;
};
typedef struct context CONTEXT;
WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(CONTEXT, context_of)
typedef struct {
    struct nt_lab *lab;
    WDFQUEUE manual;
    unsigned presented, most, files;
} DEVICE_CONTEXT;
WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(DEVICE_CONTEXT, device_context)

/* ---- objects
 * --------------------------------------------------------------------------------------------------------------
 */
static VOID cleanup(WDFOBJECT object)
{
    CONTEXT *c = context_of(object);
    lab_trace(c->lab, "cleanup %s", c->name);
}
static VOID destroy(WDFOBJECT object)
{
    CONTEXT *c = context_of(object);
    lab_trace(c->lab, "destroy %s", c->name);
}

static WDFOBJECT object(struct nt_lab *lab, WDFOBJECT parent, const char *name)
{
    WDF_OBJECT_ATTRIBUTES a;
    WDFOBJECT o;

    WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(&a, CONTEXT);
    a.EvtCleanupCallback = cleanup;
    a.EvtDestroyCallback = destroy;
    a.ParentObject = parent;
    assert_int_equal(WdfObjectCreate(&a, &o), STATUS_SUCCESS);
    *context_of(o) = (CONTEXT){name, lab};
    assert_ptr_equal(WdfObjectContextGetObject(context_of(o)), o);
    return o;
}

static void objects(struct nt_lab *lab)
{
    lab_framework(lab);
    WDFOBJECT root = object(lab, NULL, "root"), child = object(lab, root, "child");
    object(lab, child, "grandchild");

    assert_null(device_context(root)); /* it has no such context */
    WdfObjectReference(child);
    WdfObjectDelete(root);
    assert_string_equal(lab->trace, "cleanup grandchild\ncleanup child\ncleanup root\ndestroy grandchild\n");
    WdfObjectDereference(child);
    assert_string_equal(lab->trace, "cleanup grandchild\ncleanup child\ncleanup root\ndestroy grandchild\n"
                                    "destroy child\ndestroy root\n");
}

/* ---- a control device
 * ---------------------------------------------------------------------------------------------------------
 */
static VOID file_create(WDFDEVICE device, WDFREQUEST request, WDFFILEOBJECT file)
{
    lab_trace(device_context(device)->lab, "create %d", WdfFileObjectGetFileName(file)->Length);
    device_context(device)->files++;
    WdfRequestComplete(request, STATUS_SUCCESS);
}
static VOID file_cleanup(WDFFILEOBJECT file)
{
    lab_trace(device_context(WdfFileObjectGetDevice(file))->lab, "cleanup");
}
static VOID file_close(WDFFILEOBJECT file)
{
    lab_trace(device_context(WdfFileObjectGetDevice(file))->lab, "close");
}

static VOID control(WDFQUEUE queue, WDFREQUEST request, size_t out_size, size_t in_size, ULONG code)
{
    DEVICE_CONTEXT *d = device_context(WdfIoQueueGetDevice(queue));
    WDF_REQUEST_PARAMETERS parameters;
    WDFMEMORY memory;
    void *in, *out;
    size_t length;

    WDF_REQUEST_PARAMETERS_INIT(&parameters);
    WdfRequestGetParameters(request, &parameters);
    LAB_CHECK(d->lab, parameters.Type == WdfRequestTypeDeviceControl);
    LAB_CHECK(d->lab, parameters.Parameters.DeviceIoControl.IoControlCode == code);
    LAB_CHECK(d->lab, parameters.Parameters.DeviceIoControl.InputBufferLength == in_size);
    switch (IoGetFunctionCodeFromCtlCode(code)) {
    case 1: /* doubles */
        if (!NT_SUCCESS(WdfRequestRetrieveInputBuffer(request, 4, &in, &length)) ||
            !NT_SUCCESS(WdfRequestRetrieveOutputBuffer(request, 4, &out, NULL))) {
            WdfRequestComplete(request, STATUS_BUFFER_TOO_SMALL);
            return;
        }
        LAB_CHECK(d->lab, length == in_size);
        LAB_CHECK(d->lab, WdfRequestRetrieveOutputMemory(request, &memory) == STATUS_SUCCESS);
        LAB_CHECK(d->lab, WdfMemoryGetBuffer(memory, &length) == out && length == out_size);
        *(ULONG *)out = 2 * *(ULONG *)in;
        WdfRequestCompleteWithInformation(request, STATUS_SUCCESS, sizeof(ULONG));
        return;
    case 2: /* waits in the manual queue */
        LAB_CHECK(d->lab, WdfRequestForwardToIoQueue(request, d->manual) == STATUS_SUCCESS);
        return;
    case 3: { /* lets one of those go */
        WDFREQUEST waiting;
        NTSTATUS status = WdfIoQueueRetrieveNextRequest(d->manual, &waiting);
        if (NT_SUCCESS(status))
            WdfRequestComplete(waiting, STATUS_SUCCESS);
        WdfRequestComplete(request, status);
        return;
    }
    default:
        WdfRequestComplete(request, STATUS_INVALID_DEVICE_REQUEST);
    }
}

static VOID shared_read(WDFQUEUE queue, WDFREQUEST request, size_t length)
{
    DEVICE_CONTEXT *d = device_context(WdfIoQueueGetDevice(queue));
    LARGE_INTEGER ms = {.QuadPart = -10000};
    void *out;

    d->presented++;
    d->most = d->presented > d->most ? d->presented : d->most;
    KeDelayExecutionThread(KernelMode, FALSE, &ms);
    if (NT_SUCCESS(WdfRequestRetrieveOutputBuffer(request, 1, &out, NULL)))
        memset(out, 'r', length);
    d->presented--;
    WdfRequestCompleteWithInformation(request, STATUS_SUCCESS, length);
}

static WDFDEVICE make_device(struct nt_lab *lab, WDFDRIVER driver)
{
    UNICODE_STRING sddl = RTL_CONSTANT_STRING(u"D:P(A;;GA;;;SY)"),
                   name = RTL_CONSTANT_STRING(u"\\Device\\Framework");
    UNICODE_STRING link = RTL_CONSTANT_STRING(u"\\DosDevices\\Framework");
    WDF_FILEOBJECT_CONFIG file;
    WDF_IO_QUEUE_CONFIG config;
    WDF_OBJECT_ATTRIBUTES a;
    WDFDEVICE device;
    WDFQUEUE queue;

    PWDFDEVICE_INIT init = WdfControlDeviceInitAllocate(driver, &sddl);
    assert_non_null(init);
    WdfDeviceInitSetDeviceType(init, FILE_DEVICE_NETWORK);
    WdfDeviceInitSetCharacteristics(init, FILE_DEVICE_SECURE_OPEN, FALSE);
    assert_int_equal(WdfDeviceInitAssignName(init, &name), STATUS_SUCCESS);
    WDF_FILEOBJECT_CONFIG_INIT(&file, file_create, file_close, file_cleanup);
    WdfDeviceInitSetFileObjectConfig(init, &file, WDF_NO_OBJECT_ATTRIBUTES);
    WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(&a, DEVICE_CONTEXT);
    assert_int_equal(WdfDeviceCreate(&init, &a, &device), STATUS_SUCCESS);
    assert_null(init);
    device_context(device)->lab = lab;
    assert_int_equal(WdfDeviceCreateSymbolicLink(device, &link), STATUS_SUCCESS);
    WDF_IO_QUEUE_CONFIG_INIT_DEFAULT_QUEUE(&config, WdfIoQueueDispatchParallel);
    config.EvtIoDeviceControl = control;
    assert_int_equal(WdfIoQueueCreate(device, &config, WDF_NO_OBJECT_ATTRIBUTES, &queue), STATUS_SUCCESS);
    assert_int_equal(WdfIoQueueCreate(device, &config, WDF_NO_OBJECT_ATTRIBUTES, &queue),
                     STATUS_UNSUCCESSFUL);
    WDF_IO_QUEUE_CONFIG_INIT(&config, WdfIoQueueDispatchManual);
    assert_int_equal(
        WdfIoQueueCreate(device, &config, WDF_NO_OBJECT_ATTRIBUTES, &device_context(device)->manual),
        STATUS_SUCCESS);
    WDF_IO_QUEUE_CONFIG_INIT(&config, WdfIoQueueDispatchSequential);
    config.EvtIoRead = shared_read;
    assert_int_equal(WdfIoQueueCreate(device, &config, WDF_NO_OBJECT_ATTRIBUTES, &queue), STATUS_SUCCESS);
    assert_int_equal(WdfDeviceConfigureRequestDispatching(device, queue, WdfRequestTypeRead), STATUS_SUCCESS);
    WdfControlFinishInitializing(device);
    return device;
}

struct asker {
    struct nt_file *file;
    NTSTATUS status;
    size_t done;
    char out[4];
    bool reads;
};
static VOID ask(PVOID context)
{
    struct asker *a = context;

    a->status =
        a->reads ? nt_read(a->file, a->out, 4, &a->done, 10000 * LAB_MS)
                 : nt_control(a->file, CODE(2, METHOD_BUFFERED), NULL, 0, NULL, 0, &a->done, 10000 * LAB_MS);
}

static void device(struct nt_lab *lab)
{
    WDFDEVICE device = make_device(lab, lab_framework(lab));
    struct asker readers[4];
    HANDLE threads[4];
    struct nt_file *f;
    ULONG in = 21, out = 0, queued, with_driver;
    size_t done;

    assert_int_equal(nt_open(lab->k, "\\\\.\\Framework\\x", 0, &f), STATUS_SUCCESS);
    assert_int_equal(nt_control(f, CODE(1, METHOD_BUFFERED), &in, 4, &out, 4, &done, LAB_MS), STATUS_SUCCESS);
    assert_int_equal(out, 42);
    assert_int_equal(done, 4);
    assert_int_equal(nt_control(f, CODE(1, METHOD_OUT_DIRECT), &in, 4, &out, 4, &done, LAB_MS),
                     STATUS_SUCCESS);
    assert_int_equal(nt_control(f, CODE(1, METHOD_BUFFERED), &in, 3, &out, 4, &done, LAB_MS),
                     STATUS_BUFFER_TOO_SMALL);
    assert_int_equal(nt_control(f, CODE(1, METHOD_NEITHER), &in, 4, &out, 4, &done, LAB_MS),
                     STATUS_BUFFER_TOO_SMALL);
    assert_int_equal(nt_write(f, &in, 4, &done, LAB_MS), STATUS_INVALID_DEVICE_REQUEST);
    /* waits for ever: cancelled in the manual queue */
    assert_int_equal(nt_control(f, CODE(2, METHOD_BUFFERED), NULL, 0, NULL, 0, &done, 5 * LAB_MS),
                     STATUS_CANCELLED);
    WdfIoQueueGetState(device_context(device)->manual, &queued, &with_driver);
    assert_int_equal(queued, 0);
    assert_int_equal(with_driver, 0);
    assert_int_equal(nt_control(f, CODE(3, METHOD_BUFFERED), NULL, 0, NULL, 0, &done, LAB_MS),
                     STATUS_NO_MORE_ENTRIES);
    /* let go by another */
    readers[0] = (struct asker){.file = f};
    threads[0] = lab_thread(ask, &readers[0]);
    while (nt_control(f, CODE(3, METHOD_BUFFERED), NULL, 0, NULL, 0, &done, LAB_MS) ==
           STATUS_NO_MORE_ENTRIES) {
        LARGE_INTEGER ms = lab_ms(1);
        KeDelayExecutionThread(KernelMode, FALSE, &ms);
    }
    lab_join(threads[0]);
    assert_int_equal(readers[0].status, STATUS_SUCCESS);
    /* a sequential queue: one at a time */
    for (int i = 0; i < 4; i++) {
        readers[i] = (struct asker){.file = f, .reads = true};
        threads[i] = lab_thread(ask, &readers[i]);
    }
    for (int i = 0; i < 4; i++) {
        lab_join(threads[i]);
        assert_int_equal(readers[i].status, STATUS_SUCCESS);
        assert_memory_equal(readers[i].out, "rrrr", 4);
    }
    assert_int_equal(device_context(device)->most, 1);
    /* purged: nothing gets in until it is started again */
    WdfIoQueuePurgeSynchronously(WdfDeviceGetDefaultQueue(device));
    assert_int_equal(nt_control(f, CODE(1, METHOD_BUFFERED), &in, 4, &out, 4, &done, LAB_MS),
                     STATUS_INVALID_DEVICE_STATE);
    WdfIoQueueStart(WdfDeviceGetDefaultQueue(device));
    assert_int_equal(nt_control(f, CODE(1, METHOD_BUFFERED), &in, 4, &out, 4, &done, LAB_MS), STATUS_SUCCESS);
    nt_close(f);
    assert_string_equal(lab->trace, "create 4\ncleanup\nclose\n");
    WdfObjectDelete(device);
    assert_int_equal(nt_open(lab->k, "\\\\.\\Framework", 0, &f), STATUS_OBJECT_NAME_NOT_FOUND);
}

/* A file that is open when the driver goes is closed then; its handle says so. */
static void left_open(struct nt_lab *lab)
{
    make_device(lab, lab_framework(lab));
    struct nt_file *f;
    size_t done;

    assert_int_equal(nt_open(lab->k, "\\\\.\\Framework", 0, &f), STATUS_SUCCESS);
    assert_int_equal(nt_driver_unload(lab->driver, LAB_MS), STATUS_SUCCESS);
    assert_string_equal(lab->trace, "create 0\ncleanup\nclose\n");
    assert_int_equal(nt_control(f, CODE(1, METHOD_BUFFERED), NULL, 0, NULL, 0, &done, LAB_MS),
                     STATUS_FILE_CLOSED);
    nt_close(f);
}

/* ---- work, timers, locks
 * ---------------------------------------------------------------------------------------------------- */
typedef struct {
    KEVENT event;
    unsigned runs;
    KIRQL irql;
} RUNS;
WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(RUNS, runs_of)

static VOID worked(WDFWORKITEM item)
{
    RUNS *r = runs_of(WdfWorkItemGetParentObject(item));
    r->runs++;
    r->irql = KeGetCurrentIrql();
    KeSetEvent(&r->event, IO_NO_INCREMENT, FALSE);
}
static VOID ticked(WDFTIMER timer)
{
    RUNS *r = runs_of(WdfTimerGetParentObject(timer));
    r->runs++;
    r->irql = KeGetCurrentIrql();
    KeSetEvent(&r->event, IO_NO_INCREMENT, FALSE);
}

static void work(struct nt_lab *lab)
{
    WDF_OBJECT_ATTRIBUTES a;
    WDF_WORKITEM_CONFIG work_config;
    WDF_TIMER_CONFIG timer_config;
    WDFOBJECT parent;
    WDFWORKITEM item;
    WDFTIMER timer;
    WDFWAITLOCK lock;
    WDFSPINLOCK spin;
    LONGLONG none = 0;

    WDFDEVICE device = make_device(lab, lab_framework(lab));
    WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(&a, RUNS);
    a.ParentObject = device;
    assert_int_equal(WdfObjectCreate(&a, &parent), STATUS_SUCCESS);
    RUNS *r = runs_of(parent);
    KeInitializeEvent(&r->event, SynchronizationEvent, FALSE);
    WDF_OBJECT_ATTRIBUTES_INIT(&a);
    a.ParentObject = parent;
    WDF_WORKITEM_CONFIG_INIT(&work_config, worked);
    assert_int_equal(WdfWorkItemCreate(&work_config, &a, &item), STATUS_SUCCESS);
    for (unsigned i = 1; i <= 3; i++) {
        WdfWorkItemEnqueue(item);
        WdfWorkItemFlush(item);
        assert_int_equal(r->runs, i);
    }
    assert_int_equal(r->irql, PASSIVE_LEVEL);
    KeClearEvent(&r->event);
    WDF_TIMER_CONFIG_INIT_PERIODIC(&timer_config, ticked, 2);
    assert_int_equal(WdfTimerCreate(&timer_config, &a, &timer), STATUS_SUCCESS);
    r->runs = 0;
    assert_false(WdfTimerStart(timer, WDF_REL_TIMEOUT_IN_MS(1)));
    for (int i = 0; i < 3; i++)
        KeWaitForSingleObject(&r->event, Executive, KernelMode, FALSE, NULL);
    assert_true(WdfTimerStop(timer, TRUE));
    assert_true(r->runs >= 3);
    assert_int_equal(r->irql, DISPATCH_LEVEL);
    a.ExecutionLevel = WdfExecutionLevelPassive;
    WDF_TIMER_CONFIG_INIT(&timer_config, ticked);
    assert_int_equal(WdfTimerCreate(&timer_config, &a, &timer), STATUS_SUCCESS);
    KeClearEvent(&r->event);
    WdfTimerStart(timer, WDF_REL_TIMEOUT_IN_MS(1));
    KeWaitForSingleObject(&r->event, Executive, KernelMode, FALSE, NULL);
    WdfTimerStop(timer, TRUE);
    assert_int_equal(r->irql, PASSIVE_LEVEL);

    assert_int_equal(WdfWaitLockCreate(WDF_NO_OBJECT_ATTRIBUTES, &lock), STATUS_SUCCESS);
    assert_int_equal(WdfWaitLockAcquire(lock, NULL), STATUS_SUCCESS);
    assert_int_equal(WdfWaitLockAcquire(lock, &none), STATUS_TIMEOUT);
    WdfWaitLockRelease(lock);
    assert_int_equal(WdfSpinLockCreate(WDF_NO_OBJECT_ATTRIBUTES, &spin), STATUS_SUCCESS);
    WdfSpinLockAcquire(spin);
    assert_int_equal(KeGetCurrentIrql(), DISPATCH_LEVEL);
    WdfSpinLockRelease(spin);
    WdfObjectDelete(parent); /* with its work item and timers */
}

static void registry(struct nt_lab *lab)
{
    UNICODE_STRING number = RTL_CONSTANT_STRING(u"Number"), text = RTL_CONSTANT_STRING(u"Text"), value;
    WDFDRIVER driver = lab_framework(lab);
    WCHAR room[16];
    WDFKEY key;
    USHORT bytes;
    ULONG n;

    assert_int_equal(WdfDriverOpenParametersRegistryKey(driver, KEY_READ, WDF_NO_OBJECT_ATTRIBUTES, &key),
                     STATUS_SUCCESS);
    assert_int_equal(WdfRegistryQueryULong(key, &number, &n), STATUS_OBJECT_NAME_NOT_FOUND);
    assert_int_equal(WdfRegistryAssignULong(key, &number, 7), STATUS_SUCCESS);
    assert_int_equal(WdfRegistryQueryULong(key, &number, &n), STATUS_SUCCESS);
    assert_int_equal(n, 7);
    RtlInitUnicodeString(&value, u"10.0.0.1");
    assert_int_equal(WdfRegistryAssignUnicodeString(key, &text, &value), STATUS_SUCCESS);
    assert_int_equal(WdfRegistryQueryULong(key, &text, &n), STATUS_OBJECT_TYPE_MISMATCH);
    RtlInitEmptyUnicodeString(&value, room, 8);
    assert_int_equal(WdfRegistryQueryUnicodeString(key, &text, &bytes, &value), STATUS_BUFFER_OVERFLOW);
    assert_int_equal(bytes, 18);
    RtlInitEmptyUnicodeString(&value, room, sizeof room);
    assert_int_equal(WdfRegistryQueryUnicodeString(key, &text, NULL, &value), STATUS_SUCCESS);
    assert_int_equal(value.Length, 16);
    WdfRegistryClose(key);
}

static void misuse(struct nt_lab *lab)
{
    enum { WDF_VIOLATION = 0x10d };
    WDFDEVICE device = make_device(lab, lab_framework(lab));

    assert_null(WdfDeviceGetDriver((WDFDEVICE)device_context(device)->manual));
    lab_expect_bug(lab, WDF_VIOLATION, "another kind");
    assert_null(WdfMemoryGetBuffer(NULL, NULL));
    lab_expect_bug(lab, WDF_VIOLATION, "NULL");
}

#define BOTH(body)                                                                                           \
    static void body##_in_both(void **state)                                                                 \
    {                                                                                                        \
        (void)state;                                                                                         \
        nt_lab_both(body, NULL);                                                                             \
    }
BOTH(objects)
BOTH(device)
BOTH(left_open)
BOTH(work)
BOTH(registry)
BOTH(misuse)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_in_both),   cmocka_unit_test(device_in_both),
        cmocka_unit_test(left_open_in_both), cmocka_unit_test(work_in_both),
        cmocka_unit_test(registry_in_both),  cmocka_unit_test(misuse_in_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
