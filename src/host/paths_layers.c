/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paths_layers: a packet's steps through the layers, one by one or those between which nothing happens.
 *
 *   path_step() --no filters: lane.busy--> on
 *       |
 *       +--> path_ask() -> inspect_along(): it only looks
 *                  +-----> indicate() -> blocked: the outcome says so; else what is known of the layer's answers (lane.settled)
 *   path_receive(), path_send() -> ask_along() -> inspect_along(): those that look and have no say, in one go
 *                                      +--------> path_ask(): the first of another kind
 *
 * lane.busy, settled and depends are of one policy, its callouts and the host's places. Behind whatever asked a callout
 * it is looked whether they still are: what was committed meanwhile counts for the next layer (OBJ-11). They belong to who has
 * the turn.
 */
#include <string.h>

#include "host/indicate.h"
#include "host/paths.h"

/* A packet's layers between which nothing happens; and where on the way a step begins or ends. */
const UINT8 layer_rows[LAYER_ROWS][LAYER_ROW] = {
    [ROW_UP] = {LAYER_MAC_IN_NATIVE, LAYER_MAC_IN, LAYER_II, LAYER_IT, LAYER_DD},
    [ROW_UP_TCP] = {LAYER_MAC_IN_NATIVE, LAYER_MAC_IN, LAYER_II, LAYER_IT, LAYER_SPK},
    [ROW_DOWN] = {LAYER_DD, LAYER_OT, LAYER_OI, LAYER_MAC_OUT, LAYER_MAC_OUT_NATIVE},
    [ROW_DOWN_TCP] = {LAYER_SPK, LAYER_OT, LAYER_OI, LAYER_MAC_OUT, LAYER_MAC_OUT_NATIVE},
};
_Static_assert(sizeof(((struct lane *)0)->busy_rows[0]) == LAYER_ROWS, "each of them");
enum { UP_NATIVE, UP_MAC, UP_IP, UP_TRANSPORT, UP_END = LAYER_ROW };
enum { DOWN_TOP, DOWN_TRANSPORT, DOWN_IP, DOWN_MAC, DOWN_END = LAYER_ROW };

void path_blocked(const struct answer *a, struct host_outcome *out)
{
    out->fate = a->absorbed ? HOST_ABSORBED : HOST_BLOCKED;
    out->layer = engine_layer_by_id(a->layer);
    out->filter_id = a->filter_id;
    out->module = FWPS_DISCARD_MODULE_GENERAL;
    out->reason = FWPS_DISCARD_FIREWALL_POLICY;
    out->depends = out->depends || a->depends;
}

/*
 * Which layers are to be asked, for they have filters, read once a frame, and again behind each layer that has some, ALE's
 * and the streams' too: a callout may have changed the policy (OBJ-11).
 */
static __attribute__((noinline)) void busy_changed(struct lane *l, UINT64 among, UINT64 changes)
{
    const struct host_observer *o = &l->host->config.observer;
    const bool all = o->classified != NULL && !o->decisions_only; /* who hears of empty layers, too */
    const struct engine_filter *const *filters;
    const struct engine_snapshot *snapshot;

    l->busy_among = among;
    l->busy_changes = changes;
    memset(l->settled, 0, sizeof(l->settled));
    memset(l->depends, 0, sizeof(l->depends));
    lane_enter(l);
    short_forget(l);
    lane_leave(l);
    snapshot = engine_pin(l->reader);
    l->busy_version =
        engine_snapshot_version(snapshot); /* perhaps newer than `changes`: then it is looked again */
    l->busy[0] = l->busy[1] = 0;
    for (unsigned role = 0; role < LAYER_ROLES; role++)
        for (unsigned six = 0; six < 2; six++)
            if (all || engine_snapshot_filters(snapshot, layer_id((enum host_layer)role, six ? 6 : 4),
                                               &filters) != 0)
                l->busy[six] |= 1u << role;
    engine_unpin(l->reader);
    memset(l->busy_rows, 0, sizeof(l->busy_rows));
    for (unsigned row = 0; row < LAYER_ROWS; row++)
        for (unsigned six = 0; six < 2; six++)
            for (unsigned at = 0; at < LAYER_ROW; at++)
                l->busy_rows[six][row] |= (UINT8)((l->busy[six] >> layer_rows[row][at] & 1) << at);
    short_ways_make(l);
}

static inline void busy_notice(struct lane *l)
{
    const UINT64 among = __atomic_load_n(&l->host->among, __ATOMIC_ACQUIRE),
                 changes = engine_changes(l->host->config.engine);

    if (__builtin_expect(l->busy_changes != changes || l->busy_among != among, 0))
        busy_changed(l, among, changes);
}

