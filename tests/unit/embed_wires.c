/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir.h: the test as the wire: rules (drop, delay, duplicate, reorder, corrupt, cut) one by one and under whole
 * transfers, packets delivered by hand, the tap, captures that tshark reads, interfaces that come later.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <weir.h>

#include "datapath/capture.h"

struct lab {
    struct weir *w;
    struct weir_process *program, *peer;
    struct weir_socket *a, *b; /* datagrams: the program's at port 1000, the peer's at 2000 */
};

static void failed(void *ctx, const char *text)
{
    (void)ctx;
    fail_msg("%s", text);
}

static void lab_open(struct lab *l, uint64_t seed)
{
    const struct weir_config c = {.size = sizeof c, .seed = seed, .failed = failed};

    assert_int_equal(weir_create_with(&c, &l->w), 0);
    l->program = weir_process(l->w, "C:\\app.exe", NULL);
    l->peer = weir_peer(l->w, 1);
    l->a = weir_socket(l->program, WEIR_UDP);
    l->b = weir_socket(l->peer, WEIR_UDP);
    assert_int_equal(weir_bind(l->a, ":1000"), 0);
    assert_int_equal(weir_bind(l->b, ":2000"), 0);
}

static void send_numbers(struct lab *l, unsigned from, unsigned to)
{
    for (unsigned n = from; n < to; n++)
        assert_int_equal(weir_send_to(l->a, "10.0.0.2:2000", &n, sizeof n), sizeof n);
}

/* What has arrived at the peer: numbers into `out`; how many. */
static unsigned arrived(struct lab *l, unsigned *out, unsigned room)
{
    unsigned n = 0;

    while (n < room && weir_receive(l->b, &out[n], sizeof out[n], NULL) == sizeof out[n])
        n++;
    return n;
}

/* ---- rules one by one -------------------------------------------------------------------------------------- */

static void drop(void **state)
{
    struct weir_rule *r;
    unsigned got[32];
    struct lab l;

    (void)state;
    lab_open(&l, 1);
    r = weir_rule(l.w,
                  &(struct weir_rule_config){
                      .way = WEIR_FROM_HOST, .protocol = 17, .action = WEIR_DROP, .skip = 2, .count = 3});
    assert_non_null(r);
    send_numbers(&l, 0, 8);
    weir_run(l.w, 10 * WEIR_MILLISECOND);
    assert_int_equal(arrived(&l, got, 32), 5);
    assert_memory_equal(got, ((unsigned[]){0, 1, 5, 6, 7}), 5 * sizeof *got);
    assert_int_equal(weir_rule_hits(r), 3);
    assert_int_equal(weir_send_to(l.b, "10.0.0.1:1000", "x", 1), 1); /* not that way */
    assert_true(weir_wait_readable(l.a, WEIR_SECOND));
    weir_rule_end(r);
    r = weir_rule(l.w, &(struct weir_rule_config){.to = "10.0.0.2:2001", .action = WEIR_DROP});
    send_numbers(&l, 0, 2);
    weir_run(l.w, 10 * WEIR_MILLISECOND);
    assert_int_equal(arrived(&l, got, 32), 2);
    assert_int_equal(weir_rule_hits(r), 0);
    weir_rule_end(r);
    r = weir_rule(l.w, &(struct weir_rule_config){.to = "10.0.0.2", .from = ":1000", .action = WEIR_DROP});
    send_numbers(&l, 0, 2);
    weir_run(l.w, 10 * WEIR_MILLISECOND);
    assert_int_equal(arrived(&l, got, 32), 0);
    assert_true(weir_expect(l.w, &(struct weir_match){.kind = WEIR_EVENT_PACKET, .verdict = "dropped"}, 5));
    weir_destroy(l.w);
}

static void delay_and_duplicate(void **state)
{
    struct weir_rule *r;
    unsigned got[32];
    struct lab l;

    (void)state;
    lab_open(&l, 1);
    r = weir_rule(l.w,
                  &(struct weir_rule_config){
                      .interface = 1, .action = WEIR_DELAY, .delay_ns = 50 * WEIR_MILLISECOND, .count = 1});
    send_numbers(&l, 0, 2);
    weir_run(l.w, 50 * WEIR_MILLISECOND);
    assert_int_equal(arrived(&l, got, 32), 1);
    assert_int_equal(got[0], 1);
    weir_run(l.w, 1 * WEIR_MILLISECOND);
    assert_int_equal(arrived(&l, got, 32), 1);
    assert_int_equal(got[0], 0);
    weir_rule_end(r);
    r = weir_rule(l.w, &(struct weir_rule_config){.action = WEIR_DUPLICATE});
    send_numbers(&l, 7, 8);
    weir_run(l.w, 5 * WEIR_MILLISECOND);
    assert_int_equal(arrived(&l, got, 32), 2);
    assert_int_equal(got[1], 7);
    weir_destroy(l.w);
}

