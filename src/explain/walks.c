/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walks as tables. A layer that an operation meets more than once with the same values (the packets of a
 * handshake, of data) stands where it comes first; asking it again would give the same answer.
 */
#include "explain/walks.h"

#include <stddef.h>

/* ORD-02, 04, 05, 08: bind, connect, SYN, SYN-ACK, established, data. */
static const struct explain_walk_step connect_tcp[] = {
    {"ALE_BIND_REDIRECT", "bind", AT_BIND, 0},
    {"ALE_RESOURCE_ASSIGNMENT", "bind", AT_BIND, 0},
    {"ALE_CONNECT_REDIRECT", "connect", AT_AUTH, 'o'},
    {"ALE_AUTH_CONNECT", "connect", AT_AUTH, 'o'},
    {"STREAM_PACKET", "SYN out", AT_PACKET, 'o'},
    {"OUTBOUND_TRANSPORT", "SYN out", AT_PACKET, 'o'},
    {"OUTBOUND_IPPACKET", "SYN out", AT_PACKET, 'o'},
    {"INBOUND_IPPACKET", "SYN-ACK in", AT_PACKET, 'i'},
    {"INBOUND_TRANSPORT", "SYN-ACK in", AT_PACKET, 'i'},
    {"STREAM_PACKET", "SYN-ACK in", AT_PACKET, 'i'},
    {"ALE_FLOW_ESTABLISHED", "established", AT_AUTH, 'o'},
    {"STREAM", "data", AT_PACKET, 'o'}, /* MATCH-20: the connection's direction, whichever way data goes */
};

/* ORD-09, 10, 13: UDP, ICMP and others; the first packet, then an answer. */
static const struct explain_walk_step connect_other[] = {
    {"ALE_BIND_REDIRECT", "bind", AT_BIND, 0},
    {"ALE_RESOURCE_ASSIGNMENT", "bind", AT_BIND, 0},
    {"ALE_CONNECT_REDIRECT", "connect", AT_AUTH, 'o'},
    {"ALE_AUTH_CONNECT", "connect", AT_AUTH, 'o'},
    {"ALE_FLOW_ESTABLISHED", "established", AT_AUTH, 'o'},
    {"DATAGRAM_DATA", "first packet out", AT_PACKET, 'o'},
    {"OUTBOUND_TRANSPORT", "first packet out", AT_PACKET, 'o'},
    {"OUTBOUND_IPPACKET", "first packet out", AT_PACKET, 'o'},
    {"INBOUND_IPPACKET", "answer in", AT_PACKET, 'i'},
    {"INBOUND_TRANSPORT", "answer in", AT_PACKET, 'i'},
    {"DATAGRAM_DATA", "answer in", AT_PACKET, 'i'},
};

/* ORD-03, 04, 05, 08. */
static const struct explain_walk_step accept_tcp[] = {
    {"INBOUND_IPPACKET", "SYN in", AT_PACKET, 'i'},
    {"INBOUND_TRANSPORT", "SYN in", AT_PACKET, 'i'},
    {"ALE_AUTH_RECV_ACCEPT", "accept", AT_AUTH, 'i'},
    {"STREAM_PACKET", "SYN in", AT_PACKET, 'i'},
    {"STREAM_PACKET", "SYN-ACK out", AT_PACKET, 'o'},
    {"OUTBOUND_TRANSPORT", "SYN-ACK out", AT_PACKET, 'o'},
    {"OUTBOUND_IPPACKET", "SYN-ACK out", AT_PACKET, 'o'},
    {"ALE_FLOW_ESTABLISHED", "established", AT_AUTH, 'i'},
    {"STREAM", "data", AT_PACKET, 'i'},
};

/* ORD-10, 09. */
static const struct explain_walk_step accept_other[] = {
    {"INBOUND_IPPACKET", "first packet in", AT_PACKET, 'i'},
    {"INBOUND_TRANSPORT", "first packet in", AT_PACKET, 'i'},
    {"ALE_AUTH_RECV_ACCEPT", "accept", AT_AUTH, 'i'},
    {"ALE_FLOW_ESTABLISHED", "established", AT_AUTH, 'i'},
    {"DATAGRAM_DATA", "first packet in", AT_PACKET, 'i'},
    {"DATAGRAM_DATA", "answer out", AT_PACKET, 'o'},
    {"OUTBOUND_TRANSPORT", "answer out", AT_PACKET, 'o'},
    {"OUTBOUND_IPPACKET", "answer out", AT_PACKET, 'o'},
};

/* ORD-01 */
static const struct explain_walk_step listen_tcp[] = {
    {"ALE_BIND_REDIRECT", "bind", AT_BIND, 0},
    {"ALE_RESOURCE_ASSIGNMENT", "bind", AT_BIND, 0},
    {"ALE_AUTH_LISTEN", "listen", AT_BIND, 0},
};

static const struct explain_walk_step bind_any[] = {
    {"ALE_BIND_REDIRECT", "bind", AT_BIND, 0},
    {"ALE_RESOURCE_ASSIGNMENT", "bind", AT_BIND, 0},
};

