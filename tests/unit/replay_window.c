/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the window learns: who is refused; and who is local. Both as tables of frames: a letter a frame.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "captures.h"
#include "datapath/replay_inside.h"
#include "packets.h"

#define SYN WIRE_TCP_SYN
#define ACK WIRE_TCP_ACK
#define RST WIRE_TCP_RST

/* ---- who is refused ------------------------------------------------------------------------------------ */

/* This host is 10.0.0.1, it is asked at port 80 (or 81) by 10.0.0.2 (or 10.0.0.3), from port 4000. */
static struct packet frame_of(char what)
{
    static const struct packet quoted = {.src = "10.0.0.2", .dst = "10.0.0.1", .sport = 4000, .dport = 80};
    static const struct packet quoted6 = {.src = "fd00::2", .dst = "fd00::1", .sport = 4000, .dport = 80};
    static const struct packet sctp = {
        .src = "10.0.0.2", .dst = "10.0.0.1", .protocol = 132, .no_transport = true, .data = "xxxxxxxxxxxx"};
    const struct packet in = {.src = "10.0.0.2", .dst = "10.0.0.1", .sport = 4000, .dport = 80};
    struct packet p = in;

    switch (what) {
    case 's': /* SYN */
    case 't': /* SYN from another host */
    case 'S': /* SYN to another port */
        p.protocol = WIRE_PROTOCOL_TCP;
        p.tcp_flags = SYN;
        if (what == 't')
            p.src = "10.0.0.3";
        if (what == 'S')
            p.dport = 81;
        return p;
    case 'a': /* SYN-ACK */
    case 'r': /* RST */
    case 'R': /* RST without ACK */
        p = packet_reverse(&in);
        p.protocol = WIRE_PROTOCOL_TCP;
        p.tcp_flags = what == 'a' ? SYN | ACK : what == 'r' ? RST | ACK : RST;
        return p;
    case 'q': /* RST of the other side */
        p.protocol = WIRE_PROTOCOL_TCP;
        p.tcp_flags = RST;
        return p;
    case 'u': /* datagram */
        return p;
    case 'v':
        p.src = "10.0.0.3";
        return p;
    case '6':
        return quoted6;
    case 'w': /* sent from the port */
        return packet_reverse(&in);
    case 'i': /* port unreachable */
    case 'h': /* host unreachable: no refusal */
        return (struct packet){.protocol = WIRE_PROTOCOL_ICMP,
                               .icmp_type = 3,
                               .icmp_code = what == 'i' ? 3 : 1,
                               .quotes = &quoted};
    case 'j':
        return (struct packet){
            .protocol = WIRE_PROTOCOL_ICMPV6, .icmp_type = 1, .icmp_code = 4, .quotes = &quoted6};
    case 'p': /* another protocol */
        return sctp;
    case 'P': /* protocol unreachable */
        return (struct packet){
            .protocol = WIRE_PROTOCOL_ICMP, .icmp_type = 3, .icmp_code = 2, .quotes = &sctp};
    }
    fail_msg("no frame '%c'", what);
    return p;
}

static struct host *host_of(struct engine **engine)
{
    struct host_config config = {0};
    const struct host_interface_desc desc = {.name = "eth0", .index = 1, .type = 6};
    struct host *h;
    union wire_addr a;

    assert_int_equal(engine_create(engine), 0);
    config.engine = *engine;
    assert_int_equal(host_create(&config, &h), 0);
    assert_int_equal(host_interface_add(h, &desc), 0);
    assert_int_equal(wire_addr_parse("10.0.0.1", &a, NULL), 4);
    assert_int_equal(host_address_add(h, 1, 4, &a, 0, false), 0);
    assert_int_equal(wire_addr_parse("fd00::1", &a, NULL), 6);
    assert_int_equal(host_address_add(h, 1, 6, &a, 0, false), 0);
    return h;
}

