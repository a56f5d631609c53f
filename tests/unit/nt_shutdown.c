/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shutdown: which devices get IRP_MJ_SHUTDOWN, in which order, how; what a registration costs that nobody takes
 * back; the framework's control devices. Each in simulated and real worlds.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "wdf_lab.h"

struct device {
    struct nt_lab *lab;
    char name;
    PDEVICE_OBJECT below;
    PIRP kept;
    bool keeps, again, deletes;
};

static NTSTATUS shutdown(PDEVICE_OBJECT object, PIRP irp)
{
    struct device *d = object->DeviceExtension;
    PIO_STACK_LOCATION s = IoGetCurrentIrpStackLocation(irp);

    LAB_CHECK(d->lab,
              s->MajorFunction == IRP_MJ_SHUTDOWN && s->DeviceObject == object && s->FileObject == NULL);
    LAB_CHECK(d->lab, irp->RequestorMode == KernelMode && KeGetCurrentIrql() == PASSIVE_LEVEL);
    LAB_CHECK(d->lab, PsGetCurrentProcessId() == PsGetProcessId(PsInitialSystemProcess));
    lab_trace(d->lab, "%c", d->name);
    if (d->below != NULL) {
        IoSkipCurrentIrpStackLocation(irp);
        return IoCallDriver(d->below, irp);
    }
    if (d->keeps) {
        IoMarkIrpPending(irp);
        d->kept = irp;
        return STATUS_PENDING;
    }
    if (d->again)
        LAB_CHECK(d->lab, IoRegisterShutdownNotification(object) == STATUS_SUCCESS);
    if (d->deletes) {
        IoUnregisterShutdownNotification(object);
        IoDeleteDevice(object);
    }
    irp->IoStatus.Status = STATUS_SUCCESS;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return STATUS_SUCCESS;
}

static PDEVICE_OBJECT make(struct nt_lab *lab, char name)
{
    PDRIVER_OBJECT driver = nt_driver_object(lab->driver);
    PDEVICE_OBJECT object;
    struct device *d;

    driver->MajorFunction[IRP_MJ_SHUTDOWN] = shutdown;
    assert_int_equal(IoCreateDevice(driver, sizeof *d, NULL, FILE_DEVICE_NETWORK, 0, FALSE, &object),
                     STATUS_SUCCESS);
    d = object->DeviceExtension;
    d->lab = lab;
    d->name = name;
    object->Flags &= ~(ULONG)DO_DEVICE_INITIALIZING;
    return object;
}

static void asks(PDEVICE_OBJECT object)
{
    assert_int_equal(IoRegisterShutdownNotification(object), STATUS_SUCCESS);
}

static void asks_last(PDEVICE_OBJECT object)
{
    assert_int_equal(IoRegisterLastChanceShutdownNotification(object), STATUS_SUCCESS);
}

static void gone(PDEVICE_OBJECT object)
{
    IoUnregisterShutdownNotification(object);
    IoDeleteDevice(object);
}

/* The machine's end, as whoever runs it brings it about: how many were told. */
static unsigned shut_down(struct nt_lab *lab, uint64_t patience, NTSTATUS wanted)
{
    NTSTATUS status;
    unsigned told = 0;

    while (nt_shutdown_whose(lab->k) != NULL) {
        assert_ptr_equal(nt_shutdown_whose(lab->k), lab->driver);
        assert_true(nt_shutdown_next(lab->k, patience, &status));
        assert_int_equal(status, wanted);
        told++;
    }
    assert_false(nt_shutdown_next(lab->k, patience, &status));
    return told;
}

