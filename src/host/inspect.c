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
 * A packet meets several layers one after the other. Where each of them has an inspection and nothing else they are asked in
 * one go (inspect_along()): the policy is pinned, the lane left and the scene compared once, and nothing is decided that
 * somebody would have to be told of. A callout may change the policy, or bring about a classification of another packet: then
 * the go is over, or the scene is compared anew.
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

/* Where a packet's headers stand, and their sizes, in two words. */
static inline void headers_of(const struct wire_packet *p, UINT64 where[2])
{
    where[0] = p->ip_at | (UINT64)p->transport_at << 32;
    where[1] = p->ip_header_size | (UINT64)p->transport_header_size << 16;
}

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
        if (t->others[i].number != 0 && memcmp(&t->others[i].word[TOLD_FLOW], &now.word[TOLD_FLOW],
                                               (TOLD_WORDS - TOLD_FLOW) * sizeof(now.word[0])) == 0)
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

/* Nothing of it is special but, perhaps, which flow it is of. */
static inline bool is_usual(const struct scene *s)
{
    return s->flow_id != 0 && !s->icmp && !s->loopback && s->packet != NULL;
}

/* Are the values, and the metadata but for the headers' sizes, those of a usual scene that differs in its flow at most? */
static inline bool is_of(const struct kept *k, UINT64 other, UINT64 among)
{
    return k->of.valid && k->of.other == other && k->among == among;
}

