/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir.h: faults: every function that can fail does so when it is told to, as its row says; the nth call, the nth
 * allocation; what is held back; completions that are put off.
 */
#include <dlfcn.h>
#include <errno.h>

#include "embed_lab.h"
#include "linked.h"

#include <ntddk.h>

#include "engine/facts.h"

static int begin(void **state)
{
    struct embed_lab *l = calloc(1, sizeof *l);

    assert_non_null(l);
    embed_lab_open(l, NULL);
    *state = l;
    return 0;
}

static int end(void **state)
{
    embed_lab_close(*state);
    free(*state);
    return 0;
}

/* ---- the whole table ----------------------------------------------------------------------------------- */

struct table {
    struct embed_lab *l;
    struct weir_device *device;
    unsigned functions;
};

/* All its arguments are 0: a function that is to fail looks at none of them. */
static void one_function(void *ctx, const char *function, const char *failure)
{
    struct table *t = ctx;
    struct linked_call c = {.arguments = 0, .returned = 1};
    UINT64 status = 0;
    void *at = dlsym(RTLD_DEFAULT, function);

    if (at == NULL)
        fail_msg("%s is not in the library", function);
    memcpy(&c.function, &at, sizeof at);
    if (strncmp(failure, "STATUS_", 7) == 0)
        assert_true(engine_constant_value(failure, &status));
    else
        assert_true(strcmp(failure, "NULL") == 0 || strcmp(failure, "FALSE") == 0);
    assert_int_equal(weir_fail(t->l->w, function, 1, 0), 0);
    assert_int_equal(weir_control(t->device, LINKED_CALL, &c, sizeof c, &c, sizeof c, NULL, 0),
                     STATUS_SUCCESS);
    if (strcmp(failure, "FALSE") == 0 ? (uint8_t)c.returned != 0
        : status != 0                 ? (uint32_t)c.returned != (uint32_t)status
                                      : c.returned != 0)
        fail_msg("%s returned 0x%llx, where it fails with %s", function, (unsigned long long)c.returned,
                 failure);
    t->functions++;
}

static void every_function_fails_when_told(void **state)
{
    struct table t = {.l = *state};

    assert_non_null(linked_load(t.l->w));
    t.device = weir_open(t.l->program, "\\\\.\\Linked", NULL);
    assert_non_null(t.device);
    weir_fallible_functions(one_function, &t);
    assert_true(t.functions > 250);
    assert_int_equal(weir_count(t.l->w, &(struct weir_match){.kind = WEIR_EVENT_FAULT}), t.functions);
}

/* ---- aims ---------------------------------------------------------------------------------------------- */

static void the_nth_call(void **state)
{
    struct embed_lab *l = *state;
    struct weir_driver *d;

    assert_int_equal(weir_fail(l->w, "IoAllocateWorkItem", 2, 0), 0);
    assert_null(linked_load(l->w));
    assert_non_null(strstr(weir_error(), "STATUS_INSUFFICIENT_RESOURCES"));
    assert_true(weir_expect_clean(l->w)); /* DriverEntry took back what it had */
    assert_int_equal(weir_fail(l->w, "FwpsCalloutRegister", 1, (int32_t)STATUS_FWP_ALREADY_EXISTS), 0);
    assert_null(linked_load(l->w));
    assert_non_null(strstr(weir_error(), "STATUS_FWP_ALREADY_EXISTS"));
    assert_int_equal(weir_fail(l->w, "IoCreateDevice", 2, 0), 0); /* there is only one */
    d = linked_load(l->w);
    assert_non_null(d);
    assert_int_equal(weir_driver_unload(d), 0);
    weir_fail_nothing(l->w);
    assert_non_null(linked_load(l->w));
    assert_true(weir_expect(l->w, &(struct weir_match){.kind = WEIR_EVENT_FAULT}, 2));
    assert_true(weir_expect(l->w,
                            &(struct weir_match){.kind = WEIR_EVENT_FAULT,
                                                 .contains = "IoAllocateWorkItem was made to fail: NULL"},
                            1));
}

