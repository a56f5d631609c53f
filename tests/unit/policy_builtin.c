/* SPDX-License-Identifier: Apache-2.0 */
/* policy: what is assumed of Windows' built-in callouts. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "policy/policy.h"

static enum policy_builtin_answer answer(const char *name)
{
    GUID key;
    assert_int_equal(engine_guid_by_name(ENGINE_GUID_CALLOUT, name, &key), 0);
    const struct policy_builtin_callout *c = policy_builtin_callout(&key);
    if (c == NULL)
        fail_msg("%s is missing", name);
    assert_true(strlen(c->why) > 0);
    return c->answer;
}

static void documented_ones_answer_as_documented(void **state)
{
    (void)state;
    assert_int_equal(answer("FWPM_CALLOUT_WFP_TRANSPORT_LAYER_V4_SILENT_DROP"), POLICY_BUILTIN_BLOCK);
    assert_int_equal(answer("FWPM_CALLOUT_WFP_TRANSPORT_LAYER_V6_SILENT_DROP"), POLICY_BUILTIN_BLOCK);
    assert_int_equal(answer("FWPM_CALLOUT_EDGE_TRAVERSAL_ALE_LISTEN_V6"),
                     POLICY_BUILTIN_PERMIT); /* an alias */
    assert_int_equal(answer("FWPM_CALLOUT_SET_OPTIONS_AUTH_CONNECT_LAYER_V4"), POLICY_BUILTIN_CONTINUE);
    assert_int_equal(answer("FWPM_CALLOUT_IPSEC_OUTBOUND_TRANSPORT_V4"), POLICY_BUILTIN_PERMIT);
    /* verifying ones hang on the machine's IPsec state, reserved ones on nobody knows what */
    assert_int_equal(answer("FWPM_CALLOUT_IPSEC_INBOUND_TRANSPORT_V4"), POLICY_BUILTIN_DEPENDS);
    assert_int_equal(answer("FWPM_CALLOUT_RESERVED_AUTH_CONNECT_LAYER_V4"), POLICY_BUILTIN_DEPENDS);
}

static void every_entry_is_found_by_its_key_and_no_other_is(void **state)
{
    const struct policy_builtin_callout *all;
    size_t n = policy_builtin_callouts(&all);
    GUID key = {0};
    (void)state;
    assert_true(n > 50);
    for (size_t i = 0; i < n; i++)
        assert_ptr_equal(policy_builtin_callout(all[i].key), &all[i]);
    assert_null(policy_builtin_callout(&key));
    key = *all[n / 2].key;
    key.Data4[7] ^= 0x55;
    assert_null(policy_builtin_callout(&key));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documented_ones_answer_as_documented),
        cmocka_unit_test(every_entry_is_found_by_its_key_and_no_other_is),
    };
    return cmocka_run_group_tests_name("policy_builtin", tests, NULL, NULL);
}
