/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir.h: packets of drivers on a live machine: what is injected in the place of what was absorbed arrives, whatever it
 * answers; where it leaves; what is in one piece for callouts and in fragments on the wire.
 */
#include <errno.h>

#include <fwpmu.h>

#include "courier.h"
#include "embed_lab.h"

static void load(struct embed_lab *l, const struct courier_errand *errands, size_t count)
{
    if (courier_load(l->w, errands, count) == NULL)
        fail_msg("%s", weir_error());
}
#define LOAD(l, ...)                                                                                         \
    load(l, (const struct courier_errand[]){__VA_ARGS__},                                                    \
         sizeof((const struct courier_errand[]){__VA_ARGS__}) / sizeof(struct courier_errand))

static struct weir_socket *bound(struct weir_process *p, const char *address)
{
    struct weir_socket *s = weir_socket(p, WEIR_UDP);

    assert_int_equal(weir_bind(s, address), 0);
    return s;
}

/* It reads `text`, from that end (NULL: whoever). */
static void reads(struct weir_socket *s, const char *text, const char *from)
{
    char got[256], end[WEIR_ADDRESS] = "";
    long n;

    assert_true(weir_wait_readable(s, WEIR_SECOND));
    n = weir_receive(s, got, sizeof got, end);
    assert_int_equal(n, (long)strlen(text));
    assert_memory_equal(got, text, strlen(text));
    if (from != NULL)
        assert_string_equal(end, from);
}

static void closes(struct embed_lab *l)
{
    weir_settle(l->w);
    for (unsigned i = 0; i < COURIER_MOST; i++)
        if (courier_errands[i].taken != 0 && !courier_errands[i].loses)
            assert_int_equal(courier_errands[i].completed, courier_errands[i].taken);
    assert_true(weir_expect(l->w, &(struct weir_match){.contains = "presupposes"}, 0));
    embed_lab_close(l);
}

/* ---- what answers something that was absorbed ---------------------------------------------------------- */

/* A datagram is absorbed and its answer is the driver's own: within classifyFn, or a little later. */
static void an_answer_is_received(void **state)
{
    static const char *const there[] = {"10.0.0.9:53", "[fd00::9]:53"};

    (void)state;
    for (unsigned later = 0; later < 2; later++)
        for (unsigned caller = 0; caller < 2; caller++)
            for (unsigned six = 0; six < 2; six++) {
                struct embed_lab l;
                struct weir_socket *s;

                embed_lab_open(&l, &(struct weir_config){.inject_in_caller = caller});
                LOAD(&l, {.at = "DD",
                          .remote = six ? "fd00::9" : "10.0.0.9",
                          .answers = true,
                          .find = "who?",
                          .write = "mine",
                          .later = later});
                s = weir_socket(l.program, WEIR_UDP);
                for (unsigned i = 0; i < 3; i++) {
                    assert_int_equal(weir_send_to(s, there[six], "who?", 4), 4);
                    reads(s, "mine", there[six]);
                }
                assert_int_equal(courier_errands[0].taken, 3);
                closes(&l);
            }
}

static void a_ping_is_answered(void **state)
{
    static const char *const there[] = {"10.0.0.9", "fd00::9"};

    (void)state;
    for (unsigned six = 0; six < 2; six++) {
        struct embed_lab l;
        struct weir_socket *s;

        embed_lab_open(&l, NULL);
        LOAD(&l, {.at = "DD", .remote = there[six], .answers = true, .later = true});
        s = weir_socket(l.program, WEIR_PING);
        assert_int_equal(weir_send_to(s, there[six], "echo", 4), 4);
        reads(s, "echo", NULL);
        closes(&l);
    }
}