/* ORD-05, 08 */
static const struct explain_walk_step packet_out_tcp[] = {
    {"STREAM", "data out", AT_PACKET, 'o'},
    {"STREAM_PACKET", "packet out", AT_PACKET, 'o'},
    {"OUTBOUND_TRANSPORT", "packet out", AT_PACKET, 'o'},
    {"OUTBOUND_IPPACKET", "packet out", AT_PACKET, 'o'},
};
static const struct explain_walk_step packet_in_tcp[] = {
    {"INBOUND_IPPACKET", "packet in", AT_PACKET, 'i'},
    {"INBOUND_TRANSPORT", "packet in", AT_PACKET, 'i'},
    {"STREAM_PACKET", "packet in", AT_PACKET, 'i'},
    {"STREAM", "data in", AT_PACKET, 'i'},
};

/* ORD-09, 10 */
static const struct explain_walk_step packet_out_other[] = {
    {"DATAGRAM_DATA", "packet out", AT_PACKET, 'o'},
    {"OUTBOUND_TRANSPORT", "packet out", AT_PACKET, 'o'},
    {"OUTBOUND_IPPACKET", "packet out", AT_PACKET, 'o'},
};
static const struct explain_walk_step packet_in_other[] = {
    {"INBOUND_IPPACKET", "packet in", AT_PACKET, 'i'},
    {"INBOUND_TRANSPORT", "packet in", AT_PACKET, 'i'},
    {"DATAGRAM_DATA", "packet in", AT_PACKET, 'i'},
};

/* ORD-13 */
static const struct explain_walk_step error_out[] = {
    {"OUTBOUND_ICMP_ERROR", "ICMP error out", AT_PACKET, 'o'},
    {"OUTBOUND_TRANSPORT", "ICMP error out", AT_PACKET, 'o'},
    {"OUTBOUND_IPPACKET", "ICMP error out", AT_PACKET, 'o'},
};
static const struct explain_walk_step error_in[] = {
    {"INBOUND_IPPACKET", "ICMP error in", AT_PACKET, 'i'},
    {"INBOUND_TRANSPORT", "ICMP error in", AT_PACKET, 'i'},
    {"INBOUND_ICMP_ERROR", "ICMP error in", AT_PACKET, 'i'},
};

/* ORD-14 */
static const struct explain_walk_step forward[] = {
    {"IPFORWARD", "forwarded packet", AT_FORWARD, 'f'},
};

#define WALK(table)    (*count = sizeof(table) / sizeof(table)[0], (table))
#define PROTOCOL_TCP   6
#define PROTOCOL_UDP   17
#define PROTOCOL_ICMP  1
#define PROTOCOL_ICMP6 58

bool explain_has_ports(UINT8 protocol)
{
    return protocol == PROTOCOL_TCP || protocol == PROTOCOL_UDP;
}

bool explain_is_icmp(UINT8 protocol, char family)
{
    return protocol == (family == '6' ? PROTOCOL_ICMP6 : PROTOCOL_ICMP);
}

bool explain_icmp_error(const struct explain_question *q)
{
    if (!explain_is_icmp(q->protocol, q->family) || !q->icmp_type_known)
        return false;
    if (q->family == '6')
        return q->icmp_type < 128; /* RFC 4443 2.1 */
    return q->icmp_type == 3 || q->icmp_type == 4 || q->icmp_type == 5 || q->icmp_type == 11 ||
           q->icmp_type == 12;
}

static const struct explain_walk_step *walk_packet(const struct explain_question *q, size_t *count)
{
    if (q->direction == 'f')
        return WALK(forward);
    if (explain_icmp_error(q))
        return q->direction == 'o' ? WALK(error_out) : WALK(error_in);
    if (q->protocol == PROTOCOL_TCP)
        return q->direction == 'o' ? WALK(packet_out_tcp) : WALK(packet_in_tcp);
    return q->direction == 'o' ? WALK(packet_out_other) : WALK(packet_in_other);
}

const struct explain_walk_step *explain_walk(const struct explain_question *q, size_t *count,
                                             const char **error)
{
    bool tcp = q->protocol == PROTOCOL_TCP;

    if (q->op != EXPLAIN_PACKET && q->op != EXPLAIN_BIND && explain_icmp_error(q)) {
        *error = "an ICMP error belongs to no connection: ask about it as a packet";
        return NULL;
    }
    switch (q->op) {
    case EXPLAIN_CONNECT:
        return tcp ? WALK(connect_tcp) : WALK(connect_other);
    case EXPLAIN_ACCEPT:
        return tcp ? WALK(accept_tcp) : WALK(accept_other);
    case EXPLAIN_LISTEN:
        if (tcp)
            return WALK(listen_tcp);
        *error = "only TCP listens; for other protocols ask about the bind, and about the accept of a first "
                 "packet";
        return NULL;
    case EXPLAIN_BIND:
        return WALK(bind_any);
    case EXPLAIN_PACKET:
        break;
    }
    return walk_packet(q, count);
}
