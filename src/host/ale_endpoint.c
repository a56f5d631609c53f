/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ale_endpoint: the endpoints of a lane: where they are kept and found, who owns them.
 *
 *   made by      host_bind(); a packet that shows that somebody must have bound (implied)
 *   found by     family, protocol, local address and port: UDP-like sockets, listeners, bound TCP sockets;
 *                by slot, from its flow: TCP connections
 *   ends with    host_close(); its TCP flow; a refusal; ALE_LINGER seconds without a flow (implied ones)
 *
 * Slots are reused, ids never. References: the lane's own until the endpoint is released; one for each flow,
 * operation, accepted child, and one of host_bind()'s caller. At zero it is put aside and freed by
 * ale_endpoints_advance(), between frames: scenes need no reference.
 *
 * Owners are shared: all endpoints of one owner in a lane have one party, which stays as long as the lane.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "host/redirect_inside.h"
#include "host/span.h"

#define PARTIES 64u

struct ale_party {
    struct party p; /* first */
    struct ale_party *next;
};

struct endpoints {
    struct span span;
    struct ale_endpoint *slots; /* the span's; they never move */
    UINT32 slot_count, free, live;
    UINT32 *keys, *ports;            /* heads of chains, `buckets` each */
    UINT32 buckets;                  /* a power of two */
    UINT32 raw_tcp;                  /* how many raw sockets speak TCP themselves */
    UINT32 wildcards;                /* how many that are found are bound to no address */
    UINT32 idle_oldest, idle_newest; /* those that linger */
    struct ale_endpoint *dead;
    struct ale_party *parties[PARTIES];
};

static struct endpoints *endpoints_of(const struct lane *l)
{
    return l->endpoints;
}

static struct ale_endpoint *at(const struct endpoints *t, UINT32 slot)
{
    return slot < t->slot_count ? &t->slots[slot] : NULL;
}

/* ---- life of the table ------------------------------------------------------------------------------------
 */

int ale_endpoints_create(struct lane *l)
{
    struct endpoints *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return -ENOMEM;
    t->buckets = 256;
    t->keys = calloc(t->buckets, sizeof(*t->keys));
    t->ports = calloc(t->buckets, sizeof(*t->ports));
    if (t->keys == NULL || t->ports == NULL ||
        span_open(&t->span, ((size_t)l->host->limits.endpoints + 1) * sizeof(struct ale_endpoint)) != 0) {
        free(t->keys);
        free(t->ports);
        free(t);
        return -ENOMEM;
    }
    t->slots = (struct ale_endpoint *)t->span.base;
    t->slot_count = 1; /* 0 stands for none */
    l->endpoints = t;
    return 0;
}

static void groups_free(struct ale_endpoint *e)
{
    while (e->groups != NULL) {
        struct ale_group *g = e->groups;

        e->groups = g->next;
        free(g);
    }
}

void ale_endpoints_destroy(struct lane *l)
{
    struct endpoints *t = endpoints_of(l);

    for (UINT32 slot = 1; slot < t->slot_count; slot++)
        groups_free(at(t, slot));
    for (unsigned i = 0; i < PARTIES; i++) {
        while (t->parties[i] != NULL) {
            struct ale_party *p = t->parties[i];

            t->parties[i] = p->next;
            free(p);
        }
    }
    span_close(&t->span);
    free(t->keys);
    free(t->ports);
    free(t);
    l->endpoints = NULL;
}

UINT32 ale_endpoints_slots(const struct lane *l)
{
    return endpoints_of(l)->slot_count;
}

struct host_endpoint *ale_endpoint_at(const struct lane *l, UINT32 slot)
{
    struct ale_endpoint *e = slot != 0 ? at(endpoints_of(l), slot) : NULL;

    return e != NULL && e->live ? &e->e : NULL;
}

_Static_assert(offsetof(struct ale_endpoint, live) < 128, "what a packet looks at is fetched ahead");

_Static_assert(offsetof(struct ale_endpoint, operations) == 128 && offsetof(struct ale_endpoint, dead) < 192,
               "so is what its end looks at");

void ale_endpoint_prefetch_end(const struct lane *l, UINT32 slot)
{
    const struct ale_endpoint *e = slot != 0 ? at(endpoints_of(l), slot) : NULL;

    if (e != NULL)
        __builtin_prefetch(&e->operations, 1);
}

