/* SPDX-License-Identifier: Apache-2.0 */
/* Section 13: callouts come, are told of their filters, and go (LIFE, OBJ-21, OBJ-39). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fwpmk.h"
#include "fwpsk.h"

#include "bfe/subscribe.h"
#include "driver_lab.h"

#define AC4 FWPS_LAYER_ALE_AUTH_CONNECT_V4

static NTSTATUS delete_filter(struct driver_lab *l, struct driver_lab_script *s)
{
    NTSTATUS status = FwpmFilterDeleteById0(l->engine, s->filter_id);

    s->filter_id = 0;
    return status;
}

/* ---- registering -----------------------------------------------------------------------------------------
 */

static void LIFE_01_a_key_is_registered_once(void **state)
{
    struct driver_lab *l = *state;
    struct driver_lab_script *s = SCRIPT(l);
    FWPS_CALLOUT0 none = {0};
    UINT32 id = 77, first;

    assert_int_equal(driver_lab_register(l, s), STATUS_SUCCESS);
    assert_int_not_equal(s->id, 0);
    first = s->id;
    assert_int_equal(driver_lab_register(l, s), STATUS_FWP_ALREADY_EXISTS);
    assert_int_equal(s->id, first);
    assert_int_equal(FwpsCalloutRegister0(&l->device, &none, &id), STATUS_FWP_NULL_POINTER);
    assert_int_equal(FwpsCalloutRegister0(&l->device, NULL, &id), STATUS_FWP_NULL_POINTER);
    assert_int_equal(id, 77);
    assert_int_equal(ledger_open_count(ledger_current(), LEDGER_CALLOUT), 1);
}

static void OBJ_21_either_half_comes_first(void **state)
{
    struct driver_lab *l = *state;
    struct driver_lab_script *runtime_first = SCRIPT(l, .action = FWP_ACTION_PERMIT),
                             *object_first = SCRIPT(l, .action = FWP_ACTION_PERMIT);
    FWPM_CALLOUT0 *half;

    assert_int_equal(driver_lab_register(l, runtime_first), STATUS_SUCCESS);
    driver_lab_add_half(l, "AC", runtime_first);
    assert_int_equal(FwpmCalloutGetByKey0(l->engine, &runtime_first->key, &half), STATUS_SUCCESS);
    assert_int_equal(half->calloutId, runtime_first->id); /* one id for both */
    FwpmFreeMemory0((void **)&half);

    driver_lab_add_half(l, "AC", object_first);
    assert_int_equal(driver_lab_register(l, object_first), STATUS_SUCCESS);
    assert_int_equal(FwpmCalloutGetById0(l->engine, object_first->id, &half), STATUS_SUCCESS);
    assert_memory_equal(&half->calloutKey, &object_first->key, sizeof(GUID));
    FwpmFreeMemory0((void **)&half);
    assert_int_not_equal(runtime_first->id, object_first->id);

    /* both are called */
    assert_int_equal(driver_lab_add_filter(l, "AC", runtime_first), STATUS_SUCCESS);
    LAB_OUT(&l->host, .sport = 4000, .dport = 53);
    assert_int_equal(runtime_first->calls, 1);
    delete_filter(l, runtime_first);
    assert_int_equal(driver_lab_add_filter(l, "AC", object_first), STATUS_SUCCESS);
    LAB_OUT(&l->host, .sport = 4001, .dport = 53);
    assert_int_equal(object_first->calls, 1);
}

static void OBJ_21_before_the_service_runs(void **state)
{
    struct driver_lab *l = *state;
    struct driver_lab_script *s = SCRIPT(l);

    assert_int_equal(FwpmEngineClose0(l->engine), STATUS_SUCCESS);
    assert_int_equal(bfe_stop(l->bfe.bfe), 0);
    assert_int_equal(driver_lab_register(l, s), STATUS_SUCCESS);
    assert_int_equal(bfe_start(l->bfe.bfe), 0);
    assert_int_equal(FwpmEngineOpen0(NULL, RPC_C_AUTHN_WINNT, NULL, NULL, &l->engine), STATUS_SUCCESS);
    driver_lab_add_half(l, "AC", s);
    assert_int_equal(driver_lab_add_filter(l, "AC", s), STATUS_SUCCESS);
    assert_int_equal(s->added, 1);
}