/* Each call in turn: DriverEntry fails cleanly, or the driver does without. */
static void each_call_in_turn(void **state)
{
    struct embed_lab *l = *state;
    struct weir_driver *d = linked_load(l->w);
    const uint64_t calls = weir_fallible_calls(l->w);
    unsigned loaded = 0;

    assert_non_null(d);
    assert_true(calls > 8);
    assert_int_equal(weir_driver_unload(d), 0);
    for (uint64_t n = 1; n <= calls; n++) {
        assert_int_equal(weir_fail(l->w, NULL, (uint32_t)n, 0), 0);
        d = linked_load(l->w);
        if (d != NULL) {
            loaded++;
            assert_int_equal(weir_driver_unload(d), 0);
        }
        weir_fail_nothing(l->w);
        assert_true(weir_expect_clean(l->w));
    }
    assert_true(loaded >= 1 && loaded < calls); /* without the registry it goes on, without a device not */
}

static void the_nth_allocation(void **state)
{
    struct embed_lab *l = *state;
    struct weir_socket *s;

    assert_non_null(linked_load(l->w));
    (void)embed_lab_serves(l, ":82");
    weir_fail_allocation(l->w, 1);
    s = weir_socket(l->program, WEIR_TCP);
    assert_int_equal(weir_connect(s, "10.0.0.2:82"), -EACCES); /* to pend takes memory: blocked instead */
    assert_true(
        weir_expect(l->w, &(struct weir_match){.kind = WEIR_EVENT_FAULT, .contains = "ExAllocatePool2"}, 1));
    assert_int_equal(weir_outstanding(l->w, "pended operation"), 0);
}

static void misuse_is_told(void **state)
{
    struct embed_lab *l = *state;

    assert_int_equal(weir_fail(l->w, "ExAllocatePul", 1, 0), -ENOENT);
    assert_non_null(strstr(weir_error(), "ExAllocatePul"));
    assert_int_equal(weir_fail(l->w, "KeSetEvent", 1, 0), -ENOTSUP);
    embed_lab_expects(l);
    assert_int_equal(weir_fail(l->w, "ExAllocatePool2", 0, 0), -EINVAL);
    embed_lab_told(l, "nth is 0");
    embed_lab_expects(l);
    assert_int_equal(weir_fail(l->w, "ExAllocatePool2", 1, 0x103), -EINVAL);
    embed_lab_told(l, "is no failure");
    embed_lab_expects(l);
    weir_fail_allocation(l->w, 0);
    embed_lab_told(l, "weir_fail_allocation");
}

/* The test's own calls of the same functions are not a driver's. */
static void only_drivers_calls_count(void **state)
{
    struct embed_lab *l = *state;
    uint64_t before = weir_fallible_calls(l->w);
    void *p;

    assert_int_equal(weir_fail(l->w, "ExAllocatePool2", 1, 0), 0);
    p = ExAllocatePool2(POOL_FLAG_NON_PAGED, 8, 'x');
    assert_non_null(p);
    ExFreePool(p);
    assert_true(weir_fallible_calls(l->w) == before);
}

/* ---- holds --------------------------------------------------------------------------------------------- */

static uint32_t counted(struct weir_device *d)
{
    uint32_t n = 0;

    assert_int_equal(weir_control(d, LINKED_COUNT, NULL, 0, &n, sizeof n, NULL, 0), 0);
    return n;
}

