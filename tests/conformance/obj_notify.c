/* SPDX-License-Identifier: Apache-2.0 */
/* OBJ-35: change notifications: after commit, asynchronously, to others, without guarantee. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "bfe/subscribe.h"
#include "bfe_lab.h"

/* What a subscriber was told; written on the notifier's thread, read after a flush. */
struct told {
    struct bfe_session *session; /* for callbacks that call the API */
    struct bfe_subscription *sub;
    struct rt_mutex *gate; /* held by the test while the callback is to wait */
    _Atomic unsigned count, inside;
    _Atomic bool open; /* what the callback waits for, if it is to */
    bool wait_for_open;
    FWPM_FILTER_CHANGE0 filter[16];
    FWPM_CALLOUT_CHANGE0 callout[4];
    GUID key[16];
    FWPM_CHANGE_TYPE type[16];
    struct rt_context *current;
    NTSTATUS status;
};

static void on_filter(void *context, const FWPM_FILTER_CHANGE0 *change)
{
    struct told *t = context;

    t->inside++;
    while (t->wait_for_open && !t->open)
        ;
    if (t->gate) {
        rt_mutex_lock(t->gate);
        rt_mutex_unlock(t->gate);
    }
    if (t->count < 16)
        t->filter[t->count] = *change;
    t->current = rt_current();
    t->count++;
    t->inside--;
}

static NTSTATUS subscribe_filters(struct bfe_session *s, const FWPM_FILTER_ENUM_TEMPLATE0 *t, UINT32 flags,
                                  struct told *told)
{
    FWPM_FILTER_SUBSCRIPTION0 d = {.enumTemplate = (FWPM_FILTER_ENUM_TEMPLATE0 *)t, .flags = flags};

    return bfe_subscribe(s, BFE_FILTER, &d, (bfe_change_callback)on_filter, told, &told->sub);
}

#define BOTH (FWPM_SUBSCRIPTION_FLAG_NOTIFY_ON_ADD | FWPM_SUBSCRIPTION_FLAG_NOTIFY_ON_DELETE)

static void OBJ_35_told_after_commit_with_type_key_and_id(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *other = bfe_lab_session(l, BFE_LAB_USER, 0, 0);
    struct told t = {0};
    FWPM_FILTER0 f = bfe_lab_filter(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, FWP_ACTION_BLOCK);
    UINT64 id, gone;

    assert_int_equal(subscribe_filters(other, NULL, BOTH, &t), STATUS_SUCCESS);
    assert_int_equal(bfe_txn_begin(l->kernel, 0), STATUS_SUCCESS);
    f.filterKey = bfe_lab_guid(1);
    id = bfe_lab_add(l->kernel, &f);
    f.filterKey = bfe_lab_guid(2);
    gone = bfe_lab_add(l->kernel, &f);
    assert_int_equal(bfe_filter_delete(l->kernel, NULL, gone), STATUS_SUCCESS);
    bfe_notify_flush(l->bfe);
    assert_int_equal(t.count, 0); /* not committed yet */
    assert_int_equal(bfe_txn_commit(l->kernel), STATUS_SUCCESS);
    bfe_notify_flush(l->bfe);
    assert_int_equal(t.count, 1); /* what came and went inside the transaction is no change */
    GUID key = bfe_lab_guid(1);
    assert_int_equal(t.filter[0].changeType, FWPM_CHANGE_ADD);
    assert_int_equal(t.filter[0].filterId, id);
    assert_memory_equal(&t.filter[0].filterKey, &key, sizeof(key));

    assert_int_equal(bfe_filter_delete(l->kernel, NULL, id), STATUS_SUCCESS);
    bfe_notify_flush(l->bfe);
    assert_int_equal(t.count, 2);
    assert_int_equal(t.filter[1].changeType, FWPM_CHANGE_DELETE);
    assert_int_equal(t.filter[1].filterId, id);

    assert_int_equal(bfe_txn_begin(l->kernel, 0), STATUS_SUCCESS);
    bfe_lab_add_port(l->kernel, 5, FWP_ACTION_BLOCK);
    assert_int_equal(bfe_txn_abort(l->kernel), STATUS_SUCCESS);
    bfe_notify_flush(l->bfe);
    assert_int_equal(t.count, 2); /* nothing happened */
    bfe_session_close(other);
}

