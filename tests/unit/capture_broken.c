/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader of captures over files that are broken: every way in which each kind can be, what is said of it,
 * and that what came before stays good.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "captures.h"
#include "datapath/capture.h"

enum breakage {
    EMPTY,
    THREE_BYTES,
    TEXT,
    GZIP,
    PCAP_HEADER_CUT,
    PCAP_VERSION,
    PCAP_LINK,
    RECORD_HEADER_CUT,
    RECORD_CUT,
    RECORD_TOO_LONG,
    SECTION_CUT,
    SECTION_MAGIC_BAD,
    SECTION_SHORT,
    SECTION_VERSION,
    SECTION_OTHER_END,
    BLOCK_CUT,
    BLOCK_SHORT,
    BLOCK_UNEVEN,
    BLOCK_OTHER_END,
    BLOCK_HUGE,
    BLOCK_UNKNOWN_CUT,
    INTERFACE_SHORT,
    INTERFACE_RESOLUTION,
    INTERFACE_OPTION,
    PACKET_NO_INTERFACE,
    PACKET_SHORT,
    PACKET_OVER,
    PACKET_TOO_LONG,
    PACKET_OPTION,
    PACKET_OPTION_HEAD,
    SIMPLE_NO_INTERFACE,
    SIMPLE_OVER,
    PROCESS_SHORT,
    PROCESS_OPTION,
    BREAKAGES
};

static const struct {
    unsigned good; /* packets before it */
    const char *text;
} broken[BREAKAGES] = {
    [EMPTY] = {0, "made: packet 1: expected a pcap or pcapng file, found an empty file (byte 0)"},
    [THREE_BYTES] = {0, "made: packet 1: expected a pcap or pcapng file, found a file of 3 bytes (byte 0)"},
    [TEXT] = {0,
              "made: packet 1: expected a pcap or pcapng file, found one that begins 68 65 6c 6c (byte 0)"},
    [GZIP] = {0, "made: packet 1: expected a pcap or pcapng file, found gzip-compressed data (byte 0)"},
    [PCAP_HEADER_CUT] =
        {0, "made: packet 1: expected 24 bytes of a pcap header, found the end of the file after "
            "23 (byte 0)"},
    [PCAP_VERSION] = {0, "made: packet 1: expected pcap version 2.4, found 3.4 (byte 0)"},
    [PCAP_LINK] = {0, "made: packet 1: expected a link type below 65,536, found 0x10001 (byte 0)"},
    [RECORD_HEADER_CUT] = {1,
                           "made: packet 2: expected 16 bytes of a record header, found the end of the file "
                           "after 15 (byte 43)"},
    [RECORD_CUT] =
        {1, "made: packet 2: expected 3 bytes of packet, found the end of the file after 2 (byte 59)"},
    [RECORD_TOO_LONG] = {1,
                         "made: packet 2: expected a captured length of at most 262,144, found 262145 (byte "
                         "43)"},
    [SECTION_CUT] = {0,
                     "made: packet 1: expected 28 bytes of a section header, found the end of the file after "
                     "27 (byte 0)"},
    [SECTION_MAGIC_BAD] = {0, "made: packet 1: expected a byte-order magic, found 0x00000001 (byte 0)"},
    [SECTION_SHORT] = {0,
                       "made: packet 1: expected a section header of 28 bytes or more, found one of 24 (byte "
                       "0)"},
    [SECTION_VERSION] = {0, "made: packet 1: expected pcapng version 1.0, found 2.0 (byte 0)"},
    [SECTION_OTHER_END] =
        {0, "made: packet 1: expected the same length at both ends of a block, found 28 and 32 "
            "(byte 0)"},
    [BLOCK_CUT] = {1,
                   "made: packet 2: expected 12 bytes of a block, found the end of the file after 11 (byte "
                   "84)"},
    [BLOCK_SHORT] = {1,
                     "made: packet 2: expected a block length of 12 or more, a multiple of 4, found 8 (byte "
                     "84)"},
    [BLOCK_UNEVEN] =
        {1, "made: packet 2: expected a block length of 12 or more, a multiple of 4, found 37 (byte "
            "84)"},
    [BLOCK_OTHER_END] = {1,
                         "made: packet 2: expected the same length at both ends of a block, found 36 and 40 "
                         "(byte 84)"},
    [BLOCK_HUGE] = {1, "made: packet 2: expected a block of at most 16 MiB, found one of 16777220 (byte 84)"},
    [BLOCK_UNKNOWN_CUT] = {1,
                           "made: packet 2: expected a whole block, found the end of the file 6 bytes before "
                           "the block's (byte 98)"},
    [INTERFACE_SHORT] =
        {1, "made: packet 2: expected an interface description of 20 bytes or more, found one of "
            "16 (byte 84)"},
    [INTERFACE_RESOLUTION] = {1,
                              "made: packet 2: expected a time resolution within 64 bits, found 0x14 (byte "
                              "84)"},
    [INTERFACE_OPTION] = {1,
                          "made: packet 2: expected options within their block, found one that runs over its "
                          "end (byte 84)"},
    [PACKET_NO_INTERFACE] = {1,
                             "made: packet 2: expected a packet of an interface described before it, found "
                             "interface 1 of 1 (byte 84)"},
    [PACKET_SHORT] = {1, "made: packet 2: expected a packet block of 32 bytes or more, found one of 28 (byte "
                         "84)"},
    [PACKET_OVER] =
        {1, "made: packet 2: expected a packet within its block, found 5 bytes in a block of 36 (byte "
            "84)"},
    [PACKET_TOO_LONG] = {1,
                         "made: packet 2: expected a captured length of at most 262,144, found 262145 (byte "
                         "84)"},
    [PACKET_OPTION] =
        {1, "made: packet 2: expected options within their block, found one that runs over its end "
            "(byte 84)"},
    [PACKET_OPTION_HEAD] = {1,
                            "made: packet 2: expected options within their block, found one that runs over "
                            "its end (byte 84)"},
    [SIMPLE_NO_INTERFACE] = {1,
                             "made: packet 2: expected a packet of an interface described before it, found "
                             "interface 0 of 0 (byte 112)"},
    [SIMPLE_OVER] =
        {1, "made: packet 2: expected a packet within its block, found 5 bytes in a block of 20 (byte "
            "84)"},
    [PROCESS_SHORT] = {1,
                       "made: packet 2: expected a process description of 16 bytes or more, found one of 12 "
                       "(byte 84)"},
    [PROCESS_OPTION] = {1,
                        "made: packet 2: expected options within their block, found one that runs over its "
                        "end (byte 84)"},
};

