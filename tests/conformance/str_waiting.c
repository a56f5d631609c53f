/* SPDX-License-Identifier: Apache-2.0 */
/* Section 12: data that wait: NEED_MORE_DATA, DEFER, limits, ends (STR-09..12, 14, 15, 33; CLS-16, 17). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fwpmk.h"
#include "fwpsk.h"

#include "stream_lab.h"

#define NEEDS(n) .stream = FWPS_STREAM_ACTION_NEED_MORE_DATA, .need = (n)
#define DEFERS   .stream = FWPS_STREAM_ACTION_DEFER

static struct player *alone(struct stream_lab *l)
{
    return stream_lab_play(l, &(struct player){.weight = 5});
}

static void fill(struct stream_lab *l, bool out, char with, size_t size)
{
    char *bytes = malloc(size);

    assert_non_null(bytes);
    memset(bytes, with, size);
    stream_lab_bytes(l, out, bytes, size, 0);
    free(bytes);
}

/* ---- STR-09 */

static void STR_09_all_is_shown_again_when_so_much_is_there(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = alone(l);

    MOVES(p, {NEEDS(6), .enforce = 1}, {.action = FWP_ACTION_PERMIT});
    stream_lab_receive(l, "ab", 0);
    assert_int_equal(l->held, 2);
    stream_lab_receive(l, "cde", 0);
    assert_string_equal(p->seen, "<ab "); /* five are not six */
    assert_int_equal(l->held, 5);
    stream_lab_receive(l, "fgh", 0);
    assert_string_equal(p->seen, "<ab <abcdefgh ");
    assert_string_equal(l->in, "abcdefgh");
    assert_int_equal(l->held, 0);
}

static void STR_09_at_least_one_byte_more_comes_first(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = alone(l);

    MOVES(p, {NEEDS(2)}, {NEEDS(4)}, {.action = FWP_ACTION_PERMIT});
    stream_lab_receive(l, "abcd", 0);
    assert_string_equal(p->seen, "<abcd "); /* two are there already: not asked for ever */
    stream_lab_receive(l, "e", 0);
    assert_string_equal(p->seen, "<abcd <abcde ");
    stream_lab_receive(l, "f", 0);
    assert_string_equal(l->in, "abcdef");
}

static void STR_09_in_the_verifiers_mode_so_many_are_to_be_new(void **state)
{
    struct host_config c = {.knobs = {.stream_need_new = true}};
    struct stream_lab l;
    struct player *p;

    (void)state;
    stream_lab_open(&l, &c, false);
    p = alone(&l);
    MOVES(p, {NEEDS(3)}, {.action = FWP_ACTION_PERMIT});
    stream_lab_receive(&l, "abcd", 0);
    stream_lab_receive(&l, "ef", 0);
    assert_string_equal(p->seen, "<abcd ");
    stream_lab_receive(&l, "g", 0);
    assert_string_equal(p->seen, "<abcd <abcdefg ");
    stream_lab_close(&l);
}

static void STR_09_nothing_required_and_required_for_nothing_are_reported(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = alone(l);

    MOVES(p, {NEEDS(0)}, {.action = FWP_ACTION_PERMIT, .need = 9}, {.action = FWP_ACTION_PERMIT});
    stream_lab_receive(l, "a", 0);
    assert_int_equal(l->d.found[LEDGER_NOTE], 1);
    stream_lab_receive(l, "b", 0);
    assert_int_equal(l->d.found[LEDGER_NOTE], 2);
    assert_string_equal(p->seen, "<a <ab ");
    assert_string_equal(l->in, "ab");
}

static void STR_09_what_waits_is_behind_no_one(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = alone(l), *q = stream_lab_play(l, &(struct player){.weight = 1});

    /* Small pieces, flags of their own, a lighter callout that waits too: order and bytes stay. */
    MOVES(p, {NEEDS(3)}, {.action = FWP_ACTION_PERMIT, .enforce = 1}, {NEEDS(3)},
          {.action = FWP_ACTION_PERMIT});
    MOVES(q, {NEEDS(2)}, {.action = FWP_ACTION_PERMIT});
    stream_lab_receive(l, "a", HOST_STREAM_PUSH);
    stream_lab_receive(l, "b", HOST_STREAM_PUSH);
    stream_lab_receive(l, "c", HOST_STREAM_PUSH);
    assert_string_equal(p->seen, "<a <abc <bc ");
    assert_string_equal(q->seen, "<a ");
    stream_lab_receive(l, "d", 0);
    assert_string_equal(q->seen, "<a <abcd ");
    assert_string_equal(l->in, "abcd");
}

