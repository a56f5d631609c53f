/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer: one pcapng section in this machine's byte order.
 *
 *   buffer:  | tail of the block before | block | block | block ...       one write of FLUSH bytes at a time,
 *            0                          head                     used     what is over moves to the front
 *
 * What is written: interfaces before their first packet, with all their options; packets with their options;
 * the process blocks that they refer to, numbered anew. What was around them (names, statistics, secrets) is
 * not. When a write fails the file is cut after its last whole block, and that is what close() leaves under
 * the name. A name that is no regular file (a device, a pipe) is written to directly. There is no fsync().
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "capture_inside.h"

#define FLUSH      ((size_t)256 << 10)
#define BLOCK_ROOM ((size_t)256 << 10) /* larger blocks go past the buffer */
#define HEAD       28                  /* of an enhanced packet block */

/* Numbers of the input's processes in the output. */
struct map {
    uint32_t *of; /* CAPTURE_NONE: not yet there */
    size_t size;
    uint32_t used;
};

struct capture_writer {
    char *path, *temporary; /* temporary NULL: written to directly */
    int fd;
    int failed;
    struct reserve reserve;
    uint64_t base; /* of buffer[0] in the file */
    size_t used, head;
    uint64_t head_start; /* of the block that ends at head, in the file */
    uint64_t tail_start; /* of the last block */
    uint32_t interfaces; /* so many are described; their numbers are the input's, counted through */
    struct map processes;
    uint8_t buffer[FLUSH + BLOCK_ROOM];
};

/* ---- bytes --------------------------------------------------------------------------------------------- */

static size_t padded(size_t size)
{
    return (size + 3) & ~(size_t)3;
}

/* Writes all of it; *done: how much went. */
static int write_all(int fd, struct iovec *v, int count, size_t *done)
{
    *done = 0;
    while (count > 0) {
        ssize_t n = writev(fd, v, count);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        *done += (size_t)n;
        for (; count > 0 && (size_t)n >= v->iov_len; v++, count--)
            n -= (ssize_t)v->iov_len;
        if (count > 0) {
            v->iov_base = (uint8_t *)v->iov_base + n;
            v->iov_len -= (size_t)n;
        }
    }
    return 0;
}

/* A write of the buffer stopped after `done` bytes: the file ends after the last whole block in it. */
static int cut(struct capture_writer *w, size_t done, int failed)
{
    uint64_t end = w->head_start;

    if (done >= w->head) {
        size_t at = w->head;
        while (at + 8 <= done && at + get32(w->buffer + at + 4, false) <= done)
            at += get32(w->buffer + at + 4, false);
        end = w->base + at;
    }
    if (w->temporary != NULL && ftruncate(w->fd, (off_t)end) != 0)
        failed = -errno;
    w->used = 0;
    w->failed = failed;
    return failed;
}

/* Writes the first `size` bytes of the buffer, or all. */
static int flush(struct capture_writer *w, size_t size)
{
    struct iovec v = {w->buffer, size};
    size_t done;

    if (w->temporary != NULL)
        reserve_for(&w->reserve, w->fd, w->base, size);
    int result = write_all(w->fd, &v, 1, &done);

    if (result != 0)
        return cut(w, done, result);
    memmove(w->buffer, w->buffer + size, w->used - size);
    w->base += size;
    w->used -= size;
    w->head = w->used;
    w->head_start = w->used == 0 ? w->base : w->tail_start;
    return 0;
}

/* Room for a block of at most `size` <= BLOCK_ROOM bytes. */
static uint8_t *block_room(struct capture_writer *w)
{
    w->tail_start = w->base + w->used;
    return w->buffer + w->used;
}

/* A block of `size` bytes was put there. */
static int block_done(struct capture_writer *w, size_t size)
{
    w->used += size;
    return w->used < FLUSH ? 0 : flush(w, FLUSH);
}

/* Type and both lengths of a block. */
static void block_frame(uint8_t *b, uint32_t type, size_t size)
{
    put32(b, type);
    put32(b + 4, (uint32_t)size);
    put32(b + size - 4, (uint32_t)size);
}

/* ---- interfaces, processes ----------------------------------------------------------------------------- */

static int map_room(struct map *m, uint32_t index)
{
    if (index < m->size)
        return 0;
    size_t size = 2 * ((size_t)index + 2);
    uint32_t *of = realloc(m->of, size * sizeof(*of));
    if (of == NULL)
        return -ENOMEM;
    memset(of + m->size, 0xff, (size - m->size) * sizeof(*of));
    m->of = of;
    m->size = size;
    return 0;
}

