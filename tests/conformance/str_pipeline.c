/* SPDX-License-Identifier: Apache-2.0 */
/* Section 12: what a stream callout is shown, and what its answer does to the bytes (STR-01..08, 13, 16, 29, 32, 34;
 * ARB-26). */
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

#define ALL_OF(p, verdict) MOVES(p, {.action = (verdict)})

/* ---- STR-01..04: what is shown */

static void look_at_io(struct player *p, const struct driver_lab_call *c, FWPS_STREAM_CALLOUT_IO_PACKET0 *io)
{
    const FWPS_STREAM_DATA0 *d = io->streamData;
    const NET_BUFFER *nb = d->dataOffset.netBuffer;

    (void)p;
    (void)c;
    assert_non_null(d);
    assert_ptr_equal(d->dataOffset.netBufferList, d->netBufferListChain);
    assert_ptr_equal(nb, NET_BUFFER_LIST_FIRST_NB(d->netBufferListChain));
    assert_ptr_equal(d->dataOffset.mdl, NET_BUFFER_CURRENT_MDL(nb));
    assert_int_equal(d->dataOffset.mdlOffset, d->dataOffset.netBufferOffset);
    assert_int_equal(d->dataOffset.streamDataOffset, d->dataOffset.netBufferOffset);
    if (NET_BUFFER_LIST_NEXT_NBL(d->netBufferListChain) == NULL)
        assert_int_equal(NET_BUFFER_DATA_LENGTH(nb), d->dataLength + d->dataOffset.netBufferOffset);
}

static void STR_01_the_members_of_the_packet_are_set_before_each_call(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = stream_lab_play(l, &(struct player){.weight = 1});

    MOVES(p, {.action = FWP_ACTION_PERMIT, .enforce = 2, .also = look_at_io},
          {.stream = FWPS_STREAM_ACTION_NEED_MORE_DATA, .need = 7, .also = look_at_io},
          {.action = FWP_ACTION_PERMIT, .also = look_at_io});
    stream_lab_receive(l, "abcd", 0);
    assert_string_equal(p->seen, "<abcd <cd ");
    assert_int_equal(p->offset, 2); /* what went on already is in the list still */
    stream_lab_receive(l, "efghijk", 0);
    assert_int_equal(p->required, 0);
    assert_int_equal(p->enforced, 0);
    assert_int_equal(p->length, 9);
    assert_string_equal(l->in, "abcdefghijk");
}

static void STR_01_the_action_is_none_before_each_call(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = stream_lab_play(l, &(struct player){.weight = 1});

    /* It answers by its action alone: what is left in streamAction from the call before would decide. */
    MOVES(p, {.stream = FWPS_STREAM_ACTION_NEED_MORE_DATA, .need = 3}, {.action = FWP_ACTION_BLOCK});
    stream_lab_receive(l, "ab", 0);
    stream_lab_receive(l, "c", 0);
    assert_string_equal(p->seen, "<ab <abc ");
    assert_string_equal(l->in, "");
}

static void STR_02_payload_comes_without_headers_in_one_piece(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = stream_lab_play(l, &(struct player){.weight = 1});

    ALL_OF(p, FWP_ACTION_PERMIT);
    stream_lab_send(l, "payload", 0);
    assert_string_equal(p->seen, ">payload ");
    assert_int_equal(p->lists, 1);
    assert_string_equal(l->out, "payload");
}

static void STR_02_one_call_may_carry_a_chain_and_several_MDLs(void **state)
{
    struct host_config c = {.knobs = {.split_list = 7, .split_mdl = 3}};
    struct stream_lab l;
    struct player *p;

    (void)state;
    stream_lab_open(&l, &c, false);
    p = stream_lab_play(&l, &(struct player){.weight = 1});
    MOVES(p, {.action = FWP_ACTION_PERMIT, .enforce = 5}, {.action = FWP_ACTION_PERMIT});
    stream_lab_receive(&l, "the quick brown fox jumps over the lazy dog", 0);
    assert_true(p->lists > 3);
    assert_true(p->mdls > p->lists);
    assert_string_equal(p->seen, "<the quick brown fox jumps over the lazy dog "
                                 "<uick brown fox jumps over the lazy dog ");
    assert_string_equal(l.in, "the quick brown fox jumps over the lazy dog");
    stream_lab_close(&l);
}