/* To another address, and its answers back under the old one; connected or not. */
static void a_proxy_of_datagrams(void **state)
{
    static const char *const old[] = {"10.0.0.9", "fd00::9"}, *const new[] = {"10.0.0.2", "fd00::2"},
                             *const there[] = {"10.0.0.9:53", "[fd00::9]:53"};

    (void)state;
    for (unsigned run = 0; run < 16; run++) {
        const bool six = run & 1, later = run & 2, connected = run & 4, caller = run & 8;
        struct weir_socket *s, *server;
        char from[WEIR_ADDRESS], got[16];
        struct embed_lab l;

        embed_lab_open(&l, &(struct weir_config){.inject_in_caller = caller});
        LOAD(&l, {.at = "DD", .remote = old[six], .becomes = new[six], .later = later},
             {.at = "DD", .inbound = true, .remote = new[six], .becomes = old[six], .later = later});
        server = bound(l.peer, ":53");
        s = weir_socket(l.program, WEIR_UDP);
        if (connected)
            assert_int_equal(weir_connect(s, there[six]), 0);
        for (unsigned i = 0; i < 3; i++) {
            assert_int_equal(connected ? weir_send(s, "who?", 4) : weir_send_to(s, there[six], "who?", 4), 4);
            assert_true(weir_wait_readable(server, WEIR_SECOND));
            assert_int_equal(weir_receive(server, got, sizeof got, from), 4);
            assert_int_equal(weir_send_to(server, from, "mine", 4), 4);
            reads(s, "mine", there[six]);
        }
        assert_int_equal(courier_errands[0].taken, 3);
        assert_int_equal(courier_errands[1].taken, 3);
        closes(&l);
    }
}

/* What is lost is lost, and what arrives all the same arrives: nothing is a consequence of it. */
static void what_arrives_has_arrived(void **state)
{
    struct weir_socket *s, *peer;
    struct embed_lab l;

    (void)state;
    embed_lab_open(&l, NULL);
    LOAD(&l, {.at = "OI", .remote = "10.0.0.2", .loses = true});
    peer = bound(l.peer, "10.0.0.2:53");
    s = bound(l.program, "10.0.0.1:5353");
    assert_int_equal(weir_send_to(s, "10.0.0.2:53", "lost", 4), 4);
    assert_int_equal(weir_send_to(peer, "10.0.0.1:5353", "unasked", 7), 7);
    reads(s, "unasked", "10.0.0.2:53");
    assert_false(weir_wait_readable(peer, WEIR_SECOND));
    closes(&l);
}

/* A refused send is no answer's beginning, and an arrival that was refused forbids no send. */
static void refused_one_way_and_not_the_other(void **state)
{
    FWPM_FILTER0 filter = {.displayData.name = (WCHAR *)u"block",
                           .layerKey = FWPM_LAYER_ALE_AUTH_CONNECT_V4,
                           .action = {.type = FWP_ACTION_BLOCK}};

    (void)state;
    for (unsigned in = 0; in < 2; in++) {
        struct weir_socket *s, *peer;
        struct embed_lab l;
        HANDLE engine;

        embed_lab_open(&l, NULL);
        if (in)
            filter.layerKey = FWPM_LAYER_ALE_AUTH_RECV_ACCEPT_V4;
        assert_int_equal(FwpmEngineOpen0(NULL, RPC_C_AUTHN_WINNT, NULL, NULL, &engine), ERROR_SUCCESS);
        assert_int_equal(FwpmFilterAdd0(engine, &filter, NULL, NULL), ERROR_SUCCESS);
        assert_int_equal(FwpmEngineClose0(engine), ERROR_SUCCESS);
        peer = bound(l.peer, "10.0.0.2:53");
        s = bound(l.program, "10.0.0.1:5353");
        if (in) {
            assert_int_equal(weir_send_to(peer, "10.0.0.1:5353", "unasked", 7), 7);
            assert_false(weir_wait_readable(s, WEIR_SECOND));
            assert_int_equal(weir_send_to(s, "10.0.0.2:53", "mine", 4), 4);
            reads(peer, "mine", NULL);
            assert_int_equal(weir_send_to(peer, "10.0.0.1:5353", "answer", 6), 6);
            reads(s, "answer", NULL); /* of the flow that was authorized */
        } else {
            assert_int_equal(weir_send_to(s, "10.0.0.2:53", "mine", 4), -EACCES);
            assert_int_equal(weir_send_to(peer, "10.0.0.1:5353", "unasked", 7), 7);
            reads(s, "unasked", NULL);
            assert_int_equal(weir_send_to(s, "10.0.0.2:53", "answer", 6), 6);
            reads(peer, "answer", NULL);
        }
        embed_lab_close(&l);
    }
}

