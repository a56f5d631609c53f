/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fragment: datagrams put together from their fragments, IPv4 and IPv6 alike (ORD-15 shows them afterwards).
 *
 *   fragment --key--> datagram --first >> 10--> list of pieces (bytes in chunks)
 *                        |
 *                        +-- one bit for every 8 bytes: which are there
 *
 * A datagram is OPEN from its first fragment on. It ends COMPLETE when as many bytes are there as its last
 * fragment says, or after 60 seconds (RFC 8200, 4.5; RFC 1122 allows 60 to 120), or evicted: the oldest goes
 * when there is no room for a newer one. Bytes that are said twice make it POISONED: what it held is let go,
 * and what else arrives under its key within its 60 seconds is refused (RFC 5722, for IPv4 too); so are two
 * different ends. A fragment that repeats one exactly is no overlap and changes nothing.
 *
 * The bits find an overlap, the lists only a repeated fragment; each list covers 1 KiB of the datagram, so
 * that no step takes longer than 128 pieces however small somebody makes them. Chunks come from slabs that
 * are allocated up to the limit as they are first needed and kept: the steady state allocates nothing. All of
 * it belongs to one lane and is used with the lane held.
 *
 * A capture may have cut fragments off. The datagram is then put together all the same and shown up to the
 * first byte that is missing; fragments_length() says how long it was.
 */
#include "host/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEFAULT_BYTES = 4 << 20,
    DEFAULT_DATAGRAMS = 1024,
    CHUNK_BYTES = 768, /* two of them hold a fragment of an Ethernet, with its header */
    SLAB_CHUNKS = 64,
    LISTS = 64, /* one a KiB */
    UNITS = 8192,
    WHOLE_ROOM = 40 + 65535 + 25,
};
#define LIFETIME_NS (60 * 1000000000ull)
#define NOT_KNOWN   UINT32_MAX
#define NONE        UINT32_MAX

/* A piece of a datagram is a chain of chunks; the members but `more` are used in its first one. */
struct chunk {
    struct chunk *more; /* free ones: the next free one */
    struct chunk *next; /* in the datagram's list */
    uint32_t first, size, there;
    uint32_t header; /* so many bytes of IP header stand before the piece's: of the piece at 0 */
    uint8_t bytes[CHUNK_BYTES];
};

struct slab {
    struct slab *next;
    struct chunk chunks[SLAB_CHUNKS];
};

struct key {
    union wire_addr source, destination;
    uint32_t id, interface;
    uint8_t version, protocol; /* IPv6: 0 */
};

enum state { FREE, OPEN, POISONED };

struct datagram {
    struct key key;
    enum state state;
    uint8_t next;            /* IPv6: what the first fragment's fragment header says */
    uint32_t hash, chained;  /* the next one with this hash; free: the next free one */
    uint32_t older, younger; /* by when their first fragment came */
    UINT64 since_ns;
    uint32_t end, highest, received, pieces; /* end: NOT_KNOWN without the last fragment */
    struct chunk *lists[LISTS];
    uint64_t there[UNITS / 64];
};

struct fragments {
    struct datagram *datagrams;
    uint32_t *heads; /* by hash */
    uint32_t datagram_count, hash_mask, free_datagram, oldest, youngest;
    uint32_t datagrams_used; /* those behind were never anybody's, and their memory is not touched */
    struct slab *slabs;
    struct chunk *free_chunk;
    uint32_t chunks_most, chunks_made, chunks_free;
    uint32_t length;
    uint32_t slot; /* of the datagram that the last fragment belongs to */
    void (*over)(void *ctx, uint32_t slot, bool complete);
    void *ctx; /* of it */
    UINT64 pieces, completed, evicted, expired, refused;
    uint8_t *whole;
};

/* A fragment, cut to what matters. */
struct slice {
    const uint8_t *header, *bytes;
    uint32_t header_size; /* IPv6: without the fragment header and what stands behind it */
    uint32_t first, size, there;
    uint8_t next; /* IPv6: what the fragment header says */
    bool more;
};

/* ---- life ------------------------------------------------------------------------------------------- */