/* Frames; and for those that ask: is somebody there (y, n), else '-'. */
static const struct {
    const char *frames, *listening;
} refusals[] = {
    {"s", "y"},         /* no answer: somebody */
    {"sa", "y-"},       /* an answer */
    {"sr", "n-"},       /* refused */
    {"sR", "n-"},       /* as well */
    {"sssr", "nnn-"},   /* repeated, refused once */
    {"sq", "y-"},       /* the other side gave up */
    {"sar", "y--"},     /* accepted, reset later */
    {"srsa", "n-y-"},   /* refused, then somebody came */
    {"sasr", "y-n-"},   /* accepted, and asked anew when nobody is there any more */
    {"srt", "n-y"},     /* a refusal before says nothing of later frames */
    {"tsr", "nn-"},     /* no answer of its own, but the port refuses within the window */
    {"Ssr", "yn-"},     /* another port */
    {"tsrwr", "nn---"}, /* UDP from the same number shows nobody for TCP */
    {"u", "y"},         {"ui", "n-"},   {"uui", "nn-"},
    {"uh", "y-"},       {"vui", "nn-"}, {"vuiw", "yn--"}, /* the port has shown somebody since */
    {"uw", "y-"},       {"6j", "n-"},   {"6i", "y-"},
    {"pP", "n-"},       {"pi", "y-"},   {"usi", "ny-"}, /* a datagram's refusal is none of TCP's */
};

static void refusals_are_seen_ahead(void **state)
{
    struct engine *engine;
    struct host *h = host_of(&engine);

    (void)state;
    for (size_t k = 0; k < sizeof(refusals) / sizeof(refusals[0]); k++) {
        static struct window w;
        struct made m = {0};
        struct capture_error error;
        const char *frames = refusals[k].frames;
        made_pcap(&m, MADE_MICRO, 0, 1);
        for (size_t i = 0; frames[i] != '\0'; i++) {
            uint8_t bytes[512];
            struct packet p = frame_of(frames[i]);
            size_t size = packet_build(&p, bytes, sizeof(bytes));
            made_record(&m, 1, (uint32_t)i, bytes, (uint32_t)size, (uint32_t)size);
        }
        w = (struct window){0};
        assert_int_equal(capture_open_memory("made", m.bytes, m.size, &w.capture, &error), 0);
        while (!w.ended)
            window_read(&w);
        window_learn(&w, h);
        assert_int_equal(w.head, strlen(frames));
        for (; w.tail < w.head; w.tail++) {
            const struct wire_packet *p = &w.wires[w.tail];
            const char expected = refusals[k].listening[w.tail];
            if (expected == '-')
                continue;
            bool there = window_listening(&w, p->version, p->protocol, &p->destination, p->destination_port);
            if (there != (expected == 'y'))
                fail_msg("\"%s\": frame %llu: %s", frames, (unsigned long long)w.tail + 1,
                         there ? "somebody" : "nobody");
        }
        capture_close(w.capture);
        made_free(&m);
    }
    host_destroy(h);
    engine_destroy(engine);
}

/* What is answered after more than a window is not known. */
static void a_refusal_beyond_the_window_comes_too_late(void **state)
{
    struct engine *engine;
    struct host *h = host_of(&engine);

    (void)state;
    for (unsigned between = WINDOW - 2; between <= WINDOW - 1; between++) {
        static struct window w;
        struct made m = {0};
        struct capture_error error;
        uint8_t bytes[512];
        made_pcap(&m, MADE_MICRO, 0, 1);
        for (unsigned i = 0; i < between + 2; i++) {
            struct packet p = frame_of(i == 0 ? 's' : i == between + 1 ? 'r' : 'S');
            size_t size = packet_build(&p, bytes, sizeof(bytes));
            made_record(&m, 1, i, bytes, (uint32_t)size, (uint32_t)size);
        }
        w = (struct window){0};
        assert_int_equal(capture_open_memory("made", m.bytes, m.size, &w.capture, &error), 0);
        while (w.head < WINDOW)
            window_read(&w);
        window_learn(&w, h);
        assert_int_equal(window_listening(&w, 4, WIRE_PROTOCOL_TCP, &w.wires[0].destination, 80),
                         between == WINDOW - 1);
        capture_close(w.capture);
        made_free(&m);
    }
    host_destroy(h);
    engine_destroy(engine);
}

