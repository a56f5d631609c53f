/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an operation indicates at its layers: the values that questions give to fields, the layers they pass,
 * and that no impossible world is invented.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "explain/explain.h"
#include "explain/walks.h"

struct lab {
    struct explain_state s;
    struct explain_problem p;
    struct explain_answer answer;
    struct explain_notes notes;
    struct explain_arena a;
    UINT64 next_id;
};

static int set_up(void **state)
{
    struct lab *l = calloc(1, sizeof *l);

    assert_non_null(l);
    assert_int_equal(engine_create(&l->s.engine), 0);
    assert_int_equal(engine_reader_create(l->s.engine, &l->s.reader), 0);
    *state = l;
    return 0;
}

static int tear_down(void **state)
{
    struct lab *l = *state;

    explain_problem_end(&l->p);
    explain_arena_free(&l->a);
    engine_reader_destroy(l->s.reader);
    engine_destroy(l->s.engine);
    free(l);
    return 0;
}

/* A filter at this layer with one condition; text NULL: none. */
static void add_filter(struct lab *l, const char *layer_name, const char *field, FWP_MATCH_TYPE match,
                       const char *text, FWP_ACTION_TYPE action, UINT64 weight)
{
    const struct engine_layer *layer = engine_layer_by_name(layer_name);
    FWPS_FILTER_CONDITION0 c = {.matchType = match};
    FWPS_FILTER3 fwps = {.filterId = ++l->next_id,
                         .weight = {.type = FWP_UINT64, .uint64 = &weight},
                         .numFilterConditions = text != NULL,
                         .filterCondition = &c,
                         .action = {.type = action}};
    struct engine_filter_desc desc = {
        .layer_id = layer->id, .fwps = &fwps, .filter_key = {.Data1 = (UINT32)l->next_id}};
    struct engine_filter *f;
    struct engine_txn *t;
    void *sd = NULL;
    FWP_BYTE_BLOB blob;

    if (text != NULL) {
        const struct engine_field *ef = explain_field_find(layer, field);
        struct explain_value v;
        const char *error;

        assert_non_null(ef);
        c.fieldId = ef->index;
        if (strncmp(text, "D:", 2) == 0) {
            size_t size;

            assert_int_equal(security_sddl_parse(text, &sd, &size, NULL), 0);
            blob = (FWP_BYTE_BLOB){(UINT32)size, sd};
            c.conditionValue.type = FWP_SECURITY_DESCRIPTOR_TYPE;
            c.conditionValue.sd = &blob;
        } else {
            assert_int_equal(explain_value_parse(&l->a, ef, text, &v, &error), 0);
            c.conditionValue.type = v.value.type;
            c.conditionValue.uint64 = v.value.uint64;
        }
    }
    assert_int_equal(engine_filter_create(&desc, &f), 0);
    assert_int_equal(engine_txn_begin(l->s.engine, &t), 0);
    assert_int_equal(engine_txn_add(t, f), 0);
    assert_int_equal(engine_txn_commit(t), 0);
    engine_filter_unref(f);
    free(sd);
}

static struct explain_end end_of(struct lab *l, const char *address, int port)
{
    struct explain_end e = {.port_known = port >= 0, .port = (UINT16)port};
    char family;

    if (address != NULL) {
        assert_true(explain_parse_address(address, strlen(address), &family, &e.address, &l->a));
        e.address_known = true;
    }
    return e;
}

static struct explain_question question(struct lab *l, enum explain_op op, UINT8 protocol, const char *local,
                                        int lport, const char *remote, int rport)
{
    struct explain_question q = {
        .op = op, .protocol = protocol, .family = '4', .assume = EXPLAIN_ASSUME_PLAIN};

    q.direction = op == EXPLAIN_ACCEPT ? 'i' : 'o';
    q.local = end_of(l, local, lport);
    q.remote = end_of(l, remote, rport);
    return q;
}