static void reorder(void **state)
{
    unsigned got[32];
    struct lab l;

    (void)state;
    lab_open(&l, 1);
    (void)weir_rule(l.w, &(struct weir_rule_config){.action = WEIR_REORDER, .count = 1});
    send_numbers(&l, 0, 3);
    weir_run(l.w, 2 * WEIR_MILLISECOND);
    assert_int_equal(arrived(&l, got, 32), 3);
    assert_memory_equal(got, ((unsigned[]){1, 0, 2}), 3 * sizeof *got);
    (void)weir_rule(l.w, &(struct weir_rule_config){.action = WEIR_REORDER, .count = 1});
    send_numbers(&l, 9, 10); /* nobody comes after it */
    weir_run(l.w, 10 * WEIR_MILLISECOND);
    assert_int_equal(arrived(&l, got, 32), 0);
    weir_run(l.w, 1 * WEIR_MILLISECOND);
    assert_int_equal(arrived(&l, got, 32), 1);
    weir_destroy(l.w);
}

static void corrupt_and_cut(void **state)
{
    unsigned got[32];
    struct lab l;

    (void)state;
    lab_open(&l, 1);
    (void)weir_rule(l.w, &(struct weir_rule_config){.action = WEIR_CORRUPT, .count = 20});
    (void)weir_rule(l.w, &(struct weir_rule_config){.action = WEIR_CUT, .count = 20});
    send_numbers(&l, 0, 41);
    weir_run(l.w, 10 * WEIR_MILLISECOND);
    assert_int_equal(arrived(&l, got, 32), 1); /* checksums and lengths tell */
    assert_int_equal(got[0], 40);
    /* ... at the host, too, which discards them itself. */
    (void)weir_rule(l.w,
                    &(struct weir_rule_config){.way = WEIR_TO_HOST, .action = WEIR_CORRUPT, .count = 20});
    for (int i = 0; i < 20; i++)
        assert_int_equal(weir_send_to(l.b, "10.0.0.1:1000", "12345678", 8), 8);
    assert_false(weir_wait_readable(l.a, 100 * WEIR_MILLISECOND));
    weir_destroy(l.w);
}

static bool is_odd(void *ctx, const uint8_t *packet, size_t size)
{
    unsigned n;

    (*(unsigned *)ctx)++;
    memcpy(&n, packet + size - sizeof n, sizeof n);
    return n & 1;
}

static void only_some(void **state)
{
    unsigned got[200], asked = 0, n;
    struct weir_rule *r;
    struct lab l;

    (void)state;
    lab_open(&l, 3);
    r = weir_rule(l.w, &(struct weir_rule_config){.action = WEIR_DROP, .only = is_odd, .ctx = &asked});
    send_numbers(&l, 0, 10);
    weir_run(l.w, 5 * WEIR_MILLISECOND);
    assert_int_equal(arrived(&l, got, 32), 5);
    assert_memory_equal(got, ((unsigned[]){0, 2, 4, 6, 8}), 5 * sizeof *got);
    assert_int_equal(asked, 10);
    weir_rule_end(r);
    (void)weir_rule(l.w, &(struct weir_rule_config){.action = WEIR_DROP, .one_in = 4});
    send_numbers(&l, 0, 160);
    weir_run(l.w, 5 * WEIR_MILLISECOND);
    n = arrived(&l, got, 200);
    assert_in_range(n, 100, 140); /* 120 */
    weir_destroy(l.w);
}

/* ---- whole transfers --------------------------------------------------------------------------------------- */

enum { SIZE = 200000 };

