/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire: the door of the room that reads bytes. Headers, checksums, fragments' places, quoted packets.
 *
 *   frame --wire_parse()--> struct wire_packet: where each header stands and what it says; or which fault,
 *                           found where
 *
 * Everything is read through a bounded cursor (cursor.h): no parser here touches a byte that was not
 * captured. Nothing is changed, kept or allocated; all functions are pure. Numbers come out in host order,
 * IPv6 addresses as they stand.
 *
 * Lengths: `captured` bytes are there, `length` were on the wire. A header that the capture cut off is no
 * fault of the packet's (cut is set, parsing ends); a length that contradicts `length` is (PKT-18).
 */
#ifndef WEIR_WIRE_WIRE_H
#define WEIR_WIRE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An address of either family; which one is said beside it. IPv4: host order, the rest zero, so that two
 * addresses of one family are equal if their words are. */
union wire_addr {
    uint8_t v6[16];
    struct {
        uint32_t zero[3];
        uint32_t v4;
    };
    uint64_t word[2];
};

/* LINKTYPE_* values as in capture files. */
enum wire_link_type {
    WIRE_LINK_NULL = 0, /* loopback: a family in the capturing machine's byte order */
    WIRE_LINK_ETHERNET = 1,
    WIRE_LINK_RAW_BSD = 12, /* raw IP under the numbers that some systems gave it */
    WIRE_LINK_RAW_OPENBSD = 14,
    WIRE_LINK_RAW = 101,
    WIRE_LINK_LOOP = 108, /* as NULL, in network order */
    WIRE_LINK_LINUX_SLL = 113,
    WIRE_LINK_IPV4 = 228,
    WIRE_LINK_IPV6 = 229,
    WIRE_LINK_LINUX_SLL2 = 276,
};
bool wire_link_known(uint16_t link_type);

enum wire_reached { WIRE_NOTHING, WIRE_LINK, WIRE_NETWORK, WIRE_TRANSPORT };

/* What is wrong with a packet, in the words of its headers; the host says what its stack would do about it.
 */
enum wire_fault {
    WIRE_OK,
    WIRE_FAULT_LINK_SHORT, /* the frame itself ends within its link header */
    WIRE_FAULT_IP_VERSION,
    WIRE_FAULT_IP_SHORT,         /* shorter than an IP header, as it was sent */
    WIRE_FAULT_IP_HEADER_LENGTH, /* less than 20 bytes, or more than the packet */
    WIRE_FAULT_IP_TOTAL_LENGTH,  /* less than the header, or more than the frame */
    WIRE_FAULT_IP_CHECKSUM,      /* not found by wire_parse(): ip_checksum_wrong */
    WIRE_FAULT_IP_OPTION,        /* an option's length runs over the header */
    WIRE_FAULT_IP6_EXTENSION,    /* an extension header runs over the packet, or stands where it may not */
    WIRE_FAULT_IP6_OPTION,       /* an option that demands a discard, or runs over its header */
    WIRE_FAULT_IP6_JUMBOGRAM,    /* payload length 0 with a jumbo payload option: refused */
    WIRE_FAULT_FRAGMENT,         /* length not a multiple of 8 with more to come, or beyond 65,535 */
    WIRE_FAULT_FIRST_FRAGMENT,   /* IPv6: a first fragment without all of its headers (RFC 7112) */
    WIRE_FAULT_TRANSPORT_SHORT,  /* TCP, UDP, ICMP: the packet ends within the header */
    WIRE_FAULT_TCP_OFFSET,       /* data offset below 5 or beyond the segment */
    WIRE_FAULT_TCP_OPTION,
    WIRE_FAULT_UDP_LENGTH, /* below 8 or beyond the packet */
    WIRE_FAULT_CHECKSUM,   /* TCP, UDP, ICMP; found by wire_verify(), not by wire_parse() */
};
const char *wire_fault_words(enum wire_fault f); /* "the IPv4 header checksum is wrong" */

#define WIRE_IP_MORE_FRAGMENTS 0x01
#define WIRE_IP_DONT_FRAGMENT  0x02

#define WIRE_TCP_FIN 0x01
#define WIRE_TCP_SYN 0x02
#define WIRE_TCP_RST 0x04
#define WIRE_TCP_PSH 0x08
#define WIRE_TCP_ACK 0x10
#define WIRE_TCP_URG 0x20

