/* SPDX-License-Identifier: Apache-2.0 */
/* Section 6: connects that go elsewhere, within the classify; what AC is asked then (RED). */
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

static int setup_single(void **state)
{
    const struct host_config config = {.knobs = {.redirect_effective_only = true}};

    return redirector_setup(state, &config);
}

static int setup_enforced(void **state)
{
    const struct host_config config = {.knobs = {.redirect_block_enforced = true}};

    return redirector_setup(state, &config);
}

/* ---- inline -------------------------------------------------------------------------------------------------- */

static void RED_02_the_remote_end_at_connect_redirect(void **state)
{
    struct driver_lab *l = lab(state);
    struct redirector r = {.to = "10.0.0.9", .port = 8080};
    struct host_redirected told;
    struct redirector_ac a = {0};

    redirector_put(l, "CR", &r);
    redirector_watch(l, &a);
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    assert_int_equal(r.calls, 1);
    assert_string_equal(redirector_text(&r.shown[0].remoteAddressAndPort), "10.0.0.2:80");
    redirector_goes(l, "10.0.0.9", 8080);
    assert_int_equal(a.remote[a.calls - 1], 0x0a000009);
    assert_true(host_flow_redirected(l->host.host, l->host.flow.id, &told));
    assert_int_equal(told.given.remote.v4, 0x0a000009);
    assert_int_equal(told.asked.remote.v4, 0x0a000002);
    assert_int_equal(told.filter_id, r.filter_id);
    /* only that flow: another one of the same host goes where it wants to */
    r.only_looks = true;
    LAB_OUT(&l->host, SYN(.sport = 50001, .dport = 80));
    assert_int_equal(l->host.outcome.fate, HOST_PASSED);
    assert_null(l->host.outcome.changed);
    assert_false(host_flow_redirected(l->host.host, l->host.flow.id, &told));
    assert_int_equal(l->found[LEDGER_NOTE], 0);
}

static void RED_02_both_ways(void **state)
{
    struct driver_lab *l = lab(state);
    struct redirector r = {.to = "10.0.0.9", .port = 8080};
    struct wire_packet p;

    redirector_put(l, "CR", &r);
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    LAB_IN(&l->host, TCP(WIRE_TCP_SYN | WIRE_TCP_ACK), .sport = 80, .dport = 50000, .seq = 100, .ack = 2);
    assert_int_equal(l->host.outcome.fate, HOST_PASSED);
    assert_non_null(l->host.outcome.changed);
    wire_parse(WIRE_LINK_ETHERNET, l->host.outcome.changed, 54, 54, &p);
    assert_int_equal(p.source.v4, 0x0a000009);
    assert_int_equal(p.source_port, 8080);
    assert_int_equal(p.destination_port, 50000);
    assert_true(wire_verify(&p));
    assert_string_equal(l->host.seen, "II IT SPK FE");
    LAB_OUT(&l->host, TCP(WIRE_TCP_ACK), .sport = 50000, .dport = 80, .seq = 2, .ack = 101);
    redirector_goes(l, "10.0.0.9", 8080);
    assert_int_equal(l->host.outcome.flow_id, l->host.flow.id);
    assert_int_equal(r.calls, 1);
}

static void RED_01_a_callout_that_permits_changes(void **state)
{
    struct driver_lab *l = lab(state);
    struct redirector r = {.to = "10.0.0.9"};

    /* a callout of unknown action that permits redirects; a plain permit filter just permits */
    driver_lab_callout(l, "CR",
                       SCRIPT(l, .then = redirector_play, .ctx = &r, .type = FWP_ACTION_CALLOUT_UNKNOWN));
    host_lab_rule(&l->host, "permit CR ip_remote_port=81");
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    redirector_goes(l, "10.0.0.9", 80);
    r.only_looks = true;
    LAB_OUT(&l->host, SYN(.sport = 50001, .dport = 81));
    assert_int_equal(l->host.outcome.fate, HOST_PASSED);
    assert_null(l->host.outcome.changed);
}

static void RED_03_the_local_end_at_connect_redirect(void **state)
{
    struct driver_lab *l = lab(state);
    struct redirector r = {.local_port = 60000};
    struct wire_packet p;

    redirector_put(l, "CR", &r);
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    assert_int_equal(l->host.outcome.fate, HOST_PASSED);
    assert_non_null(l->host.outcome.changed); /* TCP: honoured */
    wire_parse(WIRE_LINK_ETHERNET, l->host.outcome.changed, 54, 54, &p);
    assert_int_equal(p.source_port, 60000);
    assert_true(wire_verify(&p));
    LAB_OUT(&l->host, .sport = 50000, .dport = 53); /* others: ignored, and reported */
    assert_int_equal(l->host.outcome.fate, HOST_PASSED);
    assert_null(l->host.outcome.changed);
    assert_int_equal(l->found[LEDGER_NOTE], 1);
    assert_non_null(strstr(l->last, "localAddressAndPort"));
}

