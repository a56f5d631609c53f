/* SPDX-License-Identifier: Apache-2.0 */
/* Section 11: which way an injected packet goes, who sees it again, what becomes of it (INJ-10..19, 26..34).
 */
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
#include "wire/wire.h"

#define UDP_IN   .sport = 5353, .dport = 53, .data = "question"
#define UDP_OUT  .sport = 53, .dport = 5353, .data = "question"
#define TCP(...) .protocol = WIRE_PROTOCOL_TCP, .tcp_flags = (__VA_ARGS__)
#define THROUGH  .src = "10.9.0.1", .dst = "10.8.0.1", .data = "through"

/* The bytes of the last frame from its IP header on. */
static const uint8_t *frame_ip(const struct packet_lab *l)
{
    return l->d.host.bytes + 14;
}

/* Injects, and gives what was seen since. */
static const char *give(struct packet_lab *l, struct taker *t, unsigned n)
{
    host_lab_reset(&l->d.host);
    assert_int_equal(packet_lab_give(l, t, n), STATUS_SUCCESS);
    return l->d.host.seen;
}

/* The last frame came out as it came in, once, and nothing of it is held. */
static void assert_through(const struct packet_lab *l, bool inbound)
{
    const struct told *t = l->emitted[0];

    assert_int_equal(l->emitted_count, 1);
    assert_int_equal(l->lost_count, 0);
    assert_int_equal(t->e.inbound, inbound);
    assert_true(t->unchanged);
    assert_int_equal(t->e.origin, l->d.host.frame);
    assert_memory_equal(t->bytes, frame_ip(l), t->e.size);
    assert_int_equal(t->e.link_size, 14);
    assert_memory_equal(t->link, l->d.host.bytes, 14);
    assert_int_equal(l->completed, 1);
    assert_int_equal(l->statuses[0], STATUS_SUCCESS);
    assert_int_equal(l->released_count, 1);
    assert_true(l->released[0].injected);
    assert_int_equal(l->released[0].frame, l->d.host.frame);
}

/* ---- INJ-10, 11 -----------------------------------------------------------------------------------------
 */

static void INJ_10_what_is_received_again_starts_at_the_bottom(void **state)
{
    struct packet_lab *l = *state;
    struct taker *t = packet_lab_take(l, "DD", &(struct taker){.kind = HOST_INJECT_TRANSPORT_RECEIVE});

    LAB_IN(&l->d.host, UDP_IN);
    assert_int_equal(l->d.host.outcome.fate, HOST_ABSORBED);
    assert_true(l->d.host.outcome.kept);
    assert_string_equal(give(l, t, 0), "II IT DD");
    assert_through(l, true);
}

static void INJ_10_what_is_sent_again_starts_at_the_top(void **state)
{
    struct packet_lab *l = *state;
    struct taker *t = packet_lab_take(l, "OI", &(struct taker){.kind = HOST_INJECT_NETWORK_SEND});

    LAB_OUT(&l->d.host, UDP_OUT);
    assert_string_equal(give(l, t, 0), "DD OT OI");
    assert_through(l, false);
}

static void INJ_11_network_receive_starts_at_II_and_authorizes(void **state)
{
    struct packet_lab *l = *state;
    struct taker *t = packet_lab_take(l, "II", &(struct taker){.kind = HOST_INJECT_NETWORK_RECEIVE});

    LAB_IN(&l->d.host, UDP_IN);
    assert_string_equal(strstr(l->d.host.seen, "II"), "II");
    assert_string_equal(give(l, t, 0), "II IT(ALE) RA FE DD");
    assert_through(l, true);
}

/* Another adapter's own, though the broadcast of a subnet where it comes in: a host of the strong model does not take
 * it, be it a frame or a packet that is received again. */
