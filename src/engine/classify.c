/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Classify: the matching filters of a layer in order of evaluation, asked until the layer has its verdict.
 *
 *   pin -> layer's snapshot -> next match -> plain filter or callout -> arbitration --+
 *                                  ^                                                  |
 *                                  +---- after it, or after its sublayer's end -------+--> verdict -> unpin
 *
 * One loop (walk) serves the index and the naive walk, with and without a trace: it is inlined into four
 * functions with its matcher and its trace switch as constants. Plain filters are decided from the dense
 * entries; a filter itself is touched only when a callout is asked, a trace is kept, or it decides in the
 * end.
 *
 * Hot path: no lock, no allocation, no division. Works at any IRQL; a callout runs at the caller's.
 */
#include "engine/index.h"
#include "engine/internal.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

typedef UINT32 (*next_fn)(void *cursor, UINT32 from);

/* ---- the trace ------------------------------------------------------------------------------------- */

/* The sublayer that the walk stands in, while a trace is kept. */
struct traced_sublayer {
    UINT32 index;
    const struct engine_filter *ended_by;
    struct engine_arb_step step;
};

static void trace_sublayer(const struct engine_trace *trace, const struct engine_layer_snapshot *ls,
                           struct traced_sublayer *t, const struct engine_arbitration *a)
{
    struct engine_sublayer_result r = {
        .key = &ls->sublayers[t->index].key,
        .weight = ls->sublayers[t->index].weight,
        .filter = t->ended_by,
        .action = t->ended_by != NULL ? t->step.said : 0,
        .running = a->action,
        .rights = a->rights,
        .took_effect = t->ended_by != NULL && t->step.took_effect,
    };

    if (trace->sublayer != NULL)
        trace->sublayer(trace->ctx, &r);
    t->index++;
    t->ended_by = NULL;
}

/* ---- who ended what ------------------------------------------------------------------------------- */

/* The sublayers' ends as the walk meets them. Where it stopped early, only plain filters were left. */
struct ends {
    UINT32 count;
    UINT32 stopped_at; /* the position from which on nothing was asked; ENGINE_NO_POSITION: all was */
    UINT32 decided_at; /* of the filter whose answer stands */
    UINT32 at[ENGINE_MAX_ENDED]; /* positions: the filters are looked at only if somebody observes */
    FWP_ACTION_TYPE said[ENGINE_MAX_ENDED];
};

ALWAYS_INLINE void note_end(struct ends *ends, UINT32 at, FWP_ACTION_TYPE said)
{
    if (ends->count == ENGINE_MAX_ENDED)
        return;
    ends->at[ends->count] = at;
    ends->said[ends->count++] = said;
}

/* Asks the plain filters that could not matter to the verdict: off the hot path, for the observer only. */
static void complete_ends(struct ends *ends, const struct engine_layer_snapshot *ls,
                          const FWPS_INCOMING_VALUE0 *values)
{
    UINT32 at = ends->stopped_at;

    while (at < ls->count && ends->count < ENGINE_MAX_ENDED) {
        const struct engine_entry *entry = &ls->entries[at];
        if (entry->slot != NULL || !engine_filter_holds(ls->filters[at], values)) {
            at++;
            continue;
        }
        note_end(ends, at, entry->kind == ENGINE_ENTRY_PERMIT ? FWP_ACTION_PERMIT : FWP_ACTION_BLOCK);
        at = entry->end;
    }
}

/* ---- the walk -------------------------------------------------------------------------------------- */

ALWAYS_INLINE struct engine_asked ask_plain(UINT8 plain, const struct engine_filter *f,
                                            struct engine_arbitration *a)
{
    bool permit = plain & ENGINE_PLAIN_PERMIT;
    FWP_ACTION_TYPE action = permit ? FWP_ACTION_PERMIT : FWP_ACTION_BLOCK;
    UINT32 flags = plain & ENGINE_PLAIN_HARD ? FWPS_FILTER_FLAG_CLEAR_ACTION_RIGHT : 0;