static void STR_09_directions_do_not_wait_for_each_other(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = stream_lab_play(l, &(struct player){.weight = 5, .receives_only = true});

    MOVES(p, {NEEDS(100)});
    stream_lab_receive(l, "in", 0);
    stream_lab_send(l, "out", 0);
    assert_string_equal(l->in, "");
    assert_string_equal(l->out, "out");
}

/* ---- STR-10, 11, CLS-16 */

static void STR_10_at_the_limit_all_is_shown_and_said_so(void **state)
{
    struct host_config c = {.limits = {.stream_buffer = 100}};
    struct host_stream_counts counts;
    struct stream_lab l;
    struct player *p;

    (void)state;
    stream_lab_open(&l, &c, false);
    p = alone(&l);
    MOVES(p, {NEEDS(1000)}, {.action = FWP_ACTION_PERMIT});
    fill(&l, false, 'a', 99);
    assert_int_equal(p->calls, 1);
    fill(&l, false, 'b', 1);
    assert_int_equal(p->calls, 2);
    assert_int_equal(p->length, 100);
    assert_int_equal(p->out_flags, FWPS_CLASSIFY_OUT_FLAG_BUFFER_LIMIT_REACHED);
    assert_int_equal(strlen(l.in), 100);
    host_stream_counts(l.d.host.host, &counts);
    assert_int_equal(counts.limited, 1);
    assert_int_equal(counts.waiting, 0);
    stream_lab_close(&l);
}

static void STR_10_the_limit_is_eight_megabytes_of_each_direction(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = alone(l);
    const size_t piece = 1u << 16;

    MOVES(p, {NEEDS(1u << 30)});
    for (size_t n = 0; n < (8u << 20) - piece; n += piece)
        fill(l, false, 'a', piece);
    for (size_t n = 0; n < (8u << 20) - piece; n += piece)
        fill(l, true, 'a', piece);
    assert_int_equal(p->calls, 2);
    fill(l, false, 'a', piece - 1);
    assert_int_equal(p->calls, 2);
    fill(l, false, 'a', 1);
    assert_int_equal(p->calls, 3);
    assert_int_equal(p->length, 8u << 20);
    assert_int_equal(p->out_flags, FWPS_CLASSIFY_OUT_FLAG_BUFFER_LIMIT_REACHED);
}

static void STR_10_all_streams_together_have_a_limit_too(void **state)
{
    struct host_config c = {.limits = {.streams_bytes = 150}};
    struct host_stream_counts counts;
    struct stream_lab l;
    struct player *p;

    (void)state;
    stream_lab_open(&l, &c, false);
    p = alone(&l);
    MOVES(p, {NEEDS(1000)}, {NEEDS(1000)}, {.action = FWP_ACTION_PERMIT});
    fill(&l, false, 'a', 100);
    stream_lab_connect(&l);
    fill(&l, false, 'b', 40);
    host_stream_counts(l.d.host.host, &counts);
    assert_int_equal(counts.waiting, 140);
    assert_int_equal(p->calls, 2);
    fill(&l, false, 'b', 40);
    assert_int_equal(p->calls, 3);
    assert_int_equal(p->out_flags, FWPS_CLASSIFY_OUT_FLAG_BUFFER_LIMIT_REACHED);
    host_stream_counts(l.d.host.host, &counts);
    assert_int_equal(counts.waiting, 100);
    stream_lab_close(&l);
}

static void CLS_16_asking_for_more_at_the_limit_is_a_permit_and_reported(void **state)
{
    struct host_config c = {.limits = {.stream_buffer = 10}};
    struct stream_lab l;
    struct player *p;

    (void)state;
    stream_lab_open(&l, &c, false);
    p = alone(&l);
    MOVES(p, {NEEDS(100)});
    stream_lab_receive(&l, "abcde", 0);
    assert_int_equal(p->out_flags, 0);
    stream_lab_receive(&l, "fghij", 0);
    assert_int_equal(p->out_flags, FWPS_CLASSIFY_OUT_FLAG_BUFFER_LIMIT_REACHED);
    assert_string_equal(l.in, "abcdefghij");
    assert_int_equal(l.d.found[LEDGER_NOTE], 1);
    assert_non_null(strstr(l.d.last, "BUFFER_LIMIT_REACHED"));
    stream_lab_receive(&l, "k", 0);
    assert_int_equal(p->out_flags, 0); /* the flag is about what waited */
    stream_lab_close(&l);
}