static enum explain_verdict ask(struct lab *l, const struct explain_question *q)
{
    const char *error = NULL;

    explain_problem_end(&l->p);
    l->notes = (struct explain_notes){0};
    assert_int_equal(explain_problem_begin(&l->s, &l->p), 0);
    if (explain_question_add(&l->p, q, 0, &l->notes, &error) != 0)
        fail_msg("%s", error);
    assert_int_equal(explain_problem_build(&l->p, &error), 0);
    if (explain_answer(&l->p, EXPLAIN_BUDGET, &l->answer, &error) != 0)
        fail_msg("%s", error != NULL ? error : "no answer");
    return l->answer.verdict;
}

/* The value as text that a field had at a layer, in the world that was shown. */
static const char *value_at(struct lab *l, const char *layer, const char *field)
{
    const struct explain_world *w = l->answer.permit != NULL ? l->answer.permit : l->answer.block;

    assert_non_null(w);
    for (uint32_t s = 0; s < l->p.step_count; s++) {
        const struct engine_layer *x = l->p.steps[s].layer;

        if (x == engine_layer_by_name(layer)) {
            const struct engine_field *f = explain_field_find(x, field);

            assert_non_null(f);
            return explain_value_text(&l->p.arena, f, explain_world_value(&l->p, w, s, f->index));
        }
    }
    fail_msg("%s is not passed", layer);
    return NULL;
}

static void check_walk(struct lab *l, enum explain_op op, UINT8 protocol, const char *const *layers)
{
    struct explain_question q = question(l, op, protocol, "10.0.0.1", 50000, "10.0.0.2", 80);
    size_t n = 0;

    assert_int_equal(ask(l, &q), EXPLAIN_PERMITTED);
    for (; layers[n] != NULL; n++) {
        assert_true(n < l->p.step_count);
        assert_ptr_equal(l->p.steps[n].layer, engine_layer_by_name(layers[n]));
    }
    assert_int_equal(n, l->p.step_count);
}

static void layers_come_in_the_documented_order(void **state)
{
    struct lab *l = *state;

    check_walk(l, EXPLAIN_CONNECT, 6,
               (const char *[]){"ALE_BIND_REDIRECT_V4", "ALE_RESOURCE_ASSIGNMENT_V4",
                                "ALE_CONNECT_REDIRECT_V4", "ALE_AUTH_CONNECT_V4", "STREAM_PACKET_V4",
                                "OUTBOUND_TRANSPORT_V4", "OUTBOUND_IPPACKET_V4", "INBOUND_IPPACKET_V4",
                                "INBOUND_TRANSPORT_V4", "STREAM_PACKET_V4", "ALE_FLOW_ESTABLISHED_V4",
                                "STREAM_V4", NULL});
    check_walk(l, EXPLAIN_ACCEPT, 17,
               (const char *[]){"INBOUND_IPPACKET_V4", "INBOUND_TRANSPORT_V4", "ALE_AUTH_RECV_ACCEPT_V4",
                                "ALE_FLOW_ESTABLISHED_V4", "DATAGRAM_DATA_V4", "DATAGRAM_DATA_V4",
                                "OUTBOUND_TRANSPORT_V4", "OUTBOUND_IPPACKET_V4", NULL});
    check_walk(
        l, EXPLAIN_LISTEN, 6,
        (const char *[]){"ALE_BIND_REDIRECT_V4", "ALE_RESOURCE_ASSIGNMENT_V4", "ALE_AUTH_LISTEN_V4", NULL});
    check_walk(l, EXPLAIN_BIND, 17,
               (const char *[]){"ALE_BIND_REDIRECT_V4", "ALE_RESOURCE_ASSIGNMENT_V4", NULL});
    check_walk(l, EXPLAIN_PACKET, 17,
               (const char *[]){"DATAGRAM_DATA_V4", "OUTBOUND_TRANSPORT_V4", "OUTBOUND_IPPACKET_V4", NULL});
}

