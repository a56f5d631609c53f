/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger: what is open, what is a finding, in which order, in both modes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ledger/ledger.h"

#define SITE(n) ((const void *)(uintptr_t)(0x1000 + (n)))
#define MOST    4096

struct lab {
    struct rt_clock *clock;
    struct ledger *ledger;
    struct ledger_party *party[2];
    struct rt_context context[2];
    struct ledger_finding found[MOST];
    char text[64]; /* of the last one: it need not outlive the call */
    size_t count;
};

static void keep(void *ctx, const struct ledger_finding *f)
{
    struct lab *l = ctx;

    assert_true(l->count < MOST);
    l->found[l->count++] = *f;
    snprintf(l->text, sizeof(l->text), "%s", f->text == NULL ? "" : f->text);
}

static void as_party(struct lab *l, int i)
{
    rt_set_current(i < 0 ? NULL : &l->context[i]);
}

static void setup(struct lab *l, enum ledger_mode mode)
{
    struct ledger_config config = {.mode = mode, .found = keep, .ctx = l};

    memset(l, 0, sizeof(*l));
    assert_int_equal(rt_clock_manual_create(1000, &l->clock), 0);
    config.clock = l->clock;
    assert_int_equal(ledger_create(&config, &l->ledger), 0);
    for (int i = 0; i < 2; i++) {
        char name[] = "driver-0";

        name[7] = (char)('0' + i);
        l->party[i] = ledger_party_add(l->ledger, name);
        assert_non_null(l->party[i]);
        memset(name, 'x', 8); /* it was copied */
        l->context[i].party = l->party[i];
    }
    as_party(l, 0);
}

static void teardown(struct lab *l)
{
    as_party(l, -1);
    ledger_destroy(l->ledger);
    rt_clock_manual_destroy(l->clock);
}

static void check(const struct lab *l, size_t i, enum ledger_fault fault, enum ledger_kind k, uint64_t number,
                  const void *opened, const void *closed, const void *used)
{
    const struct ledger_finding *f = &l->found[i];

    assert_true(i < l->count);
    assert_int_equal(f->fault, fault);
    assert_int_equal(f->kind, k);
    assert_int_equal(f->number, number);
    assert_ptr_equal(f->opened, opened);
    assert_ptr_equal(f->closed, closed);
    assert_ptr_equal(f->used, used);
}

static void what_is_opened_is_open_until_it_is_closed(void **state)
{
    static struct lab l;
    struct ledger_counts counts;

    (void)state;
    setup(&l, LEDGER_FULL);
    assert_ptr_equal(ledger_current(), l.party[0]);
    assert_false(ledger_is_open(l.ledger, LEDGER_POOL, 7));
    ledger_open(LEDGER_POOL, 7, 100, "Weir", SITE(1));
    assert_true(ledger_is_open(l.ledger, LEDGER_POOL, 7));
    assert_false(ledger_is_open(l.ledger, LEDGER_MDL, 7));
    assert_false(ledger_is_open(l.ledger, LEDGER_POOL, 8));
    assert_true(ledger_use(LEDGER_POOL, 7, SITE(2)));
    assert_int_equal(ledger_open_count(l.party[0], LEDGER_POOL), 1);
    assert_int_equal(ledger_open_count(l.party[1], LEDGER_POOL), 0);
    assert_true(ledger_close(LEDGER_POOL, 7, SITE(3)));
    assert_false(ledger_is_open(l.ledger, LEDGER_POOL, 7));
    assert_int_equal(ledger_open_count(l.party[0], LEDGER_POOL), 0);
    assert_int_equal(l.count, 0);
    assert_int_equal(ledger_settle(l.party[0]), 0);
    ledger_counts(l.ledger, &counts);
    assert_int_equal(counts.opened, 1);
    assert_int_equal(counts.closed, 1);
    assert_int_equal(counts.open, 0);
    assert_int_equal(counts.lost, 0);
    teardown(&l);
}

