/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer of captures: what is read again is what was written, packet by packet; what an input said beside
 * its packets; failures. Then all real captures there and back.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "captures.h"
#include "datapath/capture.h"
#include "skip.h"

/* A folder of its own for each test. */
struct place {
    char folder[64], path[128];
};

static void place_make(struct place *p)
{
    strcpy(p->folder, "/tmp/weir-write-XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    snprintf(p->path, sizeof(p->path), "%s/out.pcapng", p->folder);
}

/* How many files are in it. */
static unsigned place_count(const struct place *p)
{
    DIR *d = opendir(p->folder);
    unsigned n = 0;

    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void place_remove(struct place *p)
{
    unlink(p->path);
    assert_int_equal(rmdir(p->folder), 0); /* nothing was left behind */
}

static struct capture *open_made(const struct made *m)
{
    struct capture *c;
    struct capture_error error = {0};

    if (capture_open_memory("made", m->bytes, m->size, &c, &error) != 0)
        fail_msg("not opened: %s", error.text);
    return c;
}

static struct capture *open_path(const char *path)
{
    struct capture *c;
    struct capture_error error = {0};

    if (capture_open(path, &c, &error) != 0)
        fail_msg("not opened: %s", error.text);
    return c;
}

static struct capture_writer *open_writer(const char *path)
{
    struct capture_writer *w;
    struct capture_error error = {0};

    if (capture_writer_open(path, &w, &error) != 0)
        fail_msg("not opened: %s", error.text);
    return w;
}

/* Copies up to its end or break; returns what next() said. */
static int copy(struct capture *c, struct capture_writer *w, const char *comment)
{
    struct capture_packet p;
    struct capture_error error;
    int result;

    while ((result = capture_next(c, &p, &error)) == 1)
        assert_int_equal(capture_write(w, c, &p, comment), 0);
    assert_int_equal(capture_write_interfaces(w, c), 0);
    return result;
}

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void same_interface(const struct capture_interface *a, const struct capture_interface *b)
{
    assert_int_equal(a->link_type, b->link_type);
    assert_int_equal(a->snap_length, b->snap_length);
    assert_int_equal(a->resolution, b->resolution);
    assert_true(a->ticks == b->ticks && a->time_offset == b->time_offset);
    assert_true(same_text(a->name, b->name) && same_text(a->description, b->description));
    assert_int_equal(a->has_mac, b->has_mac);
    assert_memory_equal(a->mac, b->mac, 6);
    assert_int_equal(a->address_count, b->address_count);
    for (size_t i = 0; i < a->address_count; i++)
        assert_memory_equal(&a->addresses[i], &b->addresses[i], sizeof(a->addresses[i]));
}

static void same_packet(const struct capture *ca, const struct capture_packet *a, const struct capture *cb,
                        const struct capture_packet *b, bool all)
{
    assert_true(a->number == b->number && a->captured == b->captured && a->length == b->length);
    if (a->captured != 0)
        assert_memory_equal(a->bytes, b->bytes, a->captured);
    assert_true(a->time_ns == b->time_ns);
    if (a->has_time || a->interface == 0) /* else it was given the time of the packet before it */
        assert_true(a->ticks == b->ticks && a->has_time == b->has_time);
    assert_int_equal(a->way, b->way);
    same_interface(capture_interface(ca, a->interface), capture_interface(cb, b->interface));
    assert_int_equal(a->process == UINT32_MAX, b->process == UINT32_MAX);
    if (a->process != UINT32_MAX) {
        const struct capture_process *pa = capture_process(ca, a->process),
                                     *pb = capture_process(cb, b->process);
        assert_true(pa->pid == pb->pid && same_text(pa->name, pb->name));
    }
    if (!all)
        return;
    assert_int_equal(a->comment_size, b->comment_size);
    if (a->comment != NULL)
        assert_memory_equal(a->comment, b->comment, a->comment_size);
}

/* Reads both to the end of the first; the second must end there soundly. */
static unsigned same_packets(struct capture *a, struct capture *b)
{
    struct capture_packet pa, pb;
    struct capture_error error = {0};
    unsigned n = 0;

    for (; capture_next(a, &pa, &error) == 1; n++) {
        if (capture_next(b, &pb, &error) != 1)
            fail_msg("packet %u is not there: %s", n + 1, error.text);
        same_packet(a, &pa, b, &pb, true);
    }
    if (capture_next(b, &pb, &error) != 0)
        fail_msg("after %u: %s", n, error.text);
    return n;
}

/* Writes what was made, reads it back, compares; the copy is given to the caller, open at its beginning. */
static struct capture *there_and_back(const struct made *m, struct place *place)
{
    place_make(place);
    struct capture *c = open_made(m);
    struct capture_writer *w = open_writer(place->path);
    assert_int_equal(copy(c, w, NULL), 0);
    assert_int_equal(capture_writer_close(w, true), 0);
    capture_close(c);
    struct capture *a = open_made(m), *b = open_path(place->path);
    same_packets(a, b);
    capture_close(a);
    capture_close(b);
    return open_path(place->path);
}

static void finish(struct capture *c, struct place *place, struct made *m)
{
    capture_close(c);
    place_remove(place);
    made_free(m);
}

/* ---- what is kept -------------------------------------------------------------------------------------- */

static void pcap_becomes_pcapng(void **state)
{
    (void)state;
    for (unsigned big = 0; big < 2; big++) {
        static const uint8_t
            expected[] =
                {
                    0x0a, 0x0d, 0x0d, 0x0a, 40,   0,    0,    0,    0x4d, 0x3c, 0x2b, 0x1a, 1,   0,
                    0,    0, /* section
                              */
                    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 4,    0,    4,    0,    'w', 'e',
                    'i',  'r',  0,    0,    0,    0,    40,   0,    0,    0,    1,    0,    0,   0,
                    40,   0,    0,    0,    1,    0,    0,    0,    96,   0,    0,    0, /* interface */
                    9,    0,    1,    0,    9,    0,    0,    0,    13,   0,    1,    0,    4,   0,
                    0,    0,    0,    0,    0,    0,    40,   0,    0,    0,    6,    0,    0,   0,
                    36,   0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,   0xca,
                    0x9a, 0x3b, 3,    0,    0,    0,    60,   0,    0,    0,    'a',  'b',  'c', 0,
                    36,   0,    0,    0, /* packet: 1e9 ns */
                    6,    0,    0,    0,    32,   0,    0,    0,    0,    0,    0,    0,    0,   0,
                    0,    0,    1,    0xca, 0x9a, 0x3b, 0,    0,    0,    0,    0,    0,    0,   0,
                    32,   0,    0,    0,
                };
        struct made m = {.big = big};
        struct place place;
        uint8_t bytes[512];
        made_pcap(&m, MADE_NANO, 96, 0x24000001); /* check sequences of 4 bytes */
        made_record(&m, 1, 0, "abc", 3, 60);
        made_record(&m, 1, 1, "", 0, 0);
        struct capture *c = there_and_back(&m, &place);
        FILE *f = fopen(place.path, "rb");
        assert_non_null(f);
        size_t size = fread(bytes, 1, sizeof(bytes), f);
        fclose(f);
        assert_int_equal(size, sizeof(expected));
        assert_memory_equal(bytes, expected, size);
        finish(c, &place, &m);
    }
}

static void all_that_packets_and_interfaces_say_is_kept(void **state)
{
    (void)state;
    for (unsigned big = 0; big < 2; big++) {
        struct made m = {.big = big}, i = {.big = big}, o = {.big = big};
        struct place place;
        struct capture_packet p;
        struct capture_error error;
        uint8_t resolution = 9;
        made_option(&i, 2, "eth0", 4);
        made_option(&i, 3, "outside", 7);
        made_option(&i, 4, "\x0a\x00\x00\x01\xff\xff\xff\x00", 8);
        made_option(&i, 6, "\x02\x00\x00\x00\x00\x01", 6);
        made_option64(&i, 8, 1000000000);
        made_option(&i, 9, &resolution, 1);
        made_option64(&i, 14, 3600);
        made_option(&o, 1, "seen", 4);
        made_option(&o, 1, "again", 5);
        made_option32(&o, 2, 1); /* inbound */
        made_option64(&o, 5, 77);
        made_option32(&o, 0x8001, 0);
        made_option(&o, 0, "", 0);
        made_section(&m);
        made_interface(&m, 1, 1000, i.bytes, i.size);
        made_begin(&m, 0x80000001);
        made32(&m, 4711);
        made_option(&m, 2, "curl", 4);
        made_end(&m);
        made_packet(&m, 0, 123456789012345678, "abcdef", 6, 6000, o.bytes, o.size);
        struct capture *c = there_and_back(&m, &place);
        assert_int_equal(capture_next(c, &p, &error), 1);
        assert_true(p.way == CAPTURE_WAY_IN && p.length == 6000);
        assert_string_equal(capture_interface(c, 0)->name, "eth0");
        assert_true(capture_interface(c, 0)->time_offset == 3600);
        assert_string_equal(capture_process(c, p.process)->name, "curl");
        made_free(&i);
        made_free(&o);
        finish(c, &place, &m);
    }
}

/* Numbers in options of the other byte order are turned, options that nobody knows are left out; in this
 * machine's order they stay. */
static void options_of_the_other_byte_order(void **state)
{
    (void)state;
    for (unsigned big = 0; big < 2; big++) {
        struct made m = {.big = big}, o = {.big = big}, verdict = {.big = big};
        struct place place;
        struct capture_packet p;
        struct capture_error error;
        made_option32(&o, 2, 0x01020305); /* flags */
        made_option(&o, 3, "\x02hash", 5);
        made_bytes(&verdict, "\x01", 1); /* of a Linux program: a number of 8 bytes */
        made64(&verdict, 0x1112131415161718);
        made_option(&o, 7, verdict.bytes, 9);
        made_option64(&o, 8, 0);
        made_option(&o, 999, "who knows", 9);
        made_section(&m);
        made_interface(&m, 1, 0, NULL, 0);
        made_packet(&m, 0, 1, "a", 1, 1, o.bytes, o.size);
        struct capture *c = there_and_back(&m, &place);
        assert_int_equal(capture_next(c, &p, &error), 1);
        static const uint8_t known[] = {2, 0,    4,    0,    5,    3,    2,    1,    3,    0, 5, 0,
                                        2, 'h',  'a',  's',  'h',  0,    0,    0,    7,    0, 9, 0,
                                        1, 0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11, 0, 0, 0,
                                        8, 0,    8,    0,    0,    0,    0,    0,    0,    0, 0, 0};
        static const uint8_t unknown[] = {0xe7, 3,   9,   0,   'w', 'h', 'o', ' ',
                                          'k',  'n', 'o', 'w', 's', 0,   0,   0};
        assert_memory_equal(p.options, known, sizeof(known));
        if (big)
            assert_int_equal(p.options_size, sizeof(known) + 4);
        else
            assert_memory_equal(p.options + sizeof(known), unknown, sizeof(unknown));
        made_free(&o);
        made_free(&verdict);
        finish(c, &place, &m);
    }
}

static void sections_and_interfaces_are_numbered_through(void **state)
{
    struct made m = {0};
    struct place place;
    struct capture_packet p;
    struct capture_error error;

    (void)state;
    made_section(&m);
    made_interface(&m, 1, 0, NULL, 0); /* no packet of it */
    made_interface(&m, 101, 7, NULL, 0);
    made_packet(&m, 1, 1, "a", 1, 1, NULL, 0);
    m.big = true;
    made_section(&m);
    made_interface(&m, 228, 8, NULL, 0);
    made_packet(&m, 0, 2, "b", 1, 1, NULL, 0);
    struct capture *c = there_and_back(&m, &place);
    assert_int_equal(capture_next(c, &p, &error), 1);
    assert_int_equal(p.interface, 1);
    assert_int_equal(capture_interface_count(c), 2);
    assert_int_equal(capture_next(c, &p, &error), 1);
    assert_int_equal(p.interface, 2);
    assert_int_equal(capture_next(c, &p, &error), 0);
    assert_int_equal(capture_interface_count(c), 3);
    finish(c, &place, &m);
}

static void packets_without_a_time(void **state)
{
    struct made m = {0};
    struct place place;
    struct capture_packet p;
    struct capture_error error;

    (void)state;
    made_section(&m);
    made_interface(&m, 1, 4, NULL, 0);
    made_packet(&m, 0, 1000000, "x", 1, 1, NULL, 0);
    made_simple(&m, "abcd", 4, 60);
    made_simple(&m, "", 0, 0);
    finish(there_and_back(&m, &place), &place, &m); /* they stay without one */

    /* not of the first interface: the time of the packet before */
    uint8_t milli = 3;
    struct made o = {0};
    made_option(&o, 9, &milli, 1);
    made_section(&m);
    made_interface(&m, 1, 0, NULL, 0);
    made_packet(&m, 0, 5000000, "x", 1, 1, NULL, 0);
    made_section(&m);
    made_interface(&m, 101, 3, o.bytes, o.size);
    made_simple(&m, "abc", 3, 60);
    place_make(&place);
    struct capture *c = open_made(&m);
    struct capture_writer *w = open_writer(place.path);
    assert_int_equal(copy(c, w, NULL), 0);
    assert_int_equal(capture_writer_close(w, true), 0);
    capture_close(c);
    c = open_path(place.path);
    assert_int_equal(capture_next(c, &p, &error), 1);
    assert_int_equal(capture_next(c, &p, &error), 1);
    assert_true(p.has_time && p.ticks == 5000 && p.time_ns == 5000000000 && p.captured == 3 &&
                p.length == 60);
    assert_memory_equal(p.bytes, "abc", 3);
    made_free(&o);
    finish(c, &place, &m);
}

static void directions_and_drops_of_older_formats(void **state)
{
    struct made m = {0};
    struct place place;
    struct capture_packet p;
    struct capture_error error;

    (void)state;
    made_pcap(&m, MADE_MODIFIED, 0, 1);
    for (uint8_t type = 0; type < 5; type++)
        made_record_modified(&m, 1, 1, type, "abcde", 5, 5);
    finish(there_and_back(&m, &place), &place, &m);

    made_section(&m);
    made_interface(&m, 1, 0, NULL, 0);
    made_old_packet(&m, 0, 5, 1, "abc", 3, 3);
    struct capture *c = there_and_back(&m, &place);
    assert_int_equal(capture_next(c, &p, &error), 1);
    static const uint8_t drops[] = {4, 0, 8, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    assert_int_equal(p.options_size, sizeof(drops));
    assert_memory_equal(p.options, drops, sizeof(drops));
    finish(c, &place, &m);
}

static void comments_come_before_the_packets_own(void **state)
{
    struct made m = {0}, o = {0};
    struct place place;
    struct capture_packet p;
    struct capture_error error;
    char longest[70000];

    (void)state;
    made_option(&o, 1, "its own", 7);
    made_section(&m);
    made_interface(&m, 1, 0, NULL, 0);
    made_packet(&m, 0, 1, "ab", 2, 2, o.bytes, o.size);
    made_packet(&m, 0, 2, "ab", 2, 2, NULL, 0);
    made_simple(&m, "abcde", 5, 5);
    place_make(&place);
    struct capture *c = open_made(&m);
    struct capture_writer *w = open_writer(place.path);
    assert_int_equal(capture_next(c, &p, &error), 1);
    assert_int_equal(capture_write(w, c, &p, "blocked"), 0);
    assert_int_equal(capture_next(c, &p, &error), 1);
    memset(longest, 'l', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(capture_write(w, c, &p, longest), 0); /* cut at what an option can hold */
    assert_int_equal(capture_next(c, &p, &error), 1);
    assert_int_equal(capture_write(w, c, &p, "no time"), 0);
    assert_int_equal(capture_writer_close(w, true), 0);
    capture_close(c);

    c = open_path(place.path);
    assert_int_equal(capture_next(c, &p, &error), 1);
    assert_int_equal(p.comment_size, 7);
    assert_memory_equal(p.comment, "blocked", 7);
    assert_memory_equal(p.options + 12, "\1\0\7\0its own", 11);
    assert_int_equal(capture_next(c, &p, &error), 1);
    assert_int_equal(p.comment_size, 65535);
    assert_int_equal(capture_next(c, &p, &error), 1);
    assert_true(p.has_time && p.ticks == 2 && p.captured == 5 && p.comment_size == 7);
    assert_int_equal(capture_next(c, &p, &error), 0);
    made_free(&o);
    finish(c, &place, &m);
}

static void large_packets_and_many(void **state)
{
    static uint8_t bytes[300000];
    struct made m = {0}, o = {0};
    struct place place;

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i ^ i >> 8);
    for (unsigned n = 0; n < 5; n++)
        made_option(&o, 1, bytes, 60001); /* more than the writer's buffer with their packet */
    made_section(&m);
    made_interface(&m, 1, 0, NULL, 0);
    made_interface(&m, 231, 0, NULL, 0); /* D-Bus: larger packets */
    for (uint32_t n = 0; n < 3000; n++) {
        uint32_t size = n % 300 == 7 ? 262144 - n % 4 : n * 41 % 1600;
        made_packet(&m, 0, n, bytes + n % 5, size, size, n % 100 == 3 ? o.bytes : NULL,
                    n % 100 == 3 ? o.size : 0);
    }
    made_packet(&m, 1, 3000, bytes, 300000, 300000, NULL, 0);
    struct capture *c = there_and_back(&m, &place);
    made_free(&o);
    finish(c, &place, &m);
}

/* ---- files --------------------------------------------------------------------------------------------- */

static void nothing_written_is_a_sound_file(void **state)
{
    struct made m = {0};
    struct place place;
    struct capture_packet p;
    struct capture_error error;

    (void)state;
    made_pcap(&m, MADE_MICRO, 96, 113);
    struct capture *c = there_and_back(&m, &place);
    assert_int_equal(capture_next(c, &p, &error), 0);
    assert_int_equal(capture_interface(c, 0)->link_type, 113); /* still said */
    finish(c, &place, &m);
}

/* What is written is more than the writer takes for small, and the file keeps no more of the disk than it needs. */
static void room_that_was_reserved_is_given_back(void **state)
{
    static const uint8_t bytes[1000];
    struct made m = {0};
    struct place place;
    struct stat st;

    (void)state;
    made_section(&m);
    made_interface(&m, 1, 0, NULL, 0);
    for (uint32_t n = 0; n < 3000; n++)
        made_packet(&m, 0, n, bytes, sizeof(bytes), sizeof(bytes), NULL, 0);
    struct capture *c = there_and_back(&m, &place);
    assert_int_equal(stat(place.path, &st), 0);
    assert_true(st.st_size > 3000000);
    assert_true((uint64_t)st.st_blocks * 512 <
                (uint64_t)st.st_size + 128 * 1024); /* some for the file system itself */
    finish(c, &place, &m);
}

static void the_name_appears_at_the_end_or_never(void **state)
{
    struct place place;

    (void)state;
    place_make(&place);
    for (unsigned keep = 0; keep < 2; keep++) {
        struct capture_writer *w = open_writer(place.path);
        assert_int_not_equal(access(place.path, F_OK), 0);
        assert_int_equal(place_count(&place), 1);
        assert_int_equal(capture_writer_close(w, keep), 0);
        assert_int_equal(place_count(&place), keep);
        assert_int_equal(access(place.path, F_OK), keep ? 0 : -1);
    }
    /* what is there is replaced; a link to it stays a link */
    char link[160];
    struct stat st;
    snprintf(link, sizeof(link), "%s/link", place.folder);
    assert_int_equal(symlink(place.path, link), 0);
    assert_int_equal(capture_writer_close(open_writer(link), true), 0);
    assert_int_equal(lstat(link, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    unlink(link);
    place_remove(&place);
}

static void places_that_cannot_be_written_are_said(void **state)
{
    struct capture_writer *w;
    struct capture_error error;

    (void)state;
    assert_int_equal(capture_writer_open("/nonexistent/out", &w, &error), -ENOENT);
    assert_string_equal(error.text, "/nonexistent/out: cannot be written: No such file or directory");
    assert_null(w);
    assert_int_equal(capture_writer_open("/tmp", &w, &error), -EISDIR);
    w = open_writer("/dev/full"); /* no regular file: written to directly */
    assert_int_equal(capture_writer_close(w, true), -ENOSPC);
}

/* The disk is full at any place: the file ends with a whole packet. */
static void a_failed_write_leaves_whole_packets(void **state)
{
    struct made m = {0};
    static uint8_t bytes[300000];
    struct rlimit old, low;

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    made_section(&m);
    made_interface(&m, 1, 0, NULL, 0);
    made_interface(&m, 231, 0, NULL, 0);
    for (uint32_t n = 0; n < 900; n++)
        made_packet(&m, n == 500, n, bytes, n == 500 ? 300000 : n, n == 500 ? 300000 : n, NULL, 0);
    for (rlim_t size = 10; size < 900000; size += size < 300 ? 17 : 30011) {
        struct place place;
        struct capture_packet p;
        struct capture_error error;
        int result = 0;
        place_make(&place);
        struct capture *c = open_made(&m);
        struct capture_writer *w = open_writer(place.path);
        low = (struct rlimit){size, old.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
        unsigned wrote = 0;
        while (capture_next(c, &p, &error) == 1 && (result = capture_write(w, c, &p, NULL)) == 0)
            wrote++;
        int closed = capture_writer_close(w, true);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        capture_close(c);
        assert_int_equal(closed, result != 0 ? result : closed);
        if (closed == 0) {
            assert_int_equal(wrote, 900);
            place_remove(&place);
            break;
        }
        assert_int_equal(closed, -EFBIG);
        struct stat st;
        assert_int_equal(stat(place.path, &st), 0);
        assert_true((rlim_t)st.st_size <= size);
        if (st.st_size != 0) {
            c = open_path(place.path);
            unsigned n = 0;
            while ((result = capture_next(c, &p, &error)) == 1)
                assert_true(p.ticks == n++);
            assert_int_equal(result, 0);
            /* no whole packet was lost that fitted */
            assert_true((rlim_t)st.st_size + 300032 > size && n <= wrote + 1);
            if (n != 500)
                assert_true((rlim_t)st.st_size + 32 + 904 > size || st.st_size < 1000);
            capture_close(c);
        }
        place_remove(&place);
    }
    made_free(&m);
}

/* ---- real captures ------------------------------------------------------------------------------------- */

static void corpus_file(const char *path, unsigned *packets, unsigned *broke)
{
    struct place place;

    place_make(&place);
    struct capture *c = open_path(path);
    struct capture_writer *w = open_writer(place.path);
    int result = copy(c, w, NULL);
    assert_int_equal(capture_writer_close(w, true), 0);
    size_t interfaces = capture_interface_count(c);
    uint16_t link = interfaces == 0 ? 0 : capture_interface(c, 0)->link_type;
    capture_close(c);
    *broke += result != 0;
    struct capture *a = open_path(path), *b = open_path(place.path);
    *packets += same_packets(a, b);
    assert_int_equal(capture_interface_count(b), interfaces);
    if (interfaces == 1)
        assert_int_equal(capture_interface(b, 0)->link_type, link);
    capture_close(a);
    capture_close(b);
    place_remove(&place);
}

static void all_real_captures_there_and_back(void **state)
{
    char folder[512], path[1024];
    unsigned files = 0, packets = 0, broke = 0;

    (void)state;
    SHARED_OR_SKIP("data/pcaps", folder);
    DIR *d = opendir(folder);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        const char *dot = strrchr(e->d_name, '.');
        if (e->d_name[0] == '.' || dot == NULL || strcmp(dot, ".tsv") == 0 || strcmp(dot, ".txt") == 0)
            continue;
        snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
        corpus_file(path, &packets, &broke);
        files++;
    }
    closedir(d);
    printf("# %u captures, %u packets, %u broken\n", files, packets, broke);
    assert_true(files >= 863 && packets > 20000);
    assert_int_equal(broke, 1); /* a section of a version that there is not */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pcap_becomes_pcapng),
        cmocka_unit_test(all_that_packets_and_interfaces_say_is_kept),
        cmocka_unit_test(options_of_the_other_byte_order),
        cmocka_unit_test(sections_and_interfaces_are_numbered_through),
        cmocka_unit_test(packets_without_a_time),
        cmocka_unit_test(directions_and_drops_of_older_formats),
        cmocka_unit_test(comments_come_before_the_packets_own),
        cmocka_unit_test(large_packets_and_many),
        cmocka_unit_test(nothing_written_is_a_sound_file),
        cmocka_unit_test(room_that_was_reserved_is_given_back),
        cmocka_unit_test(the_name_appears_at_the_end_or_never),
        cmocka_unit_test(places_that_cannot_be_written_are_said),
        cmocka_unit_test(a_failed_write_leaves_whole_packets),
        cmocka_unit_test(all_real_captures_there_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
