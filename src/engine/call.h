/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call: a registered callout's classifyFn called as every classify has to, in its context, at the level that
 * the layer says, counted in so that unregistering waits. Inline: shared by callout.c, which puts the answer
 * through arbitration, and stages.c, which hands it on as it is.
 *
 *   engine_enter() -> engine_call_wanted() -> engine_request_complete() -> engine_call() -> engine_leave()
 */
#ifndef WEIR_ENGINE_CALL_H
#define WEIR_ENGINE_CALL_H

#include "engine/internal.h"

/* The documented versions differ in what they are given; the filter's layout is one (structs.tsv). */
static inline void engine_call_version(const struct engine_callout *c, const struct engine_shown *shown,
                                       const void *classify_context, const FWPS_FILTER3 *filter,
                                       UINT64 flow_context, FWPS_CLASSIFY_OUT0 *out)
{
    const FWPS_INCOMING_VALUES0 *values = shown->values;
    const FWPS_INCOMING_METADATA_VALUES0 *meta = shown->metadata;
    void *data = shown->layer_data;

    switch (c->version) {
    case 0:
        c->classify.v0(values, meta, data, (const FWPS_FILTER0 *)filter, flow_context, out);
        break;
    case 1:
        c->classify.v1(values, meta, data, classify_context, (const FWPS_FILTER1 *)filter, flow_context, out);
        break;
    case 2:
        c->classify.v2(values, meta, data, classify_context, (const FWPS_FILTER2 *)filter, flow_context, out);
        break;
    default:
        c->classify.v3(values, meta, data, classify_context, filter, flow_context, out);
        break;
    }
}

/* The flow's context for it (CLS-21); false: it is not called without one (CLS-22, 23). */
static inline bool engine_call_wanted(const struct engine_callout *c, const struct engine_request *q,
                                      const struct engine_filter *f, UINT64 *context)
{
    *context = 0;
    if (q->flow != NULL)
        *context = q->flow->context(q->flow->ctx, q->values->layerId, f->fwps.action.calloutId);
    return (c->flags & FWP_CALLOUT_FLAG_CONDITIONAL_ON_FLOW) == 0 || *context != 0;
}

/* The request is complete. */
static inline void engine_call(const struct engine_callout *c, const struct engine_request *q,
                               const struct engine_filter *f, UINT64 context, FWPS_CLASSIFY_OUT0 *out)
{
    static const FWPS_INCOMING_METADATA_VALUES0 none;
    const struct engine_shown shown = {.values = q->values,
                                       .metadata = q->metadata != NULL ? q->metadata : &none,
                                       .layer_data = q->layer_data};
    struct rt_carried *me = rt_carried();
    struct rt_context *before = rt_current();
    const uint8_t irql = me->irql;

    if (c->context != NULL)
        rt_set_current(c->context);
    if (q->irql > irql)
        me->irql = q->irql;
    me->in_classify++;
    engine_call_version(c, &shown, q->classify_context, &f->fwps, context, out);
    me->in_classify--;
    me->irql = irql;
    rt_set_current(before);
}

/*
 * Counts the reader in, where unregistering will see it: with a barrier of its own in the count, or without
 * one in the reader's list (struct engine_reader). Either unregistering sees that, or the reader that the
 * registration has left its slot: then false, and it is counted out.
 */
static inline bool engine_enter_list(engine_asked *place, const struct engine_callout_slot *slot,
                                     struct engine_registration *r)
{
    atomic_store_explicit(place, r, memory_order_release);
    atomic_signal_fence(memory_order_seq_cst);
    return atomic_load(&slot->registration) == r;
}

static inline bool engine_enter(struct engine_reader *reader, const struct engine_callout_slot *slot,
                                struct engine_registration *r, bool *listed)
{
    *listed = reader->cheap && reader->asks < ENGINE_ASKS;
    if (__builtin_expect(*listed, 1))
        return engine_enter_list(&reader->asked[reader->asks++], slot, r);
    atomic_fetch_add(&r->running, 1);
    return atomic_load(&slot->registration) == r;
}

/* Out of the reader's list, where it stands at `place`. */
static inline void engine_leave_list(struct engine_reader *reader, struct engine_registration *r,
                                     engine_asked *place)
{
    atomic_store_explicit(place, NULL, memory_order_release);
    atomic_signal_fence(memory_order_seq_cst);
    if (__builtin_expect(atomic_load_explicit(&r->leaving, memory_order_relaxed), 0))
        engine_reader_left(reader->engine);
}

static inline void engine_leave(struct engine_reader *reader, struct engine_registration *r, bool listed)
{
    if (__builtin_expect(listed, 1))
        engine_leave_list(reader, r, &reader->asked[--reader->asks]);
    else
        engine_registration_leave(reader->engine, r);
}

#endif
