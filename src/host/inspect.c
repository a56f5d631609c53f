/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inspect: the common case of a classification in one go.
 *
 *   indicate(): the layer's only filter asks a callout of ours --> inspect() --no: something is special--> classify_at()
 *                                                                     |
 *        values of the lane's own -> engine -> the filter matches: metadata, the packet -> classifyFn -> answer
 *
 * An inspection's answer is known before (engine/inspection.c); other callouts go through the engine's arbitration.
 *
 * Most packets that are asked about are of an established flow, and differ from the one before at the layer in their flow
 * at most. The scene is compared with that of the values and metadata that stand there (struct kept_of): what is of
 * the flow is written anew if it is another one, where the headers stand if they stand elsewhere, and all else is left.
 * Whoever else writes them says that they are nobody's (values_keep(), metadata_keep()).
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

/* ---- the same again, or of another flow ------------------------------------------------------------------ */

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

/* Of what is told, in its words: tuple, flow and endpoint; interfaces and what is special; direction. */
#define TOLD_FLOW  7
#define TOLD_OTHER 11
_Static_assert(offsetof(struct scene, interface) - offsetof(struct scene, local) == TOLD_FLOW * 8 &&
                   offsetof(struct scene, metadata_flags) - offsetof(struct scene, local) == TOLD_OTHER * 8 &&
                   offsetof(struct scene, path_mtu) - offsetof(struct scene, local) == TOLD_OTHER * 8 + 8,
               "in this order");

static inline UINT64 difference(const struct kept_of *o, const struct scene *s, unsigned first, unsigned end)
{
    const UINT64 *told = (const UINT64 *)&s->local;
    UINT64 other = 0;

    for (unsigned i = first; i < end; i++) {
        UINT64 word = told[i];

        __asm__("" : "+r"(word)); /* one by one: wider loads would wait for what was just stored in parts */
        other |= o->told.word[i] ^ word;
    }
    return other;
}

/* Are the values, and the metadata but for the headers' sizes, those of a scene that differs in its flow at most? */
static inline bool is_alike(const struct kept *k, const struct scene *s)
{
    const struct kept_of *o = &k->of;

    return o->valid && s->flow_id != 0 && !s->icmp && !s->loopback && s->packet != NULL &&
           (difference(o, s, TOLD_FLOW, TOLD_OTHER) | difference(o, s, TOLD_OTHER + 1, TOLD_WORDS)) == 0 &&
           k->among == __atomic_load_n(&s->host->among, __ATOMIC_ACQUIRE);
}

/* ... in nothing? */
static inline bool is_same(const struct kept_of *o, const struct scene *s)
{
    const struct host_endpoint *e = s->endpoint;

    return (difference(o, s, 0, TOLD_FLOW) | difference(o, s, TOLD_OTHER, TOLD_OTHER + 1)) == 0 &&
           (e == NULL || (o->endpoint_id == e->id && o->endpoint_bits == endpoint_bits(e)));
}

/* Whose they are, in k->of. */
static inline void tell_of(const struct scene *s, struct kept *k)
{
    const struct host_endpoint *e = s->endpoint;

    memcpy(k->of.told.word, &s->local, sizeof(k->of.told));
    k->of.endpoint_id = e != NULL ? e->id : 0;
    k->of.endpoint_bits = e != NULL ? endpoint_bits(e) : 0;
}

static __attribute__((noinline, flatten)) void renew(const struct prepared *prepared, const struct scene *s,
                                                     struct kept *k, struct scratch *room)
{
    const struct host_endpoint *e = s->endpoint;
    const union wire_addr *local = &k->of.told.end[0];
    const bool moved = local->word[0] != s->local.word[0] || local->word[1] != s->local.word[1];

    if (k->of.endpoint_bits != (e != NULL ? endpoint_bits(e) : 0))
        values_renew_flags(s, prepared, k);
    metadata_renew(s, k, prepared->metadata);
    tell_of(s, k);
    values_renew(s, prepared, k, room, moved);
}

/* At these a packet's data begins where its headers say, whatever its protocol, and no value says who connected. */
static inline bool is_plain_layer(enum host_layer role)
{
    return role == LAYER_II || role == LAYER_OI || role == LAYER_IT || role == LAYER_OT || role == LAYER_DD ||
           role == LAYER_SPK;
}

#define OF_SOME                                                                                              \
    (FWPS_METADATA_FIELD_PROCESS_PATH | FWPS_METADATA_FIELD_TOKEN | FWPS_METADATA_FIELD_PROCESS_ID |         \
     FWPS_METADATA_FIELD_SUB_PROCESS_TAG | FWPS_METADATA_FIELD_COMPLETION_HANDLE)

static inline void note_headers(const struct wire_packet *p, uint32_t at, uint32_t first, struct kept_of *o)
{
    o->ip_at = p->ip_at;
    o->transport_at = p->transport_at;
    o->at = at;
    o->first = first;
    o->ip_header_size = p->ip_header_size;
    o->transport_header_size = p->transport_header_size;
}

