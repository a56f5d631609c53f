/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream_stages: which stages a direction of a flow has: the filters that match it at ST, in order of evaluation.
 * Computed when its first data come and anew when policy or callouts have changed; between the two a set stands.
 *
 *   engine_stages() -> without those that came later than the flow (STR-28), and foreign callouts that decide nothing
 *        -> a set that others share, or a new one
 *        -> if it is another than before: each place that stays keeps what it holds; what a place that goes holds
 *           is behind all that places further down hold, and goes on to the next that stays, or to the sink
 */
#include <stdlib.h>
#include <string.h>

#include "host/stream_inside.h"
#include "host/walk.h"

/* ---- when filters came (STR-28) */

static struct stream_since *since_of(struct streams *all, UINT64 filter_id)
{
    for (size_t i = 0; i < all->since_count; i++)
        if (all->since[i].filter_id == filter_id)
            return &all->since[i];
    return NULL;
}

static struct stream_since *since_add(struct streams *all, UINT64 filter_id)
{
    struct stream_since *more;

    if (all->since_count == all->since_room) {
        const size_t room = all->since_room != 0 ? all->since_room * 2 : 16;

        more = realloc(all->since, room * sizeof(*more));
        if (more == NULL)
            return NULL;
        all->since = more;
        all->since_room = room;
    }
    more = &all->since[all->since_count++];
    *more = (struct stream_since){.filter_id = filter_id};
    return more;
}

static bool may_join(const struct host *h, const GUID *callout)
{
    struct engine_callout c;

    return engine_callout_by_key(h->config.engine, callout, &c) &&
           (c.flags & FWP_CALLOUT_FLAG_ALLOW_MID_STREAM_INSPECTION) != 0;
}

static void notice_layer(struct host *h, const struct engine_snapshot *snapshot, UINT16 layer)
{
    struct streams *all = h->streams;
    const struct engine_filter *const *filters;
    const size_t n = engine_snapshot_filters(snapshot, layer, &filters);
    struct stream_common *common = &all->common[layer == layer_id(LAYER_ST, 6)];

    common->possible = n <= STREAM_STAGES;
    common->version = engine_snapshot_layer_version(snapshot, layer);
    for (size_t i = 0; i < n; i++) {
        const struct engine_filter_desc *desc = engine_filter_desc(filters[i]);
        struct stream_since *since;
        UINT16 field;
        bool registered;

        common->possible = common->possible && engine_filter_fields(filters[i], &field, 1) == 0;

        if ((desc->fwps->action.type & FWP_ACTION_FLAG_CALLOUT) == 0)
            continue;
        registered = engine_callout_state(h->config.engine, &desc->callout_key) == ENGINE_CALLOUT_REGISTERED;
        since = since_of(all, desc->fwps->filterId);
        if (since == NULL) {
            since = since_add(all, desc->fwps->filterId);
            if (since == NULL)
                continue; /* taken for one that was always there */
            since->flow_id = h->next_flow_id;
        } else if (registered && !since->registered) {
            since->flow_id = h->next_flow_id;
        }
        if (registered && !since->registered && since->flow_id > 1)
            all->joined = all->joined || may_join(h, &desc->callout_key);
        since->registered = registered;
        since->seen = true;
    }
}

void streams_notice_slow(struct host *h, const struct engine_snapshot *snapshot)
{
    struct streams *all = h->streams;
    size_t kept = 0;

    all->common[0] = all->common[1] = (struct stream_common){0};
    for (size_t i = 0; i < all->since_count; i++)
        all->since[i].seen = false;
    notice_layer(h, snapshot, layer_id(LAYER_ST, 4));
    notice_layer(h, snapshot, layer_id(LAYER_ST, 6));
    for (size_t i = 0; i < all->since_count; i++)
        if (all->since[i].seen)
            all->since[kept++] = all->since[i];
    all->since_count = kept;
    all->since_newest = 0;
    for (size_t i = 0; i < kept; i++)
        if (all->since[i].flow_id > all->since_newest)
            all->since_newest = all->since[i].flow_id;
    all->since_version = engine_snapshot_version(snapshot);
    all->since_generation = engine_callout_generation(h->config.engine);
}

/* Is the flow one that the stage's callout sees? */
static bool joins(struct stream_run *r, const struct engine_stage *stage)
{
    const struct stream_since *since;
    UINT32 flags;

    if (stage->slot == NULL)
        return true;
    since = since_of(r->host->streams, engine_filter_fwps(stage->filter)->filterId);
    if (since == NULL || since->flow_id <= r->st->id)
        return true;
    return engine_stage_registered(stage, r->s->lane->reader, &flags) &&
           (flags & FWP_CALLOUT_FLAG_ALLOW_MID_STREAM_INSPECTION) != 0;
}