static void STR_03_flags_say_the_direction_and_what_came_with_it(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = stream_lab_play(l, &(struct player){.weight = 1});

    ALL_OF(p, FWP_ACTION_PERMIT);
    stream_lab_receive(l, "a", 0);
    assert_int_equal(p->flags, FWPS_STREAM_FLAG_RECEIVE);
    stream_lab_receive(l, "a", HOST_STREAM_PUSH);
    assert_int_equal(p->flags, FWPS_STREAM_FLAG_RECEIVE | FWPS_STREAM_FLAG_RECEIVE_PUSH);
    stream_lab_receive(l, "a", HOST_STREAM_URGENT);
    assert_int_equal(p->flags, FWPS_STREAM_FLAG_RECEIVE | FWPS_STREAM_FLAG_RECEIVE_EXPEDITED);
    stream_lab_send(l, "a", 0);
    assert_int_equal(p->flags, FWPS_STREAM_FLAG_SEND);
    stream_lab_send(l, "a", HOST_STREAM_URGENT | HOST_STREAM_NODELAY);
    assert_int_equal(p->flags,
                     FWPS_STREAM_FLAG_SEND | FWPS_STREAM_FLAG_SEND_EXPEDITED | FWPS_STREAM_FLAG_SEND_NODELAY);
    stream_lab_send(l, "", HOST_STREAM_END);
    assert_int_equal(p->flags, FWPS_STREAM_FLAG_SEND | FWPS_STREAM_FLAG_SEND_DISCONNECT);
    stream_lab_receive(l, "", HOST_STREAM_ABORT);
    assert_int_equal(p->flags, FWPS_STREAM_FLAG_RECEIVE | FWPS_STREAM_FLAG_RECEIVE_ABORT);
}

static void STR_03_bytes_come_in_the_order_of_the_stream(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = stream_lab_play(l, &(struct player){.weight = 1});

    ALL_OF(p, FWP_ACTION_PERMIT);
    stream_lab_send(l, "1", 0);
    stream_lab_receive(l, "a", 0);
    stream_lab_send(l, "2", 0);
    stream_lab_receive(l, "b", HOST_STREAM_END);
    stream_lab_send(l, "3", HOST_STREAM_END);
    assert_string_equal(p->seen, ">1 <a >2 <b <.N >3 >.N ");
    assert_string_equal(l->in, "ab.");
    assert_string_equal(l->out, "123.");
}

static void STR_04_an_end_is_an_empty_list_of_its_own(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = stream_lab_play(l, &(struct player){.weight = 1});

    MOVES(p, {.action = FWP_ACTION_PERMIT}, {.action = FWP_ACTION_PERMIT, .also = look_at_io});
    stream_lab_receive(l, "data", HOST_STREAM_END);
    assert_string_equal(p->seen, "<data <.N ");
    assert_int_equal(p->length, 0);
    assert_int_equal(p->lists, 1);
    assert_int_equal(p->out_flags, FWPS_CLASSIFY_OUT_FLAG_NO_MORE_DATA);
    assert_string_equal(l->in, "data.");
}

static void STR_04_a_reset_is_too(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = stream_lab_play(l, &(struct player){.weight = 1});

    MOVES(p, {.action = FWP_ACTION_BLOCK, .also = look_at_io});
    stream_lab_receive(l, "", HOST_STREAM_ABORT);
    assert_string_equal(p->seen, "<!N ");
    assert_int_equal(p->lists, 1);
    assert_string_equal(l->in, "!"); /* nobody keeps a reset */
}

/* ---- STR-05, ARB-26: the waterfall */

