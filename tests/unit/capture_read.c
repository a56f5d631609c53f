/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader of captures over small files made by hand: all kinds, both byte orders, from memory, from a file
 * and from a pipe. Broken ones are in capture_broken.c.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "captures.h"
#include "datapath/capture.h"

static struct capture *open_made(const struct made *m)
{
    struct capture *c;
    struct capture_error error = {0};

    if (capture_open_memory("made", m->bytes, m->size, &c, &error) != 0)
        fail_msg("not opened: %s", error.text);
    return c;
}

static void next(struct capture *c, struct capture_packet *p)
{
    struct capture_error error = {0};

    if (capture_next(c, p, &error) != 1)
        fail_msg("no packet: %s", error.text);
}

static void at_end(struct capture *c)
{
    struct capture_error error = {0};
    struct capture_packet p;

    assert_int_equal(capture_next(c, &p, &error), 0);
    assert_int_equal(capture_next(c, &p, &error), 0);
    capture_close(c);
}

/* ---- pcap ---------------------------------------------------------------------------------------------- */

static void pcap_in_both_orders_and_resolutions(void **state)
{
    static const uint32_t magics[] = {MADE_MICRO, MADE_NANO};

    (void)state;
    for (unsigned big = 0; big < 2; big++)
        for (unsigned k = 0; k < 2; k++) {
            struct made m = {.big = big};
            struct capture_packet p;
            made_pcap(&m, magics[k], 96, 1);
            made_record(&m, 1600000000, 123456, "hello", 5, 1500);
            made_record(&m, 1600000001, 999999, "", 0, 60);
            made_record(&m, 0xffffffff, 5, "abc", 3, 3);
            struct capture *c = open_made(&m);
            assert_int_equal(capture_interface_count(c), 1);
            const struct capture_interface *i = capture_interface(c, 0);
            assert_int_equal(i->link_type, 1);
            assert_int_equal(i->snap_length, 96);
            assert_int_equal(i->resolution, k == 0 ? 6 : 9);
            assert_true(i->ticks == (k == 0 ? 1000000 : 1000000000));
            assert_null(capture_interface(c, 1));
            next(c, &p);
            assert_true(p.number == 1 && p.interface == 0 && p.has_time && p.captured == 5 &&
                        p.length == 1500);
            assert_memory_equal(p.bytes, "hello", 5);
            assert_true(p.ticks == 1600000000 * i->ticks + 123456);
            assert_true(p.time_ns == 1600000000000000000ull + (k == 0 ? 123456000 : 123456));
            assert_true(p.process == UINT32_MAX && p.way == CAPTURE_WAY_UNKNOWN && p.comment == NULL);
            next(c, &p);
            assert_true(p.number == 2 && p.captured == 0 && p.length == 60);
            next(c, &p);
            assert_true(p.number == 3 && p.time_ns == 4294967295000000000ull + (k == 0 ? 5000 : 5));
            at_end(c);
            made_free(&m);
        }
}

static void modified_pcap_tells_directions(void **state)
{
    struct made m = {.big = true};
    struct capture_packet p;

    (void)state;
    made_pcap(&m, MADE_MODIFIED, 65535, 1);
    for (uint8_t type = 0; type < 6; type++)
        made_record_modified(&m, 1, type, type, "abcdefgh", 8, 8);
    struct capture *c = open_made(&m);
    for (unsigned type = 0; type < 6; type++) {
        next(c, &p);
        assert_memory_equal(p.bytes, "abcdefgh", 8);
        assert_int_equal(p.way, type < 4    ? CAPTURE_WAY_IN
                                : type == 4 ? CAPTURE_WAY_OUT
                                            : CAPTURE_WAY_UNKNOWN);
    }
    at_end(c);
    made_free(&m);
}

static void old_pcap_versions_have_their_lengths_swapped(void **state)
{
    (void)state;
    for (unsigned minor = 2; minor <= 3; minor++) {
        struct made m = {0};
        struct capture_packet p;
        made_pcap(&m, MADE_MICRO, 96, 1);
        m.bytes[6] = (uint8_t)minor;
        made_record(&m, 1, 0, "abc", 3, 100);
        made_patch32(&m, m.block + 8, 100);
        made_patch32(&m, m.block + 12, 3);
        struct capture *c = open_made(&m);
        next(c, &p);
        assert_true(p.captured == 3 && p.length == 100);
        at_end(c);
        made_free(&m);
    }
}

