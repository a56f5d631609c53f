/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reassembly: datagrams from their fragments, at most 64 at a time.
 *
 * A datagram is OPEN from its first fragment on, until it is whole, 60 seconds are over (RFC 8200, 4.5: then its
 * sender is told, if the piece at 0 is there), or the oldest has to make room. Bytes that overlap others, or two
 * ends, make it POISONED: it keeps its key until its time is over and takes nothing more (RFC 5722). A fragment that
 * repeats what is there byte for byte is no overlap. Its room grows with what arrives, to 64 KiB; the timer of all is the
 * oldest one's, and only lasts.
 */
#include <stdlib.h>

#include "stack/internal.h"

#define LIFETIME (60 * SECOND)
#define UNKNOWN  UINT32_MAX

enum { UNITS = 8192, HEADERS = 512, FRONT = HEADERS };

enum state { FREE, OPEN, POISONED };
struct piece_key {
    union wire_addr source, destination;
    uint32_t id;
    uint8_t version, protocol;
};
struct datagram {
    enum state state;
    struct piece_key key;
    uint64_t since;
    uint32_t header_size, end, received, room; /* header_size 0: the piece at 0 is not there */
    uint8_t next;
    uint8_t *bytes; /* FRONT, then the payload */
    uint64_t there[UNITS / 64];
};
struct reassembly {
    struct timer timer;
    struct stack *stack;
    struct datagram datagrams[REASSEMBLIES];
    uint8_t *whole; /* given out last */
};

static void drop(struct datagram *d)
{
    free(d->bytes);
    memset(d, 0, sizeof(*d));
}

static void arm(struct reassembly *r)
{
    uint64_t first = NEVER;

    for (unsigned i = 0; i < REASSEMBLIES; i++) {
        if (r->datagrams[i].state != FREE && r->datagrams[i].since + LIFETIME < first)
            first = r->datagrams[i].since + LIFETIME;
    }
    timer_set(&r->stack->timers, &r->timer, first, true);
}

/* Which field says what follows the headers. */
static uint32_t next_field(const struct datagram *d, const uint8_t *h)
{
    uint32_t field = 6;

    for (uint32_t at = IP6_HEADER; at + 1 < d->header_size; at += (h[at + 1] + 1u) * 8)
        field = at;
    return field;
}

/* Quotes the beginning; IPv6: as if it had come without the fragment header. */
static void tell_sender(struct stack *s, const struct datagram *d)
{
    struct wire_packet p;
    uint8_t *h;

    if (d->state != OPEN || d->header_size == 0)
        return;
    h = d->bytes + FRONT - d->header_size;
    if (d->key.version == 6)
        h[next_field(d, h)] = d->next;
    wire_parse_ip(h, d->header_size + 8, d->header_size + d->room,
                  &p); /* a first piece has 8 bytes at least */
    if (p.version != 0)
        icmp_tell(s, &p, ICMP_REASSEMBLY, 0);
}

static void due(struct timer *t)
{
    struct reassembly *r = (struct reassembly *)t; /* its first member */

    for (unsigned i = 0; i < REASSEMBLIES; i++) {
        struct datagram *d = &r->datagrams[i];

        if (d->state == FREE || d->since + LIFETIME > r->stack->now)
            continue;
        tell_sender(r->stack, d);
        drop(d);
        r->stack->counts.discarded++;
    }
    arm(r);
}

static struct reassembly *get(struct stack *s)
{
    struct reassembly *r = s->reassembly;

    if (r != NULL || timers_reserve(&s->timers, s->socket_count + 1) != 0)
        return r;
    r = calloc(1, sizeof(*r));
    if (r == NULL)
        return NULL;
    r->stack = s;
    r->timer.due = due;
    s->reassembly = r;
    return r;
}

void reassembly_free(struct stack *s)
{
    struct reassembly *r = s->reassembly;

    if (r == NULL)
        return;
    for (unsigned i = 0; i < REASSEMBLIES; i++)
        free(r->datagrams[i].bytes);
    free(r->whole);
    free(r);
}

static bool key_equal(const struct piece_key *a, const struct piece_key *b)
{
    return a->id == b->id && a->version == b->version && a->protocol == b->protocol &&
           wire_addr_equal(&a->source, &b->source) && wire_addr_equal(&a->destination, &b->destination);
}

static struct piece_key key_of(const struct wire_packet *p)
{
    return (struct piece_key){p->source, p->destination, p->fragment_id, p->version,
                              p->version == 4 ? p->protocol : 0};
}

void stack_forget_datagram(struct stack *s, const uint8_t *fragment, uint32_t size)
{
    struct reassembly *r = s->reassembly;
    struct wire_packet p;
    struct piece_key key;

    wire_parse_ip(fragment, size, size, &p);
    if (r == NULL || !p.fragment)
        return;
    key = key_of(&p);
    for (unsigned i = 0; i < REASSEMBLIES; i++)
        if (r->datagrams[i].state != FREE && key_equal(&r->datagrams[i].key, &key))
            drop(&r->datagrams[i]);
    arm(r);
}