int fragments_create(const struct host_limits *limits, struct fragments **out)
{
    uint32_t bytes = limits->fragment_bytes != 0 ? limits->fragment_bytes : DEFAULT_BYTES, hashes = 1;
    struct fragments *f = calloc(1, sizeof(*f));

    *out = NULL;
    if (f == NULL)
        return -ENOMEM;
    f->datagram_count = limits->datagrams != 0 ? limits->datagrams : DEFAULT_DATAGRAMS;
    while (hashes < f->datagram_count && hashes < 1u << 20)
        hashes *= 2;
    f->hash_mask = hashes - 1;
    f->chunks_most = bytes / (uint32_t)sizeof(struct chunk);
    f->datagrams = calloc(f->datagram_count, sizeof(*f->datagrams));
    f->heads = malloc(hashes * sizeof(*f->heads));
    f->whole = malloc(WHOLE_ROOM);
    if (f->datagrams == NULL || f->heads == NULL || f->whole == NULL) {
        fragments_destroy(f);
        return -ENOMEM;
    }
    memset(f->heads, 0xff, hashes * sizeof(*f->heads));
    f->free_datagram = f->oldest = f->youngest = NONE;
    *out = f;
    return 0;
}

void fragments_destroy(struct fragments *f)
{
    if (f == NULL)
        return;
    while (f->slabs != NULL) {
        struct slab *s = f->slabs;

        f->slabs = s->next;
        free(s);
    }
    free(f->whole);
    free(f->heads);
    free(f->datagrams);
    free(f);
}

/* ---- chunks ----------------------------------------------------------------------------------------- */

static void chunk_free(struct fragments *f, struct chunk *c)
{
    c->more = f->free_chunk;
    f->free_chunk = c;
    f->chunks_free++;
}

/* One slab more, as far as the limit lets. */
static void chunks_grow(struct fragments *f)
{
    uint32_t n = f->chunks_most - f->chunks_made;
    struct slab *s;

    if (n > SLAB_CHUNKS)
        n = SLAB_CHUNKS;
    if (n == 0)
        return;
    s = malloc(sizeof(*s));
    if (s == NULL)
        return;
    s->next = f->slabs;
    f->slabs = s;
    f->chunks_made += n;
    for (uint32_t i = 0; i < n; i++)
        chunk_free(f, &s->chunks[i]);
}

static struct chunk *chunk_take(struct fragments *f)
{
    struct chunk *c = f->free_chunk;

    f->free_chunk = c->more;
    f->chunks_free--;
    c->more = NULL;
    return c;
}

/* ---- datagrams -------------------------------------------------------------------------------------- */

static uint32_t key_hash(const struct key *k)
{
    uint64_t h = k->source.word[0] * 0x9e3779b97f4a7c15ull;

    h = (h ^ h >> 32 ^ k->source.word[1]) * 0xff51afd7ed558ccdull;
    h = (h ^ h >> 32 ^ k->destination.word[0]) * 0x9e3779b97f4a7c15ull;
    h = (h ^ h >> 32 ^ k->destination.word[1]) * 0xff51afd7ed558ccdull;
    h = (h ^ h >> 32 ^ ((uint64_t)k->id << 32 | k->interface)) * 0x9e3779b97f4a7c15ull;
    h = (h ^ h >> 32 ^ (uint64_t)(k->version << 8 | k->protocol)) * 0xff51afd7ed558ccdull;
    return (uint32_t)(h >> 32);
}

static bool key_equal(const struct key *a, const struct key *b)
{
    return a->id == b->id && a->interface == b->interface && a->version == b->version &&
           a->protocol == b->protocol && wire_addr_equal(&a->source, &b->source) &&
           wire_addr_equal(&a->destination, &b->destination);
}

static void let_go_of_pieces(struct fragments *f, struct datagram *d)
{
    for (unsigned i = 0; i < LISTS; i++) {
        while (d->lists[i] != NULL) {
            struct chunk *piece = d->lists[i];

            d->lists[i] = piece->next;
            while (piece != NULL) {
                struct chunk *more = piece->more;

                chunk_free(f, piece);
                piece = more;
            }
        }
    }
    f->pieces -= d->pieces;
    d->pieces = 0;
}

static void tell_over(const struct fragments *f, const struct datagram *d, bool complete)
{
    if (f->over != NULL)
        f->over(f->ctx, (uint32_t)(d - f->datagrams), complete);
}

static void datagram_end(struct fragments *f, uint32_t index, bool complete)
{
    struct datagram *d = &f->datagrams[index];
    uint32_t *at = &f->heads[d->hash & f->hash_mask];

    let_go_of_pieces(f, d);
    tell_over(f, d, complete);
    while (*at != index)
        at = &f->datagrams[*at].chained;
    *at = d->chained;
    *(d->older != NONE ? &f->datagrams[d->older].younger : &f->oldest) = d->younger;
    *(d->younger != NONE ? &f->datagrams[d->younger].older : &f->youngest) = d->older;
    d->state = FREE;
    d->chained = f->free_datagram;
    f->free_datagram = index;
}

