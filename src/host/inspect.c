/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inspect: the common case of a classification in one go.
 *
 *   classify_at(): the layer's only filter asks a callout of ours --> inspect() --no: something is special--> question()
 *                                                                        |
 *        values of the lane's own -> engine -> the filter matches: metadata, the packet -> classifyFn -> answer
 *
 * Special is what indicate.c knows besides: layers that show no packet of the walk (ST, a group's chain, redirection),
 * a classification deeper than the lane has values for, a judge whose word is needed, who hears of everything or
 * remembers it. The answer, what the callout is shown and what observers hear are those of the general way:
 * tests/unit/host_inspect.c holds the two against each other (host_knobs.long_way takes the general one always).
 */
#include "host/indicate.h"
#include "host/walk.h"

struct inspecting {
    struct scene *s;
    struct kept *kept;
    NET_BUFFER_LIST *list;
    enum host_layer role;
    UINT32 metadata; /* the layer's */
    struct engine_flow flow;
    struct engine_request request;
};

/* engine_request.complete: the callout, or the engine's observer, is about to look. */
static __attribute__((flatten)) void complete(void *ctx)
{
    struct inspecting *i = ctx;
    uint32_t at, first, end;

    if (i->request.metadata != NULL)
        return;
    at = packet_span(i->s, i->role, false, &first, &end);
    metadata_keep(i->s, i->role, false, at, i->kept, i->metadata);
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
                                           UINT64 unknown, const struct answer *out)
{
    const struct host_answer answer = {.verdict = out->verdict};
    const struct host_config *c = &i->s->host->config;
    struct host_event event;

    if (!indicate_matters(i->s->host, i->role, &answer))
        return;
    event = indicate_event(i->s, layer, &answer);
    event.cause = indicate_cause(i->s, i->role, false);
    event.request = &i->request;
    event.unknown = unknown;
    event.packet = i->list;
    c->observer.classified(c->observer.ctx, &event);
}

static void prepare(struct inspecting *i, struct scene *s, enum host_layer role)
{
    struct engine_request *q = &i->request;

    i->s = s;
    i->role = role;
    i->list = NULL;
    i->flow.ctx = s;
    i->flow.context = ale_flow_context;
    q->values = &i->kept->values;
    q->metadata = NULL;
    q->layer_data = NULL;
    q->classify_context = s->options != NULL            ? (const void *)s->options
                          : s->classify_context != NULL ? s->classify_context
                                                        : (const void *)s;
    q->flow = &i->flow;
    q->pended = s->pended;
    q->cache = indicate_cache(s, role, false);
    q->trace = NULL;
    q->turns = NULL;
    q->assumptions = s->host->config.assumptions;
    q->assumption_count = s->host->config.assumption_count;
    q->supposed = false;
    q->complete = complete;
    q->complete_ctx = i;
    q->irql = role >= LAYER_RES && role <= LAYER_BR ? indicate_irql(s, role, false) : DISPATCH_LEVEL;
}

bool inspect(struct scene *s, const struct engine_snapshot *snapshot, const struct plan *plan, bool listens,
             struct answer *out)
{
    struct scratch *room = s->lane->scratch;
    const struct engine_layer *layer = engine_layer_by_id(out->layer);
    const enum host_layer role = out->role;
    struct inspecting i;
    UINT64 unknown;
    bool stayed;

    if (!is_common(s, role, room, listens))
        return false;
    room->level++;
    i.kept = values_keep(s, layer, room, &unknown);
    if (__builtin_expect(
            i.kept == NULL || ((unknown & plan->tested) != 0 && s->host->config.judge.judge != NULL), 0)) {
        room->level--;
        return false;
    }
    stayed = lane_rest(s->lane);
    i.metadata = room->prepared[out->layer].metadata;
    prepare(&i, s, role);
    indicate_count(s);
    if (!NT_SUCCESS(engine_classify_pinned(s->lane->reader, snapshot, &i.request, &out->verdict)))
        out->verdict = (struct engine_verdict){.action = FWP_ACTION_BLOCK}; /* fails closed */
    ale_classified(s);
    if (listens)
        tell(&i, layer, unknown, out);
    room->level--;
    lane_back(s->lane, stayed);
    indicate_answered(s, out);
    return true;
}
