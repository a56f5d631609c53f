/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One classification, from a scene to an answer.
 *
 *   indicate() -> pin -> the layer's plan (scratch.c) -> nothing there, nobody listens: done
 *     |
 *     +--> answered before, to a question that differs in nothing (recall.c) -> its inspections, if it has any: meet_again()
 *     +--> else question(): the tested values -> engine, or the judge where an unknown one is tested -> observer
 *     |                                            |
 *     |      a callout or an observer is about to see it: complete(): the other values, metadata, the packet at its offset
 *     +--> blocked: the same again at the layer's discard layer, if it has one (ORD-17)
 *
 * What stands on this stack is of one classification; what must outlive a return into the host (the packet's
 * list) is in the lane's scratch, a level for each classification under way. No lane is held here.
 */
#include <string.h>

#include "host/recall.h"
#include "host/stream_inside.h"
#include "host/walk.h"

/* ---- one question ---------------------------------------------------------------------------------------
 */

/* A classification under way. */
struct asking {
    struct scene *s;
    struct scratch *room;
    const struct engine_layer *layer;
    const struct plan *plan;            /* until a callout may have been asked: it may change the policy */
    UINT64 version, generation, tested; /* as the plan was */
    UINT32 count;
    bool ours;
    enum host_layer role;
    bool discard, complete;
    UINT64 filled, unknown; /* fields */
    bool listening;         /* only the observer is going to look */
    bool judged;
    NET_BUFFER_LIST *list;
    struct ndis_frame *stream_frame; /* NULL: none */
    struct ndis_packet *packet;      /* room for the list; NULL: none left */
    struct engine_request request;
    struct engine_flow flow;
    struct engine_met met;
    struct kept *kept; /* has values and metadata; NULL: they are below */
    FWPS_INCOMING_VALUES0 values;
    FWPS_STREAM_CALLOUT_IO_PACKET0 stream_io;
    FWPS_STREAM_DATA0 stream_data;
    FWPS_INCOMING_METADATA_VALUES0 metadata;
    FWPS_INCOMING_VALUE0 value[ENGINE_MAX_FIELDS];
};

static void fill_values(struct asking *a, UINT64 want)
{
    want &= ~a->filled;
    if (want == 0)
        return;
    a->unknown |= values_fill(a->s, a->layer, want, a->value, a->room);
    a->filled |= want;
}

/* A callout of ours may look: all at once, where this level has room for it. */
static void keep_values(struct asking *a)
{
    a->kept = values_keep(a->s, a->layer, a->room, &a->unknown);
    if (a->kept == NULL)
        return;
    a->filled = a->room->prepared[a->layer->id].all;
    a->request.values = &a->kept->values;
}

/* Callouts get bytes of their own, which they may keep; who only listens looks at the capture's. */
static bool shown_to_callouts(const struct asking *a)
{
    return a->ours && !a->listening && a->s->walk != NULL;
}

/* STR: the stream layer shows its bytes through a structure of its own. */
static void *show_stream(struct asking *a)
{
    const struct scene *s = a->s;
    NET_BUFFER *nb;

    if (s->stream != NULL && s->stream_size != 0 && shown_to_callouts(a)) {
        a->stream_frame = ndis_frame_take(s->host->frames, s->stream, s->stream_size, 0);
        if (a->stream_frame != NULL)
            a->list = ndis_frame_show(a->stream_frame, 0, 0, s->stream_size, s->host->config.knobs.split_mdl);
    } else if (s->stream != NULL && s->stream_size != 0 && a->packet != NULL)
        a->list = ndis_packet_show(a->packet, (uint8_t *)s->stream, s->stream_size, 0,
                                   s->host->config.knobs.split_mdl);
    a->stream_data = (FWPS_STREAM_DATA0){.flags = s->stream_flags, .netBufferListChain = a->list};
    if (a->list != NULL) {
        nb = a->list->FirstNetBuffer;
        a->stream_data.dataLength = nb->DataLength;
        a->stream_data.dataOffset = (FWPS_STREAM_DATA_OFFSET0){.netBufferList = a->list,
                                                               .netBuffer = nb,
                                                               .mdl = nb->CurrentMdl,
                                                               .mdlOffset = nb->CurrentMdlOffset};
    }
    a->stream_io = (FWPS_STREAM_CALLOUT_IO_PACKET0){.streamData = &a->stream_data};
    return &a->stream_io;
}