static enum fragment_result datagram_poison(struct fragments *f, struct datagram *d)
{
    let_go_of_pieces(f, d);
    d->state = POISONED;
    f->refused++;
    tell_over(f, d, false);
    return FRAGMENT_OVERLAP;
}

/* Makes room by giving up the oldest but `spared`. False: there is none. */
static bool evict(struct fragments *f, uint32_t spared)
{
    uint32_t index = f->oldest;

    if (index == spared && index != NONE)
        index = f->datagrams[index].younger;
    if (index == NONE)
        return false;
    if (f->datagrams[index].state == OPEN)
        f->evicted++;
    datagram_end(f, index, false);
    return true;
}

/* Enough free chunks, at the cost of others if need be. */
static bool make_room(struct fragments *f, uint32_t chunks, uint32_t spared)
{
    while (f->chunks_free < chunks && f->chunks_made < f->chunks_most) {
        uint32_t made = f->chunks_made;

        chunks_grow(f);
        if (f->chunks_made == made)
            break;
    }
    while (f->chunks_free < chunks) {
        if (!evict(f, spared))
            return false;
    }
    return true;
}

static uint32_t datagram_find(const struct fragments *f, const struct key *k, uint32_t hash)
{
    uint32_t index = f->heads[hash & f->hash_mask];

    while (index != NONE && !(f->datagrams[index].hash == hash && key_equal(&f->datagrams[index].key, k)))
        index = f->datagrams[index].chained;
    return index;
}

static uint32_t datagram_open(struct fragments *f, const struct key *k, uint32_t hash, UINT64 now_ns)
{
    struct datagram *d;
    uint32_t index;

    if (f->free_datagram == NONE && f->datagrams_used == f->datagram_count)
        evict(f, NONE);
    if (f->free_datagram != NONE) {
        index = f->free_datagram;
        f->free_datagram = f->datagrams[index].chained;
    } else {
        index = f->datagrams_used++;
    }
    d = &f->datagrams[index];

    memset(d, 0, sizeof(*d));
    d->key = *k;
    d->state = OPEN;
    d->hash = hash;
    d->since_ns = now_ns;
    d->end = NOT_KNOWN;
    d->chained = f->heads[hash & f->hash_mask];
    f->heads[hash & f->hash_mask] = index;
    d->older = f->youngest;
    d->younger = NONE;
    *(f->youngest != NONE ? &f->datagrams[f->youngest].younger : &f->oldest) = index;
    f->youngest = index;
    return index;
}

/* ---- pieces ----------------------------------------------------------------------------------------- */

/* Bits [from, to) of one word of 64. */
static uint64_t unit_mask(uint32_t from, uint32_t to)
{
    return (to - from == 64 ? ~0ull : (1ull << (to - from)) - 1) << from;
}

/* The bits of [first, end): is one of them set? */
static bool units_any(const struct datagram *d, uint32_t first, uint32_t end)
{
    uint32_t from = first / 8, to = (end + 7) / 8;

    for (uint32_t at = from, stop; at < to; at = stop) {
        stop = (at | 63) + 1 < to ? (at | 63) + 1 : to;
        if ((d->there[at / 64] & unit_mask(at % 64, stop - at / 64 * 64)) != 0)
            return true;
    }
    return false;
}

static void units_mark(struct datagram *d, uint32_t first, uint32_t end)
{
    uint32_t from = first / 8, to = (end + 7) / 8;

    for (uint32_t at = from, stop; at < to; at = stop) {
        stop = (at | 63) + 1 < to ? (at | 63) + 1 : to;
        d->there[at / 64] |= unit_mask(at % 64, stop - at / 64 * 64);
    }
}

/* Compares or copies bytes [from, from + size) of what the chain holds. */
static bool chain_equal(const struct chunk *c, uint32_t from, const uint8_t *bytes, uint32_t size)
{
    while (size != 0) {
        uint32_t n = CHUNK_BYTES - from < size ? CHUNK_BYTES - from : size;

        if (memcmp(c->bytes + from, bytes, n) != 0)
            return false;
        from = 0, bytes += n, size -= n;
        c = c->more;
    }
    return true;
}