/* A block that is not on the packet path: in memory of its own, then as the others. */
static int write_apart(struct capture_writer *w, const uint8_t *block, size_t size)
{
    size_t done;

    if (size <= BLOCK_ROOM) {
        memcpy(block_room(w), block, size);
        return block_done(w, size);
    }
    if (w->used != 0 && flush(w, w->used) != 0)
        return w->failed;
    struct iovec v = {(void *)(uintptr_t)block, size};
    int result = write_all(w->fd, &v, 1, &done);
    if (result != 0)
        return cut(w, 0, result);
    w->base += size;
    w->head_start = w->base;
    return 0;
}

/* Copies all options of a block, an end behind them if there are any. */
static uint8_t *copy_all(uint8_t *out, enum option_kind kind, const uint8_t *options, uint32_t size,
                         bool swapped)
{
    struct option_walk walk = option_walk(options, size, swapped);
    struct option o;

    while (option_next(&walk, &o) > 0)
        out = option_copy(out, kind, &o, swapped);
    return out;
}

static int describe_interface(struct capture_writer *w, const struct interface *i)
{
    size_t room = 16 + i->options_size + 2 * option_room(1) + 8;
    uint8_t *block = malloc(room);

    if (block == NULL)
        return w->failed = -ENOMEM;
    put16(block + 8, i->is.link_type);
    put16(block + 10, 0);
    put32(block + 12, i->is.snap_length);
    uint8_t *options = block + 16, *out = options;
    if (i->options != NULL) {
        out = copy_all(out, OPTIONS_OF_INTERFACE, i->options, i->options_size, i->swapped);
    } else { /* pcap: what its header said */
        if (i->is.resolution != 6)
            out = option_put(out, OPTION_IF_RESOLUTION, &i->is.resolution, 1);
        if (i->fcs_length != 0)
            out = option_put(out, OPTION_IF_FCS_LENGTH, &i->fcs_length, 1);
    }
    if (out != options)
        out = option_put(out, OPTION_END, NULL, 0);
    size_t size = (size_t)(out - block) + 4;
    block_frame(block, BLOCK_INTERFACE, size);
    int result = write_apart(w, block, size);
    free(block);
    return result;
}

static int describe_process(struct capture_writer *w, const struct process *p)
{
    uint8_t *block = malloc((size_t)p->block_size + 16);

    if (block == NULL)
        return w->failed = -ENOMEM;
    put32(block + 8, (uint32_t)p->is.pid);
    uint8_t *options = block + 12,
            *out = copy_all(options, OPTIONS_OF_PROCESS, p->block + 4, p->block_size - 4, p->swapped);
    if (out != options)
        out = option_put(out, OPTION_END, NULL, 0);
    size_t size = (size_t)(out - block) + 4;
    block_frame(block, BLOCK_DARWIN_PROCESS, size);
    int result = write_apart(w, block, size);
    free(block);
    return result;
}

/* All up to this one, in the input's order: a capture of one section keeps its numbers. */
static int need_interface(struct capture_writer *w, const struct capture *c, uint32_t index)
{
    while (w->failed == 0 && w->interfaces <= index)
        if (describe_interface(w, c->interfaces[w->interfaces]) == 0)
            w->interfaces++;
    return w->failed;
}

/* The process of an option, numbered in its section, must be there before its packet. */
static int need_process(struct capture_writer *w, const struct capture *c, uint32_t index)
{
    if (index >= c->described.count)
        return 0;
    if (map_room(&w->processes, index) != 0)
        return w->failed = -ENOMEM;
    if (w->processes.of[index] == CAPTURE_NONE && describe_process(w, &c->described.list[index]) == 0)
        w->processes.of[index] = w->processes.used++;
    return w->failed;
}

int capture_write_interfaces(struct capture_writer *w, const struct capture *c)
{
    return c->interface_count == 0 ? w->failed : need_interface(w, c, (uint32_t)c->interface_count - 1);
}

/* ---- packets ------------------------------------------------------------------------------------------- */

static bool is_process(const struct option *o)
{
    return (o->code == OPTION_PACKET_DARWIN_FIRST || o->code == OPTION_PACKET_DARWIN_EFFECTIVE) &&
           o->size == 4;
}

/* Packets with options: not the common case. `out` has room for what the packet had and for what comes to
 * it. */
static uint8_t *put_options(struct capture_writer *w, const struct interface *i,
                            const struct capture_packet *p, const char *comment, uint8_t *out)
{
    const uint8_t *none = out;
    struct option_walk walk = option_walk(p->options, p->options_size, i->swapped);
    struct option o;

    if (comment != NULL)
        out = option_put(out, OPTION_COMMENT, comment, strnlen(comment, UINT16_MAX));
    if (p->flags != 0)
        out = option_put(out, OPTION_PACKET_FLAGS, &p->flags, 4);
    if (p->drops != 0) {
        uint64_t drops = p->drops;
        out = option_put(out, OPTION_PACKET_DROPS, &drops, 8);
    }
    while (p->options != NULL && option_next(&walk, &o) > 0) {
        if (is_process(&o)) {
            uint32_t index = i->first_process + get32(o.value, i->swapped);
            if (index < w->processes.size && w->processes.of[index] != CAPTURE_NONE)
                out = option_put(out, o.code, &w->processes.of[index], 4);
        } else {
            out = option_copy(out, OPTIONS_OF_PACKET, &o, i->swapped);
        }
    }
    return out == none ? out : option_put(out, OPTION_END, NULL, 0);
}

