/* SPDX-License-Identifier: Apache-2.0 */
/* Section 5 where a packet is kept: an accept is completed and its clone received again; a connect's is sent
 * (PEND-15, 24..34). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fwpmk.h"
#include "fwpsk.h"

#include "packet_lab.h"

#define SYN_IN  .protocol = WIRE_PROTOCOL_TCP, .tcp_flags = WIRE_TCP_SYN, .sport = 40000, .dport = 80, .seq = 1
#define UDP_OUT .sport = 50000, .dport = 53, .data = "question"
#define KEEP(...)                                                                                            \
    &(struct taker)                                                                                          \
    {                                                                                                        \
        .pends = true, __VA_ARGS__                                                                           \
    }

static const char *give(struct packet_lab *l, struct taker *t, unsigned n)
{
    host_lab_reset(&l->d.host);
    assert_int_equal(packet_lab_give(l, t, n), STATUS_SUCCESS);
    return l->d.host.seen;
}

static void complete(struct packet_lab *l, struct taker *t, unsigned n, NET_BUFFER_LIST *nbl)
{
    host_lab_reset(&l->d.host);
    FwpsCompleteOperation0(t->pended[n], nbl);
    packet_lab_settle(l);
}

static void PEND_24_completing_an_accept_asks_nothing(void **state)
{
    struct packet_lab *l = *state;
    struct taker *t = packet_lab_take(l, "RA", KEEP(.kind = HOST_INJECT_TRANSPORT_RECEIVE));

    LAB_IN(&l->d.host, SYN_IN);
    assert_string_equal(strstr(l->d.host.seen, "II"), "II IT(ALE) RA");
    complete(l, t, 0, t->lists[0]);
    assert_string_equal(l->d.host.seen, "");
    assert_string_equal(give(l, t, 0), "II IT(ALE) RA SPK"); /* a new, initial classify */
    assert_int_equal(t->seen, 2);
    assert_true((t->metadata & FWPS_METADATA_FIELD_COMPLETION_HANDLE) != 0);
}

static void PEND_25_an_accept_needs_both(void **state)
{
    struct packet_lab *l = *state;
    struct taker *t = packet_lab_take(l, "RA", KEEP(.kind = HOST_INJECT_TRANSPORT_RECEIVE));
    const struct packet answer = {.protocol = WIRE_PROTOCOL_TCP,
                                  .tcp_flags = WIRE_TCP_SYN | WIRE_TCP_ACK,
                                  .sport = 80,
                                  .dport = 40000,
                                  .seq = 9,
                                  .ack = 2};

    LAB_IN(&l->d.host, SYN_IN);
    complete(l, t, 0, t->lists[0]); /* completed, and the clone dropped: nothing was accepted */
    packet_lab_drop(l, t, 0);
    assert_int_equal(l->released_count, 1);
    assert_false(l->released[0].injected);
    host_lab_packet(&l->d.host, HOST_WAY_OUT, &answer);
    assert_int_not_equal(l->d.host.outcome.fate, HOST_PASSED);
}

static void PEND_26_permitting_the_own_clone_accepts(void **state)
{
    struct packet_lab *l = *state;
    struct taker *t = packet_lab_take(l, "RA", KEEP(.kind = HOST_INJECT_TRANSPORT_RECEIVE));
    const struct packet answer = {.protocol = WIRE_PROTOCOL_TCP,
                                  .tcp_flags = WIRE_TCP_SYN | WIRE_TCP_ACK,
                                  .sport = 80,
                                  .dport = 40000,
                                  .seq = 9,
                                  .ack = 2};

    LAB_IN(&l->d.host, SYN_IN);
    complete(l, t, 0, t->lists[0]);
    give(l, t, 0);
    assert_int_equal(t->states[1], FWPS_PACKET_INJECTED_BY_SELF);
    assert_int_equal(l->emitted_count, 1);
    assert_true(l->emitted[0]->unchanged);
    host_lab_packet(&l->d.host, HOST_WAY_OUT, &answer);
    assert_int_equal(l->d.host.outcome.fate, HOST_PASSED);
    assert_string_equal(l->d.host.seen, "SPK OT OI");
    LAB_IN(&l->d.host, .protocol = WIRE_PROTOCOL_TCP, .tcp_flags = WIRE_TCP_ACK, .sport = 40000, .dport = 80,
           .seq = 2, .ack = 10);
    assert_string_equal(l->d.host.seen, "II IT SPK FE");
}