static void STR_05_the_next_sees_what_was_permitted(void **state)
{
    struct stream_lab *l = *state;
    struct player *first = stream_lab_play(l, &(struct player){.weight = 9});
    struct player *second = stream_lab_play(l, &(struct player){.weight = 5});
    struct player *third = stream_lab_play(l, &(struct player){.weight = 1});

    MOVES(first, {.action = FWP_ACTION_PERMIT}, {.action = FWP_ACTION_BLOCK}, {.action = FWP_ACTION_PERMIT});
    MOVES(second, {.action = FWP_ACTION_BLOCK}, {.action = FWP_ACTION_PERMIT});
    ALL_OF(third, FWP_ACTION_PERMIT);
    stream_lab_receive(l, "one ", 0);
    stream_lab_receive(l, "two ", 0);
    stream_lab_receive(l, "three", 0);
    assert_string_equal(first->seen, "<one  <two  <three ");
    assert_string_equal(second->seen, "<one  <three(4) ");
    assert_string_equal(third->seen, "<three(8) ");
    assert_string_equal(l->in, "three");
}

static void STR_05_what_is_blocked_is_gone_for_good(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = stream_lab_play(l, &(struct player){.weight = 1});

    MOVES(p, {.action = FWP_ACTION_BLOCK}, {.action = FWP_ACTION_PERMIT});
    stream_lab_receive(l, "gone", 0);
    stream_lab_receive(l, "here", HOST_STREAM_END);
    assert_string_equal(p->seen, "<gone <here <.N ");
    assert_string_equal(l->in, "here.");
}

static void ARB_26_no_veto_and_no_right_stands_between_sublayers(void **state)
{
    struct stream_lab *l = *state;
    struct player *first = stream_lab_play(l, &(struct player){.weight = 9});
    struct player *second = stream_lab_play(l, &(struct player){.weight = 1});

    /* A permit that clears WRITE would be final for all but a veto; here the next one decides as if alone, and is shown
     * what the first one was. */
    first->script->clear_write = true;
    ALL_OF(first, FWP_ACTION_PERMIT);
    ALL_OF(second, FWP_ACTION_BLOCK);
    stream_lab_receive(l, "data", 0);
    assert_int_equal(second->rights, FWPS_RIGHT_ACTION_WRITE);
    assert_int_equal(second->shown_action, 0);
    assert_string_equal(l->in, "");
    assert_int_equal(l->d.found[LEDGER_NOTE], 0);
}

static void ARB_26_plain_filters_are_stages_too(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = stream_lab_play(l, &(struct player){.weight = 9});
    struct player *never;

    ALL_OF(p, FWP_ACTION_PERMIT);
    (void)stream_lab_plain(l, 5, FWP_ACTION_PERMIT);
    never = stream_lab_play(l, &(struct player){0}); /* of the same sublayer, which the permit ends */
    stream_lab_receive(l, "data", 0);
    assert_string_equal(p->seen, "<data ");
    assert_string_equal(never->seen, "");
    assert_string_equal(l->in, "data");
    (void)stream_lab_plain(l, 1, FWP_ACTION_BLOCK);
    stream_lab_receive(l, "more", 0);
    assert_string_equal(p->seen, "<data <more ");
    assert_string_equal(l->in, "data");
}

/* ---- STR-06, 32 */

static void STR_06_rights_mean_nothing_and_an_action_left_alone_continues(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = stream_lab_play(l, &(struct player){.weight = 9});
    struct player *next = stream_lab_play(l, &(struct player){.weight = 1});

    MOVES(p, {.action = 0});
    ALL_OF(next, FWP_ACTION_PERMIT);
    stream_lab_receive(l, "data", 0);
    assert_int_equal(p->rights, FWPS_RIGHT_ACTION_WRITE);
    assert_string_equal(next->seen, "<data ");
    assert_string_equal(l->in, "data");
    assert_int_equal(l->d.found[LEDGER_NOTE], 1);
    assert_non_null(strstr(l->d.last, "left actionType as it was"));
}