static void *show_packet(struct asking *a, uint32_t first, uint32_t at, uint32_t end)
{
    const struct scene *s = a->s;

    if (at == UINT32_MAX)
        return NULL;
    if (shown_to_callouts(a))
        return a->list = walk_show(a->s, first, at, end);
    if (a->packet == NULL)
        return NULL;
    a->list = ndis_packet_show(a->packet, (uint8_t *)s->packet->frame + first, end - first, at - first,
                               s->host->config.knobs.split_mdl);
    return a->list;
}

/* engine_request.complete: somebody looks. */
static void complete(void *ctx)
{
    struct asking *a = ctx;
    uint32_t at, first, end;

    if (a->complete)
        return;
    a->complete = true;
    at = packet_span(a->s, a->role, a->discard, &first, &end);
    fill_values(a, a->room->prepared[a->layer->id].all);
    if (a->kept != NULL) {
        metadata_keep(a->s, a->role, a->discard, at, a->kept, a->room->prepared[a->layer->id].metadata);
        a->request.metadata = &a->kept->metadata;
    } else {
        metadata_fill(a->s, a->role, a->discard, at, &a->metadata);
        a->request.metadata = &a->metadata;
    }
    if (a->role == LAYER_FW && !a->discard)
        a->list = a->s->layer_data; /* a group's chain */
    a->request.layer_data = a->s->layer_data != NULL && !(a->role == LAYER_FW && a->discard)
                                ? a->s->layer_data
                            : a->role == LAYER_ST ? show_stream(a)
                                                  : show_packet(a, first, at, end);
}

static bool has_owner_fields(enum host_layer role)
{
    return role >= LAYER_RES && role <= LAYER_BR;
}

/* IRQL-01: what a packet reaches, and what a socket call does. A completion's classify runs at its caller's.
 */
KIRQL indicate_irql(const struct scene *s, enum host_layer role, bool discard)
{
    switch (role) {
    case LAYER_RES:
    case LAYER_LIS:
    case LAYER_CR:
    case LAYER_BR:
    case LAYER_EC:
    case LAYER_RR:
        return PASSIVE_LEVEL;
    case LAYER_AC:
        return packet_offset(s, role, discard) != UINT32_MAX ? DISPATCH_LEVEL : PASSIVE_LEVEL;
    default:
        return DISPATCH_LEVEL;
    }
}

/* The caches are the lane's worker's; a visitor does without. */
struct engine_class_cache *indicate_cache(const struct scene *s, enum host_layer role, bool discard)
{
    if (!has_owner_fields(role) || discard || s->lane != &s->host->lanes[0] || s->endpoint == NULL ||
        s->endpoint->party == NULL || s->endpoint->proxied)
        return NULL;
    return &s->endpoint->party->caches[role][s->version == 6];
}

static void prepare_request(struct asking *a)
{
    struct scene *s = a->s;
    struct engine_request *q = &a->request;

    a->values.layerId = a->layer->id;
    a->values.valueCount = a->layer->field_count;
    a->values.incomingValue = a->value;
    a->flow.ctx = s;
    a->flow.context = ale_flow_context;
    /* One by one: where GCC clears it whole (rep stos), that costs more than all the rest. */
    q->values = &a->values;
    q->metadata = NULL;
    q->layer_data = NULL;
    q->classify_context = scene_classify_context(s);
    q->turns = s->turns;
    q->met = NULL;
    q->flow = &a->flow;
    q->pended = s->pended;
    q->cache = indicate_cache(s, a->role, a->discard);
    q->trace = NULL;
    q->assumptions = s->host->config.assumptions;
    q->assumption_count = s->host->config.assumption_count;
    q->supposed = false;
    q->complete = complete;
    q->complete_ctx = a;
    q->irql = indicate_irql(s, a->role, a->discard);
}

