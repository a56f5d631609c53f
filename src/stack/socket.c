/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socket: the calls of the door, ports, and the two tables that sockets are found in.
 *
 *   bound      by version, protocol and port: who may be asked      connected   by both ends: whose it is
 *
 * A port is free for another socket if their addresses differ, or both said `reuse`; connections that a listener
 * made, and those that were let go, keep only their pair of ends. A new connection's port is the next one after the
 * last that no socket has.
 */
#include <stdlib.h>

#include "stack/internal.h"

/* ---- tables --------------------------------------------------------------------------------------------- */

static uint32_t hash64(uint64_t x)
{
    x *= 0x9e3779b97f4a7c15ull;
    x ^= x >> 29;
    x *= 0xbf58476d1ce4e5b9ull;
    return (uint32_t)(x >> 32);
}

static uint32_t port_hash(uint8_t version, uint8_t protocol, uint16_t port)
{
    return hash64((uint64_t)version << 32 | (uint32_t)protocol << 16 | port);
}

static uint32_t pair_hash(uint8_t version, uint8_t protocol, const union wire_addr *local,
                          uint16_t local_port, const union wire_addr *remote, uint16_t remote_port)
{
    uint64_t h = port_hash(version, protocol, local_port);

    h = h * 31 + hash64(local->word[0] ^ local->word[1] * 3);
    h = h * 31 + hash64(remote->word[0] ^ remote->word[1] * 5);
    return hash64(h * 31 + remote_port);
}

static uint32_t socket_hash(const struct stack_socket *k, bool connected)
{
    return connected
               ? pair_hash(k->version, k->protocol, &k->local, k->local_port, &k->remote, k->remote_port)
               : port_hash(k->version, k->protocol, k->local_port);
}

static struct stack_socket **link_of(struct stack_socket *k, bool connected)
{
    return connected ? &k->peer_next : &k->bound_next;
}

static bool table_room(struct table *t, bool connected)
{
    uint32_t room = t->heads != NULL ? (t->mask + 1) * 2 : 16;
    struct stack_socket **heads;

    if (t->heads != NULL && t->count <= t->mask)
        return true;
    heads = calloc(room, sizeof(*heads));
    if (heads == NULL)
        return t->heads != NULL; /* longer chains, then */
    for (uint32_t i = 0; t->heads != NULL && i <= t->mask; i++) {
        /* Each list in its order, so that what was first is found first. */
        struct stack_socket *k = t->heads[i];

        while (k != NULL) {
            struct stack_socket *next = *link_of(k, connected);
            struct stack_socket **at = &heads[socket_hash(k, connected) & (room - 1)];

            while (*at != NULL)
                at = link_of(*at, connected);
            *link_of(k, connected) = NULL;
            *at = k;
            k = next;
        }
    }
    free(t->heads);
    t->heads = heads;
    t->mask = room - 1;
    return true;
}

static void table_add(struct table *t, struct stack_socket *k, bool connected)
{
    struct stack_socket **at = &t->heads[socket_hash(k, connected) & t->mask];

    *link_of(k, connected) = *at;
    *at = k;
    t->count++;
}

static void table_remove(struct table *t, struct stack_socket *k, bool connected)
{
    struct stack_socket **at;

    if (t->heads == NULL)
        return;
    at = &t->heads[socket_hash(k, connected) & t->mask];
    while (*at != NULL && *at != k)
        at = link_of(*at, connected);
    if (*at == NULL)
        return;
    *at = *link_of(k, connected);
    t->count--;
}

int socket_enter_tables(struct stack_socket *k, bool bound, bool connected)
{
    struct stack *s = k->stack;

    if ((bound && !table_room(&s->bound, false)) || (connected && !table_room(&s->connected, true)))
        return -ENOMEM;
    if (bound) {
        table_add(&s->bound, k, false);
        k->bound = true;
    }
    if (connected) {
        table_add(&s->connected, k, true);
        k->has_peer = true;
    }
    return 0;
}

