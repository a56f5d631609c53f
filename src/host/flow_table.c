/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flow_table: flows by their key.
 *
 *   hash (64 bits of a keyed mix of the key)
 *     low 32, times the width, its high half  -> home bucket
 *     high 16                                 -> tag
 *
 *   bucket, a cache line:  tag[10]  slot[10]  more     (tag 0: free; more: overflow bucket + 1)
 *   flow:                  112 bytes, at flows[slot], never moved
 *
 * A lookup compares ten tags at once and looks at a flow only where one is equal; one in some 6,000 foreign
 * flows is looked at in vain. Buckets that are full have overflow buckets behind them: at the density kept
 * (6.4 flows a bucket) one or two flows in a hundred.
 *
 * Growth. Widths are full_width >> k, so that the last width fits the limit. As the home is the hash scaled
 * by the width, bucket b of one width is 2b and 2b+1 of the next: they are split in place, the highest first,
 * so that the two places are free by then. `unsplit` buckets from the front on are still of the half width:
 *
 *     0 ......... unsplit ........ 2*unsplit ............ width
 *     half width  |   free         |      full width      |
 *
 * Every fourth flow that is added splits one; the memory for the next width is there before a split starts.
 * When there is none, the table stays at its width and its overflow chains become longer.
 *
 * The hash is of our own making, from 64 x 64 -> 128 bit multiplications of words that secret ones were mixed
 * into: who does not know the seed cannot aim at one bucket.
 */
#include "host/flow_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define PLACES    10
#define DENSITY_A 32 /* flows a bucket before it grows: A / B */
#define DENSITY_B 5
#define MIN_WIDTH 32
#define AHEAD     32 /* keys that find_many works on at once */

struct bucket {
    uint16_t tag[PLACES];
    uint32_t slot[PLACES];
    uint32_t more;
};

_Static_assert(sizeof(struct bucket) == 64, "a bucket is a cache line");
_Static_assert(sizeof(struct host_flow_key) == 40, "the hash reads five words");

/* ---- hash ---- */

static uint64_t mix(uint64_t a, uint64_t b)
{
    __uint128_t p = (__uint128_t)a * b;
    return (uint64_t)p ^ (uint64_t)(p >> 64);
}

/* The n-th of the key's five words. (A copy of all of them would be made in memory.) */
static inline uint64_t word_of(const struct host_flow_key *key, unsigned n)
{
    uint64_t w;

    memcpy(&w, (const uint8_t *)key + 8 * n, sizeof(w));
    return w;
}

static inline uint64_t hash_of(const struct flow_table *t, const struct host_flow_key *key)
{
    const uint64_t *s = t->secret;

    return mix(mix(word_of(key, 0) ^ s[0], word_of(key, 1) ^ s[1]) ^
                   mix(word_of(key, 2) ^ s[2], word_of(key, 3) ^ s[3]) ^ s[4],
               word_of(key, 4) ^ s[5]);
}

static uint64_t next_secret(uint64_t *seed) /* splitmix64 */
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static inline bool key_equal(const struct host_flow_key *a, const struct host_flow_key *b)
{
    return ((word_of(a, 0) ^ word_of(b, 0)) | (word_of(a, 1) ^ word_of(b, 1)) |
            (word_of(a, 2) ^ word_of(b, 2)) | (word_of(a, 3) ^ word_of(b, 3)) |
            (word_of(a, 4) ^ word_of(b, 4))) == 0;
}

/* ---- buckets ---- */

static uint16_t tag_of(uint64_t hash)
{
    uint16_t tag = (uint16_t)(hash >> 48);
    return tag != 0 ? tag : 1;
}

static uint32_t home_of(const struct flow_table *t, uint64_t hash)
{
    uint32_t home = (uint32_t)((hash & UINT32_MAX) * t->width >> 32);
    return home >> (home >> 1 < t->unsplit);
}

/* Which places have this tag: a bit each. */
static unsigned places_with(const struct bucket *b, uint16_t tag)
{
#ifdef __SSE2__
    /* tags 0-7, and from 4 bytes on 2-9, of which the last two are new */
    __m128i want = _mm_set1_epi16((short)tag);
    __m128i low = _mm_cmpeq_epi16(_mm_loadu_si128((const __m128i *)b->tag), want);
    __m128i high = _mm_cmpeq_epi16(_mm_loadu_si128((const __m128i *)(b->tag + 2)), want);
    unsigned bits = (unsigned)_mm_movemask_epi8(_mm_packs_epi16(low, high));
    return (bits & 0xff) | (bits >> 14) << 8;
#else
    unsigned bits = 0;
    for (unsigned i = 0; i < PLACES; i++)
        bits |= (unsigned)(b->tag[i] == tag) << i;
    return bits;
#endif
}

