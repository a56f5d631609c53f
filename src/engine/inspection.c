/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inspection: the layer whose only filter asks an inspection callout. Nothing is arbitrated: the callout has no say (ARB-19),
 * and where nobody decides the layer permits (ARB-24). What is left of a classify is to call it.
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

bool engine_inspection_begin(struct engine_reader *reader, const struct engine_inspector *of,
                             const FWPS_INCOMING_VALUES0 *values, struct engine_inspection *x)
{
    struct engine_registration *r = atomic_load(&of->slot->registration);

    if (r == NULL || (of->tests && !engine_filter_holds(of->filter, values->incomingValue)))
        return false;
    x->filter = of->filter;
    x->registration = r;
    x->conditional = (r->callout.flags & FWP_CALLOUT_FLAG_CONDITIONAL_ON_FLOW) != 0;
    if (engine_enter(reader, of->slot, r, &x->listed))
        return true;
    engine_leave(reader, r, x->listed);
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
