/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The full mode's entries. inside.h has the picture.
 *
 * Several may be open under one (kind, key): references, or an address that came back. New ones stand first
 * in their bucket, so a close takes the newest: references nest.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "ledger/inside.h"

#define FIRST_BUCKETS 64
#define BLOCK         64 /* entries: a page */
#define OWN_BLOCKS    8  /* of a part, before they are of chunks */
#define CHUNK_BUCKETS 4096
#define SPINS         200

/* ---- shards -------------------------------------------------------------------------------------------- */

/* Of the key's lower half only: it says where a thing is (an address, a slot), the upper how often its slot was used before.
 * So what comes to stand in a slot that was given back a moment ago finds its bucket in the caches. */
static uint64_t hash_of(unsigned kind, uint64_t key)
{
    uint64_t h = ((uint32_t)key + kind * 0xd6e8feb86659fd93u) * 0x9e3779b97f4a7c15u;

    return (h ^ (h >> 32)) * 0xd6e8feb86659fd93u;
}

static struct ledger_shard *shard_of(struct ledger *l, uint64_t hash)
{
    return &l->shards[hash >> 58];
}

static struct ledger_entry **bucket_of(struct ledger_shard *s, uint64_t hash)
{
    return &s->buckets[(hash >> 16) & s->mask];
}

/* Fibers of one world exclude each other already: none is switched away in here. And a locked instruction
 * would wait until all that was written before has found its way through the caches. */
static bool alone(void)
{
    return rt_sim_current() != NULL;
}

static void lock_it(atomic_bool *locked)
{
    if (alone())
        return;
    while (atomic_exchange_explicit(locked, true, memory_order_acquire)) {
        for (unsigned i = 0; atomic_load_explicit(locked, memory_order_relaxed); i++) {
            if (i >= SPINS)
                rt_yield(); /* who holds it was put aside by the system */
        }
    }
}

static void unlock_it(atomic_bool *locked)
{
    atomic_store_explicit(locked, false, memory_order_release);
}

static void lock(struct ledger_shard *s)
{
    lock_it(&s->locked);
}

static void unlock(struct ledger_shard *s)
{
    unlock_it(&s->locked);
}

/* ---- chunks --------------------------------------------------------------------------------------------- */

/* Aligned, so that it can be one large page. NULL: out of memory. */
static struct ledger_chunk *chunk_make(void)
{
    const size_t room = 2 * (size_t)LEDGER_CHUNK;
    char *map = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *chunk;
    size_t before;

    if (map == MAP_FAILED)
        return NULL;
    before = (0 - (uintptr_t)map) % LEDGER_CHUNK;
    chunk = map + before;
    if (before != 0)
        munmap(map, before);
    munmap(chunk + LEDGER_CHUNK, room - before - LEDGER_CHUNK);
    (void)madvise(chunk, LEDGER_CHUNK, MADV_HUGEPAGE); /* a wish */
    return (struct ledger_chunk *)chunk;
}

/* Of so many bytes, a multiple of a line; what is there is anything. NULL: out of memory. */
static void *chunk_take(struct ledger *l, size_t size)
{
    struct ledger_chunks *c = &l->chunks;
    void **spare = &c->spare[__builtin_ctzll(size)], *taken = NULL;
    struct ledger_chunk *next;

    lock_it(&c->locked);
    if (*spare != NULL) {
        taken = *spare;
        memcpy(spare, taken, sizeof(*spare));
    } else if (c->first != NULL && LEDGER_CHUNK - c->used >= size) {
        taken = (char *)c->first + c->used;
        c->used += size;
    } else if ((next = chunk_make()) != NULL) {
        next->next = c->first;
        c->first = next;
        taken = (char *)next + sizeof(*next);
        c->used = sizeof(*next) + size;
    }
    unlock_it(&c->locked);
    return taken;
}

static void chunk_give(struct ledger *l, void *taken, size_t size)
{
    void **spare = &l->chunks.spare[__builtin_ctzll(size)];

    lock_it(&l->chunks.locked);
    memcpy(taken, spare, sizeof(*spare));
    *spare = taken;
    unlock_it(&l->chunks.locked);
}

static void chunks_free(struct ledger *l)
{
    while (l->chunks.first != NULL) {
        struct ledger_chunk *c = l->chunks.first;

        l->chunks.first = c->next;
        munmap(c, LEDGER_CHUNK);
    }
}

/* Buckets, zeroed: few are an allocation of their own, so are very many. */
static bool are_of_chunk(size_t count)
{
    return count >= CHUNK_BUCKETS && count <= LEDGER_CHUNK / 8 / sizeof(struct ledger_entry *);
}

static struct ledger_entry **buckets_take(struct ledger *l, size_t count)
{
    struct ledger_entry **buckets;

    if (!are_of_chunk(count))
        return calloc(count, sizeof(*buckets));
    buckets = chunk_take(l, count * sizeof(*buckets));
    if (buckets != NULL)
        memset(buckets, 0, count * sizeof(*buckets));
    return buckets;
}

