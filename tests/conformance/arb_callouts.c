/* SPDX-License-Identifier: Apache-2.0 */
/* ARB: callouts: what they are shown, what their answers do, rights and vetoes (ARB-03..05, 13,
 * 14, 16..19, 21..23, 27, 28, 31..34), and what stands in for a callout that is not registered (OBJ-22..24).
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "engine_lab.h"

static int setup(void **state)
{
    struct lab *l = malloc(sizeof(*l));

    lab_open(l, FWPS_LAYER_ALE_AUTH_CONNECT_V4);
    *state = l;
    return 0;
}

static int teardown(void **state)
{
    lab_close(*state);
    free(*state);
    return 0;
}

#define WRITE FWPS_RIGHT_ACTION_WRITE
#define CLEAR FWPS_FILTER_FLAG_CLEAR_ACTION_RIGHT

static const GUID A = {.Data1 = 0xa}, B = {.Data1 = 0xb}, C = {.Data1 = 0xc};

static UINT64 plain(struct lab *l, UINT16 sublayer, FWP_ACTION_TYPE action, UINT16 flags)
{
    return lab_add(l,
                   &(struct lab_filter){.sublayer = sublayer, .weight = 1, .action = action, .flags = flags});
}

/* A filter whose callout does what the script says; `kind` is FWP_ACTION_CALLOUT_*. */
static UINT64 callout(struct lab *l, const GUID *key, UINT16 sublayer, UINT64 weight, FWP_ACTION_TYPE kind,
                      UINT16 flags, struct lab_script *s)
{
    if (engine_callout_state(l->engine, key) != ENGINE_CALLOUT_REGISTERED)
        lab_register(l, key, 1, 0);
    return lab_add(l, &(struct lab_filter){.sublayer = sublayer,
                                           .weight = weight,
                                           .action = kind,
                                           .flags = flags,
                                           .callout = key,
                                           .script = s});
}

static UINT64 terminating(struct lab *l, const GUID *key, UINT16 sublayer, UINT64 weight,
                          struct lab_script *s)
{
    return callout(l, key, sublayer, weight, FWP_ACTION_CALLOUT_TERMINATING, 0, s);
}

static void expect(struct lab *l, FWP_ACTION_TYPE action, UINT32 rights, UINT64 filter_id)
{
    const struct engine_verdict *v = lab_classify(l);

    assert_int_equal(v->action, action);
    assert_int_equal(v->rights, rights);
    assert_true(v->filter_id == filter_id);
}

#define SAYS(a)                                                                                              \
    {                                                                                                        \
        .act = true, .action = (a)                                                                           \
    }
#define SAYS_HARD(a)                                                                                         \
    {                                                                                                        \
        .act = true, .action = (a), .clear_write = true                                                      \
    }

static void ARB_03_continue_hands_over(void **state)
{
    struct lab *l = *state;
    const FWP_ACTION_TYPE go_on[] = {FWP_ACTION_CONTINUE, FWP_ACTION_NONE, FWP_ACTION_NONE_NO_MATCH};

    for (size_t i = 0; i < 3; i++) {
        struct lab_script first = SAYS(go_on[i]), second = SAYS(FWP_ACTION_BLOCK),
                          third = SAYS(FWP_ACTION_PERMIT);
        UINT64 decided;

        callout(l, &A, 5, 30, FWP_ACTION_CALLOUT_UNKNOWN, 0, &first);
        decided = callout(l, &B, 5, 20, FWP_ACTION_CALLOUT_UNKNOWN, 0, &second);
        callout(l, &C, 5, 10, FWP_ACTION_CALLOUT_UNKNOWN, 0, &third);
        expect(l, FWP_ACTION_BLOCK, WRITE, decided);
        assert_int_equal(first.calls, 1);
        assert_int_equal(second.calls, 1);
        assert_int_equal(third.calls, 0);
        lab_clear(l);
    }
}