void socket_leave_tables(struct stack_socket *k)
{
    if (k->bound)
        table_remove(&k->stack->bound, k, false);
    if (k->has_peer)
        table_remove(&k->stack->connected, k, true);
    k->bound = k->has_peer = false;
}

static void socket_disconnect(struct stack_socket *k)
{
    if (k->has_peer)
        table_remove(&k->stack->connected, k, true);
    k->has_peer = false;
}

void socket_unbind(struct stack_socket *k)
{
    if (k->bound)
        table_remove(&k->stack->bound, k, false);
    k->bound = false;
}

struct stack_socket *socket_find(const struct stack *s, uint8_t version, uint8_t protocol,
                                 const union wire_addr *local, uint16_t local_port,
                                 const union wire_addr *remote, uint16_t remote_port)
{
    struct stack_socket *k;

    if (s->connected.heads == NULL)
        return NULL;
    k = s->connected
            .heads[pair_hash(version, protocol, local, local_port, remote, remote_port) & s->connected.mask];
    while (k != NULL && !(k->version == version && k->protocol == protocol && k->local_port == local_port &&
                          k->remote_port == remote_port && wire_addr_equal(&k->local, local) &&
                          wire_addr_equal(&k->remote, remote)))
        k = k->peer_next;
    return k;
}

/* local NULL: any address does. */
struct stack_socket *socket_bound(const struct stack *s, uint8_t version, uint8_t protocol,
                                  const union wire_addr *local, uint16_t port, struct stack_socket *after)
{
    struct stack_socket *k;

    if (s->bound.heads == NULL)
        return NULL;
    k = after != NULL ? after->bound_next
                      : s->bound.heads[port_hash(version, protocol, port) & s->bound.mask];
    while (k != NULL && !(k->version == version && k->protocol == protocol && k->local_port == port &&
                          (local == NULL || wire_addr_equal(&k->local, local) ||
                           wire_addr_is_unspecified(version, &k->local))))
        k = k->bound_next;
    return k;
}

/* ---- life ----------------------------------------------------------------------------------------------- */

struct stack_socket *socket_new(struct stack *s, uint8_t version, uint8_t protocol)
{
    const bool tcp = protocol == WIRE_PROTOCOL_TCP;
    struct stack_socket *k;

    if (s->socket_count >= s->config.limits.sockets || timers_reserve(&s->timers, s->socket_count + 2) != 0)
        return NULL;
    k = calloc(1, tcp ? sizeof(struct tcp_socket) : sizeof(struct datagram_socket));
    if (k == NULL)
        return NULL;
    k->stack = s;
    k->version = version;
    k->protocol = protocol;
    k->owned = true;
    k->timer.at = NEVER;
    k->in.limit = s->config.limits.receive_bytes;
    k->out.limit = s->config.limits.send_bytes;
    if (tcp)
        tcp_prepare(tcp_of(k));
    k->next = s->sockets;
    if (k->next != NULL)
        k->next->previous = k;
    s->sockets = k;
    s->socket_count++;
    return k;
}

int stack_open(struct stack *s, uint8_t version, uint8_t protocol, void *user, struct stack_socket **out)
{
    *out = NULL;
    if (version != 4 && version != 6)
        return -EINVAL;
    if (protocol == (version == 4 ? WIRE_PROTOCOL_ICMPV6 : WIRE_PROTOCOL_ICMP))
        return -EINVAL;
    if (s->socket_count >= s->config.limits.sockets)
        return -ENOBUFS;
    *out = socket_new(s, version, protocol);
    if (*out == NULL)
        return -ENOMEM;
    (*out)->user = user;
    return 0;
}

void *stack_user(const struct stack_socket *k)
{
    return k->user;
}

void stack_set_user(struct stack_socket *k, void *user)
{
    k->user = user;
}

void stack_close(struct stack_socket *k)
{
    struct stack *s = k->stack;

    stack_enter(s);
    if (is_tcp(k))
        tcp_close(tcp_of(k));
    else
        stack_bury(k);
    stack_leave(s);
}