static void udp_does_not_listen(void **state)
{
    struct lab *l = *state;
    struct explain_question q = question(l, EXPLAIN_LISTEN, 17, NULL, 53, NULL, -1);
    const char *error = NULL;

    assert_int_equal(explain_problem_begin(&l->s, &l->p), 0);
    assert_int_equal(explain_question_add(&l->p, &q, 0, NULL, &error), -EINVAL);
    assert_non_null(error);
}

static void MATCH_19_icmp_type_and_code_stand_in_the_port_fields(void **state)
{
    struct lab *l = *state;
    struct explain_question q = question(l, EXPLAIN_CONNECT, 1, "10.0.0.1", -1, "10.0.0.2", -1);

    q.icmp_type_known = q.icmp_code_known = true;
    q.icmp_type = 8;
    q.icmp_code = 0;
    assert_int_equal(ask(l, &q), EXPLAIN_PERMITTED);
    assert_string_equal(value_at(l, "ALE_AUTH_CONNECT_V4", "IP_LOCAL_PORT"), "8");
    assert_string_equal(value_at(l, "ALE_AUTH_CONNECT_V4", "IP_REMOTE_PORT"), "0");
    assert_string_equal(value_at(l, "ALE_AUTH_CONNECT_V4", "ORIGINAL_ICMP_TYPE"), "8");
    assert_string_equal(value_at(l, "OUTBOUND_TRANSPORT_V4", "ICMP_TYPE"), "8");
}

static void MATCH_20_direction_of_the_connection_and_of_the_packet(void **state)
{
    struct lab *l = *state;
    struct explain_question q = question(l, EXPLAIN_ACCEPT, 6, "10.0.0.1", 80, "10.0.0.2", 50000);

    assert_int_equal(ask(l, &q), EXPLAIN_PERMITTED);
    assert_string_equal(value_at(l, "ALE_FLOW_ESTABLISHED_V4", "DIRECTION"), "1");
    assert_string_equal(value_at(l, "STREAM_V4", "DIRECTION"), "1");
    q = question(l, EXPLAIN_CONNECT, 17, "10.0.0.1", 50000, "10.0.0.2", 53);
    assert_int_equal(ask(l, &q), EXPLAIN_PERMITTED);
    assert_string_equal(value_at(l, "ALE_FLOW_ESTABLISHED_V4", "DIRECTION"), "0");
    assert_string_equal(value_at(l, "DATAGRAM_DATA_V4", "DIRECTION"), "0");
}

static void MATCH_21_loopback_of_ordinary_programs(void **state)
{
    struct lab *l = *state;
    struct explain_question q = question(l, EXPLAIN_CONNECT, 6, "127.0.0.1", 50000, "127.0.0.1", 80);

    assert_int_equal(ask(l, &q), EXPLAIN_PERMITTED);
    assert_string_equal(value_at(l, "ALE_AUTH_CONNECT_V4", "FLAGS"),
                        "IS_LOOPBACK|IS_NON_APPCONTAINER_LOOPBACK");
    assert_string_equal(value_at(l, "OUTBOUND_TRANSPORT_V4", "FLAGS"), "IS_LOOPBACK");
    q.op = EXPLAIN_ACCEPT;
    assert_int_equal(ask(l, &q), EXPLAIN_PERMITTED);
    assert_string_equal(value_at(l, "ALE_AUTH_RECV_ACCEPT_V4", "FLAGS"),
                        "IS_LOOPBACK|IS_NON_APPCONTAINER_LOOPBACK");
    /* one's own address is loopback as well; another machine's is not */
    q = question(l, EXPLAIN_CONNECT, 6, "10.0.0.1", 50000, "10.0.0.1", 80);
    assert_int_equal(ask(l, &q), EXPLAIN_PERMITTED);
    assert_string_equal(value_at(l, "ALE_AUTH_CONNECT_V4", "FLAGS"),
                        "IS_LOOPBACK|IS_NON_APPCONTAINER_LOOPBACK");
    q = question(l, EXPLAIN_CONNECT, 6, "10.0.0.1", 50000, "10.0.0.2", 80);
    assert_int_equal(ask(l, &q), EXPLAIN_PERMITTED);
    assert_string_equal(value_at(l, "ALE_AUTH_CONNECT_V4", "FLAGS"), "0");
}