/* Last registered first, then those of the last chance; a device is told once of each. */
static void in_order(struct nt_lab *lab)
{
    PDEVICE_OBJECT a = make(lab, 'a'), b = make(lab, 'b'), c = make(lab, 'c'), d = make(lab, 'd');

    asks(a);
    asks_last(b);
    asks(c);
    asks(c);
    asks_last(a);
    asks(d);
    assert_true((d->Flags & DO_SHUTDOWN_REGISTERED) != 0);
    IoUnregisterShutdownNotification(d);
    assert_true((d->Flags & DO_SHUTDOWN_REGISTERED) == 0);
    assert_int_equal(IoRegisterShutdownNotification((PDEVICE_OBJECT)nt_driver_object(lab->driver)),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(shut_down(lab, LAB_MS, STATUS_SUCCESS), 4);
    assert_string_equal(lab->trace, "c\na\na\nb\n");
    gone(a);
    gone(b);
    gone(c);
    IoDeleteDevice(d);
}

/* One unregistration cancels both registrations; a second one is one too many. */
static void cancelled(struct nt_lab *lab)
{
    PDEVICE_OBJECT a = make(lab, 'a');

    asks(a);
    asks_last(a);
    IoUnregisterShutdownNotification(a);
    assert_int_equal(shut_down(lab, LAB_MS, STATUS_SUCCESS), 0);
    assert_string_equal(lab->trace, "");
    IoUnregisterShutdownNotification(a);
    assert_int_equal(lab_found(lab, LEDGER_TWICE), 1);
    IoDeleteDevice(a);
}

/* It goes to the top of the stack, as every IRP; the device of whoever registered gets it from there. */
static void through_a_stack(struct nt_lab *lab)
{
    PDEVICE_OBJECT a = make(lab, 'a'), top = make(lab, 't');
    struct device *d = top->DeviceExtension;

    asks(a);
    d->below = IoAttachDeviceToDeviceStack(top, a);
    assert_ptr_equal(d->below, a);
    assert_int_equal(shut_down(lab, LAB_MS, STATUS_SUCCESS), 1);
    assert_string_equal(lab->trace, "t\na\n");
    IoDetachDevice(a);
    IoDeleteDevice(top);
    gone(a);
}

/* A routine that registers again is not asked for ever; one that deletes its device has been asked. */
static void from_within(struct nt_lab *lab)
{
    PDEVICE_OBJECT a = make(lab, 'a'), b = make(lab, 'b');

    asks(a);
    asks(b);
    ((struct device *)a->DeviceExtension)->again = true;
    ((struct device *)b->DeviceExtension)->deletes = true;
    assert_int_equal(shut_down(lab, LAB_MS, STATUS_SUCCESS), 2);
    assert_string_equal(lab->trace, "b\na\n");
    gone(a);
}

/* Who does not answer keeps nobody else from being told, and owes the IRP. */
static void kept(struct nt_lab *lab)
{
    PDEVICE_OBJECT a = make(lab, 'a'), b = make(lab, 'b');
    struct device *d = b->DeviceExtension;
    NTSTATUS status;

    asks(a);
    asks(b);
    d->keeps = true;
    assert_true(nt_shutdown_next(lab->k, 5 * LAB_MS, &status));
    assert_int_equal(status, STATUS_TIMEOUT);
    assert_int_equal(ledger_open_count(lab->context.party, LEDGER_IRP), 1);
    assert_int_equal(shut_down(lab, LAB_MS, STATUS_SUCCESS), 1);
    assert_string_equal(lab->trace, "b\na\n");
    d->kept->IoStatus.Status = STATUS_SUCCESS;
    IoCompleteRequest(d->kept, IO_NO_INCREMENT);
    gone(a);
    gone(b);
}

/* A device that goes is told nothing, and its driver owes the unregistration. */
static void left(struct nt_lab *lab)
{
    PDEVICE_OBJECT a = make(lab, 'a'), b = make(lab, 'b');

    asks(a);
    asks(b);
    asks_last(b);
    IoDeleteDevice(b);
    assert_int_equal(shut_down(lab, LAB_MS, STATUS_SUCCESS), 1);
    assert_string_equal(lab->trace, "a\n");
    assert_int_equal(ledger_open_count(lab->context.party, LEDGER_CALLBACK), 2); /* told, and owed still */
    gone(a);
    assert_int_equal(ledger_open_count(lab->context.party, LEDGER_CALLBACK), 1);
    lab->keep_left = true;
}

static void what_is_left_is_told(void **state)
{
    static struct nt_lab out;
    const struct nt_lab_world world = {.name = "simulated", .simulated = true, .seed = 1};

    (void)state;
    nt_lab_run(&world, left, NULL, &out);
    assert_int_equal(out.settled, 1);
    assert_int_equal(out.last_kind, LEDGER_CALLBACK);
    assert_string_equal(out.last, "shutdown notification");
}

/* ---- the framework --------------------------------------------------------------------------------------- */

typedef struct {
    struct nt_lab *lab;
    char name;
} CONTEXT;
WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(CONTEXT, context_of)

static VOID told(WDFDEVICE device)
{
    CONTEXT *c = context_of(device);

    LAB_CHECK(c->lab, KeGetCurrentIrql() == PASSIVE_LEVEL);
    lab_trace(c->lab, "%c", c->name);
}

static WDFDEVICE control_device(struct nt_lab *lab, WDFDRIVER driver, char name, UCHAR flags)
{
    const UNICODE_STRING sddl = RTL_CONSTANT_STRING(u"D:P");
    PWDFDEVICE_INIT init = WdfControlDeviceInitAllocate(driver, &sddl);
    WDF_OBJECT_ATTRIBUTES a;
    WDFDEVICE device;

    assert_non_null(init);
    WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(&a, CONTEXT);
    WdfControlDeviceInitSetShutdownNotification(init, told, flags);
    assert_int_equal(WdfDeviceCreate(&init, &a, &device), STATUS_SUCCESS);
    *context_of(device) = (CONTEXT){lab, name};
    WdfControlFinishInitializing(device);
    return device;
}

static void framework(struct nt_lab *lab)
{
    WDFDRIVER driver = lab_framework(lab);
    WDFDEVICE c;

    (void)control_device(lab, driver, 'a', WdfDeviceShutdown | WdfDeviceLastChanceShutdown);
    (void)control_device(lab, driver, 'b', WdfDeviceLastChanceShutdown);
    c = control_device(lab, driver, 'c', WdfDeviceShutdown);
    (void)control_device(lab, driver, 'd', WdfDeviceShutdown);
    WdfObjectDelete(c); /* the framework takes the registration back */
    (void)control_device(lab, driver, 'e', 0x10);
    lab_expect(lab, LEDGER_NOTE, "no known flag");
    assert_int_equal(shut_down(lab, LAB_MS, STATUS_SUCCESS), 4);
    assert_string_equal(lab->trace, "d\na\nb\na\n");
}

#define BOTH(body)                                                                                           \
    static void body##_in_both(void **state)                                                                 \
    {                                                                                                        \
        (void)state;                                                                                         \
        nt_lab_both(body, NULL);                                                                             \
    }
BOTH(in_order)
BOTH(cancelled)
BOTH(through_a_stack)
BOTH(from_within)
BOTH(kept)
BOTH(framework)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_order_in_both),
        cmocka_unit_test(cancelled_in_both),
        cmocka_unit_test(through_a_stack_in_both),
        cmocka_unit_test(from_within_in_both),
        cmocka_unit_test(kept_in_both),
        cmocka_unit_test(what_is_left_is_told),
        cmocka_unit_test(framework_in_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