/* ---- sets */

/* The stages that a set is of. */
struct staging {
    struct engine_stage stages[STREAM_STAGES];
    UINT32 count;
    bool depends; /* the set's */
    bool unheard; /* and its other answers */
    bool asks;    /* a callout is among those that match, be it one that is not here */
};

static bool is_set(const struct stream_set *set, const struct staging *of)
{
    const struct engine_stage *stages = of->stages;

    if (set->count != of->count || set->depends != of->depends || set->unheard != of->unheard ||
        set->asks != of->asks)
        return false;
    for (UINT32 i = 0; i < of->count; i++)
        if (set->stages[i].is.filter != stages[i].filter || set->stages[i].is.sublayer != stages[i].sublayer)
            return false;
    return true;
}

/* Whose callouts they are, as far as they are registered by now. */
static void know_parties(struct host *h, struct stream_set *set)
{
    for (UINT32 i = 0; i < set->count; i++) {
        struct rt_context *driver = engine_filter_driver(h->config.engine, set->stages[i].is.filter);

        if (driver != NULL)
            set->stages[i].party = driver->party;
    }
}

/* With a reference more; NULL: no memory. */
static struct stream_set *set_of(struct host *h, const struct staging *of)
{
    const struct engine_stage *stages = of->stages;
    const UINT32 count = of->count;
    struct streams *all = h->streams;
    struct stream_set *set;

    for (set = all->sets; set != NULL; set = set->chain)
        if (is_set(set, of)) {
            set->references++;
            know_parties(h, set);
            return set;
        }
    set = calloc(1, sizeof(*set) + count * sizeof(set->stages[0]));
    if (set == NULL)
        return NULL;
    set->references = 1;
    set->count = count;
    set->depends = of->depends;
    set->unheard = of->unheard;
    set->asks = of->asks;
    for (UINT32 i = count; i-- > 0;) {
        const FWPS_FILTER3 *f = engine_filter_fwps(stages[i].filter);
        struct stream_stage *stage = &set->stages[i];

        stage->is = stages[i];
        engine_filter_ref(stage->is.filter);
        stage->filter_id = f->filterId;
        stage->callout = stages[i].slot != NULL ? f->action.calloutId : 0;
        stage->next =
            i + 1 < count && stages[i + 1].sublayer == stages[i].sublayer ? set->stages[i + 1].next : i + 1;
        set->edits = set->edits ||
                     (stages[i].kind != ENGINE_STAGE_PERMIT && stages[i].kind != ENGINE_STAGE_INSPECTION);
    }
    set->inspects = count == 1 && stages[0].kind == ENGINE_STAGE_INSPECTION && stages[0].slot != NULL;
    set->chain = all->sets;
    all->sets = set;
    know_parties(h, set);
    return set;
}

void stream_set_unref(struct streams *all, struct stream_set *set)
{
    struct stream_set **at = &all->sets;

    if (set == NULL || --set->references != 0)
        return;
    for (int i = 0; i < 2; i++)
        if (all->common[i].set == set)
            all->common[i].set = NULL;
    while (*at != set)
        at = &(*at)->chain;
    *at = set->chain;
    for (UINT32 i = 0; i < set->count; i++)
        engine_filter_unref(set->stages[i].is.filter);
    free(set);
}

/* ---- from one set to the next */

static UINT32 place_of(const struct stream_set *set, UINT64 filter_id)
{
    for (UINT32 i = 0; i < set->count; i++)
        if (set->stages[i].filter_id == filter_id)
            return i;
    return UINT32_MAX;
}

/* What was permitted up to an old stage is, up to the first that stays of those behind. */
static UINT32 through_of(const struct stream_set *from, const struct stream_set *to, UINT32 through)
{
    if (through == 0)
        return 0;
    for (UINT32 i = through; i < from->count; i++) {
        const UINT32 at = place_of(to, from->stages[i].filter_id);

        if (at != UINT32_MAX)
            return at;
    }
    return to->count;
}

static bool is_allowed(const struct stream *st, UINT32 callout)
{
    for (UINT32 i = 0; st->allowed != NULL && i < st->allowed->count; i++)
        if (st->allowed->callouts[i] == callout && callout != 0)
            return true;
    return false;
}