static void RED_04_tcp_udp_icmp(void **state)
{
    struct driver_lab *l = lab(state);
    struct redirector r = {.to = "10.0.0.9"};
    struct host_redirected told;

    redirector_put(l, "CR", &r);
    LAB_OUT(&l->host, .sport = 50000, .dport = 53);
    assert_int_equal(l->host.outcome.fate, HOST_PASSED);
    assert_non_null(l->host.outcome.changed);
    assert_true(host_flow_redirected(l->host.host, l->host.flow.id, &told));
    LAB_OUT(&l->host, .protocol = WIRE_PROTOCOL_ICMP, .icmp_type = 8, .icmp_id = 7, .icmp_seq = 1);
    assert_int_equal(l->host.outcome.fate, HOST_PASSED);
    assert_non_null(l->host.outcome.changed);
    assert_true(host_flow_redirected(l->host.host, l->host.flow.id, &told));
    LAB_IN(&l->host, .protocol = WIRE_PROTOCOL_ICMP, .icmp_type = 0, .icmp_id = 7, .icmp_seq = 1);
    assert_int_equal(l->host.outcome.flow_id, l->host.flow.id);
    assert_non_null(l->host.outcome.changed);
    LAB_OUT(&l->host, .protocol = 47); /* GRE: as it was */
    assert_int_equal(l->host.outcome.fate, HOST_PASSED);
    assert_null(l->host.outcome.changed);
    assert_false(host_flow_redirected(l->host.host, l->host.flow.id, &told));
    assert_int_equal(l->found[LEDGER_NOTE], 1);
}

/* ---- AC ------------------------------------------------------------------------------------------------------ */

static void RED_26_two_authorizations(void **state)
{
    struct driver_lab *l = lab(state);
    struct redirector r = {.to = "10.0.0.9", .port = 8080};
    struct redirector_ac a = {0};

    redirector_put(l, "CR", &r);
    redirector_watch(l, &a);
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    assert_int_equal(l->host.outcome.fate, HOST_PASSED);
    assert_int_equal(a.calls, 2);
    assert_int_equal(a.remote[0], 0x0a000002);
    assert_int_equal(a.port[0], 80);
    assert_false(a.flags[0] & FWP_CONDITION_FLAG_IS_CONNECTION_REDIRECTED);
    assert_false(a.original[0]);
    assert_int_equal(a.remote[1], 0x0a000009);
    assert_int_equal(a.port[1], 8080);
    assert_true(a.flags[1] & FWP_CONDITION_FLAG_IS_CONNECTION_REDIRECTED);
    assert_true(a.original[1]);
    assert_string_equal(a.from[1], "10.0.0.2:80");
    /* one block suffices: of the first, of the second */
    a = (struct redirector_ac){.answer = {FWP_ACTION_BLOCK}};
    LAB_OUT(&l->host, SYN(.sport = 50001, .dport = 80));
    assert_int_equal(l->host.outcome.fate, HOST_BLOCKED);
    assert_int_equal(a.calls, 1);
    a = (struct redirector_ac){.answer = {FWP_ACTION_PERMIT, FWP_ACTION_BLOCK}};
    LAB_OUT(&l->host, SYN(.sport = 50002, .dport = 80));
    assert_int_equal(l->host.outcome.fate, HOST_BLOCKED);
    assert_int_equal(a.calls, 2);
    /* others: one, about where it goes */
    a = (struct redirector_ac){0};
    LAB_OUT(&l->host, .sport = 50000, .dport = 53);
    assert_int_equal(a.calls, 1);
    assert_int_equal(a.remote[0], 0x0a000009);
    assert_true(a.flags[0] & FWP_CONDITION_FLAG_IS_CONNECTION_REDIRECTED);
}

static void RED_26_the_knob(void **state)
{
    struct driver_lab *l = lab(state);
    struct redirector r = {.to = "10.0.0.9", .port = 8080};
    struct redirector_ac a = {0};

    redirector_put(l, "CR", &r);
    redirector_watch(l, &a);
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    assert_int_equal(a.calls, 1);
    assert_int_equal(a.remote[0], 0x0a000009);
}