static void OBJ_35_never_to_the_session_that_changed(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *other = bfe_lab_session(l, BFE_LAB_KERNEL, 0, 0);
    struct told mine = {0}, others = {0};

    assert_int_equal(subscribe_filters(l->kernel, NULL, BOTH, &mine), STATUS_SUCCESS);
    assert_int_equal(subscribe_filters(other, NULL, BOTH, &others), STATUS_SUCCESS);
    bfe_lab_add_port(l->kernel, 5, FWP_ACTION_BLOCK);
    bfe_notify_flush(l->bfe);
    assert_int_equal(mine.count, 0);
    assert_int_equal(others.count, 1);
    bfe_lab_add_port(other, 6, FWP_ACTION_BLOCK);
    bfe_notify_flush(l->bfe);
    assert_int_equal(mine.count, 1);
    assert_int_equal(others.count, 1);
    bfe_session_close(other);
}

static void OBJ_35_flags_and_template_choose(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *other = bfe_lab_session(l, BFE_LAB_KERNEL, 0, 0);
    FWPM_FILTER_ENUM_TEMPLATE0 v6 = {.layerKey = FWPM_LAYER_ALE_AUTH_CONNECT_V6, .actionMask = 0xffffffff};
    FWPM_FILTER_ENUM_TEMPLATE0 never = {0};
    struct told adds = {0}, deletes = {0}, elsewhere = {0}, bad = {0};
    UINT64 id;

    assert_int_equal(subscribe_filters(other, NULL, FWPM_SUBSCRIPTION_FLAG_NOTIFY_ON_ADD, &adds),
                     STATUS_SUCCESS);
    assert_int_equal(subscribe_filters(other, NULL, FWPM_SUBSCRIPTION_FLAG_NOTIFY_ON_DELETE, &deletes),
                     STATUS_SUCCESS);
    assert_int_equal(subscribe_filters(other, &v6, BOTH, &elsewhere), STATUS_SUCCESS);
    id = bfe_lab_add_port(l->kernel, 5, FWP_ACTION_BLOCK);
    assert_int_equal(bfe_filter_delete(l->kernel, NULL, id), STATUS_SUCCESS);
    bfe_notify_flush(l->bfe);
    assert_int_equal(adds.count, 1);
    assert_int_equal(deletes.count, 1);
    assert_int_equal(elsewhere.count, 0);

    assert_int_equal(subscribe_filters(other, NULL, 0, &bad), STATUS_FWP_NEVER_MATCH);
    assert_int_equal(subscribe_filters(other, NULL, 8, &bad), STATUS_FWP_INVALID_FLAGS);
    assert_int_equal(subscribe_filters(other, &never, BOTH, &bad), STATUS_FWP_NEVER_MATCH);
    assert_int_equal(bfe_subscribe(other, BFE_FILTER, NULL, (bfe_change_callback)on_filter, NULL, &bad.sub),
                     STATUS_FWP_NULL_POINTER);
    bfe_session_close(other);
}

static void on_provider(void *context, const FWPM_PROVIDER_CHANGE0 *change)
{
    struct told *t = context;

    t->key[t->count] = change->providerKey;
    t->type[t->count++] = change->changeType;
}
static void on_context(void *context, const FWPM_PROVIDER_CONTEXT_CHANGE0 *change)
{
    struct told *t = context;

    assert_true(change->providerContextId != 0);
    t->key[t->count] = change->providerContextKey;
    t->type[t->count++] = change->changeType;
}
static void on_sublayer(void *context, const FWPM_SUBLAYER_CHANGE0 *change)
{
    struct told *t = context;

    t->key[t->count] = change->subLayerKey;
    t->type[t->count++] = change->changeType;
}
static void on_callout(void *context, const FWPM_CALLOUT_CHANGE0 *change)
{
    struct told *t = context;

    t->callout[0] = *change;
    t->key[t->count] = change->calloutKey;
    t->type[t->count++] = change->changeType;
}