/* ---- unregistering ---------------------------------------------------------------------------------------
 */

static void keep_context(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    s->ctx = (void *)(uintptr_t)FwpsFlowAssociateContext0(c->metadata->flowHandle, AC4, s->id, 99);
}

static void LIFE_03_busy_while_flows_carry_contexts(void **state)
{
    struct driver_lab *l = *state;
    struct driver_lab_script *s = SCRIPT(l, .action = FWP_ACTION_PERMIT, .then = keep_context);
    UINT64 flow;

    driver_lab_callout(l, "AC", s);
    LAB_OUT(&l->host, .sport = 4000, .dport = 53);
    flow = l->host.outcome.flow_id;
    assert_ptr_equal(s->ctx, (void *)(uintptr_t)STATUS_SUCCESS);
    assert_int_equal(FwpsCalloutUnregisterById0(s->id), STATUS_DEVICE_BUSY);
    assert_int_equal(FwpsCalloutUnregisterByKey0(&s->key), STATUS_DEVICE_BUSY);
    assert_int_equal(FwpsFlowRemoveContext0(flow, AC4, s->id), STATUS_SUCCESS);
    assert_int_equal(s->contexts_deleted, 1);
    assert_int_equal(FwpsCalloutUnregisterById0(s->id), STATUS_SUCCESS);
    assert_int_equal(FwpsCalloutUnregisterById0(s->id), STATUS_FWP_CALLOUT_NOT_FOUND);
    assert_int_equal(FwpsCalloutUnregisterByKey0(&s->key), STATUS_FWP_CALLOUT_NOT_FOUND);
    assert_int_equal(ledger_open_count(ledger_current(), LEDGER_CALLOUT), 0);
    assert_int_equal(ledger_open_count(ledger_current(), LEDGER_FLOW_CONTEXT), 0);
}

static void unregister_self(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    (void)c;
    s->ctx = (void *)(uintptr_t)FwpsCalloutUnregisterById0(s->id);
}

static void LIFE_03_in_use_while_another_unregisters(void **state)
{
    struct driver_lab *l = *state;
    struct driver_lab_script *s = SCRIPT(l);
    struct bfe_callout_entry held;

    assert_int_equal(driver_lab_register(l, s), STATUS_SUCCESS);
    assert_int_equal(bfe_callout_hold(l->bfe.bfe, &s->key, 0, false, &held), STATUS_SUCCESS);
    assert_int_equal(FwpsCalloutUnregisterById0(s->id), STATUS_FWP_IN_USE);
    assert_int_equal(driver_lab_register(l, s), STATUS_FWP_IN_USE);
    bfe_callout_release(l->bfe.bfe, &s->key, false);
    assert_int_equal(FwpsCalloutUnregisterById0(s->id), STATUS_SUCCESS);
}

static void LIFE_05_leaving_means_no_classify_and_no_context(void **state)
{
    struct driver_lab *l = *state;
    struct driver_lab_script *s = SCRIPT(l, .action = FWP_ACTION_PERMIT, .then = keep_context);
    UINT64 flow;

    driver_lab_callout(l, "AC", s);
    LAB_OUT(&l->host, .sport = 4000, .dport = 53);
    flow = l->host.outcome.flow_id;
    assert_int_equal(s->calls, 1);
    assert_int_equal(FwpsCalloutUnregisterById0(s->id), STATUS_DEVICE_BUSY);
    LAB_OUT(&l->host, .sport = 4001, .dport = 53);
    assert_int_equal(s->calls, 1);
    assert_int_equal(l->host.outcome.fate, HOST_BLOCKED); /* as a terminating callout that is not there */
    assert_int_equal(FwpsFlowAssociateContext0(flow, AC4, s->id, 5), STATUS_INVALID_PARAMETER);
    assert_int_equal(driver_lab_register(l, s), STATUS_FWP_ALREADY_EXISTS);
    assert_int_equal(s->contexts_deleted, 0);
    host_shutdown(l->host.host);
    assert_int_equal(s->contexts_deleted, 1); /* what is owed is delivered */
    assert_int_equal(FwpsCalloutUnregisterById0(s->id), STATUS_SUCCESS);
}

