/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking a filter's callout. Three cases: it is registered and its classifyFn is called on this stack; it
 * belongs to the machine that a policy was exported from and its answer is supposed; or it is not
 * registered and the filter's substitute action stands in (OBJ-22..24).
 *
 * No lock is held across the call. The caller's pin keeps the filter and the registration alive; counting in
 * keeps the callout registered until it returns (engine_callout_unregister waits).
 */
#include <string.h>

#include "engine/call.h"
#include "engine/internal.h"

static FWP_ACTION_TYPE action_of(UINT8 kind)
{
    switch (kind) {
    case ENGINE_ENTRY_TERMINATING:
        return FWP_ACTION_CALLOUT_TERMINATING;
    case ENGINE_ENTRY_INSPECTION:
        return FWP_ACTION_CALLOUT_INSPECTION;
    default:
        return FWP_ACTION_CALLOUT_UNKNOWN;
    }
}

static enum engine_answer answer_of(FWP_ACTION_TYPE said)
{
    return said == FWP_ACTION_PERMIT  ? ENGINE_ANSWER_PERMIT
           : said == FWP_ACTION_BLOCK ? ENGINE_ANSWER_BLOCK
                                      : ENGINE_ANSWER_CONTINUE;
}

static const struct engine_asked continued = {
    {FWP_ACTION_CONTINUE, false, false}, ENGINE_ANSWER_CONTINUE, false};

/* What it said is taken as if it said it now. */
static inline __attribute__((always_inline)) struct engine_asked
taken(const struct engine_request *q, const struct engine_entry *entry, const struct engine_filter *f,
      struct engine_arbitration *a, const FWPS_CLASSIFY_OUT0 *shown, const FWPS_CLASSIFY_OUT0 *returned)
{
    const bool traced = q->trace != NULL && q->trace->callout != NULL;
    struct engine_asked asked = continued;
    UINT32 conduct;

    asked.step =
        engine_arb_callout(a, f, action_of(entry->kind), f->flags, shown, returned,
                           (returned->flags & FWPS_CLASSIFY_OUT_FLAG_ABSORB) != 0 &&
                               engine_absorb_allowed(q->values->layerId, q->pended != NULL && *q->pended),
                           traced ? &conduct : NULL);
    asked.answer = answer_of(asked.step.said);
    if (__builtin_expect(traced, 0))
        q->trace->callout(q->trace->ctx, f, shown, returned, conduct);
    return asked;
}

static void tell_turn(const struct engine_callout *c, const struct engine_request *q,
                      const struct engine_filter *f, const FWPS_CLASSIFY_OUT0 *returned)
{
    struct rt_context *before = rt_current();

    if (c->context != NULL)
        rt_set_current(c->context);
    q->turns->after(q->turns->ctx, f, returned);
    rt_set_current(before);
}

static __attribute__((noinline)) void meet(struct engine_met *met, const struct engine_entry *entry,
                                           const struct engine_filter *f, const struct engine_arbitration *a)
{
    struct engine_meeting *m = &met->at[met->count];

    if (met->count++ >= ENGINE_MEETINGS)
        return;
    if (entry->kind != ENGINE_ENTRY_INSPECTION)
        met->decide |= 1u << (met->count - 1);
    m->filter = f;
    m->slot = entry->slot;
    engine_arb_show(a, a->filter != NULL ? a->filter->id : 0, &m->shown);
}

static struct engine_asked ask_registered(const struct engine_callout *c, const struct engine_request *q,
                                          const struct engine_entry *entry, const struct engine_filter *f,
                                          struct engine_arbitration *a)
{
    const UINT64 running = a->filter != NULL ? a->filter->id : 0;
    FWPS_CLASSIFY_OUT0 shown, returned;
    UINT64 context;

    if (q->met != NULL)
        meet(q->met, entry, f, a);
    if (!engine_call_wanted(c, q, f, &context))
        return continued;
    engine_arb_show(a, running, &returned);
    if (__builtin_expect(q->turns != NULL, 0)) {
        const enum engine_turn turn = q->turns->before(q->turns->ctx, f, &returned);

        if (turn != ENGINE_TURN_ASK) {
            engine_arb_show(a, running, &shown);
            return turn == ENGINE_TURN_PASS ? continued : taken(q, entry, f, a, &shown, &returned);
        }
    }
    engine_request_complete(q);
    engine_call(c, q, f, context, &returned);
    if (__builtin_expect(q->turns != NULL, 0))
        tell_turn(c, q, f, &returned);
    if (entry->kind == ENGINE_ENTRY_INSPECTION && q->trace == NULL)
        return continued;                /* whatever it said (ARB-19): only a trace wants to know */
    engine_arb_show(a, running, &shown); /* nothing has happened to it meanwhile */
    return taken(q, entry, f, a, &shown, &returned);
}

/* What its callout is registered as, with *function its classifyFn; false: it is not. */
static bool registered_as(struct engine *e, const struct engine_filter *f, struct rt_context **context,
                          const uint8_t **function)
{
    struct engine_callout_slot *slot;
    struct engine_registration *r;

    if (f == NULL || !(f->action & FWP_ACTION_FLAG_CALLOUT))
        return false;
    rt_mutex_lock(e->lock);
    slot = engine_slot(e, &f->desc.callout_key, false);
    r = slot != NULL ? atomic_load(&slot->registration) : NULL;
    if (r != NULL) {
        *context = r->callout.context;
        memcpy(function, &r->callout.classify, sizeof(*function)); /* one of four sorts of function */
    }
    rt_mutex_unlock(e->lock);
    return r != NULL;
}