static void OBJ_35_every_kind_and_the_end_of_a_dynamic_session(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *dynamic = bfe_lab_session(l, BFE_LAB_KERNEL, FWPM_SESSION_FLAG_DYNAMIC, 0);
    struct told told[4] = {{0}};
    bfe_change_callback callbacks[4] = {(bfe_change_callback)on_provider, (bfe_change_callback)on_context,
                                        (bfe_change_callback)on_sublayer, (bfe_change_callback)on_callout};
    enum bfe_kind kinds[4] = {BFE_PROVIDER, BFE_PROVIDER_CONTEXT, BFE_SUBLAYER, BFE_CALLOUT};
    GUID keys[4];
    UINT32 callout_id;

    for (unsigned i = 0; i < 4; i++) {
        FWPM_FILTER_SUBSCRIPTION0 d = {.flags = BOTH};
        keys[i] = bfe_lab_guid(i + 1);
        assert_int_equal(bfe_subscribe(l->kernel, kinds[i], &d, callbacks[i], &told[i], &told[i].sub),
                         STATUS_SUCCESS);
    }
    FWPM_PROVIDER0 p = bfe_lab_provider(&keys[0]);
    FWPM_PROVIDER_CONTEXT3 x = bfe_lab_context(&keys[1]);
    FWPM_SUBLAYER0 u = bfe_lab_sublayer(&keys[2], 1);
    FWPM_CALLOUT0 c = bfe_lab_callout(&keys[3], &FWPM_LAYER_ALE_AUTH_CONNECT_V4);
    assert_int_equal(bfe_provider_add(dynamic, &p, NULL, 0), STATUS_SUCCESS);
    assert_int_equal(bfe_provider_context_add(dynamic, &x, NULL, 0, NULL), STATUS_SUCCESS);
    assert_int_equal(bfe_sublayer_add(dynamic, &u, NULL, 0), STATUS_SUCCESS);
    assert_int_equal(bfe_callout_add(dynamic, &c, NULL, 0, &callout_id), STATUS_SUCCESS);
    bfe_session_close(dynamic);
    bfe_notify_flush(l->bfe);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(told[i].count, 2);
        assert_memory_equal(&told[i].key[0], &keys[i], sizeof(GUID));
        assert_memory_equal(&told[i].key[1], &keys[i], sizeof(GUID));
        assert_int_equal(told[i].type[0], FWPM_CHANGE_ADD);
        assert_int_equal(told[i].type[1], FWPM_CHANGE_DELETE);
    }
    assert_int_equal(told[3].callout[0].calloutId, callout_id);
}

/* Lets the callback go on after a while, in which the test is in unsubscribe. */
static void open_later(void *arg)
{
    struct told *t = arg;

    usleep(30000);
    t->open = true;
}

static void OBJ_35_asynchronous_and_unsubscribe_waits_for_the_callback(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *other = bfe_lab_session(l, BFE_LAB_KERNEL, 0, 0);
    struct told t = {.wait_for_open = true};
    struct rt_thread *opener;

    assert_int_equal(subscribe_filters(other, NULL, BOTH, &t), STATUS_SUCCESS);
    bfe_lab_add_port(l->kernel, 5, FWP_ACTION_BLOCK); /* returns although the callback cannot */
    bfe_lab_add_port(l->kernel, 6, FWP_ACTION_BLOCK);
    while (!t.inside)
        ;
    assert_int_equal(rt_thread_start("opener", open_later, &t, &opener), 0);
    assert_int_equal(bfe_unsubscribe(other, BFE_FILTER, t.sub), STATUS_SUCCESS);
    assert_int_equal(t.inside, 0); /* it has waited for the callback that ran */
    assert_int_equal(t.count, 1);  /* and forgotten the one that had not begun */
    rt_thread_join(opener);
    bfe_lab_add_port(l->kernel, 7, FWP_ACTION_BLOCK);
    bfe_notify_flush(l->bfe);
    assert_int_equal(t.count, 1);
    assert_int_equal(bfe_unsubscribe(other, BFE_FILTER, t.sub), STATUS_INVALID_HANDLE);
    assert_int_equal(bfe_unsubscribe(other, BFE_FILTER, NULL), STATUS_INVALID_HANDLE);
    bfe_session_close(other);
}

