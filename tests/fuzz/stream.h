/* SPDX-License-Identifier: Apache-2.0 */
/* For structured fuzz targets: the input as a stream of decisions, and memory that lives as long as one
 * input. */
#ifndef WEIR_TESTS_FUZZ_STREAM_H
#define WEIR_TESTS_FUZZ_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUIRE(what)                                                                                        \
    do {                                                                                                     \
        if (!(what)) {                                                                                       \
            fprintf(stderr, "fuzz: ERROR: not so: %s (%s:%d)\n", #what, __FILE__, __LINE__);                 \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

struct stream {
    const uint8_t *data;
    size_t size;
};

static inline bool stream_more(const struct stream *s)
{
    return s->size != 0;
}

/* The next byte; zeros after the end. */
static inline uint8_t take8(struct stream *s)
{
    if (s->size == 0) {
        return 0;
    }
    s->size--;
    return *s->data++;
}

static inline uint16_t take16(struct stream *s)
{
    uint16_t high = take8(s);
    return (uint16_t)(high << 8 | take8(s));
}

static inline uint64_t take64(struct stream *s)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < 8; i++) {
        v = v << 8 | take8(s);
    }
    return v;
}

/* A number below n. */
static inline unsigned take_below(struct stream *s, unsigned n)
{
    return n <= 1 ? 0 : take8(s) % n;
}

/* Blocks that are freed together; each of its own, so that a byte too far is seen. */
#define ARENA_BLOCKS 4096
struct arena {
    void *blocks[ARENA_BLOCKS];
    size_t count;
};

static inline void *arena_new(struct arena *a, size_t size)
{
    void *p = a->count < ARENA_BLOCKS ? calloc(1, size != 0 ? size : 1) : NULL;
    REQUIRE(p != NULL);
    a->blocks[a->count++] = p;
    return p;
}

static inline void arena_free(struct arena *a)
{
    while (a->count != 0) {
        free(a->blocks[--a->count]);
    }
}

#endif