static void absorb(struct player *p, const struct driver_lab_call *c, FWPS_STREAM_CALLOUT_IO_PACKET0 *io)
{
    (void)p;
    (void)io;
    c->out->flags |= FWPS_CLASSIFY_OUT_FLAG_ABSORB;
    c->out->rights &= ~FWPS_RIGHT_ACTION_WRITE;
}

static void STR_32_absorb_means_nothing_and_is_not_reported(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = stream_lab_play(l, &(struct player){.weight = 1});

    MOVES(p, {.action = FWP_ACTION_BLOCK, .also = absorb}, {.action = FWP_ACTION_PERMIT, .also = absorb});
    stream_lab_receive(l, "gone", 0);
    stream_lab_receive(l, "here", 0);
    assert_string_equal(l->in, "here");
    assert_int_equal(l->d.found[LEDGER_NOTE], 0);
}

static void STR_32_a_blocked_end_keeps_the_direction_half_open(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = stream_lab_play(l, &(struct player){.weight = 1});

    MOVES(p, {.action = FWP_ACTION_PERMIT}, {.action = FWP_ACTION_BLOCK, .keep = true});
    stream_lab_receive(l, "data", HOST_STREAM_END);
    assert_string_equal(p->seen, "<data <.N ");
    assert_string_equal(l->in, "data");
    assert_int_equal(stream_lab_text(p, FWPS_STREAM_FLAG_RECEIVE, " and more"), STATUS_SUCCESS);
    assert_int_equal(stream_lab_give(p, 0), STATUS_SUCCESS);
    assert_string_equal(l->in, "data and more.");
}

/* ---- STR-07, 08, 34 */

static void STR_07_enforced_bytes_are_the_leading_ones(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = stream_lab_play(l, &(struct player){.weight = 1});

    MOVES(p, {.action = FWP_ACTION_BLOCK, .enforce = 1}, {.action = FWP_ACTION_PERMIT, .enforce = 2},
          {.action = FWP_ACTION_BLOCK, .enforce = 0});
    stream_lab_receive(l, "abcdef", 0);
    assert_string_equal(p->seen, "<abcdef <bcdef <def ");
    assert_string_equal(l->in, "bc");
}

static void STR_07_more_than_there_is_is_all_and_reported(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = stream_lab_play(l, &(struct player){.weight = 1});

    MOVES(p, {.action = FWP_ACTION_BLOCK, .enforce = 5}, {.action = FWP_ACTION_PERMIT});
    stream_lab_receive(l, "four", 0);
    assert_string_equal(l->in, "");
    assert_int_equal(l->d.found[LEDGER_NOTE], 1);
    stream_lab_receive(l, "next", 0);
    assert_string_equal(l->in, "next");
}

static void STR_08_a_stream_action_makes_the_action_irrelevant(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = stream_lab_play(l, &(struct player){.weight = 1});

    MOVES(p,
          {.action = FWP_ACTION_BLOCK, .stream = FWPS_STREAM_ACTION_NEED_MORE_DATA, .need = 4, .enforce = 1},
          {.action = FWP_ACTION_PERMIT},
          {.action = FWP_ACTION_BLOCK, .stream = FWPS_STREAM_ACTION_ALLOW_CONNECTION});
    stream_lab_receive(l, "ab", 0);
    stream_lab_receive(l, "cd", 0);
    assert_string_equal(l->in, "abcd");
    stream_lab_receive(l, "ef", 0);
    assert_string_equal(l->in, "abcdef");
}

static void STR_34_continue_goes_to_the_next_filter_then_the_next_sublayer(void **state)
{
    struct stream_lab *l = *state;
    struct player *a = stream_lab_play(l, &(struct player){.weight = 9});
    struct player *b = stream_lab_play(l, &(struct player){0});
    struct player *c = stream_lab_play(l, &(struct player){.weight = 1});

    MOVES(a, {.action = FWP_ACTION_CONTINUE, .enforce = 2}, {.action = FWP_ACTION_PERMIT});
    ALL_OF(b, FWP_ACTION_CONTINUE);
    ALL_OF(c, FWP_ACTION_CONTINUE);
    stream_lab_receive(l, "abcd", 0);
    assert_string_equal(a->seen, "<abcd <cd ");
    assert_string_equal(b->seen, "<ab ");
    assert_string_equal(c->seen, "<ab <cd ");
    assert_string_equal(l->in, "abcd");
    assert_int_equal(l->d.found[LEDGER_NOTE], 0);
}