static void on_filter_unsubscribe(void *context, const FWPM_FILTER_CHANGE0 *change)
{
    struct told *t = context;

    (void)change;
    t->status = bfe_unsubscribe(t->session, BFE_FILTER, t->sub);
    t->count++;
}

static void OBJ_35_a_callback_may_call_the_api_and_unsubscribe_itself(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *other = bfe_lab_session(l, BFE_LAB_KERNEL, 0, 0);
    struct told t = {.session = other, .status = -1};
    FWPM_FILTER_SUBSCRIPTION0 d = {.flags = BOTH};

    assert_int_equal(
        bfe_subscribe(other, BFE_FILTER, &d, (bfe_change_callback)on_filter_unsubscribe, &t, &t.sub),
        STATUS_SUCCESS);
    bfe_lab_add_port(l->kernel, 5, FWP_ACTION_BLOCK);
    bfe_lab_add_port(l->kernel, 6, FWP_ACTION_BLOCK);
    bfe_notify_flush(l->bfe);
    assert_int_equal(t.count, 1);
    assert_int_equal(t.status, STATUS_SUCCESS);
    bfe_session_close(other);
}

static void OBJ_35_what_does_not_fit_is_dropped_and_said(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *other = bfe_lab_session(l, BFE_LAB_KERNEL, 0, 0);
    struct told t = {0};
    UINT64 dropped = 99;

    assert_int_equal(rt_mutex_create(&t.gate), 0);
    bfe_notify_limit(l->bfe, 2);
    assert_int_equal(subscribe_filters(other, NULL, BOTH, &t), STATUS_SUCCESS);
    assert_int_equal(bfe_subscription_status(other, t.sub, &dropped), STATUS_SUCCESS);
    assert_int_equal(dropped, 0);
    rt_mutex_lock(t.gate);
    bfe_lab_add_port(l->kernel, 1, FWP_ACTION_BLOCK);
    while (!t.inside) /* the first is being delivered, so the queue is empty */
        ;
    for (UINT16 port = 2; port < 7; port++)
        bfe_lab_add_port(l->kernel, port, FWP_ACTION_BLOCK);
    rt_mutex_unlock(t.gate);
    bfe_notify_flush(l->bfe);
    assert_int_equal(t.count, 3); /* one delivered, two that waited; three lost */
    assert_int_equal(bfe_subscription_status(other, t.sub, &dropped), STATUS_FWP_NOTIFICATION_DROPPED);
    assert_int_equal(dropped, 3);
    assert_int_equal(bfe_subscription_status(other, t.sub, &dropped), STATUS_SUCCESS); /* said once */
    bfe_session_close(other);
    rt_mutex_destroy(t.gate);
}

