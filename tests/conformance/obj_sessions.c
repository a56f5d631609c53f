/* SPDX-License-Identifier: Apache-2.0 */
/* OBJ-01..11: sessions, transactions, the lock and its time limits. No test sleeps: the clock is the lab's.
 */
#include <stdarg.h>
#include <stddef.h>
#include <sched.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "bfe/events.h"
#include "bfe/subscribe.h"
#include "bfe_lab.h"

#define MS 1000000ull

static void OBJ_01_a_session_ends_its_transaction_first(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *s = bfe_lab_session(l, BFE_LAB_KERNEL, 0, 0);
    FWP_ACTION_TYPE action;
    UINT64 id;

    assert_int_equal(bfe_txn_begin(s, 0), STATUS_SUCCESS);
    id = bfe_lab_add_port(s, 80, FWP_ACTION_BLOCK);
    assert_true(bfe_lab_has(s, id));
    assert_int_equal(bfe_session_close(s), STATUS_SUCCESS);
    assert_false(bfe_lab_has(l->kernel, id)); /* and the lock is free: this did not wait */
    assert_true(bfe_lab_decider(l, 80, &action) == 0);
    assert_int_equal(action, FWP_ACTION_PERMIT);

    s = bfe_lab_session(l, BFE_LAB_KERNEL, 0, 0);
    assert_int_equal(bfe_txn_begin(s, FWPM_TXN_READ_ONLY), STATUS_SUCCESS);
    assert_int_equal(bfe_session_close(s), STATUS_SUCCESS);
    bfe_lab_add_port(l->kernel, 80, FWP_ACTION_BLOCK);

    assert_int_equal(bfe_txn_begin(NULL, 0), STATUS_FWP_NULL_POINTER);
    assert_int_equal(bfe_filter_add(NULL, NULL, NULL, 0, NULL), STATUS_FWP_NULL_POINTER);
}

static void OBJ_01_what_a_session_is_opened_with(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_caller caller = {.kernel = true};
    FWPM_SESSION0 d = {.flags = 0x40};
    struct bfe_session *s, *t;

    assert_int_equal(bfe_session_open(l->bfe, &caller, &d, &s), STATUS_FWP_INVALID_FLAGS);
    d = (FWPM_SESSION0){.sessionKey = bfe_lab_guid(1)};
    assert_int_equal(bfe_session_open(l->bfe, &caller, &d, &s), STATUS_SUCCESS);
    assert_int_equal(bfe_session_open(l->bfe, &caller, &d, &t), STATUS_FWP_ALREADY_EXISTS);
    bfe_session_close(s);
    assert_int_equal(bfe_session_open(l->bfe, &caller, &d, &t), STATUS_SUCCESS);
    bfe_session_close(t);
    assert_int_equal(bfe_session_open(l->bfe, &caller, NULL, &s), STATUS_SUCCESS);
    bfe_session_close(s);
    assert_int_equal(bfe_session_open(l->bfe, &caller, NULL, NULL), STATUS_FWP_NULL_POINTER);
}

/* One of each kind, each referring to the one before. */
static UINT64 add_family(struct bfe_session *s, UINT32 n)
{
    GUID keys[4] = {bfe_lab_guid(n), bfe_lab_guid(n + 1), bfe_lab_guid(n + 2), bfe_lab_guid(n + 3)};
    FWPM_PROVIDER0 p = bfe_lab_provider(&keys[0]);
    FWPM_PROVIDER_CONTEXT3 x = bfe_lab_context(&keys[1]);
    FWPM_SUBLAYER0 u = bfe_lab_sublayer(&keys[2], 7);
    FWPM_CALLOUT0 c = bfe_lab_callout(&keys[3], &FWPM_LAYER_ALE_AUTH_CONNECT_V4);
    FWPM_FILTER0 f = bfe_lab_filter(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, FWP_ACTION_CALLOUT_TERMINATING);

    x.providerKey = u.providerKey = c.providerKey = f.providerKey = &keys[0];
    f.subLayerKey = keys[2];
    f.action.calloutKey = keys[3];
    f.flags = FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT;
    f.providerContextKey = keys[1];
    assert_int_equal(bfe_provider_add(s, &p, NULL, 0), STATUS_SUCCESS);
    assert_int_equal(bfe_provider_context_add(s, &x, NULL, 0, NULL), STATUS_SUCCESS);
    assert_int_equal(bfe_sublayer_add(s, &u, NULL, 0), STATUS_SUCCESS);
    assert_int_equal(bfe_callout_add(s, &c, NULL, 0, NULL), STATUS_SUCCESS);
    return bfe_lab_add(s, &f);
}