/* ---- who is local -------------------------------------------------------------------------------------- */

#define MAC(n) ((const uint8_t[]){2, 0, 0, 0, 0, (n)})

struct seen {
    unsigned times;
    struct packet p;
    enum host_way way;
};

/* Sightings of frames, and the addresses that are then taken for local, in any order. */
struct locality {
    const char *what;
    struct seen seen[16];
    const char *hints[4];
    const char *locals; /* "10.0.0.1 fd00::1" */
    bool guessed;
    unsigned in, of;
};

static const struct locality localities[] = {
    {.what = "nothing", .locals = ""},
    {.what = "the one in most frames",
     .seen = {{3, {.link = PACKET_RAW, .src = "10.0.0.1", .dst = "10.0.0.2"}, 0},
              {2, {.link = PACKET_RAW, .src = "10.0.0.3", .dst = "10.0.0.1"}, 0}},
     .locals = "10.0.0.1",
     .guessed = true,
     .in = 5,
     .of = 5},
    {.what = "two ends alone: the one that sends first",
     .seen = {{1, {.link = PACKET_RAW, .src = "10.0.0.9", .dst = "10.0.0.2"}, 0},
              {3, {.link = PACKET_RAW, .src = "10.0.0.2", .dst = "10.0.0.9"}, 0}},
     .locals = "10.0.0.9",
     .guessed = true,
     .in = 4,
     .of = 4},
    {.what = "its other addresses, by MAC",
     .seen = {{4, {.src = "10.0.0.1", .dst = "10.0.0.2", .mac_src = MAC(1), .mac_dst = MAC(2)}, 0},
              {1, {.src = "fd00::1", .dst = "fd00::2", .mac_src = MAC(1), .mac_dst = MAC(2)}, 0},
              {1, {.src = "fd00::2", .dst = "fd00::1", .mac_src = MAC(2), .mac_dst = MAC(1)}, 0},
              {2, {.src = "10.0.0.7", .dst = "10.0.0.8", .mac_src = MAC(7), .mac_dst = MAC(8)}, 0}},
     .locals = "10.0.0.1 fd00::1",
     .guessed = true,
     .in = 6,
     .of = 8},
    {.what = "nobody is a group or unspecified",
     .seen = {{9, {.link = PACKET_RAW, .src = "0.0.0.0", .dst = "255.255.255.255"}, 0},
              {9, {.link = PACKET_RAW, .src = "::", .dst = "ff02::1"}, 0},
              {3, {.link = PACKET_RAW, .src = "10.0.0.4", .dst = "224.0.0.251"}, 0},
              {2, {.link = PACKET_RAW, .src = "10.0.0.5", .dst = "224.0.0.251"}, 0}},
     .locals = "10.0.0.4",
     .guessed = true,
     .in = 3,
     .of = 23},
    {.what = "a subnet's broadcast is nobody: the link says so",
     .seen = {{9,
               {.src = "10.0.0.4",
                .dst = "10.0.0.255",
                .mac_src = MAC(4),
                .mac_dst = (const uint8_t[]){255, 255, 255, 255, 255, 255}},
               0},
              {8,
               {.src = "10.0.0.5",
                .dst = "10.0.0.255",
                .mac_src = MAC(5),
                .mac_dst = (const uint8_t[]){255, 255, 255, 255, 255, 255}},
               0}},
     .locals = "10.0.0.4",
     .guessed = true,
     .in = 9,
     .of = 17},
    {.what = "loopback needs no guess",
     .seen = {{9, {.link = PACKET_RAW, .src = "127.0.0.1", .dst = "127.0.0.1"}, 0},
              {9, {.link = PACKET_RAW, .src = "::1", .dst = "::1"}, 0}},
     .locals = ""},
    {.what = "directions",
     .seen = {{1, {.link = PACKET_RAW, .src = "10.0.0.1", .dst = "10.0.0.2"}, HOST_WAY_OUT},
              {9, {.link = PACKET_RAW, .src = "10.0.0.2", .dst = "10.0.0.3"}, HOST_WAY_UNKNOWN},
              {1, {.link = PACKET_RAW, .src = "fd00::2", .dst = "fd00::1"}, HOST_WAY_IN}},
     .locals = "10.0.0.1 fd00::1"},
    {.what = "what a router forwards is neither's",
     .seen = {{1, {.link = PACKET_RAW, .src = "10.0.0.2", .dst = "10.9.0.3"}, HOST_WAY_IN},
              {1, {.link = PACKET_RAW, .src = "10.0.0.2", .dst = "10.9.0.3"}, HOST_WAY_OUT},
              {1, {.link = PACKET_RAW, .src = "10.0.0.2", .dst = "10.0.0.1"}, HOST_WAY_IN}},
     .locals = "10.0.0.1"},
    {.what = "cooked frames say their way",
     .seen =
         {{1, {.link = PACKET_SLL, .cooked = WIRE_COOKED_FROM_US, .src = "10.0.0.1", .dst = "10.0.0.2"}, 0},
          {1, {.link = PACKET_SLL2, .cooked = WIRE_COOKED_TO_US, .src = "10.0.0.3", .dst = "10.0.0.5"}, 0},
          {5,
           {.link = PACKET_SLL, .cooked = WIRE_COOKED_TO_OTHERS, .src = "10.0.0.3", .dst = "10.0.0.4"},
           0}},
     .locals = "10.0.0.1 10.0.0.5"},
    {.what = "the machine's addresses, if they are there",
     .seen = {{5, {.link = PACKET_RAW, .src = "10.0.0.1", .dst = "10.0.0.2"}, 0},
              {1, {.link = PACKET_RAW, .src = "10.0.0.2", .dst = "10.0.0.3"}, 0}},
     .hints = {"10.0.0.3", "192.0.2.1"},
     .locals = "10.0.0.3"},
    {.what = "not the machine's then",
     .seen = {{5, {.link = PACKET_RAW, .src = "10.0.0.1", .dst = "10.0.0.2"}, 0}},
     .hints = {"192.0.2.1"},
     .locals = "10.0.0.1",
     .guessed = true,
     .in = 5,
     .of = 5},
};