/* They are of this scene, and may be those of the next one: of layers that show nothing but tuple, flow and interfaces. */
static void note_of(struct inspecting *i, uint32_t at, uint32_t first)
{
    const struct prepared *prepared = i->prepared;
    const struct scene *s = i->s;
    const struct wire_packet *p = s->packet;
    struct kept *k = i->kept;

    if (s->flow_id == 0 || s->reauthorize != 0 || s->shown != NULL || s->icmp || s->loopback ||
        s->any_remote || s->interface == NULL || !is_whole(p) || (prepared->of_profile != 0 && k->again) ||
        !k->plain || !is_plain_layer(i->role) || prepared->each != 0 || prepared->of_owner != 0 ||
        prepared->placed_late || (prepared->metadata & OF_SOME) != 0)
        return;
    k->of.unknown = i->unknown;
    note_headers(p, at, first, &k->of);
    k->of.valid = true;
    tell_of(s, k);
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

/* A whole packet as the one before, but that its headers stand elsewhere. */
static __attribute__((noinline)) void place(struct inspecting *i)
{
    uint32_t first, end;
    const uint32_t at = packet_span(i->s, i->role, false, &first, &end);

    metadata_place(i->s, i->role, at, i->kept, i->prepared->metadata);
    note_headers(i->s->packet, at, first, &i->kept->of);
}

/* engine_request.complete: the callout, or the engine's observer, is about to look. */
static inline void complete(void *ctx)
{
    struct inspecting *i = ctx;
    const struct kept_of *o = &i->kept->of;
    const struct wire_packet *p = i->s->packet;
    uint32_t at, first, end;

    if (i->request.metadata != NULL)
        return;
    if (i->again && is_whole(p)) {
        if (p->ip_at != o->ip_at || p->transport_at != o->transport_at ||
            p->ip_header_size != o->ip_header_size || p->transport_header_size != o->transport_header_size)
            place(i);
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

static inline bool is_common(const struct scene *s, enum host_layer role, const struct scratch *room)
{
    const struct host_config *c = &s->host->config;

    return (s->walk != NULL || s->packet == NULL) && s->layer_data == NULL && s->turns == NULL &&
           role != LAYER_ST && room->level < KEPT_LEVELS && !room->hears && !c->knobs.long_way &&
           !c->knobs.shift_receive_offset && (c->observer.classified == NULL || c->observer.decisions_only);
}

/* Observers, of decisions all of them, are told without what `complete` brings, unless somebody has looked already. */
static __attribute__((noinline)) void tell(struct inspecting *i, const struct answer *out)
{
    const struct host_answer answer = {.verdict = out->verdict};
    const struct host_config *c = &i->s->host->config;
    struct host_event event = indicate_event(i->s, engine_layer_by_id(out->layer), &answer);

    event.cause = indicate_cause(i->s, i->role, false);
    event.request = &i->request;
    event.unknown = i->unknown;
    event.packet = i->list;
    c->observer.classified(c->observer.ctx, &event);
}

void inspect_prepare(struct scratch *room)
{
    for (unsigned n = 0; n < KEPT_LEVELS; n++) {
        struct inspecting *i = room->inside[n] = &room->inspecting[n];

        i->all = room->kept[n];
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
static inline bool get_values(struct inspecting *i, const struct scene *s, UINT16 id, struct scratch *room)
{
    struct kept *k = i->all[id][scene_inbound(s)];

    i->again = k != NULL && is_alike(k, s);
    if (i->again) {
        if (!is_same(&k->of, s))
            renew(i->prepared, s, k, room);
        i->kept = k;
        i->unknown = k->of.unknown;
        return true;
    }
    i->kept = values_keep(s, engine_layer_by_id(id), room, &i->unknown);
    return i->kept != NULL;
}

/* The callout has no say: the answer is there already. */
static inline void look(struct inspecting *i, const struct engine_snapshot *snapshot)
{
    struct engine_reader *reader = i->s->lane->reader;
    struct engine_inspection x;

    if (!engine_inspection_begin(reader, snapshot, &i->request, &x))
        return;
    complete(i);
    engine_inspection_call(reader, &i->request, &x);
}

static __attribute__((noinline)) void decide(struct inspecting *i, const struct engine_snapshot *snapshot,
                                             struct engine_verdict *v)
{
    if (!NT_SUCCESS(engine_classify_pinned(i->s->lane->reader, snapshot, &i->request, v)))
        *v = (struct engine_verdict){.action = FWP_ACTION_BLOCK}; /* fails closed */
}

bool inspect(struct scene *s, enum host_layer role, const struct plan *plan, struct answer *out)
{
    struct scratch *room = s->lane->scratch;
    const struct host_config *c = &s->host->config;
    const struct engine_snapshot *snapshot;
    const UINT16 id = plan->layer;
    struct inspecting *i;
    bool stayed, inspects;

    if (!is_common(s, role, room))
        return false;
    snapshot = engine_pin(s->lane->reader);
    i = room->inside[room->level++];
    i->prepared = plan->prepared;
    if (__builtin_expect(!plan_stands(plan, c->engine, snapshot, id) || !get_values(i, s, id, room) ||
                             ((i->unknown & plan->tested) != 0 && c->judge.judge != NULL),
                         0)) {
        room->level--;
        engine_unpin(s->lane->reader);
        return false;
    }
    inspects = plan->inspects && !engine_observes_permits(c->engine);
    stayed = lane_rest(s->lane);
    prepare(i, s, role);
    indicate_count(s);
    *out = (struct answer){.role = role,
                           .layer = id,
                           .verdict = {.action = FWP_ACTION_PERMIT,
                                       .rights = FWPS_RIGHT_ACTION_WRITE,
                                       .flags = ENGINE_VERDICT_IMPLICIT}};
    if (__builtin_expect(inspects, 1))
        look(i, snapshot);
    else
        decide(i, snapshot, &out->verdict);
    ale_classified(s);
    if (indicate_decides(role, &out->verdict) && c->observer.classified != NULL)
        tell(i, out);
    room->level--;
    lane_back(s->lane, stayed);
    if (!inspects)
        indicate_answered(s, out);
    engine_unpin(s->lane->reader);
    return true;
}