/* How many of the family are there. */
static int count_family(struct bfe_session *s, UINT32 n)
{
    GUID keys[4] = {bfe_lab_guid(n), bfe_lab_guid(n + 1), bfe_lab_guid(n + 2), bfe_lab_guid(n + 3)};
    FWPM_PROVIDER_CONTEXT3 *x;
    FWPM_SUBLAYER0 *u;
    FWPM_PROVIDER0 *p;
    FWPM_CALLOUT0 *c;
    int count = 0;

    if (bfe_provider_get(s, &keys[0], &p) == STATUS_SUCCESS) {
        bfe_free(p);
        count++;
    }
    if (bfe_provider_context_get(s, &keys[1], 0, &x) == STATUS_SUCCESS) {
        bfe_free(x);
        count++;
    }
    if (bfe_sublayer_get(s, &keys[2], &u) == STATUS_SUCCESS) {
        bfe_free(u);
        count++;
    }
    if (bfe_callout_get(s, &keys[3], 0, &c) == STATUS_SUCCESS) {
        bfe_free(c);
        count++;
    }
    return count;
}

static UINT64 policy_version(struct bfe_lab *l)
{
    UINT64 version = engine_snapshot_version(engine_pin(l->reader));

    engine_unpin(l->reader);
    return version;
}

static void OBJ_02_a_dynamic_session_takes_its_objects_along(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *s = bfe_lab_session(l, BFE_LAB_KERNEL, FWPM_SESSION_FLAG_DYNAMIC, 0);
    FWP_ACTION_TYPE action;
    UINT64 id, other, version;

    id = add_family(s, 10);
    other = bfe_lab_add_port(s, 0, FWP_ACTION_PERMIT);
    assert_int_equal(count_family(l->kernel, 10), 4);
    assert_true(bfe_lab_decider(l, 80, &action) == id); /* the lighter sublayer's substitute block */
    version = policy_version(l);
    bfe_session_close(s);
    assert_int_equal(count_family(l->kernel, 10), 0);
    assert_false(bfe_lab_has(l->kernel, id));
    assert_false(bfe_lab_has(l->kernel, other));
    assert_true(bfe_lab_decider(l, 80, &action) == 0);
    assert_true(policy_version(l) == version + 1); /* all of it as one change */
}

static void OBJ_02_while_another_holds_the_lock(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *s = bfe_lab_session(l, BFE_LAB_KERNEL, FWPM_SESSION_FLAG_DYNAMIC, 0);
    UINT64 id = add_family(s, 10), theirs;

    /* The writer's view does not change under it, closing does not wait, and nobody after it sees them. */
    assert_int_equal(bfe_txn_begin(l->kernel, 0), STATUS_SUCCESS);
    assert_int_equal(bfe_session_close(s), STATUS_SUCCESS);
    assert_int_equal(count_family(l->kernel, 10), 4);
    assert_int_equal(bfe_filter_delete(l->kernel, NULL, id), STATUS_SUCCESS);
    theirs = bfe_lab_add_port(l->kernel, 80, FWP_ACTION_BLOCK);
    assert_int_equal(bfe_txn_commit(l->kernel), STATUS_SUCCESS);
    assert_int_equal(count_family(l->kernel, 10), 0);
    assert_false(bfe_lab_has(l->kernel, id));
    assert_true(bfe_lab_has(l->kernel, theirs));

    s = bfe_lab_session(l, BFE_LAB_KERNEL, FWPM_SESSION_FLAG_DYNAMIC, 0);
    id = add_family(s, 10);
    assert_int_equal(bfe_txn_begin(l->kernel, 0), STATUS_SUCCESS);
    assert_int_equal(bfe_filter_delete(l->kernel, NULL, id), STATUS_SUCCESS);
    bfe_session_close(s);
    assert_int_equal(bfe_txn_abort(l->kernel), STATUS_SUCCESS); /* puts it back, and then it goes */
    assert_false(bfe_lab_has(l->kernel, id));
    assert_int_equal(count_family(l->kernel, 10), 0);

    s = bfe_lab_session(l, BFE_LAB_KERNEL, FWPM_SESSION_FLAG_DYNAMIC, 0);
    id = bfe_lab_add_port(s, 80, FWP_ACTION_BLOCK); /* all that it owns */
    assert_int_equal(bfe_txn_begin(l->kernel, 0), STATUS_SUCCESS);
    assert_int_equal(bfe_filter_delete(l->kernel, NULL, id), STATUS_SUCCESS);
    bfe_session_close(s);
    assert_int_equal(bfe_txn_abort(l->kernel), STATUS_SUCCESS);
    assert_false(bfe_lab_has(l->kernel, id));
}