/* ---- pcapng -------------------------------------------------------------------------------------------- */

static void interfaces_with_all_that_they_say(void **state)
{
    (void)state;
    for (unsigned big = 0; big < 2; big++) {
        struct made m = {.big = big}, o = {.big = big};
        struct capture_packet p;
        made_option(&o, 2, "eth0", 4);
        made_option(&o, 3, "the first", 9);
        made_option(&o, 4, "\x0a\x00\x00\x01\xff\xff\xff\x00", 8);
        made_option(&o, 4, "\x0a\x00\x01\x01\xff\x00\xff\x00", 8); /* no prefix */
        made_option(&o, 5, "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\1\x40", 17);
        made_option(&o, 6, "\x02\x00\x00\x00\x00\x01", 6);
        made_option(&o, 9, "\x09", 1);
        made_option(&o, 4000, "unknown", 7);
        made_option64(&o, 14, 10);
        made_option(&o, 0, "", 0);
        made_bytes(&o, "garbage!", 8); /* behind the end: not looked at */
        made_section(&m);
        made_interface(&m, 101, 0, o.bytes, o.size);
        made_packet(&m, 0, 5000000001, "x", 1, 1, NULL, 0);
        struct capture *c = open_made(&m);
        assert_int_equal(capture_interface_count(c), 0);
        next(c, &p);
        const struct capture_interface *i = capture_interface(c, 0);
        assert_string_equal(i->name, "eth0");
        assert_string_equal(i->description, "the first");
        assert_int_equal(i->link_type, 101);
        assert_int_equal(i->address_count, 3);
        assert_true(i->addresses[0].version == 4 && i->addresses[0].address.v4 == 0x0a000001);
        assert_int_equal(i->addresses[0].bits, 24);
        assert_int_equal(i->addresses[1].bits, 0);
        assert_true(i->addresses[2].version == 6 && i->addresses[2].bits == 64);
        assert_int_equal(i->addresses[2].address.v6[15], 1);
        assert_true(i->has_mac && i->mac[0] == 2 && i->mac[5] == 1);
        assert_true(i->resolution == 9 && i->time_offset == 10);
        assert_true(p.ticks == 5000000001 && p.time_ns == 15000000001);
        at_end(c);
        made_free(&m);
        made_free(&o);
    }
}

static void resolutions(void **state)
{
    static const struct {
        uint8_t resolution;
        int64_t offset;
        uint64_t ticks, ns;
    } rows[] = {
        {0, 0, 7, 7000000000},
        {3, 0, 7001, 7001000000},
        {9, 0, 7, 7},
        {12, 0, 7999, 7},
        {19, 0, 70000000000, 7},
        {0x80, 0, 7, 7000000000},
        {0x80 | 20, 0, 3 << 19, 1500000000},
        {0x80 | 32, 0, 1ull << 31, 500000000},
        {0x80 | 63, 0, 1ull << 62, 500000000},
        {6, 2, 5, 2000005000},
        {6, -2, 3000000, 1000000000},
        {6, -9, 3000000, 0},                    /* before 1970: then */
        {6, INT64_MAX, UINT64_MAX, UINT64_MAX}, /* beyond: the last there is */
        {0, 0, UINT64_MAX, UINT64_MAX},
        {6, INT64_MIN, 0, 0},
    };

    (void)state;
    for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
        struct made m = {0}, o = {0};
        struct capture_packet p;
        made_option(&o, 9, &rows[k].resolution, 1);
        made_option64(&o, 14, (uint64_t)rows[k].offset);
        made_section(&m);
        made_interface(&m, 1, 0, o.bytes, o.size);
        made_packet(&m, 0, rows[k].ticks, "", 0, 0, NULL, 0);
        struct capture *c = open_made(&m);
        next(c, &p);
        if (p.time_ns != rows[k].ns || p.ticks != rows[k].ticks)
            fail_msg("row %zu: %llu ns", k, (unsigned long long)p.time_ns);
        at_end(c);
        made_free(&m);
        made_free(&o);
    }
}

