/* SPDX-License-Identifier: Apache-2.0 */
/*
 * datagram: sockets without connections: UDP, echo (its port is the identifier), raw (it has no ports).
 *
 *   NEW --bind--> BOUND --connect--> CONNECTED: sends there, and takes from there alone
 *
 * A datagram goes to the connected socket that fits, else to one that is bound to the address, else to one bound to any;
 * of multicast and broadcast each socket that wants it gets one. What the answer of config.send() holds back
 * stands in `out`, with all that is sent after it, until stack_resume().
 */
#include "stack/internal.h"

static uint32_t header_size(const struct stack_socket *k)
{
    if (k->protocol == WIRE_PROTOCOL_UDP)
        return UDP_HEADER;
    return k->protocol == WIRE_PROTOCOL_ICMP || k->protocol == WIRE_PROTOCOL_ICMPV6 ? ICMP_HEADER : 0;
}

/* ---- in ------------------------------------------------------------------------------------------------- */

static bool is_member(const struct datagram_socket *d, const union wire_addr *group)
{
    for (uint32_t i = 0; i < d->group_count; i++) {
        if (wire_addr_equal(&d->groups[i].address, group))
            return true;
    }
    return false;
}

static void take(struct stack_socket *k, const struct wire_packet *p)
{
    struct record head = {.address = p->source, .size = p->data_length, .port = p->source_port};
    const uint8_t *bytes = p->frame + p->data_at;

    if (k->protocol == WIRE_PROTOCOL_ICMP || k->protocol == WIRE_PROTOCOL_ICMPV6)
        head.port = p->icmp_sequence;
    if (!record_push(&k->in, &head, bytes)) {
        k->stack->counts.discarded++;
        return;
    }
    stack_tell(k, STACK_EVENT_READABLE);
}

static bool from_its_peer(const struct stack_socket *k, const struct wire_packet *p)
{
    return !k->has_peer || (wire_addr_equal(&k->remote, &p->source) &&
                            (k->protocol != WIRE_PROTOCOL_UDP || k->remote_port == p->source_port));
}

bool datagram_input(struct stack *s, const struct wire_packet *p)
{
    const bool multicast = wire_addr_is_multicast(p->version, &p->destination);
    const bool many = multicast || net_is_broadcast(s, p->version, &p->destination);
    const bool udp = p->protocol == WIRE_PROTOCOL_UDP;
    uint16_t port = udp ? p->destination_port : p->icmp_id;
    struct stack_socket *k = NULL, *best = NULL;
    bool any = false;

    while ((k = socket_bound(s, p->version, p->protocol, many ? NULL : &p->destination, port, k)) != NULL) {
        if (!from_its_peer(k, p))
            continue;
        if (many) {
            if (multicast && !is_member(datagram_of(k), &p->destination))
                continue;
            take(k, p);
            any = true;
            continue;
        }
        if (best == NULL || (k->has_peer && !best->has_peer) ||
            (k->has_peer == best->has_peer && wire_addr_is_unspecified(k->version, &best->local) &&
             !wire_addr_is_unspecified(k->version, &k->local)))
            best = k;
    }
    if (best != NULL)
        take(best, p);
    return any || best != NULL || many;
}

void datagram_error(struct stack_socket *k, int error)
{
    if (!k->has_peer)
        return; /* whose it would be is not known to who sent to many */
    k->error = error;
    stack_tell(k, STACK_EVENT_READABLE);
}

long datagram_receive(struct stack_socket *k, uint8_t *out, size_t size, union wire_addr *from,
                      uint16_t *port)
{
    struct record head;
    uint32_t n;

    if (k->error != 0) {
        int error = k->error;

        k->error = 0;
        return error;
    }
    if (!record_peek(&k->in, &head))
        return k->bound ? -EAGAIN : -EINVAL;
    n = record_pop(&k->in, &head, out, size < UINT32_MAX ? (uint32_t)size : UINT32_MAX);
    if (from != NULL)
        *from = head.address;
    if (port != NULL)
        *port = head.port;
    return n;
}

/* ---- out ------------------------------------------------------------------------------------------------ */

/* Is it the first one there, as far as is remembered? */
static bool first_to(struct datagram_socket *d, const union wire_addr *to, uint16_t port)
{
    for (uint32_t i = 0; i < d->peer_count; i++) {
        if (d->peers[i].port == port && wire_addr_equal(&d->peers[i].address, to))
            return false;
    }
    d->peers[d->peer_next] = (struct record){.address = *to, .port = port};
    d->peer_next = (d->peer_next + 1) % PEERS;
    if (d->peer_count < PEERS)
        d->peer_count++;
    return true;
}

