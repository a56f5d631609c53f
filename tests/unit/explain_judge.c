/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judge of classifications with unknown fields, against brute force (explain_lab.h) and against the
 * engine: whether an answer depends, what is carried out when it does, that what is remembered is right, and
 * that the event log hears of one verdict.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "explain/judge.h"
#include "support/explain_lab.h"

struct asked {
    FWPS_INCOMING_VALUE0 values[ENGINE_MAX_FIELDS];
    FWPS_INCOMING_VALUES0 in;
    struct engine_request request;
    struct host_question q;
};

static void make_question(struct explain_lab *l, const struct lab_question *from, struct asked *x)
{
    memset(x, 0, sizeof *x);
    x->in = (FWPS_INCOMING_VALUES0){LAB_LAYER, l->layer->field_count, x->values};
    x->request.values = &x->in;
    x->q = (struct host_question){.layer = l->layer, .request = &x->request};
    for (UINT16 i = 0; i < l->layer->field_count; i++) {
        if (from->values[i] == NULL)
            x->q.unknown |= UINT64_C(1) << i;
        else
            x->values[i].value = from->values[i]->value;
    }
}

/* As a host asks it. */
static NTSTATUS judge_it(struct explain_judge *j, struct engine_reader *r, struct host_question *q,
                         struct host_answer *a)
{
    const struct engine_filter *const *filters;
    UINT16 fields[ENGINE_MAX_FIELDS];
    NTSTATUS status;
    size_t n;

    q->snapshot = engine_pin(r);
    q->tested = 0;
    n = engine_snapshot_filters(q->snapshot, q->layer->id, &filters);
    for (size_t i = 0; i < n; i++)
        for (size_t k = engine_filter_fields(filters[i], fields, ENGINE_MAX_FIELDS); k-- > 0;)
            q->tested |= UINT64_C(1) << fields[k];
    status = explain_judge(j, r, q, a);
    engine_unpin(r);
    return status;
}

static struct explain_judge *judge_of(struct explain_lab *l, bool block, uint32_t worlds)
{
    struct explain_judge_config config = {
        .state = &l->s, .assume = EXPLAIN_ASSUME_NONE, .block = block, .worlds = worlds};
    struct explain_judge *j;

    assert_int_equal(explain_judge_create(&config, &j), 0);
    return j;
}

struct heard {
    unsigned count;
    UINT64 filter_id;
    FWP_ACTION_TYPE action;
};

static void hear(void *ctx, const struct engine_request *q, const struct engine_verdict *v)
{
    struct heard *h = ctx;

    (void)q;
    h->count++;
    h->filter_id = v->filter_id;
    h->action = v->action;
}

static void ask(struct explain_lab *l, struct explain_judge *const judges[2], struct engine_reader *r,
                uint64_t *seed, struct heard *heard)
{
    struct lab_question question;
    struct asked x;
    bool permit, block;

    lab_random_question(l, seed, &question);
    make_question(l, &question, &x);
    lab_brute_force(l, &question, &permit, &block);
    UINT64 filter_id[2];

    for (unsigned again = 0; again < 8; again++) { /* solved, then remembered; heard, unheard, heard again */
        bool as_block = again % 2, listens = again < 2 || again >= 6;
        struct host_answer a;

        *heard = (struct heard){0};
        engine_observe_blocks(l->s.engine, listens);
        engine_observe_permits(l->s.engine, listens);
        assert_int_equal(judge_it(judges[as_block], r, &x.q, &a), STATUS_SUCCESS);
        assert_int_equal(a.depends, permit && block);
        assert_int_equal(a.verdict.action == FWP_ACTION_BLOCK, a.depends ? as_block : block);
        assert_true(a.depends_on == (a.depends_on & x.q.unknown));
        if (a.depends)
            assert_true(a.depends_on != 0 || a.depends_on_callout != NULL);
        else
            assert_true(a.depends_on == 0 && a.depends_on_callout == NULL);
        assert_int_equal(heard->count, listens);
        if (listens) {
            assert_int_equal(heard->action, a.verdict.action);
            assert_true(heard->filter_id == a.verdict.filter_id);
        }
        if (again >= 2)
            assert_true(a.verdict.filter_id == filter_id[as_block]);
        filter_id[as_block] = a.verdict.filter_id;
    }
}