/* All of one that will be written, or looked through, soon. */
static inline __attribute__((always_inline)) void prefetch_whole(const struct ale_endpoint *e)
{
    for (size_t n = 0; n < sizeof(*e); n += 64)
        __builtin_prefetch((const char *)e + n, 1);
}

void ale_endpoint_prefetch(const struct lane *l, UINT32 slot)
{
    const struct ale_endpoint *e = slot != 0 ? at(endpoints_of(l), slot) : NULL;

    if (e == NULL)
        return;
    __builtin_prefetch(e);
    __builtin_prefetch((const char *)e + 64);
}

/* ---- chains -----------------------------------------------------------------------------------------------
 */

static UINT32 mix(uint64_t x)
{
    x ^= x >> 32;
    x *= 0x9e3779b97f4a7c15ull;
    return (UINT32)(x >> 32);
}

static UINT32 key_bucket(const struct endpoints *t, uint8_t version, uint8_t protocol,
                         const union wire_addr *local, UINT16 port)
{
    uint64_t x = local->word[0] * 0xff51afd7ed558ccdull ^ local->word[1];

    return mix(x ^ (uint64_t)port << 16 ^ (uint64_t)protocol << 8 ^ version) & (t->buckets - 1);
}

static UINT32 port_bucket(const struct endpoints *t, uint8_t protocol, UINT16 port)
{
    return mix((uint64_t)port << 8 | protocol) & (t->buckets - 1);
}

void ale_endpoint_prefetch_key(const struct lane *l, const struct host_flow_key *k)
{
    const struct endpoints *t = endpoints_of(l);

    __builtin_prefetch(&t->keys[key_bucket(t, k->version, k->protocol, &k->local, k->local_port)]);
}

static void link_in(struct endpoints *t, struct ale_endpoint *e)
{
    UINT32 *head = &t->keys[key_bucket(t, e->e.version, e->e.protocol, &e->e.local, e->e.local_port)];

    e->next = *head;
    *head = e->slot;
    head = &t->ports[port_bucket(t, e->e.protocol, e->e.local_port)];
    e->port_next = *head;
    *head = e->slot;
}

/* Doubles the heads when chains get long; keeps the old ones if there is no memory. */
static void grow_chains(struct endpoints *t)
{
    UINT32 *keys, *ports;

    if (t->live < t->buckets || t->buckets >= 1u << 24)
        return;
    keys = calloc(t->buckets * 4, sizeof(*keys));
    ports = calloc(t->buckets * 4, sizeof(*ports));
    if (keys == NULL || ports == NULL) {
        free(keys);
        free(ports);
        return;
    }
    free(t->keys);
    free(t->ports);
    t->keys = keys;
    t->ports = ports;
    t->buckets *= 4;
    for (UINT32 slot = 1; slot < t->slot_count; slot++)
        if (at(t, slot)->hashed)
            link_in(t, at(t, slot));
}

void ale_endpoint_show(struct lane *l, struct host_endpoint *e)
{
    struct endpoints *t = endpoints_of(l);
    struct ale_endpoint *x = ale_endpoint_of(e);

    if (x->hashed)
        return;
    grow_chains(t);
    link_in(t, x);
    x->hashed = true;
    t->raw_tcp += e->raw && e->protocol == WIRE_PROTOCOL_TCP;
    t->wildcards += e->wildcard;
}

static void hide(struct endpoints *t, struct ale_endpoint *e)
{
    UINT32 *head;

    if (!e->hashed)
        return;
    head = &t->keys[key_bucket(t, e->e.version, e->e.protocol, &e->e.local, e->e.local_port)];
    while (*head != e->slot)
        head = &at(t, *head)->next;
    *head = e->next;
    head = &t->ports[port_bucket(t, e->e.protocol, e->e.local_port)];
    while (*head != e->slot)
        head = &at(t, *head)->port_next;
    *head = e->port_next;
    e->hashed = false;
    t->raw_tcp -= e->e.raw && e->e.protocol == WIRE_PROTOCOL_TCP;
    t->wildcards -= e->e.wildcard;
}

/* ---- making and freeing -----------------------------------------------------------------------------------
 */

