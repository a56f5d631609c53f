/* SPDX-License-Identifier: Apache-2.0 */
/* link: the frame's own header. */
#include "wire/wire.h"

#include <string.h>

bool wire_link_known(uint16_t link_type)
{
    switch (link_type) {
    case WIRE_LINK_NULL:
    case WIRE_LINK_ETHERNET:
    case WIRE_LINK_RAW_BSD:
    case WIRE_LINK_RAW_OPENBSD:
    case WIRE_LINK_RAW:
    case WIRE_LINK_LOOP:
    case WIRE_LINK_LINUX_SLL:
    case WIRE_LINK_IPV4:
    case WIRE_LINK_IPV6:
    case WIRE_LINK_LINUX_SLL2:
        return true;
    default:
        return false;
    }
}

const char *wire_fault_words(enum wire_fault f)
{
    static const char *const words[] = {
        [WIRE_OK] = "nothing is wrong",
        [WIRE_FAULT_LINK_SHORT] = "the frame ends within its link header",
        [WIRE_FAULT_IP_VERSION] = "the IP version is not the one announced",
        [WIRE_FAULT_IP_SHORT] = "the packet is shorter than an IP header",
        [WIRE_FAULT_IP_HEADER_LENGTH] = "the IPv4 header length is below 20 or beyond the packet",
        [WIRE_FAULT_IP_TOTAL_LENGTH] = "the IP length is below the header's or beyond the frame",
        [WIRE_FAULT_IP_CHECKSUM] = "the IPv4 header checksum is wrong",
        [WIRE_FAULT_IP_OPTION] = "an IPv4 option runs over the header",
        [WIRE_FAULT_IP6_EXTENSION] = "an IPv6 extension header runs over the packet or is out of place",
        [WIRE_FAULT_IP6_OPTION] = "an IPv6 option demands a discard or runs over its header",
        [WIRE_FAULT_IP6_JUMBOGRAM] = "a jumbogram",
        [WIRE_FAULT_FRAGMENT] = "a fragment's size is not a multiple of 8 or its end is beyond 65,535",
        [WIRE_FAULT_TRANSPORT_SHORT] = "the packet ends within the transport header",
        [WIRE_FAULT_TCP_OFFSET] = "the TCP data offset is below 5 or beyond the segment",
        [WIRE_FAULT_TCP_OPTION] = "a TCP option runs over the header",
        [WIRE_FAULT_UDP_LENGTH] = "the UDP length is below 8 or beyond the packet",
        [WIRE_FAULT_CHECKSUM] = "the transport checksum is wrong",
    };

    return (unsigned)f < sizeof(words) / sizeof(words[0]) ? words[f] : "an unknown fault";
}

void wire_parse(uint16_t link_type, const uint8_t *frame, uint32_t captured, uint32_t length,
                struct wire_packet *out)
{
    memset(out, 0, sizeof(*out));
    out->frame = frame;
    out->captured = captured;
    out->length = length;
    out->link_type = link_type;
    out->vlan = WIRE_NO_VLAN;
    out->mac_at = UINT32_MAX;
    out->fault = WIRE_FAULT_LINK_SHORT;
}

void wire_parse_ip(const uint8_t *packet, uint32_t captured, uint32_t length, struct wire_packet *out)
{
    wire_parse(WIRE_LINK_RAW, packet, captured, length, out);
}