void stack_wait_for_end(struct stack_socket *k)
{
    struct stack *s = k->stack;

    if (!is_tcp(k))
        return;
    stack_enter(s);
    k->leaving = true;
    if (tcp_of(k)->tcp == TCP_FIN_WAIT_2) {
        tcp_set(tcp_of(k), TCP_FIN_WAIT_2); /* for so long */
        tcp_arm(tcp_of(k));
    }
    stack_leave(s);
}

void stack_abort(struct stack_socket *k)
{
    struct stack *s = k->stack;

    stack_enter(s);
    if (is_tcp(k))
        tcp_abort(tcp_of(k));
    else
        stack_bury(k);
    stack_leave(s);
}

bool stack_connected(const struct stack *s, uint8_t version, const union wire_addr *local,
                     uint16_t local_port, const union wire_addr *remote, uint16_t remote_port)
{
    struct stack_socket *k =
        socket_find(s, version, WIRE_PROTOCOL_TCP, local, local_port, remote, remote_port);

    return k != NULL && tcp_of(k)->tcp != TCP_TIME_WAIT;
}

bool stack_fail(struct stack *s, uint8_t version, const union wire_addr *local, uint16_t local_port,
                const union wire_addr *remote, uint16_t remote_port)
{
    struct stack_socket *k =
        socket_find(s, version, WIRE_PROTOCOL_TCP, local, local_port, remote, remote_port);

    if (k == NULL)
        return false;
    stack_enter(s);
    tcp_fail(tcp_of(k));
    stack_leave(s);
    return true;
}

/* ---- ports ---------------------------------------------------------------------------------------------- */

static bool is_taken(const struct stack *s, const struct stack_socket *k, const union wire_addr *a,
                     uint16_t port, bool reuse)
{
    const bool any = wire_addr_is_unspecified(k->version, a);
    struct stack_socket *other = NULL;

    while ((other = socket_bound(s, k->version, k->protocol, any ? NULL : a, port, other)) != NULL) {
        if (other != k && !(reuse && other->reuse))
            return true;
    }
    return false;
}

static uint16_t free_port(struct stack *s, const struct stack_socket *k, const union wire_addr *a)
{
    for (unsigned n = 0; n < 16384; n++) {
        uint16_t port = s->port_next;

        s->port_next = port == 65535 ? 49152 : (uint16_t)(port + 1);
        if (!is_taken(s, k, a, port, false))
            return port;
    }
    return 0;
}

static bool has_ports(const struct stack_socket *k)
{
    return is_tcp(k) || k->protocol == WIRE_PROTOCOL_UDP || k->protocol == WIRE_PROTOCOL_ICMP ||
           k->protocol == WIRE_PROTOCOL_ICMPV6;
}

int stack_bind(struct stack_socket *k, const union wire_addr *a, uint16_t port, bool reuse)
{
    struct stack *s = k->stack;
    int error;

    if (k->bound || k->state != STACK_NEW)
        return -EINVAL;
    if (!wire_addr_is_unspecified(k->version, a) && net_address(s, k->version, a) == NULL &&
        !(wire_addr_is_multicast(k->version, a) && k->protocol == WIRE_PROTOCOL_UDP))
        return -EADDRNOTAVAIL;
    if (!has_ports(k)) {
        port = 0;
    } else if (port == 0) {
        port = free_port(s, k, a);
        if (port == 0)
            return -EADDRINUSE;
    } else if (is_taken(s, k, a, port, reuse)) {
        return -EADDRINUSE;
    }
    k->local = *a;
    k->local_port = port;
    k->reuse = reuse;
    error = socket_enter_tables(k, true, false);
    if (error != 0)
        return error;
    stack_enter(s);
    stack_set_state(k, STACK_BOUND);
    stack_leave(s);
    return 0;
}

/* ---- connections ---------------------------------------------------------------------------------------- */

int stack_listen(struct stack_socket *k, unsigned backlog)
{
    static const union wire_addr any;
    struct stack *s = k->stack;
    int error = 0;

    if (!is_tcp(k))
        return -EOPNOTSUPP;
    if (!k->bound)
        error = stack_bind(k, &any, 0, false);
    if (error != 0)
        return error;
    if (k->state != STACK_BOUND && k->state != STACK_LISTENING)
        return -EINVAL;
    tcp_of(k)->backlog =
        backlog == 0 || backlog > s->config.limits.backlog ? s->config.limits.backlog : backlog;
    stack_enter(s);
    tcp_set(tcp_of(k), TCP_LISTEN);
    stack_leave(s);
    return 0;
}