static void INJ_11_an_own_address_is_one_whatever_it_is_for_a_subnet(void **state)
{
    static const struct host_interface_desc other = {
        .name = "other", .luid = 0x0006000003000000, .index = 3, .type = 6, .mac = {2, 0, 0, 0, 0, 3}};
    struct packet_lab *l = *state;
    union wire_addr own, near;
    unsigned bits;
    struct taker *t;

    assert_int_equal(wire_addr_parse("10.0.0.7", &own, &bits), 4);
    assert_int_equal(wire_addr_parse("10.0.0.5", &near, &bits), 4);
    assert_int_equal(host_interface_add(l->d.host.host, &other), 0);
    assert_int_equal(host_address_add(l->d.host.host, 3, 4, &own, 32, false), 0);
    assert_int_equal(host_address_add(l->d.host.host, 1, 4, &near, 30, false), 0);
    LAB_IN(&l->d.host, UDP_IN, .dst = "10.0.0.7");
    assert_int_equal(l->d.host.outcome.fate, HOST_STACK);
    t = packet_lab_take(l, "II", &(struct taker){.kind = HOST_INJECT_NETWORK_RECEIVE});
    LAB_IN(&l->d.host, UDP_IN, .dst = "10.0.0.7");
    assert_int_equal(l->d.host.outcome.fate, HOST_ABSORBED);
    (void)give(l, t, 0);
    assert_int_equal(l->emitted_count, 0);
    assert_int_equal(l->lost_count, 1);
}

static void INJ_11_transport_send_meets_the_datagram_layer_and_below(void **state)
{
    struct packet_lab *l = *state;
    struct taker *t = packet_lab_take(l, "OT", &(struct taker){.kind = HOST_INJECT_TRANSPORT_SEND});

    LAB_OUT(&l->d.host, UDP_OUT);
    assert_string_equal(give(l, t, 0), "DD OT OI");
    assert_through(l, false);
}

static void INJ_11_transport_send_without_a_flow_is_authorized(void **state)
{
    struct packet_lab *l = *state;
    struct taker *t = packet_lab_take(l, "AC", &(struct taker){.kind = HOST_INJECT_TRANSPORT_SEND});

    LAB_OUT(&l->d.host, UDP_OUT);
    assert_string_equal(l->d.host.seen, "BR RES CR AC");
    assert_non_null(strstr(give(l, t, 0), "AC FE DD OT OI"));
    assert_int_equal(l->emitted_count, 1);
}

static void INJ_11_a_stranger_on_the_network_layer_is_a_raw_sender(void **state)
{
    struct packet_lab *l = *state;

    uint8_t frame[256];
    size_t size = PACKET(frame, .link = PACKET_RAW, .src = "10.0.0.1", .dst = "10.0.0.2", .sport = 9,
                         .dport = 9, .data = "mine");
    NET_BUFFER_LIST *nbl = packet_lab_own(l, frame, size, 0);

    host_lab_reset(&l->d.host);
    assert_int_equal(FwpsInjectNetworkSendAsync0(l->net4, NULL, 0, UNSPECIFIED_COMPARTMENT_ID, nbl,
                                                 packet_lab_completed, l),
                     STATUS_SUCCESS);
    packet_lab_settle(l);
    assert_string_equal(l->d.host.seen, "OT OI");
    assert_int_equal(l->emitted_count, 1);
    assert_int_equal(l->emitted[0]->e.origin, 0);
    assert_null(l->emitted[0]->e.link);
    assert_int_equal(l->emitted[0]->e.interface_index, 1);
    assert_int_equal(l->emitted[0]->e.size, size);
    assert_memory_equal(l->emitted[0]->bytes, frame, size);
    assert_int_equal(l->released_count, 0);
}

static void INJ_11_a_segment_is_not_told_to_the_stream_layer_twice(void **state)
{
    struct packet_lab *l = *state;
    struct taker *t = packet_lab_take(l, "OT", &(struct taker){.kind = HOST_INJECT_TRANSPORT_SEND});
    struct host_lab_tcp c = {.local = 50000, .remote = 80};

    t->only_looks = true;
    host_lab_connect(&l->d.host, &c);
    t->only_looks = false;
    host_lab_send(&l->d.host, &c, "data");
    assert_non_null(strstr(l->d.host.seen, "ST"));
    assert_string_equal(give(l, t, 0), "OT OI");
    assert_int_equal(l->emitted_count, 1);
    assert_true(l->emitted[0]->unchanged);
}

static void INJ_11_a_SYN_that_is_sent_later_opens_its_connection(void **state)
{
    struct packet_lab *l = *state;
    struct taker *t = packet_lab_take(l, "OT", &(struct taker){.kind = HOST_INJECT_TRANSPORT_SEND});

    LAB_OUT(&l->d.host, TCP(WIRE_TCP_SYN), .sport = 50000, .dport = 80, .seq = 100);
    assert_int_equal(l->d.host.outcome.fate, HOST_ABSORBED);
    assert_string_equal(give(l, t, 0), "OT OI");
    LAB_IN(&l->d.host, TCP(WIRE_TCP_SYN | WIRE_TCP_ACK), .sport = 80, .dport = 50000, .seq = 7, .ack = 101);
    assert_int_equal(l->d.host.outcome.fate, HOST_PASSED);
    assert_string_equal(l->d.host.seen, "II IT SPK FE");
}