/* Each segment of a connection is absorbed where it leaves, and a copy of it goes. */
static void segments_are_sent_again(void **state)
{
    (void)state;
    for (unsigned run = 0; run < 8; run++) {
        struct weir_socket *server, *s, *t;
        const bool six = run & 1;
        struct embed_lab l;
        char bytes[3000], got[3000];
        size_t n = 0;

        embed_lab_open(&l, &(struct weir_config){.inject_in_caller = run & 2});
        LOAD(&l, {.at = "OI", .remote = six ? "fd00::2" : "10.0.0.2", .later = run & 4});
        server = embed_lab_serves(&l, ":80");
        s = weir_socket(l.program, WEIR_TCP);
        assert_int_equal(weir_connect(s, six ? "[fd00::2]:80" : "10.0.0.2:80"), -EINPROGRESS);
        assert_true(weir_wait(s, WEIR_CONNECTED, WEIR_SECOND));
        weir_run(l.w, 10 * WEIR_MILLISECOND);
        t = weir_accept(server);
        assert_non_null(t);
        memset(bytes, 'x', sizeof bytes);
        assert_int_equal(weir_send(s, bytes, sizeof bytes), sizeof bytes);
        while (n < sizeof bytes && weir_wait_readable(t, WEIR_SECOND)) {
            const long more = weir_receive(t, got, sizeof got, NULL);

            assert_true(more > 0);
            n += (size_t)more;
        }
        assert_int_equal(n, sizeof bytes);
        assert_int_equal(weir_send(t, "answer", 6), 6);
        reads(s, "answer", NULL);
        weir_close(s);
        weir_close(t);
        assert_true(courier_errands[0].taken >= 5);
        closes(&l);
    }
}

/* ---- where it leaves, and with which sums -------------------------------------------------------------- */

/* To an address of the other wire's network: by that wire, as its route says. From the transport header on the stack says
 * who sends it: an address of that interface, where the socket is bound to none. */
static void a_redirect_goes_where_its_route_leads(void **state)
{
    static const char *const there[] = {"10.0.0.9:53", "[fd00::9]:53"},
                             *const new[] = {"10.0.1.2", "fd00:0:0:1::2"},
                             *const old[] = {"10.0.0.9", "fd00::9"};

    static const char *const from[] = {"10.0.1.1", "fd00:0:0:1::1"};

    (void)state;
    for (unsigned run = 0; run < 4; run++) {
        const bool six = run & 1;
        struct weir_socket *s, *server;
        struct embed_lab l;

        embed_lab_open(&l, NULL);
        LOAD(&l, {.at = run & 2 ? "OI" : "DD", .remote = old[six], .becomes = new[six], .from = from[six]});
        server = bound(weir_peer(l.w, 2), ":53");
        s = weir_socket(l.program, WEIR_UDP);
        assert_int_equal(weir_send_to(s, there[six], "who?", 4), 4);
        reads(server, "who?", NULL);
        assert_int_equal(weir_findings(l.w, NULL, NULL), 0);
        closes(&l);
    }
}

static void copy_line(void *ctx, const char *line)
{
    snprintf(ctx, 512, "%s", line);
}

/* A sum that was right and is not any more is the driver's to mend: the receiver drops the packet, and it is told. */
static void sums_are_the_drivers(void **state)
{
    static const char *const there[] = {"10.0.0.9:53", "[fd00::9]:53"},
                             *const hosts[] = {"10.0.0.9", "fd00::9"}, *const new[] = {"10.0.0.2", "fd00::2"};

    (void)state;
    for (unsigned run = 0; run < 8; run++) {
        const bool six = run & 1, ping = run & 2, mended = run & 4, arrives = mended || (ping && !six);
        struct weir_socket *s, *server;
        char line[512] = "";
        struct embed_lab l;

        embed_lab_open(&l, NULL);
        LOAD(&l, {.at = "DD", .remote = hosts[six], .becomes = new[six], .unmended = !mended});
        server = bound(l.peer, ":53");
        s = weir_socket(l.program, ping ? WEIR_PING : WEIR_UDP);
        for (unsigned i = 0; i < 3; i++)
            assert_int_equal(weir_send_to(s, (ping ? hosts : there)[six], "who?", 4), 4);
        weir_settle(l.w);
        if (!ping && arrives)
            reads(server, "who?", NULL);
        assert_int_equal(
            weir_count(l.w, &(struct weir_match){.kind = WEIR_EVENT_INJECTED, .verdict = "sent"}), 3);
        assert_int_equal(weir_findings(l.w, copy_line, line),
                         arrives ? 0 : 1); /* ICMP's sum has no addresses in it */
        if (!arrives) {
            assert_false(weir_wait_readable(server, WEIR_SECOND));
            assert_non_null(strstr(line, "note: "));
            assert_non_null(strstr(line, "a checksum that is not right"));
            assert_non_null(strstr(line, "courier.c:"));
        }
        closes(&l);
    }
}