static void break_pcap(struct made *m, enum breakage b)
{
    made_pcap(m, MADE_MICRO, 65535, b == PCAP_LINK ? 0x10001 : 1);
    if (b == PCAP_VERSION)
        m->bytes[m->big ? 5 : 4] = 3;
    if (b == PCAP_HEADER_CUT)
        m->size--;
    if (b < RECORD_HEADER_CUT)
        return;
    made_record(m, 1, 1, "abc", 3, 3);
    made_record(m, 1, 2, "abc", 3, 3);
    if (b == RECORD_HEADER_CUT)
        m->size -= 4;
    if (b == RECORD_CUT)
        m->size--;
    if (b == RECORD_TOO_LONG)
        made_patch32(m, m->block + 8, 262145);
}

static void break_section(struct made *m, enum breakage b)
{
    if (b == SECTION_CUT)
        m->size--;
    if (b == SECTION_MAGIC_BAD)
        memcpy(m->bytes + 8, "\1\0\0\0", 4);
    if (b == SECTION_SHORT)
        made_patch32(m, 4, 24);
    if (b == SECTION_VERSION)
        m->bytes[m->big ? 13 : 12] = 2;
    if (b == SECTION_OTHER_END)
        made_patch32(m, 24, 32);
}

static void break_block(struct made *m, enum breakage b)
{
    const uint8_t resolution[] = {20};
    struct made o = {.big = m->big};

    switch (b) {
    case BLOCK_UNKNOWN_CUT:
        made_begin(m, 77);
        made_bytes(m, "abcd", 4);
        made_end(m);
        made_patch32(m, m->block + 4, 20);
        m->size -= 2;
        return;
    case BLOCK_HUGE:
        made_begin(m, 77);
        made_end(m);
        made_patch32(m, m->block + 4, 16777220);
        return;
    case INTERFACE_SHORT:
        made_begin(m, 1);
        made32(m, 1);
        made_end(m);
        return;
    case INTERFACE_RESOLUTION:
        made_option(&o, 9, resolution, 1);
        made_interface(m, 1, 0, o.bytes, o.size);
        break;
    case INTERFACE_OPTION:
        made_option(&o, 2, "abcd", 4);
        o.bytes[m->big ? 3 : 2] = 5;
        made_interface(m, 1, 0, o.bytes, o.size);
        break;
    case PACKET_OPTION:
        made_option(&o, 1, "abcd", 4);
        o.bytes[m->big ? 2 : 3] = 0xff;
        made_packet(m, 0, 0, "", 0, 0, o.bytes, o.size);
        break;
    case PROCESS_SHORT:
        made_begin(m, 0x80000001);
        made_end(m);
        break;
    case PROCESS_OPTION:
        made_begin(m, 0x80000001);
        made32(m, 1);
        made_option(m, 2, "abcd", 4);
        m->bytes[m->size - (m->big ? 5 : 6)] = 5;
        made_end(m);
        break;
    case SIMPLE_NO_INTERFACE:
        made_section(m);
        made_simple(m, "abcd", 4, 4);
        break;
    case SIMPLE_OVER:
        made_simple(m, "abcd", 4, 5);
        break;
    default:
        made_packet(m, b == PACKET_NO_INTERFACE, 0, "abcd", 4, 4, NULL, 0);
    }
    made_free(&o);
}