static void LIFE_06_from_inside_it_would_wait_for_itself(void **state)
{
    struct driver_lab *l = *state;
    struct driver_lab_script *s = SCRIPT(l, .action = FWP_ACTION_PERMIT, .then = unregister_self);

    driver_lab_callout(l, "AC", s);
    LAB_OUT(&l->host, .sport = 4000, .dport = 53);
    assert_ptr_equal(s->ctx, (void *)(uintptr_t)STATUS_DEVICE_BUSY);
    assert_int_equal(l->found[LEDGER_BUGCHECK], 1);
}

struct slow {
    atomic_bool inside, go, left;
    atomic_uint seen_inside;
    struct driver_lab *lab;
    UINT32 id;
    NTSTATUS status;
};

static void stay(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    struct slow *w = s->ctx;

    (void)c;
    w->inside = true;
    while (!w->go)
        rt_yield();
    w->left = true;
}

static void unregister_it(void *arg)
{
    struct slow *w = arg;

    while (!w->inside)
        rt_yield();
    w->go = true; /* the classify now takes as long as it takes */
    w->status = FwpsCalloutUnregisterById0(w->id);
    w->seen_inside = !w->left;
}

static void LIFE_06_waits_for_who_is_inside(void **state)
{
    struct driver_lab *l = *state;
    struct slow w = {.lab = l};
    struct driver_lab_script *s = SCRIPT(l, .action = FWP_ACTION_PERMIT, .then = stay, .ctx = &w);
    struct rt_thread *t;

    driver_lab_callout(l, "AC", s);
    w.id = s->id;
    assert_int_equal(rt_thread_start("unregister", unregister_it, &w, &t), 0);
    LAB_OUT(&l->host, .sport = 4000, .dport = 53);
    rt_thread_join(t);
    assert_int_equal(w.status, STATUS_SUCCESS);
    assert_int_equal(w.seen_inside, 0);
}

/* ---- notifications ---------------------------------------------------------------------------------------
 */

static void LIFE_08_told_of_filters_added_after_registering(void **state)
{
    struct driver_lab *l = *state;
    struct driver_lab_script *s = SCRIPT(l);
    UINT64 before;

    driver_lab_add_half(l, "AC", s);
    assert_int_equal(driver_lab_add_filter(l, "AC", s), STATUS_SUCCESS);
    before = s->filter_id;
    assert_int_equal(driver_lab_register(l, s), STATUS_SUCCESS);
    assert_int_equal(s->added, 0); /* no replay */
    assert_int_equal(driver_lab_add_filter(l, "AC", s), STATUS_SUCCESS);
    assert_int_equal(s->added, 1);
    assert_int_equal(FwpmFilterDeleteById0(l->engine, before), STATUS_SUCCESS);
}

static void OBJ_39_who_refuses_a_filter_keeps_it_out(void **state)
{
    struct driver_lab *l = *state;
    struct driver_lab_script *s = SCRIPT(l, .notify_status = STATUS_INVALID_PARAMETER);

    assert_int_equal(driver_lab_register(l, s), STATUS_SUCCESS);
    driver_lab_add_half(l, "AC", s);
    assert_int_equal(driver_lab_add_filter(l, "AC", s), STATUS_FWP_CALLOUT_NOTIFICATION_FAILED);
    assert_int_equal(s->added, 1);
    assert_int_equal(s->deleted, 0); /* it was never added */
    LAB_OUT(&l->host, .sport = 4000, .dport = 53);
    assert_int_equal(s->calls, 0);
    assert_int_equal(l->host.outcome.fate, HOST_PASSED);
}