static void OBJ_35_not_inside_a_transaction_and_in_the_subscribers_context(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *other = bfe_lab_session(l, BFE_LAB_KERNEL, 0, 0);
    struct told t = {0};
    struct rt_context context = {0};

    assert_int_equal(bfe_txn_begin(other, FWPM_TXN_READ_ONLY), STATUS_SUCCESS);
    assert_int_equal(subscribe_filters(other, NULL, BOTH, &t), STATUS_FWP_TXN_IN_PROGRESS);
    assert_int_equal(bfe_txn_abort(other), STATUS_SUCCESS);
    struct rt_context *before = rt_set_current(&context);
    assert_int_equal(subscribe_filters(other, NULL, BOTH, &t), STATUS_SUCCESS);
    rt_set_current(before);
    assert_int_equal(bfe_txn_begin(other, FWPM_TXN_READ_ONLY), STATUS_SUCCESS);
    assert_int_equal(bfe_unsubscribe(other, BFE_FILTER, t.sub), STATUS_FWP_TXN_IN_PROGRESS);
    assert_int_equal(bfe_txn_abort(other), STATUS_SUCCESS);
    bfe_lab_add_port(l->kernel, 1, FWP_ACTION_BLOCK);
    bfe_notify_flush(l->bfe);
    assert_int_equal(t.count, 1);
    assert_ptr_equal(t.current, &context);
    bfe_session_close(other);
}

static void OBJ_35_the_subscriptions_are_listed(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *other = bfe_lab_session(l, BFE_LAB_KERNEL, 0, 0);
    FWP_V4_ADDR_AND_MASK net = {0x0a000000, 0xff000000};
    FWPM_FILTER_CONDITION0 c = {.fieldKey = FWPM_CONDITION_IP_REMOTE_ADDRESS,
                                .matchType = FWP_MATCH_EQUAL,
                                .conditionValue = {.type = FWP_V4_ADDR_MASK, .v4AddrMask = &net}};
    FWPM_FILTER_ENUM_TEMPLATE0 tmpl = {.layerKey = FWPM_LAYER_ALE_AUTH_CONNECT_V4,
                                       .actionMask = 0xffffffff,
                                       .numFilterConditions = 1,
                                       .filterCondition = &c};
    struct told a = {0}, b = {0};
    void **entries;
    UINT32 count;

    assert_int_equal(bfe_subscriptions_get(l->kernel, BFE_FILTER, &entries, &count), STATUS_SUCCESS);
    assert_int_equal(count, 0);
    assert_int_equal(subscribe_filters(other, NULL, FWPM_SUBSCRIPTION_FLAG_NOTIFY_ON_ADD, &a),
                     STATUS_SUCCESS);
    assert_int_equal(subscribe_filters(l->kernel, &tmpl, BOTH, &b), STATUS_SUCCESS);
    net.addr = 0; /* the copy is the subscription's own */
    assert_int_equal(bfe_subscriptions_get(l->kernel, BFE_FILTER, &entries, &count), STATUS_SUCCESS);
    assert_int_equal(count, 2);
    const FWPM_FILTER_SUBSCRIPTION0 *plain = entries[0], *with = entries[1];
    if (plain->enumTemplate) {
        plain = entries[1];
        with = entries[0];
    }
    assert_null(plain->enumTemplate);
    assert_int_equal(plain->flags, FWPM_SUBSCRIPTION_FLAG_NOTIFY_ON_ADD);
    assert_int_equal(with->flags, BOTH);
    assert_int_equal(with->enumTemplate->numFilterConditions, 1);
    assert_int_equal(with->enumTemplate->filterCondition[0].conditionValue.v4AddrMask->addr, 0x0a000000);
    assert_memory_not_equal(&plain->sessionKey, &with->sessionKey, sizeof(GUID));
    bfe_free(entries);
    bfe_session_close(other); /* ends its subscriptions */
    assert_int_equal(bfe_subscriptions_get(l->kernel, BFE_FILTER, &entries, &count), STATUS_SUCCESS);
    assert_int_equal(count, 1);
    bfe_free(entries);
    assert_int_equal(bfe_subscriptions_get(l->kernel, BFE_CALLOUT, &entries, &count), STATUS_SUCCESS);
    assert_int_equal(count, 0);
}

/* ---- the service's state
 * ------------------------------------------------------------------------------------------ */

struct states {
    unsigned count;
    FWPM_SERVICE_STATE seen[8];
};

static void on_state(void *context, FWPM_SERVICE_STATE state)
{
    struct states *s = context;

    if (s->count < 8)
        s->seen[s->count++] = state;
}