static void write_head(struct stack_socket *k, uint16_t port, uint32_t size, uint8_t *h)
{
    if (k->protocol == WIRE_PROTOCOL_UDP) {
        put16(h, k->local_port);
        put16(h + 2, port);
        put16(h + 4, UDP_HEADER + size);
        put16(h + 6, 0);
    } else if (header_size(k) != 0) {
        h[0] = k->version == 4 ? 8 : 128;
        h[1] = 0;
        put16(h + 2, 0);
        put16(h + 4, k->local_port);
        put16(h + 6, datagram_of(k)->sequence++);
    }
}

static enum stack_sent send_one(struct stack_socket *k, const struct record *r, const uint8_t *bytes,
                                int *why)
{
    static const uint32_t sums[3] = {UINT32_MAX, 6, 2};
    struct stack *s = k->stack;
    uint32_t header = header_size(k);
    uint32_t sum = sums[header == 0 ? 0 : k->protocol == WIRE_PROTOCOL_UDP ? 1 : 2];
    union wire_addr source = k->local;
    struct outgoing o = {.version = k->version,
                         .protocol = k->protocol,
                         .socket = k,
                         .destination = &r->address,
                         .source = &source,
                         .begins = r->begins != 0};
    enum stack_sent sent;
    uint8_t *h;

    if (wire_addr_is_unspecified(k->version, &source) && !net_source(s, k->version, &r->address, &source)) {
        *why = -ENETUNREACH;
        return STACK_SENT;
    }
    h = ip_begin(s, k->version, header + r->size);
    if (h == NULL) {
        *why = -ENOBUFS;
        return STACK_SENT;
    }
    write_head(k, r->port, r->size, h);
    if (bytes != NULL)
        memcpy(h + header, bytes, r->size);
    else
        ring_read(&k->out, (uint32_t)sizeof(*r), h + header, r->size);
    k->answer = 0;
    k->asking = true;
    sent = ip_send(s, &o, header + r->size, sum, why);
    k->asking = false;
    return sent;
}

/* What a decision lets go. */
static void flush(struct stack_socket *k)
{
    struct record r;
    int why;

    while (!k->held && !k->dead && record_peek(&k->out, &r)) {
        enum stack_sent sent = send_one(k, &r, NULL, &why);

        if (k->dead)
            return;
        if (sent == STACK_HELD && k->answer == 0) {
            k->held = true;
            return;
        }
        if (sent == STACK_HELD && k->answer > 0) {
            r.begins = 0;
            ring_write(&k->out, 0, (const uint8_t *)&r, sizeof(r));
            continue;
        }
        if (sent == STACK_HELD || sent == STACK_DENIED)
            k->error = -EACCES;
        record_pop(&k->out, &r, NULL, 0);
    }
    if (k->out.used == 0)
        stack_tell(k, STACK_EVENT_WRITABLE);
}

void datagram_resume(struct stack_socket *k, bool permitted)
{
    struct record r;

    if (!k->held)
        return;
    k->held = false;
    if (!record_peek(&k->out, &r))
        return;
    if (permitted) {
        r.begins = 0;
        ring_write(&k->out, 0, (const uint8_t *)&r, sizeof(r));
    } else {
        record_pop(&k->out, &r, NULL, 0);
        k->error = -EACCES;
        stack_tell(k, STACK_EVENT_READABLE);
    }
    flush(k);
}

long datagram_send(struct stack_socket *k, const union wire_addr *to, uint16_t port, const uint8_t *bytes,
                   size_t size)
{
    struct record r = {.address = *to, .port = port};
    enum stack_sent sent;
    int why = 0;

    if (size > (size_t)IP_LARGEST - ip_header_size(k->version) - header_size(k))
        return -EMSGSIZE;
    if (k->error != 0) {
        why = k->error;
        k->error = 0;
        return why;
    }
    r.size = (uint32_t)size;
    r.begins = first_to(datagram_of(k), to, port);
    if (k->held || k->out.used != 0)
        return record_push(&k->out, &r, bytes) ? (long)size : -EAGAIN;
    sent = send_one(k, &r, bytes, &why);
    if (k->dead)
        return -EPIPE;
    if (sent == STACK_HELD) {
        if (k->answer < 0)
            return -EACCES;
        if (!record_push(&k->out, &r, bytes))
            return -EAGAIN;
        k->held = true;
        if (k->answer > 0)
            datagram_resume(k, true);
        return (long)size;
    }
    if (sent == STACK_DENIED)
        return -EACCES;
    return why != 0 ? why : (long)size;
}