/* The first authorization is pended: the second comes when it has been completed and permitted. */
struct pender {
    HANDLE context;
    unsigned calls;
    UINT32 remote[4], flags[4];
};

static void pend_first(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    struct pender *p = s->ctx;
    const unsigned n = p->calls++ % 4;

    p->remote[n] = c->values->incomingValue[AC4(IP_REMOTE_ADDRESS)].value.uint32;
    p->flags[n] = c->values->incomingValue[AC4(FLAGS)].value.uint32;
    c->out->actionType = FWP_ACTION_PERMIT;
    if (n != 0)
        return;
    assert_int_equal(FwpsPendOperation0(c->metadata->completionHandle, &p->context), STATUS_SUCCESS);
    c->out->actionType = FWP_ACTION_BLOCK;
    c->out->flags |= FWPS_CLASSIFY_OUT_FLAG_ABSORB;
    c->out->rights &= ~(UINT32)FWPS_RIGHT_ACTION_WRITE;
}

static void RED_26_the_first_is_pended(void **state)
{
    struct driver_lab *l = lab(state);
    struct redirector r = {.to = "10.0.0.9", .port = 8080};
    struct pender p = {0};

    redirector_put(l, "CR", &r);
    driver_lab_callout(l, "AC", SCRIPT(l, .then = pend_first, .ctx = &p));
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    assert_int_equal(l->host.outcome.fate, HOST_HELD);
    assert_int_equal(p.calls, 1);
    FwpsCompleteOperation0(p.context, NULL);
    assert_int_equal(p.calls, 3);
    assert_int_equal(p.remote[0], 0x0a000002);
    assert_int_equal(p.remote[1], 0x0a000002); /* that again (PEND-17) */
    assert_true(p.flags[1] & FWP_CONDITION_FLAG_IS_REAUTHORIZE);
    assert_int_equal(p.remote[2], 0x0a000009); /* then the other, for the first time */
    assert_false(p.flags[2] & FWP_CONDITION_FLAG_IS_REAUTHORIZE);
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    redirector_goes(l, "10.0.0.9", 8080);
    assert_int_equal(r.calls, 1);
}

/* ---- RED-28 -------------------------------------------------------------------------------------------------- */

static void RED_28_once_a_connect_before_authorization(void **state)
{
    struct driver_lab *l = lab(state);
    struct redirector r = {.only_looks = true};

    redirector_put(l, "CR", &r);
    assert_string_equal(LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80)), "BR RES CR AC SPK OT OI");
    assert_int_equal(r.calls, 1);
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80)); /* the same again */
    assert_int_equal(r.calls, 1);
    LAB_OUT(&l->host, .sport = 50000, .dport = 53); /* others: for each new peer */
    assert_int_equal(r.calls, 2);
    LAB_OUT(&l->host, .sport = 50000, .dport = 53);
    assert_int_equal(r.calls, 2);
    LAB_OUT(&l->host, .sport = 50000, .dport = 54);
    assert_int_equal(r.calls, 3);
}

static void RED_28_a_block_is_not_enforced(void **state)
{
    struct driver_lab *l = lab(state);
    struct redirector r = {.to = "10.0.0.9", .answer = FWP_ACTION_BLOCK};
    struct host_redirect_counts c;

    redirector_put(l, "CR", &r);
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    redirector_goes(l, "10.0.0.9", 80); /* as applied so far */
    host_redirect_counts(l->host.host, &c);
    assert_int_equal(c.blocks, 1);
}

static void RED_28_the_knob_enforces_it(void **state)
{
    struct driver_lab *l = lab(state);
    struct redirector r = {.to = "10.0.0.9", .answer = FWP_ACTION_BLOCK};

    redirector_put(l, "CR", &r);
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    assert_int_equal(l->host.outcome.fate, HOST_BLOCKED);
    assert_int_equal(l->host.outcome.layer->id, CR);
}

static void RED_28_the_heaviest_first(void **state)
{
    struct driver_lab *l = lab(state);
    struct redirector heavy = {.to = "10.0.0.8"}, light = {.port = 8080};
    UINT64 heavy_id;

    heavy.sublayer = 200;
    redirector_put(l, "CR", &heavy);
    light.sublayer = 100;
    redirector_put(l, "CR", &light);
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    assert_string_equal(redirector_text(&heavy.shown[0].remoteAddressAndPort), "10.0.0.2:80");
    assert_string_equal(redirector_text(&light.shown[0].remoteAddressAndPort), "10.0.0.8:80");
    redirector_goes(l, "10.0.0.8", 8080);
    heavy_id = heavy.filter_id;
    assert_int_equal(light.shown[0].modifierFilterId, heavy_id);
}