static void ARB_04_all_sublayers_after_a_block(void **state)
{
    struct lab *l = *state;
    struct lab_script s = SAYS(FWP_ACTION_CONTINUE), t = SAYS(FWP_ACTION_CONTINUE);
    UINT64 block = plain(l, 9, FWP_ACTION_BLOCK, 0);

    terminating(l, &A, 5, 1, &s);
    terminating(l, &B, 1, 1, &t);
    expect(l, FWP_ACTION_BLOCK, 0, block);
    assert_int_equal(s.calls, 1);
    assert_int_equal(t.calls, 1);
}

static void ARB_05_called_with_block_and_no_write(void **state)
{
    struct lab *l = *state;
    struct lab_script s = SAYS(FWP_ACTION_PERMIT);
    UINT64 block = plain(l, 9, FWP_ACTION_BLOCK, 0);

    terminating(l, &A, 5, 1, &s);
    expect(l, FWP_ACTION_BLOCK, 0, block); /* its result cannot change the verdict */
    assert_int_equal(s.shown.actionType, FWP_ACTION_BLOCK);
    assert_int_equal(s.shown.rights & WRITE, 0);
}

static void ARB_13_flag_is_only_passed_on(void **state)
{
    struct lab *l = *state;
    struct lab_script s = SAYS(FWP_ACTION_PERMIT);
    UINT64 id = callout(l, &A, 9, 1, FWP_ACTION_CALLOUT_TERMINATING, CLEAR, &s), block;

    /* the engine does not clear WRITE for a callout: a soft permit, and a warning */
    expect(l, FWP_ACTION_PERMIT, WRITE, id);
    assert_int_equal(s.filter->flags & FWPS_FILTER_FLAG_CLEAR_ACTION_RIGHT, CLEAR);
    assert_int_equal(l->conduct, ENGINE_CONDUCT_SOFT_PERMIT);
    block = plain(l, 5, FWP_ACTION_BLOCK, 0);
    expect(l, FWP_ACTION_BLOCK, 0, block);
    s.clear_write = true; /* the callout does it itself */
    expect(l, FWP_ACTION_PERMIT, 0, id);
    assert_int_equal(l->conduct, 0);
}

static void ARB_14_veto(void **state)
{
    struct lab *l = *state;
    struct lab_script veto = SAYS(FWP_ACTION_BLOCK), later = {.calls = 0};
    UINT64 id;

    plain(l, 9, FWP_ACTION_PERMIT, CLEAR);
    id = terminating(l, &A, 5, 1, &veto);
    terminating(l, &B, 1, 1, &later);
    expect(l, FWP_ACTION_BLOCK, 0, id);
    assert_int_equal(l->verdict.flags, ENGINE_VERDICT_VETO);
    assert_true(l->sublayers[1].took_effect);
    assert_int_equal(later.shown.actionType, FWP_ACTION_BLOCK); /* and it is final */
    assert_int_equal(l->conduct, 0);
    /* a block where WRITE was set is no veto */
    lab_clear(l);
    terminating(l, &A, 5, 1, &veto);
    lab_classify(l);
    assert_int_equal(l->verdict.flags, 0);
}

static void ARB_16_without_write_only_permit_to_block(void **state)
{
    struct lab *l = *state;
    const FWP_ACTION_TYPE tries[] = {FWP_ACTION_PERMIT, FWP_ACTION_CONTINUE, FWP_ACTION_NONE,
                                     FWP_ACTION_NONE_NO_MATCH, 0};
    UINT64 block = plain(l, 9, FWP_ACTION_BLOCK, 0);

    for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
        struct lab_script s = SAYS(tries[i]);
        UINT64 id = terminating(l, &A, 5, 1, &s);

        expect(l, FWP_ACTION_BLOCK, 0, block);
        assert_int_equal(l->conduct, tries[i] == 0 ? 0 : ENGINE_CONDUCT_NO_RIGHT);
        lab_remove(l, id);
    }
    /* over a hard permit: nothing but a block does anything */
    lab_clear(l);
    block = plain(l, 9, FWP_ACTION_PERMIT, CLEAR);
    for (size_t i = 1; i < sizeof(tries) / sizeof(tries[0]); i++) {
        struct lab_script s = SAYS(tries[i]);
        UINT64 id = terminating(l, &A, 5, 1, &s);

        expect(l, FWP_ACTION_PERMIT, 0, block);
        lab_remove(l, id);
    }
}

