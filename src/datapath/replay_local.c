/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose addresses are this host's (--local auto).
 *
 * What is said counts before what is guessed: the interfaces' own addresses in the capture; directions (an
 * address is local if it sends more outbound frames and gets more inbound ones than the other way round: a
 * forwarded packet is both and proves nothing); the machine's addresses from elsewhere (hints) if they are
 * seen. Loopback addresses are local without being named.
 * If nothing is said: the unicast address that takes part in most IP frames, of several the one that sends
 * first; and the other addresses that send from its MAC, unless they are so many that it is a router's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "replay_inside.h"

/* ---- sightings ----------------------------------------------------------------------------------------- */

static uint64_t mac_at(const uint8_t *b)
{
    uint64_t mac = 0;
    memcpy(&mac, b, 6);
    return mac;
}

bool sighting_of(const struct capture_packet *p, const struct wire_packet *w, struct sighting *out)
{
    if (w->version == 0 || w->reached < WIRE_NETWORK)
        return false;
    *out = (struct sighting){
        .interface = p->interface,
        .version = w->version,
        .way = (uint8_t)frame_way(p, w),
        .group = w->cooked == WIRE_COOKED_BROADCAST || w->cooked == WIRE_COOKED_MULTICAST,
        .source = w->source,
        .destination = w->destination,
    };
    if (w->mac_at != UINT32_MAX && w->captured >= 12 && w->mac_at <= w->captured - 12) {
        out->to = mac_at(w->frame + w->mac_at);
        out->from = mac_at(w->frame + w->mac_at + 6);
        out->has_mac = out->to != 0 && out->from != 0;
        out->group = out->group || (w->frame[w->mac_at] & 1) != 0;
    }
    return true;
}

/* Could it be one host's? */
static bool is_unicast(uint8_t version, const union wire_addr *a)
{
    return !wire_addr_is_multicast(version, a) && !wire_addr_is_unspecified(version, a) &&
           !wire_addr_is_loopback(version, a) && !(version == 4 && a->v4 == UINT32_MAX);
}

/* ---- the tally of addresses ---------------------------------------------------------------------------- */

struct tally_entry {
    union wire_addr address;
    uint8_t version; /* 0: free */
    bool sends;
    uint32_t interface;
    uint32_t frames;     /* it takes part in */
    uint32_t first_sent; /* number of the sighting */
    int32_t ours;        /* directions that speak for it, less those against */
    uint64_t mac;        /* that it first sent from; 0: none */
};

#define TALLY_SIZE 32768 /* more than twice two addresses a sighting, a power of two */
_Static_assert(TALLY_SIZE > 3 * LOCAL_LOOK_AT, "the tally always has a free place");

/* Where the address stands or would stand. */
static struct tally_entry *tally_place(struct tally_entry *t, uint8_t version, const union wire_addr *a)
{
    uint64_t x = (a->word[0] ^ version) * 0x9e3779b97f4a7c15ull + a->word[1] * 0xc2b2ae3d27d4eb4full;
    size_t i = (size_t)(x >> 32) % TALLY_SIZE;

    while (t[i].version != 0 && (t[i].version != version || !wire_addr_equal(&t[i].address, a)))
        i = (i + 1) % TALLY_SIZE;
    return &t[i];
}

static struct tally_entry *tally_at(struct tally_entry *t, uint8_t version, const union wire_addr *a)
{
    struct tally_entry *e = tally_place(t, version, a);

    if (e->version == 0) {
        e->version = version;
        e->address = *a;
    }
    return e;
}

static void tally_sighting(struct tally_entry *t, const struct sighting *s, uint32_t n)
{
    const int32_t out = s->way == HOST_WAY_OUT ? 1 : s->way == HOST_WAY_IN ? -1 : 0;

    if (wire_addr_equal(&s->source, &s->destination))
        return;
    if (is_unicast(s->version, &s->source)) {
        struct tally_entry *e = tally_at(t, s->version, &s->source);
        if (e->frames++ == 0)
            e->interface = s->interface;
        if (!e->sends) {
            e->sends = true;
            e->first_sent = n;
            e->mac = s->has_mac ? s->from : 0;
        }
        e->ours += out;
    }
    if (is_unicast(s->version, &s->destination) && !s->group) {
        struct tally_entry *e = tally_at(t, s->version, &s->destination);
        if (e->frames++ == 0)
            e->interface = s->interface;
        e->ours -= out;
    }
}

/* ---- the list ------------------------------------------------------------------------------------------ */

static bool covers(const struct replay_local *l, uint8_t version, const union wire_addr *a)
{
    unsigned bits = l->bits;

    if (l->version != version)
        return false;
    if (version == 4)
        return bits == 0 || ((l->address.v4 ^ a->v4) & (UINT32_MAX << (32 - bits))) == 0;
    return memcmp(l->address.v6, a->v6, bits / 8) == 0 &&
           (bits % 8 == 0 ||
            ((l->address.v6[bits / 8] ^ a->v6[bits / 8]) & (0xff00 >> bits % 8) & 0xff) == 0);
}