static void packets_of_all_kinds_and_sections(void **state)
{
    struct made m = {0}, o = {0};
    struct capture_packet p;

    (void)state;
    made_option(&o, 1, "first", 5);
    made_option(&o, 1, "second", 6);
    made_option32(&o, 2, 2); /* outbound */
    made_option(&o, 0, "", 0);
    made_section(&m);
    made_begin(&m, 0x0bad); /* unknown blocks are passed over */
    made_bytes(&m, "whatever", 8);
    made_end(&m);
    made_interface(&m, 1, 4, NULL, 0);
    made_interface(&m, 101, 0, NULL, 0);
    made_packet(&m, 1, 1000000, "abcde", 5, 6, o.bytes, o.size);
    made_old_packet(&m, 0, 3, 2000000, "abc", 3, 9);
    made_old_packet(&m, 0, 0xffff, 3000000, "abcd", 4, 4);
    made_simple(&m, "abcd", 4, 100); /* cut by the snap length */
    made_simple(&m, "abc", 3, 3);
    m.big = true;
    made_section(&m);
    made_interface(&m, 228, 0, NULL, 0);
    made_packet(&m, 0, 4000000, "z", 1, 1, NULL, 0);

    struct capture *c = open_made(&m);
    next(c, &p);
    assert_true(p.interface == 1 && p.captured == 5 && p.length == 6 && p.way == CAPTURE_WAY_OUT);
    assert_int_equal(p.comment_size, 5);
    assert_memory_equal(p.comment, "first", 5);
    next(c, &p);
    assert_true(p.interface == 0 && p.drops == 3 && p.time_ns == 2000000000 && p.length == 9);
    next(c, &p);
    assert_true(p.drops == 0 && p.captured == 4);
    next(c, &p);
    assert_true(!p.has_time && p.time_ns == 3000000000 && p.captured == 4 && p.length == 100);
    next(c, &p);
    assert_true(!p.has_time && p.captured == 3 && p.number == 5);
    next(c, &p);
    assert_true(p.interface == 2 && p.time_ns == 4000000000 && p.number == 6);
    assert_int_equal(capture_interface(c, 2)->link_type, 228);
    at_end(c);
    made_free(&m);
    made_free(&o);
}

static void processes_of_both_kinds(void **state)
{
    (void)state;
    for (unsigned big = 0; big < 2; big++) {
        struct made m = {.big = big}, darwin = {.big = big}, pid = {.big = big};
        struct capture_packet p;
        made_option32(&darwin, 0x8001, 1);
        made_option32(&pid, 8, 4711);
        pid.bytes[3 - !big] = 8; /* 8 bytes: process and thread */
        made32(&pid, 1);
        made_section(&m);
        made_interface(&m, 1, 0, NULL, 0);
        for (uint32_t n = 0; n < 2; n++) {
            made_begin(&m, 0x80000001);
            made32(&m, 100 + n);
            made_option(&m, 2, n == 0 ? "one" : "two", 3);
            made_end(&m);
        }
        made_packet(&m, 0, 0, "", 0, 0, darwin.bytes, darwin.size);
        made_packet(&m, 0, 0, "", 0, 0, pid.bytes, pid.size);
        made_packet(&m, 0, 0, "", 0, 0, pid.bytes, pid.size);
        made_section(&m); /* indexes begin anew */
        made_interface(&m, 1, 0, NULL, 0);
        made_packet(&m, 0, 0, "", 0, 0, darwin.bytes, darwin.size);

        struct capture *c = open_made(&m);
        next(c, &p);
        assert_true(capture_process(c, p.process)->pid == 101);
        assert_string_equal(capture_process(c, p.process)->name, "two");
        next(c, &p);
        uint32_t first = p.process;
        assert_true(capture_process(c, first)->pid == 4711 && capture_process(c, first)->name == NULL);
        next(c, &p);
        assert_int_equal(p.process, first);
        next(c, &p);
        assert_true(p.process == UINT32_MAX && capture_process(c, p.process) == NULL);
        at_end(c);
        made_free(&m);
        made_free(&darwin);
        made_free(&pid);
    }
}

/* ---- files and pipes ----------------------------------------------------------------------------------- */

#define MANY 5000