static void MATCH_24_a_bind_without_address_indicates_none(void **state)
{
    struct lab *l = *state;
    struct explain_question q = question(l, EXPLAIN_BIND, 17, NULL, 53, NULL, -1);

    q.local.wildcard = true;
    assert_int_equal(ask(l, &q), EXPLAIN_PERMITTED);
    assert_string_equal(value_at(l, "ALE_RESOURCE_ASSIGNMENT_V4", "IP_LOCAL_ADDRESS"), "empty");
    assert_string_equal(value_at(l, "ALE_RESOURCE_ASSIGNMENT_V4", "FLAGS"), "IS_WILDCARD_BIND");
    assert_string_equal(value_at(l, "ALE_RESOURCE_ASSIGNMENT_V4", "IP_LOCAL_PORT"), "53");
    q = question(l, EXPLAIN_BIND, 17, "127.0.0.1", 53, NULL, -1);
    assert_int_equal(ask(l, &q), EXPLAIN_PERMITTED);
    assert_string_equal(value_at(l, "ALE_RESOURCE_ASSIGNMENT_V4", "IP_LOCAL_ADDRESS"), "127.0.0.1");
    assert_string_equal(value_at(l, "ALE_RESOURCE_ASSIGNMENT_V4", "FLAGS"), "IS_LOOPBACK");
}

static void MATCH_25_no_reason_without_a_reauthorization(void **state)
{
    struct lab *l = *state;
    struct explain_question q = question(l, EXPLAIN_CONNECT, 6, NULL, -1, NULL, -1);

    assert_int_equal(ask(l, &q), EXPLAIN_PERMITTED);
    assert_string_equal(value_at(l, "ALE_AUTH_CONNECT_V4", "REAUTHORIZE_REASON"), "0");
}

static void MATCH_29_an_ordinary_program_has_the_null_package(void **state)
{
    struct lab *l = *state;
    struct explain_question q = question(l, EXPLAIN_CONNECT, 6, "10.0.0.1", 50000, "10.0.0.2", 80);

    assert_int_equal(ask(l, &q), EXPLAIN_PERMITTED);
    assert_string_equal(value_at(l, "ALE_AUTH_CONNECT_V4", "ALE_PACKAGE_ID"), "S-1-0-0");
}

/* MATCH-12: what an initial authorization does not know. */
static void arrival_fields_are_empty_at_connect(void **state)
{
    struct lab *l = *state;
    struct explain_question q = question(l, EXPLAIN_CONNECT, 6, "10.0.0.1", 50000, "10.0.0.2", 80);

    assert_int_equal(ask(l, &q), EXPLAIN_PERMITTED);
    assert_string_equal(value_at(l, "ALE_AUTH_CONNECT_V4", "IP_ARRIVAL_INTERFACE"), "empty");
    assert_string_equal(value_at(l, "ALE_AUTH_CONNECT_V4", "ARRIVAL_INTERFACE_TYPE"), "empty");
    assert_string_not_equal(value_at(l, "ALE_AUTH_CONNECT_V4", "IP_NEXTHOP_INTERFACE"), "empty");
    q.op = EXPLAIN_ACCEPT;
    assert_int_equal(ask(l, &q), EXPLAIN_PERMITTED);
    assert_string_equal(value_at(l, "ALE_AUTH_RECV_ACCEPT_V4", "NEXTHOP_INTERFACE_TYPE"), "empty");
    assert_string_not_equal(value_at(l, "ALE_AUTH_RECV_ACCEPT_V4", "IP_ARRIVAL_INTERFACE"), "empty");
}