static void OBJ_02_with_a_transaction_open(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *s = bfe_lab_session(l, BFE_LAB_KERNEL, FWPM_SESSION_FLAG_DYNAMIC, 0);
    UINT64 kept = bfe_lab_add_port(s, 80, FWP_ACTION_BLOCK);

    assert_int_equal(bfe_txn_begin(s, 0), STATUS_SUCCESS);
    assert_int_equal(bfe_filter_delete(s, NULL, kept), STATUS_SUCCESS);
    add_family(s, 10);
    bfe_session_close(s);
    assert_int_equal(count_family(l->kernel, 10), 0);
    assert_false(bfe_lab_has(l->kernel, kept));
}

static void OBJ_03_closing_and_stopping(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *s = bfe_lab_session(l, BFE_LAB_KERNEL, 0, 0), *t;
    struct bfe_caller caller = {.kernel = true};
    FWPM_FILTER0 *f = NULL;
    FWP_VALUE0 *option;

    assert_int_equal(bfe_session_close(NULL), STATUS_SUCCESS);
    assert_int_equal(bfe_txn_begin(s, 0), STATUS_SUCCESS);
    bfe_lab_add_port(s, 80, FWP_ACTION_BLOCK);
    assert_int_equal(bfe_stop(l->bfe), 0);
    assert_int_equal(bfe_filter_get(s, NULL, 1, &f), STATUS_FWP_SESSION_ABORTED);
    assert_int_equal(bfe_txn_commit(s), STATUS_FWP_SESSION_ABORTED);
    assert_int_equal(bfe_txn_begin(s, 0), STATUS_FWP_SESSION_ABORTED);
    assert_int_equal(bfe_option_get(s, FWPM_ENGINE_COLLECT_NET_EVENTS, &option), STATUS_FWP_SESSION_ABORTED);
    assert_int_equal(bfe_unsubscribe(s, BFE_FILTER, NULL), STATUS_FWP_SESSION_ABORTED);
    assert_int_not_equal(bfe_session_open(l->bfe, &caller, NULL, &t), STATUS_SUCCESS);
    assert_int_equal(bfe_start(l->bfe), 0);
    assert_int_equal(bfe_filter_get(s, NULL, 1, &f), STATUS_FWP_SESSION_ABORTED); /* the old one stays dead */
    assert_int_equal(bfe_session_open(l->bfe, &caller, NULL, &t), STATUS_SUCCESS);
    assert_int_equal(bfe_filter_get(t, NULL, 1, &f), STATUS_FWP_FILTER_NOT_FOUND);
    bfe_session_close(t);
    assert_int_equal(bfe_session_close(s), STATUS_SUCCESS);
}

static void OBJ_04_one_transaction_a_session(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *s = l->kernel;

    assert_int_equal(bfe_txn_commit(s), STATUS_FWP_NO_TXN_IN_PROGRESS);
    assert_int_equal(bfe_txn_abort(s), STATUS_FWP_NO_TXN_IN_PROGRESS);
    for (UINT32 first = 0; first <= FWPM_TXN_READ_ONLY; first++) {
        assert_int_equal(bfe_txn_begin(s, first), STATUS_SUCCESS);
        assert_int_equal(bfe_txn_begin(s, 0), STATUS_FWP_TXN_IN_PROGRESS);
        assert_int_equal(bfe_txn_begin(s, FWPM_TXN_READ_ONLY), STATUS_FWP_TXN_IN_PROGRESS);
        assert_int_equal(first == 0 ? bfe_txn_commit(s) : bfe_txn_abort(s), STATUS_SUCCESS);
        assert_int_equal(bfe_txn_commit(s), STATUS_FWP_NO_TXN_IN_PROGRESS);
    }
    assert_int_equal(bfe_txn_begin(s, 2), STATUS_FWP_INVALID_FLAGS);
}