static void keep(struct stream_place *to, struct stream_place *from)
{
    *to = *from;
    if (to->head == NULL)
        to->tail = &to->head;
    from->head = NULL;
    from->tail = &from->head;
}

/* The places of the old set give up what they hold, the last one first. */
static void move(struct stream_run *r, struct stream_set *to, struct stream_place *places)
{
    struct stream_dir *d = &r->st->dir[r->dir];
    struct stream_set *from = d->set;
    UINT32 next = UINT32_MAX; /* the place that what goes is given to; UINT32_MAX: the sink */

    for (UINT32 i = from->count; i-- > 0;) {
        struct stream_place *p = &d->places[i];
        const UINT32 at = place_of(to, from->stages[i].filter_id);

        for (struct stream_chunk *c = p->head; c != NULL; c = c->next)
            c->through = through_of(from, to, c->through);
        if (at != UINT32_MAX) {
            keep(&places[at], p);
            next = at;
            continue;
        }
        if (p->head != NULL) { /* STR-27 */
            stream_report(r, i, STREAM_FILTER_WENT, NULL);
            stream_count(&r->host->streams->counts.handed, 1);
        }
        if (p->waits == STREAM_DEFERS)
            stream_owe(r, i, false);
        while (p->head != NULL) {
            struct stream_chunk *c = stream_pop(r, p);

            if (next != UINT32_MAX)
                stream_put(r, &places[next], next, c);
            else
                stream_out(r, c);
        }
    }
}

void stream_places_free(struct stream_dir *d, struct stream_place *places)
{
    if (places != &d->own)
        free(places);
}

UINT64 stream_places_size(const struct stream_dir *d)
{
    return d->set != NULL && d->places != &d->own ? d->set->count * sizeof(*d->places) : 0;
}

/* Zeroed; NULL: no memory. */
static struct stream_place *places_take(struct stream_dir *d, UINT32 count)
{
    if (count > 1 || d->places == &d->own)
        return calloc(count != 0 ? count : 1, sizeof(*d->places));
    d->own = (struct stream_place){0};
    return &d->own;
}

static void put(struct stream_run *r, struct stream_set *set, struct stream_place *places)
{
    struct streams *all = r->host->streams;
    struct stream_dir *d = &r->st->dir[r->dir];
    struct stream_place *before = d->places;
    struct stream_set *was = d->set;
    const UINT64 size = stream_places_size(d);

    for (UINT32 i = 0; i < set->count; i++) {
        places[i].tail = &places[i].head;
        places[i].allowed = is_allowed(r->st, set->stages[i].callout);
    }
    if (was != NULL)
        move(r, set, places);
    rt_mutex_lock(all->lock); /* others look whether a callout is here */
    stream_set_give(r->st, r->dir, set);
    d->places = places;
    rt_mutex_unlock(all->lock);
    stream_count(&all->counts.memory, stream_places_size(d) - size);
    stream_set_unref(all, was);
    stream_places_free(d, before);
    stream_hold_again(r);
    for (UINT32 i = set->count; i-- > 0;)
        stream_work(r, i);
}

static void keep_common(struct stream_run *r, struct stream_set *set, const struct engine_snapshot *snapshot);

/* Takes out stages of which the flow hears nothing. One of which nobody knows what it says stays where what comes before
 * it may decide: then the flow depends on it no more. */
static void leave_out(struct stream_run *r, struct staging *of)
{
    const UINT32 n = of->count;
    bool unknown, decides = false;

    of->count = 0;
    of->asks = of->unheard = false;
    for (UINT32 i = 0; i < n; i++) {
        const struct engine_stage *stage = &of->stages[i];

        if (!joins(r, stage))
            continue;
        of->asks = of->asks || stage->slot != NULL;
        unknown = false;
        if (!r->host->config.knobs.long_way && engine_stage_silent(stage, r->request, &unknown) &&
            !(unknown && decides)) {
            of->unheard = of->unheard || unknown;
            continue;
        }
        decides = decides || stage->kind != ENGINE_STAGE_INSPECTION;
        of->stages[of->count++] = *stage;
    }
}