static struct host_flow *find_slow(struct flow_table *t, const struct bucket *b, unsigned places,
                                   uint16_t tag, const struct host_flow_key *key)
{
    for (;;) {
        for (; places != 0; places &= places - 1) {
            struct host_flow *f = flow_of(t, b->slot[__builtin_ctz(places)]);
            if (key_equal(&f->key, key))
                return f;
        }
        if (b->more == 0)
            return NULL;
        b = &t->more[b->more - 1];
        places = places_with(b, tag);
    }
}

/* Nearly always the first flow with the tag is the one. */
static inline struct host_flow *find_in(struct flow_table *t, const struct bucket *b, uint16_t tag,
                                        const struct host_flow_key *key)
{
    unsigned places = places_with(b, tag);

    if (__builtin_expect(places != 0, 1)) {
        struct host_flow *f = flow_of(t, b->slot[__builtin_ctz(places)]);
        if (__builtin_expect(key_equal(&f->key, key), 1))
            return f;
        places &= places - 1;
    }
    if (places == 0 && b->more == 0)
        return NULL;
    return find_slow(t, b, places, tag, key);
}

/* A new, empty overflow bucket: index + 1; 0: no memory. */
static uint32_t more_take(struct flow_table *t)
{
    uint32_t at = t->more_free;

    if (at != 0) {
        t->more_free = t->more[at - 1].more;
    } else {
        if (span_grow(&t->more_span, ((size_t)t->more_used + 1) * sizeof(struct bucket), &t->budget) != 0)
            return 0;
        at = ++t->more_used;
    }
    memset(&t->more[at - 1], 0, sizeof(struct bucket));
    return at;
}

static void more_give(struct flow_table *t, uint32_t at)
{
    t->more[at - 1].more = t->more_free;
    t->more_free = at;
}

static bool bucket_put(struct flow_table *t, struct bucket *b, uint16_t tag, uint32_t slot)
{
    unsigned places;

    while ((places = places_with(b, 0)) == 0) {
        if (b->more == 0 && (b->more = more_take(t)) == 0)
            return false;
        b = &t->more[b->more - 1];
    }
    unsigned place = (unsigned)__builtin_ctz(places);
    b->tag[place] = tag;
    b->slot[place] = slot;
    return true;
}

/* Takes a slot out; the hole is filled from the end of the chain, so that chains have no holes but there. */
static void bucket_take(struct flow_table *t, struct bucket *b, uint16_t tag, uint32_t slot)
{
    struct bucket *before = NULL, *last, *holder = b;
    unsigned place = PLACES;

    for (;;) {
        for (unsigned places = places_with(holder, tag); places != 0; places &= places - 1) {
            unsigned i = (unsigned)__builtin_ctz(places);
            place = holder->slot[i] == slot ? i : place;
        }
        if (place != PLACES || holder->more == 0)
            break;
        holder = &t->more[holder->more - 1];
    }
    if (place == PLACES)
        return;
    holder->tag[place] = 0;
    if (b->more == 0)
        return;
    for (last = b; last->more != 0; last = &t->more[last->more - 1])
        before = last;
    for (unsigned i = 0; i < PLACES; i++) {
        if (last->tag[i] == 0 || last == holder)
            continue;
        holder->tag[place] = last->tag[i];
        holder->slot[place] = last->slot[i];
        last->tag[i] = 0;
        break;
    }
    if (places_with(last, 0) == (1u << PLACES) - 1) {
        more_give(t, before->more);
        before->more = 0;
    }
}

/* ---- growth ---- */

static void split_entries(struct flow_table *t, const struct bucket *b)
{
    for (unsigned i = 0; i < PLACES; i++) {
        if (b->tag[i] == 0)
            continue;
        uint64_t hash = hash_of(t, &flow_of(t, b->slot[i])->key);
        /* There is room: the overflow buckets that the halves need are no more than the whole gave back. */
        (void)bucket_put(t, &t->buckets[home_of(t, hash)], b->tag[i], b->slot[i]);
    }
}

static void split_one(struct flow_table *t)
{
    uint32_t old = --t->unsplit;
    struct bucket b = t->buckets[old];

    memset(&t->buckets[2 * (size_t)old], 0, 2 * sizeof(struct bucket));
    if (old != 0)
        memset(&t->buckets[old], 0, sizeof(struct bucket));
    for (;;) {
        uint32_t more = b.more;
        split_entries(t, &b);
        if (more == 0)
            break;
        b = t->more[more - 1];
        more_give(t, more);
    }
}

