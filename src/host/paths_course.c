/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paths_course: which way a frame goes, by its addresses and what the capture says; and the same for some frames ahead of
 * their turn (l->ahead), with the key that their flows are looked up by.
 *
 *   host_prefetch() --> paths_ahead() --each frame--> course_of(): two comparisons with the host's nearest address
 *                                                        | they do not tell
 *                                                        v
 *   paths_frame(), not looked at ahead -----------> path_course()
 */
#include <string.h>

#include "host/paths.h"

static bool mac_known(const struct wire_packet *p, const struct host_interface *i)
{
    static const uint8_t none[6];

    return i != NULL && p->mac_at != UINT32_MAX && memcmp(i->desc.mac, none, 6) != 0;
}

static bool mac_is(const struct wire_packet *p, const struct host_interface *i, bool source)
{
    return mac_known(p, i) && memcmp(p->frame + p->mac_at + (source ? 6 : 0), i->desc.mac, 6) == 0;
}

enum host_way path_way(const struct host_frame *f, const struct host_interface *i)
{
    const struct wire_packet *p = f->packet;

    if (f->way != HOST_WAY_UNKNOWN)
        return f->way;
    switch (p->cooked) {
    case WIRE_COOKED_FROM_US:
        return HOST_WAY_OUT;
    case WIRE_COOKED_TO_US:
    case WIRE_COOKED_BROADCAST:
    case WIRE_COOKED_MULTICAST:
        return HOST_WAY_IN;
    default:
        return mac_is(p, i, true) ? HOST_WAY_OUT : mac_is(p, i, false) ? HOST_WAY_IN : HOST_WAY_UNKNOWN;
    }
}

bool path_local_at(struct lane *l, uint8_t version, const union wire_addr *a,
                   const struct host_interface *arrival, const struct host_interface **home)
{
    struct near *n = &l->near;

    if (!host_perhaps_local(l->host, version, a))
        return false;
    if (n->version == version && n->places == l->host->places && wire_addr_equal(&n->address, a)) {
        *home = n->home;
        return true;
    }
    if (!host_local_at(l->host, version, a, arrival, home))
        return false;
    /* With another arrival: is it the same? (Loopback, or on several: it is where the packet arrives.) */
    if (arrival != NULL && *home == arrival) {
        const struct host_interface *other;

        if (!host_local_at(l->host, version, a, NULL, &other) || other != arrival)
            return true;
    }
    if (*home != NULL)
        *n = (struct near){.address = *a, .version = version, .places = l->host->places, .home = *home};
    return true;
}

/*
 * Addresses decide, as they do for the stack; what the capture says decides where they leave it open: what
 * comes from no address (a host that asks for one), from one of the host's own to somebody else but arrived
 * (its own broadcast, come back), and what passes through. *home: the interface whose address it is.
 */
enum course path_course(struct lane *l, const struct host_frame *f, const struct host_interface *i,
                        const struct host_interface **home)
{
    const struct host *h = l->host;
    const struct wire_packet *p = f->packet;
    const struct host_interface *from;
    bool to_us, from_us;
    enum host_way way;

    *home = i;
    to_us = path_local_at(l, p->version, &p->destination, i, home);
    from_us = path_local_at(l, p->version, &p->source, i, &from);
    if (to_us && from_us)
        return COURSE_LOOPBACK;
    if (to_us)
        return COURSE_IN;
    if (from_us && f->way != HOST_WAY_IN) {
        *home = from;
        return COURSE_OUT;
    }
    way = path_way(f, i);
    if (host_address_is_group(h, p->version, &p->destination)) {
        if (way == HOST_WAY_OUT)
            return from_us || wire_addr_is_unspecified(p->version, &p->source) ? COURSE_OUT : COURSE_NOWHERE;
        return COURSE_IN_GROUP;
    }
    if (wire_addr_is_unspecified(p->version, &p->source) && way == HOST_WAY_OUT)
        return COURSE_OUT;
    if (from_us || f->packet->cooked == WIRE_COOKED_TO_OTHERS)
        return COURSE_NOWHERE;
    if (i == NULL)
        return COURSE_NOWHERE;
    if (mac_is(p, i, false) || (i->desc.forwarding && (mac_is(p, i, true) || !mac_known(p, i))))
        return COURSE_THROUGH;
    return COURSE_NOWHERE; /* overheard */
}