static void LIFE_09_refusing_a_deletion_is_ignored(void **state)
{
    struct driver_lab *l = *state;
    struct driver_lab_script *s =
        SCRIPT(l, .action = FWP_ACTION_BLOCK); /* the lab's notifyFn fails every DELETE */

    driver_lab_callout(l, "AC", s);
    assert_int_equal(delete_filter(l, s), STATUS_SUCCESS);
    assert_int_equal(s->deleted, 1);
    LAB_OUT(&l->host, .sport = 4000, .dport = 53);
    assert_int_equal(l->host.outcome.fate, HOST_PASSED);
    /* and a refused ADD adds nothing */
    s->notify_status = STATUS_UNSUCCESSFUL;
    assert_int_equal(driver_lab_add_filter(l, "AC", s), STATUS_FWP_CALLOUT_NOTIFICATION_FAILED);
    s->filter_id = 0;
}

static void LIFE_10_told_of_every_deletion(void **state)
{
    struct driver_lab *l = *state;
    struct driver_lab_script *s = SCRIPT(l);

    driver_lab_add_half(l, "AC", s);
    assert_int_equal(driver_lab_add_filter(l, "AC", s), STATUS_SUCCESS); /* before it is registered */
    assert_int_equal(driver_lab_register(l, s), STATUS_SUCCESS);
    assert_int_equal(delete_filter(l, s), STATUS_SUCCESS);
    assert_int_equal(s->added, 0);
    assert_int_equal(s->deleted, 1);
    assert_false(s->delete_had_key);
    assert_int_equal(s->deleted_filter_context, 0);
}

static void see_context(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    s->ctx = (void *)(uintptr_t)c->filter->context;
}

static void LIFE_12_the_filters_context(void **state)
{
    struct driver_lab *l = *state;
    struct driver_lab_script *s = SCRIPT(l, .action = FWP_ACTION_PERMIT, .then = see_context);

    driver_lab_callout(l, "AC", s); /* ADD sets the context to 1 */
    LAB_OUT(&l->host, .sport = 4000, .dport = 53);
    assert_ptr_equal(s->ctx, (void *)1);
    assert_int_equal(delete_filter(l, s), STATUS_SUCCESS);
    assert_int_equal(s->deleted_filter_context, 1);
    assert_int_equal(driver_lab_add_filter(l, "AC", s), STATUS_SUCCESS);
    LAB_OUT(&l->host, .sport = 4001, .dport = 53);
    assert_ptr_equal(s->ctx, (void *)2);
}

static void delete_inside(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    assert_int_equal(FwpmFilterDeleteById0(c->lab->engine, s->filter_id), STATUS_SUCCESS);
    s->filter_id = 0;
    s->ctx = (void *)(uintptr_t)s->deleted; /* not while this classify has the filter */
}

static void LIFE_13_deleted_when_no_classify_has_it(void **state)
{
    struct driver_lab *l = *state;
    struct driver_lab_script *s =
        SCRIPT(l, .action = FWP_ACTION_PERMIT, .then = delete_inside, .ctx = (void *)9);

    driver_lab_callout(l, "AC", s);
    LAB_OUT(&l->host, .sport = 4000, .dport = 53);
    assert_ptr_equal(s->ctx, NULL);
    bfe_callouts_settle(l->bfe.bfe);
    assert_int_equal(s->deleted, 1);
}

