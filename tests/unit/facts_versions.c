/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unnumbered names for a driver that targets Windows 7, and its own GUIDs beside the platform's. The newest
 * target, the default, is tests/conformance/cls_names.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define NTDDI_VERSION NTDDI_WIN7
#include <initguid.h>
#include <fwpsk.h>
#include <fwpmk.h>

#define NAME_OF(x)         NAME_AS_WRITTEN(x)
#define NAME_AS_WRITTEN(x) #x

DEFINE_GUID(EXAMPLE_CALLOUT, 0x2c7d4f60, 0x5b1e, 0x4d52, 0x91, 0x0a, 0x3e, 0x64, 0x85, 0x1b, 0x77, 0xc2);

static void CLS_37_names_of_windows_7(void **state)
{
    (void)state;
    assert_string_equal(NAME_OF(FWPS_FILTER), "FWPS_FILTER1");
    assert_string_equal(NAME_OF(FWPS_CALLOUT), "FWPS_CALLOUT1");
    assert_string_equal(NAME_OF(FWPS_CALLOUT_CLASSIFY_FN), "FWPS_CALLOUT_CLASSIFY_FN1");
    assert_string_equal(NAME_OF(FwpsCalloutRegister), "FwpsCalloutRegister1");
    assert_string_equal(NAME_OF(FwpsInjectTransportSendAsync), "FwpsInjectTransportSendAsync1");
    assert_string_equal(NAME_OF(FwpsNetBufferListAssociateContext), "FwpsNetBufferListAssociateContext0");
    assert_string_equal(NAME_OF(FWPM_PROVIDER_CONTEXT), "FWPM_PROVIDER_CONTEXT1");
    assert_string_equal(NAME_OF(FWPS_CLASSIFY_OUT), "FWPS_CLASSIFY_OUT0");
}

static void a_guid_of_ones_own_is_defined_beside_the_platforms(void **state)
{
    (void)state;
    assert_int_equal(EXAMPLE_CALLOUT.Data1, 0x2c7d4f60);
    assert_int_equal(EXAMPLE_CALLOUT.Data4[7], 0xc2);
    assert_int_not_equal(FWPM_LAYER_ALE_AUTH_CONNECT_V4.Data1, 0);
    assert_false(IsEqualGUID(&EXAMPLE_CALLOUT, &FWPM_LAYER_ALE_AUTH_CONNECT_V4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(CLS_37_names_of_windows_7),
        cmocka_unit_test(a_guid_of_ones_own_is_defined_beside_the_platforms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
