/* SPDX-License-Identifier: Apache-2.0 */
/* weir.h: engines are objects, current in a thread, ended with what is still open. */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <fwpmu.h>
#include <weir.h>

static UINT64 add_block(HANDLE engine)
{
    FWPM_FILTER0 filter = {
        .displayData = {.name = (WCHAR *)u"block"},
        .layerKey = FWPM_LAYER_ALE_AUTH_CONNECT_V4,
        .action = {.type = FWP_ACTION_BLOCK},
    };
    UINT64 id = 0;

    assert_int_equal(FwpmFilterAdd0(engine, &filter, NULL, &id), ERROR_SUCCESS);
    return id;
}

static void two_engines_do_not_see_each_other(void **state)
{
    struct weir *a, *b;
    HANDLE ea, eb;
    FWPM_FILTER0 *f = NULL;
    UINT64 id;

    (void)state;
    assert_int_equal(weir_create(&a), 0);
    assert_int_equal(weir_create(&b), 0);
    assert_ptr_equal(weir_use(a), b); /* the last one made is current */
    assert_int_equal(FwpmEngineOpen0(NULL, RPC_C_AUTHN_WINNT, NULL, NULL, &ea), ERROR_SUCCESS);
    id = add_block(ea);
    assert_ptr_equal(weir_use(b), a);
    assert_int_equal(FwpmEngineOpen0(NULL, RPC_C_AUTHN_WINNT, NULL, NULL, &eb), ERROR_SUCCESS);
    assert_int_equal((UINT32)FwpmFilterGetById0(eb, id, &f), (UINT32)FWP_E_FILTER_NOT_FOUND);
    weir_use(a);
    assert_int_equal(FwpmFilterGetById0(ea, id, &f), ERROR_SUCCESS);
    FwpmFreeMemory0((void **)&f);
    assert_null(f);
    weir_destroy(a); /* with its session open */
    assert_null(weir_use(NULL));
    weir_destroy(b);
}

static void without_an_engine_opening_fails(void **state)
{
    HANDLE engine = NULL;

    (void)state;
    weir_use(NULL);
    assert_int_not_equal(FwpmEngineOpen0(NULL, RPC_C_AUTHN_WINNT, NULL, NULL, &engine), ERROR_SUCCESS);
    weir_destroy(NULL);
}

static void a_policy_that_is_not_there_says_so(void **state)
{
    char error[200] = "";
    struct weir *w;

    (void)state;
    assert_int_equal(weir_create(&w), 0);
    assert_int_equal(weir_load_policy(w, "no such file.xml", error, sizeof(error)), -ENOENT);
    assert_non_null(strstr(error, "no such file.xml"));
    weir_destroy(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_engines_do_not_see_each_other),
        cmocka_unit_test(without_an_engine_opening_fails),
        cmocka_unit_test(a_policy_that_is_not_there_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