static size_t see(const struct seen *s, struct sighting *out)
{
    uint8_t bytes[512];
    struct wire_packet w;
    struct capture_packet p = {.way = s->way == HOST_WAY_IN    ? CAPTURE_WAY_IN
                                      : s->way == HOST_WAY_OUT ? CAPTURE_WAY_OUT
                                                               : CAPTURE_WAY_UNKNOWN};
    size_t n = 0;

    packet_parse(&s->p, bytes, sizeof(bytes), &w);
    for (; n < s->times; n++)
        assert_true(sighting_of(&p, &w, &out[n]));
    return n;
}

static bool is_local(const struct locals *l, const char *text)
{
    union wire_addr a;
    uint8_t version = wire_addr_parse(text, &a, NULL);

    for (size_t i = 0; i < l->count; i++)
        if (l->list[i].is.version == version && wire_addr_equal(&l->list[i].is.address, &a))
            return true;
    return false;
}

static void check_locals(const struct locality *k, const struct locals *l)
{
    char text[128], *next = text;
    size_t count = 0;

    strcpy(text, k->locals);
    for (char *one; (one = strsep(&next, " ")) != NULL;) {
        if (*one == '\0')
            continue;
        count++;
        if (!is_local(l, one))
            fail_msg("%s: %s is not local", k->what, one);
    }
    if (l->count != count || l->guessed != k->guessed || l->guessed_in != k->in || l->guessed_of != k->of)
        fail_msg("%s: %zu local, guessed %d in %llu of %llu", k->what, l->count, l->guessed,
                 (unsigned long long)l->guessed_in, (unsigned long long)l->guessed_of);
}

static struct capture *empty_capture(struct made *m)
{
    struct capture *c;
    struct capture_error error;

    made_pcap(m, MADE_MICRO, 0, 1);
    assert_int_equal(capture_open_memory("made", m->bytes, m->size, &c, &error), 0);
    return c;
}

