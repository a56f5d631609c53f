/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the reader of captures over arbitrary bytes, and the writer behind it: every packet that is read is
 * written, with a comment for some; what is written is read again, all of it, and says the same. An input of
 * which the first byte is odd comes through a pipe, in pieces: it must say what the same bytes in memory say.
 */
#include <errno.h>
#include <unistd.h>

#include "datapath/capture.h"

#include "stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PIPE_MOST 60000 /* fits into a pipe: one process can fill and empty it */

static uint64_t hash_packet(uint64_t h, const struct capture *c, const struct capture_packet *p, bool timed)
{
    const uint64_t of[] = {p->captured, p->length, timed ? p->time_ns : 0, p->way, p->process == UINT32_MAX};

    for (size_t i = 0; i < sizeof(of) / sizeof(of[0]); i++)
        h = (h ^ of[i]) * 0x100000001b3ull;
    for (uint32_t i = 0; i < p->captured; i++)
        h = (h ^ p->bytes[i]) * 0x100000001b3ull;
    return (h ^ capture_interface(c, p->interface)->link_type) * 0x100000001b3ull;
}

#define PACKETS_MOST 65536

/* What reading came to. Which packets had a time: what is written may give one to those that had none. */
struct story {
    bool timed[PACKETS_MOST];
    uint64_t hash, packets;
    int result;
};

static void check(const struct capture *c, const struct capture_packet *p, uint64_t number)
{
    const struct capture_interface *i = capture_interface(c, p->interface);

    REQUIRE(p->number == number && i != NULL && i->ticks != 0);
    REQUIRE(p->process == UINT32_MAX || capture_process(c, p->process) != NULL);
    REQUIRE(p->comment == NULL || p->options != NULL);
}

static void read_all(struct capture *c, struct capture_writer *w, const struct story *was, struct story *s)
{
    struct capture_packet p;
    struct capture_error error = {{0}};

    *s = (struct story){.hash = 0xcbf29ce484222325ull};
    while ((s->result = capture_next(c, &p, &error)) == 1) {
        check(c, &p, ++s->packets);
        REQUIRE(s->packets <= PACKETS_MOST);
        bool timed = was != NULL ? was->timed[s->packets - 1] : p.has_time;
        s->timed[s->packets - 1] = timed;
        s->hash = hash_packet(s->hash, c, &p, timed);
        if (w != NULL)
            REQUIRE(capture_write(w, c, &p, s->packets % 3 == 0 ? "every third" : NULL) == 0);
    }
    REQUIRE(s->result == 0 || (s->result == -EINVAL && error.text[0] != '\0'));
}

/* Bytes, times, directions and link types are the same. */
static void read_again(const char *path, const struct story *was)
{
    struct capture *c;
    struct capture_error error;

    REQUIRE(capture_open(path, &c, &error) == 0);
    static struct story s;
    read_all(c, NULL, was, &s);
    REQUIRE(s.result == 0 && s.packets == was->packets && s.hash == was->hash);
    capture_close(c);
}

static void through_pipe(const uint8_t *data, size_t size, int opened, const struct story *was)
{
    struct capture *c;
    struct capture_error error;
    char path[32];
    int ends[2];

    REQUIRE(pipe(ends) == 0);
    REQUIRE(write(ends[1], data, size) == (ssize_t)size);
    close(ends[1]);
    snprintf(path, sizeof(path), "/dev/fd/%d", ends[0]);
    int result = capture_open(path, &c, &error);
    REQUIRE(result == opened);
    if (result == 0) {
        static struct story s;
        read_all(c, NULL, was, &s);
        REQUIRE(s.packets == was->packets && s.hash == was->hash && s.result == was->result);
        capture_close(c);
    }
    close(ends[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct capture *c;
    struct capture_writer *w;
    struct capture_error error = {{0}};
    static struct story s;

    if (size == 0)
        return 0;
    bool piped = data[0] % 2 != 0 && size < PIPE_MOST;
    data++;
    size--;
    int opened = capture_open_memory("input", data, size, &c, &error);
    REQUIRE(opened == 0 || (opened == -EINVAL && error.text[0] != '\0'));
    if (opened == 0) {
        char out[64];
        snprintf(out, sizeof(out), "/dev/shm/weir-fuzz-%ld", (long)getpid());
        REQUIRE(capture_writer_open(out, &w, &error) == 0);
        read_all(c, w, NULL, &s);
        REQUIRE(capture_write_interfaces(w, c) == 0);
        REQUIRE(capture_writer_close(w, true) == 0);
        capture_close(c);
        read_again(out, &s);
        unlink(out);
    }
    if (piped)
        through_pipe(data, size, opened, &s);
    return 0;
}