static void chain_copy(const struct chunk *c, uint32_t from, uint8_t *out, uint32_t size)
{
    while (size != 0) {
        uint32_t n = CHUNK_BYTES - from < size ? CHUNK_BYTES - from : size;

        memcpy(out, c->bytes + from, n);
        from = 0, out += n, size -= n;
        c = c->more;
    }
}

static void chain_append(struct fragments *f, struct chunk **last, uint32_t *used, const uint8_t *bytes,
                         uint32_t size)
{
    while (size != 0) {
        uint32_t n = CHUNK_BYTES - *used < size ? CHUNK_BYTES - *used : size;

        if (n == 0) {
            (*last)->more = chunk_take(f);
            *last = (*last)->more;
            *used = 0;
            continue;
        }
        memcpy((*last)->bytes + *used, bytes, n);
        *used += n, bytes += n, size -= n;
    }
}

/* Is it one that we have, to the byte? */
static bool is_repeated(const struct datagram *d, const struct slice *s)
{
    const struct chunk *c = d->lists[s->first / 1024];

    while (c != NULL && c->first != s->first)
        c = c->next;
    return c != NULL && c->size == s->size && s->more == (c->first + c->size != d->end) &&
           chain_equal(c, c->header, s->bytes, c->there < s->there ? c->there : s->there);
}

static void keep(struct fragments *f, struct datagram *d, const struct slice *s)
{
    struct chunk *piece = chunk_take(f), *last = piece;
    uint32_t used = 0;

    piece->first = s->first;
    piece->size = s->size;
    piece->there = s->there;
    piece->header = s->first == 0 ? s->header_size : 0;
    piece->next = d->lists[s->first / 1024];
    d->lists[s->first / 1024] = piece;
    chain_append(f, &last, &used, s->header, piece->header);
    chain_append(f, &last, &used, s->bytes, s->there);
    d->pieces++;
    f->pieces++;
    d->received += s->size;
    if (s->first + s->size > d->highest)
        d->highest = s->first + s->size;
    if (!s->more)
        d->end = s->first + s->size;
    if (s->first == 0)
        d->next = s->next;
    units_mark(d, s->first, s->first + s->size);
}

/* ---- the whole -------------------------------------------------------------------------------------- */

static void put16(uint8_t *at, uint32_t v)
{
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
}

void fragment_header_of_whole(uint8_t *h, uint8_t version, uint32_t header, uint32_t size, uint8_t next)
{
    uint32_t field = 6;

    if (version == 4) {
        put16(h + 2, header + size);
        put16(h + 6, (h[6] & 0x40) << 8); /* "don't fragment" stays */
        put16(h + 10, 0);
        put16(h + 10, wire_fold(wire_sum(h, header, 0)));
        return;
    }
    put16(h + 4, header + size - 40);
    for (uint32_t at = 40; at + 1 < header; at += (h[at + 1] + 1u) * 8)
        field = at;
    h[field] = next;
}

/* Makes the first fragment's header (in f->whole) that of the whole. */
static void correct_header(struct fragments *f, uint8_t version, uint32_t header, uint32_t size, uint8_t next)
{
    f->length = header + size;
    fragment_header_of_whole(f->whole, version, header, size, next);
}

/* Puts the pieces in their places and ends the datagram. */
static uint32_t assemble(struct fragments *f, uint32_t index)
{
    struct datagram *d = &f->datagrams[index];
    const struct chunk *head = d->lists[0];
    uint32_t header, shown;

    while (head->first != 0)
        head = head->next;
    header = head->header;
    shown = header + d->end;
    for (unsigned i = 0; i < LISTS; i++) {
        for (const struct chunk *c = d->lists[i]; c != NULL; c = c->next) {
            chain_copy(c, c->header, f->whole + header + c->first, c->there);
            if (c->there < c->size && header + c->first + c->there < shown)
                shown = header + c->first + c->there;
        }
    }
    chain_copy(head, 0, f->whole, header);
    correct_header(f, d->key.version, header, d->end, d->next);
    f->completed++;
    datagram_end(f, index, true);
    return shown;
}

/* An IPv6 packet with a fragment header that is no fragment (RFC 6946): goes alone, whatever else is held. */
static uint32_t atomic(struct fragments *f, const struct slice *s)
{
    memcpy(f->whole, s->header, s->header_size);
    memcpy(f->whole + s->header_size, s->bytes, s->there);
    correct_header(f, 6, s->header_size, s->size, s->next);
    return s->header_size + s->there;
}