static inline bool is_alike(const struct kept *k, const struct told *t, const struct scene *s)
{
    return is_usual(s) && is_of(k, t->other, __atomic_load_n(&s->host->among, __ATOMIC_ACQUIRE));
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
    headers_of(p, o->where);
    o->at = at;
    o->first = first;
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
    UINT64 where[2];

    if (i->request.metadata != NULL)
        return;
    if (i->again && is_whole(p)) {
        headers_of(p, where);
        if (o->where[0] != where[0] || o->where[1] != where[1])
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

/* Of the scene, whatever is asked about it at such a layer; decides: who is asked has a say. */
static inline void prepare(struct inspecting *i, struct scene *s, enum host_layer role, bool decides)
{
    struct engine_request *q = &i->request;

    i->s = s;
    i->flow.ctx = s;
    q->classify_context = s->options != NULL            ? (const void *)s->options
                          : s->classify_context != NULL ? s->classify_context
                                                        : (const void *)s;
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
static inline bool get_values(struct inspecting *i, const struct scene *s, UINT16 id, const struct told *t,
                              struct scratch *room)
{
    struct kept *k = i->all[id][scene_inbound(s)];

    i->again = t != NULL && k != NULL && is_alike(k, t, s);
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

/* The callout has no say: the answer is there already. False: its filter does not hold, or it is not to be called. */
static inline bool look_begin(struct inspecting *i, const struct plan *plan, struct engine_inspection *x,
                              UINT64 *context)
{
    struct engine_reader *reader = i->s->lane->reader;

    if (!engine_inspection_begin(reader, &plan->inspector, &i->kept->values, x))
        return false;
    *context = ale_flow_context_of(i->s, plan->layer, plan->inspector.callout);
    if (__builtin_expect(x->conditional && *context == 0, 0)) {
        engine_inspection_end(reader, x);
        return false;
    }
    return true;
}

static inline void look(struct inspecting *i, const struct plan *plan)
{
    struct engine_inspection x;
    UINT64 context;

    if (!look_begin(i, plan, &x, &context))
        return;
    complete(i);
    engine_inspection_call(i->s->lane->reader, &i->request, &x, context);
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
    indicate_count(s, 1);
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

/* ---- several in one go ----------------------------------------------------------------------------------- */

/* What the questions of one go have in common, until somebody changes something. */
struct going {
    const struct told *told;
    UINT64 flow;              /* told's number then */
    UINT64 among, generation; /* the host's, the callouts' */
    UINT64 where[2];          /* headers_of() */
    uint32_t end;             /* packet_end() */
    bool usual;               /* the scene, and its packet is whole */
    struct kept *(*kept)[2];  /* the level's, by layer */
    const struct engine_snapshot *snapshot;
};

static inline void going_compare(struct going *g, const struct scene *s)
{
    g->told = tell_of(s->lane->scratch, s);
    g->flow = g->told->flow;
    g->usual = is_usual(s) && is_whole(s->packet);
    if (g->usual) {
        headers_of(s->packet, g->where);
        g->end = packet_end(s->packet);
    }
}

/* Does the layer ask an inspection and nobody else? Of the policy and the callouts that lane.busy is of. */
static __attribute__((noinline)) bool looks_at(struct scene *s, enum host_layer role, const struct plan *plan,
                                               const struct engine_snapshot *snapshot)
{
    struct lane *l = s->lane;
    const struct host_config *c = &s->host->config;

    if (!plan->inspects || !plan_stands(plan, c->engine, snapshot, plan->layer) ||
        (plan->tested != 0 && c->judge.judge != NULL))
        return false;
    l->looks[s->version == 6] |= 1u << role;
    return true;
}

/* The values of a usual scene, as they were for the one before but for what is the flow's. NULL: the general way. */
static inline struct kept *values_again(struct inspecting *i, const struct going *g, const struct plan *plan,
                                        struct scene *s)
{
    struct kept *k = g->kept[plan->layer][scene_inbound(s)];

    if (__builtin_expect(!g->usual || k == NULL || !is_of(k, g->told->other, g->among), 0))
        return NULL;
    i->kept = k;
    if (k->of.flow != g->flow)
        renew(plan->prepared, s, g->told, k, s->lane->scratch);
    return k;
}

/* One question. False: it is a case for indicate(), and nothing was done. */
static inline bool look_along(struct inspecting *i, const struct going *g, const struct plan *plan,
                              struct scene *s)
{
    struct engine_request *q = &i->request;
    struct engine_inspection x;
    UINT64 context;
    struct kept *k;

    i->prepared = plan->prepared;
    k = values_again(i, g, plan, s);
    if (__builtin_expect(k == NULL, 0)) {
        if (!get_values(i, s, plan->layer, g->told, s->lane->scratch))
            return false;
        prepare_one(i, i->role);
        look(i, plan);
        return true;
    }
    if (!look_begin(i, plan, &x, &context))
        return true;
    if (k->of.where[0] != g->where[0] || k->of.where[1] != g->where[1])
        place(i);
    q->values = &k->values;
    q->metadata = &k->metadata;
    q->layer_data = i->list = walk_show(s, k->of.first, k->of.at, g->end);
    engine_inspection_call(s->lane->reader, q, &x, context);
    return true;
}

/* A callout may have done anything. */
static inline bool is_over(const struct going *g, const struct scene *s)
{
    const struct engine *e = s->host->config.engine;

    return engine_version(e) != engine_snapshot_version(g->snapshot) ||
           engine_callout_generation(e) != g->generation ||
           __atomic_load_n(&s->host->among, __ATOMIC_ACQUIRE) != g->among;
}

unsigned inspect_along(struct scene *s, const UINT8 *roles, unsigned from, unsigned to)
{
    struct lane *l = s->lane;
    struct scratch *room = l->scratch;
    const unsigned six = s->version == 6;
    struct going g = {.among = l->busy_among, .generation = l->busy_generation};
    unsigned n = from, asked = 0;
    struct inspecting *i;
    bool stayed;

    if (!is_common(s, (enum host_layer)roles[from], room) || engine_observes_permits(s->host->config.engine))
        return from;
    g.snapshot = engine_pin(l->reader);
    if (__builtin_expect(is_over(&g, s), 0)) { /* newer than lane.busy */
        engine_unpin(l->reader);
        return from;
    }
    i = room->inside[room->level++];
    g.kept = i->all;
    stayed = lane_rest(l);
    prepare(i, s, (enum host_layer)roles[from], false);
    going_compare(&g, s);
    for (; n < to; n++) {
        const enum host_layer role = (enum host_layer)roles[n];
        const struct plan *plan;

        if ((l->busy[six] >> role & 1) == 0)
            continue;
        plan = &room->plan[layer_id(role, s->version)];
        if (__builtin_expect((l->looks[six] >> role & 1) == 0, 0) && !looks_at(s, role, plan, g.snapshot))
            break;
        if (__builtin_expect(g.told->flow != g.flow, 0)) /* another packet has been asked about meanwhile */
            going_compare(&g, s);
        i->role = role;
        if (!look_along(i, &g, plan, s))
            break;
        asked++;
        if (__builtin_expect(s->hold.listed, 0)) /* flows' contexts wait for each classify to be back */
            ale_classified(s);
        if (__builtin_expect(is_over(&g, s), 0)) {
            n++;
            break;
        }
    }
    ale_classified(s);
    indicate_count(s, asked);
    room->level--;
    lane_back(l, stayed);
    engine_unpin(l->reader);
    return n;
}
