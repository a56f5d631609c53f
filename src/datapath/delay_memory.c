/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delay's memory: flows by both their ends, pieces by number, holds by age, and the heap of those whose first
 * frame is due. All of it is bounded: frames and bytes by the limits (replay_delay.c makes room), flows by
 * giving up the longest unused one of which nothing is here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "delay_inside.h"

#define DEFAULT_FRAMES 262144u
#define DEFAULT_BYTES  (256ull << 20)
#define DEFAULT_FLOWS  65536u
#define HEAP_FIRST     64u

/* ---- keys ---------------------------------------------------------------------------------------------- */

/* The request that an ICMP type answers, or itself. */
static uint8_t request_of(uint8_t version, uint8_t type)
{
    if (version == 6)
        return type == 129 ? 128 : type;
    switch (type) {
    case 0:
        return 8;
    case 14:
    case 16:
    case 18:
        return (uint8_t)(type - 1);
    default:
        return type;
    }
}

static bool is_icmp(const struct wire_packet *w)
{
    return w->protocol == (w->version == 4 ? WIRE_PROTOCOL_ICMP : WIRE_PROTOCOL_ICMPV6);
}

static uint64_t mix(uint64_t x)
{
    x ^= x >> 32;
    x *= 0x9e3779b97f4a7c15ull;
    return x ^ x >> 29;
}

static struct delay_datagram *datagram_place(const struct delay *d, const struct wire_packet *w)
{
    const uint64_t x =
        mix(w->source.word[0] + w->fragment_id) + mix(w->destination.word[1] + w->source.word[1]);

    return &d->datagrams[mix(x + w->destination.word[0]) % DELAY_DATAGRAMS];
}

static bool is_of(const struct delay_datagram *g, const struct wire_packet *w)
{
    return g->number != 0 && g->id == w->fragment_id && g->version == w->version &&
           (g->version == 6 || g->protocol == w->protocol) && wire_addr_equal(&g->source, &w->source) &&
           wire_addr_equal(&g->destination, &w->destination);
}

struct delay_datagram *delay_datagram_of(const struct delay *d, const struct wire_packet *w)
{
    struct delay_datagram *g = w->fragment ? datagram_place(d, w) : NULL;

    return g != NULL && is_of(g, w) ? g : NULL;
}

/* With the sender first. False: it has no ends that could be told. */
static bool key_of(const struct delay *d, const struct wire_packet *w, struct delay_key *k)
{
    const struct delay_datagram *g;

    if (w->fragment && w->fragment_offset != 0) {
        g = delay_datagram_of(d, w);
        if (g == NULL || !g->has_key)
            return false;
        *k = g->key;
        return true;
    }
    if (w->version == 0 || w->reached != WIRE_TRANSPORT)
        return false;
    memset(k, 0, sizeof(*k));
    k->address[0] = w->source;
    k->address[1] = w->destination;
    k->version = w->version;
    k->protocol = w->protocol;
    if (is_icmp(w)) {
        k->request = request_of(w->version, w->icmp_type);
        k->port[0] = k->port[1] = w->icmp_id;
    } else {
        k->port[0] = w->source_port;
        k->port[1] = w->destination_port;
    }
    return true;
}

/* 0: other; 1: the same; 2: the same with its ends turned. */
static unsigned key_compare(const struct delay_key *a, const struct delay_key *b)
{
    if (a->version != b->version || a->protocol != b->protocol || a->request != b->request)
        return 0;
    for (unsigned turned = 0; turned < 2; turned++)
        if (a->port[0] == b->port[turned] && a->port[1] == b->port[!turned] &&
            wire_addr_equal(&a->address[0], &b->address[turned]) &&
            wire_addr_equal(&a->address[1], &b->address[!turned]))
            return 1 + turned;
    return 0;
}

