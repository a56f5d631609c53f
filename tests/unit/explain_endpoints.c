/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections that real machines had: Windows permitted each, so none may come out blocked; and the answers
 * must be at least as sharp as an independent evaluation of the same files was (82 and 16 of 98; 8 and 26 of
 * 34).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "explain/explain.h"
#include "skip.h"

static void check(const char *file, enum explain_assume assume, uint32_t endpoints, uint32_t least_permitted,
                  uint32_t pairs)
{
    struct explain_question like = {.assume = assume};
    struct explain_state *s = NULL;
    struct explain_arena a = {0};
    struct explain_endpoints all;
    struct policy_error failure;
    const char *error = NULL;
    char path[4096];

    SHARED_OR_SKIP(file, path);
    if (explain_state_open(path, &s, &failure) != 0)
        fail_msg("%s", failure.text);
    if (explain_endpoints(s, &a, &like, &all, &error) != 0)
        fail_msg("%s", error != NULL ? error : "endpoints");
    assert_int_equal(all.count, endpoints);
    assert_int_equal(all.blocked, 0);
    assert_int_equal(all.undecided, 0);
    assert_true(all.permitted >= least_permitted);
    assert_int_equal(all.permitted + all.depends, endpoints);
    assert_int_equal(all.pairs, pairs);
    assert_int_equal(all.pairs_possible, pairs); /* both ends of a loopback connection, together */
    for (uint32_t i = 0; i < all.count; i++) {
        for (unsigned k = 0; k < all.results[i].side_count; k++)
            assert_int_equal(all.results[i].sides[k].verdict == EXPLAIN_DEPENDS,
                             all.results[i].sides[k].depends != NULL);
    }
    explain_arena_free(&a);
    explain_state_close(s);
}

static void server_minimal_plain(void **state)
{
    (void)state;
    check("data/states/server-minimal.wfpstate.xml", EXPLAIN_ASSUME_PLAIN, 98, 87, 4);
}

static void server_minimal_nothing_assumed(void **state)
{
    (void)state;
    check("data/states/server-minimal.wfpstate.xml", EXPLAIN_ASSUME_NONE, 98, 5, 4);
}

static void server_minimal_default(void **state)
{
    (void)state;
    check("data/states/server-minimal.wfpstate.xml", EXPLAIN_ASSUME_DEFAULT, 98, 5, 4);
}

static void developer_laptop_plain(void **state)
{
    (void)state;
    check("data/states/developer-laptop.wfpstate.xml", EXPLAIN_ASSUME_PLAIN, 34, 33, 2);
}

static void developer_laptop_nothing_assumed(void **state)
{
    (void)state;
    check("data/states/developer-laptop.wfpstate.xml", EXPLAIN_ASSUME_NONE, 34, 4, 2);
}

static void developer_laptop_default(void **state)
{
    (void)state;
    check("data/states/developer-laptop.wfpstate.xml", EXPLAIN_ASSUME_DEFAULT, 34, 11, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(server_minimal_plain),
        cmocka_unit_test(server_minimal_nothing_assumed),
        cmocka_unit_test(server_minimal_default),
        cmocka_unit_test(developer_laptop_plain),
        cmocka_unit_test(developer_laptop_nothing_assumed),
        cmocka_unit_test(developer_laptop_default),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
