/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judge of judge.h. It remembers:
 *
 *   (layer, version, unknown fields, which filters the known values leave possible) -> world
 *
 * A verdict can hang on known values only through the filters that they refuse: two questions that leave the
 * same ones possible have one answer. The number of worlds is bounded.
 */
#include "explain/judge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "explain/answer.h"

#define JUDGE_BUDGET 20000u /* nodes of a search: tenths of a second at worst */

/* What a question comes to. */
struct world {
    struct world *next; /* in its bucket */
    UINT64 hash, unknown;
    UINT16 layer_id;
    UINT32 vector_size;
    UINT8 *vector; /* see make_vector() */
    bool depends;
    UINT64 depends_on, fields; /* fields: those with a value below */
    bool forced; /* no world was found that answers as chosen: the answer is given without one */
    bool blocked;
    bool has_callout;
    GUID callout;
    bool opaque; /* one of `fields` is of a kind whose class is cached */
    bool quiet;  /* no registered callout's filter is possible */
    bool kept;   /* verdict is good for every question with this vector: see keep() */
    struct engine_verdict verdict;
    FWP_VALUE0 values[ENGINE_MAX_FIELDS];
    struct engine_assumption *callouts; /* ahead of the host's own */
    size_t callout_count;
    struct explain_arena arena;
};

struct explain_judge {
    struct explain_judge_config config;
    struct explain_judge_counts counts;
    struct world **buckets;
    UINT32 bucket_count, world_count;
    UINT64 version;                         /* of the policy that everything below is about */
    UINT64 generation;                      /* of the callouts */
    UINT64 forgets;                         /* so often worlds were given up */
    struct world *only[ENGINE_LAYER_COUNT]; /* of a layer whose filters test nothing: there is one answer */
    UINT8 *vector;                          /* of the question */
    size_t vector_room;
    struct engine_assumption *assumptions; /* of the classify */
    size_t assumption_room;
};

/* ---- life --------------------------------------------------------------------------------------------- */

int explain_judge_create(const struct explain_judge_config *config, struct explain_judge **out)
{
    struct explain_judge *j = calloc(1, sizeof *j);

    *out = j;
    if (j == NULL)
        return -ENOMEM;
    j->config = *config;
    if (j->config.worlds == 0)
        j->config.worlds = 4096;
    for (j->bucket_count = 64; j->bucket_count < j->config.worlds; j->bucket_count *= 2)
        ;
    j->buckets = calloc(j->bucket_count, sizeof(struct world *));
    if (j->buckets == NULL) {
        explain_judge_destroy(j);
        *out = NULL;
        return -ENOMEM;
    }
    return 0;
}

static void world_free(struct world *w)
{
    if (w == NULL)
        return;
    explain_arena_free(&w->arena);
    free(w->vector);
    free(w);
}

static void forget_worlds(struct explain_judge *j)
{
    for (UINT32 b = 0; b < j->bucket_count; b++) {
        while (j->buckets[b] != NULL) {
            struct world *w = j->buckets[b];

            j->buckets[b] = w->next;
            world_free(w);
        }
    }
    j->world_count = 0;
    j->forgets++;
    memset(j->only, 0, sizeof j->only);
}

void explain_judge_destroy(struct explain_judge *j)
{
    if (j == NULL)
        return;
    if (j->buckets != NULL)
        forget_worlds(j);
    free(j->buckets);
    free(j->vector);
    free(j->assumptions);
    free(j);
}

const UINT64 *explain_judge_forgets(const struct explain_judge *j)
{
    return &j->forgets;
}

void explain_judge_counts(const struct explain_judge *j, struct explain_judge_counts *out)
{
    *out = j->counts;
}

/* ---- keys -----------------------------------------------------------------------------------------------
 */

static UINT64 mix(UINT64 h, UINT64 x)
{
    h = (h ^ x) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 29;
}

static UINT64 hash_of(UINT64 h, const UINT8 *bytes, size_t size)
{
    for (; size >= 8; bytes += 8, size -= 8) {
        UINT64 x;

        memcpy(&x, bytes, 8);
        h = mix(h, x);
    }
    for (; size > 0; bytes++, size--)
        h = mix(h, *bytes);
    return h;
}

/*
 * What tells one question from another, in j->vector: the filters that the known values leave possible, where
 * the index says so at once, else each filter's answer. The last byte says which. False: no memory.
 */