bool delay_is_datagram(const struct delay *d, const struct wire_packet *part, const struct wire_packet *w)
{
    struct delay_key of_part, of_whole;

    return part->fragment && part->fragment_offset != 0 && key_of(d, part, &of_part) &&
           key_of(d, w, &of_whole) && key_compare(&of_part, &of_whole) == 1;
}

/* Either way round. */
static size_t key_bucket(const struct delay_key *k)
{
    uint64_t x = 0;

    for (unsigned end = 0; end < 2; end++)
        x += mix(mix(k->address[end].word[0] + k->port[end]) + k->address[end].word[1]);
    return mix(x + ((uint64_t)k->protocol << 8 | k->request)) % DELAY_FLOWS;
}

static struct delay_flow *find(const struct delay *d, const struct delay_key *k, bool *from_first)
{
    for (struct delay_flow *f = d->flows[key_bucket(k)]; f != NULL; f = f->next_hash) {
        const unsigned same = key_compare(&f->key, k);

        if (same != 0) {
            *from_first = same == 1;
            return f;
        }
    }
    return NULL;
}

void delay_datagram_note(struct delay *d, const struct capture_packet *p, const struct wire_packet *w)
{
    struct delay_datagram *g = datagram_place(d, w);

    if (w->version == 0 || w->reached < WIRE_NETWORK)
        return;
    if (!is_of(g, w) || (w->fragment_offset == 0 && g->has_key)) /* the identification is used again */
        *g = (struct delay_datagram){.source = w->source,
                                     .destination = w->destination,
                                     .id = w->fragment_id,
                                     .version = w->version,
                                     .protocol = w->protocol,
                                     .number = p->number};
    if (w->fragment_offset == 0)
        g->has_key = key_of(d, w, &g->key);
}

struct delay_flow *delay_flow_find(const struct delay *d, const struct wire_packet *w, bool *from_first)
{
    struct delay_flow *f;
    struct delay_key k;

    if (!key_of(d, w, &k))
        return NULL;
    f = find(d, &k, from_first);
    if (f != NULL && is_icmp(w) && wire_addr_equal(&k.address[0], &k.address[1]))
        *from_first = w->icmp_type == k.request;
    return f;
}

struct delay_flow *delay_flow_quoted(const struct delay *d, const struct wire_packet *w, bool *from_first)
{
    struct wire_packet quote;
    struct delay_key k;

    if (w->version == 0 || w->reached != WIRE_TRANSPORT || !is_icmp(w) || !wire_is_icmp_error(w) ||
        !wire_icmp_quote(w, &quote) || !key_of(d, &quote, &k))
        return NULL;
    return find(d, &k, from_first);
}

/* ---- flows --------------------------------------------------------------------------------------------- */

static void flow_unlink(struct delay *d, struct delay_flow *f)
{
    *(f->older != NULL ? &f->older->newer : &d->oldest_flow) = f->newer;
    *(f->newer != NULL ? &f->newer->older : &d->newest_flow) = f->older;
}

static void flow_link(struct delay *d, struct delay_flow *f)
{
    f->older = d->newest_flow;
    f->newer = NULL;
    *(f->older != NULL ? &f->older->newer : &d->oldest_flow) = f;
    d->newest_flow = f;
}

void delay_flow_use(struct delay *d, struct delay_flow *f)
{
    if (d->newest_flow == f)
        return;
    flow_unlink(d, f);
    flow_link(d, f);
}

/* Nothing of it is here. */
static bool is_bare(const struct delay_flow *f)
{
    const struct delay_hold *h = f->hold;

    return f->own == NULL && (h == NULL ? f->holds == 0 : f->holds == 1 && h->head == NULL && h->taken == 0);
}

struct delay_flow *delay_flow_make(struct delay *d, const struct wire_packet *w, bool backwards)
{
    struct delay_flow *f = d->oldest_flow, **bucket;
    struct delay_key k;

