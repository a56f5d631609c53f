/* SPDX-License-Identifier: Apache-2.0 */
/* Section 12: bytes that callouts put in, and clones (STR-17..19, 22..24, 26, 30); who joins and who leaves (STR-27, 28);
 * of section 11 what is about streams (INJ-03, 04, 07, 08, 30). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fwpmk.h"
#include "fwpsk.h"

#include "host/host_inject.h"
#include "ndis/nbl.h"
#include "stream_lab.h"

#define RECEIVE FWPS_STREAM_FLAG_RECEIVE
#define SEND    FWPS_STREAM_FLAG_SEND

static struct player *heavy(struct stream_lab *l)
{
    return stream_lab_play(l, &(struct player){.weight = 9});
}

static struct player *light(struct stream_lab *l)
{
    struct player *p = stream_lab_play(l, &(struct player){.weight = 1});

    MOVES(p, {.action = FWP_ACTION_PERMIT});
    return p;
}

/* ---- STR-17, 18: in line */

static void STR_17_inline_bytes_stand_before_the_first_of_the_call(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = heavy(l);

    MOVES(p, {.action = FWP_ACTION_PERMIT, .enforce = 2}, {.action = FWP_ACTION_PERMIT, .inject = "[new]"});
    stream_lab_receive(l, "abcd", 0);
    assert_string_equal(l->in, "ab[new]cd");
}

static void STR_17_whatever_the_call_answers(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = heavy(l);

    MOVES(p, {.action = FWP_ACTION_BLOCK, .inject = "1"},
          {.stream = FWPS_STREAM_ACTION_NEED_MORE_DATA, .need = 4, .inject = "2"},
          {.stream = FWPS_STREAM_ACTION_DEFER, .inject = "3"}, {.action = FWP_ACTION_PERMIT, .inject = "4"},
          {.action = FWP_ACTION_PERMIT, .inject = "5"});
    stream_lab_receive(l, "ab", 0);
    stream_lab_receive(l, "cd", 0);
    assert_string_equal(l->in, "12");
    stream_lab_receive(l, "ef", 0);
    assert_string_equal(l->in, "123");
    assert_int_equal(stream_lab_continue(p, RECEIVE), STATUS_SUCCESS);
    assert_string_equal(l->in, "1234cdef");
    stream_lab_receive(l, "", HOST_STREAM_END);
    assert_string_equal(l->in, "1234cdef5.");
}

static void STR_17_an_edit_is_a_block_and_an_injection(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = heavy(l), *q = light(l);

    MOVES(p, {.action = FWP_ACTION_PERMIT, .enforce = 4},
          {.action = FWP_ACTION_BLOCK, .enforce = 3, .inject = "longer"}, {.action = FWP_ACTION_PERMIT});
    stream_lab_send(l, "the cat sat", HOST_STREAM_END);
    assert_string_equal(l->out, "the longer sat.");
    assert_string_equal(q->seen, ">the  >longer > sat(3) >.N ");
}

static void STR_18_injected_bytes_are_for_the_lighter_alone(void **state)
{
    struct stream_lab *l = *state;
    struct player *above = heavy(l);
    struct player *p = stream_lab_play(l, &(struct player){.weight = 5});
    struct player *below = light(l);

    MOVES(above, {.action = FWP_ACTION_PERMIT});
    MOVES(p, {.action = FWP_ACTION_PERMIT, .inject = "new "}, {.action = FWP_ACTION_PERMIT});
    stream_lab_receive(l, "old", 0);
    assert_string_equal(above->seen, "<old ");
    assert_string_equal(p->seen, "<old ");
    assert_string_equal(below->seen, "<new  <old ");
    assert_string_equal(l->in, "new old");
}

