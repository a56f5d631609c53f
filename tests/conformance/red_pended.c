/* SPDX-License-Identifier: Apache-2.0 */
/* Section 6: connects that wait at CONNECT_REDIRECT: completed, asked again, changed by others meanwhile (RED). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "fwpmk.h"
#include "host/host_redirect.h"
#include "redirector.h"

#define AC4(name) FWPS_FIELD_ALE_AUTH_CONNECT_V4_##name
#define CR        FWPS_LAYER_ALE_CONNECT_REDIRECT_V4
#define AC        FWPS_LAYER_ALE_AUTH_CONNECT_V4

static struct driver_lab *lab(void **state)
{
    return *state;
}

static int setup_enforced(void **state)
{
    const struct host_config config = {.knobs = {.redirect_block_enforced = true}};

    return redirector_setup(state, &config);
}

/* ---- pended -------------------------------------------------------------------------------------------------- */

static void RED_12_waits_until_it_is_completed(void **state)
{
    struct driver_lab *l = lab(state);
    struct redirector r = {.to = "10.0.0.9", .port = 8080, .pends = true};
    struct host_redirect_counts c;
    struct redirector_ac a = {0};

    redirector_put(l, "CR", &r);
    redirector_watch(l, &a);
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    assert_int_equal(l->host.outcome.fate, HOST_HELD);
    assert_int_equal(l->host.outcome.layer->id, CR);
    assert_int_equal(a.calls, 0);
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80)); /* the same again: it is held */
    assert_int_equal(l->host.outcome.fate, HOST_HELD);
    assert_int_equal(r.calls, 1);
    /* its handle was released by the driver at once: the pend has a reference */
    host_redirect_counts(l->host.host, &c);
    assert_int_equal(c.handles, 1);
    assert_int_equal(c.pended, 1);
    redirector_go(&r);
    assert_int_equal(a.calls, 2);
    host_redirect_counts(l->host.host, &c);
    assert_int_equal(c.handles, 0);
    assert_int_equal(c.pended, 0);
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    redirector_goes(l, "10.0.0.9", 8080);
    assert_int_equal(r.calls, 1);
    assert_int_equal(l->found[LEDGER_NOTE] + l->found[LEDGER_TWICE] + l->found[LEDGER_UNKNOWN], 0);
}

static void permit_all_the_same(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    redirector_play(s, c);
    c->out->actionType = FWP_ACTION_PERMIT; /* V: against RED-14 */
    c->out->rights |= FWPS_RIGHT_ACTION_WRITE;
}

static void RED_12_whatever_classifyFn_returns(void **state)
{
    struct driver_lab *l = lab(state);
    struct redirector r = {.to = "10.0.0.9", .pends = true};

    driver_lab_callout(l, "CR", SCRIPT(l, .then = permit_all_the_same, .ctx = &r));
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    assert_int_equal(l->host.outcome.fate, HOST_HELD);
    redirector_go(&r);
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    redirector_goes(l, "10.0.0.9", 80);
}

static void RED_12_datagrams(void **state)
{
    struct driver_lab *l = lab(state);
    struct redirector r = {.to = "10.0.0.9", .pends = true};

    redirector_put(l, "CR", &r);
    LAB_OUT(&l->host, .sport = 50000, .dport = 53);
    assert_int_equal(l->host.outcome.fate, HOST_HELD);
    redirector_go(&r);
    LAB_OUT(&l->host, .sport = 50000, .dport = 53);
    assert_int_equal(l->host.outcome.fate, HOST_PASSED);
    assert_non_null(l->host.outcome.changed);
    assert_int_equal(r.calls, 1);
}

static void RED_15_completed_with_null_is_asked_again(void **state)
{
    struct driver_lab *l = lab(state);
    struct redirector r = {.to = "10.0.0.9", .pends = true};

    redirector_put(l, "CR", &r);
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    assert_false(r.condition_flags[0] & FWP_CONDITION_FLAG_IS_REAUTHORIZE);
    redirector_again(&r);
    assert_int_equal(r.calls, 2);
    assert_true(r.condition_flags[1] & FWP_CONDITION_FLAG_IS_REAUTHORIZE);
    assert_true(r.waits); /* it may pend again (RED-21) */
    redirector_go(&r);
    assert_int_equal(r.calls, 2); /* its final decision */
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    redirector_goes(l, "10.0.0.9", 80);
}

static void RED_15_its_final_decision(void **state)
{
    struct driver_lab *l = lab(state);
    struct redirector r = {.to = "10.0.0.9", .pends = true, .answer = FWP_ACTION_BLOCK};

    redirector_put(l, "CR", &r);
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    redirector_go(&r);
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    assert_int_equal(l->host.outcome.fate,
                     HOST_CONSEQUENCE); /* refused (the knob): its repetition was never sent */
}

static void RED_15_twice_or_without_a_pend(void **state)
{
    struct driver_lab *l = lab(state);
    struct redirector r = {.to = "10.0.0.9", .pends = true, .keeps = true};

    redirector_put(l, "CR", &r);
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    redirector_go(&r);
    FwpsCompleteClassify0(r.classify_handle, 0, &r.out);
    assert_int_equal(l->found[LEDGER_TWICE], 1);
    assert_int_equal(host_classify_complete(l->host.host, r.classify_handle, &r.out) & HOST_CLASSIFY_TWICE,
                     HOST_CLASSIFY_TWICE);
    FwpsReleaseClassifyHandle0(r.classify_handle);
    FwpsReleaseClassifyHandle0(r.classify_handle);
    assert_int_equal(l->found[LEDGER_TWICE], 2);
    assert_int_equal(host_classify_release(l->host.host, r.classify_handle), HOST_CLASSIFY_NO_HANDLE);
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    redirector_goes(l, "10.0.0.9", 80);
}