static void answers_equal_brute_force(void **state)
{
    struct explain_lab *l = *state;
    struct explain_judge *judges[2] = {judge_of(l, false, 8), judge_of(l, true, 0)};
    struct heard heard;
    struct engine_observer observer = {.ctx = &heard, .want_permits = true, .classified = hear};
    struct explain_judge_counts counts;
    struct engine_reader *r;
    uint64_t seed = 815;

    assert_int_equal(engine_reader_create(l->s.engine, &r), 0);
    for (unsigned policy = 0; policy < 60; policy++) {
        struct explain_arena a = {0};
        struct engine_filter *filters[LAB_FILTERS];
        uint32_t n = lab_random_policy(l, &a, &seed, filters);

        for (unsigned i = 0; i < 6; i++) {
            engine_set_observer(l->s.engine, &observer);
            ask(l, judges, r, &seed, &heard);
        }
        engine_set_observer(l->s.engine, NULL);
        lab_remove_policy(l, filters, n);
        explain_arena_free(&a);
    }
    explain_judge_counts(judges[1], &counts);
    assert_true(counts.asked == 60 * 6 * 4);
    assert_true(counts.solved <= 60 * 6); /* the second time each is remembered */
    assert_true(counts.undecided == 0);
    engine_reader_destroy(r);
    explain_judge_destroy(judges[0]);
    explain_judge_destroy(judges[1]);
}

/* Nothing unknown, callouts settled: what the engine says, filter and all. */
static void known_questions_are_the_engines(void **state)
{
    struct explain_lab *l = *state;
    struct explain_judge *j = judge_of(l, false, 0);
    struct engine_assumption assumptions[2] = {{l->callouts[0], FWP_ACTION_BLOCK},
                                               {l->callouts[1], FWP_ACTION_CONTINUE}};
    struct explain_assumption settled[2] = {{l->callouts[0], SOLVE_CALLOUT_BLOCK, "test"},
                                            {l->callouts[1], SOLVE_CALLOUT_CONTINUE, "test"}};
    struct explain_judge_config config = {
        .state = &l->s, .assume = EXPLAIN_ASSUME_NONE, .callouts = settled, .callout_count = 2};
    struct engine_reader *r;
    uint64_t seed = 4712;

    explain_judge_destroy(j);
    assert_int_equal(explain_judge_create(&config, &j), 0);
    assert_int_equal(engine_reader_create(l->s.engine, &r), 0);
    for (unsigned policy = 0; policy < 60; policy++) {
        struct explain_arena a = {0};
        struct engine_filter *filters[LAB_FILTERS];
        uint32_t n = lab_random_policy(l, &a, &seed, filters);

        for (unsigned i = 0; i < 20; i++) {
            struct lab_question question;
            struct engine_verdict v;
            struct host_answer answer;
            struct asked x;

            lab_random_question(l, &seed, &question);
            for (unsigned u = 0; u < question.unknown_count; u++) {
                unsigned f = question.unknown[u];

                question.values[l->field[f]->index] = &l->universe[f][lab_below(&seed, l->universe_count[f])];
            }
            make_question(l, &question, &x);
            x.request.assumptions = assumptions;
            x.request.assumption_count = 2;
            assert_int_equal(engine_classify(r, &x.request, &v), STATUS_SUCCESS);
            assert_int_equal(judge_it(j, r, &x.q, &answer), STATUS_SUCCESS);
            assert_false(answer.depends);
            assert_int_equal(answer.verdict.action, v.action);
            assert_true(answer.verdict.filter_id == v.filter_id);
            assert_int_equal(answer.verdict.rights, v.rights);
        }
        lab_remove_policy(l, filters, n);
        explain_arena_free(&a);
    }
    engine_reader_destroy(r);
    explain_judge_destroy(j);
}

static bool completed;

static void complete(void *ctx)
{
    struct asked *x = ctx;

    completed = true;
    x->values[0].value =
        (FWP_VALUE0){.type = FWP_BYTE_BLOB_TYPE, .byteBlob = (FWP_BYTE_BLOB *)(uintptr_t) "x"};
}

