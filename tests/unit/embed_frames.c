/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir.h: Ethernet frames, whole: what a peer sends and the host receives or not, what the host sends; what drivers at the
 * MAC layers see of them, block, absorb, clone, copy and answer (INJ-10, 12, 30; OTH-04, 06); tags, groups, whose address,
 * rules, captures.
 */
#include <errno.h>
#include <unistd.h>

#include "datapath/capture.h"
#include "embed_lab.h"
#include "framer.h"

#define ARP 0x0806
#define LOAD(lab, ...)                                                                                       \
    do {                                                                                                     \
        const struct framer_plan plans[] = {__VA_ARGS__};                                                    \
        (lab)->driver = framer_load((lab)->l.w, plans, sizeof plans / sizeof plans[0]);                      \
        assert_non_null((lab)->driver);                                                                      \
    } while (0)

struct heard {
    unsigned put[3], arrived[3]; /* by way */
    uint8_t bytes[2048];         /* of the last that arrived */
    size_t size;
};

struct lab {
    struct embed_lab l;
    struct weir_driver *driver;
    struct heard heard;
    uint8_t ours[6], theirs[6];
    uint8_t frame[256];
    size_t size;
};

static void hear(void *ctx, const struct weir_frame *f)
{
    struct heard *h = ctx;

    assert_int_equal(f->interface, 1);
    if (!f->arrived) {
        h->put[f->way]++;
        return;
    }
    h->arrived[f->way]++;
    assert_true(f->size <= sizeof h->bytes);
    memcpy(h->bytes, f->bytes, f->size);
    h->size = f->size;
}

static void lab_open_in(struct lab *l, bool real_time)
{
    memset(l, 0, sizeof *l);
    embed_lab_open(&l->l, &(struct weir_config){.real_time = real_time});
    assert_int_equal(weir_mac(l->l.w, 1, false, l->ours), 0);
    assert_int_equal(weir_mac(l->l.w, 1, true, l->theirs), 0);
    assert_memory_not_equal(l->ours, l->theirs, 6);
    weir_tap_frames(l->l.w, hear, &l->heard);
}

static void lab_open(struct lab *l)
{
    lab_open_in(l, false);
}

static void lab_close(struct lab *l)
{
    if (l->driver != NULL)
        assert_int_equal(weir_driver_unload(l->driver), 0);
    assert_true(weir_expect_clean(l->l.w));
    embed_lab_close(&l->l);
}

static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

/* A frame of some type with `text`, padded as an adapter would; vlan 0: no tag. */
static void make(struct lab *l, const uint8_t *to, const uint8_t *from, unsigned vlan, unsigned type,
                 const char *text)
{
    uint8_t *p = l->frame;

    memset(l->frame, 0, sizeof l->frame);
    memcpy(p, to, 6);
    memcpy(p + 6, from, 6);
    p += 12;
    if (vlan != 0) {
        *p++ = 0x81;
        *p++ = 0;
        *p++ = (uint8_t)(vlan >> 8);
        *p++ = (uint8_t)vlan;
    }
    *p++ = (uint8_t)(type >> 8);
    *p++ = (uint8_t)type;
    memcpy(p, text, strlen(text));
    l->size = 60 + (vlan != 0 ? 4 : 0);
}

static void arrives(struct lab *l, enum weir_way way, unsigned times)
{
    weir_run(l->l.w, 5 * WEIR_MILLISECOND);
    assert_int_equal(l->heard.arrived[way], times);
    l->heard.arrived[way] = 0;
}

static void arrives_as_it_was(struct lab *l, enum weir_way way)
{
    arrives(l, way, 1);
    assert_int_equal(l->heard.size, l->size);
    assert_memory_equal(l->heard.bytes, l->frame, l->size);
}

static int sends(struct lab *l, enum weir_way way)
{
    return weir_frame_send(l->l.w, 1, way, l->frame, l->size);
}

/* ---- seen ---------------------------------------------------------------------------------------------- */