static void transfer(struct lab *l, bool host_sends, bool six)
{
    struct weir_process *from = host_sends ? l->program : l->peer, *to = host_sends ? l->peer : l->program;
    static uint8_t sent[SIZE], got[SIZE];
    struct weir_socket *server = weir_socket(to, WEIR_TCP), *a = weir_socket(from, WEIR_TCP), *b = NULL;
    size_t out = 0, in = 0;
    char address[WEIR_ADDRESS];
    uint64_t end;
    long n;

    for (size_t i = 0; i < SIZE; i++)
        sent[i] = (uint8_t)(i * 2654435761u >> 11);
    memset(got, 0, SIZE);
    assert_int_equal(weir_bind(server, ":0"), 0);
    assert_int_equal(weir_listen(server), 0);
    weir_local(server, address);
    snprintf(address, sizeof address, "%s:%s",
             six          ? (host_sends ? "[fd00::2]" : "[fd00::1]")
             : host_sends ? "10.0.0.2"
                          : "10.0.0.1",
             strrchr(weir_local(server, (char[WEIR_ADDRESS]){0}), ':') + 1);
    assert_int_equal(weir_connect(a, address), -EINPROGRESS);
    end = weir_now(l->w) + 900 * WEIR_SECOND;
    while (in < SIZE && weir_now(l->w) < end) {
        if (b == NULL)
            b = weir_accept(server);
        n = out < SIZE && weir_state(a) == WEIR_CONNECTED ? weir_send(a, sent + out, SIZE - out) : 0;
        out += n > 0 ? (size_t)n : 0;
        weir_run(l->w, 20 * WEIR_MILLISECOND);
        while (b != NULL && in < SIZE && (n = weir_receive(b, got + in, SIZE - in, NULL)) > 0)
            in += (size_t)n;
    }
    assert_int_equal(in, SIZE);
    assert_memory_equal(sent, got, SIZE);
    weir_close(a);
    weir_close(b);
    weir_close(server);
}

static void transfers_over_a_bad_wire(void **state)
{
    static const struct weir_rule_config rules[] = {
        {.action = WEIR_DROP, .one_in = 10},
        {.action = WEIR_REORDER, .one_in = 7},
        {.action = WEIR_DUPLICATE, .one_in = 9},
        {.action = WEIR_CORRUPT, .one_in = 20},
        {.action = WEIR_CUT, .one_in = 30},
        {.action = WEIR_DELAY, .one_in = 15, .delay_ns = 300 * WEIR_MILLISECOND},
    };
    struct lab l;

    (void)state;
    for (size_t i = 0; i <= sizeof rules / sizeof rules[0]; i++) {
        lab_open(&l, 100 + i);
        if (i < sizeof rules / sizeof rules[0])
            assert_non_null(weir_rule(l.w, &rules[i]));
        else
            for (size_t k = 0; k < sizeof rules / sizeof rules[0]; k++)
                assert_non_null(weir_rule(l.w, &rules[k]));
        transfer(&l, (i & 1) != 0, (i & 2) != 0);
        weir_destroy(l.w);
    }
}

/* ---- tap, capture, deliver --------------------------------------------------------------------------------- */

struct tapped {
    unsigned to_host, from_host;
    size_t bytes;
};

static void tap(void *ctx, uint32_t interface, enum weir_way way, const uint8_t *packet, size_t size)
{
    struct tapped *t = ctx;

    assert_int_equal(interface, 1);
    assert_true(packet[0] >> 4 == 4 || packet[0] >> 4 == 6);
    *(way == WEIR_TO_HOST ? &t->to_host : &t->from_host) += 1;
    t->bytes += size;
}

static void a_tap_hears_all(void **state)
{
    struct tapped t = {0};
    unsigned got[4];
    struct lab l;

    (void)state;
    lab_open(&l, 1);
    weir_tap(l.w, tap, &t);
    send_numbers(&l, 0, 3);
    assert_int_equal(weir_send_to(l.b, "[fd00::1]:1000", "x", 1), 1);
    weir_run(l.w, 5 * WEIR_MILLISECOND);
    assert_int_equal(t.from_host, 3);
    assert_int_equal(t.to_host, 1);
    assert_int_equal(t.bytes, 3 * 32 + 49);
    weir_tap(l.w, NULL, NULL);
    send_numbers(&l, 0, 1);
    assert_int_equal(t.from_host, 3);
    weir_run(l.w, 5 * WEIR_MILLISECOND);
    (void)arrived(&l, got, 4);
    weir_destroy(l.w);
}

