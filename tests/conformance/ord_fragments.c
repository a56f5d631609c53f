/* SPDX-License-Identifier: Apache-2.0 */
/* Fragments where the host has no datagram of its own to wait for: forwarded ones, and as a group (ORD-16,
 * PKT-13, NBL-20); and those that it sent, whose datagram was asked about before it was split (ORD-16,
 * PKT-24). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fwpsk.h"
#include "host/host_inject.h"
#include "host/internal.h"
#include "host_lab.h"
#include "ndis/nbl.h"
#include "ws2def.h"

#define MOST 16

static const uint8_t our_mac[6] = {2, 0, 0, 0, 0, 1};

static struct packet_frame pieces[MOST];

/* What the host told of frames that had waited. */
static struct {
    unsigned emitted, lost, released;
    UINT64 numbers[MOST];
    enum host_fate fate;
    UINT64 filter_id;
    uint32_t bytes; /* of those emitted: as they were */
} told;

static void on_emit(void *ctx, const struct host_emitted *e)
{
    const struct host_lab *l = ctx;

    assert_true(e->forwarded && host_emitted_unchanged(e) && !e->inbound);
    assert_int_equal(e->link_size, 14);
    assert_true(e->origin < l->frame + 1);
    told.numbers[told.emitted++] = e->origin;
    told.bytes += e->size;
}

static void on_lost(void *ctx, const struct host_emitted *e, const struct host_outcome *how)
{
    (void)ctx;
    told.numbers[told.lost++] = e->origin;
    told.fate = how->fate;
    told.filter_id = how->filter_id;
}

static void on_released(void *ctx, UINT64 frame, bool injected)
{
    (void)ctx;
    (void)frame;
    assert_false(injected);
    told.released++;
}

static int open_groups(void **state)
{
    struct host_lab *l = calloc(1, sizeof(*l));

    assert_non_null(l);
    memset(&told, 0, sizeof(told));
    host_lab_open(l, &(struct host_config){.knobs = {.fragment_grouping = true},
                                           .emit = on_emit,
                                           .lost = on_lost,
                                           .released = on_released});
    *state = l;
    return 0;
}

static const struct packet through = {.src = "10.0.0.2",
                                      .dst = "192.0.2.1",
                                      .mac_dst = our_mac,
                                      .sport = 9,
                                      .dport = 53,
                                      .fill = 100,
                                      .id = 77};
static const struct packet through6 = {.src = "fd00::2",
                                       .dst = "2001:db8::1",
                                       .mac_dst = our_mac,
                                       .sport = 9,
                                       .dport = 53,
                                       .fill = 100,
                                       .id = 78,
                                       .extension_count = 1,
                                       .extensions = {{.type = 60}}};

static void feed(struct host_lab *l, size_t i)
{
    host_lab_bytes(l, HOST_WAY_IN, WIRE_LINK_ETHERNET, pieces[i].bytes, pieces[i].size, pieces[i].size, 1);
}

static UINT64 fates(const struct host_lab *l, enum host_fate fate)
{
    struct host_counts c;

    host_counts(l->host, &c);
    return c.fates[fate];
}

/* ---- forwarded ------------------------------------------------------------------------------------------
 */

static void ORD_16_a_group_waits_and_goes_on_together(void **state)
{
    struct host_lab *l = *state;
    size_t n = packet_fragments(&through, 48, pieces, MOST);

    assert_int_equal(n, 3);
    for (size_t i = n; i-- > 0;) { /* in any order; one comes twice */
        feed(l, i);
        if (i == 2)
            feed(l, i);
        assert_string_equal(l->seen, i > 0 ? "FW" : "FW FW(GROUP)");
        assert_int_equal(l->outcome.fate, i > 0 ? HOST_HELD : HOST_PASSED);
        assert_int_equal(told.emitted, i > 0 ? 0 : 3);
        assert_int_equal(l->outcome.kept, i > 0);
    }
    assert_int_equal(told.released, 3);
    for (unsigned i = 0; i < 3; i++) /* those that waited, in the order in which they came */
        assert_int_equal(told.numbers[i], i + 1);
    assert_int_equal(fates(l, HOST_PASSED), 4);
    assert_int_equal(fates(l, HOST_HELD), 0);
}