static void STR_18_the_lighter_decide_about_them(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = heavy(l), *below = stream_lab_play(l, &(struct player){.weight = 1});

    MOVES(p, {.action = FWP_ACTION_PERMIT, .inject = "new"});
    MOVES(below, {.action = FWP_ACTION_BLOCK}, {.action = FWP_ACTION_PERMIT});
    stream_lab_receive(l, "old", 0);
    assert_string_equal(below->seen, "<new <old ");
    assert_string_equal(l->in, "old");
}

static void STR_18_out_of_band_ones_too(void **state)
{
    struct stream_lab *l = *state;
    struct player *above = heavy(l);
    struct player *p = stream_lab_play(l, &(struct player){.weight = 5});
    struct player *below = light(l);

    MOVES(above, {.action = FWP_ACTION_PERMIT});
    MOVES(p, {.action = FWP_ACTION_BLOCK, .keep = true});
    stream_lab_receive(l, "one", 0);
    stream_lab_receive(l, "two", HOST_STREAM_END);
    assert_string_equal(l->in, "");
    for (unsigned n = 0; n < 3; n++)
        assert_int_equal(stream_lab_give(p, n), STATUS_SUCCESS);
    assert_string_equal(above->seen, "<one <two <.N ");
    assert_string_equal(p->seen, "<one <two <.N ");
    assert_string_equal(below->seen, "<one(6) <two <.N ");
    assert_string_equal(l->in, "onetwo.");
    assert_int_equal(l->completed, 3);
    assert_int_equal(l->completed_status, STATUS_SUCCESS);
}

/* ---- STR-19 (as far as it is the engine's), 30: clones */

static void STR_30_a_clone_has_the_indicated_bytes_and_no_more(void **state)
{
    struct host_config c = {.knobs = {.split_list = 5, .split_mdl = 3}};
    struct stream_lab l;
    struct player *p;
    char bytes[64] = "";
    size_t size = 0;

    (void)state;
    stream_lab_open(&l, &c, false);
    p = heavy(&l);
    MOVES(p, {.action = FWP_ACTION_PERMIT, .enforce = 4}, {.action = FWP_ACTION_BLOCK, .keep = true});
    stream_lab_receive(&l, "the quick brown fox", 0);
    assert_int_equal(p->kept_size[0], 15);
    for (NET_BUFFER_LIST *nbl = p->kept[0]; nbl != NULL; nbl = NET_BUFFER_LIST_NEXT_NBL(nbl))
        for (NET_BUFFER *nb = NET_BUFFER_LIST_FIRST_NB(nbl); nb != NULL; nb = NET_BUFFER_NEXT_NB(nb)) {
            assert_int_equal(ndis_nb_read(nb, 0, bytes + size, NET_BUFFER_DATA_LENGTH(nb)),
                             NET_BUFFER_DATA_LENGTH(nb));
            size += NET_BUFFER_DATA_LENGTH(nb);
        }
    assert_int_equal(size, 15);
    assert_memory_equal(bytes, "quick brown fox", 15);
    stream_lab_close(&l);
}

static void STR_30_a_clone_keeps_its_bytes_beyond_the_stream(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = heavy(l);
    char bytes[8] = "";

    MOVES(p, {.action = FWP_ACTION_BLOCK, .keep = true});
    stream_lab_receive(l, "kept", 0);
    host_shutdown(l->d.host.host);
    ndis_nb_read(NET_BUFFER_LIST_FIRST_NB(p->kept[0]), 0, bytes, 4);
    assert_string_equal(bytes, "kept");
}

static void STR_30_a_chain_of_clones_is_discarded_whole(void **state)
{
    struct host_config c = {.knobs = {.split_list = 1}};
    struct ledger_party *party;
    struct stream_lab l;
    struct player *p;

    (void)state;
    stream_lab_open(&l, &c, false);
    party = api_rt(l.d.context)->party;
    p = heavy(&l);
    MOVES(p, {.action = FWP_ACTION_BLOCK, .keep = true});
    stream_lab_receive(&l, "abc", 0);
    assert_int_equal(ledger_open_count(party, LEDGER_STREAM_CLONE), 3);
    FwpsDiscardClonedStreamData0(p->kept[0], 0, FALSE);
    p->kept[0] = NULL;
    assert_int_equal(ledger_open_count(party, LEDGER_STREAM_CLONE), 0);
    stream_lab_close(&l);
}

