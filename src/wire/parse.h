/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse: what the wire room's files know of each other. No other room includes it.
 *
 *   wire_parse(), wire_parse_ip() -> plain frames; link_parse() -> ip_parse() -> ip4 or ip6 -> transport_parse()
 *
 * Each reads its header at the cursor, fills its part of the packet, and goes on to the next or ends: by
 * wire_ended() where bytes are missing, by wire_wrong() where a header contradicts itself. The packet was
 * zeroed before the first of them.
 */
#ifndef WEIR_WIRE_PARSE_H
#define WEIR_WIRE_PARSE_H

#include "wire/cursor.h"
#include "wire/wire.h"

/* How a quoted packet differs: it ends where the quotation does, whatever its lengths say; its header may
 * have been changed on the way, so the checksum is nobody's; four bytes of a transport header are worth
 * reading. */
enum parse_as { PARSE_FRAME, PARSE_QUOTE };

/* `version`: the one that the link header announces; 0: any. */
void ip_parse(struct cursor *c, struct wire_packet *p, unsigned version, enum parse_as as);
void ip6_parse(struct cursor *c, struct wire_packet *p, enum parse_as as);
/* Reads what p->protocol says; reached is WIRE_NETWORK when it comes here. */
void transport_parse(struct cursor *c, struct wire_packet *p, enum parse_as as);

/* Any frame, of any link type: wire_parse(), but for the plain ones (plain.c). */
void link_parse(uint16_t link_type, const uint8_t *frame, uint32_t captured, uint32_t length,
                struct wire_packet *out) __attribute__((noinline));

/* Is the checksum of an IPv4 header without options, which most are, right? The one's complement sum is one modulo
 * 65,535, of which every power of 65,536 is 1: words of 64 bits may be added, with their carry. */
static inline bool ip4_header_right(const uint8_t *h)
{
    uint64_t sum, more;
    uint32_t last;

    memcpy(&sum, h, 8);
    memcpy(&more, h + 8, 8);
    memcpy(&last, h + 16, 4);
    sum += more;
    sum += sum < more;
    sum += last;
    sum += sum < last;
    return sum % 65535 == 0; /* and not 0 itself: the first byte is not */
}

/* Zeroes a packet in a few wide stores: for its size, GCC's memset() is a "rep stos", which takes longer than
 * all the parsing. */
static inline void wire_clear(struct wire_packet *p)
{
    typedef uint64_t pair __attribute__((vector_size(16), aligned(8), may_alias));
    pair *at = (pair *)(void *)p;

    _Static_assert(sizeof(*p) == 8 * sizeof(pair), "a packet is eight pairs of words");
    at[0] = at[1] = at[2] = at[3] = at[4] = at[5] = at[6] = at[7] = (pair){0, 0};
}

/* Prepares an empty packet. */
void wire_begin(struct cursor *c, uint16_t link_type, const uint8_t *frame, uint32_t captured,
                uint32_t length, struct wire_packet *p);

static inline void wire_wrong(struct wire_packet *p, enum wire_fault fault, uint32_t at)
{
    p->fault = fault;
    p->fault_at = at;
}

/* n bytes are not all there: cut, if they were sent; a fault if not. */
static inline void wire_ended(const struct cursor *c, struct wire_packet *p, uint32_t n,
                              enum wire_fault fault)
{
    if (cursor_sent(c, n))
        p->cut = true;
    else
        wire_wrong(p, fault, c->at);
}

#endif