/* Could a foreign callout be asked? Only its filter's conditions can say no. */
static bool meets_foreign(const struct asking *a)
{
    bool known[ENGINE_MAX_FIELDS];

    if (a->plan->many)
        return true;
    if (a->plan->foreign_count == 0)
        return false;
    for (unsigned i = 0; i < a->layer->field_count; i++)
        known[i] = (a->unknown >> i & 1) == 0;
    for (unsigned i = 0; i < a->plan->foreign_count; i++)
        if (engine_filter_match3(a->plan->foreign[i], a->request.values->incomingValue, known) !=
            ENGINE_MATCH_NO)
            return true;
    return false;
}

/* False: out of memory, or the like. */
static bool ask(struct asking *a, const struct engine_snapshot *snapshot, struct host_answer *answer)
{
    struct host *h = a->s->host;
    struct engine_reader *reader = a->s->lane->reader;
    NTSTATUS status;

    if (a->ours && a->room->level <= KEPT_LEVELS)
        keep_values(a);
    fill_values(a, a->tested);
    host_count_classified(a->s, 1);
    if (h->config.judge.judge != NULL && ((a->unknown & a->tested) != 0 || meets_foreign(a))) {
        struct host_question q = {.layer = a->layer,
                                  .snapshot = snapshot,
                                  .request = &a->request,
                                  .tested = a->tested,
                                  .unknown = a->unknown};

        __atomic_fetch_add(&h->counts.asked_judge, 1, __ATOMIC_RELAXED);
        a->judged = true;
        status = h->config.judge.judge(h->config.judge.ctx, reader, &q, answer);
    } else {
        status = engine_classify_pinned(reader, snapshot, &a->request, &answer->verdict);
    }
    ale_classified(a->s);
    if (!NT_SUCCESS(status)) /* fails closed; what is left is lack of memory */
        answer->verdict = (struct engine_verdict){.action = FWP_ACTION_BLOCK};
    return NT_SUCCESS(status);
}

/*
 * Where no filter tests anything and nobody of ours is asked, the first answer is everybody's until the
 * policy changes. Only a permit: a block is logged each time; and none that somebody wants to hear of (AUD).
 */
static void settle(const struct asking *a, const struct host_answer *answer)
{
    struct plan *plan = &a->room->plan[a->layer->id];

    if (plan->tested != 0 || plan->ours || plan->version != a->version || plan->generation != a->generation ||
        answer->verdict.action != FWP_ACTION_PERMIT || engine_observes_permits(a->s->host->config.engine))
        return;
    plan->answer = *answer;
    plan->answer.verdict.filter = NULL; /* pinned no longer than this classification */
    if (answer->depends_on_callout != NULL) {
        plan->callout = *answer->depends_on_callout;
        plan->answer.depends_on_callout = &plan->callout;
    }
    plan->settled = true;
}

enum host_cause indicate_cause(const struct scene *s, enum host_layer role, bool discard)
{
    if (discard)
        return HOST_CAUSE_DISCARD;
    if (role == LAYER_EC || role == LAYER_RR)
        return HOST_CAUSE_CLOSE;
    return s->reauthorize != 0 ? HOST_CAUSE_REAUTHORIZE : HOST_CAUSE_INITIAL;
}

struct host_event indicate_event(struct scene *s, const struct engine_layer *layer,
                                 const struct host_answer *answer)
{
    const struct host_endpoint *e = s->endpoint;

    return (struct host_event){
        .number = rt_add(&s->host->next_event, 1, __ATOMIC_RELAXED),
        .frame = s->frame,
        .time_ns = s->time_ns,
        .layer = layer,
        .answer = answer,
        .flow_id = s->flow_id,
        .endpoint_id = e != NULL ? e->id : 0,
        .parent_id = e != NULL && e->parent != NULL ? e->parent->id : 0,
        .packet_direction = s->packet_direction,
    };
}

static void tell(struct asking *a, const struct host_answer *answer)
{
    struct host *h = a->s->host;
    struct host_event event = indicate_event(a->s, a->layer, answer);

    event.cause = indicate_cause(a->s, a->role, a->discard);
    event.request = &a->request;
    event.empty = a->count == 0;
    a->listening = true;
    if (!h->config.observer.decisions_only)
        complete(a);
    event.unknown = a->unknown;
    event.packet = a->list;
    h->config.observer.classified(h->config.observer.ctx, &event);
}