static void INJ_11_one_that_was_not_sent_has_no_answer(void **state)
{
    struct packet_lab *l = *state;

    packet_lab_take(l, "OT", &(struct taker){.kind = HOST_INJECT_TRANSPORT_SEND});
    LAB_OUT(&l->d.host, TCP(WIRE_TCP_SYN), .sport = 50000, .dport = 80, .seq = 100);
    LAB_IN(&l->d.host, TCP(WIRE_TCP_SYN | WIRE_TCP_ACK), .sport = 80, .dport = 50000, .seq = 7, .ack = 101);
    assert_int_equal(l->d.host.outcome.fate, HOST_CONSEQUENCE);
}

static void INJ_11_over_IPv6_too(void **state)
{
    struct packet_lab *l = *state;
    struct taker *in = packet_lab_take(l, "IT6", &(struct taker){.kind = HOST_INJECT_TRANSPORT_RECEIVE});
    struct taker *out = packet_lab_take(l, "OT6", &(struct taker){.kind = HOST_INJECT_TRANSPORT_SEND});

    LAB_IN(&l->d.host, .src = "fd00::2", .dst = "fd00::1", UDP_IN);
    assert_string_equal(give(l, in, 0), "II IT(ALE) RA FE DD");
    assert_true(l->emitted[0]->unchanged);
    LAB_OUT(&l->d.host, .src = "fd00::1", .dst = "fd00::2", UDP_OUT);
    assert_string_equal(give(l, out, 0), "DD OT OI");
    assert_int_equal(l->emitted_count, 2);
    assert_true(l->emitted[1]->unchanged);
    assert_int_equal(l->emitted[1]->e.version, 6);
}

/* ---- INJ-12, 14, 15, 16 -----------------------------------------------------------------------------------
 */

static void INJ_12_the_injector_and_all_others_see_it_again(void **state)
{
    struct packet_lab *l = *state;
    struct taker *t = packet_lab_take(l, "DD", &(struct taker){.kind = HOST_INJECT_TRANSPORT_RECEIVE});
    struct taker *other = packet_lab_take(l, "IT", &(struct taker){.only_looks = true, .handle = l->net4});

    LAB_IN(&l->d.host, UDP_IN);
    assert_int_equal(t->seen, 1);
    assert_int_equal(other->seen, 1);
    give(l, t, 0);
    assert_int_equal(t->seen, 2);
    assert_int_equal(other->seen, 2);
    assert_int_equal(t->states[1], FWPS_PACKET_INJECTED_BY_SELF);
    assert_int_equal(other->states[1], FWPS_PACKET_INJECTED_BY_OTHER);
}

static void INJ_14_the_state_says_whose_the_last_injection_was(void **state)
{
    struct packet_lab *l = *state;
    HANDLE second;
    struct taker *a, *b;

    assert_int_equal(FwpsInjectionHandleCreate0(AF_INET, FWPS_INJECTION_TYPE_TRANSPORT, &second),
                     STATUS_SUCCESS);
    a = packet_lab_take(l, "DD", &(struct taker){.kind = HOST_INJECT_TRANSPORT_RECEIVE});
    b = packet_lab_take(l, "IT", &(struct taker){.kind = HOST_INJECT_TRANSPORT_RECEIVE, .handle = second});
    LAB_IN(&l->d.host, UDP_IN);
    give(l, b, 0); /* seen by b, then taken by a */
    give(l, a, 0);
    assert_int_equal(b->seen, 3);
    assert_int_equal(b->states[0], FWPS_PACKET_NOT_INJECTED);
    assert_int_equal(b->states[1], FWPS_PACKET_INJECTED_BY_SELF);
    assert_int_equal(b->states[2], FWPS_PACKET_PREVIOUSLY_INJECTED_BY_SELF);
    assert_ptr_equal(b->contexts[1], (HANDLE)1000);
    assert_ptr_equal(b->contexts[2], (HANDLE)1000);
    assert_int_equal(a->seen, 2);
    assert_int_equal(a->states[0], FWPS_PACKET_INJECTED_BY_OTHER);
    assert_null(a->contexts[0]);
    assert_int_equal(a->states[1], FWPS_PACKET_INJECTED_BY_SELF);
    assert_int_equal(l->emitted_count, 1);
    assert_int_equal(l->released_count, 1);
    assert_int_equal(FwpsInjectionHandleDestroy0(second), STATUS_SUCCESS);
}