static struct datagram *find(struct reassembly *r, const struct piece_key *key)
{
    struct datagram *best = &r->datagrams[0];

    for (unsigned i = 0; i < REASSEMBLIES; i++) {
        struct datagram *d = &r->datagrams[i];

        if (d->state != FREE && key_equal(&d->key, key))
            return d;
        if (best->state != FREE && (d->state == FREE || d->since < best->since))
            best = d;
    }
    drop(best);
    best->state = OPEN;
    best->key = *key;
    best->since = r->stack->now;
    best->end = UNKNOWN;
    arm(r);
    return best;
}

static bool poison(struct datagram *d)
{
    free(d->bytes);
    d->bytes = NULL;
    d->room = 0;
    d->state = POISONED;
    return false;
}

static bool is_there(const struct datagram *d, uint32_t unit)
{
    return (d->there[unit / 64] >> unit % 64 & 1) != 0;
}

/* Room for the payload up to `end`. */
static bool make_room(struct datagram *d, uint32_t end)
{
    uint32_t room = d->room != 0 ? d->room : 4096;
    uint8_t *more;

    if (end <= d->room)
        return true;
    while (room < end)
        room *= 2;
    more = realloc(d->bytes, FRONT + room);
    if (more == NULL)
        return false;
    d->bytes = more;
    d->room = room;
    return true;
}

/* False: it adds nothing. */
static bool add(struct datagram *d, const struct wire_packet *p, const uint8_t *bytes, uint32_t first,
                uint32_t size)
{
    const bool more = (p->ip_flags & WIRE_IP_MORE_FRAGMENTS) != 0;
    const uint32_t end = first + size, from = first / 8, to = (end + 7) / 8;
    uint32_t there = 0;

    if (d->state != OPEN)
        return false;
    if (size == 0 || end > IP_LARGEST || (!more && d->end != UNKNOWN && d->end != end) ||
        (d->end != UNKNOWN && end > d->end))
        return poison(d);
    for (uint32_t i = from; i < to; i++)
        there += is_there(d, i);
    if (there == to - from) /* again? */
        return memcmp(d->bytes + FRONT + first, bytes, size) == 0 ? false : poison(d);
    if (there != 0)
        return poison(d);
    if (!more) {
        for (uint32_t i = to; i < UNITS; i++) {
            if (is_there(d, i))
                return poison(d); /* beyond the end */
        }
        d->end = end;
    }
    if (!make_room(d, end))
        return false;
    memcpy(d->bytes + FRONT + first, bytes, size);
    for (uint32_t i = from; i < to; i++)
        d->there[i / 64] |= 1ull << i % 64;
    d->received += size;
    return true;
}

/* The first piece's header is that of the whole; IPv6: what stands before the fragment header. */
static bool keep_header(struct datagram *d, const struct wire_packet *p)
{
    const uint8_t *ip = p->frame + p->ip_at;
    uint32_t size = p->version == 4 ? p->ip_header_size : p->fragment_header_at - p->ip_at;

    if (size > FRONT)
        return false;
    memcpy(d->bytes + FRONT - size, ip, size);
    d->header_size = size;
    if (p->version == 6)
        d->next = p->frame[p->fragment_header_at];
    return true;
}

static void finish_header(const struct datagram *d, uint8_t *h)
{
    if (d->key.version == 4) {
        put16(h + 2, d->header_size + d->end);
        put16(h + 6, 0);
        put16(h + 10, 0);
        put16(h + 10, wire_fold(wire_sum(h, d->header_size, 0)));
        return;
    }
    put16(h + 4, d->header_size + d->end - IP6_HEADER);
    h[next_field(d, h)] = d->next;
}

const uint8_t *reassembly_add(struct stack *s, const struct wire_packet *p, uint32_t interface,
                              uint32_t *size)
{
    const struct piece_key key = key_of(p);
    struct reassembly *r = get(s);
    struct datagram *d;
    const uint8_t *bytes;
    uint32_t from;

    (void)interface;
    if (r == NULL)
        return NULL;
    d = find(r, &key);
    /* The payload begins behind IPv4's header; behind IPv6's fragment header, with what else stands there. */
    from = p->version == 4 ? p->ip_at + p->ip_header_size : p->fragment_header_at + 8;
    bytes = p->frame + from;
    if (!add(d, p, bytes, p->fragment_offset, p->ip_at + p->ip_length - from)) {
        s->counts.discarded++;
        return NULL;
    }
    if (p->fragment_offset == 0 && !keep_header(d, p)) {
        poison(d);
        return NULL;
    }
    if (d->end == UNKNOWN || d->received != d->end || d->header_size + d->end > IP_LARGEST)
        return NULL;
    free(r->whole);
    r->whole = d->bytes;
    d->bytes = NULL;
    bytes = r->whole + FRONT - d->header_size;
    finish_header(d, r->whole + FRONT - d->header_size);
    *size = d->header_size + d->end;
    drop(d);
    arm(r);
    return bytes;
}
