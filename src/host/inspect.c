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
 * at most. What a scene tells of itself has a number, of the flow and of all else (struct told), which the values and metadata
 * that stand at a layer have as well (struct kept_of): what is of the flow is written anew if it is another one, where the
 * headers stand if they stand elsewhere, and all else is left.
 * Whoever else writes them says that they are nobody's (values_keep(), metadata_keep()).
 *
 * Special is what indicate.c knows besides: layers that show no packet of the walk (ST, a group's chain, redirection),
 * a classification deeper than the lane has values for, a judge whose word is needed, who hears of everything or
 * remembers it. The answer, what the callout is shown and what observers hear are those of the general way:
 * tests/unit/host_inspect.c holds the two against each other (host_knobs.long_way takes the general one always).
 */
#include <stddef.h>
#include <string.h>

#include "host/ale_inside.h"
#include "host/indicate.h"
#include "host/walk.h"

/* ---- the same again, or of another flow ------------------------------------------------------------------ */

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

/* A whole packet, so that headers of the same sizes at the same places show the same data. */
static inline bool is_whole(const struct wire_packet *p)
{
    return p->reached == WIRE_TRANSPORT && !p->cut && !p->fragment;
}

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
    UINT64 differ = 0;

    if (t->word[TOLD_FLOW_ID] != s->flow_id)
        return false;
    for (unsigned i = 0; i < TOLD_WORDS; i++)
        differ |= t->word[i] ^ now[i];
    if (e != NULL)
        differ |= (t->endpoint_id ^ e->id) | (t->endpoint_bits ^ endpoint_bits(e));
    return differ == 0;
}

/* The number of what is not the flow's. */
static UINT64 number_of_other(struct told *t)
{
    struct told_other now = {.number = 0}, *o;

    for (unsigned i = TOLD_FLOW; i < TOLD_WORDS; i++)
        now.word[i] = i == TOLD_OTHER ? 0 : t->word[i];
    for (unsigned i = 0; i < TOLD_OTHERS; i++)
        if (t->others[i].number != 0 && memcmp(t->others[i].word, now.word, sizeof(now.word)) == 0)
            return t->others[i].number;
    o = &t->others[t->oldest++ % TOLD_OTHERS];
    *o = now;
    return o->number = ++t->numbers;
}

static __attribute__((noinline)) void number(struct told *t, const struct scene *s)
{
    const struct host_endpoint *e = s->endpoint;
    const UINT64 *now = (const UINT64 *)&s->local;
    UINT64 other = t->other == 0;

    for (unsigned i = 0; i < TOLD_WORDS; i++) {
        UINT64 word = now[i];

        __asm__("" : "+r"(word)); /* one by one: wider loads would wait for what was just stored in parts */
        if (i >= TOLD_FLOW && i != TOLD_OTHER)
            other |= t->word[i] ^ word;
        t->word[i] = word;
    }
    t->endpoint_id = e != NULL ? e->id : 0;
    t->endpoint_bits = e != NULL ? endpoint_bits(e) : 0;
    t->flow = ++t->numbers;
    if (other != 0)
        t->other = number_of_other(t);
}

/* The scene's numbers: once a packet, mostly, new ones. */
static inline const struct told *tell_of(struct scratch *room, const struct scene *s)
{
    struct told *t = &room->told[scene_inbound(s)];

    if (!is_told(t, s))
        number(t, s);
    return t;
}

/* Are the values, and the metadata but for the headers' sizes, those of a scene that differs in its flow at most? */
static inline bool is_alike(const struct kept *k, const struct told *t, const struct scene *s)
{
    return k->of.valid && k->of.other == t->other && s->flow_id != 0 && !s->icmp && !s->loopback &&
           s->packet != NULL && k->among == __atomic_load_n(&s->host->among, __ATOMIC_ACQUIRE);
}

/* Whose the values are. */
static inline void note_told(const struct told *t, struct kept *k)
{
    k->of.flow = t->flow;
    k->of.other = t->other;
    k->of.endpoint_bits = t->endpoint_bits;
}

static inline void note_ends(const struct scene *s, struct kept *k)
{
    k->end[0] = s->local;
    if (s->version == 6)
        k->end[1] = s->remote;
}

static __attribute__((noinline, flatten)) void renew(const struct prepared *prepared, const struct scene *s,
                                                     const struct told *t, struct kept *k,
                                                     struct scratch *room)
{
    const bool moved = k->end[0].word[0] != s->local.word[0] || k->end[0].word[1] != s->local.word[1];