/* A connection's own end: the address that leads there, and a port, of which the pair is not taken. */
static int choose_end(struct stack_socket *k, const union wire_addr *to, uint16_t port)
{
    struct stack *s = k->stack;
    union wire_addr local = k->local;
    int error = 0;

    if (wire_addr_is_unspecified(k->version, &local) && !net_source(s, k->version, to, &local))
        return -ENETUNREACH;
    if (net_route(s, k->version, to) == 0)
        return -ENETUNREACH;
    if (k->bound)
        return socket_find(s, k->version, k->protocol, &local, k->local_port, to, port) == NULL ? 0
                                                                                                : -EADDRINUSE;
    for (unsigned n = 0; n < 16384; n++) {
        k->local_port = free_port(s, k, &local);
        if (k->local_port == 0)
            return -EADDRINUSE;
        if (socket_find(s, k->version, k->protocol, &local, k->local_port, to, port) == NULL) {
            k->local = local;
            error = socket_enter_tables(k, true, false);
            return error;
        }
    }
    return -EADDRINUSE;
}

static int connect_datagrams(struct stack_socket *k, const union wire_addr *to, uint16_t port)
{
    static const union wire_addr any;
    int error = 0;

    if (net_route(k->stack, k->version, to) == 0)
        return -ENETUNREACH;
    if (!k->bound)
        error = stack_bind(k, &any, 0, false);
    if (error != 0)
        return error;
    if (k->has_peer)
        return -EISCONN;
    k->remote = *to;
    k->remote_port = k->protocol == WIRE_PROTOCOL_UDP ? port : 0;
    if (wire_addr_is_unspecified(k->version, &k->local) && !net_source(k->stack, k->version, to, &k->local))
        return -ENETUNREACH;
    error = socket_enter_tables(k, false, true);
    if (error == 0)
        stack_set_state(k, STACK_CONNECTED);
    return error;
}

static int connect_tcp(struct stack_socket *k, const union wire_addr *to, uint16_t port)
{
    int error;

    if (k->state == STACK_LISTENING || port == 0 || wire_addr_is_unspecified(k->version, to) ||
        wire_addr_is_multicast(k->version, to) || net_is_broadcast(k->stack, k->version, to))
        return -EOPNOTSUPP;
    if (k->state != STACK_NEW && k->state != STACK_BOUND)
        return -EISCONN;
    error = choose_end(k, to, port);
    if (error != 0)
        return error;
    if (wire_addr_is_unspecified(k->version, &k->local))
        (void)net_source(k->stack, k->version, to, &k->local);
    k->remote = *to;
    k->remote_port = port;
    error = socket_enter_tables(k, false, true);
    if (error != 0)
        return error;
    error = tcp_connect(tcp_of(k));
    if (error != 0)
        socket_disconnect(k);
    return error;
}

int stack_connect(struct stack_socket *k, const union wire_addr *to, uint16_t port)
{
    struct stack *s = k->stack;
    int error;

    stack_enter(s);
    error = is_tcp(k) ? connect_tcp(k, to, port) : connect_datagrams(k, to, port);
    stack_leave(s);
    return error;
}

struct stack_socket *stack_accept(struct stack_socket *k)
{
    struct tcp_socket *listener = tcp_of(k), *t;

    if (!is_tcp(k) || k->state != STACK_LISTENING || listener->ready == NULL)
        return NULL;
    t = listener->ready;
    listener->ready = t->ready_next;
    if (listener->ready == NULL)
        listener->ready_last = NULL;
    listener->waiting--;
    t->listener = t->ready_next = NULL;
    t->socket.owned = true;
    t->socket.told = t->socket.state;
    return &t->socket;
}

/* ---- data ----------------------------------------------------------------------------------------------- */