bool stream_stages(struct stream_run *r, const struct engine_snapshot *snapshot, UINT64 unknown)
{
    struct streams *all = r->host->streams;
    struct stream_dir *d = &r->st->dir[r->dir];
    const UINT16 layer = layer_id(LAYER_ST, r->st->version);
    const UINT64 version = engine_snapshot_layer_version(snapshot, layer);
    const UINT64 generation = engine_callout_generation(r->host->config.engine);
    struct stream_place *places;
    struct stream_set *set;
    struct staging of;
    size_t n;

    if (d->set != NULL && d->version == version && d->generation == generation)
        return true;
    streams_notice(r->host, snapshot);
    n = engine_stages(snapshot, layer, r->request->values->incomingValue, unknown, of.stages, STREAM_STAGES,
                      &of.depends);
    if (n > STREAM_STAGES) {
        stream_count(&all->unseen, n - STREAM_STAGES);
        n = STREAM_STAGES;
    }
    of.count = (UINT32)n;
    leave_out(r, &of);
    set = set_of(r->host, &of);
    if (set == NULL)
        return false;
    keep_common(r, set, snapshot);
    if (set == d->set) {
        set->references--;
    } else {
        places = places_take(d, of.count);
        if (places == NULL) {
            stream_set_unref(all, set);
            return false;
        }
        d->version = version;
        d->generation = generation;
        put(r, set, places);
        return true;
    }
    d->version = version;
    d->generation = generation;
    return true;
}

/* ---- without looking */

/* What stream_stages() has found for a flow that all stages are for. */
static void keep_common(struct stream_run *r, struct stream_set *set, const struct engine_snapshot *snapshot)
{
    struct streams *all = r->host->streams;
    struct stream_common *common = &all->common[r->st->version == 6];

    if (!common->possible || common->set != NULL || r->st->id < all->since_newest ||
        engine_snapshot_version(snapshot) != all->since_version)
        return;
    common->set = set;
}

bool stream_stages_common(struct stream *st, UINT64 version, UINT64 generation)
{
    struct streams *all = st->host->streams;
    const struct stream_common *common = &all->common[st->version == 6];
    struct stream_place *places[2];

    if (common->set == NULL || version != all->since_version || generation != all->since_generation ||
        st->id < all->since_newest)
        return false;
    for (int dir = 0; dir < 2; dir++) {
        places[dir] = places_take(&st->dir[dir], common->set->count);
        if (places[dir] == NULL) {
            if (dir == 1)
                stream_places_free(&st->dir[0], places[0]);
            return false;
        }
    }
    for (int dir = 0; dir < 2; dir++) {
        struct stream_dir *d = &st->dir[dir];

        stream_set_give(st, dir, common->set);
        d->set->references++;
        d->places = places[dir];
        for (UINT32 i = 0; i < d->set->count; i++)
            d->places[i].tail = &d->places[i].head;
        d->version = common->version;
        d->generation = generation;
        stream_count(&all->counts.memory, stream_places_size(d));
    }
    return true;
}

/* ---- a driver has gone */

static void nothing(struct stream_run *r, void *ctx)
{
    (void)r;
    (void)ctx;
}

/* The stages are brought up to date by whoever enters. */
static void look_again(struct host *h, struct stream *st)
{
    const struct stream_sink *sink = h->stream_sink;
    struct scene s;

    for (int dir = 0; dir < 2; dir++) {
        if (st->dir[dir].run != NULL || !stream_holds(&st->dir[dir]) || stream_stopped(st))
            continue;
        stream_scene(st, dir, &s);
        (void)stream_enter(&s, st, dir, nothing, NULL, NULL);
        if (!__atomic_load_n(&st->gone, __ATOMIC_ACQUIRE) && sink != NULL && sink->settled != NULL)
            sink->settled(h, st);
    }
}

void host_stream_driver_gone(struct host *h)
{
    struct streams *all = h->streams;
    size_t count = 0;
    UINT64 *ids;
    TURN_OF(&h->lanes[0]);

    rt_mutex_lock(all->lock);
    ids = malloc((all->count + 1) * sizeof(*ids));
    for (UINT32 i = 0; ids != NULL && i < all->bucket_count; i++)
        for (const struct stream *st = all->buckets[i]; st != NULL; st = st->chain)
            ids[count++] = st->id;
    rt_mutex_unlock(all->lock);
    for (size_t i = 0; i < count; i++) {
        struct stream *st = stream_hold(h, ids[i]);

        if (st == NULL)
            continue;
        look_again(h, st);
        stream_let(st);
    }
    free(ids);
    for (struct stream_set *set = all->sets; set != NULL; set = set->chain)
        for (UINT32 i = 0; i < set->count; i++)
            if (engine_filter_driver(h->config.engine, set->stages[i].is.filter) == NULL)
                set->stages[i].party = NULL;
    streams_reap(h);
}
