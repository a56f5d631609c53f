/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net: interfaces, addresses, routes, and what is known of paths.
 *
 * A packet to an address of the stack's own leaves by the interface that has a loopback address, if there is
 * one, else by the one whose address it is: config.send() brings it back. The longest prefix counts, then what
 * was added first; subnets of addresses are routes as well. A multicast or broadcast address without a route
 * leaves by the first interface that is not loopback's. Path MTUs are what ICMP said, of the last 64 destinations.
 */
#include <stdlib.h>

#include "stack/internal.h"

/* A list of `count` that has one more; NULL: no memory. */
static void *grown(void **list, uint32_t *count, size_t size)
{
    uint8_t *more = realloc(*list, (*count + 1) * size);

    if (more == NULL)
        return NULL;
    *list = more;
    memset(more + *count * size, 0, size);
    return more + (*count)++ * size;
}

struct interface *net_interface(const struct stack *s, uint32_t index)
{
    for (uint32_t i = 0; i < s->interface_count; i++) {
        if (s->interfaces[i].index == index)
            return &s->interfaces[i];
    }
    return NULL;
}

int stack_interface_add(struct stack *s, uint32_t index, uint32_t mtu)
{
    struct interface *i;
    void *list = s->interfaces;

    if (mtu == 0)
        mtu = 1500;
    if (index == 0 || mtu < 1280 || mtu > IP_LARGEST)
        return -EINVAL;
    if (net_interface(s, index) != NULL)
        return -EEXIST;
    i = grown(&list, &s->interface_count, sizeof(*i));
    s->interfaces = list;
    if (i == NULL)
        return -ENOMEM;
    *i = (struct interface){index, mtu};
    return 0;
}

int stack_address_add(struct stack *s, uint32_t interface, uint8_t version, const union wire_addr *a,
                      unsigned bits)
{
    struct address *at;
    void *list = s->addresses;

    if ((version != 4 && version != 6) || bits > (version == 4 ? 32u : 128u))
        return -EINVAL;
    if (net_interface(s, interface) == NULL)
        return -ENOENT;
    at = grown(&list, &s->address_count, sizeof(*at));
    s->addresses = list;
    if (at == NULL)
        return -ENOMEM;
    *at = (struct address){*a, interface, version, (uint8_t)bits};
    return stack_route_add(s, interface, version, a, bits);
}

int stack_route_add(struct stack *s, uint32_t interface, uint8_t version, const union wire_addr *to,
                    unsigned bits)
{
    struct route *r;
    void *list = s->routes;

    if ((version != 4 && version != 6) || bits > (version == 4 ? 32u : 128u))
        return -EINVAL;
    if (net_interface(s, interface) == NULL)
        return -ENOENT;
    r = grown(&list, &s->route_count, sizeof(*r));
    s->routes = list;
    if (r == NULL)
        return -ENOMEM;
    *r = (struct route){*to, interface, version, (uint8_t)bits};
    return 0;
}

bool net_in_prefix(uint8_t version, const union wire_addr *a, const union wire_addr *prefix, unsigned bits)
{
    if (version == 4)
        return bits == 0 || (a->v4 ^ prefix->v4) >> (32 - bits) == 0;
    return memcmp(a->v6, prefix->v6, bits / 8) == 0 &&
           (bits % 8 == 0 || (a->v6[bits / 8] ^ prefix->v6[bits / 8]) >> (8 - bits % 8) == 0);
}

const struct address *net_address(const struct stack *s, uint8_t version, const union wire_addr *a)
{
    for (uint32_t i = 0; i < s->address_count; i++) {
        if (s->addresses[i].version == version && wire_addr_equal(&s->addresses[i].address, a))
            return &s->addresses[i];
    }
    return NULL;
}

bool net_is_broadcast(const struct stack *s, uint8_t version, const union wire_addr *a)
{
    if (version != 4)
        return false;
    if (a->v4 == UINT32_MAX)
        return true;
    for (uint32_t i = 0; i < s->address_count; i++) {
        const struct address *at = &s->addresses[i];

        if (at->version == 4 && at->bits > 0 && at->bits < 31 &&
            a->v4 == (at->address.v4 | UINT32_MAX >> at->bits))
            return true;
    }
    return false;
}

static uint32_t loopback_interface(const struct stack *s)
{
    for (uint32_t i = 0; i < s->address_count; i++) {
        if (wire_addr_is_loopback(s->addresses[i].version, &s->addresses[i].address))
            return s->addresses[i].interface;
    }
    return 0;
}

uint32_t net_route(const struct stack *s, uint8_t version, const union wire_addr *to)
{
    const struct address *own = net_address(s, version, to);
    const struct route *best = NULL;
    uint32_t loopback;

    if (own != NULL) {
        loopback = loopback_interface(s);
        return loopback != 0 ? loopback : own->interface;
    }
    for (uint32_t i = 0; i < s->route_count; i++) {
        const struct route *r = &s->routes[i];

        if (r->version == version && (best == NULL || r->bits > best->bits) &&
            net_in_prefix(version, to, &r->to, r->bits))
            best = r;
    }
    if (best != NULL)
        return best->interface;
    if (!wire_addr_is_multicast(version, to) && !net_is_broadcast(s, version, to))
        return 0;
    loopback = loopback_interface(s);
    for (uint32_t i = 0; i < s->interface_count; i++)
        if (s->interfaces[i].index != loopback)
            return s->interfaces[i].index;
    return loopback;
}

bool net_source(const struct stack *s, uint8_t version, const union wire_addr *to, union wire_addr *out)
{
    uint32_t interface = net_route(s, version, to);
    const struct address *best = NULL;

    if (net_address(s, version, to) != NULL) {
        *out = *to;
        return true;
    }
    for (uint32_t i = 0; i < s->address_count && interface != 0; i++) {
        const struct address *a = &s->addresses[i];
        bool near = wire_addr_is_link_local(version, to) == wire_addr_is_link_local(version, &a->address);

        if (a->version != version || a->interface != interface)
            continue;
        if (near && net_in_prefix(version, to, &a->address, a->bits)) {
            *out = a->address;
            return true;
        }
        if (best == NULL || (near && wire_addr_is_link_local(version, to) !=
                                         wire_addr_is_link_local(version, &best->address)))
            best = a;
    }
    if (best == NULL)
        return false;
    *out = best->address;
    return true;
}

uint32_t net_mtu(const struct stack *s, uint8_t version, const union wire_addr *to)
{
    const struct interface *i = net_interface(s, net_route(s, version, to));
    uint32_t mtu = i != NULL ? i->mtu : 0;

    for (unsigned k = 0; k < PATHS; k++) {
        const struct path *p = &s->paths[k];

        if (p->version == version && wire_addr_equal(&p->to, to) && p->mtu < mtu)
            mtu = p->mtu;
    }
    return mtu;
}

void net_path_mtu(struct stack *s, uint8_t version, const union wire_addr *to, uint32_t mtu)
{
    const uint32_t least = version == 4 ? 576 : 1280; /* nobody makes us send crumbs */
    struct path *p = NULL;

    if (mtu < least)
        mtu = least;
    for (unsigned k = 0; k < PATHS && p == NULL; k++) {
        if (s->paths[k].version == version && wire_addr_equal(&s->paths[k].to, to))
            p = &s->paths[k];
    }
    if (p == NULL) {
        p = &s->paths[s->path_next++ % PATHS];
        p->version = 0;
    }
    if (p->version == 0 || mtu < p->mtu)
        *p = (struct path){*to, mtu, version};
}