static void LIFE_14_transactions(void **state)
{
    struct driver_lab *l = *state;
    struct driver_lab_script *at_once = SCRIPT(l, .action = FWP_ACTION_PERMIT);
    struct driver_lab_script *late =
        SCRIPT(l, .callout_flags = FWP_CALLOUT_FLAG_ENABLE_COMMIT_ADD_NOTIFY, .action = FWP_ACTION_PERMIT,
               .notify_status = STATUS_UNSUCCESSFUL); /* a veto that does not count */

    assert_int_equal(driver_lab_register(l, at_once), STATUS_SUCCESS);
    assert_int_equal(driver_lab_register(l, late), STATUS_SUCCESS);
    driver_lab_add_half(l, "AC", at_once);
    driver_lab_add_half(l, "AC", late);

    assert_int_equal(FwpmTransactionBegin0(l->engine, 0), STATUS_SUCCESS);
    assert_int_equal(driver_lab_add_filter(l, "AC", at_once), STATUS_SUCCESS);
    assert_int_equal(driver_lab_add_filter(l, "AC", late), STATUS_SUCCESS);
    assert_int_equal(at_once->added, 1);
    assert_int_equal(late->added, 0);
    assert_int_equal(FwpmTransactionAbort0(l->engine), STATUS_SUCCESS);
    assert_int_equal(at_once->deleted, 1); /* for each ADD that was sent */
    assert_int_equal(late->deleted, 0);
    at_once->filter_id = late->filter_id = 0;

    assert_int_equal(FwpmTransactionBegin0(l->engine, 0), STATUS_SUCCESS);
    assert_int_equal(driver_lab_add_filter(l, "AC", late), STATUS_SUCCESS);
    assert_int_equal(late->added, 0);
    assert_int_equal(FwpmTransactionCommit0(l->engine), STATUS_SUCCESS);
    assert_int_equal(late->added, 1);
    LAB_OUT(&l->host, .sport = 4000, .dport = 53);
    assert_int_equal(late->calls, 1);
}

static void manage(struct driver_lab_script *s, FWPS_CALLOUT_NOTIFY_TYPE type, FWPS_FILTER1 *filter)
{
    FWPM_FILTER0 *f;

    (void)type;
    assert_int_equal(rt_carried()->irql, PASSIVE_LEVEL);
    s->ctx = (void *)(uintptr_t)FwpmFilterGetById0(s->lab->engine, filter->filterId, &f);
}

struct other {
    struct driver_lab *lab;
    atomic_bool start, tried, done;
};

static void get_something(void *arg)
{
    struct other *o = arg;
    FWPM_CALLOUT0 *c;
    GUID none = {0};

    while (!o->start)
        rt_yield();
    o->tried = true;
    FwpmCalloutGetByKey0(o->lab->engine, &none, &c);
    o->done = true;
}

static void hold_the_store(struct driver_lab_script *s, FWPS_CALLOUT_NOTIFY_TYPE type, FWPS_FILTER1 *filter)
{
    struct other *o = s->ctx;

    (void)type;
    (void)filter;
    o->start = true;
    while (!o->tried)
        rt_yield();
    for (int i = 0; i < 2000; i++)
        rt_yield();
    assert_false(o->done); /* the store's lock is held */
}

static void LIFE_15_at_passive_with_the_store_locked(void **state)
{
    struct driver_lab *l = *state;
    struct other o = {.lab = l};
    struct driver_lab_script *s = SCRIPT(l, .notified_then = manage);
    struct driver_lab_script *t = SCRIPT(l, .notified_then = hold_the_store, .ctx = &o);
    struct rt_thread *thread;

    driver_lab_callout(l, "AC", s);
    assert_ptr_equal(s->ctx, (void *)(uintptr_t)STATUS_POSSIBLE_DEADLOCK); /* Windows would hang */
    assert_int_equal(l->found[LEDGER_BUGCHECK], 1);
    s->notified_then = NULL;

    assert_int_equal(driver_lab_register(l, t), STATUS_SUCCESS);
    driver_lab_add_half(l, "AC", t);
    assert_int_equal(rt_thread_start("other", get_something, &o, &thread), 0);
    assert_int_equal(driver_lab_add_filter(l, "AC", t), STATUS_SUCCESS);
    rt_thread_join(thread);
    assert_true(o.done);
    t->notified_then = NULL;
}

