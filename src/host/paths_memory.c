/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paths_memory: tuples of which later frames must know although no flow stands for them.
 *
 * The host sends nothing; what a dropped or discarded packet would have caused is in the capture all the same
 * and must be known when it comes: the RST that a discard layer suppressed, the answer to a request that was
 * dropped before it had a flow, the last words of a connection that is over. A note is a flow's key, a kind
 * and a time until which it holds. The table does not grow: sets of four; a full set gives up the note
 * that ends first. It is only asked where no flow was found, so that established traffic does not pay for it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/paths.h"

#define WAYS     4u
#define MIN_SETS 16u
#define MAX_SETS 4096u /* 16,384 notes, 1 MiB */

/* Of a set: what tells at once that a note is not there, or which one is to give way, so that most questions
 * touch one line. */
struct tags {
    UINT64 until_ns[WAYS];
    uint32_t tag[WAYS]; /* of the key's hash, the kind in the low bits; 0: free */
};

struct note {
    struct host_flow_key key;
    struct fragment_note fragment; /* MEMORY_FRAGMENT */
};
struct memory {
    size_t sets; /* a power of two */
    struct tags *tags;
    struct note notes[][WAYS];
};

#define KIND_BITS 15u /* of a tag */

/* A key's set. */
struct set {
    struct tags *tags;
    struct note *notes;
    uint32_t tag; /* of kind 0 */
};

int memory_create(const struct host_limits *limits, struct memory **out)
{
    size_t sets = MIN_SETS;
    struct memory *m;

    while (sets < MAX_SETS && sets * WAYS < limits->flows)
        sets *= 2;
    m = calloc(1, sizeof(*m) + sets * sizeof(m->notes[0]));
    if (m == NULL)
        return -ENOMEM;
    m->tags = calloc(sets, sizeof(*m->tags));
    if (m->tags == NULL) {
        free(m);
        return -ENOMEM;
    }
    m->sets = sets;
    *out = m;
    return 0;
}

void memory_destroy(struct memory *m)
{
    if (m == NULL)
        return;
    free(m->tags);
    free(m);
}

static struct set set_of(struct memory *m, const struct host_flow_key *k)
{
    uint64_t x = k->local.word[0] ^ k->remote.word[0] * 0x9e3779b97f4a7c15ull;
    size_t at;

    x = (x ^ k->local.word[1]) * 0xff51afd7ed558ccdull ^ k->remote.word[1];
    x ^= (uint64_t)k->local_port << 32 ^ (uint64_t)k->remote_port << 48 ^ k->protocol;
    x *= 0xc4ceb9fe1a85ec53ull;
    at = (x >> 40) & (m->sets - 1);
    return (struct set){&m->tags[at], m->notes[at], (uint32_t)(x >> 8) & ~KIND_BITS};
}

void memory_fetch(struct memory *m, const struct host_flow_key *k, bool put)
{
    const struct set s = set_of(m, k);

    __builtin_prefetch(s.tags, 1);
    __builtin_prefetch((const char *)(s.tags + 1) - 1, 1);
    if (put)
        __builtin_prefetch(s.notes, 1);
}

static bool is_at(const struct set *s, unsigned i, uint32_t tag, const struct host_flow_key *k)
{
    return s->tags->tag[i] == tag && memcmp(&s->notes[i].key, k, sizeof(*k)) == 0;
}

static struct note *put(struct memory *m, const struct host_flow_key *k, enum memory_kind kind, UINT64 now,
                        UINT64 until)
{
    const struct set s = set_of(m, k);
    unsigned to = 0;

    for (unsigned i = 0; i < WAYS; i++) {
        if (is_at(&s, i, s.tag | kind, k)) {
            to = i;
            break;
        }
        if (s.tags->until_ns[i] < now)
            s.tags->tag[i] = 0;
        if (s.tags->tag[to] != 0 && (s.tags->tag[i] == 0 || s.tags->until_ns[i] < s.tags->until_ns[to]))
            to = i;
    }
    s.tags->tag[to] = s.tag | kind;
    s.tags->until_ns[to] = until;
    s.notes[to] = (struct note){.key = *k};
    return &s.notes[to];
}

void memory_put(struct memory *m, const struct host_flow_key *k, enum memory_kind kind, UINT64 now,
                UINT64 until)
{
    (void)put(m, k, kind, now, until);
}

void memory_put_fragment(struct memory *m, const struct host_flow_key *k, UINT64 now, UINT64 until,
                         const struct fragment_note *what)
{
    put(m, k, MEMORY_FRAGMENT, now, until)->fragment = *what;
}

bool memory_fragment(struct memory *m, const struct host_flow_key *k, UINT64 now, struct fragment_note *out)
{
    const struct set s = set_of(m, k);

    for (unsigned i = 0; i < WAYS; i++) {
        if (!is_at(&s, i, s.tag | MEMORY_FRAGMENT, k) || s.tags->until_ns[i] < now)
            continue;
        *out = s.notes[i].fragment;
        return true;
    }
    return false;
}

unsigned memory_kinds(struct memory *m, const struct host_flow_key *k, UINT64 now)
{
    const struct set s = set_of(m, k);
    unsigned kinds = 0;

    for (unsigned i = 0; i < WAYS; i++) {
        const uint32_t tag = s.tags->tag[i];

        if (tag != 0 && (tag & ~KIND_BITS) == s.tag && s.tags->until_ns[i] >= now && is_at(&s, i, tag, k))
            kinds |= 1u << (tag & KIND_BITS);
    }
    return kinds;
}

bool memory_has(struct memory *m, const struct host_flow_key *k, enum memory_kind kind, UINT64 now)
{
    return (memory_kinds(m, k, now) >> kind & 1) != 0;
}

void memory_drop(struct memory *m, const struct host_flow_key *k, unsigned kinds)
{
    const struct set s = set_of(m, k);

    for (unsigned i = 0; i < WAYS; i++) {
        const uint32_t tag = s.tags->tag[i];

        if (tag != 0 && (tag & ~KIND_BITS) == s.tag && (kinds >> (tag & KIND_BITS) & 1) != 0 &&
            is_at(&s, i, tag, k))
            s.tags->tag[i] = 0;
    }
}
