/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the parsing of frames. The input: which link type, what is done to the frame (bits: cut off by the
 * capture; the IPv4 checksum made right, so that what is behind it is reached), how many bytes are cut off,
 * then the frame.
 *
 * Held: the invariants of every parsed packet, of what it quotes, and of its every prefix: more bytes
 * captured never say less, and never another thing. The frame stands in a block of its own size.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../support/wire_invariants.h"
#include "stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CUT = 1, FIX_CHECKSUM = 2 };

static void look(const struct wire_packet *w)
{
    const char *broken = wire_invariants(w);
    struct wire_packet quoted;

    if (broken != NULL)
        fprintf(stderr, "fuzz: not so: %s\n", broken);
    REQUIRE(broken == NULL);
    wire_verify(w);
    if (wire_icmp_quote(w, &quoted))
        REQUIRE(wire_is_icmp_error(w) && quoted.reached >= WIRE_NETWORK);
    REQUIRE(wire_invariants(&quoted) == NULL);
}

/* The same frame with fewer bytes captured. */
static void prefixes(uint16_t link, const uint8_t *frame, uint32_t size, uint32_t length,
                     const struct wire_packet *whole)
{
    /* a fault among TCP's options is not seen when they are cut off */
    bool options = whole->fault == WIRE_FAULT_TCP_OPTION;
    uint8_t reached = options ? WIRE_TRANSPORT : whole->reached;

    for (uint32_t n = size < 200 ? size : 200; n-- > 0;) {
        struct wire_packet w;

        wire_parse(link, frame, n, length, &w);
        REQUIRE(wire_invariants(&w) == NULL);
        REQUIRE(w.reached <= reached);
        REQUIRE(w.fault == WIRE_OK || (w.fault == whole->fault && w.fault_at == whole->fault_at));
        REQUIRE(w.reached < WIRE_NETWORK ||
                (w.protocol == whole->protocol && w.ip_length == whole->ip_length &&
                 wire_addr_equal(&w.source, &whole->source) && w.fragment_offset == whole->fragment_offset));
        REQUIRE(w.reached < WIRE_TRANSPORT ||
                (w.source_port == whole->source_port && w.tcp_flags == whole->tcp_flags &&
                 w.icmp_type == whole->icmp_type && (options || w.data_length == whole->data_length)));
        reached = options && !w.cut ? reached : w.reached;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint16_t links[] = {WIRE_LINK_ETHERNET,
                                     WIRE_LINK_RAW,
                                     WIRE_LINK_LINUX_SLL,
                                     WIRE_LINK_LINUX_SLL2,
                                     WIRE_LINK_NULL,
                                     WIRE_LINK_LOOP,
                                     WIRE_LINK_IPV4,
                                     WIRE_LINK_IPV6,
                                     WIRE_LINK_RAW_BSD,
                                     WIRE_LINK_RAW_OPENBSD,
                                     105};
    struct stream s = {data, size};
    uint16_t link = links[take_below(&s, sizeof(links) / sizeof(links[0]))];
    unsigned what = take8(&s);
    uint32_t cut = take8(&s), captured, length = (uint32_t)s.size;
    struct wire_packet w;
    uint8_t *frame;

    captured = (what & CUT) != 0 ? length - (cut < length ? cut : length) : length;
    frame = malloc(captured != 0 ? captured : 1);
    REQUIRE(frame != NULL);
    memcpy(frame, s.data, captured);
    wire_parse(link, frame, captured, length, &w);
    if ((what & FIX_CHECKSUM) != 0 && w.ip_checksum_wrong) {
        uint8_t *ip = frame + w.ip_at;
        uint16_t sum;

        ip[10] = ip[11] = 0;
        sum = wire_fold(wire_sum(ip, (ip[0] & 15u) * 4, 0));
        ip[10] = (uint8_t)(sum >> 8);
        ip[11] = (uint8_t)sum;
        wire_parse(link, frame, captured, length, &w);
        REQUIRE(!w.ip_checksum_wrong);
    }
    look(&w);
    prefixes(link, frame, captured, length, &w);
    free(frame);
    return 0;
}
