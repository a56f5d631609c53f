/* SPDX-License-Identifier: Apache-2.0 */
/* icmp: errors and the packets that they quote. */
#include "wire/wire.h"

bool wire_is_icmp_error(const struct wire_packet *p)
{
    if (p->reached != WIRE_TRANSPORT || p->fragment_offset != 0)
        return false;
    if (p->version == 4 && p->protocol == WIRE_PROTOCOL_ICMP)
        return p->icmp_type == 3 || p->icmp_type == 4 || p->icmp_type == 5 || p->icmp_type == 11 ||
               p->icmp_type == 12;
    return p->version == 6 && p->protocol == WIRE_PROTOCOL_ICMPV6 && p->icmp_type < 128;
}

bool wire_icmp_quote(const struct wire_packet *error, struct wire_packet *out)
{
    wire_parse_ip(error->frame, 0, 0, out);
    return false;
}

bool wire_verify(const struct wire_packet *p)
{
    return p->reached != WIRE_TRANSPORT;
}
