/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inspection: the layer whose only filter asks an inspection callout. Nothing is arbitrated: the callout has no say (ARB-19),
 * and where nobody decides the layer permits (ARB-24). What is left of a classify is to call it.
 *
 * As in classify: no lock, no allocation; the caller's pin keeps filter and registration, counting in keeps the callout
 * registered until it has returned.
 */
#include "engine/call.h"
#include "engine/internal.h"

bool engine_inspects(const struct engine_snapshot *s, UINT16 layer_id)
{
    const struct engine_layer_snapshot *ls = s->layers[layer_id];

    return ls != NULL && ls->single && ls->only_entry.kind == ENGINE_ENTRY_INSPECTION;
}

bool engine_inspection_begin(struct engine_reader *reader, const struct engine_snapshot *s,
                             const struct engine_request *q, struct engine_inspection *x)
{
    const struct engine_layer_snapshot *ls = s->layers[q->values->layerId];
    struct engine_callout_slot *slot = ls->only_entry.slot;
    const struct engine_filter *f = ls->filters[0];
    struct engine_registration *r = atomic_load(&slot->registration);

    if (r == NULL || (f->test_count != 0 && !engine_filter_holds(f, q->values->incomingValue)))
        return false;
    x->filter = f;
    x->registration = r;
    if (engine_enter(reader, slot, r, &x->listed) && engine_call_wanted(&r->callout, q, f, &x->context))
        return true;
    engine_leave(reader, r, x->listed);
    return false;
}

void engine_inspection_call(struct engine_reader *reader, const struct engine_request *q,
                            const struct engine_inspection *x)
{
    FWPS_CLASSIFY_OUT0 out = {.rights =
                                  FWPS_RIGHT_ACTION_WRITE}; /* nobody has said anything before: ARB-27 */

    engine_call(&x->registration->callout, q, x->filter, x->context, &out);
    engine_leave(reader, x->registration, x->listed);
}