    if (k->of.endpoint_bits != t->endpoint_bits)
        values_renew_flags(s, prepared, k);
    metadata_renew(s, k, prepared->metadata);
    note_told(t, k);
    note_ends(s, k);
    values_renew(s, prepared, k, room, moved);
}

/* At these a packet's data begins where its headers say, whatever its protocol. */
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
static void note_of(const struct scene *s, const struct prepared *prepared, UINT64 unknown, struct kept *k)
{
    if (s->flow_id == 0 || s->reauthorize != 0 || s->shown != NULL || s->icmp || s->loopback ||
        s->any_remote || s->interface == NULL || (prepared->of_profile != 0 && k->again) || !k->plain ||
        prepared->each != 0 || prepared->of_owner != 0 || prepared->placed_late ||
        (prepared->metadata & OF_SOME) != 0)
        return;
    k->of_unknown = unknown;
    k->of.valid = true;
    note_told(tell_of(s->lane->scratch, s), k);
    note_ends(s, k);
    if (s->version == 6)
        values_keep_addresses(prepared, k);
}

/* ---- one question ---------------------------------------------------------------------------------------- */

static __attribute__((noinline)) void describe(struct inspecting *i, uint32_t *at, uint32_t *first,
                                               uint32_t *end)
{
    *at = packet_span(i->s, i->role, false, first, end);
    metadata_keep(i->s, i->role, false, *at, i->kept, i->prepared->metadata);
    if (*at == UINT32_MAX || !is_whole(i->s->packet) || !is_plain_layer(i->role))
        return;
    note_headers(i->s->packet, *at, *first, &i->kept->of);
    note_of(i->s, i->prepared, i->unknown, i->kept);
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
    return (s->walk != NULL || s->packet == NULL) && s->layer_data == NULL && s->turns == NULL &&
           role != LAYER_ST && room->level < room->inspecting_levels && !room->hears;
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
    const struct host_config *c = &room->host->config;

    room->inspecting_levels = !c->knobs.long_way && !c->knobs.shift_receive_offset &&
                                      (c->observer.classified == NULL || c->observer.decisions_only)
                                  ? KEPT_LEVELS
                                  : 0;
    for (unsigned n = 0; n < KEPT_LEVELS; n++) {
        struct inspecting *i = room->inside[n] = &room->inspecting[n];

        i->all = room->kept[n];
        i->flow.context = ale_flow_context;
        i->request.flow = &i->flow;
        i->request.complete = complete;
        i->request.complete_ctx = i;
        i->request.assumptions = c->assumptions;
        i->request.assumption_count = c->assumption_count;
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
    const struct told *t = tell_of(room, s);

    i->again = k != NULL && is_alike(k, t, s);
    if (i->again) {
        if (k->of.flow != t->flow)
            renew(i->prepared, s, t, k, room);
        i->kept = k;
        i->unknown = k->of_unknown;
        return true;
    }
    i->kept = values_keep(s, engine_layer_by_id(id), room, &i->unknown);
    return i->kept != NULL;
}

struct kept *inspect_stream_values(struct scene *s, UINT16 layer)
{
    struct scratch *room = s->lane->scratch;
    const struct prepared *prepared = &room->prepared[layer];
    struct kept *k = room->kept[room->level - 1][layer][scene_inbound(s)];
    const struct told *t = tell_of(room, s);
    UINT64 unknown;

    if (k != NULL && is_alike(k, t, s)) {
        if (k->of.flow != t->flow)
            renew(prepared, s, t, k, room);
        return k;
    }
    k = values_keep(s, engine_layer_by_id(layer), room, &unknown);
    if (k == NULL)
        return NULL;
    metadata_keep(s, LAYER_ST, false, UINT32_MAX, k, prepared->metadata);
    if (s->packet != NULL)
        note_of(s, prepared, unknown, k);
    return k;
}

/* The callout has no say: the answer is there already. */
static inline void look(struct inspecting *i, const struct plan *plan)
{
    struct engine_reader *reader = i->s->lane->reader;
    struct engine_inspection x;
    UINT64 context;

    if (!engine_inspection_begin(reader, &plan->inspector, &i->kept->values, &x))
        return;
    context = ale_flow_context_of(i->s, plan->layer, plan->inspector.callout);
    if (x.conditional && context == 0) {
        engine_inspection_end(reader, &x);
        return;
    }
    complete(i);
    engine_inspection_call(reader, &i->request, &x, context);
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
        look(i, plan);
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
