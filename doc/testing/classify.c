/* SPDX-License-Identifier: Apache-2.0 */
/* A connect is classified at its layer with given values, and the verdict is seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <weir.h>

int32_t DriverEntry(struct _DRIVER_OBJECT *driver, struct _UNICODE_STRING *path);

static void port_25_is_refused(void **state)
{
    const struct weir_field mail[] = {{"IP_PROTOCOL", "tcp"}, {"IP_REMOTE_PORT", "25"}};
    const struct weir_field web[] = {{"IP_PROTOCOL", "tcp"}, {"IP_REMOTE_PORT", "443"}};
    struct weir_verdict verdict;
    struct weir *w;

    (void)state;
    assert_int_equal(weir_create(&w), 0);
    assert_non_null(weir_driver_with(w, &(struct weir_driver_config){.entry = DriverEntry}));
    assert_int_equal(weir_classify(w, "ALE_AUTH_CONNECT_V4", mail, 2, &verdict), 0);
    assert_false(verdict.permit || verdict.pended);
    assert_int_equal(weir_classify(w, "ALE_AUTH_CONNECT_V4", web, 2, &verdict), 0);
    assert_true(verdict.pended);
    weir_destroy(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(port_25_is_refused)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
