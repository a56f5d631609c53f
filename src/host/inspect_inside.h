/* SPDX-License-Identifier: Apache-2.0 */
/* What inspect.c and inspect_along.c share: what a scene tells of itself, and one question. */
#ifndef WEIR_HOST_INSPECT_INSIDE_H
#define WEIR_HOST_INSPECT_INSIDE_H

#include <stddef.h>
#include <string.h>

#include "host/indicate.h"

/* An element's address, which GCC counts out anew at each use otherwise. */
#define IN_ONE_REGISTER(pointer) __asm__("" : "+r"(pointer))

/* What an endpoint's values and metadata are made of beside its id: settled when it is made. What stands behind them changes
 * under the lane's lock, which is not held here. */
static inline UINT32 endpoint_bits(const struct host_endpoint *e)
{
    UINT32 bits;

    _Static_assert(offsetof(struct host_endpoint, wildcard) - offsetof(struct host_endpoint, dual_stack) == 3,
                   "four of them, one after the other");
    memcpy(&bits, &e->dual_stack, sizeof(bits));
    return bits;
}

_Static_assert(offsetof(struct scene, any_remote) - offsetof(struct scene, local) == TOLD_WORDS * 8 - 4,
               "what is told stands together");

/* Of what is told, in its words: tuple, flow and endpoint; interfaces and what is special; direction. */
#define TOLD_FLOW_ID 5
#define TOLD_FLOW    7
#define TOLD_OTHER   11
_Static_assert(offsetof(struct scene, flow_id) - offsetof(struct scene, local) == TOLD_FLOW_ID * 8 &&
                   offsetof(struct scene, interface) - offsetof(struct scene, local) == TOLD_FLOW * 8 &&
                   offsetof(struct scene, metadata_flags) - offsetof(struct scene, local) == TOLD_OTHER * 8 &&
                   offsetof(struct scene, path_mtu) - offsetof(struct scene, local) == TOLD_OTHER * 8 + 8,
               "in this order");

/* Of the same flow: nearly always its packet's next layer, and all that was stored in parts is long there. */
static inline bool is_told(const struct told *t, const struct scene *s)
{
    const UINT64 *now = (const UINT64 *)&s->local;
    const struct host_endpoint *e = s->endpoint;
    UINT64 differ;

    if (t->word[TOLD_FLOW_ID] != s->flow_id)
        return false;
    differ = t->among ^ __atomic_load_n(&s->host->among, __ATOMIC_ACQUIRE);
    for (unsigned i = 0; i < TOLD_WORDS; i++)
        differ |= t->word[i] ^ now[i];
    if (e != NULL)
        differ |= (t->endpoint_id ^ e->id) | (t->endpoint_bits ^ endpoint_bits(e));
    return differ == 0;
}

void inspect_number(struct told *t, const struct scene *s);

/* The scene's numbers: once a packet, mostly, new ones. */
static inline struct told *tell_of(struct scratch *room, const struct scene *s)
{
    struct told *t = &room->told[scene_inbound(s)];

    IN_ONE_REGISTER(t);
    if (__builtin_expect(!is_told(t, s), 0)) /* often not so; but then it is a call, out of the line */
        inspect_number(t, s);
    return t;
}

/* Nothing of it is special but, perhaps, which flow it is of, or that there is none yet. */
static inline bool is_usual(const struct scene *s)
{
    return !s->icmp && s->packet != NULL;
}

/* Where a packet's headers stand, and their sizes: of a whole packet that begins near its frame's beginning. */
static inline UINT64 headers_of(const struct wire_packet *p)
{
    return p->ip_at | (UINT64)p->transport_at << 16 | (UINT64)p->ip_header_size << 32 |
           (UINT64)p->transport_header_size << 48;
}

/* A whole packet, so that headers of the same sizes at the same places show the same data; and headers_of() can say so. */
static inline bool is_whole(const struct wire_packet *p)
{
    return p->reached == WIRE_TRANSPORT && !p->cut && !p->fragment && (p->ip_at | p->transport_at) < 0x10000;
}

/* May a question about the scene be asked here? At none of the layers that show no packet of the walk (ST). */
static inline bool is_common(const struct scene *s, const struct scratch *room)
{
    return (s->walk != NULL || s->packet == NULL) && s->layer_data == NULL && s->turns == NULL &&
           room->level < room->inspecting_levels && !room->hears;
}

/* What follows of the scene's headers at the layer, into metadata and `p`. */
void inspect_place(const struct scene *s, enum host_layer role, const struct prepared *prepared,
                   struct kept *k, struct kept_placed *p);
/* The headers of a whole packet stand elsewhere than those of the one before at the layer. Most stand at one of few places:
 * TCP's with options or without, UDP's, behind a MAC header or, injected, behind none; by the transport header's size and where
 * the IP header is they are told apart. */
static inline void inspect_moved(const struct scene *s, enum host_layer role, const struct prepared *prepared,
                                 struct kept *k, UINT64 where)
{
    struct kept_placed *p = &k->placed[(where >> 50 ^ where) % KEPT_PLACED];

    IN_ONE_REGISTER(p);
    if (__builtin_expect(p->where != where, 0))
        inspect_place(s, role, prepared, k, p);
    k->of.where = where;
    k->of.at = p->at;
    k->of.first = p->first;
    k->metadata.ipHeaderSize = p->ip_header;
    k->metadata.transportHeaderSize = p->transport_header;
}
/* One question of several, at the level that is taken, the lane left, the policy pinned. False: it is a case for indicate(),
 * and nothing was done. */
bool inspect_one(struct scene *s, enum host_layer role, const struct plan *plan);

#endif
