/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inspect: the common case of a classification in one go.
 *
 *   indicate(): the layer's only filter asks a callout of ours --> inspect() --no: something is special--> classify_at()
 *                                                                     |
 *        values of the lane's own -> engine -> the filter matches: metadata, the packet -> classifyFn -> answer
 *
 * An inspection's answer is known before (engine/inspection.c); other callouts go through the engine's arbitration. Those of
 * layers that follow each other are asked in one go: inspect_along.c.
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
#include <string.h>

#include "host/ale_inside.h"
#include "host/inspect_inside.h"
#include "host/kept.h"
#include "host/walk.h"

/* ---- the same again, or of another flow ------------------------------------------------------------------ */

/* The number of what is not the flow's. */
static UINT64 number_of_other(struct told *t)
{
    struct told_other now = {.among = t->among}, *o;

    for (unsigned i = TOLD_FLOW; i < TOLD_WORDS; i++)
        now.word[i] = i == TOLD_OTHER ? 0 : t->word[i];
    for (unsigned i = 0; i < TOLD_OTHERS; i++)
        if (t->others[i].number != 0 && t->others[i].among == now.among &&
            memcmp(&t->others[i].word[TOLD_FLOW], &now.word[TOLD_FLOW],
                   (TOLD_WORDS - TOLD_FLOW) * sizeof(now.word[0])) == 0)
            return t->others[i].number;
    o = &t->others[t->oldest++ % TOLD_OTHERS];
    *o = now;
    return o->number = ++t->numbers;
}

__attribute__((noinline)) void inspect_number(struct told *t, const struct scene *s)
{
    const struct host_endpoint *e = s->endpoint;
    const UINT64 *now = (const UINT64 *)&s->local;
    const UINT64 among = __atomic_load_n(&s->host->among, __ATOMIC_ACQUIRE);
    UINT64 other = (t->other == 0) | (t->among ^ among);

    for (unsigned i = 0; i < TOLD_WORDS; i++) {
        UINT64 word = now[i];

        __asm__("" : "+r"(word)); /* one by one: wider loads would wait for what was just stored in parts */
        if (i >= TOLD_FLOW && i != TOLD_OTHER)
            other |= t->word[i] ^ word;
        t->word[i] = word;
    }
    t->among = among;
    t->endpoint_id = e != NULL ? e->id : 0;
    t->endpoint_bits = e != NULL ? endpoint_bits(e) : 0;
    t->flow = ++t->numbers;
    if (other != 0)
        t->other = number_of_other(t);
}

static inline bool is_alike(const struct kept *k, const struct told *t, const struct scene *s)
{
    return is_usual(s) && k->of.other == t->other;
}

static __attribute__((noinline)) void renew(const struct prepared *prepared, const struct scene *s,
                                            struct told *t, struct kept *k, struct scratch *room)
{
    kept_renew(k, prepared, s, kept_flow_of(s, t->flow, kept_types(prepared), room, t));
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
    o->where = headers_of(p);
    o->at = at;
    o->first = first;
}

/* They are of this scene, and may be those of the next one: of layers that show nothing but tuple, flow and interfaces. */
static void note_of(const struct scene *s, const struct prepared *prepared, UINT64 unknown, struct kept *k)
{
    const struct told *t;

    if (s->reauthorize != 0 || s->shown != NULL || s->icmp || s->any_remote || s->interface == NULL ||
        (prepared->of_profile != 0 && k->again) || !k->plain || prepared->each != 0 ||
        prepared->of_owner != 0 || prepared->placed_late || (prepared->metadata & OF_SOME) != 0)
        return;
    t = tell_of(s->lane->scratch, s);
    if (k->among != t->among) /* they were filled before that */
        return;
    k->of_unknown = unknown;
    k->of.flow = t->flow;
    k->of.other = t->other;
    kept_flow_follows(s, prepared, k);
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

void inspect_place(const struct scene *s, enum host_layer role, const struct prepared *prepared,
                   struct kept *k, struct kept_placed *p)
{
    uint32_t end;

    p->at = packet_span(s, role, false, &p->first, &end);
    metadata_place(s, role, p->at, k, prepared->metadata);
    p->where = headers_of(s->packet);
    p->ip_header = k->metadata.ipHeaderSize;
    p->transport_header = k->metadata.transportHeaderSize;
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
    if (__builtin_expect(i->again && is_whole(p), 1)) {
        if (o->where != headers_of(p))
            inspect_moved(i->s, i->role, i->prepared, i->kept, headers_of(p));
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

/* Of the scene, whatever is asked about it at such a layer; decides: who is asked has a say. */
static inline void prepare(struct inspecting *i, struct scene *s, enum host_layer role, bool decides)
{
    struct engine_request *q = &i->request;

    i->s = s;
    i->flow.ctx = s;
    q->classify_context = scene_classify_context(s);
    q->pended = s->pended;
    q->cache = decides ? indicate_cache(s, role, false) : NULL;
    q->irql = role >= LAYER_RES && role <= LAYER_BR ? indicate_irql(s, role, false) : DISPATCH_LEVEL;
}

/* The question at this layer. */
static inline void prepare_one(struct inspecting *i, enum host_layer role)
{
    i->role = role;
    i->list = NULL;
    i->request.values = &i->kept->values;
    i->request.metadata = NULL;
    i->request.layer_data = NULL;
}

/* The values at this level, of a scene with these numbers; NULL: of a layer that is asked once a flow. False: out of memory. */
static inline bool get_values(struct inspecting *i, const struct scene *s, UINT16 id, struct told *t,
                              struct scratch *room)
{
    struct kept *k = i->all[id][scene_inbound(s)];

    i->again = t != NULL && __builtin_expect(k != NULL && is_alike(k, t, s), 1);
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
    struct told *t = tell_of(room, s);
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

    if (__builtin_expect(!engine_inspection_begin(reader, &plan->inspector, &i->kept->values, &x), 0))
        return; /* its filter does not hold, or it is registered no longer */
    context = ale_flow_context_of(i->s, plan->layer, plan->inspector.callout);
    if (__builtin_expect(x.conditional && context == 0, 0)) {
        engine_inspection_end(reader, &x);
        return;
    }
    complete(i);
    engine_inspection_call(reader, &i->request, &x, context);
}

bool inspect_one(struct scene *s, enum host_layer role, const struct plan *plan)
{
    struct scratch *room = s->lane->scratch;
    struct inspecting *i = room->inside[room->level - 1];

    i->prepared = plan->prepared;
    if (!get_values(i, s, plan->layer, tell_of(room, s), room))
        return false;
    prepare(i, s, role, false);
    prepare_one(i, role);
    look(i, plan);
    return true;
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

    if (role == LAYER_ST || !is_common(s, room))
        return false;
    snapshot = engine_pin(s->lane->reader);
    i = room->inside[room->level++];
    i->prepared = plan->prepared;
    if (__builtin_expect(!plan_stands(plan, c->engine, snapshot, id) ||
                             !get_values(i, s, id, is_plain_layer(role) ? tell_of(room, s) : NULL, room) ||
                             ((i->unknown & plan->tested) != 0 && c->judge.judge != NULL),
                         0)) {
        room->level--;
        engine_unpin(s->lane->reader);
        return false;
    }
    inspects = plan->inspects && !engine_observes_permits(c->engine);
    stayed = lane_rest(s->lane);
    prepare(i, s, role, !inspects);
    prepare_one(i, role);
    host_count_classified(s, 1);
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