static void discard_what_is_shown(struct player *p, const struct driver_lab_call *c,
                                  FWPS_STREAM_CALLOUT_IO_PACKET0 *io)
{
    (void)p;
    (void)c;
    FwpsDiscardClonedStreamData0(io->streamData->netBufferListChain, 0, FALSE);
}

static void STR_30_what_was_never_cloned_is_not_discarded(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = heavy(l);

    MOVES(p, {.action = FWP_ACTION_PERMIT, .also = discard_what_is_shown}, {.action = FWP_ACTION_PERMIT});
    stream_lab_receive(l, "abc", 0);
    stream_lab_receive(l, "def", 0);
    assert_string_equal(l->in, "abcdef");
    assert_int_equal(l->d.found[LEDGER_BUGCHECK], 1);
}

static void copy_less(struct player *p, const struct driver_lab_call *c, FWPS_STREAM_CALLOUT_IO_PACKET0 *io)
{
    char bytes[16] = "0123456789";
    SIZE_T copied = 99;

    (void)p;
    (void)c;
    FwpsCopyStreamDataToBuffer0(io->streamData, bytes, 3, &copied);
    assert_int_equal(copied, 3);
    assert_string_equal(bytes, "cde3456789");
    FwpsCopyStreamDataToBuffer0(io->streamData, bytes, sizeof(bytes), &copied);
    assert_int_equal(copied, 5);
    assert_memory_equal(bytes, "cdefg56789", 10);
}

static void STR_30_copying_takes_at_most_what_is_asked_and_what_is_there(void **state)
{
    struct host_config c = {.knobs = {.split_list = 5, .split_mdl = 1}};
    struct stream_lab l;
    struct player *p;

    (void)state;
    stream_lab_open(&l, &c, false);
    p = heavy(&l);
    MOVES(p, {.action = FWP_ACTION_PERMIT, .enforce = 2}, {.action = FWP_ACTION_PERMIT, .also = copy_less});
    stream_lab_receive(&l, "abcdefg", 0);
    stream_lab_close(&l);
}

/* ---- STR-22, 23, 24, 26 */

static void STR_23_one_direction_is_to_be_named(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = heavy(l);

    MOVES(p, {.action = FWP_ACTION_BLOCK});
    stream_lab_receive(l, "a", 0);
    assert_int_equal(stream_lab_text(p, 0, "b"), STATUS_FWP_INVALID_PARAMETER);
    assert_int_equal(stream_lab_text(p, RECEIVE | SEND, "b"), STATUS_FWP_INVALID_PARAMETER);
    assert_int_equal(stream_lab_text(p, FWPS_STREAM_FLAG_RECEIVE_DISCONNECT, "b"),
                     STATUS_FWP_INVALID_PARAMETER);
    assert_int_equal(stream_lab_text(p, FWPS_STREAM_FLAG_SEND_DISCONNECT, "b"), STATUS_FWP_INVALID_PARAMETER);
    assert_int_equal(stream_lab_text(p, RECEIVE | FWPS_STREAM_FLAG_SEND_DISCONNECT, "b"),
                     STATUS_FWP_INVALID_PARAMETER);
    stream_lab_settle(l);
    assert_string_equal(l->in, "");
    assert_int_equal(stream_lab_text(p, RECEIVE | FWPS_STREAM_FLAG_RECEIVE_PUSH, "b"), STATUS_SUCCESS);
    stream_lab_settle(l);
    assert_string_equal(l->in, "b");
    assert_int_equal(l->in_flags, HOST_STREAM_PUSH);
    assert_int_equal(l->completed, 1);
}