static struct party *party_of(struct endpoints *t, const struct host_owner *owner)
{
    struct ale_party **head = &t->parties[mix((uintptr_t)owner >> 4) % PARTIES], *p;

    for (p = *head; p != NULL; p = p->next)
        if (p->p.owner == owner)
            return &p->p;
    p = calloc(1, sizeof(*p));
    if (p == NULL)
        return NULL;
    p->p.owner = owner;
    p->next = *head;
    *head = p;
    return &p->p;
}

/* A slot that no endpoint stands in; 0: out of memory. */
static UINT32 slot_take(struct endpoints *t)
{
    UINT32 slot = t->free;
    size_t budget = SIZE_MAX;

    if (slot != 0) {
        t->free = at(t, slot)->next;
        if (t->free != 0) /* the next one's turn comes soon */
            prefetch_whole(at(t, t->free));
        return slot;
    }
    if (span_grow(&t->span, ((size_t)t->slot_count + 1) * sizeof(struct ale_endpoint), &budget) != 0)
        return 0;
    return t->slot_count++;
}

struct host_endpoint *ale_endpoint_make(struct lane *l, const struct ale_endpoint_key *k,
                                        const struct host_owner *owner)
{
    struct endpoints *t = endpoints_of(l);
    struct party *party = party_of(t, owner);
    struct ale_endpoint *e;
    UINT32 slot;

    slot = party == NULL || t->live >= l->host->limits.endpoints ? 0 : slot_take(t);
    if (slot == 0)
        return NULL;
    e = at(t, slot);
    memset(e, 0, sizeof(*e));
    e->slot = slot;
    e->live = true;
    e->e.id = l->host->next_endpoint_id++;
    e->e.party = party;
    e->e.references = 1;
    e->e.version = k->version;
    e->e.protocol = k->protocol;
    e->e.local = k->local;
    e->e.local_port = k->port;
    e->e.wildcard = wire_addr_is_unspecified(k->version, &k->local);
    t->live++;
    host_count(&l->host->counts.endpoints_live);
    return &e->e;
}

void ale_endpoint_move(struct lane *l, struct host_endpoint *e, const struct ale_endpoint_key *k)
{
    struct endpoints *t = endpoints_of(l);
    const bool shown = ale_endpoint_of(e)->hashed;

    hide(t, ale_endpoint_of(e));
    e->local = k->local;
    e->local_port = k->port;
    e->wildcard = wire_addr_is_unspecified(k->version, &k->local);
    if (shown)
        ale_endpoint_show(l, e);
}

void ale_endpoint_ref(struct host_endpoint *e)
{
    e->references++;
}

void ale_endpoint_unref(struct lane *l, struct host_endpoint *e)
{
    struct endpoints *t = endpoints_of(l);
    struct ale_endpoint *x = ale_endpoint_of(e);

    if (--e->references != 0)
        return;
    x->dead = t->dead;
    t->dead = x;
}

/* ---- lingering --------------------------------------------------------------------------------------------
 */

static void linger_end(struct endpoints *t, struct ale_endpoint *e)
{
    if (!e->lingers)
        return;
    *(e->idle_older != 0 ? &at(t, e->idle_older)->idle_newer : &t->idle_oldest) = e->idle_newer;
    *(e->idle_newer != 0 ? &at(t, e->idle_newer)->idle_older : &t->idle_newest) = e->idle_older;
    e->lingers = false;
}

static void linger(struct lane *l, struct endpoints *t, struct ale_endpoint *e)
{
    linger_end(t, e);
    e->lingers = true;
    e->idle_since = ale_tick(l);
    e->idle_newer = 0;
    e->idle_older = t->idle_newest;
    *(e->idle_older != 0 ? &at(t, e->idle_older)->idle_newer : &t->idle_oldest) = e->slot;
    t->idle_newest = e->slot;
}

void ale_endpoint_take(struct lane *l, struct host_endpoint *e)
{
    linger_end(endpoints_of(l), ale_endpoint_of(e));
    e->flows++;
    e->references++;
}

void ale_endpoint_give(struct lane *l, struct host_endpoint *e)
{
    struct ale_endpoint *x = ale_endpoint_of(e);

    e->flows--;
    if (e->flows == 0 && x->hashed && !x->is_explicit && !x->closed)
        linger(l, endpoints_of(l), x);
    ale_endpoint_unref(l, e);
}

