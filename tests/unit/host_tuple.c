/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tuple that is used again: the new connection is a flow of its own, asked about like the first; what only
 * looks like one is not.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "host_lab.h"

static struct host_lab *lab_of(void **state)
{
    return *state;
}

static const char *syn(struct host_lab *l, bool out, uint32_t seq)
{
    if (out)
        return LAB_OUT(l, .protocol = WIRE_PROTOCOL_TCP, .tcp_flags = WIRE_TCP_SYN, .sport = 5000,
                       .dport = 80, .seq = seq);
    return LAB_IN(l, .protocol = WIRE_PROTOCOL_TCP, .tcp_flags = WIRE_TCP_SYN, .sport = 5000, .dport = 80,
                  .seq = seq);
}

/* This host connects from the same port again while the old connection's end was not seen. */
static void a_new_connect_is_authorized(void **state)
{
    struct host_lab *l = lab_of(state);
    struct host_lab_tcp t = {.local = 5000, .remote = 80};
    UINT64 first;

    host_lab_connect(l, &t);
    first = l->outcome.flow_id;
    assert_int_not_equal(first, 0);
    syn(l, true, t.out + 1000000);
    assert_non_null(strstr(l->seen, "AC"));
    assert_non_null(strstr(l->flows, "replaced"));
    assert_int_not_equal(l->outcome.flow_id, 0);
    assert_int_not_equal(l->outcome.flow_id, first);
}

/* The same SYN once more, late, is nothing new. */
static void a_late_syn_is_no_new_connection(void **state)
{
    struct host_lab *l = lab_of(state);
    struct host_lab_tcp t = {.local = 5000, .remote = 80};
    UINT64 first;

    host_lab_connect(l, &t);
    first = l->outcome.flow_id;
    syn(l, true, t.out - 1);
    assert_null(strstr(l->seen, "AC"));
    assert_string_equal(l->flows, "");
    assert_int_equal(l->outcome.flow_id, first);
}

/* A blocked connect on the tuple: the old flow is gone, the new one is refused. */
static void a_new_connect_can_be_refused(void **state)
{
    struct host_lab *l = lab_of(state);
    struct host_lab_tcp t = {.local = 5000, .remote = 80};

    host_lab_connect(l, &t);
    host_lab_rule(l, "block AC ip_remote_port=80");
    syn(l, true, t.out + 1000000);
    assert_int_equal(l->outcome.fate, HOST_BLOCKED);
    assert_non_null(strstr(l->flows, "replaced"));
}

/* The other end starts anew: refused while our connection stands. */
static void a_foreign_syn_does_not_end_a_connection(void **state)
{
    struct host_lab *l = lab_of(state);
    struct host_lab_tcp t = {.local = 80, .remote = 5000};
    UINT64 first;

    host_lab_accept(l, &t);
    first = l->outcome.flow_id;
    syn(l, false, t.in + 1000000);
    assert_int_equal(l->outcome.fate, HOST_STACK);
    assert_int_equal(l->outcome.flow_id, first);
    assert_string_equal(l->flows, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_connect_is_authorized, host_lab_setup, host_lab_teardown),
        cmocka_unit_test_setup_teardown(a_late_syn_is_no_new_connection, host_lab_setup, host_lab_teardown),
        cmocka_unit_test_setup_teardown(a_new_connect_can_be_refused, host_lab_setup, host_lab_teardown),
        cmocka_unit_test_setup_teardown(a_foreign_syn_does_not_end_a_connection, host_lab_setup,
                                        host_lab_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