static bool make_vector(struct explain_judge *j, const struct host_question *q, UINT32 *size)
{
    const struct engine_snapshot *s = q->snapshot;
    const FWPS_INCOMING_VALUE0 *values = q->request->values->incomingValue;
    const struct engine_filter *const *filters;
    size_t n = engine_snapshot_filters(s, q->layer->id, &filters), words;
    UINT64 bits[ENGINE_CANDIDATE_WORDS];
    bool known[ENGINE_MAX_FIELDS];

    *size = (UINT32)((n + 3) / 4 + sizeof bits + 1);
    if (*size > j->vector_room) {
        UINT8 *more = realloc(j->vector, *size);

        if (more == NULL)
            return false;
        j->vector = more;
        j->vector_room = *size;
    }
    words = engine_snapshot_candidates(s, q->layer->id, values, q->unknown, q->request->cache, bits);
    if (words != 0) {
        *size = (UINT32)(words * sizeof bits[0] + 1);
        memcpy(j->vector, bits, *size - 1);
        j->vector[*size - 1] = 1;
        return true;
    }
    for (UINT16 i = 0; i < q->layer->field_count; i++)
        known[i] = !(q->unknown >> i & 1);
    *size = (UINT32)((n + 3) / 4 + 1);
    memset(j->vector, 0, *size);
    for (size_t i = 0; i < n; i++)
        j->vector[i / 4] |= (UINT8)(engine_filter_match3(filters[i], values, known) << i % 4 * 2);
    return true;
}

/* ---- solving ----------------------------------------------------------------------------------------------
 */

/* The fields and the callout that an answer depends on. */
static void take_depends(const struct explain_problem *p, const struct explain_answer *answer,
                         struct world *w)
{
    const struct engine_layer *layer = p->steps[0].layer;

    for (uint32_t d = 0; d < answer->depend_count; d++) {
        const struct explain_var *v = &p->vars[answer->depends[d]];

        if (v->callout && !w->has_callout) {
            w->has_callout = true;
            w->callout = v->callout_key;
        }
        for (uint32_t s = 0; s < EXPLAIN_SLOTS && !v->callout; s++) {
            if (v->field[s] != NULL && v->field[s] == &layer->fields[v->field[s]->index] &&
                explain_slot_tested(p, v, s))
                w->depends_on |= UINT64_C(1) << v->field[s]->index;
        }
    }
}

static bool is_opaque(FWP_DATA_TYPE type)
{
    switch (type) {
    case FWP_UINT8:
    case FWP_UINT16:
    case FWP_UINT32:
    case FWP_UINT64:
    case FWP_BYTE_ARRAY6_TYPE:
    case FWP_BYTE_ARRAY16_TYPE:
        return false;
    default:
        return true;
    }
}

/* The world's values of what was unknown, and its callouts' answers, for the world's own life. */
static int take_world(const struct explain_problem *p, const struct explain_world *from, UINT64 unknown,
                      struct world *w)
{
    const struct engine_layer *layer = p->steps[0].layer;
    const char *error;

    w->callouts = explain_alloc(&w->arena, (p->var_count + 1) * sizeof *w->callouts);
    if (w->callouts == NULL)
        return -ENOMEM;
    w->blocked = from->blocked;
    for (uint32_t i = 0; i < p->var_count; i++) {
        const struct explain_var *v = &p->vars[i];

        if (v->callout)
            w->callouts[w->callout_count++] = (struct engine_assumption){
                v->callout_key,
                explain_callout_action((enum solve_callout_class)v->classes[from->classes[i]].tag)};
    }
    for (UINT16 f = 0; f < layer->field_count; f++) {
        struct explain_arena scratch = {0};
        struct explain_value copy;
        const char *text;
        int err;

        if (!(unknown >> f & 1))
            continue;
        text = explain_value_text(&scratch, &layer->fields[f], explain_world_value(p, from, 0, f));
        err = text == NULL ? -ENOMEM : explain_value_parse(&w->arena, &layer->fields[f], text, &copy, &error);
        explain_arena_free(&scratch);
        if (err != 0)
            return err == -ENOMEM ? err : -EPROTO;
        w->values[f] = copy.value;
        w->opaque = w->opaque || is_opaque(layer->fields[f].data_type);
        w->fields |= UINT64_C(1) << f;
    }
    return 0;
}