void path_busy(struct lane *l)
{
    busy_notice(l);
}

/* The layer's answer is known from now on. */
static void settled(struct lane *l, bool six, enum host_layer role, bool depends)
{
    const UINT32 bit = 1u << role;

    if ((l->settled[six] & bit) != 0 && (!depends || (l->depends[six] & bit) != 0))
        return;
    l->settled[six] |= bit;
    l->depends[six] |= depends ? bit : 0;
    short_ways_make(l);
}

/* A callout was asked: is what is known still so? */
static void asked(struct scene *s, uint8_t epoch)
{
    struct lane *l = s->lane;

    busy_notice(l);
    if (__builtin_expect(l->short_epoch != epoch, 0))
        s->steady = 0;
}

/* A layer by itself, if it is known to be one that only looks. */
static bool looked(struct scene *s, enum host_layer role)
{
    const bool in = scene_inbound(s);
    const enum layer_row row =
        role == LAYER_SPK ? (in ? ROW_UP_TCP : ROW_DOWN_TCP) : (in ? ROW_UP : ROW_DOWN);
    const UINT32 looks = along_of(s->lane->scratch, row, s)->looks;

    for (unsigned at = 0; looks >> at != 0; at++)
        if (layer_rows[row][at] == role)
            return (looks >> at & 1) != 0 && inspect_along(s, row, 1u << at) != at;
    return false;
}

bool path_ask(struct scene *s, enum host_layer role, struct host_outcome *out)
{
    struct lane *l = s->lane;
    const uint8_t epoch = l->short_epoch;
    struct answer a;

    if (looked(s, role)) {
        asked(s, epoch);
        return true;
    }
    if (indicate(s, role, &a)) {
        path_blocked(&a, out);
        return false;
    }
    out->depends = out->depends || a.depends;
    if (a.steady)
        s->steady |= 1u << role;
    if (a.settled)
        settled(l, s->version == 6, role, a.depends);
    asked(s, epoch);
    return true;
}

/* The layers of a row from `from` on, before `end`, in one go where each but looks. False: blocked. */
static bool ask_along(struct scene *s, enum layer_row row, unsigned from, unsigned end,
                      struct host_outcome *out)
{
    struct lane *l = s->lane;
    const UINT8 *busy = &l->busy_rows[s->version == 6][row];
    UINT32 rest;

    while ((rest = *busy & ((1u << end) - (1u << from))) != 0) {
        const unsigned first = (unsigned)__builtin_ctz(rest);
        const uint8_t epoch = l->short_epoch;

        from = inspect_along(s, row, rest);
        if (from == first) {
            if (!path_ask(s, (enum host_layer)layer_rows[row][from++], out))
                return false;
            continue;
        }
        asked(s, epoch);
        if (from >= end)
            break;
    }
    return true;
}

/* Loopback does not come down to the adapters; nor has every capture MAC headers. */
static bool has_mac(const struct scene *s)
{
    return !s->loopback && s->packet->mac_at != UINT32_MAX;
}

static bool receive(struct scene *s, bool tcp, unsigned end, struct host_outcome *out)
{
    const unsigned from = !has_mac(s) ? UP_IP : s->behind_native ? UP_MAC : UP_NATIVE;

    return ask_along(s, tcp ? ROW_UP_TCP : ROW_UP, from, end, out);
}

static bool send(struct scene *s, bool tcp, unsigned from, struct host_outcome *out)
{
    return ask_along(s, tcp ? ROW_DOWN_TCP : ROW_DOWN, from, has_mac(s) ? DOWN_END : DOWN_MAC, out);
}

bool path_receive_link(struct scene *s, struct host_outcome *out)
{
    return receive(s, false, UP_IP, out);
}

bool path_receive(struct scene *s, struct host_outcome *out)
{
    return receive(s, false, UP_TRANSPORT, out);
}

bool path_receive_whole(struct scene *s, bool tcp, struct host_outcome *out)
{
    return receive(s, tcp, UP_END, out);
}

bool path_send_link(struct scene *s, struct host_outcome *out)
{
    return send(s, false, DOWN_MAC, out);
}

bool path_send_ip(struct scene *s, struct host_outcome *out)
{
    return send(s, false, DOWN_IP, out);
}

bool path_send(struct scene *s, struct host_outcome *out)
{
    return send(s, false, DOWN_TRANSPORT, out);
}

bool path_send_whole(struct scene *s, bool tcp, struct host_outcome *out)
{
    return send(s, tcp, DOWN_TOP, out);
}
