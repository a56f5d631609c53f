/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger without memory: what it could not write down is counted, and makes no false finding. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ledger/ledger.h"

#define SITE(n) ((const void *)(uintptr_t)(n))
#define LOTS    20000

/* ---- libweir's allocations come here (meson.build: wrapped) ----------------------------------------------
 */

static unsigned long allowed = (unsigned long)-1; /* so many succeed */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

static bool refused(void)
{
    if (allowed == (unsigned long)-1)
        return false;
    if (allowed == 0)
        return true;
    allowed--;
    return false;
}

void *__wrap_malloc(size_t size)
{
    return refused() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return refused() ? NULL : __real_calloc(count, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return refused() ? NULL : __real_aligned_alloc(alignment, size);
}

static void memory(bool there)
{
    allowed = there ? (unsigned long)-1 : 0;
}

/* ---- the tests ----------------------------------------------------------------------------------------- */

struct lab {
    struct ledger *ledger;
    struct rt_context context;
    uint64_t last, findings[LEDGER_FAULTS];
    bool ordered;
};

static void keep(void *ctx, const struct ledger_finding *f)
{
    struct lab *l = ctx;

    l->findings[f->fault]++;
    l->ordered = l->ordered && f->number > l->last;
    l->last = f->number;
}

static void setup(struct lab *l)
{
    struct ledger_config config = {.mode = LEDGER_FULL, .found = keep, .ctx = l};

    memset(l, 0, sizeof(*l));
    l->ordered = true;
    assert_int_equal(ledger_create(&config, &l->ledger), 0);
    l->context.party = ledger_party_add(l->ledger, "driver");
    assert_non_null(l->context.party);
    rt_set_current(&l->context);
}

static void teardown(struct lab *l)
{
    rt_set_current(NULL);
    ledger_destroy(l->ledger);
}

static void making_one_fails_whole(void **state)
{
    struct ledger_config config = {.mode = LEDGER_FULL};
    unsigned long n;

    (void)state;
    for (n = 0;; n++) {
        struct ledger *l = (struct ledger *)1;
        int rc;

        allowed = n;
        rc = ledger_create(&config, &l);
        memory(true);
        if (rc == 0) {
            for (unsigned long m = 0; m < 2; m++) {
                allowed = m;
                assert_null(ledger_party_add(l, "driver"));
                memory(true);
            }
            ledger_destroy(l);
            break;
        }
        assert_int_equal(rc, -ENOMEM);
        assert_null(l);
    }
    assert_true(n > 2);
}

static void what_could_not_be_written_is_counted(void **state)
{
    struct ledger_counts counts;
    struct lab l;

    (void)state;
    setup(&l);
    ledger_open(LEDGER_POOL, 1, 0, NULL, SITE(1));
    memory(false);
    for (uint64_t i = 0; i < LOTS; i++)
        ledger_open(LEDGER_MDL, i, 0, NULL, SITE(2));
    ledger_counts(l.ledger, &counts);
    assert_int_equal(counts.opened, LOTS + 1);
    assert_in_range(counts.lost, LOTS - 64, LOTS); /* a block had room for some */
    for (uint64_t i = 0; i < LOTS; i++)
        assert_true(ledger_use(LEDGER_MDL, i, SITE(3)));
    for (uint64_t i = 0; i < LOTS; i++)
        assert_true(ledger_close(LEDGER_MDL, i, SITE(3)));
    assert_int_equal(ledger_open_count(l.context.party, LEDGER_MDL), 0);
    memory(true);
    for (int f = 0; f < LEDGER_FAULTS; f++)
        assert_int_equal(l.findings[f], 0);
    assert_false(ledger_close(LEDGER_MDL, LOTS + 1, SITE(4))); /* from now on it knows again */
    assert_int_equal(l.findings[LEDGER_UNKNOWN], 1);
    assert_int_equal(ledger_settle(l.context.party), 1);
    teardown(&l);
}

static void buckets_that_cannot_grow_still_hold_all(void **state)
{
    struct lab l;

    (void)state;
    setup(&l);
    for (uint64_t i = 0; i < LOTS; i++) /* entries are there now, more than buckets */
        ledger_open(LEDGER_POOL, i, 0, NULL, SITE(1));
    for (uint64_t i = 0; i < LOTS; i++)
        assert_true(ledger_close(LEDGER_POOL, i, SITE(2)));
    teardown(&l);
    setup(&l);
    for (uint64_t i = 0; i < LOTS; i++) {
        allowed = i % 2 ? 0 : (unsigned long)-1; /* growing is refused, or a block; both come back */
        ledger_open(LEDGER_POOL, i, 0, NULL, SITE(1));
    }
    memory(true);
    for (uint64_t i = 0; i < LOTS; i++)
        assert_true(ledger_close(LEDGER_POOL, i, SITE(2)));
    assert_int_equal(l.findings[LEDGER_UNKNOWN], 0);
    teardown(&l);
}

static void what_is_left_is_told_in_order_without_memory(void **state)
{
    struct lab l;

    (void)state;
    setup(&l);
    for (uint64_t i = 0; i < 1000; i++)
        ledger_open(LEDGER_POOL, i * 7919 % 1000, 0, NULL, SITE(1));
    memory(false);
    assert_int_equal(ledger_settle(l.context.party), 1000);
    memory(true);
    assert_int_equal(l.findings[LEDGER_LEFT], 1000);
    assert_true(l.ordered);
    assert_int_equal(l.last, 1000);
    teardown(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(making_one_fails_whole),
        cmocka_unit_test(what_could_not_be_written_is_counted),
        cmocka_unit_test(buckets_that_cannot_grow_still_hold_all),
        cmocka_unit_test(what_is_left_is_told_in_order_without_memory),
    };

    return cmocka_run_group_tests_name("ledger_short", tests, NULL, NULL);
}