static bool seen_world, seen_completed;

static void look(void *ctx, const struct engine_request *q, const struct engine_verdict *v)
{
    (void)v;
    engine_request_complete(q);
    seen_completed = q->values->incomingValue[0].value.type == FWP_BYTE_BLOB_TYPE;
    seen_world = q->values->incomingValue[*(UINT16 *)ctx].value.type == FWP_UINT16 &&
                 q->values->incomingValue[*(UINT16 *)ctx].value.uint16 == 443;
}

/* What an observer sees is the world's value where it was unknown, and what was filled in late. */
static void a_request_is_completed_under_the_world(void **state)
{
    struct explain_lab *l = *state;
    UINT64 weight = 1;
    UINT16 port = l->field[1]->index;
    FWPS_FILTER_CONDITION0 c = {
        .fieldId = port, .matchType = FWP_MATCH_EQUAL, .conditionValue = {.type = FWP_UINT16, .uint16 = 443}};
    FWPS_FILTER3 fwps = {.filterId = 990,
                         .weight = {.type = FWP_UINT64, .uint64 = &weight},
                         .numFilterConditions = 1,
                         .filterCondition = &c,
                         .action = {.type = FWP_ACTION_BLOCK}};
    struct engine_filter_desc desc = {.layer_id = LAB_LAYER, .fwps = &fwps, .filter_key = {.Data1 = 990}};
    struct engine_observer observer = {.ctx = &port, .classified = look};
    struct explain_judge *j = judge_of(l, true, 0);
    struct engine_filter *f;
    struct engine_txn *t;
    struct engine_reader *r;
    struct host_answer a;
    struct asked x = {0};
    UINT64 forgets;

    assert_int_equal(engine_reader_create(l->s.engine, &r), 0);
    assert_int_equal(engine_filter_create(&desc, &f), 0);
    assert_int_equal(engine_txn_begin(l->s.engine, &t), 0);
    assert_int_equal(engine_txn_add(t, f), 0);
    assert_int_equal(engine_txn_commit(t), 0);
    engine_set_observer(l->s.engine, &observer);
    x.in = (FWPS_INCOMING_VALUES0){LAB_LAYER, l->layer->field_count, x.values};
    x.request = (struct engine_request){.values = &x.in, .complete = complete, .complete_ctx = &x};
    x.q = (struct host_question){.layer = l->layer, .request = &x.request, .unknown = UINT64_C(1) << port};
    assert_int_equal(judge_it(j, r, &x.q, &a), STATUS_SUCCESS);
    assert_true(a.depends);
    assert_true(a.depends_on == UINT64_C(1) << port);
    assert_int_equal(a.verdict.action, FWP_ACTION_BLOCK);
    assert_true(a.verdict.filter_id == 990);
    assert_true(completed && seen_completed && seen_world);
    /* ... and who calls somebody again without asking is told the same, until it is forgotten. */
    assert_true(a.supposed == UINT64_C(1) << port);
    assert_int_equal(a.supposed_values[port].type, FWP_UINT16);
    assert_int_equal(a.supposed_values[port].uint16, 443);
    forgets = *explain_judge_forgets(j);
    assert_int_equal(judge_it(j, r, &x.q, &a), STATUS_SUCCESS);
    assert_true(*explain_judge_forgets(j) == forgets);
    engine_set_observer(l->s.engine, NULL);
    assert_int_equal(engine_txn_begin(l->s.engine, &t), 0);
    assert_int_equal(engine_txn_remove(t, LAB_LAYER, 990), 0);
    assert_int_equal(engine_txn_commit(t), 0);
    assert_int_equal(judge_it(j, r, &x.q, &a), STATUS_SUCCESS);
    assert_true(*explain_judge_forgets(j) != forgets);
    assert_true(a.supposed == 0);
    engine_filter_unref(f);
    engine_reader_destroy(r);
    explain_judge_destroy(j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_equal_brute_force),
        cmocka_unit_test(known_questions_are_the_engines),
        cmocka_unit_test(a_request_is_completed_under_the_world),
    };

    return cmocka_run_group_tests(tests, lab_set_up, lab_tear_down);
}