static void captures_can_be_read(void **state)
{
    char path[] = "/tmp/weir-embed-XXXXXX", command[256], line[256];
    struct capture_error error;
    struct capture_packet p;
    struct capture *c;
    unsigned packets = 0;
    uint64_t began;
    struct lab l;
    FILE *f;

    (void)state;
    close(mkstemp(path));
    lab_open(&l, 1);
    began = weir_now(l.w);
    assert_int_equal(weir_capture(l.w, path), 0);
    transfer(&l, true, false);
    transfer(&l, false, true);
    weir_settle(l.w);
    assert_int_equal(weir_capture(l.w, NULL), 0);
    weir_destroy(l.w);
    assert_int_equal(capture_open(path, &c, &error), 0);
    while (capture_next(c, &p, &error) == 1) {
        packets++;
        assert_true(p.time_ns >= began);
        assert_int_equal(p.way, p.bytes[5] == 1 ? CAPTURE_WAY_IN : CAPTURE_WAY_OUT); /* to whose MAC */
    }
    assert_true(packets > 100);
    assert_int_equal(capture_interface_count(c), 2);
    capture_close(c);
    /* A reader that is not ours finds nothing wrong with it. */
    snprintf(command, sizeof command,
             "tshark -r %s -o tcp.check_checksum:TRUE -o ip.check_checksum:TRUE -Y "
             "'_ws.malformed || tcp.checksum.status == 0 || ip.checksum.status == 0' 2>/dev/null",
             path);
    f = system("command -v tshark >/dev/null") == 0 ? popen(command, "r") : NULL;
    if (f != NULL) {
        if (fgets(line, sizeof line, f) != NULL)
            fail_msg("tshark: %s", line);
        assert_int_equal(pclose(f), 0);
    }
    assert_int_equal(weir_create(&l.w), 0);
    assert_int_equal(weir_capture(l.w, "/no/such/folder/x.pcapng"), -ENOENT);
    assert_non_null(strstr(weir_error(), "weir_capture"));
    weir_destroy(l.w);
    unlink(path);
}

static void anything_may_be_delivered(void **state)
{
    static const uint8_t datagram[] = {0x45, 0,    0, 32, 0, 1,  0,   0,   64,  17,   0x66,
                                       0xca, 10,   0, 0,  2, 10, 0,   0,   1,   0x07, 0xd0,
                                       0x03, 0xe8, 0, 12, 0, 0,  'f', 'o', 'u', 'r'};
    uint8_t junk[300];
    char got[16], from[WEIR_ADDRESS];
    uint32_t x = 12345;
    struct lab l;

    (void)state;
    lab_open(&l, 1);
    assert_int_equal(weir_deliver(l.w, 1, datagram, sizeof datagram), 0);
    assert_int_equal(weir_receive(l.a, got, sizeof got, from), 4); /* now, not in a millisecond */
    assert_memory_equal(got, "four", 4);
    assert_string_equal(from, "10.0.0.2:2000");
    for (unsigned n = 0; n < 3000; n++) {
        size_t size = 1 + n % sizeof junk;

        for (size_t i = 0; i < size; i++)
            junk[i] = (uint8_t)((x = x * 1664525 + 1013904223) >> 24);
        memcpy(junk, datagram, n % 3 == 0 && size > sizeof datagram ? 20 + n % 12 : 0);
        assert_int_equal(weir_deliver(l.w, 1 + n % 2, junk, size), 0);
        if (n % 100 == 0)
            weir_run(l.w, WEIR_MILLISECOND);
    }
    weir_settle(l.w);
    send_numbers(&l, 0, 1); /* still alive */
    assert_true(weir_wait_readable(l.b, WEIR_SECOND));
    weir_destroy(l.w);
}

/* ---- interfaces -------------------------------------------------------------------------------------------- */

static void an_interface_comes(void **state)
{
    const struct weir_interface third = {.index = 7,
                                         .mtu = 1400,
                                         .delay_ns = 20 * WEIR_MILLISECOND,
                                         .addresses = {"192.168.5.1/24", "fd77::1/64"},
                                         .peers = {"192.168.5.9/24", "fd77::9/64"}};
    struct weir_socket *s;
    uint64_t began;
    char got[8];
    struct lab l;

    (void)state;
    lab_open(&l, 1);
    assert_int_equal(weir_interface_add(l.w, &third), 0);
    s = weir_socket(weir_peer(l.w, 7), WEIR_UDP);
    assert_int_equal(weir_bind(s, "192.168.5.9:2000"), 0);
    began = weir_now(l.w);
    assert_int_equal(weir_send_to(l.a, "192.168.5.9:2000", "hello", 5), 5);
    assert_true(weir_wait_readable(s, WEIR_SECOND));
    assert_in_range(weir_now(l.w) - began, 20 * WEIR_MILLISECOND, 21 * WEIR_MILLISECOND);
    assert_int_equal(weir_receive(s, got, sizeof got, NULL), 5);
    assert_int_equal(weir_profile(l.w, 7, 1), 0);
    weir_destroy(l.w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drop),
        cmocka_unit_test(delay_and_duplicate),
        cmocka_unit_test(reorder),
        cmocka_unit_test(corrupt_and_cut),
        cmocka_unit_test(only_some),
        cmocka_unit_test(transfers_over_a_bad_wire),
        cmocka_unit_test(a_tap_hears_all),
        cmocka_unit_test(captures_can_be_read),
        cmocka_unit_test(anything_may_be_delivered),
        cmocka_unit_test(an_interface_comes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