/* The own address that nearly all packets have at one end, ready to be compared: what decides is whether the other end
 * is nobody's here. */
struct here {
    bool is; /* there is one, of IPv4 */
    uint32_t address;
    UINT64 hint; /* host.local_hint */
    const struct host_interface *home;
};

static inline struct here here_of(const struct lane *l)
{
    const struct host *h = l->host;

    return (struct here){.is = l->near.version == 4 && l->near.places == h->places,
                         .address = l->near.address.v4,
                         .hint = __atomic_load_n(&h->local_hint, __ATOMIC_ACQUIRE),
                         .home = l->near.home};
}

static inline bool perhaps_here(const struct here *x, const union wire_addr *a)
{
    return a->v4 >> 24 == 127 || (x->hint & host_local_bit(a)) != 0;
}

/* path_course(), which it is asked only where two comparisons do not tell. */
static inline enum course course_of(struct lane *l, struct here *x, const struct host_frame *f,
                                    const struct host_interface *i, const struct host_interface **home)
{
    const struct wire_packet *p = f->packet;
    enum course course;

    if (__builtin_expect(p->version == 4 && x->is, 1)) {
        if (p->destination.v4 == x->address && !perhaps_here(x, &p->source)) {
            *home = x->home;
            return COURSE_IN;
        }
        if (p->source.v4 == x->address && f->way != HOST_WAY_IN && !perhaps_here(x, &p->destination)) {
            *home = x->home;
            return COURSE_OUT;
        }
    }
    course = path_course(l, f, i, home);
    *x = here_of(l);
    return course;
}

/* One frame's; true: its flow has a key, which is made. */
static inline bool look_ahead(struct lane *l, struct here *x, const struct host_frame *f, struct ahead *a,
                              struct host_flow_key *key)
{
    const struct wire_packet *p = f->packet;
    enum course course = COURSE_NOWHERE;

    if (__builtin_expect(p->version != 0, 1))
        course = course_of(l, x, f, a->interface, &a->home);
    else
        a->home = NULL;
    a->frame = f;
    a->packet = p;
    a->number = f->number;
    a->flow = NULL;
    a->places = (uint32_t)l->host->places;
    a->course = (uint8_t)course;
    if (p->reached != WIRE_TRANSPORT || /* groups: by endpoint, not by tuple */
        (course != COURSE_IN && course != COURSE_OUT && course != COURSE_LOOPBACK))
        return false;
    if (__builtin_expect(p->protocol != WIRE_PROTOCOL_TCP && p->protocol != WIRE_PROTOCOL_UDP, 0)) {
        struct scene s;

        path_scene(&s, p, course == COURSE_IN);
        path_key(&s, key);
    } else {
        host_flow_key_of(p, course == COURSE_IN, key); /* ale_key() of such a scene */
    }
    return true;
}

size_t paths_ahead(struct lane *l, const struct host_frame *frames, size_t count, struct ahead **of,
                   struct host_flow_key *keys)
{
    const struct host_interface *i = NULL;
    struct here x = here_of(l);
    UINT32 index = 0;
    size_t n = 0;

    for (size_t k = 0; k < count; k++) {
        const struct host_frame *f = &frames[k];
        struct ahead *a = of[n] = &l->ahead[f->number % AHEAD];

        if (f->interface_index != index || i == NULL)
            i = host_interface_by_index(l->host, index = f->interface_index);
        a->interface = i;
        n += look_ahead(l, &x, f, a, &keys[n]);
    }
    return n;
}

void path_not_ahead(struct lane *l, const struct host_frame *f, struct ahead *a)
{
    a->flow = NULL;
    a->home = NULL;
    a->interface = host_interface_by_index(l->host, f->interface_index);
    if (f->packet->version != 0)
        a->course = (uint8_t)path_course(l, f, a->interface, &a->home);
}