static int solve_into(struct explain_judge *j, const struct host_question *q, struct world *w)
{
    const struct explain_value *given[ENGINE_MAX_FIELDS] = {NULL};
    const struct explain_world *chosen;
    struct explain_problem p;
    struct explain_answer answer = {0};
    const char *error;
    int err = explain_problem_begin(j->config.state, &p);

    if (err != 0)
        return err;
    engine_request_complete(q->request); /* untested values count as given, too */
    p.assumptions = (struct explain_assumption *)(uintptr_t)j->config.callouts;
    p.assumption_count = j->config.callout_count;
    p.others_continue = j->config.assume == EXPLAIN_ASSUME_PLAIN;
    p.use_builtin = j->config.assume == EXPLAIN_ASSUME_DEFAULT;
    for (UINT16 i = 0; i < q->layer->field_count; i++) {
        struct explain_value *v =
            (q->unknown & q->tested) >> i & 1 ? NULL : explain_alloc(&p.arena, sizeof *v);

        if (v != NULL)
            v->value = q->request->values->incomingValue[i].value;
        given[i] = v;
    }
    j->counts.solved++;
    err = p.arena.failed ? -ENOMEM : explain_classify_add(&p, q->layer, given);
    if (err == 0)
        err = explain_problem_build(&p, &error);
    if (err == 0)
        err = explain_answer(&p, JUDGE_BUDGET, &answer, &error);
    if (err == -E2BIG) {
        answer.verdict = EXPLAIN_UNDECIDED;
        err = 0;
    }
    if (err != 0)
        goto out;
    chosen = j->config.block ? answer.block : answer.permit;
    if (answer.verdict == EXPLAIN_DEPENDS) {
        w->depends = true;
        take_depends(&p, &answer, w);
    } else if (answer.verdict == EXPLAIN_PERMITTED || answer.verdict == EXPLAIN_BLOCKED) {
        chosen = answer.verdict == EXPLAIN_PERMITTED ? answer.permit : answer.block;
    } else {
        j->counts.undecided++;
        w->depends = true;
        w->depends_on = q->unknown & q->tested;
    }
    if (chosen != NULL) {
        err = take_world(&p, chosen, q->unknown & q->tested, w);
    } else {
        w->forced = true;
        w->blocked = j->config.block;
    }
out:
    explain_problem_end(&p);
    return err;
}

/* Could a callout of ours be asked about these values? */
static bool is_quiet(const struct explain_judge *j, const struct host_question *q)
{
    const struct engine_filter *const *filters;
    size_t n = engine_snapshot_filters(q->snapshot, q->layer->id, &filters);
    bool known[ENGINE_MAX_FIELDS];

    for (UINT16 i = 0; i < q->layer->field_count; i++)
        known[i] = !(q->unknown >> i & 1);
    for (size_t i = 0; i < n; i++) {
        const struct engine_filter_desc *d = engine_filter_desc(filters[i]);

        if ((d->fwps->action.type & FWP_ACTION_FLAG_CALLOUT) != 0 &&
            engine_callout_state(j->config.state->engine, &d->callout_key) == ENGINE_CALLOUT_REGISTERED &&
            engine_filter_match3(filters[i], q->request->values->incomingValue, known) != ENGINE_MATCH_NO)
            return false;
    }
    return true;
}

/* ---- remembering
 * -------------------------------------------------------------------------------------------- */

static NTSTATUS find_world(struct explain_judge *j, const struct host_question *q, struct world **out)
{
    UINT64 unknown = q->unknown & q->tested, hash;
    struct world *w, **bucket;
    UINT32 size;
    int err;

    if (!make_vector(j, q, &size))
        return STATUS_NO_MEMORY;
    hash = hash_of(mix(mix(q->layer->id, unknown), size), j->vector, size);
    bucket = &j->buckets[hash >> 32 & (j->bucket_count - 1)];
    for (w = *bucket; w != NULL; w = w->next) {
        if (w->hash == hash && w->layer_id == q->layer->id && w->unknown == unknown &&
            w->vector_size == size && memcmp(w->vector, j->vector, size) == 0)
            break;
    }
    if (w != NULL) {
        *out = w;
        return STATUS_SUCCESS;
    }
    if (j->world_count >= j->config.worlds)
        forget_worlds(j); /* rare, and simpler than to know which is the oldest */
    w = calloc(1, sizeof *w);
    if (w == NULL)
        return STATUS_NO_MEMORY;
    w->hash = hash;
    w->unknown = unknown;
    w->layer_id = q->layer->id;
    w->vector_size = size;
    w->quiet = is_quiet(j, q);
    w->vector = malloc(size + 1u);
    err = w->vector == NULL ? -ENOMEM : solve_into(j, q, w);
    if (err != 0) {
        world_free(w);
        return err == -ENOMEM ? STATUS_NO_MEMORY : STATUS_INTERNAL_ERROR;
    }
    memcpy(w->vector, j->vector, size);
    w->next = *bucket;
    *bucket = w;
    j->world_count++;
    *out = w;
    return STATUS_SUCCESS;
}

