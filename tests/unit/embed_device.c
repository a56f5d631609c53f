/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir.h: a driver's device: opened by a process, controlled, read and written; requests that take time, are cancelled
 * when nobody waits any longer, are left open; devices that a process' end closes.
 */
#include <errno.h>

#include "embed_lab.h"
#include "linked.h"

#include <ntddk.h>

struct scene {
    struct embed_lab l;
    struct weir_driver *driver;
    struct weir_device *device;
};

static int begin(void **state)
{
    struct scene *s = calloc(1, sizeof *s);

    assert_non_null(s);
    embed_lab_open(&s->l, NULL);
    s->driver = linked_load(s->l.w);
    assert_non_null(s->driver);
    s->device = weir_open(s->l.program, "\\\\.\\Linked", NULL);
    assert_non_null(s->device);
    *state = s;
    return 0;
}

static int end(void **state)
{
    struct scene *s = *state;

    if (s->device != NULL)
        weir_device_close(s->device);
    assert_int_equal(weir_driver_unload(s->driver), 0);
    assert_true(weir_expect_clean(s->l.w));
    embed_lab_close(&s->l);
    free(s);
    return 0;
}

static void answers(void **state)
{
    struct scene *s = *state;
    const uint8_t in[3] = {1, 2, 0xf0};
    uint8_t out[8] = {0};
    size_t done = 99;

    assert_int_equal(weir_control(s->device, LINKED_ECHO, in, 3, out, 8, &done, 0), STATUS_SUCCESS);
    assert_int_equal(done, 3);
    assert_memory_equal(out, "\xfe\xfd\x0f", 3);
    assert_int_equal(weir_control(s->device, LINKED_ECHO, in, 3, out, 2, &done, 0), STATUS_BUFFER_TOO_SMALL);
    assert_int_equal(weir_control(s->device, 0x12345678, NULL, 0, NULL, 0, NULL, 0),
                     STATUS_INVALID_DEVICE_REQUEST);
    assert_int_equal(weir_read(s->device, out, 8, &done, 0), STATUS_SUCCESS);
    assert_int_equal(done, 1);
    assert_int_equal(weir_write(s->device, in, 3, &done, 0), STATUS_SUCCESS);
    assert_int_equal(done, 3);
}

static void takes_its_time(void **state)
{
    struct scene *s = *state;
    uint64_t before = weir_now(s->l.w);

    assert_int_equal(weir_control(s->device, LINKED_LATER, NULL, 0, NULL, 0, NULL, 0), STATUS_SUCCESS);
    assert_in_range(weir_now(s->l.w) - before, 50 * WEIR_MILLISECOND, 51 * WEIR_MILLISECOND);
}

/* Nobody waits any longer: it is cancelled. */
static void patience_ends(void **state)
{
    struct scene *s = *state;
    uint64_t before = weir_now(s->l.w);

    assert_int_equal(weir_control(s->device, LINKED_WAIT, NULL, 0, NULL, 0, NULL, 2 * WEIR_SECOND),
                     STATUS_CANCELLED);
    assert_in_range(weir_now(s->l.w) - before, 2 * WEIR_SECOND, 2 * WEIR_SECOND + WEIR_MILLISECOND);
    assert_int_equal(weir_outstanding(s->l.w, "irp"), 0);
}

/* A packet that arrives while a request waits completes it: the world goes on meanwhile. */
static void the_world_goes_on(void **state)
{
    struct scene *s = *state;
    struct weir_socket *server, *client;

    server = embed_lab_serves(&s->l, ":80");
    client = weir_socket(s->l.program, WEIR_TCP);
    assert_int_equal(weir_connect(client, "10.0.0.2:80"), -EINPROGRESS);
    assert_int_equal(weir_control(s->device, LINKED_LATER, NULL, 0, NULL, 0, NULL, 0), STATUS_SUCCESS);
    assert_int_equal(weir_state(client), WEIR_CONNECTED); /* no weir_run() was needed */
    assert_non_null(weir_accept(server));
}

static void names_that_are_not_there(void **state)
{
    struct scene *s = *state;
    int32_t status = 0;

    assert_null(weir_open(s->l.program, "\\\\.\\Nobody", &status));
    assert_int_equal(status, STATUS_OBJECT_NAME_NOT_FOUND);
    assert_non_null(strstr(weir_error(), "STATUS_OBJECT_NAME_NOT_FOUND"));
    assert_null(weir_open(s->l.program, "nonsense", NULL));
}