static void STR_24_an_end_needs_no_list_and_completes_nothing(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = heavy(l);

    MOVES(p, {.action = FWP_ACTION_BLOCK});
    stream_lab_receive(l, "a", HOST_STREAM_END);
    assert_int_equal(stream_lab_inject(p, RECEIVE, NULL, 0), STATUS_FWP_NULL_POINTER);
    assert_int_equal(FwpsStreamInjectAsync0(l->handle, NULL, 0, l->flow, p->script->id, FWPS_LAYER_STREAM_V4,
                                            RECEIVE | FWPS_STREAM_FLAG_RECEIVE_DISCONNECT, NULL, 0, NULL,
                                            NULL),
                     STATUS_FWP_NULL_POINTER);
    assert_int_equal(stream_lab_inject(p, RECEIVE | FWPS_STREAM_FLAG_RECEIVE_DISCONNECT, NULL, 0),
                     STATUS_SUCCESS);
    stream_lab_settle(l);
    assert_string_equal(l->in, ".");
    assert_int_equal(l->completed, 0);
}

static void STR_24_bytes_and_the_end_together(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = heavy(l), *below = light(l);

    MOVES(p, {.action = FWP_ACTION_BLOCK});
    stream_lab_receive(l, "a", HOST_STREAM_END);
    assert_int_equal(stream_lab_text(p, RECEIVE | FWPS_STREAM_FLAG_RECEIVE_DISCONNECT, "b"), STATUS_SUCCESS);
    stream_lab_settle(l);
    assert_string_equal(below->seen, "<b(1) <.N ");
    assert_string_equal(l->in, "b.");
    assert_int_equal(l->completed, 1);
}

/* Taken out and put in again in the same classify: that is no end that the callout made up. */
static void an_end_may_be_injected_where_it_is_shown(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = heavy(l);

    MOVES(p, {.action = FWP_ACTION_PERMIT}, {.action = FWP_ACTION_BLOCK, .inject_end = true},
          {.action = FWP_ACTION_BLOCK, .inject = "c", .inject_end = true});
    stream_lab_receive(l, "a", HOST_STREAM_END);
    stream_lab_settle(l);
    assert_string_equal(l->in, "a.");
    assert_int_equal(l->d.found[LEDGER_NOTE], 0);
    stream_lab_send(l, "b", 0); /* here there is none yet */
    stream_lab_settle(l);
    assert_string_equal(l->out, "c.");
    assert_int_equal(l->d.found[LEDGER_NOTE], 1);
}

/* The engine's part of a callout's rule: it fails, and completes nothing. */
static void an_end_that_is_over_takes_nothing_in(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = heavy(l);

    MOVES(p, {.action = FWP_ACTION_PERMIT});
    stream_lab_receive(l, "a", HOST_STREAM_END);
    assert_int_equal(stream_lab_text(p, RECEIVE, "late"), STATUS_SUCCESS); /* found out when its turn comes */
    stream_lab_settle(l);
    assert_int_equal(l->completed_status, STATUS_NOT_FOUND);
    assert_int_equal(stream_lab_text(p, SEND, "still open"), STATUS_SUCCESS);
    stream_lab_settle(l);
    assert_string_equal(l->out, "still open");
    assert_string_equal(l->in, "a.");
    assert_int_equal(FwpsFlowAbort0(l->flow), STATUS_SUCCESS);
    assert_int_equal(stream_lab_text(p, SEND, "late"), STATUS_NOT_FOUND);
    assert_int_equal(l->completed, 2);
}

static void abort_flow(struct player *p, const struct driver_lab_call *c, FWPS_STREAM_CALLOUT_IO_PACKET0 *io)
{
    (void)c;
    (void)io;
    assert_int_equal(FwpsFlowAbort0(p->lab->flow), STATUS_SUCCESS);
}