static void frames_pass_both_ways(void **state)
{
    struct framer_plan *in = &framer_plans[0], *native = &framer_plans[1], *out = &framer_plans[2],
                       *out_native = &framer_plans[3];
    struct lab l;

    (void)state;
    lab_open(&l);
    LOAD(&l, {.at = "IN"}, {.at = "IN_NATIVE"}, {.at = "OUT"}, {.at = "OUT_NATIVE"});
    make(&l, all, l.theirs, 0, ARP, "who has it?");
    assert_int_equal(sends(&l, WEIR_TO_HOST), 0);
    assert_int_equal(l.heard.put[WEIR_TO_HOST], 1);
    assert_int_equal(l.heard.arrived[WEIR_TO_HOST], 0); /* the wire takes its time */
    arrives_as_it_was(&l, WEIR_TO_HOST);
    assert_int_equal(in->seen, 1);
    assert_int_equal(in->ether_type, ARP);
    assert_int_equal(in->front, 14);
    assert_int_equal(native->seen, 1);
    assert_int_equal(native->front, 0);
    assert_int_equal(in->size, 60);
    assert_memory_equal(in->bytes, l.frame, 60);
    assert_memory_equal(native->bytes, l.frame, 60);
    assert_int_equal(out->seen + out_native->seen, 0);
    make(&l, l.theirs, l.ours, 0, ARP, "it is here");
    assert_int_equal(sends(&l, WEIR_FROM_HOST), 0);
    arrives_as_it_was(&l, WEIR_FROM_HOST);
    assert_int_equal(out->seen, 1);
    assert_int_equal(out_native->seen, 1);
    assert_memory_equal(out->bytes, l.frame, 60);
    assert_int_equal(out->ether_type, ARP);
    assert_int_equal(in->seen, 1);
    assert_true(weir_expect(
        l.l.w, &(struct weir_match){.kind = WEIR_EVENT_PACKET, .contains = "frame of type 0x0806"}, 2));
    assert_true(weir_expect(
        l.l.w, &(struct weir_match){.kind = WEIR_EVENT_PACKET, .contains = "-> ff:ff:ff:ff:ff:ff"}, 1));
    assert_true(weir_expect(l.l.w, &(struct weir_match){.layer = "INBOUND_MAC_FRAME_ETHERNET"}, 1));
    lab_close(&l);
}

/* A tagged frame is a frame with a tag, and what it holds is received. */
static void tags_are_seen(void **state)
{
    static const uint8_t datagram[] = {0x45, 0,    0, 32, 0, 1,  0,   0,   64,  17,   0x66,
                                       0xca, 10,   0, 0,  2, 10, 0,   0,   1,   0x07, 0xd0,
                                       0x03, 0xe8, 0, 12, 0, 0,  'f', 'o', 'u', 'r'};
    struct weir_socket *s;
    char got[64];
    struct lab l;

    (void)state;
    lab_open(&l);
    LOAD(&l, {.at = "IN"}, {.at = "OUT", .type = ARP, .act = FRAMER_COPIES, .find = "here", .write = "gone"});
    s = weir_socket(l.l.program, WEIR_UDP);
    assert_int_equal(weir_bind(s, ":1000"), 0);
    for (unsigned vlan = 0; vlan <= 42; vlan += 42) {
        make(&l, l.ours, l.theirs, vlan, 0x0800, "");
        memcpy(l.frame + (vlan != 0 ? 18 : 14), datagram, sizeof datagram);
        assert_int_equal(sends(&l, WEIR_TO_HOST), 0);
        arrives_as_it_was(&l, WEIR_TO_HOST);
        assert_int_equal(weir_receive(s, got, sizeof got, NULL), 4); /* without the padding */
        assert_memory_equal(got, "four", 4);
        assert_int_equal(framer_plans[0].ether_type, 0x0800);
        assert_int_equal(framer_plans[0].vlan, vlan);
        assert_int_equal(framer_plans[0].front, vlan != 0 ? 18 : 14);
    }
    make(&l, all, l.ours, 42, ARP, "it is here");
    assert_int_equal(sends(&l, WEIR_FROM_HOST), -EACCES); /* taken */
    memcpy(strstr((char *)l.frame + 18, "here"), "gone", 4);
    arrives_as_it_was(&l, WEIR_FROM_HOST);
    assert_int_equal(framer_plans[1].vlan, 42);
    lab_close(&l);
}