static void LIFE_16_the_management_half_goes_alone(void **state)
{
    struct driver_lab *l = *state;
    struct driver_lab_script *s = SCRIPT(l, .action = FWP_ACTION_BLOCK);

    driver_lab_callout(l, "AC", s);
    assert_int_equal(FwpmCalloutDeleteByKey0(l->engine, &s->key), STATUS_FWP_IN_USE);
    assert_int_equal(delete_filter(l, s), STATUS_SUCCESS);
    assert_int_equal(FwpmCalloutDeleteByKey0(l->engine, &s->key), STATUS_SUCCESS);
    /* the run-time half is as it was */
    driver_lab_add_half(l, "AC", s);
    assert_int_equal(driver_lab_add_filter(l, "AC", s), STATUS_SUCCESS);
    LAB_OUT(&l->host, .sport = 4000, .dport = 53);
    assert_int_equal(s->calls, 1);
    assert_int_equal(l->host.outcome.fate, HOST_BLOCKED);
}

static void LIFE_18_no_flow_delete_no_contexts(void **state)
{
    struct driver_lab *l = *state;
    struct driver_lab_script *s =
        SCRIPT(l, .action = FWP_ACTION_PERMIT, .then = keep_context, .no_flow_delete = true);

    driver_lab_callout(l, "AC", s);
    LAB_OUT(&l->host, .sport = 4000, .dport = 53);
    assert_int_equal(s->calls, 1);
    assert_ptr_equal(s->ctx, (void *)(uintptr_t)STATUS_INVALID_PARAMETER);
    assert_int_equal(FwpsCalloutUnregisterById0(s->id), STATUS_SUCCESS);
}

static void NTAPI state_changed(void *context, FWPM_SERVICE_STATE state)
{
    atomic_uint *bits = context;

    atomic_fetch_or(bits, 1u << state);
}

static void LIFE_20_a_driver_waits_for_the_engine(void **state)
{
    struct driver_lab *l = *state;
    atomic_uint seen = 0;
    HANDLE h;

    assert_int_equal(FwpmEngineClose0(l->engine), STATUS_SUCCESS);
    assert_int_equal(bfe_stop(l->bfe.bfe), 0);
    assert_int_equal(FwpmBfeStateSubscribeChanges0(&l->device, state_changed, &seen, &h), STATUS_SUCCESS);
    rt_carried()->irql = DISPATCH_LEVEL;
    assert_int_equal(FwpmBfeStateGet0(), FWPM_SERVICE_STOPPED);
    rt_carried()->irql = PASSIVE_LEVEL;
    assert_int_equal(l->found[LEDGER_NOTE], 0);
    assert_int_equal(bfe_start(l->bfe.bfe), 0);
    bfe_notify_flush(l->bfe.bfe);
    assert_true(seen & 1u << FWPM_SERVICE_RUNNING);
    assert_int_equal(FwpmBfeStateGet0(), FWPM_SERVICE_RUNNING);
    assert_int_equal(FwpmBfeStateUnsubscribeChanges0(h), STATUS_SUCCESS);
    assert_int_equal(FwpmEngineOpen0(NULL, RPC_C_AUTHN_WINNT, NULL, NULL, &l->engine), STATUS_SUCCESS);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, driver_lab_setup, driver_lab_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(LIFE_01_a_key_is_registered_once),
        TEST(OBJ_21_either_half_comes_first),
        TEST(OBJ_21_before_the_service_runs),
        TEST(LIFE_03_busy_while_flows_carry_contexts),
        TEST(LIFE_03_in_use_while_another_unregisters),
        TEST(LIFE_05_leaving_means_no_classify_and_no_context),
        TEST(LIFE_06_from_inside_it_would_wait_for_itself),
        TEST(LIFE_06_waits_for_who_is_inside),
        TEST(LIFE_08_told_of_filters_added_after_registering),
        TEST(OBJ_39_who_refuses_a_filter_keeps_it_out),
        TEST(LIFE_09_refusing_a_deletion_is_ignored),
        TEST(LIFE_10_told_of_every_deletion),
        TEST(LIFE_12_the_filters_context),
        TEST(LIFE_13_deleted_when_no_classify_has_it),
        TEST(LIFE_14_transactions),
        TEST(LIFE_15_at_passive_with_the_store_locked),
        TEST(LIFE_16_the_management_half_goes_alone),
        TEST(LIFE_18_no_flow_delete_no_contexts),
        TEST(LIFE_20_a_driver_waits_for_the_engine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