    return (struct engine_asked){engine_arb_filter(a, f, action, flags, 0),
                                 permit ? ENGINE_ANSWER_PERMIT : ENGINE_ANSWER_BLOCK, false};
}

ALWAYS_INLINE void walk(struct engine_reader *r, const struct engine_request *q,
                        const struct engine_layer_snapshot *ls, struct engine_arbitration *a,
                        struct ends *ends, void *cursor, next_fn next, bool traced)
{
    const struct engine_sublayer_group *sublayer = ls->sublayers;
    struct traced_sublayer here = {0};
    UINT32 from = 0, at;

    while (from < ls->count && (at = next(cursor, from)) != ENGINE_NO_POSITION) {
        const struct engine_filter *f = ls->filters[at];
        UINT8 plain = ls->plain[at];
        struct engine_asked asked;

        while (at >= sublayer->end)
            sublayer++;
        if (traced)
            while (here.index < sublayer - ls->sublayers)
                trace_sublayer(q->trace, ls, &here, a);
        asked = __builtin_expect(plain != ENGINE_PLAIN_CALLOUT, 1)
                    ? ask_plain(plain, f, a)
                    : engine_ask_callout(r, q, &ls->entries[at], f, a);
        from = at + 1;
        if (asked.step.took_effect)
            ends->decided_at = at;
        if (asked.step.ends) {
            from = sublayer->end;
            note_end(ends, at, asked.step.said);
        }
        if (traced) {
            if (asked.step.ends) {
                here.ended_by = f;
                here.step = asked.step;
            }
            if (q->trace->filter != NULL)
                q->trace->filter(q->trace->ctx, f, asked.answer, asked.substitute);
        } else if (a->rights == 0 && from >= ls->callout_end) {
            ends->stopped_at = from;
            return; /* only callouts could still do anything: ARB-05, ARB-15 */
        }
    }
    if (traced)
        while (here.index < ls->sublayer_count)
            trace_sublayer(q->trace, ls, &here, a);
}

/* ---- the two matchers ------------------------------------------------------------------------------ */

ALWAYS_INLINE UINT32 indexed_next(void *cursor, UINT32 from)
{
    return engine_index_next(cursor, from);
}

#define NAIVE_AHEAD 6 /* filters whose tests are fetched before they are asked */

struct naive_cursor {
    const struct engine_layer_snapshot *ls;
    const FWPS_INCOMING_VALUE0 *values;
};

ALWAYS_INLINE UINT32 naive_next(void *cursor, UINT32 from)
{
    const struct naive_cursor *c = cursor;

    for (UINT32 i = from; i < c->ls->count; i++) {
        if (i + NAIVE_AHEAD < c->ls->count)
            __builtin_prefetch(c->ls->filters[i + NAIVE_AHEAD]->tests);
        if (engine_filter_holds(c->ls->filters[i], c->values))
            return i;
    }
    return ENGINE_NO_POSITION;
}

/*
 * Where all filters are plain, the first match of a sublayer decides it, and a word of matches needs to know
 * nothing of the one before but its sublayer: no decision waits for another. True: the verdict is final.
 */
ALWAYS_INLINE bool decide_word(const struct engine_layer_snapshot *ls, struct engine_arbitration *a,
                               struct ends *ends, UINT32 base, UINT64 x, UINT32 *last)
{
    UINT32 s = ls->sublayer_at[base / 64];

    for (;;) {
        UINT32 at = base + (UINT32)__builtin_ctzll(x);

        while (at >= ls->sublayers[s].end)
            s++;
        if (s != *last) {
            struct engine_asked asked = ask_plain(ls->plain[at], NULL, a); /* the filter: when all is said */

            *last = s;
            if (asked.step.took_effect)
                ends->decided_at = at;
            note_end(ends, at, asked.step.said);
            if (a->rights == 0) {
                ends->stopped_at = ls->sublayers[s].end;
                return true;
            }
        }
        if (ls->sublayers[s].end - base >= 64)
            return false;
        x &= ~0ULL << (ls->sublayers[s].end - base);
        if (x == 0)
            return false;
    }
}

