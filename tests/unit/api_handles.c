/* SPDX-License-Identifier: Apache-2.0 */
/* Handles of the API: both flavours in one program under the same C names, and numbers that are no handles.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "api/api.h"
#include "api_side.h"
#include "bfe_lab.h"
#include "winerror.h"

struct fixture {
    struct bfe_lab lab;
    struct api_context *context;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    bfe_lab_open(&f->lab, NULL);
    struct api_config config = {.engine = f->lab.engine, .bfe = f->lab.bfe};
    if (api_context_create(&config, &f->context))
        return -1;
    api_set_current(f->context);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    api_set_current(NULL);
    api_context_destroy(f->context);
    bfe_lab_close(&f->lab);
    free(f);
    return 0;
}

static void one_name_two_functions(void **state)
{
    FWPM_FILTER0 *f;
    HANDLE kernel, user;

    (void)state;
    assert_ptr_not_equal(api_kernel_side.free_memory, api_user_side.free_memory);
    assert_int_equal(api_kernel_side.open(NULL, &kernel), STATUS_SUCCESS);
    assert_int_equal(api_user_side.open(NULL, &user), ERROR_SUCCESS);
    assert_int_equal(api_kernel_side.filter_get_by_id(kernel, 1, &f), (UINT32)STATUS_FWP_FILTER_NOT_FOUND);
    assert_int_equal(api_user_side.filter_get_by_id(user, 1, &f), (UINT32)FWP_E_FILTER_NOT_FOUND);
    assert_int_equal(api_kernel_side.close(kernel), STATUS_SUCCESS);
    assert_int_equal(api_user_side.close(user), ERROR_SUCCESS);
}

static void many_sessions_at_once(void **state)
{
    HANDLE h[100];

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(api_kernel_side.open(NULL, &h[i]), STATUS_SUCCESS);
        for (unsigned j = 0; j < i; j++)
            assert_ptr_not_equal(h[i], h[j]);
    }
    for (unsigned i = 0; i < 100; i += 2)
        assert_int_equal(api_kernel_side.close(h[i]), STATUS_SUCCESS);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(api_kernel_side.commit(h[i]),
                         i % 2 ? (UINT32)STATUS_FWP_NO_TXN_IN_PROGRESS : (UINT32)STATUS_INVALID_HANDLE);
    /* the rest is closed with the context */
}

static void numbers_that_are_no_handles(void **state)
{
    HANDLE h, e;
    UINT64 n = 88172645463325252ull;
    FWPM_FILTER0 **page;
    UINT32 count;

    (void)state;
    assert_int_equal(api_kernel_side.open(NULL, &h), STATUS_SUCCESS);
    for (unsigned i = 0; i < 20000; i++) {
        n ^= n << 13;
        n ^= n >> 7;
        n ^= n << 17;
        HANDLE wrong = (HANDLE)(uintptr_t)(i % 2 ? n : (uintptr_t)h ^ (n & 0xffffffffff));
        if (wrong == h)
            continue;
        assert_int_equal(api_kernel_side.commit(wrong), (UINT32)STATUS_INVALID_HANDLE);
        assert_int_equal(api_kernel_side.filter_enum(h, wrong, 1, &page, &count),
                         (UINT32)STATUS_INVALID_HANDLE);
        if (wrong)
            assert_int_equal(api_kernel_side.close(wrong), (UINT32)STATUS_INVALID_HANDLE);
    }
    assert_int_equal(api_kernel_side.filter_enum_create(h, NULL, &e), STATUS_SUCCESS);
    assert_int_equal(api_kernel_side.filter_enum_destroy(h, e), STATUS_SUCCESS);
    assert_int_equal(api_kernel_side.close(h), STATUS_SUCCESS);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_name_two_functions),
        TEST(many_sessions_at_once),
        TEST(numbers_that_are_no_handles),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