static void work_is_held(void **state)
{
    struct embed_lab *l = *state;
    struct weir_device *d;
    struct weir_hold *h, *other;

    assert_non_null(linked_load(l->w));
    d = weir_open(l->program, "\\\\.\\Linked", NULL);
    h = weir_hold(l->w, "linked_work");
    assert_non_null(h);
    assert_int_equal(weir_control(d, LINKED_WORK, NULL, 0, NULL, 0, NULL, 0), 0);
    weir_run(l->w, 10 * WEIR_SECOND);
    assert_int_equal(counted(d), 0);
    other = weir_hold(l->w, "work item"); /* the kind: it fits as well */
    weir_release(h);
    weir_run(l->w, WEIR_SECOND);
    assert_int_equal(counted(d), 0);
    weir_release(other);
    weir_run(l->w, WEIR_SECOND);
    assert_int_equal(counted(d), 1);
    assert_int_equal(weir_control(d, LINKED_WORK, NULL, 0, NULL, 0, NULL, 0), 0);
    weir_run(l->w, WEIR_MILLISECOND);
    assert_int_equal(counted(d), 2);
}

/* The DPC of a timer; the world around it goes on. */
static void a_dpc_is_held(void **state)
{
    struct embed_lab *l = *state;
    struct weir_socket *s = weir_socket(l->program, WEIR_TCP);
    struct weir_hold *h;

    assert_non_null(linked_load(l->w));
    (void)embed_lab_serves(l, ":82");
    h = weir_hold(l->w, "expired");
    assert_int_equal(weir_connect(s, "10.0.0.2:82"), -EINPROGRESS);
    weir_run(l->w, 5 * WEIR_SECOND);
    assert_true(weir_expect_state(s, WEIR_PENDED));
    weir_release(h);
    assert_true(weir_wait(s, WEIR_CONNECTED, WEIR_SECOND));
}

static void holds_that_make_no_sense(void **state)
{
    struct embed_lab *l = *state;
    struct weir_hold *h;

    h = weir_hold(l->w, "not_yet_loaded");
    assert_non_null(h);
    weir_release(h);
    embed_lab_expects(l);
    weir_release(h);
    embed_lab_told(l, "weir_release");
    assert_non_null(linked_load(l->w));
    embed_lab_expects(l);
    assert_null(weir_hold(l->w, "linked_wrok"));
    embed_lab_told(l, "no driver has a function called 'linked_wrok'");
    embed_lab_expects(l);
    assert_null(weir_hold(l->w, NULL));
    embed_lab_told(l, "weir_hold");
    assert_non_null(weir_hold(l->w, "timer")); /* ends with the engine */
}

/* ---- completions --------------------------------------------------------------------------------------- */

static void completions_are_put_off(void **state)
{
    struct embed_lab *l = *state;
    struct weir_socket *s = weir_socket(l->program, WEIR_TCP), *t = weir_socket(l->program, WEIR_TCP);

    assert_non_null(linked_load(l->w));
    (void)embed_lab_serves(l, ":82");
    weir_defer_completion(l->w, true);
    assert_int_equal(weir_connect(s, "10.0.0.2:82"), -EINPROGRESS);
    assert_true(weir_wait(s, WEIR_CONNECTED, WEIR_SECOND));
    weir_defer_completion(l->w, false);
    assert_int_equal(weir_connect(t, "10.0.0.2:82"), -EINPROGRESS);
    assert_true(weir_wait(t, WEIR_CONNECTED, WEIR_SECOND));
    assert_int_equal(weir_outstanding(l->w, "pended operation"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_function_fails_when_told, begin, end),
        cmocka_unit_test_setup_teardown(the_nth_call, begin, end),
        cmocka_unit_test_setup_teardown(each_call_in_turn, begin, end),
        cmocka_unit_test_setup_teardown(the_nth_allocation, begin, end),
        cmocka_unit_test_setup_teardown(misuse_is_told, begin, end),
        cmocka_unit_test_setup_teardown(only_drivers_calls_count, begin, end),
        cmocka_unit_test_setup_teardown(work_is_held, begin, end),
        cmocka_unit_test_setup_teardown(a_dpc_is_held, begin, end),
        cmocka_unit_test_setup_teardown(holds_that_make_no_sense, begin, end),
        cmocka_unit_test_setup_teardown(completions_are_put_off, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
