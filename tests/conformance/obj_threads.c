/* SPDX-License-Identifier: Apache-2.0 */
/* OBJ-02, OBJ-07, OBJ-11 with real threads: several sessions at once, and classification beside them. Meant
 * for TSan. */
#include <sched.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "bfe_lab.h"

/* ---- isolation: a number that each transaction reads, deletes and adds again one higher
 * ------------------------ */

#define COUNTERS   4
#define INCREMENTS 300

struct counting {
    struct bfe_session *s;
    NTSTATUS status;
    unsigned committed;
    struct rt_thread *thread;
};

static const UINT32 counter_key = 77;

static NTSTATUS put_counter(struct bfe_session *s, UINT32 value)
{
    GUID key = bfe_lab_guid(counter_key);
    FWPM_PROVIDER_CONTEXT3 x = bfe_lab_context(&key);
    FWP_BYTE_BLOB blob = {.size = sizeof(value), .data = (UINT8 *)&value};

    x.dataBuffer = &blob;
    return bfe_provider_context_add(s, &x, NULL, 0, NULL);
}

static NTSTATUS read_counter(struct bfe_session *s, UINT32 *value)
{
    GUID key = bfe_lab_guid(counter_key);
    FWPM_PROVIDER_CONTEXT3 *x;
    NTSTATUS status = bfe_provider_context_get(s, &key, 0, &x);

    if (status != STATUS_SUCCESS)
        return status;
    memcpy(value, x->dataBuffer->data, sizeof(*value));
    bfe_free(x);
    return STATUS_SUCCESS;
}

static void count(void *arg)
{
    struct counting *c = arg;
    GUID key = bfe_lab_guid(counter_key);

    for (unsigned i = 0; i < INCREMENTS && c->status == STATUS_SUCCESS; i++) {
        UINT32 value = 0;

        c->status = bfe_txn_begin(c->s, 0);
        if (c->status == STATUS_SUCCESS)
            c->status = read_counter(c->s, &value);
        if (c->status == STATUS_SUCCESS)
            c->status = bfe_provider_context_delete(c->s, &key, 0);
        if (c->status == STATUS_SUCCESS)
            c->status = put_counter(c->s, value + 1);
        if (c->status != STATUS_SUCCESS)
            return;
        if (i % 3 == 2) {
            c->status = bfe_txn_abort(c->s);
        } else {
            c->status = bfe_txn_commit(c->s);
            c->committed++;
        }
    }
}

/* Readers in and out of read-only transactions: never a moment without the counter, and it never falls. */
static void watch(void *arg)
{
    struct counting *c = arg;
    UINT32 last = 0;

    for (unsigned i = 0; i < INCREMENTS && c->status == STATUS_SUCCESS; i++) {
        bool in_transaction = i % 2 == 0;
        UINT32 a = 0, b = 0;

        if (in_transaction)
            c->status = bfe_txn_begin(c->s, FWPM_TXN_READ_ONLY);
        if (c->status == STATUS_SUCCESS)
            c->status = read_counter(c->s, &a);
        sched_yield(); /* let a writer try */
        if (c->status == STATUS_SUCCESS)
            c->status = read_counter(c->s, &b);
        if (c->status == STATUS_SUCCESS && (a < last || b < a || (in_transaction && a != b)))
            c->status = STATUS_FWP_INVALID_PARAMETER; /* any failure will do */
        if (c->status == STATUS_SUCCESS && in_transaction)
            c->status = bfe_txn_commit(c->s);
        last = b;
    }
}

static void OBJ_07_transactions_are_isolated(void **state)
{
    struct bfe_lab *l = *state;
    struct counting c[COUNTERS + 1] = {0};
    UINT32 value = 0, committed = 0;

    assert_int_equal(put_counter(l->kernel, 0), STATUS_SUCCESS);
    for (int i = 0; i <= COUNTERS; i++) {
        c[i].s = bfe_lab_session(l, BFE_LAB_KERNEL, 0, 0xffffffff);
        assert_int_equal(rt_thread_start("session", i == COUNTERS ? watch : count, &c[i], &c[i].thread), 0);
    }
    for (int i = 0; i <= COUNTERS; i++) {
        rt_thread_join(c[i].thread);
        assert_int_equal(c[i].status, STATUS_SUCCESS);
        committed += c[i].committed;
        bfe_session_close(c[i].s);
    }
    assert_int_equal(read_counter(l->kernel, &value), STATUS_SUCCESS);
    assert_int_equal(value, committed);
    assert_int_equal(committed, COUNTERS * (INCREMENTS - INCREMENTS / 3));
}

