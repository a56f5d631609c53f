/* SPDX-License-Identifier: Apache-2.0 */
/* fault: the faults of packets in words, for messages and events. */
#include "wire/wire.h"

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
        [WIRE_FAULT_FIRST_FRAGMENT] = "the first fragment ends within its headers",
        [WIRE_FAULT_TRANSPORT_SHORT] = "the packet ends within the transport header",
        [WIRE_FAULT_TCP_OFFSET] = "the TCP data offset is below 5 or beyond the segment",
        [WIRE_FAULT_TCP_OPTION] = "a TCP option runs over the header",
        [WIRE_FAULT_UDP_LENGTH] = "the UDP length is below 8 or beyond the packet",
        [WIRE_FAULT_CHECKSUM] = "the transport checksum is wrong",
    };

    return (unsigned)f < sizeof(words) / sizeof(words[0]) ? words[f] : "an unknown fault";
}
