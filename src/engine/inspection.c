/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inspection: the layer whose only filter asks an inspection callout. Nothing is arbitrated: the callout has no say (ARB-19),
 * and where nobody decides the layer permits (ARB-24). What is left of a classify is to call it.
 *
 * Also an inspection of a layer with other filters, where the answer is known before it is asked (engine_meet_again()).
 *
 * As in classify: no lock, no allocation; the caller's pin keeps filter and registration, counting in keeps the callout
 * registered until it has returned. What there is to find at the layer is found once a version of it (engine_inspects()): on
 * the way through the snapshot to the registration each step would wait for the one before.
 */
#include "engine/call.h"
#include "engine/internal.h"

bool engine_inspects(const struct engine_snapshot *s, UINT16 layer_id, struct engine_inspector *out)
{
    const struct engine_layer_snapshot *ls = s->layers[layer_id];

    if (ls == NULL || !ls->single || ls->only_entry.kind != ENGINE_ENTRY_INSPECTION)
        return false;
    out->filter = ls->filters[0];
    out->slot = ls->only_entry.slot;
    out->callout = out->filter->fwps.action.calloutId;
    out->tests = out->filter->test_count != 0;
    return true;
}

/* Does the filter hold, and is the callout registered? */
static inline bool find(const struct engine_inspector *of, const FWPS_INCOMING_VALUES0 *values,
                        struct engine_inspection *x)
{
    struct engine_registration *r = atomic_load(&of->slot->registration);

    if (r == NULL || (of->tests && !engine_filter_holds(of->filter, values->incomingValue)))
        return false;
    x->filter = of->filter;
    x->registration = r;
    x->conditional = (r->callout.flags & FWP_CALLOUT_FLAG_CONDITIONAL_ON_FLOW) != 0;
    return true;
}

bool engine_inspection_begin(struct engine_reader *reader, const struct engine_inspector *of,
                             const FWPS_INCOMING_VALUES0 *values, struct engine_inspection *x)
{
    if (!find(of, values, x))
        return false;
    if (__builtin_expect(engine_enter(reader, of->slot, x->registration, &x->listed), 1))
        return true;
    engine_leave(reader, x->registration, x->listed);
    return false;
}

void engine_inspection_end(struct engine_reader *reader, const struct engine_inspection *x)
{
    engine_leave(reader, x->registration, x->listed);
}

void engine_inspection_call(struct engine_reader *reader, const struct engine_request *q,
                            const struct engine_inspection *x, UINT64 context)
{
    FWPS_CLASSIFY_OUT0 out = {.rights =
                                  FWPS_RIGHT_ACTION_WRITE}; /* nobody has said anything before: ARB-27 */

    engine_call(&x->registration->callout, q, x->filter, context, &out);
    engine_leave(reader, x->registration, x->listed);
}

void engine_meet_again(struct engine_reader *reader, const struct engine_request *q,
                       const struct engine_meeting *m)
{
    struct engine_registration *r = atomic_load(&m->slot->registration);
    FWPS_CLASSIFY_OUT0 out = m->shown;
    UINT64 context;
    bool listed;

    if (r == NULL)
        return;
    if (engine_enter(reader, m->slot, r, &listed) &&
        engine_call_wanted(&r->callout, q, m->filter, &context)) {
        engine_request_complete(q);
        engine_call(&r->callout, q, m->filter, context, &out);
    }
    engine_leave(reader, r, listed);
}

/* ---- several that follow each other ---------------------------------------------------------------------- */

bool engine_looks_begin(struct engine_reader *reader, KIRQL irql, const void *classify_context,
                        struct engine_looks *l)
{
    if (!reader->cheap || reader->asks == ENGINE_ASKS)
        return false;
    l->reader = reader;
    l->place = &reader->asked[reader->asks++]; /* what is classified deeper stands behind it */
    l->current = rt_current();
    l->within = false;
    l->irql = rt_carried()->irql;
    l->raised = irql > l->irql ? irql : l->irql;
    l->classify_context = classify_context;
    return true;
}

void engine_looks_rest(struct engine_looks *l)
{
    struct rt_carried *me = rt_carried();

    if (!l->within)
        return;
    l->within = false;
    me->in_classify--;
    me->irql = l->irql;
    rt_set_current(l->current);
}

void engine_looks_end(struct engine_looks *l)
{
    engine_looks_rest(l);
    l->reader->asks--;
}

/* The next call is of another driver than the last, or the first. */
static __attribute__((noinline)) void turn_to(struct engine_looks *l, struct rt_context *driver)
{
    if (!l->within)
        rt_carried()->in_classify++;
    l->within = true;
    l->driver = driver;
    rt_set_current(driver);
}

bool engine_look_begin(const struct engine_looks *l, const struct engine_inspector *of,
                       const FWPS_INCOMING_VALUES0 *values, struct engine_inspection *x)
{
    if (!find(of, values, x))
        return false;
    if (__builtin_expect(engine_enter_list(l->place, of->slot, x->registration), 1))
        return true;
    engine_look_end(l, x);
    return false;
}

void engine_look_end(const struct engine_looks *l, const struct engine_inspection *x)
{
    engine_leave_list(l->reader, x->registration, l->place);
}

/* As engine_call(). A callout that is registered without a context runs as who asks. */
void engine_look_call(struct engine_looks *l, const struct engine_inspection *x,
                      const struct engine_shown *shown, UINT64 context)
{
    FWPS_CLASSIFY_OUT0 out = {.rights = FWPS_RIGHT_ACTION_WRITE}; /* ARB-27 */
    const struct engine_callout *c = &x->registration->callout;
    struct rt_context *driver = c->context != NULL ? c->context : l->current;

    if (!l->within || l->driver != driver)
        turn_to(l, driver);
    rt_carried()->irql = l->raised;
    engine_call_version(c, shown, l->classify_context, &x->filter->fwps, context, &out);
    engine_look_end(l, x);
}