static void a_second_close_and_a_late_use_name_both_sites(void **state)
{
    static struct lab l;

    (void)state;
    setup(&l, LEDGER_FULL);
    ledger_open(LEDGER_NBL_CLONE, 1, 0, NULL, SITE(1));
    ledger_open(LEDGER_NBL_CLONE, 2, 60, "second", SITE(2));
    assert_true(ledger_close(LEDGER_NBL_CLONE, 2, SITE(3)));
    rt_clock_manual_advance(l.clock, 500);
    assert_false(ledger_close(LEDGER_NBL_CLONE, 2, SITE(4)));
    check(&l, 0, LEDGER_TWICE, LEDGER_NBL_CLONE, 2, SITE(2), SITE(3), SITE(4));
    assert_string_equal(l.found[0].driver, "driver-0");
    assert_string_equal(l.text, "second");
    assert_int_equal(l.found[0].size, 60);
    assert_int_equal(l.found[0].key, 2);
    assert_int_equal(l.found[0].time_ns, 1500);
    assert_false(ledger_use(LEDGER_NBL_CLONE, 2, SITE(5)));
    check(&l, 1, LEDGER_AFTER, LEDGER_NBL_CLONE, 2, SITE(2), SITE(3), SITE(5));
    assert_false(ledger_close(LEDGER_NBL_CLONE, 99, SITE(6)));
    check(&l, 2, LEDGER_UNKNOWN, LEDGER_NBL_CLONE, 0, NULL, NULL, SITE(6));
    assert_false(ledger_use(LEDGER_NBL_CLONE, 99, SITE(7)));
    check(&l, 3, LEDGER_UNKNOWN, LEDGER_NBL_CLONE, 0, NULL, NULL, SITE(7));
    /* The key comes back: the next close is of the new one, the one after it is told of the new one. */
    ledger_open(LEDGER_NBL_CLONE, 2, 0, NULL, SITE(8));
    assert_true(ledger_close(LEDGER_NBL_CLONE, 2, SITE(9)));
    assert_false(ledger_close(LEDGER_NBL_CLONE, 2, SITE(10)));
    check(&l, 4, LEDGER_TWICE, LEDGER_NBL_CLONE, 3, SITE(8), SITE(9), SITE(10));
    assert_true(ledger_close(LEDGER_NBL_CLONE, 1, SITE(11)));
    teardown(&l);
}

static void references_of_one_key_are_counted(void **state)
{
    static struct lab l;

    (void)state;
    setup(&l, LEDGER_FULL);
    for (int i = 1; i <= 3; i++)
        ledger_open(LEDGER_NBL_REFERENCE, 5, 0, NULL, SITE(i));
    assert_int_equal(ledger_open_count(l.party[0], LEDGER_NBL_REFERENCE), 3);
    assert_true(ledger_close(LEDGER_NBL_REFERENCE, 5, SITE(4)));
    assert_true(ledger_is_open(l.ledger, LEDGER_NBL_REFERENCE, 5));
    assert_int_equal(ledger_settle(l.party[0]), 2); /* they nest: the newest was closed */
    check(&l, 0, LEDGER_LEFT, LEDGER_NBL_REFERENCE, 1, SITE(1), NULL, NULL);
    check(&l, 1, LEDGER_LEFT, LEDGER_NBL_REFERENCE, 2, SITE(2), NULL, NULL);
    assert_false(ledger_is_open(l.ledger, LEDGER_NBL_REFERENCE, 5));
    teardown(&l);
}

static void others_obligations_are_foreign(void **state)
{
    static struct lab l;

    (void)state;
    setup(&l, LEDGER_FULL);
    ledger_open(LEDGER_NBL, 5, 0, NULL, SITE(1));
    as_party(&l, 1);
    ledger_open(LEDGER_NBL_REFERENCE, 5, 0, NULL, SITE(2));
    as_party(&l, 0);
    ledger_open(LEDGER_NBL_REFERENCE, 5, 0, NULL, SITE(3));
    as_party(&l, 1);
    assert_true(ledger_close(LEDGER_NBL_REFERENCE, 5, SITE(4))); /* its own, though another is newer */
    assert_int_equal(l.count, 0);
    assert_true(ledger_close(LEDGER_NBL, 5, SITE(5)));
    check(&l, 0, LEDGER_FOREIGN, LEDGER_NBL, 1, SITE(1), SITE(5), NULL);
    assert_string_equal(l.found[0].driver, "driver-0");
    assert_string_equal(l.text, "driver-1");
    assert_int_equal(ledger_open_count(l.party[0], LEDGER_NBL), 0);
    assert_int_equal(ledger_open_count(l.party[1], LEDGER_NBL), 0);
    assert_int_equal(ledger_settle(l.party[1]), 0);
    assert_int_equal(ledger_settle(l.party[0]), 1);
    teardown(&l);
}