static void PEND_28_first_completed_then_received(void **state)
{
    struct packet_lab *l = *state;
    struct taker *t =
        packet_lab_take(l, "RA", KEEP(.kind = HOST_INJECT_TRANSPORT_RECEIVE, .how = TAKE_REFERENCE));
    NET_BUFFER_LIST *original;

    LAB_IN(&l->d.host, SYN_IN);
    original = t->lists[0];
    assert_int_equal(NdisRetreatNetBufferListDataStart(original, 40, 0, NULL, NULL), NDIS_STATUS_SUCCESS);
    complete(l, t, 0, original); /* the clone is made of it afterwards */
    assert_true(ndis_origin_of(original)->completed);
    give(l, t, 0);
    assert_int_equal(l->statuses[0], STATUS_SUCCESS);
    assert_int_equal(l->emitted_count, 1);
    assert_int_equal(l->d.found[LEDGER_NOTE], 0);
}

static void PEND_29_a_clone_before_the_completion_is_dropped_at_RA(void **state)
{
    struct packet_lab *l = *state;
    struct taker *t = packet_lab_take(l, "RA", KEEP(.kind = HOST_INJECT_TRANSPORT_RECEIVE));

    LAB_IN(&l->d.host, SYN_IN);
    assert_string_equal(give(l, t, 0), "II IT(ALE)");
    assert_int_equal(t->seen, 1);
    assert_int_equal(l->statuses[0], STATUS_FWP_CANNOT_PEND);
    assert_int_equal(l->emitted_count, 0);
    assert_int_equal(l->lost_count, 1);
    assert_int_equal(l->d.found[LEDGER_NOTE], 1);
    complete(l, t, 0, NULL);
}

static void PEND_29_another_operation_of_the_flow_may_wait(void **state)
{
    struct packet_lab *l = *state;
    struct taker *t = packet_lab_take(l, "RA", KEEP(.kind = HOST_INJECT_TRANSPORT_RECEIVE));

    LAB_IN(&l->d.host, SYN_IN);
    LAB_IN(&l->d.host, SYN_IN); /* sent again: pended again (PEND-37) */
    assert_int_equal(t->taken, 2);
    complete(l, t, 1, t->lists[1]);
    assert_string_equal(give(l, t, 1), "II IT(ALE) RA SPK");
    assert_int_equal(l->statuses[0], STATUS_SUCCESS);
    complete(l, t, 0, t->lists[0]);
    packet_lab_drop(l, t, 0);
}

static void PEND_30_completing_takes_no_list(void **state)
{
    struct packet_lab *l = *state;
    struct taker *t = packet_lab_take(l, "AC", KEEP(.kind = HOST_INJECT_TRANSPORT_SEND));
    uint8_t data[8];

    LAB_OUT(&l->d.host, UDP_OUT);
    complete(l, t, 0, t->lists[0]);
    assert_int_equal(ndis_nbl_made(t->lists[0]), NDIS_MADE_CLONE); /* still ours, and as it was */
    assert_int_equal(ndis_nb_read(t->lists[0]->FirstNetBuffer, 8, data, 8), 8);
    assert_memory_equal(data, "question", 8);
    assert_string_equal(give(l, t, 0), "DD OT OI"); /* PEND-31 */
    assert_int_equal(l->emitted_count, 1);
    assert_true(l->emitted[0]->unchanged);
    LAB_OUT(&l->d.host, .sport = 50001, .dport = 53, .data = "question");
    complete(l, t, 1, NULL); /* none is fine, too */
    packet_lab_drop(l, t, 1);
    for (unsigned i = 0; i < LEDGER_FAULTS; i++)
        assert_int_equal(l->d.found[i], 0);
}