static void buckets_give(struct ledger *l, struct ledger_entry **buckets, size_t count)
{
    if (are_of_chunk(count))
        chunk_give(l, buckets, count * sizeof(*buckets));
    else
        free(buckets);
}

static uint64_t next_number(struct ledger *l)
{
    uint64_t n;

    if (!alone())
        return atomic_fetch_add_explicit(&l->numbers, 1, memory_order_relaxed) + 1;
    n = atomic_load_explicit(&l->numbers, memory_order_relaxed) + 1;
    atomic_store_explicit(&l->numbers, n, memory_order_relaxed);
    return n;
}

int ledger_shards_create(struct ledger *l)
{
    _Static_assert(LEDGER_SHARDS == 1 << (64 - 58), "the hash's first bits choose the shard");
    l->shards = aligned_alloc(LEDGER_LINE, LEDGER_SHARDS * sizeof(struct ledger_shard));
    if (l->shards == NULL)
        return -1;
    memset(l->shards, 0, LEDGER_SHARDS * sizeof(struct ledger_shard));
    for (size_t i = 0; i < LEDGER_SHARDS; i++) {
        struct ledger_shard *s = &l->shards[i];

        s->mask = FIRST_BUCKETS - 1;
        s->buckets = calloc(FIRST_BUCKETS, sizeof(*s->buckets));
        s->ring = calloc(LEDGER_TOMBSTONES, sizeof(*s->ring));
        if (s->buckets == NULL || s->ring == NULL)
            return -1;
    }
    return 0;
}

void ledger_shards_destroy(struct ledger *l)
{
    if (l->shards == NULL)
        return;
    for (size_t i = 0; i < LEDGER_SHARDS; i++) {
        struct ledger_shard *s = &l->shards[i];

        while (s->blocks != NULL) {
            struct ledger_entry *block = s->blocks;

            s->blocks = block->next;
            free(block);
        }
        if (s->buckets != NULL)
            buckets_give(l, s->buckets, s->mask + 1);
        free(s->ring);
    }
    chunks_free(l);
    free(l->shards);
}

static void add_block(struct ledger *l, struct ledger_shard *s)
{
    const bool own = s->own < OWN_BLOCKS;
    const size_t size = BLOCK * sizeof(struct ledger_entry);
    struct ledger_entry *block = own ? aligned_alloc(LEDGER_LINE, size) : chunk_take(l, size);

    if (block == NULL)
        return;
    if (own) {
        block->next = s->blocks;
        s->blocks = block;
        s->own++;
    }
    for (size_t i = BLOCK; i > own; i--) { /* handed out in order of address */
        block[i - 1].next = s->free;
        s->free = &block[i - 1];
    }
}

/* Twice the buckets; without memory for them chains grow longer, that is all. */
static void grow(struct ledger *l, struct ledger_shard *s)
{
    size_t count = (s->mask + 1) * 2;
    struct ledger_entry **old = s->buckets, **buckets = buckets_take(l, count);

    if (buckets == NULL)
        return;
    s->buckets = buckets;
    for (size_t i = 0; i <= s->mask; i++) {
        size_t half = s->mask + 1;
        struct ledger_entry **tails[2] = {&buckets[i], &buckets[i + half]};

        for (struct ledger_entry *e = old[i], *after; e != NULL; e = after) { /* newest first, as before */
            struct ledger_entry ***tail = &tails[(hash_of(e->kind, e->key) >> 16 & half) != 0];

            after = e->next;
            e->next = NULL;
            **tail = e;
            *tail = &e->next;
        }
    }
    s->mask = count - 1;
    buckets_give(l, old, count / 2);
}

/* ---- open and close ------------------------------------------------------------------------------------ */

void ledger_entry_open(struct ledger_party *p, enum ledger_kind k, uint64_t key, uint64_t size,
                       const char *text, const void *site)
{
    struct ledger *l = p->ledger;
    uint64_t hash = hash_of(k, key), now = ledger_now(l), number;
    struct ledger_shard *s = shard_of(l, hash);
    struct ledger_entry *e, **bucket;

    lock(s);
    number = next_number(l);
    if (s->free == NULL)
        add_block(l, s);
    e = s->free;
    if (e == NULL) {
        s->lost++;
        unlock(s);
        atomic_fetch_add_explicit(&l->lost, 1, memory_order_relaxed);
        return;
    }
    s->free = e->next;
    if (s->count++ > s->mask / 2)
        grow(l, s);
    bucket = bucket_of(s, hash);
    *e = (struct ledger_entry){.next = *bucket,
                               .key = key,
                               .size = size,
                               .text = text,
                               .opened = site,
                               .party = p,
                               .number = number,
                               .kind = k,
                               .time_ns = now};
    *bucket = e;
    unlock(s);
}

/* The link to the party's newest of (k, key), else to the newest of all; NULL: none is open. Locked. */
static struct ledger_entry **find(struct ledger_shard *s, uint64_t hash, const struct ledger_party *p,
                                  enum ledger_kind k, uint64_t key)
{
    struct ledger_entry **other = NULL;

