/* SPDX-License-Identifier: Apache-2.0 */
/* See captures.h. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "captures.h"

void made_free(struct made *m)
{
    free(m->bytes);
    *m = (struct made){0};
}

void made_bytes(struct made *m, const void *bytes, size_t size)
{
    if (m->size + size > m->room) {
        m->room = 2 * (m->size + size) + 256;
        m->bytes = realloc(m->bytes, m->room);
        assert_non_null(m->bytes);
    }
    if (size != 0)
        memcpy(m->bytes + m->size, bytes, size);
    m->size += size;
}

static void number(struct made *m, uint64_t v, unsigned width)
{
    uint8_t b[8];

    for (unsigned i = 0; i < width; i++)
        b[m->big ? width - 1 - i : i] = (uint8_t)(v >> 8 * i);
    made_bytes(m, b, width);
}

void made16(struct made *m, uint16_t v)
{
    number(m, v, 2);
}

void made32(struct made *m, uint32_t v)
{
    number(m, v, 4);
}

void made64(struct made *m, uint64_t v)
{
    number(m, v, 8);
}

void made_pad(struct made *m)
{
    made_bytes(m, "\0\0\0", (4 - m->size % 4) % 4);
}

void made_patch32(struct made *m, size_t at, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        m->bytes[at + (m->big ? 3 - i : i)] = (uint8_t)(v >> 8 * i);
}

/* ---- pcap ---------------------------------------------------------------------------------------------- */

void made_pcap(struct made *m, uint32_t magic, uint32_t snap_length, uint32_t link)
{
    made32(m, magic);
    made16(m, 2);
    made16(m, 4);
    made32(m, 0);
    made32(m, 0);
    made32(m, snap_length);
    made32(m, link);
}

void made_record(struct made *m, uint32_t seconds, uint32_t fraction, const void *bytes, uint32_t captured,
                 uint32_t length)
{
    m->block = m->size;
    made32(m, seconds);
    made32(m, fraction);
    made32(m, captured);
    made32(m, length);
    made_bytes(m, bytes, captured);
}

void made_record_modified(struct made *m, uint32_t seconds, uint32_t fraction, uint8_t packet_type,
                          const void *bytes, uint32_t captured, uint32_t length)
{
    made_record(m, seconds, fraction, "", 0, length);
    made_patch32(m, m->size - 8, captured);
    made32(m, 7);
    made16(m, 0x0800);
    made_bytes(m, &packet_type, 1);
    made_bytes(m, "", 1);
    made_bytes(m, bytes, captured);
}

/* ---- pcapng -------------------------------------------------------------------------------------------- */

void made_begin(struct made *m, uint32_t type)
{
    m->block = m->size;
    made32(m, type);
    made32(m, 0);
}

void made_end(struct made *m)
{
    made_pad(m);
    made32(m, (uint32_t)(m->size - m->block + 4));
    made_patch32(m, m->block + 4, (uint32_t)(m->size - m->block));
}

void made_option(struct made *m, uint16_t code, const void *value, uint16_t size)
{
    made16(m, code);
    made16(m, size);
    made_bytes(m, value, size);
    made_pad(m);
}

void made_option32(struct made *m, uint16_t code, uint32_t value)
{
    made16(m, code);
    made16(m, 4);
    made32(m, value);
}

void made_option64(struct made *m, uint16_t code, uint64_t value)
{
    made16(m, code);
    made16(m, 8);
    made64(m, value);
}

void made_section(struct made *m)
{
    made_begin(m, 0x0a0d0d0a);
    made32(m, 0x1a2b3c4d);
    made16(m, 1);
    made16(m, 0);
    made64(m, UINT64_MAX);
    made_end(m);
}

void made_interface(struct made *m, uint16_t link, uint32_t snap_length, const void *options, size_t size)
{
    made_begin(m, 1);
    made16(m, link);
    made16(m, 0);
    made32(m, snap_length);
    made_bytes(m, options, size);
    made_end(m);
}

void made_packet(struct made *m, uint32_t interface, uint64_t ticks, const void *bytes, uint32_t captured,
                 uint32_t length, const void *options, size_t size)
{
    made_begin(m, 6);
    made32(m, interface);
    made32(m, (uint32_t)(ticks >> 32));
    made32(m, (uint32_t)ticks);
    made32(m, captured);
    made32(m, length);
    made_bytes(m, bytes, captured);
    made_pad(m);
    made_bytes(m, options, size);
    made_end(m);
}

void made_simple(struct made *m, const void *bytes, uint32_t captured, uint32_t length)
{
    made_begin(m, 3);
    made32(m, length);
    made_bytes(m, bytes, captured);
    made_end(m);
}

void made_old_packet(struct made *m, uint16_t interface, uint16_t drops, uint64_t ticks, const void *bytes,
                     uint32_t captured, uint32_t length)
{
    made_begin(m, 2);
    made16(m, interface);
    made16(m, drops);
    made32(m, (uint32_t)(ticks >> 32));
    made32(m, (uint32_t)ticks);
    made32(m, captured);
    made32(m, length);
    made_bytes(m, bytes, captured);
    made_end(m);
}

/* ---- files --------------------------------------------------------------------------------------------- */

static void write_all(int fd, const uint8_t *bytes, size_t size, size_t piece)
{
    while (size != 0) {
        ssize_t n = write(fd, bytes, piece != 0 && piece < size ? piece : size);
        if (n <= 0)
            return; /* the reader has gone */
        bytes += n;
        size -= (size_t)n;
    }
}

const char *made_file(const void *bytes, size_t size, char path[64])
{
    strcpy(path, "/tmp/weir-capture-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    write_all(fd, bytes, size, 0);
    assert_int_equal(close(fd), 0);
    return path;
}

const char *made_pipe(const void *bytes, size_t size, size_t piece, char path[64], int *fd, int *child)
{
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    *child = fork();
    assert_true(*child >= 0);
    if (*child == 0) {
        close(ends[0]);
        write_all(ends[1], bytes, size, piece);
        _exit(0);
    }
    close(ends[1]);
    *fd = ends[0];
    snprintf(path, 64, "/dev/fd/%d", *fd);
    return path;
}

void made_pipe_close(int fd, int child)
{
    int status;

    close(fd);
    assert_int_equal(waitpid(child, &status, 0), child);
}
