/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Completion routines: an IRP that goes down a stack of two devices, pended by the lower one or not, and comes up
 * again: who is called, when, with what; stopped on its way and sent on; sent down again; of a driver that goes. Each in
 * simulated and real worlds.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "nt_lab.h"

#define ASK CTL_CODE(FILE_DEVICE_NETWORK, 1, METHOD_BUFFERED, FILE_ANY_ACCESS)

enum upper { UP_CONTINUES, UP_STOPS, UP_AGAIN, UP_EX, UP_EX_ON_ERROR };

static struct {
    struct nt_lab *lab;
    PDEVICE_OBJECT lower, upper;
    enum upper how;
    bool pends, fails;
    PIRP kept;
    KEVENT stopped;
    unsigned asked, called;
    KDPC dpc;
} here;

static NTSTATUS finish(PIRP irp, NTSTATUS status, ULONG_PTR information)
{
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = information;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

static VOID lower_completes(PKDPC dpc, PVOID context, PVOID one, PVOID two)
{
    (void)dpc;
    (void)context;
    (void)one;
    (void)two;
    finish(here.kept, here.fails ? STATUS_UNSUCCESSFUL : STATUS_SUCCESS, 0);
}

static NTSTATUS continues(PDEVICE_OBJECT device, PIRP irp, PVOID context)
{
    LAB_CHECK(here.lab, device == here.upper && context == &here);
    LAB_CHECK(here.lab, irp->PendingReturned == here.pends);
    here.called++;
    if (irp->PendingReturned)
        IoMarkIrpPending(irp);
    return STATUS_CONTINUE_COMPLETION;
}

/* The driver has the IRP again, and whoever waits for it waits on. */
static NTSTATUS stops(PDEVICE_OBJECT device, PIRP irp, PVOID context)
{
    (void)irp;
    LAB_CHECK(here.lab, device == here.upper && context == &here);
    here.called++;
    KeSetEvent(&here.stopped, IO_NO_INCREMENT, FALSE);
    return StopCompletion;
}

static NTSTATUS dispatch(PDEVICE_OBJECT device, PIRP irp)
{
    NTSTATUS status;

    if (IoGetCurrentIrpStackLocation(irp)->MajorFunction != IRP_MJ_DEVICE_CONTROL)
        return finish(irp, STATUS_SUCCESS, 0);
    if (device == here.lower) {
        here.asked++;
        if (!here.pends)
            return finish(irp, here.fails ? STATUS_UNSUCCESSFUL : STATUS_SUCCESS, 0);
        here.kept = irp;
        IoMarkIrpPending(irp);
        KeInsertQueueDpc(&here.dpc, NULL, NULL);
        return STATUS_PENDING;
    }
    IoCopyCurrentIrpStackLocationToNext(irp);
    switch (here.how) {
    case UP_CONTINUES:
        IoSetCompletionRoutine(irp, continues, &here, TRUE, TRUE, TRUE);
        return IoCallDriver(here.lower, irp);
    case UP_EX:
    case UP_EX_ON_ERROR:
        status = IoSetCompletionRoutineEx(device, irp, continues, &here, here.how == UP_EX, TRUE, FALSE);
        LAB_CHECK(here.lab, status == STATUS_SUCCESS);
        return IoCallDriver(here.lower, irp);
    case UP_STOPS:
    case UP_AGAIN:
        break;
    }
    IoSetCompletionRoutine(irp, stops, &here, TRUE, TRUE, TRUE);
    status = IoCallDriver(here.lower, irp);
    if (status == STATUS_PENDING)
        KeWaitForSingleObject(&here.stopped, Executive, KernelMode, FALSE, NULL);
    else
        KeClearEvent(&here.stopped);
    LAB_CHECK(here.lab,
              ledger_open_count(here.lab->context.party, LEDGER_IRP) == 1); /* it is this driver's to end */
    if (here.how == UP_AGAIN) { /* once more, and without being asked: the location is as new */
        here.pends = false;
        IoGetNextIrpStackLocation(irp)->MajorFunction = IRP_MJ_DEVICE_CONTROL;
        return IoCallDriver(here.lower, irp);
    }
    return finish(irp, STATUS_SUCCESS, 7);
}

static PDEVICE_OBJECT make(PDRIVER_OBJECT driver, const UNICODE_STRING *name)
{
    PDEVICE_OBJECT object;

    assert_int_equal(
        IoCreateDevice(driver, 0, (PUNICODE_STRING)(uintptr_t)name, FILE_DEVICE_NETWORK, 0, FALSE, &object),
        STATUS_SUCCESS);
    object->Flags &= ~(ULONG)DO_DEVICE_INITIALIZING;
    return object;
}

static void body(struct nt_lab *lab)
{
    const UNICODE_STRING name = RTL_CONSTANT_STRING(u"\\Device\\Completion");
    PDRIVER_OBJECT driver = nt_driver_object(lab->driver);

    for (unsigned i = 0; i < 20; i++) {
        const enum upper how = (enum upper)(i % 5);
        const bool pends = i / 5 % 2 != 0, fails = i / 10 != 0;
        struct nt_file *f;
        size_t done = 99;

        memset(&here, 0, sizeof here);
        here.lab = lab;
        here.how = how;
        here.pends = pends;
        here.fails = fails;
        KeInitializeEvent(&here.stopped, SynchronizationEvent, FALSE);
        KeInitializeDpc(&here.dpc, lower_completes, NULL);
        for (unsigned m = 0; m <= IRP_MJ_MAXIMUM_FUNCTION; m++)
            driver->MajorFunction[m] = dispatch;
        here.lower = make(driver, &name);
        here.upper = make(driver, NULL);
        assert_ptr_equal(IoAttachDeviceToDeviceStack(here.upper, here.lower), here.lower);
        assert_int_equal(nt_open(lab->k, "\\Device\\Completion", 0, &f), STATUS_SUCCESS);
        assert_int_equal(nt_control(f, ASK, NULL, 0, NULL, 0, &done, 10000 * LAB_MS),
                         fails && how != UP_STOPS ? STATUS_UNSUCCESSFUL : STATUS_SUCCESS);
        assert_int_equal(done, how == UP_STOPS ? 7 : 0);
        assert_int_equal(here.asked, how == UP_AGAIN ? 2 : 1);
        assert_int_equal(here.called, how == UP_EX_ON_ERROR && !fails ? 0 : 1);
        assert_int_equal(ledger_open_count(lab->context.party, LEDGER_IRP), 0);
        assert_int_equal(ledger_open_count(lab->context.party, LEDGER_CALLBACK), 0);
        nt_close(f);
        IoDetachDevice(here.lower);
        IoDeleteDevice(here.upper);
        IoDeleteDevice(here.lower);
    }
}

static void in_both(void **state)
{
    (void)state;
    nt_lab_both(body, NULL);
}

static void *volatile left; /* so that it is no leak of the test program's */

/* Set, and never sent: the driver cannot go, and is told why. */
static void never_sent(struct nt_lab *lab)
{
    PDEVICE_OBJECT object = make(nt_driver_object(lab->driver), NULL);
    PIRP irp = IoAllocateIrp(2, FALSE);

    assert_non_null(irp);
    assert_int_equal(IoSetCompletionRoutineEx(object, irp, continues, &here, TRUE, TRUE, TRUE),
                     STATUS_SUCCESS);
    left = IoGetNextIrpStackLocation(irp)->Context;
    assert_int_equal(IoSetCompletionRoutineEx(object, irp, NULL, &here, TRUE, TRUE, TRUE),
                     STATUS_INVALID_PARAMETER);
    IoFreeIrp(irp);
    IoDeleteDevice(object);
    lab->keep_left = true;
}

static void what_is_never_sent_holds_its_driver(void **state)
{
    static struct nt_lab out;
    const struct nt_lab_world world = {.name = "simulated", .simulated = true, .seed = 1};

    (void)state;
    nt_lab_run(&world, never_sent, NULL, &out);
    assert_int_equal(out.unload_status, STATUS_TIMEOUT);
    assert_int_equal(out.settled, 1);
    assert_int_equal(out.last_kind, LEDGER_CALLBACK);
    assert_string_equal(out.last, "completion routine");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_both),
        cmocka_unit_test(what_is_never_sent_holds_its_driver),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
