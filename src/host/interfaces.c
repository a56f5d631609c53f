/* SPDX-License-Identifier: Apache-2.0 */
/*
 * interfaces: which interfaces the host has and which addresses are its own.
 *
 * Two addresses of every packet are asked about, so single addresses stand in an open-addressed table (at
 * most half full); prefixes that are local as a whole, of which there are few, in a list. Nothing is ever
 * removed: pointers to interfaces are good for the host's life (they stand apart, one allocation each).
 * Loopback addresses are always local, on the first interface of type 24 if there is one.
 *
 * Threads: who adds has the turn (walk.h), so that there is one at a time. Readers come on any thread and
 * take nothing: what is written is written before the word that shows it (an entry's version, a list's count,
 * a table's or list's address; a bit of local_hint before all of them), and what has been outgrown is kept until the host
 * goes. A profile is written
 * before it is called known.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/internal.h"
#include "host/walk.h"

#define DEFAULT_MTU 1500u

struct address {
    union wire_addr addr;
    uint8_t version; /* 0: free */
    uint8_t bits;    /* of its subnet; 0: unknown */
    bool several;    /* on more than one interface: at home wherever it arrives */
    const struct host_interface *interface;
};

struct table {
    size_t capacity; /* a power of two */
    struct address at[];
};

struct list {
    struct address *items;
    size_t count, room;
};

struct outgrown {
    struct outgrown *next;
    void *what;
};

struct addresses {
    struct table *table;
    size_t count;         /* in it */
    struct list prefixes; /* that are local as a whole */
    struct list subnets;  /* of single addresses, for directed broadcasts */
    const struct host_interface *loopback;
    size_t interface_room;
    struct outgrown *outgrown;
};

#define SHOWN(word)     __atomic_load_n(&(word), __ATOMIC_ACQUIRE)
#define SHOW(word, ...) __atomic_store_n(&(word), (__VA_ARGS__), __ATOMIC_RELEASE)

/* Readers may still look at it. */
static int outgrow(struct addresses *a, void *what)
{
    struct outgrown *o;

    if (what == NULL)
        return 0;
    o = malloc(sizeof(*o));
    if (o == NULL)
        return -ENOMEM;
    *o = (struct outgrown){a->outgrown, what};
    a->outgrown = o;
    return 0;
}

static struct table *table_make(size_t capacity)
{
    struct table *t = calloc(1, sizeof(*t) + capacity * sizeof(t->at[0]));

    if (t != NULL)
        t->capacity = capacity;
    return t;
}

int host_addresses_create(struct host *h)
{
    struct addresses *a = calloc(1, sizeof(*a));

    if (a == NULL)
        return -ENOMEM;
    a->table = table_make(16);
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
    free(a->prefixes.items);
    free(a->subnets.items);
    while (a->outgrown != NULL) {
        struct outgrown *next = a->outgrown->next;

        free(a->outgrown->what);
        free(a->outgrown);
        a->outgrown = next;
    }
    free(a);
    h->addresses = NULL;
}

/* ---- interfaces --------------------------------------------------------------------------------------- */

static int interface_room(struct host *h)
{
    struct addresses *a = h->addresses;
    const size_t room = 2 * a->interface_room + 4;
    struct host_interface **list;

    if (h->interface_count < a->interface_room)
        return 0;
    list = malloc(room * sizeof(struct host_interface *));
    if (list == NULL || outgrow(a, h->interfaces) != 0) {
        free(list);
        return -ENOMEM;
    }
    if (h->interface_count != 0)
        memcpy(list, h->interfaces, h->interface_count * sizeof(struct host_interface *));
    SHOW(h->interfaces, list);
    a->interface_room = room;
    return 0;
}

int host_interface_add(struct host *h, const struct host_interface_desc *desc)
{
    TURN_OF(&h->lanes[0]);
    struct addresses *a = h->addresses;
    struct host_interface *i;

    if (host_interface_by_index(h, desc->index) != NULL)
        return -EEXIST;
    if (interface_room(h) != 0)
        return -ENOMEM;
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
        SHOW(a->loopback, i);
    h->interfaces[h->interface_count] = i;
    SHOW(h->interface_count, h->interface_count + 1);
    h->places++;
    __atomic_fetch_add(&h->among, 1, __ATOMIC_RELEASE);
    return 0;
}