static void ORD_16_a_verdict_is_the_groups(void **state)
{
    struct host_lab *l = *state;
    size_t n = packet_fragments(&through, 48, pieces, MOST);
    UINT64 rule = host_lab_rule(l, "block FW flags~IS_FRAGMENT_GROUP");

    for (size_t i = 0; i < n; i++)
        feed(l, i);
    assert_string_equal(l->seen, "FW FW(GROUP) FW_DISCARD(POLICY)");
    assert_int_equal(l->outcome.fate, HOST_BLOCKED);
    assert_int_equal(told.emitted, 0);
    assert_int_equal(told.lost, 2);
    assert_int_equal(told.released, 2);
    assert_int_equal(told.fate, HOST_BLOCKED);
    assert_int_equal(told.filter_id, rule);
    assert_int_equal(fates(l, HOST_BLOCKED), 3);
    assert_int_equal(fates(l, HOST_HELD), 0);
}

static void ORD_16_what_never_is_a_group_goes_on(void **state)
{
    struct host_lab *l = *state;
    size_t n = packet_fragments(&through6, 64, pieces, MOST);

    host_lab_rule(l, "block FW6 flags~IS_FRAGMENT_GROUP");
    for (size_t i = 1; i < n; i++)
        feed(l, i);
    assert_int_equal(l->outcome.fate, HOST_HELD);
    host_lab_wait(l, 59000);
    assert_int_equal(told.emitted, 0);
    host_lab_wait(l, 2000);
    assert_int_equal(told.emitted, n - 1);
    /* one that waits for what never comes when the host ends */
    feed(l, 0);
    host_shutdown(l->host);
    assert_int_equal(told.emitted, n);
    assert_int_equal(told.lost, 0);
    assert_int_equal(fates(l, HOST_PASSED), n);
    /* two that overlap are nobody's group either */
    packet_fragment(&through6, 0, 16, pieces[0].bytes, sizeof(pieces[0].bytes));
    feed(l, 1);
    pieces[0].size = packet_fragment(&through6, 56, 32, pieces[0].bytes, sizeof(pieces[0].bytes));
    feed(l, 0);
    assert_int_equal(l->outcome.fate, HOST_PASSED);
    assert_int_equal(told.emitted, n + 1);
}

/* ---- what a callout is shown ------------------------------------------------------------------------------
 */

static struct {
    unsigned lists;
    bool next_alone;
    uint16_t family;
    NTSTATUS status, status_alone;
    uint8_t bytes[2048];
    size_t size;
} shown;

static void look_at_chain(struct host_lab_callout *c, FWPS_CLASSIFY_OUT0 *out)
{
    NET_BUFFER_LIST *chain = c->layer_data, *whole = NULL;
    uint8_t first;

    (void)out;
    shown.lists = 0;
    for (NET_BUFFER_LIST *l = chain; l != NULL; l = l->Next, shown.lists++) {
        assert_non_null(l->FirstNetBuffer);
        assert_null(l->FirstNetBuffer->Next);
        assert_int_equal(ndis_nb_read(l->FirstNetBuffer, 0, &first, 1), 1);
        assert_int_equal(first >> 4, shown.family == AF_INET6 ? 6 : 4); /* PKT-02 */
    }
    shown.status = FwpsReassembleForwardFragmentGroup0(shown.family, chain, NULL, 0, 0, &whole);
    if (shown.status != STATUS_SUCCESS)
        return;
    assert_null(whole->Next);
    assert_null(whole->FirstNetBuffer->Next);
    shown.size = ndis_nb_read(whole->FirstNetBuffer, 0, shown.bytes, sizeof(shown.bytes));
    FwpsFreeNetBufferList0(whole);
}