/* A filter that only an impossible world could meet changes nothing. */
static void impossible_worlds_are_not_invented(void **state)
{
    struct lab *l = *state;
    struct explain_question q = question(l, EXPLAIN_CONNECT, 6, NULL, -1, "10.0.0.2", 80);

    q.assume = EXPLAIN_ASSUME_NONE;
    add_filter(l, "ALE_AUTH_CONNECT_V4", "IP_LOCAL_ADDRESS", FWP_MATCH_EQUAL, "127.0.0.1", FWP_ACTION_BLOCK,
               9);
    add_filter(l, "ALE_AUTH_CONNECT_V4", "IP_LOCAL_ADDRESS", FWP_MATCH_EQUAL, "224.0.0.1", FWP_ACTION_BLOCK,
               8);
    add_filter(l, "ALE_AUTH_CONNECT_V4", "FLAGS", FWP_MATCH_FLAGS_ALL_SET, "IS_REAUTHORIZE", FWP_ACTION_BLOCK,
               7);
    add_filter(l, "ALE_AUTH_CONNECT_V4", "ALE_REMOTE_USER_ID", FWP_MATCH_EQUAL, "D:(A;;CC;;;WD)",
               FWP_ACTION_BLOCK, 6);
    add_filter(l, "OUTBOUND_TRANSPORT_V4", "FLAGS", FWP_MATCH_FLAGS_ALL_SET, "IS_WILDCARD_BIND",
               FWP_ACTION_BLOCK, 5);
    assert_int_equal(ask(l, &q), EXPLAIN_PERMITTED);
    /* but one's own address, unknown, may be the remote one: loopback */
    add_filter(l, "ALE_AUTH_CONNECT_V4", "IP_LOCAL_ADDRESS", FWP_MATCH_EQUAL, "10.0.0.2", FWP_ACTION_BLOCK,
               4);
    assert_int_equal(ask(l, &q), EXPLAIN_DEPENDS);
    add_filter(l, "ALE_AUTH_CONNECT_V4", "FLAGS", FWP_MATCH_FLAGS_ALL_SET, "IS_LOOPBACK", FWP_ACTION_PERMIT,
               99);
    assert_int_equal(ask(l, &q), EXPLAIN_PERMITTED);
}

/* Package and token are one thing: who is in the package holds its token, who is not has S-1-0-0. */
static void package_follows_from_the_token(void **state)
{
    struct lab *l = *state;
    struct explain_question q = question(l, EXPLAIN_CONNECT, 6, "10.0.0.1", 50000, "10.0.0.2", 80);
    struct explain_setting set = {.field = "ALE_PACKAGE_ID", .text = "S-1-0-0"};

    q.assume = EXPLAIN_ASSUME_NONE;
    add_filter(l, "ALE_AUTH_CONNECT_V4", "ALE_PACKAGE_ID", FWP_MATCH_NOT_EQUAL, "S-1-0-0", FWP_ACTION_PERMIT,
               9);
    add_filter(l, "ALE_AUTH_CONNECT_V4", "ALE_USER_ID", FWP_MATCH_EQUAL, "D:(A;;CC;;;WD)(A;;CC;;;AC)",
               FWP_ACTION_PERMIT, 8);
    add_filter(l, "ALE_AUTH_CONNECT_V4", NULL, 0, NULL, FWP_ACTION_BLOCK, 1);
    assert_int_equal(ask(l, &q), EXPLAIN_PERMITTED); /* everybody is in one of the two */
    add_filter(l, "ALE_AUTH_CONNECT_V4", "ALE_PACKAGE_ID", FWP_MATCH_EQUAL, "S-1-15-2-1-2-3",
               FWP_ACTION_BLOCK, 10);
    assert_int_equal(ask(l, &q), EXPLAIN_DEPENDS);
    assert_int_equal(l->answer.depend_count, 1);
    assert_string_equal(l->p.vars[l->answer.depends[0]].name, "USER");
    q.settings = &set;
    q.setting_count = 1;
    assert_int_equal(ask(l, &q), EXPLAIN_PERMITTED);
    set.text = "S-1-15-2-1-2-3";
    assert_int_equal(ask(l, &q), EXPLAIN_BLOCKED);
}

