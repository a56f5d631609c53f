/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inspect: the common case of a classification in one go.
 *
 *   classify_at(): the layer's only filter asks a callout of ours --> inspect() --no: something is special--> question()
 *                                                                        |
 *        values of the lane's own -> engine -> the filter matches: metadata, the packet -> classifyFn -> answer
 *
 * Most packets that are asked about follow one of the same flow in the same direction. What they are shown but for their
 * headers and data is the same then: values and metadata are left as they stand (struct kept_of), which the scene is
 * compared with as a whole. Whoever else writes them says that they are nobody's (values_keep(), metadata_keep()).
 *
 * Special is what indicate.c knows besides: layers that show no packet of the walk (ST, a group's chain, redirection),
 * a classification deeper than the lane has values for, a judge whose word is needed, who hears of everything or
 * remembers it. The answer, what the callout is shown and what observers hear are those of the general way:
 * tests/unit/host_inspect.c holds the two against each other (host_knobs.long_way takes the general one always).
 */
#include <stddef.h>
#include <string.h>

#include "host/indicate.h"
#include "host/walk.h"

/* ---- the same flow again --------------------------------------------------------------------------------- */

/* What an endpoint's values and metadata are made of beside its id. */
static inline UINT64 endpoint_bits(const struct host_endpoint *e)
{
    UINT64 bits;

    _Static_assert(offsetof(struct host_endpoint, refused) - offsetof(struct host_endpoint, dual_stack) == 7,
                   "eight of them, one after the other");
    memcpy(&bits, &e->dual_stack, sizeof(bits));
    return bits;
}

_Static_assert(offsetof(struct scene, any_remote) - offsetof(struct scene, local) == TOLD_WORDS * 8 - 4,
               "what is told stands together");

/* A whole packet, so that headers of the same sizes at the same places show the same data. */
static inline bool is_whole(const struct wire_packet *p)
{
    return p->reached == WIRE_TRANSPORT && !p->cut && !p->fragment;
}

/* Are the values, and the metadata but for the headers' sizes, those of this scene? */
static inline bool is_of(const struct kept *k, const struct scene *s)
{
    const UINT64 *told = (const UINT64 *)&s->local;
    const struct host_endpoint *e = s->endpoint;
    const struct kept_of *o = &k->of;
    UINT64 other = 0;

    if (!o->valid || o->before != s->flow_id)
        return false;
    for (unsigned i = 0; i < TOLD_WORDS; i++) {
        UINT64 word = told[i];

        __asm__("" : "+r"(word)); /* one by one: wider loads would wait for what was just stored in parts */
        other |= o->told.word[i] ^ word;
    }
    return other == 0 && k->among == __atomic_load_n(&s->host->among, __ATOMIC_ACQUIRE) &&
           (e == NULL || (o->endpoint_id == e->id && o->endpoint_bits == endpoint_bits(e))) &&
           s->packet != NULL;
}

#define OF_SOME                                                                                              \
    (FWPS_METADATA_FIELD_PROCESS_PATH | FWPS_METADATA_FIELD_TOKEN | FWPS_METADATA_FIELD_PROCESS_ID |         \
     FWPS_METADATA_FIELD_SUB_PROCESS_TAG | FWPS_METADATA_FIELD_COMPLETION_HANDLE)

/* They are of this scene, and may be those of the next one: of layers that show nothing but tuple, flow and interfaces. */
static void note_of(struct inspecting *i, uint32_t at, uint32_t first)
{
    const struct prepared *prepared = i->prepared;
    const struct scene *s = i->s;
    const struct wire_packet *p = s->packet;
    const struct host_endpoint *e = s->endpoint;
    struct kept *k = i->kept;

    if (k->of.before != s->flow_id) {
        k->of.before = s->flow_id;
        return;
    }
    if (s->flow_id == 0 || s->reauthorize != 0 || s->shown != NULL || s->icmp || s->loopback ||
        s->any_remote || s->interface == NULL || !is_whole(p) || (prepared->of_profile != 0 && k->again) ||
        !k->plain || i->role >= LAYER_MAC_IN || i->role == LAYER_FW || prepared->each != 0 ||
        prepared->of_owner != 0 || prepared->placed_late || (prepared->metadata & OF_SOME) != 0)
        return;
    memcpy(k->of.told.word, &s->local, sizeof(k->of.told));
    k->of.endpoint_id = e != NULL ? e->id : 0;
    k->of.endpoint_bits = e != NULL ? endpoint_bits(e) : 0;
    k->of.unknown = i->unknown;
    k->of.ip_at = p->ip_at;
    k->of.transport_at = p->transport_at;
    k->of.at = at;
    k->of.first = first;
    k->of.ip_header_size = p->ip_header_size;
    k->of.transport_header_size = p->transport_header_size;
    k->of.valid = true;
    if (s->version == 6)
        values_keep_addresses(prepared, k);
}

/* ---- one question ---------------------------------------------------------------------------------------- */

static __attribute__((noinline)) void describe(struct inspecting *i, uint32_t *at, uint32_t *first,
                                               uint32_t *end)
{
    *at = packet_span(i->s, i->role, false, first, end);
    metadata_keep(i->s, i->role, false, *at, i->kept, i->prepared->metadata);
    if (*at != UINT32_MAX)
        note_of(i, *at, *first);
}

/* engine_request.complete: the callout, or the engine's observer, is about to look. */
static __attribute__((flatten)) void complete(void *ctx)
{
    struct inspecting *i = ctx;
    const struct kept_of *o = &i->kept->of;
    const struct wire_packet *p = i->s->packet;
    uint32_t at, first, end;

    if (i->request.metadata != NULL)
        return;
    if (i->again && p->ip_at == o->ip_at && p->transport_at == o->transport_at &&
        p->ip_header_size == o->ip_header_size && p->transport_header_size == o->transport_header_size &&
        is_whole(p)) {
        at = o->at;
        first = o->first;
        end = packet_end(p);
    } else {
        describe(i, &at, &first, &end);
    }
    i->request.metadata = &i->kept->metadata;
    if (at != UINT32_MAX)
        i->request.layer_data = i->list = walk_show(i->s, first, at, end);
}

static bool is_common(const struct scene *s, enum host_layer role, const struct scratch *room, bool listens)
{
    const struct host_config *c = &s->host->config;

    return s->walk != NULL && s->layer_data == NULL && s->turns == NULL && role != LAYER_ST &&
           room->level < KEPT_LEVELS && !room->hears && !c->knobs.long_way &&
           !c->knobs.shift_receive_offset && (!listens || c->observer.decisions_only);
}

/* Observers of decisions are told without what `complete` brings, unless somebody has looked already. */
static __attribute__((noinline)) void tell(struct inspecting *i, const struct engine_layer *layer,
                                           const struct answer *out)
{
    const struct host_answer answer = {.verdict = out->verdict};
    const struct host_config *c = &i->s->host->config;
    struct host_event event;

    if (!indicate_matters(i->s->host, i->role, &answer))
        return;
    event = indicate_event(i->s, layer, &answer);
    event.cause = indicate_cause(i->s, i->role, false);
    event.request = &i->request;
    event.unknown = i->unknown;
    event.packet = i->list;
    c->observer.classified(c->observer.ctx, &event);
}

void inspect_prepare(struct scratch *room)
{
    for (unsigned n = 0; n < KEPT_LEVELS; n++) {
        struct inspecting *i = &room->inspecting[n];

        i->flow.context = ale_flow_context;
        i->request.flow = &i->flow;
        i->request.complete = complete;
        i->request.complete_ctx = i;
        i->request.assumptions = room->host->config.assumptions;
        i->request.assumption_count = room->host->config.assumption_count;
    }
}

static inline void prepare(struct inspecting *i, struct scene *s, enum host_layer role)
{
    struct engine_request *q = &i->request;

    i->s = s;
    i->role = role;
    i->list = NULL;
    i->flow.ctx = s;
    q->values = &i->kept->values;
    q->metadata = NULL;
    q->layer_data = NULL;
    q->classify_context = s->options != NULL            ? (const void *)s->options
                          : s->classify_context != NULL ? s->classify_context
                                                        : (const void *)s;
    q->pended = s->pended;
    if (role >= LAYER_RES && role <= LAYER_BR) {
        q->cache = indicate_cache(s, role, false);
        q->irql = indicate_irql(s, role, false);
    } else {
        q->cache = NULL;
        q->irql = DISPATCH_LEVEL;
    }
}

/* The values at this level. False: out of memory. */
static inline bool get_values(struct inspecting *i, const struct scene *s, const struct engine_layer *layer,
                              struct scratch *room)
{
    struct kept *k = room->kept[room->level - 1][layer->id][scene_inbound(s)];

    i->again = k != NULL && is_of(k, s);
    if (i->again) {
        i->kept = k;
        i->unknown = k->of.unknown;
        return true;
    }
    i->kept = values_keep(s, layer, room, &i->unknown);
    return i->kept != NULL;
}

bool inspect(struct scene *s, const struct engine_snapshot *snapshot, const struct plan *plan, bool listens,
             struct answer *out)
{
    struct scratch *room = s->lane->scratch;
    const struct engine_layer *layer = engine_layer_by_id(out->layer);
    const enum host_layer role = out->role;
    struct inspecting *i;
    bool stayed;

    if (!is_common(s, role, room, listens))
        return false;
    i = &room->inspecting[room->level++];
    i->prepared = &room->prepared[out->layer];
    if (__builtin_expect(!get_values(i, s, layer, room) ||
                             ((i->unknown & plan->tested) != 0 && s->host->config.judge.judge != NULL),
                         0)) {
        room->level--;
        return false;
    }
    stayed = lane_rest(s->lane);
    prepare(i, s, role);
    indicate_count(s);
    if (!NT_SUCCESS(engine_classify_pinned(s->lane->reader, snapshot, &i->request, &out->verdict)))
        out->verdict = (struct engine_verdict){.action = FWP_ACTION_BLOCK}; /* fails closed */
    ale_classified(s);
    if (listens)
        tell(i, layer, out);
    room->level--;
    lane_back(s->lane, stayed);
    indicate_answered(s, out);
    return true;
}