enum {
    WIRE_PROTOCOL_ICMP = 1,
    WIRE_PROTOCOL_IGMP = 2,
    WIRE_PROTOCOL_IPV4 = 4,
    WIRE_PROTOCOL_TCP = 6,
    WIRE_PROTOCOL_UDP = 17,
    WIRE_PROTOCOL_IPV6 = 41,
    WIRE_PROTOCOL_ESP = 50,
    WIRE_PROTOCOL_AH = 51,
    WIRE_PROTOCOL_ICMPV6 = 58,
    WIRE_PROTOCOL_NONE = 59,
};

/* Linux cooked captures say who a frame was for. */
enum wire_cooked {
    WIRE_COOKED_NONE,
    WIRE_COOKED_TO_US,
    WIRE_COOKED_BROADCAST,
    WIRE_COOKED_MULTICAST,
    WIRE_COOKED_TO_OTHERS,
    WIRE_COOKED_FROM_US,
};

#define WIRE_NO_VLAN 0xffff

/* Offsets count from the frame's first byte and are never beyond `captured`. Members beyond what was reached
 * are zero, except that a header with a fault, once its fixed part was there, is read as far as it makes
 * sense: version and addresses of an IP header with a wrong checksum, ports of a TCP header with a wrong
 * offset, so that the discard can be told with them.
 *
 * Two cache lines: the first has what looking up a packet's flow asks for, tuple in one piece. */
struct wire_packet {
    const uint8_t *frame; /* the caller's, as long as the packet is used */
    uint32_t captured, length;
    uint32_t ip_at;  /* where the network header stands: the link header's size */
    uint32_t mac_at; /* Ethernet: destination, then source; UINT32_MAX: none */

    /* network; version 0: not IP, the rest is zero */
    union wire_addr source, destination;
    uint16_t source_port, destination_port; /* TCP, UDP */
    uint8_t version;                        /* 4 or 6 */
    uint8_t protocol; /* of what the transport offset points at; for later fragments what the first says */
    uint8_t reached;  /* enum wire_reached: headers up to here are sound; TRANSPORT also for protocols without
                       * a header of ours, NETWORK for fragments with an offset */
    uint8_t tcp_flags;

    uint8_t fault; /* enum wire_fault: why it goes no further */
    bool cut : 1;  /* the capture ends within a header: nobody knows what stood there. With TRANSPORT
                    * reached: only within a TCP header's options */
    bool ip_checksum_wrong : 1; /* IPv4: outbound the adapter fills it in later; inbound it is a fault, which
                                 * the host says (WIRE_FAULT_IP_CHECKSUM) */
    bool fragment : 1;          /* offset is not 0, or more fragments follow (IPv6: has a fragment header) */
    bool ip6_unfragmented_headers : 1; /* has extension headers before the fragment header */
    uint8_t no_flags : 4;              /* 0 */
    uint8_t ip_flags;                  /* WIRE_IP_* */
    uint8_t cooked;                    /* enum wire_cooked */
    uint8_t ttl;
    uint8_t traffic_class;
    uint8_t vlan_tags;
    uint8_t icmp_type;

    /* transport; not for fragments with an offset */
    uint32_t tcp_seq, tcp_ack;
    uint32_t transport_at;
    uint32_t data_at, data_length; /* payload, as sent: perhaps not all captured. Of a fragment with an
                                    * offset: what it carries */
    uint32_t ip_length; /* of the packet from its IP header on, as it says itself; if it says 0, as segments
                         * do that the adapter will split: up to the frame's end */
    uint16_t link_type;
    uint16_t ether_type; /* of what follows the link header; 0: none (802.3 length, raw IP) */
    uint16_t vlan;       /* of the outermost tag, WIRE_NO_VLAN: none */
    uint16_t tcp_window;
    uint16_t transport_header_size; /* TCP with options; UDP 8; ICMP and ICMPv6 8 (4 if shorter); others 0 */
    uint16_t ip_header_size;        /* with options, with IPv6 extension headers */
    uint16_t fragment_offset;       /* bytes */
    uint16_t icmp_id;               /* echo */
    uint32_t fragment_id;
    uint32_t fragment_header_at; /* IPv6: where the fragment header stands */
    uint32_t fault_at;
    uint16_t icmp_sequence; /* echo */
    uint8_t icmp_code;
    uint8_t nothing; /* 0, as no_flags: packets are compared by their bytes */
};
_Static_assert(sizeof(struct wire_packet) == 128, "two cache lines");