static void OBJ_35_the_services_state_is_told_too(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_state_subscription *sub;
    struct states s = {0};

    assert_int_equal(bfe_state_get(l->bfe), FWPM_SERVICE_RUNNING);
    assert_int_equal(bfe_state_subscribe(l->bfe, NULL, &s, &sub), STATUS_FWP_NULL_POINTER);
    assert_int_equal(bfe_state_subscribe(l->bfe, on_state, &s, &sub), STATUS_SUCCESS);
    assert_int_equal(bfe_stop(l->bfe), 0);
    assert_int_equal(bfe_state_get(l->bfe), FWPM_SERVICE_STOPPED);
    assert_int_equal(bfe_start(l->bfe), 0);
    bfe_notify_flush(l->bfe);
    assert_int_equal(s.count, 4);
    assert_int_equal(s.seen[0], FWPM_SERVICE_STOP_PENDING);
    assert_int_equal(s.seen[1], FWPM_SERVICE_STOPPED);
    assert_int_equal(s.seen[2], FWPM_SERVICE_START_PENDING);
    assert_int_equal(s.seen[3], FWPM_SERVICE_RUNNING);
    assert_int_equal(bfe_state_unsubscribe(l->bfe, sub), STATUS_SUCCESS);
    assert_int_equal(bfe_state_unsubscribe(l->bfe, sub), STATUS_INVALID_HANDLE);
}

/* ---- many at once (also under TSan)
 * --------------------------------------------------------------------------------- */

struct worker {
    struct bfe_lab *l;
    unsigned number;
};

static void churn(void *arg)
{
    struct worker *w = arg;
    struct bfe_session *s = bfe_lab_session(w->l, BFE_LAB_KERNEL, 0, 0xffffffff);
    struct told t = {0};

    for (unsigned i = 0; i < 40; i++) {
        assert_int_equal(subscribe_filters(s, NULL, BOTH, &t), STATUS_SUCCESS);
        UINT64 id = bfe_lab_add_port(s, (UINT16)(w->number * 100 + i + 1), FWP_ACTION_BLOCK);
        assert_int_equal(bfe_filter_delete(s, NULL, id), STATUS_SUCCESS);
        if (i % 3)
            assert_int_equal(bfe_unsubscribe(s, BFE_FILTER, t.sub), STATUS_SUCCESS);
    }
    bfe_session_close(s);
}

static void OBJ_35_subscribers_come_and_go_while_others_change(void **state)
{
    struct bfe_lab *l = *state;
    struct worker workers[4];
    struct rt_thread *threads[4];

    for (unsigned i = 0; i < 4; i++) {
        workers[i] = (struct worker){l, i};
        assert_int_equal(rt_thread_start("churn", churn, &workers[i], &threads[i]), 0);
    }
    for (unsigned i = 0; i < 4; i++)
        rt_thread_join(threads[i]);
    bfe_notify_flush(l->bfe);
    void **entries;
    UINT32 count;
    assert_int_equal(bfe_subscriptions_get(l->kernel, BFE_FILTER, &entries, &count), STATUS_SUCCESS);
    assert_int_equal(count, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bfe_lab_setup, bfe_lab_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(OBJ_35_told_after_commit_with_type_key_and_id),
        TEST(OBJ_35_never_to_the_session_that_changed),
        TEST(OBJ_35_flags_and_template_choose),
        TEST(OBJ_35_every_kind_and_the_end_of_a_dynamic_session),
        TEST(OBJ_35_asynchronous_and_unsubscribe_waits_for_the_callback),
        TEST(OBJ_35_a_callback_may_call_the_api_and_unsubscribe_itself),
        TEST(OBJ_35_what_does_not_fit_is_dropped_and_said),
        TEST(OBJ_35_not_inside_a_transaction_and_in_the_subscribers_context),
        TEST(OBJ_35_the_subscriptions_are_listed),
        TEST(OBJ_35_the_services_state_is_told_too),
        TEST(OBJ_35_subscribers_come_and_go_while_others_change),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