static void look_at_one(struct host_lab_callout *c, FWPS_CLASSIFY_OUT0 *out)
{
    NET_BUFFER_LIST *whole = NULL;

    (void)out;
    shown.next_alone = ((NET_BUFFER_LIST *)c->layer_data)->Next != NULL;
    shown.status_alone = FwpsReassembleForwardFragmentGroup0(shown.family, c->layer_data, NULL, 0, 0, &whole);
    assert_null(whole);
}

static void look_as_if_6(struct host_lab_callout *c, FWPS_CLASSIFY_OUT0 *out)
{
    NET_BUFFER_LIST *whole = NULL;

    (void)out;
    shown.lists = 3;
    shown.status = FwpsReassembleForwardFragmentGroup0(AF_INET6, c->layer_data, NULL, 0, 0, &whole);
}

static struct host_lab_callout on_group = {.action = FWP_ACTION_BLOCK,
                                           .clear_write = true,
                                           .flags = FWPS_CLASSIFY_OUT_FLAG_ABSORB,
                                           .also = look_at_chain},
                               on_each = {.action = FWP_ACTION_PERMIT, .also = look_at_one};

static void show(struct host_lab *l, const struct packet *p, bool six, uint32_t split)
{
    const size_t n = packet_fragments(p, 48, pieces, MOST);

    memset(&shown, 0, sizeof(shown));
    shown.family = six ? AF_INET6 : AF_INET;
    l->host->config.knobs.split_mdl = split;
    on_group.calls = 0;
    for (size_t i = n; i-- > 0;)
        feed(l, i);
    assert_int_equal(on_group.calls, 1);
    assert_int_equal(shown.lists, n);
}

static void PKT_13_a_group_is_a_chain_of_lists(void **state)
{
    struct host_lab *l = *state;

    host_lab_callout(l, "FW", &on_each); /* lighter than what follows */
    host_lab_callout(l, "FW flags~IS_FRAGMENT_GROUP", &on_group);
    show(l, &through, false, 0);
    assert_false(shown.next_alone);
    assert_int_equal(l->outcome.fate, HOST_ABSORBED); /* all of them: PKT-14 */
    assert_int_equal(told.lost, 2);
    assert_int_equal(told.fate, HOST_ABSORBED);
    assert_int_equal(told.released, 2);
    show(l, &through, false, 7);
    assert_int_equal(fates(l, HOST_ABSORBED), 6);
}

static void NBL_20_a_group_is_put_together(void **state)
{
    struct host_lab *l = *state;
    struct packet options = through;
    struct wire_packet w;
    uint8_t frame[2048];

    host_lab_callout(l, "FW", &on_each);
    host_lab_callout(l, "FW flags~IS_FRAGMENT_GROUP", &on_group);
    for (uint32_t split = 0; split < 10; split += 3) {
        show(l, &options, false, split);
        assert_int_equal(shown.status, STATUS_SUCCESS);
        packet_parse(&options, frame, sizeof(frame), &w);
        assert_int_equal(shown.size, w.ip_length);
        assert_memory_equal(shown.bytes, frame + 14, shown.size);
        assert_int_equal(shown.status_alone, STATUS_INVALID_PARAMETER); /* not a group */
        options.id++;
        options.ip_options = "\x94\x04\0"; /* router alert: in all of them */
        options.ip_options_size = 4;
    }
    shown.status = STATUS_SUCCESS;
    on_group.also = look_as_if_6; /* the family is the group's */
    show(l, &options, false, 0);
    on_group.also = look_at_chain;
    assert_int_equal(shown.status, STATUS_INVALID_PARAMETER);
}

static void NBL_20_of_version_6(void **state)
{
    struct host_lab *l = *state;
    struct wire_packet w;
    uint8_t frame[2048];

    host_lab_callout(l, "FW6 flags~IS_FRAGMENT_GROUP", &on_group);
    show(l, &through6, true, 5);
    assert_int_equal(shown.status, STATUS_SUCCESS);
    packet_parse(&through6, frame, sizeof(frame), &w);
    assert_int_equal(shown.size, w.ip_length);
    assert_memory_equal(shown.bytes, frame + 14, shown.size);
}