static void locals_are_found(void **state)
{
    static struct sighting seen[LOCAL_LOOK_AT];
    struct made m = {0};
    struct capture *c = empty_capture(&m);

    (void)state;
    for (size_t k = 0; k < sizeof(localities) / sizeof(localities[0]); k++) {
        const struct locality *row = &localities[k];
        struct replay_local hints[4] = {{0}};
        struct replay_config config = {.hints = hints};
        struct locals l;
        size_t count = 0;
        for (size_t i = 0; row->seen[i].times != 0; i++)
            count += see(&row->seen[i], seen + count);
        for (; row->hints[config.hint_count] != NULL; config.hint_count++)
            hints[config.hint_count].version =
                wire_addr_parse(row->hints[config.hint_count], &hints[config.hint_count].address, NULL);
        assert_int_equal(locals_create(LOCAL_MAX, &l), 0);
        assert_int_equal(locals_find(&config, c, seen, count, &l), 0);
        check_locals(row, &l);
        locals_destroy(&l);
    }
    capture_close(c);
    made_free(&m);
}

static void a_routers_addresses_are_not_all_local(void **state)
{
    static struct sighting seen[64];
    struct made m = {0};
    struct capture *c = empty_capture(&m);

    (void)state;
    for (unsigned others = LOCAL_A_MAC - 1; others <= LOCAL_A_MAC; others++) {
        struct replay_config config = {0};
        struct locals l;
        size_t count = 0;
        for (unsigned i = 0; i <= others; i++) { /* 10.0.0.1 most; all from one MAC */
            char address[16];
            snprintf(address, sizeof(address), "10.0.0.%u", i + 1);
            const struct seen s = {i == 0 ? 20 : 1,
                                   {.src = address, .dst = "192.0.2.1", .mac_src = MAC(1), .mac_dst = MAC(2)},
                                   HOST_WAY_UNKNOWN};
            count += see(&s, seen + count);
        }
        /* 192.0.2.1 is in all of them, but sends first: no; it is the one in most */
        seen[count++] =
            (struct sighting){.version = 4, .source.v4 = 0x0a000001, .destination.v4 = 0x0a000063};
        for (unsigned i = 0; i < 20; i++, count++)
            seen[count] = seen[count - 1];
        assert_int_equal(locals_create(LOCAL_MAX, &l), 0);
        assert_int_equal(locals_find(&config, c, seen, count, &l), 0);
        assert_true(is_local(&l, "10.0.0.1"));
        assert_int_equal(l.count, others == LOCAL_A_MAC ? 1 : LOCAL_A_MAC);
        locals_destroy(&l);
    }
    capture_close(c);
    made_free(&m);
}

static void the_interfaces_mac_is_a_local_addresses(void **state)
{
    struct sighting seen[8];
    struct locals l;
    uint8_t mac[6];
    size_t count = 0;
    const struct seen rows[] = {
        {1, {.src = "10.0.0.7", .dst = "10.0.0.8", .mac_src = MAC(7), .mac_dst = MAC(8)}, 0},
        {1, {.src = "10.0.0.2", .dst = "10.0.0.1", .mac_src = MAC(2), .mac_dst = MAC(1)}, 0},
    };

    (void)state;
    assert_int_equal(locals_create(1, &l), 0);
    l.list[l.count++].is = (struct replay_local){.version = 4, .bits = 32, .address.v4 = 0x0a000001};
    for (size_t i = 0; i < 2; i++)
        count += see(&rows[i], seen + count);
    assert_true(locals_mac(&l, seen, count, 0, mac));
    assert_memory_equal(mac, MAC(1), 6);
    assert_false(locals_mac(&l, seen, count, 1, mac)); /* another interface's */
    assert_false(locals_mac(&l, seen, 1, 0, mac));
    locals_destroy(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals_are_seen_ahead),
        cmocka_unit_test(a_refusal_beyond_the_window_comes_too_late),
        cmocka_unit_test(locals_are_found),
        cmocka_unit_test(a_routers_addresses_are_not_all_local),
        cmocka_unit_test(the_interfaces_mac_is_a_local_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
