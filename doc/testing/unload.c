/* SPDX-License-Identifier: Apache-2.0 */
/* The driver is unloaded while a connect waits for it: the connect goes on, and nothing is left. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <weir.h>

int32_t DriverEntry(struct _DRIVER_OBJECT *driver, struct _UNICODE_STRING *path);

static void unloads_while_a_connect_waits(void **state)
{
    struct weir_driver *driver;
    struct weir_socket *server, *s;
    struct weir *w;

    (void)state;
    assert_int_equal(weir_create(&w), 0);
    driver = weir_driver_with(w, &(struct weir_driver_config){.entry = DriverEntry});
    assert_non_null(driver);
    server = weir_socket(weir_peer(w, 1), WEIR_TCP);
    assert_int_equal(weir_bind(server, ":80"), 0);
    assert_int_equal(weir_listen(server), 0);
    s = weir_socket(weir_process(w, "C:\\Program Files\\app.exe", NULL), WEIR_TCP);
    assert_int_equal(weir_connect(s, "10.0.0.2:80"), -EINPROGRESS);
    assert_true(weir_expect_state(s, WEIR_PENDED));
    assert_int_equal(weir_driver_unload(driver), 0);
    assert_true(weir_expect_clean(w));
    assert_true(weir_wait(s, WEIR_CONNECTED, WEIR_SECOND));
    weir_destroy(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(unloads_while_a_connect_waits)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