static void misuse_is_told(void **state)
{
    struct scene *s = *state;

    embed_lab_expects(&s->l);
    assert_null(weir_open(s->l.program, NULL, NULL));
    embed_lab_told(&s->l, "no device is named");
    embed_lab_expects(&s->l);
    assert_int_equal(weir_control(s->device, LINKED_ECHO, NULL, 3, NULL, 0, NULL, 0),
                     STATUS_INVALID_PARAMETER);
    embed_lab_told(&s->l, "a buffer is NULL");
    weir_device_close(s->device);
    embed_lab_expects(&s->l);
    assert_int_equal(weir_write(s->device, "x", 1, NULL, 0), STATUS_INVALID_HANDLE);
    embed_lab_told(&s->l, "weir_write");
    s->device = NULL;
}

/* A process' end closes what it has open; so does the engine's. */
static void a_process_that_exits(void **state)
{
    struct scene *s = *state;
    struct weir_process *other = weir_process(s->l.w, "C:\\other.exe", NULL);
    struct weir_device *d = weir_open(other, "\\\\.\\Linked", NULL);

    assert_non_null(d);
    weir_process_exit(other);
    embed_lab_expects(&s->l);
    weir_device_close(d);
    embed_lab_told(&s->l, "weir_device_close");
    assert_int_equal(weir_control(s->device, LINKED_ECHO, "x", 1, &(char){0}, 1, NULL, 0), STATUS_SUCCESS);
}

/* ---- the end of an engine -------------------------------------------------------------------------------- */

static struct {
    PDEVICE_OBJECT device;
    unsigned order; /* the decimal digits: 1 closed, 2 told, 3 unloaded */
} last;

static NTSTATUS last_dispatch(PDEVICE_OBJECT device, PIRP irp)
{
    const UCHAR major = IoGetCurrentIrpStackLocation(irp)->MajorFunction;

    (void)device;
    if (major == IRP_MJ_CLOSE)
        last.order = last.order * 10 + 1;
    if (major == IRP_MJ_SHUTDOWN)
        last.order = last.order * 10 + 2;
    irp->IoStatus.Status = STATUS_SUCCESS;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return STATUS_SUCCESS;
}

static VOID last_unload(PDRIVER_OBJECT driver)
{
    (void)driver;
    last.order = last.order * 10 + 3;
    IoUnregisterShutdownNotification(last.device);
    IoDeleteDevice(last.device);
}

static NTSTATUS last_entry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(u"\\Device\\Last");

    (void)path;
    driver->DriverUnload = last_unload;
    driver->MajorFunction[IRP_MJ_CREATE] = driver->MajorFunction[IRP_MJ_CLOSE] =
        driver->MajorFunction[IRP_MJ_CLEANUP] = driver->MajorFunction[IRP_MJ_SHUTDOWN] = last_dispatch;
    assert_int_equal(IoCreateDevice(driver, 0, &name, FILE_DEVICE_UNKNOWN, 0, FALSE, &last.device),
                     STATUS_SUCCESS);
    return IoRegisterShutdownNotification(last.device);
}

/* A machine that ends shuts down first: after its programs, before its drivers. One driver that is unloaded is no end. */
static void the_machine_shuts_down(void **state)
{
    const struct weir_driver_config config = {.entry = last_entry, .name = "last"};
    struct weir_driver *driver;
    struct embed_lab l;

    (void)state;
    for (unsigned ends = 0; ends < 2; ends++) {
        memset(&last, 0, sizeof last);
        embed_lab_open(&l, NULL);
        driver = weir_driver_with(l.w, &config);
        assert_non_null(driver);
        assert_non_null(weir_open(l.program, "\\Device\\Last", NULL));
        if (!ends) {
            assert_int_equal(weir_driver_unload(driver), 0);
            assert_true(weir_expect_clean(l.w));
        }
        embed_lab_close(&l);
        assert_int_equal(last.order, ends ? 123 : 13);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(answers, begin, end),
        cmocka_unit_test_setup_teardown(takes_its_time, begin, end),
        cmocka_unit_test_setup_teardown(patience_ends, begin, end),
        cmocka_unit_test_setup_teardown(the_world_goes_on, begin, end),
        cmocka_unit_test_setup_teardown(names_that_are_not_there, begin, end),
        cmocka_unit_test_setup_teardown(misuse_is_told, begin, end),
        cmocka_unit_test_setup_teardown(a_process_that_exits, begin, end),
        cmocka_unit_test(the_machine_shuts_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