static void ARB_18_write_cannot_be_regained(void **state)
{
    struct lab *l = *state;
    struct lab_script greedy = {.set_write = true}, seen = {.calls = 0};
    UINT64 block = plain(l, 9, FWP_ACTION_BLOCK, 0), permit;

    terminating(l, &A, 5, 1, &greedy);
    terminating(l, &B, 4, 1, &seen);
    permit = plain(l, 1, FWP_ACTION_PERMIT, 0);
    expect(l, FWP_ACTION_BLOCK, 0, block);
    assert_int_equal(l->conduct, ENGINE_CONDUCT_RIGHTS_GAINED);
    assert_int_equal(seen.shown.rights, 0);
    lab_remove(l, permit);
    /* with a veto in one: the block stands and stays hard */
    lab_clear(l);
    greedy = (struct lab_script){.act = true, .action = FWP_ACTION_BLOCK, .set_write = true};
    plain(l, 9, FWP_ACTION_PERMIT, CLEAR);
    block = terminating(l, &A, 5, 1, &greedy);
    plain(l, 1, FWP_ACTION_PERMIT, 0);
    expect(l, FWP_ACTION_BLOCK, 0, block);
}

static void ARB_19_inspection_answers_are_ignored(void **state)
{
    struct lab *l = *state;
    const FWP_ACTION_TYPE answers[] = {FWP_ACTION_PERMIT, FWP_ACTION_BLOCK};

    for (size_t i = 0; i < 2; i++) {
        struct lab_script s = {
            .act = true, .action = answers[i], .clear_write = true, .flags = FWPS_CLASSIFY_OUT_FLAG_ABSORB};
        struct lab_script next = SAYS(FWP_ACTION_CONTINUE);
        UINT64 id;

        callout(l, &A, 5, 30, FWP_ACTION_CALLOUT_INSPECTION, 0, &s);
        callout(l, &B, 5, 20, FWP_ACTION_CALLOUT_UNKNOWN, 0, &next);
        expect(l, FWP_ACTION_PERMIT, WRITE, 0);
        assert_int_equal(next.calls, 1); /* it never ends its sublayer */
        assert_int_equal(next.shown.actionType, 0);
        assert_int_equal(next.shown.rights, WRITE);
        assert_true(l->conduct & ENGINE_CONDUCT_INSPECTION_ACTED);
        id = lab_add(l, &(struct lab_filter){.sublayer = 5, .weight = 10, .action = FWP_ACTION_PERMIT});
        expect(l, FWP_ACTION_PERMIT, WRITE, id);
        lab_clear(l);
    }
}

static void ARB_21_terminating_and_unknown(void **state)
{
    struct lab *l = *state;
    const FWP_ACTION_TYPE kinds[] = {FWP_ACTION_CALLOUT_TERMINATING, FWP_ACTION_CALLOUT_UNKNOWN};

    for (size_t k = 0; k < 2; k++) {
        struct lab_script permit = SAYS(FWP_ACTION_PERMIT), block = SAYS_HARD(FWP_ACTION_BLOCK),
                          go_on = SAYS(FWP_ACTION_CONTINUE);
        UINT64 id = callout(l, &A, 5, 30, kinds[k], 0, &permit);

        expect(l, FWP_ACTION_PERMIT, WRITE, id);
        lab_clear(l);
        id = callout(l, &A, 5, 30, kinds[k], 0, &block);
        expect(l, FWP_ACTION_BLOCK, 0, id);
        lab_clear(l);
        callout(l, &A, 5, 30, kinds[k], 0, &go_on);
        expect(l, FWP_ACTION_PERMIT, WRITE, 0);
        /* UNKNOWN may continue; TERMINATING promised not to */
        assert_int_equal(l->conduct, k == 0 ? ENGINE_CONDUCT_CONTINUED : 0);
        lab_clear(l);
    }
}