/* ---- versions ------------------------------------------------------------------------------------------------ */

static void RED_11_versions_behind(void **state)
{
    struct driver_lab *l = lab(state);
    struct redirector heavy = {.to = "10.0.0.8"}, light = {.port = 8080};

    heavy.sublayer = 200;
    redirector_put(l, "CR", &heavy);
    light.sublayer = 100;
    redirector_put(l, "CR", &light);
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    assert_int_equal(heavy.shown[0].modifierFilterId, 0);
    assert_int_equal(heavy.previous_count[0], 0); /* nobody has changed it */
    assert_int_equal(light.previous_count[0], 1);
    assert_int_equal(light.previous[0][0], 0);
    assert_int_equal(light.behind_count,
                     2); /* of what it writes: what it was shown, and what was asked for */
    assert_int_equal(light.behind[0], heavy.filter_id);
    assert_int_equal(light.behind[1], 0);
}

static void RED_11_what_was_asked_for_with_reauthorize(void **state)
{
    struct driver_lab *l = lab(state);
    struct redirector heavy = {.pends = true}, light = {.only_looks = true};

    heavy.sublayer = 200;
    redirector_put(l, "CR", &heavy);
    light.sublayer = 100;
    redirector_put(l, "CR", &light);
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    assert_int_equal(light.calls, 0);
    redirector_go(&heavy); /* permits, unchanged */
    assert_int_equal(light.calls, 1);
    assert_true(light.condition_flags[0] & FWP_CONDITION_FLAG_IS_REAUTHORIZE);
    assert_int_equal(light.previous_count[0], 1);
    assert_int_equal(light.previous[0][0], 0);
}

/* ---- this host ----------------------------------------------------------------------------------------------- */

static void RED_18_local_needs_process_and_handle(void **state)
{
    struct driver_lab *l = lab(state);
    struct redirector r = {.to = "10.0.0.1", .port = 8080};
    struct redirector_ac a = {0};
    HANDLE handle;

    redirector_put(l, "CR", &r);
    redirector_watch(l, &a);
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80)); /* neither */
    assert_int_equal(l->host.outcome.fate, HOST_BLOCKED);
    assert_int_equal(l->host.outcome.layer->id, AC);
    assert_int_equal(l->host.outcome.filter_id, 0);
    assert_int_equal(a.calls, 0);
    assert_int_equal(l->found[LEDGER_NOTE], 1);
    r.pid = 4711;
    LAB_OUT(&l->host, SYN(.sport = 50001, .dport = 80)); /* no handle */
    assert_int_equal(l->host.outcome.fate, HOST_BLOCKED);
    handle = redirector_handle();
    r.handle = handle;
    r.pid = 0;
    LAB_OUT(&l->host, SYN(.sport = 50002, .dport = 80)); /* no process */
    assert_int_equal(l->host.outcome.fate, HOST_BLOCKED);
    r.pid = 4711;
    LAB_OUT(&l->host, SYN(.sport = 50003, .dport = 80));
    redirector_goes(l, "10.0.0.1", 8080);
    assert_int_equal(a.calls, 1); /* one: it stays on this host */
    assert_true(a.target[0]);
    assert_int_equal(a.pid[0], 4711);
    assert_true(a.flags[0] & FWP_CONDITION_FLAG_IS_LOOPBACK);
    FwpsRedirectHandleDestroy0(handle);
    LAB_OUT(&l->host, SYN(.sport = 50004, .dport = 80)); /* no longer one */
    assert_int_equal(l->host.outcome.fate, HOST_BLOCKED);
}

#define T(f) cmocka_unit_test_setup_teardown(f, driver_lab_setup, redirector_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(RED_01_a_callout_that_permits_changes),
        T(RED_02_the_remote_end_at_connect_redirect),
        T(RED_02_both_ways),
        T(RED_03_the_local_end_at_connect_redirect),
        T(RED_04_tcp_udp_icmp),
        T(RED_11_versions_behind),
        T(RED_11_what_was_asked_for_with_reauthorize),
        T(RED_18_local_needs_process_and_handle),
        T(RED_26_two_authorizations),
        cmocka_unit_test_setup_teardown(RED_26_the_knob, setup_single, redirector_teardown),
        T(RED_26_the_first_is_pended),
        T(RED_28_once_a_connect_before_authorization),
        T(RED_28_a_block_is_not_enforced),
        cmocka_unit_test_setup_teardown(RED_28_the_knob_enforces_it, setup_enforced, redirector_teardown),
        T(RED_28_the_heaviest_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