static void a_flow_that_is_aborted_within_its_classify_is_left_alone(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = heavy(l), *below = light(l);

    MOVES(p, {.action = FWP_ACTION_PERMIT, .also = abort_flow});
    stream_lab_receive(l, "abc", 0);
    assert_string_equal(l->in, "");
    assert_int_equal(below->calls, 0);
    stream_lab_receive(l, "def", 0);
    assert_int_equal(l->fed, STATUS_NOT_FOUND);
    assert_int_equal(p->calls, 1);
}

static void what_waits_in_an_aborted_flow_is_lost_and_counted(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = heavy(l);
    struct host_stream_counts c;

    MOVES(p, {.stream = FWPS_STREAM_ACTION_NEED_MORE_DATA, .need = 9});
    stream_lab_receive(l, "abc", 0);
    assert_int_equal(FwpsFlowAbort0(l->flow), STATUS_SUCCESS);
    stream_lab_connect(l);
    stream_lab_receive(l, "d", 0);
    host_stream_counts(l->d.host.host, &c);
    assert_int_equal(c.lost, 3);
    assert_int_equal(c.waiting, 1);
    assert_int_equal(p->calls, 2);
}

/* ---- section 11 */

static void INJ_03_a_handle_is_to_be_of_streams(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = heavy(l);
    const HANDLE own = l->handle;
    HANDLE other;

    MOVES(p, {.action = FWP_ACTION_BLOCK});
    stream_lab_receive(l, "a", 0);
    assert_int_equal(FwpsInjectionHandleCreate0(AF_UNSPEC, FWPS_INJECTION_TYPE_TRANSPORT, &other),
                     STATUS_SUCCESS);
    l->handle = other;
    assert_int_equal(stream_lab_text(p, RECEIVE, "b"), STATUS_FWP_INJECT_HANDLE_STALE);
    assert_int_equal(FwpsInjectionHandleDestroy0(other), STATUS_SUCCESS);
    assert_int_equal(stream_lab_text(p, RECEIVE, "b"), STATUS_FWP_INJECT_HANDLE_STALE);
    assert_int_equal(FwpsInjectionHandleCreate0(AF_UNSPEC, 0, &other),
                     STATUS_SUCCESS); /* INJ-02: of streams too */
    l->handle = other;
    assert_int_equal(stream_lab_text(p, RECEIVE, "b"), STATUS_SUCCESS);
    assert_int_equal(FwpsInjectionHandleDestroy0(other), STATUS_SUCCESS); /* INJ-08: waits */
    assert_int_equal(l->completed, 1);
    assert_string_equal(l->in, "b");
    l->handle = own;
}

static void STR_24_a_completion_function_is_needed(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = heavy(l);
    NET_BUFFER_LIST *nbl;

    MOVES(p, {.action = FWP_ACTION_BLOCK});
    stream_lab_receive(l, "a", 0);
    nbl = stream_lab_list(l, "b", 1);
    assert_int_equal(FwpsStreamInjectAsync0(l->handle, NULL, 0, l->flow, p->script->id, FWPS_LAYER_STREAM_V4,
                                            RECEIVE, nbl, 1, NULL, NULL),
                     STATUS_FWP_NULL_POINTER);
    stream_lab_free(l, nbl);
}

static void INJ_30_each_list_of_a_chain_is_completed_with_the_same_context(void **state)
{
    struct host_config c = {.knobs = {.split_list = 3}};
    struct stream_lab l;
    struct player *p;

    (void)state;
    stream_lab_open(&l, &c, false);
    p = heavy(&l);
    MOVES(p, {.action = FWP_ACTION_BLOCK, .keep = true}, {.action = FWP_ACTION_BLOCK});
    stream_lab_receive(&l, "the quick brown fox jumps over the lazy dog; the quick brown fox", 0);
    assert_true(p->lists > 16); /* more than the injector takes at once */
    assert_int_equal(stream_lab_give(p, 0), STATUS_SUCCESS);
    assert_int_equal(l.completed, p->lists);
    assert_ptr_equal(l.completed_context, p);
    for (unsigned i = 0; i < l.completed; i++)
        assert_int_equal(l.statuses[i], STATUS_SUCCESS);
    assert_string_equal(l.in, "the quick brown fox jumps over the lazy dog; the quick brown fox");
    stream_lab_close(&l);
}