static bool is_one(const struct locals *l, uint8_t version, const union wire_addr *a)
{
    for (size_t i = 0; i < l->count; i++)
        if (covers(&l->list[i].is, version, a))
            return true;
    return false;
}

int locals_create(size_t room, struct locals *l)
{
    *l = (struct locals){.list = calloc(room, sizeof(*l->list)), .room = room};
    return l->list == NULL ? -ENOMEM : 0;
}

void locals_destroy(struct locals *l)
{
    free(l->list);
    *l = (struct locals){0};
}

/* A single address; beyond the room the rest is not local. */
static void add(struct locals *l, uint8_t version, const union wire_addr *a, uint32_t interface)
{
    if (l->count == l->room || !is_unicast(version, a) || is_one(l, version, a))
        return;
    l->list[l->count++] = (struct local){
        .is = {.version = version, .bits = version == 4 ? 32 : 128, .address = *a},
        .interface = interface,
    };
}

static void add_said(struct tally_entry *t, const struct replay_config *config, const struct capture *c,
                     struct locals *out)
{
    for (size_t i = 0; i < capture_interface_count(c); i++) {
        const struct capture_interface *f = capture_interface(c, (uint32_t)i);
        for (size_t n = 0; n < f->address_count; n++)
            add(out, f->addresses[n].version, &f->addresses[n].address, (uint32_t)i);
    }
    for (size_t i = 0; i < TALLY_SIZE; i++)
        if (t[i].version != 0 && t[i].ours > 0)
            add(out, t[i].version, &t[i].address, t[i].interface);
    for (size_t i = 0; i < config->hint_count; i++) {
        const struct replay_local *hint = &config->hints[i];
        const struct tally_entry *e = tally_place(t, hint->version, &hint->address);
        if (e->version != 0)
            add(out, hint->version, &hint->address, e->interface);
    }
}

static void guess(const struct tally_entry *t, const struct sighting *seen, size_t count, struct locals *out)
{
    const struct tally_entry *best = NULL;

    for (size_t i = 0; i < TALLY_SIZE; i++) {
        const struct tally_entry *e = &t[i];
        if (e->version == 0 || e->frames == 0)
            continue;
        if (best == NULL || e->frames > best->frames ||
            (e->frames == best->frames && e->sends && (!best->sends || e->first_sent < best->first_sent)))
            best = e;
    }
    if (best == NULL)
        return;
    add(out, best->version, &best->address, best->interface);
    size_t sharing = 0;
    for (size_t i = 0; i < TALLY_SIZE; i++)
        sharing += t[i].version != 0 && t[i].mac != 0 && t[i].mac == best->mac;
    for (size_t i = 0; sharing <= LOCAL_A_MAC && i < TALLY_SIZE; i++)
        if (t[i].version != 0 && t[i].mac != 0 && t[i].mac == best->mac)
            add(out, t[i].version, &t[i].address, t[i].interface);
    out->guessed = true;
    for (size_t i = 0; i < count; i++) {
        out->guessed_of++;
        out->guessed_in += is_one(out, seen[i].version, &seen[i].source) ||
                           is_one(out, seen[i].version, &seen[i].destination);
    }
}

int locals_find(const struct replay_config *config, const struct capture *c, const struct sighting *seen,
                size_t count, struct locals *out)
{
    struct tally_entry *t = calloc(TALLY_SIZE, sizeof(*t));

    if (t == NULL)
        return -ENOMEM;
    out->count = 0;
    for (size_t i = 0; i < count; i++)
        tally_sighting(t, &seen[i], (uint32_t)i);
    add_said(t, config, c, out);
    if (out->count == 0)
        guess(t, seen, count, out);
    free(t);
    return 0;
}

/* ---- where they are ------------------------------------------------------------------------------------ */

void locals_place(const struct sighting *seen, size_t count, struct locals *l)
{
    for (size_t n = 0; n < l->count; n++)
        for (size_t i = 0; i < count; i++)
            if (covers(&l->list[n].is, seen[i].version, &seen[i].source) ||
                covers(&l->list[n].is, seen[i].version, &seen[i].destination)) {
                l->list[n].interface = seen[i].interface;
                break;
            }
}

bool locals_mac(const struct locals *l, const struct sighting *seen, size_t count, uint32_t interface,
                uint8_t mac[6])
{
    uint64_t found = 0;

    for (size_t i = 0; i < count && found == 0; i++)
        if (seen[i].interface == interface && seen[i].has_mac && seen[i].way != HOST_WAY_IN &&
            is_one(l, seen[i].version, &seen[i].source))
            found = seen[i].from;
    for (size_t i = 0; i < count && found == 0; i++)
        if (seen[i].interface == interface && seen[i].has_mac && !seen[i].group &&
            seen[i].way != HOST_WAY_OUT && is_one(l, seen[i].version, &seen[i].destination))
            found = seen[i].to;
    memcpy(mac, &found, 6);
    return found != 0;
}