static void STR_34_none_does_as_well(void **state)
{
    struct stream_lab *l = *state;
    struct player *a = stream_lab_play(l, &(struct player){.weight = 9});
    struct player *b = stream_lab_play(l, &(struct player){0});

    ALL_OF(a, FWP_ACTION_NONE);
    ALL_OF(b, FWP_ACTION_PERMIT);
    stream_lab_receive(l, "abcd", 0);
    assert_string_equal(b->seen, "<abcd ");
    assert_string_equal(l->in, "abcd");
}

/* ---- STR-13, 16 */

static void STR_13_a_dropped_connection_is_over(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = stream_lab_play(l, &(struct player){.weight = 1});

    MOVES(p, {.action = FWP_ACTION_PERMIT}, {.stream = FWPS_STREAM_ACTION_DROP_CONNECTION});
    stream_lab_receive(l, "data", 0);
    stream_lab_receive(l, "evil", 0);
    assert_int_equal(l->drops, 1);
    assert_int_equal(l->dropped_by, p->script->filter_id);
    assert_string_equal(l->in, "data");
    assert_non_null(strstr(l->d.host.flows, "deleted"));
    stream_lab_receive(l, "more", 0);
    assert_int_equal(l->fed, STATUS_NOT_FOUND);
    assert_int_equal(p->calls, 2);
}

static void STR_13_a_terminating_filter_may_drop_too(void **state)
{
    struct stream_lab *l = *state;
    struct player *p =
        stream_lab_play(l, &(struct player){.weight = 1, .type = FWP_ACTION_CALLOUT_TERMINATING});

    MOVES(p, {.stream = FWPS_STREAM_ACTION_DROP_CONNECTION});
    stream_lab_receive(l, "evil", 0);
    assert_int_equal(l->drops, 1);
    assert_string_equal(l->in, "");
}

static void STR_13_an_inspecting_one_may_not(void **state)
{
    struct stream_lab *l = *state;
    struct player *p =
        stream_lab_play(l, &(struct player){.weight = 1, .type = FWP_ACTION_CALLOUT_INSPECTION});

    MOVES(p, {.stream = FWPS_STREAM_ACTION_DROP_CONNECTION}, {.action = FWP_ACTION_BLOCK});
    stream_lab_receive(l, "good", 0);
    stream_lab_receive(l, "news", 0);
    assert_int_equal(l->drops, 0);
    assert_string_equal(l->in, "goodnews"); /* its block is none, either */
    assert_int_equal(l->d.found[LEDGER_NOTE], 1);
}

static void STR_16_an_allowed_connection_is_asked_about_no_more(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = stream_lab_play(l, &(struct player){.weight = 9});
    struct player *next = stream_lab_play(l, &(struct player){.weight = 1});

    MOVES(p, {.stream = FWPS_STREAM_ACTION_ALLOW_CONNECTION}, {.action = FWP_ACTION_BLOCK});
    ALL_OF(next, FWP_ACTION_PERMIT);
    stream_lab_receive(l, "a", 0);
    stream_lab_receive(l, "b", HOST_STREAM_END);
    stream_lab_send(l, "c", HOST_STREAM_END);
    assert_string_equal(p->seen, "<a ");
    assert_string_equal(next->seen, "<a <b <.N >c >.N ");
    assert_string_equal(l->in, "ab.");
    assert_string_equal(l->out, "c.");
    stream_lab_connect(l); /* another flow is another matter */
    stream_lab_receive(l, "d", 0);
    assert_int_equal(p->calls, 2);
}

/* ---- STR-29 */