/* An interface's type is part of its LUID. */
static void interface_fields_agree(void **state)
{
    struct lab *l = *state;
    struct explain_question q = question(l, EXPLAIN_ACCEPT, 6, "10.0.0.1", 80, "10.0.0.2", 50000);
    struct explain_setting set = {.field = "IP_ARRIVAL_INTERFACE", .text = "19985273102270464"}; /* type 71 */

    q.assume = EXPLAIN_ASSUME_NONE;
    add_filter(l, "ALE_AUTH_RECV_ACCEPT_V4", "ARRIVAL_INTERFACE_TYPE", FWP_MATCH_EQUAL, "tunnel",
               FWP_ACTION_BLOCK, 9);
    assert_int_equal(ask(l, &q), EXPLAIN_DEPENDS);
    q.settings = &set;
    q.setting_count = 1;
    assert_int_equal(ask(l, &q), EXPLAIN_PERMITTED);
    assert_string_equal(value_at(l, "ALE_AUTH_RECV_ACCEPT_V4", "ARRIVAL_INTERFACE_TYPE"), "71");
}

/* One thing asked of by several layers is one thing: blocked at one layer in one profile, at another in all
 * others. */
static void things_are_shared_between_layers(void **state)
{
    struct lab *l = *state;
    struct explain_question q = question(l, EXPLAIN_CONNECT, 6, "10.0.0.1", -1, "10.0.0.2", 80);

    q.assume = EXPLAIN_ASSUME_NONE;
    add_filter(l, "ALE_AUTH_CONNECT_V4", "IP_LOCAL_PORT", FWP_MATCH_LESS, "1024", FWP_ACTION_BLOCK, 9);
    add_filter(l, "OUTBOUND_TRANSPORT_V4", "IP_LOCAL_PORT", FWP_MATCH_GREATER_OR_EQUAL, "1024",
               FWP_ACTION_BLOCK, 9);
    assert_int_equal(ask(l, &q), EXPLAIN_BLOCKED);
}

/* What was given and cannot be. */
static void contradictions_are_said(void **state)
{
    struct lab *l = *state;
    struct explain_question q = question(l, EXPLAIN_CONNECT, 6, "10.0.0.1", -1, "127.0.0.1", 80);

    assert_int_equal(ask(l, &q), EXPLAIN_CONTRADICTION);
}

static void notes_say_what_was_taken(void **state)
{
    struct lab *l = *state;
    struct explain_question q = question(l, EXPLAIN_CONNECT, 6, NULL, -1, "10.0.0.2", 80);
    bool found = false;

    assert_int_equal(ask(l, &q), EXPLAIN_PERMITTED);
    for (uint32_t i = 0; i < l->notes.count; i++)
        found = found || strstr(l->notes.lines[i], "IS_REAUTHORIZE") != NULL;
    assert_true(found);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(layers_come_in_the_documented_order),
        TEST(udp_does_not_listen),
        TEST(MATCH_19_icmp_type_and_code_stand_in_the_port_fields),
        TEST(MATCH_20_direction_of_the_connection_and_of_the_packet),
        TEST(MATCH_21_loopback_of_ordinary_programs),
        TEST(MATCH_24_a_bind_without_address_indicates_none),
        TEST(MATCH_25_no_reason_without_a_reauthorization),
        TEST(MATCH_29_an_ordinary_program_has_the_null_package),
        TEST(arrival_fields_are_empty_at_connect),
        TEST(impossible_worlds_are_not_invented),
        TEST(package_follows_from_the_token),
        TEST(interface_fields_agree),
        TEST(things_are_shared_between_layers),
        TEST(contradictions_are_said),
        TEST(notes_say_what_was_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