/* One step of growth for a flow more: first the bucket to be split is fetched, then its flows' keys. */
static void grow(struct flow_table *t)
{
    if (t->unsplit == 0) {
        if ((uint64_t)t->count * DENSITY_B <= (uint64_t)t->width * DENSITY_A || t->width >= t->full_width ||
            t->count < t->retry)
            return;
        if (span_grow(&t->bucket_span, 2 * (size_t)t->width * sizeof(struct bucket), &t->budget) != 0) {
            t->retry = t->count + t->count / 16 + 1;
            return;
        }
        t->unsplit = t->width;
        t->width *= 2;
        t->steps = 0;
    }
    const struct bucket *b = &t->buckets[t->unsplit - 1];
    switch (t->steps++ % 4) {
    case 0:
        __builtin_prefetch(b);
        break;
    case 1:
        for (unsigned i = 0; i < PLACES; i++) {
            if (b->tag[i] != 0)
                __builtin_prefetch(flow_of(t, b->slot[i]));
        }
        break;
    case 3:
        split_one(t);
        break;
    default:
        break;
    }
}

/* ---- life ---- */

int flow_table_create(uint32_t limit, uint64_t seed, struct flow_table **out)
{
    struct flow_table *t = calloc(1, sizeof(*t));
    uint64_t full;
    unsigned doublings = 0;

    *out = NULL;
    if (t == NULL)
        return -ENOMEM;
    if (limit == 0 || limit > ORDER_HEAD)
        limit = limit == 0 ? 1 : ORDER_HEAD;
    t->limit = limit;
    t->budget = SIZE_MAX;
    for (int i = 0; i < 6; i++)
        t->secret[i] = next_secret(&seed);
    full = ((uint64_t)limit * DENSITY_B + DENSITY_A - 1) / DENSITY_A;
    while (full >> doublings >= 2 * MIN_WIDTH)
        doublings++;
    t->width = (uint32_t)((full + (1ull << doublings) - 1) >> doublings);
    t->full_width = t->width << doublings;
    t->free_slot = FLOW_NONE;
    order_open(&t->order);
    /* Were all flows to meet in one bucket, they would need an overflow bucket for each ten; a bucket whose
     * chain has one flow needs one, too. */
    if (span_open(&t->bucket_span, (size_t)t->full_width * sizeof(struct bucket)) != 0 ||
        span_open(&t->more_span, ((size_t)limit / PLACES + t->full_width) * sizeof(struct bucket)) != 0 ||
        span_open(&t->flow_span, (size_t)limit * sizeof(struct host_flow)) != 0 ||
        span_grow(&t->bucket_span, t->width * sizeof(struct bucket), &t->budget) != 0) {
        flow_table_destroy(t);
        return -ENOMEM;
    }
    t->buckets = (struct bucket *)t->bucket_span.base;
    t->more = (struct bucket *)t->more_span.base;
    t->flows = (struct host_flow *)t->flow_span.base;
    *out = t;
    return 0;
}

void flow_table_destroy(struct flow_table *t)
{
    if (t == NULL)
        return;
    span_close(&t->flow_span);
    span_close(&t->more_span);
    span_close(&t->bucket_span);
    free(t);
}

uint32_t flow_table_count(const struct flow_table *t)
{
    return t->count;
}

size_t flow_table_bytes(const struct flow_table *t)
{
    return sizeof(*t) + t->bucket_span.ready + t->more_span.ready + t->flow_span.ready;
}

void flow_table_cap(struct flow_table *t, size_t bytes)
{
    t->budget = bytes;
}

/* ---- looking up ---- */

struct host_flow *flow_table_find(struct flow_table *t, const struct host_flow_key *key)
{
    uint64_t hash = hash_of(t, key);
    return find_in(t, &t->buckets[home_of(t, hash)], tag_of(hash), key);
}

struct host_flow *flow_table_find_likely(struct flow_table *t, const struct host_flow_key *key,
                                         struct host_flow *likely)
{
    if (likely != NULL && likely->queue != ORDER_FREE && key_equal(&likely->key, key))
        return likely;
    return flow_table_find(t, key);
}

void flow_table_find_many(struct flow_table *t, const struct host_flow_key *const *keys, size_t n,
                          struct host_flow **out)
{
    const struct bucket *bucket[AHEAD];
    struct host_flow *likely[AHEAD];
    uint16_t tag[AHEAD];

    for (size_t at = 0; at < n; at += AHEAD) {
        size_t some = n - at < AHEAD ? n - at : AHEAD;
        for (size_t i = 0; i < some; i++) {
            uint64_t hash = hash_of(t, keys[at + i]);
            bucket[i] = &t->buckets[home_of(t, hash)];
            tag[i] = tag_of(hash);
            __builtin_prefetch(bucket[i]);
        }
        for (size_t i = 0; i < some; i++) {
            unsigned places = places_with(bucket[i], tag[i]);
            likely[i] = NULL;
            if (__builtin_expect(places != 0, 1)) {
                likely[i] = flow_of(t, bucket[i]->slot[__builtin_ctz(places)]);
                __builtin_prefetch(likely[i]);
                __builtin_prefetch((const uint8_t *)likely[i] + sizeof(struct host_flow_key) - 1);
            } else if (bucket[i]->more != 0) {
                __builtin_prefetch(&t->more[bucket[i]->more - 1]);
            }
        }
        for (size_t i = 0; i < some; i++) {
            const struct host_flow_key *key = keys[at + i];
            bool right = likely[i] != NULL && key_equal(&likely[i]->key, key);
            out[at + i] = __builtin_expect(right, 1) ? likely[i] : find_in(t, bucket[i], tag[i], key);
        }
    }
}