static void INJ_30_only_so_many_bytes_as_are_named(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = heavy(l);
    NET_BUFFER_LIST *chain;

    MOVES(p, {.action = FWP_ACTION_BLOCK});
    stream_lab_receive(l, "a", 0);
    chain = stream_lab_list(l, "one", 3);
    NET_BUFFER_LIST_NEXT_NBL(chain) = stream_lab_list(l, "two", 3);
    assert_int_equal(stream_lab_inject(p, RECEIVE, chain, 4), STATUS_SUCCESS);
    stream_lab_settle(l);
    assert_string_equal(l->in, "onet");
    assert_int_equal(l->completed, 2);
    assert_int_equal(stream_lab_inject(p, RECEIVE, stream_lab_list(l, "one", 3), 4),
                     STATUS_INVALID_PARAMETER);
}

/* ---- in line and out of band, mixed */

static void data_let_pass_behind_what_is_held_are_reported(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = heavy(l);

    MOVES(p, {.action = FWP_ACTION_BLOCK, .keep = true}, {.action = FWP_ACTION_BLOCK, .keep = true},
          {.action = FWP_ACTION_PERMIT}, {.action = FWP_ACTION_CONTINUE});
    stream_lab_receive(l, "one ", 0);
    stream_lab_receive(l, "two ", 0);
    assert_int_equal(l->d.found[LEDGER_NOTE], 0);
    stream_lab_receive(l, "three ", 0);
    assert_int_equal(l->d.found[LEDGER_NOTE], 1);
    assert_non_null(strstr(l->d.last, "let data pass in line"));
    stream_lab_receive(l, "four ", 0);
    assert_int_equal(l->d.found[LEDGER_NOTE], 1); /* once a direction */
    assert_int_equal(stream_lab_give(p, 0), STATUS_SUCCESS);
    assert_int_equal(stream_lab_give(p, 1), STATUS_SUCCESS);
    assert_string_equal(l->in, "three four one two ");
}

static void bytes_put_back_in_line_are_no_mix(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = heavy(l);

    MOVES(p, {.action = FWP_ACTION_BLOCK, .inject = "1"}, {.action = FWP_ACTION_PERMIT},
          {.action = FWP_ACTION_BLOCK}, {.action = FWP_ACTION_PERMIT});
    stream_lab_receive(l, "a", 0);
    stream_lab_receive(l, "b", 0);
    stream_lab_receive(l, "c", 0);
    stream_lab_receive(l, "d", 0);
    assert_string_equal(l->in, "1bd");
    assert_int_equal(l->d.found[LEDGER_NOTE], 0);
}

static void injections_from_outside_are_reported_where_data_pass(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = heavy(l);

    MOVES(p, {.action = FWP_ACTION_PERMIT});
    stream_lab_receive(l, "a", 0);
    assert_int_equal(stream_lab_inject(p, RECEIVE, stream_lab_list(l, "!", 1), 1), STATUS_SUCCESS);
    stream_lab_settle(l);
    assert_string_equal(l->in, "a!");
    assert_int_equal(l->d.found[LEDGER_NOTE], 1);
    assert_non_null(strstr(l->d.last, "from outside a classifyFn"));
}