static void INJ_15_another_handle_of_the_same_driver_is_another(void **state)
{
    struct packet_lab *l = *state;
    struct taker *t = packet_lab_take(l, "DD", &(struct taker){.kind = HOST_INJECT_TRANSPORT_RECEIVE});
    struct taker *other = packet_lab_take(l, "II", &(struct taker){.only_looks = true, .handle = l->net4});

    LAB_IN(&l->d.host, UDP_IN);
    give(l, t, 0);
    assert_int_equal(other->states[1], FWPS_PACKET_INJECTED_BY_OTHER);
    assert_null(other->contexts[1]);
}

static void INJ_16_clones_have_the_history_and_loopback_keeps_it(void **state)
{
    struct packet_lab *l = *state;
    struct taker *t = packet_lab_take(l, "OI", &(struct taker){.kind = HOST_INJECT_NETWORK_SEND});
    struct taker *in = packet_lab_take(l, "II", &(struct taker){.only_looks = true, .handle = l->net4});
    HANDLE context = NULL;

    LAB_OUT(&l->d.host, .src = "127.0.0.1", .dst = "127.0.0.1", UDP_OUT);
    assert_int_equal(FwpsQueryPacketInjectionState0(l->net4, t->lists[0], &context),
                     FWPS_PACKET_NOT_INJECTED);
    assert_string_equal(give(l, t, 0), "DD OT OI BR RES II IT(ALE) RA FE DD");
    assert_int_equal(in->seen, 1);
    assert_int_equal(in->states[0], FWPS_PACKET_INJECTED_BY_SELF);
    assert_ptr_equal(in->contexts[0], (HANDLE)1000);
    assert_int_equal(l->emitted_count, 1);
    assert_true(l->emitted[0]->e.loopback);
}

static void clone_and_ask(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    FWPS_PACKET_INJECTION_STATE *state = s->ctx;
    struct packet_lab *l = (struct packet_lab *)((char *)s->lab - offsetof(struct packet_lab, d));
    NET_BUFFER_LIST *clone;

    c->out->actionType = FWP_ACTION_PERMIT;
    assert_int_equal(FwpsAllocateCloneNetBufferList0(c->packet, NULL, NULL, 0, &clone), STATUS_SUCCESS);
    *state = FwpsQueryPacketInjectionState0(l->transport, clone, NULL);
    FwpsFreeCloneNetBufferList0(clone, 0);
}

static void INJ_16_a_clone_is_as_injected_as_what_it_was_made_of(void **state)
{
    struct packet_lab *l = *state;
    struct taker *t = packet_lab_take(l, "DD", &(struct taker){.kind = HOST_INJECT_TRANSPORT_RECEIVE});
    FWPS_PACKET_INJECTION_STATE known = FWPS_PACKET_INJECTION_STATE_MAX;

    driver_lab_callout(&l->d, "II", SCRIPT(&l->d, .then = clone_and_ask, .ctx = &known));
    LAB_IN(&l->d.host, UDP_IN);
    assert_int_equal(known, FWPS_PACKET_NOT_INJECTED);
    give(l, t, 0);
    assert_int_equal(known, FWPS_PACKET_INJECTED_BY_SELF);
}

/* ---- INJ-17
 * ------------------------------------------------------------------------------------------------ */

static void forget(struct taker *t, NET_BUFFER_LIST *nbl)
{
    (void)nbl;
    host_lab_reset(&t->lab->d.host); /* it writes down so many classifications and no more */
}