static bool slice_of(const struct wire_packet *p, struct slice *s)
{
    uint32_t at = p->version == 6 ? p->fragment_header_at + 8 : p->ip_at + p->ip_header_size;

    if (!p->fragment || p->reached < WIRE_NETWORK || at > p->captured || p->ip_at + p->ip_length < at)
        return false;
    s->header = p->frame + p->ip_at;
    s->header_size = (p->version == 6 ? p->fragment_header_at : at) - p->ip_at;
    s->next = p->version == 6 ? p->frame[p->fragment_header_at] : 0;
    s->bytes = p->frame + at;
    s->first = p->fragment_offset;
    s->size = p->ip_at + p->ip_length - at;
    s->there = p->captured - at < s->size ? p->captured - at : s->size;
    s->more = (p->ip_flags & WIRE_IP_MORE_FRAGMENTS) != 0;
    if (s->first + s->size + s->header_size > (p->version == 6 ? 65535u + 40 : 65535u))
        return false;
    if (s->more && s->size % 8 != 0)
        return false;
    return s->size != 0 || (s->first == 0 && !s->more); /* nothing in it: no fragment */
}

enum fragment_result fragments_add(struct fragments *f, const struct wire_packet *p, UINT32 interface_index,
                                   UINT64 now_ns, const uint8_t **out, uint32_t *size)
{
    struct datagram *d;
    struct slice s;
    struct key key;
    uint32_t hash, index, end, bytes;

    *out = NULL;
    *size = 0;
    f->slot = NONE;
    fragments_expire(f, now_ns);
    if (!slice_of(p, &s))
        return FRAGMENT_BAD;
    if (s.first == 0 && !s.more) {
        *size = atomic(f, &s);
        *out = f->whole;
        return FRAGMENT_COMPLETE;
    }

    memset(&key, 0, sizeof(key));
    key.source = p->source;
    key.destination = p->destination;
    key.id = p->fragment_id;
    key.interface = interface_index;
    key.version = p->version;
    key.protocol = p->version == 4 ? p->protocol : 0;
    hash = key_hash(&key);
    index = datagram_find(f, &key, hash);
    if (index == NONE)
        index = datagram_open(f, &key, hash, now_ns);
    f->slot = index;
    d = &f->datagrams[index];
    if (d->state == POISONED)
        return FRAGMENT_OVERLAP;

    end = s.first + s.size;
    if ((d->end != NOT_KNOWN && (end > d->end || (!s.more && end != d->end))) ||
        (!s.more && end < d->highest))
        return datagram_poison(f, d);
    if (units_any(d, s.first, end))
        return is_repeated(d, &s) ? FRAGMENT_HELD : datagram_poison(f, d);
    bytes = (s.first == 0 ? s.header_size : 0) + s.there;
    if (!make_room(f, bytes == 0 ? 1 : (bytes + CHUNK_BYTES - 1) / CHUNK_BYTES, index)) {
        if (d->pieces == 0)
            datagram_end(f, index, false);
        return FRAGMENT_NO_ROOM;
    }
    keep(f, d, &s);
    if (d->received != d->end)
        return FRAGMENT_HELD;
    *size = assemble(f, index);
    *out = f->whole;
    return FRAGMENT_COMPLETE;
}

void fragments_watch(struct fragments *f, void (*over)(void *ctx, uint32_t slot, bool complete), void *ctx)
{
    f->over = over;
    f->ctx = ctx;
}

uint32_t fragments_slots(const struct fragments *f)
{
    return f->datagram_count;
}

uint32_t fragments_slot(const struct fragments *f)
{
    return f->slot;
}

void fragments_clear(struct fragments *f)
{
    while (f->oldest != NONE)
        datagram_end(f, f->oldest, false);
}

uint32_t fragments_length(const struct fragments *f)
{
    return f->length;
}

uint32_t fragments_expire(struct fragments *f, UINT64 now_ns)
{
    uint32_t n = 0;

    while (f->oldest != NONE) {
        const struct datagram *d = &f->datagrams[f->oldest];

        if (now_ns < d->since_ns || now_ns - d->since_ns < LIFETIME_NS)
            break;
        n += d->state == OPEN;
        datagram_end(f, f->oldest, false);
    }
    f->expired += n;
    return n;
}

void fragments_counts(const struct fragments *f, struct host_counts *c)
{
    c->fragments_held += f->pieces;
    c->datagrams_reassembled += f->completed;
    c->datagrams_evicted += f->evicted;
    c->datagrams_expired += f->expired;
    c->datagrams_refused += f->refused;
}