    if (!key_of(d, w, &k))
        return NULL;
    if (d->counts.flows >= d->limits.flows) {
        for (unsigned tries = 0; f != NULL && !is_bare(f) && tries < 64; tries++)
            f = f->newer;
        if (f == NULL || !is_bare(f))
            return NULL;
        delay_flow_free(d, f);
    }
    f = calloc(1, sizeof(*f));
    if (f == NULL)
        return NULL;
    f->own_tail = &f->own;
    f->key = k;
    if (backwards) {
        f->key.address[0] = k.address[1];
        f->key.address[1] = k.address[0];
        f->key.port[0] = k.port[1];
        f->key.port[1] = k.port[0];
    }
    f->tcp = w->protocol == WIRE_PROTOCOL_TCP;
    bucket = &d->flows[key_bucket(&f->key)];
    f->next_hash = *bucket;
    *bucket = f;
    flow_link(d, f);
    d->counts.flows++;
    return f;
}

void delay_flow_free(struct delay *d, struct delay_flow *f)
{
    struct delay_flow **at = &d->flows[key_bucket(&f->key)];

    if (f->hold != NULL)
        delay_hold_free(d, f->hold);
    while (*at != f)
        at = &(*at)->next_hash;
    *at = f->next_hash;
    flow_unlink(d, f);
    d->counts.flows--;
    free(f);
}

/* ---- holds, and the heap of those that are due --------------------------------------------------------- */

static bool is_sooner(const struct delay_hold *a, const struct delay_hold *b)
{
    return a->due != b->due ? a->due < b->due : a->number < b->number;
}

static void put(struct delay *d, size_t at, struct delay_hold *h)
{
    d->heap[at] = h;
    h->place = at;
}

