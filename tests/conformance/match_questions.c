/* SPDX-License-Identifier: Apache-2.0 */
/* MATCH: what an operation indicates, as far as it follows from the operation itself: ICMP in the ports'
 * slots (MATCH-19), the flags of loopback (21), a bind without an address (24), the package of a program that
 * has none (29). Asked of the demo's policy, whose answers are judged by the engine with exactly these
 * values. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "explain/explain.h"
#include "security/security.h"

struct asked {
    struct explain_state *state;
    struct explain_problem p;
    struct explain_answer answer;
    const struct explain_world *world;
};

static void ask(struct asked *a, struct explain_question q)
{
    const char *root = getenv("WEIR_ROOT"), *error = NULL;
    struct policy_error why = {0};
    char path[4096];

    snprintf(path, sizeof(path), "%s/data/demo/demo.wfpstate.xml", root != NULL ? root : ".");
    assert_int_equal(explain_state_open(path, &a->state, &why), 0);
    assert_int_equal(explain_problem_begin(a->state, &a->p), 0);
    q.family = '4';
    q.assume = EXPLAIN_ASSUME_PLAIN;
    assert_int_equal(explain_question_add(&a->p, &q, 0, NULL, &error), 0);
    assert_int_equal(explain_problem_build(&a->p, &error), 0);
    assert_int_equal(explain_answer(&a->p, EXPLAIN_BUDGET, &a->answer, &error), 0);
    a->world = a->answer.permit != NULL ? a->answer.permit : a->answer.block;
    assert_non_null(a->world);
}

static void done(struct asked *a)
{
    explain_problem_end(&a->p);
    explain_state_close(a->state);
}

/* The value that the field has at the question's step at this layer. */
static const FWP_VALUE0 *value_at(const struct asked *a, UINT16 layer, const GUID *key)
{
    for (uint32_t i = 0; i < a->p.step_count; i++) {
        int field = engine_layer_field(a->p.steps[i].layer, key);

        if (a->p.steps[i].layer->id == layer && field >= 0)
            return &explain_world_value(&a->p, a->world, i, (UINT16)field)->value;
    }
    fail_msg("no step at layer %u", layer);
    return NULL;
}

static UINT32 flags_at(const struct asked *a, UINT16 layer)
{
    const FWP_VALUE0 *v = value_at(a, layer, &FWPM_CONDITION_FLAGS);

    assert_int_equal(v->type, FWP_UINT32);
    return v->uint32;
}

static struct explain_end at(UINT32 address, UINT16 port)
{
    return (struct explain_end){.address_known = true,
                                .port_known = true,
                                .address = {.type = FWP_UINT32, .uint32 = address},
                                .port = port};
}

static void MATCH_19_type_and_code_stand_in_the_ports_slots(void **state)
{
    struct explain_question q = {.op = EXPLAIN_PACKET,
                                 .direction = 'o',
                                 .protocol = 1,
                                 .local = at(0x0a000001, 0),
                                 .remote = at(0x0a000002, 0),
                                 .icmp_type_known = true,
                                 .icmp_type = 3,
                                 .icmp_code_known = true,
                                 .icmp_code = 1};
    const UINT16 layer = FWPS_LAYER_OUTBOUND_TRANSPORT_V4;
    struct asked a;

    (void)state;
    q.local.port_known = q.remote.port_known = false;
    ask(&a, q);
    assert_int_equal(value_at(&a, layer, &FWPM_CONDITION_IP_LOCAL_PORT)->uint16, 3);
    assert_int_equal(value_at(&a, layer, &FWPM_CONDITION_IP_REMOTE_PORT)->uint16, 1);
    done(&a);
}

static void MATCH_21_loopback_between_ordinary_programs(void **state)
{
    const UINT32 both = FWP_CONDITION_FLAG_IS_LOOPBACK | FWP_CONDITION_FLAG_IS_NON_APPCONTAINER_LOOPBACK;
    const UINT32 all = both | FWP_CONDITION_FLAG_IS_APPCONTAINER_LOOPBACK;
    struct explain_question q = {.protocol = 6, .local = at(0x7f000001, 50000), .remote = at(0x7f000001, 80)};
    struct asked a;

    (void)state;
    q.op = EXPLAIN_CONNECT;
    ask(&a, q);
    assert_int_equal(flags_at(&a, FWPS_LAYER_ALE_AUTH_CONNECT_V4) & all, both);
    done(&a);
    q.op = EXPLAIN_ACCEPT;
    ask(&a, q);
    assert_int_equal(flags_at(&a, FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4) & all, both);
    done(&a);
    q.local = at(0x0a000001, 50000); /* from elsewhere: none of them */
    q.remote = at(0x0a000002, 80);
    ask(&a, q);
    assert_int_equal(flags_at(&a, FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4) & all, 0);
    done(&a);
}

static void MATCH_24_a_bind_to_no_address(void **state)
{
    struct explain_question q = {.op = EXPLAIN_BIND, .protocol = 17, .local = at(0, 5353)};
    const UINT16 layer = FWPS_LAYER_ALE_RESOURCE_ASSIGNMENT_V4;
    struct asked a;

    (void)state;
    q.local.address_known = false;
    q.local.wildcard = true;
    ask(&a, q);
    assert_int_equal(value_at(&a, layer, &FWPM_CONDITION_IP_LOCAL_ADDRESS)->type, FWP_EMPTY);
    assert_int_equal(value_at(&a, layer, &FWPM_CONDITION_IP_LOCAL_PORT)->uint16, 5353);
    assert_true(flags_at(&a, layer) & FWP_CONDITION_FLAG_IS_WILDCARD_BIND);
    done(&a);
    q.local = at(0x0a000001, 5353);
    ask(&a, q);
    assert_int_equal(value_at(&a, layer, &FWPM_CONDITION_IP_LOCAL_ADDRESS)->type, FWP_UINT32);
    assert_int_equal(value_at(&a, layer, &FWPM_CONDITION_IP_LOCAL_ADDRESS)->uint32, 0x0a000001);
    assert_false(flags_at(&a, layer) & FWP_CONDITION_FLAG_IS_WILDCARD_BIND);
    done(&a);
}

static void MATCH_29_the_package_of_an_ordinary_program(void **state)
{
    struct explain_question q = {
        .op = EXPLAIN_CONNECT, .protocol = 6, .local = at(0x0a000001, 50000), .remote = at(0x0a000002, 443)};
    UINT8 none[SECURITY_MAX_SID_SIZE];
    const FWP_VALUE0 *package;
    struct asked a;

    (void)state;
    assert_int_equal(security_sid_parse("S-1-0-0", (SID *)none, sizeof(none)), 0);
    ask(&a, q);
    package = value_at(&a, FWPS_LAYER_ALE_AUTH_CONNECT_V4, &FWPM_CONDITION_ALE_PACKAGE_ID);
    assert_int_equal(package->type, FWP_SID);
    assert_true(security_sid_equal(package->sid, (SID *)none));
    done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(MATCH_19_type_and_code_stand_in_the_ports_slots),
        cmocka_unit_test(MATCH_21_loopback_between_ordinary_programs),
        cmocka_unit_test(MATCH_24_a_bind_to_no_address),
        cmocka_unit_test(MATCH_29_the_package_of_an_ordinary_program),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
