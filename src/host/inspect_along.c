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
 * go is over before anything else of what was known is looked at. From one look to the next the thread stays in the callout's
 * context (engine_looks_rest()): whatever else may call a driver rests first.
 */
#include "host/ale_inside.h"
#include "host/inspect_inside.h"
#include "host/kept.h"
#include "host/walk.h"

/* What the questions of one go have in common. */
struct going {
    struct scene *s;
    struct host *host;
    const struct engine *engine;
    struct scratch *room;
    struct along *along;
    struct told *told; /* of the scene's direction */
    const struct engine_snapshot *snapshot;
    UINT64 changes, among;    /* the engine's, the host's */
    UINT64 flow, other;       /* struct told's, of the scene */
    UINT64 where;             /* headers_of() */
    struct ndis_frame *frame; /* the packet's; NULL: it is not known yet to have one */
    uint32_t end, split;      /* packet_end(); how the packet is shown */
    unsigned level;           /* whose values they are: below KEPT_LEVELS */
    bool looking;             /* of a usual scene: */
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
    a->look[at].role = (UINT8)role;
    a->looks |= 1u << at;
    a->types |= kept_types(plan->prepared);
    return true;
}

/* One question, by way of what is known of no layer. False: it is a case for indicate(), and nothing was done. */
static __attribute__((noinline)) bool ask(struct going *g, enum layer_row row, unsigned at)
{
    const enum host_layer role = (enum host_layer)layer_rows[row][at];
    struct scene *s = g->s;
    struct along *a = g->along;
    struct kept *k;

    if ((a->looks >> at & 1) == 0 && !looks(g, at, role))
        return false;
    if (g->looking)
        engine_looks_rest(&g->by);
    if (!inspect_one(s, role, &g->room->plan[a->look[at].layer]))
        return false;
    k = g->room->kept[g->level][a->look[at].layer][scene_inbound(s)];
    a->look[at].kept[g->level] = k;
    a->known[g->level] |= k != NULL ? 1u << at : 0;
    return true;
}

/* The packet of the scene at a layer. */
static inline NET_BUFFER_LIST *show(struct going *g, const struct kept *k)
{
    if (g->frame == NULL) {
        if (!walk_shows(g->s) && !walk_make(g->s))
            return NULL;
        g->frame = g->s->walk->frame;
    }
    return ndis_frame_show(g->frame, k->of.first, k->of.at, g->end, g->split);
}

/* One question at a known layer whose values `k` are of a scene that differs in its flow at most. */
static inline void look_at(struct going *g, const struct look *l, struct kept *k)
{
    struct engine_shown shown = {.values = &k->values, .metadata = &k->metadata};
    struct scene *s = g->s;
    struct engine_inspection x;
    UINT64 context;

    if (k->of.flow != g->flow)
        kept_renew(k, l->prepared, s, kept_flow_of(s, g->flow, g->along->types, g->room, g->told));
    if (!engine_look_begin(&g->by, &l->inspector, &k->values, &x))
        return;
    context = ale_flow_context_held(s, l->layer, l->inspector.callout);
    if (__builtin_expect(x.conditional && context == 0, 0)) {
        engine_look_end(&g->by, &x);
        return;
    }
    if (k->of.where != g->where)
        inspect_moved(s, (enum host_layer)l->role, l->prepared, k, g->where);
    shown.layer_data = show(g, k);
    engine_look_call(&g->by, &x, &shown, context);
}

/* A callout may have done anything. */
static inline bool is_over(const struct going *g)
{
    return engine_changes(g->engine) != g->changes ||
           __atomic_load_n(&g->host->among, __ATOMIC_ACQUIRE) != g->among;
}

/* Flows' contexts wait for each classify to be back. */
static __attribute__((noinline)) void let_go(struct going *g)
{
    if (g->looking)
        engine_looks_rest(&g->by);
    ale_classified(g->s);
    ale_hold_enter(g->s);
}

static __attribute__((noinline)) void forget(struct along *a, UINT64 changes)
{
    *a = (struct along){.changes = changes};
}

/* The scene. Returns which of the layers need not be found out about. */
static inline UINT32 begin(struct going *g)
{
    struct scene *s = g->s;
    struct told *t = tell_of(g->room, s);
    UINT64 flow = t->flow, other = t->other;

    /* Read as they were just written, one by one: in one piece they would have to be waited for. */
    IN_ONE_REGISTER(flow);
    IN_ONE_REGISTER(other);
    g->told = t;
    g->flow = flow;
    g->other = other;
    g->among = t->among;
    g->frame = NULL;
    ale_hold_enter(s);
    g->looking = is_usual(s) && is_whole(s->packet) &&
                 engine_looks_begin(s->lane->reader, DISPATCH_LEVEL, scene_classify_context(s), &g->by);
    if (__builtin_expect(!g->looking, 0))
        return 0;
    g->where = headers_of(s->packet);
    g->end = packet_end(s->packet);
    g->split = g->host->config.knobs.split_mdl;
    return g->along->known[g->level];
}

unsigned inspect_along(struct scene *s, enum layer_row row, UINT32 rest)
{
    struct lane *l = s->lane;
    struct scratch *room = l->scratch;
    struct host *h = s->host;
    const struct engine *e = h->config.engine;
    const unsigned first = (unsigned)__builtin_ctz(rest);
    struct along *a = along_of(room, row, s);
    unsigned n = first, asked = 0;
    struct going g;
    UINT32 known; /* positions at which look_at() may do */
    bool stayed;

    g.changes = engine_changes(e);
    if (!is_common(s, room) || g.changes != l->busy_changes || engine_observes_permits(e))
        return first;
    IN_ONE_REGISTER(a);
    g.snapshot = engine_pin(l->reader);
    if (__builtin_expect(engine_snapshot_version(g.snapshot) != l->busy_version, 0)) {
        engine_unpin(l->reader);
        return first;
    }
    g.s = s;
    g.host = h;
    g.engine = e;
    g.room = room;
    g.along = a;
    if (__builtin_expect(a->changes != g.changes, 0))
        forget(a, g.changes);
    g.level = room->level++;
    stayed = lane_rest(l);
    known = begin(&g);
    for (;; rest &= rest - 1) {
        const struct look *x;
        struct kept *k = NULL;

        if (rest == 0) {
            n = LAYER_ROW;
            break;
        }
        n = (unsigned)__builtin_ctz(rest);
        x = &a->look[n];
        IN_ONE_REGISTER(x);
        if (__builtin_expect((known >> n & 1) != 0 && (k = x->kept[g.level])->of.other == g.other, 1))
            look_at(&g, x, k);
        else if (!ask(&g, row, n))
            break;
        asked++;
        if (__builtin_expect(s->hold.listed, 0))
            let_go(&g);
        if (__builtin_expect(is_over(&g), 0)) {
            n++;
            break;
        }
    }
    if (g.looking)
        engine_looks_end(&g.by);
    ale_classified(s);
    host_count_classified(s, asked);
    room->level--;
    lane_back(l, stayed);
    engine_unpin(l->reader);
    return n;
}
