/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inspect_along: the layers that a packet meets one after the other, where each has an inspection and nothing else, in one go:
 * the policy is pinned, the lane left and the scene compared once, and nothing is decided that somebody would have to be told
 * of.
 *
 *   inspect_along() --> a layer that is known (struct look), its values of a scene that differed in its flow at most: look_at()
 *                   +-> else: inspect_one(), which finds out; the next packet knows the layer
 *                   +-> it is none of these: back, at this layer
 *
 * What is known of a row of layers (struct along: filter, callout, where the values stand) is of one number of the engine's
 * changes: when there is another one all of it is forgotten. Values that stand somewhere are never given back before the
 * lane is; whose they are they say themselves (struct kept_of), and whoever else writes them says that they are nobody's.
 * What the go takes from its scene at the start (struct told's numbers, what is the flow's, where the headers stand) is the
 * scene's own and stays; the numbers of other scenes are others.
 *
 * A callout may change policy, callouts, interfaces, or bring about a classification of another packet, deeper on this stack
 * and with values of its own: behind each it is looked whether engine and host are what they were (is_over()); if not, the
 * go is over before anything else of what was known is looked at.
 */
#include "host/ale_inside.h"
#include "host/inspect_inside.h"
#include "host/kept.h"
#include "host/walk.h"

/* What the questions of one go have in common. */
struct going {
    struct scene *s;
    struct scratch *room;
    struct along *along;
    const struct engine_snapshot *snapshot;
    UINT64 changes, among; /* the engine's, the host's */
    UINT64 flow, other;    /* struct told's, of the scene */
    UINT64 where;          /* headers_of() */
    uint32_t end, split;   /* packet_end(); how the packet is shown */
    unsigned level;        /* whose values they are: below KEPT_LEVELS */
    UINT32 known;          /* positions at which look_at() may do */
    struct kept_flow of;   /* made when it is first needed */
    bool looking;          /* of a usual scene: */
    struct engine_looks by;
};

/* Does the layer ask an inspection and nobody else? Then it is known from now on. */
static __attribute__((noinline)) bool looks(const struct going *g, unsigned at, enum host_layer role)
{
    const struct scene *s = g->s;
    const struct host_config *c = &s->host->config;
    const struct plan *plan = &g->room->plan[layer_id(role, s->version)];
    struct along *a = g->along;

    if (!plan->inspects || !plan_stands(plan, c->engine, g->snapshot, plan->layer) ||
        (plan->tested != 0 && c->judge.judge != NULL))
        return false;
    a->look[at].inspector = plan->inspector;
    a->look[at].prepared = plan->prepared;
    a->look[at].layer = plan->layer;
    a->looks |= 1u << at;
    a->types |= kept_types(plan->prepared);
    return true;
}

/* One question, by way of what is known of no layer. False: it is a case for indicate(), and nothing was done. */
static __attribute__((noinline)) bool ask(const struct going *g, enum layer_row row, unsigned at)
{
    const enum host_layer role = (enum host_layer)layer_rows[row][at];
    struct scene *s = g->s;
    struct along *a = g->along;
    struct kept *k;

    if ((a->looks >> at & 1) == 0 && !looks(g, at, role))
        return false;
    if (!inspect_one(s, role, &g->room->plan[a->look[at].layer]))
        return false;
    k = g->room->kept[g->level][a->look[at].layer][scene_inbound(s)];
    a->look[at].kept[g->level] = k;
    a->known[g->level] |= k != NULL ? 1u << at : 0;
    return true;
}

/* The packet of the scene at a layer. */
static inline NET_BUFFER_LIST *show(const struct going *g, const struct kept *k)
{
    if (!walk_shows(g->s) && !walk_make(g->s))
        return NULL;
    return ndis_frame_show(g->s->walk->frame, k->of.first, k->of.at, g->end, g->split);
}