/*
 * PKT-11: what the stack does to a received packet that somebody kept. Windows goes on with a datagram that was refused at
 * RA, for its audit, and leaves it at its transport header; not with one that is pended. Drivers that work on it later
 * count on that, or compare.
 */
static void shift_receive_offset(const struct asking *a, const struct host_answer *answer)
{
    const struct scene *s = a->s;

    if (a->role != LAYER_RA || a->discard || a->list == NULL || !scene_inbound(s))
        return;
    if (s->host->config.knobs.shift_receive_offset ||
        (answer->verdict.action == FWP_ACTION_BLOCK && s->protocol == WIRE_PROTOCOL_UDP &&
         (s->pended == NULL || !*s->pended) && (s->endpoint == NULL || !s->endpoint->raw)))
        ndis_packet_retreat(a->list, a->request.metadata->transportHeaderSize);
}

static bool observed(const struct host *h, enum host_layer role, const struct plan *plan)
{
    if (h->config.observer.classified == NULL)
        return false;
    if (h->config.observer.decisions_only)
        return plan->count != 0 || role == LAYER_AC || role == LAYER_RA;
    return plan->count != 0 || role < LAYER_MAC_IN || h->config.knobs.l2_layers;
}

bool indicate_matters(const struct host *h, enum host_layer role, const struct host_answer *answer)
{
    return !h->config.observer.decisions_only || answer->depends || indicate_decides(role, &answer->verdict);
}

static bool of_interest(const struct asking *a, const struct host_answer *answer)
{
    return indicate_matters(a->s->host, a->role, answer);
}

/* Whose block it was; 0: no callout's. */
static UINT32 blocker(const struct engine_filter *f)
{
    const FWPS_ACTION0 *action = f != NULL ? &engine_filter_fwps(f)->action : NULL;

    return action != NULL && action->type & FWP_ACTION_FLAG_CALLOUT ? action->calloutId : 0;
}

void indicate_answered(struct scene *s, struct answer *out)
{
    const struct engine_filter *f = out->verdict.filter;

    out->verdict.filter = NULL; /* it is the policy's, which is unpinned soon */
    out->filter_id = out->verdict.filter_id;
    out->blocked = out->verdict.action == FWP_ACTION_BLOCK;
    if (__builtin_expect(!out->blocked, 1))
        return;
    out->callout = blocker(f);
    out->absorbed = (out->verdict.flags & ENGINE_VERDICT_ABSORB) != 0;
    if (out->absorbed && s->walk != NULL && (s->host->again != NULL || s->walk->history != NULL)) {
        s->walk->taken = true; /* again_taken() has something to note */
        s->walk->taker = engine_filter_driver(s->host->config.engine, f);
    }
}

static void asking_begin(struct asking *a, struct scene *s, const struct plan *plan, enum host_layer role,
                         UINT16 layer, bool discard)
{
    struct scratch *room = s->lane->scratch;

    a->s = s;
    a->room = room;
    a->layer = engine_layer_by_id(layer);
    a->plan = plan;
    a->version = plan->version;
    a->generation = plan->generation;
    a->tested = plan->tested;
    a->count = plan->count;
    a->ours = plan->ours;
    a->role = role;
    a->discard = discard;
    a->complete = a->listening = a->judged = false;
    a->stream_frame = NULL;
    a->kept = NULL;
    a->filled = a->unknown = 0;
    a->list = NULL;
    a->packet = room->level < LEVELS ? room->packets[room->level] : NULL;
    prepare_request(a);
}

static void keep(const struct asking *a, const struct recall_key *key, const struct host_answer *answer)
{
    const struct recall_question q = {.layer = a->layer->id,
                                      .judged = a->judged,
                                      .version = a->version,
                                      .generation = a->generation,
                                      .callout = blocker(answer->verdict.filter),
                                      .unknown = a->unknown,
                                      .met = &a->met};

    recall_keep(a->s, key, &q, answer);
}