static void CLS_16_blocking_all_at_the_limit_takes_all_out(void **state)
{
    struct host_config c = {.limits = {.stream_buffer = 10}};
    struct stream_lab l;
    struct player *p;

    (void)state;
    stream_lab_open(&l, &c, false);
    p = alone(&l);
    MOVES(p, {NEEDS(100)}, {.action = FWP_ACTION_BLOCK}, {.action = FWP_ACTION_PERMIT});
    stream_lab_receive(&l, "abcde", 0);
    stream_lab_receive(&l, "fghijk", 0);
    stream_lab_receive(&l, "l", 0);
    assert_string_equal(p->seen, "<abcde <abcdefghijkL <l ");
    assert_string_equal(l.in, "l");
    stream_lab_close(&l);
}

/* ---- STR-33, CLS-17 */

static void STR_33_what_waits_at_the_end_is_shown_once_more_then_the_end(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = alone(l);

    MOVES(p, {NEEDS(100)}, {.action = FWP_ACTION_PERMIT});
    stream_lab_receive(l, "abc", 0);
    stream_lab_receive(l, "d", HOST_STREAM_END);
    assert_string_equal(p->seen, "<abc <abcdN <.N ");
    assert_string_equal(l->in, "abcd.");
}

static void STR_33_asked_for_more_in_the_very_call_before_the_end(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = alone(l);

    MOVES(p, {NEEDS(4)}, {.action = FWP_ACTION_PERMIT});
    stream_lab_receive(l, "abc", HOST_STREAM_END);
    assert_string_equal(p->seen, "<abc <abcN <.N ");
    assert_string_equal(l->in, "abc.");
}

static void STR_33_at_a_reset_as_well(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = alone(l);

    MOVES(p, {NEEDS(4)}, {.action = FWP_ACTION_PERMIT});
    stream_lab_receive(l, "abc", 0);
    stream_lab_receive(l, "", HOST_STREAM_ABORT);
    assert_string_equal(p->seen, "<abc <abcN <!N ");
    assert_string_equal(l->in, "abc!");
}

static void STR_33_when_the_flow_ends_without_a_word(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = alone(l);
    struct host_stream_counts c;

    MOVES(p, {NEEDS(4)}, {.action = FWP_ACTION_PERMIT});
    stream_lab_receive(l, "abc", 0);
    host_shutdown(l->d.host.host);
    assert_string_equal(p->seen, "<abc <abcN ");
    assert_string_equal(l->in, "abc");
    host_stream_counts(l->d.host.host, &c);
    assert_int_equal(c.streams, 0);
    assert_int_equal(c.memory, 0);
    assert_int_equal(c.handed, 1);
}

static void CLS_17_asking_for_more_then_is_a_permit_and_reported(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = alone(l);

    MOVES(p, {NEEDS(4)});
    stream_lab_receive(l, "abc", HOST_STREAM_END);
    assert_string_equal(p->seen, "<abc <abcN <.N ");
    assert_string_equal(l->in, "abc.");
    assert_int_equal(l->d.found[LEDGER_NOTE], 1); /* of the data and of the end: once a direction */
    assert_non_null(strstr(l->d.last, "NO_MORE_DATA"));
}

static void CLS_17_blocking_then_takes_it_out(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = alone(l);

    MOVES(p, {NEEDS(4)}, {.action = FWP_ACTION_BLOCK}, {.action = FWP_ACTION_PERMIT});
    stream_lab_receive(l, "abc", HOST_STREAM_END);
    assert_string_equal(l->in, ".");
}

/* ---- STR-14 */

