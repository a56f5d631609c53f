/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a capture's bytes come from: a mapped file, a pipe, memory.
 *
 * A file is mapped whole but never resident whole: a stretch of STRETCH bytes is touched at a time, a byte
 * in AROUND, so that what is fetched ahead is mapped (`end` is its end, which is when source_more() is asked;
 * MADV_POPULATE_READ walks through all pages for that), the pages of those before are given back. They can
 * still be read, the kernel brings them again. A file that shrinks while it is read ends the program, as
 * for all that map files.
 *
 * A pipe is read into chunks. What is asked for stands in one piece: where the rest of a chunk is too small
 * the bytes at hand move to the next one. A chunk is used again when CAPTURE_WINDOW packets were given out
 * since the reader left it, so there are as many chunks as a window needs and no more.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture_inside.h"

#define STRETCH     ((size_t)4 << 20)
#define KEPT_BEHIND ((size_t)4 << 20) /* a window of frames of 4 KiB: no page is brought twice */
#define CHUNK       ((size_t)1 << 20)
#define AROUND      ((size_t)64 << 10) /* so much the kernel maps at a fault, where it is in its cache */

int source_open(struct source *s, const char *path, const uint64_t *packets)
{
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC), result;
    struct stat st;

    *s = (struct source){.fd = -1, .packets = packets};
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) != 0) {
        result = -errno;
        goto out;
    }
    result = -EISDIR;
    if (S_ISDIR(st.st_mode))
        goto out;
    if (S_ISREG(st.st_mode) && st.st_size > 0 && lseek(fd, 0, SEEK_CUR) == 0) {
        s->size = (size_t)st.st_size;
        void *map = mmap(NULL, s->size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map != MAP_FAILED) {
            s->map = s->at = s->end = map;
            s->mapped = s->size;
            (void)madvise(map, s->size, MADV_SEQUENTIAL);
            result = 0;
            goto out;
        }
    }
    s->fd = fd;
    s->fd_is_ours = !standard;
    return 0;
out:
    if (!standard)
        close(fd);
    return result;
}

void source_open_memory(struct source *s, const uint8_t *bytes, size_t size)
{
    *s = (struct source){.fd = -1, .map = bytes, .at = bytes, .end = bytes + size, .size = size};
}

void source_close(struct source *s)
{
    if (s->mapped != 0)
        munmap((void *)(uintptr_t)s->map, s->mapped);
    if (s->fd_is_ours)
        close(s->fd);
    while (s->first != NULL) {
        struct chunk *next = s->first->next;
        free(s->first);
        s->first = next;
    }
    free(s->spare);
    *s = (struct source){.fd = -1};
}

uint64_t source_offset(const struct source *s)
{
    if (s->map != NULL)
        return (uint64_t)(s->at - s->map);
    return s->current == NULL ? 0 : s->current->offset + (uint64_t)(s->at - s->current->bytes);
}

/* ---- a mapped file ------------------------------------------------------------------------------------- */

static const uint8_t *map_more(struct source *s, size_t size)
{
    size_t at = (size_t)(s->at - s->map), left = s->size - at;
    if (left < size)
        return NULL;
    size_t ahead = left < size + STRETCH ? left : size + STRETCH;
    if (s->mapped != 0) {
        const size_t page = 4096;
        size_t from = at & ~(page - 1);
        for (size_t n = from; n < at + ahead; n += AROUND)
            (void)*(const volatile uint8_t *)(s->map + n);
        size_t drop = from < KEPT_BEHIND ? 0 : from - KEPT_BEHIND;
        if (drop > s->dropped) {
            (void)madvise((void *)(uintptr_t)(s->map + s->dropped), drop - s->dropped, MADV_DONTNEED);
            s->dropped = drop;
        }
    }
    s->end = s->at + ahead;
    return s->at;
}

/* ---- a pipe -------------------------------------------------------------------------------------------- */

/* Chunks whose window is over: one is kept for the next use. */
static void pipe_reclaim(struct source *s)
{
    while (s->first != s->current && s->first->last + CAPTURE_WINDOW <= *s->packets) {
        struct chunk *c = s->first;
        s->first = c->next;
        if (s->spare == NULL && c->capacity == CHUNK)
            s->spare = c;
        else
            free(c);
    }
}

/* A chunk with room for `size`, the bytes at hand moved there. */
static int pipe_chunk(struct source *s, size_t size)
{
    size_t left = (size_t)(s->end - s->at), capacity = size < CHUNK ? CHUNK : size;
    uint64_t offset = source_offset(s);

    if (s->current != NULL)
        s->current->last = *s->packets;
    pipe_reclaim(s);
    struct chunk *c = capacity == CHUNK ? s->spare : NULL;
    if (c != NULL)
        s->spare = NULL;
    else if ((c = malloc(sizeof(*c) + capacity)) == NULL)
        return -ENOMEM;
    *c = (struct chunk){.offset = offset, .capacity = capacity, .filled = left};
    if (left != 0)
        memcpy(c->bytes, s->at, left);
    if (s->current != NULL)
        s->current->next = c;
    else
        s->first = c;
    s->current = c;
    s->at = c->bytes;
    s->end = c->bytes + left;
    return 0;
}

static const uint8_t *pipe_more(struct source *s, size_t size)
{
    if (s->over || s->failed != 0)
        return NULL;
    if (s->current == NULL || s->current->capacity - (size_t)(s->at - s->current->bytes) < size) {
        s->failed = pipe_chunk(s, size);
        if (s->failed != 0)
            return NULL;
    }
    struct chunk *c = s->current;
    while ((size_t)(s->end - s->at) < size) {
        ssize_t n = read(s->fd, c->bytes + c->filled, c->capacity - c->filled);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            s->failed = -errno;
        else if (n == 0)
            s->over = true;
        if (n <= 0)
            return NULL;
        c->filled += (size_t)n;
        s->end = c->bytes + c->filled;
    }
    return s->at;
}

const uint8_t *source_more(struct source *s, size_t size)
{
    return s->map != NULL ? map_more(s, size) : s->fd >= 0 ? pipe_more(s, size) : NULL;
}

size_t source_left(struct source *s, size_t most)
{
    if (source_need(s, most) != NULL)
        return most;
    return s->map != NULL ? s->size - (size_t)(s->at - s->map) : (size_t)(s->end - s->at);
}

uint64_t source_skip(struct source *s, uint64_t size)
{
    uint64_t skipped = 0;

    while (skipped < size) {
        uint64_t step = size - skipped < CHUNK ? size - skipped : CHUNK;
        size_t left = source_left(s, (size_t)step);
        if (left == 0)
            break;
        s->at += left;
        skipped += left;
    }
    return skipped;
}