/* Not inlined: the way past an empty layer needs none of this stack. */
static __attribute__((noinline)) void question(struct scene *s, const struct engine_snapshot *snapshot,
                                               const struct plan *plan, bool discard, bool listens,
                                               const struct recall_key *key, struct answer *out)
{
    struct scratch *room = s->lane->scratch;
    struct host_answer answer = {.verdict = {.action = FWP_ACTION_PERMIT,
                                             .rights = FWPS_RIGHT_ACTION_WRITE,
                                             .flags = ENGINE_VERDICT_IMPLICIT}};
    const bool stayed = lane_rest(s->lane);
    struct asking a; /* 2 KiB of values, metadata: written as far as needed */

    asking_begin(&a, s, plan, out->role, out->layer, discard);
    room->level++;
    if (a.count != 0) {
        if (key->context != 0) {
            a.met.count = a.met.decide = 0;
            a.request.met = &a.met;
        }
        if (ask(&a, snapshot, &answer) && key->context != 0)
            keep(&a, key, &answer);
        settle(&a, &answer);
    }
    if (__builtin_expect(room->hears, 0))
        indicate_hear(s, a.tested, a.complete,
                      &(struct heard){.layer = out->layer,
                                      .discard = discard,
                                      .empty = a.count == 0,
                                      .judged = a.judged,
                                      .told = listens && of_interest(&a, &answer),
                                      .unknown = a.unknown,
                                      .answer = answer});
    if (listens && of_interest(&a, &answer))
        tell(&a, &answer);
    shift_receive_offset(&a, &answer);
    if (a.stream_frame != NULL)
        (void)ndis_frame_done(a.stream_frame);
    room->level--;
    lane_back(s->lane, stayed);

    out->verdict = answer.verdict;
    out->depends = answer.depends;
    indicate_answered(s, out);
}

/* ---- an answer that is known, of inspections that are to be called all the same */

struct meeting_again {
    struct asking *a;
    const struct recalled *known;
    const FWPS_INCOMING_VALUES0 *plain; /* as they are; those below with what is supposed */
    FWPS_INCOMING_VALUES0 values;
    FWPS_INCOMING_VALUE0 value[ENGINE_MAX_FIELDS];
};

/* engine_request.complete, before each inspection: as the judge's, they see what it supposes, unless it has forgotten it
 * meanwhile: the one before may have changed the policy, and asked by it. */
static void complete_supposed(void *ctx)
{
    struct meeting_again *m = ctx;
    const struct host_answer *answer = &m->known->answer;
    const bool first = !m->a->complete;

    complete(m->a);
    if (answer->supposed == 0)
        return;
    if (recalled_is_forgotten(m->a->s, m->known))
        m->a->request.values = m->plain;
    else if (first) {
        host_suppose(m->plain, answer->supposed, answer->supposed_values, &m->values, m->value);
        m->a->request.values = &m->values;
    }
}

static __attribute__((noinline)) void meet_again(struct scene *s, const struct plan *plan,
                                                 const struct recalled *given, bool discard, bool listens,
                                                 struct answer *out)
{
    struct scratch *room = s->lane->scratch;
    const bool stayed = lane_rest(s->lane);
    struct recalled known; /* a callout may bring about others */
    struct meeting_again m;
    struct asking a;

    recalled_copy(&known, given);
    asking_begin(&a, s, plan, out->role, out->layer, discard);
    m.a = &a;
    m.known = &known;
    a.request.complete = complete_supposed;
    a.request.complete_ctx = &m;
    room->level++;
    if (room->level <= KEPT_LEVELS)
        keep_values(&a);
    m.plain = a.request.values;
    for (UINT32 i = 0; i < known.met_count; i++)
        engine_meet_again(s->lane->reader, &a.request, &known.met[i]);
    ale_classified(s);
    indicate_answer_recalled(s, a.tested, &known, discard, listens, out);
    shift_receive_offset(&a, &known.answer);
    if (a.stream_frame != NULL)
        (void)ndis_frame_done(a.stream_frame);
    room->level--;
    lane_back(s->lane, stayed);
}

