/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redirect_pieces: datagrams in fragments, by addresses and identification: SETS lists of WAYS each; of a full one the
 * entry goes whose time is over first.
 */
#include <stdlib.h>

#include "host/redirect_pieces.h"

#define SETS        64u
#define WAYS        4u
#define LIFETIME_NS (60ull * 1000000000ull)

struct redirect_pieces {
    struct redirect_piece of[SETS][WAYS];
};

static uint8_t protocol_of(const struct wire_packet *p)
{
    return p->version == 4 ? p->protocol : 0;
}

static struct redirect_piece *set_of(struct redirect_pieces *m, const struct wire_packet *p)
{
    UINT64 x = p->source.word[0] ^ p->source.word[1] * 31 ^ p->destination.word[1] * 0xff51afd7ed558ccdull;

    x = (x ^ p->destination.word[0] ^ p->fragment_id) * 0x9e3779b97f4a7c15ull;
    return m->of[(x >> 32) % SETS];
}

bool redirect_piece_same(const struct wire_packet *a, const struct wire_packet *b)
{
    return a->fragment && b->fragment && a->version == b->version && a->fragment_id == b->fragment_id &&
           protocol_of(a) == protocol_of(b) && wire_addr_equal(&a->source, &b->source) &&
           wire_addr_equal(&a->destination, &b->destination);
}

struct redirect_piece *redirect_piece_of(struct redirect_pieces *m, const struct wire_packet *p,
                                         UINT64 now_ns)
{
    struct redirect_piece *set = m != NULL ? set_of(m, p) : NULL;

    for (unsigned i = 0; set != NULL && i < WAYS; i++)
        if (set[i].until_ns > now_ns && set[i].id == p->fragment_id && set[i].version == p->version &&
            set[i].protocol == protocol_of(p) && wire_addr_equal(&set[i].source, &p->source) &&
            wire_addr_equal(&set[i].destination, &p->destination))
            return &set[i];
    return NULL;
}

struct redirect_piece *redirect_piece_new(struct redirect_pieces **m, const struct wire_packet *p,
                                          UINT64 now_ns)
{
    struct redirect_piece *set, *at = redirect_piece_of(*m, p, now_ns);

    if (*m == NULL)
        *m = calloc(1, sizeof(**m));
    if (*m == NULL)
        return NULL;
    set = set_of(*m, p);
    if (at == NULL) {
        at = &set[0];
        for (unsigned i = 1; i < WAYS; i++)
            if (set[i].until_ns < at->until_ns)
                at = &set[i];
    }
    *at = (struct redirect_piece){.source = p->source,
                                  .destination = p->destination,
                                  .id = p->fragment_id,
                                  .version = p->version,
                                  .protocol = protocol_of(p),
                                  .until_ns = now_ns + LIFETIME_NS};
    return at;
}