/* ... or the adapter's, if it computes them: TCP, UDP, both ways; a driver may change what is sent and leave the sum as it
 * is, but not the addresses that are in it. */
static void sums_are_the_adapters(void **state)
{
    static const struct weir_interface wire = {.index = 1,
                                               .addresses = {"10.0.0.1/24", "fd00::1/64"},
                                               .peers = {"10.0.0.2/24", "fd00::2/64"},
                                               .checksum_offload = true};
    static const char *const there[] = {"10.0.0.2:53", "[fd00::2]:53"},
                             *const hosts[] = {"10.0.0.2", "fd00::2"},
                             *const served[] = {"10.0.0.2:80", "[fd00::2]:80"},
                             *const new[] = {"10.0.0.9", "fd00::9"};

    (void)state;
    for (unsigned run = 0; run < 8; run++) {
        const bool six = run & 1, moved = run & 2, offload = run & 4;
        struct weir_interface with = wire;
        struct weir_socket *s, *server, *listener, *c, *a;
        char line[512] = "", got[8];
        struct embed_lab l;

        with.checksum_offload = offload;
        embed_lab_open(&l, &(struct weir_config){.interfaces = &with, .interface_count = 1});
        LOAD(&l, {.at = "DD",
                  .remote = moved ? new[six] : hosts[six],
                  .becomes = moved ? hosts[six] : NULL,
                  .find = moved ? NULL : "who?",
                  .write = moved ? NULL : "mine",
                  .unmended = true});
        server = bound(l.peer, ":53");
        s = weir_socket(l.program, WEIR_UDP);
        assert_int_equal(
            weir_send_to(s, moved ? (six ? "[fd00::9]:53" : "10.0.0.9:53") : there[six], "who?", 4), 4);
        weir_settle(l.w);
        if (offload && !moved)
            reads(server, "mine", NULL);
        else
            assert_false(weir_wait_readable(server, WEIR_SECOND));
        assert_int_equal(weir_findings(l.w, copy_line, line), offload && !moved ? 0 : 1);

        listener = embed_lab_serves(&l, ":80");
        c = weir_socket(l.program, WEIR_TCP);
        assert_int_equal(weir_connect(c, served[six]), -EINPROGRESS);
        assert_true(weir_wait(c, WEIR_CONNECTED, WEIR_SECOND));
        weir_run(l.w, 5 * WEIR_MILLISECOND);
        a = weir_accept(listener);
        assert_int_equal(weir_send(c, "hello", 5), 5);
        assert_true(weir_wait_readable(a, WEIR_SECOND));
        assert_int_equal(weir_receive(a, got, sizeof got, NULL), 5);
        assert_int_equal(weir_send(a, "world", 5), 5);
        assert_true(weir_wait_readable(c, WEIR_SECOND));
        assert_int_equal(weir_receive(c, got, sizeof got, NULL), 5);
        closes(&l);
    }
}

/* ---- in one piece above, in fragments below -------------------------------------------------------------- */

struct wires {
    unsigned packets, fragments, errors; /* of the host's */
    uint32_t largest;
};

static void tap(void *ctx, uint32_t interface, enum weir_way way, const uint8_t *packet, size_t size)
{
    const bool six = packet[0] >> 4 == 6;
    struct wires *w = ctx;

    (void)interface;
    if (way != WEIR_FROM_HOST)
        return;
    w->packets++;
    w->fragments += six ? packet[6] == 44 : (packet[6] & 0x3f) != 0 || packet[7] != 0;
    w->errors += six ? packet[6] == 58 : packet[9] == 1;
    w->largest = size > w->largest ? (uint32_t)size : w->largest;
}

static const size_t sizes[] = {1400, 1452, 1453, 1472, 1473, 1480, 1481, 3000, 9000, 40000, 65000};
static const char *const here[] = {"10.0.0.1:99", "[fd00::1]:99"}, *const far[] = {"10.0.0.2:53",
                                                                                   "[fd00::2]:53"};
