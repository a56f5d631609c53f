/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader's door: opening by what the first bytes say, interfaces, processes, times, and the one line that
 * says what is wrong. The formats are capture_pcap.c and capture_ng.c.
 *
 * A capture that failed stays failed: capture_next() says the same again.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture_inside.h"

/* ---- errors -------------------------------------------------------------------------------------------- */

/* A long path by its end: the message is what must be seen. */
static int put_name(const struct capture *c, char *out, size_t size)
{
    const size_t most = 96;
    size_t length = strlen(c->name);

    return length <= most ? snprintf(out, size, "%s: ", c->name)
                          : snprintf(out, size, "...%s: ", c->name + length - most);
}

int capture_fail(struct capture *c, struct capture_error *error, const char *expected, const char *found, ...)
{
    size_t size = sizeof(error->text);

    int n = put_name(c, error->text, size);
    if (c->source.failed != 0) {
        snprintf(error->text + n, size - (size_t)n, "packet %llu: %s", (unsigned long long)c->packets + 1,
                 strerror(-c->source.failed));
        return c->source.failed;
    }
    n += snprintf(error->text + n, size - (size_t)n, "packet %llu: expected %s, found ",
                  (unsigned long long)c->packets + 1, expected);
    if ((size_t)n < size) {
        va_list args;
        va_start(args, found);
        n += vsnprintf(error->text + n, size - (size_t)n, found, args);
        va_end(args);
    }
    if ((size_t)n < size)
        snprintf(error->text + n, size - (size_t)n, " (byte %llu)",
                 (unsigned long long)source_offset(&c->source));
    return -EINVAL;
}

int capture_fail_short(struct capture *c, struct capture_error *error, const char *what, uint64_t size)
{
    char expected[96];
    size_t left = source_left(&c->source, size < SIZE_MAX ? (size_t)size : SIZE_MAX);

    snprintf(expected, sizeof(expected), "%llu bytes of %s", (unsigned long long)size, what);
    return capture_fail(c, error, expected, "the end of the file after %zu", left);
}

int capture_fail_length(struct capture *c, struct capture_error *error, const struct interface *i,
                        uint32_t captured)
{
    return capture_fail(c, error,
                        i->packet_max == CAPTURE_PACKET_MAX ? "a captured length of at most 262,144"
                                                            : "a captured length of at most 134,217,728",
                        "%u", captured);
}

/* ---- interfaces ---------------------------------------------------------------------------------------- */

bool capture_interface_resolution(struct interface *i, uint8_t resolution)
{
    unsigned exponent = resolution & 0x7f;
    uint64_t ticks = 1;

    if (exponent > (resolution & 0x80 ? 63u : 19u))
        return false;
    if (resolution & 0x80)
        ticks <<= exponent;
    else
        for (unsigned n = 0; n < exponent; n++)
            ticks *= 10;
    i->is.resolution = resolution;
    i->is.ticks = ticks;
    i->scale = i->is.time_offset == 0 && 1000000000u % ticks == 0 ? (uint32_t)(1000000000u / ticks) : 0;
    i->most_ticks = i->scale == 0 ? 0 : UINT64_MAX / i->scale;
    return true;
}

uint64_t capture_time_slow(const struct interface *i, uint64_t ticks)
{
    __int128 ns = (__int128)(ticks / i->is.ticks) * 1000000000 +
                  (__int128)(ticks % i->is.ticks) * 1000000000 / i->is.ticks +
                  (__int128)i->is.time_offset * 1000000000;

    return ns < 0 ? 0 : ns > UINT64_MAX ? UINT64_MAX : (uint64_t)ns;
}

uint64_t capture_ticks(const struct interface *i, uint64_t time_ns)
{
    __int128 seconds = (__int128)(time_ns / 1000000000) - i->is.time_offset;
    __int128 ticks = seconds * i->is.ticks + (__int128)(time_ns % 1000000000) * i->is.ticks / 1000000000;

    return ticks < 0 ? 0 : ticks > UINT64_MAX ? UINT64_MAX : (uint64_t)ticks;
}