    for (struct ledger_entry **at = bucket_of(s, hash); *at != NULL; at = &(*at)->next) {
        if ((*at)->key != key || (*at)->kind != (unsigned)k)
            continue;
        if ((*at)->party == p || p == NULL)
            return at;
        if (other == NULL)
            other = at;
    }
    return other;
}

/* Out of its bucket; its copy goes into the ring. Locked. */
static void bury(struct ledger_shard *s, struct ledger_entry **at, const void *site)
{
    struct ledger_entry *e = *at, *grave = &s->ring[s->ring_at];

    /* A lock that is taken again and again shall not push out all others. */
    if (grave->number == 0 || grave->key != e->key || grave->kind != e->kind) {
        s->ring_at = (s->ring_at + 1) % LEDGER_TOMBSTONES;
        grave = &s->ring[s->ring_at];
    }
    *at = e->next;
    *grave = *e;
    grave->closed = site;
    e->next = s->free;
    s->free = e;
    s->count--;
}

bool ledger_entry_close(struct ledger_party *p, enum ledger_kind k, uint64_t key, const void *site,
                        struct ledger_entry *was)
{
    uint64_t hash = hash_of(k, key);
    struct ledger_shard *s = shard_of(p->ledger, hash);
    struct ledger_entry **at;

    lock(s);
    at = find(s, hash, p, k, key);
    if (at != NULL) {
        *was = **at;
        bury(s, at, site);
    }
    unlock(s);
    return at != NULL;
}

bool ledger_entry_close_number(struct ledger *l, const struct ledger_entry *e)
{
    uint64_t hash = hash_of(e->kind, e->key);
    struct ledger_shard *s = shard_of(l, hash);
    struct ledger_entry **at;

    lock(s);
    at = bucket_of(s, hash);
    while (*at != NULL && (*at)->number != e->number)
        at = &(*at)->next;
    if (*at == NULL) {
        unlock(s);
        return false;
    }
    bury(s, at, NULL);
    unlock(s);
    return true;
}

bool ledger_entry_peek(struct ledger *l, enum ledger_kind k, uint64_t key, struct ledger_entry *out)
{
    uint64_t hash = hash_of(k, key);
    struct ledger_shard *s = shard_of(l, hash);
    struct ledger_entry **at;

    lock(s);
    at = find(s, hash, NULL, k, key);
    if (at != NULL)
        *out = **at;
    unlock(s);
    return at != NULL;
}

bool ledger_entry_is_open(struct ledger *l, enum ledger_kind k, uint64_t key)
{
    struct ledger_entry e;

    return ledger_entry_peek(l, k, key, &e);
}

bool ledger_entry_tombstone(struct ledger *l, enum ledger_kind k, uint64_t key, struct ledger_entry *was)
{
    struct ledger_shard *s = shard_of(l, hash_of(k, key));
    bool there = false;

    lock(s);
    for (size_t i = 0; i < LEDGER_TOMBSTONES && !there; i++) { /* the newest first */
        struct ledger_entry *grave = &s->ring[(s->ring_at - i) % LEDGER_TOMBSTONES];

        there = grave->number != 0 && grave->key == key && grave->kind == (unsigned)k;
        if (there)
            *was = *grave;
    }
    unlock(s);
    return there;
}

bool ledger_entry_was_lost(struct ledger *l, enum ledger_kind k, uint64_t key, bool closes)
{
    struct ledger_shard *s = shard_of(l, hash_of(k, key));
    bool lost;

    lock(s);
    lost = s->lost != 0;
    if (lost && closes)
        s->lost--;
    unlock(s);
    return lost;
}

size_t ledger_entry_count(struct ledger *l)
{
    size_t n = 0;

    for (size_t i = 0; i < LEDGER_SHARDS; i++) {
        lock(&l->shards[i]);
        n += l->shards[i].count;
        unlock(&l->shards[i]);
    }
    return n;
}

/* ---- all that is open ---------------------------------------------------------------------------------- */

/* Keeps the `room` oldest. Room is for all but when memory is short; then a pass over what is there each
 * time. */
static size_t keep(struct ledger_entry *out, size_t count, size_t room, const struct ledger_entry *e)
{
    size_t newest = 0;

    if (count < room) {
        out[count] = *e;
        return count + 1;
    }
    for (size_t i = 1; i < count; i++) {
        if (out[i].number > out[newest].number)
            newest = i;
    }
    if (e->number < out[newest].number)
        out[newest] = *e;
    return count;
}

size_t ledger_entry_collect(struct ledger *l, const struct ledger_party *p, uint64_t after, uint64_t until,
                            struct ledger_entry *out, size_t room)
{
    size_t count = 0;

    for (size_t i = 0; i < LEDGER_SHARDS; i++) {
        struct ledger_shard *s = &l->shards[i];

        lock(s);
        for (size_t b = 0; b <= s->mask; b++) {
            for (const struct ledger_entry *e = s->buckets[b]; e != NULL; e = e->next) {
                if (e->number > after && e->number <= until && (p == NULL || e->party == p))
                    count = keep(out, count, room, e);
            }
        }
        unlock(s);
    }
    return count;
}