static struct host_interface *interface_find(const struct host *h, UINT32 index)
{
    const size_t count = SHOWN(h->interface_count);
    struct host_interface *const *list = SHOWN(h->interfaces);

    for (size_t i = 0; i < count; i++)
        if (list[i]->desc.index == index)
            return list[i];
    return NULL;
}

const struct host_interface *host_interface_by_index(const struct host *h, UINT32 index)
{
    return interface_find(h, index);
}

void host_set_profile(struct host *h, UINT32 interface_index, UINT32 profile)
{
    struct host_interface *f = interface_find(h, interface_index);

    if (f == NULL)
        return;
    if ((host_interface_unknown(f) & HOST_THING_PROFILE) == 0 && host_interface_profile(f) == profile)
        return;
    SHOW(f->desc.profile, profile);
    __atomic_fetch_and(&f->desc.unknown, ~(UINT32)HOST_THING_PROFILE, __ATOMIC_RELEASE);
    __atomic_fetch_add(&h->among, 1, __ATOMIC_RELEASE); /* behind what it is about */
    ale_reauthorize(h, FWP_CONDITION_REAUTHORIZE_REASON_PROFILE_CROSSING, interface_index);
}

/* ---- addresses ---------------------------------------------------------------------------------------- */

static size_t address_hash(uint8_t version, const union wire_addr *a)
{
    uint64_t x = (a->word[0] ^ version) * 0x9e3779b97f4a7c15ull + a->word[1] * 0xc2b2ae3d27d4eb4full;

    return (size_t)(x >> 32);
}

static struct address *address_find(const struct addresses *a, uint8_t version, const union wire_addr *addr)
{
    struct table *t = SHOWN(a->table);

    for (size_t i = address_hash(version, addr) & (t->capacity - 1);; i = (i + 1) & (t->capacity - 1)) {
        struct address *at = &t->at[i];
        const uint8_t is = SHOWN(at->version);

        if (is == 0)
            return NULL;
        if (is == version && at->addr.word[0] == addr->word[0] && at->addr.word[1] == addr->word[1])
            return at;
    }
}

static void address_put(struct table *t, const struct address *what)
{
    size_t i = address_hash(what->version, &what->addr) & (t->capacity - 1);
    struct address *at;

    while (t->at[i].version != 0)
        i = (i + 1) & (t->capacity - 1);
    at = &t->at[i];
    at->addr = what->addr;
    at->bits = what->bits;
    at->several = what->several;
    at->interface = what->interface;
    SHOW(at->version, what->version);
}

static int address_insert(struct addresses *a, const struct address *what)
{
    struct table *old = a->table, *t;

    if (2 * (a->count + 1) > old->capacity) {
        t = table_make(2 * old->capacity);
        if (t == NULL || outgrow(a, old) != 0) {
            free(t);
            return -ENOMEM;
        }
        for (size_t i = 0; i < old->capacity; i++)
            if (old->at[i].version != 0)
                address_put(t, &old->at[i]);
        SHOW(a->table, t);
    }
    address_put(a->table, what);
    a->count++;
    return 0;
}

static int list_append(struct addresses *a, struct list *l, const struct address *what)
{
    if (l->count == l->room) {
        const size_t room = 2 * l->room + 4;
        struct address *items = malloc(room * sizeof(*items));

        if (items == NULL || outgrow(a, l->items) != 0) {
            free(items);
            return -ENOMEM;
        }
        if (l->count != 0)
            memcpy(items, l->items, l->count * sizeof(*items));
        SHOW(l->items, items);
        l->room = room;
    }
    l->items[l->count] = *what;
    SHOW(l->count, l->count + 1);
    return 0;
}

