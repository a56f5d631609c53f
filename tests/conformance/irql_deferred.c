/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IRQL-09: what a completion brings about comes in the call, or, where that is asked for, on another thread;
 * on both back ends. Whoever gives frames is told when an operation is over, once, and how it went.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <string.h>
#include <cmocka.h>

#include "host_lab.h"
#include "rt/rt.h"

#define SYN_OUT .protocol = WIRE_PROTOCOL_TCP, .tcp_flags = WIRE_TCP_SYN, .sport = 50000, .dport = 443

struct pender {
    struct host_lab lab;
    struct host_lab_callout callout;
    FWP_ACTION_TYPE again;
    HANDLE context;
    uintptr_t thread; /* of the second classify */
    uint8_t irql;
    unsigned asked_again, told;
    struct host_completed completed;
};

static void play(struct host_lab_callout *c, FWPS_CLASSIFY_OUT0 *out)
{
    struct pender *p = c->ctx;

    if ((c->metadata->currentMetadataValues & FWPS_METADATA_FIELD_COMPLETION_HANDLE) == 0) {
        p->thread = rt_self();
        p->irql = rt_carried()->irql;
        out->actionType = p->again;
        __atomic_add_fetch(&p->asked_again, 1, __ATOMIC_RELEASE);
        return;
    }
    assert_int_equal(host_pend(p->lab.host, c->metadata->completionHandle, &p->context), STATUS_SUCCESS);
    out->actionType = FWP_ACTION_BLOCK;
    out->flags |= FWPS_CLASSIFY_OUT_FLAG_ABSORB;
    out->rights &= ~(UINT32)FWPS_RIGHT_ACTION_WRITE;
}

static struct pender *the_pender; /* host_config.ctx is the lab's */

static void completed(void *ctx, const struct host_completed *c)
{
    (void)ctx;
    the_pender->completed = *c;
    __atomic_add_fetch(&the_pender->told, 1, __ATOMIC_RELEASE);
}

static void await(const unsigned *what)
{
    struct rt_sim *sim = rt_sim_current();
    struct timespec a_little = {.tv_nsec = 1000000};

    if (sim != NULL) {
        rt_sim_settle(sim, rt_clock_now(rt_sim_clock(sim)));
        return;
    }
    for (unsigned i = 0; i < 10000 && __atomic_load_n(what, __ATOMIC_ACQUIRE) == 0; i++)
        nanosleep(&a_little, NULL);
}

static void complete_one(bool deferred, FWP_ACTION_TYPE again)
{
    const struct host_config config = {.knobs = {.defer_completion = deferred}, .completed = completed};
    struct pender *p = the_pender = calloc(1, sizeof(*p));
    UINT64 filter;

    assert_non_null(p);
    host_lab_open(&p->lab, &config);
    p->again = again;
    p->callout = (struct host_lab_callout){.action = 0, .also = play, .ctx = p};
    filter = host_lab_callout(&p->lab, "AC", &p->callout);
    LAB_OUT(&p->lab, SYN_OUT);
    assert_int_equal(p->lab.outcome.fate, HOST_HELD);
    assert_int_equal(p->lab.outcome.layer->id, FWPS_LAYER_ALE_AUTH_CONNECT_V4); /* its own */
    LAB_OUT(&p->lab, SYN_OUT);
    assert_int_equal(p->lab.outcome.fate, HOST_HELD);
    assert_null(p->lab.outcome.layer); /* the first one's */
    assert_int_equal(host_complete(p->lab.host, p->context), STATUS_SUCCESS);
    if (!deferred || rt_sim_current() != NULL)
        assert_int_equal(__atomic_load_n(&p->asked_again, __ATOMIC_ACQUIRE), deferred ? 0 : 1);
    await(&p->told);
    assert_int_equal(__atomic_load_n(&p->told, __ATOMIC_ACQUIRE), 1);
    assert_int_equal(p->asked_again, 1);
    assert_int_equal(p->thread == rt_self(), !deferred);
    assert_int_equal(p->irql, PASSIVE_LEVEL);
    assert_int_equal(p->completed.operation, HOST_OPERATION_CONNECT);
    assert_int_equal(p->completed.frame, 1);
    assert_int_equal(p->completed.permitted, again == FWP_ACTION_PERMIT);
    assert_false(p->completed.cancelled);
    assert_int_equal(p->completed.refused_by, again == FWP_ACTION_PERMIT ? 0 : filter);
    assert_int_equal(host_complete(p->lab.host, p->context), STATUS_INVALID_PARAMETER); /* once */
    LAB_OUT(&p->lab, SYN_OUT);
    assert_int_equal(p->lab.outcome.fate, again == FWP_ACTION_PERMIT ? HOST_PASSED : HOST_CONSEQUENCE);
    host_lab_close(&p->lab);
    free(p);
}

static void all(void)
{
    complete_one(false, FWP_ACTION_PERMIT);
    complete_one(false, FWP_ACTION_BLOCK);
    complete_one(true, FWP_ACTION_PERMIT);
    complete_one(true, FWP_ACTION_BLOCK);
}

static void IRQL_09_in_the_call_or_deferred(void **state)
{
    (void)state;
    all();
}

static void IRQL_09_in_a_simulated_world_as_well(void **state)
{
    const struct rt_sim_config config = {.seed = 1, .start_ns = 1};
    struct rt_sim *sim;

    (void)state;
    assert_int_equal(rt_sim_create(&config, &sim), 0);
    assert_int_equal(rt_sim_enter(sim), 0);
    all();
    rt_sim_leave(sim);
    rt_sim_destroy(sim);
}

/* Completed after its subject has gone: nobody is asked, and that is told too (PEND-41). */
static void what_is_cancelled_is_told_as_such(void **state)
{
    const struct host_config config = {.completed = completed};
    struct pender *p = the_pender = calloc(1, sizeof(*p));

    (void)state;
    assert_non_null(p);
    host_lab_open(&p->lab, &config);
    p->callout = (struct host_lab_callout){.action = 0, .also = play, .ctx = p};
    host_lab_callout(&p->lab, "AC", &p->callout);
    LAB_OUT(&p->lab, SYN_OUT);
    assert_int_equal(p->lab.outcome.fate, HOST_HELD);
    host_shutdown(p->lab.host);
    assert_int_equal(p->told, 0);
    assert_int_equal(host_complete(p->lab.host, p->context), STATUS_SUCCESS);
    assert_int_equal(p->told, 1);
    assert_int_equal(p->asked_again, 0);
    assert_true(p->completed.cancelled && !p->completed.permitted);
    host_lab_close(&p->lab);
    free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(IRQL_09_in_the_call_or_deferred),
        cmocka_unit_test(IRQL_09_in_a_simulated_world_as_well),
        cmocka_unit_test(what_is_cancelled_is_told_as_such),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