static void the_wrong_function_is_named(void **state)
{
    static struct lab l;

    (void)state;
    setup(&l, LEDGER_FULL);
    ledger_open(LEDGER_NBL_CLONE, 5, 0, NULL, SITE(1));
    ledger_open(LEDGER_INJECTION, 5, 0, NULL, SITE(2));
    assert_false(ledger_close(LEDGER_NBL, 5, SITE(3)));
    check(&l, 0, LEDGER_WRONG, LEDGER_NBL_CLONE, 1, SITE(1), NULL, SITE(3));
    assert_string_equal(l.text, "NET_BUFFER_LIST");
    assert_true(ledger_is_open(l.ledger, LEDGER_NBL_CLONE, 5));
    /* A reference that was never taken is not a mix-up with the clone. */
    assert_false(ledger_close(LEDGER_NBL_REFERENCE, 5, SITE(4)));
    check(&l, 1, LEDGER_UNKNOWN, LEDGER_NBL_REFERENCE, 0, NULL, NULL, SITE(4));
    assert_true(ledger_close_for(l.party[1], LEDGER_INJECTION, 5));
    assert_false(ledger_close_for(l.party[1], LEDGER_INJECTION, 5)); /* no finding */
    assert_int_equal(l.count, 2);
    assert_false(ledger_use(LEDGER_INJECTION, 5, SITE(6)));
    check(&l, 2, LEDGER_AFTER, LEDGER_INJECTION, 2, SITE(2), NULL, SITE(6));
    teardown(&l);
}

static void what_is_left_is_told_oldest_first(void **state)
{
    static struct lab l;
    uint64_t expected[1000], left = 0;

    (void)state;
    setup(&l, LEDGER_FULL);
    for (uint64_t i = 0; i < 3000; i++) { /* a third each: closed, open, another's */
        if (i % 3 == 2)
            ledger_open_for(l.party[1], LEDGER_POOL, i * 64, i, NULL, SITE(i));
        else
            ledger_open(LEDGER_POOL, i * 64, i, NULL, SITE(i));
        rt_clock_manual_advance(l.clock, 1);
        if (i % 3 == 1)
            expected[left++] = i;
    }
    for (uint64_t i = 0; i < 3000; i += 3)
        assert_true(ledger_close(LEDGER_POOL, i * 64, SITE(i)));
    for (int pass = 0; pass < 2; pass++) {
        l.count = 0;
        if (pass == 0)
            ledger_each(l.ledger, l.party[0], keep, &l);
        else
            assert_int_equal(ledger_settle(l.party[0]), 1000);
        assert_int_equal(l.count, 1000);
        for (size_t i = 0; i < 1000; i++) {
            check(&l, i, LEDGER_LEFT, LEDGER_POOL, expected[i] + 1, SITE(expected[i]), NULL, NULL);
            assert_int_equal(l.found[i].key, expected[i] * 64);
            assert_int_equal(l.found[i].size, expected[i]);
            assert_int_equal(l.found[i].time_ns, 1000 + expected[i]);
        }
    }
    assert_int_equal(ledger_settle(l.party[0]), 0);
    l.count = 0;
    ledger_each(l.ledger, NULL, keep, &l);
    assert_int_equal(l.count, 1000);
    assert_string_equal(l.found[0].driver, "driver-1");
    teardown(&l);
}

static void nobody_owes_nothing(void **state)
{
    static struct lab l;
    struct rt_context nobody = {0};
    struct ledger_counts counts;

    (void)state;
    setup(&l, LEDGER_FULL);
    for (int i = 0; i < 2; i++) {
        rt_set_current(i == 0 ? NULL : &nobody);
        assert_null(ledger_current());
        ledger_open(LEDGER_POOL, 1, 1, NULL, SITE(1));
        assert_true(ledger_close(LEDGER_POOL, 2, SITE(2)));
        assert_true(ledger_use(LEDGER_POOL, 2, SITE(2)));
        assert_false(ledger_close_for(NULL, LEDGER_POOL, 2));
        ledger_report(LEDGER_NOTE, SITE(3), "nothing");
    }
    ledger_counts(l.ledger, &counts);
    assert_int_equal(counts.opened, 0);
    assert_int_equal(l.count, 0);
    teardown(&l);
}

static void other_findings_are_the_current_partys(void **state)
{
    static struct lab l;
    struct ledger_counts counts;
    char text[] = "KeBugCheckEx";

    (void)state;
    setup(&l, LEDGER_FULL);
    as_party(&l, 1);
    ledger_report(LEDGER_BUGCHECK, SITE(9), text);
    check(&l, 0, LEDGER_BUGCHECK, LEDGER_KINDS, 0, NULL, NULL, SITE(9));
    assert_string_equal(l.text, "KeBugCheckEx");
    assert_string_equal(l.found[0].driver, "driver-1");
    ledger_counts(l.ledger, &counts);
    assert_int_equal(counts.findings[LEDGER_BUGCHECK], 1);
    assert_int_equal(counts.findings[LEDGER_NOTE], 0);
    teardown(&l);
}