static void INJ_17_two_that_inject_each_others_packets_come_to_an_end(void **state)
{
    struct packet_lab *l = *state;
    const struct taker blind = {
        .kind = HOST_INJECT_TRANSPORT_RECEIVE, .blind = true, .at_once = true, .change = forget};
    struct taker *t = packet_lab_take(l, "DD", &blind);

    LAB_IN(&l->d.host, UDP_IN);
    packet_lab_settle(l);
    assert_int_equal(t->taken, 65); /* the frame, and the 64 times that it came again */
    assert_int_equal(l->completed, 65);
    assert_int_equal(l->statuses[63], STATUS_SUCCESS);
    assert_int_equal(l->statuses[64], STATUS_HOPLIMIT_EXCEEDED);
    assert_int_equal(l->emitted_count, 0);
    assert_int_equal(l->d.found[LEDGER_NOTE], 1);
    assert_string_equal(l->d.last,
                        "a packet was injected 64 times, last by driver, before by driver: dropped");
    assert_int_equal(l->released_count, 1);
}

/* Lists of the drivers' own, with copies of the bytes: nothing in them says where they stem from. */
static void INJ_17_copies_come_to_an_end_too(void **state)
{
    struct packet_lab *l = *state;
    const struct taker blind = {.how = TAKE_COPY,
                                .kind = HOST_INJECT_TRANSPORT_RECEIVE,
                                .blind = true,
                                .at_once = true,
                                .change = forget};
    struct taker *t = packet_lab_take(l, "DD", &blind);

    LAB_IN(&l->d.host, UDP_IN);
    packet_lab_settle(l);
    assert_int_equal(t->taken, 65);
    assert_int_equal(l->completed, 65);
    assert_int_equal(l->statuses[63], STATUS_SUCCESS);
    assert_int_equal(l->statuses[64], STATUS_HOPLIMIT_EXCEEDED);
    assert_int_equal(t->states[64], FWPS_PACKET_INJECTED_BY_SELF); /* of one injection, as ever */
    assert_int_equal(l->emitted_count, 0);
    assert_int_equal(l->d.found[LEDGER_NOTE], 1);
    assert_string_equal(l->d.last,
                        "a packet was injected 64 times, last by driver, before by driver: dropped");
}

/* The other port each time, as two would do who translate: the packet is no copy by its tuple. */
static void swap_ports(struct taker *t, NET_BUFFER_LIST *nbl)
{
    uint8_t *packet = NdisGetDataBuffer(NET_BUFFER_LIST_FIRST_NB(nbl), 28, NULL, 1, 0);

    assert_non_null(packet);
    packet[21] ^= (uint8_t)(1 + t->taken); /* of the source port; each time another */
    packet[26] = packet[27] = 0;           /* no checksum */
    forget(t, nbl);
}

static void INJ_17_copies_with_other_ports_come_to_an_end(void **state)
{
    struct packet_lab *l = *state;
    const struct taker blind = {.how = TAKE_COPY,
                                .kind = HOST_INJECT_TRANSPORT_RECEIVE,
                                .blind = true,
                                .at_once = true,
                                .change = swap_ports};
    struct taker *t = packet_lab_take(l, "IT", &blind);

    LAB_IN(&l->d.host, UDP_IN);
    packet_lab_settle(l);
    assert_int_equal(t->taken, 65);
    assert_int_equal(l->statuses[64], STATUS_HOPLIMIT_EXCEEDED);
    assert_int_equal(l->d.found[LEDGER_NOTE], 1);
}

/* ---- INJ-18
 * ------------------------------------------------------------------------------------------------ */

struct order {
    char text[16];
    size_t length;
    struct taker *t;
};

static void heavier(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    struct order *o = s->ctx;

    o->text[o->length++] = 'h';
    c->out->actionType = FWP_ACTION_CONTINUE;
    /* it sees what lighter ones put in, and may change it before they see it again */
    if (FwpsQueryPacketInjectionState0(o->t->handle, c->packet, NULL) == FWPS_PACKET_INJECTED_BY_SELF) {
        uint8_t *data = NdisGetDataBuffer(NET_BUFFER_LIST_FIRST_NB(c->packet), 1, NULL, 1, 0);

        assert_non_null(data);
        *data = 'Q';
    }
}

static void in_turn(struct taker *t, NET_BUFFER_LIST *nbl)
{
    (void)nbl;
    assert_int_equal(t->seen, 1);
}

