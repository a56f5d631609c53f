/* SPDX-License-Identifier: Apache-2.0 */
/*
 * interfaces: which interfaces the host has and which addresses are its own.
 *
 * Two addresses of every packet are asked about, so single addresses stand in an open-addressed table (at
 * most half full); prefixes that are local as a whole, of which there are few, in a list. Nothing is ever
 * removed: pointers to interfaces are good for the host's life (they stand apart, one allocation each).
 * Loopback addresses are always local, on the first interface of type 24 if there is one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/internal.h"

#define DEFAULT_MTU 1500u

struct address {
    union wire_addr addr;
    uint8_t version; /* 0: free */
    uint8_t bits;    /* of its subnet; 0: unknown */
    bool several;    /* on more than one interface: at home wherever it arrives */
    const struct host_interface *interface;
};

struct addresses {
    struct address *table;
    size_t capacity, count; /* of the table: a power of two */
    struct address *prefixes;
    size_t prefix_count;
    struct address *subnets; /* of single addresses, for directed broadcasts */
    size_t subnet_count;
    const struct host_interface *loopback;
};

int host_addresses_create(struct host *h)
{
    struct addresses *a = calloc(1, sizeof(*a));

    if (a == NULL)
        return -ENOMEM;
    a->capacity = 16;
    a->table = calloc(a->capacity, sizeof(*a->table));
    if (a->table == NULL) {
        free(a);
        return -ENOMEM;
    }
    h->addresses = a;
    return 0;
}

void host_addresses_destroy(struct host *h)
{
    struct addresses *a = h->addresses;

    if (a == NULL)
        return;
    for (size_t i = 0; i < h->interface_count; i++) {
        free((char *)h->interfaces[i]->desc.name);
        free(h->interfaces[i]);
    }
    free(h->interfaces);
    free(a->table);
    free(a->prefixes);
    free(a->subnets);
    free(a);
    h->addresses = NULL;
}

/* ---- interfaces --------------------------------------------------------------------------------------- */

int host_interface_add(struct host *h, const struct host_interface_desc *desc)
{
    struct addresses *a = h->addresses;
    struct host_interface *i, **list;

    if (host_interface_by_index(h, desc->index) != NULL)
        return -EEXIST;
    list = realloc(h->interfaces, (h->interface_count + 1) * sizeof(struct host_interface *));
    if (list == NULL)
        return -ENOMEM;
    h->interfaces = list;
    i = calloc(1, sizeof(*i));
    if (i == NULL)
        return -ENOMEM;
    i->desc = *desc;
    i->desc.name = strdup(desc->name != NULL ? desc->name : "");
    if (i->desc.name == NULL) {
        free(i);
        return -ENOMEM;
    }
    if (i->desc.mtu == 0)
        i->desc.mtu = DEFAULT_MTU;
    if (i->desc.compartment == 0)
        i->desc.compartment = 1;
    if (a->loopback == NULL && i->desc.type == IF_TYPE_SOFTWARE_LOOPBACK)
        a->loopback = i;
    h->interfaces[h->interface_count++] = i;
    h->places++;
    return 0;
}

const struct host_interface *host_interface_by_index(const struct host *h, UINT32 index)
{
    for (size_t i = 0; i < h->interface_count; i++)
        if (h->interfaces[i]->desc.index == index)
            return h->interfaces[i];
    return NULL;
}

void host_set_profile(struct host *h, UINT32 interface_index, UINT32 profile)
{
    for (size_t i = 0; i < h->interface_count; i++) {
        struct host_interface *f = h->interfaces[i];

        if (f->desc.index != interface_index)
            continue;
        if (f->desc.profile == profile && (f->desc.unknown & HOST_THING_PROFILE) == 0)
            return;
        f->desc.profile = profile;
        f->desc.unknown &= ~(UINT32)HOST_THING_PROFILE;
        ale_reauthorize(h, FWP_CONDITION_REAUTHORIZE_REASON_PROFILE_CROSSING, interface_index);
        return;
    }
}

/* ---- addresses ---------------------------------------------------------------------------------------- */