/* One question at a known layer whose values `k` are of a scene that differs in its flow at most. */
static inline void look_at(struct going *g, const struct look *l, enum host_layer role, struct kept *k)
{
    struct engine_shown shown = {.values = &k->values, .metadata = &k->metadata};
    struct scene *s = g->s;
    struct engine_inspection x;
    UINT64 context;

    if (k->of.flow != g->flow) {
        if (g->of.number == 0)
            kept_flow_make(s, g->flow, g->along->types, g->room, &g->of);
        kept_renew(k, l->prepared, s, &g->of);
    }
    if (!engine_look_begin(&g->by, &l->inspector, &k->values, &x))
        return;
    context = ale_flow_context_held(s, l->layer, l->inspector.callout);
    if (__builtin_expect(x.conditional && context == 0, 0)) {
        engine_look_end(&g->by, &x);
        return;
    }
    if (k->of.where != g->where)
        inspect_place(s, role, l->prepared, k);
    shown.layer_data = show(g, k);
    engine_look_call(&g->by, &x, &shown, context);
}

/* A callout may have done anything. */
static inline bool is_over(const struct going *g)
{
    const struct host *h = g->s->host;

    return engine_changes(h->config.engine) != g->changes ||
           __atomic_load_n(&h->among, __ATOMIC_ACQUIRE) != g->among;
}

static __attribute__((noinline)) void forget(struct along *a, UINT64 changes)
{
    *a = (struct along){.changes = changes};
}

/* The scene, and which of the layers need not be found out about. */
static inline void begin(struct going *g)
{
    struct scene *s = g->s;
    const struct told *t = tell_of(g->room, s);

    g->flow = t->flow;
    g->other = t->other;
    g->among = t->among;
    g->of.number = 0;
    g->known = 0;
    ale_hold_enter(s);
    g->looking = is_usual(s) && is_whole(s->packet) &&
                 engine_looks_begin(s->lane->reader, DISPATCH_LEVEL, scene_classify_context(s), &g->by);
    if (__builtin_expect(!g->looking, 0))
        return;
    g->where = headers_of(s->packet);
    g->end = packet_end(s->packet);
    g->split = s->host->config.knobs.split_mdl;
    g->known = g->along->known[g->level];
}

unsigned inspect_along(struct scene *s, enum layer_row row, UINT32 rest)
{
    struct lane *l = s->lane;
    struct scratch *room = l->scratch;
    const struct engine *e = s->host->config.engine;
    const unsigned first = (unsigned)__builtin_ctz(rest);
    const enum host_layer role = (enum host_layer)layer_rows[row][first];
    unsigned n = first, asked = 0;
    struct going g;
    bool stayed;

    g.changes = engine_changes(e);
    if (!is_common(s, role, room) || g.changes != l->busy_changes || engine_observes_permits(e))
        return first;
    g.snapshot = engine_pin(l->reader);
    if (__builtin_expect(engine_snapshot_version(g.snapshot) != l->busy_version, 0)) {
        engine_unpin(l->reader);
        return first;
    }
    g.s = s;
    g.room = room;
    g.along = &room->along[row][s->version == 6][scene_inbound(s)];
    if (__builtin_expect(g.along->changes != g.changes, 0))
        forget(g.along, g.changes);
    g.level = room->level++;
    stayed = lane_rest(l);
    begin(&g);
    for (;; rest &= rest - 1) {
        const struct look *x;
        struct kept *k = NULL;

        if (rest == 0) {
            n = LAYER_ROW;
            break;
        }
        n = (unsigned)__builtin_ctz(rest);
        x = &g.along->look[n];
        if (__builtin_expect((g.known >> n & 1) != 0 && (k = x->kept[g.level])->of.other == g.other, 1))
            look_at(&g, x, (enum host_layer)layer_rows[row][n], k);
        else if (!ask(&g, row, n))
            break;
        asked++;
        if (__builtin_expect(s->hold.listed, 0)) { /* flows' contexts wait for each classify to be back */
            ale_classified(s);
            ale_hold_enter(s);
        }
        if (__builtin_expect(is_over(&g), 0)) {
            n++;
            break;
        }
    }
    if (g.looking)
        engine_looks_end(&g.by);
    ale_classified(s);
    indicate_count(s, asked);
    room->level--;
    lane_back(l, stayed);
    engine_unpin(l->reader);
    return n;
}