static void INJ_18_heavier_callouts_see_the_clone_before(void **state)
{
    struct packet_lab *l = *state;
    struct order o = {.length = 0};
    struct taker *t =
        packet_lab_take(l, "DD", &(struct taker){.kind = HOST_INJECT_TRANSPORT_RECEIVE, .change = in_turn});

    o.t = t;
    driver_lab_callout(&l->d, "DD", SCRIPT(&l->d, .then = heavier, .ctx = &o)); /* later: heavier (OBJ-33) */
    LAB_IN(&l->d.host, UDP_IN);
    assert_int_equal(t->seen, 1);
    give(l, t, 0);
    assert_string_equal(o.text, "hh");
    assert_int_equal(t->seen, 2);
    assert_int_equal(l->emitted_count, 1);
    assert_false(l->emitted[0]->unchanged); /* with what was changed on the way */
    assert_memory_equal(l->emitted[0]->bytes + 28, "Question", 8);
}

/* ---- INJ-19
 * ------------------------------------------------------------------------------------------------ */

static void ask_forwarded(struct packet_lab *l, NET_BUFFER_LIST *nbl)
{
    HANDLE context = NULL;

    assert_int_equal(FwpsQueryPacketInjectionState0(l->forward, nbl, &context), FWPS_PACKET_INJECTED_BY_SELF);
    assert_ptr_equal(context, (HANDLE)1000);
    packet_lab_free(l, nbl);
}

static void INJ_19_what_is_forwarded_again_meets_no_layer(void **state)
{
    struct packet_lab *l = *state;
    struct taker *t = packet_lab_take(l, "FW", &(struct taker){.kind = HOST_INJECT_FORWARD});

    l->on_complete = ask_forwarded;
    LAB_IN(&l->d.host, THROUGH);
    assert_int_equal(l->d.host.outcome.fate, HOST_ABSORBED);
    assert_string_equal(give(l, t, 0), "");
    assert_int_equal(t->seen, 1);
    assert_through(l, false);
    assert_true(l->emitted[0]->e.forwarded);
}

/* ---- INJ-26, 27
 * -------------------------------------------------------------------------------------------- */

static void INJ_26_transport_receive_is_for_what_the_transport_layers_showed(void **state)
{
    struct packet_lab *l = *state;
    struct packet asked = {.src = "10.0.0.1", .dst = "10.0.0.2", UDP_OUT};
    struct taker *it = packet_lab_take(l, "IT", &(struct taker){.kind = HOST_INJECT_TRANSPORT_RECEIVE});
    struct taker *iie = packet_lab_take(l, "IIE", &(struct taker){.kind = HOST_INJECT_TRANSPORT_RECEIVE});
    const struct packet error = {
        .protocol = WIRE_PROTOCOL_ICMP, .icmp_type = 3, .icmp_code = 3, .quotes = &asked};

    it->only_looks = true;
    host_lab_packet(&l->d.host, HOST_WAY_OUT, &asked);
    LAB_IN(&l->d.host, UDP_IN);
    it->only_looks = false;
    LAB_IN(&l->d.host, UDP_IN);
    assert_string_equal(give(l, it, 0), "II IT DD");
    it->only_looks = true;
    host_lab_packet(&l->d.host, HOST_WAY_IN, &error);
    assert_int_equal(iie->taken, 1);
    assert_string_equal(give(l, iie, 0), "II IT IIE");
    assert_int_equal(l->emitted_count, 2);
    assert_true(l->emitted[1]->unchanged);
}

/* ---- INJ-31, 32, 34
 * ---------------------------------------------------------------------------------------- */

static void INJ_31_loopback_is_not_received_from_the_network_layer(void **state)
{
    struct packet_lab *l = *state;
    struct taker *t = packet_lab_take(l, "II", &(struct taker){.kind = HOST_INJECT_NETWORK_RECEIVE});

    LAB_OUT(&l->d.host, .src = "127.0.0.1", .dst = "127.0.0.1", UDP_OUT);
    assert_int_equal(t->taken, 1);
    assert_string_equal(give(l, t, 0), "");
    assert_int_equal(l->statuses[0], STATUS_DATA_NOT_ACCEPTED);
    assert_int_equal(l->emitted_count, 0);
    assert_int_equal(l->lost_count, 1);
}

static NTSTATUS send_own(struct packet_lab *l, const struct packet *p)
{
    static uint8_t frame[2048];
    size_t size = packet_build(p, frame, sizeof(frame));
    NET_BUFFER_LIST *nbl = packet_lab_own(l, frame, size, 0);
    const unsigned before = l->completed;

    assert_int_equal(FwpsInjectNetworkSendAsync0(l->net4, NULL, 0, UNSPECIFIED_COMPARTMENT_ID, nbl,
                                                 packet_lab_completed, l),
                     STATUS_SUCCESS);
    packet_lab_settle(l);
    assert_int_equal(l->completed, before + 1);
    return l->statuses[before];
}

