/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packets: frames for tests, described by what is special about them; all the rest is sound.
 *
 *   uint8_t frame[2048];
 *   size_t n = PACKET(frame, .src = "10.0.0.2", .sport = 40000, .dst = "10.0.0.1", .dport = 80,
 *                     .protocol = WIRE_PROTOCOL_TCP, .tcp_flags = WIRE_TCP_SYN);
 *
 * Members left out: Ethernet, TTL 64, IPv4 or IPv6 by what src and dst are (10.0.0.2 -> 10.0.0.1 if both are
 * left out), protocol UDP, TCP window 65,535, lengths and checksums right. Own code that shares nothing with
 * src/wire but its address reader and protocol numbers: checksums are summed byte by byte.
 *
 * A description that cannot be built (a bad address, no room) ends the test program with a message.
 */
#ifndef WEIR_TESTS_PACKETS_H
#define WEIR_TESTS_PACKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/wire.h"

enum packet_link {
    PACKET_ETHERNET,
    PACKET_RAW,
    PACKET_IPV4,
    PACKET_IPV6,
    PACKET_SLL,
    PACKET_SLL2,
    PACKET_NULL,         /* family in little-endian order */
    PACKET_NULL_SWAPPED, /* ... big-endian, as another machine writes it */
    PACKET_LOOP,
};
uint16_t packet_link_type(enum packet_link link); /* WIRE_LINK_* */

/* Which checksum is made wrong. */
enum { PACKET_BAD_IP_SUM = 1, PACKET_BAD_SUM = 2, PACKET_PSEUDO_SUM = 4, PACKET_NO_SUM = 8 };

/* An IPv6 extension header before (or after) the fragment header: type, and all bytes after "next header" and
 * "length", which are padded with zeros to a multiple of 8. */
struct packet_extension {
    uint8_t type; /* 0 hop-by-hop, 43 routing, 60 destination options, others as they are */
    const void *bytes;
    size_t size;
};
#define PACKET_EXTENSIONS 4

struct packet {
    enum packet_link link;
    uint16_t vlan, outer_vlan;        /* 0: no tag; outer_vlan goes first, as 802.1ad */
    uint16_t ether_type;              /* 0: by the version */
    bool snap;                        /* Ethernet: 802.3 length, LLC, SNAP */
    uint8_t cooked;                   /* SLL, SLL2: WIRE_COOKED_*; NONE: to us */
    const uint8_t *mac_src, *mac_dst; /* NULL: 02:00:00:00:00:02, ...:01 */

    const char *src, *dst; /* as text; NULL: the other one's family's default */
    uint8_t ttl;           /* 0: 64 */
    uint8_t traffic_class;
    uint8_t protocol; /* 0: UDP; ICMP becomes ICMPv6 if the addresses are IPv6 */
    uint32_t id;      /* IPv4 identification; fragments' */
    bool dont_fragment;
    bool more, fragment;    /* fragment: has a fragment header even if offset and more are 0 (IPv6) */
    uint32_t offset;        /* of the fragment, in bytes */
    const void *ip_options; /* IPv4; padded with zeros to a multiple of 4 */
    size_t ip_options_size;
    struct packet_extension extensions[PACKET_EXTENSIONS]; /* IPv6; the unused are all zero at the end */
    unsigned extension_count;
    unsigned after_fragment; /* so many of the last ones stand after the fragment header */

    uint16_t sport, dport;
    uint8_t tcp_flags;
    uint32_t seq, ack;
    uint16_t window; /* 0: 65,535 unless zero_window */
    bool zero_window;
    const void *tcp_options; /* padded with zeros to a multiple of 4 */
    size_t tcp_options_size;

    uint8_t icmp_type, icmp_code;
    uint16_t icmp_id, icmp_seq;
    const struct packet *quotes; /* an ICMP error: src and dst default to the quoted one's dst and src */
    size_t quote_size;           /* bytes quoted from its IP header on; 0: as many as the standards say */

    const void *data;  /* payload */
    size_t size;       /* 0 with data: data is a string */
    size_t fill;       /* payload of so many bytes 0, 1, 2 ... instead of data */
    bool no_transport; /* data is all that follows the IP header, whatever the protocol says */

    unsigned bad;     /* PACKET_BAD_* | ... */
    size_t padding;   /* zeros after the packet, as Ethernet has them */
    int ip_length;    /* said instead of the right one, if not 0; -1: says 0 */
    int udp_length;   /* likewise */
    int header_words; /* IPv4 IHL said, if not 0; -1: 0 */
    int data_offset;  /* TCP's said, if not 0; -1: 0 */
    uint8_t version;  /* said in the first nibble, if not 0 */
};

/* Builds the frame; returns its length. */
size_t packet_build(const struct packet *p, uint8_t *out, size_t room);
#define PACKET(buf, ...) packet_build(&(struct packet){__VA_ARGS__}, (buf), sizeof(buf))

/* Builds and parses in one step. `frame` is used as long as *w is. */
size_t packet_parse(const struct packet *p, uint8_t *frame, size_t room, struct wire_packet *w);

/* The fragment that carries bytes [first, first + size) of what follows the IP header of p (of IPv6: the
 * fragmentable part). `more` is set unless it is the last; size is cut to what is there. p->id is theirs. */
size_t packet_fragment(const struct packet *p, size_t first, size_t size, uint8_t *out, size_t room);
/* How many bytes there are to be split. */
size_t packet_fragmentable(const struct packet *p);

struct packet_frame {
    uint8_t bytes[2048];
    size_t size;
};
/* Splits p into fragments of at most `size` bytes (a multiple of 8); returns how many. */
size_t packet_fragments(const struct packet *p, size_t size, struct packet_frame *out, size_t most);

/* The answer's description: ends exchanged, ports too, all else as it was. */
struct packet packet_reverse(const struct packet *p);

/* One's complement sum as RFC 1071 words it, 16 bits at a time; a sum to go on from, and its end. */
uint32_t packet_sum(const uint8_t *bytes, size_t size, uint32_t sum);
uint16_t packet_sum_end(uint32_t sum);

#endif