struct host_flow *flow_table_at(struct flow_table *t, uint32_t slot)
{
    if (slot >= t->slots || t->flows[slot].queue == ORDER_FREE)
        return NULL;
    return &t->flows[slot];
}

void flow_table_fetch(const struct flow_table *t, uint32_t slot)
{
    const struct host_flow *f = &t->flows[slot];

    __builtin_prefetch(&f->id, 1); /* from here to its marks are two lines at most */
    __builtin_prefetch(&f->marks, 1);
}

uint32_t flow_table_slot(const struct flow_table *t, const struct host_flow *f)
{
    return (uint32_t)(f - t->flows);
}

bool flow_table_gave(const struct flow_table *t, const void *f)
{
    const uintptr_t at = (uintptr_t)f - (uintptr_t)t->flows;

    return at / sizeof(*t->flows) < t->slots && at % sizeof(*t->flows) == 0;
}

void flow_table_remember(struct flow_table *t, const struct host_flow *f)
{
    t->recent[f->id % 1024] = flow_table_slot(t, f) + 1;
}

struct host_flow *flow_table_by_id(struct flow_table *t, uint64_t id)
{
    uint32_t slot = t->recent[id % 1024];
    struct host_flow *f = slot != 0 ? flow_table_at(t, slot - 1) : NULL;

    if (f != NULL && f->id == id)
        return f;
    for (slot = 0; slot < t->slots; slot++) {
        f = &t->flows[slot];
        if (f->id != id || f->queue == ORDER_FREE)
            continue;
        flow_table_remember(t, f);
        return f;
    }
    return NULL;
}

void flow_table_each(struct flow_table *t, void (*fn)(void *ctx, struct host_flow *f), void *ctx)
{
    for (uint32_t slot = 0; slot < t->slots; slot++) {
        if (t->flows[slot].queue != ORDER_FREE)
            fn(ctx, &t->flows[slot]);
    }
}

/* ---- adding and removing ---- */

struct host_flow *flow_table_add(struct flow_table *t, const struct host_flow_key *key)
{
    uint64_t hash = hash_of(t, key);
    struct bucket *b = &t->buckets[home_of(t, hash)];
    uint32_t slot = t->free_slot;
    struct host_flow *f;

    if (t->count >= t->limit || find_in(t, b, tag_of(hash), key) != NULL)
        return NULL;
    if (slot == FLOW_NONE) {
        slot = t->slots;
        if (span_grow(&t->flow_span, ((size_t)slot + 1) * sizeof(struct host_flow), &t->budget) != 0)
            return NULL;
    }
    if (!bucket_put(t, b, tag_of(hash), slot))
        return NULL;
    f = flow_of(t, slot);
    if (slot == t->slots) {
        t->slots++;
    } else {
        t->free_slot = f->older;
        if (t->free_slot != FLOW_NONE) /* its turn comes soon */
            __builtin_prefetch(&flow_of(t, t->free_slot)->older, 1);
    }
    memset(f, 0, sizeof(*f));
    f->key = *key;
    f->used = t->order.now;
    order_enter(t, slot);
    t->count++;
    grow(t);
    return f;
}

bool flow_table_rename(struct flow_table *t, struct host_flow *f, const struct host_flow_key *key)
{
    const uint64_t before = hash_of(t, &f->key), hash = hash_of(t, key);
    struct bucket *b = &t->buckets[home_of(t, hash)];
    const uint32_t slot = flow_table_slot(t, f);

    if (find_in(t, b, tag_of(hash), key) != NULL || !bucket_put(t, b, tag_of(hash), slot))
        return false;
    bucket_take(t, &t->buckets[home_of(t, before)], tag_of(before), slot);
    f->key = *key;
    return true;
}

void flow_table_remove(struct flow_table *t, struct host_flow *f)
{
    uint32_t slot = flow_table_slot(t, f);
    uint64_t hash = hash_of(t, &f->key);

    bucket_take(t, &t->buckets[home_of(t, hash)], tag_of(hash), slot);
    order_leave(t, slot);
    f->id = 0;
    f->queue = ORDER_FREE;
    f->older = t->free_slot;
    t->free_slot = slot;
    t->count--;
}