/* May an answer be one that was given before? Who looks at all values hears each time what they are. */
static bool may_recall(const struct scene *s, const struct plan *plan, bool listens)
{
    const struct host_config *c = &s->host->config;

    return s->reauthorize == 0 && s->turns == NULL && !plan->alone && s->lane == &s->host->lanes[0] &&
           (!listens || c->observer.decisions_only) && !c->knobs.long_way;
}

static void classify_at(struct scene *s, enum host_layer role, UINT16 id, bool discard, struct answer *out)
{
    struct scratch *room = s->lane->scratch;
    const struct engine_snapshot *snapshot = engine_pin(s->lane->reader);
    const struct plan *plan = plan_of(room, snapshot, id);
    bool listens = observed(s->host, role, plan);
    const struct recalled *known;
    struct recall_key key = {0};

    *out = (struct answer){.empty = plan->count == 0, .role = role, .layer = id};
    if (plan->count == 0 && !listens) {
        out->verdict.action = FWP_ACTION_PERMIT;
        out->verdict.rights = FWPS_RIGHT_ACTION_WRITE;
        out->verdict.flags = ENGINE_VERDICT_IMPLICIT;
    } else if (plan->settled && !discard && !has_owner_fields(role) &&
               (!listens || s->host->config.observer.decisions_only)) {
        indicate_answer_settled(s, plan, listens, out);
    } else if (plan->count != 0 && may_recall(s, plan, listens) &&
               (known = recall_find(s, snapshot, plan, id, false, &key)) != NULL) {
        if (known->met_count == 0)
            indicate_answer_recalled(s, plan->tested, known, discard, listens, out);
        else
            meet_again(s, plan, known, discard, listens, out);
    } else {
        question(s, snapshot, plan, discard, listens, &key, out);
    }
    out->settled = plan->settled && !discard && !has_owner_fields(role) &&
                   (!listens || s->host->config.observer.decisions_only);
    out->steady = plan->steady && !out->blocked && !out->depends && s->flags == 0 && s->reauthorize == 0 &&
                  !s->loopback && !engine_observes_permits(s->host->config.engine);
    engine_unpin(s->lane->reader);
}

/* ---- the stream layer's stages ----------------------------------------------------------------------------
 */

bool indicate_stream_asks(struct scene *s)
{
    const UINT16 id = layer_id(LAYER_ST, s->version);
    const struct engine_snapshot *snapshot = engine_pin(s->lane->reader);
    const bool asks = plan_of(s->lane->scratch, snapshot, id)->ours;

    engine_unpin(s->lane->reader);
    return asks;
}

void indicate_stream(struct scene *s,
                     bool (*fn)(void *ctx, const struct stream_question *q, struct host_answer *a), void *ctx)
{
    struct scratch *room = s->lane->scratch;
    const UINT16 id = layer_id(LAYER_ST, s->version);
    const bool stayed = lane_rest(s->lane);
    const struct engine_snapshot *snapshot = engine_pin(s->lane->reader);
    const struct plan *plan = plan_of(room, snapshot, id);
    const bool listens = observed(s->host, LAYER_ST, plan);
    struct host_answer answer = {.verdict = {.action = FWP_ACTION_PERMIT,
                                             .rights = FWPS_RIGHT_ACTION_WRITE,
                                             .flags = ENGINE_VERDICT_IMPLICIT}};
    struct stream_question q = {.snapshot = snapshot};
    struct asking a;

    asking_begin(&a, s, plan, LAYER_ST, id, false);
    room->level++;
    if (room->level <= KEPT_LEVELS)
        keep_values(&a);
    fill_values(&a, room->prepared[id].all);
    a.s->layer_data = NULL;
    a.complete = true;
    if (a.kept != NULL) {
        metadata_keep(s, LAYER_ST, false, UINT32_MAX, a.kept, room->prepared[id].metadata);
        a.request.metadata = &a.kept->metadata;
    } else {
        metadata_fill(s, LAYER_ST, false, UINT32_MAX, &a.metadata);
        a.request.metadata = &a.metadata;
    }
    q.request = &a.request;
    q.unknown = a.unknown;
    if (fn(ctx, &q, &answer) && listens && of_interest(&a, &answer))
        tell(&a, &answer);
    room->level--;
    engine_unpin(s->lane->reader);
    lane_back(s->lane, stayed);
}