static void but_not_of_who_takes_all_out_or_defers(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = heavy(l);

    MOVES(p, {.action = FWP_ACTION_BLOCK}, {.stream = FWPS_STREAM_ACTION_DEFER},
          {.action = FWP_ACTION_BLOCK});
    stream_lab_receive(l, "a", 0);
    assert_int_equal(stream_lab_inject(p, RECEIVE, stream_lab_list(l, "A", 1), 1), STATUS_SUCCESS);
    stream_lab_receive(l, "b", 0);
    assert_int_equal(stream_lab_inject(p, RECEIVE, stream_lab_list(l, "B", 1), 1), STATUS_SUCCESS);
    stream_lab_settle(l);
    assert_int_equal(stream_lab_continue(p, RECEIVE), STATUS_SUCCESS);
    assert_string_equal(l->in, "AB");
    assert_int_equal(l->d.found[LEDGER_NOTE], 0);
}

/* ---- STR-27, 28 */

static void a_filter_that_goes_lets_go_of_what_waits(void **state)
{
    struct stream_lab *l = *state;
    struct player *a = heavy(l);
    struct player *b = stream_lab_play(l, &(struct player){.weight = 5});
    struct player *c = stream_lab_play(l, &(struct player){.weight = 1});

    MOVES(a, {.stream = FWPS_STREAM_ACTION_NEED_MORE_DATA, .need = 99});
    MOVES(b, {.stream = FWPS_STREAM_ACTION_NEED_MORE_DATA, .need = 99});
    MOVES(c, {.stream = FWPS_STREAM_ACTION_NEED_MORE_DATA, .need = 4}, {.action = FWP_ACTION_PERMIT});
    MOVES(a, {.action = FWP_ACTION_PERMIT}, {.stream = FWPS_STREAM_ACTION_NEED_MORE_DATA, .need = 99});
    MOVES(b, {.action = FWP_ACTION_PERMIT, .enforce = 1},
          {.stream = FWPS_STREAM_ACTION_NEED_MORE_DATA, .need = 99});
    stream_lab_receive(l, "ab", 0); /* b has "b", c has "a" */
    stream_lab_receive(l, "cd", 0); /* a has "cd" */
    assert_int_equal(FwpmFilterDeleteById0(l->d.engine, b->script->filter_id), STATUS_SUCCESS);
    b->script->filter_id = 0;
    stream_lab_receive(l, "e", 0);
    assert_string_equal(c->seen, "<a ");
    assert_int_equal(l->d.found[LEDGER_NOTE], 1);
    assert_int_equal(FwpmFilterDeleteById0(l->d.engine, a->script->filter_id), STATUS_SUCCESS);
    a->script->filter_id = 0;
    stream_lab_receive(l, "f", 0);
    assert_string_equal(c->seen, "<a <abcde <f ");
    assert_string_equal(l->in, "abcdef");
}

static void STR_28_only_new_flows_are_shown_to_who_comes_later(void **state)
{
    struct stream_lab *l = *state;
    struct player *p;

    stream_lab_receive(l, "before", 0);
    p = heavy(l);
    MOVES(p, {.action = FWP_ACTION_BLOCK});
    stream_lab_receive(l, " after", 0);
    assert_string_equal(l->in, "before after");
    assert_int_equal(p->calls, 0);
    stream_lab_connect(l);
    stream_lab_receive(l, "new", 0);
    assert_string_equal(p->seen, "<new ");
}

static void STR_28_unless_the_callout_allows_mid_stream(void **state)
{
    struct stream_lab *l = *state;
    struct player *p, *q;

    stream_lab_receive(l, "before", 0);
    p = stream_lab_play(
        l, &(struct player){.weight = 9, .callout_flags = FWP_CALLOUT_FLAG_ALLOW_MID_STREAM_INSPECTION});
    q = light(l);
    MOVES(p, {.action = FWP_ACTION_PERMIT});
    stream_lab_receive(l, " after", 0);
    assert_string_equal(p->seen, "< after ");
    assert_int_equal(q->calls, 0);
    assert_string_equal(l->in, "before after");
}