static void decide_words(const struct engine_layer_snapshot *ls, struct engine_arbitration *a,
                         struct ends *ends, const struct engine_cursor *c)
{
    UINT32 last = UINT32_MAX;

    if (c->form == ENGINE_CURSOR_WORDS) {
        for (UINT32 i = 0; i < c->found; i++) {
            UINT32 base;
            UINT64 x = engine_index_found(c, i, &base);

            if (decide_word(ls, a, ends, base, x, &last))
                return;
        }
        return;
    }
    for (UINT32 live = c->live; live != 0; live &= live - 1) {
        UINT32 w = (UINT32)__builtin_ctz(live);

        if (decide_word(ls, a, ends, w * 64, c->bits[w], &last))
            return;
    }
}

static void walk_plain(const struct engine_layer_snapshot *ls, struct engine_arbitration *a,
                       struct ends *ends, const struct engine_cursor *c)
{
    decide_words(ls, a, ends, c);
    if (a->action != 0)
        a->filter = ls->filters[ends->decided_at];
}

static void run_naive(struct engine_reader *r, const struct engine_request *q,
                      const struct engine_layer_snapshot *ls, struct engine_arbitration *a, struct ends *ends)
{
    struct naive_cursor c = {ls, q->values->incomingValue};

    if (q->trace == NULL)
        walk(r, q, ls, a, ends, &c, naive_next, false);
    else
        walk(r, q, ls, a, ends, &c, naive_next, true);
}

/* The layer's only filter, for everybody or with a few tests. No trace. */
static void run_single(struct engine_reader *r, const struct engine_request *q,
                       const struct engine_layer_snapshot *ls, struct engine_arbitration *a,
                       struct ends *ends)
{
    const struct engine_entry *entry = &ls->only_entry;
    const struct engine_filter *f = ls->filters[0];
    struct engine_asked asked;

    if (!engine_filter_holds(f, q->values->incomingValue))
        return;
    asked = entry->slot == NULL ? ask_plain(ls->plain[0], f, a) : engine_ask_callout(r, q, entry, f, a);
    if (asked.step.took_effect)
        ends->decided_at = 0;
    if (asked.step.ends)
        note_end(ends, 0, asked.step.said);
}

static __attribute__((noinline)) void run_indexed(struct engine_reader *r, const struct engine_request *q,
                                                  const struct engine_layer_snapshot *ls,
                                                  struct engine_arbitration *a, struct ends *ends)
{
    struct engine_cursor c;

    if (ls->untested) {
        run_naive(r, q, ls, a, ends);
        return;
    }
    engine_index_begin(ls, q->values->incomingValue, q->cache, &c);
    if (q->trace == NULL && ls->callout_end == 0 && ls->sublayer_count > 1 && engine_index_complete(&c))
        walk_plain(ls, a, ends, &c);
    else if (__builtin_expect(q->trace == NULL, 1))
        walk(r, q, ls, a, ends, &c, indexed_next, false);
    else
        walk(r, q, ls, a, ends, &c, indexed_next, true);
}

/* ---- the doors ------------------------------------------------------------------------------------- */

/* A layer without filters still has its rules about what may be asked of it. */
static NTSTATUS check_empty(const FWPS_INCOMING_VALUES0 *values)
{
    const struct engine_layer *layer = engine_layer_by_id(values->layerId);

    if (layer == NULL)
        return STATUS_FWP_LAYER_NOT_FOUND;
    return values->valueCount == layer->field_count ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER;
}

