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

struct note {
    struct host_flow_key key;
    UINT64 until_ns;
    UINT64 filter_id; /* of a block: who decided, */
    UINT16 layer_id;  /* and where */
    uint8_t kind;     /* enum memory_kind; 0: free */
};
struct memory {
    size_t sets; /* a power of two */
    struct note notes[][WAYS];
};

int memory_create(const struct host_limits *limits, struct memory **out)
{
    size_t sets = MIN_SETS;

    while (sets < MAX_SETS && sets * WAYS < limits->flows)
        sets *= 2;
    *out = calloc(1, sizeof(**out) + sets * sizeof((*out)->notes[0]));
    if (*out == NULL)
        return -ENOMEM;
    (*out)->sets = sets;
    return 0;
}

void memory_destroy(struct memory *m)
{
    free(m);
}

static struct note *set_of(struct memory *m, const struct host_flow_key *k)
{
    uint64_t x = k->local.word[0] ^ k->remote.word[0] * 0x9e3779b97f4a7c15ull;

    x = (x ^ k->local.word[1]) * 0xff51afd7ed558ccdull ^ k->remote.word[1];
    x ^= (uint64_t)k->local_port << 32 ^ (uint64_t)k->remote_port << 48 ^ k->protocol;
    x *= 0xc4ceb9fe1a85ec53ull;
    return m->notes[(x >> 40) & (m->sets - 1)];
}

static struct note *put(struct memory *m, const struct host_flow_key *k, enum memory_kind kind, UINT64 now,
                        UINT64 until)
{
    struct note *set = set_of(m, k), *to = set;

    for (unsigned i = 0; i < WAYS; i++) {
        if (set[i].kind == kind && memcmp(&set[i].key, k, sizeof(*k)) == 0) {
            to = &set[i];
            break;
        }
        if (set[i].kind == 0 || set[i].until_ns < now) {
            to = &set[i];
            to->kind = 0;
            to->until_ns = 0;
        } else if (set[i].until_ns < to->until_ns) {
            to = &set[i];
        }
    }
    *to = (struct note){.key = *k, .until_ns = until, .kind = (uint8_t)kind};
    return to;
}

void memory_put(struct memory *m, const struct host_flow_key *k, enum memory_kind kind, UINT64 now,
                UINT64 until)
{
    (void)put(m, k, kind, now, until);
}

void memory_put_block(struct memory *m, const struct host_flow_key *k, UINT64 now, UINT64 until,
                      UINT16 layer_id, UINT64 filter_id)
{
    struct note *n = put(m, k, MEMORY_FRAGMENT_BLOCKED, now, until);

    n->layer_id = layer_id;
    n->filter_id = filter_id;
}

void memory_block(struct memory *m, const struct host_flow_key *k, UINT16 *layer_id, UINT64 *filter_id)
{
    const struct note *set = set_of(m, k);

    *layer_id = ENGINE_LAYER_COUNT;
    *filter_id = 0;
    for (unsigned i = 0; i < WAYS; i++) {
        if (set[i].kind != MEMORY_FRAGMENT_BLOCKED || memcmp(&set[i].key, k, sizeof(*k)) != 0)
            continue;
        *layer_id = set[i].layer_id;
        *filter_id = set[i].filter_id;
    }
}

bool memory_has(struct memory *m, const struct host_flow_key *k, enum memory_kind kind, UINT64 now)
{
    const struct note *set = set_of(m, k);

    for (unsigned i = 0; i < WAYS; i++)
        if (set[i].kind == kind && set[i].until_ns >= now && memcmp(&set[i].key, k, sizeof(*k)) == 0)
            return true;
    return false;
}

void memory_drop(struct memory *m, const struct host_flow_key *k, enum memory_kind kind)
{
    struct note *set = set_of(m, k);

    for (unsigned i = 0; i < WAYS; i++)
        if (set[i].kind == kind && memcmp(&set[i].key, k, sizeof(*k)) == 0)
            set[i].kind = 0;
}