static void PEND_15_pending_and_keeping_the_packet_go_together(void **state)
{
    struct packet_lab *l = *state;
    struct taker *t =
        packet_lab_take(l, "AC", KEEP(.kind = HOST_INJECT_TRANSPORT_SEND, .how = TAKE_REFERENCE));

    LAB_OUT(&l->d.host, UDP_OUT);
    assert_int_equal(l->d.host.outcome.fate, HOST_HELD);
    assert_true(l->d.host.outcome.kept);
    complete(l, t, 0, NULL);
    assert_non_null(strstr(l->d.host.seen, "AC(REAUTH)"));
    give(l, t, 0);
    assert_int_equal(l->emitted_count, 1);
    assert_int_equal(l->released_count, 1);
}

static void PEND_33_what_nobody_kept_is_lost(void **state)
{
    struct packet_lab *l = *state;
    struct taker *t = packet_lab_take(l, "AC", KEEP(.kind = HOST_INJECT_TRANSPORT_SEND));

    LAB_OUT(&l->d.host, UDP_OUT);
    packet_lab_drop(l, t, 0);
    complete(l, t, 0, NULL);
    assert_null(strstr(l->d.host.seen, "OT")); /* the stack sends nothing that it did not keep */
    assert_int_equal(l->emitted_count, 0);
    LAB_OUT(&l->d.host, UDP_OUT); /* the program says it again */
    assert_int_equal(l->d.host.outcome.fate, HOST_PASSED);
}

static void look_after_pend(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    uint8_t *data = s->ctx;
    HANDLE pended;

    if ((c->metadata->currentMetadataValues & FWPS_METADATA_FIELD_COMPLETION_HANDLE) == 0)
        return;
    assert_int_equal(FwpsPendOperation0(c->metadata->completionHandle, &pended), STATUS_SUCCESS);
    *(HANDLE *)(data + 8) = pended;
    ndis_nb_read(c->packet->FirstNetBuffer, 8, data, 8);
    c->out->actionType = FWP_ACTION_BLOCK;
    c->out->flags |= FWPS_CLASSIFY_OUT_FLAG_ABSORB;
}

static void PEND_34_the_data_stay_until_the_classify_returns(void **state)
{
    struct packet_lab *l = *state;
    _Alignas(16) uint8_t data[16 + sizeof(HANDLE)] = {0};

    driver_lab_callout(&l->d, "AC", SCRIPT(&l->d, .then = look_after_pend, .ctx = data));
    LAB_OUT(&l->d.host, UDP_OUT);
    assert_memory_equal(data, "question", 8);
    assert_int_equal(l->d.host.outcome.fate, HOST_HELD);
    assert_false(l->d.host.outcome.kept); /* and no longer */
    FwpsCompleteOperation0(*(HANDLE *)(data + 8), NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(PEND_15_pending_and_keeping_the_packet_go_together),
        ON_BOTH(PEND_24_completing_an_accept_asks_nothing),
        ON_BOTH(PEND_25_an_accept_needs_both),
        ON_BOTH(PEND_26_permitting_the_own_clone_accepts),
        ON_BOTH(PEND_28_first_completed_then_received),
        ON_BOTH(PEND_29_a_clone_before_the_completion_is_dropped_at_RA),
        ON_BOTH(PEND_29_another_operation_of_the_flow_may_wait),
        ON_BOTH(PEND_30_completing_takes_no_list),
        ON_BOTH(PEND_33_what_nobody_kept_is_lost),
        ON_BOTH(PEND_34_the_data_stay_until_the_classify_returns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
