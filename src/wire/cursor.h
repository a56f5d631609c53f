/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cursor: the only way in which the wire room's parsers look at bytes.
 *
 *   first            at           captured         length
 *   |--- read -------|--- there ---|--- was sent ----|--- not this packet's
 *
 * Invariant: at <= captured <= length. A header is asked for as a whole, by its size: either all its bytes
 * are there, or a pointer is not given out. Then why is to be asked: cut off by the capture (sent, not
 * captured), or never sent.
 */
#ifndef WEIR_WIRE_CURSOR_H
#define WEIR_WIRE_CURSOR_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct cursor {
    const uint8_t *first;
    uint32_t at, captured, length;
};

/* The next n bytes, without moving; NULL: not all there. */
static inline const uint8_t *cursor_peek(const struct cursor *c, uint32_t n)
{
    return c->captured - c->at >= n ? c->first + c->at : NULL;
}

/* Have n bytes more been sent? */
static inline bool cursor_sent(const struct cursor *c, uint32_t n)
{
    return c->length - c->at >= n;
}

/* Moves over n bytes that were sent; over what is cut off, to the end of what is there. */
static inline void cursor_skip(struct cursor *c, uint32_t n)
{
    uint32_t there = c->captured - c->at;

    c->at += n < there ? n : there;
}

/* All that is beyond `n` bytes more is not this packet's (padding). n must have been sent. */
static inline void cursor_narrow(struct cursor *c, uint32_t n)
{
    c->length = c->at + n;
    if (c->captured > c->length)
        c->captured = c->length;
}

/* Numbers in network order, any alignment, of bytes that a cursor gave out. */
static inline uint16_t wire_get16(const uint8_t *at)
{
    uint16_t v;

    memcpy(&v, at, 2);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    v = __builtin_bswap16(v);
#endif
    return v;
}

static inline uint32_t wire_get32(const uint8_t *at)
{
    uint32_t v;

    memcpy(&v, at, 4);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    v = __builtin_bswap32(v);
#endif
    return v;
}

#endif