static size_t address_hash(uint8_t version, const union wire_addr *a)
{
    uint64_t x = (a->word[0] ^ version) * 0x9e3779b97f4a7c15ull + a->word[1] * 0xc2b2ae3d27d4eb4full;

    return (size_t)(x >> 32);
}

static const struct address *address_find(const struct addresses *a, uint8_t version,
                                          const union wire_addr *addr)
{
    for (size_t i = address_hash(version, addr) & (a->capacity - 1);; i = (i + 1) & (a->capacity - 1)) {
        const struct address *at = &a->table[i];

        if (at->version == 0)
            return NULL;
        if (at->version == version && at->addr.word[0] == addr->word[0] && at->addr.word[1] == addr->word[1])
            return at;
    }
}

static void address_put(struct address *table, size_t capacity, const struct address *what)
{
    size_t i = address_hash(what->version, &what->addr) & (capacity - 1);

    while (table[i].version != 0)
        i = (i + 1) & (capacity - 1);
    table[i] = *what;
}

static int address_insert(struct addresses *a, const struct address *what)
{
    if (2 * (a->count + 1) > a->capacity) {
        size_t capacity = 2 * a->capacity;
        struct address *table = calloc(capacity, sizeof(*table));

        if (table == NULL)
            return -ENOMEM;
        for (size_t i = 0; i < a->capacity; i++)
            if (a->table[i].version != 0)
                address_put(table, capacity, &a->table[i]);
        free(a->table);
        a->table = table;
        a->capacity = capacity;
    }
    address_put(a->table, a->capacity, what);
    a->count++;
    return 0;
}

static int list_append(struct address **list, size_t *count, const struct address *what)
{
    struct address *grown = realloc(*list, (*count + 1) * sizeof(**list));

    if (grown == NULL)
        return -ENOMEM;
    *list = grown;
    grown[(*count)++] = *what;
    return 0;
}

static bool same_prefix(const struct address *p, uint8_t version, const union wire_addr *a)
{
    unsigned bits = p->bits;

    if (p->version != version)
        return false;
    if (version == 4)
        return bits == 0 || ((p->addr.v4 ^ a->v4) & (UINT32_MAX << (32 - bits))) == 0;
    if (memcmp(p->addr.v6, a->v6, bits / 8) != 0)
        return false;
    return bits % 8 == 0 || ((p->addr.v6[bits / 8] ^ a->v6[bits / 8]) & (0xff00 >> bits % 8) & 0xff) == 0;
}

int host_address_add(struct host *h, UINT32 interface_index, uint8_t version, const union wire_addr *addr,
                     unsigned bits, bool all)
{
    struct addresses *a = h->addresses;
    const unsigned most = version == 4 ? 32 : 128;
    struct address *had;
    struct address what = {.addr = *addr,
                           .version = version,
                           .bits = (uint8_t)(bits > most ? most : bits),
                           .interface = host_interface_by_index(h, interface_index)};
    int e;

    if (what.interface == NULL || (version != 4 && version != 6))
        return -EINVAL;
    h->places++;
    if (all && what.bits < most)
        return list_append(&a->prefixes, &a->prefix_count, &what);
    had = (struct address *)address_find(a, version, addr);
    if (had != NULL) { /* the first interface that has it stays its interface */
        had->several = had->several || had->interface != what.interface;
        return 0;
    }
    if (what.bits != 0 && what.bits < most) {
        e = list_append(&a->subnets, &a->subnet_count, &what);
        if (e != 0)
            return e;
    }
    return address_insert(a, &what);
}

/* All ones behind the prefix: its directed broadcast. */
static bool is_last_of(const struct address *p, const union wire_addr *addr)
{
    uint32_t host_bits;

    if (p->version != 4 || p->bits == 0 || p->bits >= 31)
        return false;
    host_bits = UINT32_MAX >> p->bits;
    return (addr->v4 & host_bits) == host_bits && same_prefix(p, 4, addr);
}