struct interface *capture_interface_new(struct capture *c, uint16_t link_type, uint32_t snap_length)
{
    if (c->interface_count == c->interface_room) {
        size_t room = c->interface_room == 0 ? 4 : 2 * c->interface_room;
        struct interface **more = realloc(c->interfaces, room * sizeof(*more));
        if (more == NULL)
            return NULL;
        c->interfaces = more;
        c->interface_room = room;
    }
    struct interface *i = calloc(1, sizeof(*i));
    if (i == NULL)
        return NULL;
    i->is.link_type = link_type;
    i->is.snap_length = snap_length;
    i->swapped = c->swapped;
    i->first_process = c->first_process;
    i->packet_max = link_type == 231 || link_type == 249 ? CAPTURE_PACKET_MAX_BIG : CAPTURE_PACKET_MAX;
    (void)capture_interface_resolution(i, 6);
    c->interfaces[c->interface_count++] = i;
    return i;
}

const struct capture_interface *capture_interface(const struct capture *c, uint32_t index)
{
    return index < c->interface_count ? &c->interfaces[index]->is : NULL;
}

size_t capture_interface_count(const struct capture *c)
{
    return c->interface_count;
}

static void interface_free(struct interface *i)
{
    free((void *)(uintptr_t)i->is.name);
    free((void *)(uintptr_t)i->is.description);
    free((void *)(uintptr_t)i->is.addresses);
    free(i->options);
    free(i);
}

void capture_interface_drop(struct capture *c)
{
    interface_free(c->interfaces[--c->interface_count]);
}

/* ---- processes ----------------------------------------------------------------------------------------- */

struct process *capture_process_new(struct processes *all)
{
    if (all->count == CAPTURE_PROCESSES_MAX)
        return NULL;
    if (all->count == all->room) {
        size_t room = all->room == 0 ? 16 : 2 * all->room;
        struct process *more = realloc(all->list, room * sizeof(*more));
        if (more == NULL)
            return NULL;
        all->list = more;
        all->room = room;
    }
    struct process *p = &all->list[all->count++];
    *p = (struct process){.next = CAPTURE_NONE};
    return p;
}

uint32_t capture_process_of(struct capture *c, uint64_t pid)
{
    uint32_t *bucket = &c->buckets[pid % PROCESS_BUCKETS];

    for (uint32_t n = *bucket; n != 0; n = c->by_id.list[n - 1].next)
        if (c->by_id.list[n - 1].is.pid == pid)
            return (n - 1) | PROCESS_BY_ID;
    struct process *p = capture_process_new(&c->by_id);
    if (p == NULL)
        return CAPTURE_NONE;
    p->is.pid = pid;
    p->next = *bucket;
    *bucket = (uint32_t)c->by_id.count;
    return (*bucket - 1) | PROCESS_BY_ID;
}

const struct capture_process *capture_process(const struct capture *c, uint32_t index)
{
    const struct processes *all = index & PROCESS_BY_ID ? &c->by_id : &c->described;

    index &= ~PROCESS_BY_ID;
    return index < all->count ? &all->list[index].is : NULL;
}

static void processes_free(struct processes *all)
{
    for (size_t i = 0; i < all->count; i++) {
        free((void *)(uintptr_t)all->list[i].is.name);
        free(all->list[i].block);
    }
    free(all->list);
}

/* ---- life ---------------------------------------------------------------------------------------------- */

static int open_error(struct capture_error *error, const char *name, int result)
{
    snprintf(error->text, sizeof(error->text), "%s: %s", name, strerror(-result));
    return result;
}