long stack_send(struct stack_socket *k, const void *bytes, size_t size)
{
    struct stack *s = k->stack;
    long n;

    stack_enter(s);
    if (is_tcp(k))
        n = tcp_send(tcp_of(k), bytes, size);
    else
        n = k->has_peer ? datagram_send(k, &k->remote, k->remote_port, bytes, size) : -ENOTCONN;
    stack_leave(s);
    return n;
}

long stack_send_to(struct stack_socket *k, const union wire_addr *to, uint16_t port, const void *bytes,
                   size_t size)
{
    static const union wire_addr any;
    struct stack *s = k->stack;
    long n;

    if (is_tcp(k))
        return -EISCONN;
    if (!k->bound) {
        int error = stack_bind(k, &any, 0, false);

        if (error != 0)
            return error;
    }
    if (k->protocol == WIRE_PROTOCOL_UDP && port == 0)
        return -EINVAL;
    stack_enter(s);
    n = datagram_send(k, to, k->protocol == WIRE_PROTOCOL_UDP ? port : 0, bytes, size);
    stack_leave(s);
    return n;
}

long stack_receive(struct stack_socket *k, void *out, size_t size, union wire_addr *from, uint16_t *port)
{
    struct stack *s = k->stack;
    long n;

    if (!is_tcp(k))
        return datagram_receive(k, out, size, from, port);
    stack_enter(s);
    n = tcp_receive(tcp_of(k), out, size);
    if (from != NULL)
        *from = k->remote;
    if (port != NULL)
        *port = k->remote_port;
    stack_leave(s);
    return n;
}

int stack_shutdown(struct stack_socket *k)
{
    struct stack *s = k->stack;
    int error;

    if (!is_tcp(k))
        return -EOPNOTSUPP;
    stack_enter(s);
    error = tcp_shutdown(tcp_of(k));
    stack_leave(s);
    return error;
}

int stack_membership(struct stack_socket *k, const union wire_addr *group, bool join)
{
    struct datagram_socket *d = datagram_of(k);
    uint32_t i = 0;

    if (is_tcp(k) || !wire_addr_is_multicast(k->version, group))
        return -EINVAL;
    while (i < d->group_count && !wire_addr_equal(&d->groups[i].address, group))
        i++;
    if (join == (i < d->group_count))
        return join ? -EADDRINUSE : -EADDRNOTAVAIL;
    if (join) {
        if (i == GROUPS)
            return -ENOBUFS;
        d->groups[d->group_count++].address = *group;
    } else {
        d->groups[i] = d->groups[--d->group_count];
    }
    return 0;
}

void stack_resume(struct stack_socket *k, bool permitted)
{
    struct stack *s = k->stack;

    if (k->asking) {
        if (k->answer == 0)
            k->answer = permitted ? 1 : -1;
        return;
    }
    if (!k->held)
        return;
    stack_enter(s);
    if (is_tcp(k))
        tcp_resume(tcp_of(k), permitted);
    else
        datagram_resume(k, permitted);
    stack_leave(s);
}

/* ---- what it is ----------------------------------------------------------------------------------------- */

enum stack_state stack_state(const struct stack_socket *k)
{
    return (enum stack_state)k->state;
}

bool stack_is_held(const struct stack_socket *k)
{
    return k->held;
}

void stack_local(const struct stack_socket *k, uint8_t *version, union wire_addr *a, uint16_t *port)
{
    *version = k->version;
    *a = k->local;
    *port = k->local_port;
}

void stack_remote(const struct stack_socket *k, uint8_t *version, union wire_addr *a, uint16_t *port)
{
    *version = k->version;
    *a = k->remote;
    *port = k->remote_port;
}

bool stack_listens(const struct stack *s, uint8_t version, uint8_t protocol, const union wire_addr *local,
                   uint16_t port)
{
    struct stack_socket *k = NULL;

    while ((k = socket_bound(s, version, protocol, local, port, k)) != NULL) {
        if (protocol != WIRE_PROTOCOL_TCP || k->state == STACK_LISTENING)
            return true;
    }
    return false;
}