static char sent[65000], got[65536];

static void fill(size_t size, const char *word)
{
    memset(sent, '.', size);
    for (size_t at = 0; at + 4 <= size; at += 997)
        memcpy(sent + at, word, 4);
    memcpy(sent + size - 4, word, 4);
}

static void arrives_with(struct weir_socket *s, size_t size, const char *word)
{
    fill(size, word);
    assert_true(weir_wait_readable(s, WEIR_SECOND));
    assert_int_equal(weir_receive(s, got, sizeof got, NULL), (long)size);
    assert_memory_equal(got, sent, size);
}

/* Wherever it is taken, it is whole, and it leaves as its wire takes it. */
static void a_long_datagram_is_whole_for_callouts(void **state)
{
    static const char *const at[] = {"DD", "OT", "OI"};

    (void)state;
    for (unsigned run = 0; run < 12; run++) {
        struct weir_socket *s, *server;
        const bool six = run & 1;
        struct wires w = {0};
        struct embed_lab l;

        embed_lab_open(&l, NULL);
        weir_tap(l.w, tap, &w);
        LOAD(&l, {.at = at[run / 4], .find = "who?", .write = "mine", .later = run & 2});
        server = bound(l.peer, ":53");
        s = bound(l.program, ":99");
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            const uint32_t size = (uint32_t)sizes[i], head = six ? 40 : 20;
            const uint32_t most = six ? 1448 : 1480,
                           want = size + 8 + head <= 1500 ? 1 : (size + 8 + most - 1) / most;

            fill(size, "who?");
            courier_errands[0].taken = courier_errands[0].completed = courier_errands[0].largest =
                courier_errands[0].smallest = 0;
            w = (struct wires){0};
            assert_int_equal(weir_send_to(s, far[six], sent, size), (long)size);
            arrives_with(server, size, "mine");
            assert_int_equal(courier_errands[0].taken, 1);
            assert_int_equal(courier_errands[0].largest, size + 8);
            assert_int_equal(w.packets, want);
            assert_int_equal(w.fragments, want == 1 ? 0 : want);
            assert_true(w.largest <= 1500);
        }
        closes(&l);
    }
}

/* Each layer is asked once about the datagram, the link's about each fragment (ORD-16, ORD-20). */
static void each_layer_is_asked_once(void **state)
{
    FWPM_FILTER0 filter = {.displayData.name = (WCHAR *)u"permit", .action = {.type = FWP_ACTION_PERMIT}};
    const GUID *const layers[] = {&FWPM_LAYER_ALE_AUTH_CONNECT_V4, &FWPM_LAYER_DATAGRAM_DATA_V4,
                                  &FWPM_LAYER_OUTBOUND_TRANSPORT_V4, &FWPM_LAYER_OUTBOUND_IPPACKET_V4,
                                  &FWPM_LAYER_OUTBOUND_MAC_FRAME_ETHERNET};
    static const char *const names[] = {"ALE_AUTH_CONNECT_V4", "DATAGRAM_DATA_V4", "OUTBOUND_TRANSPORT_V4",
                                        "OUTBOUND_IPPACKET_V4", "OUTBOUND_MAC_FRAME_ETHERNET"};
    struct weir_socket *s, *server;
    struct embed_lab l;
    HANDLE engine;

    (void)state;
    embed_lab_open(&l, NULL);
    assert_int_equal(FwpmEngineOpen0(NULL, RPC_C_AUTHN_WINNT, NULL, NULL, &engine), ERROR_SUCCESS);
    for (unsigned i = 0; i < 5; i++) {
        filter.layerKey = *layers[i];
        assert_int_equal(FwpmFilterAdd0(engine, &filter, NULL, NULL), ERROR_SUCCESS);
    }
    assert_int_equal(FwpmEngineClose0(engine), ERROR_SUCCESS);
    server = bound(l.peer, ":53");
    s = bound(l.program, ":99");
    fill(4000, "mine");
    assert_int_equal(weir_send_to(s, far[0], sent, 4000), 4000);
    arrives_with(server, 4000, "mine");
    for (unsigned i = 0; i < 5; i++)
        assert_true(weir_expect(
            l.w, &(struct weir_match){.kind = WEIR_EVENT_CLASSIFY, .layer = names[i], .verdict = "permit"},
            i < 4 ? 1 : 3));
    embed_lab_close(&l);
}