static void STR_29_missed_bytes_are_those_that_others_took_since(void **state)
{
    struct stream_lab *l = *state;
    struct player *a = stream_lab_play(l, &(struct player){.weight = 9});
    struct player *b = stream_lab_play(l, &(struct player){.weight = 1});

    MOVES(a, {.action = FWP_ACTION_BLOCK, .enforce = 3}, {.action = FWP_ACTION_PERMIT, .enforce = 1},
          {.action = FWP_ACTION_PERMIT}, {.action = FWP_ACTION_BLOCK}, {.action = FWP_ACTION_BLOCK},
          {.action = FWP_ACTION_PERMIT});
    ALL_OF(b, FWP_ACTION_PERMIT);
    stream_lab_receive(l, "abcdef", 0);
    assert_string_equal(b->seen, "<d(3) <ef ");
    assert_int_equal(a->missed, 0);
    stream_lab_receive(l, "ghij", 0);
    stream_lab_receive(l, "kl", 0);
    stream_lab_receive(l, "m", 0);
    assert_string_equal(b->seen, "<d(3) <ef <m(6) ");
    assert_string_equal(l->in, "defm");
}

/* ---- the flow's context, the level */

static void STR_02_the_callout_runs_at_dispatch_level(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = stream_lab_play(l, &(struct player){.weight = 1});

    ALL_OF(p, FWP_ACTION_PERMIT);
    stream_lab_receive(l, "a", 0);
    assert_int_equal(p->irql, DISPATCH_LEVEL);
}

static void STR_05_a_stream_without_stages_costs_nothing_and_passes(void **state)
{
    struct stream_lab *l = *state;
    struct host_stream_counts c;

    stream_lab_receive(l, "data", HOST_STREAM_END);
    assert_string_equal(l->in, "data.");
    host_stream_counts(l->d.host.host, &c);
    assert_int_equal(c.streams, 0);
    assert_int_equal(c.memory, 0);
}

#define IN_LAB(test) cmocka_unit_test_setup_teardown(test, stream_lab_setup, stream_lab_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_LAB(STR_01_the_members_of_the_packet_are_set_before_each_call),
        IN_LAB(STR_01_the_action_is_none_before_each_call),
        IN_LAB(STR_02_payload_comes_without_headers_in_one_piece),
        cmocka_unit_test(STR_02_one_call_may_carry_a_chain_and_several_MDLs),
        IN_LAB(STR_02_the_callout_runs_at_dispatch_level),
        IN_LAB(STR_03_flags_say_the_direction_and_what_came_with_it),
        IN_LAB(STR_03_bytes_come_in_the_order_of_the_stream),
        IN_LAB(STR_04_an_end_is_an_empty_list_of_its_own),
        IN_LAB(STR_04_a_reset_is_too),
        IN_LAB(STR_05_the_next_sees_what_was_permitted),
        IN_LAB(STR_05_what_is_blocked_is_gone_for_good),
        IN_LAB(STR_05_a_stream_without_stages_costs_nothing_and_passes),
        IN_LAB(ARB_26_no_veto_and_no_right_stands_between_sublayers),
        IN_LAB(ARB_26_plain_filters_are_stages_too),
        IN_LAB(STR_06_rights_mean_nothing_and_an_action_left_alone_continues),
        IN_LAB(STR_07_enforced_bytes_are_the_leading_ones),
        IN_LAB(STR_07_more_than_there_is_is_all_and_reported),
        IN_LAB(STR_08_a_stream_action_makes_the_action_irrelevant),
        IN_LAB(STR_13_a_dropped_connection_is_over),
        IN_LAB(STR_13_a_terminating_filter_may_drop_too),
        IN_LAB(STR_13_an_inspecting_one_may_not),
        IN_LAB(STR_16_an_allowed_connection_is_asked_about_no_more),
        IN_LAB(STR_29_missed_bytes_are_those_that_others_took_since),
        IN_LAB(STR_32_absorb_means_nothing_and_is_not_reported),
        IN_LAB(STR_32_a_blocked_end_keeps_the_direction_half_open),
        IN_LAB(STR_34_continue_goes_to_the_next_filter_then_the_next_sublayer),
        IN_LAB(STR_34_none_does_as_well),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
