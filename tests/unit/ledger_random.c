/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger beside a naive one: a list of everything that was ever opened, searched from its end. Random
 * opens, closes, uses and settlements of three parties; every return value, every finding and every number
 * must agree.
 *
 * The ledger forgets what was closed long ago, the naive one never: where they differ so (the ledger says
 * UNKNOWN, the list knows of a close), at least as many others must have been closed in between as a ring has
 * places.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ledger/ledger.h"

#define RING    64 /* places of a ring: src/ledger/inside.h */
#define PARTIES 3
#define STEPS   6000
#define SITE(n) ((const void *)(uintptr_t)(n))

struct item {
    enum ledger_kind kind;
    uint64_t key, size;
    int party;
    const void *opened, *closed;
    bool open;
    uint64_t burial; /* how many were closed when this was, itself included */
};

struct lab {
    struct ledger *ledger;
    struct ledger_party *party[PARTIES];
    struct rt_context context[PARTIES];
    struct item items[STEPS];
    size_t count;
    uint64_t burials, opened[PARTIES][LEDGER_KINDS], closed[PARTIES][LEDGER_KINDS];
    struct ledger_finding found[STEPS]; /* since the step began */
    size_t found_count;
    uint64_t seed;
};

static const enum ledger_kind kinds[] = {LEDGER_NBL, LEDGER_NBL_CLONE, LEDGER_NBL_REFERENCE, LEDGER_INJECTION,
                                         LEDGER_LOCK};
static const char *const names[PARTIES] = {"a", "b", "c"};

static uint64_t draw(struct lab *l, uint64_t n)
{
    l->seed = l->seed * 6364136223846793005u + 1442695040888963407u;
    return (l->seed >> 33) % n;
}

static void keep(void *ctx, const struct ledger_finding *f)
{
    struct lab *l = ctx;

    l->found[l->found_count++] = *f;
}

/* The newest that is (or is not) open; of this party, or of any (-1). */
static struct item *newest(struct lab *l, enum ledger_kind k, uint64_t key, int party, bool open)
{
    struct item *best = NULL;

    for (size_t i = 0; i < l->count; i++) {
        struct item *it = &l->items[i];

        if (it->kind == k && it->key == key && it->open == open && (party < 0 || it->party == party) &&
            (best == NULL || open || it->burial > best->burial))
            best = it;
    }
    return best;
}

static void bury(struct lab *l, struct item *it, const void *site)
{
    it->open = false;
    it->closed = site;
    it->burial = ++l->burials;
    l->closed[it->party][it->kind]++;
}

static void same_item(struct lab *l, const struct ledger_finding *f, const struct item *it)
{
    assert_int_equal(f->kind, it->kind);
    assert_int_equal(f->number, it - l->items + 1);
    assert_int_equal(f->key, it->key);
    assert_int_equal(f->size, it->size);
    assert_ptr_equal(f->opened, it->opened);
}

static bool thing(enum ledger_kind k)
{
    return k == LEDGER_NBL || k == LEDGER_NBL_CLONE;
}

/* What was not open was closed or used: one finding, and which. */
static void check_missing(struct lab *l, enum ledger_kind k, uint64_t key, int party, const void *site,
                          bool closes)
{
    struct item *dead = newest(l, k, key, -1, false), *other = NULL;
    const struct ledger_finding *f = &l->found[0];

    assert_int_equal(l->found_count, 1);
    assert_ptr_equal(f->used, site);
    assert_string_equal(f->driver, names[party]);
    if (f->fault == (closes ? LEDGER_TWICE : LEDGER_AFTER)) {
        assert_non_null(dead);
        same_item(l, f, dead);
        assert_ptr_equal(f->closed, dead->closed);
        return;
    }
    assert_true(dead == NULL || l->burials - dead->burial >= RING - 1);
    if (closes && thing(k))
        other = newest(l, k == LEDGER_NBL ? LEDGER_NBL_CLONE : LEDGER_NBL, key, -1, true);
    assert_int_equal(f->fault, other != NULL ? LEDGER_WRONG : LEDGER_UNKNOWN);
    if (other != NULL) {
        same_item(l, f, other);
        assert_string_equal(f->text, ledger_kind_name(k));
    }
}

static void step_open(struct lab *l, enum ledger_kind k, uint64_t key, int party, const void *site)
{
    struct item *it = &l->items[l->count++];

    *it = (struct item){
        .kind = k, .key = key, .size = draw(l, 100), .party = party, .opened = site, .open = true};
    l->opened[party][k]++;
    if (draw(l, 2))
        ledger_open(k, key, it->size, NULL, site);
    else
        ledger_open_for(l->party[party], k, key, it->size, NULL, site);
    assert_int_equal(l->found_count, 0);
}