void ale_endpoint_idle(struct lane *l, struct host_endpoint *e)
{
    struct ale_endpoint *x = ale_endpoint_of(e);

    if (e->flows == 0 && x->hashed && !x->is_explicit && !x->closed)
        linger(l, endpoints_of(l), x);
}

void ale_endpoint_forget(struct lane *l, struct host_endpoint *e)
{
    linger_end(endpoints_of(l), ale_endpoint_of(e));
    hide(endpoints_of(l), ale_endpoint_of(e));
}

bool ale_endpoints_evict(struct lane *l)
{
    struct endpoints *t = endpoints_of(l);
    struct host_endpoint *e;

    lane_enter(l);
    e = ale_endpoint_at(l, t->idle_oldest);
    if (e != NULL)
        host_count(&l->host->counts.endpoints_evicted);
    lane_leave(l);
    if (e == NULL)
        return false;
    ale_endpoint_close(l, e, HOST_END_EVICTED);
    ale_endpoints_advance(l);
    return true;
}

static void free_dead(struct lane *l, struct endpoints *t)
{
    while (t->dead != NULL) {
        struct ale_endpoint *e = t->dead;

        t->dead = e->dead;
        groups_free(e);
        if (e->e.parent != NULL)
            ale_endpoint_unref(l, e->e.parent);
        if (e->records != NULL)
            redirect_records_unref(ale_of(l)->redirects, e->records);
        if (e->moved)
            redirect_translate_end(ale_of(l)->redirects, 0, e->e.id, ale_of(l)->now_ns);
        e->live = false;
        e->next = t->free;
        t->free = e->slot;
        t->live--;
        __atomic_fetch_sub(&l->host->counts.endpoints_live, 1, __ATOMIC_RELAXED);
    }
}

void ale_endpoints_advance(struct lane *l)
{
    struct endpoints *t = endpoints_of(l);

    for (;;) {
        struct ale_endpoint *e;
        bool due;

        lane_enter(l);
        free_dead(l, t);
        e = t->idle_oldest != 0 ? at(t, t->idle_oldest) : NULL;
        due = e != NULL && ale_tick(l) - e->idle_since >= (e->e.refused ? ALE_IDLE : ALE_LINGER) * ALE_TICKS;
        if (due && e->idle_newer != 0)
            prefetch_whole(at(t, e->idle_newer));
        lane_leave(l);
        if (!due)
            return;
        ale_endpoint_close(l, &e->e, HOST_END_IDLE);
    }
}

/* ---- lookups ----------------------------------------------------------------------------------------------
 */

static bool is_usable(const struct ale_endpoint *e)
{
    return !e->closed && !e->e.closing;
}

/* TCP: who connects has a bound socket that neither listens nor is connected; who receives listens, or was
 * refused to. */
static bool fits(const struct ale_endpoint *e, bool receives)
{
    if (!is_usable(e))
        return false;
    if (e->e.protocol != WIRE_PROTOCOL_TCP || e->e.raw)
        return true;
    return receives == (e->e.listening || e->listen != ALE_NEW || e->e.refused) && e->e.flows == 0;
}

static struct host_endpoint *lookup(const struct lane *l, uint8_t version, uint8_t protocol,
                                    const union wire_addr *local, UINT16 port, bool receives, bool dual)
{
    const struct endpoints *t = endpoints_of(l);

    for (UINT32 slot = t->keys[key_bucket(t, version, protocol, local, port)]; slot != 0;) {
        struct ale_endpoint *e = at(t, slot);

        slot = e->next;
        if (e->e.version == version && e->e.protocol == protocol && e->e.local_port == port &&
            wire_addr_equal(&e->e.local, local) && (!dual || e->e.dual_stack) && fits(e, receives))
            return &e->e;
    }
    return NULL;
}

static struct host_endpoint *find(const struct lane *l, uint8_t version, uint8_t protocol,
                                  const union wire_addr *local, UINT16 port, bool receives)
{
    static const union wire_addr any;
    struct host_endpoint *e = lookup(l, version, protocol, local, port, receives, false);

    if (e != NULL || endpoints_of(l)->wildcards == 0)
        return e;
    e = lookup(l, version, protocol, &any, port, receives, false);
    if (e == NULL && version == 4)
        e = lookup(l, 6, protocol, &any, port, receives, true);
    return e;
}