static void STR_28_who_joins_has_the_flows_authorized_again(void **state)
{
    struct stream_lab *l = *state;
    struct player *p;

    stream_lab_receive(l, "before", 0);
    p = stream_lab_play(
        l, &(struct player){.weight = 9, .callout_flags = FWP_CALLOUT_FLAG_ALLOW_MID_STREAM_INSPECTION});
    MOVES(p, {.action = FWP_ACTION_PERMIT});
    stream_lab_receive(l, " after", 0);
    host_lab_segment(&l->d.host, &l->tcp, true, WIRE_TCP_ACK, NULL);
    assert_non_null(strstr(l->d.host.seen, "AC(REAUTH)"));
    assert_int_equal(l->d.host.events[0].reasons, FWP_CONDITION_REAUTHORIZE_REASON_MID_STREAM_INSPECTION);
    host_lab_segment(&l->d.host, &l->tcp, true, WIRE_TCP_ACK, NULL);
    assert_null(strstr(l->d.host.seen, "REAUTH"));
}

static void STR_28_a_filter_of_a_stream_stays_its_own_when_others_come(void **state)
{
    struct stream_lab *l = *state;
    struct player *p = heavy(l), *q;

    MOVES(p, {.stream = FWPS_STREAM_ACTION_NEED_MORE_DATA, .need = 3}, {.action = FWP_ACTION_PERMIT});
    stream_lab_receive(l, "ab", 0);
    q = light(l);
    stream_lab_receive(l, "c", 0);
    assert_string_equal(p->seen, "<ab <abc ");
    assert_int_equal(q->calls, 0);
    assert_string_equal(l->in, "abc");
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
        IN_LAB(STR_17_inline_bytes_stand_before_the_first_of_the_call),
        IN_LAB(STR_17_whatever_the_call_answers),
        ON_BOTH(STR_17_an_edit_is_a_block_and_an_injection),
        IN_LAB(STR_18_injected_bytes_are_for_the_lighter_alone),
        IN_LAB(STR_18_the_lighter_decide_about_them),
        ON_BOTH(STR_18_out_of_band_ones_too),
        cmocka_unit_test(STR_30_a_clone_has_the_indicated_bytes_and_no_more),
        IN_LAB(STR_30_a_clone_keeps_its_bytes_beyond_the_stream),
        cmocka_unit_test(STR_30_a_chain_of_clones_is_discarded_whole),
        IN_LAB(STR_30_what_was_never_cloned_is_not_discarded),
        cmocka_unit_test(STR_30_copying_takes_at_most_what_is_asked_and_what_is_there),
        ON_BOTH(STR_23_one_direction_is_to_be_named),
        ON_BOTH(STR_24_an_end_needs_no_list_and_completes_nothing),
        ON_BOTH(STR_24_bytes_and_the_end_together),
        ON_BOTH(an_end_may_be_injected_where_it_is_shown),
        ON_BOTH(an_end_that_is_over_takes_nothing_in),
        IN_LAB(a_flow_that_is_aborted_within_its_classify_is_left_alone),
        IN_LAB(what_waits_in_an_aborted_flow_is_lost_and_counted),
        IN_LAB(INJ_03_a_handle_is_to_be_of_streams),
        IN_LAB(STR_24_a_completion_function_is_needed),
        cmocka_unit_test(INJ_30_each_list_of_a_chain_is_completed_with_the_same_context),
        ON_BOTH(INJ_30_only_so_many_bytes_as_are_named),
        IN_LAB(data_let_pass_behind_what_is_held_are_reported),
        IN_LAB(bytes_put_back_in_line_are_no_mix),
        IN_LAB(injections_from_outside_are_reported_where_data_pass),
        IN_LAB(but_not_of_who_takes_all_out_or_defers),
        IN_LAB(a_filter_that_goes_lets_go_of_what_waits),
        IN_LAB(STR_28_only_new_flows_are_shown_to_who_comes_later),
        IN_LAB(STR_28_unless_the_callout_allows_mid_stream),
        IN_LAB(STR_28_who_joins_has_the_flows_authorized_again),
        IN_LAB(STR_28_a_filter_of_a_stream_stays_its_own_when_others_come),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