struct rt_context *engine_filter_driver(struct engine *e, const struct engine_filter *f)
{
    struct rt_context *context;
    const uint8_t *function;

    return registered_as(e, f, &context, &function) ? context : NULL;
}

const void *engine_filter_function(struct engine *e, const struct engine_filter *f)
{
    struct rt_context *context;
    const uint8_t *function;

    return registered_as(e, f, &context, &function) ? function + 1 : NULL;
}

NTSTATUS engine_filter_notify(struct engine *e, struct engine_filter *f, FWPS_CALLOUT_NOTIFY_TYPE type,
                              bool commit, bool *told)
{
    const GUID *key = type == FWPS_CALLOUT_NOTIFY_DELETE_FILTER ? NULL : &f->desc.filter_key; /* LIFE-10 */
    struct engine_registration *r = NULL;
    const void *called = rt_carried()->called;
    struct engine_callout_slot *slot;
    struct rt_context *before;
    NTSTATUS status = STATUS_SUCCESS;
    const struct engine_callout *c;

    if (!(f->action & FWP_ACTION_FLAG_CALLOUT))
        return status;
    rt_mutex_lock(e->lock);
    slot = engine_slot(e, &f->desc.callout_key, false);
    if (slot != NULL)
        r = atomic_load(&slot->registration);
    if (r != NULL)
        atomic_fetch_add(&r->running,
                         1); /* unregistering looks at it under this lock, after it took the slot */
    rt_mutex_unlock(e->lock);
    if (r == NULL)
        return status;
    c = &r->callout;
    if (c->notify.v0 == NULL || (type != FWPS_CALLOUT_NOTIFY_DELETE_FILTER &&
                                 commit != !!(c->flags & FWP_CALLOUT_FLAG_ENABLE_COMMIT_ADD_NOTIFY))) {
        engine_registration_leave(e, r);
        return status;
    }
    if (told != NULL)
        *told = true;
    before = rt_current();
    if (c->context != NULL)
        rt_set_current(c->context);
    rt_carried()->called = __builtin_frame_address(0); /* it may be left by longjmp(): rt_left() */
    switch (c->version) {
    case 0:
        status = c->notify.v0(type, key, (FWPS_FILTER0 *)&f->fwps);
        break;
    case 1:
        status = c->notify.v1(type, key, (FWPS_FILTER1 *)&f->fwps);
        break;
    case 2:
        status = c->notify.v2(type, key, (FWPS_FILTER2 *)&f->fwps);
        break;
    default:
        status = c->notify.v3(type, key, &f->fwps);
        break;
    }
    rt_carried()->called = called;
    rt_set_current(before);
    engine_registration_leave(e, r);
    return status;
}

/* A foreign callout: as assumed, else unknown and taken as CONTINUE. */
static struct engine_asked ask_foreign(const struct engine_request *q, const struct engine_entry *entry,
                                       const struct engine_filter *f, struct engine_arbitration *a)
{
    struct engine_asked asked = continued;

    if (entry->kind == ENGINE_ENTRY_INSPECTION) /* ARB-19: whatever it says */
        return asked;
    for (size_t i = 0; i < q->assumption_count; i++) {
        if (memcmp(&q->assumptions[i].callout_key, &entry->slot->key, sizeof(GUID)) != 0)
            continue;
        asked.step = engine_arb_supposed(a, f, action_of(entry->kind), f->flags, q->assumptions[i].action);
        asked.answer = answer_of(asked.step.said);
        return asked;
    }
    asked.answer = ENGINE_ANSWER_FOREIGN;
    if (!engine_arb_final(a))
        a->flags |= ENGINE_VERDICT_FOREIGN;
    return asked;
}

/* OBJ-22..24: as a filter's own block, or its own permit. */
static struct engine_asked substitute(const struct engine_entry *entry, const struct engine_filter *f,
                                      struct engine_arbitration *a)
{
    struct engine_asked asked = continued;
    FWP_ACTION_TYPE action =
        f->flags & FWPS_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED ? FWP_ACTION_PERMIT : FWP_ACTION_BLOCK;

    if (entry->kind == ENGINE_ENTRY_INSPECTION)
        return asked;
    asked.step = engine_arb_filter(a, f, action, f->flags, ENGINE_VERDICT_SUBSTITUTE);
    asked.answer = answer_of(action);
    asked.substitute = true;
    return asked;
}

struct engine_asked engine_ask_callout(struct engine_reader *reader, const struct engine_request *q,
                                       const struct engine_entry *entry, const struct engine_filter *f,
                                       struct engine_arbitration *a)
{
    struct engine_callout_slot *slot = entry->slot;
    struct engine_registration *r = atomic_load(&slot->registration);
    struct engine_asked asked;
    bool listed;

    if (r != NULL) {
        if (engine_enter(reader, slot, r, &listed)) {
            asked = ask_registered(&r->callout, q, entry, f, a);
            engine_leave(reader, r, listed);
            return asked;
        }
        engine_leave(reader, r, listed); /* it went just now */
    }
    if (atomic_load_explicit(&slot->foreign, memory_order_relaxed))
        return ask_foreign(q, entry, f, a);
    return substitute(entry, f, a);
}