static void step_close(struct lab *l, enum ledger_kind k, uint64_t key, int party, const void *site)
{
    struct item *it = newest(l, k, key, party, true);
    bool ours = it != NULL;

    if (it == NULL)
        it = newest(l, k, key, -1, true);
    assert_int_equal(ledger_close(k, key, site), it != NULL);
    if (it == NULL) {
        check_missing(l, k, key, party, site, true);
        return;
    }
    bury(l, it, site);
    assert_int_equal(l->found_count, ours ? 0 : 1);
    if (!ours) {
        assert_int_equal(l->found[0].fault, LEDGER_FOREIGN);
        same_item(l, &l->found[0], it);
        assert_ptr_equal(l->found[0].closed, site);
        assert_string_equal(l->found[0].driver, names[it->party]);
        assert_string_equal(l->found[0].text, names[party]);
    }
}

static void step_close_for(struct lab *l, enum ledger_kind k, uint64_t key, int party)
{
    struct item *it = newest(l, k, key, party, true);

    if (it == NULL)
        it = newest(l, k, key, -1, true);
    assert_int_equal(ledger_close_for(l->party[party], k, key), it != NULL);
    assert_int_equal(l->found_count, 0);
    if (it != NULL)
        bury(l, it, NULL);
}

static void step_use(struct lab *l, enum ledger_kind k, uint64_t key, int party, const void *site)
{
    bool open = newest(l, k, key, -1, true) != NULL;

    assert_int_equal(ledger_is_open(l->ledger, k, key), open);
    assert_int_equal(ledger_use(k, key, site), open);
    if (!open)
        check_missing(l, k, key, party, site, false);
    else
        assert_int_equal(l->found_count, 0);
}

static void step_list(struct lab *l, int party, bool settle)
{
    size_t at = 0;

    if (settle)
        ledger_settle(l->party[party]);
    else
        ledger_each(l->ledger, party < 0 ? NULL : l->party[party], keep, l);
    for (size_t i = 0; i < l->count; i++) {
        struct item *it = &l->items[i];

        if (!it->open || (party >= 0 && it->party != party))
            continue;
        assert_true(at < l->found_count);
        assert_int_equal(l->found[at].fault, LEDGER_LEFT);
        assert_string_equal(l->found[at].driver, names[it->party]);
        same_item(l, &l->found[at++], it);
        if (settle)
            bury(l, it, NULL);
    }
    assert_int_equal(at, l->found_count);
}

static void run(uint64_t seed)
{
    static struct lab l;
    struct ledger_config config = {.mode = LEDGER_FULL, .found = keep, .ctx = &l};
    struct ledger_counts counts;
    uint64_t keys, opened = 0, closed = 0;

    memset(&l, 0, sizeof(l));
    l.seed = seed;
    keys = 1 + draw(&l, seed % 2 ? 10 : 2000);
    assert_int_equal(ledger_create(&config, &l.ledger), 0);
    for (int i = 0; i < PARTIES; i++) {
        l.party[i] = ledger_party_add(l.ledger, names[i]);
        l.context[i].party = l.party[i];
    }
    for (uint64_t step = 1; step <= STEPS; step++) {
        enum ledger_kind k = kinds[draw(&l, sizeof(kinds) / sizeof(kinds[0]))];
        uint64_t which = draw(&l, keys), what = draw(&l, 1000);
        uint64_t key = 64 * (which / 2) | which % 2 << 40; /* pairs with one lower half: of one bucket */
        int party = (int)draw(&l, PARTIES);

        l.found_count = 0;
        rt_set_current(&l.context[party]);
        if (what < 500)
            step_open(&l, k, key, party, SITE(step));
        else if (what < 850)
            step_close(&l, k, key, party, SITE(step));
        else if (what < 900)
            step_close_for(&l, k, key, party);
        else if (what < 995)
            step_use(&l, k, key, party, SITE(step));
        else
            step_list(&l, what == 995 ? -1 : party, what == 999 && draw(&l, 4) == 0);
    }
    rt_set_current(NULL);
    for (int i = 0; i < PARTIES; i++) {
        for (int k = 0; k < LEDGER_KINDS; k++) {
            assert_int_equal(ledger_open_count(l.party[i], k), l.opened[i][k] - l.closed[i][k]);
            opened += l.opened[i][k];
            closed += l.closed[i][k];
        }
    }
    ledger_counts(l.ledger, &counts);
    assert_int_equal(counts.opened, opened);
    assert_int_equal(counts.closed, closed);
    assert_int_equal(counts.open, opened - closed);
    ledger_destroy(l.ledger);
    rt_carried()->ledger = NULL; /* locks that were left */
}

static void as_the_naive_one(void **state)
{
    const char *cases = getenv("WEIR_CASES");
    uint64_t runs = cases == NULL ? 8 : strtoull(cases, NULL, 10) / 50000;

    (void)state;
    for (uint64_t seed = 0; seed < (runs < 8 ? 8 : runs); seed++)
        run(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_the_naive_one),
    };

    return cmocka_run_group_tests_name("ledger_random", tests, NULL, NULL);
}
