/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bfe: random calls against a model. Two static sessions and a dynamic one add and delete sublayers and
 * filters, in and out of transactions that are committed, aborted or ended with their session. The model
 * knows what must be there and what each call must say; after every commit the engine must run exactly the
 * model's filters.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "bfe_lab.h"

#define SLOTS    24 /* of each kind */
#define SESSIONS 3  /* the last one is dynamic */
#define STEPS    30000

struct thing {
    bool there;
    bool dynamic;
    UINT64 id;    /* of a filter */
    int sublayer; /* of a filter, -1: universal */
};

struct model {
    struct thing sublayers[SLOTS], filters[SLOTS];
};

struct world {
    struct bfe_lab *l;
    struct bfe_session *sessions[SESSIONS];
    int writer; /* which session has a transaction, -1: none */
    struct model now, before;
    UINT64 random;
};

static unsigned pick(struct world *w, unsigned n)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return (unsigned)(w->random >> 33) % n;
}

static bool is_dynamic(int session)
{
    return session == SESSIONS - 1;
}

static int users_of(const struct model *m, int sublayer)
{
    int n = 0;

    for (int i = 0; i < SLOTS; i++)
        n += m->filters[i].there && m->filters[i].sublayer == sublayer;
    return n;
}

static void add_sublayer(struct world *w, int session, int slot)
{
    GUID key = bfe_lab_guid(1000 + (UINT32)slot);
    FWPM_SUBLAYER0 u = bfe_lab_sublayer(&key, (UINT16)pick(w, 100));
    NTSTATUS expected = w->now.sublayers[slot].there ? STATUS_FWP_ALREADY_EXISTS : STATUS_SUCCESS;

    assert_int_equal(bfe_sublayer_add(w->sessions[session], &u, NULL, 0), expected);
    if (expected == STATUS_SUCCESS)
        w->now.sublayers[slot] = (struct thing){.there = true, .dynamic = is_dynamic(session)};
}

static void delete_sublayer(struct world *w, int session, int slot)
{
    GUID key = bfe_lab_guid(1000 + (UINT32)slot);
    NTSTATUS expected = !w->now.sublayers[slot].there ? STATUS_FWP_SUBLAYER_NOT_FOUND
                        : users_of(&w->now, slot) > 0 ? STATUS_FWP_IN_USE
                                                      : STATUS_SUCCESS;

    assert_int_equal(bfe_sublayer_delete(w->sessions[session], &key), expected);
    if (expected == STATUS_SUCCESS)
        w->now.sublayers[slot].there = false;
}

static void add_filter(struct world *w, int session, int slot)
{
    int sublayer = (int)pick(w, SLOTS + 1) - 1;
    FWPM_FILTER0 f = bfe_lab_filter(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, FWP_ACTION_BLOCK);
    struct thing *t = &w->now.filters[slot];
    NTSTATUS expected = STATUS_SUCCESS;
    UINT64 id = 0;

    f.filterKey = bfe_lab_guid(2000 + (UINT32)slot);
    if (sublayer >= 0) {
        f.subLayerKey = bfe_lab_guid(1000 + (UINT32)sublayer);
        if (!w->now.sublayers[sublayer].there)
            expected = STATUS_FWP_SUBLAYER_NOT_FOUND;
        else if (w->now.sublayers[sublayer].dynamic && !is_dynamic(session))
            expected = STATUS_FWP_LIFETIME_MISMATCH;
    }
    if (expected == STATUS_SUCCESS && t->there)
        expected = STATUS_FWP_ALREADY_EXISTS;
    assert_int_equal(bfe_filter_add(w->sessions[session], &f, NULL, 0, &id), expected);
    if (expected == STATUS_SUCCESS)
        *t = (struct thing){.there = true, .dynamic = is_dynamic(session), .id = id, .sublayer = sublayer};
}

static void delete_filter(struct world *w, int session, int slot)
{
    GUID key = bfe_lab_guid(2000 + (UINT32)slot);
    struct thing *t = &w->now.filters[slot];
    bool by_key = pick(w, 2) == 0;

    assert_int_equal(bfe_filter_delete(w->sessions[session], by_key ? &key : NULL, t->id),
                     t->there ? STATUS_SUCCESS : STATUS_FWP_FILTER_NOT_FOUND);
    t->there = false;
}