static void OBJ_05_implicit_transactions(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *user = bfe_lab_session(l, BFE_LAB_USER, 0, 0);
    FWP_ACTION_TYPE action;
    UINT64 id = bfe_lab_add_port(user, 80, FWP_ACTION_BLOCK);

    /* Committed with the call: others see it, it acts, and it is not undone, however long the session lives.
     */
    assert_true(bfe_lab_has(l->kernel, id));
    assert_true(bfe_lab_decider(l, 80, &action) == id);
    rt_clock_manual_advance(l->clock, 7200 * BFE_LAB_SECOND);
    assert_int_equal(bfe_txn_begin(l->kernel, 0), STATUS_SUCCESS);
    assert_int_equal(bfe_txn_abort(l->kernel), STATUS_SUCCESS);
    assert_true(bfe_lab_has(user, id));
    bfe_session_close(user);
}

static void OBJ_06_a_failing_call_leaves_the_rest(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *s = l->kernel;
    FWPM_FILTER0 bad = bfe_lab_filter(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, FWP_ACTION_BLOCK);
    UINT64 ids[3], untouched = 77;
    FWP_ACTION_TYPE action;

    bad.subLayerKey = bfe_lab_guid(99);
    assert_int_equal(bfe_txn_begin(s, 0), STATUS_SUCCESS);
    for (UINT16 i = 0; i < 3; i++) {
        ids[i] = bfe_lab_add_port(s, (UINT16)(80 + i), FWP_ACTION_BLOCK);
        assert_int_equal(bfe_filter_add(s, &bad, NULL, 0, &untouched), STATUS_FWP_SUBLAYER_NOT_FOUND);
        assert_true(untouched == 77);
    }
    bfe_lab_add_sublayer(s, 99, 1); /* now the retry succeeds */
    assert_int_equal(bfe_filter_add(s, &bad, NULL, 0, NULL), STATUS_SUCCESS);
    assert_int_equal(bfe_filter_delete(s, NULL, 12345), STATUS_FWP_FILTER_NOT_FOUND);
    assert_int_equal(bfe_txn_commit(s), STATUS_SUCCESS);
    for (UINT16 i = 0; i < 3; i++)
        assert_true(bfe_lab_decider(l, (UINT16)(80 + i), &action) == ids[i]);

    assert_int_equal(bfe_txn_begin(s, 0), STATUS_SUCCESS);
    bfe_lab_add_port(s, 90, FWP_ACTION_BLOCK);
    assert_int_equal(bfe_filter_delete(s, NULL, 12345), STATUS_FWP_FILTER_NOT_FOUND);
    assert_int_equal(bfe_txn_abort(s), STATUS_SUCCESS);
    assert_true(bfe_lab_decider(l, 90, &action) != 0); /* the filter in the new sublayer */
    assert_true(bfe_lab_has(s, ids[0]));
}

static void OBJ_07_uncommitted_changes_are_the_sessions_own(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *other = bfe_lab_session(l, BFE_LAB_KERNEL, 0, 5);
    FWP_ACTION_TYPE action;
    FWPM_FILTER0 *f = NULL;
    UINT64 id, old = bfe_lab_add_port(l->kernel, 80, FWP_ACTION_BLOCK);

    assert_int_equal(bfe_txn_begin(l->kernel, 0), STATUS_SUCCESS);
    id = bfe_lab_add_port(l->kernel, 443, FWP_ACTION_BLOCK);
    assert_int_equal(bfe_filter_delete(l->kernel, NULL, old), STATUS_SUCCESS);
    assert_true(bfe_lab_has(l->kernel, id));
    assert_false(bfe_lab_has(l->kernel, old));
    assert_true(bfe_lab_decider(l, 443, &action) == 0); /* not to classification */
    assert_true(bfe_lab_decider(l, 80, &action) == old);
    assert_int_equal(bfe_txn_abort(l->kernel), STATUS_SUCCESS);
    assert_false(bfe_lab_has(other, id));
    assert_true(bfe_lab_has(other, old));

    /* Readers share; what they see stays. */
    assert_int_equal(bfe_txn_begin(l->kernel, FWPM_TXN_READ_ONLY), STATUS_SUCCESS);
    assert_int_equal(bfe_txn_begin(other, FWPM_TXN_READ_ONLY), STATUS_SUCCESS);
    assert_int_equal(bfe_filter_get(other, NULL, old, &f), STATUS_SUCCESS);
    bfe_free(f);
    assert_int_equal(bfe_txn_commit(other), STATUS_SUCCESS);
    assert_int_equal(bfe_txn_commit(l->kernel), STATUS_SUCCESS);
    bfe_session_close(other);
}