/* Refused, it is refused as a whole: the send says it, nothing leaves, and it is told of once. */
static void a_long_datagram_is_refused_whole(void **state)
{
    FWPM_FILTER0 filter = {.displayData.name = (WCHAR *)u"block",
                           .layerKey = FWPM_LAYER_ALE_AUTH_CONNECT_V4,
                           .action = {.type = FWP_ACTION_BLOCK}};
    struct wires w = {0};
    struct weir_socket *s;
    struct embed_lab l;
    HANDLE engine;

    (void)state;
    embed_lab_open(&l, NULL);
    weir_tap(l.w, tap, &w);
    assert_int_equal(FwpmEngineOpen0(NULL, RPC_C_AUTHN_WINNT, NULL, NULL, &engine), ERROR_SUCCESS);
    assert_int_equal(FwpmFilterAdd0(engine, &filter, NULL, NULL), ERROR_SUCCESS);
    assert_int_equal(FwpmEngineClose0(engine), ERROR_SUCCESS);
    s = bound(l.program, ":99");
    fill(4000, "mine");
    assert_int_equal(weir_send_to(s, far[0], sent, 4000), -EACCES);
    assert_int_equal(w.packets, 0);
    assert_true(weir_expect(l.w, &(struct weir_match){.kind = WEIR_EVENT_DROPPED}, 1));
    embed_lab_close(&l);
}

/* Received in fragments, taken when it is whole, received changed; nobody waits for a fragment that came, so nobody is told
 * that one did not. */
static void a_long_datagram_is_received_changed(void **state)
{
    (void)state;
    for (unsigned run = 0; run < 4; run++) {
        const bool six = run & 1, later = run & 2;
        struct weir_socket *s, *peer;
        struct wires w = {0};
        struct embed_lab l;

        embed_lab_open(&l, NULL);
        LOAD(&l, {.at = "DD", .inbound = true, .find = "who?", .write = "mine", .later = later});
        peer = bound(l.peer, ":53");
        s = bound(l.program, ":99");
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            fill(sizes[i], "who?");
            assert_int_equal(weir_send_to(peer, here[six], sent, sizes[i]), (long)sizes[i]);
            arrives_with(s, sizes[i], "mine");
        }
        weir_tap(l.w, tap, &w);
        weir_run(l.w, 100 * WEIR_SECOND);
        assert_int_equal(w.errors, 0);
        closes(&l);
    }
}

/* ---- groups -------------------------------------------------------------------------------------------- */

/* Members on the sending machine get it too, the sender among them; the host's through the layers inbound (ORD-21), in
 * whose way a filter may stand. */
static void what_is_sent_to_a_group_comes_back(void **state)
{
    static const char *const groups[] = {"239.1.2.3", "ff15::99"}, *const ends[] = {"239.1.2.3:53",
                                                                                    "[ff15::99]:53"};
    static const size_t lengths[] = {100, 4000};
    FWPM_FILTER0 filter = {.displayData.name = (WCHAR *)u"block",
                           .layerKey = FWPM_LAYER_INBOUND_TRANSPORT_V4,
                           .action = {.type = FWP_ACTION_BLOCK}};
    HANDLE engine;

    (void)state;
    for (unsigned run = 0; run < 8; run++) {
        const bool six = run & 1, ours = run & 2;
        const size_t size = lengths[run / 4];
        struct weir_socket *in[4];
        struct embed_lab l;

        embed_lab_open(&l, NULL);
        in[0] = bound(ours ? l.program : l.peer, ":53");
        in[1] = bound(ours ? l.program : l.peer, ":54"); /* not there that it goes */
        in[2] = bound(ours ? l.peer : l.program, ":53");
        in[3] = bound(ours ? l.program : l.peer, ":55"); /* no member */
        for (unsigned i = 0; i < 3; i++)
            assert_int_equal(weir_join(in[i], groups[six]), 0);
        fill(size, "mine");
        assert_int_equal(weir_send_to(in[0], ends[six], sent, size), (long)size);
        arrives_with(in[0], size, "mine");
        arrives_with(in[2], size, "mine");
        for (unsigned i = 0; i < 4; i++)
            assert_int_equal(weir_receive(in[i], got, sizeof got, NULL), -EAGAIN); /* once */
        assert_int_equal(weir_leave(in[0], groups[six]), 0);
        assert_int_equal(weir_send_to(in[0], ends[six], sent, size), (long)size);
        arrives_with(in[2], size, "mine");
        assert_int_equal(weir_receive(in[0], got, sizeof got, NULL), -EAGAIN);
        if (!six && ours) {
            assert_int_equal(weir_join(in[0], groups[six]), 0);
            assert_int_equal(FwpmEngineOpen0(NULL, RPC_C_AUTHN_WINNT, NULL, NULL, &engine), ERROR_SUCCESS);
            assert_int_equal(FwpmFilterAdd0(engine, &filter, NULL, NULL), ERROR_SUCCESS);
            assert_int_equal(FwpmEngineClose0(engine), ERROR_SUCCESS);
            assert_int_equal(weir_send_to(in[0], ends[six], sent, size), (long)size);
            arrives_with(in[2], size, "mine");
            assert_int_equal(weir_receive(in[0], got, sizeof got, NULL), -EAGAIN);
        }
        embed_lab_close(&l);
    }
}