/* Not inlined: few classifies come here. */
static __attribute__((noinline)) void observe(struct engine *e, const struct engine_request *q,
                                              const struct engine_layer_snapshot *ls, struct ends *ends,
                                              struct engine_verdict *v)
{
    struct engine_ended list[ENGINE_MAX_ENDED];

    if (ls != NULL && ends->stopped_at != ENGINE_NO_POSITION)
        complete_ends(ends, ls, q->values->incomingValue);
    for (UINT32 i = 0; i < ends->count; i++)
        list[i] = (struct engine_ended){ls->filters[ends->at[i]], ends->said[i]};
    engine_request_complete(q);
    v->ended = list;
    v->ended_count = ends->count;
    e->observer.classified(e->observer.ctx, q, v);
    v->ended = NULL;
    v->ended_count = 0;
}

ALWAYS_INLINE NTSTATUS classify(struct engine_reader *r, const struct engine_snapshot *snapshot,
                                const struct engine_request *q, struct engine_verdict *v,
                                void (*run)(struct engine_reader *, const struct engine_request *,
                                            const struct engine_layer_snapshot *, struct engine_arbitration *,
                                            struct ends *))
{
    const FWPS_INCOMING_VALUES0 *values = q->values;
    const struct engine_layer_snapshot *ls = snapshot->layers[values->layerId];
    struct engine *e = r->engine;
    struct engine_arbitration a;
    struct ends ends;
    NTSTATUS status = STATUS_SUCCESS;

    engine_arb_start(&a);
    ends.count = 0;
    ends.stopped_at = ENGINE_NO_POSITION;
    if (ls == NULL)
        status = check_empty(values);
    else if (values->valueCount != ls->field_count)
        status = STATUS_INVALID_PARAMETER;
    else
        run(r, q, ls, &a, &ends);
    if (status == STATUS_SUCCESS) {
        engine_arb_finish(&a);
        *v = (struct engine_verdict){.action = a.action,
                                     .rights = a.rights,
                                     .flags = a.flags,
                                     .filter_id = a.filter != NULL ? ls->ids[ends.decided_at] : 0,
                                     .filter = a.filter};
        if (e->has_observer && !q->supposed &&
            (a.action == FWP_ACTION_BLOCK ? engine_observes_blocks(e) : engine_observes_permits(e)))
            observe(e, q, ls, &ends, v);
    }
    return status;
}

static inline bool is_single(const struct engine_snapshot *s, const struct engine_request *q)
{
    const struct engine_layer_snapshot *ls = s->layers[q->values->layerId];

    return ls != NULL && ls->single && q->trace == NULL;
}

NTSTATUS engine_classify(struct engine_reader *r, const struct engine_request *q, struct engine_verdict *v)
{
    const struct engine_snapshot *s;
    NTSTATUS status;

    if (q->values->layerId >= ENGINE_LAYER_COUNT)
        return STATUS_FWP_LAYER_NOT_FOUND;
    s = engine_reader_pin(r);
    status = is_single(s, q) ? classify(r, s, q, v, run_single) : classify(r, s, q, v, run_indexed);
    engine_reader_unpin(r);
    return status;
}

NTSTATUS engine_classify_pinned(struct engine_reader *r, const struct engine_snapshot *s,
                                const struct engine_request *q, struct engine_verdict *v)
{
    if (q->values->layerId >= ENGINE_LAYER_COUNT)
        return STATUS_FWP_LAYER_NOT_FOUND;
    return is_single(s, q) ? classify(r, s, q, v, run_single) : classify(r, s, q, v, run_indexed);
}

NTSTATUS engine_classify_naive(struct engine_reader *r, const struct engine_request *q,
                               struct engine_verdict *v)
{
    NTSTATUS status;

    if (q->values->layerId >= ENGINE_LAYER_COUNT)
        return STATUS_FWP_LAYER_NOT_FOUND;
    status = classify(r, engine_reader_pin(r), q, v, run_naive);
    engine_reader_unpin(r);
    return status;
}
