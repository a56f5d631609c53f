/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir.h: drivers: linked into the test and as images; parameters, what they print, DriverEntry that fails, unload, what
 * they leave, with file and function; several engines with the same driver.
 */
#include <errno.h>

#include "embed_lab.h"
#include "linked.h"

#include <ntddk.h>

static uint32_t number_of(struct embed_lab *l)
{
    struct weir_device *d = weir_open(l->program, "\\\\.\\Linked", NULL);
    uint32_t number = 0;
    size_t done;

    assert_non_null(d);
    assert_int_equal(weir_control(d, LINKED_NUMBER, NULL, 0, &number, sizeof number, &done, 0), 0);
    assert_int_equal(done, sizeof number);
    weir_device_close(d);
    return number;
}

static void loads_and_unloads(void **state)
{
    struct weir_driver *d;
    struct embed_lab l;

    (void)state;
    embed_lab_open(&l, NULL);
    d = linked_load(l.w);
    assert_non_null(d);
    assert_true(weir_outstanding(l.w, "callout") == 1);
    assert_int_equal(weir_driver_unload(d), 0);
    assert_string_equal(l.printed, "linked|linked: number 0\nlinked|linked: bye\n");
    assert_true(weir_expect_clean(l.w));
    embed_lab_close(&l);
}

static void takes_its_parameters(void **state)
{
    const struct weir_parameter parameters[] = {{.name = "Other", .string = "text"},
                                                {.name = "Number", .number = 77}};
    const struct weir_driver_config config = {
        .entry = linked_entry, .name = "linked", .parameters = parameters, .parameter_count = 2};
    struct embed_lab l;

    (void)state;
    embed_lab_open(&l, NULL);
    assert_non_null(weir_driver_with(l.w, &config));
    assert_int_equal(number_of(&l), 77);
    embed_lab_close(&l); /* which unloads it */
    assert_non_null(strstr(l.printed, "bye"));
}

static void engines_have_their_own(void **state)
{
    const struct weir_parameter one = {.name = "Number", .number = 1}, two = {.name = "Number", .number = 2};
    struct embed_lab a, b;

    (void)state;
    embed_lab_open(&a, NULL);
    embed_lab_open(&b, NULL);
    assert_non_null(weir_driver_with(
        a.w, &(struct weir_driver_config){.entry = linked_entry, .parameters = &one, .parameter_count = 1}));
    assert_non_null(weir_driver_with(
        b.w, &(struct weir_driver_config){.entry = linked_entry, .parameters = &two, .parameter_count = 1}));
    assert_int_equal(number_of(&a), 1);
    assert_int_equal(number_of(&b), 2);
    assert_int_equal(number_of(&a), 1);
    embed_lab_close(&a);
    assert_int_equal(number_of(&b), 2);
    embed_lab_close(&b);
}

static int32_t refuses(struct _DRIVER_OBJECT *driver, struct _UNICODE_STRING *path)
{
    (void)driver;
    (void)path;
    return STATUS_DEVICE_CONFIGURATION_ERROR;
}

static void *volatile forgotten; /* so that it is no leak of the test program's */

static int32_t forgets(struct _DRIVER_OBJECT *driver, struct _UNICODE_STRING *path)
{
    (void)driver;
    (void)path;
    forgotten = ExAllocatePool2(POOL_FLAG_NON_PAGED, 40, 0x74656746);
    return STATUS_NO_MEMORY;
}

static int32_t stays(struct _DRIVER_OBJECT *driver, struct _UNICODE_STRING *path)
{
    (void)driver;
    (void)path;
    return STATUS_SUCCESS;
}

static void copy_line(void *ctx, const char *line)
{
    snprintf(ctx, 512, "%s", line);
}

static void an_entry_that_fails_says_its_status(void **state)
{
    char line[512] = "";
    struct embed_lab l;

    (void)state;
    embed_lab_open(&l, NULL);
    assert_null(weir_driver_with(l.w, &(struct weir_driver_config){.entry = refuses, .name = "refuses"}));
    assert_non_null(strstr(weir_error(), "STATUS_DEVICE_CONFIGURATION_ERROR"));
    assert_true(weir_expect_clean(l.w));
    assert_null(weir_driver_with(l.w, &(struct weir_driver_config){.entry = forgets, .name = "forgets"}));
    assert_non_null(strstr(weir_error(), "forgets: DriverEntry failed: STATUS_NO_MEMORY"));
    assert_int_equal(weir_findings(l.w, copy_line, line), 1);
    assert_non_null(strstr(line, "pool block"));
    assert_non_null(strstr(line, "opened by ExAllocatePool2 at embed_driver.c:"));
    assert_non_null(strstr(line, "(forgets)"));
    embed_lab_close(&l);
}

static void without_an_unload_routine(void **state)
{
    struct weir_driver *d;
    struct embed_lab l;

    (void)state;
    embed_lab_open(&l, NULL);
    d = weir_driver_with(l.w, &(struct weir_driver_config){.entry = stays, .name = "stays"});
    assert_non_null(d);
    assert_int_equal(weir_driver_unload(d), -ENOTSUP);
    embed_lab_expects(&l);
    assert_int_equal(weir_driver_unload(d), -EINVAL);
    embed_lab_told(&l, "weir_driver_unload");
    embed_lab_close(&l);
}

static void what_it_leaves_is_told(void **state)
{
    struct weir_device *device;
    struct weir_driver *d;
    struct embed_lab l;

    (void)state;
    embed_lab_open(&l, NULL);
    d = linked_load(l.w);
    device = weir_open(l.program, "\\\\.\\Linked", NULL);
    assert_int_equal(weir_control(device, LINKED_LEAK, NULL, 0, NULL, 0, NULL, 0), 0);
    assert_int_equal(weir_outstanding(l.w, "pool block"), 1);
    weir_device_close(device);
    assert_int_equal(weir_driver_unload(d), 0);
    embed_lab_expects(&l);
    assert_false(weir_expect_clean(l.w));
    embed_lab_told(&l, "left at unload: opened by ExAllocatePool2 at linked.c:");
    assert_non_null(strstr(l.text, "WEIR_SEED=1 ")); /* how to run it again */
    assert_true(weir_count(l.w, &(struct weir_match){.kind = WEIR_EVENT_FINDING}) == 1);
    embed_lab_close(&l);
}

static void misuse_is_told(void **state)
{
    struct weir_driver_config both = {.image = "x.so", .entry = stays};
    struct embed_lab l;

    (void)state;
    embed_lab_open(&l, NULL);
    embed_lab_expects(&l);
    assert_null(weir_driver(l.w, NULL));
    embed_lab_told(&l, "weir_driver: no driver is named");
    embed_lab_expects(&l);
    assert_null(weir_driver_with(l.w, &both));
    embed_lab_told(&l, "one of them");
    embed_lab_expects(&l);
    assert_null(weir_driver_with(l.w, NULL));
    embed_lab_told(&l, "weir_driver_with");
    assert_null(weir_driver(l.w, "/nonexistent/driver.so")); /* no misuse, and no message */
    assert_non_null(strstr(weir_error(), "/nonexistent/driver.so"));
    embed_lab_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loads_and_unloads),
        cmocka_unit_test(takes_its_parameters),
        cmocka_unit_test(engines_have_their_own),
        cmocka_unit_test(an_entry_that_fails_says_its_status),
        cmocka_unit_test(without_an_unload_routine),
        cmocka_unit_test(what_it_leaves_is_told),
        cmocka_unit_test(misuse_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