static void OBJ_08_no_changes_in_a_read_only_transaction(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *s = l->kernel;
    FWPM_PROVIDER0 p = bfe_lab_provider(NULL);
    FWPM_PROVIDER_CONTEXT3 x = bfe_lab_context(NULL);
    FWPM_SUBLAYER0 u = bfe_lab_sublayer(NULL, 1);
    FWPM_CALLOUT0 c = bfe_lab_callout(NULL, &FWPM_LAYER_ALE_AUTH_CONNECT_V4);
    FWPM_FILTER0 f = bfe_lab_filter(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, FWP_ACTION_BLOCK);
    UINT64 id = bfe_lab_add(s, &f);

    assert_int_equal(bfe_txn_begin(s, FWPM_TXN_READ_ONLY), STATUS_SUCCESS);
    assert_int_equal(bfe_provider_add(s, &p, NULL, 0), STATUS_FWP_INCOMPATIBLE_TXN);
    assert_int_equal(bfe_provider_context_add(s, &x, NULL, 0, NULL), STATUS_FWP_INCOMPATIBLE_TXN);
    assert_int_equal(bfe_sublayer_add(s, &u, NULL, 0), STATUS_FWP_INCOMPATIBLE_TXN);
    assert_int_equal(bfe_callout_add(s, &c, NULL, 0, NULL), STATUS_FWP_INCOMPATIBLE_TXN);
    assert_int_equal(bfe_filter_add(s, &f, NULL, 0, NULL), STATUS_FWP_INCOMPATIBLE_TXN);
    assert_int_equal(bfe_filter_delete(s, NULL, id), STATUS_FWP_INCOMPATIBLE_TXN);
    assert_true(bfe_lab_has(s, id)); /* reading is fine */
    assert_int_equal(bfe_txn_commit(s), STATUS_SUCCESS);
    assert_int_equal(bfe_filter_delete(s, NULL, id), STATUS_SUCCESS);
}

/* ---- waiting: a second thread waits, this one moves the clock
 * ------------------------------------------------ */

enum deed { READ, ADD, BEGIN, BEGIN_READ };

struct waiter {
    struct bfe_session *s;
    enum deed deed;
    NTSTATUS status;
    struct rt_thread *thread;
    atomic_bool done, let_go;
    struct rt_mutex *mutex; /* when it is done it stays, as one more wait by the lab's clock, until let go: */
    struct rt_cond *cond;   /* so that whoever wants to see it wait sees at once that it does not */
};

static void wait_in_thread(void *arg)
{
    struct waiter *w = arg;
    FWPM_FILTER0 f = bfe_lab_filter(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, FWP_ACTION_BLOCK), *got;

    switch (w->deed) {
    case READ:
        w->status = bfe_filter_get(w->s, NULL, 4711, &got);
        break;
    case ADD:
        w->status = bfe_filter_add(w->s, &f, NULL, 0, NULL);
        break;
    case BEGIN:
        w->status = bfe_txn_begin(w->s, 0);
        break;
    case BEGIN_READ:
        w->status = bfe_txn_begin(w->s, FWPM_TXN_READ_ONLY);
        break;
    }
    atomic_store(&w->done, true);
    rt_mutex_lock(w->mutex);
    while (!atomic_load(&w->let_go))
        rt_cond_wait(w->cond, w->mutex, RT_FOREVER - 1);
    rt_mutex_unlock(w->mutex);
}

static void start_waiting(struct bfe_lab *l, struct waiter *w, struct bfe_session *s, enum deed deed)
{
    *w = (struct waiter){.s = s, .deed = deed};
    assert_int_equal(rt_mutex_create(&w->mutex), 0);
    assert_int_equal(rt_cond_create(l->clock, &w->cond), 0);
    assert_int_equal(rt_thread_start("waiter", wait_in_thread, w, &w->thread), 0);
}

