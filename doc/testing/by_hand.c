/* SPDX-License-Identifier: Apache-2.0 */
/* The three tests of doorman again, on mocks that were written by hand. */
#include "mocks.h"

static void port_25_is_refused(void **state)
{
    FWPS_CLASSIFY_OUT out;

    (void)state;
    assert_int_equal(mocks_load(), STATUS_SUCCESS);
    out = mocks_classify(25, 0);
    assert_int_equal(out.actionType, FWP_ACTION_BLOCK);
    assert_int_equal(mocks.pended, 0);
    out = mocks_classify(443, 0);
    assert_int_equal(out.actionType, FWP_ACTION_BLOCK);
    assert_int_equal(mocks.pended, 1);
    mocks_expire();
    out = mocks_classify(443, FWP_CONDITION_FLAG_IS_REAUTHORIZE);
    assert_int_equal(out.actionType, FWP_ACTION_PERMIT);
    mocks.driver.DriverUnload(&mocks.driver);
}

static void clean(void)
{
    assert_int_equal(mocks.pended, mocks.completed);
    assert_int_equal(mocks.pool, 0);
    assert_int_equal(mocks.devices, 0);
    assert_int_equal(mocks.sessions, 0);
    assert_null(mocks.due);
    assert_null(mocks.registered.classifyFn);
}

static void unloads_while_a_connect_waits(void **state)
{
    (void)state;
    assert_int_equal(mocks_load(), STATUS_SUCCESS);
    mocks_classify(80, 0);
    assert_int_equal(mocks.pended, 1);
    mocks.driver.DriverUnload(&mocks.driver);
    clean();
}

static void run(unsigned fail)
{
    mocks.fail = fail;
    if (mocks_load() == STATUS_SUCCESS) {
        mocks_classify(80, 0);
        mocks_expire();
        mocks.driver.DriverUnload(&mocks.driver);
    }
    clean();
}

static void each_call_fails_once(void **state)
{
    unsigned calls;

    (void)state;
    run(0);
    calls = mocks.calls;
    for (unsigned fail = 1; fail <= calls; fail++)
        run(fail);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(port_25_is_refused),
                                       cmocka_unit_test(unloads_while_a_connect_waits),
                                       cmocka_unit_test(each_call_fails_once)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