static void ARB_22_terminating_that_continues(void **state)
{
    struct lab *l = *state;
    struct lab_script s = SAYS(FWP_ACTION_NONE);
    UINT64 next;

    callout(l, &A, 5, 30, FWP_ACTION_CALLOUT_TERMINATING, 0, &s);
    next = plain(l, 5, FWP_ACTION_BLOCK, 0);
    expect(l, FWP_ACTION_BLOCK, 0, next);
    assert_int_equal(l->conduct, ENGINE_CONDUCT_CONTINUED);
}

static void ARB_23_none_is_no_decision(void **state)
{
    struct lab *l = *state;
    const FWP_ACTION_TYPE none[] = {FWP_ACTION_NONE, FWP_ACTION_NONE_NO_MATCH};

    for (size_t i = 0; i < 2; i++) {
        struct lab_script s = SAYS(none[i]), next = SAYS(FWP_ACTION_PERMIT);
        UINT64 id;

        callout(l, &A, 5, 30, FWP_ACTION_CALLOUT_UNKNOWN, 0, &s);
        id = callout(l, &B, 5, 20, FWP_ACTION_CALLOUT_UNKNOWN, 0, &next);
        expect(l, FWP_ACTION_PERMIT, WRITE, id);
        assert_int_equal(next.shown.actionType, 0); /* nothing has been decided before */
        lab_clear(l);
    }
}

static void ARB_27_what_a_callout_is_shown(void **state)
{
    struct lab *l = *state;
    struct lab_script first = {
        .act = true, .action = FWP_ACTION_BLOCK, .flags = FWPS_CLASSIFY_OUT_FLAG_ABSORB};
    struct lab_script second = {.calls = 0}, third = {.calls = 0};
    UINT64 id = terminating(l, &A, 9, 1, &first);

    callout(l, &B, 5, 30, FWP_ACTION_CALLOUT_UNKNOWN, 0, &second);
    callout(l, &C, 4, 20, FWP_ACTION_CALLOUT_UNKNOWN, 0, &third);
    lab_classify(l);
    assert_int_equal(first.shown.actionType, 0);
    assert_int_equal(first.shown.rights, WRITE);
    assert_int_equal(first.shown.flags, 0);
    assert_true(first.shown.filterId == 0 && first.shown.outContext == 0);
    assert_int_equal(second.shown.actionType, FWP_ACTION_BLOCK);
    assert_int_equal(second.shown.rights, WRITE);
    assert_int_equal(second.shown.flags, 0); /* ABSORB of the earlier one is not shown */
    assert_true(second.shown.filterId == id);
}

static void ARB_27_left_alone(void **state)
{
    struct lab *l = *state;
    struct lab_script s = {.calls = 0};
    UINT64 permit, mine, next;

    /* 0: CONTINUE */
    terminating(l, &A, 5, 30, &s);
    next = plain(l, 5, FWP_ACTION_BLOCK, 0);
    expect(l, FWP_ACTION_BLOCK, 0, next);
    lab_clear(l);
    /* unchanged with WRITE set: its own answer, and the sublayer ends */
    permit = plain(l, 9, FWP_ACTION_PERMIT, 0);
    mine = terminating(l, &A, 5, 30, &s);
    plain(l, 5, FWP_ACTION_BLOCK, 0);
    expect(l, FWP_ACTION_PERMIT, WRITE, mine);
    lab_clear(l);
    /* unchanged with WRITE clear: CONTINUE, the next filter of the sublayer is asked */
    permit = plain(l, 9, FWP_ACTION_PERMIT, CLEAR);
    terminating(l, &A, 5, 30, &s);
    next = plain(l, 5, FWP_ACTION_BLOCK, 0);
    expect(l, FWP_ACTION_PERMIT, 0, permit);
    assert_true(l->sublayers[1].filter_id == next);
}