static void STR_14_deferred_data_wait_until_they_are_continued(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = alone(l);

    MOVES(p, {.action = FWP_ACTION_PERMIT, .enforce = 2}, {DEFERS, .enforce = 1},
          {.action = FWP_ACTION_PERMIT});
    stream_lab_receive(l, "abcd", 0);
    assert_int_equal(l->holds, 1);
    assert_int_equal(l->held, 2);
    stream_lab_receive(l, "ef", HOST_STREAM_END); /* what comes later waits as well */
    assert_string_equal(p->seen, "<abcd <cd ");
    assert_string_equal(l->in, "ab");
    assert_int_equal(l->unholds, 0);
    assert_int_equal(stream_lab_continue(p, FWPS_STREAM_FLAG_RECEIVE), STATUS_SUCCESS);
    assert_string_equal(p->seen, "<abcd <cd <cdef <.N ");
    assert_string_equal(l->in, "abcdef.");
    assert_int_equal(l->unholds, 1);
}

static void STR_14_it_may_be_deferred_again(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = alone(l);

    MOVES(p, {DEFERS}, {DEFERS}, {.action = FWP_ACTION_BLOCK});
    stream_lab_receive(l, "ab", 0);
    assert_int_equal(stream_lab_continue(p, FWPS_STREAM_FLAG_RECEIVE), STATUS_SUCCESS);
    assert_int_equal(l->holds, 1);
    assert_int_equal(l->unholds, 0);
    assert_int_equal(stream_lab_continue(p, FWPS_STREAM_FLAG_RECEIVE), STATUS_SUCCESS);
    assert_string_equal(p->seen, "<ab <ab <ab ");
    assert_string_equal(l->in, "");
    assert_int_equal(l->unholds, 1);
}

static void STR_14_continue_is_for_what_is_deferred(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = alone(l);
    const UINT64 flow = (stream_lab_connect(l), l->flow);

    MOVES(p, {DEFERS}, {.action = FWP_ACTION_PERMIT});
    assert_int_equal(stream_lab_continue(p, FWPS_STREAM_FLAG_RECEIVE),
                     STATUS_INVALID_PARAMETER); /* no data yet */
    stream_lab_receive(l, "ab", 0);
    assert_int_equal(stream_lab_continue(p, FWPS_STREAM_FLAG_SEND), STATUS_INVALID_PARAMETER);
    assert_int_equal(FwpsStreamContinue0(flow, p->script->id, FWPS_LAYER_STREAM_V6, FWPS_STREAM_FLAG_RECEIVE),
                     STATUS_NOT_FOUND);
    assert_int_equal(
        FwpsStreamContinue0(flow, p->script->id + 77, FWPS_LAYER_STREAM_V4, FWPS_STREAM_FLAG_RECEIVE),
        STATUS_INVALID_PARAMETER);
    assert_int_equal(stream_lab_continue(p, FWPS_STREAM_FLAG_RECEIVE), STATUS_SUCCESS);
    assert_string_equal(l->in, "ab");
    assert_int_equal(stream_lab_continue(p, FWPS_STREAM_FLAG_RECEIVE), STATUS_INVALID_PARAMETER);
}

static void STR_14_what_is_sent_cannot_be_deferred(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = alone(l);

    MOVES(p, {DEFERS});
    stream_lab_send(l, "ab", 0);
    assert_string_equal(l->out, "ab");
    assert_int_equal(l->holds, 0);
    assert_int_equal(l->d.found[LEDGER_NOTE], 1);
}

static void STR_14_a_deferral_is_owed(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = alone(l);
    struct ledger_party *party = api_rt(l->d.context)->party;

    MOVES(p, {DEFERS}, {.action = FWP_ACTION_PERMIT});
    stream_lab_receive(l, "ab", 0);
    assert_int_equal(ledger_open_count(party, LEDGER_DEFERRED_STREAM), 1);
    assert_int_equal(stream_lab_continue(p, FWPS_STREAM_FLAG_RECEIVE), STATUS_SUCCESS);
    assert_int_equal(ledger_open_count(party, LEDGER_DEFERRED_STREAM), 0);
}

static void STR_14_at_the_limit_deferred_data_are_decided_about(void **state)
{
    struct host_config c = {.limits = {.stream_buffer = 4}};
    struct stream_lab l;
    struct player *p;

    (void)state;
    stream_lab_open(&l, &c, false);
    p = alone(&l);
    MOVES(p, {DEFERS});
    stream_lab_receive(&l, "ab", 0);
    stream_lab_receive(&l, "cd", 0);
    assert_string_equal(p->seen, "<ab <abcdL ");
    assert_string_equal(l.in, "abcd");
    assert_int_equal(l.unholds, 1);
    assert_int_equal(l.d.found[LEDGER_NOTE], 1);
    stream_lab_close(&l);
}

