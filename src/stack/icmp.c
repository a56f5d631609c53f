/* SPDX-License-Identifier: Apache-2.0 */
/*
 * icmp: echo is answered, errors are sent (RFC 792, RFC 1122 3.2.2, RFC 4443) and those that come are handed to
 * the sockets whose packets they quote.
 *
 * No error is sent about an error, a later fragment, or what came for or from more than one. An error that came
 * is believed as far as its quotation fits a socket: TCP's has to quote a sequence number that is under way.
 */
#include "stack/internal.h"
#include "wire/cursor.h"

enum {
    ECHO_REPLY = 0,
    ECHO = 8,
    ECHO6 = 128,
    ECHO6_REPLY = 129,
    QUOTE4 = 548, /* a whole error of 576 bytes */
    QUOTE6 = 1232,
};

/* What it is called in either version. */
static const struct {
    uint8_t type4, code4, type6, code6;
} errors[] = {
    [ICMP_NO_ROUTE] = {3, 0, 1, 0}, [ICMP_NO_PROTOCOL] = {3, 2, 4, 1}, [ICMP_NO_PORT] = {3, 3, 1, 4},
    [ICMP_TOO_BIG] = {3, 4, 2, 0},  [ICMP_HOPS] = {11, 0, 3, 0},       [ICMP_REASSEMBLY] = {11, 1, 3, 1},
};

static bool may_be_told(const struct stack *s, const struct wire_packet *p, enum icmp_error e)
{
    bool many = wire_addr_is_multicast(p->version, &p->destination) ||
                net_is_broadcast(s, p->version, &p->destination);

    if (many && !(p->version == 6 && e == ICMP_TOO_BIG))
        return false;
    if (wire_is_icmp_error(p) || p->fragment_offset != 0)
        return false;
    /* Cut off or a fragment, an ICMP message's type may not have been read. */
    if (p->reached != WIRE_TRANSPORT &&
        p->protocol == (p->version == 4 ? WIRE_PROTOCOL_ICMP : WIRE_PROTOCOL_ICMPV6))
        return false;
    return !wire_addr_is_unspecified(p->version, &p->source) &&
           !wire_addr_is_multicast(p->version, &p->source) && !net_is_broadcast(s, p->version, &p->source);
}

void icmp_tell(struct stack *s, const struct wire_packet *p, enum icmp_error e, uint32_t mtu)
{
    const uint8_t *quoted = p->frame + p->ip_at;
    uint32_t size = p->captured - p->ip_at, most = p->version == 4 ? QUOTE4 : QUOTE6;
    struct outgoing o = {.version = p->version, .destination = &p->source};
    union wire_addr source;
    uint8_t *h;
    int why;

    if (!may_be_told(s, p, e))
        return;
    if (net_address(s, p->version, &p->destination) != NULL)
        source = p->destination;
    else if (!net_source(s, p->version, &p->source, &source))
        return;
    o.source = &source;
    o.protocol = p->version == 4 ? WIRE_PROTOCOL_ICMP : WIRE_PROTOCOL_ICMPV6;
    size = size > p->ip_length && p->ip_length != 0 ? p->ip_length : size;
    size = size > most ? most : size;
    h = ip_begin(s, p->version, ICMP_HEADER + size);
    if (h == NULL)
        return;
    h[0] = p->version == 4 ? errors[e].type4 : errors[e].type6;
    h[1] = p->version == 4 ? errors[e].code4 : errors[e].code6;
    put16(h + 2, 0);
    put32(h + 4, e == ICMP_TOO_BIG ? mtu : e == ICMP_NO_PROTOCOL && p->version == 6 ? 6 : 0);
    memcpy(h + ICMP_HEADER, quoted, size);
    (void)ip_send(s, &o, ICMP_HEADER + size, 2, &why);
}

/* ---- errors that came ----------------------------------------------------------------------------------- */

/* What it means to a socket; 0: nothing. */
static int meaning(const struct wire_packet *p, bool *too_big)
{
    *too_big = p->version == 4 ? p->icmp_type == 3 && p->icmp_code == 4 : p->icmp_type == 2;
    if (*too_big)
        return -EMSGSIZE;
    if (p->version == 4) {
        if (p->icmp_type == 3)
            return p->icmp_code == 3 || p->icmp_code == 2 ? -ECONNREFUSED : -EHOSTUNREACH;
        return p->icmp_type == 11 || p->icmp_type == 12 ? -EHOSTUNREACH : 0;
    }
    if (p->icmp_type == 1)
        return p->icmp_code == 4 ? -ECONNREFUSED : -EHOSTUNREACH;
    return p->icmp_type == 3 || p->icmp_type == 4 ? -EHOSTUNREACH : 0;
}

static void error_input(struct stack *s, const struct wire_packet *p)
{
    struct wire_packet q;
    struct stack_socket *k;
    bool too_big, ports;
    int error = meaning(p, &too_big);
    uint32_t mtu;

    if (error == 0 || !wire_icmp_quote(p, &q) || q.reached != WIRE_TRANSPORT ||
        net_address(s, q.version, &q.source) == NULL)
        return;
    ports = q.protocol == WIRE_PROTOCOL_TCP || q.protocol == WIRE_PROTOCOL_UDP;
    k = socket_find(s, q.version, q.protocol, &q.source, ports ? q.source_port : q.icmp_id, &q.destination,
                    ports ? q.destination_port : 0);
    if (k == NULL) /* not connected, but it was sent from there */
        k = socket_bound(s, q.version, q.protocol, &q.source, ports ? q.source_port : q.icmp_id, NULL);
    if (k == NULL)
        return;
    if (too_big) {
        mtu = wire_get32(p->frame + p->transport_at + 4);
        if (p->version == 4)
            mtu &= 0xffff;
        if (is_tcp(k) && !tcp_is_under_way(tcp_of(k), q.tcp_seq))
            return;
        net_path_mtu(s, q.version, &q.destination, mtu);
    }
    if (is_tcp(k))
        tcp_error(tcp_of(k), q.tcp_seq, too_big, error);
    else if (!too_big)
        datagram_error(k, error);
}

/* ---- messages ------------------------------------------------------------------------------------------- */

static void answer_echo(struct stack *s, const struct wire_packet *p)
{
    const uint8_t *message = p->frame + p->transport_at;
    uint32_t size = p->ip_length - p->ip_header_size;
    struct outgoing o = {.version = p->version, .protocol = p->protocol, .destination = &p->source};
    union wire_addr source = p->destination;
    uint8_t *h;
    int why;

    if (net_address(s, p->version, &source) == NULL && !net_source(s, p->version, &p->source, &source))
        return;
    h = ip_begin(s, p->version, size);
    if (h == NULL)
        return;
    memcpy(h, message, size);
    h[0] = p->version == 4 ? ECHO_REPLY : ECHO6_REPLY;
    put16(h + 2, 0);
    o.source = &source;
    (void)ip_send(s, &o, size, 2, &why);
}

void icmp_input(struct stack *s, const struct wire_packet *p)
{
    if (wire_is_icmp_error(p)) {
        error_input(s, p);
        return;
    }
    if (p->icmp_type == (p->version == 4 ? ECHO : ECHO6) && p->icmp_code == 0)
        answer_echo(s, p);
    else if (p->icmp_type == (p->version == 4 ? ECHO_REPLY : ECHO6_REPLY) && p->icmp_code == 0)
        (void)datagram_input(s, p);
    else
        s->counts.discarded++;
}