static void ARB_28_absorb_belongs_to_the_final_block(void **state)
{
    struct lab *l = *state;
    struct lab_script soft = {
        .act = true, .action = FWP_ACTION_BLOCK, .flags = FWPS_CLASSIFY_OUT_FLAG_ABSORB};
    struct lab_script other = SAYS_HARD(FWP_ACTION_BLOCK);
    UINT64 id = terminating(l, &A, 9, 1, &soft), second;

    expect(l, FWP_ACTION_BLOCK, WRITE, id);
    assert_int_equal(l->verdict.flags, ENGINE_VERDICT_ABSORB);
    second = terminating(l, &B, 5, 1, &other); /* another's block wins: an ordinary drop */
    expect(l, FWP_ACTION_BLOCK, 0, second);
    assert_int_equal(l->verdict.flags, 0);
    lab_remove(l, second);
    second = plain(l, 5, FWP_ACTION_BLOCK, 0);
    expect(l, FWP_ACTION_BLOCK, 0, second);
    assert_int_equal(l->verdict.flags, 0);
    lab_remove(l, second);
    plain(l, 5, FWP_ACTION_PERMIT, 0);
    lab_classify(l);
    assert_int_equal(l->verdict.flags, 0);
    /* a veto may absorb */
    lab_clear(l);
    plain(l, 9, FWP_ACTION_PERMIT, CLEAR);
    terminating(l, &A, 5, 1, &soft);
    lab_classify(l);
    assert_int_equal(l->verdict.flags, ENGINE_VERDICT_ABSORB | ENGINE_VERDICT_VETO);
    /* an absorb over a foreign hard block does not count */
    lab_clear(l);
    plain(l, 9, FWP_ACTION_BLOCK, 0);
    terminating(l, &A, 5, 1, &soft);
    lab_classify(l);
    assert_int_equal(l->verdict.flags, 0);
}

static void ARB_31_hard_drop_or_a_warning(void **state)
{
    struct lab *l = *state;
    struct lab_script s = {.act = true, .action = FWP_ACTION_BLOCK, .flags = FWPS_CLASSIFY_OUT_FLAG_ABSORB};

    terminating(l, &A, 9, 1, &s);
    plain(l, 1, FWP_ACTION_PERMIT, 0);
    /* WRITE left set: a lighter sublayer permits the original although it was absorbed */
    assert_int_equal(lab_classify(l)->action, FWP_ACTION_PERMIT);
    assert_true(l->conduct & ENGINE_CONDUCT_SOFT_ABSORB);
    s.clear_write = true;
    assert_int_equal(lab_classify(l)->action, FWP_ACTION_BLOCK);
    assert_int_equal(l->verdict.flags, ENGINE_VERDICT_ABSORB);
    assert_int_equal(l->conduct, 0);
}

/* No WRITE on entry: no action change; the callout may still be classified. */
static void ARB_32_no_write_no_action_change(void **state)
{
    struct lab *l = *state;
    struct lab_script s = SAYS(FWP_ACTION_PERMIT);
    UINT64 block = plain(l, 9, FWP_ACTION_BLOCK, 0);

    terminating(l, &A, 5, 1, &s);
    expect(l, FWP_ACTION_BLOCK, 0, block);
    assert_true(l->conduct & ENGINE_CONDUCT_NO_RIGHT);
}

/* The engine refuses nothing where WRITE is absent: the callout is called, its absorb has no effect, the
 * verdict is whole. (That it pended then is for the contract verifier to say.) */
static void ARB_33_engine_refuses_nothing(void **state)
{
    struct lab *l = *state;
    struct lab_script s = {.flags = FWPS_CLASSIFY_OUT_FLAG_ABSORB};
    bool pended = true;
    UINT64 permit = plain(l, 9, FWP_ACTION_PERMIT, CLEAR);

    l->request.pended = &pended;
    terminating(l, &A, 5, 1, &s);
    expect(l, FWP_ACTION_PERMIT, 0, permit);
    assert_int_equal(s.calls, 1);
    assert_int_equal(l->verdict.flags, 0);
    assert_true(l->conduct & ENGINE_CONDUCT_ABSORB_IGNORED);
}

static void ARB_34_changed_without_effect_ends_the_sublayer(void **state)
{
    struct lab *l = *state;
    struct lab_script s = SAYS(FWP_ACTION_PERMIT), next = SAYS(FWP_ACTION_CONTINUE);
    UINT64 block = plain(l, 9, FWP_ACTION_BLOCK, 0), mine = terminating(l, &A, 5, 30, &s);

    callout(l, &B, 5, 20, FWP_ACTION_CALLOUT_UNKNOWN, 0, &next);
    expect(l, FWP_ACTION_BLOCK, 0, block);
    assert_int_equal(next.calls, 0);
    assert_true(l->sublayers[1].filter_id == mine);
    assert_false(l->sublayers[1].took_effect);
    s.act = false; /* left unchanged: goes on */
    expect(l, FWP_ACTION_BLOCK, 0, block);
    assert_int_equal(next.calls, 1);
}