/* What came of it. A wait that should have ended and goes on, of the host's seconds, is ended by force. */
static NTSTATUS finish(struct waiter *w)
{
    bool in_time;

    for (int i = 0; i < 10000 && !atomic_load(&w->done); i++)
        usleep(1000);
    in_time = atomic_load(&w->done);
    if (!in_time)
        bfe_session_cancel(w->s);
    atomic_store(&w->let_go, true);
    rt_mutex_lock(w->mutex);
    rt_cond_broadcast(w->cond);
    rt_mutex_unlock(w->mutex);
    rt_thread_join(w->thread);
    rt_cond_destroy(w->cond);
    rt_mutex_destroy(w->mutex);
    if (!in_time)
        fail_msg("still waiting");
    return w->status;
}

static void still_waits(struct bfe_lab *l, struct waiter *w)
{
    rt_clock_manual_await(l->clock, 1);
    if (!atomic_load(&w->done))
        return;
    finish(w);
    fail_msg("did not wait");
}

/* What comes of it as time passes, whether it has to wait or not. */
static NTSTATUS in_time(struct bfe_lab *l, struct bfe_session *s, enum deed deed)
{
    struct waiter w;

    start_waiting(l, &w, s, deed);
    while (!atomic_load(&w.done)) {
        rt_clock_manual_advance(l->clock, BFE_LAB_SECOND);
        sched_yield();
    }
    return finish(&w);
}

static void OBJ_07_a_writer_is_alone_and_readers_share(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *s = bfe_lab_session(l, BFE_LAB_KERNEL, 0, 0);

    assert_int_equal(bfe_txn_begin(l->kernel, 0), STATUS_SUCCESS);
    for (enum deed deed = READ; deed <= BEGIN_READ; deed++)
        assert_int_equal(in_time(l, s, deed), STATUS_FWP_TIMEOUT);
    assert_int_equal(bfe_txn_abort(l->kernel), STATUS_SUCCESS);

    assert_int_equal(bfe_txn_begin(l->kernel, FWPM_TXN_READ_ONLY), STATUS_SUCCESS);
    assert_int_equal(in_time(l, s, ADD), STATUS_FWP_TIMEOUT);
    assert_int_equal(in_time(l, s, BEGIN), STATUS_FWP_TIMEOUT);
    assert_int_equal(in_time(l, s, READ), STATUS_FWP_FILTER_NOT_FOUND);
    assert_int_equal(in_time(l, s, BEGIN_READ), STATUS_SUCCESS);
    assert_int_equal(bfe_txn_abort(s), STATUS_SUCCESS);
    assert_int_equal(bfe_txn_abort(l->kernel), STATUS_SUCCESS);
    bfe_session_close(s);
}

static void OBJ_09_waiting_is_bounded(void **state)
{
    static const struct {
        UINT32 given_ms;
        UINT64 wait_ms;
    } cases[] = {{0, 15000}, {250, 250}};
    struct bfe_lab *l = *state;
    struct waiter w;

    assert_int_equal(bfe_txn_begin(l->kernel, 0), STATUS_SUCCESS);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bfe_session *s = bfe_lab_session(l, BFE_LAB_KERNEL, 0, cases[i].given_ms);

        for (enum deed deed = READ; deed <= BEGIN_READ; deed++) {
            start_waiting(l, &w, s, deed);
            still_waits(l, &w);
            rt_clock_manual_advance(l->clock, cases[i].wait_ms * MS - 1);
            still_waits(l, &w); /* not yet */
            rt_clock_manual_advance(l->clock, 1);
            assert_int_equal(finish(&w), STATUS_FWP_TIMEOUT);
        }
        bfe_session_close(s);
    }
    assert_int_equal(bfe_txn_abort(l->kernel), STATUS_SUCCESS);
}

static void OBJ_09_a_wait_ends_when_the_lock_is_free(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *s = bfe_lab_session(l, BFE_LAB_KERNEL, 0, 0);
    struct waiter w;

    for (int commit = 0; commit < 2; commit++) {
        for (enum deed deed = READ; deed <= BEGIN_READ; deed++) {
            assert_int_equal(bfe_txn_begin(l->kernel, 0), STATUS_SUCCESS);
            start_waiting(l, &w, s, deed);
            still_waits(l, &w);
            assert_int_equal(commit ? bfe_txn_commit(l->kernel) : bfe_txn_abort(l->kernel), STATUS_SUCCESS);
            assert_int_equal(finish(&w), deed == READ ? STATUS_FWP_FILTER_NOT_FOUND : STATUS_SUCCESS);
            if (deed == BEGIN || deed == BEGIN_READ)
                assert_int_equal(bfe_txn_abort(s), STATUS_SUCCESS);
        }
    }
    /* A reader keeps writers waiting, not readers. */
    assert_int_equal(bfe_txn_begin(l->kernel, FWPM_TXN_READ_ONLY), STATUS_SUCCESS);
    start_waiting(l, &w, s, ADD);
    still_waits(l, &w);
    assert_int_equal(bfe_txn_commit(l->kernel), STATUS_SUCCESS);
    assert_int_equal(finish(&w), STATUS_SUCCESS);
    bfe_session_close(s);
}

