/* SPDX-License-Identifier: Apache-2.0 */
/* CLS-37: unnumbered names mean the version chosen at compile time, by default the newest; numbered ones
 * stay. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fwpsk.h>
#include <fwpmk.h>

#define NAME_OF(x)         NAME_AS_WRITTEN(x)
#define NAME_AS_WRITTEN(x) #x
#define SAME_TYPE(a, b)    __builtin_types_compatible_p(__typeof__(a), __typeof__(b))

static void CLS_37_unnumbered_names_are_the_newest_version(void **state)
{
    (void)state;
    assert_true(SAME_TYPE(FWPS_FILTER, FWPS_FILTER3));
    assert_true(SAME_TYPE(FWPS_CALLOUT, FWPS_CALLOUT3));
    assert_true(SAME_TYPE(FWPS_CALLOUT_CLASSIFY_FN, FWPS_CALLOUT_CLASSIFY_FN3));
    assert_true(SAME_TYPE(FWPS_CALLOUT_NOTIFY_FN, FWPS_CALLOUT_NOTIFY_FN3));
    assert_true(SAME_TYPE(FWPS_CLASSIFY_OUT, FWPS_CLASSIFY_OUT0));
    assert_true(SAME_TYPE(FWPS_INCOMING_METADATA_VALUES, FWPS_INCOMING_METADATA_VALUES0));
    assert_true(SAME_TYPE(FWPM_FILTER, FWPM_FILTER0));
    assert_true(SAME_TYPE(FWP_VALUE, FWP_VALUE0));
    assert_true(SAME_TYPE(&FwpsCalloutRegister, &FwpsCalloutRegister3));
    assert_true(SAME_TYPE(&FwpsInjectTransportSendAsync, &FwpsInjectTransportSendAsync1));
    assert_string_equal(NAME_OF(FwpsPendOperation), "FwpsPendOperation0");
    assert_string_equal(NAME_OF(FwpmFilterAdd), "FwpmFilterAdd0");
    assert_string_equal(NAME_OF(FwpmNetEventEnum), "FwpmNetEventEnum5");
}

static void CLS_37_every_numbered_version_is_there_too(void **state)
{
    (void)state;
    assert_false(SAME_TYPE(FWPS_FILTER0, FWPS_FILTER1));
    assert_false(SAME_TYPE(FWPS_FILTER1, FWPS_FILTER2));
    assert_false(SAME_TYPE(FWPS_FILTER2, FWPS_FILTER3));
    assert_false(SAME_TYPE(&FwpsCalloutRegister0, &FwpsCalloutRegister1));
    assert_false(SAME_TYPE(&FwpsCalloutRegister1, &FwpsCalloutRegister2));
    assert_false(SAME_TYPE(&FwpsCalloutRegister2, &FwpsCalloutRegister3));
    assert_false(SAME_TYPE(&FwpsInjectTransportSendAsync0, &FwpsInjectTransportSendAsync1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(CLS_37_unnumbered_names_are_the_newest_version),
        cmocka_unit_test(CLS_37_every_numbered_version_is_there_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