static int need_processes(struct capture_writer *w, const struct capture *c, const struct interface *i,
                          const struct capture_packet *p)
{
    struct option_walk walk = option_walk(p->options, p->options_size, i->swapped);
    struct option o;
    int result = 0;

    while (result == 0 && option_next(&walk, &o) > 0)
        if (is_process(&o))
            result = need_process(w, c, i->first_process + get32(o.value, i->swapped));
    return result;
}

/* Of the head of an enhanced packet block what is between its length and the bytes. */
static inline void put_times(uint8_t *b, const struct capture_packet *p, uint64_t ticks)
{
    put32(b + 8, p->interface);
    put32(b + 12, (uint32_t)(ticks >> 32));
    put32(b + 16, (uint32_t)ticks);
    put32(b + 20, p->captured);
    put32(b + 24, p->length);
}

/* Options, or a packet that does not fit into the buffer. */
static int write_special(struct capture_writer *w, const struct interface *i, const struct capture_packet *p,
                         const char *comment)
{
    size_t room = HEAD + (size_t)p->options_size + padded(p->captured) + 4;
    room += (comment == NULL ? 0 : option_room(strnlen(comment, UINT16_MAX))) + 3 * option_room(8);
    uint8_t *big = room <= BLOCK_ROOM ? NULL : malloc(room), *b = big;

    if (b == NULL) {
        if (room > BLOCK_ROOM)
            return w->failed = -ENOMEM;
        b = block_room(w);
    }
    uint64_t ticks = p->ticks;
    if (!p->has_time)
        ticks = capture_ticks(i, p->time_ns + p->delay_ns);
    else if (p->delay_ns != 0)
        ticks += (uint64_t)((__int128)p->delay_ns * i->is.ticks / 1000000000);
    put_times(b, p, ticks);
    if (p->captured != 0)
        memcpy(b + HEAD, p->bytes, p->captured);
    memset(b + HEAD + p->captured, 0, padded(p->captured) - p->captured);
    uint8_t *out = put_options(w, i, p, comment, b + HEAD + padded(p->captured));
    size_t size = (size_t)(out - b) + 4;
    block_frame(b, BLOCK_ENHANCED, size);
    if (big == NULL)
        return block_done(w, size);
    int result = write_apart(w, big, size);
    free(big);
    return result;
}

static int write_simple(struct capture_writer *w, const struct capture_packet *p)
{
    size_t size = 16 + padded(p->captured);
    uint8_t *b = block_room(w);

    put32(b + size - 8, 0); /* the padding, or what comes next */
    put32(b + 8, p->length);
    if (p->captured != 0)
        memcpy(b + 12, p->bytes, p->captured);
    block_frame(b, BLOCK_SIMPLE, size);
    return block_done(w, size);
}

/* What a packet seldom is: the first of its interface, with options, without a time of its own, late, huge. */
static __attribute__((noinline)) int write_odd(struct capture_writer *w, const struct capture *c,
                                               const struct capture_packet *p, const char *comment)
{
    const struct interface *i = c->interfaces[p->interface];
    const size_t size = HEAD + 4 + padded(p->captured);

    if (w->failed != 0)
        return w->failed;
    if (p->interface >= w->interfaces && need_interface(w, c, p->interface) != 0)
        return w->failed;
    if (!p->has_time && p->delay_ns == 0 && p->interface == 0 && comment == NULL && size <= BLOCK_ROOM)
        return write_simple(w, p);
    if (p->options != NULL && need_processes(w, c, i, p) != 0)
        return w->failed;
    return write_special(w, i, p, comment);
}

/* The same with other bytes. */
static __attribute__((noinline)) int write_odd_with(struct capture_writer *w, const struct capture *c,
                                                    const struct capture_packet *p, const uint8_t *bytes,
                                                    const char *comment)
{
    struct capture_packet with = *p;

    with.bytes = bytes;
    return write_odd(w, c, &with, comment);
}