static void break_packet(struct made *m, enum breakage b)
{
    switch (b) {
    case BLOCK_CUT:
        m->size = m->block + 11;
        break;
    case BLOCK_SHORT:
        made_patch32(m, m->block + 4, 8);
        break;
    case BLOCK_UNEVEN:
        made_patch32(m, m->block + 4, 37);
        break;
    case BLOCK_OTHER_END:
        made_patch32(m, m->size - 4, 40);
        break;
    case PACKET_SHORT:
        made_patch32(m, m->block + 4, 28);
        break;
    case PACKET_OVER:
        made_patch32(m, m->block + 20, 5);
        break;
    case PACKET_TOO_LONG:
        made_patch32(m, m->block + 20, 262145);
        break;
    case PACKET_OPTION_HEAD: /* three bytes of an option's head cannot be: blocks are even; its size runs over
                              */
        made_patch32(m, m->block + 20, 0);
        break;
    default:
        break;
    }
}

static void make_broken(struct made *m, enum breakage b)
{
    if (b == THREE_BYTES || b == TEXT)
        made_bytes(m, "hello, world", b == TEXT ? 12 : 3);
    else if (b == GZIP)
        made_bytes(m, "\x1f\x8b\x08\0\0\0\0\0", 8);
    else if (b >= PCAP_HEADER_CUT && b <= RECORD_TOO_LONG)
        break_pcap(m, b);
    else if (b >= SECTION_CUT) {
        made_section(m);
        break_section(m, b);
        if (b <= SECTION_OTHER_END)
            return;
        made_interface(m, 1, 0, NULL, 0);
        made_packet(m, 0, 0, "abc", 3, 3, NULL, 0);
        break_block(m, b);
        break_packet(m, b);
    }
}

static void broken_files_say_where_and_what(void **state)
{
    (void)state;
    for (unsigned big = 0; big < 2; big++)
        for (unsigned b = 0; b < BREAKAGES; b++) {
            struct made m = {.big = big};
            struct capture_error error = {0}, again = {0};
            struct capture_packet p;
            struct capture *c = NULL;
            make_broken(&m, b);
            /* exactly so many bytes: a byte too far is seen */
            uint8_t *exact = malloc(m.size + 1);
            exact = realloc(exact, m.size == 0 ? 1 : m.size);
            if (m.size != 0)
                memcpy(exact, m.bytes, m.size);
            int result = capture_open_memory("made", exact, m.size, &c, &error);
            unsigned good = 0;
            while (result == 0 && (result = capture_next(c, &p, &error)) == 1) {
                good++;
                assert_memory_equal(p.bytes, "abc", 3);
                result = 0;
            }
            if (result != -EINVAL || good != broken[b].good || strcmp(error.text, broken[b].text) != 0)
                fail_msg("broken file %u: %d after %u: %s", b, result, good, error.text);
            if (c != NULL) {
                assert_int_equal(capture_next(c, &p, &again), -EINVAL); /* and stays so */
                assert_string_equal(again.text, error.text);
            }
            capture_close(c);
            made_free(&m);
            free(exact);
        }
}

static void every_cut_is_an_error_or_an_end(void **state)
{
    struct made m = {0}, o = {0};

    (void)state;
    made_option(&o, 1, "comment", 7);
    made_section(&m);
    made_interface(&m, 1, 0, o.bytes, o.size);
    made_packet(&m, 0, 1, "abcdefg", 7, 7, o.bytes, o.size);
    made_simple(&m, "abc", 3, 3);
    made_old_packet(&m, 0, 0, 2, "abcde", 5, 5);
    for (size_t size = 0; size <= m.size; size++) {
        uint8_t *exact = malloc(size == 0 ? 1 : size);
        struct capture_error error;
        struct capture_packet p;
        struct capture *c;
        memcpy(exact, m.bytes, size);
        int result = capture_open_memory("cut", exact, size, &c, &error);
        if (result == 0) {
            while ((result = capture_next(c, &p, &error)) == 1)
                ;
            capture_close(c);
        }
        /* between two blocks the file simply ends */
        static const size_t whole[] = {28, 60, 112, 132, 172};
        bool ends = false;
        for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++)
            ends = ends || size == whole[i];
        if (result != (ends ? 0 : -EINVAL))
            fail_msg("cut at %zu of %zu: %d", size, m.size, result);
        free(exact);
    }
    made_free(&m);
    made_free(&o);
}

static void what_cannot_be_read_is_said(void **state)
{
    struct capture *c;
    struct capture_error error;

    (void)state;
    assert_int_equal(capture_open("/nonexistent/x.pcap", &c, &error), -ENOENT);
    assert_string_equal(error.text, "/nonexistent/x.pcap: No such file or directory");
    assert_int_equal(capture_open("/", &c, &error), -EISDIR);
    assert_null(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_files_say_where_and_what),
        cmocka_unit_test(every_cut_is_an_error_or_an_end),
        cmocka_unit_test(what_cannot_be_read_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
