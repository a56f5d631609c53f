/* SPDX-License-Identifier: Apache-2.0 */
/* Section 11 at the MAC layers: where an injected frame starts again, who sees it, how a chain is completed, and what
 * of its bytes is written (INJ-01, 03, 07, 10, 12, 21, 29, 30; CLS-10, CLS-34). */
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

#define UDP_IN  .sport = 5353, .dport = 53, .data = "question"
#define UDP_OUT .sport = 53, .dport = 5353, .data = "question"
#define ARP     .ether_type = 0x0806, .no_transport = true, .data = "who has it?"

static int begin(void **state, bool simulated)
{
    const struct host_config config = {.knobs.l2_layers = true};
    struct packet_lab *l = calloc(1, sizeof(*l));

    assert_non_null(l);
    packet_lab_open(l, &config, simulated);
    l->d.host.l2 = true;
    *state = l;
    return 0;
}

static int real(void **state)
{
    return begin(state, false);
}

static int simulated(void **state)
{
    return begin(state, true);
}

#define BOTH(test)                                                                                           \
    {#test, test, real, packet_lab_end, NULL},                                                               \
    {                                                                                                        \
#test "_simulated", test, simulated, packet_lab_end, NULL                                            \
    }

static const char *give(struct packet_lab *l, struct taker *t, unsigned n)
{
    host_lab_reset(&l->d.host);
    assert_int_equal(packet_lab_give(l, t, n), STATUS_SUCCESS);
    return l->d.host.seen;
}

/* The last frame came out as it came in, link header and all, once. */
static void assert_frame(const struct packet_lab *l, size_t size, bool inbound)
{
    const struct told *t = l->emitted[0];

    assert_int_equal(l->emitted_count, 1);
    assert_int_equal(l->lost_count, 0);
    assert_true(t->e.frame);
    assert_true(t->unchanged);
    assert_int_equal(t->e.inbound, inbound);
    assert_int_equal(t->e.origin, l->d.host.frame);
    assert_int_equal(t->e.link_size + t->e.size, size);
    assert_memory_equal(t->link, l->d.host.bytes, t->e.link_size);
    assert_memory_equal(t->bytes, l->d.host.bytes + t->e.link_size, t->e.size);
    assert_int_equal(l->completed, 1);
    assert_int_equal(l->statuses[0], STATUS_SUCCESS);
    assert_int_equal(l->released_count, 1);
}

#define RECEIVES                                                                                             \
    &(struct taker)                                                                                          \
    {                                                                                                        \
        .kind = HOST_INJECT_MAC_RECEIVE                                                                      \
    }
#define SENDS                                                                                                \
    &(struct taker)                                                                                          \
    {                                                                                                        \
        .kind = HOST_INJECT_MAC_SEND                                                                         \
    }

/* ---- INJ-10: where it starts again ------------------------------------------------------------------------- */

static void INJ_10_a_frame_is_received_again_from_its_layer_on(void **state)
{
    struct packet_lab *l = *state;
    struct taker *t = packet_lab_take(l, "MAC_IN", RECEIVES);

    LAB_IN(&l->d.host, UDP_IN);
    assert_int_equal(l->d.host.outcome.fate, HOST_ABSORBED);
    assert_string_equal(strstr(l->d.host.seen, "MAC"), "MAC_IN_NATIVE MAC_IN");
    assert_string_equal(give(l, t, 0), "MAC_IN II IT(ALE) RA FE DD");
    assert_frame(l, 14 + 28 + 8, true);
    assert_int_equal(t->states[1], FWPS_PACKET_INJECTED_BY_SELF); /* INJ-12: seen again */
    assert_ptr_equal(t->contexts[1], (HANDLE)1000);
}

static void INJ_10_a_native_frame_meets_both_layers(void **state)
{
    struct packet_lab *l = *state;
    struct taker *t = packet_lab_take(l, "MAC_IN_NATIVE", RECEIVES);

    LAB_IN(&l->d.host, UDP_IN);
    assert_string_equal(strstr(l->d.host.seen, "MAC"), "MAC_IN_NATIVE");
    assert_string_equal(give(l, t, 0), "MAC_IN_NATIVE MAC_IN II IT(ALE) RA FE DD");
    assert_frame(l, 14 + 28 + 8, true);
}

static void INJ_10_a_frame_is_sent_again_from_its_layer_on(void **state)
{
    struct packet_lab *l = *state;
    struct taker *t = packet_lab_take(l, "MAC_OUT", SENDS);

    LAB_OUT(&l->d.host, UDP_OUT);
    assert_int_equal(l->d.host.outcome.fate, HOST_ABSORBED);
    assert_non_null(strstr(l->d.host.seen, "DD OT OI MAC_OUT"));
    assert_string_equal(give(l, t, 0), "MAC_OUT MAC_OUT_NATIVE");
    assert_frame(l, 14 + 28 + 8, false);
}

static void INJ_10_a_native_frame_is_sent_behind_the_ethernet_layer(void **state)
{
    struct packet_lab *l = *state;
    struct taker *t = packet_lab_take(l, "MAC_OUT_NATIVE", SENDS);

    LAB_OUT(&l->d.host, UDP_OUT);
    assert_string_equal(give(l, t, 0), "MAC_OUT_NATIVE");
    assert_frame(l, 14 + 28 + 8, false);
}

/* What was not sent has no answer; sent after all, it has. */
static void INJ_10_what_is_sent_after_all_is_answered(void **state)
{
    struct packet_lab *l = *state;
    struct taker *t = packet_lab_take(l, "MAC_OUT", SENDS);
    struct host_lab_tcp c = {.local = 50000, .remote = 80};

    LAB_OUT(&l->d.host, UDP_OUT);
    LAB_IN(&l->d.host, .sport = 5353, .dport = 53, .data = "answer");
    assert_int_equal(l->d.host.outcome.fate, HOST_CONSEQUENCE);
    give(l, t, 0);
    LAB_IN(&l->d.host, .sport = 5353, .dport = 53, .data = "answer");
    assert_int_equal(l->d.host.outcome.fate, HOST_PASSED);
    host_lab_segment(&l->d.host, &c, true, WIRE_TCP_SYN, NULL);
    assert_int_equal(l->d.host.outcome.fate, HOST_ABSORBED);
    give(l, t, 1);
    host_lab_segment(&l->d.host, &c, false, WIRE_TCP_SYN | WIRE_TCP_ACK, NULL);
    assert_int_equal(l->d.host.outcome.fate, HOST_PASSED);
}

/* Each is absorbed by itself, though their datagram is one. */
static void INJ_10_sent_fragments_are_frames_of_their_own(void **state)
{
    struct packet_lab *l = *state;
    struct taker *t = packet_lab_take(l, "MAC_OUT", SENDS);
    const struct packet p = {
        .sport = 53, .dport = 5353, .fill = 100, .id = 7, .src = "10.0.0.1", .dst = "10.0.0.2"};
    struct packet_frame frames[2];

    assert_int_equal(packet_fragments(&p, 64, frames, 2), 2);
    for (unsigned i = 0; i < 2; i++) {
        host_lab_piece(&l->d.host, HOST_WAY_OUT, frames, 2, i);
        assert_int_equal(l->d.host.outcome.fate, HOST_ABSORBED);
    }
    assert_int_equal(t->taken, 2);
    for (unsigned i = 0; i < 2; i++) {
        give(l, t, i);
        assert_int_equal(l->emitted_count, i + 1);
        assert_true(l->emitted[i]->unchanged);
    }
}

static void INJ_10_what_is_not_IP_goes_no_further(void **state)
{
    struct packet_lab *l = *state;
    struct taker *in = packet_lab_take(l, "MAC_IN", RECEIVES);
    struct taker *out = packet_lab_take(l, "MAC_OUT", SENDS);

    LAB_IN(&l->d.host, ARP);
    assert_int_equal(l->d.host.outcome.fate, HOST_ABSORBED);
    assert_string_equal(give(l, in, 0), "MAC_IN");
    assert_int_equal(l->emitted_count, 1);
    assert_int_equal(l->emitted[0]->e.version, 0);
    assert_true(l->emitted[0]->unchanged);
    assert_int_equal(l->emitted[0]->e.link_size, 14);
    LAB_OUT(&l->d.host, ARP);
    assert_string_equal(give(l, out, 0), "MAC_OUT MAC_OUT_NATIVE");
    assert_int_equal(l->emitted_count, 2);
    assert_true(l->emitted[1]->unchanged);
    assert_int_equal(l->completed, 2);
}

static void INJ_10_fragments_are_put_together_behind_the_mac_layers(void **state)
{
    struct packet_lab *l = *state;
    struct taker *t = packet_lab_take(l, "MAC_IN", RECEIVES);
    const struct packet p = {
        .sport = 5353, .dport = 53, .fill = 100, .id = 7, .src = "10.0.0.2", .dst = "10.0.0.1"};
    struct packet_frame frames[2];

    assert_int_equal(packet_fragments(&p, 64, frames, 2), 2);
    for (unsigned i = 0; i < 2; i++)
        host_lab_bytes(&l->d.host, HOST_WAY_IN, WIRE_LINK_ETHERNET, frames[i].bytes, frames[i].size,
                       frames[i].size, 1);
    assert_string_equal(give(l, t, 0), "MAC_IN II II(FRAGMENT)");
    assert_string_equal(give(l, t, 1), "MAC_IN II II(FRAGMENT) BR RES II(REASSEMBLED) IT(ALE) RA FE DD");
    assert_int_equal(l->emitted_count, 2);
    for (unsigned i = 0; i < 2; i++) { /* the pieces are what is written */
        assert_true(l->emitted[i]->unchanged);
        assert_false(l->emitted[i]->e.reassembled);
        assert_int_equal(l->emitted[i]->e.link_size + l->emitted[i]->e.size, frames[i].size);
        assert_memory_equal(l->emitted[i]->bytes, frames[i].bytes + 14, frames[i].size - 14);
    }
}

/* ---- whose it is, and what is wrong ------------------------------------------------------------------------ */

static void INJ_03_of_another_type_is_stale(void **state)
{
    struct packet_lab *l = *state;
    struct taker *t = packet_lab_take(
        l, "MAC_IN", &(struct taker){.kind = HOST_INJECT_MAC_RECEIVE, .handle = l->transport});

    LAB_IN(&l->d.host, UDP_IN);
    assert_int_equal(packet_lab_give(l, t, 0), STATUS_FWP_INJECT_HANDLE_STALE);
    assert_int_equal(l->completed, 0);
}

static void INJ_01_layers_ports_and_flags_are_checked(void **state)
{
    struct packet_lab *l = *state;
    uint8_t frame[256];
    const size_t size = PACKET(frame, UDP_IN);
    NET_BUFFER_LIST *nbl = packet_lab_own(l, frame, size, 0);

    packet_lab_take(l, "MAC_IN", RECEIVES)->only_looks = true;
#define RECEIVE(flags, layer, port, list)                                                                    \
    FwpsInjectMacReceiveAsync0(l->l2, NULL, (flags), (layer), 1, (port), (list), packet_lab_completed, l)
    assert_int_equal(RECEIVE(1, FWPS_LAYER_INBOUND_MAC_FRAME_ETHERNET, 0, nbl), STATUS_INVALID_PARAMETER);
    assert_int_equal(RECEIVE(0, FWPS_LAYER_OUTBOUND_MAC_FRAME_ETHERNET, 0, nbl), STATUS_INVALID_PARAMETER);
    assert_int_equal(RECEIVE(0, FWPS_LAYER_INBOUND_IPPACKET_V4, 0, nbl), STATUS_INVALID_PARAMETER);
    assert_int_equal(RECEIVE(0, FWPS_LAYER_INBOUND_MAC_FRAME_ETHERNET, 1, nbl), STATUS_INVALID_PARAMETER);
    assert_int_equal(RECEIVE(0, FWPS_LAYER_INBOUND_MAC_FRAME_ETHERNET, 0, NULL), STATUS_FWP_NULL_POINTER);
    assert_int_equal(FwpsInjectMacSendAsync0(l->l2, NULL, 0, FWPS_LAYER_INBOUND_MAC_FRAME_NATIVE, 1, 0, nbl,
                                             packet_lab_completed, l),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(
        FwpsInjectMacSendAsync0(l->l2, NULL, 0, FWPS_LAYER_OUTBOUND_MAC_FRAME_NATIVE, 1, 0, nbl, NULL, l),
        STATUS_FWP_NULL_POINTER); /* not an original */
    packet_lab_settle(l);
    assert_int_equal(l->completed, 0);
    assert_int_equal(RECEIVE(0, FWPS_LAYER_INBOUND_MAC_FRAME_ETHERNET, 0, nbl), STATUS_SUCCESS);
    packet_lab_settle(l);
    assert_int_equal(l->completed, 1);
    assert_int_equal(l->emitted_count, 1);
    assert_int_equal(l->emitted[0]->e.origin, 0);
}

/* An original that was held and not changed goes back as it is, and nobody need be told. */
static void INJ_01_an_original_goes_back_without_completion(void **state)
{
    struct packet_lab *l = *state;
    struct taker *t =
        packet_lab_take(l, "MAC_IN", &(struct taker){.how = TAKE_REFERENCE, .kind = HOST_INJECT_MAC_RECEIVE});
    NET_BUFFER_LIST *nbl;

    LAB_IN(&l->d.host, UDP_IN);
    nbl = t->lists[0];
    host_lab_reset(&l->d.host);
    assert_int_equal(FwpsInjectMacReceiveAsync0(l->l2, NULL, 0, t->layers[0], 1, 0, nbl, NULL, NULL),
                     STATUS_SUCCESS);
    packet_lab_settle(l);
    assert_string_equal(l->d.host.seen, "MAC_IN II IT(ALE) RA FE DD");
    assert_int_equal(l->emitted_count, 1);
    assert_true(l->emitted[0]->unchanged);
    assert_int_equal(l->completed, 0);
    assert_int_equal(FwpsQueryPacketInjectionState0(l->l2, nbl, NULL), FWPS_PACKET_INJECTED_BY_SELF);
    assert_int_equal(l->released_count, 0);
    FwpsDereferenceNetBufferList0(nbl, FALSE); /* the driver's own, as ever */
    t->lists[0] = NULL;
    assert_int_equal(l->released_count, 1);
    assert_int_equal(l->d.found[LEDGER_NOTE], 0);
}

static void INJ_01_a_frame_begins_at_its_ethernet_header(void **state)
{
    struct packet_lab *l = *state;
    uint8_t frame[256];
    const size_t size = PACKET(frame, UDP_IN);

    packet_lab_take(l, "MAC_IN", RECEIVES)->only_looks = true;
    /* As the layer shows it, without the retreat (INJ-21). */
    assert_int_equal(
        RECEIVE(0, FWPS_LAYER_INBOUND_MAC_FRAME_ETHERNET, 0, packet_lab_own(l, frame + 14, size - 14, 0)),
        STATUS_SUCCESS);
    packet_lab_settle(l);
    assert_int_equal(l->statuses[0], STATUS_INVALID_PARAMETER);
    assert_int_equal(RECEIVE(0, FWPS_LAYER_INBOUND_MAC_FRAME_ETHERNET, 0, packet_lab_own(l, frame, 13, 0)),
                     STATUS_SUCCESS);
    packet_lab_settle(l);
    assert_int_equal(l->statuses[1], STATUS_INVALID_PARAMETER);
    assert_int_equal(l->emitted_count, 0);
    assert_int_equal(l->d.found[LEDGER_NOTE], 2);
    assert_string_equal(l->d.last, "a frame was injected that does not begin at its Ethernet header");
}

static void INJ_01_without_a_filter_there_it_is_reported(void **state)
{
    struct packet_lab *l = *state;
    uint8_t frame[256];
    const size_t size = PACKET(frame, UDP_OUT);

    packet_lab_take(l, "MAC_IN", RECEIVES); /* at another layer */
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(FwpsInjectMacSendAsync0(l->l2, NULL, 0, FWPS_LAYER_OUTBOUND_MAC_FRAME_ETHERNET, 1, 0,
                                                 packet_lab_own(l, frame, size, 0), packet_lab_completed, l),
                         STATUS_SUCCESS);
        packet_lab_settle(l);
    }
    assert_int_equal(l->completed, 2);
    assert_int_equal(l->d.found[LEDGER_NOTE], 1); /* once a handle */
    assert_string_equal(l->d.last,
                        "a frame was injected at a layer where its driver has no filter: on Windows nobody "
                        "completes it");
}

static void forget(struct taker *t, NET_BUFFER_LIST *nbl)
{
    (void)nbl;
    host_lab_reset(&t->lab->d.host); /* it writes down so many classifications and no more */
}

static void INJ_17_frames_come_to_an_end_too(void **state)
{
    struct packet_lab *l = *state;
    struct taker *t = packet_lab_take(
        l, "MAC_OUT",
        &(struct taker){.kind = HOST_INJECT_MAC_SEND, .blind = true, .at_once = true, .change = forget});

    LAB_OUT(&l->d.host, ARP);
    packet_lab_settle(l);
    assert_int_equal(t->taken, 65);
    assert_int_equal(l->completed, 65);
    assert_int_equal(l->statuses[64], STATUS_HOPLIMIT_EXCEEDED);
    assert_int_equal(l->emitted_count, 0);
}

/* ---- INJ-30: chains ---------------------------------------------------------------------------------------- */

static void INJ_30_a_chain_is_completed_list_by_list(void **state)
{
    struct packet_lab *l = *state;
    NET_BUFFER_LIST *chain[3];
    uint8_t frame[256];

    packet_lab_take(l, "MAC_OUT", SENDS)->only_looks = true;
    for (unsigned i = 0; i < 3; i++) {
        const size_t size = PACKET(frame, .sport = 53, .dport = (uint16_t)(1000 + i), .data = "answer",
                                   .src = "10.0.0.1", .dst = "10.0.0.2");

        chain[i] = packet_lab_own(l, frame, size, 0);
        if (i > 0)
            NET_BUFFER_LIST_NEXT_NBL(chain[i - 1]) = chain[i];
    }
    assert_int_equal(FwpsInjectMacSendAsync0(l->l2, (HANDLE)7, 0, FWPS_LAYER_OUTBOUND_MAC_FRAME_ETHERNET, 1,
                                             0, chain[0], packet_lab_completed, l),
                     STATUS_SUCCESS);
    packet_lab_settle(l);
    assert_int_equal(l->completed, 3); /* packet_lab_completed() frees one list each time */
    assert_int_equal(l->emitted_count, 3);
    assert_int_equal(l->d.found[LEDGER_NOTE], 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(l->statuses[i], STATUS_SUCCESS);
        assert_int_equal(l->emitted[i]->bytes[23], (1000 + i) & 0xff);
    }
}

static void INJ_30_a_chain_is_taken_whole_or_not_at_all(void **state)
{
    struct packet_lab *l = *state;
    NET_BUFFER_LIST *first, *second, stranger = {0};
    uint8_t frame[256];
    const size_t size = PACKET(frame, UDP_OUT);

    packet_lab_take(l, "MAC_OUT", SENDS)->only_looks = true;
    first = packet_lab_own(l, frame, size, 0);
    second = packet_lab_own(l, frame, size, 0);
    NET_BUFFER_LIST_NEXT_NBL(first) = second;
    NET_BUFFER_LIST_NEXT_NBL(second) = &stranger;
    assert_int_equal(FwpsInjectMacSendAsync0(l->l2, NULL, 0, FWPS_LAYER_OUTBOUND_MAC_FRAME_ETHERNET, 1, 0,
                                             first, packet_lab_completed, l),
                     STATUS_INVALID_PARAMETER);
    packet_lab_settle(l);
    assert_int_equal(l->completed, 0);
    assert_ptr_equal(NET_BUFFER_LIST_NEXT_NBL(first), second); /* as it was: the caller frees it (INJ-05) */
    NET_BUFFER_LIST_NEXT_NBL(second) = first;                  /* and one that never ends */
    assert_int_equal(FwpsInjectMacSendAsync0(l->l2, NULL, 0, FWPS_LAYER_OUTBOUND_MAC_FRAME_ETHERNET, 1, 0,
                                             first, packet_lab_completed, l),
                     STATUS_INVALID_PARAMETER);
    NET_BUFFER_LIST_NEXT_NBL(first) = NET_BUFFER_LIST_NEXT_NBL(second) = NULL;
    packet_lab_free(l, first);
    packet_lab_free(l, second);
}

/* ---- bytes ------------------------------------------------------------------------------------------------- */

/* A tag is put in: the clone is freed, a list of the driver's own goes in its place. */
static void INJ_10_what_was_tagged_is_emitted_with_its_tag(void **state)
{
    struct packet_lab *l = *state;
    struct taker *t = packet_lab_take(l, "MAC_OUT", SENDS);
    struct taker *native = packet_lab_take(l, "MAC_OUT_NATIVE", SENDS);
    static const uint8_t tag[4] = {0x81, 0x00, 0x00, 0x2a};
    uint8_t bytes[256];
    size_t size;

    native->only_looks = true;
    LAB_OUT(&l->d.host, UDP_OUT);
    size = 14 + 28 + 8;
    memcpy(bytes, l->d.host.bytes, 12);
    memcpy(bytes + 12, tag, 4);
    memcpy(bytes + 16, l->d.host.bytes + 12, size - 12);
    packet_lab_drop(l, t, 0);
    host_lab_reset(&l->d.host);
    assert_int_equal(FwpsInjectMacSendAsync0(l->l2, NULL, 0, FWPS_LAYER_OUTBOUND_MAC_FRAME_ETHERNET, 1, 0,
                                             packet_lab_own(l, bytes, size + 4, 0), packet_lab_completed, l),
                     STATUS_SUCCESS);
    packet_lab_settle(l);
    assert_int_equal(native->seen, 1);
    assert_int_equal(l->emitted_count, 1);
    assert_int_equal(l->emitted[0]->e.link_size, 18);
    assert_int_equal(l->emitted[0]->e.version, 4);
    assert_false(l->emitted[0]->unchanged);
    assert_memory_equal(l->emitted[0]->link, bytes, 18);
    assert_memory_equal(l->emitted[0]->bytes, bytes + 18, size - 14);
}

static void new_address(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    static const uint8_t other[6] = {2, 9, 9, 9, 9, 9};

    (void)s;
    c->out->actionType = FWP_ACTION_PERMIT;
    ndis_nb_write(NET_BUFFER_LIST_FIRST_NB(c->packet), 0, other, 6);
}

/* Changed in place, IP or not: the frame leaves as it is then. */
static void OTH_04_a_frame_leaves_with_the_bytes_that_it_has(void **state)
{
    struct packet_lab *l = *state;

    driver_lab_callout(&l->d, "MAC_OUT", SCRIPT(&l->d, .then = new_address));
    LAB_OUT(&l->d.host, UDP_OUT);
    assert_int_equal(l->d.host.outcome.fate, HOST_PASSED);
    assert_non_null(l->d.host.outcome.changed);
    assert_memory_equal(l->d.host.outcome.changed, "\2\11\11\11\11\11", 6);
    LAB_OUT(&l->d.host, ARP);
    assert_int_equal(l->d.host.outcome.fate, HOST_IGNORED);
    assert_non_null(l->d.host.outcome.changed);
    assert_memory_equal(l->d.host.outcome.changed, "\2\11\11\11\11\11", 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(INJ_10_a_frame_is_received_again_from_its_layer_on),
        BOTH(INJ_10_a_native_frame_meets_both_layers),
        BOTH(INJ_10_a_frame_is_sent_again_from_its_layer_on),
        BOTH(INJ_10_a_native_frame_is_sent_behind_the_ethernet_layer),
        BOTH(INJ_10_what_is_sent_after_all_is_answered),
        BOTH(INJ_10_sent_fragments_are_frames_of_their_own),
        BOTH(INJ_10_what_is_not_IP_goes_no_further),
        BOTH(INJ_10_fragments_are_put_together_behind_the_mac_layers),
        BOTH(INJ_03_of_another_type_is_stale),
        BOTH(INJ_01_layers_ports_and_flags_are_checked),
        BOTH(INJ_01_an_original_goes_back_without_completion),
        BOTH(INJ_01_a_frame_begins_at_its_ethernet_header),
        BOTH(INJ_01_without_a_filter_there_it_is_reported),
        BOTH(INJ_17_frames_come_to_an_end_too),
        BOTH(INJ_30_a_chain_is_completed_list_by_list),
        BOTH(INJ_30_a_chain_is_taken_whole_or_not_at_all),
        BOTH(INJ_10_what_was_tagged_is_emitted_with_its_tag),
        BOTH(OTH_04_a_frame_leaves_with_the_bytes_that_it_has),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