/* Packets of all sizes; some larger than a pipe's chunk would hold together. */
static void make_many(struct made *m)
{
    static uint8_t bytes[262144];

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 7);
    made_section(m);
    made_interface(m, 1, 0, NULL, 0);
    for (uint32_t n = 0; n < MANY; n++) {
        uint32_t size = n % 1000 == 999 ? 262144 : n * 37 % 1500;
        bytes[0] = (uint8_t)n;
        made_packet(m, 0, n, bytes, size, size, NULL, 0);
    }
    made_begin(m, 4711); /* a large block that is not read */
    made_bytes(m, bytes, sizeof(bytes));
    made_end(m);
    made_packet(m, 0, MANY, "last", 4, 4, NULL, 0);
}

/* Reads all, looking at each packet again when the window is over. */
static void read_many(struct capture *c)
{
    static struct capture_packet window[CAPTURE_WINDOW];
    struct capture_error error;
    uint64_t n = 0;

    for (;; n++) {
        struct capture_packet *p = &window[n % CAPTURE_WINDOW];
        if (n >= CAPTURE_WINDOW) { /* the oldest: is it still there? */
            assert_true(p->number == n - CAPTURE_WINDOW + 1);
            if (p->captured > 1) {
                assert_int_equal(p->bytes[0], (uint8_t)p->ticks);
                assert_int_equal(p->bytes[p->captured - 1], (uint8_t)((p->captured - 1) * 7));
            }
        }
        int result = capture_next(c, p, &error);
        if (result == 0)
            break;
        if (result != 1)
            fail_msg("%s", error.text);
        assert_true(p->ticks == n);
    }
    assert_int_equal(n, MANY + 1);
}

static void files_and_pipes_are_the_same(void **state)
{
    static const size_t pieces[] = {0, 1 << 20, 4097, 61};
    struct made m = {0};
    char path[64];
    struct capture *c;
    struct capture_error error;
    uint64_t done, all;
    int fd, child;

    (void)state;
    make_many(&m);
    assert_int_equal(capture_open(made_file(m.bytes, m.size, path), &c, &error), 0);
    capture_progress(c, &done, &all);
    assert_true(all == m.size && done < all);
    read_many(c);
    capture_progress(c, &done, &all);
    assert_true(done == all);
    capture_close(c);
    unlink(path);
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        made_pipe(m.bytes, m.size, pieces[i], path, &fd, &child);
        assert_int_equal(capture_open(path, &c, &error), 0);
        read_many(c);
        capture_progress(c, &done, &all);
        assert_true(done == 0 && all == 0);
        capture_close(c);
        made_pipe_close(fd, child);
    }
    made_free(&m);
}

static void a_pipe_that_ends_early_says_so(void **state)
{
    struct made m = {0};
    char path[64], expected[256];
    struct capture *c;
    struct capture_packet p;
    struct capture_error error;
    int fd, child;

    (void)state;
    made_pcap(&m, MADE_MICRO, 0, 1);
    made_record(&m, 1, 1, "abcdef", 6, 6);
    made_pipe(m.bytes, m.size - 2, 3, path, &fd, &child);
    assert_int_equal(capture_open(path, &c, &error), 0);
    assert_int_equal(capture_next(c, &p, &error), -EINVAL);
    snprintf(expected, sizeof(expected),
             "%s: packet 1: expected 6 bytes of packet, found the end of the file after 4 (byte 40)", path);
    assert_string_equal(error.text, expected);
    capture_close(c);
    made_pipe_close(fd, child);
    made_free(&m);
}

static void a_long_path_leaves_room_for_the_message(void **state)
{
    char path[400];
    struct capture *c;
    struct capture_error error;

    (void)state;
    memset(path, 'x', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(capture_open_memory(path, (const uint8_t *)"hello", 5, &c, &error), -EINVAL);
    assert_non_null(
        strstr(error.text, "xxx: packet 1: expected a pcap or pcapng file, found one that begins 68"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pcap_in_both_orders_and_resolutions),
        cmocka_unit_test(modified_pcap_tells_directions),
        cmocka_unit_test(old_pcap_versions_have_their_lengths_swapped),
        cmocka_unit_test(interfaces_with_all_that_they_say),
        cmocka_unit_test(resolutions),
        cmocka_unit_test(packets_of_all_kinds_and_sections),
        cmocka_unit_test(processes_of_both_kinds),
        cmocka_unit_test(files_and_pipes_are_the_same),
        cmocka_unit_test(a_pipe_that_ends_early_says_so),
        cmocka_unit_test(a_long_path_leaves_room_for_the_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