/* ---- the answer
 * ------------------------------------------------------------------------------------------------ */

/* A request with a world's values in the place of unknown ones. */
struct filled {
    const struct engine_request *original;
    const struct world *world;
    struct engine_request request;
    FWPS_INCOMING_VALUES0 in;
    FWPS_INCOMING_VALUE0 values[ENGINE_MAX_FIELDS];
};

static void fill(struct filled *x)
{
    x->request.metadata = x->original->metadata;
    x->request.layer_data = x->original->layer_data;
    host_suppose(x->original->values, x->world->fields, x->world->values, &x->in, x->values);
}

/* A callout or an observer will look. */
static void complete_filled(void *ctx)
{
    struct filled *x = ctx;

    engine_request_complete(x->original);
    fill(x);
}

/* The engine classifies in this world. */
static NTSTATUS carry_out(struct explain_judge *j, struct engine_reader *r, const struct host_question *q,
                          const struct world *w, struct engine_verdict *v)
{
    struct filled x = {.original = q->request, .world = w, .request = *q->request};
    size_t count = w->callout_count + q->request->assumption_count;
    NTSTATUS status;

    if (count > j->assumption_room) {
        struct engine_assumption *more = realloc(j->assumptions, count * sizeof *more);

        if (more == NULL)
            return STATUS_NO_MEMORY;
        j->assumptions = more;
        j->assumption_room = count;
    }
    if (w->callout_count != 0)
        memcpy(j->assumptions, w->callouts, w->callout_count * sizeof *j->assumptions);
    if (q->request->assumption_count != 0)
        memcpy(j->assumptions + w->callout_count, q->request->assumptions,
               q->request->assumption_count * sizeof *j->assumptions);
    fill(&x);
    x.request.values = &x.in;
    x.request.assumptions = j->assumptions;
    x.request.assumption_count = count;
    x.request.complete = q->request->complete != NULL ? complete_filled : NULL;
    x.request.complete_ctx = &x;
    if (w->opaque) /* it holds the classes of the original's values */
        x.request.cache = NULL;
    status = engine_classify_pinned(r, q->snapshot, &x.request, v);
    if (status == STATUS_SUCCESS && (v->action == FWP_ACTION_BLOCK) != w->blocked)
        status = STATUS_INTERNAL_ERROR;
    return status;
}

/*
 * Where no callout runs and no observer wants to hear of such a verdict, classifying once more would tell
 * nobody anything: the first one stands. Blocks are heard of unless log and audit are both off.
 */
static bool keep(const struct explain_judge *j, const struct world *w, const struct engine_verdict *v)
{
    const struct engine *e = j->config.state->engine;

    return w->quiet &&
           !(v->action == FWP_ACTION_BLOCK ? engine_observes_blocks(e) : engine_observes_permits(e));
}

NTSTATUS explain_judge(void *ctx, struct engine_reader *r, const struct host_question *q,
                       struct host_answer *a)
{
    struct explain_judge *j = ctx;
    UINT64 version = engine_snapshot_version(q->snapshot);
    UINT64 generation = engine_callout_generation(j->config.state->engine);
    struct world *w = NULL;
    NTSTATUS status = STATUS_SUCCESS;

    *a = (struct host_answer){0};
    j->counts.asked++;
    if (version != j->version || generation != j->generation) { /* worlds and fields of another policy */
        forget_worlds(j);
        j->version = version;
        j->generation = generation;
    }
    if (q->tested == 0)
        w = j->only[q->layer->id];
    if (w == NULL) {
        status = find_world(j, q, &w);
        if (q->tested == 0 && status == STATUS_SUCCESS)
            j->only[q->layer->id] = w;
    }
    if (status != STATUS_SUCCESS)
        return status;
    a->depends = w->depends;
    a->depends_on = w->depends_on;
    a->depends_on_callout = w->has_callout ? &w->callout : NULL;
    a->supposed = w->fields;
    a->supposed_values = w->values;
    if (w->forced)
        a->verdict = (struct engine_verdict){.action = w->blocked ? FWP_ACTION_BLOCK : FWP_ACTION_PERMIT};
    else if (w->kept && keep(j, w, &w->verdict))
        a->verdict = w->verdict;
    else {
        status = carry_out(j, r, q, w, &a->verdict);
        w->kept = status == STATUS_SUCCESS && keep(j, w, &a->verdict);
        w->verdict = a->verdict;
        w->verdict.filter = NULL; /* valid while pinned: not kept */
    }
    return status;
}