static void OBJ_09_infinite_waits_on(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *holder = bfe_lab_session(l, BFE_LAB_USER, 0, 0);
    struct bfe_session *s = bfe_lab_session(l, BFE_LAB_KERNEL, 0, 0xffffffff);
    struct waiter w;

    assert_int_equal(bfe_txn_begin(holder, 0), STATUS_SUCCESS);
    start_waiting(l, &w, s, BEGIN);
    still_waits(l, &w); /* for the holder's hour only */
    rt_clock_manual_advance(l->clock, 3599 * BFE_LAB_SECOND);
    still_waits(l, &w);
    assert_int_equal(bfe_txn_commit(holder), STATUS_SUCCESS);
    assert_int_equal(finish(&w), STATUS_SUCCESS);
    bfe_session_close(s);
    bfe_session_close(holder);
}

static void OBJ_09_a_wait_ends_with_its_session(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *s = bfe_lab_session(l, BFE_LAB_KERNEL, 0, 0);
    struct waiter w;

    assert_int_equal(bfe_txn_begin(l->kernel, 0), STATUS_SUCCESS);
    start_waiting(l, &w, s, ADD);
    still_waits(l, &w);
    bfe_session_close(s);
    assert_int_equal(finish(&w), STATUS_FWP_SESSION_ABORTED);

    s = bfe_lab_session(l, BFE_LAB_KERNEL, 0, 0);
    start_waiting(l, &w, s, BEGIN);
    still_waits(l, &w);
    assert_int_equal(bfe_stop(l->bfe), 0);
    assert_int_equal(finish(&w), STATUS_FWP_SESSION_ABORTED);
    bfe_session_close(s);
}

static void OBJ_10_an_hour_for_user_callers(void **state)
{
    static const UINT32 kinds[] = {0, FWPM_TXN_READ_ONLY};
    struct bfe_lab *l = *state;
    struct waiter w;
    FWPM_FILTER0 *f;
    UINT64 id = 0;

    for (size_t i = 0; i < 2; i++) {
        struct bfe_session *user = bfe_lab_session(l, BFE_LAB_USER, 0, 0);
        struct bfe_session *s = bfe_lab_session(l, BFE_LAB_KERNEL, 0, 0xffffffff);

        /* Somebody waits when the hour is over: the transaction is aborted for him. */
        assert_int_equal(bfe_txn_begin(user, kinds[i]), STATUS_SUCCESS);
        if (kinds[i] == 0)
            id = bfe_lab_add_port(user, 80, FWP_ACTION_BLOCK);
        start_waiting(l, &w, s, ADD);
        still_waits(l, &w);
        rt_clock_manual_advance(l->clock, 3600 * BFE_LAB_SECOND - 1);
        still_waits(l, &w);
        rt_clock_manual_advance(l->clock, 1);
        assert_int_equal(finish(&w), STATUS_SUCCESS);
        if (kinds[i] == 0)
            assert_false(bfe_lab_has(s, id));
        /* What was meant for the transaction must not happen outside it. */
        assert_int_equal(bfe_filter_get(user, NULL, 1, &f), STATUS_FWP_TXN_ABORTED);
        assert_int_equal(bfe_filter_delete(user, NULL, 1), STATUS_FWP_TXN_ABORTED);
        assert_int_equal(bfe_txn_commit(user), STATUS_FWP_TXN_ABORTED);
        assert_int_equal(bfe_txn_commit(user), STATUS_FWP_NO_TXN_IN_PROGRESS);
        assert_int_equal(bfe_txn_begin(user, 0), STATUS_SUCCESS);
        assert_int_equal(bfe_txn_abort(user), STATUS_SUCCESS);

        /* Nobody waited: it is noticed by the holder's own next call. */
        assert_int_equal(bfe_txn_begin(user, kinds[i]), STATUS_SUCCESS);
        rt_clock_manual_advance(l->clock, 3600 * BFE_LAB_SECOND);
        assert_int_equal(bfe_txn_commit(user), STATUS_FWP_TXN_ABORTED);

        /* A client that has been told may abort, as it should. */
        assert_int_equal(bfe_txn_begin(user, kinds[i]), STATUS_SUCCESS);
        rt_clock_manual_advance(l->clock, 3600 * BFE_LAB_SECOND);
        assert_int_equal(bfe_filter_get(user, NULL, 1, &f), STATUS_FWP_TXN_ABORTED);
        assert_int_equal(bfe_txn_abort(user), STATUS_SUCCESS);
        bfe_session_close(s);
        bfe_session_close(user);
    }
}