/* ---- not registered ------------------------------------------------------------------------------------ */

static UINT64 orphan(struct lab *l, UINT16 sublayer, FWP_ACTION_TYPE kind, UINT16 flags)
{
    return lab_add(l, &(struct lab_filter){
                          .sublayer = sublayer, .weight = 5, .action = kind, .flags = flags, .callout = &A});
}

static void OBJ_22_unregistered_callout(void **state)
{
    struct lab *l = *state;
    struct lab_script s = SAYS(FWP_ACTION_PERMIT);
    UINT64 id = orphan(l, 5, FWP_ACTION_CALLOUT_TERMINATING, 0);

    assert_int_equal(engine_callout_state(l->engine, &A), ENGINE_CALLOUT_UNREGISTERED);
    expect(l, FWP_ACTION_BLOCK, 0, id);
    assert_int_equal(l->verdict.flags, ENGINE_VERDICT_SUBSTITUTE);
    assert_true(l->substitutes[0]);
    lab_clear(l);
    id = orphan(l, 5, FWP_ACTION_CALLOUT_UNKNOWN, 0);
    expect(l, FWP_ACTION_BLOCK, 0, id);
    lab_clear(l);
    orphan(l, 5, FWP_ACTION_CALLOUT_INSPECTION, 0);
    expect(l, FWP_ACTION_PERMIT, WRITE, 0); /* skipped */
    lab_clear(l);
    /* registered, then not any more */
    id = terminating(l, &A, 5, 1, &s);
    expect(l, FWP_ACTION_PERMIT, WRITE, id);
    assert_int_equal(engine_callout_unregister(l->engine, &A), 0);
    assert_int_equal(engine_callout_unregister(l->engine, &A), -2); /* -ENOENT */
    expect(l, FWP_ACTION_BLOCK, 0, id);
}

static void OBJ_23_permit_if_callout_unregistered(void **state)
{
    struct lab *l = *state;
    UINT64 id = orphan(l, 5, FWP_ACTION_CALLOUT_TERMINATING, FWPS_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED);

    expect(l, FWP_ACTION_PERMIT, WRITE, id);
    lab_clear(l);
    id = orphan(l, 5, FWP_ACTION_CALLOUT_UNKNOWN, FWPS_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED);
    expect(l, FWP_ACTION_PERMIT, WRITE, id);
    assert_int_equal(l->verdict.flags, ENGINE_VERDICT_SUBSTITUTE);
}

static void OBJ_24_substitutes_are_a_filters_own(void **state)
{
    struct lab *l = *state;
    UINT64 id = orphan(l, 9, FWP_ACTION_CALLOUT_TERMINATING, 0), permit;

    plain(l, 5, FWP_ACTION_PERMIT, 0); /* the block is hard */
    expect(l, FWP_ACTION_BLOCK, 0, id);
    lab_clear(l);
    /* ... and no veto: it is a filter's */
    permit = plain(l, 9, FWP_ACTION_PERMIT, CLEAR);
    orphan(l, 5, FWP_ACTION_CALLOUT_TERMINATING, 0);
    expect(l, FWP_ACTION_PERMIT, 0, permit);
    lab_clear(l);
    orphan(l, 9, FWP_ACTION_CALLOUT_TERMINATING, FWPS_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED);
    id = plain(l, 5, FWP_ACTION_BLOCK, 0); /* the permit is soft */
    expect(l, FWP_ACTION_BLOCK, 0, id);
    lab_clear(l);
    id =
        orphan(l, 9, FWP_ACTION_CALLOUT_TERMINATING, FWPS_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED | CLEAR);
    plain(l, 5, FWP_ACTION_BLOCK, 0); /* unless it is asked to be hard */
    expect(l, FWP_ACTION_PERMIT, 0, id);
}