/* ---- dynamic sessions come and go while others hold the lock
 * ------------------------------------------------------ */

struct visitor {
    struct bfe_lab *l;
    NTSTATUS status;
    struct rt_thread *thread;
};

static void visit(void *arg)
{
    const struct bfe_caller caller = {.kernel = true};
    const FWPM_SESSION0 dynamic = {.flags = FWPM_SESSION_FLAG_DYNAMIC, .txnWaitTimeoutInMSec = 0xffffffff};
    struct visitor *v = arg;

    for (unsigned i = 0; i < INCREMENTS && v->status == STATUS_SUCCESS; i++) {
        FWPM_FILTER0 f = bfe_lab_filter(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, FWP_ACTION_BLOCK);
        struct bfe_session *s;

        v->status = bfe_session_open(v->l->bfe, &caller, &dynamic, &s);
        if (v->status != STATUS_SUCCESS)
            return;
        v->status = bfe_filter_add(s, &f, NULL, 0, NULL);
        if (v->status == STATUS_SUCCESS && i % 4 == 0)
            v->status = bfe_txn_begin(s, 0);
        bfe_session_close(s);
    }
}

static void OBJ_02_dynamic_sessions_leave_nothing(void **state)
{
    struct bfe_lab *l = *state;
    struct visitor v[3] = {{.l = l}, {.l = l}, {.l = l}};
    FWP_ACTION_TYPE action;

    for (int i = 0; i < 3; i++)
        assert_int_equal(rt_thread_start("visitor", visit, &v[i], &v[i].thread), 0);
    for (int i = 0; i < 3; i++) {
        rt_thread_join(v[i].thread);
        assert_int_equal(v[i].status, STATUS_SUCCESS);
    }
    assert_true(bfe_lab_decider(l, 80, &action) == 0);
}

/* ---- classification beside a writer
 * -------------------------------------------------------------------------------- */

struct flip {
    struct bfe_lab *l;
    struct bfe_session *s;
    int rounds;
};

/* Swaps the one filter that matches for another, in one transaction: at no time is there none or two. */
static void flip_filters(void *arg)
{
    struct flip *f = arg;
    UINT64 id = 0;

    for (int i = 0; i < f->rounds; i++) {
        UINT64 next = 0;
        FWPM_FILTER0 filter = bfe_lab_filter(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, FWP_ACTION_BLOCK);
        NTSTATUS status = bfe_txn_begin(f->s, 0);

        if (status == STATUS_SUCCESS && id != 0)
            status = bfe_filter_delete(f->s, NULL, id);
        if (status == STATUS_SUCCESS)
            status = bfe_filter_add(f->s, &filter, NULL, 0, &next);
        if (status == STATUS_SUCCESS)
            status = bfe_txn_commit(f->s);
        if (status != STATUS_SUCCESS) {
            f->rounds = -1;
            return;
        }
        id = next;
    }
}

static void OBJ_11_readers_beside_a_committing_writer(void **state)
{
    struct bfe_lab *l = *state;
    struct flip f = {.l = l, .s = bfe_lab_session(l, BFE_LAB_KERNEL, 0, 0), .rounds = 1};
    struct rt_thread *t;
    FWP_ACTION_TYPE action;
    UINT64 last = 0;

    flip_filters(&f);
    f.rounds = 2000;
    bfe_lab_add_port(l->kernel, 0, FWP_ACTION_BLOCK); /* one that stays, so that there is always one */
    assert_int_equal(rt_thread_start("writer", flip_filters, &f, &t), 0);
    for (int i = 0; i < 20000; i++) {
        UINT64 id = bfe_lab_decider(l, 80, &action);

        assert_true(id >= last); /* newer policy only, never none */
        assert_int_equal(action, FWP_ACTION_BLOCK);
        last = id;
    }
    rt_thread_join(t);
    assert_int_equal(f.rounds, 2000);
    bfe_session_close(f.s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bfe_lab_setup, bfe_lab_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(OBJ_02_dynamic_sessions_leave_nothing),
        TEST(OBJ_07_transactions_are_isolated),
        TEST(OBJ_11_readers_beside_a_committing_writer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