static void RED_21_the_next_sees_it_with_reauthorize(void **state)
{
    struct driver_lab *l = lab(state);
    struct redirector heavy = {.to = "10.0.0.8", .pends = true}, light = {.port = 8080, .pends = true};

    heavy.sublayer = 200;
    redirector_put(l, "CR", &heavy);
    light.sublayer = 100;
    redirector_put(l, "CR", &light);
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    assert_int_equal(light.calls, 0); /* the walk stops where somebody pends */
    redirector_go(&heavy);
    assert_int_equal(heavy.calls, 1);
    assert_int_equal(light.calls, 1);
    assert_true(light.condition_flags[0] & FWP_CONDITION_FLAG_IS_REAUTHORIZE);
    assert_string_equal(redirector_text(&light.shown[0].remoteAddressAndPort), "10.0.0.8:80");
    assert_true(light.waits); /* REAUTH does not forbid it */
    redirector_go(&light);
    assert_int_equal(heavy.calls, 1);
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    redirector_goes(l, "10.0.0.8", 8080);
}

static void RED_21_write_may_be_restored(void **state)
{
    struct driver_lab *l = lab(state);
    struct redirector heavy = {.to = "10.0.0.8"}, light = {.only_looks = true};

    heavy.sublayer = 200;
    redirector_put(l, "CR", &heavy); /* acquiring cleared WRITE; it sets it again */
    light.sublayer = 100;
    redirector_put(l, "CR", &light);
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    assert_int_equal(light.calls, 1);
    assert_true(light.rights[0] & FWPS_RIGHT_ACTION_WRITE);
}

static void RED_17_asked_again_if_others_change_it(void **state)
{
    struct driver_lab *l = lab(state);
    struct redirector heavy = {.to = "10.0.0.8",
                               .pends = true,
                               .until = 1,
                               .flags = FWPS_CLASSIFY_FLAG_REAUTHORIZE_IF_MODIFIED_BY_OTHERS};
    struct redirector light = {.port = 8080};

    heavy.sublayer = 200;
    redirector_put(l, "CR", &heavy);
    light.sublayer = 100;
    redirector_put(l, "CR", &light);
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    redirector_go(&heavy);
    assert_int_equal(light.calls, 1);
    assert_int_equal(heavy.calls, 2);
    assert_true(heavy.condition_flags[1] & FWP_CONDITION_FLAG_IS_REAUTHORIZE);
    assert_string_equal(redirector_text(&heavy.shown[1].remoteAddressAndPort), "10.0.0.8:8080");
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    redirector_goes(l, "10.0.0.8", 8080);
}

static void RED_17_not_without_the_flag_nor_inline(void **state)
{
    struct driver_lab *l = lab(state);
    struct redirector heavy = {.to = "10.0.0.8", .pends = true}, light = {.port = 8080};
    struct redirector inline_one = {.to = "10.0.0.7",
                                    .flags = FWPS_CLASSIFY_FLAG_REAUTHORIZE_IF_MODIFIED_BY_OTHERS};

    heavy.sublayer = 200;
    redirector_put(l, "CR", &heavy);
    light.sublayer = 100;
    redirector_put(l, "CR", &light);
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    redirector_go(&heavy);
    assert_int_equal(heavy.calls, 1);
    inline_one.sublayer = 300;
    heavy.only_looks = true;
    redirector_put(l, "CR", &inline_one);
    LAB_OUT(&l->host, SYN(.sport = 50001, .dport = 80));
    assert_int_equal(inline_one.calls, 1);
    assert_int_equal(l->found[LEDGER_NOTE], 1);
    assert_non_null(strstr(l->last, "REAUTHORIZE_IF_MODIFIED_BY_OTHERS"));
}

static void PEND_41_its_flow_goes_while_it_waits(void **state)
{
    struct driver_lab *l = lab(state);
    struct redirector r = {.to = "10.0.0.9", .pends = true};
    struct redirector_ac a = {0};

    redirector_put(l, "CR", &r);
    redirector_watch(l, &a);
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    assert_int_equal(host_flow_abort(l->host.host, l->host.flow.id), STATUS_SUCCESS);
    redirector_go(&r); /* accepted; nobody is asked */
    assert_int_equal(a.calls, 0);
    assert_int_equal(l->found[LEDGER_NOTE] + l->found[LEDGER_TWICE], 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, driver_lab_setup, redirector_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(RED_12_waits_until_it_is_completed),
        T(RED_12_whatever_classifyFn_returns),
        T(RED_12_datagrams),
        T(RED_15_completed_with_null_is_asked_again),
        cmocka_unit_test_setup_teardown(RED_15_its_final_decision, setup_enforced, redirector_teardown),
        T(RED_15_twice_or_without_a_pend),
        T(RED_17_asked_again_if_others_change_it),
        T(RED_17_not_without_the_flag_nor_inline),
        T(RED_21_the_next_sees_it_with_reauthorize),
        T(RED_21_write_may_be_restored),
        T(PEND_41_its_flow_goes_while_it_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
