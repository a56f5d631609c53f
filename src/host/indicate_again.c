/* SPDX-License-Identifier: Apache-2.0 */
/*
 * indicate_again: answers that need no question.
 *
 *   the plan's         a layer whose filters test nothing answers always the same --> indicate_answer_settled()
 *   a question before  that differs in nothing (recall.c)                         --> indicate_answer_recalled()
 *   a whole packet's   what was heard of the one before it (paths_refused.c):
 *                        indicate_hear(), each answer as it is given --> scratch.heard --> indicate_heard(), for the next
 *
 * They count, and observers are told, as if it had been asked; there are no values to be told of.
 */
#include "host/recall.h"
#include "host/walk.h"

/* ---- hearing --------------------------------------------------------------------------------------------- */

void indicate_hear(const struct scene *s, UINT64 tested, bool complete, const struct heard *x)
{
    struct scratch *room = s->lane->scratch;
    const struct engine *e = s->host->config.engine;
    const struct engine_verdict *v = &x->answer.verdict;
    const bool block = v->action == FWP_ACTION_BLOCK;
    struct heard *h = &room->heard[room->heard_count];

    if (room->heard_count == HEARD_MOST || complete || x->answer.depends || s->flags != 0 ||
        s->reauthorize != 0 || s->loopback || (v->flags & ENGINE_VERDICT_ABSORB) != 0 ||
        !values_are_steady(&room->prepared[x->layer], tested) ||
        (block ? engine_observes_blocks(e) : engine_observes_permits(e))) {
        room->heard_all = false;
        return;
    }
    room->heard_count++;
    *h = *x;
    h->answer.verdict.filter = NULL;
    h->answer.verdict.ended = NULL;
    h->answer.verdict.ended_count = 0;
}

static void hear_settled(struct scratch *room, UINT16 layer)
{
    if (room->heard_count == HEARD_MOST)
        room->heard_all = false;
    else
        room->heard[room->heard_count++] = (struct heard){.layer = layer, .settled = true};
}

/* ---- telling --------------------------------------------------------------------------------------------- */

/* For who is content with less. False: he is not. */
static bool tell_briefly(const struct scene *s, UINT16 layer, const struct host_answer *answer,
                         enum host_cause cause)
{
    const struct host_observer *o = &s->host->config.observer;
    const unsigned role = s->lane->scratch->role[layer];

    if (o->repeated == NULL || !o->decisions_only)
        return false;
    if (cause == HOST_CAUSE_DISCARD)
        return true;
    if (cause == HOST_CAUSE_CLOSE || role == LAYER_AC || role == LAYER_RA || !answer->depends ||
        answer->verdict.action == FWP_ACTION_BLOCK)
        return false;
    o->repeated(o->ctx, engine_layer_by_id(layer), answer, s->flow_id);
    return true;
}

/* An answer that somebody was told before, now without values. */
static void tell_in_full(struct scene *s, UINT16 layer, const struct host_answer *answer, UINT64 unknown,
                         bool empty, enum host_cause cause)
{
    const struct host_config *c = &s->host->config;
    const FWPS_INCOMING_VALUES0 none = {.layerId = layer};
    const struct engine_request request = {.values = &none};
    struct host_event event = indicate_event(s, engine_layer_by_id(layer), answer);
    bool stayed;

    event.cause = cause;
    event.request = &request;
    event.unknown = unknown;
    event.empty = empty;
    if (c->observer.light) {
        c->observer.classified(c->observer.ctx, &event);
        return;
    }
    stayed = lane_rest(s->lane);
    c->observer.classified(c->observer.ctx, &event);
    lane_back(s->lane, stayed);
}

static inline void tell_again(struct scene *s, UINT16 layer, const struct host_answer *answer, UINT64 unknown,
                              bool empty, enum host_cause cause)
{
    if (!tell_briefly(s, layer, answer, cause))
        tell_in_full(s, layer, answer, unknown, empty, cause);
}

/* A settled plan's answer; who listens hears of decisions alone. */
static void answer_settled(struct scene *s, const struct plan *plan, bool listens, struct answer *out)
{
    out->verdict = plan->answer.verdict;
    out->filter_id = out->verdict.filter_id;
    out->depends = plan->answer.depends;
    host_count_classified(s, 1);
    if (listens && out->depends)
        tell_again(s, out->layer, &plan->answer, 0, false,
                   s->reauthorize != 0 ? HOST_CAUSE_REAUTHORIZE : HOST_CAUSE_INITIAL);
}

void indicate_answer_settled(struct scene *s, const struct plan *plan, bool listens, struct answer *out)
{
    answer_settled(s, plan, listens, out);
    if (__builtin_expect(s->lane->scratch->hears, 0))
        hear_settled(s->lane->scratch, out->layer);
}

void indicate_settled(struct scene *s, enum host_layer role)
{
    const UINT16 id = layer_id(role, s->version);
    struct answer a = {.role = role, .layer = id};

    answer_settled(s, &s->lane->scratch->plan[id], s->host->config.observer.classified != NULL, &a);
}

void indicate_heard(struct scene *s, const struct heard *h)
{
    if (h->settled) {
        indicate_settled(s, (enum host_layer)s->lane->scratch->role[h->layer]);
        return;
    }
    if (!h->empty)
        host_count_classified(s, 1);
    if (h->judged)
        __atomic_fetch_add(&s->host->counts.asked_judge, 1, __ATOMIC_RELAXED);
    if (h->told)
        tell_again(s, h->layer, &h->answer, h->unknown, h->empty,
                   h->discard ? HOST_CAUSE_DISCARD : HOST_CAUSE_INITIAL);
}

void indicate_answer_recalled(struct scene *s, UINT64 tested, const struct recalled *known, bool discard,
                              bool listens, struct answer *out)
{
    const enum host_cause cause = indicate_cause(s, out->role, discard);
    struct scratch *room = s->lane->scratch;

    out->verdict = known->answer.verdict;
    out->filter_id = out->verdict.filter_id;
    out->depends = known->answer.depends;
    out->blocked = out->verdict.action == FWP_ACTION_BLOCK;
    out->callout = out->blocked ? known->callout : 0;
    host_count_classified(s, 1);
    if (known->judged)
        __atomic_fetch_add(&s->host->counts.asked_judge, 1, __ATOMIC_RELAXED);
    if (known->sets && s->options != NULL)
        *s->options = known->options;
    listens = listens && indicate_matters(s->host, out->role, &known->answer);
    if (__builtin_expect(room->hears, 0))
        indicate_hear(s, tested, known->met_count != 0,
                      &(struct heard){.layer = out->layer,
                                      .discard = discard,
                                      .judged = known->judged,
                                      .told = listens,
                                      .unknown = known->unknown,
                                      .answer = known->answer});
    if (!listens)
        return;
    if (s->host->config.observer.light) {
        tell_again(s, out->layer, &known->answer, known->unknown, false, cause);
    } else {
        struct recalled told; /* who is told may do what makes room for another */

        recalled_copy(&told, known);
        tell_again(s, out->layer, &told.answer, told.unknown, false, cause);
    }
}