/* ---- sent by the host -------------------------------------------------------------------------------------
 */

static const struct packet sent = {
    .src = "10.0.0.1", .dst = "10.0.0.2", .sport = 9, .dport = 53, .fill = 100, .id = 77};
static const struct packet sent6 = {
    .src = "fd00::1", .dst = "fd00::2", .sport = 9, .dport = 53, .fill = 100, .id = 78};

/* The size of the packet at a layer, as the observer saw it; 0: not there. */
static UINT16 watched;
static size_t watched_size;
static UINT32 watched_flags;

static void watch(struct host_lab *l, const struct host_event *e)
{
    if (e->layer->id != watched)
        return;
    watched_size = e->packet->FirstNetBuffer->DataLength;
    watched_flags = l->events[l->event_count - 1].flags;
}

static void send_pieces(struct host_lab *l, const struct packet *p, size_t size, const char *whole,
                        enum host_fate fate)
{
    const size_t n = packet_fragments(p, size, pieces, MOST);

    assert_true(n > 1);
    for (size_t i = 0; i < n; i++) {
        host_lab_piece(l, HOST_WAY_OUT, pieces, n, i);
        assert_string_equal(l->seen, i == 0 ? whole : "");
        assert_string_equal(host_fate_name(l->outcome.fate), host_fate_name(fate));
        assert_true(l->outcome.outbound);
    }
}

static void PKT_24_what_is_sent_is_seen_before_it_is_split(void **state)
{
    struct host_lab *l = *state;

    l->on_event = watch;
    watched = host_lab_layer("OI");
    send_pieces(l, &sent, 48, "BR RES CR AC FE DD OT OI", HOST_PASSED);
    assert_int_equal(watched_size, 20 + 8 + 100);
    assert_int_equal(watched_flags & (FWP_CONDITION_FLAG_IS_FRAGMENT | FWP_CONDITION_FLAG_IS_REASSEMBLED), 0);
    watched = host_lab_layer("OT6");
    send_pieces(l, &sent6, 64, "BR RES CR AC FE DD OT OI", HOST_PASSED);
    assert_int_equal(watched_size, 8 + 100);
    l->on_event = NULL;
}

static void ORD_16_sent_in_any_order(void **state)
{
    struct host_lab *l = *state;
    struct packet_frame turned[3];
    size_t n = packet_fragments(&sent, 48, pieces, MOST);

    for (size_t i = 0; i < n; i++)
        turned[i] = pieces[n - 1 - i]; /* some senders begin at the end */
    for (size_t i = 0; i < n; i++) {
        host_lab_piece(l, HOST_WAY_OUT, turned, n, i);
        assert_string_equal(l->seen, i == 0 ? "BR RES CR AC FE DD OT OI" : "");
    }
    /* the identification comes again, for another datagram */
    send_pieces(l, &sent, 48, "DD OT OI", HOST_PASSED);
    /* part of it is not there: the first one seen says what it can */
    for (size_t i = 0; i + 1 < n; i++)
        host_lab_piece(l, HOST_WAY_OUT, pieces, n - 1, i);
    assert_string_equal(l->seen, "");
    assert_int_equal(l->outcome.fate, HOST_PASSED);
}

static void ORD_16_pieces_share_the_datagrams_fate(void **state)
{
    static const struct {
        const char *rule, *seen;
    } table[] = {
        {"block AC", "BR RES CR AC AC_DISCARD(POLICY)"},
        {"block DD", "DD DD_DISCARD(POLICY)"},
        {"block OT", "DD OT OT_DISCARD(POLICY)"},
        {"block OI", "DD OT OI OI_DISCARD(POLICY)"},
    };
    struct host_lab *l = *state;
    struct packet p = sent;

    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        char layer[8];
        UINT64 rule = host_lab_rule(l, table[i].rule);

        p.id++;
        send_pieces(l, &p, 48, table[i].seen, HOST_BLOCKED);
        assert_int_equal(l->outcome.filter_id, rule);
        snprintf(layer, sizeof(layer), "%s", table[i].rule + 6);
        assert_int_equal(l->outcome.layer->id, host_lab_layer(layer));
        host_lab_remove(l, layer, rule);
        if (i == 0) { /* refused: another datagram of the flow is asked about again */
            p.id++;
            packet_fragments(&p, 48, pieces, MOST);
            for (size_t k = 0; k < 3; k++)
                host_lab_piece(l, HOST_WAY_OUT, pieces, 3, k);
            assert_int_equal(l->outcome.fate, HOST_PASSED);
        }
    }
    assert_int_equal(fates(l, HOST_BLOCKED), 12);
}

