/* SPDX-License-Identifier: Apache-2.0 */
/* Each call that the driver makes and that can fail fails once, from its loading to a connect: it takes back what it
 * had, or goes on; nothing is left and nobody waits for ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <weir.h>

int32_t DriverEntry(struct _DRIVER_OBJECT *driver, struct _UNICODE_STRING *path);

/* With the nth call failing, 0: none. How many there were. */
static uint64_t run(uint32_t nth)
{
    struct weir_driver *driver;
    struct weir_socket *s;
    struct weir *w;
    uint64_t calls;

    assert_int_equal(weir_create(&w), 0);
    if (nth != 0)
        assert_int_equal(weir_fail(w, NULL, nth, 0), 0);
    driver = weir_driver_with(w, &(struct weir_driver_config){.entry = DriverEntry});
    s = weir_socket(weir_process(w, "C:\\Program Files\\app.exe", NULL), WEIR_TCP);
    (void)weir_connect(s, "10.0.0.2:80");
    weir_run(w, WEIR_SECOND);
    assert_true(weir_state(s) != WEIR_PENDED);
    if (driver != NULL)
        assert_int_equal(weir_driver_unload(driver), 0);
    assert_true(weir_expect_clean(w));
    calls = weir_fallible_calls(w);
    weir_destroy(w);
    return calls;
}

static void each_call_fails_once(void **state)
{
    uint64_t calls = run(0);

    (void)state;
    for (uint32_t nth = 1; nth <= calls; nth++)
        run(nth);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_call_fails_once)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