static void INJ_32_what_fails_later_is_told_by_the_status(void **state)
{
    struct packet_lab *l = *state;
    struct taker *t;

    assert_int_equal(
        send_own(l, &(struct packet){.link = PACKET_RAW, .src = "10.0.0.1", .dst = "10.0.0.2", UDP_OUT}),
        STATUS_SUCCESS);
    assert_int_equal(
        send_own(l, &(struct packet){.link = PACKET_RAW, .src = "10.77.0.1", .dst = "10.78.0.2", UDP_OUT}),
        STATUS_HOST_UNREACHABLE);
    assert_int_equal(send_own(l, &(struct packet){.link = PACKET_RAW,
                                                  .src = "10.0.0.1",
                                                  .dst = "10.0.0.2",
                                                  .dont_fragment = true,
                                                  .fill = 1500 - 28 + 1,
                                                  .sport = 53,
                                                  .dport = 5353}),
                     STATUS_INVALID_BUFFER_SIZE);
    assert_int_equal(send_own(l, &(struct packet){.link = PACKET_RAW,
                                                  .src = "10.0.0.1",
                                                  .dst = "10.0.0.2",
                                                  .dont_fragment = true,
                                                  .fill = 1500 - 28,
                                                  .sport = 53,
                                                  .dport = 5353}),
                     STATUS_SUCCESS);
    assert_int_equal(l->emitted_count, 2);
    assert_int_equal(l->lost_count, 2);
    t = packet_lab_take(l, "OT", &(struct taker){.kind = HOST_INJECT_TRANSPORT_SEND});
    LAB_OUT(&l->d.host, UDP_OUT);
    t->endpoints[0] += 1000; /* one that is not there */
    give(l, t, 0);
    assert_int_equal(l->statuses[l->completed - 1], STATUS_NOT_FOUND);
}

static void INJ_32_a_block_on_the_way_is_no_success(void **state)
{
    struct packet_lab *l = *state;
    struct taker *t = packet_lab_take(l, "DD", &(struct taker){.kind = HOST_INJECT_TRANSPORT_RECEIVE});

    LAB_IN(&l->d.host, UDP_IN);
    driver_lab_callout(&l->d, "II", SCRIPT(&l->d, .action = FWP_ACTION_BLOCK, .clear_write = true));
    assert_string_equal(give(l, t, 0), "II II_DISCARD(POLICY)");
    assert_false(NT_SUCCESS(l->statuses[0]));
    assert_int_equal(l->lost_count, 1);
    assert_int_equal(l->lost[0]->fate, HOST_BLOCKED);
    assert_int_equal(l->lost[0]->e.origin, l->d.host.frame);
}

static void to_us(struct taker *t, NET_BUFFER_LIST *nbl)
{
    static const UCHAR from[4] = {10, 9, 0, 1}, to[4] = {10, 0, 0, 1};

    (void)t;
    assert_int_equal(FwpsConstructIpHeaderForTransportPacket0(
                         nbl, 20, AF_INET, from, to, (IPPROTO)WIRE_PROTOCOL_UDP, 0, NULL, 0, 0, NULL, 1, 0),
                     STATUS_SUCCESS);
}