static void ORD_16_absorbed_is_absorbed_in_all_pieces(void **state)
{
    struct host_lab *l = *state;
    struct host_lab_callout c = {
        .action = FWP_ACTION_BLOCK, .clear_write = true, .flags = FWPS_CLASSIFY_OUT_FLAG_ABSORB};

    host_lab_callout(l, "OT", &c);
    send_pieces(l, &sent, 48, "BR RES CR AC FE DD OT", HOST_ABSORBED);
    assert_int_equal(c.calls, 1);
}

/* TCP: the stream layer is given what the whole segment holds. */
static void tcp_in_pieces(struct host_lab *l, struct host_lab_tcp *t, bool six)
{
    static const char data[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    struct packet p = six ? sent6 : sent;
    char expected[100];

    host_lab_connect(l, t);
    p.protocol = WIRE_PROTOCOL_TCP;
    p.sport = t->local;
    p.dport = t->remote;
    p.tcp_flags = WIRE_TCP_ACK | WIRE_TCP_PSH;
    p.seq = t->out;
    p.ack = t->in;
    p.fill = 0;
    p.data = data;
    p.size = strlen(data);
    l->stream[0] = '\0';
    const size_t n = packet_fragments(&p, 32, pieces, MOST);
    assert_int_equal(n, 3);
    for (size_t i = 0; i < n; i++) {
        host_lab_piece(l, HOST_WAY_OUT, pieces, n, i);
        assert_string_equal(l->seen, i == 0 ? "ST SPK OT OI" : "");
        assert_int_equal(l->outcome.fate, HOST_PASSED);
        snprintf(expected, sizeof(expected), "%s%s", i == 0 ? ">" : "", i == 0 ? data : "");
        assert_string_equal(l->stream, expected);
    }
    t->out += (uint32_t)strlen(data);
    host_lab_receive(l, t, "answer"); /* the acknowledgement fits */
    assert_string_equal(l->seen, "II IT SPK ST");
    assert_string_equal(l->stream, "<answer");
}

static void ORD_16_a_segment_sent_in_pieces(void **state)
{
    tcp_in_pieces(*state, &(struct host_lab_tcp){.local = 40000, .remote = 80}, false);
    tcp_in_pieces(*state,
                  &(struct host_lab_tcp){
                      .local = 40001, .remote = 80, .local_addr = "fd00::1", .remote_addr = "fd00::2"},
                  true);
}

#define GROUPS(f) cmocka_unit_test_setup_teardown(f, open_groups, host_lab_teardown)
#define TEST(f)   cmocka_unit_test_setup_teardown(f, host_lab_setup, host_lab_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        GROUPS(ORD_16_a_group_waits_and_goes_on_together),
        GROUPS(ORD_16_a_verdict_is_the_groups),
        GROUPS(ORD_16_what_never_is_a_group_goes_on),
        GROUPS(PKT_13_a_group_is_a_chain_of_lists),
        GROUPS(NBL_20_a_group_is_put_together),
        GROUPS(NBL_20_of_version_6),
        TEST(PKT_24_what_is_sent_is_seen_before_it_is_split),
        TEST(ORD_16_sent_in_any_order),
        TEST(ORD_16_pieces_share_the_datagrams_fate),
        TEST(ORD_16_absorbed_is_absorbed_in_all_pieces),
        TEST(ORD_16_a_segment_sent_in_pieces),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