int capture_write_with(struct capture_writer *w, const struct capture *c, const struct capture_packet *p,
                       const uint8_t *bytes, const char *comment)
{
    const uint64_t odd = (uintptr_t)comment | (uintptr_t)p->options | p->flags | p->drops | p->delay_ns |
                         !p->has_time | (uint64_t)(w->failed != 0);
    const size_t size = HEAD + 4 + padded(p->captured);

    if (__builtin_expect(odd != 0 || p->interface >= w->interfaces || size > BLOCK_ROOM, 0))
        return bytes == p->bytes ? write_odd(w, c, p, comment) : write_odd_with(w, c, p, bytes, comment);
    uint8_t *b = block_room(w);
    put32(b + size - 8, 0); /* the padding, or what comes next */
    put_times(b, p, p->ticks);
    put32(b, BLOCK_ENHANCED);
    put32(b + 4, (uint32_t)size);
    put32(b + size - 4, (uint32_t)size);
    if (p->captured != 0)
        memcpy(b + HEAD, bytes, p->captured);
    return block_done(w, size);
}

int capture_write(struct capture_writer *w, const struct capture *c, const struct capture_packet *p,
                  const char *comment)
{
    return capture_write_with(w, c, p, p->bytes, comment);
}

/* ---- life ---------------------------------------------------------------------------------------------- */

static int open_beside(struct capture_writer *w)
{
    size_t size = strlen(w->path) + 32;

    w->temporary = malloc(size);
    if (w->temporary == NULL)
        return -ENOMEM;
    for (unsigned n = 0; n < 1000; n++) {
        snprintf(w->temporary, size, "%s.%ld-%u.part", w->path, (long)getpid(), n);
        w->fd = open(w->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (w->fd >= 0)
            return 0;
        if (errno != EEXIST)
            break;
    }
    int result = -errno;
    free(w->temporary);
    w->temporary = NULL;
    return result;
}

static int open_output(struct capture_writer *w, const char *path)
{
    struct stat st;

    if (strcmp(path, "-") == 0) {
        w->fd = STDOUT_FILENO;
        return 0;
    }
    bool there = stat(path, &st) == 0;
    if (there && S_ISDIR(st.st_mode))
        return -EISDIR;
    if (there && !S_ISREG(st.st_mode)) {
        w->fd = open(path, O_WRONLY | O_CLOEXEC);
        return w->fd < 0 ? -errno : 0;
    }
    /* a link to a file: the file is replaced, not the link */
    w->path = there ? realpath(path, NULL) : strdup(path);
    return w->path == NULL ? -errno : open_beside(w);
}

static void put_section(struct capture_writer *w)
{
    static const char name[] = "weir";
    uint8_t *b = block_room(w), *out = b + 24;

    put32(b + 8, SECTION_MAGIC);
    put16(b + 12, 1);
    put16(b + 14, 0);
    put64(b + 16, UINT64_MAX); /* not said */
    out = option_put(out, OPTION_SECTION_APPLICATION, name, sizeof(name) - 1);
    out = option_put(out, OPTION_END, NULL, 0);
    size_t size = (size_t)(out - b) + 4;
    block_frame(b, BLOCK_SECTION, size);
    (void)block_done(w, size);
}

static void writer_free(struct capture_writer *w)
{
    free(w->path);
    free(w->temporary);
    free(w->processes.of);
    free(w);
}

int capture_writer_open(const char *path, struct capture_writer **out, struct capture_error *error)
{
    struct capture_writer *w = malloc(sizeof(*w));
    int result = -ENOMEM;

    *out = NULL;
    if (w != NULL) {
        memset(w, 0, offsetof(struct capture_writer, buffer));
        result = open_output(w, path);
    }
    if (result != 0) {
        snprintf(error->text, sizeof(error->text), "%s: cannot be written: %s", path, strerror(-result));
        if (w != NULL)
            writer_free(w);
        return result;
    }
    put_section(w);
    *out = w;
    return 0;
}

/*
 * The new file takes the old one's name. Where there was one the two names are exchanged and the old file goes: a plain
 * rename() onto a file makes ext4 write the new one to the disk at once (auto_da_alloc), in the time of this process.
 */
static int replace(const char *temporary, const char *path)
{
    if (renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_EXCHANGE) == 0)
        return unlink(temporary) == 0 ? 0 : -errno;
    return rename(temporary, path) == 0 ? 0 : -errno; /* there was none, or the file system cannot exchange */
}

int capture_writer_close(struct capture_writer *w, bool keep)
{
    if (w == NULL)
        return 0;
    if (keep && w->failed == 0 && w->used != 0)
        (void)flush(w, w->used);
    int result = w->failed;
    if (keep && result == 0)
        reserve_end(&w->reserve, w->fd, w->base);
    if (w->fd != STDOUT_FILENO && close(w->fd) != 0 && result == 0)
        result = -errno;
    if (w->temporary != NULL && keep) {
        int replaced = replace(w->temporary, w->path);
        if (result == 0)
            result = replaced;
        keep = replaced == 0;
    }
    if (w->temporary != NULL && !keep)
        (void)unlink(w->temporary);
    writer_free(w);
    return result;
}