/* ---- the doors ------------------------------------------------------------------------------------------
 */

/* The scene at the discard layer; then it is as it was. */
static bool at_discard_layer(struct scene *s, enum host_layer role, FWPS_DISCARD_MODULE0 module,
                             UINT32 reason, UINT64 filter_id)
{
    UINT16 id = layer_discard_id(role, s->version);
    FWPS_DISCARD_MODULE0 module_before = s->discard_module;
    UINT32 reason_before = s->discard_reason;
    struct answer a;

    if (id >= ENGINE_LAYER_COUNT)
        return false;
    s->discard_module = module;
    s->discard_reason = reason;
    s->discard_filter_id = filter_id;
    classify_at(s, role, id, true, &a);
    s->discard_module = module_before;
    s->discard_reason = reason_before;
    s->discard_filter_id = 0;
    return a.blocked;
}

static __attribute__((noinline)) void discard_by_policy(struct scene *s, enum host_layer role,
                                                        const struct answer *a)
{
    uint32_t stopped_before = s->stopped_at;

    if (role == LAYER_II || role == LAYER_OI) /* the stack got as far as the layer itself */
        s->stopped_at = packet_offset(s, role, false);
    at_discard_layer(s, role, FWPS_DISCARD_MODULE_GENERAL, FWPS_DISCARD_FIREWALL_POLICY, a->filter_id);
    s->stopped_at = stopped_before;
}

bool indicate(struct scene *s, enum host_layer role, struct answer *out)
{
    const UINT16 id = layer_id(role, s->version);
    const struct plan *plan = &s->lane->scratch->plan[id];

    if (!plan->alone || !inspect(s, role, plan, out))
        classify_at(s, role, id, false, out);
    if (__builtin_expect(out->blocked && !out->absorbed, 0)) /* pended or not: PEND-10, 11 */
        discard_by_policy(s, role, out);
    return out->blocked;
}

bool indicate_alone(struct scene *s, enum host_layer role, UINT64 *filter_id, struct answer *out)
{
    const struct plan *plan =
        plan_of(s->lane->scratch, engine_pin(s->lane->reader), layer_id(role, s->version));

    engine_unpin(s->lane->reader);
    *filter_id = plan->only; /* good if the plan is: inspect() sees to that */
    if (!plan->alone || !inspect(s, role, plan, out))
        return false;
    if (out->blocked && !out->absorbed)
        discard_by_policy(s, role, out);
    return true;
}

const struct recalled *indicate_recalls(struct scene *s, enum host_layer role)
{
    const UINT16 id = layer_id(role, s->version), discard = layer_discard_id(role, s->version);
    const struct engine_snapshot *snapshot = engine_pin(s->lane->reader);
    struct scratch *room = s->lane->scratch;
    const struct plan *plan = plan_of(room, snapshot, id);
    const struct recalled *known = NULL;
    struct recall_key key;

    if (plan->count != 0 && may_recall(s, plan, observed(s->host, role, plan)))
        known = recall_find(s, snapshot, plan, id, true, &key);
    if (known != NULL && known->answer.verdict.action == FWP_ACTION_BLOCK && discard < ENGINE_LAYER_COUNT &&
        plan_of(room, snapshot, discard)->ours)
        known = NULL;
    engine_unpin(s->lane->reader);
    return known;
}

bool indicate_known(struct scene *s, enum host_layer role, const struct recalled *known, struct answer *out)
{
    const UINT16 id = layer_id(role, s->version);
    const struct plan *plan = &s->lane->scratch->plan[id];

    *out = (struct answer){.role = role, .layer = id};
    indicate_answer_recalled(s, plan->tested, known, false, observed(s->host, role, plan), out);
    if (out->blocked)
        discard_by_policy(s, role, out);
    return out->blocked;
}

bool indicate_discard(struct scene *s, enum host_layer role, FWPS_DISCARD_MODULE0 module, UINT32 reason)
{
    return at_discard_layer(s, role, module, reason, 0);
}