/* What the file is instead. */
static const char *other_format(const uint8_t *b, size_t size)
{
    static const struct {
        const char *name;
        uint8_t size;
        uint8_t magic[8];
    } known[] = {
        {"gzip-compressed data", 2, {0x1f, 0x8b}},
        {"zstd-compressed data", 4, {0x28, 0xb5, 0x2f, 0xfd}},
        {"xz-compressed data", 6, {0xfd, '7', 'z', 'X', 'Z', 0}},
        {"bzip2-compressed data", 3, {'B', 'Z', 'h'}},
        {"LZ4-compressed data", 4, {0x04, 0x22, 0x4d, 0x18}},
        {"an ETW trace or a Network Monitor capture", 4, {'G', 'M', 'B', 'U'}},
        {"a snoop capture", 8, {'s', 'n', 'o', 'o', 'p', 0, 0, 0}},
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (size >= known[i].size && memcmp(b, known[i].magic, known[i].size) == 0)
            return known[i].name;
    return NULL;
}

static int open_format(struct capture *c, struct capture_error *error)
{
    size_t left = source_left(&c->source, 8);
    if (left < 4)
        return capture_fail(c, error, "a pcap or pcapng file",
                            left == 0 ? "an empty file" : "a file of %zu bytes", left);
    const uint8_t *b = c->source.at;
    uint32_t magic = get32(b, false);
    if (magic == BLOCK_SECTION)
        return capture_ng_open(c, error);
    for (unsigned swapped = 0; swapped < 2; swapped++, magic = __builtin_bswap32(magic))
        if (magic == 0xa1b2c3d4 || magic == 0xa1b23c4d || magic == 0xa1b2cd34)
            return capture_pcap_open(c, error);
    const char *other = other_format(b, left);
    if (other != NULL)
        return capture_fail(c, error, "a pcap or pcapng file", "%s", other);
    return capture_fail(c, error, "a pcap or pcapng file", "one that begins %02x %02x %02x %02x", b[0], b[1],
                        b[2], b[3]);
}

static struct capture *capture_new(const char *name)
{
    struct capture *c = calloc(1, sizeof(*c));

    if (c == NULL || (c->name = strdup(name)) == NULL) {
        free(c);
        return NULL;
    }
    c->source.fd = -1;
    return c;
}

static int open_finish(struct capture *c, struct capture **out, struct capture_error *error)
{
    int result = open_format(c, error);

    if (result != 0) {
        capture_close(c);
        return result;
    }
    *out = c;
    return 0;
}

int capture_open(const char *path, struct capture **out, struct capture_error *error)
{
    struct capture *c = capture_new(strcmp(path, "-") == 0 ? "standard input" : path);

    *out = NULL;
    if (c == NULL)
        return open_error(error, path, -ENOMEM);
    int result = source_open(&c->source, path, &c->packets);
    if (result != 0) {
        open_error(error, c->name, result);
        capture_close(c);
        return result;
    }
    return open_finish(c, out, error);
}

int capture_open_memory(const char *name, const uint8_t *bytes, size_t size, struct capture **out,
                        struct capture_error *error)
{
    struct capture *c = capture_new(name);

    *out = NULL;
    if (c == NULL)
        return open_error(error, name, -ENOMEM);
    source_open_memory(&c->source, size == 0 ? (const uint8_t *)"" : bytes, size);
    return open_finish(c, out, error);
}

void capture_close(struct capture *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i < c->interface_count; i++)
        interface_free(c->interfaces[i]);
    free(c->interfaces);
    processes_free(&c->described);
    processes_free(&c->by_id);
    source_close(&c->source);
    free(c->name);
    free(c);
}

int capture_next(struct capture *c, struct capture_packet *out, struct capture_error *error)
{
    if (c->broken == 0) {
        int result = c->next(c, out, &c->error);
        if (result >= 0)
            return result;
        c->broken = result;
        c->plain = NULL;
        if (result == -ENOMEM)
            open_error(&c->error, c->name, result);
    }
    *error = c->error;
    return c->broken;
}

void capture_progress(const struct capture *c, uint64_t *done, uint64_t *all)
{
    *done = c->source.map != NULL ? source_offset(&c->source) : 0;
    *all = c->source.map != NULL ? c->source.size : 0;
}