/* What a stack sends to a group has the group's address when the layers see it. */
static void groups_have_addresses(void **state)
{
    static const struct {
        const char *to;
        uint8_t mac[6];
    } groups[] = {{"239.129.2.3:53", {1, 0, 0x5e, 1, 2, 3}},
                  {"[ff02::1:2345:6789]:53", {0x33, 0x33, 0x23, 0x45, 0x67, 0x89}},
                  {"10.0.0.255:53", {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}};
    struct weir_socket *s;
    struct lab l;

    (void)state;
    lab_open(&l);
    LOAD(&l, {.at = "OUT"});
    for (unsigned i = 0; i < 3; i++) {
        s = weir_socket(l.l.program, WEIR_UDP);
        assert_int_equal(weir_send_to(s, groups[i].to, "all", 3), 3);
        assert_int_equal(framer_plans[0].seen, i + 1);
        assert_memory_equal(framer_plans[0].bytes, groups[i].mac, 6);
        assert_memory_equal(framer_plans[0].bytes + 6, l.ours, 6);
        arrives(&l, WEIR_FROM_HOST, 1);
        assert_memory_equal(l.heard.bytes, groups[i].mac, 6);
    }
    lab_close(&l);
}

/* An adapter takes what is for it. */
static void others_addresses_go_no_further(void **state)
{
    static const uint8_t other[6] = {2, 0, 0, 0, 0, 9}, group[6] = {1, 0x80, 0xc2, 0, 0, 0x0e};
    struct lab l;

    (void)state;
    lab_open(&l);
    LOAD(&l, {.at = "IN_NATIVE"});
    for (unsigned way = WEIR_TO_HOST; way <= WEIR_FROM_HOST; way++) {
        make(&l, other, way == WEIR_TO_HOST ? l.theirs : l.ours, 0, 0x88cc, "not for you");
        assert_int_equal(sends(&l, way), 0);
        assert_int_equal(l.heard.put[way], 1);
        arrives(&l, way, 0);
        make(&l, group, way == WEIR_TO_HOST ? l.theirs : l.ours, 0, 0x88cc, "for all who listen");
        assert_int_equal(sends(&l, way), 0);
        arrives_as_it_was(&l, way);
    }
    assert_int_equal(framer_plans[0].seen, 1);
    lab_close(&l);
}

/* ---- blocked, absorbed --------------------------------------------------------------------------------- */

static void frames_are_dropped(void **state)
{
    static const struct {
        const char *at, *layer;
        enum weir_way way;
    } places[] = {{"IN", "INBOUND_MAC_FRAME_ETHERNET", WEIR_TO_HOST},
                  {"IN_NATIVE", "INBOUND_MAC_FRAME_NATIVE", WEIR_TO_HOST},
                  {"OUT", "OUTBOUND_MAC_FRAME_ETHERNET", WEIR_FROM_HOST},
                  {"OUT_NATIVE", "OUTBOUND_MAC_FRAME_NATIVE", WEIR_FROM_HOST}};

    (void)state;
    for (unsigned run = 0; run < 8; run++) {
        const enum weir_way way = places[run / 2].way;
        const bool loses = run & 1;
        struct lab l;

        lab_open(&l);
        LOAD(&l, {.at = places[run / 2].at, .type = ARP, .act = loses ? FRAMER_LOSES : FRAMER_BLOCKS});
        make(&l, all, way == WEIR_TO_HOST ? l.theirs : l.ours, 0, ARP, "who has it?");
        assert_int_equal(sends(&l, way), way == WEIR_TO_HOST ? 0 : -EACCES);
        arrives(&l, way, 0);
        assert_int_equal(l.heard.put[WEIR_FROM_HOST], 0); /* it does not even come to the wire */
        assert_int_equal(framer_plans[0].seen, 1);
        assert_true(weir_expect(l.l.w,
                                &(struct weir_match){.kind = WEIR_EVENT_DROPPED,
                                                     .layer = places[run / 2].layer,
                                                     .verdict = loses ? "absorbed" : "blocked",
                                                     .contains = "0x0806"},
                                1));
        make(&l, all, way == WEIR_TO_HOST ? l.theirs : l.ours, 0, 0x88cc, "another type");
        assert_int_equal(sends(&l, way), 0);
        arrives_as_it_was(&l, way);
        lab_close(&l);
    }
}

/* ---- injected ------------------------------------------------------------------------------------------ */

/* Absorbed, and sent or received again from its layer on: as it was, or written over; a frame of no IP. */
static void frames_go_again(void **state)
{
    static const char *const at[] = {"IN", "IN_NATIVE", "OUT", "OUT_NATIVE"};

    (void)state;
    for (unsigned run = 0; run < 16; run++) {
        const enum weir_way way = run / 4 < 2 ? WEIR_TO_HOST : WEIR_FROM_HOST;
        const bool copies = run & 1, later = run & 2;
        struct framer_plan *plan = &framer_plans[0];
        struct lab l;

        lab_open(&l);
        LOAD(&l, {.at = at[run / 4],
                  .act = copies ? FRAMER_COPIES : FRAMER_CLONES,
                  .later = later,
                  .find = "who has",
                  .write = "I, I do"});
        make(&l, all, way == WEIR_TO_HOST ? l.theirs : l.ours, 7, ARP, "who has it?");
        assert_int_equal(sends(&l, way), way == WEIR_TO_HOST ? 0 : -EACCES);
        if (copies)
            memcpy(l.frame + 18, "I, I do", 7);
        arrives_as_it_was(&l, way);
        assert_int_equal(plan->seen, 1);
        assert_int_equal(plan->own, 1); /* its own layer is met again */
        assert_int_equal(plan->completed, 1);
        assert_int_equal(plan->status, 0);
        assert_int_equal(l.heard.put[way], 1);
        assert_true(weir_expect(l.l.w,
                                &(struct weir_match){.kind = WEIR_EVENT_INJECTED,
                                                     .verdict = way == WEIR_TO_HOST ? "received" : "sent",
                                                     .contains = "0x0806"},
                                1));
        lab_close(&l);
    }
}

static void in_real_time_too(void **state)
{
    struct lab l;

    (void)state;
    for (unsigned run = 0; run < 4; run++) {
        const enum weir_way way = run & 1 ? WEIR_TO_HOST : WEIR_FROM_HOST;

        lab_open_in(&l, true);
        LOAD(&l, {.at = way == WEIR_TO_HOST ? "IN" : "OUT",
                  .act = FRAMER_COPIES,
                  .later = run & 2,
                  .find = "who has",
                  .write = "I, I do"});
        make(&l, all, way == WEIR_TO_HOST ? l.theirs : l.ours, 7, ARP, "who has it?");
        (void)sends(&l, way);
        memcpy(l.frame + 18, "I, I do", 7);
        weir_run(l.l.w, 50 * WEIR_MILLISECOND);
        arrives_as_it_was(&l, way);
        lab_close(&l);
    }
}

/* The same with a connection and its datagrams: above, programs notice nothing but what was written over. */
static void packets_go_again_as_frames(void **state)
{
    static const char *const at[] = {"IN", "IN_NATIVE", "OUT", "OUT_NATIVE"};
    char got[8192], text[8192];

    (void)state;
    for (unsigned run = 0; run < 16; run++) {
        const bool copies = run & 1, in = run / 4 < 2;
        struct weir_socket *a, *b, *s, *c;
        struct lab l;
        long size, sent;

        lab_open(&l);
        LOAD(&l, {.at = at[run / 4],
                  .act = copies ? FRAMER_COPIES : FRAMER_CLONES,
                  .later = run & 2,
                  .find = "abcd", /* two words that change places: the sums stay */
                  .write = "cdab"});
        a = weir_socket(l.l.program, WEIR_UDP);
        b = weir_socket(l.l.peer, WEIR_UDP);
        assert_int_equal(weir_bind(a, ":1000"), 0);
        assert_int_equal(weir_bind(b, ":2000"), 0);
        assert_int_equal(weir_send_to(in ? b : a, in ? "10.0.0.1:1000" : "10.0.0.2:2000", "abcd", 4), 4);
        weir_run(l.l.w, 10 * WEIR_MILLISECOND);
        assert_int_equal(weir_receive(in ? a : b, got, sizeof got, NULL), 4);
        assert_memory_equal(got, copies ? "cdab" : "abcd", 4);
        s = embed_lab_serves(&l.l, ":80");
        c = weir_socket(l.l.program, WEIR_TCP);
        assert_int_equal(weir_connect(c, "10.0.0.2:80"), -EINPROGRESS);
        assert_true(weir_wait(c, WEIR_CONNECTED, WEIR_SECOND));
        weir_run(l.l.w, 10 * WEIR_MILLISECOND);
        s = weir_accept(s);
        memset(text, '.', sizeof text);
        for (sent = 0; sent < (long)sizeof text;) {
            size = weir_send(in ? s : c, text + sent, sizeof text - (size_t)sent);
            assert_true(size > 0 || size == -EAGAIN);
            sent += size > 0 ? size : 0;
            weir_run(l.l.w, 20 * WEIR_MILLISECOND);
        }
        for (sent = 0; sent < (long)sizeof text; sent += size) {
            size = weir_receive(in ? c : s, got, sizeof got, NULL);
            assert_true(size > 0);
        }
        assert_true(framer_plans[0].seen > 6);
        weir_settle(l.l.w);
        assert_int_equal(framer_plans[0].seen, framer_plans[0].completed);
        assert_int_equal(framer_plans[0].status, 0);
        lab_close(&l);
    }
}

/* What nobody of the host's knows how to answer, a driver does. */
static void a_driver_answers(void **state)
{
    struct lab l;

    (void)state;
    lab_open(&l);
    LOAD(&l, {.at = "IN", .type = ARP, .act = FRAMER_ANSWERS, .find = "who has", .write = "I, I do"},
         {.at = "OUT"});
    make(&l, l.ours, l.theirs, 0, ARP, "who has it?");
    assert_int_equal(sends(&l, WEIR_TO_HOST), 0);
    make(&l, l.theirs, l.ours, 0, ARP, "I, I do it?");
    arrives_as_it_was(&l, WEIR_FROM_HOST);
    assert_int_equal(l.heard.arrived[WEIR_TO_HOST], 1);
    assert_int_equal(framer_plans[1].own, 1);
    assert_int_equal(framer_plans[0].completed, 1);
    lab_close(&l);
}

/* ---- the wire ------------------------------------------------------------------------------------------ */

static void rules_that_look_at_packets_pass_frames_over(void **state)
{
    const struct weir_rule_config passes[] = {
        {.protocol = 17, .action = WEIR_DROP},        {.from = ":0", .action = WEIR_DROP},
        {.to = "10.0.0.1", .action = WEIR_DROP},      {.tcp_mask = 2, .action = WEIR_DROP},
        {.way = WEIR_FROM_HOST, .action = WEIR_DROP}, {.interface = 2, .action = WEIR_DROP}};
    struct weir_rule *r;
    struct lab l;

    (void)state;
    lab_open(&l);
    make(&l, l.ours, l.theirs, 0, ARP, "who has it?");
    for (unsigned i = 0; i < sizeof passes / sizeof passes[0]; i++) {
        r = weir_rule(l.l.w, &passes[i]);
        assert_int_equal(sends(&l, WEIR_TO_HOST), 0);
        arrives_as_it_was(&l, WEIR_TO_HOST);
        assert_int_equal(weir_rule_hits(r), 0);
        weir_rule_end(r);
    }
    for (unsigned i = WEIR_DROP; i <= WEIR_CUT; i++) {
        r = weir_rule(l.l.w, &(struct weir_rule_config){.action = i, .delay_ns = 2 * WEIR_MILLISECOND});
        assert_int_equal(sends(&l, WEIR_TO_HOST), 0);
        if (i == WEIR_DROP || i == WEIR_DUPLICATE)
            arrives(&l, WEIR_TO_HOST, i == WEIR_DROP ? 0 : 2);
        else
            arrives_as_it_was(&l, WEIR_TO_HOST);
        assert_int_equal(weir_rule_hits(r), 1);
        weir_rule_end(r);
    }
    lab_close(&l);
}

static void captures_have_them(void **state)
{
    char path[] = "/tmp/weir-frames-XXXXXX";
    struct capture_error error;
    struct capture_packet p;
    struct capture *c;
    struct lab l;

    (void)state;
    close(mkstemp(path));
    lab_open(&l);
    assert_int_equal(weir_capture(l.l.w, path), 0);
    make(&l, all, l.theirs, 42, ARP, "who has it?");
    assert_int_equal(sends(&l, WEIR_TO_HOST), 0);
    assert_int_equal(weir_capture(l.l.w, NULL), 0);
    assert_int_equal(capture_open(path, &c, &error), 0);
    assert_int_equal(capture_next(c, &p, &error), 1);
    assert_int_equal(p.captured, l.size);
    assert_memory_equal(p.bytes, l.frame, l.size);
    assert_int_equal(p.way, CAPTURE_WAY_IN);
    assert_int_equal(capture_next(c, &p, &error), 0);
    capture_close(c);
    unlink(path);
    lab_close(&l);
}

/* Whatever it is, nothing breaks. */
static void any_bytes_are_a_frame(void **state)
{
    uint8_t junk[300];
    uint32_t x = 99;
    struct lab l;

    (void)state;
    lab_open(&l);
    LOAD(&l, {.at = "IN", .act = FRAMER_COPIES}, {.at = "OUT"});
    for (unsigned n = 0; n < 4000; n++) {
        const size_t size = 14 + n % (sizeof junk - 14);

        for (size_t i = 0; i < size; i++)
            junk[i] = (uint8_t)((x = x * 1664525 + 1013904223) >> 24);
        if (n % 2 == 0)
            memcpy(junk, n % 4 == 0 ? l.ours : all, 6);
        if (n % 3 == 0)
            memcpy(junk + 12, (const uint8_t[]){0x81, 0, 0, 42, 0x08, 0}, size < 18 ? size - 12 : 6);
        if (n % 5 == 0)
            memcpy(junk + 12, n % 2 == 0 ? "\x08\0\x45" : "\x86\xdd\x60", size < 15 ? size - 12 : 3);
        assert_int_equal(weir_frame_send(l.l.w, 1, WEIR_TO_HOST, junk, size), 0);
        if (n % 100 == 0)
            weir_run(l.l.w, WEIR_MILLISECOND);
    }
    weir_settle(l.l.w);
    assert_true(framer_plans[0].seen > 1000);
    make(&l, all, l.theirs, 0, ARP, "still alive?");
    l.heard.arrived[WEIR_TO_HOST] = 0;
    assert_int_equal(sends(&l, WEIR_TO_HOST), 0);
    arrives_as_it_was(&l, WEIR_TO_HOST);
    lab_close(&l);
}

static void what_makes_no_sense_is_told(void **state)
{
    uint8_t ip[64] = {2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 1, 0x08, 0, 0x45};
    uint8_t mac[6];
    struct lab l;

    (void)state;
    lab_open(&l);
#define TOLD(expression, words)                                                                              \
    do {                                                                                                     \
        embed_lab_expects(&l.l);                                                                             \
        assert_int_equal(expression, -EINVAL);                                                               \
        embed_lab_told(&l.l, words);                                                                         \
    } while (0)
    TOLD(weir_frame_send(l.l.w, 1, WEIR_TO_HOST, ip, 13), "14 to 65,549 bytes");
    TOLD(weir_frame_send(l.l.w, 1, WEIR_TO_HOST, NULL, 64), "14 to 65,549 bytes");
    TOLD(weir_frame_send(l.l.w, 1, WEIR_TO_HOST, ip, 65550), "14 to 65,549 bytes");
    TOLD(weir_frame_send(l.l.w, 1, WEIR_BOTH_WAYS, ip, 64), "one way");
    TOLD(weir_frame_send(l.l.w, 9, WEIR_TO_HOST, ip, 64), "no interface 9");
    TOLD(weir_frame_send(l.l.w, 1, WEIR_FROM_HOST, ip, 64), "from sockets");
    TOLD(weir_mac(l.l.w, 9, false, mac), "no interface 9");
    TOLD(weir_mac(l.l.w, 1, false, NULL), "mac is NULL");
    lab_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_pass_both_ways),
        cmocka_unit_test(tags_are_seen),
        cmocka_unit_test(groups_have_addresses),
        cmocka_unit_test(others_addresses_go_no_further),
        cmocka_unit_test(frames_are_dropped),
        cmocka_unit_test(frames_go_again),
        cmocka_unit_test(packets_go_again_as_frames),
        cmocka_unit_test(in_real_time_too),
        cmocka_unit_test(a_driver_answers),
        cmocka_unit_test(rules_that_look_at_packets_pass_frames_over),
        cmocka_unit_test(captures_have_them),
        cmocka_unit_test(any_bytes_are_a_frame),
        cmocka_unit_test(what_makes_no_sense_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