static void sift(struct delay *d, size_t at, struct delay_hold *h)
{
    while (at > 0 && is_sooner(h, d->heap[(at - 1) / 2])) {
        put(d, at, d->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * at + 1;

        if (child + 1 < d->heap_count && is_sooner(d->heap[child + 1], d->heap[child]))
            child++;
        if (child >= d->heap_count || !is_sooner(d->heap[child], h))
            break;
        put(d, at, d->heap[child]);
        at = child;
    }
    put(d, at, h);
}

void delay_heap(struct delay *d, struct delay_hold *h, uint64_t due)
{
    const size_t at = h->place;
    struct delay_hold *last;

    if (due == UINT64_MAX && at == DELAY_NOWHERE)
        return;
    if (due == UINT64_MAX) {
        h->place = DELAY_NOWHERE;
        last = d->heap[--d->heap_count];
        if (last != h)
            sift(d, at, last);
        return;
    }
    h->due = due;
    sift(d, at == DELAY_NOWHERE ? d->heap_count++ : at, h);
}

struct delay_hold *delay_hold_make(struct delay *d, struct delay_flow *f)
{
    struct delay_hold *h;

    if (d->heap_room <= d->counts.holds) {
        size_t room = d->heap_room == 0 ? HEAP_FIRST : d->heap_room * 2;
        struct delay_hold **more = realloc(d->heap, room * sizeof(struct delay_hold *));

        if (more == NULL)
            return NULL;
        d->heap = more;
        d->heap_room = room;
    }
    h = calloc(1, sizeof(*h));
    if (h == NULL)
        return NULL;
    h->flow = f;
    h->number = ++d->next_hold;
    h->tail = &h->head;
    h->place = DELAY_NOWHERE;
    h->older = d->newest;
    *(h->older != NULL ? &h->older->newer : &d->oldest) = h;
    d->newest = h;
    d->counts.holds++;
    f->holds++;
    return h;
}

void delay_hold_free(struct delay *d, struct delay_hold *h)
{
    delay_heap(d, h, UINT64_MAX);
    *(h->older != NULL ? &h->older->newer : &d->oldest) = h->newer;
    *(h->newer != NULL ? &h->newer->older : &d->newest) = h->older;
    d->counts.holds--;
    h->flow->holds--;
    if (h->flow->hold == h)
        h->flow->hold = NULL;
    free(h);
}

/* ---- pieces -------------------------------------------------------------------------------------------- */

size_t delay_piece_size(const struct capture_packet *p)
{
    return sizeof(struct delay_piece) + p->captured + (p->options != NULL ? p->options_size : 0);
}

struct delay_piece *delay_piece_make(const struct capture_packet *p, const struct wire_packet *w)
{
    const size_t size = delay_piece_size(p);
    struct delay_piece *piece = malloc(size);
    uint8_t *bytes = (uint8_t *)(piece + 1);

    if (piece == NULL)
        return NULL;
    memset(piece, 0, sizeof(*piece));
    piece->packet = *p;
    piece->size = size;
    if (p->captured != 0)
        memcpy(bytes, p->bytes, p->captured);
    piece->packet.bytes = bytes;
    if (p->options != NULL) {
        memcpy(bytes + p->captured, p->options, p->options_size);
        piece->packet.options = bytes + p->captured;
    }
    piece->packet.comment = NULL; /* stands in the options */
    piece->packet.comment_size = 0;
    piece->wire = *w;
    piece->wire.frame = bytes;
    return piece;
}

static struct delay_piece **place_of(const struct delay *d, UINT64 number)
{
    return &d->pieces[number % DELAY_PIECES];
}

struct delay_piece *delay_piece_find(const struct delay *d, UINT64 number)
{
    struct delay_piece *piece = *place_of(d, number);

    while (piece != NULL && piece->packet.number != number)
        piece = piece->next_hash;
    return piece;
}

void delay_piece_note(struct delay *d, struct delay_piece *piece)
{
    struct delay_piece **at = place_of(d, piece->packet.number);

    piece->next_hash = *at;
    *at = piece;
    piece->found = true;
}

void delay_piece_forget(struct delay *d, struct delay_piece *piece)
{
    struct delay_piece **at = place_of(d, piece->packet.number);

    if (!piece->found)
        return;
    while (*at != piece)
        at = &(*at)->next_hash;
    *at = piece->next_hash;
    piece->found = false;
}

/* ---- life ---------------------------------------------------------------------------------------------- */

int delay_create(const struct delay_limits *limits, struct delay **out)
{
    struct delay *d = calloc(1, sizeof(*d));

    if (d == NULL)
        return -ENOMEM;
    d->limits = *limits;
    if (d->limits.frames == 0)
        d->limits.frames = DEFAULT_FRAMES;
    if (d->limits.bytes == 0)
        d->limits.bytes = DEFAULT_BYTES;
    if (d->limits.flows == 0)
        d->limits.flows = DEFAULT_FLOWS;
    d->told_tail = &d->told;
    d->over_tail = &d->over;
    d->flows = calloc(DELAY_FLOWS, sizeof(struct delay_flow *));
    d->pieces = calloc(DELAY_PIECES, sizeof(struct delay_piece *));
    d->datagrams = calloc(DELAY_DATAGRAMS, sizeof(*d->datagrams));
    if (d->flows == NULL || d->pieces == NULL || d->datagrams == NULL) {
        delay_destroy(d);
        return -ENOMEM;
    }
    *out = d;
    return 0;
}

void delay_destroy(struct delay *d)
{
    struct delay_piece *piece;

    if (d == NULL)
        return;
    if (d->flows != NULL && d->pieces != NULL)
        delay_end(d);
    while ((piece = delay_told(d)) != NULL)
        delay_done(d, piece);
    while (d->oldest != NULL)
        delay_hold_free(d, d->oldest);
    while (d->oldest_flow != NULL)
        delay_flow_free(d, d->oldest_flow);
    free(d->flows);
    free(d->pieces);
    free(d->datagrams);
    free(d->heap);
    free(d);
}

void delay_counts(const struct delay *d, struct delay_counts *out)
{
    *out = d->counts;
}