bool ale_endpoint_is_taken(const struct lane *l, const struct ale_endpoint_key *k,
                           const struct host_endpoint *but)
{
    for (int receives = 0; receives < 2; receives++) {
        const struct host_endpoint *e = find(l, k->version, k->protocol, &k->local, k->port, receives != 0);

        if (e != NULL && e != but && e->version == k->version && wire_addr_equal(&e->local, &k->local) &&
            !e->refused)
            return true;
    }
    return false;
}

struct host_endpoint *ale_endpoint_hears(const struct lane *l, const struct wire_packet *p)
{
    return find(l, p->version, p->protocol, &p->destination, p->destination_port, true);
}

struct host_endpoint *ale_endpoint_receiver(const struct scene *s)
{
    return find(s->lane, s->version, s->protocol, &s->local, s->icmp ? 0 : s->local_port, true);
}

struct host_endpoint *ale_endpoint_sender(const struct scene *s)
{
    return find(s->lane, s->version, s->protocol, &s->local, s->icmp ? 0 : s->local_port, false);
}

bool ale_endpoint_is_raw_tcp(const struct scene *s)
{
    const struct host_endpoint *e;

    if (endpoints_of(s->lane)->raw_tcp == 0)
        return false;
    e = find(s->lane, s->version, s->protocol, &s->local, 0, false);
    return e != NULL && e->raw;
}

/* Implied sockets are taken to have joined what is sent to them. */
static bool receives_group(const struct scene *s, const struct ale_endpoint *e)
{
    if (!is_usable(e) || e->e.refused || e->e.protocol != s->protocol ||
        e->e.local_port != (s->icmp ? 0 : s->local_port) ||
        (e->e.version != s->version && !(e->e.dual_stack && s->version == 4)))
        return false;
    if (!e->is_explicit)
        return host_may_join(s->host, s->version, &s->local);
    if (wire_addr_equal(&e->e.local, &s->local))
        return true;
    if (!wire_addr_is_multicast(s->version, &s->local))
        return true;
    for (const struct ale_group *g = e->groups; g != NULL; g = g->next)
        if (wire_addr_equal(&g->address, &s->local))
            return true;
    return false;
}

/* In the order in which they were made. */
struct host_endpoint *ale_receiver(struct scene *s, unsigned n)
{
    const struct endpoints *t = endpoints_of(s->lane);
    struct ale_endpoint *best = NULL;
    UINT64 after = 0;

    lane_enter(s->lane);
    for (unsigned i = 0; i <= n; i++) {
        best = NULL;
        for (UINT32 slot = t->ports[port_bucket(t, s->protocol, s->icmp ? 0 : s->local_port)]; slot != 0;) {
            struct ale_endpoint *e = at(t, slot);

            slot = e->port_next;
            if (e->e.id > after && (best == NULL || e->e.id < best->e.id) && receives_group(s, e))
                best = e;
        }
        if (best == NULL)
            break;
        after = best->e.id;
    }
    lane_leave(s->lane);
    return best != NULL ? &best->e : NULL;
}

void host_endpoints(struct host *h, void (*fn)(void *ctx, const struct host_endpoint_info *e), void *ctx)
{
    for (size_t i = 0; i < h->lane_count; i++) {
        struct lane *l = &h->lanes[i];

        lane_lock(l);
        for (UINT32 slot = 1; slot < ale_endpoints_slots(l); slot++) {
            const struct host_endpoint *e = ale_endpoint_at(l, slot);
            struct host_endpoint_info info;

            if (e == NULL || ale_endpoint_of(e)->closed)
                continue;
            info = (struct host_endpoint_info){
                .id = e->id,
                .parent_id = e->parent != NULL ? e->parent->id : 0,
                .version = e->version,
                .protocol = e->protocol,
                .bound = e->assigned != 0,
                .listening = e->listening,
                .local = e->local,
                .remote = e->remote,
                .local_port = e->local_port,
                .remote_port = e->remote_port,
                .owner = e->party->owner,
            };
            fn(ctx, &info);
        }
        rt_mutex_unlock(l->lock);
    }
}

UINT64 host_endpoint_id(const struct host_endpoint *e)
{
    return e->id;
}