/* 255.255.255.255, or all ones in a subnet that the host is in. */
static bool is_broadcast(const struct addresses *a, const union wire_addr *addr)
{
    if (addr->v4 == UINT32_MAX)
        return true;
    for (size_t i = 0; i < a->subnet_count; i++)
        if (is_last_of(&a->subnets[i], addr))
            return true;
    for (size_t i = 0; i < a->prefix_count; i++)
        if (is_last_of(&a->prefixes[i], addr))
            return true;
    return false;
}

static const struct address *local_find(const struct addresses *a, uint8_t version,
                                        const union wire_addr *addr)
{
    const struct address *found = address_find(a, version, addr);

    if (found != NULL)
        return found;
    for (size_t i = 0; i < a->prefix_count; i++)
        if (same_prefix(&a->prefixes[i], version, addr) && !(version == 4 && is_broadcast(a, addr)))
            return &a->prefixes[i];
    return NULL;
}

bool host_is_local(const struct host *h, uint8_t version, const union wire_addr *addr)
{
    const struct addresses *a = h->addresses;

    return local_find(a, version, addr) != NULL || wire_addr_is_loopback(version, addr);
}

const struct host_interface *host_interface_of(const struct host *h, uint8_t version,
                                               const union wire_addr *addr)
{
    const struct addresses *a = h->addresses;
    const struct address *found = local_find(a, version, addr);

    if (found != NULL)
        return found->interface;
    return wire_addr_is_loopback(version, addr) ? a->loopback : NULL;
}

/* RFC 4291 2.7.1: ff02::1:ffXX:XXXX. */
static bool is_solicited_node(const union wire_addr *a)
{
    static const uint8_t prefix[13] = {0xff, 0x02, [11] = 0x01, [12] = 0xff};

    return memcmp(a->v6, prefix, sizeof(prefix)) == 0;
}

bool host_may_join(const struct host *h, uint8_t version, const union wire_addr *group)
{
    const struct addresses *a = h->addresses;

    if (version != 6 || !is_solicited_node(group) || a->prefix_count != 0)
        return true;
    for (size_t i = 0; i < a->capacity; i++)
        if (a->table[i].version == 6 && memcmp(a->table[i].addr.v6 + 13, group->v6 + 13, 3) == 0)
            return true;
    return false;
}

bool host_local_at(const struct host *h, uint8_t version, const union wire_addr *addr,
                   const struct host_interface *arrival, const struct host_interface **home)
{
    const struct addresses *a = h->addresses;
    const struct address *found = local_find(a, version, addr);

    *home = arrival;
    if (found == NULL)
        return wire_addr_is_loopback(version, addr);
    if (!found->several)
        *home = found->interface;
    return true;
}

const struct host_interface *host_route(const struct host *h, uint8_t version, const union wire_addr *addr)
{
    const struct addresses *a = h->addresses;

    for (size_t i = 0; i < a->subnet_count; i++)
        if (same_prefix(&a->subnets[i], version, addr))
            return a->subnets[i].interface;
    return NULL;
}

const struct host_interface *host_loopback_interface(const struct host *h)
{
    return ((const struct addresses *)h->addresses)->loopback;
}

UINT8 host_address_type(const struct host *h, uint8_t version, const union wire_addr *addr)
{
    if (wire_addr_is_unspecified(version, addr))
        return NlatUnspecified;
    if (wire_addr_is_multicast(version, addr))
        return NlatMulticast;
    if (version != 4)
        return NlatUnicast;
    if (is_broadcast(h->addresses, addr))
        return NlatBroadcast;
    return addr->v4 >> 28 == 15 ? NlatInvalid : NlatUnicast;
}

bool host_address_for(const struct host *h, const struct host_interface *i, uint8_t version,
                      union wire_addr *out)
{
    const struct addresses *a = h->addresses;

    for (size_t n = 0; n < a->capacity; n++) {
        if (a->table[n].version != version || (i != NULL && a->table[n].interface != i) ||
            wire_addr_is_loopback(version, &a->table[n].addr))
            continue;
        *out = a->table[n].addr;
        return true;
    }
    return false;
}