/* Reads a frame. Always leaves a sound *out. IPv4's own checksum is looked at, but ends nothing
 * (ip_checksum_wrong). */
void wire_parse(uint16_t link_type, const uint8_t *frame, uint32_t captured, uint32_t length,
                struct wire_packet *out);

/* Reads from an IP header on (a reassembled or a loose packet): as link type RAW, reached is at least LINK.
 */
void wire_parse_ip(const uint8_t *packet, uint32_t captured, uint32_t length, struct wire_packet *out);

/* The packet that an ICMP or ICMPv6 error quotes; out is as wire_parse_ip()'s with `length` and data_length
 * as far as quoted (ip_length as its header says). Its header's checksum and its length are not checked.
 * False: no error message, or nothing of use is quoted. out->reached == WIRE_TRANSPORT: ports are there (cut
 * is set if not all of the transport header is). */
bool wire_icmp_quote(const struct wire_packet *error, struct wire_packet *out);
bool wire_is_icmp_error(const struct wire_packet *p);

/* Is the transport checksum right? True also where it cannot be known (cut, fragment, a length left open for
 * the adapter), where there is none
 * (UDP over IPv4), and where it holds the pseudo header's sum alone, which is what a capture sees of a packet
 * whose checksum the adapter fills in later. */
bool wire_verify(const struct wire_packet *p);

/* What a stack leaves to its adapter, and what the adapter does: of a whole TCP or UDP packet the checksum becomes the pseudo
 * header's sum alone; the right one, if it was that. `frame`: the packet's own bytes, which the caller may write. False:
 * nothing was written (a fragment, cut, no checksum, another sum). */
bool wire_sum_leave(const struct wire_packet *p, uint8_t *frame);
bool wire_sum_finish(const struct wire_packet *p, uint8_t *frame);

/* One's complement sum of bytes, to be folded; `sum` carries on from a piece of even size. Any alignment.
 * Numbers are added as bytes in network order. */
uint64_t wire_sum(const uint8_t *bytes, size_t size, uint64_t sum);
uint16_t wire_fold(uint64_t sum); /* the checksum to store, in host order */

/* ---- fragments (split.c) ------------------------------------------------------------------------------- */

/* A packet on its way to be cut; the caller's bytes stay as long as it is used. The members are split.c's. */
struct wire_split {
    const uint8_t *packet;
    uint32_t size, mtu, id, header, at, before, field;
    uint8_t version;
    bool more;
};
/* `size` bytes from an IP header on, for a link of `mtu` bytes. id: of IPv6's pieces, and of IPv4's where the header
 * says 0. False: it fits, may not be cut (don't fragment), or makes no sense; then there are no pieces. */
bool wire_split_begin(struct wire_split *s, const uint8_t *packet, uint32_t size, uint32_t mtu, uint32_t id);
/* The next piece, into room of mtu bytes; its size, 0: that was all. */
uint32_t wire_split_next(struct wire_split *s, uint8_t *out);

/* ---- addresses ----------------------------------------------------------------------------------------- */
bool wire_addr_equal(const union wire_addr *a, const union wire_addr *b);
bool wire_addr_is_multicast(uint8_t version, const union wire_addr *a);
bool wire_addr_is_loopback(uint8_t version, const union wire_addr *a);
bool wire_addr_is_unspecified(uint8_t version, const union wire_addr *a);
bool wire_addr_is_link_local(uint8_t version, const union wire_addr *a);
#define WIRE_ADDR_TEXT 46
const char *wire_addr_format(uint8_t version, const union wire_addr *a, char out[WIRE_ADDR_TEXT]);
/* "10.0.0.1", "fe80::1", with a prefix length if `bits` is not NULL ("10.0.0.0/8"; without one: 32, 128).
 * Returns the version, or 0. */
uint8_t wire_addr_parse(const char *text, union wire_addr *out, unsigned *bits);

#endif