static void close_and_reopen(struct world *w, int session)
{
    bfe_session_close(w->sessions[session]);
    if (w->writer == session) {
        w->now = w->before;
        w->writer = -1;
    }
    for (int i = 0; i < SLOTS && is_dynamic(session); i++) {
        w->now.sublayers[i].there &= !w->now.sublayers[i].dynamic;
        w->now.filters[i].there &= !w->now.filters[i].dynamic;
    }
    w->sessions[session] =
        bfe_lab_session(w->l, BFE_LAB_KERNEL, is_dynamic(session) ? FWPM_SESSION_FLAG_DYNAMIC : 0, 0);
}

static int compare_ids(const void *a, const void *b)
{
    UINT64 x = *(const UINT64 *)a, y = *(const UINT64 *)b;

    return x < y ? -1 : x > y;
}

/* What the engine runs is what has been committed. */
static void check_engine(struct world *w)
{
    const struct model *m = w->writer < 0 ? &w->now : &w->before;
    const struct engine_filter *const *running;
    UINT64 have[SLOTS + 1], want[SLOTS];
    size_t count, wanted = 0;

    count = engine_snapshot_filters(engine_pin(w->l->reader),
                                    engine_layer_by_key(&FWPM_LAYER_ALE_AUTH_CONNECT_V4)->id, &running);
    assert_in_range(count, 0, SLOTS);
    for (size_t i = 0; i < count; i++)
        have[i] = engine_filter_fwps(running[i])->filterId;
    engine_unpin(w->l->reader);
    for (int i = 0; i < SLOTS; i++) {
        if (m->filters[i].there)
            want[wanted++] = m->filters[i].id;
    }
    assert_int_equal(count, wanted);
    qsort(have, count, sizeof(have[0]), compare_ids);
    qsort(want, count, sizeof(want[0]), compare_ids);
    assert_memory_equal(have, want, count * sizeof(have[0]));
}

/* What the writer's session, or anybody's when there is none, can see. */
static void check_objects(struct world *w)
{
    struct bfe_session *s = w->sessions[w->writer < 0 ? 0 : w->writer];

    for (int i = 0; i < SLOTS; i++) {
        GUID key = bfe_lab_guid(1000 + (UINT32)i);
        FWPM_SUBLAYER0 *u = NULL;
        NTSTATUS status = bfe_sublayer_get(s, &key, &u);

        assert_int_equal(status, w->now.sublayers[i].there ? STATUS_SUCCESS : STATUS_FWP_SUBLAYER_NOT_FOUND);
        bfe_free(u);
        if (w->now.filters[i].there)
            assert_true(bfe_lab_has(s, w->now.filters[i].id));
    }
}

static void random_calls_agree_with_the_model(void **state)
{
    struct world w = {.l = *state, .writer = -1, .random = 0x9e3779b97f4a7c15u};

    for (int i = 0; i < SESSIONS; i++)
        w.sessions[i] =
            bfe_lab_session(w.l, BFE_LAB_KERNEL, is_dynamic(i) ? FWPM_SESSION_FLAG_DYNAMIC : 0, 0);
    for (int step = 0; step < STEPS; step++) {
        int session = w.writer >= 0 ? w.writer : (int)pick(&w, SESSIONS);
        int slot = (int)pick(&w, SLOTS);

        switch (pick(&w, 24)) {
        case 0:
            if (w.writer >= 0)
                break;
            assert_int_equal(bfe_txn_begin(w.sessions[session], 0), STATUS_SUCCESS);
            w.writer = session;
            w.before = w.now;
            break;
        case 1:
            if (w.writer < 0)
                break;
            assert_int_equal(bfe_txn_commit(w.sessions[session]), STATUS_SUCCESS);
            w.writer = -1;
            break;
        case 2:
            if (w.writer < 0)
                break;
            assert_int_equal(bfe_txn_abort(w.sessions[session]), STATUS_SUCCESS);
            w.now = w.before;
            w.writer = -1;
            break;
        case 3:
            if (pick(&w, 8) == 0)
                close_and_reopen(&w, session);
            break;
        case 4:
        case 5:
        case 6:
        case 7:
            add_sublayer(&w, session, slot);
            break;
        case 8:
        case 9:
        case 10:
            delete_sublayer(&w, session, slot);
            break;
        case 11:
        case 12:
        case 13:
        case 14:
            delete_filter(&w, session, slot);
            break;
        default:
            add_filter(&w, session, slot);
            break;
        }
        check_engine(&w);
        if (step % 64 == 0)
            check_objects(&w);
    }
    for (int i = 0; i < SESSIONS; i++)
        bfe_session_close(w.sessions[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(random_calls_agree_with_the_model, bfe_lab_setup, bfe_lab_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