/* The list as far as it is shown: its end. */
static const struct address *list_span(const struct list *l, const struct address **first)
{
    const size_t count = SHOWN(l->count);

    *first = SHOWN(l->items);
    return count != 0 ? *first + count : *first; /* an empty list has no items, not even none of them */
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

static int address_add(struct host *h, UINT32 interface_index, uint8_t version, const union wire_addr *addr,
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
    if (all && what.bits < most)
        return list_append(a, &a->prefixes, &what);
    had = address_find(a, version, addr);
    if (had != NULL) { /* the first interface that has it stays its interface */
        if (had->interface != what.interface)
            SHOW(had->several, true);
        return 0;
    }
    if (what.bits != 0 && what.bits < most) {
        e = list_append(a, &a->subnets, &what);
        if (e != 0)
            return e;
    }
    return address_insert(a, &what);
}

int host_address_add(struct host *h, UINT32 interface_index, uint8_t version, const union wire_addr *addr,
                     unsigned bits, bool all)
{
    TURN_OF(&h->lanes[0]);
    /* Said before it is so: who reads it looks twice. */
    __atomic_fetch_or(&h->local_hint,
                      all            ? UINT64_MAX
                      : version == 4 ? host_local_bit(addr)
                                     : 0,
                      __ATOMIC_RELEASE);
    const int e = address_add(h, interface_index, version, addr, bits, all);

    h->places++;
    __atomic_fetch_add(&h->among, 1, __ATOMIC_RELEASE); /* behind what it is about */
    return e;
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
    const struct address *p, *end;

    if (addr->v4 == UINT32_MAX)
        return true;
    end = list_span(&a->subnets, &p);
    for (; p < end; p++)
        if (is_last_of(p, addr))
            return true;
    end = list_span(&a->prefixes, &p);
    for (; p < end; p++)
        if (is_last_of(p, addr))
            return true;
    return false;
}

static const struct address *local_find(const struct addresses *a, uint8_t version,
                                        const union wire_addr *addr)
{
    const struct address *found = address_find(a, version, addr), *p, *end;

    if (found != NULL)
        return found;
    end = list_span(&a->prefixes, &p);
    for (; p < end; p++)
        if (same_prefix(p, version, addr) && !(version == 4 && is_broadcast(a, addr)))
            return p;
    return NULL;
}

bool host_is_local(const struct host *h, uint8_t version, const union wire_addr *addr)
{
    const struct addresses *a = h->addresses;

    if (!host_perhaps_local(h, version, addr))
        return false;
    return local_find(a, version, addr) != NULL || wire_addr_is_loopback(version, addr);
}

const struct host_interface *host_interface_of(const struct host *h, uint8_t version,
                                               const union wire_addr *addr)
{
    const struct addresses *a = h->addresses;
    const struct address *found = local_find(a, version, addr);

    if (found != NULL)
        return found->interface;
    return wire_addr_is_loopback(version, addr) ? SHOWN(a->loopback) : NULL;
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
    const struct table *t;

    if (version != 6 || !is_solicited_node(group) || SHOWN(a->prefixes.count) != 0)
        return true;
    t = SHOWN(a->table);
    for (size_t i = 0; i < t->capacity; i++)
        if (SHOWN(t->at[i].version) == 6 && memcmp(t->at[i].addr.v6 + 13, group->v6 + 13, 3) == 0)
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
    if (!SHOWN(found->several))
        *home = found->interface;
    return true;
}

const struct host_interface *host_route(const struct host *h, uint8_t version, const union wire_addr *addr)
{
    const struct addresses *a = h->addresses;
    const struct address *p, *end;

    end = list_span(&a->subnets, &p);
    for (; p < end; p++)
        if (same_prefix(p, version, addr))
            return p->interface;
    return NULL;
}

const struct host_interface *host_loopback_interface(const struct host *h)
{
    return SHOWN(((const struct addresses *)h->addresses)->loopback);
}

UINT8 host_address_type_found(const struct host *h, uint8_t version, const union wire_addr *addr)
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
    const struct table *t = SHOWN(((const struct addresses *)h->addresses)->table);

    for (size_t n = 0; n < t->capacity; n++) {
        const struct address *at = &t->at[n];

        if (SHOWN(at->version) != version || (i != NULL && at->interface != i) ||
            wire_addr_is_loopback(version, &at->addr))
            continue;
        *out = at->addr;
        return true;
    }
    return false;
}