static void OBJ_10_no_limit_for_kernel_callers(void **state)
{
    struct bfe_lab *l = *state;
    UINT64 id;

    assert_int_equal(bfe_txn_begin(l->kernel, 0), STATUS_SUCCESS);
    id = bfe_lab_add_port(l->kernel, 80, FWP_ACTION_BLOCK);
    rt_clock_manual_advance(l->clock, 24 * 3600 * BFE_LAB_SECOND);
    assert_int_equal(bfe_txn_commit(l->kernel), STATUS_SUCCESS);
    assert_true(bfe_lab_has(l->kernel, id));
}

/* ---- OBJ-11 ----------------------------------------------------------------------------------------------
 */

static void OBJ_11_a_classify_sees_one_version(void **state)
{
    struct bfe_lab *l = *state;
    const struct engine_filter *const *filters;
    const struct engine_layer *layer = engine_layer_by_key(&FWPM_LAYER_ALE_AUTH_CONNECT_V4);
    const struct engine_snapshot *pinned;
    FWP_ACTION_TYPE action;
    UINT64 id, version = policy_version(l);

    assert_int_equal(bfe_txn_begin(l->kernel, 0), STATUS_SUCCESS);
    for (UINT16 i = 1; i <= 10; i++)
        bfe_lab_add_port(l->kernel, i, FWP_ACTION_BLOCK);
    id = bfe_lab_add_port(l->kernel, 11, FWP_ACTION_BLOCK);
    pinned = engine_pin(l->reader);
    assert_int_equal(bfe_txn_commit(l->kernel), STATUS_SUCCESS);
    assert_int_equal(engine_snapshot_filters(pinned, layer->id, &filters),
                     0); /* a running one: as it began */
    engine_unpin(l->reader);
    assert_true(bfe_lab_decider(l, 11, &action) == id); /* a new one: at once, and all of it */
    assert_true(policy_version(l) == version + 1);

    /* What goes and what comes in its place: no version has neither, or both. */
    assert_int_equal(bfe_txn_begin(l->kernel, 0), STATUS_SUCCESS);
    assert_int_equal(bfe_filter_delete(l->kernel, NULL, id), STATUS_SUCCESS);
    id = bfe_lab_add_port(l->kernel, 11, FWP_ACTION_BLOCK);
    assert_int_equal(bfe_txn_commit(l->kernel), STATUS_SUCCESS);
    assert_true(bfe_lab_decider(l, 11, &action) == id);
    assert_true(policy_version(l) == version + 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bfe_lab_setup, bfe_lab_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(OBJ_01_a_session_ends_its_transaction_first),
        TEST(OBJ_01_what_a_session_is_opened_with),
        TEST(OBJ_02_a_dynamic_session_takes_its_objects_along),
        TEST(OBJ_02_while_another_holds_the_lock),
        TEST(OBJ_02_with_a_transaction_open),
        TEST(OBJ_03_closing_and_stopping),
        TEST(OBJ_04_one_transaction_a_session),
        TEST(OBJ_05_implicit_transactions),
        TEST(OBJ_06_a_failing_call_leaves_the_rest),
        TEST(OBJ_07_uncommitted_changes_are_the_sessions_own),
        TEST(OBJ_07_a_writer_is_alone_and_readers_share),
        TEST(OBJ_08_no_changes_in_a_read_only_transaction),
        TEST(OBJ_09_waiting_is_bounded),
        TEST(OBJ_09_a_wait_ends_when_the_lock_is_free),
        TEST(OBJ_09_infinite_waits_on),
        TEST(OBJ_09_a_wait_ends_with_its_session),
        TEST(OBJ_10_an_hour_for_user_callers),
        TEST(OBJ_10_no_limit_for_kernel_callers),
        TEST(OBJ_11_a_classify_sees_one_version),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