/* An imported callout is neither: its answer is supposed, or unknown. */
static void foreign_callouts(void **state)
{
    struct lab *l = *state;
    struct engine_assumption assumed = {A, FWP_ACTION_BLOCK};
    UINT64 id = orphan(l, 9, FWP_ACTION_CALLOUT_TERMINATING, 0), next;

    assert_int_equal(engine_callout_set_foreign(l->engine, &A, true), 0);
    assert_int_equal(engine_callout_state(l->engine, &A), ENGINE_CALLOUT_FOREIGN);
    expect(l, FWP_ACTION_PERMIT, WRITE, 0);
    assert_int_equal(l->verdict.flags, ENGINE_VERDICT_FOREIGN | ENGINE_VERDICT_IMPLICIT);
    assert_int_equal(l->answers[0], ENGINE_ANSWER_FOREIGN);
    next = plain(l, 5, FWP_ACTION_BLOCK, 0);
    expect(l, FWP_ACTION_BLOCK, 0, next); /* FOREIGN stays although another decided */
    assert_int_equal(l->verdict.flags, ENGINE_VERDICT_FOREIGN);
    l->request.assumptions = &assumed;
    l->request.assumption_count = 1;
    expect(l, FWP_ACTION_BLOCK, 0, id);
    assert_int_equal(l->verdict.flags, 0);
    assumed.action = FWP_ACTION_PERMIT;
    expect(l, FWP_ACTION_BLOCK, 0, next);
    assumed.action = FWP_ACTION_CONTINUE;
    expect(l, FWP_ACTION_BLOCK, 0, next);
    assert_int_equal(l->verdict.flags, 0);
    /* with CLEAR_ACTION_RIGHT it is taken to clear WRITE as it permits */
    lab_clear(l);
    id = orphan(l, 9, FWP_ACTION_CALLOUT_TERMINATING, CLEAR);
    plain(l, 5, FWP_ACTION_BLOCK, 0);
    assumed.action = FWP_ACTION_PERMIT;
    expect(l, FWP_ACTION_PERMIT, 0, id);
    /* a supposed block vetoes a hard permit; behind a hard block nothing depends on it */
    lab_clear(l);
    plain(l, 12, FWP_ACTION_PERMIT, CLEAR);
    id = orphan(l, 9, FWP_ACTION_CALLOUT_TERMINATING, 0);
    assumed.action = FWP_ACTION_BLOCK;
    expect(l, FWP_ACTION_BLOCK, 0, id);
    assert_int_equal(l->verdict.flags, ENGINE_VERDICT_VETO);
    l->request.assumption_count = 0;
    next = plain(l, 14, FWP_ACTION_BLOCK, 0);
    expect(l, FWP_ACTION_BLOCK, 0, next);
    assert_int_equal(l->verdict.flags, 0);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ARB_03_continue_hands_over),
        TEST(ARB_04_all_sublayers_after_a_block),
        TEST(ARB_05_called_with_block_and_no_write),
        TEST(ARB_13_flag_is_only_passed_on),
        TEST(ARB_14_veto),
        TEST(ARB_16_without_write_only_permit_to_block),
        TEST(ARB_18_write_cannot_be_regained),
        TEST(ARB_19_inspection_answers_are_ignored),
        TEST(ARB_21_terminating_and_unknown),
        TEST(ARB_22_terminating_that_continues),
        TEST(ARB_23_none_is_no_decision),
        TEST(ARB_27_what_a_callout_is_shown),
        TEST(ARB_27_left_alone),
        TEST(ARB_28_absorb_belongs_to_the_final_block),
        TEST(ARB_31_hard_drop_or_a_warning),
        TEST(ARB_32_no_write_no_action_change),
        TEST(ARB_33_engine_refuses_nothing),
        TEST(ARB_34_changed_without_effect_ends_the_sublayer),
        TEST(OBJ_22_unregistered_callout),
        TEST(OBJ_23_permit_if_callout_unregistered),
        TEST(OBJ_24_substitutes_are_a_filters_own),
        TEST(foreign_callouts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
