/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stages: the matching filters of a layer one by one, for who asks them himself: the stream layer, where a
 * sublayer's answer is about some leading bytes and not about the layer (ARB-26).
 *
 * As in classify: no lock, no allocation; the caller's pin keeps filters and registrations, counting in keeps
 * a callout registered while it runs.
 */
#include "engine/call.h"
#include "engine/index.h"
#include "engine/internal.h"

static enum engine_stage_kind kind_of(const struct engine_layer_snapshot *ls, UINT32 at)
{
    switch (ls->entries[at].kind) {
    case ENGINE_ENTRY_PERMIT:
        return ENGINE_STAGE_PERMIT;
    case ENGINE_ENTRY_BLOCK:
        return ENGINE_STAGE_BLOCK;
    case ENGINE_ENTRY_TERMINATING:
        return ENGINE_STAGE_TERMINATING;
    case ENGINE_ENTRY_INSPECTION:
        return ENGINE_STAGE_INSPECTION;
    default:
        return ENGINE_STAGE_UNKNOWN;
    }
}

static size_t put(const struct engine_layer_snapshot *ls, UINT32 at, struct engine_stage *out, size_t n,
                  size_t max)
{
    if (n < max)
        out[n] = (struct engine_stage){.filter = (struct engine_filter *)ls->filters[at],
                                       .slot = ls->entries[at].slot,
                                       .sublayer = ls->entries[at].sublayer,
                                       .kind = kind_of(ls, at)};
    return n + 1;
}

/* Each filter in turn: where a value is not known, or there is no index. */
static size_t in_turn(const struct engine_layer_snapshot *ls, const FWPS_INCOMING_VALUE0 *values,
                      UINT64 unknown, struct engine_stage *out, size_t max, bool *depends)
{
    bool known[ENGINE_MAX_FIELDS];
    size_t n = 0;

    for (UINT32 i = 0; i < ls->field_count; i++)
        known[i] = (unknown >> i & 1) == 0;
    for (UINT32 at = 0; at < ls->count; at++) {
        if (unknown != 0 && engine_filter_match3(ls->filters[at], values, known) == ENGINE_MATCH_DEPENDS)
            *depends = true;
        if (engine_filter_holds(ls->filters[at], values))
            n = put(ls, at, out, n, max);
    }
    return n;
}

size_t engine_stages(const struct engine_snapshot *s, UINT16 layer_id, const FWPS_INCOMING_VALUE0 *values,
                     UINT64 unknown, struct engine_stage *out, size_t max, bool *depends)
{
    const struct engine_layer_snapshot *ls = layer_id < ENGINE_LAYER_COUNT ? s->layers[layer_id] : NULL;
    struct engine_cursor c;
    size_t n = 0;
    bool hangs = false;

    if (depends != NULL)
        *depends = false;
    if (ls == NULL)
        return 0;
    if (ls->untested || ls->only != NULL || unknown != 0) {
        n = in_turn(ls, values, unknown, out, max, &hangs);
        if (depends != NULL)
            *depends = hangs;
        return n;
    }
    engine_index_begin(ls, values, NULL, &c);
    for (UINT32 from = 0, at; from < ls->count && (at = engine_index_next(&c, from)) != ENGINE_NO_POSITION;
         from = at + 1)
        n = put(ls, at, out, n, max);
    return n;
}

/* ---- asking ------------------------------------------------------------------------------------------ */

static enum engine_stage_answer ask_foreign(const struct engine_request *q, const struct engine_stage *stage,
                                            FWPS_CLASSIFY_OUT0 *out)
{
    for (size_t i = 0; i < q->assumption_count; i++)
        if (memcmp(&q->assumptions[i].callout_key, &stage->slot->key, sizeof(GUID)) == 0) {
            out->actionType = q->assumptions[i].action;
            return ENGINE_STAGE_ASSUMED;
        }
    return ENGINE_STAGE_FOREIGN;
}

enum engine_stage_answer engine_stage_ask(struct engine_reader *reader, const struct engine_request *q,
                                          const struct engine_stage *stage, FWPS_CLASSIFY_OUT0 *out)
{
    struct engine_callout_slot *slot = stage->slot;
    struct engine_registration *r = atomic_load(&slot->registration);
    UINT64 context;
    bool listed, asked;

    if (r != NULL) {
        if (engine_enter(reader, slot, r, &listed)) {
            asked = engine_call_wanted(&r->callout, q, stage->filter, &context);
            if (asked) {
                engine_request_complete(q);
                engine_call(&r->callout, q, stage->filter, context, out);
            }
            engine_leave(reader, r, listed);
            return asked ? ENGINE_STAGE_ASKED : ENGINE_STAGE_NOT_ASKED;
        }
        engine_leave(reader, r, listed); /* it went just now */
    }
    if (atomic_load_explicit(&slot->foreign, memory_order_relaxed))
        return ask_foreign(q, stage, out);
    out->actionType = stage->filter->flags & FWPS_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED
                          ? FWP_ACTION_PERMIT
                          : FWP_ACTION_BLOCK;
    return ENGINE_STAGE_SUBSTITUTE;
}

bool engine_stage_silent(const struct engine_stage *stage, const struct engine_request *q, bool *unknown)
{
    FWPS_CLASSIFY_OUT0 out = {.actionType = FWP_ACTION_CONTINUE};

    if (stage->slot == NULL || atomic_load(&stage->slot->registration) != NULL ||
        !atomic_load_explicit(&stage->slot->foreign, memory_order_relaxed))
        return false;
    if (ask_foreign(q, stage, &out) == ENGINE_STAGE_FOREIGN)
        *unknown = *unknown || stage->kind != ENGINE_STAGE_INSPECTION; /* ARB-19 */
    return stage->kind == ENGINE_STAGE_INSPECTION || out.actionType == FWP_ACTION_CONTINUE;
}

bool engine_stage_registered(const struct engine_stage *stage, struct engine_reader *reader, UINT32 *flags)
{
    struct engine_registration *r = stage->slot != NULL ? atomic_load(&stage->slot->registration) : NULL;
    bool listed, there = false;

    *flags = 0;
    if (r == NULL)
        return false;
    there = engine_enter(reader, stage->slot, r, &listed);
    if (there)
        *flags = r->callout.flags;
    engine_leave(reader, r, listed);
    return there;
}