static void counting_keeps_numbers_only(void **state)
{
    static struct lab l;
    struct ledger_counts counts;

    (void)state;
    setup(&l, LEDGER_COUNT);
    for (uint64_t i = 0; i < 10; i++)
        ledger_open(LEDGER_POOL, i, 1, NULL, SITE(1));
    ledger_open(LEDGER_MDL, 1, 1, NULL, SITE(1));
    for (uint64_t i = 0; i < 4; i++)
        assert_true(ledger_close(LEDGER_POOL, 77, SITE(2)));
    assert_true(ledger_close_for(l.party[0], LEDGER_POOL, 78));
    assert_true(ledger_use(LEDGER_POOL, 79, SITE(2)));
    assert_false(ledger_is_open(l.ledger, LEDGER_POOL, 1));
    assert_int_equal(ledger_open_count(l.party[0], LEDGER_POOL), 5);
    ledger_counts(l.ledger, &counts);
    assert_int_equal(counts.opened, 11);
    assert_int_equal(counts.open, 6);
    assert_int_equal(l.count, 0);
    assert_int_equal(ledger_settle(l.party[0]), 6);
    assert_int_equal(l.count, 2);
    check(&l, 0, LEDGER_LEFT, LEDGER_MDL, 0, NULL, NULL, NULL);
    check(&l, 1, LEDGER_LEFT, LEDGER_POOL, 0, NULL, NULL, NULL);
    assert_int_equal(l.found[1].size, 5);
    assert_int_equal(ledger_settle(l.party[0]), 0);
    teardown(&l);
}

static void locks_are_counted_where_they_are_held(void **state)
{
    static struct lab l;

    (void)state;
    for (enum ledger_mode mode = LEDGER_FULL; mode <= LEDGER_COUNT; mode++) {
        setup(&l, mode);
        assert_int_equal(ledger_locks_held(), 0);
        ledger_open(LEDGER_LOCK, 1, 0, NULL, SITE(1));
        ledger_open(LEDGER_LOCK, 2, 0, NULL, SITE(2));
        assert_int_equal(ledger_locks_held(), 2);
        assert_true(ledger_close(LEDGER_LOCK, 1, SITE(3)));
        assert_int_equal(ledger_locks_held(), 1);
        if (mode == LEDGER_FULL) {
            assert_false(ledger_close(LEDGER_LOCK, 1, SITE(4)));
            assert_int_equal(ledger_locks_held(), 1);
        }
        assert_true(ledger_close(LEDGER_LOCK, 2, SITE(5)));
        assert_int_equal(ledger_locks_held(), 0);
        teardown(&l);
    }
}

static void a_lock_that_comes_and_goes_pushes_out_nobody(void **state)
{
    static struct lab l;

    (void)state;
    setup(&l, LEDGER_FULL);
    for (uint64_t key = 0; key < 1000; key++) { /* some are of the lock's shard */
        ledger_open(LEDGER_POOL, key, 0, NULL, SITE(1));
        assert_true(ledger_close(LEDGER_POOL, key, SITE(2)));
    }
    for (int i = 0; i < 100000; i++) {
        ledger_open(LEDGER_LOCK, 1, 0, NULL, SITE(3));
        assert_true(ledger_close(LEDGER_LOCK, 1, SITE(4)));
    }
    for (uint64_t key = 0; key < 1000; key++)
        assert_false(ledger_close(LEDGER_POOL, key, SITE(5)));
    for (size_t i = 0; i < 1000; i++)
        check(&l, i, LEDGER_TWICE, LEDGER_POOL, i + 1, SITE(1), SITE(2), SITE(5));
    teardown(&l);
}

static void every_kind_has_a_name(void **state)
{
    (void)state;
    for (int k = 0; k < LEDGER_KINDS; k++) {
        assert_non_null(ledger_kind_name(k));
        for (int other = 0; other < k; other++)
            assert_string_not_equal(ledger_kind_name(k), ledger_kind_name(other));
    }
    assert_non_null(ledger_kind_name(LEDGER_KINDS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_opened_is_open_until_it_is_closed),
        cmocka_unit_test(a_second_close_and_a_late_use_name_both_sites),
        cmocka_unit_test(references_of_one_key_are_counted),
        cmocka_unit_test(others_obligations_are_foreign),
        cmocka_unit_test(the_wrong_function_is_named),
        cmocka_unit_test(what_is_left_is_told_oldest_first),
        cmocka_unit_test(nobody_owes_nothing),
        cmocka_unit_test(other_findings_are_the_current_partys),
        cmocka_unit_test(counting_keeps_numbers_only),
        cmocka_unit_test(locks_are_counted_where_they_are_held),
        cmocka_unit_test(a_lock_that_comes_and_goes_pushes_out_nobody),
        cmocka_unit_test(every_kind_has_a_name),
    };

    return cmocka_run_group_tests_name("ledger_rules", tests, NULL, NULL);
}