static void STR_14_a_reset_waits_for_nobody(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = alone(l);

    MOVES(p, {DEFERS}, {.action = FWP_ACTION_PERMIT});
    stream_lab_receive(l, "ab", 0);
    stream_lab_receive(l, "", HOST_STREAM_ABORT);
    assert_string_equal(p->seen, "<ab <abN <!N ");
    assert_string_equal(l->in, "ab!");
}

static void continue_now(struct player *p, const struct driver_lab_call *c,
                         FWPS_STREAM_CALLOUT_IO_PACKET0 *io)
{
    (void)c;
    (void)io;
    assert_int_equal(
        FwpsStreamContinue0(p->lab->flow, p->script->id, FWPS_LAYER_STREAM_V4, FWPS_STREAM_FLAG_RECEIVE),
        STATUS_SUCCESS);
}

static void STR_14_continued_within_a_classify_it_is_reported(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = alone(l);
    struct player *q = stream_lab_play(l, &(struct player){.weight = 1, .sends_only = true});

    MOVES(p, {DEFERS}, {.action = FWP_ACTION_PERMIT, .also = continue_now}, {.action = FWP_ACTION_PERMIT});
    MOVES(q, {.action = FWP_ACTION_PERMIT});
    stream_lab_receive(l, "ab", 0);
    stream_lab_send(l, "x", 0);
    stream_lab_settle(l);
    assert_int_equal(l->d.found[LEDGER_NOTE], 1);
    assert_string_equal(l->in, "ab");
    assert_string_equal(l->out, "x");
}

#define IN_LAB(test) cmocka_unit_test_setup_teardown(test, stream_lab_setup, stream_lab_teardown)
#define ON_BOTH(test)                                                                                        \
    IN_LAB(test),                                                                                            \
    {                                                                                                        \
#test "_simulated", test, stream_lab_setup_simulated, stream_lab_teardown, NULL                      \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_LAB(STR_09_all_is_shown_again_when_so_much_is_there),
        IN_LAB(STR_09_at_least_one_byte_more_comes_first),
        cmocka_unit_test(STR_09_in_the_verifiers_mode_so_many_are_to_be_new),
        IN_LAB(STR_09_nothing_required_and_required_for_nothing_are_reported),
        IN_LAB(STR_09_what_waits_is_behind_no_one),
        IN_LAB(STR_09_directions_do_not_wait_for_each_other),
        cmocka_unit_test(STR_10_at_the_limit_all_is_shown_and_said_so),
        IN_LAB(STR_10_the_limit_is_eight_megabytes_of_each_direction),
        cmocka_unit_test(STR_10_all_streams_together_have_a_limit_too),
        cmocka_unit_test(CLS_16_asking_for_more_at_the_limit_is_a_permit_and_reported),
        cmocka_unit_test(CLS_16_blocking_all_at_the_limit_takes_all_out),
        IN_LAB(STR_33_what_waits_at_the_end_is_shown_once_more_then_the_end),
        IN_LAB(STR_33_asked_for_more_in_the_very_call_before_the_end),
        IN_LAB(STR_33_at_a_reset_as_well),
        IN_LAB(STR_33_when_the_flow_ends_without_a_word),
        IN_LAB(CLS_17_asking_for_more_then_is_a_permit_and_reported),
        IN_LAB(CLS_17_blocking_then_takes_it_out),
        ON_BOTH(STR_14_deferred_data_wait_until_they_are_continued),
        ON_BOTH(STR_14_it_may_be_deferred_again),
        IN_LAB(STR_14_continue_is_for_what_is_deferred),
        IN_LAB(STR_14_what_is_sent_cannot_be_deferred),
        IN_LAB(STR_14_a_deferral_is_owed),
        cmocka_unit_test(STR_14_at_the_limit_deferred_data_are_decided_about),
        IN_LAB(STR_14_a_reset_waits_for_nobody),
        ON_BOTH(STR_14_continued_within_a_classify_it_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