/* A driver takes it and sends it again in its place: so it comes back. */
static void what_a_driver_sends_to_a_group_comes_back(void **state)
{
    (void)state;
    for (unsigned run = 0; run < 4; run++) {
        struct weir_socket *s, *peer;
        struct embed_lab l;

        embed_lab_open(&l, NULL);
        LOAD(&l, {.at = run & 1 ? "OI" : "OT", .find = "who?", .write = "mine", .later = run & 2});
        s = bound(l.program, ":53");
        peer = bound(l.peer, ":53");
        assert_int_equal(weir_join(s, "239.1.2.3"), 0);
        assert_int_equal(weir_join(peer, "239.1.2.3"), 0);
        fill(100, "who?");
        assert_int_equal(weir_send_to(s, "239.1.2.3:53", sent, 100), 100);
        arrives_with(peer, 100, "mine");
        arrives_with(s, 100, "mine");
        closes(&l);
    }
}

/* ---- ends -------------------------------------------------------------------------------------- */

/* The closure of a connection says the address that it was from, bound to all addresses or to one (ALE-32). */
static void a_closure_says_where_the_connection_was(void **state)
{
    static const char *const from[] = {"0.0.0.0:5000", "10.0.0.1:5000"};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct weir_socket *s;
        struct embed_lab l;

        embed_lab_open(&l, NULL);
        (void)embed_lab_serves(&l, ":80");
        s = weir_socket(l.program, WEIR_TCP);
        assert_int_equal(weir_bind(s, from[i]), 0);
        assert_int_equal(weir_connect(s, "10.0.0.2:80"), -EINPROGRESS);
        assert_true(weir_wait(s, WEIR_CONNECTED, WEIR_SECOND));
        weir_abort(s);
        weir_settle(l.w);
        assert_true(weir_expect(l.w,
                                &(struct weir_match){.layer = "ALE_ENDPOINT_CLOSURE",
                                                     .local = "10.0.0.1:5000",
                                                     .remote = "10.0.0.2:80"},
                                1));
        embed_lab_close(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_received),
        cmocka_unit_test(a_ping_is_answered),
        cmocka_unit_test(a_proxy_of_datagrams),
        cmocka_unit_test(what_arrives_has_arrived),
        cmocka_unit_test(refused_one_way_and_not_the_other),
        cmocka_unit_test(segments_are_sent_again),
        cmocka_unit_test(a_redirect_goes_where_its_route_leads),
        cmocka_unit_test(sums_are_the_drivers),
        cmocka_unit_test(sums_are_the_adapters),
        cmocka_unit_test(a_long_datagram_is_whole_for_callouts),
        cmocka_unit_test(each_layer_is_asked_once),
        cmocka_unit_test(a_long_datagram_is_refused_whole),
        cmocka_unit_test(a_long_datagram_is_received_changed),
        cmocka_unit_test(what_is_sent_to_a_group_comes_back),
        cmocka_unit_test(what_a_driver_sends_to_a_group_comes_back),
        cmocka_unit_test(a_closure_says_where_the_connection_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