/* The stack still answers for a connection that has ended (TIME_WAIT): its last word may be held and sent. */
static void INJ_32_the_last_word_of_a_connection_goes_after_its_end(void **state)
{
    static const struct {
        bool out;
        uint8_t flags;
        uint32_t seq, ack;
    } steps[] = {
        {true, WIRE_TCP_SYN, 100, 0},
        {false, WIRE_TCP_SYN | WIRE_TCP_ACK, 500, 101},
        {true, WIRE_TCP_ACK, 101, 501},
        {true, WIRE_TCP_FIN | WIRE_TCP_ACK, 101, 501},
        {false, WIRE_TCP_FIN | WIRE_TCP_ACK, 501, 102},
        {true, WIRE_TCP_ACK, 102, 502},
    };
    struct packet_lab *l = *state;
    struct taker *t = packet_lab_take(l, "OT", &(struct taker){.kind = HOST_INJECT_TRANSPORT_SEND});
    struct host_counts counts;

    for (unsigned i = 0; i < 6; i++) {
        const unsigned before = t->taken;

        if (steps[i].out)
            LAB_OUT(&l->d.host, .protocol = WIRE_PROTOCOL_TCP, .sport = 50000, .dport = 80,
                    .seq = steps[i].seq, .ack = steps[i].ack, .tcp_flags = steps[i].flags);
        else
            LAB_IN(&l->d.host, .protocol = WIRE_PROTOCOL_TCP, .sport = 80, .dport = 50000,
                   .seq = steps[i].seq, .ack = steps[i].ack, .tcp_flags = steps[i].flags);
        assert_int_equal(t->taken, before + steps[i].out);
        if (steps[i].out && i != 5)
            assert_int_equal(packet_lab_give(l, t, before), STATUS_SUCCESS);
    }
    host_counts(l->d.host.host, &counts);
    assert_int_equal(counts.flows_live, 0); /* it has ended */
    assert_true(t->endpoints[3] != 0);
    assert_int_equal(packet_lab_give(l, t, 3), STATUS_SUCCESS);
    assert_int_equal(l->statuses[3], STATUS_SUCCESS);
    assert_int_equal(l->emitted_count, 4);
    assert_int_equal(l->lost_count, 0);
}

static void INJ_34_a_forwarded_packet_can_be_received(void **state)
{
    struct packet_lab *l = *state;
    struct taker *t = packet_lab_take(
        l, "FW",
        &(struct taker){
            .kind = HOST_INJECT_NETWORK_RECEIVE, .handle = l->net4, .change = to_us, .how = TAKE_DEEP});

    LAB_IN(&l->d.host, THROUGH, .sport = 1, .dport = 53);
    assert_string_equal(give(l, t, 0), "BR RES II IT(ALE) RA FE DD");
    assert_int_equal(l->emitted_count, 1);
    assert_true(l->emitted[0]->e.inbound);
    assert_false(l->emitted[0]->unchanged);
    assert_int_equal(l->emitted[0]->e.origin, l->d.host.frame);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(INJ_10_what_is_received_again_starts_at_the_bottom),
        ON_BOTH(INJ_10_what_is_sent_again_starts_at_the_top),
        ON_BOTH(INJ_11_network_receive_starts_at_II_and_authorizes),
        ON_BOTH(INJ_11_an_own_address_is_one_whatever_it_is_for_a_subnet),
        ON_BOTH(INJ_11_transport_send_meets_the_datagram_layer_and_below),
        ON_BOTH(INJ_11_transport_send_without_a_flow_is_authorized),
        ON_BOTH(INJ_11_a_stranger_on_the_network_layer_is_a_raw_sender),
        ON_BOTH(INJ_11_a_segment_is_not_told_to_the_stream_layer_twice),
        ON_BOTH(INJ_11_a_SYN_that_is_sent_later_opens_its_connection),
        ON_BOTH(INJ_11_one_that_was_not_sent_has_no_answer),
        ON_BOTH(INJ_11_over_IPv6_too),
        ON_BOTH(INJ_12_the_injector_and_all_others_see_it_again),
        ON_BOTH(INJ_14_the_state_says_whose_the_last_injection_was),
        ON_BOTH(INJ_15_another_handle_of_the_same_driver_is_another),
        ON_BOTH(INJ_16_clones_have_the_history_and_loopback_keeps_it),
        ON_BOTH(INJ_16_a_clone_is_as_injected_as_what_it_was_made_of),
        ON_BOTH(INJ_17_two_that_inject_each_others_packets_come_to_an_end),
        ON_BOTH(INJ_17_copies_come_to_an_end_too),
        ON_BOTH(INJ_17_copies_with_other_ports_come_to_an_end),
        ON_BOTH(INJ_18_heavier_callouts_see_the_clone_before),
        ON_BOTH(INJ_19_what_is_forwarded_again_meets_no_layer),
        ON_BOTH(INJ_26_transport_receive_is_for_what_the_transport_layers_showed),
        ON_BOTH(INJ_31_loopback_is_not_received_from_the_network_layer),
        ON_BOTH(INJ_32_what_fails_later_is_told_by_the_status),
        ON_BOTH(INJ_32_a_block_on_the_way_is_no_success),
        ON_BOTH(INJ_32_the_last_word_of_a_connection_goes_after_its_end),
        ON_BOTH(INJ_34_a_forwarded_packet_can_be_received),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
